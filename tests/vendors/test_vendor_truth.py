"""What the connectors return is what really happened: no value missing, none invented, in every zone and DST night."""

from __future__ import annotations

from typing import Any

import pytest
from vendor_doors import Hands, by_key, door_to, instant, site_ref

from sungaze import clock as zones
from sungaze.emulators import World
from sungaze.emulators._registry import SERVICES
from sungaze.jobs import planner
from sungaze.model import DAY_S, Span
from sungaze.store.fleet import SiteRow
from sungaze.vendors import connector

SITE = {"enphase": "system_id", "solaredge": "site_id"}
AFTERNOONS = [
    (0, "2026-03-09T21:07:00+00:00"),  # Chicago, the day after its short one
    (0, "2026-11-02T22:07:00+00:00"),  # and after its long one
    (1, "2026-03-30T13:52:30+00:00"),  # Berlin
    (1, "2026-10-26T13:52:30+00:00"),
    (2, "2026-04-06T06:00:00+00:00"),  # Adelaide, whose days are long in April and short in October
    (2, "2026-10-05T05:31:00+00:00"),
    (3, "2026-06-01T10:05:00+00:00"),  # Kolkata, half an hour off the others
    (3, "2026-12-31T20:00:00+00:00"),  # by night, and in another year by its own clock
    (0, "2026-11-02T05:59:00+00:00"),  # within the last minute of Chicago's long day
    (1, "2026-03-29T22:30:00+00:00"),  # half an hour into the day after Berlin's short one
]
ROUNDING = {"enphase": 0.5, "solaredge": 0.005}
TOLERANCE = 1e-6


def truth(vendor: str, world: World, k: int, span: Span, interval_s: int) -> dict[tuple[str, str, int, int], float]:
    return {
        (row.device_id, row.metric, row.interval_s, row.start): row.value
        for row in SERVICES[vendor].truth(world, k, span.start, span.end)
        if row.interval_s == interval_s
    }


def read(door: Any, resource: str, ref: Any, span: Span) -> dict[tuple[str, str, int, int], float]:
    """Every reading of a span, bought piece by piece as the planner does, newest first."""
    found: dict[tuple[str, str, int, int], float] = {}
    for piece in door.connector.chunks(resource, span):
        found |= by_key(door.connector.fetch(door.access, resource, ref, piece).readings)
    return found


def assert_equal(found: Any, true: Any, within: float) -> None:
    assert found.keys() == true.keys()
    assert true, "there is something to compare"
    assert not {key: (value, true[key]) for key, value in found.items() if abs(value - true[key]) > within + TOLERANCE}


@pytest.fixture
def site(start: Any, opened: Any, clock: Hands, world: World) -> Any:
    def begin(vendor: str, k: int, now: str, **faults: float) -> Any:
        clock.now = instant(now)
        emulator = start(vendor, plan="paid" if vendor == "solaredge" else "partner", faults=faults)
        door = opened(door_to(emulator, clock))
        view = emulator.service.views()[k]
        return door, view, site_ref(getattr(view, SITE[vendor]), view.plan.town.zone)

    return begin


@pytest.mark.parametrize(("k", "now"), AFTERNOONS)
def test_enphase_gives_the_last_48_hours_as_they_were(k: int, now: str, site: Any, world: World, clock: Hands) -> None:
    door, view, ref = site("enphase", k, now)
    begin = int(clock.now) // 300 * 300 - 2 * DAY_S
    known = Span(begin, view.uploaded_at)
    true = truth("enphase", world, k, known, 300)
    curve = read(door, "curve", ref, Span(begin, int(clock.now)))
    figures = {key: v for key, v in curve.items() if key[1] != "devices_reporting" and key[2] == 300}
    assert_equal(figures, {key: v for key, v in true.items() if not key[0]}, ROUNDING["enphase"])
    panels = read(door, "panels", ref, Span(begin, int(clock.now)))
    assert_equal(panels, {key: v for key, v in true.items() if key[0]}, ROUNDING["enphase"])
    heard: dict[int, int] = {}
    for device, metric, _, at in true:
        if metric == "ac_power_w":
            heard[at] = heard.get(at, 0) + bool(device)
    assert {key[3]: v for key, v in curve.items() if key[1] == "devices_reporting"} == heard
    today = view.plan.midnight(view.plan.local_date(clock.now))
    so_far = [v for key, v in figures.items() if key[1] == "energy_wh" and key[3] >= today]
    assert {key[3] for key in curve if key[2] == DAY_S} <= {today}, "only the running day has its energy from the curve"
    if clock.now - today <= DAY_S:
        look = by_key(door.connector.fetch(door.access, "curve", ref, Span(today - 1800, int(clock.now))).readings)
        days = {key[3]: v for key, v in look.items() if key[2] == DAY_S}
        assert days == ({today: sum(so_far)} if so_far else {})


@pytest.mark.parametrize(("k", "now"), AFTERNOONS)
def test_solaredge_gives_the_last_48_hours_as_they_were(
    k: int, now: str, site: Any, world: World, clock: Hands
) -> None:
    door, view, ref = site("solaredge", k, now)
    span = Span(int(clock.now) // 900 * 900 - 2 * DAY_S, int(clock.now))
    true = truth("solaredge", world, k, Span(span.start, view.closed_until), 900)
    wanted = {key: v for key, v in true.items() if not key[0] and key[1] == "ac_power_w"}
    assert_equal(read(door, "power", ref, span), wanted, ROUNDING["solaredge"])


@pytest.mark.parametrize(("k", "now"), AFTERNOONS)
@pytest.mark.parametrize(("vendor", "resource"), [("enphase", "daily"), ("solaredge", "energy")])
def test_the_last_30_days_are_as_they_were(
    vendor: str, resource: str, k: int, now: str, site: Any, world: World, clock: Hands
) -> None:
    door, view, ref = site(vendor, k, now)
    today = view.plan.midnight(view.plan.local_date(clock.now))
    whole = Span(view.plan.midnight(view.plan.local_date(today - 30 * DAY_S)), today)
    known_until = view.uploaded_at if vendor == "enphase" else view.closed_until
    true = {key: v for key, v in truth(vendor, world, k, whole, DAY_S).items() if not key[0]}
    found = read(door, resource, ref, whole)
    assert 29 <= len(true) <= 31
    if known_until < today:
        # Just after midnight the newest day is not whole yet: what there is of it comes, and grows.
        newest = max(true)
        assert 0 < found.pop(newest, 1.0) <= true.pop(newest) + 1
    assert_equal(found, true, ROUNDING[vendor])


@pytest.mark.parametrize(("vendor", "resource", "interval_s"), [("enphase", "curve", 300), ("solaredge", "power", 900)])
def test_late_figures_are_true_at_the_second_look(
    vendor: str, resource: str, interval_s: int, site: Any, world: World, clock: Hands
) -> None:
    door, view, ref = site(vendor, 0, AFTERNOONS[0][1], late=1.0)
    span = Span(int(clock.now) // 900 * 900 - 6 * 3600, int(clock.now))
    known = Span(span.start, view.uploaded_at if vendor == "enphase" else view.closed_until)
    true = truth(vendor, world, 0, known, interval_s)
    wanted = {key: v for key, v in true.items() if not key[0] and key[1] == "ac_power_w"}
    first, second = (
        {key: v for key, v in read(door, resource, ref, span).items() if key[1] == "ac_power_w"} for _ in range(2)
    )
    assert sum(first.values()) < sum(second.values())
    assert_equal(second, wanted, ROUNDING[vendor])


def site_row(vendor: str, zone: str) -> SiteRow:
    return SiteRow(
        id=1, vendor=vendor, vendor_site_id="1", place_id=1, place_name="", role="generation", name="", vendor_name="",
        alias=None, status="normal", communication="ok", production="ok", peak_power_kw=None, address_info={},
        connection=None, reference=None, timezone=zone, timezone_source="vendor", latitude=None, longitude=None,
        position_source="none", tilt=None, azimuth=None, installed_on=None, last_updated=None, last_energy_at=None,
        not_visible_since=None, archived_at=None, user_set=(),
    )  # fmt: skip


@pytest.mark.parametrize("every_s", [1200, 3600, 5 * 3600])
@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
@pytest.mark.parametrize(
    ("zone", "day"),
    [("America/Chicago", "2026-11-01"), ("Europe/Berlin", "2026-03-29"), ("Australia/Adelaide", "2026-04-05")],
)
def test_looks_of_a_long_or_short_day_leave_no_interval_of_it_unasked(
    vendor: str, zone: str, day: str, every_s: int
) -> None:
    """The planner's spans and the connector's pieces together, over the day before, the day itself and the next."""
    declared = connector(vendor).vendor
    tz = zones.zone(zone)
    assert tz is not None
    begin = instant(f"{day}T00:00:00+00:00")
    asked: list[Span] = []
    covered: Span | None = None
    for now in range(begin - DAY_S, begin + 2 * DAY_S, every_s):
        span, owed = planner.look_spans(declared, declared.fine_resource, site_row(vendor, zone), covered, float(now))
        longest = DAY_S if vendor == "enphase" else 12 * 3600
        assert all(piece.end - piece.start <= longest for piece in (span, *owed))
        asked += [span, *owed]
        covered = Span(covered.start if covered else span.start, max(span.end, covered.end if covered else 0))
    reached = begin - DAY_S
    for span in sorted(asked, key=lambda s: s.start):
        assert span.start <= max(reached, asked[0].start), "a hole"
        reached = max(reached, span.end)
    assert reached >= begin + 2 * DAY_S - every_s
    assert asked[0].start < zones.local_day(zones.day_of(begin + DAY_S // 2, tz), tz).start
