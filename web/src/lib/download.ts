import type { paths } from './api/schema';

type Asked = NonNullable<paths['/api/export']['get']['parameters']['query']>;

const EXPORT: keyof paths = '/api/export';

/** The address of the report on this installation. */
export const DIAGNOSTICS: keyof paths = '/api/diagnostics';

/** The address of an export; what is null or left out is not narrowed. */
export function exportLink(asked: Omit<Asked, 'from' | 'to'> & { from: number; to: number }): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(asked)) {
    if (value !== null && value !== undefined) query.set(name, String(value));
  }
  return `${EXPORT}?${query.toString()}`;
}

/** Hands a file to the browser's own download. */
export function save(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // The download has begun once the click is done, but a slow one may still read.
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
