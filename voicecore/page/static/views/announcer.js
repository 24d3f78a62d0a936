// @ts-check
/** Short messages for screen readers: what happened that is seen elsewhere on the page. */

import { byId, make } from './dom.js';

/** Say it once. A new element is read out even if its text is that of the last one. */
export function announce(text) {
  byId('announcer').replaceChildren(make('p', { text }));
}
