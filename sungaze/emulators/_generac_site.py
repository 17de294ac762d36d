"""One simulated home as Generac's dashboard knows it: its devices at a moment, and their series until then."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal

import numpy as np

from sungaze.emulators._hash import Floats, Ints
from sungaze.emulators.world import INTERVAL_S, DayTruth, SitePlan, World

Kind = Literal["inverter", "link", "battery", "beacon"]
Row = tuple[int, float | None, bool]

FIRST_PROFILE_ID = 1_200_000
PROFILE_ID_STEP = 97
HOUR_S = 3_600
MINUTE_S = 60
PER_HOUR = HOUR_S // INTERVAL_S
CODES = {"inverter": ("0002", "0007"), "link": ("0003",), "battery": ("0005", "0008"), "beacon": ("0012",)}
LABELS = {"inverter": "Inverter", "link": "PV Module", "battery": "Battery", "beacon": "REbus Beacon"}
EFFICIENCY = 0.965
BATTERY_WH = 9_000
SWING = 0.35
GRID_CONNECTED, MAKING_POWER, LOW_SUN, STANDBY = 2080, 8208, 12544, 768
CHARGING, REGULATING, DISCHARGING = 24576, 24592, 24832


@dataclass(frozen=True, slots=True)
class Thing:
    """A device: its 12 hex digits, name, kind, number within the home, and which PV Link it is (-1: none)."""

    rcpn: str
    name: str
    kind: Kind
    number: int
    link: int = -1


@dataclass(frozen=True, slots=True, eq=False)
class Hours:
    """Local hours: start epochs (h) and mean power of each PV Link W (h, links), NaN where one was not measured."""

    start: Ints
    link_w: Floats


def profile_id_of(plan: SitePlan) -> int:
    """Return the profile id, 7 digits."""
    return FIRST_PROFILE_ID + PROFILE_ID_STEP * plan.k + plan.pick(0, PROFILE_ID_STEP - 1, "profile id")


def links_of(plan: SitePlan) -> Ints:
    """Return the PV Link of each panel; a home has two to four of them, fewer only with fewer panels."""
    count = min(plan.panels, plan.pick(2, 4, "links"))
    return np.arange(plan.panels, dtype=np.int64) * count // plan.panels


def things_of(plan: SitePlan) -> list[Thing]:
    """Return the home's devices: one inverter, its PV Links, one battery, one beacon; ids unique in a world."""

    def rcpn(kind: Kind, number: int) -> str:
        codes = CODES[kind]
        return f"{1 + (plan.k >> 12):04X}{codes[plan.pick(0, len(codes) - 1, kind)]}{plan.k & 0xFFF:03X}{number:X}"

    links = int(links_of(plan).max()) + 1
    return [
        Thing(rcpn("inverter", 0), "PWRcell Inverter", "inverter", 0),
        *(Thing(rcpn("link", 1 + n), f"PV Link {n + 1}", "link", 1 + n, n) for n in range(links)),
        Thing(rcpn("battery", 1 + links), "PWRcell Battery", "battery", 1 + links),
        Thing(rcpn("beacon", 2 + links), "REbus Beacon", "beacon", 2 + links),
    ]


def link_w_of(plan: SitePlan, panel_w: Floats) -> Floats:
    """Return the power of each PV Link (rows, links) from that of the panels (rows, panels); a dead panel adds 0."""
    rows = np.flatnonzero(np.diff(links_of(plan), prepend=-1))
    watts: Floats = np.add.reduceat(np.nan_to_num(panel_w), rows, axis=1)
    return watts


def hours_of(plan: SitePlan, days: Sequence[DayTruth]) -> Hours:
    """Return the local hours of whole days; one that was measured in part only is NaN [assumed]."""
    links = int(links_of(plan).max()) + 1
    if not days:
        return Hours(np.zeros(0, np.int64), np.zeros((0, links)))
    start = np.concatenate([day.start for day in days])[::PER_HOUR]
    watts = link_w_of(plan, np.concatenate([day.panel_w for day in days])).reshape(-1, PER_HOUR, links).mean(axis=1)
    site_w = np.concatenate([day.site_w for day in days]).reshape(-1, PER_HOUR)
    watts[np.isnan(site_w).any(axis=1)] = np.nan
    return Hours(start, watts)


class HomeView:
    """A home of which the vendor knows what happened until `known` (epoch seconds, a whole minute).

    `reset_at` is the epoch from which every counter counts anew, None where none was ever reset.
    """

    def __init__(self, world: World, plan: SitePlan, known: float, reset_at: int | None = None) -> None:
        self.world = world
        self.plan = plan
        self.profile_id = profile_id_of(plan)
        self.things = things_of(plan)
        known = int(known // MINUTE_S) * MINUTE_S
        outage = plan.gaps(known, known + 1)
        self.known = max(outage[0][0] - MINUTE_S if outage else known, plan.installed_at)
        self.reset_at = reset_at

    def updated_at(self, thing: Thing) -> int:
        """Return when a device was last heard of: the devices of a home report seconds apart."""
        return self.known - 3 * thing.number

    def power_w(self, thing: Thing) -> int:
        """Return a device's power at the known moment, W: producing and discharging above 0."""
        links = self._links_now()
        if thing.kind == "link":
            return round(float(links[thing.link]))
        if thing.kind == "battery":
            return self._battery_w(self.known)
        if thing.kind == "inverter":
            return round((float(links.sum()) + self._battery_w(self.known)) * EFFICIENCY)
        return 0

    def state(self, thing: Thing) -> int:
        """Return a device's state code (vendors/generac.md 3)."""
        watts = self.power_w(thing)
        if thing.kind == "inverter":
            return GRID_CONNECTED
        if thing.kind == "link":
            return MAKING_POWER if watts > 0 else LOW_SUN
        if thing.kind == "battery":
            return CHARGING if watts < 0 else DISCHARGING if watts > 0 else REGULATING
        return STANDBY

    def charge_share(self, at: int) -> float:
        """Return how full the battery is, 0 to 1: fullest at four in the afternoon by the sun."""
        hour = at / 3600.0 + self.plan.longitude / 15.0
        return 0.55 + SWING * math.cos(2.0 * math.pi * (hour - 16.0) / 24.0)

    def counter_wh(self, thing: Thing, at: int) -> int:
        """Return a device's lifetime energy at an epoch not after the known moment, Wh."""
        at = min(at, self.known)
        day = self.plan.local_date(at)
        return self._counters(thing, [(day, at)])[0]

    def energy_rows(self, thing: Thing, start: int, end: int) -> list[tuple[date, int, bool]]:
        """Return (local day, counter at its end, whole) of the days that begin in [start, end).

        The running day holds the counter as it stands [assumed].
        """
        if thing.kind == "beacon":
            return []
        plan = self.plan
        day, marks, whole = plan.local_date(max(start, plan.installed_at)), [], []
        while plan.midnight(day) < end and plan.midnight(day) <= self.known:
            after = plan.midnight(day + timedelta(days=1))
            if plan.midnight(day) >= start:
                marks.append((day, min(after, self.known)))
                whole.append(after <= self.known)
            day += timedelta(days=1)
        counters = self._counters(thing, marks)
        return [(mark[0], counter, done) for mark, counter, done in zip(marks, counters, whole, strict=True)]

    def power_rows(self, thing: Thing, start: int, end: int, step_s: int) -> list[Row]:
        """Return (epoch, W, whole) of the hours or minutes that begin in [start, end); null where not measured.

        The running hour is null and not whole.
        """
        if thing.kind == "beacon":
            return []
        start, end = max(start, self.plan.installed_at), min(end, self.known + 1)
        days = self.world.days(self.plan, start, end)
        if step_s == HOUR_S:
            hours = hours_of(self.plan, days)
            epochs, watts = hours.start, hours.link_w
        else:
            epochs = np.concatenate([d.start for d in days]) if days else np.zeros(0, np.int64)
            site_w = np.concatenate([d.site_w for d in days]) if days else np.zeros(0)
            watts = (
                link_w_of(self.plan, np.concatenate([d.panel_w for d in days]))
                if days
                else np.zeros((0, self._link_count()))
            )
            watts[np.isnan(site_w)] = np.nan
            minutes = np.arange(INTERVAL_S // MINUTE_S, dtype=np.int64) * MINUTE_S
            epochs = (epochs[:, None] + minutes).ravel()
            watts = np.repeat(watts, len(minutes), axis=0)
        kept = (epochs >= start) & (epochs < end)
        values = self._of_thing(thing, epochs[kept], watts[kept])
        rows: list[Row] = []
        for at, value in zip(epochs[kept].tolist(), values.tolist(), strict=True):
            done = at + (step_s if step_s == HOUR_S else 0) <= self.known
            rows.append((at, round(value) if done and not math.isnan(value) else None, done))
        return rows

    def charge_rows(self, thing: Thing, start: int, end: int) -> list[Row]:
        """Return (epoch, Wh, whole) of the battery's content at each full hour in [start, end); batteries only."""
        if thing.kind != "battery":
            return []
        hours = self.power_rows(thing, start, end, HOUR_S)
        return [(at, round(self.charge_share(at) * BATTERY_WH), done) for at, _, done in hours]

    def _link_count(self) -> int:
        return int(links_of(self.plan).max()) + 1

    def _links_now(self) -> Floats:
        day = self.world.day(self.plan, self.plan.local_date(self.known))
        row = int((self.known - int(day.start[0])) // INTERVAL_S)
        watts: Floats = link_w_of(self.plan, day.panel_w[row : row + 1])[0]
        return watts

    def _battery_w(self, at: int) -> int:
        filled = self.charge_share(at + INTERVAL_S) - self.charge_share(at)
        return -round(filled * BATTERY_WH * HOUR_S / INTERVAL_S)

    def _of_thing(self, thing: Thing, epochs: Ints, link_w: Floats) -> Floats:
        if thing.kind == "link":
            return link_w[:, thing.link]
        battery = np.array([self._battery_w(at) for at in epochs.tolist()], dtype=np.float64)
        inverter: Floats = (link_w.sum(axis=1) + battery) * EFFICIENCY
        return battery if thing.kind == "battery" else inverter

    def _counters(self, thing: Thing, marks: list[tuple[date, int]]) -> list[int]:
        """Return the counter at each epoch, given with the local day whose last part it ends."""
        if not marks:
            return []
        base = 0.0
        if self.reset_at is not None:
            day = self.plan.local_date(self.reset_at)
            base = self._raw(thing, [(day, self.reset_at)])[0]
        values = self._raw(thing, marks)
        reset = self.reset_at
        return [
            round(value - base if reset is not None and at > reset else value)
            for value, (_, at) in zip(values, marks, strict=True)
        ]

    def _raw(self, thing: Thing, marks: list[tuple[date, int]]) -> list[float]:
        if thing.kind == "battery":
            return [(at - self.plan.installed_at) / 86_400.0 * 2 * SWING * BATTERY_WH for _, at in marks]
        if thing.kind == "beacon":
            return [0.0] * len(marks)
        first, last = self.plan.installed_on, marks[-1][0]
        rows = np.flatnonzero(np.diff(links_of(self.plan), prepend=-1))
        daily = np.add.reduceat(self.world.daily_wh(self.plan, first, last), rows, axis=1)
        whole = daily[:, thing.link] if thing.kind == "link" else daily.sum(axis=1) * EFFICIENCY
        sums = np.concatenate(([0.0], np.cumsum(whole)))
        values = []
        for day, at in marks:
            index = (day - first).days
            if at >= self.plan.midnight(day + timedelta(days=1)):
                values.append(float(sums[index + 1]))
            else:
                values.append(float(sums[index]) + self._part(thing, day, at))
        return values

    def _part(self, thing: Thing, day: date, until: int) -> float:
        truth = self.world.day(self.plan, day)
        ended = truth.start + INTERVAL_S <= until
        watts = link_w_of(self.plan, truth.panel_w)[ended]
        produced = watts[:, thing.link] if thing.kind == "link" else watts.sum(axis=1) * EFFICIENCY
        return float(produced.sum()) * INTERVAL_S / 3600.0


def in_base(plan: SitePlan, at: int, base: str) -> int:
    """Return an epoch as the series write it: true, or the local wall clock written as if it were UTC."""
    if base == "utc":
        return at
    offset = datetime.fromtimestamp(at, plan.zone).utcoffset() or timedelta(0)
    return at + int(offset.total_seconds())


def from_base(plan: SitePlan, written: int, base: str) -> int:
    """Return the true epoch of one that was written in a base; of a repeated hour the first."""
    if base == "utc":
        return written
    wall = datetime.fromtimestamp(written, UTC).replace(tzinfo=plan.zone)
    return int(wall.timestamp())


def day_in_base(plan: SitePlan, day: date, base: str) -> int:
    """Return the stamp of a local day: its midnight, written in the base."""
    if base == "utc":
        return plan.midnight(day)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
