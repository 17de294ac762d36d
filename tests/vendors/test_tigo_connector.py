"""Tigo V3: login, refusals, rates, lists, devices, tables, alerts (vendors/tigo.md)."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import Any

import pytest
from vendor_doors import NOON, Asked, Door, Hands, by_key, dead_port, door_to, instant, site_ref, told

from sungaze import clock as zones
from sungaze.emulators import World
from sungaze.errors import Changed, NeedsReconnect, NotEntitled, QuotaSpent, Unavailable, VendorError
from sungaze.model import (
    DAY_S,
    Communication,
    DeviceStatus,
    DeviceType,
    Production,
    Severity,
    SiteStatus,
    Span,
)
from sungaze.vendors._contract import Response
from sungaze.vendors.tigo import CONNECTOR, placed, read_table

CREDENTIALS = {"username": "invented@sungaze.example", "password": "invented-pässword-6711"}
LOGGED_IN = {"token": "token-6712", "expires_at": str(NOON + 30 * DAY_S)}
CHICAGO = "America/Chicago"
TODAY = Span(NOON - 12 * 3600, NOON)
DAYS = Span(NOON - 4 * DAY_S, NOON)
ERROR = {"name": "Unauthorized", "message": "You are requesting with an invalid credential.", "code": 0, "status": 401}
CSV = {"Content-Type": "text/csv; charset=UTF-8"}


def listed(*numbers: int, total: int | None = None, **more: Any) -> dict[str, Any]:
    page: dict[str, Any] = {"systems": [{"system_id": n, **more} for n in numbers]}
    return page | ({} if total is None else {"_meta": {"totalCount": total, "perPage": 50}})


def csv(text: str) -> Any:
    return 200, text.encode(), CSV


@pytest.fixture
def tigo(script: Any, opened: Any, clock: Hands) -> Any:
    """A door to a scripted Tigo, already logged in unless `memory` says otherwise."""

    def begin(answers: Any, **options: Any) -> tuple[Door, Any]:
        server = script(answers)
        options.setdefault("memory", LOGGED_IN)
        return opened(Door("tigo", server.url, CREDENTIALS, clock, **options)), server

    return begin


@pytest.fixture
def real(start: Any, opened: Any, clock: Hands) -> Any:
    """A door to the emulator, whose limit is out of the way."""

    def begin(**options: Any) -> tuple[Any, Any]:
        emulator = start("tigo", **options)
        emulator.quota.limits["minute"] = 100_000
        return opened(door_to(emulator, clock)), emulator

    return begin


def ref_of(emulator: Any, k: int = 0) -> Any:
    view = emulator.service.views()[k]
    return site_ref(view.system_id, view.plan.town.zone)


# -- login -----------------------------------------------------------------------------------------------------------

LOGINS = [
    {"user": {"user_id": 1, "auth": "new-6713", "expires": "2027-03-01T11:58:08-08:00", "user_type": "Basic"}},
    {"auth": "new-6713", "expires": "2027-03-01T11:58:08-08:00"},
    {"token": "new-6713"},
    {"data": {"auth": "new-6713"}},
    {"data": {"token": "new-6713", "expires": "null"}},
    {"user": {"auth": "new-6713", "expires": "2020-01-01T00:00:00+00:00"}},
]


@pytest.mark.parametrize("body", LOGINS)
def test_a_token_is_asked_for_once_and_remembered_before_it_is_used(body: Any, tigo: Any) -> None:
    door, server = tigo(
        lambda asked: (200, body) if asked.path.endswith("login") else (200, listed(total=0)), memory={}
    )
    for _ in range(2):
        door.connector.list_sites(door.access)
    assert server.paths() == ["/api/v3/users/login", "/api/v3/systems", "/api/v3/systems"]
    basic = base64.b64encode(f"{CREDENTIALS['username']}:{CREDENTIALS['password']}".encode()).decode()
    assert (server.asked[0].method, server.asked[0].headers["authorization"]) == ("GET", f"Basic {basic}")
    assert {asked.headers["authorization"] for asked in server.asked[1:]} == {"Bearer new-6713"}
    assert door.journal == ["lease", "spend", "remember", "spend", "spend"]


@pytest.mark.parametrize(("left_s", "logins"), [(301, 0), (299, 1), (-5, 1)])
def test_a_token_is_renewed_five_minutes_before_it_ends(left_s: int, logins: int, tigo: Any) -> None:
    memory = {"token": "old-6714", "expires_at": str(NOON + left_s)}
    door, server = tigo(
        lambda asked: (200, LOGINS[0]) if asked.path.endswith("login") else (200, listed(total=0)), memory=memory
    )
    door.connector.list_sites(door.access)
    assert server.paths().count("/api/v3/users/login") == logins


def test_a_refused_token_is_renewed_once_and_the_call_repeated(tigo: Any) -> None:
    def answers(asked: Asked) -> Any:
        if asked.path.endswith("login"):
            return 200, LOGINS[0]
        return (200, listed(7, total=1)) if "new-6713" in asked.headers["authorization"] else (401, ERROR)

    door, server = tigo(answers)
    assert [site.vendor_site_id for site in door.connector.list_sites(door.access).sites] == ["7"]
    assert len(server.asked) == 3


def test_a_token_that_is_refused_again_needs_a_reconnect_and_never_loops(tigo: Any) -> None:
    door, server = tigo(lambda asked: (200, LOGINS[0]) if asked.path.endswith("login") else (401, ERROR))
    with pytest.raises(NeedsReconnect, match="history is kept"):
        door.connector.list_sites(door.access)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((401, ERROR), NeedsReconnect),
        ((403, ERROR), NotEntitled),
        ((404, b""), Changed),
        ((405, b""), Changed),
        ((500, b"<html>busy</html>"), Unavailable),
        ((401, b"<html>blocked</html>"), Unavailable),
        ((429, b"", {"Retry-After": "17"}), QuotaSpent),
        ((200, {}), Changed),
        ((200, {"user": {"auth": ""}}), Changed),
        ((200, b"<html>sign in</html>"), Changed),
        ((200, b""), Unavailable),
    ],
)
def test_every_shape_of_a_refused_login_ends_in_its_error(answer: Any, kind: type, tigo: Any) -> None:
    door, server = tigo(lambda _: answer, memory={})
    with pytest.raises(kind) as caught:
        door.connector.list_sites(door.access)
    assert len(server.asked) == 1
    assert CREDENTIALS["password"] not in told(caught.value)


def test_the_wrong_password_is_refused_by_the_emulator(start: Any, opened: Any, clock: Hands) -> None:
    emulator = start("tigo")
    door = opened(Door("tigo", emulator.base_url, emulator.credentials | {"password": "wrong"}, clock))
    with pytest.raises(NeedsReconnect, match="Premium"):
        door.connector.probe(door.access)


def test_an_expired_token_of_the_emulator_is_renewed_and_one_that_expires_at_once_is_told(real: Any) -> None:
    door, emulator = real()
    door.connector.list_sites(door.access)
    emulator.service._tokens.clear()
    assert len(door.connector.list_sites(door.access).sites) == 4
    emulator.faults["expired"] = 1.0
    with pytest.raises(NeedsReconnect):
        door.connector.list_sites(door.access)


# -- refusals and rates ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"name": "Bad Request", "message": "no"}, Changed),
        (403, {"name": "Forbidden"}, NotEntitled),
        (403, b"<html>Attention</html>", Unavailable),
        (404, b"", Changed),
        (422, [{"field": "system_id", "message": "must be an integer"}], Changed),
        (500, b"", Unavailable),
        (503, b"<html>busy</html>", Unavailable),
        (204, b"", Changed),
        (302, b"", Changed),
        (200, b"<html>sign in</html>", Changed),
        (200, b"", Unavailable),
        (200, [1], Changed),
        (200, b"[" * 100_000, Changed),
    ],
)
def test_every_shape_of_a_refusal_ends_in_its_error(status: int, body: Any, kind: type, tigo: Any) -> None:
    door, _ = tigo(lambda _: (status, body))
    with pytest.raises(kind):
        door.connector.list_sites(door.access)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "23", "X-Rate-Limit-Reset": "40"}, 23),
        ({"X-Rate-Limit-Reset": "40"}, 40),
        ({"X-Rate-Limit-Reset": "x"}, 15),
        ({}, 15),
    ],
)
def test_a_429_waits_as_long_as_it_says(headers: Any, wait: int, tigo: Any) -> None:
    door, server = tigo(lambda _: (429, {"name": "Too Many Requests"}, headers))
    with pytest.raises(QuotaSpent) as caught:
        door.connector.list_sites(door.access)
    assert caught.value.until == NOON + wait
    assert len(server.asked) == 1


def test_where_a_fifth_is_left_the_account_rests_until_the_window_is_over(tigo: Any, clock: Hands) -> None:
    rates = {"X-Rate-Limit-Limit": "30", "X-Rate-Limit-Remaining": "5", "X-Rate-Limit-Reset": "40"}
    door, server = tigo(lambda _: (200, listed(1, total=1), rates))
    assert door.connector.list_sites(door.access).complete
    with pytest.raises(QuotaSpent) as caught:
        door.connector.list_sites(door.access)
    assert caught.value.until == NOON + 41
    assert len(server.asked) == 1
    clock.now += 42
    assert door.connector.list_sites(door.access).complete


def test_no_premium_is_told_in_words_and_asked_once(real: Any) -> None:
    door, emulator = real(faults={"no_premium": 1.0})
    ref = site_ref(door.connector.list_sites(door.access).sites[0].vendor_site_id)
    for resource in ("curve", "summary", "details", "devices", "panels", "daily"):
        emulator.requests.clear()
        with pytest.raises(NotEntitled, match="Premium"):
            door.connector.fetch(door.access, resource, ref, DAYS)
        assert len(emulator.requests) == 1
    probe = door.connector.probe(door.access)
    assert not probe.panels
    assert "Premium" in probe.notes[-1]


@pytest.mark.parametrize("fault", ["html", "shape", "500", "429", "truncated"])
@pytest.mark.parametrize("resource", ["curve", "summary", "details", "devices", "panels", "daily"])
def test_every_fault_ends_in_a_complaint(fault: str, resource: str, real: Any) -> None:
    door, emulator = real()
    ref = ref_of(emulator)
    emulator.faults[fault] = 1.0
    for _ in range(2):
        with pytest.raises(VendorError):
            door.connector.fetch(door.access, resource, ref, DAYS if resource == "daily" else TODAY)


def test_nobody_there_is_unavailable(opened: Any, clock: Hands) -> None:
    door = opened(Door("tigo", dead_port(), CREDENTIALS, clock))
    with pytest.raises(Unavailable, match="cannot be reached"):
        door.connector.probe(door.access)


def test_no_secret_is_told_by_an_error(tigo: Any) -> None:
    echo = f"{CREDENTIALS['password']} {LOGGED_IN['token']} {CREDENTIALS['username']}"
    door, server = tigo(lambda _: (400, {"message": echo}))
    with pytest.raises(Changed) as caught:
        door.connector.list_sites(door.access)
    assert not [secret for secret in echo.split() if secret in told(caught.value)]
    assert not [secret for secret in echo.split() if secret in repr(door.access)]
    assert not [secret for secret in echo.split() for asked in server.asked if secret in asked.target]


# -- lists and facts -------------------------------------------------------------------------------------------------


def test_the_list_is_what_the_emulator_has(real: Any, world: World) -> None:
    door, _ = real()
    answer = door.connector.list_sites(door.access)
    assert answer.complete
    assert [(s.name, s.peak_power_kw, s.installed_on, s.status) for s in answer.sites] == [
        (p.name, p.peak_w / 1000, p.installed_on.isoformat(), None) for p in world.fleet("tigo")
    ]
    assert [s.timezone for s in answer.sites] == [CHICAGO, None, "Australia/Adelaide", None]
    for site, plan in zip(answer.sites, world.fleet("tigo"), strict=True):
        assert (site.latitude, site.longitude) == (plan.latitude, plan.longitude)
        assert site.address is not None
        assert site.address["postal_code"] == plan.town.postal_code


@pytest.mark.parametrize("has_meta", [True, False])
@pytest.mark.parametrize(("sites", "calls"), [(0, 1), (1, 1), (49, 1), (50, 2), (101, 3)])
def test_every_page_is_read_with_and_without_meta(sites: int, calls: int, has_meta: bool, tigo: Any) -> None:
    def answers(asked: Asked) -> Any:
        query = dict(asked.query)
        first = (int(query["page"]) - 1) * int(query["limit"])
        return 200, listed(*range(first, min(sites, first + 50)), total=sites if has_meta else None)

    door, _ = tigo(answers)
    answer = door.connector.list_sites(door.access)
    assert (len(answer.sites), answer.complete) == (sites, True)
    assert door.session.calls == (max(1, -(-sites // 50)) if has_meta else calls)


def test_a_list_that_repeats_itself_ends_and_is_not_complete(tigo: Any) -> None:
    door, _ = tigo(lambda _: (200, listed(*range(50), total=120)))
    answer = door.connector.list_sites(door.access)
    assert (len(answer.sites), answer.complete, door.session.calls) == (50, False, 2)


def test_the_traps_of_the_list(tigo: Any) -> None:
    body = listed(
        1, total=1, latitude="39.100000", longitude=999, turn_on_date="null", timezone="Mars/Base", zip=80000,
        power_rating=0, name="null", street=None, decommissioned="2026-01-01T00:00:00-08:00",
    )  # fmt: skip
    door, _ = tigo(lambda _: (200, body))
    (site,) = door.connector.list_sites(door.access).sites
    assert (site.latitude, site.longitude, site.installed_on, site.timezone) == (39.1, None, None, None)
    assert (site.address, site.peak_power_kw, site.name) == ({"postal_code": "80000"}, None, None)
    assert site.status is SiteStatus.INACTIVE


def test_the_details_know_the_zone_that_the_list_lacks(real: Any) -> None:
    door, emulator = real()
    for k, zone in ((1, "Europe/Berlin"), (3, "Asia/Kolkata")):
        (site,) = door.connector.fetch(door.access, "details", ref_of(emulator, k), TODAY).sites
        assert site.timezone == zone
    emulator.faults["no_timezone"] = 1.0
    (site,) = door.connector.fetch(door.access, "details", ref_of(emulator, 1), TODAY).sites
    assert site.timezone == "Europe/Berlin", "the gateway knows it too"


def test_a_healthy_site_is_normal_and_a_switched_off_one_is_not(real: Any) -> None:
    door, emulator = real()
    ref = ref_of(emulator)
    (site,) = door.connector.fetch(door.access, "details", ref, TODAY).sites
    assert (site.status, site.communication, site.production) == (
        SiteStatus.NORMAL, Communication.OK, Production.OK,
    )  # fmt: skip
    assert site.last_report_at is not None
    assert NOON - 300 < site.last_report_at <= NOON
    emulator.faults["pv_off"] = 1.0
    answer = door.connector.fetch(door.access, "details", ref, TODAY)
    assert (answer.sites[0].status, answer.sites[0].production) == (SiteStatus.WARNING, Production.NONE)
    assert [a.severity for a in answer.alerts if a.resolved_at is None] == [Severity.ERROR]
    devices = door.connector.fetch(door.access, "devices", ref, TODAY).devices
    assert [d.status for d in devices if d.device_type is DeviceType.GATEWAY] == [DeviceStatus.WARNING]


def view_of(system: Any = None, sources: Any = None, alerts: Any = None) -> Any:
    """Answers of the three calls that the details make."""
    bodies = {
        "/api/v3/systems/view": {"system": {"system_id": 1} | (system or {})},
        "/api/v3/sources/system": {"sources": sources if sources is not None else [source()]},
        "/api/v3/alerts/system": {"alerts": alerts or []},
        "/api/v3/alerts/types": {"alert_types": [{"unique_id": 77, "title": "Something new"}]},
    }
    return lambda asked: (200, bodies[asked.path])


def source(ago_s: int = 60, state: Any = "on") -> dict[str, Any]:
    return {"source_id": 9, "control_state": state, "last_checkin": zones.iso(NOON - ago_s)}


def alert(number: int = 5, code: int = 300, **more: Any) -> dict[str, Any]:
    return {"alert_id": number, "unique_id": code, "title": "T", "generated": "2026-06-01T09:00:00-07:00"} | more


GONE = {"decommissioned": "2026-01-01T00:00:00-08:00"}


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        (view_of(), SiteStatus.NORMAL),
        (view_of(sources=[]), SiteStatus.UNKNOWN),
        (view_of(sources=[source(state=1)]), SiteStatus.NORMAL),
        (view_of(sources=[source(3599)]), SiteStatus.NORMAL),
        (view_of(sources=[source(3601)]), SiteStatus.OFFLINE),
        (view_of(sources=[source(9000), source(60)]), SiteStatus.NORMAL),
        (view_of(sources=[source(), source(state="off")]), SiteStatus.WARNING),
        (view_of(sources=[source(9000)], alerts=[alert(code=106)]), SiteStatus.OFFLINE),
        (view_of(alerts=[alert(code=106)]), SiteStatus.FAULT),
        (view_of(alerts=[alert(code=1000)]), SiteStatus.FAULT),
        (view_of(alerts=[alert(code=300)]), SiteStatus.WARNING),
        (view_of(alerts=[alert(code=77)]), SiteStatus.WARNING),
        (view_of(alerts=[alert(code=106, archived=True)]), SiteStatus.NORMAL),
        (view_of(GONE, [source(9000)], [alert(code=106)]), SiteStatus.INACTIVE),
    ],
)
def test_a_sites_status_follows_from_its_sources_and_alerts(answers: Any, status: SiteStatus, tigo: Any) -> None:
    door, _ = tigo(answers)
    (site,) = door.connector.fetch(door.access, "details", site_ref(1), TODAY).sites
    assert site.status is status


# -- alerts ----------------------------------------------------------------------------------------------------------


def test_alerts_say_what_happened_in_words_and_types_are_asked_only_for_unknown_ones(tigo: Any) -> None:
    known = alert(message="String ID: \n- String A &amp; <b>B</b>", title="Tigo Alert: String Shutdown", code=106)
    door, server = tigo(view_of(alerts=[known]))
    answer = door.connector.fetch(door.access, "details", site_ref(1), TODAY)
    (found,) = answer.alerts
    assert answer.alerts_complete
    assert (found.vendor_alert_id, found.code, found.severity) == ("5", "106", Severity.ERROR)
    assert found.description == "Tigo Alert: String Shutdown. String ID: - String A & B"
    assert found.timestamp == instant("2026-06-01T16:00:00+00:00")
    assert "/api/v3/alerts/types" not in server.paths()
    door, server = tigo(view_of(alerts=[alert(code=77, title=None), alert(6, 12, title="System Not Reporting")]))
    new, silent = door.connector.fetch(door.access, "details", site_ref(1), TODAY).alerts
    assert (new.description, new.severity, new.silent) == ("Something new", Severity.WARNING, False)
    assert silent.silent
    assert server.paths().count("/api/v3/alerts/types") == 1


def test_an_archived_alert_is_over_and_pv_off_is_told_by_its_title(tigo: Any) -> None:
    over = alert(archived=True, added="2026-06-01T09:30:00-07:00")
    door, _ = tigo(view_of(alerts=[over, alert(6, 4711, title="Tigo Alert: System Shutdown", generated=None,
                                               added="2026-06-01T09:30:00-07:00")]))  # fmt: skip
    first, second = door.connector.fetch(door.access, "details", site_ref(1), TODAY).alerts
    assert first.resolved_at == instant("2026-06-01T16:30:00+00:00")
    assert (second.severity, second.timestamp) == (Severity.ERROR, first.resolved_at)


def test_alerts_under_a_capital_key_are_read_and_none_at_all_is_not_understood(tigo: Any) -> None:
    def answers(body: Any) -> Any:
        return lambda asked: (200, body) if asked.path.endswith("alerts/system") else view_of()(asked)

    door, _ = tigo(answers({"Alerts": [alert()]}))
    assert len(door.connector.fetch(door.access, "details", site_ref(1), TODAY).alerts) == 1
    door, _ = tigo(answers({}))
    with pytest.raises(Changed):
        door.connector.fetch(door.access, "details", site_ref(1), TODAY)


def test_alerts_that_go_on_for_ever_are_not_complete(tigo: Any) -> None:
    def answers(asked: Asked) -> Any:
        if not asked.path.endswith("alerts/system"):
            return view_of()(asked)
        first = 50 * int(dict(asked.query)["page"])
        return 200, {"alerts": [alert(first + n) for n in range(50)], "_meta": {"totalCount": 100_000}}

    door, _ = tigo(answers)
    answer = door.connector.fetch(door.access, "details", site_ref(1), TODAY)
    assert (len(answer.alerts), answer.alerts_complete, door.session.calls) == (250, False, 7)


def test_the_emulators_alerts_of_every_site_are_read(real: Any) -> None:
    door, emulator = real(faults={"string_shutdown": 1.0})
    for k in range(4):
        answer = door.connector.fetch(door.access, "details", ref_of(emulator, k), TODAY)
        assert answer.alerts_complete
        assert len(answer.alerts) == len(emulator.service.alerts(emulator.service.views()[k]))
        assert answer.sites[0].status is SiteStatus.FAULT


# -- devices ---------------------------------------------------------------------------------------------------------


def test_devices_are_those_of_the_layout_with_parents_and_places(real: Any) -> None:
    door, emulator = real()
    view = emulator.service.views()[0]
    answer = door.connector.fetch(door.access, "devices", ref_of(emulator), TODAY)
    assert answer.devices_complete
    by_id = {device.vendor_device_id: device for device in answer.devices}
    kinds = [device.device_type for device in answer.devices]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        DeviceType.OPTIMIZER: 12, DeviceType.STRING: 2, DeviceType.INVERTER: 1, DeviceType.GATEWAY: 1,
    }  # fmt: skip
    first = by_id[str(view.base + 1_000)]
    assert (first.serial_number, first.model, first.manufacturer, first.name) == (
        view.optimizer_serial(0), "TS4-A-O", "Tigo", "A1",
    )  # fmt: skip
    assert first.position == {"x": 100.0, "y": 0.0}
    assert first.rated_w == view.plan.panel_peak_w
    string = by_id[first.parent or ""]
    assert string.device_type is DeviceType.STRING
    inverter = by_id[string.parent or ""]
    assert (inverter.device_type, inverter.serial_number) == (DeviceType.INVERTER, view.inverter_serial(0))
    (gateway,) = (d for d in answer.devices if d.device_type is DeviceType.GATEWAY)
    assert (gateway.serial_number, gateway.firmware, gateway.status, gateway.vendor_device_id) == (
        view.source_serial(0), "4.0.1-ct", DeviceStatus.NORMAL, str(view.source_id(0)),
    )  # fmt: skip


def laid_out(inverters: Any, objects: Any = (), sources: Any = (), key: str = "system") -> Any:
    bodies = {
        "/api/v3/systems/layout": {key: {"system_id": 1, "inverters": inverters}},
        "/api/v3/objects/system": {"objects": list(objects)},
        "/api/v3/sources/system": {"sources": list(sources)},
    }
    return lambda asked: (200, bodies[asked.path])


def one_string(*panels: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    return [{"inverter_id": 11, "mppts": [{"strings": [{"string_id": 44, "panels": list(panels)} | more]}]}]


def test_what_has_no_object_keeps_its_own_number_and_numbers_that_meet_are_told_apart(tigo: Any) -> None:
    inverters = one_string({"panel_id": 55, "object_id": None}, {"panel_id": 56, "object_id": 9}, {"label": "lost"})
    door, _ = tigo(laid_out(inverters, [{"id": 9, "ui": []}], [{"source_id": 9}], key="systems"))
    answer = door.connector.fetch(door.access, "devices", site_ref(1), TODAY)
    assert [(d.vendor_device_id, d.device_type) for d in answer.devices] == [
        ("inverter:11", DeviceType.INVERTER),
        ("string:44", DeviceType.STRING),
        ("optimizer:55", DeviceType.OPTIMIZER),
        ("9", DeviceType.OPTIMIZER),
        ("gateway:9", DeviceType.GATEWAY),
    ]
    assert {d.parent for d in answer.devices if d.device_type is DeviceType.OPTIMIZER} == {"string:44"}


def test_a_layout_without_panels_retires_nothing(tigo: Any) -> None:
    for inverters in (None, [], one_string()):
        door, _ = tigo(laid_out(inverters))
        assert not door.connector.fetch(door.access, "devices", site_ref(1), TODAY).devices_complete


# -- tables ----------------------------------------------------------------------------------------------------------


def rows_of(text: str) -> list[tuple[str, dict[str, str]]]:
    found = read_table(Response(200, {}, text.encode(), "/x"), "x")
    return [(f"{row.local:%H:%M}", row.cells) for row in found]


def test_a_header_that_changes_midway_is_obeyed() -> None:
    """The example of section 2.8, and one that turns its columns round."""
    text = (
        "Datetime,102,103,104\n2026/10/05 12:00:00,312.5,310.8,\n2026/10/05 12:01:00,313.1,311,308.7\n"
        "Datetime,102,103\n2026/10/05 12:02:00,314,311.9\n"
        "DATETIME,103,102\r\n2026/10/05 12:03:00.000,1,2\r\n\r\n"
    )
    assert rows_of(text) == [
        ("12:00", {"102": "312.5", "103": "310.8", "104": ""}),
        ("12:01", {"102": "313.1", "103": "311", "104": "308.7"}),
        ("12:02", {"102": "314", "103": "311.9"}),
        ("12:03", {"103": "1", "102": "2"}),
    ]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", Unavailable),
        (b"\xff\xfe", Unavailable),
        (b"<html></html>", Changed),
        (b"{}", Changed),
        (b"2026/10/05 12:00:00,1\n", Changed),
        (b"Datetime,1\n2026/10/05,1\n", Changed),
        (b"Datetime,1\n2026/13/05 12:00:00,1\n", Changed),
        (b"Datetime,1\n0026/10/05 12:00:00,1\n", Changed),
        (b"Datetime,1\n2026/10/05 12:00:00,1,2\n", Changed),
        (b"Datetime,1\n2026/10/05 12:00:00\n", Changed),
    ],
)
def test_what_is_no_table_is_a_complaint(body: bytes, kind: type) -> None:
    with pytest.raises(kind):
        read_table(Response(200, {}, body, "/x"), "x")


def test_a_row_of_another_width_is_left_out_of_a_table_that_has_others() -> None:
    assert [at for at, _ in rows_of("Datetime,1\n2026/10/05 12:00:00,1,2\n2026/10/05 12:01:00,3\n")] == ["12:01"]


def test_nothing_missing_is_a_zero_and_no_future_is_taken(tigo: Any) -> None:
    cells = ["312.5", "", "NaN", "null", "-", "0", "-1.2", "7"]
    text = "DATETIME,whatever\n" + "".join(
        f"2026/06/01 12:{50 + n}:00.000,{cell}\n" for n, cell in enumerate(cells[:-1])
    ) + "2026/06/01 15:00:00.000,7\n"  # fmt: skip
    door, _ = tigo(lambda _: csv(text))
    answer = door.connector.fetch(door.access, "curve", site_ref(1), TODAY)
    first = instant("2026-06-01T12:50:00-05:00")
    assert by_key(answer.readings) == {
        ("", "dc_power_w", 60, first + 60 * n): value for n, value in ((0, 312.5), (5, 0.0), (6, -1.2))
    }
    assert answer.covered == TODAY


@pytest.mark.parametrize("cell", ["n/a", "1_000", "0x10", "1 2", "١", "12W", "inf"])
def test_a_cell_that_is_no_number_is_a_complaint(cell: str, tigo: Any) -> None:
    door, _ = tigo(lambda _: csv(f"DATETIME,1\n2026/06/01 12:00:00,{cell}\n"))
    with pytest.raises(Changed, match="the value"):
        door.connector.fetch(door.access, "curve", site_ref(1), TODAY)


@pytest.mark.parametrize("text", ["Datetime\n", "DATETIME\r\n", "Datetime,1\n"])
def test_a_header_alone_is_an_answer(text: str, tigo: Any) -> None:
    door, _ = tigo(lambda _: csv(text))
    answer = door.connector.fetch(door.access, "curve", site_ref(1), TODAY)
    assert (answer.readings, answer.covered) == ([], TODAY)


def test_two_columns_where_one_sum_was_asked_are_not_understood(tigo: Any) -> None:
    door, _ = tigo(lambda _: csv("DATETIME,1,2\n2026/06/01 12:00:00,3,4\n"))
    with pytest.raises(Changed, match="more than one column"):
        door.connector.fetch(door.access, "curve", site_ref(1), TODAY)


def test_local_time_is_asked_for_and_without_a_zone_nothing_is(tigo: Any) -> None:
    door, server = tigo(lambda _: csv("Datetime\n"))
    door.connector.fetch(door.access, "curve", site_ref(1), TODAY)
    assert dict(server.asked[0].query) == {
        "system_id": "1", "start": "2026-06-01T01:05:00", "end": "2026-06-01T13:04:59", "agg": "minute",
    }  # fmt: skip
    for resource in ("curve", "panels", "daily"):
        answer = door.connector.fetch(door.access, resource, site_ref(1, None), TODAY)
        assert (answer.readings, answer.covered) == ([], None)
    assert len(server.asked) == 1


def test_agg_is_tried_first_and_the_word_that_works_is_remembered(tigo: Any) -> None:
    def answers(asked: Asked) -> Any:
        return (400, {"message": "Unknown parameter: agg"}) if "agg" in dict(asked.query) else csv("Datetime\n")

    door, server = tigo(answers)
    for _ in range(3):
        door.connector.fetch(door.access, "curve", site_ref(1), TODAY)
    assert [next(name for name, _ in asked.query if name in {"agg", "level"}) for asked in server.asked] == [
        "agg", "level", "level", "level",
    ]  # fmt: skip
    assert door.memory["token"] == LOGGED_IN["token"]


def test_a_400_to_both_words_is_a_complaint_after_two_calls(tigo: Any) -> None:
    door, server = tigo(lambda _: (400, {"message": "The requested date range is too large."}))
    with pytest.raises(Changed, match="too large"):
        door.connector.fetch(door.access, "curve", site_ref(1), TODAY)
    assert len(server.asked) == 2


def test_level_works_with_the_emulator_too(real: Any) -> None:
    door, emulator = real(faults={"level_only": 1.0})
    assert door.connector.fetch(door.access, "curve", ref_of(emulator), TODAY).readings


@pytest.mark.parametrize("fault", ["header_change", "nan", "future", "dropout", "lag"])
def test_the_switches_of_the_tables_take_values_away_and_invent_none(fault: str, real: Any) -> None:
    door, emulator = real()
    ref = ref_of(emulator)
    whole = {r: by_key(door.connector.fetch(door.access, r, ref, TODAY).readings) for r in ("curve", "panels")}
    emulator.faults[fault] = 1.0
    for resource, true in whole.items():
        found = by_key(door.connector.fetch(door.access, resource, ref, TODAY).readings)
        assert found
        assert found.keys() <= true.keys()
        if fault != "dropout" or resource == "panels":
            assert {key: v for key, v in found.items() if true[key] != v} == {}
        assert (len(found) < len(true)) == (fault in {"nan", "lag"} or (fault == "dropout" and resource == "panels"))


def test_panels_are_always_asked_by_their_objects_and_by_short_level(real: Any, tigo: Any) -> None:
    inverters = one_string({"panel_id": 55, "object_id": 102}, {"panel_id": 56, "object_id": None})
    door, server = tigo(
        lambda asked: (
            csv("Datetime,102,999\n2026/06/01 12:00:00,3,4\n")
            if asked.path.endswith("aggregate")
            else laid_out(inverters)(asked)
        )
    )
    answer = door.connector.fetch(door.access, "panels", site_ref(1), TODAY)
    asked = dict(server.asked[-1].query)
    assert (asked["object_ids"], asked["level"], asked["param"], asked["header"]) == ("102", "min", "Pin", "id")
    assert [(r.vendor_device_id, r.value) for r in answer.readings] == [("102", 3.0)]
    assert len(answer.devices) == 4
    assert not answer.devices_complete


def test_a_site_without_panels_costs_no_table(tigo: Any) -> None:
    door, server = tigo(laid_out([]))
    assert door.connector.fetch(door.access, "panels", site_ref(1), TODAY).covered is None
    assert len(server.asked) == 1


def test_columns_of_nothing_that_was_asked_are_not_understood(tigo: Any) -> None:
    door, _ = tigo(
        lambda asked: (
            csv("Datetime,998,999\n2026/06/01 12:00:00,3,4\n")
            if asked.path.endswith("aggregate")
            else laid_out(one_string({"object_id": 102}))(asked)
        )
    )
    with pytest.raises(Changed):
        door.connector.fetch(door.access, "panels", site_ref(1), TODAY)


# -- time ------------------------------------------------------------------------------------------------------------


def instants(zone: str, *stamps: str) -> list[str]:
    text = "Datetime,1\n" + "".join(f"{stamp}:00,1\n" for stamp in stamps)
    tz = zones.zone(zone)
    assert tz is not None
    rows = read_table(Response(200, {}, text.encode(), "/x"), "x")
    return [zones.iso(at)[5:16] for at, _ in placed(rows, tz)]


def test_the_second_pass_of_a_repeated_hour_is_an_hour_later() -> None:
    stamps = ("2026/11/01 00:59", "2026/11/01 01:00", "2026/11/01 01:59", "2026/11/01 01:00", "2026/11/01 01:59",
              "2026/11/01 02:00")  # fmt: skip
    assert instants(CHICAGO, *stamps) == [
        "11-01T05:59", "11-01T06:00", "11-01T06:59", "11-01T07:00", "11-01T07:59", "11-01T08:00",
    ]  # fmt: skip
    assert instants("Australia/Lord_Howe", "2026/04/05 01:45", "2026/04/05 01:45") == ["04-04T14:45", "04-04T15:15"]


def test_a_time_that_spring_leaves_out_is_an_hour_later_and_gives_way_to_a_true_one() -> None:
    assert instants(CHICAGO, "2026/03/08 01:59", "2026/03/08 02:30", "2026/03/08 03:30") == [
        "03-08T08:30", "03-08T07:59", "03-08T08:30",
    ]  # fmt: skip


def test_days_are_stamped_by_date_at_local_midnight_and_the_running_one_is_left_out(tigo: Any) -> None:
    text = "Datetime,1\n" + "".join(f"2026/0{d} 00:00:00,{n}\n" for n, d in enumerate(("5/30", "5/31", "6/01"), 1))
    door, server = tigo(lambda _: csv(text))
    answer = door.connector.fetch(door.access, "daily", site_ref(1), Span(NOON - 2 * DAY_S, NOON))
    assert [(r.timestamp, r.value) for r in answer.readings] == [
        (instant("2026-05-30T00:00:00-05:00"), 1.0), (instant("2026-05-31T00:00:00-05:00"), 2.0),
    ]  # fmt: skip
    assert dict(server.asked[0].query)["end"] == "2026-05-31T23:59:59"


@pytest.mark.parametrize(
    ("body", "metrics"),
    [
        ({"lifetime_energy_dc": 9.5, "daily_energy_dc": 3, "updated_on": "2026-06-01T10:58:00.000-07:00"}, 2),
        ({"lifetime_energy_dc": 9.5, "daily_energy_dc": 3, "updated_on": "2026-05-31T10:58:00.000-07:00"}, 1),
        ({"lifetime_energy_dc": 9.5, "daily_energy_dc": 3, "updated_on": "2026-06-01T18:58:00.000-07:00"}, 0),
        ({"lifetime_energy_dc": None, "daily_energy_dc": 3, "updated_on": "2026-06-01T10:58:00.000-07:00"}, 1),
        ({"lifetime_energy_dc": 9.5, "daily_energy_dc": 3, "updated_on": None}, 0),
        ({"lifetime_energy_dc": 9.5, "daily_energy_dc": 3, "updated_on": "null"}, 0),
        ({}, 0),
    ],
)
def test_the_summary_counts_only_what_it_says_and_when(body: Any, metrics: int, tigo: Any) -> None:
    door, _ = tigo(lambda _: (200, {"summary": body}))
    readings = door.connector.fetch(door.access, "summary", site_ref(1), TODAY).readings
    assert len(readings) == metrics
    if metrics == 2:
        assert [(r.metric_name, r.interval_s, r.timestamp, r.value) for r in readings] == [
            ("dc_energy_lifetime_wh", 0, instant("2026-06-01T10:58:00-07:00"), 9.5),
            ("dc_energy_wh", DAY_S, instant("2026-06-01T00:00:00-05:00"), 3.0),
        ]


@pytest.mark.parametrize(("resource", "longest"), [("curve", 13 * DAY_S), ("panels", DAY_S), ("daily", 360 * DAY_S)])
def test_pieces_join_without_a_hole_and_are_within_what_the_vendor_takes(resource: str, longest: int) -> None:
    for length in (1, 59, longest - 1, longest, longest + 1, 3 * longest + 7):
        pieces = CONNECTOR.chunks(resource, Span(NOON, NOON + length))
        assert pieces[0].end == NOON + length
        assert pieces[-1].start == NOON
        assert all(later.start == earlier.end for later, earlier in pairwise(pieces))
        assert all(0 < piece.end - piece.start <= longest for piece in pieces)


@pytest.mark.parametrize(("resource", "length"), [("curve", 13 * DAY_S), ("daily", 360 * DAY_S), ("panels", DAY_S)])
def test_the_longest_piece_is_taken_by_the_emulator(resource: str, length: int, real: Any) -> None:
    door, emulator = real()
    span = Span(NOON - length, NOON)
    assert door.connector.fetch(door.access, resource, ref_of(emulator), span).readings


def test_a_resource_that_there_is_not_is_a_mistake_of_ours(tigo: Any) -> None:
    door, _ = tigo(lambda _: (200, {}))
    with pytest.raises(ValueError, match="no resource"):
        door.connector.fetch(door.access, "roof", site_ref(1), TODAY)


# -- the page's own examples -----------------------------------------------------------------------------------------

PAGE_SYSTEM = {
    "system_id": 424201, "created": "2023-05-16T20:50:45+00:00", "name": "Example Barn", "external_id": None,
    "street": "1 Example Way", "city": "Exampletown", "state": "CO", "zip": "80000", "country": "United States",
    "country_code": "US", "latitude": "39.100000", "longitude": "-105.200000", "timezone": "America/Denver",
    "turn_on_date": "2023-06-01", "power_rating": 12400, "power_rating_ac": 10000,
    "commissioned": "2023-06-02T00:00:00-07:00", "decommissioned": None, "status": "Active",
    "has_monitored_modules": True, "recent_alerts_count": 0, "company": "Example Solar",
    "contact_name": "Site Contact",
}  # fmt: skip
PAGE_META = {"totalCount": 1, "pageCount": 1, "currentPage": 1, "perPage": 50}
PAGE_SOURCE = {
    "source_id": 9101, "name": "Primary CCA", "serial": "EXAMPLE-CCA-MAC", "gateway_count": 1,
    "created_on": "2023-05-29T16:19:26-07:00", "control_state": "on", "last_checkin": "2026-10-05T15:34:33-07:00",
    "timezone": "America/Denver", "sw_version": "4.0.1-ct",
    "sets": [{"set_name": "panels_avg", "last_raw": "2026-10-05T15:20:00-07:00",
              "last_min": "2026-10-05T15:28:00-07:00", "last_day": "2026-10-04T00:00:00-07:00"}],
    "system_id": 424201, "object_id": 999, "panel_count": 30, "unit_type_id": 8, "is_discovery_complete": True,
}  # fmt: skip
PAGE_ALERT = {
    "alert_id": 5501, "added": "2026-10-05T09:09:05-07:00", "generated": "2026-10-05T09:08:20-07:00",
    "system_id": 424201, "unique_id": 106, "title": "Tigo Alert: String Shutdown",
    "message": "String ID: \n- String A (2026-10-05 08:22, 2026-10-05 08:42)", "description": "<p>Example.</p>",
    "archived": False,
}  # fmt: skip
PAGE_INVERTER = {
    "inverter_id": 11, "inverter_type_id": 22, "label": "Inverter 1", "object_id": 100, "source_id": 9101,
    "inverter_serial": "EXAMPLE-INV-1",
    "mppts": [{"mppt_id": 33, "label": "MPPT 1", "strings": [
        {"string_id": 44, "label": "String A", "short_label": "A", "object_id": 101, "panels": [
            {"panel_id": 55, "label": "A1", "short_label": 1, "serial": "EXAMPLE-OPT-A1", "type": "TS4-A-O",
             "source_id": 9101, "object_id": 102, "panel_type_id": 66}]}]}],
}  # fmt: skip
PAGE = {
    "/api/v3/systems": {"systems": [PAGE_SYSTEM], "_meta": PAGE_META},
    "/api/v3/systems/view": {"system": PAGE_SYSTEM},
    "/api/v3/systems/layout": {"system": {"system_id": 424201, "inverters": [PAGE_INVERTER]}},
    "/api/v3/objects/system": {"objects": [{"id": 102, "label": "A1", "object_type_id": 2, "parent_id": 101,
                                            "datasource": "EXAMPLE.panels.A1", "children": [],
                                            "ui": {"X": 12, "Y": "7.5", "MP": 400}}]},
    "/api/v3/sources/system": {"sources": [PAGE_SOURCE]},
    "/api/v3/data/summary": {"summary": {
        "lifetime_energy_dc": 18607879.27, "ytd_energy_dc": 4114728.35, "daily_energy_dc": 35120.4,
        "last_power_dc": 3105, "updated_on": "2026-10-05T15:28:00.000-07:00"}},
    "/api/v3/alerts/system": {"alerts": [PAGE_ALERT], "_meta": PAGE_META},
}  # fmt: skip


def test_the_pages_examples_are_read_as_it_says(tigo: Any, clock: Hands) -> None:
    clock.now = instant("2026-10-05T15:40:00-07:00")
    table = "DATETIME,1\n2026/10/05 12:00:00.000,3120\n2026/10/05 12:01:00.000,3131.5\n"
    memory = LOGGED_IN | {"expires_at": str(NOON + 400 * DAY_S)}
    door, _ = tigo(
        lambda asked: csv(table) if asked.path.endswith("combined") else (200, PAGE[asked.path]), memory=memory
    )
    ref = site_ref(424201, "America/Denver")
    today = Span(int(clock.now) - 12 * 3600, int(clock.now))
    (listed_site,) = door.connector.list_sites(door.access).sites
    assert (listed_site.vendor_site_id, listed_site.peak_power_kw, listed_site.installed_on) == (
        "424201", 12.4, "2023-06-01",
    )  # fmt: skip
    details = door.connector.fetch(door.access, "details", ref, today)
    assert details.sites[0].status is SiteStatus.FAULT
    assert details.sites[0].last_report_at == instant("2026-10-05T22:34:33+00:00")
    assert details.alerts[0].vendor_alert_id == "5501"
    devices = {d.vendor_device_id: d for d in door.connector.fetch(door.access, "devices", ref, today).devices}
    assert {key: d.parent for key, d in devices.items()} == {"100": None, "101": "100", "102": "101", "9101": None}
    assert (devices["102"].position, devices["102"].rated_w) == ({"x": 12.0, "y": 7.5}, 400.0)
    noon = instant("2026-10-05T12:00:00-06:00")
    curve = door.connector.fetch(door.access, "curve", ref, today)
    assert [(r.timestamp, r.value) for r in curve.readings] == [(noon, 3120.0), (noon + 60, 3131.5)]
    summary = door.connector.fetch(door.access, "summary", ref, today)
    assert [(r.metric_name, r.timestamp, r.value) for r in summary.readings] == [
        ("dc_energy_lifetime_wh", instant("2026-10-05T22:28:00+00:00"), 18607879.27),
        ("dc_energy_wh", instant("2026-10-05T00:00:00-06:00"), 35120.4),
    ]
