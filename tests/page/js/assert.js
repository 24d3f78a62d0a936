/** What the tests assert with. */

export function ok(value, message = 'it is not so') {
  if (!value) throw new Error(message);
}

export function equal(found, expected, message = '') {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)];
  ok(a === b, `${message} found ${a}, expected ${b}`);
}

export function near(found, expected, tolerance, message = '') {
  ok(Math.abs(found - expected) <= tolerance, `${message} found ${found}, expected ${expected} ± ${tolerance}`);
}

export function sameSamples(found, expected) {
  equal(found.length, expected.length, 'length:');
  const at = found.findIndex((sample, i) => sample !== expected[i]);
  ok(at < 0, `sample ${at} is ${found[at]}, expected ${expected[at]}`);
}

/** Random numbers from 0 to 1, the same for the same seed (Mulberry32). */
export function random(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Cut into pieces of 1 to `most` samples. */
export function cut(samples, most, next) {
  const pieces = [];
  for (let at = 0; at < samples.length; ) {
    const length = 1 + Math.floor(next() * most);
    pieces.push(samples.slice(at, at + length));
    at += length;
  }
  return pieces;
}

export function concat(pieces) {
  const all = new (pieces[0]?.constructor ?? Float32Array)(pieces.reduce((n, piece) => n + piece.length, 0));
  pieces.reduce((at, piece) => (all.set(piece, at), at + piece.length), 0);
  return all;
}

export function tone(hz, rateHz, ms, amplitude = 0.5) {
  return Float32Array.from({ length: (rateHz * ms) / 1000 }, (_, i) => amplitude * Math.sin((2 * Math.PI * hz * i) / rateHz));
}

export function rms(samples) {
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
}

/** Largest step from one sample to the next: a click is a large one. */
export function largestStep(samples) {
  let largest = Math.abs(samples[0] ?? 0);
  for (let i = 1; i < samples.length; i++) largest = Math.max(largest, Math.abs(samples[i] - samples[i - 1]));
  return largest;
}

/** Time that passes when it is told to. */
export class FakeClock {
  constructor() {
    this.ms = 0;
    this.timers = new Map();
    this.count = 0;
  }

  now() {
    return this.ms;
  }

  setTimeout(work, ms) {
    this.timers.set(++this.count, { atMs: this.ms + ms, work });
    return this.count;
  }

  clearTimeout(timer) {
    this.timers.delete(timer);
  }

  advance(ms) {
    const end = this.ms + ms;
    for (;;) {
      const due = [...this.timers].filter(([, { atMs }]) => atMs <= end).sort(([, a], [, b]) => a.atMs - b.atMs)[0];
      if (!due) break;
      this.timers.delete(due[0]);
      this.ms = due[1].atMs;
      due[1].work();
    }
    this.ms = end;
  }
}

/** Let all that is ready run. */
export async function settle() {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}
