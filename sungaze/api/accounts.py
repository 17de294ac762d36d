"""Accounts: what a credential sees, connecting, how an account stands, refreshing and disconnecting."""

from __future__ import annotations

from litestar import delete, get, post
from litestar.params import JSONBody

from sungaze.api.parts import GivenParts, Id, Parts
from sungaze.api.shapes import (
    AccountList,
    AccountOut,
    BackfillOut,
    ConnectIn,
    FieldOut,
    LimitOut,
    MethodOut,
    PlanOut,
    ProbeOut,
    ProbeSite,
    QuotaOut,
    RefreshOut,
    VendorList,
    VendorOut,
)
from sungaze.jobs import connect as connecting
from sungaze.jobs import planner
from sungaze.jobs.context import windows
from sungaze.model import DAY_S
from sungaze.store.fleet import AccountRow
from sungaze.store.ledger import Standing
from sungaze.vendors import connector, connectors
from sungaze.vendors._contract import Vendor


@get("/api/vendors", operation_id="listVendors", sync_to_thread=False)
def list_vendors() -> VendorList:
    """Every vendor, with its ways in, its plans and what one must know."""
    return VendorList([_vendor_out(c.vendor) for c in connectors().values()])


@get("/api/accounts", operation_id="listAccounts", sync_to_thread=True)
def list_accounts(parts: GivenParts) -> AccountList:
    """Every connected account and how it stands."""
    return AccountList([_account_out(parts, account) for account in parts.context.store.fleet.accounts()])


@post("/api/accounts/probe", operation_id="probeAccount", status_code=200, sync_to_thread=True)
def probe_account(parts: GivenParts, data: JSONBody[ConnectIn]) -> ProbeOut:
    """What a credential sees. Nothing is saved."""
    found = connecting.probe(parts.context, _wish(data))
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
        notes=list(seen.notes),
        first_calls=found.first_calls,
        monthly_calls=found.monthly_calls,
        monthly_limit=found.monthly_limit,
    )


@post("/api/accounts", operation_id="connectAccount", sync_to_thread=True)
def connect_account(parts: GivenParts, data: JSONBody[ConnectIn]) -> AccountOut:
    """The account, probed first and saved only if its credential sees something."""
    account_id = connecting.connect(parts.context, _wish(data))
    parts.wake()
    return _account_out(parts, parts.context.store.fleet.account(account_id))


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


def _wish(data: ConnectIn) -> connecting.Wish:
    return connecting.Wish(
        vendor=data.vendor,
        credentials=data.credentials,
        method=data.method,
        plan=data.plan,
        label=data.label,
        base_url=data.base_url,
        consent=data.consent,
    )


def _vendor_out(vendor: Vendor) -> VendorOut:
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
                [FieldOut(f.name, f.label, f.help, f.secret, f.required) for f in m.fields],
                list(m.plans),
                m.consent,
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
    standings = store.ledger.standing(account.scope, windows(plan), now) if plan else []
    progress = store.work.progress(account.id)
    left = progress.total - progress.done
    budget = planner.budget(store, account.scope, now)
    pace = min((s.limit for s in standings if s.window == "minute"), default=10) * 0.9
    sites = sum(account.id in ids for ids in store.fleet.accounts_of_sites().values())
    next_look = store.work.next_look_of_account(account.id)
    history_from = store.database.scalar(
        "SELECT min(covered_from) FROM watermark JOIN account_site USING (site_id) WHERE account_id = ?", (account.id,)
    )
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
        last_fetch_at=store.work.last_fetch_of_account(account.id),
        next_look_at=int(next_look) if next_look is not None else None,
        quotas=[_quota_out(s, budget, left, now) for s in standings],
        backfill=BackfillOut(
            done=progress.done,
            total=progress.total,
            calls_left=left,
            complete_at=int(now + 60 * left / max(pace, 1)) if left else None,
            state="done" if not left else "resting" if account.state != "connected" else "running",
        ),
        history_from=history_from,
        base_url=account.base_url,
    )


def _quota_out(standing: Standing, budget: planner.Budget, owed: int, now: float) -> QuotaOut:
    forecast = None
    if standing.window != "minute":
        days = max(0.0, standing.resets_at - now) / DAY_S
        planned = owed + min(budget.wanted_per_day, budget.per_day) * days
        forecast = min(standing.limit, round(standing.used + planned))
    return QuotaOut(
        standing.window, standing.used, standing.limit, standing.left,
        standing.resets_at if standing.used else None, forecast,
    )  # fmt: skip


ROUTES = [list_vendors, list_accounts, probe_account, connect_account, disconnect_account, refresh_account]
