"""Places: one roof or plant each, with the user's own sheet and the sites that look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from sungaze.errors import NotFound
from sungaze.model import Role
from sungaze.store.care import CARE
from sungaze.store.database import Database
from sungaze.store.tables import Flip, Note, Place, Site

SHEET: Final = (
    "name", "address", "latitude", "longitude", "timezone", "customer", "phone", "reference",
    "permission_to_operate_on", "warranty", "notes", "modules",
)  # fmt: skip
WRITTEN: Final = ("customer", "phone", "reference", "permission_to_operate_on", "warranty", "notes", "modules")
"""The lines that only the user writes."""
_COLUMNS: Final = ", ".join(("id", *SHEET))


class PlaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A place with its sheet; `sites` are (site id, role), by id."""

    id: int
    name: str
    address: str | None
    latitude: float | None
    longitude: float | None
    timezone: str | None
    customer: str | None
    phone: str | None
    reference: str | None
    permission_to_operate_on: str | None
    warranty: str | None
    notes: str | None
    modules: str | None
    sites: tuple[tuple[int, str], ...] = ()


class Places:
    """The places of one store."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def places(self) -> list[PlaceRow]:
        """Every place that has a site that is not archived, by name."""
        sites: dict[int, list[tuple[int, str]]] = {}
        for place_id, site_id, role in self._db.rows(
            "SELECT place_id, id, role FROM site WHERE archived_at IS NULL ORDER BY id"
        ):
            sites.setdefault(place_id, []).append((site_id, role))
        rows = self._db.dicts(f"SELECT {_COLUMNS} FROM place ORDER BY name COLLATE NOCASE, id")
        return [_row(row, sites[row["id"]]) for row in rows if row["id"] in sites]

    def place(self, place_id: int) -> PlaceRow:
        """One place, with all its sites. Raises NotFound."""
        for row in self._db.dicts(f"SELECT {_COLUMNS} FROM place WHERE id = ?", (place_id,)):
            sites = self._db.rows("SELECT id, role FROM site WHERE place_id = ? ORDER BY id", (place_id,))
            return _row(row, sites)
        raise NotFound("There is no such place.")

    def change(self, place_id: int, values: Mapping[str, Any]) -> None:
        """Keep what the user wrote on a place's sheet. Raises NotFound."""
        with self._db.transaction(durable=True):
            self.place(place_id)
            if values:
                Place.update(**values).where(Place.id == place_id).execute(self._db.peewee)

    def merge(self, place_id: int, other_id: int, role: Role, now: float) -> None:
        """Bring all sites of another place here, in one role, and all that was written of it.

        What its sheet had and this one lacks comes along; where both say something, the other's lines become a note.
        Raises NotFound.
        """
        with self._db.transaction(durable=True):
            here, other = self.place(place_id), self.place(other_id)
            if here.id == other.id:
                return
            for site_id, _ in other.sites:
                self._put(site_id, here.id, role, now)
            self._carry(here, other, now)

    def put_site(self, site_id: int, place_id: int | None, role: Role, now: float) -> int:
        """The place that a site now belongs to: the one named, or with None one of its own. Raises NotFound."""
        with self._db.transaction(durable=True):
            row = self._db.row(
                "SELECT place_id, COALESCE(user_alias, name), timezone FROM site WHERE id = ?", (site_id,)
            )
            if row is None:
                raise NotFound("There is no such site.")
            before, name, timezone = row
            if place_id is None and len(self.place(before).sites) == 1:
                # It has a place of its own already, with all that was written of it.
                place_id = before
            elif place_id is None:
                place_id = int(Place.insert(name=name, timezone=timezone).execute(self._db.peewee))
            else:
                self.place(place_id)
            self._put(site_id, place_id, role, now)
            left = self.place(before)
            if before != place_id and not left.sites:
                self._carry(self.place(place_id), left, now)
            elif all(other == Role.SAME_GENERATION for _, other in left.sites):
                # What they were another view of has left: the first of them counts from now on.
                self._put(left.sites[0][0], before, Role.GENERATION, now)
        return place_id

    def dismissed(self) -> set[tuple[int, int]]:
        """The pairs of sites of which the user said that they are not one roof, the lower id first."""
        rows = self._db.rows("SELECT name FROM meta WHERE name LIKE 'apart:%'")
        pairs = (name.split(":")[1:] for (name,) in rows)
        return {(int(first), int(second)) for first, second in pairs}

    def dismiss(self, first: int, second: int, dismissed: bool, now: float) -> None:
        """Keep that two sites are not one roof, or forget it."""
        name = f"apart:{min(first, second)}:{max(first, second)}"
        with self._db.transaction(durable=True):
            if dismissed:
                self._db.execute(
                    "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING", (name, str(int(now)))
                )
            else:
                self._db.execute("DELETE FROM meta WHERE name = ?", (name,))

    def _carry(self, here: PlaceRow, other: PlaceRow, now: float) -> None:
        """Bring what was written of a place to another one, and take it away: its last site has left."""
        lacking = {name: getattr(other, name) for name in SHEET if getattr(here, name) is None}
        self.change(here.id, {name: value for name, value in lacking.items() if value is not None})
        differing = [
            f"{name.replace('_', ' ')}: {getattr(other, name)}"
            for name in WRITTEN
            if None not in {getattr(here, name), getattr(other, name)} and getattr(here, name) != getattr(other, name)
        ]
        columns = ", ".join(CARE)
        mine, theirs = (
            dict(zip(CARE, self._db.row(f"SELECT {columns} FROM place WHERE id = ?", (row.id,)) or (), strict=True))
            for row in (here, other)
        )
        care = {name: theirs[name] for name in ("assignee", "waiting_on") if mine[name] is None}
        if mine["snoozed_at"] is None:
            care |= {name: theirs[name] for name in ("snoozed_at", "snoozed_until", "snoozed_state")}
        Place.update(**care).where(Place.id == here.id).execute(self._db.peewee)
        Note.update(place_id=here.id).where(Note.place_id == other.id).execute(self._db.peewee)
        if differing:
            text = "\n".join([f"Merged with “{other.name}”, whose sheet said:", *differing])
            Note.insert(place_id=here.id, at=int(now), text=text).execute(self._db.peewee)
        Place.delete().where(Place.id == other.id).execute(self._db.peewee)

    def _put(self, site_id: int, place_id: int, role: Role, now: float) -> None:
        before = self._db.row("SELECT place_id, role FROM site WHERE id = ?", (site_id,))
        if before == (place_id, role.value):
            return
        Site.update(place_id=place_id, role=role.value).where(Site.id == site_id).execute(self._db.peewee)
        Flip.insert(
            at=int(now), subject="site", subject_id=site_id, what="place", before=repr(before),
            after=repr((place_id, role.value)), reason="set by the user",
        ).execute(self._db.peewee)  # fmt: skip


def _row(row: Mapping[str, Any], sites: list[tuple[int, str]]) -> PlaceRow:
    return PlaceRow(**row, sites=tuple((int(site_id), str(role)) for site_id, role in sites))
