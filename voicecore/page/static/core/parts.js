// @ts-check
/** What a session is made of in a browser. */

import { Connection } from './connection.js';
import { HOST_HZ } from './playback.js';
import { Speaker } from './speaker.js';

/** @typedef {import('./settings.js').Settings} Settings */

/** @param {Location} location @param {Settings} settings */
export function newConnection(location, settings) {
  const documented = new URLSearchParams(location.search).get('dialect') === 'documented';
  const query = {
    client: settings.get('client'),
    dialect: documented ? 'documented' : 'native',
    timeline: '1',
    partials: '1',
    words: '1',
  };
  return new Connection({ url: location.origin.replace(/^http/, 'ws'), query });
}

/** A speaker at the rate of the host's sound; if the browser refuses that, at its own. */
export async function newSpeaker() {
  const context = newContext();
  context.resume().catch(() => undefined); // allowed now, and after the next await perhaps not
  try {
    return await Speaker.create(context);
  } catch (error) {
    await context.close();
    throw error;
  }
}

function newContext() {
  try {
    return new AudioContext({ sampleRate: HOST_HZ, latencyHint: 'interactive' });
  } catch {
    return new AudioContext({ latencyHint: 'interactive' });
  }
}
