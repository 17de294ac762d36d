"""What a report on the store may tell, and the names that it must not; read beside a running Sungaze."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from sungaze.errors import StoreError
from sungaze.store.database import opening_error

COUNT_S: Final = 2.0
"""How long one table may be counted."""
_NAMING: Final = {
    "account": ("label", "identity", "base_url", "scope"),
    "place": ("name", "address", "customer", "phone", "reference", "warranty", "notes", "assignee", "modules"),
    "site": ("vendor_site_id", "name", "address_info", "reference", "user_alias", "tags"),
    "device": ("vendor_device_id", "name", "serial_number", "part_number", "user_array"),
    "note": ("text", "author"),
    "sender": ("sender",),
    "message": ("sender",),
}
"""Columns that hold what somebody or something of theirs is called."""


class StoreFacts(msgspec.Struct):
    """Counts are None where a table is too large to count in time. `names` are for leaving out, never for showing."""

    layout: int
    counts: dict[str, int | None]
    accounts: list[dict[str, Any]]
    quotas: list[dict[str, Any]]
    work: dict[str, Any]
    names: set[str]


def read_facts(path: Path, now: float) -> StoreFacts:
    """What there is to tell of a database file. Raises StoreError where it cannot be read."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
    except sqlite3.DatabaseError as error:
        raise opening_error(path, error) from None
    try:
        return _facts(connection, now)
    except sqlite3.DatabaseError as error:
        raise opening_error(path, error) from None
    except ValueError as error:
        raise StoreError(f"{path} cannot be read: {error}.") from None
    finally:
        connection.close()


def _facts(connection: sqlite3.Connection, now: float) -> StoreFacts:
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    tables = {name: _columns(connection, name) for (name,) in connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    )}  # fmt: skip
    names: set[str] = set()
    for table, columns in _NAMING.items():
        for column in columns:
            if column in tables.get(table, ()):
                found = connection.execute(f'SELECT DISTINCT "{column}" FROM "{table}" WHERE "{column}" IS NOT NULL')
                for (value,) in found:
                    names |= _texts(value)
    accounts = _rows(
        connection,
        "SELECT id, vendor, method, plan, state, state_reason, state_since, retry_at, created_at,"
        " removed_at IS NOT NULL AS removed, paused_at IS NOT NULL AS paused FROM account ORDER BY id",
    )
    # A scope is a fingerprint of a key: numbered instead.
    scopes = {scope: k for k, (scope,) in enumerate(connection.execute("SELECT DISTINCT scope FROM quota"), 1)}
    quotas = [
        row | {"scope": scopes[row["scope"]]}
        for row in _rows(connection, 'SELECT scope, "window", window_start, used, history FROM quota')
    ]
    return StoreFacts(
        layout=layout,
        counts={table: _count(connection, table) for table in tables},
        accounts=accounts,
        quotas=quotas,
        work=_work(connection, now),
        names=names,
    )


def _work(connection: sqlite3.Connection, now: float) -> dict[str, Any]:
    """What is owed, by vendor and resource, and how the last looks ended."""
    day_ago = now - 86_400
    return {
        "due": _rows(
            connection,
            "SELECT vendor, resource, count(*) AS looks, sum(next_due <= ?) AS overdue,"
            " sum(lease_until > ?) AS under_way, max(attempts) AS most_attempts"
            " FROM due JOIN account ON account.id = account_id GROUP BY vendor, resource",
            (now, now),
        ),
        "open_gaps": _rows(
            connection,
            "SELECT vendor, resource, reason, count(*) AS gaps, max(attempts) AS most_attempts FROM gap"
            " JOIN account ON account.id = account_id WHERE closed_at IS NULL GROUP BY vendor, resource, reason",
        ),
        "looks_of_the_last_day": _rows(
            connection,
            "SELECT vendor, resource, outcome, count(*) AS looks, sum(calls) AS calls, sum(samples) AS samples,"
            " max(ended_at) AS last FROM fetch JOIN account ON account.id = account_id WHERE ended_at > ?"
            " GROUP BY vendor, resource, outcome",
            (day_ago,),
        ),
    }


def _columns(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    return tuple(row[1] for row in connection.execute(f'PRAGMA table_info("{table}")'))


def _rows(connection: sqlite3.Connection, sql: str, parameters: tuple[Any, ...] = ()) -> list[dict[str, Any]]:
    cursor = connection.execute(sql, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _count(connection: sqlite3.Connection, table: str) -> int | None:
    until = time.monotonic() + COUNT_S
    connection.set_progress_handler(lambda: int(time.monotonic() > until), 100_000)
    try:
        (count,) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        connection.set_progress_handler(None, 0)
    return int(count)


def _texts(value: Any) -> set[str]:
    """The words in a value, which may be a JSON object or list."""
    text = str(value)
    if text[:1] in "{[":
        try:
            inner = msgspec.json.decode(text)
        except msgspec.DecodeError:
            return {text}
        values = inner.values() if isinstance(inner, dict) else inner
        return {part for each in values if each is not None for part in _texts(each)}
    return {text}
