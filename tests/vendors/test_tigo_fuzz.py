"""Whatever Tigo answers, its reader ends in values or in one VendorError."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from vendor_doors import NOON, site_ref

from sungaze.clock import EARLIEST, LATEST
from sungaze.emulators import World
from sungaze.emulators._registry import SERVICES
from sungaze.emulators._service import Request
from sungaze.errors import QuotaSpent, Unavailable, VendorError
from sungaze.model import METRICS, SiteFacts, Span
from sungaze.vendors._contract import Access, Answer, Response
from sungaze.vendors.tigo import CONNECTOR, VENDOR

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
CALLS = {
    "list": ("systems",),
    "probe": ("systems", "summary"),
    "login": ("login",),
    "details": ("view", "sources/system", "alerts/system", "types"),
    "devices": ("layout", "objects/system", "sources/system"),
    "summary": ("summary",),
    "curve": ("combined",),
    "daily": ("combined",),
    "panels": ("layout", "aggregate"),
}
READERS = [(resource, call) for resource, calls in CALLS.items() for call in calls]
TABLES = [("curve", "combined"), ("daily", "combined"), ("panels", "aggregate")]

numbers = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 10**18, 10**30, -(10**400), 10**400, NOON, 1e300, 2**63, 253402300800]),
    st.floats(allow_nan=True, allow_infinity=True),
)
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-06-01T24:00:00Z", "2026-W01-1", "null", "on",
         "off", "US/Central", "../x", "12", "\u0000", "Datetime", "٣", "1e999", "2026-06-01T10:58:00.000-07:00"]
    ),
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
cells = st.one_of(
    texts,
    numbers.map(str),
    st.sampled_from(
        ["Datetime", "datetime", "", "NaN", "2026/06/01 12:00:00", "2026/11/01 01:30:00", "2026/03/08 02:30:00",
         "2200/01/01 00:00:00", "1989/01/01 00:00:00", "2026/06/01 24:00:00", "1000000", "-0.0", '"5"', "1,2", "\r"]
    ),
)  # fmt: skip
lines = st.lists(st.lists(cells, max_size=4).map(",".join), max_size=8).map("\n".join)


@contextmanager
def no_lease() -> Any:
    yield


@cache
def truths(resource: str) -> Mapping[str, bytes]:
    """Whole true answers of the emulator by the end of their path, cut down to a few rows."""
    service = SERVICES["tigo"](
        World(seed=1, sites=2, panels=2), "premium", lambda: float(NOON), {"string_shutdown": 1.0}
    )
    taken: dict[str, bytes] = {}

    class Tapped:
        def request(self, method: str, path: str, **options: Any) -> Response:
            query: dict[str, list[str]] = {name: [value] for name, value in options.get("params", ())}
            service._authenticate = lambda request: None  # type: ignore[attr-defined]  # read with any token
            service._login = lambda request: {"user": {"auth": "t", "expires": "2027-01-01T00:00:00Z"}}  # type: ignore[attr-defined]  # likewise
            answer = service.answer(Request(method, path, query, {}, b""))
            assert answer.status == 200, answer.body
            taken[path] = shortened(answer.body)
            return Response(200, {}, answer.body, path)

    number = service.views()[0].system_id  # type: ignore[attr-defined]  # Tigo's own
    Tapped().request("GET", "/api/v3/users/login")
    Tapped().request("GET", "/api/v3/alerts/types")
    ask(resource, Tapped(), site=str(number))
    return taken


def shortened(body: bytes) -> bytes:
    def cut(value: Any) -> Any:
        if isinstance(value, list):
            return [cut(item) for item in value[-3:]]
        return {name: cut(item) for name, item in value.items()} if isinstance(value, dict) else value

    if body[:1] == b"{":
        return json.dumps(cut(json.loads(body))).encode()
    return b"\n".join([*body.split(b"\n")[:2], *body.split(b"\n")[-4:]])


@dataclasses.dataclass
class Canned:
    """Gives true answers, but another one to the paths that end in `call`; no more than fifty."""

    resource: str
    call: str
    body: bytes
    status: int = 200
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    left: int = 50

    def request(self, method: str, path: str, **options: Any) -> Response:
        self.left -= 1
        assert self.left, "it asks without end"
        if path.endswith(self.call):
            return Response(self.status, self.headers, self.body, path)
        return Response(200, {}, truths(self.resource)[path], path)


def ask(resource: str, session: Any, site: str = "1") -> Answer | None:
    memory = {} if resource == "login" else {"token": "t", "expires_at": str(NOON + 10**7)}
    access = Access(
        method="password", plan=VENDOR.plans[0], credentials={"username": "u-6721", "password": "p-6722"},
        session=session, recall=lambda: dict(memory), remember=memory.update, login_lease=no_lease,
        now=lambda: float(NOON),
    )  # fmt: skip
    if resource == "probe":
        seen = CONNECTOR.probe(access)
        assert seen.total >= len(seen.sites)
        return None
    if resource in {"list", "login"}:
        return CONNECTOR.list_sites(access)
    return CONNECTOR.fetch(access, resource, site_ref(site), DAYS if resource == "daily" else HOURS)


def read(session: Canned) -> Answer | None:
    """What the reader of a resource makes of an answer, None for a VendorError; checked to be usable."""
    try:
        answer = ask(session.resource, session)
    except VendorError as error:
        check_error(error)
        return None
    if answer is None:
        return None
    ids = [device.vendor_device_id for device in answer.devices or ()]
    assert len(set(ids)) == len(ids), "a device comes twice"
    keys = set()
    for r in answer.readings:
        assert r.metric_name in METRICS
        assert isinstance(r.value, float)
        assert EARLIEST <= r.timestamp < LATEST
        assert r.interval_s == 0 or r.timestamp <= NOON
        keys.add((r.vendor_device_id, r.metric_name, r.interval_s, r.timestamp))
    assert len(keys) == len(answer.readings), "a reading comes twice"
    for site in answer.sites:
        check_site(site)
    numbers_of = [alert.vendor_alert_id for alert in answer.alerts or ()]
    assert len(set(numbers_of)) == len(numbers_of), "an alert comes twice"
    for alert in answer.alerts or ():
        assert EARLIEST <= alert.timestamp < LATEST
        assert alert.resolved_at is None or alert.resolved_at >= alert.timestamp
        assert alert.description
    return answer


def check_error(error: VendorError) -> None:
    assert len(str(error)) < 600
    assert "p-6722" not in str(error)
    if isinstance(error, QuotaSpent):
        assert NOON < error.until <= NOON + 3_601
    if isinstance(error, Unavailable):
        assert 0 < error.retry_after_s <= 3_600


def check_site(site: SiteFacts) -> None:
    assert site.vendor_site_id.isdigit()
    assert site.peak_power_kw is None or 0 < site.peak_power_kw < 1e10
    assert site.latitude is None or -90 <= site.latitude <= 90
    assert site.last_report_at is None or EARLIEST <= site.last_report_at < LATEST


@pytest.mark.parametrize(("resource", "call"), READERS)
@FEW
@given(body=st.binary(max_size=60))
@example(body=b"[" * 100_000)
@example(body=b'{"a":' * 100_000)
@example(body=b"\xef\xbb\xbfDatetime,1\n2026/06/01 12:00:00,5\n")
def test_any_bytes_end_in_values_or_in_one_error(resource: str, call: str, body: bytes) -> None:
    read(Canned(resource, call, body))


@pytest.mark.parametrize(("resource", "call"), [pair for pair in READERS if pair not in TABLES])
@FEW
@given(value=anything)
def test_any_json_ends_in_values_or_in_one_error(resource: str, call: str, value: Any) -> None:
    read(Canned(resource, call, json.dumps(value).encode()))


@pytest.mark.parametrize(("resource", "call"), TABLES)
@FEW
@given(text=lines)
def test_any_table_ends_in_values_or_in_one_error(resource: str, call: str, text: str) -> None:
    read(Canned(resource, call, ("Datetime,1\n" + text).encode("utf-8", "replace")))


def true_body(resource: str, call: str) -> bytes:
    return next(body for path, body in truths(resource).items() if path.endswith(call))


@pytest.mark.parametrize(("resource", "call"), READERS)
def test_the_true_answer_is_read(resource: str, call: str) -> None:
    answer = read(Canned(resource, call, true_body(resource, call)))
    assert resource == "probe" or (answer and (answer.sites or answer.devices or answer.readings))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [path, *(place for name, item in inside for place in places(item, (*path, name)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize(("resource", "call"), [pair for pair in READERS if pair not in TABLES])
@FEW
@given(data=st.data())
def test_a_true_answer_with_a_part_changed_ends_in_values_or_in_one_error(
    resource: str, call: str, data: st.DataObject
) -> None:
    value = json.loads(true_body(resource, call))
    for _ in range(data.draw(st.integers(1, 3))):
        value = replaced(value, data.draw(st.sampled_from(places(value))), data.draw(anything))
    read(Canned(resource, call, json.dumps(value).encode()))


@pytest.mark.parametrize(("resource", "call"), TABLES)
@FEW
@given(data=st.data())
def test_a_true_table_with_cells_changed_ends_in_values_or_in_one_error(
    resource: str, call: str, data: st.DataObject
) -> None:
    table = [line.split(",") for line in true_body(resource, call).decode().split("\n")]
    for _ in range(data.draw(st.integers(1, 4))):
        line = data.draw(st.sampled_from(table))
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(cells)
    read(Canned(resource, call, "\n".join(map(",".join, table)).encode("utf-8", "replace")))


@pytest.mark.parametrize(("resource", "call"), READERS)
@FEW
@given(data=st.data())
def test_a_true_answer_cut_or_scratched_ends_in_values_or_in_one_error(
    resource: str, call: str, data: st.DataObject
) -> None:
    body = bytearray(true_body(resource, call))
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    read(Canned(resource, call, bytes(body[: data.draw(st.integers(0, len(body)))])))


@pytest.mark.parametrize(("resource", "call"), [("list", "systems"), ("curve", "combined"), ("login", "login")])
@settings(FEW, max_examples=3_000 if SOAK else 100)
@given(
    status=st.sampled_from([200, 204, 301, 400, 401, 403, 404, 405, 415, 418, 422, 429, 500, 503, 599]),
    body=st.dictionaries(st.sampled_from(["name", "message", "code", "status"]), anything) | anything,
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"]),
        texts | numbers.map(str),
        max_size=4,
    ),
)
def test_any_refusal_ends_in_one_error(resource: str, call: str, status: int, body: Any, headers: Any) -> None:
    read(Canned(resource, call, json.dumps(body).encode(), status, headers))
