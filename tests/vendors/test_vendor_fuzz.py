"""Whatever a vendor answers, its reader ends in values or in one VendorError."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from vendor_doors import ALIVE, ENPHASE_CREDENTIALS, NOON, site_ref

from sungaze.emulators import World
from sungaze.emulators._registry import SERVICES
from sungaze.emulators._service import Request
from sungaze.errors import VendorError
from sungaze.model import METRICS, SiteFacts, Span
from sungaze.vendors import connector
from sungaze.vendors._contract import Access, Answer, Response

SOAK = os.environ.get("SUNGAZE_SOAK") == "1"
pytestmark = [pytest.mark.soak] if SOAK else []
FEW = settings(
    deadline=None,
    max_examples=3_000 if SOAK else 60,
    derandomize=not SOAK,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
DAYS = Span(NOON - 4 * 86_400, NOON)
HOURS = Span(NOON - 12 * 3600, NOON)
READERS = [
    ("enphase", resource) for resource in ("list", "probe", "curve", "panels", "summary", "devices", "daily",
                                           "inverters", "login")
] + [("solaredge", resource) for resource in ("list", "probe", "details", "power", "energy", "devices")]  # fmt: skip

numbers = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 10**18, 10**30, -(10**400), 10**400, NOON, NOON * 1000, 1e300, 2**63, 253402300800]),
    st.floats(allow_nan=True, allow_infinity=True),
)
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["0001-01-01", "9999-12-31", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-06-01",
         "2026-06-01T24:00:00Z", "2026-W01-1", "US/Central", "../x", "W", "WH", "QUARTER_HOUR", "DAY", "\u0000"]
    ),
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


class Canned:
    """A session that gives the same answer to every question, and no more than fifty times."""

    def __init__(self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self._answer = Response(status, headers or {}, body, "/api/v4/systems/1/x")
        self._left = 50

    def request(self, *args: Any, **options: Any) -> Response:
        self._left -= 1
        assert self._left, "it asks without end"
        return self._answer


@contextmanager
def no_lease() -> Any:
    yield


def read(vendor: str, resource: str, session: Any) -> Answer | None:
    """What the reader of a resource makes of an answer, None for a VendorError; checked to be usable."""
    found = connector(vendor)
    plan = found.vendor.plans[-1]
    access = Access(
        method=found.vendor.methods[0].id, plan=plan, credentials=ENPHASE_CREDENTIALS, session=session,
        recall=lambda: {} if resource == "login" else dict(ALIVE), remember=lambda _: None, login_lease=no_lease,
        now=lambda: float(NOON),
    )  # fmt: skip
    try:
        if resource == "probe":
            seen = found.probe(access)
            check_sites(seen.sites)
            return None
        if resource in {"list", "login"}:
            answer = found.list_sites(access)
        else:
            answer = found.fetch(access, resource, site_ref(1), DAYS if resource in {"daily", "energy"} else HOURS)
    except VendorError as error:
        check_error(error)
        return None
    check_sites(answer.sites)
    keys = [device.vendor_device_id for device in answer.devices or ()]
    assert len(set(keys)) == len(keys), "a device comes twice"
    for reading in answer.readings:
        assert reading.metric_name in METRICS
        assert 0 < reading.timestamp < 2**33
        assert isinstance(reading.value, float)
    return answer


def check_error(error: VendorError) -> None:
    assert 0 < len(str(error)) < 600
    assert 0 <= getattr(error, "until", NOON) - NOON <= 32 * 86_400
    assert 1 <= getattr(error, "retry_after_s", 1) <= 3600


def check_sites(sites: Any) -> None:
    ids = [site.vendor_site_id for site in sites]
    assert len(set(ids)) == len(ids) or not isinstance(sites, list), "a site comes twice"
    for site in sites:
        assert isinstance(site, SiteFacts)
        assert site.peak_power_kw is None or 0 < site.peak_power_kw < 1e10
        if site.installed_on is not None:
            dt.date.fromisoformat(site.installed_on)
        for moment in (site.last_report_at, site.last_energy_at):
            assert moment is None or 0 < moment < 2**33


@pytest.mark.parametrize(("vendor", "resource"), READERS)
@FEW
@given(body=st.binary(max_size=60))
@example(body=b"[" * 100_000)
@example(body=b'{"a":' * 100_000)
@example(body=b"\xef\xbb\xbf{}")
def test_any_bytes_end_in_values_or_in_one_error(vendor: str, resource: str, body: bytes) -> None:
    read(vendor, resource, Canned(body))


@pytest.mark.parametrize(("vendor", "resource"), READERS)
@FEW
@given(value=anything)
def test_any_json_ends_in_values_or_in_one_error(vendor: str, resource: str, value: Any) -> None:
    read(vendor, resource, Canned(json.dumps(value).encode()))


@cache
def valid(vendor: str, resource: str) -> bytes:
    """A whole true answer of the emulator, cut down to a few rows."""
    service = SERVICES[vendor](World(seed=1, sites=2, panels=2), SERVICES[vendor].DEFAULT_PLAN, lambda: NOON, {})
    taken: list[bytes] = []

    class Tapped:
        def request(self, method: str, path: str, **options: Any) -> Response:
            query: dict[str, list[str]] = {}
            for name, value in options.get("params", ()):
                query.setdefault(name, []).append(value)
            given_headers = {name.lower(): value for name, value in (options.get("headers") or {}).items()}
            if vendor == "solaredge":
                given_headers["x-api-key"] = service.credentials["api_key"]
            else:
                given_headers["key"] = service.credentials["api_key"]
            answer = service.answer(Request(method, path, query, given_headers, b""))
            assert answer.status == 200, answer.body
            taken.append(answer.body)
            return Response(answer.status, {}, answer.body, path)

    if vendor == "enphase":
        service._admit = lambda request: None  # type: ignore[attr-defined]  # the login is not what is read here
    site_id = str(service.views()[0].system_id if vendor == "enphase" else service.views()[0].site_id)  # type: ignore[attr-defined]  # each vendor's own
    found = connector(vendor)
    access = Access(
        method=found.vendor.methods[0].id, plan=found.vendor.plans[-1], credentials=ENPHASE_CREDENTIALS,
        session=Tapped(), recall=lambda: dict(ALIVE), remember=lambda _: None, login_lease=no_lease,
        now=lambda: float(NOON),
    )  # fmt: skip
    if resource in {"list", "probe", "login"}:
        found.list_sites(access)
    else:
        found.fetch(access, resource, site_ref(site_id), DAYS if resource in {"daily", "energy"} else HOURS)
    return json.dumps(shortened(json.loads(taken[0]))).encode()


def shortened(value: Any) -> Any:
    if isinstance(value, list):
        return [shortened(item) for item in value[-3:]]
    return {name: shortened(item) for name, item in value.items()} if isinstance(value, dict) else value


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [path, *(place for name, item in inside for place in places(item, (*path, name)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


TRUE_READERS = [pair for pair in READERS if pair[1] != "login"]


@pytest.mark.parametrize(("vendor", "resource"), TRUE_READERS)
def test_the_true_answer_is_read(vendor: str, resource: str) -> None:
    answer = read(vendor, resource, Canned(valid(vendor, resource)))
    assert resource == "probe" or (answer and (answer.sites or answer.devices or answer.readings))


@pytest.mark.parametrize(("vendor", "resource"), TRUE_READERS)
@FEW
@given(data=st.data())
def test_a_true_answer_with_a_part_changed_ends_in_values_or_in_one_error(
    vendor: str, resource: str, data: st.DataObject
) -> None:
    value = json.loads(valid(vendor, resource))
    for _ in range(data.draw(st.integers(1, 3))):
        value = replaced(value, data.draw(st.sampled_from(places(value))), data.draw(anything))
    read(vendor, resource, Canned(json.dumps(value).encode()))


@pytest.mark.parametrize(("vendor", "resource"), TRUE_READERS)
@FEW
@given(data=st.data())
def test_a_true_answer_cut_or_scratched_ends_in_values_or_in_one_error(
    vendor: str, resource: str, data: st.DataObject
) -> None:
    body = bytearray(valid(vendor, resource))
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    read(vendor, resource, Canned(bytes(body[: data.draw(st.integers(0, len(body)))])))


HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "x-ratelimit-remaining-minute"]), texts | numbers.map(str), max_size=2
)


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
@settings(FEW, max_examples=3_000 if SOAK else 200)
@given(
    status=st.sampled_from([200, 204, 301, 400, 401, 403, 404, 405, 410, 418, 422, 429, 500, 503, 599]),
    body=st.dictionaries(
        st.sampled_from(
            ["message", "details", "code", "error", "period", "period_end", "detail", "title", "error_description"]
        ),
        anything,
    )
    | anything,
    headers=HEADERS,
)
def test_any_refusal_ends_in_one_error(vendor: str, status: int, body: Any, headers: Any) -> None:
    read(vendor, "list", Canned(json.dumps(body).encode(), status, headers))


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
@FEW
@given(start=st.integers(NOON - 3 * 366 * 86_400, NOON), length=st.integers(1, 400 * 86_400))
def test_pieces_of_any_span_join_without_a_hole(vendor: str, start: int, length: int) -> None:
    pieces: Callable[[str, Span], list[Span]] = connector(vendor).chunks
    for resource in connector(vendor).vendor.history:
        found = pieces(resource, Span(start, start + length))[::-1]
        assert (found[0].start, found[-1].end) == (start, start + length)
        assert all(a.end == b.start and a.start < a.end for a, b in pairwise(found))
