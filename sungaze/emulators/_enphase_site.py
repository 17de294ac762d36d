"""One simulated site as Enphase's cloud knows it: what its gateway has uploaded by a given moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from sungaze.emulators._hash import Floats, Ints
from sungaze.emulators.world import INTERVAL_S, NEVER, DayTruth, SitePlan, World

FIRST_SYSTEM_ID = 7_100_000
SYSTEM_ID_STEP = 97
ETHERNET_UPLOAD_S = 900
CELLULAR_UPLOAD_S = 21_600
LOOK_BACK_DAYS = 8
GATEWAY_SILENT = 28
MICRO_SILENT = 114
WH = INTERVAL_S / 3600.0
ALIASES = {
    "America/Chicago": "US/Central",
    "America/New_York": "US/Eastern",
    "America/Denver": "US/Mountain",
    "America/Los_Angeles": "US/Pacific",
    "America/Phoenix": "US/Arizona",
    "Pacific/Honolulu": "US/Hawaii",
}
MICRO_MODELS = {
    0.76: ("IQ7PLUS-72-2-US", "IQ7+", "800-01135-r02"),
    0.80: ("IQ8PLUS-72-2-US", "IQ8+", "800-01736-r02"),
    0.84: ("IQ8M-72-2-US", "IQ8M", "800-01737-r02"),
}


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that went wrong: event type, the serial it concerns, from when to when (None: still)."""

    type_id: int
    serial: str
    start: int
    end: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Measured 5-minute intervals: start epochs (n), panel W (n, panels; NaN missing), site W (n)."""

    start: Ints
    panel_w: Floats
    site_w: Floats


def system_id_of(plan: SitePlan) -> int:
    """Return the system id of a site."""
    return FIRST_SYSTEM_ID + SYSTEM_ID_STEP * plan.k + plan.pick(0, SYSTEM_ID_STEP - 1, "system id")


def micro_serial(plan: SitePlan, panel: int) -> str:
    """Return the twelve-digit serial of a microinverter, unique in a world."""
    return f"5{plan.k:05d}{plan.pick(0, 99, 'micro'):02d}{panel:04d}"


def produced(days: list[DayTruth], start: int, end: int) -> Series:
    """Return the intervals wholly inside [start, end) in which the site produced anything at all.

    Microinverters are fed by their panel, so nothing is reported at night (vendors/enphase.md 3.4).
    """
    if not days:
        return Series(np.zeros(0, np.int64), np.zeros((0, 0)), np.zeros(0))
    starts = np.concatenate([day.start for day in days])
    site_w = np.concatenate([day.site_w for day in days])
    panel_w = np.concatenate([day.panel_w for day in days])
    kept = (starts >= start) & (starts + INTERVAL_S <= end) & (site_w > 0.0)
    return Series(starts[kept], panel_w[kept], site_w[kept])


class SystemView:
    """A site at the moment `now` (epoch seconds); everything it says has been uploaded by then."""

    def __init__(self, world: World, plan: SitePlan, now: float) -> None:
        self.world = world
        self.plan = plan
        self.now = now
        self.system_id = system_id_of(plan)
        self.uploaded_at, self.is_silent = self._last_upload()

    @property
    def is_cellular(self) -> bool:
        """Return True for the few sites whose gateway reports every six hours only."""
        return self.plan.k > 3 and self.plan.pick(0, 9, "cellular") == 0

    @property
    def has_meter(self) -> bool:
        """Return True where a production and a consumption meter are fitted."""
        return self.plan.k == 2 or self.plan.pick(0, 4, "meter") == 0

    @property
    def gateway_serial(self) -> str:
        """Return the gateway's serial."""
        return f"12{self.plan.k:06d}{self.plan.pick(0, 9999, 'gateway'):04d}"

    @property
    def first_device_id(self) -> int:
        """Return the numeric id from which this site's devices count."""
        return 1_180_000_000 + 10_000 * self.plan.k

    @property
    def timezone(self) -> str:
        """Return the zone, as an old alias on some sites (vendors/enphase.md 3.1)."""
        zone = self.plan.town.zone
        return ALIASES.get(zone, zone) if self.plan.k % 3 == 0 else zone

    @property
    def connection_type(self) -> str:
        """Return how the gateway is connected."""
        return "cellular" if self.is_cellular else ("ethernet", "Wi-Fi", "wifi")[self.plan.k % 3]

    @property
    def today(self) -> date:
        """Return the site's local date."""
        return self.plan.local_date(self.now)

    @property
    def dead(self) -> npt.NDArray[np.bool_]:
        """Return, per panel, whether its microinverter has gone silent for good."""
        result: npt.NDArray[np.bool_] = self.plan.dead_from <= self.now
        return result

    @property
    def status(self) -> str:
        """Return the system's status word (vendors/enphase.md 5)."""
        if self.is_silent:
            return "comm"
        return "micro" if self.dead.any() else "normal"

    def uploaded(self, start: int, end: int) -> Series:
        """Return the producing intervals inside [start, end) that the cloud already has."""
        end = min(end, self.uploaded_at)
        return produced(self.world.days(self.plan, start, end), start, end)

    def last_interval(self) -> tuple[Ints, Floats, float] | None:
        """Return (last interval end per panel, its W per panel, site W) of the newest one, or None.

        Looks back a week; a panel silent for longer has end 0.
        """
        for back in range(LOOK_BACK_DAYS):
            day = self.today - timedelta(days=back)
            if day < self.plan.installed_on:
                return None
            series = self.uploaded(self.plan.midnight(day), self.uploaded_at)
            if len(series.start):
                heard = ~np.isnan(series.panel_w)
                newest = len(heard) - 1 - np.argmax(heard[::-1], axis=0)
                ends = np.where(heard.any(axis=0), series.start[newest] + INTERVAL_S, 0)
                watts = np.nan_to_num(series.panel_w[-1])
                return ends, watts, float(series.site_w[-1])
        return None

    def last_energy_at(self) -> int | None:
        """Return the end of the newest producing interval."""
        newest = self.last_interval()
        return int(newest[0].max()) if newest else None

    def panel_wh(self, first: date, last: date) -> Floats:
        """Return uploaded energy per local day and panel, Wh, shape (days, panels)."""
        energy = self.world.daily_wh(self.plan, first, last).copy()
        for row in range(len(energy) - 1, -1, -1):
            day = first + timedelta(days=row)
            end = self.plan.midnight(day + timedelta(days=1))
            if end <= self.uploaded_at:
                break
            series = self.uploaded(self.plan.midnight(day), end)
            energy[row] = np.nan_to_num(series.panel_w).sum(axis=0) * WH if len(series.start) else 0.0
        return energy

    def day_wh(self, first: date, last: date) -> list[int]:
        """Return uploaded production per local day, whole Wh."""
        return [round(float(wh)) for wh in self.panel_wh(first, last).sum(axis=1)]

    def quarters(self, start: int, end: int) -> tuple[Ints, Floats, Floats]:
        """Return what the meters saw: (start epochs, produced Wh, consumed Wh) per uploaded 15 minutes.

        Meters run at night too, so zeros are there; an outage leaves its quarter-hours out.
        """
        end = min(end, self.uploaded_at)
        days = self.world.days(self.plan, start, end)
        if not days:
            return np.zeros(0, np.int64), np.zeros(0), np.zeros(0)
        starts = np.concatenate([day.start for day in days])
        site_w = np.concatenate([day.site_w for day in days])
        kept = (starts >= start) & (starts // 900 * 900 + 900 <= end) & ~np.isnan(site_w)
        starts, site_w = starts[kept], site_w[kept]
        quarter, rows = np.unique(starts // 900 * 900, return_index=True)
        if not len(quarter):
            return quarter, np.zeros(0), np.zeros(0)
        load_wh = np.add.reduceat(self.world.load_w(self.plan, starts), rows) * WH
        return quarter, np.add.reduceat(site_w, rows) * WH, load_wh

    def incidents(self) -> list[Incident]:
        """Return what has gone wrong within ten months, and what still does, oldest first."""
        found = [
            Incident(MICRO_SILENT, micro_serial(self.plan, int(panel)), int(self.plan.dead_from[panel]), None)
            for panel in np.flatnonzero(self.dead)
        ]
        since = max(self.plan.installed_at, int(self.now) - 300 * 86_400)
        for start, end in self.plan.gaps(since, int(self.now) + 1):
            closed = end if end <= self.now else None
            found.append(Incident(GATEWAY_SILENT, self.gateway_serial, start, closed))
        return sorted(found, key=lambda incident: incident.start)

    def dead_since(self, panel: int) -> int | None:
        """Return when a microinverter fell silent for good, or None."""
        moment = int(self.plan.dead_from[panel])
        return moment if moment < NEVER and moment <= self.now else None

    def _last_upload(self) -> tuple[int, bool]:
        period = CELLULAR_UPLOAD_S if self.is_cellular else ETHERNET_UPLOAD_S
        offset = self.plan.pick(20, period - 1, "upload")
        moment = int((self.now - offset) // period) * period + offset
        outages = self.plan.gaps(moment, moment + 1)
        if not outages:
            return moment, False
        start = outages[0][0]
        return int((start - offset) // period) * period + offset, True
