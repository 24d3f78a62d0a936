// @ts-check
/** A sheet over the page: a dialog with a title, a button to close it and a body. */

import { byId, icon, make } from './dom.js';

export class Sheet {
  /**
   * @param {string} id of the dialog in index.html
   * @param {string} title key of its title
   * @param {import("./words.js").Words} words
   * @param {() => Node[]} build makes what it shows, each time it opens
   */
  constructor(id, title, words, build) {
    this.dialog = /** @type {HTMLDialogElement} */ (byId(id));
    this.title = title;
    this.words = words;
    this.build = build;
    this.dialog.addEventListener('click', (event) => event.target === this.dialog && this.close());
  }

  get open() {
    return this.dialog.open;
  }

  show() {
    if (this.open) return;
    this.rebuild();
    this.dialog.showModal();
  }

  close() {
    this.dialog.close();
  }

  /** Show its content anew, e.g. in another language; the focus stays where it was. */
  rebuild() {
    const at = this.#controls().indexOf(document.activeElement);
    this.#build();
    const controls = this.#controls();
    if (at >= 0) controls[Math.min(at, controls.length - 1)].focus();
  }

  #controls() {
    return [...this.dialog.querySelectorAll('button, select, input')];
  }

  #build() {
    const { words } = this;
    const close = words.say('sheet.close');
    const button = make(
      'button',
      {
        type: 'button',
        class: 'tool',
        'aria-label': close,
        title: close,
        click: () => this.close(),
      },
      [icon('close')],
    );
    this.body = make('div', { class: 'sheet-body' });
    this.dialog.replaceChildren(
      make('div', { class: 'sheet-top' }, [
        make('h2', { id: `${this.dialog.id}-title`, text: words.say(this.title) }),
        button,
      ]),
      this.body,
    );
    this.body.append(...this.build());
  }
}
