"""Samples: what goes in comes out, what cannot be does not go in, and nothing is made up in between."""

from __future__ import annotations

import datetime as dt
import math
import struct
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_kit import NOW, said

from sungaze import clock
from sungaze.model import DAY_S, Reading, Span
from sungaze.store import Store
from sungaze.store.fleet import SiteRow
from sungaze.store.timeseries import IMPOSSIBLE, Points, Rating, SeriesKey, Written

BERLIN = ZoneInfo("Europe/Berlin")
EVER = Span(clock.EARLIEST, clock.LATEST)
NO_RATING = Rating()
COUNTER = "energy_lifetime_wh"


def put(
    store: Store, site: SiteRow, readings: Sequence[Reading], rating: Rating = NO_RATING, now: float = NOW
) -> Written:
    return store.timeseries.write(site.id, readings, devices=store.fleet.device_ids(site.id), rating=rating, now=now)


def series(metric: str, interval_s: int, start: int, values: Sequence[float], device: str = "") -> list[Reading]:
    step = interval_s or 60
    return [Reading(device, metric, interval_s, start + k * step, v) for k, v in enumerate(values)]


def kept(store: Store, site: SiteRow, metric: str, interval_s: int, device: int = 0) -> dict[int, float]:
    return dict(store.timeseries.raw(SeriesKey(site.id, device, metric, interval_s), EVER))


def reasons(store: Store, site: SiteRow) -> list[str]:
    return [
        r for (r,) in store.database.rows("SELECT reason FROM quarantine WHERE site_id = ? ORDER BY id", (site.id,))
    ]


def read(store: Store, site: SiteRow, metric: str, span: Span, resolution: str, zone: str = "Europe/Berlin") -> Points:
    return store.timeseries.read(site.id, 0, metric, span, resolution=resolution, timezone=zone)


def utc(text: str) -> int:
    return int(dt.datetime.fromisoformat(text + "+00:00").timestamp())


# -- written as it was told ------------------------------------------------------------------------------------------


def test_the_same_answer_twice_changes_nothing(store: Store, site: SiteRow) -> None:
    answer = series("ac_power_w", 300, NOW, [1.5, 2.5, 3.5]) + series("ac_power_w", 300, NOW, [0.5], "m1")
    first, second = put(store, site, answer), put(store, site, answer)
    assert (first.samples, first.changed) == (4, 4)
    assert (second.samples, second.changed) == (4, 0)


def test_a_later_answer_replaces_an_earlier_one(store: Store, site: SiteRow) -> None:
    put(store, site, series("ac_power_w", 300, NOW, [1.0, 2.0]))
    written = put(store, site, series("ac_power_w", 300, NOW, [1.0, 7.0]))
    assert written.changed == 1
    assert kept(store, site, "ac_power_w", 300) == {NOW: 1.0, NOW + 300: 7.0}


KEYS = st.tuples(
    st.sampled_from(["", "m0", "m2"]), st.sampled_from(["ac_voltage_v", "grid_power_w"]), st.sampled_from([0, 300, 900])
)
VALUES = st.one_of(
    st.floats(-IMPOSSIBLE, IMPOSSIBLE),
    st.sampled_from([5e-324, -5e-324, 2.2250738585072014e-308, IMPOSSIBLE, -IMPOSSIBLE, 0.1 + 0.2, 2.0**39, -0.0]),
)
READINGS = st.builds(lambda key, slot, value: Reading(*key, NOW + 300 * slot, value), KEYS, st.integers(0, 6), VALUES)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(READINGS, max_size=12), max_size=6))
def test_any_answers_in_any_order_leave_what_was_said_last_bit_for_bit(
    store: Store, site: SiteRow, answers: list[list[Reading]]
) -> None:
    store.database.execute("DELETE FROM sample")
    said_last: dict[tuple[str, str, int, int], float] = {}
    for answer in answers:
        put(store, site, answer)
        for r in answer:
            # SQLite keeps no negative zero: zero is what comes back.
            said_last[r.vendor_device_id, r.metric_name, r.interval_s, r.timestamp] = r.value + 0.0
    ids = {"": 0} | store.fleet.device_ids(site.id)
    found = {
        (device, metric, interval, t): v
        for device in ("", "m0", "m2")
        for metric in ("ac_voltage_v", "grid_power_w")
        for interval in (0, 300, 900)
        for t, v in kept(store, site, metric, interval, ids[device]).items()
    }
    assert {k: struct.pack("<d", v) for k, v in found.items()} == {
        k: struct.pack("<d", v) for k, v in said_last.items()
    }


def test_what_is_of_no_known_device_or_metric_is_dropped(store: Store, site: SiteRow) -> None:
    answer = [Reading("m9", "ac_power_w", 300, NOW, 1.0), Reading("", "moon_power_w", 300, NOW, 1.0)]
    assert put(store, site, answer) == Written(0, 0)
    assert store.database.scalar("SELECT count(*) FROM series") == 0


def test_a_transaction_that_is_rolled_back_leaves_no_series_behind(store: Store, site: SiteRow) -> None:
    answer = series("ac_power_w", 300, NOW, [1.0])
    with pytest.raises(RuntimeError), store.database.transaction():  # noqa: PT012 - what it did before is the point
        put(store, site, answer)
        put(store, site, answer)
        raise RuntimeError
    with store.database.transaction():
        store.timeseries.series_id(SeriesKey(site.id, 0, "dc_power_w", 300))
    put(store, site, answer)
    assert kept(store, site, "ac_power_w", 300) == {NOW: 1.0}
    assert kept(store, site, "dc_power_w", 300) == {}


# -- what cannot be --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric", ["ac_power_w", "temperature_c", COUNTER])
def test_what_is_no_number_is_set_aside_with_its_reason(store: Store, site: SiteRow, metric: str, value: float) -> None:
    written = put(store, site, series(metric, 0, NOW, [value]))
    assert (written.samples, [r.reason for r in written.refused]) == (0, ["not a number"])
    assert kept(store, site, metric, 0) == {}
    assert reasons(store, site) == ["not a number"]


RATED = Rating(6_000.0, {"m0": 300.0})


@pytest.mark.parametrize(
    ("metric", "interval_s", "device", "value", "taken"),
    [
        ("ac_power_w", 300, "", -120.0, True),
        ("ac_power_w", 300, "", -120.1, False),
        ("ac_power_w", 300, "", 18_000.0, True),
        ("ac_power_w", 300, "", 18_000.1, False),
        ("ac_power_w", 300, "m0", -4.0, True),  # night draw
        ("ac_power_w", 300, "m0", -6.1, False),
        ("ac_power_w", 300, "m0", 900.1, False),
        ("ac_power_w", 300, "m1", 900.1, True),  # no rating of its own: the site's peak
        ("energy_wh", 300, "", 1_500.0, True),
        ("energy_wh", 300, "", 1_500.1, False),
        ("energy_wh", 300, "", -10.1, False),
        ("energy_wh", 900, "", 1_500.1, True),
        ("energy_wh", DAY_S, "", 432_000.1, False),
        ("energy_wh", 0, "", 5.0, True),  # an interval without a length has no most
        ("consumption_power_w", 300, "", 90_000.0, True),  # not production
        ("grid_power_w", 300, "", -5_000.0, True),
        ("grid_power_w", 300, "", 2e12, False),
        (COUNTER, 0, "", 9e9, True),
        (COUNTER, 0, "", -1.0, False),
        (COUNTER, 0, "", 2e12, False),
    ],
)
def test_the_rating_bounds_what_production_can_be(
    store: Store, site: SiteRow, metric: str, interval_s: int, device: str, value: float, taken: bool
) -> None:
    written = put(store, site, [Reading(device, metric, interval_s, NOW, value)], RATED)
    assert (written.samples, len(written.refused), store.timeseries.quarantined(site.id)) == (
        taken,
        not taken,
        not taken,
    )


def test_without_any_rating_only_the_impossible_is_refused(store: Store, site: SiteRow) -> None:
    assert put(store, site, series("ac_power_w", 300, NOW, [-5e9, 5e9, 2e12])).samples == 2


@pytest.mark.parametrize("timestamp", [0, clock.EARLIEST - 1, clock.LATEST, -(2**70), 2**70])
def test_a_time_that_cannot_be_is_set_aside(store: Store, site: SiteRow, timestamp: int) -> None:
    written = put(store, site, [Reading("", "ac_power_w", 300, timestamp, 1.0)])
    assert [r.reason for r in written.refused] == ["at no time that can be"]
    assert reasons(store, site) == ["at no time that can be"]


def test_a_refused_value_leaves_the_good_one_before_it(store: Store, site: SiteRow) -> None:
    put(store, site, series("ac_power_w", 300, NOW, [1_000.0]), RATED)
    put(store, site, series("ac_power_w", 300, NOW, [1e9]), RATED)
    assert kept(store, site, "ac_power_w", 300) == {NOW: 1_000.0}


def test_a_value_that_is_refused_again_is_counted_once(store: Store, site: SiteRow) -> None:
    for _ in range(3):
        put(store, site, series("ac_power_w", 300, NOW, [1e9]), RATED)
    assert store.timeseries.quarantined(site.id) == 1


# -- counters --------------------------------------------------------------------------------------------------------


def count(store: Store, site: SiteRow, *values: tuple[int, float]) -> Written:
    return put(store, site, [Reading("m0", COUNTER, 0, NOW + t, v) for t, v in values])


def counted(store: Store, site: SiteRow) -> list[tuple[int, float]]:
    device = store.fleet.device_ids(site.id)["m0"]
    return [(t - NOW, v) for t, v in kept(store, site, COUNTER, 0, device).items()]


def flips(store: Store) -> list[tuple[str, str, str]]:
    return store.database.rows("SELECT before, after, reason FROM flip WHERE what = 'counter base'")  # type: ignore[return-value] # its rows are of these three columns


FALLEN = [(0, 100.0), (1, 5.0), (2, 6.0), (3, 7.0)]


def test_a_counter_that_falls_once_is_set_aside(store: Store, site: SiteRow) -> None:
    count(store, site, (0, 100.0), (1, 5.0), (2, 101.0))
    assert counted(store, site) == [(0, 100.0), (2, 101.0)]
    assert (reasons(store, site), flips(store)) == (["the counter fell"], [])


@pytest.mark.parametrize("together", [True, False])
def test_three_lower_readings_in_a_row_are_a_new_base(store: Store, site: SiteRow, together: bool) -> None:
    for answer in [FALLEN] if together else [[one] for one in FALLEN]:
        count(store, site, *answer)
    assert counted(store, site) == FALLEN
    assert flips(store) == [("100.0", "7.0", "3 readings in a row were lower")]
    assert store.timeseries.quarantined(site.id) == 0


def test_two_lower_readings_told_over_and_over_are_still_two(store: Store, site: SiteRow) -> None:
    for _ in range(4):
        count(store, site, *FALLEN[1:3]) if counted(store, site) else count(store, site, *FALLEN[:3])
    assert counted(store, site) == [(0, 100.0)]
    assert store.timeseries.quarantined(site.id) == 2


def test_a_known_reading_told_again_does_not_begin_the_count_anew(store: Store, site: SiteRow) -> None:
    for lower in FALLEN[1:]:
        count(store, site, FALLEN[0], lower)
    assert counted(store, site) == FALLEN


def test_a_good_reading_between_lower_ones_begins_the_count_anew(store: Store, site: SiteRow) -> None:
    count(store, site, (0, 100.0), (1, 5.0), (2, 6.0), (3, 101.0), (4, 7.0), (5, 8.0))
    assert counted(store, site) == [(0, 100.0), (3, 101.0)]


def test_the_answers_of_a_confirmed_fall_may_come_again(store: Store, site: SiteRow) -> None:
    count(store, site, *FALLEN)
    again = [count(store, site, *FALLEN), count(store, site, *FALLEN[1:3]), count(store, site, FALLEN[2])]
    assert [(w.changed, w.refused) for w in again] == [(0, ())] * 3
    assert len(flips(store)) == 1


def test_a_late_reading_is_held_against_its_neighbour_in_time(store: Store, site: SiteRow) -> None:
    count(store, site, (10, 100.0))
    count(store, site, (5, 50.0), (20, 60.0))
    assert counted(store, site) == [(5, 50.0), (10, 100.0)]


def test_the_last_word_on_one_moment_counts_within_one_answer(store: Store, site: SiteRow) -> None:
    count(store, site, (0, 10.0), (0, 5.0))
    assert counted(store, site) == [(0, 5.0)]


def test_a_new_serial_number_makes_the_next_lower_reading_the_base(store: Store, site: SiteRow) -> None:
    count(store, site, (0, 100.0), (1, 110.0))
    store.timeseries.expect_new_base(store.fleet.device_ids(site.id)["m0"])
    count(store, site, (0, 100.0), (1, 110.0), (2, 3.0))
    assert counted(store, site)[-1] == (2, 3.0)
    assert flips(store) == [("110.0", "3.0", "a new serial number")]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from([0.0, 5.0, 50.0, 51.0, 100.0])), min_size=1, max_size=14),
    st.data(),
)
def test_a_counters_answer_told_twice_changes_nothing(
    store: Store, site: SiteRow, readings: list[tuple[int, float]], data: st.DataObject
) -> None:
    for table in ("sample", "quarantine", "counter_watch", "flip"):
        store.database.execute(f"DELETE FROM {table}")
    while readings:
        length = data.draw(st.integers(1, len(readings)))
        answer, readings = readings[:length], readings[length:]
        count(store, site, *answer)
        after, told = counted(store, site), flips(store)
        count(store, site, *answer)
        assert (counted(store, site), flips(store)) == (after, told)


# -- read at a resolution --------------------------------------------------------------------------------------------

DAY = clock.local_day(dt.date(2026, 6, 1), BERLIN)


def test_raw_is_one_interval_length_and_the_finest_unless_one_is_named(store: Store, site: SiteRow) -> None:
    put(store, site, series("energy_wh", DAY_S, DAY.start, [500.0]))
    put(store, site, series("energy_wh", 900, DAY.start, [1.0, 2.0, 3.0]))
    put(store, site, series("energy_wh", 0, DAY.start, [9.0]))
    assert read(store, site, "energy_wh", DAY, "raw").interval_s == 900
    named = store.timeseries.read(site.id, 0, "energy_wh", DAY, interval_s=DAY_S)
    assert (named.interval_s, named.rows) == (DAY_S, [(float(DAY.start), 500.0)])


@pytest.mark.parametrize("resolution", ["raw", "5m", "1h", "1d"])
def test_what_there_is_none_of_is_an_empty_answer(store: Store, site: SiteRow, resolution: str) -> None:
    assert read(store, site, "energy_wh", DAY, resolution).rows == []


@pytest.mark.parametrize(("resolution", "of_five"), [("5m", 1), ("15m", 3), ("1h", 12)])
def test_sums_add_up_and_means_carry_their_least_and_most(
    store: Store, site: SiteRow, resolution: str, of_five: int
) -> None:
    values = [float(k) for k in range(24)]
    put(store, site, series("energy_wh", 300, DAY.start, values) + series("ac_power_w", 300, DAY.start, values))
    buckets = [values[k : k + of_five] for k in range(0, 24, of_five)]
    starts = [float(DAY.start + 300 * k) for k in range(0, 24, of_five)]
    assert read(store, site, "energy_wh", DAY, resolution).rows == [
        (t, math.fsum(b)) for t, b in zip(starts, buckets, strict=True)
    ]
    assert read(store, site, "ac_power_w", DAY, resolution).rows == [
        (t, math.fsum(b) / of_five, min(b), max(b)) for t, b in zip(starts, buckets, strict=True)
    ]


def test_a_counter_at_a_resolution_is_its_last_reading(store: Store, site: SiteRow) -> None:
    put(store, site, series(COUNTER, 0, DAY.start, [10.0, 20.0, 30.0]))
    assert read(store, site, COUNTER, DAY, "1h").rows == [(float(DAY.start), 30.0, 10.0, 30.0)]


def test_a_length_coarser_than_asked_for_comes_as_it_is(store: Store, site: SiteRow) -> None:
    put(store, site, series("energy_wh", DAY_S, DAY.start, [500.0]))
    points = read(store, site, "energy_wh", DAY, "1h")
    assert (points.interval_s, points.rows) == (DAY_S, [(float(DAY.start), 500.0)])


def test_a_bucket_without_samples_is_left_out(store: Store, site: SiteRow) -> None:
    put(store, site, series("energy_wh", 900, DAY.start, [1.0]) + series("energy_wh", 900, DAY.start + 7_200, [2.0]))
    assert [row[0] - DAY.start for row in read(store, site, "energy_wh", DAY, "1h").rows] == [0, 7_200]


def test_a_point_counts_by_its_start_and_is_whole(store: Store, site: SiteRow) -> None:
    put(store, site, series("energy_wh", 900, DAY.start, [1.0] * 16))
    span = Span(DAY.start + 1_800, DAY.start + 9_000)
    assert read(store, site, "energy_wh", span, "1h").rows == [(DAY.start + 3_600.0, 4.0), (DAY.start + 7_200.0, 4.0)]


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Asia/Kolkata", "2026-06-01"),
        ("Asia/Kathmandu", "2026-06-01"),
        ("Australia/Adelaide", "2026-10-04"),
        ("Australia/Lord_Howe", "2026-04-05"),
        ("Australia/Lord_Howe", "2026-10-04"),
        ("America/Chicago", "2026-11-01"),
    ],
)
def test_an_hour_begins_with_the_hour_on_the_sites_clock(store: Store, site: SiteRow, zone: str, day: str) -> None:
    tz = ZoneInfo(zone)
    span = clock.local_day(dt.date.fromisoformat(day), tz)
    span = Span(span.start - 2 * DAY_S, span.end + 2 * DAY_S)
    put(store, site, series("energy_wh", 300, span.start, [1.0] * ((span.end - span.start) // 300)))
    rows = read(store, site, "energy_wh", span, "1h", zone).rows
    starts = [dt.datetime.fromtimestamp(row[0], tz) for row in rows]
    # Where half an hour is skipped, the hour it is in begins by the new offset before the change.
    assert all(s.minute == 0 for s in starts if not (zone.endswith("Howe") and s.date().isoformat() == day))
    assert math.fsum(row[1] for row in rows) == (span.end - span.start) // 300


@pytest.mark.parametrize("resolution", ["5m", "15m", "1h", "1d"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    zone=st.sampled_from(["Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/Santiago", "UTC"]),
    day=st.dates(dt.date(2024, 1, 1), dt.date(2026, 12, 1)),
    length=st.sampled_from([300, 900]),
)
def test_energy_is_the_same_at_every_resolution(
    store: Store, site: SiteRow, resolution: str, zone: str, day: dt.date, length: int
) -> None:
    store.database.execute("DELETE FROM sample")
    span = clock.local_day(day, ZoneInfo(zone))
    count = (span.end - span.start) // length
    put(store, site, series("energy_wh", length, span.start, [float(k % 7) for k in range(count)]))
    rows = read(store, site, "energy_wh", span, resolution, zone).rows
    assert math.fsum(row[1] for row in rows) == sum(k % 7 for k in range(count))


# -- days ------------------------------------------------------------------------------------------------------------

DAYS = ["2026-06-01", "2026-03-29", "2026-10-25"]


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("length", [300, 900, 3_600])
def test_a_day_is_the_sum_of_the_finest_length_that_covers_it(
    store: Store, site: SiteRow, day: str, length: int
) -> None:
    span = clock.local_day(dt.date.fromisoformat(day), BERLIN)
    count = (span.end - span.start) // length
    put(store, site, series("energy_wh", DAY_S, span.start, [-1.0]))
    put(store, site, series("energy_wh", length, span.start, [1.0] * count))
    assert read(store, site, "energy_wh", span, "1d").rows == [(float(span.start), float(count))]


@pytest.mark.parametrize("day", DAYS)
def test_a_day_that_its_intervals_cover_in_part_is_the_vendors_figure(store: Store, site: SiteRow, day: str) -> None:
    span = clock.local_day(dt.date.fromisoformat(day), BERLIN)
    put(store, site, series("energy_wh", DAY_S, span.start, [12_345.0]))
    put(store, site, series("energy_wh", 300, span.start, [1.0] * ((span.end - span.start) // 300 - 1)))
    assert read(store, site, "energy_wh", span, "1d").rows == [(float(span.start), 12_345.0)]


def test_a_coarser_length_that_covers_the_day_comes_before_the_vendors_figure(store: Store, site: SiteRow) -> None:
    put(store, site, series("energy_wh", DAY_S, DAY.start, [1.0]))
    put(store, site, series("energy_wh", 900, DAY.start, [2.0] * 96))
    put(store, site, series("energy_wh", 300, DAY.start, [3.0] * 200))
    assert read(store, site, "energy_wh", DAY, "1d").rows == [(float(DAY.start), 192.0)]


def test_a_day_that_nothing_covers_is_left_out_rather_than_shown_in_part(store: Store, site: SiteRow) -> None:
    put(store, site, series("energy_wh", 300, DAY.start + 6 * 3_600, [50.0] * 190))
    assert read(store, site, "energy_wh", DAY, "1d").rows == []


def test_each_day_takes_its_own_length(store: Store, site: SiteRow) -> None:
    days = [clock.local_day(dt.date(2026, 6, 1) + dt.timedelta(days=k), BERLIN) for k in range(3)]
    for day, value in zip(days, [100.0, 200.0, 300.0], strict=True):
        put(store, site, series("energy_wh", DAY_S, day.start, [value]))
    put(store, site, series("energy_wh", 900, days[1].start, [1.0] * 96))
    span = Span(days[0].start, days[-1].end)
    assert [row[1] for row in read(store, site, "energy_wh", span, "1d").rows] == [100.0, 96.0, 300.0]


def test_a_mean_of_a_day_prefers_a_whole_length_and_else_takes_what_there_is(store: Store, site: SiteRow) -> None:
    put(store, site, series("ac_power_w", 300, DAY.start, [8.0, 10.0]))
    assert read(store, site, "ac_power_w", DAY, "1d").rows == [(float(DAY.start), 9.0, 8.0, 10.0)]
    put(store, site, series("ac_power_w", 900, DAY.start, [1.0, 3.0] * 48))
    assert read(store, site, "ac_power_w", DAY, "1d").rows == [(float(DAY.start), 2.0, 1.0, 3.0)]


def test_days_need_a_zone(store: Store, site: SiteRow) -> None:
    put(store, site, series("energy_wh", DAY_S, DAY.start, [1.0]))
    assert store.timeseries.read(site.id, 0, "energy_wh", DAY, resolution="1d", timezone=None).rows == []


@pytest.mark.parametrize(("after", "length"), [("America/Chicago", 31), ("Australia/Lord_Howe", 31), ("UTC", 31)])
def test_a_changed_zone_moves_each_day_to_its_own_date(store: Store, site: SiteRow, after: str, length: int) -> None:
    dates = [dt.date(2026, 3, 15) + dt.timedelta(days=k) for k in range(length)]
    put(
        store, site,
        [Reading("", "energy_wh", DAY_S, clock.midnight(d, BERLIN), float(d.toordinal())) for d in dates]
        + series("energy_wh", 300, DAY.start, [1.0]),
    )  # fmt: skip
    assert store.timeseries.restamp_days(site.id, "Europe/Berlin", after) == length
    tz = ZoneInfo(after)
    assert kept(store, site, "energy_wh", DAY_S) == {clock.midnight(d, tz): float(d.toordinal()) for d in dates}
    assert kept(store, site, "energy_wh", 300) == {DAY.start: 1.0}
    store.timeseries.restamp_days(site.id, after, "Europe/Berlin")
    assert min(kept(store, site, "energy_wh", DAY_S)) == clock.midnight(dates[0], BERLIN)


@pytest.mark.parametrize(("before", "after"), [("UTC", "UTC"), ("Mars/Olympus", "UTC"), ("UTC", "Mars/Olympus")])
def test_days_stay_where_there_is_no_other_zone(store: Store, site: SiteRow, before: str, after: str) -> None:
    put(store, site, series("energy_wh", DAY_S, NOW, [1.0]))
    assert store.timeseries.restamp_days(site.id, before, after) == 0
    assert kept(store, site, "energy_wh", DAY_S) == {NOW: 1.0}


# -- the newest ------------------------------------------------------------------------------------------------------


def test_the_newest_of_every_device_is_told_with_its_own_time(store: Store, site: SiteRow) -> None:
    ids = store.fleet.device_ids(site.id)
    put(store, site, series("ac_power_w", 300, NOW, [1.0, 2.0, 3.0], "m0") + series("ac_power_w", 300, NOW, [9.0]))
    assert store.timeseries.latest(site.id, "ac_power_w", 300) == {0: (NOW, 9.0), ids["m0"]: (NOW + 600, 3.0)}


@pytest.mark.parametrize(("at", "expected"), [(-1, None), (0, 1.0), (299, 1.0), (300, 2.0), (9_999, 2.0)])
def test_the_newest_of_a_past_moment_is_no_later_than_it(
    store: Store, site: SiteRow, at: int, expected: float | None
) -> None:
    put(store, site, series("ac_power_w", 300, NOW, [1.0, 2.0]))
    newest = store.timeseries.latest(site.id, "ac_power_w", 300, at=NOW + at).get(0)
    assert (newest and newest[1]) == expected


def test_the_catalogue_lists_what_has_samples(store: Store, site: SiteRow) -> None:
    put(store, site, series("energy_wh", 900, NOW, [1.0, 2.0]) + series("ac_power_w", 300, NOW, [math.nan]))
    assert [(i.key.metric, i.first, i.last) for i in store.timeseries.catalogue(site.id)] == [
        ("energy_wh", NOW, NOW + 900)
    ]


# -- many writers ----------------------------------------------------------------------------------------------------

ROUNDS = 25
WRITER = """
import sys, pathlib
from sungaze.model import Reading
from sungaze.store import Store
from sungaze.store.timeseries import Rating
path, site, first, rounds, now = pathlib.Path(sys.argv[1]), *map(int, sys.argv[2:])
store = Store(path)
devices = store.fleet.device_ids(site)
for k in range(rounds):
    slot = first + k * 6
    what = [(d, m) for d in ("", "m0") for m in ("ac_power_w", "energy_wh")]
    answer = [Reading(d, m, 300, now + 300 * slot, float(slot)) for d, m in what]
    store.timeseries.write(site, answer, devices=devices, rating=Rating(), now=now)
store.close()
"""


def test_four_threads_and_two_processes_write_at_once_and_nothing_is_lost(
    store: Store, site: SiteRow, path: Path, run: Callable[..., subprocess.Popen[str]]
) -> None:
    trouble: list[BaseException] = []

    def write(first: int) -> None:
        try:
            for k in range(ROUNDS):
                slot = first + k * 6
                values = [
                    Reading(device, metric, 300, NOW + 300 * slot, float(slot))
                    for device in ("", "m0")
                    for metric in ("ac_power_w", "energy_wh")
                ]
                with store.database.transaction(durable=k % 5 == 0):
                    put(store, site, values)
        except BaseException as error:
            trouble.append(error)
        finally:
            store.close()

    others = [run(WRITER, path, site.id, first, ROUNDS, NOW) for first in (4, 5)]
    threads = [threading.Thread(target=write, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for process in others:
        said(process)
    assert trouble == []
    expected = {NOW + 300 * slot: float(slot) for slot in range(6 * ROUNDS)}
    for device in (0, store.fleet.device_ids(site.id)["m0"]):
        for metric in ("ac_power_w", "energy_wh"):
            assert kept(store, site, metric, 300, device) == expected
