"""The emulators' own time."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock


class Clock:
    """Epoch seconds that begin at `start` (None: now) and run `speed` times as fast as real ones (0: frozen).

    Raises ValueError for a negative speed.
    """

    def __init__(self, start: float | None = None, speed: float = 1.0) -> None:
        if speed < 0:
            raise ValueError("the clock cannot run backwards: speed must be 0 or more")
        self._start = time.time() if start is None else start
        self._speed = speed
        self._began = time.monotonic()

    def __call__(self) -> float:
        """Return the emulator's present moment, epoch seconds."""
        return self._start + (time.monotonic() - self._began) * self._speed


class WindowClock:
    """The time of quota windows: `now`, plus real seconds for as long as `now` stands still.

    Without that a minute would never end under a frozen clock.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._seen = now()
        self._since = time.monotonic()
        self._lock = Lock()

    def __call__(self) -> float:
        """Return epoch seconds that never stand still."""
        with self._lock:
            current, real = self._now(), time.monotonic()
            if current != self._seen:
                self._seen, self._since = current, real
            return current + (real - self._since)
