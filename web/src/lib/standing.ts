import type { Site } from './api/client';
import { moment, shortDate } from './format';
import { messages } from './messages';

/** The five shapes: ● fine, ▲ warning, ◆ fault, ◌ late, stale, silent or never, ☾ asleep. */
export type Shape = 'fine' | 'warning' | 'fault' | 'waiting' | 'asleep';

/** The four looks of a figure, and the look of one that is old. */
export type Look = 'value' | 'stale' | 'night' | 'none' | 'unknown';

export interface Standing {
  shape: Shape;
  word: string;
  why: string;
}

export type Section = 'need' | 'contact' | 'waiting' | 'fine' | 'asleep';
export const SECTIONS: readonly Section[] = ['need', 'contact', 'waiting', 'fine', 'asleep'];

/** Where a site stands in the list. */
export function sectionOf(site: Site): Section {
  // Who is not heard has not necessarily lost anything: that is another errand than a roof that gives nothing.
  if (site.needs_you) return isSilent(site) ? 'contact' : 'need';
  if (site.freshness === 'asleep') return 'asleep';
  return site.freshness === 'fresh' ? 'fine' : 'waiting';
}

/** Whether it is the word from a site that is missing, not its sun. */
export function isSilent(site: Site): boolean {
  return site.communication === 'silent' || site.reason_code === 'account' || site.reason_code === 'site_silent';
}

/** What people do about a place, in a few words: snoozed, what it waits on, whose it is, its notes. */
export function careOf(site: Site, zone: string): string {
  const words = messages.care;
  const { snoozed, snoozed_until, waiting_on, assignee, notes } = site.care;
  return [
    snoozed && (snoozed_until === null ? words.snoozedShort : words.until(shortDate(snoozed_until, zone))),
    waiting_on && messages.places.waits(words.waiting[waiting_on] ?? waiting_on),
    assignee,
    notes > 0 && messages.places.notesCount(notes),
  ]
    .filter(Boolean)
    .join(' · ');
}

/** How a site is, as a shape, a word and the reason. Times are told in `zone`. */
export function standingOf(site: Site, now: number, zone: string): Standing {
  const words = messages.state;
  const age = ageReason(site, now, zone);
  switch (site.status) {
    case 'fault':
      return { shape: 'fault', word: words.fault, why: site.trouble || production(site) || age.why };
    case 'offline':
      return {
        shape: 'waiting',
        word: words.offline,
        why: site.last_report_at !== null ? words.silentSince(moment(site.last_report_at, zone, now)) : age.why,
      };
    case 'warning':
      return { shape: 'warning', word: production(site) || words.warning, why: site.trouble || (age.shape === 'fine' ? '' : age.word) };
    case 'pending':
      return { ...age, word: words.pending, shape: 'waiting' };
    case 'inactive':
      return { ...age, word: words.inactive, shape: 'waiting' };
    default:
      return age;
  }
}

function production(site: Site): string {
  if (site.production === 'degraded') return messages.state.degraded;
  return site.production === 'none' ? messages.state.noProduction : '';
}

function ageReason(site: Site, now: number, zone: string): Standing {
  const words = messages.state;
  const next = site.next_look_at === null ? '' : words.nextLook(lookAt(site.next_look_at, now, zone));
  if (site.freshness === 'fresh') return { shape: 'fine', word: words.fine, why: '' };
  if (site.freshness === 'asleep') return { shape: 'asleep', word: words.asleep, why: '' };
  switch (site.reason_code) {
    case 'account':
      return { shape: 'waiting', word: words.account, why: site.freshness_reason };
    case 'never':
      return { shape: 'waiting', word: words.never, why: next || site.freshness_reason };
    case 'site_silent':
      return {
        shape: 'waiting',
        word: words.siteSilent,
        why: site.last_report_at !== null ? words.silentSince(moment(site.last_report_at, zone, now)) : '',
      };
    case 'vendor_late':
      return { shape: 'waiting', word: words.vendorLate, why: next };
    case 'not_asked':
      return { shape: 'waiting', word: words.notAsked, why: next || site.freshness_reason };
    default:
      return { shape: 'waiting', word: messages.freshness[site.freshness] ?? site.freshness, why: site.freshness_reason };
  }
}

/** The words of freshness, in the order that they are counted in. */
export const FRESHNESS = ['fresh', 'late', 'stale', 'never', 'asleep'] as const;

/** The shape that goes with a word of freshness. */
export function freshnessShape(word: string): Shape {
  return word === 'fresh' ? 'fine' : word === 'asleep' ? 'asleep' : 'waiting';
}

/** When the next look is: a time, or “now” for one that is due. */
export function lookAt(at: number, now: number, zone: string): string {
  return at <= now + 60 ? messages.accounts.due : moment(at, zone, now);
}

/** The end of the newest interval, which is what an age counts from. */
export function measuredEnd(site: Site): number | null {
  return site.measured_at === null ? null : site.measured_at + (site.power_interval_s ?? 0);
}

/** How a site's power is to look. */
export function powerLook(site: Site): Look {
  if (site.freshness === 'never') return 'unknown';
  if (site.freshness === 'asleep') return 'night';
  if (site.power_w === null) return 'none';
  return site.freshness === 'fresh' ? 'value' : 'stale';
}

export type CellLook = 'value' | 'dead' | 'night' | 'none' | 'silent' | 'unknown';

/**
 * How a panel is to look: with its value; dead (zero by day while others produce); night; no data although others
 * have some; silent where nothing per panel is given at all.
 */
export function cellLook(
  value: number | null,
  by: { day: boolean; others: number; producing: number },
): Exclude<CellLook, 'unknown'> {
  if (value === null) return by.others === 0 ? (by.day ? 'silent' : 'night') : by.day ? 'none' : 'night';
  if (!by.day && value <= by.producing) return 'night';
  return by.day && value <= by.producing ? 'dead' : 'value';
}
