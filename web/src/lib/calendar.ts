import { addDays } from './time';

/**
 * How a day of a calendar looks: a value on the ramp; zero, which is a value too; nothing came; no curve came but the
 * day's own figure; nothing was due;
 * the running day, which may still grow; before history begins, and after today.
 */
export type DayLook = 'value' | 'zero' | 'none' | 'daily' | 'idle' | 'running' | 'before' | 'after';

export interface CalendarDay {
  date: string;
  look: DayLook;
  /** Of the scale, 0 to 1, where there is a value. */
  share: number | null;
  /** The day in words. */
  say: string;
}

/** Days since the Monday of its week, 0 to 6. */
export function weekday(date: string): number {
  return (new Date(`${date}T12:00:00Z`).getUTCDay() + 6) % 7;
}

/** The columns, weeks of seven, that days from the first on take. */
export function weeksOf(days: readonly { date: string }[]): number {
  const first = days[0];
  return first ? Math.ceil((weekday(first.date) + days.length) / 7) : 0;
}

/** The first of each month within the days, with the column that it stands in. */
export function monthMarks(days: readonly { date: string }[]): { date: string; column: number }[] {
  const first = days[0];
  if (!first) return [];
  const shift = weekday(first.date);
  return days.flatMap((day, index) =>
    day.date.endsWith('-01') || index === 0 ? [{ date: day.date, column: Math.floor((shift + index) / 7) }] : [],
  ).filter((mark, index, all) => all[index + 1] === undefined || all[index + 1]!.column - mark.column > 2);
}

/** Every date from one to another, both among them. */
export function datesBetween(from: string, to: string): string[] {
  const dates: string[] = [];
  for (let date = from; date <= to; date = addDays(date, 1)) dates.push(date);
  return dates;
}
