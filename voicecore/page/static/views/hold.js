// @ts-check
/** Push to talk: with a finger, the mouse or the space bar; a screen reader's click switches it over. */

import { setAttribute } from './dom.js';
import { purpose } from './status.js';

/** A click this soon after a release is the release's own. */
const SAME_MS = 50;

export class Holder {
  /**
   * @param {object} session
   * @param {HTMLElement} button
   * @param {() => void} changed called when it is held or released
   */
  constructor(session, button, changed) {
    this.session = session;
    this.button = button;
    this.changed = changed;
    this.held = false;
    this.releasedAt = -Infinity;
    button.addEventListener('pointerdown', (event) => this.#down(event));
    for (const name of ['pointerup', 'pointercancel'])
      button.addEventListener(name, () => this.#release());
    button.addEventListener('contextmenu', (event) => event.preventDefault());
    addEventListener('blur', () => this.hold(false));
  }

  hold(held) {
    if (held === this.held) return;
    this.held = held;
    setAttribute(this.button, 'data-held', held);
    this.session.pushToTalk(held);
    this.changed();
  }

  /** @returns {boolean} whether the click was one of holding, or the end of one */
  click(event) {
    const released = performance.now() - this.releasedAt < SAME_MS;
    if (!this.#holds()) return released;
    // A pointer's click has been acted on already; `detail` is 0 for those without one.
    if (event.detail === 0 && !released) this.hold(!this.held);
    return true;
  }

  /** @returns {boolean} whether the key was the space bar, pressed to talk */
  keyDown(event) {
    const here = event.target === document.body || event.target === this.button;
    if (event.key !== ' ' || !here || !this.#holds()) return false;
    event.preventDefault();
    if (!event.repeat) this.hold(true);
    return true;
  }

  keyUp(event) {
    if (event.key !== ' ' || !this.held) return;
    event.preventDefault();
    this.#release();
  }

  #down(event) {
    if (event.button !== 0 || !this.#holds()) return;
    this.button.setPointerCapture(event.pointerId);
    this.hold(true);
  }

  #release() {
    if (this.held) this.releasedAt = performance.now();
    this.hold(false);
  }

  #holds() {
    return purpose(this.session.state) === 'hold';
  }
}
