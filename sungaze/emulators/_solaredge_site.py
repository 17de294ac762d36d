"""One simulated site as SolarEdge's cloud knows it: quarter-hours, aggregated by a given moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt

from sungaze.emulators._hash import Floats, Ints, bits, units
from sungaze.emulators._service import TruthRow
from sungaze.emulators.world import INTERVAL_S, DayTruth, SitePlan, World

Resolution = Literal["QUARTER_HOUR", "HOUR", "DAY", "WEEK", "MONTH", "YEAR", "TOTAL"]

FIRST_SITE_ID = 5_500_000
SITE_ID_STEP = 89
QUARTER_S = 900
AGGREGATION_S = 90
ALERTS_KEPT_S = 200 * 86_400


@dataclass(frozen=True, slots=True, eq=False)
class Quarters:
    """Quarter-hours: start epochs (q), energy per inverter Wh (q, inverters), mean power W (q, inverters).

    Rows are NaN where nothing was measured: outage, not built yet, or inverters asleep.
    """

    start: Ints
    energy_wh: Floats
    power_w: Floats


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert: type, impact 0..9, its component's name and serial, from when to when (None: still)."""

    alert_id: int
    kind: str
    impact: int
    component: tuple[str, str] | None
    start: int
    end: int | None


def site_id_of(plan: SitePlan) -> int:
    """Return the site id."""
    return FIRST_SITE_ID + SITE_ID_STEP * plan.k + plan.pick(0, SITE_ID_STEP - 1, "site id")


def inverter_serial(plan: SitePlan, number: int) -> str:
    """Return an inverter's serial, unique in a world."""
    body = f"7F{plan.k:03X}{number:03X}"
    return f"{body}-{bits(body) % 256:02X}"


def optimizer_serial(plan: SitePlan, panel: int) -> str:
    """Return a power optimizer's serial, unique in a world."""
    body = f"2{plan.k:03X}{panel:04X}"
    return f"{body}-{bits(body) % 256:02X}"


def quarters_of(plan: SitePlan, days: list[DayTruth]) -> Quarters:
    """Return the quarter-hours of whole days.

    Power is metered apart from energy: it differs from Wh·4 by 1.1 to 2.6 %, as in most quarter-hours of a
    live day (vendors/solaredge.md 5).
    """
    inverters = len(plan.limit_w)
    if not days:
        return Quarters(np.zeros(0, np.int64), np.zeros((0, inverters)), np.zeros((0, inverters)))
    start = np.concatenate([day.start for day in days])[::3]
    panel_w = np.nan_to_num(np.concatenate([day.panel_w for day in days]))
    rows = np.flatnonzero(np.diff(plan.inverter, prepend=-1))
    energy = np.add.reduceat(panel_w, rows, axis=1).reshape(-1, 3, inverters).sum(axis=1)
    energy *= INTERVAL_S / 3600.0
    site_w = np.concatenate([day.site_w for day in days]).reshape(-1, 3)
    awake = np.concatenate([day.awake for day in days]).reshape(-1, 3)
    energy[np.isnan(site_w).any(axis=1) | ~awake.any(axis=1)] = np.nan
    sign = np.where(units(bits(plan.key, "metering sign"), start) < 0.5, -1.0, 1.0)
    factor = 1.0 + sign * (0.011 + 0.015 * units(bits(plan.key, "metering"), start))
    return Quarters(start, energy, energy * 4.0 * factor[:, None])


class PlantView:
    """A site at the moment `now` (epoch seconds)."""

    def __init__(self, world: World, plan: SitePlan, now: float) -> None:
        self.world = world
        self.plan = plan
        self.now = now
        self.site_id = site_id_of(plan)
        self.closed_until = int((now - AGGREGATION_S) // QUARTER_S) * QUARTER_S

    @property
    def has_meter(self) -> bool:
        """Return True where an import/export meter is fitted."""
        return self.plan.k == 2 or self.plan.pick(0, 4, "meter") == 0

    @property
    def meter_serial(self) -> str:
        """Return the meter's serial."""
        return f"6{self.plan.k:04X}B22-01"

    @property
    def last_update_at(self) -> int:
        """Return when the site last reported: a quarter-hour's close, or where the running outage began."""
        outages = self.plan.gaps(int(self.now), int(self.now) + 1)
        return outages[0][0] if outages else max(self.closed_until + AGGREGATION_S, self.plan.installed_at)

    def iso(self, epoch_s: float) -> str:
        """Return a moment in site time with its offset."""
        return datetime.fromtimestamp(epoch_s, self.plan.zone).isoformat()

    def quarters(self, start: int, end: int) -> Quarters:
        """Return the closed quarter-hours that begin inside [start, end)."""
        end = min(end, self.closed_until)
        every = quarters_of(self.plan, self.world.days(self.plan, start, end))
        kept = (every.start >= start) & (every.start < end)
        return Quarters(every.start[kept], every.energy_wh[kept], every.power_w[kept])

    def load_wh(self, start: Ints) -> Floats:
        """Return what the building draws in each quarter-hour, Wh."""
        load = [self.world.load_w(self.plan, start + n * INTERVAL_S) for n in range(3)]
        total: Floats = (load[0] + load[1] + load[2]) * (INTERVAL_S / 3600.0)
        return total

    def energy_wh(self, start: int, end: int) -> float | None:
        """Return the energy of the closed quarter-hours inside [start, end), None when none was measured.

        Whole days come from the daily sums, so that a lifetime is affordable.
        """
        start, end = max(start, self.plan.installed_at), min(end, self.closed_until)
        if end <= start:
            return None
        first = self.plan.local_date(start)
        if self.plan.midnight(first) < start:
            first += timedelta(days=1)
        after = self.plan.local_date(end)
        whole, rest = self.plan.midnight(first), self.plan.midnight(after)
        if after <= first:
            return _measured_sum(self.quarters(start, end).energy_wh)
        parts = [float(self.world.daily_wh(self.plan, first, after - timedelta(days=1)).sum())]
        for a, b in ((start, whole), (rest, end)):
            parts.append(_measured_sum(self.quarters(a, b).energy_wh) or 0.0)
        if after - first <= timedelta(days=1) and not parts[0]:
            return _measured_sum(self.quarters(start, end).energy_wh)
        return sum(parts)

    def buckets(self, start: int, end: int, resolution: Resolution) -> list[tuple[int, int]]:
        """Return the (start, end) epochs of the buckets that touch [start, end), in site time.

        A bucket begins where its quarter-hour, hour, day, Monday, month or year does, even before `start`
        [assumed]; TOTAL is one bucket that begins at `start`.
        """
        if resolution == "TOTAL":
            return [(start, end)]
        if resolution in ("QUARTER_HOUR", "HOUR"):
            step = QUARTER_S if resolution == "QUARTER_HOUR" else 3600
            moment = datetime.fromtimestamp(start, self.plan.zone)
            offset = moment.utcoffset() or timedelta(0)
            shift = int(offset.total_seconds())
            first = (start + shift) // step * step - shift
            return [(at, at + step) for at in range(first, end, step)]
        day = self.plan.local_date(start)
        if resolution == "WEEK":
            day -= timedelta(days=day.weekday())
        elif resolution == "MONTH":
            day = day.replace(day=1)
        elif resolution == "YEAR":
            day = day.replace(month=1, day=1)
        found: list[tuple[int, int]] = []
        while self.plan.midnight(day) < end:
            after = next_period(day, resolution)
            found.append((self.plan.midnight(day), self.plan.midnight(after)))
            day = after
        return found

    def alerts(self) -> list[Alert]:
        """Return the site's alerts, newest first: dead panels, a weak string, outages of half a year."""
        plan = self.plan
        found: list[Alert] = []
        for panel in np.flatnonzero(plan.dead_from <= self.now).tolist():
            component = (f"Optimizer {panel + 1}", optimizer_serial(plan, panel))
            found.append(self._alert("PANEL_COMMUNICATION_FAULT", 3, component, int(plan.dead_from[panel]), None))
        if plan.weak_from <= self.now:
            component = ("Inverter 1", inverter_serial(plan, 0))
            found.append(self._alert("INVERTER_BELOW_THRESHOLD_LIMIT", 4, component, plan.weak_from, None))
        since = max(plan.installed_at, int(self.now) - ALERTS_KEPT_S)
        for start, end in plan.gaps(since, int(self.now) + 1):
            closed = end if end <= self.now else None
            found.append(self._alert("SITE_COMMUNICATION_FAULT", 9, None, start, closed))
        return sorted(found, key=lambda alert: alert.start, reverse=True)

    def _alert(self, kind: str, impact: int, component: tuple[str, str] | None, start: int, end: int | None) -> Alert:
        number = 700_000_000 + bits(self.plan.key, "alert", kind, start) % 90_000_000
        return Alert(number, kind, impact, component, start, end)


def true_rows(world: World, k: int, start: int, end: int) -> Iterator[TruthRow]:
    """Yield 900 s rows of the site and each inverter, and 86400 s rows of the site."""
    plan = world.site("solaredge", k)
    site = str(site_id_of(plan))
    serials = [inverter_serial(plan, number) for number in range(len(plan.limit_w))]
    start = max(start, plan.installed_at)
    if end <= start:
        return
    day, last = plan.local_date(start), plan.local_date(end - 1)
    while day <= last:
        quarters = quarters_of(plan, [world.day(plan, day)])
        measured = ~np.isnan(quarters.energy_wh[:, 0])
        inside = measured & (quarters.start >= start) & (quarters.start + QUARTER_S <= end)
        for row in np.flatnonzero(inside).tolist():
            at = int(quarters.start[row])
            watts, energy = quarters.power_w[row].tolist(), quarters.energy_wh[row].tolist()
            for device, w, wh in (
                ("", sum(watts), sum(energy)),
                *zip(serials, watts, energy, strict=True),
            ):
                yield TruthRow(site, device, "ac_power_w", QUARTER_S, at, w)
                yield TruthRow(site, device, "energy_wh", QUARTER_S, at, wh)
        midnight, after = plan.midnight(day), plan.midnight(day + timedelta(days=1))
        if midnight >= start and after <= end and measured.any():
            total = float(np.nansum(quarters.energy_wh))
            yield TruthRow(site, "", "energy_wh", 86_400, midnight, total)
        day += timedelta(days=1)


def next_period(day: date, resolution: str) -> date:
    """Return the date at which the day, week, month or year that begins on `day` ends."""
    if resolution == "DAY":
        return day + timedelta(days=1)
    if resolution == "WEEK":
        return day + timedelta(days=7)
    if resolution == "MONTH":
        return date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return date(day.year + 1, 1, 1)


def zulu(epoch_s: float) -> str:
    """Return a moment as UTC with Z."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _measured_sum(values: Floats) -> float | None:
    measured: npt.NDArray[np.bool_] = ~np.isnan(values)
    return float(values[measured].sum()) if measured.any() else None
