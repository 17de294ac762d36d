"""`sungaze --demo` as a person starts it with a display: the fleet is in a window, and closing ends everything."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from program import DEMO_SITES, TOP

pytestmark = [pytest.mark.window, pytest.mark.slow, pytest.mark.timeout(180)]

PATIENCE_S = 120
STOP_S = 5
COLOURS = 40
"""A white or an empty window has a handful; the list of the fleet, with its anti-aliased words, has hundreds."""
LOOK = """
import sys
from gi.repository import Gdk
root = Gdk.get_default_root_window()
shot = Gdk.pixbuf_get_from_window(root, 0, 0, root.get_width(), root.get_height())
shot.savev(sys.argv[1], "png", [], [])
pixels, step = shot.get_pixels(), shot.get_n_channels()
print(len({pixels[n:n + 3] for n in range(0, len(pixels) - 3, step * 7)}))
"""


@pytest.fixture
def screen(environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return environment | {"HOME": str(tmp_path)}


@pytest.fixture
def demo(screen: dict[str, str], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "sungaze.cli", "--demo", "--data-dir", str(tmp_path / "data")]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=screen, stdout=subprocess.PIPE, stderr=log, text=True)
    yield process
    if process.poll() is None:
        process.kill()
    process.wait()
    assert process.stdout
    process.stdout.close()


def colours(screen: dict[str, str], file: Path) -> int:
    """Take a picture of the screen, and count its colours."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"import gi; gi.require_version('Gdk', '3.0'){LOOK}", str(file)],
        env=screen, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout)


def sites_of(folder: Path) -> int:
    """How many sites with figures the running program shows."""
    try:
        owner = json.loads((folder / "lock").read_text())
        headers = {"Authorization": f"Bearer {owner['secret']}"}
        items = httpx.get(f"{owner['address']}/api/sites", headers=headers, trust_env=False).json()["items"]
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return 0
    return sum(item["measured_at"] is not None for item in items)


def test_the_fleet_is_in_the_window_and_a_signal_ends_all_of_it(
    demo: subprocess.Popen[str], screen: dict[str, str], tmp_path: Path
) -> None:
    shots = TOP / "out" / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + PATIENCE_S
    while sites_of(tmp_path / "data") < DEMO_SITES or colours(screen, shots / "window-demo.png") < COLOURS:
        assert demo.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.3)
    # A moment more, so that the picture for people has its last update in it.
    time.sleep(1.5)
    assert colours(screen, shots / "window-demo.png") >= COLOURS
    began = time.monotonic()
    demo.send_signal(signal.SIGTERM)
    assert demo.wait(STOP_S) == 0
    assert time.monotonic() - began < STOP_S
    assert demo.stdout
    assert demo.stdout.read() == ""
