// @ts-check
/** Starts the page: the session, its views, the words they use, and what ties them together. */

import { Session } from './core/session.js';
import { Settings } from './core/settings.js';
import { Characters, mount as mountCharacters } from './views/characters.js';
import { begun } from './views/status.js';
import { chooseLanguage, Words } from './views/words.js';
import { mount as mountActivity } from './views/activity.js';
import { mount as mountComposer } from './views/composer.js';
import { mount as mountConversation } from './views/conversation.js';
import { mount as mountDrawer } from './views/drawer.js';
import { mount as mountFace } from './views/face.js';
import { mount as mountHistory } from './views/history.js';
import { mount as mountKeys } from './views/keys.js';
import { mount as mountKiosk } from './views/kiosk.js';
import { mount as mountPreferences } from './views/preferences.js';
import { mount as mountProblem } from './views/problem.js';
import { mount as mountSharing } from './views/sharing.js';
import { mount as mountStage } from './views/stage.js';
import { mount as mountTheme } from './views/theme.js';

const query = new URLSearchParams(location.search);
const kiosk = query.get('kiosk') === '1';

const settings = new Settings();
const session = new Session({ settings });
const words = new Words();
const characters = new Characters(session);

/** Whether changes wait to be shown: they come in bursts, and are shown together, once a frame. */
let planned = false;

await loadWords();
const views = mountAll();
session.addEventListener('change', plan);
settings.addEventListener('change', changed);
show();
document.documentElement.dataset.ready = '';

/** For consoles and tests; nothing on the page uses it. */
Object.assign(window, { voicecore: { session, settings, words } });

function mountAll() {
  const drawer = mountDrawer(document, session, words);
  const toggleDeveloper = () => kiosk || drawer.toggle();
  const about = (state) => characters.about(state, words);
  return [
    mountTheme(document, session),
    mountStage(document, session, words, { kiosk }),
    mountFace(document, session, words),
    mountProblem(document, session, words),
    mountConversation(document, session, words, { about }),
    mountComposer(document, session),
    mountCharacters(document, session, words, { characters, changed: plan }),
    mountHistory(document, session, words, { characters }),
    mountActivity(document, session, words),
    mountSharing(document, session, words),
    mountPreferences(document, session, words, { openDeveloper: toggleDeveloper }),
    mountKeys(document, session, words, { drawer, toggleDeveloper, kiosk }),
    drawer,
    ...(kiosk ? [mountKiosk(document, session)] : []),
  ];
}

async function loadWords() {
  const chosen = settings.get('language');
  await words.load(chooseLanguage(chosen ? [chosen] : navigator.languages));
  words.apply(document);
}

/** @param {Event} event */
async function changed(event) {
  if (/** @type {CustomEvent} */ (event).detail.name !== 'language') return;
  await loadWords();
  for (const view of views) view.refresh?.();
  show();
}

function plan() {
  if (planned) return;
  planned = true;
  // A hidden page gets no frames, but must be right when it is seen again.
  if (document.hidden) setTimeout(show, 200);
  else requestAnimationFrame(show);
}

function show() {
  planned = false;
  const { state } = session;
  Object.assign(document.documentElement.dataset, {
    phase: state.phase,
    emotion: state.emotion,
    connection: state.connection.state,
    session: state.session.state,
    microphone: state.microphone.state,
    mode: state.mode.mode,
  });
  document.documentElement.toggleAttribute(
    'data-entries',
    state.entries.length > 0 || state.partial !== '',
  );
  document.documentElement.toggleAttribute('data-begun', begun(state));
  for (const view of views) view.update(state);
}
