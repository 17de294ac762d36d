import { QueryCache, QueryClient } from '@tanstack/svelte-query';
import { api, ApiError, data } from '../api/client';
import { messages } from '../messages';
import { launchKey, launchTarget } from '../route';

export type Entry = 'opening' | 'open' | 'locked' | 'unreachable';

/** Whether this window may read the API, and what kind of Sungaze answers it. */
class Session {
  #entry = $state<Entry>('opening');
  #demo = $state(false);
  #version = $state('');
  #refusal = $state('');

  /** The one cache of answers. Ours is a loopback server: whether the machine is online says nothing about it. */
  readonly queries = new QueryClient({
    queryCache: new QueryCache({ onError: (error) => this.refused(error) }),
    defaultOptions: {
      queries: {
        networkMode: 'always',
        staleTime: 5_000,
        gcTime: 10 * 60_000,
        retry: (failures, error) => failures < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500),
        retryDelay: (failures) => 400 * 2 ** failures,
      },
      mutations: { networkMode: 'always', retry: false },
    },
  });

  get entry(): Entry {
    return this.#entry;
  }

  get demo(): boolean {
    return this.#demo;
  }

  get version(): string {
    return this.#version;
  }

  /** Why the last key was not taken, in the server's words. */
  get refusal(): string {
    return this.#refusal;
  }

  /** Opens by the key in the address, if there is one, else by the cookie. */
  async start(): Promise<void> {
    const key = location.hash.startsWith('#key=') ? launchKey(location.hash) : '';
    if (key) {
      // Before anything else: a key must not stay in the history.
      history.replaceState(null, '', launchTarget(location.hash));
      dispatchEvent(new HashChangeEvent('hashchange'));
      if (await this.#exchange(key)) return;
    }
    await this.look();
  }

  /** Opens by a link or a key that was typed in. */
  async enter(text: string): Promise<void> {
    this.#refusal = '';
    const key = launchKey(text);
    if (!key) {
      this.#refusal = text.trim() ? messages.entry.notKey : messages.entry.empty;
      return;
    }
    if (!(await this.#exchange(key))) await this.look();
  }

  /** Asks what answers and whether our cookie is known. */
  async look(): Promise<void> {
    try {
      const health = await data(api.GET('/api/health'));
      this.#demo = health.demo;
      this.#version = health.version;
      this.#entry = health.session ? 'open' : 'locked';
    } catch {
      this.#entry = 'unreachable';
    }
  }

  /** Asks, without disturbing the page, whether our cookie is still known; an absent server is not an answer. */
  async check(): Promise<void> {
    try {
      const health = await data(api.GET('/api/health'));
      if (!health.session) this.#entry = 'locked';
    } catch {
      // The connection is lost; the live stream says so and goes on trying.
    }
  }

  /** Told of every failed answer: a 401 means that our session has ended. */
  refused(error: unknown): void {
    if (error instanceof ApiError && error.status === 401 && this.#entry === 'open') {
      this.#refusal = '';
      this.#entry = 'locked';
    }
  }

  async #exchange(key: string): Promise<boolean> {
    try {
      const answer = await data(api.POST('/api/session', { body: { key } }));
      if (answer.reload) {
        location.reload();
        return true;
      }
    } catch (error) {
      this.#refusal = error instanceof ApiError && error.status > 0 ? error.message : '';
    }
    return false;
  }
}

export const session = new Session();
