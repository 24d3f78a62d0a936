// @ts-check
/** The thread that plays: `Playback` as an AudioWorklet of one output. */

import { Playback } from '../core/playback.js';

class PlaybackProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    const playback = new Playback(sampleRate, (report) => this.port.postMessage(report));
    this.port.onmessage = (event) => playback.receive(event.data);
    this.playback = playback;
  }

  /** @param {Float32Array[][]} _ @param {Float32Array[][]} outputs */
  process(_, [[first, ...others]]) {
    this.playback.render(first);
    for (const channel of others) channel.set(first);
    return true;
  }
}

registerProcessor('playback', PlaybackProcessor);
