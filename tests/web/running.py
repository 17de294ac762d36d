"""What the browser tests share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, Page, expect
from program import DEMO_SITES, Sungaze

WIDE = (1360, 860)
NARROW = (360, 760)
WHOLE_S = 90
MANY_TABS = 90

Opens = Callable[..., Page]


def whole_places(demo: Sungaze) -> list[dict[str, Any]]:
    """The places once each site has told its peak power and the demo's shared roof is joined.

    Before that the fleet's totals grow by themselves, whatever a test merges or splits.
    """
    deadline = time.monotonic() + WHOLE_S
    while True:
        sites = demo.client.get("/api/sites").json()["items"]
        places: list[dict[str, Any]] = demo.client.get("/api/places").json()["items"]
        joined = any(len(place["sites"]) > 1 for place in places)
        if joined and len(sites) == DEMO_SITES and all(site["peak_power_kw"] for site in sites):
            return places
        assert time.monotonic() < deadline, "the demo did not come to know its sites"
        time.sleep(0.2)


def reach(page: Page, control: Locator, *, back: bool = False) -> None:
    """Press Tab until a control has the focus, as somebody does who has no mouse."""
    expect(control).to_be_visible()
    for _ in range(MANY_TABS):
        if control.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"{MANY_TABS} tabs do not lead to {control}")


def press(page: Page, control: Locator, key: str = "Enter", *, back: bool = False) -> None:
    """Reach a control by Tab and press a key on it."""
    reach(page, control, back=back)
    page.keyboard.press(key)


def total_kwp(demo: Sungaze) -> float:
    return float(demo.client.get("/api/fleet").json()["kwp_total"])
