import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { Plugin } from 'vite';

interface Shipped {
  name: string;
  version: string;
  licence: string;
  text: string;
}

const FOLDER = `${sep}node_modules${sep}`;

/** Writes licences.json: each package that a module of the bundle comes from, with its licence's own text. */
export function licences(): Plugin {
  return {
    name: 'sungaze-licences',
    apply: 'build',
    generateBundle() {
      const folders = new Set<string>();
      for (const id of this.getModuleIds()) {
        const folder = packageOf(id);
        if (folder) folders.add(folder);
      }
      const found = [...folders].map(shipped).sort((a, b) => a.name.localeCompare(b.name));
      this.emitFile({ type: 'asset', fileName: 'licences.json', source: `${JSON.stringify(found, null, 1)}\n` });
    },
  };
}

function packageOf(id: string): string | null {
  const path = id.replace(/^\0/, '').split('?')[0]!;
  const at = path.lastIndexOf(FOLDER);
  if (at < 0) return null;
  const parts = path.slice(at + FOLDER.length).split(sep);
  const name = parts[0]!.startsWith('@') ? parts.slice(0, 2).join(sep) : parts[0]!;
  return path.slice(0, at + FOLDER.length) + name;
}

function shipped(folder: string): Shipped {
  const told = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Record<string, unknown>;
  const file = readdirSync(folder).find((name) => /^licen[cs]e(\.\w+)?$/i.test(name));
  const text = file && existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8') : '';
  return { name: String(told.name), version: String(told.version), licence: String(told.license ?? ''), text };
}
