"""A screen of our own for every test that opens a window."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

STOP_S = 5


@pytest.fixture(scope="session")
def display() -> Iterator[str]:
    """A screen of our own on a free number."""
    if not shutil.which("Xvfb"):
        pytest.fail("Xvfb is missing: make setup-test")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1400x900x24", "-nolisten", "tcp"],
        pass_fds=[writing], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    with os.fdopen(reading) as number:
        shown = number.readline().strip()
    assert shown, "Xvfb did not start"
    yield f":{shown}"
    server.terminate()
    server.wait(STOP_S)


@pytest.fixture
def environment(display: str) -> dict[str, str]:
    without = {"WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"}
    kept = {name: value for name, value in os.environ.items() if name not in without}
    # Simulated clicks are core events, which GDK hears only when it is told to.
    soft = {"NO_AT_BRIDGE": "1", "LIBGL_ALWAYS_SOFTWARE": "1", "GDK_CORE_DEVICE_EVENTS": "1"}
    return kept | soft | {"DISPLAY": display, "GDK_BACKEND": "x11"}
