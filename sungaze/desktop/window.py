"""The window: pywebview's loop on the main thread, GTK and WebKitGTK on Linux.

One window a process. The page comes from our own server and from nowhere else: any other address goes to the
user's browser.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from sungaze.desktop.bridge import Bridge, origin_of
from sungaze.errors import UserError
from sungaze.frozen import window_advice

if TYPE_CHECKING:
    import webview

log = logging.getLogger(__name__)

WIDTH: Final = 1280
HEIGHT: Final = 800
MIN_SIZE: Final = (360, 480)
GROUND: Final = "#f6f7f9"
"""Seen until the page has painted; the token of the light theme."""

_closing = threading.Event()
_window: webview.Window | None = None


class WindowUnavailable(UserError):
    """There can be no window here: `reason`, and `advice` on what to do."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(f"{reason} {advice}")
        self.reason = reason
        self.advice = advice


_HEADLESS: Final = "Start `sungaze --server` and open the address that it prints in a browser."
_INSTALL: Final = f"{window_advice()} Or start `sungaze --server` and open the address in a browser."


def open_window(
    url: str,
    *,
    title: str,
    bridge: Bridge,
    on_closed: Callable[[], None] | None = None,
    ready: threading.Event | None = None,
) -> None:
    """Show the page until the window is closed; on the main thread only.

    `ready` is set once the page is loaded. Returns at once when `close_window` was called before.
    Raises WindowUnavailable.
    """
    global _window
    webview = _library()
    if _closing.is_set():
        if on_closed is not None:
            on_closed()
        return
    window = webview.create_window(
        title, url, width=WIDTH, height=HEIGHT, min_size=MIN_SIZE, background_color=GROUND,
        text_select=True, zoomable=True,
    )  # fmt: skip
    if window is None:
        raise WindowUnavailable("The window could not be made.", _HEADLESS)
    # Two names and no object: pywebview would follow dots from an object into anything that hangs on it.
    window.expose(_as_function(bridge.open_external), _as_function(bridge.app_info))
    bridge.current_url = window.get_current_url
    if sys.platform == "linux":
        window.events.before_show += functools.partial(_prepare_gtk, window, bridge)
    if ready is not None:
        window.events.loaded += ready.set
    _window = window
    try:
        # Cookies and local storage live as long as the window: the port, and with it the origin, changes.
        webview.start(gui="gtk" if sys.platform == "linux" else None, private_mode=True, debug=False)
    except webview.WebViewException as error:
        raise WindowUnavailable(f"The window could not be opened ({error}).", _HEADLESS) from None
    finally:
        _window = None
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


def present_window() -> None:
    """Bring the window to the front, if there is one; from any thread."""
    if _window is not None and not _closing.is_set():
        _window.restore()


def _library() -> Any:
    """The `webview` module, once it is sure that a window can be opened."""
    if sys.platform == "linux":
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise WindowUnavailable("There is no display here.", _HEADLESS)
        try:
            import gi

            gi.require_version("Gdk", "3.0")
            gi.require_version("Gtk", "3.0")
            gi.require_version("WebKit2", "4.1")
            from gi.repository import Gdk, WebKit2  # noqa: F401 - whether it is there
        except (ImportError, ValueError):
            raise WindowUnavailable(
                "The window's library (GTK 3 and WebKitGTK 4.1) is not installed.", _INSTALL
            ) from None
        if Gdk.Display.get_default() is None:
            raise WindowUnavailable("The display cannot be reached.", _HEADLESS)
    try:
        import webview
        import webview.util
    except ImportError:
        raise WindowUnavailable("The window's library (pywebview) is not installed.", _INSTALL) from None
    # It prints by a handler of its own; ours is enough.
    logging.getLogger("pywebview").handlers.clear()
    # A thread that hands an answer to a page which is gone waits for ever, and would keep the process alive.
    vars(webview.util)["Thread"] = functools.partial(threading.Thread, daemon=True)
    webview.settings["ALLOW_FILE_URLS"] = False
    webview.settings["SHOW_DEFAULT_MENUS"] = False
    return webview


def _as_function(method: Callable[..., Any]) -> Callable[..., Any]:
    """pywebview reads a function's parameters for the page, and takes a method's `self` for one."""

    def asked(*arguments: Any) -> Any:
        return method(*arguments)

    asked.__name__ = method.__name__
    return asked


def _prepare_gtk(window: webview.Window, bridge: Bridge) -> None:
    """Bind the page to our origin; called on the main thread before anything is loaded."""
    from gi.repository import WebKit2
    from webview.platforms.gtk import BrowserView

    view = BrowserView.instances[window.uid]
    page = view.webview
    version = WebKit2.get_major_version(), WebKit2.get_minor_version(), WebKit2.get_micro_version()
    bridge.webview = "WebKitGTK {}.{}.{}".format(*version)

    # What counts is the page that is there, not the one on its way.
    committed: list[str | None] = [None]

    def on_load(_: Any, event: Any) -> None:
        if event == WebKit2.LoadEvent.COMMITTED:
            committed[0] = page.get_uri()

    page.connect("load-changed", on_load)
    bridge.current_url = lambda: committed[0]

    def on_decision(_: Any, decision: Any, kind: Any) -> bool:
        if kind == WebKit2.PolicyDecisionType.RESPONSE:
            return False
        action = decision.get_navigation_action()
        target = action.get_request().get_uri()
        own = origin_of(target) == bridge.origin
        if own and kind == WebKit2.PolicyDecisionType.NAVIGATION_ACTION:
            decision.use()
            return True
        decision.ignore()
        if own:
            page.load_uri(target)
        # Not is_user_gesture(): a script that goes on from the bridge's answer passes for one.
        elif action.get_navigation_type() == WebKit2.NavigationType.LINK_CLICKED:
            # Starting a browser can take seconds; the window must not stand still for it.
            threading.Thread(target=bridge.open_outside, args=(target,), daemon=True).start()
        else:
            log.warning("The page tried to leave by itself. It stays.")
        return True

    # pywebview's own would hand any scheme to the browser, and let the window itself go anywhere.
    page.disconnect_by_func(view.on_navigation)
    page.connect("decide-policy", on_decision)

    settings = page.get_settings().props
    settings.enable_html5_local_storage = True
    settings.enable_media_stream = False
    settings.enable_webgl = False
    if _closing.is_set():
        view.pywebview_window.gui.destroy_window(window.uid)
