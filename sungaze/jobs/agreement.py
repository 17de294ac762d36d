"""Whether this computer's clock agrees with the vendors' servers, by the Date of their answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from sungaze import clock

BELIEVED_S: Final = 3_600.0
"""So long a vendor's word is taken; then one is asked again, for it might be the server's clock that was wrong."""
SET_S: Final = 60.0
"""A clock that goes further or less far than the time that passed was set meanwhile."""


class Agreement:
    """What vendors' answers say of this computer's clock. May be used from any thread."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._found: tuple[str, float, float] | None = None
        """The trouble, and when it was found by either clock."""

    def hear(self, said: float, by: str) -> str:
        """What is wrong with the clock where the vendor `by` said this time just now; empty where nothing is."""
        now = self._now()
        trouble = clock.disagreement(now, said, by)
        self._found = (trouble, now, time.monotonic()) if trouble else None
        return trouble

    @property
    def trouble(self) -> str:
        """What was wrong with the clock when it was heard of, as long as that holds; else empty."""
        heard = self._found  # once: another thread may hear better meanwhile
        if heard is None:
            return ""
        trouble, found_at, found = heard
        passed = time.monotonic() - found
        was_set = abs(self._now() - found_at - passed) > SET_S
        return "" if was_set or passed > BELIEVED_S else trouble


def date_of(headers: Mapping[str, str]) -> float | None:
    """The epoch second at which an answer was made; None where it does not tell, or comes out of somebody's store."""
    if "age" in headers:
        return None
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return None
