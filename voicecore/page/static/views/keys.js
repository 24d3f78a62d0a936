// @ts-check
/** Keys that work everywhere but in text fields and sheets. The space bar is the big button's: stage.js. */

import { inField } from './dom.js';
import { hearing } from './status.js';

/** @returns {{update: () => void}} */
export function mount(root, session, words, { drawer, toggleDeveloper, kiosk = false }) {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || document.querySelector('dialog[open]')) return;
    if (event.key === 'Escape' && !event.isComposing) return escape(session, drawer);
    // In a hallway a letter begins what somebody types; elsewhere it may be what somebody's voice
    // control makes of a word (WCAG 2.1.4).
    if (kiosk || !session.settings.get('shortcuts')) return;
    if (inField(event.target) || event.ctrlKey || event.metaKey || event.altKey || event.repeat)
      return;
    if (event.key === 'd' || event.key === 'D') toggleDeveloper();
    const { state } = session;
    if ((event.key === 'm' || event.key === 'M') && hearing(state))
      session.mute(state.microphone.state !== 'muted');
  });
  return { update() {} };
}

/** A reply is stopped; if none goes on, the drawer is closed. */
function escape(session, drawer) {
  if (['thinking', 'speaking'].includes(session.state.phase)) session.stopReply();
  else if (drawer.open) drawer.close();
}
