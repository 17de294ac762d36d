import { api, data, type Schemas } from '../api/client';
import { messages } from '../messages';
import type { PanelCell } from '../panelday';
import type { Slot } from '../positions';
import { keys } from './keys';
import type { PanelsState } from './panels.svelte';
import { session } from './session.svelte';
import { sentence, type SiteState } from './site.svelte';

export type Imported = Schemas['PositionsOut'];
type Placed = Schemas['PlacedIn'];

/** Where panels lie by the user's word: moving them, and taking a move back. */
export class Positions {
  #site: SiteState;
  #panels: PanelsState;
  #undo = $state.raw<Placed[] | null>(null);
  #said = $state('');
  #problem = $state('');

  constructor(site: SiteState, panels: PanelsState) {
    this.#site = site;
    this.#panels = panels;
  }

  /** What was done last, in words. */
  get said(): string {
    return this.#said;
  }

  get problem(): string {
    return this.#problem;
  }

  get canUndo(): boolean {
    return this.#undo !== null;
  }

  say(words: string): void {
    this.#said = words;
    this.#problem = '';
  }

  /** Puts a panel into a place; whoever is there goes to where it came from, or to nowhere. */
  async move(index: number, from: Slot | null, to: Slot, there: number | null): Promise<void> {
    const cell = this.#panels.cells[index];
    if (!cell || there === index) return;
    const items: Placed[] = [{ device_id: cell.device_id, ...to }];
    const other = there === null ? undefined : this.#panels.cells[there];
    if (other) items.push({ device_id: other.device_id, ...(from ?? NOWHERE) });
    await this.#put(items, messages.panels.positions.moved(cell.serial_number ?? messages.panels.serialUnknown, to.row, to.column));
  }

  /** Puts panels that lie nowhere into rows of an array of their own, in the order of their serials. */
  async placeAll(indices: readonly number[], columns: number): Promise<void> {
    const taken = this.#panels.roof.arrays.find((array) => array.name === null);
    const below = Math.max(0, ...(taken?.rows.keys() ?? []));
    const items = indices.map((index, place) => ({
      device_id: this.#panels.cells[index]!.device_id,
      array: null,
      row: below + 1 + Math.floor(place / columns),
      column: 1 + (place % columns),
    }));
    await this.#put(items, messages.panels.positions.placedAll(items.length));
  }

  async undo(): Promise<void> {
    if (this.#undo) await this.#put(this.#undo, messages.panels.positions.undone, false);
  }

  /** Takes the user's word of every panel back. */
  async takeBack(): Promise<void> {
    const mine = this.#panels.cells.filter((cell) => cell.position?.by === 'user');
    await this.#put(
      mine.map((cell) => ({ device_id: cell.device_id, ...NOWHERE })),
      messages.panels.positions.takenBack(mine.length),
    );
  }

  /** What the lines of a CSV change; without `preview` they are saved. Throws ApiError with the server's sentence. */
  async read(text: string, preview: boolean): Promise<Imported> {
    try {
      const found = await data(
        api.POST('/api/sites/{site_id}/positions/csv', {
          params: { path: { site_id: this.#site.id } },
          body: { text, preview },
        }),
      );
      if (!preview) {
        this.#undo = found.changes.map(({ before }) => wordOf(before.device_id, before));
        this.say(messages.panels.positions.imported(found.changes.length));
        void session.queries.invalidateQueries({ queryKey: keys.site(this.#site.id) });
      }
      return found;
    } catch (error) {
      session.refused(error);
      throw error;
    }
  }

  async #put(items: Placed[], words: string, remember = true): Promise<void> {
    const before = items.map(({ device_id }) => {
      const cell = this.#panels.cells.find((one) => one.device_id === device_id);
      return wordOf(device_id, cell?.position?.by === 'user' ? cell.position : null);
    });
    this.#show(items);
    try {
      await data(
        api.PATCH('/api/sites/{site_id}/positions', { params: { path: { site_id: this.#site.id } }, body: { items } }),
      );
      this.#undo = remember ? before : null;
      this.say(words);
    } catch (error) {
      this.#show(before);
      session.refused(error);
      this.#problem = sentence(error);
    }
  }

  #show(items: readonly Placed[]): void {
    const cells = new Map(this.#panels.cells.map((cell) => [cell.device_id, cell]));
    this.#panels.showPlaced(new Map(items.map((item) => [item.device_id, positionOf(item, cells.get(item.device_id))])));
  }
}

const NOWHERE = { array: null, row: null, column: null };

function wordOf(device: number, slot: { array: string | null; row: number | null; column: number | null } | null): Placed {
  return { device_id: device, array: slot?.array ?? null, row: slot?.row ?? null, column: slot?.column ?? null };
}

function positionOf(item: Placed, cell: PanelCell | undefined): PanelCell['position'] {
  const { x, y } = cell?.position ?? { x: null, y: null };
  if (item.row === null && x === null) return null;
  return { by: item.row === null ? 'vendor' : 'user', array: item.array ?? null, row: item.row, column: item.column, x, y };
}
