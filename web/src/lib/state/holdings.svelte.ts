import { createQuery, keepPreviousData, type CreateQueryResult } from '@tanstack/svelte-query';
import { api, data, type Completeness, type Schemas } from '../api/client';
import type { CalendarDay } from '../calendar';
import { calendarDate, count, percent } from '../format';
import { messages } from '../messages';
import { addDays } from '../time';
import { keys } from './keys';
import { router } from './router.svelte';
import { session } from './session.svelte';
import type { SiteState } from './site.svelte';

export type Owed = Schemas['OwedList'];
export type Refused = Schemas['RefusedList'];
type CompleteDay = Schemas['CompleteDay'];

export const SPANS = [90, 365] as const;
const REFUSED_STEP = 50;

/** What is there of a site's history: by day, what is owed, and what was refused. */
export class Holdings {
  readonly #site: SiteState;
  #most = $state(REFUSED_STEP);
  readonly #complete: CreateQueryResult<Completeness>;
  readonly #owed: CreateQueryResult<Owed>;
  readonly #refused: CreateQueryResult<Refused>;

  readonly length = $derived.by(() => SPANS.find((span) => String(span) === router.get('span')) ?? SPANS[0]);
  readonly to = $derived.by(() => this.#site.date);
  readonly from = $derived.by(() => addDays(this.to, 1 - this.length));
  readonly complete = $derived.by(() => this.#complete.data);
  readonly owed = $derived.by(() => this.#owed.data);
  readonly refused = $derived.by(() => this.#refused.data);
  readonly days = $derived.by((): CalendarDay[] => {
    const first = this.complete?.days.find((day) => day.present > 0 || day.daily)?.date ?? '';
    return (this.complete?.days ?? []).map((day) => asCalendarDay(day, this.#site.today, first));
  });
  /** Of what was due in the days shown, from the first one that has anything; null where nothing was due. */
  readonly whole = $derived.by(() => {
    const all = this.complete?.days ?? [];
    const days = all.slice(Math.max(0, all.findIndex((day) => day.present > 0))).filter((day) => day.expected > 0);
    const due = days.reduce((sum, day) => sum + day.expected, 0);
    if (!due || !all.some((day) => day.present > 0)) return null;
    return { share: days.reduce((sum, day) => sum + day.present, 0) / due, days: days.length };
  });

  constructor(site: SiteState) {
    this.#site = site;
    const path = (): { site_id: number } => ({ site_id: site.id });
    this.#complete = createQuery(
      () => {
        const [from, to] = [this.from, this.to];
        return {
          queryKey: keys.completeness(site.id, from, to),
          queryFn: (): Promise<Completeness> =>
            data(api.GET('/api/sites/{site_id}/completeness', { params: { path: path(), query: { from, to } } })),
          enabled: site.zone !== null,
          placeholderData: keepPreviousData,
          staleTime: 60_000,
        };
      },
      () => session.queries,
    );
    this.#owed = createQuery(
      () => ({
        queryKey: keys.owed(site.id),
        queryFn: (): Promise<Owed> => data(api.GET('/api/sites/{site_id}/owed', { params: { path: path() } })),
        staleTime: 30_000,
      }),
      () => session.queries,
    );
    this.#refused = createQuery(
      () => {
        const limit = this.#most;
        return {
          queryKey: keys.refused(site.id, limit),
          queryFn: (): Promise<Refused> =>
            data(api.GET('/api/sites/{site_id}/quarantine', { params: { path: path(), query: { limit } } })),
          placeholderData: keepPreviousData,
          staleTime: 60_000,
        };
      },
      () => session.queries,
    );
  }

  get error(): Error | null {
    return this.#complete.error ?? this.#owed.error ?? this.#refused.error;
  }

  moreRefused(): void {
    this.#most = Math.min(1000, this.#most + REFUSED_STEP);
  }

  retry(): void {
    void this.#complete.refetch();
    void this.#owed.refetch();
    void this.#refused.refetch();
  }
}

/** A day of completeness as the calendar draws it; `first` is the first day that has anything. */
export function asCalendarDay(day: CompleteDay, today: string, first: string): CalendarDay {
  const words = messages.data;
  const date = calendarDate(day.date);
  const more = [day.daily ? words.daily : words.noDaily, ...(day.owed ? [words.owed] : [])];
  const told = (text: string): string => [text, ...more].join('; ');
  if (day.expected === 0) return { date: day.date, look: 'idle', share: null, say: words.dayNone(date) };
  const share = day.present / day.expected;
  const say = words.day(date, count(day.present), count(day.expected), percent(share));
  if (day.present > 0) return { date: day.date, look: day.date === today ? 'running' : 'value', share, say: told(say) };
  if (!first || day.date < first) return { date: day.date, look: 'before', share: null, say: words.dayBefore(date) };
  return { date: day.date, look: day.date === today ? 'running' : day.daily ? 'daily' : 'none', share: null, say: told(words.dayMissing(date, count(day.expected))) };
}
