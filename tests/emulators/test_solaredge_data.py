"""SolarEdge V2: sites, series, devices, alerts, time (vendors/solaredge.md 2 and 3)."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from emulating import NOON

from sungaze.emulators import World

CHICAGO, BERLIN = ZoneInfo("America/Chicago"), ZoneInfo("Europe/Berlin")


@pytest.fixture
def emulator(start):
    return start("solaredge", plan="paid")


@pytest.fixture
def get(connect, emulator):
    client = connect(emulator)

    def ask(path, status=200, **params):
        emulator.quota.preset("minute", 0)
        params = {name.rstrip("_").replace("_", "-"): value for name, value in params.items()}
        answer = client.get(f"/v2{path}", params=params)
        assert answer.status_code == status, answer.text
        return answer.json()

    return ask


@pytest.fixture
def ids(get):
    return [site["siteId"] for site in get("/sites")["sites"]["site"]]


def test_the_list_has_the_documented_shape_with_peak_power_in_kw(get, world) -> None:
    envelope = get("/sites")["sites"]
    assert set(envelope) == {"count", "site"}
    first = envelope["site"][0]
    assert set(first) == {
        "siteId",
        "name",
        "peakPower",
        "installationDate",
        "location",
        "activationStatus",
        "note",
    }
    assert set(first["location"]) == {"address", "city", "state", "zip", "country"}
    assert first["peakPower"] * 1000 == pytest.approx(world.site("solaredge", 0).peak_w)
    assert first["installationDate"].endswith("T00:00:00Z")
    assert first["activationStatus"] == "ACTIVE"


def test_pages_of_sites_end_with_a_short_one_and_cover_each_once(start, connect) -> None:
    client = connect(start("solaredge", world=World(1, 23, 2), plan="paid"))
    seen, page = [], 1
    while True:
        rows = client.get("/v2/sites", params={"page": page, "sites-in-page": 10}).json()["sites"]["site"]
        seen += [row["siteId"] for row in rows]
        if len(rows) < 10:
            break
        page += 1
    assert len(seen) == len(set(seen)) == 23
    assert client.get("/v2/sites", params={"sites-in-page": 1001}).status_code == 400


def test_details_add_the_zone_the_account_and_when_the_site_last_reported(get, ids) -> None:
    for site, zone in zip(ids, ["America/Chicago", "Europe/Berlin", "Australia/Adelaide", "Asia/Kolkata"], strict=True):
        details = get(f"/sites/{site}")
        assert details["location"]["timezone"] == zone
        assert isinstance(details["accountId"], int)
        updated = datetime.fromisoformat(details["lastUpdateTime"])
        assert updated.utcoffset() == datetime.fromtimestamp(NOON, ZoneInfo(zone)).utcoffset()
        assert 0 <= NOON - updated.timestamp() < 1000


def test_an_overview_is_todays_energy_with_null_splits_without_a_meter(get, ids) -> None:
    splits = set()
    for site in ids:
        overview = get(f"/sites/{site}/overview")
        assert set(overview) == {"siteId", "production", "consumption"}
        assert set(overview["production"]) == {"total", "unit", "toSelfConsumption", "toStorage", "toGrid"}
        assert set(overview["consumption"]) == {"total", "unit", "fromPv", "fromStorage", "fromGrid"}
        today = get(f"/sites/{site}/energy")["values"]
        assert overview["production"]["total"] == pytest.approx(sum(v["value"] or 0 for v in today), abs=1)
        splits.add(overview["production"]["toGrid"] is None)
    assert splits == {True, False}


def test_the_default_window_is_local_midnight_until_now_even_beyond_twelve_hours(get, ids) -> None:
    series = get(f"/sites/{ids[0]}/power")
    assert list(series) == ["period", "unit", "resolution", "values"]
    assert (series["unit"], series["resolution"]) == ("W", "QUARTER_HOUR")
    assert series["values"][0]["timestamp"] == "2026-06-01T00:00:00-05:00"
    assert len(series["values"]) == 53
    whole, _, fraction = series["period"]["to"].partition(".")
    assert whole == "2026-06-01T13:05:00"
    assert len(fraction) == 9 + len("-05:00")
    assert fraction.endswith("-05:00")


def test_nights_are_null_dawn_is_zero_and_the_running_bucket_is_null(get, ids) -> None:
    values = [v["value"] for v in get(f"/sites/{ids[0]}/power")["values"]]
    first = next(n for n, value in enumerate(values) if value is not None)
    assert values[:first] == [None] * first
    assert values[first] == 0.0
    assert any(value and value > 100 for value in values)
    assert values[-1] is None
    assert values[-2] is not None


def test_a_bucket_appears_ninety_seconds_after_it_closes(get, ids, clock) -> None:
    start = datetime(2026, 6, 1, 12, 30, tzinfo=CHICAGO)
    clock.now = start.timestamp() + 900 + 89
    asked = {"from_": start.isoformat(), "to": (start + timedelta(minutes=15)).isoformat()}
    assert get(f"/sites/{ids[0]}/energy", **asked)["values"][0]["value"] is None
    clock.now += 1
    assert get(f"/sites/{ids[0]}/energy", **asked)["values"][0]["value"] is not None


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("2026-05-20T08:00:00", "2026-05-20T12:00:00"),
        ("2026-05-20T13:00:00Z", "2026-05-20T17:00:00Z"),
        ("2026-05-20T15:00:00+02:00", "2026-05-20T19:00:00+02:00"),
        ("2026-05-20T08:00:00.000000000", "2026-05-20T12:00:00.123456789"),
    ],
)
def test_all_three_ways_of_writing_a_moment_mean_the_same(get, ids, begin, end) -> None:
    series = get(f"/sites/{ids[0]}/power", from_=begin, to=end)
    assert series["period"]["from"] == "2026-05-20T08:00:00-05:00"
    assert [v["timestamp"] for v in series["values"]][:2] == [
        "2026-05-20T08:00:00-05:00",
        "2026-05-20T08:15:00-05:00",
    ]
    assert len(series["values"]) == 16


@pytest.mark.parametrize(
    "wrong",
    [
        {"from_": "2026-05-20", "to": "2026-05-21T00:00:00"},
        {"from_": "2026-05-20T10:00:00 02:00"},
        {"from_": "2026-13-20T10:00:00"},
        {"from_": "2026-05-20T10:00:00", "to": "2026-05-20T09:00:00"},
        {"resolution": "MINUTE"},
        {"unit": "HP"},
        {"from_": "2026-05-20T00:00:00Z", "to": "2026-05-20T12:15:00Z"},
        {"from_": "2026-05-20T00:00:00Z", "to": "2026-05-21T01:00:00Z", "resolution": "HOUR"},
        {"from_": "2026-02-01T00:00:00Z", "to": "2026-03-03T00:00:00Z", "resolution": "DAY"},
        {"from_": "2024-02-01T00:00:00Z", "to": "2026-03-03T00:00:00Z", "resolution": "MONTH"},
    ],
)
def test_bad_parameters_and_spans_that_are_too_long_are_400(get, ids, wrong) -> None:
    problem = get(f"/sites/{ids[0]}/energy", 400, **wrong)
    assert (problem["status"], problem["title"]) == (400, "Bad Request")


@pytest.mark.parametrize(
    ("resolution", "begin", "end", "buckets"),
    [
        ("QUARTER_HOUR", "2026-05-20T00:00:00", "2026-05-20T12:00:00", 48),
        ("HOUR", "2026-05-20T00:00:00", "2026-05-21T00:00:00", 24),
        ("DAY", "2026-05-01T00:00:00", "2026-06-01T00:00:00", 31),
        ("WEEK", "2026-05-04T00:00:00", "2026-05-25T00:00:00", 3),
        ("MONTH", "2025-06-01T00:00:00", "2026-06-01T00:00:00", 12),
        ("YEAR", "2024-01-01T00:00:00", "2026-06-01T00:00:00", 3),
        ("TOTAL", "2024-01-01T00:00:00", "2026-06-01T00:00:00", 1),
    ],
)
def test_every_resolution_is_served_up_to_its_longest_span(get, ids, resolution, begin, end, buckets) -> None:
    series = get(f"/sites/{ids[1]}/energy", from_=begin, to=end, resolution=resolution)
    assert series["resolution"] == resolution
    assert len(series["values"]) == buckets
    assert series["values"][0]["timestamp"][:19] == begin


def test_coarser_buckets_are_the_sums_of_finer_ones(get, ids) -> None:
    site = ids[1]

    def total(resolution, begin, end):
        values = get(f"/sites/{site}/energy", from_=begin, to=end, resolution=resolution)["values"]
        return sum(v["value"] or 0 for v in values)

    day = total("DAY", "2026-05-20T00:00:00", "2026-05-21T00:00:00")
    halves = [("2026-05-20T00:00:00", "2026-05-20T12:00:00"), ("2026-05-20T12:00:00", "2026-05-21T00:00:00")]
    assert day == pytest.approx(sum(total("QUARTER_HOUR", *half) for half in halves), abs=1)
    assert day == pytest.approx(total("HOUR", "2026-05-20T00:00:00", "2026-05-21T00:00:00"), abs=1)
    month = total("MONTH", "2026-05-01T00:00:00", "2026-06-01T00:00:00")
    assert month == pytest.approx(total("DAY", "2026-05-01T00:00:00", "2026-06-01T00:00:00"), abs=1)
    assert month == pytest.approx(total("TOTAL", "2026-05-01T00:00:00", "2026-06-01T00:00:00"), abs=1)


def test_lifetime_is_one_bucket_from_the_installation_or_the_sum_of_years(get, ids) -> None:
    installed = get("/sites")["sites"]["site"][0]["installationDate"][:10] + "T00:00:00"
    whole = get(f"/sites/{ids[0]}/energy", from_=installed, resolution="TOTAL")["values"]
    years = get(f"/sites/{ids[0]}/energy", from_=installed, resolution="YEAR")["values"]
    assert len(whole) == 1
    assert whole[0]["value"] == pytest.approx(sum(v["value"] for v in years), rel=1e-9)


def test_a_running_day_holds_its_energy_so_far(get, ids) -> None:
    series = get(f"/sites/{ids[0]}/energy", from_="2026-05-30T00:00:00", resolution="DAY")["values"]
    assert len(series) == 3
    assert series[-1]["value"] == get(f"/sites/{ids[0]}/overview")["production"]["total"]


def test_the_future_is_null(get, ids) -> None:
    asked = {"from_": "2026-06-01T12:00:00", "to": "2026-06-02T00:00:00"}
    values = get(f"/sites/{ids[0]}/power", **asked)["values"]
    assert len(values) == 48
    assert all(v["value"] is None for v in values[5:])


def test_units_scale_the_values(get, ids) -> None:
    span = {"from_": "2026-05-20T10:00:00", "to": "2026-05-20T14:00:00"}
    watts = get(f"/sites/{ids[0]}/power", **span)["values"]
    kilowatts = get(f"/sites/{ids[0]}/power", unit="KW", **span)
    assert kilowatts["unit"] == "KW"
    assert [v["value"] * 1000 for v in kilowatts["values"]] == pytest.approx([v["value"] for v in watts])
    assert get(f"/sites/{ids[0]}/energy", unit="GWH", **span)["unit"] == "GWH"
    get(f"/sites/{ids[0]}/power", 400, resolution="DAY")


def test_power_is_not_four_times_energy(get, ids) -> None:
    span = {"from_": "2026-05-20T08:00:00", "to": "2026-05-20T18:00:00"}
    power = [v["value"] for v in get(f"/sites/{ids[0]}/power", **span)["values"]]
    energy = [v["value"] for v in get(f"/sites/{ids[0]}/energy", **span)["values"]]
    apart = [abs(p / (4 * e) - 1) for p, e in zip(power, energy, strict=True) if e and e > 50]
    assert sum(share > 0.01 for share in apart) > len(apart) / 2
    assert max(apart) < 0.03


@pytest.mark.parametrize(("day", "hours", "repeated"), [("2025-10-26", 25, True), ("2026-03-29", 23, False)])
def test_the_days_of_a_change_of_clocks_repeat_or_skip_an_hour(get, ids, day, hours, repeated) -> None:
    begin = datetime.fromisoformat(day).replace(tzinfo=BERLIN)
    noon = begin.replace(hour=11)
    stamps = [
        v["timestamp"]
        for a, b in ((begin, noon), (noon, begin.replace(hour=22)))
        for v in get(f"/sites/{ids[1]}/power", from_=a.isoformat(), to=b.isoformat())["values"]
    ]
    assert len(stamps) == len(set(stamps)) == (hours - 2) * 4
    locals_ = [stamp[:16] for stamp in stamps]
    assert locals_.count(f"{day}T02:30") == (2 if repeated else 0)
    following = (begin + timedelta(days=1)).isoformat()
    (one,) = get(f"/sites/{ids[1]}/energy", from_=begin.isoformat(), to=following, resolution="DAY")["values"]
    assert one["timestamp"] == begin.isoformat()


def test_devices_are_inverters_unless_types_are_named_again_and_again(get, ids) -> None:
    inverters = get(f"/sites/{ids[0]}/devices")
    assert {device["type"] for device in inverters} == {"INVERTER"}
    assert set(inverters[0]) == {
        "type",
        "serialNumber",
        "manufacturer",
        "model",
        "partNumber",
        "createdAt",
        "firmwareVersion",
        "firmware",
        "connectedTo",
        "active",
        "nameplate",
        "name",
        "form",
        "communicationType",
        "connectedOptimizers",
    }
    every = get(f"/sites/{ids[2]}/devices", types=["INVERTER", "METER", "OPTIMIZER", "BATTERY"])
    kinds = [device["type"] for device in every]
    assert set(kinds) == {"INVERTER", "METER", "OPTIMIZER"}
    optimizers = [device for device in every if device["type"] == "OPTIMIZER"]
    own = [device for device in every if device["type"] == "INVERTER" and device["active"]]
    assert len(optimizers) == sum(device["connectedOptimizers"] for device in own)
    assert {device["connectedTo"] for device in optimizers} == {device["serialNumber"] for device in own}
    get(f"/sites/{ids[0]}/devices", 400, types="ROOF")


def test_inverters_report_by_serial_with_power_in_kw_and_voltage_stamped_at_the_end(get, ids) -> None:
    asked = {"from_": "2026-05-20T12:00:00", "to": "2026-05-20T14:00:00", "resolution": "HOUR"}
    telemetry = get(f"/sites/{ids[0]}/inverters/telemetry", **asked)["inverters"]
    (serial,) = {d["serialNumber"] for d in get(f"/sites/{ids[0]}/devices") if d["active"]}
    blocks = telemetry[serial]
    assert {name: block["unit"] for name, block in blocks.items()} == {
        "power": "KW",
        "energy": "WH",
        "voltage": "VOLT",
        "current": "AMPERE",
        "frequency": "HERTZ",
    }
    assert [v["timestamp"][11:16] for v in blocks["power"]["values"]] == ["12:00", "13:00"]
    assert [v["timestamp"][11:16] for v in blocks["voltage"]["values"]] == ["13:00", "14:00"]
    assert [v["timestamp"][11:16] for v in blocks["frequency"]["values"]] == ["13:00", "14:00"]
    site = get(f"/sites/{ids[0]}/energy", **asked)["values"]
    assert [v["value"] for v in blocks["energy"]["values"]] == pytest.approx([v["value"] for v in site], abs=0.1)
    one = get(f"/sites/{ids[0]}/inverters/{serial}/voltage", **asked)
    assert one["values"] == blocks["voltage"]["values"]
    get(f"/sites/{ids[0]}/inverters/{serial}/temperature", 404)
    get(f"/sites/{ids[0]}/inverters/NONE/power", 404)


def test_meters_report_where_fitted_and_an_empty_object_where_not(get, ids) -> None:
    asked = {"from_": "2026-05-20T12:00:00", "to": "2026-05-20T14:00:00"}
    answers = [get(f"/sites/{site}/meters/telemetry", **asked) for site in ids]
    assert {} in answers
    metered = answers[2]
    assert set(metered) == {"period", "resolution", "meters"}
    ((serial, blocks),) = metered["meters"].items()
    names = {f"{a}{b}" for a in ("production", "consumption", "import", "export") for b in ("Power", "Energy")}
    assert set(blocks) == names
    for n in range(8):
        made, used, bought, sold = (
            blocks[f"{name}Energy"]["values"][n]["value"] for name in ("production", "consumption", "import", "export")
        )
        assert made + bought == pytest.approx(used + sold, abs=0.05)
    single = get(f"/sites/{ids[2]}/meters/{serial}/import-power", **asked)
    assert single["values"] == blocks["importPower"]["values"]


def test_storage_is_an_empty_object_since_no_site_has_one(get, ids) -> None:
    assert get(f"/sites/{ids[0]}/storage/telemetry") == {}


def test_alerts_have_the_documented_fields_and_pages(get, ids) -> None:
    every = get("/alerts")
    assert isinstance(every, list)
    assert set(every[0]) == {
        "alertId",
        "siteId",
        "category",
        "type",
        "impact",
        "status",
        "firstTrigger",
        "lastTrigger",
        "component",
        "errorCodes",
    }
    assert all(alert["firstTrigger"].endswith("Z") for alert in every)
    opened = get("/alerts", only_open="true")
    assert opened == [alert for alert in every if alert["status"] == "OPEN"]
    dead = [alert for alert in opened if alert["type"] == "PANEL_COMMUNICATION_FAULT"]
    assert dead
    assert dead[0]["component"]["serialNumber"]
    paged: list[object] = []
    page = 1
    while rows := get("/alerts", alerts_in_page=3, page=page):
        paged += rows
        page += 1
    assert paged == every
    own = [alert for site in ids for alert in get(f"/sites/{site}/alerts")]
    assert sorted(alert["alertId"] for alert in own) == sorted(alert["alertId"] for alert in every)
    get("/alerts", 400, alerts_in_page=101)


def test_an_outage_is_an_open_alert_until_it_ends(start, connect, clock) -> None:
    world = World(1, 1, 3)
    begin, end = world.site("solaredge", 0).gaps(1_770_000_000, 1_790_000_000)[0]
    client = connect(start("solaredge", world=world, plan="paid"))
    clock.now = begin + 4000.0
    (site,) = client.get("/v2/sites").json()["sites"]["site"]
    url = f"/v2/sites/{site['siteId']}"
    silent = client.get(f"{url}/alerts", params={"only-open": "true"}).json()[0]
    assert (silent["type"], silent["status"]) == ("SITE_COMMUNICATION_FAULT", "OPEN")
    updated = datetime.fromisoformat(client.get(url).json()["lastUpdateTime"]).timestamp()
    assert updated == begin
    clock.now = end + 1000.0
    after = client.get(f"{url}/alerts").json()
    assert next(a for a in after if a["alertId"] == silent["alertId"])["status"] == "CLOSED"


def test_environmental_benefits_come_in_both_systems_of_units(get, ids) -> None:
    metric = get(f"/sites/{ids[0]}/environmental-benefits", unit="METRIC")
    imperial = get(f"/sites/{ids[0]}/environmental-benefits", unit="IMPERIAL")
    assert set(metric) == {"co2Emissions", "evMiles"}
    assert imperial["co2Emissions"] > metric["co2Emissions"] * 2
    get(f"/sites/{ids[0]}/environmental-benefits", 400, unit="FURLONGS")
