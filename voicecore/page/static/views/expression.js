// @ts-check
/**
 * What the face looks like, as numbers: from the dialogue's state to a drawing's parameters.
 * Pure; `portrait.js` draws them, `face.js` moves from one to the next.
 */

import { begun } from './status.js';

/** Body colours, light side and dark side, as red, green and blue (0 to 255). */
const BODY = {
  asleep: [
    [216, 224, 242],
    [150, 165, 204],
  ],
  neutral: [
    [169, 193, 255],
    [80, 109, 235],
  ],
  happy: [
    [255, 224, 138],
    [246, 158, 52],
  ],
  sad: [
    [166, 190, 220],
    [78, 112, 160],
  ],
  angry: [
    [255, 171, 150],
    [218, 72, 60],
  ],
  surprised: [
    [224, 186, 255],
    [138, 92, 232],
  ],
};

/** Features of each emotion. Lengths are parts of the body's radius; `smile` is 1 up, -1 down. */
const FEATURES = {
  neutral: { smile: 0.5, width: 0.26, open: 0, eyes: 1, brow: 0, browTilt: 0, blush: 0 },
  happy: { smile: 1, width: 0.34, open: 0.12, eyes: 0.9, brow: 0, browTilt: 0, blush: 1 },
  sad: { smile: -0.65, width: 0.22, open: 0, eyes: 0.8, brow: 1, browTilt: -0.32, blush: 0 },
  angry: { smile: -0.45, width: 0.24, open: 0, eyes: 0.85, brow: 1, browTilt: 0.38, blush: 0 },
  surprised: {
    smile: 0.1,
    width: 0.13,
    open: 0.34,
    eyes: 1.25,
    brow: 0.8,
    browTilt: -0.08,
    blush: 0,
  },
};

/** What each phase adds. `ring`: the ring of attention; `points`: the three points of thought. */
const PHASES = {
  idle: { ring: 0, points: 0, lookX: 0, lookY: 0, tilt: 0 },
  listening: { ring: 0.5, points: 0, lookX: 0, lookY: 0, tilt: 0 },
  hearing: { ring: 1, points: 0, lookX: 0, lookY: -0.02, tilt: 0.07 },
  thinking: { ring: 0, points: 1, lookX: 0.11, lookY: -0.13, tilt: -0.05 },
  speaking: { ring: 0, points: 0, lookX: 0, lookY: 0, tilt: 0 },
};

/** Sound below is nothing to show; the span above it is the whole movement. In dBFS and dB. */
const QUIET_DBFS = -52;
const RANGE_DB = 38;

/** A level as 0 (quiet) to 1 (loud speech). */
export function loudness(dbfs) {
  return Number.isFinite(dbfs) ? Math.min(1, Math.max(0, (dbfs - QUIET_DBFS) / RANGE_DB)) : 0;
}

/** What the face is doing: asleep before the first press, muted, or the dialogue's phase. */
export function posture(state) {
  if (state.phase !== 'idle') return state.phase;
  if (state.microphone.state === 'muted') return 'muted';
  return begun(state) ? 'idle' : 'asleep';
}

/**
 * The face's aim for a state.
 *
 * @returns {Record<string, number>} flat, so that it can be moved number by number
 */
export function aim(state) {
  const stance = posture(state);
  const emotion = state.emotion in FEATURES ? state.emotion : 'neutral';
  const asleep = stance === 'asleep';
  const look = PHASES[stance] ?? PHASES.idle;
  const body = BODY[asleep ? 'asleep' : emotion];
  const features = FEATURES[asleep ? 'neutral' : emotion];
  const eyes = { asleep: 0, muted: 0.62, hearing: features.eyes * 1.08 }[stance] ?? features.eyes;
  return { ...colours(body), ...features, ...look, eyes, smile: asleep ? 0.35 : features.smile };
}

function colours([light, dark]) {
  const names = ['lightR', 'lightG', 'lightB', 'darkR', 'darkG', 'darkB'];
  return Object.fromEntries([...light, ...dark].map((value, index) => [names[index], value]));
}

/** Move `now` towards `goal` by `part` (0 to 1) of the way; true while anything still moves. */
export function approach(now, goal, part) {
  let moving = false;
  for (const name of Object.keys(goal)) {
    const left = goal[name] - now[name];
    const small = /^(light|dark)[RGB]$/.test(name) ? 1 : 0.004;
    if (Math.abs(left) <= small) now[name] = goal[name];
    else {
      now[name] += left * part;
      moving = true;
    }
  }
  return moving;
}
