"""Places: one roof or plant each, with the user's own sheet and the sites that look at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from sungaze.errors import NotFound
from sungaze.model import DAY_S, Role
from sungaze.store.care import CARE
from sungaze.store.database import Database
from sungaze.store.tables import Flip, Note, Place, Site

SHEET: Final = (
    "name", "address", "latitude", "longitude", "timezone", "customer", "phone", "reference",
    "permission_to_operate_on", "warranty", "notes", "modules",
)  # fmt: skip
WRITTEN: Final = ("customer", "phone", "reference", "permission_to_operate_on", "warranty", "notes", "modules")
"""The lines that only the user writes."""
UNDO_S: Final = DAY_S
"""How long a merge can be undone."""
_COLUMNS: Final = ", ".join(("id", *SHEET))
_WRITTEN: Final = (*SHEET, *CARE)
"""All that a place's row holds beside its id."""


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


class _Carried(msgspec.Struct):
    """What was brought from a place to another: columns with the values they had lacked, and notes by id."""

    values: dict[str, Any]
    notes: list[int]
    told: int | None
    """The note that holds what both sheets said, where it was written."""


class _Merge(msgspec.Struct):
    """A merge as it is kept for its undoing: the other place's row, its sites with their roles, what was carried.

    `resting` are those of the two places that were snoozed until a change.
    """

    at: int
    row: dict[str, Any]
    sites: list[tuple[int, str]]
    carried: _Carried
    resting: list[int]


class Unmerged(msgspec.Struct, frozen=True):
    """The place that came back, and those of the two that were snoozed until a change."""

    place_id: int
    resting: tuple[int, ...]


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

    def merge(self, place_id: int, other_id: int, role: Role, now: float, resting: Iterable[int] = ()) -> None:
        """Bring all sites of another place here, in one role, and all that was written of it.

        What its sheet had and this one lacks comes along; where both say something, the other's lines become a note.
        For a day `unmerge` takes it back; `resting` are the places snoozed until a change, which it names again.
        Raises NotFound.
        """
        with self._db.transaction(durable=True):
            here, other = self.place(place_id), self.place(other_id)
            if here.id == other.id:
                return
            row = self._written(other.id)
            for site_id, _ in other.sites:
                self._put(site_id, here.id, role, now)
            kept = _Merge(int(now), row, list(other.sites), self._carry(here, other, now), list(resting))
            for name, value in self._db.rows("SELECT name, value FROM meta WHERE name LIKE 'merged:%'"):
                if msgspec.json.decode(value, type=_Merge).at < now - UNDO_S:
                    self._db.execute("DELETE FROM meta WHERE name = ?", (name,))
            self._db.execute(
                "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (_merged(here.id, other.id), msgspec.json.encode(kept).decode()),
            )

    def unmerge(self, place_id: int, other_id: int, now: float) -> Unmerged:
        """Take a merge of the last day back: the other place has its sites, sheet, care and notes again.

        What was written here since stays here. Raises NotFound where it cannot be undone any more.
        """
        with self._db.transaction(durable=True):
            name = _merged(place_id, other_id)
            text = self._db.scalar("SELECT value FROM meta WHERE name = ?", (name,))
            kept = msgspec.json.decode(text, type=_Merge) if text is not None else None
            mine = dict(self.place(place_id).sites)
            if kept is None or kept.at < now - UNDO_S or not mine.keys() > {site_id for site_id, _ in kept.sites}:
                raise NotFound(
                    "This merge cannot be undone any more: split its sites off one by one. Nothing was changed."
                )
            taken = self._db.row("SELECT 1 FROM place WHERE id = ?", (other_id,)) is not None
            row = kept.row if taken else {"id": other_id, **kept.row}
            back = int(Place.insert(**row).execute(self._db.peewee))
            for site_id, role in kept.sites:
                self._put(site_id, back, Role(role), now)
            here = self._written(place_id)
            values = {column: None for column, value in kept.carried.values.items() if here[column] == value}
            if values:
                Place.update(**values).where(Place.id == place_id).execute(self._db.peewee)
            Note.update(place_id=back).where(Note.id.in_(kept.carried.notes), Note.place_id == place_id).execute(
                self._db.peewee
            )
            Note.delete().where(Note.id == kept.carried.told, Note.place_id == place_id).execute(self._db.peewee)
            self._some_counts(place_id, now)
            self._db.execute("DELETE FROM meta WHERE name = ?", (name,))
        return Unmerged(back, tuple(back if resting == other_id else resting for resting in kept.resting))

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
            else:
                self._some_counts(before, now)
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

    def _written(self, place_id: int) -> dict[str, Any]:
        (row,) = self._db.dicts(f"SELECT {', '.join(_WRITTEN)} FROM place WHERE id = ?", (place_id,))
        return dict(row)

    def _some_counts(self, place_id: int, now: float) -> None:
        """Where what they were another view of has left, the first of a place's sites counts from now on."""
        sites = self.place(place_id).sites
        if all(role == Role.SAME_GENERATION for _, role in sites):
            self._put(sites[0][0], place_id, Role.GENERATION, now)

    def _carry(self, here: PlaceRow, other: PlaceRow, now: float) -> _Carried:
        """Bring what was written of a place to another one, and take it away: its last site has left."""
        lacking = {name: getattr(other, name) for name in SHEET if getattr(here, name) is None}
        lacking = {name: value for name, value in lacking.items() if value is not None}
        self.change(here.id, lacking)
        differing = [
            f"{name.replace('_', ' ')}: {getattr(other, name)}"
            for name in WRITTEN
            if None not in {getattr(here, name), getattr(other, name)} and getattr(here, name) != getattr(other, name)
        ]
        mine, theirs = self._written(here.id), self._written(other.id)
        care = {name: theirs[name] for name in ("assignee", "waiting_on") if mine[name] is None}
        if mine["snoozed_at"] is None:
            care |= {name: theirs[name] for name in ("snoozed_at", "snoozed_until", "snoozed_state")}
        Place.update(**care).where(Place.id == here.id).execute(self._db.peewee)
        notes = [int(row[0]) for row in self._db.rows("SELECT id FROM note WHERE place_id = ?", (other.id,))]
        Note.update(place_id=here.id).where(Note.place_id == other.id).execute(self._db.peewee)
        told = None
        if differing:
            text = "\n".join([f"Merged with “{other.name}”, whose sheet said:", *differing])
            told = int(Note.insert(place_id=here.id, at=int(now), text=text).execute(self._db.peewee))
        Place.delete().where(Place.id == other.id).execute(self._db.peewee)
        return _Carried(lacking | {name: value for name, value in care.items() if value is not None}, notes, told)

    def _put(self, site_id: int, place_id: int, role: Role, now: float) -> None:
        before = self._db.row("SELECT place_id, role FROM site WHERE id = ?", (site_id,))
        if before == (place_id, role.value):
            return
        Site.update(place_id=place_id, role=role.value).where(Site.id == site_id).execute(self._db.peewee)
        Flip.insert(
            at=int(now), subject="site", subject_id=site_id, what="place", before=repr(before),
            after=repr((place_id, role.value)), reason="set by the user",
        ).execute(self._db.peewee)  # fmt: skip


def _merged(place_id: int, other_id: int) -> str:
    return f"merged:{place_id}:{other_id}"


def _row(row: Mapping[str, Any], sites: list[tuple[int, str]]) -> PlaceRow:
    return PlaceRow(**row, sites=tuple((int(site_id), str(role)) for site_id, role in sites))
