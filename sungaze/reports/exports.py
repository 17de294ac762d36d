"""Exports that take their time: written beside everything else, one after the other, each to a file of its own.

What is done is what lies in the folder, so that it is there after a new start as well; a file that was being written
when the program ended is not.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import queue
import re
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import peewee

from sungaze.errors import NotFound
from sungaze.model import Span
from sungaze.reports.csv_export import FIRST, LAST, read_csv
from sungaze.store.database import Database
from sungaze.store.timeseries import TimeSeries

log = logging.getLogger(__name__)

_NAME = re.compile(r"sungaze-[0-9]{8}T[0-9]{6}Z(-[a-z0-9_-]{1,60})?\.csv")
MOST_WAITING: Final = 20


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be exported: of one site or of all, from an instant to another, epoch seconds; None for no bound."""

    site: int | None = None
    start: int | None = None
    end: int | None = None


class Export(msgspec.Struct, kw_only=True):
    """One export. `state` is waiting, running, done, failed or stopped; `name` is its file's."""

    name: str
    what: str
    state: str
    began_at: int
    done: int = 0
    total: int | None = None
    bytes: int = 0
    message: str = ""


class Exports:
    """The exports of one data folder."""

    def __init__(self, database: Path, folder: Path, now: Callable[[], float], changed: Callable[[], None]) -> None:
        """`changed` is called, at most about once a second, when one of them has got further."""
        self._database = database
        self._folder = folder
        self._now = now
        self._changed = changed
        self._lock = threading.Lock()
        self._known: dict[str, Export] = {}
        self._queue: queue.Queue[tuple[Export, Wanted] | None] = queue.Queue(MOST_WAITING)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, wanted: Wanted, what: str, plain: str) -> Export:
        """Have it written next; `what` says in words what it holds, `plain` is a part of its file's name.

        Raises NotFound where too many wait already.
        """
        with self._lock:
            at = dt.datetime.fromtimestamp(self._now(), dt.UTC)
            while (name := f"sungaze-{at:%Y%m%dT%H%M%SZ}-{plain}.csv") in self._known or (self._folder / name).exists():
                at += dt.timedelta(seconds=1)
            export = Export(name=name, what=what, state="waiting", began_at=int(self._now()))
            try:
                self._queue.put_nowait((export, wanted))
            except queue.Full:
                raise NotFound(f"{MOST_WAITING} exports wait already. Let some of them finish first.") from None
            self._known[name] = export
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="exports", daemon=True)
                self._thread.start()
        self._changed()
        return export

    def all(self) -> list[Export]:
        """Every export, the newest first; those of earlier starts are known by their files."""
        with self._lock:
            found = dict(self._known)
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in found and _NAME.fullmatch(path.name):
                    facts = path.stat()
                    found[path.name] = Export(
                        name=path.name, what="", state="done", began_at=int(facts.st_mtime), bytes=facts.st_size
                    )
        return sorted(found.values(), key=lambda export: (-export.began_at, export.name))

    def file(self, name: str) -> Path:
        """The file of one that is done. Raises NotFound."""
        path = self._folder / name
        if not _NAME.fullmatch(name) or not path.is_file():
            raise NotFound("There is no such export, or it is not done yet.")
        return path

    def remove(self, name: str) -> None:
        """Stop one that is being written, or delete its file. Raises NotFound."""
        with self._lock:
            export = self._known.get(name)
            if export is not None and export.state in {"waiting", "running"}:
                export.state = "stopped"
                export.message = "You stopped it; nothing was left behind."
            elif export is not None and export.state in {"failed", "stopped"}:
                del self._known[name]
            else:
                with contextlib.suppress(FileNotFoundError):
                    self.file(name).unlink()
                self._known.pop(name, None)
        self._changed()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Write no further; what was being written is not kept."""
        self._stopping.set()
        with self._lock:
            for export in self._known.values():
                if export.state in {"waiting", "running"}:
                    export.state = "stopped"
        if self._thread is not None:
            with contextlib.suppress(queue.Full):
                self._queue.put_nowait(None)
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            item = self._queue.get()
            if item is None:
                return
            export, wanted = item
            if export.state == "waiting":
                export.state = "running"
                self._write(export, wanted)
                self._changed()

    def _write(self, export: Export, wanted: Wanted) -> None:
        part = self._folder / f"{export.name}.part"
        store: Database | None = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            store = Database(self._database)
            export.total = TimeSeries(store).count(
                wanted.site,
                Span(FIRST if wanted.start is None else wanted.start, LAST if wanted.end is None else wanted.end),
            )
            told = self._now()
            with part.open("w", encoding="utf-8", newline="") as stream:
                for lines in read_csv(store, site=wanted.site, start=wanted.start, end=wanted.end):
                    if export.state != "running":
                        return
                    stream.writelines(lines)
                    export.done += len(lines)
                    export.bytes = stream.tell()
                    if self._now() - told > 1.0:
                        told = self._now()
                        self._changed()
                stream.flush()
                os.fsync(stream.fileno())
            # The header is a line and no value.
            export.done = max(0, export.done - 1)
            with self._lock:
                if export.state == "running":
                    part.replace(self._folder / export.name)
                    export.state = "done"
        except OSError as error:
            export.state = "failed"
            export.message = (
                f"The file could not be written ({error.strerror}). Nothing was left behind; make room and try again."
            )
        except (sqlite3.DatabaseError, peewee.DatabaseError) as error:
            export.state, export.message = "failed", f"The database could not be read ({error}). Nothing was written."
        except Exception:
            log.exception("an export failed")
            export.state, export.message = "failed", "It failed; the log tells why. Nothing was left behind."
        finally:
            if store is not None:
                store.close()
            with contextlib.suppress(OSError):
                part.unlink()
