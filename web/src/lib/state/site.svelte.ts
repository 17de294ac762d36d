import { createQuery, keepPreviousData, type CreateQueryResult } from '@tanstack/svelte-query';
import { api, ApiError, data, type Schemas, type SiteDetail } from '../api/client';
import { toCurve, toPoints, type Curve, type Point } from '../gaps';
import { messages } from '../messages';
import { daylight, wakingHours } from '../sun';
import { addDays, DAY_S, isDate, knownZone, localDate, localDay, type Span } from '../time';
import { clock } from './clock.svelte';
import { keys } from './keys';
import { router } from './router.svelte';
import { session } from './session.svelte';

export type Patch = Schemas['SitePatch'];
export type Metric = Schemas['MetricOut'];

/** One series of a site or, with `device`, of a part of it. */
export async function readSeries(
  site: number,
  device: number,
  metric: string,
  interval: number | null,
  span: Span,
): Promise<Point[]> {
  const series = await data(
    api.GET('/api/sites/{site_id}/series', {
      params: {
        path: { site_id: site },
        query: { metric, device, interval_s: interval, from: String(span.start), to: String(span.end) },
      },
    }),
  );
  return toPoints(series.points);
}

/** A site whole, and the day that the URL points at. */
export class SiteState {
  #id: () => number;
  readonly #query: CreateQueryResult<SiteDetail>;

  /** The site's zone, or null while nobody knows it: without it there are no days. */
  readonly zone = $derived.by(() => (this.data?.timezone ? knownZone(this.data.timezone) : null));
  readonly today = $derived.by(() => localDate(clock.now, this.zone ?? clock.zone));
  readonly date = $derived.by(() => (isDate(router.get('date')) ? router.get('date') : this.today));
  readonly isToday = $derived(this.date === this.today);
  readonly day = $derived.by(() => localDay(this.date, this.zone ?? clock.zone));
  /** Sunrise to sunset of the day shown; null where the position is not known, or the sun stays down. */
  readonly sun = $derived.by(() => this.sunOf(this.date));

  /** When the day's figures are due: inverters wake a while after sunrise. */
  readonly expected = $derived.by(() => {
    const site = this.data;
    if (!site || site.latitude === null || site.longitude === null) return null;
    return wakingHours(this.day, site.latitude, site.longitude) ?? this.sun;
  });

  constructor(id: () => number) {
    this.#id = id;
    this.#query = createQuery(
      () => ({
        queryKey: keys.siteDetail(this.id),
        queryFn: (): Promise<SiteDetail> =>
          data(api.GET('/api/sites/{site_id}', { params: { path: { site_id: this.id } } })),
        refetchInterval: 60_000,
      }),
      () => session.queries,
    );
  }

  get id(): number {
    return this.#id();
  }

  get data(): SiteDetail | undefined {
    return this.#query.data;
  }

  get error(): Error | null {
    return this.#query.data === undefined ? this.#query.error : null;
  }

  get missing(): boolean {
    return this.error instanceof ApiError && this.error.status === 404;
  }

  get positioned(): boolean {
    return this.data?.latitude != null && this.data.longitude != null;
  }

  sunOf(date: string): Span | null {
    const site = this.data;
    if (!site || !this.zone || site.latitude === null || site.longitude === null) return null;
    const day = localDay(date, this.zone);
    if (day.start === site.day_start && site.sunrise !== null && site.sunset !== null) {
      return { start: site.sunrise, end: site.sunset };
    }
    return daylight(day, site.latitude, site.longitude);
  }

  retry(): void {
    void this.#query.refetch();
  }

  /** Saves what the user set; throws ApiError with the server's sentence. */
  async save(patch: Patch): Promise<void> {
    try {
      const site = await data(
        api.PATCH('/api/sites/{site_id}', { params: { path: { site_id: this.id } }, body: patch }),
      );
      session.queries.setQueryData(keys.siteDetail(this.id), site);
      void session.queries.invalidateQueries({ queryKey: keys.site(this.id) });
      void session.queries.invalidateQueries({ queryKey: keys.sites() });
      void session.queries.invalidateQueries({ queryKey: keys.fleet() });
    } catch (error) {
      session.refused(error);
      throw error;
    }
  }
}

/** A part of a site whose series are drawn: its id, and the metrics that it has. */
export interface Part {
  readonly device: number;
  metrics: () => readonly Metric[];
  /** Without the day before. */
  alone?: boolean;
}

/** The curve of the day shown, and that of the day before. */
export class DayCurve {
  #site: SiteState;
  #wanted: () => string;
  #part: Part | null;
  readonly #today: CreateQueryResult<Point[]>;
  readonly #before: CreateQueryResult<Point[]>;

  /** The metrics that make a day curve: the site's own means and sums below a day, its production first. */
  readonly metrics = $derived.by(() => {
    const site = this.#site.data;
    if (!site) return [];
    const own = this.#part ? this.#part.metrics() : site.metrics.filter((metric) => metric.site);
    return own
      .filter((metric) => metric.kind !== 'counter' && metric.intervals_s.some((length) => isFine(length, metric)))
      .sort((a, b) => rank(a, site) - rank(b, site));
  });
  readonly metric = $derived.by(
    () => this.metrics.find((metric) => metric.metric === this.#wanted()) ?? this.metrics[0],
  );
  /** The finest length that there is, as it is asked for; 0 stands for moments, which come last. */
  readonly askedS = $derived.by(() => {
    const lengths = this.metric?.intervals_s.filter((length) => length < DAY_S) ?? [];
    return Math.min(...lengths.filter((length) => length > 0), Infinity) < DAY_S
      ? Math.min(...lengths.filter((length) => length > 0))
      : 0;
  });
  readonly moments = $derived(this.askedS === 0);
  readonly #read = $derived.by((): Point[] => this.#today.data ?? []);
  /** How long a value stands in the curve: its interval, or the usual pause between two moments. */
  readonly intervalS = $derived.by(() => this.askedS || usualPause(this.#read));
  /** A moment stands in the middle of its pause. */
  readonly points = $derived.by((): Point[] =>
    this.moments ? this.#read.map(([at, value]) => [at - this.intervalS / 2, value] as const) : this.#read,
  );
  readonly curve = $derived.by((): Curve => {
    const upTo = Math.min(clock.now, this.#site.day.end);
    return toCurve(this.points, this.intervalS, this.#site.expected, upTo, this.#site.isToday);
  });
  /** The day before, moved onto this day by its local wall clock. */
  readonly ghost = $derived.by((): Curve => {
    const zone = this.#site.zone;
    if (!zone) return { x: [], y: [], gaps: [], pending: null };
    const before = localDay(addDays(this.#site.date, -1), zone);
    const shift = this.#site.day.start - before.start;
    const half = this.moments ? this.intervalS / 2 : 0;
    const moved = (this.#before.data ?? []).map(([at, value]) => [at + shift - half, value] as const);
    return toCurve(moved, this.intervalS, null, Infinity);
  });

  constructor(site: SiteState, wanted: () => string, part: Part | null = null) {
    this.#site = site;
    this.#wanted = wanted;
    this.#part = part;
    this.#today = createQuery(
      () => this.#options(this.#site.date),
      () => session.queries,
    );
    this.#before = createQuery(
      () => {
        const options = this.#options(addDays(this.#site.date, -1));
        return { ...options, enabled: options.enabled && !this.#part?.alone };
      },
      () => session.queries,
    );
  }

  /** The device's id that the curve is of; 0 is the site. */
  get device(): number {
    return this.#part?.device ?? 0;
  }

  get loading(): boolean {
    return this.#site.data === undefined || (this.#today.isLoading && this.#today.data === undefined);
  }

  get error(): Error | null {
    return this.#today.error;
  }

  #options(date: string) {
    const zone = this.#site.zone;
    const metric = this.metric?.metric ?? '';
    const span = localDay(date, zone ?? 'UTC');
    const device = this.device;
    return {
      queryKey: keys.series(this.#site.id, device, metric, this.askedS, span.start, span.end),
      queryFn: (): Promise<Point[]> => readSeries(this.#site.id, device, metric, this.askedS, span),
      enabled: zone !== null && metric !== '',
      staleTime: 30_000,
    };
  }
}

/** A sum of no length is none; a mean of no length is a moment. */
function isFine(interval: number, metric: Metric): boolean {
  return interval < DAY_S && (interval > 0 || metric.kind === 'mean');
}

const SHORTEST_PAUSE_S = 60;
const LONGEST_PAUSE_S = 3600;

/** A pause between points that only one in ten is longer than: moments come irregularly, and that is no gap. */
export function usualPause(points: readonly Point[]): number {
  const pauses = points.slice(1).map(([at], index) => at - points[index]![0]);
  pauses.sort((a, b) => a - b);
  const usual = pauses[Math.floor(0.9 * (pauses.length - 1))] ?? LONGEST_PAUSE_S / 4;
  return Math.max(SHORTEST_PAUSE_S, Math.min(LONGEST_PAUSE_S, usual));
}

function rank(metric: Metric, site: SiteDetail): number {
  if (metric.metric === site.power_metric) return 0;
  return metric.kind === 'mean' ? 2 : 1;
}

export interface Day {
  date: string;
  start: number;
  /** Wh; null where nothing is known of the day, which is not a day without sun. */
  value: number | null;
  running: boolean;
  /** History does not reach there: not known, which is not the same as no data. */
  before: boolean;
}

const DAYS_SHOWN = 30;

/** The energy that days are told in: what is produced, else any other sum of a day. */
export function dailyMetric(metrics: readonly Metric[]): Metric | undefined {
  const daily = metrics.filter((metric) => metric.kind === 'sum' && metric.intervals_s.includes(DAY_S));
  return daily.find((metric) => /^(dc_)?energy_wh$/.test(metric.metric)) ?? daily[0];
}

/** Daily energy: of the dates asked for, else of the last days up to the one shown. */
export class DailyEnergy {
  #site: SiteState;
  #part: Part | null;
  #span: (() => string[]) | null;
  readonly #dates = $derived.by(() => {
    if (this.#span) return this.#span();
    // The window only moves when the day shown lies outside the last thirty.
    const last = this.#site.date < addDays(this.#site.today, 1 - DAYS_SHOWN) ? this.#site.date : this.#site.today;
    return Array.from({ length: DAYS_SHOWN }, (_, index) => addDays(last, index + 1 - DAYS_SHOWN));
  });
  readonly #query: CreateQueryResult<Point[]>;

  readonly found = $derived.by(() => {
    const own = this.#part ? this.#part.metrics() : (this.#site.data?.metrics ?? []).filter((metric) => metric.site);
    return dailyMetric(own);
  });
  readonly metric = $derived(this.found?.metric ?? '');
  readonly days = $derived.by((): Day[] => {
    const zone = this.#site.zone;
    if (!zone) return [];
    const from = this.#site.data?.daily_from ?? null;
    const values = new Map((this.#query.data ?? []).map(([at, value]) => [localDate(at + 1, zone), value]));
    return this.#dates.map((date) => {
      const { start } = localDay(date, zone);
      return {
        date,
        start,
        value: values.get(date) ?? null,
        running: date === this.#site.today,
        before: from === null || start < from,
      };
    });
  });

  constructor(site: SiteState, part: Part | null = null, span: (() => string[]) | null = null) {
    this.#site = site;
    this.#part = part;
    this.#span = span;
    this.#query = createQuery(
      () => {
        const zone = this.#site.zone ?? 'UTC';
        const metric = this.metric;
        const device = this.#part?.device ?? 0;
        const [first, last] = [this.#dates[0] ?? this.#site.date, this.#dates.at(-1) ?? this.#site.date];
        const span = { start: localDay(first, zone).start, end: localDay(last, zone).end };
        return {
          queryKey: keys.series(this.#site.id, device, metric, DAY_S, span.start, span.end),
          queryFn: (): Promise<Point[]> => readSeries(this.#site.id, device, metric, DAY_S, span),
          enabled: this.#site.zone !== null && metric !== '' && this.#dates.length > 0,
          placeholderData: keepPreviousData,
          staleTime: 30_000,
        };
      },
      () => session.queries,
    );
  }

  get loading(): boolean {
    return this.#site.data === undefined || (this.#query.isLoading && this.metric !== '');
  }
}

/** What a failed save says. */
export function sentence(error: unknown): string {
  return error instanceof Error ? error.message : messages.common.failed;
}
