// @ts-check
/** Small helpers to build and change elements. All text goes in as text, never as markup. */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * Make an element.
 *
 * @param {string} tag
 * @param {Record<string, unknown>} [properties] attributes; `text` is its text, a function a listener
 *   of the event that its key names; false, null and undefined are left out, true is "".
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElement}
 */
export function make(tag, properties = {}, children = []) {
  return /** @type {HTMLElement} */ (fill(document.createElement(tag), properties, children));
}

/** The same for SVG. */
export function draw(tag, properties = {}, children = []) {
  return /** @type {SVGElement} */ (fill(document.createElementNS(SVG, tag), properties, children));
}

function fill(element, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (key === 'text') element.textContent = String(value);
    else if (typeof value === 'function') element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value != null) element.setAttribute(key, String(value));
  }
  element.append(...children);
  return element;
}

/** One of the symbols of index.html. */
export function icon(name) {
  return draw('svg', { class: 'icon', 'aria-hidden': 'true' }, [
    draw('use', { href: `#icon-${name}` }),
  ]);
}

/** Set text only where it changed: an equal text would still cost a layout. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set, or remove where the value is null, false or "". */
export function setAttribute(element, name, value) {
  const wanted = value === true ? '' : value === false || value == null ? null : String(value);
  if (element.getAttribute(name) === wanted) return;
  if (wanted === null) element.removeAttribute(name);
  else element.setAttribute(name, wanted);
}

/** Mark where one is inside a text field, so that letters are no commands there. */
export function inField(target) {
  return (
    target instanceof Element &&
    target.closest('input, textarea, select, [contenteditable]') !== null
  );
}

/** The element with this id; the page's own ids are always there. */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}
