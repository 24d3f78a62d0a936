// @ts-check
/**
 * Which problem is shown, in which words, and what can be done about it.
 * Pure: from the dialogue's state to a description; `problem.js` shows it.
 */

/** Troubles of the connection that are said in words of their own; a short break ("lost") needs none. */
const CONNECTION = ['unreachable', 'starting', 'full', 'refused', 'stopping'];
const MICROPHONE = ['missing', 'denied', 'busy', 'silent', 'insecure'];
/** The page's own codes, each with a text of its own. */
const OWN = ['PICTURE_FAILED', 'CAMERA_DENIED'];
/** The host's codes whose title says more than "something went wrong". */
const TITLED = [
  'ENGINE_MISSING',
  'ENGINE_ERROR',
  'MODEL_ERROR',
  'STT_TIMEOUT',
  'NO_SPEECH',
  'EMPTY_REPLY',
  'TOOL_ERROR',
  'STORE_ERROR',
  'CANNOT_SEE',
  'UNKNOWN_CONVERSATION',
  'AUDIO_OVERRUN',
  'CLIENT_TOO_SLOW',
];

/**
 * @typedef {object} Problem
 * @property {string} id equal for the same problem: it is shown anew only when this changes
 * @property {string} title key of its title
 * @property {string} text key of its text, or ""
 * @property {string} quote the host's own words, or ""
 * @property {string[]} actions "retryNow", "useHere", "retry", "type", "dismiss": first is the main one
 * @property {boolean} mild nothing is broken: it only takes time
 * @property {number | null} retryInMs until the next try by itself
 */

/**
 * @param {object} state the dialogue's
 * @param {Problem | null} [before] what was shown last
 * @returns {Problem | null} the one that stands most in the way
 */
export function describe(state, before = null) {
  return (
    ofConnection(state.connection, before) ??
    ofSession(state) ??
    ofSound(state) ??
    ofMicrophone(state) ??
    ofHost(state.problem)
  );
}

function ofConnection({ state, why, retryInMs }, before) {
  if (why === 'superseded') return problem('superseded', { actions: ['useHere'], mild: true });
  // While the next try runs, the trouble is still the one that it was.
  if (state === 'connecting' && CONNECTION.includes(before?.id ?? ''))
    return { ...before, retryInMs: 0 };
  if (state !== 'waiting' || !CONNECTION.includes(why)) return null;
  return problem(why, {
    actions: ['retryNow'],
    mild: why === 'starting',
    retryInMs: retryInMs ?? null,
  });
}

function ofSession({ session, problem: told }) {
  if (session.state !== 'failed') return null;
  const quote = told?.message ?? '';
  return { ...problem('failed', { actions: ['retry'] }), text: '', quote, id: `failed ${quote}` };
}

function ofSound({ blocked }) {
  return blocked ? problem('blocked', { actions: ['retry'], mild: true }) : null;
}

function ofMicrophone({ microphone, mode }) {
  const name = microphone.state;
  if (mode.mode === 'typing' || !MICROPHONE.includes(name)) return null;
  const again = name === 'insecure' || name === 'silent' ? [] : ['retry'];
  return problem(name, { actions: [...again, 'type'], mild: name === 'silent' });
}

function ofHost(told) {
  if (!told) return null;
  if (OWN.includes(told.code))
    return problem(told.code, { actions: ['dismiss'], mild: true });
  const title = TITLED.includes(told.code) ? told.code : 'other';
  const shown = problem(title, { actions: ['dismiss'] });
  return { ...shown, text: '', quote: told.message ?? '', id: `${told.code} ${told.message}` };
}

function problem(name, { actions, mild = false, retryInMs = null }) {
  const title = `problem.${name}.title`;
  return { id: name, title, text: `problem.${name}.text`, quote: '', actions, mild, retryInMs };
}
