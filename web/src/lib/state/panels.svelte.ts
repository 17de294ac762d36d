import { createQuery, keepPreviousData, type CreateQueryResult } from '@tanstack/svelte-query';
import { api, data, type Cell, type Device, type Layout } from '../api/client';
import { meanOf, toCurve, type Point } from '../gaps';
import { roundUp } from '../ramp';
import { cellLook, type CellLook } from '../standing';
import { DAY_S, localDate } from '../time';
import { clock } from './clock.svelte';
import { keys } from './keys';
import { router } from './router.svelte';
import { session } from './session.svelte';
import { readSeries, type DayCurve, type Metric, type SiteState } from './site.svelte';

const NEIGHBOURS_EACH_SIDE = 3;
/** A share of a panel's peak below which it counts as giving nothing: inverters report a watt or two of noise. */
const NOTHING_SHARE = 0.005;
const SETTLE_MS = 70;

export interface Panel {
  cell: Cell;
  look: CellLook;
  /** 0…1 on the scale of colours; null without a value. */
  share: number | null;
  /** Its value over that of the middle panel; null where that says nothing. */
  ofMiddle: number | null;
}

/** The panels of a site at a moment: of the URL, or the newest. */
export class PanelsState {
  #site: SiteState;
  #asked = $state<number | null>(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #query: CreateQueryResult<Layout>;
  readonly #devices: CreateQueryResult<Device[]>;

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
  readonly intervalS = $derived.by(() => {
    const fine = this.metric?.intervals_s.filter((s) => s > 0 && s < DAY_S) ?? [];
    return fine.length ? Math.min(...fine) : 900;
  });
  /** The moment of the URL; null for the newest figures. */
  readonly at = $derived.by(() => {
    const text = router.get('at');
    const at = /^\d{9,11}$/.test(text) ? Number(text) : NaN;
    return at >= this.#site.day.start && at < this.#site.day.end ? at : this.#site.isToday ? null : this.#noon();
  });
  /** The stamp of the newest figure that the layout shows. */
  readonly newest = $derived.by(() => {
    const stamps = this.cells.flatMap((cell) => (cell.timestamp === null ? [] : [cell.timestamp]));
    return stamps.length ? Math.max(...stamps) : null;
  });
  readonly moment = $derived.by(() => this.at ?? this.newest);
  readonly #day = $derived.by(() => {
    if (this.at === null && this.#site.data?.freshness === 'asleep') return false;
    const moment = this.moment ?? clock.now;
    const sun = this.#site.sunOf(localDate(moment, this.#site.zone ?? clock.zone));
    return sun ? moment >= sun.start && moment < sun.end : !this.#site.positioned;
  });
  readonly panels = $derived.by((): Panel[] => {
    const values = this.cells.flatMap((cell) => (cell.value === null ? [] : [cell.value]));
    const producing = this.#producing;
    const others = values.filter((value) => value > producing).length;
    const by = { day: this.#day, others: values.length, producing: others > values.length / 4 ? producing : -1 };
    const nightBy = { ...by, producing };
    const middle = values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
    return this.cells.map((cell) => ({
      cell,
      look: cellLook(cell, this.#day ? by : nightBy),
      share: cell.value === null ? null : Math.max(0, Math.min(1, cell.value / this.top)),
      ofMiddle: cell.value === null || middle <= producing ? null : cell.value / middle,
    }));
  });
  /** The upper end of the scale: the panels' peak, or with `scale=moment` the highest value shown. */
  readonly top = $derived.by(() => {
    const most = Math.max(0, ...this.cells.map((cell) => cell.value ?? 0));
    if (router.get('scale') === 'moment') return roundUp(most || this.#peak || 1);
    return Math.max(this.#peak, roundUp(most || 1));
  });

  constructor(site: SiteState) {
    this.#site = site;
    this.#query = createQuery(
      () => ({
        queryKey: keys.layout(this.#site.id, this.metricName, this.#asked),
        queryFn: (): Promise<Layout> =>
          data(
            api.GET('/api/sites/{site_id}/layout', {
              params: {
                path: { site_id: this.#site.id },
                query: { metric: this.metricName || null, at: this.#asked === null ? null : String(this.#asked) },
              },
            }),
          ),
        enabled: this.#site.data !== undefined,
        placeholderData: keepPreviousData,
        staleTime: 30_000,
      }),
      () => session.queries,
    );
    this.#devices = createQuery(
      () => ({
        queryKey: keys.devices(this.#site.id),
        queryFn: async (): Promise<Device[]> =>
          (await data(api.GET('/api/sites/{site_id}/devices', { params: { path: { site_id: this.#site.id } } }))).items,
        staleTime: 60_000,
      }),
      () => session.queries,
    );
    $effect(() => {
      const at = this.at;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => {
        this.#asked = at;
      }, SETTLE_MS);
      return () => clearTimeout(this.#timer);
    });
  }

  get layout(): Layout | undefined {
    return this.#query.data;
  }

  get cells(): Cell[] {
    return this.#query.data?.cells ?? [];
  }

  get pending(): boolean {
    return this.#query.data === undefined && !this.#query.isError;
  }

  get error(): Error | null {
    return this.#query.data === undefined ? this.#query.error : null;
  }

  get day(): boolean {
    return this.#day;
  }

  get anyFigure(): boolean {
    return this.metrics.length > 0;
  }

  retry(): void {
    void this.#query.refetch();
  }

  device(id: number): Device | undefined {
    return this.#devices.data?.find((device) => device.id === id);
  }

  /** The round figure that one panel of this site reaches at its best, in the unit of the metric shown. */
  get #peak(): number {
    const kilowatts = this.#site.data?.peak_power_kw;
    if (!kilowatts || this.cells.length === 0 || !this.metric) return 0;
    const watts = (kilowatts * 1000) / this.cells.length;
    if (this.metric.unit === 'W') return roundUp(watts);
    return this.metric.unit === 'Wh' ? roundUp((watts * this.intervalS) / 3600) : 0;
  }

  get #producing(): number {
    return this.#peak * NOTHING_SHARE * 4;
  }

  #noon(): number {
    const { start, end } = this.#site.sun ?? this.#site.day;
    return Math.floor((start + end) / 2 / this.intervalS) * this.intervalS;
  }
}

/** A panel's day against its neighbours in the order of serial numbers. */
export class PanelCurve {
  #site: SiteState;
  #panels: PanelsState;
  #device: () => number;
  readonly #neighbours = $derived.by(() => {
    const cells = this.#panels.cells;
    const index = cells.findIndex((cell) => cell.device_id === this.#device());
    if (index < 0) return [];
    return cells
      .slice(Math.max(0, index - NEIGHBOURS_EACH_SIDE), index + NEIGHBOURS_EACH_SIDE + 1)
      .map((cell) => cell.device_id)
      .filter((id) => id !== this.#device());
  });
  readonly #query: CreateQueryResult<Point[][]>;

  readonly mine = $derived.by(() => this.#query.data?.[0] ?? []);
  readonly others = $derived.by(() => meanOf((this.#query.data ?? []).slice(1)));
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

  constructor(site: SiteState, panels: PanelsState, device: () => number) {
    this.#site = site;
    this.#panels = panels;
    this.#device = device;
    this.#query = createQuery(
      () => {
        const ids = [this.#device(), ...this.#neighbours];
        const metric = this.#panels.metricName;
        const span = this.#site.day;
        const interval = this.#panels.intervalS;
        const site = this.#site.id;
        return {
          queryKey: [...keys.series(site, this.#device(), metric, interval, span.start, span.end), this.#neighbours],
          queryFn: (): Promise<Point[][]> => Promise.all(ids.map((id) => readSeries(site, id, metric, interval, span))),
          enabled: metric !== '' && this.#panels.cells.length > 0,
          placeholderData: keepPreviousData,
          staleTime: 30_000,
        };
      },
      () => session.queries,
    );
  }

  get neighbours(): number {
    return this.#neighbours.length;
  }

  get loading(): boolean {
    return this.#query.data === undefined && this.#query.isFetching;
  }
}

export type { DayCurve };
