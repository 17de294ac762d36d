"""The canonical CSV: every sample once, in order, reading back as it was, and a whole file or none."""

from __future__ import annotations

import csv
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sungaze import clock
from sungaze.errors import NotADatabase, StoreError
from sungaze.model import DAY_S, DeviceFacts, DeviceType, Reading, SiteFacts
from sungaze.reports.csv_export import HEADER, ExportError, export_csv, number
from sungaze.store import Store
from sungaze.store.timeseries import Rating

NOW = 1_780_315_200
READINGS = [
    Reading("", "energy_wh", DAY_S, NOW, 12_345.5),
    Reading("", "energy_wh", 900, NOW + 900, 2.0),
    Reading("", "energy_wh", 900, NOW, 1.0),
    Reading("m1", "ac_power_w", 300, NOW, -0.25),
    Reading("m0", "ac_power_w", 300, NOW, 1e-7),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sungaze.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """Two sites with the same readings."""
    opened = Store(path)
    with opened.database.transaction():
        opened.fleet.add_account(
            id=1, vendor="enphase", method="m", plan="p", label="A", base_url=None, scope="s", identity="i", now=NOW
        )
    keys = [SiteFacts(vendor_site_id=key, name=key) for key in ("901", "9,0")]
    opened.fleet.apply_sites(1, "enphase", keys, complete=True, now=NOW)
    for site in opened.fleet.sites():
        panels = [DeviceFacts(vendor_device_id=f"m{k}", device_type=DeviceType.MICROINVERTER) for k in range(2)]
        opened.fleet.apply_devices(site, panels, complete=True, now=NOW)
        write(opened, site.id, READINGS)
    yield opened
    opened.close()


def write(store: Store, site: int, readings: list[Reading]) -> None:
    store.timeseries.write(site, readings, devices=store.fleet.device_ids(site), rating=Rating(), now=NOW)


def export(path: Path, output: Path, **filters: object) -> list[list[str]]:
    asked: dict[str, object] = {"site": None, "metric": None, "start": None, "end": None}
    count = export_csv(path, output, **(asked | filters))  # type: ignore[arg-type] # the four filters by name
    with output.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert tuple(rows[0]) == HEADER
    assert len(rows) - 1 == count
    return rows[1:]


def test_every_sample_is_a_line_in_order_with_its_time_in_utc(path: Path, store: Store, tmp_path: Path) -> None:
    rows = export(path, tmp_path / "all.csv")
    assert rows[:5] == [
        ["enphase", "9,0", "", "energy_wh", "900", "2026-06-01T12:00:00Z", "1"],
        ["enphase", "9,0", "", "energy_wh", "900", "2026-06-01T12:15:00Z", "2"],
        ["enphase", "9,0", "", "energy_wh", "86400", "2026-06-01T12:00:00Z", "12345.5"],
        ["enphase", "9,0", "m0", "ac_power_w", "300", "2026-06-01T12:00:00Z", "1e-07"],
        ["enphase", "9,0", "m1", "ac_power_w", "300", "2026-06-01T12:00:00Z", "-0.25"],
    ]
    assert [row[1] for row in rows[5:]] == ["901"] * 5


def test_lines_end_as_they_do_on_every_machine(path: Path, store: Store, tmp_path: Path) -> None:
    export(path, tmp_path / "all.csv")
    assert b"\r" not in (tmp_path / "all.csv").read_bytes()


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"site": 1}, 5),
        ({"metric": "ac_power_w"}, 4),
        ({"metric": "dc_power_w"}, 0),
        ({"start": "2026-06-01T12:15:00Z"}, 2),
        ({"end": "2026-06-01T12:15:00Z"}, 8),  # the end itself is not in it
        ({"site": 2, "metric": "energy_wh", "start": "2026-06-01", "end": "2026-06-01T12:15:00Z"}, 2),
        ({"start": str(NOW + 1), "end": str(NOW)}, 0),
    ],
)
def test_a_filter_leaves_the_rest_out(
    path: Path, store: Store, tmp_path: Path, filters: dict[str, object], count: int
) -> None:
    assert len(export(path, tmp_path / "some.csv", **filters)) == count


def test_archived_sites_are_exported_too(path: Path, store: Store, tmp_path: Path) -> None:
    store.fleet.remove_account(1, NOW)
    assert len(export(path, tmp_path / "all.csv")) == 10


def test_a_store_without_samples_is_a_header(tmp_path: Path) -> None:
    Store(tmp_path / "new.db").close()
    assert export(tmp_path / "new.db", tmp_path / "none.csv") == []


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_reads_back_as_the_same_value(value: float) -> None:
    assert float(number(value)) == value


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (12.0, "12"), (-3.0, "-3"), (0.1, "0.1"), (1e12, "1" + "0" * 12)]
)
def test_a_number_is_as_short_as_can_be(value: float, text: str) -> None:
    assert number(value) == text


# -- refused, and nothing left behind --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"site": 99}, "no site with the id 99"),
        ({"metric": "moon_power_w"}, "no metric called “moon_power_w”"),
        ({"start": "yesterday"}, "“yesterday” is no moment"),
        ({"end": "inf"}, "“inf” is no moment"),
    ],
)
def test_what_there_is_not_is_refused_in_a_sentence(
    path: Path, store: Store, tmp_path: Path, filters: dict[str, object], words: str
) -> None:
    output = tmp_path / "out.csv"
    with pytest.raises(ExportError, match=words):
        export(path, output, **filters)
    assert not output.exists()


def test_no_database_is_no_data_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no data"):
        export(tmp_path / "missing.db", tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database at all, but a text of some length")
    with pytest.raises(NotADatabase):
        export(tmp_path / "text.db", tmp_path / "out.csv")


@pytest.mark.parametrize("where", ["missing/out.csv", "file/out.csv", "folder", ".", "pipe"])
def test_a_place_that_cannot_be_written_is_refused_and_left_as_it_was(
    path: Path, store: Store, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    (here / "folder").mkdir(parents=True)
    (here / "file").write_text("kept")
    os.mkfifo(here / "pipe")
    monkeypatch.chdir(here)
    before = sorted(p.name for p in here.rglob("*"))
    with pytest.raises(ExportError):
        export_csv(path, Path(where), site=None, metric=None, start=None, end=None)
    assert sorted(p.name for p in here.rglob("*")) == before
    assert (here / "file").read_text() == "kept"


def damage(path: Path, store: Store) -> None:
    step = [Reading("", "ac_power_w", 300, NOW + 300 * k, float(k)) for k in range(20_000)]
    write(store, 1, step)
    store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    content = path.read_bytes()
    middle = len(content) // 2 // 4096 * 4096
    path.write_bytes(content[:middle] + b"\xff" * 40_960 + content[middle + 40_960 :])


def test_a_damaged_database_leaves_the_file_that_was_there(path: Path, store: Store, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    output.write_text("last month's")
    damage(path, store)
    with pytest.raises(StoreError, match="cannot be read"):
        export(path, output)
    assert output.read_text() == "last month's"
    assert not (tmp_path / "out.csv.part").exists()


def test_an_interrupt_leaves_nothing_behind(
    path: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(instant: float) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(clock, "iso", interrupt)
    with pytest.raises(KeyboardInterrupt):
        export(path, tmp_path / "out.csv")
    assert [p.name for p in tmp_path.glob("out*")] == []


def test_an_export_beside_a_running_writer_holds_whole_answers_only(path: Path, store: Store, tmp_path: Path) -> None:
    stop = threading.Event()
    trouble: list[BaseException] = []

    def keep_writing() -> None:
        try:
            k = 0
            while not stop.is_set():
                write(store, 1, [Reading("", "dc_power_w", 300, NOW + 300 * (2 * k + n), float(k)) for n in range(2)])
                k += 1
        except BaseException as error:
            trouble.append(error)
        finally:
            store.close()

    thread = threading.Thread(target=keep_writing)
    thread.start()
    lengths = [len(export(path, tmp_path / "out.csv", metric="dc_power_w")) for _ in range(5)]
    stop.set()
    thread.join(60)
    assert trouble == []
    assert lengths == sorted(lengths)
    assert all(length % 2 == 0 for length in lengths)
