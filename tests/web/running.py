"""What the browser tests share."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

WIDE = (1360, 860)
NARROW = (360, 760)

Opens = Callable[..., Page]
