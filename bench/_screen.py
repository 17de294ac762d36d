"""A screen without a monitor whose pixels can be read while programs draw on it, and what a tree of processes uses."""

from __future__ import annotations

import mmap
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

SIZE: Final = "1400x900x24"
EVERY_S: Final = 0.02
STILL_S: Final = 2.0
PATIENCE_S: Final = 60.0
COLOURS: Final = 60
"""A window without its list has a handful; the words of the list, with their soft edges, have hundreds."""
SAME: Final = 0.98
_TICK_S: Final = 1 / os.sysconf("SC_CLK_TCK")


class Screen:
    """Xvfb's picture, read from the file that it draws into: no client of the screen's takes part."""

    def __init__(self, display: str, file: Path) -> None:
        self.display = display
        self._stream = file.open("rb")
        self._map = mmap.mmap(self._stream.fileno(), 0, access=mmap.ACCESS_READ)
        # XWD: a header of 32-bit numbers, then the colours, then the lines.
        head = np.frombuffer(self._map[:100], ">u4")
        self._at, self._height, self._line = int(head[0] + 12 * head[19]), int(head[5]), int(head[12])

    def look(self) -> Any:
        """Every second pixel of every second line, as numbers of 32 bits."""
        end = self._at + self._height * self._line
        return np.frombuffer(self._map[self._at : end], "<u4").reshape(self._height, -1)[::2, ::2]

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
        self._stream.close()


@contextmanager
def screen() -> Iterator[Screen]:
    """A screen of its own on a free number."""
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory() as folder:
        command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", SIZE, "-nolisten", "tcp", "-fbdir", folder]
        server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
        os.close(writing)
        try:
            with os.fdopen(reading) as number:
                display = f":{number.readline().strip()}"
            shown = Screen(display, Path(folder) / "Xvfb_screen0")
            yield shown
            shown.close()
        finally:
            server.terminate()
            server.wait()


def environment(display: str, home: Path) -> dict[str, str]:
    """What a program finds on that screen, and nothing of the developer's own."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
    soft = {"NO_AT_BRIDGE": "1", "LIBGL_ALWAYS_SOFTWARE": "1", "GDK_BACKEND": "x11"}
    return kept | soft | {"DISPLAY": display, "HOME": str(home), "SUNGAZE_LOG": "error"}


@contextmanager
def running(command: Sequence[str], environ: Mapping[str, str], cwd: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a session of its own, by which all its processes are found; stopped at the end."""
    process = subprocess.Popen(command, env=environ, cwd=cwd, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def painted_s(shown: Screen, process: subprocess.Popen[bytes], began: float) -> float:
    """Seconds from `began` until what was drawn by then was 98 % of what then stood still.

    Counted are the pixels that the finished picture does not share with the bare screen. Raises TimeoutError.
    """
    bare = shown.look()
    frames = [(time.perf_counter(), bare)]
    while True:
        now, seen = time.perf_counter(), shown.look()
        if not np.array_equal(seen, frames[-1][1]):
            frames.append((now, seen))
        elif now - frames[-1][0] > STILL_S and len(np.unique(seen)) > COLOURS:
            break
        if process.poll() is not None or now - began > PATIENCE_S:
            raise TimeoutError("the fleet was not painted")
        time.sleep(EVERY_S)
    last = frames[-1][1]
    ground = np.bincount(last.ravel() & 0xFFFFFF).argmax()
    ink = (last & 0xFFFFFF) != ground
    return next(at - began for at, seen in frames if np.mean(seen[ink] == last[ink]) >= SAME)


def processes(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            if int(fields[3]) == session:
                found.append(int(folder.name))
    return found


def cpu_s(session: int) -> float:
    """The processor time that the session's living processes have used."""
    total = 0
    for pid in processes(session):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * _TICK_S


def rss_mb(session: int) -> float:
    """The resident memory of the session's largest process, in MB of 10^6 bytes."""
    return max(_kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Rss") for pid in processes(session)) * 1024 / 1e6


def pss_mb(session: int) -> float:
    """The memory of all the session's processes, what they share counted once, in MB of 10^6 bytes."""
    return sum(_kilobytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss") for pid in processes(session)) * 1024 / 1e6


def _kilobytes(file: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(f"{name}:"))
