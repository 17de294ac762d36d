"""UTC and site time, and where the sun is."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from astral import Observer
from astral.sun import elevation
from hypothesis import given, settings
from hypothesis import strategies as st

from sungaze import clock
from sungaze.model import Span

ZONES = (
    "Europe/Berlin",
    "America/Chicago",
    "Australia/Adelaide",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Beirut",
    "Atlantic/Azores",
    "America/Havana",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "UTC",
)
DATES = st.dates(dt.date(1990, 1, 2), dt.date(2060, 12, 30))
PLACES = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
MOMENTS = st.integers(clock.EARLIEST, 4_000_000_000)


def utc(text: str) -> int:
    return int(dt.datetime.fromisoformat(text + "+00:00").timestamp())


# -- zones and days ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "day", "begins", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00", 25),
        ("America/Chicago", "2026-03-08", "2026-03-08T06:00", 23),
        ("America/Chicago", "2026-11-01", "2026-11-01T05:00", 25),
        ("Australia/Adelaide", "2026-10-04", "2026-10-03T14:30", 23),
        ("Australia/Adelaide", "2026-04-05", "2026-04-04T13:30", 25),
        ("Asia/Kolkata", "2026-03-29", "2026-03-28T18:30", 24),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30", 23.5),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00", 24.5),
        # Midnight is skipped: the day begins at 01:00, which is when the day before ends.
        ("America/Santiago", "2026-09-06", "2026-09-06T04:00", 23),
        ("America/Santiago", "2026-04-04", "2026-04-04T03:00", 25),
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00", 23),
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00", 23),
        # Midnight comes twice: the first of the two.
        ("America/Havana", "2026-11-01", "2026-11-01T04:00", 25),
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00", 0),
    ],
)
def test_a_day_of_daylight_saving_has_its_own_length(zone: str, day: str, begins: str, hours: float) -> None:
    span = clock.local_day(dt.date.fromisoformat(day), ZoneInfo(zone))
    assert (span.start, (span.end - span.start) / 3600) == (utc(begins), hours)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ZONES), DATES)
def test_a_day_begins_at_the_first_instant_of_its_date(zone: str, day: dt.date) -> None:
    tz = ZoneInfo(zone)
    span = clock.local_day(day, tz)
    assert span.start == span.end or clock.day_of(span.start, tz) == day
    assert clock.day_of(span.start - 1, tz) < day


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ZONES), MOMENTS, st.integers(1, 40 * 86_400))
def test_local_days_join_without_a_hole_and_hold_the_span(zone: str, start: int, length: int) -> None:
    span = Span(start, start + length)
    days = clock.local_days(span, ZoneInfo(zone))
    assert days[0][1].start <= span.start < days[0][1].end
    assert days[-1][1].start < span.end <= days[-1][1].end
    assert all(one.end == other.start for (_, one), (_, other) in pairwise(days))


def test_an_empty_span_touches_no_day_that_begins_at_its_end() -> None:
    start = utc("2026-06-01T00:00")
    assert clock.local_days(Span(start, start), dt.UTC) == []


@pytest.mark.parametrize(
    "name",
    ["../etc", "/etc/passwd", "", None, "Europe", "Europe/", "Mars/Olympus", "a\0b", "x" * 5000, "\ud800", ".", "é"],
)
def test_a_name_that_is_no_zone_is_none(name: str | None) -> None:
    assert clock.zone(name) is None


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_no_name_makes_zone_raise(name: str) -> None:
    assert clock.zone(name) is None or clock.zone(name) == ZoneInfo(name)


@pytest.mark.parametrize(
    ("zone", "latitude", "longitude"),
    [
        ("America/Chicago", 41.85, -87.65),
        ("US/Central", 41.85, -87.65),
        ("Asia/Calcutta", 22.53, 88.37),
        ("Australia/Lord_Howe", -31.55, 159.08),
        ("America/Argentina/Buenos_Aires", -34.6, -58.45),
    ],
)
def test_a_zone_has_its_main_city(zone: str, latitude: float, longitude: float) -> None:
    assert clock.zone_city(zone) == pytest.approx((latitude, longitude), abs=0.01)


@pytest.mark.parametrize("zone", [None, "", "UTC", "Etc/GMT+5", "../etc"])
def test_a_zone_without_a_city_has_none(zone: str | None) -> None:
    assert clock.zone_city(zone) is None


# -- instants as text ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("2026-11-24T13:05:00Z", "UTC", "2026-11-24T13:05"),
        ("2026-11-24T13:05:00+05:30", "UTC", "2026-11-24T07:35"),
        ("2026-11-24", "Europe/Berlin", "2026-11-23T23:00"),
        (" 2026-07-01 12:00 ", "America/Chicago", "2026-07-01T17:00"),
        ("1764000000", "Asia/Kolkata", "2025-11-24T16:00"),
    ],
)
def test_an_instant_is_read_from_text(text: str, zone: str, expected: str) -> None:
    assert clock.parse_instant(text, ZoneInfo(zone)) == utc(expected)


@pytest.mark.parametrize(
    "text",
    ["", "inf", "-inf", "nan", "1e9", "now", "12345", "-1764000000", "9" * 12, "9" * 400, "0001-01-01", "9999-12-31",
     "2026-13-01", "2026-02-30", "2026-11-24T25:00", "1989-12-31T23:59:59Z", "2200-01-02", "\ud800",
     "2026-11-24T13:05Q"],
)  # fmt: skip
def test_what_is_no_moment_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the one error that callers expect; its words differ by cause
        clock.parse_instant(text, ZoneInfo("Europe/Berlin"))


FUZZ = st.one_of(
    st.text(max_size=40),
    st.text("0123456789-:TZ+. ٣३eEinfW", max_size=30),
    st.integers().map(str),
    st.datetimes().map(str),
)


@settings(max_examples=500, deadline=None)
@given(FUZZ, st.sampled_from(ZONES))
def test_any_text_is_an_instant_of_our_time_or_a_value_error(text: str, zone: str) -> None:
    try:
        found = clock.parse_instant(text, ZoneInfo(zone))
    except ValueError:
        return
    assert clock.EARLIEST <= found < clock.LATEST


@given(st.integers(clock.EARLIEST, clock.LATEST - 1))
def test_an_instant_reads_back_from_its_text(instant: int) -> None:
    assert clock.parse_instant(clock.iso(instant)) == instant


# -- the sun -------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(PLACES, MOMENTS)
def test_the_sun_is_up_where_astral_sees_it(place: tuple[float, float], moment: int) -> None:
    height = elevation(Observer(*place), dt.datetime.fromtimestamp(moment, dt.UTC), with_refraction=False)
    if abs(height - clock.SUNSET_ELEVATION) > 1 and abs(place[0]) < 89:
        assert clock.sun_up(moment, *place) == (height > clock.SUNSET_ELEVATION)


@settings(max_examples=150, deadline=None)
@given(PLACES, MOMENTS, st.lists(st.integers(0, 8 * 86_400), min_size=2, max_size=5))
def test_daylight_grows_with_time_and_never_faster(place: tuple[float, float], start: int, steps: list[int]) -> None:
    steps.sort()
    light = [clock.daylight_minutes(start, start + step, *place) for step in steps]
    assert light == sorted(light)
    for (a, b), (one, other) in zip(pairwise(steps), pairwise(light), strict=True):
        assert other - one <= (b - a) / 60 + 1e-6


def test_a_day_of_berlin_has_the_light_of_its_season() -> None:
    light = [clock.daylight_minutes(utc(d), utc(d) + 86_400, 52.5, 13.4) / 60 for d in ("2026-06-21", "2026-12-21")]
    assert light == pytest.approx([16.84, 7.65], abs=0.05)


def test_beyond_eight_days_only_the_last_eight_count() -> None:
    end = utc("2026-06-21T12:00")
    eight = clock.daylight_minutes(end - 8 * 86_400, end, 52.5, 13.4)
    assert clock.daylight_minutes(end - 400 * 86_400, end, 52.5, 13.4) == eight


def test_no_time_has_no_light() -> None:
    assert clock.daylight_minutes(utc("2026-06-21T12:00"), utc("2026-06-21T11:00"), 52.5, 13.4) == 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10 * 86_400), st.floats(-180, 180))
def test_polar_day_has_neither_sunset_nor_a_dark_moment(shift: int, longitude: float) -> None:
    moment = utc("2026-06-16T00:00") + shift
    assert clock.sun_up(moment, 75.0, longitude)
    assert clock.last_sunset(moment, 75.0, longitude) is None
    assert clock.next_sunrise(moment, 75.0, longitude) is None
    assert clock.daylight_minutes(moment - 3 * 86_400, moment, 75.0, longitude) == 3 * 1440


@settings(max_examples=200, deadline=None)
@given(st.floats(64, 89), st.integers(0, 365))
def test_no_winter_day_is_taken_for_polar_day(latitude: float, shift: int) -> None:
    start = utc("2026-01-01T00:00") + shift * 86_400
    light = clock.daylight_minutes(start, start + 86_400, latitude, 0.0)
    noon = elevation(Observer(latitude, 0.0), dt.datetime.fromtimestamp(start + 43_200, dt.UTC), with_refraction=False)
    assert light < 720 or noon > 0


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10 * 86_400), st.floats(-180, 180))
def test_polar_night_has_no_sun_at_all(shift: int, longitude: float) -> None:
    moment = utc("2026-12-16T00:00") + shift
    assert not clock.sun_up(moment, 75.0, longitude)
    assert clock.last_sunset(moment, 75.0, longitude) is None
    assert clock.next_sunrise(moment, 75.0, longitude) is None
    assert clock.daylight_minutes(moment - 3 * 86_400, moment, 75.0, longitude) == 0


@settings(max_examples=100, deadline=None)
@given(st.floats(-60, 60), st.floats(-180, 180), MOMENTS)
def test_sunset_lies_behind_and_sunrise_ahead(latitude: float, longitude: float, moment: int) -> None:
    sunset, sunrise = (
        clock.last_sunset(moment, latitude, longitude),
        clock.next_sunrise(moment, latitude, longitude),
    )
    assert sunset is not None
    assert sunrise is not None
    assert moment - 86_400 - 600 < sunset <= moment < sunrise < moment + 86_400 + 600
