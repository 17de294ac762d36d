"""What people do about a place: who looks after it, what it waits for, until when it rests, and its notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from sungaze.errors import NotFound
from sungaze.store.database import Database
from sungaze.store.tables import Flip, Note, Place

WAITING_ON: Final = ("customer", "parts", "rma", "utility")
CARE: Final = ("assignee", "waiting_on", "snoozed_at", "snoozed_until", "snoozed_state")


class CareRow(msgspec.Struct, frozen=True, kw_only=True):
    """The care of a place as it was written; `notes` counts them."""

    assignee: str | None
    waiting_on: str | None
    snoozed_at: int | None
    snoozed_until: int | None
    snoozed_state: str | None
    notes: int


class NoteRow(msgspec.Struct, frozen=True):
    """A note of a place, written at `at`."""

    id: int
    place_id: int
    at: int
    text: str
    author: str


class Care:
    """The care of one store's places."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of_places(self, places: Iterable[int] | None = None) -> dict[int, CareRow]:
        """The care of each place, or of each of these."""
        among = "" if places is None else f" WHERE place.id IN ({','.join(map(str, map(int, places)))})"
        rows = self._db.rows(
            f"SELECT place.id, {', '.join(CARE)}, (SELECT count(*) FROM note WHERE place_id = place.id) "
            f"FROM place{among}"
        )
        return {
            row[0]: CareRow(
                assignee=row[1], waiting_on=row[2], snoozed_at=row[3], snoozed_until=row[4], snoozed_state=row[5],
                notes=row[6],
            )
            for row in rows
        }  # fmt: skip

    def change(self, place_id: int, values: Mapping[str, Any], now: float) -> None:
        """Keep what the user says of a place's care; each change leaves a flip. Raises NotFound."""
        with self._db.transaction(durable=True):
            before = self.of_places([place_id]).get(place_id)
            if before is None:
                raise NotFound("There is no such place.")
            changed = {name: value for name, value in values.items() if getattr(before, name) != value}
            if not changed:
                return
            Place.update(**changed).where(Place.id == place_id).execute(self._db.peewee)
            for name, value in changed.items():
                old = getattr(before, name)
                Flip.insert(
                    at=int(now), subject="place", subject_id=place_id, what=name,
                    before=None if old is None else str(old), after=None if value is None else str(value),
                    reason="set by the user",
                ).execute(self._db.peewee)  # fmt: skip

    def assignees(self) -> list[str]:
        """Every name that a place was given to, now or before."""
        rows = self._db.rows(
            "SELECT assignee FROM place WHERE assignee IS NOT NULL UNION "
            "SELECT after FROM flip WHERE subject = 'place' AND what = 'assignee' AND after IS NOT NULL"
        )
        return sorted((row[0] for row in rows), key=str.casefold)

    def notes(self, place_id: int | None = None) -> list[NoteRow]:
        """The notes of a place, or of all, the newest first."""
        where, parameters = ("", ()) if place_id is None else (" WHERE place_id = ?", (place_id,))
        rows = self._db.rows(
            f"SELECT id, place_id, at, text, author FROM note{where} ORDER BY at DESC, id DESC", parameters
        )
        return [NoteRow(*row) for row in rows]

    def note(self, note_id: int) -> NoteRow:
        """One note. Raises NotFound."""
        row = self._db.row("SELECT id, place_id, at, text, author FROM note WHERE id = ?", (note_id,))
        if row is None:
            raise NotFound("There is no such note; it may have been deleted in another window.")
        return NoteRow(*row)

    def add_note(self, place_id: int, text: str, author: str, at: float) -> NoteRow:
        """A new note of a place. Raises NotFound."""
        with self._db.transaction(durable=True):
            if self._db.row("SELECT 1 FROM place WHERE id = ?", (place_id,)) is None:
                raise NotFound("There is no such place.")
            query = Note.insert(place_id=place_id, at=int(at), text=text, author=author)
            return self.note(int(query.execute(self._db.peewee)))

    def change_note(self, note_id: int, text: str) -> NoteRow:
        """A note with another text; its time stays. Raises NotFound."""
        with self._db.transaction(durable=True):
            self.note(note_id)
            Note.update(text=text).where(Note.id == note_id).execute(self._db.peewee)
            return self.note(note_id)

    def delete_note(self, note_id: int) -> NoteRow:
        """The note that was deleted. Raises NotFound."""
        with self._db.transaction(durable=True):
            row = self.note(note_id)
            Note.delete().where(Note.id == note_id).execute(self._db.peewee)
        return row
