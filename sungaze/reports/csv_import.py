"""The canonical CSV (see csv_export) read back in: places, sites and devices are made where a line needs them.

The file is read once and in order; no more of it is held than what waits to be written. Each site's share is written
in transactions of its own, so that an import that is cut off is gone on with by doing it again.
"""

from __future__ import annotations

import csv
import datetime as dt
import sqlite3
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

import msgspec
import peewee

from sungaze import clock
from sungaze.errors import UserError
from sungaze.model import DAY_S, METRICS, DeviceFacts, DeviceType, Reading, SiteFacts, is_id
from sungaze.reports.csv_export import HEADER
from sungaze.reports.site_files import DeviceKey, SiteKey
from sungaze.reports.text_files import FileError, read_lines
from sungaze.store import Store

BATCH: Final = 20_000
"""Readings of a site that are written at once."""
MOST_WAITING: Final = 100_000
"""Readings of all sites that wait to be written."""
MOST_KNOWN: Final = 100_000
"""Series whose beginnings of lines are remembered."""
LONGEST_HEAD: Final = 1000

BROKEN: Final = "a broken line"
NO_ZONE: Final = "a daily figure of a site whose time zone is not known"
NO_MIDNIGHT: Final = "a daily figure that does not begin at its site's midnight"

Progress = Callable[[int, float], None]
"""Called now and then with the lines read and the share of the file, 0 to 1."""


class ImportFailed(UserError):
    """A file that cannot be imported, or not to its end."""


class Refused(msgspec.Struct):
    """How many lines were refused for a reason, and the first one's number in the file."""

    lines: int
    first_line: int


class Outcome(msgspec.Struct, kw_only=True):
    """What became of a file's lines: taken ones are new (or changed what was there) or were there already."""

    lines: int = 0
    taken: int = 0
    new: int = 0
    sites: int = 0
    devices: int = 0
    refused: dict[str, Refused] = {}

    @property
    def there_already(self) -> int:
        """Lines that changed nothing."""
        return self.taken - self.new

    def refuse(self, reason: str, line: int) -> None:
        """Count a line that is not taken."""
        found = self.refused.get(reason)
        if found is None:
            self.refused[reason] = Refused(1, line)
        else:
            found.lines += 1
            found.first_line = min(found.first_line, line)

    def sentences(self) -> list[str]:
        """The outcome for a person: a line for what was taken and one for each reason."""
        said = [f"{counted(self.taken, 'value')} taken: {self.new:,} new, {self.there_already:,} there already."]
        made = [counted(count, word) for count, word in ((self.sites, "site"), (self.devices, "device")) if count]
        if made:
            said.append(f"Added with them: {' and '.join(made)}.")
        for reason, found in sorted(self.refused.items(), key=lambda item: -item[1].lines):
            said.append(f"{found.lines:,} refused: {reason}; the first in line {found.first_line:,}.")
        return said


class Share:
    """What a file says of one site and is not written yet."""

    def __init__(self, key: SiteKey, facts: SiteFacts) -> None:
        self.key = key
        self.facts = facts
        self.site_id: int | None = None
        self.readings: list[Reading] = []
        self.lines: list[int] = []
        self.devices: dict[str, DeviceFacts] = {}
        self.has_days = False


class Intake:
    """Readings on their way from a file into the store, by site."""

    def __init__(
        self,
        store: Store,
        now: float,
        *,
        sites: Mapping[SiteKey, SiteFacts] | None = None,
        devices: Mapping[DeviceKey, DeviceFacts] | None = None,
        replace: bool = False,
    ) -> None:
        """`sites` and `devices` tell what is known of them; without `replace` a stored value stays."""
        self.outcome = Outcome()
        self.store = store
        self._now = now
        self._sites = sites or {}
        self._devices = devices or {}
        self._replace = replace
        self._shares: dict[SiteKey, Share] = {}

    def share(self, key: SiteKey) -> Share:
        """The share of a site, to add readings and their lines' numbers to."""
        found = self._shares.get(key)
        if found is None:
            facts = self._sites.get(key) or SiteFacts(vendor_site_id=key[1])
            found = self._shares[key] = Share(key, facts)
        return found

    def device(self, share: Share, vendor_device_id: str) -> None:
        """Have a device there once the share is written."""
        if vendor_device_id and vendor_device_id not in share.devices:
            facts = self._devices.get((*share.key, vendor_device_id)) or self._devices.get(("", "", vendor_device_id))
            share.devices[vendor_device_id] = facts or DeviceFacts(
                vendor_device_id=vendor_device_id, device_type=DeviceType.OTHER
            )

    def settle(self, *, everything: bool = False) -> None:
        """Write the shares that have grown large, or all of them. Raises ImportFailed where the store cannot."""
        waiting = [share for share in self._shares.values() if share.readings]
        everything = everything or sum(len(share.readings) for share in waiting) > MOST_WAITING
        for share in waiting:
            if everything or len(share.readings) >= BATCH:
                try:
                    self._write(share)
                except (sqlite3.DatabaseError, peewee.DatabaseError) as error:
                    raise ImportFailed(
                        f"The database cannot be written ({error}). What was written until now is kept "
                        f"({self.outcome.new:,} new values); mend that and import the file again."
                    ) from None

    def _write(self, share: Share) -> None:
        fleet, outcome = self.store.fleet, self.outcome
        with self.store.database.transaction():
            is_new = False
            if share.site_id is None:
                is_new = fleet.site_id(*share.key) is None
                share.site_id = fleet.fill_site(share.key[0], share.facts, self._now)
            site = fleet.site(share.site_id)
            ids = fleet.device_ids(site.id)
            lacking = [facts for name, facts in share.devices.items() if name not in ids or _says_more(facts)]
            before = len(ids)
            if lacking:
                ids = fleet.fill_devices(site, lacking, self._now)
            readings = self._stamped(share, site.timezone) if share.has_days else share.readings
            written = self.store.timeseries.write(
                site.id, readings, devices=ids, rating=fleet.rating(site), now=self._now, older=not self._replace
            )
        # Told of their type once; what is known by then stays.
        share.devices = {}
        outcome.sites += is_new
        outcome.devices += len(ids) - before
        outcome.taken += written.samples
        outcome.new += written.changed
        if written.refused:
            lines = dict(zip(map(_what, reversed(share.readings)), reversed(share.lines), strict=True))
            for refusal in written.refused:
                outcome.refuse(_reason(refusal.reason), lines.get(_what(refusal.reading), share.lines[0]))
        share.readings, share.lines = [], []

    def _stamped(self, share: Share, timezone: str | None) -> list[Reading]:
        """The readings of a share, its days at their site's midnight; those that cannot be are counted and left out."""
        site_zone = clock.zone(timezone)
        file_zone = clock.zone(share.facts.timezone) or site_zone
        stamps: dict[int, int | str] = {}
        kept: list[Reading] = []
        lines: list[int] = []
        for reading, line in zip(share.readings, share.lines, strict=True):
            if reading.interval_s == DAY_S:
                at = stamps.get(reading.timestamp)
                if at is None:
                    at = stamps[reading.timestamp] = _midnight(reading.timestamp, file_zone, site_zone)
                if isinstance(at, str):
                    self.outcome.refuse(at, line)
                    continue
                if at != reading.timestamp:
                    reading = msgspec.structs.replace(reading, timestamp=at)
            kept.append(reading)
            lines.append(line)
        share.readings, share.lines = kept, lines
        return kept


def counted(count: int, word: str) -> str:
    """`1 value`, `2 values`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _says_more(facts: DeviceFacts) -> bool:
    return facts.device_type != DeviceType.OTHER or bool(facts.serial_number or facts.name or facts.rated_w)


def _what(reading: Reading) -> tuple[str, str, int, int]:
    return reading.vendor_device_id, reading.metric_name, reading.interval_s, reading.timestamp


def _reason(reason: str) -> str:
    for word in ("below", "above"):
        if reason.startswith(word):
            return f"{word} what its site or device can give"
    return reason


def _midnight(at: int, file_zone: dt.tzinfo | None, site_zone: dt.tzinfo | None) -> int | str:
    """The instant at which the site's zone has the date that begins at `at` in the file's, or why there is none."""
    if file_zone is None or site_zone is None:
        return NO_ZONE
    if not clock.EARLIEST <= at < clock.LATEST:
        return at  # refused by the store with its own reason
    day = clock.day_of(at, file_zone)
    return clock.midnight(day, site_zone) if clock.midnight(day, file_zone) == at else NO_MIDNIGHT


def import_csv(path: Path, intake: Intake, vendors: Collection[str], progress: Progress = lambda *_: None) -> Outcome:
    """What became of the lines of a canonical CSV.

    Raises ImportFailed for a file that is none, which changes nothing, and where the store cannot be written; FileError
    for one that cannot be read, or not to its end: what was read until then is written.
    """
    outcome = intake.outcome
    number = 0
    series: dict[str, tuple[Share, str, str, int] | str] = {}
    days: dict[str, int] = {}
    times: dict[str, int] = {}
    try:
        for lines in read_lines(path, lambda share: progress(outcome.lines, share)):
            if number == 0:
                _check_header(path, lines[0])
            for line in lines:
                number += 1
                if number == 1 or not line:
                    continue
                head, _, tail = line.rpartition(",")
                head, _, stamp = head.rpartition(",")
                found = series.get(head)
                if found is None:
                    if len(series) >= MOST_KNOWN:
                        series.clear()
                    found = _series(head, intake, vendors)
                    if len(head) <= LONGEST_HEAD:
                        series[head] = found
                if isinstance(found, str):
                    outcome.refuse(found, number)
                    continue
                try:
                    value = float(tail if tail[:1] != '"' else tail.strip('"'))
                except ValueError:
                    outcome.refuse("not a number", number)
                    continue
                try:
                    at = days[stamp[:10]] + times[stamp[10:]]
                except KeyError:
                    moment = _moment(stamp)
                    if moment is None:
                        outcome.refuse("not a time in UTC (2026-06-01T12:00:00Z)", number)
                        continue
                    at = moment
                    if len(stamp) == 20 and clock.EARLIEST <= at < clock.LATEST and stamp[10] + stamp[19] == "TZ":
                        times[stamp[10:]] = at % DAY_S
                        days[stamp[:10]] = at - at % DAY_S
                share, device, metric, interval_s = found
                share.readings.append(Reading(device, metric, interval_s, at, value))
                share.lines.append(number)
            outcome.lines = number - 1
            intake.settle()
    except FileError as error:
        if number == 0:
            raise
        intake.settle(everything=True)
        raise FileError(f"{error} What was read before is kept ({outcome.new:,} new values).") from None
    intake.settle(everything=True)
    if number == 0:
        raise ImportFailed(f"{path} is empty. Nothing was imported.")
    return outcome


def is_canonical(first_line: str) -> bool:
    """Whether a file that begins so is the canonical CSV."""
    return first_line.strip().replace('"', "").casefold() == ",".join(HEADER)


def _check_header(path: Path, line: str) -> None:
    if not is_canonical(line):
        raise ImportFailed(
            f"{path} does not begin with the line {','.join(HEADER)}. Nothing was imported; for a portal's own file "
            "say with --map what its columns are."
        )


def _series(head: str, intake: Intake, vendors: Collection[str]) -> tuple[Share, str, str, int] | str:
    """What the first five cells of a line name, or why they cannot be taken."""
    try:
        (cells,) = csv.reader([head], strict=True) if head else [[]]
        vendor, site, device, metric, interval = cells
        head.encode()
    except (ValueError, csv.Error):  # a UnicodeEncodeError is a ValueError
        return BROKEN
    if vendor not in vendors:
        return "unknown vendor"
    if not is_id(site) or (device and not is_id(device)):
        return "an id that cannot be"
    if metric not in METRICS:
        return "unknown metric"
    if not (interval.isascii() and interval.isdigit()) or len(interval) > 5 or int(interval) > DAY_S:
        return "an interval that cannot be"
    share = intake.share((vendor, site))
    intake.device(share, device)
    share.has_days |= int(interval) == DAY_S
    return share, device, metric, int(interval)


def _moment(text: str) -> int | None:
    """The epoch second of an ISO 8601 instant with its offset, whole seconds; None for anything else."""
    try:
        moment = dt.datetime.fromisoformat(text.strip(' "'))
        if moment.tzinfo is None or moment.microsecond:
            return None
        return int(moment.timestamp())
    except (ValueError, OverflowError):
        return None
