import { DAY_S, type Span } from './time';

const RAD = Math.PI / 180;

/** The sun's altitude in degrees, to about a tenth, by the low-precision formulae of the Astronomical Almanac. */
export function altitude(at: number, latitude: number, longitude: number): number {
  const days = at / DAY_S - 10_957.5;
  const mean = (280.46 + 0.9856474 * days) * RAD;
  const anomaly = (357.528 + 0.9856003 * days) * RAD;
  const ecliptic = mean + (1.915 * Math.sin(anomaly) + 0.02 * Math.sin(2 * anomaly)) * RAD;
  const tilt = (23.439 - 0.0000004 * days) * RAD;
  const declination = Math.asin(Math.sin(tilt) * Math.sin(ecliptic));
  const ascension = Math.atan2(Math.cos(tilt) * Math.sin(ecliptic), Math.cos(ecliptic));
  const sidereal = (280.46061837 + 360.98564736629 * days + longitude) * RAD;
  const sine =
    Math.sin(latitude * RAD) * Math.sin(declination) +
    Math.cos(latitude * RAD) * Math.cos(declination) * Math.cos(sidereal - ascension);
  return Math.asin(Math.max(-1, Math.min(1, sine))) / RAD;
}

const HORIZON = -0.833;
/** Below it inverters may still sleep: that they say nothing is no gap. */
const AWAKE = 6;

/** When figures are due for certain: the sun stands well above the horizon; null where it never does. */
export function wakingHours(day: Span, latitude: number, longitude: number): Span | null {
  return daylight(day, latitude, longitude, AWAKE);
}

/** Sunrise to sunset within a local day; null where the sun does not rise; the whole day where it does not set. */
export function daylight(day: Span, latitude: number, longitude: number, above = HORIZON): Span | null {
  const up = (at: number): boolean => altitude(at, latitude, longitude) > above;
  const step = 600;
  let start: number | null = up(day.start) ? day.start : null;
  let end: number | null = null;
  for (let at = day.start; at < day.end; at += step) {
    const next = Math.min(at + step, day.end);
    if (start === null && !up(at) && up(next)) start = edge(at, next, up);
    if (up(at) && !up(next)) end = edge(at, next, up);
  }
  if (start === null) return null;
  return { start, end: end !== null && end > start ? end : day.end };
}

function edge(from: number, to: number, up: (at: number) => boolean): number {
  const before = up(from);
  let low = from;
  let high = to;
  while (high - low > 15) {
    const middle = (low + high) / 2;
    if (up(middle) === before) low = middle;
    else high = middle;
  }
  return Math.round(high);
}
