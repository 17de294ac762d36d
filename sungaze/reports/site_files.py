"""What is known of sites and of devices as CSV, beside the canonical CSV of their samples.

Columns go by their names and may be left out, but for those that say which site or device a line is of.
"""

from __future__ import annotations

import csv
import datetime as dt
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from sungaze import clock
from sungaze.errors import UserError
from sungaze.model import DeviceFacts, DeviceType, SiteFacts
from sungaze.reports.text_files import read_lines
from sungaze.store.fleet import Fleet

SITE_COLUMNS: Final = (
    "vendor", "vendor_site_id", "name", "timezone", "peak_power_kw", "latitude", "longitude", "installed_on", "address",
)  # fmt: skip
DEVICE_COLUMNS: Final = (
    "vendor", "vendor_site_id", "vendor_device_id", "device_type", "serial_number", "name", "rated_w",
)  # fmt: skip

SiteKey = tuple[str, str]
"""A vendor's id and the vendor's id of a site."""
DeviceKey = tuple[str, str, str]


class FactsError(UserError):
    """A file of sites or devices that cannot be read as one."""


def read_sites(path: Path) -> dict[SiteKey, SiteFacts]:
    """What a file says of each site. Raises FactsError that names the line; nothing is taken of such a file."""
    found: dict[SiteKey, SiteFacts] = {}
    for cell in _read(path, SITE_COLUMNS, needed=SITE_COLUMNS[:2]):
        zone, address = cell("timezone"), cell("address")
        if zone and clock.zone(zone) is None:
            raise cell.error(f"“{zone}” is no time zone (write Europe/Berlin)")
        installed = cell("installed_on")
        try:
            if installed:
                dt.date.fromisoformat(installed)
        except ValueError:
            raise cell.error(f"“{installed}” is no date (write 2019-05-31)") from None
        found[cell("vendor"), cell("vendor_site_id")] = SiteFacts(
            vendor_site_id=cell("vendor_site_id"),
            name=cell("name") or None,
            timezone=zone or None,
            peak_power_kw=cell.number("peak_power_kw", 0, 1e7),
            latitude=cell.number("latitude", -90, 90),
            longitude=cell.number("longitude", -180, 180),
            installed_on=installed or None,
            address={"street": address} if address else None,
        )
    return found


def read_devices(path: Path) -> dict[DeviceKey, DeviceFacts]:
    """What a file says of each device; where it names no site, the key's vendor and site are empty.

    Raises FactsError that names the line; nothing is taken of such a file.
    """
    found: dict[DeviceKey, DeviceFacts] = {}
    for cell in _read(path, DEVICE_COLUMNS, needed=DEVICE_COLUMNS[2:3]):
        kind = cell("device_type") or "other"
        if kind not in set(DeviceType):
            raise cell.error(f"“{kind}” is no type of device (one of {', '.join(DeviceType)})")
        found[cell("vendor"), cell("vendor_site_id"), cell("vendor_device_id")] = DeviceFacts(
            vendor_device_id=cell("vendor_device_id"),
            device_type=DeviceType(kind),
            serial_number=cell("serial_number") or None,
            name=cell("name") or None,
            rated_w=cell.number("rated_w", 0, 1e10),
        )
    return found


def write_sites(fleet: Fleet, path: Path) -> int:
    """The number of sites written, archived ones too. Raises FactsError where the file cannot be written."""
    return _write(
        path,
        SITE_COLUMNS,
        [
            (
                site.vendor, site.vendor_site_id, site.name, site.timezone, site.peak_power_kw,
                *((site.latitude, site.longitude) if site.position_source in {"user", "vendor"} else (None, None)),
                site.installed_on, site.address,
            )
            for site in fleet.sites(archived=True)
        ],
    )  # fmt: skip


def write_devices(fleet: Fleet, path: Path) -> int:
    """The number of devices written. Raises FactsError where the file cannot be written."""
    return _write(
        path,
        DEVICE_COLUMNS,
        [
            (
                site.vendor, site.vendor_site_id, device.vendor_device_id, device.device_type, device.serial_number,
                device.name, device.rated_w,
            )
            for site in fleet.sites(archived=True)
            for device in fleet.devices(site.id)
        ],
    )  # fmt: skip


def _write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str | float | None]]) -> int:
    try:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
    except OSError as error:
        raise FactsError(f"{path} cannot be written: {error.strerror}.") from None
    return len(rows)


class _Cells:
    """A line's cells by column name."""

    def __init__(self, values: dict[str, str], error: Callable[[str], FactsError]) -> None:
        self._values = values
        self.error = error

    def __call__(self, column: str) -> str:
        return self._values.get(column, "").strip()

    def number(self, column: str, low: float, high: float) -> float | None:
        """The cell as a number, None where it is empty. Raises FactsError."""
        text = self(column)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            raise self.error(f"“{text}” is no {column}")
        return value


def _read(path: Path, columns: Sequence[str], *, needed: Sequence[str]) -> Iterator[_Cells]:
    reader = csv.reader(_joined(path))
    try:
        names = [name.strip().casefold() for name in next(reader, [])]
        strange = next((name for name in names if name not in columns), None)
        if strange is not None or not set(needed) <= set(names) or len(set(names)) < len(names):
            odd = f"“{strange[:40]}” is none of its columns" if strange is not None else "A column is missing or twice"
            raise FactsError(
                f"{path}: {odd}. Nothing was imported; its first line names some of {', '.join(columns)}, and at least "
                f"{', '.join(needed)}."
            )
        for row in reader:

            def error(why: str, line: int = reader.line_num) -> FactsError:
                return FactsError(f"Line {line} of {path}: {why}. Nothing was imported; mend the line.")

            if not any(cell.strip() for cell in row):
                continue
            cells = _Cells(dict(zip(names, row, strict=False)), error)
            if len(row) != len(names) or not all(cells(name) for name in needed):
                raise error(f"it has to have {len(names)} cells, and {', '.join(needed)} in it")
            yield cells
    except csv.Error as problem:
        raise FactsError(f"Line {reader.line_num} of {path}: {problem}. Nothing was imported; mend the line.") from None


def _joined(path: Path) -> Iterable[str]:
    for lines in read_lines(path):
        for line in lines:
            yield line + "\n"
