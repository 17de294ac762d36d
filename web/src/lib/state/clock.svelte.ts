import { VIEWER } from '../time';

/** Times told in each site's own zone, all in the viewer's, or all in UTC. A site's days are its own in any case. */
export type Times = 'site' | 'local' | 'utc';

/** The viewer's clock, told on in steps that are fine enough for ages in minutes. */
class Clock {
  #now = $state(Date.now() / 1000);
  #times = $state<Times>('site');

  get now(): number {
    return this.#now;
  }

  /** The zone of times that belong to no site: the viewer's, or UTC where that is wished. */
  get zone(): string {
    return this.#times === 'utc' ? 'UTC' : VIEWER;
  }

  /** The zone that a site's times are told in: its own, unless one is wished for everything. */
  told(site: string | null): string {
    return this.#times === 'site' && site ? site : this.zone;
  }

  tell(times: Times): void {
    this.#times = times;
  }

  /** Starts it; the answer stops it. */
  run(): () => void {
    const tick = (): void => {
      this.#now = Date.now() / 1000;
    };
    tick();
    const timer = setInterval(tick, 10_000);
    document.addEventListener('visibilitychange', tick);
    return () => {
      clearInterval(timer);
      document.removeEventListener('visibilitychange', tick);
    };
  }
}

export const clock = new Clock();
