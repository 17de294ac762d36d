"""A gateway's push by HTTP into the running program, as its sender does it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import httpx

from sungaze.emulators import World, serve
from sungaze.emulators.cps import Cps

if TYPE_CHECKING:
    from conftest import Fleet

SECRET = "an-invented-secret-of-the-gateway"


def connected(fleet: Fleet) -> int:
    wish = {"vendor": "cps", "method": "push", "plan": "local", "credentials": {"secret": SECRET}}
    answer = fleet.client.post("/api/accounts", json=wish)
    assert answer.status_code == 201, answer.text
    assert answer.json()["push_path"] == f"/push/cps/{answer.json()['id']}"
    account_id: int = answer.json()["id"]
    return account_id


def test_a_gateway_pushes_and_its_site_is_there_with_its_age(empty: Fleet) -> None:
    account_id = connected(empty)
    now = empty.now
    with serve("cps", World(seed=1, sites=1, panels=20), now=now) as emulator:
        service = emulator.service
        assert isinstance(service, Cps)
        sender = service.start_push(f"{empty.runtime.address}/push/cps/{account_id}", SECRET, running=False)
        sender.send_interval(int(now()) // 300 * 300)
        assert [attempt.status for attempt in sender.attempts] == [200]
    (site,) = empty.client.get("/api/sites").json()["items"]
    assert site["vendor"] == "cps"
    assert site["freshness"] == "fresh"
    assert site["next_look_at"] is None
    deadline = time.monotonic() + 10
    while not (account := empty.client.get("/api/accounts").json()["items"][0])["listening_since"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert account["way"] == "push"
    assert account["last_fetch_at"] is not None


def test_what_is_too_large_strange_or_unsigned_is_answered_as_the_page_says(empty: Fleet) -> None:
    account_id = connected(empty)
    with httpx.Client(base_url=empty.runtime.address, timeout=30, trust_env=False) as client:
        path = f"/push/cps/{account_id}"
        bearer = {"Authorization": f"Bearer {SECRET}"}
        assert client.post(path, content=b"{}").status_code == 401
        assert client.post(path, content=b"{}", headers=bearer | {"Host": "a-name-of-mine.example"}).status_code == 422
        assert client.post(path, content=b"not json", headers=bearer).status_code == 400
        assert client.post(path, content=b" " * (300 * 1024), headers=bearer).status_code == 413
        assert client.post("/push/cps/999", content=b"{}", headers=bearer).status_code == 404
        assert client.get(path, headers=bearer).status_code == 405
        for answer in (client.post(path, content=b"{}"), client.post(path, content=b"not json", headers=bearer)):
            assert SECRET not in answer.text
    assert empty.client.get("/api/accounts").json()["items"][0]["refused"] >= 2
