"""One owner of a data folder, and demo and real data never in the same one."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sungaze.config import Settings
from sungaze.errors import ConfigError, FolderInUse, StoreError
from sungaze.folder import DEMO_MARK, Folder, present, running


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


HOLD = """
import pathlib, sys
from sungaze.config import Settings
from sungaze.folder import Folder
folder = Folder(Settings(data_dir=pathlib.Path(sys.argv[1])))
folder.announce(sys.argv[2], "their-secret")
print("held", flush=True)
sys.stdin.read()
"""
TRY = """
import pathlib, sys
from sungaze.config import Settings
from sungaze.errors import UserError
from sungaze.folder import Folder
try:
    Folder(Settings(data_dir=pathlib.Path(sys.argv[1]))).release()
    print("taken")
except UserError as error:
    print(type(error).__name__, error)
"""


class Other:
    """Another process that owns a folder."""

    def __init__(self, settings: Settings, address: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", HOLD, str(settings.data_dir), address],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "held\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def other(settings: Settings) -> Iterator[Other]:
    one = Other(settings, "http://127.0.0.1:9")
    yield one
    one.kill()


class Running:
    """Something that answers where the owner says it is, and what it was asked."""

    def __init__(self, status: int, body: str) -> None:
        asked = self.asked = list[tuple[str, str]]()

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked.append((self.path, self.headers.get("Authorization", "")))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *arguments: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Answer)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.thread.join(10)
        self.server.server_close()


# -- one owner -------------------------------------------------------------------------------------------------------


def test_a_folder_is_made_for_its_owner_only(settings: Settings) -> None:
    Folder(settings).release()
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE(settings.lock.stat().st_mode) == 0o600


def test_the_lock_tells_who_holds_the_folder_and_where(settings: Settings) -> None:
    folder = Folder(settings)
    folder.announce("http://127.0.0.1:8123", "s")
    owner = running(settings)
    assert owner is not None
    assert (owner.pid, owner.address, owner.secret) == (os.getpid(), "http://127.0.0.1:8123", "s")
    folder.release()
    assert running(settings) is None


def test_a_second_owner_is_told_that_the_first_is_just_starting(settings: Settings) -> None:
    folder = Folder(settings)
    with pytest.raises(FolderInUse, match="just starting") as raised:
        Folder(settings)
    assert raised.value.url is None
    folder.release()


def test_another_process_is_told_where_the_owner_runs(settings: Settings) -> None:
    folder = Folder(settings)
    folder.announce("http://127.0.0.1:9", "s")
    tried = subprocess.run([sys.executable, "-W", "error", "-c", TRY, str(settings.data_dir)], capture_output=True,
                           text=True, timeout=60, check=True)  # fmt: skip
    assert tried.stdout.startswith("FolderInUse")
    assert "Open it at http://127.0.0.1:9" in tried.stdout
    assert running(settings) is not None
    folder.release()


def test_a_second_start_waits_for_a_first_one_that_has_no_address_yet_and_presents_it(settings: Settings) -> None:
    running_one = Running(200, json.dumps({"window": True}))
    folder = Folder(settings)
    later = threading.Timer(0.3, folder.announce, (running_one.address, "owner-secret"))
    later.start()
    assert present(settings)
    assert running_one.asked == [("/api/window/present", "Bearer owner-secret")]
    later.join()
    folder.release()
    running_one.stop()


def test_who_holds_a_folder_is_told_whole_at_every_moment(settings: Settings) -> None:
    folder = Folder(settings)
    done = threading.Event()

    def announce() -> None:
        while not done.is_set():
            folder.announce("http://127.0.0.1:8123", "s" * 43)

    writing = threading.Thread(target=announce)
    writing.start()
    try:
        assert all(running(settings) is not None for _ in range(5_000))
    finally:
        done.set()
        writing.join()
        folder.release()


@pytest.mark.parametrize(
    ("status", "body"), [(200, '{"window": false}'), (403, "{}"), (200, "[]"), (200, "<html>"), (500, "")]
)
def test_an_owner_without_a_window_is_not_taken_for_presented(settings: Settings, status: int, body: str) -> None:
    running_one = Running(status, body)
    folder = Folder(settings)
    folder.announce(running_one.address, "owner-secret")
    assert not present(settings)
    folder.release()
    running_one.stop()


def test_an_owner_that_never_tells_its_address_is_not_waited_for_for_ever(settings: Settings) -> None:
    folder = Folder(settings)
    assert not present(settings, patience_s=0.2)
    folder.release()
    assert not present(settings)


def test_an_owner_that_answers_gives_a_link_of_its_own(settings: Settings) -> None:
    running_one = Running(200, json.dumps({"key": "once"}))
    folder = Folder(settings)
    folder.announce(running_one.address, "owner-secret")
    with pytest.raises(FolderInUse) as raised:
        Folder(settings)
    folder.release()
    running_one.stop()
    assert raised.value.url == f"{running_one.address}/#key=once"
    assert running_one.asked == [("/api/session/link", "Bearer owner-secret")]
    assert "owner-secret" not in str(raised.value)


@pytest.mark.parametrize(("status", "body"), [(403, "{}"), (200, "[]"), (200, "{}"), (200, "<html>"), (500, "")])
def test_an_owner_that_answers_with_something_else_is_named_by_its_address(
    settings: Settings, status: int, body: str
) -> None:
    running_one = Running(status, body)
    folder = Folder(settings)
    folder.announce(running_one.address, "s")
    with pytest.raises(FolderInUse) as raised:
        Folder(settings)
    folder.release()
    running_one.stop()
    assert raised.value.url == running_one.address


@pytest.mark.parametrize("address", ["http://[::", "http://127.0.0.1:notaport", "nonsense"])
def test_an_address_that_is_none_is_still_only_in_use(settings: Settings, address: str) -> None:
    folder = Folder(settings)
    folder.announce(address, "s")
    with pytest.raises(FolderInUse):
        Folder(settings)
    folder.release()


def test_a_folder_given_back_may_be_taken_again(settings: Settings) -> None:
    for _ in range(3):
        Folder(settings).release()


def test_the_folder_of_a_running_process_is_in_use_and_of_a_killed_one_is_free(
    settings: Settings, other: Other
) -> None:
    with pytest.raises(FolderInUse, match=r"http://127\.0\.0\.1:9"):
        Folder(settings)
    other.kill()
    assert running(settings) is not None  # what it wrote is still there, and blocks nobody
    folder = Folder(settings)
    owner = running(settings)
    assert owner is not None
    assert (owner.pid, owner.address) == (os.getpid(), "")
    folder.release()


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"pid": "x"}', "\x00" * 50])
def test_a_lock_file_with_anything_in_it_blocks_nobody(settings: Settings, content: str) -> None:
    settings.data_dir.mkdir()
    settings.lock.write_text(content)
    assert running(settings) is None
    Folder(settings).release()


# -- demo and real ---------------------------------------------------------------------------------------------------


def demo(settings: Settings) -> Settings:
    return Settings(data_dir=settings.data_dir, demo=True)


def test_the_demo_marks_its_folder_and_comes_back_to_it(settings: Settings) -> None:
    for _ in range(2):
        Folder(demo(settings)).release()
        settings.database.touch()
    assert (settings.data_dir / DEMO_MARK).is_file()


def test_the_demo_refuses_a_folder_with_real_data_and_leaves_it_unmarked(settings: Settings) -> None:
    Folder(settings).release()
    settings.database.touch()
    with pytest.raises(ConfigError, match="real data"):
        Folder(demo(settings))
    assert not (settings.data_dir / DEMO_MARK).exists()
    Folder(settings).release()


def test_real_data_does_not_go_into_the_demos_folder(settings: Settings) -> None:
    Folder(demo(settings)).release()
    with pytest.raises(ConfigError, match="belongs to the demo"):
        Folder(settings)
    Folder(demo(settings)).release()


# -- a place that will not do ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "sub", "sub/sub"])
def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path, below: str) -> None:
    file = tmp_path / "file"
    file.write_text("kept")
    with pytest.raises(StoreError, match="is a file, not a folder") as raised:
        Folder(Settings(data_dir=file / below))
    assert str(raised.value).startswith(f"{file} ")
    assert file.read_text() == "kept"


def test_a_lock_that_cannot_be_opened_is_told_in_a_sentence(settings: Settings) -> None:
    settings.lock.mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be written"):
        Folder(settings)


def test_a_mark_that_cannot_be_written_gives_the_folder_back(settings: Settings) -> None:
    (settings.data_dir / DEMO_MARK).mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be written"):
        Folder(demo(settings))
    (settings.data_dir / DEMO_MARK).rmdir()
    Folder(settings).release()


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
"""


def test_a_disk_without_room_for_the_lock_is_told_in_a_sentence(settings: Settings) -> None:
    tried = subprocess.run([sys.executable, "-W", "error", "-c", FULL + TRY, str(settings.data_dir)],
                           capture_output=True, text=True, timeout=60, check=True)  # fmt: skip
    assert tried.stdout.startswith("StoreError")
    assert tried.stderr == ""
