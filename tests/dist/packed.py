"""The built executable as somebody else runs it: another user, an empty home, nothing of the developer's around."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from program import STOP_S, TOP

DIST = TOP / "out" / "dist"
STRANGER = "nobody"
START_S = 120
TOKEN = "a-token-of-the-tests-0123456789abcdef"
HIDDEN = (
    "libgtk-3.so*", "libgdk-3.so*", "libwebkit2gtk-*", "libjavascriptcoregtk-*", "libgirepository-*", "libcairo*",
    "libX11*", "libglib-2.0.so*", "libgobject-2.0.so*", "libgio-2.0.so*", "girepository-1.0",
)  # fmt: skip
"""What a computer without a desktop has not."""


def wait_until(true: Callable[[], bool], patience_s: float, what: Callable[[], str], every_s: float = 0.05) -> None:
    """Poll until it is true. Fails with `what` tells."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(every_s)


def as_stranger(command: Sequence[str]) -> list[str]:
    """The command as another user; root only."""
    return ["setpriv", "--reuid", STRANGER, "--regid", "nogroup", "--clear-groups", *command]


def without_desktop(command: Sequence[str]) -> list[str]:
    """The command where no library of a desktop can be loaded; root only."""
    hide = [
        'for one in "$@"; do [ "$one" = -- ] && break;'
        " for found in /usr/lib/*/$one /lib/*/$one; do [ -e $found ] || continue;"
        " if [ -d $found ]; then mount -t tmpfs none $found; else mount --bind /dev/null $found; fi; done; done;"
        ' while [ "$1" != -- ]; do shift; done; shift;'
        ' exec "$@"'
    ]
    return ["unshare", "--mount", "sh", "-c", *hide, "sh", *HIDDEN, "--", *command]


class Packed:
    """A running program in a session of its own; `room` is a folder of the stranger's."""

    def __init__(
        self, room: Path, *words: str, program: str | None = None, display: str | None = None, bare: bool = False,
        home: bool = True, bus: str | None = None,
    ) -> None:  # fmt: skip
        self.room = room
        self.tmp = room / "tmp"
        self.log = room / "log"
        environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(self.tmp), "SUNGAZE_TOKEN": TOKEN}
        if home:
            environment["HOME"] = str(room / "home")
        if display is not None:
            environment |= {"DISPLAY": display, "LIBGL_ALWAYS_SOFTWARE": "1"}
        command = [program or str(room / "sungaze"), *words]
        if bus is None:
            command = as_stranger(command)
        else:
            # A bus lets in its own user only.
            environment["DBUS_SESSION_BUS_ADDRESS"] = bus
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                without_desktop(command) if bare else command, cwd=room / "elsewhere", env=environment,
                stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        self.said = self.process.stdout

    def words(self) -> str:
        """What it has said on its standard error."""
        return self.log.read_text()

    def serving(self) -> httpx.Client:
        """A client of the address that `--server` printed."""
        link = self.said.readline().strip()
        assert link, self.words()
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.Client(base_url=f"http://{urlsplit(link).netloc}", headers=headers, timeout=30, trust_env=False)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal that a session's end or systemd sends, and wait; the exit code."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        """The exit code, once all of its processes are gone. Fails when that takes longer than it may."""
        code: int = self.process.wait(STOP_S)
        wait_until(lambda: not self.processes(), STOP_S, lambda: f"left: {self.processes()}")
        return code

    def kill(self) -> None:
        """End every process of it at once, as a power cut would."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def close(self) -> None:
        """End what a failed test left."""
        self.kill()
        self.said.close()

    def processes(self) -> list[int]:
        """The living processes of its session."""
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
                except OSError:
                    continue
                if int(session) == self.process.pid and state != "Z":
                    found.append(int(folder.name))
        return found

    def unpacked(self) -> list[Path]:
        """The folders that it unpacked itself into and that are still there."""
        return sorted(self.tmp.glob("_MEI*"))
