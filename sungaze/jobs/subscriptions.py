"""Listening for what comes by itself: one MQTT session for each account that has a broker, and an ear for silence."""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import Final

import msgspec

from sungaze.errors import NeedsReconnect, Unavailable, VendorError
from sungaze.jobs.context import Context, set_account_state
from sungaze.jobs.receive import take_message, watch
from sungaze.model import AccountState
from sungaze.store.database import OperationalError
from sungaze.store.fleet import AccountRow
from sungaze.vendors import connector
from sungaze.vendors._mqtt import Subscriber
from sungaze.vendors.cps import broker_of, prefix_of

log = logging.getLogger(__name__)

ROUND_S: Final = 2.0
WATCH_S: Final = 60.0
FORGET_S: Final = 3_600.0
PATIENCE_S: Final = 60.0
"""How long a broker may be away before the account says so: a restart of it is no trouble."""
AGAIN_S: Final = 30.0
LONGEST_S: Final = 600.0


class _Line(msgspec.Struct):
    """One account's line to its broker: the session while there is one, else when it is tried again."""

    credentials: dict[str, str]
    subscriber: Subscriber | None = None
    retry_at: float = 0.0
    pause_s: float = AGAIN_S
    lost_at: float | None = None


class Subscriptions:
    """The sessions of one process. `start` returns at once; brokers are reached from a thread of its own."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._lines: dict[int, _Line] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="subscriptions", daemon=True)
        self._watched = self._forgot = float("-inf")

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def leave(self) -> None:
        """Begin to stop, without waiting for it."""
        self._stop.set()

    def stop(self, timeout_s: float = 1.5) -> None:
        """End every session; what was not taken is with its broker still."""
        self.leave()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    self.round()
                except OperationalError as error:
                    log.error("The store cannot be read or written (%s); listening goes on.", error)
                except Exception:
                    log.exception("the subscriptions stumbled")
                self._stop.wait(ROUND_S)
        finally:
            for line in self._lines.values():
                if line.subscriber is not None:
                    line.subscriber.stop()
            self._context.store.close()

    def round(self) -> None:
        """Bring the sessions in line with the accounts, and look whether a sender has been silent too long."""
        wanted: dict[int, AccountRow] = {}
        heard: list[AccountRow] = []
        for account in self._context.store.fleet.accounts():
            method = connector(account.vendor).vendor.method(account.method)
            if method is not None and method.way in {"mqtt", "push"} and account.paused_at is None:
                heard.append(account)
                if method.way == "mqtt":
                    wanted[account.id] = account
                else:
                    self._listening(account.id, True)
        for account_id in set(self._lines) - set(wanted):
            self._hang_up(account_id)
        for account in wanted.values():
            if not self._stop.is_set():
                self._keep(account)
        now = time.monotonic()
        if now - self._watched > WATCH_S:
            self._watched = now
            for account in heard:
                watch(self._context, account)
        if now - self._forgot > FORGET_S:
            self._forgot = now
            self._context.store.messages.forget_old(self._context.now())

    def _keep(self, account: AccountRow) -> None:
        """Have an account's session there: opened, tried again later, or told why it cannot be."""
        try:
            credentials = self._context.vault.credentials(account.id, account.vendor)
        except Unavailable as error:
            # In a keyring that is locked: an open session goes on, and the other accounts are none the worse for it.
            if account.id not in self._lines:
                self._set_state(account, AccountState.UNAVAILABLE, str(error))
            return
        line = self._lines.get(account.id)
        if line is None or line.credentials != credentials:
            self._hang_up(account.id)
            line = self._lines[account.id] = _Line(credentials)
        if line.subscriber is None:
            if time.monotonic() >= line.retry_at:
                self._open(account, line)
        elif line.subscriber.refusal is not None:
            self._fail(account, line, line.subscriber.refusal)
        elif line.subscriber.connected:
            line.lost_at = None
            self._listening(account.id, True)
            self._set_state(account, AccountState.CONNECTED, "")
        else:
            self._listening(account.id, False)
            line.lost_at = line.lost_at or time.monotonic()
            if time.monotonic() - line.lost_at > PATIENCE_S:
                self._set_state(
                    account,
                    AccountState.UNAVAILABLE,
                    "The MQTT broker cannot be reached. What is known is kept, and the broker keeps what comes "
                    "meanwhile; it is tried again by itself.",
                )

    def _open(self, account: AccountRow, line: _Line) -> None:
        # The identity is this data folder's own: another Sungaze at the same broker has a session of its own.
        client_id = f"sungaze-{account.identity.rpartition(':')[2][:16]}"
        prefix = prefix_of(line.credentials)
        try:
            broker = broker_of(line.credentials, client_id)
            subscriber = Subscriber(
                broker, (f"{prefix}/+/+",), partial(take_message, self._context, account.id, prefix)
            )
            subscriber.start()
        except VendorError as error:
            self._fail(account, line, error)
            return
        line.subscriber, line.pause_s = subscriber, AGAIN_S
        self._listening(account.id, True)
        self._set_state(account, AccountState.CONNECTED, "")

    def _fail(self, account: AccountRow, line: _Line, error: VendorError) -> None:
        if line.subscriber is not None:
            line.subscriber.stop()
            line.subscriber = None
        self._listening(account.id, False)
        # A login that is refused is not tried again: only new credentials help, and they make a new line.
        line.retry_at = float("inf") if isinstance(error, NeedsReconnect) else time.monotonic() + line.pause_s
        line.pause_s = min(LONGEST_S, 2 * line.pause_s)
        log.warning("%s account %d: %s", account.vendor, account.id, error)
        self._set_state(account, AccountState(error.state), str(error))

    def _hang_up(self, account_id: int) -> None:
        line = self._lines.pop(account_id, None)
        self._listening(account_id, False)
        if line is not None and line.subscriber is not None:
            line.subscriber.stop()

    def _listening(self, account_id: int, now: bool) -> None:
        """Keep since when an account is listened to, or that it is not; a change is told."""
        since = self._context.listening
        if now == (account_id in since):
            return
        if now:
            since[account_id] = self._context.now()
        else:
            del since[account_id]
        self._context.events.publish("accounts", (account_id,))

    def _set_state(self, account: AccountRow, state: AccountState, reason: str) -> None:
        if (account.state, account.state_reason) != (state, reason):
            set_account_state(self._context, account.id, state, reason, self._context.now())
            self._context.events.publish("accounts", (account.id,))
            self._context.events.publish("everything")
