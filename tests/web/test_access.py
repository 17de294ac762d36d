"""The pages by axe in both themes, and the flows of a morning by keyboard alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from program import TOP, Sungaze
from running import Opens

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HISTORY_MS = 60_000
AXE = (TOP / "node_modules/axe-core/axe.min.js").read_text()
RUN = """options => axe.run(document, { resultTypes: ['violations'], ...options }).then((r) => r.violations)"""
COLOURS = {"runOnly": ["color-contrast"]}
"""What a theme changes."""
MANY_TABS = 90


@pytest.fixture(scope="module")
def site(demo: Sungaze) -> dict[str, Any]:
    """An Enphase site of the demo."""
    items = demo.client.get("/api/sites", params={"sort": "id"}).json()["items"]
    found: dict[str, Any] = next(item for item in items if item["vendor"] == "enphase")
    return found


class Inspector:
    """Goes through the pages and keeps what axe finds, by the name of what is looked at."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.found: dict[str, list[str]] = {}
        page.evaluate(AXE)

    def to(self, hash_: str) -> None:
        """Another page, once it is whole."""
        self.page.evaluate("hash => { location.hash = hash }", hash_)
        expect(self.page.get_by_role("heading", level=1)).to_be_attached()
        expect(self.page.locator("main .skeleton")).to_have_count(0, timeout=HISTORY_MS)

    def look(self, name: str) -> None:
        """Everything in the light, and what a theme changes in the dark."""
        root = self.page.locator("html")
        for theme, options in (("light", {}), ("dark", COLOURS)):
            self.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
            expect(root).to_have_attribute("data-theme", theme)
            for one in self.page.evaluate(RUN, options):
                for node in one["nodes"]:
                    said = f"{one['id']}: {node['target']} {node.get('failureSummary', '')}"
                    self.found.setdefault(f"{name} {theme}", []).append(said)
        self.page.emulate_media(color_scheme="light")

    def dialog(self, name: str) -> None:
        """The dialog that was opened; Escape closes it."""
        expect(self.page.get_by_role("dialog")).to_be_visible()
        self.look(name)
        self.page.keyboard.press("Escape")
        expect(self.page.get_by_role("dialog")).to_have_count(0)


@pytest.mark.timeout(180)
def test_axe_finds_nothing_on_any_page_in_either_theme(opened: Opens, demo: Sungaze, site: dict[str, Any]) -> None:
    here = f"#/sites/{site['id']}"
    device = demo.client.get(f"/api/sites/{site['id']}/devices").json()["items"][-1]["id"]
    page = opened()
    expect(page.get_by_role("heading", level=1)).to_be_attached()
    inspector = Inspector(page)
    for hash_ in (
        "#/", "#/?group=vendor", "#/?q=nothing-of-this-name", "#/alerts", "#/places", "#/places/1", "#/accounts",
        "#/accounts/connect", "#/accounts/connect?vendor=enphase&method=owner_consent",
        "#/accounts/connect?vendor=generac", "#/accounts/connect?vendor=cps", "#/settings", "#/about",
        here, f"{here}?range=week", f"{here}?range=year", f"{here}?range=lifetime", f"{here}/panels",
        f"{here}/panels?view=positions", f"{here}/devices", f"{here}/devices/{device}", f"{here}/alerts",
        f"{here}/data", "#/sites/999999",
    ):  # fmt: skip
        inspector.to(hash_)
        inspector.look(hash_)

    page.keyboard.press("?")
    inspector.dialog("keys")
    page.keyboard.press("Control+k")
    page.keyboard.type(site["name"])
    expect(page.get_by_role("option").first).to_be_visible()
    inspector.look("search")
    page.keyboard.press("Escape")
    inspector.to("#/places")
    page.get_by_role("button", name="Import").click()
    inspector.dialog("import")
    inspector.to("#/accounts")
    page.get_by_role("button", name="Calls and history").first.click()
    inspector.dialog("calls and history")
    page.get_by_role("button", name="Disconnect").first.click()
    inspector.dialog("disconnect")
    inspector.to(here)
    page.get_by_role("button", name="Edit", exact=True).click()
    inspector.dialog("edit")
    inspector.to("#/places/1")
    page.get_by_role("button", name=re.compile("^Edit Phone")).click()
    inspector.look("sheet in edit")
    assert inspector.found == {}
