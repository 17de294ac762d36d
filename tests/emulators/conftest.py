"""Running emulators for these tests, each stopped at its end; clients speak to them over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

import httpx
import pytest

from sungaze.emulators import Emulator, World, serve

NOON = datetime.fromisoformat("2026-06-01T18:05:00+00:00").timestamp()


class Hands:
    """A clock that stands where the test put it."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="session")
def world() -> World:
    return World(seed=1, sites=4, panels=12)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def start(world: World, clock: Hands) -> Iterator[Callable[..., Emulator]]:
    running: list[Emulator] = []

    def begin(vendor: str, **options: object) -> Emulator:
        options.setdefault("now", clock)
        running.append(serve(vendor, options.pop("world", world), **options))  # type: ignore[arg-type]
        return running[-1]

    yield begin
    for emulator in running:
        emulator.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., httpx.Client]]:
    """Give clients that are signed in the documented way."""
    clients: list[httpx.Client] = []

    def sign_in(emulator: Emulator, **options: object) -> httpx.Client:
        client = httpx.Client(base_url=emulator.base_url, trust_env=False, **options)  # type: ignore[arg-type]
        clients.append(client)
        if emulator.vendor == "enphase":
            token = ask_token(client, emulator).json()["access_token"]
            client.headers.update({"Authorization": f"Bearer {token}", "key": emulator.credentials["api_key"]})
        else:
            client.headers["X-API-Key"] = emulator.credentials["api_key"]
        return client

    yield sign_in
    for client in clients:
        client.close()


def ask_token(client: httpx.Client, emulator: Emulator, **changed: str) -> httpx.Response:
    """Ask for a token with the installer's password, in the query as documented."""
    known = emulator.credentials
    asked = {"grant_type": "password", "username": known["username"], "password": known["password"]} | changed
    return client.post("/oauth/token", params=asked, auth=(known["client_id"], known["client_secret"]))
