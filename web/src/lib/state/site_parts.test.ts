import { describe, expect, test } from 'vitest';
import type { Device } from '../api/client';
import { calendarDate } from '../format';
import { toCurve, type Point } from '../gaps';
import { localDay } from '../time';
import { sortDevices } from './devices.svelte';
import { asCalendar, rangeOf } from './energy.svelte';
import { asCalendarDay } from './holdings.svelte';
import { dailyMetric, usualPause, type Day, type Metric } from './site.svelte';

const TODAY = '2026-11-24';

function aDevice(id: number, changes: Partial<Device> = {}): Device {
  return {
    id, vendor_device_id: `d${id}`, device_type: 'microinverter', name: null, serial_number: `S${id}`, model: null,
    manufacturer: null, part_number: null, firmware: null, status: 'normal', installed_on: null, parent_id: null,
    last_reported_at: null, power_w: null, measured_at: null, figure: null, energy_today_wh: null, replaces_id: null,
    replaced_by_id: null, ...changes,
  };
}

const ids = (devices: Device[]): number[] => devices.map((device) => device.id);

describe('devices', () => {
  test('are sorted the worst first, and by serial as a person counts', () => {
    const devices = [aDevice(1), aDevice(2, { status: 'retired' }), aDevice(3, { status: 'fault' }), aDevice(10)];
    expect(ids(sortDevices(devices, 'status', false))).toEqual([3, 1, 10, 2]);
    expect(ids(sortDevices(devices, 'serial', false))).toEqual([1, 2, 3, 10]);
  });

  test('without a figure stand last whichever way is sorted, for it is not zero', () => {
    const devices = [aDevice(1), aDevice(2, { energy_today_wh: 0 }), aDevice(3, { energy_today_wh: -4 }), aDevice(4, { energy_today_wh: 9e15 })];
    expect(ids(sortDevices(devices, 'today', false))).toEqual([3, 2, 4, 1]);
    expect(ids(sortDevices(devices, 'today', true))).toEqual([4, 2, 3, 1]);
  });

  test('five thousand are sorted at once', () => {
    const many = Array.from({ length: 5000 }, (_, index) => aDevice(index, { serial_number: `S${(index * 7919) % 5000}` }));
    const began = performance.now();
    expect(sortDevices(many, 'serial', false)[0]!.serial_number).toBe('S0');
    expect(performance.now() - began).toBeLessThan(1000);
  });
});

describe('a calendar of energy', () => {
  const day = (date: string, value: number | null, before = false): Day => ({ date, start: 0, value, running: date === TODAY, before });

  test('gives unknown, before history, zero, the running day and days to come looks of their own', () => {
    const days = [day('2026-11-01', null, true), day('2026-11-02', null), day('2026-11-03', 0), day('2026-11-04', 8), day(TODAY, 4), day('2026-11-25', null)];
    const looks = asCalendar(days, TODAY).map(({ look, share }) => [look, share]);
    expect(looks).toEqual([['before', null], ['none', null], ['zero', null], ['value', 1], ['running', 0.5], ['after', null]]);
  });

  test('says each day in words', () => {
    const said = asCalendar([day('2026-11-03', 0), day('2026-11-04', 12_300)], TODAY).map((entry) => entry.say);
    expect(said).toEqual([`${calendarDate('2026-11-03')}: nothing produced`, `${calendarDate('2026-11-04')}: 12.3\u00a0kWh`]);
  });
});

describe('a calendar of completeness', () => {
  const made = (date: string, expected: number, present: number, daily = false) =>
    asCalendarDay({ date, start: 0, expected, present, daily, owed: false }, TODAY, '2026-11-05');

  test('tells nothing due, before history, nothing came, the day’s figure only, and a part apart', () => {
    const looks = [made('2026-11-06', 0, 0), made('2026-11-01', 40, 0), made('2026-11-06', 40, 0), made('2026-11-06', 40, 0, true), made('2026-11-06', 40, 10)];
    expect(looks.map(({ look, share }) => [look, share])).toEqual([['idle', null], ['before', null], ['none', null], ['daily', null], ['value', 0.25]]);
  });

  test('never calls what is not whole 100 percent', () => {
    expect(made('2026-11-06', 1000, 999).say).toContain('99\u00a0%');
    expect(made('2026-11-06', 1000, 1000).say).toContain('100\u00a0%');
  });
});

describe('a day of another length', () => {
  test.each([['2026-03-29', 23], ['2026-10-25', 25]])('%s in Berlin has %i hours, whole and without a gap', (date, hours) => {
    const span = localDay(date, 'Europe/Berlin');
    const points: Point[] = Array.from({ length: hours * 4 }, (_, n) => [span.start + n * 900, 1] as const);
    const curve = toCurve(points, 900, span, span.end);
    expect((span.end - span.start) / 3600).toBe(hours);
    expect(curve.gaps).toEqual([]);
    expect(curve.x.at(-1)).toBe(span.end - 450);
  });
});

describe('series', () => {
  const metric = (name: string, kind: string, intervals: number[]): Metric => ({
    metric: name, kind, intervals_s: intervals, unit: 'Wh', site: true, devices: 0, first: 0, last: 1,
  });

  test('of moments stand as long as their usual pause, and a single long one is a gap', () => {
    const at = [0, 1200, 2400, 3700, 4900, 6100, 7300, 8500, 9700, 10_900, 30_000];
    const pause = usualPause(at.map((time) => [time, 1] as const));
    expect(pause).toBe(1300);
    expect(usualPause([])).toBe(900);
    expect(usualPause([[0, 1], [90_000, 1]])).toBe(3600);
  });

  test('days are told in what is produced, before what is used', () => {
    expect(dailyMetric([metric('consumption_energy_wh', 'sum', [86_400]), metric('dc_energy_wh', 'sum', [900, 86_400])])?.metric).toBe('dc_energy_wh');
    expect(dailyMetric([metric('ac_power_w', 'mean', [300])])).toBeUndefined();
  });

  test('a range that there is not is a day', () => {
    expect(rangeOf('decade')).toBe('day');
    expect(rangeOf('life')).toBe('life');
  });
});
