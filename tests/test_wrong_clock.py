"""A computer whose clock is wrong by years: it is said, nothing is asked, and all goes on when it is set."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from sungaze import clock
from sungaze.config import Settings
from sungaze.emulators import World, serve
from sungaze.jobs.connect import Wish, connect, refresh
from sungaze.jobs.queue import Queue
from sungaze.runtime import Runtime

RIGHT = datetime.fromisoformat("2026-06-01T18:05:00+00:00").timestamp()
YEAR_S = 365 * 86_400


class Computer:
    """A Sungaze with one account that was asked at the right time, on a computer whose clock can be set."""

    def __init__(self, folder: Path) -> None:
        self.now = RIGHT
        self.folder = folder
        self.emulator = serve("solaredge", World(seed=1, sites=1, panels=3), plan="paid", now=lambda: RIGHT)
        self.runtime = self.start()
        wish = Wish(vendor="solaredge", method=self.emulator.method, plan="paid", credentials=self.emulator.credentials)
        self.account = connect(self.runtime.context, wish)
        store = self.runtime.context.store
        store.work.record(
            account_id=self.account, site_id=0, resource="sites", span=None, started_at=RIGHT, ended_at=RIGHT,
            outcome="ok", calls=1, samples=0, message="",
        )  # fmt: skip

    def start(self) -> Runtime:
        runtime = Runtime(
            Settings(data_dir=self.folder), now=lambda: self.now, polling=False,
            base_urls={"solaredge": self.emulator.base_url},
        )  # fmt: skip
        runtime.start()
        return runtime

    def restart(self, now: float) -> None:
        self.runtime.stop()
        self.now = now
        self.runtime = self.start()

    def health(self, *, known: bool = True) -> str:
        headers = {"Authorization": f"Bearer {self.runtime.sessions.owner_secret}"} if known else {}
        answer = httpx.get(f"{self.runtime.address}/api/health", headers=headers, trust_env=False).json()
        assert answer["status"] == "ok"
        return str(answer.get("clock", ""))

    def stop(self) -> None:
        self.runtime.stop()
        self.emulator.stop()


@pytest.fixture
def computer(tmp_path: Path) -> Iterator[Computer]:
    made = Computer(tmp_path / "data")
    yield made
    made.stop()


def test_a_clock_that_is_right_is_not_spoken_of(computer: Computer) -> None:
    for now in (RIGHT, RIGHT - 86_000, RIGHT + 3 * YEAR_S):
        computer.restart(now)
        assert computer.health() == ""


@pytest.mark.parametrize("now", [0.0, -5.0, RIGHT - 20 * YEAR_S])
def test_a_clock_before_this_version_was_made_is_said_and_nobody_is_asked(
    computer: Computer, now: float, caplog: pytest.LogCaptureFixture
) -> None:
    computer.restart(now)
    assert "before this version of Sungaze was made" in computer.health()
    assert "set the date and time" in caplog.text
    refresh(computer.runtime.context, computer.account)
    queue = Queue(computer.runtime.context, computer.folder / "queue.db")
    assert queue.tick() == 0
    computer.now = RIGHT
    assert computer.health() == ""
    assert queue.tick() > 0


def test_a_clock_behind_what_was_done_here_is_said(computer: Computer) -> None:
    computer.restart(RIGHT - 40 * 86_400)
    assert "worked here on 2026-06-01 already" in computer.health()
    assert computer.health(known=False) == ""  # who has no session learns nothing of what was done here


@pytest.mark.parametrize("now", [float("inf"), 1e18, -1e18, clock.MADE - 1.0])
def test_no_clock_makes_the_sentence_fail(now: float) -> None:
    assert clock.trouble_of(now, 1e12) == "" or clock.trouble_of(now, 1e12).endswith(".")
