"""One simulated site as its CPS gateway sees it: inverters with three DC inputs each, and a revenue meter."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple

import numpy as np

from sungaze.emulators._hash import Floats, bits
from sungaze.emulators.world import INTERVAL_S, DayTruth, SitePlan, World

INPUTS = 3
EFFICIENCY = 0.975
METER_UNIT = 30


class Moment(NamedTuple):
    """What one inverter measured in an interval of 300 s that begins at `start`: AC W, and V, A, W per input."""

    start: int
    ac_w: float
    today_wh: float
    lifetime_wh: float
    inputs: tuple[tuple[float, float, float], ...]
    awake: bool


def gateway_serial(plan: SitePlan) -> str:
    """Return the gateway's serial, unique in a world."""
    return f"EXGW{plan.k:05d}{bits(plan.key, 'gateway') % 10**6:06d}"


def site_id(plan: SitePlan) -> str:
    """Return the site's id."""
    return f"EX-SITE-{plan.k + 1}"


def inverter_serial(plan: SitePlan, number: int) -> str:
    """Return an inverter's 16 decimal digits, unique in a world."""
    return f"{1 + plan.k:05d}{number:03d}{bits(plan.key, 'inverter', number) % 10**8:08d}"


def meter_serial(plan: SitePlan) -> str:
    """Return the meter's serial."""
    return f"EXMETER{plan.k:04d}"


def model_of(plan: SitePlan) -> str:
    """Return the model of a site's inverters: one of CPS's real sizes, by the site."""
    return f"SCA{(25, 36, 50, 60)[plan.pick(0, 3, 'model')]}KTL-DO/US-480"


def fixed_zone(plan: SitePlan) -> str:
    """Return the gateway's zone as its app shows it: an offset that knows no summer."""
    winter = min(datetime(2026, month, 1, tzinfo=plan.zone).utcoffset() or timedelta(0) for month in (1, 7))
    minutes = int(winter.total_seconds() // 60)
    sign, hours, rest = "-" if minutes < 0 else "+", abs(minutes) // 60, abs(minutes) % 60
    return f"GMT {sign}{hours}" + (f":{rest:02d}" if rest else "")


class GatewayView:
    """A site's gateway over the world; every moment may be asked for, also one yet to come."""

    def __init__(self, world: World, plan: SitePlan) -> None:
        self.world = world
        self.plan = plan
        self.inverters = len(plan.limit_w)
        self.serials = [inverter_serial(plan, number) for number in range(self.inverters)]
        self._first_panel = np.flatnonzero(np.diff(plan.inverter, prepend=-1))
        self._own = [np.flatnonzero(plan.inverter == number) for number in range(self.inverters)]
        self._day: tuple[date, DayTruth, Floats, Floats, Floats] | None = None

    def moments(self, start: int) -> list[Moment] | None:
        """Return each inverter's interval that begins at `start` (a multiple of 300), None in an outage."""
        start = start // INTERVAL_S * INTERVAL_S
        if start < self.plan.installed_at:
            return None
        day = self.plan.local_date(start)
        known = self._day
        if known is None or known[0] != day:
            self._day = known = (day, *self._summed(day))
        _, truth, power, counted, before = known
        row = int(np.searchsorted(truth.start, start))
        if np.isnan(truth.site_w[row]):
            return None
        panels, watts, energy = np.nan_to_num(truth.panel_w[row]), power[row], counted[row]
        found = []
        for number in range(self.inverters):
            own = self._own[number]
            found.append(
                Moment(
                    start=start,
                    ac_w=float(watts[number]),
                    today_wh=float(energy[number]),
                    lifetime_wh=float(before[own].sum() + energy[number]),
                    inputs=tuple(
                        self._input(panels[part], number, n) for n, part in enumerate(np.array_split(own, INPUTS))
                    ),
                    awake=bool(truth.awake[row]),
                )
            )
        return found

    def _summed(self, day: date) -> tuple[DayTruth, Floats, Floats, Floats]:
        """Return a day's truth, W and Wh so far per interval and inverter, and Wh per panel before that day."""
        truth = self.world.day(self.plan, day)
        power = self.inverter_w(truth)
        counted: Floats = np.cumsum(power, axis=0) * (INTERVAL_S / 3600.0)
        before: Floats = self.world.daily_wh(self.plan, self.plan.installed_on, day - timedelta(days=1)).sum(axis=0)
        return truth, power, counted, before

    def inverter_w(self, day: DayTruth) -> Floats:
        """Return AC W per interval and inverter; 0 where nothing was measured."""
        watts: Floats = np.add.reduceat(np.nan_to_num(day.panel_w), self._first_panel, axis=1)
        return watts

    def _input(self, panel_w: Floats, number: int, place: int) -> tuple[float, float, float]:
        dc_w = float(panel_w.sum()) / EFFICIENCY
        volts = 690.0 + bits(self.plan.key, "string", number, place) % 400 / 10.0 if dc_w > 0 else 0.0
        return volts, dc_w / volts if volts else 0.0, dc_w
