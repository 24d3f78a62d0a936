// @ts-check
/**
 * The page on a screen in a hallway (`?kiosk=1`): it begins by itself where the browser allows that,
 * keeps the screen awake, hides a resting pointer, offers the text field once somebody has a keyboard,
 * and begins anew for the next visitor.
 */

import { byId, setAttribute } from './dom.js';
import { hearing } from './status.js';

/** A pointer that rests this long is in the way of the words. */
const STILL_MS = 3000;
/** No microphone, no host: tried again after this long, for nobody is there to press a button. */
const AGAIN_MS = 10_000;
/** After this long without a word the visitor is gone. Shorter would cut off one who thinks or reads. */
export const GONE_MS = 180_000;
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
  const visitor = new Visitor(session);
  for (const type of ['pointerdown', 'keydown'])
    document.addEventListener(type, () => visitor.isThere());
  let timer = 0;
  return {
    update(state) {
      visitor.see(state);
      const { microphone } = state;
      const again = HOPELESS.includes(microphone.state) || state.session.state === 'failed';
      if (again && !timer) timer = setTimeout(() => ((timer = 0), session.begin()), AGAIN_MS);
      else if (!again && microphone.state !== 'asking') timer = clear(timer);
    },
  };
}

/** The next visitor is not to go on with, nor to read, what the last one said. */
export class Visitor {
  constructor(session) {
    this.session = session;
    this.seen = {};
    this.timer = null;
  }

  see({ entries, partial, phase }) {
    const { seen } = this;
    this.seen = { entries, partial, phase };
    if (Object.keys(this.seen).some((name) => this.seen[name] !== seen[name])) this.isThere();
  }

  isThere() {
    const { clock } = this.session;
    clock.clearTimeout(this.timer);
    this.timer = clock.setTimeout(() => this.#isGone(), GONE_MS);
  }

  #isGone() {
    const { session } = this;
    // Where nobody has said anything there is nothing to forget; a greeting is not repeated for ever.
    if (!session.state.entries.some(({ role }) => role === 'user')) return;
    session.share(null);
    if (session.wanted) session.newConversation();
    else session.forget(); // ended, or taken over by another window: that one is to keep it
  }
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
