// @ts-check
/** From what a microphone gives to what the host is sent: frames of 20 ms at 16 kHz. */

import { Meter, toInt16 } from './pcm.js';
import { Resampler } from './resampler.js';

export const CAPTURE_HZ = 16_000;
/** 20 ms. */
export const FRAME_SAMPLES = 320;
const LEVEL_MS = 50;

/** @typedef {{dbfs: number, peakDbfs: number}} Level */

/** Blocks of any size and rate in, whole frames and levels out. */
export class Capture {
  /** @param {number} rateHz of what comes */
  constructor(rateHz) {
    this.resampler = new Resampler({ fromHz: rateHz, toHz: CAPTURE_HZ });
    this.meter = new Meter((CAPTURE_HZ * LEVEL_MS) / 1000);
    this.frame = new Float32Array(FRAME_SAMPLES);
    this.filled = 0;
  }

  /**
   * @param {Float32Array[]} channels of one block; their mean is taken
   * @returns {{frames: Int16Array[], levels: Level[]}}
   */
  feed(channels) {
    if (channels.length === 0) return { frames: [], levels: [] };
    const samples = this.resampler.feed(mean(channels));
    return { frames: this.#cut(samples), levels: this.meter.feed(samples) };
  }

  /** @param {Float32Array} samples */
  #cut(samples) {
    const frames = [];
    for (const sample of samples) {
      this.frame[this.filled++] = sample;
      if (this.filled < FRAME_SAMPLES) continue;
      frames.push(toInt16(this.frame));
      this.filled = 0;
    }
    return frames;
  }
}

/** @param {Float32Array[]} channels @returns {Float32Array} */
function mean(channels) {
  if (channels.length === 1) return channels[0];
  return channels[0].map(
    (_, i) => channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length,
  );
}
