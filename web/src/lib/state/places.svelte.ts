import { createQuery } from '@tanstack/svelte-query';
import { api, data, type Schemas } from '../api/client';
import { messages } from '../messages';
import { problemOf } from './asking';
import type { Place } from './care.svelte';
import { keys } from './keys';
import { session } from './session.svelte';

export type Proposal = Schemas['ProposalOut'];
export type PlacePatch = Schemas['PlacePatch'];
export type Role = 'same_generation' | 'additional';
export type Field = Exclude<keyof PlacePatch, 'name'>;
export type { Place };

export const FIELDS: readonly Field[] = [
  'customer',
  'phone',
  'address',
  'reference',
  'permission_to_operate_on',
  'tilt',
  'modules',
  'warranty',
  'notes',
];

/** What a place counts before and after a merge, kWp; null where a peak is not known. */
export function afterMerge(here: Place, other: Place, role: Role): { before: number | null; after: number | null } {
  const known = here.peak_power_kw !== null && other.peak_power_kw !== null;
  const sum = known ? here.peak_power_kw! + other.peak_power_kw! : null;
  return { before: sum, after: role === 'additional' ? sum : here.peak_power_kw };
}

/** Every place, what may be one roof, and the acts that make two places one and take them apart. */
export class Places {
  #busy = $state(false);
  #told = $state('');
  #problem = $state('');
  /** Takes the last act back; the answer says what could not be, empty for nothing. */
  #undo = $state.raw<(() => Promise<string>) | null>(null);
  #places = createQuery(
    () => ({
      queryKey: keys.places(),
      queryFn: async (): Promise<Place[]> => (await data(api.GET('/api/places'))).items,
    }),
    () => session.queries,
  );
  #proposals = createQuery(
    () => ({
      queryKey: keys.proposals(),
      queryFn: async (): Promise<Proposal[]> => (await data(api.GET('/api/places/proposals'))).items,
      staleTime: 60_000,
    }),
    () => session.queries,
  );

  get all(): Place[] {
    return this.#places.data ?? [];
  }

  get pending(): boolean {
    return this.#places.isPending;
  }

  get error(): Error | null {
    return this.#places.data === undefined ? this.#places.error : null;
  }

  /** What may be one roof; nothing while places are not known. */
  get proposals(): Proposal[] {
    const known = new Set(this.all.map((place) => place.id));
    return (this.#proposals.data ?? []).filter(({ places }) => places.every((id) => known.has(id)));
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** What the last act did, in words. */
  get told(): string {
    return this.#told;
  }

  get problem(): string {
    return this.#problem;
  }

  get undoable(): boolean {
    return this.#undo !== null;
  }

  place(id: number): Place | undefined {
    return this.all.find((place) => place.id === id);
  }

  retry(): void {
    void this.#places.refetch();
  }

  merge(here: Place, other: Place, role: Role): Promise<boolean> {
    const words = messages.places;
    return this.#act(words.merged(here.name, other.name), async () => {
      await data(
        api.POST('/api/places/{place_id}/merge', {
          params: { path: { place_id: here.id } },
          body: { place: other.id, role },
        }),
      );
      return () =>
        data(
          api.POST('/api/places/{place_id}/merge/undo', {
            params: { path: { place_id: here.id } },
            body: { place: other.id },
          }),
        );
    });
  }

  /** Gives a site a place of its own. */
  split(from: Place, site: Schemas['PlaceSite']): Promise<boolean> {
    return this.#act(messages.places.wasSplit(site.name, from.name), async () => {
      await moveSite(site.id, { place: null });
      return async () => {
        await moveSite(site.id, { place: from.id, role: site.role });
        // The split may have made another one the one that counts.
        for (const { id, role } of from.sites) await moveSite(id, { role });
      };
    });
  }

  dismiss(proposal: Proposal, dismissed: boolean): Promise<boolean> {
    const words = messages.places;
    return this.#act(dismissed ? words.dismissed : words.broughtBack, async () => {
      const say = async (value: boolean): Promise<void> => {
        const sites = proposal.sites.map((site) => site.id);
        await data(api.POST('/api/places/proposals/dismiss', { body: { sites, dismissed: value } }));
      };
      await say(dismissed);
      return () => say(!dismissed);
    });
  }

  /** Tells what an import has written, and offers to take it back. */
  wasImported(lines: Imported['lines']): void {
    this.#told = messages.places.import.done(lines.length);
    this.#undo = async (): Promise<string> => {
      const { left } = await data(api.POST('/api/places/import/undo', { body: { lines } }));
      return left ? messages.places.import.left(left) : '';
    };
  }

  async undo(): Promise<void> {
    const undo = this.#undo;
    if (!undo) return;
    let left = '';
    await this.#act(messages.places.undone, async () => {
      left = await undo();
      return null;
    });
    if (left) this.#told = left;
  }

  async #act(told: string, act: () => Promise<(() => Promise<unknown>) | null>): Promise<boolean> {
    if (this.#busy) return false;
    this.#busy = true;
    this.#problem = '';
    try {
      const undo = await act();
      this.#undo =
        undo &&
        (async (): Promise<string> => {
          await undo();
          return '';
        });
      this.#told = told;
      await renew();
      return true;
    } catch (error) {
      this.#problem = problemOf(error);
      return false;
    } finally {
      this.#busy = false;
    }
  }
}

async function renew(): Promise<void> {
  for (const key of [keys.sites(), keys.fleet(), ['site'], keys.alerts(), keys.proposals()]) {
    void session.queries.invalidateQueries({ queryKey: key });
  }
  await session.queries.invalidateQueries({ queryKey: keys.places() });
}

async function moveSite(id: number, body: Schemas['SitePatch']): Promise<void> {
  await data(api.PATCH('/api/sites/{site_id}', { params: { path: { site_id: id } }, body }));
}

/** Saves one line of a place's sheet; throws with the server's sentence. */
export async function saveSheet(id: number, patch: PlacePatch): Promise<void> {
  await data(api.PATCH('/api/places/{place_id}', { params: { path: { place_id: id } }, body: patch }));
  await renew();
}

export type Imported = Schemas['ImportOut'];

/** A file of sheets: what it would change, and the same written. */
export class SheetImport {
  #csv = '';
  #name = $state('');
  #preview = $state.raw<Imported | null>(null);
  #busy = $state(false);
  #problem = $state('');

  readonly changing = $derived.by(() => this.#preview?.lines.filter((line) => line.changes.length > 0) ?? []);
  readonly wrong = $derived.by(() => this.#preview?.lines.filter((line) => line.problem !== '') ?? []);

  get name(): string {
    return this.#name;
  }

  get preview(): Imported | null {
    return this.#preview;
  }

  get busy(): boolean {
    return this.#busy;
  }

  get problem(): string {
    return this.#problem;
  }

  async look(name: string, csv: string): Promise<void> {
    this.#name = name;
    this.#csv = csv;
    this.#preview = null;
    await this.#ask(false);
  }

  /** Writes what was shown; the places tell it, and can take it back. */
  async apply(places: Places): Promise<void> {
    await this.#ask(true);
    if (!this.#preview?.applied) return;
    places.wasImported(this.changing);
    await renew();
  }

  async #ask(apply: boolean): Promise<void> {
    this.#busy = true;
    this.#problem = '';
    try {
      const body = { csv: this.#csv, apply, mark: apply ? (this.#preview?.mark ?? null) : null };
      this.#preview = await data(api.POST('/api/places/import', { body }));
    } catch (error) {
      this.#problem = problemOf(error);
    } finally {
      this.#busy = false;
    }
  }
}
