"""The pages by axe in both themes, and the flows of a morning by keyboard alone."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from program import TOP, Sungaze
from running import Opens, press, reach, total_kwp, whole_places

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HISTORY_MS = 60_000
AXE = (TOP / "node_modules/axe-core/axe.min.js").read_text()
RUN = """options => axe.run(document, { resultTypes: ['violations'], ...options }).then((r) => r.violations)"""
COLOURS = {"runOnly": ["color-contrast"]}
"""What a theme changes."""


@pytest.fixture(scope="module")
def site(demo: Sungaze) -> dict[str, Any]:
    """An Enphase site of the demo whose panels are known, with a `device` of its own."""
    items = demo.client.get("/api/sites", params={"sort": "id"}).json()["items"]
    found: dict[str, Any] = next(item for item in items if item["vendor"] == "enphase")
    deadline = time.monotonic() + HISTORY_MS / 1000
    while not (devices := demo.client.get(f"/api/sites/{found['id']}/devices").json()["items"]):
        assert time.monotonic() < deadline, "the demo did not tell its devices"
        time.sleep(0.2)
    return found | {"device": devices[-1]["id"]}


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
    page = opened(refused=(404,))
    expect(page.get_by_role("heading", level=1)).to_be_attached()
    inspector = Inspector(page)
    for hash_ in (
        "#/", "#/?group=vendor", "#/?q=nothing-of-this-name", "#/alerts", "#/places", "#/places/1", "#/accounts",
        "#/accounts/connect", "#/accounts/connect?vendor=enphase&method=owner_consent",
        "#/accounts/connect?vendor=generac", "#/accounts/connect?vendor=cps", "#/settings", "#/about",
        here, f"{here}?range=week", f"{here}?range=year", f"{here}?range=lifetime", f"{here}/panels",
        f"{here}/panels?view=positions", f"{here}/devices", f"{here}/devices/{site['device']}", f"{here}/alerts",
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
    sheets = {"name": "sheets.csv", "mimeType": "text/csv", "buffer": b"id;Customer;PTO\n1;A. Person;\n2;X;someday\n"}
    page.get_by_label("CSV file").set_input_files(files=[sheets])  # type: ignore[list-item]
    expect(page.get_by_role("dialog").get_by_role("button", name="Write 1 place")).to_be_enabled()
    inspector.dialog("import, its preview")
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
    merge = page.get_by_label("Merge another place into this one")
    merge.fill(page.locator("datalist option").first.get_attribute("value") or "")
    expect(page.get_by_role("button", name="Merge", exact=True)).to_be_enabled()
    inspector.look("sheet in edit and merge with a place chosen")
    inspector.to(f"{here}/panels?view=positions")
    page.get_by_role("button", name="From CSV").click()
    serial = demo.client.get(f"/api/sites/{site['id']}/layout/day").json()["cells"][0]["serial_number"]
    lines = f"serial,array,row,column\n{serial},East,1,1\nnobody,East,1,2\n"
    page.get_by_label("Or paste its lines").fill(lines)
    page.get_by_role("button", name="Show what changes").click()
    expect(page.get_by_role("dialog").get_by_role("cell", name="East, row 1, column 1")).to_be_visible()
    inspector.dialog("positions from a CSV, its preview")
    assert inspector.found == {}


@pytest.mark.timeout(180)
def test_a_morning_by_keyboard_alone(opened: Opens, demo: Sungaze, site: dict[str, Any]) -> None:
    page, other = opened("#/alerts"), opened("#/alerts")
    main = page.get_by_role("main")
    heading = page.get_by_role("heading", level=1)

    # Acknowledge, seen by the other window, and back.
    acknowledge = page.get_by_role("button", name=re.compile("^Acknowledge: ")).first
    expect(acknowledge).to_be_visible(timeout=HISTORY_MS)
    name = acknowledge.get_attribute("aria-label") or ""
    there = other.get_by_role("button", name=name, exact=True)
    expect(there).to_have_count(1)
    press(page, acknowledge)
    expect(page.get_by_role("status").filter(has_text="1 alert acknowledged")).to_be_visible()
    expect(there).to_have_count(0)
    press(page, page.get_by_role("button", name="Undo"), back=True)
    expect(there).to_have_count(1)
    other.evaluate("hash => { location.hash = hash }", f"#/sites/{site['id']}")

    # Find the site, snooze it, seen by the other window, and wake it.
    page.keyboard.press("Control+k")
    page.keyboard.type(site["name"])
    expect(page.get_by_role("option").first).to_contain_text(site["name"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(heading).to_have_text(site["name"])
    expect(heading).to_be_focused()
    press(page, page.get_by_role("button", name="Snooze", exact=True))
    for one in (page, other):
        expect(one.get_by_text(re.compile(r"^\s*Snoozed until \d"))).to_be_visible()
    assert demo.client.get(f"/api/sites/{site['id']}").json()["care"]["snoozed"] is True
    press(page, page.get_by_role("button", name="Wake it now"))
    for one in (page, other):
        expect(one.get_by_role("button", name="Snooze", exact=True)).to_be_visible()

    # Scrub the day before, and take its curve away.
    press(page, page.get_by_role("link", name="The day before"), back=True)
    curve = page.get_by_role("slider")
    expect(curve).to_have_attribute("aria-label", re.compile("at most"), timeout=HISTORY_MS)
    reach(page, curve)
    page.keyboard.press("Home")
    first = curve.get_attribute("aria-valuetext") or ""
    assert re.match(r"\d\d:\d\d–\d\d:\d\d, ", first)
    page.keyboard.press("ArrowRight")
    expect(curve).not_to_have_attribute("aria-valuetext", first)
    with page.expect_download() as csv:
        press(page, page.get_by_role("link", name="Download this curve as CSV"))
    assert csv.value.path().stat().st_size > 1000

    # Scrub the panels of that day.
    press(page, page.get_by_role("link", name="Panels", exact=True), back=True)
    moment = page.get_by_role("slider", name="Moment of the day")
    expect(page.get_by_role("grid").get_by_role("button").first).to_be_visible(timeout=HISTORY_MS)
    reach(page, moment)
    at = moment.get_attribute("aria-valuetext") or ""
    page.keyboard.press("ArrowLeft")
    expect(moment).not_to_have_attribute("aria-valuetext", at)

    # Merge two places, and undo it.
    places = whole_places(demo)
    roof, array = (next(p for p in places if [s["vendor"] for s in p["sites"]] == [v]) for v in ("generac", "cps"))
    total = total_kwp(demo)
    page.evaluate("hash => { location.hash = hash }", f"#/places/{roof['id']}")
    expect(heading).to_have_text(roof["name"])
    reach(page, page.get_by_label("Merge another place into this one"))
    names = [p["name"] for p in places]
    page.keyboard.type(array["name"] if names.count(array["name"]) == 1 else f"{array['name']} ({array['id']})")
    role = main.get_by_role("radio", name=re.compile("same gen", re.I))
    reach(page, role)
    press(page, page.get_by_role("button", name="Merge", exact=True))
    expect(page.get_by_role("status").filter(has_text="are one place now")).to_be_visible()
    assert total_kwp(demo) < total
    press(page, page.get_by_role("button", name="Undo"), back=True)
    expect(page.get_by_role("status").filter(has_text="are one place now")).to_have_count(0)
    assert total_kwp(demo) == pytest.approx(total)

    # Think better of disconnecting.
    page.keyboard.press("g")
    page.keyboard.press("c")
    expect(heading).to_have_text("Accounts")
    count = page.get_by_role("article").count()
    leave = page.get_by_role("button", name="Disconnect").first
    press(page, leave)
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    press(page, dialog.get_by_role("button", name="Cancel"))
    expect(dialog).to_have_count(0)
    expect(leave).to_be_focused()
    expect(page.get_by_role("article")).to_have_count(count)
