import { messages } from './messages';
import { HOUR_S, intlZone, localDate, noonOf, offsetAt, VIEWER, wallSeconds } from './time';

export interface Scaled {
  value: string;
  unit: string;
}

/** The words are English, so are the numbers: the viewer's own kind of English where they have one. */
export const LOCALE: string =
  globalThis.navigator?.languages?.find((language) => language.toLowerCase().startsWith('en')) ?? 'en-GB';

const SCALED = new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 3, minimumSignificantDigits: 3 });
const PLAIN = new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 3 });
const COUNT = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 0 });
const YIELD = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const PREFIXES = ['', 'k', 'M', 'G', 'T'] as const;
const SCALING = new Set(['W', 'Wh', 'VA', 'var']);

let least = 0;
let fahrenheit = false;

/** Whether temperatures are told in °F. */
export function writeFahrenheit(on: boolean): void {
  fahrenheit = on;
}

/** Whether powers and energies are always in kW and kWh, or in the prefix that keeps them short. */
export function writeKilo(kilo: boolean): void {
  least = kilo ? 1 : 0;
}

/** A value in W, Wh, VA or var with the prefix that keeps it short; other units stay. Three significant figures. */
export function scaled(value: number, unit: string): Scaled {
  if (unit === '°C' && fahrenheit) return { value: number(value * 1.8 + 32), unit: '°F' };
  if (!SCALING.has(unit)) return { value: number(value), unit };
  let index = least;
  let rest = value / 1000 ** index;
  // 999.5 would be written 1000: it is 1.00 of the next prefix.
  while (least === 0 && Math.abs(rest) >= 999.5 && index < PREFIXES.length - 1) {
    rest /= 1000;
    index += 1;
  }
  const short = index === 0 || rest === 0 || Math.abs(rest) >= 999.5;
  return { value: short ? number(rest) : minus(SCALED.format(rest)), unit: PREFIXES[index] + unit };
}

/** A value with its unit, as one text. */
export function quantity(value: number, unit: string): string {
  const parts = scaled(value, unit);
  return parts.unit ? `${parts.value}\u00a0${parts.unit}` : parts.value;
}

export const power = (watts: number): string => quantity(watts, 'W');
export const energy = (wattHours: number): string => quantity(wattHours, 'Wh');

/** Peak power given in kWp. */
export function peak(kilowatts: number): string {
  return kilowatts >= 999.5 ? `${number(kilowatts / 1000)}\u00a0MWp` : `${number(kilowatts)}\u00a0kWp`;
}

/** Three significant figures, nothing behind them. */
export function number(value: number): string {
  // Above a thousand PLAIN would round away counts that are worth reading.
  return minus(Math.abs(value) >= 1000 ? COUNT.format(value) : PLAIN.format(value));
}

/** A specific yield, kWh/kWp, always to two decimals: its column is read downwards. */
export function specificYield(value: number): string {
  return minus(YIELD.format(value));
}

/** A size on disk: 812 kB, 1.20 GB. */
export function bytes(n: number): string {
  let rest = n;
  let index = 0;
  while (rest >= 999.5 && index < PREFIXES.length - 1) {
    rest /= 1000;
    index += 1;
  }
  return `${number(rest)}\u00a0${PREFIXES[index]}B`;
}

export const count = (value: number): string => COUNT.format(value);

function minus(text: string): string {
  // -0 is a rounding of a small night draw.
  return text === '-0' ? '0' : text.replace('-', '\u2212');
}

const YEAR_DAYS = 365.25;

/** How long ago, in words: now, 4 min, 3 h, 5 days, 3 years. */
export function age(seconds: number): string {
  const minutes = Math.floor(Math.max(0, seconds) / 60);
  if (minutes < 1) return messages.age.now;
  if (minutes < 60) return messages.age.minutes(minutes);
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return messages.age.hours(hours);
  const days = Math.floor(hours / 24);
  return days < 2 * YEAR_DAYS ? messages.age.days(days) : messages.age.years(Math.floor(days / YEAR_DAYS));
}

/** A length of time in words: 55 min, 1 h 20 min. */
export function duration(seconds: number): string {
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return messages.age.minutes(minutes);
  const rest = minutes % 60;
  const hours = messages.age.hours(Math.floor(minutes / 60));
  return rest ? `${hours} ${messages.age.minutes(rest)}` : hours;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string, name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${zone}|${name}`;
  let found = formats.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat(LOCALE, { ...options, timeZone: intlZone(zone) });
    formats.set(key, found);
  }
  return found;
}

/** 13:05 */
export function clockTime(at: number, zone: string): string {
  const seconds = wallSeconds(at, zone);
  const two = (n: number): string => String(Math.floor(n)).padStart(2, '0');
  return `${two(seconds / HOUR_S)}:${two((seconds % HOUR_S) / 60)}`;
}

/** Fri 20 Nov 2026, in the order of the viewer's English. */
export function longDate(at: number, zone: string): string {
  return format(zone, 'long', { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' }).format(at * 1000);
}

/** 20 Nov */
export function shortDate(at: number, zone: string): string {
  return format(zone, 'short', { day: 'numeric', month: 'short' }).format(at * 1000);
}

/** 20 Nov 2026 */
export function fullDate(at: number, zone: string): string {
  return format(zone, 'full', { day: 'numeric', month: 'short', year: 'numeric' }).format(at * 1000);
}

/** A date that has no zone, such as a day of installation. */
export function calendarDate(date: string): string {
  const at = noonOf(date);
  return Number.isNaN(at) ? date : fullDate(at, 'UTC');
}

/** Nov: the month of a local date. */
export function monthName(date: string): string {
  return format('UTC', 'month', { month: 'short' }).format(noonOf(date) * 1000);
}

/** November 2026: the month of a local date, in full. */
export function monthAndYear(date: string): string {
  return format('UTC', 'month-year', { month: 'long', year: 'numeric' }).format(noonOf(date) * 1000);
}

/** 96 %, never 100 for what is not whole. */
export function percent(share: number): string {
  const whole = share >= 1 ? 100 : Math.min(99, Math.max(share > 0 ? 1 : 0, Math.round(100 * share)));
  return `${whole}\u00a0%`;
}

/** 13:05 on the day of `now`, else 20 Nov 13:05. */
export function moment(at: number, zone: string, now: number): string {
  const time = clockTime(at, zone);
  return localDate(at, zone) === localDate(now, zone) ? time : `${shortDate(at, zone)} ${time}`;
}

/** The short name of a zone at an instant: CET, GMT+5:30. */
export function zoneName(at: number, zone: string): string {
  const parts = format(zone, 'zone', { hour: '2-digit', timeZoneName: 'short' }).formatToParts(at * 1000);
  return parts.find((part) => part.type === 'timeZoneName')?.value ?? zone;
}

/** Whether a zone's clock shows something else than the viewer's. */
export function differsFromViewer(at: number, zone: string): boolean {
  return offsetAt(at, zone) !== offsetAt(at, VIEWER);
}
