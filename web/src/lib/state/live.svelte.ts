import type { QueryClient, QueryKey } from '@tanstack/svelte-query';
import type { paths } from '../api/schema';
import { keys } from './keys';

const EVENTS: keyof paths = '/api/events';
const SILENCE_MS = 45_000;
const RETRY_MS = 2_000;
const REST_MS = 1_500;
/** A browser opens six connections to one address: tabs that nobody looks at must not keep them all. */
const HIDDEN_MS = 20_000;

/** What changes at the server, as it changes. Events carry ids only; we ask again for what is on screen. */
class Live {
  #lost = $state(false);
  #source: EventSource | null = null;
  #watch: ReturnType<typeof setTimeout> | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;
  #resting = new Map<string, ReturnType<typeof setTimeout>>();
  #owed = new Set<string>();

  get lost(): boolean {
    return this.#lost;
  }

  /** Listens until the answer is called. `check` is asked when the stream begins, is refused, or tells of trouble. */
  run(queries: QueryClient, check: () => void): () => void {
    const open = (): void => {
      close();
      const source = new EventSource(EVENTS);
      this.#source = source;
      const alive = (): void => {
        clearTimeout(this.#watch);
        this.#watch = setTimeout(broken, SILENCE_MS);
      };
      const broken = (): void => {
        close();
        this.#lost = true;
        this.#again = setTimeout(open, RETRY_MS);
        check();
      };
      source.onopen = () => {
        alive();
        if (this.#lost) {
          this.#lost = false;
          void queries.invalidateQueries();
        }
      };
      source.onerror = broken;
      source.addEventListener('beat', alive);
      source.addEventListener('hello', () => {
        alive();
        // From here on nothing is missed; what another window set before, and after our first answer, was.
        void queries.invalidateQueries({ queryKey: keys.settings() });
        check();
      });
      source.addEventListener('sites', (event) => {
        alive();
        for (const id of idsOf(event)) void queries.invalidateQueries({ queryKey: keys.site(id) });
        this.#ask(queries, keys.sites());
        this.#ask(queries, keys.alerts());
        this.#ask(queries, keys.places());
        this.#ask(queries, keys.fleet());
        // A site that an account reaches again is no more of the kept ones.
        this.#ask(queries, keys.archive());
      });
      source.addEventListener('accounts', () => {
        alive();
        this.#ask(queries, keys.accounts());
        this.#ask(queries, keys.alerts());
        this.#ask(queries, keys.archive());
      });
      source.addEventListener('fleet', () => {
        alive();
        this.#ask(queries, keys.fleet());
      });
      source.addEventListener('exports', () => {
        alive();
        this.#ask(queries, keys.exports());
      });
      source.addEventListener('settings', () => {
        alive();
        this.#ask(queries, keys.settings());
      });
      source.addEventListener('health', () => {
        alive();
        check();
      });
      source.addEventListener('everything', () => {
        alive();
        void queries.invalidateQueries();
      });
      alive();
    };
    const close = (): void => {
      clearTimeout(this.#watch);
      clearTimeout(this.#again);
      this.#source?.close();
      this.#source = null;
    };
    let away = false;
    let hiding: ReturnType<typeof setTimeout> | undefined;
    const leave = (): void => {
      away = true;
      close();
    };
    const back = (): void => {
      if (!away) return;
      away = false;
      open();
      void queries.invalidateQueries();
    };
    const seen = (): void => {
      clearTimeout(hiding);
      if (document.hidden) hiding = setTimeout(leave, HIDDEN_MS);
      else back();
    };
    document.addEventListener('visibilitychange', seen);
    // A page that “back” may bring again is kept by the browser, and its connection with it.
    addEventListener('pagehide', leave);
    addEventListener('pageshow', back);
    open();
    return () => {
      document.removeEventListener('visibilitychange', seen);
      removeEventListener('pagehide', leave);
      removeEventListener('pageshow', back);
      clearTimeout(hiding);
      close();
      for (const timer of this.#resting.values()) clearTimeout(timer);
      this.#resting.clear();
      this.#owed.clear();
    };
  }

  /** At once, then at most every REST_MS: a fleet that wakes up sends hundreds of events. */
  #ask(queries: QueryClient, key: QueryKey): void {
    const name = JSON.stringify(key);
    if (this.#resting.has(name)) {
      this.#owed.add(name);
      return;
    }
    void queries.invalidateQueries({ queryKey: key });
    this.#resting.set(
      name,
      setTimeout(() => {
        this.#resting.delete(name);
        if (this.#owed.delete(name)) this.#ask(queries, key);
      }, REST_MS),
    );
  }
}

function idsOf(event: Event): number[] {
  try {
    const told: unknown = JSON.parse(String((event as MessageEvent).data));
    const ids = typeof told === 'object' && told !== null ? (told as { ids?: unknown }).ids : null;
    return Array.isArray(ids) ? ids.filter((id): id is number => typeof id === 'number') : [];
  } catch {
    return [];
  }
}

export const live = new Live();
