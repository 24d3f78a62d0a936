// @ts-check
/**
 * Tells what belongs to a conversation that was left: it was on its way while we asked for another.
 * The host answers each start by `session_preparing`, in order; what comes before it is older.
 */

/** @typedef {import('./wire.js').Message} Message */

/** What a start is answered with, once it is over. */
const OUTCOMES = new Set(['session_started', 'session_failed']);
/** What is said and heard in a conversation. */
const WORDS = new Set([
  'gemini_response', 'speech_words', 'user_partial', 'user_transcript', 'emotion', 'system',
]);

export class Crossing {
  constructor() {
    this.reset();
  }

  /** Another connection: nothing of the last one comes any more. */
  reset() {
    /** Starts that the host has not begun to answer. */
    this.unanswered = 0;
    /** A conversation was left, and the next one has not begun. */
    this.left = false;
  }

  asked() {
    this.unanswered++;
  }

  leave() {
    this.left = true;
  }

  /** @param {Message} message @returns {boolean} whether it is of the present */
  admits({ type, code }) {
    // One that it refuses because another is under way is answered by that.
    if (type === 'session_preparing' || code === 'SESSION_STARTING') this.#answered();
    if (this.unanswered > 0 && (OUTCOMES.has(type) || code === 'UNKNOWN_CONVERSATION')) return false;
    return !(this.left && WORDS.has(type));
  }

  #answered() {
    this.unanswered = Math.max(0, this.unanswered - 1);
    if (this.unanswered === 0) this.left = false;
  }
}
