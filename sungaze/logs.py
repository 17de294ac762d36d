"""Logs: to stderr for every command, and of the program that owns the data folder to files that are turned over."""

from __future__ import annotations

import logging
import os
import sys
import time
from logging.handlers import MemoryHandler, RotatingFileHandler
from pathlib import Path
from typing import IO, Any, Final

MOST_BYTES: Final = 1_000_000
FILES: Final = 5
NAME: Final = "sungaze.log"
EARLY: Final = 10_000
"""How many lines are held back until the folder of the logs is known to be ours."""
SELDOM_S: Final = 60.0
_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
# Some of them print whole addresses, keys and all.
_NOISY: Final = ("httpx", "httpcore", "huey", "huey.consumer", "uvicorn", "uvicorn.error", "litestar", "keyring")


def log_to_stderr(level: str) -> None:
    """Have everything of this level and above on stderr."""
    logging.basicConfig(stream=sys.stderr, level=level.upper(), format=_FORMAT)
    logging.getLogger("huey.consumer.Worker").addFilter(_Seldom())
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def hold_back() -> MemoryHandler:
    """A handler that gathers what is logged until `log_to_files` knows where to: a start that fails leaves no files."""
    early = MemoryHandler(EARLY, flushLevel=logging.CRITICAL + 1, flushOnClose=False)
    logging.getLogger().addHandler(early)
    return early


def log_to_files(early: MemoryHandler, folder: Path, first: str) -> LogFile:
    """The handler that writes to a folder from now on: first a line of its own, then what was held back."""
    file = LogFile(folder / NAME)
    file.handle(logging.LogRecord("sungaze", logging.INFO, "", 0, first, None, None))
    early.setTarget(file)
    early.flush()
    root = logging.getLogger()
    root.removeHandler(early)
    early.close()
    root.addHandler(file)
    return file


class LogFile(RotatingFileHandler):
    """Five files of a megabyte, for their owner alone. One that cannot be written is said once, and stops nothing."""

    def __init__(self, path: Path) -> None:
        self._said = False
        super().__init__(path, maxBytes=MOST_BYTES, backupCount=FILES - 1, encoding="utf-8", delay=True)
        self.setFormatter(logging.Formatter(_FORMAT))

    def _open(self) -> Any:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        stream: IO[str] = open(self.baseFilename, self.mode, encoding=self.encoding, opener=_private)  # noqa: SIM115 - the handler closes it
        return stream

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Say it once on stderr. What does not fit is lost; the program goes on."""
        if self._said:
            return
        self._said = True
        reason = getattr(sys.exc_info()[1], "strerror", None) or "it cannot be used"
        print(f"The log file {self.baseFilename} cannot be written: {reason}. Sungaze goes on.", file=sys.stderr)  # noqa: T201

    def close(self) -> None:
        """Close the file; what a full disk does not take any more is let go."""
        try:
            super().close()
        except OSError:
            self.stream = None


class _Seldom(logging.Filter):
    """The queue's workers look many times a second: with a full disk each look would add its traceback to the log."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this was not said within the last minute; without its traceback, which tells of the queue only."""
        if record.exc_info and record.exc_info[1] is not None:
            record.msg = f"{record.msg} (%s)"
            record.args = (*(record.args if isinstance(record.args, tuple) else ()), record.exc_info[1])
            record.exc_info = None
        words = record.getMessage()
        now = time.monotonic()
        if now - self._said.get(words, -SELDOM_S) < SELDOM_S:
            return False
        self._said = {words: now}
        return True


def log_files(folder: Path) -> list[Path]:
    """The log files that are there, the newest first."""
    found = [folder / NAME, *(folder / f"{NAME}.{k}" for k in range(1, FILES))]
    return [path for path in found if path.is_file()]


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
