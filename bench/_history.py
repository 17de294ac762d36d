"""Histories to store: the same samples each time, as vendors give them, from a seed. Whole and final values are known.

Made with numpy only, and of nothing of ours but the names of metrics, so that every store gets the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

START: Final = int(dt.datetime(2025, 4, 15, tzinfo=dt.UTC).timestamp())
"""In the past, because VictoriaMetrics refuses what lies in the future."""
DAY_S: Final = 86_400
STEP_S: Final = 300
LATITUDE: Final = 48.0
"""All roofs stand near Greenwich's meridian, so that a day of UTC holds their whole daylight."""
PANEL_W: Final = 400.0
MISSING: Final = 0.02
LATE: Final = 0.03


class Series(NamedTuple):
    """Samples of one series, oldest first; device 0 is the site. An interval of 0 is a moment."""

    site: int
    device: int
    metric: str
    interval_s: int
    timestamps: Ints
    values: Floats

    def cut(self, start: int, end: int) -> Series:
        """What starts between two instants."""
        first, last = np.searchsorted(self.timestamps, (start, end))
        return self._replace(timestamps=self.timestamps[first:last], values=self.values[first:last])


class SiteHistory(NamedTuple):
    """A site's samples as they first came, and those that came again later with another value."""

    site: int
    vendor: str
    series: list[Series]
    late: list[Series]

    def days(self) -> Iterator[list[Series]]:
        """The samples in the order in which they come: day by day, all series of the site together."""
        first = min(int(one.timestamps[0]) for one in self.series) // DAY_S
        last = max(int(one.timestamps[-1]) for one in self.series) // DAY_S
        for day in range(first, last + 1):
            cut = [one.cut(day * DAY_S, (day + 1) * DAY_S) for one in self.series]
            there = [one for one in cut if len(one.timestamps)]
            if there:
                yield there

    def final(self) -> list[Series]:
        """The samples as they stand in the end."""
        newer = {(one.device, one.metric, one.interval_s): one for one in self.late}
        found = []
        for one in self.series:
            late = newer.get((one.device, one.metric, one.interval_s))
            if late is not None:
                values = one.values.copy()
                values[np.searchsorted(one.timestamps, late.timestamps)] = late.values
                one = one._replace(values=values)
            found.append(one)
        return found


def samples(sites: list[SiteHistory]) -> int:
    """How many samples there are in the end."""
    return sum(len(one.timestamps) for site in sites for one in site.series)


def panels(
    noise: float, *, sites: int = 20, panels: int = 20, days: int = 90, first_site: int = 1, from_day: int = 0
) -> list[SiteHistory]:
    """Data A: whole watts of panels each five minutes, by day only, under clouds that a site's panels share.

    Each panel has its own scale, and each sample a `noise` of its own, as a share of its value.
    """
    found = []
    times, sun = daylight(days, from_day)
    for site in range(first_site, first_site + sites):
        scales = np.random.default_rng((7, site)).uniform(0.93, 1.02, panels)
        random = np.random.default_rng((7, site, from_day))
        shared = PANEL_W * sun * clouds(random, times)
        rows = []
        for panel in range(1, panels + 1):
            curve = shared * scales[panel - 1] * (1 + noise * random.standard_normal(len(times)))
            rows.append(Series(site, panel, "ac_power_w", STEP_S, times, np.maximum(0.0, np.round(curve))))
        found.append(SiteHistory(site, "enphase", rows, []))
    return found


def vendors(*, sites: int = 4, panels: int = 20, days: int = 90) -> list[SiteHistory]:
    """Data B: as the five vendors give them, `sites` of each, with gaps, and three in a hundred values that come again.

    Enphase and Tigo by panel, SolarEdge and Generac by site, CPS by inverter with its counters and string currents.
    """
    makers: list[tuple[str, Callable[[_Roof], None]]] = [
        ("enphase", _enphase), ("solaredge", _solaredge), ("tigo", _tigo), ("generac", _generac), ("cps", _cps),
    ]  # fmt: skip
    found = []
    for number, (vendor, make) in enumerate(makers):
        for k in range(sites):
            roof = _Roof(1 + number * sites + k, panels, days)
            make(roof)
            found.append(SiteHistory(roof.site, vendor, roof.series, roof.late))
    return found


def daylight(days: int, from_day: int = 0) -> tuple[Ints, Floats]:
    """Each five minutes of sun, and the share of a clear noon's power in it."""
    times = START + from_day * DAY_S + STEP_S * np.arange(days * DAY_S // STEP_S, dtype=np.int64)
    day_of_year = (times // DAY_S - START // DAY_S + 105) % 365
    tilt = np.radians(-23.44) * np.cos(2 * np.pi * (day_of_year + 10) / 365)
    hour = 2 * np.pi * ((times % DAY_S) / DAY_S - 0.5)
    here = np.radians(LATITUDE)
    height = np.sin(here) * np.sin(tilt) + np.cos(here) * np.cos(tilt) * np.cos(hour)
    lit = height > 0
    return times[lit], np.power(height[lit], 1.15)


def clouds(random: np.random.Generator, times: Ints) -> Floats:
    """The share of the clear sky's power that the clouds leave: clear days, overcast ones, and broken skies."""
    _, day = np.unique(times // DAY_S, return_inverse=True)
    count = int(day.max()) + 1
    cover = random.choice([0.02, 0.25, 0.7], size=count, p=[0.45, 0.35, 0.2])
    restless = random.choice([0.01, 0.25, 0.1], size=count, p=[0.5, 0.35, 0.15])
    shocks = random.standard_normal(len(times))
    wander = np.empty(len(times))
    level = 0.0
    for k, shock in enumerate(shocks):
        level = 0.85 * level + 0.53 * float(shock)
        wander[k] = level
    left: Floats = np.clip(1 - cover[day] + restless[day] * wander, 0.03, 1.05)
    return left


class _Roof:
    """A site while its series are made."""

    def __init__(self, site: int, panels: int, days: int) -> None:
        self.site = site
        self.panels = panels
        self.random = np.random.default_rng((11, site))
        self.times, sun = daylight(days)
        self.share = sun * clouds(self.random, self.times)
        self.series: list[Series] = []
        self.late: list[Series] = []
        gone = self.random.choice(days, size=max(1, days // 45), replace=False)
        hours = self.random.choice(days * 24, size=max(1, days // 3), replace=False)
        day, hour = (self.times - START) // DAY_S, (self.times - START) // 3600
        self.there = ~(np.isin(day, gone) | np.isin(hour, hours))

    def curve(self, watts: float, noise: float) -> Floats:
        """A part of the roof with a scale and a noise of its own."""
        random = self.random
        made: Floats = (
            watts * self.share * random.uniform(0.93, 1.02) * (1 + noise * random.standard_normal(len(self.times)))
        )
        return np.maximum(0.0, made)

    def heard(self) -> NDArray[np.bool_]:
        """Which of its five minutes come from a device: all of a message's values are there, or none."""
        kept: NDArray[np.bool_] = self.there & (self.random.random(len(self.times)) >= MISSING)
        return kept

    def put(
        self,
        device: int,
        metric: str,
        interval_s: int,
        times: Ints,
        values: Floats,
        *,
        decimals: int,
        late: bool = True,
    ) -> None:
        """Keep a series; some of its values come first as another one, and again later as they are."""
        final = np.round(values, decimals)
        first = final.copy()
        if late:
            again = self.random.random(len(times)) < LATE
            first[again] = np.round(final[again] * 0.9, decimals)
            again &= first != final
            if again.any():
                self.late.append(Series(self.site, device, metric, interval_s, times[again], final[again]))
        self.series.append(Series(self.site, device, metric, interval_s, times, first))


def _enphase(roof: _Roof) -> None:
    for panel in range(1, roof.panels + 1):
        power, heard = roof.curve(PANEL_W, 0.02), roof.heard()
        roof.put(panel, "ac_power_w", STEP_S, roof.times[heard], power[heard], decimals=0)
        roof.put(panel, "energy_wh", STEP_S, roof.times[heard], power[heard] * STEP_S / 3600, decimals=0)


def _solaredge(roof: _Roof) -> None:
    power = roof.curve(PANEL_W * roof.panels, 0.01)
    quarters, where = np.unique(roof.times // 900 * 900, return_inverse=True)
    means = np.bincount(where, power) / np.bincount(where)
    heard = np.bincount(where, roof.there) > 0
    roof.put(0, "ac_power_w", 900, quarters[heard], means[heard], decimals=4)
    roof.put(0, "energy_wh", 900, quarters[heard], means[heard] / 4, decimals=0)


def _tigo(roof: _Roof) -> None:
    for panel in range(1, roof.panels + 1):
        heard = roof.heard()
        roof.put(panel, "dc_power_w", STEP_S, roof.times[heard], roof.curve(PANEL_W, 0.02)[heard], decimals=1)


def _generac(roof: _Roof) -> None:
    heard = roof.heard()
    power = roof.curve(PANEL_W * roof.panels, 0.01)[heard]
    roof.put(0, "dc_power_w", STEP_S, roof.times[heard], power, decimals=2)
    roof.put(0, "dc_energy_wh", STEP_S, roof.times[heard], power * STEP_S / 3600, decimals=3)


def _cps(roof: _Roof) -> None:
    strings = 8
    for inverter in (1, 2):
        power, heard = roof.curve(50_000.0, 0.005), roof.heard()
        times = roof.times[heard]
        roof.put(inverter, "ac_power_w", STEP_S, times, power[heard], decimals=0)
        counter = 1e6 * inverter + np.cumsum(power) * STEP_S / 3600
        # Told in tenths of a kilowatt-hour, kept in Wh; it only rises, so that none of it comes again.
        roof.put(inverter, "energy_lifetime_wh", 0, times, counter[heard], decimals=-2, late=False)
        for string in range(strings):
            current = power / 50_000.0 * 11.0 * roof.random.uniform(0.95, 1.02)
            current *= 1 + 0.01 * roof.random.standard_normal(len(current))
            device = 10 * inverter + string
            roof.put(device, "dc_current_a", STEP_S, times, current[heard], decimals=2)
