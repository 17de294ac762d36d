import type { PanelCell } from './panelday';

/** A place on the roof; rows and columns count from 1. The array without a name is null. */
export interface Slot {
  array: string | null;
  row: number;
  column: number;
}

/** A part of the roof: panels by row, and in each by column. */
export interface RoofArray {
  name: string | null;
  rows: Map<number, Map<number, number>>;
}

export interface Roof {
  arrays: RoofArray[];
  /** Indices of panels that nobody has placed. */
  unplaced: number[];
  /** How many lie where the user put them, and how many where the vendor draws them. */
  user: number;
  vendor: number;
}

/** Of gaps between neighbours, one this much narrower than the middle one is a drawing's inexactness, no pitch. */
const SAME_SHARE = 0.4;
const MOST_STEPS = 200;

/**
 * Who lies where: the user's word first, then the vendor's drawing, brought onto a grid by the distance between its
 * panels. What the drawing puts where another panel is already goes to the next free place on its right.
 */
export function roofOf(cells: readonly PanelCell[]): Roof {
  const arrays = new Map<string | null, RoofArray>();
  const row = (array: string | null, number: number): Map<number, number> => {
    const found = arrays.get(array) ?? { name: array, rows: new Map<number, Map<number, number>>() };
    arrays.set(array, found);
    const members = found.rows.get(number) ?? new Map<number, number>();
    found.rows.set(number, members);
    return members;
  };
  const drawn: { index: number; x: number; y: number }[] = [];
  const unplaced: number[] = [];
  let user = 0;
  cells.forEach((cell, index) => {
    const at = cell.position;
    if (at && at.row !== null && at.column !== null) {
      row(at.array, at.row).set(at.column, index);
      user += 1;
    } else if (!at || at.x === null || at.y === null) unplaced.push(index);
  });
  // The drawing's grid is that of all it shows: it stays as it is when the user moves one of its panels.
  const every = cells.flatMap(({ position }) => (position && position.x !== null && position.y !== null ? [position] : []));
  const across = stepper(every.map((position) => position.x!));
  const down = stepper(every.map((position) => position.y!));
  cells.forEach(({ position: at }, index) => {
    if (at && at.by === 'vendor' && at.x !== null && at.y !== null) drawn.push({ index, x: across(at.x), y: down(at.y) });
  });
  for (const { index, x, y } of drawn) {
    const members = row(null, y);
    let column = x;
    while (members.has(column)) column += 1;
    members.set(column, index);
  }
  const named = [...arrays.values()].sort((a, b) => (a.name ?? '').localeCompare(b.name ?? ''));
  return { arrays: named, unplaced, user, vendor: drawn.length };
}

/** From a coordinate of a drawing to the number of its row or column, from 1. */
function stepper(values: readonly number[]): (value: number) => number {
  const sorted = [...new Set(values)].sort((a, b) => a - b);
  const first = sorted[0] ?? 0;
  const gaps = sorted.slice(1).map((value, index) => value - sorted[index]!);
  const middle = gaps.toSorted((a, b) => a - b)[gaps.length >> 1] ?? 1;
  const pitch = Math.min(middle, ...gaps.filter((gap) => gap >= SAME_SHARE * middle));
  const least = ((sorted.at(-1) ?? 0) - first) / MOST_STEPS;
  return (value) => 1 + Math.round((value - first) / Math.max(pitch, least, Number.MIN_VALUE));
}
