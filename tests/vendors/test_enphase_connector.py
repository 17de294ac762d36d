"""Enphase: login, refusals, lists, devices, series (vendors/enphase.md)."""

from __future__ import annotations

import base64
import datetime as dt
import json
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from vendor_doors import (
    ALIVE,
    ENPHASE_CREDENTIALS,
    NOON,
    Asked,
    Door,
    Hands,
    by_key,
    door_to,
    instant,
    site_ref,
)

from sungaze import clock as zones
from sungaze.emulators import World
from sungaze.emulators._enphase_site import system_id_of
from sungaze.errors import Changed, NeedsReconnect, NotEntitled, QuotaSpent, Unavailable
from sungaze.model import (
    DAY_S,
    Communication,
    DeviceStatus,
    DeviceType,
    Production,
    SiteStatus,
    Span,
)
from sungaze.vendors import enphase as room
from sungaze.vendors.enphase import CONNECTOR, MICRO_S

FIXTURES = Path(__file__).parent / "enphase" / "fixtures"
EMPTY_LIST = {"total": 0, "systems": []}
TODAY = Span(NOON - 12 * 3600, NOON)


def token_of(number: int, **more: Any) -> dict[str, Any]:
    pair = {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}"}
    return {**pair, "token_type": "bearer", "expires_in": 86_400, **more}


def is_login(asked: Asked) -> bool:
    return asked.path == "/oauth/token"


def grant_of(asked: Asked) -> str:
    return parse_qs(asked.body.decode())["grant_type"][0]


class Tokens:
    """The vendor's side of logging in, by script; `refuse` names grants that are refused."""

    def __init__(self, then: Callable[[Asked], Any] = lambda _: (200, EMPTY_LIST), *, refuse: str = "") -> None:
        self.issued = 0
        self.refuse = refuse
        self._then = then

    def __call__(self, asked: Asked) -> Any:
        if not is_login(asked):
            return self._then(asked)
        if grant_of(asked) in self.refuse:
            return 400, {"error": "invalid_grant", "error_description": "Bad credentials"}
        self.issued += 1
        return 200, token_of(self.issued)


# -- login -----------------------------------------------------------------------------------------------------------


def test_the_password_goes_in_a_form_body_with_the_application_in_the_header(enphase: Any) -> None:
    door, server = enphase(Tokens(), memory={})
    door.connector.list_sites(door.access)
    login, listing = server.asked
    client = f"{ENPHASE_CREDENTIALS['client_id']}:{ENPHASE_CREDENTIALS['client_secret']}".encode()
    assert (login.method, login.target) == ("POST", "/oauth/token")
    assert login.headers["authorization"] == "Basic " + base64.b64encode(client).decode()
    assert parse_qs(login.body.decode()) == {
        "grant_type": ["password"],
        "username": [ENPHASE_CREDENTIALS["username"]],
        "password": [ENPHASE_CREDENTIALS["password"]],
    }
    assert listing.headers["authorization"] == "Bearer access-1"
    assert listing.headers["key"] == ENPHASE_CREDENTIALS["api_key"]


def test_a_token_that_is_remembered_is_used_without_a_login(enphase: Any) -> None:
    door, server = enphase(Tokens())
    door.connector.list_sites(door.access)
    assert server.paths() == ["/api/v4/systems"]


@pytest.mark.parametrize("left_s", [59, 0, -5])
def test_a_token_about_to_end_is_renewed_and_remembered_before_it_is_used(
    left_s: int, enphase: Any, clock: Hands
) -> None:
    door, server = enphase(Tokens(), memory=ALIVE | {"expires_at": str(clock.now + left_s)})
    door.connector.list_sites(door.access)
    assert [grant_of(asked) for asked in server.asked if is_login(asked)] == ["refresh_token"]
    assert door.journal == ["lease", "remember", "spend"]
    assert door.memory == {
        "access_token": "access-1", "refresh_token": "refresh-1", "expires_at": str(clock.now + 86_400.0),
    }  # fmt: skip


def test_a_pair_that_cannot_be_kept_is_never_used(enphase: Any) -> None:
    door, server = enphase(Tokens(), memory={})

    def fail(_: object) -> None:
        raise OSError("the disk is full")

    door.access.remember = fail
    with pytest.raises(OSError, match="disk"):
        door.connector.list_sites(door.access)
    assert server.paths() == ["/oauth/token"]


@pytest.mark.parametrize(
    "kept", [{"access_token": "a"}, ALIVE | {"expires_at": "never"}, ALIVE | {"refresh_token": ""}]
)
def test_a_memory_that_makes_no_sense_leads_to_a_login(kept: dict[str, str], enphase: Any) -> None:
    door, _ = enphase(Tokens(), memory=kept)
    door.connector.list_sites(door.access)
    assert door.memory["access_token"] == "access-1"


def test_rotation_against_the_emulator_kills_the_old_refresh_token(start: Any, clock: Hands, opened: Any) -> None:
    emulator = start("enphase")
    door = opened(door_to(emulator, clock))
    door.connector.list_sites(door.access)
    old = dict(door.memory)
    clock.now += 86_380
    door.connector.list_sites(door.access)
    assert old["refresh_token"] != door.memory["refresh_token"]
    stale = opened(door_to(emulator, clock, memory=old | {"expires_at": "0"}))
    stale.connector.list_sites(stale.access)
    tokens = [r.status for r in emulator.requests if r.path == "/oauth/token"]
    assert tokens == [200, 200, 400, 200], "the dead refresh token is followed by one password login"


def test_a_refresh_that_is_refused_is_followed_by_one_new_login(enphase: Any, clock: Hands) -> None:
    door, server = enphase(Tokens(refuse="refresh_token"), memory=ALIVE | {"expires_at": str(clock.now)})
    door.connector.list_sites(door.access)
    assert [grant_of(asked) for asked in server.asked if is_login(asked)] == ["refresh_token", "password"]


def test_when_the_password_is_refused_too_the_account_needs_a_new_one(enphase: Any, clock: Hands) -> None:
    door, server = enphase(Tokens(refuse="refresh_token password"), memory=ALIVE | {"expires_at": str(clock.now)})
    with pytest.raises(NeedsReconnect, match="refuses this login"):
        door.connector.list_sites(door.access)
    assert [is_login(asked) for asked in server.asked] == [True, True]
    assert door.memory["access_token"] == ALIVE["access_token"], "nothing is forgotten"


@pytest.mark.parametrize("name", ["api_key", "client_id", "client_secret", "username", "password"])
def test_any_wrong_credential_is_refused_at_the_probe_and_nothing_is_kept_of_it(
    name: str, start: Any, clock: Hands, opened: Any
) -> None:
    emulator = start("enphase")
    door = opened(Door("enphase", emulator.base_url, emulator.credentials | {name: "wrong"}, clock))
    with pytest.raises(NeedsReconnect):
        door.connector.probe(door.access)
    tokens = [r for r in emulator.requests if r.path == "/oauth/token"]
    assert len(tokens) <= 2


@pytest.mark.parametrize("fault", ["token_html", "token_500"])
def test_a_login_page_in_trouble_is_not_taken_for_a_refusal(fault: str, start: Any, clock: Hands, opened: Any) -> None:
    door = opened(door_to(start("enphase", faults={fault: 1.0}), clock))
    with pytest.raises(Unavailable):
        door.connector.list_sites(door.access)


@pytest.mark.parametrize("status", [401, 403])
def test_a_front_doors_page_at_the_login_is_not_taken_for_a_refusal(status: int, enphase: Any) -> None:
    door, _ = enphase(lambda _: (status, b"<html>Access denied</html>"), memory={})
    with pytest.raises(Unavailable):
        door.connector.list_sites(door.access)


@pytest.mark.parametrize("expires_in", [0, -1, 1e300, 10**400, 86393.5])
def test_any_lifetime_of_a_token_can_be_lived_with(expires_in: float, enphase: Any) -> None:
    door, _ = enphase(lambda a: (200, token_of(1, expires_in=expires_in) if is_login(a) else EMPTY_LIST), memory={})
    assert door.connector.list_sites(door.access).complete


def test_two_who_find_the_token_dead_at_once_renew_it_once(enphase: Any) -> None:
    both_refused = threading.Barrier(2)

    def answers(asked: Asked) -> Any:
        if asked.headers["authorization"] == f"Bearer {ALIVE['access_token']}":
            both_refused.wait(5)
            return 401, {"message": "Not Authorized", "details": "User is not authorized", "code": 401}
        return 200, EMPTY_LIST

    tokens = Tokens(answers)
    door, _ = enphase(tokens)
    ends: list[bool] = []

    def look() -> None:
        ends.append(door.connector.list_sites(door.access).complete)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (ends, tokens.issued) == ([True, True], 1)


def test_one_whose_token_another_has_renewed_meanwhile_takes_that_one(enphase: Any) -> None:
    """The refusal of an old token says nothing of the new one that lies remembered by then."""

    def answers(asked: Asked) -> Any:
        if asked.headers["authorization"] == f"Bearer {ALIVE['access_token']}":
            door.memory = ALIVE | {"access_token": "access-of-another"}
            return 401, {"message": "Not Authorized"}
        return 200, EMPTY_LIST

    tokens = Tokens(answers)
    door, server = enphase(tokens)
    door.connector.list_sites(door.access)
    assert tokens.issued == 0
    assert server.asked[-1].headers["authorization"] == "Bearer access-of-another"


def test_a_lease_that_does_not_come_free_is_unavailable(enphase: Any) -> None:
    door, server = enphase(Tokens(), memory={})

    class Taken:
        def __enter__(self) -> None:
            raise TimeoutError("no slot of login came free")

        def __exit__(self, *ending: object) -> None:
            pass

    door.access.login_lease = Taken
    with pytest.raises(Unavailable, match="another task"):
        door.connector.list_sites(door.access)
    assert server.asked == []


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["panels", "devices", "inverters"])
def test_a_plan_without_an_endpoint_is_not_entitled_after_one_new_login(resource: str, enphase: Any) -> None:
    tokens = Tokens(lambda _: (401, {"message": "Not Authorized", "details": "User is not authorized", "code": 401}))
    door, server = enphase(tokens)
    with pytest.raises(NotEntitled) as caught:
        door.connector.fetch(door.access, resource, site_ref(1), TODAY)
    assert caught.value.what == resource
    assert tokens.issued == 1
    assert len(server.asked) == 3


def test_the_watt_plan_refuses_panels_and_gives_the_rest(start: Any, clock: Hands, opened: Any) -> None:
    emulator = start("enphase", plan="watt")
    door = opened(door_to(emulator, clock))
    site = door.connector.list_sites(door.access).sites[0]
    with pytest.raises(NotEntitled, match="Kilowatt"):
        door.connector.fetch(door.access, "panels", site_ref(site.vendor_site_id), TODAY)
    for resource in sorted(door.access.plan.gives):
        door.connector.fetch(door.access, resource, site_ref(site.vendor_site_id), TODAY)
    assert sum(r.path == "/oauth/token" for r in emulator.requests) == 2


def test_a_login_that_is_refused_everywhere_needs_a_new_one(start: Any, clock: Hands, opened: Any) -> None:
    emulator = start("enphase", faults={"unauthorized": 1.0})
    door = opened(door_to(emulator, clock))
    with pytest.raises(NeedsReconnect):
        door.connector.list_sites(door.access)
    assert [r.path for r in emulator.requests] == ["/oauth/token", "/api/v4/systems"] * 2


def test_a_key_of_another_application_is_told_without_a_new_login(start: Any, clock: Hands, opened: Any) -> None:
    emulator = start("enphase")
    other = emulator.service.applications[1].api_key  # type: ignore[attr-defined]  # Enphase's own service
    door = opened(Door("enphase", emulator.base_url, emulator.credentials | {"api_key": other}, clock))
    with pytest.raises(NeedsReconnect, match="different applications"):
        door.connector.probe(door.access)
    assert [r.path for r in emulator.requests] == ["/oauth/token", "/api/v4/systems"]


@pytest.mark.parametrize(
    ("k", "kind"), [(5, NotEntitled), (9_999, Changed)], ids=["somebody else's system", "an unknown system"]
)
def test_a_system_that_is_not_ours_or_not_there(k: int, kind: type, start: Any, clock: Hands, opened: Any) -> None:
    emulator = start("enphase")
    foreign = system_id_of(emulator.service.world.site("enphase", k))
    door = opened(door_to(emulator, clock))
    with pytest.raises(kind):
        door.connector.fetch(door.access, "summary", site_ref(foreign), TODAY)


REFUSALS = [
    (403, {"message": "Forbidden", "details": "Not authorized to access this resource", "code": 403}, NotEntitled),
    (404, {"message": "Not Found", "details": 'System not found for {:id=>"77"}', "code": 404}, Changed),
    (405, {"reason": "405", "message": ["Method not allowed"]}, Changed),
    (422, {"message": "Unprocessable Entity", "details": ["start", "is old"], "code": "422"}, Changed),
    (422, {"details": {"start_at": "is old"}}, Changed),
    (422, [], Changed),
    (422, b"", Changed),
    (500, {"errorCode": 7, "errorMessages": ["Data is temporarily unavailable"]}, Unavailable),
    (500, {"message": "Internal Server Error", "details": "unable to fetch data", "code": 500}, Unavailable),
    (501, {"reason": "501", "message": ["Not Implemented"]}, Changed),
    (503, b"<html><body>heavy load</body></html>", Unavailable),
    (418, b"<html><body>queue full</body></html>", Unavailable),
    (200, b"<html><body>queue full</body></html>", Unavailable),
    (301, b"", Unavailable),
    (401, {"message": ["Not Authorized"], "details": None, "code": "401"}, NeedsReconnect),
    (401, {"message": 401}, NeedsReconnect),
    (401, b"\xff", NeedsReconnect),
    (401, {"message": ["API Key -Client mismatch"]}, NeedsReconnect),
    (429, b"", QuotaSpent),
    (429, {"message": ["Too", "Many"], "code": "429", "period": ["minute"], "period_end": "soon"}, QuotaSpent),
    (400, b"[" * 100_000, Unavailable),
]


@pytest.mark.parametrize(("status", "body", "kind"), REFUSALS)
def test_every_shape_of_a_refusal_ends_in_its_error(status: int, body: Any, kind: type, enphase: Any) -> None:
    door, _ = enphase(Tokens(lambda _: (status, body)))
    with pytest.raises(kind):
        door.connector.fetch(door.access, "summary", site_ref(1), TODAY)


def test_a_refusal_says_where_and_why_without_the_systems_number(enphase: Any) -> None:
    door, _ = enphase(Tokens(lambda _: (422, {"message": "Unprocessable", "details": ["too", 2, None]})))
    with pytest.raises(Changed, match=r"422 on /api/v4/systems/…/summary: too 2\)"):
        door.connector.fetch(door.access, "summary", site_ref(77), TODAY)


def test_an_id_that_is_no_number_stays_one_piece_of_the_path(enphase: Any) -> None:
    door, server = enphase(Tokens(lambda _: (404, {})))
    with pytest.raises(Changed):
        door.connector.fetch(door.access, "summary", site_ref("../x?y#\n"), TODAY)
    assert server.asked[0].target == "/api/v4/systems/..%2Fx%3Fy%23%0A/summary"


NEXT_MONTH = instant("2026-07-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("body", "until"),
    [
        ({"period": "minute", "period_end": NOON + 30}, NOON + 31),
        ({"period": "minute", "period_end": str(NOON + 30)}, NOON + 31),
        ({"period": "minute"}, NOON + 61),
        ({"message": "Too Many Requests"}, NOON + 61),
        ({"period": "minute", "period_end": NOON - 5}, NOON + 61),
        ({"period": "minute", "period_end": 10**400}, NOON + 61),
        ({"period": "month", "period_end": NEXT_MONTH}, NEXT_MONTH),
        ({"period": "Month"}, NEXT_MONTH),
        ({"period": "month", "period_end": NOON - 999_999}, NEXT_MONTH),
        ({"period": "month", "period_end": 1e300}, NEXT_MONTH),
        ({"period": "month", "period_end": None}, NEXT_MONTH),
        ({"period_end": NEXT_MONTH}, NEXT_MONTH),
    ],
)
def test_a_spent_quota_is_waited_out_as_long_as_it_can_last(body: Any, until: float, enphase: Any) -> None:
    door, _ = enphase(lambda _: (429, {"message": "Too Many Requests", "code": 429, **body}))
    with pytest.raises(QuotaSpent) as caught:
        door.connector.list_sites(door.access)
    assert caught.value.until == until


@pytest.mark.parametrize(("fault", "latest"), [("429", NOON + 62), ("month", NEXT_MONTH)])
def test_both_windows_of_the_emulator_are_understood(
    fault: str, latest: int, start: Any, clock: Hands, opened: Any
) -> None:
    door = opened(door_to(start("enphase", faults={fault: 1.0}), clock))
    with pytest.raises(QuotaSpent) as caught:
        door.connector.list_sites(door.access)
    assert NOON < caught.value.until <= latest


# -- lists and facts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("systems", [1, 99, 100, 101, pytest.param(250, marks=pytest.mark.slow)])
def test_the_list_is_read_whole_at_a_call_for_each_hundred(systems: int, start: Any, clock: Hands, opened: Any) -> None:
    emulator = start("enphase", world=World(seed=1, sites=systems, panels=1))
    door = opened(door_to(emulator, clock))
    answer = door.connector.list_sites(door.access)
    assert (len(answer.sites), answer.complete) == (systems, True)
    assert len({site.vendor_site_id for site in answer.sites}) == systems
    assert door.session.calls == -(-systems // 100)


def test_an_account_without_systems_is_a_complete_list(enphase: Any) -> None:
    door, _ = enphase(Tokens())
    assert (door.connector.list_sites(door.access).complete, door.session.calls) == (True, 1)


def page_of(asked: Asked) -> int:
    return int(dict(asked.query)["page"])


@pytest.mark.parametrize(
    ("pages", "total", "seen", "calls"),
    [
        ({1: range(40), 2: range(40, 80)}, 137, 80, 2),
        ({1: range(100)}, 137, 100, 2),
        ({n: range(100) for n in range(1, 50)}, 10**9, 100, 2),
    ],
    ids=["pages are shorter than asked", "the list ends early", "every page is the first"],
)
def test_a_list_that_is_not_whole_makes_nobody_disappear(
    pages: Any, total: int, seen: int, calls: int, enphase: Any
) -> None:
    door, _ = enphase(
        lambda asked: (200, {"total": total, "systems": [{"system_id": n} for n in pages.get(page_of(asked), ())]})
    )
    answer = door.connector.list_sites(door.access)
    assert (len(answer.sites), answer.complete, door.session.calls) == (seen, False, calls)


def test_a_system_is_listed_once_though_it_slid_to_the_next_page(enphase: Any) -> None:
    pages = {1: range(100), 2: range(99, 101)}
    door, _ = enphase(lambda asked: (200, {"total": 101, "systems": [{"system_id": n} for n in pages[page_of(asked)]]}))
    answer = door.connector.list_sites(door.access)
    assert (len(answer.sites), answer.complete) == (101, True)


def test_the_list_tells_name_zone_address_and_last_word_and_never_a_size(
    start: Any, world: World, clock: Hands, opened: Any
) -> None:
    door = opened(door_to(start("enphase"), clock))
    sites = door.connector.list_sites(door.access).sites
    assert [zones.zone(site.timezone).utcoffset(dt.datetime(2026, 6, 1)) for site in sites] == [  # type: ignore[union-attr]  # every zone is known
        plan.zone.utcoffset(dt.datetime(2026, 6, 1)) for plan in world.fleet("enphase")
    ]
    assert sites[0].timezone == "US/Central", "an alias is kept"
    for site, plan in zip(sites, world.fleet("enphase"), strict=True):
        assert (site.name, site.peak_power_kw, site.installed_on) == (plan.name, None, plan.installed_on.isoformat())
        assert site.address is not None
        assert site.address["city"] == plan.town.city
        assert site.last_report_at is not None
        assert NOON - 1800 < site.last_report_at <= NOON
        assert site.last_energy_at is not None


def test_nulls_are_not_known_and_never_written_over_what_is(start: Any, clock: Hands, opened: Any) -> None:
    door = opened(door_to(start("enphase", faults={"nulls": 1.0}), clock))
    for site in door.connector.list_sites(door.access).sites:
        assert (site.timezone, site.address, site.last_report_at, site.last_energy_at, site.installed_on) == (None,) * 5
    ref = site_ref(site.vendor_site_id)
    for resource in (r.id for r in door.connector.vendor.resources if r.per_site):
        answer = door.connector.fetch(door.access, resource, ref, TODAY)
        assert not [r for r in answer.readings if r.metric_name == "energy_lifetime_wh" and not r.vendor_device_id]


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "../../etc/passwd", "\x00", "é" * 5000, "", "America"])
def test_a_zone_that_there_is_not_is_not_known(timezone: str, enphase: Any) -> None:
    system = {"system_id": 1, "timezone": timezone, "operational_at": NOON}
    door, _ = enphase(lambda _: (200, {"total": 1, "systems": [system]}))
    site = door.connector.list_sites(door.access).sites[0]
    assert (site.timezone, site.installed_on) == (None, "2026-06-01")


SITE_WORDS = {
    (SiteStatus.NORMAL, Communication.OK, Production.OK): "normal monitored info debug active on on_grid muted",
    (SiteStatus.OFFLINE, Communication.SILENT, Production.UNKNOWN): "comm",
    (SiteStatus.WARNING, Communication.OK, Production.DEGRADED): "micro",
    (SiteStatus.FAULT, Communication.OK, Production.DEGRADED): "power Error evse_faulted",
    (SiteStatus.WARNING, Communication.OK, Production.OK): "meter meter_issue nsr iq_collar battery encharge "
    "encharge_issue enpower enpower_issue storage_idle warning data_upload evse_not_reporting off_grid",
    (SiteStatus.INACTIVE, Communication.UNKNOWN, Production.UNKNOWN): "deactivated retired rma unused disabled "
    "not_monitored",
    (SiteStatus.UNKNOWN, Communication.UNKNOWN, Production.UNKNOWN): "unknown no_data any grid_unknown brand_new",
}


@pytest.mark.parametrize(("word", "told"), [(w, t) for t, words in SITE_WORDS.items() for w in words.split()])
def test_every_status_word_becomes_one_of_ours(word: str, told: Any) -> None:
    for spelling in (word, word.upper(), word.capitalize()):
        assert room.read_site_status(spelling) == told
    device = room.read_device_status(word, True)
    if told[0] is SiteStatus.INACTIVE:
        assert device is DeviceStatus.RETIRED
    elif word == "micro":
        assert device is DeviceStatus.OFFLINE
    else:
        assert device.value == told[0].value


def test_a_list_without_a_status_says_nothing_of_it() -> None:
    assert room.read_site_status(None) == (None, None, None)
    assert room.read_device_status(None, None) is DeviceStatus.UNKNOWN


# -- devices ---------------------------------------------------------------------------------------------------------


def test_a_mixed_roof_is_read_by_group_and_serial(enphase: Any) -> None:
    roof = json.loads((FIXTURES / "mixed_roof.json").read_text())
    door, _ = enphase(lambda _: (200, roof["devices"]))
    answer = door.connector.fetch(door.access, "devices", site_ref(7301221), TODAY)
    found = {device.vendor_device_id: device for device in answer.devices}
    assert answer.devices_complete
    assert list(found) == [
        "micros:300000000101", "micros:300000000102", "micros:300000000103", "meters:300000000900EIM1",
        "meters:1180012090:1", "meters:1180012090:2", "meters:300000000900EIM1:3", "gateways:300000000900",
        "encharges:400000000001", "enpowers:400000000002", "ev_chargers:400000000003", "heat_pump::0",
        "weather_walls:400000000004",
    ]  # fmt: skip
    kinds = [device.device_type for device in answer.devices]
    assert kinds == [DeviceType.MICROINVERTER] * 3 + [DeviceType.METER] * 4 + [
        DeviceType.GATEWAY, DeviceType.BATTERY, DeviceType.OTHER, DeviceType.EV_CHARGER, DeviceType.OTHER,
        DeviceType.OTHER,
    ]  # fmt: skip
    states = " ".join(device.status for device in answer.devices)
    assert states == (
        "normal offline retired normal warning normal normal offline warning warning normal unknown normal"
    )
    assert found["micros:300000000102"].model == "IQ8PLUS-72-2-US"
    assert found["micros:300000000102"].last_reported_at is None
    assert found["meters:1180012090:1"].serial_number is None
    assert found["gateways:300000000900"].firmware == "D8.2.4264"
    assert (found["ev_chargers:400000000003"].manufacturer, found["ev_chargers:400000000003"].firmware) == (
        None, "v0.04.22",
    )  # fmt: skip
    assert found["encharges:400000000001"].manufacturer == "Enphase"


def test_an_empty_inventory_retires_nothing(enphase: Any) -> None:
    door, _ = enphase(lambda _: (200, {"devices": {}}))
    answer = door.connector.fetch(door.access, "devices", site_ref(1), TODAY)
    assert (answer.devices, answer.devices_complete) == ([], False)


@pytest.mark.parametrize("panels", [19, 20, 21, 40, 41])
def test_panels_are_read_twenty_to_a_page(panels: int, start: Any, clock: Hands, opened: Any) -> None:
    emulator = start("enphase", world=World(seed=1, sites=1, panels=panels))
    door = opened(door_to(emulator, clock))
    site = door.connector.list_sites(door.access).sites[0]
    before = door.session.calls
    answer = door.connector.fetch(door.access, "panels", site_ref(site.vendor_site_id), TODAY)
    assert len(answer.devices) == panels
    assert not answer.devices_complete
    assert len({r.vendor_device_id for r in answer.readings}) >= panels - 1
    assert door.session.calls - before == panels // 20 + 1
    inventory = door.connector.fetch(door.access, "devices", site_ref(site.vendor_site_id), TODAY)
    assert {d.vendor_device_id for d in answer.devices} <= {d.vendor_device_id for d in inventory.devices}


@pytest.mark.parametrize("resource", ["panels", "inverters"])
def test_a_vendor_that_repeats_its_first_page_is_not_asked_for_ever(resource: str, enphase: Any) -> None:
    micros = [{"serial_number": f"3000000{n:05}", "intervals": []} for n in range(100)]
    body = {"devices": micros[:20]} if resource == "panels" else [{"micro_inverters": micros}]
    door, _ = enphase(lambda _: (200, body), calls=5)
    answer = door.connector.fetch(door.access, resource, site_ref(1), TODAY)
    assert (
        len(answer.devices)
        == len({d.vendor_device_id for d in answer.devices})
        == len(micros[:20]) * (1 if resource == "panels" else 5)
    )
    assert door.session.calls == 2


def test_each_microinverter_has_its_lifetime_counter_and_state(
    start: Any, world: World, clock: Hands, opened: Any
) -> None:
    door = opened(door_to(start("enphase"), clock))
    site = door.connector.list_sites(door.access).sites[0]
    answer = door.connector.fetch(door.access, "inverters", site_ref(site.vendor_site_id), TODAY)
    assert len(answer.devices) == world.site("enphase", 0).panels
    counters = by_key(answer.readings)
    assert len(counters) >= len(answer.devices) - 1
    assert {(metric, interval) for _, metric, interval, _ in counters} == {("energy_lifetime_wh", 0)}
    assert all(value > 10_000 for value in counters.values())
    assert DeviceStatus.UNKNOWN not in {device.status for device in answer.devices}


@pytest.mark.parametrize(
    ("amount", "at", "value"),
    [
        ({"value": 5, "units": "Wh"}, NOON, 5.0),
        ({"value": 5, "units": "kWh"}, NOON, 5_000.0),
        ({"value": 5}, "2026-06-01T18:05:00+00:00", 5.0),
        ({"value": 5, "units": "bananas"}, NOON, None),
        ({"value": None}, NOON, None),
        ({"value": 5}, None, None),
        ({"value": 5}, "yesterday", None),
        ({"value": 5}, NOON * 1000, None),
        ({"value": 10**400}, NOON, None),
        (None, NOON, None),
    ],
)
def test_a_counter_is_read_in_its_unit_or_not_at_all(amount: Any, at: Any, value: float | None) -> None:
    micro = msgspec.convert({"serial_number": "3", "energy": amount, "last_report_date": at}, room._Micro)
    assert [(r.timestamp, r.value) for r in room.read_inverter(micro)] == ([(NOON, value)] if value else [])


# -- series ----------------------------------------------------------------------------------------------------------

CHICAGO = "America/Chicago"


def interval(end_at: int, powr: float | None = 1200, enwh: float | None = 100, reporting: int | None = 24) -> Any:
    return {"end_at": end_at, "powr": powr, "enwh": enwh, "devices_reporting": reporting}


def curve(enphase: Any, intervals: list[Any], span: Span = TODAY, zone: str | None = CHICAGO) -> Any:
    door, server = enphase(lambda _: (200, {"intervals": intervals}))
    return door.connector.fetch(door.access, "curve", site_ref(1, zone), span), server


def test_an_interval_is_named_by_its_start(enphase: Any) -> None:
    answer, server = curve(enphase, [interval(NOON)], zone=None)
    assert by_key(answer.readings) == {
        ("", "ac_power_w", MICRO_S, NOON - 300): 1200.0,
        ("", "energy_wh", MICRO_S, NOON - 300): 100.0,
        ("", "devices_reporting", MICRO_S, NOON - 300): 24.0,
    }
    assert server.asked[0].query == [("start_at", str(TODAY.start)), ("granularity", "day")]


def test_what_an_interval_does_not_say_stays_missing(enphase: Any) -> None:
    answer, _ = curve(enphase, [interval(NOON, None, None, None), {"end_at": NOON + 300}])
    assert answer.readings == []


@pytest.mark.parametrize("end_at", [0, -5, NOON * 1000, 10**400])
def test_a_stamp_that_is_no_time_is_told(end_at: int, enphase: Any) -> None:
    with pytest.raises(Changed) as caught:
        curve(enphase, [interval(end_at)])
    assert caught.value.where == "end_at"


def test_before_sunrise_there_is_nothing_and_that_is_no_zero(enphase: Any) -> None:
    answer, _ = curve(enphase, [])
    assert answer.readings == []
    assert answer.covered == TODAY


MIDNIGHT = instant("2026-06-01T00:00:00-05:00")


def days_of(answer: Any) -> dict[int, float]:
    return {r.timestamp: r.value for r in answer.readings if r.interval_s == DAY_S}


def test_the_running_day_has_its_energy_so_far_from_midnight_on(enphase: Any) -> None:
    evening_before, today = interval(MIDNIGHT, enwh=7), [interval(MIDNIGHT + 300), interval(NOON, enwh=50)]
    answer, _ = curve(enphase, [evening_before, *today], Span(MIDNIGHT - 3600, NOON))
    assert days_of(answer) == {MIDNIGHT: 150.0}


@pytest.mark.parametrize(
    "span",
    [
        Span(MIDNIGHT + 300, NOON),
        Span(NOON - 2 * DAY_S, NOON - DAY_S),
        Span(MIDNIGHT - DAY_S, MIDNIGHT),
        Span(NOON - DAY_S - 3600, NOON - 3600),
    ],
    ids=["begun after midnight", "yesterday until noon", "yesterday", "today until an hour ago"],
)
def test_no_part_of_a_day_stands_as_that_days_figure(span: Span, enphase: Any) -> None:
    """The daily series has the whole figure, and a later answer would replace it."""
    stamps = range(span.start // 300 * 300 + 300, span.end, 3600)
    answer, _ = curve(enphase, [interval(at) for at in stamps], span)
    assert days_of(answer) == {}


@pytest.mark.parametrize("resource", ["curve", "panels"])
def test_nothing_older_than_two_years_is_asked(resource: str, enphase: Any) -> None:
    door, server = enphase(lambda _: (200, {"intervals": [], "devices": []}))
    old = NOON - 3 * 365 * DAY_S
    assert door.connector.fetch(door.access, resource, site_ref(1), Span(old, old + DAY_S)).covered is None
    assert server.asked == []
    edge = NOON - 2 * 365 * DAY_S
    door.connector.fetch(door.access, resource, site_ref(1), Span(edge - 3600, edge + 2 * DAY_S))
    assert int(dict(server.asked[0].query)["start_at"]) == edge + DAY_S


def test_the_oldest_day_that_is_asked_is_one_that_the_vendor_gives(start: Any, clock: Hands, opened: Any) -> None:
    door = opened(door_to(start("enphase"), clock))
    site = door.connector.list_sites(door.access).sites[0]
    span = Span(NOON - 5 * 365 * DAY_S, NOON)
    answer = door.connector.fetch(door.access, "curve", site_ref(site.vendor_site_id), span)
    assert answer.covered is not None
    assert answer.covered.start > NOON - 2 * 365 * DAY_S


@pytest.mark.parametrize("resource", ["curve", "panels"])
def test_a_span_that_has_not_begun_is_not_asked(resource: str, enphase: Any) -> None:
    door, server = enphase(lambda _: (200, {}))
    assert door.connector.fetch(door.access, resource, site_ref(1), Span(NOON, NOON + 300)).readings == []
    assert server.asked == []


def test_what_grows_late_replaces_what_was_read_first(start: Any, world: World, clock: Hands, opened: Any) -> None:
    emulator = start("enphase", faults={"late": 1.0})
    door = opened(door_to(emulator, clock))
    ref = site_ref(door.connector.list_sites(door.access).sites[0].vendor_site_id)
    first, second = (by_key(door.connector.fetch(door.access, "curve", ref, TODAY).readings) for _ in range(2))
    assert first.keys() == second.keys()
    grown = [key for key in first if first[key] < second[key]]
    assert {key[1] for key in grown} == {"ac_power_w", "energy_wh", "devices_reporting"}
    assert [key for key in first if first[key] > second[key]] == []


def daily(enphase: Any, body: Any, span: Span, zone: str | None = CHICAGO, now: int | None = None) -> Any:
    door, server = enphase(lambda _: (200, body))
    if now is not None:
        door.access.now = lambda: float(now)
    return door.connector.fetch(door.access, "daily", site_ref(1, zone), span), server


MAY = Span(instant("2026-05-28T00:00:00-05:00"), MIDNIGHT)


@pytest.mark.parametrize(
    ("arrays", "values"),
    [
        ({"production": [5, 0, 7, 8]}, {0: 5, 1: 0, 2: 7, 3: 8}),
        ({"production": [5, 0, 0, 0]}, {0: 5}),
        ({"production": [0, None, 0, 0]}, {}),
        ({"production": [5, None, 7, 0]}, {0: 5, 2: 7}),
        ({"production": [5, 6, 7, 8, 9, 10]}, {0: 5, 1: 6, 2: 7, 3: 8}),
        ({"production": [1, 2, 3, 0, 9]}, {0: 1, 1: 2, 2: 3, 3: 0}),
        ({"production": [5, 6, 7, 8], "micro_production": [1, 2, 3, 4], "meter_production": [4, 4, 4, 4]},
         {0: 1, 1: 2, 2: 3, 3: 4}),
        ({"production": [5, 6], "micro_production": [], "meter_production": []}, {0: 5, 1: 6}),
        ({"production": [5, 6], "micro_production": None}, {0: 5, 1: 6}),
        ({"production": []}, {}),
        ({"production": None}, {}),
        ({}, {}),
    ],
)  # fmt: skip
def test_element_i_of_a_daily_array_is_its_ith_day(arrays: Any, values: dict[int, float], enphase: Any) -> None:
    answer, server = daily(enphase, {"start_date": "2026-05-28", **arrays}, MAY)
    assert days_of(answer) == {MAY.start + day * DAY_S: value for day, value in values.items()}
    assert server.asked[0].query == [("start_date", "2026-05-28"), ("end_date", "2026-05-31"), ("production", "all")]
    assert answer.covered == MAY


@pytest.mark.parametrize("start_date", ["soon", "0001-01-01", "28-05-2026", "\u0662\u0660\u0662\u0666-05-28"])
def test_a_day_that_cannot_be_read_is_told(start_date: str, enphase: Any) -> None:
    with pytest.raises(Changed) as caught:
        daily(enphase, {"start_date": start_date, "production": [5]}, MAY)
    assert caught.value.where == "energy_lifetime: start_date"


def test_a_daily_array_without_a_start_has_no_days(enphase: Any) -> None:
    assert daily(enphase, {"start_date": None, "production": [5]}, MAY)[0].readings == []


def test_a_daily_array_that_starts_after_the_end_of_time_ends_in_nothing(enphase: Any) -> None:
    assert daily(enphase, {"start_date": "9999-12-30", "production": [5] * 100}, MAY)[0].readings == []


@pytest.mark.parametrize(
    ("zone", "first", "hours"),
    [
        ("Europe/Berlin", "2026-03-28", (24, 23, 24)),
        ("America/Chicago", "2026-10-31", (24, 25, 24)),
        ("Australia/Adelaide", "2026-10-03", (24, 23, 24)),
        ("Asia/Kolkata", "2026-10-03", (24, 24, 24)),
        ("America/Santiago", "2026-09-05", (24, 23, 24)),
    ],
)
def test_days_are_stamped_at_their_local_midnight_across_both_dst_nights(
    zone: str, first: str, hours: tuple[int, ...], enphase: Any
) -> None:
    tz = zones.zone(zone)
    assert tz is not None
    day = dt.date.fromisoformat(first)
    begin = zones.midnight(day, tz)
    now = begin + 6 * DAY_S
    answer, _ = daily(enphase, {"start_date": first, "production": [1, 2, 3, 4]}, Span(begin, now), zone, now)
    stamps = list(days_of(answer))
    assert stamps[0] == begin
    assert tuple((b - a) // 3600 for a, b in pairwise(stamps)) == hours


def test_days_wait_for_the_zone(enphase: Any) -> None:
    answer, server = daily(enphase, {}, MAY, None)
    assert (answer.readings, answer.covered, server.asked) == ([], None, [])


def test_today_is_not_asked_of_the_daily_series(enphase: Any) -> None:
    answer, server = daily(enphase, {}, Span(MIDNIGHT, NOON))
    assert (answer.covered, server.asked) == (None, [])


def summary(enphase: Any, **fields: Any) -> Any:
    body = {"system_id": 1, "size_w": 8760, "energy_lifetime": 1000, "energy_today": 10, "status": "normal"}
    door, _ = enphase(lambda _: (200, body | {"last_interval_end_at": NOON} | fields))
    return door.connector.fetch(door.access, "summary", site_ref(1), TODAY)


@pytest.mark.parametrize(("size_w", "kw"), [(8760, 8.76), (0, None), (-1, None), (None, None), (10**400, None)])
def test_a_size_is_one_only_above_zero(size_w: Any, kw: float | None, enphase: Any) -> None:
    assert summary(enphase, size_w=size_w).sites[0].peak_power_kw == kw


@pytest.mark.parametrize(
    ("fields", "counter"),
    [
        ({}, {NOON: 1010.0}),
        ({"energy_today": 0}, {NOON: 1000.0}),
        ({"energy_today": None}, {}),
        ({"energy_lifetime": None}, {}),
        ({"energy_lifetime": -1}, {}),
        ({"energy_today": -1}, {}),
        ({"last_interval_end_at": None}, {}),
        ({"last_interval_end_at": 0}, {}),
    ],
)
def test_the_lifetime_is_what_was_before_today_and_today(fields: Any, counter: Any, enphase: Any) -> None:
    found = by_key(summary(enphase, **fields).readings)
    assert found == {("", "energy_lifetime_wh", 0, at): value for at, value in counter.items()}


def test_the_lifetime_counter_stands_still_over_night_and_never_falls(start: Any, clock: Hands, opened: Any) -> None:
    clock.now = instant("2026-06-01T15:00:00+00:00")
    door = opened(door_to(start("enphase"), clock))
    ref = site_ref(door.connector.list_sites(door.access).sites[0].vendor_site_id)
    seen: list[tuple[int, float]] = []
    for _ in range(16):
        (reading,) = door.connector.fetch(door.access, "summary", ref, TODAY).readings
        seen.append((reading.timestamp, reading.value))
        clock.now += 3 * 3600
    assert seen == sorted(seen)
    assert len(set(seen)) < len(seen), "by night the same figure comes again at the same moment"


# -- spans -----------------------------------------------------------------------------------------------------------


def test_a_long_day_is_asked_in_two_windows_and_nothing_of_it_is_missed() -> None:
    tz = zones.zone(CHICAGO)
    assert tz is not None
    long_day = zones.local_day(dt.date(2026, 11, 1), tz)
    pieces = CONNECTOR.chunks("curve", long_day)
    assert [(p.end - p.start) // 3600 for p in pieces] == [1, 24]
    assert (pieces[-1].start, pieces[0].end) == (long_day.start, long_day.end)
    assert pieces[0].start == pieces[1].end


@pytest.mark.parametrize("resource", ["curve", "panels", "daily"])
def test_pieces_join_newest_first_and_none_is_longer_than_one_call_gives(resource: str) -> None:
    span = Span(NOON - 5 * DAY_S - 1234, NOON)
    pieces = CONNECTOR.chunks(resource, span)
    assert (pieces[-1].start, pieces[0].end) == (span.start, span.end)
    assert all(older.end == newer.start for newer, older in pairwise(pieces))
    assert resource == "daily" or all(p.end - p.start <= DAY_S for p in pieces)
    assert CONNECTOR.chunks(resource, Span(NOON, NOON)) == ([Span(NOON, NOON)] if resource == "daily" else [])


def test_the_probe_costs_one_page_and_tells_what_the_login_sees(start: Any, clock: Hands, opened: Any) -> None:
    emulator = start("enphase", world=World(seed=1, sites=101, panels=1))
    door = opened(door_to(emulator, clock, plan="partner"))
    seen = door.connector.probe(door.access)
    assert (len(seen.sites), seen.total, seen.panels) == (100, 101, True)
    assert [r.path for r in emulator.requests] == ["/oauth/token", "/api/v4/systems"]
    assert door.journal == ["lease", "remember", "spend"]


def test_on_the_watt_plan_the_probe_says_that_panels_are_not_given(start: Any, clock: Hands, opened: Any) -> None:
    door = opened(door_to(start("enphase", plan="watt"), clock))
    seen = door.connector.probe(door.access)
    assert not seen.panels
    assert room.VENDOR.panels_note in seen.notes


def test_an_unknown_resource_is_a_bug_and_says_so(enphase: Any) -> None:
    door, _ = enphase(Tokens())
    with pytest.raises(ValueError, match="no resource"):
        door.connector.fetch(door.access, "weather", site_ref(1), TODAY)
