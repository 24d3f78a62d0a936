// @ts-check
/** Voice to voice, turn by turn: from the person's last sound to the first sound of the answer. */

import { draw } from './dom.js';
import { ticks } from './waterfall.js';

const WIDTH = 360;
const HEIGHT = 130;
const LEFT = 44;
const BOTTOM = 8;
/** The newest turns; older ones are in the JSON. */
const MOST = 40;

/** Count, median and greatest of some numbers. */
export function summary(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median =
    sorted.length % 2 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
  return { count: sorted.length, median, max: sorted.at(-1) };
}

/**
 * @param {{turn: string, ms: number}[]} turns
 * @param {import("./words.js").Words} words
 */
export function chart(turns, words) {
  const { count, median, max } = summary(turns.map(({ ms }) => ms));
  const shown = turns.slice(-MOST);
  const high = Math.max(...shown.map(({ ms }) => ms)) * 1.08;
  const lift = (ms) => HEIGHT - BOTTOM - (ms / high) * (HEIGHT - 2 * BOTTOM);
  const label = words.count('drawer.voice.summary', 'count', count, {
    median: words.number(median),
    max: words.number(max),
  });
  const lines = ticks(0, high, 4).flatMap((ms) => level(ms, lift(ms), words));
  const bars = shown.map((turn, index) =>
    bar(turn, index, turns.length - shown.length, shown.length, lift, words),
  );
  return {
    label,
    svg: draw(
      'svg',
      { class: 'plot', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': label },
      [...lines, ...bars],
    ),
  };
}

function level(ms, y, words) {
  return [
    draw('line', { x1: LEFT, x2: WIDTH, y1: y, y2: y }),
    draw('text', { x: LEFT - 8, y: y + 4, 'text-anchor': 'end', text: words.number(ms) }),
  ];
}

function bar({ ms }, index, before, count, lift, words) {
  const step = (WIDTH - LEFT - 8) / Math.max(count, 8);
  const top = lift(ms);
  const text = words.say('drawer.voice.turn', { turn: before + index + 1, ms: words.number(ms) });
  return draw(
    'rect',
    { x: LEFT + 6 + index * step, y: top, width: step * 0.66, height: lift(0) - top, rx: 2 },
    [draw('title', { text })],
  );
}
