"""CPS's payload mappings: data files beside this one that say where in a pushed message each figure stands.

Facts: vendors/cps.md 5. Every shape of a pushed message is [assumed] (`cps-assumed-1.json`); the true one drops in as
a file, without code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

import msgspec

from sungaze.model import METRICS, DeviceType, Kind
from sungaze.vendors import _sunspec
from sungaze.vendors._sunspec import SCALES, Fault, ModeMap


class MessageKind(StrEnum):
    """What a message is about."""

    TELEMETRY = "telemetry"
    BACKFILL = "backfill"
    INVENTORY = "inventory"
    EVENT = "event"
    STATUS = "status"


class _Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    equals: str


class _Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    map: dict[str, str]


class _Time(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    kind: str
    zone_from: str
    sent: str
    interval: str
    interval_s: int
    stamps: str


class _Ids(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    gateway: str
    device: str
    site: str
    message: str
    order: tuple[str, str]


class _Fields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: str
    firmware: str
    rated_kw: str
    parent: str


class _MetricMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    unit: str
    counter: bool = False
    day: bool = False
    n: tuple[int, int] | None = None
    null_values: tuple[Any, ...] = ()
    types: tuple[DeviceType, ...] = ()


class _FaultMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    words: dict[str, str]
    table: dict[str, Fault] = {}


class _MapFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: str
    match: _Match
    format: str
    kind: _Words
    records: str
    inventory: str
    event: str
    time: _Time
    ids: _Ids
    device_type: _Words
    fields: _Fields
    metrics: dict[str, _MetricMap | tuple[_MetricMap, ...]]
    status: ModeMap
    faults: _FaultMap
    serials: dict[str, str] = {}
    ignored: tuple[str, ...] = ()
    null_values: tuple[Any, ...] = ()


Path = tuple[str, ...]


class _Source(msgspec.Struct, frozen=True):
    """Where one metric comes from: path, factor to the canonical unit, and the texts and numbers that mean nothing."""

    metric: str
    path: Path
    scale: float
    nulls: frozenset[Any]
    day: bool
    types: frozenset[DeviceType]
    interval: bool
    input: int = 0


class PayloadMap(msgspec.Struct, frozen=True):
    """A validated mapping of one payload version, its paths taken apart."""

    file: _MapFile
    sources: tuple[_Source, ...]
    known: Mapping[Path, frozenset[str]]
    """The keys that are expected, by the path of the object that holds them."""

    @property
    def schema(self) -> str:
        """The name that a message calls its version by."""
        return self.file.schema


def payload_map(text: bytes) -> PayloadMap:
    """A validated mapping. Raises ValueError that says which part of the file is wrong."""
    try:
        found = msgspec.json.decode(text, type=_MapFile)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"the payload mapping cannot be used: {error}") from None
    if found.format != "json":
        raise ValueError(f"the payload mapping {found.schema} has the format {found.format}; only json is mapped")
    if found.time.kind not in {"iso8601", "epoch_s", "epoch_ms", "local"} or found.time.stamps not in {"start", "end"}:
        raise ValueError(f"the payload mapping {found.schema} has a time that is not known: {found.time.kind}")
    if not 60 <= found.time.interval_s <= 3600:
        raise ValueError(f"the payload mapping {found.schema} has an interval outside 60 to 3600 s")
    _sunspec.checked_mode(found.status)
    for kind in found.device_type.map.values():
        if kind not in set(DeviceType):
            raise ValueError(f"the payload mapping {found.schema} has a device type that is none of ours: {kind}")
    if not set(found.kind.map.values()) <= {kind.value for kind in MessageKind}:
        raise ValueError(f"the payload mapping {found.schema} has a kind of message that is not known")
    for pattern in found.serials.values():
        try:
            re.compile(pattern)
        except re.error:
            raise ValueError(f"the payload mapping {found.schema} has a serial pattern that is none") from None
    sources: list[_Source] = []
    for name, maps in found.metrics.items():
        for one in (maps,) if isinstance(maps, _MetricMap) else maps:
            sources += _sources(found, name, one)
    paths = [found.match.path, found.kind.path, found.records, found.inventory, found.event, found.ids.gateway,
             found.ids.site, found.ids.message, *found.ids.order, found.time.zone_from, found.time.sent,
             found.time.interval]  # fmt: skip
    own = [found.time.path, found.ids.device, found.device_type.path, *msgspec.structs.astuple(found.fields),
           found.status.path, *found.faults.words.values(), *found.ignored]  # fmt: skip
    known: dict[Path, set[str]] = {}
    for path in [path_of(text) for text in own] + [source.path for source in sources]:
        for depth, key in enumerate(path):
            known.setdefault(path[:depth], set()).add(key)
    for path in map(path_of, paths):
        if not path:
            raise ValueError(f"the payload mapping {found.schema} has an empty path")
    return PayloadMap(found, tuple(sources), {path: frozenset(keys) for path, keys in known.items()})


def _sources(found: _MapFile, name: str, one: _MetricMap) -> Iterator[_Source]:
    metric, many = name.removesuffix("[n]"), name.endswith("[n]")
    if metric not in METRICS or one.unit not in SCALES:
        raise ValueError(f"the payload mapping {found.schema} has {metric} in {one.unit!r}: one of them is not known")
    if many != (one.n is not None) or many != one.path.endswith("[n]"):
        raise ValueError(f"the payload mapping {found.schema} numbers {name} in one place and not in the other")
    low, high = one.n or (0, 0)
    if not 0 <= low <= high <= 48:
        raise ValueError(f"the payload mapping {found.schema} numbers {name} from {low} to {high}")
    nulls = frozenset(value for value in (*found.null_values, *one.null_values) if not isinstance(value, dict | list))
    if one.counter:
        # 65535 kWh is a figure like any other for a counter of 32 bits: only its own sentinels count.
        own = [value for value in one.null_values if not isinstance(value, dict | list)]
        nulls = frozenset([*own, *(value for value in found.null_values if isinstance(value, str | None))])
    for number in range(low, high + 1):
        text = one.path.replace("[n]", str(number)) if many else one.path
        interval = METRICS[metric].kind is Kind.MEAN
        yield _Source(
            metric,
            path_of(text),
            SCALES[one.unit],
            nulls,
            one.day,
            frozenset(one.types),
            interval,
            number if many else 0,
        )  # fmt: skip


def path_of(text: str) -> Path:
    parts = text.removesuffix("[*]").split(".")
    if parts[0] != "$" or not all(re.fullmatch(r"\w[\w -]*", part) for part in parts[1:]):
        raise ValueError(f"{text} is no path such as $.values.Pac")
    return tuple(parts[1:])


@cache
def maps() -> dict[str, PayloadMap]:
    """Every mapping beside this file, by the schema it reads; read and validated once."""
    room = resources.files("sungaze.vendors")
    names = sorted(entry.name for entry in room.iterdir() if re.fullmatch(r"cps-[\w-]+-\d+\.json", entry.name))
    found = [payload_map((room / name).read_bytes()) for name in names]
    return {one.schema: one for one in found}
