"""What a site's trouble costs in a day, as far as the facts tell: an estimate, with what it rests on.

Two ways, the surer one first: panels that give nothing cost what the others' mean gives; a site that gave less than
its neighbours did costs the difference. Where neither can be told the loss is not known, which is not zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from sungaze.checks.near import NEIGHBOUR_KM, within_km

LEAST_NEIGHBOURS: Final = 2
LEAST_SHARE: Final = 0.05
"""Of what its neighbours' yield promises: less is within what roofs differ by."""


class DayFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A site's last whole day. `energy_wh` is None where it is not known; `exact` says that the position is the
    site's own; of its `panels` producing devices `dead` have an alarm that goes on.
    """

    site_id: int
    place_id: int
    peak_kw: float | None
    energy_wh: float | None
    latitude: float | None = None
    longitude: float | None = None
    exact: bool = False
    well: bool = True
    panels: int = 0
    dead: int = 0


class Loss(msgspec.Struct, frozen=True):
    """What is lost in a day, Wh, and why that is thought."""

    wh_per_day: float
    basis: str


def loss_of(one: DayFacts, others: Iterable[DayFacts]) -> Loss | None:
    """What one site's trouble costs a day; None where the facts do not tell."""
    if one.energy_wh is not None and 0 < one.dead < one.panels:
        each = max(0.0, one.energy_wh) / (one.panels - one.dead)
        return Loss(each * one.dead, f"{one.dead} of {one.panels} panels, at the mean of the others")
    if one.peak_kw is None or one.energy_wh is None:
        return None
    yields = sorted(_yields(one, others))
    if len(yields) < LEAST_NEIGHBOURS:
        return None
    promised = yields[len(yields) // 2] * one.peak_kw * 1000.0
    lost = promised - one.energy_wh
    if lost < LEAST_SHARE * promised:
        return None
    return Loss(lost, f"against the yield of {len(yields)} sites nearby, yesterday")


def _yields(one: DayFacts, others: Iterable[DayFacts]) -> Sequence[float]:
    return [
        other.energy_wh / 1000.0 / other.peak_kw
        for other in others
        if other.well
        and other.place_id != one.place_id
        and other.peak_kw
        and other.energy_wh is not None
        and one.exact
        and other.exact
        and within_km((one.latitude, one.longitude), (other.latitude, other.longitude), NEIGHBOUR_KM)
    ]
