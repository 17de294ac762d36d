"""The format of a block: a month of one metric of up to 64 series of a site, each of them readable alone.

A block is one string of bytes. Its head names the series and carries what they share: their timestamps and a reference
curve, the mean of what they show. A series of whole numbers (decimals are made whole where that loses nothing) is kept
as what is left of it once the scaled reference is taken away; these rests lie in bands by the height of the reference,
because noise grows with it, each band of all series under one table of frequencies and a page to each series. A series
that the reference does not explain, or that holds other numbers, is kept by itself. pcodec does the coding.

What comes out is what went in, bit by bit; every part has a checksum of its own.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from pcodec import ChunkConfig, DeltaSpec, ModeSpec, PagingSpec, standalone, wrapped

from sungaze.clock import EARLIEST
from sungaze.errors import DamagedBlock
from sungaze.model import Span
from sungaze.store.seal import EVER, PACKED

_MAGIC: Final = b"SB\x01"
_DECIMALS: Final = 6
_LARGEST: Final = float(1 << 52)
_SMALL: Final = np.iinfo(np.int32)
_GRAIN: Final = 1 << 16
_MOST_LEVELS: Final = 4_096
_SHARED, _WHOLE, _FLOAT = 0, 1, 2

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

_ROW: Final = np.dtype([("timestamp", np.int64), ("value", np.float64)])
_COLUMN: Final = np.dtype([("series", "<u4"), ("way", "u1"), ("decimals", "u1"), ("absent", "<u2"), ("slope", "<f4"),
                           ("size", "<u4"), ("crc", "<u4")])  # fmt: skip
_HEAD: Final = np.dtype([("series", "<u2"), ("bands", "<u2"), ("grain", "<u2"), ("times", "<u4"), ("reference", "<u4"),
                         ("crc", "<u4")])  # fmt: skip
_NUMBERS: Final = msgspec.json.Decoder(list[int])


@dataclass(frozen=True)
class Series:
    """One series' samples, oldest first: instants (UTC epoch seconds) and as many values."""

    timestamps: Times
    values: Values

    def rows(self) -> list[tuple[int, float]]:
        """The same as (timestamp, value)."""
        return list(zip(self.timestamps.tolist(), self.values.tolist(), strict=True))

    def on_grid(self, start: int, step: int) -> tuple[int, list[float | None]]:
        """At which step of a grid it begins, and its values from there on, step by step; None where it has none."""
        slots = (self.timestamps - start) // step
        first = int(slots[0])
        slots -= first
        if bool((slots == np.arange(slots.size)).all()):
            return first, self.values.tolist()
        line = np.full(int(slots[-1]) + 1, np.nan)
        line[slots] = self.values
        laid: list[float | None] = line.tolist()
        for slot in np.flatnonzero(np.isnan(line)).tolist():
            laid[slot] = None
        return first, laid

    def beside(self, instant: int, *, after: bool) -> tuple[int, float] | None:
        """The nearest one before an instant, or after it."""
        at = int(np.searchsorted(self.timestamps, instant, side="right" if after else "left")) - (not after)
        return (int(self.timestamps[at]), float(self.values[at])) if 0 <= at < self.timestamps.size else None

    def split(self, instants: Collection[int] | None) -> tuple[Series, Series]:
        """Those at these instants, or all, and the others."""
        out = np.ones(self.timestamps.size, bool)
        if instants is not None:
            out = np.isin(self.timestamps, np.fromiter(instants, np.int64))
        return Series(self.timestamps[out], self.values[out]), Series(self.timestamps[~out], self.values[~out])


def of_rows(rows: Iterable[tuple[int, float]]) -> Series:
    """A series of rows that come oldest first."""
    found = np.fromiter(rows, _ROW)
    return Series(found["timestamp"].copy(), found["value"].copy())


def of_packed(text: str, scale: float) -> Series:
    """A series of what the archive packed, its values times a scale."""
    packed = np.array(_NUMBERS.decode(text), np.int64)
    return Series(packed // PACKED + EARLIEST, (packed % PACKED) / scale)


def merged(old: Series, new: Series) -> Series:
    """Both in one, where the new ones win."""
    stay = ~np.isin(old.timestamps, new.timestamps)
    timestamps = np.concatenate([old.timestamps[stay], new.timestamps])
    order = np.argsort(timestamps, kind="stable")
    return Series(timestamps[order], np.concatenate([old.values[stay], new.values])[order])


def joined(pieces: Sequence[Series], rows: Sequence[tuple[int, float]]) -> Series:
    """Pieces that follow one another and rows, oldest first, in one; there is at least one of either; a row wins."""
    if not pieces:
        return of_rows(rows)
    whole = pieces[0]
    if len(pieces) > 1:
        whole = Series(np.concatenate([p.timestamps for p in pieces]), np.concatenate([p.values for p in pieces]))
    return merged(whole, of_rows(rows)) if rows else whole


@dataclass
class _Column:
    """A series on its way into a block."""

    series_id: int
    present: npt.NDArray[np.bool_]
    values: Values
    decimals: int | None
    whole: Whole
    slope: float = 0.0
    rest: Whole | None = None


@dataclass(frozen=True)
class _Shared:
    """What the rests of a block share: the places of the reference by bands, which rest is whose, the bands' lengths
    and their tables.
    """

    order: npt.NDArray[np.intp]
    place: npt.NDArray[np.intp]
    counts: list[int]
    chunks: list[wrapped.ChunkDecompressor | None]


@dataclass
class Block:
    """A block that has been opened: its series' ids, and what they share. Raises DamagedBlock where it is not whole."""

    data: bytes
    series: list[int] = field(init=False)

    def __post_init__(self) -> None:
        start = len(_MAGIC)
        if self.data[:start] != _MAGIC or len(self.data) < start + _HEAD.itemsize:
            raise DamagedBlock("its beginning is not a block's")
        head = np.frombuffer(self.data, _HEAD, 1, start)[0]
        at = start + _HEAD.itemsize
        self._bands = int(head["bands"])
        count = int(head["series"])
        shared_at = at + count * _COLUMN.itemsize
        times_end = shared_at + int(head["times"])
        end = times_end + int(head["reference"])
        body = self.data[at:end]
        if len(body) != end - at or zlib.crc32(body, _seed(head)) != int(head["crc"]):
            raise DamagedBlock("its head does not carry its checksum")
        columns = np.frombuffer(self.data, _COLUMN, count, at)
        self._columns = columns.tolist()
        self.series = columns["series"].tolist()
        self._times = _decoded(self.data[shared_at:times_end], np.int64)
        self._reference: Whole | None = None
        if head["reference"]:
            self._reference = _heights(_decoded(self.data[times_end:end], np.int64), int(head["grain"]))
        self._shared: _Shared | None = None
        self._at = [end, *(end + np.cumsum(columns["size"], dtype=np.int64)).tolist()]

    def read(
        self,
        wanted: Collection[int] | None = None,
        span: Span = EVER,
        *,
        damaged: Callable[[DamagedBlock], None] | None = None,
    ) -> dict[int, Series]:
        """The samples by series id, of all series or of those that are wanted, whose interval starts in the span.

        A series that is damaged is left out and told to `damaged`; without that, DamagedBlock is raised.
        """
        first, last = (0, self._times.size) if span is EVER else np.searchsorted(self._times, [span.start, span.end])
        stretch = slice(int(first), int(last))
        found = {}
        for k, series_id in enumerate(self.series):
            if wanted is None or series_id in wanted:
                try:
                    found[series_id] = self._one(k, stretch)
                except DamagedBlock as damage:
                    if damaged is None:
                        raise
                    damaged(damage)
        return found

    def _one(self, k: int, stretch: slice) -> Series:
        series_id, way, decimals, absent, slope, size, checksum = self._columns[k]
        data = self.data[self._at[k] : self._at[k + 1]]
        if len(data) != size or zlib.crc32(data) != checksum:
            raise DamagedBlock(f"series {series_id} does not carry its checksum")
        times, present = self._times[stretch], None
        if absent:
            bits = np.frombuffer(zlib.decompress(data[:absent]), np.uint8)
            present = np.unpackbits(bits, count=self._times.size).view(bool)
            times = times[present[stretch]]
        if way == _SHARED:
            whole = self._from_rest(data[absent:], slope, present, stretch)
            return Series(times, whole / 10.0**decimals)
        begin = stretch.start if present is None else int(np.count_nonzero(present[: stretch.start]))
        own = slice(begin, begin + times.size)
        if way == _FLOAT:
            return Series(times, _decoded(data[absent:], np.float64)[own])
        return Series(times, _decoded(data[absent:], np.int64)[own] / 10.0**decimals)

    def _from_rest(self, data: bytes, slope: float, present: npt.NDArray[np.bool_] | None, stretch: slice) -> Whole:
        assert self._reference is not None
        shared = self._read_shared()
        sizes = np.frombuffer(data, "<u4", len(shared.chunks)).tolist()
        counts, place = shared.counts, shared.place[stretch]
        reference = self._reference[stretch]
        if present is not None:
            kept = present[shared.order]
            ends = np.cumsum(shared.counts).tolist()
            counts = [int(np.count_nonzero(kept[a - n : a])) for a, n in zip(ends, counts, strict=True)]
            place = (np.cumsum(kept) - 1)[place[present[stretch]]]
            reference = reference[present[stretch]]
        rest = np.empty(sum(counts), np.int32)
        at, begin = 4 * len(counts), 0
        for count, size, chunk in zip(counts, sizes, shared.chunks, strict=True):
            if count:
                assert chunk is not None
                chunk.read_page_into(data[at : at + size], count, rest[begin : begin + count])
            at, begin = at + size, begin + count
        return _scaled(reference, slope) + rest[place]

    def _read_shared(self) -> _Shared:
        if self._shared is None:
            assert self._reference is not None
            data = self.data[self._at[-1] :]
            size = len(data) - 4
            if size < 0 or zlib.crc32(data[:size]) != int.from_bytes(data[size:], "little"):
                raise DamagedBlock("what its series share does not carry its checksum")
            lengths = np.frombuffer(data, "<u4", self._bands + 1)
            at = lengths.nbytes
            codec, _ = wrapped.FileDecompressor.new(data[at : at + int(lengths[0])])
            at += int(lengths[0])
            chunks: list[wrapped.ChunkDecompressor | None] = []
            for length in lengths[1:]:
                table = data[at : at + int(length)]
                chunks.append(codec.chunk_decompressor(table, "i32")[0] if table else None)
                at += int(length)
            parts = _bands_of(self._reference, self._bands)
            order = np.concatenate(parts)
            place = np.empty(order.size, np.intp)
            place[order] = np.arange(order.size)
            self._shared = _Shared(order, place, [part.size for part in parts], chunks)
        return self._shared


def write(series: Mapping[int, Series]) -> bytes:
    """A block of these series, by id, of which there is at least one; each has samples, oldest first.

    It has been read back and compared, bit by bit, before it is given: DamagedBlock is raised where that is not so.
    """
    data = _write(series)
    read = Block(data).read()
    for series_id, one in series.items():
        back = read[series_id]
        same = np.array_equal(back.timestamps, one.timestamps)
        if not same or not np.array_equal(back.values.view(np.int64), one.values.view(np.int64)):
            raise DamagedBlock(f"series {series_id} did not come back from its block as it was")
    return data


def _write(series: Mapping[int, Series]) -> bytes:
    times = _union([one.timestamps for one in series.values()])
    columns = [_column(series_id, one, times) for series_id, one in series.items()]
    steps, grain = _reference(columns, times.size)
    reference = None if steps is None else _heights(steps, grain)
    shared = [column for column in columns if column.rest is not None]
    bands = 0
    if reference is not None and reference.size:
        bands = 4 if sum(column.values.size for column in shared) >= 8_000 else 1
    parts = _bands_of(reference, bands) if reference is not None else []
    pages, tables = _coded_rests(shared, parts)
    heads = np.zeros(len(columns), _COLUMN)
    bodies: list[bytes] = []
    for k, column in enumerate(columns):
        absent = b"" if column.present.all() else zlib.compress(np.packbits(column.present).tobytes(), 9)
        if column.rest is not None:
            way, body = _SHARED, pages.pop(0)
        elif column.decimals is not None:
            way, body = _WHOLE, _coded(column.whole)
        else:
            way, body = _FLOAT, _coded(column.values)
        bodies.append(absent + body)
        heads[k] = (
            column.series_id, way, column.decimals or 0, len(absent), column.slope, len(bodies[-1]),
            zlib.crc32(bodies[-1]),
        )  # fmt: skip
    coded_times = _coded(times)
    coded_reference = _coded(steps) if steps is not None else b""
    head = np.zeros(1, _HEAD)
    head[0] = (len(columns), bands, grain, len(coded_times), len(coded_reference), 0)
    body = heads.tobytes() + coded_times + coded_reference
    head["crc"] = zlib.crc32(body, _seed(head[0]))
    return b"".join([_MAGIC, head.tobytes(), body, *bodies, tables])


def _seed(head: np.void) -> int:
    """The checksum of the head's own fields, which goes on over what follows it."""
    fields = head.copy()
    fields["crc"] = 0
    return zlib.crc32(fields.tobytes())


def _union(several: Sequence[Times]) -> Times:
    first = several[0]
    if all(np.array_equal(first, other) for other in several[1:]):
        return first
    return np.unique(np.concatenate(several))


def _column(series_id: int, one: Series, times: Times) -> _Column:
    present = np.ones(times.size, bool)
    if one.timestamps.size < times.size:
        present[:] = False
        present[np.searchsorted(times, one.timestamps)] = True
    decimals, whole = _made_whole(one.values)
    return _Column(series_id, present, one.values, decimals, whole)


def _made_whole(values: Values) -> tuple[int | None, Whole]:
    """With how few decimals these are whole numbers without loss, and those; None where they are not."""
    with np.errstate(invalid="ignore", over="ignore"):
        for decimals in range(_DECIMALS + 1):
            scaled = values * 10.0**decimals
            if not (np.abs(scaled) < _LARGEST).all():
                break
            whole = np.rint(scaled).astype(np.int64)
            # By their bits: a negative zero is a value too.
            if np.array_equal((whole / 10.0**decimals).view(np.int64), values.view(np.int64)):
                return decimals, whole
    return None, np.empty(0, np.int64)


def _reference(columns: Sequence[_Column], size: int) -> tuple[Whole | None, int]:
    """The curve that the columns share, in steps of a grain; `rest` of each that it explains is set then.

    The finer it is, the less is left of the columns and the more it takes itself. With noise that grows with the height
    the best step is of the noise's height by the root of 12 / (columns - 1); `grain` is that share of the height, in
    65536ths. None where it helps none.
    """
    levels = {c.series_id: float(np.abs(c.whole).mean()) for c in columns if c.decimals is not None}
    whole = [column for column in columns if levels.get(column.series_id, 0.0) > 0]
    if len(whole) < 2:
        return None, 0
    total, there = np.zeros(size), np.zeros(size)
    for column in whole:
        total[column.present] += column.whole / levels[column.series_id]
        there[column.present] += 1
    mean = total / np.maximum(there, 1) * float(np.median([levels[column.series_id] for column in whole]))
    # The noise of some of them tells enough.
    rests = _take_away(whole[:: -(-len(whole) // 8)], np.rint(mean).astype(np.int64))
    grain = 0
    if len(rests) > 1:
        noise = float(np.mean([float(np.mean(np.square(rest, dtype=np.float64))) for rest in rests]))
        share = np.sqrt(noise / max(float(np.mean(np.square(mean))), 1.0) * 12 / (len(whole) - 1))
        grain = int(min(share, 0.2) * _GRAIN)
    steps, grain = _steps(mean, grain)
    if len(_take_away(whole, _heights(steps, grain))) > 1:
        return steps, grain
    for column in whole:
        column.rest = None
    return None, 0


@functools.lru_cache(64)
def _levels(count: int, grain: int) -> Whole:
    """The heights of so many steps of a grain, from 0 on; in whole numbers, so that computers come to the same."""
    found = [0]
    while len(found) < count and found[-1] < _LARGEST:
        found.append(found[-1] + max(1, found[-1] * grain >> 16))
    return np.array(found, np.int64)


def _steps(mean: Values, grain: int) -> tuple[Whole, int]:
    """A curve in steps of a grain, and the grain; 0 is whole units."""
    levels = _levels(_MOST_LEVELS, grain)
    if not grain or np.abs(mean).max() > levels[-1]:
        nearest: Whole = np.rint(mean).astype(np.int64)
        return nearest, 0
    between = (levels[1:] + levels[:-1]) / 2
    steps: Whole = np.searchsorted(between, np.abs(mean)).astype(np.int64) * np.where(mean < 0, -1, 1)
    return steps, grain


def _heights(steps: Whole, grain: int) -> Whole:
    """The curve that its steps stand for."""
    if not grain:
        return steps
    heights: Whole = _levels(_MOST_LEVELS, grain)[np.abs(steps)] * np.where(steps < 0, -1, 1)
    return heights


def _take_away(columns: Sequence[_Column], reference: Whole) -> list[Whole]:
    """What is left of each column that is smaller so than by its own steps; the others are left alone."""
    rests = []
    for column in columns:
        under = reference[column.present].astype(np.float64)
        square = float(under @ under)
        column.slope = float(np.float32(float(under @ column.whole) / square)) if square else 0.0
        rest = column.whole - _scaled(reference, column.slope)[column.present]
        fits = bool(_SMALL.min <= rest.min() and rest.max() <= _SMALL.max)
        column.rest = rest if fits and _bits(rest) < _bits(np.diff(column.whole, prepend=column.whole[:1])) else None
        if column.rest is not None:
            rests.append(rest)
    return rests


def _bits(whole: Whole) -> float:
    """About how many bits such numbers take, by one in eight of them."""
    return float(np.log2(1.0 + np.abs(whole[::8])).sum())


def _scaled(reference: Whole, slope: float) -> Whole:
    scaled: Whole = np.rint(reference * slope).astype(np.int64)
    return scaled


def _bands_of(reference: Whole, bands: int) -> list[npt.NDArray[np.intp]]:
    """The places of the reference in parts of one length, by its height."""
    small = np.abs(reference).max() < 1 << 15
    # By a stable order of the same numbers, which is eight times as quick for short ones.
    return np.array_split(np.argsort(reference.astype(np.int16) if small else reference, kind="stable"), bands)


def _coded_rests(columns: Sequence[_Column], parts: Sequence[npt.NDArray[np.intp]]) -> tuple[list[bytes], bytes]:
    """The pages of each column, and the tables of frequencies that they share, with their checksum."""
    if not parts:
        return [], b""
    codec = wrapped.FileCompressor()
    pages: list[list[bytes]] = [[] for _ in columns]
    tables = [codec.write_header()]
    full = [np.zeros(column.present.size, np.int32) for column in columns]
    for rest, column in zip(full, columns, strict=True):
        assert column.rest is not None
        rest[column.present] = column.rest
    for part in parts:
        inside = [rest[part[column.present[part]]] for rest, column in zip(full, columns, strict=True)]
        sizes = [one.size for one in inside if one.size]
        if not sizes:
            tables.append(b"")
            for mine in pages:
                mine.append(b"")
            continue
        config = ChunkConfig(
            mode_spec=ModeSpec.classic(), delta_spec=DeltaSpec.no_op(),
            paging_spec=PagingSpec.exact_page_sizes(sizes),
        )  # fmt: skip
        chunk = codec.chunk_compressor(np.concatenate(inside), config)
        tables.append(chunk.write_meta())
        number = 0
        for mine, one in zip(pages, inside, strict=True):
            mine.append(chunk.write_page(number) if one.size else b"")
            number += bool(one.size)
    shared = np.array([len(one) for one in tables], "<u4").tobytes() + b"".join(tables)
    shared += zlib.crc32(shared).to_bytes(4, "little")
    bodies = [np.array([len(one) for one in mine], "<u4").tobytes() + b"".join(mine) for mine in pages]
    return bodies, shared


def _coded(array: Whole | Values) -> bytes:
    coded: bytes = standalone.simple_compress(np.ascontiguousarray(array), ChunkConfig())
    return coded


def _decoded(data: bytes, kind: type[Any]) -> npt.NDArray[Any]:
    found = standalone.simple_decompress(data)
    return np.empty(0, kind) if found is None else found
