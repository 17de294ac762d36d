"""A screen, and a folder of a stranger's with the executable in it. These need `make dist` and root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packed import DIST, STRANGER, Packed


@pytest.fixture(autouse=True, scope="session")
def built() -> None:
    if os.geteuid() != 0:
        pytest.fail("Only root can be another user and hide what a computer has: run make test-dist as root.")
    if not (DIST / "sungaze").is_file():
        pytest.fail("There is no executable: make dist")


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """A screen of our own on a free number, open to other users."""
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1400x900x24", "-nolisten", "tcp", "-ac"],
        pass_fds=[writing], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    with os.fdopen(reading) as number:
        shown = number.readline().strip()
    assert shown, "Xvfb did not start"
    yield f":{shown}"
    server.terminate()
    server.wait()


def _room(name: str) -> Path:
    # Not pytest's own folder: nobody but its user may go through that.
    top = Path(tempfile.mkdtemp(prefix="sungaze-dist-"))
    top.chmod(0o755)
    room = top / name
    stranger = pwd.getpwnam(STRANGER)
    for folder in (room, room / "home", room / "tmp", room / "elsewhere"):
        folder.mkdir()
        os.chown(folder, stranger.pw_uid, stranger.pw_gid)
    shutil.copy(DIST / "sungaze", room / "sungaze")
    return room


@pytest.fixture
def room() -> Iterator[Path]:
    made = _room("room")
    yield made
    shutil.rmtree(made.parent)


@pytest.fixture
def odd_room() -> Iterator[Path]:
    made = _room("Büro für Söhne & 太陽")
    yield made
    shutil.rmtree(made.parent)


@pytest.fixture
def start() -> Iterator[Callable[..., Packed]]:
    """Start the program; ended at the end, whatever became of the test."""
    running: list[Packed] = []

    def begin(*words: Any, **options: Any) -> Packed:
        running.append(Packed(*words, **options))
        return running[-1]

    yield begin
    for one in running:
        one.close()
