"""The night's folding: when it comes, that it ends when it is told to, and that vendors' answers go on as before."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from spine import Spine

from sungaze.jobs.upkeep import LONGEST_S, is_seal_due, seal
from sungaze.model import DAY_S, Span
from sungaze.store.timeseries import SeriesKey


@pytest.fixture
def fleet(spine: Callable[..., Spine]) -> Spine:
    running = spine("enphase", sites=2, panels=6)
    running.connect("enphase")
    running.work_off()
    return running


def every_sample(running: Spine) -> dict[SeriesKey, list[tuple[int, float]]]:
    series = running.store.timeseries
    return {
        info.key: series.raw(info.key, Span(0, 1 << 40))
        for site in running.store.fleet.sites()
        for info in series.catalogue(site.id)
    }


def test_it_comes_once_a_night_and_after_two_days_at_any_hour(fleet: Spine) -> None:
    assert not is_seal_due(fleet.context)
    fleet.clock.now += LONGEST_S + 1
    assert is_seal_due(fleet.context)
    seal(fleet.context, threading.Event())
    assert not is_seal_due(fleet.context)
    times = 0
    for _ in range(6 * 48):
        fleet.clock.now += 600
        if is_seal_due(fleet.context):
            seal(fleet.context, threading.Event())
            times += 1
    assert 1 <= times <= 2
    fleet.clock.now -= 30 * DAY_S
    assert not is_seal_due(fleet.context), "a clock that was set back is not owed a month of nights"


def test_what_is_folded_is_told_as_before_and_the_same_answers_change_nothing(fleet: Spine) -> None:
    before = every_sample(fleet)
    fleet.clock.now += 12 * DAY_S
    done = seal(fleet.context, threading.Event())
    assert done.samples > 1_000
    assert fleet.store.check_blocks() == []
    assert every_sample(fleet) == before
    rows = fleet.store.database.scalar("SELECT count(*) FROM sample")
    assert rows < sum(map(len, before.values())) / 4
    fleet.clock.now -= 12 * DAY_S
    fleet.store.database.execute("UPDATE due SET next_due = 0")
    fleet.work_off()
    assert every_sample(fleet) == before
    assert fleet.store.database.scalar("SELECT count(*) FROM sample") == rows


def test_it_ends_when_it_is_told_to_and_goes_on_the_next_night(fleet: Spine) -> None:
    before = every_sample(fleet)
    fleet.clock.now += 12 * DAY_S
    told = threading.Event()
    told.set()
    first = seal(fleet.context, told)
    assert first.blocks == 1
    assert every_sample(fleet) == before
    assert seal(fleet.context, threading.Event()).blocks > 1
    assert every_sample(fleet) == before
