"""One look for many sites: which of them it asks for, until when their own looks wait for it, and when it comes round.

A site's own look stays, and is the way back: for a site that the answer left out, and while looks in bulk fail.
"""

from __future__ import annotations

from typing import Final

import msgspec

from sungaze import clock
from sungaze.jobs import planner
from sungaze.jobs.planner import Budget
from sungaze.model import DAY_S, Span
from sungaze.store import Store
from sungaze.store.fleet import AccountRow, SiteRow
from sungaze.store.work import Look
from sungaze.vendors import connector
from sungaze.vendors._contract import Resource, Vendor

WAIT_S: Final = 900.0
"""How long before a look in bulk the sites' own looks wait for it."""
SOON_S: Final = 60.0
"""As WAIT_S, for a site that somebody looks at; until a look in bulk that is due now has come to its end; and how long
before its own look is due a site is asked for in bulk, so that one that waits is not passed over."""
PATIENCE: Final = 2
"""Failed looks in bulk in a row after which each site is asked for by itself."""
REACH_S: Final = 2 * DAY_S
"""How far a look in bulk reaches back at the most; what is older is owed site by site."""
EARLY: Final = 0.9
"""The part of its pause before which it does not come round, though a site's own look is due."""


class Round(msgspec.Struct, frozen=True):
    """What a look in bulk asks for, and by vendor_site_id the older spans that turn out to be owed of each site."""

    sites: list[SiteRow]
    span: Span
    owed: dict[str, list[Span]]


def round_of(
    store: Store, account: AccountRow, vendor: Vendor, bulk: Resource, last_ok: float | None, now: float
) -> Round:
    """The sites whose sun is up or whose own look is due, with their zone known, and the span that serves them all.

    The first look of a UTC day reaches further back: late figures may have come meanwhile, and they cost nothing more.
    """
    own = dict(
        store.database.rows(
            "SELECT site_id, next_due FROM due WHERE account_id = ? AND resource = ?", (account.id, bulk.settles)
        )
    )
    sites = [
        site
        for site in store.fleet.sites(set(own) & set(store.fleet.sites_of_account(account.id)))
        if clock.zone(site.timezone) is not None and (own[site.id] <= now + SOON_S or not _rests(bulk, site, now))
    ]
    at = int(now)
    is_curve = bulk.settles != vendor.history[0]
    earliest = at - REACH_S if is_curve else 0
    start = earliest if is_curve and (last_ok is None or last_ok // DAY_S < now // DAY_S) else at
    owed = {}
    for site in sites:
        covered = store.work.covered(site.id, bulk.settles)
        newest, owed[site.vendor_site_id] = planner.look_spans(vendor, bulk.settles, site, covered, now)
        start = min([start, newest.start, *(piece.start for piece in owed[site.vendor_site_id] if is_curve)])
    span = Span(max(start, earliest), at)
    return Round(sites, span, {k: [s for s in spans if s.start < span.start] for k, spans in owed.items()})


def awaited_until(store: Store, account: AccountRow, look: Look, site: SiteRow, now: float) -> float | None:
    """Until when a site's own look waits for the one in bulk; None where the site has to be asked for by itself."""
    vendor = connector(account.vendor).vendor
    plan = vendor.plan(account.plan)
    found = planner.settled(vendor, plan).get(look.resource) if plan is not None else None
    if found is None or clock.zone(site.timezone) is None:
        return None
    if look.next_due > now:
        # It was settled after it was claimed.
        return look.next_due
    for next_due, attempts, last_ok, lease_until in store.database.rows(
        "SELECT next_due, attempts, last_ok, lease_until FROM due WHERE account_id = ? AND resource = ? "
        "AND site_id = 0",
        (account.id, found.id),
    ):
        if last_ok is not None and look.next_due <= last_ok + SOON_S and (look.last_ok or 0) < last_ok:
            # It was due when the last look in bulk was asked, and was not settled: the answer left the site out.
            return None
        if next_due <= now or (lease_until is not None and lease_until > now):
            return now + SOON_S
        wait = SOON_S if look.priority <= planner.SCREEN_PRIORITY else WAIT_S
        if attempts < PATIENCE and next_due <= now + wait:
            return float(next_due)
    return None


def comes_round(store: Store, account: AccountRow, bulk: Resource, now: float, budget: Budget) -> float:
    """When a look in bulk comes round: with the first of the looks that it settles, so that it rests while they do."""
    least = now + EARLY * (planner.next_due(bulk, None, now, budget) - now)
    first = store.database.scalar(
        "SELECT min(next_due) FROM due WHERE account_id = ? AND resource = ?", (account.id, bulk.settles)
    )
    return least if first is None else max(least, float(first))


def _rests(bulk: Resource, site: SiteRow, now: float) -> bool:
    """Whether the night spares a site; until its closing look the sun counts as up."""
    if bulk.every_s >= DAY_S or site.latitude is None or site.longitude is None:
        return False
    return not any(clock.sun_up(at, site.latitude, site.longitude) for at in (now, now - planner.CLOSING_S))
