// @ts-check
/**
 * Browsers stop sound: until the person has touched the page, for a call, with a device that goes.
 * It is had to run again, or the person is told to touch the page.
 */

import { browserClock, delay } from './clock.js';

/** A browser that does not allow sound would have us wait for ever. */
const RESUME_MS = 1_000;

/** @typedef {import('./session.js').Session} Session */

/**
 * Have a context run. To be called when the person presses something, if that can be.
 * @param {AudioContext} context @param {import('./clock.js').Clock} [clock]
 * @returns {Promise<boolean>} whether it runs
 */
export async function revive(context, clock = browserClock) {
  if (context.state !== 'running') {
    const resumed = context.resume().catch(() => undefined);
    await Promise.race([resumed, delay(clock, RESUME_MS)]);
  }
  return context.state === 'running';
}

/** Have both ends run, and tell whether the browser lets them. @param {Session} session */
export async function sound(session) {
  const contexts = [session.speaker?.context, session.microphone.context];
  const open = contexts.filter((context) => context && context.state !== 'closed');
  const run = await Promise.all(
    open.map((context) => revive(/** @type {AudioContext} */ (context), session.clock)),
  );
  // One that was closed meanwhile need not run.
  const blocked = open.some((context, i) => !run[i] && context?.state !== 'closed');
  session.dispatch({ type: 'local.sound', blocked: blocked && session.wanted });
}

/** Open the loudspeaker, once, and have it run. It never fails: there may be none yet. */
export async function openSpeaker(/** @type {Session} */ session) {
  if (!session.speaker) await (session.opening ??= create(session));
  await sound(session);
}

/** @param {Session} session */
async function create(session) {
  try {
    const speaker = await session.newSpeaker();
    session.speaker = speaker;
    speaker.on('started', (detail) => session.speaks(detail));
    speaker.on('position', (detail) => session.dispatch({ type: 'local.position', ...detail }));
    speaker.on('ended', (detail) => session.dispatch({ type: 'local.speech_ended', ...detail }));
    speaker.on('context', () => void sound(session));
  } catch {
    // Its worklet comes from the host, which may be away: it is tried again when that is back.
  } finally {
    session.opening = null;
  }
}
