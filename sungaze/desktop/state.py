"""What the window looked like when it was last open: `window.json` in the data folder.

Nothing depends on it: a file that is missing, damaged or of another version gives the window's own beginnings.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

log = logging.getLogger(__name__)

WIDTH: Final = 1280
HEIGHT: Final = 800
MIN_WIDTH: Final = 360
MIN_HEIGHT: Final = 480
ZOOMS: Final = (0.5, 0.67, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)
GRIP: Final = 64
"""How much of a window's top edge has to lie on a screen, in pixels, for a person to take hold of it."""
MAX_BYTES: Final = 4096
"""A file larger than this is none of ours."""
FILE: Final = "window.json"

_Length = Annotated[int, Meta(ge=1, le=100_000)]
_Offset = Annotated[int, Meta(ge=-100_000, le=100_000)]


class Screen(NamedTuple):
    """The usable part of a screen, in the pixels that windows are placed in."""

    x: int
    y: int
    width: int
    height: int


class WindowState(msgspec.Struct, frozen=True):
    """Size and place in pixels, of the window when it is not maximised; no place means in the middle."""

    width: _Length = WIDTH
    height: _Length = HEIGHT
    x: _Offset | None = None
    y: _Offset | None = None
    maximised: bool = False
    zoom: Annotated[float, Meta(ge=ZOOMS[0], le=ZOOMS[-1])] = 1.0


def read_state(folder: Path) -> WindowState:
    """What was kept, or a window's beginnings."""
    try:
        with (folder / FILE).open("rb") as stream:
            return msgspec.json.decode(stream.read(MAX_BYTES + 1), type=WindowState)
    except FileNotFoundError:
        return WindowState()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.info("The window begins anew, its %s could not be read: %s", FILE, error)
        return WindowState()


def write_state(folder: Path, state: WindowState) -> bool:
    """Keep it, whole or not at all; whether it was kept. A full disk only means that the window begins anew."""
    part = folder / f"{FILE}.{os.getpid()}.part"
    try:
        part.write_bytes(msgspec.json.encode(state))
        part.replace(folder / FILE)
    except OSError as error:
        log.info("The window's place was not kept: %s", error)
        with contextlib.suppress(OSError):
            part.unlink()
        return False
    return True


def fitted(state: WindowState, screens: Sequence[Screen]) -> WindowState:
    """The state on the screens that are there: no larger than the largest, and where it can be taken hold of."""
    if not screens:
        return msgspec.structs.replace(state, x=None, y=None)
    width = max(MIN_WIDTH, min(state.width, max(screen.width for screen in screens)))
    height = max(MIN_HEIGHT, min(state.height, max(screen.height for screen in screens)))
    x, y = state.x, state.y
    if x is None or y is None or not any(_holds(screen, x, y, width) for screen in screens):
        x = y = None
    return msgspec.structs.replace(state, width=width, height=height, x=x, y=y)


def _holds(screen: Screen, x: int, y: int, width: int) -> bool:
    shared = min(x + width, screen.x + screen.width) - max(x, screen.x)
    return shared >= GRIP and screen.y <= y <= screen.y + screen.height - GRIP


def zoomed(zoom: float, by: int) -> float:
    """The zoom so many steps larger or smaller; 0 is the usual one."""
    if by == 0:
        return 1.0
    nearest = min(range(len(ZOOMS)), key=lambda n: abs(ZOOMS[n] - zoom))
    return ZOOMS[max(0, min(len(ZOOMS) - 1, nearest + by))]
