"""A simulated month of the planner, beside a poller with a fixed interval round the clock and the same quota.

Real: `jobs.planner`, `jobs.forecast`, `jobs.backfill`, the store with its ledger, its looks and its gaps (SQLite in a
temporary file). In process: the vendor, which counts calls by its own clock's minute, UTC day and month, and holds new
figures of every site each `bucket_s` seconds; nothing is sent and no answer is read, so that a look is as many calls as
its resource declares. The huey queue is left out: a tick here claims as `Queue._put` does. Sites lie in the four zones
of the simulated world, so that the sun is always up somewhere.
"""

from __future__ import annotations

import datetime as dt
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from bench._measure import Row
from sungaze import clock
from sungaze.jobs import backfill, forecast, planner
from sungaze.jobs.context import Context, windows
from sungaze.jobs.events import Events
from sungaze.jobs.ingest import plan_history, plan_site, reach
from sungaze.model import DAY_S, SiteFacts, SiteStatus, Span
from sungaze.store import Store
from sungaze.store.fleet import SiteRow
from sungaze.store.ledger import window_span
from sungaze.vault import Vault
from sungaze.vendors import connector, connectors
from sungaze.vendors._contract import Plan, Vendor

START: Final = dt.datetime(2026, 9, 1, tzinfo=dt.UTC).timestamp()
"""September: its days are as long as its nights, everywhere."""
DAYS: Final = 30
SAME_DAYS: Final = 4
"""Of a plan without a month's limit, whose days are all alike: nothing carries over but what is due."""
FLEETS: Final = (10, 40, 200, 1_000)
ZONES: Final = ("America/Chicago", "Europe/Berlin", "Australia/Adelaide", "Asia/Kolkata")
ON_SCREEN_H: Final = (10, 12)
SCREEN_DAYS: Final = 2
"""A site is on screen two hours a day, in a run of its own: the month's ages are those of a fleet nobody looks at."""
BACKFILL_DAYS: Final = {10: 365, 40: 365, 200: 60, 1_000: 14}
TICK_S: Final = 31.5
"""Half of the ledger's sliding minute: what one tick spends is to be had again two ticks later."""
AIM: Final = 0.6


class Counted:
    """A vendor's own count of one key's calls, by its own windows; a call over a limit or the user's cap is noted."""

    def __init__(self, plan: Plan, caps: dict[str, int]) -> None:
        self._limits = [(w.window, w.limit, min(w.limit, caps.get(w.window, w.cap))) for w in plan.limits]
        self._counts: Counter[tuple[str, int]] = Counter()
        self.calls = 0
        self.over = 0

    def call(self, now: float) -> None:
        """Count one call."""
        self.calls += 1
        for window, limit, cap in self._limits:
            key = window, int(now // 60) if window == "minute" else window_span(window, now)[0]
            self._counts[key] += 1
            self.over += self._counts[key] > min(limit, cap)


class Month:
    """One fleet under one plan, lived through tick by tick."""

    def __init__(
        self, folder: Path, vendor: Vendor, plan: Plan, sites: int, *, caps: dict[str, int] | None = None,
        backfill_days: int = 0, now: float = START, shown: bool = False,
    ) -> None:  # fmt: skip
        self.vendor, self.plan, self.now = vendor, plan, now
        self.counted = Counted(plan, caps or {})
        self.polls: dict[int, list[float]] = {}
        self.behind: list[float] = []
        self._since = 0.0
        self._shown = shown
        self.store = store = Store(folder / f"{vendor.id}-{plan.id}-{sites}-{time.monotonic_ns()}.db")
        # Commits here need not outlive a power cut; a transaction is a transaction all the same.
        self.context = Context(
            store=store, vault=Vault(folder / "secrets.json", {}), events=Events(), now=lambda: self.now
        )
        with store.database.transaction():
            store.fleet.add_account(
                id=1, vendor=vendor.id, method=vendor.methods[0].id, plan=plan.id, label="bench", base_url=None,
                scope="bench", identity="bench", now=now,
            )  # fmt: skip
            facts = [
                SiteFacts(vendor_site_id=str(k), name=f"Roof {k}", timezone=ZONES[k % len(ZONES)],
                          status=SiteStatus.NORMAL,
                          last_report_at=int(now) - (int(now) - _phase(vendor, k + 1)) % vendor.bucket_s)
                for k in range(sites)
            ]  # fmt: skip
            ids = store.fleet.apply_sites(1, vendor.id, facts, complete=True, now=now)
            self.account = store.fleet.account(1)
            for site_id in ids:
                plan_site(self.context, self.account, vendor, plan, site_id, now)
            for resource in planner.due_resources(vendor, plan):
                if not resource.per_site:
                    store.work.plan_look(1, resource.id, 0, now, resource.order)
            plan_history(self.context, self.account, vendor, plan, ids, now)
            if caps:
                store.ledger.set_caps("bench", caps, now)
        if backfill_days and vendor.fine_s:
            backfill.begin(self.context, 1, "finest", clock.day_of(now - backfill_days * DAY_S, clock.UTC))
        self.rows: dict[int, SiteRow] = {row.id: row for row in store.fleet.sites()}
        self.limits = windows(plan, store.ledger.caps("bench"))
        self.costs = planner.calls_of(vendor, self.limits)
        self.watched = ids[0] if ids else 0

    def held(self, site_id: int, at: Any) -> Any:
        """The end of the newest figures that the vendor has at an instant, or at each of an array of them."""
        bucket, settle = self.vendor.bucket_s, self.vendor.settle_s
        phase = settle or _phase(self.vendor, site_id)
        return np.floor((np.asarray(at) - phase) / bucket) * bucket + (0 if settle else phase)

    def run(self, until: float, *, owing: bool = False, stop_when_filled: bool = False) -> None:
        """Live until then. `owing` puts down what each look covers, so that an outage's holes are found."""
        while self.now < until:
            with self.store.database.transaction():
                step = self._tick(owing)
            if stop_when_filled and self._is_filled():
                return
            self.now = min(self.now + step, until)

    def _is_on_screen(self) -> bool:
        if not (self._shown and self.watched):
            return False
        tz = clock.zone(self.rows[self.watched].timezone)
        return ON_SCREEN_H[0] <= dt.datetime.fromtimestamp(self.now, tz).hour < ON_SCREEN_H[1]

    def _tick(self, owing: bool) -> float:
        store, now, work = self.store, self.now, self.store.work
        shown = self._is_on_screen()
        if shown:
            self._watch()
        urgent = planner.allowance(store, self.account, self.plan, now, for_user=True)
        ids = work.claim_looks(
            1, now, 40, "bench", priority_at_most=planner.SCREEN_PRIORITY, calls=self.costs, allowance=urgent
        )
        left = 0
        if not ids:
            left = planner.allowance(store, self.account, self.plan, now, for_user=False)
            ids = work.claim_looks(1, now, 60, "bench", calls=self.costs, allowance=left) if left else []
        if ids:
            budget = planner.budget(store, "bench", now)
            for look_id in ids:
                self._look(look_id, budget, owing)
            return TICK_S / 4 if len(ids) == 60 or shown else TICK_S
        if left and planner.may_buy_history(store, self.account, self.plan, now):
            gaps = work.claim_gaps(1, now, min(left, 60), "bench", calls=self.costs, allowance=left)
            for gap_id in gaps:
                self._gap(gap_id)
            if gaps:
                return TICK_S
        if left:
            following = store.database.scalar("SELECT min(next_due) FROM due WHERE account_id = 1")
            wait = max(TICK_S, float(following) - now) if following is not None else 900.0
        else:
            minute = any(
                s.window == "minute" and s.left <= planner.reserve(s, now)
                for s in store.ledger.standing("bench", self.limits, now)
            )
            wait = TICK_S if minute else 900.0
        return min(wait, 30.0 if shown else 900.0)

    def _watch(self) -> None:
        """Look at one site, as a page that is open does, and note how many buckets it is behind what the vendor has."""
        fine = self.vendor.resource(self.vendor.fine_resource)
        share = planner.SCREEN_SHARE * planner.even_per_day(self.limits, self.now)
        lasts = fine is not None and self.store.ledger.screen_used("bench", self.now) * fine.calls < share
        began = self._since == 0.0 or self.now - self._since > 3_600
        self._opened = self.now if began else self._opened
        self._since = self.now
        seen = self.polls.get(self.watched)
        row = self.rows[self.watched]
        light = clock.sun_up(self.now, row.latitude or 0.0, row.longitude or 0.0)
        if seen and lasts and light and self.now - self._opened > 180:
            lag = self.held(self.watched, self.now) - self.held(self.watched, seen[-1])
            self.behind.append(float(lag) / self.vendor.bucket_s)
        planner.bring_forward(self.store, self.account, self.plan, {self.watched}, self.now)

    def _spend(self, calls: int, *, history: bool) -> float | None:
        for _ in range(calls):
            until = self.store.ledger.spend("bench", self.limits, self.now, history=history)
            if until is not None:
                return until
            self.counted.call(self.now)
        return None

    def _look(self, look_id: int, budget: planner.Budget, owing: bool) -> None:
        work, now = self.store.work, self.now
        look = work.look(look_id, "bench")
        assert look is not None
        resource = self.vendor.resource(look.resource)
        assert resource is not None
        site = self.rows.get(look.site_id)
        if site is not None and resource.when_troubled and look.last_ok is not None and now - look.last_ok < 7 * DAY_S:
            # Nobody is in trouble here: these looks are spared, as fetch._is_well does.
            work.finish_look(look, planner.next_due(resource, site, now, budget), ok=True, now=look.last_ok)
            return
        until = self._spend(resource.calls, history=False)
        if until is not None:
            # As fetch._trouble does: not the look's failure.
            spared = msgspec.structs.replace(look, attempts=look.attempts - 1)
            work.finish_look(spared, until, ok=False, now=now)
            return
        if look.priority == planner.SCREEN_PRIORITY:
            self.store.ledger.note_screen("bench", now)
        if site is not None and resource.id == self.vendor.fine_resource:
            self.polls.setdefault(site.id, []).append(now)
        if owing and site is not None and resource.id in self.vendor.history:
            span, owed = planner.look_spans(self.vendor, resource.id, site, work.covered(site.id, resource.id), now)
            work.owe(1, site.id, resource.id, owed, reason="outage", priority=15, now=now)
            reach(self.context, site, resource.id, span)
        then = planner.next_due(resource, site, now, budget)
        work.finish_look(
            look, then, ok=True, now=now, priority=planner.priority_of(self.vendor, resource, favoured=False)
        )

    def _gap(self, gap_id: int) -> None:
        work = self.store.work
        gap = work.gap(gap_id, "bench")
        assert gap is not None
        until = self._spend(self.costs[gap.resource], history=True)
        if until is not None:
            work.postpone_gap(gap, until, failed=False)
            return
        work.close_gap(gap_id, "filled", self.now)

    def _is_filled(self) -> bool:
        """Whether every site was asked again since the last `resumed`, and nothing that an outage left is owed."""
        asked = all(self.polls.get(site, [0.0])[-1] > self.resumed for site in self.rows)
        count = "SELECT count(*) FROM gap WHERE closed_at IS NULL AND reason = 'outage'"
        return asked and not self.store.database.scalar(count)

    resumed: float = 0.0
    _opened: float = 0.0

    def gained_days(self) -> float:
        """Days of the finest history that were bought for each site."""
        seconds = self.store.database.scalar(
            "SELECT COALESCE(sum(span_end - span_start), 0) FROM gap WHERE outcome = 'filled' AND resource = ?",
            (self.vendor.fine_resource if self.vendor.fine_s else self.vendor.history[0],),
        )
        return float(seconds) / DAY_S / max(1, len(self.rows))

    def usd(self) -> float:
        """What the month has cost."""
        standings = self.store.ledger.standing("bench", self.limits, self.now - 1)
        return sum(forecast.spending(self.plan, s, None).so_far_usd for s in standings)

    def ages(self, polls: dict[int, Any]) -> tuple[float, float, float]:
        """Median, 95th percentile and mean of how far sites are behind their vendor, in minutes of daylight."""
        found = []
        first, end = START + DAY_S, self.now
        chosen = sorted(self.rows)[:: max(1, len(self.rows) // 100)]
        for site_id in chosen:
            row = self.rows[site_id]
            spans = _daylight(row, START - 40 * DAY_S, end)
            edges = np.array([edge for span in spans for edge in (span.start, span.end)], dtype=float)
            lit = np.concatenate([[0.0], np.cumsum(edges[1::2] - edges[0::2])])
            sunlit = np.empty(edges.size)
            sunlit[0::2], sunlit[1::2] = lit[:-1], lit[1:]
            moments = np.arange(first + 37, end, 311.0)
            place = np.searchsorted(edges, moments, side="right")
            moments = moments[place % 2 == 1]
            asked = np.asarray(polls.get(site_id, []), dtype=float)
            index = np.searchsorted(asked, moments, side="right") - 1
            have = np.where(index >= 0, self.held(site_id, asked[np.maximum(index, 0)]) if asked.size else START, START)
            there = self.held(site_id, moments)
            behind = np.interp(there, edges, sunlit) - np.interp(have, edges, sunlit)
            found.append(np.maximum(behind, 0.0) / 60)
        every = np.concatenate(found)
        return float(np.median(every)), float(np.percentile(every, 95)), float(np.mean(every))

    def close(self) -> None:
        """Close the store."""
        self.context.close()
        self.store.close()


def _phase(vendor: Vendor, site_id: int) -> int:
    """The beat by which a site reports, where its vendor has no marks of the clock."""
    return (site_id * 377) % vendor.bucket_s


def _daylight(row: SiteRow, start: float, end: float) -> list[Span]:
    assert row.latitude is not None
    assert row.longitude is not None
    spans: dict[int, Span] = {}
    at = start
    while at < end + DAY_S:
        for span in clock.daylight_near(at, row.latitude, row.longitude, 1):
            spans[span.start] = span
        at += DAY_S
    return [spans[start] for start in sorted(spans)]


def fixed_polls(vendor: Vendor, plan: Plan, sites: Iterable[int], end: float) -> tuple[dict[int, Any], float]:
    """When a poller with a fixed interval asks each site for its curve, and that interval in seconds.

    It asks the same resources in the same proportions, never faster than they declare, by day and by night, and spends
    the whole quota: no reserve, no history.
    """
    ids = list(sites)
    declared = planner.due_resources(vendor, plan)
    a_day = sum(
        DAY_S
        / r.every_s
        * r.calls
        * (len(ids) if r.per_site else 1 + len(ids) // 100)
        * (0.05 if r.when_troubled else 1)
        for r in declared
    )
    has = min(
        w.limit * 1440
        if w.window == "minute"
        else w.limit * DAY_S / (window_span(w.window, START)[1] - window_span(w.window, START)[0])
        for w in windows(plan)
    )
    fine = vendor.resource(vendor.fine_resource)
    assert fine is not None
    pause = fine.every_s * max(1.0, a_day / has)
    return {
        site_id: np.arange(START + pause * number / len(ids), end, pause) for number, site_id in enumerate(ids)
    }, pause


def _plans() -> list[tuple[Vendor, Plan]]:
    """Every cloud's plans. CPS has none: its data comes by itself or over the site's own network, for nothing."""
    return [(c.vendor, plan) for c in connectors().values() for plan in c.vendor.plans if len(c.vendor.history) > 1]


@contextmanager
def _folder() -> Any:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def month(
    vendor: Vendor, plan: Plan, sites: int, *, days: int | None = None, caps: dict[str, int] | None = None
) -> list[Row]:
    """The rows of one fleet under one plan."""
    if days is None:
        days = DAYS if any(w.window == "month" for w in plan.limits) else SAME_DAYS
    began = time.perf_counter()
    wanted_days = BACKFILL_DAYS.get(sites, 30)
    with _folder() as folder:
        life = Month(folder, vendor, plan, sites, caps=caps, backfill_days=wanted_days)
        life.run(START + days * DAY_S)
        watched = Month(folder, vendor, plan, sites, caps=caps, shown=True)
        watched.run(START + SCREEN_DAYS * DAY_S)
        median, p95, mean = life.ages(life.polls)
        polls, pause = fixed_polls(vendor, plan, life.rows, life.now)
        fixed, fixed95, fixed_mean = life.ages(polls)
        served = forecast.sites_served(vendor, plan, START, caps)
        fine = vendor.resource(vendor.fine_resource)
        scarce = fine is not None and pause > fine.every_s * 1.01
        screen = f"screen ≤ {max(watched.behind):.0f} bucket" if watched.behind else "no screen look"
        name = f"{vendor.id} {plan.id}{' cap ' + str(caps['month']) if caps else ''}, {sites:,} sites, {days} days"
        over = life.counted.over + watched.counted.over
        figure = (
            f"over {over}, calls {life.counted.calls:,}, {life.usd():.2f} USD; age {median:.0f}/{p95:.0f} min, "
            f"fixed {fixed:.0f}/{fixed95:.0f} min"
            + (f" → {median / fixed:.2f} (means {mean / fixed_mean:.2f})" if scarce and fixed and not caps else "")
            + f"; {screen}; +{life.gained_days():.1f} days; serves {served:,}"
        )
        life.close()
        watched.close()
    print(f"{name}: {figure}  [{time.perf_counter() - began:.0f} s]", file=sys.stderr, flush=True)
    return [Row(name, figure, f"0 over{f', ratio ≤ {AIM}' if scarce and not caps else ''}")]


def outage(vendor: Vendor, plan: Plan, share: float) -> Row:
    """Three days off, with a fleet at so much of what its plan serves: how long until every hole is filled."""
    with _folder() as folder:
        # The fleet is at its size; a thousand sites show what more would.
        sites = min(1_000, max(1, round(forecast.sites_served(vendor, plan, START) * share)))
        life = Month(folder, vendor, plan, sites, now=START + 8 * DAY_S)
        life.run(START + 11 * DAY_S, owing=True)
        life.store.database.execute("UPDATE gap SET closed_at = 0, outcome = 'left out' WHERE closed_at IS NULL")
        life.now = life.resumed = START + 14 * DAY_S
        pieces = _holes(life)
        announced = backfill.complete_at(life.context, life.account, plan, pieces)
        life.run(life.now + 20 * DAY_S, owing=True, stop_when_filled=True)
        took = (life.now - life.resumed) / DAY_S
        filled = life.store.database.scalar("SELECT count(*) FROM gap WHERE reason = 'outage' AND outcome = 'filled'")
        told = (announced - life.resumed) / DAY_S if announced is not None else float("inf")
        over = life.counted.over
        life.close()
    return Row(
        f"{vendor.id} {plan.id}, {sites:,} sites, 3 days of outage",
        f"refilled after {took:.2f} days ({filled} pieces), announced {told:.2f}; over {over}",
        "≤ 1 day" if share <= 0.5 else "≤ announced + 1 day",
    )


def _holes(life: Month) -> int:
    """The calls that what the outage left will cost, as `planner.look_spans` will find it."""
    return sum(
        life.costs[resource] * len(planner.look_spans(
            life.vendor, resource, site, life.store.work.covered(site.id, resource), life.now)[1])
        for site in life.rows.values()
        for resource in life.vendor.history
        if resource in life.plan.gives
    )  # fmt: skip


def rows() -> list[Row]:
    """Every vendor, plan and fleet; then a paid cap, and the outages."""
    found = [row for vendor, plan in _plans() for sites in FLEETS for row in month(vendor, plan, sites)]
    enphase = connector("enphase").vendor
    partner = enphase.plan("partner")
    assert partner is not None
    found += month(enphase, partner, 40, caps={"month": 30_000})
    found += [outage(vendor, plan, share) for vendor, plan in _plans() for share in (0.5, 1.0)]
    return found
