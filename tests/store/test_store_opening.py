"""Opening the one file: made, migrated, refused, and never damaged."""

from __future__ import annotations

import hashlib
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import peewee
import pytest
from store_kit import said

from sungaze.errors import NewerDatabase, NotADatabase, StoreError
from sungaze.store import Store, database
from sungaze.store.database import APPLICATION_ID, Database
from sungaze.store.migrations import LATEST, MIGRATIONS

Opens = Callable[[Path], Store]
Runs = Callable[..., "subprocess.Popen[str]"]

SECOND = "ALTER TABLE meta ADD COLUMN note TEXT;\nCREATE TABLE extra (id INTEGER PRIMARY KEY);\n"
BROKEN = "CREATE TABLE extra (id INTEGER PRIMARY KEY);\nINSERT INTO nowhere VALUES (1);\n"
OPEN = "import sys, pathlib; from sungaze.store import Store; Store(pathlib.Path(sys.argv[1])).close()"
OPEN_OR_SAY = """
import sys, pathlib
from sungaze.errors import StoreError
from sungaze.store import Store
try:
    Store(pathlib.Path(sys.argv[1])).close()
    print("opened")
except StoreError as error:
    print(type(error).__name__, error)
"""


def schema(path: Path) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
    connection.close()
    return found


def pragma(path: Path, name: str) -> int:
    connection = sqlite3.connect(path)
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    connection.close()
    return int(value)


def at_version(path: Path, version: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file as the release that knew so many migrations left it."""
    with monkeypatch.context() as patch:
        patch.setattr(database, "LATEST", version)
        Database(path).close()


# -- made and migrated -----------------------------------------------------------------------------------------------


def test_a_new_file_is_ours_and_nobody_else_may_read_it(path: Path, store: Store) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (pragma(path, "application_id"), pragma(path, "user_version")) == (APPLICATION_ID, LATEST)
    assert pragma(path, "auto_vacuum") == 2


def test_a_connection_keeps_the_promises_of_the_design(store: Store) -> None:
    assert store.database.scalar("PRAGMA journal_mode") == "wal"
    assert store.database.scalar("PRAGMA foreign_keys") == 1


@pytest.mark.parametrize("version", range(LATEST))
def test_every_earlier_layout_becomes_the_newest(version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    at_version(old, version, monkeypatch)
    for path in (old, new):
        Database(path).close()
    assert pragma(old, "user_version") == LATEST
    assert schema(old) == schema(new)


def test_opening_again_changes_nothing_of_the_schema(path: Path, open_store: Opens) -> None:
    open_store(path).close()
    before = schema(path)
    open_store(path).close()
    assert schema(path) == before


def test_each_migration_is_told_before_it_is_run_and_an_up_to_date_file_tells_none(path: Path) -> None:
    told: list[tuple[int, int]] = []
    for _ in range(2):
        Store(path, lambda step, steps: told.append((step, steps))).close()
    assert told == [(step, LATEST) for step in range(1, LATEST + 1)]


def test_a_further_migration_is_run_on_a_file_that_holds_data(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Database(path).execute("INSERT INTO meta (name, value) VALUES ('kept', 'yes')")
    monkeypatch.setattr(database, "MIGRATIONS", (*MIGRATIONS, SECOND))
    monkeypatch.setattr(database, "LATEST", LATEST + 1)
    opened = Database(path)
    assert opened.rows("SELECT name, value, note FROM meta") == [("kept", "yes", None)]
    opened.close()


def test_a_migration_that_fails_leaves_the_file_at_the_version_before(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_version(path, 1, monkeypatch)
    before = schema(path)
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", (MIGRATIONS[0], BROKEN))
        patch.setattr(database, "LATEST", 2)
        with pytest.raises(StoreError):
            Database(path)
    assert (schema(path), pragma(path, "user_version")) == (before, 1)


def test_two_processes_may_make_the_file_at_once(path: Path, run: Runs) -> None:
    for process in [run(OPEN, path) for _ in range(4)]:
        said(process)
    assert (pragma(path, "user_version"), pragma(path, "application_id")) == (LATEST, APPLICATION_ID)


def test_an_empty_file_that_a_killed_start_left_becomes_ours(path: Path, open_store: Opens) -> None:
    path.touch()
    open_store(path).close()
    open_store(path).close()
    assert pragma(path, "application_id") == APPLICATION_ID


@pytest.mark.parametrize("name", ["a#b", "a%20b", "a?mode=memory", "sonne ü", "a'b"])
def test_a_folder_may_have_any_name(name: str, tmp_path: Path, open_store: Opens) -> None:
    path = tmp_path / name / "sungaze.db"
    path.parent.mkdir()
    for _ in range(2):
        open_store(path).close()
    assert sorted(p.name for p in tmp_path.iterdir()) == [name]


# -- refused, and left as it is --------------------------------------------------------------------------------------


def newer(path: Path) -> None:
    Database(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {LATEST + 1}")
    connection.close()


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipe (id)")
    connection.close()


def claimed(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 42")
    connection.close()


def text(path: Path) -> None:
    path.write_text("Dear diary, today the sun shone all day long, and I wrote it down.\n" * 99)


def short(path: Path) -> None:
    path.write_bytes(b"SQLite")


def header_only(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0")


def truncated(path: Path) -> None:
    Database(path).close()
    path.write_bytes(path.read_bytes()[:10_000])


def scrambled(path: Path) -> None:
    Database(path).close()
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes(4_000) + content[4_100:])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (newer, NewerDatabase, "newer Sungaze"),
        (foreign, NotADatabase, "another program"),
        (claimed, NotADatabase, "another program"),
        (text, NotADatabase, "not a database"),
        (short, NotADatabase, "not a database"),
        (header_only, NotADatabase, "not a database"),
        (truncated, NotADatabase, "damaged"),
        (scrambled, NotADatabase, "damaged"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_sentence_and_left_byte_for_byte(
    make: Callable[[Path], None], error: type[StoreError], words: str, path: Path
) -> None:
    make(path)
    before = hashlib.sha256(path.read_bytes()).digest()
    with pytest.raises(error, match=words) as raised:
        Store(path)
    assert str(path) in str(raised.value)
    assert hashlib.sha256(path.read_bytes()).digest() == before


def test_a_folder_in_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be read"):
        Store(path)


@pytest.mark.parametrize("where", ["file/sungaze.db", "missing/sungaze.db"])
def test_a_place_that_cannot_be_written_is_refused(where: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        Store(tmp_path / where)


def test_a_database_that_another_program_holds_is_told_so(path: Path) -> None:
    assert "held by another program" in str(database.opening_error(path, peewee.OperationalError("database is locked")))


LIMITED = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
"""


@pytest.mark.parametrize("room", [0, 5_000, 50_000])
def test_a_disk_without_room_for_a_new_file_is_told_and_the_next_start_finds_it_usable(
    room: int, path: Path, run: Runs, open_store: Opens
) -> None:
    answer = said(run(OPEN_OR_SAY.replace("try:", f"{LIMITED}\ntry:", 1), path, room))
    assert answer.startswith("StoreError"), answer
    assert "Nothing was changed" in answer
    open_store(path).close()
    assert pragma(path, "user_version") == LATEST


FILL = """
import sys, pathlib
from sungaze.store import Store
from sungaze.store.database import OperationalError
store = Store(pathlib.Path(sys.argv[1]))
PLACE
kept = 0
try:
    while True:
        with store.database.transaction():
            rows = [(f"{kept}-{k}", "x" * 200) for k in range(100)]
            store.database.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", rows)
        kept += 100
except OperationalError:
    pass
print(kept, store.database.scalar("SELECT count(*) FROM meta"))
"""


@pytest.mark.parametrize("limit", [LIMITED, "store.database.execute('PRAGMA max_page_count = 300')"])
def test_a_disk_that_fills_up_loses_nothing_that_was_committed(
    limit: str, path: Path, run: Runs, open_store: Opens
) -> None:
    kept, seen = said(run(FILL.replace("PLACE", limit), path, 1_000_000)).split()
    assert int(kept) > 0
    assert seen == kept
    opened = open_store(path).database
    assert opened.scalar("SELECT count(*) FROM meta") == int(kept)
    assert opened.scalar("PRAGMA integrity_check") == "ok"


# -- transactions ----------------------------------------------------------------------------------------------------


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.database.transaction():  # noqa: PT012 - what it did before is the point
        store.database.execute("INSERT INTO meta (name, value) VALUES ('a', 'b')")
        raise RuntimeError
    assert store.database.rows("SELECT * FROM meta") == []


def test_a_nested_transaction_goes_with_the_outer_one(store: Store) -> None:
    def both() -> None:
        with store.database.transaction():
            with store.database.transaction(durable=True):
                store.database.execute("INSERT INTO meta (name, value) VALUES ('a', 'b')")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        both()
    assert store.database.rows("SELECT * FROM meta") == []


def test_a_durable_transaction_waits_for_the_disk_and_the_next_one_does_not(store: Store) -> None:
    with store.database.transaction(durable=True):
        assert store.database.scalar("PRAGMA synchronous") == 2
    with store.database.transaction():
        assert store.database.scalar("PRAGMA synchronous") == 1


def test_a_transaction_that_reads_first_waits_for_another_writer_and_then_writes(store: Store) -> None:
    inside, go = threading.Event(), threading.Event()

    def other() -> None:
        with store.database.transaction():
            inside.set()
            go.wait(10)
            store.database.execute("INSERT INTO meta (name, value) VALUES ('n', '1')")
        store.database.close()

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    threading.Timer(0.1, go.set).start()
    with store.database.transaction():
        value = store.database.scalar("SELECT value FROM meta WHERE name = 'n'")
        store.database.execute("UPDATE meta SET value = ? WHERE name = 'n'", (str(int(value) + 1),))
    thread.join(10)
    assert store.database.scalar("SELECT value FROM meta WHERE name = 'n'") == "2"


def test_a_broken_rule_is_the_same_error_by_one_row_or_by_many(store: Store) -> None:
    sql, row = "INSERT INTO sample (series_id, timestamp, value) VALUES (?, ?, ?)", (99, 1, 1.0)
    with pytest.raises(database.IntegrityError):
        store.database.execute(sql, row)
    with pytest.raises(database.IntegrityError):
        store.database.executemany(sql, [row])


def test_damage_found_while_reading_is_the_same_error_as_any_other(path: Path) -> None:
    opened = Database(path)
    rows = [(str(k), "x" * 300) for k in range(2_000)]
    opened.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", rows)
    opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    opened.close()
    content = path.read_bytes()
    middle = len(content) // 2 // 4096 * 4096
    path.write_bytes(content[:middle] + b"\xff" * 40_960 + content[middle + 40_960 :])
    opened = Database(path)
    with pytest.raises(peewee.DatabaseError):
        opened.rows("SELECT name, value FROM meta ORDER BY value")
    opened.close()
