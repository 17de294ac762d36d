const KEPT = 4;

/** How many letters all serials begin with, leaving at least four of each. */
export function commonPrefix(serials: readonly string[]): number {
  const first = serials[0];
  if (first === undefined) return 0;
  let length = first.length;
  for (const serial of serials) {
    length = Math.min(length, serial.length - KEPT);
    while (length > 0 && !serial.startsWith(first.slice(0, length))) length -= 1;
    if (length <= 0) return 0;
  }
  return length;
}
