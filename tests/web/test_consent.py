"""An owner's consent as a person gives it: one page of ours, one of the vendor's, and the way back."""

from __future__ import annotations

import contextlib
import random
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from program import Sungaze

from sungaze.emulators import Emulator, World, serve

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with serve("enphase", World(1, 3, 6), plan="watt") as running:
        yield running


def _port_to_keep() -> int:
    """A port that nothing listens on, and that the system gives to nobody who asks for any."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sungaze]:
    (tmp_path / ".env").write_text(f"SUNGAZE_RETURN_PORT={_port_to_keep()}\n")
    running = Sungaze(tmp_path / "data")
    yield running
    running.stop()


def form(browser: Browser, program: Sungaze, emulator: Emulator) -> Page:
    page = browser.new_context(locale="en-GB").new_page()
    page.goto(program.link)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto(f"{program.address}/#/accounts/connect?vendor=enphase&method=owner_consent")
    for label, field in (("API key", "api_key"), ("Client ID", "client_id"), ("Client secret", "client_secret")):
        page.get_by_label(label, exact=True).fill(emulator.credentials[field])
    page.get_by_text("Advanced").click()
    page.get_by_label("Base address").fill(emulator.base_url)
    return page


def test_the_owner_agrees_and_the_account_is_connected(browser: Browser, program: Sungaze, emulator: Emulator) -> None:
    page = form(browser, program, emulator)
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Open the consent page").click()
    opened.value.get_by_text("Sign in as the owner of").nth(1).click()
    expect(opened.value.get_by_text("You can close this page")).to_be_visible()
    expect(page.get_by_text("The owner agreed.")).to_be_visible()
    page.get_by_role("button", name="Look what it sees").click()
    expect(page.get_by_role("heading", name="It sees 1 site")).to_be_visible()
    page.get_by_role("button", name="Save and start").click()
    expect(page.get_by_text(re.compile("Watt plan"))).to_be_visible()
    page.context.close()


def test_the_code_can_be_pasted_and_a_refusal_is_told(browser: Browser, program: Sungaze, emulator: Emulator) -> None:
    page = form(browser, program, emulator)
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Open the consent page").click()
    opened.value.get_by_text("Refuse").click()
    expect(page.get_by_text("The owner did not agree")).to_be_visible()
    with page.context.expect_page() as again:
        page.get_by_role("button", name="Open it and paste the code").click()
    # The emulator is the vendor here: its own page shows the code under its own address.
    again.value.get_by_text("Sign in as the owner of").first.click()
    code = again.value.locator("#code").inner_text()
    page.get_by_label("Code", exact=True).fill(code)
    page.get_by_role("button", name="Look what it sees").click()
    expect(page.get_by_role("heading", name="It sees 1 site")).to_be_visible()
    page.context.close()
