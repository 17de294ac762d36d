"""The window: pywebview's loop on the main thread, GTK and WebKitGTK on Linux.

One window a process. The page comes from our own server and from nowhere else: any other address goes to the
user's browser. While there is no server yet, a sentence of our own stands in the window.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from sungaze.desktop.bridge import Bridge
from sungaze.desktop.pages import DARK, LIGHT, page_of
from sungaze.desktop.state import MIN_HEIGHT, MIN_WIDTH, fitted, read_state
from sungaze.desktop.system import is_dark
from sungaze.errors import UserError
from sungaze.frozen import window_advice

if TYPE_CHECKING:
    import webview

    from sungaze.desktop.gtk import Side

log = logging.getLogger(__name__)

LOOK_S: Final = 0.1
"""How often a start that takes long is asked how far it is."""

_closing = threading.Event()
_window: webview.Window | None = None
_side: Side | None = None


class WindowUnavailable(UserError):
    """There can be no window here: `reason`, and `advice` on what to do."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason} {advice}")
        self.reason = reason
        self.advice = advice


class Starting(Protocol):
    """A server on its way: `said` is how far it is, `error` why it will not come, `done` that either is so."""

    @property
    def done(self) -> threading.Event:
        """Set once there is an address to open, or an error."""

    @property
    def said(self) -> str:
        """How far it is, as a sentence."""

    @property
    def error(self) -> str:
        """Why there is none, as a sentence; empty while it is on its way or there."""


QUICK_S: Final = 1.0
"""A start that is done within it shows the fleet at once; a longer one first says what it does."""
_HEADLESS: Final = "Start `sungaze --server` and open the address that it prints in a browser."
_INSTALL: Final = f"{window_advice()} Or start `sungaze --server` and open the address in a browser."


def open_window(
    link: Callable[[], str],
    *,
    title: str,
    bridge: Bridge,
    folder: Path,
    starting: Starting | None = None,
    on_closed: Callable[[], None] | None = None,
    ready: threading.Event | None = None,
) -> None:
    """Show the page until the window is closed; on the main thread only.

    `link` gives an address that opens one session, at the start and again after a crash of the web view. `folder` is
    where the window's size and place are kept. With `starting` the window says how far the server is, and asks for a
    link once it is there. `ready` is set once a page is loaded. Returns at once when `close_window` was called before.
    Raises WindowUnavailable.
    """
    global _window, _side
    webview = library()
    if _closing.is_set():
        if on_closed is not None:
            on_closed()
        return
    linux = sys.platform == "linux"
    dark = _dark()
    # A page at once has the web view's process up by the time that there is a server to ask.
    first: dict[str, Any] = {"html": page_of("", dark=dark, waiting=True)} if starting or linux else {"url": link()}
    if "url" in first:
        bridge.bind(first["url"])
    state = fitted(read_state(folder), [] if linux else _screens(webview))
    window = webview.create_window(
        title, **first, width=state.width, height=state.height, x=state.x, y=state.y, maximized=state.maximised,
        min_size=(MIN_WIDTH, MIN_HEIGHT), background_color=DARK if dark else LIGHT, text_select=True, zoomable=True,
    )  # fmt: skip
    if window is None:
        raise WindowUnavailable("The window could not be made.", _HEADLESS)
    window.expose(*bridge.functions())
    if linux:
        window.events.before_show += functools.partial(
            _prepare_gtk, window, bridge, folder, link, dark, starting is None
        )
    else:
        from sungaze.desktop.elsewhere import prepare

        prepare(webview, window, bridge, folder)
    window.events.closing += functools.partial(_leave, bridge)
    if ready is not None:
        window.events.loaded += ready.set
    _window = window
    if starting:
        threading.Thread(target=_follow, args=(starting, link, bridge, dark), name="opening", daemon=True).start()
    try:
        # Cookies and local storage live as long as the window: the port, and with it the origin, changes.
        webview.start(gui="gtk" if linux else None, private_mode=True, debug=False)
    except webview.WebViewException as error:
        raise WindowUnavailable(f"The window could not be opened ({error}).", _HEADLESS) from None
    finally:
        _closing.set()
        _window = _side = None
        if not bridge.close():
            log.info("Something that the page had asked for was still being done; it was left.")
        if on_closed is not None:
            on_closed()


def close_window() -> None:
    """Close the window, or keep it from opening; from any thread or signal handler, without waiting."""
    already = _closing.is_set()
    _closing.set()
    # Not Window.destroy(): it waits for a window that is not shown yet, in a signal handler for ever.
    gui: Any = _window.gui if _window is not None else None
    if _window is not None and gui is not None and not already:
        gui.destroy_window(_window.uid)


def present_window() -> bool:
    """Bring the window to the front, from any thread; whether there is one, or one is on its way."""
    if _closing.is_set():
        return False
    if _side is not None:
        _side.later(_side.present)
    elif _window is not None and sys.platform != "linux":
        _window.restore()
    return True


def library() -> Any:
    """The `webview` module, once it is sure that a window can be opened. Raises WindowUnavailable."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise WindowUnavailable("There is no display here.", _HEADLESS)
    try:
        import webview
        import webview.util
    except ImportError:
        raise WindowUnavailable("The window's library (pywebview) is not installed.", _INSTALL) from None
    if sys.platform == "linux":
        try:
            from sungaze.desktop import gtk
        except (ImportError, ValueError):
            raise WindowUnavailable(
                "The window's library (GTK 3 and WebKitGTK 4.1) is not installed.", _INSTALL
            ) from None
        if not gtk.has_display():
            raise WindowUnavailable("The display cannot be reached.", _HEADLESS)
    # It prints by a handler of its own; ours is enough.
    logging.getLogger("pywebview").handlers.clear()
    # A thread that hands an answer to a page which is gone waits for ever, and would keep the process alive.
    vars(webview.util)["Thread"] = functools.partial(threading.Thread, daemon=True)
    webview.settings["ALLOW_FILE_URLS"] = False
    # On macOS copying and pasting by the keys comes with the menu.
    webview.settings["SHOW_DEFAULT_MENUS"] = sys.platform == "darwin"
    return webview


def _dark() -> bool:
    told = is_dark()
    if sys.platform == "linux":
        from sungaze.desktop.gtk import prefers_dark, use_theme

        told = prefers_dark() if told is None else told
        use_theme(told)
    return bool(told)


def _screens(webview: Any) -> list[Any]:
    from sungaze.desktop.state import Screen

    return [Screen(screen.x, screen.y, screen.width, screen.height) for screen in webview.screens]


def _leave(bridge: Bridge) -> None:
    """The window is about to close: from here on nothing is asked of the page, and it gets no answers."""
    _closing.set()
    if _side is not None:
        _side.close()


def _prepare_gtk(
    window: webview.Window, bridge: Bridge, folder: Path, link: Callable[[], str], dark: bool, at_once: bool
) -> None:
    """Teach the window its manners; called on the main thread before anything is loaded."""
    global _side
    from webview.platforms.gtk import BrowserView

    from sungaze.desktop.gtk import Side

    view = BrowserView.instances[window.uid]
    _side = Side(view, bridge, folder=folder, link=link, dark=dark, own_page=True, is_closing=_closing.is_set)
    if at_once:
        _side.later(_side.open_app)
    if _closing.is_set():
        view.pywebview_window.gui.destroy_window(window.uid)


def _follow(starting: Starting, link: Callable[[], str], bridge: Bridge, dark: bool) -> None:
    """Tell in the window how far a long start is, and go to the server's page once it is there."""
    said, quick = "", time.monotonic() + QUICK_S
    while not starting.done.wait(LOOK_S):
        if _closing.is_set():
            return
        if starting.said != said and time.monotonic() > quick:
            if said and _side is not None:
                _side.later(_side.say, starting.said)
            elif not _show(starting.said, dark=dark, waiting=True):
                continue
            said = starting.said
    while (_window is not None and _side is None and sys.platform == "linux") and not _closing.wait(LOOK_S):
        pass  # the window itself is on its way too
    if starting.error:
        _show(starting.error, dark=dark, waiting=False)
    elif _side is not None:
        _side.later(_side.open_app)
    elif _window is not None and not _closing.is_set():
        address = link()
        bridge.bind(address)
        _window.load_url(address)


def _show(said: str, *, dark: bool, waiting: bool) -> bool:
    """Show a sentence in the window; whether there is one that can."""
    if _side is not None:
        _side.later(functools.partial(_side.show, said, waiting=waiting))
    elif _window is not None and sys.platform != "linux" and not _closing.is_set():
        _window.load_html(page_of(said, dark=dark, waiting=waiting))
    else:
        return False
    return True
