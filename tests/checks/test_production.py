"""Findings by evidence, at a given now: raised when the facts show it, ended when they show it is over, else kept."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from sungaze.checks.production import (
    DEVICE_SILENT,
    SITE_SILENT,
    ZERO,
    ZERO_AMONG,
    Facts,
    judge,
)
from sungaze.model import Freshness

NOON = dt.datetime(2026, 6, 1, 11, tzinfo=dt.UTC).timestamp()
BERLIN = {"latitude": 52.5, "longitude": 13.4}


def power(hours: float, watts: float, until: float = NOON) -> list[tuple[int, float]]:
    """Five-minute means up to `until`, all the same."""
    newest = int(until) // 300 * 300 - 300
    return [(newest - 300 * step, watts) for step in range(int(hours * 12))][::-1]


def facts(**changed: Any) -> Facts:
    given: dict[str, Any] = {
        "now": NOON, "freshness": Freshness.FRESH, "reason_code": "", "heard_at": int(NOON) - 300, "peak_w": 10_000.0,
        "interval_s": 300, "power": power(4, 3_000.0), **BERLIN,
    }  # fmt: skip
    return Facts(**(given | changed))


def codes(found: Facts) -> set[str]:
    return {finding.code for finding in judge(found).found}


def test_a_site_that_produces_is_well() -> None:
    judgement = judge(facts(devices={"a": int(NOON) - 600, "b": int(NOON) - 600}, neighbours=[0.3, 0.4]))
    assert (judgement.found, judgement.untold) == ((), frozenset())


def test_a_silent_site_is_found_with_the_time_of_its_last_word() -> None:
    silent = facts(freshness=Freshness.STALE, reason_code="site_silent", heard_at=int(NOON) - 20_000)
    (finding,) = judge(silent).found
    assert (finding.code, finding.since) == (SITE_SILENT, int(NOON) - 20_000)


@pytest.mark.parametrize("code", ["account", "not_asked", "vendor_late", "never"])
def test_what_is_not_the_sites_fault_neither_raises_nor_ends_anything(code: str) -> None:
    judgement = judge(facts(freshness=Freshness.STALE, reason_code=code))
    assert judgement.found == ()
    assert judgement.untold == {SITE_SILENT, ZERO, ZERO_AMONG, DEVICE_SILENT}


def test_a_night_ends_silence_and_tells_nothing_of_production() -> None:
    judgement = judge(facts(freshness=Freshness.ASLEEP, power=power(4, 0.0)))
    assert (judgement.found, judgement.untold) == ((), {ZERO, ZERO_AMONG, DEVICE_SILENT})


def test_two_hours_of_nothing_at_noon_are_found_and_less_is_not() -> None:
    assert codes(facts(power=power(3, 0.0))) == {ZERO}
    dropped = power(4, 3_000.0)[:-18] + power(1.5, 0.0)
    assert codes(facts(power=dropped)) == set()
    assert ZERO in judge(facts(power=dropped)).untold


def test_nothing_is_expected_early_and_late() -> None:
    dawn = dt.datetime(2026, 6, 1, 4, 30, tzinfo=dt.UTC).timestamp()
    judgement = judge(facts(now=dawn, power=power(3, 0.0, dawn)))
    assert judgement.found == ()
    assert ZERO in judgement.untold


def test_the_hours_before_the_middle_of_the_day_do_not_count() -> None:
    morning = dt.datetime(2026, 6, 1, 5, 20, tzinfo=dt.UTC).timestamp()
    assert codes(facts(now=morning, power=power(6, 0.0, morning))) == set()


def test_neighbours_that_produce_make_nothing_stand_out_sooner() -> None:
    dropped = power(4, 3_000.0)[:-12] + power(1, 0.0)
    assert codes(facts(power=dropped, neighbours=[0.4, 0.5, 0.3])) == {ZERO_AMONG}
    assert codes(facts(power=dropped, neighbours=[0.4])) == set()
    assert codes(facts(power=dropped, neighbours=[0.0, 0.01, 0.5])) == set()


def test_production_ends_it() -> None:
    back = power(4, 0.0)[:-2] + power(0.17, 900.0)
    judgement = judge(facts(power=back))
    assert (judgement.found, {ZERO, ZERO_AMONG} & judgement.untold) == ((), set())


def test_a_hole_in_the_curve_is_not_taken_for_nothing() -> None:
    gappy = power(4, 0.0)[:12] + power(0.5, 0.0)
    assert codes(facts(power=gappy)) == set()


def test_without_a_peak_or_a_position_nothing_is_claimed() -> None:
    assert codes(facts(power=power(4, 0.0), peak_w=None)) == set()
    assert codes(facts(power=power(4, 0.0), latitude=None, longitude=None)) == set()


def test_a_device_that_its_neighbours_outlive_is_found() -> None:
    newest = int(NOON) - 900
    devices = {"a": newest, "b": newest, "c": newest - 3 * 3600, "d": newest - 3600}
    (finding,) = judge(facts(devices=devices)).found
    assert (finding.code, finding.vendor_device_id, finding.since) == (DEVICE_SILENT, "c", newest - 3 * 3600)


def test_a_night_does_not_make_a_device_silent() -> None:
    morning = dt.datetime(2026, 6, 1, 3, 30, tzinfo=dt.UTC).timestamp()
    evening = dt.datetime(2026, 5, 31, 19, 0, tzinfo=dt.UTC).timestamp()
    assert codes(facts(now=morning, devices={"a": int(morning), "b": int(evening)})) == set()


def test_when_most_devices_are_silent_it_is_not_the_devices() -> None:
    newest = int(NOON) - 900
    judgement = judge(facts(devices={"a": newest, "b": newest - 20_000, "c": newest - 20_000}))
    assert judgement.found == ()
    assert DEVICE_SILENT in judgement.untold
