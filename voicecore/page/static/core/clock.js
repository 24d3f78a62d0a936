// @ts-check
/** Time, so that tests can have their own. */

/**
 * @typedef {object} Clock
 * @property {() => number} now milliseconds, that only ever grow
 * @property {(work: () => void, ms: number) => unknown} setTimeout
 * @property {(timer: any) => void} clearTimeout
 */

/** @type {Clock} */
export const browserClock = {
  now: () => performance.now(),
  setTimeout: (work, ms) => setTimeout(work, ms),
  clearTimeout: (timer) => clearTimeout(timer),
};

/** @param {Clock} clock @param {number} ms @returns {Promise<void>} */
export function delay(clock, ms) {
  return new Promise((done) => clock.setTimeout(() => done(), ms));
}
