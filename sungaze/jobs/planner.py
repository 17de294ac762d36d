"""When what is asked: calls are spent where they lower the age of what is seen, and never over a limit.

DESIGN 5. One number, the stretch, says by how much every pause is longer than declared, so that the month's calls last
to its end; pauses are counted in daylight, so that a night costs one closing look and nothing more. What is on screen
comes first while a share of the day's calls lasts. History is bought with up to a tenth of a window, later with what
the pace has left over.
"""

from __future__ import annotations

import datetime as dt
import math
import zlib
from collections.abc import Collection
from functools import lru_cache
from typing import Final

import msgspec

from sungaze import clock
from sungaze.jobs.context import windows
from sungaze.model import DAY_S, Span
from sungaze.store import Store
from sungaze.store.fleet import AccountRow, SiteRow
from sungaze.store.ledger import Standing, Window, window_span
from sungaze.store.work import FIRST_PRIORITY
from sungaze.vendors import connector
from sungaze.vendors._contract import Plan, Resource, Vendor

RESERVE: Final = 0.1
"""The share of what is left of every window that is kept for the user's own refresh and for reconnects."""
LAST_RESERVE: Final = 0.02
"""The share of a whole window that is kept to its very end."""
USER_PRIORITY: Final = 1
"""The priority of a look that the user asked for."""
SCREEN_PRIORITY: Final = 2
"""The priority of a look at a site that is on screen."""
FAVOURED_PRIORITY: Final = 5
"""The priority of the curve of a site with an open alarm or a tag; ordinary looks begin at FIRST_PRIORITY."""
SCREEN_SHARE: Final = 0.2
"""The share of a day's calls that sites on screen may have before they wait their turn as all do."""
HISTORY_SHARE: Final = 0.1
DAYLIGHT_SHARE: Final = 0.5
"""Of a day that is daylight, over a year and everywhere."""
LEAST_DAYLIGHT: Final = 0.25
"""The shortest day, as a share, by which a pause that is counted in daylight becomes longer."""
TROUBLED_SHARE: Final = 0.05
"""Of a fleet's sites that are not well on a day."""
FAVOUR: Final = 2.0
"""How many times as often as the others a favoured site is asked where calls are scarce."""
LESSER: Final = 3.0
"""How many times as seldom everything but list and curve is asked where calls are scarce."""
DAILY_S: Final = 2 * DAY_S
"""The pause between daily figures that is not made longer than the curve's own stretch makes it."""
CLOSING_S: Final = 30 * 60
"""After sunset until the closing look: vendors take this long to have the last figures."""
CLOSING_WORTH_S: Final = 3 * 3_600
"""The longest pause with which a closing look is worth its call: a longer one sees the evening next morning."""
UPLOAD_S: Final = 60
"""From a site's report until its vendor shows the figures [assumed]."""
AFTER_MIDNIGHT_S: Final = 30 * 60
"""After a site's midnight until its day is asked for, and three times that for the last of them."""
HISTORY_DAYS: Final = 30
FINE_S: Final = 2 * DAY_S
MOST_STRETCH: Final = 10_000.0
OVERLAP_S: Final = 2 * 3_600
"""How far a look reaches back before what is known: the newest figures can still grow."""
LOOK_BACK_DAYS: Final = 7
FIRST_ROUND_S: Final = 60 * DAY_S
"""Over which the first looks at what is not seen at once are spread, where calls are scarce."""
ROUND_SHARE: Final = 0.2
"""Of a day's calls what first looks at new sites may take where their curves come in bulk."""

_FAVOURED: Final = (
    "(site.tags <> '[]' OR EXISTS (SELECT 1 FROM alert WHERE alert.site_id = site.id AND resolved_at IS NULL AND "
    "acknowledged_at IS NULL AND severity <> 'info'))"
)


class Budget(msgspec.Struct, frozen=True):
    """What a scope may spend.

    `stretch` is by how much every pause has to be longer than declared, `resets_at` when the month or day that makes
    it so ends (epoch seconds), and `fresh_stretch` what it will be then. `per_day` and `wanted_per_day` are calls.
    """

    stretch: float = 1.0
    per_day: float = float("inf")
    wanted_per_day: float = 0.0
    resets_at: float = float("inf")
    fresh_stretch: float = 1.0


class Load(msgspec.Struct, frozen=True):
    """How many sites an account has to ask for, and how many of them are favoured.

    `singly` says that its looks in bulk fail, so that each site is asked for by itself.
    """

    vendor: Vendor
    plan: Plan
    sites: int
    favoured: int = 0
    singly: bool = False


def calls_per_day(
    vendor: Vendor, plan: Plan, sites: int, *, stretch: float = 1.0, favoured: int = 0, singly: bool = False
) -> float:
    """Calls a day at the declared pace, or with every pause stretched.

    What a look in bulk settles is counted with it, unless they are asked `singly`.
    """
    total = 0.0
    in_bulk = {} if singly else settled(vendor, plan)
    for resource in due_resources(vendor, plan):
        if resource.id in in_bulk:
            continue
        once = _looks_a_day(vendor, resource, stretch) * resource.calls
        if not resource.per_site:
            total += once * (1 + sites // 100)
        elif resource.id == vendor.fine_resource and favoured:
            often = _looks_a_day(vendor, resource, max(1.0, stretch / FAVOUR)) * resource.calls
            total += once * (sites - favoured) + often * favoured
        else:
            total += once * sites
    return total


def _looks_a_day(vendor: Vendor, resource: Resource, stretch: float) -> float:
    pause = resource.every_s * slower(vendor, resource, stretch)
    looks = DAY_S / pause
    if not (resource.night or resource.after_midnight or resource.every_s >= DAY_S):
        looks *= DAYLIGHT_SHARE
    return max(1 / 7 / stretch, TROUBLED_SHARE * looks) if resource.when_troubled else looks


def slower(vendor: Vendor, resource: Resource, stretch: float) -> float:
    """By how much a resource's own pause grows: list and curve, which are seen, less than all the rest."""
    if stretch <= 1 or resource.id == vendor.fine_resource or not resource.per_site:
        return stretch
    lesser = stretch * min(stretch, LESSER)
    if resource.id in vendor.history[:1]:
        # Yesterday's energy is what a fleet's page begins with.
        return min(lesser, max(stretch, DAILY_S / resource.every_s))
    return lesser


def due_resources(vendor: Vendor, plan: Plan) -> list[Resource]:
    """The resources that a plan gives, and those that serve the account and that no plan names, the list among them."""
    named = frozenset[str]().union(*(known.gives for known in vendor.plans))
    return [r for r in vendor.resources if r.id in plan.gives or not (r.per_site or r.id in named)]


def settled(vendor: Vendor, plan: Plan) -> dict[str, Resource]:
    """The resources per site that a plan gives in bulk, and of each the one that brings it for many sites at once."""
    return {r.settles: r for r in due_resources(vendor, plan) if r.settles}


def stretch_for(loads: Collection[Load], per_day: float) -> float:
    """The least stretch, 1 or more, with which these accounts keep within so many calls a day."""

    if per_day <= 0:
        return MOST_STRETCH
    # To three figures, so that what changes with every call is not worked out anew with every call.
    digits = 2 - math.floor(math.log10(per_day)) if per_day < math.inf else 0
    known = tuple((x.vendor.id, x.plan.id, x.sites, x.favoured, x.singly) for x in loads)
    return _stretch_for(known, round(per_day, digits) if per_day < math.inf else per_day)


@lru_cache(maxsize=1_000)
def _stretch_for(known: tuple[tuple[str, str, int, int, bool], ...], per_day: float) -> float:
    loads = [
        Load(vendor, plan, sites, favoured, singly)
        for vendor_id, plan_id, sites, favoured, singly in known
        if (plan := (vendor := connector(vendor_id).vendor).plan(plan_id)) is not None
    ]

    def wanted(stretch: float) -> float:
        return wanted_per_day(loads, stretch=stretch)

    low, high = 1.0, MOST_STRETCH
    if wanted(low) <= per_day:
        return low
    if wanted(high) > per_day:
        return high
    while high / low > 1.01:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if wanted(middle) > per_day else (low, middle)
    return high


def loads_of(store: Store, scope: str) -> list[Load]:
    """What the accounts of a scope have to ask for; accounts with an unknown plan are left out."""
    found = []
    for vendor_id, plan_id, sites, favoured, failing in store.database.rows(
        f"SELECT account.vendor, plan, count(site.id), COALESCE(sum({_FAVOURED}), 0), (SELECT group_concat(resource) "
        "FROM due WHERE due.account_id = account.id AND due.site_id = 0 AND attempts > 0) FROM account "
        "LEFT JOIN account_site ON account_id = account.id AND gone_since IS NULL "
        "LEFT JOIN site ON site.id = site_id WHERE scope = ? AND removed_at IS NULL GROUP BY account.id",
        (scope,),
    ):
        vendor = connector(vendor_id).vendor
        plan = vendor.plan(plan_id)
        if plan is not None:
            in_bulk = {bulk.id for bulk in settled(vendor, plan).values()}
            found.append(Load(vendor, plan, sites, favoured, not in_bulk.isdisjoint((failing or "").split(","))))
    return found


def wanted_per_day(loads: Collection[Load], *, stretch: float = 1.0) -> float:
    """The calls a day that these accounts take at the declared pace, or with every pause stretched."""
    return sum(
        calls_per_day(x.vendor, x.plan, x.sites, stretch=stretch, favoured=x.favoured, singly=x.singly) for x in loads
    )


def is_favoured(store: Store, site_id: int) -> bool:
    """Whether a site has an open alarm or a tag, so that it is asked more often than others."""
    return bool(store.database.scalar(f"SELECT {_FAVOURED} FROM site WHERE id = ?", (site_id,)))


def even_per_day(limits: Collection[Window], now: float) -> float:
    """The calls a day that a fresh set of windows gives, the reserve taken off."""
    per_day = float("inf")
    for window in limits:
        days = 1 / 1440 if window.window == "minute" else _days(window.window, now)
        per_day = min(per_day, (1 - RESERVE) * window.limit / days)
    return per_day


def _days(window: str, now: float) -> float:
    start, end = window_span(window, now)
    return (end - start) / DAY_S


def reserve(standing: Standing, now: float) -> int:
    """The calls of a window that are kept for what the user asks for: fewer as its end comes near."""
    if standing.window == "minute":
        share = RESERVE
    else:
        start, end = window_span(standing.window, now)
        share = max(LAST_RESERVE, RESERVE * (end - now) / (end - start))
    return max(1, int(standing.limit * share))


def budget(store: Store, scope: str, now: float) -> Budget:
    """How the accounts of a scope may spend the rest of their month or day."""
    loads = loads_of(store, scope)
    if not loads:
        return Budget()
    limits = windows(loads[0].plan, store.ledger.caps(scope))
    per_day = resets_at = float("inf")
    for standing in store.ledger.standing(scope, limits, now):
        if standing.window == "minute":
            per_day = min(per_day, standing.limit * 1440 * (1 - RESERVE))
        else:
            resets_at = min(resets_at, standing.resets_at)
            days = max((standing.resets_at - now) / DAY_S, 0.25)
            per_day = min(per_day, max(standing.left - reserve(standing, now), 0) / days)
    wanted = wanted_per_day(loads)
    fresh = stretch_for(loads, even_per_day(limits, now))
    return Budget(stretch_for(loads, per_day), per_day, wanted, resets_at, fresh)


def next_due(resource: Resource, site: SiteRow | None, now: float, budget: Budget, *, favoured: bool = False) -> float:
    """When a look comes round again: at the latest soon after the window that slows it down ends.

    Pauses run by day only. By night comes what is worth it then, and a closing look after sunset where the pauses are
    short. What is whole only when the site's day has ended is asked soon after its midnight.
    """
    key = f"{resource.id}:{site.id if site else 0}".encode()
    luck = (zlib.crc32(key) % 1000) / 1000
    spread = 0.95 + 0.1 * luck
    vendor = connector(site.vendor).vendor if site else None
    pause, fresh = resource.every_s * budget.stretch, resource.every_s * budget.fresh_stretch
    if vendor is not None:
        favour = FAVOUR if favoured and resource.id == vendor.fine_resource else 1.0
        pause = resource.every_s * slower(vendor, resource, max(1.0, budget.stretch / favour))
        fresh = resource.every_s * slower(vendor, resource, max(1.0, budget.fresh_stretch / favour))
    tz = clock.zone(site.timezone) if site else None
    if resource.after_midnight and tz is not None:
        day = clock.day_of(now, tz) + dt.timedelta(days=max(1, round(pause / DAY_S)))
        then = clock.midnight(day, tz) + AFTER_MIDNIGHT_S * 20 * (spread - 0.95) + AFTER_MIDNIGHT_S
    elif resource.night or site is None or site.latitude is None or site.longitude is None:
        then = now + pause * spread
    elif resource.every_s >= DAY_S:
        # Once a day or less: nights count, and one that falls into the night waits for the sun.
        then = now + pause * spread
        up = clock.next_sunrise(then, site.latitude, site.longitude)
        if up is not None and not clock.sun_up(then, site.latitude, site.longitude):
            then = up + 2 * CLOSING_S * (0.5 + luck)
    elif vendor is not None and resource.id in vendor.history[:1] and pause > DAY_S / 2:
        then = _next_closing(now + pause - DAY_S / 2, site.latitude, site.longitude) or now + pause * spread
    else:
        # A day's running sum that was not asked for after sunset would stand as the whole day's.
        is_sum = vendor is not None and resource.id in vendor.history[:1]
        is_closing = is_sum or pause <= CLOSING_WORTH_S
        then = _by_day(now, pause, spread, site.latitude, site.longitude, is_closing=is_closing)
        seen = vendor is not None and resource.id == vendor.fine_resource and pause >= vendor.bucket_s
        if vendor is not None and seen and clock.sun_up(then, site.latitude, site.longitude):
            then = max(_after_new_figures(vendor, site, then) + 60 * luck, now + vendor.bucket_s / 2)
    if then > budget.resets_at and pause > fresh:
        # The new window gives more: its first round is spread over the pause that it affords.
        then = min(then, max(budget.resets_at, now) + max(fresh * luck, min(resource.every_s, DAY_S) * spread))
    return max(then, now + 1)


def while_any_sun(store: Store, account_id: int, resource: Resource, then: float) -> float:
    """When a look that serves a whole account comes round: by night at all of its sites it waits for the first sun."""
    if resource.night or resource.per_site:
        return then
    sites = store.fleet.sites(store.fleet.sites_of_account(account_id))
    rises = []
    for site in sites:
        if site.latitude is None or site.longitude is None or clock.sun_up(then, site.latitude, site.longitude):
            return then
        rises.append(clock.next_sunrise(then, site.latitude, site.longitude))
    first = min((rise for rise in rises if rise is not None), default=None)
    return then if first is None else first + CLOSING_S


def _after_new_figures(vendor: Vendor, site: SiteRow, then: float) -> float:
    """The moment near `then` at which the vendor has just had new figures of a site: a look before it is half in vain.

    They come at marks of the clock, or by the site's own beat, which its last report tells.
    """
    settle = vendor.settle_s
    if not settle:
        if site.last_updated is None:
            return then
        settle = site.last_updated % vendor.bucket_s + UPLOAD_S
    return round((then - settle) / vendor.bucket_s) * vendor.bucket_s + settle


def _next_closing(earliest: float, latitude: float, longitude: float) -> float | None:
    """When the sun has set after that instant, and the last figures are there; None where it does not set."""
    ends = (span.end + CLOSING_S for span in clock.daylight_near(earliest, latitude, longitude, 2))
    return next((end for end in ends if end >= earliest), None)


def _by_day(now: float, pause: float, spread: float, latitude: float, longitude: float, *, is_closing: bool) -> float:
    """When so much daylight will have passed; with `is_closing` the last look of a day comes after sunset."""
    days = clock.daylight_near(now, latitude, longitude, 2)
    today = next((span for span in days if span.start <= now < span.end), None)
    left = pause * spread
    if today is not None and now + left < today.end - (pause / 2 if is_closing else 0):
        return now + left
    closing = (today.end if today else max((s.end for s in days if s.end <= now), default=-DAY_S)) + CLOSING_S
    if is_closing and now < closing:
        return closing
    if today is not None:
        left -= today.end - now
    for span in days:
        if span.start > now:
            if left < span.end - span.start:
                return span.start + max(left, CLOSING_S * spread if is_closing else 0.0)
            left -= span.end - span.start
    lit = sum(span.end - span.start for span in days) / (5 * DAY_S)
    # With neither sunrise nor sunset near it is polar night: a look a day tells when it ends.
    then = now + max(pause * spread / max(lit, LEAST_DAYLIGHT), DAY_S)
    up = clock.next_sunrise(then, latitude, longitude)
    return then if up is None or clock.sun_up(then, latitude, longitude) else up + 3_600 * (spread - 0.95) * 40


def first_due(
    vendor: Vendor, resource: Resource, site_id: int, now: float, stretch: float, *, round_days: float = 0.0
) -> float:
    """When a new site is first asked: at once for what it is seen by, later for the rest where calls are scarce.

    `round_days` is over how long the rest is spread where it would take the calls that the curve needs in bulk.
    """
    fine = vendor.resource(vendor.fine_resource)
    if round_days:
        return now + zlib.crc32(f"{resource.id}:{site_id}:first".encode()) % 1000 / 1000 * round_days * DAY_S
    if stretch <= 2 or resource.id == vendor.fine_resource or (fine is not None and resource.order < fine.order):
        return now
    luck = (zlib.crc32(f"{resource.id}:{site_id}:first".encode()) % 1000) / 1000
    if resource.when_troubled:
        return now + luck * FIRST_ROUND_S * max(1, stretch / 60)
    return now + luck * min(resource.every_s * slower(vendor, resource, stretch), FIRST_ROUND_S * max(1, stretch / 60))


def round_days(vendor: Vendor, plan: Plan, sites: int) -> float:
    """Days over which the first looks at so many new sites are spread, 0 where a fifth of a day's calls serves them."""
    in_bulk = settled(vendor, plan)
    calls = sites * sum(r.calls for r in due_resources(vendor, plan) if r.per_site and r.id not in in_bulk)
    a_day = ROUND_SHARE * min((limit.cap for limit in plan.limits if limit.window == "day"), default=math.inf)
    return calls / a_day if calls > a_day else 0.0


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
        if tz is None:
            return Span(start, at), []
        begin = clock.midnight(clock.day_of(start, tz), tz)
        # After an outage that was longer than a look reaches back, from the last day on that may have been half done.
        reached = clock.midnight(clock.day_of(covered.end - DAY_S, tz), tz) if covered is not None else begin
        owed = connector(vendor.id).chunks(resource, Span(reached, begin)) if reached < begin else []
        return Span(begin, at), owed
    today = _today(site, at)
    pieces = connector(vendor.id).chunks(resource, today)
    newest, older = pieces[0], pieces[1:]
    declared = vendor.resource(resource)
    if covered is None:
        # A day and a night: before sunrise in winter the last half a day was dark, and nothing would be known.
        return connector(vendor.id).chunks(resource, Span(min(today.start, at - DAY_S), at))[0], []
    if declared is not None and declared.every_s >= DAY_S:
        # What is asked once a day reaches back over the day before by itself (or has it owed with the daily figures);
        # after a longer silence the rest is owed, and half a day more, for the last figures may have come late.
        if covered.end > at - 3 * DAY_S // 2:
            return newest, []
        return newest, connector(vendor.id).chunks(resource, Span(covered.end - DAY_S // 2, newest.start))
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


def last_light(site: SiteRow, now: float) -> int | None:
    """When the sun went down at a site where it is night; None by day, in the polar night, or where it is not known."""
    if site.latitude is None or site.longitude is None or clock.sun_up(now, site.latitude, site.longitude):
        return None
    return clock.last_sunset(now, site.latitude, site.longitude)


def may_buy_history(store: Store, account: AccountRow, plan: Plan, now: float) -> bool:
    """Whether a call may go to history now: within its own share, or from what the pace has left over."""
    for standing in store.ledger.standing(account.scope, windows(plan, store.ledger.caps(account.scope)), now):
        if standing.window == "minute":
            continue
        if store.ledger.history_used(account.scope, standing.window, now) < HISTORY_SHARE * standing.limit:
            continue
        start, end = window_span(standing.window, now)
        gone = (now - start) / (end - start)
        if standing.used >= standing.limit * (1 - RESERVE) * gone:
            return False
    return True


def allowance(store: Store, account: AccountRow, plan: Plan, now: float, *, for_user: bool, under_way: int = 0) -> int:
    """How many more calls may be begun now; a share of every window is kept for what the user asks for.

    `under_way` are calls of looks that have begun and may not have spent them yet. Looks that come round keep to an
    even pace, whatever falls due at once: no more than the window's even share so far, and a day's ahead.
    """
    left = 1 << 20
    for standing in store.ledger.standing(account.scope, windows(plan, store.ledger.caps(account.scope)), now):
        left = min(left, standing.left - (0 if for_user else reserve(standing, now)))
        if not for_user and standing.window == "month":
            start, end = window_span(standing.window, now)
            history = store.ledger.history_used(account.scope, standing.window, now)
            paced = standing.limit * (now - start + DAY_S) / (end - start)
            left = min(left, int(paced) - (standing.used - history))
    return max(0, left - under_way)


def calls_of(vendor: Vendor, limits: Collection[Window]) -> dict[str, int]:
    """The calls that a look at each resource costs at the least, and never more than a window can ever give."""
    most = min((max(1, window.limit - max(1, int(window.limit * RESERVE))) for window in limits), default=1 << 20)
    return {resource.id: min(resource.calls, most) for resource in vendor.resources}


def bring_forward(store: Store, account: AccountRow, plan: Plan, on_screen: Collection[int], now: float) -> int:
    """The number of sites on screen whose curve is asked sooner: as often as the vendor has new figures.

    Only by day, and only while their share of the day's calls lasts.
    """
    vendor = connector(account.vendor).vendor
    resource = vendor.resource(vendor.fine_resource)
    if not on_screen or resource is None or resource.id not in plan.gives:
        return 0
    a_day = even_per_day(windows(plan, store.ledger.caps(account.scope)), now)
    if store.ledger.screen_used(account.scope, now) * resource.calls >= SCREEN_SHARE * a_day:
        return 0
    moved = 0
    # A little sooner than figures come, so that two of them are never waited for.
    pause = max(vendor.bucket_s - UPLOAD_S, resource.least_s)
    for look_id, site_id, next_at, last_ok in store.database.rows(
        "SELECT id, site_id, next_due, COALESCE(last_ok, 0) FROM due WHERE account_id = ? AND resource = ? AND "
        f"lease_until IS NULL AND attempts = 0 AND priority > {SCREEN_PRIORITY} "
        f"AND site_id IN ({','.join(map(str, map(int, on_screen)))})",
        (account.id, resource.id),
    ):
        then = last_ok + pause
        if vendor.settle_s:
            # The bucket that closes next after the last look, as soon as it has settled.
            then = (last_ok - vendor.settle_s) // vendor.bucket_s * vendor.bucket_s + vendor.bucket_s + vendor.settle_s
        site = store.fleet.site(site_id)
        dark = (
            site.latitude is not None
            and site.longitude is not None
            and not clock.sun_up(max(then, now), site.latitude, site.longitude)
        )
        if not dark and (then < next_at or next_at <= now):
            store.database.execute(
                "UPDATE due SET next_due = min(next_due, ?), priority = ? WHERE id = ? AND lease_until IS NULL",
                (then, SCREEN_PRIORITY, look_id),
            )
            moved += 1
    return moved


def priority_of(vendor: Vendor, resource: Resource, *, favoured: bool) -> int:
    """The priority with which a look comes round; one in bulk goes before what it settles."""
    if resource.settles or (favoured and resource.id == vendor.fine_resource):
        return FAVOURED_PRIORITY
    return max(resource.order, FIRST_PRIORITY)
