// @ts-check
/** What tools do and have to say: toasts that go away, and a sheet in which all can be read again. */

import { announce } from './announcer.js';
import { byId, icon, make, setAttribute, setText } from './dom.js';
import { Sheet } from './sheet.js';

/** A toast stays until it was read at leisure, and longer while it is pointed at. */
const TOAST_MS = 8000;
/** More toasts than these would hide the page; the sheet has them all. */
const MOST = 3;
const ACTIVE = ['queued', 'running'];

/** @returns {{update: (state: object) => void, refresh: () => void}} */
export function mount(root, session, words) {
  const activity = new Activity(words);
  byId('open-activity').addEventListener('click', () => activity.open());
  return { update: (state) => activity.update(state), refresh: () => activity.refresh() };
}

export class Activity {
  constructor(words) {
    this.words = words;
    /** @type {Map<string, Toast>} */
    this.toasts = new Map();
    this.known = new Map();
    this.unread = new Set();
    this.state = { tasks: [], notifications: [], agent: { tools: [] } };
    this.sheet = new Sheet('activity', 'activity.title', words, () => this.#build());
  }

  update(state) {
    const { tasks, notifications } = this.state;
    if (
      state.tasks === tasks &&
      state.notifications === notifications &&
      state.agent === this.state.agent
    )
      return;
    this.state = state;
    for (const task of state.tasks) this.#happened(task);
    for (const notice of state.notifications) this.#happened(notice);
    this.#prune();
    if (this.sheet.open) this.sheet.rebuild();
    this.#count();
  }

  refresh() {
    if (this.sheet.open) this.sheet.rebuild();
    this.#count();
  }

  open() {
    this.unread.clear();
    this.#count();
    for (const toast of this.toasts.values()) toast.remove();
    this.sheet.show();
  }

  #happened(event) {
    const before = this.known.get(event.id);
    if (before === event) return;
    this.known.set(event.id, event);
    if (before?.status !== event.status) this.#tell(event);
    this.toasts.get(event.id)?.show(event);
  }

  /** What is not in the state any more cannot be read again. */
  #prune() {
    const { tasks, notifications } = this.state;
    const ids = new Set([...tasks, ...notifications].map(({ id }) => id));
    for (const id of [...this.known.keys()].filter((known) => !ids.has(known))) {
      this.known.delete(id);
      this.unread.delete(id);
      this.toasts.get(id)?.remove();
    }
  }

  /** A new status is worth a toast and a word to screen readers; progress alone is not. */
  #tell(event) {
    announce(textOf(event, this.words));
    if (this.sheet.open) return;
    this.unread.add(event.id);
    if (!this.toasts.has(event.id)) this.#toast(event);
  }

  #toast(event) {
    const oldest = this.toasts.values().next().value;
    if (this.toasts.size >= MOST) oldest?.remove();
    this.toasts.set(event.id, new Toast(event, this.words, () => this.toasts.delete(event.id)));
  }

  #count() {
    const count = this.unread.size;
    const label = count
      ? this.words.say('top.activity.unread', { count })
      : this.words.say('top.activity');
    byId('unread').hidden = count === 0;
    setText(byId('unread'), String(count));
    setAttribute(byId('open-activity'), 'aria-label', label);
  }

  #build() {
    const { words } = this;
    const { tasks, notifications, agent } = this.state;
    const events = [...tasks, ...notifications].reverse();
    const rows = events.map((event) => eventElement('li', event, words));
    const shown = rows.length
      ? make('ul', { class: 'list' }, rows)
      : make('p', { class: 'empty', text: words.say('activity.empty') });
    if (!agent.tools.length) return [shown];
    return [
      shown,
      make('p', {
        class: 'about',
        text: words.say('activity.tools', { tools: agent.tools.join(', ') }),
      }),
    ];
  }
}

class Toast {
  constructor(event, words, gone) {
    this.words = words;
    this.gone = gone;
    const close = words.say('activity.close');
    this.button = make(
      'button',
      {
        type: 'button',
        class: 'tool',
        'aria-label': close,
        title: close,
        click: () => this.remove(),
      },
      [icon('close')],
    );
    this.element = make('div', { class: 'toast' });
    this.element.addEventListener('pointerenter', () => clearTimeout(this.timer));
    this.element.addEventListener('pointerleave', () => this.#leaveLater());
    this.show(event);
    byId('toasts').append(this.element);
  }

  show(event) {
    this.event = event;
    const body = eventElement('div', event, this.words, 'event-body');
    if (this.element.firstChild) this.element.firstChild.replaceWith(body);
    else this.element.append(body, this.button);
    this.#leaveLater();
  }

  remove() {
    clearTimeout(this.timer);
    this.element.remove();
    this.gone();
  }

  #leaveLater() {
    clearTimeout(this.timer);
    if (!ACTIVE.includes(this.event.status)) this.timer = setTimeout(() => this.remove(), TOAST_MS);
  }
}

/** A task or a notification, as it stands in a toast and in the sheet. */
function eventElement(tag, event, words, name = 'event') {
  const isTask = 'tool' in event;
  const status =
    isTask && words.has(`task.${event.status}`) ? words.say(`task.${event.status}`) : '';
  const top = [
    make('span', { class: 'event-name', text: plain(isTask ? event.tool : event.source) }),
    make('span', { class: 'event-status', text: status }),
  ];
  const text = isTask ? event.detail : event.text;
  const children = [make('div', { class: 'event-top' }, top)];
  if (text) children.push(make('p', { class: 'event-text', text, dir: 'auto' }));
  if (isTask && event.status === 'running') children.push(progress(event, words));
  return make(tag, { class: name, 'data-status': event.status }, children);
}

/** Without a number above 0 nobody knows how far it is. */
function progress({ tool, progress: value }, words) {
  const label = words.say('task.progress', { tool: plain(tool) });
  return make('progress', { max: 100, value: value > 0 ? value : null, 'aria-label': label });
}

function textOf(event, words) {
  if (!('tool' in event)) return `${plain(event.source)}: ${event.text}`;
  const status = words.has(`task.${event.status}`)
    ? words.say(`task.${event.status}`)
    : event.status;
  return `${plain(event.tool)}: ${status}`;
}

/** Tools are named like functions; people write spaces. */
function plain(name) {
  return name.replaceAll('_', ' ');
}
