"""In what condition the one file is: whole or damaged, and what takes its room; only read, beside a running Sungaze."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from sungaze.errors import StoreError
from sungaze.store.backup import fault_of
from sungaze.store.database import opening_error

SAMPLE_BYTES: Final = 20
"""What a sample's row takes, about: for an SQLite that does not tell the sizes of its tables."""
_KINDS: Final[Mapping[str, str]] = {"sample": "samples", "block": "sealed blocks", "raw_answer": "raw answers"}
OTHER: Final = "the rest"
INDEXES: Final = "indexes"
FREE: Final = "free pages"


class Condition(msgspec.Struct, frozen=True):
    """`fault` is the first damage, `orphans` the rows whose other half is missing, by table; both empty where all is
    well. `bytes` are by kind; `told` is false where they are estimated. `log_bytes` is the write-ahead log's.
    """

    layout: int
    fault: str
    orphans: dict[str, int]
    bytes: dict[str, int]
    told: bool
    log_bytes: int


def read_condition(path: Path) -> Condition:
    """The condition of a database that is ours. Raises StoreError where it cannot be read at all."""
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=15, isolation_level=None)
        ) as connection:
            (layout,) = connection.execute("PRAGMA user_version").fetchone()
            fault = fault_of(connection)
            orphans: dict[str, int] = {}
            sizes: dict[str, int] = {}
            told = True
            if not fault:
                for table, *_ in connection.execute("PRAGMA foreign_key_check"):
                    orphans[table] = orphans.get(table, 0) + 1
                sizes, told = _sizes(connection)
    except sqlite3.DatabaseError as error:
        raise opening_error(path, error) from None
    log = path.with_name(f"{path.name}-wal")
    try:
        log_bytes = log.stat().st_size
    except FileNotFoundError:
        log_bytes = 0
    except OSError as error:
        raise StoreError(f"{log} cannot be read: {error.strerror}.") from None
    return Condition(layout, fault, orphans, sizes, told, log_bytes)


def _sizes(connection: sqlite3.Connection) -> tuple[dict[str, int], bool]:
    (page,) = connection.execute("PRAGMA page_size").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    kinds = dict(connection.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'index')"))
    try:
        found = connection.execute("SELECT name, pgsize FROM dbstat WHERE aggregate = true").fetchall()
        told = True
    except sqlite3.OperationalError:  # built without that table
        found, told = _estimated(connection, kinds), False
    sizes = dict.fromkeys((*_KINDS.values(), INDEXES, OTHER), 0)
    for name, size in found:
        kind = INDEXES if kinds.get(name) == "index" else _KINDS.get(name, OTHER)
        sizes[kind] += size
    if not told:
        sizes[OTHER] = max(0, (pages - free) * page - sum(sizes.values()))
    return sizes | {FREE: free * page}, told


def _estimated(connection: sqlite3.Connection, tables: Iterable[str]) -> list[tuple[str, int]]:
    (samples,) = connection.execute("SELECT count(*) FROM sample").fetchone()
    (raw,) = connection.execute("SELECT COALESCE(sum(size), 0) FROM raw_answer").fetchone()
    blocks = 0
    if "block" in tables:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(block)")]
        lengths = " + ".join(f'COALESCE(length("{column}"), 0)' for column in columns)
        (blocks,) = connection.execute(f"SELECT COALESCE(sum({lengths}), 0) FROM block").fetchone()
    return [("sample", samples * SAMPLE_BYTES), ("raw_answer", raw), ("block", blocks)]
