"""Places: one roof or plant each, with the user's own sheet and the sites that look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from sungaze.errors import NotFound
from sungaze.model import Role
from sungaze.store.database import Database
from sungaze.store.tables import Flip, Place, Site

SHEET: Final = (
    "name", "address", "latitude", "longitude", "timezone", "customer", "phone", "reference",
    "permission_to_operate_on", "warranty", "notes",
)  # fmt: skip
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
        """Bring all sites of another place here, in one role; what its sheet had and this one lacks comes along.

        Raises NotFound.
        """
        with self._db.transaction(durable=True):
            here, other = self.place(place_id), self.place(other_id)
            if here.id == other.id:
                return
            for site_id, _ in other.sites:
                self._put(site_id, here.id, role, now)
            lacking = {name: getattr(other, name) for name in SHEET if getattr(here, name) is None}
            self.change(here.id, {name: value for name, value in lacking.items() if value is not None})
            Place.delete().where(Place.id == other.id).execute(self._db.peewee)

    def put_site(self, site_id: int, place_id: int | None, role: Role, now: float) -> int:
        """The place that a site now belongs to: the one named, or with None one of its own. Raises NotFound."""
        with self._db.transaction(durable=True):
            row = self._db.row(
                "SELECT place_id, COALESCE(user_alias, name), timezone FROM site WHERE id = ?", (site_id,)
            )
            if row is None:
                raise NotFound("There is no such site.")
            before, name, timezone = row
            if place_id is None:
                place_id = int(Place.insert(name=name, timezone=timezone).execute(self._db.peewee))
            else:
                self.place(place_id)
            self._put(site_id, place_id, role, now)
            if before != place_id and not self.place(before).sites and self._is_blank(before):
                Place.delete().where(Place.id == before).execute(self._db.peewee)
        return place_id

    def _put(self, site_id: int, place_id: int, role: Role, now: float) -> None:
        before = self._db.row("SELECT place_id, role FROM site WHERE id = ?", (site_id,))
        if before == (place_id, role.value):
            return
        Site.update(place_id=place_id, role=role.value).where(Site.id == site_id).execute(self._db.peewee)
        Flip.insert(
            at=int(now), subject="site", subject_id=site_id, what="place", before=repr(before),
            after=repr((place_id, role.value)), reason="set by the user",
        ).execute(self._db.peewee)  # fmt: skip

    def _is_blank(self, place_id: int) -> bool:
        """Whether the user wrote nothing on a place's sheet, so that it may go with its last site."""
        place = self.place(place_id)
        return not any((place.customer, place.phone, place.reference, place.warranty, place.notes))


def _row(row: Mapping[str, Any], sites: list[tuple[int, str]]) -> PlaceRow:
    return PlaceRow(**row, sites=tuple((int(site_id), str(role)) for site_id, role in sites))
