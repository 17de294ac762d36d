"""The fleet's sum: one common quarter-hour, and only places that have all of it."""

from __future__ import annotations

from typing import Any

import msgspec

from sungaze.api.board import NO_CARE, fleet_figures
from sungaze.api.shapes import PlaceRef, SiteOut

QUARTER = 1_780_336_800
ROW = SiteOut(
    id=0, vendor="enphase", vendor_site_id="0", name="Roof", status="normal", communication="ok", production="ok",
    freshness="fresh", freshness_reason="", reason_code="", peak_power_kw=10.0, power_w=1_000.0,
    power_metric="ac_power_w", power_interval_s=300, measured_at=QUARTER + 600, fetched_at=QUARTER + 1_000,
    last_report_at=QUARTER + 1_000, next_look_at=None, energy_today_wh=5_000.0, energy_yesterday_wh=20_000.0,
    yield_yesterday_kwh_per_kwp=2.0, timezone="UTC", address="", place=PlaceRef(0, "Roof", "generation"),
    alerts=0, needs_you=False, archived=False, trouble="", trouble_since=None, loss_wh_per_day=None, loss_basis="",
    tags=[], customer=None, care=NO_CARE,
)  # fmt: skip


def site(number: int, **changed: Any) -> SiteOut:
    given = {"id": number, "place": PlaceRef(number, f"Roof {number}", "generation")}
    return msgspec.structs.replace(ROW, **(given | changed))


def summed(rows: list[SiteOut], watts: dict[int, float]) -> Any:
    return fleet_figures(rows, lambda _, quarter: watts if quarter == QUARTER else {}, QUARTER + 1_200)


def test_the_newest_quarter_hour_that_most_places_have_reached_is_summed() -> None:
    rows = [site(1), site(2), site(3, measured_at=QUARTER + 900 + 600)]
    fleet = summed(rows, {1: 1_000.0, 2: 2_000.0, 3: 3_000.0})
    assert (fleet.at, fleet.power_w, fleet.places, fleet.left_out) == (QUARTER, 6_000.0, 3, 0)


def test_a_place_with_a_part_of_the_quarter_hour_is_left_out_and_counted() -> None:
    fleet = summed([site(1), site(2), site(3, measured_at=QUARTER)], {1: 1_000.0, 2: 2_000.0, 3: 50.0})
    assert (fleet.power_w, fleet.places, fleet.left_out) == (3_000.0, 2, 1)


def test_asleep_counts_as_zero_and_late_and_stale_are_left_out() -> None:
    rows = [site(1), site(2, freshness="asleep"), site(3, freshness="late"), site(4, freshness="stale")]
    fleet = summed(rows, {1: 1_000.0})
    assert (fleet.power_w, fleet.places, fleet.asleep, fleet.left_out) == (1_000.0, 2, 1, 2)
    assert (fleet.kwp, fleet.kwp_total) == (20.0, 40.0)


def test_a_fleet_that_is_all_asleep_gives_zero_and_one_that_is_not_known_gives_nothing() -> None:
    asleep = summed([site(1, freshness="asleep")], {})
    assert (asleep.power_w, asleep.places) == (0.0, 1)
    unknown = summed([site(1, freshness="never", measured_at=None, energy_yesterday_wh=None)], {})
    assert (unknown.power_w, unknown.at, unknown.places, unknown.left_out) == (None, None, 0, 1)


def test_places_that_report_only_daily_are_counted_apart_and_never_summed() -> None:
    fleet = summed([site(1), site(2, measured_at=None, power_w=None, freshness="never")], {1: 1_000.0})
    assert (fleet.power_w, fleet.daily_only, fleet.left_out) == (1_000.0, 1, 0)


def test_two_views_of_one_roof_count_once() -> None:
    same = site(2, place=PlaceRef(1, "Roof 1", "same_generation"))
    fleet = summed([site(1), same], {1: 1_000.0, 2: 990.0})
    assert (fleet.power_w, fleet.places_total, fleet.kwp_total) == (1_000.0, 1, 10.0)
    assert fleet.yesterday.energy_wh == 20_000.0
