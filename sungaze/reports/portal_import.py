"""A portal's own table into the store, and the mappings that were chosen once, by name and by their file's header."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

import msgspec

from sungaze import clock
from sungaze.model import DAY_S, is_id
from sungaze.reports.csv_import import ImportFailed, Intake, Outcome, Progress, counted
from sungaze.reports.portal import (
    HEAD_LINES,
    Layout,
    Mapping,
    MappingError,
    Preview,
    Wish,
    checked,
    layout,
    preview,
    propose,
    read_rows,
)
from sungaze.reports.site_files import SiteKey
from sungaze.reports.text_files import read_lines
from sungaze.store import Store
from sungaze.store.fleet import Fleet

_PREFIX: Final = "import mapping:"
_AT_ONCE: Final = 5_000
"""Rows after which what waits is looked at."""


class Choice(msgspec.Struct, frozen=True):
    """The mapping for a file, the name it is kept under, and what of it is in doubt."""

    name: str
    mapping: Mapping
    doubts: tuple[str, ...] = ()


def table_of(path: Path) -> Layout:
    """The layout of a file. Raises FileError and MappingError."""
    return layout(list(islice(_lines(path), HEAD_LINES)))


def choose(store: Store, table: Layout, wish: Wish | None, name: str | None, said: dict[str, Any]) -> Choice:
    """The mapping for a file: from what is said of its columns, else the one kept under a name, else under its header.

    `said` holds what is said beside the columns, by its name in Mapping, None where nothing is. Raises MappingError.
    """
    said = {key: value for key, value in said.items() if value is not None}
    zone = said.get("zone")
    if zone is not None and clock.zone(zone) is None:
        raise MappingError(f"“{zone[:60]}” is no time zone (write Europe/Berlin). Nothing was imported.")
    if wish is not None:
        proposed = propose(table, msgspec.structs.replace(wish, **said))
        return Choice(name or table.fingerprint, proposed.mapping, proposed.doubts)
    names = [_PREFIX + name] if name is not None else store.memory.names(_PREFIX)
    for key in names:
        kept = store.memory.get(key, Mapping)
        if kept is not None and (name is not None or kept.header == table.fingerprint):
            return Choice(key.removeprefix(_PREFIX), checked(msgspec.structs.replace(kept, **said), table))
    there = [one for one in table.names if one]
    unknown = (
        f"No mapping is kept under “{name[:60]}”." if name is not None else "It is not known what its columns are."
    )
    raise MappingError(
        f'{unknown} Nothing was imported; say it (--map "{there[0]}=timestamp,{there[-1]}=energy_wh:kWh"). There are '
        + ", ".join(f"“{one}”" for one in there)
        + "."
    )


def remember(store: Store, choice: Choice) -> None:
    """Keep a mapping by its name; one of that name is replaced."""
    store.memory.put(_PREFIX + choice.name, choice.mapping)


def site_key(store: Store, word: str, vendors: Collection[str]) -> SiteKey:
    """The vendor and its id of a site that is named by its number here or as VENDOR/ID. Raises ImportFailed."""
    vendor, _, vendor_site_id = word.partition("/")
    if vendor in vendors and is_id(vendor_site_id):
        return vendor, vendor_site_id
    number = int(word) if word.isascii() and word.isdigit() and len(word) < 19 else 0
    for site in store.fleet.sites([number], archived=True):
        return site.vendor, site.vendor_site_id
    raise ImportFailed(
        f"There is no site “{word[:60]}”. Nothing was imported; write its number, or VENDOR/ID with one of "
        f"{', '.join(vendors)}."
    )


def settle_zone(store: Store, intake: Intake, key: SiteKey) -> dt.tzinfo:
    """The zone of a site, its own before that of a sites file, which the intake goes by too. Raises ImportFailed."""
    share = intake.share(key)
    site_id = store.fleet.site_id(*key)
    name = (store.fleet.site(site_id).timezone if site_id is not None else None) or share.facts.timezone
    tz = clock.zone(name)
    if tz is None:
        raise ImportFailed(
            f"The time zone of {'/'.join(key)} is not known. Nothing was imported; set it in Sungaze, or name it in a "
            "--sites file."
        )
    share.facts = msgspec.structs.replace(share.facts, timezone=name)
    return tz


def _serials(fleet: Fleet, key: SiteKey) -> dict[str, str]:
    """The vendor's id of each device of a site by its serial, which portals' tables rather tell."""
    site_id = fleet.site_id(*key)
    devices = [] if site_id is None else fleet.devices(site_id)
    ids = {device.vendor_device_id for device in devices}
    often = Counter(device.serial_number for device in devices)
    return {
        device.serial_number: device.vendor_device_id
        for device in devices
        if device.serial_number and device.serial_number not in ids and often[device.serial_number] == 1
    }


def look(path: Path, intake: Intake, key: SiteKey, choice: Choice, table: Layout, tz: dt.tzinfo) -> Preview:
    """What an import would give; nothing is written. Raises FileError."""
    fleet = intake.store.fleet
    seen = preview(_lines(path), choice.mapping, tz, table.header_line, choice.doubts, _serials(fleet, key))
    site_id = fleet.site_id(*key)
    there = fleet.device_ids(site_id) if site_id is not None else {}
    new = [device for device in seen.devices if device and device not in there]
    if there and new:
        seen.doubts.append(
            f"{_some(new)} {'is' if len(new) == 1 else 'are'} not known at the site and would be added to it."
        )
    return seen


def import_portal(
    path: Path, intake: Intake, key: SiteKey, choice: Choice, table: Layout, tz: dt.tzinfo, progress: Progress
) -> Outcome:
    """What became of a portal's rows. Raises FileError, and ImportFailed where the store cannot be written."""
    outcome, share = intake.outcome, intake.share(key)
    share.has_days = choice.mapping.interval_s == DAY_S
    lines = _lines(path, lambda read: progress(outcome.lines, read))
    for row in read_rows(lines, choice.mapping, tz, table.header_line, _serials(intake.store.fleet, key)):
        outcome.lines += 1
        for reason in row.refused:
            outcome.refuse(reason, row.line)
        for reading in row.readings:
            intake.device(share, reading.vendor_device_id)
        share.readings += row.readings
        share.lines += [row.line] * len(row.readings)
        if outcome.lines % _AT_ONCE == 0:
            intake.settle()
    intake.settle(everything=True)
    return outcome


def _lines(path: Path, progress: Callable[[float], None] = lambda _: None) -> Iterator[str]:
    return chain.from_iterable(read_lines(path, progress))


def told(seen: Preview, mapping: Mapping, tz: dt.tzinfo, most_days: int = 10) -> list[str]:
    """A preview as lines of text."""
    zone = clock.zone(mapping.zone) or tz
    said = [
        f"Times are of {zone}, dates {mapping.dates}, “{mapping.decimal}” is the decimal sign; a row covers "
        f"{_length(mapping.interval_s)}, named by its {mapping.stamps}.",
        "",
        f"{'time there':25}  {'device':16}  {'metric':22}  {'interval':>8}  value",
    ]
    for r in seen.first:
        at = dt.datetime.fromtimestamp(r.timestamp, tz).isoformat(" ")
        device = r.vendor_device_id or "(the site)"
        said.append(f"{at:25}  {device:16}  {r.metric_name:22}  {r.interval_s:8}  {r.value:g}")
    if len(seen.devices) > 1:
        each = [f"{device or 'the site'} ({counted(count, 'value')})" for device, count in seen.devices.items()]
        said += ["", f"{_some(each)}: {len(seen.devices):,} devices."]
    said += ["", "day         column: values, sum, highest"]
    for day in list(seen.days)[:most_days]:
        figures = "; ".join(f"{name}: {n}, {total:g}, {high:g}" for name, (n, total, high) in seen.days[day].items())
        said.append(f"{day}  {figures}")
    if len(seen.days) > most_days:
        said.append(f"and {len(seen.days) - most_days:,} days more.")
    said += ["", f"{seen.readings:,} values in all."]
    said += [f"{n:,} refused: {why}; the first in line {line:,}." for why, (n, line) in seen.refused.items()]
    return [*said, *(f"In doubt: {doubt}" for doubt in seen.doubts)]


def _some(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _length(interval_s: int) -> str:
    if interval_s == 0:
        return "a moment"
    return "a local day" if interval_s == DAY_S else f"{interval_s} seconds"
