// @ts-check
/** What the person shows goes to the host, and what comes of it is known. */

/** Bytes that may wait in the browser when another picture is sent. */
const MAX_WAITING_BYTES = 256 * 1024;

/** @typedef {import('./session.js').Session} Session */

/** @param {Session} session */
export function sharePictures(session) {
  session.picture.on('state', (detail) => shared(session, detail));
  session.picture.on('picture', ({ kind, dataUrl }) => show(session, kind, dataUrl));
}

/** @param {Session} session @param {{kind: string|null, why: string, asked: string|null}} detail */
function shared(session, { kind, why, asked }) {
  session.dispatch({ type: 'local.sharing', kind });
  if (!why) return;
  const denied = why === 'NotAllowedError';
  // A person who closes the browser's list of screens needs not be told that they did.
  if (denied && asked === 'screen') return;
  const code = denied ? 'CAMERA_DENIED' : 'PICTURE_FAILED';
  session.dispatch({ type: 'local.problem', code, message: why });
}

/** @param {Session} session @param {string} input_type @param {string} data */
function show(session, input_type, data) {
  const waiting = session.connection.socket?.bufferedAmount ?? 0;
  if (!session.streaming || waiting > MAX_WAITING_BYTES) {
    session.picture.again();
    return;
  }
  session.connection.send({ action: 'stream_data', input_type, data });
  session.dispatch({ type: 'local.sharing', kind: input_type, picture: data });
}
