"""Copies of the one file: made while it is in use, put back in its place, and looked through for damage.

A copy holds the database as it stood at one moment. It is read under one read transaction, so that under WAL nobody
waits for it: only the write-ahead log grows meanwhile.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from sungaze.errors import NewerDatabase, NotADatabase, StoreError
from sungaze.store.database import is_ours, opening_error

PAGES: Final = 256
"""Pages that are copied in one step, 1 MB; between two steps it is asked whether to stop."""
STRAY_S: Final = 3_600.0
"""A part that nobody has written for so long was left by a run that was killed."""
WAIT_S: Final = 15.0
DEMO: Final = "demo"
"""The name in `meta` that says that these are the demo fleet's."""
_DAILY: Final = re.compile(r"sungaze-(\d{4}-\d{2}-\d{2})\.db")


class Stopped(Exception):
    """It was told to stop; nothing is left of what it was about."""


def _never() -> bool:
    return False


def backup(
    database: Path, target: Path, *, stop: Callable[[], bool] = _never, pause_s: float = 0.0, margin: int = 0
) -> int:
    """The bytes of a copy of the database at `target`, which appears whole and checked, or not at all.

    `pause_s` is waited after each step; `margin` are bytes that must be left free. Raises StoreError with what is in
    the way, NotADatabase where the database itself is damaged, and Stopped.
    """
    target = target.absolute()
    _refuse_target(database, target)
    with _part_beside(target) as part:
        _make_room(target.parent, _size_of(database), margin)
        _copy(database, part, stop=stop, pause_s=pause_s)
        size = part.stat().st_size
        part.replace(target)
        _sync_folder(target.parent)
    return size


def restore(database: Path, file: Path, now: float, *, demo: bool) -> Path | None:
    """Where the database that stood there is kept from now on; None where none did.

    Only for the owner of the folder. The file is checked first and stays where it is: a copy of it takes the place.
    Calls that were spent since are not forgotten. Raises StoreError, NotADatabase and NewerDatabase with why nothing
    was changed.
    """
    if database.exists() and file.exists() and file.samefile(database):
        raise StoreError(f"{file} is the database itself. Nothing was changed; name a backup of it.")
    if not file.is_file():
        raise StoreError(f"There is no file {file}. Nothing was changed.")
    try:
        ours = is_ours(file)
    except NotADatabase:
        ours = False
    if not ours:
        raise NotADatabase(f"{file} is damaged, or no backup of Sungaze's. Nothing was changed; name another one.")
    if is_demos(file) != demo:
        whose, where = ("the demo fleet's", "real data") if not demo else ("real data", "the demo fleet's folder")
        raise StoreError(f"{file} holds {whose}, which does not go into {where}. Nothing was changed.")
    with _part_beside(database) as part:
        _make_room(database.parent, _size_of(file), 0)
        _copy(file, part)
        if not database.exists():
            part.replace(database)
            kept = None
        else:
            whole = _settle(database)
            if whole:
                _carry_calls(database, part)
            kept = _put_in_place(part, database, "before-restore" if whole else "damaged", now)
        _sync_folder(database.parent)
    return kept


def fault_of(connection: sqlite3.Connection, *, stop: Callable[[], bool] = _never) -> str:
    """The first damage that SQLite's quick check finds, empty where it finds none. Raises Stopped.

    It reads the whole file; SQLite before 3.41 asks whether to stop only once it has been through all pages.
    """
    connection.set_progress_handler(lambda: int(stop()), 50_000)
    try:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if "interrupted" in str(error):
            raise Stopped from None
        return str(error)
    finally:
        connection.set_progress_handler(None, 0)
    return "" if found == "ok" else " ".join(str(found).split())


def is_demos(path: Path) -> bool:
    """Whether a database that is ours says that it is the demo fleet's."""
    with _reading(path) as connection:
        try:
            found = connection.execute("SELECT 1 FROM meta WHERE name = ?", (DEMO,)).fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return False
            raise
    return found is not None


def daily_name(day: dt.date) -> str:
    """The name of a day's own backup."""
    return f"sungaze-{day.isoformat()}.db"


def daily_backups(folder: Path) -> dict[dt.date, Path]:
    """The days' own backups of a folder, the newest first."""
    found: dict[dt.date, Path] = {}
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            match = _DAILY.fullmatch(path.name)
            if match and path.is_file():
                with contextlib.suppress(ValueError):
                    found[dt.date.fromisoformat(match[1])] = path
    return dict(sorted(found.items(), reverse=True))


def newest_good(folder: Path) -> Path | None:
    """The newest of the days' own backups that is whole; None where none is."""
    for path in daily_backups(folder).values():
        try:
            with _reading(path) as connection:
                if is_ours(path) and not fault_of(connection):
                    return path
        except StoreError:
            continue
    return None


def clear_strays(target: Path, *, older_s: float = STRAY_S) -> None:
    """Delete the parts of a target that runs which were killed have left."""
    for path in target.parent.glob(f"{target.name}.*.part*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > older_s:
                path.unlink()


def _refuse_target(database: Path, target: Path) -> None:
    folder = target.parent
    if not database.exists() or not is_ours(database):
        raise StoreError(f"There is no data in {database.parent} yet. Nothing was written.")
    if not folder.is_dir():
        raise StoreError(f"There is no folder {folder}. Nothing was written.")
    if target.exists() and target.samefile(database):
        raise StoreError(f"{target} is the database itself. Nothing was written; name another file.")
    if target.is_dir():
        raise StoreError(f"{target} is a folder. Nothing was written; name a file.")
    if folder.samefile(database.parent):
        raise StoreError(
            f"{target} would lie among Sungaze's own files. Nothing was written; name a place elsewhere, best on "
            "another disk."
        )
    if target.exists():
        with contextlib.suppress(StoreError):
            if not _beside(target, "-wal").exists() and is_ours(target):
                return
        raise StoreError(
            f"{target} is there already, and no backup of Sungaze's. Nothing was written; name another file."
        )


def _size_of(database: Path) -> int:
    with _reading(database) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
    return int(pages) * int(page)


def _make_room(folder: Path, size: int, margin: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size + margin:
        raise StoreError(
            f"The disk that holds {folder} is too full: a copy needs {_megabytes(size + margin)} MB, and "
            f"{_megabytes(free)} MB are free. Nothing was changed."
        )


def _megabytes(size: int) -> str:
    return f"{size / 2**20:,.1f}"


@contextlib.contextmanager
def _part_beside(target: Path) -> Iterator[Path]:
    """A new file of our own beside the target, of which nothing is left in the end."""
    clear_strays(target)
    try:
        handle, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
        os.close(handle)
    except OSError as error:
        raise StoreError(f"{target.parent} cannot be written: {error.strerror}. Nothing was changed.") from None
    part = Path(name)
    try:
        yield part
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}. Nothing was changed.") from None
    finally:
        for path in (part, _beside(part, "-wal"), _beside(part, "-shm"), _beside(part, "-journal")):
            with contextlib.suppress(OSError):
                path.unlink()


def _copy(source: Path, part: Path, *, stop: Callable[[], bool] = _never, pause_s: float = 0.0) -> None:
    """Copy one moment of a database, as a plain file that needs no other beside it, check it and have it on disk."""

    def step(_status: int, _remaining: int, _total: int) -> None:
        if stop():
            raise Stopped
        if pause_s:
            time.sleep(pause_s)

    with _reading(source) as reading, contextlib.closing(sqlite3.connect(part, isolation_level=None)) as writing:
        # A moment of its own: without it every write beside us would begin the copy anew.
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
        try:
            # Nothing is owed to a part that is cut off.
            writing.execute("PRAGMA journal_mode = OFF")
            writing.execute("PRAGMA synchronous = OFF")
            reading.backup(writing, pages=PAGES, progress=step)
        except sqlite3.DatabaseError as error:
            raise _copying_error(source, part, error) from None
    with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as copied:
        try:
            copied.execute("PRAGMA journal_mode = DELETE").fetchone()
            fault = fault_of(copied, stop=stop)
        except sqlite3.DatabaseError as error:
            raise _copying_error(source, part, error) from None
    if fault or not is_ours(part):
        raise NotADatabase(f"{source} is damaged ({fault or 'its mark is missing'}). It was left as it is.")
    handle = os.open(part, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copying_error(source: Path, part: Path, error: sqlite3.DatabaseError) -> StoreError:
    if "full" in str(error) or "disk I/O" in str(error):
        return StoreError(f"The disk that holds {part.parent} is full. Nothing was changed; free some space.")
    return opening_error(source, error)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that only reads. Raises StoreError for whatever SQLite says."""
    try:
        # As a URI, or a folder's # or % would be read as its syntax.
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=WAIT_S, isolation_level=None
        )
    except sqlite3.DatabaseError as error:
        raise opening_error(path, error) from None
    try:
        yield connection
    except sqlite3.DatabaseError as error:
        raise opening_error(path, error) from None
    finally:
        connection.close()


def _settle(database: Path) -> bool:
    """Whether the database is whole; all that was committed is in its one file then."""
    try:
        is_ours(database)
    except NewerDatabase:
        pass
    except StoreError:
        return False
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=WAIT_S, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not fault_of(connection)
    except sqlite3.DatabaseError:
        return False


def _carry_calls(database: Path, part: Path) -> None:
    """Have the restored ledger know of the calls that were spent since: the vendor counts them, and some cost money."""
    with contextlib.closing(sqlite3.connect(part, isolation_level=None)) as connection:
        try:
            connection.execute("ATTACH ? AS present", (str(database),))
            connection.execute(
                'INSERT INTO quota (scope, "window", window_start, used, history) '
                'SELECT scope, "window", window_start, used, history FROM present.quota WHERE true '
                'ON CONFLICT (scope, "window", window_start) DO UPDATE SET used = max(used, excluded.used), '
                "history = max(history, excluded.history)"
            )
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise StoreError(f"The backup could not be prepared: {error}. Nothing was changed.") from None


def _put_in_place(part: Path, database: Path, kind: str, now: float) -> Path:
    """Where the database is kept that the part has taken the place of."""
    at = dt.datetime.fromtimestamp(now, dt.UTC)
    while (kept := _beside(database, f".{kind}-{at:%Y%m%dT%H%M%SZ}")).exists():
        at += dt.timedelta(seconds=1)
    try:
        # A second name first: there must be no moment without a database, because a start would make an empty one.
        os.link(database, kept)
    except OSError:
        database.rename(kept)  # a file system without second names
    # Before the part is there: SQLite would take the old log for the new file's.
    for suffix in ("-wal", "-journal"):
        if _beside(database, suffix).exists():
            _beside(database, suffix).rename(_beside(kept, suffix))
    _beside(database, "-shm").unlink(missing_ok=True)
    part.replace(database)
    return kept


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # a folder cannot be opened there, and its entries are written through
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
