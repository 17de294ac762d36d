"""Which sites of different vendors may be one roof: by address, by name and town, position, inverter serial or the
shape of their days.

Proposals only: the user decides.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

import msgspec

from sungaze.checks.near import within_km

NEAR_M: Final = 120.0
DAYS: Final = 14
"""So many days in common make a curve's likeness worth something."""
LIKENESS: Final = 0.995
RATIO_SPREAD: Final = 0.04
"""How far the ratio of two views of one roof strays from its middle: one may be DC, the other AC."""


class SiteFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a site. `exact` says that its position is not only a city's; `days` is energy by local date."""

    id: int
    vendor: str
    place_id: int
    name: str = ""
    address: Mapping[str, str] = {}
    latitude: float | None = None
    longitude: float | None = None
    exact: bool = False
    serials: frozenset[str] = frozenset()
    days: Mapping[str, float] = {}


class Proposal(msgspec.Struct, frozen=True):
    """Two sites that may be one roof, and what speaks for it: serial, address, name, position, curve."""

    first: int
    second: int
    evidence: tuple[str, ...]


def propose(sites: Sequence[SiteFacts]) -> list[Proposal]:
    """The pairs that something speaks for, those with the most evidence first; sites of one place are left out."""
    found = []
    for a, b in combinations(sorted(sites, key=lambda site: site.id), 2):
        if a.place_id == b.place_id or a.vendor == b.vendor:
            continue
        checks = (
            ("serial", _share_serial),
            ("address", _same_address),
            ("name", _same_name),
            ("position", _near),
            ("curve", _alike),
        )
        evidence = tuple(name for name, holds in checks if holds(a, b))
        if evidence:
            found.append(Proposal(a.id, b.id, evidence))
    return sorted(found, key=lambda proposal: -len(proposal.evidence))


def _share_serial(a: SiteFacts, b: SiteFacts) -> bool:
    return bool(a.serials & b.serials)


def _same_address(a: SiteFacts, b: SiteFacts) -> bool:
    def key(site: SiteFacts) -> tuple[str, str] | None:
        street, code = (_plain(site.address.get(part, "")) for part in ("street", "postal_code"))
        return (street, code) if street and code else None

    return key(a) is not None and key(a) == key(b)


def _same_name(a: SiteFacts, b: SiteFacts) -> bool:
    """Whether both are called the same in the same town: Enphase's lists, for one, tell no street."""

    def key(site: SiteFacts) -> tuple[str, str] | None:
        name, code = _plain(site.name), _plain(site.address.get("postal_code", "") or site.address.get("city", ""))
        return (name, code) if name and code else None

    return key(a) is not None and key(a) == key(b)


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def _near(a: SiteFacts, b: SiteFacts) -> bool:
    return a.exact and b.exact and within_km((a.latitude, a.longitude), (b.latitude, b.longitude), NEAR_M / 1000)


def _alike(a: SiteFacts, b: SiteFacts) -> bool:
    shared = [day for day in a.days.keys() & b.days.keys() if a.days[day] > 0 and b.days[day] > 0]
    if len(shared) < DAYS:
        return False
    ratios = sorted(b.days[day] / a.days[day] for day in shared)
    middle = ratios[len(ratios) // 2]
    spread = sum(abs(ratio / middle - 1) for ratio in ratios) / len(ratios)
    return 0.5 <= middle <= 2.0 and spread <= RATIO_SPREAD and _correlation(a, b, shared) >= LIKENESS


def _correlation(a: SiteFacts, b: SiteFacts, days: Sequence[str]) -> float:
    x, y = [a.days[day] for day in days], [b.days[day] for day in days]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    dx, dy = [v - mean_x for v in x], [v - mean_y for v in y]
    size = math.sqrt(sum(v * v for v in dx) * sum(v * v for v in dy))
    return sum(v * w for v, w in zip(dx, dy, strict=True)) / size if size else 0.0
