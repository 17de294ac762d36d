import { flushSync } from 'svelte';

export type Theme = 'system' | 'light' | 'dark';

const KEY = 'sungaze-theme';
const NEXT: Record<Theme, Theme> = { system: 'light', light: 'dark', dark: 'system' };

/** The theme: the system's, until one is chosen. public/theme.js has set the first one before the first paint. */
class ThemeState {
  #chosen = $state<Theme>(read());
  #system = $state(systemIsDark());
  #printing = $state(false);

  get chosen(): Theme {
    return this.#chosen;
  }

  get dark(): boolean {
    // Paper is white.
    if (this.#printing) return false;
    return this.#chosen === 'dark' || (this.#chosen === 'system' && this.#system);
  }

  /** The one that comes after the one chosen. */
  get next(): Theme {
    return NEXT[this.#chosen];
  }

  choose(chosen: Theme): void {
    if (chosen === this.#chosen) return;
    this.#chosen = chosen;
    try {
      if (this.#chosen === 'system') localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, this.#chosen);
    } catch {
      // A closed storage only means that the choice ends with this window.
    }
    this.#apply();
  }

  /** Follows the system; the answer stops it. */
  run(): () => void {
    const query = matchMedia('(prefers-color-scheme: dark)');
    const follow = (): void => {
      this.#system = query.matches;
      this.#apply();
    };
    follow();
    // Charts are drawn anew before the page is taken to paper: a canvas keeps the colours that it was drawn in.
    const print = (event: Event): void => {
      this.#printing = event.type === 'beforeprint';
      this.#apply();
      flushSync();
    };
    query.addEventListener('change', follow);
    addEventListener('beforeprint', print);
    addEventListener('afterprint', print);
    return () => {
      query.removeEventListener('change', follow);
      removeEventListener('beforeprint', print);
      removeEventListener('afterprint', print);
    };
  }

  #apply(): void {
    document.documentElement.dataset.theme = this.dark ? 'dark' : 'light';
  }
}

function read(): Theme {
  try {
    const stored = localStorage.getItem(KEY);
    return stored === 'light' || stored === 'dark' ? stored : 'system';
  } catch {
    return 'system';
  }
}

function systemIsDark(): boolean {
  return typeof matchMedia === 'function' && matchMedia('(prefers-color-scheme: dark)').matches;
}

export const theme = new ThemeState();
