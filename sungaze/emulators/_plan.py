"""What stands at a simulated site: its place, its panels, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from sungaze.emulators._hash import Floats, Ints, between, bits, hexadecimal, unit, units
from sungaze.emulators._towns import BUILDINGS, OWNERS, STREETS, TOWNS, Town

MICROINVERTER_VENDORS = frozenset({"enphase"})
NEVER = 1 << 62
LARGEST_INVERTER_PANELS = 26
GAP_BLOCK_S = 8 * 86_400
MODULES_W = (365, 385, 400, 410, 425, 440)
SAME_ROOF = {("tigo", 2): ("cps", 2)}
"""Sites that are another vendor's view of the same panels: Tigo's optimizers before a CPS inverter."""
NEXT_TO = {("enphase", 5): ("solaredge", 5)}
"""Sites that are a second array at another vendor's address."""


@dataclass(frozen=True, slots=True, eq=False)
class SitePlan:
    """One site as it was built; a function of (seed, vendor, k) and of the number of panels asked for.

    Epoch seconds are UTC. `gain`, `shade_*`, `dead_from`, `weak` and `inverter` hold one entry per panel:
    relative output, the shade's centre azimuth, half width (degrees) and depth (0..1), the epoch from which
    the panel reports nothing (NEVER when healthy), whether it belongs to the weak string, and the index of
    its inverter (with microinverters the panel's own index). `limit_w` holds one entry per inverter, AC W.
    """

    vendor: str
    k: int
    key: int
    name: str
    street: str
    town: Town
    zone: ZoneInfo
    latitude: float
    longitude: float
    tilt: int
    azimuth: int
    panel_peak_w: int
    installed_on: date
    installed_at: int
    gain: Floats
    shade_azimuth: Floats
    shade_width: Floats
    shade_depth: Floats
    dead_from: Ints
    weak: npt.NDArray[np.bool_]
    weak_from: int
    inverter: Ints
    limit_w: Floats
    soil_days: int

    @property
    def panels(self) -> int:
        """Return the number of panels."""
        return len(self.gain)

    @property
    def peak_w(self) -> int:
        """Return the site's DC peak power in W."""
        return self.panels * self.panel_peak_w

    @property
    def is_micro(self) -> bool:
        """Return True when every panel has its own inverter."""
        return self.vendor in MICROINVERTER_VENDORS

    def hex(self, length: int, *what: int | str) -> str:
        """Return hex digits that belong to this site and to `what`."""
        return hexadecimal(length, self.key, *what)

    def pick(self, low: int, high: int, *what: int | str) -> int:
        """Return an integer of low..high fixed by this site and `what`."""
        return between(low, high, self.key, *what)

    def midnight(self, day: date) -> int:
        """Return the epoch second at which the local `day` begins."""
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp())

    def local_date(self, epoch_s: float) -> date:
        """Return the local date at an epoch second."""
        return datetime.fromtimestamp(epoch_s, self.zone).date()

    def gaps(self, start: int, end: int) -> list[tuple[int, int]]:
        """Return the outages that touch [start, end), as (start, end) epochs, oldest first.

        An outage is a time in which the site measured nothing that anyone will ever see.
        """
        if end <= start:
            return []
        blocks = np.arange(start // GAP_BLOCK_S, (end - 1) // GAP_BLOCK_S + 1, dtype=np.int64)
        begins, ends = self._outages(blocks)
        touching = (begins < ends) & (begins < end) & (ends > start) & (begins >= self.installed_at)
        return [(int(a), int(b)) for a, b in zip(begins[touching], ends[touching], strict=True)]

    def is_out(self, start: Ints) -> npt.NDArray[np.bool_]:
        """Return, per interval start, whether the site was silent then."""
        first = int(start[0]) // GAP_BLOCK_S
        begins, ends = self._outages(np.arange(first, int(start[-1]) // GAP_BLOCK_S + 1, dtype=np.int64))
        block = start // GAP_BLOCK_S - first
        out: npt.NDArray[np.bool_] = (
            (start >= begins[block]) & (start < ends[block]) & (begins[block] >= self.installed_at)
        )
        return out

    def _outages(self, blocks: Ints) -> tuple[Ints, Ints]:
        luck = units(bits(self.key, "gap"), blocks)
        length = 900 * (8 + (units(bits(self.key, "gap length"), blocks) * 13).astype(np.int64))
        room = (GAP_BLOCK_S - length) // 900
        offset = (units(bits(self.key, "gap start"), blocks) * room).astype(np.int64) * 900
        begins = blocks * GAP_BLOCK_S + offset
        return begins, np.where(luck < 0.12, begins + length, begins)


def plan_site(seed: int, vendor: str, k: int, panels: int) -> SitePlan:
    """Return site `k` of a vendor; `panels` is the typical number, which site 0 has exactly."""
    if (vendor, k) in SAME_ROOF:
        return replace(plan_site(seed, *SAME_ROOF[vendor, k], panels), vendor=vendor)
    plan = _own_site(seed, vendor, k, panels)
    if (vendor, k) in NEXT_TO:
        beside = _own_site(seed, *NEXT_TO[vendor, k], panels)
        plan = replace(
            plan, name=beside.name, street=beside.street, latitude=beside.latitude, longitude=beside.longitude
        )
    return plan


def _own_site(seed: int, vendor: str, k: int, panels: int) -> SitePlan:
    key = bits(seed, vendor, k)
    town = TOWNS[k % len(TOWNS)]
    zone = ZoneInfo(town.zone)
    spread = 0.12 if k < len(TOWNS) else 0.6
    latitude = round(town.latitude + spread * (2.0 * unit(key, "lat") - 1.0), 5)
    longitude = round(town.longitude + spread * (2.0 * unit(key, "lon") - 1.0), 5)
    swing = min(4, panels // 4) if k else 0
    count = max(1, panels + between(-swing, swing, key, "panels"))
    installed_on = date(2019, 1, 1) + timedelta(days=between(0, 2190, key, "installed"))
    installed_at = int(datetime(installed_on.year, installed_on.month, installed_on.day, tzinfo=zone).timestamp())
    toward_equator = 180 if latitude >= 0 else 0
    owner = OWNERS[bits(key, "owner") % len(OWNERS)]
    building = BUILDINGS[bits(key, "building") % len(BUILDINGS)]
    street_owner = OWNERS[bits(key, "street") % len(OWNERS)]
    peak = MODULES_W[bits(key, "module") % len(MODULES_W)]
    numbers = np.arange(count, dtype=np.int64)
    spread_share = 0.01 + 0.03 * unit(key, "mismatch")
    bell = np.sum([units(bits(key, "gain", n), numbers) for n in range(4)], axis=0) - 2.0
    shaded = units(bits(key, "shaded"), numbers) < 0.35 * unit(key, "trees")
    dead_from, weak, weak_from = _ailments(seed, vendor, k, key, count, installed_at)
    inverter, limit_w = _inverters(vendor in MICROINVERTER_VENDORS, key, count, peak)
    return SitePlan(
        vendor=vendor,
        k=k,
        key=key,
        name=f"{owner} {building}",
        street=f"{between(2, 198, key, 'house')} {street_owner} {STREETS[bits(key, 'kind') % len(STREETS)]}",
        town=town,
        zone=zone,
        latitude=latitude,
        longitude=longitude,
        tilt=between(8, 40, key, "tilt"),
        azimuth=(toward_equator + between(-70, 70, key, "facing")) % 360,
        panel_peak_w=peak,
        installed_on=installed_on,
        installed_at=installed_at,
        gain=1.0 + spread_share * bell,
        shade_azimuth=60.0 + 240.0 * units(bits(key, "shade azimuth"), numbers // 3),
        shade_width=10.0 + 25.0 * units(bits(key, "shade width"), numbers),
        shade_depth=np.where(shaded, 0.35 + 0.5 * units(bits(key, "shade depth"), numbers), 0.0),
        dead_from=dead_from,
        weak=weak,
        weak_from=weak_from,
        inverter=inverter,
        limit_w=limit_w,
        soil_days=between(18, 45, key, "soil"),
    )


def _ailments(
    seed: int, vendor: str, k: int, key: int, count: int, installed_at: int
) -> tuple[Ints, npt.NDArray[np.bool_], int]:
    """Return (dead_from per panel, weak per panel, weak_from).

    One of a vendor's first four sites has a dead panel before 2026 whatever the seed, so that every demo
    shows one; another one in nine fails at some time until 2028.
    """
    dead_from = np.full(count, NEVER, dtype=np.int64)
    dead_site = bits(seed, vendor, "dead site") % 4
    if (vendor, dead_site) in SAME_ROOF:
        dead_site = (dead_site + 1) % 4
    if k == dead_site:
        day = between(60, 260, key, "dead day")
    elif unit(key, "dies") < 0.11:
        day = between(60, 3200, key, "dead day")
    else:
        day = 0
    if day:
        quarter = between(24, 72, key, "dead quarter")
        dead_from[bits(key, "dead panel") % count] = installed_at // 900 * 900 + day * 86_400 + quarter * 900
    weak = np.zeros(count, dtype=np.bool_)
    weak_from = NEVER
    if k == bits(seed, vendor, "weak site") % 8 or unit(key, "weak") < 0.05:
        weak[: max(1, count // 2)] = True
        weak_from = installed_at + between(100, 900, key, "weak day") * 86_400
    return dead_from, weak, weak_from


def _inverters(micro: bool, key: int, count: int, peak: int) -> tuple[Ints, Floats]:
    numbers = np.arange(count, dtype=np.int64)
    if micro:
        ratio = (0.76, 0.80, 0.84)[bits(key, "micro") % 3]
        return numbers, np.full(count, round(peak * ratio))
    inverters = -(-count // LARGEST_INVERTER_PANELS)
    belongs = numbers * inverters // count
    dc_w = np.bincount(belongs, minlength=inverters) * peak
    ratio = 0.74 + 0.14 * unit(key, "inverter size")
    return belongs, np.maximum(np.round(dc_w * ratio / 100.0) * 100.0, 100.0)
