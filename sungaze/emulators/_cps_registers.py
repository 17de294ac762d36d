"""The two register spaces of a simulated inverter: CPS's own map (vendors/cps.md 6.2) and SunSpec models (6.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from sungaze.emulators._cps_site import INPUTS, Moment

OWN_REGISTERS = 100
SECONDS_TO_2000 = 946_684_800
VENDOR_MODEL = 64_001
NO_I16, NO_U16, NO_U32, NO_F32 = 0x8000, 0xFFFF, 0xFFFFFFFF, 0x7FC00000


@dataclass
class Switches:
    """How the Modbus server behaves; may be changed while it runs.

    `base` is where SunSpec begins, None for a device without it; `own_map` whether CPS's own map answers. `w_sf` None
    takes the smallest scale that fits. `busy` and `drop` count the next replies that are exception 6 or break off in
    the middle; `wrong_count` those that are one register short.
    """

    base: int | None = 40_000
    own_map: bool = True
    all_sentinel: bool = False
    w_sf: int | None = None
    common_length: int = 66
    vendor_model: bool = False
    floats: bool = False
    asleep: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    sleeps_at_night: bool = True
    slow_s: float = 0.0
    busy: int = 0
    drop: int = 0
    wrong_count: int = 0
    one_connection: bool = False
    evt1: int = 0
    warning: int = 0
    faults: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    mode: int | None = None
    model: str | None = None
    energy_offset_wh: int = 0


@dataclass(frozen=True)
class Nameplate:
    """What does not change of an inverter."""

    serial: str
    model: str
    rated_w: float


def words_of(value: int, count: int) -> list[int]:
    """Return `count` big-endian words, high word first; negative values as two's complement."""
    value &= (1 << (16 * count)) - 1
    return [value >> (16 * (count - 1 - n)) & 0xFFFF for n in range(count)]


def text_of(text: str, count: int) -> list[int]:
    """Return `count` words of NUL-padded ASCII."""
    raw = text.encode("ascii", "replace")[: 2 * count].ljust(2 * count, b"\0")
    return [int.from_bytes(raw[n : n + 2], "big") for n in range(0, 2 * count, 2)]


def own_map(plate: Nameplate, moment: Moment, switches: Switches) -> list[int]:
    """Return input registers 0 to 99."""
    registers = [0] * OWN_REGISTERS

    def put(address: int, value: float, scale: float = 1.0, count: int = 1) -> None:
        registers[address : address + count] = words_of(round(value / scale), count)

    put(5, 4)
    put(65, 17)
    registers[6:10] = [int(plate.serial[n : n + 4], 16) for n in range(0, 16, 4)]
    registers[10:20] = text_of(switches.model or plate.model, 10)
    ac = moment.ac_w
    amps = ac / (480.0 * 3**0.5)
    put(22, (moment.lifetime_wh + switches.energy_offset_wh) / 1000.0, count=2)
    put(24, moment.today_wh / 1000.0, 0.1)
    put(25, 975 if ac else 0)
    put(26, 998 if ac else 0)
    put(27, ac / 1000.0, 0.1)
    put(28, 300, 0.1)
    put(29, ac / 1000.0, 0.1)
    put(30, ac / 998.0, 0.1)
    for place in range(3):
        put(31 + place, 480.0 + place / 2, 0.1)
        put(34 + place, amps, 0.1)
        volts, dc_a, _ = moment.inputs[place]
        put(37 + 2 * place, volts, 0.1)
        put(38 + 2 * place, dc_a, 0.1)
    put(43, 60.0, 0.1)
    put(44, 25.0 + ac / 400.0, 0.1)
    put(45, 24.0, 0.1)
    put(46, -3.5, 0.1)
    put(59, 0.05 * ac / 1000.0, 0.1)
    put(69, sum(w for _, _, w in moment.inputs) / 1000.0, 0.1)
    if switches.all_sentinel:
        for address in (*range(22, 47), 59, 69):
            registers[address] = NO_I16 if address in {26, 38, 40, 42, 44, 45, 46, 59} else NO_U16
    registers[47] = (0x1000 if ac else 0x2000) if switches.mode is None else switches.mode
    registers[53] = switches.warning
    registers[54:59] = switches.faults
    return registers


def sunspec(plate: Nameplate, moment: Moment, now: float, switches: Switches) -> list[int]:
    """Return the holding registers from the base on, mark and end included."""
    chain = [0x5375, 0x6E53]
    models = [(1, _common(plate, switches.common_length, switches.model))]
    if switches.vendor_model:
        models.append((VENDOR_MODEL, [0xBEEF] * 17))
    models.append((113, _floats(moment, switches)) if switches.floats else (103, _integers(moment, switches)))
    models += [
        (120, _nameplate(plate)),
        (121, _settings(plate)),
        (122, _status(moment, now, switches)),
        (160, _inputs(moment, switches)),
    ]
    for model, data in models:
        chain += [model, len(data), *data]
    return [*chain, 0xFFFF, 0]


def _common(plate: Nameplate, length: int, model: str | None) -> list[int]:
    data = [*text_of("CPS", 16), *text_of(model or plate.model, 16), *text_of("", 8), *text_of("17.4", 8)]
    data += [*text_of(plate.serial, 16), 1, 0x8000]
    return data[:length]


def _scale_for(watts: float) -> int:
    return 0 if watts <= 32_000 else 1


def _integers(moment: Moment, switches: Switches) -> list[int]:
    ac = moment.ac_w
    sf = _scale_for(ac) if switches.w_sf is None else switches.w_sf
    va_sf = max(sf, 0)
    amps = round(ac / (480.0 * 3**0.5) * 10)
    dc_w = sum(w for _, _, w in moment.inputs)
    volts = round(max(v for v, _, _ in moment.inputs) * 10)
    dc_a = round(sum(a for _, a, _ in moment.inputs) * 10)
    dc_sf = _scale_for(dc_w)
    energy = round(moment.lifetime_wh) + switches.energy_offset_wh
    scaled = max(-32_767, min(32_767, round(ac / 10.0**sf)))
    data = [
        3 * amps, amps, amps, amps, -1, 4800, 4805, 4810, 2771, 2774, 2777, -1, scaled, sf, 6000, -2,
        round(ac / 0.998 / 10.0**va_sf), va_sf, round(0.05 * ac / 10.0**va_sf), va_sf, 998 if ac else 0, -1,
        *words_of(energy % (1 << 32), 2), 0, dc_a, -1, volts, -1, round(dc_w / 10.0**dc_sf), dc_sf,
        350, round(250 + ac / 40.0), NO_I16, NO_I16, -1, 4 if ac else 8, 0, *words_of(switches.evt1, 2), 0, 0,
        *([0] * 8),
    ]  # fmt: skip
    if switches.all_sentinel:
        for place in (0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 14, 25, 27):
            data[place] = NO_U16
        for place in (4, 11, 12, 13, 15, 16, 17, 18, 19, 20, 21, 24, 26, 28, 29, 30, 31, 32, 35):
            data[place] = NO_I16
        data[22:24] = [0, 0]
        data[36] = data[37] = NO_U16
        data[38:42] = [NO_U16] * 4
    return [value & 0xFFFF for value in data]


def _float_words(value: float | None) -> list[int]:
    bits = NO_F32 if value is None else int.from_bytes(struct.pack(">f", value), "big")
    return words_of(bits, 2)


def _floats(moment: Moment, switches: Switches) -> list[int]:
    ac = moment.ac_w
    amps = ac / (480.0 * 3**0.5)
    dc_w = sum(w for _, _, w in moment.inputs)
    volts, dc_a = max(v for v, _, _ in moment.inputs), sum(a for _, a, _ in moment.inputs)
    energy = moment.lifetime_wh + switches.energy_offset_wh
    values: list[float | None] = [
        3 * amps, amps, amps, amps, 480.0, 480.5, 481.0, 277.1, 277.4, 277.7, ac, 60.0, ac / 0.998, 0.05 * ac,
        99.8 if ac else 0.0, energy, dc_a, volts, dc_w, 35.0, 25.0 + ac / 400.0, None, None,
    ]  # fmt: skip
    if switches.all_sentinel:
        values = [None] * len(values)
    data = [word for value in values for word in _float_words(value)]
    state = NO_U16 if switches.all_sentinel else 4 if ac else 8
    return [*data, state, 0, *words_of(switches.evt1, 2), *([0] * 10)]


def _nameplate(plate: Nameplate) -> list[int]:
    rated = round(plate.rated_w / 10)
    data = [4, rated, 1, rated, 1, rated, rated, rated, rated, 1, 72, 0, -800, NO_I16, NO_I16, 800, -3]
    data += [NO_U16, NO_I16, NO_U16, NO_I16, NO_U16, NO_I16, NO_U16, NO_I16, NO_I16]
    return [value & 0xFFFF for value in data]


def _settings(plate: Nameplate) -> list[int]:
    rated = round(plate.rated_w / 10)
    data = [rated, 4800, 0, 5280, 4224, rated, rated, NO_I16, NO_I16, rated, NO_U16, 800, NO_I16, NO_I16, 800]
    data += [1, 1, NO_U16, 6000, NO_U16, 1, -1, -1, -1, 1, 1, NO_I16, -3, NO_I16, -2]
    return [value & 0xFFFF for value in data]


def _status(moment: Moment, now: float, switches: Switches) -> list[int]:
    data = [0b111, NO_U16, 1, *words_of(round(moment.lifetime_wh) + switches.energy_offset_wh, 4), *([0] * 20)]
    data += [NO_I16, NO_I16, NO_U16, NO_I16, 0, 0, 0, 0, *text_of("RTC", 4)]
    data += [*words_of(int(now) - SECONDS_TO_2000, 2), 0, NO_U16, NO_I16]
    return data


def _inputs(moment: Moment, switches: Switches) -> list[int]:
    data = [-2, -1, 0, 0, 0, 0, INPUTS, 0]
    for number, (volts, amps, watts) in enumerate(moment.inputs, 1):
        figures = [round(amps * 100), round(volts * 10), round(watts)]
        if switches.all_sentinel:
            figures = [NO_U16] * 3
        data += [
            number,
            *text_of(f"PV{number}", 8),
            *figures,
            0,
            0,
            *words_of(NO_U32, 2),
            NO_I16,
            4 if watts else 8,
            0,
            0,
        ]
    return [value & 0xFFFF for value in data]
