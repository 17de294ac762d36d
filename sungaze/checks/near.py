"""Whether two points on the ground are near each other."""

from __future__ import annotations

import math
from typing import Final

EARTH_KM: Final = 6_371.0
NEIGHBOUR_KM: Final = 40.0
"""So near, two sites share their weather."""

Point = tuple[float | None, float | None]
"""Latitude and longitude in degrees, as far as they are known."""


def within_km(here: Point, there: Point, km: float) -> bool:
    """Whether two points lie no further apart than that; False where one of them is not known."""
    latitude, longitude = here
    other_latitude, other_longitude = there
    if latitude is None or longitude is None or other_latitude is None or other_longitude is None:
        return False
    north = math.radians(other_latitude - latitude)
    turned = math.remainder(other_longitude - longitude, 360.0)
    east = math.radians(turned) * math.cos(math.radians((latitude + other_latitude) / 2))
    return EARTH_KM * math.hypot(north, east) <= km
