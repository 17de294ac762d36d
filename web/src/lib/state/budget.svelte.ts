import { createQuery } from '@tanstack/svelte-query';
import { api, data, type Schemas } from '../api/client';
import { messages } from '../messages';
import { keys } from './keys';
import { session } from './session.svelte';

export type Budget = Schemas['BudgetOut'];
export type BackfillCost = Schemas['BackfillCost'];
export type Depth = 'daily' | 'finest';

/** How one account spends its calls, the user's caps, and older history: first its cost, then the word to buy it. */
export class BudgetState {
  readonly #id: number;
  #cost = $state.raw<BackfillCost | null>(null);
  #busy = $state(false);
  #problem = $state('');
  #query;

  constructor(id: number) {
    this.#id = id;
    this.#query = createQuery(
      () => ({
        queryKey: keys.budget(id),
        queryFn: async (): Promise<Budget> =>
          data(api.GET('/api/accounts/{account_id}/budget', { params: { path: { account_id: id } } })),
        refetchInterval: 15_000,
      }),
      () => session.queries,
    );
  }

  get data(): Budget | undefined {
    return this.#query.data;
  }

  get cost(): BackfillCost | null {
    return this.#cost;
  }

  get busy(): boolean {
    return this.#busy;
  }

  get problem(): string {
    return this.#problem;
  }

  /** What was said belongs to another choice. */
  forget(): void {
    this.#cost = null;
  }

  async setCap(window: string, cap: number | null): Promise<void> {
    await this.#act(async () => {
      await data(
        api.PATCH('/api/accounts/{account_id}', {
          params: { path: { account_id: this.#id } },
          body: { caps: { [window]: cap } },
        }),
      );
    });
  }

  /** What a backfill would cost; nothing is begun. */
  async look(depth: Depth, from: string): Promise<void> {
    await this.#backfill(depth, from, true);
  }

  async begin(depth: Depth, from: string): Promise<void> {
    await this.#backfill(depth, from, false);
  }

  async #backfill(depth: Depth, from: string, estimate: boolean): Promise<void> {
    await this.#act(async () => {
      this.#cost = await data(
        api.POST('/api/accounts/{account_id}/backfill', {
          params: { path: { account_id: this.#id } },
          body: { depth, from, estimate },
        }),
      );
    });
  }

  async #act(act: () => Promise<void>): Promise<void> {
    this.#busy = true;
    this.#problem = '';
    try {
      await act();
      await session.queries.invalidateQueries({ queryKey: keys.accounts() });
    } catch (error) {
      session.refused(error);
      this.#problem = error instanceof Error ? error.message : messages.common.failed;
    } finally {
      this.#busy = false;
    }
  }
}
