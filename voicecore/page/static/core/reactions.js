// @ts-check
/** What the host's messages have a session do, beside being shown. */

/** @typedef {import('./session.js').Session} Session */
/** @typedef {import('./wire.js').Message} Message */

/** @param {Session} session @param {Message} message */
export function react(session, message) {
  if (Object.hasOwn(REACTIONS, message.type)) REACTIONS[message.type](session, message);
}

/** @type {Record<string, (session: Session, message: Message) => void>} */
const REACTIONS = {
  user_activity: ({ speaker }, { interrupted_speech_id: id }) => speaker?.interrupt(id ?? null),
  user_transcript: ({ turnaround }) => turnaround.transcript(),
  session_started: (session, { session_id: id }) => void opened(session, id ?? null),
  session_failed: (session) => failed(session),
  status: (session, { code }) => {
    if (code === 'UNKNOWN_CONVERSATION') session.isUnknown = true;
  },
  catgirl_switched: (session, { new_catgirl: name }) => {
    session.settings.set('character', ''); // the host decides
    session.moveTo(String(name), { keep: true });
  },
};

/** A conversation is open: show what was said in it, once. @param {Session} session */
async function opened(session, /** @type {string|null} */ id) {
  session.conversation = { id, fresh: false };
  session.sendTexts();
  if (!id || session.shown === id) return;
  session.shown = id;
  try {
    const messages = await session.api.conversation(session.connection.character, id);
    if (session.shown === id) session.dispatch({ type: 'local.loaded_history', messages });
  } catch {
    // Nobody asked for it, and the conversation goes on without.
  }
}

/** The host could not start. If the conversation is gone, go on with the last one there is. */
function failed(/** @type {Session} */ session) {
  session.streaming = false;
  if (!session.isUnknown || session.conversation.id === null) return;
  session.conversation = { id: null, fresh: false };
  session.start();
}
