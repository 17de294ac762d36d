import { createQuery } from '@tanstack/svelte-query';
import { api, data, type Schemas } from '../api/client';
import { problemOf } from './asking';
import { keys } from './keys';
import { session } from './session.svelte';

export type Place = Schemas['PlaceOut'];
export type Note = Schemas['NoteOut'];
type CarePatch = Schemas['CarePatch'];

export const WAITING_ON = ['customer', 'parts', 'rma', 'utility'] as const;

/** What people do about one place: its care, and its notes with their time. */
export class PlaceCare {
  #id: () => number;
  #problem = $state('');
  #busy = $state(false);
  #deleted = $state.raw<Note | null>(null);
  #place;
  #notes;
  #names;

  constructor(id: () => number) {
    this.#id = id;
    this.#place = createQuery(
      () => ({
        queryKey: keys.place(this.id),
        queryFn: (): Promise<Place> => data(api.GET('/api/places/{place_id}', { params: { path: { place_id: this.id } } })),
        // A snooze ends by itself.
        refetchInterval: 60_000,
      }),
      () => session.queries,
    );
    this.#notes = createQuery(
      () => ({
        queryKey: keys.notes(this.id),
        queryFn: async (): Promise<Note[]> =>
          (await data(api.GET('/api/places/{place_id}/notes', { params: { path: { place_id: this.id } } }))).items,
      }),
      () => session.queries,
    );
    this.#names = createQuery(
      () => ({
        queryKey: keys.assignees(),
        queryFn: async (): Promise<string[]> => (await data(api.GET('/api/places/assignees'))).items,
      }),
      () => session.queries,
    );
  }

  get id(): number {
    return this.#id();
  }

  get place(): Place | undefined {
    return this.#place.data;
  }

  get notes(): Note[] {
    return this.#notes.data ?? [];
  }

  /** Names that places were given to before. */
  get names(): string[] {
    return this.#names.data ?? [];
  }

  get error(): Error | null {
    return this.place === undefined ? this.#place.error : null;
  }

  get problem(): string {
    return this.#problem;
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** The note that was deleted last and can be brought back. */
  get deleted(): Note | null {
    return this.#deleted;
  }

  retry(): void {
    void this.#place.refetch();
    void this.#notes.refetch();
  }

  save(patch: CarePatch): Promise<boolean> {
    return this.#act(async () => {
      await data(api.PATCH('/api/places/{place_id}/care', { params: { path: { place_id: this.id } }, body: patch }));
    });
  }

  addNote(text: string): Promise<boolean> {
    return this.#write({ text, author: '', at: null });
  }

  changeNote(id: number, text: string): Promise<boolean> {
    return this.#act(async () => {
      await data(api.PATCH('/api/notes/{note_id}', { params: { path: { note_id: id } }, body: { text } }));
    });
  }

  deleteNote(id: number): Promise<boolean> {
    return this.#act(async () => {
      this.#deleted = await data(api.DELETE('/api/notes/{note_id}', { params: { path: { note_id: id } } }));
    });
  }

  async bringBack(): Promise<void> {
    const note = this.#deleted;
    if (note && (await this.#write({ text: note.text, author: note.author, at: note.at }))) this.#deleted = null;
  }

  #write(body: Schemas['NoteIn']): Promise<boolean> {
    return this.#act(async () => {
      await data(api.POST('/api/places/{place_id}/notes', { params: { path: { place_id: this.id } }, body }));
    });
  }

  async #act(act: () => Promise<void>): Promise<boolean> {
    this.#busy = true;
    this.#problem = '';
    try {
      await act();
      await session.queries.invalidateQueries({ queryKey: keys.places() });
      for (const key of [keys.sites(), keys.fleet()]) void session.queries.invalidateQueries({ queryKey: key });
      return true;
    } catch (error) {
      this.#problem = problemOf(error);
      return false;
    } finally {
      this.#busy = false;
    }
  }
}
