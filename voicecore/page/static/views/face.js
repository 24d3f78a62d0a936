// @ts-check
/**
 * Moves the face. It is drawn only when something changes: at most 24 times a second while it moves,
 * once for a new state with reduced motion, and not at all while it rests or nobody sees the page.
 */

import { aim, approach, loudness, posture } from './expression.js';
import { byId, setAttribute } from './dom.js';
import { paint } from './portrait.js';
import { statusKey } from './status.js';

/** As many as a film has: smooth enough, and a fifth less work than 30. */
const FRAME_MS = 1000 / 24;
/** How often the microphone's level is looked at while nothing else moves. */
const WATCH_MS = 100;
/** A level must change by this much (of 1) to be worth a picture. */
const LEVEL_STEP = 0.03;
const BLINK_MS = 170;
/** People blink every 3 to 6 s. */
const BLINK_AFTER_MS = [3000, 6000];
/** Part of the way that is gone in one frame: nine tenths of it in 0.3 s. */
const EASE = 0.27;
/** The points of thought light up one after another; slowly, for now the models need the processor. */
const THOUGHT_FRAME_MS = 1000 / 12;
const THOUGHT_MS = 1500;
/** More pixels do not make a round face rounder, but cost a small board dearly. */
const MAX_PIXELS = 720;

/** @returns {{update: (state: object) => void}} */
export function mount(root, session, words) {
  const face = new Face(/** @type {HTMLCanvasElement} */ (byId('face')), session);
  return {
    update(state) {
      face.show(state);
      const status = words.say(statusKey(state));
      setAttribute(
        face.canvas,
        'aria-label',
        words.say('face.label', { status, mood: words.say(moodKey(words, state)) }),
      );
    },
  };
}

function moodKey(words, state) {
  const key = `mood.${state.emotion}`;
  return words.has(key) ? key : 'mood.neutral';
}

class Face {
  constructor(canvas, session) {
    this.canvas = canvas;
    this.session = session;
    this.context = canvas.getContext('2d');
    this.goal = null;
    this.face = null;
    this.state = null;
    this.now = { hears: 0, speaks: 0, blink: 0, thought: 0 };
    this.timer = 0;
    this.blinkAt = 0;
    this.calm = matchMedia('(prefers-reduced-motion: reduce)');
    new ResizeObserver(() => this.#resize()).observe(canvas);
    document.addEventListener('visibilitychange', () => this.#wake());
    this.calm.addEventListener('change', () => this.#wake());
  }

  show(state) {
    const same =
      this.state && posture(this.state) === posture(state) && this.state.emotion === state.emotion;
    this.state = state;
    if (same) return;
    this.goal = aim(state);
    this.face ??= { ...this.goal };
    this.#wake();
  }

  #resize() {
    const pixels = Math.min(MAX_PIXELS, Math.round(this.canvas.clientWidth * devicePixelRatio));
    if (!pixels || pixels === this.canvas.width) return;
    this.canvas.width = this.canvas.height = pixels;
    if (this.face) paint(this.context, this.face, this.now);
  }

  #wake() {
    clearTimeout(this.timer);
    this.timer = 0;
    if (this.goal && !document.hidden) this.#frame();
  }

  #frame() {
    const time = performance.now();
    const nextMs = this.calm.matches ? this.#jump() : this.#move(time);
    if (nextMs < Infinity) paint(this.context, this.face, this.now);
    this.#plan(nextMs, time);
  }

  /** Reduced motion: the new look at once, and no sound to be seen in it. */
  #jump() {
    Object.assign(this.face, this.goal);
    const speaks = this.state.phase === 'speaking' ? 0.3 : 0;
    this.now = { hears: 0, speaks, blink: 0, thought: 0.75 };
    return FRAME_MS;
  }

  /** @returns {number} milliseconds to the next picture; Infinity if nothing has moved */
  #move(time) {
    const eased = approach(this.face, this.goal, EASE);
    const levelled = this.#follow();
    const blinked = this.#blink(time);
    this.now.thought = (time % THOUGHT_MS) / THOUGHT_MS;
    if (eased || levelled || blinked) return FRAME_MS;
    return this.goal.points > 0 ? THOUGHT_FRAME_MS : Infinity;
  }

  /** Let mouth and ring follow the sound: quick to rise, slower to fall. */
  #follow() {
    const { microphoneDbfs, speakerDbfs } = this.session.levels;
    const attends = this.goal.ring > 0;
    const hears = follow(this.now.hears, attends ? loudness(microphoneDbfs) : 0);
    const speaks = follow(
      this.now.speaks,
      this.state.phase === 'speaking' ? loudness(speakerDbfs) : 0,
    );
    const moved = Math.abs(hears - this.now.hears) + Math.abs(speaks - this.now.speaks) > 0;
    Object.assign(this.now, { hears, speaks });
    return moved;
  }

  #blink(time) {
    if (posture(this.state) === 'asleep') return this.#stopBlinking();
    if (!this.blinkAt) this.blinkAt = time + between(...BLINK_AFTER_MS);
    const part = (time - this.blinkAt) / BLINK_MS;
    if (part < 0) return false;
    this.now.blink = part < 1 ? Math.sin(part * Math.PI) : 0;
    if (part >= 1) this.blinkAt = 0;
    return true;
  }

  #stopBlinking() {
    const closing = this.now.blink > 0;
    this.blinkAt = this.now.blink = 0;
    return closing;
  }

  /** The next picture: soon while it moves, then for the next blink or sound, or never. */
  #plan(nextMs, time) {
    clearTimeout(this.timer);
    if (this.calm.matches || document.hidden) return;
    const sounds = this.goal.ring > 0 || this.state.phase === 'speaking';
    const untilBlink = this.blinkAt ? Math.max(0, this.blinkAt - time) : Infinity;
    const wait = Math.min(nextMs, sounds ? WATCH_MS : Infinity, untilBlink);
    if (wait < Infinity) this.timer = setTimeout(() => this.#frame(), wait);
  }
}

function follow(now, heard) {
  if (Math.abs(heard - now) < LEVEL_STEP) return heard < LEVEL_STEP ? 0 : now;
  return now + (heard - now) * (heard > now ? 0.6 : 0.3);
}

function between(low, high) {
  return low + Math.random() * (high - low);
}
