/** The parts of a site's page, in the order of its tabs. */
export const TABS = ['overview', 'panels', 'devices', 'alerts', 'data'] as const;
export type Tab = (typeof TABS)[number];

export type Page =
  | { name: 'fleet' }
  /** With `device`, the page of one device under the tab of all of them. */
  | { name: 'site'; id: number; tab: Tab; device?: number }
  | { name: 'alerts' }
  | { name: 'places' }
  | { name: 'place'; id: number }
  | { name: 'accounts' }
  | { name: 'connect' }
  | { name: 'work' }
  | { name: 'settings' }
  | { name: 'about' }
  | { name: 'nowhere' };

export interface Route {
  page: Page;
  params: URLSearchParams;
}

export type Params = Record<string, string | number | null | undefined>;

/** What a URL's fragment says: `#/sites/3/panels?date=2026-11-20`. */
export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#/, '').split(/\?(.*)/s);
  const parts = path.split('/').filter(Boolean);
  return { page: pageOf(parts), params: new URLSearchParams(query) };
}

function pageOf(parts: string[]): Page {
  const [first, second, third] = parts;
  if (first === undefined) return { name: 'fleet' };
  if (first === 'places' && second === undefined) return { name: 'places' };
  if (first === 'places' && /^\d{1,15}$/.test(second ?? '') && third === undefined) return { name: 'place', id: Number(second) };
  if (first === 'alerts' && second === undefined) return { name: 'alerts' };
  if (first === 'accounts' && second === undefined) return { name: 'accounts' };
  if (second === undefined && (first === 'work' || first === 'settings' || first === 'about')) return { name: first };
  if (first === 'accounts' && second === 'connect' && third === undefined) return { name: 'connect' };
  if (first === 'sites' && isId(second)) {
    const id = Number(second);
    if (third === undefined) return { name: 'site', id, tab: 'overview' };
    const tab = TABS.find((name) => name === third && name !== 'overview');
    if (tab && parts.length === 3) return { name: 'site', id, tab };
    if (tab === 'devices' && parts.length === 4 && isId(parts[3])) return { name: 'site', id, tab, device: Number(parts[3]) };
  }
  return { name: 'nowhere' };
}

function isId(text: string | undefined): boolean {
  return text !== undefined && /^\d{1,15}$/.test(text);
}

/** The fragment of a page; parameters that are empty are left out. */
export function href(page: Page, params: Params = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== '') query.set(name, String(value));
  }
  const text = query.toString();
  return `#${pathOf(page)}${text ? `?${text}` : ''}`;
}

function pathOf(page: Page): string {
  switch (page.name) {
    case 'site':
      return `/sites/${page.id}${page.tab === 'overview' ? '' : `/${page.tab}`}${page.device === undefined ? '' : `/${page.device}`}`;
    case 'places':
      return '/places';
    case 'place':
      return `/places/${page.id}`;
    case 'alerts':
      return '/alerts';
    case 'accounts':
    case 'work':
    case 'settings':
    case 'about':
      return `/${page.name}`;
    case 'connect':
      return '/accounts/connect';
    default:
      return '/';
  }
}

/** The launch key that a link or a fragment carries, or the text itself where it is a bare key; empty without one. */
export function launchKey(text: string): string {
  const trimmed = text.trim();
  const found = /[#&]key=([^&\s]+)/.exec(trimmed);
  if (found) return decodeURIComponent(found[1]!);
  return /^[\w-]{16,}$/.test(trimmed) ? trimmed : '';
}
