import { QueryCache, QueryClient } from '@tanstack/svelte-query';
import { api, ApiError, data, type Server } from '../api/client';
import { messages } from '../messages';
import { launchKey } from '../route';

export type Entry = 'opening' | 'open' | 'locked' | 'unreachable' | 'token' | 'refused';

const AGAIN_MS = 3_000;

/** Whether this window may read the API, and what kind of Sungaze answers it. */
class Session {
  #entry = $state<Entry>('opening');
  #demo = $state(false);
  #version = $state('');
  #clock = $state('');
  #trouble = $state('');
  #refusal = $state('');
  #server = $state.raw<Server | null>(null);
  #again: ReturnType<typeof setTimeout> | undefined;

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

  /** The server elsewhere that this window shows; null for one of its own. */
  get server(): Server | null {
    return this.#server;
  }

  /** What is wrong with the clock of the computer that Sungaze runs on, in the server's words; empty where nothing is. */
  get clock(): string {
    return this.#clock;
  }

  /** What is wrong with the keeping of the data, in the server's words; empty where nothing is. */
  get trouble(): string {
    return this.#trouble;
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
      history.replaceState(null, '', '#/');
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
    clearTimeout(this.#again);
    try {
      const health = await data(api.GET('/api/health'));
      this.#demo = health.demo;
      this.#version = health.version;
      this.#clock = health.clock ?? '';
      this.#trouble = health.trouble ?? '';
      this.#server = health.server ?? null;
      this.#entry = health.session ? standing(this.#server) : 'locked';
    } catch {
      this.#entry = 'unreachable';
    }
    if (this.#entry === 'unreachable') this.#again = setTimeout(() => void this.look(), AGAIN_MS);
  }

  /** Gives the server elsewhere its token. */
  async give(token: string): Promise<void> {
    this.#refusal = '';
    if (!token.trim()) {
      this.#refusal = messages.entry.noToken;
      return;
    }
    try {
      await data(api.POST('/api/server/token', { body: { token } }));
    } catch (error) {
      this.#refusal = error instanceof ApiError && error.status > 0 ? error.message : messages.entry.unreachable;
      return;
    }
    await this.look();
    void this.queries.invalidateQueries();
  }

  /** Asks, without disturbing the page, whether our cookie is still known; an absent server is not an answer. */
  async check(): Promise<void> {
    try {
      const health = await data(api.GET('/api/health'));
      this.#server = health.server ?? null;
      this.#clock = health.clock ?? '';
      this.#trouble = health.trouble ?? '';
      if (!health.session) this.#entry = 'locked';
      else if (['token', 'refused'].includes(standing(this.#server))) this.#entry = standing(this.#server);
    } catch {
      // The connection is lost; the live stream says so and goes on trying.
    }
  }

  /** Told of every failed answer: a 401 means that our session has ended. */
  refused(error: unknown): void {
    if (error instanceof ApiError && error.status === 401 && this.#entry === 'open') {
      this.#refusal = '';
      if (this.#server) void this.check();
      else this.#entry = 'locked';
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

/** What a window can show of a server elsewhere; a lost one stays open while there is something of it to see. */
function standing(server: Server | null): Entry {
  if (!server || server.state === 'there') return 'open';
  if (server.state === 'token') return 'token';
  if (server.state === 'lost') return server.held_at === null ? 'unreachable' : 'open';
  return 'refused';
}

export const session = new Session();
