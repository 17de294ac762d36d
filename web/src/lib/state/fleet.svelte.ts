import { createQuery, keepPreviousData } from '@tanstack/svelte-query';
import { api, data, type Fleet, type Site } from '../api/client';
import { SECTIONS, sectionOf, type Section } from '../standing';
import { keys } from './keys';
import { router } from './router.svelte';
import { session } from './session.svelte';

const PAGE = 1000;
/** Ages grow by themselves, and with them the word that a site is shown with. */
const AGES_MS = 60_000;

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
  section: Section;
  count: number;
}

export interface SiteRow {
  kind: 'site';
  site: Site;
}

export type Row = SectionRow | SiteRow;

/** The list of sites as the URL asks for it: searched by the server, filtered by vendor and freshness here. */
export class FleetList {
  #query = createQuery(
    () => ({
      queryKey: keys.sites(router.get('q')),
      queryFn: (): Promise<Site[]> => allSites(router.get('q')),
      placeholderData: keepPreviousData,
      refetchInterval: AGES_MS,
    }),
    () => session.queries,
  );
  #sites = $derived(
    (this.#query.data ?? []).filter(
      (site) =>
        (!this.vendor || site.vendor === this.vendor) &&
        (!this.freshness || site.freshness === this.freshness) &&
        (!this.need || site.needs_you),
    ),
  );
  #rows = $derived.by(() => {
    const rows: Row[] = [];
    for (const section of SECTIONS) {
      const members = this.#sites.filter((site) => sectionOf(site) === section);
      if (members.length === 0) continue;
      rows.push({ kind: 'section', section, count: members.length });
      for (const site of members) rows.push({ kind: 'site', site });
    }
    return rows;
  });

  get q(): string {
    return router.get('q');
  }

  get vendor(): string {
    return router.get('vendor');
  }

  get freshness(): string {
    return router.get('fresh');
  }

  get need(): boolean {
    return router.get('need') === '1';
  }

  get filtered(): boolean {
    return !!(this.vendor || this.freshness || this.need || this.q);
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
}
