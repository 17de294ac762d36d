"""Credentials and rotated tokens: from `.env`, the system's keyring, else a 0600 file. Never in the database.

The file is also the index of what the keyring holds. An account's part leaves the file only once the keyring has given
it back.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from sungaze.config import Settings, vendor_credentials
from sungaze.errors import ConfigError, Unavailable
from sungaze.keychain import Keychain, KeychainUnavailable

Place = Literal["keyring", "file", "both"]
Content = dict[str, dict[str, dict[str, str]]]
PARTS: Final = ("credentials", "session")
HELD: Final = "keyring"
"""Under it an account's entry says, by part, where in the keyring the part is: the pieces and the name."""
FORGOTTEN: Final = "forgotten"
"""Beside the accounts: entries that the keyring could not be asked to remove yet."""
RETRY_S: Final = 300.0


class SecretStore(msgspec.Struct, frozen=True):
    """Where secrets are: `kind` is keyring, file or both; accounts in either; and a sentence for a person."""

    kind: Place
    in_keyring: int
    in_file: int
    words: str


class Vault:
    """The secrets of one data folder, by account id. Every change is stored before the call returns.

    Without a `keychain` all is in the file; with `to_file` what the keyring holds is read, and nothing more put there.
    Raises ConfigError where the file cannot be read or written, Unavailable where a secret is in a keyring that cannot
    be used now.
    """

    def __init__(
        self, path: Path, environment: Mapping[str, str], keychain: Keychain | None = None, *, to_file: bool = False
    ) -> None:
        self._path = path
        self._environment = environment
        self._keychain = keychain
        self._to_file = to_file
        self._lock = threading.Lock()
        self._closing = threading.Event()
        # The keyring is asked once for each entry: a look may read secrets in the middle of a transaction.
        self._read_once: dict[str, dict[str, str]] = {}
        folder = hashlib.sha256(os.fsencode(path.absolute().parent)).hexdigest()[:12]
        self._prefix = f"Sungaze {folder} "
        """Begins every name of this folder's: a copy of the folder must not remove what the original needs."""

    def _read(self) -> Content:
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be read: {error.strerror}. Your data is untouched.") from None
        try:
            return msgspec.json.decode(raw, type=Content)
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise ConfigError(
                f"{self._path} is damaged, so the saved credentials cannot be read. Your data is untouched; move the "
                "file away and connect your accounts again."
            ) from None

    def _write(self, content: Content) -> None:
        # One name, so that what a killed process left half written is written over, not kept for ever.
        part = self._path.with_name(f".{self._path.name}.part")
        try:
            part.unlink(missing_ok=True)
            with open(part, "xb", opener=_private) as stream:
                stream.write(msgspec.json.encode(content))
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(self._path)
            if sys.platform != "win32":  # a folder cannot be opened there, and a rename needs no second sync
                folder = os.open(self._path.parent, os.O_RDONLY)
                try:
                    os.fsync(folder)
                finally:
                    os.close(folder)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise ConfigError(
                f"The credentials cannot be written to {self._path}: {error.strerror}. What was there is kept."
            ) from None

    def _change(self, account_id: int, changes: Mapping[str, Mapping[str, str] | None]) -> None:
        with self._lock:
            self._change_locked(self._read(), str(account_id), changes)

    def _change_locked(self, content: Content, account: str, changes: Mapping[str, Mapping[str, str] | None]) -> None:
        entry = {part: dict(values) for part, values in content.get(account, {}).items()}
        held = entry.pop(HELD, {})
        replaced = {}
        fresh = {}
        for part, values in changes.items():
            entry.pop(part, None)
            before = held.pop(part, None)
            if before is not None:
                replaced[before] = part
            where = None if values is None else self._into_keyring(account, part, values, before)
            if where is not None and values is not None:
                held[part] = where
                fresh[where] = dict(values)
            elif values is not None:
                entry[part] = dict(values)
        if held:
            entry[HELD] = held
        if entry:
            content[account] = entry
        else:
            content.pop(account, None)
        self._write(content)
        for where in replaced:
            self._read_once.pop(where, None)
        self._read_once |= fresh
        self._drop(content, [where for where in replaced if where not in fresh])

    def _into_keyring(self, account: str, part: str, values: Mapping[str, str], before: str | None) -> str | None:
        """Where the keyring holds a part now; None where it does not. What it held before stays until it is dropped."""
        if self._keychain is None or self._to_file or not values:
            return None
        name = f"{self._prefix}account {account} {part} "
        name += "1" if before is not None and before.partition(" ")[2] == f"{name}0" else "0"
        try:
            return f"{self._keychain.keep(name, values)} {name}"
        except KeychainUnavailable:
            return None

    def _drop(self, content: Content, gone: list[str]) -> None:
        """Remove entries from the keyring, and earlier ones that it could not be asked about; the lock is held."""
        late = content.get(FORGOTTEN, {}).get(HELD, {})
        used = {where.partition(" ")[2] for entry in content.values() for where in entry.get(HELD, {}).values()}
        left = {}
        for where in {**dict.fromkeys(gone, ""), **late}:
            pieces, _, name = where.partition(" ")
            if self._keychain is None or not name.startswith(self._prefix) or name in used:
                continue
            try:
                self._keychain.drop(name, int(pieces))
            except KeychainUnavailable:
                left[where] = ""
        if left != late:
            content.pop(FORGOTTEN, None)
            if left:
                content[FORGOTTEN] = {HELD: left}
            self._write(content)

    def _part(self, account_id: int, part: str) -> dict[str, str]:
        entry = self._read().get(str(account_id), {})
        if part in entry:
            return entry[part]
        where = entry.get(HELD, {}).get(part)
        if where is None:
            return {}
        known = self._read_once.get(where)
        if known is not None:
            return dict(known)
        with self._lock:
            # Read again: another thread may have stored newer ones and dropped these.
            entry = self._read().get(str(account_id), {})
            for each, place in entry.get(HELD, {}).items():
                if place not in self._read_once:
                    found = self._out_of_keyring(place)
                    if found is not None:
                        self._read_once[place] = found
                    elif each == part:
                        return {}
            where = entry.get(HELD, {}).get(part)
            return dict(entry.get(part) or self._read_once.get(where or "") or {})

    def _out_of_keyring(self, where: str) -> dict[str, str] | None:
        pieces, _, name = where.partition(" ")
        try:
            if self._keychain is None:
                raise KeychainUnavailable("this start uses none")
            return self._keychain.recall(name, int(pieces) if pieces.isdigit() else 1)
        except KeychainUnavailable as error:
            raise Unavailable(
                f"The credentials of this account are in the system's keyring, which cannot be used now ({error}). "
                "Nothing was lost; unlock the keyring, and Sungaze tries again by itself.",
                RETRY_S,
                whole=True,
            ) from None

    def settle(self) -> int:
        """The number of parts that were moved to where they belong: out of the file, or back to it with `to_file`.

        What cannot be moved now stays where it is.
        """
        if self._keychain is None:
            return 0
        moved = 0
        for account in [name for name in self._read() if name != FORGOTTEN]:
            for part in PARTS:
                with self._lock:
                    if self._closing.is_set():
                        return moved
                    content = self._read()
                    entry = content.get(account, {})
                    if self._to_file:
                        where = entry.get(HELD, {}).get(part)
                        try:
                            values = None if where is None else self._out_of_keyring(where)
                        except Unavailable:
                            return moved
                    else:
                        values = entry.get(part)
                    if values:
                        self._change_locked(content, account, {part: values})
                        now_held = part in content.get(account, {}).get(HELD, {})
                        moved += now_held is not self._to_file
                        if not now_held and not self._to_file:
                            return moved
        with self._lock:
            self._drop(self._read(), [])
        return moved

    def close(self) -> None:
        """Have `settle` end: the folder is somebody else's soon."""
        self._closing.set()

    def standing(self) -> SecretStore:
        """Where this folder's secrets are. The keyring is not asked, so this never waits."""
        accounts = [entry for name, entry in self._read().items() if name != FORGOTTEN]
        in_file = sum(any(part in entry for part in PARTS) for entry in accounts)
        return secret_store(
            in_keyring=len(accounts) - in_file,
            in_file=in_file,
            keyring=None if self._keychain is None or self._to_file else self._keychain.name,
            trouble="" if self._keychain is None else self._keychain.trouble,
            path=self._path,
        )

    def secrets(self) -> set[str]:
        """Every value that is known of without asking the keyring, to be looked for where it must not be."""
        values = {v for e in self._read().values() for part in PARTS for v in e.get(part, {}).values()}
        for known in list(self._read_once.values()):
            values |= set(known.values())
        return values

    def credentials(self, account_id: int, vendor: str) -> dict[str, str]:
        """What the account logs in with: its own, over what the environment holds for its vendor."""
        return vendor_credentials(self._environment, vendor) | self._part(account_id, "credentials")

    def keep_credentials(self, account_id: int, values: Mapping[str, str]) -> None:
        """Store an account's credentials."""
        self._change(account_id, {"credentials": values})

    def recall(self, account_id: int) -> dict[str, str]:
        """The tokens that an account's connector asked to have remembered."""
        return self._part(account_id, "session")

    def remember(self, account_id: int, values: Mapping[str, str]) -> None:
        """Store rotated tokens; they are in the keyring or on disk when this returns."""
        self._change(account_id, {"session": values})

    def forget(self, account_id: int) -> None:
        """Remove all that is kept for an account."""
        self._change(account_id, {"credentials": None, "session": None})


def open_vault(settings: Settings) -> Vault:
    """The vault of a data folder. The demo's is its file alone, so that it never touches the user's keyring."""
    keychain = None if settings.demo else Keychain()
    return Vault(settings.secrets, settings.environment, keychain, to_file=not settings.keyring)


def secret_store(*, in_keyring: int, in_file: int, keyring: str | None, trouble: str, path: Path) -> SecretStore:
    """Where secrets are, in words. `keyring` is its name, None where it is not to be used; `trouble` why it failed."""
    file = f"{path}, a file that only you can read"
    if not in_keyring + in_file:
        # Whether it answers is known only once it was asked, which may bring up its prompt.
        place = file if keyring is None or trouble else f"{keyring} where it answers, else to {file}"
        words = f"No account's credentials are kept yet; they will go to {place}."
    elif not in_file:
        words = f"The credentials of {_accounts(in_keyring)} are in {keyring or 'the keyring'}."
        if trouble:
            words += f" It cannot be used now: {trouble}."
    else:
        words = f"The credentials of {_accounts(in_file)} are in {file}"
        words += f", those of {_accounts(in_keyring)} in the keyring." if in_keyring else "."
        if keyring is not None and trouble:
            words += f" {keyring[0].upper()}{keyring[1:]} cannot be used: {trouble}."
    kind: Literal["keyring", "file", "both"] = (
        "keyring" if in_keyring and not in_file else "both" if in_keyring else "file"
    )
    if not in_keyring + in_file:
        kind = "file" if keyring is None or trouble else "keyring"
    return SecretStore(kind, in_keyring, in_file, words)


def _accounts(count: int) -> str:
    return "1 account" if count == 1 else f"{count} accounts"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
