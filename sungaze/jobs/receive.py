"""What comes by itself: a gateway's message into the store, acknowledged only once it is on disk (vendors/cps.md 3, 4).

A message counts once, however often it comes. Of a batch every record is taken that can be; the rest is buried with
its reason, so that nothing comes again for ever.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from sungaze.errors import NotFound
from sungaze.jobs.context import Context, set_account_state
from sungaze.jobs.ingest import ingest
from sungaze.model import AccountState, DeviceStatus, DeviceType, SiteFacts, Span
from sungaze.store.database import OperationalError
from sungaze.store.fleet import AccountRow
from sungaze.vendors import _cps_messages as cps
from sungaze.vendors import connector
from sungaze.vendors._contract import Answer
from sungaze.vendors._cps_mapping import MessageKind
from sungaze.vendors._cps_messages import Batch, Complaint, Heard, Known, Order, Pushed, Refusal

log = logging.getLogger(__name__)

LARGEST_PUSH: Final = cps.MOST_PUSHED_BYTES
BUSY_S: Final = 30
"""When a sender may come again after the store could not be written."""


class Sender(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is known of one gateway: its clock, its sequence, its devices, and what it lost."""

    site: str = ""
    last_message_at: float = 0.0
    interval_s: int = cps.FINE_S
    heard: tuple[Heard, ...] = ()
    order: Order | None = None
    serials: frozenset[str] | None = None
    silent: bool = False
    taken: int = 0
    repeated: int = 0
    lost: int = 0
    restarts: int = 0
    older: int = 0
    refused: int = 0
    clock: str = "unknown"
    unknown_keys: dict[str, int] = {}


class Reply(msgspec.Struct, frozen=True):
    """The answer to a push: `body` is JSON of the acknowledgement or of the reason."""

    status: int
    body: dict[str, str]
    headers: tuple[tuple[str, str], ...] = ()


def take_message(context: Context, account_id: int, prefix: str, topic: str, payload: bytes, retained: bool) -> None:
    """Take an MQTT message; when this returns it is on disk and may be acknowledged. Raises where it is not."""
    store, now = context.store, context.now()
    try:
        account = store.fleet.account(account_id)
    except NotFound:
        # Disconnected meanwhile: what still comes is let go.
        return
    named = cps.topic_of(topic, prefix)
    sender = _sender(context, account, named[0]) if named else Sender()
    known = _known(context, account, sender)
    found = cps.read_topic(topic, payload, now=now, known=known, retained=retained, prefix=prefix)
    sites = set()
    with store.database.transaction(durable=True):
        for one in found:
            if isinstance(one, Complaint):
                store.messages.bury(account.id, "mqtt", f"{one.reason}: {one.detail}", payload, now)
            else:
                sites.add(_take(context, account, one, "mqtt", retained=retained))
    _tell(context, account, sites)


def take_push(context: Context, account_id: int, headers: Mapping[str, str], body: bytes) -> Reply:
    """The answer to a push, which acknowledges only what is on disk (section 4)."""
    store, now = context.store, context.now()
    try:
        account = store.fleet.account(account_id)
        method = connector(account.vendor).vendor.method(account.method)
        if method is None or method.way != "push":
            raise NotFound("not an account that is pushed to")
    except NotFound:
        return Reply(404, {"error": "nobody is known at this address"})
    secret = context.vault.credentials(account.id, account.vendor).get("secret", "")
    pushed = cps.check_push(headers, body, secret, now)
    if isinstance(pushed, Refusal):
        return _refused(pushed)
    try:
        return _take_pushed(context, account, pushed)
    except OperationalError as error:
        log.error("A push could not be stored (%s); its sender will come again.", error)
        return Reply(503, {"error": "it cannot be stored at the moment"}, (("Retry-After", str(BUSY_S)),))


def _take_pushed(context: Context, account: AccountRow, pushed: Pushed) -> Reply:
    store, now = context.store, context.now()
    known = _known(context, account, _sender(context, account, pushed.gateway)) if pushed.gateway else Known()
    batches = cps.read_push(pushed, now=now, known=known)
    if isinstance(batches, Refusal):
        with store.database.transaction(durable=True):
            store.messages.bury(account.id, "push", batches.reason, pushed.body, now)
        return _refused(batches)
    with store.database.transaction(durable=True):
        sites = {_take(context, account, batch, "push") for batch in batches}
    _tell(context, account, sites)
    ids = [batch.key.msg_id for batch in batches if batch.key]
    return Reply(200, {"ack": pushed.message_id or (ids[0] if ids else "")})


def watch(context: Context, account: AccountRow) -> None:
    """Raise the alarm of every gateway that was listened for and has been silent too long (section 3, Offline)."""
    store, now = context.store, context.now()
    since = context.listening.get(account.id)
    if since is None:
        return
    for serial, text in store.messages.senders(account.id).items():
        sender = msgspec.json.decode(text, type=Sender)
        quiet_since = max(sender.last_message_at, since)
        if sender.silent or not sender.site or not cps.is_silent(quiet_since, sender.interval_s, now):
            continue
        with store.database.transaction():
            _lose(context, account, serial, sender, int(now))
            store.messages.keep_facts(account.id, serial, msgspec.json.encode(sender).decode())
        context.events.publish("everything")


def last_message_at(context: Context, account_id: int) -> int | None:
    """When an account was last sent anything."""
    found = [msgspec.json.decode(text, type=Sender) for text in context.store.messages.senders(account_id).values()]
    return int(max(sender.last_message_at for sender in found)) if found else None


def _take(context: Context, account: AccountRow, batch: Batch, way: str, *, retained: bool = False) -> int | None:
    """The site that a batch changed, None for one that came before or belongs to no site yet."""
    site_id = None
    store, now = context.store, context.now()
    sender = _sender(context, account, batch.gateway_sn)
    if batch.key is not None and not store.messages.is_new(account.id, batch.gateway_sn, batch.key.msg_id, now):
        sender.repeated += not retained
    else:
        _note(sender, batch, now, retained=retained)
        for dead in batch.dead:
            reason = f"{dead.reason}: {dead.detail} ({dead.sn or 'no serial'})"
            store.messages.bury(account.id, way, reason, dead.record.encode(), now)
        site_id = _store(context, account, batch, sender, retained=retained)
        if batch.order is not None and (sender.order is None or batch.order > sender.order):
            sender.order = batch.order
    store.messages.keep_facts(account.id, batch.gateway_sn, msgspec.json.encode(sender).decode())
    return site_id


def _note(sender: Sender, batch: Batch, now: float, *, retained: bool) -> None:
    """Put down what a message says of its sender."""
    # A document of the logger's own names no site: it is the one that the gateway's other messages named.
    if batch.site_id != batch.gateway_sn or not sender.site:
        sender.site = batch.site_id if batch.sites else sender.site
    sender.taken += 1
    sender.refused += len(batch.dead)
    if batch.order is not None:
        lost, restarted = cps.lost_between(sender.order, batch.order)
        sender.lost += lost
        sender.restarts += restarted
        sender.older += sender.order is not None and batch.order < sender.order
    if batch.heard is not None:
        sender.heard = (*sender.heard, batch.heard)[-5:]
        sender.clock = batch.skew.word
    if batch.kind is MessageKind.TELEMETRY:
        sender.interval_s = batch.interval_s
    if batch.kind is MessageKind.INVENTORY and batch.devices:
        sender.serials = frozenset(facts.vendor_device_id for facts in batch.devices) | {batch.gateway_sn}
    if not retained and (batch.gateway is None or batch.gateway.online):
        sender.last_message_at = now
    for key, count in batch.unknown_keys.items():
        if key in sender.unknown_keys or len(sender.unknown_keys) < 100:
            sender.unknown_keys[key] = sender.unknown_keys.get(key, 0) + count


def _store(context: Context, account: AccountRow, batch: Batch, sender: Sender, *, retained: bool) -> int | None:
    store = context.store
    older = batch.order is not None and sender.order is not None and batch.order < sender.order
    devices = batch.devices
    if batch.sites and sender.site:
        facts = [msgspec.structs.replace(one, vendor_site_id=sender.site) for one in batch.sites]
        if older or batch.kind is MessageKind.BACKFILL:
            # What was so then says nothing of how the site and its devices stand now.
            facts = [SiteFacts(vendor_site_id=sender.site)]
            devices = [
                msgspec.structs.replace(one, status=DeviceStatus.UNKNOWN, last_reported_at=None) for one in devices
            ]
        ingest(context, account, "state", None, Answer(sites=facts))
    site_id = store.fleet.site_id(account.vendor, sender.site) if sender.site else None
    if site_id is None:
        return None
    conditions = list(batch.conditions)
    if batch.gateway is not None and not batch.gateway.online and not retained:
        store.fleet.lose_devices(site_id, context.now())
        sender.silent = True
    elif sender.silent and not retained and batch.kind is not MessageKind.BACKFILL:
        sender.silent = False
        conditions.append(cps.comm_condition(batch.gateway_sn, int(context.now()), silent=False))
    powers = [(r.timestamp, r.interval_s) for r in batch.readings if r.metric_name == "ac_power_w"]
    answer = Answer(
        devices=devices or None,
        readings=batch.readings,
        fold=(lambda known: cps.fold_alerts(known, conditions)) if conditions else None,
        older=older,
        covered=Span(min(t for t, _ in powers), max(t + s for t, s in powers)) if powers else None,
    )
    ingest(context, account, "state", store.fleet.site(site_id), answer)
    return site_id


def _lose(context: Context, account: AccountRow, serial: str, sender: Sender, now: int) -> None:
    """Put down that a gateway is silent: an alarm of its own, and devices that are not heard."""
    store = context.store
    sender.silent = True
    site_id = store.fleet.site_id(account.vendor, sender.site)
    if site_id is not None:
        conditions = [cps.comm_condition(serial, now, silent=True)]
        answer = Answer(fold=lambda known: cps.fold_alerts(known, conditions))
        ingest(context, account, "state", store.fleet.site(site_id), answer)
        store.fleet.lose_devices(site_id, now)


def _sender(context: Context, account: AccountRow, serial: str) -> Sender:
    text = context.store.messages.facts(account.id, serial)
    return msgspec.json.decode(text, type=Sender) if text else Sender()


def _known(context: Context, account: AccountRow, sender: Sender) -> Known:
    store = context.store
    site_id = store.fleet.site_id(account.vendor, sender.site) if sender.site else None
    if site_id is None:
        return Known(heard=sender.heard, serials=sender.serials)
    inverters = frozenset(
        device.vendor_device_id
        for device in store.fleet.devices(site_id)
        if device.device_type == DeviceType.INVERTER and device.status != "retired"
    )
    return Known(
        heard=sender.heard,
        serials=sender.serials,
        inverters=inverters or None,
        timezone=store.fleet.site(site_id).timezone,
    )


def _tell(context: Context, account: AccountRow, sites: Iterable[int | None]) -> None:
    """An account that is sent something is connected, whatever it was before."""
    if account.state != AccountState.CONNECTED:
        set_account_state(context, account.id, AccountState.CONNECTED, "", context.now())
    context.events.publish("accounts", (account.id,))
    changed = tuple(site for site in sites if site is not None)
    if changed:
        context.events.publish("sites", changed)


def _refused(refusal: Refusal) -> Reply:
    return Reply(refusal.status, {"error": refusal.reason}, refusal.headers)
