"""Calls are spent before they are made, and never more of them than there are."""

from __future__ import annotations

import datetime as dt
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_kit import NOW, said

from sungaze.store import Store
from sungaze.store.ledger import LEASE_S, MINUTE_S, Heard, Window, window_span

Runs = Callable[..., "subprocess.Popen[str]"]
MINUTE, MONTH = Window("minute", 3), Window("month", 10)
SCOPE = "enphase:abc"


def spend(store: Store, now: float, *windows: Window) -> bool:
    return store.ledger.spend(SCOPE, windows, now) is None


def used(store: Store, window: Window, now: float) -> int:
    return store.ledger.standing(SCOPE, [window], now)[0].used


def month(moment: float) -> tuple[int, int]:
    date = dt.datetime.fromtimestamp(moment, dt.UTC)
    return date.year, date.month


# -- limits ----------------------------------------------------------------------------------------------------------


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    minute=st.integers(1, 4),
    monthly=st.integers(1, 12),
    steps=st.lists(
        st.tuples(st.sampled_from([0, 0.3, 1, 7, 20, 59, 60, 61, 63, 500, 90_000]),
                  st.sampled_from([0, 0, 0, 0.5, 30, 61, 3_600, 40 * 86_400])),
        max_size=60,
    ),
)  # fmt: skip
def test_no_sliding_minute_and_no_month_is_ever_over_its_limit_though_the_clock_is_set_back(
    store: Store, minute: int, monthly: int, steps: list[tuple[float, float]]
) -> None:
    for table in ("call", "quota"):
        store.database.execute(f"DELETE FROM {table}")
    true_time, shown = float(NOW), float(NOW) + 28 * 86_400
    made: list[float] = []
    months: Counter[tuple[int, int]] = Counter()
    for passed, set_back in steps:
        true_time += passed
        shown += passed - set_back
        if spend(store, shown, Window("minute", minute), Window("month", monthly)):
            made.append(true_time)
            months[month(shown)] += 1
    assert all(made[k + minute] - made[k] >= 60 for k in range(len(made) - minute))
    assert max(months.values(), default=0) <= monthly


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0, 100), max_size=40))
def test_a_call_that_may_be_made_is_not_refused(store: Store, steps: list[float]) -> None:
    store.database.execute("DELETE FROM call")
    now, made = float(NOW), list[float]()
    for step in steps:
        now += step
        allowed = sum(now - at < MINUTE_S - 1e-3 for at in made) < MINUTE.limit
        if spend(store, now, MINUTE):
            made.append(now)
        else:
            assert not allowed


def test_a_refusal_tells_when_one_call_may_be_made(store: Store) -> None:
    for second in (0, 10, 20):
        assert spend(store, NOW + second, MINUTE)
    until = store.ledger.spend(SCOPE, [MINUTE], NOW + 30)
    assert until == NOW + MINUTE_S
    assert not spend(store, until - 0.5, MINUTE)
    assert spend(store, until, MINUTE)
    assert not spend(store, until, MINUTE)


def test_a_refused_call_costs_nothing(store: Store) -> None:
    for _ in range(9):
        spend(store, NOW, MINUTE, MONTH)
    assert (used(store, MINUTE, NOW), used(store, MONTH, NOW)) == (3, 3)


def test_a_month_ends_at_its_end_in_utc(store: Store) -> None:
    start, end = window_span("month", NOW)
    one = Window("month", 1)
    assert spend(store, end - 1, one)
    assert store.ledger.spend(SCOPE, [one], end - 1) == end
    assert spend(store, end, one)
    assert (dt.datetime.fromtimestamp(start, dt.UTC).day, dt.datetime.fromtimestamp(end, dt.UTC).day) == (1, 1)


def test_a_day_ends_at_midnight_in_utc(store: Store) -> None:
    _, end = window_span("day", NOW)
    one = Window("day", 1)
    assert [spend(store, t, one) for t in (end - 2, end - 1, end)] == [True, False, True]


@pytest.mark.parametrize("window", ["minute", "day", "month"])
def test_a_limit_of_nothing_lets_nothing_through(store: Store, window: str) -> None:
    until = store.ledger.spend(SCOPE, [Window(window, 0)], NOW)
    assert until is not None
    assert until > NOW


def test_a_clock_that_was_a_year_ahead_does_not_bar_the_scope_for_a_year(store: Store) -> None:
    for _ in range(3):
        spend(store, NOW + 365 * 86_400, MINUTE)
    until = store.ledger.spend(SCOPE, [MINUTE], NOW)
    assert until == NOW + MINUTE_S


def test_a_thread_that_waited_does_not_put_its_call_down_before_the_one_it_waited_for(store: Store) -> None:
    spend(store, NOW + 14, MINUTE)
    spend(store, NOW, MINUTE)
    assert used(store, MINUTE, NOW + 14 + MINUTE_S - 1) == 2


def test_scopes_do_not_share_their_calls(store: Store) -> None:
    assert [store.ledger.spend(scope, [Window("month", 1)], NOW) for scope in ("a:1", "a:2")] == [None, None]


def test_calls_that_buy_history_are_counted_apart_and_among_all(store: Store) -> None:
    for history in (True, False, True):
        store.ledger.spend(SCOPE, [MONTH], NOW, history=history)
    assert (store.ledger.history_used(SCOPE, "month", NOW), used(store, MONTH, NOW)) == (2, 3)
    assert store.ledger.history_used(SCOPE, "month", NOW + 40 * 86_400) == 0


def test_what_was_spent_stays_spent_when_the_store_is_opened_again(
    path: Path, open_store: Callable[[Path], Store]
) -> None:
    first = open_store(path)
    scope = first.ledger.scope("enphase", "key")
    for _ in range(3):
        spend(first, NOW, MINUTE, MONTH)
    first.close()
    again = open_store(path)
    assert not spend(again, NOW + 1, MINUTE, MONTH)
    assert used(again, MONTH, NOW) == 3
    assert again.ledger.scope("enphase", "key") == scope


SPEND = """
import sys, pathlib
from sungaze.store import Store
from sungaze.store.ledger import Window
store = Store(pathlib.Path(sys.argv[1]))
windows = [Window("minute", 40), Window("month", 60)]
print(sum(store.ledger.spend("enphase:abc", windows, float(sys.argv[2]) + k) is None for k in range(45)))
"""


def test_two_processes_that_share_a_file_never_overspend(path: Path, store: Store, run: Runs) -> None:
    processes = [run(SPEND, path, NOW) for _ in range(2)]
    assert sum(int(said(process)) for process in processes) == 40


def test_threads_never_overspend(store: Store) -> None:
    made: list[bool] = []

    def work() -> None:
        made.extend(spend(store, NOW, Window("month", 25)) for _ in range(10))
        store.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (sum(made), len(made)) == (25, 40)


# -- the vendor's own word -------------------------------------------------------------------------------------------


def test_nothing_is_spent_before_the_moment_the_vendor_named(store: Store) -> None:
    store.ledger.block(SCOPE, NOW + 100, "asked too often")
    assert store.ledger.spend(SCOPE, [MONTH], NOW + 99) == NOW + 100
    assert spend(store, NOW + 100, MONTH)


def test_a_shorter_block_does_not_lift_a_longer_one(store: Store) -> None:
    store.ledger.block(SCOPE, NOW + 1_000, "the month is spent")
    store.ledger.block(SCOPE, NOW + 10, "asked too often")
    assert store.ledger.spend(SCOPE, [MONTH], NOW + 20) == NOW + 1_000
    assert store.database.scalar("SELECT reason FROM quota_block") == "the month is spent"


@pytest.mark.parametrize(("told", "left"), [(10, 0), (9, 1), (0, 10), (12, 0)])
def test_the_vendors_count_replaces_ours_in_both_directions(store: Store, told: int, left: int) -> None:
    for _ in range(5):
        spend(store, NOW, MONTH)
    store.ledger.correct(SCOPE, "month", told, NOW)
    assert store.ledger.standing(SCOPE, [MONTH], NOW)[0].left == left
    assert sum(spend(store, NOW, MONTH) for _ in range(20)) == left


def test_a_standing_tells_used_left_and_when_it_gives_again(store: Store) -> None:
    spend(store, NOW + 0.5, MINUTE, MONTH)
    minute, monthly = store.ledger.standing(SCOPE, [MINUTE, MONTH], NOW + 5)
    assert (minute.used, minute.left, minute.resets_at) == (1, 2, NOW + 63)
    assert (monthly.used, monthly.left, monthly.resets_at) == (1, 9, window_span("month", NOW)[1])


# -- scopes and leases -----------------------------------------------------------------------------------------------


def test_a_scope_is_one_for_a_key_and_does_not_hold_it(store: Store) -> None:
    key = "0123456789abcdef"
    scope = store.ledger.scope("enphase", key)
    assert scope == store.ledger.scope("enphase", key)
    assert scope != store.ledger.scope("enphase", key + "0")
    assert scope.startswith("enphase:")
    assert key not in scope


def test_a_scope_differs_from_store_to_store(tmp_path: Path, store: Store, open_store: Callable[[Path], Store]) -> None:
    other = open_store(tmp_path / "other.db")
    assert store.ledger.scope("enphase", "key") != other.ledger.scope("enphase", "key")


def test_as_many_hold_a_slot_as_there_are(store: Store) -> None:
    assert [store.ledger.take(SCOPE, 2, holder, NOW) for holder in "abc"] == [0, 1, None]
    store.ledger.release(SCOPE, 0, "a")
    assert store.ledger.take(SCOPE, 2, "c", NOW) == 0


def test_a_lease_that_nobody_gives_back_expires(store: Store) -> None:
    store.ledger.take(SCOPE, 1, "killed", NOW)
    assert store.ledger.take(SCOPE, 1, "next", NOW + LEASE_S - 1) is None
    assert store.ledger.take(SCOPE, 1, "next", NOW + LEASE_S) == 0


def test_a_holder_whose_lease_has_expired_does_not_give_back_anothers(store: Store) -> None:
    store.ledger.take(SCOPE, 1, "slow", NOW)
    store.ledger.take(SCOPE, 1, "next", NOW + LEASE_S)
    store.ledger.release(SCOPE, 0, "slow")
    assert store.ledger.take(SCOPE, 1, "third", NOW + LEASE_S) is None


def test_a_lease_is_given_back_when_its_work_fails(store: Store) -> None:
    with pytest.raises(RuntimeError), store.ledger.lease(SCOPE):
        raise RuntimeError
    with store.ledger.lease(SCOPE, patience_s=0):
        pass


def test_one_who_waits_too_long_is_told_so_without_the_scopes_fingerprint(store: Store) -> None:
    with store.ledger.lease(SCOPE), pytest.raises(TimeoutError) as raised, store.ledger.lease(SCOPE, patience_s=0):
        pass
    assert "abc" not in str(raised.value)


HOLD = """
import sys, pathlib
from sungaze.store import Store
store = Store(pathlib.Path(sys.argv[1]))
counter = pathlib.Path(sys.argv[2])
for _ in range(15):
    with store.ledger.lease("login:1"):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


def test_a_lease_is_one_processes_at_a_time(path: Path, store: Store, tmp_path: Path, run: Runs) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    for process in [run(HOLD, path, counter) for _ in range(3)]:
        said(process)
    assert counter.read_text() == "45"


KILLED = """
import sys, pathlib, time
from sungaze.store import Store
store = Store(pathlib.Path(sys.argv[1]))
store.ledger.take("login:1", 1, "me", time.time() - float(sys.argv[2]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_killed_process_holds_its_slot_no_longer_than_its_lease(path: Path, store: Store, run: Runs) -> None:
    process = run(KILLED, path, LEASE_S - 3_600)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    assert store.ledger.take("login:1", 1, "next", time.time()) is None
    assert store.ledger.take("login:1", 1, "next", time.time() + 3_600) == 0


# -- the user's cap and the vendor's count ----------------------------------------------------------------------------


def test_a_cap_is_kept_until_it_is_taken_back(store: Store) -> None:
    store.ledger.set_caps(SCOPE, {"month": 20_000, "day": 5}, NOW)
    store.ledger.set_caps(SCOPE, {"day": None}, NOW)
    assert store.ledger.caps(SCOPE) == {"month": 20_000}
    assert store.ledger.caps("enphase:other") == {}


def test_another_application_on_the_same_key_raises_our_minute(store: Store) -> None:
    spend(store, NOW, MINUTE)
    store.ledger.hear(SCOPE, [MINUTE], [Heard("minute", 3, 0)], NOW)
    assert used(store, MINUTE, NOW) == 3
    assert not spend(store, NOW + 30, MINUTE)
    assert spend(store, NOW + MINUTE_S, MINUTE)


def test_a_minute_that_the_vendor_begins_anew_does_not_lower_ours(store: Store) -> None:
    for _ in range(3):
        spend(store, NOW, MINUTE)
    store.ledger.hear(SCOPE, [MINUTE], [Heard("minute", 3, 3)], NOW + 1)
    assert used(store, MINUTE, NOW + 1) == 3


@pytest.mark.parametrize(("remaining", "ours"), [(9, 1), (2, 8), (0, 10)])
def test_a_month_is_corrected_in_both_directions(store: Store, remaining: int, ours: int) -> None:
    for _ in range(5):
        spend(store, NOW, MONTH)
    store.ledger.hear(SCOPE, [MONTH], [Heard("month", 10, remaining)], NOW)
    assert used(store, MONTH, NOW) == ours


def test_a_month_that_is_spent_at_a_limit_lower_than_ours_is_spent(store: Store) -> None:
    store.ledger.hear(SCOPE, [MONTH], [Heard("month", 7, 0)], NOW)
    assert store.ledger.spend(SCOPE, [MONTH], NOW) == window_span("month", NOW)[1]


def test_what_a_vendor_says_of_a_window_that_we_do_not_keep_changes_nothing(store: Store) -> None:
    store.ledger.hear(SCOPE, [MINUTE], [Heard("day", 5, 0), Heard("minute", -1, 0)], NOW)
    assert used(store, MINUTE, NOW) == 0
    assert spend(store, NOW, MINUTE)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(1, 6),
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(5, 55), st.integers(0, 4)), max_size=40),
)
def test_a_key_that_others_use_too_is_never_over_once_its_answers_are_heard(
    store: Store, limit: int, steps: list[tuple[int, int, int]]
) -> None:
    store.database.execute("DELETE FROM call")
    window, now = Window("minute", limit), float(NOW // 60 * 60)
    counts: Counter[int] = Counter()
    for minutes, second, foreign in steps:
        now = max(now, now // 60 * 60 + 60 * minutes + second)
        minute = int(now // 60)
        if spend(store, now, window):
            counts[minute] += 1
        # What others spend after our last answer cannot be known before the next one: it is heard here at once.
        counts[minute] += min(foreign, max(0, limit - counts[minute]))
        left = max(0, limit - counts[minute])
        store.ledger.hear(SCOPE, [window], [Heard("minute", limit, left, by_clock=True)], now)
    assert max(counts.values(), default=0) <= limit


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    windows=st.lists(
        st.builds(Window, st.sampled_from(["minute", "day", "month"]), st.integers(0, 9)),
        max_size=3, unique_by=lambda w: w.window,
    ),
    steps=st.lists(st.sampled_from([0.0, 1.0, 31.0, 62.0, 3_600.0, 86_400.0, 31 * 86_400.0]), max_size=50),
)  # fmt: skip
def test_minute_day_and_month_hold_together(store: Store, windows: list[Window], steps: list[float]) -> None:
    for table in ("call", "quota"):
        store.database.execute(f"DELETE FROM {table}")
    now, made = float(NOW), list[float]()
    for step in steps:
        now += step
        until = store.ledger.spend(SCOPE, windows, now)
        if until is None:
            made.append(now)
        else:
            assert until > now
    for window in windows:
        if window.window == "minute":
            assert all(sum(at - 60 < other <= at for other in made) <= window.limit for at in made)
        else:
            spans = Counter(window_span(window.window, at) for at in made)
            assert max(spans.values(), default=0) <= window.limit


def test_looks_for_the_screen_are_counted_by_the_day_and_beside_the_quota(store: Store) -> None:
    store.ledger.note_screen(SCOPE, NOW)
    store.ledger.note_screen(SCOPE, NOW)
    assert (store.ledger.screen_used(SCOPE, NOW), used(store, MONTH, NOW)) == (2, 0)
    assert store.ledger.screen_used(SCOPE, NOW + 86_400) == 0
