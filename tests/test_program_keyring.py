"""The program beside a real Secret Service: accounts are connected, asked after a restart, and forgotten."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from program import Sungaze
from secret_service import SecretService

from sungaze.emulators import Emulator, World, serve

PATIENCE_S = 60


@pytest.fixture
def service(tmp_path: Path) -> Iterator[SecretService]:
    started = SecretService(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    one = serve("enphase", World(seed=1, sites=1, panels=2), plan="partner", now=time.time)
    yield one
    one.stop()


@pytest.fixture
def begin(tmp_path: Path, service: SecretService) -> Iterator[Callable[..., Sungaze]]:
    """Starts Sungaze with the keyring in reach; what still runs at the end is stopped."""
    started: list[Sungaze] = []

    def start(kept: str = "keyring") -> Sungaze:
        more: dict[str, Any] = service.environment | {"SUNGAZE_SECRETS": kept}
        started.append(Sungaze(tmp_path / "data", **more))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.stop()


def connect(running: Sungaze, emulator: Emulator) -> int:
    wish = {
        "vendor": "enphase", "method": emulator.method, "plan": emulator.plan, "base_url": emulator.base_url,
        "credentials": emulator.credentials,
    }  # fmt: skip
    answer = running.client.post("/api/accounts", json=wish)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


def wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def looks(folder: Path) -> int:
    """How many looks went well."""
    with closing(sqlite3.connect(folder / "sungaze.db", timeout=30)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM fetch WHERE outcome = 'ok'").fetchone()
    return int(count)


def store_of(running: Sungaze) -> dict[str, Any]:
    answer: dict[str, Any] = running.client.get("/api/secrets").json()
    return answer


def test_an_account_is_asked_with_what_the_keyring_holds_also_after_a_restart(
    begin: Callable[..., Sungaze], service: SecretService, emulator: Emulator
) -> None:
    first = begin()
    assert store_of(first)["kind"] == "keyring"
    account = connect(first, emulator)
    wait(lambda: looks(first.folder) > 0)
    standing = store_of(first)
    assert (standing["kind"], standing["in_keyring"], standing["in_file"]) == ("keyring", 1, 0)
    first.stop()
    kept = (first.folder / "secrets.json").read_text()
    held = "".join(service.entries().values())
    secrets = [value for value in emulator.credentials.values() if len(value) > 8 and value in held]
    assert len(secrets) >= 2
    assert not any(value in kept for value in secrets)

    second = begin()
    before = looks(second.folder)
    assert second.client.post(f"/api/accounts/{account}/refresh").is_success
    wait(lambda: looks(second.folder) > before)
    assert second.client.delete(f"/api/accounts/{account}").is_success
    assert service.entries() == {}


def test_a_locked_keyring_is_told_on_the_account_and_nothing_is_lost(
    begin: Callable[..., Sungaze], service: SecretService, emulator: Emulator
) -> None:
    first = begin()
    account = connect(first, emulator)
    wait(lambda: looks(first.folder) > 0)
    first.stop()
    service.lock()
    second = begin()
    before = looks(second.folder)

    def said() -> bool:
        second.client.post(f"/api/accounts/{account}/refresh")
        (one,) = second.client.get("/api/accounts").json()["items"]
        return one["state"] == "unavailable" and "keyring" in one["state_reason"]

    wait(said)
    assert looks(second.folder) == before
    assert "it is locked" in store_of(second)["words"]
    second.stop()
    service.stop_daemon()
    service.start()
    third = begin()
    third.client.post(f"/api/accounts/{account}/refresh")
    wait(lambda: looks(third.folder) > before)
    wait(lambda: third.client.get("/api/accounts").json()["items"][0]["state"] == "connected")


def test_what_an_earlier_version_kept_in_the_file_moves_at_the_start_and_back_when_asked(
    begin: Callable[..., Sungaze], service: SecretService, emulator: Emulator
) -> None:
    before = begin("file")
    connect(before, emulator)
    assert service.entries() == {}
    before.stop()
    after = begin()
    wait(lambda: store_of(after)["in_keyring"] == 1)
    assert len(service.entries()) >= 1
    after.stop()
    back = begin("file")
    wait(lambda: store_of(back)["in_file"] == 1)
    wait(lambda: service.entries() == {})
