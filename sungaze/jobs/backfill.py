"""History on the user's word: what it costs and when it is complete, and then the gaps that have it fetched."""

from __future__ import annotations

import datetime as dt
from typing import Final

import msgspec

from sungaze import clock
from sungaze.errors import UserError
from sungaze.jobs import forecast, planner
from sungaze.jobs.context import Context, windows
from sungaze.model import Span
from sungaze.store.fleet import AccountRow, SiteRow
from sungaze.vendors import connector
from sungaze.vendors._contract import Plan, Vendor

DEPTHS: Final = ("daily", "finest")
REASONS: Final = ("backfill", "connect")
"""Of gaps that are bought history; the others are what outages and late vendors left open."""
PRIORITY: Final = 60
"""After what was bought at connect and what outages left open."""
OLDEST: Final = dt.date(2005, 1, 1)
MOST_PIECES: Final = 2_000_000


class BackfillRefused(UserError):
    """A backfill that cannot be begun; the sentence says why."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """A backfill before it is begun: sites and pieces, calls, USD, and when it is complete (epoch seconds).

    `complete_at` is None where the quota leaves nothing to buy it with.
    """

    sites: int
    pieces: int
    calls: int
    usd: float
    complete_at: float | None


def estimate(context: Context, account_id: int, depth: str, since: dt.date) -> Cost:
    """What a backfill would cost. Raises NotFound, BackfillRefused."""
    return _cost(context, context.store.fleet.account(account_id), _owed(context, account_id, depth, since))


def begin(context: Context, account_id: int, depth: str, since: dt.date) -> Cost:
    """The cost of a backfill whose pieces are owed from now on, newest first. Raises NotFound, BackfillRefused."""
    store, now = context.store, context.now()
    account = store.fleet.account(account_id)
    owed = _owed(context, account_id, depth, since)
    cost = _cost(context, account, owed)
    with store.database.transaction(durable=True):
        for site_id, resource, spans in owed:
            store.work.owe(account_id, site_id, resource, spans, reason="backfill", priority=PRIORITY, now=now)
    context.events.publish("accounts", (account_id,))
    return cost


def _owed(context: Context, account_id: int, depth: str, since: dt.date) -> list[tuple[int, str, list[Span]]]:
    store, now = context.store, context.now()
    account = store.fleet.account(account_id)
    vendor = connector(account.vendor).vendor
    plan = vendor.plan(account.plan)
    if depth not in DEPTHS:
        raise BackfillRefused(f"The depth is one of {', '.join(DEPTHS)}.")
    if plan is None:
        raise BackfillRefused("The plan of this account is not known any more. Connect it again.")
    resources = [r for r in _resources(vendor, depth) if r in plan.gives and vendor.fine_s]
    if not resources:
        raise BackfillRefused(f"{vendor.name} gives no {depth} history.")
    if since > clock.day_of(now, clock.UTC) or since < OLDEST:
        raise BackfillRefused("History is asked from a day in the past, 1 January 2005 at the earliest.")
    sites = [store.fleet.site(site_id) for site_id in store.fleet.sites_of_account(account_id)]
    found = [
        (site.id, resource, spans)
        for site in sites
        for resource in resources
        if (spans := _pieces(context, vendor, resource, site, since, now))
    ]
    if sum(len(spans) for _, _, spans in found) > MOST_PIECES:
        raise BackfillRefused("That is more than can be asked for in one go. Choose a later day or daily figures.")
    return found


def _resources(vendor: Vendor, depth: str) -> tuple[str, ...]:
    return vendor.history[:1] if depth == "daily" else vendor.history[1:]


def _pieces(context: Context, vendor: Vendor, resource: str, site: SiteRow, since: dt.date, now: float) -> list[Span]:
    """What is not known yet of a site's history, cut into the largest ranges that its vendor gives, newest first."""
    tz = clock.zone(site.timezone)
    if tz is None:
        return []
    installed = dt.date.fromisoformat(site.installed_on) if site.installed_on else since
    start = clock.midnight(max(since, installed), tz)
    covered = context.store.work.covered(site.id, resource)
    end = covered.start if covered is not None else clock.midnight(clock.day_of(now, tz), tz)
    return connector(vendor.id).chunks(resource, Span(start, end)) if end > start else []


def _cost(context: Context, account: AccountRow, owed: list[tuple[int, str, list[Span]]]) -> Cost:
    store = context.store
    vendor = connector(account.vendor).vendor
    plan = vendor.plan(account.plan)
    assert plan is not None  # _owed has refused an account without one
    costs = {resource.id: resource.calls for resource in vendor.resources}
    calls = sum(len(spans) * costs.get(resource, 1) for _, resource, spans in owed)
    waiting = store.work.open_calls(account.id, costs)
    return Cost(
        sites=len({site_id for site_id, _, _ in owed}),
        pieces=sum(len(spans) for _, _, spans in owed),
        calls=calls,
        usd=_usd(context, account, plan, calls),
        complete_at=complete_at(context, account, plan, waiting + calls),
    )


def complete_at(context: Context, account: AccountRow, plan: Plan, calls: int) -> float | None:
    """When so many calls for history of an account will have been made; None for never."""
    store, now = context.store, context.now()
    standings = forecast.standing_of(store, account.scope, plan, now)
    bought = {
        s.window: store.ledger.history_used(account.scope, s.window, now) for s in standings if s.window != "minute"
    }
    spent = planner.loads_of(store, account.scope)
    looks = forecast.looks_per_day(spent, windows(plan, store.ledger.caps(account.scope)), now)
    return forecast.completes_at(standings, calls, looks, now, bought)


def _usd(context: Context, account: AccountRow, plan: Plan, calls: int) -> float:
    """What these calls add to this month's bill under the user's cap; nothing while the cap is what is included."""
    store, now = context.store, context.now()
    loads = planner.loads_of(store, account.scope)
    standings = forecast.standing_of(store, account.scope, plan, now)
    looks = forecast.looks_per_day(loads, windows(plan, store.ledger.caps(account.scope)), now)
    return sum(
        forecast.spending(plan, s, forecast.at_windows_end(s, looks, calls, now)).forecast_usd
        - forecast.spending(plan, s, forecast.at_windows_end(s, looks, 0, now)).forecast_usd
        for s in standings
    )
