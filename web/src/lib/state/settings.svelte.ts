import { createQuery } from '@tanstack/svelte-query';
import { api, data, type Schemas } from '../api/client';
import { writeFahrenheit, writeKilo } from '../format';
import { clock, type Times } from './clock.svelte';
import { keys } from './keys';
import { session } from './session.svelte';
import { theme, type Theme } from './theme.svelte';

export type Settings = Required<Schemas['SettingsOut']>;
type Patch = Schemas['SettingsPatch'];

const DEFAULTS: Settings = {
  theme: 'system',
  time: 'site',
  units: 'auto',
  temperature: 'celsius',
  group: 'need',
  columns: ['vendor', 'spark', 'power', 'today', 'yesterday', 'age'],
  notify: true,
};

/** What a patch has changed, as it was before. */
function unlike(before: Settings, patch: Patch): Partial<Settings> {
  return Object.fromEntries(Object.keys(patch).map((name) => [name, before[name as keyof Settings]]));
}

/** How the pages are to look. It is kept with the data, so that every window and every start agree. */
export class SettingsState {
  #problem = $state('');
  #turn = 0;
  #underWay = 0;
  #query = createQuery(
    () => ({
      queryKey: keys.settings(),
      queryFn: async (): Promise<Settings> => {
        const turn = this.#turn;
        const found = { ...DEFAULTS, ...(await data(api.GET('/api/settings'))) };
        // What was changed here meanwhile, or is being changed, is newer than this answer.
        if (turn !== this.#turn || this.#underWay > 0) return this.data;
        this.#apply(found);
        return found;
      },
      staleTime: Infinity,
    }),
    () => session.queries,
  );

  get data(): Settings {
    return this.#query.data ?? DEFAULTS;
  }

  get problem(): string {
    return this.#problem;
  }

  /** Whether they are known: until then the pages keep to what everybody gets. */
  get known(): boolean {
    return this.#query.data !== undefined;
  }

  async change(patch: Patch): Promise<void> {
    const before = this.data;
    const wanted = { ...before, ...patch } as Settings;
    const turn = ++this.#turn;
    this.#underWay += 1;
    this.#take(wanted);
    this.#problem = '';
    try {
      const kept = { ...wanted, ...(await data(api.PATCH('/api/settings', { body: patch }))) };
      // The answer to a change that another one has followed does not know of that one.
      if (turn === this.#turn) this.#take(kept);
    } catch (error) {
      session.refused(error);
      this.#take(turn === this.#turn ? before : { ...this.data, ...unlike(before, patch) });
      this.#problem = error instanceof Error ? error.message : '';
    } finally {
      this.#underWay -= 1;
    }
  }

  #take(settings: Settings): void {
    this.#apply(settings);
    session.queries.setQueryData(keys.settings(), settings);
  }

  #apply(settings: Settings): void {
    writeKilo(settings.units === 'kilo');
    writeFahrenheit(settings.temperature === 'fahrenheit');
    clock.tell(settings.time as Times);
    theme.choose(settings.theme as Theme);
  }
}
