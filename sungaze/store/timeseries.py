"""Samples: a dictionary of series and rows keyed (series, timestamp), behind one class.

Nothing above this class knows how samples are stored, so that sealed blocks can later slip in beneath it.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from sungaze import clock
from sungaze.model import DAY_S, METRICS, SITE_DEVICE_ID, Kind, Reading, Span
from sungaze.store.database import Database

IMPOSSIBLE: Final = 1e12
"""Beyond a terawatt or a terawatt-hour of lifetime no single site can be."""
CONFIRMATIONS: Final = 3
"""Readings in a row that make a fallen counter's new base believable."""
RESOLUTIONS: Final = {"5m": 300, "15m": 900, "1h": 3600, "1d": DAY_S}

_UPSERT = (
    "INSERT INTO sample (series_id, timestamp, value) VALUES (?, ?, ?) "
    "ON CONFLICT (series_id, timestamp) DO UPDATE SET value = excluded.value WHERE value <> excluded.value"
)


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


class Points(msgspec.Struct, frozen=True):
    """What a read brings: rows of (timestamp, value), or of (timestamp, mean, min, max) for the mean of a bucket."""

    interval_s: int | None
    rows: list[tuple[float, ...]]


class TimeSeries:
    """The samples of one store."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._ids: dict[tuple[int, int, str, int], int] = {}

    # -- writing -----------------------------------------------------------------------------------------------------

    def write(
        self,
        site_id: int,
        readings: Iterable[Reading],
        *,
        devices: Mapping[str, int],
        rating: Rating,
        now: float,
    ) -> Written:
        """Take readings of one site; the same ones twice change nothing, a later value replaces an earlier one.

        `devices` maps vendor_device_id to device id. A reading of a metric that is not in the closed list or of a
        device that is not known is dropped. What cannot be is written to the quarantine instead, with its reason.
        All in one transaction, or in the one that is open.
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
            for (vendor_device_id, metric, interval_s), group in groups.items():
                device_id = devices.get(vendor_device_id) if vendor_device_id else SITE_DEVICE_ID
                if device_id is None or metric not in METRICS:
                    continue
                low, high = bounds(metric, interval_s, vendor_device_id, rating)
                rows = [(r.timestamp, r.value) for r in group if low <= r.value <= high]
                if len(rows) < len(group):
                    refused += [Refusal(r, _why(r.value, low, high)) for r in group if not low <= r.value <= high]
                if not rows:
                    continue
                series_id = self.series_id(SeriesKey(site_id, device_id, metric, interval_s))
                if METRICS[metric].kind is Kind.COUNTER:
                    rows, fallen = self._hold_fallen(series_id, rows, now)
                    refused += [
                        Refusal(Reading(vendor_device_id, metric, interval_s, t, v), "the counter fell")
                        for t, v in fallen
                    ]
                changed += self._db.executemany(_UPSERT, [(series_id, t, v) for t, v in rows])
                taken += len(rows)
            self._quarantine(site_id, refused, now)
        return Written(taken, changed, tuple(refused))

    def series_id(self, key: SeriesKey) -> int:
        """The id of a series, made if there is none yet. Call it inside a transaction."""
        parts = (key.site_id, key.device_id, key.metric, key.interval_s)
        known = self._ids.get(parts)
        if known is not None:
            return known
        # Asked again, not remembered, after an insert: a transaction that is rolled back must leave no id behind.
        find = "SELECT id FROM series WHERE site_id = ? AND device_id = ? AND metric = ? AND interval_s = ?"
        found = self._db.scalar(find, parts)
        if found is None:
            self._db.execute("INSERT INTO series (site_id, device_id, metric, interval_s) VALUES (?, ?, ?, ?)", parts)
            return int(self._db.scalar(find, parts))
        self._ids[parts] = int(found)
        return int(found)

    def _hold_fallen(
        self, series_id: int, rows: list[tuple[int, float]], now: float
    ) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
        accepted: list[tuple[int, float]] = []
        fallen: list[tuple[int, float]] = []
        for timestamp, value in sorted(rows):
            last = accepted[-1] if accepted else None
            if last is None:
                last = self._db.row(
                    "SELECT timestamp, value FROM sample WHERE series_id = ? AND timestamp < ? "
                    "ORDER BY timestamp DESC LIMIT 1",
                    (series_id, timestamp),
                )
            if last is None or value >= last[1]:
                accepted.append((timestamp, value))
                self._db.execute("DELETE FROM counter_watch WHERE series_id = ?", (series_id,))
                continue
            watch = self._db.row("SELECT falls, timestamp FROM counter_watch WHERE series_id = ?", (series_id,))
            falls = 1 if watch is None else watch[0] + (timestamp > watch[1])
            if falls >= CONFIRMATIONS:
                accepted.append((timestamp, value))
                self._db.execute("DELETE FROM counter_watch WHERE series_id = ?", (series_id,))
                self._db.execute(
                    "INSERT INTO flip (at, subject, subject_id, what, before, after, reason) "
                    "VALUES (?, 'series', ?, 'counter base', ?, ?, ?)",
                    (int(now), series_id, str(last[1]), str(value), f"{CONFIRMATIONS} readings in a row were lower"),
                )
            else:
                fallen.append((timestamp, value))
                self._db.execute(
                    "INSERT INTO counter_watch (series_id, falls, value, timestamp) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT (series_id) DO UPDATE SET falls = excluded.falls, value = excluded.value, "
                    "timestamp = excluded.timestamp",
                    (series_id, falls, value, timestamp),
                )
        return accepted, fallen

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
                        r.reading.timestamp,
                        repr(r.reading.value),
                        r.reason,
                        int(now),
                    )
                    for r in refused
                ],
            )

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
                self._db.execute("DELETE FROM sample WHERE series_id = ?", (series_id,))
                stamped = [(series_id, clock.midnight(clock.day_of(t, old), new), v) for t, v in rows]
                moved += self._db.executemany(_UPSERT, stamped)
        return moved

    # -- reading -----------------------------------------------------------------------------------------------------

    def catalogue(self, site_id: int) -> list[SeriesInfo]:
        """Every series of a site that has samples."""
        found = self._db.rows(
            "SELECT id, device_id, metric, interval_s, "
            "(SELECT min(timestamp) FROM sample WHERE series_id = series.id), "
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

    def raw(self, key: SeriesKey, span: Span) -> list[tuple[int, float]]:
        """The samples of one series whose interval starts in the span, oldest first."""
        series = self._db.scalar(
            "SELECT id FROM series WHERE site_id = ? AND device_id = ? AND metric = ? AND interval_s = ?",
            (key.site_id, key.device_id, key.metric, key.interval_s),
        )
        if series is None:
            return []
        return [
            (int(t), float(v))
            for t, v in self._db.rows(
                "SELECT timestamp, value FROM sample WHERE series_id = ? AND timestamp >= ? AND timestamp < ? "
                "ORDER BY timestamp",
                (series, span.start, span.end),
            )
        ]

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

        `raw` gives one interval length, the finest there is unless one is named. Coarser ones give (start, sum) for
        sums and (start, mean, min, max) for the rest, from one interval length only; `1d` takes, for each local day
        (which needs the zone), the finest length that covers that day. A day or a bucket without samples is left out.
        """
        lengths = self.intervals(site_id, device_id, metric)
        if interval_s is not None:
            lengths = [s for s in lengths if s == interval_s]
        if not lengths:
            return Points(interval_s, [])
        kind = METRICS[metric].kind
        if resolution == "1d":
            return Points(DAY_S, self._days(site_id, device_id, metric, span, lengths, timezone))
        finest = lengths[0]
        bucket = RESOLUTIONS.get(resolution, 0)
        rows = self.raw(SeriesKey(site_id, device_id, metric, finest), span)
        if bucket <= finest and finest:
            bucket = finest
        if resolution == "raw":
            return Points(finest, [(float(t), v) for t, v in rows])
        shift = _offset_within_hour(span.start, timezone) if bucket > 900 else 0
        return Points(bucket, list(_fold(rows, kind, bucket, shift)))

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
            for length in lengths:
                inside = [(t, v) for t, v in by_length[length] if day.start <= t < day.end]
                if not inside or (kind is Kind.SUM and not _covers(inside, length, day)):
                    continue
                rows.append((float(day.start), *_summary([v for _, v in inside], kind)))
                break
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
        return {device: (int(t), float(v)) for device, t, v in found}

    def quarantined(self, site_id: int) -> int:
        """How many values of a site were refused."""
        return int(self._db.scalar("SELECT count(*) FROM quarantine WHERE site_id = ?", (site_id,)))


def bounds(metric: str, interval_s: int, vendor_device_id: str, rating: Rating) -> tuple[float, float]:
    """The lowest and the highest value that can be: DESIGN 3, “a value that cannot be”."""
    entry = METRICS[metric]
    watts = rating.devices_w.get(vendor_device_id) if vendor_device_id else None
    watts = watts or rating.site_w
    if not entry.production or not watts:
        return -IMPOSSIBLE, IMPOSSIBLE
    most = watts if entry.kind is Kind.MEAN else watts * interval_s / 3600
    return -0.02 * most, 3 * most


def _why(value: float, low: float, high: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return "not a number"
    return f"below {low:.0f}" if value < low else f"above {high:.0f}"


def _offset_within_hour(instant: int, timezone: str | None) -> int:
    tz = clock.zone(timezone)
    if tz is None:
        return 0
    offset = dt.datetime.fromtimestamp(instant, tz).utcoffset()
    return int(offset.total_seconds()) % 3600 if offset else 0


def _covers(rows: Sequence[tuple[int, float]], length: int, day: Span) -> bool:
    return length == DAY_S or (length > 0 and len(rows) * length >= day.end - day.start)


def _summary(values: list[float], kind: Kind) -> tuple[float, ...]:
    if kind is Kind.SUM:
        return (math.fsum(values),)
    if kind is Kind.COUNTER:
        return (values[-1], min(values), max(values))
    return (math.fsum(values) / len(values), min(values), max(values))


def _fold(rows: Sequence[tuple[int, float]], kind: Kind, bucket: int, shift: int) -> Iterator[tuple[float, ...]]:
    start: int | None = None
    values: list[float] = []
    for timestamp, value in rows:
        begins = (timestamp + shift) // bucket * bucket - shift
        if begins != start:
            if start is not None:
                yield (float(start), *_summary(values, kind))
            start, values = begins, []
        values.append(value)
    if start is not None:
        yield (float(start), *_summary(values, kind))
