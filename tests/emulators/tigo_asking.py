"""What the tests of Tigo's emulator share: a signed-in client with room to ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from sungaze.emulators import Emulator

ROOT = "/api/v3"


def log_in(client: httpx.Client, emulator: Emulator, **changed: str) -> httpx.Response:
    """Ask for a token in the documented way."""
    known = emulator.credentials | changed
    return client.get(f"{ROOT}/users/login", auth=(known["username"], known["password"]))


@contextmanager
def signed_in(emulator: Emulator) -> Iterator[httpx.Client]:
    """Give a client with a token."""
    with httpx.Client(base_url=emulator.base_url, trust_env=False) as client:
        token = log_in(client, emulator).json()["user"]["auth"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client
