"""A running Sungaze in this process, with its own clock, over emulators; and a client with its token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from sungaze.config import Settings
from sungaze.emulators import Emulator, World, serve
from sungaze.jobs import connect as connecting
from sungaze.runtime import Runtime

TOKEN = "a-token-of-the-tests-0123456789abcdef"
BEGAN = datetime.fromisoformat("2026-06-01T18:05:00+00:00").timestamp()
SPEED = 20.0
PATIENCE_S = 90.0


class Fleet:
    """The program, its emulators and their clock, which runs 20 times as fast as ours."""

    def __init__(self, folder: Path) -> None:
        started = time.monotonic()
        self.now = lambda: BEGAN + (time.monotonic() - started) * SPEED
        self.emulators: dict[str, Emulator] = {
            vendor: serve(vendor, World(seed=1, sites=4, panels=9), plan=plan, now=self.now)
            for vendor, plan in (("enphase", "partner"), ("solaredge", "paid"))
        }
        self.runtime = Runtime(
            Settings(data_dir=folder, token=TOKEN),
            now=self.now,
            base_urls={vendor: emulator.base_url for vendor, emulator in self.emulators.items()},
        )
        self.runtime.start()
        self.client = httpx.Client(
            base_url=self.runtime.address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60, trust_env=False
        )

    def wish(self, vendor: str) -> dict[str, Any]:
        emulator = self.emulators[vendor]
        return {
            "vendor": vendor, "method": emulator.method, "plan": emulator.plan, "credentials": emulator.credentials
        }  # fmt: skip

    def bring_in(self) -> None:
        """Connect both accounts and wait until the history that is bought at connect is there."""
        for vendor in self.emulators:
            connecting.connect(self.runtime.context, connecting.Wish(**self.wish(vendor)))
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


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A fleet with all its history, for tests that only look."""
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
