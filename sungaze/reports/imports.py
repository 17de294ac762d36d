"""Files that were sent to be imported: looked at, then taken in beside everything else, one at a time.

A file lies in a folder of its own until it is imported or taken back; what a start finds there is of an earlier one and
is deleted. What reads files is imported by the first one that comes: a start has no use for it.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import shutil
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from sungaze.errors import NotFound, UserError
from sungaze.store import Store

if TYPE_CHECKING:
    from sungaze.reports.csv_import import Intake
    from sungaze.reports.portal import Wish

log = logging.getLogger(__name__)

LARGEST: Final = 50_000_000
"""Bytes of a file; larger ones go by the command line."""
MOST: Final = 20


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is to be read. A canonical one needs nothing; `wish` None takes the mapping kept for its header."""

    site: int | None = None
    wish: Wish | None = None
    said: dict[str, Any] = {}
    replace: bool = False


class Import(msgspec.Struct, kw_only=True):
    """A file on its way in. `state` is ready, running, done, failed or stopped; `said` are sentences on its end.

    `columns` are those of a portal's table, `is_known` says that a mapping is kept for them.
    """

    id: str
    name: str
    state: str = "ready"
    is_canonical: bool = False
    is_known: bool = False
    columns: list[str] = []
    lines: int = 0
    share: float = 0.0
    said: list[str] = []


class _Stopped(Exception):
    """The import is to end here; what was written is kept."""


class Imports:
    """The imports of one data folder."""

    def __init__(
        self,
        database: Path,
        folder: Path,
        vendors: Callable[[], Collection[str]],
        now: Callable[[], float],
        changed: Callable[[bool], None],
    ) -> None:
        """`changed` is called when one has got further, with whether there are new values by now."""
        self._database = database
        self._folder = folder
        self._vendors = vendors
        self._now = now
        self._changed = changed
        self._lock = threading.Lock()
        self._known: dict[str, Import] = {}
        self._thread: threading.Thread | None = None
        shutil.rmtree(folder, ignore_errors=True)

    def new_file(self) -> tuple[str, Path]:
        """An id and where its file is to be written. Raises UserError where too many lie there already."""
        with self._lock:
            if len(self._known) >= MOST:
                raise UserError(f"{MOST} files lie here already. Nothing was taken; delete some of them first.")
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        id = secrets.token_hex(8)
        return id, self._folder / id

    def add(self, store: Store, id: str, name: str) -> Import:
        """What a file that was written is. Raises UserError, and the file is gone then."""
        from sungaze.reports import portal_import
        from sungaze.reports.csv_import import is_canonical
        from sungaze.reports.text_files import first_line

        path = self._folder / id
        try:
            found = Import(id=id, name=name, is_canonical=is_canonical(first_line(path)))
            if not found.is_canonical:
                table = portal_import.table_of(path)
                found.columns = [column for column in table.names if column]
                with contextlib.suppress(UserError):
                    portal_import.choose(store, table, None, None, {})
                    found.is_known = True
        except UserError as error:
            path.unlink(missing_ok=True)
            raise UserError(_by_name(error, path, name)) from None
        with self._lock:
            self._known[id] = found
        return found

    def get(self, id: str) -> Import:
        """One of them. Raises NotFound."""
        with self._lock:
            if id not in self._known:
                raise NotFound("There is no such import, or its file was deleted.")
            return self._known[id]

    def preview(self, store: Store, id: str, wanted: Wanted) -> list[str]:
        """What an import would give, as lines of text; nothing is written. Raises NotFound and UserError."""
        from sungaze.reports import portal_import

        found, path = self.get(id), self._folder / id
        if found.is_canonical:
            return []
        table = portal_import.table_of(path)
        choice = portal_import.choose(store, table, wanted.wish, None, wanted.said)
        intake, key = self._intake(store, wanted)
        tz = portal_import.settle_zone(store, intake, key)
        return portal_import.told(portal_import.look(path, intake, key, choice, table, tz), choice.mapping, tz)

    def run(self, id: str, wanted: Wanted) -> Import:
        """Have it imported. Raises NotFound, and UserError where another one runs."""
        found = self.get(id)
        with self._lock:
            if any(one.state == "running" for one in self._known.values()):
                raise UserError("An import is running. This one was not begun; wait for it, or stop it.")
            found.state, found.said, found.share = "running", [], 0.0
            self._thread = threading.Thread(target=self._run, args=(found, wanted), name="imports", daemon=True)
            self._thread.start()
        self._changed(False)
        return found

    def remove(self, id: str) -> None:
        """Stop one that runs, or delete its file. Raises NotFound."""
        found = self.get(id)
        with self._lock:
            if found.state == "running":
                found.state = "stopped"
            else:
                self._known.pop(id, None)
                (self._folder / id).unlink(missing_ok=True)
        self._changed(False)

    def stop(self, timeout_s: float = 2.0) -> None:
        """Take no further; what was written is kept."""
        with self._lock:
            for found in self._known.values():
                if found.state == "running":
                    found.state = "stopped"
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _intake(self, store: Store, wanted: Wanted) -> tuple[Intake, tuple[str, str]]:
        from sungaze.reports.csv_import import Intake
        from sungaze.reports.portal_import import site_key

        if wanted.site is None:
            raise UserError("It is not said which site it is of. Nothing was imported; choose one.")
        return Intake(store, self._now(), replace=wanted.replace), site_key(store, str(wanted.site), ())

    def _run(self, found: Import, wanted: Wanted) -> None:
        from sungaze.reports import portal_import
        from sungaze.reports.csv_import import Intake, import_csv

        store: Store | None = None
        intake: Intake | None = None
        told = self._now()

        def progress(lines: int, share: float) -> None:
            nonlocal told
            found.lines, found.share = lines, share
            if found.state != "running":
                raise _Stopped
            if self._now() - told > 1.0:
                told = self._now()
                self._changed(False)

        try:
            store = Store(self._database)
            path = self._folder / found.id
            if found.is_canonical:
                intake = Intake(store, self._now(), replace=wanted.replace)
                outcome = import_csv(path, intake, self._vendors(), progress)
            else:
                table = portal_import.table_of(path)
                choice = portal_import.choose(store, table, wanted.wish, None, wanted.said)
                intake, key = self._intake(store, wanted)
                tz = portal_import.settle_zone(store, intake, key)
                portal_import.remember(store, choice)
                outcome = portal_import.import_portal(path, intake, key, choice, table, tz, progress)
            found.lines, found.share, found.said, found.state = outcome.lines, 1.0, outcome.sentences(), "done"
        except _Stopped:
            found.said = ["It was stopped. What was written until then is kept; import the file again to go on."]
            found.said += intake.outcome.sentences() if intake is not None else []
        except UserError as error:
            found.state, found.said = "failed", [_by_name(error, self._folder / found.id, found.name)]
        except Exception:
            log.exception("an import failed")
            found.state, found.said = "failed", ["It failed; the log tells why. What was written until then is kept."]
        finally:
            if store is not None:
                store.close()
            self._changed(True)


def _by_name(error: UserError, path: Path, name: str) -> str:
    """An error's sentence with the file as its owner calls it."""
    return str(error).replace(str(path), name)
