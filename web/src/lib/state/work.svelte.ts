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

/** What a column of a portal's table is said to be. */
export interface Said {
  means: string;
  unit: string;
  device: string;
}

type Reading = Schemas['HistoryIn'];

/** A file of history: sent, looked at, taken in. */
export class HistoryFile {
  /** By column. */
  said = $state<Record<string, Said>>({});
  /** What is said of the file as a whole; empty is found by itself. */
  site = $state('');
  dates = $state('');
  decimal = $state('');
  stamps = $state('');
  covers = $state('');
  zone = $state('');
  #id = $state('');
  #lines = $state<string[]>([]);
  #problem = $state('');
  #busy = $state(false);
  #query = createQuery(
    () => ({
      queryKey: keys.imported(this.#id),
      queryFn: () => data(api.GET('/api/imports/{import_id}', { params: { path: { import_id: this.#id } } })),
      enabled: this.#id !== '',
      refetchInterval: (query: { state: { data?: Schemas['HistoryOut'] | undefined } }) =>
        query.state.data?.state === 'running' ? RUNNING_MS : false,
    }),
    () => session.queries,
  );

  get data(): Schemas['HistoryOut'] | undefined {
    return this.#id ? this.#query.data : undefined;
  }

  /** The preview. */
  get lines(): string[] {
    return this.#lines;
  }

  get problem(): string {
    return this.#problem;
  }

  /** Whether a column tells the device of each row. */
  get hasDevices(): boolean {
    return Object.values(this.said).some((said) => said.means === 'device');
  }

  get busy(): boolean {
    return this.#busy || this.data?.state === 'running';
  }

  /** Sends a file; one that was sent before is forgotten. */
  async send(name: string, content: ArrayBuffer): Promise<void> {
    await this.#act(async () => {
      if (this.#id) await this.#remove();
      const sent = await data(
        api.POST('/api/imports', {
          params: { query: { name } },
          headers: { 'Content-Type': 'application/octet-stream' },
          body: content as never,
          bodySerializer: (body: unknown) => body as ArrayBuffer,
        }),
      );
      this.said = Object.fromEntries(sent.columns.map((column) => [column, { means: '', unit: '', device: '' }]));
      session.queries.setQueryData(keys.imported(sent.id), sent);
      this.#id = sent.id;
    });
  }

  /** Something else is said of it, so that the preview no longer holds. */
  changed(): void {
    this.#lines = [];
  }

  async look(): Promise<void> {
    await this.#act(async () => {
      const asked = { params: { path: { import_id: this.#id } }, body: this.#wanted };
      this.#lines = (await data(api.POST('/api/imports/{import_id}/preview', asked))).lines;
    });
  }

  async run(): Promise<void> {
    await this.#act(async () => {
      const asked = { params: { path: { import_id: this.#id } }, body: this.#wanted };
      session.queries.setQueryData(keys.imported(this.#id), await data(api.POST('/api/imports/{import_id}/run', asked)));
    });
  }

  /** Stops it while it runs, else deletes the file. */
  async remove(): Promise<void> {
    await this.#act(() => this.#remove());
  }

  async #remove(): Promise<void> {
    const stops = this.data?.state === 'running';
    await data(api.DELETE('/api/imports/{import_id}', { params: { path: { import_id: this.#id } } }));
    if (!stops) this.#id = '';
  }

  get #wanted(): Reading {
    const columns = Object.entries(this.said).filter(([, said]) => said.means);
    return {
      site: this.site ? Number(this.site) : null,
      columns: columns.map(([name, { means, unit, device }]) => ({
        name,
        means,
        unit: unit || null,
        device: this.hasDevices ? '' : device,
      })),
      dates: (this.dates || null) as NonNullable<Reading['dates']> | null,
      decimal: (this.decimal || null) as NonNullable<Reading['decimal']> | null,
      stamps: (this.stamps || null) as NonNullable<Reading['stamps']> | null,
      interval_s: this.covers ? Number(this.covers) : null,
      zone: this.zone.trim() || null,
      replace: false,
    };
  }

  async #act(act: () => Promise<void>): Promise<void> {
    this.#problem = '';
    this.#lines = [];
    this.#busy = true;
    try {
      await act();
    } catch (error) {
      session.refused(error);
      this.#problem = error instanceof Error ? error.message : messages.common.failed;
    }
    this.#busy = false;
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
