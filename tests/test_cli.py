"""The command line as a person meets it: a sentence and its exit code, and standard output for the answer only."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from program import COMMAND, STOP_S, TOKEN, Sungaze, environment

from bench._store import fill

LINK = re.compile(r"http://127\.0\.0\.1:\d+/#key=[\w-]{16,}\n")


def sungaze(home: Path, *words: str, code: int = 2, **more: str) -> subprocess.CompletedProcess[str]:
    """The finished command; `code` is the exit code it must have."""
    done = subprocess.run(
        [*COMMAND, *words],
        cwd=home, env=environment(home, **more), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


def is_one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Nothing on standard output; on standard error one line for a person, with these words in it."""
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("sungaze: ")
    assert re.search(r"(\.|#key=[\w-]+)$", lines[0]), lines[0]
    for word in words:
        assert word in lines[0]


@pytest.fixture
def running(tmp_path: Path) -> object:
    started = Sungaze(tmp_path / "data")
    yield started
    if started.process.poll() is None:
        started.stop()


def test_the_server_prints_one_link_and_nothing_else(running: Sungaze) -> None:
    assert LINK.fullmatch(running.link + "\n")
    assert running.client.get("/api/health").json()["status"] == "ok"
    assert running.stop() == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_within_five_seconds_even_with_an_open_stream(
    running: Sungaze, number: signal.Signals
) -> None:
    with running.client.stream("GET", "/api/events") as stream:
        next(stream.iter_lines())
        began = time.monotonic()
        running.process.send_signal(number)
        assert running.process.wait(STOP_S) == 0
        assert time.monotonic() - began < STOP_S
    assert running.stop() == ""
    assert json.loads((running.folder / "lock").read_text() or "null") is None


def test_a_second_start_prints_the_running_address_and_touches_nothing(running: Sungaze, tmp_path: Path) -> None:
    done = sungaze(tmp_path, "--server", "--data-dir", str(running.folder), code=3)
    is_one_sentence(done, running.address, "#key=")
    link = re.search(r"http://\S+#key=[\w-]+", done.stderr)
    assert link
    answer = httpx.post(
        f"{running.address}/api/session", json={"key": link[0].split("=")[1].rstrip(".")}, trust_env=False
    )
    assert answer.status_code == 200


def test_a_folder_left_by_a_killed_process_is_taken_over(running: Sungaze) -> None:
    running.kill()
    again = Sungaze(running.folder)
    assert again.client.get("/api/health").status_code == 200
    again.stop()


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        is_one_sentence(sungaze(tmp_path, "--server", "--port", port, "--data-dir", "d"), port, "taken")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
@pytest.mark.parametrize("token", ["", "only-31-characters-0123456789ab"])
def test_listening_beyond_loopback_needs_a_long_token(tmp_path: Path, host: str, token: str) -> None:
    done = sungaze(tmp_path, "--server", "--host", host, "--data-dir", "d", SUNGAZE_TOKEN=token)
    is_one_sentence(done, host, "32 characters")
    assert not (tmp_path / "d").exists()


def test_a_short_token_is_refused_without_being_shown(tmp_path: Path) -> None:
    done = sungaze(tmp_path, "--server", "--data-dir", "d", SUNGAZE_TOKEN="short-secret")
    is_one_sentence(done, "16")
    assert "short-secret" not in done.stderr


def test_a_token_opens_the_api_beyond_loopback_too(tmp_path: Path) -> None:
    started = Sungaze(tmp_path / "data", "--host", "0.0.0.0")
    assert started.client.get("/api/sites").json() == {"items": [], "total": 0}
    assert httpx.get(f"{started.address}/api/sites", trust_env=False).status_code == 401
    started.stop()


def test_a_broken_line_of_dotenv_is_named_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SUNGAZE_LOG=info\nthe secret = 'abc\n")
    done = sungaze(tmp_path, "--server", "--data-dir", "d")
    is_one_sentence(done, "Line 2", ".env")
    assert "secret" not in done.stderr


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "d").write_text("mine")
    is_one_sentence(sungaze(tmp_path, "--server", "--data-dir", "d"), "is a file")
    assert (tmp_path / "d").read_text() == "mine"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    is_one_sentence(sungaze(tmp_path, "--server", "--data-dir", "/proc/sungaze"), "cannot be written")


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "sungaze.db").write_text("my diary, not a database")
    is_one_sentence(sungaze(tmp_path, "--server", "--data-dir", "d"), "not a database")
    assert (tmp_path / "d" / "sungaze.db").read_text() == "my diary, not a database"


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    Sungaze(tmp_path / "data").stop()
    file = tmp_path / "data" / "sungaze.db"
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    before = file.read_bytes()
    is_one_sentence(sungaze(tmp_path, "--server", "--data-dir", str(tmp_path / "data")), "newer", "999")
    assert file.read_bytes() == before


def test_a_full_disk_at_the_start_is_said_and_damages_nothing(tmp_path: Path) -> None:
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); import signal; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); from sungaze.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--server", "--data-dir", "d"],
        cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    is_one_sentence(done)
    again = Sungaze(tmp_path / "d")
    again.stop()


def test_the_demo_and_real_data_never_share_a_folder(tmp_path: Path) -> None:
    Sungaze(tmp_path / "mine").stop()
    is_one_sentence(sungaze(tmp_path, "--server", "--demo", "--data-dir", "mine"), "real data")
    Sungaze(tmp_path / "demo", demo=True).stop()
    is_one_sentence(sungaze(tmp_path, "--server", "--data-dir", "demo"), "--demo")


def test_without_a_display_the_window_is_explained(tmp_path: Path) -> None:
    gone = dict.fromkeys(("DISPLAY", "WAYLAND_DISPLAY"), "")
    is_one_sentence(sungaze(tmp_path, "--data-dir", "d", **gone), "no display", "--server")


@pytest.mark.parametrize("words", [["--port", "70000", "--server"], ["--host", "127.0.0.1"], ["dance"], ["--nonsense"]])
def test_words_that_are_no_command_are_told(tmp_path: Path, words: list[str]) -> None:
    done = sungaze(tmp_path, *words)
    assert done.stdout == ""
    assert "Error" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("before", [True, False])
def test_the_data_folder_is_taken_before_and_after_a_subcommand(tmp_path: Path, before: bool) -> None:
    Sungaze(tmp_path / "data").stop()
    folder = ["--data-dir", str(tmp_path / "data")]
    export = ["export", "--format", "csv", "-o", "out.csv"]
    sungaze(tmp_path, *(folder + export if before else export + folder), code=0)
    assert (tmp_path / "out.csv").read_text().startswith("vendor,vendor_site_id,vendor_device_id,metric_name,")


def test_an_export_beside_a_running_program(running: Sungaze, tmp_path: Path) -> None:
    sungaze(tmp_path, "export", "-o", "out.csv", "--data-dir", str(running.folder), code=0)
    is_one_sentence(sungaze(tmp_path, "export", "-o", "no/such/out.csv", "--data-dir", str(running.folder)), "written")
    is_one_sentence(sungaze(tmp_path, "export", "-o", "x.csv", "--data-dir", "nowhere"), "no data")
    is_one_sentence(
        sungaze(tmp_path, "export", "-o", "x.csv", "--metric", "love", "--data-dir", str(running.folder)), "love"
    )


@pytest.fixture
def emulate(tmp_path: Path) -> Iterator[Callable[..., tuple[subprocess.Popen[str], dict[str, Any]]]]:
    """Starts `sungaze emulate` with these words; what still runs when the test ends, however it ends, is ended."""
    started: list[subprocess.Popen[str]] = []

    def start(*words: str) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        process = subprocess.Popen(
            [*COMMAND, "emulate", *words],
            cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        assert process.stdout
        return process, json.loads(process.stdout.readline())

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait(STOP_S)
        if process.stdout:
            process.stdout.close()


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("vendor", "plan"), [("enphase", "partner"), ("solaredge", "paid")])
def test_what_emulate_prints_connects_by_the_api_and_its_export_equals_world(
    running: Sungaze, emulate: Any, tmp_path: Path, vendor: str, plan: str
) -> None:
    world = ["--sites", "2", "--panels", "4", "--seed", "9"]
    process, ready = emulate(vendor, "--plan", plan, *world)
    assert set(ready) == {"vendor", "method", "plan", "base_url", "credentials"}
    declared = {v["id"]: v for v in running.client.get("/api/vendors").json()["items"]}[vendor]
    fields = {f["name"] for m in declared["methods"] if m["id"] == ready["method"] for f in m["fields"]}
    assert set(ready["credentials"]) == fields
    answer = running.client.post("/api/accounts", json=ready)
    assert answer.status_code == 201, answer.text
    deadline = time.monotonic() + 180
    while True:
        (account,) = running.client.get("/api/accounts").json()["items"]
        if account["backfill"]["total"] and account["backfill"]["state"] == "done":
            break
        assert time.monotonic() < deadline
        time.sleep(0.3)
    running.stop()
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == 0
    assert process.stdout.read() == ""
    sungaze(tmp_path, "export", "-o", "out.csv", "--data-dir", str(running.folder), code=0)
    span = ["--from", "2026-01-01", "--to", "2099-01-01"]
    truth = sungaze(tmp_path, "world", "--vendor", vendor, *world, *span, code=0)
    known = {tuple(row[:6]): float(row[6]) for row in csv.reader(io.StringIO(truth.stdout)) if row[0] == vendor}
    compared = 0
    with (tmp_path / "out.csv").open() as stream:
        for row in csv.DictReader(stream):
            key = tuple(list(row.values())[:6])
            if row["interval_s"] != "0" and row["metric_name"] in {"ac_power_w", "energy_wh"} and key in known:
                assert abs(float(row["value"]) - known[key]) <= (0.5 if vendor == "enphase" else 0.005) + 1e-6
                compared += 1
            elif row["interval_s"] not in {"0", "86400"} and row["metric_name"] == "ac_power_w":
                raise AssertionError(f"invented: {row}")
    assert compared > 150


@pytest.mark.parametrize(
    "words",
    [
        ["emulate", "solaredge", "--dialect", "v3"],
        ["emulate", "enphase", "--plan", "gold"],
        ["emulate", "enphase", "--fault", "boredom"],
        ["emulate", "enphase", "--fault", "html=7"],
        ["emulate", "enphase", "--now", "tomorrow"],
        ["emulate", "acme"],
        ["world", "--vendor", "enphase", "--from", "2026-02-01", "--to", "2026-01-01"],
    ],
)
def test_an_emulator_that_cannot_be_is_told(tmp_path: Path, words: list[str]) -> None:
    done = sungaze(tmp_path, *words)
    assert done.stdout == ""
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_the_contract_is_an_openapi_document(tmp_path: Path) -> None:
    document = json.loads(sungaze(tmp_path, "openapi", code=0).stdout)
    assert document["openapi"].startswith("3.")
    assert {"/api/sites", "/api/sites/{site_id}/series", "/api/fleet", "/api/accounts/probe"} <= set(document["paths"])


def test_a_token_in_dotenv_of_the_data_folder_counts(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".env").write_text("SUNGAZE_TOKEN=one-from-the-data-folder-0123456789\n")
    process = subprocess.Popen(
        [*COMMAND, "--server", "--data-dir", "data"],
        cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    address = process.stdout.readline().split("/#")[0]
    good = {"Authorization": "Bearer one-from-the-data-folder-0123456789"}
    assert httpx.get(f"{address}/api/sites", headers=good, trust_env=False).status_code == 200
    assert httpx.get(f"{address}/api/sites", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False).is_error
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_S) == 0
    process.stdout.close()


def test_a_recording_is_replayed_without_a_data_folder(tmp_path: Path) -> None:
    entry = {
        "startedDateTime": "2026-06-01T18:05:00.250Z", "time": 40,
        "request": {"method": "GET", "url": "https://api.enphaseenergy.com/api/v4/systems/42/telemetry/production_micro"
                    "?start_at=1780290000&granularity=day"},
        "response": {"status": 200, "content": {"text": '{"intervals":[{"end_at":1780330800,"powr":7,"enwh":1}]}'}},
    }  # fmt: skip
    (tmp_path / "report.har").write_text(json.dumps({"log": {"entries": [entry]}}))
    done = sungaze(tmp_path, "replay", "report.har", "--vendor", "enphase", code=0)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    power = {"vendor_site_id": "42", "vendor_device_id": "", "metric_name": "ac_power_w", "interval_s": 300}
    assert lines[0] == {"kind": "sample", **power, "timestamp": "2026-06-01T16:15:00Z", "value": 7.0}
    assert [line["metric_name"] for line in lines] == ["ac_power_w", "energy_wh"]
    assert done.stderr == "1 of 1 entries were read.\n"
    assert not (tmp_path / ".local").exists()


def test_what_is_no_recording_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "report.har").write_text("{")
    is_one_sentence(sungaze(tmp_path, "replay", "report.har", "--vendor", "enphase"), "report.har")
    is_one_sentence(sungaze(tmp_path, "replay", "report.har", "--vendor", "acme"), "acme")


def test_capture_and_rederive_need_data_and_rederive_refuses_beside_a_running_one(
    running: Sungaze, tmp_path: Path
) -> None:
    folder = str(running.folder)
    is_one_sentence(sungaze(tmp_path, "rederive", "--data-dir", folder, code=3), running.address)
    is_one_sentence(sungaze(tmp_path, "capture", "1", "-o", "report.har", "--data-dir", folder), "account")
    running.stop()
    done = sungaze(tmp_path, "rederive", "--data-dir", folder, code=0)
    assert (done.stdout, done.stderr) == ("0\n", "0 answers read again; 0 values changed\n")
    is_one_sentence(sungaze(tmp_path, "rederive", "--since", "yesterday", "--data-dir", folder), "yesterday")
    is_one_sentence(sungaze(tmp_path, "rederive", "--data-dir", str(tmp_path / "none")), "no data")
    assert not (tmp_path / "none").exists()


def test_past_days_are_sealed_by_a_command_that_refuses_beside_a_running_one(running: Sungaze, tmp_path: Path) -> None:
    folder = str(running.folder)
    is_one_sentence(sungaze(tmp_path, "seal", "--data-dir", folder, code=3), running.address)
    running.stop()
    fill(running.folder / "sungaze.db", 2, time.time() - 20 * 86_400)
    exported = ["export", "--format", "csv", "--data-dir", folder, "-o"]
    sungaze(tmp_path, *exported, "before.csv", code=0)
    done = sungaze(tmp_path, "seal", "--all", "--data-dir", folder, code=0)
    assert int(done.stdout) > 500
    assert "values folded into" in done.stderr
    sungaze(tmp_path, *exported, "after.csv", code=0)
    assert (tmp_path / "after.csv").read_bytes() == (tmp_path / "before.csv").read_bytes()
    assert sungaze(tmp_path, "seal", "--data-dir", folder, code=0).stdout == "0\n"
    is_one_sentence(sungaze(tmp_path, "seal", "--data-dir", str(tmp_path / "none")), "no data")
