"""What CPS's gateways push: from a body to canonical values, by the receiver rules of vendors/cps.md 3 and 4.

Reading is pure: a body, what is known of the gateway and `now` go in; batches, dead letters and complaints come out.
An inverter's DC inputs are child devices `<serial>:pv1`, `<serial>:pv2`, ….
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any, Final

import msgspec

from sungaze import clock
from sungaze.model import (
    DAY_S,
    METRICS,
    AlertFacts,
    Communication,
    DeviceFacts,
    DeviceStatus,
    DeviceType,
    Kind,
    Reading,
    Severity,
    SiteFacts,
    SiteStatus,
)
from sungaze.vendors import _sunspec
from sungaze.vendors._cps_mapping import MessageKind, Path, PayloadMap, maps, path_of
from sungaze.vendors._session import numeral, quoted
from sungaze.vendors._sunspec import Mark

FINE_S: Final = 300
MOST_BYTES: Final = 1024 * 1024
"""A message beyond this is a dead letter (section 3)."""
MOST_PUSHED_BYTES: Final = 256 * 1024
MOST_PUSHED_RECORDS: Final = 100
OLDEST_S: Final = 31 * DAY_S
"""Records older than this are set aside: a gateway keeps 30 days (1.1 [doc])."""
EARLIEST: Final = 1_420_070_400
"""The first second of 2015: a clock that says less has lost its battery."""
AHEAD_S: Final = 300
SKEW_FINE_S: Final = 120
SKEW_REFUSED_S: Final = DAY_S
REPLAY_S: Final = DAY_S
"""How far a push's own time may be off: the message id stops replays, and gateway clocks drift (section 4)."""


# -- what comes out --------------------------------------------------------------------------------------------------


class MessageKey(msgspec.Struct, frozen=True):
    """What names a message for the 31 days in which it may come again."""

    gateway_sn: str
    msg_id: str


class Order(msgspec.Struct, frozen=True, order=True):
    """Where a message stands among its gateway's; the higher one wins where two speak of the same value."""

    boot_id: int
    seq: int


class DeadLetter(msgspec.Struct, frozen=True):
    """A record that was not taken: why, whose it was as far as that can be told, and its words, cut to 2,000."""

    reason: str
    detail: str
    sn: str
    record: str


class Complaint(msgspec.Struct, frozen=True):
    """A message of which nothing was taken.

    `reason` is one of `not_json not_xml oversize unknown_schema bad_shape foreign_gateway retained too_many_records`.
    """

    reason: str
    detail: str


class Heard(msgspec.Struct, frozen=True):
    """When a message came and when its gateway says that it was sent; the last five tell how its clock runs."""

    received: float
    sent_at: float


class Skew(msgspec.Struct, frozen=True):
    """How a gateway's clock runs: `word` is `unknown`, `fine`, `skewed` or `refused`; positive seconds: it is slow."""

    word: str
    seconds: float | None = None


class Condition(msgspec.Struct, frozen=True):
    """What a device complains of at a moment. `spoken` names the words (or marks) that this report could clear."""

    device: str
    at: int
    marks: tuple[Mark, ...]
    spoken: frozenset[str]
    event_id: str = ""


class GatewayState(msgspec.Struct, frozen=True):
    """What a gateway says of itself, or its last will; `at` None means that it did not say when."""

    online: bool
    at: int | None = None
    reason: str = ""
    network: str = ""


class Batch(msgspec.Struct):
    """What one message brought. `heard` goes into the gateway's last five; backfill and retained ones have none."""

    kind: MessageKind
    gateway_sn: str
    site_id: str
    key: MessageKey | None = None
    order: Order | None = None
    heard: Heard | None = None
    skew: Skew = Skew("unknown")
    interval_s: int = FINE_S
    records: int = 0
    newest: int | None = None
    sites: list[SiteFacts] = msgspec.field(default_factory=list)
    devices: list[DeviceFacts] = msgspec.field(default_factory=list)
    devices_complete: bool = False
    readings: list[Reading] = msgspec.field(default_factory=list)
    conditions: list[Condition] = msgspec.field(default_factory=list)
    gateway: GatewayState | None = None
    dead: list[DeadLetter] = msgspec.field(default_factory=list)
    unknown_keys: Counter[str] = msgspec.field(default_factory=Counter)


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the receiver knows of a gateway before a message is read.

    `serials` None takes every serial; `inverters` None sums a site from the inverters that a batch has, otherwise only
    when each of them is in it. `timezone` is the site's, without which no daily figure is made.
    """

    heard: tuple[Heard, ...] = ()
    serials: frozenset[str] | None = None
    inverters: frozenset[str] | None = None
    timezone: str | None = None


NOTHING_KNOWN: Final = Known()


# -- receiver rules (section 3) --------------------------------------------------------------------------------------


def clock_skew(heard: Sequence[Heard]) -> Skew:
    """How a gateway's clock runs, from its last five messages.

    A message that waited in a queue is late, and its clock may be right: stamps that advance faster than time does
    come from a queue and are left out; and a clock is called slow only on three messages that agree. No delay makes a
    message come before it was sent, so one alone shows a clock that is fast.
    """
    last = list(heard[-5:])
    waited: set[int] = set()
    for index, (before, after) in enumerate(pairwise(last)):
        if after.sent_at - before.sent_at > 2 * max(0.0, after.received - before.received) + 60:
            waited |= {index, index + 1}
    skews = [one.received - one.sent_at for index, one in enumerate(last) if index not in waited]
    if not skews:
        return Skew("unknown")
    seconds = float(median(skews))
    if abs(seconds) <= SKEW_FINE_S:
        return Skew("fine", seconds)
    if seconds > SKEW_FINE_S and len(skews) < 3:
        return Skew("unknown", seconds)
    return Skew("refused" if abs(seconds) > SKEW_REFUSED_S else "skewed", seconds)


def refused_time(at: int, skew: Skew, now: float) -> str | None:
    """Why a record of that time is not stored, None where it is (section 3, Clock and Out of order)."""
    if at < EARLIEST:
        return "before 2015: the gateway's clock is not set"
    if skew.word == "refused":
        return "the gateway's clock is more than a day off"
    corrected = at + (skew.seconds or 0.0 if skew.word in {"skewed", "fine"} else 0.0)
    if corrected > now + AHEAD_S:
        return "more than five minutes in the future"
    if corrected < now - OLDEST_S:
        return "older than 31 days"
    return None


def lost_between(before: Order | None, after: Order) -> tuple[int, bool]:
    """(messages missing between two, whether the gateway restarted); a message that comes out of order misses none."""
    if before is None:
        return 0, False
    if after.boot_id != before.boot_id:
        return 0, after.boot_id > before.boot_id
    return max(0, after.seq - before.seq - 1), False


def is_silent(last_message_at: float, interval_s: int, now: float) -> bool:
    """Whether a gateway that sends at that interval has been quiet for too long."""
    return now - last_message_at > max(3 * interval_s, 1_200)


COMM: Final = Mark("CPS-COMM", "CPS-COMM", "The gateway is not connected", Severity.WARNING)
CLOCK: Final = Mark(
    "CPS-CLOCK", "CPS-CLOCK", "The gateway's clock is wrong; set its time zone and its time", Severity.WARNING
)


def comm_condition(gateway_sn: str, at: int, *, silent: bool) -> Condition:
    """The gateway's own alert of silence; its devices are offline, and none of them is at fault."""
    return Condition(gateway_sn, at, (COMM,) if silent else (), frozenset({COMM.name}))


def fold_alerts(known: Iterable[AlertFacts], conditions: Iterable[Condition]) -> list[AlertFacts]:
    """What conditions change in alerts: raised when a bit rises, resolved when a report that could say so omits it.

    `known` are the open alerts; the answer holds new, changed and resolved ones only. A report older than the alert
    changes nothing, and one without the word in question resolves nothing.
    """
    open_alerts: dict[tuple[str, str], AlertFacts] = {}
    for alert in known:
        # The key holds the device also where that is not known yet.
        device, *name = alert.vendor_alert_id.split("|")
        if alert.resolved_at is None and name:
            open_alerts[device, name[0]] = alert
    changed: dict[str, AlertFacts] = {}
    for condition in sorted(conditions, key=lambda one: one.at):
        active = {mark.name: mark for mark in condition.marks}
        for called, mark in active.items():
            if (condition.device, called) not in open_alerts:
                moment = condition.event_id or str(condition.at)
                alert = AlertFacts(
                    vendor_alert_id=f"{condition.device}|{called}|{moment}", code=mark.code, description=mark.text,
                    severity=mark.severity, timestamp=condition.at, vendor_device_id=condition.device,
                    silent=called == COMM.name,
                )  # fmt: skip
                open_alerts[condition.device, called] = changed[alert.vendor_alert_id] = alert
        for (device, called), alert in list(open_alerts.items()):
            heard = called in condition.spoken or called.split(".")[0] in condition.spoken
            if device == condition.device and heard and called not in active and condition.at >= alert.timestamp:
                changed[alert.vendor_alert_id] = msgspec.structs.replace(alert, resolved_at=condition.at)
                del open_alerts[device, called]
    return list(changed.values())


# -- reading a message -----------------------------------------------------------------------------------------------


def topic_of(topic: str, prefix: str = "cps/v1") -> tuple[str, MessageKind] | None:
    """(gateway serial, kind) of an MQTT topic, None for one that is not ours."""
    head, _, rest = topic.partition(f"{prefix.strip('/')}/")
    gateway, _, kind = rest.partition("/")
    if head or not gateway or kind not in {one.value for one in MessageKind}:
        return None
    return gateway, MessageKind(kind)


def read_topic(
    topic: str, payload: bytes, *, now: float, known: Known = NOTHING_KNOWN, retained: bool = False,
    prefix: str = "cps/v1",
) -> list[Batch | Complaint]:  # fmt: skip
    """What an MQTT message brings. `retained` ones are the last known state: inventory and status, never telemetry."""
    found = topic_of(topic, prefix)
    if found is None:
        return [Complaint("bad_shape", f"not a topic of a gateway: {quoted(topic)}")]
    gateway, kind = found
    if kind is MessageKind.STATUS:
        return [read_status(gateway, payload, now=now, retained=retained)]
    return read_message(payload, now=now, known=known, gateway=gateway, kind=kind, retained=retained)


def read_message(
    body: bytes, *, now: float, known: Known = NOTHING_KNOWN, gateway: str = "", kind: MessageKind | None = None,
    content_type: str = "", message_id: str = "", retained: bool = False, most_records: int | None = None,
) -> list[Batch | Complaint]:  # fmt: skip
    """What a body brings: one envelope, an array of them, or a SunSpec document; nothing is raised.

    `gateway` and `kind` are what the way it came by says of it; `message_id` names a document that has no id itself.
    """
    if len(body) > MOST_BYTES:
        return [Complaint("oversize", f"{len(body)} bytes, more than {MOST_BYTES}")]
    head = body[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if "xml" in content_type.lower() or head.startswith(b"<"):
        return [_read_document(body, now, known, gateway, message_id, retained)]
    try:
        content = msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [Complaint("not_json", "the body is neither JSON nor XML")]
    envelopes = content if isinstance(content, list) else [content]
    if not envelopes or len(envelopes) > 1000:
        return [Complaint("bad_shape", f"an array of {len(envelopes)} envelopes")]
    return [_read_envelope(one, now, known, gateway, kind, retained, most_records) for one in envelopes]


def read_status(gateway_sn: str, payload: bytes, *, now: float, retained: bool = False) -> Batch | Complaint:
    """A gateway's own word, or its last will (`{"state":"offline","reason":"lwt"}`), which carries no time."""
    if len(payload) > MOST_BYTES:
        return Complaint("oversize", f"{len(payload)} bytes, more than {MOST_BYTES}")
    try:
        content = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Complaint("not_json", "a status that is not JSON")
    state = content.get("state") if isinstance(content, dict) else None
    if state not in {"online", "offline"}:
        return Complaint("bad_shape", "a status without a state")
    at = _instant(content.get("ts"), "iso8601", dt.UTC)
    online = state == "online"
    batch = Batch(MessageKind.STATUS, gateway_sn, _text(content.get("site_id")) or gateway_sn)
    batch.gateway = GatewayState(online, at, _text(content.get("reason"))[:200], _text(content.get("net"))[:40])
    batch.newest = at
    batch.devices.append(
        DeviceFacts(
            vendor_device_id=gateway_sn,
            device_type=DeviceType.GATEWAY,
            serial_number=gateway_sn,
            manufacturer="CPS",
            firmware=_text(content.get("fw"))[:80] or None,
            last_reported_at=at,
            status=DeviceStatus.NORMAL if online else DeviceStatus.OFFLINE,
        )
    )
    # A last will has no time of its own: the moment of its coming is the best there is, unless it had been kept.
    moment = at if at is not None else None if retained else int(now)
    if moment is not None and refused_time(moment, Skew("unknown"), now) is None:
        batch.conditions.append(comm_condition(gateway_sn, moment, silent=not online))
        signal = numeral(content.get("rssi"))
        if online and signal is not None and at is not None and not retained:
            batch.readings.append(Reading(gateway_sn, "signal_strength", 0, at, signal))
    return batch


def _read_envelope(
    envelope: Any, now: float, known: Known, gateway: str, kind: MessageKind | None, retained: bool,
    most_records: int | None,
) -> Batch | Complaint:  # fmt: skip
    if not isinstance(envelope, dict):
        return Complaint("bad_shape", "an envelope that is no object")
    mapping = next(
        (one for one in maps().values() if _at(envelope, path_of(one.file.match.path)) == one.file.match.equals), None
    )
    if mapping is None:
        return Complaint("unknown_schema", f"schema {quoted(envelope.get('schema'))}")
    file = mapping.file
    said = file.kind.map.get(_text(_at(envelope, path_of(file.kind.path))))
    if said is None:
        return Complaint("bad_shape", "a kind of message that is not known")
    # A backfill is a telemetry by its form: the topic tells them apart.
    kind = kind if kind is MessageKind.BACKFILL and said == MessageKind.TELEMETRY else MessageKind(said)
    gateway_sn, message = (
        _text(_at(envelope, path_of(file.ids.gateway))),
        _text(_at(envelope, path_of(file.ids.message))),
    )
    if not gateway_sn or not message or len(gateway_sn) > 64 or len(message) > 200:
        return Complaint("bad_shape", "no gateway serial or no message id")
    if gateway and gateway_sn != gateway:
        return Complaint("foreign_gateway", "the envelope speaks for another gateway than the one that sent it")
    if retained and kind not in {MessageKind.INVENTORY, MessageKind.STATUS}:
        return Complaint("retained", "a retained message is never fresh telemetry")
    batch = Batch(kind, gateway_sn, _text(_at(envelope, path_of(file.ids.site)))[:120] or gateway_sn)
    batch.key = MessageKey(gateway_sn, message)
    boot, seq = (_whole(_at(envelope, path_of(path))) for path in file.ids.order)
    batch.order = Order(boot, seq) if boot is not None and seq is not None else None
    zone = fixed_zone(_text(_at(envelope, path_of(file.time.zone_from))))
    interval = _whole(_at(envelope, path_of(file.time.interval)))
    batch.interval_s = interval if interval is not None and 60 <= interval <= 3600 else file.time.interval_s
    _set_clock(batch, _instant(_at(envelope, path_of(file.time.sent)), "iso8601", zone or dt.UTC), known, now, retained)
    reader = _Reader(mapping, batch, known, now, zone)
    if kind is MessageKind.INVENTORY:
        reader.inventory(_at(envelope, path_of(file.inventory)))
    elif kind is MessageKind.EVENT:
        reader.event(_at(envelope, path_of(file.event)))
    elif kind is MessageKind.STATUS:
        return read_status(gateway_sn, msgspec.json.encode(envelope), now=now, retained=retained)
    else:
        records = _at(envelope, path_of(file.records))
        if not isinstance(records, list):
            return Complaint("bad_shape", "telemetry without records")
        if most_records is not None and len(records) > most_records:
            return Complaint("too_many_records", f"{len(records)} records, more than {most_records}")
        batch.records = len(records)
        reader.telemetry(records)
    if batch.devices or batch.readings:
        batch.sites.append(
            SiteFacts(
                vendor_site_id=batch.site_id,
                last_report_at=batch.newest,
                peak_power_kw=reader.rated_kw,
                communication=None if retained or kind is MessageKind.BACKFILL else Communication.OK,
                status=worst_of(batch.devices),
            )
        )
    return batch


def _set_clock(batch: Batch, sent_at: int | None, known: Known, now: float, retained: bool) -> None:
    if sent_at is not None and batch.kind is not MessageKind.BACKFILL and not retained:
        batch.heard = Heard(now, sent_at)
    batch.skew = clock_skew((*known.heard, *([batch.heard] if batch.heard else [])))
    if batch.heard is not None and batch.skew.word in {"skewed", "refused", "fine"}:
        marks = () if batch.skew.word == "fine" else (CLOCK,)
        batch.conditions.append(Condition(batch.gateway_sn, int(now), marks, frozenset({CLOCK.name})))


class _Reader:
    """One envelope, record by record, into its batch."""

    def __init__(self, mapping: PayloadMap, batch: Batch, known: Known, now: float, zone: dt.tzinfo | None) -> None:
        self._map = mapping
        self._file = mapping.file
        self._batch = batch
        self._known = known
        self._now = now
        self._zone = zone
        self._days = clock.zone(known.timezone)
        self.rated_kw: float | None = None

    def telemetry(self, records: Sequence[Any]) -> None:
        """Take each record that can be taken, and the site's sum where it is whole."""
        totals: dict[int, dict[str, tuple[float | None, float | None]]] = {}
        seen: dict[str, DeviceFacts] = {}
        for record in records:
            self._record(record, totals, seen)
        self._batch.devices += seen.values()
        for at, by_inverter in sorted(totals.items()):
            if self._known.inverters is not None and not self._known.inverters <= set(by_inverter):
                continue
            watts = [power for power, _ in by_inverter.values()]
            if watts and None not in watts:
                self._give("", "ac_power_w", at, math.fsum(w for w in watts if w is not None), interval=True)
            today = [wh for _, wh in by_inverter.values()]
            if today and None not in today:
                self._give_day("", at, math.fsum(wh for wh in today if wh is not None))

    def _record(
        self, record: Any, totals: dict[int, dict[str, tuple[float | None, float | None]]], seen: dict[str, DeviceFacts]
    ) -> None:
        taken = self._named(record)
        if taken is None:
            return
        sn, kind, model = taken
        at = _instant(_at(record, path_of(self._file.time.path)), self._file.time.kind, self._zone)
        if at is None:
            self._refuse("time", "no time that can be read", sn, record)
            return
        why = refused_time(at, self._batch.skew, self._now)
        if why:
            self._refuse("time", why, sn, record)
            return
        self._count_unknown(record, ())
        if self._batch.newest is None or at > self._batch.newest:
            self._batch.newest = at
        power, today = self._values(record, sn, kind, at)
        if kind is DeviceType.INVERTER:
            totals.setdefault(at, {})[sn] = (power, today)
        mode = _bits(_at(record, path_of(self._file.status.path)))
        marks, words = self._marks(record, mode)
        if words:
            self._batch.conditions.append(Condition(sn, at, tuple(marks), frozenset(words)))
        older = seen.get(sn)
        if older is None or (older.last_reported_at or 0) <= at:
            seen[sn] = self._device(sn, kind, model, at, self._file.status.status(mode))

    def _values(self, record: Any, sn: str, kind: DeviceType, at: int) -> tuple[float | None, float | None]:
        power = today = None
        inputs: dict[int, dict[str, float]] = {}
        for source in self._map.sources:
            if source.types and kind not in source.types:
                continue
            value = _number(_at(record, source.path), source.nulls)
            if value is None:
                continue
            value *= source.scale
            if source.input:
                inputs.setdefault(source.input, {})[source.metric] = value
            elif source.day:
                today = value
            else:
                self._give(sn, source.metric, at, value, interval=source.interval)
                power = value if source.metric == "ac_power_w" else power
        if today == 0 and power:
            # It produces and has counted nothing: firmware that counts the day's energy at night in one step
            # (section 9), or the first minutes of a day. Either way no figure is better than 0.
            today = None
        if today is not None:
            self._give_day(sn, at, today)
        _sunspec.add_input_power(inputs)
        for number, values in inputs.items():
            self._batch.devices.append(_input_device(sn, number, at))
            for metric, value in values.items():
                self._give(f"{sn}:pv{number}", metric, at, value, interval=True)
        return power, today

    def inventory(self, devices: Any) -> None:
        """Take each device of an inventory; the list is complete when all of it could be read."""
        if not isinstance(devices, list):
            self._refuse("shape", "an inventory without devices", "", devices)
            return
        found: dict[str, DeviceFacts] = {}
        rated: list[float] = []
        for device in devices:
            taken = self._named(device, listed=True)
            if taken is None:
                continue
            sn, kind, model = taken
            parent = _text(_at(device, path_of(self._file.fields.parent)))[:64]
            facts = self._device(sn, kind, model, None, DeviceStatus.UNKNOWN)
            kw = _number(_at(device, path_of(self._file.fields.rated_kw)), frozenset())
            found[sn] = msgspec.structs.replace(
                facts,
                parent=parent or facts.parent,
                firmware=_text(_at(device, path_of(self._file.fields.firmware)))[:80] or None,
                rated_w=kw * 1e3 if kw is not None and 0 < kw < 1e5 else facts.rated_w,
            )
            if kind is DeviceType.INVERTER and found[sn].rated_w:
                rated.append((found[sn].rated_w or 0.0) / 1e3)
        self._batch.devices += found.values()
        # The inputs are known from telemetry alone, so a list of devices never says that one is gone.
        self._batch.devices_complete = False
        inverters = sum(1 for facts in found.values() if facts.device_type is DeviceType.INVERTER)
        self.rated_kw = math.fsum(rated) if rated and len(rated) == inverters else None

    def event(self, event: Any) -> None:
        """Take one alarm's beginning or end."""
        sn, code = (_text(_at(event, (name,))) for name in ("sn", "code"))
        at = _instant(_at(event, ("ts",)), self._file.time.kind, self._zone)
        state = _text(_at(event, ("state",)))
        if not sn or not code or at is None or state not in {"raised", "cleared"} or "|" in sn + code:
            self._refuse("shape", "an event without serial, code, time or state", sn, event)
            return
        why = refused_time(at, self._batch.skew, self._now) or self._stranger(sn)
        if why:
            self._refuse("time" if not self._stranger(sn) else "unknown_serial", why, sn, event)
            return
        family = _text(_at(event, ("class",))).lower()
        severity = {"fault": Severity.ERROR, "protect": Severity.ERROR, "status": Severity.INFO}.get(
            family, Severity.WARNING
        )
        code = code[:80]
        mark = Mark(code, code, _text(_at(event, ("text",)))[:300] or code, severity)
        marks = (mark,) if state == "raised" else ()
        event_id = _text(_at(event, ("event_id",)))[:80]
        self._batch.newest = at
        self._batch.conditions.append(Condition(sn[:64], at, marks, frozenset({code}), event_id))

    def _named(self, record: Any, *, listed: bool = False) -> tuple[str, DeviceType, str] | None:
        """(serial, type, model) of a record, None when it went to the dead letters."""
        sn = _text(_at(record, path_of(self._file.ids.device)))
        if not isinstance(record, dict) or not sn or len(sn) > 64 or not sn.isprintable() or "|" in sn:
            self._refuse("shape", "a record without a serial", sn, record)
            return None
        model = _text(_at(record, path_of(self._file.fields.model)))[:80]
        said = self._file.device_type.map.get(_text(_at(record, path_of(self._file.device_type.path))), "other")
        kind = DeviceType(said)
        pattern = self._file.serials.get(said)
        if pattern and not model and not re.fullmatch(pattern, sn):
            # A gateway can show up among its own inverters (1.3 [code]).
            self._refuse("not_a_device", "the serial is none of an inverter, and it has no model", sn, record)
            return None
        stranger = None if listed else self._stranger(sn)
        if stranger:
            self._refuse("unknown_serial", stranger, sn, record)
            return None
        return sn, kind, model

    def _stranger(self, sn: str) -> str | None:
        serials = self._known.serials
        return None if serials is None or sn in serials else "the serial is in no inventory of this gateway"

    def _device(self, sn: str, kind: DeviceType, model: str, at: int | None, status: DeviceStatus) -> DeviceFacts:
        is_gateway = sn == self._batch.gateway_sn
        return DeviceFacts(
            vendor_device_id=sn,
            device_type=DeviceType.GATEWAY if is_gateway else kind,
            serial_number=sn,
            model=model or None,
            manufacturer="CPS" if is_gateway or kind in {DeviceType.INVERTER, DeviceType.GATEWAY} else None,
            status=status,
            parent=None if is_gateway else self._batch.gateway_sn,
            rated_w=rated_w_of(model) if kind is DeviceType.INVERTER else None,
            last_reported_at=at,
        )

    def _marks(self, record: Any, mode: int | None) -> tuple[list[Mark], set[str]]:
        marks: list[Mark] = []
        words: set[str] = set()
        if mode is not None:
            words.add(_sunspec.DERATE.name)
            if self._file.status.derates(mode):
                marks.append(_sunspec.DERATE)
        for letter, path in self._file.faults.words.items():
            value = _at(record, path_of(path))
            several = path.endswith("[*]")
            for number, item in enumerate(value[:16] if several and isinstance(value, list) else [value]):
                word = _bits(item)
                if word is not None:
                    family = f"{letter}{number}" if several else letter
                    words.add(family)
                    marks += _sunspec.fault_bits(family, word, self._file.faults.table)
        return marks, words

    def _give(self, device: str, metric: str, at: int, value: float, *, interval: bool) -> None:
        step = self._batch.interval_s if interval else 0
        start = at - step if self._file.time.stamps == "end" else at
        self._batch.readings.append(Reading(device, metric, step, start, value))

    def _give_day(self, device: str, at: int, wh: float) -> None:
        # The counter begins anew at the gateway's midnight, which knows no summer: the date is the gateway's, and
        # the day of that date is the site's.
        if self._days is not None:
            day = clock.day_of(at - 1, self._zone or self._days)
            self._batch.readings.append(Reading(device, "energy_wh", DAY_S, clock.midnight(day, self._days), wh))

    def _refuse(self, reason: str, detail: str, sn: str, record: Any) -> None:
        self._batch.dead.append(DeadLetter(reason, detail, sn[:64], _words(record)))

    def _count_unknown(self, value: Any, path: Path) -> None:
        expected = self._map.known.get(path)
        if expected is None or not isinstance(value, dict) or len(path) > 4:
            return
        for key, item in value.items():
            if key in expected:
                self._count_unknown(item, (*path, key))
            elif len(self._batch.unknown_keys) < 100:
                self._batch.unknown_keys[".".join((*path, key))[:80]] += 1


# -- a SunSpec document (section 4) ----------------------------------------------------------------------------------


def _read_document(
    body: bytes, now: float, known: Known, gateway: str, message_id: str, retained: bool
) -> Batch | Complaint:
    devices = _sunspec.read_document(body)
    if isinstance(devices, str):
        return Complaint("not_xml", devices)
    if retained:
        return Complaint("retained", "a retained message is never fresh telemetry")
    logger = gateway or next((device.logger for device in devices if device.logger), "")
    if not logger or len(logger) > 64:
        return Complaint("bad_shape", "a document without the logger's serial")
    batch = Batch(MessageKind.TELEMETRY, logger, logger)
    batch.key = MessageKey(logger, message_id or f"sha256:{hashlib.sha256(body).hexdigest()}")
    batch.records = len(devices)
    seen: dict[str, DeviceFacts] = {}
    power: dict[int, dict[str, float | None]] = {}
    for device in devices:
        why = None
        if not device.serial or len(device.serial) > 64 or "|" in device.serial:
            why = ("shape", "a device without a serial")
        elif device.logger and device.logger != logger:
            why = ("foreign_gateway", "a device of another logger")
        elif known.serials is not None and device.serial not in known.serials:
            why = ("unknown_serial", "the serial is in no inventory of this gateway")
        elif device.at is None:
            why = ("time", "no time that can be read")
        else:
            refused = refused_time(device.at, clock_skew(known.heard), now)
            why = ("time", refused) if refused else None
        if why or device.at is None:
            reason, detail = why or ("time", "no time that can be read")
            batch.dead.append(DeadLetter(reason, detail, device.serial[:64], _words(msgspec.to_builtins(device))))
            continue
        state, at = _sunspec.state_of(device), device.at
        batch.newest = max(at, batch.newest or at)
        for facts in state_devices(
            device.serial, device.model, device.manufacturer, device.firmware, state, at, logger
        ):
            seen[facts.vendor_device_id] = facts
        batch.readings += state_readings(device.serial, state, at - batch.interval_s, batch.interval_s, at)
        batch.conditions.append(Condition(device.serial, at, tuple(state.marks), frozenset(state.words)))
        if any(block.model in _sunspec.INVERTERS for block in device.blocks):
            power.setdefault(at, {})[device.serial] = state.metrics.get("ac_power_w")
    for at, watts in sorted(power.items()):
        if None not in watts.values() and (known.inverters is None or known.inverters <= set(watts)):
            total = math.fsum(w for w in watts.values() if w is not None)
            batch.readings.append(Reading("", "ac_power_w", batch.interval_s, at - batch.interval_s, total))
    batch.devices += seen.values()
    if seen:
        batch.sites.append(
            SiteFacts(
                vendor_site_id=logger,
                last_report_at=batch.newest,
                communication=Communication.OK,
                status=worst_of(batch.devices),
            )
        )
    return batch


# -- values ----------------------------------------------------------------------------------------------------------


def _at(value: Any, path: Path) -> Any:
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _text(value: Any) -> str:
    """A text or a number as text, trimmed; empty for anything else."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**30 else ""


def _whole(value: Any) -> int | None:
    number = numeral(value)
    return int(number) if number is not None and number == int(number) and abs(number) < 2**53 else None


def _number(value: Any, nulls: frozenset[Any]) -> float | None:
    """A figure, also from text; None for what means nothing here. 0 is a measured 0."""
    if isinstance(value, bool | list | dict) or value is None:
        return None
    if isinstance(value, str):
        value = value.strip()
    if value in nulls:
        return None
    number = numeral(value)
    return None if number is None or number in nulls else number


def _bits(value: Any) -> int | None:
    """A word of bits, from a number or from text such as 0x1000; None where it is neither."""
    if isinstance(value, str) and re.fullmatch(r"\s*0[xX][0-9A-Fa-f]{1,8}\s*", value):
        return int(value, 16)
    number = _whole(value)
    return number if number is not None and 0 <= number < 2**32 else None


def _instant(value: Any, kind: str, zone: dt.tzinfo | None) -> int | None:
    """The epoch second of a stamp; above 10^11 a number counts milliseconds (section 8). None where it is none."""
    number = numeral(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and number is None:
        number = float(value) if abs(value) < 1e15 else None
    if isinstance(value, str) and re.fullmatch(r"\s*\d{9,14}(\.\d*)?\s*", value):
        number = float(value)
    if number is not None:
        seconds = number / 1000 if kind == "epoch_ms" or abs(number) > 1e11 else number
        return int(seconds) if 0 <= seconds < clock.LATEST else None
    if not isinstance(value, str) or not 10 <= len(value.strip()) <= 40:
        return None
    try:
        moment = dt.datetime.fromisoformat(value.strip())
        if moment.tzinfo is None:
            if zone is None:
                return None
            moment = moment.replace(tzinfo=zone)
        seconds = moment.timestamp()
    except (ValueError, OverflowError):
        return None
    return int(seconds) if 0 <= seconds < clock.LATEST else None


def fixed_zone(text: str) -> dt.tzinfo | None:
    """The zone of `GMT -6`, `UTC+5:30` or an IANA name; an offset knows no summer [assumed]. None where it is none."""
    match = re.fullmatch(r"(?:GMT|UTC)?\s*(?:([+-])\s*(\d{1,2})(?::?([0-5]\d))?)?", text.strip(), re.IGNORECASE)
    if match is None or not text.strip():
        return clock.zone(text.strip())
    hours, minutes = int(match[2] or 0), int(match[3] or 0)
    if hours > 14:
        return None
    offset = dt.timedelta(hours=hours, minutes=minutes)
    return dt.timezone(-offset if match[1] == "-" else offset)


_WORST: Final = {
    DeviceStatus.FAULT: SiteStatus.FAULT, DeviceStatus.WARNING: SiteStatus.WARNING,
    DeviceStatus.NORMAL: SiteStatus.NORMAL,
}  # fmt: skip


def worst_of(devices: Iterable[DeviceFacts]) -> SiteStatus | None:
    """A site's status, which is that of its worst inverter (section 7); None where none tells its own."""
    said = {facts.status for facts in devices if facts.device_type is DeviceType.INVERTER}
    return next((word for status, word in _WORST.items() if status in said), None)


def rated_w_of(model: str) -> float | None:
    """The AC rating that a model's name holds (`SCA60KTL-DO/US-480` is 60 kW), None where it holds none."""
    match = re.search(r"(\d{1,3}(?:\.\d)?)\s*KTL", model, re.IGNORECASE)
    return float(match[1]) * 1e3 if match and float(match[1]) > 0 else None


def _words(record: Any) -> str:
    try:
        text = json.dumps(record, ensure_ascii=False, default=str)
    except (ValueError, RecursionError):
        text = repr(type(record))
    return text[:2_000]


def _input_device(sn: str, number: int, at: int | None) -> DeviceFacts:
    return DeviceFacts(
        vendor_device_id=f"{sn}:pv{number}", device_type=DeviceType.MPPT, name=f"PV{number}", parent=sn,
        last_reported_at=at,
    )  # fmt: skip


def state_devices(
    sn: str, model: str, manufacturer: str, firmware: str, state: _sunspec.State, at: int, gateway: str | None
) -> Iterator[DeviceFacts]:
    """An inverter and its DC inputs as devices."""
    yield DeviceFacts(
        vendor_device_id=sn, device_type=DeviceType.INVERTER, serial_number=sn, model=model[:80] or None,
        manufacturer=manufacturer[:80] or None, firmware=firmware[:80] or None, status=state.status, parent=gateway,
        rated_w=state.rated_w or rated_w_of(model), last_reported_at=at,
    )  # fmt: skip
    for number in sorted(state.inputs):
        yield _input_device(sn, number, at)


def state_readings(sn: str, state: _sunspec.State, start: int, interval_s: int, at: int) -> Iterator[Reading]:
    """An inverter's values and its inputs': means named by their interval's start, counters by the moment `at`."""
    every = [(sn, state.metrics), *((f"{sn}:pv{number}", values) for number, values in sorted(state.inputs.items()))]
    for device, values in every:
        for metric, value in values.items():
            if METRICS[metric].kind is Kind.COUNTER:
                yield Reading(device, metric, 0, at, value)
            else:
                yield Reading(device, metric, interval_s, start, value)


# -- HTTPS push (section 4) ------------------------------------------------------------------------------------------


class Refusal(msgspec.Struct, frozen=True):
    """An answer that refuses a push: its status, and a reason that holds no secret."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


class Pushed(msgspec.Struct, frozen=True):
    """A push whose sender is known: its body unpacked, and what its headers say of it."""

    body: bytes
    gateway: str
    message_id: str
    content_type: str


REFUSED: Final[Mapping[str, int]] = {
    "not_json": 400, "not_xml": 400, "bad_shape": 400, "retained": 400, "oversize": 413, "too_many_records": 413,
    "unknown_schema": 422, "foreign_gateway": 403,
}  # fmt: skip
"""What a Complaint's reason answers to a sender."""


def check_push(
    headers: Mapping[str, str], body: bytes, secret: str, now: float, *, window_s: int = REPLAY_S
) -> Pushed | Refusal:
    """The body of a push that its sender signed with `secret`, else the answer that refuses it.

    Signed is `timestamp + "." + body` as it came over the wire, packed or not [assumed]. A bearer token or a Basic
    password that is the secret stands for a signature where the gateway cannot make one.
    """
    given = {name.lower(): value for name, value in headers.items()}
    if len(body) > MOST_PUSHED_BYTES:
        return Refusal(413, f"more than {MOST_PUSHED_BYTES} bytes: split it")
    refusal = _unsigned(given, body, secret, now, window_s)
    if refusal is not None:
        return refusal
    encoding = given.get("content-encoding", "").strip().lower()
    if encoding in {"gzip", "x-gzip"}:
        unpacked = _unpacked(body)
        if isinstance(unpacked, Refusal):
            return unpacked
        body = unpacked
    elif encoding not in {"", "identity"}:
        return Refusal(400, "the body is packed in a way that is not known")
    if not body.strip():
        return Refusal(400, "the body is empty")
    return Pushed(
        body, given.get("x-cps-gateway", "").strip()[:64], given.get("x-cps-message-id", "").strip()[:200],
        given.get("content-type", ""),
    )  # fmt: skip


def _unsigned(given: Mapping[str, str], body: bytes, secret: str, now: float, window_s: int) -> Refusal | None:
    known = secret.encode()
    if not known:
        return Refusal(403, "no secret is set here")
    signature = given.get("x-cps-signature", "").strip()
    if not signature:
        kind, _, token = given.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            try:
                token = base64.b64decode(token.strip(), validate=True).decode().partition(":")[2]
            except (binascii.Error, ValueError):
                token = ""
        if kind.lower() in {"bearer", "basic"} and hmac.compare_digest(token.strip().encode(errors="replace"), known):
            return None
        return Refusal(401, "the sender is not known", (("WWW-Authenticate", "Bearer"),))
    stamp = given.get("x-cps-timestamp", "").strip()
    # A header may hold what is no text: it fits nothing, and it breaks nothing.
    expected = hmac.new(known, stamp.encode(errors="replace") + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signature.lower().encode(errors="replace"), f"sha256={expected}".encode()):
        return Refusal(401, "the signature does not fit")
    moment = numeral(stamp)
    if moment is None or abs(now - moment) > window_s:
        return Refusal(401, "the time of the signature is too far off")
    return None


def _unpacked(body: bytes) -> bytes | Refusal:
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        content = inflate.decompress(body, MOST_PUSHED_BYTES + 1)
    except zlib.error:
        return Refusal(400, "the body is not gzip")
    if len(content) > MOST_PUSHED_BYTES:
        return Refusal(413, f"more than {MOST_PUSHED_BYTES} bytes unpacked: split it")
    return content if inflate.eof and not inflate.unused_data else Refusal(400, "the body is cut short")


def read_push(pushed: Pushed, *, now: float, known: Known = NOTHING_KNOWN) -> list[Batch] | Refusal:
    """What a push brings. Of several envelopes either all are taken or none: the sender keeps what is refused."""
    found = read_message(
        pushed.body, now=now, known=known, gateway=pushed.gateway, content_type=pushed.content_type,
        message_id=pushed.message_id, most_records=MOST_PUSHED_RECORDS,
    )  # fmt: skip
    batches = [one for one in found if isinstance(one, Batch)]
    complaint = next((one for one in found if isinstance(one, Complaint)), None)
    if complaint is not None:
        return Refusal(REFUSED[complaint.reason], complaint.detail)
    records = sum(batch.records for batch in batches)
    return batches if records <= MOST_PUSHED_RECORDS else Refusal(413, "too many envelopes: split it")
