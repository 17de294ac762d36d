import { number, scaled } from '../format';
import type { Curve } from '../gaps';
import { HOUR_S, hourMarks, type Span } from '../time';

const HEADROOM = 1.06;
const STEPS = [1, 2, 2.5, 5, 10];
const NARROW_PX = 520;
const WIDE_PX = 1400;

type Line = Pick<Curve, 'x' | 'y'>;
export type Piece = [at: number, value: number][];

/** Where a number of a range stands between two pixels. */
export function scale(low: number, high: number, from: number, to: number): (value: number) => number {
  const each = high > low ? (to - from) / (high - low) : 0;
  return (value) => from + (value - low) * each;
}

/** The values of some curves within a span with room above and below: zero is always in it, and `atLeast` above it. */
export function valueRange(curves: readonly Line[], span: Span, atLeast: number): [low: number, high: number] {
  let low = 0;
  let high = 0;
  for (const { x, y } of curves) {
    y.forEach((value, index) => {
      if (value === null || x[index]! < span.start || x[index]! > span.end) return;
      low = Math.min(low, value);
      high = Math.max(high, value);
    });
  }
  return [low * HEADROOM, Math.max(high * HEADROOM, atLeast)];
}

/** Round values (1, 2, 2.5 or 5 times a power of ten) within a range, no more than `most` of them and zero. */
export function valueTicks(low: number, high: number, most: number): number[] {
  const least = (high - low) / Math.max(1, most);
  if (!(least > 0) || !Number.isFinite(least)) return [];
  const power = 10 ** Math.floor(Math.log10(least));
  const step = power * STEPS.find((times) => times * power >= least * (1 - 1e-9))!;
  const ticks: number[] = [];
  // Multiplied rather than added up, and cut to what is meant: 0.1 three times is 0.3. A zero has no sign.
  for (let n = Math.ceil(low / step - 1e-9); n <= high / step + 1e-9; n += 1) ticks.push(Number((n * step).toPrecision(12)) || 0);
  return ticks;
}

/** What stands at ticks, in the prefix of the greatest; the last tells the unit. */
export function valueLabels(ticks: readonly number[], unit: string): string[] {
  const top = scaled(Math.max(...ticks.map(Math.abs), 1), unit).unit;
  const power = ['', 'k', 'M', 'G', 'T'].findIndex((prefix) => prefix + unit === top);
  return ticks.map((tick, index) => {
    const text = power > 0 ? number(tick / 1000 ** power) : scaled(tick, unit).value;
    return index === ticks.length - 1 ? `${text} ${top}` : text;
  });
}

/** The full hours that are told of a part of a day, as many as have room in a width. */
export function timeTicks(day: Span, shown: Span, zone: string, width: number): number[] {
  const hours = (shown.end - shown.start) / HOUR_S;
  const every = hours <= 4 ? 0.5 : hours <= 9 ? 1 : width < NARROW_PX ? 6 : width < WIDE_PX ? 3 : 2;
  // The end of a day is the next one's beginning.
  return hourMarks(day, zone, every).filter((at) => at >= shown.start && at < shown.end);
}

/** A curve in pieces: a line is drawn along each, and none from one to the next. */
export function pieces({ x, y }: Line): Piece[] {
  const found: Piece[] = [];
  let open: Piece | null = null;
  x.forEach((at, index) => {
    const value = y[index];
    if (value === null || value === undefined) open = null;
    else if (open) open.push([at, value]);
    else found.push((open = [[at, value]]));
  });
  return found;
}

/** The part of a span that is shown; null where there is none. */
export function within(span: Span, shown: Span): Span | null {
  const start = Math.max(span.start, shown.start);
  const end = Math.min(span.end, shown.end);
  return end > start ? { start, end } : null;
}

/** The one of some instants, in their order, that is nearest to an instant; null where there is none. */
export function nearest(instants: readonly number[], at: number): number | null {
  let low = 0;
  let high = instants.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (instants[middle]! < at) low = middle + 1;
    else high = middle;
  }
  const [before, after] = [instants[low - 1], instants[low]];
  if (before === undefined || after === undefined) return before ?? after ?? null;
  return at - before < after - at ? before : after;
}
