"""Raw answers: packed, in the order of taking, for thirty days and within their room, the oldest gone first."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from sungaze.model import DAY_S, Reading
from sungaze.store import Store
from sungaze.store.raw import KEPT_S, Derived, RawAnswer

NOW = 1_780_336_800.0


def answer(at: float = NOW, body: bytes = b'{"a":1}', account_id: int = 1) -> RawAnswer:
    return RawAnswer(
        account_id=account_id, site_id=7, resource="curve", fetched_at=at, parser=3, status=200, method="GET",
        path="/api/v4/systems/1/summary", params=(("a", "1"), ("a", "2")), headers={"date": "now"}, body=body,
    )  # fmt: skip


@pytest.fixture
def opened(tmp_path: Path) -> object:
    store = Store(tmp_path / "sungaze.db")
    yield store
    store.close()


def test_an_answer_comes_back_as_it_was_kept(opened: Store) -> None:
    body = bytes(range(256)) * 400
    opened.raw.keep([answer(body=body)])
    (found,) = opened.raw.answers()
    assert found == RawAnswer(**{**{f: getattr(answer(body=body), f) for f in answer().__struct_fields__}, "id": 1})
    assert opened.raw.packed_bytes() < len(body) / 10


def test_answers_come_in_the_order_of_taking_whatever_the_clock_said(opened: Store) -> None:
    opened.raw.keep([answer(NOW, b"first"), answer(NOW - 60, b"second")])
    opened.raw.keep([answer(NOW + 60, b"third", account_id=2)])
    assert [a.body for a in opened.raw.answers()] == [b"first", b"second", b"third"]
    assert [a.body for a in opened.raw.answers(account_id=1)] == [b"first", b"second"]
    assert [a.body for a in opened.raw.answers(since=NOW)] == [b"first", b"third"]


def test_what_is_older_than_thirty_days_goes(opened: Store) -> None:
    opened.raw.keep([answer(NOW - KEPT_S - 1, b"old"), answer(NOW - KEPT_S + 1, b"young")])
    assert opened.raw.prune(NOW, 2**30) == 1
    assert [a.body for a in opened.raw.answers()] == [b"young"]


def test_the_oldest_go_until_the_rest_has_room(opened: Store) -> None:
    noise = random.Random(1)
    opened.raw.keep([answer(NOW + n, noise.randbytes(1_000)) for n in range(1_200)])
    whole = opened.raw.packed_bytes()
    assert opened.raw.prune(NOW, whole) == 0
    assert opened.raw.prune(NOW, 100_000) == 1_200 - 98
    assert opened.raw.packed_bytes() <= 100_000
    assert min(a.fetched_at for a in opened.raw.answers()) == NOW + 1_102
    assert opened.raw.prune(NOW, 0) == 98


def test_an_answer_goes_with_the_transaction_that_took_it(opened: Store) -> None:
    def broken_off() -> None:
        with opened.database.transaction():
            opened.raw.keep([answer()])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert list(opened.raw.answers()) == []


def test_of_two_readings_of_the_same_the_later_one_stands() -> None:
    derived = Derived()
    derived.put(1, [Reading("d", "ac_power_w", 300, 600, 1.0), Reading("d", "ac_power_w", 300, 300, 2.0)])
    derived.put(1, [Reading("d", "ac_power_w", 300, 600, 3.0), Reading("", "energy_wh", DAY_S, 0, float("nan"))])
    assert derived.sites() == [1]
    assert list(derived.series(1)) == [
        [Reading("d", "ac_power_w", 300, 300, 2.0), Reading("d", "ac_power_w", 300, 600, 3.0)]
    ]
    derived.close()
