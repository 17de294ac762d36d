"""What is read of Generac is what really happened, in every zone, both DST nights and both epoch bases."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import available_timezones

import pytest
from vendor_doors import Door, Hands, by_key, instant, site_ref

from sungaze import clock as zones
from sungaze.emulators import World
from sungaze.emulators._registry import SERVICES
from sungaze.model import DAY_S, Span
from sungaze.vendors.generac import read_instants

BASES = ["local", "utc"]
MOMENTS = [
    (0, "2026-03-09T21:07:00+00:00"),  # Chicago, the day after its short one
    (0, "2026-11-02T22:07:00+00:00"),  # and after its long one
    (0, "2026-11-02T08:30:00+00:00"),  # when the nightly look comes
    (0, "2026-03-09T08:30:00+00:00"),
    (1, "2026-03-30T13:52:30+00:00"),  # Berlin
    (1, "2026-10-26T02:30:00+00:00"),
    (2, "2026-04-06T06:00:00+00:00"),  # Adelaide, whose days are long in April and short in October
    (2, "2026-10-05T17:31:00+00:00"),
    (3, "2026-06-01T10:05:00+00:00"),  # Kolkata, half an hour off the others
    (3, "2026-12-31T20:00:00+00:00"),  # by night, and in another year by its own clock
    (0, "2026-11-02T05:59:00+00:00"),  # within the last minute of Chicago's long day
    (1, "2026-03-29T22:30:00+00:00"),  # half an hour into the day after Berlin's short one
]


def truth(world: World, k: int, span: Span, interval_s: int) -> dict[tuple[str, str, int, int], float]:
    return {
        (row.device_id, row.metric, row.interval_s, row.start): row.value
        for row in SERVICES["generac"].truth(world, k, span.start, span.end)
        if row.interval_s == interval_s
    }


def differences(found: Any, true: Any, within: float) -> dict[Any, Any]:
    assert true, "there is something to compare"
    assert found.keys() == true.keys()
    return {key: (value, true[key]) for key, value in found.items() if abs(value - true[key]) > within}


@pytest.fixture
def site(start: Any, opened: Any, clock: Hands) -> Any:
    """A home at a moment, whose epoch base was found by two looks of a sunny day before it."""

    def begin(k: int, now: str, base: str, **faults: float) -> Any:
        emulator = start("generac", faults={"utc_base": 1.0} if base == "utc" else {})
        emulator.service.begin_anew()
        door: Door = opened(Door("generac", emulator.base_url, emulator.credentials, clock))
        view = emulator.service.views()[k]
        plan = view.plan
        ref = site_ref(view.profile_id, plan.town.zone)
        noon = plan.midnight(plan.local_date(instant(now) - 3 * DAY_S)) + 12 * 3600
        for clock.now in range(noon, noon + 3 * 1800, 1800):
            door.connector.fetch(door.access, "state", ref, Span(noon, noon))
        assert f'"base":"{base}"' in door.memory[f"site:{view.profile_id}"]
        clock.now = instant(now)
        emulator.faults.update(faults)
        return door, emulator.service.views()[k], ref

    return begin


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(("k", "now"), MOMENTS)
def test_the_hours_of_two_days_are_as_they_were(
    k: int, now: str, base: str, site: Any, world: World, clock: Hands
) -> None:
    door, view, ref = site(k, now, base)
    now_s = int(clock.now)
    answer = door.connector.fetch(door.access, "power", ref, Span(now_s - DAY_S, now_s))
    assert answer.covered == Span(now_s - 2 * DAY_S, now_s)
    true = truth(world, k, Span(now_s - 2 * DAY_S, view.known), 3600)
    found = by_key(answer.readings)
    assert not differences(
        {key: v for key, v in found.items() if key[0]}, {key: v for key, v in true.items() if key[0]}, 0.5 + 1e-6
    )
    assert not differences(
        {key: v for key, v in found.items() if not key[0]}, {key: v for key, v in true.items() if not key[0]}, 2 + 1e-6
    )


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(("k", "now"), MOMENTS)
def test_the_days_are_as_they_were_and_the_running_one_so_far(
    k: int, now: str, base: str, site: Any, world: World, clock: Hands
) -> None:
    door, view, ref = site(k, now, base)
    plan, now_s = view.plan, int(clock.now)
    first = plan.midnight(plan.local_date(now_s - 30 * DAY_S))
    for _ in range(2):  # the whole history, then a range
        answer = door.connector.fetch(door.access, "energy", ref, Span(first, now_s))
        running = plan.midnight(plan.local_date(view.known))
        found = {key: v for key, v in by_key(answer.readings).items() if key[3] >= first}
        so_far = found.pop(("", "dc_energy_wh", DAY_S, running))
        true = truth(world, k, Span(first, running), DAY_S)
        assert 29 <= len(true) <= 31
        assert not differences(found, true, 4 + 1e-6)
        made = world.day(plan, plan.local_date(view.known))
        ended = made.start + 300 <= view.known
        assert so_far == pytest.approx(float(made.site_w[ended & ~(made.site_w != made.site_w)].sum()) / 12, abs=4)


@pytest.mark.parametrize("k", [1])
def test_every_day_since_the_home_was_built_is_there_but_the_first(k: int, site: Any, world: World) -> None:
    door, view, ref = site(k, "2026-06-02T20:00:00+00:00", "local")
    answer = door.connector.fetch(door.access, "energy", ref, Span(view.known - DAY_S, view.known))
    found = by_key(answer.readings)
    running = view.plan.midnight(view.plan.local_date(view.known))
    found = {key: v for key, v in found.items() if key[3] < running}
    true = truth(world, k, Span(view.plan.installed_at, running), DAY_S)
    assert true.pop(("", "dc_energy_wh", DAY_S, view.plan.installed_at), 0.0) >= 0.0
    assert not differences(found, true, 4 + 1e-6)


@pytest.mark.parametrize("k", range(4))
def test_the_newest_power_is_what_was_made_at_its_moment(k: int, site: Any, world: World, clock: Hands) -> None:
    door, view, ref = site(k, "2026-06-01T09:00:00+00:00", "local")
    answer = door.connector.fetch(door.access, "state", ref, Span(0, 0))
    at, watts = next((r.timestamp, r.value) for r in answer.readings if not r.vendor_device_id)
    day = world.day(view.plan, view.plan.local_date(view.known))
    true = float(day.site_w[int((view.known - day.start[0]) // 300)])
    assert 0 <= view.known - at < 60
    assert watts == pytest.approx(true, abs=2)


@pytest.mark.parametrize("base", BASES)
def test_late_hours_are_missing_first_and_true_at_the_second_look(
    base: str, site: Any, world: World, clock: Hands
) -> None:
    door, view, ref = site(0, "2026-06-01T22:30:00+00:00", base, late=1.0)
    span = Span(int(clock.now) - DAY_S, int(clock.now))
    first, second = (by_key(door.connector.fetch(door.access, "power", ref, span).readings) for _ in range(2))
    true = truth(world, 0, Span(int(clock.now) - 2 * DAY_S, view.known), 3600)
    assert len(first) < len(second)
    assert first.items() <= second.items()
    assert second.keys() == true.keys()


def test_an_outage_is_missing_and_the_rest_of_its_day_is_there(site: Any, world: World, clock: Hands) -> None:
    plan = world.site("generac", 0)
    begin, end = plan.gaps(instant("2025-01-01T00:00:00+00:00"), instant("2026-06-01T00:00:00+00:00"))[-1]
    now = zones.iso(end + 7200)
    door, _, ref = site(0, now, "local")
    answer = door.connector.fetch(door.access, "power", ref, Span(int(clock.now) - DAY_S, int(clock.now)))
    found = {r.timestamp for r in answer.readings if not r.vendor_device_id}
    assert not [at for at in found if at + 3600 > begin and at < end]
    assert {at for at in found if at < begin - 3600}


def shifts(zone: str) -> list[int]:
    """Every instant of 2024 to 2027 at which a zone's clock is moved, to the hour."""
    tz = zones.zone(zone)
    assert tz is not None

    def offset(at: int) -> Any:
        return dt.datetime.fromtimestamp(at, tz).utcoffset()

    found = []
    begin, end = instant("2024-01-01T00:00:00+00:00"), instant("2028-01-01T00:00:00+00:00")
    for day in range(begin, end, 7 * DAY_S):
        low, high = day, day + 7 * DAY_S
        if offset(low) != offset(high):
            while high - low > 1800:
                middle = (low + high) // 2 // 1800 * 1800
                low, high = (middle, high) if offset(middle) == offset(low) else (low, middle)
            found.append(high)
    return found


def test_every_night_that_moves_a_clock_is_read_back_as_it_was() -> None:
    nights = 0
    for zone in sorted(available_timezones() - {"localtime"}):
        tz = zones.zone(zone)
        assert tz is not None
        for shift in shifts(zone):
            nights += 1
            true = list(range(shift - 4 * 3600, shift + 4 * 3600, 300))
            wall = [int(dt.datetime.fromtimestamp(t, tz).replace(tzinfo=dt.UTC).timestamp()) for t in true]
            assert read_instants(wall, "local", tz) == true, (zone, zones.iso(shift))
    assert nights > 800
