"""Whatever Generac's pages hold, they end in values or in one VendorError."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from vendor_doors import NOON, site_ref

from sungaze.emulators import World
from sungaze.emulators._registry import SERVICES
from sungaze.emulators._service import Request
from sungaze.errors import VendorError
from sungaze.model import METRICS, Severity, Span
from sungaze.vendors._contract import Access, Response
from sungaze.vendors.generac import CONNECTOR, VENDOR, merged, pasted_cookies, read_form, read_profile_ids, read_title

SOAK = os.environ.get("SUNGAZE_SOAK") == "1"
pytestmark = [pytest.mark.soak] if SOAK else []
FEW = settings(
    deadline=None,
    max_examples=12_500 if SOAK else 60,
    derandomize=not SOAK,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
READERS = ["state", "power", "energy", "details", "list", "login", "cookie"]
PAGES = {"details", "list", "login", "cookie"}
IDS = ["000100030001", "000100030002"]

numbers = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 10**18, 10**30, -(10**400), 10**400, NOON, NOON * 1000, 1e300, 2**63, 253402300800]),
    st.floats(allow_nan=True, allow_infinity=True),
)
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["2026-06-01 17:30:05 UTC", "0001-01-01 00:00:00 +2359", "9999-12-31 23:59:59 -2359", "2026-11-01 01:30:00 CST",
         "9999-12-31 23:59:59", "845", "1e999", "nan", "000100030001", "--", "\u0000"]
    ),
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
devices = st.fixed_dictionaries(
    {},
    optional={
        "s": st.sampled_from([*IDS, "000100020000", "000100080003", ""]) | anything,
        "st": st.integers(-5, 0x9000) | anything,
        **dict.fromkeys(("n", "t", "p", "et", "up", "ti", "O5"), anything),
    },
)
rows = st.tuples(
    st.integers(NOON - 400 * 86_400, NOON + 400 * 86_400) | numbers, numbers | st.none(), st.booleans() | anything
)
cookies = st.lists(
    st.text(max_size=30) | st.sampled_from(["session=a; Path=/", "remember_token=b", "session=; x"]), max_size=3
)
SIGN_IN = b"<form action=/login method=POST><input name=email><input type=password name=password></form>"


class Canned:
    """A session that gives the same answer to every question, and no more than fifty times."""

    def __init__(self, body: bytes, status: int = 200, kind: str = "", more: Any = None, login: bool = False) -> None:
        headers = {"content-type": kind, **(more or {})}
        self._answer = Response(status, headers, body, "/login", ())
        self._login = Response(200, {"content-type": "text/html"}, SIGN_IN, "/login", ("session=a",)) if login else None
        self._left = 50

    def request(self, method: str, path: str, **options: Any) -> Response:
        self._left -= 1
        assert self._left, "it asks without end"
        assert method == "POST" or "form" not in options or options["form"] is None
        return self._login if self._login and path == "/login" and method == "GET" else self._answer


@contextmanager
def no_lease() -> Any:
    yield


def read(resource: str, session: Any, base: str = "local", zone: str | None = "America/Chicago") -> Any:
    """What the reader of a resource makes of an answer, None for a VendorError; checked to be usable."""
    method = {"login": "login", "cookie": "cookie", "list": "cookie"}.get(resource, "public_profile")
    memory = {"site:1234567": json.dumps({"ids": IDS})}
    access = Access(
        method=method, plan=VENDOR.plans[0],
        credentials={"profile_ids": "1234567" if method == "public_profile" else "", "epoch_base": base,
                     "email": "a@b.example", "password": "pass-6711", "cookie": "remember_token=x; session=y"},
        session=session, recall=lambda: dict(memory), remember=memory.update, login_lease=no_lease,
        now=lambda: float(NOON),
    )  # fmt: skip
    try:
        if resource in {"list", "login", "cookie"}:
            CONNECTOR.probe(access)
            answer = CONNECTOR.list_sites(access)
        else:
            answer = CONNECTOR.fetch(access, resource, site_ref(1234567, zone), Span(NOON - 7 * 86_400, NOON))
    except VendorError as error:
        check_error(error)
        return None
    check(answer)
    return answer


def check_error(error: VendorError) -> None:
    assert 0 < len(str(error)) < 600
    assert "pass-6711" not in str(error)
    assert 1 <= getattr(error, "retry_after_s", 1) <= 86_400


def check(answer: Any) -> None:
    ids = [site.vendor_site_id for site in answer.sites]
    assert len(set(ids)) == len(ids)
    assert all(id_.isdigit() for id_ in ids)
    keys = [device.vendor_device_id for device in answer.devices or ()]
    assert len(set(keys)) == len(keys)
    assert all(keys)
    named = {(r.vendor_device_id, r.metric_name, r.interval_s, r.timestamp) for r in answer.readings}
    assert len(named) == len(answer.readings), "a reading comes twice"
    for reading in answer.readings:
        assert reading.metric_name in METRICS
        assert 0 < reading.timestamp < 2**33
        assert isinstance(reading.value, float)
    alerts = [alert.vendor_alert_id for alert in answer.alerts or ()]
    assert len(set(alerts)) == len(alerts)
    assert all(alert.severity in Severity and 0 < alert.timestamp < 2**33 for alert in answer.alerts or ())


@pytest.mark.parametrize("resource", READERS)
@FEW
@given(body=st.binary(max_size=60), kind=st.sampled_from(["", "application/json", "text/html"]))
@example(body=b"[" * 100_000, kind="application/json")
@example(body=b'{"dvcs":' * 100_000, kind="application/json")
@example(body=b"\xef\xbb\xbf{}", kind="")
@example(body=b"<" * 50_000, kind="text/html")
@example(body=b"<div>" * 20_000, kind="text/html")
def test_any_bytes_end_in_values_or_in_one_error(resource: str, body: bytes, kind: str) -> None:
    read(resource, Canned(body, kind=kind))
    read(resource, Canned(body, kind=kind, login=True))


@pytest.mark.parametrize("resource", ["state", "power", "energy"])
@FEW
@given(value=anything)
def test_any_json_ends_in_values_or_in_one_error(resource: str, value: Any) -> None:
    read(resource, Canned(json.dumps(value).encode(), kind="application/json"))


@settings(FEW, max_examples=50_000 if SOAK else 250)
@given(listed=st.lists(devices, max_size=4), zone=st.sampled_from(["America/Chicago", "Asia/Kolkata", None]))
def test_any_devices_end_in_values_or_in_one_error(listed: Any, zone: Any) -> None:
    read("state", Canned(json.dumps({"dvcs": listed}).encode(), kind="application/json"), zone=zone)


@pytest.mark.parametrize("resource", ["power", "energy"])
@settings(FEW, max_examples=25_000 if SOAK else 250)
@given(
    series=st.lists(rows, max_size=6),
    base=st.sampled_from(["local", "utc"]),
    zone=st.sampled_from(["America/Chicago", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"]),
)
def test_any_rows_end_in_values_or_in_one_error(resource: str, series: Any, base: str, zone: str) -> None:
    read(resource, Canned(json.dumps(series).encode(), kind="application/json"), base, zone)


@pytest.mark.parametrize("resource", READERS)
@FEW
@given(
    status=st.sampled_from([200, 204, 301, 302, 303, 307, 400, 401, 403, 404, 405, 410, 418, 429, 500, 503, 599]),
    body=st.sampled_from([b"", SIGN_IN, b"<html>", b"Access denied", b"{}"]),
    location=st.sampled_from(["", "/", "//x", "/login", "https://x", "http://[", "/\\x", "https://pwrcell.generac.com/a"])
    | st.text(max_size=10),
    wait=st.text(max_size=4),
)  # fmt: skip
def test_any_refusal_ends_in_values_or_in_one_error(
    resource: str, status: int, body: bytes, location: str, wait: str
) -> None:
    read(resource, Canned(body, status, "text/html", {"location": location, "retry-after": wait}, login=True))


@settings(FEW, max_examples=50_000 if SOAK else 500)
@given(
    html=st.text(max_size=60)
    | st.lists(
        st.sampled_from(["<form>", "</form>", "<input type=password name=p>", "<input name=e>", "<form action='//x'>",
                         "<form method=get>", "<title>", "A - B", "</title>", "/users/1234567", "/7654321.json", "\x00",
                         "<input type=hidden name=t value='\ud800'>", "<![CDATA[", "<!--", "&#0;", "'", '"', "<"]),
        max_size=12,
    ).map("".join)
)  # fmt: skip
def test_any_page_is_read_to_a_form_a_title_and_ids_or_none(html: str) -> None:
    form = read_form(html, "/login")
    assert form is None or (form.method == "POST" and form.action.startswith("/") and not form.action.startswith("//"))
    title = read_title(html)
    assert title is None or 0 < len(title) <= 120
    assert all(5 <= len(number) <= 12 for number in read_profile_ids(html))


@FEW
@given(text=st.text(max_size=60), lines=cookies)
def test_any_cookie_is_read(text: str, lines: list[str]) -> None:
    assert all(isinstance(name, str) and name for name in pasted_cookies(text))
    assert all(name.isascii() for name in merged({}, lines))


@cache
def valid(resource: str) -> bytes:
    """A true answer of the emulator, cut down to a few rows."""
    service = SERVICES["generac"](World(seed=1, sites=1, panels=2), "dashboard", lambda: float(NOON), {})
    view = service.views()[0]  # type: ignore[attr-defined]  # the vendor's own
    link = view.things[1].rcpn
    paths = {
        "state": f"/{view.profile_id}.json",
        "power": f"/power/{link}/now/172800.json",
        "energy": f"/energy/{link}/now/864000.json",
        "details": f"/users/{view.profile_id}",
    }
    answer = service.answer(Request("GET", paths[resource], {}, {}, b""))
    assert answer.status == 200
    return answer.body


@pytest.mark.parametrize("resource", ["state", "power", "energy", "details"])
def test_the_true_answer_is_read(resource: str) -> None:
    answer = read(resource, Canned(valid(resource), kind="text/html" if resource in PAGES else "application/json"))
    assert answer.sites or answer.devices or answer.readings


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [path, *(place for name, item in inside for place in places(item, (*path, name)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize("resource", ["state", "power", "energy"])
@settings(FEW, max_examples=25_000 if SOAK else 250)
@given(data=st.data())
def test_a_true_answer_with_a_part_changed_ends_in_values_or_in_one_error(resource: str, data: st.DataObject) -> None:
    value = json.loads(valid(resource))
    if isinstance(value, list):
        value = value[-4:]
    for _ in range(data.draw(st.integers(1, 3))):
        value = replaced(value, data.draw(st.sampled_from(places(value))), data.draw(anything))
    read(resource, Canned(json.dumps(value).encode(), kind="application/json"))


@pytest.mark.parametrize("resource", ["state", "power", "energy", "details"])
@FEW
@given(data=st.data())
def test_a_true_answer_cut_or_scratched_ends_in_values_or_in_one_error(resource: str, data: st.DataObject) -> None:
    body = bytearray(valid(resource))
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    read(resource, Canned(bytes(body[: data.draw(st.integers(0, len(body)))]), kind="application/json"))
