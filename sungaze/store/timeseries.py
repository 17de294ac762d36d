"""Samples: a dictionary of series, rows keyed (series, timestamp) and the sealed blocks beneath them, in one class.

Nothing above this class knows how samples are stored. What is newest is always a row, and a row wins over a block.
"""

from __future__ import annotations

import datetime as dt
import math
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from sungaze import clock
from sungaze.clock import EARLIEST, LATEST
from sungaze.model import DAY_S, METRICS, SITE_DEVICE_ID, Kind, Reading, Span
from sungaze.store.database import PAGES_AT_ONCE, Database
from sungaze.store.seal import EVER, Archive, month_of, month_span

if TYPE_CHECKING:
    from sungaze.store.blocks import Series

IMPOSSIBLE: Final = 1e12
"""Beyond a terawatt or a terawatt-hour of lifetime no single site can be."""
CONFIRMATIONS: Final = 3
"""Readings in a row that make a fallen counter's new base believable."""
FELL: Final = "the counter fell"
"""The quarantine's reason for a counter's reading that may yet be confirmed."""
RESOLUTIONS: Final = {"5m": 300, "15m": 900, "1h": 3600, "1d": DAY_S}

_FIND_SERIES = "SELECT id FROM series WHERE site_id = ? AND device_id = ? AND metric = ? AND interval_s = ?"
_UPSERT = (
    "INSERT INTO sample (series_id, timestamp, value) VALUES (?, ?, ?) "
    "ON CONFLICT (series_id, timestamp) DO UPDATE SET value = excluded.value WHERE value <> excluded.value"
)

_FILL = "INSERT INTO sample (series_id, timestamp, value) VALUES (?, ?, ?) ON CONFLICT (series_id, timestamp) DO "
_FILL_MISSING = _FILL + "NOTHING"
_FILL_GROWN = _FILL + "UPDATE SET value = excluded.value WHERE excluded.value > value"


class Rating(msgspec.Struct, frozen=True):
    """What a device or a site can give at the most, W; None is not known."""

    site_w: float | None = None
    devices_w: Mapping[str, float] = {}


class Refusal(msgspec.Struct, frozen=True):
    """A reading that cannot be, and why."""

    reading: Reading
    reason: str


class Written(msgspec.Struct, frozen=True):
    """What became of the readings: how many were taken, how many of these were new or other, which were refused."""

    samples: int
    changed: int
    refused: tuple[Refusal, ...] = ()


class SeriesKey(msgspec.Struct, frozen=True):
    """A series by what it is."""

    site_id: int
    device_id: int
    metric: str
    interval_s: int


class SeriesInfo(msgspec.Struct, frozen=True):
    """A series that has samples, with its first and last timestamp."""

    id: int
    key: SeriesKey
    first: int
    last: int


class Refused(msgspec.Struct, frozen=True):
    """A value in quarantine, as text since it may be no number; an empty device is the site itself."""

    vendor_device_id: str
    metric: str
    interval_s: int
    timestamp: int
    value: str
    reason: str
    refused_at: int


class Points(msgspec.Struct, frozen=True):
    """What a read brings: rows of (timestamp, value), or of (timestamp, mean, min, max) for the mean of a bucket."""

    interval_s: int | None
    rows: list[tuple[float, ...]]


class Kept(msgspec.Struct, frozen=True):
    """How many values are kept, with the first and the last instant, epoch seconds."""

    samples: int
    first: int | None
    last: int | None


class DeviceDay(msgspec.Struct, frozen=True):
    """A day of a site's devices: a value or None by device id for each of the timestamps, which follow one another."""

    interval_s: int
    timestamps: list[int]
    values: dict[int, list[float | None]]


class TimeSeries:
    """The samples of one store."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self.archive = Archive(database)

    # -- writing -----------------------------------------------------------------------------------------------------

    def write(
        self,
        site_id: int,
        readings: Iterable[Reading],
        *,
        devices: Mapping[str, int],
        rating: Rating,
        now: float,
        older: bool = False,
    ) -> Written:
        """Take readings of one site; the same ones twice change nothing, a later value replaces an earlier one.

        What is `older` than what was taken before only fills what is missing, and a day's sum only grows by it.

        `devices` maps vendor_device_id to device id. A reading of a metric that is not in the closed list or of a
        device that is not known is dropped. What cannot be is written to the quarantine instead, with its reason.
        All in one transaction, or in the one that is open. A negative zero comes back as zero (SQLite keeps none).
        """
        groups: dict[tuple[str, str, int], list[Reading]] = {}
        for reading in readings:
            key = (reading.vendor_device_id, reading.metric_name, reading.interval_s)
            group = groups.get(key)
            if group is None:
                groups[key] = [reading]
            else:
                group.append(reading)
        taken = changed = 0
        refused: list[Refusal] = []
        with self._db.transaction():
            sealed = self._sealed_of(site_id)
            for (vendor_device_id, metric, interval_s), group in groups.items():
                device_id = devices.get(vendor_device_id) if vendor_device_id else SITE_DEVICE_ID
                if device_id is None or metric not in METRICS:
                    continue
                low, high = bounds(metric, interval_s, vendor_device_id, rating)
                rows = [
                    (r.timestamp, r.value) for r in group if low <= r.value <= high and EARLIEST <= r.timestamp < LATEST
                ]
                if len(rows) < len(group):
                    refused += [Refusal(r, why) for r in group if (why := _why(r, low, high))]
                if not rows:
                    continue
                series_id = self.series_id(SeriesKey(site_id, device_id, metric, interval_s))
                if METRICS[metric].kind is Kind.COUNTER:
                    where = (site_id, vendor_device_id, metric, interval_s)
                    rows, fallen = self._hold_fallen(series_id, where, dict(rows), now)
                    refused += [Refusal(Reading(vendor_device_id, metric, interval_s, t, v), FELL) for t, v in fallen]
                    if not rows:
                        continue
                put = _UPSERT
                if older:
                    day_so_far = interval_s == DAY_S and METRICS[metric].kind is Kind.SUM
                    put = _FILL_GROWN if day_so_far else _FILL_MISSING
                taken += len(rows)
                if series_id in sealed and min(rows)[0] < sealed[series_id].end:
                    rows = self._unlike_sealed(series_id, rows, put)
                fresh = self._db.executemany(put, [(series_id, t, v) for t, v in rows])
                if fresh and device_id == SITE_DEVICE_ID and METRICS[metric].production:
                    self._mark_days(site_id, [t for t, _ in rows])
                changed += fresh
            self._quarantine(site_id, refused, now)
        return Written(taken, changed, tuple(refused))

    def _sealed_of(self, site_id: int) -> dict[int, Span]:
        found = self._db.rows(
            "SELECT id, sealed_from, sealed_to FROM series WHERE site_id = ? AND sealed_to IS NOT NULL", (site_id,)
        )
        return {series_id: Span(first, last + 1) for series_id, first, last in found}

    def _unlike_sealed(self, series_id: int, rows: list[tuple[int, float]], put: str) -> list[tuple[int, float]]:
        """What of these is to be put beside the sealed samples, because it says something else than they do."""
        if put is _UPSERT:
            rows = list(dict(rows).items())
        span = Span(min(rows)[0], max(rows)[0] + 1)
        corrected = {
            t
            for (t,) in self._db.rows(
                "SELECT timestamp FROM sample WHERE series_id = ? AND timestamp >= ? AND timestamp < ?",
                (series_id, span.start, span.end),
            )
        }
        sealed = self.archive.dict_of(series_id, span)
        return [
            (t, v)
            for t, v in rows
            if t in corrected
            or t not in sealed
            or (v != sealed[t] if put is _UPSERT else put is _FILL_GROWN and v > sealed[t])
        ]

    def series_id(self, key: SeriesKey) -> int:
        """The id of a series, made if there is none yet. Call it inside a transaction.

        Looked up each time and never remembered: an id of a transaction that is rolled back would outlive it.
        """
        parts = (key.site_id, key.device_id, key.metric, key.interval_s)
        found = self._db.scalar(_FIND_SERIES, parts)
        if found is None:
            self._db.execute("INSERT INTO series (site_id, device_id, metric, interval_s) VALUES (?, ?, ?, ?)", parts)
            found = self._db.scalar(_FIND_SERIES, parts)
        return int(found)

    def kept(self, site_id: int) -> Kept:
        """How many values are kept of a site, and from when to when."""
        counted = self.count(site_id=site_id)
        ends = [(info.first, info.last) for info in self.catalogue(site_id)]
        return Kept(counted, min((e[0] for e in ends), default=None), max((e[1] for e in ends), default=None))

    def count(self, site_id: int | None = None, span: Span | None = None) -> int:
        """How many values are kept, of a site or of all, in a span or ever."""
        where, what = ("WHERE site_id = ?", (site_id,)) if site_id is not None else ("", ())
        limits = span or EVER
        with self._db.snapshot():
            rows = self._db.scalar(
                "SELECT count(*) FROM sample JOIN series ON series.id = series_id AND timestamp >= ? AND timestamp < ? "
                + where,
                (limits.start, limits.end, *what),
            )
            sealed = self._db.rows(f"SELECT id, part FROM series {where or 'WHERE 1'} AND sealed_to IS NOT NULL", what)
            blocks = self.archive.count({part for _, part in sealed}, limits)
            return int(rows) + blocks - self._corrections([series_id for series_id, _ in sealed], limits)

    def _corrections(self, series: Sequence[int], span: Span) -> int:
        """How many rows stand for a sample that a block has too."""
        count = 0
        for series_id, reach in self.archive.reach(series).items():
            rows = self._db.rows(
                "SELECT timestamp FROM sample WHERE series_id = ? AND timestamp >= ? AND timestamp < ?",
                (series_id, max(reach.start, span.start), min(reach.end, span.end)),
            )
            if rows:
                sealed = self.archive.dict_of(series_id, Span(rows[0][0], rows[-1][0] + 1))
                count += sum(t in sealed for (t,) in rows)
        return count

    def forget(self, site_id: int) -> int:
        """The number of values that were deleted of a site, each series in a transaction of its own."""
        gone = self.count(site_id=site_id)
        parts = {p for (p,) in self._db.rows("SELECT part FROM series WHERE site_id = ? AND part > 0", (site_id,))}
        with self._db.transaction(durable=True):
            self.archive.forget(parts)
            self._db.execute("UPDATE series SET sealed_from = NULL, sealed_to = NULL WHERE site_id = ?", (site_id,))
        for (series_id,) in self._db.rows("SELECT id FROM series WHERE site_id = ?", (site_id,)):
            with self._db.transaction(durable=True):
                self._db.execute("DELETE FROM sample WHERE series_id = ?", (series_id,))
                self._db.execute("DELETE FROM counter_watch WHERE series_id = ?", (series_id,))
                self._db.execute("DELETE FROM flip WHERE subject = 'series' AND subject_id = ?", (series_id,))
                self._db.execute("DELETE FROM series WHERE id = ?", (series_id,))
            self._db.give_back(over=PAGES_AT_ONCE)
        with self._db.transaction(durable=True):
            self._db.execute("DELETE FROM quarantine WHERE site_id = ?", (site_id,))
        return gone

    def expect_new_base(self, device_id: int) -> None:
        """A device has a new serial number: the next lower reading of its counters is a new base, not a fault."""
        counters = [name for name, metric in METRICS.items() if metric.kind is Kind.COUNTER]
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO counter_watch (series_id, falls, value, timestamp) SELECT series.id, ?, 0, max(timestamp) "
                "FROM series JOIN sample ON sample.series_id = series.id "
                f"WHERE device_id = ? AND metric IN ({','.join('?' * len(counters))}) GROUP BY series.id "
                "ON CONFLICT (series_id) DO UPDATE SET falls = excluded.falls",
                (CONFIRMATIONS, device_id, *counters),
            )

    def _hold_fallen(
        self, series_id: int, key: tuple[int, str, str, int], new: dict[int, float], now: float
    ) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
        """The readings of a counter that count, and those set aside because it fell.

        Each is held against the one before it in time, stored or new. Where one is lower, what is stored after it has
        the word: it confirmed the lower base already, or it refuted it, so that an answer that comes twice changes
        nothing. With nothing stored after it, it is set aside, or it is the one that confirms the base; the ones set
        aside before it are then taken with it.
        """
        stored = self._around(series_id, min(new), max(new))
        held = self._db.row("SELECT falls, timestamp FROM counter_watch WHERE series_id = ?", (series_id,))
        watch = held
        after = sorted(stored)
        accepted: dict[int, float] = {}
        fallen: dict[int, float] = {}
        before: tuple[int, float] | None = None
        for timestamp in sorted(stored.keys() | new.keys()):
            if timestamp not in new:
                before = (timestamp, stored[timestamp])
                continue
            value = new[timestamp]
            following = bisect_left(after, timestamp)
            if before is not None and value < before[1]:
                if following < len(after) and stored[after[following]] >= before[1]:
                    fallen[timestamp] = value  # what came after has refuted it
                    continue
                if following == len(after):
                    newer = watch is None or timestamp > watch[1]
                    falls = (watch[0] if watch else 0) + newer
                    if falls < CONFIRMATIONS or not newer:
                        fallen[timestamp] = value
                        watch = (falls, timestamp if watch is None else max(timestamp, watch[1]))
                        continue
                    released = self._release(key, before[0], timestamp)
                    released |= {t: v for t, v in fallen.items() if before[0] < t < timestamp}
                    fallen = {t: v for t, v in fallen.items() if t not in released}
                    accepted |= released
                    why = "a new serial number" if falls > CONFIRMATIONS else f"{falls} readings in a row were lower"
                    self._db.execute(
                        "INSERT INTO flip (at, subject, subject_id, what, before, after, reason) "
                        "VALUES (?, 'series', ?, 'counter base', ?, ?, ?)",
                        (int(now), series_id, str(before[1]), str(value), why),
                    )
                    watch = None
            if watch is not None and timestamp > watch[1]:
                watch = None
            accepted[timestamp] = value
            before = (timestamp, value)
        if watch is None and held is not None:
            self._db.execute("DELETE FROM counter_watch WHERE series_id = ?", (series_id,))
        elif watch is not None and watch != held:
            self._db.execute(
                "INSERT INTO counter_watch (series_id, falls, value, timestamp) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (series_id) DO UPDATE SET falls = excluded.falls, value = excluded.value, "
                "timestamp = excluded.timestamp",
                (series_id, watch[0], fallen.get(watch[1], 0.0), watch[1]),
            )
        return list(accepted.items()), list(fallen.items())

    def _around(self, series_id: int, first: int, last: int) -> dict[int, float]:
        """What is kept of a series between two instants, with the nearest before and after."""
        found = dict(
            self._db.rows(
                "SELECT timestamp, value FROM sample WHERE series_id = ?1 AND timestamp BETWEEN "
                "COALESCE((SELECT max(timestamp) FROM sample WHERE series_id = ?1 AND timestamp < ?2), ?2) AND "
                "COALESCE((SELECT min(timestamp) FROM sample WHERE series_id = ?1 AND timestamp > ?3), ?3)",
                (series_id, first, last),
            )
        )
        reach = self.archive.reach([series_id]).get(series_id)
        if reach is None or reach.end <= min(found, default=first) < first:
            return found
        every = self.archive.dict_of(series_id, Span(first, last + 1))
        for instant, after in ((first, False), (last, True)):
            every |= dict(self.archive.nearest([series_id], instant, after=after).values())
        every |= found
        before = max((t for t in every if t < first), default=first)
        following = min((t for t in every if t > last), default=last)
        return {t: v for t, v in every.items() if before <= t <= following}

    def _release(self, key: tuple[int, str, str, int], after: int, before: int) -> dict[int, float]:
        """What was set aside of a fallen counter between two moments, taken out of the quarantine."""
        where = (
            "site_id = ? AND vendor_device_id = ? AND metric = ? AND interval_s = ? AND timestamp > ? "
            "AND timestamp < ? AND reason = ?"
        )
        parameters = (*key, after, before, FELL)
        found = self._db.rows(f"SELECT timestamp, value FROM quarantine WHERE {where}", parameters)
        self._db.execute(f"DELETE FROM quarantine WHERE {where}", parameters)
        return {int(t): float(v) for t, v in found}

    def _quarantine(self, site_id: int, refused: Sequence[Refusal], now: float) -> None:
        if refused:
            self._db.executemany(
                "INSERT INTO quarantine (site_id, vendor_device_id, metric, interval_s, timestamp, value, reason, "
                "refused_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (site_id, vendor_device_id, metric, "
                "interval_s, timestamp) DO UPDATE SET value = excluded.value, reason = excluded.reason",
                [
                    (
                        site_id,
                        r.reading.vendor_device_id,
                        r.reading.metric_name,
                        r.reading.interval_s,
                        min(max(r.reading.timestamp, -LATEST), LATEST),
                        repr(r.reading.value),
                        r.reason,
                        int(now),
                    )
                    for r in refused
                ],
            )

    def retract(self, key: SeriesKey, timestamps: Sequence[int]) -> int:
        """The number of samples taken out of a series, because nobody ever said them."""
        series_id = self._find(key)
        if series_id is None:
            return 0
        with self._db.transaction():
            if timestamps and key.device_id == SITE_DEVICE_ID and METRICS[key.metric].production:
                self._mark_days(key.site_id, timestamps)
            rows = [(series_id, t) for t in timestamps]
            corrected = self._corrections([series_id], EVER)
            gone = self._db.executemany("DELETE FROM sample WHERE series_id = ? AND timestamp = ?", rows)
            corrected -= self._corrections([series_id], EVER)
            gone += len(self.archive.take_out(series_id, timestamps)) - corrected
            self._keep_newest_a_row(series_id)
        return gone

    def _keep_newest_a_row(self, series_id: int) -> None:
        reach = self.archive.reach([series_id]).get(series_id)
        newest = self._db.scalar("SELECT max(timestamp) FROM sample WHERE series_id = ?", (series_id,))
        if reach is not None and (newest is None or newest < reach.end - 1):
            at = reach.end - 1
            value = self.archive.dict_of(series_id, Span(at, at + 1))[at]
            self._db.execute(_UPSERT, (series_id, at, value))

    def restamp_days(self, site_id: int, before: str, after: str) -> int:
        """The number of daily samples moved because the site's zone was changed.

        Each keeps its local date: a day that began at midnight in `before` begins at midnight in `after`.
        """
        old, new = clock.zone(before), clock.zone(after)
        if old is None or new is None or before == after:
            return 0
        moved = 0
        with self._db.transaction():
            for (series_id,) in self._db.rows(
                "SELECT id FROM series WHERE site_id = ? AND interval_s = ?", (site_id, DAY_S)
            ):
                rows = self._db.rows("SELECT timestamp, value FROM sample WHERE series_id = ?", (series_id,))
                days = self.archive.take_out(series_id) | dict(rows)
                self._db.execute("DELETE FROM sample WHERE series_id = ?", (series_id,))
                stamped = [(series_id, clock.midnight(clock.day_of(t, old), new), v) for t, v in sorted(days.items())]
                moved += self._db.executemany(_UPSERT, stamped)
            self.mark_days(site_id)
        return moved

    def mark_days(self, site_id: int) -> None:
        """Have the figures of all a site's days computed again: its zone or its position is another one."""
        spans = [
            (info.first, info.last)
            for info in self.catalogue(site_id)
            if info.key.device_id == SITE_DEVICE_ID and METRICS[info.key.metric].production
        ]
        if spans:
            # Days that were written in another zone began up to 26 hours off.
            self._mark_days(site_id, (min(spans)[0] - 2 * DAY_S, max(last for _, last in spans) + 2 * DAY_S))

    def _mark_days(self, site_id: int, timestamps: Sequence[int]) -> None:
        """Have the figures of the local days between the first and the last of these instants computed again.

        By instants, because the zone may not be known yet. What goes on where a mark ends lengthens it: a day of polls
        leaves one mark.
        """
        marked = (site_id, min(timestamps), max(timestamps))
        longer = "UPDATE site_day_due SET last = max(last, ?3) WHERE site_id = ?1 AND first <= ?2 AND last >= ?2 - ?4"
        if self._db.execute(longer, (*marked, DAY_S)).rowcount == 0:
            self._db.execute(
                "INSERT INTO site_day_due (site_id, first, last) VALUES (?, ?, ?) "
                "ON CONFLICT (site_id, first) DO UPDATE SET last = max(last, excluded.last)",
                marked,
            )

    # -- reading -----------------------------------------------------------------------------------------------------

    def catalogue(self, site_id: int) -> list[SeriesInfo]:
        """Every series of a site that has samples."""
        found = self._db.rows(
            "SELECT id, device_id, metric, interval_s, "
            "min(COALESCE(sealed_from, 1 << 60), (SELECT min(timestamp) FROM sample WHERE series_id = series.id)), "
            "(SELECT max(timestamp) FROM sample WHERE series_id = series.id) "
            "FROM series WHERE site_id = ? ORDER BY metric, interval_s, device_id",
            (site_id,),
        )
        return [
            SeriesInfo(id, SeriesKey(site_id, device, metric, interval), first, last)
            for id, device, metric, interval, first, last in found
            if first is not None
        ]

    def intervals(self, site_id: int, device_id: int, metric: str) -> list[int]:
        """The interval lengths there are, finest first; moments (0) come last."""
        found = [
            r[0]
            for r in self._db.rows(
                "SELECT interval_s FROM series WHERE site_id = ? AND device_id = ? AND metric = ? AND EXISTS "
                "(SELECT 1 FROM sample WHERE series_id = series.id)",
                (site_id, device_id, metric),
            )
        ]
        return sorted(found, key=lambda s: (s == 0, s))

    def finest_of_devices(self, site_id: int, metric: str) -> int | None:
        """The finest interval length that any device of a site has of a metric, moments last; None without any."""
        lengths = self._db.rows(
            "SELECT DISTINCT interval_s FROM series WHERE site_id = ? AND metric = ? AND device_id <> 0",
            (site_id, metric),
        )
        return min((s for (s,) in lengths), key=lambda s: (s == 0, s), default=None)

    def _find(self, key: SeriesKey) -> int | None:
        found = self._db.scalar(_FIND_SERIES, (key.site_id, key.device_id, key.metric, key.interval_s))
        return None if found is None else int(found)

    def raw(self, key: SeriesKey, span: Span) -> list[tuple[int, float]]:
        """The samples of one series whose interval starts in the span, oldest first."""
        series_id = self._find(key)
        return [] if series_id is None else self._samples(series_id, span)

    def _samples(self, series_id: int, span: Span) -> list[tuple[int, float]]:
        with self._db.snapshot():
            rows = self._db.rows(
                "SELECT timestamp, value FROM sample WHERE series_id = ? AND timestamp >= ? AND timestamp < ? "
                "ORDER BY timestamp",
                (series_id, span.start, span.end),
            )
            sealed = self.archive.lists([series_id], span).get(series_id, [])
        return _joined(sealed, rows)

    def _several(self, series: Sequence[int], span: Span) -> dict[int, Series]:
        """The samples of several series in a span, oldest first; a series without any is left out."""
        from sungaze.store.blocks import joined

        rows: dict[int, list[tuple[int, float]]] = {}
        with self._db.snapshot():
            for start in range(0, len(series), 500):
                for series_id, t, v in self._db.rows(
                    "SELECT series_id, timestamp, value FROM sample WHERE series_id IN "
                    f"({','.join(map(str, series[start : start + 500]))}) AND timestamp >= ? AND timestamp < ? "
                    "ORDER BY series_id, timestamp",
                    (span.start, span.end),
                ):
                    rows.setdefault(series_id, []).append((t, v))
            sealed = self.archive.read(series, span)
        return {one: joined(sealed.get(one, []), rows.get(one, [])) for one in {**sealed, **rows}}

    def pieces(self, key: SeriesKey, span: Span, most: int = 5_000) -> Iterator[list[tuple[int, float]]]:
        """The samples of one series, oldest first, in pieces; none holds more than a month, or about `most` of rows.

        Each piece is read by a query of its own, so it can be read from another thread at each step.
        """
        series_id = self._find(key)
        if series_id is None:
            return
        start = span.start
        reach = self.archive.reach([series_id]).get(series_id)
        if reach is not None:
            first = self._db.scalar("SELECT min(timestamp) FROM sample WHERE series_id = ?", (series_id,))
            start = max(start, min(reach.start, first if first is not None else reach.start))
            while start < min(reach.end, span.end):
                end = min(month_span(month_of(start)).end, span.end)
                piece = self._samples(series_id, Span(start, end))
                if piece:
                    yield piece
                start = end
        while True:
            rows = self._db.rows(
                "SELECT timestamp, value FROM sample WHERE series_id = ? AND timestamp >= ? AND timestamp < ? "
                "ORDER BY timestamp LIMIT ?",
                (series_id, start, span.end, most),
            )
            if rows:
                yield rows
            if len(rows) < most:
                return
            start = rows[-1][0] + 1

    def read(
        self,
        site_id: int,
        device_id: int,
        metric: str,
        span: Span,
        *,
        resolution: str = "raw",
        interval_s: int | None = None,
        timezone: str | None = None,
    ) -> Points:
        """A metric over a span, at the resolution asked for.

        A point counts by its start. `raw` gives one interval length, the finest there is unless one is named. Coarser
        ones give (start, sum) for sums and (start, mean, min, max) for the rest (a counter's mean is its last
        reading), from one interval length only, hours beginning at the zone's own; a length coarser than asked for
        comes as it is. A bucket without samples is left out.

        `1d` takes, for each local day (which needs the zone), the finest length that covers the whole of it, by count.
        A vendor that lists no intervals at night (Enphase) never covers a day with them: its own figure for the day
        stands then, and a day that has neither is left out, because a part must not look like the whole. The running
        day is the vendor's figure so far. Only means without a complete length are taken from what there is.
        """
        lengths = self.intervals(site_id, device_id, metric)
        if interval_s is not None:
            lengths = [s for s in lengths if s == interval_s]
        if not lengths:
            return Points(interval_s, [])
        kind = METRICS[metric].kind
        if resolution == "1d":
            return Points(DAY_S, self._days(site_id, device_id, metric, span, lengths, timezone))
        # A gateway that was away sends coarser figures of that time: of several lengths, the finest that the span has.
        finest = next((s for s in lengths if self._has(SeriesKey(site_id, device_id, metric, s), span)), lengths[0])
        key = SeriesKey(site_id, device_id, metric, finest)
        if resolution == "raw":
            return Points(finest, [(float(t), v) for t, v in self.raw(key, span)])
        bucket = RESOLUTIONS[resolution]
        if bucket <= finest:
            return Points(finest, [(float(t), *_summary([v], kind)) for t, v in self.raw(key, span)])
        rows = self.raw(key, Span(span.start, span.end + bucket))
        shift = _shift(timezone) if bucket > 900 else lambda _: 0
        if kind is Kind.MEAN:
            rows = self._filled(rows, key, [s for s in lengths if finest < s <= bucket], span)
        folded = _fold(rows, kind, bucket, shift)
        return Points(bucket, [row for row in folded if span.start <= row[0] < span.end])

    def _has(self, key: SeriesKey, span: Span) -> bool:
        series_id = self._find(key)
        if series_id is None:
            return False
        found = self._db.scalar(
            "SELECT 1 FROM sample WHERE series_id = ? AND timestamp >= ? AND timestamp < ? LIMIT 1",
            (series_id, span.start, span.end),
        )
        return found is not None or bool(self.archive.lists([series_id], span))

    def _filled(
        self, rows: list[tuple[int, float]], key: SeriesKey, coarser: Sequence[int], span: Span
    ) -> list[tuple[int, float]]:
        """Means of an interval, with those of coarser ones where the finer have nothing."""
        for length in coarser:
            known = [t for t, _ in rows]
            for t, value in self.raw(msgspec.structs.replace(key, interval_s=length), span):
                at = bisect_left(known, t)
                if at == len(known) or known[at] >= t + length:
                    rows = [*rows, (t, value)]
            rows.sort()
        return rows

    def _days(
        self, site_id: int, device_id: int, metric: str, span: Span, lengths: list[int], timezone: str | None
    ) -> list[tuple[float, ...]]:
        tz = clock.zone(timezone)
        if tz is None:
            return []
        kind = METRICS[metric].kind
        days = clock.local_days(span, tz)
        if not days:
            return []
        whole = Span(days[0][1].start, days[-1][1].end)
        by_length = {s: self.raw(SeriesKey(site_id, device_id, metric, s), whole) for s in lengths}
        rows: list[tuple[float, ...]] = []
        for _, day in days:
            if not span.start <= day.start < span.end:
                continue
            inside = {s: _between(by_length[s], day) for s in lengths}
            whole_ones = [s for s in lengths if covers(len(inside[s]), s, day)]
            partial = [s for s in lengths if inside[s]] if kind is not Kind.SUM else []
            length = next(iter(whole_ones or partial), None)
            if length is not None:
                rows.append((float(day.start), *_summary([v for _, v in inside[length]], kind)))
        return rows

    def latest(
        self, site_id: int, metric: str, interval_s: int, *, at: int | None = None
    ) -> dict[int, tuple[int, float]]:
        """The newest sample of every device of a site (0 is the site), by device id, at or before `at`."""
        limit = at if at is not None else 1 << 40
        found = self._db.rows(
            "SELECT device_id, sample.timestamp, sample.value FROM series JOIN sample ON sample.series_id = series.id "
            "AND sample.timestamp = (SELECT max(timestamp) FROM sample AS newest WHERE newest.series_id = series.id "
            "AND newest.timestamp <= ?) WHERE site_id = ? AND metric = ? AND interval_s = ?",
            (limit, site_id, metric, interval_s),
        )
        newest = {device: (int(t), float(v)) for device, t, v in found}
        if at is None:
            return newest
        sealed: dict[int, int] = dict(
            self._db.rows(
                "SELECT id, device_id FROM series WHERE site_id = ? AND metric = ? AND interval_s = ? AND "
                "sealed_from <= ?",
                (site_id, metric, interval_s, at),
            )
        )
        for series_id, before in self.archive.nearest(sealed, at + 1, after=False).items():
            device = sealed[series_id]
            if device not in newest or before[0] > newest[device][0]:
                newest[device] = before
        return newest

    def day_of_devices(self, site_id: int, devices: Collection[int], metric: str, day: Span, *, most: int) -> DeviceDay:
        """A metric of some devices of a site over a local day, in the finest interval that they have on it.

        Where that were more than `most` values, in the finest of 5 and 15 minutes and an hour that is not: means of
        what there is, sums of whole ones only, because a part must not look like the whole. Means of a coarser
        interval (a gateway that was away sends such) stand in for the finer ones they cover. Moments come as the mean
        of their five minutes. One query for each interval length, none per device.
        """
        of_site = "site_id = ? AND metric = ? AND device_id <> 0"
        within = "sample.series_id = series.id AND timestamp >= ? AND timestamp < ?"
        wanted = set(devices)
        sealed = self._sealed_days(site_id, wanted, metric, day)
        known = self._db.rows(
            f"SELECT interval_s, device_id FROM series WHERE {of_site} "
            f"AND EXISTS (SELECT 1 FROM sample WHERE {within})",
            (site_id, metric, day.start, day.end),
        )
        lengths = sorted(
            {length for length, device_id in (*known, *sealed) if device_id in wanted}, key=lambda s: (s == 0, s)
        )
        if not lengths:
            return DeviceDay(0, [], {})
        kind = METRICS[metric].kind
        finest, span_s = lengths[0], day.end - day.start
        steps = [s for s in (finest, *RESOLUTIONS.values()) if s > 0 and s % max(finest, 1) == 0]
        step = next((s for s in steps if len(wanted) * span_s // s <= most), steps[-1])
        size = max(1, -(-span_s // step))
        values: dict[int, list[float | None]] = {}
        for length in reversed([s for s in lengths if s == finest or (kind is Kind.MEAN and finest < s < DAY_S)]):
            whole = step // length if 0 < length < step and kind is Kind.SUM else 1
            if sealed and length == step:  # nearly always, and three times as quick as what follows
                for (interval_s, device_id), series in sealed.items():
                    if interval_s == length:
                        at, laid = series.on_grid(day.start, step)
                        coarse = values.get(device_id)
                        if coarse is None:
                            values[device_id] = [None] * at + laid + [None] * (size - at - len(laid))
                            continue
                        for slot, one in enumerate(laid, at):
                            coarse[slot] = coarse[slot] if one is None else one
                continue
            found: Iterable[tuple[int, int, float]]
            if sealed:
                found = _slotted(sealed, length, day.start, step, kind, whole)
            else:
                value, having = "value", ""
                if length < step:
                    value = "sum(value)" if kind is Kind.SUM else "max(value)" if kind is Kind.COUNTER else "avg(value)"
                    having = f" GROUP BY device_id, slot HAVING count(*) >= {whole}"
                found = self._db.rows(
                    f"SELECT device_id, (timestamp - ?) / ? AS slot, {value} FROM series JOIN sample ON {within} "
                    f"WHERE {of_site} AND interval_s = ?{having}",
                    (day.start, step, day.start, day.end, site_id, metric, length),
                )
            covered = max(1, length // step)
            for device_id, slot, one in found:
                if device_id not in wanted:
                    continue
                row = values.get(device_id)
                if row is None:
                    row = values[device_id] = [None] * size
                if covered == 1:
                    row[slot] = one
                else:
                    row[slot : min(size, slot + covered)] = [one] * (min(size, slot + covered) - slot)
        first = min((_leading(row) for row in values.values()), default=size)
        last = max((size - _leading(row[::-1]) for row in values.values()), default=size)
        return DeviceDay(
            step,
            [day.start + step * slot for slot in range(first, last)],
            {device_id: row[first:last] for device_id, row in values.items()},
        )

    def _sealed_days(
        self, site_id: int, wanted: Collection[int], metric: str, day: Span
    ) -> dict[tuple[int, int], Series]:
        """A metric's samples by interval length and device where any of them are sealed; else nothing."""
        series = {
            series_id: (interval_s, device_id)
            for series_id, interval_s, device_id in self._db.rows(
                "SELECT id, interval_s, device_id FROM series WHERE site_id = ?1 AND metric = ?2 AND device_id <> 0 "
                "AND EXISTS (SELECT 1 FROM series WHERE site_id = ?1 AND metric = ?2 AND sealed_to >= ?3 "
                "AND sealed_from < ?4)",
                (site_id, metric, day.start, day.end),
            )
            if device_id in wanted
        }
        if not series:
            return {}
        return {series[one]: rows for one, rows in self._several(list(series), day).items()}

    def newest_of_devices(self, site_id: int, metrics: Sequence[str]) -> dict[int, dict[str, tuple[int, float]]]:
        """The newest sample (timestamp, value) of each of these metrics, by device id (0 is the site) and metric."""
        marks = ",".join("?" * len(metrics))
        found: dict[int, dict[str, tuple[int, float]]] = {}
        for device, metric, at, value in self._db.rows(
            "SELECT device_id, metric, sample.timestamp, sample.value FROM series JOIN sample ON "
            "sample.series_id = series.id AND sample.timestamp = (SELECT max(timestamp) FROM sample AS newest "
            f"WHERE newest.series_id = series.id) WHERE site_id = ? AND metric IN ({marks}) AND interval_s < {DAY_S} "
            "ORDER BY sample.timestamp",
            (site_id, *metrics),
        ):
            found.setdefault(device, {})[metric] = (int(at), float(value))
        return found

    def energy_of_devices(self, site_id: int, metric: str, day: Span) -> dict[int, float]:
        """What each device of a site gave in a local day so far, Wh, by device id.

        The vendor's own figure of the day where there is one, else the sum of the finest intervals; never both.
        """
        found: dict[int, float] = {}
        devices = {d for (d,) in self._db.rows("SELECT DISTINCT device_id FROM series WHERE site_id = ?", (site_id,))}
        sealed = self._sealed_days(site_id, devices, metric, day)
        for (length, device), one in sorted(sealed.items(), key=lambda one: (one[0][0] != DAY_S, one[0])):
            if length > 0:
                found.setdefault(device, sum(one.values.tolist()))
        if sealed:
            return found
        for device, total in self._db.rows(
            "SELECT device_id, sum(sample.value) FROM series JOIN sample ON sample.series_id = series.id "
            "WHERE site_id = ? AND metric = ? AND device_id <> 0 AND interval_s > 0 AND timestamp >= ? "
            f"AND timestamp < ? GROUP BY device_id, interval_s ORDER BY interval_s = {DAY_S} DESC, interval_s",
            (site_id, metric, day.start, day.end),
        ):
            found.setdefault(int(device), float(total))
        return found

    def counts(self, key: SeriesKey, spans: Sequence[Span], step_s: int) -> list[int]:
        """In how many steps of `step_s` seconds of each span a series has a sample."""
        series = self._find(key)
        if series is None or not spans:
            return [0] * len(spans)
        whole = Span(min(span.start for span in spans), max(span.end for span in spans))
        reach = self.archive.reach([series]).get(series)
        if reach is not None and whole.start < reach.end:
            every = self._samples(series, whole)
            return [len({(t - span.start) // step_s for t, _ in _between(every, span)}) for span in spans]
        return [
            int(
                self._db.scalar(
                    "SELECT count(DISTINCT (timestamp - ?2) / ?4) FROM sample WHERE series_id = ?1 "
                    "AND timestamp >= ?2 AND timestamp < ?3",
                    (series, span.start, span.end, step_s),
                )
            )
            for span in spans
        ]

    def refused(self, site_id: int, limit: int, offset: int) -> list[Refused]:
        """The values of a site that are in quarantine, the newest first."""
        found = self._db.rows(
            "SELECT vendor_device_id, metric, interval_s, timestamp, value, reason, refused_at FROM quarantine "
            "WHERE site_id = ? ORDER BY timestamp DESC, id DESC LIMIT ? OFFSET ?",
            (site_id, limit, offset),
        )
        return [Refused(*row) for row in found]

    def quarantined(self, site_id: int) -> int:
        """How many values of a site were refused."""
        return int(self._db.scalar("SELECT count(*) FROM quarantine WHERE site_id = ?", (site_id,)))


def _leading(row: Sequence[float | None]) -> int:
    """How many are missing before the first that is there."""
    return next((slot for slot, one in enumerate(row) if one is not None), len(row))


def _joined(sealed: list[tuple[int, float]], rows: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Both in one, oldest first, where a row wins."""
    if not sealed or not rows:
        return sealed or rows
    if rows[0][0] > sealed[-1][0]:
        return sealed + rows
    return sorted((dict(sealed) | dict(rows)).items())


def _slotted(
    days: Mapping[tuple[int, int], Series], length: int, start: int, step: int, kind: Kind, whole: int
) -> Iterator[tuple[int, int, float]]:
    """What the devices of an interval length have in each step of a day: device, step, value."""
    for (interval_s, device_id), series in days.items():
        if interval_s != length:
            continue
        if length >= step:
            yield from ((device_id, (t - start) // step, v) for t, v in series.rows())
            continue
        slots: dict[int, list[float]] = {}
        for t, v in series.rows():
            slots.setdefault((t - start) // step, []).append(v)
        for slot, values in slots.items():
            if len(values) >= whole:
                # Plain sums, as SQLite's own are: what is sealed is to be told as it was before.
                mean = sum(values) / (1 if kind is Kind.SUM else len(values))
                yield device_id, slot, max(values) if kind is Kind.COUNTER else mean


def bounds(metric: str, interval_s: int, vendor_device_id: str, rating: Rating) -> tuple[float, float]:
    """The lowest and the highest value that can be: DESIGN 3, “a value that cannot be”."""
    entry = METRICS[metric]
    watts = rating.devices_w.get(vendor_device_id) if vendor_device_id else None
    watts = watts or rating.site_w
    if entry.kind is Kind.COUNTER:
        return 0.0, IMPOSSIBLE
    if not entry.production or not watts or (entry.kind is Kind.SUM and interval_s <= 0):
        return -IMPOSSIBLE, IMPOSSIBLE
    most = watts if entry.kind is Kind.MEAN else watts * interval_s / 3600
    return -0.02 * most, 3 * most


def _why(reading: Reading, low: float, high: float) -> str:
    if not math.isfinite(reading.value):
        return "not a number"
    if not EARLIEST <= reading.timestamp < LATEST:
        return "at no time that can be"
    return f"below {low:.0f}" if reading.value < low else f"above {high:.0f}" if reading.value > high else ""


def _shift(timezone: str | None) -> Callable[[int], int]:
    """By how much the zone's hours begin after those of UTC, at an instant, s.

    Half-hour zones, and Lord Howe, whose daylight saving is half an hour. Asked once a UTC day where nothing changes
    in it, because a month of five minutes has 9,000 rows.
    """
    tz = clock.zone(timezone)
    if tz is None:
        return lambda _: 0
    known: dict[int, int | None] = {}

    def offset(instant: int) -> int:
        found = dt.datetime.fromtimestamp(instant, tz).utcoffset()
        return int(found.total_seconds()) % 3600 if found else 0

    def shift(instant: int) -> int:
        day = instant // DAY_S
        if day not in known:
            first, last = offset(day * DAY_S), offset((day + 1) * DAY_S)
            known[day] = first if first == last else None
        settled = known[day]
        return offset(instant) if settled is None else settled

    return shift


def _between(rows: Sequence[tuple[int, float]], span: Span) -> Sequence[tuple[int, float]]:
    return rows[bisect_left(rows, (span.start, -math.inf)) : bisect_left(rows, (span.end, -math.inf))]


def covers(count: int, length: int, day: Span) -> bool:
    """Whether so many samples of an interval length, in seconds, are the whole of a local day; moments never are."""
    return count > 0 if length == DAY_S else count * length >= day.end - day.start if length > 0 else False


def _summary(values: list[float], kind: Kind) -> tuple[float, ...]:
    if kind is Kind.SUM:
        return (math.fsum(values),)
    if kind is Kind.COUNTER:
        return (values[-1], min(values), max(values))
    return (math.fsum(values) / len(values), min(values), max(values))


def _fold(
    rows: Sequence[tuple[int, float]], kind: Kind, bucket: int, shift_at: Callable[[int], int]
) -> Iterator[tuple[float, ...]]:
    start: int | None = None
    values: list[float] = []
    for timestamp, value in rows:
        shift = shift_at(timestamp)
        begins = (timestamp + shift) // bucket * bucket - shift
        if begins != start:
            if start is not None:
                yield (float(start), *_summary(values, kind))
            start, values = begins, []
        values.append(value)
    if start is not None:
        yield (float(start), *_summary(values, kind))
