"""The canonical CSV: of what a page shows as a download, and of much as long work beside everything else."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from typing import Annotated

from litestar import delete, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import File, Stream

from sungaze import clock
from sungaze.api.parts import LARGEST_ID, GivenParts
from sungaze.api.shapes import ExportIn, ExportList, ExportOut
from sungaze.errors import NotFound
from sungaze.jobs.connect import BadRequest
from sungaze.model import DAY_S, METRICS, SITE_DEVICE_ID
from sungaze.reports.csv_export import read_csv
from sungaze.reports.exports import Export, Wanted
from sungaze.vendors import connector


@get("/api/export", operation_id="exportCsv", media_type="text/csv", sync_to_thread=True)
def export_samples(
    parts: GivenParts,
    site: Annotated[int, QueryParameter(ge=0, le=LARGEST_ID, description="A site's id.")],
    metric: FromQuery[str | None] = None,
    start: Annotated[
        str | None, QueryParameter(name="from", description="Epoch seconds or ISO 8601; the first there is.")
    ] = None,
    to: Annotated[str | None, QueryParameter(description="Epoch seconds or ISO 8601; the last there is.")] = None,
    device: Annotated[
        int | None, QueryParameter(ge=0, le=LARGEST_ID, description="A device's id; 0 is the site. All of them.")
    ] = None,
    interval_s: Annotated[int | None, QueryParameter(ge=0, le=DAY_S)] = None,
) -> Stream:
    """Samples as they are kept, one a line: vendor, ids, metric, interval, time in UTC, value.

    Times without an offset are read in the site's zone. Its file's name carries the vendor's attribution.
    """
    store = parts.context.store
    row = store.fleet.site(site)
    if metric is not None and metric not in METRICS:
        raise BadRequest(f"There is no metric called “{metric[:60]}”. Nothing was exported.")
    if device is not None and device != SITE_DEVICE_ID and device not in store.fleet.device_ids(site).values():
        raise NotFound("This site has no such device. Nothing was exported.")
    tz = clock.zone(row.timezone) or dt.UTC
    first, last = _span(start, to, tz)

    def lines() -> Iterator[str]:
        for piece in read_csv(
            store.database, site=site, device=device, metric=metric, interval_s=interval_s, start=first, end=last
        ):
            yield "".join(piece)

    day = "" if first is None else f"-{clock.day_of(first, tz).isoformat()}"
    words = [row.name, metric or "everything", connector(row.vendor).vendor.attribution]
    name = "-".join(_plain(word) for word in words)
    return Stream(
        lines(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="sungaze-{name}{day}.csv"'},
    )


@get("/api/exports", operation_id="listExports", sync_to_thread=True)
def list_exports(parts: GivenParts) -> ExportList:
    """Every export that is written or being written, the newest first."""
    return ExportList([_export_out(export) for export in parts.exports.all()])


@post("/api/exports", operation_id="beginExport", status_code=202, sync_to_thread=True)
def begin_export(parts: GivenParts, data: JSONBody[ExportIn]) -> ExportOut:
    """Have the samples of a site, or of all, written to a file beside everything else; it is listed as it grows."""
    first, last = _span(data.since, data.to, dt.UTC)
    row = parts.context.store.fleet.site(data.site) if data.site is not None else None
    what = row.name if row is not None else "all sites"
    wanted = Wanted(site=data.site, start=first, end=last)
    return _export_out(parts.exports.begin(wanted, what, _plain(what)))


@get("/api/exports/{name:str}/file", operation_id="getExportFile", media_type="text/csv", sync_to_thread=True)
def export_file(parts: GivenParts, name: FromPath[str]) -> File:
    """The file of an export that is done."""
    path = parts.exports.file(name)
    return File(path, filename=name, media_type="text/csv; charset=utf-8")


@delete("/api/exports/{name:str}", operation_id="removeExport", sync_to_thread=True)
def remove_export(parts: GivenParts, name: FromPath[str]) -> None:
    """Stop an export, or delete its file."""
    parts.exports.remove(name)


def _export_out(export: Export) -> ExportOut:
    return ExportOut(
        name=export.name, what=export.what, state=export.state, began_at=export.began_at, done=export.done,
        total=export.total, bytes=export.bytes, message=export.message,
    )  # fmt: skip


def _span(start: str | None, end: str | None, tz: dt.tzinfo) -> tuple[int | None, int | None]:
    span: list[int | None] = []
    for text in (start, end):
        try:
            span.append(None if text is None else clock.parse_instant(text, tz))
        except (ValueError, OverflowError, OSError):
            raise BadRequest(
                f"“{text[:60] if text else ''}” is no moment; write 2026-11-24T13:05:00Z, a date, or epoch seconds."
            ) from None
    first, last = span
    if first is not None and last is not None and last < first:
        raise BadRequest("“to” lies before “from”. Nothing was exported.")
    return first, last


def _plain(text: str) -> str:
    """A text as a part of a file's name that every system takes."""
    return re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")[:60] or "site"


ROUTES = [export_samples, list_exports, begin_export, export_file, remove_export]
