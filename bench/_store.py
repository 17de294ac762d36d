"""A store with as many sites as wanted, all of them with figures of the last two days."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from sungaze import clock
from sungaze.model import DAY_S, Reading, SiteFacts, SiteStatus
from sungaze.store import Store
from sungaze.store.timeseries import Rating
from sungaze.vendors import connector

ZONES = ("America/Chicago", "Europe/Berlin", "Australia/Adelaide", "Asia/Kolkata")


def fill(path: Path, sites: int, now: float) -> None:
    """Half Enphase, half SolarEdge, each under one account that is not asked anything before tomorrow.

    An odd number has one more of Enphase.
    """
    store = Store(path)
    for account_id, vendor_id in enumerate(("enphase", "solaredge"), start=1):
        vendor = connector(vendor_id).vendor
        plan = vendor.methods[0].plans[0]
        with store.database.transaction():
            store.fleet.add_account(
                id=account_id, vendor=vendor_id, method=vendor.methods[0].id, plan=plan, label=vendor.name,
                base_url=None, scope=vendor_id, identity=vendor_id, now=now,
            )  # fmt: skip
            facts = [
                SiteFacts(
                    vendor_site_id=str(account_id * 1_000_000 + k),
                    name=f"Roof number {k}",
                    status=SiteStatus.NORMAL,
                    peak_power_kw=8.0,
                    timezone=ZONES[k % len(ZONES)],
                    address={"street": f"{k} Example Road", "city": "Town", "country": "Somewhere"},
                    last_report_at=int(now) - 300,
                )
                for k in range((sites + 2 - account_id) // 2)
            ]
            for site_id in store.fleet.apply_sites(account_id, vendor_id, facts, complete=True, now=now):
                store.work.plan_look(account_id, vendor.fine_resource, site_id, now + DAY_S, 20)
                store.timeseries.write(
                    site_id, _readings(store.fleet.site(site_id).timezone, vendor.fine_s, now),
                    devices={}, rating=Rating(8000.0), now=now,
                )  # fmt: skip
        store.fleet.set_account_state(account_id, "connected", "", now, retry_at=now + DAY_S)
    store.close()


def _readings(timezone: str | None, fine_s: int, now: float) -> list[Reading]:
    tz = clock.zone(timezone)
    assert tz is not None
    newest = int(now) // fine_s * fine_s - fine_s
    today = clock.day_of(now, tz)
    return [
        Reading("", "ac_power_w", fine_s, newest - fine_s * step, float(step * 37 % 7000))
        for step in range(2 * DAY_S // fine_s)
    ] + [
        Reading("", "energy_wh", DAY_S, clock.midnight(today - dt.timedelta(days=back), tz), 20_000.0 + back)
        for back in range(30)
    ]
