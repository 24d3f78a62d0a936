import { Connection } from '/page/core/connection.js';
import { FakeClock, equal, ok, settle } from './assert.js';

class FakeSocket {
  static all = [];

  constructor(url) {
    this.url = url;
    this.sent = [];
    this.bufferedAmount = 0;
    this.closed = false;
    FakeSocket.all.push(this);
  }

  send(data) {
    this.sent.push(data);
  }

  close() {
    this.closed = true;
  }

  /** As if the host said it. */
  say(message) {
    this.onmessage({ data: typeof message === 'object' && !(message instanceof ArrayBuffer) ? JSON.stringify(message) : message });
  }

  get actions() {
    return this.sent.filter((data) => typeof data === 'string').map((data) => JSON.parse(data).action);
  }
}

const last = () => FakeSocket.all.at(-1);

function stage({ query = {}, health = { status: 'ready' } } = {}) {
  FakeSocket.all = [];
  const clock = new FakeClock();
  const asked = [];
  const fetch = async (url) => {
    asked.push(url);
    if (health === null) throw new TypeError('refused');
    return { json: async () => health };
  };
  const connection = new Connection({ url: 'ws://host:1', query, webSocket: FakeSocket, clock, fetch, random: () => 0.5 });
  const told = [];
  for (const type of ['state', 'message', 'sound', 'ping']) connection.on(type, (detail) => told.push([type, detail]));
  const states = () => told.filter(([type]) => type === 'state').map(([, { state, why }]) => (why ? `${state} ${why}` : state));
  return { clock, connection, told, states, asked };
}

function opened(options) {
  const made = stage(options);
  made.connection.open('default');
  last().onopen();
  return made;
}

export function it_asks_for_what_it_understands() {
  const { connection } = stage({ query: { client: 'me', words: '1' } });
  connection.open('小 天');
  equal(last().url, 'ws://host:1/ws/%E5%B0%8F%20%E5%A4%A9?client=me&words=1');
}

export function it_passes_on_what_it_is_told() {
  const { told } = opened();
  last().say({ type: 'user_partial', text: 'what' });
  last().say({ type: 'audio_chunk', speech_id: 'T' });
  last().say(Int16Array.of(5).buffer);
  last().say('nonsense');
  equal(told.slice(2), [['message', { type: 'user_partial', text: 'what' }], ['sound', { speechId: 'T', samples: { 0: 5 } }]]);
}

export function it_pings_and_tells_the_round_trip() {
  const { clock, told, connection } = opened();
  clock.advance(30);
  last().say({ type: 'pong' });
  equal([told.at(-1), connection.heartbeat.rttMs], [['ping', { rttMs: 30 }], 30]);
  clock.advance(10_000);
  equal(last().actions, ['ping', 'ping']);
}

export function without_answers_it_connects_again() {
  const { clock, states } = opened();
  const first = last();
  clock.advance(20_000);
  ok(first.closed);
  equal(states(), ['connecting', 'open', 'waiting lost']);
  clock.advance(500);
  ok(last() !== first);
}

export function it_waits_longer_and_longer() {
  const { clock, connection, told } = stage();
  connection.open('default');
  for (let i = 0; i < 6; i++) {
    last().onclose({ code: 1006 });
    clock.advance(10_000);
  }
  const waits = told.filter(([type, { state }]) => type === 'state' && state === 'waiting').map(([, { retryInMs }]) => retryInMs);
  equal(waits, [500, 1_000, 2_000, 4_000, 8_000, 8_000]);
}

export function a_success_that_lasted_begins_with_short_waits_again() {
  const { clock, connection } = stage();
  connection.open('default');
  last().onclose({ code: 1006 });
  clock.advance(500);
  last().onopen();
  last().onclose({ code: 1006 });
  equal(connection.backoff.tries, 2);
  clock.advance(1_000);
  last().onopen();
  clock.advance(6_000);
  last().onclose({ code: 1006 });
  equal(connection.backoff.tries, 1);
}

export function nothing_is_heard_of_a_socket_that_was_left() {
  const { connection } = opened();
  const old = last();
  connection.open('other');
  ok(old.closed && old.onmessage === null && old.onclose === null);
  ok(last().url.includes('/ws/other'));
}

export async function it_learns_why_it_was_refused() {
  const cases = [
    [null, 'unreachable'],
    [{ status: 'ready', full: true }, 'full'],
    [{ status: 'ready', full: false }, 'refused'],
    [{ status: 'ready' }, 'refused'],
    [{ status: 'warming up' }, 'starting'],
    [{ status: 'stopping' }, 'stopping'],
  ];
  for (const [health, why] of cases) {
    const { connection, states, asked } = stage({ health });
    connection.open('default');
    last().onclose({ code: 1006 });
    await settle();
    equal(states(), ['connecting', 'waiting lost', `waiting ${why}`]);
    equal(asked, ['http://host:1/healthz']);
  }
}

export async function what_it_learns_too_late_is_not_told() {
  const { connection, clock, states } = stage();
  connection.open('default');
  last().onclose({ code: 1006 });
  clock.advance(500);
  await settle();
  equal(states(), ['connecting', 'waiting lost', 'connecting']);
}

export function a_host_that_stops_is_waited_for() {
  const { states } = opened();
  last().onclose({ code: 1001 });
  equal(states().at(-1), 'waiting stopping');
}

export function one_that_was_taken_over_stays_away() {
  const { clock, states } = opened();
  last().say({ type: 'status', message: JSON.stringify({ code: 'SUPERSEDED', details: { message: 'Over.' } }) });
  last().onclose({ code: 1000 });
  clock.advance(60_000);
  equal(states().at(-1), 'idle superseded');
  equal(FakeSocket.all.length, 1);
}

export function it_comes_back_at_once_when_woken() {
  const { connection, states } = opened();
  last().onclose({ code: 1006 });
  connection.wake();
  equal(states().at(-1), 'connecting');
  equal(FakeSocket.all.length, 2);
}

export function an_open_one_is_asked_whether_it_lives() {
  const { connection } = opened();
  connection.wake();
  equal(last().actions, ['ping', 'ping']);
}

export function one_that_never_opens_is_given_up() {
  const { connection, clock, states } = stage();
  connection.open('default');
  clock.advance(10_000);
  equal(states(), ['connecting', 'waiting lost']);
}

export function it_stays_closed() {
  const { connection, clock } = opened();
  connection.close();
  clock.advance(60_000);
  equal([connection.state, FakeSocket.all.length], ['idle', 1]);
}

export function sound_that_cannot_leave_is_dropped_and_counted() {
  const { connection } = opened();
  const frame = new Int16Array(320);
  connection.sendSound(frame, 16_000);
  last().bufferedAmount = 16_000;
  connection.sendSound(frame, 16_000);
  last().bufferedAmount = 16_100;
  connection.sendSound(frame, 16_000);
  equal([last().sent.length, connection.droppedFrames], [3, 1]);
}

export function a_picture_on_its_way_is_no_reason_to_drop_sound() {
  const { connection } = opened();
  connection.send({ data: 'x'.repeat(200_000) });
  last().bufferedAmount = 200_000;
  connection.sendSound(new Int16Array(320), 16_000);
  equal(connection.droppedFrames, 0);
}

export function nothing_is_sent_where_nobody_is() {
  const { connection } = stage();
  equal(connection.send({ action: 'ping' }), false);
  connection.sendSound(new Int16Array(320), 16_000);
  connection.sendSilence(1_500);
  connection.open('default');
  equal(connection.send({ action: 'ping' }), false);
  equal(last().sent, []);
}

export function silence_is_sent_in_frames_the_host_takes() {
  const { connection } = opened();
  connection.sendSilence(1_500);
  const frames = last().sent.slice(1);
  equal(frames.reduce((ms, frame) => ms + (frame.length - 8) / 32, 0), 1_500);
  ok(frames.every((frame) => frame.length <= 8 + 120 * 32));
}

export function the_documented_dialect_sends_text_frames() {
  const { connection } = opened({ query: { dialect: 'documented' } });
  connection.sendSound(Int16Array.of(1), 16_000);
  equal(JSON.parse(last().sent[1]), { action: 'stream_data', input_type: 'audio', data: 'AQA=', sample_rate: 16_000 });
}
