"""Whatever a gateway sends, its reader ends in valid values, dead letters or a complaint, and raises nothing."""

from __future__ import annotations

import contextlib
import json
import math
import os
from typing import Any

import pytest
from cps_messages import DOCUMENT, GATEWAY, NOW, TELEMETRY, signed
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from test_cps_payloads import INVENTORY

from sungaze.model import METRICS
from sungaze.vendors import _cps, _sunspec
from sungaze.vendors._cps import Batch, Complaint, Known

SOAK = os.environ.get("SUNGAZE_SOAK") == "1"
pytestmark = [pytest.mark.soak] if SOAK else []
FEW = settings(
    deadline=None,
    max_examples=100_000 if SOAK else 500,
    derandomize=not SOAK,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
KNOWN = Known(timezone="America/Denver")
numbers = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([65535, -32768, 10**15, 10**30, 1e308, 253402300800, int(NOW), int(NOW) * 1000, -1, 0, 2**32]),
)
texts = st.text(max_size=12) | st.sampled_from(
    ["inverter", "GMT -6", "GMT +99", "0x1000", "0xFFFFFFFFF", "2026-10-05T18:30:00Z", "0001-01-01T00:00:00+23:59",
     "2026-W01-1", "a|b", "1e999", "nan", "-", "9" * 400, "\u0000", "raised", "backfill", "event", "inventory"]
)  # fmt: skip
anything = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
EVENT = {
    "event": {
        "sn": "1",
        "ts": "2026-10-05T18:30:00Z",
        "event_id": "1",
        "code": "W",
        "class": "Fault",
        "state": "raised",
    }
}
SEEDS = [TELEMETRY, TELEMETRY | INVENTORY | {"type": "inventory"}, TELEMETRY | EVENT | {"type": "event"}]


def check(body: bytes) -> None:
    for topic in ("telemetry", "status"):
        for found in _cps.read_topic(f"cps/v1/{GATEWAY}/{topic}", body, now=NOW, known=KNOWN):
            if isinstance(found, Complaint):
                assert found.reason in _cps.REFUSED
                continue
            check_batch(found)


def check_batch(batch: Batch) -> None:
    for reading in batch.readings:
        assert reading.metric_name in METRICS
        assert isinstance(reading.value, float | int)
        assert math.isfinite(reading.value)
        assert 0 < reading.timestamp < 2**33
        assert reading.interval_s in {0, 86_400} or 60 <= reading.interval_s <= 3600
    for device in batch.devices:
        assert 0 < len(device.vendor_device_id) < 80
    for letter in batch.dead:
        assert len(letter.record) <= 2_000
        assert letter.reason
    _cps.fold_alerts(_cps.fold_alerts([], batch.conditions), batch.conditions)


@FEW
@given(body=st.binary(max_size=80))
@example(body=b"[" * 100_000)
@example(body=b'{"a":' * 100_000)
@example(body=b"<a>" * 50_000)
@example(body=b"\xef\xbb\xbf{}")
def test_any_bytes(body: bytes) -> None:
    check(body)


@FEW
@given(value=anything)
def test_any_json(value: Any) -> None:
    check(json.dumps(value).encode())


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    return [path, *(place for name, item in inside for place in places(item, (*path, name)))]


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = list(value) if isinstance(value, list) else dict(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@FEW
@given(data=st.data(), seed=st.sampled_from(SEEDS))
def test_a_true_message_with_parts_changed(data: st.DataObject, seed: Any) -> None:
    value = seed
    for _ in range(data.draw(st.integers(1, 3))):
        value = replaced(value, data.draw(st.sampled_from(places(value))), data.draw(anything))
    check(json.dumps(value).encode())


@FEW
@given(data=st.data(), seed=st.sampled_from([json.dumps(TELEMETRY).encode(), DOCUMENT]))
def test_a_true_message_cut_or_scratched(data: st.DataObject, seed: bytes) -> None:
    body = bytearray(seed)
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(body[: data.draw(st.integers(0, len(body)))]))


@FEW
@given(
    headers=st.dictionaries(
        st.sampled_from(["X-CPS-Signature", "X-CPS-Timestamp", "Authorization", "Content-Encoding", "X-CPS-Gateway"]),
        texts | st.sampled_from(["gzip", "Basic AA==", "Bearer x"]),
    ),
    body=st.binary(max_size=50),
    is_signed=st.booleans(),
)
def test_any_push(headers: dict[str, str], body: bytes, is_signed: bool) -> None:
    found = _cps.check_push((signed(body) if is_signed else {}) | headers, body, "a-secret-of-the-gateway-0001", NOW)
    if isinstance(found, _cps.Pushed):
        _cps.read_push(found, now=NOW)
    else:
        assert 400 <= found.status < 500


@FEW
@given(words=st.lists(st.integers(0, 0xFFFF), max_size=120), model=st.sampled_from([*_sunspec.LAYOUTS, 160]))
def test_any_registers_of_a_model(words: list[int], model: int) -> None:
    block = _sunspec.read_block(model, words)
    state = _sunspec.state_of(_sunspec.SunSpecDevice(blocks=[block]))
    for value in [*state.metrics.values(), *(v for one in state.inputs.values() for v in one.values())]:
        assert math.isfinite(value)


@FEW
@given(
    words=st.lists(
        st.sampled_from([0, 1, 2, 50, 103, 160, 0xFFFF, 0x8000, 0x5375, 0x6E53]) | st.integers(0, 0xFFFF), max_size=200
    )
)
def test_any_chain_of_models_ends(words: list[int]) -> None:
    def read(address: int, count: int) -> list[int]:
        if address + count - 40_000 > len(words) or address < 40_000:
            raise _sunspec.NoSuchRegister("no", "no")
        return words[address - 40_000 : address - 40_000 + count]

    with contextlib.suppress(_sunspec.NoSuchRegister):
        _sunspec.state_of(_sunspec.read_device(read, 40_000))


@FEW
@given(words=st.lists(st.integers(0, 0xFFFF), min_size=65, max_size=65))
def test_any_registers_of_cps_s_own_map(words: list[int]) -> None:
    (found,) = _cps.register_maps()
    reading = _sunspec.read_map(found, words)
    assert all(math.isfinite(value) for value in reading.state.metrics.values())
