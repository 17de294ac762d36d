"""Tigo V3: lists, layout, sources, both CSV answers, alerts, switches, time (vendors/tigo.md 2 and 4)."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from emulating import NOON, Hands
from tigo_asking import ROOT, signed_in

from sungaze.emulators import World, serve
from sungaze.emulators._tigo_site import INVERTER_EFFICIENCY, SystemView

CHICAGO = ZoneInfo("America/Chicago")
TODAY = {"start": "2026-06-01T11:00:00", "end": "2026-06-01T13:05:00"}


@pytest.fixture(scope="module")
def running():
    hands = Hands()
    with serve("tigo", World(seed=1, sites=4, panels=12), now=hands) as emulator:
        emulator.quota.limits["minute"] = 100_000
        yield emulator, hands


@pytest.fixture
def clock(running):
    running[1].now = NOON
    return running[1]


@pytest.fixture
def emulator(running, clock):
    emulator = running[0]
    emulator.faults.clear()
    emulator.service._first_reads.clear()
    return emulator


@pytest.fixture
def get(emulator):
    with signed_in(emulator) as client:

        def ask(path, status=200, **params):
            answer = client.get(f"{ROOT}/{path}", params={name.rstrip("_"): value for name, value in params.items()})
            assert answer.status_code == status, answer.text
            return answer.json() if "json" in answer.headers["content-type"] else answer.text

        yield ask


@pytest.fixture
def ids(get):
    return [system["system_id"] for system in get("systems")["systems"]]


def table(text):
    """Return header and rows of a CSV without a second header."""
    lines = [line.split(",") for line in text.splitlines()]
    return lines[0], lines[1:]


def test_the_list_has_the_documented_fields_and_its_traps(get, world) -> None:
    page = get("systems")
    assert page["_meta"] == {"totalCount": 4, "pageCount": 1, "currentPage": 1, "perPage": 50}
    rows = page["systems"]
    assert [row["name"] for row in rows] == [plan.name for plan in world.fleet("tigo")]
    assert rows[0]["power_rating"] == world.site("tigo", 0).peak_w
    assert [type(row["latitude"]) for row in rows[:2]] == [str, float]
    assert ["timezone" in row for row in rows] == [True, False, True, False]
    assert get("systems/view", id=rows[1]["system_id"])["system"]["timezone"] == "Europe/Berlin"
    assert get(f"systems/{rows[1]['system_id']}") == get("systems/view", id=rows[1]["system_id"])


def test_pages_cover_each_system_once(start) -> None:
    emulator = start("tigo", world=World(1, 7, 2))
    with signed_in(emulator) as client:
        seen = []
        for number in (1, 2, 3):
            page = client.get(f"{ROOT}/systems", params={"page": number, "limit": 3}).json()
            assert page["_meta"]["pageCount"] == 3
            seen += [row["system_id"] for row in page["systems"]]
    assert seen == sorted(set(seen))
    assert len(seen) == 7


def test_a_single_system_side_loads_what_is_named(get, ids) -> None:
    system = get("systems/view", id=ids[0], include="inverters,strings,panels,sources,objects,meters")["system"]
    assert len(system["panels"]) == 12
    assert len(system["strings"]) == 2
    assert system["meters"] == []
    assert {"inverters", "sources", "objects"} <= set(system)
    get("systems/view", 400, id=ids[0], include="roofs")


def test_layout_objects_and_columns_speak_of_the_same_panels(get, ids) -> None:
    system = get("systems/layout", id=ids[0])["system"]
    panels = [
        panel
        for inverter in system["inverters"]
        for mppt in inverter["mppts"]
        for string in mppt["strings"]
        for panel in string["panels"]
    ]
    assert len({panel["serial"] for panel in panels}) == 12
    objects = {part["id"]: part for part in get("objects/system", system_id=ids[0])["objects"]}
    assert all(objects[panel["object_id"]]["label"] == panel["label"] for panel in panels)
    places = {(objects[p["object_id"]]["ui"]["X"], objects[p["object_id"]]["ui"]["Y"]) for p in panels}
    assert len(places) == 12
    roots = [part for part in objects.values() if part["parent_id"] == -1]
    assert len(roots) == 1
    assert all(child in objects for part in objects.values() for child in part["children"])
    header, _ = table(get("data/aggregate", system_id=ids[0], **TODAY))
    assert set(header[1:]) == {str(panel["object_id"]) for panel in panels}
    types = {row["object_type_id"] for row in get("objects/types")["object_types"]}
    assert {part["object_type_id"] for part in objects.values()} <= types


def test_sources_check_in_in_pacific_time_wherever_the_site_is(get, ids) -> None:
    for system in ids:
        (source,) = get("sources/system", system_id=system)["sources"]
        heard = datetime.fromisoformat(source["last_checkin"])
        assert heard.utcoffset() == datetime.fromtimestamp(NOON, ZoneInfo("America/Los_Angeles")).utcoffset()
        assert 0 <= NOON - heard.timestamp() < 300
        assert source["control_state"] == "on"


def test_a_summary_is_what_has_arrived(get, ids) -> None:
    summary = get("data/summary", system_id=ids[0])["summary"]
    assert list(summary) == ["lifetime_energy_dc", "ytd_energy_dc", "daily_energy_dc", "last_power_dc", "updated_on"]
    assert summary["lifetime_energy_dc"] > summary["ytd_energy_dc"] > summary["daily_energy_dc"] > 0
    assert 4 * 60 <= NOON - datetime.fromisoformat(summary["updated_on"]).timestamp() <= 21 * 60
    assert ".000-07:00" in summary["updated_on"]


def test_the_figures_are_dc_a_few_percent_above_the_worlds_ac(get, ids, world) -> None:
    _, rows = table(get("data/combined", system_id=ids[0], agg="minute", **TODAY))
    day = world.day(world.site("tigo", 0), datetime.fromtimestamp(NOON, CHICAGO).date())
    at = int(datetime(2026, 6, 1, 11, tzinfo=CHICAGO).timestamp())
    true = float(day.site_w[day.start == at][0])
    assert float(rows[0][1]) == pytest.approx(true / INVERTER_EFFICIENCY, abs=0.06)
    assert rows[0][0] == "2026/06/01 11:00:00.000"
    assert [row[1] for row in rows[:5]] == [rows[0][1]] * 5


def test_the_newest_minute_is_as_old_as_the_lag_and_never_goes_back(emulator, world) -> None:
    plan, before = world.site("tigo", 0), 0
    for now in range(int(NOON), int(NOON) + 6 * 3600, 60):
        held = SystemView(world, plan, now).held_until
        assert 3 * 60 <= now - held <= 51 * 60
        assert held >= before
        before = held


def test_aggregate_adds_up_to_combined_at_every_level(get, ids) -> None:
    for step, level in (("minute", "min"), ("day", "day")):
        _, one = table(get("data/combined", system_id=ids[0], agg=step, **TODAY))
        _, each = table(get("data/aggregate", system_id=ids[0], level=level, **TODAY))
        for row, cells in zip(one, each, strict=True):
            assert row[0][:19] == cells[0]
            assert float(row[1]) == pytest.approx(sum(float(c) for c in cells[1:] if c), abs=0.7)


def test_coarser_steps_are_energy_and_widen_the_window_to_whole_days(get, ids) -> None:
    _, hours = table(get("data/combined", system_id=ids[0], agg="hour", **TODAY))
    assert [row[0] for row in hours] == ["2026/06/01 11:00:00", "2026/06/01 12:00:00"]
    window = {"start": "2026-04-15T13:00:00", "end": "2026-05-02T01:00:00"}
    _, days = table(get("data/combined", system_id=ids[0], level="day", **window))
    assert (days[0][0], days[-1][0], len(days)) == ("2026/04/15 00:00:00", "2026/05/02 00:00:00", 18)
    _, months = table(get("data/combined", system_id=ids[0], agg="month", **window))
    _, years = table(get("data/combined", system_id=ids[0], agg="year", **window))
    assert [row[0] for row in months] == ["2026/04/01 00:00:00", "2026/05/01 00:00:00"]
    total = sum(float(row[1]) for row in days)
    assert sum(float(row[1]) for row in months) == pytest.approx(total, abs=1)
    assert float(years[0][1]) == pytest.approx(total, abs=1)


def test_every_parameter_has_its_columns_and_others_are_refused(get, ids) -> None:
    for param, columns in (("Vin", 12), ("Iin", 12), ("RSSI", 12), ("Inv_AC", 1), ("Inverter_AC", 1)):
        header, rows = table(get("data/aggregate", system_id=ids[0], param=param, **TODAY))
        assert len(header) == columns + 1
        assert float(rows[0][1]) > 0
    refused = get("data/aggregate", 400, system_id=ids[0], param="Temp", **TODAY)
    assert refused["message"].startswith("param must be one of the following values: Pin, Vin, Iin, RSSI")


def test_a_header_by_key_names_source_label_and_parameter(get, ids) -> None:
    header, _ = table(get("data/aggregate", system_id=ids[0], header="key", param="Vin", sensors="false", **TODAY))
    (source,) = get("sources/system", system_id=ids[0])["sources"]
    assert header[1] == f"{source['serial']}.panels.A1_Vin"


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("data/aggregate", {"level": "hour"}),
        ("data/aggregate", {"header": "label"}),
        ("data/aggregate", {"start": "2026-06-01"}),
        ("data/aggregate", {"start": "2026-06-01T25:00:00"}),
        ("data/aggregate", {"end": "2026-05-01T00:00:00"}),
        ("data/aggregate", {"start": "2026-05-01T00:00:00"}),
        ("data/combined", {"agg": "min"}),
        ("data/combined", {"start": "2026-05-01T00:00:00"}),
        ("data/combined", {"agg": "day", "start": "2025-05-01T00:00:00"}),
    ],
)
def test_what_the_vendor_refuses_is_refused(get, ids, path, params) -> None:
    get(path, 400, **({"system_id": ids[0]} | TODAY | params))


def test_asked_objects_only_are_given_groups_among_them(get, ids) -> None:
    header, _ = table(get("data/aggregate", system_id=ids[0], object_ids="101003,101001,9", **TODAY))
    assert header[1:] == ["101001", "101003"]
    header, rows = table(get("data/combined", system_id=ids[0], object_ids="100100,100101,100000", **TODAY))
    assert header[1:] == ["100100", "100101", "100000"]
    assert float(rows[0][1]) + float(rows[0][2]) == pytest.approx(float(rows[0][3]), abs=0.2)


def test_nights_are_absent_empty_or_zero(get, ids) -> None:
    night = {"start": "2026-05-31T01:00:00", "end": "2026-05-31T01:10:00"}
    seen = [table(get("data/aggregate", system_id=system, **night))[1] for system in ids[:3]]
    assert seen[0] == []
    assert seen[1][0][1:] == [""] * (len(seen[1][0]) - 1)
    assert set(seen[2][0][1:]) <= {"0", ""}
    assert "0" in seen[2][0]


def test_the_repeated_hour_stands_twice_without_a_mark_or_once(get, ids, emulator, clock) -> None:
    clock.now = datetime.fromisoformat("2026-04-06T02:00:00+00:00").timestamp()
    window = {"start": "2026-04-05T01:00:00", "end": "2026-04-05T04:00:00"}
    _, rows = table(get("data/combined", system_id=ids[2], agg="minute", **window))
    stamps = [row[0] for row in rows]
    assert len(stamps) == 241
    assert stamps.count("2026/04/05 02:30:00.000") == 2
    emulator.faults["dst_once"] = 1.0
    _, rows = table(get("data/combined", system_id=ids[2], agg="minute", **window))
    assert [row[0] for row in rows].count("2026/04/05 02:30:00.000") == 1


# -- alerts and switches ---------------------------------------------------------------------------------------------


def test_alerts_have_the_documented_fields_and_are_paged(get, ids) -> None:
    every = [alert for system in ids for alert in get("alerts/system", system_id=system)["alerts"]]
    assert every
    assert set(every[0]) == {
        "alert_id", "added", "generated", "system_id", "unique_id", "title", "message", "description", "archived",
    }  # fmt: skip
    assert {alert["archived"] for alert in every} == {True, False}
    assert get("alerts/system", system_id=ids[0], start_added="2026-01-01T00:00:00")["alerts"] == []
    types = get("alerts/types", language="EN")["alert_types"]
    assert len(types) == 9
    assert {alert["unique_id"] for alert in every} <= {kind["unique_id"] for kind in types}
    get("alerts/types", 400, language="XX")


def test_pv_off_switches_the_sources_off_and_alerts(get, ids, emulator) -> None:
    emulator.faults["pv_off"] = 1.0
    assert get("sources/system", system_id=ids[0])["sources"][0]["control_state"] == "off"
    assert "System Shutdown" in get("alerts/system", system_id=ids[0])["alerts"][0]["title"]
    assert get("systems")["systems"][0]["recent_alerts_count"] == 1


def test_a_string_shutdown_is_an_open_alert(get, ids, emulator) -> None:
    emulator.faults["string_shutdown"] = 1.0
    newest = get("alerts/system", system_id=ids[0])["alerts"][0]
    assert (newest["unique_id"], newest["archived"]) == (106, False)


def test_the_header_changes_midway_unless_objects_are_named(get, ids, emulator) -> None:
    emulator.faults["header_change"] = 1.0
    text = get("data/aggregate", system_id=ids[0], **TODAY)
    assert text.lower().count("datetime") == 2
    assert get("data/combined", system_id=ids[0], agg="minute", **TODAY).lower().count("datetime") == 2
    assert get("data/aggregate", system_id=ids[0], object_ids="101000,101001", **TODAY).count("Datetime") == 1


def test_the_other_switches_of_the_csv(get, ids, emulator) -> None:
    def asked(fault, **changed):
        emulator.faults.clear()
        emulator.faults[fault] = 1.0
        return get("data/aggregate", **({"system_id": ids[0]} | TODAY | changed))

    assert asked("header_only") == "Datetime\n"
    assert asked("empty_short", start="2026-06-01T11:30:00") == "Datetime\n"
    assert "NaN" in asked("nan")
    assert table(asked("future"))[1][-1][0] == "2026/06/01 15:06:00"
    assert [row[1:].count("") for row in table(asked("dropout"))[1][:3]] == [1, 1, 1]
    assert table(asked("lag"))[1][-1][0] == "2026/06/01 11:29:00"
    assert asked("shape") == '{"rows":[]}'
    assert table(asked("shape"))[1][0][1] == "n/a"
    emulator.faults.clear()
    emulator.faults["level_only"] = 1.0
    get("data/combined", 400, system_id=ids[0], agg="minute", **TODAY)
    assert get("data/combined", system_id=ids[0], level="minute", **TODAY).count("\n") > 60


def test_the_switches_of_the_json(get, ids, emulator) -> None:
    emulator.faults.update({"nulls": 1.0, "turn_on_null": 1.0, "no_timezone": 1.0})
    seen = [get("data/summary", system_id=ids[0])["summary"] for _ in range(6)]
    assert any(all(value is None for value in summary.values()) for summary in seen)
    assert {row["turn_on_date"] for row in get("systems")["systems"]} == {"null"}
    assert "timezone" not in get(f"systems/{ids[0]}")["system"]


def test_the_newest_hour_is_incomplete_when_first_read(get, ids, emulator) -> None:
    emulator.faults["late"] = 1.0
    sums = []
    for _ in range(2):
        _, rows = table(get("data/combined", system_id=ids[0], agg="minute", **TODAY))
        sums.append(sum(float(row[1]) for row in rows))
    assert sums[0] < sums[1]


@pytest.mark.parametrize("fault", ["truncated", "huge", "slow", "shape"])
def test_bodies_break_on_request(emulator, fault) -> None:
    with signed_in(emulator) as client:
        emulator.faults[fault] = 1.0
        if fault == "shape":
            body = client.get(f"{ROOT}/systems").json()
            assert not (isinstance(body, dict) and isinstance(body.get("systems"), list) and
                        isinstance(body["systems"][0]["system_id"], int))  # fmt: skip
            return
        with client.stream("GET", f"{ROOT}/systems") as answer:
            assert answer.status_code == 200
