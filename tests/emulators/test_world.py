"""The simulated world: fixed by its seed, plausible, and affordable."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from astral import Observer
from astral.sun import azimuth, elevation
from hypothesis import given, settings
from hypothesis import strategies as st

from sungaze.emulators import World, write_truth
from sungaze.emulators._plan import NEVER
from sungaze.emulators._sky import sun_position, transmittance
from sungaze.emulators._towns import TOWNS

VENDORS = st.sampled_from(["enphase", "solaredge"])
SEEDS = st.integers(0, 2**31)
DAYS = st.dates(date(2025, 1, 1), date(2026, 11, 1))


@settings(max_examples=15, deadline=None)
@given(SEEDS, VENDORS, st.integers(0, 60), DAYS)
def test_a_site_does_not_depend_on_how_many_there_are(seed: int, vendor: str, k: int, day: date) -> None:
    few, many = World(seed, 1, 6), World(seed, 500, 6)
    one, other = few.site(vendor, k), many.site(vendor, k)
    assert (one.name, one.latitude, one.installed_on, one.panels) == (
        other.name,
        other.latitude,
        other.installed_on,
        other.panels,
    )
    np.testing.assert_array_equal(few.day(one, day).panel_w, many.day(other, day).panel_w)


@settings(max_examples=10, deadline=None)
@given(SEEDS, VENDORS, DAYS)
def test_the_same_seed_gives_the_same_day_whatever_was_asked_before(seed: int, vendor: str, day: date) -> None:
    first, second = World(seed, 4, 5), World(seed, 4, 5)
    second.day(second.site(vendor, 1), day - timedelta(days=3))
    second.daily_wh(second.site(vendor, 1), day - timedelta(days=40), day)
    a, b = (world.day(world.site(vendor, 1), day) for world in (first, second))
    np.testing.assert_array_equal(a.panel_w, b.panel_w)
    np.testing.assert_array_equal(a.site_w, b.site_w)


def test_a_known_day_has_not_moved_since_this_test_was_written() -> None:
    world = World(1, 1, 12)
    day = world.day(world.site("enphase", 0), date(2026, 6, 1))
    assert float(np.nansum(day.site_w)) / 12 == pytest.approx(KNOWN_DAY_WH, rel=1e-9)


KNOWN_DAY_WH = 17864.859363632488


def test_different_seeds_give_different_worlds() -> None:
    names = {tuple(plan.name for plan in World(seed, 6, 4).fleet("enphase")) for seed in range(8)}
    assert len(names) == 8


def test_the_first_four_sites_lie_near_the_four_towns() -> None:
    world = World(77, 4, 4)
    for vendor in ("enphase", "solaredge"):
        for k, (latitude, longitude, zone) in enumerate(
            [
                (41.85, -87.75, "America/Chicago"),
                (52.5, 13.4, "Europe/Berlin"),
                (-34.9, 138.6, "Australia/Adelaide"),
                (22.6, 88.4, "Asia/Kolkata"),
            ]
        ):
            plan = world.site(vendor, k)
            assert abs(plan.latitude - latitude) < 0.25
            assert abs(plan.longitude - longitude) < 0.25
            assert plan.zone.key == zone


def test_some_site_of_a_fleet_is_in_daylight_at_any_hour() -> None:
    world = World(3, len(TOWNS), 4)
    for hour in range(24):
        moment = np.array([datetime(2026, 3, 5, hour, tzinfo=UTC).timestamp()])
        heights = [sun_position(moment, p.latitude, p.longitude)[0][0] for p in world.fleet("enphase")]
        assert max(heights) > 20


def test_the_first_site_has_exactly_the_panels_asked_for_and_the_others_about_as_many() -> None:
    for panels in (1, 2, 20, 64):
        counts = [plan.panels for plan in World(9, 12, panels).fleet("solaredge")]
        assert counts[0] == panels
        assert all(count >= 1 and abs(count - panels) <= 4 for count in counts)


@pytest.mark.parametrize("seed", range(12))
def test_every_seed_has_a_dead_panel_among_the_first_four_sites(seed: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    dead = [plan.dead_from.min() for plan in World(seed, 4, 8).fleet("enphase")]
    assert min(dead) < now
    assert max(dead) <= NEVER


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1_546_300_800, 1_798_761_600),
    st.floats(-55, 57),
    st.floats(-180, 180),
)
def test_the_sun_stands_where_astral_puts_it(moment: int, latitude: float, longitude: float) -> None:
    here, when = Observer(latitude, longitude), datetime.fromtimestamp(moment, UTC)
    height, direction = sun_position(np.array([moment]), latitude, longitude)
    assert height[0] == pytest.approx(elevation(here, when, with_refraction=False), abs=0.3)
    if -80 < height[0] < 80:
        assert (direction[0] - azimuth(here, when) + 180) % 360 - 180 == pytest.approx(0, abs=1.0)


def test_neighbours_share_their_weather_and_far_places_do_not() -> None:
    week = np.arange(1_780_000_000, 1_780_000_000 + 7 * 86_400, 300, dtype=np.int64)
    here = transmittance(5, 50.00, 10.00, week)
    near = transmittance(5, 50.03, 10.03, week)
    far = transmittance(5, 40.0, -80.0, week)
    assert np.corrcoef(here, near)[0, 1] > 0.98
    assert abs(np.corrcoef(here, far)[0, 1]) < 0.6
    assert here.min() >= 0.2 - 1e-9
    assert here.max() <= 1.0 + 1e-9


@pytest.mark.parametrize(
    ("k", "day", "intervals"),
    [
        (0, date(2026, 3, 8), 276),
        (0, date(2026, 6, 1), 288),
        (0, date(2025, 11, 2), 300),
        (1, date(2026, 3, 29), 276),
        (1, date(2025, 10, 26), 300),
        (2, date(2025, 10, 5), 276),
        (2, date(2026, 4, 5), 300),
        (3, date(2026, 3, 29), 288),
    ],
)
def test_a_local_day_holds_as_many_intervals_as_its_zone_says(k: int, day: date, intervals: int) -> None:
    world = World(1, 4, 3)
    truth = world.day(world.site("enphase", k), day)
    assert len(truth.start) == intervals
    assert truth.panel_w.shape == (intervals, world.site("enphase", k).panels)


def test_nothing_is_produced_at_night_or_before_the_site_was_built() -> None:
    world = World(1, 4, 6)
    plan = world.site("enphase", 0)
    truth = world.day(plan, date(2026, 6, 1))
    height, _ = sun_position(truth.start + 150, plan.latitude, plan.longitude)
    assert not np.nan_to_num(truth.site_w)[height <= 0].any()
    assert np.isnan(world.day(plan, plan.installed_on - timedelta(days=1)).site_w).all()
    assert not np.isnan(world.day(plan, plan.installed_on).site_w).all()


@settings(max_examples=12, deadline=None)
@given(VENDORS, st.integers(0, 30), DAYS)
def test_power_stays_between_nothing_and_the_inverters_limit(vendor: str, k: int, day: date) -> None:
    world = World(1, 40, 8)
    plan = world.site(vendor, k)
    truth = world.day(plan, day)
    assert np.nanmin(truth.site_w, initial=0.0) >= 0.0
    assert np.nanmax(truth.site_w, initial=0.0) <= plan.limit_w.sum() + 1e-6
    filled = np.nan_to_num(truth.panel_w).sum(axis=1)
    np.testing.assert_allclose(filled, np.nan_to_num(truth.site_w), atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(VENDORS, st.integers(0, 12), DAYS)
def test_daily_energy_is_the_sum_of_its_intervals(vendor: str, k: int, day: date) -> None:
    world = World(2, 13, 5)
    plan = world.site(vendor, k)
    daily = world.daily_wh(plan, day, day + timedelta(days=2))
    for n in range(3):
        truth = world.day(plan, day + timedelta(days=n))
        np.testing.assert_allclose(daily[n], np.nan_to_num(truth.panel_w).sum(axis=0) / 12, atol=1e-6)


def test_a_year_yields_what_a_roof_in_chicago_yields() -> None:
    world = World(1, 4, 20)
    plan = world.site("enphase", 0)
    per_kwp = world.daily_wh(plan, date(2025, 1, 1), date(2025, 12, 31)).sum() / plan.peak_w
    assert 900 < per_kwp < 1800


def test_outages_are_rare_and_last_hours() -> None:
    plan = World(1, 4, 3).site("enphase", 0)
    start = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
    outages = plan.gaps(start, start + 365 * 86_400)
    assert 1 <= len(outages) <= 15
    assert all(2 * 3600 <= end - begin <= 5 * 3600 for begin, end in outages)
    assert all(begin % 900 == 0 and end % 900 == 0 for begin, end in outages)


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_an_outage_is_missing_from_the_truth(vendor: str) -> None:
    plan = World(1, 4, 3).site(vendor, 0)
    outages = plan.gaps(1_767_000_000, 1_790_000_000)
    begin, end = next(gap for gap in outages if 15 <= datetime.fromtimestamp(gap[0], UTC).hour < 22)
    assert not truth_rows(vendor, begin, end, sites=1, panels=3)
    assert truth_rows(vendor, begin - 86_400, begin, sites=1, panels=3)


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_the_truth_keeps_whole_intervals_inside_the_span_and_leaves_the_running_day_out(vendor: str) -> None:
    start = int(datetime(2026, 6, 1, 3, 7, tzinfo=UTC).timestamp())
    end = start + 3 * 86_400 + 120
    rows = truth_rows(vendor, start, end, sites=4, panels=3)
    stamps = [(int(datetime.fromisoformat(row[5]).timestamp()), int(row[4])) for row in rows]
    assert stamps
    for stamp, length in stamps:
        assert start <= stamp
        assert stamp + (23 * 3600 if length == 86_400 else length) <= end
    berlin = [row for row in rows if row[4] == "86400" and row[1] == rows_site(vendor, 1)]
    assert [row[5] for row in berlin] == ["2026-06-01T22:00:00Z", "2026-06-02T22:00:00Z"]
    assert len({tuple(row[:6]) for row in rows}) == len(rows)


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_the_days_of_a_change_of_clocks_are_23_and_25_hours_long(vendor: str) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for day in (date(2026, 3, 29), date(2025, 10, 26)):
        start = int(datetime(day.year, day.month, day.day, tzinfo=berlin).timestamp())
        after = day + timedelta(days=1)
        end = int(datetime(after.year, after.month, after.day, tzinfo=berlin).timestamp())
        rows = truth_rows(vendor, start, end, sites=2, panels=3)
        site = [row for row in rows if row[1] == rows_site(vendor, 1) and not row[2] and row[3] == "energy_wh"]
        fine = sum(float(row[6]) for row in site if row[4] != "86400")
        days = [float(row[6]) for row in site if row[4] == "86400"]
        assert days == [pytest.approx(fine, abs=0.2)]
        assert end - start in (23 * 3600, 25 * 3600)


def test_an_empty_world_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one site"):
        World(1, 0, 3)


def truth_rows(vendor: str, start: int, end: int, sites: int, panels: int) -> list[list[str]]:
    out = io.StringIO()
    count = write_truth(out, vendor, sites, panels, 1, start, end, now=2_000_000_000)
    lines = out.getvalue().splitlines()
    assert lines[0] == "vendor,vendor_site_id,vendor_device_id,metric_name,interval_s,timestamp,value"
    assert len(lines) == count + 1
    return [line.split(",") for line in lines[1:]]


def rows_site(vendor: str, k: int) -> str:
    from sungaze.emulators._enphase_site import system_id_of
    from sungaze.emulators._solaredge_site import site_id_of

    plan = World(1, 4, 3).site(vendor, k)
    return str(system_id_of(plan) if vendor == "enphase" else site_id_of(plan))
