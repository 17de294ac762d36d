"""What is owed: claimed by one at a time, claimed again when nobody ends it, counted truly."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from store_kit import NOW, connect, said

from sungaze.model import Span
from sungaze.store import Store
from sungaze.store.work import LEASE_S, Progress

SPANS = [Span(NOW - 3_600 * (k + 1), NOW - 3_600 * k) for k in range(3)]


def plan(store: Store, account: int, *, resource: str = "power", site: int = 1, due: float = NOW, priority: int = 50,
         keep: bool = True) -> None:  # fmt: skip
    store.work.plan_look(account, resource, site, due, priority, keep=keep)


def owe(store: Store, account: int, spans: list[Span] = SPANS, *, resource: str = "power", priority: int = 10,
        not_before: float | None = None) -> None:  # fmt: skip
    store.work.owe(account, 1, resource, spans, reason="connect", priority=priority, now=NOW, not_before=not_before)


# -- looks -----------------------------------------------------------------------------------------------------------


def test_what_is_due_is_claimed_most_urgent_first(store: Store, account: int) -> None:
    plan(store, account, site=1, due=NOW - 5, priority=50)
    plan(store, account, site=2, due=NOW - 1, priority=1)
    plan(store, account, site=3, due=NOW - 9, priority=50)
    plan(store, account, site=4, due=NOW + 1, priority=0)
    ids = store.work.claim_looks(account, NOW, 9, "me")
    assert [look.site_id for i in ids if (look := store.work.look(i, "me"))] == [2, 3, 1]


def test_no_more_are_claimed_than_there_is_room_for(store: Store, account: int) -> None:
    for site in range(1, 6):
        plan(store, account, site=site)
    assert len(store.work.claim_looks(account, NOW, 2, "me")) == 2


def test_a_claimed_look_is_nobody_elses_until_its_lease_ends(store: Store, account: int) -> None:
    plan(store, account)
    (look,) = store.work.claim_looks(account, NOW, 9, "slow")
    assert store.work.claim_looks(account, NOW + LEASE_S - 1, 9, "next") == []
    assert store.work.claim_looks(account, NOW + LEASE_S, 9, "next") == [look]
    assert store.work.look(look, "slow") is None
    assert store.work.look(look, "next") is not None


@pytest.mark.parametrize(("ok", "attempts", "last_ok"), [(True, 0, NOW), (False, 1, None)])
def test_a_finished_look_comes_round_again(
    store: Store, account: int, ok: bool, attempts: int, last_ok: float | None
) -> None:
    plan(store, account)
    (claimed,) = store.work.claim_looks(account, NOW, 9, "me")
    look = store.work.look(claimed, "me")
    assert look is not None
    store.work.finish_look(look, NOW + 900, ok=ok, now=NOW)
    assert store.work.claim_looks(account, NOW + 899, 9, "me") == []
    assert store.work.claim_looks(account, NOW + 900, 9, "me") == [claimed]
    again = store.work.look(claimed, "me")
    assert again is not None
    assert (again.attempts, again.last_ok, again.priority) == (attempts, last_ok, 50)


def test_a_planned_look_stays_as_it_is_unless_it_is_to_be_moved(store: Store, account: int) -> None:
    plan(store, account, due=NOW + 100)
    plan(store, account, due=NOW)
    assert store.work.next_looks(["power"]) == {1: NOW + 100}
    plan(store, account, due=NOW, keep=False)
    assert store.work.next_looks(["power"]) == {1: NOW}


def test_a_refresh_brings_the_named_looks_forward(store: Store, account: int) -> None:
    for resource in ("power", "devices", "list"):
        plan(store, account, resource=resource, due=NOW + 500)
    assert store.work.hasten(account, {"power": 0, "list": 0}, NOW, 1) == 2
    assert store.work.next_looks(["power"]) == {1: NOW}
    assert store.work.next_look_of_account(account) == NOW
    assert store.work.next_looks(["devices"]) == {1: NOW + 500}


def test_what_is_under_way_is_counted_until_it_ends_or_its_lease_does(store: Store, account: int) -> None:
    plan(store, account)
    owe(store, account)
    (claimed,) = store.work.claim_looks(account, NOW, 9, "me")
    store.work.claim_gaps(account, NOW, 2, "me")
    assert store.work.in_flight([account], NOW) == 3
    look = store.work.look(claimed, "me")
    assert look is not None
    store.work.finish_look(look, NOW + 900, ok=True, now=NOW)
    assert store.work.in_flight([account], NOW) == 2
    assert (store.work.in_flight([account], NOW + LEASE_S), store.work.in_flight([], NOW)) == (0, 0)


def test_a_start_frees_what_the_process_before_it_held(store: Store, account: int) -> None:
    plan(store, account)
    owe(store, account)
    before = store.work.claim_looks(account, NOW, 9, "killed") + store.work.claim_gaps(account, NOW, 9, "killed")
    store.work.release_all()
    assert store.work.claim_looks(account, NOW, 9, "me") + store.work.claim_gaps(account, NOW, 9, "me") == before


def test_the_last_good_answer_is_told_by_site_and_by_account(store: Store, account: int) -> None:
    plan(store, account)
    (claimed,) = store.work.claim_looks(account, NOW, 9, "me")
    look = store.work.look(claimed, "me")
    assert look is not None
    assert (store.work.last_fetches(["power"]), store.work.last_fetch_of_account(account)) == ({}, None)
    store.work.finish_look(look, NOW + 900, ok=True, now=NOW + 0.75)
    assert repr(store.work.last_fetches(["power"])) == repr({1: NOW})
    assert store.work.last_fetch_of_account(account) == NOW


CLAIM = """
import sys, pathlib
from sungaze.store import Store
store = Store(pathlib.Path(sys.argv[1]))
got = []
while ids := store.work.claim_looks(1, float(sys.argv[2]), 3, sys.argv[3]):
    got += ids
print(*got)
"""


def test_each_look_is_claimed_by_one_of_several_processes_and_threads(
    path: Path, store: Store, account: int, run: Callable[..., subprocess.Popen[str]]
) -> None:
    for site in range(60):
        plan(store, account, site=site)
    claimed: list[int] = []

    def claim(owner: str) -> None:
        while ids := store.work.claim_looks(account, NOW, 3, owner):
            claimed.extend(ids)
        store.close()

    processes = [run(CLAIM, path, NOW, f"process {k}") for k in range(2)]
    threads = [threading.Thread(target=claim, args=(f"thread {k}",)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for process in processes:
        claimed += [int(word) for word in said(process).split()]
    assert len(claimed) == 60
    assert len(set(claimed)) == 60


# -- gaps ------------------------------------------------------------------------------------------------------------


def test_a_span_that_is_owed_already_is_not_owed_twice(store: Store, account: int) -> None:
    owe(store, account)
    owe(store, account, [*SPANS, Span(NOW, NOW + 60), Span(NOW, NOW + 60)])
    owe(store, account, resource="energy")
    assert store.work.open_gaps(account) == 7


def test_a_span_is_owed_once_whichever_account_sees_the_site(store: Store, account: int) -> None:
    connect(store, 2)
    owe(store, account)
    owe(store, 2)
    assert (store.work.open_gaps(account), store.work.open_gaps(2)) == (3, 0)


def test_a_span_that_was_filled_may_be_owed_again(store: Store, account: int) -> None:
    owe(store, account, SPANS[:1])
    (gap,) = store.work.claim_gaps(account, NOW, 9, "me")
    store.work.close_gap(gap, "filled", NOW)
    owe(store, account, SPANS[:1])
    assert store.work.open_gaps(account) == 1


def test_gaps_are_filled_coarse_first_then_newest_first(store: Store, account: int) -> None:
    owe(store, account, SPANS[::-1], priority=20)
    owe(store, account, SPANS[:1], resource="energy", priority=10)
    ids = store.work.claim_gaps(account, NOW, 9, "me")
    gaps = [gap for i in ids if (gap := store.work.gap(i, "me"))]
    assert [(g.resource, g.span) for g in gaps] == [("energy", SPANS[0]), *[("power", s) for s in SPANS]]


def test_a_gap_is_not_claimed_before_its_time(store: Store, account: int) -> None:
    owe(store, account, not_before=NOW + 60)
    assert store.work.claim_gaps(account, NOW + 59, 9, "me") == []
    assert len(store.work.claim_gaps(account, NOW + 60, 9, "me")) == 3


def test_a_gap_of_an_ended_lease_is_anothers(store: Store, account: int) -> None:
    owe(store, account, SPANS[:1])
    (gap,) = store.work.claim_gaps(account, NOW, 9, "slow")
    assert store.work.claim_gaps(account, NOW + LEASE_S, 9, "next") == [gap]
    assert store.work.gap(gap, "slow") is None


@pytest.mark.parametrize(("failed", "attempts"), [(True, 1), (False, 0)])
def test_a_gap_that_has_to_wait_keeps_count_of_its_failures(
    store: Store, account: int, failed: bool, attempts: int
) -> None:
    owe(store, account, SPANS[:1])
    (claimed,) = store.work.claim_gaps(account, NOW, 9, "me")
    gap = store.work.gap(claimed, "me")
    assert gap is not None
    store.work.postpone_gap(gap, NOW + 300, failed=failed)
    assert store.work.claim_gaps(account, NOW + 299, 9, "me") == []
    store.work.claim_gaps(account, NOW + 300, 9, "me")
    again = store.work.gap(claimed, "me")
    assert again is not None
    assert again.attempts == attempts


def test_progress_is_what_came_of_what_was_asked_for(store: Store, account: int) -> None:
    connect(store, 2)
    owe(store, 2, resource="energy")
    assert store.work.progress(account) == Progress(0, 0)
    owe(store, account)
    for gap, outcome in zip(store.work.claim_gaps(account, NOW, 2, "me"), ("filled", "given up"), strict=True):
        store.work.close_gap(gap, outcome, NOW)
    assert store.work.progress(account) == Progress(2, 3)
    assert store.work.open_gaps(account) == 1


def test_a_closed_gap_is_nobodys_to_fill(store: Store, account: int) -> None:
    owe(store, account, SPANS[:1])
    (gap,) = store.work.claim_gaps(account, NOW, 9, "me")
    store.work.close_gap(gap, "filled", NOW)
    assert store.work.gap(gap, "me") is None
    assert store.work.claim_gaps(account, NOW + 10 * LEASE_S, 9, "me") == []


# -- what came of it -------------------------------------------------------------------------------------------------


def test_history_reaches_as_far_as_its_widest_answers(store: Store) -> None:
    assert store.work.covered(1, "power") is None
    for span in (Span(100, 200), Span(150, 300), Span(120, 130), Span(50, 100)):
        store.work.reach(1, "power", span)
    assert store.work.covered(1, "power") == Span(50, 300)
    assert store.work.covered(1, "energy") is None


def test_how_a_call_ended_is_kept_and_its_message_is_short(store: Store, account: int) -> None:
    store.work.record(
        account_id=account, site_id=1, resource="power", span=SPANS[0], started_at=NOW, ended_at=NOW + 1.5,
        outcome="unavailable", calls=2, samples=0, message="x" * 5_000,
    )  # fmt: skip
    (kept,) = store.database.dicts("SELECT * FROM fetch")
    assert (kept["outcome"], kept["calls"], kept["span_start"], len(kept["message"])) == (
        "unavailable",
        2,
        SPANS[0].start,
        500,
    )
