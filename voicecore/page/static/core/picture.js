// @ts-check
/** What the person shows: their screen, or what their camera sees. */

import { browserClock } from './clock.js';
import { Emitter } from './emitter.js';

/** Longer side of a picture that is sent; models see no more than that. */
export const LONGEST_PX = 1024;
const EVERY_MS = 2_000;
const JPEG_QUALITY = 0.75;
/** Pictures are compared at this size, in grey. */
const THUMB_PX = 32;
/** Mean difference, of 255, from which on a picture counts as another: above a camera's noise. */
const CHANGE = 2;
/** Or so much in any one place: a line of text on a screen. */
const CHANGE_SOMEWHERE = 24;

/** @typedef {'screen'|'camera'} Kind */

/**
 * Takes a picture every two seconds and tells of those that differ from the last.
 * Events: `picture` {kind, dataUrl}, `state` {kind: Kind|null, why, asked}.
 */
export class Picture extends Emitter {
  /**
   * @param {object} [options]
   * @param {MediaDevices} [options.devices]
   * @param {import('./clock.js').Clock} [options.clock]
   */
  constructor({ devices = navigator.mediaDevices, clock = browserClock } = {}) {
    super();
    this.devices = devices;
    this.clock = clock;
    /** What is shared. @type {Kind|null} */
    this.kind = null;
    /** @type {MediaStream|null} */
    this.stream = null;
    this.video = document.createElement('video');
    this.video.muted = this.video.playsInline = true;
    this.number = 0;
    /** @type {Uint8Array|null} */
    this.last = null;
    /** @type {unknown} */
    this.timer = null;
  }

  /** Ask for a screen or a camera, and share it. Errors are told as a state. @param {Kind} kind */
  async start(kind) {
    this.stop();
    const number = ++this.number;
    try {
      const stream = await this.#ask(kind);
      if (number !== this.number) {
        stream.getTracks().forEach((track) => track.stop());
        return;
      }
      await this.#share(kind, stream);
    } catch (error) {
      if (number === this.number) this.stop(/** @type {Error} */ (error).name, kind);
    }
  }

  /**
   * @param {string} [why] a browser's error name, if it ends by itself
   * @param {Kind|null} [asked] what was asked for, if there was none of it
   */
  stop(why = '', asked = null) {
    this.number++;
    this.clock.clearTimeout(this.timer);
    this.stream?.getTracks().forEach((track) => track.stop());
    const had = this.stream !== null || why !== '';
    this.stream = this.video.srcObject = this.kind = this.last = null;
    if (had) this.emit('state', { kind: null, why, asked });
  }

  /** @param {Kind} kind @returns {Promise<MediaStream>} */
  async #ask(kind) {
    if (kind === 'camera') return this.devices.getUserMedia({ video: { width: { ideal: LONGEST_PX } } });
    return this.devices.getDisplayMedia({ video: true });
  }

  /** @param {Kind} kind @param {MediaStream} stream */
  async #share(kind, stream) {
    this.stream = stream;
    this.kind = kind;
    this.video.srcObject = stream;
    stream.getVideoTracks()[0].onended = () => this.stop();
    await this.video.play();
    this.emit('state', { kind, why: '', asked: null });
    this.#look();
  }

  /** The last picture again, changed or not: another session knows nothing of it. */
  again() {
    this.last = null;
  }

  #look() {
    this.timer = this.clock.setTimeout(() => this.#look(), EVERY_MS);
    const { videoWidth: width, videoHeight: height } = this.video;
    if (width === 0 || !this.kind) return;
    const thumb = grey(draw(this.video, THUMB_PX, THUMB_PX));
    if (this.last && !differs(this.last, thumb)) return;
    this.last = thumb;
    const scaled = fit(width, height);
    const dataUrl = draw(this.video, scaled.width, scaled.height).toDataURL('image/jpeg', JPEG_QUALITY);
    this.emit('picture', { kind: this.kind, dataUrl });
  }
}

/** @param {HTMLVideoElement} video @param {number} width @param {number} height */
function draw(video, width, height) {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  canvas.getContext('2d', { willReadFrequently: true })?.drawImage(video, 0, 0, width, height);
  return canvas;
}

/** @param {HTMLCanvasElement} canvas @returns {Uint8Array} one value for each pixel */
function grey(canvas) {
  const context = canvas.getContext('2d');
  const rgba = context?.getImageData(0, 0, canvas.width, canvas.height).data ?? new Uint8Array();
  return greyOf(rgba);
}

/** Luma of ITU-R BT.601. @param {Uint8Array|Uint8ClampedArray} rgba @returns {Uint8Array} */
export function greyOf(rgba) {
  const out = new Uint8Array(rgba.length / 4);
  for (let i = 0; i < out.length; i++) {
    out[i] = 0.299 * rgba[4 * i] + 0.587 * rgba[4 * i + 1] + 0.114 * rgba[4 * i + 2];
  }
  return out;
}

/** Whether a picture is another, by two of these. @param {Uint8Array} a @param {Uint8Array} b */
export function differs(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (difference > CHANGE_SOMEWHERE) return true;
    sum += difference;
  }
  return sum / a.length > CHANGE;
}

/** The size at which a picture is sent; a small one stays. @param {number} width @param {number} height */
export function fit(width, height) {
  const scale = Math.min(1, LONGEST_PX / Math.max(width, height));
  return { width: Math.round(width * scale), height: Math.round(height * scale) };
}
