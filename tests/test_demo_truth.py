"""The demo as it is shipped: five vendors, CPS by all three of its ways, and every figure as the world had it."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from program import DEMO_SITES, Sungaze

from sungaze.demo import FLEET, PANELS, SEED
from sungaze.emulators import World
from sungaze.emulators._cps_messages import BACKFILL_S
from sungaze.emulators._registry import service_of
from sungaze.emulators._service import TruthRow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FRESH_S = 150.0
"""Two whole minutes of the vendors' limits, and what a busy machine takes."""
CATCH_UP_S = 90.0
ROUNDING = {"enphase": 0.5, "solaredge": 0.005, "tigo": 0.6, "cps": 51.0}
"""W or Wh of one device: Enphase and Tigo give whole ones, SolarEdge two decimals, CPS kW with one decimal."""
DAY_ROUNDING = {"cps": 51.0}


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Sungaze]:
    running = Sungaze(tmp_path / "data", demo=True)
    yield running
    if running.process.poll() is None:
        running.stop()


def sites(demo: Sungaze) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = demo.client.get("/api/sites", params={"limit": 100}).json()["items"]
    return items


def wait_until_known(demo: Sungaze) -> list[dict[str, Any]]:
    deadline = time.monotonic() + FRESH_S
    while time.monotonic() < deadline:
        found = sites(demo)
        if len(found) == DEMO_SITES and all(s["freshness"] in {"fresh", "asleep"} for s in found):
            return found
        time.sleep(0.5)
    raise AssertionError([(s["vendor"], s["name"], s["freshness"], s["freshness_reason"]) for s in sites(demo)])


def truth(now: float) -> dict[tuple[str, str, str, str, int, int], float]:
    """What the world had in the last two days, of the vendors that give a truth row by row."""
    found = {}
    for vendor in ROUNDING:
        number, _ = FLEET[vendor]
        world = World(seed=SEED, sites=number, panels=PANELS)
        for k in range(number):
            for row in service_of(vendor).truth(world, k, int(now) - 2 * 86_400, int(now)):
                assert isinstance(row, TruthRow)
                found[vendor, row.site_id, row.device_id, row.metric, row.interval_s, row.start] = row.value
    return found | _quarters(found)


def _quarters(found: dict[tuple[str, str, str, str, int, int], float]) -> dict[Any, float]:
    """What a gateway sends of what it kept: means of quarter-hours. By night it is all that there is to compare."""
    parts: dict[Any, list[float]] = {}
    for (vendor, site, device, metric, interval_s, start), value in found.items():
        if (vendor, metric, interval_s) == ("cps", "ac_power_w", BACKFILL_S // 3):
            quarter = start // BACKFILL_S * BACKFILL_S
            parts.setdefault((vendor, site, device, metric, BACKFILL_S, quarter), []).append(value)
    return {key: sum(values) / 3 for key, values in parts.items() if len(values) == 3}


def stored(folder: Path) -> dict[tuple[str, str, str, str, int, int], float]:
    connection = sqlite3.connect(f"file:{folder / 'sungaze.db'}?mode=ro", uri=True, timeout=20)
    try:
        rows = connection.execute(
            "SELECT site.vendor, vendor_site_id, COALESCE(vendor_device_id, ''), metric, interval_s, timestamp, value "
            "FROM sample JOIN series ON series.id = series_id JOIN site ON site.id = series.site_id "
            "LEFT JOIN device ON device.id = series.device_id WHERE interval_s BETWEEN 1 AND 3600"
        ).fetchall()
    finally:
        connection.close()
    return {(v, s, d, m, i, t): value for v, s, d, m, i, t, value in rows}


def test_five_vendors_are_fresh_or_asleep_and_their_figures_are_the_world_s(demo: Sungaze, tmp_path: Path) -> None:
    found = wait_until_known(demo)
    assert Counter(site["vendor"] for site in found) == {vendor: n for vendor, (n, _) in FLEET.items()}
    accounts = demo.client.get("/api/accounts").json()["items"]
    assert {a["way"] for a in accounts if a["vendor"] == "cps"} == {"ask", "mqtt", "push"}
    assert all(a["state"] == "connected" for a in accounts), accounts
    places = {site["place"]["id"] for site in found}
    deadline = time.monotonic() + 40
    while len(places) == DEMO_SITES and time.monotonic() < deadline:
        time.sleep(0.5)
        places = {site["place"]["id"] for site in sites(demo)}
    assert len(places) == DEMO_SITES - 1, "Tigo's optimizers and CPS's inverter are one roof"
    proposals = demo.client.get("/api/places/proposals").json()["items"]
    vendors = {frozenset(site["vendor"] for site in p["sites"]) for p in proposals}
    assert frozenset({"enphase", "solaredge"}) in vendors
    compared: Counter[str] = Counter()
    deadline = time.monotonic() + CATCH_UP_S
    # What the gateways have kept comes by itself, some while after the sites are known.
    while set(compared) != set(ROUNDING) and time.monotonic() < deadline:
        known, kept = truth(time.time()), stored(tmp_path / "data")
        compared.clear()
        for key, value in kept.items():
            if key in known:
                compared[key[0]] += 1
                assert abs(value - known[key]) <= ROUNDING[key[0]], (key, value, known[key])
        time.sleep(2)
    assert set(compared) == set(ROUNDING), compared
    assert min(compared.values()) > 0
    assert demo.client.get("/api/sites", params={"limit": 100}).status_code == 200


def test_a_second_start_of_the_demo_finds_its_cps_accounts_again(demo: Sungaze, tmp_path: Path) -> None:
    wait_until_known(demo)
    before = {site["id"] for site in sites(demo)}
    demo.stop()
    again = Sungaze(tmp_path / "data", demo=True)
    try:
        found = wait_until_known(again)
        assert {site["id"] for site in found} == before
        assert len(again.client.get("/api/accounts").json()["items"]) == 7
    finally:
        again.stop()
