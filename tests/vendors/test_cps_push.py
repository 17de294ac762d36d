"""A push is taken from a sender who knows the secret, and refused with the page's answers (vendors/cps.md 4)."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from cps_messages import GATEWAY, NOW, SECRET, TELEMETRY, signed, telemetry

from sungaze.vendors import _cps_messages
from sungaze.vendors._cps_messages import Pushed, Refusal

BODY = json.dumps(TELEMETRY).encode()


def refused(headers: dict[str, str], body: bytes = BODY, **options: Any) -> int:
    found = _cps_messages.check_push(headers, body, SECRET, NOW, **options)
    assert isinstance(found, Refusal), found
    assert SECRET not in found.reason
    return found.status


def test_a_signed_push_is_taken_and_read() -> None:
    pushed = _cps_messages.check_push(signed(BODY), BODY, SECRET, NOW)
    assert isinstance(pushed, Pushed)
    assert (pushed.gateway, pushed.message_id) == (GATEWAY, TELEMETRY["msg_id"])
    batches = _cps_messages.read_push(pushed, now=NOW)
    assert isinstance(batches, list)
    assert batches[0].readings


def test_gzip_is_signed_as_it_comes_and_unpacked() -> None:
    packed = gzip.compress(BODY)
    pushed = _cps_messages.check_push(signed(packed, **{"Content-Encoding": "gzip"}), packed, SECRET, NOW)
    assert isinstance(pushed, Pushed)
    assert pushed.body == BODY


@pytest.mark.parametrize("name", ["X-CPS-Signature", "X-CPS-Timestamp"])
@pytest.mark.parametrize("value", ["", "sha256=00", "nonsense", "1", "nan", "sha256=é"])
def test_a_wrong_or_missing_signature_is_401(name: str, value: str) -> None:
    assert refused(signed(BODY, **{name: value})) == 401


def test_another_body_another_secret_and_no_secret_are_refused() -> None:
    assert refused(signed(BODY), BODY + b" ") == 401
    assert refused(signed(BODY, secret="another-secret-0000000")) == 401
    found = _cps_messages.check_push(signed(BODY, secret=""), BODY, "", NOW)
    assert isinstance(found, Refusal)
    assert found.status == 403


@pytest.mark.parametrize(
    ("off", "taken"), [(0, True), (86_000, True), (-86_000, True), (86_500, False), (-86_500, False)]
)
def test_the_signature_s_time_may_be_a_day_off_because_gateway_clocks_drift(off: float, taken: bool) -> None:
    found = _cps_messages.check_push(signed(BODY, NOW + off), BODY, SECRET, NOW)
    assert isinstance(found, Pushed) is taken


def test_a_tighter_window_can_be_set() -> None:
    assert refused(signed(BODY, NOW - 400), window_s=300) == 401


def test_bearer_and_basic_stand_for_a_signature() -> None:
    basic = base64.b64encode(f"gw:{SECRET}".encode()).decode()
    for word in (f"Bearer {SECRET}", f"Basic {basic}"):
        assert isinstance(_cps_messages.check_push({"Authorization": word}, BODY, SECRET, NOW), Pushed)
    for word in ("Bearer x", "Basic ???", "Basic " + base64.b64encode(b"gw:x").decode(), SECRET, "Bearer"):
        assert refused({"authorization": word}) == 401


def test_too_large_is_413_packed_or_not() -> None:
    large = b" " * (256 * 1024 + 1)
    assert refused(signed(large), large) == 413
    bomb = gzip.compress(b" " * 50_000_000)
    assert refused(signed(bomb, **{"Content-Encoding": "gzip"}), bomb) == 413


@pytest.mark.parametrize("body", [b"", b"no gzip", gzip.compress(BODY)[:-9], gzip.compress(BODY) + b"more"])
def test_a_body_that_is_not_what_it_says_is_400(body: bytes) -> None:
    assert refused(signed(body, **{"Content-Encoding": "gzip"}), body) == 400


def test_an_unknown_packing_is_400() -> None:
    assert refused(signed(BODY, **{"Content-Encoding": "br"})) == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"x", 400), (b"[]", 400), (b'{"schema":"cps/9"}', 422), (json.dumps(telemetry(records=[{}] * 101)).encode(), 413),
     (json.dumps(telemetry(gateway_sn="EX2")).encode(), 403), (b"<html/>", 400)],
)  # fmt: skip
def test_a_complaint_has_the_page_s_answer(body: bytes, status: int) -> None:
    found = _cps_messages.read_push(Pushed(body, GATEWAY, "m", ""), now=NOW)
    assert isinstance(found, Refusal)
    assert found.status == status


def test_of_an_array_all_or_nothing_is_taken_and_a_hundred_records_at_most() -> None:
    pushed = Pushed(json.dumps([TELEMETRY, {"schema": "?"}]).encode(), GATEWAY, "m", "")
    assert isinstance(_cps_messages.read_push(pushed, now=NOW), Refusal)
    many = json.dumps([TELEMETRY] * 51).encode()
    found = _cps_messages.read_push(Pushed(many, GATEWAY, "m", ""), now=NOW)
    assert isinstance(found, Refusal)
    assert found.status == 413
