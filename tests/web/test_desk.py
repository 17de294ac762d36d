"""A window on a server elsewhere, in a browser: the token is asked for, and the last view of a lost server stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from program import DEMO_SITES, TOKEN, Sungaze
from running import WIDE

from sungaze.config import Settings
from sungaze.remote import Desk

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FIRST_SITES_MS = 60_000
BACK_MS = 30_000


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Sungaze]:
    """A server of this test's own, for it is stopped."""
    running = Sungaze(tmp_path / "office", demo=True)
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def desk(office: Sungaze, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(office.address, Settings(data_dir=tmp_path / "desk"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def page(browser: Browser, desk: Desk) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": WIDE[0], "height": WIDE[1]}, locale="en-GB", timezone_id="UTC")
    opened = context.new_page()
    failures: list[str] = []
    opened.on("pageerror", lambda error: failures.append(str(error)))
    opened.goto(desk.link())
    yield opened
    assert failures == []
    context.close()


def test_a_desk_asks_for_the_token_shows_the_office_and_keeps_its_last_view_while_that_is_away(
    page: Page, office: Sungaze, tmp_path: Path
) -> None:
    expect(page.get_by_role("heading", name=f"The token of {office.address}")).to_be_visible()
    page.get_by_label("Token").fill("a-wrong-token-0123456789")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("does not take this token")
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Connect").click()
    expect(page.get_by_text(re.compile(rf"^{DEMO_SITES}.sites"))).to_be_visible(timeout=FIRST_SITES_MS)
    page.get_by_role("link", name="Places", exact=True).click()
    expect(page.get_by_role("heading", name="Places", level=1)).to_be_visible()

    port = urlsplit(office.address).port
    office.stop()
    told = page.get_by_role("status").filter(has_text="No connection to")
    expect(told).to_contain_text(re.compile(rf"No connection to 127.0.0.1:{port} since \d\d:\d\d"))
    page.reload()
    expect(told).to_contain_text(re.compile(r"as it was at \d\d:\d\d"))
    page.get_by_role("link", name="Fleet", exact=True).click()
    expect(page.get_by_text(re.compile(rf"^{DEMO_SITES}.sites"))).to_be_visible()
    page.get_by_role("link", name=re.compile("^Alerts")).click()
    expect(page.get_by_role("alert").filter(has_text="does not answer").first).to_be_visible()
    page.screenshot(path=tmp_path / "lost.png")

    again = Sungaze(tmp_path / "office", "--port", str(port), demo=True)
    try:
        expect(page.get_by_text("Connected again.")).to_be_visible(timeout=BACK_MS)
        expect(page.get_by_role("alert").filter(has_text="does not answer")).to_have_count(0)
    finally:
        again.stop()


def test_a_desk_whose_office_was_never_there_says_so_and_goes_on_trying(browser: Browser, tmp_path: Path) -> None:
    office = Sungaze(tmp_path / "office", demo=True)
    port = urlsplit(office.address).port
    office.stop()
    desk = Desk(office.address, Settings(data_dir=tmp_path / "desk", token=TOKEN))
    desk.start()
    context = browser.new_context()
    try:
        opened = context.new_page()
        opened.goto(desk.link())
        expect(opened.get_by_role("alert")).to_contain_text(f"The server at {office.address} does not answer")
        again = Sungaze(tmp_path / "office", "--port", str(port), demo=True)
        try:
            expect(opened.get_by_text(re.compile(rf"^{DEMO_SITES}.sites"))).to_be_visible(timeout=FIRST_SITES_MS)
        finally:
            again.stop()
    finally:
        context.close()
        desk.stop()
