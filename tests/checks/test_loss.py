"""What a trouble costs a day, as far as the facts tell."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sungaze.checks.loss import DayFacts, loss_of
from sungaze.checks.near import within_km

ROOF = DayFacts(
    site_id=1, place_id=1, peak_kw=10.0, energy_wh=20_000.0, latitude=52.5, longitude=13.4, exact=True, panels=20
)


def roof(number: int, **changed: Any) -> DayFacts:
    return msgspec.structs.replace(ROOF, **({"site_id": number, "place_id": number} | changed))


AROUND = [roof(2, energy_wh=40_000.0), roof(3, energy_wh=50_000.0), roof(4, energy_wh=30_000.0)]


def test_dead_panels_cost_what_the_others_give() -> None:
    loss = loss_of(roof(1, energy_wh=19_000.0, dead=1), AROUND)
    assert loss is not None
    assert loss.wh_per_day == pytest.approx(1_000.0)
    assert loss.basis.startswith("1 of 20 panels")


def test_a_site_that_gave_less_than_its_neighbours_costs_the_difference() -> None:
    loss = loss_of(ROOF, AROUND)
    assert loss is not None
    assert loss.wh_per_day == pytest.approx(20_000.0)
    assert "3 sites" in loss.basis


@pytest.mark.parametrize(
    ("one", "others"),
    [
        (roof(1, energy_wh=None), AROUND),
        (roof(1, peak_kw=None), AROUND),
        (ROOF, AROUND[:1]),
        (roof(1, exact=False), AROUND),
        (roof(1, latitude=51.0), AROUND),
        (roof(1, latitude=None), AROUND),
        (ROOF, [msgspec.structs.replace(o, well=False) for o in AROUND]),
        (ROOF, [msgspec.structs.replace(o, place_id=1) for o in AROUND]),
        (roof(1, energy_wh=39_000.0), AROUND),
        (roof(1, energy_wh=0.0, dead=20, latitude=None), AROUND),
    ],
)
def test_what_the_facts_do_not_tell_is_not_known(one: DayFacts, others: list[DayFacts]) -> None:
    assert loss_of(one, others) is None


def test_points_are_near_across_the_date_line_too() -> None:
    assert within_km((0.0, 179.9), (0.0, -179.9), 23.0)
    assert not within_km((0.0, 179.9), (0.0, -179.9), 22.0)
    assert not within_km((None, 0.0), (0.0, 0.0), 1e9)
