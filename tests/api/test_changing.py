"""What a user changes: accounts, what is known better of a site; and that an open page hears of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from conftest import Fleet


def events_of(fleet: Fleet, seen: list[tuple[str, dict[str, list[int]]]], ready: threading.Event) -> None:
    """Listen until the stream ends."""
    name = ""
    try:
        with fleet.client.stream("GET", "/api/events") as stream:
            for line in stream.iter_lines():
                if line.startswith("event:"):
                    name = line[6:].strip()
                    ready.set()
                elif line.startswith("data:"):
                    seen.append((name, json.loads(line[5:])))
    except httpx.HTTPError:
        pass


@pytest.fixture
def listening(empty: Fleet) -> Iterator[list[tuple[str, dict[str, list[int]]]]]:
    seen: list[tuple[str, dict[str, list[int]]]] = []
    ready = threading.Event()
    thread = threading.Thread(target=events_of, args=(empty, seen, ready))
    thread.start()
    assert ready.wait(10)
    yield seen
    empty.runtime.stop()
    thread.join(10)
    assert not thread.is_alive(), "an open stream outlived the program"


def heard(seen: list[tuple[str, dict[str, list[int]]]], name: str) -> None:
    deadline = time.monotonic() + 30
    while not any(event == name for event, _ in seen):
        assert time.monotonic() < deadline, f"no event {name}: {seen}"
        time.sleep(0.02)


def test_connecting_shows_sites_and_tells_open_pages_ids_only(
    empty: Fleet, listening: list[tuple[str, dict[str, list[int]]]]
) -> None:
    answer = empty.client.post("/api/accounts", json=empty.wish("enphase"))
    assert answer.status_code == 201
    assert (answer.json()["vendor"], answer.json()["state"]) == ("enphase", "connected")
    heard(listening, "accounts")
    heard(listening, "sites")
    assert all(set(data) <= {"ids"} for _, data in listening)
    for secret in empty.emulators["enphase"].credentials.values():
        assert secret not in answer.text


def test_a_probe_tells_what_is_seen_and_saves_nothing(empty: Fleet) -> None:
    answer = empty.client.post("/api/accounts/probe", json=empty.wish("enphase"))
    assert answer.status_code == 200
    found = answer.json()
    assert (found["total"], len(found["sites"]), found["panels"]) == (4, 4, True)
    assert empty.client.get("/api/accounts").json() == {"items": []}


def test_what_the_user_sets_wins_until_it_is_taken_back(empty: Fleet) -> None:
    empty.client.post("/api/accounts", json=empty.wish("enphase"))
    deadline = time.monotonic() + 30
    while not (items := empty.client.get("/api/sites").json()["items"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    path = f"/api/sites/{items[0]['id']}"
    before = empty.client.get(path).json()
    wish = {
        "alias": "  Our barn ", "timezone": "Europe/Paris", "peak_power_kw": 5.5, "latitude": 48.8, "longitude": 2.3,
        "tilt": 30, "azimuth": 180,
    }  # fmt: skip
    changed = empty.client.patch(path, json=wish)
    assert changed.status_code == 200
    after = changed.json()
    assert (after["name"], after["timezone"], after["peak_power_kw"]) == ("Our barn", "Europe/Paris", 5.5)
    assert after["position_source"] == "user"
    assert set(after["user_set"]) == set(wish)
    assert empty.client.get("/api/sites", params={"q": "our barn"}).json()["total"] == 1
    back = empty.client.patch(path, json=dict.fromkeys(wish)).json()
    assert back["user_set"] == []
    assert (back["name"], back["timezone"]) == (before["name"], before["timezone"])


def test_disconnecting_forgets_the_credentials_and_keeps_the_history(empty: Fleet) -> None:
    account = empty.client.post("/api/accounts", json=empty.wish("solaredge")).json()["id"]
    deadline = time.monotonic() + 60
    while not (items := empty.client.get("/api/sites").json()["items"]) or items[0]["measured_at"] is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    site = items[0]["id"]
    assert empty.client.post(f"/api/accounts/{account}/refresh").status_code == 202
    assert empty.client.delete(f"/api/accounts/{account}").status_code == 204
    assert empty.client.get("/api/accounts").json() == {"items": []}
    assert empty.client.get("/api/sites").json()["total"] == 0
    kept = empty.client.get(f"/api/sites/{site}").json()
    assert kept["archived"] is True
    assert empty.client.get(f"/api/sites/{site}/series", params={"metric": "ac_power_w"}).status_code == 200
    assert empty.emulators["solaredge"].credentials["api_key"] not in empty.runtime.settings.secrets.read_text()
    assert empty.client.delete(f"/api/accounts/{account}").status_code == 404
    assert empty.client.post(f"/api/accounts/{account}/refresh").status_code == 404


def test_alarms_are_listed_acknowledged_and_told_to_open_pages(
    empty: Fleet, listening: list[tuple[str, dict[str, list[int]]]]
) -> None:
    empty.client.post("/api/accounts", json=empty.wish("enphase"))
    deadline = time.monotonic() + 60
    while not (items := empty.client.get("/api/alerts", params={"status": "open"}).json()["items"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    worst = items[0]
    assert worst["site_name"]
    assert worst["source"] == "vendor"
    site = empty.client.get(f"/api/sites/{worst['site_id']}").json()
    assert site["alerts"] >= 1
    assert site["needs_you"] is True
    seen = empty.client.post(f"/api/alerts/{worst['id']}/acknowledge")
    assert seen.json()["status"] == "acknowledged"
    of_site = empty.client.get("/api/alerts", params={"site": worst["site_id"]}).json()
    assert worst["id"] in [item["id"] for item in of_site["items"]]
    assert empty.client.get("/api/alerts", params={"status": "loud"}).status_code == 400
    assert empty.client.post("/api/alerts/999999/acknowledge").status_code == 404
    heard(listening, "sites")
