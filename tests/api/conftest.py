"""A running Sungaze with its own clock, over emulators; and a client with its token.

It runs in this process, or as the executable that SUNGAZE_PROGRAM names (`make test-dist`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from built import Built

from sungaze.config import Settings
from sungaze.emulators import Emulator, World, serve
from sungaze.runtime import Runtime

TOKEN = "a-token-of-the-tests-0123456789abcdef"
BEGAN = datetime.fromisoformat("2026-06-01T18:05:00+00:00").timestamp()
SPEED = 20.0
PATIENCE_S = 90.0
HERE = Path(__file__).parent
BUILT = "SUNGAZE_PROGRAM" in os.environ


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Against the built executable go the tests of a running program that do not reach into it."""
    if not BUILT:
        return
    left_out = [item for item in items if HERE in item.path.parents and not _goes_against_it(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _goes_against_it(item: pytest.Item) -> bool:
    names = getattr(item, "fixturenames", ())
    return ("fleet" in names or "empty" in names) and item.get_closest_marker("in_process") is None


class Fleet:
    """The program, its emulators and their clock, which runs 20 times as fast as ours."""

    def __init__(self, folder: Path) -> None:
        started = time.monotonic()
        self.now = lambda: BEGAN + (time.monotonic() - started) * SPEED
        self.emulators: dict[str, Emulator] = {
            vendor: serve(vendor, World(seed=1, sites=4, panels=9), plan=plan, now=self.now)
            for vendor, plan in (("enphase", "partner"), ("solaredge", "paid"))
        }
        self.runtime: Any
        if BUILT:
            self.runtime = Built(folder, began=BEGAN, started=started, speed=SPEED)
        else:
            self.runtime = Runtime(Settings(data_dir=folder, token=TOKEN), now=self.now)
            self.runtime.start()
        self.client = httpx.Client(
            base_url=self.runtime.address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60, trust_env=False
        )

    def wish(self, vendor: str) -> dict[str, Any]:
        emulator = self.emulators[vendor]
        return {
            "vendor": vendor, "method": emulator.method, "plan": emulator.plan, "credentials": emulator.credentials,
            "base_url": emulator.base_url,
        }  # fmt: skip

    def bring_in(self) -> None:
        """Connect both accounts and wait until the history that is bought at connect is there."""
        for vendor in self.emulators:
            assert self.client.post("/api/accounts", json=self.wish(vendor)).status_code == 201
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            accounts = self.client.get("/api/accounts").json()["items"]
            if all(a["backfill"]["total"] and a["backfill"]["state"] == "done" for a in accounts):
                sites = self.client.get("/api/sites").json()["items"]
                if all(self.client.get(f"/api/sites/{s['id']}").json()["device_types"] for s in sites):
                    return
            time.sleep(0.2)
        raise AssertionError("the history did not come in")

    def site(self, vendor: str, zone: str) -> dict[str, Any]:
        """A site of a vendor in a zone."""
        items = self.client.get("/api/sites").json()["items"]
        return next(s for s in items if s["vendor"] == vendor and s["timezone"] == zone)

    def stop(self) -> None:
        self.client.close()
        self.runtime.stop()
        for emulator in self.emulators.values():
            emulator.stop()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet with all its history, for tests that only look; a module's own, for in 75 s it is midnight in Kolkata."""
    made = Fleet(tmp_path_factory.mktemp("fleet") / "data")
    made.bring_in()
    yield made
    made.stop()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Fleet]:
    """A Sungaze without accounts, for tests that change something."""
    made = Fleet(tmp_path / "data")
    yield made
    made.stop()
