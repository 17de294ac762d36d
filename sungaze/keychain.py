"""The door to the system's keyring: Secret Service on Linux, Keychain on macOS, Credential Manager on Windows.

The platform's own backend is taken by name, never what a configuration of the keyring library might choose instead: its
plain-text and null backends are none of ours. It is imported at the first call, because a start must not wait for it.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

log = logging.getLogger(__name__)

PATIENCE_S: Final = 15.0
"""How long one call may take; a person may be typing the keyring's password meanwhile."""
HOLD_S: Final = 300.0
"""How long a keyring that refused is left alone: each new call could bring up another prompt."""
MOST_PIECES: Final = 16
USER: Final = "sungaze"

T = TypeVar("T")


class Backend(Protocol):
    """What is used of a backend of the keyring library."""

    def get_password(self, service: str, username: str, /) -> str | None:
        """The text under a name, or None."""

    def set_password(self, service: str, username: str, password: str, /) -> None:
        """Store a text under a name."""

    def delete_password(self, service: str, username: str, /) -> None:
        """Delete it; raises PasswordDeleteError where there is none."""


@dataclass(frozen=True)
class Kind:
    """A platform's keyring: its name in a sentence, how to open it, and the most characters of one entry."""

    name: str
    open: Callable[[], Backend]
    most: int


def _secret_service() -> Backend:
    import secretstorage
    from keyring.backends.SecretService import Keyring
    from keyring.errors import KeyringLocked

    class Service(Keyring):
        """The library's, but it closes its connection where the collection cannot be had."""

        def get_preferred_collection(self) -> secretstorage.Collection:
            bus = secretstorage.dbus_init()
            try:
                collection = secretstorage.get_default_collection(bus)
                if collection.is_locked():
                    collection.unlock()
                    if collection.is_locked():
                        raise KeyringLocked("nobody unlocked the collection")
            except BaseException:
                bus.close()
                raise
            return collection

    service: Backend = Service()  # type: ignore[no-untyped-call]  # keyring's backend has none
    return service


def _mac_keychain() -> Backend:
    from keyring.backends.macOS import Keyring

    return Keyring()


def _credential_manager() -> Backend:
    from keyring.backends.Windows import WinVaultKeyring

    return WinVaultKeyring()


# Windows takes 2,560 bytes an entry and the library writes UTF-16, two bytes a character of ours.
KINDS: Final[Mapping[str, Kind]] = {
    "darwin": Kind("the macOS keychain", _mac_keychain, 30_000),
    "win32": Kind("Windows' Credential Manager", _credential_manager, 1_200),
}
ELSEWHERE: Final = Kind("the desktop's keyring (Secret Service)", _secret_service, 30_000)


class KeychainUnavailable(Exception):
    """The keyring cannot be used now; `str()` is a clause that says why."""


class Keychain:
    """One keyring, for calls from any thread, of which none takes longer than `patience_s`."""

    def __init__(self, kind: Kind | None = None, *, patience_s: float = PATIENCE_S, hold_s: float = HOLD_S) -> None:
        self._kind = kind or KINDS.get(sys.platform, ELSEWHERE)
        self._patience_s = patience_s
        self._hold_s = hold_s
        self._lock = threading.Lock()
        self._under_way: Future[Any] | None = None
        self._held_until = 0.0
        self.name = self._kind.name
        self.trouble = ""
        """Why the last call failed; empty where it went well or none was made."""

    def keep(self, name: str, values: Mapping[str, str]) -> int:
        """The number of pieces that the values were stored in, once the keyring has given the same back.

        Raises KeychainUnavailable.
        """
        # Escaped, so that a character is never more than one of UTF-16.
        text = json.dumps(dict(values))
        pieces = [text[at : at + self._kind.most] for at in range(0, len(text), self._kind.most)]
        if len(pieces) > MOST_PIECES:
            raise KeychainUnavailable("it takes no entry as long as this one")

        def store(backend: Backend) -> bool:
            for k, piece in enumerate(pieces):
                backend.set_password(f"{name}.{k}", USER, piece)
            return _joined(backend, name, len(pieces)) == text

        if not self._ask(store):
            raise KeychainUnavailable("it did not give back what it was given")
        return len(pieces)

    def recall(self, name: str, pieces: int) -> dict[str, str] | None:
        """What was stored under a name, or None where it is there no more. Raises KeychainUnavailable."""
        text = self._ask(lambda backend: _joined(backend, name, pieces))
        try:
            found = None if text is None else json.loads(text)
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def drop(self, name: str, pieces: int) -> None:
        """Remove what was stored under a name; none is no error. Raises KeychainUnavailable."""

        def remove(backend: Backend) -> None:
            for k in range(pieces):
                if backend.get_password(f"{name}.{k}", USER) is not None:
                    backend.delete_password(f"{name}.{k}", USER)

        self._ask(remove)

    def _ask(self, work: Callable[[Backend], T]) -> T:
        with self._lock:
            if self._under_way is not None and not self._under_way.done():
                raise KeychainUnavailable("it does not answer")
            if time.monotonic() < self._held_until:
                raise KeychainUnavailable(self.trouble)
            answer: Future[T] = Future()
            self._under_way = answer

            def ask() -> None:
                try:
                    answer.set_result(work(self._kind.open()))
                except Exception as error:
                    answer.set_exception(error)

            # A call that hangs is left to itself; it must not keep the program from ending either.
            threading.Thread(target=ask, name="keyring", daemon=True).start()
            try:
                found = answer.result(self._patience_s)
            except FutureTimeout:
                self.trouble = "it does not answer"
            except Exception as error:
                self._held_until = time.monotonic() + self._hold_s
                self.trouble = _reason(error)
                log.debug("%s cannot be used: %s", self.name, type(error).__name__)
            else:
                self.trouble = ""
                return found
            raise KeychainUnavailable(self.trouble)


def _joined(backend: Backend, name: str, pieces: int) -> str | None:
    found = [backend.get_password(f"{name}.{k}", USER) for k in range(pieces)]
    texts = [piece for piece in found if piece is not None]
    return "".join(texts) if len(texts) == pieces else None


def _reason(error: Exception) -> str:
    locked = {"KeyringLocked", "LockedException", "PromptDismissedException"}
    return "it is locked" if type(error).__name__ in locked else "there is none here"
