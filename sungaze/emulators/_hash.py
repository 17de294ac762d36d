"""Deterministic pseudo-random numbers from integers, the same on every machine and in every release.

Neither numpy's generator streams nor Python's salted `hash()` promise that, and the world must come out of
its seed alone.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB


def _scramble(x: int) -> int:
    x = (x + _GOLDEN) & _MASK
    x = ((x ^ (x >> 30)) * _MIX_1) & _MASK
    x = ((x ^ (x >> 27)) * _MIX_2) & _MASK
    return x ^ (x >> 31)


def bits(*parts: int | str) -> int:
    """Return 64 well-mixed bits of the parts, order and type of each mattering."""
    state = 0
    for part in parts:
        words = [part & _MASK] if isinstance(part, int) else [len(part), *part.encode()]
        for word in words:
            state = _scramble(state ^ word)
    return state


def unit(*parts: int | str) -> float:
    """Return a float in [0, 1) fixed by the parts."""
    return (bits(*parts) >> 11) / (1 << 53)


def between(low: int, high: int, *parts: int | str) -> int:
    """Return an integer of low..high, both included, fixed by the parts."""
    return low + bits(*parts) % (high - low + 1)


def hexadecimal(length: int, *parts: int | str) -> str:
    """Return `length` lower-case hex digits fixed by the parts."""
    blocks = (f"{bits(*parts, n):016x}" for n in range((length + 15) // 16))
    return "".join(blocks)[:length]


def units(key: int, counters: Ints) -> Floats:
    """Return floats in [0, 1), one per counter, fixed by `key` and the counter; shape of `counters`."""
    x = counters.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(key & _MASK)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(_MIX_1)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(_MIX_2)
    x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) / float(1 << 53)
