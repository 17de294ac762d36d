"""A Sungaze as a user starts it, and a client that asks its API as a script does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx

TOP = Path(__file__).parents[1]
COMMAND = [os.environ["SUNGAZE_PROGRAM"]] if "SUNGAZE_PROGRAM" in os.environ else [sys.executable, "-m", "sungaze.cli"]
"""What a user types; SUNGAZE_PROGRAM names a built executable to be tested in its place (`make test-dist`)."""
DEMO_SITES = 30
"""12 of Enphase, 8 of SolarEdge, 4 of Tigo, 3 of Generac."""
STOP_S = 5
"""What stopping may take at most."""
TOKEN = "a-token-of-the-tests-0123456789abcdef"


def environment(home: Path, **more: str) -> dict[str, str]:
    """The environment without anything of the developer's own Sungaze."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SUNGAZE_", "XDG_"))}
    return kept | {"HOME": str(home), "SUNGAZE_SECRETS": "file"} | more


def on_a_small_disk(folder: Path, size: str) -> list[str]:
    """Begins a command that sees a disk of its own of this size at `folder`, which goes with it."""
    mount = f'mount -t tmpfs -o size={size},mode=700 tmpfs "$1" && shift && exec "$@"'
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh", str(folder)]


class Sungaze:
    """A running `sungaze --server`; `options` are further words of its command line, `more` of its environment."""

    def __init__(self, folder: Path, *options: str, demo: bool = False, **more: str) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        command = [*COMMAND, "--server", "--port", "0", "--data-dir", str(folder)]
        self.log = folder.parent / f"{folder.name}.log"
        self._log = self.log.open("ab")
        self.process = subprocess.Popen(
            [*command, *(["--demo"] if demo else []), *options],
            cwd=folder.parent,
            env=environment(folder.parent, SUNGAZE_TOKEN=TOKEN, **more),
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert self.process.stdout is not None
        self.link = self.process.stdout.readline().strip()
        assert self.link, f"sungaze printed no link: {self.log.read_text()}"
        self.address = f"http://{urlsplit(self.link).netloc}"
        self.client = httpx.Client(
            base_url=self.address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30, trust_env=False
        )

    def stop(self) -> str:
        """Ask it to stop and wait; what it printed after its link."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(STOP_S)
        return self._end(code, {0})

    def kill(self) -> None:
        """End it as a power cut would."""
        self.client.close()
        self.process.kill()
        self._end(self.process.wait(), {-signal.SIGKILL})

    def _end(self, code: int, expected: set[int]) -> str:
        assert self.process.stdout is not None
        rest = self.process.stdout.read()
        self.process.stdout.close()
        self._log.close()
        assert code in expected, f"exit code {code}: {self.log.read_text()[-2000:]}"
        return rest
