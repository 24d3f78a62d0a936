// @ts-check
/**
 * The page on a screen in a hallway (`?kiosk=1`): it begins by itself where the browser allows that,
 * keeps the screen awake, hides a resting pointer, and offers the text field once somebody has a keyboard.
 */

import { byId, setAttribute } from './dom.js';
import { hearing } from './status.js';

/** A pointer that rests this long is in the way of the words. */
const STILL_MS = 3000;
/** No microphone, no host: tried again after this long, for nobody is there to press a button. */
const AGAIN_MS = 10_000;
const HOPELESS = ['missing', 'busy', 'denied'];

/** @returns {{update: (state: object) => void}} */
export function mount(root, session) {
  document.documentElement.dataset.kiosk = '';
  hidePointer();
  keepAwake();
  offerTyping();
  session.begin();
  document.addEventListener('pointerdown', (event) => {
    const own =
      event.target instanceof Element && event.target.closest('button, a, select, textarea');
    // A touch also lets a browser play sound that it did not allow before.
    if (hearing(session.state)) session.wake();
    else if (!own) session.begin();
  });
  let timer = 0;
  return {
    update({ microphone, session: { state } }) {
      const again = HOPELESS.includes(microphone.state) || state === 'failed';
      if (again && !timer) timer = setTimeout(() => ((timer = 0), session.begin()), AGAIN_MS);
      else if (!again && microphone.state !== 'asking') timer = clear(timer);
    },
  };
}

function clear(timer) {
  clearTimeout(timer);
  return 0;
}

function hidePointer() {
  let timer = 0;
  const move = () => {
    clearTimeout(timer);
    setAttribute(document.documentElement, 'data-still', false);
    timer = setTimeout(() => setAttribute(document.documentElement, 'data-still', true), STILL_MS);
  };
  document.addEventListener('pointermove', move, { passive: true });
  move();
}

/** The lock is lost whenever the page is hidden, and must be asked for again. */
function keepAwake() {
  const lock = () => {
    if (!document.hidden) navigator.wakeLock?.request('screen').catch(() => undefined); // a policy or an empty battery forbids it
  };
  document.addEventListener('visibilitychange', lock);
  lock();
}

function offerTyping() {
  document.addEventListener('keydown', (event) => {
    const types =
      event.key.length === 1 &&
      event.key !== ' ' &&
      !event.ctrlKey &&
      !event.metaKey &&
      !event.altKey;
    if (!types) return;
    setAttribute(byId('composer'), 'data-wanted', true);
    byId('message').focus();
  });
}
