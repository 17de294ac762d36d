"""Whatever a vendor answers, its reader ends in valid values or in one VendorError that tells no secret."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutating import (
    FUZZ,
    HOSTILE,
    MARKS,
    Canned,
    Tapped,
    answers,
    anything,
    check,
    check_error,
    check_sites,
    no_lease,
)
from vendor_doors import NOON

from sungaze.emulators import World
from sungaze.emulators._registry import service_of
from sungaze.emulators._service import Service
from sungaze.errors import VendorError
from sungaze.model import Span
from sungaze.vendors import connector
from sungaze.vendors._contract import Access, Answer, Exchange, Response, Seen, SiteRef, reader_of

pytestmark = MARKS
ZONE = "America/Chicago"
DAYS, HOURS = Span(NOON - 4 * 86_400, NOON), Span(NOON - 12 * 3600, NOON)
DAILY = {"daily", "energy"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Way:
    """A way into a vendor. `calls` names, by what is asked for, the calls whose answers are spoiled, as patterns.

    What is asked for is a resource, or `list`, `probe` or `login` (a list without anything remembered); `recorded` is
    an address that only a recording asks. `words` are its own, to be put anywhere.
    """

    vendor: str
    method: str
    calls: Mapping[str, tuple[str, ...]]
    words: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    dialect: str | None = None
    credentials: Callable[[Any], Mapping[str, str]] = lambda service: service.credentials
    before: tuple[str, ...] = ("list",)
    bent: Callable[[bytes], bytes] = bytes
    recorded: Mapping[str, Callable[[str], tuple[str, dict[str, str]]]] = dataclasses.field(default_factory=dict)


V1_DAYS = {"startDate": "2026-05-29", "endDate": "2026-05-31", "timeUnit": "DAY"}
V1_HOURS = {"startTime": "2026-06-01 06:00:00", "endTime": "2026-06-01 12:00:00"}
WAYS = {
    "enphase": Way(
        vendor="enphase", method="partner_password",
        calls={
            "login": ("/oauth/token$",), "list": ("/systems$",), "probe": ("/systems$",),
            "curve": ("/production_micro$",), "panels": ("/micros/telemetry$",), "summary": ("/summary$",),
            "devices": ("/devices$",), "daily": ("/energy_lifetime$",), "inverters": ("/inverters_summary",),
            "alarms": ("/open_alarms$", "/open_events$", "/event_types$"),
        },
        words=("W", "WH", "micro", "retired", "meter", "normal", "Wh", "envoys"),
        recorded={"system": lambda site: (f"/api/v4/systems/{site}", {})},
    ),
    "solaredge": Way(
        vendor="solaredge", method="fleet_key",
        calls={
            "list": ("/sites$",), "probe": ("/sites$",), "details": (r"/sites/\d+$",), "power": ("/power$",),
            "energy": ("/energy$",), "devices": ("/devices$",), "alerts": ("/alerts$",),
        },
        words=("W", "WH", "kW", "QUARTER_HOUR", "DAY", "INVERTER", "OPEN", "CLOSED"),
        recorded={"site alerts": lambda site: (f"/v2/sites/{site}/alerts", {})},
    ),
    "solaredge v1": Way(
        vendor="solaredge", method="v1", dialect="v1",
        calls={
            "list": ("/list$",), "probe": ("/list$",), "details": ("/details$", "/overview$"), "power": ("/power$",),
            "energy": ("/energy$",), "devices": ("/inventory$",),
        },
        words=("QUARTER_OF_AN_HOUR", "DAY", "Wh", "kWh", "W"),
        recorded={
            "bulk power": lambda site: (f"/sites/{site}/power", V1_HOURS),
            "bulk energy": lambda site: (f"/sites/{site}/energy", V1_DAYS),
        },
    ),
    "tigo": Way(
        vendor="tigo", method="password",
        calls={
            "login": ("/login$",), "list": ("/systems$",), "probe": ("/systems$", "/summary$"),
            "details": ("/systems/view$", "/sources/system$", "/alerts/system$", "/alerts/types$"),
            "devices": ("/layout$", "/objects/system$", "/sources/system$"), "summary": ("/summary$",),
            "curve": ("/combined$",), "daily": ("/combined$",), "panels": ("/layout$", "/aggregate$"),
        },
        words=("on", "off", "2026-06-01T10:58:00.000-07:00", "Datetime", "string shutdown"),
        # An alert without a title has its kind looked up.
        bent=lambda body: body.replace(b'"title":', b'"headline":'),
        headers=("x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"),
    ),
    "generac": Way(
        vendor="generac", method="public_profile", before=("list", "state"),
        calls={
            "state": (r" /\d+\.json$",), "details": ("/users/",), "power": ("/power/",), "energy": ("/energy/",),
            "probe": ("/users/",),
        },
        words=("2026-06-01 17:30:05 UTC", "000100030001", "000100080003", "2026-11-01 01:30:00 CST", "845", "--"),
        headers=("location", "content-type"),
        credentials=lambda service: {**service.credentials, "epoch_base": "local"},
    ),
    "generac undecided": Way(
        vendor="generac", method="public_profile", calls={"state": (r" /\d+\.json$", "/power/")},
        words=("2026-06-01 17:30:05 UTC", "000100030001"),
    ),
    "generac login": Way(
        vendor="generac", method="login", before=(),
        calls={"login": ("GET /login", "POST /login", "GET /dashboard"), "probe": ("GET /dashboard",)},
        headers=("location", "content-type"), credentials=lambda service: {**service.sign_in, "epoch_base": "auto"},
    ),
}  # fmt: skip
READ = [(way, asked, call) for way, w in WAYS.items() for asked, calls in w.calls.items() for call in calls] + [
    (way, asked, "") for way, w in WAYS.items() for asked in w.recorded
]
"""(way, what is asked for, the call whose answer is spoiled)."""
READ_ELSEWHERE = [
    *((way, "probe", call) for way, w in WAYS.items() if {"list", "login"} & set(w.calls)
      for call in w.calls.get("probe", ())),
    ("tigo", "devices", "/sources/system$"), ("tigo", "panels", "/layout$"),
]  # fmt: skip
"""What asks another one's question: its reader has its examples there."""


@dataclasses.dataclass(frozen=True)
class Known:
    """True answers to all that one question asks, and what was known before it."""

    site: str
    credentials: Mapping[str, str]
    memory: Mapping[str, str]
    device_ids: frozenset[str]
    true: Mapping[str, Exchange]

    @property
    def secrets(self) -> list[str]:
        open_ones = {"profile_ids", "epoch_base", "username", "email"}
        return [value for name, value in self.credentials.items() if name not in open_ones and len(value) >= 8]


@cache
def service(way: str) -> Service:
    found = service_of(WAYS[way].vendor).speaking(WAYS[way].dialect)
    faults = {"string_shutdown": 1.0} if WAYS[way].vendor == "tigo" else {}
    return found(World(seed=1, sites=9, panels=4), found.DEFAULT_PLAN, lambda: float(NOON), faults)


@cache
def known(way: str, asked: str) -> Known:
    """The first site whose answers hold every call that is to be spoiled."""
    w = WAYS[way]
    credentials = w.credentials(service(way))
    for site in sites(way):
        memory: dict[str, str] = {}
        devices: frozenset[str] = frozenset()
        session = Tapped(service(way), w.bent)
        for question in (*w.before, asked):
            if question == "login":
                memory.clear()
            if question in w.recorded:
                path, params = w.recorded[question](site)
                extra = {"api_key": credentials["api_key"]} if w.dialect == "v1" else {}
                session.request("GET", path, params=(params | extra).items(), headers=_headers(credentials, memory))
                continue
            before = dict(memory)
            answer = ask(way, question, session, site, credentials, memory, devices)
            devices |= {device.vendor_device_id for device in answer.devices or ()}
        calls = w.calls.get(asked, ())
        if all(any(re.search(call, key) for key in session.taken) for call in calls):
            return Known(site, credentials, memory if asked in w.recorded else before, devices, session.taken)
    raise AssertionError(f"no site has all of {asked}")


def _headers(credentials: Mapping[str, str], memory: Mapping[str, str]) -> dict[str, str]:
    key = credentials["api_key"]
    token = memory.get("access_token")
    if token:
        return {"key": key, "Authorization": f"Bearer {token}"}
    return {"X-API-Key": key, "X-Account-Key": credentials.get("account_key", "")}


def sites(way: str) -> list[str]:
    names = ("system_id", "site_id", "profile_id")
    return [str(next(getattr(view, n) for n in names if hasattr(view, n))) for view in service(way).views()]  # type: ignore[attr-defined]  # every service over HTTP has views


def ask(
    way: str, asked: str, session: Any, site: str, credentials: Mapping[str, str], memory: dict[str, str],
    devices: frozenset[str],
) -> Answer:  # fmt: skip
    found = connector(WAYS[way].vendor)
    method = found.vendor.method(WAYS[way].method)
    assert method is not None

    def remember(values: Mapping[str, str]) -> None:
        taken = dict(values)
        memory.clear()
        memory.update(taken)

    plan = found.vendor.plan(method.plans[-1])
    assert plan is not None
    access = Access(
        method=method.id, plan=plan, credentials=credentials, session=session, recall=lambda: dict(memory),
        remember=remember, login_lease=no_lease, now=lambda: float(NOON),
    )  # fmt: skip
    if asked == "probe":
        seen = found.probe(access)
        check_sites(seen.sites)
        assert seen.total >= len(seen.sites)
        return Answer()
    if asked in {"list", "login"}:
        return found.list_sites(access)
    resource = found.vendor.resource(asked)
    if resource is not None and not resource.per_site:
        refs = [SiteRef(vendor_site_id=site, timezone=ZONE)] if resource.settles else []
        return found.fetch_account(access, asked, refs, HOURS)
    ref = SiteRef(vendor_site_id=site, timezone=ZONE, device_ids=devices)
    return found.fetch(access, asked, ref, DAYS if asked in DAILY else HOURS)


def recorded(way: str, asked: str, response: Response | None) -> list[Answer]:
    """What a recording of an address says, with its true answer or another one."""
    w = WAYS[way]
    k = known(way, asked)
    path, _ = w.recorded[asked](k.site)
    exchange = k.true[f"GET {path}"]
    given_ = response or exchange.response
    exchange = Exchange(
        method="GET", params=exchange.params, at=exchange.at,
        response=Response(given_.status, given_.headers, given_.body, path),
    )  # fmt: skip
    found = reader_of(connector(w.vendor).readers, "GET", path)
    assert found is not None
    return list(found[0](exchange, Seen(timezone=ZONE), found[1]).values())


def read(way: str, asked: str, call: str, response: Response | None) -> list[Answer]:
    """What comes of a question when that call is answered so, nothing for a VendorError; checked to be usable."""
    k = known(way, asked)
    memory = {} if asked == "login" else dict(k.memory)
    try:
        if asked in WAYS[way].recorded:
            found = recorded(way, asked, response)
        else:
            session = Canned(k.true, call if response else "^$", response or Response(200, {}, b"", ""))
            found = [ask(way, asked, session, k.site, k.credentials, memory, k.device_ids)]
    except VendorError as error:
        check_error(error, k.secrets)
        return []
    for answer in found:
        check(answer)
    return found


def true_response(way: str, asked: str, call: str) -> Response:
    k = known(way, asked)
    if asked in WAYS[way].recorded:
        return k.true[f"GET {WAYS[way].recorded[asked](k.site)[0]}"].response
    return next(exchange.response for key, exchange in k.true.items() if re.search(call, key))


@cache
def any_answer(way: str, asked: str, call: str) -> st.SearchStrategy[Response]:
    own = [*WAYS[way].words, *known(way, asked).secrets, known(way, asked).site]
    return answers(true_response(way, asked, call), anything | st.sampled_from(own), WAYS[way].headers)


@pytest.mark.parametrize(("way", "asked", "call"), READ)
def test_the_true_answer_is_read(way: str, asked: str, call: str) -> None:
    found = read(way, asked, call, None)
    assert found
    for a in found:
        said = a.sites or a.devices or a.readings or a.alerts is not None or a.site_alerts is not None
        assert asked == "probe" or said


def test_every_address_that_a_vendor_reads_is_among_these() -> None:
    asked: dict[str, set[tuple[str, str]]] = {}
    for way, question, _ in READ:
        keys = (key.split(" ", 1) for key in known(way, question).true)
        asked.setdefault(WAYS[way].vendor, set()).update((method, path) for method, path in keys)
    for vendor, addresses in asked.items():
        for method, pattern, _ in connector(vendor).readers:
            assert any(m == method and re.fullmatch(pattern, path) for m, path in addresses), (vendor, pattern)


@pytest.mark.parametrize(("way", "asked", "call"), [one for one in READ if one not in READ_ELSEWHERE])
def test_a_spoiled_or_refused_answer_ends_in_values_or_in_one_error(way: str, asked: str, call: str) -> None:
    # A strategy of its own for each reader: one that is drawn inside of the test takes twice as long.
    @FUZZ
    @given(response=any_answer(way, asked, call))
    def holds(response: Response) -> None:
        read(way, asked, call, response)

    holds()


@pytest.mark.parametrize(("way", "asked", "call"), READ)
def test_a_hostile_answer_ends_in_values_or_in_one_error(way: str, asked: str, call: str) -> None:
    for body in HOSTILE:
        read(way, asked, call, Response(200, {"content-type": "application/json"}, body, ""))


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
@pytest.mark.parametrize(("way", "asked", "call"), READ)
def test_a_refusal_that_repeats_a_secret_is_told_without_it(way: str, asked: str, call: str, status: int) -> None:
    for secret in known(way, asked).secrets:
        body = dict.fromkeys(("message", "detail", "details", "error_description"), f"the key {secret} is not known")
        read(way, asked, call, Response(status, {}, json.dumps(body).encode(), ""))


@pytest.mark.parametrize("vendor", sorted({way.vendor for way in WAYS.values()}))
@FUZZ
@given(start=st.integers(NOON - 3 * 366 * 86_400, NOON), length=st.integers(1, 400 * 86_400))
def test_pieces_of_any_span_join_without_a_hole(vendor: str, start: int, length: int) -> None:
    for resource in connector(vendor).vendor.history:
        found = connector(vendor).chunks(resource, Span(start, start + length))[::-1]
        assert (found[0].start, found[-1].end) == (start, start + length)
        assert all(a.end == b.start and a.start < a.end for a, b in pairwise(found))
