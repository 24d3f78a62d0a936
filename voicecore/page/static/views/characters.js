// @ts-check
/** Who one talks with: the character's name, and a choice where there are several. */

import { byId, make, setText } from './dom.js';

/** The characters the host knows, fetched at the start and at each connection. */
export class Characters {
  constructor(session) {
    this.session = session;
    /** @type {{name: string, language: string}[]} */
    this.list = [];
    this.current = '';
  }

  /** Who one talks with, or would: "" until that is known. */
  name(state) {
    return state.character || this.session.settings.get('character') || this.current;
  }

  /** @returns {{title: string, language: string}} its name, and its words' language ("" if unknown) */
  about(state, words) {
    const name = this.name(state);
    const known = this.list.find((character) => character.name === name);
    const language = known && /^[a-z]{2,3}(-|$)/i.test(known.language) ? known.language : '';
    return { title: this.title(name, words), language };
  }

  /** What a character is called on the page: the one that always exists has no name of its own. */
  title(name, words) {
    return name === 'default' ? words.say('character.default') : name;
  }

  /** @returns {Promise<boolean>} whether there is something new */
  async fetch() {
    try {
      const { current, characters } = await this.session.api.characters();
      Object.assign(this, { current, list: characters });
      return true;
    } catch {
      return false; // the host is away: asked again when it is back
    }
  }
}

/** @returns {{update: (state: object) => void, refresh: () => void}} */
export function mount(root, session, words, { characters, changed }) {
  const select = /** @type {HTMLSelectElement} */ (byId('character'));
  select.addEventListener('change', () => session.switchCharacter(select.value));
  let shown = null;
  let connected = null;
  return {
    refresh() {
      shown = null;
    },
    update(state) {
      if (connected === null || (state.connection.state === 'open' && !connected))
        refetch(characters, changed);
      connected = state.connection.state === 'open';
      const title = (name) => characters.title(name, words);
      if (shown !== characters.list) fillSelect(select, (shown = characters.list), title);
      const several = shown.length > 1;
      const name = characters.name(state);
      select.hidden = !several;
      byId('who-name').hidden = several;
      if (select.value !== name) select.value = name;
      setText(byId('who-name'), title(name) || words.say('page.title'));
    },
  };
}

async function refetch(characters, changed) {
  if (await characters.fetch()) changed();
}

function fillSelect(select, list, title) {
  select.replaceChildren(
    ...list.map(({ name }) => make('option', { value: name, text: title(name) })),
  );
}
