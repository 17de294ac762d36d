import { QueryClient } from '@tanstack/svelte-query';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { live } from './live.svelte';

const LONG_MS = 60_000;

/** Counts the connections that are open. */
class Source extends EventTarget {
  static open = 0;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;

  constructor() {
    super();
    Source.open += 1;
  }

  close(): void {
    Source.open -= 1;
  }
}

let hidden = false;
let stop: () => void;
const queries = new QueryClient();
let asking: ReturnType<typeof vi.spyOn>;

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('EventSource', Source);
  vi.spyOn(document, 'hidden', 'get').mockImplementation(() => hidden);
  asking = vi.spyOn(queries, 'invalidateQueries').mockResolvedValue();
  stop = live.run(queries, () => {});
});

afterEach(() => {
  stop();
  expect(Source.open).toBe(0);
  hidden = false;
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

function show(on: boolean): void {
  hidden = !on;
  document.dispatchEvent(new Event('visibilitychange'));
}

test('a tab that nobody looks at gives its connection back, and asks for everything when it is looked at', () => {
  show(false);
  expect(Source.open).toBe(1);
  vi.advanceTimersByTime(LONG_MS);
  expect(Source.open).toBe(0);
  show(true);
  expect(Source.open).toBe(1);
  expect(asking).toHaveBeenCalledWith();
});

test('a look at another tab for a moment changes nothing', () => {
  show(false);
  vi.advanceTimersByTime(1000);
  show(true);
  vi.advanceTimersByTime(LONG_MS / 2);
  expect(Source.open).toBe(1);
  expect(asking).not.toHaveBeenCalled();
});

test('a page that is left gives its connection back, and listens again when “back” brings it', () => {
  dispatchEvent(new Event('pagehide'));
  expect(Source.open).toBe(0);
  dispatchEvent(new Event('pageshow'));
  expect(Source.open).toBe(1);
  expect(asking).toHaveBeenCalledWith();
});
