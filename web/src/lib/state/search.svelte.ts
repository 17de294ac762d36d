import { createQuery, keepPreviousData, type CreateQueryResult } from '@tanstack/svelte-query';
import { api, data, type Schemas } from '../api/client';
import { messages } from '../messages';
import { href, type Page } from '../route';
import { keys } from './keys';
import { router } from './router.svelte';
import { session } from './session.svelte';

type Found = Schemas['SearchOut'];

export interface Hit {
  kind: 'page' | 'site' | 'device' | 'list';
  name: string;
  about: string;
  href: string;
}

const PAGES: Page[] = [
  { name: 'fleet' },
  { name: 'alerts' },
  { name: 'places' },
  { name: 'accounts' },
  { name: 'connect' },
  { name: 'work' },
  { name: 'settings' },
  { name: 'about' },
];

/** What a few characters find: pages here, places, customers and devices at the server. */
export class Search {
  #words: () => string;
  readonly #query: CreateQueryResult<Found>;

  readonly hits = $derived.by((): Hit[] => {
    const words = this.#words().toLowerCase();
    if (!words) return [];
    const names = messages.search.pages as Record<string, string>;
    const pages = PAGES.filter((page) => names[page.name]?.toLowerCase().includes(words));
    const found = this.#query.data?.items ?? [];
    return [
      ...found.map(
        (one): Hit => ({
          kind: one.kind === 'device' ? 'device' : 'site',
          name: one.name,
          about: one.about,
          href:
            one.device_id === null
              ? href({ name: 'site', id: one.site_id, tab: 'overview' })
              : href({ name: 'site', id: one.site_id, tab: 'panels' }, { panel: one.device_id }),
        }),
      ),
      ...pages.map((page): Hit => ({ kind: 'page', name: names[page.name]!, about: '', href: href(page) })),
      { kind: 'list', name: messages.search.inList(this.#words()), about: '', href: href({ name: 'fleet' }, { q: this.#words() }) },
    ];
  });
  readonly total = $derived.by(() => this.#query.data?.total ?? 0);
  readonly failed = $derived.by(() => (this.#query.isError ? (this.#query.error?.message ?? '') : ''));

  constructor(words: () => string) {
    this.#words = words;
    this.#query = createQuery(
      () => ({
        queryKey: keys.search(words()),
        queryFn: (): Promise<Found> => data(api.GET('/api/search', { params: { query: { q: words() } } })),
        enabled: words().length > 0,
        placeholderData: keepPreviousData,
        staleTime: 15_000,
      }),
      () => session.queries,
    );
  }

  get searching(): boolean {
    return this.#query.isFetching;
  }
}

/** Goes where a hit leads. */
export function follow(hit: Hit): void {
  if (location.hash === hit.href) router.set({});
  else location.hash = hit.href;
}
