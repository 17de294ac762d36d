import { describe, expect, test } from 'vitest';
import { careOf, cellLook, measuredEnd, powerLook, sectionOf, standingOf } from './standing';
import { aSite } from './testing';

const NOW = 1_795_500_600;
const say = (changes: Parameters<typeof aSite>[0]): [string, string] => {
  const { shape, word } = standingOf(aSite(changes), NOW, 'UTC');
  return [shape, word];
};

describe('the state of a site', () => {
  test('has a shape and a word for each case', () => {
    expect(say({})).toEqual(['fine', 'Fine']);
    expect(say({ status: 'fault' })).toEqual(['fault', 'Fault']);
    expect(say({ status: 'warning', production: 'degraded' })).toEqual(['warning', 'Gives less than it should']);
    expect(say({ status: 'offline', freshness: 'stale' })).toEqual(['waiting', 'Silent']);
    expect(say({ freshness: 'asleep', reason_code: 'asleep' })).toEqual(['asleep', 'Asleep']);
    expect(say({ freshness: 'late', reason_code: 'not_asked' })).toEqual(['waiting', 'Not asked yet']);
    expect(say({ freshness: 'late', reason_code: 'vendor_late' })).toEqual(['waiting', 'Vendor late']);
    expect(say({ freshness: 'stale', reason_code: 'account' })).toEqual(['waiting', 'No working account']);
    expect(say({ freshness: 'never', reason_code: 'never' })).toEqual(['waiting', 'Nothing yet']);
  });

  test('a broken account says why, in the server’s words', () => {
    const site = aSite({ freshness: 'stale', reason_code: 'account', freshness_reason: 'key refused' });
    expect(standingOf(site, NOW, 'UTC').why).toBe('key refused');
  });

  test('what was not asked says when it will be', () => {
    const site = aSite({ freshness: 'late', reason_code: 'not_asked' });
    expect(standingOf(site, NOW, 'UTC').why).toBe('next look 06:30');
  });
});

test('a site stands in one section of the list', () => {
  expect(sectionOf(aSite())).toBe('fine');
  expect(sectionOf(aSite({ freshness: 'late' }))).toBe('waiting');
  expect(sectionOf(aSite({ freshness: 'never' }))).toBe('waiting');
  expect(sectionOf(aSite({ freshness: 'asleep' }))).toBe('asleep');
  expect(sectionOf(aSite({ freshness: 'asleep', needs_you: true }))).toBe('need');
});

test('night, no data, old and not yet known are four looks, and a zero is a value', () => {
  expect(powerLook(aSite({ power_w: 0 }))).toBe('value');
  expect(powerLook(aSite({ freshness: 'asleep' }))).toBe('night');
  expect(powerLook(aSite({ power_w: null }))).toBe('none');
  expect(powerLook(aSite({ freshness: 'stale' }))).toBe('stale');
  expect(powerLook(aSite({ freshness: 'never', power_w: null }))).toBe('unknown');
});

test('an age counts from the end of the interval', () => {
  expect(measuredEnd(aSite())).toBe(1_795_500_300);
  expect(measuredEnd(aSite({ measured_at: null }))).toBeNull();
});

describe('a panel', () => {
  const day = { day: true, others: 20, producing: 2 };
  const night = { day: false, others: 20, producing: 2 };

  test('at zero by day is dead, at night it sleeps', () => {
    expect(cellLook(0, day)).toBe('dead');
    expect(cellLook(0, night)).toBe('night');
    expect(cellLook(250, day)).toBe('value');
  });

  test('without a value is not zero', () => {
    expect(cellLook(null, day)).toBe('none');
    expect(cellLook(null, night)).toBe('night');
    expect(cellLook(null, { ...day, others: 0 })).toBe('silent');
  });
});

test('silence is another errand than lost production', () => {
  expect(sectionOf(aSite({ needs_you: true, status: 'fault' }))).toBe('need');
  expect(sectionOf(aSite({ needs_you: true, status: 'offline', communication: 'silent' }))).toBe('contact');
  expect(sectionOf(aSite({ needs_you: true, reason_code: 'account', freshness: 'stale' }))).toBe('contact');
});

test('the worst alarm is the reason that is told', () => {
  const site = aSite({ status: 'warning', production: 'degraded', trouble: 'Microinverter not reporting (123)' });
  expect(standingOf(site, NOW, 'UTC').why).toBe('Microinverter not reporting (123)');
});

test('care is told in a few words', () => {
  const care = { snoozed: true, snoozed_until: NOW, until_change: false, waiting_on: 'parts', assignee: 'Ann', notes: 2 };
  expect(careOf(aSite({ care }), 'UTC')).toMatch(/^Snoozed until .+ · waits on parts · Ann · 2.notes$/);
  expect(careOf(aSite(), 'UTC')).toBe('');
});
