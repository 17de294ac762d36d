"""SolarEdge V2: keys, credits, both refusals, problem bodies (vendors/solaredge.md 1)."""

from __future__ import annotations

import httpx
import pytest
from emulating import NOON

from sungaze.emulators._solaredge_site import site_id_of

PROBLEM_FIELDS = {"type", "title", "status", "detail", "traceId"}


@pytest.fixture
def emulator(start):
    return start("solaredge", plan="paid")


@pytest.fixture
def anyone(emulator):
    with httpx.Client(base_url=emulator.base_url, trust_env=False) as client:
        yield client


def test_the_credentials_are_a_key_and_an_account_key_and_survive_a_restart(start) -> None:
    first, second = start("solaredge"), start("solaredge", dialect="v2")
    assert list(first.credentials) == ["api_key", "account_key"]
    assert first.credentials == second.credentials
    assert (first.vendor, first.method, first.plan) == ("solaredge", "fleet_key", "free")
    assert not first.base_url.endswith("/v2")


def test_without_any_credential_the_gateway_itself_answers(anyone) -> None:
    answer = anyone.get("/v2/sites")
    assert answer.status_code == 401
    assert answer.json() == {
        "error": "invalid_request",
        "error_description": "The access token is missing",
    }


@pytest.mark.parametrize("headers", [{"X-API-Key": "wrong"}, {"Authorization": "Bearer nothing"}, {"X-API-Key": ""}])
def test_a_wrong_key_is_a_problem_with_status_401(anyone, headers) -> None:
    answer = anyone.get("/v2/sites", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == PROBLEM_FIELDS
    assert answer.json()["title"] == "Unauthorized - Authentication Failed"
    assert answer.json()["detail"] == "Invalid API key"


def test_the_account_key_is_optional_but_must_be_right_and_makes_the_list_a_bare_array(connect, emulator) -> None:
    client = connect(emulator)
    assert set(client.get("/v2/sites").json()) == {"sites"}
    account = {"X-Account-Key": emulator.credentials["account_key"]}
    bare = client.get("/v2/sites", headers=account).json()
    assert bare == client.get("/v2/sites").json()["sites"]["site"]
    assert client.get("/v2/sites", headers={"X-Account-Key": "wrong"}).status_code == 401


def test_every_answer_carries_the_minutes_limit_and_what_is_left(connect, emulator) -> None:
    client = connect(emulator)
    left = []
    for path in ("/v2/sites", "/v2/nothing", "/v2/sites/1/power", "/v2/sites?page=0"):
        answer = client.get(path)
        assert answer.headers["x-ratelimit-limit-minute"] == "24"
        left.append(int(answer.headers["x-ratelimit-remaining-minute"]))
    assert left == [23, 22, 21, 20]


def test_unknown_endpoints_are_problems_with_status_404(connect, emulator) -> None:
    client = connect(emulator)
    site = client.get("/v2/sites").json()["sites"]["site"][0]["siteId"]
    for name in ("powerFlow", "storage", "battery", "summary"):
        answer = client.get(f"/v2/sites/{site}/{name}")
        assert answer.status_code == 404
        assert set(answer.json()) == PROBLEM_FIELDS
        assert (answer.json()["title"], answer.json()["detail"]) == ("Not Found", "Unknown endpoint")
    assert len(answer.json()["traceId"]) == 32


def test_a_site_of_another_account_is_403_and_an_unknown_one_404(connect, emulator, world) -> None:
    client = connect(emulator)
    foreign = client.get(f"/v2/sites/{site_id_of(world.site('solaredge', 5))}/power")
    assert (foreign.status_code, foreign.json()["title"]) == (403, "Forbidden")
    assert client.get("/v2/sites/1").status_code == 404


def test_live_power_is_not_part_of_the_plan(connect, emulator) -> None:
    client = connect(emulator)
    site = client.get("/v2/sites").json()["sites"]["site"][0]["siteId"]
    assert client.get(f"/v2/sites/{site}/power-flow").status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/sites/list", "/site/5500060/overview", "/sites/1,2/energy", "/equipment/1/list", "/version/current"],
)
def test_every_v1_path_is_gone(anyone, path) -> None:
    answer = anyone.get(path, params={"api_key": "ABC"})
    assert answer.status_code == 410
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.json()) == PROBLEM_FIELDS


def test_a_spent_minute_says_how_long_to_wait(connect, start, clock) -> None:
    clock.now = 1_767_441_612.0
    client = connect(start("solaredge"))
    assert [client.get("/v2/sites").status_code for _ in range(10)] == [200] * 10
    refused = client.get("/v2/sites")
    assert refused.status_code == 429
    assert refused.headers["x-ratelimit-remaining-minute"] == "0"
    assert refused.headers["x-ratelimit-limit-minute"] == "10"
    assert 46 <= int(refused.headers["retry-after"]) <= 48
    assert refused.json() == {"message": "API rate limit exceeded"}
    clock.now += int(refused.headers["retry-after"])
    assert client.get("/v2/sites").status_code == 200


def test_spent_credits_leave_calls_in_the_minute_and_name_no_wait(connect, start) -> None:
    emulator = start("solaredge")
    client = connect(emulator)
    emulator.quota.preset("month", 1_999)
    assert client.get("/v2/sites").status_code == 200
    refused = client.get("/v2/sites")
    assert refused.status_code == 429
    assert int(refused.headers["x-ratelimit-remaining-minute"]) > 0
    assert "retry-after" not in refused.headers


def test_failed_calls_cost_a_credit_and_the_month_is_never_shown(connect, emulator) -> None:
    client = connect(emulator)
    answer = client.get("/v2/nothing")
    assert emulator.quota.used == {"minute": 1, "month": 1}
    assert not [name for name in answer.headers if "month" in name.lower()]


@pytest.mark.parametrize(("plan", "limits"), [("free", (10, 2_000)), ("paid", (24, 10_000))])
def test_each_plan_has_its_limits(start, plan, limits) -> None:
    assert tuple(start("solaredge", plan=plan).quota.limits.values()) == limits


def test_requests_are_recorded_without_their_query(connect, emulator) -> None:
    connect(emulator).get("/v2/sites?page=1")
    assert tuple(emulator.requests[-1]) == (NOON, "GET", "/v2/sites", 200)
