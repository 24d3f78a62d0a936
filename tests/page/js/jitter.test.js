import { END_MS, FADE_MS, GROW_MS, HELD_MS, JitterBuffer, MOST_MS, START_MS, WAIT_MS } from '/page/core/jitter.js';
import { concat, cut, equal, largestStep, near, ok, random, sameSamples } from './assert.js';

const RATE = 48_000;
const BLOCK = 128;
/** What one sample may differ from the last, where a sound of full scale fades. */
const STEP = 1 / (FADE_MS * 48) + 1e-6;

const samplesOf = (ms) => ms * 48;
const loud = (ms) => new Float32Array(samplesOf(ms)).fill(1);

/** Ask for so much, in blocks as a browser does. */
function pull(buffer, ms, happened = []) {
  const out = [];
  for (let left = samplesOf(ms); left > 0; left -= BLOCK) {
    const block = new Float32Array(Math.min(BLOCK, left));
    happened.push(...buffer.pull(block));
    out.push(block);
  }
  return concat(out);
}

const msUntilSound = (samples) => samples.findIndex((sample) => sample !== 0) / 48;
const msOfSound = (samples) => (samples.findLastIndex((sample) => sample !== 0) + 1) / 48;
const playing = (id = 'a', ms = 1_000) => {
  const buffer = new JitterBuffer(RATE);
  buffer.push(id, loud(ms));
  pull(buffer, 100);
  return buffer;
};

export function any_cutting_gives_the_same_sound() {
  const next = random(2);
  const sound = Float32Array.from({ length: samplesOf(300) }, () => next() - 0.5);
  const whole = new JitterBuffer(RATE);
  whole.push('a', sound);
  const expected = pull(whole, 400);
  for (const most of [1, 17, 500, 1_920, 9_000]) {
    const buffer = new JitterBuffer(RATE);
    for (const piece of cut(sound, most, next)) buffer.push('a', piece);
    sameSamples(pull(buffer, 400), expected);
  }
}

export function what_comes_while_it_plays_joins_without_a_seam() {
  const next = random(3);
  const sound = Float32Array.from({ length: samplesOf(2_000) }, () => next() - 0.5);
  for (let round = 0; round < 20; round++) {
    const buffer = new JitterBuffer(RATE);
    const out = [];
    buffer.push('a', sound.slice(0, samplesOf(START_MS)));
    // Pieces of any size, at least as early as they are needed.
    let pushed = START_MS;
    for (let pulled = 0; pulled < 1_900; pulled += 10) {
      while (pushed < Math.min(2_000, pulled + 30)) {
        const ms = 1 + Math.floor(next() * 40);
        buffer.push('a', sound.slice(samplesOf(pushed), samplesOf(pushed + ms)));
        pushed += ms;
      }
      out.push(pull(buffer, 10));
    }
    const middle = [samplesOf(FADE_MS), samplesOf(1_800)];
    sameSamples(concat(out).slice(...middle), sound.slice(...middle));
    equal(buffer.underruns, 0);
  }
}

export function it_fades_in_and_out() {
  const buffer = new JitterBuffer(RATE);
  buffer.push('a', loud(200));
  const out = pull(buffer, 300);
  ok(largestStep(out) <= STEP, `a step of ${largestStep(out)}`);
  near(msOfSound(out), 200, 0.1);
}

export function it_starts_at_once_when_there_is_enough() {
  const buffer = new JitterBuffer(RATE);
  buffer.push('a', loud(START_MS));
  ok(msUntilSound(pull(buffer, 50)) < 1);
}

export function with_less_it_waits_for_more() {
  const buffer = new JitterBuffer(RATE);
  buffer.push('a', loud(START_MS - 1));
  equal(Math.max(...pull(buffer, 50)), 0);
  buffer.push('a', loud(1));
  ok(msUntilSound(pull(buffer, 50)) < 1);
}

export function a_short_word_is_played_after_a_while() {
  const buffer = new JitterBuffer(RATE);
  pull(buffer, 1_000); // nothing has come yet: this does not count
  buffer.push('a', loud(30));
  near(msUntilSound(pull(buffer, 200)), WAIT_MS, 3);
}

export function a_gap_fades_counts_and_makes_the_next_start_wait_for_more() {
  const buffer = new JitterBuffer(RATE);
  const happened = [];
  buffer.push('a', loud(100));
  const before = pull(buffer, 150, happened);
  buffer.push('a', loud(START_MS));
  const between = pull(buffer, 20, happened); // once enough, not any more
  buffer.push('a', loud(200));
  const after = pull(buffer, 400, happened);
  equal(Math.max(...between), 0);
  equal(buffer.underruns, 1);
  equal(buffer.targetMs, START_MS + GROW_MS);
  ok(largestStep(concat([before, between, after])) <= STEP);
  equal(happened, [{ type: 'started', id: 'a' }]);
}

export function after_a_gap_it_waits_as_at_the_start() {
  const buffer = new JitterBuffer(RATE);
  buffer.push('a', loud(100));
  pull(buffer, 100 + 300);
  buffer.push('a', loud(30));
  near(msUntilSound(pull(buffer, 200)), WAIT_MS, 3);
}

export function it_never_waits_for_more_than_its_most() {
  const buffer = new JitterBuffer(RATE);
  for (let i = 0; i < 50; i++) {
    buffer.push('a', loud(500));
    pull(buffer, 700);
  }
  equal(buffer.underruns, 49);
  equal(buffer.targetMs, MOST_MS);
}

export function replies_without_gaps_take_the_wait_back() {
  const buffer = new JitterBuffer(RATE);
  buffer.push('a', loud(100));
  pull(buffer, 200);
  buffer.push('a', loud(200));
  pull(buffer, 1_000);
  for (const id of ['b', 'c']) {
    buffer.push(id, loud(200));
    pull(buffer, 1_000);
  }
  equal(buffer.targetMs, START_MS);
}

export function a_speech_has_ended_when_nothing_came_for_a_while() {
  const buffer = new JitterBuffer(RATE);
  const happened = [];
  buffer.push('a', loud(100));
  pull(buffer, 100 + END_MS - 10, happened);
  equal(happened.map(({ type }) => type), ['started']);
  pull(buffer, 20, happened);
  equal(happened, [{ type: 'started', id: 'a' }, { type: 'ended', id: 'a', cut: false }]);
  equal(buffer.underruns, 0);
}

export function one_that_comes_back_starts_again_and_counts_on() {
  const buffer = new JitterBuffer(RATE);
  const happened = [];
  buffer.push('a', loud(100));
  pull(buffer, 1_000, happened);
  buffer.push('a', loud(300));
  pull(buffer, 50, happened);
  equal(happened.map(({ type }) => type), ['started', 'ended', 'started']);
  near(buffer.position.ms, 150, 3);
}

export function the_next_speech_follows_at_once() {
  const buffer = new JitterBuffer(RATE);
  const happened = [];
  buffer.push('a', loud(100));
  buffer.push('b', loud(100));
  const out = pull(buffer, 300, happened);
  near(msOfSound(out), 200, 0.1);
  ok(largestStep(out) <= STEP);
  equal(happened.map(({ type, id }) => type + id).slice(0, 3), ['starteda', 'endeda', 'startedb']);
}

export function an_interruption_is_silence_within_a_fade() {
  const next = random(4);
  for (let round = 0; round < 50; round++) {
    const buffer = new JitterBuffer(RATE);
    buffer.push('a', loud(1_000));
    const before = pull(buffer, 1 + Math.floor(next() * 900));
    const told = buffer.interrupt('a');
    const after = pull(buffer, 100);
    equal(told, [{ type: 'ended', id: 'a', cut: true }]);
    ok(msOfSound(after) <= FADE_MS, `${msOfSound(after)} ms`);
    ok(largestStep(concat([before, after])) <= STEP, `a step of ${largestStep(concat([before, after]))}`);
  }
}

export function what_still_comes_of_it_is_dropped() {
  const buffer = playing('a');
  buffer.interrupt('a');
  pull(buffer, 20);
  for (let i = 0; i < 5; i++) buffer.push('a', loud(200));
  equal(Math.max(...pull(buffer, 300)), 0);
  equal(buffer.droppedStale, 5);
}

export function a_reply_that_is_resumed_is_heard() {
  const buffer = playing('a');
  buffer.interrupt('a');
  buffer.push('a', loud(200));
  buffer.push('a.2', loud(200));
  const out = pull(buffer, 300);
  near(msOfSound(out), 205, 1);
  equal(buffer.position.id, 'a.2');
  buffer.interrupt('a.2');
  pull(buffer, 20);
  buffer.push('a', loud(200));
  buffer.push('a.2', loud(200));
  equal(Math.max(...pull(buffer, 200)), 0);
}

export function what_came_before_it_is_stopped_as_well() {
  const buffer = playing('a');
  buffer.push('b', loud(500));
  buffer.interrupt('b');
  ok(msOfSound(pull(buffer, 100)) <= FADE_MS);
  buffer.push('a', loud(200));
  equal(Math.max(...pull(buffer, 200)), 0);
}

export function one_that_was_never_heard_is_dead_before_it_comes() {
  const buffer = playing('a');
  buffer.interrupt('b');
  buffer.push('b', loud(500));
  ok(msOfSound(pull(buffer, 600)) <= FADE_MS);
}

export function a_later_one_is_not_touched() {
  const buffer = new JitterBuffer(RATE);
  buffer.push('a', loud(1_000));
  const before = pull(buffer, 100);
  buffer.push('b', loud(200));
  buffer.interrupt('a');
  const out = pull(buffer, 300);
  near(msOfSound(out), 205, 1);
  ok(largestStep(concat([before, out])) <= STEP);
}

export function stop_ends_all_of_it() {
  const buffer = playing('a');
  buffer.push('b', loud(200));
  buffer.stop();
  ok(msOfSound(pull(buffer, 300)) <= FADE_MS);
  buffer.push('b', loud(200));
  equal(Math.max(...pull(buffer, 300)), 0);
  buffer.push('c', loud(200));
  equal(Math.max(...pull(buffer, 300)), 1);
}

export function stopping_nothing_is_nothing() {
  const buffer = new JitterBuffer(RATE);
  equal([buffer.stop(), buffer.position, buffer.bufferedMs], [[], null, 0]);
}

export function the_position_is_what_was_played() {
  const buffer = new JitterBuffer(RATE);
  buffer.push('a', loud(100));
  equal(buffer.position, null);
  pull(buffer, 80);
  equal(buffer.position, { id: 'a', ms: 80 });
  pull(buffer, 100); // a gap is no part of it
  equal(buffer.position, { id: 'a', ms: 100 });
}

export function what_is_held_has_a_bound() {
  const buffer = new JitterBuffer(RATE);
  const piece = loud(10_000);
  for (let i = 0; i < 20; i++) buffer.push('a', piece);
  ok(buffer.bufferedMs <= HELD_MS + 10_000);
  ok(buffer.droppedFull > 0);
}

export function ids_are_not_remembered_for_ever() {
  const buffer = new JitterBuffer(RATE);
  for (let i = 0; i < 5_000; i++) buffer.interrupt(`${i}`);
  ok(buffer.known.size <= 256);
}
