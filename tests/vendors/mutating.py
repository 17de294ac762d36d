"""How true answers are spoiled, and what may come of one: what the fuzz tests of every vendor share."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from vendor_doors import NOON

from sungaze import clock
from sungaze.clock import EARLIEST, LATEST
from sungaze.emulators._service import Request, Service
from sungaze.errors import QuotaSpent, Unavailable, VendorError
from sungaze.model import METRICS, AlertFacts, DeviceType, Reading, Severity, SiteFacts
from sungaze.vendors._contract import Answer, Exchange, Response

SOAK = os.environ.get("SUNGAZE_SOAK") == "1"
MARKS = [pytest.mark.soak] if SOAK else []
"""Under `make soak` these tests are its own, with so many more examples."""
EXAMPLES = int(os.environ.get("SUNGAZE_SOAK_EXAMPLES", "100000")) if SOAK else 500
FUZZ = settings(
    deadline=None,
    max_examples=EXAMPLES,
    derandomize=not SOAK,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
MOST_CALLS = 50

# An alphabet by hand: working out that of all of Unicode takes a process longer than most of these tests.
letters = st.text("aAzZ 0159٣-+:./,;'\"<>{}[]&%#_TZWhé\n\x00\u2028\U0001d7d9", max_size=12)
numbers = st.one_of(
    st.integers(),
    st.sampled_from(
        [0, -1, 65535, -32768, 10**15, 10**18, 10**30, -(10**400), 10**400, NOON, NOON * 1000, 1e300, 2**32, 2**63,
         253402300800, -0.0]
    ),
    st.floats(allow_nan=True, allow_infinity=True),
)  # fmt: skip
texts = st.one_of(
    letters,
    st.sampled_from(
        ["", "0001-01-01", "9999-12-31", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-06-01",
         "2026-06-01T24:00:00Z", "2026-06-31 00:00:00", "2026-11-01 01:30:00", "2026-03-08 02:30:00",
         "2026-06-01 12:00:00", "1989-12-31 23:59:59", "2199-12-31 23:59:59", "2026-W01-1", "٢٠٢٦-06-01 12:00:00",
         "US/Central", "../x", "null", "nan", "1e999", "12", "٣", "9" * 400, "\u0000", "\ud800"]
    ),
)  # fmt: skip
_leaf = st.none() | st.booleans() | numbers | texts
# By hand and no deeper than two: st.recursive takes several times as long, and readers look no deeper than they know.
_shallow = st.lists(_leaf, max_size=3) | st.dictionaries(texts, _leaf, max_size=3)
anything = _leaf | _leaf | _shallow | st.lists(_shallow, max_size=2) | st.dictionaries(texts, _shallow, max_size=2)
cells = (
    texts
    | numbers.map(str)
    | st.sampled_from(["Datetime", "NaN", "2026/06/01 12:00:00", "2026/11/01 01:30:00", '"5"', "1,2", "\r", "-0.0"])
)
HOSTILE = (b"[" * 100_000, b'{"a":' * 100_000, b"<div>" * 20_000, b"\xef\xbb\xbf{}", b"", b"null", b"\x1f\x8b\x08")
REFUSED = (204, 301, 302, 307, 400, 401, 403, 404, 405, 410, 415, 418, 422, 429, 500, 501, 503, 599)
PAGES = (
    b"", b"Access denied", b"<html>", b"<!doctype html><title>x</title>",
    b"<form action=/login method=POST><input name=email><input type=password name=password></form>",
)  # fmt: skip
WORDS = ("message", "details", "code", "error", "period", "period_end", "detail", "title", "error_description", "name")


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a JSON value has parts, itself first."""
    inside = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [path, *(place for name, item in inside for place in places(item, (*path, name)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy of a JSON value with one of its parts replaced."""
    if not path:
        return new
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def shortened(body: bytes) -> bytes:
    """A body cut down to a few rows of each of its lists, or of its table; a page stays as it is."""

    def cut(value: Any) -> Any:
        if isinstance(value, list):
            return [cut(item) for item in value[-3:]]
        return {name: cut(item) for name, item in value.items()} if isinstance(value, dict) else value

    if body[:1] in b"{[":
        return json.dumps(cut(json.loads(body))).encode()
    if body[:1] == b"<":
        return body
    return b"\n".join([*body.split(b"\n")[:2], *body.split(b"\n")[-4:]])


# Strategies are built once from what is true and not drawn from one another: building one costs more than a reading.


def changed(value: Any, parts: st.SearchStrategy[Any] = anything) -> st.SearchStrategy[Any]:
    """A JSON value with up to three of its parts replaced."""
    return _several(st.sampled_from(places(value)), parts).map(lambda edits: _edited(value, edits))


def _several(where: st.SearchStrategy[Any], what: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.tuples(where, what), min_size=1, max_size=3)


def _edited(value: Any, edits: Iterable[tuple[tuple[Any, ...], Any]]) -> Any:
    for path, new in edits:
        # A part may have gone with one that held it.
        with suppress(LookupError, TypeError, ValueError):
            value = replaced(value, path, new)
    return value


def scratched(body: bytes) -> st.SearchStrategy[bytes]:
    """A body cut off anywhere, with up to three of its bytes replaced."""
    where = st.integers(0, max(0, len(body) - 1))
    return st.tuples(st.lists(st.tuples(where, st.integers(0, 255)), max_size=3), where).map(
        lambda drawn: _scratched(body, *drawn)
    )


def _scratched(body: bytes, scratches: Iterable[tuple[int, int]], end: int) -> bytes:
    found = bytearray(body)
    for at, byte in scratches if body else ():
        found[at] = byte
    return bytes(found[: end + 1])


def _table(body: bytes) -> st.SearchStrategy[bytes]:
    table = [line.split(",") for line in body.decode().split("\n")]
    where = st.sampled_from([(n, m) for n, line in enumerate(table) for m in range(len(line))])
    whole = st.lists(st.tuples(st.integers(0, len(table) - 1), st.lists(cells, max_size=4)), max_size=1)
    return st.tuples(_several(where, cells), whole).map(lambda drawn: _retyped(table, *drawn))


def _retyped(table: list[list[str]], edits: Iterable[Any], whole: Iterable[tuple[int, list[str]]]) -> bytes:
    copy = [list(line) for line in table]
    for (n, m), cell in edits:
        copy[n][m] = cell
    for n, line in whole:
        copy[n] = line
    return "\n".join(map(",".join, copy)).encode("utf-8", "replace")


def _packed(value: Any) -> bytes:
    return json.dumps(value).encode()


def spoiled(body: bytes, parts: st.SearchStrategy[Any] = anything) -> st.SearchStrategy[bytes]:
    """A true body with parts changed, cut or scratched, or any JSON, or any bytes."""
    if body[:1] == b"<":
        bent = scratched(body)
    elif body[:1] in b"{[":
        bent = changed(json.loads(body), parts).map(_packed)
    else:
        bent = _table(body)
    return st.one_of(bent, bent, bent, scratched(body), parts.map(_packed), st.binary(max_size=60))


def refused(parts: st.SearchStrategy[Any] = anything, headers: Iterable[str] = ()) -> st.SearchStrategy[Response]:
    """Any refusal: a status, whatever body, and what headers it may carry."""
    body = st.sampled_from(PAGES) | (st.dictionaries(st.sampled_from(WORDS), parts, max_size=3) | parts).map(_packed)
    said = st.dictionaries(st.sampled_from(["retry-after", *headers]), texts | numbers.map(str), max_size=3)
    return st.builds(Response, st.sampled_from([200, *REFUSED]), said, body, st.just(""))


def answers(
    true: Response, parts: st.SearchStrategy[Any] = anything, headers: Iterable[str] = ()
) -> st.SearchStrategy[Response]:
    """A true answer spoiled, or refused."""
    kinds = st.sampled_from([{}, {}, {"content-type": ""}, {"content-type": "text/html"}])
    bent = st.tuples(spoiled(true.body, parts), kinds).map(
        lambda drawn: Response(true.status, dict(true.headers) | drawn[1], drawn[0], "", true.cookies)
    )
    return st.one_of(bent, bent, bent, bent, refused(parts, headers))


@contextmanager
def no_lease() -> Any:
    yield


class Tapped:
    """A session over an emulator's service without a socket, which keeps each true answer, cut down to a few rows.

    `bent` is what becomes of a body before it is handed over.
    """

    def __init__(self, service: Service, bent: Callable[[bytes], bytes] = bytes) -> None:
        self._service = service
        self._bent = bent
        self.taken: dict[str, Exchange] = {}

    def request(self, method: str, path: str, **options: Any) -> Response:
        query: dict[str, list[str]] = {}
        for name, value in options.get("params") or ():
            query.setdefault(name, []).append(value)
        headers = {name.lower(): value for name, value in (options.get("headers") or {}).items()}
        if options.get("auth"):
            headers["authorization"] = "Basic " + base64.b64encode(":".join(options["auth"]).encode()).decode()
        body = urlencode(options["form"]).encode() if options.get("form") else b""
        for period in ("minute", "month"):
            self._service.quota.preset(period, 0)
        answer = self._service.answer(Request(method, path, query, headers, body))
        self._service.delivered()
        assert answer.status in {200, 302}, answer.body
        said = {name.lower(): value for name, value in answer.headers} | {"content-type": answer.content_type}
        cookies = tuple(value for name, value in answer.headers if name.lower() == "set-cookie")
        response = Response(answer.status, said, self._bent(shortened(answer.body)), path, cookies)
        params = tuple(options.get("params") or ())
        self.taken[f"{method} {path}"] = Exchange(method=method, params=params, response=response, at=float(NOON))
        return response


class Canned:
    """A session that gives true answers, but a spoiled one to every `call`, a pattern of "METHOD path"."""

    def __init__(self, true: Mapping[str, Exchange], call: str, response: Response) -> None:
        self._true = true
        self._call = call
        self._response = response
        self._left = MOST_CALLS

    def request(self, method: str, path: str, **options: Any) -> Response:
        self._left -= 1
        assert self._left, "it asks without end"
        asked = f"{method} {path}"
        if re.search(self._call, asked):
            said = self._response
            return Response(said.status, said.headers, said.body, path, said.cookies)
        # A spoiled answer may lead to an address that the true one does not name.
        return self._true[asked].response if asked in self._true else Response(404, {}, b"{}", path)


def check_error(error: VendorError, secrets: Iterable[str] = ()) -> None:
    """A complaint is short, bounded in time, and tells no secret."""
    assert 0 < len(str(error)) < 600
    if isinstance(error, QuotaSpent):
        assert NOON < error.until <= NOON + 32 * 86_400
    if isinstance(error, Unavailable):
        assert 1 <= error.retry_after_s <= 86_400
    told = "".join(map(str, (error, *error.args, *vars(error).values())))
    assert not [secret for secret in secrets if secret in told]


def check(answer: Answer) -> None:
    """What an answer holds can be stored as it is."""
    check_sites(answer.sites)
    ids = [device.vendor_device_id for device in answer.devices or ()]
    assert len(set(ids)) == len(ids), "a device comes twice"
    for device in answer.devices or ():
        assert 0 < len(device.vendor_device_id) <= 200
        assert device.device_type in DeviceType
        assert device.last_reported_at is None or EARLIEST <= device.last_reported_at < LATEST
        assert device.rated_w is None or math.isfinite(device.rated_w)
    check_readings(answer)
    check_alerts(answer.alerts or ())
    for alerts in (answer.site_alerts or {}).values():
        check_alerts(alerts)
    if answer.fold is not None:
        check_alerts(answer.fold(answer.fold([])))


def check_sites(sites: Iterable[SiteFacts]) -> None:
    ids = [site.vendor_site_id for site in sites]
    assert len(set(ids)) == len(ids), "a site comes twice"
    for site in sites:
        assert 0 < len(site.vendor_site_id) <= 200
        assert site.peak_power_kw is None or 0 < site.peak_power_kw < 1e10
        assert site.latitude is None or -90 <= site.latitude <= 90
        assert site.longitude is None or -180 <= site.longitude <= 180
        assert site.timezone is None or clock.zone(site.timezone) is not None
        if site.installed_on is not None:
            dt.date.fromisoformat(site.installed_on)
        for moment in (site.last_report_at, site.last_energy_at):
            assert moment is None or EARLIEST <= moment < LATEST


def check_readings(answer: Answer) -> None:
    keys = {(r.vendor_device_id, r.metric_name, r.interval_s, r.timestamp) for r in answer.readings}
    assert len(keys) == len(answer.readings), "a reading comes twice"
    for reading in answer.readings:
        check_reading(reading)


def check_reading(reading: Reading) -> None:
    assert reading.metric_name in METRICS
    assert isinstance(reading.value, float)
    assert EARLIEST <= reading.timestamp < LATEST
    assert reading.interval_s in {0, 86_400} or 60 <= reading.interval_s <= 3_600


def check_alerts(alerts: Iterable[AlertFacts]) -> None:
    ids = [alert.vendor_alert_id for alert in alerts]
    assert len(set(ids)) == len(ids), "an alert comes twice"
    for alert in alerts:
        assert EARLIEST <= alert.timestamp < LATEST
        assert alert.resolved_at is None or alert.timestamp <= alert.resolved_at < LATEST
        assert alert.severity in Severity
        assert alert.description
