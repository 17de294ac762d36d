"""A site's pages: its ranges, zoom, devices, data and export; and what they make of answers that are odd."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from program import Sungaze
from running import Opens

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HISTORY_MS = 60_000
DEVICES = 5000


@pytest.fixture(scope="module")
def site(demo: Sungaze) -> dict[str, Any]:
    """An Enphase site of the demo."""
    items = demo.client.get("/api/sites", params={"limit": 1000, "sort": "id"}).json()["items"]
    found: dict[str, Any] = next(item for item in items if item["vendor"] == "enphase")
    return found


def odd(page: Page, path: str, change: Callable[[Any], Any]) -> None:
    """Have one answer of the server changed on its way."""

    def answer(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=json.dumps(change(response.json())))

    page.route(re.compile(rf"{path}($|\?)"), answer)


def yesterday(page: Page) -> None:
    """Go to the day before and wait until its curve is there."""
    page.get_by_role("link", name="The day before").click()
    expect(page.get_by_role("slider")).to_have_attribute("aria-label", re.compile("at most"), timeout=HISTORY_MS)


def test_ranges_are_in_the_address_and_arrows_walk_through_them(opened: Opens, site: dict[str, Any]) -> None:
    page = opened(f"#/sites/{site['id']}")
    page.get_by_role("link", name="Month", exact=True).click()
    expect(page).to_have_url(re.compile("range=month"))
    bars = page.get_by_role("list", name="Energy, bar by bar").get_by_role("link")
    expect(bars).to_have_count(30, timeout=HISTORY_MS)
    page.get_by_role("heading", level=1).focus()
    page.keyboard.press("ArrowLeft")
    expect(bars).to_have_count(31, timeout=HISTORY_MS)
    page.get_by_role("link", name="The month after").click()
    expect(page).not_to_have_url(re.compile("date="))
    page.get_by_role("link", name="Year", exact=True).click()
    calendar = page.get_by_role("group", name="Calendar of 2026")
    expect(calendar.locator("a")).to_have_count(365)
    calendar.locator("[tabindex='0']").focus()
    page.keyboard.press("ArrowUp")
    expect(calendar.locator(":focus")).to_have_accessible_name(re.compile(r"2026: [\d.]+.k?Wh$"))
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"date=\d{4}-\d\d-\d\d"))
    expect(page.get_by_role("slider")).to_be_visible()


def test_a_day_is_zoomed_by_dragging_or_by_keys_and_escape_shows_it_whole(opened: Opens, site: dict[str, Any]) -> None:
    page = opened(f"#/sites/{site['id']}")
    yesterday(page)
    box = page.locator(".chart .over").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"zoom=\d+-\d+"))
    page.reload()
    expect(page.get_by_role("button", name="Whole day")).to_be_visible()
    page.get_by_role("slider").press("Escape")
    expect(page.get_by_role("button", name="Whole day")).to_have_count(0)
    page.get_by_role("slider").press("+")
    expect(page.get_by_role("button", name="Whole day")).to_be_visible()


def test_the_curve_is_taken_away_as_csv_and_as_a_picture(opened: Opens, site: dict[str, Any]) -> None:
    page = opened(f"#/sites/{site['id']}")
    yesterday(page)
    with page.expect_download() as csv:
        page.get_by_role("link", name="Download this curve as CSV").click()
    assert "powered-by-enphase" in csv.value.suggested_filename
    lines = csv.value.path().read_text().splitlines()
    assert lines[0].startswith("vendor,vendor_site_id")
    assert {tuple(line.split(",")[3:5]) for line in lines[1:]} == {("ac_power_w", "300")}
    with page.expect_download() as png:
        page.get_by_role("button", name="PNG: save this chart").click()
    assert png.value.path().read_bytes().startswith(b"\x89PNG")


def test_devices_are_found_sorted_and_opened(opened: Opens, site: dict[str, Any], demo: Sungaze) -> None:
    devices = demo.client.get(f"/api/sites/{site['id']}/devices").json()["items"]
    serial = next(d["serial_number"] for d in devices if d["device_type"] == "microinverter")
    page = opened(f"#/sites/{site['id']}/devices")
    table = page.get_by_role("table", name="Devices of this site")
    page.get_by_role("button", name="Sort by Serial").click()
    expect(page.get_by_role("columnheader", name="Sort by Serial")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("searchbox", name=re.compile("Find a device")).fill(serial)
    expect(table.get_by_role("row")).to_have_count(2)
    expect(table.get_by_role("cell", name=re.compile("Microinverter"))).to_have_text(f"Microinverter {serial}")
    expect(page).to_have_url(re.compile("find="))
    table.get_by_role("link").click()
    expect(page.get_by_role("heading", level=2, name=re.compile(serial))).to_be_visible()
    expect(page.get_by_role("slider")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("searchbox", name=re.compile("Find a device"))).to_have_value(serial)


def test_a_site_with_5000_devices_draws_only_what_is_seen(opened: Opens, site: dict[str, Any]) -> None:
    page = opened("#/")

    def many(answer: Any) -> Any:
        first = answer["items"][0]
        return {
            "items": [first | {"id": n, "serial_number": f"S{n}", "status": "normal"} for n in range(1, DEVICES + 1)]
        }

    odd(page, r"/api/sites/\d+/devices", many)
    page.goto(f"{page.url.split('#')[0]}#/sites/{site['id']}/devices?sort=serial")
    rows = page.get_by_role("table", name="Devices of this site").get_by_role("row")
    expect(page.get_by_text(re.compile("^5,000.devices$"))).to_be_visible()
    assert rows.count() < 100
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.get_by_role("cell", name=f"S{DEVICES}", exact=True)).to_be_visible()
    assert rows.count() < 100


def test_data_tells_what_is_there_what_is_owed_and_what_was_refused(opened: Opens, site: dict[str, Any]) -> None:
    page = opened("#/")
    refused = {
        "device_id": 0, "vendor_device_id": "", "metric": "ac_power_w", "unit": "W", "interval_s": 300,
        "timestamp": 1_795_500_000, "refused_at": 1_795_500_000,
    }  # fmt: skip
    odd(
        page, r"/api/sites/\d+/quarantine",
        lambda _: {"items": [
            refused | {"value": "9e300", "reason": "above 30300"},
            refused | {"value": "nan", "reason": "not a number", "timestamp": 1_795_500_300},
        ], "total": 2},
    )  # fmt: skip
    page.goto(f"{page.url.split('#')[0]}#/sites/{site['id']}/data")
    days = page.get_by_role("group", name=re.compile("^Completeness by day"))
    expect(days.get_by_role("link")).to_have_count(90)
    expect(days.get_by_role("link", name=re.compile(r"\d+ of \d+ intervals")).first).to_be_attached()
    expect(page.get_by_role("cell", name="not a number")).to_be_visible()
    expect(page.get_by_role("cell", name="9e300")).to_be_visible()
    expect(page.get_by_text("Production is what the microinverters report")).to_be_visible()
    with page.expect_download() as csv:
        page.get_by_role("link", name="Download CSV").click()
    assert csv.value.path().stat().st_size > 1000


def test_figures_that_are_null_negative_or_enormous_are_drawn_as_what_they_are(
    opened: Opens, site: dict[str, Any]
) -> None:
    page = opened("#/")

    def wild(answer: Any) -> Any:
        points = [[at, value] for at, value, *_ in answer["points"]]
        values = [None, -40.0, 7e14, 0.0]
        return answer | {"points": [[at, values[n % 4]] for n, (at, _) in enumerate(points)]}

    odd(page, r"/api/sites/\d+/series", wild)
    odd(
        page, rf"/api/sites/{site['id']}",
        lambda answer: answer | {"power_w": -3.0, "energy_today_wh": None, "energy_month_wh": 9e17},
    )  # fmt: skip
    page.goto(f"{page.url.split('#')[0]}#/sites/{site['id']}")
    page.get_by_role("link", name="The day before").click()
    expect(page.get_by_role("slider")).to_have_attribute(
        "aria-label", re.compile(r"at most 700.TW"), timeout=HISTORY_MS
    )
    expect(page.get_by_text("900,000 TWh")).to_be_visible()


def test_on_paper_there_is_the_page_and_whose_data_it_is(opened: Opens, site: dict[str, Any]) -> None:
    page = opened(f"#/sites/{site['id']}", theme="dark")
    expect(page.get_by_role("slider")).to_be_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
    foot = page.get_by_text(re.compile("^Printed "))
    expect(foot).to_be_visible()
    expect(foot).to_contain_text("Powered by Enphase")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
