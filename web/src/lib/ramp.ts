/** The viridis ramp: perceptually even, and the same to colour-blind eyes. */

type Rgb = readonly [number, number, number];

const STOPS: readonly Rgb[] = [
  [68, 1, 84],
  [72, 40, 120],
  [62, 73, 137],
  [49, 104, 142],
  [38, 130, 142],
  [31, 158, 137],
  [53, 183, 121],
  [110, 206, 88],
  [181, 222, 43],
  [253, 231, 37],
];

function mix(share: number): Rgb {
  const place = Math.max(0, Math.min(1, share)) * (STOPS.length - 1);
  const index = Math.min(STOPS.length - 2, Math.floor(place));
  const low = STOPS[index]!;
  const high = STOPS[index + 1]!;
  const rest = place - index;
  const at = (k: 0 | 1 | 2): number => Math.round(low[k] + (high[k] - low[k]) * rest);
  return [at(0), at(1), at(2)];
}

const STEPS = 255;
const COLOURS = Array.from({ length: STEPS + 1 }, (_, step) => `rgb(${mix(step / STEPS).join(' ')})`);

/** The colour of a share of the scale. No text stands on it: what a panel says stands beside its colour. */
export function paint(share: number): string {
  return COLOURS[Math.round(STEPS * Math.max(0, Math.min(1, share)))]!;
}

/** The ramp as a CSS gradient, for a legend. */
export function gradient(): string {
  return `linear-gradient(to right, ${STOPS.map((stop) => `rgb(${stop.join(' ')})`).join(', ')})`;
}

/** The smallest round number (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8 times a power of ten) that is not below a value. */
export function roundUp(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  for (const step of [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]) {
    if (value <= step * power * (1 + 1e-9)) return step * power;
  }
  return 10 * power;
}
