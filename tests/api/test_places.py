"""One roof, two vendors: places are merged, split and written on by the user, and totals count a roof once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Fleet


@pytest.fixture
def roofs(empty: Fleet) -> Fleet:
    """Both vendors' sites, eight places, each with its peak known."""
    for vendor in empty.emulators:
        assert empty.client.post("/api/accounts", json=empty.wish(vendor)).status_code == 201
    deadline = time.monotonic() + 60
    while sum(item["peak_power_kw"] is not None for item in empty.client.get("/api/sites").json()["items"]) < 8:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return empty


def sites_of(fleet: Fleet, vendor: str) -> list[dict[str, Any]]:
    items = fleet.client.get("/api/sites", params={"sort": "id"}).json()["items"]
    return [item for item in items if item["vendor"] == vendor]


def places(fleet: Fleet) -> dict[int, dict[str, Any]]:
    return {place["id"]: place for place in fleet.client.get("/api/places").json()["items"]}


def test_merging_makes_two_views_one_roof_and_splitting_takes_them_apart(roofs: Fleet) -> None:
    ours, theirs = sites_of(roofs, "enphase")[0], sites_of(roofs, "solaredge")[0]
    assert len(places(roofs)) == roofs.client.get("/api/fleet").json()["places_total"] == 8
    whole = roofs.client.get("/api/fleet").json()["kwp_total"]
    merged = roofs.client.post(f"/api/places/{ours['place']['id']}/merge", json={"place": theirs["place"]["id"]})
    assert merged.status_code == 200
    assert [(site["id"], site["role"]) for site in merged.json()["sites"]] == sorted(
        [(ours["id"], "generation"), (theirs["id"], "same_generation")]
    )
    assert len(places(roofs)) == roofs.client.get("/api/fleet").json()["places_total"] == 7
    assert roofs.client.get("/api/fleet").json()["kwp_total"] == pytest.approx(whole - (theirs["peak_power_kw"] or 0))
    apart = roofs.client.patch(f"/api/sites/{theirs['id']}", json={"place": None})
    assert apart.status_code == 200
    assert apart.json()["place"]["role"] == "generation"
    assert apart.json()["place"]["id"] != ours["place"]["id"]
    assert roofs.client.get("/api/fleet").json()["kwp_total"] == pytest.approx(whole)


def test_a_second_array_adds_up(roofs: Fleet) -> None:
    ours, theirs = sites_of(roofs, "enphase")[0], sites_of(roofs, "solaredge")[0]
    whole = roofs.client.get("/api/fleet").json()["kwp_total"]
    moved = roofs.client.patch(f"/api/sites/{theirs['id']}", json={"place": ours["place"]["id"], "role": "additional"})
    assert moved.json()["place"] == {"id": ours["place"]["id"], "name": ours["place"]["name"], "role": "additional"}
    fleet = roofs.client.get("/api/fleet").json()
    assert (fleet["places_total"], fleet["kwp_total"]) == (7, pytest.approx(whole))


def test_the_sheet_is_the_users_and_survives_a_merge(roofs: Fleet) -> None:
    ours, theirs = sites_of(roofs, "enphase")[0]["place"]["id"], sites_of(roofs, "solaredge")[0]["place"]["id"]
    wish = {"customer": " A. Person ", "phone": "0100", "notes": "ladder in the barn"}
    written = roofs.client.patch(f"/api/places/{theirs}", json=wish)
    assert (written.json()["customer"], written.json()["phone"]) == ("A. Person", "0100")
    merged = roofs.client.post(f"/api/places/{ours}/merge", json={"place": theirs}).json()
    assert (merged["customer"], merged["notes"]) == ("A. Person", "ladder in the barn")
    assert roofs.client.patch(f"/api/places/{ours}", json={"notes": None}).json()["notes"] is None


WRONG = (
    ("PATCH", "/api/places/999999", {"notes": "x"}),
    ("PATCH", "/api/places/1", {"name": "  "}),
    ("PATCH", "/api/places/1", {"notes": "x" * 3000}),
    ("PATCH", "/api/places/1", {"unknown": 1}),
    ("POST", "/api/places/1/merge", {"place": 1}),
    ("POST", "/api/places/1/merge", {"place": 999999}),
    ("POST", "/api/places/1/merge", {"place": 2, "role": "king"}),
    ("PATCH", "/api/sites/1", {"place": 999999}),
    ("PATCH", "/api/sites/1", {"place": 10**30}),
    ("PATCH", "/api/sites/1", {"role": "king"}),
)


def test_what_cannot_be_is_told_and_changes_nothing(roofs: Fleet) -> None:
    before = places(roofs)
    for method, path, body in WRONG:
        answer = roofs.client.request(method, path, json=body)
        assert answer.status_code in {400, 404}, (method, path, body, answer.text)
        assert answer.json()["detail"]
    assert places(roofs) == before


def test_sites_of_two_vendors_at_one_spot_are_proposed_until_they_are_one_place(roofs: Fleet) -> None:
    ours, theirs = sites_of(roofs, "enphase")[1], sites_of(roofs, "solaredge")[1]
    for site in (ours, theirs):
        roofs.client.patch(f"/api/sites/{site['id']}", json={"latitude": 52.5, "longitude": 13.4})
    (proposal,) = roofs.client.get("/api/places/proposals").json()["items"]
    assert {site["id"] for site in proposal["sites"]} == {ours["id"], theirs["id"]}
    assert proposal["evidence"] == ["position"]
    first, second = proposal["places"]
    roofs.client.post(f"/api/places/{first}/merge", json={"place": second})
    assert roofs.client.get("/api/places/proposals").json() == {"items": []}
