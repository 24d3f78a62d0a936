// @ts-check
/** How long to wait before the next try, and whether the other side still answers. */

const FIRST_MS = 500;
const LONGEST_MS = 8_000;
/** Each wait is up to this share longer or shorter: the pages of one host do not all come at once. */
const JITTER = 0.25;

export class Backoff {
  /** @param {() => number} [random] from 0 to 1 */
  constructor(random = Math.random) {
    this.random = random;
    this.tries = 0;
  }

  /** @returns {number} milliseconds to wait before the next try */
  next() {
    const ms = Math.min(LONGEST_MS, FIRST_MS * 2 ** this.tries++);
    return Math.round(ms * (1 + JITTER * (2 * this.random() - 1)));
  }

  /** The last try was a success. */
  reset() {
    this.tries = 0;
  }
}

/** Pings without an answer after which a connection counts as dead. */
const UNANSWERED = 2;

export class Heartbeat {
  constructor() {
    /** When the pings were sent that are not answered yet. @type {number[]} */
    this.sent = [];
    /** Of the last answer. @type {number|null} */
    this.rttMs = null;
  }

  get dead() {
    return this.sent.length >= UNANSWERED;
  }

  /** @param {number} nowMs */
  ping(nowMs) {
    this.sent.push(nowMs);
  }

  /** @param {number} nowMs @returns {number|null} milliseconds since its ping */
  pong(nowMs) {
    const sent = this.sent.shift();
    if (sent === undefined) return null;
    this.sent = [];
    this.rttMs = nowMs - sent;
    return this.rttMs;
  }
}
