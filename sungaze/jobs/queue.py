"""Huey carries ids to worker threads of this process; a ticker puts in what the database says is due.

Huey drops a task when it takes it, and that is fine: a look that was dropped is due again once its lease expires, and
at the next start at once. Deleting queue.db loses nothing.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from huey import SqliteHuey
from huey.consumer import Consumer
from huey.storage import SqliteStorage

from sungaze import clock
from sungaze.jobs import planner
from sungaze.jobs.context import Context, windows
from sungaze.jobs.fetch import perform_gap, perform_look
from sungaze.jobs.upkeep import is_seal_due, seal, tidy
from sungaze.model import AccountState
from sungaze.store.database import OperationalError
from sungaze.store.fleet import AccountRow
from sungaze.vendors import connector
from sungaze.vendors._contract import Plan

log = logging.getLogger(__name__)

WORKERS: Final = 4
TICK_S: Final = 0.5
JUDGE_S: Final = 300.0
LONGEST_REST_S: Final = 32 * 86_400.0
"""No account rests longer: a spent month is the longest."""
ASLEEP_S: Final = 1.0
"""How long a worker waits for a task before it looks at the file all the same."""
REST_S: Final = 10.0
"""How long it is waited before a store that could not be written is tried again."""
ROOM: Final = 2**20
"""Bytes that the disk must take before anybody is asked again after it was full: what an answer may need."""
TROUBLE: Final = "disk"
_RESTING: Final = frozenset({AccountState.NEEDS_RECONNECT, AccountState.BLOCKED})


class _Tasks(SqliteStorage):  # type: ignore[misc]  # huey has no types
    """The queue's file, whose takers wait for what this process puts in: looking all the time keeps a core awake."""

    blocking = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._waiting = threading.Semaphore(0)
        self._closing = False

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Put a task in, and wake one taker."""
        super().enqueue(data, priority)
        self._waiting.release()

    def dequeue(self) -> bytes | None:
        """The next task, waited for at most ASLEEP_S, else None."""
        if not self._closing:
            self._waiting.acquire(timeout=ASLEEP_S)
        task: bytes | None = super().dequeue()
        return task

    def close_door(self, takers: int) -> None:
        """Let the takers go, now and from now on."""
        self._closing = True
        self._waiting.release(takers)


class _Huey(SqliteHuey):  # type: ignore[misc]  # huey has no types
    storage_class = _Tasks


class Queue:
    """The workers of one store and the ticker that feeds them."""

    def __init__(self, context: Context, path: Path, *, judge: Callable[[], None] | None = None) -> None:
        """`judge` looks over the whole fleet; it is done every JUDGE_S by one of the workers."""
        self._context = context
        self._owner = secrets.token_hex(8)
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._huey = _Huey("sungaze", filename=str(path), results=False, fsync=False, immediate=False)
        # Whatever an earlier process left here is owed by the database too, and would be done twice.
        self._huey.flush()
        self._look = self._huey.task(name="look")(self._perform_look)
        self._gap = self._huey.task(name="gap")(self._perform_gap)
        self._judge = self._huey.task(name="judge")(self._perform_judge)
        self._seal = self._huey.task(name="seal")(self._perform_seal)
        self._judge_fleet = judge
        self._judged = float("-inf")
        self._shown: tuple[float, float] | None = None
        """What the clock and the monotonic one showed at the last tick."""
        self._consumer = Consumer(
            self._huey, workers=WORKERS, worker_type="thread", periodic=False, initial_delay=0.05, max_delay=0.2,
            check_worker_health=False,
        )  # fmt: skip
        # Signals belong to whoever runs the process, and setting them fails off the main thread.
        self._consumer._set_signal_handlers = lambda: None
        self._ticker = threading.Thread(target=self._run, name="ticker", daemon=True)
        self._held = False
        """Whether the store could not be written: nothing is asked then, because its answer could not be kept."""
        self._holding = threading.Lock()
        self._undone: dict[Any, set[int]] = {perform_look: set(), perform_gap: set()}
        """What was claimed and could not be done because of that."""
        self._folder = path.parent
        self._stopper: threading.Thread | None = None

    def start(self) -> None:
        """Begin: leases of an earlier process are freed first, because this one owns the data folder."""
        self._context.store.work.release_all()
        self._consumer.start()
        self._ticker.start()

    def leave(self) -> None:
        """Take nothing more up, without waiting for what is under way; more than once does no harm."""
        if self._stopper is not None:
            return
        self._stop.set()
        self._wake.set()
        self._huey.storage.close_door(WORKERS)
        self._stopper = threading.Thread(target=lambda: self._consumer.stop(graceful=True), daemon=True)
        self._stopper.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Take nothing more up, and wait for what is under way at most so long.

        An answer that comes later than that is not waited for: its look is owed still, and asked at the next start.
        """
        self.leave()
        assert self._stopper is not None
        self._stopper.join(timeout_s)
        self._ticker.join(0.5)

    def wake(self) -> None:
        """Look for what is due now, not at the next tick."""
        self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self._held:
                    if not self._can_keep():
                        self._stop.wait(REST_S)
                        continue
                    self._go_on()
                self.tick()
            except OperationalError as error:
                self._hold(error)
                self._stop.wait(REST_S)
            except Exception:
                log.exception("the ticker stumbled")
                self._stop.wait(5)
            self._wake.wait(TICK_S)
            self._wake.clear()
        self._context.store.close()

    def _hold(self, error: OperationalError) -> None:
        """Ask nobody until the store can be written again, and have the pages say so."""
        with self._holding:
            first, self._held = not self._held, True
        if first:
            log.error("The store cannot be written (%s): polling rests until it can.", error)
        text = str(error)
        if "full" in text or "disk I/O" in text:
            self._context.tell_trouble(
                TROUBLE,
                "The disk that holds your data is full, so nothing is asked of your vendors. What you have is kept; "
                "free some space, and it goes on by itself.",
            )
        elif "locked" not in text:
            self._context.tell_trouble(
                TROUBLE,
                f"Your data cannot be written ({text}), so nothing is asked of your vendors. What you have is kept; it "
                "goes on by itself once it can.",
            )

    def _go_on(self) -> None:
        looks, gaps = ({*self._undone[perform]} for perform in (perform_look, perform_gap))
        self._context.store.work.give_back(self._owner, looks, gaps)
        self._undone[perform_look] -= looks
        self._undone[perform_gap] -= gaps
        log.info("The store can be written again: polling goes on.")
        self._held = False
        self._context.tell_trouble(TROUBLE, "")

    def _can_keep(self) -> bool:
        """Whether an answer could be kept: the database itself may have room for a row, and the disk none for more."""
        with self._context.store.database.transaction():
            pass
        try:
            with tempfile.TemporaryFile(dir=self._folder, buffering=0) as probe:
                return probe.write(bytes(ROOM)) == ROOM
        except OSError:
            return False

    def _notice_the_clock(self, now: float) -> None:
        """A clock that was set back has planned what is due by a time that does not come for so long."""
        before, self._shown = self._shown, (now, time.monotonic())
        if before is None:
            worked_until = self._context.worked_until
            shown = now if worked_until is None else max(now, worked_until)
        else:
            shown = before[0] + self._shown[1] - before[1]
        if now < shown - clock.OFF_S:
            self._context.store.work.pull_in(now, shown - clock.OFF_S)

    def tick(self) -> int:
        """The number of tasks put in: as many as quotas and concurrency have room for, looks before gaps."""
        context, now = self._context, self._context.now()
        put = 0
        self._notice_the_clock(now)
        if clock.is_before_made(now) or context.agreement.trouble:
            # Days, limits and what is due would be counted by it. A clock that is set is seen at the next tick.
            return 0
        if self._judge_fleet is not None and time.monotonic() - self._judged > JUDGE_S:
            self._judged = time.monotonic()
            self._judge()
            if is_seal_due(context):
                self._seal()
        accounts = context.store.fleet.accounts()
        for account in accounts:
            if account.paused_at is not None or account.state in _RESTING:
                continue
            if account.retry_at and now < account.retry_at < now + LONGEST_REST_S:
                continue
            plan = connector(account.vendor).vendor.plan(account.plan)
            if plan is None:
                continue
            sharing = [a.id for a in accounts if a.scope == account.scope]
            under_way = context.store.work.under_way(sharing, now)
            if plan.concurrent > len(under_way):
                put += self._put(account, plan, under_way, now)
        return put

    def _put(self, account: AccountRow, plan: Plan, under_way: list[str], now: float) -> int:
        store = self._context.store
        work = store.work
        vendor = connector(account.vendor).vendor
        costs = planner.calls_of(vendor, windows(plan, store.ledger.caps(account.scope)))
        begun = sum(costs.get(resource, 1) for resource in under_way)
        room = plan.concurrent - len(under_way)
        planner.bring_forward(store, account, plan, self._context.screen.sites(now), now)
        left = planner.allowance(store, account, plan, now, for_user=True, under_way=begun)
        looks = work.claim_looks(
            account.id, now, room, self._owner, priority_at_most=planner.SCREEN_PRIORITY, calls=costs, allowance=left
        )
        if looks:
            # They may cost several calls each: the next tick, which sees them under way, goes on.
            room = 0
        left = planner.allowance(store, account, plan, now, for_user=False, under_way=begun)
        if room > 0 and left > 0:
            looks = work.claim_looks(account.id, now, room, self._owner, calls=costs, allowance=left)
            room -= len(looks)
        self._carry(self._look, perform_look, looks)
        gaps: list[int] = []
        if room > 0 and not looks and planner.may_buy_history(store, account, plan, now):
            gaps = work.claim_gaps(account.id, now, room, self._owner, calls=costs, allowance=left)
            self._carry(self._gap, perform_gap, gaps)
        return len(looks) + len(gaps)

    def _carry(self, task: Callable[[int], Any], perform: Any, ids: list[int]) -> None:
        for at, work_id in enumerate(ids):
            try:
                task(work_id)
            except sqlite3.OperationalError as error:  # Huey's own file is on the same disk
                self._undone[perform].update(ids[at:])
                raise OperationalError(str(error)) from None

    def _perform_look(self, look_id: int) -> None:
        self._perform(perform_look, look_id)

    def _perform_gap(self, gap_id: int) -> None:
        self._perform(perform_gap, gap_id)

    def _perform_judge(self) -> None:
        if self._stop.is_set() or self._judge_fleet is None:
            return
        try:
            tidy(self._context, self._stop.is_set)
            self._judge_fleet()
        except OperationalError as error:
            self._hold(error)
        except Exception:
            log.exception("the fleet could not be judged")

    def _perform_seal(self) -> None:
        try:
            seal(self._context, self._stop)
        except OperationalError as error:
            log.error("The store cannot be written (%s); history is folded the next night.", error)
        except Exception:
            log.exception("history could not be folded")

    def _perform(self, perform: Any, work_id: int) -> None:
        if self._stop.is_set():
            return
        if self._held:
            self._undone[perform].add(work_id)
            return
        try:
            perform(self._context, work_id, self._owner)
            self._wake.set()
        except OperationalError as error:
            self._undone[perform].add(work_id)
            self._hold(error)
        except Exception:
            if self._stop.is_set():
                log.info("a job was cut off by the stop; it is owed still")
                return
            log.exception("a job stumbled; it is tried again")
