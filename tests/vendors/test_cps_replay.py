"""Replay of what CPS sends: messages, pushes and register reads as lines of JSON."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from cps_messages import GATEWAY, NOW, SN, telemetry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sungaze.clock import iso
from sungaze.emulators import World, serve
from sungaze.emulators._cps_registers import Switches
from sungaze.errors import UserError
from sungaze.jobs.replay import replay
from sungaze.vendors import cps
from sungaze.vendors._modbus import INPUT, Gateway, units_of


def run(tmp_path: Path, lines: list[Any], timezone: str | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    path = tmp_path / "messages.jsonl"
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines))
    said: list[str] = []
    return [json.loads(line) for line in replay(path, "cps", timezone, say=said.append)], said


def message(payload: str, kind: str = "telemetry") -> dict[str, Any]:
    return {"topic": f"cps/v1/{GATEWAY}/{kind}", "payload": payload, "received_at": iso(NOW), "retained": False}


def test_a_message_and_the_same_as_a_packed_push_read_alike(tmp_path: Path) -> None:
    body = json.dumps(telemetry())
    lines, said = run(tmp_path, [message(body)])
    values = {(s["vendor_device_id"], s["metric_name"]): s["value"] for s in lines if s["kind"] == "sample"}
    assert values[SN, "ac_power_w"] == 41_200
    assert {s["vendor_site_id"] for s in lines if s["kind"] == "sample"} == {"EX-SITE-1"}
    assert said == ["1 of 1 entries were read."]
    packed = base64.b64encode(gzip.compress(body.encode())).decode()
    headers = {"X-CPS-Gateway": GATEWAY, "Content-Type": "application/json"}
    pushed, _ = run(tmp_path, [{"push": True, "headers": headers, "body_base64": packed, "received_at": NOW}])
    assert pushed == lines


def test_a_gateways_last_will_is_an_alert_and_its_return_resolves_it(tmp_path: Path) -> None:
    lost = message('{"state":"offline","reason":"lwt"}', "status")
    back = message('{"state":"online"}', "status") | {"received_at": NOW + 600}
    lines, _ = run(tmp_path, [message(json.dumps(telemetry())), lost, back])
    alerts = [line for line in lines if line["kind"] == "alert" and line["vendor_device_id"] == GATEWAY]
    assert [alert["resolved_at"] is None for alert in alerts] == [True, False]


def test_register_reads_are_put_together_by_unit(tmp_path: Path) -> None:
    found = cps.register_maps()[0]
    read = {
        "unit": 3, "function": "input" if found.function == 4 else "holding", "address": found.first,
        "registers": [0] * found.count, "read_at": NOW,
    }  # fmt: skip
    with pytest.raises(UserError):
        run(tmp_path, [read | {"registers": [70_000]}])
    lines, said = run(tmp_path, [read])
    assert (lines, said) == ([], ["1 of 1 entries were read."])


@pytest.mark.parametrize("own_map", [True, False])
def test_what_an_inverter_says_reads_the_same_from_its_recorded_registers(tmp_path: Path, own_map: bool) -> None:
    lines: list[dict[str, Any]] = []

    class Recording(Gateway):
        def _read(self, function: int, unit: int, address: int, count: int) -> list[int]:
            found = super()._read(function, unit, address, count)
            name = "input" if function == INPUT else "holding"
            lines.append({"unit": unit, "function": name, "address": address, "registers": found, "read_at": NOW})
            return found

    with serve("cps", World(seed=3, sites=1, panels=40), now=lambda: NOW) as emulator:
        server = emulator.service.modbus  # type: ignore[attr-defined]  # of CPS's emulator
        server.switches = Switches(own_map=own_map)
        with Recording(server.host, server.port, timeout_s=0.3, pause=lambda s: None) as gateway:
            unit = cps.sweep(gateway, units_of(emulator.credentials["units"])).read[0].unit
            lines.clear()
            said = cps.read_unit(gateway, unit)
    wanted = {
        (r.vendor_device_id, r.metric_name): r.value
        for r in cps.answer_of(cps.Sweep([said], [], []), "modbus", int(NOW), None).readings
        if r.vendor_device_id
    }
    found, _ = run(tmp_path, lines)
    assert wanted
    assert {(s["vendor_device_id"], s["metric_name"]): s["value"] for s in found if s["kind"] == "sample"} == wanted


@settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=6,
    ),
    st.sampled_from(["topic", "payload", "received_at", "retained", "registers", "unit", "push", "headers"]),
)
def test_a_mutated_line_ends_in_lines_or_in_a_sentence(tmp_path: Path, value: Any, field: str) -> None:
    lines = [
        message(json.dumps(telemetry())),
        message(json.dumps(telemetry(records=value))),
        message(json.dumps(telemetry())) | {field: value},
        message(json.dumps(value)),
    ]
    try:
        run(tmp_path, lines, "Europe/Berlin")
    except UserError:
        return
