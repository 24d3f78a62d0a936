// @ts-check
/** A turn's stages as bars along time, each with its owner: what waited for what, and for how long. */

import { draw } from './dom.js';

const WIDTH = 640;
const ROW = 26;
const NAMES = 104;
const RIGHT = 128;
const AXIS = 22;
/** At most so many lines across, at round times. */
const LINES = 6;
const ROUND_MS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000];

/** Who owns a stage: the part of the host before the colon or the dot. */
export function kindOf(owner) {
  const part = String(owner).split(/[:.]/)[0];
  return ['ears', 'stt', 'llm', 'mouth', 'tts'].includes(part) ? part : 'other';
}

/** Round times from `low` to `high`, at most `most` of them. */
export function ticks(low, high, most = LINES) {
  const step = ROUND_MS.find((ms) => (high - low) / ms <= most) ?? high - low;
  const marks = [];
  for (let at = Math.ceil(low / step) * step; at <= high; at += step) marks.push(at === 0 ? 0 : at);
  return marks;
}

/**
 * @param {{name: string, owner: string, start_ms: number, end_ms: number}[]} spans
 * @param {import("./words.js").Words} words
 * @param {(text: string) => void} tell shows the details of a row that is pointed at
 */
export function waterfall(spans, words, tell) {
  const low = Math.min(0, ...spans.map((span) => span.start_ms));
  const high = Math.max(low + 1, ...spans.map((span) => span.end_ms));
  const bottom = spans.length * ROW;
  const place = (ms) => NAMES + ((ms - low) / (high - low)) * (WIDTH - NAMES - RIGHT);
  const lines = ticks(low, high).flatMap((ms) => axis(ms, place(ms), bottom, words));
  const rows = spans.map((span, index) => row(span, index, place, words, tell));
  const label = words.say('drawer.waterfall');
  return draw(
    'svg',
    { class: 'plot', viewBox: `0 0 ${WIDTH} ${bottom + AXIS}`, role: 'group', 'aria-label': label },
    [...lines, ...rows],
  );
}

function axis(ms, x, bottom, words) {
  return [
    draw('line', { x1: x, x2: x, y1: 0, y2: bottom }),
    draw('text', { x, y: bottom + 16, 'text-anchor': 'middle', text: words.number(ms) }),
  ];
}

function row(span, index, place, words, tell) {
  const text = words.say('drawer.waterfall.row', figures(span, words));
  const show = () => tell(text);
  const reach = { tabindex: 0, role: 'img', 'aria-label': text, focus: show, pointerenter: show };
  const about = { class: 'plot-row', 'data-kind': kindOf(span.owner), ...reach };
  return draw('g', about, bar(span, index * ROW, place, words));
}

function figures({ name, owner, start_ms: start, end_ms: end }, words) {
  const ms = words.number(end - start);
  return { name, owner, ms, start: words.number(start), end: words.number(end) };
}

function bar(span, top, place, words) {
  const [from, to] = [place(span.start_ms), place(span.end_ms)];
  const text = { y: top + 17 };
  const told = `${words.number(span.end_ms - span.start_ms)} · ${span.owner}`;
  return [
    rect('plot-ground', 1, top + 1, WIDTH - 2, ROW - 2, 6),
    draw('text', {
      ...text,
      class: 'plot-name',
      x: NAMES - 10,
      'text-anchor': 'end',
      text: span.name,
    }),
    rect('plot-stage', from, top + 5, Math.max(2, to - from), ROW - 10, 3),
    draw('text', { ...text, x: to + 7, text: told }),
  ];
}

function rect(name, x, y, width, height, rx) {
  return draw('rect', { class: name, x, y, width, height, rx });
}
