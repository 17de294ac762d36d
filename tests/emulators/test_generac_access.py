"""Generac's dashboard: pages, the form, cookies and their end, privacy, the block (vendors/generac.md 1, 9)."""

from __future__ import annotations

import re
from typing import Any

import generac_served
import httpx
import pytest

from sungaze.emulators import World

served, clock, emulator = generac_served.served, generac_served.clock, generac_served.emulator


JSON_TYPE = "application/json"
HTML_TYPE = "text/html; charset=utf-8"


@pytest.fixture
def browser(emulator: Any) -> Any:
    with httpx.Client(base_url=emulator.base_url, trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def number(emulator: Any) -> str:
    return str(emulator.credentials["profile_ids"].split(",")[0])


def form_of(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w+)">', page))


def sign_in(browser: httpx.Client, emulator: Any, **changed: str) -> httpx.Response:
    browser.cookies.clear()
    hidden = form_of(browser.get("/login").text)
    answer = browser.post("/login", data={**hidden, **emulator.service.sign_in, "remember": "y", **changed})
    # By hand: the client's jar goes by the real clock, and the emulator's stands elsewhere.
    browser.cookies.clear()
    for line in answer.headers.get_list("set-cookie"):
        name, _, value = line.partition(";")[0].partition("=")
        browser.cookies.set(name, value)
    return answer


def test_the_credentials_are_the_public_profiles_and_survive_a_restart(start: Any) -> None:
    first, second = start("generac"), start("generac")
    assert list(first.credentials) == ["profile_ids", "epoch_base"]
    assert first.credentials == second.credentials
    assert first.service.sign_in == second.service.sign_in
    assert (first.vendor, first.method, first.plan) == ("generac", "public_profile", "dashboard")
    assert all(re.fullmatch(r"\d{7,10}", number) for number in first.credentials["profile_ids"].split(","))


def test_the_front_page_gives_anybody_a_session(browser: Any) -> None:
    answer = browser.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, HTML_TYPE)
    assert re.fullmatch(r"session=\w{40}; HttpOnly; Path=/", answer.headers["set-cookie"])
    assert "set-cookie" not in browser.get("/").headers, "it is kept"


def test_the_form_is_the_one_of_the_page(browser: Any) -> None:
    page = browser.get("/login").text
    token = form_of(page)["csrf_token"]
    assert (
        f'<form action="/login" method="POST"><input type="hidden" name="csrf_token" value="{token}">'
        '<input name="email" type="text"><input name="password" type="password">'
        '<input name="remember" type="checkbox" value="y"><button type="submit">Sign in</button></form>'
    ) in page


def test_a_good_login_sets_both_cookies_and_leads_to_the_dashboard(browser: Any, emulator: Any, number: str) -> None:
    answer = sign_in(browser, emulator)
    assert (answer.status_code, answer.headers["location"]) == (302, "/dashboard")
    session, remember = answer.headers.get_list("set-cookie")
    assert re.fullmatch(r"session=\w+; HttpOnly; Path=/", session)
    assert re.fullmatch(r"remember_token=\w+; Expires=\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT; HttpOnly; Path=/", remember)
    page = browser.get("/dashboard")
    assert page.status_code == 200
    assert f'<a href="/users/{number}">' in page.text
    assert f'<script>var profile="/{number}.json";</script>' in page.text
    assert re.findall(r"/users/(\d+)", page.text) == emulator.credentials["profile_ids"].split(",")


def test_the_dashboard_of_one_home_has_its_name(start: Any) -> None:
    emulator = start("generac", world=World(seed=1, sites=1, panels=3))
    with httpx.Client(base_url=emulator.base_url, trust_env=False, timeout=60) as browser:
        sign_in(browser, emulator)
        assert re.search(r"<title>[\w' ]+ - Dashboard</title>", browser.get("/dashboard").text)


@pytest.mark.parametrize("changed", [{"password": "wrong"}, {"email": "nobody@sungaze.example"}])
def test_a_failed_login_is_200_with_the_form_again_and_words(browser: Any, emulator: Any, changed: Any) -> None:
    answer = sign_in(browser, emulator, **changed)
    assert answer.status_code == 200
    assert "wrong" in answer.text
    assert form_of(answer.text)["csrf_token"]
    assert browser.get("/dashboard").status_code == 302


@pytest.mark.parametrize("token", ["", "EXAMPLE"])
def test_a_wrong_token_is_400_html(browser: Any, emulator: Any, token: str) -> None:
    answer = sign_in(browser, emulator, csrf_token=token)
    assert (answer.status_code, answer.headers["content-type"]) == (400, HTML_TYPE)


def test_the_token_belongs_to_its_session(browser: Any, emulator: Any) -> None:
    with httpx.Client(base_url=emulator.base_url, trust_env=False, timeout=60) as other:
        token = form_of(other.get("/login").text)["csrf_token"]
    assert sign_in(browser, emulator, csrf_token=token).status_code == 400


def test_a_public_profile_answers_without_cookies(browser: Any, number: str) -> None:
    answer = browser.get(f"/{number}.json", params={"_": "1780337100000"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON_TYPE)
    page = browser.get(f"/users/{number}")
    assert page.headers["content-type"] == HTML_TYPE
    assert f"/{number}.json" in page.text
    assert page.text.count("<title>") == 1


def test_a_private_profile_needs_both_cookies(browser: Any, emulator: Any, number: str) -> None:
    emulator.faults["private"] = 1.0
    device = emulator.service.views()[0].things[1].rcpn
    for path in (f"/{number}.json", f"/power/{device}/now/all.json", f"/users/{number}"):
        refused = browser.get(path)
        assert (refused.status_code, refused.headers["content-type"]) == (302, HTML_TYPE)
        assert refused.headers["location"].startswith("/login?next=%2F")
    assert browser.get(f"/{number}.json").headers["location"] == f"/login?next=%2F{number}.json"
    sign_in(browser, emulator)
    cookies = dict(browser.cookies)
    assert browser.get(f"/{number}.json").status_code == 200
    for name in ("session", "remember_token"):
        browser.cookies.clear()
        browser.cookies.set(name, cookies[name])
        assert browser.get(f"/{number}.json").status_code == 302, f"{name} alone is not enough"


def test_one_profile_may_be_private_beside_public_ones(browser: Any, emulator: Any) -> None:
    first, second, *_ = emulator.credentials["profile_ids"].split(",")
    emulator.service.private_profiles.add(int(second))
    assert browser.get(f"/{first}.json").status_code == 200
    assert browser.get(f"/{second}.json").status_code == 302


def test_a_pasted_remember_token_is_enough_with_a_new_session(browser: Any, emulator: Any) -> None:
    sign_in(browser, emulator)
    token = browser.cookies["remember_token"]
    browser.cookies.clear()
    browser.cookies.set("remember_token", token)
    assert browser.get("/dashboard").status_code == 302
    assert "session=" in browser.get("/").headers["set-cookie"]
    assert browser.get("/dashboard").status_code == 200


@pytest.mark.parametrize(("after_s", "status"), [(12 * 3600 - 60, 200), (12 * 3600, 302), (31 * 86_400, 302)])
def test_cookies_die(browser: Any, emulator: Any, clock: Any, after_s: int, status: int) -> None:
    sign_in(browser, emulator)
    clock.now += after_s
    assert browser.get("/dashboard").status_code == status


def test_logging_out_ends_both(browser: Any, emulator: Any) -> None:
    sign_in(browser, emulator)
    kept = dict(browser.cookies)
    assert browser.get("/logout").headers["location"] == "/"
    for name, value in kept.items():
        browser.cookies.set(name, value)
    assert browser.get("/dashboard").status_code == 302


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [("expired_302", 302, HTML_TYPE), ("expired_page", 200, HTML_TYPE), ("expired_401", 401, HTML_TYPE)],
)
def test_the_end_of_a_session_shows_in_three_ways_and_a_new_login_helps(
    browser: Any, emulator: Any, number: str, fault: str, status: int, kind: str
) -> None:
    emulator.faults["private"] = 1.0
    sign_in(browser, emulator)
    emulator.faults[fault] = 1.0
    answer = browser.get(f"/{number}.json")
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    assert ('type="password"' in answer.text) == (fault == "expired_page")
    del emulator.faults[fault]
    assert browser.get(f"/{number}.json").status_code == 302, "it is over for good"
    sign_in(browser, emulator)
    assert browser.get(f"/{number}.json").status_code == 200


def test_the_form_can_have_other_names(browser: Any, emulator: Any) -> None:
    emulator.faults["form_names"] = 1.0
    page = browser.get("/login").text
    assert 'action="/session/new"' in page
    known = emulator.service.sign_in
    filled = {"user_mail": known["email"], "user_pass": known["password"], "_token": form_of(page)["_token"]}
    assert browser.post("/session/new", data=filled).headers["location"] == "/dashboard"


def test_the_right_password_can_be_refused(browser: Any, emulator: Any) -> None:
    emulator.faults["wrong_password"] = 1.0
    assert sign_in(browser, emulator).status_code == 200


def test_who_asks_too_often_is_blocked_for_hours(browser: Any, emulator: Any, clock: Any, number: str) -> None:
    emulator.service.block_after, emulator.service.block_hours = 5, 6
    seen = [browser.get(f"/{number}.json").status_code for _ in range(7)]
    assert seen == [200] * 5 + [403] * 2
    page = browser.get("/login")
    assert page.status_code == 403
    assert "Access denied" in page.text
    clock.now += 6 * 3600 - 1
    assert browser.get(f"/{number}.json").status_code == 403
    clock.now += 1
    assert browser.get(f"/{number}.json").status_code == 200


def test_a_block_within_the_hours_limit_needs_an_hour_of_requests(browser: Any, emulator: Any, clock: Any) -> None:
    emulator.service.block_after = 5
    for _ in range(20):
        clock.now += 900
        assert browser.get("/").status_code == 200


def test_a_block_strikes_on_request(browser: Any, emulator: Any, number: str) -> None:
    emulator.faults["denied"] = 1.0
    assert browser.get(f"/{number}.json").status_code == 403
    del emulator.faults["denied"]
    assert browser.get(f"/{number}.json").status_code == 403


def test_a_redirect_can_lead_off_the_host(browser: Any, emulator: Any, number: str) -> None:
    emulator.faults["offsite"] = 1.0
    assert browser.get(f"/{number}.json").headers["location"].startswith("https://sign-in.")


@pytest.mark.parametrize(("fault", "statuses"), [("html", {200, 503}), ("429", {429}), ("500", {500})])
def test_common_refusals_are_pages(browser: Any, emulator: Any, number: str, fault: str, statuses: set[int]) -> None:
    emulator.faults[fault] = 1.0
    answers = [browser.get(f"/{number}.json") for _ in range(2)]
    assert {answer.status_code for answer in answers} == statuses
    assert all(answer.headers["content-type"] == HTML_TYPE for answer in answers)


@pytest.mark.parametrize("path", ["/1234567.json", "/users/1234567", "/power/0001000712AB/now/all.json", "/nothing"])
def test_what_is_unknown_is_a_404_page(browser: Any, path: str) -> None:
    answer = browser.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, HTML_TYPE)


def test_data_can_only_be_read(browser: Any, number: str) -> None:
    assert browser.post(f"/{number}.json").status_code == 405
