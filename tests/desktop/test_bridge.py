"""What the page may ask of the desktop."""

from __future__ import annotations

from pathlib import Path

import pytest

from sungaze import __version__
from sungaze.desktop.bridge import Bridge, is_web_link

PAGE = "http://127.0.0.1:4711/#key=once"


@pytest.fixture
def opened() -> list[str]:
    return []


@pytest.fixture
def bridge(opened: list[str]) -> Bridge:
    def open_link(url: str) -> bool:
        opened.append(url)
        return True

    made = Bridge(PAGE, data_dir=Path("/home/ann/solar"), open_link=open_link)
    made.window.current_url = lambda: "http://127.0.0.1:4711/#/sites/7"
    return made


def test_a_web_link_goes_to_the_browser(bridge: Bridge, opened: list[str]) -> None:
    assert bridge.call("open_external", "https://enphase.com/a?b=c#d") == {"opened": "https://enphase.com/a?b=c#d"}
    assert opened == ["https://enphase.com/a?b=c#d"]


@pytest.mark.parametrize(
    "link",
    [
        "file:///etc/passwd", "javascript:alert(1)", "data:text/html,x", "mailto:a@b.c", "http:", "http://",
        "https:///x", "//enphase.com", "enphase.com", "-http://x", "", None, 7, ["http://x"], "http://enphase.com@evil.test/",
        "http://a b/", "http://a\nb/", "http://a\x00/", "http://a\\b/", "http://a:99999/", "http://[::1/",
        "http://x/" + "y" * 5000,
    ],
)  # fmt: skip
def test_anything_else_is_refused_with_a_reason(bridge: Bridge, opened: list[str], link: object) -> None:
    answer = bridge.call("open_external", link)
    assert "http" in dict(answer)["error"]
    assert opened == []


def test_the_about_page_learns_version_platform_web_view_and_folder(bridge: Bridge) -> None:
    bridge.window.webview = "WebKitGTK 2.50.6"
    info = bridge.call("app_info")
    assert info["version"] == __version__
    assert info["webview"] == "WebKitGTK 2.50.6"
    assert info["data_dir"] == "/home/ann/solar"
    assert info["platform"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        None,
        "about:blank",
        "http://127.0.0.1:4712/",
        "https://127.0.0.1:4711/",
        "http://localhost:4711/",
        "http://[x",
    ],
)
def test_a_page_of_another_origin_gets_no_answer(bridge: Bridge, opened: list[str], elsewhere: str | None) -> None:
    bridge.window.current_url = lambda: elsewhere
    assert set(bridge.call("app_info")) == {"error"}
    assert set(bridge.call("open_external", "https://enphase.com/")) == {"error"}
    assert opened == []


def test_a_missing_browser_is_said_with_the_link(bridge: Bridge) -> None:
    bridge = Bridge(PAGE, data_dir=Path("/x"), open_link=lambda _: False)
    bridge.window.current_url = lambda: PAGE
    assert "https://enphase.com/" in dict(bridge.call("open_external", "https://enphase.com/"))["error"]


def test_a_browser_that_fails_to_start_does_not_raise() -> None:
    def broken(_: str) -> bool:
        raise OSError("no such file")

    bridge = Bridge(PAGE, data_dir=Path("/x"), open_link=broken)
    bridge.window.current_url = lambda: PAGE
    assert set(bridge.call("open_external", "https://enphase.com/")) == {"error"}


def test_links_with_a_port_and_without_a_path_are_links() -> None:
    assert is_web_link("http://192.168.1.5:8080")
    assert is_web_link("HTTPS://Enphase.com")
