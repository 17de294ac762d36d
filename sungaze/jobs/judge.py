"""Sungaze's own alarms: every few minutes each site's facts are judged, and what is found is kept with its evidence."""

from __future__ import annotations

from typing import Final

import msgspec

from sungaze.checks import production
from sungaze.checks.near import NEIGHBOUR_KM, within_km
from sungaze.checks.production import Facts, Finding, judge
from sungaze.jobs.context import Context
from sungaze.model import AlertFacts, Freshness, Severity, Span
from sungaze.store.alerts import OWN
from sungaze.store.fleet import SiteRow
from sungaze.store.timeseries import SeriesKey
from sungaze.vendors import connectors

LOOK_BACK_S: Final = 6 * 3_600
_WORDS: Final = {
    production.SITE_SILENT: "Site silent",
    production.ZERO: "No production by day",
    production.ZERO_AMONG: "No production while neighbours produce",
    production.DEVICE_SILENT: "Device silent",
}


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A site as it is shown: its row, the verdict on its age, its power's interval, and what it gives of its peak,
    where that is fresh.
    """

    site: SiteRow
    freshness: Freshness
    reason_code: str
    interval_s: int
    share: float | None


def judge_fleet(context: Context, seen: list[Seen]) -> None:
    """Judge every site that is shown, and tell of those whose alarms changed."""
    changed = [one.site.id for one in seen if _judge_site(context, one, seen)]
    if changed:
        context.events.publish("sites", changed)


def _judge_site(context: Context, one: Seen, seen: list[Seen]) -> bool:
    store, now, site = context.store, context.now(), one.site
    vendor = connectors()[site.vendor].vendor
    at = int(now)
    key = SeriesKey(site.id, 0, vendor.power_metric, one.interval_s)
    names = {device_id: name for name, device_id in store.fleet.device_ids(site.id).items()}
    interval = store.timeseries.finest_of_devices(site.id, vendor.power_metric)
    newest = store.timeseries.latest(site.id, vendor.power_metric, interval) if interval is not None else {}
    active = {d.id for d in store.fleet.devices(site.id) if d.status != "retired"}
    judgement = judge(
        Facts(
            now=now,
            freshness=one.freshness,
            reason_code=one.reason_code,
            heard_at=site.last_updated,
            peak_w=site.peak_power_kw * 1000 if site.peak_power_kw else None,
            latitude=site.latitude,
            longitude=site.longitude,
            interval_s=one.interval_s,
            power=store.timeseries.raw(key, Span(at - LOOK_BACK_S, at + 1)),
            devices={names[d]: found[0] for d, found in newest.items() if d in active and d in names},
            neighbours=[other.share for other in seen if other.share is not None and _are_neighbours(one, other)],
        )
    )
    kept, _ = store.alerts.alerts(site_id=site.id, going_on=True, limit=1000)
    facts = [_as_alert(finding) for finding in judgement.found]
    facts += [
        AlertFacts(
            vendor_alert_id=row.vendor_alert_id, code=row.code, description=row.description,
            severity=Severity(row.severity), timestamp=row.timestamp, silent=row.code == production.SITE_SILENT,
        )
        for row in kept
        if row.source == OWN and row.code in judgement.untold
    ]  # fmt: skip
    if not facts and not any(row.source == OWN for row in kept):
        return False
    devices = store.fleet.device_ids(site.id)
    return store.alerts.apply(facts, source=OWN, complete=True, now=now, site_id=site.id, devices=devices)


def _as_alert(finding: Finding) -> AlertFacts:
    return AlertFacts(
        vendor_alert_id=f"{finding.code}:{finding.vendor_device_id}",
        code=finding.code,
        description=f"{_WORDS[finding.code]}. {finding.evidence}",
        severity=finding.severity,
        timestamp=finding.since,
        vendor_device_id=finding.vendor_device_id,
        silent=finding.code == production.SITE_SILENT,
    )


def _are_neighbours(one: Seen, other: Seen) -> bool:
    """Whether two sites share their weather; a place that is known by its zone's city only has no neighbours."""
    a, b = one.site, other.site
    if a.id == b.id or a.place_id == b.place_id or "zone" in {a.position_source, b.position_source}:
        return False
    return within_km((a.latitude, a.longitude), (b.latitude, b.longitude), NEIGHBOUR_KM)
