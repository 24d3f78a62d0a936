import { Reader, soundFrame, soundMessage, turnOf } from '/page/core/wire.js';
import { equal, ok, random } from './assert.js';

const reader = (...messages) => {
  const one = new Reader();
  return messages.map((message) => one.read(message instanceof ArrayBuffer ? message : JSON.stringify(message)));
};
const bytes = (...values) => Int16Array.from(values).buffer;
const base64 = (...values) => btoa(String.fromCharCode(...new Uint8Array(bytes(...values))));
const sound = (...values) => ({ type: 'audio', audio_data: base64(...values) });

export function native_sound_is_the_next_frame() {
  const [none, audio, lost] = reader({ type: 'audio_chunk', speech_id: 'T.2' }, bytes(1, -2, 3), bytes(4));
  equal([none, lost], [null, null]);
  equal([audio.type, audio.speech_id, [...audio.samples]], ['audio', 'T.2', [1, -2, 3]]);
}

export function half_a_sample_is_left_out() {
  const [, audio] = reader({ type: 'audio_chunk', speech_id: 'T' }, new ArrayBuffer(5));
  equal(audio.samples.length, 2);
}

export function native_text_is_as_it_comes() {
  const message = { type: 'gemini_response', text: 'Hello', isNewMessage: true, turn_id: 'T', request_id: null };
  equal(reader(message), [message]);
}

export function statuses_of_both_dialects_are_the_same() {
  const native = { type: 'status', message: JSON.stringify({ code: 'BAD_JSON', details: { message: 'No.' } }) };
  const documented = { type: 'status', message: 'No. [BAD_JSON]' };
  const expected = { type: 'status', code: 'BAD_JSON', text: 'No.' };
  equal(reader(native, documented), [expected, expected]);
}

export function documented_states_have_their_codes() {
  const codes = ['Session started successfully', 'Session paused. Start it to go on.', 'Session ended and saved.', 'Be well.']
    .map((message) => reader({ type: 'status', message })[0].code);
  equal(codes, ['SESSION_STARTED', 'SESSION_PAUSED', 'SESSION_ENDED', '']);
}

export function documented_turns_get_ids_of_ours() {
  const found = reader(
    { type: 'text', text: 'Hel' }, sound(1), { type: 'text', text: 'lo.' }, { type: 'system', data: 'turn end' }, sound(2),
    { type: 'text', text: 'More.' }, sound(3),
  );
  const ids = found.map((message) => message.turn_id ?? message.speech_id ?? '-');
  equal(ids, ['turn-1', 'turn-1', 'turn-1', '-', 'turn-1', 'turn-2', 'turn-2']);
  equal([found[0].isNewMessage, found[2].isNewMessage, found[5].isNewMessage], [true, false, true]);
  equal([...found[1].samples], [1]);
}

export function a_documented_reply_that_is_resumed_is_another_stretch() {
  const [, first, activity, second, words] = reader(
    { type: 'text', text: 'Hello' }, sound(1), { type: 'user_activity', interrupted_speech_id: 'theirs' }, sound(2),
    { type: 'speech_words', turn_id: 'theirs', speech_id: 'theirs.2', words: [] },
  );
  equal(first.speech_id, 'turn-1');
  equal(activity.interrupted_speech_id, 'turn-1');
  equal(second.speech_id, 'turn-1.2');
  equal([words.turn_id, words.speech_id], ['turn-1', 'turn-1.2']);
}

export function activity_that_names_nothing_names_nothing() {
  const [, activity] = reader({ type: 'text', text: 'Hello' }, { type: 'user_activity', interrupted_speech_id: null });
  equal(activity.interrupted_speech_id, null);
}

export function a_documented_answer_after_an_interruption_is_another_turn() {
  const [, , , text] = reader(
    { type: 'text', text: 'Hello' }, { type: 'user_activity', interrupted_speech_id: 'x' },
    { type: 'user_transcript', text: 'Wait' }, { type: 'text', text: 'Yes?' },
  );
  equal([text.turn_id, text.isNewMessage], ['turn-2', true]);
}

export function so_is_one_to_typed_words_and_one_on_another_connection() {
  const one = new Reader();
  const read = () => one.read('{"type":"text","text":"Hello"}').turn_id;
  const ids = [read(), read()];
  one.asked();
  ids.push(read());
  one.reset();
  ids.push(read());
  equal(ids, ['turn-1', 'turn-1', 'turn-2', 'turn-3']);
}

export function what_cannot_be_read_is_nothing() {
  const one = new Reader();
  const found = ['', '{', 'null', '1', '[]', '{}', '{"type":1}', '"type"', '{"type":"audio","audio_data":"?"}'].map((text) => one.read(text));
  ok(found.every((message) => message === null), JSON.stringify(found));
}

export function noise_breaks_nothing() {
  const next = random(6);
  const types = ['status', 'audio', 'audio_chunk', 'text', 'user_activity', 'speech_words', 'system', 'gemini_response', '__proto__', 'toString'];
  const values = [null, 1, '', 'x', [], {}, true];
  const one = new Reader();
  for (let i = 0; i < 2_000; i++) {
    const message = { type: types[Math.floor(next() * types.length)] };
    for (const key of ['message', 'text', 'audio_data', 'speech_id', 'words', 'data', 'turn_id', 'interrupted_speech_id']) {
      message[key] = values[Math.floor(next() * values.length)];
    }
    one.read(JSON.stringify(message));
    if (next() < 0.2) one.read(new ArrayBuffer(Math.floor(next() * 10)));
  }
}

export function microphone_sound_has_its_header() {
  const frame = soundFrame(Int16Array.of(1, -1), 16_000);
  equal([...frame], [78, 69, 75, 79, 0x80, 0x3e, 0, 0, 1, 0, 255, 255]);
}

export function the_document_has_it_as_base64() {
  const message = soundMessage(Int16Array.of(1, -1), 16_000);
  equal(message, { action: 'stream_data', input_type: 'audio', data: base64(1, -1), sample_rate: 16_000 });
}

export function a_stretch_belongs_to_its_turn() {
  equal(['T', 'T.2', 'T.10', 'turn-1', 'a.b'].map(turnOf), ['T', 'T', 'T', 'turn-1', 'a.b']);
}
