import { createQuery } from '@tanstack/svelte-query';
import { api, data, type Schemas } from '../api/client';
import { messages } from '../messages';
import { keys } from './keys';
import { session } from './session.svelte';

/** Versions, what is shipped of Python, and where the data is. */
export class About {
  #query = createQuery(
    () => ({
      queryKey: keys.about(),
      queryFn: (): Promise<Schemas['AboutOut']> => data(api.GET('/api/about')),
      staleTime: 60_000,
    }),
    () => session.queries,
  );

  get data(): Schemas['AboutOut'] | undefined {
    return this.#query.data;
  }

  get error(): Error | null {
    return this.#query.data === undefined ? this.#query.error : null;
  }

  retry(): void {
    void this.#query.refetch();
  }
}

/** Where credentials are kept. */
export class SecretStore {
  #query = createQuery(
    () => ({
      queryKey: keys.secrets(),
      queryFn: (): Promise<Schemas['SecretStoreOut']> => data(api.GET('/api/secrets')),
    }),
    () => session.queries,
  );

  get data(): Schemas['SecretStoreOut'] | undefined {
    return this.#query.data;
  }

  get error(): Error | null {
    return this.#query.data === undefined ? this.#query.error : null;
  }
}

type Package = Schemas['PackageOut'];

/** What the pages themselves are made of; written when they are built. */
export class Licences {
  #query = createQuery(
    () => ({
      queryKey: ['licences'],
      queryFn: async (): Promise<Package[]> => {
        const answer = await fetch('/licences.json');
        if (!answer.ok) throw new Error(messages.about.noLicences);
        return (await answer.json()) as Package[];
      },
      staleTime: Infinity,
    }),
    () => session.queries,
  );

  get data(): Package[] | undefined {
    return this.#query.data;
  }

  get error(): Error | null {
    return this.#query.error;
  }
}
