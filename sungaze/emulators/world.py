"""The world all emulators look at, computed from a seed for any moment of the past.

Truth is what was really produced; delays, rounding and refusals are the emulators' business. Power is the
mean AC power of a 5-minute interval in W, energy is Wh, an interval is named by its start in epoch seconds
(UTC), and a day is the site's local one (23 to 25 hours).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from threading import Lock
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from sungaze.emulators._hash import Floats, Ints, bits, units
from sungaze.emulators._plan import NEVER, SitePlan, plan_site
from sungaze.emulators._sky import plane_irradiance, sun_position, transmittance

__all__ = ["AWAKE_ELEVATION_DEG", "INTERVAL_S", "NEVER", "DayTruth", "SitePlan", "World"]

INTERVAL_S = 300
AWAKE_ELEVATION_DEG = -1.5
START_SHARE = 0.004
CACHE_BYTES = 96 * 1024 * 1024
SPAN_DAYS = 30

_T = TypeVar("_T")
SpanSums = Callable[[SitePlan, date, date], Floats]


@dataclass(frozen=True, slots=True, eq=False)
class DayTruth:
    """A site's local day: n intervals of 300 s (276, 288 or 300 in zones that shift by an hour).

    `start` (n) epoch seconds; `panel_w` (n, panels) mean AC W, NaN where nothing was measured (outage, not
    built yet, dead panel); `site_w` (n) their sum, NaN in an outage or before the site existed, 0 at night;
    `awake` (n) True while the sun stands high enough for an inverter to talk.
    """

    start: Ints
    panel_w: Floats
    site_w: Floats
    awake: npt.NDArray[np.bool_]

    @property
    def nbytes(self) -> int:
        """Return the memory this day holds."""
        return self.start.nbytes + self.panel_w.nbytes + self.site_w.nbytes + self.awake.nbytes


class _Cache(Generic[_T]):
    """Least-recently-used values, bounded by the bytes they hold."""

    def __init__(self, limit: int, size_of: Callable[[_T], int]) -> None:
        self._limit, self._size_of, self._held = limit, size_of, 0
        self._values: OrderedDict[Hashable, _T] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Hashable, compute: Callable[[], _T]) -> _T:
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = compute()
        with self._lock:
            if key not in self._values:
                self._values[key] = value
                self._held += self._size_of(value)
            while self._held > self._limit and len(self._values) > 1:
                self._held -= self._size_of(self._values.popitem(last=False)[1])
        return value


class World:
    """`sites` sites per vendor of about `panels` panels each, fixed by `seed`; safe to share among threads.

    Raises ValueError for fewer than one site or panel.
    """

    def __init__(self, seed: int = 1, sites: int = 4, panels: int = 20) -> None:
        if sites < 1 or panels < 1:
            raise ValueError("a world needs at least one site and one panel")
        self.seed = seed
        self.sites = sites
        self.panels = panels
        self._plans: dict[tuple[str, int], SitePlan] = {}
        self._days: _Cache[DayTruth] = _Cache(CACHE_BYTES, lambda day: day.nbytes)
        self._years: _Cache[Floats] = _Cache(CACHE_BYTES // 2, lambda year: year.nbytes)
        self._grid_years: _Cache[Floats] = _Cache(CACHE_BYTES // 16, lambda year: year.nbytes)

    def site(self, vendor: str, k: int) -> SitePlan:
        """Return site `k` of a vendor, also beyond `sites` (a site of somebody else's)."""
        if (vendor, k) not in self._plans:
            self._plans[vendor, k] = plan_site(self.seed, vendor, k, self.panels)
        return self._plans[vendor, k]

    def fleet(self, vendor: str) -> list[SitePlan]:
        """Return all sites of a vendor, in order."""
        return [self.site(vendor, k) for k in range(self.sites)]

    def day(self, plan: SitePlan, day: date) -> DayTruth:
        """Return what really happened on a local day."""
        return self._days.get((plan.key, day), lambda: self._measure(plan, day, day))

    def days(self, plan: SitePlan, start: int, end: int) -> list[DayTruth]:
        """Return the local days that touch [start, end), oldest first."""
        if end <= start:
            return []
        first, last = plan.local_date(start), plan.local_date(end - 1)
        return [self.day(plan, first + timedelta(days=n)) for n in range((last - first).days + 1)]

    def daily_wh(self, plan: SitePlan, first: date, last: date) -> Floats:
        """Return energy per local day and panel, Wh, shape (days, panels), both dates included.

        Days without any measurement are 0. Years are kept, so a lifetime is computed once.
        """
        return self._joined(plan, first, last, self._years, self._sum_span, plan.panels)

    def daily_grid_wh(self, plan: SitePlan, first: date, last: date) -> Floats:
        """Return (consumed, imported, exported) Wh per local day, shape (days, 3), both dates included.

        The balance is drawn per quarter-hour, as a meter does; outages are left out.
        """
        return self._joined(plan, first, last, self._grid_years, self._balance_span, 3)

    def load_w(self, plan: SitePlan, start: Ints) -> Floats:
        """Return what the building draws in each 300 s interval, mean W."""
        hour = (start / 3600.0 + plan.longitude / 15.0) % 24.0
        morning = np.exp(-(((hour - 7.5) / 1.4) ** 2))
        evening = np.exp(-(((hour - 19.5) / 2.3) ** 2))
        habit = 0.6 + 0.8 * units(bits(plan.key, "load day"), start // 86_400)
        flicker = units(bits(plan.key, "load"), start // 900)
        size = plan.peak_w / 8000.0
        load: Floats = size * habit * (220.0 + 160.0 * flicker + 900.0 * morning + 1500.0 * evening)
        return np.round(load, 3)

    def _joined(
        self, plan: SitePlan, first: date, last: date, cache: _Cache[Floats], sums: SpanSums, columns: int
    ) -> Floats:
        if last < first:
            return np.zeros((0, columns))
        years = [
            cache.get((plan.key, year), partial(_year_of, plan, year, sums, columns))
            for year in range(first.year, last.year + 1)
        ]
        skipped = (first - date(first.year, 1, 1)).days
        return np.concatenate(years)[skipped : skipped + (last - first).days + 1]

    def _sum_span(self, plan: SitePlan, first: date, last: date) -> Floats:
        midnights, start = _span(plan, first, last, INTERVAL_S)
        lit, panel_w, _ = self._produce(plan, start)
        day = np.searchsorted(np.asarray(midnights), start[lit], side="right") - 1
        sums = np.zeros((len(midnights) - 1, plan.panels))
        if len(day):
            present, rows = np.unique(day, return_index=True)
            sums[present] = np.add.reduceat(np.nan_to_num(panel_w), rows, axis=0) * (INTERVAL_S / 3600.0)
        return sums

    def _balance_span(self, plan: SitePlan, first: date, last: date) -> Floats:
        midnights, start = _span(plan, first, last, INTERVAL_S)
        lit, panel_w, _ = self._produce(plan, start)
        produced = np.zeros(len(start))
        produced[lit] = np.nansum(panel_w, axis=1)
        consumed = self.load_w(plan, start)
        measured = ~plan.is_out(start) & (start >= plan.installed_at)
        net = np.where(measured, consumed - produced, 0.0).reshape(-1, 3).sum(axis=1)
        use = np.where(measured, consumed, 0.0).reshape(-1, 3).sum(axis=1)
        rows = np.searchsorted(start[::3], np.asarray(midnights[:-1]))
        balance = np.stack((use, np.maximum(net, 0.0), np.maximum(-net, 0.0)), axis=1)
        return np.add.reduceat(balance, rows, axis=0) * (INTERVAL_S / 3600.0)

    def _measure(self, plan: SitePlan, first: date, last: date) -> DayTruth:
        start = np.arange(plan.midnight(first), plan.midnight(last + timedelta(days=1)), INTERVAL_S, dtype=np.int64)
        panel_w = np.zeros((len(start), plan.panels))
        lit, lit_w, awake = self._produce(plan, start)
        panel_w[lit] = lit_w
        missing = plan.is_out(start) | (start < plan.installed_at)
        panel_w[start[:, None] >= plan.dead_from[None, :]] = np.nan
        site_w = np.nansum(panel_w, axis=1)
        panel_w[missing] = np.nan
        site_w[missing] = np.nan
        for array in (start, panel_w, site_w, awake):
            array.setflags(write=False)
        return DayTruth(start, panel_w, site_w, awake)

    def _produce(self, plan: SitePlan, start: Ints) -> tuple[Ints, Floats, npt.NDArray[np.bool_]]:
        """Return (rows with the sun up, their panel W, awake per row); NaN where nothing was measured."""
        middle = start + INTERVAL_S // 2
        elevation, azimuth = sun_position(middle, plan.latitude, plan.longitude)
        awake = elevation > AWAKE_ELEVATION_DEG
        lit = np.flatnonzero(elevation > 0.0).astype(np.int64)
        if not len(lit):
            return lit, np.zeros((0, plan.panels)), awake
        start, middle, elevation, azimuth = start[lit], middle[lit], elevation[lit], azimuth[lit]
        clear = transmittance(self.seed, plan.latitude, plan.longitude, middle)
        plane = plane_irradiance(elevation, azimuth, clear, plan.tilt, plan.azimuth)
        cell_c = _ambient_c(plan, middle) + plane * (27.0 / 800.0)
        soiling = 1.0 - 0.0011 * ((middle // 86_400 + plan.key % 45) % plan.soil_days)
        share = plane / 1000.0 * (1.0 - 0.0037 * (cell_c - 25.0)) * soiling * 0.955
        panel_w = (share * plan.panel_peak_w)[:, None] * plan.gain
        self._spoil(plan, panel_w, start, elevation, azimuth)
        if plan.is_micro:
            np.minimum(panel_w, plan.limit_w, out=panel_w)
            panel_w[panel_w < START_SHARE * plan.panel_peak_w] = 0.0
        else:
            _clip_inverters(plan, panel_w)
        missing = plan.is_out(start) | (start < plan.installed_at)
        panel_w[missing] = np.nan
        return lit, panel_w, awake

    @staticmethod
    def _spoil(plan: SitePlan, panel_w: Floats, start: Ints, elevation: Floats, azimuth: Floats) -> None:
        for panel in np.flatnonzero(plan.shade_depth):
            aside = np.abs((azimuth - plan.shade_azimuth[panel] + 180.0) % 360.0 - 180.0)
            shadow = np.clip(1.3 - aside / plan.shade_width[panel], 0.0, 1.0)
            shadow *= np.clip((38.0 - elevation) / 12.0, 0.0, 1.0)
            panel_w[:, panel] *= 1.0 - plan.shade_depth[panel] * shadow
        if plan.weak_from <= start[-1]:
            panel_w[np.ix_(start >= plan.weak_from, plan.weak)] *= 0.72
        for panel in np.flatnonzero(plan.dead_from <= start[-1]):
            panel_w[start >= plan.dead_from[panel], panel] = 0.0


def _year_of(plan: SitePlan, year: int, sums: SpanSums, columns: int) -> Floats:
    """Return a calendar year's daily sums, a month or so at a time so that the work stays in the cache."""
    rows = np.zeros(((date(year + 1, 1, 1) - date(year, 1, 1)).days, columns))
    first = max(date(year, 1, 1), plan.installed_on)
    while first.year == year:
        last = min(first + timedelta(days=SPAN_DAYS - 1), date(year, 12, 31))
        row = (first - date(year, 1, 1)).days
        rows[row : row + (last - first).days + 1] = sums(plan, first, last)
        first = last + timedelta(days=1)
    return rows


def _span(plan: SitePlan, first: date, last: date, step_s: int) -> tuple[list[int], Ints]:
    midnights = [plan.midnight(first + timedelta(days=n)) for n in range((last - first).days + 2)]
    return midnights, np.arange(midnights[0], midnights[-1], step_s, dtype=np.int64)


def _ambient_c(plan: SitePlan, middle: Ints) -> Floats:
    season = np.cos(2.0 * np.pi * (middle / 86_400.0 - 201.0) / 365.25)
    season = season if plan.latitude >= 0 else -season
    hour = middle / 3600.0 + plan.longitude / 15.0
    afternoon = np.cos(2.0 * np.pi * (hour - 15.0) / 24.0)
    away = abs(plan.latitude)
    ambient: Floats = 28.0 - 0.38 * away + 0.24 * away * season + 4.5 * afternoon
    return ambient


def _clip_inverters(plan: SitePlan, panel_w: Floats) -> None:
    """Scale each inverter's panels down to its limit, and to nothing while it has too little to start."""
    for number, limit in enumerate(plan.limit_w):
        own = plan.inverter == number
        total = panel_w[:, own].sum(axis=1)
        factor = np.minimum(1.0, limit / np.maximum(total, 1e-9))
        factor[total < START_SHARE * limit] = 0.0
        panel_w[:, own] *= factor[:, None]
