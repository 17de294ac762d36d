import { describe, expect, test } from 'vitest';
import { age, clockTime, duration, energy, moment, number, peak, power, scaled, specificYield, zoneName } from './format';

const plain = (text: string): string => text.replaceAll('\u00a0', ' ');

describe('power and energy', () => {
  test.each([
    [0, '0 W'],
    [4, '4 W'],
    [4.567, '4.57 W'],
    [119, '119 W'],
    [999.4, '999 W'],
    [999.6, '1.00 kW'],
    [5100, '5.10 kW'],
    [61_249, '61.2 kW'],
    [412_000, '412 kW'],
    [999_600, '1.00 MW'],
    [2_310_000, '2.31 MW'],
  ])('%d W is written %s, in three significant figures', (watts, text) => {
    expect(plain(power(watts))).toBe(text);
  });

  test('a night draw keeps its sign, as a true minus', () => {
    expect(plain(power(-3))).toBe('\u22123 W');
  });

  test('a draw that rounds to nothing has no sign', () => {
    expect(number(-0)).toBe('0');
  });

  test('watt-hours scale like watts', () => {
    expect(plain(energy(45_771_602))).toBe('45.8 MWh');
  });

  test('units without prefixes keep their value', () => {
    expect(scaled(12_345, '°C')).toEqual({ value: '12,345', unit: '°C' });
    expect(scaled(49.98, 'Hz')).toEqual({ value: '50', unit: 'Hz' });
  });

  test('peak power goes over to MWp', () => {
    expect(plain(peak(8.2))).toBe('8.2 kWp');
    expect(plain(peak(1250))).toBe('1.25 MWp');
  });

  test('yields keep two decimals, so that a column lines up', () => {
    expect(specificYield(4)).toBe('4.00');
    expect(specificYield(0.918)).toBe('0.92');
  });
});

describe('ages', () => {
  test.each([
    [-5, 'now'],
    [59, 'now'],
    [60, '1 min'],
    [59 * 60 + 59, '59 min'],
    [3600, '1 h'],
    [47 * 3600, '47 h'],
    [48 * 3600, '2 days'],
    [700 * 86_400, '700 days'],
    [2100 * 86_400, '5 years'],
  ])('%d s is %s', (seconds, text) => {
    expect(plain(age(seconds))).toBe(text);
  });

  test('a duration says hours and minutes', () => {
    expect(plain(duration(55 * 60))).toBe('55 min');
    expect(plain(duration(80 * 60))).toBe('1 h 20 min');
    expect(plain(duration(7200))).toBe('2 h');
  });
});

describe('moments', () => {
  const noon = Date.UTC(2026, 10, 24, 12) / 1000;

  test('a time is the zone’s, in 24 hours', () => {
    expect(clockTime(noon, 'America/Chicago')).toBe('06:00');
    expect(clockTime(noon, 'Asia/Kolkata')).toBe('17:30');
  });

  test('midnight is 00:00, not 24:00', () => {
    expect(clockTime(Date.UTC(2026, 10, 24) / 1000, 'UTC')).toBe('00:00');
  });

  test('another day than now’s is named', () => {
    expect(moment(noon, 'UTC', noon + 3600)).toBe('12:00');
    expect(moment(noon, 'UTC', noon + 86_400)).toMatch(/24/);
  });

  test('a zone has a short name', () => {
    expect(zoneName(noon, 'UTC')).toBe('UTC');
  });
});
