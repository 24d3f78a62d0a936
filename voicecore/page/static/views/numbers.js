// @ts-check
/** Levels and counters of the drawer. */

import { loudness } from './expression.js';
import { make, setText } from './dom.js';

/** Below is digital silence: there is nothing to tell. */
const SILENCE_DBFS = -99;

const COUNTS = [
  ['drawer.dropped', 'droppedFrames', ''],
  ['drawer.rtt', 'rttMs', 'unit.ms'],
  ['drawer.underruns', 'underruns', ''],
  ['drawer.stale', 'droppedStale', ''],
  ['drawer.buffered', 'bufferedMs', 'unit.ms'],
];

export class Numbers {
  constructor(words) {
    this.words = words;
    this.meters = {
      microphoneDbfs: new Meter('drawer.microphone', words),
      speakerDbfs: new Meter('drawer.speaker', words),
    };
    this.values = COUNTS.map(([key, name, unit]) => ({ name, unit, key, value: make('dd') }));
    const meters = Object.values(this.meters).flatMap((meter) => meter.elements);
    const counts = this.values.flatMap(({ key, value }) => [
      make('dt', { text: words.say(key) }),
      value,
    ]);
    this.elements = [
      make('dl', { class: 'numbers' }, meters),
      make('dl', { class: 'numbers' }, counts),
    ];
  }

  /** @param {Record<string, any>} debug what `session.debug()` gives */
  update(debug, levels) {
    for (const [name, meter] of Object.entries(this.meters)) meter.show(levels[name]);
    for (const { name, unit, value } of this.values) setText(value, this.#text(debug[name], unit));
  }

  #text(value, unit) {
    if (value == null || !Number.isFinite(value)) return this.words.say('unit.none');
    const text = this.words.number(value);
    return unit ? this.words.say(unit, { value: text }) : text;
  }
}

class Meter {
  constructor(key, words) {
    this.words = words;
    this.value = make('dd');
    this.bar = make('span');
    this.elements = [
      make('dt', { text: words.say(key) }),
      this.value,
      make('dd', { class: 'meter', 'aria-hidden': 'true' }, [this.bar]),
    ];
  }

  show(dbfs) {
    const quiet = !Number.isFinite(dbfs) || dbfs < SILENCE_DBFS;
    setText(
      this.value,
      quiet
        ? this.words.say('unit.none')
        : this.words.say('unit.dbfs', { value: this.words.number(dbfs) }),
    );
    this.bar.style.transform = `scaleX(${quiet ? 0 : loudness(dbfs).toFixed(2)})`;
  }
}
