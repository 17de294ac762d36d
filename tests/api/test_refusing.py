"""Who may ask, and what cannot be asked: 4xx with a sentence, never a 500."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from conftest import Fleet

PATHS = ("/api/sites", "/api/sites/1", "/api/fleet", "/api/accounts", "/api/events", "/api/vendors", "/api/schema")
SITE = "/api/sites/1"


def is_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]


def stranger(fleet: Fleet, **headers: str) -> httpx.Client:
    return httpx.Client(base_url=fleet.runtime.address, headers=headers, timeout=30, trust_env=False)


@pytest.mark.parametrize("path", PATHS)
def test_without_a_session_nothing_is_told(fleet: Fleet, path: str) -> None:
    with stranger(fleet) as client:
        is_problem(client.get(path), 401)
    with stranger(fleet, Authorization="Bearer wrong-token-of-some-length") as client:
        is_problem(client.get(path), 401)


def test_health_is_open_and_tells_nothing_of_the_data(fleet: Fleet) -> None:
    with stranger(fleet) as client:
        answer = client.get("/api/health")
    assert answer.status_code == 200
    assert set(answer.json()) == {"status", "version", "demo", "session"}


def test_a_launch_link_opens_one_session_and_only_once(fleet: Fleet) -> None:
    key = urlsplit(fleet.runtime.link()).fragment.removeprefix("key=")
    with stranger(fleet) as client:
        opened = client.post("/api/session", json={"key": key})
        assert opened.status_code == 200
        cookie = opened.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert client.get("/api/sites").status_code == 200
        assert client.get("/api/health").json()["session"] is True
    with stranger(fleet) as client:
        is_problem(client.post("/api/session", json={"key": key}), 403)
        is_problem(client.get("/api/sites"), 401)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "", "[::1"])
def test_another_host_name_is_refused(fleet: Fleet, host: str) -> None:
    port = urlsplit(fleet.runtime.address).port
    with stranger(fleet, Host=host.format(port=port)) as client:
        answer = client.get("/api/health")
    assert answer.status_code == 400


def test_a_request_from_another_page_is_refused_even_with_the_cookie(fleet: Fleet) -> None:
    key = urlsplit(fleet.runtime.link()).fragment.removeprefix("key=")
    with stranger(fleet) as client:
        client.post("/api/session", json={"key": key})
        is_problem(client.post("/api/accounts/1/refresh", headers={"Origin": "http://evil.example"}), 403)
        is_problem(client.get("/api/sites", headers={"Origin": "null"}), 403)
        assert client.get("/api/sites", headers={"Origin": fleet.runtime.address}).status_code == 200


@pytest.mark.in_process
def test_the_window_s_own_session_alone_may_evaluate_scripts(fleet: Fleet) -> None:
    policies = []
    for window in (False, True):
        key = urlsplit(fleet.runtime.link(window=window)).fragment.removeprefix("key=")
        with stranger(fleet) as client:
            assert client.post("/api/session", json={"key": key}).json() == {"reload": window}
            policies.append(client.get("/").headers["content-security-policy"])
    assert "'unsafe-eval'" not in policies[0]
    assert "'unsafe-eval'" in policies[1]
    assert all("default-src 'self'" in policy and "unsafe-inline" not in policy for policy in policies)


@pytest.mark.parametrize(
    "path", ["/../pyproject.toml", "/%2e%2e/pyproject.toml", "/..%2f..%2fREADME.md", "//etc/passwd"]
)
def test_no_file_outside_the_pages_is_handed_out(fleet: Fleet, path: str) -> None:
    address = urlsplit(fleet.runtime.address)
    with socket.create_connection((address.hostname or "", address.port or 0), 10) as plain:
        plain.sendall(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: plain.recv(65_536), b""))
    assert b"build-system" not in answer
    assert b"root:" not in answer
    assert int(answer.split(b" ", 2)[1]) < 500


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/nothing", 404),
        ("/api/sites/999999", 404),
        ("/api/sites/abc", 404),
        ("/api/sites/-1", 400),
        (f"/api/sites/{10**30}", 400),
        ("/api/sites/999999/devices", 404),
        ("/api/sites/999999/layout", 404),
        ("/api/sites/999999/series?metric=ac_power_w", 404),
        ("/api/sites?limit=0", 400),
        ("/api/sites?limit=1001", 400),
        ("/api/sites?limit=ten", 400),
        ("/api/sites?offset=-1", 400),
        ("/api/sites?sort=colour", 400),
        (f"/api/sites?q={'x' * 300}", 400),
        (f"{SITE}/series", 400),
        (f"{SITE}/series?metric=nonsense", 400),
        (f"{SITE}/series?metric=ac_power_w&from=yesterday", 400),
        (f"{SITE}/series?metric=ac_power_w&from=2026-02-30", 400),
        (f"{SITE}/series?metric=ac_power_w&from=2026-06-02&to=2026-06-01", 400),
        (f"{SITE}/series?metric=ac_power_w&from=1990-01-02&to=2190-01-01", 400),
        (f"{SITE}/series?metric=ac_power_w&from=99999999999999999999", 400),
        (f"{SITE}/series?metric=ac_power_w&resolution=2h", 400),
        (f"{SITE}/series?metric=ac_power_w&interval_s=-5", 400),
        (f"{SITE}/series?metric=ac_power_w&device=987654", 404),
        (f"{SITE}/layout?columns=0", 400),
        (f"{SITE}/layout?columns=9999", 400),
        (f"{SITE}/layout?metric=nonsense", 400),
        (f"{SITE}/layout?type=spaceship", 400),
        (f"{SITE}/layout?at=soon", 400),
    ],
)
def test_what_cannot_be_asked_is_a_problem_in_words(fleet: Fleet, path: str, status: int) -> None:
    is_problem(fleet.client.get(path), status)


@pytest.mark.parametrize(
    "body",
    [
        {"tilt": 91}, {"azimuth": -1}, {"latitude": 200}, {"peak_power_kw": 0}, {"peak_power_kw": "many"},
        {"timezone": "Mars/Olympus"}, {"timezone": "../../etc/passwd"}, {"unknown": 1}, [], "text", {"alias": 5},
    ],
)  # fmt: skip
def test_a_wrong_wish_about_a_site_changes_nothing(fleet: Fleet, body: object) -> None:
    before = fleet.client.get(SITE).json()
    is_problem(fleet.client.patch(SITE, json=body), 400)
    after = fleet.client.get(SITE).json()
    assert {name: after[name] for name in ("alias", "tilt", "user_set", "timezone", "peak_power_kw")} == {
        name: before[name] for name in ("alias", "tilt", "user_set", "timezone", "peak_power_kw")
    }


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"null", b"[" * 2_000, b'{"key": 1e999}'])
def test_a_body_that_is_no_json_is_a_problem(fleet: Fleet, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for method, path in (("POST", "/api/session"), ("POST", "/api/accounts/probe"), ("PATCH", SITE)):
        answer = fleet.client.request(method, path, content=content, headers=headers)
        assert 400 <= answer.status_code < 500, (path, answer.text)
        assert answer.headers["content-type"].startswith("application/problem+json")


def test_a_wrong_method_is_a_problem(fleet: Fleet) -> None:
    is_problem(fleet.client.put("/api/sites"), 405)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    path=st.sampled_from(["/api/sites", "/api/fleet", SITE, f"{SITE}/series", f"{SITE}/layout", f"{SITE}/devices"]),
    names=st.lists(
        st.sampled_from(
            ["limit", "offset", "sort", "q", "metric", "from", "to", "device", "interval_s", "resolution", "at", "type"]
        ),
        max_size=5,
    ),
    values=st.lists(
        st.one_of(st.text(max_size=20), st.integers().map(str), st.floats().map(str)), min_size=5, max_size=5
    ),
)
def test_no_question_whatever_makes_it_stumble(fleet: Fleet, path: str, names: list[str], values: list[str]) -> None:
    pairs = zip(names, values, strict=False)
    query = "&".join(f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}" for name, value in pairs)
    answer = fleet.client.get(f"{path}?{query}")
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        is_problem(answer, answer.status_code)


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_a_wrong_key_is_told_in_words_and_nothing_is_stored(empty: Fleet, vendor: str) -> None:
    wish = empty.wish(vendor)
    wish["credentials"] = wish["credentials"] | {"api_key": "a-wrong-key"}
    for path in ("/api/accounts/probe", "/api/accounts"):
        answer = empty.client.post(path, json=wish)
        is_problem(answer, 422)
        assert "a-wrong-key" not in answer.text
    assert empty.client.get("/api/accounts").json() == {"items": []}
    assert empty.client.get("/api/sites").json() == {"items": [], "total": 0}
    assert not Path(empty.runtime.settings.secrets).exists()
