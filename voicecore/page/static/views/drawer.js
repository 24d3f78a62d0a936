// @ts-check
/** The developer's drawer: the last turn's stages, voice to voice, levels and counters, all as JSON. */

import { announce } from './announcer.js';
import { byId, icon, make, setAttribute, setText } from './dom.js';
import { chart } from './chart.js';
import { Numbers } from './numbers.js';
import { waterfall } from './waterfall.js';

/** How often the numbers are read while it is open. */
const READ_MS = 250;

/** @returns {Drawer} */
export function mount(root, session, words) {
  const drawer = new Drawer(session, words);
  byId('open-developer').addEventListener('click', () => drawer.toggle());
  return drawer;
}

class Drawer {
  constructor(session, words) {
    this.session = session;
    this.words = words;
    this.box = byId('drawer');
    this.timelines = null;
    this.turns = null;
    this.timer = 0;
  }

  get open() {
    return !this.box.hidden;
  }

  toggle() {
    this.box.hidden = this.open;
    setAttribute(byId('open-developer'), 'aria-expanded', String(this.open));
    if (this.open) this.refresh();
    else clearInterval(this.timer);
  }

  update(state) {
    if (!this.open || state.timelines === this.timelines) return;
    this.#showTurn(state.timelines);
  }

  /** Build it, once it is opened or its language has changed. */
  refresh() {
    if (!this.open) return;
    clearInterval(this.timer);
    this.numbers = new Numbers(this.words);
    this.turn = make('div');
    this.detail = make('p', { class: 'drawer-detail' });
    this.voice = make('div');
    this.turns = null;
    this.box.replaceChildren(this.#top(), make('div', { class: 'drawer-parts' }, this.#parts()));
    this.#showTurn(this.session.state.timelines);
    this.#read();
    this.timer = setInterval(() => this.#read(), READ_MS);
  }

  #top() {
    const { words } = this;
    const close = words.say('sheet.close');
    return make('div', { class: 'drawer-top' }, [
      make('h2', { text: words.say('drawer.title') }),
      make('button', { type: 'button', class: 'button', click: () => this.#copy() }, [
        icon('copy'),
        make('span', { text: words.say('drawer.copy') }),
      ]),
      make(
        'button',
        {
          type: 'button',
          class: 'tool',
          'aria-label': close,
          title: close,
          click: () => this.close(),
        },
        [icon('close')],
      ),
    ]);
  }

  close() {
    this.toggle();
    // On a phone the settings open it: there is no room for a button of its own.
    const opener = byId('open-developer');
    (opener.checkVisibility() ? opener : byId('open-settings')).focus();
  }

  #parts() {
    const part = (key, children) =>
      make('section', {}, [make('h3', { text: this.words.say(key) }), ...children]);
    return [
      part('drawer.waterfall', [this.turn, this.detail]),
      part('drawer.voice', [this.voice]),
      part('drawer.numbers', this.numbers.elements),
    ];
  }

  #showTurn(timelines) {
    this.timelines = timelines;
    const last = timelines.at(-1);
    const tell = (text) => setText(this.detail, text);
    if (last?.spans.length) {
      this.turn.replaceChildren(waterfall(last.spans, this.words, tell));
      tell(this.words.say('drawer.hint'));
    } else {
      this.turn.replaceChildren(
        make('p', { class: 'empty', text: this.words.say('drawer.waterfall.empty') }),
      );
    }
  }

  #read() {
    if (document.hidden) return;
    const debug = this.session.debug();
    this.numbers.update(debug, this.session.levels);
    const turns = debug.voiceToVoice;
    if (turns === this.turns) return;
    this.turns = turns;
    this.#showVoice(turns);
  }

  #showVoice(turns) {
    if (turns.length === 0) {
      return this.voice.replaceChildren(
        make('p', { class: 'empty', text: this.words.say('drawer.voice.empty') }),
      );
    }
    const { svg, label } = chart(turns, this.words);
    this.voice.replaceChildren(svg, make('p', { class: 'drawer-detail', text: label }));
  }

  async #copy() {
    const copied = await copy(JSON.stringify(this.session.debug(), null, 2));
    const text = this.words.say(copied ? 'drawer.copied' : 'drawer.copyFailed');
    setText(this.detail, text);
    announce(text);
  }
}

/** Browsers give the clipboard only to secure pages; elsewhere a selection can still be copied. */
async function copy(text) {
  if (navigator.clipboard)
    return navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
  const field = /** @type {HTMLTextAreaElement} */ (
    make('textarea', { class: 'unseen', 'aria-hidden': 'true' })
  );
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand('copy');
  field.remove();
  return copied;
}
