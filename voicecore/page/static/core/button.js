// @ts-check
/** Push to talk: when what the microphone hears is for the host. */

/** People let go on their last word; microphone and browser hold its end back for a moment, too. */
const TAIL_MS = 200;

export class Button {
  /** @param {import('./clock.js').Clock} clock @param {() => void} ended all of it was said */
  constructor(clock, ended) {
    this.clock = clock;
    this.ended = ended;
    this.held = false;
    /** While it is set, the end of what was said is still sent. @type {unknown} */
    this.tail = null;
  }

  get sends() {
    return this.held || this.tail !== null;
  }

  press() {
    this.#clear();
    this.held = true;
  }

  release() {
    this.#clear();
    this.held = false;
    this.tail = this.clock.setTimeout(() => {
      this.tail = null;
      this.ended();
    }, TAIL_MS);
  }

  /** It counts no more: nothing is sent, and no end is told. */
  drop() {
    this.#clear();
    this.held = false;
  }

  #clear() {
    this.clock.clearTimeout(this.tail);
    this.tail = null;
  }
}
