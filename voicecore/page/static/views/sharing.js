// @ts-check
/** A small picture of what is shared: just the one that was sent last. */

import { announce } from './announcer.js';
import { byId, setText } from './dom.js';

/** @returns {{update: (state: object) => void}} */
export function mount(root, session, words) {
  const picture = /** @type {HTMLImageElement} */ (byId('preview-picture'));
  byId('preview-stop').addEventListener('click', () => {
    session.share(null);
    byId('talk').focus();
  });
  let shown = null;
  return {
    update({ sharing }) {
      if (sharing === shown) return;
      const kind = sharing?.kind ?? null;
      if (kind && kind !== shown?.kind) announce(words.say(`share.${kind}`));
      shown = sharing;
      byId('preview').hidden = !kind;
      if (kind) setText(byId('preview-text'), words.say(`share.${kind}`));
      picture.alt = kind ? words.say('share.seen') : '';
      if (sharing?.picture) picture.src = sharing.picture;
      else picture.removeAttribute('src');
    },
  };
}
