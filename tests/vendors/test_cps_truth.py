"""What comes in by each of CPS's ways equals what the simulated world produced, and no fault invents a value."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import pytest
from mosquitto import PASSWORD, USER, Mosquitto
from test_cps_mqtt import until
from vendor_doors import NOON, Hands

from sungaze.emulators import Emulator, World, serve
from sungaze.emulators._cps_messages import OWN_FAULTS, Message, Sender
from sungaze.emulators._cps_site import GatewayView
from sungaze.emulators._hash import unit
from sungaze.emulators.cps import Cps as CpsService
from sungaze.emulators.faults import Faults
from sungaze.model import METRICS, Reading
from sungaze.vendors import _cps_messages
from sungaze.vendors._cps_messages import Batch, Complaint, Known, MessageKind
from sungaze.vendors._mqtt import Broker, Subscriber

WORLD = World(seed=3, sites=2, panels=40)
DAY = NOON // 300 * 300 - 9 * 3600
STEPS = 12 * 12


def sender(k: int = 0, **faults: float) -> Sender:
    return Sender(GatewayView(WORLD, WORLD.site("cps", k)), Faults(OWN_FAULTS, faults, 3))


def taken(messages: list[tuple[int, Message]], known: Known = _cps_messages.NOTHING_KNOWN) -> list[Batch | Complaint]:
    found: list[Batch | Complaint] = []
    for at, message in messages:
        kind = MessageKind(message.kind)
        found += _cps_messages.read_message(
            message.body, now=at + 6.0, known=known, gateway=sender().serial, kind=kind, retained=message.retained,
            content_type=message.content_type, message_id=message.msg_id,
        )  # fmt: skip
    return found


def day_of(source: Sender, begin: int = 0) -> list[tuple[int, Message]]:
    return [(at, message) for n in range(begin, STEPS) for at in [DAY + 300 * n] for message in source.live(at)]


def truth() -> dict[tuple[str, str, int, int], float]:
    rows = CpsService.truth(WORLD, 0, DAY - 300, DAY + 300 * (STEPS - 1))
    return {(row.device_id, row.metric, row.interval_s, row.start): row.value for row in rows}


def keyed(readings: Iterator[Reading] | list[Reading]) -> dict[tuple[str, str, int, int], float]:
    return {(r.vendor_device_id, r.metric_name, r.interval_s, r.timestamp): r.value for r in readings}


@pytest.mark.parametrize(
    "faults", [{}, {"xml": 1.0}, {"text_numbers": 1.0}, {"naive_time": 1.0}, {"duplicate": 0.5}, {"unknown_keys": 1.0}]
)
def test_a_day_of_telemetry_is_the_truth(faults: dict[str, float]) -> None:
    source = sender(**faults)
    known = Known(inverters=frozenset(source.view.serials))
    batches = taken(day_of(source), known)
    got = keyed([r for one in batches if isinstance(one, Batch) for r in one.readings])
    wanted = {key: value for key, value in truth().items() if key[2] == 300}
    assert len(wanted) > 200
    for key, value in wanted.items():
        assert got[key] == pytest.approx(value, abs=0.01), key
    extra = {key for key in got if key[1] == "ac_power_w" and key[0] in {"", *source.view.serials}} - set(wanted)
    assert not extra, "nothing is invented"


@pytest.mark.parametrize(
    "name", [*OWN_FAULTS, *(f"{a}+{b}" for a, b in combinations(("reorder", "reboot", "xml", "null_styles"), 2))]
)
def test_no_fault_makes_a_crash_or_a_wrong_value(name: str) -> None:
    source = sender(**dict.fromkeys(name.split("+"), 0.5))
    others = [(DAY, source.inventory(DAY)), (DAY, source.backfill(DAY - 7200, DAY)[0])]
    found = taken([*day_of(source, STEPS - 40), *others])
    assert any(isinstance(one, Batch) and one.readings for one in found) or name == "oversize"
    wanted = truth()
    for batch in found:
        if isinstance(batch, Complaint):
            assert batch.reason in {"not_json", "unknown_schema", "oversize"}
            continue
        for reading in batch.readings:
            assert reading.metric_name in METRICS
            assert math.isfinite(reading.value)
            key = (reading.vendor_device_id, reading.metric_name, reading.interval_s, reading.timestamp)
            if key in wanted and reading.vendor_device_id and not name.startswith("clock"):
                assert reading.value == pytest.approx(wanted[key], abs=0.01)
        assert {one.reason for one in batch.dead} <= {"time", "not_a_device", "shape"}


def test_a_backfill_is_the_truth_s_quarter_hours() -> None:
    source = sender()
    got = keyed([r for m in source.backfill(DAY, DAY + 4 * 3600) for one in taken([(DAY + 14_400, m)])
                 if isinstance(one, Batch) for r in one.readings])  # fmt: skip
    wanted = truth()
    serial = source.view.serials[0]
    powers = {key: value for key, value in got.items() if key[:3] == (serial, "ac_power_w", 900)}
    assert 10 < len(powers) <= 16, "the inverter wakes in between"
    for (_, _, _, at), value in powers.items():
        parts = [wanted.get((serial, "ac_power_w", 300, at + n), 0.0) for n in (0, 300, 600)]
        assert value == pytest.approx(sum(parts) / 3, abs=0.01)


def test_a_gateway_s_restart_and_losses_are_told() -> None:
    batches = [one for one in taken(day_of(sender(drop=0.2))) if isinstance(one, Batch)]
    orders = [one.order for one in batches if one.order]
    lost = sum(_cps_messages.lost_between(a, b)[0] for a, b in pairwise(orders))
    assert lost > 5
    assert lost + len(orders) in range(STEPS - 5, STEPS + 1)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with serve("cps", WORLD, now=Hands()) as running:
        yield running


def test_by_a_real_broker_the_same_comes_in_with_the_last_will_and_the_inventory(
    emulator: Emulator, tmp_path: Path
) -> None:
    service = emulator.service
    assert isinstance(service, CpsService)
    seen: list[Batch] = []

    def take(topic: str, payload: bytes, retained: bool) -> None:
        for one in _cps_messages.read_topic(topic, payload, now=float(NOON + 900), retained=retained):
            assert isinstance(one, Batch), one
            seen.append(one)

    with Mosquitto(tmp_path) as mosquitto:
        door = service.start_mqtt("127.0.0.1", mosquitto.port, user=USER, password=PASSWORD, running=False)
        broker = Broker(
            host="127.0.0.1", port=mosquitto.port, client_id="sungaze", user=USER, password=PASSWORD, tls=False
        )
        with Subscriber(broker, ("cps/v1/+/+",), take):
            until(lambda: len(seen) == 4)
            door.send_until(NOON + 600)
            until(lambda: len([one for one in seen if one.kind is MessageKind.TELEMETRY]) == 4)
            door.stop()
    kinds = sorted(one.kind for one in seen)
    assert kinds == ["inventory"] * 2 + ["status"] * 2 + ["telemetry"] * 4
    assert {one.site_id for one in seen if one.kind is MessageKind.TELEMETRY} == {"EX-SITE-1", "EX-SITE-2"}
    first = next(one for one in seen if one.kind is MessageKind.TELEMETRY and one.site_id == "EX-SITE-1")
    row = {(r.device_id, r.start): r.value for r in CpsService.truth(WORLD, 0, NOON - 600, NOON + 900)}
    for reading in first.readings:
        if reading.metric_name == "ac_power_w" and (reading.vendor_device_id, reading.timestamp) in row:
            assert reading.value == pytest.approx(row[reading.vendor_device_id, reading.timestamp], abs=0.01)


def test_secrets_stand_in_no_word_of_a_push(emulator: Emulator) -> None:
    service = emulator.service
    assert isinstance(service, CpsService)
    refusal = _cps_messages.check_push(
        {"X-CPS-Signature": "sha256=0", "X-CPS-Timestamp": "1"}, b"{}", service.secret, 0.0
    )
    assert service.secret not in repr(refusal)
    assert service.secret not in json.dumps(emulator.credentials)


def test_the_reader_takes_five_thousand_records_a_minute_many_times_over() -> None:
    import time

    source = sender()
    messages: list[Any] = day_of(source)
    records = source.sent_records
    began = time.process_time()
    taken(messages)
    assert records / (time.process_time() - began) * 60 > 5 * 5_000


@pytest.mark.parametrize("mix", range(20))
def test_any_mix_of_faults_ends_in_true_values_or_in_reasons(mix: int) -> None:
    faults = {name: unit(mix, name) * 0.6 for name in OWN_FAULTS if unit(mix, "in", name) < 0.4}
    source = sender(1, **faults)
    wanted = {
        (row.device_id, row.start): row.value
        for row in CpsService.truth(WORLD, 1, DAY - 300, DAY + 300 * STEPS)
        if row.interval_s == 300
    }
    for at, message in day_of(source, STEPS - 12):
        for found in _cps_messages.read_message(message.body, now=at + 6.0, content_type=message.content_type):
            if isinstance(found, Complaint):
                assert found.reason in _cps_messages.REFUSED
                continue
            for reading in found.readings:
                key = (reading.vendor_device_id, reading.timestamp)
                if reading.metric_name == "ac_power_w" and reading.vendor_device_id and key in wanted:
                    assert reading.value == pytest.approx(wanted[key], abs=0.01) or found.skew.word != "fine"
