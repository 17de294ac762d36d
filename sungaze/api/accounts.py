"""Accounts: what a credential sees, connecting, how an account stands, refreshing and disconnecting."""

from __future__ import annotations

import datetime as dt
import math

from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody

from sungaze.api.parts import GivenParts, Id, Parts
from sungaze.api.shapes import (
    AccountList,
    AccountOut,
    AccountPatch,
    BackfillCost,
    BackfillIn,
    BackfillOut,
    BudgetOut,
    ConnectIn,
    FieldOut,
    GrantIn,
    GrantOut,
    LimitOut,
    MethodOut,
    PlanOut,
    ProbeOut,
    ProbeSite,
    QuotaOut,
    RefreshOut,
    ServiceOut,
    VendorList,
    VendorOut,
)
from sungaze.jobs import backfill, forecast, planner, receive
from sungaze.jobs import connect as connecting
from sungaze.jobs.connect import BadRequest
from sungaze.jobs.context import windows
from sungaze.jobs.grant import Pending
from sungaze.store.fleet import AccountRow
from sungaze.store.ledger import Standing
from sungaze.vendors import connector, connectors
from sungaze.vendors._contract import Limit, Plan, Vendor


@get("/api/vendors", operation_id="listVendors", sync_to_thread=False)
def list_vendors(parts: GivenParts) -> VendorList:
    """Every vendor, with its ways in, its plans and what one must know."""
    return VendorList([_vendor_out(c.vendor, parts.grants.address) for c in connectors().values()])


@get("/api/accounts", operation_id="listAccounts", sync_to_thread=True)
def list_accounts(parts: GivenParts) -> AccountList:
    """Every connected account and how it stands."""
    return AccountList([_account_out(parts, account) for account in parts.context.store.fleet.accounts()])


@post("/api/accounts/probe", operation_id="probeAccount", status_code=200, sync_to_thread=True)
def probe_account(parts: GivenParts, data: JSONBody[ConnectIn]) -> ProbeOut:
    """What a credential sees. Nothing is saved."""
    found = connecting.probe(parts.context, _wish(parts, data))
    seen = found.probe
    return ProbeOut(
        vendor=found.checked.vendor.id,
        method=found.checked.method.id,
        plan=found.checked.plan.id,
        total=seen.total,
        sites=[
            ProbeSite(s.vendor_site_id, s.name or s.vendor_site_id, s.vendor_site_id in found.known)
            for s in seen.sites[:20]
        ],
        panels=seen.panels,
        notes=[note for note in (seen.blocked, *seen.notes) if note],
        first_calls=found.first_calls,
        history_calls=found.history_calls,
        history_complete_at=_whole(found.history_complete_at),
        monthly_calls=found.monthly_calls,
        monthly_limit=found.monthly_limit,
        sites_served=found.service.sites_served,
        age_minutes=round(found.service.age_minutes),
        advice=found.advice,
    )


@post("/api/accounts", operation_id="connectAccount", sync_to_thread=True)
def connect_account(parts: GivenParts, data: JSONBody[ConnectIn]) -> AccountOut:
    """The account, probed first and saved only if its credential sees something."""
    account_id = connecting.connect(parts.context, _wish(parts, data))
    parts.wake()
    return _account_out(parts, parts.context.store.fleet.account(account_id))


@patch("/api/accounts/{account_id:int}", operation_id="updateAccount", sync_to_thread=True)
def update_account(parts: GivenParts, account_id: Id, data: JSONBody[AccountPatch]) -> AccountOut:
    """Set the most calls of a window that may be spent, paid ones among them; have the account rest or go on; name it.

    A cap is of the application's key, so that accounts that share it share the cap. An account that rests is asked
    nothing; what it owes is kept and asked when it goes on.
    """
    store = parts.context.store
    account = store.fleet.account(account_id)
    plan = connector(account.vendor).vendor.plan(account.plan)
    limits = {w.window: w.limit for w in plan.limits} if plan is not None else {}
    for window, cap in data.caps.items():
        if window not in limits:
            raise BadRequest(f"This plan has no limit for a {window}; it has one for {', '.join(limits) or 'nothing'}.")
        if cap is not None and not 0 <= cap <= limits[window]:
            raise BadRequest(f"A cap for the {window} lies between 0 and {limits[window]:,}, where the vendor refuses.")
    way = _way(account)
    if data.paused and way == "push":
        raise BadRequest(
            "Messages that are pushed here are always taken, so that none is lost. Disconnect the account instead."
        )
    label = data.label.strip()[:200] if data.label is not None else None
    if label == "":
        raise BadRequest("An account needs a name; nothing was changed.")
    now = parts.context.now()
    store.ledger.set_caps(account.scope, data.caps, now)
    store.fleet.set_account(account_id, now, paused=data.paused, label=label)
    parts.context.events.publish("accounts", (account_id,))
    parts.board.refresh()
    parts.wake()
    return _account_out(parts, store.fleet.account(account_id))


@get("/api/accounts/{account_id:int}/budget", operation_id="getBudget", sync_to_thread=True)
def get_budget(parts: GivenParts, account_id: Id) -> BudgetOut:
    """How an account spends its calls, what its plan serves, and what a larger one would give."""
    return _budget_out(parts, parts.context.store.fleet.account(account_id))


@post("/api/accounts/{account_id:int}/backfill", operation_id="backfillAccount", status_code=200, sync_to_thread=True)
def backfill_account(parts: GivenParts, account_id: Id, data: JSONBody[BackfillIn]) -> BackfillCost:
    """Buy history from what is left over, newest first; with `estimate`, only say what that costs and when it ends."""
    try:
        since = dt.date.fromisoformat(data.since)
    except ValueError:
        raise BadRequest("“from” is a date such as 2026-01-31.") from None
    make = backfill.estimate if data.estimate else backfill.begin
    cost = make(parts.context, account_id, data.depth, since)
    if not data.estimate:
        parts.wake()
    return BackfillCost(
        sites=cost.sites, calls=cost.calls, usd=round(cost.usd, 2), complete_at=_whole(cost.complete_at),
        begun=not data.estimate, message=_told(cost),
    )  # fmt: skip


@delete("/api/accounts/{account_id:int}/backfill", operation_id="stopBackfill", status_code=200, sync_to_thread=True)
def stop_backfill(parts: GivenParts, account_id: Id) -> AccountOut:
    """Buy no more history; what came is kept, and what was lost in an outage is still asked for."""
    store = parts.context.store
    account = store.fleet.account(account_id)
    store.work.forget_gaps(account_id, backfill.REASONS)
    parts.context.events.publish("accounts", (account_id,))
    return _account_out(parts, account)


def _told(cost: backfill.Cost) -> str:
    if not cost.calls:
        return "All of that is here already, or owed."
    text = f"Costs {cost.calls:,} calls for {cost.sites:,} sites"
    if cost.usd:
        text += f" and {cost.usd:.2f} USD"
    if cost.complete_at is None:
        return f"{text}, and this quota leaves nothing to buy it with: it would not be complete within ten years."
    return f"{text}, complete on {dt.datetime.fromtimestamp(cost.complete_at, dt.UTC):%-d %B %Y}."


@delete("/api/accounts/{account_id:int}", operation_id="disconnectAccount", sync_to_thread=True)
def disconnect_account(parts: GivenParts, account_id: Id) -> None:
    """Disconnect: nothing is asked any more, and all history stays."""
    connecting.disconnect(parts.context, account_id)
    parts.board.refresh()


@post("/api/accounts/{account_id:int}/refresh", operation_id="refreshAccount", status_code=202, sync_to_thread=True)
def refresh_account(parts: GivenParts, account_id: Id) -> RefreshOut:
    """Look now, as far as the quota goes; says what it spends."""
    calls = connecting.refresh(parts.context, account_id)
    parts.wake()
    return RefreshOut(calls, f"Asking now: up to {calls} calls of this account's quota.")


@post("/api/accounts/grant", operation_id="beginGrant", sync_to_thread=True)
def begin_grant(parts: GivenParts, data: JSONBody[GrantIn]) -> GrantOut:
    """Ask for an owner's consent in the browser; the code comes back by itself, or is pasted."""
    url_of = connecting.consent_url(parts.context, data.vendor, data.method, data.credentials, data.base_url)
    return _grant_out(parts.grants.begin(data.vendor, data.method, url_of, come_back=data.come_back))


@get("/api/accounts/grant/{grant_id:str}", operation_id="getGrant", sync_to_thread=True)
def get_grant(parts: GivenParts, grant_id: FromPath[str]) -> GrantOut:
    """How a consent stands; what it brought stays here."""
    return _grant_out(parts.grants.pending(grant_id))


def _grant_out(found: Pending) -> GrantOut:
    return GrantOut(found.id, found.url, found.redirect_uri, int(found.until), found.state, found.reason)


def _wish(parts: Parts, data: ConnectIn) -> connecting.Wish:
    brought: dict[str, str] = {}
    if data.grant:
        method = connector(data.vendor).vendor.method(data.method or "")
        known = {field.name for field in method.fields} if method is not None else set()
        came = parts.grants.credentials(data.grant, data.vendor, data.method or "")
        brought = {name: value for name, value in came.items() if name in known}
    return connecting.Wish(
        vendor=data.vendor,
        credentials=data.credentials | brought,
        method=data.method,
        plan=data.plan,
        label=data.label,
        base_url=data.base_url,
        consent=data.consent,
    )


def _vendor_out(vendor: Vendor, return_address: str) -> VendorOut:
    return VendorOut(
        id=vendor.id,
        name=vendor.name,
        link=vendor.link,
        attribution=vendor.attribution,
        methods=[
            MethodOut(
                m.id,
                m.label,
                m.about,
                [FieldOut(f.name, f.label, f.help, f.secret, f.required, f.once) for f in m.fields],
                list(m.plans),
                m.consent,
                return_address if m.consent_url is not None else "",
                m.way,
            )
            for m in vendor.methods
        ],
        plans=[
            PlanOut(
                p.id,
                p.label,
                p.about,
                [LimitOut(q.window, q.limit, q.cap, q.price_usd) for q in p.limits],
                sorted(p.gives),
            )
            for p in vendor.plans
        ],
        notes=list(vendor.notes),
        late_min=vendor.late_min,
        stale_min=vendor.stale_min,
    )


def _account_out(parts: Parts, account: AccountRow) -> AccountOut:
    store, now = parts.context.store, parts.context.now()
    vendor = connector(account.vendor).vendor
    plan = vendor.plan(account.plan)
    progress = store.work.progress(account.id)
    left = progress.total - progress.done
    owed = store.work.open_calls(account.id, {r.id: r.calls for r in vendor.resources})
    complete_at = backfill.complete_at(parts.context, account, plan, owed) if owed and plan is not None else None
    sites = sum(account.id in ids for ids in store.fleet.accounts_of_sites().values())
    next_look = store.work.next_look_of_account(account.id)
    history_from = store.database.scalar(
        "SELECT min(covered_from) FROM watermark JOIN account_site USING (site_id) WHERE account_id = ?", (account.id,)
    )
    way = _way(account)
    since = parts.context.listening.get(account.id)
    heard = receive.last_message_at(parts.context, account.id) if way in {"mqtt", "push"} else None
    return AccountOut(
        id=account.id,
        vendor=account.vendor,
        method=account.method,
        plan=account.plan,
        label=account.label,
        state=account.state,
        state_reason=account.state_reason,
        sites=sites,
        created_at=account.created_at,
        last_fetch_at=heard or store.work.last_fetch_of_account(account.id),
        next_look_at=int(next_look) if next_look is not None else None,
        quotas=_quotas(parts, account, plan, owed) if plan is not None else [],
        backfill=BackfillOut(
            done=progress.done,
            total=progress.total,
            calls_left=owed,
            complete_at=_whole(complete_at),
            state=_pace(account) if left else "done",
        ),
        history_from=history_from,
        base_url=account.base_url,
        way=way,
        listening_since=int(since) if since is not None else None,
        push_path=f"/push/{account.vendor}/{account.id}" if way == "push" else None,
        refused=store.messages.dead(account.id) if way in {"mqtt", "push"} else 0,
        advice=_advice(vendor, plan, account, sites, now, store.ledger.caps(account.scope)) if plan is not None else "",
        paused_at=account.paused_at,
    )


def _pace(account: AccountRow) -> str:
    return "running" if account.state == "connected" and account.paused_at is None else "resting"


def _way(account: AccountRow) -> str:
    method = connector(account.vendor).vendor.method(account.method)
    return method.way if method is not None else "ask"


def _quotas(parts: Parts, account: AccountRow, plan: Plan, owed: int) -> list[QuotaOut]:
    """The windows of an account; `owed` are calls for history that will be made before they end."""
    store, now = parts.context.store, parts.context.now()
    caps = store.ledger.caps(account.scope)
    budget = planner.budget(store, account.scope, now)
    looks = min(budget.wanted_per_day, budget.per_day)
    declared = {limit.window: limit for limit in plan.limits}
    return [
        _quota_out(s, declared[s.window], s.window in caps, forecast.at_windows_end(s, looks, owed, now), plan)
        for s in store.ledger.standing(account.scope, windows(plan, caps), now)
    ]


def _quota_out(standing: Standing, declared: Limit, capped: bool, ahead: int | None, plan: Plan) -> QuotaOut:
    money = forecast.spending(plan, standing, ahead)
    return QuotaOut(
        window=standing.window,
        used=standing.used,
        limit=standing.limit,
        left=standing.left,
        resets_at=standing.resets_at if standing.used else None,
        forecast=ahead,
        vendor_limit=declared.limit,
        included=declared.limit if declared.included is None else declared.included,
        price_usd=declared.price_usd,
        capped=capped,
        spent_usd=round(money.so_far_usd, 2),
        forecast_usd=round(money.forecast_usd, 2),
    )


def _advice(vendor: Vendor, plan: Plan, account: AccountRow, sites: int, now: float, caps: dict[str, int]) -> str:
    found = forecast.service(vendor, plan, sites, now, caps)
    larger = forecast.next_plan(vendor, vendor.method(account.method), plan, sites, now)
    return forecast.verdict(vendor, plan, found, larger, sites)


def _budget_out(parts: Parts, account: AccountRow) -> BudgetOut:
    store, now = parts.context.store, parts.context.now()
    vendor = connector(account.vendor).vendor
    plan = vendor.plan(account.plan)
    if plan is None:
        raise BadRequest("The plan of this account is not known any more. Connect it again.")
    caps = store.ledger.caps(account.scope)
    loads = planner.loads_of(store, account.scope)
    sites, favoured = sum(load.sites for load in loads), sum(load.favoured for load in loads)
    budget = planner.budget(store, account.scope, now)
    found = forecast.service(vendor, plan, sites, now, caps, favoured=favoured)
    larger = forecast.next_plan(vendor, vendor.method(account.method), plan, sites, now)
    even = planner.even_per_day(windows(plan, caps), now)
    owed = store.work.open_calls(account.id, {r.id: r.calls for r in vendor.resources})
    return BudgetOut(
        account_id=account.id,
        quotas=_quotas(parts, account, plan, owed),
        sites=sites,
        favoured=favoured,
        stretch=round(budget.stretch, 2),
        wanted_per_day=round(budget.wanted_per_day, 1),
        per_day=round(budget.per_day, 1) if math.isfinite(budget.per_day) else None,
        screen_used=store.ledger.screen_used(account.scope, now),
        screen_share=int(planner.SCREEN_SHARE * even) if math.isfinite(even) else None,
        now=_service_out(vendor, found),
        larger=_service_out(vendor, larger) if larger is not None else None,
        advice=forecast.verdict(vendor, plan, found, larger, sites),
    )


def _service_out(vendor: Vendor, found: forecast.Service) -> ServiceOut:
    plan = vendor.plan(found.plan)
    return ServiceOut(found.plan, plan.label if plan else found.plan, found.sites_served, round(found.age_minutes))


def _whole(instant: float | None) -> int | None:
    return None if instant is None else int(instant)


ROUTES = [
    begin_grant,
    get_grant,
    list_vendors,
    list_accounts,
    probe_account,
    connect_account,
    update_account,
    get_budget,
    backfill_account,
    stop_backfill,
    disconnect_account,
    refresh_account,
]
