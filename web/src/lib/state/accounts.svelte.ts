import { createQuery } from '@tanstack/svelte-query';
import { api, ApiError, data, type Account, type Schemas, type Vendor } from '../api/client';
import { messages } from '../messages';
import { keys } from './keys';
import { session } from './session.svelte';

const QUOTAS_MS = 15_000;

/** The connected accounts. */
export class Accounts {
  #busy = $state<Record<number, boolean>>({});
  #said = $state<Record<number, string>>({});
  #query = createQuery(
    () => ({
      queryKey: keys.accounts(),
      queryFn: async (): Promise<Account[]> => (await data(api.GET('/api/accounts'))).items,
      refetchInterval: QUOTAS_MS,
    }),
    () => session.queries,
  );

  get data(): Account[] | undefined {
    return this.#query.data;
  }

  get error(): Error | null {
    return this.#query.data === undefined ? this.#query.error : null;
  }

  retry(): void {
    void this.#query.refetch();
  }

  busy(id: number): boolean {
    return this.#busy[id] ?? false;
  }

  /** What the last act on an account answered. */
  said(id: number): string {
    return this.#said[id] ?? '';
  }

  /** Looks now; the answer tells what it spends. */
  async refresh(id: number): Promise<void> {
    await this.#act(id, async () => {
      const answer = await data(
        api.POST('/api/accounts/{account_id}/refresh', { params: { path: { account_id: id } } }),
      );
      this.#said[id] = answer.message;
    });
  }

  /** Disconnects and says whether that worked. All history stays. */
  async disconnect(id: number): Promise<boolean> {
    return this.#act(id, async () => {
      await data(api.DELETE('/api/accounts/{account_id}', { params: { path: { account_id: id } } }));
    });
  }

  async #act(id: number, act: () => Promise<void>): Promise<boolean> {
    this.#busy[id] = true;
    this.#said[id] = '';
    try {
      await act();
      await session.queries.invalidateQueries({ queryKey: keys.accounts() });
      void session.queries.invalidateQueries();
      return true;
    } catch (error) {
      session.refused(error);
      this.#said[id] = error instanceof Error ? error.message : messages.common.failed;
      return false;
    } finally {
      this.#busy[id] = false;
    }
  }
}

/** Every vendor and what it declares. */
export class Vendors {
  #query = createQuery(
    () => ({
      queryKey: keys.vendors(),
      queryFn: async (): Promise<Vendor[]> => (await data(api.GET('/api/vendors'))).items,
      staleTime: Infinity,
    }),
    () => session.queries,
  );

  get data(): Vendor[] | undefined {
    return this.#query.data;
  }

  get error(): Error | null {
    return this.#query.data === undefined ? this.#query.error : null;
  }

  /** A vendor's own name, or its id until that is known. */
  name(id: string): string {
    return this.#query.data?.find((vendor) => vendor.id === id)?.name ?? id;
  }

  retry(): void {
    void this.#query.refetch();
  }
}

export type Probe = Schemas['ProbeOut'];
type Wish = Schemas['ConnectIn'];

/** The connect form: what was chosen and typed, what the vendor showed for it, and what went wrong. */
export class ConnectForm {
  #vendors: Vendors;
  #vendorId = $state('');
  #methodId = $state('');
  #planId = $state('');
  #probe = $state.raw<Probe | null>(null);
  #probedFor = $state('');
  #working = $state<'' | 'probe' | 'save'>('');
  #problem = $state('');
  values = $state<Record<string, string>>({});
  label = $state('');
  baseUrl = $state('');
  /** Whether the user agreed to what this way in asks for. */
  consent = $state(false);

  readonly vendor = $derived.by(() => this.#vendors.data?.find((vendor) => vendor.id === this.#vendorId));
  readonly method = $derived.by(
    () => this.vendor?.methods.find((method) => method.id === this.#methodId) ?? this.vendor?.methods[0],
  );
  /** The plans that fit the method, the default first. */
  readonly plans = $derived.by(() => {
    const known = this.vendor?.plans ?? [];
    return (this.method?.plans ?? []).flatMap((id) => known.filter((plan) => plan.id === id));
  });
  readonly plan = $derived.by(() => this.plans.find((plan) => plan.id === this.#planId) ?? this.plans[0]);
  readonly #wish = $derived.by((): Wish => {
    const credentials: Record<string, string> = {};
    for (const field of this.method?.fields ?? []) {
      const value = (this.values[field.name] ?? '').trim();
      if (value) credentials[field.name] = value;
    }
    return {
      vendor: this.#vendorId,
      method: this.method?.id ?? null,
      plan: this.plan?.id ?? null,
      label: this.label.trim() || null,
      base_url: this.baseUrl.trim() || null,
      consent: this.consent,
      credentials,
    };
  });
  /** What the credential sees, as long as nothing of the form was changed since. */
  readonly probe = $derived.by(() => (this.#probedFor === this.#fingerprint() ? this.#probe : null));
  readonly missing = $derived.by(() =>
    (this.method?.fields ?? []).filter((field) => field.required && !this.values[field.name]?.trim()),
  );

  constructor(vendors: Vendors) {
    this.#vendors = vendors;
  }

  get working(): '' | 'probe' | 'save' {
    return this.#working;
  }

  /** The server's sentence about what went wrong; the fields keep what was typed. */
  get problem(): string {
    return this.#problem;
  }

  choose(wish: { vendor: string; method?: string; plan?: string }): void {
    if (wish.vendor !== this.#vendorId) {
      this.values = {};
      this.consent = false;
      this.#problem = '';
    }
    this.#vendorId = wish.vendor;
    this.#methodId = wish.method ?? '';
    this.#planId = wish.plan ?? '';
  }

  chooseMethod(id: string): void {
    this.#methodId = id;
    this.#planId = '';
    this.consent = false;
  }

  choosePlan(id: string): void {
    this.#planId = id;
  }

  async look(): Promise<void> {
    await this.#ask('probe', async () => {
      const asked = this.#fingerprint();
      this.#probe = await data(api.POST('/api/accounts/probe', { body: this.#wish }));
      this.#probedFor = asked;
    });
  }

  /** Saves; says the new account, or null where it was refused. */
  async save(): Promise<Account | null> {
    let saved: Account | null = null;
    await this.#ask('save', async () => {
      saved = await data(api.POST('/api/accounts', { body: this.#wish }));
      this.values = {};
      void session.queries.invalidateQueries();
    });
    return saved;
  }

  #fingerprint(): string {
    const { label: _, ...rest } = this.#wish;
    return JSON.stringify(rest);
  }

  async #ask(what: 'probe' | 'save', act: () => Promise<void>): Promise<void> {
    if (this.#working) return;
    this.#working = what;
    this.#problem = '';
    try {
      await act();
    } catch (error) {
      session.refused(error);
      this.#problem =
        error instanceof ApiError && error.status === 0
          ? messages.entry.unreachable
          : error instanceof Error
            ? error.message
            : messages.common.failed;
    } finally {
      this.#working = '';
    }
  }
}
