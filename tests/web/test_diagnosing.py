"""The Settings page says where credentials are, and hands out the diagnostics."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from program import Sungaze
from running import Opens

from sungaze.config import Settings
from sungaze.runtime import Runtime

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_the_settings_say_where_credentials_are(opened: Opens, demo: Sungaze) -> None:
    page = opened("#/settings")
    words = demo.client.get("/api/secrets").json()["words"]
    assert "a file that only you can read" in words
    expect(page.get_by_text(words, exact=True)).to_be_visible()


def test_diagnostics_are_downloaded_by_the_keyboard_alone(opened: Opens) -> None:
    page = opened("#/settings")
    link = page.get_by_role("link", name="Diagnostics", exact=True)
    expect(link).to_be_visible()
    link.focus()
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "sungaze-diagnostics.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {"README.txt", "about.json", "accounts.json", "logs/sungaze.log"} <= set(archive.namelist())


def test_a_wrong_clock_is_said_on_every_page(opened: Opens) -> None:
    page = opened("#/")
    sentence = "This computer's clock stands at 1970-01-01."
    page.route(
        re.compile(r"/api/health$"),
        lambda route: route.fulfill(json={
            "status": "ok", "version": "1", "demo": True, "session": True, "clock": sentence,
        }),
    )  # fmt: skip
    page.reload()
    expect(page.get_by_role("alert").filter(has_text=sentence)).to_be_visible()


def test_trouble_with_the_data_is_said_on_an_open_page_as_it_comes_and_goes(browser: Browser, tmp_path: Path) -> None:
    sentence = "The disk that holds your data is full."
    runtime = Runtime(Settings(data_dir=tmp_path / "data"), polling=False)
    runtime.start()
    page = browser.new_page()
    try:
        page.goto(runtime.link())
        expect(page.get_by_role("navigation").first).to_be_visible()
        for trouble in (sentence, "", sentence):
            runtime.context.tell_trouble("disk", trouble)
            expect(page.get_by_role("alert").filter(has_text=sentence)).to_have_count(1 if trouble else 0)
    finally:
        page.close()
        runtime.stop()
