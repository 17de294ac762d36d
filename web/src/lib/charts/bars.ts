import { calendarDate, energy, monthAndYear, monthName, shortDate } from '../format';
import { messages } from '../messages';
import type { BarLook, Bucket } from '../periods';
import { noonOf } from '../time';

/** A bar of energy, ready to be drawn. */
export interface Bar {
  key: string;
  value: number | null;
  look: BarLook;
  /** Days are missing in its sum. */
  partial: boolean;
  say: string;
  /** What stands under it; empty for most where there are many. */
  tick: string;
  href: string;
}

const MOST_TICKS = 12;

/** Buckets as bars; `href` is where each leads. */
export function barsOf(buckets: readonly Bucket[], by: 'day' | 'month' | 'year', href: (bucket: Bucket) => string): Bar[] {
  const every = buckets.length <= MOST_TICKS ? 1 : by === 'day' ? 7 : Math.ceil(buckets.length / MOST_TICKS);
  return buckets.map((bucket, index) => {
    const partial = by !== 'day' && bucket.known > 0 && bucket.known < bucket.due;
    return {
      key: bucket.from,
      value: bucket.value,
      look: bucket.look,
      partial,
      say: say(bucket, by, partial),
      tick: index % every === Math.floor((every - 1) / 2) ? tick(bucket.from, by) : '',
      href: href(bucket),
    };
  });
}

function tick(date: string, by: 'day' | 'month' | 'year'): string {
  return by === 'day' ? shortDate(noonOf(date), 'UTC') : by === 'month' ? monthName(date) : date.slice(0, 4);
}

function say(bucket: Bucket, by: 'day' | 'month' | 'year', partial: boolean): string {
  const words = messages.site.days;
  const range = messages.range;
  const name = by === 'day' ? calendarDate(bucket.from) : by === 'month' ? monthAndYear(bucket.from) : bucket.from.slice(0, 4);
  if (bucket.value === null) {
    const none = { after: range.toCome, running: messages.common.notYet, before: range.beforeHistory, none: words.unknown, value: words.unknown };
    return words.bar(name, none[bucket.look]);
  }
  const parts = [energy(bucket.value)];
  if (bucket.look === 'running') parts.push(words.running);
  const told = parts.join(' ');
  return words.bar(name, partial ? `${told}, ${range.ofDays(bucket.known, bucket.due)}` : told);
}
