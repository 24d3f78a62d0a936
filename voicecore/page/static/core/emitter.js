// @ts-check

/** An EventTarget whose events carry a detail. */
export class Emitter extends EventTarget {
  /** @param {string} type @param {object} [detail] */
  emit(type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }

  /**
   * Listen; the listener is given the detail.
   * @param {string} type @param {(detail: any) => void} listener
   */
  on(type, listener) {
    this.addEventListener(type, (event) => listener(/** @type {CustomEvent} */ (event).detail));
  }
}
