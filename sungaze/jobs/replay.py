"""Recorded answers read again: each goes by its path to its reader, nothing is asked, and canonical lines come out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from sungaze import clock
from sungaze.errors import NotFound, UserError, VendorError
from sungaze.jobs.har import Recorded, recorded
from sungaze.model import AlertFacts, DeviceFacts, Reading, SiteFacts
from sungaze.vendors import connector
from sungaze.vendors._contract import Answer, Connector, Exchange, Seen, reader_of

_INSTANTS: Final = frozenset(
    {"timestamp", "resolved_at", "last_report_at", "last_energy_at", "last_reported_at"}
)  # fmt: skip
_ORDINARY: Final = frozenset({200, 203})


def replay(
    path: Path,
    vendor_id: str,
    timezone: str | None,
    *,
    say: Callable[[str], None],
    recall: dict[str, str] | None = None,
) -> Iterator[str]:
    """JSON lines, one a canonical value, in the order of the file.

    A line has `kind` (site, device, sample, alert), `vendor_site_id` and the fields of the canonical model; a sample
    has `metric_name, interval_s, timestamp, value, vendor_site_id, vendor_device_id` (empty for the site itself).
    Every instant is ISO 8601 in UTC with Z, a null was not told. What an entry repeats of a site, a device or an alarm
    is not printed again; samples are. `timezone` stands in for sites whose own the file has not told yet; `recall`
    says what a login had found out.

    `say` is given a sentence for each entry that cannot be read, and one at the end. Raises UserError for an unknown
    vendor or zone, for a file that is none of ours, and when nothing in it could be read.
    """
    one = _known_vendor(vendor_id)
    if timezone is not None and clock.zone(timezone) is None:
        raise UserError(f"“{timezone}” is no time zone. Name one of the tz database, such as Europe/Berlin.")
    return _lines(one, path, Seen(timezone=timezone, recall=recall or {}), say)


def _known_vendor(vendor_id: str) -> Connector:
    try:
        return connector(vendor_id)
    except NotFound as error:
        raise UserError(str(error)) from None


def _lines(one: Connector, path: Path, seen: Seen, say: Callable[[str], None]) -> Iterator[str]:
    entries = list(recorded(path))
    own = urlsplit(one.vendor.default_base_url).hostname or ""
    # A recording of the vendor itself holds other hosts' pages too; one of a stand-in has the stand-in's own name.
    only = {own} if any(entry.host == own for entry in entries) else None
    told: dict[tuple[str, ...], str] = {}
    counts: Counter[str] = Counter()
    for entry in entries:
        if entry.exchange is None:
            counts["unreadable"] += 1
            say(f"{_name(entry)} is left out: {entry.trouble}.")
            continue
        if only is not None and entry.host not in only:
            counts["other"] += 1
            continue
        try:
            answers = read(one, entry.exchange, seen)
        except VendorError as error:
            counts["unreadable"] += 1
            say(f"{_name(entry)} cannot be read: {error}")
            continue
        if answers is None:
            counts["other"] += 1
            continue
        counts["read"] += 1
        yield from _of(answers, told, counts)
    words = [f"{counts['read']} of {len(entries)} entries were read"]
    words += [f"{counts['unreadable']} could not be"] if counts["unreadable"] else []
    words += [f"{counts['other']} are of other things"] if counts["other"] else []
    words += [f"{counts['beyond']} values are no numbers and were left out"] if counts["beyond"] else []
    if not counts["read"]:
        raise UserError(f"Nothing in {path} could be read as an answer of {one.vendor.name}: {', '.join(words)}.")
    say(f"{', '.join(words)}.")


def read(one: Connector, exchange: Exchange, seen: Seen) -> dict[str, Answer] | None:
    """What an exchange says by vendor_site_id, empty for the whole account; None for a path that nothing reads.

    What it tells of sites and devices is put into `seen`. Raises VendorError for an answer that cannot be read.
    """
    found = reader_of(one.readers, exchange.method, exchange.response.path)
    if found is None:
        return None
    if exchange.response.status not in _ORDINARY:
        raise _Refused(f"the answer was {exchange.response.status}, which holds no figures.")
    reader, site = found
    answers = reader(exchange, seen, site)
    seen.learn(answers)
    return answers


class _Refused(VendorError):
    """An answer whose status says that it is none."""


def _name(entry: Recorded) -> str:
    return f"Entry {entry.number} ({entry.title})" if entry.title else f"Entry {entry.number}"


def _of(answers: dict[str, Answer], told: dict[tuple[str, ...], str], counts: Counter[str]) -> Iterator[str]:
    for key, answer in answers.items():
        for site in answer.sites:
            yield from _news(told, ("site", site.vendor_site_id), "site", site.vendor_site_id, site)
        for device in answer.devices or ():
            yield from _news(told, ("device", key, device.vendor_device_id), "device", key, device)
        for alert in answer.alerts or ():
            yield from _news(told, ("alert", key, alert.vendor_alert_id), "alert", key, alert)
        for site_id, alerts in (answer.site_alerts or {}).items():
            for alert in alerts:
                yield from _news(told, ("alert", site_id, alert.vendor_alert_id), "alert", site_id, alert)
        for reading in answer.readings:
            if math.isfinite(reading.value):
                yield _line("sample", key, reading)
            else:
                counts["beyond"] += 1


def _news(
    told: dict[tuple[str, ...], str], name: tuple[str, ...], kind: str, site: str,
    facts: SiteFacts | DeviceFacts | AlertFacts,
) -> Iterator[str]:  # fmt: skip
    line = _line(kind, site, facts)
    if told.get(name) != line:
        told[name] = line
        yield line


def _line(kind: str, site: str, what: SiteFacts | DeviceFacts | AlertFacts | Reading) -> str:
    values: dict[str, Any] = {"kind": kind, "vendor_site_id": site} | msgspec.structs.asdict(what)
    for name in _INSTANTS & values.keys():
        if values[name] is not None:
            values[name] = clock.iso(values[name])
    return msgspec.json.encode(values).decode()
