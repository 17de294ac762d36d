"""The executable with a window, as another user with an empty home: seen, read, closed, gone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from packed import START_S, Packed, as_stranger, wait_until, without_desktop
from program import STOP_S, TOP
from screen import COLOURS, colours, read
from x11 import ask_to_close, windows

pytestmark = [pytest.mark.dist, pytest.mark.timeout(300)]


def test_the_demo_is_on_the_screen_and_closing_the_window_ends_all_of_it(
    room: Path, display: str, start: Callable[..., Packed]
) -> None:
    shots = TOP / "out" / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    picture = shots / "dist-demo.png"
    program = start(room, "--demo", display=display)
    words = ("Fleet", "Alerts", "Accounts", "Enphase")

    def fleet_is_shown() -> bool:
        assert program.process.poll() is None, program.words()
        return colours(display, picture) > COLOURS and all(word in read(picture) for word in words)

    # Reading a picture takes a core for seconds, which the program wants just then.
    wait_until(fleet_is_shown, START_S, lambda: f"{read(picture)}\n{program.words()}", every_s=2)
    (window,) = [one for name, one in windows(display).items() if "Sungaze" in name]
    assert len(program.processes()) > 1
    assert len(program.unpacked()) == 1
    began = time.monotonic()
    ask_to_close(display, window)
    assert program.ended() == 0
    assert time.monotonic() - began < STOP_S
    assert program.unpacked() == []
    assert program.said.read() == ""


def test_a_browser_that_it_starts_does_not_get_its_libraries(
    room: Path, display: str, start: Callable[..., Packed]
) -> None:
    program = start(room, display=display)
    own: dict[str, str] = {}

    def web_view_runs() -> bool:
        for pid in program.processes():
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                own[name] = Path(f"/proc/{pid}/environ").read_text(errors="replace")
            except OSError:
                continue  # a child that lives for a moment only
        return any(name.startswith("WebKitWeb") for name in own)

    wait_until(web_view_runs, START_S, lambda: f"{own.keys()}\n{program.words()}")
    for name, environment in own.items():
        if name.startswith("WebKit"):
            assert "LD_LIBRARY_PATH" not in environment
            assert "TMPDIR=" in environment
    assert program.stop() == 0


def test_a_missing_web_view_is_told_with_the_packages_that_bring_it(room: Path, display: str) -> None:
    stranger = {"HOME": str(room / "home"), "PATH": "/usr/bin:/bin", "DISPLAY": display, "TMPDIR": str(room / "tmp")}
    done = subprocess.run(
        without_desktop(as_stranger([str(room / "sungaze")])), cwd=room / "elsewhere", env=stranger,
        capture_output=True, text=True, timeout=START_S,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    for words in ("GTK 3 and WebKitGTK 4.1", "gir1.2-webkit2-4.1 gir1.2-gtk-3.0", "sungaze --server"):
        assert words in line
