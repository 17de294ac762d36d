"""From an answer to committed samples: a day of 20 panels, decoded, read, checked, kept and written, on one core."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

from bench._measure import Row, median
from sungaze.model import DAY_S, SiteFacts
from sungaze.store import Store
from sungaze.store.raw import RawAnswer
from sungaze.vendors._contract import Response
from sungaze.vendors._session import decode
from sungaze.vendors.enphase import _micro_facts, _Panels, read_panel

PANELS = 20
DAYS = 60
FIRST = 1_780_012_800


def answer_of(day: int) -> bytes:
    """What Enphase answers to a day of all panels: 288 intervals each, as on a day without a night."""
    first = FIRST + day * DAY_S
    panels = [
        {
            "serial_number": f"5000000{panel:05d}",
            "intervals": [
                {"end_at": first + 300 * (n + 1), "powr": (n * 7 + panel) % 400, "enwh": (n * 7 + panel) % 33}
                for n in range(288)
            ],
        }
        for panel in range(PANELS)
    ]
    return json.dumps({"system_id": 1, "items": "devices", "devices": panels}).encode()


def rows() -> list[Row]:
    """Samples a second, over 60 days, each a transaction of its own."""
    if hasattr(os, "sched_setaffinity"):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(before)})
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "sungaze.db")
        with store.database.transaction():
            store.fleet.add_account(
                id=1, vendor="enphase", method="partner_password", plan="partner", label="bench", base_url=None,
                scope="bench", identity="bench", now=FIRST,
            )  # fmt: skip
            facts = [SiteFacts(vendor_site_id="1", name="Roof", timezone="UTC", peak_power_kw=8.0)]
            (site_id,) = store.fleet.apply_sites(1, "enphase", facts, complete=True, now=FIRST)
        site = store.fleet.site(site_id)
        rates = []
        for day in range(DAYS):
            response = Response(200, {}, answer_of(day), "telemetry")
            started = time.perf_counter()
            page = decode(response, _Panels, "Enphase", "micros/telemetry")
            devices = [_micro_facts(panel.serial_number) for panel in page.devices]
            readings = [reading for panel in page.devices for reading in read_panel(panel)]
            kept = RawAnswer(
                account_id=1, site_id=site_id, resource="panels", fetched_at=FIRST, parser=1, status=200, method="GET",
                path="telemetry", params=(), headers={}, body=response.body,
            )  # fmt: skip
            with store.database.transaction():
                store.raw.keep([kept])
                ids = store.fleet.apply_devices(site, devices, complete=False, now=FIRST)
                rating = store.fleet.rating(site)
                written = store.timeseries.write(site_id, readings, devices=ids, rating=rating, now=FIRST)
            rates.append(written.samples / (time.perf_counter() - started))
            assert written.changed == written.samples == PANELS * 288 * 2
        store.close()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, before)
    figure = f"median {median(rates):,.0f}/s, worst day {min(rates):,.0f}/s"
    return [Row("samples committed from a 20-panel day's answer, one core", figure, "≥ 150,000/s")]
