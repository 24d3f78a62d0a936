// @ts-check
/**
 * What the page knows of the conversation: a pure function from what was known and what happened
 * to what is known now. No DOM, no clock, nothing is changed in place; if nothing has changed, the
 * state is the same object.
 *
 * `HANDLERS` has the host's messages (docs/wire.md, as `Reader` reads them) and the page's own
 * events, whose types begin with `local.`.
 */

import {
  afterHistory, heard, isOpen, join, newEntry, replyOf, speaks, spokenAt, updateEntry,
  withEntry,
} from './entries.js';
import { turnOf } from './wire.js';

/** @typedef {import('./entries.js').Entry} Entry */
/** @typedef {'idle'|'listening'|'hearing'|'thinking'|'speaking'} Phase */
/** @typedef {{id: string, tool: string, status: string, progress: number, detail: string}} Task */
/** @typedef {{id: string, text: string, source: string, status: string}} Notice */
/**
 * @typedef {object} State
 * @property {{state: string, why: string, retryInMs: number}} connection
 * @property {{state: 'none'|'preparing'|'started'|'paused'|'failed', id: string|null}} session
 * @property {{state: string, why: string}} microphone
 * @property {boolean} blocked the browser stops all sound until the person touches the page
 * @property {{mode: string, held: boolean}} mode how the person talks; for push-to-talk: are they
 * @property {Phase} phase
 * @property {string} wakeWord it sleeps until this is said; empty while it listens
 * @property {boolean} typed the person has typed, and the answer has not begun
 * @property {string} emotion
 * @property {string} partial
 * @property {number} count of entries and notifications so far: their ids
 * @property {Entry[]} entries
 * @property {Task[]} tasks
 * @property {Notice[]} notifications
 * @property {{enabled: boolean, tools: string[]}} agent
 * @property {{code: string, message: string}|null} problem
 * @property {string} character
 * @property {{turn: string, spans: object[]}[]} timelines
 * @property {{kind: 'screen'|'camera', picture: string|null}|null} sharing the picture was sent last
 * @property {string|null} switchTo
 * @property {string|null} reload
 */
/** @typedef {Record<string, any> & {type: string}} Happening */

const KEPT_TIMELINES = 50;
const KEPT_TASKS = 50;
const KEPT_NOTIFICATIONS = 20;
const EMOTIONS = new Set(['happy', 'sad', 'angry', 'surprised', 'neutral']);

/** Statuses that are no problem; what they say, other messages say too. */
const HARMLESS = new Set(['SESSION_STARTED', 'SESSION_STARTING']);

/** @returns {State} */
export function initial() {
  return {
    connection: { state: 'idle', why: '', retryInMs: 0 },
    session: { state: 'none', id: null },
    microphone: { state: 'off', why: '' },
    blocked: false,
    mode: { mode: 'hands-free', held: false },
    phase: 'idle',
    wakeWord: '',
    typed: false,
    emotion: 'neutral',
    partial: '',
    count: 0,
    entries: [],
    tasks: [],
    notifications: [],
    agent: { enabled: false, tools: [] },
    problem: null,
    character: '',
    timelines: [],
    sharing: null,
    switchTo: null,
    reload: null,
  };
}

/** @param {State} state @param {Happening} event @returns {State} */
export function reduce(state, event) {
  return Object.hasOwn(HANDLERS, event.type) ? HANDLERS[event.type](state, event) : state;
}

/** What the phase is when nothing goes on. @param {State} state @returns {Phase} */
function resting({ session, microphone, mode }) {
  const opened = mode.mode === 'hands-free' || (mode.mode === 'push-to-talk' && mode.held);
  const hears = microphone.state === 'on' || microphone.state === 'silent';
  const listens = session.state === 'started' && hears && opened;
  return listens ? 'listening' : 'idle';
}

/** Listening may have become possible, or impossible. @param {State} state @returns {State} */
function rested(state) {
  const isAtRest = state.phase === 'idle' || state.phase === 'listening';
  return isAtRest ? { ...state, phase: resting(state) } : state;
}

/** The reply that is shown or spoken is over before its end. @param {State} state @returns {State} */
function cutShort(state) {
  const entries = state.entries.map((entry) =>
    isOpen(entry) ? { ...entry, state: 'interrupted', word: null } : entry,
  );
  return { ...state, entries: /** @type {Entry[]} */ (entries) };
}

/** @param {State} state @param {State['session']['state']} to @param {string|null} id */
function inSession(state, to, id = state.session.id) {
  return { ...state, session: { state: to, id } };
}

/** @type {Record<string, (state: State, event: Happening) => State>} */
const HANDLERS = {
  // --- the session ---

  session_preparing: (state) => ({ ...inSession(cutShort(state), 'preparing'), phase: 'idle' }),
  session_started: (state, { session_id }) => {
    const started = inSession(state, 'started', session_id ?? state.session.id);
    // That an earlier conversation is gone is worth knowing, though another has begun.
    const isGone = state.problem?.code === 'UNKNOWN_CONVERSATION';
    return rested({ ...started, problem: isGone ? state.problem : null });
  },
  session_failed: (state) => ({ ...inSession(state, 'failed'), phase: 'idle' }),
  status: (state, { code, text }) => {
    if (HARMLESS.has(code)) return state;
    if (Object.hasOwn(STATUSES, code)) return STATUSES[code](state, text);
    return code ? withProblem(state, code, text) : withEntry(state, newEntry('notice', text));
  },

  // --- the person ---

  user_activity: (state, { interrupted_speech_id: id }) => {
    const phase = /** @type {Phase} */ (state.typed ? 'thinking' : 'hearing');
    const heard = { ...state, phase };
    if (id == null) return heard;
    const changes = { word: null, cutUnder: String(id) };
    return updateEntry(heard, turnOf(id), { ...changes, state: 'interrupted' });
  },
  user_partial: (state, { text }) => ({ ...state, partial: String(text), phase: 'hearing' }),
  user_transcript: (state, { text }) => {
    const asked = { ...state, partial: '', phase: /** @type {Phase} */ ('thinking'), problem: null };
    const last = state.entries.at(-1);
    if (last?.role !== 'user' || last.via !== 'voice') {
      return withEntry(asked, { ...newEntry('user', String(text)), via: 'voice' });
    }
    const longer = { ...last, text: join(last.text, String(text)) };
    return { ...asked, entries: [...state.entries.slice(0, -1), longer] };
  },

  // --- the reply ---

  gemini_response: (state, { text, turn_id }) => {
    const turn = String(turn_id ?? '');
    const entry = replyOf(state, turn);
    const speaks = state.phase === 'speaking';
    const replying = { ...state, typed: false, phase: speaks ? state.phase : 'thinking' };
    if (!entry) return withEntry(replying, { ...newEntry('assistant', String(text), turn), state: 'typing' });
    return updateEntry(replying, turn, {
      text: entry.text + text,
      complete: false,
      state: entry.state === 'speaking' ? 'speaking' : 'typing',
    });
  },
  system: (state, { data }) => {
    const entry = data === 'turn end' ? state.entries.findLast(isOpen) : undefined;
    if (!entry) return state;
    const shown = entry.state === 'typing' ? 'done' : entry.state;
    return updateEntry(state, entry.turn, { complete: true, state: shown });
  },
  emotion: (state, { emotion }) =>
    EMOTIONS.has(emotion) && emotion !== state.emotion ? { ...state, emotion } : state,
  speech_words: (state, { turn_id, speech_id, words }) => {
    const turn = String(turn_id ?? turnOf(String(speech_id)));
    const entry = replyOf(state, turn);
    if (!entry || !Array.isArray(words)) return state;
    const placed = words.map((word) => ({ ...word, speech: String(speech_id) }));
    return updateEntry(state, turn, {
      words: [...entry.words, ...placed],
      spokenTo: entry.spokenTo ?? 0,
    });
  },
  timeline: (state, { turn_id, spans }) => {
    const timelines = [...state.timelines, { turn: String(turn_id), spans: spans ?? [] }];
    return { ...state, timelines: timelines.slice(-KEPT_TIMELINES) };
  },

  // --- the agent ---

  agent_task_update: (state, { task }) => (task?.id ? withTask(state, task) : state),
  agent_status_update: (state, { snapshot }) => {
    const { flags, tools, active_tasks: active } = snapshot ?? {};
    const agent = { enabled: Boolean(flags?.agent_enabled), tools: tools ?? [] };
    if (!Array.isArray(active)) return { ...state, agent };
    // What is not named any more ended while we were away.
    const names = new Set(active.map((task) => task.id));
    const tasks = state.tasks.filter((task) => !isActive(task) || names.has(task.id));
    return active.reduce(withTask, { ...state, agent, tasks });
  },
  agent_notification: (state, { text, source, status }) => {
    const count = state.count + 1;
    const notice = {
      id: `n${count}`, text: String(text ?? ''), source: String(source ?? ''), status: String(status ?? ''),
    };
    const notifications = [...state.notifications, notice].slice(-KEPT_NOTIFICATIONS);
    return { ...state, count, notifications };
  },

  // --- the host ---

  catgirl_switched: (state, { new_catgirl }) =>
    new_catgirl ? { ...state, switchTo: String(new_catgirl) } : state,
  reload_page: (state, { message }) => ({ ...state, reload: String(message ?? '') }),

  // --- this page ---

  'local.sent': (state, { text }) =>
    withEntry(
      { ...state, partial: '', phase: 'thinking', typed: true, problem: null },
      { ...newEntry('user', String(text)), via: 'text' },
    ),
  'local.speech_started': (state, { speechId }) => {
    const turn = turnOf(speechId);
    const entry = replyOf(state, turn);
    if (isCut(entry, speechId)) return state;
    const speaking = { ...state, phase: /** @type {Phase} */ ('speaking') };
    return entry ? updateEntry(speaking, turn, speaks(entry)) : speaking;
  },
  'local.speech_ended': (state, { speechId, cut = false }) => {
    const turn = turnOf(speechId);
    const entry = replyOf(state, turn);
    if (isCut(entry, speechId)) return state;
    const goesOn = entry && !entry.complete && !entry.lost && !cut;
    const phase = goesOn ? 'thinking' : resting(state);
    const quiet = state.phase === 'speaking' ? { ...state, phase: /** @type {Phase} */ (phase) } : state;
    return entry?.state === 'speaking' ? updateEntry(quiet, turn, heard(entry, cut)) : quiet;
  },
  'local.position': (state, { speechId, ms }) => {
    const turn = turnOf(speechId);
    const entry = replyOf(state, turn);
    if (!entry) return state;
    const spoken = spokenAt(entry, speechId, ms);
    const same = spoken.spokenTo === entry.spokenTo && spoken.word === entry.word;
    return same ? state : updateEntry(state, turn, spoken);
  },
  'local.connection': (state, { state: to, why, retryInMs }) => {
    const connected = { ...state, connection: { state: to, why: why ?? '', retryInMs: retryInMs ?? 0 } };
    return to === 'open' ? connected : disconnected(connected);
  },
  'local.microphone': (state, { state: to, why }) =>
    rested({ ...state, microphone: { state: to, why: why ?? '' } }),
  'local.sound': (state, { blocked }) =>
    blocked === state.blocked ? state : { ...state, blocked },
  'local.mode': (state, { mode, held }) =>
    rested({ ...state, mode: { mode: mode ?? state.mode.mode, held: Boolean(held) } }),
  'local.sharing': (state, { kind, picture = null }) => ({
    ...state,
    sharing: kind ? { kind, picture } : null,
  }),
  'local.character': (state, { name }) => ({ ...state, character: name, switchTo: null }),
  'local.loaded_history': (state, { messages }) => afterHistory(state, messages ?? []),
  'local.cleared': (state) => ({
    ...state,
    session: { state: state.session.state, id: null },
    phase: resting(state),
    entries: [],
    partial: '',
    typed: false,
    emotion: 'neutral',
    problem: null,
  }),
  'local.quiet': (state) =>
    state.phase === 'hearing' || state.phase === 'thinking'
      ? { ...state, phase: resting(state), partial: '', typed: false }
      : state,
  'local.problem': (state, { code, message }) => withProblem(state, code, message),
  'local.dismissed': (state, { what, id }) => {
    if (what === 'problem') return { ...state, problem: null };
    return { ...state, notifications: state.notifications.filter((notice) => notice.id !== id) };
  },
};

/** Statuses that are no problems. @type {Record<string, (state: State, text: string) => State>} */
const STATUSES = {
  ASLEEP: (state, text) => ({ ...state, wakeWord: /“(.+)”/.exec(text)?.[1] ?? text }),
  AWAKE: (state) => ({ ...state, wakeWord: '' }),
  SESSION_PAUSED: (state) => ({ ...inSession(cutShort(state), 'paused'), phase: 'idle', partial: '', wakeWord: '' }),
  SESSION_ENDED: (state) => ({ ...inSession(cutShort(state), 'none', null), phase: 'idle', partial: '', wakeWord: '' }),
};

/** What waits for an answer gets none: it is said why. @param {State} state */
function withProblem(state, /** @type {string} */ code, /** @type {string} */ message) {
  const phase = state.phase === 'thinking' ? resting(state) : state.phase;
  return { ...state, phase, typed: false, problem: { code, message: String(message ?? '') } };
}

/**
 * The session is over for now, and its id is kept to go on with. A reply whose text is complete
 * may still be heard to its end.
 * @param {State} state @returns {State}
 */
function disconnected(state) {
  const entries = state.entries.map((entry) => (isOpen(entry) ? withoutRest(entry) : entry));
  const { session } = state;
  const lost = session.state === 'started' || session.state === 'preparing';
  return {
    ...state,
    session: lost ? { ...session, state: 'none' } : session,
    phase: state.phase === 'speaking' ? 'speaking' : 'idle',
    partial: '',
    typed: false,
    entries,
  };
}

/** A reply of which no more comes. @param {Entry} entry @returns {Entry} */
function withoutRest(entry) {
  const lost = { ...entry, lost: true };
  return entry.complete ? lost : { ...lost, state: 'interrupted', word: null };
}

/** Whether the host has broken off this very speech. @param {Entry|undefined} entry @param {string} speechId */
function isCut(entry, speechId) {
  return entry?.cutUnder === speechId;
}

/** @param {{status: string}} task */
function isActive({ status }) {
  return status === 'queued' || status === 'running';
}

/** @param {State} state @param {Record<string, any>} task @returns {State} */
function withTask(state, task) {
  const { id, tool = '', status = 'running', progress = 0, detail = '' } = task;
  const shown = { id, tool, status, progress, detail };
  const at = state.tasks.findIndex((known) => known.id === id);
  const tasks = at < 0 ? [...state.tasks, shown] : state.tasks.with(at, shown);
  return { ...state, tasks: tasks.slice(-KEPT_TASKS) };
}
