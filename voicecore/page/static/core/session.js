// @ts-check
/** A conversation with the host: connection, ears and mouth, and what is known of it. */

import { Api } from './api.js';
import { Button } from './button.js';
import { CAPTURE_HZ } from './capture.js';
import { browserClock, delay } from './clock.js';
import { Crossing } from './crossing.js';
import { describe } from './debug.js';
import { initial, reduce } from './dialogue.js';
import { Emitter } from './emitter.js';
import { follow } from './follow.js';
import { Microphone } from './microphone.js';
import { newConnection, newSpeaker } from './parts.js';
import { Picture } from './picture.js';
import { SILENCE_DBFS } from './pcm.js';
import { react } from './reactions.js';
import { Settings } from './settings.js';
import { sharePictures } from './sharing.js';
import { openSpeaker, sound } from './sound.js';
import { Turnaround, levelOf } from './turnaround.js';
import { Watch } from './watch.js';
import { turnOf } from './wire.js';

/** Silence after which the host's ears are sure that a turn has ended. */
const END_OF_TURN_MS = 1_500;
/** Typed messages that wait for a connection. */
const MAX_WAITING_TEXTS = 16;
/** The loudspeaker's worklet comes from the host: one that is away must not hold up the rest. */
const OPEN_SPEAKER_MS = 2_000;
const KEPT_TURNS = 50;

/** @typedef {import('./settings.js').Mode} Mode */
/** @typedef {import('./connection.js').Connection} Connection */
/** @typedef {import('./speaker.js').Speaker} Speaker */
/** @typedef {{id: string|null, fresh: boolean}} Conversation */

/** Event: `change`, whenever `state` is another. */
export class Session extends Emitter {
  /**
   * @param {object} [parts] all of them may be replaced in tests
   * @param {Settings} [parts.settings]
   * @param {Window} [parts.page]
   * @param {Connection} [parts.connection]
   * @param {Microphone} [parts.microphone]
   * @param {Picture} [parts.picture]
   * @param {Api} [parts.api]
   * @param {() => Promise<Speaker>} [parts.newSpeaker]
   * @param {import('./clock.js').Clock} [parts.clock]
   */
  constructor({ settings = new Settings(), page = window, clock = browserClock, ...parts } = {}) {
    super();
    this.settings = settings;
    this.page = page;
    this.clock = clock;
    this.connection = parts.connection ?? newConnection(page.location, settings);
    this.microphone = parts.microphone ?? new Microphone();
    this.picture = parts.picture ?? new Picture();
    this.api = parts.api ?? new Api({ client: settings.get('client') });
    this.newSpeaker = parts.newSpeaker ?? newSpeaker;
    /** @type {Speaker|null} */
    this.speaker = null;
    /** While it is being made. @type {Promise<void>|null} */
    this.opening = null;
    this.button = new Button(clock, () => this.#endTurn());
    this.crossing = new Crossing();
    this.state = initial();
    this.turnaround = new Turnaround();
    this.watch = new Watch();
    /** How long the person waited for each answer. @type {{turn: string, ms: number}[]} */
    this.voiceToVoice = [];
    this.level = { dbfs: SILENCE_DBFS, peakDbfs: SILENCE_DBFS };
    /** The person has begun, and not ended. */
    this.wanted = false;
    this.paused = false;
    /** A start was sent on this connection: the host listens. */
    this.streaming = false;
    /** Which conversation: the last one, unless it says otherwise. @type {Conversation} */
    this.conversation = { id: null, fresh: false };
    /** Whose history is shown. @type {string|null} */
    this.shown = null;
    this.isUnknown = this.reloading = false;
    /** @type {string[]} */
    this.texts = [];
    this.#wire();
    follow(this);
    this.dispatch({ type: 'local.mode', mode: settings.get('mode') });
  }

  /** @param {import('./dialogue.js').Happening} event */
  dispatch(event) {
    const state = reduce(this.state, event);
    if (state === this.state) return;
    this.state = state;
    this.watch.see(state, this.clock.now());
    this.emit('change', state);
    this.#reloadIfDue();
  }

  // --- what the person does ---

  /** Begin to talk, or to type. To be called when the person presses something. */
  async begin({ microphone = this.settings.get('mode') !== 'typing' } = {}) {
    const opening = openSpeaker(this); // before anything is awaited: only now it is allowed
    this.wanted = true;
    this.paused = false;
    if (microphone) this.openMicrophone();
    await Promise.race([opening, delay(this.clock, OPEN_SPEAKER_MS)]);
    if (this.connection.state === 'open') {
      if (!this.streaming) this.start();
    } else if (this.connection.state === 'idle') {
      await this.#connect();
    } else {
      this.connection.wake();
    }
  }

  /** @param {string} text */
  async type(text) {
    if (!text.trim()) return;
    this.dispatch({ type: 'local.sent', text });
    this.turnaround.typed();
    this.texts = [...this.texts, text].slice(-MAX_WAITING_TEXTS);
    if (!this.wanted || this.paused) await this.begin({ microphone: false });
    else if (this.connection.state === 'open' && !this.streaming) this.start();
    this.sendTexts();
  }

  /** All that is in flight stops; the microphone is given back. */
  pause() {
    this.paused = true;
    this.#quiet();
    this.connection.send({ action: 'pause_session' });
  }

  async resume() {
    await this.begin();
  }

  /** The conversation is over, and kept by the host; who begins again goes on with it. */
  end() {
    this.wanted = this.paused = false;
    this.#quiet();
    this.microphone.muted = false;
    this.picture.stop();
    this.connection.send({ action: 'end_session' });
  }

  async newConversation() {
    await this.#converse({ id: null, fresh: true });
  }

  /** Go on with an earlier conversation. @param {string} id */
  async resumeConversation(id) {
    await this.#converse({ id, fresh: false });
  }

  /** @param {string} name */
  switchCharacter(name) {
    this.settings.set('character', name);
    this.moveTo(name);
  }

  /**
   * Talk to this character from now on.
   * @param {string} name @param {{keep?: boolean}} [options] what was typed and not sent yet is for them
   */
  moveTo(name, { keep = false } = {}) {
    const waiting = keep ? this.texts : [];
    this.forget({ id: null, fresh: false });
    for (const text of (this.texts = waiting)) this.dispatch({ type: 'local.sent', text });
    this.dispatch({ type: 'local.character', name });
    if (this.connection.state !== 'idle') this.connection.open(name);
  }

  /** @param {Mode} mode */
  setMode(mode) {
    this.settings.set('mode', mode);
    this.button.drop();
    this.#endTurn();
    this.dispatch({ type: 'local.mode', mode });
    if (!this.wanted || this.paused) return;
    if (mode === 'typing') this.microphone.stop();
    else if (this.microphone.state === 'off') this.openMicrophone();
  }

  /** @param {boolean} muted */
  mute(muted) {
    this.microphone.muted = muted;
    if (muted) this.#endTurn();
  }

  /** The button is held, or was released. @param {boolean} held */
  pushToTalk(held) {
    if (held === this.button.held) return;
    if (held) this.button.press();
    else this.button.release();
    this.dispatch({ type: 'local.mode', held });
    if (held && (!this.wanted || this.paused)) this.begin();
  }

  /** @param {'screen'|'camera'|null} kind */
  async share(kind) {
    if (kind) await this.picture.start(kind);
    else this.picture.stop();
  }

  /** Have the character say no more. The protocol's word for it is to start again. */
  stopReply() {
    this.speaker?.stop();
    const { phase } = this.state;
    if (this.streaming && (phase === 'speaking' || phase === 'thinking')) this.start();
  }

  /** @param {'problem'|'notification'} what @param {string} [id] */
  dismiss(what, id) {
    this.dispatch({ type: 'local.dismissed', what, id });
  }

  /** How loud it is now; to be read as often as is liked. */
  get levels() {
    return { microphoneDbfs: this.level.dbfs, speakerDbfs: this.speaker?.level ?? SILENCE_DBFS };
  }

  debug() {
    return describe(this);
  }

  // --- how it is done ---

  /** Begin, or go on with, that conversation. @param {Conversation} conversation */
  async #converse(conversation) {
    this.forget(conversation);
    if (!this.streaming || this.paused) {
      await this.begin();
      return;
    }
    // The host takes no start while another one is under way.
    const starting = this.crossing.unanswered > 0 || this.state.session.state === 'preparing';
    if (starting) this.connection.send({ action: 'pause_session' });
    this.start();
  }

  /**
   * Nothing of the present conversation is to be seen or heard, nor gone on with, any more.
   * @param {Conversation} [conversation] what is begun next
   */
  forget(conversation = { id: null, fresh: true }) {
    this.crossing.leave();
    this.speaker?.stop();
    this.conversation = conversation;
    this.shown = null;
    this.texts = [];
    this.dispatch({ type: 'local.cleared' });
  }

  #quiet() {
    this.streaming = false;
    this.button.drop();
    this.speaker?.stop();
    this.microphone.stop();
  }

  /** Ask for the microphone, unless it is in use. */
  openMicrophone() {
    const { deviceId, noiseSuppression, autoGainControl } = this.settings.values;
    if (['off', 'missing', 'denied', 'busy', 'insecure'].includes(this.microphone.state)) {
      this.microphone.start({ deviceId, noiseSuppression, autoGainControl });
    }
  }

  async #connect() {
    const character = this.settings.get('character') || (await this.#active());
    this.dispatch({ type: 'local.character', name: character });
    if (this.wanted && this.connection.state === 'idle') this.connection.open(character);
  }

  /** Who is active at the host; `default` always exists. */
  async #active() {
    try {
      return (await this.api.characters()).current;
    } catch {
      return 'default';
    }
  }

  /** Have the host begin, or begin anew, to listen. */
  start() {
    const { id, fresh } = this.conversation;
    const input_type = this.settings.get('mode') === 'typing' ? 'text' : 'audio';
    const named = id && !fresh ? { session_id: id } : {};
    this.isUnknown = false;
    this.streaming = this.connection.send({
      action: 'start_session', input_type, new_session: fresh, ...named,
    });
    if (this.streaming) this.crossing.asked();
    this.picture.again();
  }

  /** Send what was typed, once there is a session to take it: a break before that loses nothing. */
  sendTexts() {
    if (!this.streaming || this.state.session.state !== 'started') return;
    for (const data of this.texts.splice(0)) {
      this.connection.send({ action: 'stream_data', input_type: 'text', data });
    }
  }

  /** The host is to find that the person has ended, though no more sound comes. */
  #endTurn() {
    if (this.streaming) this.connection.sendSilence(END_OF_TURN_MS);
  }

  /** Whether what the microphone hears is for the host. */
  get listening() {
    const mode = this.settings.get('mode');
    return this.streaming && (mode === 'hands-free' || (mode === 'push-to-talk' && this.button.sends));
  }

  /** The page is looked at again; browsers may have stopped things meanwhile. */
  wake() {
    this.connection.wake();
    if (this.wanted) sound(this);
  }

  /** Stop waiting for what does not come. */
  lookAfter() {
    const nowMs = this.clock.now();
    const overdue = this.watch.overdue(nowMs, this.turnaround.quietMs(nowMs));
    if (overdue) this.dispatch({ type: 'local.quiet' });
  }

  #wire() {
    const { connection, microphone } = this;
    connection.on('state', (detail) => this.#connected(detail));
    connection.on('message', (message) => this.#told(message));
    connection.on('sound', (piece) => this.#play(piece));
    microphone.on('state', (detail) => this.dispatch({ type: 'local.microphone', ...detail }));
    microphone.on('level', (level) => (this.level = level));
    microphone.on('frame', ({ samples }) => this.#heard(samples));
    microphone.on('context', () => void sound(this));
    sharePictures(this);
  }

  /** @param {{state: string, why: string, retryInMs: number}} detail */
  #connected(detail) {
    this.streaming = false;
    this.crossing.reset();
    this.dispatch({ type: 'local.connection', ...detail });
    if (detail.why === 'superseded') {
      this.wanted = false;
      this.#quiet();
      this.picture.stop();
    } else if (detail.state === 'open' && this.wanted && !this.paused) {
      this.#reopen();
      this.start();
    }
  }

  /** What could not be fetched while the host was away can be now. */
  #reopen() {
    if (!this.speaker) openSpeaker(this);
    if (this.microphone.unreachable) this.openMicrophone();
  }

  /** @param {{speechId: string, samples: Int16Array}} piece of a reply */
  #play({ speechId, samples }) {
    if (!this.crossing.left) this.speaker?.play(speechId, samples);
  }

  /** @param {import('./wire.js').Message} message */
  #told(message) {
    if (!this.crossing.admits(message)) return;
    this.dispatch(message);
    react(this, message);
  }

  /** @param {Int16Array} samples */
  #heard(samples) {
    this.turnaround.frame(levelOf(samples), this.clock.now());
    if (this.listening) this.connection.sendSound(samples, CAPTURE_HZ);
  }

  /** A reply begins to be heard. @param {{speechId: string, latencyMs: number}} detail */
  speaks({ speechId, latencyMs }) {
    const ms = this.turnaround.answered(this.clock.now() + latencyMs);
    if (ms !== null) {
      const measured = { turn: turnOf(speechId), ms: Math.round(ms) };
      this.voiceToVoice = [...this.voiceToVoice, measured].slice(-KEPT_TURNS);
    }
    this.dispatch({ type: 'local.speech_started', speechId });
  }

  #reloadIfDue() {
    const { reload, phase } = this.state;
    const atRest = phase === 'idle' || phase === 'listening';
    if (reload === null || !atRest || this.speaker?.playing || this.reloading) return;
    this.reloading = true;
    this.page.location.reload();
  }
}
