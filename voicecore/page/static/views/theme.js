// @ts-check
/** Light or dark: as the system, or as chosen. */

/** @returns {{update: () => void}} */
export function mount(root, session) {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const show = () => {
    const chosen = session.settings.get('theme');
    const theme = chosen === 'auto' ? (dark.matches ? 'dark' : 'light') : chosen;
    document.documentElement.dataset.theme = theme;
    const ground = getComputedStyle(document.documentElement).getPropertyValue('--ground').trim();
    for (const meta of document.querySelectorAll("meta[name='theme-color']"))
      meta.setAttribute('content', ground);
  };
  dark.addEventListener('change', show);
  session.settings.addEventListener('change', show);
  show();
  return { update() {} };
}
