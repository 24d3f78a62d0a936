// @ts-check
/** The card that says what is wrong and what can be done, with the seconds to the next try. */

import { byId, icon, make, setAttribute, setText } from './dom.js';
import { describe } from './problems.js';

/** @returns {{update: (state: object) => void, refresh: () => void}} */
export function mount(root, session, words) {
  const card = new Card(byId('problem'), session, words);
  return {
    update: (state) => card.show(describe(state, card.problem)),
    refresh: () => card.rebuild(),
  };
}

class Card {
  constructor(box, session, words) {
    this.box = box;
    this.session = session;
    this.words = words;
    this.problem = null;
    this.until = 0;
    this.timer = 0;
  }

  show(problem) {
    const other = problem?.id !== this.problem?.id;
    if (other || problem?.retryInMs !== this.problem?.retryInMs)
      this.#countFrom(problem?.retryInMs ?? null);
    this.problem = problem;
    if (other) this.rebuild();
    this.#tick();
  }

  rebuild() {
    const { problem, words } = this;
    setAttribute(this.box, 'data-mild', problem?.mild ?? null);
    setAttribute(document.documentElement, 'data-problem', problem?.title.split('.')[1] ?? null);
    if (!problem) return this.box.replaceChildren();
    this.count = make('p', { class: 'problem-count', 'aria-live': 'off' });
    const said = problem.quote || (words.has(problem.text) ? words.say(problem.text) : '');
    this.box.replaceChildren(
      make('p', { class: 'problem-title' }, [
        icon('alert'),
        make('span', { text: words.say(problem.title) }),
      ]),
      make('p', {
        class: 'problem-text',
        text: said,
        dir: 'auto',
        lang: problem.quote ? 'en' : null,
      }),
      ...(problem.retryInMs === null ? [] : [this.count]),
      make(
        'div',
        { class: 'problem-actions' },
        problem.actions.map((name, index) => this.#button(name, index === 0)),
      ),
    );
    this.#tick();
  }

  #button(name, main) {
    const properties = {
      type: 'button',
      class: main ? 'button button-main' : 'button',
      text: this.words.say(`problem.${name}`),
    };
    return make('button', { ...properties, click: () => this.#act(name) });
  }

  #act(name) {
    const { session } = this;
    if (name === 'retryNow') return session.connection.wake();
    if (name === 'retry' || name === 'useHere') return session.begin();
    if (name === 'type') session.setMode('typing');
    else session.dismiss('problem');
    byId(name === 'type' ? 'message' : 'talk').focus();
  }

  #countFrom(ms) {
    this.until = ms === null ? 0 : performance.now() + ms;
  }

  #tick() {
    clearTimeout(this.timer);
    if (this.problem?.retryInMs == null) return;
    const left = Math.ceil((this.until - performance.now()) / 1000);
    setText(
      this.count,
      left > 0
        ? this.words.count('problem.countdown', 'seconds', left)
        : this.words.say('problem.trying'),
    );
    if (left > 0) this.timer = setTimeout(() => this.#tick(), 1000);
  }
}
