"""Running emulators for these tests, each stopped at its end; clients speak to them over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from emulating import Hands, ask_token

from sungaze.emulators import Emulator, World, serve


@pytest.fixture(scope="session")
def world() -> World:
    return World(seed=1, sites=4, panels=12)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def start(world: World, clock: Hands) -> Iterator[Callable[..., Emulator]]:
    running: list[Emulator] = []

    def begin(vendor: str, **options: Any) -> Emulator:
        options.setdefault("now", clock)
        running.append(serve(vendor, options.pop("world", world), **options))
        return running[-1]

    yield begin
    for emulator in running:
        emulator.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., httpx.Client]]:
    """Give clients that are signed in the documented way."""
    clients: list[httpx.Client] = []

    def sign_in(emulator: Emulator, **options: Any) -> httpx.Client:
        client = httpx.Client(base_url=emulator.base_url, trust_env=False, **options)
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
