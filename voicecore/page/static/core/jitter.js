// @ts-check
/** Holds sound that comes in pieces, a little, so that it can be played in one piece. */

/** Begin when this much is there: two messages of the host. */
export const START_MS = 80;
/** Begin with less after this long; a short word may be all there is. */
export const WAIT_MS = 120;
/** Each gap within a reply has the next start wait for this much more. */
export const GROW_MS = 40;
/** But for no more than this. */
export const MOST_MS = 400;
/** Each reply without a gap takes this much back. */
export const SHRINK_MS = 20;
/** From silence to sound and back, so that nothing clicks. */
export const FADE_MS = 5;
/** Nothing for this long, and the speech is over; sound within it ends a gap. */
export const END_MS = 400;
/** Most that is held: a host that does not pace itself sends a whole reply at once. */
export const HELD_MS = 120_000;
/** Ids remembered of speech that was interrupted, or came before such. */
const KNOWN_IDS = 256;

/**
 * @typedef {object} Happening
 * @property {'started'|'ended'} type
 * @property {string} id
 * @property {boolean} [cut] of one that ended: it was stopped, and was not heard to its end
 */
/** @typedef {{dead: boolean, played: number}} Known of an id: must it be heard no more; samples played */
/**
 * @typedef {object} Speech sound of one id
 * @property {string} id
 * @property {Float32Array[]} pieces not played yet; of the first, what comes after `offset`
 * @property {number} offset
 * @property {number} left samples not played yet
 * @property {Known} known
 * @property {number} waited samples of silence: since its sound came, or since there is no more
 * @property {boolean} playing
 * @property {boolean} told that it has started
 */

/**
 * One speech after the other. Time is what was asked for: `pull` is called for every sample that
 * leaves, and nothing else tells the time. So it can be tested as fast as it runs.
 */
export class JitterBuffer {
  /** @param {number} rateHz */
  constructor(rateHz) {
    this.rateHz = rateHz;
    this.targetMs = START_MS;
    this.underruns = 0;
    this.droppedStale = 0;
    this.droppedFull = 0;
    this.fade = this.#samples(FADE_MS);
    this.gain = 0;
    /** What is still to be heard of a speech that was stopped: its last few milliseconds. */
    this.tail = new Float32Array(0);
    /** @type {Speech[]} */
    this.speeches = [];
    /** In the order in which they came. @type {Map<string, Known>} */
    this.known = new Map();
    /** Whether the present speech had a gap. */
    this.gapped = false;
  }

  /** @param {number} ms */
  #samples(ms) {
    return Math.round((ms * this.rateHz) / 1000);
  }

  get bufferedMs() {
    const samples = this.speeches.reduce((sum, speech) => sum + speech.left, 0);
    return (samples * 1000) / this.rateHz;
  }

  /** What is being played, and how much of it was. */
  get position() {
    const now = this.speeches[0];
    return now?.told ? { id: now.id, ms: (now.known.played * 1000) / this.rateHz } : null;
  }

  /**
   * Take a piece of sound. That of a dead speech counts for nothing.
   * @param {string} id @param {Float32Array} samples
   */
  push(id, samples) {
    const known = this.#know(id);
    if (known.dead) {
      this.droppedStale++;
    } else if (this.bufferedMs > HELD_MS) {
      this.droppedFull++;
    } else if (samples.length > 0) {
      const speech = this.#speech(id, known);
      if (speech.left === 0) this.#comeBack(speech);
      speech.pieces.push(samples);
      speech.left += samples.length;
    }
  }

  /** @param {string} id @param {Known} known @returns {Speech} */
  #speech(id, known) {
    const last = this.speeches.at(-1);
    if (last?.id === id) return last;
    const speech = {
      id, known, pieces: [], offset: 0, left: 0, waited: 0, playing: false, told: false,
    };
    this.speeches.push(speech);
    return speech;
  }

  /** @param {string} id @returns {Known} */
  #know(id) {
    const known = this.known.get(id) ?? { dead: false, played: 0 };
    this.known.set(id, known);
    if (this.known.size > KNOWN_IDS) this.known.delete(this.known.keys().next().value ?? '');
    return known;
  }

  /** There is sound again, for the first time or after a gap. @param {Speech} speech */
  #comeBack(speech) {
    speech.waited = 0;
    if (!speech.told) return;
    this.underruns++;
    this.gapped = true;
    this.targetMs = Math.min(MOST_MS, this.targetMs + GROW_MS);
  }

  /**
   * Stop this speech and whatever came before it; what still comes of them is dropped.
   * @param {string} id
   * @returns {Happening[]}
   */
  interrupt(id) {
    this.#know(id);
    for (const [earlier, known] of this.known) {
      known.dead = true;
      if (earlier === id) break;
    }
    const first = this.speeches[0];
    if (first?.known.dead) this.#keepTail(first);
    const ended = this.speeches.filter((speech) => speech.known.dead && speech.told);
    this.speeches = this.speeches.filter((speech) => !speech.known.dead);
    return ended.map((speech) => ({ type: 'ended', id: speech.id, cut: true }));
  }

  /** Stop whatever there is. @returns {Happening[]} */
  stop() {
    const last = [...this.known.keys()].at(-1);
    return last === undefined ? [] : this.interrupt(last);
  }

  /** @param {Speech} speech that is about to be thrown away */
  #keepTail(speech) {
    const length = Math.min(speech.left, Math.ceil(this.gain * this.fade));
    const tail = new Float32Array(length);
    for (let i = 0; i < length; i++) {
      tail[i] = next(speech) * this.gain * (1 - (i + 1) / length);
    }
    if (length > 0) this.tail = tail;
    this.gain = 0;
    this.gapped = false;
  }

  /**
   * Fill with what is to be heard next.
   * @param {Float32Array} out
   * @returns {Happening[]} what happened meanwhile
   */
  pull(out) {
    /** @type {Happening[]} */
    const happened = [];
    let filled = Math.min(this.tail.length, out.length);
    out.set(this.tail.subarray(0, filled));
    this.tail = this.tail.slice(filled);
    while (filled < out.length) {
      const speech = this.#current(happened);
      if (!speech?.playing) {
        out.fill(0, filled);
        if (speech) this.#wait(speech, out.length - filled, happened);
        break;
      }
      filled += this.#render(speech, out.subarray(filled));
      if (speech.left === 0) this.#runDry(speech);
    }
    return happened;
  }

  /** The speech that has its turn, having begun to play it if there is enough of it. */
  #current(/** @type {Happening[]} */ happened) {
    let speech = this.speeches[0];
    if (speech && speech.left === 0 && this.speeches.length > 1) {
      this.#end(speech, happened);
      speech = this.speeches[0];
    }
    if (speech && !speech.playing && speech.left > 0 && this.#isEnough(speech)) {
      this.#begin(speech, happened);
    }
    return speech;
  }

  /** @param {Speech} speech */
  #isEnough(speech) {
    const complete = this.speeches.length > 1;
    const wait = this.#samples(Math.max(WAIT_MS, this.targetMs));
    return complete || speech.left >= this.#samples(this.targetMs) || speech.waited >= wait;
  }

  /** @param {Speech} speech @param {Happening[]} happened */
  #begin(speech, happened) {
    speech.playing = true;
    speech.waited = 0;
    if (!speech.told) happened.push({ type: 'started', id: speech.id });
    speech.told = true;
  }

  /** @param {Speech} speech @param {Float32Array} out @returns {number} samples */
  #render(speech, out) {
    const count = Math.min(out.length, speech.left);
    const step = 1 / this.fade;
    for (let i = 0; i < count; i++) {
      // Up from silence, and down before what may be the end; back up if more came meanwhile.
      this.gain = Math.min(this.gain + step, 1, (speech.left - 1) * step);
      out[i] = next(speech) * this.gain;
    }
    speech.known.played += count;
    return count;
  }

  /** @param {Speech} speech */
  #runDry(speech) {
    speech.playing = false;
    speech.waited = 0;
    this.gain = 0;
  }

  /**
   * Nothing is played for so many samples.
   * @param {Speech} speech @param {number} count @param {Happening[]} happened
   */
  #wait(speech, count, happened) {
    speech.waited += count;
    if (speech.left === 0 && speech.waited >= this.#samples(END_MS)) this.#end(speech, happened);
  }

  /** @param {Speech} speech @param {Happening[]} happened */
  #end(speech, happened) {
    this.speeches.shift();
    if (speech.told) happened.push({ type: 'ended', id: speech.id, cut: false });
    if (!this.gapped) this.targetMs = Math.max(START_MS, this.targetMs - SHRINK_MS);
    this.gapped = false;
  }
}

/** @param {Speech} speech with something left @returns {number} */
function next(speech) {
  const piece = speech.pieces[0];
  const sample = piece[speech.offset++];
  speech.left--;
  if (speech.offset === piece.length) {
    speech.pieces.shift();
    speech.offset = 0;
  }
  return sample;
}
