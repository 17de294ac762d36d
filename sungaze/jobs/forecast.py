"""What it costs and how long it takes, told before it is begun, and what a plan serves."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from sungaze.jobs import planner
from sungaze.jobs.context import windows
from sungaze.jobs.planner import Load
from sungaze.model import DAY_S, Span
from sungaze.store import Store
from sungaze.store.ledger import Standing, Window, window_span
from sungaze.vendors import connector
from sungaze.vendors._contract import Method, Plan, Vendor

LONGEST_DAYS: Final = 3_660
"""How far ahead an end is looked for; one that lies beyond ten years is none."""
MOST_SITES: Final = 100_000
MONTH_DAYS: Final = 30.4


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan gives a fleet.

    `sites_served` can be asked at the declared pace; `age_minutes` is the age, in minutes of daylight, that a curve
    has on the average between two looks, what the vendor itself takes not counted.
    """

    plan: str
    sites_served: int
    age_minutes: float
    calls_per_day: float
    wanted_per_day: float


class Spending(msgspec.Struct, frozen=True):
    """A window in money: what beyond the included calls has cost so far, and will have cost at its end, USD."""

    so_far_usd: float
    forecast_usd: float


def daylight_per_day(limits: Collection[Window], now: float) -> float:
    """The calls a day that looks can have: a minute's limit serves them by day only, for most sites share their sun."""
    per_day = planner.even_per_day(limits, now)
    for window in limits:
        if window.window == "minute":
            per_day = min(per_day, (1 - planner.RESERVE) * window.limit * 1440 * planner.DAYLIGHT_SHARE)
    return per_day


def sites_served(vendor: Vendor, plan: Plan, now: float, caps: Mapping[str, int] | None = None) -> int:
    """The number of sites that a plan can ask for at the declared pace."""
    per_day = daylight_per_day(windows(plan, caps), now)
    low, high = 0, MOST_SITES
    while low < high:
        middle = (low + high + 1) // 2
        if planner.calls_per_day(vendor, plan, middle) <= per_day:
            low = middle
        else:
            high = middle - 1
    return low


def service(
    vendor: Vendor, plan: Plan, sites: int, now: float, caps: Mapping[str, int] | None = None, *, favoured: int = 0
) -> Service:
    """What a plan gives so many sites."""
    per_day = daylight_per_day(windows(plan, caps), now)
    stretch = planner.stretch_for([Load(vendor, plan, sites, favoured)], per_day)
    fine = vendor.resource(vendor.fine_resource)
    return Service(
        plan=plan.id,
        sites_served=sites_served(vendor, plan, now, caps),
        age_minutes=(fine.every_s if fine else 0) * stretch / 120,
        calls_per_day=per_day,
        wanted_per_day=planner.calls_per_day(vendor, plan, sites, favoured=favoured),
    )


def start_calls(vendor: Vendor, plan: Plan, sites: int, now: float) -> tuple[int, int]:
    """Calls that a new account takes at once: its first looks, and the first history (30 days, and 48 hours)."""
    in_bulk = planner.settled(vendor, plan)
    looks = sum(
        r.calls * (sites if r.per_site else 1 + sites // 100)
        for r in planner.due_resources(vendor, plan)
        if r.id not in in_bulk
    )
    return looks, first_history_calls(vendor, plan, now) * sites


def first_history_calls(vendor: Vendor, plan: Plan, now: float) -> int:
    """What the history that is bought at connect costs for each site, by the ranges that its vendor gives."""
    calls = 0
    for resource in vendor.history:
        declared = vendor.resource(resource)
        if resource in plan.gives and declared is not None:
            span = planner.HISTORY_DAYS * DAY_S if resource == vendor.history[0] else planner.FINE_S + DAY_S
            pieces = connector(vendor.id).chunks(resource, Span(int(now) - span, int(now)))
            calls += len(pieces) * declared.calls
    return calls


def next_plan(vendor: Vendor, method: Method | None, plan: Plan, sites: int, now: float) -> Service | None:
    """What the vendor's next larger plan of the same way in would give, or None where this is the largest."""
    here = sites_served(vendor, plan, now)
    known = [p for p in vendor.plans if p.id != plan.id and (method is None or p.id in method.plans)]
    larger = [found for p in known if (found := service(vendor, p, sites, now)).sites_served > here]
    return min(larger, key=lambda s: s.sites_served, default=None)


def age_words(minutes: float) -> str:
    """An age in daylight as a person says it."""
    if minutes < 90:
        return f"{max(1, round(minutes))} minutes"
    if minutes < 60 * 12:
        return f"{minutes / 60:.0f} hours of daylight"
    return f"{minutes / 60 / 12:.0f} days"


def verdict(vendor: Vendor, plan: Plan, found: Service, larger: Service | None, sites: int) -> str:
    """In numbers, where a plan cannot serve a fleet; empty where it can, be it at less than the usual pace."""
    if sites <= found.sites_served or found.age_minutes <= vendor.late_min:
        return ""
    text = (
        f"{vendor.name}'s plan “{plan.label}” serves {found.sites_served:,} sites at the usual pace; you have "
        f"{sites:,}. Expect figures to be about {age_words(found.age_minutes)} old by day."
    )
    label = next((p.label for p in vendor.plans if larger is not None and p.id == larger.plan), "")
    if larger is not None:
        text += (
            f" The plan “{label}” would serve {larger.sites_served:,} sites, and yours with figures about "
            f"{age_words(larger.age_minutes)} old."
        )
    return text


def looks_per_day(loads: Sequence[Load], limits: Collection[Window], now: float) -> float:
    """Calls a day that looks will take: what they want, or what there is."""
    return min(planner.wanted_per_day(loads), planner.even_per_day(limits, now))


def completes_at(
    standings: Sequence[Standing],
    calls: int,
    looks: float,
    now: float,
    history_used: Mapping[str, int] | None = None,
) -> float | None:
    """When so many calls for history will have been made beside `looks` calls a day; None for not within ten years.

    By the rule of `planner.may_buy_history`: a tenth of each window at once, and what the pace has left over; never
    faster than nine tenths of the minute's limit.
    """
    if calls <= 0:
        return now
    per_s = min((s.limit for s in standings if s.window == "minute"), default=60) * (1 - planner.RESERVE) / 60
    if per_s <= 0:
        return None
    slow = [s for s in standings if s.window != "minute"]
    ends_first = now + calls / per_s
    if not slow:
        spare = per_s * DAY_S - looks
        return now + calls / spare * DAY_S if spare > 0 else None
    return max((_through(s, calls, looks, now, (history_used or {}).get(s.window, 0), ends_first) or math.inf
                for s in slow), default=None)  # fmt: skip


def _through(
    standing: Standing, calls: float, looks: float, now: float, bought: int, ends_first: float
) -> float | None:
    at, used, left = now, float(standing.used), float(calls)
    while at < now + LONGEST_DAYS * DAY_S:
        start, end = window_span(standing.window, at)
        share = max(0.0, planner.HISTORY_SHARE * standing.limit - bought)
        usable = standing.limit * (1 - planner.RESERVE)
        if left <= min(share, standing.limit - used):
            return max(at, ends_first)
        # From here on what looks leave: the pace's line, less what is used and what they go on using.
        slope = usable / (end - start) - looks / DAY_S
        behind = usable * (at - start) / (end - start) - used
        if behind >= left:
            return max(at, ends_first)
        if slope > 0 and at + (left - behind) / slope <= end:
            return max(at + (left - behind) / slope, ends_first)
        left -= max(share, behind + slope * (end - at), 0.0)
        at, used, bought = float(end), 0.0, 0
    return None


def spending(plan: Plan, standing: Standing, forecast: float | None) -> Spending:
    """What a window's calls cost; beyond what the vendor includes each has its price."""
    declared = next((w for w in plan.limits if w.window == standing.window), None)
    if declared is None or not declared.price_usd:
        return Spending(0.0, 0.0)
    included = declared.limit if declared.included is None else declared.included
    end = standing.used if forecast is None else max(forecast, standing.used)
    return Spending(
        max(0, standing.used - included) * declared.price_usd, max(0.0, end - included) * declared.price_usd
    )


def at_windows_end(standing: Standing, looks: float, owed: float, now: float) -> int | None:
    """The calls that a day's or month's window will have seen at its end; None for a minute."""
    if standing.window == "minute":
        return None
    days = max(0.0, standing.resets_at - now) / DAY_S
    return min(standing.limit, round(standing.used + owed + looks * days))


def standing_of(store: Store, scope: str, plan: Plan, now: float) -> list[Standing]:
    """How the windows of a scope stand under the user's caps."""
    return store.ledger.standing(scope, windows(plan, store.ledger.caps(scope)), now)
