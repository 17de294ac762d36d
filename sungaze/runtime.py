"""Composes the parts, starts them in order and stops them in order within five seconds.

The only place that reads the clock.
"""

from __future__ import annotations

import contextlib
import logging
import shlex
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sungaze import clock
from sungaze.api.app import create_app
from sungaze.api.auth import Guard, Sessions
from sungaze.api.board import Board
from sungaze.api.parts import Parts
from sungaze.config import Settings
from sungaze.errors import ConfigError, NotADatabase, StoreError
from sungaze.folder import Folder
from sungaze.jobs.backups import Backups
from sungaze.jobs.context import Context
from sungaze.jobs.events import Events
from sungaze.jobs.grant import Grants
from sungaze.jobs.judge import judge_fleet
from sungaze.jobs.queue import Queue
from sungaze.jobs.subscriptions import Subscriptions
from sungaze.model import settle_structs
from sungaze.reports.exports import Exports
from sungaze.reports.imports import Imports
from sungaze.serving import Serving, address_of, listen, pages_folder
from sungaze.store import Store
from sungaze.store.backup import DEMO, fault_of, newest_good
from sungaze.vault import SecretStore, Vault, open_vault
from sungaze.vendors import connectors

if TYPE_CHECKING:
    from sungaze.demo import Demo

log = logging.getLogger(__name__)

CHECKED_BYTES: Final = 64 * 2**20
"""The largest file that a start looks through for damage, about half a second; the daily backup reads any."""


class Runtime:
    """One running Sungaze. `base_urls` names vendor addresses that are known at run time only."""

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], float] = time.time,
        base_urls: dict[str, str] | None = None,
        polling: bool = True,
    ) -> None:
        self.settings = settings
        self._now = now
        self._polling = polling
        self._base_urls = base_urls or {}
        self._undo = contextlib.ExitStack()
        self._leave: list[Callable[[], None]] = []
        """Has each part begin to stop, without waiting for it."""
        self.sessions = Sessions(settings.token)
        self.address = ""
        self.context: Context
        self.present: Callable[[], bool] = lambda: False
        """Brings the window to the front; whether there is one."""
        self.said = "Opening your data."
        """How far the start is, as a sentence."""

    def start(self) -> None:
        """Start every part. Raises UserError with what is wrong, and leaves nothing behind then."""
        try:
            self._start()
            # The connection is this thread's, which may end now.
            self.context.store.close()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        settings = self.settings
        folder = Folder(settings)
        self._undo.callback(folder.release)
        vault = open_vault(settings)
        self._undo.callback(vault.close)
        vault.standing()  # raises what is wrong with the file now, not at the first look
        listener = listen(settings.host, settings.port)
        self._undo.callback(listener.close)
        port = listener.getsockname()[1]
        store = self._open_store(checked=folder.left_behind)
        self._undo.callback(store.close)
        if settings.demo and store.memory.get(DEMO, bool) is None:
            store.memory.put(DEMO, True)  # so that a backup of it is known for what it is
        demo = self._start_demo() if settings.demo else None
        events = Events()
        # Open streams end first: the server would wait for them.
        self._leave.append(events.close)
        self.context = Context(
            store=store,
            vault=vault,
            events=events,
            now=self._now,
            base_urls=self._base_urls,
            raw_bytes=settings.raw_mb * 2**20,
            worked_until=store.work.worked_until(),
        )
        trouble = clock.trouble_of(self._now(), self.context.worked_until)
        if trouble:
            log.warning("%s", trouble)
        self._undo.callback(self.context.close)
        board = Board(store, events, self._now, self.context.listening)
        queue = self._open_queue(board)
        grants = Grants(settings.return_port, self._now, lambda: self.present())
        self._undo.callback(grants.stop)
        exports = Exports(settings.database, settings.exports, self._now, lambda: events.publish("exports"))
        self._undo.callback(exports.stop)

        def imported(anew: bool) -> None:
            if anew:
                board.refresh()
            events.publish("everything" if anew else "imports")

        imports = Imports(settings.database, settings.imports, connectors, self._now, imported)
        self._undo.callback(imports.stop)
        parts = Parts(
            context=self.context,
            board=board,
            grants=grants,
            exports=exports,
            imports=imports,
            sessions=self.sessions,
            wake=queue.wake,
            diagnostics=lambda: self._gather(vault),
            port=port,
            demo=settings.demo,
            present=lambda: self.present(),
        )
        connectors()  # the vendors' own among them
        settle_structs()
        app = Guard(create_app(parts, pages_folder()), self.sessions, host=settings.host, port=port)
        serving = Serving(app, listener)
        self._undo.callback(serving.stop)
        self._leave.append(serving.leave)
        if demo is not None:
            demo.renew(self.context)
        if self._polling:
            queue.start()
            self._undo.callback(queue.stop)
            self._leave.append(queue.leave)
            subscriptions = Subscriptions(self.context)
            subscriptions.start()
            self._undo.callback(subscriptions.stop)
            self._leave.append(subscriptions.leave)
            if not settings.demo:
                backups = Backups(self.context, settings.database, settings.backups)
                backups.start()
                self._undo.callback(backups.stop)
                self._leave.append(backups.leave)
        self.address = address_of(settings.host, port)
        threading.Thread(target=self._settle_secrets, name="secrets", daemon=True).start()
        folder.announce(self.address, self.sessions.owner_secret)
        if demo is not None:
            threading.Thread(target=self._connect_demo, args=(demo,), name="demo", daemon=True).start()

    def _open_store(self, *, checked: bool) -> Store:
        """The store. `checked` looks for damage that opening alone does not find.

        Only after a sudden end: after an orderly one nothing new can have come, and the daily backup reads all of it.
        """
        settings = self.settings
        try:
            store = Store(settings.database, self._migrating)
            if checked and settings.database.stat().st_size <= CHECKED_BYTES:
                self.said = "Looking through your data, because the last run ended suddenly."
                fault = fault_of(store.database.peewee.connection())
                if fault:
                    store.close()
                    raise NotADatabase(f"{settings.database} is damaged ({fault}). It was left as it is.")
        except NotADatabase as error:
            raise NotADatabase(f"{error} {self._way_back()}") from None
        return store

    def _way_back(self) -> str:
        self.said = "Looking for a good backup."
        settings = self.settings
        found = newest_good(settings.backups)
        if found is None:
            return (
                f"There is no good backup in {settings.backups}; `sungaze restore FILE` takes one from elsewhere. "
                "Without one, move the file away to begin anew."
            )
        words = ["sungaze", *(["--demo"] if settings.demo else []), "--data-dir", str(settings.data_dir), "restore"]
        command = shlex.join([*words, str(found)])
        return f"The newest good backup takes its place, and the damaged file is kept, by: {command}"

    def _migrating(self, step: int, steps: int) -> None:
        self.said = f"Bringing your data to this version of Sungaze, step {step} of {steps}. Nothing is lost by it."

    def _open_queue(self, board: Board) -> Queue:
        try:
            return Queue(self.context, self.settings.queue, judge=lambda: judge_fleet(self.context, board.seen()))
        except Exception as error:
            raise StoreError(
                f"{self.settings.queue} cannot be used ({error}). It may be deleted; nothing is lost."
            ) from None

    def _gather(self, vault: Vault) -> bytes:
        from sungaze.diagnostics import gather

        return gather(self.settings, vault, self._now())

    def _settle_secrets(self) -> None:
        # Beside everything else: the keyring may bring up a prompt, or not answer at all.
        try:
            self.context.vault.settle()
        except ConfigError as error:
            log.error("%s", error)

    def _start_demo(self) -> Demo:
        from sungaze.demo import Demo

        demo = Demo(self._now)
        self._undo.callback(demo.stop)
        self._base_urls.update(demo.base_urls)
        return demo

    def _connect_demo(self, demo: Demo) -> None:
        try:
            demo.connect(self.context, self.address)
        except Exception:
            if not self.context.events.closed:  # a stop takes its connections away
                log.exception("the demo could not be connected whole")
        finally:
            self.context.store.close()

    def secrets(self) -> SecretStore:
        """Where this folder's credentials are kept."""
        return self.context.vault.standing()

    def link(self, *, window: bool = False) -> str:
        """An address that opens one session."""
        return f"{self.address}/#key={self.sessions.launch_key(window=window)}"

    def stop(self) -> None:
        """Stop every part in reverse order; may be called more than once."""
        # Each is waited for in its turn; together they must not take longer than the slowest of them.
        for leave in self._leave:
            leave()
        self._undo.close()
