"""One look, or one gap: ask, take what comes, and put down how it ended and when it comes round again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from sungaze.errors import (
    Changed,
    ClockWrong,
    NeedsReconnect,
    NotEntitled,
    NotFound,
    QuotaSpent,
    Unavailable,
    VendorError,
)
from sungaze.jobs import bulk, planner
from sungaze.jobs.context import Context, access, set_account_state
from sungaze.jobs.ingest import Taken, ingest
from sungaze.jobs.raw import keep_raw
from sungaze.model import DAY_S, AccountState, SiteStatus, Span
from sungaze.store.fleet import AccountRow, SiteRow
from sungaze.store.work import Look
from sungaze.vendors import connector
from sungaze.vendors._contract import Access, Answer, Exchange, Resource, SiteRef

log = logging.getLogger(__name__)

PATIENCE: Final = 2
"""Failed looks in a row, with no success between, that make an account unavailable: one endpoint may fail alone."""
LONG_PAUSE_S: Final = 3_600.0
"""A pause that a vendor names and that is as long as this is kept from the first time on."""
ALONE_S: Final = 3_600.0
"""How long a site's own answers may be strange, with no other answer between, before it is the account's trouble."""
WELL_S: Final = 7 * DAY_S
NOT_ENTITLED_S: Final = 7 * DAY_S
ONE_REFUSED_S: Final = DAY_S
"""As NOT_ENTITLED_S, where one site of many may be what is refused: the list tells it within a day."""
GIVE_UP: Final = 12
"""Attempts after which a gap is closed as beyond filling; looks go on for ever."""


def perform_look(context: Context, look_id: int, owner: str) -> None:
    """Do a look that `owner` holds. Every ending but a bug is put down; nothing is raised for a vendor's trouble."""
    store = context.store
    look = store.work.look(look_id, owner)
    if look is None:
        return
    try:
        account = store.fleet.account(look.account_id)
        site = store.fleet.site(look.site_id) if look.site_id else None
    except NotFound:
        return
    vendor = connector(account.vendor).vendor
    resource = vendor.resource(look.resource)
    if resource is None:
        return
    now = context.now()
    if site is not None and _awaits_bulk(context, account, look, site, owner, now):
        return
    many = bulk.round_of(store, account, vendor, resource, look.last_ok, now) if resource.settles else None
    covered = store.work.covered(site.id, look.resource) if site else None
    span, owed = (
        planner.look_spans(vendor, look.resource, site, covered, now) if site else (Span(int(now), int(now)), [])
    )
    if many is not None:
        span = many.span
    budget = planner.budget(store, account.scope, now)
    favoured = site is not None and planner.is_favoured(store, site.id)
    priority = planner.priority_of(vendor, resource, favoured=favoured)
    spared = planner.next_due(resource, site, now, budget, favoured=favoured)
    if site is not None and _is_well(context, resource, look, site):
        # It was not asked: when it last was stays as it is.
        store.work.finish_look(look, spared, ok=True, now=look.last_ok or now)
        return
    if site is not None and look.priority > planner.SCREEN_PRIORITY and _not_moved(context, account, look, site):
        store.work.finish_look(look, spared, ok=True, now=now, priority=priority)
        return
    if many is not None and not many.sites:
        store.work.put_off_look(look, bulk.comes_round(store, account, resource, now, budget))
        return
    if look.priority == planner.SCREEN_PRIORITY:
        store.ledger.note_screen(account.scope, now)
    calls = 0
    kept: list[Exchange] = []
    earliest = now + resource.least_s
    if resource.least_s:
        store.work.begin_asking(look, resource.least_s, now)
    try:
        with access(context, account) as (door, session):
            session.kept = kept
            try:
                answer = _ask(context, account, door, look.resource, site, span, many.sites if many else ())
            finally:
                calls = session.calls
            with store.database.transaction():
                taken = ingest(context, account, look.resource, site, answer)
                keep_raw(context, account, look.site_id, look.resource, kept, now)
                if site is not None:
                    store.work.owe(account.id, site.id, look.resource, owed, reason="outage", priority=15, now=now)
                    _owe_yesterday(context, account, look, site, now)
                    site = store.fleet.site(site.id)
                then = max(planner.next_due(resource, site, now, budget, favoured=favoured), earliest)
                if many is not None:
                    for listed in many.sites:
                        if listed.vendor_site_id in answer.site_answers:
                            older = many.owed[listed.vendor_site_id]
                            store.work.owe(
                                account.id, listed.id, resource.settles, older, reason="outage", priority=15, now=now
                            )
                    then = bulk.comes_round(store, account, resource, now, budget)
                elif site is None:
                    then = planner.while_any_sun(store, account.id, resource, then)
                store.work.finish_look(look, then, ok=True, now=now, priority=priority)
                _record(context, account, look.site_id, look.resource, span, now, "ok", calls, taken.samples)
        _well(context, account, taken)
    except NotFound:
        log.info("%s account %d was disconnected while it was asked", account.vendor, account.id)
    except ClockWrong as error:
        # Its next time by the server's clock: by ours it would rest for years once that is set.
        then = max(look.next_due, error.said + resource.least_s) if resource.least_s else look.next_due
        store.work.put_off_look(look, then, asked=error.said if resource.least_s else None)
    except VendorError as error:
        # What could not be read today may be read by a mended reader.
        keep_raw(context, account, look.site_id, look.resource, kept, now)
        _trouble(context, account, look, resource, error, calls, span, now, earliest)


def perform_gap(context: Context, gap_id: int, owner: str) -> None:
    """Fill a gap that `owner` holds, as perform_look does a look."""
    store = context.store
    gap = store.work.gap(gap_id, owner)
    if gap is None:
        return
    try:
        account, site = store.fleet.account(gap.account_id), store.fleet.site(gap.site_id)
    except NotFound:
        return
    now, calls = context.now(), 0
    kept: list[Exchange] = []
    try:
        with access(context, account, history=True) as (door, session):
            session.kept = kept
            try:
                answer = _ask(context, account, door, gap.resource, site, gap.span)
            finally:
                calls = session.calls
            with store.database.transaction():
                taken = ingest(context, account, gap.resource, site, answer)
                keep_raw(context, account, site.id, gap.resource, kept, now)
                if answer.covered is None:
                    # It could not be asked yet (a zone or a base of time is not known): owed still.
                    store.work.postpone_gap(gap, now + planner.backoff_s(gap.attempts + 4), failed=False)
                else:
                    store.work.close_gap(gap.id, "filled", now)
                _record(context, account, site.id, gap.resource, gap.span, now, "ok", calls, taken.samples)
        _well(context, account, taken)
        context.events.publish("accounts", (account.id,))
    except NotFound:
        log.info("%s account %d was disconnected while it was asked", account.vendor, account.id)
    except ClockWrong:
        store.work.give_back(owner, [], [gap.id])
    except QuotaSpent as error:
        store.work.postpone_gap(gap, _spent(context, account, error, calls, now), failed=False)
    except VendorError as error:
        with store.database.transaction():
            keep_raw(context, account, site.id, gap.resource, kept, now)
            if gap.attempts + 1 >= GIVE_UP or isinstance(error, NotEntitled):
                store.work.close_gap(gap.id, f"given up: {error}", now)
            else:
                pause = planner.backoff_s(gap.attempts)
                # A vendor that names a long pause is not in vain asked again: that is no failed attempt.
                named = error.retry_after_s if isinstance(error, Unavailable) else 0.0
                store.work.postpone_gap(gap, now + max(pause, named), failed=named < LONG_PAUSE_S)
            _record(context, account, site.id, gap.resource, gap.span, now, _outcome(error), calls, 0, str(error))
        _judge_account(context, account, error, gap.attempts + 1, now)


def site_ref(context: Context, site: SiteRow) -> SiteRef:
    """A site as its connector needs it."""
    return SiteRef(
        vendor_site_id=site.vendor_site_id,
        timezone=site.timezone,
        peak_power_kw=site.peak_power_kw,
        installed_on=site.installed_on,
        last_energy_at=site.last_energy_at,
        device_types=context.store.fleet.device_types(site.id),
        device_ids=frozenset(context.store.fleet.device_ids(site.id)),
    )


def _ask(
    context: Context,
    account: AccountRow,
    door: Access,
    resource: str,
    site: SiteRow | None,
    span: Span,
    many: Sequence[SiteRow] = (),
) -> Answer:
    vendor = connector(account.vendor)
    if site is None:
        listing = next(r.id for r in vendor.vendor.resources if not r.per_site)
        if resource == listing:
            return vendor.list_sites(door)
        return vendor.fetch_account(door, resource, [site_ref(context, one) for one in many], span)
    return vendor.fetch(door, resource, site_ref(context, site), span)


def _awaits_bulk(context: Context, account: AccountRow, look: Look, site: SiteRow, owner: str, now: float) -> bool:
    """Whether a site's own look was given back, because one in bulk has answered it or is about to."""
    store = context.store
    # In one transaction: a look in bulk may end in another thread and settle this one.
    with store.database.transaction():
        held = store.work.look(look.id, owner)
        until = bulk.awaited_until(store, account, held, site, now) if held is not None else None
        if held is None or until is None:
            return held is None
        store.work.put_off_look(held, until)
        return True


def _is_well(context: Context, resource: Resource, look: Look, site: SiteRow) -> bool:
    """Whether a look that is for troubled sites can be spared: the site is well, and was asked within the week."""
    if not resource.when_troubled or look.last_ok is None or context.now() - look.last_ok > WELL_S:
        return False
    return site.status == SiteStatus.NORMAL and site.id not in context.store.alerts.standings([site.id])


def _not_moved(context: Context, account: AccountRow, look: Look, site: SiteRow) -> bool:
    """Whether the account's list, too new for the vendor to have had more since, says that there is nothing new."""
    vendor = connector(account.vendor).vendor
    listing = next((r for r in vendor.resources if not r.per_site), None)
    if look.resource != vendor.fine_resource or listing is None or site.last_energy_at is None:
        return False
    row = context.store.database.row(
        "SELECT last_ok FROM due WHERE account_id = ? AND resource = ?", (account.id, listing.id)
    )
    if row is None or row[0] is None or context.now() - row[0] > vendor.bucket_s:
        return False
    newest = context.store.timeseries.latest(site.id, vendor.power_metric, vendor.fine_s).get(0)
    return newest is not None and newest[0] + vendor.fine_s >= site.last_energy_at


def _owe_yesterday(context: Context, account: AccountRow, look: Look, site: SiteRow, now: float) -> None:
    """With each day's daily figures the day before is asked once more: late figures may have come meanwhile."""
    vendor = connector(account.vendor).vendor
    if look.resource not in vendor.history[:1] or look.last_ok is None or now - look.last_ok < DAY_S / 2:
        return
    plan = vendor.plan(account.plan)
    for resource in vendor.history[1:]:
        if plan is not None and resource in plan.gives:
            end = int(now) // 3600 * 3600
            spans = connector(vendor.id).chunks(resource, Span(end - 2 * DAY_S, end - DAY_S // 2))
            context.store.work.owe(account.id, site.id, resource, spans, reason="late", priority=40, now=now)


def _well(context: Context, account: AccountRow, taken: Taken) -> None:
    """An account that answers is connected, whatever it was before."""
    context.refusals.pop(account.scope, None)
    if account.state != AccountState.CONNECTED and set_account_state(
        context, account.id, AccountState.CONNECTED, "", context.now()
    ):
        context.events.publish("accounts", (account.id,))
    context.events.publish("sites", taken.sites)


def _trouble(
    context: Context,
    account: AccountRow,
    look: Look,
    resource: Resource,
    error: VendorError,
    calls: int,
    span: Span,
    now: float,
    earliest: float,
) -> None:
    store = context.store
    if isinstance(error, QuotaSpent):
        until = max(_spent(context, account, error, calls, now), earliest)
        if resource.settles and calls:
            # It may be one site's own count that is spent: first the others are asked by themselves.
            store.work.finish_look(look, until + planner.backoff_s(look.attempts + 4), ok=False, now=now)
            return
        # Not the look's failure: it is tried again as if it had not been begun.
        store.work.finish_look(msgspec.structs.replace(look, attempts=look.attempts - 1), until, ok=False, now=now)
        return
    if isinstance(error, NotEntitled):
        then = now + (ONE_REFUSED_S if resource.settles else NOT_ENTITLED_S)
    elif isinstance(error, Unavailable):
        named = error.retry_after_s if look.attempts or error.retry_after_s >= LONG_PAUSE_S else 60.0
        then = now + max(named, planner.backoff_s(look.attempts))
    else:
        then = now + planner.backoff_s(look.attempts + 2)
    with store.database.transaction():
        store.work.finish_look(look, max(then, earliest), ok=False, now=now)
        _record(context, account, look.site_id, look.resource, span, now, _outcome(error), calls, 0, str(error))
    if resource.settles and not isinstance(error, NeedsReconnect):
        # What the account is like is told by the looks at each site, which come now.
        log.warning("%s account %d, %s: %s", account.vendor, account.id, resource.id, error)
        return
    _judge_account(context, account, error, look.attempts + 1, now, whole=look.site_id == 0)


def _spent(context: Context, account: AccountRow, error: QuotaSpent, calls: int, now: float) -> float:
    """When calls may go on. A spent minute passes unseen; a spent month is told.

    A vendor that says so again and again is asked ever more seldom, up to once an hour: its short answers do not tell
    a spent minute from a spent month (vendors/enphase.md 1).
    """
    until = error.until
    if calls:
        times, ended = context.refusals.get(account.scope, (0, 0.0))
        if now >= ended:
            times += 1
        until = max(until, now + min(3600.0, 30.0 * float(1 << min(times, 8))))
        context.refusals[account.scope] = (times, until)
    context.store.ledger.block(account.scope, until, str(error))
    if until - now > 300:
        _set_state(context, account, AccountState.QUOTA_SPENT, str(error), now, until)
    return until


def _judge_account(
    context: Context, account: AccountRow, error: VendorError, attempts: int, now: float, *, whole: bool = False
) -> None:
    """What one failed call says of its account: a dead login at once, trouble only when it lasts."""
    log.warning("%s account %d: %s", account.vendor, account.id, error)
    if isinstance(error, NeedsReconnect):
        _set_state(context, account, AccountState.NEEDS_RECONNECT, str(error), now)
    elif isinstance(error, NotEntitled) and whole:
        _set_state(context, account, AccountState.NOT_ENTITLED, str(error), now)
    elif isinstance(error, Unavailable) and error.whole:
        _set_state(context, account, AccountState.UNAVAILABLE, str(error), now)
    elif isinstance(error, Unavailable | Changed):
        # One endpoint or one site may fail alone: the account is in trouble only if nothing has answered meanwhile.
        last = context.store.work.last_fetch_of_account(account.id)
        meanwhile = 60.0 if whole or isinstance(error, Unavailable) else ALONE_S
        if attempts >= PATIENCE and (last is None or now - last > meanwhile):
            _set_state(context, account, error.state, str(error), now)


def _set_state(
    context: Context, account: AccountRow, state: str, reason: str, now: float, retry_at: float | None = None
) -> None:
    set_account_state(context, account.id, state, reason, now, retry_at=retry_at)
    context.events.publish("accounts", (account.id,))
    context.events.publish("everything")


def _outcome(error: VendorError) -> str:
    return error.state


def _record(
    context: Context,
    account: AccountRow,
    site_id: int,
    resource: str,
    span: Span,
    started: float,
    outcome: str,
    calls: int,
    samples: int,
    message: str = "",
) -> None:
    context.store.work.record(
        account_id=account.id, site_id=site_id, resource=resource, span=span, started_at=started,
        ended_at=context.now(), outcome=outcome, calls=calls, samples=samples, message=message,
    )  # fmt: skip
