"""The flows of a morning: find a customer, look at what changed, arrange the list, choose how it looks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import APIResponse, Route, expect
from program import Sungaze
from running import Opens

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HISTORY_MS = 60_000


def test_a_customer_on_the_phone_is_found_by_the_keyboard_alone(opened: Opens, demo: Sungaze) -> None:
    site = next(s for s in demo.client.get("/api/sites").json()["items"] if s["name"] == "Juniper Clinic")
    sheet = f"/api/places/{site['place']['id']}"
    demo.client.patch(sheet, json={"customer": "Ida Sørensen", "phone": "+45 30 11 22 33"}).raise_for_status()
    try:
        page = opened("#/accounts")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.keyboard.press("Control+k")
        page.keyboard.type("3011 2233")
        hit = page.get_by_role("listbox", name="Found").get_by_role("option").first
        expect(hit).to_contain_text("Ida Sørensen")
        page.keyboard.press("ArrowDown")
        expect(page.get_by_role("combobox")).to_have_attribute("aria-activedescendant", hit.get_attribute("id") or "")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Juniper Clinic")
    finally:
        demo.client.patch(sheet, json={"customer": None, "phone": None}).raise_for_status()


def test_a_device_is_found_by_its_serial_and_a_page_by_its_name(opened: Opens, demo: Sungaze) -> None:
    site = next(s for s in demo.client.get("/api/sites").json()["items"] if s["name"] == "Juniper Clinic")
    page = opened(f"#/sites/{site['id']}/panels")
    # The cells come when the devices have been asked for.
    expect(page.get_by_role("grid").get_by_role("button").first).to_be_visible(timeout=HISTORY_MS)
    devices = demo.client.get(f"/api/sites/{site['id']}/devices").json()["items"]
    serial = next(d["serial_number"] for d in devices if d["device_type"] == "microinverter")
    page.keyboard.press("/")
    page.keyboard.type(serial)
    page.get_by_role("option", name=re.compile(rf"^Device.*{serial}")).click()
    expect(page).to_have_url(re.compile(rf"#/sites/{site['id']}/"))
    page.keyboard.press("Control+k")
    page.keyboard.type("licen")
    page.get_by_role("option", name=re.compile("licences")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("About Sungaze")
    for shipped in ("svelte", "litestar", "openapi-fetch"):
        expect(page.get_by_role("rowheader", name=shipped, exact=True)).to_be_visible()


def test_the_dead_panel_of_the_demo_is_found_within_three_clicks(opened: Opens) -> None:
    page = opened()
    row = page.get_by_role("row").filter(has_text="Microinverter not reporting").first
    expect(row).to_contain_text("lost", timeout=HISTORY_MS)
    serial = re.search(r"not reporting \((\d+)\)", row.inner_text())
    assert serial
    row.get_by_role("link").click()
    page.get_by_role("link", name="Panels", exact=True).click()
    # Its state is the word that stands in its cell, by night as well.
    page.get_by_role("grid").get_by_role("button", name=f"{serial[1]}, –, offline", exact=True).click()
    expect(page).to_have_url(re.compile("panel="))


def test_the_list_is_grouped_and_every_window_agrees(opened: Opens) -> None:
    page, other = opened(), opened()
    expect(other.get_by_role("rowheader", name=re.compile("^Need you"))).to_be_visible()
    page.get_by_text("View", exact=True).click()
    page.get_by_label("Group by").select_option("vendor")
    page.get_by_label("Lost a day").check()
    try:
        for one in (page, other):
            expect(one.get_by_role("rowheader", name=re.compile("^Enphase"))).to_be_visible()
            expect(one.get_by_role("columnheader", name="Lost a day")).to_be_visible()
    finally:
        page.get_by_label("Group by").select_option("need")
        page.get_by_label("Lost a day").uncheck()
    expect(other.get_by_role("columnheader", name="Lost a day")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_label("Group by")).to_be_hidden()


def test_a_change_outlives_the_late_answer_to_the_one_before_it(opened: Opens) -> None:
    page = opened()
    held: list[tuple[Route, APIResponse]] = []

    def hold_the_first(route: Route) -> None:
        if route.request.method == "PATCH" and not held:
            held.append((route, route.fetch()))
        else:
            route.continue_()

    page.route("**/api/settings", hold_the_first)
    page.get_by_text("View", exact=True).click()
    page.get_by_label("Group by").select_option("vendor")
    try:
        with page.expect_response(lambda answer: answer.request.method == "PATCH"):
            page.get_by_label("Lost a day").check()
        ((route, answer),) = held
        with page.expect_response(lambda answer: answer.request.method == "PATCH"):
            route.fulfill(response=answer)
        page.wait_for_function("() => document.querySelectorAll('[role=columnheader]').length > 0")
        expect(page.get_by_role("columnheader", name="Lost a day")).to_be_visible()
        expect(page.get_by_label("Lost a day")).to_be_checked()
        expect(page.get_by_label("Group by")).to_have_value("vendor")
    finally:
        page.unroute("**/api/settings")
        page.get_by_label("Group by").select_option("need")
        page.get_by_label("Lost a day").uncheck()
    expect(page.get_by_role("columnheader", name="Lost a day")).to_have_count(0)


def test_settings_hold_in_every_window_and_come_back(opened: Opens) -> None:
    page, other = opened("#/settings"), opened()
    expect(other.get_by_text(re.compile(r"^[\d.,]+.W$")).first).to_be_visible()
    page.get_by_label("Always kW and kWh").check()
    page.get_by_label("Dark", exact=True).check()
    try:
        expect(other.locator("html")).to_have_attribute("data-theme", "dark")
        expect(other.get_by_text(re.compile(r"^[\d.,]+.W$"))).to_have_count(0)
        expect(other.get_by_text(re.compile(r"^[\d.,]+.kW$")).first).to_be_visible()
    finally:
        page.get_by_label("W, kW, MW: whatever is shortest").check()
        page.get_by_label("As the system").check()
    expect(other.locator("html")).to_have_attribute("data-theme", "light")


def test_times_are_told_as_the_settings_wish(opened: Opens, demo: Sungaze) -> None:
    site = next(
        s
        for s in demo.client.get("/api/sites").json()["items"]
        if (s["vendor"], s["timezone"]) == ("enphase", "Asia/Kolkata")
    )
    page, other = opened("#/settings"), opened(f"#/sites/{site['id']}")
    expect(other.get_by_text(re.compile(r"site time \(GMT\+5:30\)")).first).to_be_visible(timeout=HISTORY_MS)
    page.get_by_label("Everything in UTC").check()
    try:
        # The note stands beside the curve, which comes with the site's first figures.
        expect(other.get_by_text("the site’s day, told in UTC")).to_be_visible(timeout=HISTORY_MS)
        expect(other.get_by_text("All in UTC, as your settings wish.")).to_be_visible()
    finally:
        page.get_by_label("Each site in its own time").check()
    expect(other.get_by_text(re.compile(r"site time \(GMT\+5:30\)")).first).to_be_visible()


def test_the_map_of_the_keys_and_its_keys(opened: Opens) -> None:
    page = opened()
    expect(page.get_by_role("table").get_by_role("link").first).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.get_by_role("table").locator("a:focus")).to_have_count(1)
    page.keyboard.press("g")
    page.keyboard.press("s")
    expect(page.get_by_role("heading", level=1)).to_have_text("Settings")


def test_a_lost_connection_is_said_and_mended(opened: Opens) -> None:
    page = opened(refused=(0,))
    expect(page.get_by_role("table").get_by_role("link").first).to_be_visible()
    page.route("**/api/events", lambda route: route.abort())
    page.reload()
    expect(page.get_by_text("No connection to Sungaze")).to_be_visible()
    expect(page.get_by_role("table").get_by_role("link").first).to_be_visible()
    page.unroute("**/api/events")
    expect(page.get_by_text("Connected again")).to_be_visible()
