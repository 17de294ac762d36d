import type { Plugin } from 'vite';

type Node = [tag: string, attributes: Record<string, string>];

const ICON = /\/@lucide\/svelte\/dist\/icons\/[^/]+\.svelte$/;
const OPEN = [
  'width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width={strokeWidth}',
  'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"',
].join(' ');

/**
 * Lucide's icons as fixed markup. Their own component builds each element of an icon by itself when it is drawn, which
 * took some 20 ms of the first view. Only `size` and `strokeWidth` can be set, and every icon is decoration.
 */
export function icons(): Plugin {
  return {
    name: 'sungaze-icons',
    enforce: 'pre',
    transform(code, id) {
      if (!ICON.test(id.split('?')[0]!)) return null;
      const data = /"node":\s*(\[\[.*?\]\])\s*[,}]/.exec(code)?.[1];
      if (!data) throw new Error(`no drawing in ${id}: has Lucide changed its files?`);
      const inner = (JSON.parse(data) as Node[]).map(
        ([tag, attributes]) =>
          `<${tag} ${Object.entries(attributes).map(([name, value]) => `${name}="${value}"`).join(' ')} />`,
      );
      return {
        code: `<script>\n  let { size = 24, strokeWidth = 2 } = $props();\n</script>\n<svg ${OPEN}>${inner.join('')}</svg>\n`,
        map: null,
      };
    },
  };
}
