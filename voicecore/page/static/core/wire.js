// @ts-check
/**
 * The host's messages in both dialects, read to one form: that of the native one, except that a
 * status is `{type: 'status', code, text}`, and sound `{type: 'audio', speech_id, samples}`.
 * See docs/wire.md, "Two dialects".
 */

import { fromBytes, toBytes } from './pcm.js';

/** @typedef {Record<string, any> & {type: string}} Message */

/** What the documented dialect says of a session in words alone. */
const SENTENCES = new Map([
  ['Session started successfully', 'SESSION_STARTED'],
  ['Session paused. Start it to go on.', 'SESSION_PAUSED'],
  ['Session ended and saved.', 'SESSION_ENDED'],
  ['Awake, and listening.', 'AWAKE'],
]);
/** The four letters, and the rate. */
const HEADER_BYTES = 8;
/** Longest sound in one binary frame. */
export const MAX_FRAME_MS = 120;

/** Reads what comes, in order. One for all connections of a page: its ids are never used twice. */
export class Reader {
  constructor() {
    this.turns = 0;
    this.stretch = 1;
    /** The next text begins another turn (documented dialect). */
    this.newTurn = true;
    /** Whose sound the next binary frame is. @type {string|null} */
    this.announced = null;
  }

  /** Another connection: nothing of the last one goes on. */
  reset() {
    this.newTurn = true;
    this.announced = null;
  }

  /** The person has asked something: what comes next answers it. */
  asked() {
    this.newTurn = true;
  }

  /**
   * @param {string|ArrayBuffer} data one message
   * @returns {Message|null} null if there is nothing in it
   */
  read(data) {
    if (typeof data !== 'string') return this.#frame(data);
    const message = parse(data);
    if (message === null) return null;
    const known = Object.hasOwn(READERS, message.type);
    return known ? READERS[message.type](message, this) : message;
  }

  /** @param {ArrayBuffer} bytes */
  #frame(bytes) {
    const speech_id = this.announced;
    this.announced = null;
    return speech_id === null ? null : { type: 'audio', speech_id, samples: fromBytes(bytes) };
  }

  /** Text of a reply without an id came. @returns {boolean} whether it begins a turn */
  textTurn() {
    const begins = this.newTurn;
    if (begins) {
      this.turns++;
      this.stretch = 1;
    }
    this.newTurn = false;
    return begins;
  }

  get turnId() {
    return `turn-${this.turns}`;
  }

  get speechId() {
    return this.stretch === 1 ? this.turnId : `${this.turnId}.${this.stretch}`;
  }
}

/** @type {Record<string, (message: Message, reader: Reader) => Message|null>} */
const READERS = {
  status: (message) => status(message),
  audio_chunk: (message, reader) => {
    reader.announced = String(message.speech_id ?? '');
    return null;
  },
  audio: (message, reader) => {
    const samples = decodeSound(message.audio_data);
    return samples && { type: 'audio', speech_id: reader.speechId, samples };
  },
  text: (message, reader) => {
    const isNewMessage = reader.textTurn();
    const text = String(message.text ?? '');
    return { type: 'gemini_response', text, isNewMessage, turn_id: reader.turnId };
  },
  gemini_response: (message, reader) =>
    message.turn_id == null ? READERS.text(message, reader) : message,
  speech_words: (message, reader) => {
    // As below: of the sound that bears our id.
    if (reader.turns === 0) return message;
    return { ...message, turn_id: reader.turnId, speech_id: reader.speechId };
  },
  user_transcript: (message, reader) => {
    reader.newTurn = true;
    return message;
  },
  system: (message, reader) => {
    if (message.data === 'turn end') reader.newTurn = true;
    return message;
  },
  user_activity: (message, reader) => {
    // In the documented dialect sound bears no id, so it is ours that is meant.
    const isOurs = reader.turns > 0 && message.interrupted_speech_id != null;
    return isOurs ? { ...message, interrupted_speech_id: interrupted(reader) } : message;
  },
};

/** Sound that comes after the interruption is another stretch. @param {Reader} reader */
function interrupted(reader) {
  const id = reader.speechId;
  reader.stretch++;
  return id;
}

/** @param {string} text @returns {Message|null} */
function parse(text) {
  try {
    const message = JSON.parse(text);
    return message !== null && typeof message?.type === 'string' ? message : null;
  } catch {
    return null;
  }
}

/** @param {Message} message @returns {Message} */
function status(message) {
  const words = String(message.message ?? '');
  const coded = parseStatus(words);
  if (coded) return { type: 'status', ...coded };
  const tail = /^(.*?)\s*\[([A-Z][A-Z0-9_]+)\]$/s.exec(words);
  if (tail) return { type: 'status', code: tail[2], text: tail[1] };
  const asleep = /^Asleep\. Say “.+” to wake me\.$/.test(words) ? 'ASLEEP' : '';
  return { type: 'status', code: SENTENCES.get(words) ?? asleep, text: words };
}

/** @param {string} words @returns {{code: string, text: string}|null} */
function parseStatus(words) {
  try {
    const { code, details } = JSON.parse(words);
    return typeof code === 'string' ? { code, text: String(details?.message ?? '') } : null;
  } catch {
    return null;
  }
}

/** @param {unknown} base64 @returns {Int16Array|null} */
function decodeSound(base64) {
  try {
    return fromBytes(Uint8Array.from(atob(String(base64)), (c) => c.charCodeAt(0)).buffer);
  } catch {
    return null;
  }
}

/** The binary frame for sound of the microphone. @param {Int16Array} samples @param {number} rateHz */
export function soundFrame(samples, rateHz) {
  const frame = new Uint8Array(HEADER_BYTES + 2 * samples.length);
  frame.set([0x4e, 0x45, 0x4b, 0x4f]); // NEKO
  new DataView(frame.buffer).setUint32(4, rateHz, true);
  frame.set(toBytes(samples), HEADER_BYTES);
  return frame;
}

/** The same as the document has it. @param {Int16Array} samples @param {number} rateHz */
export function soundMessage(samples, rateHz) {
  const data = btoa(String.fromCharCode(...toBytes(samples)));
  return { action: 'stream_data', input_type: 'audio', data, sample_rate: rateHz };
}

/** The turn whose sound this is: `ID.2` is the second stretch of `ID`. @param {string} speechId */
export function turnOf(speechId) {
  return speechId.replace(/\.\d+$/, '');
}
