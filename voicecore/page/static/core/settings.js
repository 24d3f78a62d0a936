// @ts-check
/** What this browser keeps of the person's choices. */

import { Emitter } from './emitter.js';

const KEY = 'voicecore';

/** @typedef {'hands-free'|'push-to-talk'|'typing'} Mode */

const DEFAULTS = {
  /** Who this browser is: conversations belong to it. */
  client: '',
  /** Empty: whoever is active at the host. */
  character: '',
  /** Empty: the browser's. */
  language: '',
  /** @type {Mode} */
  mode: 'hands-free',
  /** @type {'auto'|'light'|'dark'} */
  theme: 'auto',
  /** Of the microphone; empty: the system's. */
  deviceId: '',
  noiseSuppression: true,
  autoGainControl: true,
  /** Single letters are commands. */
  shortcuts: true,
};

/** @typedef {typeof DEFAULTS} Values */

/**
 * Settings as plain properties of `values`. Where storage is blocked (a private window, a policy)
 * they last as long as the page. Event: `change` {name, value}.
 */
export class Settings extends Emitter {
  /** @param {() => Storage|null} [storage] may throw: some browsers do */
  constructor(storage = () => globalThis.localStorage) {
    super();
    this.storage = attempt(storage);
    /** @type {Values} */
    this.values = { ...DEFAULTS, ...this.#load() };
    if (!this.values.client) this.set('client', uuid());
  }

  /** @returns {Partial<Values>} what was kept, of what is still known and of the right kind */
  #load() {
    const kept = attempt(() => JSON.parse(this.storage?.getItem(KEY) ?? '{}')) ?? {};
    const known = Object.entries(DEFAULTS).filter(([name, value]) => typeof kept[name] === typeof value);
    return Object.fromEntries(known.map(([name]) => [name, kept[name]]));
  }

  /** @template {keyof Values} N @param {N} name @returns {Values[N]} */
  get(name) {
    return this.values[name];
  }

  /** @template {keyof Values} N @param {N} name @param {Values[N]} value */
  set(name, value) {
    if (this.values[name] === value) return;
    this.values = { ...this.values, [name]: value };
    attempt(() => this.storage?.setItem(KEY, JSON.stringify(this.values)));
    this.emit('change', { name, value });
  }
}

/** @template T @param {() => T} work @returns {T|null} null if it is not allowed */
function attempt(work) {
  try {
    return work();
  } catch {
    return null;
  }
}

/** A random id (RFC 9562, version 4). `crypto.randomUUID` is missing on plain HTTP. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
