"""History from a file, as a person brings it in: chosen, its columns said, looked at, imported."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import FilePayload, expect
from program import Sungaze
from running import Opens

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PORTAL = "Zeitpunkt;Leistung (kW)\n30.05.2019 12:00;0,5\n30.05.2019 12:15;0,25\n30.05.2019 12:30;?\n"


def payload(text: str) -> FilePayload:
    return {"name": "portal.csv", "mimeType": "text/csv", "buffer": text.encode()}


def test_a_portals_table_is_chosen_shown_and_imported(opened: Opens, demo: Sungaze) -> None:
    page = opened("#/work", refused=(400,))
    card = page.get_by_role("region", name="Import history")
    card.get_by_label("File", exact=True).set_input_files(payload(PORTAL))
    card.get_by_label("What “Zeitpunkt” is").select_option("timestamp")
    card.get_by_label("What “Leistung (kW)” is").select_option("ac_power_w")
    begin = card.get_by_role("button", name="Import", exact=True)
    card.get_by_role("button", name="Preview").click()
    expect(card.get_by_role("alert").filter(has_text="which site")).to_be_visible()
    expect(begin).to_be_disabled()
    site = demo.client.get("/api/sites").json()["items"][0]
    card.get_by_label("Of the site").select_option(str(site["id"]))
    card.get_by_role("button", name="Preview").click()
    expect(card.get_by_text(re.compile("2019-05-30.*ac_power_w +900 +500"))).to_be_visible()
    expect(card.get_by_text(re.compile("In doubt: Each time is taken as the start"))).to_be_visible()
    card.get_by_label("A time names").select_option("end")
    expect(begin).to_be_disabled()
    card.get_by_role("button", name="Preview").click()
    begin.click()
    expect(card.get_by_text("2 values taken: 2 new, 0 there already.")).to_be_visible()
    expect(card.get_by_text("1 refused: not a number; the first in line 4.")).to_be_visible()
    card.get_by_role("button", name="Delete the file").click()
    expect(card.get_by_text("portal.csv")).to_have_count(0)
    card.get_by_label("File", exact=True).set_input_files(payload(PORTAL))
    expect(card.get_by_text(re.compile("Its columns are known"))).to_be_visible()
    card.get_by_role("button", name="Delete the file").click()
    expect(card.get_by_text("portal.csv")).to_have_count(0)


def test_a_table_with_a_row_for_each_device_needs_no_device_for_a_column(opened: Opens, demo: Sungaze) -> None:
    page = opened("#/work", refused=(400,))
    card = page.get_by_role("region", name="Import history")
    rows = "Time,S/N,Pac (kW)\n2019-05-30 12:00,X1,1\n2019-05-30 12:00,X2,2\n"
    card.get_by_label("File", exact=True).set_input_files(payload(rows))
    card.get_by_label("What “Time” is").select_option("timestamp")
    card.get_by_label("What “Pac (kW)” is").select_option("ac_power_w")
    own = card.get_by_label("Device of “Pac (kW)”")
    own.fill("X3")
    card.get_by_label("What “S/N” is").select_option(label="Each row's device")
    expect(own).to_have_count(0)
    card.get_by_label("Of the site").select_option(str(demo.client.get("/api/sites").json()["items"][0]["id"]))
    card.get_by_role("button", name="Preview").click()
    expect(card.get_by_role("alert").filter(has_text="say what a row covers")).to_be_visible()
    card.get_by_label("A row covers").select_option("15 minutes")
    card.get_by_label("Time zone").fill("UTC")
    card.get_by_role("button", name="Preview").click()
    expect(card.get_by_text(re.compile("Times are of UTC.*; a row covers 900 seconds"))).to_be_visible()
    expect(card.get_by_text(re.compile(r"X1 \(1 value\), X2 \(1 value\): 2 devices"))).to_be_visible()
    card.get_by_role("button", name="Delete the file").click()
    expect(card.get_by_text("portal.csv")).to_have_count(0)


def test_a_file_without_a_table_is_refused_in_a_sentence(opened: Opens) -> None:
    page = opened("#/work", refused=(400,))
    card = page.get_by_role("region", name="Import history")
    card.get_by_label("File", exact=True).set_input_files(payload("a diary\nof mine\n"))
    expect(card.get_by_role("alert").filter(has_text="No table was found")).to_be_visible()
