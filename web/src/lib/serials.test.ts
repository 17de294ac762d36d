import { expect, test } from 'vitest';
import { commonPrefix } from './serials';

test('what all serials begin with can be left out', () => {
  expect(commonPrefix(['500001470000', '500001471234'])).toBe(8);
});

test('at least four letters of each stay', () => {
  expect(commonPrefix(['50000147', '50000147'])).toBe(4);
  expect(commonPrefix(['12', '1234567'])).toBe(0);
});

test('serials that share nothing are shown whole', () => {
  expect(commonPrefix(['A1234567', 'B1234567'])).toBe(0);
  expect(commonPrefix([])).toBe(0);
});
