"""A Sungaze as a user starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page

TOP = Path(__file__).parents[2]
STOP_S = 10
WIDE = (1360, 860)
NARROW = (360, 760)

Opens = Callable[..., Page]


class Sungaze:
    """A running `sungaze --server`."""

    def __init__(self, folder: Path, *, demo: bool) -> None:
        command = [sys.executable, "-m", "sungaze.cli", "--server", "--port", "0", "--data-dir", str(folder)]
        self._log = (folder.parent / f"{folder.name}.log").open("wb")
        self.process = subprocess.Popen(
            [*command, *(["--demo"] if demo else [])],
            cwd=TOP,
            env={**os.environ, "HOME": str(folder.parent)},
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self.process.stdout is not None
        self.link = self.process.stdout.readline().strip()
        assert self.link, "sungaze printed no link; its log stands beside the data folder"
        self.address = f"http://{urlsplit(self.link).netloc}"

    def stop(self) -> None:
        """Ask it to stop, and wait."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()
