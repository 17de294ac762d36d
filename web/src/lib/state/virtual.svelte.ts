/** Which of many rows of known heights are in view of the page. */
export class VirtualRows {
  #heights: () => readonly number[];
  #top = $state(0);
  #view = $state(0);
  #element: HTMLElement | null = null;
  #offsets = $derived.by(() => {
    const offsets = [0];
    for (const height of this.#heights()) offsets.push(offsets.at(-1)! + height);
    return offsets;
  });
  #first = $derived.by(() => Math.max(0, this.#indexAt(this.#top) - this.overscan));
  #last = $derived.by(() =>
    Math.min(this.#heights().length, this.#indexAt(this.#top + this.#view) + 1 + this.overscan),
  );

  readonly overscan: number;

  constructor(heights: () => readonly number[], overscan = 8) {
    this.#heights = heights;
    this.overscan = overscan;
    this.#view = innerHeight;
  }

  get first(): number {
    return this.#first;
  }

  /** One past the last row in view. */
  get last(): number {
    return this.#last;
  }

  get before(): number {
    return this.#offsets[this.#first] ?? 0;
  }

  get after(): number {
    return this.total - (this.#offsets[this.#last] ?? this.total);
  }

  get total(): number {
    return this.#offsets.at(-1) ?? 0;
  }

  /** Attached to the element that holds the rows. */
  readonly attach = (element: HTMLElement): (() => void) => {
    this.#element = element;
    let frame = 0;
    const measure = (): void => {
      frame = 0;
      if (!this.#element) return;
      // In steps of half a screen's row, so that a scroll by a pixel changes nothing.
      const above = Math.floor(-this.#element.getBoundingClientRect().top / 24) * 24;
      this.#top = Math.max(0, above);
      this.#view = innerHeight + Math.min(0, above);
    };
    const soon = (): void => {
      frame ||= requestAnimationFrame(measure);
    };
    // The first measure comes after the first layout: to ask sooner would force one.
    const laidOut = new ResizeObserver(soon);
    laidOut.observe(element);
    addEventListener('scroll', soon, { passive: true });
    addEventListener('resize', soon);
    return () => {
      laidOut.disconnect();
      cancelAnimationFrame(frame);
      removeEventListener('scroll', soon);
      removeEventListener('resize', soon);
      this.#element = null;
    };
  };

  /** Brings a row into view by the smallest scroll. */
  reveal(index: number, margin: number): void {
    if (!this.#element) return;
    const top = this.#element.getBoundingClientRect().top + (this.#offsets[index] ?? 0);
    const height = (this.#offsets[index + 1] ?? 0) - (this.#offsets[index] ?? 0);
    if (top < margin) scrollBy({ top: top - margin });
    else if (top + height > innerHeight - 16) scrollBy({ top: top + height - innerHeight + 16 });
  }

  #indexAt(y: number): number {
    let low = 0;
    let high = this.#offsets.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#offsets[middle]! <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
