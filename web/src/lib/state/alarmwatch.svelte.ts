import { createQuery } from '@tanstack/svelte-query';
import { api, data, type Alert } from '../api/client';
import { ask } from '../bridge';
import { messages } from '../messages';
import { desktop } from './desktop.svelte';
import { keys } from './keys';
import { session } from './session.svelte';
import type { SettingsState } from './settings.svelte';

const REST_MS = 60_000;
const GRAVE = new Set(['critical', 'error']);

/** Grave alarms that began while nobody looked, told at most once a minute, as one. */
export class Unseen {
  #tell: (alerts: Alert[]) => void;
  #known: Set<number> | null = null;
  #waiting = new Map<number, Alert>();
  #toldAt = -Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(tell: (alerts: Alert[]) => void) {
    this.#tell = tell;
  }

  /** Takes the alarms that go on; what was there at the first look is known. */
  look(alerts: Alert[]): void {
    const grave = alerts.filter((alert) => GRAVE.has(alert.severity));
    const known = this.#known;
    this.#known = new Set(grave.map((alert) => alert.id));
    if (known === null) return;
    for (const id of this.#waiting.keys()) if (!this.#known.has(id)) this.#waiting.delete(id);
    for (const alert of grave) {
      if (!known.has(alert.id) && !document.hasFocus()) this.#waiting.set(alert.id, alert);
    }
    clearTimeout(this.#timer);
    if (this.#waiting.size > 0) this.#timer = setTimeout(() => this.#now(), Math.max(0, this.#toldAt + REST_MS - Date.now()));
  }

  /** The window is looked at: what waits needs no telling. */
  seen(): void {
    clearTimeout(this.#timer);
    this.#waiting.clear();
  }

  /** Begins anew: what is there at the next look is known. */
  forget(): void {
    this.seen();
    this.#known = null;
  }

  #now(): void {
    const alerts = [...this.#waiting.values()];
    this.#waiting.clear();
    if (document.hasFocus()) return;
    this.#toldAt = Date.now();
    this.#tell(alerts);
  }
}

/** Has the desktop tell of new alarms, where the page is in its window and the user has not switched it off. */
export class AlarmWatch {
  #unseen = new Unseen(notify);

  constructor(settings: SettingsState) {
    // The demo never notifies.
    const on = (): boolean => desktop.here && !session.demo && settings.known && settings.data.notify;
    const query = createQuery(
      () => ({
        queryKey: keys.alerts('watch'),
        queryFn: async (): Promise<Alert[]> =>
          (await data(api.GET('/api/alerts', { params: { query: { status: 'unacknowledged', limit: 200 } } }))).items,
        enabled: on(),
        refetchInterval: REST_MS,
        refetchIntervalInBackground: true,
      }),
      () => session.queries,
    );
    $effect(() => {
      if (!on()) this.#unseen.forget();
      else if (query.data) this.#unseen.look(query.data);
    });
    $effect(() => {
      const seen = (): void => this.#unseen.seen();
      addEventListener('focus', seen);
      return () => {
        removeEventListener('focus', seen);
        this.#unseen.forget();
      };
    });
  }
}

function notify(alerts: Alert[]): void {
  const words = messages.desktop;
  const [first] = alerts;
  if (!first) return;
  const name = first.site_name ?? first.account_label ?? messages.brand;
  void ask('notify', words.alarms(alerts.length), words.alarm(name, first.description, alerts.length - 1));
}
