"""The demo as a user starts it, and a real Chromium that opens its link."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from program import DEMO_SITES, TOP, Sungaze
from running import WIDE, Opens

FIRST_SITES_MS = 60_000
ARGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def pages() -> None:
    """The built pages; `make setup` builds them."""
    assert (TOP / "out/web/index.html").is_file(), "the pages are not built: npm run build"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "there is no chromium here; apt-get install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(ARGS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sungaze]:
    """The demo fleet, shared by the tests that only look at it."""
    running = Sungaze(tmp_path_factory.mktemp("demo") / "data", demo=True)
    yield running
    running.stop()


@pytest.fixture(scope="session")
def session_cookies(browser: Browser, demo: Sungaze) -> list[object]:
    """The session that the demo's launch link opened, once its first sites have figures."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(demo.link)
    expect(page.get_by_text(re.compile(rf"^{DEMO_SITES}.sites"))).to_be_visible(timeout=FIRST_SITES_MS)
    cookies: list[object] = list(context.cookies())
    context.close()
    return cookies


@pytest.fixture
def opened(browser: Browser, demo: Sungaze, session_cookies: list[object]) -> Iterator[Opens]:
    """Opens a page of the demo; at the end nothing may have failed in it nor gone to another host.

    `refused` holds the statuses that the test provokes; `before` is done to the page before it asks for anything.
    """
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def begin(
        hash_: str = "#/",
        *,
        size: tuple[int, int] = WIDE,
        theme: str = "light",
        refused: tuple[int, ...] = (),
        before: Callable[[Page], None] | None = None,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if theme == "dark" else "light",
            timezone_id="Europe/Berlin",
            locale="en-GB",
        )
        contexts.append(context)
        context.add_cookies(session_cookies)  # type: ignore[arg-type]
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"script: {error}"))
        page.on("console", lambda told: wrong.append(told.text) if told.type == "error" and not refused else None)
        page.on(
            "request",
            lambda asked: None if asked.url.startswith(demo.address) else wrong.append(f"left: {asked.url}"),
        )
        if before is not None:
            before(page)
        page.goto(f"{demo.address}/{hash_}")
        return page

    yield begin
    for context in contexts:
        # An answer that is being changed on its way when the page goes is nobody's any more.
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")
        context.close()
    assert wrong == []
