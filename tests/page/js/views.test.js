import { ApiError } from '/page/core/api.js';
import { Settings } from '/page/core/settings.js';
import { Emitter } from '/page/core/emitter.js';
import en from '/page/strings/en.js';
import { initial, reduce } from '/page/core/dialogue.js';
import { kindOf, ticks } from '/page/views/waterfall.js';
import { summary } from '/page/views/chart.js';
import { EntryView, parts } from '/page/views/entry.js';
import { aim, approach, loudness, posture } from '/page/views/expression.js';
import { Activity } from '/page/views/activity.js';
import { Log } from '/page/views/conversation.js';
import { mount as mountDrawer } from '/page/views/drawer.js';
import { mount as mountHistory, leave } from '/page/views/history.js';
import { GONE_MS, Visitor } from '/page/views/kiosk.js';
import { mount as mountKeys } from '/page/views/keys.js';
import { mount as mountPreferences } from '/page/views/preferences.js';
import { describe } from '/page/views/problems.js';
import { hintKey, purpose, statusKey } from '/page/views/status.js';
import { Words } from '/page/views/words.js';
import { FakeClock, equal, near, ok, settle } from './assert.js';

const OPEN = { type: 'local.connection', state: 'open', why: '' };
const STARTED = { type: 'session_started', session_id: 's' };

function after(...events) {
  return events.reduce(reduce, initial());
}

function microphone(state) {
  return { type: 'local.microphone', state, why: '' };
}

function waiting(why, retryInMs = 4_000) {
  return { type: 'local.connection', state: 'waiting', why, retryInMs };
}

const TALKING = [OPEN, STARTED, microphone('on')];

// --- the line under the face, and the big button ---

export function each_state_has_its_line() {
  const speaking = { type: 'local.speech_started', speechId: 't' };
  const lines = [
    [[], 'status.idle'],
    [[{ type: 'local.mode', mode: 'typing' }], 'status.typing'],
    [[microphone('asking')], 'status.asking'],
    [[OPEN, { type: 'session_preparing' }], 'status.preparing'],
    [TALKING, 'status.listening'],
    [[...TALKING, { type: 'status', code: 'ASLEEP', text: 'Asleep. Say “Alexa” to wake me.' }], 'status.asleep'],
    [[...TALKING, { type: 'user_partial', text: 'wh' }], 'status.hearing'],
    [[...TALKING, { type: 'user_transcript', text: 'what' }], 'status.thinking'],
    [[...TALKING, speaking], 'status.speaking'],
    [[...TALKING, microphone('muted')], 'status.muted'],
    [[...TALKING, { type: 'local.mode', mode: 'push-to-talk' }], 'status.push'],
    [[...TALKING, { type: 'local.mode', mode: 'push-to-talk', held: true }], 'status.listening'],
    [[...TALKING, waiting('unreachable')], 'status.waiting'],
    [[...TALKING, waiting('lost'), { type: 'local.connection', state: 'connecting' }], 'status.connecting'],
    [[OPEN, STARTED], 'status.typing'],
  ];
  for (const [events, key] of lines) equal(statusKey(after(...events)), key, JSON.stringify(events));
  for (const [, key] of lines) ok(key in en, key);
}

export function hints_are_texts_that_there_are() {
  const states = [after(), after(microphone('asking')), after(...TALKING, microphone('muted'))];
  const keys = [...states.map((state) => hintKey(state)), hintKey(after(), true)];
  equal(keys, ['hint.idle', 'hint.asking', 'hint.muted', 'hint.kiosk']);
  for (const key of keys) ok(key in en, key);
}

export function the_button_does_what_is_next() {
  const said = { type: 'user_transcript', text: 'hello' };
  const ended = [{ type: 'status', code: 'SESSION_ENDED', text: '' }, microphone('off')];
  equal(purpose(after()), 'begin');
  equal(purpose(after(...TALKING)), 'mute');
  equal(purpose(after(...TALKING, microphone('muted'))), 'unmute');
  equal(purpose(after(...TALKING, { type: 'local.mode', mode: 'push-to-talk' })), 'hold');
  equal(purpose(after(...TALKING, waiting('lost'))), 'mute');
  equal(purpose(after(...TALKING, said, ...ended)), 'resume');
  equal(purpose(after(OPEN, STARTED)), 'begin');
}

// --- problems ---

export function nothing_is_wrong_at_first_nor_at_a_short_break() {
  equal(describe(after()), null);
  equal(describe(after(...TALKING)), null);
  equal(describe(after(...TALKING, waiting('lost'))), null);
}

export function each_trouble_has_words_and_a_way_out() {
  const troubles = ['unreachable', 'starting', 'full', 'refused', 'stopping'].map((why) => [waiting(why)]);
  const microphones = ['missing', 'denied', 'busy', 'silent', 'insecure'].map((state) => [microphone(state)]);
  const others = [
    [{ type: 'local.connection', state: 'idle', why: 'superseded' }],
    [{ type: 'status', code: 'ENGINE_ERROR', text: 'It broke.' }],
    [{ type: 'status', code: 'SOMETHING_NEW', text: 'Odd.' }],
    [{ type: 'session_failed' }],
    [{ type: 'local.problem', code: 'PICTURE_FAILED', message: 'NotReadableError' }],
    [{ type: 'local.problem', code: 'CAMERA_DENIED', message: 'NotAllowedError' }],
    [{ type: 'local.sound', blocked: true }],
  ];
  for (const events of [...troubles, ...microphones, ...others]) {
    const problem = describe(after(...events));
    const name = JSON.stringify(events);
    ok(problem && problem.title in en, name);
    ok(problem.quote || problem.text in en || problem.title === 'problem.failed.title', name);
    ok(problem.actions.length > 0, name);
    for (const action of problem.actions) ok(`problem.${action}` in en, action);
  }
}

export function the_trouble_stays_while_the_next_try_runs() {
  const lost = describe(after(...TALKING, waiting('full')));
  equal([lost.id, lost.retryInMs], ['full', 4_000]);
  const trying = after(...TALKING, waiting('full'), { type: 'local.connection', state: 'connecting', why: '' });
  equal([describe(trying, lost).id, describe(trying, lost).retryInMs], ['full', 0]);
  equal(describe(trying, null), null);
  equal(describe(after(...TALKING), lost), null);
}

export function whoever_types_is_not_bothered_about_the_microphone() {
  equal(describe(after({ type: 'local.mode', mode: 'typing' }, microphone('denied'))), null);
}

export function the_hosts_own_words_are_shown() {
  const problem = describe(after({ type: 'status', code: 'MODEL_ERROR', text: 'No model.' }));
  equal([problem.title, problem.quote], ['problem.MODEL_ERROR.title', 'No model.']);
}

// --- what was said ---

const REPLY = { text: 'Ça 🙂 va bien', words: [], word: null, spokenTo: null, state: 'speaking' };

export function a_reply_is_cut_at_the_word_being_said() {
  const found = parts({ ...REPLY, spokenTo: 7, word: { from: 5, to: 7 } });
  equal(found, { said: 'Ça 🙂 ', word: 'va', rest: ' bien', note: '' });
}

export function the_parts_are_always_the_whole_text() {
  const length = [...REPLY.text].length;
  for (let to = 0; to <= length; to++) {
    for (let from = 0; from <= to; from++) {
      for (const word of [null, { from, to }]) {
        const { said, word: now, rest } = parts({ ...REPLY, spokenTo: to, word });
        equal(said + now + rest, REPLY.text);
      }
    }
  }
}

export function between_two_words_the_last_one_stays_marked() {
  const words = [{ from: 0, to: 2 }, { from: 5, to: 7 }];
  equal(parts({ ...REPLY, words, spokenTo: 2 }).word, 'Ça');
  equal(parts({ ...REPLY, words, spokenTo: 2, state: 'done' }).word, '');
}

export function a_voice_that_does_not_tell_its_words_marks_nothing() {
  equal(parts(REPLY), { said: REPLY.text, word: '', rest: '', note: '' });
  equal(parts({ ...REPLY, state: 'typing' }), { said: '', word: '', rest: REPLY.text, note: '' });
}

export function a_reply_broken_off_ends_where_it_was_heard() {
  equal(parts({ ...REPLY, state: 'interrupted', spokenTo: 5 }), { said: 'Ça 🙂 —', word: '', rest: '', note: 'interrupted' });
  equal(parts({ ...REPLY, state: 'interrupted', spokenTo: 0 }).note, 'unheard');
  equal(parts({ ...REPLY, state: 'interrupted' }).said, REPLY.text);
}

export async function what_people_and_models_write_is_text_and_never_markup() {
  const words = new Words();
  await words.load('en');
  const text = '<img src=x onerror=alert(1)><b>bold</b>';
  const entry = { ...REPLY, id: 'e1', role: 'assistant', text };
  const view = new EntryView(entry, words);
  view.update(entry, { name: '<i>name</i>', language: 'fr' });
  equal(view.element.querySelectorAll('img, b, i:not(.entry-wait i)').length, 0);
  ok(view.element.textContent.includes(text) && view.element.textContent.includes('<i>name</i>'));
  equal(view.text.lang, 'fr');
}

// --- the face ---

export function it_sleeps_until_it_is_spoken_to() {
  equal(posture(after()), 'asleep');
  equal(posture(after(...TALKING)), 'listening');
  equal(posture(after(...TALKING, microphone('muted'))), 'muted');
  equal(posture(after(OPEN, STARTED)), 'idle');
  equal(aim(after()).eyes, 0);
}

export function every_mood_has_its_face() {
  const faces = ['neutral', 'happy', 'sad', 'angry', 'surprised'].map((emotion) => {
    const state = after(...TALKING, { type: 'emotion', emotion });
    return JSON.stringify(aim(state));
  });
  equal(new Set(faces).size, faces.length);
}

export function it_comes_to_rest() {
  const now = aim(after());
  const goal = aim(after(...TALKING, { type: 'emotion', emotion: 'angry' }));
  let steps = 0;
  while (approach(now, goal, 0.25)) ok(++steps < 100, 'it never rests');
  equal(now, goal);
  equal(approach(now, goal, 0.25), false);
}

export function loudness_goes_from_quiet_to_loud() {
  equal([loudness(-Infinity), loudness(-100), loudness(NaN), loudness(0)], [0, 0, 0, 1]);
  ok(loudness(-40) < loudness(-30));
}

// --- the drawer ---

export function ticks_are_few_and_round() {
  equal(ticks(0, 553), [0, 100, 200, 300, 400, 500]);
  equal(ticks(-4, 95), [0, 20, 40, 60, 80]);
  for (let high = 1; high < 100_000; high = Math.ceil(high * 1.37)) ok(ticks(0, high).length <= 8, `${high}`);
}

export function stages_are_coloured_by_their_owner() {
  equal(['stt:faster-whisper', 'ears.endpoint_ms', 'who knows'].map(kindOf), ['stt', 'ears', 'other']);
}

export function the_middle_of_an_even_number_lies_between_two() {
  equal(summary([700, 500, 600]), { count: 3, median: 600, max: 700 });
  near(summary([500, 600]).median, 550, 0);
}

// --- with the page's own elements ---

/** Empty elements with the ids of the page's. */
function elements(...ids) {
  document.body.replaceChildren(
    ...ids.map((id) => Object.assign(document.createElement('div'), { id })),
  );
}

async function newLog() {
  elements('scroll', 'log', 'now', 'newest', 'welcome');
  const words = new Words();
  await words.load('en');
  return new Log(words, () => ({ language: 'en', title: 'Mia' }));
}

const typed = (text) => ({ type: 'local.sent', text });
const replied = (text, turn) => ({ type: 'gemini_response', text, turn_id: turn });
const end = { type: 'system', data: 'turn end' };

export async function what_was_said_long_ago_stands_above_and_is_not_read_out() {
  const log = await newLog();
  const typing = [{ type: 'local.mode', mode: 'typing' }, OPEN, STARTED, typed('Now')];
  log.update(after(...typing));
  equal(document.getElementById('log').getAttribute('aria-live'), 'polite');
  const earlier = [{ role: 'user', text: 'Hi' }, { role: 'assistant', text: 'Hello!' }];
  log.update(after(...typing, { type: 'local.loaded_history', messages: earlier }));
  equal([...document.querySelectorAll('#log .entry-text')].map((each) => each.textContent), ['Hi', 'Hello!', 'Now']);
  equal(document.getElementById('log').getAttribute('aria-live'), 'off');
  clearTimeout(log.hush);
}

export async function what_goes_on_stays_below_in_its_order() {
  const log = await newLog();
  const events = [OPEN, STARTED, typed('One'), replied('First', 'a'), typed('Two'), replied('Second', 'b')];
  const texts = (id) => [...document.querySelectorAll(`#${id} .entry-text`)].map((each) => each.textContent);
  log.update(after(...events));
  equal([texts('log'), texts('now')], [['One'], ['First', 'Two', 'Second']]);
  const first = document.querySelector('#now .entry');
  log.update(after(...events, { type: 'user_activity', interrupted_speech_id: 'a' }));
  equal([texts('log'), texts('now')], [['One', 'First', 'Two'], ['Second']]);
  ok(document.querySelectorAll('#log .entry')[1] === first);
  log.update(after(...events, { type: 'user_activity', interrupted_speech_id: 'a' }, end));
  equal([texts('log'), texts('now')], [['One', 'First', 'Two', 'Second'], []]);
}

export async function activity_knows_only_what_can_be_read() {
  elements('unread', 'open-activity', 'announcer', 'toasts');
  document.body.append(Object.assign(document.createElement('dialog'), { id: 'activity' }));
  const words = new Words();
  await words.load('en');
  const activity = new Activity(words);
  const news = { type: 'agent_notification', text: 'Tea.', source: 'timer', status: 'completed' };
  let state = after();
  for (let i = 0; i < 60; i++) activity.update((state = reduce(state, news)));
  equal([activity.known.size, activity.unread.size], [20, 20]);
  for (const toast of activity.toasts.values()) toast.remove();
}

export function letters_are_commands_unless_they_are_switched_off() {
  let muted = 0;
  const of = (shortcuts) => ({ state: after(...TALKING), settings: { get: () => shortcuts }, mute: () => muted++ });
  const press = (key) => document.dispatchEvent(new KeyboardEvent('keydown', { key }));
  const drawer = { open: false };
  const toggleDeveloper = () => {};
  mountKeys(document, of(false), null, { drawer, toggleDeveloper });
  mountKeys(document, of(true), null, { drawer, toggleDeveloper, kiosk: true });
  press('m');
  equal(muted, 0);
  mountKeys(document, of(true), null, { drawer, toggleDeveloper });
  press('m');
  equal(muted, 1);
}

export function the_next_visitor_begins_anew() {
  const clock = new FakeClock();
  const done = [];
  const session = {
    clock, wanted: true, state: after(...TALKING), share: (kind) => done.push(`share ${kind}`),
    newConversation: () => done.push('new'), forget: () => done.push('forget'),
  };
  const visitor = new Visitor(session);
  const see = (...events) => visitor.see((session.state = after(...TALKING, ...events)));
  see();
  clock.advance(GONE_MS);
  equal(done, [], 'nothing was said:');
  see(typed('Hi'));
  clock.advance(GONE_MS - 1);
  visitor.isThere();
  clock.advance(GONE_MS - 1);
  equal(done, []);
  clock.advance(1);
  equal(done, ['share null', 'new']);
  session.wanted = false;
  see(typed('Hi'), replied('Hello.', 'a'));
  clock.advance(GONE_MS);
  equal(done.slice(2), ['share null', 'forget']);
}

export async function one_that_is_left_is_waited_for_and_then_forgotten() {
  for (const answers of [true, false]) {
    const session = Object.assign(new Emitter(), {
      clock: new FakeClock(), state: after(OPEN, STARTED), end() {}, forgotten: 0,
      forget: () => session.forgotten++,
    });
    let looks = 0;
    const remove = session.removeEventListener.bind(session);
    session.removeEventListener = (...which) => (looks++, remove(...which));
    const left = leave(session);
    await settle();
    equal(session.forgotten, 0);
    if (answers) session.state = reduce(session.state, { type: 'status', code: 'SESSION_ENDED', text: '' });
    if (answers) session.emit('change');
    else session.clock.advance(3_000);
    await left;
    equal([session.forgotten, looks, session.clock.timers.size], [1, 1, 0]);
  }
}

function withDialog(id) {
  document.body.append(Object.assign(document.createElement('dialog'), { id }));
}

export async function the_commands_of_letters_can_be_switched_off() {
  elements('open-settings');
  withDialog('settings');
  const words = new Words();
  await words.load('en');
  const settings = new Settings(() => null);
  mountPreferences(document, { settings, state: after() }, words, { openDeveloper: null });
  document.getElementById('open-settings').click();
  const keys = () => document.querySelectorAll('.keys li').length;
  const box = document.querySelector('#settings input[type=checkbox]');
  equal([box.checked, keys()], [true, 4]);
  box.click();
  equal([settings.get('shortcuts'), keys()], [false, 2]);
  document.getElementById('settings').close();
}

export async function a_deletion_that_fails_is_seen() {
  elements('open-history', 'earlier-all', 'new-conversation', 'earlier', 'earlier-list', 'announcer');
  withDialog('history');
  const words = new Words();
  await words.load('en');
  let failure = new ApiError(409, 'This conversation is going on.');
  const api = {
    conversations: async () => [{ id: 'S', title: 'Hi', messages: 2, updated_s: 1 }],
    forget: async () => Promise.reject(failure),
  };
  const session = { api, state: after(), conversation: { id: null } };
  mountHistory(document, session, words, { characters: { name: () => 'Mia' } });
  const remove = async () => {
    document.querySelector('#history .list .tool').click();
    document.querySelector('#history .button-bad').click();
    await settle();
    return document.querySelector('#history .trouble').textContent;
  };
  document.getElementById('open-history').click();
  await settle();
  equal(await remove(), 'This conversation is going on.');
  failure = new TypeError('Failed to fetch');
  equal(await remove(), en['history.notDeleted']);
  document.getElementById('history').close();
}

export async function the_chart_goes_on_after_fifty_turns() {
  elements('drawer', 'open-developer', 'open-settings', 'announcer');
  document.getElementById('drawer').hidden = true;
  const words = new Words();
  await words.load('en');
  const turns = (ms) => Array.from({ length: 50 }, (_, i) => ({ turn: `${i}`, ms }));
  const debug = { levels: {}, voiceToVoice: turns(500) };
  const session = { state: after(), levels: { microphoneDbfs: -100, speakerDbfs: -100 }, debug: () => debug };
  const drawer = mountDrawer(document, session, words);
  drawer.toggle();
  const label = () => document.querySelector('#drawer .plot').getAttribute('aria-label');
  ok(label().includes('slowest 500 ms'), label());
  debug.voiceToVoice = turns(700);
  while (!label().includes('slowest 700 ms')) await new Promise((done) => setTimeout(done, 50));
  drawer.toggle();
}
