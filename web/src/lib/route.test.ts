import { describe, expect, test } from 'vitest';
import { href, launchKey, parseRoute } from './route';

describe('routes', () => {
  test('a site’s day is in the URL, there and back', () => {
    const hash = href({ name: 'site', id: 3, tab: 'overview' }, { date: '2026-11-20', metric: null });
    expect(hash).toBe('#/sites/3?date=2026-11-20');
    const route = parseRoute(hash);
    expect(route.page).toEqual({ name: 'site', id: 3, tab: 'overview' });
    expect(route.params.get('date')).toBe('2026-11-20');
  });

  test.each([
    ['', { name: 'fleet' }],
    ['#/', { name: 'fleet' }],
    ['#/sites/3/panels?at=1', { name: 'site', id: 3, tab: 'panels' }],
    ['#/places', { name: 'places' }],
    ['#/places/7', { name: 'place', id: 7 }],
    ['#/alerts?severity=error', { name: 'alerts' }],
    ['#/sites/3/devices', { name: 'site', id: 3, tab: 'devices' }],
    ['#/sites/3/devices/17', { name: 'site', id: 3, tab: 'devices', device: 17 }],
    ['#/sites/3/alerts', { name: 'site', id: 3, tab: 'alerts' }],
    ['#/sites/3/data', { name: 'site', id: 3, tab: 'data' }],
    ['#/sites/3/overview', { name: 'nowhere' }],
    ['#/sites/3/data/17', { name: 'nowhere' }],
    ['#/sites/3/devices/first', { name: 'nowhere' }],
    ['#/accounts', { name: 'accounts' }],
    ['#/accounts/connect', { name: 'connect' }],
    ['#/sites/three', { name: 'nowhere' }],
    ['#/elsewhere', { name: 'nowhere' }],
  ])('%s leads to %o', (hash, page) => {
    expect(parseRoute(hash).page).toEqual(page);
  });

  test('a device has an address of its own', () => {
    expect(href({ name: 'site', id: 3, tab: 'devices', device: 17 }, { date: '2026-11-20' })).toBe(
      '#/sites/3/devices/17?date=2026-11-20',
    );
  });

  test('a search may hold a question mark', () => {
    expect(parseRoute(href({ name: 'fleet' }, { q: 'roof? & co' })).params.get('q')).toBe('roof? & co');
  });
});

describe('launch keys', () => {
  test('are found in a link, in a fragment, or bare', () => {
    expect(launchKey('http://127.0.0.1:8080/#key=abc_DEF-123456789')).toBe('abc_DEF-123456789');
    expect(launchKey('#key=abc_DEF-123456789')).toBe('abc_DEF-123456789');
    expect(launchKey('  abc_DEF-123456789 ')).toBe('abc_DEF-123456789');
  });

  test('other words are none', () => {
    expect(launchKey('http://127.0.0.1:8080/')).toBe('');
    expect(launchKey('hello')).toBe('');
  });
});
