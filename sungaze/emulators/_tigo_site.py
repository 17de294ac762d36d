"""One simulated site as Tigo's cloud knows it: minutes behind their optimizers, held back by a lag."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from sungaze.emulators._hash import Floats, Ints, between, bits, unit
from sungaze.emulators.world import INTERVAL_S, DayTruth, SitePlan, World

FIRST_SYSTEM_ID = 424_201
SYSTEM_ID_STEP = 37
OBJECTS_PER_SITE = 100_000
MINUTE_S = 60
LAG_BLOCK_S = 1_800
INVERTER_EFFICIENCY = 0.965
"""The world's panel power is AC; the optimizers stand before the inverter and see this much more (section 2.6:
“a few percent above AC”). Fixed, so that a roof seen by an AC vendor too differs by just that."""
PACIFIC = ZoneInfo("America/Los_Angeles")
NIGHTS: tuple[Literal["absent", "empty", "zero"], ...] = ("absent", "empty", "zero")


def system_id_of(plan: SitePlan) -> int:
    """Return the system id."""
    return FIRST_SYSTEM_ID + SYSTEM_ID_STEP * plan.k + plan.pick(0, SYSTEM_ID_STEP - 1, "system id")


def panel_object_id(plan: SitePlan, panel: int) -> int:
    """Return the object id of a panel: what names its column and, canonically, its optimizer."""
    return OBJECTS_PER_SITE * (plan.k + 1) + 1_000 + panel


def night_of(plan: SitePlan) -> Literal["absent", "empty", "zero"]:
    """Return how a site's rows look by night; all three were seen live (section 2.8)."""
    return NIGHTS[plan.k % 3]


def has_rows(plan: SitePlan, day: DayTruth) -> npt.NDArray[np.bool_]:
    """Return, per 300 s interval, whether the cloud has figures for it."""
    measured = ~np.isnan(day.site_w)
    return measured if night_of(plan) == "zero" else measured & day.awake


@dataclass(frozen=True, slots=True)
class Part:
    """A string of the layout: its letter, its object, its inverter's index and its panels' indices."""

    label: str
    object_id: int
    string_id: int
    inverter: int
    panels: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert; `message` and `description` as the vendor words them, `start` epoch seconds."""

    alert_id: int
    unique_id: int
    title: str
    message: str
    description: str
    start: int
    archived: bool


@dataclass(frozen=True, slots=True, eq=False)
class Fives:
    """Stretches of five minutes: start epochs (n) and DC power per panel, mean W (n, panels); NaN for no data."""

    start: Ints
    panel_w: Floats


class SystemView:
    """A site at the moment `now` (epoch seconds), its data held back by `lag_min` = (middle, spread) minutes."""

    def __init__(self, world: World, plan: SitePlan, now: float, lag_min: tuple[float, float] = (12.0, 8.0)) -> None:
        self.world = world
        self.plan = plan
        self.now = now
        self.system_id = system_id_of(plan)
        self.base = OBJECTS_PER_SITE * (plan.k + 1)
        self._lag_min = lag_min

    @property
    def held_until(self) -> int:
        """Return the end of the newest whole minute that has arrived; it never goes back."""
        block = int(self.now // LAG_BLOCK_S)
        here = self.now - self._lag_s(block)
        before = block * LAG_BLOCK_S - self._lag_s(block - 1)
        return int(max(here, before)) // MINUTE_S * MINUTE_S

    @property
    def sources(self) -> int:
        """Return the number of gateways: one for each inverter."""
        return len(self.plan.limit_w)

    def source_id(self, number: int) -> int:
        """Return a gateway's id."""
        return 9_101 + 100 * self.plan.k + number

    def source_serial(self, number: int) -> str:
        """Return a gateway's MAC address."""
        return "04C05B" + self.plan.hex(6, "cca", number).upper()

    def source_of(self, panel: int) -> int:
        """Return the number of the gateway that hears a panel."""
        return int(self.plan.inverter[panel])

    def inverter_object_id(self, number: int) -> int:
        """Return an inverter's object id."""
        return self.base + 1 + number

    def inverter_serial(self, number: int) -> str:
        """Return an inverter's serial."""
        return f"INV-{self.plan.k:03X}{number:02X}-{self.plan.hex(4, 'inverter', number).upper()}"

    def optimizer_serial(self, panel: int) -> str:
        """Return an optimizer's serial, unique in a world."""
        body = f"4{self.plan.k:03X}{panel:04X}"
        return f"{body}-{bits(body) % 256:02X}"

    def strings(self) -> list[Part]:
        """Return the strings: two for each inverter that has more than three panels."""
        found: list[Part] = []
        for number in range(len(self.plan.limit_w)):
            own = np.flatnonzero(self.plan.inverter == number).tolist()
            half = -(-len(own) // 2) if len(own) > 3 else len(own)
            for panels in (own[:half], own[half:]):
                if panels:
                    n = len(found)
                    found.append(Part(_letters(n), self.base + 100 + n, 5_000 + self.base + n, number, tuple(panels)))
        return found

    def panel_label(self, part: Part, panel: int) -> str:
        """Return a panel's label such as A1."""
        return f"{part.label}{part.panels.index(panel) + 1}"

    def panel_labels(self) -> list[str]:
        """Return all panels' labels by index."""
        labels = {panel: self.panel_label(part, panel) for part in self.strings() for panel in part.panels}
        return [labels[panel] for panel in range(self.plan.panels)]

    def fives(self, start: int, end: int) -> Fives:
        """Return the stretches that touch [start, end), as far as they have begun to arrive."""
        end = min(end, self.held_until)
        days = self.world.days(self.plan, start, end)
        if not days:
            return Fives(np.zeros(0, np.int64), np.zeros((0, self.plan.panels)))
        begin = np.concatenate([day.start for day in days])
        watts = np.concatenate([day.panel_w for day in days]) / INVERTER_EFFICIENCY
        watts[~np.concatenate([has_rows(self.plan, day) for day in days])] = np.nan
        kept = (begin + INTERVAL_S > start) & (begin < end)
        return Fives(begin[kept], watts[kept])

    def daily_wh(self, first: date, last: date) -> tuple[list[date], Floats]:
        """Return the local days that have begun to arrive, and DC Wh by day and panel; NaN for no data."""
        first = max(first, self.plan.installed_on)
        running = self.plan.local_date(self.held_until - 1)
        whole = min(last, running - timedelta(days=1))
        rows = [self.world.daily_wh(self.plan, first, whole) / INVERTER_EFFICIENCY] if whole >= first else []
        days = [first + timedelta(days=n) for n in range((min(last, running) - first).days + 1)]
        if first <= running <= last:
            rows.append(self._running_wh(running)[None, :])
        if not rows:
            return [], np.zeros((0, self.plan.panels))
        table = np.concatenate(rows)
        midnights = np.array([self.plan.midnight(day) for day in days], dtype=np.int64)
        table[midnights[:, None] >= self.plan.dead_from[None, :]] = np.nan
        return days, table

    def energy_wh(self, first: date) -> float:
        """Return the site's DC Wh from a local day on until what has arrived."""
        _, table = self.daily_wh(first, self.plan.local_date(self.now))
        return float(np.nansum(table))

    def latest_w(self) -> float:
        """Return the site's newest DC power, 0 by night."""
        fives = self.fives(self.held_until - MINUTE_S, self.held_until)
        return float(np.nansum(fives.panel_w[-1])) if len(fives.start) else 0.0

    def iso(self, epoch_s: float, fraction: str = "") -> str:
        """Return a moment as the JSON answers have it: Pacific time, wherever the site is (section 0.2)."""
        moment = datetime.fromtimestamp(int(epoch_s), PACIFIC).isoformat()
        return f"{moment[:19]}{fraction}{moment[19:]}"

    def last_checkin(self, number: int) -> int:
        """Return a gateway's last heartbeat: seconds ago, or where the running outage began."""
        outages = self.plan.gaps(int(self.now), int(self.now) + 1)
        ago = between(20, 200, self.plan.key, "heartbeat", number, int(self.now) // 300)
        return outages[0][0] if outages else max(int(self.now) - ago, self.plan.installed_at)

    def alerts(self) -> list[Alert]:
        """Return the site's own alerts, newest first: dead panels, a weak string, an old shutdown that is over."""
        plan, labels = self.plan, self.panel_labels()
        found = [
            self.alert(300, "Low Production on Module", f"Module {labels[panel]}", int(plan.dead_from[panel]))
            for panel in np.flatnonzero(plan.dead_from <= self.now).tolist()
        ]
        if plan.weak_from <= self.now:
            found.append(self.alert(301, "Low Production on String", "String A", plan.weak_from))
        old = plan.installed_at + plan.pick(90, 300, "shutdown day") * 86_400 + 9 * 3_600
        if plan.k % 2 == 0 and old < self.now:
            found.append(self.alert(106, "String Shutdown", "String A", old, archived=True))
        return sorted(found, key=lambda alert: -alert.start)

    def alert(self, unique_id: int, kind: str, what: str, start: int, archived: bool = False) -> Alert:
        """Return an alert of a type about a part, generated at `start`."""
        local = datetime.fromtimestamp(start, self.plan.zone)
        stamps = f"({local:%Y-%m-%d %H:%M}, {local + timedelta(minutes=20):%Y-%m-%d %H:%M})"
        return Alert(
            alert_id=1_000 + bits(self.plan.key, "alert", unique_id, what, start) % 90_000_000,
            unique_id=unique_id,
            title=f"Tigo Alert: {kind}",
            message=f"{'String ID' if unique_id == 106 else 'ID'}: \n- {what} {stamps}",
            description=f"<p>{kind} was seen on <b>{what}</b>.</p>",
            start=start,
            archived=archived,
        )

    def volts(self, panel: int) -> float:
        """Return a panel's voltage while it produces, V."""
        return round(31.0 + 4.0 * unit(self.plan.key, "volts", panel), 1)

    def signal(self, panel: int) -> int:
        """Return a panel's RSSI, 0 to 255 (section 2.8)."""
        return between(90, 210, self.plan.key, "rssi", panel)

    def _running_wh(self, day: date) -> Floats:
        """Return DC Wh per panel of a day so far, by whole minutes that have arrived."""
        begin = self.plan.midnight(day)
        fives = self.fives(begin, self.plan.midnight(day + timedelta(days=1)))
        seconds = np.clip(self.held_until - fives.start, 0, INTERVAL_S)
        total: Floats = (np.nan_to_num(fives.panel_w) * seconds[:, None]).sum(axis=0) / 3600.0
        return total

    def _lag_s(self, block: int) -> float:
        middle, spread = self._lag_min
        return 60.0 * (middle + spread * (2.0 * unit(self.plan.key, "lag", block) - 1.0))


def _letters(number: int) -> str:
    return (_letters(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)
