// @ts-check
/** The settings: language, appearance, microphone, and the keys there are. */

import { byId, make } from './dom.js';
import { hearing } from './status.js';
import { Sheet } from './sheet.js';
import { LANGUAGES, LANGUAGE_NAMES } from './words.js';

const MODES = ['hands-free', 'push-to-talk', 'typing'];
const CHOICES = {
  theme: { label: 'settings.theme', prefix: 'settings.theme' },
  mode: { label: 'mode.label', prefix: 'mode' },
};
const KEYS = ['space', 'escape'];
/** Those of single letters, which can be switched off. */
const LETTERS = ['mute', 'developer'];

/** @returns {{update: () => void, refresh: () => void}} */
export function mount(root, session, words, { openDeveloper }) {
  const sheet = new Sheet('settings', 'settings.title', words, () =>
    build(session, words, () => {
      sheet.close();
      openDeveloper();
    }),
  );
  byId('open-settings').addEventListener('click', () => sheet.show());
  return { update() {}, refresh: () => sheet.open && sheet.rebuild() };
}

function build(session, words, openDeveloper) {
  const { settings } = session;
  const languages = [
    ['', words.say('settings.language.auto'), null],
    ...LANGUAGES.map((tag) => [tag, LANGUAGE_NAMES[tag], tag]),
  ];
  return [
    field(words.say('settings.language'), choice(settings, 'language', languages)),
    choices(words, 'theme', ['auto', 'light', 'dark'], settings.get('theme'), (value) =>
      settings.set('theme', value),
    ),
    choices(words, 'mode', MODES, session.state.mode.mode, (value) => session.setMode(value)),
    microphones(session, words),
    keyboard(settings, words),
    make('button', {
      type: 'button',
      class: 'button',
      text: words.say('settings.developer'),
      click: openDeveloper,
    }),
  ];
}

function field(label, control, note = null) {
  return make('label', { class: 'field' }, [
    make('span', { text: label }),
    control,
    ...(note ? [make('small', { text: note })] : []),
  ]);
}

/** @param {[string, string, string | null][]} options value, text and, if it differs from the page's, language */
function choice(settings, name, options) {
  const select = make('select', {
    class: 'select',
    change: () => settings.set(name, select.value),
  });
  select.append(...options.map(([value, text, lang]) => make('option', { value, text, lang })));
  select.value = settings.get(name);
  return select;
}

/** A choice among few, all of them seen at once. */
function choices(words, name, values, chosen, choose) {
  const { label, prefix } = CHOICES[name];
  const radios = values.map((value) => {
    const text = words.say(`${prefix}.${value}`);
    const radio = make('input', {
      type: 'radio',
      name: `set-${name}`,
      value,
      checked: chosen === value,
      change: () => choose(value),
    });
    return make('label', {}, [radio, make('span', { text, 'data-copy': text })]);
  });
  const title = make('span', { id: `${name}-label`, text: words.say(label) });
  return make('div', { class: 'field' }, [
    title,
    make('div', { class: 'modes', role: 'radiogroup', 'aria-labelledby': title.id }, radios),
  ]);
}

/** Browsers tell the names of devices only to pages that were allowed to use one. */
function microphones(session, words) {
  const system = ['', words.say('settings.microphone.default'), null];
  const select = choice(session.settings, 'deviceId', [system]);
  select.addEventListener('change', () => reopen(session));
  const note = make('small', { text: words.say('settings.microphone.note'), hidden: true });
  navigator.mediaDevices?.enumerateDevices().then((devices) => {
    const inputs = devices.filter(isMicrophone);
    note.hidden = inputs.some((device) => device.label);
    select.append(...inputs.map((device, index) => deviceOption(device, index, words)));
    select.value = session.settings.get('deviceId');
    // One that is not there now stays chosen; until it is back the system's is used.
    if (select.selectedIndex < 0) select.value = '';
  });
  return make('div', { class: 'field' }, [field(words.say('settings.microphone'), select), note]);
}

/** Chromium also lists whichever the system uses, under names of its own. */
function isMicrophone({ kind, deviceId }) {
  return kind === 'audioinput' && !['', 'default', 'communications'].includes(deviceId);
}

function deviceOption({ deviceId, label }, index, words) {
  const unnamed = words.say('settings.microphone.unnamed', { number: index + 1 });
  return make('option', { value: deviceId, text: label || unnamed });
}

/** Another microphone is used at once. */
function reopen(session) {
  if (!hearing(session.state)) return;
  session.microphone.stop();
  session.openMicrophone();
}

function keyboard(settings, words) {
  const list = make('ul', { class: 'keys' });
  const show = () => {
    const names = settings.get('shortcuts') ? [...KEYS, ...LETTERS] : KEYS;
    list.replaceChildren(
      ...names.map((name) => make('li', { text: words.say(`settings.keys.${name}`) })),
    );
  };
  const box = make('input', {
    type: 'checkbox',
    checked: settings.get('shortcuts'),
    change: () => {
      settings.set('shortcuts', box.checked);
      show();
    },
  });
  show();
  return make('div', { class: 'field' }, [
    make('h3', { text: words.say('settings.keys') }),
    list,
    make('label', { class: 'check' }, [
      box,
      make('span', { text: words.say('settings.shortcuts') }),
    ]),
  ]);
}
