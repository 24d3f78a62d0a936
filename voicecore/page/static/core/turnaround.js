// @ts-check
/** When the person speaks, and how long they wait for an answer. */

import { dbfs } from './pcm.js';

/** What a microphone gives without speech is at most this much above its quietest. */
const ABOVE_NOISE_DB = 12;
/** Below this nothing counts as speech. */
const FAINTEST_DBFS = -60;
/** The noise is the quietest that was heard, and may rise by so much in each frame of 20 ms. */
const RISE_DB = 0.05;
/** An answer after this long answers something else. */
const LONGEST_MS = 30_000;

/** Loudness of a frame. @param {Int16Array} samples */
export function levelOf(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  return dbfs(Math.sqrt(power) / 32768);
}

/** Measures from the last frame above the noise to the first sound of the answer. */
export class Turnaround {
  constructor() {
    this.noiseDbfs = 0;
    /** When a frame was last above the noise. */
    this.voiceMs = -Infinity;
    /** When it was at the last words that the host understood. @type {number|null} */
    this.endedMs = null;
  }

  /** @param {number} level of a frame, in dBFS @param {number} nowMs */
  frame(level, nowMs) {
    this.noiseDbfs = Math.min(level, this.noiseDbfs + RISE_DB);
    if (level > Math.max(FAINTEST_DBFS, this.noiseDbfs + ABOVE_NOISE_DB)) this.voiceMs = nowMs;
  }

  /** The host has understood something. */
  transcript() {
    this.endedMs = Number.isFinite(this.voiceMs) ? this.voiceMs : null;
  }

  /** The person has typed: the next answer is to that. */
  typed() {
    this.endedMs = null;
  }

  /** @param {number} heardMs when sound is first heard @returns {number|null} if it is an answer */
  answered(heardMs) {
    const ms = this.endedMs === null ? Infinity : heardMs - this.endedMs;
    this.endedMs = null;
    return ms < LONGEST_MS ? ms : null;
  }

  /** For how long nothing was heard. @param {number} nowMs */
  quietMs(nowMs) {
    return nowMs - this.voiceMs;
  }
}
