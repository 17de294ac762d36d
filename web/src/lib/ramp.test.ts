import { expect, test } from 'vitest';
import { contrastAt, paint, roundUp } from './ramp';

test('text on every colour of the ramp reads at 4.5 to 1 or better', () => {
  for (let share = 0; share <= 1; share += 0.005) expect(contrastAt(share)).toBeGreaterThanOrEqual(4.5);
});

test('the ends of the ramp are dark and bright, and nothing lies beyond them', () => {
  expect(paint(-1)).toEqual(paint(0));
  expect(paint(0).text).toBe('#ffffff');
  expect(paint(2)).toEqual(paint(1));
  expect(paint(1).text).toBe('#000000');
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
