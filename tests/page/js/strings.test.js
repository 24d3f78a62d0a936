import en from '/page/strings/en.js';
import ja from '/page/strings/ja.js';
import zh from '/page/strings/zh.js';
import { LANGUAGES, Words, chooseLanguage, fillIn } from '/page/views/words.js';
import { equal, ok } from './assert.js';

const TRANSLATIONS = { zh, ja };
/** What is the same in every language: a name, and signs. */
const SAME = new Set(['page.title', 'unit.dbfs', 'unit.none']);

function placeholders(text) {
  return [...text.matchAll(/\{\w+\}/g)].map(([name]) => name).sort();
}

export function every_language_has_the_same_keys() {
  for (const texts of Object.values(TRANSLATIONS)) {
    equal(Object.keys(texts).sort(), Object.keys(en).sort());
  }
}

export function every_text_has_the_placeholders_of_the_english_one() {
  for (const [language, texts] of Object.entries(TRANSLATIONS)) {
    for (const [key, text] of Object.entries(texts)) {
      equal(placeholders(text), placeholders(en[key]), `${language} ${key}:`);
    }
  }
}

export function nothing_is_empty_and_nothing_was_left_in_english() {
  for (const [language, texts] of Object.entries(TRANSLATIONS)) {
    for (const [key, text] of Object.entries(texts)) {
      ok(text.trim() === text && text !== '', `${language} ${key} is empty or has spaces around it`);
      ok(SAME.has(key) || text !== en[key], `${language} ${key} is English`);
    }
  }
}

export function what_has_a_plural_has_both_forms() {
  for (const key of Object.keys(en).filter((name) => name.endsWith('.one'))) {
    ok(key.replace(/one$/, 'other') in en, key);
  }
}

export async function every_key_that_the_page_names_is_there() {
  const page = await (await fetch('/page/index.html')).text();
  const keys = [...page.matchAll(/data-(?:text|label|title|placeholder)="([^"]+)"/g)].map(([, key]) => key);
  ok(keys.length > 20);
  equal(keys.filter((key) => !(key in en)), []);
}

export function the_first_language_that_there_is_is_chosen() {
  equal(chooseLanguage(['de-DE', 'ja-JP', 'en']), 'ja');
  equal(chooseLanguage(['ZH-Hant-TW']), 'zh');
  equal(chooseLanguage(['de', 'fr']), 'en');
  equal(chooseLanguage([]), 'en');
}

export function values_go_where_their_names_stand() {
  equal(fillIn('{a} and {b}, {a}', { a: 1, b: '{a}' }), '1 and {a}, 1');
  equal(fillIn('{missing}', {}), '{missing}');
}

export async function numbers_choose_the_form_their_language_wants() {
  const words = new Words();
  await words.load('en');
  equal(words.count('history.messages', 'count', 1), '1 message');
  equal(words.count('history.messages', 'count', 1200), '1,200 messages');
  await words.load('ja');
  equal(words.count('history.messages', 'count', 1), 'メッセージ 1 件');
}

export async function each_language_can_be_loaded() {
  for (const language of LANGUAGES) {
    const words = new Words();
    await words.load(language);
    ok(words.has('talk.begin'), language);
  }
}
