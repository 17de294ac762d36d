import { describe, expect, test } from 'vitest';
import { meanOf, toCurve, toPoints, valueAt, type Point } from './gaps';

const STEP = 300;
const every = (from: number, count: number, value = 1): Point[] =>
  Array.from({ length: count }, (_, index) => [from + index * STEP, value] as const);

describe('a day’s curve', () => {
  test('is whole where every interval reported', () => {
    const curve = toCurve(every(0, 4), STEP, { start: 0, end: 1200 }, 1200);
    expect(curve.y).toEqual([1, 1, 1, 1]);
    expect(curve.x[0]).toBe(150);
    expect(curve.gaps).toEqual([]);
    expect(curve.pending).toBeNull();
  });

  test('breaks at a hole, and names it', () => {
    const curve = toCurve([...every(0, 2), ...every(1500, 2)], STEP, { start: 0, end: 2100 }, 2100);
    expect(curve.gaps).toEqual([{ start: 600, end: 1500 }]);
    expect(curve.y).toEqual([1, 1, null, 1, 1]);
  });

  test('breaks at the hole of a single interval as well', () => {
    const curve = toCurve([...every(0, 2), ...every(900, 2)], STEP, { start: 0, end: 1500 }, 1500);
    expect(curve.gaps).toEqual([{ start: 600, end: 900 }]);
    expect(curve.y).toContain(null);
  });

  test('a zero is a value, not a gap', () => {
    const curve = toCurve(every(0, 4, 0), STEP, { start: 0, end: 1200 }, 1200);
    expect(curve.y).toEqual([0, 0, 0, 0]);
    expect(curve.gaps).toEqual([]);
  });

  test('silence at night is no gap', () => {
    const curve = toCurve([...every(0, 2), ...every(6000, 2)], STEP, { start: 0, end: 900 }, 7000);
    expect(curve.gaps).toEqual([{ start: 600, end: 900 }]);
    expect(toCurve([...every(0, 2), ...every(6000, 2)], STEP, { start: 0, end: 600 }, 7000).gaps).toEqual([]);
  });

  test('what is missing at the end of the running day is not known yet', () => {
    const curve = toCurve(every(0, 2), STEP, { start: 0, end: 6000 }, 3000, true);
    expect(curve.gaps).toEqual([]);
    expect(curve.pending).toEqual({ start: 600, end: 3000 });
  });

  test('what is missing at the end of another day is a gap', () => {
    const curve = toCurve(every(0, 2), STEP, { start: 0, end: 6000 }, 9000);
    expect(curve.gaps).toEqual([{ start: 600, end: 6000 }]);
    expect(curve.pending).toBeNull();
  });

  test('a morning that was missed is a gap', () => {
    const curve = toCurve(every(3000, 2), STEP, { start: 0, end: 3600 }, 3600);
    expect(curve.gaps).toEqual([{ start: 0, end: 3000 }]);
  });

  test('without points there is nothing to draw, and no gap is claimed', () => {
    expect(toCurve([], STEP, null, 9000)).toEqual({ x: [], y: [], gaps: [], pending: null });
  });
});

test('points come sorted, and a missing value never becomes a zero', () => {
  expect(toPoints([[600, 2], [0, 1], [300]])).toEqual([
    [0, 1],
    [600, 2],
  ]);
});

test('a value holds for its interval and no longer', () => {
  const points = every(0, 2, 7);
  expect(valueAt(points, STEP, 599)).toBe(7);
  expect(valueAt(points, STEP, 600)).toBeNull();
  expect(valueAt(points, STEP, -1)).toBeNull();
});

test('a mean is taken over those that report', () => {
  expect(meanOf([[[0, 2], [300, 4]], [[0, 4]]])).toEqual([
    [0, 3],
    [300, 4],
  ]);
});
