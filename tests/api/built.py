"""The built executable in the place of a runtime in this process, on a wall clock of the tests' own.

What a test asks of a runtime has the same names here: its address, its launch links, its settings, its store, its end.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from program import COMMAND, TOP, Sungaze, environment

from sungaze.config import Settings
from sungaze.store import Store

_CLOCK = TOP / "tests" / "wall_clock.c"


class _Context:
    """What lies in the data folder, opened beside the program."""

    def __init__(self, database: Path) -> None:
        self.store = Store(database)


class Built:
    """`sungaze --server` as it was built, whose wall clock showed `began` when the monotonic one showed `started`."""

    def __init__(self, folder: Path, *, began: float, started: float, speed: float) -> None:
        library = folder.parent / "wall_clock.so"
        compiler = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(library), str(_CLOCK)]
        subprocess.run(compiler, check=True)
        clock = {"CLOCK_BEGAN": str(began), "CLOCK_STARTED": str(started), "CLOCK_SPEED": str(speed)}
        self._program = Sungaze(folder, LD_PRELOAD=str(library), **clock)
        self.address = self._program.address
        self.settings = Settings(data_dir=folder)
        self.context = _Context(self.settings.database)
        self._stopped = False

    def link(self) -> str:
        """Another link that opens a session: what a second start says."""
        command = [*COMMAND, "--server", "--data-dir", str(self.settings.data_dir)]
        home = environment(self.settings.data_dir.parent)
        second = subprocess.run(command, env=home, capture_output=True, text=True, timeout=30)
        return "http" + second.stderr.rpartition("http")[2].strip()

    def stop(self) -> None:
        """Ask it to stop, and see that it does; a second time is none."""
        if not self._stopped:
            self._stopped = True
            self.context.store.close()
            self._program.stop()
