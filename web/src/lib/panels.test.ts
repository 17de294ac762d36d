import { describe, expect, test } from 'vitest';
import type { DayCell, LayoutDay } from './api/client';
import { PanelDay, type PanelCell } from './panelday';
import { groupedRows, groupings, roofRows, schematicRows } from './panelrows';
import { roofOf } from './positions';

const START = 1_795_500_000;
const LIGHT = { day: true, producing: 2, pending: false };

function aCell(id: number, changes: Partial<DayCell> = {}): DayCell {
  return {
    device_id: id,
    serial_number: `S-${id}`,
    name: null,
    row: 0,
    column: id,
    status: 'normal',
    inverter_id: null,
    string_id: null,
    position: null,
    values: [],
    ...changes,
  };
}

function aDay(rows: (number | null)[][]): PanelDay {
  const answer: LayoutDay = {
    site_id: 1,
    metric: 'dc_power_w',
    unit: 'W',
    date: '2026-11-24',
    start: START - 3600,
    end: START + 82_800,
    timezone: 'UTC',
    interval_s: 900,
    columns: 8,
    disclaimer: 'Schematic only',
    note: '',
    positions_by: '',
    timestamps: (rows[0] ?? []).map((_, slot) => START + 900 * slot),
    parents: [],
    cells: rows.map((values, id) => aCell(id, { values })),
  };
  return PanelDay.of(answer);
}

describe('a day of panels', () => {
  const day = aDay([
    [100, 0, null],
    [120, 110, 90],
    [null, 105, 95],
    [110, 108, 92],
  ]);

  test('gives the values of the interval that holds an instant, and none outside', () => {
    expect([...day.valuesAt(START + 899)]).toEqual([100, 120, NaN, 110]);
    expect([...day.valuesAt(START + 900)]).toEqual([0, 110, 105, 108]);
    expect([...day.valuesAt(START - 1)]).toEqual([NaN, NaN, NaN, NaN]);
    expect([...day.valuesAt(START + 2700)]).toEqual([NaN, NaN, NaN, NaN]);
  });

  test('tells no data from zero, and both from a value', () => {
    expect(day.frame(START, LIGHT).looks).toEqual(['value', 'value', 'none', 'value']);
    expect(day.frame(START + 900, LIGHT).looks).toEqual(['dead', 'value', 'value', 'value']);
  });

  test('tells what is not known yet from no data, and night from both', () => {
    const later = START + 3600;
    expect(day.frame(later, { ...LIGHT, pending: true }).looks[0]).toBe('unknown');
    expect(day.frame(later, LIGHT).looks[0]).toBe('silent');
    expect(day.frame(later, { ...LIGHT, day: false, pending: true }).looks[0]).toBe('night');
  });

  test('counts who reports, and compares with the middle panel', () => {
    const frame = day.frame(START, LIGHT);
    expect([frame.reporting, frame.middle, frame.most]).toEqual([3, 110, 120]);
    expect(day.frame(null, LIGHT)).toMatchObject({ reporting: 0, middle: null, most: 0 });
  });

  test('nobody is dead where hardly anyone produces', () => {
    expect(aDay([[0], [1], [0], [1], [300]]).frame(START, LIGHT).looks).not.toContain('dead');
  });

  test('a curve leaves out what is missing', () => {
    expect(day.curve(2)).toEqual([
      [START + 900, 105],
      [START + 1800, 95],
    ]);
  });
});

describe('groups', () => {
  const cells: PanelCell[] = [aCell(0, { string_id: 8 }), aCell(1), aCell(2, { string_id: 7 }), aCell(3, { string_id: 8 })];
  const parents = [
    { id: 7, type: 'string', name: 'A' },
    { id: 8, type: 'string', name: 'B' },
  ];

  test('are offered only where the data has them', () => {
    expect(groupings(cells)).toEqual(['string']);
  });

  test('come in the order of their names, what hangs from nothing last', () => {
    const rows = groupedRows(cells, parents, 'string', 1, 'none');
    expect(rows.map((row) => (row.kind === 'head' ? row.title : row.members.map((member) => member.index)))).toEqual([
      'A', [2], 'B', [0], [3], 'none', [1],
    ]);
  });

  test('every panel stands in one row', () => {
    expect(schematicRows([0, 1, 2, 3, 4], 2).map((row) => row.kind === 'cells' && row.members.length)).toEqual([2, 2, 1]);
  });
});

describe('positions', () => {
  const drawn = (x: number, y: number): PanelCell['position'] => ({ by: 'vendor', array: null, row: null, column: null, x, y });
  const mine = (array: string | null, row: number, column: number): PanelCell['position'] => ({
    by: 'user', array, row, column, x: null, y: null,
  });
  const where = (cells: PanelCell[]): [string | null, number, number, number][] =>
    roofOf(cells).arrays.flatMap(({ name, rows }) =>
      [...rows].flatMap(([row, members]) =>
        [...members].map(([column, index]): [string | null, number, number, number] => [name, row, column, index]),
      ),
    );

  test('of a drawing come onto a grid by the distance between its panels', () => {
    const cells = [[100, 0], [162, 0], [286, 1], [100, 100]].map(([x, y], id) => aCell(id, { position: drawn(x!, y!) }));
    expect(where(cells)).toEqual([
      [null, 1, 1, 0], [null, 1, 2, 1], [null, 1, 4, 2], [null, 2, 1, 3],
    ]);
  });

  test('of the user win over the drawing, which gives way', () => {
    const cells = [aCell(0, { position: drawn(0, 0) }), aCell(1, { position: mine(null, 1, 1) }), aCell(2, { position: mine('East', 3, 2) })];
    expect(where(cells)).toEqual([[null, 1, 1, 1], [null, 1, 2, 0], ['East', 3, 2, 2]]);
  });

  test('of nobody are told apart', () => {
    const roof = roofOf([aCell(0), aCell(1, { position: mine(null, 1, 1) })]);
    expect([roof.unplaced, roof.user, roof.vendor]).toEqual([[0], 1, 0]);
  });

  test('leave room around a roof that is arranged', () => {
    const roof = roofOf([aCell(0, { position: mine(null, 4, 5) })]);
    const words = { array: (name: string | null) => name ?? '', unplaced: '' };
    expect(roofRows(roof, words, false)).toMatchObject({ first: 5, columns: 1 });
    const room = roofRows(roof, words, true);
    expect([room.first, room.columns]).toEqual([4, 3]);
    expect(room.rows.map((row) => row.kind === 'cells' && row.row)).toEqual([false, 3, 4, 5]);
  });
});
