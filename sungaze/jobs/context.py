"""What every job needs, and how it opens the door to an account's vendor."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import httpx

from sungaze.config import RAW_MB
from sungaze.errors import ClockWrong, NeedsReconnect
from sungaze.jobs.agreement import Agreement, date_of
from sungaze.jobs.events import Events
from sungaze.jobs.screen import Screen
from sungaze.model import AccountState, AlertFacts, Severity
from sungaze.store import Store
from sungaze.store.alerts import OWN
from sungaze.store.fleet import AccountRow
from sungaze.store.ledger import Heard, Window
from sungaze.vault import Vault
from sungaze.vendors import connector
from sungaze.vendors._contract import Access, Plan, Response
from sungaze.vendors._session import HttpSession, open_client

NEEDS_USER: Final = frozenset({AccountState.NEEDS_RECONNECT, AccountState.CHANGED, AccountState.NOT_ENTITLED})


@dataclass(kw_only=True)
class Context:
    """The parts that jobs work with. `base_urls` holds addresses that are known at run time only (the demo's)."""

    store: Store
    vault: Vault
    events: Events
    now: Callable[[], float]
    base_urls: Mapping[str, str] = field(default_factory=dict)
    clients: dict[str, httpx.Client] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    refusals: dict[str, tuple[int, float]] = field(default_factory=dict)
    """How often in a row a vendor has said that a scope's calls are used up, and until when it was believed."""
    raw_bytes: int = RAW_MB * 2**20
    """The most room that raw answers may take, packed; 0 keeps none."""
    worked_until: float | None = None
    """When anything was last asked before this start, by the clock of then."""
    tidied_at: float = -math.inf
    agreement: Agreement = field(init=False)
    """What vendors' answers say of this computer's clock."""
    screen: Screen = field(default_factory=Screen)
    """The sites that somebody looks at, which are asked first."""

    granted: dict[str, tuple[float, dict[str, str]]] = field(default_factory=dict)
    """What codes that were just redeemed gave, by the code's fingerprint, with the moment: a code works only once, and
    a probe must not use it up before its account is connected."""
    listening: dict[int, float] = field(default_factory=dict)
    """Since when each account that data comes to by itself is listened for without a break."""
    troubles: dict[str, str] = field(default_factory=dict)
    """What the user has to know of the data's own keeping, a sentence by kind."""

    def __post_init__(self) -> None:
        """Compare the vendors' clocks with the one that the jobs go by."""
        self.agreement = Agreement(self.now)

    def hear_clock(self, response: Response, vendor_name: str) -> None:
        """Compare an answer's Date with this computer's clock. Raises ClockWrong where they are more than a day apart.

        Nothing of it is to be kept then: what is asked next, and what a limit counts, would go by that clock.
        """
        said = date_of(response.headers)
        if said is not None:
            before, trouble = self.agreement.trouble, self.agreement.hear(said, vendor_name)
            if trouble != before:
                self.events.publish("health")
            if trouble:
                raise ClockWrong(trouble, said)

    def tell_trouble(self, kind: str, sentence: str) -> None:
        """Have every page say it; an empty sentence takes it back."""
        if self.troubles.get(kind, "") != sentence:
            self.troubles = {name: said for name, said in (self.troubles | {kind: sentence}).items() if said}
            self.events.publish("health")

    def client(self, base_url: str) -> httpx.Client:
        """The connections to an address, opened once."""
        with self.lock:
            if base_url not in self.clients:
                self.clients[base_url] = open_client(base_url)
            return self.clients[base_url]

    def close(self) -> None:
        """Close every connection."""
        with self.lock:
            for client in self.clients.values():
                client.close()
            self.clients.clear()

    def base_url(self, vendor: str, stored: str | None) -> str:
        """Where a vendor is asked: the account's own address, the demo's, or the vendor's."""
        return stored or self.base_urls.get(vendor) or connector(vendor).vendor.default_base_url


def set_account_state(
    context: Context, account_id: int, state: str, reason: str, now: float, *, retry_at: float | None = None
) -> bool:
    """Whether an account's state became another one. One that needs the user has one alarm until it is well again."""
    store = context.store
    with store.database.transaction():
        changed = store.fleet.set_account_state(account_id, state, reason, now, retry_at=retry_at)
        alarms = []
        if state in NEEDS_USER:
            alarms = [
                AlertFacts(
                    vendor_alert_id="account", code=state, description=reason, severity=Severity.ERROR,
                    timestamp=int(now),
                )
            ]  # fmt: skip
        store.alerts.apply(alarms, source=OWN, complete=True, now=now, account_id=account_id)
    return changed


def windows(plan: Plan, caps: Mapping[str, int] | None = None) -> list[Window]:
    """The limits of a plan as the ledger keeps them: the user's own cap, else what is included.

    `caps` is what `Ledger.caps` says of the scope; without one nothing paid is spent.
    """
    set_by_user = caps or {}
    return [Window(w.window, min(w.limit, set_by_user.get(w.window, w.cap))) for w in plan.limits]


@contextmanager
def session(
    context: Context, vendor_id: str, plan: Plan, scope: str, base_url: str, *, history: bool
) -> Iterator[HttpSession]:
    """A session whose calls are spent from a scope's quota, and whose answers correct it."""
    ledger, vendor = context.store.ledger, connector(vendor_id).vendor
    limits = windows(plan, ledger.caps(scope))

    def hear(response: Response) -> None:
        context.hear_clock(response, vendor.name)
        said = [Heard(word.window, word.limit, word.remaining, word.by_clock) for word in vendor.quota_said(response)]
        if said:
            ledger.hear(scope, limits, said, context.now())

    yield HttpSession(
        vendor.name,
        context.client(base_url),
        spend=lambda: ledger.spend(scope, limits, context.now(), history=history),
        slot=lambda: ledger.lease(f"call:{scope}", plan.concurrent),
        heard=hear,
    )


@contextmanager
def access(context: Context, account: AccountRow, *, history: bool = False) -> Iterator[tuple[Access, HttpSession]]:
    """What an account's connector is handed, and the session that counts its calls.

    Raises NeedsReconnect when the credentials are not to be found.
    """
    vendor = connector(account.vendor).vendor
    plan, method = vendor.plan(account.plan), vendor.method(account.method)
    credentials = context.vault.credentials(account.id, account.vendor)
    wanted = [f for f in method.fields if f.required and not f.once] if method else []
    missing = [f.label for f in wanted if not credentials.get(f.name)] if method else ["all"]
    if missing or plan is None:
        raise NeedsReconnect(
            f"The credentials of this account are not to be found ({', '.join(missing)}). Connect it again; history "
            "is kept."
        )
    base_url = context.base_url(account.vendor, account.base_url)
    with session(context, account.vendor, plan, account.scope, base_url, history=history) as door:
        yield (
            Access(
                method=account.method,
                plan=plan,
                credentials=credentials,
                session=door,
                recall=lambda: context.vault.recall(account.id),
                remember=lambda values: context.vault.remember(account.id, values),
                login_lease=lambda: context.store.ledger.lease(f"login:{account.id}"),
                now=context.now,
            ),
            door,
        )
