// @ts-check
/**
 * The conversation as a log. What is still being heard, written or said stands below the log proper
 * and moves into it once complete, so that a screen reader reads it once and whole. While the
 * microphone is open hands-free nothing is read out: the voice has just said it, and the microphone
 * would hear the screen reader.
 */

import { EntryView } from './entry.js';
import { byId, setAttribute } from './dom.js';
import { hearing } from './status.js';

/** Screen readers are told of a change some time after it was made. */
const TOLD_MS = 1000;
/** So near to the end, new words are followed. In CSS pixels. */
const NEAR_PX = 48;

/** @returns {{update: (state: object) => void, refresh: () => void}} */
export function mount(root, session, words, { about }) {
  const log = new Log(words, about);
  return { update: (state) => log.update(state), refresh: () => log.refresh() };
}

export class Log {
  constructor(words, about) {
    this.words = words;
    this.about = about;
    /** @type {Map<unknown, EntryView>} */
    this.views = new Map();
    this.shown = {};
    this.follows = true;
    /** While set, what was said long ago is being added: nobody wants it read out. */
    this.hush = 0;
    [this.scroll, this.log, this.now, this.newest] = ['scroll', 'log', 'now', 'newest'].map(byId);
    this.partial = new EntryView({ role: 'user' }, words);
    this.waiting = new EntryView({ role: 'assistant' }, words);
    this.scroll.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.newest.addEventListener('click', () => this.#follow());
    new ResizeObserver(() => this.follows && this.#toEnd()).observe(this.scroll);
  }

  refresh() {
    for (const view of [...this.views.values(), this.partial, this.waiting]) view.entry = null;
    this.shown = {};
  }

  update(state) {
    const { entries, partial, phase } = state;
    const { language, title: name } = this.about(state);
    const shown = { entries, partial, phase, name, language };
    const same = Object.keys(shown).every((name) => shown[name] === this.shown[name]);
    this.aloud = !(state.mode.mode === 'hands-free' && hearing(state));
    this.#hushOld(entries);
    setAttribute(this.log, 'aria-live', this.aloud && !this.hush ? 'polite' : 'off');
    if (same) return;
    this.shown = shown;
    this.#arrange(entries, { language, name });
    this.#unfinished(state, { language, name });
    byId('welcome').hidden = entries.length > 0 || partial !== '';
    if (this.follows) this.#toEnd();
  }

  /** Loaded history has ids that begin with "h". */
  #hushOld(entries) {
    if (!entries.some(({ id }) => id.startsWith('h') && !this.views.has(id))) return;
    clearTimeout(this.hush);
    this.hush = setTimeout(() => {
      this.hush = 0;
      setAttribute(this.log, 'aria-live', this.aloud ? 'polite' : 'off');
    }, TOLD_MS);
  }

  #arrange(entries, about) {
    const kept = new Set(entries.map((entry) => entry.id));
    for (const [id, view] of this.views) if (!kept.has(id)) this.#forget(id, view);
    let done = true;
    /** Of each place, the last element so far. @type {Map<HTMLElement, Node>} */
    const last = new Map();
    for (const entry of entries) {
      done &&= entry.state === 'done' || entry.state === 'interrupted';
      const { element } = this.#show(entry, about);
      // What was read out already stays where it is: its sound may begin after its text is complete.
      const place = done || element.parentNode === this.log ? this.log : this.now;
      const next = last.has(place) ? last.get(place).nextSibling : place.firstChild;
      if (next !== element) place.insertBefore(element, next);
      last.set(place, element);
    }
  }

  #show(entry, about) {
    const known = this.views.get(entry.id);
    const view = known ?? new EntryView(entry, this.words);
    this.views.set(entry.id, view);
    view.update(entry, about);
    return view;
  }

  #forget(id, view) {
    view.element.remove();
    this.views.delete(id);
  }

  /** The words heard so far, and three points until the reply begins. */
  #unfinished({ partial, phase, entries }, about) {
    const last = entries.at(-1);
    const waits = phase === 'thinking' && last?.role === 'user' && partial === '';
    this.#place(
      this.partial,
      partial !== '',
      { text: partial, role: 'user' },
      { ...about, partial: true },
    );
    this.#place(this.waiting, waits, { text: '', role: 'assistant' }, about);
  }

  #place(view, wanted, entry, about) {
    if (!wanted) return view.element.remove();
    view.update({ ...entry, state: 'typing', spokenTo: null }, about);
    if (view.element !== this.now.lastChild) this.now.append(view.element);
  }

  #scrolled() {
    const left = this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight;
    this.follows = left < NEAR_PX;
    this.newest.hidden = this.follows;
  }

  #follow() {
    this.follows = true;
    this.newest.hidden = true;
    this.#toEnd();
    this.scroll.focus();
  }

  #toEnd() {
    if (!this.shown.entries?.length && !this.shown.partial) return; // a greeting is read from its top
    this.scroll.scrollTop = this.scroll.scrollHeight;
  }
}
