"""Settings, read once at start from the environment and a `.env` file, and the paths that follow from them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import platformdirs
from dotenv.parser import Original, parse_stream

from sungaze.errors import ConfigError

SETTINGS: Final = {
    "SUNGAZE_DATA_DIR": "The folder that holds everything of yours.",
    "SUNGAZE_TOKEN": "A fixed token for scripts: `Authorization: Bearer …`.",
    "SUNGAZE_HOST": "The address to listen on with --server.",
    "SUNGAZE_PORT": "The port to listen on; 0 takes a free one.",
    "SUNGAZE_RETURN_PORT": "The port of this computer that a browser comes back to after an owner's consent.",
    "SUNGAZE_RAW_MB": "How much room the vendors' own answers may take, in MB; 0 keeps none.",
    "SUNGAZE_SECRETS": "Where credentials are kept: keyring (where there is one), or file.",
    "SUNGAZE_LOG": "How much is logged: debug, info, warning or error.",
}
"""Every setting with its meaning; credentials of vendors are named SUNGAZE_<VENDOR>_<FIELD>."""

RETURN_PORT: Final = 8736
RAW_MB: Final = 256
"""Room for raw answers, packed, in MB."""
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_CREDENTIAL = re.compile(r"SUNGAZE_([A-Z0-9]+)_([A-Z0-9_]+)$")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for at start. `environment` is .env beneath the real environment, kept for the vault."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = None
    log: str = "info"
    log_dir: Path | None = None
    keyring: bool = False
    return_port: int = RETURN_PORT
    raw_mb: int = RAW_MB
    demo: bool = False
    environment: dict[str, str] = {}

    @property
    def database(self) -> Path:
        """The one file with the user's data."""
        return self.data_dir / "sungaze.db"

    @property
    def queue(self) -> Path:
        """The job queue; losing it loses nothing."""
        return self.data_dir / "queue.db"

    @property
    def secrets(self) -> Path:
        """The 0600 file with what of credentials and rotated tokens is not in the keyring, and where the rest is."""
        return self.data_dir / "secrets.json"

    @property
    def exports(self) -> Path:
        """The folder of the exports that were written beside everything else."""
        return self.data_dir / "exports"

    @property
    def imports(self) -> Path:
        """The folder of the files that were sent to be imported, until they are."""
        return self.data_dir / "imports"

    @property
    def backups(self) -> Path:
        """The folder of the days' own backups."""
        return self.data_dir / "backups"

    @property
    def logs(self) -> Path:
        """The folder of the log files: the platform's, or in a data folder that was named."""
        return self.log_dir or self.data_dir / "logs"

    @property
    def lock(self) -> Path:
        """The 0600 file that the owner of the folder holds."""
        return self.data_dir / "lock"


def default_data_dir(demo: bool) -> Path:
    """The platform's folder for data; the demo fleet has one of its own. Raises ConfigError where there is no home."""
    return _at_home(platformdirs.user_data_path, demo)


def default_log_dir(demo: bool) -> Path:
    """The platform's folder for logs. Raises ConfigError where there is no home."""
    return _at_home(platformdirs.user_log_path, demo)


def _at_home(folder: Callable[..., Path], demo: bool) -> Path:
    try:
        found = folder("sungaze-demo" if demo else "sungaze", appauthor=False)
    except RuntimeError:
        found = Path("~")
    # Without HOME the user's entry in the system's list of users has it; a ~ stays where there is none either.
    if found.parts[:1] == ("~",):
        raise ConfigError(
            "Your home folder is not known: HOME is not set, and the system has no user of this number. Nothing was "
            "started; set HOME, or name a folder with --data-dir."
        )
    return found


def read_dotenv(path: Path) -> dict[str, str]:
    """The settings of a .env file. Raises ConfigError that names a line which cannot be read, never its content.

    Values are taken as they stand: a password may hold `${`, so nothing is expanded.
    """
    found: dict[str, str] = {}
    try:
        if not path.is_file():
            return {}
        # Notepad begins a UTF-8 file with a mark that would become part of the first name.
        with path.open(encoding="utf-8-sig") as stream:
            for binding in parse_stream(stream):
                if binding.error or (binding.key is not None and binding.value is None):
                    raise ConfigError(
                        f"Line {_line_of(binding.original)} of {path} is not NAME=value. Nothing was started; mend the "
                        "line."
                    )
                if binding.key is not None and binding.value is not None:
                    found[binding.key] = binding.value
        return found
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text. Nothing was started; save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}. Nothing was started.") from None


def _line_of(original: Original) -> int:
    # python-dotenv counts from the blank lines before a binding.
    blank = original.string[: len(original.string) - len(original.string.lstrip())]
    return original.line + blank.count("\n")


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65_535:
        raise ConfigError(f"The port “{text}” is not a number from 0 to 65535. Nothing was started.")
    return port


def _megabytes(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise ConfigError(f"SUNGAZE_RAW_MB is “{text}”; it is a whole number of MB, 0 or more. Nothing was started.")
    return int(text)


def load(
    *,
    environ: Mapping[str, str],
    data_dir: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    demo: bool = False,
) -> Settings:
    """The settings of this start: options win over the environment, which wins over .env.

    .env is looked for in the working folder and in the data folder. The demo never takes the user's folder, which
    SUNGAZE_DATA_DIR names, but one beside it, and none of the user's credentials. Raises ConfigError.
    """
    if os.environ.get("HOME") == "":
        # Every library takes an unset one for what it is, and an empty one for the root folder.
        del os.environ["HOME"]
    merged = read_dotenv(Path(".env")) | dict(environ)
    folder = _folder(merged, data_dir, demo)
    merged = read_dotenv(folder / ".env") | merged
    log = merged.get("SUNGAZE_LOG", "info").lower()
    if log not in {"debug", "info", "warning", "error"}:
        raise ConfigError(f"SUNGAZE_LOG is “{log}”; it can be debug, info, warning or error. Nothing was started.")
    kept = merged.get("SUNGAZE_SECRETS", "keyring").lower()
    if kept not in {"keyring", "file"}:
        raise ConfigError(f"SUNGAZE_SECRETS is “{kept}”; it can be keyring or file. Nothing was started.")
    named = data_dir is not None or merged.get("SUNGAZE_DATA_DIR")
    settings = Settings(
        data_dir=folder,
        host=host or merged.get("SUNGAZE_HOST") or "127.0.0.1",
        port=port if port is not None else _port(merged.get("SUNGAZE_PORT") or "0"),
        token=merged.get("SUNGAZE_TOKEN") or None,
        log=log,
        # Logs of two folders must not meet in one file.
        log_dir=None if named else default_log_dir(demo),
        keyring=kept == "keyring",
        return_port=_port(merged.get("SUNGAZE_RETURN_PORT") or str(RETURN_PORT)),
        raw_mb=_megabytes(merged.get("SUNGAZE_RAW_MB") or str(RAW_MB)),
        demo=demo,
        environment={} if demo else {name: value for name, value in merged.items() if name.startswith("SUNGAZE_")},
    )
    _check_token(settings)
    return settings


def _folder(environ: Mapping[str, str], data_dir: Path | None, demo: bool) -> Path:
    named = environ.get("SUNGAZE_DATA_DIR")
    folder = data_dir or (Path(named) if named else default_data_dir(demo))
    try:
        folder = folder.expanduser().absolute()
    except RuntimeError:
        raise ConfigError(f"The data folder {folder} names a user that is not there. Nothing was started.") from None
    return Path(f"{folder}-demo") if demo and named and data_dir is None else folder


def _check_token(settings: Settings) -> None:
    needed = 16 if settings.host in LOOPBACK else 32
    length = len(settings.token or "")
    if settings.token is not None and (length < 16 or not settings.token.isascii()):
        raise ConfigError(
            f"SUNGAZE_TOKEN has {length} characters; it needs 16 plain ones or more, 32 beyond loopback. "
            "Nothing was started."
        )
    if needed == 32 and length < 32:
        raise ConfigError(
            f"Listening on {settings.host} would open Sungaze to other machines: set SUNGAZE_TOKEN to 32 characters "
            "or more first. Nothing was started."
        )


def vendor_credentials(environment: Mapping[str, str], vendor: str) -> dict[str, str]:
    """The credentials that the environment holds for a vendor, by field name in lower case."""
    found = {}
    for name, value in environment.items():
        match = _CREDENTIAL.match(name)
        if match and match[1].lower() == vendor and value:
            found[match[2].lower()] = value
    return found
