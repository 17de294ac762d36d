"""What is stored equals what the simulated world produced, in every zone and over the nights that shift the clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from spine import FINE, ROUNDING, Hands, Spine, truth

from sungaze import clock as zones

DAY_S = 86_400
NEWEST_S = 3_600
"""What is younger may still be on its way: the vendor's upload and our pace."""
MOMENTS = (
    "2026-06-01T18:05:00+00:00",
    "2026-03-29T21:10:00+00:00",  # Berlin lost an hour that night
    "2026-10-25T20:20:00+00:00",  # Berlin had 25 hours
    "2026-03-08T22:40:00+00:00",  # Chicago lost an hour
    "2026-11-01T21:35:00+00:00",  # Chicago had 25 hours
    "2026-10-04T06:50:00+00:00",  # Adelaide lost an hour
    "2026-04-05T05:15:00+00:00",  # Adelaide had 25 hours
    "2026-11-24T02:30:00+00:00",
)


def compare(spine: Spine, vendor: str, *, fine_from: float, days_from: float) -> None:
    """Hold every sample against the truth, and the truth of the owed spans against the samples."""
    emulator = spine.emulators[vendor]
    world, now = emulator.service.world, spine.clock.now
    known = truth(vendor, world, min(fine_from, days_from) - 3 * DAY_S, now)
    stored = {key: value for key, value in spine.samples().items() if key[0] == vendor}
    unfinished = {
        (str(site.vendor_site_id), zones.midnight(zones.day_of(now, tz), tz))
        for site in spine.store.fleet.sites()
        if (tz := zones.zone(site.timezone)) is not None
    }
    assert len(unfinished) >= world.sites
    compared = 0
    for key, value in stored.items():
        if (key[1], int(key[5])) in unfinished and key[4] == str(DAY_S):
            continue
        assert key in known, f"invented: {key} = {value}"
        assert abs(value - known[key]) <= ROUNDING[vendor] + 1e-6, (key, value, known[key])
        compared += 1
    newest: dict[tuple[str, ...], int] = {}
    for key in stored:
        newest[key[1:5]] = max(newest.get(key[1:5], 0), int(key[5]))
    for key in known:
        series, start, is_day = key[1:5], int(key[5]), key[4] == str(DAY_S)
        if series not in newest or start < (days_from if is_day else fine_from) or key in stored:
            continue
        assert start > newest[series], f"lost: {key}"
        assert not is_day, f"a whole day is missing: {key}"
        assert series[1:] != FINE[vendor] or start > now - NEWEST_S, f"not asked for: {key}"
    assert compared > 100 * world.sites


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_after_the_first_connect_the_raw_series_equal_the_world(
    spine: Callable[..., Spine], clock: Hands, vendor: str, moment: str
) -> None:
    clock.now = datetime.fromisoformat(moment).timestamp()
    running = spine(vendor)
    running.connect(vendor)
    began = clock.now
    running.work_off()
    assert {site.timezone for site in running.store.fleet.sites()} >= {"Australia/Adelaide", "Asia/Kolkata"}
    compare(running, vendor, fine_from=began - 2 * DAY_S, days_from=began - 29 * DAY_S)


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_a_look_that_comes_long_after_it_was_planned_leaves_no_hole(
    spine: Callable[..., Spine], clock: Hands, vendor: str
) -> None:
    running = spine(vendor)
    running.connect(vendor)
    began = clock.now
    for _ in range(3):
        running.one_by_one(4)
        clock.now += 1_333
    running.work_off()
    compare(running, vendor, fine_from=began - 2 * DAY_S, days_from=began - 29 * DAY_S)


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_after_an_outage_of_three_days_what_was_missed_is_filled_in(
    spine: Callable[..., Spine], clock: Hands, vendor: str
) -> None:
    running = spine(vendor)
    running.connect(vendor)
    began = clock.now
    running.work_off()
    clock.now += 3 * DAY_S + 5 * 3600
    running.work_off()
    compare(running, vendor, fine_from=began - 2 * DAY_S, days_from=began - 29 * DAY_S)


@pytest.mark.slow
@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_two_days_of_ordinary_polling_leave_no_hole(spine: Callable[..., Spine], clock: Hands, vendor: str) -> None:
    running = spine(vendor, panels=4)
    running.connect(vendor)
    began = clock.now
    while clock.now < began + 2 * DAY_S:
        running.work_off()
        clock.now += 1_700
    running.work_off()
    compare(running, vendor, fine_from=began - 2 * DAY_S, days_from=began - 29 * DAY_S)


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_figures_that_come_late_replace_what_was_there(spine: Callable[..., Spine], clock: Hands, vendor: str) -> None:
    running = spine(vendor, faults={"late": 1.0})
    running.connect(vendor)
    began = clock.now
    running.work_off()
    running.emulators[vendor].faults["late"] = 0.0
    for _ in range(3):
        clock.now += 3_600
        running.work_off()
    compare(running, vendor, fine_from=began - 2 * DAY_S, days_from=began - 29 * DAY_S)
