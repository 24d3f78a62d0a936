// @ts-check

/** @typedef {import('./session.js').Session} Session */

/** What a developer may want to know, as plain data. @param {Session} session */
export function describe(session) {
  const { connection, speaker, microphone, state } = session;
  const noiseDbfs = session.turnaround.noiseDbfs;
  // The client's id is the key to what this person has said: people paste this where others read it.
  const { client: _, ...query } = connection.query;
  return {
    at: new Date().toISOString(),
    browser: session.page.navigator?.userAgent ?? '',
    connection: { ...state.connection, character: connection.character, query },
    session: state.session,
    microphone: { state: microphone.state, ...session.level, noiseDbfs },
    levels: session.levels,
    rttMs: connection.heartbeat.rttMs,
    droppedFrames: connection.droppedFrames,
    outputLatencyMs: speaker?.latencyMs ?? null,
    ...speaker?.stats,
    voiceToVoice: session.voiceToVoice,
    timelines: state.timelines,
  };
}
