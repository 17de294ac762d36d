"""Call counters of one application: the clock minute and the UTC calendar month."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Literal

from sungaze.emulators._clock import WindowClock

Period = Literal["minute", "month"]
PERIODS: tuple[Period, ...] = ("minute", "month")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A spent window: which, from when to when (epoch seconds), and its limit."""

    period: Period
    start: int
    end: int
    limit: int
    now: float


class Quota:
    """Counts calls in both windows; `spend()` refuses once either is full."""

    def __init__(self, now: Callable[[], float], minute_limit: int, month_limit: int) -> None:
        self.limits: dict[Period, int] = {"minute": minute_limit, "month": month_limit}
        self._clock = WindowClock(now)
        self._counts: dict[Period, tuple[int, int]] = {"minute": (0, 0), "month": (0, 0)}
        self._lock = Lock()

    @property
    def used(self) -> dict[Period, int]:
        """Return the calls spent in the running minute and month."""
        now = self._clock()
        with self._lock:
            return {period: self._count(period, now) for period in self.limits}

    def preset(self, period: Period, used: int) -> None:
        """Set the calls already spent in the running window, as if somebody had made them."""
        start, _ = window(period, self._clock())
        with self._lock:
            self._counts[period] = (start, used)

    def remaining(self, period: Period) -> int:
        """Return the calls left in the running window."""
        return max(0, self.limits[period] - self.used[period])

    def spend(self) -> Refusal | None:
        """Count one call, or return why it is refused; a refused call is not counted."""
        now = self._clock()
        with self._lock:
            for period in PERIODS:
                if self._count(period, now) >= self.limits[period]:
                    return self._refusal(period, now)
            for period in PERIODS:
                self._counts[period] = (window(period, now)[0], self._count(period, now) + 1)
        return None

    def refusal(self, period: Period) -> Refusal:
        """Return what a refusal for this window would say now."""
        return self._refusal(period, self._clock())

    def _refusal(self, period: Period, now: float) -> Refusal:
        start, end = window(period, now)
        return Refusal(period, start, end, self.limits[period], now)

    def _count(self, period: Period, now: float) -> int:
        start, count = self._counts[period]
        return count if start == window(period, now)[0] else 0


def window(period: Period, now: float) -> tuple[int, int]:
    """Return (start, end) epochs of the clock minute or UTC month around `now`."""
    if period == "minute":
        start = int(now // 60) * 60
        return start, start + 60
    moment = datetime.fromtimestamp(now, UTC)
    first = datetime(moment.year, moment.month, 1, tzinfo=UTC)
    after = datetime(moment.year + moment.month // 12, moment.month % 12 + 1, 1, tzinfo=UTC)
    return int(first.timestamp()), int(after.timestamp())
