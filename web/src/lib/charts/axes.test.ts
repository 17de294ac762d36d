import { describe, expect, test } from 'vitest';
import { clockTime, quantity } from '../format';
import { toCurve, type Point } from '../gaps';
import { HOUR_S, localDay } from '../time';
import { nearest, pieces, scale, timeTicks, valueLabels, valueRange, valueTicks, within } from './axes';

const STEP = 300;
const ALWAYS = { start: -1e12, end: 1e12 };
const every = (from: number, count: number, value = 1): Point[] =>
  Array.from({ length: count }, (_, index) => [from + index * STEP, value] as const);
const line = (...y: (number | null)[]) => ({ x: y.map((_, index) => index * STEP), y });

describe('values on their axis', () => {
  test('stand at round numbers, never more than there is room for', () => {
    expect(valueTicks(0, 5512, 7)).toEqual([0, 1000, 2000, 3000, 4000, 5000]);
    expect(valueTicks(0, 10, 7)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(valueTicks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    for (const top of [1, 3.7, 99, 1001, 265, 8.2e6, 4.4e15]) {
      const ticks = valueTicks(0, top, 6);
      expect(ticks.length).toBeGreaterThan(2);
      expect(ticks.length).toBeLessThanOrEqual(7);
      expect(ticks.at(-1)).toBeLessThanOrEqual(top);
    }
  });

  test('have zero among them where some are negative', () => {
    const [low, high] = valueRange([line(-3000, 0, 4000)], ALWAYS, 10);
    expect(low).toBeCloseTo(-3180);
    expect(high).toBeCloseTo(4240);
    expect(valueTicks(low, high, 4)).toEqual([-2000, 0, 2000, 4000]);
    expect(valueTicks(-8, 10, 5).map((tick) => Object.is(tick, -0))).not.toContain(true);
  });

  test('of nothing at all, or of zeros, keep a range that can be drawn', () => {
    expect(valueRange([], ALWAYS, 10)).toEqual([0, 10]);
    expect(valueRange([line(null, null)], ALWAYS, 1)).toEqual([0, 1]);
    expect(valueRange([line(0, 0)], ALWAYS, 10)).toEqual([0, 10]);
    expect(valueTicks(0, 0, 5)).toEqual([]);
    expect(valueTicks(0, Infinity, 5)).toEqual([]);
    expect(valueLabels([], 'W')).toEqual([]);
  });

  test('count only where they are shown', () => {
    expect(valueRange([line(1e6, 100, 200, 1e6)], { start: STEP, end: 2 * STEP }, 10)).toEqual([0, 212]);
  });

  test('are told in the prefix of the greatest, the last one with its unit', () => {
    expect(valueLabels([0, 500, 1000, 1500], 'W')).toEqual(['0', '0.5', '1', '1.5 kW']);
    expect(valueLabels([0, 100, 200], 'W')).toEqual(['0', '100', '200 W']);
    expect(valueLabels([-2000, 0, 2000], 'W')).toEqual(['−2', '0', '2 kW']);
    expect(valueLabels([0, 2e15, 4e15], 'Wh')).toEqual(['0', '2,000', '4,000 TWh']);
    expect(valueLabels([0, 50, 100], '%')).toEqual(['0', '50', '100 %']);
    expect(quantity(1500, 'W')).toContain('1.50');
  });
});

describe('hours on their axis', () => {
  const told = (date: string, zone: string, width = 800, part?: [number, number]): string[] => {
    const day = localDay(date, zone);
    const shown = part ? { start: day.start + part[0] * HOUR_S, end: day.start + part[1] * HOUR_S } : day;
    return timeTicks(day, shown, zone, width).map((at) => clockTime(at, zone));
  };
  const THREE = ['00:00', '03:00', '06:00', '09:00', '12:00', '15:00', '18:00', '21:00'];

  test('are full ones of the wall clock, as many as have room', () => {
    expect(told('2026-11-24', 'Europe/Berlin')).toEqual(THREE);
    expect(told('2026-11-24', 'Europe/Berlin', 300)).toEqual(['00:00', '06:00', '12:00', '18:00']);
    expect(told('2026-11-24', 'Europe/Berlin', 1600)).toHaveLength(12);
    expect(told('2026-11-24', 'Europe/Berlin', 800, [10, 12])).toEqual(['10:00', '10:30', '11:00', '11:30']);
  });

  test('are those of the wall clock on days of 23 and of 25 hours as well', () => {
    expect(told('2026-03-29', 'Europe/Berlin')).toEqual(THREE);
    expect(told('2026-10-25', 'Europe/Berlin')).toEqual(THREE);
    const at = (date: string): number[] => timeTicks(localDay(date, 'Europe/Berlin'), localDay(date, 'Europe/Berlin'), 'Europe/Berlin', 800);
    const hours = (date: string): number[] => at(date).map((each) => (each - localDay(date, 'Europe/Berlin').start) / HOUR_S);
    expect(hours('2026-03-29')).toEqual([0, 2, 5, 8, 11, 14, 17, 20]);
    expect(hours('2026-10-25')).toEqual([0, 4, 7, 10, 13, 16, 19, 22]);
    expect(told('2026-10-25', 'Europe/Berlin', 800, [1, 5])).toEqual(['01:00', '01:30', '02:00', '02:30', '02:00', '02:30', '03:00', '03:30']);
  });

  test('are the site’s, fourteen hours away and with half an hour more', () => {
    expect(told('2026-11-24', 'Pacific/Kiritimati')).toEqual(THREE);
    expect(told('2026-11-24', 'Asia/Kolkata')).toEqual(THREE);
    expect(new Date(localDay('2026-11-24', 'Pacific/Kiritimati').start * 1000).toISOString()).toBe('2026-11-23T10:00:00.000Z');
  });
});

describe('a curve', () => {
  test('is drawn in pieces that never bridge a gap', () => {
    const found = pieces(toCurve([...every(0, 2), ...every(1500, 2, 3)], STEP, { start: 0, end: 2100 }, 2100));
    expect(found).toEqual([
      [[150, 1], [450, 1]],
      [[1650, 3], [1950, 3]],
    ]);
  });

  test('of one value, of none and of nothing but gaps', () => {
    expect(pieces(line(4))).toEqual([[[0, 4]]]);
    expect(pieces(line())).toEqual([]);
    expect(pieces(line(null, null))).toEqual([]);
    expect(pieces(line(null, 0, null))).toEqual([[[STEP, 0]]]);
  });

  test('has its gaps cut to the part that is shown', () => {
    expect(within({ start: 0, end: 50 }, { start: 20, end: 100 })).toEqual({ start: 20, end: 50 });
    expect(within({ start: 0, end: 20 }, { start: 20, end: 100 })).toBeNull();
  });

  test('is read at the entry nearest to the cursor', () => {
    expect(nearest([], 5)).toBeNull();
    expect(nearest([7], -1e9)).toBe(7);
    expect(nearest([0, 10, 20], 14)).toBe(10);
    expect(nearest([0, 10, 20], 16)).toBe(20);
    expect(nearest([0, 10, 20], 1e9)).toBe(20);
  });
});

test('a scale turns the way its pixels do, and stands still where there is no range', () => {
  expect([0, 5, 10].map(scale(0, 10, 200, 100))).toEqual([200, 150, 100]);
  expect(scale(3, 3, 40, 90)(1e15)).toBe(40);
});
