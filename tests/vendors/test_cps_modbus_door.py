"""CPS's inverters read through the Modbus door: own map, SunSpec, and every way a gateway misbehaves."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

import pytest
from vendor_doors import NOON, Hands

from sungaze.emulators import Emulator, World, serve
from sungaze.emulators._cps_modbus import ModbusServer
from sungaze.emulators._cps_registers import Switches
from sungaze.emulators.cps import Cps as CpsService
from sungaze.errors import Changed, NeedsReconnect, Unavailable
from sungaze.model import METRICS, AlertFacts, DeviceStatus, DeviceType, Severity, SiteStatus, Span
from sungaze.vendors import _modbus, _sunspec, cps
from sungaze.vendors._contract import Access, Answer, SiteRef
from sungaze.vendors._modbus import Gateway, NoSuchRegister, UnitAsleep, UnitBusy, units_of

BUCKET = NOON // 300 * 300


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with serve("cps", World(seed=3, sites=2, panels=40), now=Hands()) as running:
        yield running


@pytest.fixture
def server(emulator: Emulator) -> Iterator[ModbusServer]:
    service = emulator.service
    assert isinstance(service, CpsService)
    assert service.modbus is not None
    found = service.modbus
    found.switches = Switches()
    found.asked.clear()
    found.writes = 0
    yield found
    assert not found.writes, "we never write"
    assert 165 not in {one.unit for one in found.asked}
    assert all(one.registers <= 100 for one in found.asked)


@pytest.fixture
def gateway(server: ModbusServer) -> Iterator[Gateway]:
    with Gateway(server.host, server.port, timeout_s=0.3, pause=lambda s: None) as found:
        yield found


def access_of(emulator: Emulator, method: str = "modbus", **changed: str) -> Access:
    return Access(
        method=method, plan=cps.VENDOR.plans[0], credentials=emulator.credentials | changed, session=None,  # type: ignore[arg-type]  # HTTP has no part in it
        recall=dict, remember=lambda _: None, login_lease=lambda: None, now=lambda: float(NOON),
    )  # fmt: skip


def look(emulator: Emulator, timezone: str | None = None, **changed: str) -> Answer:
    site = SiteRef(vendor_site_id="EX-SITE-1", timezone=timezone)
    return cps.CONNECTOR.fetch(access_of(emulator, **changed), "state", site, Span(NOON - 60, NOON))


def values(answer: Answer, device: str) -> dict[str, float]:
    return {one.metric_name: one.value for one in answer.readings if one.vendor_device_id == device}


# -- the whole look --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "switches",
    [
        Switches(), Switches(own_map=False), Switches(own_map=False, floats=True), Switches(own_map=False, base=0),
        Switches(own_map=False, base=50_000), Switches(own_map=False, common_length=65),
        Switches(own_map=False, vendor_model=True), Switches(own_map=False, w_sf=2),
        Switches(model="XYZ100KTL-DO/US"), Switches(model="SCA36KTL-EU-M"),
    ],
)  # fmt: skip
def test_both_maps_tell_the_truth(emulator: Emulator, server: ModbusServer, switches: Switches) -> None:
    server.switches = switches
    answer = look(emulator)
    moments = server.view.moments(NOON) or []
    assert len(moments) == len(server.units) == 2
    for serial, moment in zip(server.view.serials, moments, strict=True):
        found = values(answer, serial)
        assert found["ac_power_w"] == pytest.approx(moment.ac_w, abs=100 if switches.w_sf else 51)
        assert found["energy_lifetime_wh"] == pytest.approx(moment.lifetime_wh, abs=501)
        assert found["ac_voltage_l1l2_v"] == pytest.approx(480)
        assert found["ac_frequency_hz"] == pytest.approx(60)
        for place, (volts, amps, watts) in enumerate(moment.inputs, 1):
            own = values(answer, f"{serial}:pv{place}")
            assert own["dc_voltage_v"] == pytest.approx(volts, abs=0.06)
            assert own["dc_current_a"] == pytest.approx(amps, abs=0.06)
            assert own["dc_power_w"] == pytest.approx(watts, abs=45)
    assert values(answer, "")["ac_power_w"] == pytest.approx(sum(m.ac_w for m in moments), abs=201)
    assert {one.metric_name for one in answer.readings} <= set(METRICS)
    assert answer.covered == Span(BUCKET, BUCKET + 300)
    assert {one.timestamp for one in answer.readings} == {BUCKET, NOON}


def test_devices_are_inverters_with_their_inputs(emulator: Emulator, server: ModbusServer) -> None:
    answer = look(emulator)
    assert answer.devices
    first, *inputs = answer.devices[:4]
    assert (first.vendor_device_id, first.device_type) == (server.view.serials[0], DeviceType.INVERTER)
    assert (first.manufacturer, first.firmware, first.status) == ("CPS", "17.4", DeviceStatus.NORMAL)
    assert [(one.device_type, one.parent) for one in inputs] == [(DeviceType.MPPT, server.view.serials[0])] * 3
    assert not answer.devices_complete


def test_the_day_s_yield_waits_for_the_zone(emulator: Emulator, server: ModbusServer) -> None:
    assert "energy_wh" not in values(look(emulator), server.view.serials[0])
    answer = look(emulator, "America/Chicago")
    (moment, *_) = server.view.moments(NOON) or []
    assert values(answer, server.view.serials[0])["energy_wh"] == pytest.approx(moment.today_wh, abs=51)


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize("floats", [True, False])
def test_sentinels_are_missing_and_never_zero(
    emulator: Emulator, server: ModbusServer, own: bool, floats: bool
) -> None:
    server.switches = Switches(all_sentinel=True, own_map=own, floats=floats)
    answer = look(emulator)
    assert set(values(answer, server.view.serials[0])) <= {"energy_lifetime_wh"}
    assert not values(answer, "")


def folded(answer: Answer, known: Sequence[AlertFacts] = ()) -> list[AlertFacts]:
    assert answer.fold is not None
    return answer.fold(known)


def test_faults_of_both_maps_become_alerts(emulator: Emulator, server: ModbusServer) -> None:
    server.switches = Switches(warning=0b10, faults=(0, 0b1000, 0, 0, 0), mode=0x8800)
    answer = look(emulator)
    raised = folded(answer)
    found = {one.code: one for one in raised if one.vendor_device_id == server.view.serials[0]}
    assert set(found) == {"W.1", "F1.3", "Derate"}
    assert found["F1.3"].severity is Severity.ERROR
    assert answer.devices
    assert answer.devices[0].status is DeviceStatus.FAULT
    assert answer.sites[0].status is SiteStatus.FAULT
    server.switches = Switches(own_map=False, evt1=(1 << 7) | 1)
    again = folded(look(emulator))
    assert {one.code for one in again} == {"Evt1.0", "Evt1.7"}
    assert not folded(look(emulator), again), "the same bit is the same alarm from look to look"
    server.switches = Switches(own_map=False)
    assert all(one.resolved_at for one in folded(look(emulator), again))


def test_a_sleeping_unit_is_left_out_and_no_alert_is_resolved_by_its_silence(
    emulator: Emulator, server: ModbusServer
) -> None:
    server.switches = Switches(warning=0b10)
    raised = folded(look(emulator))
    assert len(raised) == 2
    server.switches = Switches(asleep={2})
    answer = look(emulator)
    assert values(answer, server.view.serials[0])
    assert not values(answer, server.view.serials[1])
    assert {one.vendor_device_id for one in folded(answer, raised)} == {server.view.serials[0]}
    server.switches.asleep = {1, 2}
    nothing = look(emulator)
    assert not nothing.readings
    assert nothing.sites[0].communication is None
    assert not folded(nothing, raised)


def test_a_unit_that_speaks_nothing_known_is_left_out_and_the_sum_with_it(
    emulator: Emulator, server: ModbusServer
) -> None:
    answer = look(emulator, units="1-2,9")
    assert values(answer, ""), "nobody at 9: as good as asleep"
    server.switches = Switches(own_map=False, base=None)
    with pytest.raises(Changed, match="does not speak SunSpec"):
        look(emulator)


def test_the_probe_says_what_answers(emulator: Emulator, server: ModbusServer) -> None:
    server.switches.asleep = {2}
    seen = cps.CONNECTOR.probe(access_of(emulator))
    assert (seen.total, seen.sites[0].vendor_site_id) == (1, "EX-SITE-1")
    assert "answer: 1; asleep or off: 1" in seen.notes[0]
    listed = cps.CONNECTOR.list_sites(access_of(emulator, site=""))
    assert listed.complete
    assert listed.sites[0].vendor_site_id == f"127.0.0.1:{server.port}"
    assert cps.CONNECTOR.chunks("state", Span(1, 2)) == [Span(1, 2)]


def test_the_cloud_says_what_is_still_needed_and_is_no_error(emulator: Emulator) -> None:
    asked = access_of(emulator, "cloud", company="Invented Solar", onboarding="requested", auth="OAuth")
    probe = cps.CONNECTOR.probe(asked)
    assert "requested" in probe.blocked
    assert "a sandbox account" in probe.blocked
    assert "the kind of login" not in probe.blocked
    live = access_of(emulator, "cloud", company="Invented Solar", onboarding="live")
    assert "nothing is missing" in cps.CONNECTOR.probe(live).blocked
    with pytest.raises(NeedsReconnect, match="not_requested"):
        cps.CONNECTOR.probe(access_of(emulator, "cloud", company="Invented Solar", onboarding="soon"))


def test_a_secret_that_can_be_guessed_is_refused(emulator: Emulator) -> None:
    with pytest.raises(NeedsReconnect, match="16 characters"):
        cps.CONNECTOR.probe(access_of(emulator, "push", secret="short"))
    assert cps.CONNECTOR.probe(access_of(emulator, "push", secret="a-secret-of-some-length")).notes


@pytest.mark.parametrize(
    "changed", [{"units": "0"}, {"units": "165"}, {"units": "1-200"}, {"units": "x"}, {"port": "0"}, {"port": "http"}]
)
def test_what_was_entered_wrongly_is_said(emulator: Emulator, changed: dict[str, str]) -> None:
    with pytest.raises(NeedsReconnect):
        look(emulator, **changed)


def test_units_are_read_from_ranges() -> None:
    assert units_of("1-4, 6,32") == (1, 2, 3, 4, 6, 32)
    for wrong in ("", "1-", "-1", "4-1", "1,165", "160-170", "1-33", "248", "1;2"):
        with pytest.raises(ValueError, match=r"."):
            units_of(wrong)


# -- the door --------------------------------------------------------------------------------------------------------


def test_long_reads_are_cut_and_the_broadcast_unit_is_never_asked(gateway: Gateway, server: ModbusServer) -> None:
    assert len(gateway.holding(1, 40_000, 130)) == 130
    assert [one.registers for one in server.asked] == [100, 30]
    with pytest.raises(ValueError, match="broadcast"):
        gateway.input(165, 0, 1)
    for unit, address, count in ((0, 0, 1), (248, 0, 1), (1, -1, 1), (1, 65_500, 100), (1, 0, 0)):
        with pytest.raises(ValueError, match="no such registers"):
            gateway.input(unit, address, count)


def test_exceptions_become_our_errors(gateway: Gateway, server: ModbusServer) -> None:
    server.switches = Switches(asleep={1}, refused={2})
    with pytest.raises(UnitAsleep):
        gateway.input(1, 0, 1)
    with pytest.raises(UnitAsleep):
        gateway.input(2, 0, 1)
    server.switches = Switches()
    with pytest.raises(NoSuchRegister):
        gateway.input(1, 1000, 1)


def test_a_busy_unit_is_asked_again_twice(gateway: Gateway, server: ModbusServer) -> None:
    server.switches.busy = 2
    assert len(gateway.input(1, 5, 65)) == 65
    server.switches.busy = 3
    with pytest.raises(UnitBusy):
        gateway.input(1, 5, 65)


def test_a_reply_that_breaks_off_or_is_short_is_asked_again(gateway: Gateway, server: ModbusServer) -> None:
    server.switches.drop = 2
    assert len(gateway.input(1, 5, 65)) == 65
    server.switches.wrong_count = 1
    assert len(gateway.input(1, 5, 65)) == 65
    server.switches.drop = 3
    with pytest.raises(Unavailable, match="does not answer"):
        gateway.input(1, 5, 65)


def test_a_late_answer_is_never_taken_for_the_next_one_s(gateway: Gateway, server: ModbusServer) -> None:
    server.switches.slow_s = 0.4
    with pytest.raises(Unavailable):
        gateway.input(1, 29, 1)
    server.switches.slow_s = 0.0
    assert gateway.input(1, 47, 1) == [0x1000]


def test_a_gateway_that_answers_for_nobody_is_unavailable(emulator: Emulator, server: ModbusServer) -> None:
    server.switches.busy = 1_000
    with Gateway(server.host, server.port, pause=lambda s: None) as gateway, pytest.raises(Unavailable):
        cps.sweep(gateway, range(1, 3))
    server.switches.busy = 3
    with Gateway(server.host, server.port, pause=lambda s: None) as gateway:
        found = cps.sweep(gateway, range(1, 3))
    assert [one.unit for one in found.read] == [2]
    assert len(found.left_out) == 1


def test_nobody_there_is_unavailable_and_the_gateway_is_free_again() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for _ in range(2):
        with pytest.raises(Unavailable, match="Nothing answers"), Gateway("127.0.0.1", port, timeout_s=0.3):
            pass


def test_one_request_at_a_time_reaches_a_gateway(emulator: Emulator, server: ModbusServer) -> None:
    server.switches.one_connection = True
    failed: list[BaseException] = []

    def run() -> None:
        try:
            look(emulator)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not failed
    assert not server.overlaps


# -- SunSpec and the register map by themselves ----------------------------------------------------------------------


def test_an_accumulator_wraps_once() -> None:
    assert _sunspec.accumulated(10, 30) == 20
    assert _sunspec.accumulated((1 << 32) - 10, 5) == 15


@pytest.mark.parametrize(
    ("words", "kind", "value"),
    [([0x8000], "i16", None), ([0xFFFF], "i16", -1.0), ([0xFFFF], "u16", None), ([0xFFFF] * 2, "u32", None),
     ([0, 0], "acc32", None), ([0x7FC0, 0], "f32", None), ([0x7F80, 0], "f32", None), ([0x4120, 0], "f32", 10.0),
     ([0x4142, 0x4300], "s16", "ABC"), ([1, 0x10, 0x2000, 0x1234], "bcd64", "0001001020001234"),
     ([0, 0, 0, 0], "bcd64", None), ([0xA, 0, 0, 0], "bcd64", None)],
)  # fmt: skip
def test_types_and_sentinels(words: list[int], kind: str, value: Any) -> None:
    assert _sunspec.decoded(words, kind) == value


def test_a_scale_that_is_not_available_makes_the_value_so() -> None:
    registers = [103, 50] + [0] * 50
    registers[14], registers[15] = 100, 0x8000
    assert "W" not in _sunspec.read_block(103, registers).points
    registers[15] = 1
    assert _sunspec.read_block(103, registers).points["W"] == 1_000
    registers[15] = 11
    assert "W" not in _sunspec.read_block(103, registers).points


def own(**changed: Any) -> bytes:
    room = resources.files("sungaze.vendors")
    return json.dumps(json.loads((room / "cps-403x.json").read_bytes()) | changed).encode()


@pytest.mark.parametrize(
    "changed",
    [{"colour": 1}, {"models": ["("]}, {"function": 6}, {"count": 101}, {"count": 10}, {"identity": {}},
     {"metrics": {"ac_power_w": {"address": 29, "type": "u16", "unit": "hp"}}},
     {"metrics": {"ac_power_w": {"address": 29, "type": "u17", "unit": "kW"}}},
     {"metrics": {"power": {"address": 29, "type": "u16", "unit": "kW"}}}, {"mode": {"address": 4, "map": {}}},
     {"mode": {"address": 47, "map": {"1000": "normal"}}}, {"faults": {"words": {"P": [70]}}}],
)  # fmt: skip
def test_a_register_map_that_cannot_be_used_is_refused_at_the_start(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"register map|work-mode bit"):
        _sunspec.register_map(own(**changed))


def test_a_loaded_table_gives_the_display_s_code_and_keeps_the_bit_as_name() -> None:
    table = {"F1.3": {"code": "Protect0110", "text": "Bus over-voltage", "severity": "error"}}
    found = _sunspec.register_map(own(faults={"words": {"F": [54, 55]}, "table": table}))
    registers = [0] * 65
    registers[55 - 5] = 8
    (mark,) = _sunspec.read_map(found, registers).state.marks
    assert (mark.name, mark.code) == ("F1.3", "Protect0110")


@pytest.mark.parametrize(
    ("model", "fits"),
    [("SCA60KTL-DO/US-480", True), ("CPS SCA25KTL-DO-R/US-480", True), ("SCA36KTL-EU-M", False),
     ("SCA100KTL-DO", False), ("", False), ("XSCA60KTL", False)],
)  # fmt: skip
def test_registers_of_one_family_are_not_read_as_another_s(model: str, fits: bool) -> None:
    assert cps.register_maps()[0].fits(model) is fits


def test_the_door_knows_no_way_to_write() -> None:
    assert not [name for name in dir(Gateway) if "write" in name]
    assert "write_" not in (resources.files("sungaze.vendors") / "_modbus.py").read_text()
    assert _modbus.MOST_REGISTERS == 100
