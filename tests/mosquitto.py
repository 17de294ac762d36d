"""A real mosquitto on a loopback port, started and ended by its own pid."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

USER, PASSWORD = "gateway", "a-broker-password-0001"
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


def free_port() -> int:
    """A port that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Mosquitto:
    """A broker that keeps its sessions over `stop` and `start`; a context manager."""

    def __init__(self, folder: Path, *, password: bool = True) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        lines = [
            f"listener {self.port} 127.0.0.1", "user root", "persistence true", f"persistence_location {folder}/",
            "autosave_interval 1", "autosave_on_changes true", "log_type none", "max_queued_messages 0",
        ]  # fmt: skip
        if password:
            subprocess.run(
                ["mosquitto_passwd", "-b", "-c", str(folder / "users"), USER, PASSWORD], check=True, capture_output=True
            )
            lines += ["allow_anonymous false", f"password_file {folder}/users"]
        else:
            lines.append("allow_anonymous true")
        (folder / "broker.conf").write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        """Start and wait until the port answers."""
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", str(self._folder / "broker.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.02)
        raise RuntimeError(f"mosquitto did not start: {self._process.stderr.read() if self._process.stderr else b''!r}")

    def stop(self) -> None:
        """End it by its own handle."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            if self._process.stderr:
                self._process.stderr.close()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
