"""The canonical CSV: `vendor,vendor_site_id,vendor_device_id,metric_name,interval_s,timestamp,value`.

Times are UTC with Z and name the start of their interval; an empty device is the site itself.
"""

from __future__ import annotations

import contextlib
import csv
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import peewee

from sungaze import clock
from sungaze.errors import StoreError, UserError
from sungaze.model import METRICS, Span
from sungaze.store.database import Database
from sungaze.store.timeseries import SeriesKey, TimeSeries

HEADER: Final = ("vendor", "vendor_site_id", "vendor_device_id", "metric_name", "interval_s", "timestamp", "value")

PIECE: Final = 5000
"""The most samples that are read at once."""
FIRST, LAST = -(1 << 60), 1 << 60
"""Before and after every instant, for a span without that bound."""


class ExportError(UserError):
    """An export that cannot be made."""


def number(value: float) -> str:
    """The shortest text that reads back as the same value; whole numbers without a point."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def export_csv(
    database: Path, output: Path, *, site: int | None, metric: str | None, start: str | None, end: str | None
) -> int:
    """The number of samples written. The file appears whole or not at all.

    Raises ExportError for a moment or a metric that is none, a site that is not there, and a file that cannot be
    written; StoreError for a database that cannot be read.
    """
    if metric is not None and metric not in METRICS:
        raise ExportError(f"There is no metric called “{metric}”. Nothing was written.")
    span = []
    for text in (start, end):
        try:
            span.append(clock.parse_instant(text) if text is not None else None)
        except ValueError:
            raise ExportError(
                f"“{text}” is no moment; write 2026-11-24T13:05:00Z or a date. Nothing was written."
            ) from None
    if not database.exists():
        raise StoreError(f"There is no data in {database.parent} yet. Nothing was written.")
    store = Database(database)
    try:
        if site is not None and store.scalar("SELECT 1 FROM site WHERE id = ?", (site,)) is None:
            raise ExportError(f"There is no site with the id {site}. Nothing was written.")
        return _write(store, output, site, metric, span[0], span[1])
    finally:
        store.close()


def _write(
    store: Database, output: Path, site: int | None, metric: str | None, start: int | None, end: int | None
) -> int:
    output = output.resolve()
    part = output.with_name(output.name + ".part")
    count = 0
    try:
        if output.exists() and not output.is_file():
            raise ExportError(f"{output} is not a file. Nothing was written.")
        with part.open("w", encoding="utf-8", newline="") as stream:
            for lines in read_csv(store, site=site, metric=metric, start=start, end=end):
                stream.writelines(lines)
                count += len(lines)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(output)
    except OSError as error:
        raise ExportError(f"{output} cannot be written: {error.strerror}. Nothing was left behind.") from None
    except (sqlite3.DatabaseError, peewee.DatabaseError) as error:
        raise StoreError(f"The database cannot be read: {error}. Nothing was written.") from None
    finally:
        # Gone already where all went well; an interrupt leaves nothing behind either.
        with contextlib.suppress(OSError):
            part.unlink()
    return count - 1


def read_csv(
    store: Database,
    *,
    site: int | None = None,
    device: int | None = None,
    metric: str | None = None,
    interval_s: int | None = None,
    start: int | None = None,
    end: int | None = None,
) -> Iterator[list[str]]:
    """The lines of an export in pieces, the header first; each piece is read by a query of its own.

    So it can be read from another thread at each step, and holds no more than a piece in memory.
    """
    wanted = {"series.site_id": site, "series.device_id": device, "series.metric": metric, "interval_s": interval_s}
    asked = {column: value for column, value in wanted.items() if value is not None}
    series = store.rows(
        "SELECT series.site_id, series.device_id, site.vendor, vendor_site_id, COALESCE(vendor_device_id, ''), metric, "
        "interval_s FROM series JOIN site ON site.id = series.site_id LEFT JOIN device ON device.id = series.device_id "
        f"WHERE {' AND '.join(['1 = 1', *(f'{column} = ?' for column in asked)])} ORDER BY 3, 4, 5, 6, 7",
        list(asked.values()),
    )
    lines: list[str] = []
    writer = csv.writer(_Lines(lines), lineterminator="\n")
    writer.writerow(HEADER)
    samples, span = TimeSeries(store), Span(FIRST if start is None else start, LAST if end is None else end)
    for site_id, device_id, *what in series:
        for rows in samples.pieces(SeriesKey(site_id, device_id, what[3], what[4]), span, PIECE):
            writer.writerows([*what, clock.iso(at), number(value)] for at, value in rows)
            if len(lines) >= PIECE:
                yield lines.copy()
                lines.clear()
    if lines:
        yield lines.copy()


class _Lines:
    """What csv writes to: each line as it is."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def write(self, line: str) -> None:
        self._lines.append(line)
