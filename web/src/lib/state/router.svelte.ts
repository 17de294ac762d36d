import { href, parseRoute, type Page, type Params, type Route } from '../route';

const WRITE_MS = 300;

/** Where we are. The URL is the state: everything that can be bookmarked stands in it. */
class Router {
  #hash = $state(globalThis.location?.hash ?? '');
  #route = $derived<Route>(parseRoute(this.#hash));
  #scrolls = new Map<string, number>();
  #writing: ReturnType<typeof setTimeout> | undefined;

  get page(): Page {
    return this.#route.page;
  }

  get params(): URLSearchParams {
    return this.#route.params;
  }

  /** Names a page for keeping scroll and focus: parameters do not make another page. */
  get key(): string {
    return href(this.page);
  }

  get(name: string): string {
    return this.params.get(name) ?? '';
  }

  go(page: Page, params: Params = {}, how: { replace?: boolean } = {}): void {
    this.#to(href(page, params), how.replace ?? false);
  }

  /** Changes some parameters of this page. Small steps replace, so that “back” leaves the page. */
  set(changes: Params, how: { replace?: boolean } = {}): void {
    const params: Params = Object.fromEntries(this.params);
    this.#to(href(this.page, { ...params, ...changes }), how.replace ?? true);
  }

  /** The fragment of this page with some parameters changed. */
  with(changes: Params): string {
    return href(this.page, { ...Object.fromEntries(this.params), ...changes });
  }

  /** The height that a page was left at. */
  scrollOf(hash: string): number {
    return this.#scrolls.get(hash) ?? 0;
  }

  /** Listens to the address; the answer stops it. */
  run(): () => void {
    const moved = (): void => {
      clearTimeout(this.#writing);
      this.#leave();
      this.#hash = location.hash;
    };
    const before = 'scrollRestoration' in history ? history.scrollRestoration : null;
    if (before !== null) history.scrollRestoration = 'manual';
    addEventListener('hashchange', moved);
    this.#hash = location.hash;
    return () => {
      removeEventListener('hashchange', moved);
      if (before !== null) history.scrollRestoration = before;
    };
  }

  #to(hash: string, replace: boolean): void {
    if (hash === this.#hash) return;
    if (replace) {
      this.#hash = hash;
      // WebKit refuses more than a hundred changes of the address in thirty seconds; scrubbing makes more.
      clearTimeout(this.#writing);
      this.#writing = setTimeout(() => history.replaceState(history.state, '', this.#hash), WRITE_MS);
    } else {
      clearTimeout(this.#writing);
      location.hash = hash;
    }
  }

  #leave(): void {
    this.#scrolls.set(this.key, scrollY);
  }
}

export const router = new Router();
