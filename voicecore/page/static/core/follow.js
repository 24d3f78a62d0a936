// @ts-check
/** What happens in the browser, and the conversation has to know: network, windows, devices, time. */

/** @typedef {import('./session.js').Session} Session */

const LOOK_MS = 500;

/** @param {Session} session */
export function follow(session) {
  const { page } = session;
  page.addEventListener('online', () => session.connection.wake());
  page.document.addEventListener('visibilitychange', () => {
    if (page.document.visibilityState === 'visible') session.wake();
  });
  page.navigator.mediaDevices?.addEventListener('devicechange', () => {
    if (session.wanted && session.microphone.state === 'missing') session.openMicrophone();
  });
  // Then browsers allow what they did not before.
  for (const type of ['pointerdown', 'keydown']) {
    page.document.addEventListener(type, () => session.state.blocked && session.wake());
  }
  watch(session);
}

/** Look now and then whether the page waits in vain. @param {Session} session */
function watch(session) {
  session.lookAfter();
  session.clock.setTimeout(() => watch(session), LOOK_MS);
}
