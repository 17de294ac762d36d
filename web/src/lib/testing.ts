import type { Account, Site, Vendor } from './api/client';

/** A site that is fine, for tests to change. */
export function aSite(changes: Partial<Site> = {}): Site {
  return {
    id: 1,
    vendor: 'enphase',
    vendor_site_id: '7100013',
    name: 'Juniper Clinic',
    status: 'normal',
    communication: 'ok',
    production: 'ok',
    freshness: 'fresh',
    freshness_reason: '',
    reason_code: '',
    peak_power_kw: 8.2,
    power_w: 5100,
    power_metric: 'ac_power_w',
    power_interval_s: 300,
    measured_at: 1_795_500_000,
    fetched_at: 1_795_500_360,
    last_report_at: 1_795_500_300,
    next_look_at: 1_795_501_800,
    energy_today_wh: 21_000,
    energy_yesterday_wh: 35_900,
    yield_yesterday_kwh_per_kwp: 4.38,
    timezone: 'America/Chicago',
    address: '60699, Chicago, IL, US',
    place: { id: 1, name: 'Juniper Clinic', role: 'generation' },
    alerts: 0,
    needs_you: false,
    archived: false,
    trouble: '',
    trouble_since: null,
    loss_wh_per_day: null,
    loss_basis: '',
    tags: [],
    customer: null,
    care: { snoozed: false, snoozed_until: null, until_change: false, waiting_on: null, assignee: null, notes: 0 },
    ...changes,
  };
}

/** A connected account, for tests to change. */
export function anAccount(changes: Partial<Account> = {}): Account {
  return {
    id: 1,
    vendor: 'enphase',
    method: 'partner_password',
    plan: 'partner',
    label: 'Our roofs',
    state: 'connected',
    state_reason: '',
    sites: 12,
    created_at: 1_795_400_000,
    last_fetch_at: 1_795_500_000,
    next_look_at: 1_795_501_000,
    quotas: [
      {
        window: 'minute', used: 3, limit: 300, left: 297, resets_at: null, forecast: null, vendor_limit: 300, included: 300,
        price_usd: 0, capped: false, spent_usd: 0, forecast_usd: 0,
      },
      {
        window: 'month', used: 152, limit: 10_000, left: 9848, resets_at: 1_796_083_200, forecast: 196,
        vendor_limit: 1_500_000, included: 10_000, price_usd: 0.005, capped: false, spent_usd: 0, forecast_usd: 0,
      },
    ],
    backfill: { done: 30, total: 48, calls_left: 18, complete_at: 1_795_510_000, state: 'running' },
    history_from: 1_792_821_600,
    base_url: null,
    way: 'ask',
    listening_since: null,
    push_path: null,
    refused: 0,
    advice: '',
    ...changes,
  };
}

/** A vendor that declares one way in, for tests to change. */
export function aVendor(changes: Partial<Vendor> = {}): Vendor {
  return {
    id: 'sunny',
    name: 'Sunny',
    link: 'https://sunny.example',
    attribution: 'Data: Sunny',
    methods: [
      {
        id: 'key',
        label: 'Key',
        about: 'Sees every site.',
        fields: [
          { name: 'api_key', label: 'API key', help: 'From the console.', secret: true, required: true, once: false },
          { name: 'user', label: 'User', help: '', secret: false, required: false, once: false },
        ],
        plans: ['free', 'paid'],
        consent: '',
        return_address: '',
        way: 'ask',
      },
    ],
    plans: [
      { id: 'paid', label: 'Paid', about: 'Much.', limits: [], gives: ['panels'] },
      {
        id: 'free',
        label: 'Free',
        about: 'Little.',
        limits: [{ window: 'minute', limit: 10, included: 10, price_usd: 0 }],
        gives: ['energy'],
      },
    ],
    notes: ['Nothing finer than a quarter-hour.'],
    late_min: 90,
    stale_min: 240,
    ...changes,
  };
}
