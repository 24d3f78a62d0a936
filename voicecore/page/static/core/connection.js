// @ts-check
/** The connection to the host: it comes back by itself. */

import { browserFetch } from './api.js';
import { Backoff, Heartbeat } from './backoff.js';
import { browserClock } from './clock.js';
import { Emitter } from './emitter.js';
import { MAX_FRAME_MS, Reader, soundFrame, soundMessage } from './wire.js';

const PING_MS = 10_000;
/** A network that swallows packets would let a browser wait for minutes. */
const CONNECT_MS = 10_000;
const HEALTH_MS = 3_000;
/** A connection that lasted this long was a success. */
const STABLE_MS = 5_000;
/** Sound that may wait in the browser; what is later than this is of no use to the host. */
const WAITING_MS = 500;
const CLOSED_NORMALLY = 1000;
const HOST_STOPS = 1001;
/** Told by the host before it closes a connection that a newer one has taken over. */
const SUPERSEDED = 'SUPERSEDED';

/**
 * @typedef {'idle'|'connecting'|'open'|'waiting'} State
 * @typedef {''|'lost'|'stopping'|'starting'|'full'|'refused'|'unreachable'|'superseded'} Why
 */

/**
 * Events: `state` {state, retryInMs, why}, `message` (as `Reader` reads it), `sound`
 * {speechId, samples}, `ping` {rttMs}.
 */
export class Connection extends Emitter {
  /**
   * @param {object} options
   * @param {string} options.url such as `ws://localhost:8000`
   * @param {Record<string, string>} [options.query] of every connection
   * @param {typeof WebSocket} [options.webSocket]
   * @param {import('./clock.js').Clock} [options.clock]
   * @param {typeof fetch} [options.fetch]
   * @param {() => number} [options.random]
   */
  constructor({ url, query = {}, webSocket = WebSocket, clock = browserClock, ...others }) {
    super();
    this.url = url;
    this.query = query;
    this.webSocket = webSocket;
    this.clock = clock;
    this.fetch = others.fetch ?? browserFetch;
    /** @type {State} */
    this.state = 'idle';
    /** @type {Why} */
    this.why = '';
    this.character = '';
    this.droppedFrames = 0;
    this.reader = new Reader();
    this.heartbeat = new Heartbeat();
    this.backoff = new Backoff(others.random);
    /** @type {WebSocket|null} */
    this.socket = null;
    this.openedMs = 0;
    this.retryAtMs = 0;
    this.superseded = false;
    /** Bytes that are no sound and may still wait to be sent. */
    this.otherBytes = 0;
    /** @type {unknown} */
    this.timer = null;
  }

  /** Connect to a character, instead of whatever there was. @param {string} character */
  open(character) {
    this.#leave();
    this.character = character;
    this.backoff.reset();
    this.#connect();
  }

  close() {
    this.#leave();
    this.#become('idle');
  }

  /** The network is back, or the person: do not wait for the next try. */
  wake() {
    if (this.state === 'waiting') {
      this.clock.clearTimeout(this.timer);
      this.#connect();
    } else if (this.state === 'open') {
      this.#ping();
    }
  }

  /** @param {object} message @returns {boolean} whether there was a connection to send it on */
  send(message) {
    if (this.state !== 'open' || !this.socket) return false;
    if ('input_type' in message && message.input_type === 'text') this.reader.asked();
    const text = JSON.stringify(message);
    this.#forgetSent();
    this.otherBytes += text.length;
    this.socket.send(text);
    return true;
  }

  /**
   * Send sound of the microphone. It is dropped, and counted, if what was sent before still waits.
   * @param {Int16Array} samples @param {number} rateHz
   */
  sendSound(samples, rateHz) {
    if (this.state !== 'open' || !this.socket) return;
    this.#forgetSent();
    const waiting = this.socket.bufferedAmount - this.otherBytes;
    if (waiting > (2 * rateHz * WAITING_MS) / 1000) this.droppedFrames++;
    else this.#sendSound(samples, rateHz);
  }

  /** Send silence at once, so that the host finds that the person has ended. @param {number} ms */
  sendSilence(ms, rateHz = 16_000) {
    if (this.state !== 'open') return;
    for (let left = ms; left > 0; left -= MAX_FRAME_MS) {
      const samples = (Math.min(left, MAX_FRAME_MS) * rateHz) / 1000;
      this.otherBytes += this.#sendSound(new Int16Array(samples), rateHz);
    }
  }

  /** @param {Int16Array} samples @param {number} rateHz @returns {number} bytes */
  #sendSound(samples, rateHz) {
    const isDocumented = this.query.dialect === 'documented';
    const frame = isDocumented
      ? JSON.stringify(soundMessage(samples, rateHz))
      : soundFrame(samples, rateHz);
    this.socket?.send(frame);
    return frame.length;
  }

  #forgetSent() {
    if (this.socket?.bufferedAmount === 0) this.otherBytes = 0;
  }

  // --- its life ---

  #connect() {
    const query = new URLSearchParams(this.query);
    const path = `/ws/${encodeURIComponent(this.character)}?${query}`;
    const socket = new this.webSocket(this.url + path);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#read(event.data);
    socket.onclose = (event) => this.#lost(event.code);
    this.socket = socket;
    this.reader.reset();
    this.heartbeat = new Heartbeat();
    this.superseded = false;
    this.otherBytes = 0;
    this.#become('connecting');
    this.timer = this.clock.setTimeout(() => this.#lost(0), CONNECT_MS);
  }

  #opened() {
    this.clock.clearTimeout(this.timer);
    this.openedMs = this.clock.now();
    this.#become('open');
    this.#beat();
  }

  #beat() {
    if (this.heartbeat.dead) {
      this.#lost(0);
      return;
    }
    this.#ping();
    this.timer = this.clock.setTimeout(() => this.#beat(), PING_MS);
  }

  #ping() {
    this.heartbeat.ping(this.clock.now());
    this.send({ action: 'ping' });
  }

  /** @param {string|ArrayBuffer} data */
  #read(data) {
    const message = this.reader.read(data);
    if (message?.type === 'audio') {
      this.emit('sound', { speechId: message.speech_id, samples: message.samples });
    } else if (message?.type === 'pong') {
      const rttMs = this.heartbeat.pong(this.clock.now());
      if (rttMs !== null) this.emit('ping', { rttMs });
    } else if (message) {
      if (message.code === SUPERSEDED) this.superseded = true;
      this.emit('message', message);
    }
  }

  /** Have nothing more to do with the socket. */
  #leave() {
    this.clock.clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(CLOSED_NORMALLY);
  }

  /** @param {number} code how it was closed */
  #lost(code) {
    const wasOpen = this.state === 'open';
    if (wasOpen && this.clock.now() - this.openedMs > STABLE_MS) this.backoff.reset();
    this.#leave();
    if (this.superseded) {
      this.#become('idle', 'superseded');
      return;
    }
    const waitMs = this.backoff.next();
    this.retryAtMs = this.clock.now() + waitMs;
    this.timer = this.clock.setTimeout(() => this.#connect(), waitMs);
    this.#become('waiting', code === HOST_STOPS ? 'stopping' : 'lost');
    if (!wasOpen) this.#explain(this.timer);
  }

  /** A browser does not tell why a WebSocket was refused: ask. @param {unknown} timer */
  async #explain(timer) {
    const why = await this.#health();
    if (this.state === 'waiting' && this.timer === timer) this.#become('waiting', why);
  }

  /** @returns {Promise<Why>} */
  async #health() {
    const url = `${this.url.replace(/^ws/, 'http')}/healthz`;
    try {
      const answer = await this.fetch(url, { signal: AbortSignal.timeout(HEALTH_MS) });
      const { status, full } = await answer.json();
      if (status === 'stopping') return 'stopping';
      if (status === 'warming up') return 'starting';
      return full === true ? 'full' : 'refused';
    } catch {
      return 'unreachable';
    }
  }

  /** @param {State} state @param {Why} [why] */
  #become(state, why = '') {
    this.state = state;
    this.why = why;
    const left = Math.max(0, this.retryAtMs - this.clock.now());
    const retryInMs = state === 'waiting' ? left : 0;
    this.emit('state', { state, why, retryInMs });
  }
}
