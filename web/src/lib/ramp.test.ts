import { expect, test } from 'vitest';
import { paint, roundUp } from './ramp';

test('the ends of the ramp are dark and bright, and nothing lies beyond them', () => {
  expect(paint(0)).toBe('rgb(68 1 84)');
  expect(paint(-1)).toBe(paint(0));
  expect(paint(1)).toBe('rgb(253 231 37)');
  expect(paint(2)).toBe(paint(1));
});

test('the ramp grows lighter all the way', () => {
  const lightness = Array.from({ length: 52 }, (_, step) => {
    const [r, g, b] = paint(step / 51).match(/\d+/g)!.map(Number);
    return 0.2126 * (r! / 255) ** 2.2 + 0.7152 * (g! / 255) ** 2.2 + 0.0722 * (b! / 255) ** 2.2;
  });
  expect(lightness).toEqual(lightness.toSorted((a, b) => a - b));
});

test.each([
  [0, 1],
  [0.7, 0.8],
  [1, 1],
  [62, 80],
  [250, 250],
  [301, 400],
  [999, 1000],
])('a scale for %d ends at %d', (value, top) => {
  expect(roundUp(value)).toBeCloseTo(top, 10);
});
