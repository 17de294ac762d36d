"""History from a file: sent, looked at, and taken in beside everything else."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import anyio
import anyio.to_thread
from litestar import Request, delete, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from sungaze.api.parts import GivenParts
from sungaze.api.shapes import HistoryIn, HistoryOut, HistoryPreview
from sungaze.jobs.connect import BadRequest
from sungaze.model import METRICS
from sungaze.reports.imports import LARGEST, Import, Wanted

MEANINGS = ["timestamp", "date", "time", "device", *METRICS]


@post(
    "/api/imports",
    operation_id="sendImport",
    status_code=201,
    request_max_body_size=LARGEST,
    description="The file's own bytes are the body, 50 MB at the most; packed with gzip or not.",
)
async def send_import(
    parts: GivenParts,
    request: Request[Any, Any, Any],
    name: Annotated[str, QueryParameter(max_length=200, description="What the file is called.")] = "",
) -> HistoryOut:
    """What a file holds that is to be imported; nothing of it is taken yet."""
    id, path = await anyio.to_thread.run_sync(parts.imports.new_file)
    try:
        async with await anyio.open_file(path, "wb") as stream:
            async for piece in request.stream():
                await stream.write(piece)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    add = partial(parts.imports.add, parts.context.store, id, name or "a file")
    return _import_out(await anyio.to_thread.run_sync(add))


@get("/api/imports/{import_id:str}", operation_id="getImport", sync_to_thread=True)
def get_import(parts: GivenParts, import_id: FromPath[str]) -> HistoryOut:
    """How far it is, and at its end what became of its lines."""
    return _import_out(parts.imports.get(import_id))


@post("/api/imports/{import_id:str}/preview", operation_id="previewImport", status_code=200, sync_to_thread=True)
def preview_import(parts: GivenParts, import_id: FromPath[str], data: JSONBody[HistoryIn]) -> HistoryPreview:
    """What a portal's table would give: the first rows, the days, what is in doubt; nothing is written."""
    return HistoryPreview(parts.imports.preview(parts.context.store, import_id, _wanted(parts, data)))


@post("/api/imports/{import_id:str}/run", operation_id="runImport", status_code=202, sync_to_thread=True)
def run_import(parts: GivenParts, import_id: FromPath[str], data: JSONBody[HistoryIn]) -> HistoryOut:
    """Have it imported beside everything else."""
    return _import_out(parts.imports.run(import_id, _wanted(parts, data)))


@delete("/api/imports/{import_id:str}", operation_id="removeImport", sync_to_thread=True)
def remove_import(parts: GivenParts, import_id: FromPath[str]) -> None:
    """Stop an import, what was written is kept; or delete its file."""
    parts.imports.remove(import_id)


def _wanted(parts: GivenParts, data: HistoryIn) -> Wanted:
    # Not before a file comes: a start has no use for what reads it.
    from sungaze.reports.portal import wish_of

    if data.site is not None:
        parts.context.store.fleet.site(data.site)
    said = {
        "dates": data.dates, "decimal": data.decimal, "interval_s": data.interval_s, "stamps": data.stamps,
        "zone": data.zone,
    }  # fmt: skip
    if data.interval_s is not None and not 0 <= data.interval_s <= 86_400:
        raise BadRequest("A row covers 86400 seconds at the most, which is a day. Nothing was imported.")
    wish = wish_of((c.name, c.means, c.unit, c.device) for c in data.columns) if data.columns else None
    return Wanted(site=data.site, wish=wish, said=said, replace=data.replace)


def _import_out(one: Import) -> HistoryOut:
    return HistoryOut(
        id=one.id, name=one.name, state=one.state, is_canonical=one.is_canonical, is_known=one.is_known,
        columns=one.columns, meanings=MEANINGS if one.columns else [], lines=one.lines, share=one.share, said=one.said,
    )  # fmt: skip


ROUTES = [send_import, get_import, preview_import, run_import, remove_import]
