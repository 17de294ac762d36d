import type { Curve } from '../gaps';
import type { Span } from '../time';

/** The paths of a curve in a box of 1000 by 100 units: one line a piece, so that gaps stay gaps. */
export function curvePaths(curve: Curve, span: Span, top: number): { line: string; area: string } {
  const x = (at: number): string => ((1000 * (at - span.start)) / (span.end - span.start)).toFixed(1);
  const y = (value: number): string => (100 - (100 * Math.max(0, Math.min(top, value))) / (top || 1)).toFixed(2);
  let line = '';
  let area = '';
  let piece: [at: number, value: number][] = [];
  const flush = (): void => {
    const [first, last] = [piece[0], piece.at(-1)];
    if (first && last) {
      const path = piece.map(([at, value]) => `${x(at)} ${y(value)}`).join('L');
      line += `M${path}`;
      area += `M${x(first[0])} 100L${path}L${x(last[0])} 100z`;
    }
    piece = [];
  };
  curve.x.forEach((at, index) => {
    const value = curve.y[index];
    if (value === null || value === undefined) flush();
    else piece.push([at, value]);
  });
  flush();
  return { line, area };
}

/** The highest value of some curves. */
export function highest(...curves: Curve[]): number {
  let most = 0;
  for (const curve of curves) for (const value of curve.y) if (value !== null && value > most) most = value;
  return most;
}
