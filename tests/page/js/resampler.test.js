import { Resampler } from '/page/core/resampler.js';
import { concat, cut, equal, near, ok, random, rms, sameSamples, tone } from './assert.js';

const RATES = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

function gainDb(hz, fromHz, toHz) {
  const out = new Resampler({ fromHz, toHz }).feed(tone(hz, fromHz, 200));
  return 20 * Math.log10(rms(out.slice(toHz / 20)) / (0.5 / Math.SQRT2));
}

export function speech_passes_unchanged_in_level() {
  for (const fromHz of [44_100, 48_000, 96_000]) {
    for (const hz of [100, 1_000, 3_400, 6_900]) near(gainDb(hz, fromHz, 16_000), 0, 0.5, `${hz} Hz of ${fromHz}:`);
  }
}

export function what_would_fold_back_is_stopped() {
  for (const fromHz of [44_100, 48_000, 96_000]) {
    for (let hz = 8_500; hz <= 20_000; hz += 500) {
      const db = gainDb(hz, fromHz, 16_000);
      ok(db < -60, `${hz} Hz of ${fromHz}: ${db} dB`);
    }
  }
}

export function the_hosts_sound_passes_at_other_rates() {
  for (const toHz of [44_100, 96_000]) {
    for (const hz of [100, 1_000, 10_000, 18_000]) near(gainDb(hz, 48_000, toHz), 0, 0.5, `${hz} Hz to ${toHz}:`);
  }
}

export function any_cutting_gives_the_same_samples() {
  const next = random(1);
  for (const fromHz of RATES) {
    const sound = Float32Array.from({ length: 3_000 }, () => next() - 0.5);
    const whole = new Resampler({ fromHz, toHz: 16_000 }).feed(sound);
    for (const most of [1, 7, 128, 2_000]) {
      const resampler = new Resampler({ fromHz, toHz: 16_000 });
      sameSamples(concat(cut(sound, most, next).map((piece) => resampler.feed(piece))), whole);
    }
  }
}

export function as_much_time_comes_out_as_goes_in() {
  for (const fromHz of RATES) {
    for (const toHz of RATES) {
      equal(new Resampler({ fromHz, toHz }).feed(new Float32Array(fromHz / 10)).length, toHz / 10, `${fromHz} to ${toHz}:`);
    }
  }
}

export function the_same_rate_changes_nothing() {
  const sound = tone(440, 16_000, 100);
  sameSamples(new Resampler({ fromHz: 16_000, toHz: 16_000 }).feed(sound), sound);
}

export function it_delays_by_less_than_2_ms() {
  const sound = new Float32Array(4_800);
  sound[0] = 1;
  const out = new Resampler({ fromHz: 48_000, toHz: 16_000 }).feed(sound);
  const peak = out.indexOf(Math.max(...out));
  ok(peak / 16 < 2, `${peak / 16} ms`);
}
