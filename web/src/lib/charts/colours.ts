/** The tokens a canvas needs, as they stand under the theme shown. */
export interface Colours {
  ink: string;
  muted: string;
  line: string;
  sun: string;
  asleep: string;
  offline: string;
  ok: string;
  focus: string;
  panel: string;
  font: string;
}

export function readColours(element: Element): Colours {
  const style = getComputedStyle(element);
  const token = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: token('ink'),
    muted: token('muted'),
    line: token('line'),
    sun: token('sun'),
    asleep: token('asleep'),
    offline: token('offline'),
    ok: token('ok'),
    focus: token('focus'),
    panel: token('panel'),
    font: style.fontFamily,
  };
}

/** A colour with an opacity, for a canvas. */
export function faded(colour: string, opacity: number): string {
  return `color-mix(in srgb, ${colour} ${Math.round(opacity * 100)}%, transparent)`;
}

/** A square that is drawn once and repeats. */
function tiled(context: CanvasRenderingContext2D, size: number, draw: (pen: CanvasRenderingContext2D) => void): CanvasPattern | null {
  const tile = document.createElement('canvas');
  tile.width = size;
  tile.height = size;
  const pen = tile.getContext('2d');
  if (!pen) return null;
  draw(pen);
  return context.createPattern(tile, 'repeat');
}

/** A hatch of 45 degrees that repeats without seams, in device pixels. */
export function hatch(context: CanvasRenderingContext2D, colour: string, ratio: number): CanvasPattern | null {
  const size = Math.round(7 * ratio);
  return tiled(context, size, (pen) => {
    pen.strokeStyle = colour;
    pen.lineWidth = 1.3 * ratio;
    pen.lineCap = 'square';
    for (const shift of [-size, 0, size]) {
      pen.beginPath();
      pen.moveTo(shift, size);
      pen.lineTo(shift + size, 0);
      pen.stroke();
    }
  });
}

/** A field of dots: not known yet. */
export function dots(context: CanvasRenderingContext2D, colour: string, ratio: number): CanvasPattern | null {
  const size = Math.round(8 * ratio);
  return tiled(context, size, (pen) => {
    pen.fillStyle = colour;
    pen.beginPath();
    pen.arc(size / 2, size / 2, ratio, 0, 2 * Math.PI);
    pen.fill();
  });
}

/** The curves beside the production, told apart by colour and by dash. */
export type BesideLook = 'consumption_power_w' | 'grid_power_w' | 'battery_power_w' | 'state_of_charge_pct';

export function besideLook(look: BesideLook, colours: Colours): [stroke: string, dash: number[]] {
  switch (look) {
    case 'consumption_power_w':
      return [colours.focus, []];
    case 'grid_power_w':
      return [colours.offline, [8, 3]];
    case 'battery_power_w':
      return [colours.ok, [6, 2, 2, 2]];
    default:
      return [colours.asleep, [2, 2]];
  }
}
