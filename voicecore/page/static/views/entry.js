// @ts-check
/** One thing that was said: who, the text, and of a reply what was heard of it. */

import { make, setAttribute, setText } from './dom.js';

/**
 * Cut a reply's text into what was heard, the word being said and the rest.
 *
 * @param {object} entry of the dialogue's state; places are in code points
 * @returns {{said: string, word: string, rest: string, note: string}} `note`: "", "interrupted" or "unheard"
 */
export function parts(entry) {
  const { text, spokenTo, state } = entry;
  if (spokenTo === null) return unmarked(text, state);
  const points = Array.from(text);
  const cut = (from, to) => points.slice(from, to).join('');
  if (state === 'interrupted') return brokenOff(text, cut(0, spokenTo));
  const { from, to } = marked(entry) ?? { from: spokenTo, to: spokenTo };
  return { said: cut(0, from), word: cut(from, to), rest: cut(to), note: '' };
}

/** Between two words the last one stays marked: to take it away for an instant would flicker. */
function marked({ word, words, state, spokenTo }) {
  return word ?? (state === 'speaking' ? words.findLast(({ to }) => to === spokenTo) : undefined);
}

/** Before its sound a reply is light as a whole, afterwards it is not. */
function unmarked(text, state) {
  if (state === 'typing') return { said: '', word: '', rest: text, note: '' };
  return { said: text, word: '', rest: '', note: state === 'interrupted' ? 'interrupted' : '' };
}

/** What was not heard is not part of the conversation: the host forgets it, and so does the page. */
function brokenOff(text, said) {
  if (said.trim() === '') return { said: '', word: '', rest: text, note: 'unheard' };
  return { said: `${said.trimEnd()} —`, word: '', rest: '', note: 'interrupted' };
}

/** An entry's elements; `update` changes only what changed. */
export class EntryView {
  constructor(entry, words) {
    this.words = words;
    this.entry = null;
    this.name = '';
    this.who = make('span', { class: 'entry-who' });
    this.said = make('span', { class: 'said' });
    this.word = make('span', { class: 'word' });
    this.rest = make('span', { class: 'unsaid' });
    this.text = make('p', { class: 'entry-text', dir: 'auto' }, [this.said, this.word, this.rest]);
    this.note = make('span', { class: 'entry-note', hidden: true });
    this.wait = make('span', { class: 'entry-wait', 'aria-hidden': 'true', hidden: true }, [
      make('i'),
      make('i'),
      make('i'),
    ]);
    this.element = make('article', { class: 'entry', 'data-role': entry.role }, [
      this.who,
      this.wait,
      this.text,
      this.note,
    ]);
  }

  /**
   * @param {object} entry
   * @param {{name: string, language: string, partial?: boolean}} about who the character is
   */
  update(entry, { name, language, partial = false }) {
    if (entry === this.entry && name === this.name) return;
    Object.assign(this, { entry, name });
    const { said, word, rest, note } = parts(entry);
    setText(this.who, this.#speaker(entry.role, name, partial));
    setText(this.said, said);
    setText(this.word, word);
    setText(this.rest, rest);
    this.word.hidden = word === '';
    this.note.hidden = note === '';
    setText(this.note, note && this.words.say(`log.${note}`));
    this.text.hidden = entry.text === '';
    this.wait.hidden = entry.text !== '';
    setAttribute(this.text, 'lang', entry.role === 'notice' ? null : language);
    setAttribute(this.element, 'data-partial', partial);
    setAttribute(this.element, 'data-state', entry.state);
  }

  #speaker(role, name, partial) {
    if (role === 'assistant') return name;
    if (role === 'notice') return this.words.say('log.notice');
    return this.words.say(partial ? 'log.partial' : 'log.you');
  }
}
