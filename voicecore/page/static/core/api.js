// @ts-check
/** What the host tells over plain HTTP. */

/**
 * @typedef {{name: string, language: string, greeting: boolean}} Character
 * @typedef {{id: string, begun_s: number, updated_s: number, title: string, messages: number}} Kept
 * @typedef {{role: 'user'|'assistant', text: string, at_s: number}} Said
 */

/** @type {typeof fetch} */
export const browserFetch = (...args) => fetch(...args);

/** The host's answer was an error; its text is fit to be shown. */
export class ApiError extends Error {
  /** @param {number} status @param {string} text */
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export class Api {
  /** @param {{client: string, fetch?: typeof globalThis.fetch}} options */
  constructor({ client, ...others }) {
    this.client = client;
    this.fetch = others.fetch ?? browserFetch;
  }

  /** @returns {Promise<{current: string, characters: Character[]}>} */
  characters() {
    return this.#ask('/api/characters');
  }

  /** Earlier conversations, newest first. @param {string} character @returns {Promise<Kept[]>} */
  async conversations(character) {
    return (await this.#ask(`/api/conversations?${this.#mine(character)}`)).conversations;
  }

  /** @param {string} character @param {string} id @returns {Promise<Said[]>} */
  async conversation(character, id) {
    return (await this.#ask(this.#path(character, id))).messages;
  }

  /** Have the host delete it. @param {string} character @param {string} id */
  async forget(character, id) {
    await this.#ask(this.#path(character, id), { method: 'DELETE' });
  }

  /** @param {string} character */
  #mine(character) {
    return new URLSearchParams({ character, client: this.client });
  }

  /** @param {string} character @param {string} id */
  #path(character, id) {
    return `/api/conversations/${encodeURIComponent(id)}?${this.#mine(character)}`;
  }

  /** @param {string} path @param {RequestInit} [options] @returns {Promise<any>} */
  async #ask(path, options) {
    const answer = await this.fetch(path, options);
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new ApiError(answer.status, body.error ?? `The host answered ${answer.status}.`);
    return body;
  }
}
