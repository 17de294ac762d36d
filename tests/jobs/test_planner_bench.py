"""The planner's benchmark in small: a few days of a small fleet, with the real planner, ledger and store."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from program import TOP

# The benches lie beside the package, in a checkout.
sys.path.insert(0, str(TOP))
from bench.planner import START, Month, fixed_polls
from sungaze.jobs import forecast
from sungaze.model import DAY_S
from sungaze.vendors import connector


@pytest.mark.parametrize(
    ("vendor", "plan"), [("enphase", "watt"), ("enphase", "partner"), ("solaredge", "free"), ("generac", "dashboard")]
)
def test_three_days_of_ten_sites_never_pass_a_limit(tmp_path: Path, vendor: str, plan: str) -> None:
    declared = connector(vendor).vendor
    chosen = declared.plan(plan)
    assert chosen is not None
    month = Month(tmp_path, declared, chosen, 10, shown=True, backfill_days=30)
    month.run(START + 3 * DAY_S)
    assert month.counted.over == 0
    assert month.usd() == 0
    assert all(len(asked) > 1 for asked in month.polls.values())
    assert max(month.behind) <= 1, "a site on screen is at most one bucket behind its vendor"
    month.close()


def test_by_day_figures_are_younger_than_those_of_a_fixed_poller_with_the_same_quota(tmp_path: Path) -> None:
    declared = connector("solaredge").vendor
    plan = declared.plan("paid")
    assert plan is not None
    month = Month(tmp_path, declared, plan, 20)
    month.run(START + 6 * DAY_S)
    polls, _ = fixed_polls(declared, plan, month.rows, month.now)
    assert month.ages(month.polls)[2] < 0.75 * month.ages(polls)[2]
    month.close()


def test_a_cap_that_the_user_sets_is_never_passed_and_is_used(tmp_path: Path) -> None:
    declared = connector("enphase").vendor
    plan = declared.plan("partner")
    assert plan is not None
    late = START + 28 * DAY_S
    month = Month(tmp_path, declared, plan, 10, caps={"month": 12_000}, now=late)
    month.store.ledger.correct("bench", "month", 10_000, late)
    month.run(late + DAY_S)
    assert 0 < month.usd() <= 10
    assert month.counted.over == 0
    month.close()


def test_three_days_of_outage_are_refilled_within_one_at_half_of_what_the_plan_serves(tmp_path: Path) -> None:
    declared = connector("solaredge").vendor
    plan = declared.plan("paid")
    assert plan is not None
    sites = max(1, forecast.sites_served(declared, plan, START) // 2)
    month = Month(tmp_path, declared, plan, sites)
    month.run(START + 3 * DAY_S, owing=True)
    month.now = month.resumed = START + 6 * DAY_S
    month.run(month.resumed + 3 * DAY_S, owing=True, stop_when_filled=True)
    filled = month.store.database.scalar("SELECT count(*) FROM gap WHERE reason = 'outage' AND outcome = 'filled'")
    assert filled >= 6 * sites
    assert month.now - month.resumed < DAY_S
    month.close()
