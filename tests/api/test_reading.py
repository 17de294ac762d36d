"""What the API gives: sites, series at the resolution asked for, the layout, the fleet at one common quarter-hour."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from sungaze.emulators.world import INTERVAL_S
from sungaze.jobs import upkeep

if TYPE_CHECKING:
    from conftest import Fleet

DAY_S = 86_400


def series(fleet: Fleet, site: dict[str, Any], **asked: Any) -> dict[str, Any]:
    params = {name.rstrip("_"): value for name, value in asked.items()}
    answer = fleet.client.get(f"/api/sites/{site['id']}/series", params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def yesterday_of(fleet: Fleet, site: dict[str, Any]) -> tuple[int, int]:
    zone = ZoneInfo(site["timezone"])
    today = dt.datetime.fromtimestamp(fleet.now(), zone).date()
    first, last = (dt.datetime.combine(today - dt.timedelta(days=n), dt.time(), zone).timestamp() for n in (1, 0))
    return int(first), int(last)


def test_every_site_is_listed_with_its_freshness_and_reason(fleet: Fleet) -> None:
    answer = fleet.client.get("/api/sites", params={"limit": 1000}).json()
    assert answer["total"] == len(answer["items"]) == 8
    for item in answer["items"]:
        assert item["freshness"] in {"fresh", "asleep", "late"}
        assert (item["freshness"] == "fresh") == (item["freshness_reason"] == "")
        assert item["peak_power_kw"] > 0
        assert item["energy_yesterday_wh"] is not None


def test_paging_searching_and_sorting_the_list(fleet: Fleet) -> None:
    ask = fleet.client.get
    pages = [ask("/api/sites", params={"limit": 3, "offset": n, "sort": "name"}).json() for n in (0, 3, 6)]
    names = [item["name"] for page in pages for item in page["items"]]
    assert names == sorted(names, key=str.casefold)
    assert len(names) == 8
    backwards = ask("/api/sites", params={"sort": "-name"}).json()["items"]
    assert [item["name"] for item in backwards] == names[::-1]
    found = ask("/api/sites", params={"q": f"{names[0].upper()}"}).json()
    assert names[0] in [item["name"] for item in found["items"]]
    assert found["total"] == len(found["items"]) < 8


@pytest.mark.parametrize("zone", ["US/Central", "Europe/Berlin", "Australia/Adelaide", "Asia/Kolkata"])
def test_a_day_of_power_is_the_same_at_every_resolution(fleet: Fleet, zone: str) -> None:
    site = fleet.site("enphase", zone)
    start, end = yesterday_of(fleet, site)
    span = {"metric": "ac_power_w", "from": start, "to": end}
    raw = series(fleet, site, **span)
    assert (raw["interval_s"], raw["unit"], raw["device_id"]) == (INTERVAL_S, "W", 0)
    assert all(len(point) == 2 and start <= point[0] < end for point in raw["points"])
    for resolution, length in (("5m", 300), ("15m", 900), ("1h", 3600)):
        coarse = series(fleet, site, resolution=resolution, **span)
        assert coarse["interval_s"] == length
        for at, mean, low, high in coarse["points"]:
            inside = [value for t, value in raw["points"] if at <= t < at + length]
            assert inside
            assert mean == pytest.approx(sum(inside) / len(inside))
            assert (low, high) == (min(inside), max(inside))
        offset = dt.datetime.fromtimestamp(start, ZoneInfo(site["timezone"])).utcoffset()
        assert offset is not None
        assert all((at + offset.total_seconds()) % length == 0 for at, *_ in coarse["points"])


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_days_are_the_vendors_own_figures_stamped_at_local_midnight(fleet: Fleet, vendor: str) -> None:
    site = fleet.site(vendor, "Asia/Kolkata")
    start, end = yesterday_of(fleet, site)
    month = series(fleet, site, metric="energy_wh", from_=start - 29 * DAY_S, to=end, resolution="1d")
    assert len(month["points"]) == 30
    for at, value in month["points"]:
        assert (at + 5.5 * 3600) % DAY_S == 0
        assert value >= 0
    daily = series(fleet, site, metric="energy_wh", from_=start - 29 * DAY_S, to=end, interval_s=DAY_S)
    assert daily["points"] == month["points"]
    now = int(fleet.now())
    upkeep.settle_days(fleet.runtime.context.store, now)
    days = series(fleet, site, metric="energy_wh", from_="2026-01-01", to=now, resolution="1d")
    months = series(fleet, site, metric="energy_wh", from_="2026-01-01", to=now, resolution="1mo")
    assert sum(value for _, value, _, _ in months["points"]) == pytest.approx(sum(value for _, value in days["points"]))
    assert sum(known for _, _, known, _ in months["points"]) == len(days["points"]) >= 30


def test_energy_sums_take_one_interval_length_only(fleet: Fleet) -> None:
    site = fleet.site("enphase", "Europe/Berlin")
    start, end = yesterday_of(fleet, site)
    hourly = series(fleet, site, metric="energy_wh", from_=start, to=end, resolution="1h")
    daily = series(fleet, site, metric="energy_wh", from_=start, to=end, resolution="1d")
    assert sum(value for _, value in hourly["points"]) == pytest.approx(daily["points"][0][1], abs=150)


def test_a_panel_has_a_series_of_its_own(fleet: Fleet) -> None:
    site = fleet.site("enphase", "Europe/Berlin")
    devices = fleet.client.get(f"/api/sites/{site['id']}/devices").json()["items"]
    panels = [d for d in devices if d["device_type"] == "microinverter"]
    assert panels
    start, end = yesterday_of(fleet, site)
    whole = series(fleet, site, metric="ac_power_w", from_=start, to=end)
    parts = [series(fleet, site, metric="ac_power_w", from_=start, to=end, device=p["id"]) for p in panels]
    noon = max(whole["points"], key=lambda point: point[1])
    total = sum(dict(map(tuple, part["points"])).get(noon[0], 0) for part in parts)
    assert total == pytest.approx(noon[1], abs=len(panels))


def test_times_may_be_epochs_dates_or_instants_and_are_local_without_an_offset(fleet: Fleet) -> None:
    site = fleet.site("enphase", "Asia/Kolkata")
    start, end = yesterday_of(fleet, site)
    day = dt.datetime.fromtimestamp(start, ZoneInfo("Asia/Kolkata")).date()
    local = series(fleet, site, metric="ac_power_w", from_=day.isoformat(), to=(day + dt.timedelta(days=1)).isoformat())
    epoch = series(fleet, site, metric="ac_power_w", from_=start, to=end)
    utc = dt.datetime.fromtimestamp(start, dt.UTC).isoformat()
    instant = series(fleet, site, metric="ac_power_w", from_=utc, to=end)
    assert local["points"] == epoch["points"] == instant["points"] != []


@pytest.mark.parametrize("columns", [1, 4, 200])
def test_the_layout_is_a_grid_in_the_order_of_serials_and_says_that_it_is_schematic(fleet: Fleet, columns: int) -> None:
    site = fleet.site("enphase", "US/Central")
    layout = fleet.client.get(f"/api/sites/{site['id']}/layout", params={"columns": columns}).json()
    assert "not the arrangement" in layout["disclaimer"]
    serials = [cell["serial_number"] for cell in layout["cells"]]
    assert serials == sorted(serials)
    assert len(serials) == 9
    assert [(c["row"], c["column"]) for c in layout["cells"]] == [(n // columns, n % columns) for n in range(9)]
    assert (layout["metric"], layout["unit"], layout["columns"]) == ("ac_power_w", "W", columns)


def test_the_layout_of_a_past_moment_shows_what_was_measured_then(fleet: Fleet) -> None:
    site = fleet.site("enphase", "Europe/Berlin")
    start, _ = yesterday_of(fleet, site)
    ask = fleet.client.get
    noon = ask(f"/api/sites/{site['id']}/layout", params={"at": start + 12 * 3600 + 17}).json()
    cell = next(cell for cell in noon["cells"] if cell["value"] is not None)
    raw = series(fleet, site, metric="ac_power_w", device=cell["device_id"], from_=start, to=start + DAY_S)
    assert [cell["timestamp"], cell["value"]] in raw["points"]
    assert start + 12 * 3600 - 900 < cell["timestamp"] <= start + 12 * 3600 + 17
    night = ask(f"/api/sites/{site['id']}/layout", params={"at": start + 3600}).json()
    assert {cell["value"] for cell in night["cells"]} == {None}


def test_panels_without_figures_are_listed_with_the_reason(fleet: Fleet) -> None:
    site = fleet.site("solaredge", "Europe/Berlin")
    layout = fleet.client.get(f"/api/sites/{site['id']}/layout").json()
    assert "no figures per panel" in layout["note"]
    assert layout["cells"]
    assert {cell["value"] for cell in layout["cells"]} == {None}
    inverters = fleet.client.get(f"/api/sites/{site['id']}/layout", params={"type": "inverter"}).json()
    assert len(inverters["cells"]) == 1


def test_the_fleet_is_summed_at_one_quarter_hour_and_says_of_how_many(fleet: Fleet) -> None:
    whole = fleet.client.get("/api/fleet").json()
    assert whole["at"] % 900 == 0
    assert whole["places_total"] == 8
    assert whole["places"] + whole["left_out"] + whole["daily_only"] == 8
    assert whole["yesterday"]["places"] == 8
    items = fleet.client.get("/api/sites").json()["items"]
    assert whole["yesterday"]["energy_wh"] == pytest.approx(sum(i["energy_yesterday_wh"] for i in items))
    awake = [i for i in items if i["freshness"] == "fresh"]
    assert 0 < whole["power_w"] <= 1.5 * sum(i["peak_power_kw"] for i in awake) * 1000


def test_accounts_tell_calls_used_and_left_and_true_progress(fleet: Fleet) -> None:
    for account in fleet.client.get("/api/accounts").json()["items"]:
        assert account["state"] == "connected"
        assert account["backfill"]["done"] == account["backfill"]["total"] > 0
        assert {quota["window"] for quota in account["quotas"]} == {"minute", "month"}
        for quota in account["quotas"]:
            assert quota["used"] + quota["left"] == quota["limit"]
        used = next(quota["used"] for quota in account["quotas"] if quota["window"] == "month")
        assert used >= fleet.emulators[account["vendor"]].quota.used["month"]


def test_what_vendors_declare_draws_the_connect_form(fleet: Fleet) -> None:
    for vendor in fleet.client.get("/api/vendors").json()["items"]:
        plans = {plan["id"] for plan in vendor["plans"]}
        for method in vendor["methods"]:
            assert set(method["plans"]) <= plans
            assert all(field["label"] for field in method["fields"])
        assert vendor["link"].startswith("https://")
