"""A computer whose clock is wrong by years: it is said, nothing is asked, and all goes on when it is set."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from sungaze import clock
from sungaze.config import Settings
from sungaze.emulators import World, serve
from sungaze.errors import ClockWrong
from sungaze.jobs.agreement import Agreement, date_of
from sungaze.jobs.connect import Wish, connect, refresh
from sungaze.jobs.queue import Queue
from sungaze.model import Span
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
        self.wish = Wish(
            vendor="solaredge", method=self.emulator.method, plan="paid", credentials=self.emulator.credentials
        )
        self.account = connect(self.runtime.context, self.wish)
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


def until(true: Callable[[], bool], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(0.02)


@pytest.mark.parametrize("off_s", [3 * YEAR_S, 30 * 3_600.0])
def test_a_clock_ahead_of_a_vendors_server_is_said_nothing_is_kept_and_all_goes_on_when_it_is_set(
    computer: Computer, off_s: float
) -> None:
    computer.restart(RIGHT + off_s)
    store = computer.runtime.context.store
    before = len(computer.emulator.requests)
    queue = Queue(computer.runtime.context, computer.folder / "queue.db", judge=lambda: None)
    queue.start()
    until(lambda: "SolarEdge's server says that it is 2026-06-01" in computer.health(), computer.health)
    assert computer.health(known=False) == ""
    until(lambda: store.work.in_flight([computer.account], computer.now) == 0, lambda: "something stays under way")
    asked = len(computer.emulator.requests) - before
    assert 0 < asked < 20  # those that were under way together
    time.sleep(1.5)
    assert len(computer.emulator.requests) - before == asked
    assert store.database.scalar("SELECT count(*) FROM sample WHERE timestamp > ?", (RIGHT,)) == 0
    assert store.database.scalar("SELECT count(*) FROM due WHERE next_due > ?", (RIGHT + YEAR_S,)) == 0
    assert store.work.worked_until() == RIGHT
    computer.now = RIGHT
    until(lambda: store.work.worked_until() == RIGHT and bool(store.work.last_fetch_of_account(computer.account)),
          lambda: "it was not asked again")  # fmt: skip
    assert computer.health() == ""
    queue.stop()


def test_a_clock_behind_a_vendors_server_is_said_too(computer: Computer) -> None:
    computer.restart(RIGHT - 30 * 86_400)
    context = computer.runtime.context
    with pytest.raises(ClockWrong, match="stands at 2026-05-02, but SolarEdge's server says that it is 2026-06-01"):
        connect(context, computer.wish)
    assert len(context.store.fleet.accounts()) == 1


def test_what_was_put_off_for_years_comes_round_once_the_clock_is_set(computer: Computer) -> None:
    work, ahead = computer.runtime.context.store.work, RIGHT + 5 * 86_400
    computer.now = ahead
    queue = Queue(computer.runtime.context, computer.folder / "queue.db")
    queue.tick()
    for site, due in ((100, RIGHT + 3 * 86_400), (101, ahead + 60)):
        work.plan_look(computer.account, "power", site, due, 20)
    work.owe(computer.account, 1, "power", [Span(0, 900)], reason="late", priority=9, now=ahead, not_before=ahead + 300)

    def dues() -> dict[int, float]:
        return work.next_looks(["power"], [100, 101])

    queue.tick()
    assert dues() == {100: RIGHT + 3 * 86_400, 101: ahead + 60}
    computer.now = RIGHT
    queue.tick()
    assert dues() == {100: RIGHT + 3 * 86_400, 101: RIGHT}
    assert [owed.not_before for owed in work.owed_to_site(1, RIGHT)] == [RIGHT]


def test_what_an_earlier_start_put_off_under_a_clock_ahead_comes_round_too(computer: Computer) -> None:
    store, ahead = computer.runtime.context.store, RIGHT + 3 * YEAR_S
    store.work.record(
        account_id=computer.account, site_id=0, resource="sites", span=None, started_at=ahead, ended_at=ahead,
        outcome="unavailable", calls=1, samples=0, message="",
    )  # fmt: skip
    store.work.plan_look(computer.account, "power", 100, ahead + 300, 20)
    computer.restart(RIGHT)
    context = computer.runtime.context
    Queue(context, computer.folder / "queue.db").tick()
    assert context.store.work.next_looks(["power"], [100]) == {100: RIGHT}


def test_a_plan_of_months_is_left_alone(computer: Computer) -> None:
    work = computer.runtime.context.store.work
    work.plan_look(computer.account, "power", 100, RIGHT + 90 * 86_400, 20)
    queue = Queue(computer.runtime.context, computer.folder / "queue.db", judge=lambda: None)
    for later in (0, 60, 86_400):
        computer.now = RIGHT + later
        queue.tick()
    assert work.next_looks(["power"], [100]) == {100: RIGHT + 90 * 86_400}


def test_an_answer_out_of_a_store_or_without_a_date_says_nothing_of_the_clock() -> None:
    date = "Mon, 01 Jun 2026 18:05:00 GMT"
    assert date_of({"date": date}) == RIGHT
    for headers in ({}, {"date": date, "age": "90000"}, {"date": "yesterday"}, {"date": ""}):
        assert date_of(headers) is None


def test_a_vendors_word_on_the_clock_is_taken_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = [RIGHT]
    agreement = Agreement(lambda: ours[0])
    assert agreement.hear(RIGHT + 86_000, "Tigo") == agreement.trouble == ""
    assert "Tigo's server" in agreement.hear(RIGHT + 90_000, "Tigo")
    passed = time.monotonic()
    monkeypatch.setattr("sungaze.jobs.agreement.time.monotonic", lambda: passed + 3_500)
    assert agreement.trouble == ""  # our clock stood still while that time passed
    ours[0] += 3_500
    assert "Tigo's server" in agreement.trouble
    monkeypatch.setattr("sungaze.jobs.agreement.time.monotonic", lambda: passed + 3_700)
    ours[0] += 200
    assert agreement.trouble == ""
    agreement.hear(ours[0] + 90_000, "Tigo")
    agreement.hear(ours[0] + 5, "Enphase")
    assert agreement.trouble == ""
