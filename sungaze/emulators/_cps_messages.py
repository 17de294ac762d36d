"""What one simulated gateway sends: envelopes and documents by vendors/cps.md 3 to 5, and every way they go wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from threading import RLock
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

from sungaze.emulators._cps_site import (
    INPUTS,
    METER_UNIT,
    GatewayView,
    Moment,
    fixed_zone,
    gateway_serial,
    meter_serial,
    model_of,
    site_id,
)
from sungaze.emulators.faults import Faults
from sungaze.emulators.world import INTERVAL_S

SCHEMA = "cps-assumed/1"
BACKFILL_S = 900
BACKFILL_RECORDS = 100
NULLS: tuple[Any, ...] = (None, "", "--", "N/A", 65535, -32768)
OWN_FAULTS = (
    "duplicate", "reorder", "delay", "drop", "reboot", "lwt", "stale_inventory", "clock_behind", "clock_ahead",
    "clock_years", "night_energy", "counter_reset", "null_styles", "text_numbers", "gzip", "oversize",
    "wrong_signature", "xml", "unknown_keys", "naive_time", "logger_record", "garbled", "unknown_schema",
    "unknown_serial", "device_fault",
)  # fmt: skip
"""Each strikes a share of the messages; `lwt` breaks the connection off, so that the broker sends the last will."""


class Message(NamedTuple):
    """One message on its way: what it is about, its body, and how it goes."""

    kind: str
    body: bytes
    msg_id: str
    content_type: str = "application/json"
    retained: bool = False
    faults: frozenset[str] = frozenset()


def zulu(epoch_s: float) -> str:
    """Return a moment as UTC with Z."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Sender:
    """One gateway's own memory: boots, sequence, what it holds back, and faults that last.

    `late_s` is how long after its interval's end a message leaves, beside the usual four seconds.
    """

    def __init__(self, view: GatewayView, faults: Faults, boot_id: int = 1) -> None:
        self.view = view
        self.plan = view.plan
        self.serial = gateway_serial(view.plan)
        self.boot_id = boot_id
        self.seq = 0
        self.sent_records = 0
        self.late_s = 0
        self._faults = faults
        self._held: list[Message] = []
        self._reset_at: int | None = None
        self._faulty = False
        self._lock = RLock()

    def live(self, at: int) -> list[Message]:
        """Return what leaves at the end of the interval that ends at `at`; empty when it is dropped or held back."""
        with self._lock:
            released, self._held = self._held, []
            if self._faults.strikes("reboot"):
                self.boot_id, self.seq = self.boot_id + 1, 0
            found: list[Message] = []
            message = self.telemetry(at)
            if message is not None:
                if self._faults.strikes("drop"):
                    pass
                elif self._faults.strikes("delay") or self._faults.strikes("reorder"):
                    self._held.append(message)
                else:
                    found.append(message)
                    if self._faults.strikes("duplicate"):
                        found.append(message)
            found += released
            if self._faults.strikes("device_fault"):
                self._faulty = not self._faulty
                found.append(self._event(at))
            return found

    def released(self) -> list[Message]:
        """Return what was held back, at the end."""
        with self._lock:
            released, self._held = self._held, []
            return released

    def telemetry(self, at: int) -> Message | None:
        """Return the records of the interval that ends at `at`, None while the site is silent."""
        with self._lock:
            moments = self.view.moments(at - INTERVAL_S)
            if moments is None:
                return None
            records = self._records(at, moments)
            struck = frozenset(name for name in ("gzip", "oversize", "wrong_signature") if self._faults.strikes(name))
            if self._faults.strikes("xml"):
                self.seq += 1
                document = self._document(at, moments)
                return Message("telemetry", document, f"{self._id()}", "application/xml", faults=struck)
            return self._message("telemetry", at, {"records": records}, struck=struck)

    def backfill(self, start: int, end: int) -> list[Message]:
        """Return the stored quarter-hours that end inside (start, end], oldest first, 100 records a message."""
        with self._lock:
            records: list[dict[str, Any]] = []
            for at in range(start // BACKFILL_S * BACKFILL_S + BACKFILL_S, end + 1, BACKFILL_S):
                parts = [self.view.moments(at - BACKFILL_S + n * INTERVAL_S) for n in range(3)]
                if not any(part is None for part in parts):
                    whole = [part for part in parts if part is not None]
                    records += self._records(at, [_mean(several) for several in zip(*whole, strict=True)])
            found = []
            for n in range(0, len(records), BACKFILL_RECORDS):
                part_of = {"records": records[n : n + BACKFILL_RECORDS], "interval_s": BACKFILL_S}
                found.append(self._message("backfill", end, part_of))
            return found

    def inventory(self, at: int) -> Message:
        """Return the device list, retained; weeks old by its own word under the fault stale_inventory."""
        old = 21 * 86_400 if self._faults.strikes("stale_inventory") else 0
        devices: list[dict[str, Any]] = [
            {"sn": self.serial, "modbus_id": 0, "type": "gateway", "model": "FG4C", "fw": "1.08"},
            *(
                {
                    "sn": serial, "modbus_id": number + 1, "type": "inverter", "model": model_of(self.plan),
                    "fw": "17.4",
                    "rated_kw": float(self.plan.limit_w[number]) / 1000.0, "parent": self.serial,
                }
                for number, serial in enumerate(self.view.serials)
            ),
            {"sn": meter_serial(self.plan), "modbus_id": METER_UNIT, "type": "meter", "model": "RG meter"},
        ]  # fmt: skip
        return self._message("inventory", at - old, {"devices": devices})._replace(retained=True)

    def status(self, at: int) -> Message:
        """Return the word that the gateway is there, retained."""
        state = {"state": "online", "ts": zulu(at), "ip": "192.0.2.7", "net": "ethernet", "rssi": -61, "fw": "1.08",
                 "uptime_s": 3_600}  # fmt: skip
        return Message("status", json.dumps(state).encode(), "", retained=True)

    def last_will(self) -> bytes:
        """Return what the broker says when the connection breaks off."""
        return b'{"state":"offline","reason":"lwt"}'

    def split(self, message: Message) -> list[Message]:
        """Return a message in two halves with ids of their own, as a sender does at 413; empty if it has one record."""
        envelope = json.loads(message.body)
        records = envelope.get("records") or []
        if len(records) < 2:
            return []
        half = len(records) // 2
        kept = message.faults - {"oversize"}
        envelope.pop("padding", None)
        with self._lock:
            found = []
            for part in (records[:half], records[half:]):
                self.seq += 1
                body = envelope | {"records": part, "msg_id": self._id(), "seq": self.seq}
                found.append(message._replace(body=json.dumps(body).encode(), msg_id=self._id(), faults=kept))
            return found

    def _event(self, at: int) -> Message:
        event = {"sn": self.view.serials[0], "ts": zulu(at), "event_id": f"{self.serial}-{at // 86_400}",
                 "code": "Warn0030", "class": "Warning", "text": "EEPROM",
                 "state": "raised" if self._faulty else "cleared"}  # fmt: skip
        return self._message("event", at, {"event": event})

    def _id(self) -> str:
        return f"{self.serial}-{self.boot_id}-{self.seq:06d}"

    def _message(self, kind: str, at: int, content: dict[str, Any], struck: frozenset[str] = frozenset()) -> Message:
        with self._lock:
            self.seq += 1
            shift = self._clock_shift()
            envelope: dict[str, Any] = {
                "schema": SCHEMA, "type": "telemetry" if kind == "backfill" else kind, "msg_id": self._id(),
                "boot_id": self.boot_id, "seq": self.seq, "gateway_sn": self.serial, "site_id": site_id(self.plan),
                "tz": fixed_zone(self.plan), "sent_at": zulu(at + 4 + self.late_s + shift), "interval_s": INTERVAL_S,
            } | content  # fmt: skip
            if shift and kind == "telemetry":
                for record in envelope["records"]:
                    record["ts"] = zulu(at + shift)
            if "oversize" in struck:
                envelope["padding"] = "x" * 1_100_000
            if self._faults.strikes("unknown_schema"):
                envelope["schema"] = "cps-assumed/99"
            self.sent_records += len(envelope.get("records", ()))
            body = json.dumps(envelope, separators=(",", ":")).encode()
            if self._faults.strikes("garbled"):
                body = body[: len(body) // 2]
            return Message(kind, body, self._id(), faults=struck)

    def _clock_shift(self) -> int:
        for name, shift in (("clock_behind", -300), ("clock_ahead", 3 * 3600), ("clock_years", -6 * 365 * 86_400)):
            if self._faults.strikes(name):
                return shift
        return 0

    def _records(self, at: int, moments: list[Moment]) -> list[dict[str, Any]]:
        stamp = zulu(at)
        if self._faults.strikes("naive_time"):
            text = fixed_zone(self.plan).removeprefix("GMT ")
            hours, _, minutes = text.partition(":")
            sign = -1 if hours.startswith("-") else 1
            local = at + sign * (abs(int(hours)) * 3600 + int(minutes or 0) * 60)
            stamp = zulu(local)[:-1]
        records = [
            self._inverter(number, stamp, moment) for number, moment in enumerate(moments) if moment.awake
        ]  # fmt: skip
        total = sum(moment.ac_w for moment in moments)
        meter: dict[str, Any] = {
            "sn": meter_serial(self.plan), "modbus_id": METER_UNIT, "type": "meter", "model": "RG meter", "ts": stamp,
            "values": {"Pac": round(total / 1000.0, 6), "EImp": 321.7,
                       "EExp": round(sum(moment.lifetime_wh for moment in moments) / 1000.0, 3)},
        }  # fmt: skip
        if self._faults.strikes("logger_record") and records:
            records.append({**records[0], "sn": "6C2B01AA03", "model": ""})
        if self._faults.strikes("unknown_serial") and records:
            records.append({**records[0], "sn": "0009999900000001"})
        return [*records, meter]

    def _inverter(self, number: int, stamp: str, moment: Moment) -> dict[str, Any]:
        ac = moment.ac_w / 1000.0
        today, lifetime = moment.today_wh, moment.lifetime_wh
        if self._faults.strikes("night_energy"):
            lifetime, today = lifetime - today, 0.0
        if self._faults.strikes("counter_reset"):
            self._reset_at = self._reset_at or int(lifetime)
        if self._reset_at is not None:
            lifetime = max(0.0, lifetime - self._reset_at)
        values: dict[str, Any] = {
            "Pac": round(ac, 6), "Sac": round(ac / 0.998, 4), "PF": 0.998, "Pmax": round(ac * 1.2, 2),
            "DYield": round(today / 1000.0, 3), "TYield": round(lifetime / 1000.0, 3), "Eff": 97.5,
            "Uab": 480.0, "Ubc": 480.5, "Uca": 481.0, "Freq": 60.0, "Tmod": round(25 + 2 * ac, 1), "Tamb": 24.0,
            "Qac": round(0.05 * ac, 4),
        }  # fmt: skip
        for phase in ("Ia", "Ib", "Ic"):
            values[phase] = round(ac * 1000.0 / (480.0 * 3**0.5), 2)
        for place in range(INPUTS):
            volts, amps, _ = moment.inputs[place]
            values[f"Upv{place + 1}"], values[f"Ipv{place + 1}"] = round(volts, 1), round(amps, 3)
        if self._faults.strikes("null_styles"):
            nothing = NULLS[self._faults.turn("null_styles") % len(NULLS)]
            for name in ("Pac", "Uab", "Freq", "Upv1"):
                values[name] = nothing
        if self._faults.strikes("text_numbers"):
            values = {name: value if value is None else str(value) for name, value in values.items()}
        record: dict[str, Any] = {
            "sn": self.view.serials[number], "modbus_id": number + 1, "type": "inverter", "model": model_of(self.plan),
            "ts": stamp, "Mode": "0x1000" if ac else "0x2000", "status": "Run" if ac else "Standby", "values": values,
            "fault": {"PFault": 0, "Warn": 1 if self._faulty and not number else 0, "Fault": [0, 0, 0, 0, 0]},
        }  # fmt: skip
        if self._faults.strikes("unknown_keys"):
            record |= {"Riso": 4.7}
            values["Vbus"] = 712.0
        return record

    def _document(self, at: int, moments: list[Moment]) -> bytes:
        parts = ['<?xml version="1.0" encoding="UTF-8"?>\n<sunSpecData v="1">']
        for number, moment in enumerate(moments):
            if not moment.awake:
                continue
            names = {"lid": self.serial, "man": "CPS", "mod": model_of(self.plan), "sn": self.view.serials[number],
                     "t": zulu(at)}  # fmt: skip
            parts.append("<d " + " ".join(f"{name}={quoteattr(value)}" for name, value in names.items()) + ">")
            points = {"W": (round(moment.ac_w * 1000), -3), "WH": (round(moment.lifetime_wh), 0), "Hz": (6000, -2),
                      "St": (4 if moment.ac_w else 8, 0), "Evt1": (0, 0)}  # fmt: skip
            parts.append('<m id="103" x="1">' + _points(points) + "</m>")
            for place, (volts, amps, watts) in enumerate(moment.inputs, 1):
                inputs = {"DCV": (round(volts * 10), -1), "DCA": (round(amps * 100), -2), "DCW": (round(watts), 0)}
                parts.append(f'<m id="160" x="{place}">' + _points(inputs) + "</m>")
            parts.append("</d>")
        return "".join([*parts, "</sunSpecData>"]).encode()


def _points(points: dict[str, tuple[int, int]]) -> str:
    return "".join(f'<p id="{name}" sf="{scale}">{value}</p>' for name, (value, scale) in points.items())


def _mean(several: tuple[Moment, ...]) -> Moment:
    count = len(several)
    inputs = tuple(
        (max(m.inputs[n][0] for m in several), sum(m.inputs[n][1] for m in several) / count,
         sum(m.inputs[n][2] for m in several) / count)
        for n in range(INPUTS)
    )  # fmt: skip
    return several[-1]._replace(
        ac_w=sum(m.ac_w for m in several) / count, inputs=inputs, awake=any(m.awake for m in several)
    )
