import { expect, test } from 'vitest';
import { altitude, daylight, wakingHours } from './sun';
import { localDay } from './time';

const at = (iso: string): number => Date.parse(iso) / 1000;
const MINUTES = 60;

test('the sun stands highest at solar noon', () => {
  // Greenwich at the March equinox of 2026: 90 degrees less the latitude.
  expect(altitude(at('2026-03-20T12:07:00Z'), 51.48, 0)).toBeCloseTo(38.4, 0);
});

test('sunrise and sunset in Berlin in November agree with an almanac', () => {
  const sun = daylight(localDay('2026-11-24', 'Europe/Berlin'), 52.52, 13.41);
  expect(Math.abs(sun!.start - at('2026-11-24T06:42:00Z'))).toBeLessThan(5 * MINUTES);
  expect(Math.abs(sun!.end - at('2026-11-24T15:01:00Z'))).toBeLessThan(5 * MINUTES);
});

test('in the polar night there is no daylight, in the polar day nothing else', () => {
  expect(daylight(localDay('2026-12-21', 'Europe/Oslo'), 69.65, 18.96)).toBeNull();
  const day = localDay('2026-06-21', 'Europe/Oslo');
  expect(daylight(day, 69.65, 18.96)).toEqual(day);
});

test('inverters are due only while the sun stands well up', () => {
  const day = localDay('2026-11-24', 'Europe/Berlin');
  const sun = daylight(day, 52.52, 13.41)!;
  const due = wakingHours(day, 52.52, 13.41)!;
  expect(due.start).toBeGreaterThan(sun.start + 20 * MINUTES);
  expect(due.end).toBeLessThan(sun.end - 20 * MINUTES);
});
