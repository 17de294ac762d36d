import { createQuery } from '@tanstack/svelte-query';
import { api, data } from '../api/client';
import { keys } from './keys';
import { session } from './session.svelte';

/** How many alerts go on that nobody has acknowledged, for the badge of the navigation. */
export class AlertCount {
  #query = createQuery(
    () => ({
      queryKey: keys.alerts('count'),
      queryFn: async (): Promise<number> =>
        (await data(api.GET('/api/alerts', { params: { query: { status: 'unacknowledged', limit: 1 } } }))).total,
      refetchInterval: 60_000,
    }),
    () => session.queries,
  );

  get open(): number {
    return this.#query.data ?? 0;
  }
}
