import { flushSync } from 'svelte';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { aVendor } from '../testing';
import { ConnectForm, type Vendors } from './accounts.svelte';
import { Sparklines } from './fleet.svelte';
import { router } from './router.svelte';
import { session } from './session.svelte';
import { VirtualRows } from './virtual.svelte';

function answer(status: number, body: unknown): Response {
  const type = status < 400 ? 'application/json' : 'application/problem+json';
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': type } });
}

/** Stands in for the server: the answers by method and path. */
function serve(answers: Record<string, () => Response>): ReturnType<typeof vi.fn> {
  const fetching = vi.fn((request: Request) => {
    const found = answers[`${request.method} ${new URL(request.url).pathname}`];
    return found ? Promise.resolve(found()) : Promise.reject(new Error(`nothing at ${request.url}`));
  });
  vi.stubGlobal('fetch', fetching);
  return fetching;
}

beforeEach(() => history.replaceState(null, '', '#/'));
afterEach(() => vi.unstubAllGlobals());

describe('entry', () => {
  test('a key in the address is exchanged once and leaves the address', async () => {
    history.replaceState(null, '', '#key=abcdefghijklmnop');
    const fetching = serve({
      'POST /api/session': () => answer(200, { reload: false }),
      'GET /api/health': () => answer(200, { status: 'ok', version: '1', demo: true, session: true, clock: '' }),
    });
    await session.start();
    expect(location.hash).toBe('#/');
    expect(session.entry).toBe('open');
    expect(session.demo).toBe(true);
    const posts = fetching.mock.calls.filter(([request]) => (request as Request).method === 'POST');
    expect(posts).toHaveLength(1);
  });

  test('without a session the window is locked, and says what the server says of a used link', async () => {
    serve({
      'POST /api/session': () => answer(403, { type: 'urn:x', title: 'Forbidden', status: 403, detail: 'Used already.' }),
      'GET /api/health': () => answer(200, { status: 'ok', version: '1', demo: false, session: false, clock: '' }),
    });
    await session.enter('http://127.0.0.1:1/#key=abcdefghijklmnop');
    expect(session.entry).toBe('locked');
    expect(session.refusal).toBe('Used already.');
  });

  test('a server that does not answer is not a locked window', async () => {
    serve({});
    await session.look();
    expect(session.entry).toBe('unreachable');
  });
});

describe('the connect form', () => {
  const vendors = { data: [aVendor()] } as unknown as Vendors;
  const form = (): ConnectForm => {
    const made = new ConnectForm(vendors);
    made.choose({ vendor: 'sunny' });
    return made;
  };
  const seen = { vendor: 'sunny', method: 'key', plan: 'free', total: 1, sites: [], panels: false, notes: [] };
  const probe = { ...seen, first_calls: 3, monthly_calls: 9, monthly_limit: 100 };

  test('offers the method’s plans with the default first', () => {
    const made = form();
    expect(made.plans.map((plan) => plan.id)).toEqual(['free', 'paid']);
    expect(made.plan?.id).toBe('free');
  });

  test('names what is missing', () => {
    const made = form();
    expect(made.missing.map((field) => field.name)).toEqual(['api_key']);
    made.values = { api_key: 'k' };
    expect(made.missing).toEqual([]);
  });

  test('keeps what was typed when the key is refused, and shows the server’s sentence', async () => {
    serve({
      'POST /api/accounts/probe': () => answer(422, { type: 'urn:x', title: 'No', status: 422, detail: 'Key refused.' }),
    });
    const made = form();
    made.values = { api_key: 'wrong' };
    await made.look();
    expect(made.problem).toBe('Key refused.');
    expect(made.values.api_key).toBe('wrong');
    expect(made.probe).toBeNull();
  });

  test('a probe counts only for what was probed', async () => {
    serve({ 'POST /api/accounts/probe': () => answer(200, probe) });
    const made = form();
    made.values = { api_key: 'right' };
    await made.look();
    expect(made.probe?.total).toBe(1);
    made.label = 'Another name';
    expect(made.probe?.total).toBe(1);
    made.values = { api_key: 'changed' };
    expect(made.probe).toBeNull();
  });

  test('another vendor begins with empty fields', () => {
    const made = form();
    made.values = { api_key: 'k' };
    made.choose({ vendor: 'other' });
    expect(made.values).toEqual({});
  });
});

describe('virtual rows', () => {
  test('draw what is in view and hold the room of the rest', () => {
    const rows = new VirtualRows(() => Array.from({ length: 2000 }, () => 50), 8);
    expect(rows.first).toBe(0);
    expect(rows.last).toBeLessThan(60);
    expect(rows.before + rows.after + 50 * (rows.last - rows.first)).toBe(rows.total);
    expect(rows.total).toBe(100_000);
  });
});

test('a day that was empty is asked for again before one that has figures', async () => {
  vi.useFakeTimers();
  const fetching = serve({
    'GET /api/fleet/sparklines': () => answer(200, { items: [{ site_id: 1, values: [null] }, { site_id: 2, values: [7] }] }),
  });
  const sparks = new Sparklines();
  const asked = async (): Promise<string[]> => {
    fetching.mockClear();
    sparks.want([1, 2]);
    await vi.advanceTimersByTimeAsync(500);
    return fetching.mock.calls.map(([request]) => new URL((request as Request).url).searchParams.get('ids') ?? '');
  };
  expect(await asked()).toEqual(['1,2']);
  expect(await asked()).toEqual([]);
  await vi.advanceTimersByTimeAsync(30_000);
  expect(await asked()).toEqual(['1']);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(await asked()).toEqual(['1,2']);
  vi.useRealTimers();
});

describe('the address', () => {
  test('takes small steps in place and keeps other parameters', () => {
    vi.useFakeTimers();
    const stop = router.run();
    const length = history.length;
    router.set({ vendor: 'enphase' });
    router.set({ q: 'oak' });
    flushSync();
    expect(router.get('vendor')).toBe('enphase');
    vi.advanceTimersByTime(1000);
    expect(location.hash).toBe('#/?vendor=enphase&q=oak');
    expect(history.length).toBe(length);
    stop();
    vi.useRealTimers();
  });
});
