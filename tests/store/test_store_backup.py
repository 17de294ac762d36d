"""Copies of the database: made beside a writer, whole or not at all, and put back with nothing lost."""

from __future__ import annotations

import hashlib
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from program import on_a_small_disk
from store_kit import NOW, connect

from sungaze.errors import NewerDatabase, NotADatabase, StoreError
from sungaze.model import Reading, Span
from sungaze.store import Store
from sungaze.store.backup import DEMO, Stopped, backup, daily_backups, fault_of, newest_good, restore
from sungaze.store.database import Database
from sungaze.store.fleet import SiteRow
from sungaze.store.ledger import Window
from sungaze.store.migrations import LATEST
from sungaze.store.timeseries import Rating, SeriesKey

Opens = Callable[[Path], Store]
Runs = Callable[..., "subprocess.Popen[str]"]
SOAK = os.environ.get("SUNGAZE_SOAK") == "1"
KILLS = 200 if SOAK else 20
EVER = Span(NOW, NOW + 20_000 * 86_400)


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """A folder that is not the data's."""
    folder = tmp_path / "away"
    folder.mkdir()
    return folder


def write(store: Store, site: SiteRow, first: int, count: int) -> None:
    readings = [
        Reading("", "ac_power_w", 300, NOW + 300 * (first + k), float((first + k) % 5_000)) for k in range(count)
    ]
    store.timeseries.write(site.id, readings, devices={}, rating=Rating(6_000.0), now=NOW)


def samples(store: Store, site: SiteRow) -> int:
    return len(store.timeseries.raw(SeriesKey(site.id, 0, "ac_power_w", 300), EVER))


def padded(store: Store, megabytes: int) -> None:
    """Give the file a size at which a copy takes some steps."""
    with store.database.transaction():
        rows = [(f"pad:{k}", os.urandom(500).hex()) for k in range(megabytes * 1_000)]
        store.database.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", rows)


def is_whole(path: Path) -> bool:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",))


def fingerprint(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


# -- beside a writer -------------------------------------------------------------------------------------------------


def test_a_copy_made_while_a_thread_writes_hard_holds_all_that_was_written_before(
    store: Store, site: SiteRow, path: Path, away: Path, open_store: Opens
) -> None:
    padded(store, 20)
    written, done = [0], threading.Event()

    def write_on() -> None:
        while not done.is_set():
            write(store, site, written[0], 50)
            written[0] += 50
        store.close()

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        for number in range(3):
            before = written[0]
            size = backup(path, away / f"{number}.db", pause_s=0.01)
            after = written[0]
            assert size == (away / f"{number}.db").stat().st_size > 20 * 2**20
            assert after > before, "nobody wrote meanwhile"
            assert is_whole(away / f"{number}.db")
            copy = open_store(away / f"{number}.db")
            kept = samples(copy, site)
            assert before <= kept <= after + 50
            assert kept % 50 == 0, "a transaction was cut in two"
            copy.close()
    finally:
        done.set()
        writer.join(30)
    assert sorted(p.name for p in away.iterdir()) == ["0.db", "1.db", "2.db"]


def test_a_copy_is_one_plain_file_for_its_owner_alone(store: Store, path: Path, away: Path) -> None:
    backup(path, away / "b.db")
    assert [p.name for p in away.iterdir()] == ["b.db"]
    assert (away / "b.db").stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(away / "b.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        connection.execute("SELECT * FROM site").fetchall()
    assert [p.name for p in away.iterdir()] == ["b.db"]


def test_a_backup_may_take_the_place_of_an_older_one(store: Store, path: Path, away: Path, open_store: Opens) -> None:
    backup(path, away / "b.db")
    store.memory.put("looked", 7)
    backup(path, away / "b.db")
    assert open_store(away / "b.db").memory.get("looked", int) == 7


@pytest.mark.parametrize("step", [1, 3])
def test_a_copy_that_is_stopped_leaves_nothing(store: Store, path: Path, away: Path, step: int) -> None:
    padded(store, 5)
    asked = []
    with pytest.raises(Stopped):
        backup(path, away / "b.db", stop=lambda: len(asked) >= step or bool(asked.append(1)))
    assert list(away.iterdir()) == []


def test_a_damaged_database_makes_no_backup(store: Store, path: Path, away: Path) -> None:
    padded(store, 2)
    backup(path, away / "good.db")
    store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    damage(path)
    with pytest.raises(NotADatabase, match="is damaged"):
        backup(path, away / "good.db")
    assert is_whole(away / "good.db")
    assert [p.name for p in away.iterdir()] == ["good.db"]


def damage(path: Path) -> None:
    """Overwrite the middle of a file."""
    content = path.read_bytes()
    middle = len(content) // 2 // 4096 * 4096
    path.write_bytes(content[:middle] + b"\xff" * 40_960 + content[middle + 40_960 :])


# -- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sungaze.db", "the database itself"),
        ("away/link.db", "the database itself"),
        ("sungaze.db-wal", "among Sungaze's own files"),
        ("secrets.json", "among Sungaze's own files"),
        ("none/b.db", "no folder"),
        ("away", "is a folder"),
        ("away/diary.txt", "no backup of Sungaze's"),
        ("away/other.db", "no backup of Sungaze's"),
        ("away/used.db", "no backup of Sungaze's"),
    ],
)
def test_a_place_that_no_backup_may_take_is_refused_and_left_as_it_is(
    store: Store, path: Path, tmp_path: Path, away: Path, name: str, words: str, open_store: Opens
) -> None:
    (away / "link.db").symlink_to(path)
    (away / "diary.txt").write_text("sunny")
    sqlite3.connect(away / "other.db").close()
    (away / "other.db").write_bytes(b"SQLite format 3\0" + bytes(84))
    used = open_store(away / "used.db")
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    before = {p: fingerprint(p) for p in files if p.suffix != ".db-shm"}  # readers put marks there
    with pytest.raises(StoreError, match=words):
        backup(path, tmp_path / name)
    assert {p: fingerprint(p) for p in before} == before
    assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == sorted(files)
    used.close()


def test_where_there_is_no_data_nothing_is_written(tmp_path: Path, away: Path) -> None:
    (tmp_path / "sungaze.db").touch()
    for name in ("sungaze.db", "absent.db"):
        with pytest.raises(StoreError, match="no data"):
            backup(tmp_path / name, away / "b.db")
    assert list(away.iterdir()) == []


def test_a_copy_that_would_leave_too_little_room_is_refused_before_it_begins(
    store: Store, path: Path, away: Path
) -> None:
    with pytest.raises(StoreError, match=r"a copy needs [\d,.]+ MB"):
        backup(path, away / "b.db", margin=2**60)
    assert list(away.iterdir()) == []


BACK_UP = """
import pathlib, sys
from sungaze.errors import StoreError
from sungaze.store.backup import backup
try:
    backup(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2], "b.db"))
    print("made")
except StoreError as error:
    print(error)
print(sorted(p.name for p in pathlib.Path(sys.argv[2]).iterdir()))
"""
FILL_LATER = "import sungaze.store.backup as b\nb._make_room = lambda *_: None\n"


@pytest.mark.parametrize("late", [False, True])
def test_a_disk_that_is_too_small_is_said_and_nothing_is_left_on_it(
    store: Store, path: Path, away: Path, late: bool
) -> None:
    padded(store, 5)
    code = (FILL_LATER if late else "") + BACK_UP
    command = [*on_a_small_disk(away, "2m"), sys.executable, "-c", code, str(path), str(away)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    said, left = done.stdout.splitlines()
    assert "The disk that holds" in said
    assert "Nothing was changed" in said
    assert left == "[]"
    assert is_whole(path)


# -- killed ----------------------------------------------------------------------------------------------------------


KILLED = """
import itertools, pathlib, sys, threading
from sungaze.store import Store
from sungaze.store.backup import backup
path, away = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
store = Store(path)
def write():
    for number in itertools.count():
        with store.database.transaction():
            store.database.executemany(
                "INSERT INTO meta (name, value) VALUES (?, ?)", [(f"row:{number}:{k}", "x" * 100) for k in range(20)]
            )
        print(number, flush=True)
threading.Thread(target=write, daemon=True).start()
for number in itertools.count():
    backup(path, away / f"{number}.db", pause_s=0.001)
"""


@pytest.mark.slow
@pytest.mark.soak if SOAK else pytest.mark.timeout(300)
def test_killed_again_and_again_while_it_copies_nothing_is_lost_and_nothing_half_is_called_a_backup(
    store: Store, path: Path, away: Path, run: Runs
) -> None:
    padded(store, 10)
    store.close()
    chance = random.Random(5)
    made = cut = 0
    for _ in range(KILLS):
        process = run(KILLED, path, away)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.6))  # another moment of the copy each time
        process.kill()
        process.wait()
        # What readline has read ahead is in this reader only.
        acknowledged = max((int(line) for line in process.stdout.read().splitlines()), default=0)
        assert is_whole(path)
        opened = Database(path)
        kept = opened.rows("SELECT name FROM meta WHERE name LIKE 'row:%'")
        opened.execute("DELETE FROM meta WHERE name LIKE 'row:%'")
        opened.close()
        numbers = sorted({int(name.split(":")[1]) for (name,) in kept})
        assert len(kept) == 20 * len(numbers)
        assert numbers[-1] >= acknowledged
        assert numbers == list(range(len(numbers)))
        for file in away.iterdir():
            if file.suffix == ".db":
                assert is_whole(file)
                made += 1
            else:
                assert ".part" in file.name
                cut += 1
            file.unlink()
    assert made
    assert cut > KILLS // 4, "it was hardly ever killed while it copied"


def test_what_a_killed_run_left_goes_with_the_next_and_what_another_one_writes_does_not(
    store: Store, path: Path, away: Path
) -> None:
    old, young, other = (away / name for name in ("b.db.aaa.part", "b.db.bbb.part", "c.db.aaa.part"))
    for file in (old, young, other):
        file.write_text("half")
    for file in (old, other):
        os.utime(file, (NOW, time.time() - 7_200))
    backup(path, away / "b.db")
    assert sorted(p.name for p in away.iterdir()) == ["b.db", "b.db.bbb.part", "c.db.aaa.part"]


# -- put back --------------------------------------------------------------------------------------------------------


def test_a_restored_backup_is_the_data_of_then_and_what_stood_there_is_kept(
    store: Store, site: SiteRow, path: Path, away: Path, open_store: Opens
) -> None:
    write(store, site, 0, 100)
    backup(path, away / "b.db")
    before = fingerprint(away / "b.db")
    write(store, site, 100, 100)
    store.close()
    kept = restore(path, away / "b.db", NOW, demo=False)
    assert kept == path.with_name("sungaze.db.before-restore-20260601T120000Z")
    assert fingerprint(away / "b.db") == before
    again, old = open_store(path), open_store(kept)
    assert (samples(again, site), samples(old, site)) == (100, 200)
    for opened in (again, old):
        opened.close()
    assert sorted(p.name for p in path.parent.iterdir()) == ["away", "sungaze.db", kept.name]
    assert path.stat().st_mode & 0o777 == 0o600
    # And the way back, by what was kept.
    restore(path, kept, NOW, demo=False)
    assert samples(open_store(path), site) == 200


def test_what_only_the_log_of_a_killed_run_held_is_kept_with_what_stood_there(
    store: Store, path: Path, away: Path, run: Runs, open_store: Opens
) -> None:
    backup(path, away / "b.db")
    store.close()
    code = (
        "import os, pathlib, sys; from sungaze.store import Store; store = Store(pathlib.Path(sys.argv[1])); "
        "store.memory.put('looked', 7); os.kill(os.getpid(), 9)"
    )
    assert run(code, path).wait(30) == -9
    assert path.with_name("sungaze.db-wal").stat().st_size > 0
    kept = restore(path, away / "b.db", NOW, demo=False)
    assert kept is not None
    assert open_store(path).memory.get("looked", int) is None
    assert open_store(kept).memory.get("looked", int) == 7


def test_a_damaged_database_is_kept_with_its_log_and_the_log_does_not_meet_the_new_file(
    store: Store, site: SiteRow, path: Path, away: Path, open_store: Opens
) -> None:
    backup(path, away / "b.db")
    store.close()
    path.write_bytes(b"\0" * 8_192)
    path.with_name("sungaze.db-wal").write_bytes(b"what was last written")
    kept = restore(path, away / "b.db", NOW, demo=False)
    assert kept == path.with_name("sungaze.db.damaged-20260601T120000Z")
    assert kept.read_bytes() == b"\0" * 8_192
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == b"what was last written"
    assert len(open_store(path).fleet.sites()) == 1


def test_a_backup_goes_into_a_folder_without_data(store: Store, site: SiteRow, path: Path, away: Path) -> None:
    backup(path, away / "b.db")
    (away / "new").mkdir()
    assert restore(away / "new" / "sungaze.db", away / "b.db", NOW, demo=False) is None
    assert is_whole(away / "new" / "sungaze.db")


def test_calls_that_were_spent_since_the_backup_stay_counted(
    store: Store, path: Path, away: Path, open_store: Opens
) -> None:
    limits = [Window("month", 1_000)]
    store.ledger.spend("a", limits, NOW)
    backup(path, away / "b.db")
    for scope in ("a", "a", "b"):
        store.ledger.spend(scope, limits, NOW)
    store.close()
    restore(path, away / "b.db", NOW, demo=False)
    ledger = open_store(path).ledger
    assert [ledger.standing(scope, limits, NOW)[0].used for scope in ("a", "b")] == [3, 1]


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA user_version = {LATEST + 1}")


def of_the_demo(file: Path) -> None:
    store = Store(file)
    store.memory.put(DEMO, True)
    store.close()


def flipped_header(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[3] ^= 0x10
    file.write_bytes(content)


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def zeros(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def text(file: Path) -> None:
    file.write_text("Dear diary, the sun shone.\n" * 200)


def empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (newer, NewerDatabase, "newer Sungaze"),
        (of_the_demo, StoreError, "demo fleet's"),
        (flipped_header, NotADatabase, "damaged"),
        (cut_short, NotADatabase, "damaged"),
        (zeros, NotADatabase, "damaged"),
        (damage, NotADatabase, "damaged"),
        (text, NotADatabase, "no backup of Sungaze's"),
        (empty, NotADatabase, "no backup of Sungaze's"),
        (Path.unlink, StoreError, "no file"),
    ],
)
def test_a_file_that_is_no_good_backup_is_refused_and_the_data_stays_as_it_is(
    store: Store, path: Path, away: Path, spoil: Callable[[Path], None], error: type[StoreError], words: str
) -> None:
    padded(store, 2)
    backup(path, away / "b.db")
    store.close()
    spoil(away / "b.db")
    before = {p.name: fingerprint(p) for p in path.parent.iterdir() if p.is_file()}
    with pytest.raises(error, match=words):
        restore(path, away / "b.db", NOW, demo=False)
    assert {p.name: fingerprint(p) for p in path.parent.iterdir() if p.is_file()} == before


def test_real_data_does_not_go_into_the_demos_folder_and_the_database_not_into_itself(
    store: Store, path: Path, away: Path
) -> None:
    backup(path, away / "b.db")
    store.close()
    with pytest.raises(StoreError, match="real data"):
        restore(path, away / "b.db", NOW, demo=True)
    with pytest.raises(StoreError, match="the database itself"):
        restore(path, path, NOW, demo=False)


def test_a_backup_of_an_earlier_layout_is_taken_and_the_next_opening_brings_it_up(
    path: Path, away: Path, monkeypatch: pytest.MonkeyPatch, open_store: Opens
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sungaze.store.database.LATEST", 1)
        Database(away / "b.db").close()
    open_store(path).close()
    restore(path, away / "b.db", NOW, demo=False)
    assert open_store(path).database.scalar("PRAGMA user_version") == LATEST


# -- looked through --------------------------------------------------------------------------------------------------


def test_the_newest_good_backup_is_found_beyond_damaged_ones(store: Store, path: Path, away: Path) -> None:
    padded(store, 2)
    assert newest_good(away) is None
    for day in (1, 2, 3, 4):
        backup(path, away / f"sungaze-2026-06-0{day}.db")
    backup(path, away / "sungaze-2026-06-09.db.bak")
    damage(away / "sungaze-2026-06-04.db")
    text(away / "sungaze-2026-06-03.db")
    assert [day.day for day in daily_backups(away)] == [4, 3, 2, 1]
    assert newest_good(away) == away / "sungaze-2026-06-02.db"


def test_damage_is_found_and_a_search_can_be_stopped(store: Store, path: Path) -> None:
    padded(store, 20)
    store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection = store.database.peewee.connection()
    assert fault_of(connection) == ""
    with pytest.raises(Stopped):
        fault_of(connection, stop=lambda: True)
    store.close()
    damage(path)
    with closing(sqlite3.connect(path)) as connection:
        assert fault_of(connection) != ""


def test_an_account_is_of_no_matter_to_a_copy(store: Store, path: Path, away: Path, open_store: Opens) -> None:
    connect(store, 4)
    backup(path, away / "b.db")
    assert [account.id for account in open_store(away / "b.db").fleet.accounts()] == [4]
