import type { DayCell, LayoutDay } from './api/client';
import type { Point } from './gaps';
import { cellLook, type CellLook } from './standing';

/** A panel of a day without its figures, which PanelDay keeps together. */
export type PanelCell = Omit<DayCell, 'values'>;

/** All panels at one moment, in the order of the cells. */
export interface Frame {
  /** NaN is no value. */
  values: Float64Array;
  looks: CellLook[];
  /** The value of the middle panel; null where the panels give nothing that could be compared. */
  middle: number | null;
  most: number;
  reporting: number;
}

export interface Light {
  /** Whether the sun is up. */
  day: boolean;
  /** A value above which a panel counts as producing. */
  producing: number;
  /** Whether the figures of the moment may come yet: what is missing is not known, rather than no data. */
  pending: boolean;
}

/** A day of every panel, packed so that any moment of it is at hand. */
export class PanelDay {
  readonly layout: Omit<LayoutDay, 'cells' | 'timestamps'>;
  readonly cells: readonly PanelCell[];
  readonly timestamps: readonly number[];
  /** The highest value of the day. */
  readonly most: number;
  /** Moment after moment, the panels of each in their order: a step of the scrubber reads one piece. */
  readonly #values: Float64Array;
  readonly #empty: Float64Array;

  private constructor(
    layout: Omit<LayoutDay, 'cells' | 'timestamps'>,
    cells: readonly PanelCell[],
    timestamps: readonly number[],
    values: Float64Array,
  ) {
    this.layout = layout;
    this.cells = cells;
    this.timestamps = timestamps;
    this.#values = values;
    this.#empty = new Float64Array(cells.length).fill(NaN);
    let most = 0;
    for (const value of values) if (value > most) most = value;
    this.most = most;
  }

  static of(answer: LayoutDay): PanelDay {
    const { cells, timestamps, ...layout } = answer;
    const values = new Float64Array(cells.length * timestamps.length).fill(NaN);
    cells.forEach((cell, index) => {
      for (let slot = 0; slot < timestamps.length; slot += 1) {
        const value = cell.values[slot];
        if (typeof value === 'number' && Number.isFinite(value)) values[slot * cells.length + index] = value;
      }
    });
    const bare = cells.map(({ values: _, ...cell }) => cell);
    return new PanelDay(layout, bare, timestamps, values);
  }

  /** The same day with panels in other positions. */
  placed(positions: ReadonlyMap<number, PanelCell['position']>): PanelDay {
    const cells = this.cells.map((cell) =>
      positions.has(cell.device_id) ? { ...cell, position: positions.get(cell.device_id) ?? null } : cell,
    );
    return new PanelDay(this.layout, cells, this.timestamps, this.#values);
  }

  /** The stamp of the newest figures; null without any. */
  get newest(): number | null {
    return this.timestamps.at(-1) ?? null;
  }

  /** The values of all panels in the interval that holds an instant; NaN where there is none. */
  valuesAt(at: number): Float64Array {
    const slot = this.#slot(at);
    const size = this.cells.length;
    return slot < 0 ? this.#empty : this.#values.subarray(slot * size, (slot + 1) * size);
  }

  /** All panels at an instant, and how each is to look. */
  frame(at: number | null, light: Light): Frame {
    const values = at === null ? this.#empty : this.valuesAt(at);
    const sorted = values.filter((value) => !Number.isNaN(value)).sort();
    const reporting = sorted.length;
    const middle = sorted[reporting >> 1] ?? 0;
    let above = 0;
    for (const value of sorted) if (value > light.producing) above += 1;
    const comparable = !light.day || above > reporting / 4;
    const by = { day: light.day, others: reporting, producing: comparable ? light.producing : -1 };
    const missing: CellLook = light.pending && light.day ? 'unknown' : cellLook(null, by);
    const looks = Array.from(values, (value): CellLook => (Number.isNaN(value) ? missing : cellLook(value, by)));
    return {
      values,
      looks,
      middle: middle > light.producing ? middle : null,
      most: Math.max(0, sorted[reporting - 1] ?? 0),
      reporting,
    };
  }

  /** The figures of one panel over the day, those that there are. */
  curve(index: number): Point[] {
    const size = this.cells.length;
    return this.timestamps.flatMap((at, slot) => {
      const value = this.#values[slot * size + index]!;
      return Number.isNaN(value) ? [] : [[at, value] as const];
    });
  }

  #slot(at: number): number {
    const first = this.timestamps[0];
    if (first === undefined || at < first) return -1;
    const slot = Math.floor((at - first) / this.layout.interval_s);
    return slot < this.timestamps.length ? slot : -1;
  }
}
