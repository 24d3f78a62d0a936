import { initial, reduce } from '/page/core/dialogue.js';
import { Reader } from '/page/core/wire.js';
import { equal, ok, random } from './assert.js';

const told = (events, state = initial()) => events.reduce(reduce, state);

const started = [
  { type: 'local.connection', state: 'open', why: '' },
  { type: 'local.microphone', state: 'on' },
  { type: 'session_preparing', input_mode: 'audio' },
  { type: 'session_started', input_mode: 'audio', session_id: 'S' },
  { type: 'status', code: 'SESSION_STARTED', text: 'Session started successfully' },
];
const asked = [
  { type: 'user_activity', interrupted_speech_id: null },
  { type: 'user_partial', text: 'what is the capital' },
  { type: 'user_transcript', text: 'What is the capital of France?' },
];
const text = (words, turn = 'T') => ({ type: 'gemini_response', text: words, turn_id: turn, isNewMessage: false });
const word = (name, start_ms, end_ms, from, to) => ({ text: name, start_ms, end_ms, from, to });
const answer = [
  { type: 'emotion', emotion: 'happy' },
  text('It is '),
  text('Paris.'),
  {
    type: 'speech_words', turn_id: 'T', speech_id: 'T',
    words: [word('It', 100, 200, 0, 2), word('is', 200, 350, 3, 5), word('Paris', 400, 900, 6, 11)],
  },
  { type: 'local.speech_started', speechId: 'T' },
];
const turnEnd = { type: 'system', data: 'turn end' };
const at = (ms, speechId = 'T') => ({ type: 'local.position', speechId, ms });
const interruption = { type: 'user_activity', interrupted_speech_id: 'T' };
const last = (state) => state.entries.at(-1);

export function a_session_starts() {
  const state = told(started);
  equal([state.session, state.phase, state.problem], [{ state: 'started', id: 'S' }, 'listening', null]);
}

export function it_rests_if_it_does_not_listen() {
  equal(told([{ type: 'local.mode', mode: 'typing' }, ...started]).phase, 'idle');
  const state = told([{ type: 'local.mode', mode: 'push-to-talk' }, ...started]);
  equal(state.phase, 'idle');
  equal(told([{ type: 'local.mode', held: true }], state).phase, 'listening');
  equal(told([...started, { type: 'local.microphone', state: 'denied', why: 'no' }]).phase, 'idle');
}

export function what_is_heard_is_shown_as_it_is_heard() {
  const hearing = told([...started, ...asked.slice(0, 2)]);
  equal([hearing.phase, hearing.partial, hearing.entries.length], ['hearing', 'what is the capital', 0]);
  const heard = told([...started, ...asked]);
  equal([heard.phase, heard.partial, last(heard).text], ['thinking', '', 'What is the capital of France?']);
}

export function pieces_of_one_turn_are_one_entry() {
  const pieces = (a, b) => told([{ type: 'user_transcript', text: a }, { type: 'user_transcript', text: b }]).entries;
  equal(pieces('What is', 'that?').map((entry) => entry.text), ['What is that?']);
  equal(pieces('今天', '天气好吗').map((entry) => entry.text), ['今天天气好吗']);
}

export function the_answer_is_shown_as_it_is_spoken() {
  const state = told([...started, ...asked, ...answer]);
  const entry = last(state);
  equal([state.phase, state.emotion, entry.text, entry.state, entry.turn], ['speaking', 'happy', 'It is Paris.', 'speaking', 'T']);
  equal([entry.spokenTo, entry.word], [0, null]);
  const spoken = (ms) => {
    const { spokenTo, word: now } = last(told([at(ms)], state));
    return [spokenTo, now && [now.from, now.to]];
  };
  equal([50, 100, 199, 210, 380, 500, 950].map(spoken), [
    [0, null], [2, [0, 2]], [2, [0, 2]], [5, [3, 5]], [5, null], [11, [6, 11]], [11, null],
  ]);
}

export function a_position_that_changes_nothing_is_nothing() {
  const state = told([...started, ...asked, ...answer, at(410)]);
  ok(reduce(state, at(460)) === state);
  ok(reduce(state, at(460, 'unknown')) === state);
}

export function it_is_over_when_text_and_sound_are() {
  const end = { type: 'local.speech_ended', speechId: 'T' };
  const quiet = told([...started, ...asked, ...answer, end]);
  equal([quiet.phase, last(quiet).state], ['thinking', 'typing']);
  const whole = told([...started, ...asked, ...answer, turnEnd, at(900), end]);
  equal([whole.phase, last(whole).state, last(whole).spokenTo, last(whole).word], ['listening', 'done', 12, null]);
}

export function without_word_times_nobody_knows_what_was_spoken() {
  const silent = answer.filter(({ type }) => type !== 'speech_words');
  const state = told([...started, ...asked, ...silent, at(500), turnEnd, { type: 'local.speech_ended', speechId: 'T' }]);
  equal([last(state).state, last(state).spokenTo], ['done', null]);
}

export function an_interrupted_reply_shows_what_was_spoken() {
  const state = told([...started, ...asked, ...answer, at(410), interruption, { type: 'local.speech_ended', speechId: 'T' }]);
  equal([state.phase, last(state).state, last(state).spokenTo, last(state).word], ['hearing', 'interrupted', 11, null]);
}

export function one_that_was_stopped_was_not_heard_to_its_end() {
  const stopped = { type: 'local.speech_ended', speechId: 'T', cut: true };
  const state = told([...started, ...asked, ...answer, turnEnd, at(210), stopped]);
  equal([state.phase, last(state).state, last(state).spokenTo], ['listening', 'interrupted', 5]);
  equal(told([...started, ...asked, ...answer, stopped]).phase, 'listening', 'though its text goes on:');
}

export function what_the_host_broke_off_does_not_come_back_by_itself() {
  const broken = told([...started, ...asked, ...answer, turnEnd, at(210), interruption]);
  const late = [{ type: 'local.speech_started', speechId: 'T' }, { type: 'local.speech_ended', speechId: 'T' }];
  ok(told(late, broken) === broken);
  const resumed = told([{ type: 'local.speech_started', speechId: 'T.2' }, late[1]], broken);
  equal([resumed.phase, last(resumed).state], ['speaking', 'speaking']);
}

export function a_reply_that_goes_on_after_a_gap_is_marked_where_it_is() {
  const gap = told([...started, ...asked, ...answer, turnEnd, at(210), { type: 'local.speech_ended', speechId: 'T' }]);
  equal([last(gap).state, last(gap).spokenTo], ['done', 12]);
  const on = told([{ type: 'local.speech_started', speechId: 'T' }], gap);
  equal([on.phase, last(on).state, last(on).spokenTo], ['speaking', 'speaking', 5]);
}

export function one_that_is_resumed_goes_on() {
  const state = told([
    ...started, ...asked, ...answer, at(210), interruption,
    text(' Yes.'),
    { type: 'speech_words', turn_id: 'T', speech_id: 'T.2', words: [word('Paris', 10, 500, 6, 11)] },
    { type: 'local.speech_started', speechId: 'T.2' },
  ]);
  equal([state.phase, last(state).state, last(state).text], ['speaking', 'speaking', 'It is Paris. Yes.']);
  equal(last(told([at(5, 'T.2')], state)).spokenTo, 5);
  equal(last(told([at(20, 'T.2')], state)).spokenTo, 11);
  equal(last(told([at(450, 'T')], state)).word, { from: 6, to: 11 });
  const earlier = told([{ type: 'local.speech_started', speechId: 'T.3' }, at(150, 'T.3')], state);
  equal(last(earlier).word, null, 'times count from the first sample of their own stretch:');
}

export function an_interruption_of_nothing_only_hears() {
  const state = told([...started, ...asked, ...answer, { type: 'user_activity', interrupted_speech_id: null }]);
  equal([state.phase, last(state).state], ['hearing', 'speaking']);
}

export function typing_interrupts_and_thinks() {
  const state = told([...started, ...asked, ...answer, { type: 'local.sent', text: 'Wait' }, interruption]);
  equal([state.phase, last(state).text, state.entries[1].state], ['thinking', 'Wait', 'interrupted']);
}

export function a_cough_is_forgotten() {
  const quiet = { type: 'local.quiet' };
  equal(told([...started, ...asked.slice(0, 2), quiet]).phase, 'listening');
  equal(told([...started, ...asked, ...answer, quiet]).phase, 'speaking');
}

export function statuses_are_problems_with_codes() {
  const state = told([...started, ...asked, { type: 'status', code: 'ENGINE_ERROR', text: 'The model failed.' }]);
  equal([state.problem, state.phase], [{ code: 'ENGINE_ERROR', message: 'The model failed.' }, 'listening']);
  equal(told(asked, state).problem, null);
  equal(told([{ type: 'local.dismissed', what: 'problem' }], state).problem, null);
  equal(told(started, state).problem, null);
}

export function a_host_that_waits_for_a_word_is_no_problem() {
  const asleep = told([...started, { type: 'status', code: 'ASLEEP', text: 'Asleep. Say “Okay Nabu” to wake me.' }]);
  equal([asleep.wakeWord, asleep.problem], ['Okay Nabu', null]);
  equal(told([{ type: 'status', code: 'AWAKE', text: 'Awake, and listening.' }], asleep).wakeWord, '');
  equal(told([{ type: 'status', code: 'SESSION_ENDED', text: '' }], asleep).wakeWord, '');
}

export function words_without_a_code_are_a_notice() {
  const state = told([{ type: 'status', code: '', text: 'Welcome back.' }]);
  equal([last(state).role, last(state).text, state.problem], ['notice', 'Welcome back.', null]);
}

export function pausing_and_ending() {
  const paused = told([...started, ...asked, ...answer, interruption, { type: 'status', code: 'SESSION_PAUSED', text: '' }]);
  equal([paused.session.state, paused.session.id, paused.phase], ['paused', 'S', 'idle']);
  const ended = told([...started, ...asked, ...answer, { type: 'status', code: 'SESSION_ENDED', text: '' }]);
  equal([ended.session, last(ended).state], [{ state: 'none', id: null }, 'interrupted']);
}

export function a_start_that_fails() {
  const state = told([
    ...started.slice(0, 3), { type: 'status', code: 'MODEL_ERROR', text: 'It is missing.' }, { type: 'session_failed', input_mode: 'audio' },
  ]);
  equal([state.session.state, state.problem.code, state.phase], ['failed', 'MODEL_ERROR', 'idle']);
}

export function that_a_conversation_is_gone_is_still_told_in_the_next() {
  const gone = { type: 'status', code: 'UNKNOWN_CONVERSATION', text: 'There is none.' };
  equal(told([...started, gone, ...started]).problem.code, 'UNKNOWN_CONVERSATION');
}

export function a_lost_connection_keeps_what_it_goes_on_with() {
  const lost = { type: 'local.connection', state: 'waiting', why: 'lost', retryInMs: 500 };
  const cut = told([...started, ...asked, ...answer, lost]);
  equal([cut.session, cut.phase, last(cut).state], [{ state: 'none', id: 'S' }, 'speaking', 'interrupted']);
  equal(cut.connection, { state: 'waiting', why: 'lost', retryInMs: 500 });
  const whole = told([...started, ...asked, ...answer, turnEnd, lost, { type: 'local.speech_ended', speechId: 'T' }]);
  equal([whole.phase, last(whole).state, last(whole).spokenTo], ['idle', 'interrupted', 0]);
  const heard = told([...started, ...asked, ...answer, turnEnd, at(910), lost, { type: 'local.speech_ended', speechId: 'T' }]);
  equal(last(heard).state, 'done');
  const silent = told([...started, ...asked, ...answer, lost, { type: 'local.speech_ended', speechId: 'T' }]);
  equal([silent.phase, last(silent).state], ['idle', 'interrupted']);
}

export function tasks_come_and_go() {
  const task = (status, progress = 0) => ({ id: '1', tool: 'set_timer', status, progress, detail: 'Tea', type: 'user_plugin' });
  const update = (status, progress) => ({ type: 'agent_task_update', task: task(status, progress) });
  const state = told([update('running', 10), update('running', 60)]);
  equal(state.tasks, [{ id: '1', tool: 'set_timer', status: 'running', progress: 60, detail: 'Tea' }]);
  const status = (active_tasks) => ({ type: 'agent_status_update', snapshot: { active_tasks, flags: { agent_enabled: true }, tools: ['set_timer'] } });
  equal(told([status([])], state).tasks, []);
  equal(told([status(1)], state).tasks.length, 1);
  equal(told([update('completed', 100), status([])], state).tasks.length, 1);
  equal(told([status([task('queued')])]).tasks.length, 1);
  equal(told([status(0)]).agent, { enabled: true, tools: ['set_timer'] });
}

export function notifications_can_be_dismissed() {
  const news = { type: 'agent_notification', text: 'Tea is ready.', source: 'set_timer', status: 'completed' };
  const state = told([news, news]);
  equal([state.notifications.length, state.notifications[0].text], [2, 'Tea is ready.']);
  const [first, second] = state.notifications;
  equal(told([{ type: 'local.dismissed', what: 'notification', id: first.id }], state).notifications, [second]);
}

export function the_host_may_send_us_elsewhere() {
  const state = told([{ type: 'catgirl_switched', new_catgirl: 'Mia', old_catgirl: 'default' }]);
  equal(state.switchTo, 'Mia');
  const there = told([{ type: 'local.character', name: 'Mia' }], state);
  equal([there.switchTo, there.character], [null, 'Mia']);
  equal(told([{ type: 'reload_page', message: 'New settings.' }]).reload, 'New settings.');
}

export function timelines_are_kept_up_to_fifty() {
  const events = Array.from({ length: 60 }, (_, i) => ({ type: 'timeline', turn_id: `${i}`, spans: [{ name: 'stt' }] }));
  const { timelines } = told(events);
  equal([timelines.length, timelines[0].turn, timelines.at(-1).turn], [50, '10', '59']);
}

export function history_comes_before_what_was_said_since() {
  const history = { type: 'local.loaded_history', messages: [
    { role: 'user', text: 'Hi', at_s: 1 }, { role: 'assistant', text: 'Hello!', at_s: 2 }, { role: 'assistant', text: 'Welcome back.', at_s: 3 },
  ] };
  const state = told([...started, text('Welcome back.'), history]);
  equal(state.entries.map((entry) => entry.text), ['Hi', 'Hello!', 'Welcome back.']);
  equal(new Set(state.entries.map((entry) => entry.id)).size, 3);
  equal(told([text(' How are you?')], state).entries.at(-1).text, 'Welcome back. How are you?');
  equal(told([{ type: 'local.cleared' }], state).entries, []);
}

export function what_is_shared_is_known() {
  equal(told([{ type: 'local.sharing', kind: 'screen' }]).sharing, { kind: 'screen', picture: null });
  equal(told([{ type: 'local.sharing', kind: null }]).sharing, null);
}

export function what_is_not_known_is_ignored() {
  const state = told([...started, ...asked, ...answer]);
  for (const type of ['pong', 'avatar_interaction_ack', 'something_new', 'constructor', '__proto__', '']) {
    ok(reduce(state, { type }) === state, type);
  }
}

export function the_documented_dialect_has_the_same_effect() {
  const reader = new Reader();
  const read = (message) => reader.read(JSON.stringify(message));
  const state = told([
    { type: 'session_started', input_mode: 'audio' }, { type: 'user_transcript', text: 'Hi' }, { type: 'text', text: 'Hel' },
    { type: 'text', text: 'lo.' }, { type: 'system', data: 'turn end' }, { type: 'text', text: 'More.' },
  ].map(read));
  equal(state.entries.map((entry) => [entry.role, entry.text, entry.state]), [
    ['user', 'Hi', 'done'], ['assistant', 'Hello.', 'done'], ['assistant', 'More.', 'typing'],
  ]);
}

export function in_any_order_the_state_stays_sound() {
  const events = [
    ...started, ...asked, ...answer, turnEnd, interruption, at(300), text('More', 'T2'),
    { type: 'local.speech_started', speechId: 'T.2' }, { type: 'local.speech_ended', speechId: 'T' }, { type: 'local.sent', text: 'x' },
    { type: 'local.connection', state: 'waiting', why: 'lost', retryInMs: 1 }, { type: 'local.quiet' }, { type: 'local.cleared' },
    { type: 'status', code: 'SESSION_PAUSED', text: '' }, { type: 'agent_status_update', snapshot: null }, { type: 'agent_task_update' },
    { type: 'local.loaded_history', messages: [{ role: 'user', text: 'Hi' }] },
  ];
  const next = random(8);
  const phases = new Set(['idle', 'listening', 'hearing', 'thinking', 'speaking']);
  let state = initial();
  for (let i = 0; i < 5_000; i++) {
    const before = JSON.stringify(state);
    const after = reduce(state, events[Math.floor(next() * events.length)]);
    ok(JSON.stringify(state) === before, 'it was changed in place');
    state = after;
    ok(phases.has(state.phase));
    ok(state.entries.length <= 500);
    ok(new Set(state.entries.map(({ id }) => id)).size === state.entries.length, 'an id twice');
  }
}
