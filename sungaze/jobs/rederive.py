"""What a mended reader repairs: kept answers are read again, and what they say now is written where it is other."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sungaze.errors import NotFound, UserError, VendorError
from sungaze.jobs.raw import exchange_of
from sungaze.jobs.replay import read
from sungaze.model import SITE_DEVICE_ID, DeviceFacts, Span
from sungaze.store import Store
from sungaze.store.fleet import AccountRow
from sungaze.store.raw import Derived, RawAnswer
from sungaze.store.timeseries import SeriesKey
from sungaze.vault import Vault
from sungaze.vendors import connector
from sungaze.vendors._contract import Answer, Seen, SiteRef


class Repaired(msgspec.Struct):
    """How many answers were read again, how many of them could not be, and how many values became others.

    `retracted` of the changed values were taken out, because no answer says them.
    """

    answers: int = 0
    unreadable: int = 0
    changed: int = 0
    retracted: int = 0


class _Vouched(msgspec.Struct):
    """What the kept answers of a site can vouch for: everything after `since`, unless one of them is in doubt."""

    since: float
    is_mended: bool = False
    in_doubt: bool = False


def rederive(
    store: Store, vault: Vault, now: float, *, account_id: int | None = None, since: float | None = None
) -> Repaired:
    """Read the kept answers again in the order in which they were taken; the last word on a value is written.

    A device that only today's readers see is added. Where a reader's version has been counted up since an answer was
    kept, also what no answer says is taken out (a value that was put at a wrong time or under a wrong name), as far as
    the kept answers of a site are all that came since the first of them. Sites, alarms and devices that are known stay
    as they are: the next look tells them. All of a site is one transaction. Raises UserError for an account that is
    not there.
    """
    done = Repaired()
    accounts = {account.id: account for account in store.fleet.accounts(removed=True)}
    only: set[int] | None = None
    if account_id is not None:
        try:
            store.fleet.account(account_id)
        except NotFound as error:
            raise UserError(str(error)) from None
        only = set(store.fleet.sites_of_account(account_id))
        # Another account may see the same sites, and have had the last word.
        accounts = {i: a for i, a in accounts.items() if a.vendor == accounts[account_id].vendor}
    seen = {i: _seen(store, vault, account) for i, account in accounts.items()}
    devices: dict[int, dict[str, DeviceFacts]] = {}
    vouched: dict[int, _Vouched] = {}
    derived = Derived()
    try:
        for kept in store.raw.answers(since=since):
            account = accounts.get(kept.account_id)
            if account is None or (only is not None and kept.site_id and kept.site_id not in only):
                continue
            done.answers += 1
            answers = _read_again(account, kept, seen[account.id])
            done.unreadable += answers is None
            _vouch(store, account, kept, answers, vouched)
            for key, answer in (answers or {}).items():
                site_id = store.fleet.site_id(account.vendor, key) if key else kept.site_id
                if site_id and (only is None or site_id in only):
                    derived.put(site_id, answer.readings)
                    for facts in answer.devices or ():
                        devices.setdefault(site_id, {})[facts.vendor_device_id] = facts
        for site_id in derived.sites():
            site_vouched = vouched.get(site_id)
            partial = any(one.partial for one in seen.values())
            may_retract = site_vouched is not None and not partial and _asks_only(store, accounts, site_id)
            _write(store, site_id, derived, devices.get(site_id, {}), site_vouched if may_retract else None, now, done)
    finally:
        derived.close()
    return done


def _seen(store: Store, vault: Vault, account: AccountRow) -> Seen:
    """What is known of an account's sites now, and what its login had found out."""
    method = connector(account.vendor).vendor.method(account.method)
    open_fields = {field.name for field in method.fields if not field.secret} if method else set()
    told = {n: v for n, v in vault.credentials(account.id, account.vendor).items() if n in open_fields}
    refs = {
        site.vendor_site_id: SiteRef(
            vendor_site_id=site.vendor_site_id,
            timezone=site.timezone,
            peak_power_kw=site.peak_power_kw,
            installed_on=site.installed_on,
            device_ids=frozenset(store.fleet.device_ids(site.id)),
        )
        for site in store.fleet.sites(archived=True)
        if site.vendor == account.vendor
    }
    return Seen(sites=refs, recall={**told, **vault.recall(account.id)})


def _read_again(account: AccountRow, kept: RawAnswer, seen: Seen) -> dict[str, Answer] | None:
    """What an answer says today; None where it cannot be read, nothing where its status says that it holds nothing."""
    zones = {key: ref.timezone for key, ref in seen.sites.items()}
    try:
        answers = read(connector(account.vendor), exchange_of(kept), seen) if kept.status == 200 else {}
    except VendorError:
        return None
    # The zone that the store has is what the user set or the vendor last said: an older answer does not change it.
    for key, zone in zones.items():
        if zone and seen.sites[key].timezone != zone:
            seen.sites[key] = msgspec.structs.replace(seen.sites[key], timezone=zone)
    return answers


def _vouch(
    store: Store, account: AccountRow, kept: RawAnswer, answers: Mapping[str, Answer] | None,
    vouched: dict[int, _Vouched],
) -> None:  # fmt: skip
    """Put down what an answer does for the word of its site's answers; one of the account for all its sites."""
    sites = [kept.site_id] if kept.site_id else list(store.fleet.sites_of_account(account.id))
    for site_id in sites:
        known = vouched.setdefault(site_id, _Vouched(kept.fetched_at))
        known.is_mended |= kept.parser < connector(account.vendor).vendor.parser
        known.in_doubt |= answers is None


def _asks_only(store: Store, accounts: Mapping[int, AccountRow], site_id: int) -> bool:
    """Whether all that is known of a site was asked for: what comes by itself is not among the kept answers."""
    seeing = store.fleet.accounts_of_sites().get(site_id, [])
    methods = [connector(accounts[i].vendor).vendor.method(accounts[i].method) for i in seeing if i in accounts]
    return bool(methods) and all(method is not None and method.way == "ask" for method in methods)


def _write(
    store: Store, site_id: int, derived: Derived, facts: Mapping[str, DeviceFacts], vouched: _Vouched | None,
    now: float, done: Repaired,
) -> None:  # fmt: skip
    site = store.fleet.site(site_id)
    with store.database.transaction():
        devices = store.fleet.device_ids(site_id)
        new = [one for key, one in facts.items() if key not in devices]
        if new:
            devices = store.fleet.apply_devices(site, new, complete=False, now=now)
        rating = store.fleet.rating(site)
        said: dict[SeriesKey, set[int]] = {}
        for readings in derived.series(site_id):
            done.changed += store.timeseries.write(site_id, readings, devices=devices, rating=rating, now=now).changed
            first = readings[0]
            device_id = devices.get(first.vendor_device_id) if first.vendor_device_id else SITE_DEVICE_ID
            if device_id is not None and vouched is not None and vouched.is_mended and not vouched.in_doubt:
                key = SeriesKey(site_id, device_id, first.metric_name, first.interval_s)
                said[key] = {reading.timestamp for reading in readings}
        if not said or vouched is None:
            return
        for info in store.timeseries.catalogue(site_id):
            rows = store.timeseries.raw(info.key, Span(int(vouched.since), info.last + 1))
            unsaid = [int(t) for t, _ in rows if t >= vouched.since and int(t) not in said.get(info.key, ())]
            gone = store.timeseries.retract(info.key, unsaid)
            done.retracted += gone
            done.changed += gone
