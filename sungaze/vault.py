"""Credentials and rotated tokens: from `.env`, else a 0600 file in the data folder. Never in the database."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sungaze.config import vendor_credentials
from sungaze.errors import ConfigError


class Vault:
    """The secrets of one data folder, by account id. Every change is on disk before the call returns.

    Raises ConfigError where the file cannot be read or written.
    """

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self._path = path
        self._environment = environment
        self._lock = threading.Lock()

    def _read(self) -> dict[str, dict[str, dict[str, str]]]:
        try:
            raw = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be read: {error.strerror}. Your data is untouched.") from None
        try:
            return msgspec.json.decode(raw, type=dict[str, dict[str, dict[str, str]]])
        except (msgspec.DecodeError, msgspec.ValidationError):
            raise ConfigError(
                f"{self._path} is damaged, so the saved credentials cannot be read. Your data is untouched; move the "
                "file away and connect your accounts again."
            ) from None

    def _write(self, content: dict[str, dict[str, dict[str, str]]]) -> None:
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
            content = self._read()
            entry = content.get(str(account_id), {})
            entry = {part: values for part, values in entry.items() if part not in changes}
            entry |= {part: dict(values) for part, values in changes.items() if values is not None}
            if entry:
                content[str(account_id)] = entry
            else:
                content.pop(str(account_id), None)
            self._write(content)

    def credentials(self, account_id: int, vendor: str) -> dict[str, str]:
        """What the account logs in with: its own, over what the environment holds for its vendor."""
        own = self._read().get(str(account_id), {}).get("credentials", {})
        return vendor_credentials(self._environment, vendor) | own

    def keep_credentials(self, account_id: int, values: Mapping[str, str]) -> None:
        """Store an account's credentials."""
        self._change(account_id, {"credentials": values})

    def recall(self, account_id: int) -> dict[str, str]:
        """The tokens that an account's connector asked to have remembered."""
        return self._read().get(str(account_id), {}).get("session", {})

    def remember(self, account_id: int, values: Mapping[str, str]) -> None:
        """Store rotated tokens; they are on disk when this returns."""
        self._change(account_id, {"session": values})

    def forget(self, account_id: int) -> None:
        """Remove all that is kept for an account."""
        self._change(account_id, {"credentials": None, "session": None})


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
