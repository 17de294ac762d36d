"""Enphase: lists, inventory, series, alarms (vendors/enphase.md 3 and 4)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from emulating import NOON

from sungaze.emulators import World

LIST_FIELDS = [
    "system_id",
    "name",
    "public_name",
    "timezone",
    "address",
    "connection_type",
    "energy_lifetime",
    "energy_today",
    "system_size",
    "status",
    "last_report_at",
    "last_energy_at",
    "operational_at",
    "attachment_type",
    "interconnect_date",
]
META_FIELDS = {"status", "last_report_at", "last_energy_at", "operational_at"}
SUMMARY_FIELDS = {
    "system_id",
    "current_power",
    "energy_lifetime",
    "energy_today",
    "last_interval_end_at",
    "last_report_at",
    "modules",
    "operational_at",
    "size_w",
    "nmi",
    "source",
    "status",
    "summary_date",
    "battery_charge_w",
    "battery_discharge_w",
    "battery_capacity_wh",
}


@pytest.fixture
def emulator(start):
    return start("enphase")


@pytest.fixture
def get(connect, emulator):
    client = connect(emulator)

    def ask(path, status=200, **params):
        answer = client.get(f"/api/v4/systems{path}", params=params)
        assert answer.status_code == status, answer.text
        return answer.json()

    ask.client = client
    return ask


@pytest.fixture
def ids(get):
    return [system["system_id"] for system in get("")["systems"]]


def test_the_list_has_the_documented_fields_and_neither_energy_nor_size(get) -> None:
    page = get("")
    assert list(page) == ["total", "current_page", "size", "count", "items", "systems"]
    assert (page["total"], page["current_page"], page["size"], page["count"]) == (4, 1, 10, 4)
    assert page["items"] == "systems"
    for system in page["systems"]:
        assert list(system)[: len(LIST_FIELDS)] == LIST_FIELDS
        assert set(system) - set(LIST_FIELDS) <= {"reference", "other_references"}
        assert [system[name] for name in ("energy_lifetime", "energy_today", "system_size")] == [-1, -1, -1]
        assert set(system["address"]) == {"city", "state", "country", "postal_code"}
    assert page["systems"][0]["timezone"] == "US/Central"
    assert [name for name in page["systems"] if "reference" in name]
    assert [name for name in page["systems"] if "reference" not in name]


def test_pages_cover_every_system_once_in_the_order_asked_for(start, connect) -> None:
    emulator = start("enphase", world=World(1, 23, 2))
    client = connect(emulator)
    for size in (5, 10, 100):
        seen, page = [], 1
        while True:
            answer = client.get("/api/v4/systems", params={"page": page, "size": size}).json()
            assert answer["count"] == len(answer["systems"])
            seen += [system["system_id"] for system in answer["systems"]]
            if page * size >= answer["total"]:
                break
            page += 1
        assert seen == sorted(set(seen))
        assert len(seen) == 23
    down = client.get("/api/v4/systems", params={"size": 100, "sort_by": "-id"}).json()["systems"]
    assert [system["system_id"] for system in down] == seen[::-1]
    assert client.get("/api/v4/systems", params={"page": 99}).json()["systems"] == []


@pytest.mark.parametrize("params", [{"sort_by": "name"}, {"size": 101}, {"size": 0}, {"page": 0}, {"page": "one"}])
def test_a_list_asked_for_wrongly_is_unprocessable(get, params) -> None:
    assert get("", 422, **params)["message"] == "Unprocessable Entity"


def test_one_system_is_the_object_of_the_list(get, ids) -> None:
    assert get(f"/{ids[1]}") == get("")["systems"][1]


def test_search_finds_unhealthy_systems_and_rejects_unknown_keys(get, ids) -> None:
    def search(body, status=200):
        answer = get.client.post("/api/v4/systems/search", json=body, params={"size": 1000})
        assert answer.status_code == status
        return [system["system_id"] for system in answer.json().get("systems", [])]

    unhealthy = [s["system_id"] for s in get("")["systems"] if s["status"] in ("comm", "micro")]
    assert unhealthy
    assert search({"sort_by": "id", "system": {"statuses": ["comm", "micro"]}}) == unhealthy
    assert search({"system": {"ids": ids[:2]}}) == ids[:2]
    assert search({"system": {"reference": "A-201"}}) == [ids[1]]
    assert search({"system": {}, "sort_by": "-id"}) == ids[::-1]
    for wrong in ({}, {"system": {}, "more": 1}, {"system": {"zone": "x"}}, {"system": {"ids": 3}}, []):
        search(wrong, 422)


def test_a_summary_has_the_documented_fields_and_its_lifetime_ends_the_day_before(get, ids) -> None:
    today = get(f"/{ids[0]}/summary")
    assert set(today) == SUMMARY_FIELDS
    assert today["summary_date"] == "2026-06-01"
    assert (today["modules"], today["size_w"]) == (12, 12 * (today["size_w"] // 12))
    assert today["current_power"] > 0
    yesterday = get(f"/{ids[0]}/summary", summary_date="2026-05-31")
    assert today["energy_lifetime"] == yesterday["energy_lifetime"] + yesterday["energy_today"]
    assert (yesterday["modules"], yesterday["size_w"], yesterday["current_power"]) == (0, 0, 0)
    assert today["energy_lifetime"] == sum(get(f"/{ids[0]}/energy_lifetime")["production"])
    get(f"/{ids[0]}/summary", 422, summary_date="2026-06-02")
    get(f"/{ids[0]}/summary", 422, summary_date="01/06/2026")


def test_the_source_of_a_summary_says_whether_a_meter_is_fitted(get, ids) -> None:
    assert {get(f"/{one}/summary")["source"] for one in ids} == {"microinverters", "meter"}


def test_devices_come_by_group_without_empty_ones_and_meters_share_their_number(get, ids) -> None:
    groups = set()
    for one in ids:
        answer = get(f"/{one}/devices")
        assert list(answer) == ["system_id", "total_devices", "items", "devices"]
        assert answer["total_devices"] == sum(map(len, answer["devices"].values()))
        assert all(answer["devices"].values())
        groups |= set(answer["devices"])
    assert groups == {"micros", "meters", "gateways"}
    metered = get(f"/{ids[2]}/devices")["devices"]
    assert len({meter["id"] for meter in metered["meters"]}) == 1
    assert len({meter["serial_number"] for meter in metered["meters"]}) == 2
    assert set(metered["micros"][0]) == {
        "id",
        "last_report_at",
        "name",
        "serial_number",
        "part_number",
        "sku",
        "model",
        "status",
        "active",
        "product_name",
    }
    assert {"state", "config_type"} <= set(metered["meters"][0])
    assert metered["gateways"][0]["emu_sw_version"].startswith("D")


def test_a_dead_microinverter_marks_its_system_its_own_status_and_an_open_alarm(get, ids) -> None:
    system = next(s for s in get("")["systems"] if s["status"] == "micro")["system_id"]
    micros = get(f"/{system}/devices")["devices"]["micros"]
    dead = [micro for micro in micros if micro["status"] == "micro"]
    assert len(dead) == 1
    alarms = get(f"/{system}/open_alarms")["alarms"]
    assert [alarm["events"][0]["serial_number"] for alarm in alarms] == [dead[0]["serial_number"]]
    assert set(alarms[0]) == {
        "id",
        "event_type_id",
        "cleared",
        "severity",
        "alarm_start_time",
        "alarm_end_time",
        "events",
    }
    assert (alarms[0]["cleared"], alarms[0]["alarm_end_time"]) == (False, None)
    events = get(f"/{system}/open_events")["events"]
    assert events[0]["status"] == "Open"
    assert set(events[0]) == {"status", "event_type_id", "event_start_time", "event_end_time", "serial_number"}
    telemetry = get(f"/{system}/devices/micros/{dead[0]['serial_number']}/telemetry")
    assert telemetry["intervals"] == []
    site = get(f"/{system}/telemetry/production_micro")
    assert {interval["devices_reporting"] for interval in site["intervals"]} == {site["total_devices"] - 1}


def test_production_of_a_day_has_the_documented_shape_on_exact_marks(get, ids) -> None:
    answer = get(f"/{ids[0]}/telemetry/production_micro")
    assert list(answer) == [
        "system_id",
        "granularity",
        "total_devices",
        "start_at",
        "end_at",
        "items",
        "intervals",
        "meta",
    ]
    assert set(answer["meta"]) == META_FIELDS
    midnight = datetime(2026, 6, 1, tzinfo=ZoneInfo("America/Chicago")).timestamp()
    assert (answer["granularity"], answer["start_at"], answer["end_at"]) == ("day", midnight, NOON)
    assert answer["intervals"]
    for interval in answer["intervals"]:
        assert list(interval) == ["end_at", "devices_reporting", "powr", "enwh"]
        assert interval["end_at"] % 300 == 0
        assert midnight < interval["end_at"] <= answer["meta"]["last_report_at"]
        assert abs(interval["powr"] - interval["enwh"] * 12) <= 7
    assert answer["intervals"][-1]["end_at"] == answer["meta"]["last_energy_at"]


def test_the_newest_interval_lags_by_the_gateways_upload(get, ids, clock) -> None:
    for one in ids:
        system = get(f"/{one}")
        assert 0 <= clock.now - system["last_report_at"] < 900
        assert system["last_energy_at"] <= system["last_report_at"]


def test_a_request_between_marks_is_rounded_down(get, ids) -> None:
    answer = get(f"/{ids[0]}/telemetry/production_micro", start_at=int(NOON) - 7201, granularity="15mins")
    assert (answer["start_at"], answer["end_at"]) == (NOON - 7500, NOON - 6600)
    assert [interval["end_at"] for interval in answer["intervals"]] == [NOON - 7200, NOON - 6900, NOON - 6600]


@pytest.mark.parametrize(("granularity", "most"), [("5mins", 1), ("15mins", 3), ("day", 288), ("week", 2016)])
def test_a_window_is_as_long_as_its_granularity_and_never_beyond_now(get, ids, granularity, most) -> None:
    start = int(NOON) // 300 * 300 - 14 * 86_400
    answer = get(f"/{ids[0]}/telemetry/production_micro", start_at=start, granularity=granularity)
    length = {"5mins": 300, "15mins": 900, "day": 86_400, "week": 604_800}[granularity]
    assert answer["end_at"] - answer["start_at"] == length
    assert len(answer["intervals"]) <= most
    late = get(f"/{ids[0]}/telemetry/production_micro", start_at=int(NOON) - 600, granularity=granularity)
    assert late["end_at"] <= NOON


def test_a_start_after_the_last_interval_gives_an_empty_list(get, ids) -> None:
    assert get(f"/{ids[0]}/telemetry/production_micro", start_at=int(NOON) - 10)["intervals"] == []


def test_before_sunrise_the_list_is_empty(get, ids, clock) -> None:
    clock.now = datetime(2026, 6, 2, 3, 0, tzinfo=ZoneInfo("America/Chicago")).timestamp()
    assert get(f"/{ids[0]}/telemetry/production_micro")["intervals"] == []


def test_a_start_before_the_first_report_is_moved_to_that_days_midnight(start, connect, clock) -> None:
    world = World(1, 4, 3)
    plan = world.site("enphase", 0)
    clock.now = plan.installed_at + 40 * 86_400.0
    client = connect(start("enphase", world=world))
    system = client.get("/api/v4/systems").json()["systems"][0]["system_id"]
    asked = {"start_at": plan.installed_at - 86_400 * 9}
    answer = client.get(f"/api/v4/systems/{system}/telemetry/production_micro", params=asked).json()
    assert answer["start_at"] == plan.installed_at
    assert answer["intervals"]


@pytest.mark.parametrize(
    "params",
    [
        {"start_at": int(NOON) + 600},
        {"start_date": "2026-06-03"},
        {"start_at": int(NOON) - 735 * 86_400},
        {"start_date": "2024-05-01"},
        {"granularity": "month"},
        {"start_at": "yesterday"},
        {"start_date": "2026-5-1"},
    ],
)
def test_windows_in_the_future_too_old_or_malformed_are_unprocessable(get, ids, params) -> None:
    assert get(f"/{ids[0]}/telemetry/production_micro", 422, **params)["code"] == 422


def test_a_window_of_nearly_two_years_ago_is_served(get, ids) -> None:
    assert get(f"/{ids[0]}/telemetry/production_micro", start_at=int(NOON) - 729 * 86_400)["intervals"]


def test_a_window_asked_for_by_date_echoes_dates(get, ids) -> None:
    answer = get(f"/{ids[0]}/telemetry/production_micro", start_date="2026-05-30")
    assert (answer["start_date"], answer["end_date"]) == ("2026-05-30", "2026-05-30")
    assert "start_at" not in answer
    midnight = datetime(2026, 5, 30, tzinfo=ZoneInfo("America/Chicago")).timestamp()
    assert all(midnight < i["end_at"] <= midnight + 86_400 for i in answer["intervals"])


def test_a_day_is_24_hours_so_that_the_autumn_day_needs_a_second_window(start, connect, clock) -> None:
    clock.now = datetime(2026, 4, 8, tzinfo=ZoneInfo("Australia/Adelaide")).timestamp()
    client = connect(start("enphase"))
    system = client.get("/api/v4/systems").json()["systems"][2]["system_id"]
    midnight = int(datetime(2026, 4, 5, tzinfo=ZoneInfo("Australia/Adelaide")).timestamp())
    following = int(datetime(2026, 4, 6, tzinfo=ZoneInfo("Australia/Adelaide")).timestamp())
    url = f"/api/v4/systems/{system}/telemetry/production_meter"
    first = client.get(url, params={"start_at": midnight}).json()
    assert following - midnight == 25 * 3600
    assert (first["end_at"] - first["start_at"], len(first["intervals"])) == (24 * 3600, 96)


def test_meters_answer_in_quarter_hours_where_they_are_fitted(get, ids) -> None:
    yesterday = int(NOON) // 900 * 900 - 2 * 86_400
    week = get(f"/{ids[2]}/telemetry/production_meter", start_at=yesterday - 7 * 86_400, granularity="week")
    assert 640 <= len(week["intervals"]) <= 672
    assert list(week["intervals"][0]) == ["end_at", "devices_reporting", "wh_del"]
    one = get(f"/{ids[2]}/telemetry/consumption_meter", start_at=yesterday, granularity="15mins")["intervals"]
    assert [list(interval) for interval in one] == [["end_at", "devices_reporting", "enwh"]]
    unmetered = next(i for i in ids if get(f"/{i}/summary")["source"] == "microinverters")
    assert get(f"/{unmetered}/telemetry/production_meter")["intervals"] == []


def test_grid_telemetry_is_a_list_of_lists_that_closes_the_balance(get, ids) -> None:
    start = int(NOON) // 900 * 900 - 86_400
    bought = get(f"/{ids[2]}/energy_import_telemetry", start_at=start)
    sold = get(f"/{ids[2]}/energy_export_telemetry", start_at=start)
    made = get(f"/{ids[2]}/telemetry/production_meter", start_at=start)
    used = get(f"/{ids[2]}/telemetry/consumption_meter", start_at=start)
    assert (bought["total_devices"], sold["total_devices"]) == (0, 0)
    (imports,), (exports,) = bought["intervals"], sold["intervals"]
    assert set(imports[0]) == {"end_at", "wh_imported"}
    assert set(exports[0]) == {"end_at", "wh_exported"}
    for i, e, m, u in zip(imports, exports, made["intervals"], used["intervals"], strict=True):
        assert i["end_at"] == e["end_at"] == m["end_at"]
        assert abs(m["wh_del"] + i["wh_imported"] - e["wh_exported"] - u["enwh"]) <= 2


def test_battery_telemetry_is_empty_since_no_site_has_one(get, ids) -> None:
    answer = get(f"/{ids[0]}/telemetry/battery")
    assert (answer["intervals"], answer["last_reported_aggregate_soc"]) == ([], None)
    get(f"/{ids[0]}/devices/encharges/1/telemetry", 404)


def test_the_microinverters_add_up_to_the_site(get, ids) -> None:
    start = int(NOON) // 300 * 300 - 7200
    site = get(f"/{ids[0]}/telemetry/production_micro", start_at=start)["intervals"]
    summed: dict[int, int] = {}
    page, seen = 1, []
    while True:
        answer = get(f"/{ids[0]}/devices/micros/telemetry", page=page, size=5, start_at=start)
        assert answer["count"] == len(answer["devices"])
        for device in answer["devices"]:
            seen.append(device["serial_number"])
            for interval in device["intervals"]:
                summed[interval["end_at"]] = summed.get(interval["end_at"], 0) + interval["enwh"]
        if page * 5 >= answer["total"]:
            break
        page += 1
    assert len(set(seen)) == len(seen) == 12
    assert set(summed) == {interval["end_at"] for interval in site}
    assert all(abs(summed[interval["end_at"]] - interval["enwh"]) <= 7 for interval in site)
    one = get(f"/{ids[0]}/devices/micros/{seen[0]}/telemetry", start_at=start)
    assert one["serial_number"] == seen[0]
    assert list(one["intervals"][0]) == ["end_at", "powr", "enwh"]
    get(f"/{ids[0]}/devices/micros/telemetry", 422, size=21)
    details = get(f"/{ids[0]}/devices/micros/999/telemetry", 404)["details"]
    assert details.startswith("Micro not found")


def test_daily_history_is_one_number_a_day_up_to_yesterday(get, ids) -> None:
    answer = get(f"/{ids[1]}/energy_lifetime", start_date="2026-05-01")
    assert (answer["start_date"], len(answer["production"])) == ("2026-05-01", 31)
    assert set(answer["meta"]) == META_FIELDS
    whole = get(f"/{ids[1]}/energy_lifetime")
    first = date.fromisoformat(whole["start_date"])
    assert first + timedelta(days=len(whole["production"])) == date(2026, 6, 1)
    assert whole["production"][-31:] == answer["production"]
    part = get(f"/{ids[1]}/energy_lifetime", start_date="2026-05-03", end_date="2026-05-05")
    assert part["production"] == answer["production"][2:5]
    get(f"/{ids[1]}/energy_lifetime", 422, start_date="2026-05-05", end_date="2026-05-03")


def test_daily_history_with_a_meter_names_its_start_and_splits_when_asked(get, ids) -> None:
    assert "meter_start_date" in get(f"/{ids[2]}/energy_lifetime")
    answer = get(f"/{ids[2]}/energy_lifetime", production="all", start_date="2026-05-30")
    assert {"micro_production", "meter_production"} <= set(answer)


def test_other_daily_series_are_empty_with_a_null_start_without_a_meter(get, ids) -> None:
    unmetered = next(i for i in ids if get(f"/{i}/summary")["source"] == "microinverters")
    answer = get(f"/{unmetered}/consumption_lifetime")
    assert (answer["start_date"], answer["consumption"]) == (None, [])
    battery = get(f"/{ids[2]}/battery_lifetime")
    assert (battery["charge"], battery["discharge"]) == ([], [])


def test_daily_balance_closes_where_a_meter_is_fitted(get, ids) -> None:
    span = {"start_date": "2026-05-20", "end_date": "2026-05-29"}
    made = get(f"/{ids[2]}/energy_lifetime", **span)["production"]
    used = get(f"/{ids[2]}/consumption_lifetime", **span)["consumption"]
    bought = get(f"/{ids[2]}/energy_import_lifetime", **span)["import"]
    sold = get(f"/{ids[2]}/energy_export_lifetime", **span)["export"]
    assert len(made) == 10
    for m, u, i, e in zip(made, used, bought, sold, strict=True):
        assert abs(m + i - u - e) <= 3


def test_the_meters_register_counts_the_lifetime(get, ids) -> None:
    (reading,) = get(f"/{ids[2]}/production_meter_readings")["meter_readings"]
    assert set(reading) == {"serial_num", "value", "read_at"}
    summary = get(f"/{ids[2]}/summary")
    assert abs(reading["value"] - summary["energy_lifetime"] - summary["energy_today"]) <= 200


def test_the_inverters_summary_gives_lifetime_and_last_power_per_microinverter(get, ids, clock) -> None:
    url = "/inverters_summary_by_envoy_or_site"
    get(url, 422)
    (block,) = get(url, site_id=ids[0], size=100)
    assert set(block) == {"signal_strength", "micro_inverters"}
    first = block["micro_inverters"][0]
    assert set(first) == {
        "id",
        "serial_number",
        "model",
        "part_number",
        "sku",
        "status",
        "power_produced",
        "proc_load",
        "param_table",
        "envoy_serial_number",
        "energy",
        "grid_profile",
        "last_report_date",
    }
    assert set(first["power_produced"]) == {"value", "units", "precision"}
    assert get(url, envoy_serial_number=first["envoy_serial_number"], size=100) == [block]
    get(url, 404, envoy_serial_number="1")
    summary = get(f"/{ids[0]}/summary")
    lifetime = sum(micro["energy"]["value"] for micro in block["micro_inverters"])
    assert abs(lifetime - summary["energy_lifetime"] - summary["energy_today"]) <= 1500
    clock.now += 3600
    (later,) = get(url, site_id=ids[0], page=1, size=2)
    assert len(later["micro_inverters"]) == 2
    assert later["micro_inverters"][0]["energy"]["value"] > first["energy"]["value"]


def test_current_power_stays_that_of_the_last_interval_after_sunset(get, ids, clock) -> None:
    clock.now = datetime(2026, 6, 1, 23, 50, tzinfo=ZoneInfo("America/Chicago")).timestamp()
    summary = get(f"/{ids[0]}/summary")
    assert summary["last_interval_end_at"] < clock.now - 7200
    telemetry = get(f"/{ids[0]}/telemetry/production_micro")["intervals"]
    assert summary["current_power"] == telemetry[-1]["powr"]


def test_latest_telemetry_lists_the_meters(get, ids) -> None:
    meters = get(f"/{ids[2]}/latest_telemetry")["devices"]["meters"]
    assert [meter["name"] for meter in meters] == ["production", "consumption"]
    assert set(meters[0]) == {"id", "name", "channel", "last_report_at", "power"}


def test_event_types_are_a_dictionary_that_knows_28(get) -> None:
    kinds = get("/event_types")["event_types"]
    assert {kind["event_type_id"]: kind["event_type_key"] for kind in kinds}[28] == "envoy_no_report"
    assert set(kinds[0]) == {
        "event_type_id",
        "event_type_key",
        "stateful",
        "event_name",
        "event_description",
        "recommended_action",
    }
    assert len(get("/event_types", event_type_id=28)["event_types"]) == 1


def test_events_and_alarms_need_a_start_and_a_window_of_a_week(get, ids) -> None:
    now = int(NOON)
    for what in ("events", "alarms"):
        assert get(f"/{ids[0]}/{what}", 422)["details"] == "start_time is required"
        get(f"/{ids[0]}/{what}", 422, start_time=now - 8 * 86_400, end_time=now)
        get(f"/{ids[0]}/{what}", 422, start_time=now - 300 * 86_400)
        get(f"/{ids[0]}/{what}", 422, start_time=now + 60)


def test_an_outage_silences_the_gateway_and_is_an_alarm_that_is_cleared_afterwards(start, connect, clock) -> None:
    world = World(1, 1, 3)
    plan = world.site("enphase", 0)
    begin, end = plan.gaps(1_770_000_000, 1_790_000_000)[0]
    clock.now = begin + 5400.0
    client = connect(start("enphase", world=world))
    system = client.get("/api/v4/systems").json()["systems"][0]
    assert system["status"] == "comm"
    assert system["last_report_at"] <= begin
    base = f"/api/v4/systems/{system['system_id']}"
    (opened,) = client.get(f"{base}/open_alarms").json()["alarms"]
    assert (opened["event_type_id"], opened["cleared"]) == (28, False)
    clock.now = end + 1800.0
    assert client.get(f"{base}/open_alarms").json()["alarms"] == []
    asked = {"start_time": begin - 60, "end_time": begin + 86_400}
    assert client.get(f"{base}/alarms", params={**asked, "cleared": "false"}).json()["alarms"] == []
    (cleared,) = client.get(f"{base}/alarms", params={**asked, "cleared": "true"}).json()["alarms"]
    assert (cleared["id"], cleared["alarm_end_time"]) == (opened["id"], end)
    (event,) = client.get(f"{base}/events", params=asked).json()["events"]
    assert (event["status"], event["event_start_time"], event["event_end_time"]) == ("Closed", begin, end)


def test_a_cellular_site_lags_by_hours_and_is_never_among_the_first_four(start, connect) -> None:
    client = connect(start("enphase", world=World(1, 40, 2)))
    systems = client.get("/api/v4/systems", params={"size": 100}).json()["systems"]
    kinds = [system["connection_type"] for system in systems]
    assert "cellular" not in kinds[:4]
    assert 1 <= kinds.count("cellular") <= 9
    assert set(kinds) == {"ethernet", "Wi-Fi", "wifi", "cellular"}
