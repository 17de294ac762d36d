"""Small things that Sungaze remembers for its user, by name: the settings of the pages, when they were looked at."""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from sungaze.store.database import Database

T = TypeVar("T")

SETTINGS: Final = "settings"
LOOKED: Final = "looked"


class Memory:
    """The remembered things of one store, each a JSON text."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, name: str, shape: type[T]) -> T | None:
        """What is remembered under a name, or None. What a later version wrote otherwise counts as forgotten."""
        text = self._db.scalar("SELECT value FROM meta WHERE name = ?", (name,))
        try:
            return None if text is None else msgspec.json.decode(text, type=shape)
        except msgspec.DecodeError:
            return None

    def names(self, prefix: str) -> list[str]:
        """The names that begin so, and under which something is remembered."""
        found = self._db.rows("SELECT name FROM meta WHERE substr(name, 1, ?) = ? ORDER BY name", (len(prefix), prefix))
        return [name for (name,) in found]

    def put(self, name: str, value: object) -> None:
        """Remember it. Raises StoreError where nothing can be written."""
        text = msgspec.json.encode(value).decode()
        with self._db.transaction(durable=True):
            self._db.execute("DELETE FROM meta WHERE name = ?", (name,))
            self._db.execute("INSERT INTO meta (name, value) VALUES (?, ?)", (name, text))
