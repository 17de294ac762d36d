"""Generac's dashboard: devices, states, series, time (vendors/generac.md 2 to 4, 9)."""

from __future__ import annotations

import datetime as dt
import json
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import generac_served
import httpx
import pytest
from emulating import NOON

from sungaze.emulators import World
from sungaze.emulators._registry import SERVICES

served, clock, emulator = generac_served.served, generac_served.clock, generac_served.emulator


KEYS = ["s", "n", "t", "st", "p", "et", "up", "ti", "O5"]
TYPES = {"0002": "inverter", "0007": "inverter", "0003": "link", "0005": "battery", "0008": "battery", "0012": "beacon"}


@pytest.fixture
def ask(emulator: Any) -> Any:
    with httpx.Client(base_url=emulator.base_url, trust_env=False, timeout=60) as client:

        def get(path: str) -> Any:
            answer = client.get(path, params={"_": "1"})
            assert answer.status_code == 200, path
            return answer.json()

        yield get


def numbers(emulator: Any) -> list[str]:
    return str(emulator.credentials["profile_ids"]).split(",")


def devices(ask: Any, emulator: Any, k: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(f"/{numbers(emulator)[k]}.json")["dvcs"]
    return found


def of_kind(listed: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [device for device in listed if TYPES.get(device["s"][4:8]) == kind]


def stamp(text: str) -> float:
    return dt.datetime.strptime(text, "%Y-%m-%d %H:%M:%S %Z").replace(tzinfo=dt.UTC).timestamp()


# -- 2.1 devices -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", range(4))
def test_each_home_is_an_inverter_its_links_a_battery_and_a_beacon(ask: Any, emulator: Any, k: int) -> None:
    listed = devices(ask, emulator, k)
    kinds = [TYPES[device["s"][4:8]] for device in listed]
    links = kinds.count("link")
    assert 2 <= links <= 4
    assert kinds == ["inverter", *["link"] * links, "battery", "beacon"]


def test_ids_are_twelve_hex_digits_and_unique_in_the_world(ask: Any, emulator: Any) -> None:
    every = [device["s"] for k in range(4) for device in devices(ask, emulator, k)]
    assert len(set(every)) == len(every)
    assert all(len(s) == 12 and s == s.upper() and int(s, 16) for s in every)


def test_all_keys_are_always_there_in_the_forms_of_the_page(ask: Any, emulator: Any) -> None:
    for k in range(4):
        for device in devices(ask, emulator, k):
            assert list(device) == KEYS
            assert isinstance(device["s"], str)
            assert all(isinstance(device[key], int) for key in ("st", "p", "et"))
            assert all(stamp(device[key]) for key in ("up", "ti"))
            assert device["O5"].isdigit()


def test_up_lies_an_hour_back_and_devices_report_seconds_apart(ask: Any, emulator: Any) -> None:
    ups = [stamp(device["up"]) for device in devices(ask, emulator)]
    assert max(ups) == NOON - 3600
    assert max(ups) - min(ups) < 60
    emulator.service.lag_s = 2 * 3600
    assert max(stamp(device["up"]) for device in devices(ask, emulator)) == NOON - 2 * 3600


def test_links_make_power_by_day_and_none_by_night(ask: Any, emulator: Any) -> None:
    assert {d["st"] for d in of_kind(devices(ask, emulator, 0), "link")} == {8208}
    assert all(d["p"] > 0 for d in of_kind(devices(ask, emulator, 0), "link"))
    night = of_kind(devices(ask, emulator, 2), "link")
    assert [(d["st"], d["p"]) for d in night] == [(12544, 0)] * len(night)


def test_the_battery_charges_below_zero_and_discharges_above(ask: Any, emulator: Any, clock: Any) -> None:
    by_day = of_kind(devices(ask, emulator), "battery")[0]
    assert by_day["st"] == 24576
    assert by_day["p"] < 0
    clock.now += 6 * 3600
    later = of_kind(devices(ask, emulator), "battery")[0]
    assert later["st"] == 24832
    assert later["p"] > 0
    assert 200 <= int(later["O5"]) <= 1000


def test_the_inverter_makes_what_links_and_battery_make_together(ask: Any, emulator: Any) -> None:
    listed = devices(ask, emulator)
    watts = sum(d["p"] for d in listed if TYPES[d["s"][4:8]] in {"link", "battery"})
    assert of_kind(listed, "inverter")[0]["p"] == pytest.approx(watts * 0.965, abs=2)


def test_counters_only_grow_and_by_what_was_made(ask: Any, emulator: Any, clock: Any, world: World) -> None:
    before = of_kind(devices(ask, emulator), "link")
    clock.now += 3600
    after = of_kind(devices(ask, emulator), "link")
    grown = sum(a["et"] - b["et"] for a, b in zip(after, before, strict=True))
    plan = world.site("generac", 0)
    day = world.day(plan, plan.local_date(NOON))
    inside = (day.start >= NOON - 3600) & (day.start < NOON)
    assert grown == pytest.approx(float(day.site_w[inside].sum()) / 12, abs=4)


# -- switches --------------------------------------------------------------------------------------------------------


def test_more_lag_on_request(ask: Any, emulator: Any) -> None:
    emulator.faults["lag"] = 1.0
    assert max(stamp(d["up"]) for d in devices(ask, emulator)) == NOON - 6 * 3600


def test_up_stands_still_when_frozen(ask: Any, emulator: Any, clock: Any) -> None:
    emulator.faults["frozen"] = 1.0
    first = devices(ask, emulator)
    clock.now += 3 * 3600
    assert devices(ask, emulator) == first
    del emulator.faults["frozen"]
    assert devices(ask, emulator) != first


def test_a_counter_can_be_reset(ask: Any, emulator: Any) -> None:
    link = of_kind(devices(ask, emulator), "link")[0]
    emulator.faults["reset"] = 1.0
    assert 0 < of_kind(devices(ask, emulator), "link")[0]["et"] < 50_000 < link["et"]
    values = [value for _, value, _ in ask(f"/energy/{link['s']}/now/864000.json")]
    assert len([1 for a, b in pairwise(values) if b < a]) == 1
    assert values[-1] >= values[-2]


def test_states_can_be_unknown_or_an_error(ask: Any, emulator: Any) -> None:
    emulator.faults["unknown_state"] = 1.0
    assert [d["st"] for d in of_kind(devices(ask, emulator), "inverter")] == [2128]
    emulator.faults.clear()
    emulator.faults["overheat"] = 1.0
    assert 0x7100 in [d["st"] for d in devices(ask, emulator)]


def test_a_device_can_go_and_come(ask: Any, emulator: Any) -> None:
    whole = [d["s"] for d in devices(ask, emulator)]
    emulator.faults["device_gone"] = 1.0
    assert [d["s"] for d in devices(ask, emulator)] == [whole[0], *whole[2:]]
    emulator.faults.clear()
    emulator.faults["device_new"] = 1.0
    added = devices(ask, emulator)
    assert [d["s"] for d in added[:-1]] == whole
    assert added[-1]["s"][4:8] == "0004"
    assert set(added[-1]) == set(KEYS)


def test_keys_can_be_null_or_have_another_name(ask: Any, emulator: Any) -> None:
    emulator.faults["nulls"] = 1.0
    bare = devices(ask, emulator)
    assert all(list(d) == KEYS and list(d.values()).count(None) == 1 for d in bare)
    emulator.faults.clear()
    emulator.faults["changed_key"] = 1.0
    answers = [ask(f"/{numbers(emulator)[0]}.json") for _ in range(2)]
    assert sorted(next(iter(answer)) for answer in answers) == ["devices", "dvcs"]
    renamed = next(answer["dvcs"] for answer in answers if "dvcs" in answer)
    assert all("p" not in d and "pw" in d for d in renamed)


def test_up_can_carry_the_zones_own_abbreviation(ask: Any, emulator: Any) -> None:
    emulator.faults["local_up"] = 1.0
    assert devices(ask, emulator)[0]["up"] == "2026-06-01 12:05:00 CDT"


def test_answers_come_packed_on_request(emulator: Any) -> None:
    emulator.faults["gzip"] = 1.0
    with httpx.Client(base_url=emulator.base_url, trust_env=False, timeout=60) as client:
        answer = client.get(f"/{numbers(emulator)[0]}.json")
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.json()["dvcs"]
        plain = client.get(f"/{numbers(emulator)[0]}.json", headers={"Accept-Encoding": "identity"})
        assert "content-encoding" not in plain.headers


def test_truncated_and_misshapen_answers(emulator: Any) -> None:
    path = f"/{numbers(emulator)[0]}.json"
    with httpx.Client(base_url=emulator.base_url, trust_env=False, timeout=60) as client:
        emulator.faults["truncated"] = 1.0
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(path)
        emulator.faults.clear()
        emulator.faults["shape"] = 1.0
        assert client.get(path).status_code == 200


def test_the_newest_hours_can_come_late(ask: Any, emulator: Any) -> None:
    link = of_kind(devices(ask, emulator), "link")[0]["s"]
    whole = ask(f"/power/{link}/now/172800.json")
    emulator.faults["late"] = 1.0
    first, second = (ask(f"/power/{link}/now/172800.json") for _ in range(2))
    assert second == whole
    assert [row[1] for row in first[-3:]] == [None] * 3
    assert first[:-3] == whole[:-3]


# -- 2.2, 2.3 series -------------------------------------------------------------------------------------------------


def test_power_is_by_hour_and_below_36_hours_by_minute(ask: Any, emulator: Any) -> None:
    link = of_kind(devices(ask, emulator), "link")[0]["s"]
    for length, step in (("172800", 3600), (str(36 * 3600), 3600), (str(36 * 3600 - 1), 60), ("3900", 60)):
        rows = ask(f"/power/{link}/now/{length}.json")
        assert {b[0] - a[0] for a, b in pairwise(rows)} == {step}
        assert all(isinstance(whole, bool) and (value is None or isinstance(value, int)) for _, value, whole in rows)
    hours = ask(f"/power/{link}/now/172800.json")
    assert 46 <= len(hours) <= 48
    assert hours[-1][1:] == [None, False], "the running hour"
    assert all(row[2] for row in hours[:-1])


def test_epochs_are_the_wall_clock_written_as_if_it_were_utc_or_true_on_request(ask: Any, emulator: Any) -> None:
    for k, zone in enumerate(("America/Chicago", "Europe/Berlin", "Australia/Adelaide", "Asia/Kolkata")):
        offset = dt.datetime.fromtimestamp(NOON, ZoneInfo(zone)).utcoffset()
        assert offset is not None
        emulator.faults.clear()
        link = of_kind(devices(ask, emulator, k), "link")[0]
        local = ask(f"/power/{link['s']}/now/7200.json")
        assert abs(local[-1][0] - offset.total_seconds() - stamp(link["up"])) < 60
        emulator.faults["utc_base"] = 1.0
        true = ask(f"/power/{link['s']}/now/7200.json")
        assert [[row[0] - int(offset.total_seconds()), *row[1:]] for row in local] == true
        assert true[-1][0] <= NOON - 3600


def test_end_is_counted_in_the_same_base(ask: Any, emulator: Any) -> None:
    link = of_kind(devices(ask, emulator), "link")[0]["s"]
    now = ask(f"/power/{link}/now/172800.json")
    then = now[-10][0]
    rows = ask(f"/power/{link}/{then}/172800.json")
    assert rows[-1][0] == then - 3600
    assert rows[-1] == now[-11]
    emulator.faults["utc_base"] = 1.0
    assert ask(f"/power/{link}/{then + 5 * 3600}/172800.json")[-1][1:] == rows[-1][1:]


def test_energy_is_a_counter_with_one_value_a_day(ask: Any, emulator: Any, world: World) -> None:
    link = of_kind(devices(ask, emulator), "link")[0]
    rows = ask(f"/energy/{link['s']}/now/864000.json")
    assert len(rows) == 10
    assert {b[0] - a[0] for a, b in pairwise(rows)} == {86_400}
    assert all(row[0] % 86_400 == 0 for row in rows), "local midnight, written as if it were UTC"
    assert [row[2] for row in rows] == [True] * 9 + [False]
    assert rows[-1][1] == link["et"]
    every = ask(f"/energy/{link['s']}/now/all.json")
    assert every[-10:] == rows
    assert len(every) == (world.site("generac", 0).local_date(NOON) - world.site("generac", 0).installed_on).days + 1


def test_energy_in_true_epochs_begins_at_the_sites_midnight(ask: Any, emulator: Any) -> None:
    emulator.faults["utc_base"] = 1.0
    link = of_kind(devices(ask, emulator), "link")[0]
    assert all(row[0] % 86_400 == 5 * 3600 for row in ask(f"/energy/{link['s']}/now/864000.json"))


def test_all_power_reaches_back_to_the_first_day(start: Any) -> None:
    emulator = start("generac", world=World(seed=10, sites=1, panels=2))
    view = emulator.service.views()[0]
    with httpx.Client(base_url=emulator.base_url, trust_env=False, timeout=60) as client:
        rows = client.get(f"/power/{view.things[1].rcpn}/now/all.json").json()
    first = dt.datetime.fromtimestamp(rows[0][0], dt.UTC).replace(tzinfo=None)
    assert first == dt.datetime.combine(view.plan.installed_on, dt.time())
    assert len(rows) > 5_000


def test_charge_is_for_batteries_and_a_device_without_data_has_none(ask: Any, emulator: Any) -> None:
    listed = devices(ask, emulator)
    battery, beacon, link = (of_kind(listed, kind)[0]["s"] for kind in ("battery", "beacon", "link"))
    assert all(1_000 < value < 9_000 for _, value, _ in ask(f"/charge/{battery}/now/172800.json"))
    assert ask(f"/charge/{link}/now/all.json") == ask(f"/power/{beacon}/now/all.json") == []
    assert ask(f"/energy/{beacon}/now/all.json") == []


def test_an_outage_is_null_and_up_stays_where_it_began(ask: Any, emulator: Any, clock: Any, world: World) -> None:
    plan = world.site("generac", 0)
    begin, end = plan.gaps(int(NOON) - 300 * 86_400, int(NOON))[0]
    clock.now = end - 60 + 3600
    listed = devices(ask, emulator)
    assert max(stamp(d["up"]) for d in listed) == begin - 60
    clock.now = end + 2 * 3600 + 3600
    link = of_kind(devices(ask, emulator), "link")[0]["s"]
    nulls = [at for at, value, whole in ask(f"/power/{link}/now/172800.json") if value is None and whole]
    assert len(nulls) >= (end - begin) // 3600


@pytest.mark.parametrize(
    ("k", "now", "hours"),
    [
        (0, "2026-11-02T12:00:00+00:00", 25), (0, "2026-03-09T12:00:00+00:00", 23),
        (1, "2026-10-26T06:00:00+00:00", 25), (1, "2026-03-30T06:00:00+00:00", 23),
        (2, "2026-04-06T06:00:00+00:00", 25), (2, "2026-10-05T06:00:00+00:00", 23),
    ],
)  # fmt: skip
def test_a_long_day_has_an_hour_twice_and_a_short_one_lacks_one(
    ask: Any, emulator: Any, clock: Any, k: int, now: str, hours: int
) -> None:
    clock.now = dt.datetime.fromisoformat(now).timestamp()
    link = of_kind(devices(ask, emulator, k), "link")[0]["s"]
    rows = ask(f"/power/{link}/now/259200.json")
    zone = emulator.service.views()[k].plan.zone
    day = dt.datetime.fromtimestamp(clock.now, zone).date() - dt.timedelta(days=1)
    epochs = [at for at, *_ in rows if dt.datetime.fromtimestamp(at, dt.UTC).date() == day]
    assert len(epochs) == hours
    assert len(set(epochs)) == min(hours, 24)
    assert epochs == sorted(epochs)


# -- truth -----------------------------------------------------------------------------------------------------------


def test_the_truth_has_hours_of_each_link_and_the_site_and_days_of_the_site(world: World) -> None:
    plan = world.site("generac", 0)
    begin = plan.midnight(plan.local_date(NOON))
    rows = list(SERVICES["generac"].truth(world, 0, begin - 86_400, begin))
    links = {row.device_id for row in rows} - {""}
    assert 2 <= len(links) <= 4
    assert {(row.metric, row.interval_s, bool(row.device_id)) for row in rows} == {
        ("dc_power_w", 3600, False), ("dc_power_w", 3600, True), ("dc_energy_wh", 86_400, False),
    }  # fmt: skip
    hours = [row.value for row in rows if row.interval_s == 3600 and not row.device_id]
    day = next(row.value for row in rows if row.interval_s == 86_400)
    assert len(hours) == 24
    assert sum(hours) == pytest.approx(day)


def test_json_has_no_number_that_json_cannot_have(ask: Any, emulator: Any) -> None:
    json.dumps(devices(ask, emulator), allow_nan=False)
