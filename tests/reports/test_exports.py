"""Exports that are written beside everything else: whole or not at all, listed, stopped, deleted."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sungaze.errors import NotFound
from sungaze.model import Reading, SiteFacts
from sungaze.reports.exports import Exports, Wanted
from sungaze.store import Store
from sungaze.store.timeseries import Rating

NOW = 1_780_000_000
DAYS = 40


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "sungaze.db"
    store = Store(path)
    with store.database.transaction():
        store.fleet.add_account(
            id=1, vendor="enphase", method="m", plan="p", label="l", base_url=None, scope="s", identity="i", now=NOW
        )
    for key in ("1", "2"):
        (site,) = store.fleet.apply_sites(1, "enphase", [SiteFacts(vendor_site_id=key)], complete=False, now=NOW)
        readings = [Reading("", "ac_power_w", 300, NOW - 300 * n, float(n % 900)) for n in range(DAYS * 288)]
        store.timeseries.write(site, readings, devices={}, rating=Rating(5_000.0), now=NOW)
    store.close()
    return path


@pytest.fixture
def exports(database: Path, tmp_path: Path) -> Iterator[Exports]:
    made = Exports(database, tmp_path / "exports", lambda: NOW + time.monotonic() % 1000, lambda: None)
    yield made
    made.stop()


def test_an_export_holds_everything_once_and_is_known_after_a_new_start(
    exports: Exports, database: Path, tmp_path: Path
) -> None:
    begun = exports.begin(Wanted(), "all sites", "all-sites")
    until(lambda: begun.state == "done")
    assert (begun.done, begun.total) == (2 * DAYS * 288, 2 * DAYS * 288)
    with exports.file(begun.name).open() as stream:
        rows = list(csv.DictReader(stream))
    assert len({(row["vendor_site_id"], row["timestamp"]) for row in rows}) == len(rows) == begun.total
    again = Exports(database, tmp_path / "exports", lambda: NOW, lambda: None)
    assert [(one.name, one.state, one.bytes) for one in again.all()] == [(begun.name, "done", begun.bytes)]
    again.remove(begun.name)
    assert again.all() == []


def test_a_part_is_a_part(exports: Exports) -> None:
    begun = exports.begin(Wanted(site=2, start=NOW - 3_000, end=NOW), "2", "2")
    until(lambda: begun.state == "done")
    assert begun.done == 10


def test_one_that_is_stopped_leaves_nothing_behind(exports: Exports, tmp_path: Path) -> None:
    begun = exports.begin(Wanted(), "all sites", "all-sites")
    exports.remove(begun.name)
    assert begun.state == "stopped"
    after = exports.begin(Wanted(site=1, start=NOW), "1", "1")
    until(lambda: after.state == "done")
    assert {path.name for path in (tmp_path / "exports").iterdir()} == {after.name}
    with pytest.raises(NotFound):
        exports.file(begun.name)
    exports.remove(begun.name)
    assert begun.name not in {one.name for one in exports.all()}


def test_a_folder_that_cannot_be_written_is_told(database: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "exports"
    blocked.write_text("a file where the folder should be")
    exports = Exports(database, blocked, lambda: NOW, lambda: None)
    begun = exports.begin(Wanted(), "all sites", "all-sites")
    until(lambda: begun.state == "failed")
    assert "Nothing was left behind" in begun.message
    exports.stop()


@pytest.mark.parametrize("name", ["../sungaze.db", "sungaze.db", "sungaze-20260101T000000Z-a.csv.part", ""])
def test_only_an_export_is_handed_out(exports: Exports, name: str) -> None:
    with pytest.raises(NotFound):
        exports.file(name)
