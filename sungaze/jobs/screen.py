"""Which sites somebody looks at, as far as the API's questions tell."""

from __future__ import annotations

import threading
from typing import Final

ON_SCREEN_S: Final = 180.0
"""How long a site is taken to be on screen after the API was last asked for it; an open page asks again well before."""


class Screen:
    """The sites that were asked for lately. May be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[int, float] = {}

    def note(self, site_id: int, now: float) -> bool:
        """Whether this site was not on screen before; it is now, for ON_SCREEN_S seconds."""
        with self._lock:
            before = self._seen.get(site_id)
            self._seen[site_id] = now
        return before is None or now - before > ON_SCREEN_S

    def sites(self, now: float) -> frozenset[int]:
        """The ids of the sites that are on screen."""
        with self._lock:
            self._seen = {site: at for site, at in self._seen.items() if now - at <= ON_SCREEN_S}
            return frozenset(self._seen)
