"""Backup, restore and doctor as a person types them, damage that a start finds, and a disk that fills up."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from program import COMMAND, TOKEN, Sungaze, environment, on_a_small_disk

from sungaze.emulators import Emulator, World, serve
from sungaze.store import Store
from sungaze.store.backup import backup

PATIENCE_S = 60


def sungaze(home: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The finished command; `code` is the exit code it must have."""
    done = subprocess.run(
        [*COMMAND, *words],
        cwd=home, env=environment(home), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def is_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> str:
    """Standard error, which is one line for a person with these words in it; nothing is on standard output."""
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    for word in words:
        assert word in lines[0], lines[0]
    return lines[0]


def until(reached: Callable[[], bool], process: Sungaze | None = None) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < deadline, process.log.read_text()[-3_000:] if process else "it did not come"
        time.sleep(0.05)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Sungaze]:
    started = Sungaze(tmp_path / "data")
    yield started
    if started.process.poll() is None:
        started.stop()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    started = serve("solaredge", World(seed=4, sites=3, panels=4), plan="paid")
    yield started
    started.stop()


def connected(client: httpx.Client, emulator: Emulator) -> None:
    wish = {
        "vendor": emulator.vendor, "method": emulator.method, "plan": emulator.plan,
        "credentials": emulator.credentials, "base_url": emulator.base_url,
    }  # fmt: skip
    assert client.post("/api/accounts", json=wish).status_code == 201


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with two daily backups, the newer one damaged."""
    made = tmp_path / "data"
    Sungaze(made).stop()
    (made / "backups").mkdir()
    store = Store(made / "sungaze.db")
    store.memory.put("kept", "then")
    backup(made / "sungaze.db", made / "backups" / "sungaze-2026-06-01.db")
    store.memory.put("kept", "now")
    store.close()
    (made / "backups" / "sungaze-2026-06-02.db").write_text("half of one")
    return made


# -- backup and restore ----------------------------------------------------------------------------------------------


def test_a_backup_beside_a_running_sungaze_that_polls_is_put_back_with_what_was_in_it(
    running: Sungaze, emulator: Emulator, tmp_path: Path
) -> None:
    connected(running.client, emulator)
    until(lambda: running.client.get("/api/sites").json()["total"] == 3, running)
    done = sungaze(tmp_path, "backup", "b.db", "--data-dir", "data")
    assert is_one_sentence(done, "written and checked", "Credentials are not in it")
    raw = (tmp_path / "b.db").read_bytes()
    for secret in emulator.credentials.values():
        assert secret.encode() not in raw
    is_one_sentence(sungaze(tmp_path, "restore", "b.db", "--data-dir", "data", code=3), running.address)
    site = running.client.get("/api/sites").json()["items"][0]["id"]
    assert running.client.patch(f"/api/sites/{site}", json={"alias": "Later"}).status_code == 200
    assert "Later" in {item["name"] for item in running.client.get("/api/sites").json()["items"]}
    running.stop()
    done = sungaze(tmp_path, "restore", "b.db", "--data-dir", "data")
    said = is_one_sentence(done, "is in place", "is kept as")
    kept = Path(said.split("is kept as ")[1].rstrip("."))
    with closing(sqlite3.connect(kept)) as connection:
        assert connection.execute("SELECT count(*) FROM site WHERE user_alias = 'Later'").fetchone() == (1,)
    again = Sungaze(tmp_path / "data")
    assert "Later" not in {item["name"] for item in again.client.get("/api/sites").json()["items"]}
    # The credentials are where they were: the account is asked on.
    (account,) = again.client.get("/api/accounts").json()["items"]
    assert account["state"] == "connected"
    again.stop()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["backup", "b.db", "--data-dir", "none"], "no data"),
        (["backup", "data/sungaze.db", "--data-dir", "data"], "the database itself"),
        (["backup", "/proc/b.db", "--data-dir", "data"], "cannot be written"),
        (["restore", "diary.txt", "--data-dir", "data"], "no backup of Sungaze's"),
        (["restore", "none.db", "--data-dir", "data"], "no file"),
        (["--demo", "restore", "good.db", "--data-dir", "demo"], "real data"),
        (["restore", "demo.db", "--data-dir", "data"], "demo fleet's"),
    ],
)
def test_what_cannot_be_backed_up_or_restored_is_one_sentence(
    tmp_path: Path, folder: Path, words: list[str], said: str
) -> None:
    (tmp_path / "diary.txt").write_text("sunny")
    for name in ("good.db", "demo.db"):
        backup(folder / "sungaze.db", tmp_path / name)
    demo = Store(tmp_path / "demo.db")
    demo.memory.put("demo", True)
    demo.close()
    before = (folder / "sungaze.db").read_bytes()
    is_one_sentence(sungaze(tmp_path, *words, code=2), said, "Nothing was" if "none" not in words else "no data")
    assert (folder / "sungaze.db").read_bytes() == before
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_a_backup_of_the_demo_is_known_for_what_it_is(tmp_path: Path) -> None:
    demo = Sungaze(tmp_path / "demo", demo=True)
    sungaze(tmp_path, "--demo", "backup", "d.db", "--data-dir", "demo")
    demo.stop()
    is_one_sentence(sungaze(tmp_path, "restore", "d.db", "--data-dir", "data", code=2), "the demo fleet's")
    is_one_sentence(sungaze(tmp_path, "--demo", "restore", "d.db", "--data-dir", "demo"), "is in place")


# -- damage at the start ---------------------------------------------------------------------------------------------


def flipped(content: bytes) -> bytes:
    return bytes([content[0] ^ 4]) + content[1:]


def flipped_within(content: bytes) -> bytes:
    return content[:28] + bytes([content[28] ^ 0x80]) + content[29:101] + bytes([content[101] ^ 0xFF]) + content[102:]


@pytest.mark.parametrize(
    "spoil",
    [
        flipped, flipped_within, lambda content: content[: len(content) // 2], lambda content: bytes(len(content)),
        lambda content: b"Dear diary, the sun shone.\n" * 400,
    ],
    ids=["flipped", "flipped within", "cut short", "zeros", "text"],
)  # fmt: skip
def test_a_damaged_file_stops_the_start_which_names_the_newest_good_backup_and_the_command(
    tmp_path: Path, folder: Path, spoil: Callable[[bytes], bytes]
) -> None:
    file = folder / "sungaze.db"
    file.write_bytes(spoil(file.read_bytes()))
    damaged = file.read_bytes()
    done = sungaze(tmp_path, "--server", "--data-dir", str(folder), code=2)
    said = is_one_sentence(done, "The newest good backup", "sungaze-2026-06-01.db")
    assert file.read_bytes() == damaged
    words = shlex.split(said.partition("is kept, by: ")[2])
    assert words[0] == "sungaze"
    said = is_one_sentence(sungaze(tmp_path, *words[1:]), "is in place", ".damaged-")
    assert Path(said.split("is kept as ")[1].rstrip(".")).read_bytes() == damaged
    again = Sungaze(folder)
    again.stop()
    store = Store(file)
    assert store.memory.get("kept", str) == "then"
    store.close()


def test_without_a_good_backup_the_damaged_file_is_left_and_that_is_said(tmp_path: Path, folder: Path) -> None:
    (folder / "backups" / "sungaze-2026-06-01.db").unlink()
    file = folder / "sungaze.db"
    file.write_bytes(bytes(9_000))
    is_one_sentence(sungaze(tmp_path, "--server", "--data-dir", str(folder), code=2), "no good backup", "FILE")
    assert file.read_bytes() == bytes(9_000)


def test_damage_that_opening_does_not_find_is_found_after_a_sudden_end(tmp_path: Path, folder: Path) -> None:
    store = Store(folder / "sungaze.db")
    with store.database.transaction():
        rows = [(f"pad:{k}", "x" * 900) for k in range(2_000)]
        store.database.executemany("INSERT INTO meta (name, value) VALUES (?, ?)", rows)
    store.close()
    one = Sungaze(folder)
    one.kill()
    for path in folder.glob("sungaze.db-*"):
        path.unlink()
    content = (folder / "sungaze.db").read_bytes()
    middle = len(content) // 2 // 4096 * 4096
    (folder / "sungaze.db").write_bytes(content[:middle] + b"\xff" * 40_960 + content[middle + 40_960 :])
    done = sungaze(tmp_path, "--server", "--data-dir", str(folder), code=2)
    is_one_sentence(done, "is damaged", "sungaze-2026-06-01.db")


# -- a full disk -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_full_disk_rests_the_polling_is_said_on_the_pages_and_ends_by_itself(tmp_path: Path) -> None:
    emulator = serve("enphase", World(seed=3, sites=40, panels=20), plan="partner")
    (tmp_path / "disk").mkdir()
    log = (tmp_path / "log").open("w+")
    process = subprocess.Popen(
        [*on_a_small_disk(tmp_path / "disk", "24m"), *COMMAND, "--server", "--data-dir", "disk"],
        cwd=tmp_path, env=environment(tmp_path, SUNGAZE_TOKEN=TOKEN), stdout=subprocess.PIPE, stderr=log, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    address = process.stdout.readline().partition("/#")[0]
    inside = Path(f"/proc/{process.pid}/root{tmp_path / 'disk'}")
    client = httpx.Client(
        base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, timeout=PATIENCE_S
    )

    def trouble() -> str:
        return str(client.get("/api/health").json().get("trouble", ""))

    try:
        connected(client, emulator)
        until(lambda: client.get("/api/sites").json()["total"] == 40)
        assert trouble() == ""
        with (inside / "filler").open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space left"):
            stream.writelines(itertools.repeat(b"x" * 1_000))
        until(lambda: "disk that holds your data is full" in trouble())
        assert "trouble" not in httpx.get(f"{address}/api/health", trust_env=False).json()
        asked = len(emulator.requests)
        # Longer than a rest: what was under way when it filled up may end, and nothing new is begun.
        until(lambda: _is_quiet(emulator))
        rested = len(emulator.requests)
        assert rested - asked < 12
        (inside / "filler").unlink()
        until(lambda: trouble() == "")
        until(lambda: len(emulator.requests) > rested)
        (account,) = client.get("/api/accounts").json()["items"]
        assert account["state"] == "connected"
        there = ["nsenter", "--target", str(process.pid), "--user", "--mount", "--preserve-credentials"]
        done = subprocess.run(
            [*there, *COMMAND, "doctor", "--json", "--offline", "--data-dir", str(tmp_path / "disk")],
            cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        found = findings(done)
        assert found["Data"]["fine"], found
        assert "only" in found["Disk"]["said"]
    finally:
        emulator.stop()
        client.close()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)
        log.seek(0)
        said = log.read()
        log.close()
    assert process.returncode == 0, said
    assert "Traceback" not in said, said
    assert said.count("polling rests until it can") == 1, said


def _is_quiet(emulator: Emulator, seconds: float = 12.0) -> bool:
    """Whether nobody has asked for so long."""
    before, end = len(emulator.requests), time.monotonic() + seconds
    while time.monotonic() < end:
        if len(emulator.requests) != before:
            return False
        time.sleep(0.05)
    return True


# -- doctor ----------------------------------------------------------------------------------------------------------


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    report = json.loads(done.stdout)
    assert report["fine"] is (done.returncode == 0)
    return {finding["topic"]: finding for finding in report["findings"]}


def test_the_doctor_finds_a_healthy_store_fine_beside_a_running_sungaze(
    running: Sungaze, emulator: Emulator, tmp_path: Path
) -> None:
    connected(running.client, emulator)
    until(lambda: running.client.get("/api/sites").json()["total"] == 3, running)
    done = sungaze(tmp_path, "doctor", "--json", "--data-dir", "data")
    found = findings(done)
    assert found["Data"]["facts"]["fault"] == ""
    assert found["Size"]["facts"]["samples"] > 0
    (account,) = (finding for topic, finding in found.items() if topic.startswith("Account"))
    quotas = running.client.get("/api/accounts").json()["items"][0]["quotas"]
    assert {q["window"]: q["limit"] for q in account["facts"]["quotas"]} == {q["window"]: q["limit"] for q in quotas}
    assert account["facts"]["quotas"][-1]["used"] > 0
    assert "answers (HTTP" in found["Reaching SolarEdge"]["said"]
    (head,) = (request for request in emulator.requests if request.method == "HEAD")
    assert head.path == "/"
    plain = sungaze(tmp_path, "doctor", "--data-dir", "data").stdout
    assert plain.endswith("Nothing needs you.\n")
    assert not re.search("^!", plain, re.MULTILINE)


def test_the_doctor_names_a_vendor_that_does_not_answer_and_offline_asks_none(
    running: Sungaze, emulator: Emulator, tmp_path: Path
) -> None:
    connected(running.client, emulator)
    running.stop()
    emulator.stop()
    done = sungaze(tmp_path, "doctor", "--data-dir", "data", code=1)
    assert re.search(r"^! Reaching SolarEdge: 127.0.0.1:\d+ does not answer", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("1 line needs you.\n")
    sungaze(tmp_path, "doctor", "--offline", "--data-dir", "data")


def test_the_doctor_changes_nothing(tmp_path: Path, folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    sungaze(tmp_path, "doctor", "--data-dir", str(folder))
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    "spoil",
    [flipped, lambda content: content[:50_000], lambda content: b"Dear diary\n" * 900, lambda content: b""],
    ids=["flipped", "cut short", "text", "empty"],
)
def test_the_doctor_says_what_is_wrong_with_a_broken_store(
    tmp_path: Path, folder: Path, spoil: Callable[[bytes], bytes]
) -> None:
    file = folder / "sungaze.db"
    file.write_bytes(spoil(file.read_bytes()))
    before = file.read_bytes()
    done = sungaze(tmp_path, "doctor", "--json", "--data-dir", str(folder), code=1)
    assert not findings(done)["Data"]["fine"]
    assert file.read_bytes() == before


def test_the_doctor_finds_rows_whose_other_half_is_missing(tmp_path: Path, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "sungaze.db")) as connection:
        connection.execute("INSERT INTO note (place_id, at, text) VALUES (77, 1, 'lost')")
        connection.commit()
    found = findings(sungaze(tmp_path, "doctor", "--json", "--data-dir", str(folder), code=1))
    assert found["Data"]["facts"]["orphans"] == {"note": 1}


def test_the_doctor_of_an_earlier_layout_leaves_it_at_that(tmp_path: Path, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "sungaze.db")) as connection:
        connection.execute("PRAGMA user_version = 2")
        connection.commit()
    found = findings(sungaze(tmp_path, "doctor", "--json", "--data-dir", str(folder)))
    assert "layout 2" in found["Layout"]["said"]
    with closing(sqlite3.connect(folder / "sungaze.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)


def test_where_there_is_no_data_there_is_nothing_to_look_through(tmp_path: Path) -> None:
    is_one_sentence(sungaze(tmp_path, "doctor", "--data-dir", "none", code=2), "no data")
