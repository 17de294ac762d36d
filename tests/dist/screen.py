"""What is on a screen, as somebody before it would see it: colours, words and where they stand; and their mouse."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

COLOURS = 60
"""A window without its page has a handful; words with soft edges have hundreds."""
LOOK = """
import sys, gi
gi.require_version("Gdk", "3.0")
from gi.repository import Gdk
root = Gdk.get_default_root_window()
shot = Gdk.pixbuf_get_from_window(root, 0, 0, root.get_width(), root.get_height())
shot.savev(sys.argv[1], "png", [], [])
# Letters of the screen's size are too small for a machine's eyes.
shot.scale_simple(2 * shot.get_width(), 2 * shot.get_height(), 2).savev(sys.argv[2], "png", [], [])
pixels, step = shot.get_pixels(), shot.get_n_channels()
print(len({pixels[n:n + 3] for n in range(0, len(pixels) - 3, step * 7)}))
"""


def large(file: Path) -> Path:
    """Where a picture is kept at twice its size."""
    return file.with_name(f"{file.stem}-large.png")


def colours(display: str, file: Path) -> int:
    """Take a picture of the screen, and count its colours."""
    command = [sys.executable, "-W", "ignore", "-c", LOOK, str(file), str(large(file))]
    environment = {"DISPLAY": display, "PATH": "/usr/bin:/bin"}
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def read(file: Path) -> str:
    """The words of a picture, by a machine's eyes."""
    if not shutil.which("tesseract"):
        pytest.fail("tesseract is missing: apt-get install tesseract-ocr")
    return "\n".join(_eyes(file))


def _eyes(file: Path, *form: str) -> list[str]:
    """What is read at both sizes: at each it misses other words."""
    # As one block of text: its search for columns takes the table apart, and loses what stands in between.
    looks = [(file, "90"), (large(file), "180")]
    return [
        subprocess.run(
            ["tesseract", str(one), "-", "--psm", "6", "--dpi", dpi, *form], capture_output=True, text=True, check=True
        ).stdout
        for one, dpi in looks
    ]


def place_of(file: Path, word: str) -> tuple[int, int] | None:
    """The middle of the topmost place where a picture has a word."""
    places = []
    for times, found in enumerate(_eyes(file, "tsv"), start=1):
        for line in found.splitlines()[1:]:
            *_, left, top, width, height, _sure, text = line.split("\t")
            # Its last letter runs together with what follows now and then.
            if text.strip().startswith(word[:-1]):
                places.append(((int(top) + int(height) // 2) // times, (int(left) + int(width) // 2) // times))
    return min(places)[::-1] if places else None


def hand(display: str, *words: str) -> bool:
    """Whether it could move, click or type as xdotool does: a window that is just coming cannot have the focus yet."""
    if not shutil.which("xdotool"):
        pytest.fail("xdotool is missing: apt-get install xdotool")
    environment = {"DISPLAY": display, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(["xdotool", *words], env=environment, capture_output=True, timeout=20)
    return done.returncode == 0


def click(display: str, word: str, picture: Path, patience_s: float) -> None:
    """Click on a word once it is on the screen."""
    deadline = time.monotonic() + patience_s
    while True:
        colours(display, picture)
        place = place_of(picture, word)
        if place is not None:
            break
        assert time.monotonic() < deadline, f"“{word}” is not on the screen:\n{read(picture)}"
        time.sleep(1)
    assert hand(display, "mousemove", *map(str, place), "click", "1")
