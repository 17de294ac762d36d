"""The Panels page in a real Chromium, over a roof whose day is known: scrubbing, groups, positions, a CSV of them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from program import Sungaze
from running import NARROW, WIDE, Opens

from sungaze import clock
from sungaze.model import DeviceFacts, DeviceType, Reading, SiteFacts
from sungaze.store import Store
from sungaze.store.timeseries import Rating

ZONE = "Africa/Johannesburg"
"""It changes no clocks: noon is the 48th quarter-hour of any day."""
QUARTER_S = 900
PANELS = 8
NO_DATA = 5
"""The panel that never reports."""
DEAD = 2
"""The panel that gives nothing in the quarter-hour from 12:30."""
TZ = clock.zone(ZONE)
assert TZ is not None
DATE = clock.day_of(time.time(), TZ) - timedelta(days=1)
START = clock.midnight(DATE, TZ)
NOON = START + 48 * QUARTER_S


def _watts(panel: int, slot: int) -> float:
    return 0.0 if (panel, slot) == (DEAD, 50) else 100.0 + panel


def fill(folder: Any) -> None:
    """A Tigo roof of two strings that Tigo draws, another roof that nobody draws, and a site without any device."""
    folder.mkdir()
    store, now = Store(folder / "sungaze.db"), time.time()
    with store.database.transaction():
        store.fleet.add_account(
            id=1, vendor="tigo", method="password", plan="premium", label="Tigo", base_url=None, scope="tigo",
            identity="me", now=now,
        )  # fmt: skip
        facts = [
            SiteFacts(
                vendor_site_id=str(n), name=name, timezone=ZONE, peak_power_kw=3.2, latitude=-26.2, longitude=28.0
            )
            for n, name in enumerate(("Drawn", "Undrawn", "Bare"), start=1)
        ]
        ids = store.fleet.apply_sites(1, "tigo", facts, complete=True, now=now)
    store.fleet.set_account_state(1, "connected", "", now, retry_at=now + 86_400)
    for site_id in ids[:2]:
        drawn = site_id == ids[0]
        devices = [
            DeviceFacts(vendor_device_id=f"s{n}", device_type=DeviceType.STRING, name=f"String {'AB'[n]}")
            for n in range(2)
        ] + [
            DeviceFacts(
                vendor_device_id=str(n), device_type=DeviceType.OPTIMIZER, serial_number=f"P-{n}", parent=f"s{n // 4}",
                position={"x": 62.0 * (n % 4), "y": 100.0 * (n // 4)} if drawn else None,
            )
            for n in range(PANELS)
        ]  # fmt: skip
        readings = [
            Reading(str(n), "dc_power_w", QUARTER_S, START + QUARTER_S * slot, _watts(n, slot))
            for n in range(PANELS) if n != NO_DATA for slot in range(36, 60)
        ] + [
            Reading("", "dc_power_w", QUARTER_S, START + QUARTER_S * slot, 700.0) for slot in range(36, 60)
        ]  # fmt: skip
        known = store.fleet.apply_devices(store.fleet.site(site_id), devices, complete=True, now=now)
        store.timeseries.write(site_id, readings, devices=known, rating=Rating(), now=now)
    store.close()


@pytest.fixture(scope="module")
def roofs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sungaze]:
    """A Sungaze over those three sites; nothing is asked for them."""
    folder = tmp_path_factory.mktemp("roofs") / "data"
    fill(folder)
    running = Sungaze(folder)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def cookies(browser: Browser, roofs: Sungaze) -> list[Any]:
    """The session that the launch link opens; it opens one only."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(roofs.link)
    expect(page.get_by_text("Drawn", exact=True).first).to_be_visible()
    found: list[Any] = list(context.cookies())
    context.close()
    return found


@pytest.fixture
def panels(browser: Browser, roofs: Sungaze, cookies: list[Any]) -> Iterator[Opens]:
    """Opens the panels of a site by its number; at the end no script may have failed."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def begin(site: int, query: str = "", *, size: tuple[int, int] = WIDE, touch: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, timezone_id=ZONE, locale="en-GB", has_touch=touch
        )
        contexts.append(context)
        context.add_cookies(cookies)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{roofs.address}/#/sites/{site}/panels?date={DATE.isoformat()}&at={NOON}{query}")
        return page

    yield begin
    for context in contexts:
        context.close()
    assert wrong == []


def cells(page: Page) -> Locator:
    return page.get_by_role("grid").get_by_role("button")


def cell(page: Page, serial: str) -> Locator:
    return page.get_by_role("grid").get_by_role("button", name=re.compile(f"^{serial},"))


def positions(roofs: Sungaze, site: int) -> dict[str, dict[str, Any]]:
    found = roofs.client.get(f"/api/sites/{site}/layout/day").json()["cells"]
    return {c["serial_number"]: c["position"] for c in found}


def device(roofs: Sungaze, site: int, serial: str) -> int:
    found = roofs.client.get(f"/api/sites/{site}/layout/day").json()["cells"]
    return next(c["device_id"] for c in found if c["serial_number"] == serial)


def test_a_day_is_scrubbed_without_asking_for_anything(panels: Opens) -> None:
    page = panels(1)
    expect(cell(page, "P-2")).to_have_accessible_name(re.compile("102.W"))
    expect(cell(page, f"P-{NO_DATA}")).to_have_accessible_name(re.compile("no data"))
    expect(page.get_by_text("Schematic only")).to_be_visible()
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    moment = page.get_by_role("slider", name="Moment of the day")
    moment.press("ArrowRight")
    page.get_by_role("button", name="One step on").click()
    expect(moment).to_have_attribute("aria-valuetext", re.compile("^12:30"))
    expect(cell(page, "P-2")).to_have_accessible_name(re.compile("0.W, no output"))
    expect(cell(page, "P-3")).to_have_accessible_name(re.compile("103.W"))
    moment.press("Home")
    expect(cell(page, "P-2")).to_have_accessible_name(re.compile("night"))
    page.get_by_role("button", name="Play the day").click()
    expect(cell(page, "P-2")).to_have_accessible_name(re.compile("102.W"), timeout=15_000)
    page.get_by_role("button", name="Pause").click()
    cell(page, "P-3").click()
    expect(page.get_by_text("nearest by serial number")).to_be_visible()
    assert [url for url in asked if "/layout" in url or "/series" in url] == []
    assert page.get_by_role("link", name="Everything of this device").get_attribute("href") is not None


def test_panels_are_grouped_by_what_they_hang_from(panels: Opens) -> None:
    page = panels(1)
    page.get_by_role("button", name="By string").click()
    expect(page.get_by_role("rowheader", name=re.compile("^String A"))).to_contain_text("4 panels, 406 W")
    expect(page.get_by_role("rowheader", name=re.compile("^String B"))).to_contain_text("4 panels, 317 W")
    expect(page).to_have_url(re.compile("group=string"))
    cells(page).first.focus()
    page.keyboard.press("Control+End")
    expect(cell(page, "P-7")).to_be_focused()


def test_a_panel_is_moved_by_keyboard_and_the_move_is_taken_back(panels: Opens, roofs: Sungaze) -> None:
    page = panels(1, "&view=positions")
    expect(page.get_by_text("8 where Tigo draws them")).to_be_visible()
    page.get_by_role("button", name="Arrange").click()
    cell(page, "P-0").focus()
    page.keyboard.press("Shift+ArrowDown")
    expect(page.get_by_role("status").filter(has_text="row 2, column 1, in place of P-4")).to_be_visible()
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_text("P-0 is in row 3, column 1.")).to_be_visible()
    expect(page.get_by_text("7 where Tigo draws them, 1 where you put it")).to_be_visible()
    expect(cell(page, "P-0")).to_be_focused()
    assert (positions(roofs, 1)["P-0"]["row"], positions(roofs, 1)["P-0"]["by"]) == (3, "user")
    # The page shows it before the server has it.
    with page.expect_response(re.compile("/positions")):
        page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("8 where Tigo draws them")).to_be_visible()
    assert positions(roofs, 1)["P-0"]["by"] == "vendor"


def test_two_panels_change_places_by_mouse(panels: Opens, roofs: Sungaze) -> None:
    page = panels(1, "&view=positions")
    page.get_by_role("button", name="Arrange").click()
    one, other = (cell(page, serial).bounding_box() for serial in ("P-1", "P-6"))
    assert one is not None
    assert other is not None
    page.mouse.move(one["x"] + 30, one["y"] + 30)
    page.mouse.down()
    page.mouse.move(other["x"] + 40, other["y"] + 30, steps=4)
    page.mouse.up()
    expect(page.get_by_text("P-1 is in row 2, column 3.")).to_be_visible()
    placed = positions(roofs, 1)
    assert [(placed[s]["row"], placed[s]["column"]) for s in ("P-1", "P-6")] == [(2, 3), (1, 2)]
    assert "panel=" not in page.url
    page.get_by_role("button", name="Take mine back").click()
    expect(page.get_by_text("8 where Tigo draws them")).to_be_visible()


def test_a_panel_is_carried_by_a_finger(panels: Opens, roofs: Sungaze) -> None:
    page = panels(1, "&view=positions", size=NARROW, touch=True)
    page.get_by_role("button", name="Arrange").click()
    # Far from the edges of the screen, where carrying scrolls.
    cell(page, "P-4").evaluate("element => element.scrollIntoView({ block: 'center' })")
    one, other = (cell(page, serial).bounding_box() for serial in ("P-1", "P-4"))
    assert one is not None
    assert other is not None
    touch = page.context.new_cdp_session(page)

    def finger(kind: str, *points: tuple[float, float]) -> None:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    finger("touchStart", (one["x"] + 30, one["y"] + 20))
    for step in range(1, 5):
        part = step / 4
        x = one["x"] + (other["x"] - one["x"]) * part + 30
        finger("touchMove", (x, one["y"] + (other["y"] - one["y"]) * part + 20))
    finger("touchEnd")
    expect(page.get_by_text("P-1 is in row 2, column 1.")).to_be_visible()
    placed = positions(roofs, 1)
    assert [(placed[s]["row"], placed[s]["column"]) for s in ("P-1", "P-4")] == [(2, 1), (1, 2)]
    page.get_by_role("button", name="Take mine back").click()
    expect(page.get_by_text("8 where Tigo draws them")).to_be_visible()


def test_a_csv_of_positions_is_shown_before_it_is_saved(panels: Opens, roofs: Sungaze) -> None:
    page = panels(2, "&view=positions")
    expect(page.get_by_text("Tigo gives no positions, and you have set none yet.")).to_be_visible()
    page.get_by_role("button", name="From CSV").click()
    sheet = page.get_by_role("dialog", name="Positions from a CSV")
    sheet.get_by_label("Or paste its lines").fill("serial,array,row,column\nP-0,East,1,1\nP-9,East,1,2\nP-1,East,x,2\n")
    sheet.get_by_role("button", name="Show what changes").click()
    expect(sheet.get_by_text("Line 3: no panel here has the serial number “P-9”")).to_be_visible()
    expect(sheet.get_by_text("Line 4: its row is “x”")).to_be_visible()
    expect(sheet.get_by_role("cell", name="East, row 1, column 1")).to_be_visible()
    assert positions(roofs, 2)["P-0"] is None
    sheet.get_by_role("button", name="Save 1 position").click()
    expect(page.get_by_text("1 where you put it, 7 not placed")).to_be_visible()
    expect(page.get_by_role("rowheader", name=re.compile("^East"))).to_be_visible()
    assert positions(roofs, 2)["P-0"]["array"] == "East"
    taken = {"device_id": device(roofs, 2, "P-0"), "row": None, "column": None}
    roofs.client.patch("/api/sites/2/positions", json={"items": [taken]}).raise_for_status()
    expect(page.get_by_text("you have set none yet")).to_be_visible()


def test_a_site_without_panels_says_so_and_what_comes(panels: Opens) -> None:
    page = panels(3)
    expect(page.get_by_role("heading", name="No panels yet")).to_be_visible()
    expect(page.get_by_text("They appear here by themselves")).to_be_visible()


def test_nothing_runs_over_on_a_phone(panels: Opens) -> None:
    page = panels(1, "&view=positions", size=NARROW)
    expect(cells(page).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
    page.get_by_role("button", name="Schematic").click()
    expect(page.get_by_text("Schematic only")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0]
