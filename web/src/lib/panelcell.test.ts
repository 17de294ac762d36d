import { describe, expect, test, vi } from 'vitest';
import { CellPainter, cellWords, type Showing } from './panelcell';
import type { Frame, PanelCell } from './panelday';

const CELL: PanelCell = {
  device_id: 7,
  serial_number: 'S-7',
  name: null,
  row: 0,
  column: 0,
  status: 'normal',
  inverter_id: null,
  string_id: null,
  position: null,
};

function showing(value: number | null, look: Frame['looks'][number], changes: Partial<Showing> = {}): Showing {
  const frame = { values: Float64Array.of(value ?? NaN), looks: [look], middle: 200, most: 250, reporting: 1 };
  return { frame, unit: 'W', top: 400, figures: true, ...changes };
}

describe('a panel in words', () => {
  const label = (value: number | null, look: Frame['looks'][number]): string =>
    cellWords(CELL, 0, showing(value, look)).label.replaceAll('\u00a0', ' ');

  test('tells a value, zero, no data, night and not yet apart', () => {
    expect(label(250, 'value')).toBe('S-7, 250 W, 125 %');
    expect(label(0, 'dead')).toBe('S-7, 0 W, no output');
    expect(label(null, 'none')).toBe('S-7, –, no data');
    expect(label(null, 'night')).toBe('S-7, –, night');
    expect(label(null, 'unknown')).toBe('S-7, –, not yet');
  });

  test('has a colour only where it has a value to show', () => {
    expect(cellWords(CELL, 0, showing(400, 'value')).colour).toBe('rgb(253 231 37)');
    expect(cellWords(CELL, 0, showing(null, 'none')).colour).toBe('');
    expect(cellWords(CELL, 0, showing(0, 'dead')).colour).toBe('');
  });

  test('of which the vendor says that something is wrong says so in a shape and a word', () => {
    const words = cellWords({ ...CELL, status: 'warning' }, 0, showing(200, 'value'));
    expect([words.shape, words.said]).toEqual(['warning', 'warning']);
    expect(words.label).toContain('warning');
  });

  test.each(['night', 'none', 'unknown'] as const)('that is silent by its vendor’s word says so where there is no figure: %s', (look) => {
    const words = cellWords({ ...CELL, status: 'offline' }, 0, showing(null, look));
    expect([words.shape, words.label]).toEqual(['waiting', 'S-7, –, offline']);
  });

  test('does not pass for one that sleeps where the vendor calls it broken or silent', () => {
    const by = (status: PanelCell['status']): string => cellWords({ ...CELL, status }, 0, showing(null, 'night')).look;
    expect([by('normal'), by('warning'), by('offline'), by('fault')]).toEqual(['night', 'night', 'none', 'dead']);
  });

  test('without figures at all says how it is', () => {
    const words = cellWords(CELL, 0, showing(null, 'silent', { figures: false }));
    expect([words.look, words.said]).toEqual(['plain', 'normal']);
  });
});

test('a painted cell follows each moment, its name some times a second, until it is gone', () => {
  vi.useFakeTimers();
  const cell = document.createElement('button');
  cell.innerHTML = '<span>S-7</span><b></b><span><span></span></span><span></span>';
  const painter = new CellPainter();
  const leave = painter.add(cell, CELL, 0);
  painter.show(showing(250, 'value'));
  expect([cell.querySelector('b')?.textContent, cell.dataset.look]).toEqual(['250\u00a0W', 'value']);
  painter.show(showing(0, 'dead'));
  expect([cell.querySelector('b')?.textContent, cell.textContent]).toEqual(['0\u00a0W', 'S-70\u00a0Wno output']);
  expect(cell.getAttribute('aria-label')).toBe('S-7, 250\u00a0W, 125\u00a0%');
  vi.advanceTimersByTime(200);
  expect(cell.getAttribute('aria-label')).toBe('S-7, 0\u00a0W, no output');
  leave();
  painter.show(showing(99, 'value'));
  expect(cell.querySelector('b')?.textContent).toBe('0\u00a0W');
  vi.useRealTimers();
});
