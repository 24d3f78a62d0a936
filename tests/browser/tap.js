// Runs beside the page's own worklets in every AudioContext: hands on what the page plays.
"use strict";

/** Render quanta in one message: 1280 samples, 27 ms at 48 kHz. */
const QUANTA = 10;

class Tap extends AudioWorkletProcessor {
  constructor() {
    super();
    this.quanta = [];
    this.start = 0;
  }

  process(inputs) {
    if (!this.quanta.length) this.start = currentFrame;
    this.quanta.push(mixed(inputs[0]));
    if (this.quanta.length === QUANTA) {
      const samples = new Float32Array(QUANTA * 128);
      this.quanta.forEach((quantum, index) => samples.set(quantum, index * 128));
      this.port.postMessage({ start: this.start, samples }, [samples.buffer]);
      this.quanta = [];
    }
    return true;
  }
}

/** The channels of one quantum added up; silence when nothing is connected or playing. */
function mixed(channels) {
  const sum = new Float32Array(128);
  for (const channel of channels) {
    for (let index = 0; index < 128; index += 1) sum[index] += channel[index] / channels.length;
  }
  return sum;
}

registerProcessor("test-tap", Tap);
