"""The program as one file or as a folder: what differs from a checkout.

Only the standard library is imported here: this runs before anything else.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import IO, Final

if sys.platform != "win32":
    import fcntl

MARK: Final = "sungaze.mark"
"""In every unpacked folder of ours, and in nobody else's."""
HELD: Final = "sungaze.running"
"""Locked by the program that runs from the folder, as long as it does."""
UNPACKED: Final = "_MEI"
STARTING_S: Final = 600
"""A folder that nobody holds yet may be one that is just being unpacked; not after this."""
_LIBRARIES: Final = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH")

_held: IO[str] | None = None


def is_frozen() -> bool:
    """Whether this is the packed program, not a checkout or an installed wheel."""
    return bool(getattr(sys, "frozen", False))


def window_advice() -> str:
    """How the window's library is installed on Linux, for the way in which this program came."""
    if is_frozen():
        return "On Debian and Ubuntu: sudo apt-get install gir1.2-webkit2-4.1 gir1.2-gtk-3.0."
    if (Path(__file__).parent / "web").is_dir():
        return (
            "On Debian and Ubuntu: sudo apt-get install gir1.2-webkit2-4.1 gir1.2-gtk-3.0 libgirepository1.0-dev "
            "libcairo2-dev pkg-config gcc, then pip install 'PyGObject<3.51' pycairo."
        )
    return "`make setup` installs it."


def begin() -> None:
    """Put the environment in order, and clear away what killed runs left. Once, before anything else is imported."""
    if not is_frozen():
        return
    restore_environment(os.environ)
    unpacked = Path(str(getattr(sys, "_MEIPASS", "")))
    if unpacked.name.startswith(UNPACKED):
        hold(unpacked)
        clear_leftovers(unpacked, time.time())


def restore_environment(environ: MutableMapping[str, str]) -> None:
    """Give the programs that we start the library path that we were started with.

    The packed program runs with its own libraries in front; a browser or WebKitGTK's processes would load them.
    """
    for name in _LIBRARIES:
        before = environ.pop(f"{name}_ORIG", None)
        if before:
            environ[name] = before
        else:
            environ.pop(name, None)


def hold(folder: Path) -> None:
    """Mark an unpacked folder as in use until this process ends, however it ends."""
    global _held
    if sys.platform == "win32":
        return  # a running program's files cannot be deleted there
    try:
        stream = (folder / HELD).open("w", encoding="ascii")
    except OSError:
        return  # a full disk: the folder is taken for one of an unknown state, and left alone
    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    _held = stream


def clear_leftovers(own: Path, now: float) -> list[Path]:
    """Delete the unpacked folders beside `own` that killed runs of this user's left; those that were there.

    What another user owns, another program unpacked or a running one holds is left alone. Never raises.
    """
    try:
        beside = [Path(entry.path) for entry in os.scandir(own.parent) if entry.name.startswith(UNPACKED)]
    except OSError:
        return []
    left = [folder for folder in beside if folder != own and _is_left(folder, now)]
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return left


def _is_left(folder: Path, now: float) -> bool:
    try:
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or not (folder / MARK).is_file():
            return False
        if sys.platform == "win32":
            return _is_free_on_windows(folder, now - status.st_mtime)
        if status.st_uid != os.getuid():
            return False
        try:
            with (folder / HELD).open("r", encoding="ascii") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except FileNotFoundError:
            return now - status.st_mtime > STARTING_S
    except OSError:
        return False


def _is_free_on_windows(folder: Path, age_s: float) -> bool:
    """Whether no process runs from the folder: a library that is loaded cannot be renamed over."""
    if age_s < STARTING_S:
        return False
    trial = folder.with_name(f"{folder.name}-left")
    try:
        folder.rename(trial)
        trial.rename(folder)
    except OSError:
        return False
    return True
