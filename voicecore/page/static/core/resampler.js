// @ts-check
/** Sound from one sample rate to another, in blocks of any size. */

/**
 * Width of the step from what passes to what is stopped, as a share of the lower rate. It ends
 * just above half the lower rate: what folds back lies above 7.8 kHz at 16 kHz.
 */
const TRANSITION = 0.075;
/** Middle of that step, as a share of the lower rate. */
const CUTOFF = 0.475;
/** Of what is stopped. */
const ATTENUATION_DB = 70;
/** Kaiser's shape for that attenuation (Oppenheim & Schafer, 7.75). */
const BETA = 0.1102 * (ATTENUATION_DB - 8.7);

/**
 * A windowed-sinc low-pass at the right places between the samples (polyphase). Every output
 * sample is the same sum whatever the blocks were, so any cutting gives the same bits.
 *
 * It delays by half its length: 1.8 ms from 48 to 16 kHz.
 */
export class Resampler {
  /** @param {{fromHz: number, toHz: number}} rates whole numbers */
  constructor({ fromHz, toHz }) {
    const common = gcd(fromHz, toHz);
    this.up = toHz / common;
    this.down = fromHz / common;
    this.taps = fromHz === toHz ? 1 : tapCount(fromHz, toHz);
    this.table = fromHz === toHz ? new Float32Array([1]) : phases(fromHz, toHz, this.taps, this.up);
    this.held = new Float32Array(this.taps - 1);
    /** Where the next output lies after the first sample not yet used, in 1/up samples. */
    this.at = 0;
  }

  /** Samples by which what comes out is late. */
  get delay() {
    return Math.round(((this.taps / 2) * this.up) / this.down);
  }

  /**
   * @param {Float32Array} samples
   * @returns {Float32Array}
   */
  feed(samples) {
    const line = new Float32Array(this.held.length + samples.length);
    line.set(this.held);
    line.set(samples, this.held.length);
    const end = samples.length * this.up;
    const out = new Float32Array(Math.max(0, Math.ceil((end - this.at) / this.down)));
    for (let i = 0; i < out.length; i++, this.at += this.down) {
      out[i] = this.#sum(line, Math.floor(this.at / this.up), this.at % this.up);
    }
    this.at -= end;
    this.held = line.slice(line.length - this.held.length);
    return out;
  }

  /** @param {Float32Array} line @param {number} begin @param {number} phase */
  #sum(line, begin, phase) {
    const { taps, table } = this;
    const row = phase * taps;
    let sum = 0;
    for (let k = 0; k < taps; k++) sum += line[begin + k] * table[row + k];
    return sum;
  }
}

/** @param {number} a @param {number} b @returns {number} */
function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}

/** Kaiser's estimate of the length for that attenuation and transition. @returns {number} */
function tapCount(/** @type {number} */ fromHz, /** @type {number} */ toHz) {
  const transition = (2 * Math.PI * TRANSITION * Math.min(fromHz, toHz)) / fromHz;
  return 2 * Math.ceil((ATTENUATION_DB - 8) / (2.285 * transition) / 2);
}

/**
 * The filter, cut into one row for each place between two samples.
 * Each row sums to one, so that no place is louder than another.
 * @param {number} fromHz @param {number} toHz @param {number} taps @param {number} up
 */
function phases(fromHz, toHz, taps, up) {
  const cutoff = (CUTOFF * Math.min(fromHz, toHz)) / fromHz;
  const table = new Float32Array(up * taps);
  for (let phase = 0; phase < up; phase++) {
    const row = new Float64Array(taps);
    let sum = 0;
    for (let k = 0; k < taps; k++) {
      const x = k - taps / 2 + 1 - phase / up;
      row[k] = sinc(2 * cutoff * x) * kaiser((2 * x) / taps);
      sum += row[k];
    }
    for (let k = 0; k < taps; k++) table[phase * taps + k] = row[k] / sum;
  }
  return table;
}

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/** Kaiser's window over -1..1. @param {number} x */
function kaiser(x) {
  return Math.abs(x) > 1 ? 0 : bessel(BETA * Math.sqrt(1 - x * x)) / bessel(BETA);
}

/** Modified Bessel function of the first kind and order zero: its series. @param {number} x */
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
