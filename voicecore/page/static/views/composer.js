// @ts-check
/** The field to type in: always there, whether or not one talks. */

import { byId, setAttribute } from './dom.js';

/** @returns {{update: () => void}} */
export function mount(root, session) {
  const field = /** @type {HTMLTextAreaElement} */ (byId('message'));
  const form = /** @type {HTMLFormElement} */ (byId('composer'));
  const ready = () => setAttribute(byId('send'), 'disabled', field.value.trim() === '');
  field.addEventListener('input', ready);
  field.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || composing(event)) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return;
    session.type(text);
    field.value = '';
    ready();
    field.focus(); // the button is disabled now, and would lose it
  });
  ready();
  return { update() {} };
}

/** Enter that chooses a word of an input method (Chinese, Japanese) sends nothing; 229 is Safari's. */
function composing(event) {
  return event.isComposing || event.keyCode === 229;
}
