import { concat, cut, equal, largestStep, near, ok, random, rms, sameSamples, tone } from './assert.js';
import { FADE_MS } from '/page/core/jitter.js';
import { toInt16 } from '/page/core/pcm.js';

const RATE = 48_000;
const STEP = 1 / (FADE_MS * 48) + 1e-4;

/** Rendering is stopped at these times for the worklet to be told something, and then goes on. */
async function render({ rateHz = RATE, ms, orders }) {
  const context = new OfflineAudioContext(1, (rateHz * ms) / 1000, rateHz);
  await context.audioWorklet.addModule('/page/worklets/playback.js');
  const node = new AudioWorkletNode(context, 'playback', { numberOfInputs: 0, outputChannelCount: [1] });
  const told = [];
  node.port.onmessage = ({ data }) => told.push(data);
  node.connect(context.destination);
  for (const [atMs, ...list] of orders) {
    context.suspend(atMs / 1000).then(async () => {
      for (const order of list) node.port.postMessage(order);
      await new Promise((done) => setTimeout(done, 100)); // for the messages to arrive
      await context.resume();
    });
  }
  const buffer = await context.startRendering();
  await new Promise((done) => setTimeout(done, 100));
  return { sound: buffer.getChannelData(0), told };
}

const loud = (ms) => new Int16Array(ms * 48).fill(32_767);
const play = (id, samples) => ({ type: 'play', id, samples });
const lastMs = (sound) => (sound.findLastIndex((sample) => sample !== 0) + 1) / 48;

export async function pieces_of_any_size_are_one_sound() {
  const next = random(5);
  const sound = toInt16(tone(300, RATE, 400));
  const whole = await render({ ms: 600, orders: [[0, play('a', sound)]] });
  near(lastMs(whole.sound), 400, 6);
  for (const most of [480, 1_920, 10_000]) {
    const pieces = cut(sound, most, next).map((piece) => play('a', piece));
    sameSamples((await render({ ms: 600, orders: [[0, ...pieces]] })).sound, whole.sound);
  }
}

export async function pieces_that_come_as_it_plays_are_one_sound() {
  const sound = toInt16(tone(300, RATE, 1_000));
  const piece = (i) => play('a', sound.slice(i * 9_600, (i + 1) * 9_600)); // 200 ms
  const orders = [[0, piece(0)]];
  for (let i = 1; i < 5; i++) orders.push([200 * i - 40, piece(i)]);
  const whole = await render({ ms: 1_200, orders: [[0, play('a', sound)]] });
  sameSamples((await render({ ms: 1_200, orders })).sound, whole.sound);
}

export async function it_is_silent_50_ms_after_an_interruption_and_stays_so() {
  const atMs = 320;
  const orders = [
    [0, play('a', loud(1_000))],
    [atMs, { type: 'interrupt', id: 'a' }, play('a', loud(40))],
    [480, play('a', loud(200))],
  ];
  const { sound, told } = await render({ ms: 800, orders });
  ok(lastMs(sound) - atMs <= 10, `${lastMs(sound) - atMs} ms`);
  ok(largestStep(sound) <= STEP, `a step of ${largestStep(sound)}`);
  equal(told.filter(({ type }) => type !== 'report').map(({ type }) => type), ['started', 'ended']);
}

export async function what_goes_on_afterwards_is_heard() {
  const orders = [
    [0, play('a', loud(1_000))],
    [320, { type: 'interrupt', id: 'a' }],
    [480, play('a.2', loud(200))],
  ];
  const { sound } = await render({ ms: 800, orders });
  near(lastMs(sound), 680, 3);
  ok(largestStep(sound) <= STEP);
}

export async function it_tells_where_it_is() {
  const { told } = await render({ ms: 500, orders: [[0, play('a', loud(300))]] });
  const positions = told.filter(({ position }) => position).map(({ position }) => position.ms);
  near(positions[0], 50, 3);
  equal(positions.at(-1), 300);
  ok(told.some(({ dbfs }) => dbfs > -1));
}

export async function another_rate_has_the_same_length_and_no_clicks() {
  const { sound } = await render({ rateHz: 44_100, ms: 600, orders: [[0, play('a', loud(200)), play('a', loud(200))]] });
  near((lastMs(sound) * 48) / 44.1, 400, 3);
  ok(largestStep(sound) <= 2 * STEP); // the filter rings a little
}

/** What the worklet makes of a tone. */
async function capture({ rateHz, hz, ms = 500, channels = 1 }) {
  const context = new OfflineAudioContext(1, (rateHz * ms) / 1000, rateHz);
  await context.audioWorklet.addModule('/page/worklets/capture.js');
  const node = new AudioWorkletNode(context, 'capture');
  const frames = [];
  const levels = [];
  node.port.onmessage = ({ data }) => (data.samples ? frames.push(data.samples) : levels.push(data.level));
  const buffer = context.createBuffer(channels, (rateHz * ms) / 1000, rateHz);
  for (let i = 0; i < channels; i++) buffer.copyToChannel(tone(hz, rateHz, ms), i);
  const source = new AudioBufferSourceNode(context, { buffer });
  source.connect(node).connect(context.destination);
  source.start();
  const silence = await context.startRendering();
  await new Promise((done) => setTimeout(done, 100));
  return { frames, levels, silence: silence.getChannelData(0) };
}

const decibels = (frames) => 20 * Math.log10(rms(Float32Array.from(concat(frames.slice(2)))) / 32_768 / (0.5 / Math.SQRT2) + 1e-9);

export async function a_voice_is_captured_as_it_is() {
  for (const rateHz of [16_000, 44_100, 48_000, 96_000]) {
    const { frames, levels, silence } = await capture({ rateHz, hz: 1_000 });
    equal(new Set(frames.map(({ length }) => length)).size, 1);
    equal([frames[0].length, frames.length], [320, 25], `${rateHz}:`);
    near(decibels(frames), 0, 0.5, `${rateHz}:`);
    equal(levels.length, 10);
    near(levels[5].dbfs, -9, 0.2);
    near(levels[5].peakDbfs, -6, 0.2);
    equal(Math.max(...silence), 0, 'nothing is played:');
  }
}

export async function what_is_too_high_is_not_captured() {
  for (const hz of [9_000, 12_000, 15_000, 20_000]) {
    const { frames } = await capture({ rateHz: 48_000, hz });
    ok(decibels(frames) < -50, `${hz} Hz: ${decibels(frames)} dB`);
  }
}

export async function both_sides_of_a_stereo_microphone_count() {
  const { frames } = await capture({ rateHz: 48_000, hz: 1_000, channels: 2 });
  near(decibels(frames), 0, 0.5);
}
