import { Api, ApiError } from '/page/core/api.js';
import { Capture } from '/page/core/capture.js';
import { dbfs, fromBytes, toBytes, toFloat, toInt16 } from '/page/core/pcm.js';
import { Picture, differs, fit, greyOf } from '/page/core/picture.js';
import { Resampler } from '/page/core/resampler.js';
import { Settings, uuid } from '/page/core/settings.js';
import { Turnaround, levelOf } from '/page/core/turnaround.js';
import { Watch } from '/page/core/watch.js';
import { concat, cut, equal, near, ok, random, sameSamples, tone } from './assert.js';

// --- settings ---

class Memory {
  constructor(kept = {}) {
    this.kept = kept;
  }

  getItem(key) {
    return this.kept[key] ?? null;
  }

  setItem(key, value) {
    this.kept[key] = value;
  }
}

export function settings_last() {
  const memory = new Memory();
  const settings = new Settings(() => memory);
  settings.set('mode', 'push-to-talk');
  const again = new Settings(() => memory);
  equal([again.get('mode'), again.get('client')], ['push-to-talk', settings.get('client')]);
}

export function settings_tell_of_changes() {
  const settings = new Settings(() => new Memory());
  const told = [];
  settings.on('change', (change) => told.push(change));
  settings.set('theme', 'dark');
  settings.set('theme', 'dark');
  equal(told, [{ name: 'theme', value: 'dark' }]);
}

export function blocked_storage_is_survived() {
  const blocked = () => {
    throw new DOMException('no', 'SecurityError');
  };
  const full = { getItem: () => null, setItem: blocked };
  for (const storage of [blocked, () => null, () => undefined, () => full]) {
    const settings = new Settings(storage);
    settings.set('character', 'Mia');
    equal(settings.get('character'), 'Mia');
    ok(settings.get('client'));
  }
}

export function what_was_kept_wrong_is_not_used() {
  for (const kept of ['{', 'null', '[]', '"x"', '{"mode":5,"other":1}']) {
    const settings = new Settings(() => new Memory({ voicecore: kept }));
    equal([settings.get('mode'), 'other' in settings.values], ['hands-free', false]);
  }
}

export function ids_are_random_uuids() {
  const ids = Array.from({ length: 100 }, uuid);
  ok(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)));
  equal(new Set(ids).size, 100);
}

// --- samples ---

export function samples_survive_their_bytes() {
  const samples = Int16Array.of(0, 1, -1, 32_767, -32_768, 258);
  equal(fromBytes(toBytes(samples).buffer), samples);
  equal(toInt16(toFloat(samples)), samples);
  equal([...toBytes(Int16Array.of(258))], [2, 1]);
}

export function what_is_too_loud_is_cut_off() {
  equal([...toInt16(Float32Array.of(2, -2))], [32_767, -32_768]);
}

export function full_scale_is_0_dbfs_and_nothing_is_100_below() {
  near(dbfs(1), 0, 0.001);
  near(dbfs(0.5), -6.02, 0.01);
  equal(dbfs(0), -100);
}

export function frames_are_what_was_captured_however_it_was_cut() {
  const next = random(10);
  const sound = tone(500, 48_000, 200);
  const expected = toInt16(new Resampler({ fromHz: 48_000, toHz: 16_000 }).feed(sound));
  for (const most of [1, 128, 5_000]) {
    const capture = new Capture(48_000);
    const frames = cut(sound, most, next).flatMap((piece) => capture.feed([piece]).frames);
    sameSamples(concat(frames), expected);
  }
}

// --- pictures ---

const picture = (value) => new Uint8Array(1_024).fill(value);

export function the_same_picture_is_sent_once() {
  const next = random(9);
  const noisy = picture(100).map((value) => value + Math.floor(next() * 3) - 1);
  equal([differs(picture(100), picture(100)), differs(picture(100), noisy)], [false, false]);
}

export function another_one_is_sent() {
  const line = picture(255);
  line[500] = 200;
  equal([differs(picture(100), picture(104)), differs(picture(255), line)], [true, true]);
}

export function pictures_are_made_small() {
  equal(fit(1_920, 1_080), { width: 1_024, height: 576 });
  equal(fit(1_080, 2_400), { width: 461, height: 1_024 });
  equal(fit(640, 480), { width: 640, height: 480 });
  equal([...greyOf(Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 255))], [255, 0]);
}

// --- voice to voice ---

const voice = Int16Array.from({ length: 320 }, (_, i) => 8_000 * Math.sin(i / 5));
const hiss = Int16Array.from({ length: 320 }, (_, i) => (i % 2 ? 100 : -100));

function said(turnaround, frames, fromMs) {
  frames.forEach((frame, i) => turnaround.frame(levelOf(frame), fromMs + 20 * i));
}

export function the_wait_is_from_the_last_voice_to_the_first_sound() {
  const turnaround = new Turnaround();
  said(turnaround, [...Array(50).fill(hiss), ...Array(50).fill(voice), ...Array(20).fill(hiss)], 0);
  turnaround.transcript();
  near(turnaround.answered(2_500), 2_500 - 1_980, 1);
  equal(turnaround.answered(3_000), null);
}

export function typed_turns_and_old_voices_are_not_measured() {
  const turnaround = new Turnaround();
  said(turnaround, [hiss, voice], 0);
  turnaround.transcript();
  turnaround.typed();
  equal(turnaround.answered(100), null);
  turnaround.transcript();
  equal(turnaround.answered(40_000), null);
}

// --- what does not come ---

export function it_stops_waiting_for_what_does_not_come() {
  const watch = new Watch();
  const reply = { role: 'assistant', complete: true };
  const overdue = (state, afterMs, quietMs = 10_000) => {
    watch.see({ partial: '', ...state }, 1_000);
    return watch.overdue(1_000 + afterMs, quietMs);
  };
  equal(overdue({ phase: 'hearing', entries: [] }, 3_000), false);
  equal(overdue({ phase: 'hearing', entries: [] }, 5_000, 100), false);
  equal(overdue({ phase: 'hearing', entries: [] }, 5_000), true);
  equal(overdue({ phase: 'thinking', entries: [] }, 50_000), false);
  equal(overdue({ phase: 'thinking', entries: [] }, 61_000), true);
  equal(overdue({ phase: 'thinking', entries: [reply] }, 6_000), true);
  equal(overdue({ phase: 'speaking', entries: [reply] }, 1e9), false);
}

// --- plain HTTP ---

export async function errors_are_the_hosts_words() {
  const fetch = async () => new Response('{"error":"There is none."}', { status: 404 });
  const api = new Api({ client: 'me', fetch });
  try {
    await api.conversation('default', 'x');
    ok(false, 'no error');
  } catch (error) {
    ok(error instanceof ApiError);
    equal([error.status, error.message], [404, 'There is none.']);
  }
}

export async function it_asks_for_what_is_its_own() {
  const asked = [];
  const fetch = async (path, options) => {
    asked.push([path, options?.method ?? 'GET']);
    return Response.json({ conversations: [1], messages: [2] });
  };
  const api = new Api({ client: 'a b', fetch });
  equal([await api.conversations('小天'), await api.conversation('x', 'i/d')], [[1], [2]]);
  await api.forget('x', '1');
  equal(asked, [
    ['/api/conversations?character=%E5%B0%8F%E5%A4%A9&client=a+b', 'GET'],
    ['/api/conversations/i%2Fd?character=x&client=a+b', 'GET'],
    ['/api/conversations/1?character=x&client=a+b', 'DELETE'],
  ]);
}

// --- pictures ---

export async function it_is_told_what_was_refused() {
  const refuse = async () => {
    throw new DOMException('no', 'NotAllowedError');
  };
  const picture = new Picture({ devices: { getUserMedia: refuse, getDisplayMedia: refuse } });
  const told = [];
  picture.on('state', (state) => told.push(state));
  await picture.start('camera');
  await picture.start('screen');
  equal(told, ['camera', 'screen'].map((asked) => ({ kind: null, why: 'NotAllowedError', asked })));
}
