// Runs before the first paint, so that a chosen theme never flashes the other one. lib/state/theme.svelte.ts goes on.
(function () {
  var chosen = null;
  try {
    chosen = localStorage.getItem('sungaze-theme');
  } catch {
    // Storage may be closed to a page; the system's theme counts then.
  }
  var dark = chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
