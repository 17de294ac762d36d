import { createQuery } from '@tanstack/svelte-query';
import { api, data, type Schemas } from '../api/client';
import { messages } from '../messages';
import { keys } from './keys';
import { session } from './session.svelte';

export type Export = Schemas['ExportOut'];

const RUNNING_MS = 1_500;

/** The exports that are written or being written. */
export class Exports {
  #problem = $state('');
  #query = createQuery(
    () => ({
      queryKey: keys.exports(),
      queryFn: async (): Promise<Export[]> => (await data(api.GET('/api/exports'))).items,
      // Events tell of progress; a stream that is lost must not leave a bar standing.
      refetchInterval: (query: { state: { data?: Export[] | undefined } }) =>
        query.state.data?.some(isRunning) ? RUNNING_MS : false,
    }),
    () => session.queries,
  );

  get data(): Export[] | undefined {
    return this.#query.data;
  }

  get error(): Error | null {
    return this.#query.data === undefined ? this.#query.error : null;
  }

  get problem(): string {
    return this.#problem;
  }

  retry(): void {
    void this.#query.refetch();
  }

  /** Begins one; dates are days in UTC, both of them within. */
  async begin(site: number | null, from: string, to: string): Promise<void> {
    await this.#act(async () => {
      await data(api.POST('/api/exports', { body: { site, from: from || null, to: dayAfter(to) } }));
    });
  }

  /** Stops one, or deletes its file. */
  async remove(one: Export): Promise<void> {
    await this.#act(async () => {
      await data(api.DELETE('/api/exports/{name}', { params: { path: { name: one.name } } }));
    });
  }

  async #act(act: () => Promise<void>): Promise<void> {
    this.#problem = '';
    try {
      await act();
    } catch (error) {
      session.refused(error);
      this.#problem = error instanceof Error ? error.message : messages.common.failed;
    }
    await session.queries.invalidateQueries({ queryKey: keys.exports() });
  }
}

/** Whether it goes on. */
export function isRunning(one: Export): boolean {
  return one.state === 'waiting' || one.state === 'running';
}

function dayAfter(date: string): string | null {
  if (!date) return null;
  return new Date(Date.parse(`${date}T00:00:00Z`) + 86_400_000).toISOString().slice(0, 10);
}
