"""Every site as a list shows it, kept in memory: facts from a handful of queries, judged at a given now.

Rebuilt for the sites that changed, and whole every few seconds because ages grow by themselves.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from sungaze import clock
from sungaze.api.shapes import CareOut, FleetOut, PlaceRef, SiteOut, YesterdayOut
from sungaze.checks.care import SiteState, Snooze, fingerprint, is_snoozed
from sungaze.checks.freshness import Facts, Habit, judge, status_word
from sungaze.checks.loss import DayFacts, loss_of
from sungaze.jobs.events import Events
from sungaze.jobs.judge import Seen
from sungaze.model import DAY_S, Communication, Freshness, SiteStatus, Span
from sungaze.store import Store
from sungaze.store.alerts import Standing
from sungaze.store.care import CareRow
from sungaze.store.fleet import AccountRow, SiteRow
from sungaze.vendors import connectors
from sungaze.vendors._contract import Vendor

log = logging.getLogger(__name__)

MAX_AGE_S: Final = 5.0
OLDEST_S: Final = 30.0
QUARTER_S: Final = 900
_URGENT: Final = {SiteStatus.FAULT: 0, SiteStatus.OFFLINE: 1, SiteStatus.WARNING: 3}
_BY_FRESHNESS: Final = {"stale": 2, "never": 4, "late": 5, "fresh": 6, "asleep": 7}


NO_CARE: Final = CareOut(snoozed=False, snoozed_until=None, until_change=False, waiting_on=None, assignee=None, notes=0)
"""Of a place that nobody wrote anything about; never changed in place."""


class Newest(msgspec.Struct, frozen=True):
    """The newest figures of one site; `interval_s` is that of its power."""

    power_at: int | None = None
    power_w: float | None = None
    interval_s: int = 0
    days: dict[int, float] = {}


class Board:
    """The sites of one store."""

    def __init__(
        self, store: Store, events: Events, now: Callable[[], float], listening: Mapping[int, float] | None = None
    ) -> None:
        """`listening` tells since when each account is listened for that data comes to by itself."""
        self._store = store
        self._now = now
        self._listening = {} if listening is None else listening
        self._lock = threading.Lock()
        self._listener = events.listen()
        self._rows: list[SiteOut] = []
        self._built = float("-inf")
        self._fleet: FleetOut | None = None
        self._version = 0
        self._days: dict[int, DayFacts] = {}
        self._renewing = False

    def sites(self) -> list[SiteOut]:
        """Every site that is not archived, worst first.

        What was changed is in it. Ages that merely grew are at most OLDEST_S behind: the rows are renewed beside the
        answer, so that nobody waits for a thousand sites to be judged.
        """
        with self._lock:
            changed: set[int] = set()
            age = time.monotonic() - self._built
            whole = age > OLDEST_S
            while not self._listener.empty():
                event = self._listener.get_nowait()
                if event.name == "sites":
                    changed.update(event.ids)
                else:
                    whole = True
            if whole:
                self._take(self.build(None))
            elif changed:
                self._take([row for row in self._rows if row.id not in changed] + self.build(changed), self._built)
            elif age > MAX_AGE_S and not self._renewing:
                self._renewing = True
                threading.Thread(target=self._renew, args=(self._version,), name="board", daemon=True).start()
            return self._rows

    def _take(self, rows: list[SiteOut], built: float | None = None) -> None:
        self._rows = sorted(rows, key=urgency)
        self._built = time.monotonic() if built is None else built
        self._version += 1
        self._fleet = None

    def _renew(self, version: int) -> None:
        try:
            rows = self.build(None)
            with self._lock:
                # What a request has built meanwhile knows more than what was begun before it.
                if self._version == version:
                    self._take(rows)
        except Exception:
            log.exception("the list of sites could not be renewed")
        finally:
            self._renewing = False
            self._store.close()

    def fleet(self) -> FleetOut:
        """The fleet's figures at one common quarter-hour."""
        rows = self.sites()
        with self._lock:
            if self._fleet is None:
                self._fleet = fleet_figures(rows, self._quarter, self._now())
            return self._fleet

    def seen(self) -> list[Seen]:
        """Every site as it is shown now, for whoever judges the fleet."""
        rows = {row.id: row for row in self.build(None)}
        found = []
        for site in self._store.fleet.sites():
            row = rows.get(site.id)
            if row is None:
                continue
            fresh = row.freshness == Freshness.FRESH and row.power_w is not None and row.peak_power_kw
            share = (row.power_w or 0.0) / (1000 * (row.peak_power_kw or 1.0)) if fresh else None
            interval_s = row.power_interval_s or 0
            found.append(
                Seen(
                    site=site, freshness=Freshness(row.freshness), reason_code=row.reason_code, interval_s=interval_s,
                    share=share,
                )
            )  # fmt: skip
        return found

    def refresh(self) -> None:
        """Have the next answer built anew: the user has just changed something."""
        with self._lock:
            self._built = float("-inf")

    def build(self, only: Iterable[int] | None, *, archived: bool = False) -> list[SiteOut]:
        """The rows of these sites, or of all."""
        ids = None if only is None else set(only)
        rows = self._rows_of(ids, archived)
        places = None if ids is None else {row.place.id for row in rows}
        care = self.care(places, rows if ids is None else None)
        for row in rows:
            row.care = care.get(row.place.id, NO_CARE)
            row.needs_you = row.needs_you and not row.care.snoozed
        return rows

    def care(self, places: Iterable[int] | None, rows: list[SiteOut] | None = None) -> dict[int, CareOut]:
        """The care of these places, or of all, judged now; `rows` are those of the whole fleet where they are known."""
        now, kept = self._now(), self._store.care.of_places(places)
        watched = [place for place, row in kept.items() if row.snoozed_state is not None]
        states = self.states(watched, rows) if watched else {}
        return {place: _care(row, states.get(place, ("", None)), now) for place, row in kept.items()}

    def states(self, places: Iterable[int], rows: list[SiteOut] | None = None) -> dict[int, tuple[str, int | None]]:
        """The state of each of these places as a snooze until a change sees it, and when an alarm of it last ended."""
        wanted = set(places)
        if rows is None:
            rows = self._rows_of({s.id for s in self._store.fleet.sites() if s.place_id in wanted}, archived=False)
        mine = [row for row in rows if row.place.id in wanted]
        lives = self._store.alerts.lives(row.id for row in mine)
        found: dict[int, tuple[list[SiteState], int]] = {}
        for row in mine:
            alerts, ended = lives.get(row.id, ([], None))
            sites, last = found.setdefault(row.place.id, ([], 0))
            sites.append(SiteState(row.id, row.status, row.reason_code == "account", alerts))
            found[row.place.id] = (sites, max(last, ended or 0))
        return {place: (fingerprint(sites), last or None) for place, (sites, last) in found.items()}

    def _rows_of(self, ids: set[int] | None, archived: bool) -> list[SiteOut]:
        store, now = self._store, self._now()
        sites = store.fleet.sites(ids, archived=archived)
        vendors = {vendor_id: c.vendor for vendor_id, c in connectors().items()}
        newest = self._newest(sites, vendors, now, whole=ids is None)
        reach = store.fleet.accounts_of_sites()
        accounts = {a.id: a for a in store.fleet.accounts()}
        fine = sorted({v.fine_resource for v in vendors.values()})
        looks, fetched = store.work.next_looks(fine, ids), store.work.last_fetches(fine, ids)
        alarms = store.alerts.standings(ids)
        rows = []
        for site in sites:
            mine = [accounts[a] for a in reach.get(site.id, []) if a in accounts]
            account = next((a for a in mine if a.state == "connected"), mine[0] if mine else None)
            vendor = vendors[site.vendor]
            by_itself = account is not None and _way(vendor, account) != "ask"
            if by_itself and account is not None:
                fetched[site.id] = self._heard_until(account.id, site, vendor, now)
            rows.append(
                _row(
                    site, vendor, newest.get(site.id, Newest()), now,
                    state=account.state if account else "needs_reconnect",
                    reason=account.state_reason if account else _unreached(site),
                    next_look=looks.get(site.id), fetched=fetched.get(site.id), alarms=alarms.get(site.id),
                    by_itself=by_itself, paused=account is not None and account.paused_at is not None,
                )
            )  # fmt: skip
        self._price(rows, sites, alarms)
        return rows

    def _price(self, rows: list[SiteOut], sites: list[SiteRow], alarms: Mapping[int, Standing]) -> None:
        """Say of each site in trouble what that costs, from its own panels or from the sites around it."""
        dead = {site_id: standing.devices for site_id, standing in alarms.items() if standing.devices}
        panels = self._store.fleet.panels(list(dead))
        for row, site in zip(rows, sites, strict=True):
            mine = panels.get(row.id, frozenset())
            self._days[row.id] = DayFacts(
                site_id=row.id, place_id=row.place.id, peak_kw=row.peak_power_kw, energy_wh=row.energy_yesterday_wh,
                latitude=site.latitude, longitude=site.longitude, exact=site.position_source in {"user", "vendor"},
                well=row.status == SiteStatus.NORMAL and row.alerts == 0,
                panels=len(mine), dead=len(mine & dead.get(row.id, frozenset())),
            )  # fmt: skip
        others = list(self._days.values())
        for row in rows:
            if row.status not in {SiteStatus.FAULT, SiteStatus.WARNING} and not self._days[row.id].dead:
                continue
            if row.communication == Communication.SILENT:
                continue
            loss = loss_of(self._days[row.id], others)
            if loss is not None:
                row.loss_wh_per_day, row.loss_basis = loss.wh_per_day, loss.basis

    def _heard_until(self, account_id: int, site: SiteRow, vendor: Vendor, now: float) -> int:
        """Until when a site that sends by itself has been listened for: silence counts once that was long enough."""
        since = self._listening.get(account_id)
        if since is not None and now - since > 60 * vendor.late_min:
            return int(now)
        return site.last_updated or 0

    def _newest(
        self, sites: list[SiteRow], vendors: dict[str, Vendor], now: float, *, whole: bool
    ) -> dict[int, Newest]:
        found: dict[int, Newest] = {}
        recent = self._store.recent
        for vendor in vendors.values():
            ids = [s.id for s in sites if s.vendor == vendor.id]
            if not ids:
                continue
            some = None if whole else ids
            powers = recent.newest(vendor.power_metric, some)
            days = recent.days(vendor.energy_metric, int(now) - 3 * DAY_S, some)
            for site_id in ids:
                power_at, power_w, interval = powers.get(site_id, (None, None, 0))
                found[site_id] = Newest(power_at, power_w, interval, days.get(site_id, {}))
        return found

    def _quarter(self, rows: list[SiteOut], quarter: int) -> dict[int, float]:
        """The mean power of each site over a quarter-hour, W; a moment near it of one that gives moments only."""
        found = self._store.recent.means(
            [row.id for row in rows], sorted({row.power_metric for row in rows}), Span(quarter, quarter + QUARTER_S),
            QUARTER_S, moments=False,
        )  # fmt: skip
        near = range(quarter - QUARTER_S, quarter + QUARTER_S)
        moments = {r.id: r.power_w for r in rows if r.power_interval_s == 0 and r.measured_at in near}
        means = {site_id: steps[0] for site_id, steps in found.items()}
        return means | {site_id: watts for site_id, watts in moments.items() if watts is not None}


def _unreached(site: SiteRow) -> str:
    if site.archived_at is None and site.not_visible_since is None:
        return "from a file: no account is connected that sees this site"
    return "disconnected: no account reaches this site"


def urgency(row: SiteOut) -> tuple[int, float, float, str]:
    """The order of a list that has the worst first: lost production by what it costs, then who is not heard.

    A snoozed place stands with the healthy ones.
    """
    if row.care.snoozed:
        return (9, 0.0, -(row.peak_power_kw or 0), row.name)
    status = SiteStatus(row.status)
    first = _URGENT.get(status, 9) if row.needs_you else 9
    by = min(first, _BY_FRESHNESS[row.freshness] + (0 if row.needs_you else 3))
    if row.needs_you and row.loss_wh_per_day is not None and row.communication != Communication.SILENT:
        by = -1
    return (by, -(row.loss_wh_per_day or 0.0), -(row.peak_power_kw or 0), row.name)


def _way(vendor: Vendor, account: AccountRow) -> str:
    method = vendor.method(account.method)
    return method.way if method is not None else "ask"


def _row(
    site: SiteRow, vendor: Vendor, newest: Newest, now: float, *, state: str, reason: str,
    next_look: float | None, fetched: float | None, alarms: Standing | None, by_itself: bool,
    paused: bool,
) -> SiteOut:  # fmt: skip
    end = newest.power_at + newest.interval_s if newest.power_at is not None else None
    cellular = site.connection == "cellular" and vendor.cellular_late_min is not None
    habit = (
        Habit(vendor.cellular_late_min or 0, vendor.cellular_stale_min or 0)
        if cellular
        else Habit(vendor.late_min, vendor.stale_min)
    )
    least = vendor.late_intervals * newest.interval_s // 60
    if least > habit.late_min:
        habit = Habit(least, max(habit.stale_min, 3 * least))
    verdict = judge(
        Facts(
            measured_end=end,
            power_w=newest.power_w,
            peak_w=site.peak_power_kw * 1000 if site.peak_power_kw else None,
            fetched_at=int(fetched) if fetched else None,
            last_report_at=site.last_updated,
            next_look_at=next_look,
            account_state=state,
            account_reason=reason,
            latitude=site.latitude,
            longitude=site.longitude,
            provisional=site.position_source == "zone",
            timezone=site.timezone,
            by_itself=by_itself,
            paused=paused,
        ),
        habit,
        now,
    )
    communication = Communication.SILENT if alarms is not None and alarms.silent else site.communication
    status = status_word(
        site.status, communication, end, site.last_updated, int(fetched) if fetched else None,
        alarms.worst if alarms is not None else None,
    )  # fmt: skip
    today, yesterday = _days(site, newest, now)
    peak = site.peak_power_kw
    return SiteOut(
        id=site.id,
        vendor=site.vendor,
        vendor_site_id=site.vendor_site_id,
        name=site.name,
        status=status,
        communication=communication,
        production=site.production,
        freshness=verdict.freshness,
        freshness_reason=verdict.reason,
        reason_code=verdict.code,
        peak_power_kw=peak,
        power_w=newest.power_w,
        power_metric=vendor.power_metric,
        power_interval_s=newest.interval_s if newest.power_at is not None else None,
        measured_at=newest.power_at,
        fetched_at=int(fetched) if fetched else None,
        last_report_at=site.last_updated,
        next_look_at=int(next_look) if next_look and not paused else None,
        energy_today_wh=today,
        energy_yesterday_wh=yesterday,
        yield_yesterday_kwh_per_kwp=yesterday / 1000 / peak if yesterday is not None and peak else None,
        timezone=site.timezone,
        address=site.address,
        place=PlaceRef(site.place_id, site.place_name, site.role),
        alerts=alarms.count if alarms is not None else 0,
        needs_you=verdict.code in {"account", "site_silent"}
        or status in {SiteStatus.FAULT, SiteStatus.OFFLINE, SiteStatus.WARNING},
        archived=site.archived_at is not None,
        trouble=alarms.description if alarms is not None else "",
        trouble_since=alarms.since if alarms is not None else None,
        loss_wh_per_day=None,
        loss_basis="",
        tags=list(site.tags),
        customer=site.customer,
        care=NO_CARE,
    )


def _care(row: CareRow, state: tuple[str, int | None], now: float) -> CareOut:
    snoozed = row.snoozed_at is not None and is_snoozed(
        Snooze(row.snoozed_at, row.snoozed_until, row.snoozed_state), *state, now
    )
    return CareOut(
        snoozed=snoozed,
        snoozed_until=row.snoozed_until if snoozed else None,
        until_change=snoozed and row.snoozed_until is None,
        waiting_on=row.waiting_on,
        assignee=row.assignee,
        notes=row.notes,
    )


def _days(site: SiteRow, newest: Newest, now: float) -> tuple[float | None, float | None]:
    tz = clock.zone(site.timezone)
    if tz is None:
        return None, None
    today = clock.day_of(now, tz)
    return (
        newest.days.get(clock.midnight(today, tz)),
        newest.days.get(clock.midnight(today - dt.timedelta(days=1), tz)),
    )


def fleet_figures(
    rows: list[SiteOut], quarter_power: Callable[[list[SiteOut], int], dict[int, float]], now: float
) -> FleetOut:
    """The fleet at the newest quarter-hour that most of the places that are awake have reached (DESIGN 7)."""
    counted = [row for row in rows if row.place.role != "same_generation"]
    places = {row.place.id for row in counted}
    awake = [r for r in counted if r.freshness == Freshness.FRESH and r.measured_at is not None]
    asleep = [r for r in counted if r.freshness == Freshness.ASLEEP]
    daily_only = [r for r in counted if r.measured_at is None and r.energy_yesterday_wh is not None]
    quarter: int | None = None
    powers: dict[int, float] = {}
    if awake:
        reached = sorted(
            (((r.measured_at or 0) + (r.power_interval_s or 0)) // QUARTER_S * QUARTER_S - QUARTER_S for r in awake),
            reverse=True,
        )
        quarter = reached[len(reached) // 2]
        powers = quarter_power(awake, quarter)
    elif asleep:
        quarter = int(now) // QUARTER_S * QUARTER_S - QUARTER_S
    # A site that has a part of the quarter-hour only is left out: its mean would be of other minutes.
    reach = (quarter or 0) + QUARTER_S
    inside = [
        r
        for r in awake
        if r.id in powers and (r.power_interval_s == 0 or (r.measured_at or 0) + (r.power_interval_s or 0) >= reach)
    ]
    summed = inside + asleep
    summed_places = {r.place.id for r in summed}
    days = [r for r in counted if r.energy_yesterday_wh is not None]
    known = [r for r in days if r.peak_power_kw]
    yielded = sum(r.energy_yesterday_wh or 0 for r in known)
    today = [r for r in counted if r.energy_today_wh is not None]
    freshness: dict[str, int] = {word.value: 0 for word in Freshness}
    vendors: dict[str, int] = {}
    for row in rows:
        freshness[row.freshness] += 1
        vendors[row.vendor] = vendors.get(row.vendor, 0) + 1
    return FleetOut(
        at=quarter,
        power_w=sum(powers[r.id] for r in inside) if summed else None,
        places=len(summed_places),
        places_total=len(places),
        kwp=sum(r.peak_power_kw or 0 for r in summed),
        kwp_total=sum(r.peak_power_kw or 0 for r in counted),
        asleep=len({r.place.id for r in asleep}),
        left_out=len(places - summed_places - {r.place.id for r in daily_only}),
        daily_only=len({r.place.id for r in daily_only}),
        energy_today_wh=sum(r.energy_today_wh or 0 for r in today) if today else None,
        energy_today_places=len({r.place.id for r in today}),
        yesterday=YesterdayOut(
            energy_wh=sum(r.energy_yesterday_wh or 0 for r in days) if days else None,
            kwh_per_kwp=yielded / 1000 / sum(r.peak_power_kw or 0 for r in known) if known else None,
            places=len({r.place.id for r in days}),
        ),
        freshness=freshness,
        needs_you=len({r.place.id for r in rows if r.needs_you}),
        vendors=vendors,
    )


def matches(row: SiteOut, words: list[str], more: str = "") -> bool:
    """Whether every word is found in a site's name, address, place, customer, tags or vendor id, or in `more`."""
    parts = (row.name, row.address, row.place.name, row.customer or "", *row.tags, row.vendor, row.vendor_site_id, more)
    text = " ".join(parts).casefold()
    return all(word in text for word in words)


SORTS: Final[dict[str, Callable[[SiteOut], Any]]] = {
    "urgency": urgency,
    "name": lambda row: row.name.casefold(),
    "power": lambda row: -(row.power_w if row.power_w is not None else -1e12),
    "today": lambda row: -(row.energy_today_wh if row.energy_today_wh is not None else -1.0),
    "yield": lambda row: -(row.yield_yesterday_kwh_per_kwp if row.yield_yesterday_kwh_per_kwp is not None else -1.0),
    "peak": lambda row: -(row.peak_power_kw or -1.0),
    "age": lambda row: row.measured_at or 0,
    "vendor": lambda row: (row.vendor, row.name.casefold()),
    "id": lambda row: row.id,
}
