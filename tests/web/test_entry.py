"""Coming in: the launch link, a window without it, the first start without accounts."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from program import Sungaze

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def fresh(tmp_path: Path) -> object:
    """A Sungaze of the user's own, without accounts."""
    running = Sungaze(tmp_path / "data")
    yield running
    running.stop()


def test_the_launch_link_opens_the_welcome_and_its_key_leaves_the_address(browser: Browser, fresh: Sungaze) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(fresh.link)
    expect(page.get_by_role("heading", name="Every solar site in one window")).to_be_visible()
    expect(page.get_by_role("link", name="SolarEdge")).to_be_visible()
    expect(page.get_by_text("DEMO", exact=True)).to_have_count(0)
    assert "key" not in page.url
    page.reload()
    expect(page.get_by_role("heading", name="Every solar site in one window")).to_be_visible()
    context.close()


def test_a_link_that_was_used_asks_for_another_one_in_words(browser: Browser, fresh: Sungaze) -> None:
    first, second = browser.new_context(), browser.new_context()
    first.new_page().goto(fresh.link)
    expect(first.pages[0].get_by_role("heading", level=1)).to_be_visible()
    page = second.new_page()
    page.goto(fresh.link)
    expect(page.get_by_role("heading", name="This window needs its link")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("used already")
    page.get_by_label("The link, or the key at its end").fill("nonsense")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_contain_text("neither a link")
    first.close()
    second.close()


def test_a_lost_connection_is_said_while_the_page_stays_as_it_was(browser: Browser, tmp_path: Path) -> None:
    running = Sungaze(tmp_path / "data")
    context = browser.new_context()
    page = context.new_page()
    page.goto(running.link)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    running.stop()
    expect(page.get_by_role("status").filter(has_text="No connection to Sungaze")).to_be_visible()
    expect(page.get_by_role("heading", name="Every solar site in one window")).to_be_visible()
    context.close()
