"""Opening the one file: what it must be, what it is brought to, and the transactions everything else writes in."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import peewee

from sungaze.errors import NewerDatabase, NotADatabase, StoreError
from sungaze.store.migrations import LATEST, MIGRATIONS

APPLICATION_ID: Final = 0x53_55_4E_47
_HEADER: Final = b"SQLite format 3\x00"
PAGES_AT_ONCE: Final = 4_096
"""Pages given back to the disk in one turn to write, 8 MB of a new file."""
FEW_FREE: Final = 4 * PAGES_AT_ONCE

OperationalError = peewee.OperationalError
IntegrityError = peewee.IntegrityError
Progress = Callable[[int, int], None]


class Database:
    """The store's connection, one per thread, with IMMEDIATE writes.

    Deferred transactions that read and then write fail at once under WAL when another writer came between; IMMEDIATE
    ones wait for their turn.
    """

    def __init__(self, path: Path, progress: Progress | None = None) -> None:
        """Open the file, making or migrating it. Raises StoreError and its children.

        `progress` is called before each migration with its number from 1, and how many there are.
        """
        self.path = path
        ours = is_ours(path)
        self.peewee = peewee.SqliteDatabase(
            str(path),
            pragmas={
                "journal_mode": "wal",
                "foreign_keys": 1,
                "synchronous": "normal",
                "busy_timeout": 15_000,
                # Debian's SQLite wipes what is deleted; pages that are given back to the disk need no wiping first.
                "secure_delete": "fast",
            },
            timeout=15,
            lock_type="IMMEDIATE",
        )
        try:
            if not ours:
                _make_ours(path)
            self._migrate(progress)
        except (sqlite3.DatabaseError, peewee.DatabaseError) as error:
            self.close()
            raise opening_error(path, error) from None

    def _migrate(self, progress: Progress | None) -> None:
        first: int = self.scalar("PRAGMA user_version")
        for number in range(first, LATEST):
            if progress is not None:
                progress(number - first + 1, LATEST - first)
            with self.transaction():
                if self.scalar("PRAGMA user_version") != number:
                    continue  # a command beside us was quicker
                connection = self.peewee.connection()
                for statement in filter(str.strip, MIGRATIONS[number].split(";\n")):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number + 1}")

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """An IMMEDIATE transaction; nested ones join it. `durable` waits for the disk, for what is acknowledged."""
        if durable and not self.peewee.in_transaction():
            self.peewee.execute_sql("PRAGMA synchronous = FULL")
            try:
                with _told_by_its_cause(), self.peewee.atomic():
                    yield
            finally:
                self.peewee.execute_sql("PRAGMA synchronous = NORMAL")
        else:
            with _told_by_its_cause(), self.peewee.atomic():
                yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """One moment of the database for several reads; inside a transaction, that one's."""
        connection = self.peewee.connection()
        if connection.in_transaction:
            yield
            return
        with _translated():
            connection.execute("BEGIN")
        try:
            yield
        finally:
            connection.execute("COMMIT")

    def give_back(self, *, over: int = 0) -> int:
        """Give some of the pages that nothing stands in back to the disk, where there are more than `over`.

        How many are left. At most PAGES_AT_ONCE, so that nobody waits long for a turn to write; fewer of very many,
        because SQLite looks each of them up in the list of all. Not for inside a transaction.
        """
        connection = self.peewee.connection()
        assert not connection.in_transaction
        free = int(self.scalar("PRAGMA freelist_count"))
        if free > over:
            pages = max(1, PAGES_AT_ONCE * FEW_FREE // max(free, FEW_FREE))
            with _translated():
                # A cursor steps a statement without columns once, and with each step of it one page is given back.
                connection.executescript(f"PRAGMA incremental_vacuum({pages})")
            free = int(self.scalar("PRAGMA freelist_count"))
        return free

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """The cursor of one statement."""
        cursor: sqlite3.Cursor = self.peewee.execute_sql(sql, parameters)
        return cursor

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> int:
        """The number of rows that changed."""
        connection = self.peewee.connection()
        before: int = connection.total_changes
        try:
            connection.executemany(sql, rows)
        except sqlite3.OperationalError as error:
            raise OperationalError(str(error)) from error
        except sqlite3.IntegrityError as error:
            raise IntegrityError(str(error)) from error
        except sqlite3.DatabaseError as error:
            raise peewee.DatabaseError(str(error)) from error
        after: int = connection.total_changes
        return after - before

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Every row of a query."""
        with _translated():
            return self.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query, or None."""
        with _translated():
            found: tuple[Any, ...] | None = self.execute(sql, parameters).fetchone()
        return found

    def scalar(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None."""
        found = self.row(sql, parameters)
        return found[0] if found else None

    def dicts(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Every row of a query by column name."""
        with _translated():
            cursor = self.execute(sql, parameters)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def close(self) -> None:
        """Close this thread's connection."""
        if not self.peewee.is_closed():
            self.peewee.close()


@contextmanager
def _told_by_its_cause() -> Iterator[None]:
    # On a full disk SQLite rolls back by itself; Peewee's own rollback, of a nested one too, then fails, and its error
    # hides the reason.
    try:
        yield
    except OperationalError as error:
        cause: BaseException | None = error
        while cause is not None and (
            not isinstance(cause, OperationalError) or re.search("cannot rollback|no such savepoint", str(cause))
        ):
            cause = cause.__context__
        if cause is None or cause is error:
            raise
        raise cause from None


@contextmanager
def _translated() -> Iterator[None]:
    # Peewee translates what a statement raises, not what its rows raise as they are fetched.
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OperationalError(str(error)) from error
    except sqlite3.DatabaseError as error:
        raise peewee.DatabaseError(str(error)) from error


def _make_ours(path: Path) -> None:
    """Mark a file that is new, or that a process killed at its first start left empty."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}. Nothing was changed.") from None
    connection = sqlite3.connect(path, timeout=15)
    try:
        # Small pages: a block fills its last one by half, and two dozen tables are a page each even when empty.
        connection.execute("PRAGMA page_size = 2048")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("VACUUM")
    finally:
        connection.close()


def is_ours(path: Path) -> bool:
    """Whether the file is marked as ours already; a missing or an empty one is not yet.

    Raises NotADatabase for what is damaged or another program's, NewerDatabase, and StoreError where it cannot be read.
    """
    if not path.exists():
        return False
    try:
        with path.open("rb") as stream:
            header = stream.read(16)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}. Nothing was changed.") from None
    if header and header != _HEADER:
        raise NotADatabase(
            f"{path} is not a database. Nothing was changed; move it away, or choose another folder with --data-dir."
        )
    try:
        # As a URI, or a folder's # or % would be read as its syntax.
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            connection.execute("BEGIN")  # one moment for all three, while another process may be making the file
            (application,) = connection.execute("PRAGMA application_id").fetchone()
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise opening_error(path, error) from None
    if application != APPLICATION_ID and (tables or application):
        raise NotADatabase(
            f"{path} is the database of another program. Nothing was changed; choose another folder with --data-dir."
        )
    if version > LATEST:
        raise NewerDatabase(
            f"{path} was written by a newer Sungaze (layout {version}, this one knows {LATEST}). Nothing was changed; "
            "install the newer version to open it."
        )
    return bool(application == APPLICATION_ID)


def opening_error(path: Path, error: Exception) -> StoreError:
    """The sentence for a database that cannot be opened or written."""
    text = str(error)
    if "full" in text:
        return StoreError(f"The disk that holds {path} is full. Nothing was changed; free some space and start again.")
    if "readonly" in text or "unable to open" in text or "attempt to write" in text:
        return StoreError(f"{path} cannot be written. Nothing was changed; check who owns the folder.")
    if "not a database" in text or "malformed" in text:
        return NotADatabase(f"{path} is damaged or not a database ({text}). It was left as it is.")
    if "locked" in text:
        return StoreError(f"{path} is held by another program. Nothing was changed; close that program.")
    return StoreError(f"{path} cannot be used: {text}. Nothing was changed.")
