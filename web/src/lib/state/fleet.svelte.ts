import { createQuery, keepPreviousData } from '@tanstack/svelte-query';
import { api, data, type Fleet, type Schemas, type Site } from '../api/client';
import { messages } from '../messages';
import { SECTIONS, sectionOf } from '../standing';
import { keys } from './keys';
import { router } from './router.svelte';
import { session } from './session.svelte';
import type { SettingsState } from './settings.svelte';

const PAGE = 1000;
/** Ages grow by themselves, and with them the word that a site is shown with. */
const AGES_MS = 60_000;
const QUIET = new Set(['normal', 'unknown']);
export const GROUPS = ['need', 'vendor', 'customer', 'tag', 'none'] as const;
export type Group = (typeof GROUPS)[number];

async function allSites(q: string): Promise<Site[]> {
  const sites: Site[] = [];
  for (;;) {
    const page = await data(
      api.GET('/api/sites', { params: { query: { limit: PAGE, offset: sites.length, q: q || null } } }),
    );
    sites.push(...page.items);
    if (page.items.length === 0 || sites.length >= page.total) return sites;
  }
}

/** The fleet's figures: of the header, and of the tiles. */
export class FleetFigures {
  #query = createQuery(
    () => ({
      queryKey: keys.fleet(),
      queryFn: (): Promise<Fleet> => data(api.GET('/api/fleet')),
      refetchInterval: AGES_MS,
    }),
    () => session.queries,
  );

  get data(): Fleet | undefined {
    return this.#query.data;
  }

  get failed(): boolean {
    return this.#query.isError && this.#query.data === undefined;
  }
}

export interface SectionRow {
  kind: 'section';
  id: string;
  title: string;
  count: number;
}

export interface SiteRow {
  kind: 'site';
  site: Site;
}

export type Row = SectionRow | SiteRow;

/** The list of sites as the URL asks for it: searched by the server, filtered and grouped here. */
export class FleetList {
  #settings: SettingsState;
  #vendorName: (id: string) => string;
  #query = createQuery(
    () => ({
      queryKey: keys.sites(router.get('q')),
      queryFn: (): Promise<Site[]> => allSites(router.get('q')),
      placeholderData: keepPreviousData,
      refetchInterval: AGES_MS,
    }),
    () => session.queries,
  );
  #sites = $derived.by(() => {
    // Read once: the address and the settings are asked anew at each reading, and there are thousands of sites.
    const { vendor, freshness, status, tag, care, need } = this;
    return (this.#query.data ?? []).filter(
      (site) =>
        (!vendor || site.vendor === vendor) &&
        (!freshness || site.freshness === freshness) &&
        (!status || site.status === status) &&
        (!tag || site.tags.includes(tag)) &&
        (care !== 'snoozed' || site.care.snoozed) &&
        (care !== 'waiting' || site.care.waiting_on !== null) &&
        (!need || site.needs_you),
    );
  });
  #rows = $derived.by(() => {
    const { group } = this;
    if (group === 'none') return this.#sites.map((site): Row => ({ kind: 'site', site }));
    const sections = new Map<string, Site[]>();
    for (const site of this.#sites) {
      const key = keyOf(site, group);
      const members = sections.get(key);
      if (members) members.push(site);
      else sections.set(key, [site]);
    }
    const rows: Row[] = [];
    for (const id of this.#order([...sections.keys()])) {
      const members = sections.get(id)!;
      rows.push({ kind: 'section', id, title: this.#title(id), count: members.length });
      for (const site of members) rows.push({ kind: 'site', site });
    }
    return rows;
  });
  /** The tags of the sites that the search found, each with how many have it. */
  readonly tags = $derived.by(() => counted((this.#query.data ?? []).flatMap((site) => site.tags)));
  readonly snoozed = $derived.by(() => (this.#query.data ?? []).filter((site) => site.care.snoozed).length);
  readonly waiting = $derived.by(() => (this.#query.data ?? []).filter((site) => site.care.waiting_on !== null).length);
  /** The status words that ask for a look, each with how many have it. */
  readonly statuses = $derived.by(() =>
    counted((this.#query.data ?? []).map((site) => site.status).filter((word) => !QUIET.has(word))),
  );

  constructor(settings: SettingsState, vendorName: (id: string) => string) {
    this.#settings = settings;
    this.#vendorName = vendorName;
  }

  get q(): string {
    return router.get('q');
  }

  get vendor(): string {
    return router.get('vendor');
  }

  get freshness(): string {
    return router.get('fresh');
  }

  get status(): string {
    return router.get('status');
  }

  get tag(): string {
    return router.get('tag');
  }

  /** Those that are snoozed, or that wait on somebody. */
  get care(): string {
    return router.get('care');
  }

  get need(): boolean {
    return router.get('need') === '1';
  }

  /** How the list is grouped: by the URL, else as the user last chose. */
  get group(): Group {
    const wanted = router.get('group') || this.#settings.data.group;
    return GROUPS.find((group) => group === wanted) ?? 'need';
  }

  get filtered(): boolean {
    return !!(this.vendor || this.freshness || this.status || this.tag || this.care || this.need || this.q);
  }

  get pending(): boolean {
    return this.#query.isPending;
  }

  get error(): Error | null {
    return this.#query.data === undefined ? this.#query.error : null;
  }

  /** Sites that the search found, before the chips. */
  get found(): Site[] {
    return this.#query.data ?? [];
  }

  get sites(): Site[] {
    return this.#sites;
  }

  get rows(): Row[] {
    return this.#rows;
  }

  retry(): void {
    void this.#query.refetch();
  }

  #title(id: string): string {
    const words = messages.fleet;
    if (this.group === 'need') return words.sections[id as keyof typeof words.sections];
    if (this.group === 'vendor') return this.#vendorName(id);
    return id || (this.group === 'tag' ? words.noTag : words.noCustomer);
  }

  #order(ids: string[]): string[] {
    if (this.group === 'need') return SECTIONS.filter((section) => ids.includes(section));
    // Those without a customer or a tag stand last.
    return ids.toSorted((a, b) => Number(!a) - Number(!b) || this.#title(a).localeCompare(this.#title(b)));
  }
}

function keyOf(site: Site, group: Group): string {
  switch (group) {
    case 'vendor':
      return site.vendor;
    case 'customer':
      return site.customer ?? '';
    case 'tag':
      return site.tags[0] ?? '';
    default:
      return sectionOf(site);
  }
}

function counted(words: string[]): [string, number][] {
  const found = new Map<string, number>();
  for (const word of words) found.set(word, (found.get(word) ?? 0) + 1);
  return [...found].toSorted(([a], [b]) => a.localeCompare(b));
}

export type Changes = Schemas['ChangesOut'];

const LOOK_MS = 120_000;

/** What changed since the user last looked. Looking is told to the server, so that another window knows it too. */
export class LastLook {
  #query = createQuery(
    () => ({
      queryKey: keys.changes(),
      queryFn: (): Promise<Changes> => data(api.POST('/api/fleet/looked', { body: { seen: false } })),
      refetchInterval: LOOK_MS,
      staleTime: 30_000,
    }),
    () => session.queries,
  );

  get data(): Changes | undefined {
    return this.#query.data;
  }

  get failed(): boolean {
    return this.#query.isError && this.#query.data === undefined;
  }

  /** Everything is read; changes are told from now on. */
  async seen(): Promise<void> {
    try {
      session.queries.setQueryData(
        keys.changes(),
        await data(api.POST('/api/fleet/looked', { body: { seen: true } })),
      );
    } catch (error) {
      session.refused(error);
    }
  }
}

const SETTLE_MS = 120;
const OLD_MS = 5 * 60_000;
/** A site that gives nothing yet may do so any moment. */
const EMPTY_MS = 15_000;
const AT_ONCE = 100;

export interface Spark {
  at: number;
  values: (number | null)[];
}

/** The last day of the sites in view, asked for as they come into it. */
export class Sparklines {
  #known = $state.raw(new Map<number, Spark>());
  #timer: ReturnType<typeof setTimeout> | undefined;

  of(id: number): Spark | undefined {
    return this.#known.get(id);
  }

  /** Asks for what is in view and not known, or known for long. */
  want(ids: number[]): () => void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#ask(ids), SETTLE_MS);
    return () => clearTimeout(this.#timer);
  }

  #isOld(spark: Spark | undefined): boolean {
    if (!spark) return true;
    return Date.now() - spark.at > (spark.values.every((value) => value === null) ? EMPTY_MS : OLD_MS);
  }

  async #ask(ids: number[]): Promise<void> {
    const wanted = ids.filter((id) => this.#isOld(this.#known.get(id))).slice(0, AT_ONCE);
    if (wanted.length === 0) return;
    try {
      const found = await data(
        api.GET('/api/fleet/sparklines', { params: { query: { ids: wanted.join(',') } } }),
      );
      const known = new Map(this.#known);
      for (const one of found.items) known.set(one.site_id, { at: Date.now(), values: one.values });
      this.#known = known;
    } catch (error) {
      session.refused(error);
    }
  }
}
