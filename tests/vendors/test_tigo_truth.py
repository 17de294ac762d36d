"""What Tigo's connector returns is what really happened, in every zone and DST night."""

from __future__ import annotations

from typing import Any

import pytest
from vendor_doors import Hands, by_key, door_to, instant, site_ref

from sungaze import clock as zones
from sungaze.emulators import World
from sungaze.emulators._registry import SERVICES
from sungaze.emulators._tigo_site import SystemView
from sungaze.model import DAY_S, Span
from sungaze.vendors.tigo import _window

AFTERNOONS = [
    (0, "2026-03-09T21:07:00+00:00"),  # Chicago, the day after its short one
    (0, "2026-11-02T22:07:00+00:00"),  # and after its long one
    (1, "2026-03-30T13:52:30+00:00"),  # Berlin
    (1, "2026-10-26T13:52:30+00:00"),
    (2, "2026-04-06T06:00:00+00:00"),  # Adelaide, whose nights are told as zeros, so that the repeated hour shows
    (2, "2026-10-05T05:31:00+00:00"),
    (3, "2026-06-01T10:05:00+00:00"),  # Kolkata
    (3, "2026-12-31T20:00:00+00:00"),  # by night, and in another year by its own clock
    (0, "2026-11-02T05:59:00+00:00"),  # within the last minute of Chicago's long day
    (2, "2026-04-04T16:10:00+00:00"),  # within Adelaide's repeated hour, its first pass
    (2, "2026-04-04T17:20:00+00:00"),  # and its second
]
ROUNDING = 0.05
TOLERANCE = 1e-6

Key = tuple[str, str, int, int]


def truth(world: World, k: int, span: Span, interval_s: int) -> dict[Key, float]:
    rows = SERVICES["tigo"].truth(world, k, span.start, span.end)
    return {(r.device_id, r.metric, r.interval_s, r.start): r.value for r in rows if r.interval_s == interval_s}


def read(door: Any, resource: str, ref: Any, span: Span) -> dict[Key, float]:
    """Every reading of a span, bought piece by piece as the planner does, newest first."""
    found: dict[Key, float] = {}
    for piece in door.connector.chunks(resource, span):
        found |= by_key(door.connector.fetch(door.access, resource, ref, piece).readings)
    return found


def assert_equal(found: dict[Key, float], true: dict[Key, float]) -> None:
    assert found.keys() == true.keys()
    assert true, "there is something to compare"
    assert not {key: (v, true[key]) for key, v in found.items() if abs(v - true[key]) > ROUNDING + TOLERANCE}


@pytest.fixture
def site(start: Any, opened: Any, clock: Hands) -> Any:
    def begin(k: int, now: str, **faults: float) -> tuple[Any, SystemView, Any]:
        clock.now = instant(now)
        emulator = start("tigo", faults=faults)
        emulator.quota.limits["minute"] = 100_000
        view = emulator.service.views()[k]
        return opened(door_to(emulator, clock)), view, site_ref(view.system_id, view.plan.town.zone)

    return begin


@pytest.mark.parametrize(("k", "now"), AFTERNOONS)
def test_the_last_48_hours_are_as_they_were(k: int, now: str, site: Any, world: World, clock: Hands) -> None:
    door, view, ref = site(k, now)
    span = Span(int(clock.now) // 60 * 60 - 2 * DAY_S, int(clock.now))
    true = truth(world, k, Span(span.start, view.held_until), 60)
    assert_equal(read(door, "curve", ref, span), {key: v for key, v in true.items() if not key[0]})
    assert_equal(read(door, "panels", ref, span), {key: v for key, v in true.items() if key[0]})


@pytest.mark.parametrize(("k", "now"), AFTERNOONS)
def test_the_last_30_days_are_as_they_were(k: int, now: str, site: Any, world: World, clock: Hands) -> None:
    door, view, ref = site(k, now)
    today = view.plan.midnight(view.plan.local_date(clock.now))
    whole = Span(view.plan.midnight(view.plan.local_date(today - 30 * DAY_S)), today)
    true = truth(world, k, whole, DAY_S)
    assert 29 <= len(true) <= 31
    assert_equal(read(door, "daily", ref, Span(whole.start, int(clock.now))), true)


@pytest.mark.parametrize(("k", "now"), AFTERNOONS[:-2])
def test_today_so_far_is_what_its_minutes_add_up_to(k: int, now: str, site: Any, world: World, clock: Hands) -> None:
    door, view, ref = site(k, now)
    found = by_key(door.connector.fetch(door.access, "summary", ref, Span(0, 1)).readings)
    today = view.plan.midnight(view.plan.local_date(clock.now))
    minutes = truth(world, k, Span(today, view.held_until), 60)
    so_far = sum(v / 60 for key, v in minutes.items() if not key[0])
    assert found["", "dc_energy_wh", DAY_S, today] == pytest.approx(so_far, abs=0.01)
    assert found["", "dc_energy_lifetime_wh", 0, view.held_until] > so_far


@pytest.mark.parametrize("resource", ["curve", "panels"])
def test_late_figures_are_true_at_the_second_look(resource: str, site: Any, world: World, clock: Hands) -> None:
    door, view, ref = site(0, AFTERNOONS[0][1], late=1.0)
    span = Span(int(clock.now) // 60 * 60 - 6 * 3600, int(clock.now))
    first, second = (read(door, resource, ref, span) for _ in range(2))
    assert sum(first.values()) < sum(second.values())
    true = truth(world, 0, Span(span.start, view.held_until), 60)
    assert_equal(second, {key: v for key, v in true.items() if bool(key[0]) == (resource == "panels")})


@pytest.mark.parametrize("minutes", [1, 15, 60, 120])
def test_a_short_window_is_read_although_the_vendor_leaves_short_ones_empty(
    minutes: int, site: Any, world: World, clock: Hands
) -> None:
    door, view, ref = site(0, "2026-06-01T18:05:00+00:00", empty_short=1.0)
    span = Span(view.held_until - minutes * 60, view.held_until)
    true = truth(world, 0, span, 60)
    before = door.session.calls
    assert_equal(read(door, "curve", ref, span), {key: v for key, v in true.items() if not key[0]})
    assert door.session.calls == before + 2, "the login, and one call"
    assert_equal(read(door, "panels", ref, span), {key: v for key, v in true.items() if key[0]})


def test_a_repeated_hour_that_stands_once_is_read_as_its_first_pass(site: Any, world: World, clock: Hands) -> None:
    door, _, ref = site(2, "2026-04-05T05:00:00+00:00", dst_once=1.0)
    span = Span(instant("2026-04-04T13:00:00+00:00"), instant("2026-04-04T20:00:00+00:00"))
    true = {key: v for key, v in truth(world, 2, span, 60).items() if not key[0]}
    second = Span(instant("2026-04-04T16:30:00+00:00"), instant("2026-04-04T17:30:00+00:00"))
    assert_equal(
        read(door, "curve", ref, span),
        {key: v for key, v in true.items() if not second.start <= key[3] < second.end},
    )


@pytest.mark.parametrize("every_s", [900, 5 * 3600])
@pytest.mark.parametrize(
    ("zone", "day"),
    [("America/Chicago", "2026-11-01"), ("Europe/Berlin", "2026-03-29"), ("Australia/Adelaide", "2026-04-05")],
)
def test_windows_asked_over_a_long_or_short_day_lie_outside_the_repeated_hour(
    zone: str, day: str, every_s: int, site: Any, clock: Hands
) -> None:
    """Every window ends and begins where the local time names one instant only."""
    tz = zones.zone(zone)
    assert tz is not None
    begin = instant(f"{day}T00:00:00+00:00") - DAY_S
    for start in range(begin, begin + 3 * DAY_S, every_s):
        for _, text in _window(Span(start, start + every_s), tz):
            at = zones.parse_instant(text, tz)
            assert zones.dt.datetime.fromtimestamp(at, tz).strftime("%Y-%m-%dT%H:%M:%S") == text
            assert zones.dt.datetime.fromtimestamp(at + 3600, tz).strftime("%Y-%m-%dT%H:%M:%S") != text
