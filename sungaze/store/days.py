"""What each site gave on each local day, as rows: computed from its samples when the day is over, and again when they
change.

Which days are due is marked by `TimeSeries` as it writes, by instants; here they become days of the site's zone.
"""

from __future__ import annotations

import datetime as dt
import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec

from sungaze import clock
from sungaze.model import DAY_S, METRICS, SITE_DEVICE_ID, Kind, Role, Span
from sungaze.store.database import Database
from sungaze.store.fleet import Fleet, SiteRow
from sungaze.store.timeseries import SeriesKey, TimeSeries, covers

AT_ONCE: Final = 31
"""Days in one transaction, so that nobody waits long for a turn to write."""
MARGIN_S: Final = 3600
"""Inverters wake a while after sunrise and sleep before sunset: nothing is due in the first and the last hour."""

Rows = Sequence[tuple[int, float]]


class Curve(msgspec.Struct, frozen=True):
    """How a vendor tells a site's production: in which metrics, at which interval, and how often moments come."""

    power_metric: str
    energy_metric: str
    fine_s: int
    bucket_s: int


class SiteDay(msgspec.Struct, frozen=True):
    """What a site gave on a local day that is over; None is not known, never zero.

    `energy_wh` is the sum of the finest interval that covers the whole day, which is the vendor's own figure of the day
    (`energy_interval_s` 86400) where no shorter one does. `peak_w` is the highest power, `first_at` and `last_at` the
    instants at which the first producing interval began and the last one ended. `completeness` is the share of the
    samples that were due which are there, 0 to 1; None where none was due (polar night, a vendor without a curve).
    """

    site_id: int
    day: dt.date
    energy_wh: float | None
    energy_interval_s: int | None
    peak_w: float | None
    first_at: int | None
    last_at: int | None
    completeness: float | None


class FleetDay(msgspec.Struct, frozen=True):
    """What the fleet gave on a date, each site's own, with how many sites' figures are in it."""

    day: dt.date
    energy_wh: float
    sites: int


class Days:
    """The days of one store."""

    def __init__(self, database: Database, timeseries: TimeSeries, fleet: Fleet) -> None:
        self._db = database
        self._timeseries = timeseries
        self._fleet = fleet

    def due(self, now: float) -> list[SiteRow]:
        """The sites that have days to be computed which are over; none whose zone is not known."""
        marked: dict[int, int] = dict(self._db.rows("SELECT site_id, min(first) FROM site_day_due GROUP BY site_id"))
        if not marked:
            return []
        found = []
        for site in self._fleet.sites(marked, archived=True):
            tz = clock.zone(site.timezone)
            if tz is not None and marked[site.id] < clock.midnight(clock.day_of(now, tz), tz):
                found.append(site)
        return found

    def settle(self, site_id: int, curve: Curve, now: float) -> int:
        """The number of days that were computed of a site, the oldest that are due, at most AT_ONCE in a transaction.

        0 where nothing is due that is over. A day without samples has no row.
        """
        with self._db.transaction():
            site = next(iter(self._fleet.sites([site_id], archived=True)), None)
            tz = clock.zone(site.timezone) if site is not None else None
            if site is None or tz is None:
                return 0
            today = clock.day_of(now, tz)
            running = clock.midnight(today, tz)
            mark = self._db.row(
                "SELECT first, last FROM site_day_due WHERE site_id = ? AND first < ? ORDER BY first LIMIT 1",
                (site_id, running),
            )
            if mark is None:
                return 0
            first = clock.day_of(mark[0], tz)
            reach = Span(mark[0], min(mark[1] + 1, running, clock.midnight(first + dt.timedelta(days=AT_ONCE), tz)))
            days = clock.local_days(reach, tz)
            found = self._computed(site, curve, days)
            self._take_back(site_id, today, tz)
            self._db.executemany(
                "DELETE FROM site_day WHERE site_id = ? AND day = ?", [(site_id, d.isoformat()) for d, _ in days]
            )
            self._db.executemany(
                "INSERT INTO site_day (site_id, day, energy_wh, energy_interval_s, peak_w, first_at, last_at, "
                "completeness) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [(site_id, row.day.isoformat(), *msgspec.structs.astuple(row)[2:]) for row in found],
            )
            # Nothing is due before the oldest mark, so that all marks end or begin where this run ended.
            done = days[-1][1].end
            rest = self._db.scalar(
                "SELECT max(last) FROM site_day_due WHERE site_id = ? AND first < ? AND last >= ?",
                (site_id, done, done),
            )
            self._db.execute("DELETE FROM site_day_due WHERE site_id = ? AND first < ?", (site_id, done))
            if rest is not None:
                self._mark(site_id, done, rest)
        return len(days)

    def _take_back(self, site_id: int, today: dt.date, tz: dt.tzinfo) -> None:
        """Nothing of today and after is over: what was in another zone, or before the clock was set back, will be."""
        of_days = "FROM site_day WHERE site_id = ? AND day >= ?"
        latest = self._db.scalar(f"SELECT max(day) {of_days}", (site_id, today.isoformat()))
        if latest is not None:
            end = clock.midnight(dt.date.fromisoformat(latest) + dt.timedelta(days=1), tz)
            self._mark(site_id, clock.midnight(today, tz), end - 1)
            self._db.execute(f"DELETE {of_days}", (site_id, today.isoformat()))

    def _mark(self, site_id: int, first: int, last: int) -> None:
        self._db.execute(
            "INSERT INTO site_day_due (site_id, first, last) VALUES (?, ?, ?) "
            "ON CONFLICT (site_id, first) DO UPDATE SET last = max(last, excluded.last)",
            (site_id, first, last),
        )

    def of_site(self, site_id: int, first: dt.date, last: dt.date) -> list[SiteDay]:
        """The days of a site that have figures, `last` among them, oldest first."""
        found = self._db.rows(
            "SELECT site_id, day, energy_wh, energy_interval_s, peak_w, first_at, last_at, completeness FROM site_day "
            "WHERE site_id = ? AND day BETWEEN ? AND ? ORDER BY day",
            (site_id, first.isoformat(), last.isoformat()),
        )
        return [SiteDay(site, dt.date.fromisoformat(day), *rest) for site, day, *rest in found]

    def months(
        self, site: SiteRow, device_id: int, metric: str, span: Span, *, energy_metric: str
    ) -> list[tuple[float, ...]]:
        """A metric by the local months that a span touches, from the days that begin in the span.

        (start, sum, days known, days begun), or (start, mean of the days, min, max, days known, days begun); months
        without a known day are left out, and so are all while the zone is not known. The site's own energy comes from
        its days here, only a running day from the vendor's figure so far; anything else from its samples.
        """
        tz = clock.zone(site.timezone)
        days = [(day, whole) for day, whole in clock.local_days(span, tz) if span.start <= whole.start] if tz else []
        if not days or tz is None:
            return []
        known: dict[dt.date, tuple[float, ...]] = {}
        missing = Span(days[0][1].start, span.end)
        if device_id == SITE_DEVICE_ID and metric == energy_metric:
            kept = self.of_site(site.id, days[0][0], days[-1][0])
            known = {row.day: (row.energy_wh,) for row in kept if row.energy_wh is not None}
            missing = Span(days[-1][1].start, span.end if days[-1][0] not in known else days[-1][1].start)
        read = self._timeseries.read(site.id, device_id, metric, missing, resolution="1d", timezone=site.timezone)
        known |= {clock.day_of(start, tz): tuple(values) for start, *values in read.rows}
        found: list[tuple[float, ...]] = []
        for month, group in groupby((day for day, _ in days), lambda day: day.replace(day=1)):
            begun = list(group)
            there = [known[day] for day in begun if day in known]
            if there:
                start = float(clock.midnight(month, tz))
                found.append((start, *_of_days(there, METRICS[metric].kind), len(there), len(begun)))
        return found

    def of_fleet(self, first: dt.date, last: dt.date) -> list[FleetDay]:
        """The energy of all sites by local date, `last` among them, oldest first; dates without any are left out.

        A roof that two vendors see counts once, and archived sites do not.
        """
        left_out = self._db.rows(
            "SELECT id FROM site WHERE role = ? OR archived_at IS NOT NULL", (Role.SAME_GENERATION.value,)
        )
        but = f"AND site_id NOT IN ({','.join(str(i) for (i,) in left_out)}) " if left_out else ""
        found = self._db.rows(
            "SELECT day, sum(energy_wh), count(*) FROM site_day WHERE energy_wh IS NOT NULL AND day BETWEEN ? AND ? "
            f"{but}GROUP BY day ORDER BY day",
            (first.isoformat(), last.isoformat()),
        )
        return [FleetDay(dt.date.fromisoformat(day), energy, sites) for day, energy, sites in found]

    def _computed(self, site: SiteRow, curve: Curve, days: Sequence[tuple[dt.date, Span]]) -> list[SiteDay]:
        whole = Span(days[0][1].start, days[-1][1].end)
        power, energy = (
            {
                length: self._timeseries.raw(SeriesKey(site.id, SITE_DEVICE_ID, metric, length), whole)
                for length in self._timeseries.intervals(site.id, SITE_DEVICE_ID, metric)
            }
            for metric in (curve.power_metric, curve.energy_metric)
        )
        power.pop(DAY_S, None)
        found = [_figures(site, curve, day, span, _within(power, span), _within(energy, span)) for day, span in days]
        return [row for row in found if row is not None]


def stretch_due(
    day: Span, step_s: int, latitude: float | None, longitude: float | None, *, until: float = math.inf
) -> Span:
    """The stretch of a local day in which figures are due, on marks of the interval, and no later than `until`."""
    start, end = day.start, int(min(day.end, until))
    if latitude is not None and longitude is not None:
        middle = (day.start + day.end) // 2
        spans = clock.daylight_near(middle, latitude, longitude)
        sun = next((s for s in spans if s.start < day.end and day.start < s.end and s.start <= middle < s.end), None)
        if sun is None:
            return Span(day.start, day.start)
        # Under the midnight sun there is neither rise nor set to keep away from.
        start = max(start, sun.start + (MARGIN_S if sun.start > day.start else 0))
        end = min(end, sun.end - (MARGIN_S if sun.end < day.end else 0))
    start, end = -(-start // step_s) * step_s, end // step_s * step_s
    return Span(start, max(start, end))


def _within(by_length: Mapping[int, Rows], span: Span) -> dict[int, Rows]:
    """What starts in a span, by interval length, where there is any."""
    cut = {
        length: rows[bisect_left(rows, (span.start, -math.inf)) : bisect_left(rows, (span.end, -math.inf))]
        for length, rows in by_length.items()
    }
    return {length: rows for length, rows in cut.items() if rows}


def _of_days(days: Sequence[tuple[float, ...]], kind: Kind) -> tuple[float, ...]:
    if kind is Kind.SUM:
        return (math.fsum(value for (value,) in days),)
    middle = days[-1][0] if kind is Kind.COUNTER else math.fsum(day[0] for day in days) / len(days)
    return (middle, min(day[1] for day in days), max(day[2] for day in days))


def _figures(
    site: SiteRow, curve: Curve, day: dt.date, span: Span, power: Mapping[int, Rows], energy: Mapping[int, Rows]
) -> SiteDay | None:
    if not power and not energy:
        return None
    length = _covering(energy, span)
    total = None
    if length is not None:
        total = energy[length][-1][1] if length == DAY_S else math.fsum(v for _, v in energy[length])
    producing = [(t, t + length) for length, rows in power.items() for t, v in rows if v > 0]
    return SiteDay(
        site_id=site.id,
        day=day,
        energy_wh=total,
        energy_interval_s=length,
        peak_w=max((v for rows in power.values() for _, v in rows), default=None),
        first_at=min((start for start, _ in producing), default=None),
        last_at=max((end for _, end in producing), default=None),
        completeness=_completeness(site, curve, span, power),
    )


def _covering(energy: Mapping[int, Rows], span: Span) -> int | None:
    """The finest interval whose energies are the whole day's; the vendor's own figure of the day is the longest."""
    return min((length for length, rows in energy.items() if covers(len(rows), length, span)), default=None)


def _completeness(site: SiteRow, curve: Curve, span: Span, power: Mapping[int, Rows]) -> float | None:
    """By the finest interval that the day has; a coarser one (a gateway that was away) covers the finer of its time."""
    step = min((length for length in power if length), default=curve.bucket_s if power else curve.fine_s)
    if not step:
        return None
    due = stretch_due(span, step, site.latitude, site.longitude)
    slots = (due.end - due.start) // step
    if not slots:
        return None
    there: set[int] = set()
    for length, rows in power.items():
        if length <= step:
            there.update((t - due.start) // step for t, _ in rows)
        else:
            for t, _ in rows:
                there.update(range((t - due.start) // step, -(-(t + length - due.start) // step)))
    return sum(1 for slot in there if 0 <= slot < slots) / slots
