"""The day's own backup: one file a local day beside the data, the newest seven kept."""

from __future__ import annotations

import datetime as dt
import logging
import re
import sqlite3
import threading
from pathlib import Path
from typing import Final

from sungaze import clock
from sungaze.errors import StoreError
from sungaze.jobs.context import Context
from sungaze.store.backup import Stopped, backup, daily_backups, daily_name

log = logging.getLogger(__name__)

KEPT: Final = 7
FIRST_S: Final = 60.0
"""How long after a start it is first looked for: by then the pages are there."""
EVERY_S: Final = 3_600.0
MARGIN: Final = 256 * 2**20
"""Bytes that a backup leaves free: room for the data itself comes first."""
PAUSE_S: Final = 0.005
"""Rest after each megabyte, for what else wants the disk."""
TROUBLE: Final = "backup"
_FIGURES: Final = re.compile(r"[\d.,]+")


class Backups:
    """Makes the backups of one data folder, by a thread of its own."""

    def __init__(self, context: Context, database: Path, folder: Path) -> None:
        self._context = context
        self._database = database
        self._folder = folder
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backups", daemon=True)
        self._said = ""

    def start(self) -> None:
        """Begin to look whether today's is there."""
        self._thread.start()

    def leave(self) -> None:
        """Begin to stop; what is being copied is not kept."""
        self._stopping.set()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Stop; may be called more than once."""
        self.leave()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        self._stopping.wait(FIRST_S)
        while not self._stopping.is_set():
            try:
                self.look()
            except Exception:
                log.exception("the daily backup stumbled")
            self._stopping.wait(EVERY_S)

    def look(self) -> Path | None:
        """Today's backup, where it was made now. One that fails is said once, and tried again in an hour."""
        now = self._context.now()
        if clock.is_before_made(now):
            return None
        today = dt.datetime.fromtimestamp(now).date()  # the computer's own day: the file is for whoever sits at it
        if today in daily_backups(self._folder):
            return None
        target = self._folder / daily_name(today)
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            # Nobody else writes here, so that every part is a stray.
            for path in self._folder.glob("sungaze-*.part*"):
                path.unlink(missing_ok=True)
            backup(self._database, target, stop=self._stopping.is_set, pause_s=PAUSE_S, margin=MARGIN)
        except Stopped:
            return None
        except (StoreError, OSError, sqlite3.DatabaseError) as error:
            self._say(str(error))
            return None
        self._say("")
        # What bears a later date was made under a clock that stood wrong: it is neither counted nor deleted.
        for day in [day for day in daily_backups(self._folder) if day <= today][KEPT:]:
            (self._folder / daily_name(day)).unlink(missing_ok=True)
        log.info("%s was made", target)
        return target

    def _say(self, why: str) -> None:
        # The room that is free differs each time, and is no other reason.
        reason = _FIGURES.sub("", why)
        if why and reason != self._said:
            log.error("The daily backup could not be made; it is tried again every hour. %s", why)
        self._said = reason
        sentence = f"The daily backup could not be made; it is tried again every hour. {why}" if why else ""
        self._context.tell_trouble(TROUBLE, sentence)
