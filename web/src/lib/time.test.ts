import { describe, expect, test } from 'vitest';
import { addDays, dayStart, hourMarks, isDate, localDate, localDay, offsetAt, wallSeconds } from './time';

const at = (iso: string): number => Date.parse(iso) / 1000;
const hours = (date: string, zone: string): number => {
  const day = localDay(date, zone);
  return (day.end - day.start) / 3600;
};

describe('local days', () => {
  test('an ordinary day has 24 hours and begins at local midnight', () => {
    expect(dayStart('2026-11-24', 'America/Chicago')).toBe(at('2026-11-24T06:00:00Z'));
    expect(hours('2026-11-24', 'America/Chicago')).toBe(24);
  });

  test('the night the clocks go forward has 23 hours', () => {
    expect(hours('2026-03-29', 'Europe/Berlin')).toBe(23);
    expect(hours('2026-03-08', 'America/Chicago')).toBe(23);
  });

  test('the night the clocks go back has 25 hours', () => {
    expect(hours('2026-10-25', 'Europe/Berlin')).toBe(25);
    expect(hours('2026-11-01', 'America/Chicago')).toBe(25);
  });

  test('in the south spring comes in October', () => {
    expect(hours('2026-10-04', 'Australia/Adelaide')).toBe(23);
    expect(hours('2026-04-05', 'Australia/Adelaide')).toBe(25);
  });

  test('half an hour of summer time is kept', () => {
    expect(hours('2026-10-04', 'Australia/Lord_Howe')).toBe(23.5);
  });

  test('where midnight itself is skipped the day begins at one o’clock', () => {
    const start = dayStart('2026-04-24', 'Africa/Cairo');
    expect(wallSeconds(start, 'Africa/Cairo')).toBe(3600);
    expect(localDate(start, 'Africa/Cairo')).toBe('2026-04-24');
    expect(localDate(start - 1, 'Africa/Cairo')).toBe('2026-04-23');
  });

  test('days follow each other without a hole', () => {
    for (let date = '2026-10-20'; date < '2026-11-05'; date = addDays(date, 1)) {
      expect(localDay(date, 'America/Denver').end).toBe(localDay(addDays(date, 1), 'America/Denver').start);
    }
  });
});

test('an offset is that of the instant', () => {
  expect(offsetAt(at('2026-07-01T12:00:00Z'), 'Europe/Berlin')).toBe(7200);
  expect(offsetAt(at('2026-12-01T12:00:00Z'), 'Europe/Berlin')).toBe(3600);
  expect(offsetAt(at('2026-12-01T12:00:00Z'), 'Asia/Kathmandu')).toBe(20_700);
});

test('dates go over months and years', () => {
  expect(addDays('2026-12-31', 1)).toBe('2027-01-01');
  expect(addDays('2028-03-01', -1)).toBe('2028-02-29');
});

test('only dates that exist are dates', () => {
  expect(isDate('2026-11-24')).toBe(true);
  expect(isDate('2026-02-30')).toBe(false);
  expect(isDate('yesterday')).toBe(false);
  expect(isDate(null)).toBe(false);
});

describe('hour marks', () => {
  test('stand at the wall clock’s hours, also after a change of clocks', () => {
    const zone = 'Europe/Berlin';
    const marks = hourMarks(localDay('2026-03-29', zone), zone, 3);
    expect(marks.map((mark) => wallSeconds(mark, zone) / 3600)).toEqual([0, 3, 6, 9, 12, 15, 18, 21, 0]);
  });

  test('fit zones of half hours', () => {
    const marks = hourMarks(localDay('2026-11-24', 'Asia/Kolkata'), 'Asia/Kolkata', 6);
    expect(marks).toHaveLength(5);
  });
});
