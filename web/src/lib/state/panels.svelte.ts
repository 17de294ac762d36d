import { createQuery, keepPreviousData, type CreateQueryResult } from '@tanstack/svelte-query';
import { api, data, type Device } from '../api/client';
import { meanOf, toCurve } from '../gaps';
import { PanelDay, type Frame, type PanelCell } from '../panelday';
import { groupedRows, groupings, roofRows, schematicRows, type GridRow, type Grouping } from '../panelrows';
import { roofOf } from '../positions';
import { roundUp } from '../ramp';
import { messages } from '../messages';
import { DAY_S, localDate } from '../time';
import { clock } from './clock.svelte';
import { keys } from './keys';
import { router } from './router.svelte';
import { session } from './session.svelte';
import type { Metric, SiteState } from './site.svelte';

const NO_CELLS: readonly PanelCell[] = [];
const NEIGHBOURS_EACH_SIDE = 3;
/** A share of a panel's peak below which it counts as giving nothing: inverters report a watt or two of noise. */
const NOTHING_SHARE = 0.02;

/** What the grid draws: its lines, and on a roof the number of its first column and how many there are. */
export interface Plan {
  rows: GridRow[];
  first: number;
  columns: number;
}

/** A day of a site's panels, and the moment of the URL or the newest: one request for the day, none for a moment. */
export class PanelsState {
  #site: SiteState;
  readonly #query: CreateQueryResult<PanelDay>;
  /** The query tells its data anew with each change of the address; what is made of a day must not be made anew. */
  readonly #day = $derived.by(() => this.#query.data);

  /** What the panels can show: power and energy of their own, the production metric first. */
  readonly metrics = $derived.by((): Metric[] => {
    const site = this.#site.data;
    if (!site) return [];
    return site.metrics
      .filter((metric) => metric.devices > 0 && metric.kind !== 'counter' && metric.intervals_s.some((s) => s < DAY_S))
      .sort((a, b) => Number(b.metric === site.power_metric) - Number(a.metric === site.power_metric));
  });
  readonly metric = $derived.by(
    () => this.metrics.find((metric) => metric.metric === router.get('metric')) ?? this.metrics[0],
  );
  readonly metricName = $derived.by(() => this.metric?.metric ?? '');
  /** Figures of another day or metric are kept on screen while new ones are asked for, but not shown as these. */
  readonly waiting = $derived.by(() => this.#query.isPlaceholderData);
  readonly intervalS = $derived.by(() => {
    if (this.day?.layout.interval_s) return this.day.layout.interval_s;
    const fine = this.metric?.intervals_s.filter((s) => s > 0 && s < DAY_S) ?? [];
    return fine.length ? Math.min(...fine) : 900;
  });
  /** The moment of the URL; null for the newest figures. */
  readonly at = $derived.by(() => {
    const text = router.get('at');
    const at = /^\d{9,11}$/.test(text) ? Number(text) : NaN;
    return at >= this.#site.day.start && at < this.#site.day.end ? at : this.#site.isToday ? null : this.#noon();
  });
  /** The stamp of the newest figures of the day shown. */
  readonly newest = $derived.by(() => (this.waiting ? null : (this.day?.newest ?? null)));
  readonly moment = $derived.by(() => this.at ?? this.newest);
  readonly #light = $derived.by(() => {
    const sunless = this.at === null && this.#site.data?.freshness === 'asleep';
    const moment = this.moment ?? clock.now;
    const sun = this.#site.sunOf(localDate(moment, this.#site.zone ?? clock.zone));
    return {
      day: !sunless && (sun ? moment >= sun.start && moment < sun.end : !this.#site.positioned),
      producing: this.#peak * NOTHING_SHARE,
      pending: this.anyFigure && (this.waiting || (this.#site.isToday && moment > (this.newest ?? 0))),
    };
  });
  /** All panels at the moment; null before the first answer. */
  readonly frame = $derived.by(
    (): Frame | null => this.day?.frame(this.waiting ? null : this.moment, this.#light) ?? null,
  );
  /** The upper end of the scale: the best of the panels and of the day, or with `scale=moment` of the moment. */
  readonly top = $derived.by(() => {
    if (router.get('scale') === 'moment') return roundUp(this.frame?.most || this.#peak || 1);
    return Math.max(this.#peak, roundUp(this.day?.most || 1));
  });

  readonly groupings = $derived.by(() => groupings(this.cells));
  readonly grouping = $derived.by(
    (): Grouping | null => this.groupings.find((by) => by === router.get('group')) ?? null,
  );
  readonly onRoof = $derived(router.get('view') === 'positions');
  readonly roof = $derived.by(() => roofOf(this.cells));

  constructor(site: SiteState) {
    this.#site = site;
    this.#query = createQuery(
      () => {
        const [id, metric, date] = [this.#site.id, this.metricName, this.#site.date];
        return {
          queryKey: keys.layoutDay(id, metric, date),
          queryFn: async (): Promise<PanelDay> =>
            PanelDay.of(
              await data(
                api.GET('/api/sites/{site_id}/layout/day', {
                  params: { path: { site_id: id }, query: { metric: metric || null, date } },
                }),
              ),
            ),
          enabled: this.#site.data !== undefined,
          placeholderData: keepPreviousData,
          // A day is packed: there is nothing in it to be compared piece by piece.
          structuralSharing: false,
          staleTime: 30_000,
        };
      },
      () => session.queries,
    );
  }

  get day(): PanelDay | undefined {
    return this.#day;
  }

  get cells(): readonly PanelCell[] {
    return this.#day?.cells ?? NO_CELLS;
  }

  get unit(): string {
    return this.day?.layout.unit ?? this.metric?.unit ?? '';
  }

  get pending(): boolean {
    return this.#day === undefined && !this.#query.isError;
  }

  get error(): Error | null {
    return this.#day === undefined ? this.#query.error : null;
  }

  get anyFigure(): boolean {
    return this.metrics.length > 0;
  }

  /** The lines of the grid where so many panels have room beside each other. */
  plan(columns: number, arranging: boolean): Plan {
    if (this.onRoof) return roofRows(this.roof, messages.panels.positions.groups, arranging);
    const rows =
      this.grouping === null
        ? schematicRows(this.cells.map((_, index) => index), columns)
        : groupedRows(
            this.cells,
            this.day?.layout.parents ?? [],
            this.grouping,
            columns,
            messages.panels.without[this.grouping],
          );
    return { rows, first: 1, columns };
  }

  value(index: number): number | null {
    const value = this.frame?.values[index];
    return value === undefined || Number.isNaN(value) ? null : value;
  }

  /** Keeps what became of a change at once; the server's own word follows. */
  showPlaced(positions: ReadonlyMap<number, PanelCell['position']>): void {
    const key = keys.layoutDay(this.#site.id, this.metricName, this.#site.date);
    session.queries.setQueryData(key, (day: PanelDay | undefined) => day?.placed(positions));
  }

  retry(): void {
    void this.#query.refetch();
  }

  /** The round figure that one panel of this site reaches at its best, in the unit of the metric shown. */
  get #peak(): number {
    const kilowatts = this.#site.data?.peak_power_kw;
    if (!kilowatts || this.cells.length === 0 || !this.metric) return 0;
    const watts = (kilowatts * 1000) / this.cells.length;
    if (this.metric.unit === 'W') return roundUp(watts);
    return this.metric.unit === 'Wh' ? roundUp((watts * this.intervalS) / 3600) : 0;
  }

  #noon(): number {
    const { start, end } = this.#site.sun ?? this.#site.day;
    return Math.floor((start + end) / 2 / this.intervalS) * this.intervalS;
  }
}

/** A panel's day against its neighbours in the order of serial numbers, out of the day that is there already. */
export class PanelCurve {
  #site: SiteState;
  #panels: PanelsState;
  #index: () => number;
  readonly #neighbours = $derived.by(() => {
    const index = this.#index();
    const from = Math.max(0, index - NEIGHBOURS_EACH_SIDE);
    const to = Math.min(this.#panels.cells.length - 1, index + NEIGHBOURS_EACH_SIDE);
    return Array.from({ length: to - from + 1 }, (_, step) => from + step).filter((other) => other !== index);
  });
  readonly #day = $derived.by(() => (this.#panels.waiting ? undefined : this.#panels.day));

  readonly mine = $derived.by(() => this.#day?.curve(this.#index()) ?? []);
  readonly others = $derived.by(() => meanOf(this.#neighbours.map((index) => this.#day?.curve(index) ?? [])));
  readonly curve = $derived.by(() =>
    toCurve(this.mine, this.#panels.intervalS, null, Math.min(clock.now, this.#site.day.end)),
  );
  readonly mean = $derived.by(() => toCurve(this.others, this.#panels.intervalS, null, Infinity));
  /** Its share of the neighbours' mean over the stamps that both have; null where that says nothing. */
  readonly ratio = $derived.by(() => {
    const others = new Map(this.others);
    let own = 0;
    let mean = 0;
    for (const [at, value] of this.mine) {
      const other = others.get(at);
      if (other === undefined) continue;
      own += value;
      mean += other;
    }
    return mean > 0 && this.#neighbours.length > 0 ? own / mean : null;
  });

  constructor(site: SiteState, panels: PanelsState, index: () => number) {
    this.#site = site;
    this.#panels = panels;
    this.#index = index;
  }

  get neighbours(): number {
    return this.#neighbours.length;
  }

  get loading(): boolean {
    return this.#day === undefined;
  }
}

/** What is known of a site's devices, asked for once something of it is shown. */
export class DeviceFacts {
  readonly #query: CreateQueryResult<Device[]>;

  constructor(site: SiteState) {
    this.#query = createQuery(
      () => ({
        queryKey: keys.devices(site.id),
        queryFn: async (): Promise<Device[]> =>
          (await data(api.GET('/api/sites/{site_id}/devices', { params: { path: { site_id: site.id } } }))).items,
        staleTime: 60_000,
      }),
      () => session.queries,
    );
  }

  of(id: number): Device | undefined {
    return this.#query.data?.find((device) => device.id === id);
  }
}
