"""SolarEdge V1 beyond what its clients show: keys, limits, refusals, DST nights (vendors/solaredge.md, Appendix A)."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from contextlib import ExitStack
from datetime import datetime

import httpx
import pytest
from program import COMMAND

from sungaze.emulators._solaredge_site import inverter_serial, site_id_of

PROBLEM_FIELDS = {"type", "title", "status", "detail", "traceId"}
WINDOW = {"startTime": "2026-06-01 08:00:00", "endTime": "2026-06-01 12:00:00"}


@pytest.fixture
def emulator(start):
    return start("solaredge", dialect="v1")


@pytest.fixture
def get(emulator):
    with httpx.Client(base_url=emulator.base_url, trust_env=False) as client:

        def ask(path, key=None, **params):
            return client.get(path, params={"api_key": key or emulator.credentials["api_key"], **params})

        yield ask


@pytest.fixture
def ids(world):
    return [site_id_of(plan) for plan in world.fleet("solaredge")]


def wrapper(answer):
    assert answer.status_code == 200, answer.text
    return next(iter(answer.json()))


# -- keys, paths, refusals -------------------------------------------------------------------------------------------


def test_the_dialect_has_its_own_method_plan_and_key_and_v2_stays_the_usual_one(start) -> None:
    old, usual = start("solaredge", dialect="v1"), start("solaredge")
    assert (old.vendor, old.method, old.plan, list(old.credentials)) == ("solaredge", "v1", "v1", ["api_key"])
    assert (usual.method, usual.plan) == ("fleet_key", "free")
    assert old.credentials["api_key"] != usual.credentials["api_key"]
    assert old.credentials == start("solaredge", dialect="v1").credentials
    with pytest.raises(ValueError, match="unknown plan 'free'"):
        start("solaredge", dialect="v1", plan="free")


def test_the_command_prints_what_a_connector_takes() -> None:
    command = [*COMMAND, "emulate", "solaredge", "--dialect", "v1", "--sites", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        ready = json.loads(running.stdout.readline())
        running.terminate()
    assert (ready["method"], ready["plan"]) == ("v1", "v1")
    assert len(ready["credentials"]["api_key"]) == 32


@pytest.mark.parametrize("suffix", ["", ".json", "/"])
def test_every_path_is_served_with_and_without_its_suffix(get, ids, suffix, world) -> None:
    serial = inverter_serial(world.site("solaredge", 0), 0)
    site, pair = ids[0], f"{ids[0]},{ids[1]}"
    days = {"startDate": "2026-05-30", "endDate": "2026-06-01"}
    expected = [
        ("/sites/list", {}, "sites"),
        (f"/site/{site}/details", {}, "details"),
        (f"/site/{site}/dataPeriod", {}, "dataPeriod"),
        (f"/sites/{site}/dataPeriod", {}, "dataPeriodList"),
        (f"/site/{site}/overview", {}, "overview"),
        (f"/sites/{site}/overview", {}, "sitesOverviews"),
        (f"/site/{pair}/overview", {}, "sitesOverviews"),
        (f"/site/{site}/energy", days, "energy"),
        (f"/sites/{pair}/energy", days, "sitesEnergy"),
        (f"/site/{pair}/energy", days, "sitesEnergy"),
        (f"/site/{site}/power", WINDOW, "power"),
        (f"/sites/{pair}/power", WINDOW, "powerDateValuesList"),
        (f"/site/{pair}/power", WINDOW, "powerDateValuesList"),
        (f"/site/{site}/energyDetails", WINDOW, "energyDetails"),
        (f"/site/{site}/powerDetails", WINDOW, "powerDetails"),
        (f"/site/{site}/currentPowerFlow", {}, "siteCurrentPowerFlow"),
        (f"/site/{site}/inventory", {}, "Inventory"),
        (f"/site/{site}/storageData", WINDOW, "storageData"),
        (f"/equipment/{site}/list", {}, "reporters"),
        (f"/equipment/{site}/{serial}/data", WINDOW, "data"),
        (f"/site/{site}/inverter/{serial}/data", WINDOW, "data"),
    ]
    for path, params, name in expected:
        assert wrapper(get(path + suffix, **params)) == name, path


@pytest.mark.parametrize("key", ["", "WRONG"])
def test_a_wrong_key_is_a_problem_with_status_401(get, key, emulator) -> None:
    answer = httpx.get(f"{emulator.base_url}/sites/list", params={"api_key": key}, trust_env=False)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert set(answer.json()) == PROBLEM_FIELDS
    assert answer.json()["detail"] == "Invalid API key"


def test_without_a_key_the_gateway_itself_answers(emulator) -> None:
    answer = httpx.get(f"{emulator.base_url}/sites/list", trust_env=False)
    assert (answer.status_code, answer.json()["error_description"]) == (401, "The access token is missing")


def test_a_sites_own_key_opens_that_site_alone(get, emulator, ids) -> None:
    key = emulator.service.site_key(1)
    assert [site["id"] for site in get("/sites/list", key).json()["sites"]["site"]] == [ids[1]]
    assert get(f"/site/{ids[1]}/details", key).status_code == 200
    assert get(f"/site/{ids[0]}/details", key).status_code == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/nothing", 404),
        ("/v2/sites", 404),
        ("/site/1/details", 404),
        ("/site/{foreign}/details", 403),
        ("/sites/{own},{foreign}/overview", 403),
        ("/sites/list.xml", 404),
        ("/sites/list?format=xml", 403),
        ("/sites/list?size=101", 403),
        ("/sites/list?status=Broken", 403),
        ("/sites/list?sortProperty=Colour", 403),
        ("/equipment/{own}/NOBODY/data?startTime=2026-06-01 08:00:00&endTime=2026-06-01 09:00:00", 404),
        ("/site/{own}/envBenefits", 404),
    ],
)
def test_what_is_not_there_or_not_ours_is_refused_as_a_problem(get, emulator, ids, world, path, status) -> None:
    path = path.format(own=ids[0], foreign=site_id_of(world.site("solaredge", 5)))
    plain, _, query = path.partition("?")
    answer = get(plain, **dict(pair.split("=") for pair in query.split("&") if pair))
    assert answer.status_code == status
    assert set(answer.json()) == PROBLEM_FIELDS


@pytest.mark.parametrize(
    ("call", "params", "status"),
    [
        ("power", ("2026-05-01 00:00:00", "2026-06-01 00:00:00"), 200),
        ("power", ("2026-05-01 00:00:00", "2026-06-01 00:00:01"), 403),
        ("power", ("2026-02-01 00:00:00", "2026-03-01 00:00:01"), 403),
        ("power", ("2026-05-31 00:00:00", "2026-05-30 00:00:00"), 403),
        ("power", ("2026-05-31T00:00:00", "2026-06-01T00:00:00"), 400),
        ("power", ("2026-02-30 00:00:00", "2026-03-01 00:00:00"), 400),
        ("power", ("2026-05-31", "2026-06-01"), 400),
        ("power", ("1989-05-31 00:00:00", "2026-06-01 00:00:00"), 403),
        ("powerDetails", ("2026-04-01 00:00:00", "2026-06-01 00:00:00"), 403),
        ("energyDetails", ("2025-06-01 00:00:00", "2026-06-01 00:00:00"), 200),
        ("energyDetails", ("2025-06-01 00:00:00", "2026-06-01 00:00:01"), 403),
        ("storageData", ("2026-05-25 00:00:00", "2026-06-01 00:00:00"), 200),
        ("storageData", ("2026-05-24 23:59:59", "2026-06-01 00:00:00"), 403),
        ("inverter/{serial}/data", ("2026-05-24 23:59:59", "2026-06-01 00:00:00"), 403),
    ],
)
def test_a_window_may_be_a_month_a_year_or_a_week_long(get, ids, world, call, params, status) -> None:
    call = call.format(serial=inverter_serial(world.site("solaredge", 0), 0))
    assert get(f"/site/{ids[0]}/{call}", startTime=params[0], endTime=params[1]).status_code == status


@pytest.mark.parametrize(
    ("unit", "first", "last", "status"),
    [
        ("QUARTER_OF_AN_HOUR", "2026-05-01", "2026-06-01", 200),
        ("HOUR", "2026-05-01", "2026-06-02", 403),
        ("DAY", "2025-06-01", "2026-06-01", 200),
        ("DAY", "2025-05-31", "2026-06-01", 403),
        ("WEEK", "2019-01-01", "2026-06-01", 200),
        ("MONTH", "2019-01-01", "2026-06-01", 200),
        ("YEAR", "2000-01-01", "2026-06-01", 200),
        ("DECADE", "2019-01-01", "2026-06-01", 403),
        ("DAY", "2026-06-01", None, 400),
    ],
)
def test_a_range_of_energy_is_bound_by_its_unit(get, ids, unit, first, last, status) -> None:
    given = {"startDate": first, "timeUnit": unit} | ({"endDate": last} if last else {})
    assert get(f"/site/{ids[0]}/energy", **given).status_code == status


# -- limits ----------------------------------------------------------------------------------------------------------


def test_the_three_hundredth_call_of_a_key_is_its_last_until_the_next_day(get, emulator, clock) -> None:
    emulator.service.days.preset(emulator.credentials["api_key"], 299)
    assert get("/sites/list").status_code == 200
    refused = get("/sites/list")
    assert (refused.status_code, refused.headers.get("retry-after")) == (429, None)
    assert get("/sites/list", emulator.service.site_key(0)).status_code == 200, "another key has its own"
    clock.now += 86_400
    assert get("/sites/list").status_code == 200


def test_a_site_has_three_hundred_calls_whoever_asks(get, emulator, ids) -> None:
    emulator.service.days.preset(str(ids[0]), 298)
    assert get(f"/site/{ids[0]}/overview").status_code == 200
    assert get(f"/site/{ids[0]}/overview", emulator.service.site_key(0)).status_code == 200
    assert get(f"/site/{ids[0]}/overview").status_code == 429
    assert get(f"/sites/{ids[0]},{ids[1]}/overview").status_code == 429, "one spent site refuses the bulk"
    assert get(f"/site/{ids[1]}/overview").status_code == 200


def test_a_call_in_bulk_costs_one_from_each_site_and_one_from_the_key(get, emulator, ids) -> None:
    assert get(f"/sites/{','.join(map(str, ids))},{ids[0]}/overview").status_code == 200
    days = emulator.service.days
    assert days.used(emulator.credentials["api_key"]) == 1
    assert [days.used(str(site)) for site in ids] == [1, 1, 1, 1]
    get("/sites/list")
    assert (days.used(emulator.credentials["api_key"]), days.used(str(ids[0]))) == (2, 1), "a list costs the key alone"


def test_more_than_a_hundred_sites_in_one_call_are_refused(get, ids) -> None:
    assert get(f"/sites/{','.join(map(str, range(1, 102)))}/overview").status_code == 403
    assert get(f"/sites/{','.join(map(str, range(1, 101)))}/overview").status_code == 404


def test_the_fourth_request_at_a_time_is_refused_and_the_next_one_is_not(emulator, get) -> None:
    url, params = f"{emulator.base_url}/sites/list", {"api_key": emulator.credentials["api_key"]}
    emulator.faults["slow"] = 1.0
    with httpx.Client(trust_env=False) as client, ExitStack() as dripping:
        for _ in range(3):
            assert dripping.enter_context(client.stream("GET", url, params=params)).status_code == 200
        assert get("/sites/list").status_code == 429
    del emulator.faults["slow"]
    ended = (get("/sites/list").status_code for _ in range(500))
    assert 200 in ended, "the three that hung up are forgotten"


# -- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/sites/list", "/site/{site}/power", "/nothing"])
def test_since_the_shutdown_everything_is_gone_whatever_the_key(get, emulator, ids, path) -> None:
    emulator.faults["gone"] = 1.0
    for key in (None, "WRONG"):
        answer = get(path.format(site=ids[0]), key)
        assert (answer.status_code, answer.json()["title"]) == (410, "Gone")


@pytest.mark.parametrize(
    ("fault", "statuses"), [("500", {500}), ("429", {429}), ("unauthorized", {401}), ("html", {200, 503})]
)
def test_a_fault_answers_in_its_own_way(get, emulator, fault, statuses) -> None:
    emulator.faults[fault] = 1.0
    answers = [get("/sites/list") for _ in range(2)]
    assert {answer.status_code for answer in answers} == statuses
    assert (fault == "html") == answers[0].text.startswith("<")


def test_nulls_stand_wherever_the_vendor_may_leave_one(get, emulator, ids) -> None:
    emulator.faults["nulls"] = 1.0
    details = get(f"/site/{ids[0]}/details").json()["details"]
    assert (details["id"], details["peakPower"], details["location"]["timeZone"]) == (ids[0], None, None)


# -- time ------------------------------------------------------------------------------------------------------------


def power_rows(get, site, first, last):
    return get(f"/site/{site}/power", startTime=first, endTime=last).json()["power"]["values"]


def test_night_and_the_running_quarter_are_null(get, ids) -> None:
    rows = {row["date"]: row["value"] for row in power_rows(get, ids[0], "2026-06-01 00:00:00", "2026-06-01 14:00:00")}
    assert rows["2026-06-01 02:00:00"] is None
    assert rows["2026-06-01 12:45:00"] > 0
    assert rows["2026-06-01 13:00:00"] is None, "it still runs at 13:05"
    assert len(rows) == 56


def test_the_newest_hour_fills_up_when_it_is_read_again(get, emulator, ids) -> None:
    emulator.faults["late"] = 1.0
    first, second = (power_rows(get, ids[0], "2026-06-01 11:00:00", "2026-06-01 13:00:00") for _ in range(2))
    assert [row["value"] is None for row in first] == [False] * 4 + [True] * 4
    assert all(row["value"] is not None for row in second)


NIGHTS = [
    (0, "2026-11-01", ["01:00:00", "01:15:00", "01:30:00", "01:45:00"]),
    (1, "2026-10-25", ["02:00:00", "02:15:00", "02:30:00", "02:45:00"]),
    (2, "2026-04-05", ["02:00:00", "02:15:00", "02:30:00", "02:45:00"]),
]


@pytest.mark.parametrize(("k", "day", "twice"), NIGHTS)
def test_the_hour_that_a_night_repeats_comes_twice_in_the_same_words(get, ids, clock, k, day, twice) -> None:
    clock.now = datetime.fromisoformat(f"{day}T23:00:00+00:00").timestamp() + 86_400
    rows = [row["date"] for row in power_rows(get, ids[k], f"{day} 00:00:00", f"{day} 23:59:59")]
    assert len(rows) == 100
    assert rows == sorted(rows[: 4 * int(twice[0][:2]) + 4]) + rows[4 * int(twice[0][:2]) + 4 :]
    assert sorted(stamp[11:] for stamp, count in Counter(rows).items() if count == 2) == twice


@pytest.mark.parametrize(("k", "day", "hour", "null"), [
    (0, "2026-03-08", "02", False), (1, "2026-03-29", "02", True), (2, "2026-10-04", "02", False),
])  # fmt: skip
def test_the_hour_that_a_night_leaves_out_is_absent_or_null(get, ids, clock, k, day, hour, null) -> None:
    clock.now = datetime.fromisoformat(f"{day}T23:00:00+00:00").timestamp() + 86_400
    rows = power_rows(get, ids[k], f"{day} 00:00:00", f"{day} 23:59:59")
    missing = [row["value"] for row in rows if row["date"].startswith(f"{day} {hour}:")]
    assert missing == ([None] * 4 if null else [])
    assert len(rows) == (96 if null else 92)


def test_days_are_the_sites_own_and_agree_with_the_truth(get, emulator, ids, world, clock) -> None:
    clock.now = datetime.fromisoformat("2026-11-10T00:00:00+00:00").timestamp()
    for k, site in enumerate(ids):
        plan = world.site("solaredge", k)
        rows = get(f"/site/{site}/energy", startDate="2026-10-20", endDate="2026-11-07").json()["energy"]["values"]
        found = {
            int(datetime.fromisoformat(row["date"]).replace(tzinfo=plan.zone).timestamp()): row["value"]
            for row in rows
            if row["value"] is not None
        }
        begin, end = (int(datetime(2026, *day, tzinfo=plan.zone).timestamp()) for day in ((10, 20), (11, 8)))
        true = {
            row.start: row.value for row in emulator.service.truth(world, k, begin, end) if row.interval_s == 86_400
        }
        assert found == pytest.approx(true, abs=0.01)
