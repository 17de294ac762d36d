"""The schema as an append-only list: a migration that has landed is never edited, a mistake is mended by the next.

Each entry is one script, run in one transaction. The number of the newest is `LATEST`.
"""

from __future__ import annotations

from typing import Final

_FIRST = """
CREATE TABLE account (
  id INTEGER PRIMARY KEY, vendor TEXT NOT NULL, method TEXT NOT NULL, plan TEXT NOT NULL, label TEXT NOT NULL,
  base_url TEXT, scope TEXT NOT NULL, identity TEXT NOT NULL, state TEXT NOT NULL,
  state_reason TEXT NOT NULL DEFAULT '',
  state_since INTEGER NOT NULL, retry_at INTEGER, created_at INTEGER NOT NULL, removed_at INTEGER);
CREATE TABLE place (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, address TEXT, latitude REAL, longitude REAL, timezone TEXT,
  customer TEXT, phone TEXT, reference TEXT, permission_to_operate_on TEXT, warranty TEXT, notes TEXT);
CREATE TABLE site (
  id INTEGER PRIMARY KEY, vendor TEXT NOT NULL, vendor_site_id TEXT NOT NULL,
  place_id INTEGER NOT NULL REFERENCES place(id), role TEXT NOT NULL DEFAULT 'generation',
  name TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'unknown',
  communication TEXT NOT NULL DEFAULT 'unknown', production TEXT NOT NULL DEFAULT 'unknown',
  peak_power_kw REAL, address_info TEXT NOT NULL DEFAULT '{}', connection TEXT, reference TEXT,
  timezone TEXT, latitude REAL, longitude REAL, installed_on TEXT,
  last_updated INTEGER, last_energy_at INTEGER, not_visible_since INTEGER, archived_at INTEGER,
  created_at INTEGER NOT NULL,
  user_alias TEXT, user_timezone TEXT, user_peak_power_kw REAL, user_latitude REAL, user_longitude REAL,
  tilt REAL, azimuth REAL, tags TEXT NOT NULL DEFAULT '[]',
  UNIQUE (vendor, vendor_site_id));
CREATE INDEX site_place ON site(place_id);
CREATE TABLE account_site (
  account_id INTEGER NOT NULL REFERENCES account(id), site_id INTEGER NOT NULL REFERENCES site(id),
  first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, gone_since INTEGER,
  PRIMARY KEY (account_id, site_id));
CREATE INDEX account_site_site ON account_site(site_id);
CREATE TABLE device (
  id INTEGER PRIMARY KEY, site_id INTEGER NOT NULL REFERENCES site(id), vendor TEXT NOT NULL,
  vendor_device_id TEXT NOT NULL, device_type TEXT NOT NULL, name TEXT, model TEXT, manufacturer TEXT,
  status TEXT NOT NULL DEFAULT 'unknown', serial_number TEXT, part_number TEXT, firmware TEXT, installed_on TEXT,
  parent_id INTEGER REFERENCES device(id), position TEXT, last_reported_at INTEGER,
  replaces_id INTEGER REFERENCES device(id), rated_w REAL, first_seen INTEGER NOT NULL,
  UNIQUE (site_id, vendor_device_id));
CREATE TABLE series (
  id INTEGER PRIMARY KEY, site_id INTEGER NOT NULL REFERENCES site(id), device_id INTEGER NOT NULL,
  metric TEXT NOT NULL, interval_s INTEGER NOT NULL,
  UNIQUE (site_id, device_id, metric, interval_s));
CREATE TABLE sample (
  series_id INTEGER NOT NULL REFERENCES series(id), timestamp INTEGER NOT NULL, value REAL NOT NULL,
  PRIMARY KEY (series_id, timestamp)) WITHOUT ROWID;
CREATE TABLE counter_watch (
  series_id INTEGER PRIMARY KEY REFERENCES series(id), falls INTEGER NOT NULL, value REAL NOT NULL,
  timestamp INTEGER NOT NULL);
CREATE TABLE quarantine (
  id INTEGER PRIMARY KEY, site_id INTEGER NOT NULL REFERENCES site(id), vendor_device_id TEXT NOT NULL,
  metric TEXT NOT NULL, interval_s INTEGER NOT NULL, timestamp INTEGER NOT NULL, value TEXT NOT NULL,
  reason TEXT NOT NULL, refused_at INTEGER NOT NULL,
  UNIQUE (site_id, vendor_device_id, metric, interval_s, timestamp));
CREATE TABLE alert (
  id INTEGER PRIMARY KEY, site_id INTEGER NOT NULL REFERENCES site(id), device_id INTEGER NOT NULL DEFAULT 0,
  timestamp INTEGER NOT NULL, severity TEXT NOT NULL, code TEXT NOT NULL, description TEXT NOT NULL,
  status TEXT NOT NULL, vendor_alert_id TEXT, source TEXT NOT NULL, resolved_at INTEGER, acknowledged_at INTEGER);
CREATE INDEX alert_site ON alert(site_id, status);
CREATE TABLE flip (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, subject TEXT NOT NULL, subject_id INTEGER NOT NULL,
  what TEXT NOT NULL, before TEXT, after TEXT, reason TEXT NOT NULL DEFAULT '');
CREATE INDEX flip_subject ON flip(subject, subject_id, at);
CREATE TABLE fetch (
  id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL, site_id INTEGER NOT NULL, resource TEXT NOT NULL,
  span_start INTEGER, span_end INTEGER, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,
  outcome TEXT NOT NULL, calls INTEGER NOT NULL, samples INTEGER NOT NULL, message TEXT NOT NULL DEFAULT '');
CREATE INDEX fetch_site ON fetch(site_id, resource, ended_at);
CREATE INDEX fetch_account ON fetch(account_id, ended_at);
CREATE TABLE quota (
  scope TEXT NOT NULL, "window" TEXT NOT NULL, window_start INTEGER NOT NULL, used INTEGER NOT NULL,
  history INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (scope, "window", window_start));
CREATE TABLE call (
  id INTEGER PRIMARY KEY, scope TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX call_scope ON call(scope, at);
CREATE TABLE quota_block (
  scope TEXT PRIMARY KEY, until REAL NOT NULL, reason TEXT NOT NULL);
CREATE TABLE due (
  id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL REFERENCES account(id), resource TEXT NOT NULL,
  site_id INTEGER NOT NULL, next_due REAL NOT NULL, priority INTEGER NOT NULL DEFAULT 50,
  lease_owner TEXT, lease_until REAL, attempts INTEGER NOT NULL DEFAULT 0, last_ok REAL,
  UNIQUE (account_id, resource, site_id));
CREATE INDEX due_next ON due(next_due);
CREATE INDEX due_site ON due(site_id);
CREATE TABLE gap (
  id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL REFERENCES account(id), site_id INTEGER NOT NULL,
  resource TEXT NOT NULL, span_start INTEGER NOT NULL, span_end INTEGER NOT NULL, reason TEXT NOT NULL,
  priority INTEGER NOT NULL, not_before REAL NOT NULL, lease_owner TEXT, lease_until REAL,
  attempts INTEGER NOT NULL DEFAULT 0, created_at INTEGER NOT NULL, closed_at INTEGER, outcome TEXT);
CREATE INDEX gap_open ON gap(closed_at, not_before);
CREATE INDEX gap_site ON gap(site_id, resource);
CREATE TABLE watermark (
  site_id INTEGER NOT NULL, resource TEXT NOT NULL, covered_from INTEGER NOT NULL, covered_to INTEGER NOT NULL,
  PRIMARY KEY (site_id, resource));
CREATE TABLE lease (
  scope TEXT NOT NULL, slot INTEGER NOT NULL, holder TEXT NOT NULL, expires REAL NOT NULL,
  PRIMARY KEY (scope, slot));
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""

# An alarm may be an account's, which has no site; a look may not come round sooner than its vendor bears.
_ALERTS = """
DROP TABLE alert;
CREATE TABLE alert (
  id INTEGER PRIMARY KEY, site_id INTEGER REFERENCES site(id), account_id INTEGER REFERENCES account(id),
  device_id INTEGER NOT NULL DEFAULT 0, timestamp INTEGER NOT NULL, severity TEXT NOT NULL, code TEXT NOT NULL,
  description TEXT NOT NULL, silent INTEGER NOT NULL DEFAULT 0, status TEXT NOT NULL,
  vendor_alert_id TEXT NOT NULL, source TEXT NOT NULL, resolved_at INTEGER, acknowledged_at INTEGER,
  CHECK ((site_id IS NULL) <> (account_id IS NULL)));
CREATE UNIQUE INDEX alert_site ON alert(site_id, source, vendor_alert_id) WHERE site_id IS NOT NULL;
CREATE UNIQUE INDEX alert_account ON alert(account_id, source, vendor_alert_id) WHERE account_id IS NOT NULL;
CREATE INDEX alert_open ON alert(resolved_at);
ALTER TABLE due ADD COLUMN last_asked REAL;
ALTER TABLE account ADD COLUMN consented_at INTEGER;
"""

# What the user lets a scope spend beyond what is included; and what is due is asked for by account.
_BUDGET = """
CREATE INDEX due_account ON due(account_id, next_due);
CREATE TABLE quota_cap (
  scope TEXT NOT NULL, "window" TEXT NOT NULL, cap INTEGER NOT NULL, set_at INTEGER NOT NULL,
  PRIMARY KEY (scope, "window"));
"""

# Raw answers, so that a parser mended today repairs yesterday.
_RAW = """
CREATE TABLE raw_answer (
  id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL, site_id INTEGER NOT NULL, resource TEXT NOT NULL,
  fetched_at REAL NOT NULL, parser INTEGER NOT NULL, status INTEGER NOT NULL, method TEXT NOT NULL,
  path TEXT NOT NULL, params TEXT NOT NULL, headers TEXT NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX raw_answer_size ON raw_answer(id, size);
CREATE INDEX raw_answer_at ON raw_answer(fetched_at);
"""

# Messages that come by themselves: which were taken, which could not be, and what is known of each sender.
_MESSAGES = """
CREATE TABLE message (
  account_id INTEGER NOT NULL, sender TEXT NOT NULL, message_id TEXT NOT NULL, taken_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, sender, message_id)) WITHOUT ROWID;
CREATE INDEX message_at ON message(taken_at);
CREATE TABLE dead_letter (
  id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL, way TEXT NOT NULL, received_at INTEGER NOT NULL,
  reason TEXT NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE sender (
  account_id INTEGER NOT NULL, sender TEXT NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (account_id, sender));
"""

# What people write: where a panel hangs, who waits for what at a place, and the notes of it; and an account at rest.
_CARE = """
ALTER TABLE device ADD COLUMN user_array TEXT;
ALTER TABLE device ADD COLUMN user_row INTEGER;
ALTER TABLE device ADD COLUMN user_column INTEGER;
ALTER TABLE place ADD COLUMN modules TEXT;
ALTER TABLE place ADD COLUMN assignee TEXT;
ALTER TABLE place ADD COLUMN waiting_on TEXT;
ALTER TABLE place ADD COLUMN snoozed_at INTEGER;
ALTER TABLE place ADD COLUMN snoozed_until INTEGER;
ALTER TABLE place ADD COLUMN snoozed_state TEXT;
CREATE TABLE note (
  id INTEGER PRIMARY KEY, place_id INTEGER NOT NULL REFERENCES place(id), at INTEGER NOT NULL, text TEXT NOT NULL,
  author TEXT NOT NULL DEFAULT '');
CREATE INDEX note_place ON note(place_id, at);
ALTER TABLE account ADD COLUMN paused_at INTEGER;
"""

# Sealed history: a block's id is its part's number and its month's, so that it needs no index.
_BLOCKS = """
CREATE TABLE block (
  id INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL, samples INTEGER NOT NULL, data BLOB NOT NULL);
ALTER TABLE series ADD COLUMN part INTEGER;
ALTER TABLE series ADD COLUMN sealed_from INTEGER;
ALTER TABLE series ADD COLUMN sealed_to INTEGER;
CREATE INDEX series_part ON series(part) WHERE part IS NOT NULL;
"""

# What a site gave on each local day, and which stretches of its production changed since that was computed.
_SITE_DAYS = """
CREATE TABLE site_day (
  site_id INTEGER NOT NULL REFERENCES site(id), day TEXT NOT NULL, energy_wh REAL, energy_interval_s INTEGER,
  peak_w REAL, first_at INTEGER, last_at INTEGER, completeness REAL,
  PRIMARY KEY (site_id, day)) WITHOUT ROWID;
CREATE INDEX site_day_energy ON site_day(day, energy_wh) WHERE energy_wh IS NOT NULL;
CREATE TABLE site_day_due (
  site_id INTEGER NOT NULL REFERENCES site(id), first INTEGER NOT NULL, last INTEGER NOT NULL,
  PRIMARY KEY (site_id, first)) WITHOUT ROWID;
INSERT INTO site_day_due SELECT site_id, min((SELECT min(timestamp) FROM sample WHERE series_id = series.id)),
  max((SELECT max(timestamp) FROM sample WHERE series_id = series.id)) FROM series WHERE device_id = 0
  AND metric IN ('ac_power_w', 'dc_power_w', 'energy_wh', 'dc_energy_wh')
  AND EXISTS (SELECT 1 FROM sample WHERE series_id = series.id) GROUP BY site_id;
"""

MIGRATIONS: Final[tuple[str, ...]] = (_FIRST, _ALERTS, _BUDGET, _RAW, _MESSAGES, _CARE, _BLOCKS, _SITE_DAYS)
LATEST: Final = len(MIGRATIONS)
