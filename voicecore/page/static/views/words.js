// @ts-check
/** The page's words in the person's language. */

import { setAttribute, setText } from './dom.js';

export const LANGUAGES = ['en', 'zh', 'ja'];

/** Own names of the languages: each is shown in itself. */
export const LANGUAGE_NAMES = { en: 'English', zh: '中文（简体）', ja: '日本語' };

/**
 * The first of the wished languages that there is, or English.
 *
 * @param {readonly string[]} wished language tags (BCP 47), best first
 */
export function chooseLanguage(wished) {
  for (const tag of wished) {
    const primary = tag.toLowerCase().split('-')[0];
    if (LANGUAGES.includes(primary)) return primary;
  }
  return 'en';
}

/** Put values in the place of {names}; a name without a value stays as it is. */
export function fillIn(text, values = {}) {
  return text.replace(/\{(\w+)\}/g, (whole, name) =>
    name in values ? String(values[name]) : whole,
  );
}

/** Words by key. `load` changes the language; views then show themselves anew. */
export class Words {
  constructor() {
    this.language = 'en';
    /** @type {Record<string, string>} */
    this.texts = {};
  }

  /** Fetch a language's words. Leaves the old ones where they cannot be fetched. */
  async load(language) {
    const module = await import(`../strings/${language}.js`);
    this.texts = module.default;
    this.language = language;
    this.plurals = new Intl.PluralRules(language);
    this.numbers = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
  }

  has(key) {
    return key in this.texts;
  }

  say(key, values = {}) {
    return fillIn(this.texts[key] ?? key, values);
  }

  /** A text with a number in it, in the form the language wants: KEY.one or KEY.other. */
  count(key, name, number, others = {}) {
    const form = this.plurals?.select(number) === 'one' ? 'one' : 'other';
    return this.say(`${key}.${form}`, { ...others, [name]: this.number(number) });
  }

  number(value) {
    return this.numbers?.format(value) ?? String(value);
  }

  /** Write the words into the page's own elements: text, label, tooltip and placeholder. */
  apply(root) {
    document.documentElement.lang = this.language === 'zh' ? 'zh-Hans' : this.language;
    document.title = this.say('page.title');
    for (const element of root.querySelectorAll('[data-text]'))
      this.#write(element, element.dataset.text);
    for (const [name, attributes] of ATTRIBUTES) {
      for (const element of root.querySelectorAll(`[data-${name}]`)) {
        for (const attribute of attributes)
          setAttribute(element, attribute, this.say(element.dataset[name]));
      }
    }
  }

  #write(element, key) {
    setText(element, this.say(key));
    if (element.closest('.modes')) element.dataset.copy = this.say(key);
  }
}

/** @type {[string, string[]][]} */
const ATTRIBUTES = [
  ['label', ['aria-label']],
  ['title', ['aria-label', 'title']],
  ['placeholder', ['placeholder']],
];
