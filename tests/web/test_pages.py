"""The pages of the demo, as a person uses them."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect
from program import DEMO_SITES, TOP, Sungaze
from running import NARROW, Opens

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FIRST_VIEW_BYTES = 90_000
ACCOUNTS = 7
METERS = 8
"""A minute and a month of Enphase and SolarEdge, Tigo's minute, a minute and a day of Generac, CPS's minute."""
ALL_BYTES = 150_000
DEVICES_MS = 150_000
HISTORY_MS = 60_000
"""The curve of a past day appears in an open page once it has been bought."""
PAGES = (
    "#/accounts/connect", "#/accounts/connect?vendor=enphase&method=owner_consent", "#/accounts/connect?vendor=cps",
    "#/settings", "#/about",
)  # fmt: skip


def to_site(page: Page, vendor: str) -> None:
    """Follow the first site of a vendor from the fleet's list."""
    page.get_by_role("group", name="Filter the list").get_by_role("link", name=vendor).click()
    page.get_by_role("table").get_by_role("link").first.click()
    expect(page.get_by_role("link", name="Overview")).to_be_visible()


def test_the_fleet_answers_on_the_first_screen(opened: Opens) -> None:
    page = opened()
    expect(page.get_by_text("DEMO", exact=True)).to_be_visible()
    expect(page.get_by_text(re.compile(rf"^{DEMO_SITES}.sites"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"of (29|30).places$")).first).to_be_visible()
    expect(page.get_by_text("Yesterday, complete")).to_be_visible()
    sections = page.get_by_role("rowheader").all_inner_texts()
    order = ["Need you", "No word", "Not asked yet, late or silent", "Fine", "Asleep"]
    found = [next(name for name in order if text.startswith(name)) for text in sections]
    assert found == sorted(found, key=order.index)


def test_ctrl_k_searches_and_the_search_is_in_the_address(opened: Opens) -> None:
    page = opened()
    first = page.get_by_role("table").get_by_role("link").first
    name = first.inner_text()
    page.keyboard.press("Control+k")
    page.keyboard.type(name)
    expect(page).to_have_url(re.compile("q="))
    expect(page.get_by_role("table").get_by_role("link").first).to_have_text(name)
    # Once for what was found, once for what was typed.
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.get_by_text(re.compile(rf"^{DEMO_SITES}.sites"))).to_be_visible()


def test_the_day_of_a_site_is_in_the_address_and_back_leads_back(opened: Opens) -> None:
    page = opened()
    to_site(page, "Enphase")
    curve = page.get_by_role("slider")
    expect(curve).to_be_visible()
    page.get_by_role("link", name="The day before").click()
    expect(page).to_have_url(re.compile(r"date=\d{4}-\d\d-\d\d"))
    expect(curve).to_have_attribute("aria-label", re.compile("at most"), timeout=HISTORY_MS)
    page.reload()
    expect(curve).to_have_attribute("aria-label", re.compile("at most"), timeout=HISTORY_MS)
    page.go_back()
    expect(page).not_to_have_url(re.compile("date="))


def test_the_curve_can_be_read_by_keyboard(opened: Opens) -> None:
    page = opened()
    to_site(page, "Enphase")
    page.get_by_role("link", name="The day before").click()
    curve = page.get_by_role("slider")
    expect(curve).to_have_attribute("aria-label", re.compile("at most"), timeout=HISTORY_MS)
    curve.press("Home")
    expect(curve).to_have_attribute("aria-valuetext", re.compile(r"^\d\d:\d\d–\d\d:\d\d, .+W$"))
    read = curve.get_attribute("aria-valuetext") or ""
    page.set_viewport_size({"width": 900, "height": 800})
    page.wait_for_function("document.querySelector('.chart .over')?.clientWidth < 700")
    expect(curve).to_have_attribute("aria-valuetext", read)


def test_enphase_and_solaredge_are_named_with_their_links(opened: Opens) -> None:
    page = opened()
    to_site(page, "Enphase")
    named = page.get_by_role("link", name="Powered by Enphase")
    expect(named).to_have_attribute("rel", "noopener")
    page.get_by_role("link", name="Fleet").first.click()
    page.get_by_role("link", name=re.compile("^All ")).click()
    to_site(page, "SolarEdge")
    expect(page.get_by_role("link", name=re.compile("SolarEdge")).first).to_have_attribute(
        "href", re.compile("solaredge")
    )


def test_panels_can_be_walked_scrubbed_and_compared(opened: Opens) -> None:
    page = opened()
    to_site(page, "Enphase")
    page.get_by_role("link", name="Panels", exact=True).click()
    page.get_by_role("link", name="The day before").click()
    cells = page.get_by_role("grid").get_by_role("button")
    expect(cells.first).to_have_accessible_name(re.compile("W|no data"), timeout=HISTORY_MS)
    expect(page.get_by_text("Schematic only")).to_be_visible()
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    expect(cells.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("panel="))
    expect(page.get_by_text(re.compile("nearest by serial number"))).to_be_visible()
    moment = page.get_by_role("slider", name="Moment of the day")
    before = moment.get_attribute("aria-valuetext")
    moment.press("ArrowLeft")
    expect(moment).not_to_have_attribute("aria-valuetext", before or "")
    expect(page).to_have_url(re.compile(r"at=\d+"))


@pytest.mark.timeout(240)
def test_solaredge_panels_say_why_they_have_no_figures(opened: Opens) -> None:
    page = opened()
    to_site(page, "SolarEdge")
    page.get_by_role("link", name="Panels", exact=True).click()
    expect(page.get_by_text("no figures per panel")).to_be_visible()
    # The plan's pace decides when the devices come; they appear in the open page by themselves.
    cell = page.get_by_role("grid").get_by_role("button").first
    expect(cell).to_have_accessible_name(re.compile("–"), timeout=DEVICES_MS)
    expect(page.get_by_role("slider", name="Moment of the day")).to_have_count(0)


def test_what_the_user_knows_better_appears_in_an_open_list_by_itself(opened: Opens) -> None:
    fleet, site = opened(), opened()
    row = fleet.get_by_role("table").get_by_role("link").first
    expect(row).to_be_visible()
    site.goto(f"{site.url.split('#')[0]}{row.get_attribute('href')}")
    site.get_by_role("button", name="Edit").click()
    site.get_by_label("Name", exact=True).fill("Roof of the test")
    site.get_by_role("button", name="Save", exact=True).click()
    expect(site.get_by_role("heading", level=1)).to_have_text("Roof of the test")
    expect(fleet.get_by_role("link", name="Roof of the test")).to_be_visible()
    site.get_by_role("button", name="Edit").click()
    site.get_by_role("button", name="Take back your Name").click()
    site.get_by_role("button", name="Save", exact=True).click()
    expect(fleet.get_by_role("link", name="Roof of the test")).to_have_count(0)


def test_accounts_show_calls_used_and_left_and_disconnecting_asks_first(opened: Opens) -> None:
    page = opened("#/accounts")
    expect(page.get_by_role("meter")).to_have_count(METERS)
    page.get_by_role("button", name="Disconnect").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("keep all history")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("article")).to_have_count(ACCOUNTS)


def test_the_theme_follows_the_system_until_it_is_chosen(opened: Opens) -> None:
    page = opened(theme="dark")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Theme").click()
    expect(root).to_have_attribute("data-theme", "light")
    page.reload()
    expect(root).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Theme: dark").click()
    expect(page.get_by_role("button", name="Theme: as the system")).to_be_visible()


def test_the_pages_of_forms_fit_into_360_pixels(opened: Opens) -> None:
    # Those of data are looked at with data that is odd, in test_bad_input.
    page = opened(PAGES[0], size=NARROW)
    for hash_ in PAGES:
        page.evaluate("hash => { location.hash = hash }", hash_)
        expect(page.get_by_role("heading", level=1)).to_be_attached()
        expect(page.locator("main .skeleton")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW[0], hash_


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_of_the_pages_for_the_readme(opened: Opens, theme: str) -> None:
    shots = TOP / "out" / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    page = opened(theme=theme)
    expect(page.get_by_text(re.compile(rf"^{DEMO_SITES}.sites"))).to_be_visible()
    page.screenshot(path=shots / f"fleet-{theme}.png")
    to_site(page, "Enphase")
    # The day before has its whole curve at any time of the day.
    page.get_by_role("link", name="The day before").click()
    expect(page.get_by_role("slider")).to_have_attribute("aria-label", re.compile("at most"), timeout=HISTORY_MS)
    page.screenshot(path=shots / f"site-{theme}.png")
    page.get_by_role("link", name="Panels", exact=True).click()
    expect(page.get_by_role("grid").get_by_role("button", name=re.compile("W")).first).to_be_visible(timeout=HISTORY_MS)
    page.screenshot(path=shots / f"panels-{theme}.png")
    assert all((shots / f"{name}-{theme}.png").stat().st_size > 20_000 for name in ("fleet", "site", "panels"))


def test_the_pages_keep_their_budget(demo: Sungaze) -> None:
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in (TOP / "out/web").rglob("*.js")}
    assert sum(sizes.values()) <= ALL_BYTES, sizes
    first = httpx.get(demo.address).text
    named = [Path(path).name for path in re.findall(r'(?:src|href)="([^"]+\.js)"', first)]
    assert sum(sizes[name] for name in named) <= FIRST_VIEW_BYTES, named
