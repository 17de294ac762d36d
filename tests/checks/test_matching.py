"""What speaks for two sites being one roof."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sungaze.checks.matching import Proposal, SiteFacts, propose

DAYS = {f"2026-05-{day:02d}": 20_000 + 9_000 * math.sin(day) for day in range(1, 29)}


def site(number: int, vendor: str, **known: Any) -> SiteFacts:
    return SiteFacts(id=number, vendor=vendor, place_id=known.pop("place_id", number), **known)


def evidence(a: dict[str, Any], b: dict[str, Any]) -> tuple[str, ...]:
    found = propose([site(1, "tigo", **a), site(2, "cps", **b)])
    return found[0].evidence if found else ()


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ({"serials": frozenset({"X1", "X2"})}, {"serials": frozenset({"X2"})}, ("serial",)),
        ({"serials": frozenset({"X1"})}, {"serials": frozenset({"X2"})}, ()),
        (
            {"address": {"street": "12 Example Rd.", "postal_code": "50010"}},
            {"address": {"street": "12 example rd", "postal_code": "50010"}}, ("address",),
        ),
        ({"address": {"postal_code": "50010"}}, {"address": {"postal_code": "50010"}}, ()),
        (
            {"latitude": 50.0, "longitude": 8.0, "exact": True},
            {"latitude": 50.0005, "longitude": 8.0005, "exact": True}, ("position",),
        ),
        (
            {"latitude": 50.0, "longitude": 8.0, "exact": True},
            {"latitude": 50.0, "longitude": 8.0, "exact": False}, (),
        ),
        ({"days": DAYS}, {"days": {day: value * 0.96 for day, value in DAYS.items()}}, ("curve",)),
        ({"days": DAYS}, {"days": {day: 30_000 - value for day, value in DAYS.items()}}, ()),
        ({"days": DAYS}, {"days": dict(list(DAYS.items())[:9])}, ()),
        ({"days": DAYS}, {"days": dict.fromkeys(DAYS, 0.0)}, ()),
    ],
)  # fmt: skip
def test_evidence(a: dict[str, Any], b: dict[str, Any], why: tuple[str, ...]) -> None:
    assert evidence(a, b) == why


def test_sites_of_one_vendor_or_one_place_are_not_proposed() -> None:
    same = {"serials": frozenset({"X1"})}
    assert propose([site(1, "tigo", **same), site(2, "tigo", **same)]) == []
    assert propose([site(1, "tigo", place_id=7, **same), site(2, "cps", place_id=7, **same)]) == []


def test_what_has_the_most_evidence_comes_first() -> None:
    sites = [
        site(1, "tigo", serials=frozenset({"X"}), days=DAYS), site(2, "cps", serials=frozenset({"X"})),
        site(3, "generac", days=DAYS, serials=frozenset({"X"})),
    ]  # fmt: skip
    assert propose(sites)[0] == Proposal(1, 3, ("serial", "curve"))


def test_the_same_name_in_the_same_town_speaks_for_one_roof_and_a_name_alone_does_not() -> None:
    here = {"postal_code": "28099", "city": "Madrid"}
    one = site(1, "enphase", name="Cedar Dairy", address=here)
    two = site(2, "solaredge", name="cedar-dairy", address=here | {"street": "3 Elm Way"})
    (found,) = propose([one, two])
    assert found.evidence == ("name",)
    assert not propose([one, site(2, "solaredge", name="Cedar Dairy", address={"city": "Porto"})])
    assert not propose([one, site(2, "solaredge", name="Cedar Dairy")])
    assert not propose([site(1, "enphase", address=here), site(2, "solaredge", address=here)])
