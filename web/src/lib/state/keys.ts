/** The names under which answers are kept; an event about a site reaches everything below its name. */
export const keys = {
  fleet: () => ['fleet'] as const,
  sites: (q?: string) => (q === undefined ? (['sites'] as const) : (['sites', q] as const)),
  site: (id: number) => ['site', id] as const,
  siteDetail: (id: number) => ['site', id, 'detail'] as const,
  devices: (id: number) => ['site', id, 'devices'] as const,
  device: (id: number, device: number) => ['site', id, 'device', device] as const,
  flow: (id: number) => ['site', id, 'flow'] as const,
  siteAlerts: (id: number) => ['site', id, 'alerts'] as const,
  completeness: (id: number, from: string, to: string) => ['site', id, 'completeness', from, to] as const,
  owed: (id: number) => ['site', id, 'owed'] as const,
  refused: (id: number, limit: number) => ['site', id, 'refused', limit] as const,
  layout: (id: number, metric: string, at: number | null) => ['site', id, 'layout', metric, at] as const,
  series: (id: number, device: number, metric: string, interval: number | null, from: number, to: number) =>
    ['site', id, 'series', device, metric, interval, from, to] as const,
  accounts: () => ['accounts'] as const,
  budget: (id: number) => ['accounts', id, 'budget'] as const,
  vendors: () => ['vendors'] as const,
};
