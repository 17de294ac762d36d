"""What is remembered between looks: settings, since when changes are told, accounts at rest, kept history."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Fleet


def connected(fleet: Fleet) -> dict[str, Any]:
    """An account whose sites have devices and figures."""
    account: dict[str, Any] = fleet.client.post("/api/accounts", json=fleet.wish("enphase")).json()
    deadline = time.monotonic() + 60
    while True:
        sites = fleet.client.get("/api/sites").json()["items"]
        if len(sites) == 4 and all(site["measured_at"] for site in sites):
            return account
        assert time.monotonic() < deadline, sites
        time.sleep(0.1)


def test_an_account_that_rests_is_asked_nothing_and_says_so(empty: Fleet) -> None:
    account = connected(empty)
    path = f"/api/accounts/{account['id']}"
    resting = empty.client.patch(path, json={"paused": True, "label": " South "}).json()
    assert resting["paused_at"] is not None
    assert resting["label"] == "South"
    assert resting["backfill"]["state"] in {"resting", "done"}
    refused = empty.client.post(f"{path}/refresh")
    assert refused.status_code == 400
    assert "paused" in refused.json()["detail"]
    deadline = time.monotonic() + 10
    while empty.runtime.context.store.work.in_flight([account["id"]], empty.now()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    before = len(empty.emulators["enphase"].requests)
    time.sleep(1.0)  # 20 s of its clock, in which the history that is owed would be asked for
    assert len(empty.emulators["enphase"].requests) == before
    site = empty.client.get("/api/sites").json()["items"][0]
    assert site["next_look_at"] is None
    going = empty.client.patch(path, json={"paused": False}).json()
    assert going["paused_at"] is None
    assert empty.client.post(f"{path}/refresh").status_code == 202


def test_history_goes_only_by_its_name_and_only_when_no_account_reaches_it(empty: Fleet) -> None:
    account = connected(empty)
    site = empty.client.get("/api/sites").json()["items"][0]
    path = f"/api/archive/{site['id']}"

    def delete(name: str) -> Any:
        return empty.client.request("DELETE", path, json={"name": name})

    assert empty.client.get("/api/archive").json()["items"] == []
    assert "disconnect the account first" in delete(site["name"]).json()["detail"]
    empty.client.delete(f"/api/accounts/{account['id']}")
    kept = {one["id"]: one for one in empty.client.get("/api/archive").json()["items"]}
    assert len(kept) == 4
    assert kept[site["id"]]["samples"] > 100
    assert kept[site["id"]]["first"] < kept[site["id"]]["last"]
    assert delete("another").status_code == 400
    assert delete(site["name"]).json()["samples"] >= kept[site["id"]]["samples"]
    assert {one["id"] for one in empty.client.get("/api/archive").json()["items"]} == kept.keys() - {site["id"]}
    assert empty.client.get(f"/api/sites/{site['id']}").status_code == 404
    left = empty.runtime.context.store.database
    for table in ("series", "device", "alert", "gap", "watermark", "quarantine", "account_site"):
        assert left.scalar(f"SELECT count(*) FROM {table} WHERE site_id = ?", (site["id"],)) == 0
    assert left.scalar("SELECT count(*) FROM sample WHERE series_id NOT IN (SELECT id FROM series)") == 0


def test_settings_are_remembered_and_a_wrong_one_changes_nothing(empty: Fleet) -> None:
    assert empty.client.get("/api/settings").json()["time"] == "site"
    changed = empty.client.patch("/api/settings", json={"time": "utc", "columns": ["power", "loss"]}).json()
    assert (changed["time"], changed["columns"]) == ("utc", ["power", "loss"])
    for wrong in ({"time": "moon"}, {"columns": ["everything"]}, {"unknown": 1}):
        assert empty.client.patch("/api/settings", json=wrong).status_code == 400
    assert empty.client.get("/api/settings").json() == changed
    about = empty.client.get("/api/about").json()
    assert about["database_bytes"] > 0
    assert about["data_folder"]


def test_changes_are_told_since_the_visit_before(empty: Fleet) -> None:
    def look(**given: bool) -> dict[str, Any]:
        found: dict[str, Any] = empty.client.post("/api/fleet/looked", json=given).json()
        return found

    first = look()
    assert (first["items"], first["sites_added"]) == ([], 0)
    while empty.now() < first["since"] + 1:  # what comes in the very second of a look counts as seen
        time.sleep(0.02)
    connected(empty)
    later = look()
    assert later["since"] == first["since"]
    assert later["sites_added"] == 4
    assert {one["kind"] for one in later["items"]} >= {"added"}
    assert all(one["at"] > later["since"] for one in later["items"])
    assert look(seen=True)["items"] == []
    store = empty.runtime.context.store
    # Somebody who was away for long hears of what came since they left, not since they came back.
    from sungaze.api.fleet import Looked

    store.memory.put("looked", Looked(empty.now() - 7_200, empty.now() - 90_000))
    assert look()["since"] == pytest.approx(empty.now() - 7_200, abs=60)
    assert look()["since"] == pytest.approx(empty.now() - 7_200, abs=80)


def test_a_day_of_every_site_is_one_answer(fleet: Fleet) -> None:
    sites = fleet.client.get("/api/sites").json()["items"]
    ids = ",".join(str(site["id"]) for site in sites)
    found = fleet.client.get("/api/fleet/sparklines", params={"ids": ids}).json()
    assert {one["site_id"] for one in found["items"]} == {site["id"] for site in sites}
    for one in found["items"]:
        assert len(one["values"]) == 48
        assert any(value is not None and value > 0 for value in one["values"])
    for wrong in ("1,x", "1;2", "-3", ",".join(["1"] * 201)):
        assert fleet.client.get("/api/fleet/sparklines", params={"ids": wrong}).status_code == 400
    assert (
        fleet.client.get("/api/fleet/sparklines", params={"ids": "999999"}).json()["items"][0]["values"] == [None] * 48
    )
    assert fleet.client.get("/api/fleet/sparklines", params={"ids": ""}).json()["items"] == []


def test_a_customer_is_found_by_phone_and_a_device_by_its_serial(fleet: Fleet) -> None:
    site = fleet.site("enphase", "Europe/Berlin")
    place = f"/api/places/{site['place']['id']}"
    sheet = {"customer": "Ada Łukasiewicz", "phone": "+49 (30) 1234-567"}
    fleet.client.patch(place, json=sheet)

    def names(q: str, kind: str = "site") -> list[str]:
        items = fleet.client.get("/api/search", params={"q": q}).json()["items"]
        return [one["name"] for one in items if one["kind"] == kind]

    try:
        for words in (
            "łukas",
            "030 1234",
            "1234567",
            "+49 30 1234567",
            "ada berlin" if "Berlin" in site["address"] else "ada",
        ):
            assert names(words) == [site["name"]], words
    finally:
        fleet.client.patch(place, json={"customer": None, "phone": None})
    assert names("łukas") == []
    devices = fleet.client.get(f"/api/sites/{site['id']}/devices").json()["items"]
    serial = next(d["serial_number"] for d in devices if d["serial_number"])
    assert serial in names(serial, "device")
    assert names("%", "device") == []
    assert fleet.client.get("/api/search", params={"q": "  "}).json() == {"items": [], "total": 0}


def test_tags_are_kept_once_each_and_found(fleet: Fleet) -> None:
    site = fleet.site("solaredge", "Europe/Berlin")
    path = f"/api/sites/{site['id']}"
    try:
        tagged = fleet.client.patch(path, json={"tags": [" school  roof ", "school roof", "VIP", ""]}).json()
        assert tagged["tags"] == ["school roof", "VIP"]
        found = fleet.client.get("/api/sites", params={"q": "school"}).json()["items"]
        assert [one["id"] for one in found] == [site["id"]]
        assert fleet.client.patch(path, json={"tags": ["x" * 41]}).status_code == 400
    finally:
        assert fleet.client.patch(path, json={"tags": None}).json()["tags"] == []


def test_an_export_is_written_beside_everything_else_and_downloaded(fleet: Fleet) -> None:
    site = fleet.site("enphase", "Europe/Berlin")
    begun = fleet.client.post("/api/exports", json={"site": site["id"], "from": "2026-05-30"}).json()
    deadline = time.monotonic() + 20
    while True:
        (one,) = [e for e in fleet.client.get("/api/exports").json()["items"] if e["name"] == begun["name"]]
        if one["state"] == "done":
            break
        assert time.monotonic() < deadline, one
        time.sleep(0.05)
    answer = fleet.client.get(f"/api/exports/{begun['name']}/file")
    assert "attachment" in answer.headers["content-disposition"]
    lines = answer.text.splitlines()
    assert lines[0].startswith("vendor,vendor_site_id")
    assert len(lines) - 1 == one["done"] == one["total"] > 0
    assert all(line.startswith(f"enphase,{site['vendor_site_id']},") for line in lines[1:])
    assert fleet.client.delete(f"/api/exports/{begun['name']}").status_code == 204
    assert fleet.client.get(f"/api/exports/{begun['name']}/file").status_code == 404
    for wrong in ({"site": 10**9}, {"from": "someday"}, {"from": "2026-06-02", "to": "2026-06-01"}):
        assert fleet.client.post("/api/exports", json=wrong).status_code in {400, 404}
    assert fleet.client.get("/api/exports/..%2Fsungaze.db/file").status_code == 404
