import { expect, test } from 'vitest';
import type { Place } from './care.svelte';
import { afterMerge } from './places.svelte';

const place = (peak: number | null): Place => ({ peak_power_kw: peak }) as Place;

test('the same generation counts once, a further array adds up', () => {
  expect(afterMerge(place(13.2), place(13), 'same_generation')).toEqual({ before: 26.2, after: 13.2 });
  expect(afterMerge(place(13.2), place(6), 'additional').after).toBeCloseTo(19.2);
});

test('a peak that is not known is not taken for zero', () => {
  expect(afterMerge(place(null), place(6), 'same_generation')).toEqual({ before: null, after: null });
  expect(afterMerge(place(6), place(null), 'additional')).toEqual({ before: null, after: null });
});
