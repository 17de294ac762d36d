"""The day's own backup: one a day, seven kept, and one that fails is said once and tried again."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from spine import Hands, Spine

from sungaze.config import Settings
from sungaze.jobs import backups as daily
from sungaze.jobs.backups import Backups
from sungaze.runtime import Runtime

DAY = datetime(2026, 6, 1, 12)
"""Local noon of the computer."""


@pytest.fixture
def made(spine: Callable[..., Spine], clock: Hands, monkeypatch: pytest.MonkeyPatch) -> Spine:
    """A store that nobody is asked for, at noon, on a disk with any room."""
    monkeypatch.setattr(daily, "MARGIN", 0)
    clock.now = DAY.timestamp()
    return spine()


@pytest.fixture
def backups(made: Spine) -> Iterator[Backups]:
    kept = Backups(made.context, made.folder / "sungaze.db", made.folder / "backups")
    yield kept
    kept.stop()


def names(made: Spine) -> list[str]:
    return sorted(path.name for path in (made.folder / "backups").iterdir())


def test_a_day_has_one_backup_and_the_next_day_another(made: Spine, backups: Backups, clock: Hands) -> None:
    assert backups.look() == made.folder / "backups" / "sungaze-2026-06-01.db"
    for hours in (1, 11, 12):
        clock.now = (DAY + timedelta(hours=hours)).timestamp()
        assert (backups.look() is None) is (hours < 12)
    assert names(made) == ["sungaze-2026-06-01.db", "sungaze-2026-06-02.db"]
    with closing(sqlite3.connect(made.folder / "backups" / "sungaze-2026-06-01.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert (made.folder / "backups").stat().st_mode & 0o777 == 0o700


def test_the_newest_seven_are_kept_and_nothing_else_is_deleted(made: Spine, backups: Backups, clock: Hands) -> None:
    folder = made.folder / "backups"
    folder.mkdir()
    for other in ("mine.db", "sungaze-2020-01-01.db.txt", "sungaze-2031-01-01.db"):
        (folder / other).write_text("kept")
    for day in range(10):
        clock.now = (DAY + timedelta(days=day)).timestamp()
        assert backups.look() is not None
    days = [f"sungaze-2026-06-{day:02}.db" for day in range(4, 11)]
    assert names(made) == sorted([*days, "mine.db", "sungaze-2020-01-01.db.txt", "sungaze-2031-01-01.db"])


def test_one_that_fails_is_said_once_leaves_nothing_and_is_made_when_it_can_be(
    made: Spine, backups: Backups, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = made.context.events.listen()
    monkeypatch.setattr(daily, "MARGIN", 2**60)
    for _ in range(3):
        assert backups.look() is None
    said = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(said) == 1
    assert "too full" in said[0].getMessage()
    assert "too full" in made.context.troubles["backup"]
    assert {listener.get_nowait().name for _ in range(listener.qsize())} == {"health"}
    assert names(made) == []
    monkeypatch.setattr(daily, "MARGIN", 0)
    assert backups.look() is not None
    assert made.context.troubles == {}


def test_a_damaged_database_is_told_by_its_daily_backup_and_the_older_ones_stay(
    made: Spine, backups: Backups, clock: Hands
) -> None:
    with made.store.database.transaction():
        rows = [(f"pad:{k}", "x" * 900) for k in range(2_000)]
        made.store.database.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", rows)
    made.store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert backups.look() is not None
    made.store.close()
    file = made.folder / "sungaze.db"
    content = file.read_bytes()
    file.write_bytes(content[:1_000_000] + b"\xff" * 40_000 + content[1_040_000:])
    clock.now += 86_400
    assert backups.look() is None
    assert "is damaged" in made.context.troubles["backup"]
    assert names(made) == ["sungaze-2026-06-01.db"]
    file.write_bytes(content)


def test_what_a_killed_run_left_is_cleared_away(made: Spine, backups: Backups) -> None:
    (made.folder / "backups").mkdir()
    for name in ("sungaze-2026-05-31.db.x1.part", "sungaze-2026-06-01.db.x2.part-journal"):
        (made.folder / "backups" / name).write_text("half")
    backups.look()
    assert names(made) == ["sungaze-2026-06-01.db"]


def test_under_a_clock_that_is_wrong_by_years_none_is_made(made: Spine, backups: Backups, clock: Hands) -> None:
    clock.now = 5.0
    assert backups.look() is None
    assert not (made.folder / "backups").exists()


def test_a_stop_does_not_wait_for_a_copy_and_leaves_nothing_of_it(
    made: Spine, backups: Backups, monkeypatch: pytest.MonkeyPatch
) -> None:
    with made.store.database.transaction():
        rows = [(f"pad:{k}", "x" * 900) for k in range(20_000)]
        made.store.database.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", rows)
    monkeypatch.setattr(daily, "FIRST_S", 0.0)
    monkeypatch.setattr(daily, "PAUSE_S", 0.2)
    backups.start()
    deadline = time.monotonic() + 20
    while not (made.folder / "backups").is_dir() or not names(made):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    began = time.monotonic()
    backups.stop()
    assert time.monotonic() - began < 1.0
    assert names(made) == []


@pytest.mark.parametrize("demo", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_running_sungaze_makes_it_by_itself_but_not_of_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: bool
) -> None:
    monkeypatch.setattr(daily, "MARGIN", 0)
    monkeypatch.setattr(daily, "FIRST_S", 0.0)
    settings = Settings(data_dir=tmp_path / "data", demo=demo)
    runtime = Runtime(settings)
    runtime.start()
    try:
        runs = any(thread.name == "backups" for thread in threading.enumerate())
        assert runs is not demo
        deadline = time.monotonic() + 20
        while not demo and not list(settings.backups.glob("*.db")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        runtime.stop()
    assert settings.backups.exists() is not demo
