"""SunSpec models and vendors' own register maps, read into canonical values; no network here.

Layouts, types and sentinels: the SunSpec standard, as set down in vendors/cps.md 6.3. A vendor's own map is a data
file beside this one. Every reader is total: what cannot be is left out, never guessed.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final
from xml.etree import ElementTree as ET

import msgspec

from sungaze.model import METRICS, DeviceStatus, Severity
from sungaze.vendors._modbus import NoSuchRegister

Read = Callable[[int, int], Sequence[int]]
"""Registers at (address, count); raises NoSuchRegister for an address that there is not."""

BASES: Final = (40_000, 0, 50_000)
MARK: Final = (0x5375, 0x6E53)
END: Final = 0xFFFF
MOST_MODELS: Final = 100
"""Models in one device; a chain that is longer than this leads nowhere."""
MOST_INPUTS: Final = 48

Value = float | str


class Block(msgspec.Struct):
    """One model of a device: its points in real units, absent where not available, and those of its DC inputs."""

    model: int
    points: dict[str, Value]
    inputs: list[dict[str, Value]] = msgspec.field(default_factory=list)


class SunSpecDevice(msgspec.Struct):
    """A device as its models tell it. `at` is the epoch second of a document's stamp, None for registers."""

    manufacturer: str = ""
    model: str = ""
    firmware: str = ""
    serial: str = ""
    logger: str = ""
    at: int | None = None
    blocks: list[Block] = msgspec.field(default_factory=list)


class Mark(msgspec.Struct, frozen=True):
    """Something a device complains of. `name` is word and bit, whatever its display calls it (`code`)."""

    name: str
    code: str
    text: str
    severity: Severity


class State(msgspec.Struct):
    """Canonical values of one inverter: metrics by name, those of each DC input (1, 2, …), and what it complains of.

    `words` are the fault words that were heard: only a word that is there can say that its bits have fallen.
    """

    metrics: dict[str, float] = msgspec.field(default_factory=dict)
    inputs: dict[int, dict[str, float]] = msgspec.field(default_factory=dict)
    status: DeviceStatus = DeviceStatus.UNKNOWN
    marks: list[Mark] = msgspec.field(default_factory=list)
    words: set[str] = msgspec.field(default_factory=set)
    rated_w: float | None = None


# -- layouts: name, offset from the id register, type, offset of its scale factor ------------------------------------

_Layout = tuple[tuple[str, int, str, int], ...]


def _layout(text: str) -> _Layout:
    rows = (row.split() for row in text.strip().splitlines())
    return tuple((name, int(offset), kind, int(scale)) for name, offset, kind, scale in rows)


_COMMON = _layout("Mn 2 s16 0\nMd 18 s16 0\nVr 42 s8 0\nSN 50 s16 0")
_INTEGER = _layout("""
A 2 u16 6\nAphA 3 u16 6\nAphB 4 u16 6\nAphC 5 u16 6
PPVphAB 7 u16 13\nPPVphBC 8 u16 13\nPPVphCA 9 u16 13\nPhVphA 10 u16 13\nPhVphB 11 u16 13\nPhVphC 12 u16 13
W 14 i16 15\nHz 16 u16 17\nVA 18 i16 19\nVAr 20 i16 21\nPF 22 i16 23\nWH 24 acc32 26
DCA 27 u16 28\nDCV 29 u16 30\nDCW 31 i16 32\nTmpCab 33 i16 37\nTmpSnk 34 i16 37
St 38 u16 0\nStVnd 39 u16 0\nEvt1 40 u32 0\nEvt2 42 u32 0
""")
_FLOAT = _layout("""
A 2 f32 0\nAphA 4 f32 0\nAphB 6 f32 0\nAphC 8 f32 0
PPVphAB 10 f32 0\nPPVphBC 12 f32 0\nPPVphCA 14 f32 0\nPhVphA 16 f32 0\nPhVphB 18 f32 0\nPhVphC 20 f32 0
W 22 f32 0\nHz 24 f32 0\nVA 26 f32 0\nVAr 28 f32 0\nPF 30 f32 0\nWH 32 f32 0\nDCA 34 f32 0\nDCV 36 f32 0\nDCW 38 f32 0
TmpCab 40 f32 0\nTmpSnk 42 f32 0\nSt 48 u16 0\nStVnd 49 u16 0\nEvt1 50 u32 0\nEvt2 52 u32 0
""")
_NAMEPLATE = _layout("DERTyp 2 u16 0\nWRtg 3 u16 4\nVARtg 5 u16 6")
_STATUS = _layout("PVConn 2 u16 0\nActWh 5 acc64 0\nTms 41 u32 0")
LAYOUTS: Final[Mapping[int, _Layout]] = {
    1: _COMMON,
    101: _INTEGER, 102: _INTEGER, 103: _INTEGER,
    111: _FLOAT, 112: _FLOAT, 113: _FLOAT,
    120: _NAMEPLATE,
    122: _STATUS,
}  # fmt: skip
INVERTERS: Final = frozenset({101, 102, 103, 111, 112, 113})
_MPPT = 160
_MPPT_HEAD = _layout("Evt 6 u32 0\nN 8 u16 0")
_MPPT_INPUT = _layout(
    "ID 0 u16 0\nDCA 9 u16 2\nDCV 10 u16 3\nDCW 11 u16 4\nDCWH 12 acc32 5\nTmp 16 i16 0\nDCSt 17 u16 0"
)
_WIDTHS: Final = {
    "u16": 1,
    "i16": 1,
    "u32": 2,
    "f32": 2,
    "acc32": 2,
    "acc64": 4,
    "s8": 8,
    "s10": 10,
    "s16": 16,
    "bcd64": 4,
}


# -- registers -------------------------------------------------------------------------------------------------------


def find_base(read: Read) -> int | None:
    """The address at which “SunS” stands, None where no known base has it."""
    for base in BASES:
        try:
            if tuple(read(base, 2)) == MARK:
                return base
        except NoSuchRegister:
            continue
    return None


def walk(read: Read, base: int) -> Iterator[tuple[int, int, int]]:
    """Each model as (id, address of its id, length), by the lengths alone, so that unknown ones do no harm."""
    address = base + 2
    for _ in range(MOST_MODELS):
        if address + 2 > 65_536:
            return
        try:
            model, length = read(address, 2)
        except NoSuchRegister:
            # Some devices do not supply a length for the end (the alliance's client reads it alone for that reason).
            return
        if model in {END, 0} or address + 2 + length > 65_536:
            return
        yield model, address, length
        address += 2 + length


def read_device(read: Read, base: int) -> SunSpecDevice:
    """All known models of the device that begins at `base`."""
    device = SunSpecDevice()
    for model, address, length in walk(read, base):
        if (model not in LAYOUTS and model != _MPPT) or not length:
            continue
        registers = [model, length, *read(address + 2, length)]
        block = read_block(model, registers)
        device.blocks.append(block)
        if model == 1:
            device.manufacturer, device.model = str(block.points.get("Mn", "")), str(block.points.get("Md", ""))
            device.firmware, device.serial = str(block.points.get("Vr", "")), str(block.points.get("SN", ""))
    return device


def read_block(model: int, registers: Sequence[int]) -> Block:
    """The points of one model; `registers` begin with its id."""
    if model != _MPPT:
        return Block(model, _points(LAYOUTS[model], registers, registers))
    head = _points(_MPPT_HEAD, registers, registers)
    fits = max(0, (len(registers) - 10) // 20)
    count = head.get("N", fits)
    inputs = [
        _points(_MPPT_INPUT, registers[10 + 20 * n : 30 + 20 * n], registers)
        for n in range(min(int(count) if isinstance(count, float) else 0, fits, MOST_INPUTS))
    ]
    return Block(model, head, inputs)


def _points(layout: _Layout, registers: Sequence[int], scales: Sequence[int]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name, offset, kind, scale_at in layout:
        words = registers[offset : offset + _WIDTHS[kind]]
        if len(words) < _WIDTHS[kind]:
            continue
        value = decoded(words, kind)
        if value is None:
            continue
        if scale_at and isinstance(value, float):
            factor = decoded(scales[scale_at : scale_at + 1], "i16") if scale_at < len(scales) else None
            if not isinstance(factor, float) or not -10 <= factor <= 10:
                continue
            value = _scaled(value, int(factor))
        found[name] = value
    return found


def _scaled(value: float, power: int) -> float:
    # A division by a power of ten is exact where the product with its inverse is not: 4812·10⁻¹ is 481.2.
    return value * 10.0**power if power >= 0 else value / 10.0**-power


def decoded(words: Sequence[int], kind: str) -> Value | None:
    """The value of big-endian registers, None for the type's sentinel or where there are none."""
    if not words:
        return None
    raw = b"".join((word & 0xFFFF).to_bytes(2, "big") for word in words)
    if kind.startswith("s"):
        return raw.split(b"\0")[0].decode("utf-8", "replace").strip()
    if kind == "bcd64":
        digits = raw.hex()
        return digits if digits.isdecimal() and digits.strip("0") else None
    if kind == "f32":
        value = float(struct.unpack(">f", raw)[0])
        return value if math.isfinite(value) else None
    number = int.from_bytes(raw, "big", signed=kind.startswith("i"))
    if kind.startswith("acc"):
        return float(number) if number else None
    sentinel = -(1 << (8 * len(raw) - 1)) if kind.startswith("i") else (1 << (8 * len(raw))) - 1
    return None if number == sentinel else float(number)


def accumulated(before: float, after: float, bits: int = 32) -> float:
    """What an accumulator counted between two raw values, across one wrap at 2^bits."""
    return after - before if after >= before else after + float(1 << bits) - before


# -- documents -------------------------------------------------------------------------------------------------------


def read_document(body: bytes) -> list[SunSpecDevice] | str:
    """The devices of a SunSpec data-exchange document, or in a few words why it is none (section 4)."""
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        return "a document type of its own"
    try:
        root = ET.fromstring(body)
    except (ET.ParseError, ValueError, LookupError, RecursionError):
        return "not XML"
    if root.tag.rpartition("}")[2].lower() != "sunspecdata":
        return "not a SunSpec document"
    return [_document_device(element) for element in root if element.tag.rpartition("}")[2] == "d"]


def _document_device(element: ET.Element) -> SunSpecDevice:
    device = SunSpecDevice(
        manufacturer=element.get("man", ""), model=element.get("mod", ""), serial=element.get("sn", "").strip(),
        logger=element.get("lid", "").strip(), at=stamp(element.get("t", "")),
    )  # fmt: skip
    inputs: list[tuple[int, dict[str, Value]]] = []
    for model in element:
        number = model.get("id", "")
        if model.tag.rpartition("}")[2] != "m" or not number.isdecimal() or len(number) > 5:
            continue
        points: dict[str, Value] = {}
        for point in model:
            name, text = point.get("id", ""), (point.text or "").strip()
            value = _document_value(text, point.get("sf"))
            if name and value is not None:
                points[name] = value
        index = model.get("x", "")
        if int(number) == _MPPT and index.isdecimal() and len(index) < 4:
            inputs.append((int(index), points))
        else:
            device.blocks.append(Block(int(number), points))
    if inputs:
        inputs.sort(key=lambda item: item[0])
        device.blocks.append(Block(_MPPT, {}, [points for _, points in inputs]))
    return device


def _document_value(text: str, scale: str | None) -> Value | None:
    if not text:
        return None
    try:
        value = float(text)
        power = int(scale or 0)
    except (ValueError, OverflowError):
        return text
    return _scaled(value, power) if math.isfinite(value) and -10 <= power <= 10 else None


def stamp(text: str) -> int | None:
    """The epoch second of an ISO stamp; without an offset it is UTC. None for anything else."""
    try:
        moment = dt.datetime.fromisoformat(text.strip())
        return int((moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


# -- canonical values ------------------------------------------------------------------------------------------------

_METRICS: Final = {
    "W": "ac_power_w",
    "A": "ac_current_a", "AphA": "ac_current_l1_a", "AphB": "ac_current_l2_a", "AphC": "ac_current_l3_a",
    "PPVphAB": "ac_voltage_l1l2_v", "PPVphBC": "ac_voltage_l2l3_v", "PPVphCA": "ac_voltage_l3l1_v",
    "PhVphA": "ac_voltage_v",
    "Hz": "ac_frequency_hz", "VA": "ac_apparent_power_va", "VAr": "ac_reactive_power_var",
    "WH": "energy_lifetime_wh",
    "DCA": "dc_current_a", "DCV": "dc_voltage_v", "DCW": "dc_power_w",
    "TmpCab": "temperature_c", "TmpSnk": "temperature_c",
}  # fmt: skip
_INPUT_METRICS: Final = {
    "DCA": "dc_current_a",
    "DCV": "dc_voltage_v",
    "DCW": "dc_power_w",
    "DCWH": "dc_energy_lifetime_wh",
}
_STATES: Final = {
    1: DeviceStatus.NORMAL, 2: DeviceStatus.NORMAL, 3: DeviceStatus.NORMAL, 4: DeviceStatus.NORMAL,
    5: DeviceStatus.WARNING, 6: DeviceStatus.NORMAL, 7: DeviceStatus.FAULT, 8: DeviceStatus.NORMAL,
}  # fmt: skip
EVENTS: Final = (
    "Ground fault", "DC over-voltage", "AC disconnect open", "DC disconnect open", "Grid disconnected", "Cabinet open",
    "Shut down by hand", "Over-temperature", "Grid frequency too high", "Grid frequency too low",
    "AC voltage too high", "AC voltage too low", "Blown string fuse", "Under-temperature",
    "Memory or communication error", "Hardware test failed",
)  # fmt: skip


def state_of(device: SunSpecDevice) -> State:
    """What the models say of an inverter, in canonical words; `St` 1 to 8 by section 7."""
    state = State()
    for block in device.blocks:
        points = {name: value for name, value in block.points.items() if isinstance(value, float)}
        if block.model in INVERTERS:
            state.metrics |= {_METRICS[name]: value for name, value in points.items() if name in _METRICS}
            if "PF" in points:
                # The model counts it in percent; some send the fraction itself.
                state.metrics["power_factor"] = points["PF"] / 100 if abs(points["PF"]) > 1 else points["PF"]
            if "St" in points:
                state.status = _STATES.get(int(points["St"]), DeviceStatus.UNKNOWN)
            if "Evt1" in points:
                state.words.add("Evt1")
                state.marks += event_bits(int(points["Evt1"]))
        elif block.model == 120 and points.get("WRtg", 0) > 0:
            state.rated_w = points["WRtg"]
        elif block.model == _MPPT:
            for place, values in enumerate(block.inputs, 1):
                known = {
                    _INPUT_METRICS[n]: v for n, v in values.items() if n in _INPUT_METRICS and isinstance(v, float)
                }
                if known:
                    state.inputs[place] = known
    add_input_power(state.inputs)
    return state


def event_bits(word: int) -> list[Mark]:
    """Every bit of `Evt1` that is set and has a meaning."""
    return [
        Mark(f"Evt1.{bit}", f"Evt1.{bit}", text, Severity.ERROR if bit != 6 else Severity.WARNING)
        for bit, text in enumerate(EVENTS)
        if word >> bit & 1
    ]


# -- a vendor's own map, from its data file --------------------------------------------------------------------------

SCALES: Final = {
    "": 1.0, "W": 1.0, "kW": 1e3, "MW": 1e6, "VA": 1.0, "kVA": 1e3, "var": 1.0, "kvar": 1e3, "Wh": 1.0, "kWh": 1e3,
    "MWh": 1e6, "V": 1.0, "A": 1.0, "Hz": 1.0, "°C": 1.0, "%": 1.0,
}  # fmt: skip
"""What a unit is worth in the canonical one."""
_WORSE: Final = (DeviceStatus.UNKNOWN, DeviceStatus.NORMAL, DeviceStatus.WARNING, DeviceStatus.FAULT)


class Fault(msgspec.Struct, frozen=True):
    """What a fault bit is called on the display of its model, where that is known."""

    code: str
    text: str
    severity: Severity = Severity.ERROR


class _Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    address: int
    type: str
    unit: str = ""
    scale: int = 0
    day: bool = False


class _Inputs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    addresses: tuple[int, ...]
    type: str
    unit: str = ""
    scale: int = 0


class ModeMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The bits of a work mode and what each means; `derating` is the one that is an alert of its own."""

    map: dict[str, DeviceStatus]
    derating: str = ""
    address: int = 0
    path: str = ""
    kind: str = "bitmask_hex"

    def status(self, word: int | None) -> DeviceStatus:
        """The worst of the bits that are set; unknown for 0, for None and for bits that the map does not name."""
        found = [status for bits, status in self.map.items() if word is not None and word & int(bits, 16)]
        return max(found, key=_WORSE.index, default=DeviceStatus.UNKNOWN)

    def derates(self, word: int | None) -> bool:
        """Whether the inverter says that it holds back."""
        return bool(word and self.derating and word & int(self.derating, 16))


class _FaultWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    words: dict[str, tuple[int, ...]]
    table: dict[str, Fault] = {}


class RegisterMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A vendor's own registers for one family of models; one read of `count` registers from `first` covers them."""

    id: str
    about: str
    models: tuple[str, ...]
    function: int
    first: int
    count: int
    identity: dict[str, _Place]
    metrics: dict[str, _Place]
    inputs: dict[str, _Inputs]
    mode: ModeMap
    faults: _FaultWords
    not_models: tuple[str, ...] = ()

    def fits(self, model: str) -> bool:
        """Whether a model belongs to the family; registers of one family do not fit the next."""
        return any(re.fullmatch(p, model) for p in self.models) and not any(
            re.fullmatch(p, model) for p in self.not_models
        )


class MapReading(msgspec.Struct):
    """What one read of a map gave. `today_wh` counts from the gateway's midnight."""

    serial: str
    model: str
    firmware: str
    state: State
    today_wh: float | None


def register_map(text: bytes) -> RegisterMap:
    """A validated map. Raises ValueError that says which part of the file is wrong."""
    try:
        found = msgspec.json.decode(text, type=RegisterMap)
    except msgspec.DecodeError as error:
        raise ValueError(f"the register map cannot be used: {error}") from None
    for pattern in (*found.models, *found.not_models):
        try:
            re.compile(pattern)
        except re.error:
            raise ValueError(f"the register map {found.id} has a model pattern that is none: {pattern}") from None
    last = found.first + found.count
    spans: list[tuple[str, int, str]] = [(name, p.address, p.type) for name, p in found.identity.items()]
    spans += [(name, p.address, p.type) for name, p in found.metrics.items()]
    spans += [(name, at, p.type) for name, p in found.inputs.items() for at in p.addresses]
    spans += [(name, at, "u16") for name, words in found.faults.words.items() for at in words]
    spans.append(("mode", found.mode.address, "u16"))
    for name, at, kind in spans:
        if kind not in _WIDTHS or not found.first <= at <= at + _WIDTHS[kind] <= last:
            raise ValueError(f"the register map {found.id} has {name} at {at} as {kind}, which it does not read")
    units = [(name, p.unit) for name, p in found.metrics.items()] + [(n, i.unit) for n, i in found.inputs.items()]
    for name, unit in units:
        if name not in METRICS or unit not in SCALES:
            raise ValueError(f"the register map {found.id} counts {name} in {unit}: one of them is not known")
    if found.function not in {3, 4} or not 0 < found.count <= 100 or not {"serial", "model"} <= set(found.identity):
        raise ValueError(
            f"the register map {found.id} must read 1 to 100 registers by function 3 or 4, serial and model"
        )
    checked_mode(found.mode)
    return found


def checked_mode(mode: ModeMap) -> ModeMap:
    """The same map. Raises ValueError for a bit that is no hexadecimal number."""
    for bits in (*mode.map, *([mode.derating] if mode.derating else [])):
        if not re.fullmatch("0x[0-9A-Fa-f]{1,8}", bits):
            raise ValueError(f"{bits} is no work-mode bit such as 0x1000")
    return mode


def read_map(found: RegisterMap, registers: Sequence[int]) -> MapReading:
    """Canonical values of one read; `registers` begin at the map's first address."""

    def at(address: int, kind: str) -> Value | None:
        start = address - found.first
        words = registers[start : start + _WIDTHS[kind]]
        return decoded(words, kind) if len(words) == _WIDTHS[kind] else None

    def figure(address: int, place: _Place | _Inputs) -> float | None:
        value = at(address, place.type)
        return _scaled(value, place.scale) * SCALES[place.unit] if isinstance(value, float) else None

    state = State()
    today: float | None = None
    for name, place in found.metrics.items():
        value = figure(place.address, place)
        if value is not None and place.day:
            today = value
        elif value is not None:
            state.metrics[name] = value
    for name, inputs in found.inputs.items():
        for number, address in enumerate(inputs.addresses, 1):
            value = figure(address, inputs)
            if value is not None:
                state.inputs.setdefault(number, {})[name] = value
    add_input_power(state.inputs)
    mode = at(found.mode.address, "u16")
    word = int(mode) if isinstance(mode, float) else None
    state.status = found.mode.status(word)
    if found.mode.derates(word):
        state.marks.append(DERATE)
    if word is not None:
        state.words.add(DERATE.name)
    for letter, addresses in found.faults.words.items():
        for number, address in enumerate(addresses):
            bits = at(address, "u16")
            if isinstance(bits, float):
                family = letter if len(addresses) == 1 else f"{letter}{number}"
                state.words.add(family)
                state.marks += fault_bits(family, int(bits), found.faults.table)
    identity = {name: at(place.address, place.type) for name, place in found.identity.items()}
    major, minor = identity.get("firmware_major"), identity.get("firmware_minor")
    firmware = f"{major:.0f}.{minor:.0f}" if isinstance(major, float) and isinstance(minor, float) else ""
    model, serial = identity["model"], identity["serial"]
    return MapReading(
        serial if isinstance(serial, str) else "", model if isinstance(model, str) else "", firmware, state, today
    )


DERATE: Final = Mark("Derate", "Derate", "The inverter holds its power back (derating)", Severity.WARNING)
_FAMILIES: Final = {"P": "permanent fault word", "W": "warning word"}


def fault_bits(family: str, word: int, table: Mapping[str, Fault]) -> list[Mark]:
    """Every set bit, called as the model's table does where it is loaded, else by word and bit: `F1.3` (section 7)."""
    found: list[Mark] = []
    for bit in range(32):
        if word >> bit & 1:
            name = f"{family}.{bit}"
            known = table.get(name)
            what = _FAMILIES.get(family, f"fault word {family[1:]}")
            severity = Severity.WARNING if family.startswith("W") else Severity.ERROR
            unnamed = f"The inverter reports bit {bit} of its {what}; its meaning depends on the model"
            found.append(
                Mark(name, known.code, known.text, known.severity) if known else Mark(name, name, unnamed, severity)
            )
    return found


def add_input_power(inputs: Mapping[int, dict[str, float]]) -> None:
    """Give every input that has voltage and current its power, where it does not tell it itself."""
    for values in inputs.values():
        if "dc_power_w" not in values and {"dc_voltage_v", "dc_current_a"} <= set(values):
            values["dc_power_w"] = values["dc_voltage_v"] * values["dc_current_a"]
