"""The report that is sent: it tells what a mender needs, and nobody can be recognised in it."""

from __future__ import annotations

import io
import json
import sqlite3
import stat
import subprocess
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from program import COMMAND, DEMO_SITES, Sungaze, environment

from sungaze.diagnostics import Redactor

PATIENCE_S = 90
MANY = 500
"""So many names and secrets are there when most devices are known."""
COLUMNS = {
    "account": ("label", "identity", "scope"),
    "place": ("name", "address", "customer", "phone", "reference"),
    "site": ("vendor_site_id", "name"),
    "device": ("vendor_device_id", "serial_number"),
    "note": ("text",),
}
SHEET = {
    "customer": "Zoë O’Hara & Sons", "phone": "+49 30 1234567", "reference": "REF/2026-77 (blue)",
    "notes": "key under the mat, ask for Mr. Pemberton",
}  # fmt: skip
ELSEWHERE = (
    "someone.else@example.org", "192.168.17.42", "2001:db8::17", "00:1d:c0:12:34:56", "SN1234567890",
    "https://portal.example.org/sites/77?token=abc", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0", "52.520008",
)  # fmt: skip
"""What nothing of ours knows of, but what looks like somebody's."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sungaze]:
    started = Sungaze(tmp_path_factory.mktemp("demo") / "data", demo=True)
    deadline = time.monotonic() + PATIENCE_S
    while started.client.get("/api/sites").json()["total"] < DEMO_SITES or len(known(started.folder)) < MANY:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    yield started
    started.stop()


def known(folder: Path) -> set[str]:
    """Every name and secret of a data folder."""
    found: set[str] = set()
    with closing(sqlite3.connect(folder / "sungaze.db", timeout=30)) as connection:
        for table, columns in COLUMNS.items():
            for column in columns:
                found |= {str(v) for (v,) in connection.execute(f"SELECT {column} FROM {table}") if v}
    for entry in json.loads((folder / "secrets.json").read_text()).values():
        for values in entry.values():
            found |= set(values.values())
    # Of ports, zeros and yeses nobody is recognised.
    return {text for text in found if len(text) >= 4 and text not in {"127.0.0.1", "true", "false"}}


def files_of(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode() for name in archive.namelist()}


@pytest.mark.slow
def test_no_secret_and_no_name_of_the_demo_is_in_the_report(demo: Sungaze) -> None:
    place = demo.client.get("/api/places").json()["items"][0]["id"]
    assert demo.client.patch(f"/api/places/{place}", json=SHEET).status_code == 200
    assert demo.client.post(f"/api/places/{place}/notes", json={"text": "call Pemberton’s wife"}).is_success
    names = known(demo.folder)
    assert len(names) >= MANY
    assert {"Zoë O’Hara & Sons", "call Pemberton’s wife"} <= names
    with (demo.folder / "logs" / "sungaze.log").open("a", encoding="utf-8") as log:
        for name in (*sorted(names), *ELSEWHERE):
            log.write(f"2026-11-28 12:00:00,000 ERROR sungaze: asked ({name}), “{name}”; {name}\n")
    with closing(sqlite3.connect(demo.folder / "sungaze.db", timeout=30)) as connection, connection:
        connection.execute("UPDATE account SET state_reason = ?", (" then ".join((*sorted(names), *ELSEWHERE)),))
    answer = demo.client.get("/api/diagnostics")
    assert answer.headers["content-type"] == "application/zip"
    files = files_of(answer.content)
    assert "asked (‹" in files["logs/sungaze.log"]
    assert "2026-11-28 12:00:00,000 ERROR sungaze" in files["logs/sungaze.log"]
    told = "\n".join(files.values())
    assert sorted(name for name in (*names, *ELSEWHERE, "Pemberton") if name in told) == []


def test_the_report_tells_versions_states_counts_and_what_is_owed(demo: Sungaze) -> None:
    files = files_of(demo.client.get("/api/diagnostics").content)
    assert set(files) >= {"README.txt", "about.json", "settings.json", "secrets.json", "quotas.json", "store.json"}
    accounts = json.loads(files["accounts.json"])
    assert {account["vendor"] for account in accounts} == {"enphase", "solaredge", "tigo", "generac", "cps"}
    store = json.loads(files["store.json"])
    assert store["counts"]["site"] == DEMO_SITES
    assert store["bytes"]["database"] > 0
    assert store["layout"] >= 6
    assert {row["vendor"] for row in json.loads(files["work.json"])["due"]} >= {"enphase", "solaredge"}
    assert json.loads(files["settings.json"])["token"] is True
    assert json.loads(files["secrets.json"]) == {"kind": "file", "in_keyring": 0, "in_file": len(accounts)}


def test_the_report_is_for_who_has_a_session_only(demo: Sungaze) -> None:
    assert httpx.get(f"{demo.address}/api/diagnostics", trust_env=False).status_code == 401


def written(home: Path, folder: Path, target: str = "report.zip") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "diagnostics", "-o", target, "--data-dir", str(folder)],
        cwd=home, env=environment(home), capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_the_command_writes_it_beside_a_running_program_for_its_owner_only(demo: Sungaze, tmp_path: Path) -> None:
    done = written(tmp_path, demo.folder)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    report = tmp_path / "report.zip"
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert json.loads(files_of(report.read_bytes())["store.json"])["counts"]["site"] == DEMO_SITES


@pytest.mark.parametrize("content", [b"", b"my diary, not a database", b"SQLite format 3\x00 and then nonsense"])
def test_a_store_that_cannot_be_read_is_reported_too(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "sungaze.db").write_bytes(content)
    (folder / "secrets.json").write_text("{")
    assert written(tmp_path, folder).returncode == 0
    files = files_of((tmp_path / "report.zip").read_bytes())
    assert "error" in json.loads(files["store.json"])
    assert "damaged" in json.loads(files["secrets.json"])["error"]
    assert (folder / "sungaze.db").read_bytes() == content


def test_without_any_data_there_is_still_a_report(tmp_path: Path) -> None:
    assert written(tmp_path, tmp_path / "none").returncode == 0
    assert json.loads(files_of((tmp_path / "report.zip").read_bytes())["about.json"])["sungaze"]
    assert not (tmp_path / "none").exists()


def test_a_report_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    done = written(tmp_path, tmp_path / "none", "no/such/report.zip")
    assert done.returncode == 2
    assert done.stderr.startswith("sungaze: no/such/report.zip cannot be written")


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("Barn Roof is late", "‹name› is late"),
        ("barn roof, BARN ROOF", "‹name›, ‹name›"),
        ("Barn Roofing is fine", "Barn Roofing is fine"),
        ("Barn is fine", "Barn is fine"),
        ("s3cr3t!", "‹secret›!"),
        ("api_key=abc next", "api_key=‹secret› next"),
        ("Authorization: Bearer abc.def", "Authorization: ‹secret› ‹secret›"),
        ("at http://127.0.0.1:8000/api/sites", "at http://127.0.0.1:8000/api/sites"),
        ("at https://example.org/x?y=1", "at ‹address›"),
        ("from 10.0.0.7:502 and 127.0.0.1:502 and ::1", "from ‹ip›:502 and 127.0.0.1:502 and ::1"),
        ("at 12:41:21,123 on 2026-11-28", "at 12:41:21,123 on 2026-11-28"),
        ("version 0.1.0 of Python 3.11.7", "version 0.1.0 of Python 3.11.7"),
        ("", ""),
    ],
)
def test_text_loses_what_names_somebody_and_keeps_the_rest(text: str, made: str) -> None:
    assert Redactor({"Barn Roof", "Bo"}, {"s3cr3t"}).redacted(text) == made


def test_a_log_of_five_megabytes_and_a_fleet_of_many_names_take_seconds() -> None:
    names = {f"Site {k} Long Street" for k in range(20_000)} | {f"{k:012x}" for k in range(80_000)}
    text = "2026-11-28 12:00:00,000 WARNING sungaze.jobs: Site 77 Long Street was late, 000000000abc too\n" * 50_000
    began = time.monotonic()
    made = Redactor(names, set()).redacted(text)
    assert time.monotonic() - began < 30
    assert "Long Street" not in made
    assert "000000000abc" not in made
