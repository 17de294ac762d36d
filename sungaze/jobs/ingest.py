"""A vendor's answer into the store: one transaction, so that what is known and what is owed never disagree."""

from __future__ import annotations

from typing import Final

import msgspec

from sungaze.jobs import planner
from sungaze.jobs.context import Context
from sungaze.model import Span
from sungaze.store.alerts import VENDOR
from sungaze.store.fleet import AccountRow, SiteRow
from sungaze.vendors import connector
from sungaze.vendors._contract import Answer, Plan, Vendor

LAST_LIGHT_PRIORITY: Final = 5
"""Before all other history: daily figures have 10."""


class Taken(msgspec.Struct, frozen=True):
    """What an answer changed: samples taken and the sites that look different now."""

    samples: int
    sites: frozenset[int]


def ingest(context: Context, account: AccountRow, resource: str, site: SiteRow | None, answer: Answer) -> Taken:
    """Take an answer. Call it inside the transaction that also gives the look back.

    Raises NotFound when the account was disconnected while the vendor was answering: nothing is taken then.
    """
    store, now = context.store, context.now()
    store.fleet.account(account.id)
    vendor = connector(account.vendor).vendor
    plan = vendor.plan(account.plan)
    touched: set[int] = {site.id} if site else set()
    if answer.sites or answer.complete:
        sites = [row for row in store.fleet.sites(archived=True) if row.vendor == account.vendor]
        before = {row.vendor_site_id: row.last_energy_at for row in sites}
        unzoned = {row.id for row in sites if row.timezone is None}
        fresh = store.fleet.apply_sites(account.id, account.vendor, answer.sites, complete=answer.complete, now=now)
        ids = {fact.vendor_site_id: store.fleet.site_id(account.vendor, fact.vendor_site_id) for fact in answer.sites}
        touched |= {site_id for site_id in ids.values() if site_id is not None}
        method = vendor.method(account.method)
        if plan is not None and method is not None and method.way == "ask":
            for site_id in fresh:
                plan_site(context, account, vendor, plan, site_id, now, among=len(fresh))
            plan_history(context, account, vendor, plan, sorted(touched), now)
            for bulk in planner.settled(vendor, plan).values():
                # Not before there are sites; and also for an account that is older than its looks in bulk.
                priority = planner.priority_of(vendor, bulk, favoured=False)
                store.work.plan_look(account.id, bulk.id, 0, now, priority, keep=not fresh)
        for site_id in unzoned & touched:
            if store.fleet.site(site_id).timezone is not None:
                # What needs the zone was asked in vain before.
                store.work.hasten_site(account.id, site_id, [vendor.fine_resource, *vendor.history], now)
        for fact in answer.sites:
            moved = fact.last_energy_at and fact.last_energy_at > (before.get(fact.vendor_site_id) or 0)
            if not site and moved and ids[fact.vendor_site_id] not in fresh:
                _look_now(context, account, vendor, ids[fact.vendor_site_id], now)
    if answer.site_alerts is not None:
        touched |= _take_alerts(context, account, answer)
    samples = 0
    if answer.site_answers and plan is not None:
        settled = _settle(context, account, vendor, plan, resource, answer, now)
        samples, touched = settled.samples, touched | settled.sites
    if site is not None:
        devices = store.fleet.device_ids(site.id)
        if answer.devices is not None:
            # The row may have been renewed by this very answer (a zone, a peak).
            site = store.fleet.site(site.id)
            devices = store.fleet.apply_devices(site, answer.devices, complete=answer.devices_complete, now=now)
        if answer.readings:
            written = store.timeseries.write(
                site.id, answer.readings, devices=devices, rating=store.fleet.rating(site), now=now, older=answer.older
            )
            samples = written.samples
        if answer.alerts is not None:
            store.alerts.apply(
                answer.alerts, source=VENDOR, complete=answer.alerts_complete, now=now, site_id=site.id, devices=devices
            )
        if answer.fold is not None:
            facts = answer.fold(store.alerts.open_facts(site.id, VENDOR))
            store.alerts.apply(facts, source=VENDOR, complete=False, now=now, site_id=site.id, devices=devices)
        if answer.covered is not None:
            reach(context, site, resource, answer.covered)
    return Taken(samples, frozenset(touched))


def _settle(
    context: Context, account: AccountRow, vendor: Vendor, plan: Plan, resource: str, answer: Answer, now: float
) -> Taken:
    """What a look in bulk changed: each site's answer is taken as its own, and its own look is done with it."""
    store = context.store
    bulk = next(r for r in planner.settled(vendor, plan).values() if r.id == resource)
    own = next(r for r in vendor.resources if r.id == bulk.settles)
    # It is due again when it will be answered again.
    paced = msgspec.structs.replace(own, every_s=max(own.every_s, bulk.every_s))
    budget = planner.budget(store, account.scope, now)
    samples = 0
    sites = store.fleet.sites(store.fleet.sites_of_account(account.id))
    answered = [site for site in sites if site.vendor_site_id in answer.site_answers]
    for site in answered:
        samples += ingest(context, account, own.id, site, answer.site_answers[site.vendor_site_id]).samples
        then = planner.next_due(paced, store.fleet.site(site.id), now, budget)
        priority = planner.priority_of(vendor, own, favoured=False)
        store.work.settle_look(account.id, own.id, site.id, then, priority, now)
    return Taken(samples, frozenset(site.id for site in answered))


def _take_alerts(context: Context, account: AccountRow, answer: Answer) -> set[int]:
    """The sites of an account whose alarms changed; a whole listing speaks also of the sites that it leaves out."""
    store, now = context.store, context.now()
    listed = answer.site_alerts or {}
    changed = set()
    for site_id, vendor_site_id in store.fleet.sites_of_account(account.id).items():
        if vendor_site_id in listed or answer.alerts_complete:
            facts = listed.get(vendor_site_id, [])
            devices = store.fleet.device_ids(site_id) if facts else {}
            if store.alerts.apply(
                facts, source=VENDOR, complete=answer.alerts_complete, now=now, site_id=site_id, devices=devices
            ):
                changed.add(site_id)
    return changed


def reach(context: Context, site: SiteRow, resource: str, covered: Span) -> None:
    """Widen what a resource is known to cover, but never across a hole: what lies between stays owed."""
    known = context.store.work.covered(site.id, resource)
    if known is None or (covered.start <= known.end and covered.end >= known.start):
        context.store.work.reach(site.id, resource, covered)
    elif covered.start > known.end:
        # look_spans has put the hole among the gaps; from here on the newest stretch is what looks join on to.
        context.store.work.reach(site.id, resource, Span(known.end, covered.end))


def plan_site(
    context: Context, account: AccountRow, vendor: Vendor, plan: Plan, site_id: int, now: float, *, among: int = 1
) -> None:
    """Have every resource of a new site come round, in the order that the vendor declares; now, if calls last.

    `among` is the number of sites that are new with it.
    """
    stretch = planner.budget(context.store, account.scope, now).fresh_stretch
    in_bulk = planner.settled(vendor, plan)
    for resource in planner.due_resources(vendor, plan):
        if resource.per_site:
            spread = planner.round_days(vendor, plan, among) if in_bulk and resource.id not in in_bulk else 0.0
            first = planner.first_due(vendor, resource, site_id, now, stretch, round_days=spread)
            context.store.work.plan_look(account.id, resource.id, site_id, first, resource.order)


def plan_history(
    context: Context, account: AccountRow, vendor: Vendor, plan: Plan, site_ids: list[int], now: float
) -> None:
    """Have the first history of sites asked for, once each; daily figures first, as soon as the zone is known."""
    store = context.store
    known = set(
        store.database.rows(
            "SELECT DISTINCT site_id, resource FROM gap WHERE account_id = ? AND reason = 'connect'", (account.id,)
        )
    )
    waits_for_zone = vendor.resource("details") is not None
    for site_id in site_ids:
        site = store.fleet.site(site_id)
        if site.timezone is None and waits_for_zone:
            continue
        for order, resource in enumerate(vendor.history):
            if resource in plan.gives and (site_id, resource) not in known:
                spans = planner.first_history(vendor, resource, site, now)
                light = planner.last_light(site, now) if resource == vendor.fine_resource else None
                for span in spans:
                    # By night the first look may find nothing but night: what the site gave last comes before its days.
                    last = light is not None and span.start <= light <= span.end
                    priority = LAST_LIGHT_PRIORITY if last else 10 * (order + 1)
                    store.work.owe(account.id, site_id, resource, [span], reason="connect", priority=priority, now=now)


def _look_now(context: Context, account: AccountRow, vendor: Vendor, site_id: int | None, now: float) -> None:
    """The list says that a site has moved: its curve is asked now, unless it was within its own pace."""
    resource = vendor.resource(vendor.fine_resource)
    if site_id is None or resource is None:
        return
    pace = resource.every_s * planner.budget(context.store, account.scope, now).stretch
    context.store.database.execute(
        "UPDATE due SET next_due = min(next_due, max(?, COALESCE(last_ok, 0) + ?)) WHERE account_id = ? "
        "AND site_id = ? AND resource = ?",
        (now, pace * 0.9, account.id, site_id, resource.id),
    )
