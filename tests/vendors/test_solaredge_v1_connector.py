"""SolarEdge V1, the retired interface: keys in the query, local times, refusals, DST nights (Appendix A)."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import logging
import traceback
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from test_vendor_truth import AFTERNOONS, assert_equal, read
from vendor_doors import NOON, Asked, Door, Hands, Scripted, by_key, instant, site_ref, told

from sungaze.emulators import Emulator, World, serve
from sungaze.emulators._solaredge_site import site_id_of
from sungaze.errors import Changed, NeedsReconnect, NotEntitled, QuotaSpent, Unavailable, VendorError
from sungaze.model import DAY_S, DeviceType, SiteStatus, Span
from sungaze.vendors import _session
from sungaze.vendors._contract import Exchange, Response, Seen, reader_of
from sungaze.vendors._solaredge_v1 import local_instants, unambiguous
from sungaze.vendors.solaredge import READERS, VENDOR

KEY = "KEY+4711/INVENTED=&"
CHICAGO = "America/Chicago"
MIDNIGHT = instant("2026-06-01T00:00:00-05:00")
TODAY = Span(NOON - 12 * 3600, NOON)
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
PER_SITE = [resource.id for resource in VENDOR.resources if resource.per_site]
IN_BULK = [resource.id for resource in VENDOR.resources if resource.settles]


@pytest.fixture(scope="module")
def whole(one_clock: Hands) -> World:
    """The shared world, but that its fifth site lies where the clocks move by half an hour."""
    world = World(seed=1, sites=5, panels=12)
    plan = world.site("solaredge", 4)
    begun = int(dt.datetime.combine(plan.installed_on, dt.time(), LORD_HOWE).timestamp())
    world._plans["solaredge", 4] = dataclasses.replace(
        plan, zone=LORD_HOWE, town=plan.town._replace(zone="Australia/Lord_Howe", latitude=-31.55, longitude=159.08),
        latitude=-31.55, longitude=159.08, installed_at=begun,
    )  # fmt: skip
    return world


@pytest.fixture(scope="module")
def served(whole: World, one_clock: Hands) -> Iterator[Emulator]:
    with serve("solaredge", whole, dialect="v1", now=one_clock) as emulator:
        yield emulator


@pytest.fixture
def emulator(served: Emulator, clock: Hands) -> Emulator:
    served.requests.clear()
    served.faults.clear()
    served.service.begin_anew()  # type: ignore[attr-defined]  # V1's own
    return served


@pytest.fixture
def door(emulator: Emulator, clock: Hands, opened: Any) -> Door:
    return opened(Door("solaredge", emulator.base_url, emulator.credentials, clock, method="v1"))


@pytest.fixture
def asked(script: Any, opened: Any, clock: Hands) -> Any:
    """A door to a scripted V1 and the server behind it."""

    def begin(answers: Any, **options: Any) -> tuple[Door, Scripted]:
        server = script(answers)
        return opened(Door("solaredge", server.url, {"api_key": KEY}, clock, method="v1", **options)), server

    return begin


def refs(whole: World) -> list[Any]:
    return [site_ref(site_id_of(plan), plan.town.zone) for plan in whole.fleet("solaredge")]


def series(rows: Any, unit: str = "W", time_unit: str = "QUARTER_OF_AN_HOUR", name: str = "power") -> dict[str, Any]:
    values = [{"date": stamp, "value": value} for stamp, value in rows]
    return {name: {"timeUnit": time_unit, "unit": unit, "measuredBy": "INVERTER", "values": values}}


def fetched(asked: Any, body: Any, resource: str = "power", span: Span = TODAY, zone: str | None = CHICAGO) -> Any:
    door, server = asked(lambda _: (200, body))
    return door.connector.fetch(door.access, resource, site_ref(1, zone), span), server


# -- declared --------------------------------------------------------------------------------------------------------


def test_the_way_in_says_that_it_is_over_and_asks_for_a_key() -> None:
    method, plan = VENDOR.method("v1"), VENDOR.plan("v1")
    assert method is not None
    assert plan is not None
    assert VENDOR.methods[0].id != "v1", "nobody is led here unasked"
    assert "off on 3 November 2026" in method.about
    assert [field.name for field in method.fields] == ["api_key"]
    assert ([(limit.window, limit.limit) for limit in plan.limits], plan.concurrent) == ([("day", 300)], 3)


# -- the key ---------------------------------------------------------------------------------------------------------


def test_the_key_goes_in_the_query_and_in_no_header(asked: Any) -> None:
    door, server = asked(lambda _: (200, {"sites": {"count": 0, "site": []}}))
    door.connector.list_sites(door.access)
    assert ("api_key", KEY) in server.asked[0].query
    assert not [value for value in server.asked[0].headers.values() if KEY in value]


ECHOES = [
    (status, body)
    for status in (200, 400, 401, 403, 404, 410, 429, 500)
    for body in (
        {"detail": f"no such call: /sites/list?api_key={KEY}"},
        {"message": f"GET /sites/list?api_key={quote(KEY, safe='')}"},
        f"<html>{KEY}</html>".encode(),
        [KEY],
        {"sites": {"count": KEY, "site": KEY}},
    )
]


@pytest.mark.parametrize(("status", "body"), ECHOES)
def test_no_error_response_or_log_ever_holds_the_key(status: int, body: Any, asked: Any, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    door, _ = asked(lambda _: (status, body))
    with pytest.raises(VendorError) as caught:
        door.connector.probe(door.access)
    said = told(caught.value) + caplog.text + repr(door.access)
    assert "/sites/list" in caplog.text
    assert KEY not in said
    assert quote(KEY, safe="") not in said
    assert "4711" not in said


def test_no_error_of_the_network_holds_the_key(asked: Any, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    door, _ = asked(lambda _: lambda wire: wire.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx"))
    with pytest.raises(VendorError) as caught:
        door.connector.probe(door.access)
    assert "4711" not in "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value)) + caplog.text


def test_a_wrong_key_is_told_and_costs_one_call(emulator: Emulator, clock: Hands, opened: Any) -> None:
    door = opened(Door("solaredge", emulator.base_url, {"api_key": "wrong"}, clock, method="v1"))
    with pytest.raises(NeedsReconnect, match=r"refuses this key.*V2 key in the developer console.*History is kept"):
        door.connector.probe(door.access)
    assert door.session.calls == 1


# -- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["list", "probe", *PER_SITE, *IN_BULK])
def test_the_shutdown_says_what_happened_how_to_go_on_and_that_history_is_kept(
    resource: str, emulator: Emulator, door: Door, whole: World
) -> None:
    emulator.faults["gone"] = 1.0
    with pytest.raises(NeedsReconnect) as caught:
        look(door, resource, refs(whole)[0])
    for words in ("3 November 2026", "V2 key", "developer console", "Fleet key", "history is kept"):
        assert words in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"<html>Sign up</html>", {"detail": "gone"}, [1]])
def test_a_410_is_the_shutdown_whatever_its_body(body: Any, asked: Any) -> None:
    door, _ = asked(lambda _: (410, body))
    with pytest.raises(NeedsReconnect, match="3 November 2026"):
        door.connector.list_sites(door.access)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>sign in</html>", Changed),
        (200, {}, Changed),
        (200, {"sites": None}, Changed),
        (200, b'{"sites": {"site"', Unavailable),
        (204, b"", Changed),
        (302, b"", Changed),
        (400, {"detail": "startTime"}, Changed),
        (401, b"", NeedsReconnect),
        (403, {"detail": "not yours"}, NotEntitled),
        (403, b"<html>Attention</html>", Unavailable),
        (404, {"detail": "Unknown endpoint"}, Changed),
        (404, b"[" * 100_000, Changed),
        (429, b"", QuotaSpent),
        (500, {"detail": "An unexpected error occurred"}, Unavailable),
        (503, b"<html>busy</html>", Unavailable),
    ],
)
def test_every_shape_of_a_refusal_ends_in_its_error(status: int, body: Any, kind: type, asked: Any) -> None:
    door, _ = asked(lambda _: (status, body))
    with pytest.raises(kind):
        door.connector.list_sites(door.access)


@pytest.mark.parametrize(("headers", "until"), [({}, NOON + 900), ({"Retry-After": "60"}, NOON + 60)])
def test_after_a_429_it_is_asked_again_in_a_quarter_of_an_hour(headers: Any, until: float, asked: Any) -> None:
    door, _ = asked(lambda _: (429, {}, headers))
    with pytest.raises(QuotaSpent, match="300 a day for each key and each site") as caught:
        door.connector.list_sites(door.access)
    assert caught.value.until == until


@pytest.mark.parametrize("spent", ["key", "site"])
def test_the_day_of_a_key_and_of_a_site_is_spent_for_itself(
    spent: str, emulator: Emulator, door: Door, whole: World, clock: Hands
) -> None:
    first, second = refs(whole)[:2]
    name = emulator.credentials["api_key"] if spent == "key" else first.vendor_site_id
    emulator.service.days.preset(name, 299)  # type: ignore[attr-defined]  # V1's own
    look(door, "power", first)
    with pytest.raises(QuotaSpent):
        look(door, "power", first)
    if spent == "site":
        assert look(door, "power", second).readings, "another site has its own"
    clock.now += DAY_S
    assert look(door, "power", first).covered


@pytest.mark.parametrize(("k", "kind"), [(6, NotEntitled), (99, Changed)])
def test_a_site_that_is_not_ours_or_not_there(k: int, kind: type, door: Door, whole: World) -> None:
    with pytest.raises(kind):
        look(door, "details", site_ref(site_id_of(whole.site("solaredge", k))))


def look(door: Door, resource: str, ref: Any) -> Any:
    if resource == "probe":
        return door.connector.probe(door.access)
    if resource == "list":
        return door.connector.list_sites(door.access)
    if resource in IN_BULK:
        return door.connector.fetch_account(door.access, resource, [ref], TODAY)
    return door.connector.fetch(door.access, resource, ref, TODAY)


FAULTS = {
    "html": (Changed, Unavailable), "truncated": (Unavailable,), "huge": (Unavailable,), "slow": (Unavailable,),
    "shape": (Changed,), "500": (Unavailable,), "429": (QuotaSpent,), "late": (), "nulls": (),
    "unauthorized": (NeedsReconnect,), "gone": (NeedsReconnect,),
}  # fmt: skip


EVERY_LOOK = ["list", "probe", *PER_SITE, *IN_BULK]
# These two end at the session, before any reader, and take their time.
TRIED = [(f, r) for f in FAULTS for r in (["list", "power"] if f in {"huge", "slow"} else EVERY_LOOK)]


@pytest.mark.parametrize(("fault", "resource"), TRIED)
def test_every_fault_ends_in_its_error_and_is_over_when_it_is_over(
    fault: str, resource: str, emulator: Emulator, door: Door, whole: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_session, "TOTAL_S", 0.5 if fault == "slow" else 25.0)
    emulator.faults[fault] = 1.0
    site = refs(whole)[0]
    for _ in range(2):
        if FAULTS[fault]:
            with pytest.raises(FAULTS[fault]):
                look(door, resource, site)
        else:
            look(door, resource, site)
    monkeypatch.undo()
    emulator.faults.clear()
    answer = look(door, resource, site)
    assert answer.sites or answer.devices or answer.readings or answer.site_answers


def test_every_fault_is_tried() -> None:
    service = serve("solaredge", World(sites=1, panels=1), dialect="v1")
    with service as emulator:
        assert set(FAULTS) == set(emulator.faults.known)


# -- lists and facts -------------------------------------------------------------------------------------------------


def test_the_list_tells_names_places_zones_and_peaks(door: Door, whole: World) -> None:
    answer = door.connector.list_sites(door.access)
    assert answer.complete
    assert [(s.vendor_site_id, s.name, s.peak_power_kw, s.timezone, s.installed_on) for s in answer.sites] == [
        (str(site_id_of(p)), p.name, round(p.peak_w / 1000, 3), p.town.zone, p.installed_on.isoformat())
        for p in whole.fleet("solaredge")
    ]
    assert {site.status for site in answer.sites} == {SiteStatus.NORMAL}
    assert all(site.address and site.address["street"] for site in answer.sites)
    assert {site.last_report_at for site in answer.sites} == {None}, "a date is no moment"


def test_the_probe_costs_one_page_and_says_that_the_interface_is_over(door: Door) -> None:
    seen = door.connector.probe(door.access)
    assert (len(seen.sites), seen.total, seen.panels) == (5, 5, False)
    assert any("3 November 2026" in note for note in seen.notes)
    assert door.journal == ["spend"]


@pytest.mark.parametrize(("sites", "calls"), [(0, 1), (1, 1), (99, 1), (100, 2), (101, 2), (250, 3)])
@pytest.mark.parametrize("wrapper", ["sites", "list"])
def test_the_list_is_paged_under_either_wrapper(sites: int, calls: int, wrapper: str, asked: Any) -> None:
    def answers(request: Asked) -> Any:
        query = dict(request.query)
        first = int(query["startIndex"])
        assert (query["size"], query["status"]) == ("100", "All")
        rows = [{"id": n} for n in range(first, min(sites, first + 100))]
        return 200, {wrapper: {"count": sites, "site": rows}}

    door, _ = asked(answers)
    answer = door.connector.list_sites(door.access)
    assert (len(answer.sites), answer.complete, door.session.calls) == (sites, True, calls)


@pytest.mark.parametrize(
    ("pages", "count", "seen", "complete"),
    [
        ([range(40), range(40, 80), range(80, 90), []], 10**9, 90, True),
        ([range(40)], 10**400, 40, True),
        ([range(40), range(40, 80), range(80, 90)], 90, 90, True),
        ([range(40), []], 41, 40, True),
        ([range(100)] * 3, 300, 100, False),
        ([range(40)], None, 40, True),
    ],
)
def test_a_count_is_neither_believed_nor_ignored(pages: Any, count: Any, seen: int, complete: bool, asked: Any) -> None:
    left = iter(pages)
    door, _ = asked(lambda _: (200, {"sites": {"count": count, "site": [{"id": n} for n in next(left)]}}))
    answer = door.connector.list_sites(door.access)
    assert (len(answer.sites), answer.complete) == (seen, complete)


def test_the_details_and_the_overview_tell_the_zone_and_the_last_word(door: Door, whole: World) -> None:
    for k, ref in enumerate(refs(whole)):
        (found,) = look(door, "details", ref).sites
        plan = whole.site("solaredge", k)
        assert (found.vendor_site_id, found.timezone) == (ref.vendor_site_id, plan.town.zone)
        assert found.last_report_at == NOON // 900 * 900 + 90 - 900 * (NOON % 900 < 90)


@pytest.mark.parametrize(
    "second", [(500, {}), (404, {"detail": "gone"}), (403, {}), (200, {"overview": 5}), (200, b"<html></html>")]
)
def test_a_failing_overview_does_not_cost_the_zone(second: Any, asked: Any) -> None:
    details = {"details": {"id": 7, "location": {"timeZone": CHICAGO}}}
    door, _ = asked(lambda request: (200, details) if request.path.endswith("details") else second)
    (found,) = look(door, "details", site_ref(7, None)).sites
    assert (found.timezone, found.last_report_at) == (CHICAGO, None)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("2026-06-01 13:01:30", instant("2026-06-01T13:01:30-05:00")),
        ("2026-11-01 01:30:00", instant("2026-11-01T01:30:00-05:00")),
        ("2026-03-08 02:30:00", None),
        ("2026-06-01", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_the_last_report_is_a_moment_or_nothing(text: Any, seen: int | None, asked: Any) -> None:
    details = {"details": {"id": 7, "location": {"timeZone": CHICAGO}}}
    overview = {"overview": {"lastUpdateTime": text}}
    door, _ = asked(lambda request: (200, details if request.path.endswith("details") else overview))
    assert look(door, "details", site_ref(7)).sites[0].last_report_at == seen


@pytest.mark.parametrize(
    ("field", "value", "name", "known"),
    [
        ("peakPower", 0, "peak_power_kw", None),
        ("peakPower", -1, "peak_power_kw", None),
        ("peakPower", 10**400, "peak_power_kw", None),
        ("peakPower", 4.5, "peak_power_kw", 4.5),
        ("installationDate", "soon", "installed_on", None),
        ("location", None, "timezone", None),
        ("location", {"timeZone": "Mars/Olympus"}, "timezone", None),
        ("location", {"city": ""}, "address", None),
        ("status", "Active", "status", SiteStatus.NORMAL),
        ("status", "pending", "status", SiteStatus.PENDING),
        ("status", "Disabled", "status", SiteStatus.INACTIVE),
        ("status", None, "status", None),
    ],
)
def test_a_fact_is_one_of_ours_or_not_known(field: str, value: Any, name: str, known: Any, asked: Any) -> None:
    door, _ = asked(lambda _: (200, {"sites": {"site": [{"id": 1, field: value}]}}))
    assert getattr(door.connector.list_sites(door.access).sites[0], name) == known


@pytest.mark.parametrize("number", ["", " ", None, True, 1.5, {}])
def test_a_site_without_a_number_is_told(number: Any, asked: Any) -> None:
    door, _ = asked(lambda _: (200, {"sites": {"site": [{"id": number}]}}))
    with pytest.raises(Changed):
        door.connector.list_sites(door.access)


def test_an_id_that_is_no_number_stays_one_piece_of_the_path(asked: Any) -> None:
    door, server = asked(lambda _: (404, {}))
    with pytest.raises(Changed):
        look(door, "power", site_ref("../x?y#"))
    assert server.asked[0].target.startswith("/site/..%2Fx%3Fy%23/power?api_key=")


def test_the_look_at_alerts_costs_nothing(asked: Any) -> None:
    door, server = asked(lambda _: (500, {}))
    answer = door.connector.fetch_account(door.access, "alerts", [], TODAY)
    assert (answer.site_alerts, answer.alerts_complete, server.asked) == (None, False, [])


def test_a_resource_that_nobody_declared_is_a_mistake(asked: Any) -> None:
    door, _ = asked(lambda _: (200, {}))
    with pytest.raises(ValueError, match="no resource"):
        look(door, "panels", site_ref(1))
    with pytest.raises(ValueError, match="no resource"):
        door.connector.fetch_account(door.access, "panels", [], TODAY)


# -- devices ---------------------------------------------------------------------------------------------------------


def test_an_inventory_is_read_under_either_name_of_a_serial(asked: Any) -> None:
    inverters = [{"SN": "7F-1", "name": "Inverter 1", "model": "SE10000H", "cpuVersion": "4.22"},
                 {"serialNumber": "7F-2"}, {"name": "Inverter 3"}, {"name": "Inverter 3"}]  # fmt: skip
    meters = [{"SN": "7F-1", "connectedSolaredgeDeviceSN": "7F-2"}]
    parts = {"inverters": inverters, "meters": meters, "batteries": [{"SN": "B"}], "gateways": [{}], "sensors": [{}]}
    answer, server = fetched(asked, {"Inventory": parts}, "devices")
    assert server.paths() == ["/site/1/inventory"]
    assert [(d.vendor_device_id, d.device_type, d.parent) for d in answer.devices] == [
        ("7F-1", DeviceType.INVERTER, None),
        ("7F-2", DeviceType.INVERTER, None),
        ("INVERTER:Inverter 3", DeviceType.INVERTER, None),
        ("INVERTER:INVERTER:Inverter 3:3", DeviceType.INVERTER, None),
        ("METER:7F-1:0", DeviceType.METER, "7F-2"),
        ("B", DeviceType.BATTERY, None),
        ("GATEWAY:", DeviceType.GATEWAY, None),
        ("SENSOR:", DeviceType.OTHER, None),
    ]
    assert (answer.devices[0].firmware, answer.devices_complete) == ("4.22", True)


def test_an_empty_inventory_retires_nothing(asked: Any) -> None:
    answer, _ = fetched(asked, {"Inventory": {}}, "devices")
    assert (answer.devices, answer.devices_complete) == ([], False)


def test_every_inverter_of_the_emulator_is_found(door: Door, whole: World) -> None:
    for k, ref in enumerate(refs(whole)):
        kinds = [d.device_type for d in look(door, "devices", ref).devices]
        assert kinds.count(DeviceType.INVERTER) == len(whole.site("solaredge", k).limit_w)


# -- series ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resource", ["power", "energy"])
@pytest.mark.parametrize("zone", [None, "Mars/Olympus"])
def test_without_a_zone_nothing_is_asked_and_nothing_read(resource: str, zone: str | None, asked: Any) -> None:
    answer, server = fetched(asked, {}, resource, zone=zone)
    assert (answer.readings, answer.covered, server.asked) == ([], None, [])


@pytest.mark.parametrize(
    ("span", "window"),
    [
        (Span(NOON - 12 * 3600, NOON), ("2026-06-01 01:00:00", "2026-06-01 13:00:00")),
        (Span(NOON - 13 * 3600, NOON), ("2026-06-01 00:00:00", "2026-06-01 12:00:00")),
        (Span(NOON - 3601, NOON - 1799), ("2026-06-01 12:00:00", "2026-06-01 12:45:00")),
        (Span(NOON - 300, NOON + 3600), None),
    ],
)
def test_power_is_asked_on_quarter_hours_of_site_time(span: Span, window: Any, asked: Any) -> None:
    answer, server = fetched(asked, series([]), span=span)
    if window is None:
        assert (server.asked, answer.covered) == ([], None)
        return
    query = dict(server.asked[0].query)
    assert (query["startTime"], query["endTime"]) == window
    assert answer.covered == Span(*(instant(f"{stamp}-05:00") for stamp in window))


@pytest.mark.parametrize(
    ("span", "days"),
    [
        (Span(NOON - DAY_S, NOON), ("2026-05-31", "2026-06-01")),
        (Span(MIDNIGHT - 2 * DAY_S, MIDNIGHT), ("2026-05-30", "2026-05-31")),
        (Span(NOON - 400 * DAY_S, NOON), ("2026-05-05", "2026-06-01")),
    ],
)
def test_days_are_asked_whole_and_never_more_than_28(span: Span, days: Any, asked: Any) -> None:
    answer, server = fetched(asked, series([], "Wh", "DAY", "energy"), "energy", span)
    query = dict(server.asked[0].query)
    assert (query["startDate"], query["endDate"], query["timeUnit"]) == (*days, "DAY")
    assert answer.covered.start == instant(f"{days[0]}T00:00:00-05:00")


def test_null_is_missing_and_zero_is_measured(asked: Any) -> None:
    rows = [("2026-06-01 05:30:00", None), ("2026-06-01 05:45:00", 0.0), ("2026-06-01 06:00:00", 212.5)]
    body = series(rows)
    del body["power"]["values"][0]["value"]
    answer, _ = fetched(asked, body)
    begin = instant("2026-06-01T05:45:00-05:00")
    assert by_key(answer.readings) == {("", "ac_power_w", 900, begin): 0.0, ("", "ac_power_w", 900, begin + 900): 212.5}


def test_the_running_quarter_is_left_out_though_it_has_a_value(asked: Any) -> None:
    answer, _ = fetched(asked, series([("2026-06-01 12:45:00", 5), ("2026-06-01 13:00:00", 6)]))
    assert [r.value for r in answer.readings] == [5.0]


def test_a_time_that_comes_again_on_a_usual_day_is_taken_once(asked: Any) -> None:
    answer, _ = fetched(asked, series([("2026-06-01 12:30:00", 5), ("2026-06-01 12:30:00", 6)]))
    assert [r.value for r in answer.readings] == [5.0]
    days = [("2026-05-31 00:00:00", 1), ("2026-05-31", 2), ("2026-06-01", 3)]
    answer, _ = fetched(asked, series(days, "kWh", "DAY", "energy"), "energy", Span(MIDNIGHT - DAY_S, NOON))
    assert by_key(answer.readings) == {
        ("", "energy_wh", DAY_S, MIDNIGHT - DAY_S): 1000.0,
        ("", "energy_wh", DAY_S, MIDNIGHT): 3000.0,
    }


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (series([("2026-06-01 12:00:00", 1)], "HORSEPOWER"), "unit"),
        (series([], time_unit="HOUR"), "timeUnit"),
        (series([("2026-06-01T12:00:00", 1)]), "date"),
        (series([("2026-06-01", 1)]), "date"),
        (series([("0001-01-01 00:00:00", 1)]), "date"),
        (series([("9999-12-31 23:59:59", 1)]), "date"),
        (series([("yesterday", 1)]), "date"),
    ],
)
def test_a_series_in_other_words_is_changed_and_says_where(body: Any, where: str, asked: Any) -> None:
    with pytest.raises(Changed) as caught:
        fetched(asked, body)
    assert caught.value.where == where


def test_a_value_beyond_any_scale_is_left_to_the_quarantine(asked: Any) -> None:
    answer, _ = fetched(asked, series([("2026-06-01 12:00:00", 10**400), ("2026-06-01 12:15:00", -(10**400))]))
    assert [r.value for r in answer.readings] == [float("inf"), float("-inf")]


# -- truth and DST ---------------------------------------------------------------------------------------------------


def truth(emulator: Emulator, whole: World, k: int, span: Span, metric: str, interval_s: int) -> Any:
    return {
        ("", row.metric, row.interval_s, row.start): row.value
        for row in emulator.service.truth(whole, k, span.start, span.end)
        if (row.device_id, row.metric, row.interval_s) == ("", metric, interval_s)
    }


@pytest.mark.parametrize(("k", "now"), AFTERNOONS)
def test_the_last_48_hours_and_30_days_are_as_they_were(
    k: int, now: str, emulator: Emulator, door: Door, whole: World, clock: Hands
) -> None:
    clock.now = instant(now)
    ref, view = refs(whole)[k], emulator.service.views()[k]  # type: ignore[attr-defined]  # SolarEdge's own
    span = Span(int(clock.now) // 900 * 900 - 2 * DAY_S, int(clock.now))
    true = truth(emulator, whole, k, Span(span.start, view.closed_until), "ac_power_w", 900)
    assert_equal(read(door, "power", ref, span), true, 0.0001)
    today = view.plan.midnight(view.plan.local_date(clock.now))
    month = Span(view.plan.midnight(view.plan.local_date(today - 30 * DAY_S)), today)
    true = truth(emulator, whole, k, month, "energy_wh", DAY_S)
    found = read(door, "energy", ref, month)
    if view.closed_until < today:
        newest = max(true)
        assert 0 < found.pop(newest, 1.0) <= true.pop(newest) + 1
    assert_equal(found, true, 0.0001)


def shifts(zone: ZoneInfo, year: int) -> list[int]:
    """The instants of a year at which the clocks of a zone move."""
    begin, end = (int(dt.datetime(y, 1, 1, tzinfo=dt.UTC).timestamp()) for y in (year, year + 1))
    offsets = {at: dt.datetime.fromtimestamp(at, zone).utcoffset() for at in range(begin, end, 1800)}
    return [at for at in offsets if at - 1800 in offsets and offsets[at] != offsets[at - 1800]]


ZONES = [CHICAGO, "Europe/Berlin", "Australia/Adelaide", "Asia/Kolkata", "Australia/Lord_Howe"]


def test_the_zones_of_these_tests_shift_by_an_hour_by_half_or_not_at_all(whole: World) -> None:
    assert [plan.town.zone for plan in whole.fleet("solaredge")] == ZONES
    assert [len(shifts(ZoneInfo(zone), 2026)) for zone in ZONES] == [2, 2, 2, 0, 2]


@pytest.mark.parametrize("year", [2024, 2025, 2026, 2027])
@pytest.mark.parametrize("k", range(5), ids=ZONES)
def test_every_quarter_of_every_dst_night_stands_at_its_own_instant(
    k: int, year: int, emulator: Emulator, whole: World, asked: Any, clock: Hands
) -> None:
    """Every quarter has a value of its own, night or not, so that one in another's place would be seen."""
    zone = ZoneInfo(ZONES[k])
    nights = shifts(zone, year) or [instant(f"{year}-03-29T01:00:00+00:00")]
    for night in nights:
        clock.now = night + 3 * DAY_S
        begin, end = night - 6 * 3600, night + 6 * 3600
        marks = range(night - 2 * DAY_S, night + 2 * DAY_S, 900)
        rows = [(dt.datetime.fromtimestamp(at, zone).strftime("%Y-%m-%d %H:%M:%S"), at) for at in marks]

        def within(request: Asked, rows: Any = rows) -> Any:
            query = dict(request.query)
            return 200, series([row for row in rows if query["startTime"] <= row[0] < query["endTime"]])

        door, _ = asked(within)
        # Cut anywhere, within the repeated hour too.
        for first in range(begin, end, 2700):
            for last in (first + 900, first + 3600, min(end, first + 12 * 3600)):
                span = Span(first, last)
                found = by_key(door.connector.fetch(door.access, "power", site_ref(1, ZONES[k]), span).readings)
                assert found == {("", "ac_power_w", 900, at): float(at) for at in marks if first <= at < last}


@pytest.mark.parametrize("year", [2024, 2025, 2026, 2027])
@pytest.mark.parametrize("k", range(5), ids=ZONES)
def test_the_days_around_every_dst_night_are_the_worlds(
    k: int, year: int, emulator: Emulator, door: Door, whole: World, clock: Hands
) -> None:
    plan = whole.site("solaredge", k)
    compared = 0
    for night in shifts(plan.zone, year) or [instant(f"{year}-03-29T01:00:00+00:00")]:
        clock.now = night + 3 * DAY_S
        span = Span(night - 2 * DAY_S, night + 2 * DAY_S)
        days = Span(plan.midnight(plan.local_date(span.start)), plan.midnight(plan.local_date(span.end)))
        true = truth(emulator, whole, k, days, "energy_wh", DAY_S)
        found = read(door, "energy", refs(whole)[k], Span(days.start, days.end))
        assert found == pytest.approx(true, abs=0.001)
        power = truth(emulator, whole, k, span, "ac_power_w", 900)
        assert read(door, "power", refs(whole)[k], span) == pytest.approx(power, abs=0.001)
        compared += len(true)
    assert compared >= 3 or plan.installed_on.year > year


@pytest.mark.parametrize(
    ("zone", "stamps", "instants"),
    [
        (CHICAGO, ["2026-11-01 01:30:00", "2026-11-01 01:30:00"],
         ["2026-11-01T01:30:00-05:00", "2026-11-01T01:30:00-06:00"]),
        (CHICAGO, ["2026-11-01 01:30:00"] * 3, ["2026-11-01T01:30:00-05:00", "2026-11-01T01:30:00-06:00", None]),
        (CHICAGO, ["2026-03-08 01:45:00", "2026-03-08 02:15:00", "2026-03-08 03:00:00"],
         ["2026-03-08T01:45:00-06:00", None, "2026-03-08T03:00:00-05:00"]),
        ("Australia/Lord_Howe", ["2026-04-05 01:30:00", "2026-04-05 01:45:00", "2026-04-05 01:30:00"],
         ["2026-04-05T01:30:00+11:00", "2026-04-05T01:45:00+11:00", "2026-04-05T01:30:00+10:30"]),
        ("Australia/Lord_Howe", ["2026-10-04 01:45:00", "2026-10-04 02:00:00", "2026-10-04 02:15:00",
                                 "2026-10-04 02:30:00"],
         ["2026-10-04T01:45:00+10:30", None, None, "2026-10-04T02:30:00+11:00"]),
        ("Asia/Kolkata", ["2026-10-25 02:30:00"] * 2, ["2026-10-25T02:30:00+05:30", None]),
    ],
)  # fmt: skip
def test_the_first_occurrence_is_summer_time_and_what_does_not_exist_is_dropped(
    zone: str, stamps: list[str], instants: list[str | None]
) -> None:
    found = list(local_instants(stamps, ZoneInfo(zone)))
    assert found == [at and instant(at) for at in instants]


@pytest.mark.parametrize("zone", ZONES)
def test_no_window_begins_or_ends_in_a_time_that_comes_twice(zone: str) -> None:
    tz = ZoneInfo(zone)
    for night in shifts(tz, 2026):
        for start in range(night - 7200, night + 7200, 900):
            first, last = unambiguous(start, start + 900, tz)
            for moment in (first, last):
                early, late = (moment.replace(tzinfo=tz, fold=fold).timestamp() for fold in (0, 1))
                assert early >= late
            assert first.replace(tzinfo=tz).timestamp() <= start
            assert last.replace(tzinfo=tz).timestamp() >= start + 900


def test_late_figures_are_true_at_the_second_look(emulator: Emulator, door: Door, whole: World, clock: Hands) -> None:
    emulator.faults["late"] = 1.0
    span = Span(NOON // 900 * 900 - 6 * 3600, NOON)
    first, second = (read(door, "power", refs(whole)[0], span) for _ in range(2))
    closed = emulator.service.views()[0].closed_until  # type: ignore[attr-defined]  # SolarEdge's own
    assert len(first) < len(second)
    assert_equal(second, truth(emulator, whole, 0, Span(span.start, closed), "ac_power_w", 900), 0.0001)


# -- in bulk ---------------------------------------------------------------------------------------------------------


def many(rows: dict[int, Any], name: str = "power") -> dict[str, Any]:
    """An answer in bulk from the (stamp, value) pairs of each site; None is a site without a series."""
    wrapper, series_name, unit = (
        ("powerDateValuesList", "powerDataValueSeries", "QUARTER_OF_AN_HOUR")
        if name == "power"
        else ("sitesEnergy", "energyValues", "DAY")
    )
    listed = [
        {
            "siteId": site,
            series_name: None if values is None else {"values": [{"date": d, "value": v} for d, v in values]},
        }
        for site, values in rows.items()
    ]
    return {wrapper: {"timeUnit": unit, "unit": "Wh", "count": len(rows), "siteEnergyList": listed}}


DST_NIGHTS = [
    "2026-03-08T20:00:00+00:00",
    "2026-03-29T09:00:00+00:00",
    "2026-04-05T06:00:00+00:00",
    "2026-10-04T06:00:00+00:00",
    "2026-10-25T09:00:00+00:00",
    "2026-11-01T20:00:00+00:00",
]


@pytest.mark.parametrize("now", ["2026-06-01T18:05:00+00:00", *DST_NIGHTS])
@pytest.mark.parametrize("resource", IN_BULK)
def test_an_answer_in_bulk_is_each_sites_own_answer_in_every_zone_and_dst_night(
    resource: str, now: str, door: Door, whole: World, clock: Hands
) -> None:
    clock.now = instant(now)
    sites = refs(whole)
    settled = resource.removeprefix("bulk_")
    compared = 0
    longest = 11 * 3600 if settled == "power" else 6 * DAY_S
    for back in (0, 7 * 3600 + 1800):
        span = Span(int(clock.now) - back - longest, int(clock.now) - back)
        found = door.connector.fetch_account(door.access, resource, sites, span).site_answers
        assert list(found) == [ref.vendor_site_id for ref in sites]
        for ref in sites:
            alone = door.connector.fetch(door.access, settled, ref, span)
            compared += len(alone.readings)
            assert found[ref.vendor_site_id].covered == alone.covered
            assert by_key(found[ref.vendor_site_id].readings) == by_key(alone.readings)
    assert compared > 5 * len(sites)


@pytest.mark.parametrize(
    ("sites", "sizes"), [(1, [1]), (99, [99]), (100, [100]), (101, [100, 1]), (250, [100, 100, 50])]
)
@pytest.mark.parametrize("resource", IN_BULK)
def test_a_call_asks_for_a_hundred_sites_at_the_most(resource: str, sites: int, sizes: list[int], asked: Any) -> None:
    name = resource.removeprefix("bulk_")
    stamp = "2026-06-01 12:00:00" if name == "power" else "2026-06-01"

    def answers(request: Asked) -> Any:
        ids = request.path.split("/")[2].split(",")
        return 200, many({int(n): [(stamp, int(n))] for n in ids}, name)

    door, server = asked(answers)
    given = [site_ref(n) for n in range(1, sites + 1)]
    found = door.connector.fetch_account(door.access, resource, given, TODAY).site_answers
    assert [len(path.split("/")[2].split(",")) for path in server.paths()] == sizes
    assert all(path.endswith(f"/{name}") for path in server.paths())
    assert {key: [r.value for r in one.readings] for key, one in found.items()} == {
        str(n): [float(n)] for n in range(1, sites + 1)
    }


@pytest.mark.parametrize("resource", IN_BULK)
def test_a_site_that_is_not_in_the_answer_or_has_no_series_has_no_answer(resource: str, asked: Any) -> None:
    name = resource.removeprefix("bulk_")
    door, _ = asked(lambda _: (200, many({1: [], 2: None, 9: []}, name)))
    found = door.connector.fetch_account(door.access, resource, [site_ref(n) for n in (1, 2, 3)], TODAY).site_answers
    assert set(found) == {"1"}
    assert found["1"].readings == []
    assert found["1"].covered is not None


@pytest.mark.parametrize("resource", IN_BULK)
def test_a_site_without_a_zone_is_not_asked_for_in_bulk(resource: str, asked: Any) -> None:
    name = resource.removeprefix("bulk_")
    door, server = asked(lambda _: (200, many({1: []}, name)))
    given = [site_ref(1), site_ref(2, None), site_ref(3, "Mars/Olympus")]
    assert set(door.connector.fetch_account(door.access, resource, given, TODAY).site_answers) == {"1"}
    assert server.paths() == [f"/sites/1/{name}"]
    assert door.connector.fetch_account(door.access, resource, given[1:], TODAY).site_answers == {}
    assert door.connector.fetch_account(door.access, resource, [], TODAY).site_answers == {}
    assert door.session.calls == 1, "nobody to ask for is no call"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"powerDateValuesList": None},
        {"powerDateValuesList": {"timeUnit": "DAY", "unit": "W", "siteEnergyList": [
            {"siteId": 1, "powerDataValueSeries": {"values": []}}]}},
        {"powerDateValuesList": {"timeUnit": "QUARTER_OF_AN_HOUR", "unit": "HORSEPOWER", "siteEnergyList": [
            {"siteId": 1, "powerDataValueSeries": {"values": []}}]}},
        many({1: [("yesterday", 1)]}),
        many({1: [("2026-06-01T12:00:00", 1)]}),
    ],
)  # fmt: skip
def test_an_answer_in_bulk_in_other_words_is_changed(body: Any, asked: Any) -> None:
    door, _ = asked(lambda _: (200, body))
    with pytest.raises(Changed):
        door.connector.fetch_account(door.access, "bulk_power", [site_ref(1)], TODAY)


def test_the_second_hundred_that_fails_is_an_error_of_the_whole_look(asked: Any) -> None:
    door, _ = asked(lambda request: (200, many({1: []})) if "/1," in request.path else (503, {}))
    with pytest.raises(Unavailable):
        door.connector.fetch_account(door.access, "bulk_power", [site_ref(n) for n in range(1, 102)], TODAY)


def test_the_running_quarter_of_a_western_site_is_not_taken_from_a_recording() -> None:
    window = {"startTime": "2026-06-01 10:00:00", "endTime": "2026-06-02 10:00:00"}
    body = many({7: [("2026-06-01 12:45:00", 1), ("2026-06-01 13:00:00", 2)]})
    (answer,) = recorded("/sites/7/power", body, **window).values()
    assert [r.value for r in answer.readings] == [1.0]


# -- what was recorded -----------------------------------------------------------------------------------------------


def recorded(path: str, body: Any, timezone: str | None = CHICAGO, **params: str) -> Any:
    found = reader_of(READERS, "GET", path)
    assert found is not None, path
    reader, site = found
    response = Response(200, {}, json.dumps(body).encode(), path)
    return reader(Exchange(method="GET", params=tuple(params.items()), response=response, at=float(NOON)),
                  Seen(timezone=timezone), site)  # fmt: skip


@pytest.mark.parametrize("suffix", ["", ".json"])
@pytest.mark.parametrize("root", ["site", "sites"])
def test_recorded_answers_in_bulk_are_read_site_by_site(
    root: str, suffix: str, emulator: Emulator, door: Door, whole: World
) -> None:
    sites = refs(whole)
    ids = ",".join(ref.vendor_site_id for ref in sites)
    seen = Seen()
    listed = door.session.request("GET", "/sites/list", params=[("api_key", emulator.credentials["api_key"])])
    reader, _ = reader_of(READERS, "GET", "/sites/list") or (None, None)
    assert reader
    seen.learn(reader(Exchange(method="GET", params=(), response=listed, at=float(NOON)), seen, ""))
    for call, params in (
        ("power", {"startTime": "2026-06-01 06:00:00", "endTime": "2026-06-01 12:00:00"}),
        ("energy", {"startDate": "2026-05-28", "endDate": "2026-05-31", "timeUnit": "DAY"}),
    ):
        path = f"/{root}/{ids}/{call}{suffix}"
        key = [("api_key", emulator.credentials["api_key"])]
        response = door.session.request("GET", path, params=[*key, *params.items()])
        found = reader_of(READERS, "GET", path)
        assert found is not None
        exchange = Exchange(method="GET", params=tuple(params.items()), response=response, at=float(NOON))
        answers = found[0](exchange, seen, found[1])
        assert list(answers) == [ref.vendor_site_id for ref in sites]
        for k, ref in enumerate(sites):
            answer = answers[ref.vendor_site_id]
            metric, interval_s = ("ac_power_w", 900) if call == "power" else ("energy_wh", DAY_S)
            true = truth(emulator, whole, k, answer.covered, metric, interval_s)
            assert by_key(answer.readings) == pytest.approx(true, abs=0.001)


def test_a_recorded_answer_is_read_by_its_own_span() -> None:
    body = series([("2026-06-01 10:00:00", 1), ("2026-06-01 11:00:00", 2)])
    window = {"startTime": "2026-06-01 10:00:00", "endTime": "2026-06-01 11:00:00"}
    (answer,) = recorded("/site/7/power", body, **window).values()
    assert [r.value for r in answer.readings] == [1.0]
    for broken in ({}, {"startTime": "x", "endTime": "y"}, {"startDate": "x", "endDate": "y"}):
        (answer,) = recorded("/site/7/power.json", body, **broken).values()
        assert [r.value for r in answer.readings] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("path", "body", "part"),
    [
        ("/sites/list.json", {"list": {"site": [{"id": 7}]}}, "sites"),
        ("/site/7/details", {"details": {"id": 7}}, "sites"),
        ("/site/7/inventory", {"Inventory": {"inverters": [{"SN": "A"}]}}, "devices"),
        ("/site/7/energy", series([("2026-05-31", 1)], "Wh", "DAY", "energy"), "readings"),
    ],
)
def test_every_recorded_path_is_read(path: str, body: Any, part: str) -> None:
    (answer,) = recorded(path, body).values()
    assert getattr(answer, part)


def test_recorded_figures_of_a_site_without_a_zone_have_no_place() -> None:
    row = {"siteId": 7, "powerDataValueSeries": {"values": []}}
    bulk = {"powerDateValuesList": {"timeUnit": "QUARTER_OF_AN_HOUR", "unit": "Wh", "siteEnergyList": [row]}}
    with pytest.raises(Unavailable, match="time zone"):
        recorded("/site/7/power", series([]), timezone=None)
    with pytest.raises(Unavailable, match="time zone"):
        recorded("/sites/7/power", bulk, timezone=None)
