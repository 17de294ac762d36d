"""The data folder: made, owned by one process at a time, and marked so that demo and real data never mix."""

from __future__ import annotations

import errno
import os
import sys
import time
from io import FileIO
from pathlib import Path
from typing import Final

import httpx
import msgspec

from sungaze.config import Settings
from sungaze.errors import ConfigError, FolderInUse, StoreError

if sys.platform != "win32":
    import fcntl

DEMO_MARK: Final = "demo"
LOCK_BYTES: Final = 512
PATIENCE_S: Final = 15.0
"""How long a second start waits for a first one that has no address yet."""


class Owner(msgspec.Struct):
    """What the lock file tells of the process that holds it. The secret lets a second start ask it for a link."""

    pid: int
    address: str = ""
    secret: str = ""


class Folder:
    """A data folder that this process owns until `release`."""

    def __init__(self, settings: Settings) -> None:
        """Take the folder. Raises StoreError, ConfigError, or FolderInUse with the running one's address."""
        self._settings = settings
        self.left_behind = False
        """Whether the run before ended without giving the folder back: it was killed, or the power went."""
        folder = settings.data_dir
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = self._take()
        except OSError as error:
            raise StoreError(_unwritable(folder, error)) from None
        try:
            self._check_mark()
        except OSError as error:
            self.release()
            raise StoreError(_unwritable(folder, error)) from None
        except ConfigError:
            self.release()
            raise

    def _take(self) -> FileIO:
        stream = FileIO(self._settings.lock, "r+", opener=_private)
        try:
            if sys.platform != "win32":
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.left_behind = bool(stream.read(1))
            self._write(stream, Owner(os.getpid()))
        except BlockingIOError:
            stream.close()
            raise _in_use(self._settings) from None
        except OSError:
            stream.close()
            raise
        return stream

    def _check_mark(self) -> None:
        mark = self._settings.data_dir / DEMO_MARK
        used = self._settings.database.exists()
        if self._settings.demo:
            if used and not mark.exists():
                raise ConfigError(
                    f"{self._settings.data_dir} holds real data, so the demo does not start in it. Nothing was "
                    "changed; leave --data-dir away, or name another folder."
                )
            mark.write_text("This folder belongs to the demo fleet.\n", encoding="utf-8")
        elif mark.exists():
            raise ConfigError(
                f"{self._settings.data_dir} belongs to the demo fleet. Nothing was changed; start with --demo, or name "
                "another folder."
            )

    def announce(self, address: str, secret: str) -> None:
        """Put down where this process is to be reached."""
        self._write(self._lock, Owner(os.getpid(), address, secret))

    @staticmethod
    def _write(stream: FileIO, owner: Owner) -> None:
        # All of it in one piece and of one length: who reads meanwhile must never find it empty, or half of each.
        told = msgspec.json.encode(owner).ljust(LOCK_BYTES)
        stream.seek(0)
        if stream.write(told) != len(told):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def release(self) -> None:
        """Give the folder back."""
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o600)


def running(settings: Settings) -> Owner | None:
    """The process that owns a folder, as far as its lock file tells."""
    try:
        return msgspec.json.decode(settings.lock.read_bytes(), type=Owner)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        return None


def seems_owned(settings: Settings) -> bool:
    """Whether a process that lives seems to own the folder; nothing is locked to find out."""
    owner = running(settings)
    if owner is None or sys.platform == "win32":
        return owner is not None
    try:
        os.kill(owner.pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return owner.pid != os.getpid()


def present(settings: Settings, patience_s: float = PATIENCE_S) -> bool:
    """Whether the process that owns a folder has a window, which is in front now.

    One that is just starting is waited for.
    """
    deadline = time.monotonic() + patience_s
    while (owner := running(settings)) is not None and not owner.address and time.monotonic() < deadline:
        time.sleep(0.05)
    if owner is None or not owner.address:
        return False
    try:
        answer = httpx.post(
            f"{owner.address}/api/window/present", headers={"Authorization": f"Bearer {owner.secret}"}, timeout=5,
            trust_env=False,
        )  # fmt: skip
        return answer.status_code == 200 and answer.json()["window"] is True
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        return False


def _in_use(settings: Settings) -> FolderInUse:
    owner = running(settings)
    address = owner.address if owner else ""
    link = address
    if owner and address:
        try:
            answer = httpx.post(
                f"{address}/api/session/link", headers={"Authorization": f"Bearer {owner.secret}"}, timeout=3,
                trust_env=False,
            )  # fmt: skip
            link = f"{address}/#key={answer.json()['key']}" if answer.status_code == 200 else address
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
            pass  # It answers with something else or not at all: its plain address is still worth telling.
    where = f" Open it at {link}" if link else " It is just starting."
    return FolderInUse(f"Sungaze is running on {settings.data_dir} already.{where}", link or None)


def _unwritable(folder: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk that holds {folder} is full. Nothing was changed; free some space and start again."
    if error.errno in {errno.EEXIST, errno.ENOTDIR}:
        part = next((p for p in (folder, *folder.parents) if p.is_file()), folder)
        return f"{part} is a file, not a folder. Nothing was changed; name a folder with --data-dir."
    reason = error.strerror or str(error)
    return f"The data folder {folder} cannot be written ({reason}). Nothing was changed; name another with --data-dir."
