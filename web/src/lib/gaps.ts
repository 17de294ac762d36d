import type { Span } from './time';

export type Point = readonly [at: number, value: number];

export interface Curve {
  /** Middles of the intervals, so that a mean is drawn where it belongs. */
  x: number[];
  y: (number | null)[];
  /** Nothing was reported although it should have been: hatched. */
  gaps: Span[];
  /** After the newest value, up to now: not known yet. */
  pending: Span | null;
}

/** The points of a server's series: those without a value are left out. */
export function toPoints(rows: number[][]): Point[] {
  const points: Point[] = [];
  for (const [at, value] of rows) {
    if (at !== undefined && typeof value === 'number' && Number.isFinite(value)) points.push([at, value]);
  }
  return points.sort((a, b) => a[0] - b[0]);
}

/**
 * A day's curve with its gaps. `expected` is when figures are due at all (daylight; null where that is not known),
 * `now` cuts off what nobody can know yet; on a `running` day what is missing at its end is not known yet, on another
 * one it is a gap. A hole of a single interval is a gap as well: no line ever crosses one.
 */
export function toCurve(
  points: readonly Point[],
  intervalS: number,
  expected: Span | null,
  now: number,
  running = false,
): Curve {
  const x: number[] = [];
  const y: (number | null)[] = [];
  const gaps: Span[] = [];
  const first = points[0];
  const last = points.at(-1);
  const addGap = (start: number, end: number): void => {
    const from = expected ? Math.max(start, expected.start) : start;
    const to = Math.min(expected ? Math.min(end, expected.end) : end, now);
    if (to - from >= intervalS) gaps.push({ start: from, end: to });
  };
  if (first && expected && first[0] - expected.start > 2 * intervalS) addGap(expected.start, first[0]);
  let end: number | null = null;
  for (const [at, value] of points) {
    if (end !== null && at - end >= intervalS * 0.5) {
      x.push((end + at) / 2);
      y.push(null);
      addGap(end, at);
    }
    x.push(at + intervalS / 2);
    y.push(value);
    end = at + intervalS;
  }
  const known = last ? last[0] + intervalS : (expected?.start ?? null);
  const until = expected ? Math.min(now, expected.end) : now;
  const owed = known !== null && until - known >= intervalS ? { start: known, end: until } : null;
  const pending = running ? owed : null;
  if (!running && last && expected && owed) addGap(owed.start, owed.end);
  return { x, y, gaps, pending };
}

/** The value whose interval holds an instant. */
export function valueAt(points: readonly Point[], intervalS: number, at: number): number | null {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle]![0] <= at) low = middle + 1;
    else high = middle;
  }
  const found = points[low - 1];
  return found && at < found[0] + Math.max(intervalS, 1) ? found[1] : null;
}

/** Means over several series at the stamps that any of them has. */
export function meanOf(series: readonly (readonly Point[])[]): Point[] {
  const sums = new Map<number, [sum: number, count: number]>();
  for (const points of series) {
    for (const [at, value] of points) {
      const entry = sums.get(at);
      if (entry) {
        entry[0] += value;
        entry[1] += 1;
      } else sums.set(at, [value, 1]);
    }
  }
  return [...sums].map(([at, [sum, count]]) => [at, sum / count] as const).sort((a, b) => a[0] - b[0]);
}
