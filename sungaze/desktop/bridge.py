"""What the page may ask of the desktop, and of no web page: open a link outside, tell about this program.

pywebview hands every answer to the page as JSON, an exception with its whole trace; so nothing here raises.
"""

from __future__ import annotations

import logging
import platform
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypedDict
from urllib.parse import urlsplit

from sungaze import __version__

log = logging.getLogger(__name__)

MAX_LINK_LENGTH: Final = 4096
_OWN_PAGE_ONLY: Final = "Only Sungaze's own page may ask this."
_BAD_LINK: Final = "Only http and https links are opened outside Sungaze."


class Refused(TypedDict):
    """Why nothing was done, as a sentence."""

    error: str


class Opened(TypedDict):
    """The link that the browser was given."""

    opened: str


class AppInfo(TypedDict):
    """What the About page shows of the desktop side."""

    version: str
    platform: str
    webview: str
    data_dir: str


def origin_of(url: str | None) -> str | None:
    """Scheme, host and port of an http or https address, with the port always told; None for any other."""
    try:
        parts = urlsplit(url or "")
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    return f"{parts.scheme}://{parts.hostname}:{port or {'http': 80, 'https': 443}[parts.scheme]}"


def is_web_link(url: object) -> bool:
    """Whether a browser may be given this: http or https, a host, no user name that poses as one."""
    if not isinstance(url, str) or len(url) > MAX_LINK_LENGTH:
        return False
    # A blank or a control character reads differently in a page, in Python and in a browser's command line.
    if not url.isprintable() or " " in url or "\\" in url:
        return False
    return origin_of(url) is not None and "@" not in urlsplit(url).netloc


class Bridge:
    """The functions behind `window.pywebview.api`. They run on threads of pywebview's."""

    def __init__(self, url: str, *, data_dir: Path, open_link: Callable[[str], bool] = webbrowser.open_new_tab) -> None:
        self.origin = origin_of(url)
        """Our own origin; a page of any other gets no answer."""
        self.current_url: Callable[[], str | None] = lambda: None
        """Where the window is now; set by the window."""
        self.webview = "none"
        """The web view's name and version; set by the window."""
        self._data_dir = data_dir
        self._open_link = open_link

    def open_external(self, url: object = None, *_: object) -> Opened | Refused:
        """Open a link in the user's browser: `{opened}` or `{error}`."""
        if not self._asked_by_own_page():
            return {"error": _OWN_PAGE_ONLY}
        return self.open_outside(url)

    def app_info(self, *_: object) -> AppInfo | Refused:
        """`{version, platform, webview, data_dir}` or `{error}`."""
        if not self._asked_by_own_page():
            return {"error": _OWN_PAGE_ONLY}
        return {
            "version": __version__,
            "platform": f"{platform.system()} {platform.machine()}",
            "webview": self.webview,
            "data_dir": str(self._data_dir),
        }

    def open_outside(self, url: object) -> Opened | Refused:
        """The same for a link that was clicked, whichever page the window is on."""
        if not is_web_link(url):
            return {"error": _BAD_LINK}
        link = str(url)
        try:
            opened = self._open_link(link)
        except (webbrowser.Error, OSError) as error:
            log.warning("The browser could not be started: %s", error)
            opened = False
        return {"opened": link} if opened else {"error": f"No browser could be started. The link is {link}"}

    def _asked_by_own_page(self) -> bool:
        return self.origin is not None and origin_of(self.current_url()) == self.origin
