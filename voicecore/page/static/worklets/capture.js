// @ts-check
/** The thread that listens: `Capture` as an AudioWorklet of one input. */

import { Capture } from '../core/capture.js';

class CaptureProcessor extends AudioWorkletProcessor {
  constructor() {
    super();
    this.capture = new Capture(sampleRate);
  }

  /** @param {Float32Array[][]} inputs */
  process([channels]) {
    const { frames, levels } = this.capture.feed(channels);
    for (const samples of frames) this.port.postMessage({ samples }, [samples.buffer]);
    for (const level of levels) this.port.postMessage({ level });
    return true;
  }
}

registerProcessor('capture', CaptureProcessor);
