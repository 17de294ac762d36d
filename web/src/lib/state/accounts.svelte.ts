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

  /** Lets an account rest, or go on; what it owes is kept meanwhile. */
  async pause(id: number, paused: boolean): Promise<void> {
    await this.#act(id, async () => {
      await data(
        api.PATCH('/api/accounts/{account_id}', { params: { path: { account_id: id } }, body: { paused } }),
      );
      this.#said[id] = paused ? messages.accounts.pausedNow : messages.accounts.resumedNow;
    });
  }

  /** Buys no more history; what came stays. */
  async stopBackfill(id: number): Promise<void> {
    await this.#act(id, async () => {
      await data(api.DELETE('/api/accounts/{account_id}/backfill', { params: { path: { account_id: id } } }));
      this.#said[id] = messages.accounts.backfillStopped;
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

export type Archived = Schemas['ArchivedOut'];

/** History that is kept although no account reaches it any more. */
export class Archive {
  #query = createQuery(
    () => ({
      queryKey: keys.archive(),
      queryFn: async (): Promise<Archived[]> => (await data(api.GET('/api/archive'))).items,
    }),
    () => session.queries,
  );

  get data(): Archived[] | undefined {
    return this.#query.data;
  }

  /** Deletes what is kept of a site; the name is typed by the user. Answers what the server says, or throws it. */
  async remove(site: Archived, name: string): Promise<string> {
    try {
      const answer = await data(
        api.DELETE('/api/archive/{site_id}', { params: { path: { site_id: site.id } }, body: { name } }),
      );
      void session.queries.invalidateQueries();
      return answer.message;
    } catch (error) {
      session.refused(error);
      throw error;
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
export type Grant = Schemas['GrantOut'];

const GRANT_MS = 1_000;
/** What a consent brings back besides what is used once: SolarEdge's site. */
const BROUGHT = new Set(['site_id']);

/** The connect form: what was chosen and typed, what the vendor showed for it, and what went wrong. */
export class ConnectForm {
  #vendors: Vendors;
  #vendorId = $state('');
  #methodId = $state('');
  #planId = $state('');
  #probe = $state.raw<Probe | null>(null);
  #probedFor = $state('');
  #working = $state<'' | 'probe' | 'save' | 'consent'>('');
  #problem = $state('');
  #grant = $state.raw<Grant | null>(null);
  #asked = 0;
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
  /** Whether the owner agreed in the browser, so that what it brought need not be typed. */
  readonly granted = $derived.by(() => this.#grant?.state === 'received');
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
      grant: this.granted ? (this.#grant?.id ?? null) : null,
    };
  });
  /** What the credential sees, as long as nothing of the form was changed since. */
  readonly probe = $derived.by(() => (this.#probedFor === this.#fingerprint() ? this.#probe : null));
  readonly missing = $derived.by(() =>
    (this.method?.fields ?? []).filter(
      (field) => field.required && !this.values[field.name]?.trim() && !(this.granted && this.brings(field)),
    ),
  );
  /** The fields to be typed before an owner can be asked. */
  readonly missingForConsent = $derived.by(() => this.missing.filter((field) => !this.brings(field)));

  constructor(vendors: Vendors) {
    this.#vendors = vendors;
  }

  get grant(): Grant | null {
    return this.#grant;
  }

  /** Asks for the owner's consent and says the page to open; waits for what comes back as long as it may come. */
  async askConsent(comeBack: boolean): Promise<string | null> {
    let url: string | null = null;
    await this.#ask('consent', async () => {
      const { vendor, method, base_url, credentials } = this.#wish;
      const body = { vendor, method: method ?? '', base_url, credentials, come_back: comeBack };
      this.#grant = await data(api.POST('/api/accounts/grant', { body }));
      url = this.#grant.url;
    });
    if (url !== null && comeBack) void this.#await(++this.#asked);
    return url;
  }

  /** Stops waiting for a consent. */
  leave(): void {
    this.#asked += 1;
    this.#grant = null;
  }

  async #await(turn: number): Promise<void> {
    while (turn === this.#asked && this.#grant?.state === 'pending') {
      await new Promise((wake) => setTimeout(wake, GRANT_MS));
      const id = this.#grant?.id;
      if (turn !== this.#asked || id === undefined) return;
      try {
        const found = await data(
          api.GET('/api/accounts/grant/{grant_id}', { params: { path: { grant_id: id } } }),
        );
        if (turn === this.#asked) this.#grant = found;
      } catch (error) {
        // Nothing came this time; a consent that is not waited for any more is over.
        if (error instanceof ApiError && error.status === 404) this.leave();
      }
    }
  }

  /** Whether an owner's consent brings this field. */
  brings(field: Schemas['FieldOut']): boolean {
    return Boolean(this.method?.return_address) && (field.once || BROUGHT.has(field.name));
  }

  get working(): '' | 'probe' | 'save' | 'consent' {
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
      this.leave();
    }
    this.#vendorId = wish.vendor;
    this.#methodId = wish.method ?? '';
    this.#planId = wish.plan ?? '';
  }

  chooseMethod(id: string): void {
    this.leave();
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

  async #ask(what: 'probe' | 'save' | 'consent', act: () => Promise<void>): Promise<void> {
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
