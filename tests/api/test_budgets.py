"""The budget as the API tells it: caps, money, what a plan serves, and older history told before it is bought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Fleet


@pytest.fixture
def account(fleet: Fleet) -> dict[str, Any]:
    """The Enphase account of the fleet."""
    items = fleet.client.get("/api/accounts").json()["items"]
    return next(item for item in items if item["vendor"] == "enphase")


def month(account: dict[str, Any]) -> dict[str, Any]:
    return next(quota for quota in account["quotas"] if quota["window"] == "month")


def test_a_cap_lets_paid_calls_be_spent_and_is_taken_back(fleet: Fleet, account: dict[str, Any]) -> None:
    assert (month(account)["limit"], month(account)["included"], month(account)["capped"]) == (10_000, 10_000, False)
    path = f"/api/accounts/{account['id']}"
    raised = fleet.client.patch(path, json={"caps": {"month": 20_000}}).json()
    assert (month(raised)["limit"], month(raised)["vendor_limit"], month(raised)["capped"]) == (20_000, 1_500_000, True)
    assert month(raised)["spent_usd"] == 0
    back = fleet.client.patch(path, json={"caps": {"month": None}}).json()
    assert (month(back)["limit"], month(back)["capped"]) == (10_000, False)


@pytest.mark.parametrize("caps", [{"week": 5}, {"month": -1}, {"month": 2_000_000}])
def test_a_cap_that_no_plan_has_is_refused_in_a_sentence(
    fleet: Fleet, account: dict[str, Any], caps: dict[str, int]
) -> None:
    answer = fleet.client.patch(f"/api/accounts/{account['id']}", json={"caps": caps})
    assert answer.status_code == 400
    assert answer.json()["detail"].endswith((".", "refuses."))


def test_the_budget_says_what_the_plan_serves_and_how_calls_are_spent(fleet: Fleet, account: dict[str, Any]) -> None:
    budget = fleet.client.get(f"/api/accounts/{account['id']}/budget").json()
    assert budget["sites"] == 4
    assert budget["now"]["plan"] == "partner"
    assert budget["now"]["sites_served"] >= 4
    assert budget["advice"] == ""
    assert budget["larger"]["sites_served"] > budget["now"]["sites_served"]
    assert budget["wanted_per_day"] > 0
    assert budget["screen_share"] > 0


def test_older_history_is_told_before_it_is_bought(fleet: Fleet, account: dict[str, Any]) -> None:
    path = f"/api/accounts/{account['id']}/backfill"
    told = fleet.client.post(path, json={"depth": "finest", "from": "2026-05-01", "estimate": True}).json()
    assert told["begun"] is False
    assert told["calls"] > 20
    assert told["usd"] == 0
    assert told["complete_at"] > fleet.now()
    assert f"{told['calls']:,} calls" in told["message"]
    assert fleet.client.get("/api/accounts").json()["items"][0]["backfill"]["calls_left"] == 0


@pytest.mark.parametrize("wish", [{"depth": "weekly", "from": "2026-05-01"}, {"depth": "daily", "from": "yesterday"}])
def test_a_backfill_that_makes_no_sense_begins_nothing(
    fleet: Fleet, account: dict[str, Any], wish: dict[str, str]
) -> None:
    assert fleet.client.post(f"/api/accounts/{account['id']}/backfill", json=wish).status_code == 400


@pytest.mark.in_process
def test_who_opens_a_site_has_it_on_screen(fleet: Fleet) -> None:
    site = fleet.client.get("/api/sites").json()["items"][0]["id"]
    fleet.client.get(f"/api/sites/{site}")
    assert site in fleet.runtime.context.screen.sites(fleet.now())
