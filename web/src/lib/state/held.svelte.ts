/** On an answer that a lost server gave before: when it gave it, in epoch seconds. */
const HEADER = 'sungaze-held';

/** How old what is shown may be while the server elsewhere does not answer. */
class Held {
  #since = $state<number | null>(null);

  /** When the oldest answer on this page was given, of those that were given again; null when all are new. */
  get since(): number | null {
    return this.#since;
  }

  note(answer: Response): void {
    const at = Number(answer.headers.get(HEADER) ?? 0);
    if (at > 0) this.#since = Math.min(at, this.#since ?? at);
  }

  forget(): void {
    this.#since = null;
  }
}

export const held = new Held();
