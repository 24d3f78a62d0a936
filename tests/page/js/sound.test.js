/** Microphone and speaker with the browser's own devices, and with some that fail. */

import { Microphone } from '/page/core/microphone.js';
import { Speaker } from '/page/core/speaker.js';
import { FakeClock, equal, ok } from './assert.js';

const next = (target, type, fits = () => true) =>
  new Promise((done) => target.on(type, (detail) => fits(detail) && done(detail)));

function failing(name, devices = {}) {
  return {
    getUserMedia: async () => {
      throw new DOMException('no', name);
    },
    ...devices,
  };
}

export async function it_hears_in_frames_of_20_ms() {
  const microphone = new Microphone();
  const states = [];
  microphone.on('state', ({ state }) => states.push(state));
  const frame = next(microphone, 'frame');
  const loud = next(microphone, 'level', ({ dbfs }) => dbfs > -60); // the browser's fake one beeps
  await microphone.start({ echoCancellation: false, noiseSuppression: false, autoGainControl: false });
  const { samples } = await frame;
  await loud;
  ok(samples instanceof Int16Array);
  microphone.stop();
  equal([samples.length, states], [320, ['asking', 'on', 'off']]);
}

export async function muted_it_tells_of_levels_only() {
  const microphone = new Microphone();
  await microphone.start();
  microphone.muted = true;
  let frames = 0;
  microphone.on('frame', () => frames++);
  for (let i = 0; i < 5; i++) await next(microphone, 'level');
  equal([microphone.state, frames], ['muted', 0]);
  const frame = next(microphone, 'frame');
  microphone.muted = false;
  await frame;
  equal(microphone.state, 'on');
  microphone.stop();
}

export async function each_trouble_has_its_name() {
  const cases = {
    NotAllowedError: 'denied', NotFoundError: 'missing', OverconstrainedError: 'missing', NotReadableError: 'busy', AbortError: 'busy',
  };
  for (const [name, state] of Object.entries(cases)) {
    const microphone = new Microphone({ devices: failing(name) });
    await microphone.start();
    equal(microphone.state, state, name);
  }
}

export async function a_worklet_that_cannot_be_fetched_is_no_fault_of_the_microphone() {
  const newContext = () => {
    const context = new AudioContext();
    context.audioWorklet.addModule = async () => {
      throw new DOMException('Unable to load a worklet', 'AbortError');
    };
    return context;
  };
  const microphone = new Microphone({ newContext });
  await microphone.start();
  equal([microphone.state, microphone.unreachable, microphone.stream, microphone.context], ['off', true, null, null]);
  microphone.stop();
  equal(microphone.unreachable, false);
}

export async function without_https_there_is_none() {
  const microphone = new Microphone({ devices: null });
  await microphone.start();
  equal(microphone.state, 'insecure');
}

export async function another_microphone_is_better_than_none() {
  const asked = [];
  const devices = {
    getUserMedia: async ({ audio }) => {
      asked.push(audio.deviceId?.exact ?? 'any');
      if (audio.deviceId) throw new DOMException('gone', 'OverconstrainedError');
      return navigator.mediaDevices.getUserMedia({ audio: true });
    },
  };
  const microphone = new Microphone({ devices });
  await microphone.start({ deviceId: 'unplugged' });
  equal([asked, microphone.state], [['unplugged', 'any'], 'on']);
  microphone.stop();
}

export async function one_that_was_stopped_while_it_was_asked_for_stays_off() {
  let allow;
  const devices = { getUserMedia: () => new Promise((done) => (allow = done)) };
  const microphone = new Microphone({ devices });
  const starting = microphone.start();
  microphone.stop();
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  allow(stream);
  await starting;
  equal([microphone.state, stream.getTracks()[0].readyState], ['off', 'ended']);
}

export async function digital_silence_for_5_s_is_told() {
  const clock = new FakeClock();
  const context = new AudioContext();
  const silent = context.createMediaStreamDestination().stream;
  const microphone = new Microphone({ devices: { getUserMedia: async () => silent }, clock });
  await microphone.start();
  await next(microphone, 'level');
  equal(microphone.state, 'on');
  const told = next(microphone, 'state');
  clock.advance(5_001);
  equal((await told).state, 'silent');
  microphone.stop();
  await context.close();
}

export async function one_that_is_unplugged_is_missing() {
  const microphone = new Microphone();
  await microphone.start();
  microphone.stream.getAudioTracks()[0].dispatchEvent(new Event('ended'));
  equal([microphone.state, microphone.stream], ['missing', null]);
}

export async function it_plays_and_tells_where_it_is() {
  const context = new AudioContext({ sampleRate: 48_000 });
  const speaker = await Speaker.create(context);
  await context.resume();
  const started = next(speaker, 'started');
  const loud = next(speaker, 'position', () => speaker.level > -1);
  const end = next(speaker, 'position', ({ ms }) => ms > 250);
  const ended = next(speaker, 'ended');
  for (let i = 0; i < 10; i++) speaker.play('T', new Int16Array(1_440).fill(32_767));
  equal((await started).speechId, 'T');
  equal(speaker.playing, 'T');
  await loud;
  equal((await end).speechId, 'T');
  equal([(await ended).speechId, speaker.playing], ['T', null]);
  await context.close();
}

export async function an_interruption_is_acted_on() {
  const context = new AudioContext({ sampleRate: 48_000 });
  const speaker = await Speaker.create(context);
  await context.resume();
  const started = next(speaker, 'started');
  speaker.play('T', new Int16Array(48_000));
  await started;
  speaker.interrupt(null);
  await next(speaker, 'position', ({ ms }) => ms > 100);
  equal(speaker.playing, 'T');
  const ended = next(speaker, 'ended');
  speaker.interrupt('T');
  speaker.play('T', new Int16Array(480));
  equal((await ended).cut, true);
  const again = next(speaker, 'started');
  speaker.play('T.2', new Int16Array(48_000));
  equal((await again).speechId, 'T.2');
  await next(speaker, 'position');
  equal(speaker.stats.droppedStale, 1);
  await context.close();
}

export async function where_the_browser_stops_nobody_speaks_until_it_goes_on() {
  const context = new AudioContext({ sampleRate: 48_000 });
  const speaker = await Speaker.create(context);
  await context.resume();
  const started = next(speaker, 'started');
  for (let i = 0; i < 20; i++) speaker.play('T', new Int16Array(4_800).fill(1_000));
  await started;
  const ended = next(speaker, 'ended');
  const told = next(speaker, 'context');
  await context.suspend();
  equal([await ended, speaker.playing], [{ speechId: 'T', cut: true }, null]);
  await told;
  const again = next(speaker, 'started');
  await context.resume();
  equal((await again).speechId, 'T');
  await context.close();
}

export async function on_plain_http_it_plays_without_a_worklet() {
  const context = new AudioContext({ sampleRate: 48_000 });
  Object.defineProperty(context, 'audioWorklet', { value: undefined });
  const speaker = await Speaker.create(context);
  await context.resume();
  const loud = next(speaker, 'position', () => speaker.level > -1);
  speaker.play('T', new Int16Array(24_000).fill(32_767));
  equal((await loud).speechId, 'T');
  await context.close();
}

export async function before_the_browser_plays_sound_is_dropped() {
  const context = new AudioContext({ sampleRate: 48_000 });
  const speaker = await Speaker.create(context);
  await context.suspend();
  speaker.play('T', new Int16Array(480));
  equal(speaker.stats.droppedSuspended, 1);
  await context.close();
}

export async function one_that_has_sounded_may_be_silent_for_longer() {
  const clock = new FakeClock();
  const context = new AudioContext();
  const source = new ConstantSourceNode(context);
  const out = context.createMediaStreamDestination();
  source.connect(out);
  source.start();
  const microphone = new Microphone({ devices: { getUserMedia: async () => out.stream }, clock });
  await microphone.start();
  await next(microphone, 'level', ({ peakDbfs }) => peakDbfs > -100);
  source.disconnect();
  await next(microphone, 'level', ({ peakDbfs }) => peakDbfs === -100);
  clock.advance(19_000);
  await next(microphone, 'level');
  equal(microphone.state, 'on');
  const told = next(microphone, 'state');
  clock.advance(1_500);
  equal((await told).state, 'silent');
  microphone.stop();
  await context.close();
}
