/** Instants are epoch seconds UTC, local dates are `YYYY-MM-DD`. Zones are IANA names, or the viewer's own. */

/** The viewer's own zone. Its name is not asked for: the first question to Intl about dates takes some 20 ms. */
export const VIEWER = 'viewer';

/** A zone as Intl takes it. */
export const intlZone = (zone: string): string | undefined => (zone === VIEWER ? undefined : zone);

export const HOUR_S = 3600;
export const DAY_S = 86_400;

export interface Span {
  start: number;
  end: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function wall(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: intlZone(zone),
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    formats.set(zone, format);
  }
  return format;
}

/** Zones change their offset at a quarter of an hour, if at all. */
const OFFSETS_S = 900;
const OFFSETS_KEPT = 4000;
const offsets = new Map<string, number>();

/** Seconds that a zone's wall clock is ahead of UTC at an instant. */
export function offsetAt(at: number, zone: string): number {
  if (zone === VIEWER) return -60 * new Date(at * 1000).getTimezoneOffset();
  const key = `${zone} ${Math.floor(at / OFFSETS_S)}`;
  let offset = offsets.get(key);
  if (offset === undefined) {
    if (offsets.size >= OFFSETS_KEPT) offsets.clear();
    offset = askedOffset(at, zone);
    offsets.set(key, offset);
  }
  return offset;
}

function askedOffset(at: number, zone: string): number {
  const part: Record<string, number> = {};
  for (const { type, value } of wall(zone).formatToParts(at * 1000)) part[type] = Number(value);
  const asUtc = Date.UTC(part.year!, part.month! - 1, part.day!, part.hour!, part.minute!, part.second!) / 1000;
  return asUtc - Math.floor(at);
}

/** The local date of an instant. */
export function localDate(at: number, zone: string): string {
  return new Date((at + offsetAt(at, zone)) * 1000).toISOString().slice(0, 10);
}

/** Seconds since local midnight that the wall clock shows. */
export function wallSeconds(at: number, zone: string): number {
  return (((at + offsetAt(at, zone)) % DAY_S) + DAY_S) % DAY_S;
}

/** A date some days later or, with a negative count, earlier. */
export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_S * 1000).toISOString().slice(0, 10);
}

/** Noon of a date that has no zone, UTC. */
export const noonOf = (date: string): number => Date.parse(`${date}T12:00:00Z`) / 1000;

/** Whether a text is a date that exists. */
export function isDate(text: string | null | undefined): text is string {
  return !!text && /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) && addDays(text, 0) === text;
}

/** The first instant of a local date; where midnight is skipped by a clock change, the first one after it. */
export function dayStart(date: string, zone: string): number {
  const midnight = Date.parse(`${date}T00:00:00Z`) / 1000;
  const candidates = [midnight - offsetAt(midnight - DAY_S, zone), midnight - offsetAt(midnight + DAY_S, zone)];
  const fitting = candidates.filter((at) => localDate(at, zone) === date && localDate(at - 1, zone) !== date);
  return Math.min(...(fitting.length ? fitting : candidates));
}

/** A local date from its start to the next one's: 23 to 25 hours. */
export function localDay(date: string, zone: string): Span {
  return { start: dayStart(date, zone), end: dayStart(addDays(date, 1), zone) };
}

/** The instants of a span at which the wall clock shows a full multiple of some hours. */
export function hourMarks(span: Span, zone: string, everyHours: number): number[] {
  const marks: number[] = [];
  for (let at = span.start; at <= span.end; at += HOUR_S / 2) {
    if (at === span.end || wallSeconds(at, zone) % (everyHours * HOUR_S) === 0) marks.push(at);
  }
  return marks;
}

/** A zone that Intl knows, or UTC. */
export function knownZone(zone: string | null | undefined): string {
  if (!zone) return 'UTC';
  try {
    wall(zone);
    return zone;
  } catch {
    return 'UTC';
  }
}
