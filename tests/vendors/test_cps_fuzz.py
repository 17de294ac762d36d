"""Whatever a gateway sends, its reader ends in valid values, dead letters or a complaint, and raises nothing."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from cps_messages import DOCUMENT, GATEWAY, NOW, TELEMETRY, signed
from hypothesis import example, given
from hypothesis import strategies as st
from mutating import FUZZ, HOSTILE, MARKS, anything, changed, check_alerts, check_reading, scratched, texts
from test_cps_payloads import INVENTORY

from sungaze.vendors import _cps_messages, _sunspec, cps
from sungaze.vendors._cps_messages import Batch, Complaint, Known

pytestmark = MARKS
KNOWN = Known(timezone="America/Denver")
words = st.sampled_from(
    ["inverter", "GMT -6", "GMT +99", "0x1000", "0xFFFFFFFFF", "2026-10-05T18:30:00Z", "a|b", "-", "raised", "backfill",
     "event", "inventory"]
)  # fmt: skip
parts = anything | words
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
        for found in _cps_messages.read_topic(f"cps/v1/{GATEWAY}/{topic}", body, now=NOW, known=KNOWN):
            if isinstance(found, Complaint):
                assert found.reason in _cps_messages.REFUSED
                continue
            check_batch(found)


def check_batch(batch: Batch) -> None:
    for reading in batch.readings:
        check_reading(reading)
        assert math.isfinite(reading.value)
    for device in batch.devices:
        assert 0 < len(device.vendor_device_id) < 80
    for letter in batch.dead:
        assert len(letter.record) <= 2_000
        assert letter.reason
    check_alerts(_cps_messages.fold_alerts(_cps_messages.fold_alerts([], batch.conditions), batch.conditions))


@FUZZ
@given(body=st.binary(max_size=80))
def test_any_bytes(body: bytes) -> None:
    check(body)


@pytest.mark.parametrize("body", [*HOSTILE, b"<a>" * 50_000], ids=range(len(HOSTILE) + 1))
def test_any_hostile_message(body: bytes) -> None:
    check(body)


@FUZZ
@given(value=parts)
def test_any_json(value: Any) -> None:
    check(json.dumps(value).encode())


@FUZZ
@given(value=st.one_of(*(changed(seed, parts) for seed in SEEDS)))
def test_a_true_message_with_parts_changed(value: Any) -> None:
    check(json.dumps(value).encode())


@FUZZ
@given(body=scratched(json.dumps(TELEMETRY).encode()) | scratched(DOCUMENT))
def test_a_true_message_cut_or_scratched(body: bytes) -> None:
    check(body)


@FUZZ
@example(headers={"X-CPS-Signature": "\ud800", "X-CPS-Timestamp": "\ud800"}, body=b"", is_signed=False)
@example(headers={"Authorization": "Bearer \ud800"}, body=b"", is_signed=False)
@given(
    headers=st.dictionaries(
        st.sampled_from(["X-CPS-Signature", "X-CPS-Timestamp", "Authorization", "Content-Encoding", "X-CPS-Gateway"]),
        texts | words | st.sampled_from(["gzip", "Basic AA==", "Bearer x"]),
    ),
    body=st.binary(max_size=50),
    is_signed=st.booleans(),
)
def test_any_push(headers: dict[str, str], body: bytes, is_signed: bool) -> None:
    found = _cps_messages.check_push(
        (signed(body) if is_signed else {}) | headers, body, "a-secret-of-the-gateway-0001", NOW
    )
    if isinstance(found, _cps_messages.Pushed):
        _cps_messages.read_push(found, now=NOW)
    else:
        assert 400 <= found.status < 500


@FUZZ
@given(words=st.lists(st.integers(0, 0xFFFF), max_size=120), model=st.sampled_from([*_sunspec.LAYOUTS, 160]))
def test_any_registers_of_a_model(words: list[int], model: int) -> None:
    block = _sunspec.read_block(model, words)
    state = _sunspec.state_of(_sunspec.SunSpecDevice(blocks=[block]))
    for value in [*state.metrics.values(), *(v for one in state.inputs.values() for v in one.values())]:
        assert math.isfinite(value)


@FUZZ
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


@FUZZ
@given(words=st.lists(st.integers(0, 0xFFFF), min_size=65, max_size=65))
def test_any_registers_of_cps_s_own_map(words: list[int]) -> None:
    (found,) = cps.register_maps()
    reading = _sunspec.read_map(found, words)
    assert all(math.isfinite(value) for value in reading.state.metrics.values())
