/** The names under which answers are kept; an event about a site reaches everything below its name. */
export const keys = {
  fleet: () => ['fleet'] as const,
  sites: (q?: string) => (q === undefined ? (['sites'] as const) : (['sites', q] as const)),
  site: (id: number) => ['site', id] as const,
  siteDetail: (id: number) => ['site', id, 'detail'] as const,
  devices: (id: number) => ['site', id, 'devices'] as const,
  layoutDay: (id: number, metric: string, date: string) => ['site', id, 'layout', metric, date] as const,
  series: (id: number, device: number, metric: string, interval: number | null, from: number, to: number) =>
    ['site', id, 'series', device, metric, interval, from, to] as const,
  alerts: (...asked: (string | number | null)[]) => ['alerts', ...asked] as const,
  places: () => ['places'] as const,
  place: (id: number) => ['places', id] as const,
  notes: (id: number) => ['places', id, 'notes'] as const,
  assignees: () => ['places', 'assignees'] as const,
  /** Apart from the places: they take the server a while, and not every event changes them. */
  proposals: () => ['proposals'] as const,
  accounts: () => ['accounts'] as const,
  budget: (id: number) => ['accounts', id, 'budget'] as const,
  settings: () => ['settings'] as const,
  changes: () => ['changes'] as const,
  sparklines: (ids: string) => ['sparklines', ids] as const,
  search: (q: string) => ['search', q] as const,
  archive: () => ['archive'] as const,
  about: () => ['about'] as const,
  vendors: () => ['vendors'] as const,
};
