"""What the emulators' tests share."""

from __future__ import annotations

from datetime import datetime

import httpx

from sungaze.emulators import Emulator

NOON = datetime.fromisoformat("2026-06-01T18:05:00+00:00").timestamp()


class Hands:
    """A clock that stands where the test put it."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def ask_token(client: httpx.Client, emulator: Emulator, **changed: str) -> httpx.Response:
    """Ask for a token with the installer's password, in the query as documented."""
    known = emulator.credentials
    asked = {"grant_type": "password", "username": known["username"], "password": known["password"]} | changed
    return client.post("/oauth/token", params=asked, auth=(known["client_id"], known["client_secret"]))
