"""What can go wrong on request: named faults, each striking a share of the data calls.

| name | what the client meets |
|---|---|
| html | an HTML page, by turns with status 503 and 200 |
| truncated | a body that ends before its content-length |
| huge | an answer that never ends before 64 MB |
| slow | a body that drips, one byte a second, for a minute at most |
| shape | valid JSON of the wrong shape |
| 500, 429 | the vendor's own error and its own refusal |
| late | the newest intervals are incomplete when first read |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from threading import Lock

from sungaze.emulators._hash import unit

COMMON_FAULTS = ("html", "truncated", "huge", "slow", "shape", "500", "429", "late")


class Faults(MutableMapping[str, float]):
    """Fault rates by name, 0 to 1; may be changed while the emulator runs.

    Raises ValueError for a name the vendor does not know or a rate outside 0..1.
    """

    def __init__(self, known: tuple[str, ...], rates: Mapping[str, float], seed: int) -> None:
        self.known = known
        self._seed = seed
        self._rates: dict[str, float] = {}
        self._draws: dict[str, int] = {}
        self._strikes: dict[str, int] = {}
        self._lock = Lock()
        for name, rate in rates.items():
            self[name] = rate

    def __getitem__(self, name: str) -> float:
        return self._rates[name]

    def __setitem__(self, name: str, rate: float) -> None:
        if name not in self.known:
            raise ValueError(f"unknown fault {name!r}: choose from {', '.join(self.known)}")
        if not 0.0 <= rate <= 1.0:
            raise ValueError(f"the rate of fault {name!r} must lie between 0 and 1, not {rate}")
        self._rates[name] = rate

    def __delitem__(self, name: str) -> None:
        del self._rates[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._rates))

    def __len__(self) -> int:
        return len(self._rates)

    def strikes(self, name: str) -> bool:
        """Return True when the fault hits this call; the sequence is fixed by the world's seed."""
        with self._lock:
            rate = self._rates.get(name, 0.0)
            if rate <= 0.0:
                return False
            draw = self._draws[name] = self._draws.get(name, 0) + 1
            hit = rate >= 1.0 or unit(self._seed, "fault", name, draw) < rate
            self._strikes[name] = self._strikes.get(name, 0) + hit
            return hit

    def turn(self, name: str) -> int:
        """Return how often the fault has hit so far, for faults that take turns."""
        with self._lock:
            return self._strikes.get(name, 0)
