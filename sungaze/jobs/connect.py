"""Connecting an account: what a credential sees is told first, and nothing is kept unless it sees something."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Final

import msgspec

from sungaze.errors import NeedsReconnect, QuotaSpent, UserError
from sungaze.jobs import forecast, planner
from sungaze.jobs.context import Context, session, set_account_state, windows
from sungaze.model import AccountState
from sungaze.store.fleet import AccountRow
from sungaze.vendors import connector
from sungaze.vendors._contract import Access, Method, Plan, Probe, Vendor

GRANTED_S: Final = 900.0
"""How long what a code gave is held for the connecting that follows its probe."""
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
    history_calls: int
    history_complete_at: float | None
    monthly_calls: int
    monthly_limit: int | None
    service: forecast.Service
    advice: str
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
        identity=ledger.scope(vendor.id, f"{method.id}:{credentials.get('code') or public or key}"),
    )


def probe(context: Context, wish: Wish) -> Found:
    """What a credential sees. Nothing is kept but the call in the ledger.

    Raises BadRequest, NotFound, and every VendorError with its sentence.
    """
    checked = check(context, wish)
    vendor, plan = checked.vendor, checked.plan
    tokens = _granted(context, checked)
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
        finally:
            if checked.method.consent_url is not None and tokens:
                context.granted[checked.identity] = (context.now(), dict(tokens))
    every = context.store.fleet.sites(archived=True)
    known = frozenset(row.vendor_site_id for row in every if row.vendor == vendor.id)
    ledger, now = context.store.ledger, context.now()
    caps = ledger.caps(checked.scope)
    limits = windows(plan, caps)
    month = next((w.limit for w in limits if w.window == "month"), None)
    # What comes by itself costs no calls.
    sites = seen.total if checked.method.way == "ask" else 0
    looks, history = forecast.start_calls(vendor, plan, sites, now) if checked.method.way == "ask" else (0, 0)
    service = forecast.service(vendor, plan, sites, now, caps)
    larger = forecast.next_plan(vendor, checked.method, plan, sites, now)
    wanted = service.wanted_per_day * forecast.MONTH_DAYS
    a_day = min(service.wanted_per_day, planner.even_per_day(limits, now))
    complete_at = forecast.completes_at(ledger.standing(checked.scope, limits, now), history, a_day, now)
    return Found(
        checked=checked,
        probe=seen,
        known=known,
        first_calls=looks + history,
        history_calls=history,
        history_complete_at=complete_at,
        monthly_calls=round(min(wanted, (1 - planner.RESERVE) * month) if month else wanted),
        monthly_limit=month,
        service=service,
        advice=forecast.verdict(vendor, plan, service, larger, sites),
        tokens=tokens,
    )


def consent_url(
    context: Context, vendor_id: str, method_id: str, credentials: Mapping[str, str], base_url: str | None
) -> Callable[[str, str], str]:
    """Makes the address of a vendor's consent page from (redirect_uri, state).

    Raises NotFound for an unknown vendor, BadRequest for a way in without consent, no client ID or a strange address.
    """
    vendor = connector(vendor_id).vendor
    method = vendor.method(method_id)
    make = method.consent_url if method is not None else None
    if method is None or make is None:
        raise BadRequest(f"{vendor.name} has no way in called “{method_id}” that goes through a browser.")
    given = {name: value.strip() for name, value in credentials.items()}
    client = given.get("client_id", "")
    if not client or not client.isascii() or not client.isprintable():
        raise BadRequest("Please fill in the client ID first: the consent is asked for in its name.")
    if base_url and not _BASE_URL.match(base_url):
        raise BadRequest("The address must be scheme, host and port only, such as http://127.0.0.1:8080.")
    address = context.base_url(vendor.id, (base_url or "").rstrip("/") or None)
    return lambda redirect_uri, state: make(address, given, redirect_uri, state)


def connect(context: Context, wish: Wish) -> int:
    """The id of the account, probed and saved, with its first look due now.

    The same login again renews the credentials of the account that has it (a reconnect). Raises as `probe` does, and
    then nothing was stored.
    """
    found = probe(context, _added_to(context, wish))
    checked, store, now = found.checked, context.store, context.now()
    same = _same(context, found)
    asked = checked.method.way == "ask"
    if not found.probe.total and not same and asked:
        raise BadRequest(f"{checked.vendor.name} accepts this login, but it sees no sites. Nothing was stored.")
    account_id = same[0].id if same else None
    if account_id is None:
        # The credentials go first: an account without them would be lost, a secret without an account is swept up.
        account_id = (store.database.scalar("SELECT max(id) FROM account") or 0) + 1
    once = {field.name for field in checked.method.fields if field.once}
    context.vault.keep_credentials(account_id, {n: v for n, v in checked.credentials.items() if n not in once})
    if found.tokens:
        context.vault.remember(account_id, found.tokens)
    with store.database.transaction(durable=True):
        if same:
            store.database.execute(
                "UPDATE account SET plan = ?, scope = ?, base_url = ? WHERE id = ?",
                (checked.plan.id, checked.scope, checked.base_url, account_id),
            )
            set_account_state(context, account_id, "connected", "", now)
            store.work.reopen_gaps(account_id, now)
            for resource in checked.vendor.resources if asked else ():
                store.work.hasten(account_id, {resource.id: resource.least_s}, now, resource.order)
        else:
            store.fleet.add_account(
                id=account_id, vendor=checked.vendor.id, method=checked.method.id, plan=checked.plan.id,
                label=checked.label, base_url=checked.base_url, scope=checked.scope, identity=checked.identity, now=now,
                consented_at=now if checked.method.consent else None,
            )  # fmt: skip
            for resource in planner.due_resources(checked.vendor, checked.plan) if asked else ():
                if not (resource.per_site or resource.settles):
                    store.work.plan_look(account_id, resource.id, 0, now, resource.order)
        context.granted.pop(checked.identity, None)
        if found.probe.blocked:
            set_account_state(context, account_id, AccountState.BLOCKED, found.probe.blocked, now)
    context.events.publish("accounts", (account_id,))
    return account_id


def _added_to(context: Context, wish: Wish) -> Wish:
    """The wish, with what is known already where a way in is only prepared: a vendor tells things piece by piece."""
    checked = check(context, wish)
    if checked.method.way != "none":
        return wish
    known = [a for a in context.store.fleet.accounts() if a.identity == checked.identity]
    before = context.vault.credentials(known[0].id, known[0].vendor) if known else {}
    return msgspec.structs.replace(wish, credentials=before | checked.credentials)


def _same(context: Context, found: Found) -> list[AccountRow]:
    """The account that has this login already: with an owner's grant, the one that sees the same sites."""
    checked, fleet = found.checked, context.store.fleet
    accounts = [a for a in fleet.accounts() if (a.vendor, a.method) == (checked.vendor.id, checked.method.id)]
    if checked.method.consent_url is None:
        return [a for a in accounts if a.identity == checked.identity]
    seen = {site.vendor_site_id for site in found.probe.sites}
    return [a for a in accounts if a.scope == checked.scope and seen & set(fleet.sites_of_account(a.id).values())]


def _granted(context: Context, checked: Checked) -> dict[str, str]:
    """What this very code gave a moment ago, empty for any other; a grant is one account each, named by its code."""
    now = context.now()
    for identity, (at, _) in list(context.granted.items()):
        if now - at > GRANTED_S:
            context.granted.pop(identity, None)
    return dict(context.granted.get(checked.identity, (0.0, {}))[1]) if checked.method.consent_url else {}


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
    if account.paused_at is not None:
        raise BadRequest("This account rests because you paused it. Let it go on, and it is asked at once.")
    vendor = connector(account.vendor).vendor
    now = context.now()
    asked = {r.id: r.least_s for r in vendor.resources if not r.per_site or r.id == vendor.fine_resource}
    moved = context.store.work.hasten(account_id, asked, now, planner.USER_PRIORITY)
    context.events.publish("accounts", (account_id,))
    return moved
