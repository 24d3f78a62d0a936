// @ts-check
/** What the person says. */

import { browserClock } from './clock.js';
import { Emitter } from './emitter.js';
import { SILENCE_DBFS } from './pcm.js';

const WORKLET = new URL('../worklets/capture.js', import.meta.url);
/** Nothing but zeros for this long at first: something is wrong, a switch, a driver, the system. */
const SILENT_MS = 5_000;
/** Later it may be one that is silent between words by itself; only a longer time is strange. */
const LATER_SILENT_MS = 20_000;

/**
 * @typedef {'off'|'asking'|'on'|'muted'|'missing'|'denied'|'busy'|'silent'|'insecure'} State
 * @typedef {object} Wishes
 * @property {string} [deviceId]
 * @property {boolean} [echoCancellation]
 * @property {boolean} [noiseSuppression]
 * @property {boolean} [autoGainControl]
 */

/** What the browser's error names mean. @type {Record<string, State>} */
const FAILURES = {
  NotAllowedError: 'denied',
  SecurityError: 'denied',
  NotFoundError: 'missing',
  OverconstrainedError: 'missing',
  NotReadableError: 'busy',
  AbortError: 'busy',
};

/** The worklet could not be fetched: that is no fault of the microphone, but of the host. */
class Unreachable extends Error {}

/**
 * Events: `frame` {samples: 320 of 16 kHz}, `level` {dbfs, peakDbfs} 20 times a second, `state`
 * {state, why}. While it is muted there are levels and no frames. `context`: the browser has
 * stopped it, or lets it run again.
 */
export class Microphone extends Emitter {
  /**
   * @param {object} [options]
   * @param {MediaDevices} [options.devices] undefined in insecure contexts
   * @param {() => AudioContext} [options.newContext]
   * @param {import('./clock.js').Clock} [options.clock]
   */
  constructor({ devices = navigator.mediaDevices, newContext, clock = browserClock } = {}) {
    super();
    this.devices = devices;
    this.newContext = newContext ?? (() => new AudioContext({ latencyHint: 'interactive' }));
    this.clock = clock;
    /** @type {State} */
    this.state = 'off';
    this.isMuted = false;
    /** Counts the starts: one that was stopped meanwhile must not go on. */
    this.number = 0;
    /** @type {MediaStream|null} */
    this.stream = null;
    /** @type {AudioContext|null} */
    this.context = null;
    /** It is off because the host was away when it was to be opened. */
    this.unreachable = false;
    this.lastSoundMs = 0;
    this.hasSounded = false;
  }

  get muted() {
    return this.isMuted;
  }

  set muted(muted) {
    this.isMuted = muted;
    this.stream?.getAudioTracks().forEach((track) => (track.enabled = !muted));
    this.lastSoundMs = this.clock.now();
    if (['on', 'muted', 'silent'].includes(this.state)) this.#become(muted ? 'muted' : 'on');
  }

  /**
   * Ask for it, and listen. Errors are told as a state.
   * @param {Wishes} [wishes]
   */
  async start(wishes = {}) {
    this.stop();
    const number = ++this.number;
    if (!this.devices?.getUserMedia) {
      this.#become('insecure');
      return;
    }
    this.#become('asking');
    this.unreachable = false;
    try {
      const stream = await this.#ask(wishes);
      if (number === this.number) await this.#listen(stream);
      else stopAll(stream);
    } catch (error) {
      if (number === this.number) this.#fail(/** @type {Error} */ (error));
    }
  }

  stop() {
    this.number++;
    this.unreachable = false;
    this.#release();
    if (this.state !== 'off') this.#become('off');
  }

  #release() {
    if (this.stream) stopAll(this.stream);
    this.stream = null;
    this.context?.close();
    this.context = null;
  }

  /** @param {Wishes} wishes @returns {Promise<MediaStream>} */
  async #ask({ deviceId, echoCancellation = true, noiseSuppression = true, autoGainControl = true }) {
    const audio = { channelCount: 1, echoCancellation, noiseSuppression, autoGainControl };
    if (!deviceId) return this.devices.getUserMedia({ audio });
    try {
      return await this.devices.getUserMedia({ audio: { ...audio, deviceId: { exact: deviceId } } });
    } catch (error) {
      const isGone = FAILURES[/** @type {Error} */ (error).name] === 'missing';
      if (!isGone) throw error;
      return this.devices.getUserMedia({ audio }); // another one is better than none
    }
  }

  /** @param {MediaStream} stream */
  async #listen(stream) {
    this.stream = stream;
    const context = this.newContext();
    this.context = context;
    await load(context);
    if (this.context !== context) return; // stopped meanwhile
    context.addEventListener('statechange', () => this.context === context && this.emit('context'));
    const node = new AudioWorkletNode(context, 'capture');
    node.port.onmessage = ({ data }) => this.#take(data);
    // Its output is silence; without one, some browsers would not run it.
    context.createMediaStreamSource(stream).connect(node).connect(context.destination);
    this.#watch(stream.getAudioTracks()[0]);
    this.hasSounded = false;
    this.muted = this.isMuted;
    this.#become(this.isMuted ? 'muted' : 'on');
    this.emit('context');
    await context.resume();
  }

  /** @param {MediaStreamTrack} track */
  #watch(track) {
    track.onended = () => {
      this.#release();
      this.#become('missing', 'unplugged');
    };
    // The system's own switch.
    track.onmute = () => this.#silent('switched off');
    track.onunmute = () => this.#heard();
  }

  /** @param {{samples?: Int16Array, level?: {dbfs: number, peakDbfs: number}}} heard */
  #take({ samples, level }) {
    if (samples && !this.isMuted) this.emit('frame', { samples });
    if (!level) return;
    this.emit('level', level);
    if (this.isMuted) return;
    const now = this.clock.now();
    if (level.peakDbfs > SILENCE_DBFS) {
      this.lastSoundMs = now;
      this.hasSounded = true;
      this.#heard();
    } else if (now - this.lastSoundMs > (this.hasSounded ? LATER_SILENT_MS : SILENT_MS)) {
      this.#silent('no sound');
    }
  }

  #heard() {
    if (this.state === 'silent') this.#become('on');
  }

  /** @param {string} why */
  #silent(why) {
    if (this.state === 'on') this.#become('silent', why);
  }

  /** @param {Error} error */
  #fail(error) {
    this.#release();
    if (error instanceof Unreachable) {
      this.unreachable = true;
      this.#become('off', 'unreachable');
      return;
    }
    // A policy of the page or the system forbids it, or its context is insecure after all.
    const insecure = error.name === 'SecurityError' && !globalThis.isSecureContext;
    this.#become(insecure ? 'insecure' : FAILURES[error.name] ?? 'missing', error.message);
  }

  /** @param {State} state */
  #become(state, why = '') {
    this.state = state;
    this.emit('state', { state, why });
  }
}

/** @param {AudioContext} context */
async function load(context) {
  try {
    await context.audioWorklet.addModule(WORKLET);
  } catch (error) {
    throw new Unreachable(String(error));
  }
}

/** @param {MediaStream} stream */
function stopAll(stream) {
  for (const track of stream.getTracks()) {
    track.onended = null;
    track.stop();
  }
}
