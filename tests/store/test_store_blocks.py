"""The format of a block: what comes out is what went in, and what was changed on the disk is noticed."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sungaze.errors import DamagedBlock
from sungaze.model import Span
from sungaze.store.blocks import Block, Series, write

START = 1_764_547_200


def series(timestamps: list[int], values: list[float]) -> Series:
    return Series(np.array(timestamps, np.int64), np.array(values, np.float64))


def panels(count: int = 5, size: int = 1500, noise: float = 3.0, step: int = 300) -> dict[int, Series]:
    """Panels under one sky, in whole watts."""
    chance = np.random.default_rng(count)
    sky = 300 * np.sin(np.linspace(0, np.pi * 10, size)) ** 2 * chance.uniform(0.2, 1, size)
    times = START + step * np.arange(size, dtype=np.int64)
    return {
        7 + k: Series(times, np.rint(sky * chance.normal(1, 0.05) + chance.normal(0, noise, size)) + 0.0)
        for k in range(count)
    }


def assert_same(found: dict[int, Series], put: dict[int, Series]) -> None:
    assert found.keys() == put.keys()
    for series_id, one in put.items():
        assert found[series_id].timestamps.tolist() == one.timestamps.tolist()
        assert found[series_id].values.tobytes() == one.values.tobytes()


WHOLE = st.integers(-400, 4_000).map(float)
TENTHS = st.integers(-4_000, 40_000).map(lambda n: n / 10)
ANY = st.floats(allow_nan=False)
ODD = st.sampled_from([0.0, -0.0, 5e-324, 1e300, -1e300, 0.1 + 0.2, 2.0**53, 2.0**52 - 1, 1 / 3, float("inf")])


@st.composite
def months(draw: st.DrawFn) -> dict[int, Series]:
    found = {}
    for series_id in draw(st.lists(st.integers(1, 1 << 31), min_size=1, max_size=6, unique=True)):
        slots = draw(st.lists(st.integers(0, 40), min_size=1, max_size=30, unique=True).map(sorted))
        values = draw(st.sampled_from([WHOLE, TENTHS, ANY, ODD, st.one_of(WHOLE, ANY)]))
        step = draw(st.sampled_from([1, 300, 86_400]))
        found[series_id] = series([START + step * slot for slot in slots], [draw(values) for _ in slots])
    return found


@settings(max_examples=300, deadline=None)
@given(months())
def test_any_values_at_any_times_come_back_bit_by_bit(put: dict[int, Series]) -> None:
    block = Block(write(put))
    assert_same(block.read(), put)
    for series_id, one in put.items():
        assert_same(block.read({series_id}), {series_id: one})


@pytest.mark.parametrize("scale", [1.0, 10.0, 100.0, 3.0])
@pytest.mark.parametrize("count", [1, 2, 64])
def test_panels_under_one_sky_come_back_whatever_their_decimals(count: int, scale: float) -> None:
    put = {k: Series(one.timestamps, one.values / scale) for k, one in panels(count).items()}
    assert_same(Block(write(put)).read(), put)


def test_series_with_holes_of_their_own_share_a_block() -> None:
    chance = random.Random(1)
    put = {}
    for k, one in panels(9).items():
        there = np.array([chance.random() > 0.3 for _ in one.timestamps])
        there[:: 500 + k] = False
        put[k] = Series(one.timestamps[there], one.values[there])
    put[100] = series([START - 300], [0.1 + 0.2])
    assert_same(Block(write(put)).read(), put)


def cut(put: dict[int, Series], span: Span) -> dict[int, Series]:
    inside = {k: (one.timestamps >= span.start) & (one.timestamps < span.end) for k, one in put.items()}
    return {k: Series(one.timestamps[inside[k]], one.values[inside[k]]) for k, one in put.items()}


@settings(max_examples=200, deadline=None)
@given(months(), st.tuples(st.integers(-2, 41), st.integers(0, 41), st.sampled_from([1, 300, 450, 86_400])))
def test_a_span_of_a_block_is_what_starts_in_it(put: dict[int, Series], where: tuple[int, int, int]) -> None:
    first, length, step = where
    span = Span(START + first * step, START + (first + length) * step)
    assert_same(Block(write(put)).read(None, span), cut(put, span))


@pytest.mark.parametrize("holes", [False, True])
def test_a_day_of_panels_is_read_out_of_their_month(holes: bool) -> None:
    put = panels(20, 8_000)
    if holes:
        chance = np.random.default_rng(3)
        for k, one in put.items():
            there = chance.random(one.timestamps.size) > 0.1
            put[k] = Series(one.timestamps[there], one.values[there])
    block = Block(write(put))
    assert block._bands == 4
    for day in range(-1, 29):
        span = Span(START + 86_400 * day, START + 86_400 * (day + 1))
        assert_same(block.read(None, span), cut(put, span))


@given(st.lists(st.integers(0, 4_000), min_size=1, max_size=60, unique=True).map(sorted), st.sampled_from([1, 7, 300]))
def test_values_are_laid_on_a_grid_with_none_for_what_is_missing(stamps: list[int], step: int) -> None:
    for offsets in (stamps, range(stamps[0], stamps[0] + step * 30, step)):
        put = series([START + at for at in offsets], [k + 0.5 for k in range(len(offsets))])
        wanted = {(t - START) // step: value for t, value in put.rows()}
        first, laid = put.on_grid(START, step)
        assert laid == [wanted.get(first + k) for k in range(len(laid))]
        assert (first, first + len(laid) - 1) == (min(wanted), max(wanted))


def test_what_a_sky_explains_takes_less_room_than_each_by_itself() -> None:
    put = panels(20, 4_000)
    together = len(write(put))
    alone = sum(len(write({k: one})) for k, one in put.items())
    assert together < 0.75 * alone


def test_a_changed_bit_is_noticed_and_the_other_series_are_read() -> None:
    put = panels(6) | {90: series([START, START + 300], [0.1 + 0.2, 1e300]), 91: series([START + 600], [7.25])}
    data = write(put)
    whole = partly = 0
    chance = random.Random(5)
    for at in [*range(80), *(chance.randrange(len(data)) for _ in range(600)), len(data) - 1]:
        broken = bytearray(data)
        broken[at] ^= 1 << chance.randrange(8)
        bad = 0
        try:
            block = Block(bytes(broken))
        except DamagedBlock:
            whole += 1
            continue
        for series_id, one in put.items():
            try:
                assert_same(block.read({series_id}), {series_id: one})
            except DamagedBlock:
                bad += 1
        assert bad, f"the changed byte {at} was not noticed"
        partly += bad < len(put)
    assert whole > 20
    assert partly > 200


@pytest.mark.parametrize("length", [0, 1, 3, 10, 40, 200])
def test_what_was_cut_off_is_no_block(length: int) -> None:
    data = write(panels(3))
    with pytest.raises(DamagedBlock):
        Block(data[:length]).read()
    with pytest.raises(DamagedBlock):
        Block(data[: len(data) - 1 - length]).read()
