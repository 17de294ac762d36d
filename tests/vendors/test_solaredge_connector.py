"""SolarEdge V2: keys, refusals, lists, devices, series (vendors/solaredge.md)."""

from __future__ import annotations

import datetime as dt
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from vendor_doors import NOON, Asked, Door, Hands, by_key, door_to, instant, site_ref

from sungaze.emulators import World
from sungaze.emulators._solaredge_calls import DEVICE_TYPES
from sungaze.emulators._solaredge_site import site_id_of
from sungaze.errors import Changed, NeedsReconnect, NotEntitled, QuotaSpent, Unavailable
from sungaze.model import DAY_S, DeviceType, SiteStatus, Span
from sungaze.vendors.solaredge import CONNECTOR, TYPES

FIXTURES = Path(__file__).parent / "solaredge" / "fixtures"
CHICAGO = "America/Chicago"
MIDNIGHT = instant("2026-06-01T00:00:00-05:00")
TODAY = Span(NOON - 12 * 3600, NOON)


def listed(*numbers: int, **more: Any) -> dict[str, Any]:
    return {"sites": {"count": len(numbers), "site": [{"siteId": n} for n in numbers], **more}}


def series(values: Any, unit: str = "W", resolution: str | None = "QUARTER_HOUR") -> dict[str, Any]:
    rows = [{"timestamp": stamp, "value": value} for stamp, value in values]
    return {"period": {}, "unit": unit, "resolution": resolution, "values": rows}


# -- keys and refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"account_key": ""}, {"account_key": "account-5712"}])
def test_the_keys_go_in_headers_and_the_account_key_only_where_there_is_one(more: Any, solaredge: Any) -> None:
    door, server = solaredge(lambda _: (200, listed()), more=more)
    door.connector.list_sites(door.access)
    sent = server.asked[0].headers
    assert sent["x-api-key"] == door.access.credentials["api_key"]
    assert sent.get("x-account-key") == (more.get("account_key") or None)
    assert "authorization" not in sent


@pytest.mark.parametrize("name", ["api_key", "account_key"])
def test_a_wrong_key_is_refused_at_the_probe(name: str, start: Any, clock: Hands, opened: Any) -> None:
    emulator = start("solaredge")
    door = opened(Door("solaredge", emulator.base_url, emulator.credentials | {name: "wrong"}, clock))
    with pytest.raises(NeedsReconnect, match="six months"):
        door.connector.probe(door.access)
    assert door.session.calls == 1


REFUSALS = [
    (401, {"title": "Unauthorized - Authentication Failed", "status": 401, "detail": "Invalid API key"},
     NeedsReconnect),
    (401, {"error": "invalid_request", "error_description": "The access token is missing"}, NeedsReconnect),
    (400, {"error": "invalid_request", "error_description": "The access token is missing"}, NeedsReconnect),
    (401, b"", NeedsReconnect),
    (400, {"detail": "from must be before to"}, Changed),
    (400, {"title": "Bad Request", "detail": None, "instance": None, "properties": {"traceId": "0f"}}, Changed),
    (400, {"detail": {"from": ["is too early"]}, "message": ["a", "b"]}, Changed),
    (400, [1, 2], Changed),
    (400, b"[" * 100_000, Changed),
    (403, {"title": "Forbidden", "detail": "No access to this site"}, NotEntitled),
    (403, b"<html>Attention required</html>", Unavailable),
    (401, b"<html>Attention required</html>", Unavailable),
    (404, {"type": "https://example.invalid", "title": "Not Found", "status": 404, "detail": "Unknown endpoint",
           "traceId": "0f3c"}, Changed),
    (404, b"<html>gone</html>", Unavailable),
    (405, {"detail": "Method not allowed"}, Changed),
    (410, {"detail": "This version of the API is no longer available"}, Changed),
    (500, {"detail": "An unexpected error occurred"}, Unavailable),
    (503, b"<html>busy</html>", Unavailable),
    (200, b"<html>sign in</html>", Changed),
    (204, b"", Changed),
    (302, b"", Changed),
    (429, b"<html>error 1015</html>", QuotaSpent),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind"), REFUSALS)
def test_every_shape_of_a_refusal_ends_in_its_error(status: int, body: Any, kind: type, solaredge: Any) -> None:
    door, _ = solaredge(lambda _: (status, body))
    with pytest.raises(kind):
        door.connector.list_sites(door.access)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "A", "message": "B", "title": "C"}, "A"),
        ({"detail": "", "message": "B", "title": "C"}, "B"),
        ({"error_description": ["one", "two"], "title": "C"}, "one two"),
        ({"title": "C", "detail": None}, "C"),
        ({"detail": {}}, "no reason given"),
    ],
)
def test_the_reason_is_the_first_that_says_something(body: Any, said: str, solaredge: Any) -> None:
    door, _ = solaredge(lambda _: (404, body))
    with pytest.raises(Changed, match=rf"\(404: {said}\)"):
        door.connector.list_sites(door.access)


def test_the_old_interface_says_how_to_go_on(solaredge: Any) -> None:
    door, _ = solaredge(lambda _: (410, {}))
    with pytest.raises(Changed, match=r"V1 ended on 3 November 2026.*Make a V2 key"):
        door.connector.list_sites(door.access)


@pytest.mark.parametrize(("k", "kind"), [(5, NotEntitled), (99, Changed)])
def test_a_site_that_is_not_ours_or_not_there(k: int, kind: type, start: Any, clock: Hands, opened: Any) -> None:
    emulator = start("solaredge")
    door = opened(door_to(emulator, clock))
    with pytest.raises(kind):
        door.connector.fetch(
            door.access, "details", site_ref(site_id_of(emulator.service.world.site("solaredge", k))), TODAY
        )


NEXT_MONTH = instant("2026-07-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("headers", "until"),
    [
        ({"x-ratelimit-remaining-minute": "0", "Retry-After": "23"}, NOON + 23),
        ({"x-ratelimit-remaining-minute": "7", "Retry-After": "23"}, NOON + 23),
        ({"x-ratelimit-remaining-minute": "0"}, NOON + 60),
        ({}, NOON + 60),
        ({"x-ratelimit-remaining-minute": "\xb2"}, NOON + 60),
        ({"x-ratelimit-remaining-minute": "9" * 5000}, NOON + 60),
        ({"x-ratelimit-remaining-minute": "7"}, NOON + DAY_S),
    ],
)
def test_the_two_429_are_told_apart(headers: Any, until: float, solaredge: Any) -> None:
    door, _ = solaredge(lambda _: (429, {"message": "API rate limit exceeded"}, headers))
    with pytest.raises(QuotaSpent) as caught:
        door.connector.list_sites(door.access)
    assert caught.value.until == until


def test_spent_credits_come_back_with_the_new_month_at_the_latest(solaredge: Any, clock: Hands) -> None:
    clock.now = NEXT_MONTH - 3600
    door, _ = solaredge(lambda _: (429, {}, {"x-ratelimit-remaining-minute": "7"}))
    with pytest.raises(QuotaSpent) as caught:
        door.connector.list_sites(door.access)
    assert caught.value.until == NEXT_MONTH


@pytest.mark.parametrize(("fault", "match"), [("429", "minute"), ("credits", "month's credits")])
def test_both_refusals_of_the_emulator_are_understood(
    fault: str, match: str, start: Any, clock: Hands, opened: Any
) -> None:
    door = opened(door_to(start("solaredge", faults={fault: 1.0}), clock))
    with pytest.raises(QuotaSpent, match=match):
        door.connector.list_sites(door.access)


# -- lists and facts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("with_account_key", [False, True])
def test_an_envelope_and_a_bare_array_say_the_same(
    with_account_key: bool, start: Any, world: World, clock: Hands, opened: Any
) -> None:
    emulator = start("solaredge")
    given = emulator.credentials if with_account_key else {"api_key": emulator.credentials["api_key"]}
    door = opened(Door("solaredge", emulator.base_url, given, clock))
    answer = door.connector.list_sites(door.access)
    assert answer.complete
    assert [(s.name, s.peak_power_kw, s.installed_on, s.status) for s in answer.sites] == [
        (p.name, round(p.peak_w / 1000, 3), p.installed_on.isoformat(), SiteStatus.NORMAL)
        for p in world.fleet("solaredge")
    ]
    assert all(site.address and site.address["city"] and site.address["street"] for site in answer.sites)
    assert [site.timezone for site in answer.sites] == [None] * 4, "only the details know the zone"


@pytest.mark.parametrize(("sites", "calls"), [(0, 1), (1, 1), (999, 1), (1000, 2), (1001, 2), (2000, 3)])
@pytest.mark.parametrize("bare", [False, True])
def test_the_list_ends_with_a_short_page(sites: int, calls: int, bare: bool, solaredge: Any) -> None:
    def answers(asked: Asked) -> Any:
        query = dict(asked.query)
        first = (int(query["page"]) - 1) * int(query["sites-in-page"])
        page = listed(*range(1 + first, 1 + min(sites, first + int(query["sites-in-page"]))), count=sites)
        return 200, page["sites"]["site"] if bare else page

    door, _ = solaredge(answers)
    answer = door.connector.list_sites(door.access)
    assert (len(answer.sites), answer.complete, door.session.calls) == (sites, True, calls)


@pytest.mark.parametrize(
    ("pages", "count", "seen", "complete"),
    [
        ([range(1, 41), range(41, 81), range(81, 91), []], 10**9, 90, True),
        ([range(1, 41)], 10**400, 40, True),
        ([range(1, 41), range(41, 81), range(81, 91)], 90, 90, True),
        ([range(1, 41), []], 41, 40, True),
        ([range(1, 1001)] * 9, 9000, 1000, False),
        ([range(1, 41)], 0, 40, True),
        ([range(1, 41)], None, 40, True),
    ],
    ids=[
        "shorter pages, no true count",
        "no number",
        "shorter pages",
        "a count too high",
        "the same page",
        "none",
        "null",
    ],
)
def test_a_count_is_neither_believed_nor_ignored(
    pages: Any, count: Any, seen: int, complete: bool, solaredge: Any
) -> None:
    door, _ = solaredge(lambda asked: (200, listed(*pages[int(dict(asked.query)["page"]) - 1], count=count)))
    answer = door.connector.list_sites(door.access)
    assert (len(answer.sites), answer.complete) == (seen, complete)


def test_the_probe_costs_one_page_and_says_that_there_are_no_panels(start: Any, clock: Hands, opened: Any) -> None:
    emulator = start("solaredge")
    door = opened(door_to(emulator, clock))
    seen = door.connector.probe(door.access)
    assert (len(seen.sites), seen.total, seen.panels) == (4, 4, False)
    assert any("No figures per panel" in note for note in seen.notes)
    assert [r.path for r in emulator.requests] == ["/v2/sites"]
    assert door.journal == ["spend"]


@pytest.mark.parametrize(("sites", "count", "total"), [(3, 999, 3), (1000, 1234, 1234), (1000, 7, 1000)])
def test_the_probe_tells_a_total_beyond_its_page(sites: int, count: int, total: int, solaredge: Any) -> None:
    door, _ = solaredge(lambda _: (200, listed(*range(1, 1 + sites), count=count)))
    assert door.connector.probe(door.access).total == total


def site(solaredge: Any, **fields: Any) -> Any:
    details = json.loads((FIXTURES / "school.json").read_text())["details"]
    door, _ = solaredge(lambda _: (200, details | fields))
    return door.connector.fetch(door.access, "details", site_ref(5500101, None), TODAY).sites[0]


def test_the_details_tell_the_zone_and_the_last_word(solaredge: Any) -> None:
    found = site(solaredge)
    assert (found.vendor_site_id, found.timezone, found.peak_power_kw) == ("5500101", CHICAGO, 48.6)
    assert found.last_report_at == instant("2026-06-01T12:47:03-05:00")
    assert found.address == {
        "street": "12 Example Rd", "city": "Ames", "state": "Iowa", "postal_code": "50010",
        "country": "United States",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("ACTIVE", "normal"), ("active", "normal"), ("PENDING", "pending"), ("Disabled", "inactive"), ("", None),
        (None, None),
    ],
)  # fmt: skip
def test_an_activation_word_becomes_one_of_ours(word: str | None, status: str | None, solaredge: Any) -> None:
    assert site(solaredge, activationStatus=word).status == status


@pytest.mark.parametrize(
    ("field", "value", "name"),
    [
        ("peakPower", 0, "peak_power_kw"),
        ("peakPower", -1, "peak_power_kw"),
        ("peakPower", 10**400, "peak_power_kw"),
        ("peakPower", None, "peak_power_kw"),
        ("installationDate", "soon", "installed_on"),
        ("installationDate", None, "installed_on"),
        ("lastUpdateTime", None, "last_report_at"),
        ("location", None, "timezone"),
        ("location", None, "address"),
        ("location", {"timezone": "Mars/Olympus"}, "timezone"),
        ("location", {"city": None}, "address"),
    ],
)
def test_what_is_not_said_is_not_known(field: str, value: Any, name: str, solaredge: Any) -> None:
    assert getattr(site(solaredge, **{field: value}), name) is None


def test_nulls_are_read_as_not_known_everywhere(start: Any, clock: Hands, opened: Any) -> None:
    door = opened(door_to(start("solaredge", faults={"nulls": 1.0}), clock))
    for found in door.connector.list_sites(door.access).sites:
        assert found.installed_on is None
    ref = site_ref(found.vendor_site_id)
    for resource in (r.id for r in door.connector.vendor.resources if r.per_site):
        door.connector.fetch(door.access, resource, ref, TODAY)


@pytest.mark.parametrize("number", ["", "  ", None, True, 1.5, {}])
def test_a_site_without_a_number_is_told(number: Any, solaredge: Any) -> None:
    with pytest.raises(Changed):
        site(solaredge, siteId=number)


def test_an_id_that_is_no_number_stays_one_piece_of_the_path(solaredge: Any) -> None:
    door, server = solaredge(lambda _: (404, {}))
    with pytest.raises(Changed):
        door.connector.fetch(door.access, "details", site_ref("../x?y#"), TODAY)
    assert server.asked[0].target == "/v2/sites/..%2Fx%3Fy%23"


# -- devices ---------------------------------------------------------------------------------------------------------


def test_every_type_is_asked_by_name_in_one_call(solaredge: Any) -> None:
    door, server = solaredge(lambda _: (200, []))
    answer = door.connector.fetch(door.access, "devices", site_ref(1), TODAY)
    assert server.asked[0].query == [("types", kind) for kind in TYPES]
    assert set(TYPES) == set(DEVICE_TYPES)
    assert (answer.devices, answer.devices_complete) == ([], False), "an empty inventory retires nothing"


def test_a_school_is_read_by_serial_or_type_and_name(solaredge: Any) -> None:
    found = json.loads((FIXTURES / "school.json").read_text())["devices"]
    door, _ = solaredge(lambda _: (200, found))
    answer = door.connector.fetch(door.access, "devices", site_ref(5500101), TODAY)
    assert answer.devices_complete
    kinds = DeviceType
    assert [(d.vendor_device_id, d.device_type, d.status.value) for d in answer.devices] == [
        ("7F000A11-3C", kinds.INVERTER, "normal"),
        ("7E000A10-0B", kinds.INVERTER, "retired"),
        ("20000A12-44", kinds.OPTIMIZER, "normal"),
        ("METER:Grid meter", kinds.METER, "normal"),
        ("METER:Grid meter:4", kinds.METER, "normal"),
        ("70000C33-09", kinds.BATTERY, "normal"),
        ("BATTERY_MODULE:70000C33-09", kinds.BATTERY, "normal"),
        ("50000C33-02", kinds.GATEWAY, "unknown"),
        ("90000C33-02", kinds.EV_CHARGER, "normal"),
        ("80000C33-02", kinds.OTHER, "normal"),
        ("WIND_TURBINE:", kinds.OTHER, "unknown"),
    ]
    first, old, optimizer, meter, *_ = answer.devices
    assert (first.rated_w, first.firmware, first.installed_on, first.parent) == (None, "4.22.33", "2021-04-01", None)
    assert (old.rated_w, old.model, old.installed_on) == (7600.0, "SE7600A-US000NNR2", None)
    assert (optimizer.parent, meter.parent, meter.serial_number) == ("7F000A11-3C", "7F000A11-3C", None)
    assert answer.devices[5].rated_w is None, "a battery's figure is in kWh"


def test_a_whole_inventory_of_the_emulator_has_its_optimizers_under_their_inverters(
    start: Any, clock: Hands, opened: Any
) -> None:
    emulator = start("solaredge", world=World(seed=1, sites=6, panels=40))
    door = opened(door_to(emulator, clock))
    for found in door.connector.list_sites(door.access).sites:
        devices = door.connector.fetch(door.access, "devices", site_ref(found.vendor_site_id), TODAY).devices
        keys = [device.vendor_device_id for device in devices]
        assert len(set(keys)) == len(keys)
        assert {device.parent for device in devices} <= {None, *keys}
        assert all(d.parent for d in devices if d.device_type is DeviceType.OPTIMIZER)
    assert [d.status for d in devices if d.device_type is DeviceType.INVERTER].count("retired") == 1


# -- series ----------------------------------------------------------------------------------------------------------


def power(solaredge: Any, body: Any, span: Span = TODAY) -> Any:
    door, server = solaredge(lambda _: (200, body))
    return door.connector.fetch(door.access, "power", site_ref(1), span), server


def window(server: Any) -> tuple[str, str]:
    query = dict(server.asked[0].query)
    return query["from"], query["to"]


@pytest.mark.parametrize(
    ("span", "asked"),
    [
        (Span(NOON - 12 * 3600, NOON), ("2026-06-01T06:00:00Z", "2026-06-01T18:00:00Z")),
        (Span(NOON - 13 * 3600, NOON), ("2026-06-01T05:00:00Z", "2026-06-01T17:00:00Z")),
        (Span(NOON - 300, NOON + 3600), ("2026-06-01T18:00:00Z", None)),
        (Span(NOON - 86_400, NOON - 43_200), ("2026-05-31T18:00:00Z", "2026-06-01T06:00:00Z")),
        (Span(NOON - 3601, NOON - 1799), ("2026-06-01T17:00:00Z", "2026-06-01T17:45:00Z")),
    ],
)
def test_power_is_asked_on_quarter_hours_in_utc_and_never_for_more_than_twelve_hours(
    span: Span, asked: Any, solaredge: Any
) -> None:
    answer, server = power(solaredge, series([]), span)
    if asked[1] is None:
        assert (server.asked, answer.covered) == ([], None), "a bucket that still runs is not bought"
    else:
        assert window(server) == asked
        assert dict(server.asked[0].query)["resolution"] == "QUARTER_HOUR"
        assert answer.covered == Span(*map(instant, asked))


@pytest.mark.parametrize("after_close_s", [0, 89, 90, 91])
def test_a_bucket_is_asked_for_a_minute_and_a_half_after_it_closed(
    after_close_s: int, solaredge: Any, clock: Hands
) -> None:
    quarter = instant("2026-06-01T18:00:00+00:00")
    clock.now = quarter + after_close_s
    _, server = power(solaredge, series([]), Span(quarter - 3600, int(clock.now)))
    assert instant(window(server)[1]) == (quarter if after_close_s >= 90 else quarter - 900)


def test_null_is_missing_and_zero_is_measured(solaredge: Any) -> None:
    answer, _ = power(
        solaredge,
        series(
            [
                ("2026-06-01T05:30:00-05:00", None),
                ("2026-06-01T05:45:00-05:00", 0.0),
                ("2026-06-01T06:00:00-05:00", 212.5),
                ("2026-06-01T06:15:00.000000000-05:00", -3),
            ]
        ),
    )
    begin = instant("2026-06-01T05:45:00-05:00")
    assert [(r.timestamp, r.value) for r in answer.readings] == [(begin, 0.0), (begin + 900, 212.5), (begin + 1800, -3)]
    assert {(r.metric_name, r.interval_s, r.vendor_device_id) for r in answer.readings} == {("ac_power_w", 900, "")}


def test_the_running_bucket_is_left_out_though_it_has_a_value(solaredge: Any) -> None:
    answer, _ = power(solaredge, series([("2026-06-01T17:45:00Z", 5), ("2026-06-01T18:00:00Z", 6)]))
    assert [r.value for r in answer.readings] == [5.0]


@pytest.mark.parametrize(("unit", "factor"), [("W", 1.0), ("KW", 1e3), ("MW", 1e6), ("kW", 1e3)])
def test_power_is_read_in_the_unit_of_the_answer(unit: str, factor: float, solaredge: Any) -> None:
    answer, _ = power(solaredge, series([("2026-06-01T12:00:00Z", 1.25)], unit))
    assert answer.readings[0].value == 1.25 * factor


@pytest.mark.parametrize(("unit", "factor"), [("WH", 1.0), ("KWH", 1e3), ("MWH", 1e6), ("GWH", 1e9), ("Wh", 1.0)])
def test_energy_is_read_in_the_unit_of_the_answer(unit: str, factor: float, solaredge: Any) -> None:
    answer, _ = energy(solaredge, series([("2026-05-31T00:00:00-05:00", 1.5)], unit, "DAY"))
    assert by_key(answer.readings) == {("", "energy_wh", DAY_S, MIDNIGHT - DAY_S): 1.5 * factor}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (series([("2026-06-01T12:00:00Z", 1)], "HORSEPOWER"), "unit"),
        (series([("2026-06-01T12:00:00Z", 1)], ""), "unit"),
        (series([], resolution="HOUR"), "resolution"),
        (series([("2026-06-01T12:00:00", 1)]), "timestamp"),
        (series([("yesterday", 1)]), "timestamp"),
        (series([("0001-01-01T00:00:00+14:00", 1)]), "timestamp"),
        (series([("9999-12-31T23:59:59-14:00", 1)]), "timestamp"),
        (series([("2026-06-01T12:00:00+25:00", 1)]), "timestamp"),
    ],
)
def test_a_series_in_other_words_is_changed_and_says_where(body: Any, where: str, solaredge: Any) -> None:
    with pytest.raises(Changed) as caught:
        power(solaredge, body)
    assert caught.value.where == where


def test_a_series_that_does_not_echo_its_resolution_is_read(solaredge: Any) -> None:
    answer, _ = power(solaredge, series([("2026-06-01T12:00:00.123456789Z", 1)], resolution=None))
    assert answer.readings[0].timestamp == instant("2026-06-01T12:00:00+00:00")


def test_a_value_beyond_any_scale_is_left_to_the_quarantine(solaredge: Any) -> None:
    answer, _ = power(solaredge, series([("2026-06-01T12:00:00Z", 10**400), ("2026-06-01T12:15:00Z", -(10**400))]))
    assert [r.value for r in answer.readings] == [float("inf"), float("-inf")]


def energy(solaredge: Any, body: Any, span: Span | None = None, zone: str | None = CHICAGO) -> Any:
    door, server = solaredge(lambda _: (200, body))
    return door.connector.fetch(door.access, "energy", site_ref(1, zone), span or Span(MIDNIGHT - DAY_S, NOON)), server


def test_days_wait_for_the_zone(solaredge: Any) -> None:
    answer, server = energy(solaredge, {}, zone=None)
    assert (answer.readings, answer.covered, server.asked) == ([], None, [])


@pytest.mark.parametrize(
    ("span", "asked"),
    [
        (Span(NOON - DAY_S, NOON), ("2026-05-31T05:00:00Z", "2026-06-01T18:05:00Z")),
        (Span(NOON - 3 * DAY_S, NOON - 2 * DAY_S), ("2026-05-29T05:00:00Z", "2026-05-31T05:00:00Z")),
        (Span(MIDNIGHT - 2 * DAY_S, MIDNIGHT), ("2026-05-30T05:00:00Z", "2026-06-01T05:00:00Z")),
        (Span(NOON - 400 * DAY_S, NOON), ("2026-05-05T05:00:00Z", "2026-06-01T18:05:00Z")),
    ],
)
def test_days_are_asked_whole_because_a_part_would_stand_as_the_days_figure(
    span: Span, asked: Any, solaredge: Any
) -> None:
    answer, server = energy(solaredge, series([], "WH", "DAY"), span)
    assert window(server) == asked
    assert answer.covered == Span(*map(instant, asked))


def test_a_day_outside_the_span_is_not_taken(solaredge: Any) -> None:
    rows = [("2026-05-29T00:00:00-05:00", 1), ("2026-05-30T00:00:00-05:00", 2), ("2026-05-31T00:00:00-05:00", 3)]
    answer, _ = energy(solaredge, series(rows, "WH", "DAY"), Span(MIDNIGHT - 2 * DAY_S, MIDNIGHT - DAY_S))
    assert [r.value for r in answer.readings] == [2.0]


@pytest.mark.parametrize(
    ("zone", "rows", "hours"),
    [
        ("Europe/Berlin", ["2026-03-28T00:00:00+01:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"],
         (24, 23)),
        (CHICAGO, ["2026-10-31T00:00:00-05:00", "2026-11-01T00:00:00-05:00", "2026-11-02T00:00:00-06:00"], (24, 25)),
        ("Australia/Adelaide",
         ["2026-10-03T00:00:00+09:30", "2026-10-04T00:00:00+09:30", "2026-10-05T00:00:00+10:30"], (24, 23)),
    ],
)  # fmt: skip
def test_days_are_stamped_at_their_local_midnight_across_both_dst_nights(
    zone: str, rows: list[str], hours: Any, solaredge: Any, clock: Hands
) -> None:
    clock.now = instant(rows[-1]) + DAY_S
    span = Span(instant(rows[0]), int(clock.now))
    answer, _ = energy(solaredge, series([(row, 1) for row in rows], "WH", "DAY"), span, zone)
    stamps = [r.timestamp for r in answer.readings]
    assert stamps == [instant(row) for row in rows]
    assert tuple((b - a) // 3600 for a, b in pairwise(stamps)) == hours


@pytest.mark.parametrize("end", ["2026-03-02T16:00:00+00:00", "2026-03-10T05:00:00+00:00", "2026-03-31T22:30:00+00:00"])
@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_no_piece_of_days_is_longer_than_the_vendor_allows_not_even_in_february(
    end: str, k: int, start: Any, world: World, clock: Hands, opened: Any
) -> None:
    emulator = start("solaredge", plan="paid")
    clock.now = instant(end)
    door = opened(door_to(emulator, clock))
    plan = world.site("solaredge", k)
    ref = site_ref(site_id_of(plan), plan.town.zone)
    days: set[int] = set()
    for piece in door.connector.chunks("energy", Span(int(clock.now) - 90 * DAY_S, int(clock.now))):
        days |= {r.timestamp for r in door.connector.fetch(door.access, "energy", ref, piece).readings}
    first, today = plan.local_date(clock.now - 90 * DAY_S), plan.local_date(clock.now)
    whole = {plan.midnight(first + dt.timedelta(days=n)) for n in range((today - first).days)}
    assert days - {plan.midnight(today)} == whole


@pytest.mark.parametrize("resource", ["power", "energy"])
@pytest.mark.parametrize("shift", [0, 1, 899, 4321])
def test_pieces_join_newest_first_and_none_is_longer_than_one_call_gives(resource: str, shift: int) -> None:
    span = Span(NOON - 60 * DAY_S - shift, NOON)
    pieces = CONNECTOR.chunks(resource, span)
    assert (pieces[-1].start, pieces[0].end) == (span.start, span.end)
    assert all(older.end == newer.start for newer, older in pairwise(pieces))
    assert max(p.end - p.start for p in pieces) <= (12 * 3600 if resource == "power" else 26 * DAY_S)
    assert CONNECTOR.chunks(resource, Span(NOON, NOON)) == []


def test_joined_pieces_of_power_leave_no_quarter_out_and_buy_none_twice(
    start: Any, world: World, clock: Hands, opened: Any
) -> None:
    emulator = start("solaredge", plan="paid")
    door = opened(door_to(emulator, clock))
    plan = world.site("solaredge", 0)
    ref = site_ref(site_id_of(plan), plan.town.zone)
    covered = [
        door.connector.fetch(door.access, "power", ref, piece).covered
        for piece in door.connector.chunks("power", Span(NOON - 2 * DAY_S - 321, NOON))
    ]
    assert all(older.end == newer.start for newer, older in pairwise(covered))


def test_what_comes_late_fills_what_was_null(start: Any, clock: Hands, opened: Any) -> None:
    door = opened(door_to(start("solaredge", faults={"late": 1.0}), clock))
    ref = site_ref(door.connector.list_sites(door.access).sites[0].vendor_site_id)
    first, second = (by_key(door.connector.fetch(door.access, "power", ref, TODAY).readings) for _ in range(2))
    assert first.items() < second.items()
    assert max(key[3] for key in second) > max(key[3] for key in first)


def test_the_running_day_is_replaced_as_it_grows(start: Any, clock: Hands, opened: Any, world: World) -> None:
    door = opened(door_to(start("solaredge"), clock))
    plan = world.site("solaredge", 0)
    ref = site_ref(site_id_of(plan), plan.town.zone)
    seen = []
    for _ in range(2):
        answer = door.connector.fetch(door.access, "energy", ref, Span(MIDNIGHT, int(clock.now)))
        ((key, value),) = by_key(answer.readings).items()
        seen.append(value)
        assert key == ("", "energy_wh", DAY_S, MIDNIGHT)
        clock.now += 3600
    assert 0 < seen[0] < seen[1]


def test_an_unknown_resource_is_a_bug_and_says_so(solaredge: Any) -> None:
    door, _ = solaredge(lambda _: (200, {}))
    with pytest.raises(ValueError, match="no resource"):
        door.connector.fetch(door.access, "weather", site_ref(1), TODAY)
