// @ts-check
/** Notices that nothing comes of what seemed to begin. */

/** @typedef {import('./dialogue.js').State} State */

/** A cough: the host took it for speech, and nothing was said. */
const HEARING_MS = 4_000;
const QUIET_MS = 3_000;
/** The reply's text is complete, and it has no sound: it had nothing to be spoken. */
const SILENT_REPLY_MS = 5_000;
/** No word of an answer. A large model on a small machine may read for long. */
const NO_REPLY_MS = 60_000;

export class Watch {
  constructor() {
    this.changedMs = 0;
    /** @type {Pick<State, 'phase'|'partial'|'entries'>|null} */
    this.seen = null;
  }

  /** @param {State} state @param {number} nowMs */
  see(state, nowMs) {
    const seen = this.seen;
    const same =
      seen?.phase === state.phase && seen.partial === state.partial && seen.entries === state.entries;
    if (!same) this.changedMs = nowMs;
    this.seen = state;
  }

  /**
   * Whether the page should stop waiting.
   * @param {number} nowMs @param {number} quietMs since the microphone last gave a voice
   */
  overdue(nowMs, quietMs) {
    const waitedMs = nowMs - this.changedMs;
    if (this.seen?.phase === 'hearing') return waitedMs > HEARING_MS && quietMs > QUIET_MS;
    if (this.seen?.phase !== 'thinking') return false;
    const last = this.seen.entries.at(-1);
    const isAnswered = last?.role === 'assistant' && last.complete;
    return waitedMs > (isAnswered ? SILENT_REPLY_MS : NO_REPLY_MS);
  }
}
