// @ts-check
/** What the person hears. */

import { Emitter } from './emitter.js';
import { SILENCE_DBFS } from './pcm.js';
import { Playback } from './playback.js';

const WORKLET = new URL('../worklets/playback.js', import.meta.url);
/** Of a ScriptProcessor: two of them are the delay until it stops, 21 ms. */
const SCRIPT_SAMPLES = 512;

/** @typedef {import('./playback.js').Order} Order */
/** @typedef {import('./playback.js').Report} Report */

/**
 * Events: `started` {speechId, latencyMs}, `position` {speechId, ms}, `ended` {speechId, cut}: cut
 * if something stopped it. A speech that pauses for long ends, and starts again when more of it
 * comes. `context`: the browser has stopped the sound, or lets it run again.
 */
export class Speaker extends Emitter {
  /**
   * @param {AudioContext} context of 48 kHz if it can be had; its user closes it
   * @returns {Promise<Speaker>}
   */
  static async create(context) {
    const speaker = new Speaker(context);
    // Worklets exist in secure contexts only; a page on plain HTTP is to be heard as well.
    await (context.audioWorklet ? speaker.#useWorklet() : speaker.#useScript());
    return speaker;
  }

  /** @param {AudioContext} context */
  constructor(context) {
    super();
    this.context = context;
    this.level = SILENCE_DBFS;
    /** Sound that came while the browser did not play, such as before it was allowed to. */
    this.droppedSuspended = 0;
    /** What is being played. @type {string|null} */
    this.playing = null;
    this.reported = { underruns: 0, droppedStale: 0, droppedFull: 0, bufferedMs: 0, targetMs: 0 };
    /** @type {(order: Order, transfer?: Transferable[]) => void} */
    this.order = () => {};
    context.addEventListener('statechange', () => this.#changed());
  }

  /** Where nothing is played, nobody speaks; afterwards it may go on. */
  #changed() {
    if (this.context.state !== 'running' && this.playing !== null) this.#ended(this.playing, true);
    if (this.context.state !== 'closed') this.emit('context');
  }

  async #useWorklet() {
    await this.context.audioWorklet.addModule(WORKLET);
    const node = new AudioWorkletNode(this.context, 'playback', {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    node.port.onmessage = (event) => this.#take(event.data);
    this.order = (order, transfer = []) => node.port.postMessage(order, transfer);
    node.connect(this.context.destination);
    this.node = node;
  }

  #useScript() {
    const playback = new Playback(this.context.sampleRate, (report) => this.#take(report));
    const node = this.context.createScriptProcessor(SCRIPT_SAMPLES, 0, 1);
    node.onaudioprocess = (event) => playback.render(event.outputBuffer.getChannelData(0));
    this.order = (order) => playback.receive(order);
    node.connect(this.context.destination);
    this.node = node;
  }

  /** Between a sample's being rendered and its being heard. */
  get latencyMs() {
    return 1000 * (this.context.outputLatency || this.context.baseLatency || 0);
  }

  get stats() {
    return { ...this.reported, droppedSuspended: this.droppedSuspended };
  }

  /** @param {string} speechId @param {Int16Array} samples of 48 kHz; they are given away */
  play(speechId, samples) {
    if (this.context.state === 'running') {
      this.order({ type: 'play', id: speechId, samples }, [samples.buffer]);
    } else {
      this.droppedSuspended++;
    }
  }

  /**
   * Stop this speech, and what came before it: within 10 ms and the latency of the output. What
   * still comes of them is dropped.
   * @param {string|null} speechId null stops nothing
   */
  interrupt(speechId) {
    if (speechId !== null) this.order({ type: 'interrupt', id: speechId });
  }

  /** Stop whatever is played. */
  stop() {
    this.order({ type: 'stop' });
  }

  /** @param {Report} report */
  #take(report) {
    if (report.type === 'report') {
      this.level = report.dbfs;
      this.reported = report.stats;
      if (report.position && this.context.state === 'running') this.#tellPosition(report.position);
    } else if (report.type === 'started') {
      this.#started(report.id);
    } else {
      this.#ended(report.id, report.cut ?? false);
    }
  }

  /** @param {string} speechId */
  #started(speechId) {
    this.playing = speechId;
    this.emit('started', { speechId, latencyMs: this.latencyMs });
  }

  /** @param {string} speechId @param {boolean} cut */
  #ended(speechId, cut) {
    this.playing = null;
    this.emit('ended', { speechId, cut });
  }

  /** @param {{id: string, ms: number}} position of what was rendered */
  #tellPosition({ id, ms }) {
    if (this.playing !== id) this.#started(id); // the browser had stopped it
    this.emit('position', { speechId: id, ms: Math.max(0, ms - this.latencyMs) });
  }
}
