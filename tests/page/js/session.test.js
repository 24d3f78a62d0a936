import { Connection } from '/page/core/connection.js';
import { Emitter } from '/page/core/emitter.js';
import { Session } from '/page/core/session.js';
import { Settings } from '/page/core/settings.js';
import { FakeClock, equal, ok, settle } from './assert.js';

class FakeSocket {
  static all = [];

  constructor(url) {
    this.url = url;
    this.sent = [];
    this.bufferedAmount = 0;
    FakeSocket.all.push(this);
  }

  send(data) {
    this.sent.push(data);
  }

  close() {}
}

class FakeMicrophone extends Emitter {
  state = 'off';
  asked = 0;
  wasMuted = false;

  start() {
    this.asked++;
    this.#become('on');
  }

  stop() {
    this.#become('off');
  }

  set muted(muted) {
    this.wasMuted = muted;
    if (this.state !== 'off') this.#become(muted ? 'muted' : 'on');
  }

  #become(state) {
    this.state = state;
    this.emit('state', { state, why: '' });
  }
}

class FakeSpeaker extends Emitter {
  done = [];
  playing = null;
  level = -100;
  latencyMs = 10;
  stats = { underruns: 0 };
  context = { state: 'running', resume: async () => {} };

  play(id, samples) {
    this.done.push(`play ${id} ${samples.length}`);
  }

  interrupt(id) {
    this.done.push(`interrupt ${id}`);
  }

  stop() {
    this.done.push('stop');
  }

  starts(speechId) {
    this.playing = speechId;
    this.emit('started', { speechId, latencyMs: 10 });
  }

  ends(speechId, cut = false) {
    this.playing = null;
    this.emit('ended', { speechId, cut });
  }
}

class FakePicture extends Emitter {
  start(kind) {
    this.emit('state', { kind, why: '' });
  }

  stop() {
    this.emit('state', { kind: null, why: '' });
  }

  again() {
    this.askedAgain = true;
  }
}

const last = () => FakeSocket.all.at(-1);
const frame = (value = 0) => ({ samples: new Int16Array(320).fill(value) });

/** The host's side of it, and all that the page is made of. */
class Stage {
  constructor({ mode = 'hands-free', history = [], dialect = 'native' } = {}) {
    FakeSocket.all = [];
    this.clock = new FakeClock();
    this.reloads = 0;
    this.page = Object.assign(new EventTarget(), {
      document: Object.assign(new EventTarget(), { visibilityState: 'visible' }),
      navigator: { userAgent: 'test', mediaDevices: new EventTarget() },
      location: { origin: 'http://host:1', search: '', reload: () => this.reloads++ },
    });
    this.settings = new Settings(() => null);
    this.settings.set('mode', mode);
    this.microphone = new FakeMicrophone();
    this.speaker = new FakeSpeaker();
    this.picture = new FakePicture();
    this.api = { characters: async () => ({ current: 'Mia' }), conversation: async () => history };
    const fetch = async () => ({ json: async () => ({ status: 'ready' }) });
    this.session = new Session({
      settings: this.settings, page: this.page, clock: this.clock, microphone: this.microphone, picture: this.picture, api: this.api,
      newSpeaker: async () => this.speaker,
      connection: new Connection({
        url: 'ws://host:1', query: { client: 'me', dialect }, webSocket: FakeSocket, clock: this.clock, fetch, random: () => 0.5,
      }),
    });
  }

  get state() {
    return this.session.state;
  }

  async begin(options) {
    await this.session.begin(options);
    last().onopen();
    this.starts('S');
    await settle();
    return this;
  }

  prepares() {
    this.say({ type: 'session_preparing', input_mode: 'audio' });
  }

  started(session_id) {
    this.say({ type: 'session_started', input_mode: 'audio', session_id });
  }

  starts(id) {
    this.prepares();
    this.started(id);
  }

  /** Lose the connection, and have another one. */
  async returns() {
    this.lose();
    this.clock.advance(1_000);
    last().onopen();
  }

  say(message) {
    last().onmessage({ data: JSON.stringify(message) });
  }

  status(code) {
    this.say({ type: 'status', message: JSON.stringify({ code, details: { message: code } }) });
  }

  reply(turn = 'T') {
    this.say({ type: 'gemini_response', text: 'Hello.', isNewMessage: true, turn_id: turn });
    this.sound(turn);
    this.speaker.starts(turn);
  }

  sound(speech) {
    this.say({ type: 'audio_chunk', speech_id: speech });
    last().onmessage({ data: new Int16Array(480).buffer });
  }

  lose(code = 1006) {
    last().onclose({ code });
  }

  /** What was sent on the present connection, without pings and sound. */
  get sent() {
    return last().sent.filter((data) => typeof data === 'string').map((data) => JSON.parse(data)).filter(({ action }) => action !== 'ping');
  }

  get frames() {
    return last().sent.filter((data) => typeof data !== 'string');
  }
}

const start = (more) => ({ action: 'start_session', input_type: 'audio', new_session: false, ...more });

export async function it_begins_with_whoever_is_active() {
  const stage = await new Stage().begin();
  ok(last().url.startsWith('ws://host:1/ws/Mia?client=me'), last().url);
  equal(stage.sent, [start()]);
  equal([stage.state.session, stage.state.phase, stage.state.character], [{ state: 'started', id: 'S' }, 'listening', 'Mia']);
}

export async function it_begins_with_whom_the_person_chose() {
  const stage = new Stage();
  stage.settings.set('character', 'Tom');
  await stage.begin();
  ok(last().url.includes('/ws/Tom?'));
}

export async function begun_twice_it_begins_once() {
  const stage = new Stage();
  const both = [stage.session.begin(), stage.session.begin()];
  await Promise.all(both);
  last().onopen();
  await stage.session.begin();
  equal([FakeSocket.all.length, stage.sent.length, stage.microphone.asked], [1, 1, 1]);
}

export async function hands_free_all_sound_is_sent() {
  const stage = await new Stage().begin();
  stage.microphone.emit('frame', frame());
  stage.microphone.emit('frame', frame());
  equal(stage.frames.map((data) => data.length), [648, 648]);
}

export async function no_sound_is_sent_before_the_start() {
  const stage = new Stage();
  await stage.session.begin();
  stage.microphone.emit('frame', frame());
  last().onopen();
  equal(stage.frames.length, 0);
  stage.microphone.emit('frame', frame());
  equal(stage.frames.length, 1);
}

export async function typing_asks_for_no_microphone() {
  const stage = new Stage({ mode: 'typing' });
  await stage.begin();
  equal([stage.microphone.asked, stage.sent[0].input_type, stage.state.phase], [0, 'text', 'idle']);
  await stage.session.type('Hello');
  equal(stage.sent.at(-1), { action: 'stream_data', input_type: 'text', data: 'Hello' });
  equal([stage.state.phase, stage.state.entries.at(-1).text], ['thinking', 'Hello']);
}

export async function a_message_begins_a_conversation_without_a_microphone() {
  const stage = new Stage();
  await stage.session.type('Hello');
  last().onopen();
  equal(stage.sent, [start()]);
  stage.starts('S');
  equal(stage.sent, [start(), { action: 'stream_data', input_type: 'text', data: 'Hello' }]);
  equal(stage.microphone.asked, 0);
  await stage.session.type('   ');
  equal(stage.sent.length, 2);
}

export async function messages_wait_for_the_connection() {
  const stage = await new Stage().begin();
  stage.lose();
  await stage.session.type('One');
  stage.clock.advance(1_000);
  equal(stage.sent, []);
  last().onopen();
  await stage.session.type('Two');
  stage.starts('S');
  equal(stage.sent.map(({ action, data }) => data ?? action), ['start_session', 'One', 'Two']);
}

export async function push_to_talk_sends_while_it_is_held() {
  const stage = await new Stage({ mode: 'push-to-talk' }).begin();
  stage.microphone.emit('frame', frame(1));
  equal([stage.frames.length, stage.state.phase], [0, 'idle']);
  stage.session.pushToTalk(true);
  equal(stage.state.phase, 'listening');
  stage.microphone.emit('frame', frame(1));
  stage.session.pushToTalk(false);
  stage.clock.advance(199);
  stage.microphone.emit('frame', frame(2)); // the end of the last word
  stage.clock.advance(1);
  stage.microphone.emit('frame', frame(3));
  const [voice, end, ...silence] = stage.frames;
  equal([voice[8], end[8]], [1, 2]);
  ok(silence.every((data) => data.slice(8).every((byte) => byte === 0)));
  equal(silence.reduce((ms, data) => ms + (data.length - 8) / 32, 0), 1_500);
}

export async function sound_goes_to_the_speaker_and_stops_with_the_person() {
  const stage = await new Stage().begin();
  stage.reply();
  equal(stage.state.phase, 'speaking');
  stage.say({ type: 'user_activity', interrupted_speech_id: 'T' });
  stage.say({ type: 'user_activity', interrupted_speech_id: null });
  equal(stage.speaker.done, ['play T 480', 'interrupt T', 'interrupt null']);
  equal(stage.state.entries.at(-1).state, 'interrupted');
}

export async function the_documented_dialect_stops_and_resumes_too() {
  const stage = await new Stage({ dialect: 'documented' }).begin();
  const audio = () => stage.say({ type: 'audio', audio_data: btoa('\x01\x00') });
  stage.say({ type: 'text', text: 'Hello.' });
  audio();
  stage.say({ type: 'user_activity', interrupted_speech_id: 'theirs' });
  audio();
  equal(stage.speaker.done, ['play turn-1 1', 'interrupt turn-1', 'play turn-1.2 1']);
}

export async function after_a_break_it_goes_on_with_the_same_conversation() {
  const stage = await new Stage().begin();
  stage.lose(1001);
  equal([stage.state.session.state, stage.state.connection.why], ['none', 'stopping']);
  stage.microphone.emit('frame', frame());
  stage.clock.advance(500);
  last().onopen();
  equal(stage.sent, [start({ session_id: 'S' })]);
  stage.microphone.emit('frame', frame());
  equal(stage.frames.length, 1);
}

export async function if_that_is_gone_it_goes_on_with_the_last() {
  const stage = await new Stage().begin();
  stage.lose();
  stage.clock.advance(500);
  last().onopen();
  stage.prepares();
  stage.status('UNKNOWN_CONVERSATION');
  stage.say({ type: 'session_failed', input_mode: 'audio' });
  equal(stage.sent.map(({ session_id }) => session_id ?? null), ['S', null]);
  stage.prepares();
  stage.say({ type: 'session_failed', input_mode: 'audio' });
  equal(stage.sent.length, 2);
  equal(stage.state.session.state, 'failed');
}

export async function one_that_was_taken_over_gives_everything_back() {
  const stage = await new Stage().begin();
  stage.status('SUPERSEDED');
  stage.lose(1000);
  stage.clock.advance(60_000);
  equal([FakeSocket.all.length, stage.microphone.state, stage.state.connection.why], [1, 'off', 'superseded']);
  await stage.session.begin();
  last().onopen();
  equal([FakeSocket.all.length, stage.sent], [2, [start({ session_id: 'S' })]]);
}

export async function paused_it_stays_paused_over_a_break() {
  const stage = await new Stage().begin();
  stage.session.pause();
  stage.status('SESSION_PAUSED');
  equal([stage.sent.at(-1).action, stage.microphone.state, stage.state.session.state], ['pause_session', 'off', 'paused']);
  stage.lose();
  stage.clock.advance(500);
  last().onopen();
  equal(stage.sent, []);
  await stage.session.resume();
  equal([stage.sent, stage.microphone.state], [[start({ session_id: 'S' })], 'on']);
}

export async function an_end_is_an_end() {
  const stage = await new Stage().begin();
  stage.session.end();
  equal([stage.sent.at(-1).action, stage.microphone.state, stage.speaker.done], ['end_session', 'off', ['stop']]);
  stage.lose();
  stage.clock.advance(500);
  last().onopen();
  equal(stage.sent, []);
}

export async function a_new_conversation_is_asked_for_until_it_is_there() {
  const stage = await new Stage().begin();
  stage.reply();
  await stage.session.newConversation();
  equal([stage.sent.at(-1), stage.state.entries], [start({ new_session: true }), []]);
  stage.lose();
  stage.clock.advance(500);
  last().onopen();
  equal(stage.sent, [start({ new_session: true })]);
  stage.starts('S2');
  stage.lose();
  stage.clock.advance(1_000);
  last().onopen();
  equal(stage.sent, [start({ session_id: 'S2' })]);
}

export async function an_earlier_one_is_resumed_and_shown() {
  const stage = await new Stage({ history: [{ role: 'user', text: 'Earlier', at_s: 1 }] }).begin();
  await stage.session.resumeConversation('S1');
  equal(stage.sent.at(-1), start({ session_id: 'S1' }));
  stage.starts('S1');
  await settle();
  equal(stage.state.entries.map(({ text }) => text), ['Earlier']);
  stage.lose();
  stage.clock.advance(500);
  last().onopen();
  stage.starts('S1');
  await settle();
  equal(stage.state.entries.length, 1);
}

export async function another_character_has_another_conversation() {
  const stage = await new Stage().begin();
  stage.session.switchCharacter('Tom');
  ok(last().url.includes('/ws/Tom?'));
  last().onopen();
  equal([stage.sent, stage.state.character, stage.settings.get('character')], [[start()], 'Tom', 'Tom']);
}

export async function the_host_may_switch_it() {
  const stage = await new Stage().begin();
  stage.say({ type: 'catgirl_switched', new_catgirl: 'Tom', old_catgirl: 'Mia' });
  ok(last().url.includes('/ws/Tom?'));
  last().onopen();
  equal([stage.sent, stage.state.character, stage.state.switchTo, stage.settings.get('character')], [[start()], 'Tom', null, '']);
}

export async function the_page_is_loaded_again_when_nobody_speaks() {
  const stage = await new Stage().begin();
  stage.reply();
  stage.say({ type: 'reload_page', message: 'New.' });
  equal(stage.reloads, 0);
  stage.say({ type: 'system', data: 'turn end' });
  stage.speaker.ends('T');
  equal(stage.reloads, 1);
}

export async function a_reply_can_be_stopped() {
  const stage = await new Stage().begin();
  stage.session.stopReply();
  equal(stage.sent.length, 1);
  stage.reply();
  stage.session.stopReply();
  equal([stage.sent.length, stage.sent.at(-1), stage.speaker.done.at(-1)], [2, start({ session_id: 'S' }), 'stop']);
}

export async function muting_ends_what_was_being_said() {
  const stage = await new Stage().begin();
  stage.session.mute(true);
  equal([stage.microphone.wasMuted, stage.frames.length > 0, stage.state.microphone.state, stage.state.phase], [true, true, 'muted', 'idle']);
}

export async function another_mode_is_taken_at_once() {
  const stage = await new Stage().begin();
  stage.session.setMode('typing');
  equal([stage.microphone.state, stage.state.mode.mode, stage.state.phase], ['off', 'typing', 'idle']);
  stage.session.setMode('hands-free');
  equal([stage.microphone.state, stage.state.phase], ['on', 'listening']);
}

export async function pictures_are_sent_while_they_are_shared() {
  const stage = await new Stage().begin();
  await stage.session.share('screen');
  stage.picture.emit('picture', { kind: 'screen', dataUrl: 'data:x' });
  equal(stage.sent.at(-1), { action: 'stream_data', input_type: 'screen', data: 'data:x' });
  equal(stage.state.sharing, { kind: 'screen', picture: 'data:x' });
  last().bufferedAmount = 1e6;
  stage.picture.askedAgain = false;
  stage.picture.emit('picture', { kind: 'screen', dataUrl: 'data:y' });
  equal([stage.picture.askedAgain, stage.sent.at(-1).data], [true, 'data:x']);
  await stage.session.share(null);
  equal(stage.state.sharing, null);
}

export async function a_camera_that_fails_is_a_problem_and_a_change_of_mind_is_none() {
  const stage = await new Stage().begin();
  stage.picture.emit('state', { kind: null, why: 'NotAllowedError', asked: 'screen' });
  equal(stage.state.problem, null);
  stage.picture.emit('state', { kind: null, why: 'NotAllowedError', asked: 'camera' });
  equal(stage.state.problem.code, 'CAMERA_DENIED');
  stage.picture.emit('state', { kind: null, why: 'NotReadableError', asked: 'camera' });
  equal(stage.state.problem.code, 'PICTURE_FAILED');
}

export async function the_network_the_window_and_the_microphone_wake_it() {
  const stage = await new Stage().begin();
  stage.lose();
  stage.page.dispatchEvent(new Event('online'));
  equal(FakeSocket.all.length, 2);
  stage.lose();
  stage.page.document.dispatchEvent(new Event('visibilitychange'));
  equal(FakeSocket.all.length, 3);
  stage.microphone.state = 'missing';
  stage.page.navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
  equal(stage.microphone.asked, 2);
}

export async function a_cough_is_forgotten_after_a_while() {
  const stage = await new Stage().begin();
  stage.say({ type: 'user_activity', interrupted_speech_id: null });
  equal(stage.state.phase, 'hearing');
  stage.clock.advance(6_000);
  equal(stage.state.phase, 'listening');
}

export async function it_can_be_looked_into() {
  const stage = await new Stage().begin();
  const talk = new Int16Array(320).map((_, i) => 8_000 * Math.sin(i / 5));
  stage.microphone.emit('frame', frame());
  stage.microphone.emit('frame', { samples: talk });
  stage.say({ type: 'user_transcript', text: 'Hi' });
  stage.clock.advance(600);
  stage.reply();
  stage.say({ type: 'timeline', turn_id: 'T', spans: [{ name: 'stt', owner: 'x', start_ms: 1, end_ms: 2 }] });
  const debug = JSON.parse(JSON.stringify(stage.session.debug()));
  equal(debug.voiceToVoice, [{ turn: 'T', ms: 610 }]);
  ok(!JSON.stringify(debug).includes('"me"'), 'the key to the conversations');
  equal([debug.timelines.length, debug.underruns, debug.droppedFrames], [1, 0, 0]);
  equal(stage.session.levels, { microphoneDbfs: -100, speakerDbfs: -100 });
}

export async function pressed_again_at_once_it_is_one_turn() {
  const stage = await new Stage({ mode: 'push-to-talk' }).begin();
  stage.session.pushToTalk(true);
  stage.session.pushToTalk(false);
  stage.clock.advance(100);
  stage.session.pushToTalk(true);
  stage.clock.advance(1_000);
  equal(stage.frames, []);
  stage.session.pushToTalk(false);
  stage.session.end();
  stage.clock.advance(1_000);
  equal(stage.frames, []);
}

export async function after_its_end_it_can_be_gone_on_with() {
  const stage = await new Stage().begin();
  stage.say({ type: 'user_transcript', text: 'Hi' });
  stage.session.mute(true);
  stage.session.end();
  equal(stage.microphone.wasMuted, false);
  stage.status('SESSION_ENDED');
  await stage.session.begin();
  equal(stage.sent.at(-1), start({ session_id: 'S' }));
  stage.starts('S');
  await settle();
  equal([stage.state.entries.length, stage.state.session.id], [1, 'S']);
}

export async function what_was_forgotten_is_not_gone_on_with() {
  const stage = await new Stage().begin();
  stage.say({ type: 'user_transcript', text: 'Hi' });
  stage.session.end();
  stage.session.forget();
  equal(stage.state.entries, []);
  await stage.session.begin();
  equal(stage.sent.at(-1), start({ new_session: true }));
}

export async function one_chosen_while_another_is_prepared_is_the_one() {
  const stage = await new Stage().begin();
  await stage.session.newConversation();
  stage.prepares();
  await stage.session.resumeConversation('S1');
  equal(stage.sent.slice(1).map(({ action, session_id }) => session_id ?? action), ['start_session', 'pause_session', 'S1']);
  stage.started('late');
  equal([stage.state.session.id, stage.session.conversation.id], [null, 'S1']);
  stage.status('SESSION_PAUSED');
  stage.starts('S1');
  await settle();
  equal([stage.state.session, stage.session.conversation.id], [{ state: 'started', id: 'S1' }, 'S1']);
}

export async function two_starts_on_the_way_are_told_apart() {
  const stage = await new Stage().begin();
  await stage.session.newConversation();
  await stage.session.resumeConversation('S1');
  stage.starts('late');
  equal(stage.session.conversation.id, 'S1');
  stage.say({ type: 'gemini_response', text: 'Hello.', turn_id: 'late' });
  stage.starts('S1');
  equal([stage.state.session.id, stage.state.entries], ['S1', []]);
}

export async function the_tail_of_an_old_reply_is_not_of_the_new_conversation() {
  const stage = await new Stage().begin();
  stage.reply();
  await stage.session.newConversation();
  const before = stage.speaker.done.length;
  const tail = [
    { type: 'emotion', emotion: 'sad' },
    { type: 'gemini_response', text: ' More.', turn_id: 'T' },
    { type: 'user_partial', text: 'wh' },
    { type: 'user_transcript', text: 'what' },
  ];
  tail.forEach((message) => stage.say(message));
  stage.sound('T');
  equal([stage.state.entries, stage.state.partial, stage.state.emotion], [[], '', 'neutral']);
  equal(stage.speaker.done.length, before);
  stage.starts('S2');
  stage.reply('T2');
  equal([stage.state.entries.map(({ turn }) => turn), stage.speaker.done.at(-1)], [['T2'], 'play T2 480']);
}

export async function another_connection_has_no_tail() {
  const stage = await new Stage().begin();
  stage.session.end();
  stage.session.forget();
  await stage.returns();
  stage.say({ type: 'gemini_response', text: 'Hello.', turn_id: 'T' });
  equal(stage.state.entries.length, 1);
}

export async function while_the_host_is_away_it_tries_and_then_opens_all() {
  const stage = new Stage();
  let away = true;
  stage.session.newSpeaker = async () => {
    if (away) throw new DOMException('Unable to load a worklet', 'AbortError');
    return stage.speaker;
  };
  stage.microphone.start = () => (stage.microphone.asked++, (stage.microphone.unreachable = away));
  await stage.session.begin();
  stage.lose();
  equal([stage.state.connection.state, stage.session.speaker], ['waiting', null]);
  away = false;
  stage.clock.advance(1_000);
  last().onopen();
  await settle();
  equal([stage.session.speaker === stage.speaker, stage.microphone.asked], [true, 2]);
  equal(stage.sent, [start()]);
}

export async function a_speaker_that_takes_for_ever_holds_up_nothing() {
  const stage = new Stage();
  stage.session.newSpeaker = () => new Promise(() => {});
  const beginning = stage.session.begin();
  stage.clock.advance(2_000);
  await beginning;
  equal(FakeSocket.all.length, 1);
}

export async function sound_that_the_browser_stops_is_had_to_run_or_told() {
  const stage = await new Stage().begin();
  const { context } = stage.speaker;
  let allowed = true;
  context.resume = async () => void (allowed && (context.state = 'running'));
  const stop = async () => {
    context.state = 'suspended';
    stage.speaker.emit('context');
    await settle();
  };
  await stop();
  equal([context.state, stage.state.blocked], ['running', false]);
  allowed = false;
  await stop();
  equal([context.state, stage.state.blocked], ['suspended', true]);
  allowed = true;
  stage.page.document.dispatchEvent(new Event('pointerdown'));
  await settle();
  equal([context.state, stage.state.blocked], ['running', false]);
}

export async function a_microphone_that_the_browser_stops_is_had_to_run_too() {
  const stage = await new Stage().begin();
  const context = { state: 'suspended', resume: async () => void (context.state = 'running') };
  stage.microphone.context = context;
  stage.session.wake();
  await settle();
  equal(context.state, 'running');
}

export async function taken_over_it_shows_nothing_more() {
  const stage = await new Stage().begin();
  await stage.session.share('camera');
  stage.reply();
  stage.status('SUPERSEDED');
  stage.lose(1000);
  stage.speaker.ends('T', true);
  equal([stage.state.sharing, stage.state.phase], [null, 'idle']);
}

export async function what_was_typed_first_moves_with_the_host() {
  const stage = new Stage({ mode: 'typing' });
  stage.settings.set('character', 'Gone');
  await stage.session.type('Hello');
  last().onopen();
  stage.say({ type: 'catgirl_switched', new_catgirl: 'Mia', old_catgirl: 'Gone' });
  last().onopen();
  stage.starts('S');
  equal(stage.sent.at(-1), { action: 'stream_data', input_type: 'text', data: 'Hello' });
  equal(stage.state.entries.map(({ text }) => text), ['Hello']);
  stage.session.switchCharacter('Tom');
  equal(stage.state.entries, []);
}
