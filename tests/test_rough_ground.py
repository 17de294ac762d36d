"""Where the program meets a bad place or a bad moment: each time one sentence, and nothing lost."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from program import COMMAND, TOKEN, TOP, Sungaze, environment, on_a_small_disk

START_S = 40
PATIENCE_S = 20
"""What stopping is given where it is not what is tested."""
WITHOUT_ROOTS_RIGHTS = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    if os.geteuid() == 0
    else []
)
"""Begins a command that file permissions bind, as they bind a user."""


class Started(subprocess.Popen[str]):
    """A started command. Its stderr is a file: a pipe that nobody reads would hold it up."""

    def __init__(self, home: Path, *words: str, before: list[str] | None, env: dict[str, str] | None) -> None:
        self.complaints = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed by the fixture
        super().__init__(
            [*(before or []), *COMMAND, *words],
            cwd=home, env=env or environment(home, SUNGAZE_TOKEN=TOKEN), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=self.complaints, text=True,
        )  # fmt: skip

    def said(self) -> str:
        """What stands on stderr so far."""
        self.complaints.seek(0)
        return self.complaints.read()

    def line(self) -> str:
        """The line that a server prints when it is ready."""
        assert self.stdout is not None
        line = self.stdout.readline().strip()
        assert line.startswith("http://"), self.said()
        return line

    def ended(self, code: int) -> str:
        """What a command that printed nothing else said on stderr, which is one sentence for a person."""
        out, _ = self.communicate(timeout=START_S)
        err = self.said()
        assert self.returncode == code, err
        assert out == ""
        lines = [line for line in err.splitlines() if line.strip()]
        assert len(lines) == 1, err
        assert lines[0].startswith("sungaze: ")
        return lines[0]

    def stopped(self) -> str:
        """What a running server said on stderr, once it was asked to stop and did."""
        self.send_signal(signal.SIGTERM)
        self.communicate(timeout=PATIENCE_S)
        assert self.returncode == 0, self.said()
        assert "Traceback" not in self.said(), self.said()
        return self.said()


Starts = Callable[..., Started]


@pytest.fixture
def start() -> Iterator[Starts]:
    """Starts commands; what still runs at the end of a test is ended."""
    started: list[Started] = []

    def start_one(
        home: Path, *words: str, before: list[str] | None = None, env: dict[str, str] | None = None
    ) -> Started:
        started.append(Started(home, *words, before=before, env=env))
        return started[-1]

    yield start_one
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait(PATIENCE_S)
        process.complaints.close()
        if process.stdout is not None:
            process.stdout.close()


@pytest.fixture
def shut(tmp_path: Path) -> Iterator[Path]:
    """A folder that may not be written."""
    folder = tmp_path / "shut"
    folder.mkdir()
    folder.chmod(0o500)
    yield folder
    folder.chmod(0o700)


# -- permissions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["--server"], ["--server", "--demo"], []])
def test_a_home_that_may_not_be_written_is_said(start: Starts, tmp_path: Path, shut: Path, words: list[str]) -> None:
    env = environment(shut, DISPLAY="", WAYLAND_DISPLAY="")
    said = start(tmp_path, *words, before=WITHOUT_ROOTS_RIGHTS, env=env).ended(2)
    assert re.search(r"cannot be written|no display", said), said
    assert list(shut.iterdir()) == []


def test_a_data_folder_that_may_not_be_written_is_said(start: Starts, tmp_path: Path, shut: Path) -> None:
    said = start(tmp_path, "--server", "--data-dir", str(shut), before=WITHOUT_ROOTS_RIGHTS).ended(2)
    assert f"The data folder {shut} cannot be written (Permission denied). Nothing was changed" in said


@pytest.mark.parametrize("name", ["sungaze.db", "secrets.json", "lock", ".env", "queue.db"])
def test_a_file_of_the_data_folder_that_may_not_be_read_is_named(start: Starts, tmp_path: Path, name: str) -> None:
    Sungaze(tmp_path / "data").stop()
    file = tmp_path / "data" / name
    if not file.exists():
        file.write_text("{}" if name == "secrets.json" else "")
    file.chmod(0)
    said = start(tmp_path, "--server", "--data-dir", "data", before=WITHOUT_ROOTS_RIGHTS).ended(2)
    assert str(tmp_path / "data") in said
    assert re.search(r"cannot be (read|written|used)|Nothing was", said)
    file.chmod(0o600)
    again = start(tmp_path, "--server", "--data-dir", "data")
    again.line()
    again.stopped()


def test_logs_that_cannot_be_written_are_said_once_and_stop_nothing(start: Starts, tmp_path: Path, shut: Path) -> None:
    env = environment(tmp_path, XDG_STATE_HOME=str(shut))
    process = start(tmp_path, "--server", before=WITHOUT_ROOTS_RIGHTS, env=env)
    process.line()
    assert process.stopped().count("cannot be written: Permission denied. Sungaze goes on.") == 1


# -- a home ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("home", [None, ""])
def test_without_home_the_systems_own_word_for_it_is_taken(start: Starts, tmp_path: Path, home: str | None) -> None:
    env = environment(tmp_path, XDG_DATA_HOME=str(tmp_path / "x"), XDG_STATE_HOME=str(tmp_path / "s"))
    del env["HOME"]
    process = start(tmp_path, "--server", env=env | ({} if home is None else {"HOME": home}))
    process.line()
    process.stopped()
    assert (tmp_path / "x" / "sungaze" / "sungaze.db").is_file()
    assert (tmp_path / "s" / "sungaze" / "log" / "sungaze.log").is_file()


NOBODY = "import pwd\ndef none(*_): raise KeyError\npwd.getpwuid = none\nfrom sungaze.cli import main\nmain()"


def test_without_home_and_without_a_user_of_this_number_a_folder_is_asked_for(tmp_path: Path) -> None:
    env = environment(tmp_path)
    del env["HOME"]
    done = subprocess.run([sys.executable, "-c", NOBODY, "--server"], cwd=tmp_path, env=env, capture_output=True,
                          text=True, timeout=START_S)  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "HOME is not set" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_it_runs_from_and_in_paths_with_spaces_and_letters_of_any_kind(start: Starts, tmp_path: Path) -> None:
    place = tmp_path / "Süd Dach ☀ 100%#?"
    place.mkdir()
    shutil.copytree(TOP / "sungaze", place / "sungaze", ignore=shutil.ignore_patterns("__pycache__"))
    env = environment(place, PYTHONPATH=str(place), SUNGAZE_TOKEN=TOKEN)
    process = start(place, "--server", env=env)
    address = process.line().partition("/#")[0]
    answer = httpx.get(f"{address}/api/about", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)
    process.stopped()
    assert answer.json()["data_folder"] == str(place / ".local/share/sungaze")
    done = subprocess.run([*COMMAND, "export", "-o", "größe 1.csv"], cwd=place, env=env, capture_output=True, text=True,
                          timeout=START_S)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (place / "größe 1.csv").is_file()


# -- damaged files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"1": {"credentials": 7}}'])
def test_a_damaged_file_of_secrets_is_said_at_the_start_and_left_as_it_is(
    start: Starts, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "data").mkdir()
    file = tmp_path / "data" / "secrets.json"
    file.write_bytes(content)
    said = start(tmp_path, "--server", "--data-dir", "data").ended(2)
    assert f"{file} is damaged" in said
    assert "connect your accounts again" in said
    assert file.read_bytes() == content


@pytest.mark.parametrize("content", [b"{", b"\xff" * 40, b'{"pid": 1, "address": "http://127.0.0.1:1", "secret": "x"}'])
def test_a_damaged_or_left_behind_lock_file_stops_nobody(start: Starts, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "lock").write_bytes(content)
    process = start(tmp_path, "--server", "--data-dir", "data")
    process.line()
    process.stopped()


# -- races and sudden ends -------------------------------------------------------------------------------------------


def test_of_five_that_start_at_once_one_runs_and_four_say_so(start: Starts, tmp_path: Path) -> None:
    for _ in range(2):
        processes = [start(tmp_path, "--server", "--data-dir", "data") for _ in range(5)]
        deadline = time.monotonic() + START_S
        while sum(process.poll() is not None for process in processes) < 4:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        (runs,) = (process for process in processes if process.poll() is None)
        for process in processes:
            if process is not runs:
                assert re.search(r"running on \S+ already\. (Open it at http|It is just starting)", process.ended(3))
        address = runs.line().partition("/#")[0]
        assert httpx.get(f"{address}/api/health", trust_env=False).json()["status"] == "ok"
        runs.stopped()


def test_one_that_is_killed_while_it_stops_loses_nothing(tmp_path: Path) -> None:
    for k in range(8):
        one = Sungaze(tmp_path / "data")
        assert one.client.get("/api/settings").json()["theme"] == ("system" if k == 0 else "dark" if k % 2 else "light")
        assert one.client.patch("/api/settings", json={"theme": "light" if k % 2 else "dark"}).status_code == 200
        with one.client.stream("GET", "/api/events") as events:
            next(events.iter_lines())
            one.process.send_signal(signal.SIGTERM)
            time.sleep(k * 0.01)  # another moment of the stop each time
            one.kill()
    last = Sungaze(tmp_path / "data")
    assert last.client.get("/api/settings").json()["theme"] == "light"
    last.stop()
    assert (tmp_path / "data" / "lock").read_text() == ""


# -- a full disk -----------------------------------------------------------------------------------------------------


FULL = "The disk that holds your data is full. Nothing was changed; free some space and try again."


@pytest.mark.parametrize("size", ["4k", "16k", "64k", "128k", "256k"])
def test_a_disk_that_is_full_at_the_start_is_said(start: Starts, tmp_path: Path, size: str) -> None:
    (tmp_path / "disk").mkdir()
    process = start(tmp_path, "--server", "--data-dir", "disk", before=on_a_small_disk(tmp_path / "disk", size))
    assert "full" in process.ended(2)


def test_a_disk_that_fills_up_while_it_runs_stops_nothing_and_is_said(start: Starts, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    process = start(tmp_path, "--server", "--data-dir", "disk", before=on_a_small_disk(tmp_path / "disk", "2m"))
    address = process.line().partition("/#")[0]
    filler = Path(f"/proc/{process.pid}/root{tmp_path / 'disk'}/filler")
    with httpx.Client(
        base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, timeout=60
    ) as client:
        assert client.patch("/api/settings", json={"theme": "dark"}).status_code == 200
        with filler.open("wb", buffering=0) as stream, pytest.raises(OSError, match="No space left"):
            stream.writelines(itertools.repeat(b"x" * 1000))
        answers = [client.patch("/api/settings", json={"theme": "light", "columns": ["age"]}) for _ in range(40)]
        refused = [answer for answer in answers if answer.status_code != 200]
        assert client.get("/api/health").json()["status"] == "ok"
        assert client.get("/api/settings").json()["theme"] in {"dark", "light"}
        assert refused, "the disk is not full"
        assert {(answer.status_code, answer.json()["detail"]) for answer in refused} == {(507, FULL)}, process.said()
        filler.unlink()
        deadline = time.monotonic() + START_S
        while client.patch("/api/settings", json={"theme": "dark"}).status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert client.get("/api/settings").json()["theme"] == "dark"
    process.stopped()


# -- no window -------------------------------------------------------------------------------------------------------

BLOCKER = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"gi", "webview", "cairo", "qtpy", "PyQt6", "PySide6"}:
            raise ImportError(f"{name} is absent here")
sys.meta_path.insert(0, Absent())
"""


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a computer without a display and without anything of the window's."""
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "sitecustomize.py").write_text(BLOCKER)
    paths = os.pathsep.join([str(tmp_path / "absent"), str(TOP)])
    return environment(tmp_path, PYTHONPATH=paths, DISPLAY="", WAYLAND_DISPLAY="", SUNGAZE_TOKEN=TOKEN)


def test_the_server_needs_no_display_and_none_of_the_windows_libraries(
    start: Starts, tmp_path: Path, bare: dict[str, str]
) -> None:
    process = start(tmp_path, "--server", "--data-dir", "data", env=bare)
    address = process.line().partition("/#")[0]
    assert httpx.get(f"{address}/api/sites", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False).is_success
    process.stopped()


def test_the_window_without_its_libraries_is_one_sentence(start: Starts, tmp_path: Path, bare: dict[str, str]) -> None:
    assert "--server" in start(tmp_path, "--data-dir", "data", env=bare).ended(2)


# -- print-url -------------------------------------------------------------------------------------------------------


def test_print_url_prints_the_plain_address_which_asks_for_the_token(start: Starts, tmp_path: Path) -> None:
    process = start(tmp_path, "--server", "--print-url", "--data-dir", "data")
    address = process.line()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
    assert httpx.get(f"{address}/api/health", trust_env=False).json()["status"] == "ok"
    assert httpx.get(f"{address}/api/sites", trust_env=False).status_code == 401
    good = {"Authorization": f"Bearer {TOKEN}"}
    assert httpx.get(f"{address}/api/sites", headers=good, trust_env=False).status_code == 200
    assert "key=" not in process.stopped()


def test_print_url_goes_with_the_server(start: Starts, tmp_path: Path) -> None:
    process = start(tmp_path, "--print-url", "--data-dir", "data")
    process.communicate(timeout=START_S)
    assert process.returncode == 2
    assert "--server" in process.said()


# -- the log ---------------------------------------------------------------------------------------------------------


def test_the_log_is_in_a_file_for_its_owner_and_a_second_start_leaves_it_alone(start: Starts, tmp_path: Path) -> None:
    process = start(tmp_path, "--server", "--data-dir", "data")
    process.line()
    log = tmp_path / "data" / "logs" / "sungaze.log"
    assert "runs at http://127.0.0.1:" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600
    before = log.read_text()
    assert "key=" not in before
    start(tmp_path, "--server", "--data-dir", "data").ended(3)
    assert "running on" not in log.read_text()
    assert log.read_text().startswith(before)
    process.stopped()
    assert json.loads((tmp_path / "data" / "lock").read_text() or "null") is None
