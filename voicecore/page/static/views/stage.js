// @ts-check
/** The lines under the face, the big button, the smaller ones and the choice of how to talk. */

import { byId, setAttribute, setText } from './dom.js';
import { Holder } from './hold.js';
import { begun, hearing, hintKey, purpose, statusKey } from './status.js';

const ICONS = {
  begin: 'microphone',
  resume: 'microphone',
  hold: 'microphone',
  mute: 'microphone',
  unmute: 'muted',
};

/** @returns {{update: (state: object) => void}} */
export function mount(root, session, words, { kiosk = false } = {}) {
  const button = mountButton(session, words);
  const controls = mountControls(session);
  const choose = mountModes(session);
  return {
    update(state) {
      setText(byId('status'), words.say(statusKey(state)));
      const hint = hintKey(state, kiosk);
      setText(byId('hint'), hint ? words.say(hint, { word: state.wakeWord }) : '');
      button(state);
      controls(state);
      choose(state.mode.mode);
    },
  };
}

/** Do what the big button does; `hold` is done by pressing and releasing, not by this. */
export function press(session) {
  const does = purpose(session.state);
  if (busy(session.state)) return;
  if (does === 'mute' || does === 'unmute') session.mute(does === 'mute');
  else if (does !== 'hold') begin(session);
}

/** Whether the person or the host has to answer first. */
function busy(state) {
  return (
    !hearing(state) && (state.microphone.state === 'asking' || state.session.state === 'preparing')
  );
}

/** The space bar anywhere but on something that has its own use for it. */
function isSpace(event) {
  return (
    event.key === ' ' && !event.repeat && event.target === document.body && !event.defaultPrevented
  );
}

/** Whoever presses Talk wants to be heard, even if typing was chosen before. */
function begin(session) {
  if (session.state.mode.mode === 'typing') session.setMode('hands-free');
  session.begin();
}

function mountButton(session, words) {
  const button = byId('talk');
  const holder = new Holder(session, button, () => show(session.state));
  button.addEventListener('click', (event) => holder.click(event) || press(session));
  document.addEventListener(
    'keydown',
    (event) => holder.keyDown(event) || (isSpace(event) && press(session)),
  );
  document.addEventListener('keyup', (event) => holder.keyUp(event));
  function show(state) {
    const does = purpose(state);
    if (does !== 'hold') holder.hold(false);
    setAttribute(button, 'data-does', does);
    setAttribute(byId('talk-icon'), 'href', `#icon-${ICONS[does]}`);
    setText(byId('talk-text'), words.say(holder.held ? 'talk.release' : `talk.${does}`));
    disable(button, busy(state));
  }
  return show;
}

/** Not by `disabled`: that would take the focus from whoever has just pressed it. */
function disable(button, off) {
  setAttribute(button, 'aria-disabled', off ? 'true' : null);
}

function mountControls(session) {
  const sharing = { screen: byId('screen'), camera: byId('camera') };
  byId('stop').addEventListener('click', () => session.stopReply());
  byId('end').addEventListener('click', () => {
    session.end();
    byId('talk').focus();
  });
  for (const [kind, button] of Object.entries(sharing)) {
    button.addEventListener('click', () =>
      session.share(session.state.sharing?.kind === kind ? null : kind),
    );
  }
  sharing.screen.hidden = !navigator.mediaDevices?.getDisplayMedia;
  sharing.camera.hidden = !navigator.mediaDevices?.getUserMedia;
  return (state) => {
    setAttribute(byId('controls'), 'data-away', !begun(state));
    disable(byId('stop'), !['thinking', 'speaking'].includes(state.phase));
    for (const [kind, button] of Object.entries(sharing)) {
      setAttribute(button, 'aria-pressed', String(state.sharing?.kind === kind));
    }
  };
}

function mountModes(session) {
  const box = byId('modes');
  box.addEventListener('change', (event) => {
    const { value } = /** @type {HTMLInputElement} */ (event.target);
    session.setMode(value);
  });
  return (mode) => {
    const wanted = /** @type {HTMLInputElement | null} */ (
      box.querySelector(`[value="${CSS.escape(mode)}"]`)
    );
    if (wanted && !wanted.checked) wanted.checked = true;
  };
}
