import { createQuery, type CreateQueryResult } from '@tanstack/svelte-query';
import { api, ApiError, data, type Device, type DeviceDetail } from '../api/client';
import { messages } from '../messages';
import type { Shape } from '../standing';
import { AlertList } from './alerts.svelte';
import { keys } from './keys';
import { router } from './router.svelte';
import { session } from './session.svelte';
import { DailyEnergy, DayCurve, type Part, type SiteState } from './site.svelte';

export const COLUMNS = ['status', 'type', 'serial', 'model', 'newest', 'today', 'seen'] as const;
export type Column = (typeof COLUMNS)[number];

const WORST_FIRST = ['fault', 'warning', 'offline', 'unknown', 'normal', 'retired'];

/** The shape of a device's status word. */
export function deviceShape(status: string): Shape {
  return status === 'normal' ? 'fine' : status === 'fault' || status === 'warning' ? status : 'waiting';
}

/** The word of a type within a sentence, and at its head. */
export const typeName = (type: string): string => messages.devices.types[type] ?? type;
export const typeWord = (type: string): string => typeName(type).replace(/^./, (first) => first.toUpperCase());

/** A device by the name that it goes by: its own, else its type. */
export const nameOf = (device: { name: string | null; device_type: string }): string =>
  device.name || typeWord(device.device_type);

type Key = string | number | null;

/** What a column sorts by; null is not known, and stands last either way. */
const SORTS: Record<Column, (device: Device) => Key> = {
  status: (device) => WORST_FIRST.indexOf(device.status),
  type: (device) => `${typeWord(device.device_type)} ${device.name ?? ''}`.toLowerCase(),
  serial: (device) => device.serial_number,
  model: (device) => device.model?.toLowerCase() ?? null,
  newest: (device) => device.figure?.value ?? null,
  today: (device) => device.energy_today_wh,
  seen: (device) => seenAt(device),
};

/** When a device was last heard of: the vendor's last word, or its newest figure. */
export function seenAt(device: Pick<Device, 'last_reported_at' | 'figure'>): number | null {
  const times = [device.last_reported_at, device.figure?.timestamp ?? null].filter((at): at is number => at !== null);
  return times.length ? Math.max(...times) : null;
}

/** The devices sorted by a column; `down` turns the order of what is known. */
export function sortDevices(devices: readonly Device[], column: Column, down: boolean): Device[] {
  const key = SORTS[column];
  const by = new Map(devices.map((device) => [device, key(device)]));
  const sign = down ? -1 : 1;
  return [...devices].sort((a, b) => {
    const [x, y] = [by.get(a) ?? null, by.get(b) ?? null];
    if (x === null || y === null) return x === y ? a.id - b.id : x === null ? 1 : -1;
    const order = typeof x === 'string' && typeof y === 'string' ? collate(x, y) : Number(x) - Number(y);
    return order ? sign * order : a.id - b.id;
  });
}

// Made once: localeCompare makes one for each comparison, which takes seconds with thousands.
const collator = new Intl.Collator('en', { numeric: true });
const collate = (a: string, b: string): number => collator.compare(a, b);

function matches(device: Device, words: readonly string[]): boolean {
  const text = [device.serial_number, device.name, device.model, device.manufacturer, device.vendor_device_id, typeWord(device.device_type)]
    .join(' ')
    .toLowerCase();
  return words.every((word) => text.includes(word));
}

/** The devices of a site, as the URL asks for them: `find`, `sort` (a leading - turns it) and `retired`. */
export class SiteDevices {
  #site: SiteState;
  readonly #query: CreateQueryResult<Device[]>;

  readonly find = $derived(router.get('find').trim());
  readonly down = $derived(router.get('sort').startsWith('-'));
  readonly column = $derived.by(
    (): Column => COLUMNS.find((name) => name === router.get('sort').replace(/^-/, '')) ?? 'status',
  );
  readonly withRetired = $derived(router.get('retired') === '1');
  readonly all = $derived.by((): Device[] => this.#query.data ?? []);
  readonly retired = $derived(this.all.filter((device) => device.status === 'retired').length);
  readonly rows = $derived.by((): Device[] => {
    const words = this.find.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = this.all.filter(
      (device) => (this.withRetired || device.status !== 'retired') && (!words.length || matches(device, words)),
    );
    return sortDevices(shown, this.column, this.down);
  });

  constructor(site: SiteState) {
    this.#site = site;
    this.#query = createQuery(
      () => ({
        queryKey: keys.devices(this.#site.id),
        queryFn: async (): Promise<Device[]> =>
          (await data(api.GET('/api/sites/{site_id}/devices', { params: { path: { site_id: this.#site.id } } }))).items,
        staleTime: 30_000,
      }),
      () => session.queries,
    );
  }

  get pending(): boolean {
    return this.#query.isPending;
  }

  get error(): Error | null {
    return this.#query.data === undefined ? this.#query.error : null;
  }

  retry(): void {
    void this.#query.refetch();
  }

  byId(id: number | null): Device | undefined {
    return id === null ? undefined : this.all.find((device) => device.id === id);
  }

  /** The sort that a column's header asks for. */
  turn(column: Column): string {
    return column === this.column && !this.down ? `-${column}` : column;
  }
}

/** One device whole, its day, its days and its alerts. */
export class DeviceState {
  readonly #site: SiteState;
  readonly #id: number;
  readonly #query: CreateQueryResult<DeviceDetail>;
  readonly curve: DayCurve;
  readonly daily: DailyEnergy;
  readonly alerts: AlertList;

  constructor(site: SiteState, id: number) {
    this.#site = site;
    this.#id = id;
    this.#query = createQuery(
      () => ({
        queryKey: keys.device(site.id, id),
        queryFn: (): Promise<DeviceDetail> =>
          data(
            api.GET('/api/sites/{site_id}/devices/{device_id}', {
              params: { path: { site_id: site.id, device_id: id } },
            }),
          ),
        staleTime: 30_000,
      }),
      () => session.queries,
    );
    this.alerts = new AlertList(() => site.id, () => site.data?.vendor_name ?? '', id);
    const part: Part = { device: id, metrics: () => this.data?.metrics ?? [] };
    this.curve = new DayCurve(site, () => router.get('metric'), part);
    this.daily = new DailyEnergy(site, part);
  }

  get data(): DeviceDetail | undefined {
    return this.#query.data;
  }

  get error(): Error | null {
    return this.#query.data === undefined ? this.#query.error : null;
  }

  /** Says which device this one took the place of; throws with the server's sentence. */
  async replaces(other: number | null): Promise<void> {
    try {
      const found = await data(
        api.PATCH('/api/sites/{site_id}/devices/{device_id}', {
          params: { path: { site_id: this.#site.id, device_id: this.#id } },
          body: { replaces: other },
        }),
      );
      session.queries.setQueryData(keys.device(this.#site.id, this.#id), found);
      void session.queries.invalidateQueries({ queryKey: keys.site(this.#site.id) });
    } catch (error) {
      session.refused(error);
      throw error;
    }
  }

  get missing(): boolean {
    return this.error instanceof ApiError && this.error.status === 404;
  }

  retry(): void {
    void this.#query.refetch();
  }
}
