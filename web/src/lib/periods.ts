import { weekday } from './calendar';
import { fullDate, monthAndYear, shortDate } from './format';
import { messages } from './messages';
import type { Day } from './state/site.svelte';
import { addDays, noonOf } from './time';

export const RANGES = ['day', 'week', 'month', 'year', 'life'] as const;
export type Range = (typeof RANGES)[number];

/** First and last local date, both among them. */
export interface Dates {
  from: string;
  to: string;
}

const monthEnd = (date: string): string => addDays(`${addDays(`${date.slice(0, 7)}-28`, 4).slice(0, 7)}-01`, -1);

/** The dates of the period that holds a date; all of life reaches from the first day known to today. */
export function periodOf(range: Range, date: string, first: string, today: string): Dates {
  switch (range) {
    case 'week': {
      const from = addDays(date, -weekday(date));
      return { from, to: addDays(from, 6) };
    }
    case 'month':
      return { from: `${date.slice(0, 7)}-01`, to: monthEnd(date) };
    case 'year':
      return { from: `${date.slice(0, 4)}-01-01`, to: `${date.slice(0, 4)}-12-31` };
    case 'life':
      return { from: first < today ? first : today, to: today };
    default:
      return { from: date, to: date };
  }
}

/** A date in the period before (-1) or after (1); the last day of a month stays within the next one. */
export function step(range: Range, date: string, by: -1 | 1): string {
  if (range === 'day' || range === 'life') return addDays(date, by);
  if (range === 'week') return addDays(date, 7 * by);
  const beside = range === 'month' ? addDays(by < 0 ? `${date.slice(0, 7)}-01` : monthEnd(date), by) : `${Number(date.slice(0, 4)) + by}${date.slice(4)}`;
  const month = beside.slice(0, 7);
  const last = monthEnd(`${month}-01`);
  const same = `${month}-${date.slice(8)}`;
  return same > last ? last : same;
}

/** A period in words. */
export function periodWords(range: Range, { from, to }: Dates): string {
  if (range === 'month') return monthAndYear(from);
  if (range === 'year') return from.slice(0, 4);
  if (range === 'day') return fullDate(noonOf(from), 'UTC');
  const start = from.slice(0, 4) === to.slice(0, 4) ? shortDate(noonOf(from), 'UTC') : fullDate(noonOf(from), 'UTC');
  return messages.range.span(start, fullDate(noonOf(to), 'UTC'));
}

export type BarLook = 'value' | 'running' | 'none' | 'before' | 'after';

/** The energy of a day, a month or a year. Days that are missing are not zero: `known` of `due` are in the sum. */
export interface Bucket {
  from: string;
  to: string;
  value: number | null;
  known: number;
  due: number;
  look: BarLook;
}

/** Daily energy summed up by day, local month or local year, in the order of the days. */
export function bucketsOf(days: readonly Day[], by: 'day' | 'month' | 'year', today: string): Bucket[] {
  const length = by === 'day' ? 10 : by === 'month' ? 7 : 4;
  const groups = new Map<string, Day[]>();
  for (const day of days) {
    const key = day.date.slice(0, length);
    const group = groups.get(key);
    if (group) group.push(day);
    else groups.set(key, [day]);
  }
  return [...groups.values()].map((group) => {
    const begun = group.filter((day) => day.date <= today);
    const known = begun.filter((day) => day.value !== null);
    const value = known.length ? known.reduce((sum, day) => sum + day.value!, 0) : null;
    const running = begun.some((day) => day.running);
    const look: BarLook =
      begun.length === 0 ? 'after' : value !== null ? (running ? 'running' : 'value') : running ? 'running' : begun.every((day) => day.before) ? 'before' : 'none';
    return { from: group[0]!.date, to: group.at(-1)!.date, value, known: known.length, due: begun.length, look };
  });
}

/** By what a period's bars are summed: a long life by years. */
export function unitOf(range: Range, dates: Dates): 'day' | 'month' | 'year' {
  if (range === 'year') return 'month';
  if (range !== 'life') return 'day';
  const months = 12 * (Number(dates.to.slice(0, 4)) - Number(dates.from.slice(0, 4)));
  return months > 36 ? 'year' : 'month';
}
