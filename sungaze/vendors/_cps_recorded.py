"""CPS's messages, pushes and register reads as they were recorded, each by its path to its reader.

A message's path is its topic, a push's `/push`, a read's `unit/function/address`. Alarms are folded from what the
entries before complained of. A read of registers names no site, so it is the site `modbus`, and a sum over its units is
not made: which there are is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sungaze.errors import Changed
from sungaze.model import AlertFacts
from sungaze.vendors._contract import Answer, Exchange, Reader, Readers, Seen
from sungaze.vendors._cps_messages import (
    Batch,
    Complaint,
    Known,
    Pushed,
    Refusal,
    comm_condition,
    fold_alerts,
    read_push,
    read_topic,
)
from sungaze.vendors._modbus import NoSuchRegister

MODBUS_SITE = "modbus"


def recorded_readers(read_registers: Callable[[Any, int, int, str | None], Answer]) -> Readers:
    """The readers of what CPS sends. `read_registers` is given registers as `_modbus.Gateway` gives them, a unit, the
    moment and the site's zone."""
    return (
        ("MQTT", r"(?s).+/.+", _message),
        ("PUSH", r"/push", _push),
        ("MODBUS", r"\d{1,3}/(?:holding|input)/\d{1,5}", _registers_reader(read_registers)),
    )


def _message(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    topic = exchange.response.path
    prefix, gateway, _ = ("/" + topic).rsplit("/", 2)
    retained = exchange.param("retained") == "1"
    found = read_topic(
        topic, exchange.response.body, now=exchange.at, known=_known(seen, gateway), retained=retained,
        prefix=prefix.lstrip("/"),
    )  # fmt: skip
    return _answers(found, exchange, seen)


def _push(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    headers = exchange.response.headers
    gateway = headers.get("x-cps-gateway", "").strip()[:64]
    pushed = Pushed(
        exchange.response.body, gateway, headers.get("x-cps-message-id", "").strip()[:200],
        headers.get("content-type", ""),
    )  # fmt: skip
    found = read_push(pushed, now=exchange.at, known=_known(seen, gateway))
    if isinstance(found, Refusal):
        raise Changed(f"The push cannot be taken: {found.reason}.", "push")
    return _answers(found, exchange, seen)


def _known(seen: Seen, gateway: str) -> Known:
    site = seen.notes.get(("site", gateway), "")
    return Known(heard=tuple(seen.notes.get(("heard", gateway), ()))[-5:], timezone=seen.site(site).timezone)


def _answers(found: Sequence[Batch | Complaint], exchange: Exchange, seen: Seen) -> dict[str, Answer]:
    complaint = next((one for one in found if isinstance(one, Complaint)), None)
    batches = [one for one in found if isinstance(one, Batch)]
    if complaint is not None and not batches:
        raise Changed(f"The message cannot be taken ({complaint.reason}): {complaint.detail}.", "message")
    answers: dict[str, Answer] = {}
    for batch in batches:
        site = batch.site_id or seen.notes.get(("site", batch.gateway_sn), "")
        seen.notes["site", batch.gateway_sn] = site
        if batch.heard is not None:
            seen.notes.setdefault(("heard", batch.gateway_sn), []).append(batch.heard)
        answer = answers.setdefault(site, Answer(devices=[], alerts=[]))
        answer.sites += batch.sites
        answer.readings += batch.readings
        answer.devices = [*(answer.devices or ()), *batch.devices]
        conditions = list(batch.conditions)
        if batch.gateway is not None and exchange.param("retained") != "1":
            silent = not batch.gateway.online
            conditions.append(comm_condition(batch.gateway_sn, int(exchange.at), silent=silent))
        known: dict[str, AlertFacts] = seen.notes.setdefault(("alerts", site), {})
        changed = fold_alerts(known.values(), conditions)
        known.update((alert.vendor_alert_id, alert) for alert in changed)
        answer.alerts = [*(answer.alerts or ()), *changed]
    return answers


class _Registers:
    """The registers of a unit that were recorded, asked as a gateway is."""

    def __init__(self, words: dict[tuple[str, int], int]) -> None:
        self._words = words

    def holding(self, unit: int, address: int, count: int) -> Sequence[int]:
        """The holding registers at an address. Raises NoSuchRegister for one that was not recorded."""
        return self._of("holding", address, count)

    def input(self, unit: int, address: int, count: int) -> Sequence[int]:
        """The input registers at an address. Raises NoSuchRegister for one that was not recorded."""
        return self._of("input", address, count)

    def _of(self, function: str, address: int, count: int) -> list[int]:
        try:
            return [self._words[function, address + shift] for shift in range(count)]
        except KeyError:
            raise NoSuchRegister("These registers were not recorded.", f"{function} {address}") from None


def _registers_reader(read_registers: Callable[[Any, int, int, str | None], Answer]) -> Reader:
    def reader(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
        unit, function, address = exchange.response.path.split("/")
        recorded = seen.notes.setdefault(("registers", unit), {})
        for shift, word in enumerate(msgspec.json.decode(exchange.response.body, type=list[int])):
            recorded[function, int(address) + shift] = word
        zone = seen.site(MODBUS_SITE).timezone
        try:
            answer = read_registers(_Registers(recorded), int(unit), int(exchange.at), zone)
        except Changed:
            # A device is recorded by several reads: it is told once enough of them are there.
            return {MODBUS_SITE: Answer()}
        answer.sites = []
        known: dict[str, AlertFacts] = seen.notes.setdefault(("alerts", MODBUS_SITE), {})
        changed = answer.fold(list(known.values())) if answer.fold is not None else []
        known.update((alert.vendor_alert_id, alert) for alert in changed)
        answer.alerts = changed
        answer.readings = [reading for reading in answer.readings if reading.vendor_device_id]
        return {MODBUS_SITE: answer}

    return reader
