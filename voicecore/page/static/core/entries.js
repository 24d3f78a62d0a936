// @ts-check
/** What is said in a conversation, as entries of a list that is never changed in place. */

/** @typedef {{text: string, start_ms: number, end_ms: number, from: number, to: number, speech: string}} Word */
/** @typedef {{from: number, to: number}} Place in code points of an entry's text */
/**
 * @typedef {object} Entry
 * @property {string} id
 * @property {'user'|'assistant'|'notice'} role
 * @property {string} text
 * @property {string} turn empty if it is no reply
 * @property {''|'voice'|'text'} via how the person said it
 * @property {'typing'|'speaking'|'done'|'interrupted'} state
 * @property {boolean} complete no more text comes
 * @property {number|null} spokenTo code points that were heard; null if nobody knows
 * @property {Place|null} word that is heard now
 * @property {number|null} heardTo `spokenTo` when its sound ended: it may go on after all
 * @property {string} cutUnder the speech that the host broke off, if it did
 * @property {boolean} lost the connection broke before all of its sound had come
 * @property {Word[]} words
 */
/** @typedef {import('./dialogue.js').State} State */

const KEPT_ENTRIES = 500;

/** Scripts that put no space between words. */
const SPACELESS = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\u3000-\u303f\uff00-\uffef]/u;

/**
 * @param {Entry['role']} role @param {string} text @param {string} [turn]
 * @returns {Omit<Entry, 'id'>}
 */
export function newEntry(role, text, turn = '') {
  return {
    role, text, turn, via: '', state: 'done', complete: role !== 'assistant',
    spokenTo: null, word: null, heardTo: null, cutUnder: '', lost: false, words: [],
  };
}

/** @param {State} state @param {Omit<Entry, 'id'>} entry @returns {State} */
export function withEntry(state, entry) {
  const count = state.count + 1;
  const entries = [...state.entries, { ...entry, id: `e${count}` }].slice(-KEPT_ENTRIES);
  return { ...state, count, entries };
}

/** @param {State} state @param {string} turn */
export function replyOf(state, turn) {
  return turn === '' ? undefined : state.entries.findLast((entry) => entry.turn === turn);
}

/**
 * Change the reply of a turn; nothing if there is none.
 * @param {State} state @param {string} turn @param {Partial<Entry>} changes @returns {State}
 */
export function updateEntry(state, turn, changes) {
  const at = state.entries.findLastIndex((entry) => entry.turn === turn);
  if (at < 0 || turn === '') return state;
  return { ...state, entries: state.entries.with(at, { ...state.entries[at], ...changes }) };
}

/** A reply that goes on. @param {Entry} entry */
export function isOpen({ role, state }) {
  return role === 'assistant' && (state === 'typing' || state === 'speaking');
}

/**
 * Where a reply is when so much of a speech was heard.
 * @param {Entry} entry @param {string} speech @param {number} ms
 * @returns {{spokenTo: number|null, word: Place|null}}
 */
export function spokenAt(entry, speech, ms) {
  const begun = entry.words.findLast((word) => word.speech === speech && word.start_ms <= ms);
  if (!begun) return { spokenTo: entry.spokenTo, word: null };
  const spokenTo = Math.max(entry.spokenTo ?? 0, begun.to);
  if (ms > begun.end_ms) return { spokenTo, word: null };
  const { from, to } = begun;
  const same = entry.word?.from === from && entry.word.to === to;
  return { spokenTo, word: same ? entry.word : { from, to } };
}

/**
 * What changes when a reply's sound has ended.
 * @param {Entry} entry @param {boolean} cut it was stopped @returns {Partial<Entry>}
 */
export function heard(entry, cut) {
  const broken = entry.lost && (!entry.complete || isUnheard(entry));
  if (cut || broken) return { state: 'interrupted', word: null };
  if (!entry.complete) return { state: 'typing', word: null };
  const spokenTo = entry.spokenTo === null ? null : [...entry.text].length;
  return { state: 'done', word: null, spokenTo, heardTo: entry.spokenTo };
}

/** Whether words are left that were not heard, as far as is known. @param {Entry} entry */
function isUnheard({ text, spokenTo }) {
  return spokenTo === null || /[\p{L}\p{N}]/u.test([...text].slice(spokenTo).join(''));
}

/** What changes when its sound begins, or goes on. @param {Entry} entry @returns {Partial<Entry>} */
export function speaks({ spokenTo, heardTo }) {
  return { state: 'speaking', spokenTo: heardTo ?? spokenTo, heardTo: null };
}

/** Two pieces of what was said, as one. @param {string} a @param {string} b */
export function join(a, b) {
  const touching = SPACELESS.test(a.slice(-1)) || SPACELESS.test(b.slice(0, 1));
  return touching || !a || !b ? a + b : `${a} ${b}`;
}

/**
 * Put what was said earlier before what was said since, once.
 * @param {State} state @param {{role: 'user'|'assistant', text: string}[]} messages
 * @returns {State}
 */
export function afterHistory(state, messages) {
  const earlier = messages.slice(0, messages.length - overlap(messages, state.entries));
  const entries = earlier.map(({ role, text }, i) => ({
    ...newEntry(role, text), complete: true, id: `h${state.count + i + 1}`,
  }));
  const all = [...entries, ...state.entries].slice(-KEPT_ENTRIES);
  return { ...state, count: state.count + entries.length, entries: all };
}

/** How many of the last of these are the first of those. @returns {number} */
function overlap(
  /** @type {{text: string}[]} */ messages,
  /** @type {{text: string}[]} */ entries,
) {
  for (let count = Math.min(messages.length, entries.length); count > 0; count--) {
    const last = messages.slice(-count);
    if (last.every(({ text }, i) => text.trim() === entries[i].text.trim())) return count;
  }
  return 0;
}
