"""A report on this installation that can be sent: versions, states, counts and logs, and nobody recognisable in it.

What is told is chosen line by line; free text (an account's last error, the log) goes through `Redactor`, which knows
every secret and name of this data folder.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import importlib.metadata
import io
import ipaddress
import json
import locale
import os
import platform
import re
import sqlite3
import sys
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from sungaze import __version__
from sungaze.config import LOOPBACK, SETTINGS, Settings
from sungaze.errors import StoreError, UserError
from sungaze.logs import log_files
from sungaze.store.facts import StoreFacts, read_facts
from sungaze.vault import Vault

SHORT: Final = 4
"""A name that is shorter than this is not looked for inside other text: it would be found where it is none."""
NAMED: Final = "‹name›"
SECRET: Final = "‹secret›"
_WORD: Final = re.compile(r"\w+")
_PATTERNS: Final = (
    (re.compile(r"(?i)\b(bearer|basic|digest)\s+[\w.~+/=-]+"), r"\1 " + SECRET),
    (re.compile(r"(?i)\b([\w-]*(?:key|token|secret|passw\w*|auth\w*|cookie|session|signature)\b[\"']?\s*[=:]\s*)"
                r"[^\s,;&]+"), r"\1" + SECRET),
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "‹e-mail›"),
    (re.compile(r"(?i)\b(https?|mqtts?|wss?)://(?!127\.0\.0\.1|localhost|\[::1\])[^\s\"'<>]+"), "‹address›"),
    (re.compile(r"\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b"), "‹mac›"),
    (re.compile(r"-?\b\d{1,3}\.\d{4,}\b"), "‹number›"),
    # Tokens, hashes and serials. Words of letters alone are none, and times have no run of so many digits.
    (re.compile(r"\b(?=[\w-]*\d)[\w-]{20,}\b"), SECRET),
    (re.compile(r"\b(?=\w*\d{6})\w{6,}\b"), "‹number›"),
)  # fmt: skip
_ADDRESS: Final = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)|(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])"
)
_SHOWN: Final = frozenset({"SUNGAZE_PORT", "SUNGAZE_RETURN_PORT", "SUNGAZE_RAW_MB", "SUNGAZE_SECRETS", "SUNGAZE_LOG"})
"""Settings whose value may be told; of the others only whether they are set."""
_PACKAGES: Final = ("pywebview", "PyGObject", "litestar", "uvicorn", "huey", "peewee", "httpx", "keyring", "numpy")
_READ_ME: Final = """What Sungaze tells of itself, to be sent with a report.

about.json     versions, the system, its zone and clock
settings.json  the settings; of secrets and addresses only whether they are set
secrets.json   where credentials are kept, never what they are
accounts.json  vendor, method, plan, state and last error of each account; without names
quotas.json    calls used
store.json     the database's layout, counts and sizes
work.json      what is owed, and how the looks of the last day ended
logs/          the log

Names, addresses, serials, e-mails, credentials and tokens are replaced. Look through it before you send it.
"""


class Redactor:
    """Text without the secrets and names it was given, and without what looks like one."""

    def __init__(self, names: Iterable[str], secrets: Iterable[str]) -> None:
        # By first word and length, so that 20,000 sites called “Site …” cost no more than one.
        self._names: dict[str, dict[int, dict[str, str]]] = {}
        for stand_in, texts in ((NAMED, names), (SECRET, secrets)):
            for text in texts:
                found = _WORD.search(text)
                if found and len(text.strip()) >= SHORT:
                    kept = text[found.start() :].rstrip().lower()
                    self._names.setdefault(found[0].lower(), {}).setdefault(len(kept), {})[kept] = stand_in

    def redacted(self, text: str) -> str:
        """The text with stand-ins."""
        made, at = [], 0
        for word in _WORD.finditer(text):
            if word.start() < at:
                continue
            by_length = self._names.get(word[0].lower(), {})
            for length in sorted(by_length, reverse=True):
                end = word.start() + length
                stand_in = by_length[length].get(text[word.start() : end].lower())
                if stand_in is not None and not text[end : end + 1].isalnum():
                    made += [text[at : word.start()], stand_in]
                    at = end
                    break
        text = "".join(made) + text[at:]
        for pattern, stand_in in _PATTERNS:
            text = pattern.sub(stand_in, text)
        return _ADDRESS.sub(lambda match: match[0] if _is_nobodys(match[0]) else "‹ip›", text)


def _is_nobodys(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return True
    return address.is_loopback or address.is_unspecified


def gather(settings: Settings, vault: Vault, now: float) -> bytes:
    """The report as a zip file. What cannot be read is said in its place: it is wanted when something is broken."""
    facts: StoreFacts | None = None
    trouble = ""
    try:
        if settings.database.exists():
            facts = read_facts(settings.database, now)
    except StoreError as error:
        trouble = str(error)
    redactor = Redactor(
        {*(facts.names if facts else ()), str(settings.data_dir), *_of_this_computer()},
        {*_settings_secrets(settings), *_of(vault)},
    )
    accounts = (
        [row | {"state_reason": redactor.redacted(row["state_reason"])} for row in facts.accounts] if facts else []
    )
    store = {"layout": facts.layout, "counts": facts.counts} if facts else {"error": redactor.redacted(trouble)}
    parts: dict[str, Any] = {
        "about.json": _about(now),
        "settings.json": _settings(settings),
        "secrets.json": _secrets(vault, redactor),
        "accounts.json": accounts,
        "quotas.json": facts.quotas if facts else [],
        "store.json": store | {"bytes": _sizes(settings)},
        "work.json": facts.work if facts else {},
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _READ_ME)
        for name, content in parts.items():
            archive.writestr(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
        for path in log_files(settings.logs):
            archive.writestr(f"logs/{path.name}", redactor.redacted(_text(path)))
    return made.getvalue()


def write(settings: Settings, vault: Vault, target: Path, now: float) -> None:
    """Write the report to a file, for its owner alone. Raises UserError where it cannot be written."""
    content = gather(settings, vault, now)
    try:
        with open(target, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as stream:
            stream.write(content)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror}.") from None


def _about(now: float) -> dict[str, Any]:
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "sungaze": __version__,
        "packed": bool(getattr(sys, "frozen", False)),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "display": [name for name in ("DISPLAY", "WAYLAND_DISPLAY") if os.environ.get(name)],
        "desktop": os.environ.get("XDG_CURRENT_DESKTOP"),
        "locale": ".".join(filter(None, locale.getlocale())),
        "zone": time.tzname[0],
        "utc_offset_s": time.localtime(now).tm_gmtoff,
        "now": dt.datetime.fromtimestamp(now, dt.UTC).isoformat(timespec="seconds"),
        "packages": versions,
    }


def _settings(settings: Settings) -> dict[str, Any]:
    given = {
        name: settings.environment[name] if name in _SHOWN else "set"
        for name in SETTINGS
        if settings.environment.get(name)
    }
    return {
        "given": given,
        "credentials_given": sum(name not in SETTINGS for name in settings.environment),
        "demo": settings.demo,
        "beyond_loopback": settings.host not in LOOPBACK,
        "token": settings.token is not None,
        "log": settings.log,
        "raw_mb": settings.raw_mb,
        "keyring": settings.keyring,
    }


def _secrets(vault: Vault, redactor: Redactor) -> dict[str, Any]:
    try:
        standing = vault.standing()
    except UserError as error:
        return {"error": redactor.redacted(str(error))}
    return {"kind": standing.kind, "in_keyring": standing.in_keyring, "in_file": standing.in_file}


def _sizes(settings: Settings) -> dict[str, int | None]:
    files = {
        "database": settings.database,
        "write_ahead_log": settings.database.with_name(f"{settings.database.name}-wal"),
        "queue": settings.queue,
        "secrets": settings.secrets,
    }
    return {name: path.stat().st_size if path.is_file() else None for name, path in files.items()}


def _settings_secrets(settings: Settings) -> set[str]:
    shown = {"info", "debug", "warning", "error", "keyring", "file", "127.0.0.1", "localhost"}
    hidden = {value for name, value in settings.environment.items() if name not in _SHOWN}
    return (hidden | ({settings.token} if settings.token else set())) - shown


def _of(vault: Vault) -> set[str]:
    try:
        return vault.secrets()
    except UserError:
        return set()


def _of_this_computer() -> set[str]:
    """Words that name the computer and who sits at it."""
    found = {platform.node(), os.path.expanduser("~")}  # noqa: PTH111 - pathlib raises where there is no home
    with contextlib.suppress(OSError, KeyError):  # a user without a name
        found.add(getpass.getuser())
    return {name for name in found if name not in {"root", "/root", "localhost", "~", "/"}}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"It cannot be read: {error.strerror}.\n"
