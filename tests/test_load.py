"""Many pages and scripts at once while it polls: every answer is good, and memory stays where it was."""

from __future__ import annotations

import os
import random
import threading
import time
from pathlib import Path

import httpx
import pytest
from program import TOKEN, Sungaze

from sungaze.emulators import World, serve

SOAK = os.environ.get("SUNGAZE_SOAK") == "1"
SECONDS = 600 if SOAK else 12
CLIENTS = 8
STREAMS = 4
GROWTH_MB = 60
PATHS = (
    "/api/sites?limit=1000", "/api/fleet", "/api/accounts", "/api/sites/{}", "/api/sites/{}/devices",
    "/api/sites/{}/layout", "/api/sites/{}/series?metric=ac_power_w", "/api/health", "/",
    "/api/sites/{}/series?metric=energy_wh&resolution=1d", "/api/sites/{}/series?metric=ac_power_w&resolution=1h",
)  # fmt: skip


def megabytes_of(pid: int) -> float:
    """The resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
@pytest.mark.soak if SOAK else pytest.mark.timeout(120)
def test_many_clients_at_once_are_all_answered_while_it_polls(tmp_path: Path) -> None:
    running = Sungaze(tmp_path / "data")
    emulator = serve("enphase", World(seed=5, sites=24, panels=12), plan="partner")
    wish = {"vendor": "enphase", "plan": "partner", "credentials": emulator.credentials, "base_url": emulator.base_url}
    assert running.client.post("/api/accounts", json=wish).status_code == 201
    deadline = time.monotonic() + 30
    while running.client.get("/api/sites").json()["total"] < 24:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    until = time.monotonic() + SECONDS
    wrong: list[str] = []
    answered = [0] * CLIENTS

    def ask(number: int) -> None:
        chance = random.Random(number)
        with httpx.Client(
            base_url=running.address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30, trust_env=False
        ) as client:
            while time.monotonic() < until:
                path = chance.choice(PATHS).format(chance.randint(1, 24))
                try:
                    answer = client.get(path)
                except httpx.HTTPError as error:
                    wrong.append(f"{path}: {error!r}")
                    return
                if answer.status_code != 200:
                    wrong.append(f"{path}: {answer.status_code} {answer.text[:200]}")
                answered[number] += 1

    def listen() -> None:
        with httpx.stream(
            "GET", f"{running.address}/api/events", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30,
            trust_env=False,
        ) as stream:  # fmt: skip
            for _ in stream.iter_lines():
                if time.monotonic() > until:
                    return

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(CLIENTS)]
    threads += [threading.Thread(target=listen) for _ in range(STREAMS)]
    for thread in threads:
        thread.start()
    time.sleep(SECONDS / 3)
    settled = megabytes_of(running.process.pid)
    for thread in threads:
        thread.join()
    grown = megabytes_of(running.process.pid) - settled
    running.stop()
    emulator.stop()
    assert wrong == []
    assert min(answered) > SECONDS
    assert grown < GROWTH_MB
