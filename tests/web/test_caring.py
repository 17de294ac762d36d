"""Alerts, care, sheets, merge and split, as a person uses them; each test puts back what it changed."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from program import Sungaze
from running import Opens, total_kwp, whole_places

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FIRST_ALERTS_MS = 60_000


def first_alert(page: Page) -> None:
    expect(page.get_by_role("button", name=re.compile("^Acknowledge: ")).first).to_be_visible(timeout=FIRST_ALERTS_MS)


def test_the_filters_of_the_alerts_are_in_the_address(opened: Opens) -> None:
    page = opened("#/alerts")
    first_alert(page)
    page.get_by_label("Told by").select_option("sungaze")
    page.get_by_role("group", name="How they are grouped").get_by_role("link", name="By kind").click()
    expect(page).to_have_url(re.compile("source=sungaze.*by=code"))
    page.reload()
    expect(page.get_by_label("Told by")).to_have_value("sungaze")
    expect(page.get_by_role("button", name=re.compile("^Acknowledge: .*says"))).to_have_count(0)


def test_the_focus_goes_with_a_row_that_moves(opened: Opens, demo: Sungaze) -> None:
    page = opened("#/")
    first = page.get_by_role("table").get_by_role("row").get_by_role("link").first
    expect(first).to_be_visible()
    page.keyboard.press("j")
    expect(first).to_be_focused()
    name = first.inner_text()
    place = next(p["id"] for p in whole_places(demo) if p["name"] == name)
    demo.client.patch(f"/api/places/{place}/care", json={"snooze": "change"}).raise_for_status()
    expect(first).not_to_have_text(name)
    expect(page.get_by_role("table").locator(":focus")).to_have_count(1)
    page.keyboard.press("j")
    expect(page.get_by_role("table").locator(":focus")).to_have_count(1)
    demo.client.patch(f"/api/places/{place}/care", json={"snooze": None}).raise_for_status()


def test_a_note_is_written_deleted_and_brought_back(opened: Opens, demo: Sungaze) -> None:
    page = opened("#/places/1")
    page.get_by_label("Notes", exact=True).fill("<b>ladder</b> in the barn")
    page.get_by_role("button", name="Add the note").click()
    note = page.get_by_role("listitem").filter(has_text="<b>ladder</b> in the barn")
    expect(note).to_be_visible()
    note.get_by_role("button", name=re.compile("^Delete")).click()
    expect(note).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(note).to_be_visible()
    for kept in demo.client.get("/api/places/1/notes").json()["items"]:
        demo.client.delete(f"/api/notes/{kept['id']}")


def test_a_roof_that_two_vendors_see_counts_once_again_after_a_split_and_a_merge(opened: Opens, demo: Sungaze) -> None:
    roof = next(p for p in whole_places(demo) if sorted(s["vendor"] for s in p["sites"]) == ["cps", "tigo"])
    whole = total_kwp(demo)
    tigo = next(site for site in roof["sites"] if site["vendor"] == "tigo")
    page = opened(f"#/places/{roof['id']}")
    page.get_by_role("button", name=re.compile("^Split .* of Tigo")).click()
    expect(page.get_by_role("status").filter(has_text="has a place of its own now")).to_be_visible()
    assert total_kwp(demo) == pytest.approx(whole + tigo["peak_power_kw"])
    apart = demo.client.get(f"/api/sites/{tigo['id']}").json()["place"]["id"]
    page.get_by_label("Merge another place into this one").fill(f"{roof['name']} ({apart})")
    expect(page.get_by_text(re.compile(r"^[\d.]+.kWp counts once → [\d.]+.kWp$"))).to_be_visible()
    page.get_by_role("button", name="Merge", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="are one now")).to_be_visible()
    expect(page.get_by_text("another view of the same generation")).to_be_visible()
    assert total_kwp(demo) == pytest.approx(whole)


def test_the_sheet_is_edited_in_place(opened: Opens, demo: Sungaze) -> None:
    page = opened("#/places/2", refused=(400,))
    page.get_by_role("button", name="Edit Phone, empty now").click()
    page.get_by_label("Phone", exact=True).fill("+49 30 123")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="+49 30 123")).to_have_attribute("href", "tel:+4930123")
    page.get_by_role("button", name="Edit Phone: +49 30 123").click()
    page.get_by_label("Phone", exact=True).fill("something else")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="+49 30 123")).to_be_visible()
    page.get_by_role("button", name=re.compile("^Edit Tilt")).click()
    page.get_by_label("Tilt", exact=True).fill("120")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="between 0 and 90")).to_be_visible()
    expect(page.get_by_label("Tilt", exact=True)).to_have_value("120")
    assert demo.client.patch("/api/places/2", json={"phone": None}).json()["phone"] is None


def test_a_csv_is_shown_before_it_is_written(opened: Opens, demo: Sungaze) -> None:
    page = opened("#/places")
    # Those of two sites are joined by themselves, and one of their numbers is gone then.
    place, other = [one["id"] for one in whole_places(demo) if len(one["sites"]) == 1 and not one["customer"]][:2]
    page.get_by_role("button", name="Import").click()
    text = f"id;Customer;PTO\n{place};Müller €;24.11.2026\n{other};X;someday\n".encode("cp1252")
    file = {"name": "sheets.csv", "mimeType": "text/csv", "buffer": text}
    page.get_by_label("CSV file").set_input_files(files=[file])  # type: ignore[list-item]
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 place would change")
    expect(dialog).to_contain_text("empty → Müller €")
    expect(dialog).to_contain_text("line 3 “someday” is no date")
    assert demo.client.get(f"/api/places/{place}").json()["customer"] is None
    dialog.get_by_role("button", name="Write 1 place").click()
    expect(dialog).to_contain_text("1 place changed")
    assert demo.client.get(f"/api/places/{place}").json()["customer"] == "Müller €"
    dialog.get_by_role("button", name="Close").last.click()
    expect(page.get_by_role("status").filter(has_text="1 place changed.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("status").filter(has_text="It is as it was before.")).to_be_visible()
    back = demo.client.get(f"/api/places/{place}").json()
    assert (back["customer"], back["permission_to_operate_on"]) == (None, None)
