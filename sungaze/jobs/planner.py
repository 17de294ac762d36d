"""When what is asked: calls are spent where they lower the age of what is seen, and never over a limit.

A first planner (DESIGN 5): it paces looks over daylight by what the month has left, rests at night but for one
closing look after sunset, and buys history at connect with up to a tenth of the window, later with what is left over.
"""

from __future__ import annotations

import datetime as dt
import zlib
from typing import Final

import msgspec

from sungaze import clock
from sungaze.jobs.context import windows
from sungaze.model import DAY_S, Span
from sungaze.store import Store
from sungaze.store.fleet import AccountRow, SiteRow
from sungaze.store.ledger import window_span
from sungaze.vendors import connector
from sungaze.vendors._contract import Plan, Resource, Vendor

RESERVE: Final = 0.1
"""The share of every window that is kept for the user's own refresh and for reconnects."""
USER_PRIORITY: Final = 1
"""The priority of a look that the user asked for."""
HISTORY_SHARE: Final = 0.1
DAYLIGHT_SHARE: Final = 0.5
"""Of a day that is daylight, over a year and everywhere."""
TROUBLED_SHARE: Final = 0.05
"""Of a fleet's sites that are not well on a day."""
CLOSING_S: Final = 30 * 60
"""After sunset until the closing look: vendors take this long to have the last figures."""
AFTER_MIDNIGHT_S: Final = 30 * 60
"""After a site's midnight until its day is asked for, and three times that for the last of them."""
HISTORY_DAYS: Final = 30
FINE_S: Final = 2 * DAY_S
MOST_STRETCH: Final = 10_000.0
OVERLAP_S: Final = 2 * 3_600
"""How far a look reaches back before what is known: the newest figures can still grow."""
LOOK_BACK_DAYS: Final = 7


class Budget(msgspec.Struct, frozen=True):
    """What a scope may spend.

    `stretch` is by how much every pause has to be longer than declared, `resets_at` when the month or day that makes
    it so ends (epoch seconds).
    """

    stretch: float = 1.0
    per_day: float = float("inf")
    wanted_per_day: float = 0.0
    resets_at: float = float("inf")


def calls_per_day(vendor: Vendor, plan: Plan, sites: int) -> float:
    """Calls a day at the declared pace."""
    total = 0.0
    for resource in due_resources(vendor, plan):
        looks = DAY_S / resource.every_s * (1.0 if resource.night or resource.every_s >= DAY_S else DAYLIGHT_SHARE)
        if resource.when_troubled:
            looks = max(1 / 7, TROUBLED_SHARE * looks)
        total += looks * resource.calls * (sites if resource.per_site else 1 + sites // 100)
    return total


def due_resources(vendor: Vendor, plan: Plan) -> list[Resource]:
    """The resources that a plan gives, the list among them."""
    return [r for r in vendor.resources if not r.per_site or r.id in plan.gives]


def budget(store: Store, scope: str, now: float) -> Budget:
    """How the accounts of a scope may spend the rest of their month or day."""
    wanted = 0.0
    plans: list[Plan] = []
    links: dict[int, int] = {}
    for account_ids in store.fleet.accounts_of_sites().values():
        for account_id in account_ids:
            links[account_id] = links.get(account_id, 0) + 1
    for account in store.fleet.accounts():
        vendor = connector(account.vendor).vendor
        plan = vendor.plan(account.plan)
        if account.scope == scope and plan is not None:
            plans.append(plan)
            wanted += calls_per_day(vendor, plan, links.get(account.id, 0))
    per_day = resets_at = float("inf")
    for plan in plans[:1]:
        for standing in store.ledger.standing(scope, windows(plan), now):
            if standing.window == "minute":
                per_day = min(per_day, standing.limit * 1440 * (1 - RESERVE))
            else:
                resets_at = min(resets_at, standing.resets_at)
                days = max((standing.resets_at - now) / DAY_S, 0.25)
                share = max(standing.left - RESERVE * standing.limit, 0.0) / days
                start, end = window_span(standing.window, now)
                even = (1 - RESERVE) * standing.limit * DAY_S / (end - start)
                # Looks that do not stretch (closing ones, first ones) run ahead of the plan: the rest makes up for it.
                per_day = min(per_day, share * min(1.0, share / even))
    stretch = min(max(1.0, wanted / per_day), MOST_STRETCH) if per_day else MOST_STRETCH
    return Budget(stretch, per_day, wanted, resets_at)


def next_due(resource: Resource, site: SiteRow | None, now: float, budget: Budget) -> float:
    """When a look comes round again: at the latest soon after the window that slows it down ends.

    By night only what is worth it then; else a closing look after sunset, and the next after sunrise. What is whole
    only when the site's day has ended is asked soon after its midnight.
    """
    key = f"{resource.id}:{site.id if site else 0}".encode()
    spread = 0.95 + 0.1 * (zlib.crc32(key) % 1000) / 1000
    stretch = budget.stretch
    then = now + resource.every_s * stretch * spread
    if stretch > 1 and then > budget.resets_at:
        then = max(budget.resets_at, now) + min(resource.every_s, DAY_S) * spread
    tz = clock.zone(site.timezone) if site else None
    if resource.after_midnight and tz is not None:
        day = clock.day_of(now, tz) + dt.timedelta(days=max(1, round(stretch)))
        return clock.midnight(day, tz) + AFTER_MIDNIGHT_S * 20 * (spread - 0.95) + AFTER_MIDNIGHT_S
    if resource.night or site is None or site.latitude is None or site.longitude is None:
        return then
    if resource.every_s >= DAY_S or clock.sun_up(then, site.latitude, site.longitude):
        return then
    sunset = clock.last_sunset(then, site.latitude, site.longitude)
    closing = sunset + CLOSING_S if sunset is not None else None
    if closing is not None and now < closing:
        return closing
    sunrise = clock.next_sunrise(then, site.latitude, site.longitude)
    # With neither sunrise nor sunset near it is polar night: a look a day tells when it ends.
    return sunrise + CLOSING_S * spread if sunrise is not None else now + DAY_S


def backoff_s(attempts: int) -> float:
    """The pause after a failed look: a minute, doubling to an hour."""
    return min(3600.0, 60.0 * float(1 << min(attempts, 6)))


def look_spans(
    vendor: Vendor, resource: str, site: SiteRow, covered: Span | None, now: float
) -> tuple[Span, list[Span]]:
    """What a look asks for now, and older spans that turn out to be owed.

    A curve is asked from the site's local midnight on; where the last answer ended before that, as after an outage,
    the time between is owed.
    """
    at = int(now)
    if resource not in vendor.history:
        return Span(at, at), []
    if resource == vendor.history[0]:
        tz = clock.zone(site.timezone)
        start = at - LOOK_BACK_DAYS * DAY_S
        return Span(clock.midnight(clock.day_of(start, tz), tz) if tz else start, at), []
    today = _today(site, at)
    pieces = connector(vendor.id).chunks(resource, today)
    newest, older = pieces[0], pieces[1:]
    declared = vendor.resource(resource)
    if covered is None or (declared is not None and declared.every_s >= DAY_S):
        # What is asked once a day reaches back by itself as far as it has to.
        return newest, []
    reached = covered.end - OVERLAP_S
    if reached < today.start:
        older += connector(vendor.id).chunks(resource, Span(reached, today.start))
    return newest, [piece for piece in older if piece.end > reached]


def _today(site: SiteRow, now: int) -> Span:
    """The site's local day so far, and by its first half also the evening before: it costs nothing more."""
    tz = clock.zone(site.timezone)
    start = now - DAY_S // 2
    return Span(min(start, clock.midnight(clock.day_of(now, tz), tz)) if tz else start, now)


def first_history(vendor: Vendor, resource: str, site: SiteRow, now: float) -> list[Span]:
    """The history bought at connect: 30 days of daily figures, 48 hours of the finest; newest first.

    Days need the site's zone; without it nothing is asked yet.
    """
    at = int(now)
    tz = clock.zone(site.timezone)
    if resource == vendor.history[0]:
        if tz is None:
            return []
        today = clock.day_of(at, tz)
        span = Span(clock.midnight(today - dt.timedelta(days=HISTORY_DAYS), tz), clock.midnight(today, tz))
        return connector(vendor.id).chunks(resource, span)
    newest = connector(vendor.id).chunks(resource, _today(site, at))[0]
    # The look that brings the newest piece may come later than this is planned, and then begins later.
    span = Span(at - FINE_S - 3600, min(newest.start + OVERLAP_S, at))
    return connector(vendor.id).chunks(resource, span)


def may_buy_history(store: Store, account: AccountRow, plan: Plan, now: float) -> bool:
    """Whether a call may go to history now: within its own share, or from what the pace has left over."""
    for standing in store.ledger.standing(account.scope, windows(plan), now):
        if standing.window == "minute":
            continue
        if store.ledger.history_used(account.scope, standing.window, now) < HISTORY_SHARE * standing.limit:
            continue
        start, end = window_span(standing.window, now)
        gone = (now - start) / (end - start)
        if standing.used >= standing.limit * (1 - RESERVE) * gone:
            return False
    return True


def allowance(store: Store, account: AccountRow, plan: Plan, now: float, *, for_user: bool) -> int:
    """How many more looks may be begun now; a share of every window is kept for what the user asks for."""
    left = 1 << 20
    for standing in store.ledger.standing(account.scope, windows(plan), now):
        kept = 0 if for_user else max(1, int(standing.limit * RESERVE))
        left = min(left, standing.left - kept)
    return max(0, left)
