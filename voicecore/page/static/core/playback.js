// @ts-check
/** What plays: a jitter buffer that is told what to do, and tells how it goes, by messages. */

import { JitterBuffer } from './jitter.js';
import { Meter, SILENCE_DBFS, toFloat } from './pcm.js';
import { Resampler } from './resampler.js';

/** Of what the host sends. */
export const HOST_HZ = 48_000;
/** How often it tells where it is. */
export const REPORT_MS = 50;

/**
 * @typedef {{type: 'play', id: string, samples: Int16Array} | {type: 'interrupt', id: string}
 *   | {type: 'stop'}} Order
 * @typedef {{underruns: number, droppedStale: number, droppedFull: number, bufferedMs: number,
 *   targetMs: number}} Stats
 * @typedef {{type: 'started'|'ended', id: string, cut?: boolean}
 *   | {type: 'report', position: {id: string, ms: number}|null, dbfs: number, stats: Stats}} Report
 */

/** Runs wherever samples are asked for: in an AudioWorklet, a ScriptProcessor, or a test. */
export class Playback {
  /**
   * @param {number} rateHz of what is asked for
   * @param {(report: Report) => void} tell
   */
  constructor(rateHz, tell) {
    this.rateHz = rateHz;
    this.tell = tell;
    this.buffer = new JitterBuffer(rateHz);
    this.meter = new Meter(Math.round((rateHz * REPORT_MS) / 1000));
    this.resampledId = '';
    this.resampler = new Resampler({ fromHz: HOST_HZ, toHz: rateHz });
    /** Samples to be left out: what a filter gives before its sound begins. */
    this.early = 0;
    this.idle = true;
  }

  /** @param {Order} order */
  receive(order) {
    if (order.type === 'play') {
      this.buffer.push(order.id, this.#atOurRate(order.id, toFloat(order.samples)));
      return;
    }
    const ended =
      order.type === 'stop' ? this.buffer.stop() : this.buffer.interrupt(order.id);
    ended.forEach(this.tell);
  }

  /** @param {string} id @param {Float32Array} samples */
  #atOurRate(id, samples) {
    if (this.rateHz === HOST_HZ) return samples;
    if (id !== this.resampledId) {
      this.resampledId = id;
      this.resampler = new Resampler({ fromHz: HOST_HZ, toHz: this.rateHz });
      this.early = this.resampler.delay;
    }
    const found = this.resampler.feed(samples);
    const sound = found.subarray(this.early);
    this.early = Math.max(0, this.early - found.length);
    return sound;
  }

  /** @param {Float32Array} out filled with what is to be heard next */
  render(out) {
    this.buffer.pull(out).forEach(this.tell);
    for (const level of this.meter.feed(out)) this.#report(level.dbfs);
  }

  /** Tell how it goes; while there is nothing to be heard, once is enough. */
  #report(/** @type {number} */ dbfs) {
    const { position, bufferedMs, targetMs, underruns, droppedStale, droppedFull } = this.buffer;
    const idle = position === null && bufferedMs === 0 && dbfs <= SILENCE_DBFS;
    if (idle && this.idle) return;
    this.idle = idle;
    const stats = { underruns, droppedStale, droppedFull, bufferedMs, targetMs };
    this.tell({ type: 'report', position, dbfs, stats });
  }
}
