"""The executable's page and the desktop behind it: a file saved, an alarm told, a first window found, a server elsewhere."""

from __future__ import annotations

import os
import queue
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from bench._store import fill
from packed import START_S, Packed, wait_until
from program import TOP
from screen import click, colours, hand, read
from x11 import leave, windows

pytestmark = [pytest.mark.dist, pytest.mark.timeout(400)]

SERVICES = TOP / "tests" / "desktop" / "bus_program.py"
NOTICE_S = 150
"""The page looks for new alarms once a minute."""


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[str]:
    """The address of a message bus of this test's own."""
    daemon = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address", f"--address=unix:dir={tmp_path}"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert daemon.stdout is not None
    yield daemon.stdout.readline().strip()
    daemon.terminate()
    daemon.wait()
    daemon.stdout.close()


@pytest.fixture
def notices(bus: str) -> Iterator[queue.SimpleQueue[str]]:
    """What a notification server on the bus is asked to show, line by line."""
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    environment = os.environ | {"DBUS_SESSION_BUS_ADDRESS": bus}
    server = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(SERVICES), "2"], env=environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdin is not None
    assert server.stdout is not None
    said = server.stdout
    reader = threading.Thread(target=lambda: [lines.put(line) for line in said])
    reader.start()
    assert "ready" in lines.get(timeout=START_S)
    yield lines
    server.kill()
    server.wait()
    reader.join()
    server.stdin.close()
    said.close()


@pytest.fixture
def picture() -> Path:
    shots = TOP / "out" / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    return shots / "dist-bridge.png"


def titles(display: str) -> list[str]:
    return [name for name in windows(display) if "Sungaze" in name]


def test_a_file_is_saved_from_the_page_by_the_system_s_dialog(
    room: Path, display: str, start: Callable[..., Packed], picture: Path
) -> None:
    program = start(room, "--demo", display=display)
    click(display, "Settings", picture, START_S)
    click(display, "Diagnostics", picture, START_S)

    def dialog_has_the_focus() -> bool:
        dialog = windows(display).get("Save")
        return dialog is not None and hand(display, "windowfocus", str(dialog))

    wait_until(dialog_has_the_focus, START_S, lambda: f"{windows(display)}\n{program.words()}")
    assert hand(display, "key", "Return")
    wait_until(lambda: bool(saved(room)), START_S, lambda: f"{windows(display)}\n{program.words()}")
    with zipfile.ZipFile(saved(room)[0]) as archive:
        assert "README.txt" in archive.namelist()
    assert program.stop() == 0


def saved(room: Path) -> list[Path]:
    return [path for path in room.rglob("*.zip") if room / "tmp" not in path.parents]


def alarm(data: Path, key: str, words: str) -> None:
    """An alarm of a vendor's, as another process that keeps this store would write it."""
    with closing(sqlite3.connect(data / "sungaze.db", timeout=30)) as store, store:
        store.execute(
            "INSERT INTO alert (site_id, device_id, timestamp, severity, code, description, status, vendor_alert_id, "
            "source) VALUES (1, 0, ?, 'critical', 'fault', ?, 'open', ?, 'vendor')",
            (int(time.time()), words, key),
        )


def test_a_new_alarm_is_told_by_the_desktop_and_counted_in_the_title(
    room: Path, display: str, start: Callable[..., Packed], bus: str, notices: queue.SimpleQueue[str]
) -> None:
    data = room / "data"
    data.mkdir()
    fill(data / "sungaze.db", 4, time.time())
    alarm(data, "a-0", "Ground fault")
    program = start(room, "--data-dir", str(data), display=display, bus=bus)
    # The page has said by the bridge how many need somebody, so it has looked at the alarms as well.
    wait_until(
        lambda: any(name.startswith("(") for name in titles(display)), START_S,
        lambda: f"{titles(display)}\n{program.words()}",
    )  # fmt: skip
    leave(display)
    alarm(data, "a-1", "Arc fault on string 2")
    told = notices.get(timeout=NOTICE_S)
    assert "Roof number 0" in told
    assert "Arc fault on string 2" in told
    assert program.stop() == 0


def test_a_second_start_brings_the_first_window_to_the_front(
    room: Path, display: str, start: Callable[..., Packed]
) -> None:
    first = start(room, "--demo", display=display)
    wait_until(lambda: bool(titles(display)), START_S, first.words)
    second = start(room, "--demo", display=display)
    assert second.process.wait(START_S) == 0
    assert "its window is in front now" in second.words()
    assert len(titles(display)) == 1
    assert first.stop() == 0


def test_a_window_on_a_server_elsewhere_shows_its_fleet_and_says_when_it_is_lost(
    room: Path, display: str, start: Callable[..., Packed], picture: Path
) -> None:
    office = start(room, "--demo", "--server", "--data-dir", str(room / "home" / "office"))
    address = str(office.serving().base_url)
    desk = start(room, "--connect", address, display=display)

    def shows(*words: str) -> bool:
        assert desk.process.poll() is None, desk.words()
        colours(display, picture)
        text = read(picture)
        return all(word in text for word in words)

    wait_until(lambda: shows("Fleet", "Enphase"), START_S, lambda: f"{read(picture)}\n{desk.words()}", every_s=2)
    assert office.stop() == 0
    wait_until(lambda: shows("No connection to", "Enphase"), START_S, lambda: read(picture), every_s=2)
    shutil.copy(picture, picture.with_name("dist-lost.png"))
    assert desk.stop() == 0
