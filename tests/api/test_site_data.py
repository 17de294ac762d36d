"""What stands behind a site's pages: one device whole, completeness, what is owed and refused, the export, the flow."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from sungaze.model import DeviceFacts, DeviceStatus, DeviceType, Reading, SiteFacts, Span
from sungaze.reports.csv_export import HEADER
from sungaze.store.timeseries import Rating

if TYPE_CHECKING:
    from conftest import Fleet

DAY_S = 86_400


def site_of(fleet: Fleet, *devices: DeviceFacts, timezone: str | None = "Europe/Berlin") -> int:
    """A site of a vendor, put into the store by hand."""
    store, now = fleet.runtime.context.store, fleet.now()
    with store.database.transaction():
        store.fleet.add_account(
            id=1, vendor="generac", method="password", plan="dashboard", label="The account", base_url=None,
            scope="s", identity="i", now=now,
        )  # fmt: skip
    facts = SiteFacts(vendor_site_id="g1", name="Barn", timezone=timezone, latitude=52.5, longitude=13.4)
    (site_id,) = store.fleet.apply_sites(1, "generac", [facts], complete=True, now=now)
    store.fleet.apply_devices(store.fleet.site(site_id), devices, complete=True, now=now)
    return site_id


def put(fleet: Fleet, site_id: int, *readings: Reading) -> None:
    store = fleet.runtime.context.store
    store.timeseries.write(
        site_id, readings, devices=store.fleet.device_ids(site_id), rating=Rating(10_000.0), now=fleet.now()
    )


def ask(fleet: Fleet, path: str, **params: Any) -> Any:
    answer = fleet.client.get(path, params={name.rstrip("_"): value for name, value in params.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


def battery(key: str, **more: Any) -> DeviceFacts:
    return DeviceFacts(vendor_device_id=key, device_type=DeviceType.BATTERY, serial_number=f"S-{key}", **more)


def test_a_device_tells_its_facts_its_figures_and_its_place_among_the_others(fleet: Fleet) -> None:
    site = fleet.site("enphase", "Europe/Berlin")
    devices = ask(fleet, f"/api/sites/{site['id']}/devices")["items"]
    panel = next(d for d in devices if d["device_type"] == "microinverter")
    whole = ask(fleet, f"/api/sites/{site['id']}/devices/{panel['id']}")
    assert {name: whole[name] for name in panel} == panel
    assert "ac_power_w" in {figure["metric"] for figure in whole["figures"]}
    assert whole["first_seen"] <= fleet.now()
    assert (whole["replaces"], whole["replaced_by"]) == (None, None)
    # A curve may tell of a panel before the list of devices does: the list's first word of its state is a change.
    assert [(f["what"], f["before"], f["after"]) for f in whole["flips"]] in ([], [("status", "unknown", "normal")])


def test_a_device_of_another_site_is_not_found(fleet: Fleet) -> None:
    first, second = fleet.site("enphase", "Europe/Berlin"), fleet.site("enphase", "Asia/Kolkata")
    theirs = ask(fleet, f"/api/sites/{second['id']}/devices")["items"][0]
    answer = fleet.client.get(f"/api/sites/{first['id']}/devices/{theirs['id']}")
    assert answer.status_code == 404
    assert "no such device" in answer.json()["detail"]


def test_a_device_tells_what_changed_and_what_took_its_place(empty: Fleet) -> None:
    site_id = site_of(empty, battery("a", status=DeviceStatus.NORMAL), battery("b"))
    store = empty.runtime.context.store
    site, ids = store.fleet.site(site_id), store.fleet.device_ids(site_id)
    store.fleet.apply_devices(
        site, [battery("a", status=DeviceStatus.FAULT), battery("b")], complete=True, now=empty.now()
    )
    with store.database.transaction():
        store.database.execute("UPDATE device SET replaces_id = ? WHERE id = ?", (ids["a"], ids["b"]))
    old = ask(empty, f"/api/sites/{site_id}/devices/{ids['a']}")
    assert [(f["what"], f["before"], f["after"]) for f in old["flips"]] == [("status", "normal", "fault")]
    assert (old["replaces"], old["replaced_by"]["serial_number"]) == (None, "S-b")
    listed = {d["id"]: d for d in ask(empty, f"/api/sites/{site_id}/devices")["items"]}
    assert listed[ids["b"]]["replaces_id"] == ids["a"]
    assert listed[ids["a"]]["replaced_by_id"] == ids["b"]


def test_a_replacement_is_the_users_word_and_never_a_circle(empty: Fleet) -> None:
    given = [battery("a", status=DeviceStatus.OFFLINE), battery("b"), battery("c")]
    site_id = site_of(empty, *given)
    ids = empty.runtime.context.store.fleet.device_ids(site_id)

    def say(device: str, replaces: str | None) -> Any:
        path = f"/api/sites/{site_id}/devices/{ids[device]}"
        return empty.client.patch(path, json={"replaces": ids[replaces] if replaces else None})

    assert [one["id"] for one in ask(empty, f"/api/sites/{site_id}/devices/{ids['b']}")["may_replace"]] == [ids["a"]]
    said = say("b", "a").json()
    assert said["replaces"]["id"] == ids["a"]
    assert [(f["what"], f["after"]) for f in said["flips"]] == [("replaces", "S-a")]
    for device, replaces, words in (("c", "a", "already"), ("a", "b", "came after"), ("b", "b", "came after")):
        refused = say(device, replaces)
        assert refused.status_code == 400
        assert words in refused.json()["detail"]
    assert say("b", None).json()["replaces"] is None
    missing = empty.client.patch(f"/api/sites/{site_id}/devices/{ids['b']}", json={"replaces": 10**9})
    assert missing.status_code == 404


def test_a_devices_energy_today_is_the_vendors_day_or_the_finest_sum_and_null_without_either(empty: Fleet) -> None:
    site_id = site_of(empty, *(battery(key) for key in "abc"))
    today = int(dt.datetime.fromtimestamp(empty.now(), ZoneInfo("Europe/Berlin")).replace(
        hour=0, minute=0, second=0, microsecond=0
    ).timestamp())  # fmt: skip
    put(
        empty, site_id,
        Reading("a", "energy_wh", DAY_S, today, 900.0),
        Reading("a", "energy_wh", 900, today + 3600, 100.0),
        *(Reading("b", "energy_wh", 300, today + 300 * n, 10.0) for n in range(6)),
        Reading("b", "energy_wh", 3600, today, 77.0),
        Reading("c", "energy_wh", 300, today - 300, 55.0),
    )  # fmt: skip
    ids = empty.runtime.context.store.fleet.device_ids(site_id)
    found = {d["id"]: d["energy_today_wh"] for d in ask(empty, f"/api/sites/{site_id}/devices")["items"]}
    assert found == {ids["a"]: 900.0, ids["b"]: 60.0, ids["c"]: None}


def test_the_flow_sums_batteries_and_says_nothing_while_one_is_missing(empty: Fleet) -> None:
    site_id = site_of(empty, battery("a"), battery("b"))
    at = int(empty.now()) - 600
    put(empty, site_id, Reading("", "dc_power_w", 0, at, 4000.0), Reading("a", "battery_power_w", 0, at, -500.0))
    flow = ask(empty, f"/api/sites/{site_id}/flow")
    assert (flow["solar_w"], flow["battery_w"], flow["has_battery"]) == (4000.0, None, True)
    put(
        empty, site_id, Reading("b", "battery_power_w", 0, at - 60, -700.0),
        Reading("a", "state_of_charge_pct", 0, at, 40.0), Reading("b", "state_of_charge_pct", 0, at, 60.0),
    )  # fmt: skip
    flow = ask(empty, f"/api/sites/{site_id}/flow")
    assert (flow["battery_w"], flow["battery_at"], flow["charge_pct"]) == (-1200.0, at - 60, 50.0)
    assert (flow["home_w"], flow["has_home"], flow["grid_w"], flow["has_grid"]) == (None, False, None, False)


def test_a_whole_day_is_complete_and_a_hole_in_it_is_counted(fleet: Fleet) -> None:
    site = fleet.site("solaredge", "Europe/Berlin")
    yesterday = dt.datetime.fromtimestamp(fleet.now(), ZoneInfo("Europe/Berlin")).date() - dt.timedelta(days=1)
    path = f"/api/sites/{site['id']}/completeness"
    whole = ask(fleet, path, from_=yesterday.isoformat(), to=yesterday.isoformat())
    (day,) = whole["days"]
    assert (day["date"], whole["step_s"], whole["by_sun"]) == (yesterday.isoformat(), 900, True)
    assert day["expected"] == day["present"] > 40
    assert day["daily"]
    recent = ask(fleet, path)["days"]
    assert len(recent) == 90
    assert recent[0]["present"] == 0 < recent[0]["expected"], "history did not reach there"


def test_completeness_counts_holes_and_days_of_23_hours(empty: Fleet) -> None:
    site_id = site_of(empty)
    start = int(dt.datetime.fromisoformat("2026-03-29T00:00:00+01:00").timestamp())
    put(
        empty, site_id,
        *(Reading("", "dc_power_w", 900, start + 900 * n, 100.0) for n in range(92) if not 48 <= n < 52),
    )  # fmt: skip
    (day,) = ask(empty, f"/api/sites/{site_id}/completeness", from_="2026-03-29", to="2026-03-29")["days"]
    assert day["expected"] - day["present"] == 4
    (night,) = ask(empty, f"/api/sites/{site_id}/completeness", from_="2026-03-28", to="2026-03-28")["days"]
    assert (night["present"], night["daily"], night["owed"]) == (0, False, False)


def test_without_a_zone_there_are_no_days_and_a_bad_date_is_told(empty: Fleet) -> None:
    site_id = site_of(empty, timezone=None)
    path = f"/api/sites/{site_id}/completeness"
    assert ask(empty, path)["days"] == []
    store = empty.runtime.context.store
    store.fleet.set_by_user(site_id, {"timezone": "Europe/Berlin"}, empty.now())
    for params, words in (({"from": "yesterday"}, "no date"), ({"from": "2001-01-01"}, "more than 800 days")):
        answer = empty.client.get(path, params=params)
        assert answer.status_code == 400
        assert words in answer.json()["detail"]


def test_what_is_owed_is_listed_with_its_reason_and_next_time(empty: Fleet) -> None:
    site_id = site_of(empty)
    store, now = empty.runtime.context.store, empty.now()
    spans = [Span(int(now) - 2 * DAY_S, int(now) - DAY_S), Span(int(now) - 3 * DAY_S, int(now) - 2 * DAY_S)]
    store.work.owe(1, site_id, "telemetry", spans, reason="connect", priority=50, now=now, not_before=now + 1e6)
    owed = ask(empty, f"/api/sites/{site_id}/owed", limit=1)
    assert owed["total"] == 2
    (gap,) = owed["items"]
    assert (gap["start"], gap["end"], gap["reason"]) == (spans[0].start, spans[0].end, "connect")
    assert (gap["account"], gap["next_at"], gap["under_way"]) == ("The account", int(now + 1e6), False)


def test_refused_values_are_listed_with_the_reason(empty: Fleet) -> None:
    site_id = site_of(empty, battery("a"))
    at = int(empty.now()) - DAY_S
    put(
        empty, site_id, Reading("", "dc_power_w", 0, at, 9e9), Reading("a", "battery_power_w", 0, at + 60, float("nan"))
    )
    page = ask(empty, f"/api/sites/{site_id}/quarantine", limit=1)
    assert page["total"] == 2
    assert (page["items"][0]["value"], page["items"][0]["reason"]) == ("nan", "not a number")
    last = ask(empty, f"/api/sites/{site_id}/quarantine", offset=1)["items"][0]
    assert (last["device_id"], last["metric"], last["unit"]) == (0, "dc_power_w", "W")
    assert "above" in last["reason"]


def test_an_export_is_what_the_series_shows_and_its_name_carries_the_attribution(fleet: Fleet) -> None:
    site = fleet.site("enphase", "US/Central")
    zone = ZoneInfo("US/Central")
    today = dt.datetime.fromtimestamp(fleet.now(), zone).date()
    start, end = (
        int(dt.datetime.combine(today - dt.timedelta(days=n), dt.time(), zone).timestamp()) for n in (1, 0)
    )  # fmt: skip
    asked = {"site": site["id"], "metric": "ac_power_w", "from": start, "to": end, "device": 0, "interval_s": 300}
    answer = fleet.client.get("/api/export", params=asked)
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    assert "powered-by-enphase" in answer.headers["content-disposition"]
    header, *rows = csv.reader(io.StringIO(answer.text))
    assert tuple(header) == HEADER
    shown = ask(fleet, f"/api/sites/{site['id']}/series", metric="ac_power_w", from_=start, to=end)["points"]
    exported = [(dt.datetime.fromisoformat(row[5]).timestamp(), float(row[6])) for row in rows]
    assert exported == [tuple(point) for point in shown] != []


def test_an_export_of_many_pieces_is_whole(empty: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sungaze.reports.csv_export.PIECE", 7)
    site_id = site_of(empty)
    at = int(empty.now()) - DAY_S
    put(empty, site_id, *(Reading("", "dc_power_w", 300, at + 300 * n, float(n)) for n in range(50)))
    put(empty, site_id, *(Reading("", "dc_energy_wh", 300, at + 300 * n, float(n)) for n in range(14)))
    _, *rows = csv.reader(io.StringIO(empty.client.get("/api/export", params={"site": site_id}).text))
    assert [float(row[6]) for row in rows if row[3] == "dc_power_w"] == list(range(50))
    assert [float(row[6]) for row in rows if row[3] == "dc_energy_wh"] == list(range(14))


@pytest.mark.parametrize(
    ("params", "status", "words"),
    [
        ({"site": 99_999}, 404, "no such site"),
        ({"metric": "sunshine"}, 400, "no metric"),
        ({"from": "soon"}, 400, "no moment"),
        ({"from": 1_700_000_001, "to": 1_700_000_000}, 400, "before"),
        ({"device": 99_999}, 404, "no such device"),
    ],
)
def test_a_wrong_export_is_refused_in_a_sentence(fleet: Fleet, params: dict[str, Any], status: int, words: str) -> None:
    answer = fleet.client.get("/api/export", params={"site": fleet.site("enphase", "US/Central")["id"], **params})
    assert answer.status_code == status
    assert words in answer.json()["detail"]
