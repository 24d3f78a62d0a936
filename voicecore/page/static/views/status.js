// @ts-check
/** What the line under the face says. Pure: from the dialogue's state to keys of the page's words. */

/** Whether the microphone is open, or only muted: it stays so while the host is away. */
export function hearing(state) {
  return ['on', 'muted', 'silent'].includes(state.microphone.state);
}

/** Whether a conversation is under way: the person pressed Talk, or typed. */
export function begun(state) {
  return ['preparing', 'started'].includes(state.session.state) || hearing(state);
}

/** What the big button does now: "begin", "resume", "mute", "unmute" or "hold". */
export function purpose(state) {
  if (!hearing(state)) return !begun(state) && hasWords(state) ? 'resume' : 'begin';
  if (state.mode.mode === 'push-to-talk') return 'hold';
  return state.microphone.state === 'muted' ? 'unmute' : 'mute';
}

function hasWords(state) {
  return state.entries.some((entry) => entry.role !== 'notice');
}

/** The key of the status line. */
export function statusKey(state) {
  const { connection, microphone, session, phase } = state;
  if (microphone.state === 'asking') return 'status.asking';
  if (connection.state === 'waiting') return 'status.waiting';
  if (connection.state === 'connecting' && begun(state)) return 'status.connecting';
  if (session.state === 'preparing') return 'status.preparing';
  if (session.state === 'paused') return 'status.paused';
  if (phase === 'thinking' || phase === 'speaking') return `status.${phase}`;
  return begun(state) ? attentionKey(state) : restKey(state);
}

function restKey({ mode }) {
  return mode.mode === 'typing' ? 'status.typing' : 'status.idle';
}

function attentionKey(state) {
  const { microphone, phase, mode } = state;
  if (microphone.state === 'muted') return 'status.muted';
  if (phase === 'hearing') return 'status.hearing';
  if (state.wakeWord && hearing(state)) return 'status.asleep';
  if (mode.mode === 'typing' || !hearing(state)) return 'status.typing';
  return mode.mode === 'push-to-talk' && !mode.held ? 'status.push' : 'status.listening';
}

/** The key of the smaller line below, or "" for none. */
export function hintKey(state, kiosk = false) {
  const { microphone, session, phase, mode } = state;
  if (microphone.state === 'asking') return 'hint.asking';
  if (microphone.state === 'muted' && mode.mode === 'hands-free') return 'hint.muted';
  if (phase === 'speaking' && mode.mode === 'hands-free' && hearing(state)) return 'hint.interrupt';
  if (statusKey(state) === 'status.asleep') return 'hint.asleep';
  if (session.state === 'started') return statusKey(state) === 'status.push' ? 'hint.push' : '';
  if (begun(state)) return '';
  if (kiosk) return 'hint.kiosk';
  return mode.mode === 'typing' ? 'hint.typing' : 'hint.idle';
}
