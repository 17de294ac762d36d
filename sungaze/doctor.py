"""What is well with an installation and what needs its user: data, disk, clock, quotas, vendors. Nothing is changed."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec

from sungaze import clock
from sungaze.config import Settings
from sungaze.errors import NewerDatabase, NotADatabase, StoreError, Unavailable
from sungaze.folder import DEMO_MARK, seems_owned
from sungaze.jobs.backups import EVERY_S, MARGIN
from sungaze.jobs.context import windows
from sungaze.store import Store
from sungaze.store.backup import daily_backups
from sungaze.store.condition import Condition, read_condition
from sungaze.store.database import is_ours
from sungaze.store.fleet import AccountRow
from sungaze.store.migrations import LATEST
from sungaze.vendors import connectors
from sungaze.vendors._session import open_client

REACH_S: Final = 8.0
"""How long one address may take to answer."""
LOW_DISK: Final = 256 * 2**20
"""Bytes below which a disk is called nearly full."""
OLD_BACKUP_S: Final = 2 * 86_400
ASKED_AT_HOME: Final = "host"
"""A way in whose credentials name it is asked at an address of the user's own, not at the vendor's."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. `said` is a sentence; `fine` is false where it needs the user."""

    topic: str
    said: str
    fine: bool = True
    facts: dict[str, Any] = {}


class Report(msgspec.Struct, frozen=True):
    """All that was looked at, in the order in which it is read."""

    findings: list[Finding]

    @property
    def fine(self) -> bool:
        """Whether nothing needs the user."""
        return all(finding.fine for finding in self.findings)

    def text(self) -> str:
        """A line for each finding; what needs the user begins with an exclamation mark."""
        lines = [f"{' ' if finding.fine else '!'} {finding.topic}: {finding.said}" for finding in self.findings]
        wrong = sum(not finding.fine for finding in self.findings)
        if not wrong:
            return "\n".join([*lines, "Nothing needs you."])
        return "\n".join([*lines, "1 line needs you." if wrong == 1 else f"{wrong} lines need you."])

    def json(self) -> str:
        """The same as a JSON object."""
        return json.dumps({"fine": self.fine, "findings": msgspec.to_builtins(self.findings)}, indent=2)


def examine(settings: Settings, now: float, *, offline: bool) -> Report:
    """The report on a data folder. `offline` asks none of the vendors' addresses."""
    found: list[Finding] = []
    condition, finding = _integrity(settings.database)
    found.append(finding)
    if condition is not None and not condition.fault:
        found += _sizes(condition)
    found.append(_disk(settings))
    found.append(_backups(settings, now))
    if condition is None or condition.fault:
        return Report([*found, _clock(now, None)])
    if condition.layout != LATEST:
        # Opening it by the ordinary way would bring it to this version, and nothing is to be changed.
        said = f"the data has layout {condition.layout}, and the next start brings it to {LATEST}; more is told then."
        return Report([*found, _clock(now, None), Finding(topic="Layout", said=said)])
    with contextlib.closing(Store(settings.database)) as store:
        found.append(_blocks(store))
        found.append(_clock(now, store.work.worked_until()))
        accounts = store.fleet.accounts()
        found += _accounts(store, accounts, now)
    demo = settings.demo or (settings.data_dir / DEMO_MARK).exists()
    if not offline and not demo:
        found += _vendors(accounts)
    return Report(found)


def damaged_blocks(store: Store) -> list[str]:
    """What is wrong with sealed history, a site and month each."""
    found = []
    for damage in store.check_blocks():
        name = store.database.scalar("SELECT COALESCE(user_alias, name) FROM site WHERE id = ?", (damage.site_id,))
        found.append(f"{damage.metric} of {name or 'no site'} in {damage.month}: {damage.what}")
    return found


def _integrity(database: Path) -> tuple[Condition | None, Finding]:
    topic = "Data"
    try:
        if not is_ours(database):
            return None, Finding(topic=topic, said=f"{database} is empty; the next start makes it anew.", fine=False)
        condition = read_condition(database)
    except NewerDatabase as error:
        return None, Finding(topic=topic, said=str(error), fine=False)
    except NotADatabase as error:
        return None, Finding(
            topic=topic, said=f"{error} `sungaze restore FILE` puts a backup in its place.", fine=False
        )
    except StoreError as error:
        return None, Finding(topic=topic, said=str(error), fine=False)
    facts = {"fault": condition.fault, "orphans": condition.orphans, "layout": condition.layout}
    if condition.fault:
        said = f"{database} is damaged ({condition.fault}). `sungaze restore FILE` puts a backup in its place."
        return condition, Finding(topic=topic, said=said, fine=False, facts=facts)
    if condition.orphans:
        of = ", ".join(f"{count} of {table}" for table, count in sorted(condition.orphans.items()))
        said = f"rows belong to nothing ({of}). Nothing of it is shown; please report it with `sungaze diagnostics`."
        return condition, Finding(topic=topic, said=said, fine=False, facts=facts)
    return condition, Finding(topic=topic, said=f"{database} is whole.", facts=facts)


def _sizes(condition: Condition) -> list[Finding]:
    total = sum(condition.bytes.values())
    parts = ", ".join(f"{kind} {_mb(size)}" for kind, size in condition.bytes.items() if size)
    how = "" if condition.told else " (parts estimated)"
    said = f"{_mb(total)}{how}: {parts}; write-ahead log {_mb(condition.log_bytes)}."
    return [Finding(topic="Size", said=said, facts={**condition.bytes, "write-ahead log": condition.log_bytes})]


def _disk(settings: Settings) -> Finding:
    try:
        free = shutil.disk_usage(settings.data_dir).free
    except OSError as error:
        return Finding(topic="Disk", said=f"its room is not known: {error.strerror}.", fine=False)
    said = f"{_mb(free)} are free."
    needed = MARGIN
    with contextlib.suppress(OSError):
        needed += settings.database.stat().st_size
    if free < LOW_DISK:
        said = f"only {_mb(free)} are free. When none are, nothing is asked any more; free some space."
    elif free < needed:
        said = f"{_mb(free)} are free, too few for the daily backup, which wants {_mb(needed)}; free some space."
    return Finding(topic="Disk", said=said, fine=free >= needed, facts={"free": free})


def _backups(settings: Settings, now: float) -> Finding:
    topic = "Backup"
    if settings.demo or (settings.data_dir / DEMO_MARK).exists():
        return Finding(topic=topic, said="the demo makes none.")
    kept = daily_backups(settings.backups)
    newest = next(iter(kept.values()), None)
    age = now - _written(newest) if newest is not None else None
    # A start makes it within minutes, and where Sungaze does not run nothing new has come that could be lost.
    runs = seems_owned(settings) and now - _written(settings.lock) > 2 * EVERY_S
    fine = not runs or (age is not None and age < OLD_BACKUP_S)
    said = "there is none yet" if age is None else f"the newest of {len(kept)} is {_ago(age)} old, {newest}"
    said += "; one is made each day that Sungaze runs." if fine else ", though Sungaze runs: its log tells why."
    return Finding(
        topic=topic, said=said, fine=fine, facts={"kept": len(kept), "age_s": None if age is None else int(age)}
    )


def _clock(now: float, worked_until: float | None) -> Finding:
    trouble = clock.trouble_of(now, worked_until)
    return Finding(topic="Clock", said=trouble or f"{clock.iso(now)}.", fine=not trouble)


def _blocks(store: Store) -> Finding:
    damaged = damaged_blocks(store)
    if not damaged:
        return Finding(topic="Sealed history", said="whole, as far as there is any.")
    said = f"damaged: {'; '.join(damaged)}. The rest is read as before; a backup from before may have them whole."
    return Finding(topic="Sealed history", said=said, fine=False, facts={"damaged": damaged})


def _accounts(store: Store, accounts: Sequence[AccountRow], now: float) -> Iterator[Finding]:
    known = connectors()
    for account in accounts:
        vendor = known[account.vendor].vendor if account.vendor in known else None
        plan = vendor.plan(account.plan) if vendor is not None else None
        limits = windows(plan, store.ledger.caps(account.scope)) if plan is not None else []
        quotas = store.ledger.standing(account.scope, limits, now)
        used = ", ".join(f"{quota.used} of {quota.limit} calls this {quota.window}" for quota in quotas)
        fine = account.state in {"connected", "quota_spent"} or account.paused_at is not None
        state = "rests" if account.paused_at is not None else account.state.replace("_", " ")
        reason = f" ({account.state_reason})" if account.state_reason and not fine else ""
        yield Finding(
            topic=f"Account {account.id}, {vendor.name if vendor else account.vendor}",
            said=f"{state}{reason}{f'; {used}' if used else ''}.", fine=fine,
            facts={
                "account": account.id, "state": account.state, "paused": account.paused_at is not None,
                "quotas": [{"window": q.window, "used": q.used, "limit": q.limit} for q in quotas],
            },
        )  # fmt: skip


def _vendors(accounts: Sequence[AccountRow]) -> list[Finding]:
    """Whether the address of each account's vendor answers; no credential is sent, and no call of a quota is spent."""
    known = connectors()
    addresses: dict[str, str] = {}
    for account in accounts:
        vendor = known[account.vendor].vendor if account.vendor in known else None
        method = vendor.method(account.method) if vendor is not None else None
        at_home = method is not None and any(field.name == ASKED_AT_HOME for field in method.fields)
        if vendor is not None and method is not None and method.way == "ask" and not at_home:
            addresses[account.base_url or vendor.default_base_url] = vendor.name
    with ThreadPoolExecutor(max_workers=8) as threads:
        answers = list(threads.map(_reached, addresses))
    found = []
    for (address, name), (answered, said) in zip(addresses.items(), answers, strict=True):
        host = urlsplit(address).netloc
        found.append(
            Finding(topic=f"Reaching {name}", said=f"{host} {said}", fine=answered, facts={"address": host})
        )  # fmt: skip
    return found


def _reached(address: str) -> tuple[bool, str]:
    try:
        with open_client(address) as client:
            answer = client.head("/", timeout=REACH_S)
    except (httpx.HTTPError, Unavailable) as error:
        return False, f"does not answer ({_why(error)}). Check the network; what you have is kept."
    return True, (
        f"answers (HTTP {answer.status_code}): network, name and certificate are right. Credentials were not tried."
    )


def _why(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _mb(size: float) -> str:
    return f"{size / 2**20:,.1f} MB"


def _ago(seconds: float) -> str:
    days = dt.timedelta(seconds=seconds).days
    if days:
        return f"{days} day{'s' if days > 1 else ''}"
    hours = int(seconds // 3600)
    return f"{hours} hour{'s' if hours != 1 else ''}" if hours else "less than an hour"
