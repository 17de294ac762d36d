import { createQuery, type CreateQueryResult } from '@tanstack/svelte-query';
import { api, data, type Flow } from '../api/client';
import type { BesideLook } from '../charts/colours';
import { datesBetween, type CalendarDay } from '../calendar';
import { calendarDate, energy } from '../format';
import { messages } from '../messages';
import { bucketsOf, periodOf, RANGES, unitOf, type Range } from '../periods';
import { localDate } from '../time';
import { keys } from './keys';
import { router } from './router.svelte';
import { session } from './session.svelte';
import { DailyEnergy, dailyMetric, DayCurve, type Day, type Metric, type SiteState } from './site.svelte';

/** The range that the URL names: a day unless it says otherwise. */
export function rangeOf(text: string): Range {
  return RANGES.find((range) => range === text) ?? 'day';
}

/** The energy of the period that the URL names, by day, by month or by year. */
export class EnergyRange {
  #site: SiteState;
  readonly range = $derived(rangeOf(router.get('range')));
  readonly dates = $derived.by(() => {
    const first = dailyMetric(this.#site.data?.metrics.filter((metric) => metric.site) ?? [])?.first;
    const zone = this.#site.zone ?? 'UTC';
    const since = first === undefined ? this.#site.today : localDate(first + 1, zone);
    return periodOf(this.range, this.#site.date, since, this.#site.today);
  });
  readonly daily: DailyEnergy;
  readonly unit = $derived(unitOf(this.range, this.dates));
  readonly buckets = $derived.by(() => bucketsOf(this.daily.days, this.unit, this.#site.today));
  readonly total = $derived.by(() => {
    const known = this.buckets.filter((bucket) => bucket.value !== null);
    if (!known.length) return null;
    return {
      value: known.reduce((sum, bucket) => sum + bucket.value!, 0),
      known: this.buckets.reduce((sum, bucket) => sum + bucket.known, 0),
      due: this.buckets.reduce((sum, bucket) => sum + bucket.due, 0),
    };
  });
  readonly calendar = $derived.by(() => asCalendar(this.daily.days, this.#site.today));

  constructor(site: SiteState) {
    this.#site = site;
    this.daily = new DailyEnergy(site, null, () =>
      this.range === 'day' ? [] : datesBetween(this.dates.from, this.dates.to),
    );
  }
}

/** Days as a calendar draws them, on a scale from zero to the best of them. */
export function asCalendar(days: readonly Day[], today: string): CalendarDay[] {
  const words = messages.range;
  const most = Math.max(0, ...days.map((day) => day.value ?? 0));
  return days.map((day) => {
    const date = calendarDate(day.date);
    const bar = (text: string): string => messages.site.days.bar(date, text);
    if (day.date > today) return { date: day.date, look: 'after', share: null, say: bar(words.toCome) };
    if (day.value === null) {
      if (day.running) return { date: day.date, look: 'running', share: null, say: bar(messages.common.notYet) };
      return day.before
        ? { date: day.date, look: 'before', share: null, say: bar(words.beforeHistory) }
        : { date: day.date, look: 'none', share: null, say: bar(messages.common.noData) };
    }
    const share = most > 0 ? Math.max(0, day.value / most) : 0;
    if (day.running) return { date: day.date, look: 'running', share, say: bar(`${energy(day.value)} ${messages.site.days.running}`) };
    if (day.value <= 0) return { date: day.date, look: 'zero', share: null, say: bar(words.zero) };
    return { date: day.date, look: 'value', share, say: bar(energy(day.value)) };
  });
}

/** Where the power of a site goes now. */
export class FlowState {
  readonly #query: CreateQueryResult<Flow>;

  constructor(site: SiteState) {
    this.#query = createQuery(
      () => ({
        queryKey: keys.flow(site.id),
        queryFn: (): Promise<Flow> => data(api.GET('/api/sites/{site_id}/flow', { params: { path: { site_id: site.id } } })),
        staleTime: 30_000,
      }),
      () => session.queries,
    );
  }

  /** The flow where there is more than the sun to it. */
  get data(): Flow | undefined {
    const flow = this.#query.data;
    return flow && (flow.has_home || flow.has_grid || flow.has_battery) ? flow : undefined;
  }
}

const BESIDE: readonly BesideLook[] = ['consumption_power_w', 'grid_power_w', 'battery_power_w', 'state_of_charge_pct'];

/** A curve beside that of the production, which can be switched on. */
export interface Beside {
  name: BesideLook;
  on: boolean;
  curve: DayCurve;
  metric: Metric;
}

/** What can be drawn beside the production: the home, the grid and the battery, where there is such data. */
export class BesideCurves {
  readonly #on = $derived(router.get('with').split(',').filter(Boolean));
  readonly #curves: { name: BesideLook; metric: () => Metric | undefined; curve: DayCurve }[];
  readonly all = $derived.by((): Beside[] =>
    this.#curves.flatMap(({ name, metric, curve }) => {
      const found = metric();
      return found ? [{ name, on: this.#on.includes(name), curve, metric: found }] : [];
    }),
  );

  constructor(site: SiteState, flow: FlowState) {
    this.#curves = BESIDE.map((name) => {
      const metric = (): Metric | undefined => {
        const found = site.data?.metrics.find((entry) => entry.metric === name);
        // Of a battery that has no series of the site's own there is a curve only where it is a single one.
        return found && (found.site || flow.data?.battery_devices.length === 1) ? found : undefined;
      };
      const part = {
        get device(): number {
          return metric()?.site === false ? (flow.data?.battery_devices[0] ?? 0) : 0;
        },
        metrics: (): Metric[] => {
          const found = metric();
          return found && this.#on.includes(name) ? [found] : [];
        },
        alone: true,
      };
      return { name, metric, curve: new DayCurve(site, () => name, part) };
    });
  }

  /** The fragment of the page with a curve switched. */
  turned(name: string): string | null {
    const on = this.#on.includes(name) ? this.#on.filter((other) => other !== name) : [...this.#on, name];
    return on.join(',') || null;
  }
}
