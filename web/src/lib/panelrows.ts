import type { Schemas } from './api/client';
import type { PanelCell } from './panelday';
import type { Roof } from './positions';

export type Parent = Schemas['ParentOut'];
export type Grouping = 'inverter' | 'string';

/** A place in a row, and the panel in it. */
export interface Member {
  column: number;
  index: number;
}

/** A line of the grid: the name of a group, or a row of places. `array` and `row` say where it is on the roof. */
export type GridRow =
  | { kind: 'head'; key: string; title: string; members: readonly number[] }
  | { kind: 'cells'; key: string; members: readonly Member[]; array?: string | null; row?: number };

/** Panels one after the other, as many in a row as there is room for. */
export function schematicRows(members: readonly number[], columns: number, key = ''): GridRow[] {
  return Array.from({ length: Math.ceil(members.length / columns) }, (_, row) => ({
    kind: 'cells' as const,
    key: `${key}/${row}`,
    members: members.slice(row * columns, (row + 1) * columns).map((index, column) => ({ column, index })),
  }));
}

/** What panels can be grouped by: where at least one of them says what it hangs from. */
export function groupings(cells: readonly PanelCell[]): Grouping[] {
  return (['inverter', 'string'] as const).filter((by) => cells.some((cell) => cell[`${by}_id`] !== null));
}

/** Each group under its name, those without one last. */
export function groupedRows(
  cells: readonly PanelCell[],
  parents: readonly Parent[],
  by: Grouping,
  columns: number,
  without: string,
): GridRow[] {
  const groups = new Map<number | null, number[]>(parents.map((parent) => [parent.id, []]));
  groups.set(null, []);
  cells.forEach((cell, index) => groups.get(cell[`${by}_id`])?.push(index));
  const names = new Map(parents.map((parent) => [parent.id, parent.name]));
  return [...groups].flatMap(([id, members]) => {
    if (members.length === 0) return [];
    const title = id === null ? without : (names.get(id) ?? without);
    return [{ kind: 'head' as const, key: `head ${id}`, title, members }, ...schematicRows(members, columns, String(id))];
  });
}

/** What is around the panels of a roof: with `edge`, an empty row and column on each side to move panels to. */
export function roofRows(
  roof: Roof,
  words: { array: (name: string | null) => string; unplaced: string },
  edge: boolean,
): { rows: GridRow[]; first: number; columns: number } {
  const used = roof.arrays.flatMap((array) => [...array.rows.values()].flatMap((row) => [...row.keys()]));
  const least = used.length ? used.reduce((a, b) => Math.min(a, b)) : 1;
  const most = used.length ? used.reduce((a, b) => Math.max(a, b)) : edge ? EMPTY_COLUMNS : 1;
  const first = edge ? Math.max(1, least - 1) : least;
  const columns = Math.max(most + Number(edge) - first + 1, Math.min(roof.unplaced.length, EMPTY_COLUMNS));
  const arrays = roof.arrays.length > 0 || !edge ? roof.arrays : [{ name: null, rows: new Map() }];
  const rows = arrays.flatMap((array): GridRow[] => {
    const numbers = [...array.rows.keys()];
    const top = numbers.length ? numbers.reduce((a, b) => Math.min(a, b)) : 1;
    const bottom = numbers.length ? numbers.reduce((a, b) => Math.max(a, b)) : EMPTY_ROWS;
    const from = edge ? Math.max(1, top - 1) : top;
    const members = [...array.rows.values()].flatMap((row) => [...row.values()]);
    const head: GridRow = { kind: 'head', key: `array ${array.name}`, title: words.array(array.name), members };
    return [
      head,
      ...Array.from({ length: bottom + Number(edge) - from + 1 }, (_, step): GridRow => {
        const row = from + step;
        const places = [...(array.rows.get(row) ?? [])].sort((a, b) => a[0] - b[0]);
        return {
          kind: 'cells',
          key: `array ${array.name}/${row}`,
          members: places.map(([column, index]) => ({ column: column - first, index })),
          array: array.name,
          row,
        };
      }),
    ];
  });
  if (roof.unplaced.length) {
    rows.push({ kind: 'head', key: 'unplaced', title: words.unplaced, members: roof.unplaced });
    rows.push(...schematicRows(roof.unplaced, Math.max(columns, 1), 'unplaced'));
  }
  return { rows, first, columns };
}

const EMPTY_ROWS = 3;
const EMPTY_COLUMNS = 8;
