// @ts-check
/** Earlier conversations: to go on with one, to delete one, to begin a new one. */

import { ApiError } from '../core/api.js';
import { announce } from './announcer.js';
import { byId, icon, make } from './dom.js';
import { Sheet } from './sheet.js';

/** So many stand on the empty page. */
const FEW = 3;
/** The host saves what was said before it has ended a conversation. */
const LEAVE_MS = 3000;

/** @returns {{update: (state: object) => void, refresh: () => void}} */
export function mount(root, session, words, { characters }) {
  const history = new History(session, words, characters);
  byId('open-history').addEventListener('click', () => history.open());
  byId('earlier-all').addEventListener('click', () => history.open());
  byId('new-conversation').addEventListener('click', () => history.begin());
  return { update: (state) => history.update(state), refresh: () => history.refresh() };
}

class History {
  constructor(session, words, characters) {
    Object.assign(this, { session, words, characters });
    this.list = [];
    this.failed = false;
    /** Why the last deletion failed: the host's words (in English), or "" where it did not answer. */
    this.trouble = null;
    this.shown = '';
    this.sheet = new Sheet('history', 'history.title', words, () => this.#build());
  }

  /** The empty page shows the newest ones; they are fetched when it shows itself. */
  update(state) {
    const empty = state.entries.length === 0 && state.connection.state !== 'waiting';
    const shown = empty ? this.#character() : '';
    if (shown === this.shown) return;
    this.shown = shown;
    if (shown) this.#fetch().then(() => this.#few());
  }

  refresh() {
    this.#few();
    if (this.sheet.open) this.sheet.rebuild();
  }

  async open() {
    this.trouble = null;
    this.sheet.show();
    await this.#fetch();
    if (this.sheet.open) this.sheet.rebuild();
  }

  begin() {
    this.sheet.close();
    this.session.newConversation();
  }

  #character() {
    return this.characters.name(this.session.state);
  }

  async #fetch() {
    try {
      this.list = await this.session.api.conversations(this.#character());
      this.failed = false;
    } catch {
      this.failed = true;
    }
  }

  #few() {
    const few = this.list.slice(0, FEW);
    byId('earlier').hidden = few.length === 0;
    byId('earlier-list').replaceChildren(...few.map((kept) => make('li', {}, [this.#card(kept)])));
  }

  #build() {
    const { words } = this;
    const begin = make(
      'button',
      { type: 'button', class: 'button button-main', click: () => this.begin() },
      [icon('new'), make('span', { text: words.say('history.new') })],
    );
    const trouble = this.trouble === null ? [] : [this.#trouble()];
    if (this.failed)
      return [begin, ...trouble, make('p', { class: 'empty', text: words.say('history.failed') })];
    if (this.list.length === 0)
      return [begin, ...trouble, make('p', { class: 'empty', text: words.say('history.empty') })];
    return [
      begin,
      ...trouble,
      make(
        'ul',
        { class: 'list' },
        this.list.map((kept) => this.#row(kept)),
      ),
    ];
  }

  #trouble() {
    const text = this.trouble || this.words.say('history.notDeleted');
    return make('p', { class: 'trouble', text, dir: 'auto', lang: this.trouble ? 'en' : null });
  }

  #card(kept) {
    const { words, session } = this;
    const current = kept.id === session.state.session.id;
    const about = [
      words.count('history.messages', 'count', kept.messages),
      current ? words.say('history.current') : '',
    ];
    return make(
      'button',
      {
        type: 'button',
        class: 'card',
        'aria-current': current ? 'true' : null,
        click: () => this.#resume(kept),
      },
      [
        make('span', { class: 'card-title', text: this.#title(kept), dir: 'auto' }),
        make('span', { class: 'card-when', text: when(kept.updated_s, words.language) }),
        make('span', { class: 'card-count', text: about.filter(Boolean).join(' · ') }),
      ],
    );
  }

  #row(kept) {
    const label = this.words.say('history.delete', { title: this.#title(kept) });
    const row = make('li');
    const ask = make(
      'button',
      {
        type: 'button',
        class: 'tool',
        'aria-label': label,
        title: label,
        click: () => this.#ask(row, kept),
      },
      [icon('delete')],
    );
    row.append(this.#card(kept), ask);
    return row;
  }

  /** A conversation cannot be brought back: it is asked once more, in its place. */
  #ask(row, kept) {
    const { words } = this;
    const sure = make('button', {
      type: 'button',
      class: 'button button-bad',
      text: words.say('history.sure'),
      click: () => this.#delete(kept),
    });
    const keep = make('button', {
      type: 'button',
      class: 'button',
      text: words.say('history.keep'),
      click: () => this.sheet.rebuild(),
    });
    row.querySelector('.confirm')?.remove();
    row.append(make('div', { class: 'confirm' }, [keep, sure]));
    keep.focus();
  }

  async #delete(kept) {
    const { state, conversation, api } = this.session;
    try {
      if ([state.session.id, conversation.id].includes(kept.id)) await leave(this.session);
      await api.forget(this.#character(), kept.id);
      this.trouble = null;
      announce(this.words.say('history.deleted'));
    } catch (error) {
      this.trouble = error instanceof ApiError ? error.message : '';
      announce(this.trouble || this.words.say('history.notDeleted'));
    }
    await this.#fetch();
    this.refresh();
  }

  #resume(kept) {
    this.sheet.close();
    this.session.resumeConversation(kept.id);
  }

  #title(kept) {
    return kept.title.trim() || this.words.say('history.untitled');
  }
}

/** The host deletes no conversation that goes on: end it, and wait until it says so. */
export async function leave(session) {
  session.end();
  await ended(session);
  session.forget();
}

/** The host says that nothing is open any more, or does not answer. */
function ended(session) {
  return new Promise((done) => {
    const stop = () => {
      session.clock.clearTimeout(timer);
      session.removeEventListener('change', look);
      done(undefined);
    };
    const look = () => session.state.session.id === null && stop();
    const timer = session.clock.setTimeout(stop, LEAVE_MS);
    session.addEventListener('change', look);
    look();
  });
}

/** Today by the time, otherwise by the day. */
function when(seconds, language) {
  const date = new Date(seconds * 1000);
  const today = date.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(
    language,
    today ? { timeStyle: 'short' } : { dateStyle: 'medium' },
  ).format(date);
}
