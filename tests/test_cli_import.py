"""`sungaze import` and what `sungaze export` writes for it, as a person meets them."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from program import COMMAND, Sungaze, environment

HEADER = "vendor,vendor_site_id,vendor_device_id,metric_name,interval_s,timestamp,value\n"
GERMAN = "Zeitpunkt;Leistung (kW)\n30.05.2026 12:00;1,5\n30.05.2026 12:15;1,25\n30.05.2026 12:30;?\n"
MAP = "Zeitpunkt=timestamp,Leistung (kW)=ac_power_w"


def sungaze(home: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The finished command; `code` is the exit code it must have."""
    done = subprocess.run(
        [*COMMAND, *words],
        cwd=home, env=environment(home), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def refused(done: subprocess.CompletedProcess[str], words: str) -> None:
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert re.fullmatch(rf"sungaze: .*{words}.*(\.|#key=[\w-]+)", lines[0]), lines[0]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "in.csv").write_text(
        HEADER
        + "enphase,901,m1,ac_power_w,300,2026-06-01T12:00:00Z,250\n"
        + "enphase,901,,energy_wh,86400,2026-05-31T22:00:00Z,31250.5\n"
        + "enphase,901,m1,moon_power_w,300,2026-06-01T12:00:00Z,250\n"
    )
    (tmp_path / "sites.csv").write_text("vendor,vendor_site_id,name,timezone\nenphase,901,Barn,Europe/Berlin\n")
    (tmp_path / "devices.csv").write_text("vendor_device_id,device_type\nm1,microinverter\n")
    (tmp_path / "portal.csv").write_text(GERMAN)
    return tmp_path


def import_all(home: Path, folder: str) -> subprocess.CompletedProcess[str]:
    files = ("in.csv", "--sites", "sites.csv", "--devices", "devices.csv")
    return sungaze(home, "import", *files, "--data-dir", folder)


def test_an_import_makes_a_folder_and_says_what_it_took_and_what_not(home: Path) -> None:
    assert import_all(home, "d").stdout.splitlines() == [
        "2 values taken: 2 new, 0 there already.",
        "Added with them: 1 site and 1 device.",
        "1 refused: unknown metric; the first in line 4.",
    ]
    again = import_all(home, "d").stdout.splitlines()
    assert again == ["2 values taken: 0 new, 2 there already.", "1 refused: unknown metric; the first in line 4."]


def test_what_is_exported_with_its_sites_and_devices_makes_the_same_store_elsewhere(home: Path) -> None:
    import_all(home, "d")
    files = {}
    for folder in ("d", "e"):
        names = [f"{folder}-{what}.csv" for what in ("all", "sites", "devices")]
        options = ("-o", names[0], "--sites", names[1], "--devices", names[2], "--data-dir", folder)
        if folder == "e":
            sungaze(home, "import", "d-all.csv", "--sites", "d-sites.csv", "--devices", "d-devices.csv", *options[-2:])
        sungaze(home, "export", *options)
        files[folder] = [(home / name).read_text() for name in names]
    assert files["d"] == files["e"]
    assert files["d"][1].splitlines()[1] == "enphase,901,Barn,Europe/Berlin,,,,,"
    assert files["d"][2].splitlines()[1] == "enphase,901,m1,microinverter,,,"


def test_an_imported_site_is_in_sight_once_sungaze_runs(home: Path) -> None:
    import_all(home, "d")
    started = Sungaze(home / "d")
    try:
        (site,) = started.client.get("/api/sites").json()["items"]
        assert (site["name"], site["vendor"]) == ("Barn", "enphase")
        days = {"metric": "energy_wh", "from": "2026-05-01", "to": "2026-07-01", "resolution": "1d"}
        answer = started.client.get(f"/api/sites/{site['id']}/series", params=days).json()
        assert [point[1] for point in answer["points"]] == [31250.5]
        for path in ("", "/devices", "/layout", "/flow"):
            assert started.client.get(f"/api/sites/{site['id']}{path}").status_code == 200
        assert started.client.get("/api/fleet").status_code == 200
        refused(sungaze(home, "import", "in.csv", "--data-dir", "d", code=3), "running on")
    finally:
        started.stop()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none.csv",), "cannot be read: No such file"),
        (("empty.csv",), "is empty"),
        (("in.csv", "--sites", "in.csv"), "“vendor_device_id” is none of its columns"),
        (("in.csv", "--map", MAP), "columns of in.csv are known"),
        (("portal.csv",), "not known what its columns are.*--map.*“Zeitpunkt”, “Leistung"),
        (("portal.csv", "--mapping", "none"), "No mapping is kept under “none”"),
        (("portal.csv", "--map", MAP), "which site"),
        (("portal.csv", "--map", MAP, "--site", "7"), "no site “7”"),
        (("portal.csv", "--map", MAP, "--site", "acme/7"), "no site “acme/7”"),
        (("portal.csv", "--map", MAP, "--site", "enphase/901"), "time zone of enphase/901 is not known"),
        (("portal.csv", "--map", MAP, "--zone", "Mars/Base"), "“Mars/Base” is no time zone"),
    ],
)
def test_what_cannot_be_imported_is_one_sentence_and_changes_nothing(
    home: Path, words: tuple[str, ...], said: str
) -> None:
    (home / "empty.csv").write_text("")
    refused(sungaze(home, "import", *words, "--data-dir", "d", code=2), said)
    if (home / "d").exists():
        sungaze(home, "export", "-o", "out.csv", "--sites", "out-sites.csv", "--data-dir", "d")
        assert (home / "out.csv").read_text() == HEADER
        assert (home / "out-sites.csv").read_text().count("\n") == 1


def test_a_portals_file_is_shown_first_written_on_a_yes_and_its_mapping_kept(home: Path) -> None:
    options = ("--site", "enphase/901", "--sites", "sites.csv", "--data-dir", "d")
    shown = sungaze(home, "import", "portal.csv", "--map", MAP, "--mapping", "fronius", *options, code=2)
    refused(shown, "add --yes")
    assert re.search(r"2026-05-30 12:00:00\+02:00 +\(the site\) +ac_power_w +900 +1500\n", shown.stdout)
    assert "2026-05-30  Leistung (kW): 2, 2750, 1500" in shown.stdout
    assert "1 refused: not a number; the first in line 4." in shown.stdout
    assert "In doubt: Each time is taken as the start" in shown.stdout
    sungaze(home, "export", "-o", "out.csv", "--data-dir", "d")
    assert (home / "out.csv").read_text() == HEADER
    done = sungaze(home, "import", "portal.csv", "--map", MAP, "--mapping", "fronius", *options, "--yes")
    assert done.stdout.splitlines()[-3:] == [
        "2 values taken: 2 new, 0 there already.", "Added with them: 1 site.",
        "1 refused: not a number; the first in line 4.",
    ]  # fmt: skip
    (home / "june.csv").write_text("Zeitpunkt;Leistung (kW)\n01.06.2026 12:00;3,5\n")
    for words in (("june.csv", "--site", "1"), ("june.csv", "--site", "1", "--mapping", "fronius", "--stamps", "end")):
        assert "1 value taken: 1 new" in sungaze(home, "import", *words, "--data-dir", "d", "--yes").stdout
    sungaze(home, "export", "-o", "out.csv", "--data-dir", "d")
    assert (home / "out.csv").read_text().splitlines()[1:] == [
        "enphase,901,,ac_power_w,900,2026-05-30T10:00:00Z,1500",
        "enphase,901,,ac_power_w,900,2026-05-30T10:15:00Z,1250",
        "enphase,901,,ac_power_w,900,2026-06-01T09:45:00Z,3500",
        "enphase,901,,ac_power_w,900,2026-06-01T10:00:00Z,3500",
    ]


def test_a_row_for_each_device_goes_to_the_device_of_that_serial(home: Path) -> None:
    (home / "devices.csv").write_text("vendor_device_id,device_type,serial_number\nm1,microinverter,SN1\n")
    import_all(home, "d")
    lines = [f"2026-06-01 10:{minute}:00,{serial},1.5" for minute in ("00", "15") for serial in ("SN1", "SN2")]
    (home / "rows.csv").write_text("\n".join(["Time,S/N,Energy (kWh)", *lines]))
    (home / "more.csv").write_text("Time,S/N,Energy (kWh)\n2026-06-01 10:30:00,SN1,2\n2026-06-01 10:45:00,SN1,2\n")
    words = ("--map", "Time=timestamp,S/N=device,Energy (kWh)=energy_wh", "--site", "1", "--data-dir", "d", "--yes")
    done = sungaze(home, "import", "rows.csv", *words).stdout
    assert "m1 (2 values), SN2 (2 values): 2 devices.\n" in done
    assert "In doubt: SN2 is not known at the site and would be added to it.\n" in done
    assert "4 values taken: 4 new, 0 there already.\nAdded with them: 1 device.\n" in done
    assert "2 new" in sungaze(home, "import", "more.csv", "--site", "1", "--data-dir", "d", "--yes").stdout
    sungaze(home, "export", "-o", "out.csv", "--data-dir", "d")
    taken = [line.split(",") for line in (home / "out.csv").read_text().splitlines() if ",energy_wh,900," in line]
    assert sorted((device, at[11:16], value) for _, _, device, _, _, at, value in taken) == [
        ("SN2", "08:00", "1500"), ("SN2", "08:15", "1500"),
        ("m1", "08:00", "1500"), ("m1", "08:15", "1500"), ("m1", "08:30", "2000"), ("m1", "08:45", "2000"),
    ]  # fmt: skip


@pytest.mark.slow
def test_an_import_that_is_killed_is_gone_on_with_and_ends_as_if_it_had_not_been(home: Path) -> None:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    times = [f"{began + timedelta(minutes=5 * k):%Y-%m-%dT%H:%M:%SZ}" for k in range(40_000)]
    lines = [f"enphase,901,m{d},ac_power_w,300,{at},{k % 250}\n" for d in range(10) for k, at in enumerate(times)]
    (home / "long.csv").write_text(HEADER + "".join(lines))
    database = home / "d" / "sungaze.db"
    command = [*COMMAND, "import", "long.csv", "--data-dir", "d"]
    for _ in range(3):
        before = _count(database)
        process = subprocess.Popen(command, cwd=home, env=environment(home), stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while _count(database) < before + 20_000 and process.poll() is None:
            assert time.monotonic() < deadline
        process.kill()
        process.wait()
    killed = _count(database)
    assert 0 < killed < len(lines)
    done = sungaze(home, *command[len(COMMAND) :])
    said = f"{len(lines):,} values taken: {len(lines) - killed:,} new, {killed:,} there already."
    assert done.stdout.splitlines()[0] == said
    sungaze(home, "export", "-o", "out.csv", "--data-dir", "d")
    assert (home / "out.csv").read_bytes() == (home / "long.csv").read_bytes()


def _count(database: Path) -> int:
    """The values of a store that may be just being made."""
    if not database.exists():
        return 0
    connection = sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM sample").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()
