"""The gateway's Modbus port, driven by the SunSpec Alliance's own client and by raw frames (vendors/cps.md 6, 10.3)."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import Any

import pytest
from emulating import NOON
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP, SunSpecModbusClientException
from sunspec2.modbus.modbus import ModbusClientException

from sungaze.emulators._cps_modbus import ModbusServer
from sungaze.emulators._cps_registers import Switches


@pytest.fixture
def server(start: Any) -> ModbusServer:
    found = start("cps").service.modbus
    assert isinstance(found, ModbusServer)
    return found


def scan(server: ModbusServer, unit: int = 1) -> Any:
    device = SunSpecModbusClientDeviceTCP(slave_id=unit, ipaddr=server.host, ipport=server.port, timeout=3)
    try:
        device.scan()
    finally:
        device.disconnect()
    return device


def ask(server: ModbusServer, unit: int, pdu: bytes) -> bytes:
    with socket.create_connection((server.host, server.port), 3) as connection:
        connection.settimeout(3)
        connection.sendall(struct.pack(">HHHB", 7, 0, len(pdu) + 1, unit) + pdu)
        found = b""
        while len(found) < 6 or len(found) < 6 + struct.unpack(">H", found[4:6])[0]:
            part = connection.recv(300)
            if not part:
                return b""
            found += part
    assert found[:4] == b"\0\x07\0\0"
    assert found[6] == unit
    return found[7:]


def reads(server: ModbusServer, function: int, address: int, count: int, unit: int = 1) -> list[int]:
    answer = ask(server, unit, struct.pack(">BHH", function, address, count))
    assert answer[0] == function, f"exception {answer[1]}"
    return list(struct.unpack(f">{count}H", answer[2:]))


@pytest.mark.parametrize("base", [40_000, 0, 50_000])
@pytest.mark.parametrize("length", [65, 66])
@pytest.mark.parametrize("floats", [False, True])
@pytest.mark.parametrize("vendor_model", [False, True])
def test_the_alliance_s_client_scans_it_cleanly(
    server: ModbusServer, base: int, length: int, floats: bool, vendor_model: bool
) -> None:
    server.switches = Switches(base=base, common_length=length, floats=floats, vendor_model=vendor_model)
    device = scan(server)
    expected = [1, *([64_001] if vendor_model else []), 113 if floats else 103, 120, 121, 122, 160]
    assert [model.model_id for model in device.model_list] == expected
    assert device.common[0].Mn.value == "CPS"
    assert device.common[0].SN.value == server.view.serials[0]
    (moment, *_) = server.view.moments(int(NOON)) or []
    inverter = device.models[113 if floats else 103][0]
    assert inverter.W.cvalue == pytest.approx(moment.ac_w, abs=1)
    assert inverter.Hz.cvalue == 60
    assert inverter.PPVphAB.cvalue == pytest.approx(480)
    assert inverter.WH.cvalue == pytest.approx(moment.lifetime_wh, abs=2)
    assert inverter.St.value == 4
    mppt = device.models[160][0]
    assert [part.DCW.cvalue for part in mppt.module] == pytest.approx([w for _, _, w in moment.inputs], abs=1)
    assert [part.IDStr.value for part in mppt.module] == ["PV1", "PV2", "PV3"]
    assert sum(w for _, _, w in moment.inputs) * 0.975 == pytest.approx(moment.ac_w)
    assert device.models[120][0].WRtg.cvalue == pytest.approx(server.view.plan.limit_w[0], abs=10)
    assert device.models[122][0].Tms.value == int(NOON) - 946_684_800


@pytest.mark.parametrize("floats", [False, True])
def test_every_point_may_be_a_sentinel(server: ModbusServer, floats: bool) -> None:
    server.switches = Switches(all_sentinel=True, floats=floats)
    inverter = scan(server).models[113 if floats else 103][0]
    for name in ("W", "A", "Hz", "VA", "DCW", "TmpCab", "St"):
        assert inverter.points[name].cvalue is None, name


@pytest.mark.parametrize("factor", [0, 1, 2])
def test_the_power_s_scale_may_be_any(server: ModbusServer, factor: int) -> None:
    server.switches.w_sf = factor
    device = scan(server)
    moments = server.view.moments(int(NOON)) or []
    assert device.models[103][0].W.cvalue == pytest.approx(moments[0].ac_w, abs=10**factor)


def test_energy_wraps_at_32_bits(server: ModbusServer) -> None:
    moments = server.view.moments(int(NOON)) or []
    server.switches.energy_offset_wh = (1 << 32) - round(moments[0].lifetime_wh) + 1_000
    assert scan(server).models[103][0].WH.cvalue == 1_000


def test_any_part_of_the_map_can_be_read_and_nothing_beyond_it(server: ModbusServer) -> None:
    assert reads(server, 3, 40_000, 2) == [0x5375, 0x6E53]
    assert reads(server, 3, 40_003, 1) == [66]
    assert ask(server, 1, struct.pack(">BHH", 3, 39_999, 2)) == b"\x83\x02"
    assert ask(server, 1, struct.pack(">BHH", 3, 41_000, 1)) == b"\x83\x02"
    assert ask(server, 1, struct.pack(">BHH", 3, 40_000, 126)) == b"\x83\x03"
    assert ask(server, 1, struct.pack(">BHH", 3, 40_000, 0)) == b"\x83\x03"


def test_cps_s_own_map_says_the_same_by_function_4(server: ModbusServer) -> None:
    (moment, *_) = server.view.moments(int(NOON)) or []
    registers = reads(server, 4, 0, 70)
    assert "".join(f"{word:04x}" for word in registers[6:10]) == server.view.serials[0]
    assert b"".join(word.to_bytes(2, "big") for word in registers[10:20]).startswith(b"SCA")
    assert registers[29] == round(moment.ac_w / 100)
    assert (registers[22] << 16) + registers[23] == round(moment.lifetime_wh / 1000)
    assert registers[47] == 0x1000
    assert registers[46] == 65_536 - 35


@pytest.mark.parametrize(
    "pdu", [b"\x06\0\0\0\0", b"\x10\0\0\0\1\2\0\0", b"\x05\0\0\xff\0", b"\x0f\0\0\0\1\1\1", b"\x2b\x0e\1\0"]
)
def test_writes_and_other_functions_are_refused(server: ModbusServer, pdu: bytes) -> None:
    assert ask(server, 1, pdu) == bytes([pdu[0] | 0x80, 1])


def test_the_alliance_s_client_cannot_write(server: ModbusServer) -> None:
    device = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr=server.host, ipport=server.port, timeout=3)
    device.connect()
    with pytest.raises((SunSpecModbusClientException, ModbusClientException)):
        device.write(40_100, b"\0\1")
    device.disconnect()
    assert server.writes == 1


def test_a_sleeping_a_refused_and_a_busy_unit_answer_by_exception(server: ModbusServer) -> None:
    read = struct.pack(">BHH", 4, 0, 10)
    server.switches = Switches(asleep={1})
    assert ask(server, 1, read) == b"\x84\x0b"
    assert ask(server, 31, read) == b"\x84\x0b"
    server.switches = Switches(refused={1}, busy=1)
    assert ask(server, 1, read) == b"\x84\x0a"
    server.switches.refused.clear()
    assert ask(server, 1, read) == b"\x84\x06"
    assert ask(server, 1, read)[0] == 4


def test_inverters_sleep_at_night(server: ModbusServer, clock: Any) -> None:
    clock.now = NOON + 12 * 3600
    assert ask(server, 1, struct.pack(">BHH", 4, 0, 10)) == b"\x84\x0b"
    server.switches.sleeps_at_night = False
    assert reads(server, 4, 29, 1) == [0]
    assert reads(server, 4, 47, 1) == [0x2000]


def test_a_reply_may_break_off_come_late_or_be_short(server: ModbusServer) -> None:
    read = struct.pack(">BHH", 4, 0, 10)
    server.switches.drop = 1
    assert ask(server, 1, read) == b""
    server.switches.wrong_count = 1
    assert ask(server, 1, read)[1] == 18
    server.switches.slow_s = 0.2
    began = time.monotonic()
    assert len(ask(server, 1, read)) == 22
    assert time.monotonic() - began >= 0.2


def test_a_gateway_may_take_one_connection_only(server: ModbusServer) -> None:
    server.switches.one_connection = True
    with socket.create_connection((server.host, server.port), 3) as first:
        first.sendall(struct.pack(">HHHBBHH", 1, 0, 6, 1, 4, 0, 1))
        assert len(first.recv(300)) == 11
        with socket.create_connection((server.host, server.port), 3) as second:
            second.settimeout(3)
            assert second.recv(1) == b""


def test_a_device_may_be_without_sunspec_or_without_cps_s_own_map(server: ModbusServer) -> None:
    server.switches = Switches(base=None)
    assert ask(server, 1, struct.pack(">BHH", 3, 40_000, 2)) == b"\x83\x02"
    server.switches = Switches(own_map=False)
    assert ask(server, 1, struct.pack(">BHH", 4, 5, 65)) == b"\x84\x02"


@pytest.mark.parametrize(
    "frame", [b"\0\1\0\1\0\6\1\3\0\0\0\1", b"\0\1\0\0\0\1\1", b"\0\1\0\0\xff\xff\1\3", b"GET / HTTP/1.1\r\n\r\n"]
)
def test_what_is_no_modbus_ends_the_connection_and_nothing_else(server: ModbusServer, frame: bytes) -> None:
    with socket.create_connection((server.host, server.port), 3) as connection:
        connection.settimeout(3)
        connection.sendall(frame)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(10) == b""
    assert reads(server, 4, 47, 1) == [0x1000]


def test_unit_165_is_never_answered_and_is_noted(server: ModbusServer) -> None:
    with socket.create_connection((server.host, server.port), 3) as connection:
        connection.sendall(struct.pack(">HHHBBHH", 1, 0, 6, 165, 4, 0, 1))
        connection.sendall(struct.pack(">HHHBBHH", 2, 0, 6, 1, 4, 0, 1))
        assert connection.recv(300)[:2] == b"\0\2"
    assert [one.unit for one in server.asked] == [165, 1]
