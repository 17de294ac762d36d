"""The workers: they stop in time, lose nothing with the queue's file, and rest while the disk is full."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from spine import Spine

from sungaze.jobs import connect as connecting
from sungaze.jobs import planner
from sungaze.jobs.context import windows
from sungaze.jobs.queue import Queue
from sungaze.jobs.queue import log as queue_log
from sungaze.store.database import OperationalError
from sungaze.vendors import connector

PATIENCE_S = 60.0


@pytest.fixture
def begin(spine: Callable[..., Spine]) -> Iterator[Callable[[Spine], Queue]]:
    """Starts queues that stop with their test."""
    started: list[Queue] = []

    def start(running: Spine) -> Queue:
        queue = Queue(running.context, running.folder / "queue.db")
        started.append(queue)
        queue.start()
        return queue

    yield start
    for queue in started:
        queue.stop()


def until(is_so: Callable[[], object]) -> None:
    """Wait for something to come true."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def test_the_workers_bring_in_a_fleet_by_themselves(
    spine: Callable[..., Spine], begin: Callable[[Spine], Queue]
) -> None:
    running = spine("enphase", sites=2, panels=3)
    account_id = running.connect("enphase")
    begin(running)
    work = running.store.work
    until(lambda: (p := work.progress(account_id)).total and p.done == p.total)
    assert len(running.samples()) > 500


def test_deleting_the_queue_between_two_starts_loses_nothing(
    spine: Callable[..., Spine], begin: Callable[[Spine], Queue]
) -> None:
    running = spine("enphase", sites=2, panels=3)
    account_id = running.connect("enphase")
    queue = begin(running)
    until(lambda: len(running.samples()) > 0)
    queue.stop()
    for file in running.folder.glob("queue.db*"):
        file.unlink()
    begin(running)
    work = running.store.work
    until(lambda: (p := work.progress(account_id)).total and p.done == p.total)


def test_what_a_killed_process_held_does_not_hold_up_the_next(
    spine: Callable[..., Spine], begin: Callable[[Spine], Queue]
) -> None:
    running = spine("solaredge", sites=1, panels=1)
    account_id = running.connect("solaredge")
    (account,) = running.store.fleet.accounts()
    running.store.ledger.take(f"call:{account.scope}", 1, "a process that was killed", time.time())
    running.store.work.claim_looks(account_id, running.clock.now, 9, "a process that was killed")
    started = time.monotonic()
    begin(running)
    until(lambda: len(running.samples()) > 0)
    assert time.monotonic() - started < 20


def test_stopping_does_not_wait_for_a_vendor_that_drips(
    spine: Callable[..., Spine], begin: Callable[[Spine], Queue]
) -> None:
    running = spine("enphase", sites=3, panels=3)
    running.connect("enphase")
    running.emulators["enphase"].faults["slow"] = 1.0
    queue = begin(running)
    asked = len(running.emulators["enphase"].requests)
    until(lambda: len(running.emulators["enphase"].requests) > asked)
    started = time.monotonic()
    queue.stop()
    assert time.monotonic() - started < 4


def test_no_more_is_under_way_at_once_than_the_plan_allows(
    spine: Callable[..., Spine], begin: Callable[[Spine], Queue]
) -> None:
    running = spine("solaredge", sites=4, panels=3)
    running.connect("solaredge")
    most: list[int] = []
    begin(running)
    until(lambda: most.append(running.store.work.in_flight([1], running.clock.now)) or len(running.samples()) > 50)
    assert max(most) == 1


def test_what_the_user_asks_for_may_use_the_share_that_is_kept_for_it(
    spine: Callable[..., Spine], begin: Callable[[Spine], Queue]
) -> None:
    running = spine("solaredge", sites=1, panels=1)
    account_id = running.connect("solaredge")
    running.work_off()
    running.clock.now += 3_600
    (account,) = running.store.fleet.accounts()
    plan = connector("solaredge").vendor.plan(account.plan)
    assert plan is not None
    while planner.allowance(running.store, account, plan, running.clock.now, for_user=False):
        running.store.ledger.spend(account.scope, windows(plan), running.clock.now)
    begin(running)
    asked = len(running.emulators["solaredge"].requests)
    time.sleep(1.2)
    assert len(running.emulators["solaredge"].requests) == asked
    assert connecting.refresh(running.context, account_id) == 3
    until(lambda: len(running.emulators["solaredge"].requests) >= asked + 2)


def test_a_full_disk_stops_polling_and_it_goes_on_by_itself(
    spine: Callable[..., Spine], begin: Callable[[Spine], Queue], caplog: pytest.LogCaptureFixture
) -> None:
    running = spine("enphase", sites=2, panels=3)
    account_id = running.connect("enphase")
    database = running.store.database
    used = database.scalar("PRAGMA page_count")
    full = True

    def limited() -> None:
        # As a full disk does, every connection of the process is refused a further page.
        database.execute(f"PRAGMA max_page_count = {used if full else 1_000_000}")

    original = database.transaction

    def transaction(**options: object) -> object:
        limited()
        return original(**options)

    database.transaction = transaction  # type: ignore[method-assign]  # a full disk
    begin(running)
    until(lambda: "cannot be written" in caplog.text)
    assert database.scalar("PRAGMA integrity_check") == "ok"
    full = False
    running.clock.now += 200
    work = running.store.work
    until(lambda: (p := work.progress(account_id)).total and p.done == p.total)
    assert database.scalar("PRAGMA integrity_check") == "ok"


def test_workers_that_find_the_disk_full_at_once_say_so_once(
    spine: Callable[..., Spine], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = spine("enphase", sites=1, panels=2)
    queue = Queue(running.context, running.folder / "queue.db")
    full = OperationalError("database or disk is full")
    said = queue_log.error

    def second_meets_it_as_the_first_speaks(*words: object) -> None:
        said(*words)  # type: ignore[arg-type]
        if len(caplog.records) < 3:
            second = threading.Thread(target=queue._hold, args=(full,))
            second.start()
            second.join(PATIENCE_S)
            assert not second.is_alive()

    monkeypatch.setattr(queue_log, "error", second_meets_it_as_the_first_speaks)
    queue._hold(full)
    assert caplog.text.count("polling rests until it can") == 1


def test_a_worker_that_waits_is_woken_by_a_task_and_by_the_end(
    spine: Callable[..., Spine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sungaze.jobs.queue.ASLEEP_S", 2 * PATIENCE_S)
    running = spine("enphase", sites=1, panels=2)
    running.connect("enphase")
    queue = Queue(running.context, running.folder / "queue.db")
    queue.start()
    try:
        until(lambda: running.samples())
    finally:
        began = time.monotonic()
        queue.stop(timeout_s=PATIENCE_S)
    assert time.monotonic() - began < PATIENCE_S / 2
