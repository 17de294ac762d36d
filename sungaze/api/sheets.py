"""The sheets of all places as one CSV: a download, a template, and an import that shows first what it would change."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from litestar import Response, get, post
from litestar.params import FromQuery, JSONBody

from sungaze import clock
from sungaze.api.parts import GivenParts, Parts
from sungaze.api.shapes import ImportChange, ImportIn, ImportLine, ImportOut, ImportUndoIn, ImportUndoOut
from sungaze.jobs.connect import BadRequest
from sungaze.reports.sheets import FIELDS, Kept, Reading, as_kept, degrees, log_line, read_sheets, write_sheets

CARE = ("waiting_on", "assignee")


@get("/api/places/export", operation_id="exportPlaces", media_type="text/csv", sync_to_thread=True)
def export_places(parts: GivenParts, template: FromQuery[bool] = False) -> Response[bytes]:
    """Every place's sheet, care and notes; with `template`, the places with their lines left open."""
    text = write_sheets(_kept(parts), empty=template)
    name = "sungaze-places-template.csv" if template else "sungaze-places.csv"
    # With a byte order mark, or spreadsheets take the file for Windows-1252.
    return Response(
        ("\ufeff" + text).encode(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@post("/api/places/import", operation_id="importPlaces", status_code=200, sync_to_thread=True)
def import_places(parts: GivenParts, data: JSONBody[ImportIn]) -> ImportOut:
    """What each line of a CSV would change; with `apply` it is written, whole or not at all.

    `mark` is a preview's: an import that would by now change something else is refused.
    """
    store, now = parts.context.store, parts.context.now()
    if not data.apply:
        return _out(read_sheets(data.csv, _kept(parts)), applied=False)
    with store.database.transaction(durable=True):
        reading = read_sheets(data.csv, _kept(parts))
        if data.mark is not None and data.mark != reading.mark:
            raise BadRequest(
                "The places were changed since the preview, so that the file would now change something else. Nothing "
                "was written; look at the preview again."
            )
        for line in reading.lines:
            if line.place_id is None or not line.changes:
                continue
            _write(parts, line.place_id, {change.field: change.after for change in line.changes}, now)
    parts.board.refresh()
    parts.context.events.publish("everything")
    return _out(reading, applied=True)


@post("/api/places/import/undo", operation_id="undoImport", status_code=200, sync_to_thread=True)
def undo_import(parts: GivenParts, data: JSONBody[ImportUndoIn]) -> ImportUndoOut:
    """Write back what an import replaced; a field that was changed since is left as it is."""
    restored = left = 0
    with parts.context.store.database.transaction(durable=True):
        kept = {place.id: place for place in _kept(parts)}
        for line in data.lines:
            place = kept.get(line.place_id) if line.place_id is not None else None
            values: dict[str, str | None] = {}
            for change in line.changes:
                if change.field not in FIELDS:
                    raise BadRequest(f"An import writes no “{change.field[:60]}”. Nothing was changed.")
                value, problem = as_kept(change.field, change.before) if change.before else (None, "")
                if problem:
                    raise BadRequest(f"{problem} Nothing was changed.")
                if place is not None and place.values.get(change.field) == change.after:
                    values[change.field] = value
            restored, left = restored + len(values), left + len(line.changes) - len(values)
            if place is not None and values:
                _write(parts, place.id, values, parts.context.now())
    parts.board.refresh()
    parts.context.events.publish("everything")
    return ImportUndoOut(restored, left)


def _write(parts: Parts, place_id: int, fields: Mapping[str, str | None], now: float) -> None:
    """Write fields of a place, each text as it is kept; None empties one."""
    store, values = parts.context.store, dict(fields)
    store.care.change(place_id, {name: values.pop(name) for name in CARE if name in values}, now)
    if "tilt" in values:
        tilt = values.pop("tilt")
        for site_id, _ in store.places.place(place_id).sites:
            store.fleet.set_by_user(site_id, {"tilt": None if tilt is None else float(tilt)}, now)
    store.places.change(place_id, values)


def _kept(parts: Parts) -> list[Kept]:
    """Every place with its sheet, care and notes as they are written."""
    store = parts.context.store
    sites = {site.id: site for site in store.fleet.sites()}
    care, standing = store.care.of_places(), parts.board.care(None)
    log: dict[int, list[str]] = {}
    for note in store.care.notes():
        log.setdefault(note.place_id, []).append(log_line(note.at, note.author, note.text))
    found = []
    for place in store.places.places():
        mine = [sites[site_id] for site_id, _ in place.sites if site_id in sites]
        tilts = {site.tilt for site in mine}
        tilt = tilts.pop() if len(tilts) == 1 else None
        written = msgspec.structs.asdict(place) | msgspec.structs.asdict(care[place.id])
        # The place's own text: the note count of its care bears the same name.
        written |= {"notes": place.notes, "tilt": None if tilt is None else degrees(tilt)}
        rest = standing[place.id]
        until = "change" if rest.until_change else clock.iso(rest.snoozed_until) if rest.snoozed_until else ""
        found.append(
            Kept(
                id=place.id,
                name=place.name,
                site_names=tuple(site.name for site in mine),
                vendor_site_ids=tuple(site.vendor_site_id for site in mine),
                values={field: str(written[field]).strip() for field in FIELDS if written[field] is not None},
                told={"snoozed_until": until, "note_log": "\n".join(log.get(place.id, []))},
            )
        )
    return found


def _out(reading: Reading, *, applied: bool) -> ImportOut:
    return ImportOut(
        lines=[
            ImportLine(
                line=line.line,
                key=line.key,
                place_id=line.place_id,
                place=line.place,
                changes=[ImportChange(change.field, change.before, change.after) for change in line.changes],
                problem=line.problem,
            )
            for line in reading.lines
        ],
        ignored=list(reading.ignored),
        mark=reading.mark,
        applied=applied,
    )


ROUTES = [export_places, import_places, undo_import]
