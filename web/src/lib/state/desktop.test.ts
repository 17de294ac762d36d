import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Alert } from '../api/client';
import type { Desktop } from '../bridge.gen';
import { Unseen } from './alarmwatch.svelte';
import { desktop } from './desktop.svelte';

const INFO = { version: '1', platform: 'Linux', webview: 'WebKitGTK 2.50', data_dir: '/home/ann/solar' };

function bridge(changes: Partial<Desktop> = {}): void {
  window.pywebview = {
    api: {
      app_info: () => Promise.resolve(INFO),
      secret_store_state: () => Promise.resolve({ kind: 'unknown', said: '?' }),
      ...changes,
    },
  };
}

let stop = (): void => {};
beforeEach(() => {
  document.body.innerHTML = '<a id="csv" href="/api/export?site=3" download>CSV</a><a id="off" href="https://x.test/a" download>X</a>';
});
afterEach(() => {
  stop();
  desktop.dismiss();
  delete window.pywebview;
});

const press = (id: string): boolean => document.getElementById(id)!.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true }));

describe('in the desktop window', () => {
  test('a download goes through the window, and its file can be shown', async () => {
    const save = vi.fn(() => Promise.resolve({ saved: '/home/ann/a.csv', name: 'a.csv' }));
    const reveal = vi.fn((path: string) => Promise.resolve({ revealed: path }));
    bridge({ save_file: save, reveal });
    stop = desktop.run();
    await vi.waitFor(() => expect(desktop.here).toBe(true));
    expect(press('csv')).toBe(false);
    await vi.waitFor(() => expect(desktop.saved?.name).toBe('a.csv'));
    expect(save).toHaveBeenCalledWith('/api/export?site=3', '');
    await desktop.reveal(desktop.saved!.saved);
    expect(reveal).toHaveBeenCalledWith('/home/ann/a.csv');
    expect(desktop.problem).toBe('');
  });

  test('a refusal is said in the desktop’s words, a cancelled dialog says nothing', async () => {
    const answers = [{ error: 'The disk is full.' }, { cancelled: true as const }];
    bridge({ save_file: () => Promise.resolve(answers.shift()!) });
    await desktop.save('/api/export', '');
    expect(desktop.problem).toBe('The disk is full.');
    await desktop.save('/api/export', '');
    expect([desktop.problem, desktop.saved]).toEqual(['', null]);
  });

  test('a bridge that breaks is a sentence too', async () => {
    bridge({ save_file: () => Promise.reject(new Error('gone')) });
    await desktop.save('/api/export', '');
    expect(desktop.problem).toContain('did not answer');
  });

  test('a chosen sheet comes with its bytes as they are', async () => {
    bridge({ open_file: () => Promise.resolve({ name: 'a.csv', size: 3, content: btoa('a\xe9\x00') }) });
    const sheet = await desktop.openSheet();
    expect(sheet?.name).toBe('a.csv');
    expect([...new Uint8Array(sheet!.content)]).toEqual([97, 0xe9, 0]);
  });

  test('the title says how many need the user, once for each number', async () => {
    const set = vi.fn((title: string) => Promise.resolve({ title }));
    bridge({ set_title: set });
    stop = desktop.run();
    await vi.waitFor(() => expect(desktop.here).toBe(true));
    desktop.title(3, false);
    desktop.title(3, false);
    desktop.title(0, true);
    desktop.title(1, false, 'office:8123');
    expect(set.mock.calls.map(([title]) => title)).toEqual(['(3) Sungaze', 'Sungaze (demo)', '(1) Sungaze at office:8123']);
  });

  test('a download to elsewhere is left alone', async () => {
    bridge({ save_file: () => Promise.reject(new Error('must not be asked')) });
    stop = desktop.run();
    document.getElementById('off')!.addEventListener('click', (event) => event.preventDefault());
    press('off');
    expect(desktop.problem).toBe('');
  });
});

test('in a browser a download is the browser’s own', () => {
  stop = desktop.run();
  document.addEventListener('click', (event) => expect(event.defaultPrevented).toBe(false), { once: true });
  press('csv');
});

describe('grave alarms that begin while nobody looks', () => {
  const alarm = (id: number, severity = 'error'): Alert => ({ id, severity }) as Alert;
  const told: number[][] = [];
  let unseen: Unseen;
  let focused = false;
  beforeEach(() => {
    vi.useFakeTimers();
    told.length = 0;
    focused = false;
    vi.spyOn(document, 'hasFocus').mockImplementation(() => focused);
    unseen = new Unseen((alerts) => told.push(alerts.map((one) => one.id)));
    unseen.look([alarm(1)]);
  });
  afterEach(() => vi.useRealTimers());

  test('are told once, and what was there before is not', () => {
    unseen.look([alarm(1), alarm(2), alarm(3, 'warning')]);
    unseen.look([alarm(1), alarm(2)]);
    vi.runAllTimers();
    expect(told).toEqual([[2]]);
  });

  test('are gathered for a minute after one was told', () => {
    unseen.look([alarm(2)]);
    vi.advanceTimersByTime(10);
    unseen.look([alarm(2), alarm(3, 'critical')]);
    unseen.look([alarm(2), alarm(3, 'critical'), alarm(4)]);
    vi.advanceTimersByTime(59_000);
    expect(told).toEqual([[2]]);
    vi.advanceTimersByTime(2_000);
    expect(told).toEqual([[2], [3, 4]]);
  });

  test('are not told to who looks at the window, nor once they are over', () => {
    unseen.look([alarm(2)]);
    unseen.look([]);
    vi.runAllTimers();
    focused = true;
    unseen.look([alarm(3)]);
    vi.runAllTimers();
    expect(told).toEqual([]);
  });
});
