"""Enphase: tokens, keys, plans, quota and refusals (vendors/enphase.md 1 and 2)."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import httpx
import pytest
from emulating import NOON, Hands, ask_token

NOT_AUTHORIZED = {"message": "Not Authorized", "details": "User is not authorized", "code": 401}
TOKEN_FIELDS = {
    "access_token",
    "token_type",
    "refresh_token",
    "expires_in",
    "scope",
    "enl_uid",
    "enl_cid",
    "enl_password_last_changed",
    "is_internal_app",
    "app_type",
    "app_Id",
    "jti",
}


@pytest.fixture
def emulator(start):
    return start("enphase")


@pytest.fixture
def anyone(emulator):
    with httpx.Client(base_url=emulator.base_url, trust_env=False) as client:
        yield client


def refresh(client, emulator, token):
    basic = (emulator.credentials["client_id"], emulator.credentials["client_secret"])
    return client.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": token}, auth=basic)


def test_the_credentials_are_exactly_those_of_a_partner_and_survive_a_restart(start) -> None:
    first, second = start("enphase"), start("enphase")
    assert list(first.credentials) == ["api_key", "client_id", "client_secret", "username", "password"]
    assert first.credentials == second.credentials
    assert "".join(first.credentials.values()).isascii()
    assert (first.vendor, first.method, first.plan) == ("enphase", "partner_password", "partner")


def test_a_token_answer_has_the_documented_fields_and_its_tokens_look_like_jwt(anyone, emulator) -> None:
    answer = ask_token(anyone, emulator)
    assert answer.status_code == 200
    token = answer.json()
    assert set(token) == TOKEN_FIELDS
    assert 86_393 <= token["expires_in"] <= 86_400
    for name in ("access_token", "refresh_token"):
        head, payload, _ = token[name].split(".")
        assert json.loads(base64.urlsafe_b64decode(head + "=="))["typ"] == "JWT"
        assert json.loads(base64.urlsafe_b64decode(payload + "=="))["exp"] > NOON


def test_token_parameters_work_as_a_form_too(anyone, emulator) -> None:
    known = emulator.credentials
    form = {"grant_type": "password", "username": known["username"], "password": known["password"]}
    basic = (known["client_id"], known["client_secret"])
    assert anyone.post("/oauth/token", data=form, auth=basic).status_code == 200


def test_a_get_for_a_token_does_not_work(anyone) -> None:
    answer = anyone.get("/oauth/token", params={"grant_type": "password"})
    assert (answer.status_code, answer.json()) == (405, {"reason": "405", "message": ["Method not allowed"]})


def test_token_errors_follow_rfc_6749(anyone, emulator) -> None:
    wrong = ask_token(anyone, emulator, password="wrong")
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    unknown = ask_token(anyone, emulator, grant_type="client_credentials")
    assert (unknown.status_code, unknown.json()["error"]) == (400, "unsupported_grant_type")
    nobody = anyone.post("/oauth/token", params={"grant_type": "password"}, auth=("a", "b"))
    assert (nobody.status_code, nobody.json()["error"]) == (401, "invalid_client")
    assert set(nobody.json()) == {"error", "error_description"}


def test_a_refresh_gives_a_new_pair_and_the_old_one_is_dead_at_once(anyone, emulator) -> None:
    first = ask_token(anyone, emulator).json()
    second = refresh(anyone, emulator, first["refresh_token"])
    assert second.status_code == 200
    assert second.json()["refresh_token"] != first["refresh_token"]
    again = refresh(anyone, emulator, first["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert refresh(anyone, emulator, second.json()["refresh_token"]).status_code == 200


def test_an_access_token_lives_a_day_and_a_refresh_token_a_month(anyone, emulator, clock: Hands) -> None:
    token = ask_token(anyone, emulator).json()
    headers = {"Authorization": f"Bearer {token['access_token']}", "key": emulator.credentials["api_key"]}
    clock.now = NOON + 86_390
    assert anyone.get("/api/v4/systems", headers=headers).status_code == 200
    clock.now = NOON + 86_401
    expired = anyone.get("/api/v4/systems", headers=headers)
    assert (expired.status_code, expired.json()) == (401, NOT_AUTHORIZED)
    clock.now = NOON + 29 * 86_400
    token = refresh(anyone, emulator, token["refresh_token"]).json()
    clock.now += 31 * 86_400
    assert refresh(anyone, emulator, token["refresh_token"]).status_code == 400


def test_the_key_is_taken_from_a_header_or_from_the_query_with_or_without_a_trailing_slash(connect, emulator) -> None:
    client = connect(emulator)
    assert client.get("/api/v4/systems").status_code == 200
    key = client.headers.pop("key")
    assert client.get(f"/api/v4/systems/?key={key}").status_code == 200
    assert client.get("/api/v4/systems").json() == NOT_AUTHORIZED
    assert client.get("/api/v4/systems?key=wrong").json() == NOT_AUTHORIZED


def test_a_call_without_a_token_is_refused(anyone, emulator) -> None:
    answer = anyone.get("/api/v4/systems", headers={"key": emulator.credentials["api_key"]})
    assert (answer.status_code, answer.json()) == (401, NOT_AUTHORIZED)


def test_a_key_of_another_application_than_the_token_is_a_mismatch(connect, emulator) -> None:
    client = connect(emulator)
    client.headers["key"] = emulator.service.applications[1].api_key
    answer = client.get("/api/v4/systems")
    assert answer.status_code == 401
    assert answer.json()["message"] == "API Key -Client mismatch"
    assert answer.json()["code"] == 401


@pytest.mark.parametrize(
    ("path", "watt"),
    [
        ("", 200),
        ("/summary", 200),
        ("/devices", 200),
        ("/telemetry/production_micro", 200),
        ("/energy_lifetime", 200),
        ("/devices/micros/telemetry", 401),
        ("/devices/micros/500000000000/telemetry", 401),
        ("/devices/encharges/1/telemetry", 401),
    ],
)
def test_the_device_level_answers_401_on_watt_and_works_on_kilowatt(connect, start, path, watt) -> None:
    small, larger = start("enphase", plan="watt"), start("enphase", plan="kilowatt")
    client = connect(small)
    first = client.get("/api/v4/systems").json()["systems"][0]["system_id"]
    answer = client.get(f"/api/v4/systems/{first}{path}")
    assert answer.status_code == watt
    if watt == 401:
        assert answer.json() == NOT_AUTHORIZED
        assert connect(larger).get(f"/api/v4/systems/{first}{path}").status_code in (200, 404)


def test_the_inverters_summary_works_on_watt(connect, start) -> None:
    client = connect(start("enphase", plan="watt"))
    first = client.get("/api/v4/systems").json()["systems"][0]["system_id"]
    url = "/api/v4/systems/inverters_summary_by_envoy_or_site"
    assert client.get(url, params={"site_id": first}).status_code == 200


@pytest.mark.parametrize(
    ("plan", "per_minute", "per_month"),
    [
        ("watt", 10, 1_000),
        ("kilowatt", 50, 50_000),
        ("megawatt", 100, 300_000),
        ("partner", 300, 1_500_000),
    ],
)
def test_each_plan_has_its_published_limits(start, plan, per_minute, per_month) -> None:
    assert start("enphase", plan=plan).quota.limits == {"minute": per_minute, "month": per_month}


def test_the_eleventh_call_of_a_minute_is_refused_on_watt_without_any_header(connect, start, clock) -> None:
    clock.now = 1_767_441_610.0
    emulator = start("enphase", plan="watt")
    client = connect(emulator)
    assert [client.get("/api/v4/systems").status_code for _ in range(10)] == [200] * 10
    refused = client.get("/api/v4/systems")
    assert refused.status_code == 429
    assert refused.json() == {
        "message": "Too Many Requests",
        "details": "Usage limit exceeded for plan Watt",
        "code": 429,
        "period": "minute",
        "period_start": 1_767_441_600,
        "period_end": 1_767_441_660,
        "limit": 10,
    }
    assert not [name for name in refused.headers if "ratelimit" in name.lower() or name.lower() == "retry-after"]
    clock.now = 1_767_441_660.0
    assert client.get("/api/v4/systems").status_code == 200


def test_a_spent_month_is_refused_until_the_first_of_the_next(connect, start, clock) -> None:
    emulator = start("enphase", plan="watt")
    client = connect(emulator)
    emulator.quota.preset("month", 999)
    assert client.get("/api/v4/systems").status_code == 200
    refused = client.get("/api/v4/systems").json()
    assert (refused["period"], refused["limit"]) == ("month", 1_000)
    assert refused["period_start"] == datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    assert refused["period_end"] == datetime(2026, 7, 1, tzinfo=UTC).timestamp()
    clock.now = refused["period_end"] - 3600.0
    ask = ask_token(client, emulator).json()["access_token"]
    client.headers["Authorization"] = f"Bearer {ask}"
    assert client.get("/api/v4/systems").status_code == 429
    clock.now = float(refused["period_end"])
    assert client.get("/api/v4/systems").status_code == 200


def test_failed_calls_count_but_overload_pages_and_tokens_do_not(connect, start) -> None:
    emulator = start("enphase", plan="watt")
    client = connect(emulator)
    assert emulator.quota.used["minute"] == 0
    client.get("/api/v4/systems/77")
    assert emulator.quota.used == {"minute": 1, "month": 1}
    emulator.faults["html"] = 1.0
    client.get("/api/v4/systems")
    assert emulator.quota.used["minute"] == 1


def test_posts_are_limited_to_200_a_month_on_partner(connect, emulator) -> None:
    client = connect(emulator)
    answers = [client.post("/api/v4/systems/search", json={"system": {}}).status_code for _ in range(201)]
    assert answers == [200] * 200 + [429]
    assert client.get("/api/v4/systems").status_code == 200


def test_unknown_systems_and_those_of_others_are_told_apart(connect, emulator, world) -> None:
    from sungaze.emulators._enphase_site import system_id_of

    client = connect(emulator)
    missing = client.get("/api/v4/systems/77")
    assert missing.status_code == 404
    assert missing.json() == {"message": "Not Found", "details": 'System not found for {:id=>"77"}', "code": 404}
    foreign = client.get(f"/api/v4/systems/{system_id_of(world.site('enphase', 4))}")
    assert foreign.status_code == 403
    assert foreign.json() == {
        "message": "Forbidden",
        "details": "Not authorized to access this resource",
        "code": 403,
    }


def test_a_wrong_method_and_an_unknown_verb_have_their_own_bodies(connect, emulator) -> None:
    client = connect(emulator)
    wrong = client.delete("/api/v4/systems")
    assert (wrong.status_code, wrong.json()) == (405, {"reason": "405", "message": ["Method not allowed"]})
    unknown = client.request("BREW", "/api/v4/systems")
    assert unknown.status_code == 501
    assert unknown.json()["reason"] == "501"
    assert isinstance(unknown.json()["message"], list)


def test_requests_are_recorded_without_their_query(connect, emulator) -> None:
    client = connect(emulator)
    client.get("/api/v4/systems?page=1")
    assert tuple(emulator.requests[-1]) == (NOON, "GET", "/api/v4/systems", 200)
    assert tuple(emulator.requests[0])[1:] == ("POST", "/oauth/token", 200)
