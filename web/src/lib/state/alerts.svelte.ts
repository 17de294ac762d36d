import { createQuery, keepPreviousData } from '@tanstack/svelte-query';
import { api, data, type Alert } from '../api/client';
import { messages } from '../messages';
import { href } from '../route';
import { DAY_S } from '../time';
import { problemOf } from './asking';
import { clock } from './clock.svelte';
import { keys } from './keys';
import { router } from './router.svelte';
import { session } from './session.svelte';

const PAGE = 1000;
/** More than a person reads; the list says so where there are more. */
const MOST = 5000;
const AGES_MS = 60_000;
/** Rows that are drawn before more are asked for. */
export const STEP = 150;
export const TIMELINE_S = 30 * DAY_S;
const LANES = 8;

export const STATES = ['', 'unacknowledged', 'acknowledged', 'resolved'] as const;
export const SEVERITIES = ['critical', 'error', 'warning', 'info'] as const;
export const SOURCES = ['vendor', 'sungaze'] as const;
export const GROUPS = ['', 'code', 'none'] as const;

interface Asked {
  site: number | null;
  status: string | null;
  severity: string | null;
  source: string | null;
  vendor: string | null;
}

interface Found {
  items: Alert[];
  total: number;
}

async function read(asked: Asked): Promise<Found> {
  const items: Alert[] = [];
  for (;;) {
    const query = { ...asked, limit: PAGE, offset: items.length };
    const page = await data(api.GET('/api/alerts', { params: { query } }));
    items.push(...page.items);
    if (page.items.length === 0 || items.length >= Math.min(page.total, MOST)) return { items, total: page.total };
  }
}

/** Alerts under one heading; `href` leads to what they have in common. */
export interface Group {
  key: string;
  name: string;
  href: string | null;
  alerts: Alert[];
  /** The ids of those that nobody acknowledged. */
  open: number[];
}

/** What kind of alert it is: ours in words, a vendor's by its own code, read out where it is made of words. */
function kindOf(alert: Alert, vendor: string): string {
  const words = messages.alerts;
  if (alert.source === 'sungaze') return words.codes[alert.code] ?? alert.code;
  const said = /^[A-Z]+(_[A-Z0-9]+)+$/.test(alert.code) ? alert.code.replaceAll('_', ' ').toLowerCase() : alert.code;
  return words.kind(vendor, said);
}

function known(name: string, words: readonly string[]): string {
  const value = router.get(name);
  return words.includes(value) ? value : '';
}

/** The alerts of the fleet or, with a site, of it, as the URL asks for them; with a device all that it ever had. */
export class AlertList {
  #site: () => number | null;
  #vendorName: (id: string) => string;
  #device: number | null;
  #busy = $state<Record<string, boolean>>({});
  #told = $state('');
  #problem = $state('');
  #last = $state.raw<number[]>([]);
  #query;

  readonly #found = $derived.by((): Found => {
    const { items, total } = this.#query.data ?? { items: [], total: 0 };
    if (this.#device === null) return { items, total };
    const own = items.filter((alert) => alert.device_id === this.#device);
    return { items: own, total: own.length };
  });

  /** What was found, by the groups that the URL asks for; the worst first, and the groups by their worst. */
  readonly groups = $derived.by((): Group[] => {
    const groups = new Map<string, Group>();
    for (const alert of this.alerts) {
      const { key, name, href } = this.#headingOf(alert);
      let group = groups.get(key);
      if (!group) groups.set(key, (group = { key, name, href, alerts: [], open: [] }));
      group.alerts.push(alert);
      if (alert.status === 'open') group.open.push(alert.id);
    }
    return [...groups.values()];
  });

  constructor(site: () => number | null, vendorName: (id: string) => string, device: number | null = null) {
    this.#site = site;
    this.#vendorName = vendorName;
    this.#device = device;
    this.#query = createQuery(
      () => {
        const asked: Asked = {
          site: this.#site(),
          status: this.state || (this.#device === null ? 'open' : null),
          severity: this.severity || null,
          source: this.source || null,
          vendor: this.vendor || null,
        };
        return {
          queryKey: keys.alerts(asked.site, asked.status, asked.severity, asked.source, asked.vendor),
          queryFn: (): Promise<Found> => read(asked),
          placeholderData: keepPreviousData,
          refetchInterval: AGES_MS,
        };
      },
      () => session.queries,
    );
  }

  get site(): number | null {
    return this.#site();
  }

  get state(): string {
    return known('state', STATES);
  }

  get severity(): string {
    return known('severity', SEVERITIES);
  }

  get source(): string {
    return known('source', SOURCES);
  }

  get vendor(): string {
    return this.#site() === null ? router.get('vendor') : '';
  }

  get by(): string {
    return this.#site() === null ? known('by', GROUPS) : known('by', GROUPS) || 'none';
  }

  get filtered(): boolean {
    return !!(this.state || this.severity || this.source || this.vendor);
  }

  get alerts(): Alert[] {
    return this.#found.items;
  }

  get total(): number {
    return this.#found.total;
  }

  get pending(): boolean {
    return this.#query.isPending;
  }

  get error(): Error | null {
    return this.#query.data === undefined ? this.#query.error : null;
  }

  /** What the last act did, in words. */
  get told(): string {
    return this.#told;
  }

  get problem(): string {
    return this.#problem;
  }

  /** Whether the last act can be undone. */
  get undoable(): boolean {
    return this.#last.length > 0;
  }

  busy(key: string): boolean {
    return this.#busy[key] ?? false;
  }

  retry(): void {
    void this.#query.refetch();
  }

  vendorName(id: string): string {
    return this.#vendorName(id);
  }

  /** Counts alerts as seen; `key` names the button that waits. */
  async acknowledge(ids: number[], key: string): Promise<void> {
    if (await this.#act(ids, true, key)) {
      this.#told = messages.alerts.told(ids.length);
      this.#last = ids;
    }
  }

  async takeBack(ids: number[], key: string): Promise<void> {
    if (await this.#act(ids, false, key)) {
      this.#told = messages.alerts.toldBack(ids.length);
      this.#last = [];
    }
  }

  undo(): Promise<void> {
    return this.takeBack(this.#last, 'undo');
  }

  #headingOf(alert: Alert): { key: string; name: string; href: string | null } {
    const words = messages.alerts;
    if (this.by === 'none') return { key: 'all', name: '', href: null };
    if (this.by === 'code') {
      const name = kindOf(alert, this.#vendorName(alert.vendor));
      return { key: `${alert.source} ${alert.vendor} ${alert.code}`, name, href: null };
    }
    if (alert.place_id === null) {
      return {
        key: `account ${alert.account_id}`,
        name: words.account(alert.account_label ?? ''),
        href: href({ name: 'accounts' }),
      };
    }
    const leads = alert.site_id === null ? null : href({ name: 'site', id: alert.site_id, tab: 'overview' });
    return { key: `place ${alert.place_id}`, name: alert.place_name ?? '', href: leads };
  }

  async #act(ids: number[], seen: boolean, key: string): Promise<boolean> {
    this.#busy[key] = true;
    this.#problem = '';
    try {
      await data(api.POST('/api/alerts/acknowledge', { body: { alerts: ids, seen } }));
      await session.queries.invalidateQueries({ queryKey: keys.alerts() });
      return true;
    } catch (error) {
      this.#told = '';
      this.#problem = problemOf(error);
      return false;
    } finally {
      this.#busy[key] = false;
    }
  }
}

/** One kind of alert over the last thirty days; a bar's ends are shares of that time. */
export interface Lane {
  key: string;
  name: string;
  bars: { alert: Alert; from: number; to: number }[];
}

/** What happened at a site in the last thirty days, by kind of alert. */
export class AlertTimeline {
  #query;
  #vendorName: (id: string) => string;

  readonly lanes = $derived.by((): Lane[] => {
    const start = clock.now - TIMELINE_S;
    const lanes = new Map<string, Lane>();
    for (const alert of this.#query.data?.items ?? []) {
      const end = alert.resolved_at ?? clock.now;
      if (end <= start) continue;
      const key = `${alert.source} ${alert.code}`;
      const name = kindOf(alert, this.#vendorName(alert.vendor));
      let lane = lanes.get(key);
      if (!lane) lanes.set(key, (lane = { key, name, bars: [] }));
      lane.bars.push({
        alert,
        from: Math.max(0, (alert.timestamp - start) / TIMELINE_S),
        to: Math.min(1, (end - start) / TIMELINE_S),
      });
    }
    return [...lanes.values()];
  });

  constructor(site: () => number, vendorName: (id: string) => string) {
    this.#vendorName = vendorName;
    this.#query = createQuery(
      () => {
        const asked: Asked = { site: site(), status: null, severity: null, source: null, vendor: null };
        return {
          queryKey: keys.alerts(asked.site, 'timeline'),
          queryFn: (): Promise<Found> => read(asked),
          refetchInterval: AGES_MS,
        };
      },
      () => session.queries,
    );
  }

  get pending(): boolean {
    return this.#query.isPending;
  }

  get shown(): Lane[] {
    return this.lanes.slice(0, LANES);
  }

  get more(): number {
    return Math.max(0, this.lanes.length - LANES);
  }
}
