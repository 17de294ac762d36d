"""Sun and clouds over a point on the ground, vectorised over time.

Times are epoch seconds (UTC); angles are degrees; irradiance is W/m².
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sungaze.emulators._hash import Floats, Ints, bits, units

J2000_EPOCH_S = 946_728_000
SOLAR_CONSTANT = 1361.0


@dataclass(frozen=True, slots=True, eq=False)
class Octave:
    """One layer of the cloud field: its lattice in degrees and seconds, and its share of the whole."""

    cell_deg: float
    cell_s: int
    share: float


OCTAVES = (Octave(3.0, 129_600, 0.58), Octave(1.0, 18_000, 0.27), Octave(0.5, 2_700, 0.15))


def sun_position(epoch_s: Ints | Floats, latitude: float, longitude: float) -> tuple[Floats, Floats]:
    """Return (elevation, azimuth) in degrees, azimuth clockwise from north, each the shape of `epoch_s`.

    Low-precision solar coordinates, good to about 0.02 degrees this century, without refraction.
    """
    days = (np.asarray(epoch_s, dtype=np.float64) - J2000_EPOCH_S) / 86_400.0
    anomaly = np.radians(357.528 + 0.985_600_3 * days)
    ecliptic = np.radians(280.460 + 0.985_647_4 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2.0 * anomaly))
    tilt = np.radians(23.439 - 4.0e-7 * days)
    sin_ecliptic = np.sin(ecliptic)
    declination = np.arcsin(np.sin(tilt) * sin_ecliptic)
    ascension = np.arctan2(np.cos(tilt) * sin_ecliptic, np.cos(ecliptic))
    sidereal = np.radians((280.460_618_37 + 360.985_647_366_29 * days + longitude) % 360.0)
    hour_angle = sidereal - ascension
    phi = np.radians(latitude)
    sin_dec, cos_dec, cos_hour = np.sin(declination), np.cos(declination), np.cos(hour_angle)
    elevation = np.arcsin(np.sin(phi) * sin_dec + np.cos(phi) * cos_dec * cos_hour)
    azimuth = np.arctan2(-np.sin(hour_angle) * cos_dec, sin_dec * np.cos(phi) - cos_dec * np.sin(phi) * cos_hour)
    return np.degrees(elevation), np.degrees(azimuth) % 360.0


def _layer(seed: int, number: int, latitude: float, longitude: float, epoch_s: Ints) -> Floats:
    octave = OCTAVES[number]
    first = int(epoch_s.min()) // octave.cell_s
    nodes = np.arange(first, int(epoch_s.max()) // octave.cell_s + 2, dtype=np.int64)
    row, column = latitude / octave.cell_deg, longitude / octave.cell_deg
    south, west = int(np.floor(row)), int(np.floor(column))
    up, right = row - south, column - west
    up, right = up * up * (3.0 - 2.0 * up), right * right * (3.0 - 2.0 * right)
    at_nodes = np.zeros(nodes.shape)
    for i, weight_i in ((0, 1.0 - up), (1, up)):
        for j, weight_j in ((0, 1.0 - right), (1, right)):
            at_nodes += weight_i * weight_j * units(bits(seed, "cloud", number, south + i, west + j), nodes)
    position = epoch_s / octave.cell_s - first
    index = position.astype(np.int64)
    step = position - index
    step *= step * (3.0 - 2.0 * step)
    lower = at_nodes[index]
    return lower + (at_nodes[index + 1] - lower) * step


def transmittance(seed: int, latitude: float, longitude: float, epoch_s: Ints) -> Floats:
    """Return how much of the clear sky comes through, 0.2 (overcast) to 1.0 (clear), shape of `epoch_s`.

    One field for the whole seed, smooth in space and time, so that neighbours share their weather.
    """
    cover = np.zeros(epoch_s.shape)
    for number, octave in enumerate(OCTAVES):
        cover += octave.share * _layer(seed, number, latitude, longitude, epoch_s)
    cover = np.clip((cover - 0.42) / 0.30, 0.0, 1.0)
    return 1.0 - 0.8 * cover * cover * (3.0 - 2.0 * cover)


def plane_irradiance(elevation: Floats, azimuth: Floats, clear: Floats, tilt: float, facing: float) -> Floats:
    """Return the irradiance on a plane tilted `tilt` degrees and facing `facing`, W/m²; sun above horizon.

    `clear` is the transmittance; `elevation` must be above 0.
    """
    sine = np.sin(np.radians(elevation))
    air_mass = 1.0 / (sine + 0.505_72 * (elevation + 6.079_95) ** -1.636_4)
    beam = SOLAR_CONSTANT * 0.7 ** (air_mass**0.678)
    diffuse = 0.30 * beam * sine + 40.0 * sine
    slope = np.radians(tilt)
    incidence = sine * np.cos(slope) + np.cos(np.radians(elevation)) * np.sin(slope) * np.cos(
        np.radians(azimuth - facing)
    )
    beam_share = np.clip((clear - 0.25) / 0.75, 0.0, 1.0) ** 1.3
    diffuse_share = 0.30 + 0.30 * clear + 1.6 * clear * (1.0 - clear)
    sky_view = (1.0 + float(np.cos(slope))) / 2.0
    result: Floats = beam * beam_share * np.maximum(incidence, 0.0) + diffuse * diffuse_share * sky_view
    return result
