import { fireEvent, render, screen } from '@testing-library/svelte';
import { describe, expect, test, vi } from 'vitest';
import { toCurve, type Point } from '../gaps';
import { HOUR_S, localDay, type Span } from '../time';
import DayChart from './DayChart.svelte';

// jsdom lays nothing out.
vi.stubGlobal('ResizeObserver', class {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
});

const ZONE = 'Europe/Berlin';
const STEP = 300;
const day = localDay('2026-11-24', ZONE);
const nothing = toCurve([], STEP, null, day.end);
const points = (from: number, count: number): Point[] =>
  Array.from({ length: count }, (_, index) => [day.start + from * HOUR_S + index * STEP, 1000 + index] as const);

function chart(own: Point[], zoom: Span | null = null) {
  const onzoom = vi.fn();
  const curve = toCurve(own, STEP, null, day.end);
  render(DayChart, {
    curve, ghost: nothing, day, sun: null, nights: false, zone: ZONE, unit: 'W', intervalS: STEP, label: 'Power', cursor: null, zoom, onzoom,
  });
  const slider = screen.getByRole('slider');
  const press = (key: string, more: KeyboardEventInit = {}) => fireEvent.keyDown(slider, { key, ...more });
  const said = (): string => slider.getAttribute('aria-valuetext') ?? '';
  return { press, said, onzoom, slider };
}

describe('the chart of a day by keyboard', () => {
  test('is read from its first value to its last, an interval or an hour at a time', async () => {
    const { press, said } = chart(points(8, 30));
    expect(said()).toBe('Power');
    await press('Home');
    expect(said()).toMatch(/^08:00–08:05, 1\.00.kW$/);
    await press('ArrowRight');
    expect(said()).toMatch(/^08:05–08:10/);
    await press('ArrowRight', { shiftKey: true });
    expect(said()).toMatch(/^09:05–09:10/);
    await press('End');
    expect(said()).toMatch(/^10:25–10:30/);
    await press('ArrowRight');
    expect(said()).toMatch(/^10:25–10:30/);
    await press('Escape');
    expect(said()).toBe('Power');
  });

  test('skips a gap, and stays silent where there is nothing to read', async () => {
    const gapped = chart([...points(8, 2), ...points(12, 2)]);
    await gapped.press('Home');
    await gapped.press('ArrowRight');
    await gapped.press('ArrowRight');
    expect(gapped.said()).toMatch(/^12:00–12:05/);
    document.body.innerHTML = '';
    const empty = chart([]);
    await empty.press('Home');
    expect(empty.said()).toBe('Power');
  });

  test('is zoomed about the moment read, within the day, and shown whole again', async () => {
    const { press, onzoom } = chart(points(0, 288));
    await press('Home');
    await press('+');
    expect(onzoom).toHaveBeenLastCalledWith({ start: day.start, end: day.start + 12 * HOUR_S });
    await press('-');
    expect(onzoom).toHaveBeenLastCalledWith(null);
  });

  test('reads only what a zoom shows', async () => {
    const { press, said, onzoom } = chart(points(0, 288), { start: day.start + 10 * HOUR_S, end: day.start + 11 * HOUR_S });
    await press('Home');
    expect(said()).toMatch(/^10:00–10:05/);
    await press('End');
    expect(said()).toMatch(/^10:55–11:00/);
    await press('Escape');
    expect(onzoom).toHaveBeenLastCalledWith(null);
  });
});
