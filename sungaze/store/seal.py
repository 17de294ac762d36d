"""Sealed blocks in the database: which there are, reading from them, and folding rows into them.

A series belongs to one part, up to 64 series of a (site, metric, interval); a part has one block for each UTC month,
whose id is the part's number and the month's. Three things always hold:

- The newest sample of a series is a row, so that what is newest is read without opening a block.
- A row of an instant that a block has too is a correction, and wins until it is folded in.
- The site's own daily figures are never folded: fleets are added up from them.
"""

from __future__ import annotations

import calendar
import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import msgspec

from sungaze import clock
from sungaze.errors import DamagedBlock
from sungaze.model import DAY_S, SITE_DEVICE_ID, Span
from sungaze.store.database import Database

if TYPE_CHECKING:
    from sungaze.store.blocks import Block, Series

log = logging.getLogger(__name__)

LATE_DAYS: Final = 7
"""After how many whole days nothing is expected to be corrected any more, where the vendor says nothing else."""
KEPT_DAYS: Final = 2
"""Days that stay as rows even where everything is sealed: the fleet's figures of now are read from rows alone."""
PACKED: Final = 1 << 20
"""Timestamps stand in these when both are packed into one number."""
_MONTHS: Final = 1 << 12
EVER: Final = Span(-(1 << 60), 1 << 60)
MOST_SERIES: Final = 64
"""The series of a part: what bounds the memory and the time that one step of folding takes."""

_SPAN: Final = "series_id = ?1 AND timestamp >= ?2 AND timestamp < ?3"
_WHOLE: Final = "CAST(value * ?4 + 0.5 AS INTEGER)"
_PACKED: Final = (
    f"SELECT count(*), json_group_array((timestamp - {clock.EARLIEST}) * {PACKED} + {_WHOLE}) "
    f"FILTER (WHERE {_WHOLE} / ?4 = value AND {_WHOLE} BETWEEN 0 AND {PACKED - 1}) FROM sample WHERE {_SPAN}"
)
_TELLING: Final = 64
"""Samples that show with how many decimals a series comes."""
_SCALES: Final = (1.0, 10.0, 100.0, 1_000.0, 10_000.0)


class Sealed(msgspec.Struct):
    """What a folding did: samples folded, blocks written, and the bytes of these."""

    samples: int = 0
    blocks: int = 0
    size: int = 0


class _Work(msgspec.Struct, frozen=True):
    """A part's month, of which everything before the cutoff is to be folded."""

    part: int
    month: int
    cutoff: int


class Damage(msgspec.Struct, frozen=True):
    """A block that cannot be read whole: whose it is, which month (ISO), and what is wrong with it."""

    site_id: int
    metric: str
    interval_s: int
    month: str
    what: str


class Archive:
    """The blocks of one store."""

    def __init__(self, database: Database) -> None:
        self._db = database

    # -- reading -----------------------------------------------------------------------------------------------------

    def reach(self, series: Iterable[int]) -> dict[int, Span]:
        """From the first to after the last sealed instant of each of these series that has any."""
        found: dict[int, Span] = {}
        for some in _in_hundreds(series):
            for series_id, first, last in self._db.rows(
                "SELECT id, sealed_from, sealed_to FROM series WHERE sealed_to IS NOT NULL AND id IN "
                f"({','.join(map(str, some))})"
            ):
                found[series_id] = Span(first, last + 1)
        return found

    def read(self, series: Iterable[int], span: Span) -> dict[int, list[Series]]:
        """The sealed samples of these series whose interval starts in the span, by month; one without is left out.

        What is damaged is left out too, and logged: `damages` tells which.
        """
        pieces: dict[int, list[Series]] = {}
        for part, wanted in self._parts_of(series, span).items():
            for block_id, data in self._db.rows(
                "SELECT id, data FROM block WHERE id BETWEEN ? AND ? AND last >= ? AND first < ? ORDER BY id",
                (*_ids_of(part), span.start, span.end),
            ):
                for series_id, one in _readable(block_id, data, wanted, span).items():
                    if one.timestamps.size:
                        pieces.setdefault(series_id, []).append(one)
        return pieces

    def lists(self, series: Iterable[int], span: Span) -> dict[int, list[tuple[int, float]]]:
        """The same as rows of (timestamp, value)."""
        return {
            series_id: [row for one in several for row in one.rows()]
            for series_id, several in self.read(series, span).items()
        }

    def dict_of(self, series_id: int, span: Span) -> dict[int, float]:
        """One series' sealed values of a span by their timestamps."""
        return dict(self.lists([series_id], span).get(series_id, ()))

    def nearest(self, series: Iterable[int], instant: int, *, after: bool) -> dict[int, tuple[int, float]]:
        """The sealed sample of each of these series that is nearest before an instant, or nearest after it."""
        found: dict[int, tuple[int, float]] = {}
        test, order = ("last > ?", "ASC") if after else ("first < ?", "DESC")
        for part, wanted in self._parts_of(series).items():
            for block_id, data in self._one_by_one(
                f"id BETWEEN ? AND ? AND {test} ORDER BY id {order}", (*_ids_of(part), instant)
            ):
                for series_id, one in _readable(block_id, data, wanted - found.keys()).items():
                    beside = one.beside(instant, after=after)
                    if beside is not None:
                        found[series_id] = beside
                if wanted <= found.keys():
                    break
        return found

    def _parts_of(self, series: Iterable[int], span: Span = EVER) -> dict[int, set[int]]:
        parts: dict[int, set[int]] = {}
        for some in _in_hundreds(series):
            for series_id, part in self._db.rows(
                "SELECT id, part FROM series WHERE sealed_to >= ? AND sealed_from < ? AND id IN "
                f"({','.join(map(str, some))})",
                (span.start, span.end),
            ):
                parts.setdefault(part, set()).add(series_id)
        return parts

    def _one_by_one(self, where: str, parameters: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        for (block_id,) in self._db.rows(f"SELECT id FROM block WHERE {where}", parameters):
            found = self._db.scalar("SELECT data FROM block WHERE id = ?", (block_id,))
            if found is not None:
                yield block_id, found

    def count(self, parts: Iterable[int], span: Span) -> int:
        """How many samples of a span the blocks of these parts hold."""
        total = 0
        for part in parts:
            for block_id, first, last, samples in self._db.rows(
                "SELECT id, first, last, samples FROM block WHERE id BETWEEN ? AND ? AND last >= ? AND first < ?",
                (*_ids_of(part), span.start, span.end),
            ):
                if span.start <= first and last < span.end:
                    total += samples
                    continue
                data = self._db.scalar("SELECT data FROM block WHERE id = ?", (block_id,))
                total += sum(one.timestamps.size for one in _readable(block_id, data, None, span).values())
        return total

    def damages(self) -> list[Damage]:
        """Every block that does not carry its checksums, or does not hold what its row says."""
        found = []
        for block_id, data in self._one_by_one("id >= ? ORDER BY id", (0,)):
            try:
                samples = sum(one.timestamps.size for one in _block(data).read().values())
                kept = self._db.scalar("SELECT samples FROM block WHERE id = ?", (block_id,))
                if kept is not None and samples != kept:
                    raise DamagedBlock(f"it holds {samples} values, where {kept} were put in")
            except DamagedBlock as damage:
                what = "SELECT site_id, metric, interval_s FROM series WHERE part = ?"
                site_id, metric, interval_s = self._db.row(what, (block_id // _MONTHS,)) or (0, "", 0)
                found.append(Damage(site_id, metric, interval_s, _month_name(block_id % _MONTHS), str(damage)))
        return found

    # -- folding -----------------------------------------------------------------------------------------------------

    def fold(
        self,
        now: float,
        *,
        late_days: Mapping[str, int],
        everything: bool = False,
        step: Callable[[Sealed], bool] = lambda _: True,
    ) -> Sealed:
        """Fold whole local days that nothing is expected to correct any more into blocks, block by block.

        `late_days` by vendor; `everything` leaves the last KEPT_DAYS only. `step` is called after each block with what
        was done so far, and ends the folding where it gives False. Raises what the database raises; what was folded by
        then stays so.
        """
        # It deletes nothing that anything refers to, and SQLite takes five times as long where it has to make sure.
        self._db.execute("PRAGMA foreign_keys = OFF")
        try:
            return self._fold_all(self._work(now, late_days, everything), step)
        finally:
            self._db.execute("PRAGMA foreign_keys = ON")

    def _fold_all(self, work: Iterator[_Work], step: Callable[[Sealed], bool]) -> Sealed:
        """Fold one after the other, while another thread reads the rows of the next."""
        done = Sealed()
        with ThreadPoolExecutor(1, "seal") as ahead:
            try:
                following = self._begin(ahead, work)
                while following is not None:
                    one, version, rows = following
                    found = rows.result()
                    following = self._begin(ahead, work)
                    try:
                        with self._db.transaction():
                            if self._db.scalar("PRAGMA data_version") != version:
                                found = self._gather(one)  # somebody has written meanwhile
                            self._fold(one, found, done)
                    except DamagedBlock as damage:
                        _log_damage(one.part * _MONTHS + one.month, damage)  # its rows stay rows
                    if not step(done):
                        break
            finally:
                ahead.submit(self._db.close)
        return done

    def _begin(
        self, ahead: ThreadPoolExecutor, work: Iterator[_Work]
    ) -> tuple[_Work, int, Future[dict[int, Series]]] | None:
        one = next(work, None)
        if one is None:
            return None
        return one, int(self._db.scalar("PRAGMA data_version")), ahead.submit(self._gather, one)

    def _work(self, now: float, late_days: Mapping[str, int], everything: bool) -> Iterator[_Work]:
        for site_id, vendor, timezone in self._db.rows(
            "SELECT id, vendor, COALESCE(user_timezone, timezone) FROM site ORDER BY id"
        ):
            days = KEPT_DAYS if everything else max(KEPT_DAYS, late_days.get(vendor, LATE_DAYS))
            cutoff = _midnight_before(now - days * DAY_S, timezone)
            for metric, interval_s in self._db.rows(
                "SELECT DISTINCT metric, interval_s FROM series WHERE site_id = ?", (site_id,)
            ):
                for part, month in self._due(site_id, metric, interval_s, cutoff):
                    yield _Work(part, month, cutoff)

    def _due(self, site_id: int, metric: str, interval_s: int, cutoff: int) -> Iterator[tuple[int, int]]:
        """The parts and months that have rows to fold; series that have such and no part yet are given one."""
        ends: dict[int, tuple[int, int]] = {}
        for series_id, part, device_id in self._db.rows(
            "SELECT id, part, device_id FROM series WHERE site_id = ? AND metric = ? AND interval_s = ?",
            (site_id, metric, interval_s),
        ):
            if device_id == SITE_DEVICE_ID and interval_s == DAY_S:
                continue
            found = self._db.row(
                "SELECT (SELECT min(timestamp) FROM sample WHERE series_id = ?1), (SELECT max(timestamp) FROM sample "
                "WHERE series_id = ?1 AND timestamp < ?2 AND timestamp < (SELECT max(timestamp) FROM sample WHERE "
                "series_id = ?1))",
                (series_id, cutoff),
            )
            if found is None or found[1] is None:
                continue
            if part is None:
                part = self._take_part(series_id, site_id, metric, interval_s)
            first, last = ends.get(part, found)
            ends[part] = (min(first, found[0]), max(last, found[1]))
        for part, (first, last) in ends.items():
            for month in range(month_of(first), month_of(last) + 1):
                yield part, month

    def _take_part(self, series_id: int, site_id: int, metric: str, interval_s: int) -> int:
        """The number of the part that a series goes into: the group's newest while it has room."""
        with self._db.transaction():
            newest = self._db.row(
                "SELECT part, count(*) FROM series WHERE site_id = ? AND metric = ? AND interval_s = ? AND part IS NOT "
                "NULL GROUP BY part ORDER BY part DESC LIMIT 1",
                (site_id, metric, interval_s),
            )
            if newest is not None and newest[1] < MOST_SERIES:
                part = int(newest[0])
            else:
                part = int(self._db.scalar("SELECT COALESCE(max(part), 0) + 1 FROM series"))
            self._db.execute("UPDATE series SET part = ? WHERE id = ?", (part, series_id))
        return part

    def _gather(self, work: _Work) -> dict[int, Series]:
        """The rows to be folded, by series."""
        span = month_span(work.month)
        rows: dict[int, Series] = {}
        with self._db.snapshot():
            for (series_id,) in self._db.rows("SELECT id FROM series WHERE part = ? ORDER BY device_id", (work.part,)):
                newest = self._db.scalar("SELECT max(timestamp) FROM sample WHERE series_id = ?", (series_id,))
                if newest is None:
                    continue
                found = self._rows(series_id, Span(span.start, min(span.end, work.cutoff, newest)))
                if found.timestamps.size:
                    rows[series_id] = found
        return rows

    def _fold(self, work: _Work, rows: Mapping[int, Series], done: Sealed) -> None:
        if not rows:
            return
        block = self._put(work.part, work.month, rows)
        for series_id, one in rows.items():
            self._db.execute(
                "DELETE FROM sample WHERE series_id = ? AND timestamp BETWEEN ? AND ?",
                (series_id, int(one.timestamps[0]), int(one.timestamps[-1])),
            )
            self._db.execute(
                "UPDATE series SET sealed_from = min(COALESCE(sealed_from, ?2), ?2), "
                "sealed_to = max(COALESCE(sealed_to, ?3), ?3) WHERE id = ?1",
                (series_id, int(one.timestamps[0]), int(one.timestamps[-1])),
            )
            done.samples += one.timestamps.size
        done.blocks += 1
        done.size += block

    def _rows(self, series_id: int, span: Span) -> Series:
        from sungaze.store.blocks import of_packed, of_rows

        # Most values are small and have few decimals: SQLite writes such into one text, as whole numbers, twice as fast
        # as Python takes rows, and while others work.
        where = (series_id, span.start, span.end)
        first = self._db.rows(f"SELECT value FROM sample WHERE {_SPAN} LIMIT {_TELLING}", where)
        scale = next((s for s in _SCALES if all(int(v * s + 0.5) / s == v for (v,) in first)), None)
        if scale is not None:
            count, packed = self._db.row(_PACKED, (*where, scale)) or (0, "[]")
            series = of_packed(packed, scale)
            if series.timestamps.size == count:
                return series
        return of_rows(self._db.execute(f"SELECT timestamp, value FROM sample WHERE {_SPAN}", where))

    def _put(self, part: int, month: int, rows: Mapping[int, Series]) -> int:
        """The size of the block that has been written anew with these rows in it. Raises DamagedBlock."""
        from sungaze.store.blocks import merged

        block_id = part * _MONTHS + month
        there = self._db.scalar("SELECT data FROM block WHERE id = ?", (block_id,))
        series = _block(there).read() if there is not None else {}
        for series_id, one in rows.items():
            series[series_id] = merged(series[series_id], one) if series_id in series else one
        return self._store(block_id, series)

    def _store(self, block_id: int, series: Mapping[int, Series]) -> int:
        if not series:
            self._db.execute("DELETE FROM block WHERE id = ?", (block_id,))
            return 0
        from sungaze.store.blocks import write

        data = write(series)
        self._db.execute(
            "INSERT INTO block (id, first, last, samples, data) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "first = excluded.first, last = excluded.last, samples = excluded.samples, data = excluded.data",
            (
                block_id,
                min(int(one.timestamps[0]) for one in series.values()),
                max(int(one.timestamps[-1]) for one in series.values()),
                sum(one.timestamps.size for one in series.values()),
                data,
            ),
        )
        return len(data)

    # -- taking out --------------------------------------------------------------------------------------------------

    def take_out(self, series_id: int, instants: Collection[int] | None = None) -> dict[int, float]:
        """What was sealed of a series at these instants, or all of it; it is in no block any more.

        Call it inside a transaction, and put back what is to stay: the newest sample must be a row.
        """
        reach = self.reach([series_id]).get(series_id)
        if reach is None:
            return {}
        part = int(self._db.scalar("SELECT part FROM series WHERE id = ?", (series_id,)))
        gone: dict[int, float] = {}
        left: list[tuple[int, int]] = []
        for block_id, data in self._one_by_one("id BETWEEN ? AND ? ORDER BY id", _ids_of(part)):
            block = _block(data)
            if series_id not in block.series:
                continue
            one = block.read({series_id})[series_id]
            out, stay = one.split(instants)
            if out.timestamps.size:
                gone |= dict(out.rows())
                series = block.read()
                del series[series_id]
                self._store(block_id, series | ({series_id: stay} if stay.timestamps.size else {}))
            if stay.timestamps.size:
                left.append((int(stay.timestamps[0]), int(stay.timestamps[-1])))
        first, last = (left[0][0], left[-1][1]) if left else (None, None)
        self._db.execute("UPDATE series SET sealed_from = ?, sealed_to = ? WHERE id = ?", (first, last, series_id))
        return gone

    def forget(self, parts: Iterable[int]) -> None:
        """Delete the blocks of these parts."""
        for part in parts:
            self._db.execute("DELETE FROM block WHERE id BETWEEN ? AND ?", _ids_of(part))


def month_of(instant: int) -> int:
    """The number of the UTC month of an instant, from January 1970 on."""
    moment = time.gmtime(instant)
    return (moment.tm_year - 1970) * 12 + moment.tm_mon - 1


def month_span(month: int) -> Span:
    """From the first instant of a UTC month to that of the next."""
    year, at = divmod(month, 12)
    start = calendar.timegm((1970 + year, at + 1, 1, 0, 0, 0))
    year, at = divmod(month + 1, 12)
    return Span(start, calendar.timegm((1970 + year, at + 1, 1, 0, 0, 0)))


def _month_name(month: int) -> str:
    return f"{1970 + month // 12}-{month % 12 + 1:02d}"


def _midnight_before(instant: float, timezone: str | None) -> int:
    tz = clock.zone(timezone) or clock.zone("UTC")
    assert tz is not None
    return clock.midnight(clock.day_of(instant, tz), tz)


def _ids_of(part: int) -> tuple[int, int]:
    return part * _MONTHS, part * _MONTHS + _MONTHS - 1


def _block(data: bytes) -> Block:
    # numpy and pcodec would be a quarter of the start of a program that may have nothing sealed yet.
    from sungaze.store.blocks import Block

    return Block(data)


def _readable(block_id: int, data: bytes, wanted: Collection[int] | None, span: Span = EVER) -> dict[int, Series]:
    """What can be read of a block, of some series or of all; what is damaged is logged."""
    try:
        return _block(data).read(wanted, span, damaged=lambda damage: _log_damage(block_id, damage))
    except DamagedBlock as damage:
        _log_damage(block_id, damage)
        return {}


def _log_damage(block_id: int, damage: DamagedBlock) -> None:
    log.error("The block %d of %s is damaged: %s. The rest is readable; sungaze doctor tells whose it is.", block_id,
              _month_name(block_id % _MONTHS), damage)  # fmt: skip


def _in_hundreds(ids: Iterable[int], size: int = 500) -> Iterator[list[int]]:
    every = list(ids)
    for start in range(0, len(every), size):
        yield every[start : start + size]
