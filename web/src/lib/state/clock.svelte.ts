import { viewerZone } from '../time';

/** The viewer's clock, told on in steps that are fine enough for ages in minutes. */
class Clock {
  #now = $state(Date.now() / 1000);
  #zone = $state(viewerZone());

  get now(): number {
    return this.#now;
  }

  get zone(): string {
    return this.#zone;
  }

  /** Whether times that are not a site's own are told in UTC. */
  tellUtc(utc: boolean): void {
    this.#zone = utc ? 'UTC' : viewerZone();
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
