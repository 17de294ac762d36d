"""The care of a place: snoozing it, what it waits for, who looks after it, and its notes."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import msgspec
from litestar import delete, get, patch, post
from litestar.params import JSONBody

from sungaze import clock
from sungaze.api.parts import GivenParts, Id, Parts
from sungaze.api.shapes import AssigneeList, CareOut, CarePatch, NoteIn, NoteList, NoteOut, NotePatch
from sungaze.errors import NotFound
from sungaze.jobs.connect import BadRequest
from sungaze.store.care import WAITING_ON, NoteRow
from sungaze.store.places import PlaceRow

LONGEST_NAME: Final = 100
LONGEST_NOTE: Final = 10_000
LONGEST_SNOOZE_DAYS: Final = 3_660
EARLIEST_NOTE: Final = 631_152_000
"""1990, as far back as anything reaches."""
CHANGE: Final = "change"


@patch("/api/places/{place_id:int}/care", operation_id="updateCare", sync_to_thread=True)
def update_care(parts: GivenParts, place_id: Id, data: JSONBody[CarePatch]) -> CareOut:
    """Snooze a place or wake it, say what it waits for and who looks after it."""
    store, now = parts.context.store, parts.context.now()
    place = store.places.place(place_id)
    values: dict[str, Any] = {}
    if data.snooze is not msgspec.UNSET:
        values |= _snooze(parts, place, data.snooze)
    if data.waiting_on is not msgspec.UNSET:
        values["waiting_on"] = waiting_on_of(data.waiting_on)
    if data.assignee is not msgspec.UNSET:
        values["assignee"] = assignee_of(data.assignee)
    store.care.change(place_id, values, now)
    return _told(parts, place_id)


@get("/api/places/assignees", operation_id="listAssignees", sync_to_thread=True)
def list_assignees(parts: GivenParts) -> AssigneeList:
    """Every name that a place was given to, now or before."""
    return AssigneeList(parts.context.store.care.assignees())


@get("/api/places/{place_id:int}/notes", operation_id="listNotes", sync_to_thread=True)
def list_notes(parts: GivenParts, place_id: Id) -> NoteList:
    """The notes of a place, the newest first."""
    parts.context.store.places.place(place_id)
    return NoteList([_note_out(row) for row in parts.context.store.care.notes(place_id)])


@post("/api/places/{place_id:int}/notes", operation_id="addNote", status_code=201, sync_to_thread=True)
def add_note(parts: GivenParts, place_id: Id, data: JSONBody[NoteIn]) -> NoteOut:
    """Write a note; with `at` one of another time, such as one that was deleted by mistake."""
    now = parts.context.now()
    at = now if data.at is None else data.at
    if not EARLIEST_NOTE <= at <= now + 1:
        raise BadRequest("A note is of now or of a time since 1990; nothing was written.")
    if len(data.author) > LONGEST_NAME:
        raise BadRequest(f"A name may have {LONGEST_NAME} characters at most; nothing was written.")
    row = parts.context.store.care.add_note(place_id, _text(data.text), data.author.strip(), at)
    _told(parts, place_id)
    return _note_out(row)


@patch("/api/notes/{note_id:int}", operation_id="updateNote", sync_to_thread=True)
def update_note(parts: GivenParts, note_id: Id, data: JSONBody[NotePatch]) -> NoteOut:
    """Give a note another text; its time stays."""
    row = parts.context.store.care.change_note(note_id, _text(data.text))
    _told(parts, row.place_id)
    return _note_out(row)


@delete("/api/notes/{note_id:int}", operation_id="deleteNote", status_code=200, sync_to_thread=True)
def delete_note(parts: GivenParts, note_id: Id) -> NoteOut:
    """Delete a note; the answer holds it, so that it can be written again."""
    row = parts.context.store.care.delete_note(note_id)
    _told(parts, row.place_id)
    return _note_out(row)


def waiting_on_of(text: str | None) -> str | None:
    """What a place waits for. Raises BadRequest."""
    if text is None or not text.strip():
        return None
    word = text.strip().casefold()
    if word not in WAITING_ON:
        raise BadRequest(f"A place waits for {', '.join(WAITING_ON)} or for nothing, not for “{text[:60]}”.")
    return word


def assignee_of(text: str | None) -> str | None:
    """The name of who looks after a place. Raises BadRequest."""
    name = " ".join((text or "").split())
    if len(name) > LONGEST_NAME:
        raise BadRequest(f"A name may have {LONGEST_NAME} characters at most; nothing was changed.")
    return name or None


def snoozed_until_change(parts: Parts, place_id: int) -> dict[str, Any]:
    """What is kept of a place that rests from now on until its state changes."""
    state, _ = parts.board.states([place_id]).get(place_id, ("", None))
    return {"snoozed_at": int(parts.context.now()), "snoozed_until": None, "snoozed_state": state}


def _snooze(parts: Parts, place: PlaceRow, wish: str | None) -> dict[str, Any]:
    if wish is None:
        return {"snoozed_at": None, "snoozed_until": None, "snoozed_state": None}
    if wish == CHANGE:
        return snoozed_until_change(parts, place.id)
    now = parts.context.now()
    sites = parts.context.store.fleet.sites([site_id for site_id, _ in place.sites], archived=True)
    zones = (clock.zone(name) for name in (*(site.timezone for site in sites), place.timezone))
    tz = next((zone for zone in zones if zone is not None), dt.UTC)
    try:
        day = dt.date.fromisoformat(wish)
    except ValueError:
        raise BadRequest(
            f"“{wish[:60]}” is no date; a snooze lasts until one, written 2026-12-01, or until a change."
        ) from None
    days = (day - clock.day_of(now, tz)).days
    if not 0 < days <= LONGEST_SNOOZE_DAYS:
        raise BadRequest("A snooze ends on a day to come, within ten years; nothing was changed.")
    return {"snoozed_at": int(now), "snoozed_until": clock.midnight(day, tz), "snoozed_state": None}


def _text(text: str) -> str:
    text = text.strip()
    if not text:
        raise BadRequest("A note has to say something; nothing was written.")
    if len(text) > LONGEST_NOTE:
        raise BadRequest(f"A note may have {LONGEST_NOTE} characters at most; nothing was written.")
    return text


def _told(parts: Parts, place_id: int) -> CareOut:
    parts.board.refresh()
    parts.context.events.publish("sites", [site for site, _ in parts.context.store.places.place(place_id).sites])
    found = parts.board.care([place_id])
    if place_id not in found:
        raise NotFound("There is no such place.")
    return found[place_id]


def _note_out(row: NoteRow) -> NoteOut:
    return NoteOut(row.id, row.place_id, row.at, row.text, row.author)


ROUTES = [update_care, list_assignees, list_notes, add_note, update_note, delete_note]
