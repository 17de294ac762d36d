import { describe, expect, test } from 'vitest';
import { datesBetween, monthMarks, weekday, weeksOf } from './calendar';
import { bucketsOf, periodOf, step, unitOf } from './periods';
import type { Day } from './state/site.svelte';

const TODAY = '2026-11-24';
const day = (date: string, value: number | null, before = false): Day => ({
  date,
  start: Date.parse(`${date}T00:00:00Z`) / 1000,
  value,
  running: date === TODAY,
  before,
});

describe('a period', () => {
  test.each([
    ['week', '2026-11-24', '2026-11-23', '2026-11-29'],
    ['week', '2026-03-01', '2026-02-23', '2026-03-01'],
    ['month', '2026-02-10', '2026-02-01', '2026-02-28'],
    ['month', '2028-02-10', '2028-02-01', '2028-02-29'],
    ['month', '2026-12-31', '2026-12-01', '2026-12-31'],
    ['year', '2026-11-24', '2026-01-01', '2026-12-31'],
    ['life', '2026-11-24', '2024-05-06', '2026-11-24'],
  ] as const)('%s of %s', (range, date, from, to) => {
    expect(periodOf(range, date, '2024-05-06', TODAY)).toEqual({ from, to });
  });

  test.each([
    ['month', '2026-03-31', -1, '2026-02-28'],
    ['month', '2026-01-31', 1, '2026-02-28'],
    ['month', '2026-12-15', 1, '2027-01-15'],
    ['year', '2028-02-29', 1, '2029-02-28'],
    ['week', '2026-01-02', -1, '2025-12-26'],
    ['day', '2026-03-01', -1, '2026-02-28'],
  ] as const)('%s beside %s by %i', (range, date, by, other) => {
    expect(step(range, date, by)).toBe(other);
  });
});

describe('sums', () => {
  test('of a month count the days that are there, and missing ones are not zero', () => {
    const days = [day('2026-10-30', 5), day('2026-10-31', null), day('2026-11-01', null), day('2026-11-02', null)];
    const [october, november] = bucketsOf(days, 'month', TODAY);
    expect(october).toMatchObject({ value: 5, known: 1, due: 2, look: 'value' });
    expect(november).toMatchObject({ value: null, known: 0, due: 2, look: 'none' });
  });

  test('of a running month do not owe the days to come', () => {
    const days = datesBetween('2026-11-01', '2026-11-30').map((date) => day(date, date <= TODAY ? 1 : null));
    expect(bucketsOf(days, 'month', TODAY)).toMatchObject([{ value: 24, known: 24, due: 24, look: 'running' }]);
  });

  test('tell a day without sun, one that is missing, one before history and one to come apart', () => {
    const days = [day('2026-11-20', null, true), day('2026-11-21', null), day('2026-11-22', 0), day('2026-11-25', null)];
    expect(bucketsOf(days, 'day', TODAY).map(({ look, value }) => [look, value])).toEqual([
      ['before', null],
      ['none', null],
      ['value', 0],
      ['after', null],
    ]);
  });

  test('of a long life are by year', () => {
    expect(unitOf('life', { from: '2025-01-01', to: TODAY })).toBe('month');
    expect(unitOf('life', { from: '2019-01-01', to: TODAY })).toBe('year');
    expect(unitOf('year', { from: '2026-01-01', to: '2026-12-31' })).toBe('month');
  });
});

describe('a calendar', () => {
  test('begins its weeks on Monday', () => {
    expect(weekday('2026-11-23')).toBe(0);
    expect(weekday('2026-11-29')).toBe(6);
  });

  test('holds a whole year, leap years too, and names each month once', () => {
    const year = datesBetween('2028-01-01', '2028-12-31').map((date) => ({ date }));
    expect(year).toHaveLength(366);
    expect(weeksOf(year)).toBe(53);
    expect(monthMarks(year)).toHaveLength(12);
  });
});
