import { afterEach, expect, test } from 'vitest';
import { energy, power, quantity, writeFahrenheit, writeKilo } from './format';

afterEach(() => {
  writeKilo(false);
  writeFahrenheit(false);
});

test('temperatures are told in °F where that is wished', () => {
  expect(quantity(20, '°C')).toBe('20\u00a0°C');
  writeFahrenheit(true);
  expect(quantity(20, '°C')).toBe('68\u00a0°F');
  expect(quantity(-40, '°C')).toBe('\u221240\u00a0°F');
});

test('powers and energies are always in kilo where that is wished', () => {
  writeKilo(true);
  expect(power(0)).toBe('0\u00a0kW');
  expect(power(25)).toBe('0.0250\u00a0kW');
  expect(power(5_120)).toBe('5.12\u00a0kW');
  expect(energy(2_310_000)).toBe('2,310\u00a0kWh');
  expect(power(-4)).toBe('\u22120.00400\u00a0kW');
});

test('and in the prefix that keeps them short otherwise', () => {
  expect(energy(2_310_000)).toBe('2.31\u00a0MWh');
  expect(power(0)).toBe('0\u00a0W');
});
