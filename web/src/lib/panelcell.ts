import { quantity } from './format';
import { messages } from './messages';
import type { Frame, PanelCell } from './panelday';
import { paint } from './ramp';
import type { CellLook, Shape } from './standing';

/** What a cell shows of a moment. */
export interface CellWords {
  look: CellLook | 'plain';
  colour: string;
  value: string;
  /** Its state in a word or two, with the shape that goes with it. */
  said: string;
  shape: Shape | '';
  /** Its share of the middle panel. */
  share: string;
  label: string;
}

export interface Showing {
  frame: Frame;
  unit: string;
  /** The upper end of the scale of colours. */
  top: number;
  /** Whether any panel of this site has figures at all. */
  figures: boolean;
}

const STATUS: Record<string, Shape> = { warning: 'warning', fault: 'fault', offline: 'waiting' };
/** A panel that the vendor calls broken or silent must not pass for one that sleeps. */
const BY_NIGHT: Record<string, CellLook> = { fault: 'dead', offline: 'none' };

/** A panel at a moment, in words and a colour. */
export function cellWords(cell: PanelCell, index: number, { frame, unit, top, figures }: Showing): CellWords {
  const words = messages.panels;
  const found = frame.values[index]!;
  const value = Number.isNaN(found) ? null : found;
  const look = figures ? frame.looks[index]! : 'plain';
  const status = STATUS[cell.status];
  let said = status || !figures ? (messages.device[cell.status] ?? cell.status) : '';
  let shape: Shape | '' = status ?? '';
  if (look === 'dead') [said, shape] = [words.dead, 'fault'];
  // What the vendor says of a panel tells more than that there is no figure: it is found by night as well.
  else if (look === 'night' && !status) [said, shape] = [words.night, 'asleep'];
  else if (look === 'unknown' && !status) [said, shape] = [words.unknown, 'waiting'];
  else if (look === 'none' && !status) [said, shape] = [words.noData, ''];
  else if (look === 'silent') [said, shape] = [words.noFigures, ''];
  const share =
    look === 'value' && value !== null && frame.middle !== null ? `${Math.round((100 * value) / frame.middle)}\u00a0%` : '';
  const text = value === null ? messages.common.none : quantity(value, unit);
  const serial = cell.serial_number ?? words.serialUnknown;
  const state = [said, share].filter(Boolean).join(', ');
  return {
    look: look === 'night' ? (BY_NIGHT[cell.status] ?? look) : look,
    colour: look === 'value' && value !== null ? paint(value / top) : '',
    value: text,
    said,
    shape,
    share,
    label: state ? words.cellState(serial, text, state) : words.cell(serial, text),
  };
}

const NAMED_MS = 150;

interface Painted {
  words: CellWords | null;
  cell: PanelCell;
  index: number;
  swatch: HTMLElement;
  said: Text;
  value: Text;
  share: Text;
}

/** The text of an element of its own, which is quicker to change than what an element holds. */
function textOf(element: Element): Text {
  const found = element.firstChild;
  if (found instanceof Text) return found;
  return element.appendChild(document.createTextNode(''));
}

/**
 * The cells that are on the page, painted by hand: a step of the scrubber changes what hundreds of them say, and has
 * 8 ms for it.
 */
export class CellPainter {
  #cells = new Map<HTMLElement, Painted>();
  #showing: Showing | null = null;
  #naming: ReturnType<typeof setTimeout> | undefined;

  /** Paints a cell from here on; the answer ends it. It holds a serial, a value, a swatch with its words and a share. */
  add(element: HTMLElement, cell: PanelCell, index: number): () => void {
    const [, value, swatch, share] = element.children as unknown as [HTMLElement, HTMLElement, HTMLElement, HTMLElement];
    const painted: Painted = {
      words: null,
      cell,
      index,
      swatch,
      said: textOf(swatch.firstElementChild!),
      value: textOf(value),
      share: textOf(share),
    };
    this.#cells.set(element, painted);
    this.#paint(element, painted);
    return () => {
      if (this.#cells.get(element) === painted) this.#cells.delete(element);
    };
  }

  show(showing: Showing | null): void {
    this.#showing = showing;
    for (const [element, painted] of this.#cells) this.#paint(element, painted);
    // Nobody is read two hundred names sixty times a second: they follow some times a second.
    this.#naming ??= setTimeout(() => {
      this.#naming = undefined;
      for (const [element, painted] of this.#cells) name(element, painted);
    }, NAMED_MS);
  }

  #paint(element: HTMLElement, painted: Painted): void {
    // Between two answers there may be cells that the frame does not have.
    if (!this.#showing || painted.index >= this.#showing.frame.values.length) return;
    const before = painted.words;
    const words = cellWords(painted.cell, painted.index, this.#showing);
    painted.words = words;
    if (before?.look !== words.look) element.dataset.look = words.look;
    if (before?.colour !== words.colour) painted.swatch.style.backgroundColor = words.colour;
    if (before?.shape !== words.shape) painted.swatch.dataset.shape = words.shape;
    if (before?.said !== words.said) painted.said.data = words.said;
    if (before?.value !== words.value) painted.value.data = words.value;
    if (before?.share !== words.share) painted.share.data = words.share;
    if (!before) name(element, painted);
  }
}

function name(element: HTMLElement, { words }: Painted): void {
  if (words && element.getAttribute('aria-label') !== words.label) element.setAttribute('aria-label', words.label);
}
