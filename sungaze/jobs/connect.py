"""Connecting an account: what a credential sees is told first, and nothing is kept unless it sees something."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Final

import msgspec

from sungaze.errors import NeedsReconnect, QuotaSpent, UserError
from sungaze.jobs import planner
from sungaze.jobs.context import Context, session, set_account_state, windows
from sungaze.vendors import connector
from sungaze.vendors._contract import Access, Method, Plan, Probe, Vendor

_BASE_URL: Final = re.compile(r"https?://(\[[0-9A-Fa-f:.]{2,}\]|[A-Za-z0-9.-]+)(?::(\d{1,5}))?/?$")


class BadRequest(UserError):
    """What was entered cannot be used; the sentence says which part."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What the connect form sends."""

    vendor: str
    credentials: Mapping[str, str]
    method: str | None = None
    plan: str | None = None
    label: str | None = None
    base_url: str | None = None
    consent: bool = False


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A wish whose every part is known to be usable."""

    vendor: Vendor
    method: Method
    plan: Plan
    label: str
    base_url: str | None
    credentials: dict[str, str]
    scope: str
    identity: str


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe saw, and what it will cost to look after it."""

    checked: Checked
    probe: Probe
    known: frozenset[str]
    first_calls: int
    monthly_calls: int
    monthly_limit: int | None
    tokens: dict[str, str]


def check(context: Context, wish: Wish) -> Checked:
    """The wish, made whole. Raises BadRequest and NotFound with a sentence about the part that is wrong."""
    vendor = connector(wish.vendor).vendor
    method = vendor.method(wish.method) if wish.method else vendor.methods[0]
    if method is None:
        raise BadRequest(f"{vendor.name} has no way in called “{wish.method}”.")
    if method.consent and not wish.consent:
        raise BadRequest(f"This way in needs your consent first. {method.consent}")
    plan_id = wish.plan or method.plans[0]
    plan = vendor.plan(plan_id) if plan_id in method.plans else None
    if plan is None:
        raise BadRequest(f"{vendor.name} has no plan called “{wish.plan}” for this way in.")
    fields = {field.name: field for field in method.fields}
    unknown = sorted(set(wish.credentials) - set(fields))
    if unknown:
        raise BadRequest(f"{vendor.name} does not ask for {', '.join(unknown)}.")
    credentials = {name: value.strip() for name, value in wish.credentials.items() if value.strip()}
    missing = [field.label for name, field in fields.items() if field.required and name not in credentials]
    if missing:
        raise BadRequest(f"Please fill in: {', '.join(missing)}.")
    odd = [fields[name].label for name, value in credentials.items() if not value.isprintable() or len(value) > 4096]
    if not odd:
        odd = [fields[name].label for name, value in credentials.items() if name != "password" and not value.isascii()]
    if odd:
        raise BadRequest(f"{', '.join(odd)} holds characters that it cannot have. Was something else pasted?")
    address = _BASE_URL.match(wish.base_url or "")
    if wish.base_url and (address is None or int(address[2] or 0) > 65_535):
        raise BadRequest("The address must be scheme, host and port only, such as http://127.0.0.1:8080.")
    ledger = context.store.ledger
    public = ":".join(credentials.get(f.name, "") for f in method.fields if f.required and not f.secret)
    key = credentials[method.scope_field]
    return Checked(
        vendor=vendor,
        method=method,
        plan=plan,
        label=(wish.label or "").strip()[:100] or vendor.name,
        base_url=(wish.base_url or "").rstrip("/") or None,
        credentials=credentials,
        scope=ledger.scope(vendor.id, key),
        identity=ledger.scope(vendor.id, f"{method.id}:{public or key}"),
    )


def probe(context: Context, wish: Wish) -> Found:
    """What a credential sees. Nothing is kept but the call in the ledger.

    Raises BadRequest, NotFound, and every VendorError with its sentence.
    """
    checked = check(context, wish)
    vendor, plan = checked.vendor, checked.plan
    tokens: dict[str, str] = {}
    base_url = context.base_url(vendor.id, checked.base_url)
    with session(context, vendor.id, plan, checked.scope, base_url, history=False) as door:
        access = Access(
            method=checked.method.id,
            plan=plan,
            credentials=checked.credentials,
            session=door,
            recall=lambda: dict(tokens),
            remember=tokens.update,
            login_lease=nullcontext,
            now=context.now,
        )
        try:
            seen = connector(vendor.id).probe(access)
        except QuotaSpent as error:
            context.store.ledger.block(checked.scope, error.until, str(error))
            raise
    known = frozenset(row.vendor_site_id for row in context.store.fleet.sites() if row.vendor == vendor.id)
    month = next((w.limit for w in windows(plan) if w.window == "month"), None)
    pieces = {"fine": 0}
    for resource in vendor.history:
        if resource in plan.gives:
            pieces[resource] = 2 if resource == vendor.history[0] else 4
    per_site = sum(1 for r in planner.due_resources(vendor, plan) if r.per_site) + sum(pieces.values())
    wanted = planner.calls_per_day(vendor, plan, seen.total) * 30.4
    return Found(
        checked=checked,
        probe=seen,
        known=known,
        first_calls=1 + per_site * seen.total,
        monthly_calls=round(min(wanted, (1 - planner.RESERVE) * month) if month else wanted),
        monthly_limit=month,
        tokens=tokens,
    )


def connect(context: Context, wish: Wish) -> int:
    """The id of the account, probed and saved, with its first look due now.

    The same login again renews the credentials of the account that has it (a reconnect). Raises as `probe` does, and
    then nothing was stored.
    """
    found = probe(context, wish)
    checked, store, now = found.checked, context.store, context.now()
    same = [a for a in store.fleet.accounts() if a.vendor == checked.vendor.id and a.identity == checked.identity]
    if not found.probe.total and not same:
        raise BadRequest(f"{checked.vendor.name} accepts this login, but it sees no sites. Nothing was stored.")
    account_id = same[0].id if same else None
    if account_id is None:
        # The credentials go first: an account without them would be lost, a secret without an account is swept up.
        account_id = (store.database.scalar("SELECT max(id) FROM account") or 0) + 1
    context.vault.keep_credentials(account_id, checked.credentials)
    if found.tokens:
        context.vault.remember(account_id, found.tokens)
    with store.database.transaction(durable=True):
        if same:
            store.database.execute(
                "UPDATE account SET plan = ?, scope = ?, base_url = ? WHERE id = ?",
                (checked.plan.id, checked.scope, checked.base_url, account_id),
            )
            set_account_state(context, account_id, "connected", "", now)
            for resource in checked.vendor.resources:
                store.work.hasten(account_id, {resource.id: resource.least_s}, now, resource.order)
        else:
            store.fleet.add_account(
                id=account_id, vendor=checked.vendor.id, method=checked.method.id, plan=checked.plan.id,
                label=checked.label, base_url=checked.base_url, scope=checked.scope, identity=checked.identity, now=now,
                consented_at=now if checked.method.consent else None,
            )  # fmt: skip
            for resource in checked.vendor.resources:
                if not resource.per_site:
                    store.work.plan_look(account_id, resource.id, 0, now, resource.order)
    context.events.publish("accounts", (account_id,))
    return account_id


def disconnect(context: Context, account_id: int) -> None:
    """Stop asking and forget the credentials; history stays. Raises NotFound."""
    context.store.fleet.remove_account(account_id, context.now())
    context.vault.forget(account_id)
    context.events.publish("accounts", (account_id,))
    context.events.publish("everything")


def refresh(context: Context, account_id: int) -> int:
    """The number of looks brought forward to now: the list and every site's curve. Raises NotFound."""
    account = context.store.fleet.account(account_id)
    if account.state == "needs_reconnect":
        raise NeedsReconnect(account.state_reason)
    vendor = connector(account.vendor).vendor
    now = context.now()
    asked = {r.id: r.least_s for r in vendor.resources if not r.per_site or r.id == vendor.fine_resource}
    moved = context.store.work.hasten(account_id, asked, now, planner.USER_PRIORITY)
    context.events.publish("accounts", (account_id,))
    return moved
