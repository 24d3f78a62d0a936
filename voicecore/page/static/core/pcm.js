// @ts-check
/** Samples as numbers, as bytes, and how loud they are. */

/** What a level is called that is no sound at all. */
export const SILENCE_DBFS = -100;

/** @param {Float32Array} samples from -1 to 1 @returns {Int16Array} */
export function toInt16(samples) {
  const out = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    out[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32768)));
  }
  return out;
}

/** @param {Int16Array} samples @returns {Float32Array} */
export function toFloat(samples) {
  const out = new Float32Array(samples.length);
  for (let i = 0; i < samples.length; i++) out[i] = samples[i] / 32768;
  return out;
}

/**
 * Read 16-bit little-endian sound; half a sample at the end is left out.
 * @param {ArrayBuffer} bytes
 */
export function fromBytes(bytes) {
  const view = new DataView(bytes);
  const out = new Int16Array(bytes.byteLength >> 1);
  for (let i = 0; i < out.length; i++) out[i] = view.getInt16(2 * i, true);
  return out;
}

/** @param {Int16Array} samples @returns {Uint8Array} 16-bit little-endian */
export function toBytes(samples) {
  const view = new DataView(new ArrayBuffer(2 * samples.length));
  for (let i = 0; i < samples.length; i++) view.setInt16(2 * i, samples[i], true);
  return new Uint8Array(view.buffer);
}

/** @param {number} amplitude 1 is full scale */
export function dbfs(amplitude) {
  return Math.max(SILENCE_DBFS, 20 * Math.log10(amplitude + 1e-10));
}

/** Measures loudness over stretches of a fixed length. */
export class Meter {
  /** @param {number} length of a stretch, in samples */
  constructor(length) {
    this.length = length;
    this.count = this.power = this.peak = 0;
  }

  /**
   * @param {Float32Array} samples
   * @returns {{dbfs: number, peakDbfs: number}[]} one for each stretch that is complete
   */
  feed(samples) {
    const found = [];
    for (const sample of samples) {
      this.power += sample * sample;
      this.peak = Math.max(this.peak, Math.abs(sample));
      if (++this.count < this.length) continue;
      found.push({ dbfs: dbfs(Math.sqrt(this.power / this.length)), peakDbfs: dbfs(this.peak) });
      this.count = this.power = this.peak = 0;
    }
    return found;
  }
}
