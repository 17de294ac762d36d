"""Tigo V3: login and its variants, tokens, rate headers, refusals (vendors/tigo.md 1 and 3)."""

from __future__ import annotations

from datetime import datetime

import httpx
import pytest
from emulating import NOON
from tigo_asking import ROOT, log_in, signed_in

from sungaze.emulators._tigo_site import system_id_of


@pytest.fixture
def emulator(start):
    return start("tigo")


@pytest.fixture
def anyone(emulator):
    with httpx.Client(base_url=emulator.base_url, trust_env=False) as client:
        yield client


@pytest.fixture
def client(emulator):
    with signed_in(emulator) as client:
        yield client


def test_the_credentials_survive_a_restart(start) -> None:
    first, second = start("tigo"), start("tigo")
    assert list(first.credentials) == ["username", "password"]
    assert first.credentials == second.credentials
    assert (first.vendor, first.method, first.plan) == ("tigo", "password", "premium")


def test_a_login_answers_as_documented(anyone, emulator) -> None:
    user = log_in(anyone, emulator).json()["user"]
    assert set(user) == {"user_id", "auth", "expires", "user_type", "refresh_token", "user_agreement"}
    assert len(user["auth"]) == 120
    assert user["user_type"] in {"Basic", "Installer", "Partner"}
    expires = datetime.fromisoformat(user["expires"])
    assert expires.utcoffset() is not None
    assert expires.timestamp() > NOON + 30 * 86_400


@pytest.mark.parametrize(("method", "path"), [("POST", "user/login"), ("GET", "user/login"), ("POST", "users/login")])
def test_three_of_the_four_ways_to_log_in_are_not_there(anyone, emulator, method, path) -> None:
    known = emulator.credentials
    answer = anyone.request(method, f"{ROOT}/{path}", auth=(known["username"], known["password"]))
    assert answer.status_code == 404
    assert answer.json() == {"name": "Not Found", "message": "Page not found.", "code": 0, "status": 404}


@pytest.mark.parametrize("changed", [{"username": "nobody"}, {"password": "wrong"}])
def test_a_wrong_login_is_refused_as_documented(anyone, emulator, changed) -> None:
    answer = log_in(anyone, emulator, **changed)
    assert answer.status_code == 401
    assert answer.json() == {
        "name": "Unauthorized",
        "message": "You are requesting with an invalid credential.",
        "code": 0,
        "status": 401,
    }


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer nothing"}, {"Authorization": "Basic !!"}])
def test_without_a_token_nothing_is_given(anyone, header) -> None:
    assert anyone.get(f"{ROOT}/systems", headers=header).status_code == 401


def test_a_token_ends_with_its_lifetime(emulator, clock) -> None:
    emulator.service.token_lifetime_s = 600.0
    with signed_in(emulator) as client:
        assert client.get(f"{ROOT}/systems").status_code == 200
        clock.now += 601
        assert client.get(f"{ROOT}/systems").status_code == 401


def test_a_token_ends_with_the_logout(client) -> None:
    answer = client.get(f"{ROOT}/users/logout")
    assert answer.json() == {"name": "OK", "message": "Logged out user", "code": 0, "status": 200}
    assert client.get(f"{ROOT}/systems").status_code == 401


def test_every_answer_carries_the_rate_headers_and_the_reset_is_in_seconds(client, world) -> None:
    system = system_id_of(world.site("tigo", 0))
    left = []
    for path in ("systems", "nothing", "data/summary", f"data/summary?system_id={system}"):
        headers = client.get(f"{ROOT}/{path}").headers
        assert headers["x-rate-limit-limit"] == "30"
        assert 1 <= int(headers["x-rate-limit-reset"]) <= 60
        left.append(int(headers["x-rate-limit-remaining"]))
        assert ("x-system-config-update" in headers) == path.endswith(str(system))
    assert left == [28, 27, 26, 25]


def test_a_spent_minute_is_refused_with_the_wait(client, emulator, clock) -> None:
    emulator.quota.preset("minute", 30)
    refused = client.get(f"{ROOT}/systems")
    assert refused.status_code == 429
    assert refused.json()["name"] == "Too Many Requests"
    assert refused.headers["x-rate-limit-remaining"] == "0"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    clock.now += int(refused.headers["retry-after"])
    assert client.get(f"{ROOT}/systems").status_code == 200


def test_the_limit_can_be_set(client, emulator) -> None:
    emulator.quota.limits["minute"] = 20
    assert client.get(f"{ROOT}/systems").headers["x-rate-limit-limit"] == "20"


def test_somebody_elses_system_is_403_and_an_unknown_one_404(client, world) -> None:
    foreign = client.get(f"{ROOT}/systems/{system_id_of(world.site('tigo', 5))}")
    assert (foreign.status_code, foreign.json()["name"]) == (403, "Forbidden")
    assert client.get(f"{ROOT}/systems/view", params={"id": 1}).status_code == 404


@pytest.mark.parametrize("path", ["systems/layout", "systems/view", "data/summary", "alerts/system", "users/get"])
def test_what_is_missing_is_named(client, path) -> None:
    answer = client.get(f"{ROOT}/{path}")
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Missing required parameters: ")


def test_a_number_that_is_none_is_422_in_an_array(client) -> None:
    answer = client.get(f"{ROOT}/data/summary", params={"system_id": "x"})
    assert answer.status_code == 422
    assert [set(row) for row in answer.json()] == [{"field", "message"}]


@pytest.mark.parametrize("path", ["alerts/view", "systems/full", "system/layout", "data/nothing", "", "alerts"])
def test_unknown_paths_are_404(client, path) -> None:
    assert client.get(f"{ROOT}/{path}").status_code == 404


def test_a_user_sees_only_oneself(client, emulator) -> None:
    own = client.get(f"{ROOT}/users/{emulator.service.user_id}").json()["user"]
    assert own == client.get(f"{ROOT}/users/get", params={"id": own["user_id"]}).json()["user"]
    assert client.get(f"{ROOT}/users/1").status_code == 403


def test_no_premium_lets_in_but_gives_nothing(client, emulator, world) -> None:
    emulator.faults["no_premium"] = 1.0
    assert client.get(f"{ROOT}/systems").status_code == 200
    for path in ("data/summary", "data/combined", "sources/system", "alerts/system"):
        answer = client.get(f"{ROOT}/{path}", params={"system_id": system_id_of(world.site("tigo", 0))})
        assert answer.status_code == 403


@pytest.mark.parametrize(("fault", "status"), [("500", 500), ("429", 429), ("expired", 401)])
def test_common_refusals_strike_data_and_not_the_login(client, anyone, emulator, fault, status) -> None:
    emulator.faults[fault] = 1.0
    answer = client.get(f"{ROOT}/systems")
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert log_in(anyone, emulator).status_code == 200


def test_the_front_doors_page_comes_by_turns(client, emulator) -> None:
    emulator.faults["html"] = 1.0
    answers = [client.get(f"{ROOT}/systems") for _ in range(2)]
    assert {answer.status_code for answer in answers} == {200, 503}
    assert all(answer.text.startswith("<!DOCTYPE") for answer in answers)
