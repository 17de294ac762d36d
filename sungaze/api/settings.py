"""How the pages are to look, remembered with the data so that every window agrees; and what is here: versions, where
secrets are kept, and the report for when something is wrong.
"""

from __future__ import annotations

import platform
import sqlite3
from typing import Final

import msgspec
from litestar import Response, get, patch
from litestar.params import JSONBody

from sungaze import __version__
from sungaze.api.parts import GivenParts, Parts
from sungaze.api.shapes import AboutOut, PackageOut, SecretStoreOut, SettingsOut, SettingsPatch
from sungaze.jobs.connect import BadRequest
from sungaze.packages import packages
from sungaze.store.memory import SETTINGS

CHOICES: Final[dict[str, tuple[str, ...]]] = {
    "theme": ("system", "light", "dark"),
    "time": ("site", "local", "utc"),
    "units": ("auto", "kilo"),
    "temperature": ("celsius", "fahrenheit"),
    "group": ("need", "vendor", "customer", "tag", "none"),
}
COLUMNS: Final = ("vendor", "spark", "power", "today", "yesterday", "loss", "age", "customer", "tags")


@get("/api/settings", operation_id="getSettings", sync_to_thread=True)
def get_settings(parts: GivenParts) -> SettingsOut:
    """How the pages are to look."""
    return _settings(parts)


def _settings(parts: Parts) -> SettingsOut:
    return parts.context.store.memory.get(SETTINGS, SettingsOut) or SettingsOut()


@patch("/api/settings", operation_id="updateSettings", sync_to_thread=True)
def update_settings(parts: GivenParts, data: JSONBody[SettingsPatch]) -> SettingsOut:
    """Change some of it; every window is told."""
    values = {n: v for n, v in msgspec.structs.asdict(data).items() if v is not msgspec.UNSET}
    for name, value in values.items():
        if name in CHOICES and value not in CHOICES[name]:
            raise BadRequest(f"{name} is one of {', '.join(CHOICES[name])}, not “{value}”. Nothing was changed.")
    if "columns" in values and not set(values["columns"]) <= set(COLUMNS):
        raise BadRequest(f"The columns are {', '.join(COLUMNS)}. Nothing was changed.")
    changed = msgspec.structs.replace(_settings(parts), **values)
    parts.context.store.memory.put(SETTINGS, changed)
    parts.context.events.publish("settings")
    return changed


@get("/api/about", operation_id="getAbout", sync_to_thread=True)
def get_about(parts: GivenParts) -> AboutOut:
    """Versions, and where the data is."""
    database = parts.context.store.database.path
    return AboutOut(
        version=__version__,
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        system=f"{platform.system()} {platform.release()}",
        data_folder=str(database.parent),
        database_bytes=database.stat().st_size,
        demo=parts.demo,
        packages=[PackageOut(one.name, one.version, one.licence, one.text) for one in packages()],
    )


@get("/api/secrets", operation_id="getSecretStore", sync_to_thread=True)
def get_secret_store(parts: GivenParts) -> SecretStoreOut:
    """Where credentials are kept: `kind` is keyring, file or both, with how many accounts are in either."""
    standing = parts.context.vault.standing()
    return SecretStoreOut(standing.kind, standing.in_keyring, standing.in_file, standing.words)


@get("/api/diagnostics", operation_id="getDiagnostics", media_type="application/zip", sync_to_thread=True)
def get_diagnostics(parts: GivenParts) -> Response[bytes]:
    """A zip file that tells of this installation and its log, without names and secrets."""
    return Response(
        parts.diagnostics(), headers={"Content-Disposition": 'attachment; filename="sungaze-diagnostics.zip"'}
    )


ROUTES = [get_settings, update_settings, get_about, get_secret_store, get_diagnostics]
