import { clockTime, duration } from '../format';
import type { Curve } from '../gaps';
import { messages } from '../messages';
import type { Span } from '../time';
import { pieces, scale, timeTicks, valueLabels, valueRange, valueTicks, within } from './axes';
import { besideLook, dots, faded, hatch, readColours, type BesideLook } from './colours';

/** Around the curves, in CSS pixels: what is written there has to fit. */
export const EDGE = { top: 18, right: 56, bottom: 26, left: 18 };
const TICK_PX = 30;
const FONT_PX = 11;

/** A curve beside the first, in a colour and a dash of its own; percent have a scale of their own. */
export interface Beside {
  curve: Curve;
  unit: string;
  look: BesideLook;
}

export interface Plot {
  curve: Curve;
  ghost: Curve;
  beside: Beside[];
  day: Span;
  shown: Span;
  sun: Span | null;
  nights: boolean;
  zone: string;
  unit: string;
  intervalS: number;
}

interface Heights {
  /** Where a value of the chart's unit stands, and where a percentage does, in CSS pixels from the top. */
  value: (value: number) => number;
  percent: (value: number) => number;
  low: number;
  high: number;
}

/** The scales of a plot of a height, and the range of its values. */
export function heights(plot: Plot, height: number): Heights {
  const { curve, ghost, beside, shown, unit, intervalS } = plot;
  const others = beside.filter((other) => other.unit !== '%').map((other) => other.curve);
  // A line comes from beyond the edge: the values next to it count.
  const span = { start: shown.start - intervalS, end: shown.end + intervalS };
  const [low, high] = valueRange([curve, ghost, ...others], span, unit === 'W' ? 10 : 1);
  const [bottom, top] = [height - EDGE.bottom, EDGE.top];
  return { value: scale(low, high, bottom, top), percent: scale(0, 100, bottom, top), low, high };
}

/** Draws the curves of a day on a canvas of a size in CSS pixels. */
export function draw(canvas: HTMLCanvasElement, plot: Plot, width: number, height: number, ratio: number): void {
  const { curve, ghost, beside, day, shown, sun, zone, unit } = plot;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext('2d');
  if (!pen) return;
  const colours = readColours(canvas);
  // Everything is drawn in pixels of the device, so that hairlines and patterns stay sharp.
  const px = (css: number): number => Math.round(css * ratio);
  const [left, top] = [px(EDGE.left), px(EDGE.top)];
  const [right, bottom] = [px(width - EDGE.right), px(height - EDGE.bottom)];
  const hair = Math.max(1, Math.round(ratio));
  const x = scale(shown.start, shown.end, left, right);
  const { value, percent, low, high } = heights(plot, height);

  const band = (span: Span, fill: string | CanvasPattern | null): void => {
    const part = within(span, shown);
    if (!part || !fill) return;
    const from = Math.round(x(part.start));
    pen.fillStyle = fill;
    pen.fillRect(from, top, Math.max(Math.round(x(part.end)) - from, hair), bottom - top);
  };
  const dash = (...lengths: number[]): void => pen.setLineDash(lengths.map((length) => length * ratio));

  if (plot.nights) {
    const night = faded(colours.asleep, 0.07);
    band({ start: day.start, end: sun?.start ?? day.end }, night);
    if (sun) {
      band({ start: sun.end, end: day.end }, night);
      pen.strokeStyle = faded(colours.asleep, 0.55);
      pen.lineWidth = hair;
      dash(2, 4);
      pen.beginPath();
      for (const at of [sun.start, sun.end]) {
        if (at < shown.start || at > shown.end) continue;
        const middle = Math.round(x(at)) + (hair % 2) / 2;
        pen.moveTo(middle, top);
        pen.lineTo(middle, bottom);
      }
      pen.stroke();
    }
  }
  const hatched = hatch(pen, faded(colours.offline, 0.45), ratio);
  for (const gap of curve.gaps) band(gap, hatched);
  if (curve.pending) band(curve.pending, dots(pen, faded(colours.offline, 0.4), ratio));

  pen.font = `${FONT_PX * ratio}px ${colours.font}`;
  const ticks = valueTicks(low, high, (height - EDGE.top - EDGE.bottom) / TICK_PX);
  const labels = valueLabels(ticks, unit);
  pen.textBaseline = 'middle';
  ticks.forEach((tick, index) => {
    const y = px(value(tick));
    pen.fillStyle = colours.line;
    pen.fillRect(left, y - (hair >> 1), right - left, hair);
    pen.fillStyle = colours.muted;
    pen.fillText(labels[index]!, right + 6 * ratio, y);
  });
  pen.textAlign = 'center';
  pen.textBaseline = 'top';
  for (const at of timeTicks(day, shown, zone, width)) pen.fillText(clockTime(at, zone), x(at), bottom + 4 * ratio);

  // What a stretch without a line is, above it; in short where it is narrow, and nothing where that has no room.
  pen.textBaseline = 'alphabetic';
  const write = (span: Span, ...texts: string[]): void => {
    const part = within(span, shown);
    if (!part) return;
    const [from, to] = [x(part.start), x(part.end)];
    const fitting = texts.find((text) => pen.measureText(text).width <= to - from + 24 * ratio);
    if (fitting) pen.fillText(fitting, (from + to) / 2, top - 5 * ratio);
  };
  const words = messages.site.day;
  for (const gap of curve.gaps) write(gap, words.noData(duration(gap.end - gap.start)), words.noDataShort);
  if (curve.pending) write(curve.pending, words.pending);

  // Half of a line lies outside where it runs along the edge.
  pen.beginPath();
  pen.rect(left, top - 2 * ratio, right - left, bottom - top + 4 * ratio);
  pen.clip();
  pen.lineJoin = 'round';
  const line = (
    of: Curve,
    y: (value: number) => number,
    colour: string,
    thick: number,
    lengths: number[],
    point: number,
    area = '',
  ): void => {
    pen.strokeStyle = colour;
    pen.lineWidth = thick * ratio;
    dash(...lengths);
    for (const piece of pieces(of)) {
      const [first, last] = [piece[0]!, piece.at(-1)!];
      const place = ([at, value]: [number, number]): [number, number] => [x(at), y(value) * ratio];
      pen.beginPath();
      if (first === last) {
        // A value between two gaps makes no line: it is drawn as a point.
        pen.fillStyle = colour;
        pen.arc(...place(first), point * ratio, 0, 7);
        if (point) pen.fill();
        continue;
      }
      for (const entry of piece) pen.lineTo(...place(entry));
      pen.stroke();
      if (!area) continue;
      pen.lineTo(x(last[0]), y(0) * ratio);
      pen.lineTo(x(first[0]), y(0) * ratio);
      pen.fillStyle = area;
      pen.fill();
    }
  };
  line(curve, value, colours.sun, 2, [], 2.5, faded(colours.sun, 0.14));
  line(ghost, value, faded(colours.muted, 0.8), 1.2, [3, 4], 0);
  for (const other of beside) {
    const [colour, lengths] = besideLook(other.look, colours);
    line(other.curve, other.unit === '%' ? percent : value, colour, 1.6, lengths, 2);
  }
}
