import type { Curve } from '../gaps';
import type { Span } from '../time';
import { pieces } from './axes';

/** The paths of a curve in a box of 1000 by 100 units: one line a piece, so that gaps stay gaps. */
export function curvePaths(curve: Curve, span: Span, top: number): { line: string; area: string } {
  const x = (at: number): string => ((1000 * (at - span.start)) / (span.end - span.start)).toFixed(1);
  const y = (value: number): string => (100 - (100 * Math.max(0, Math.min(top, value))) / (top || 1)).toFixed(2);
  let line = '';
  let area = '';
  for (const piece of pieces(curve)) {
    const path = piece.map(([at, value]) => `${x(at)} ${y(value)}`).join('L');
    line += `M${path}`;
    area += `M${x(piece[0]![0])} 100L${path}L${x(piece.at(-1)![0])} 100z`;
  }
  return { line, area };
}

/** The highest value of some curves. */
export function highest(...curves: Curve[]): number {
  let most = 0;
  for (const curve of curves) for (const value of curve.y) if (value !== null && value > most) most = value;
  return most;
}
