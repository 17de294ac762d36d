"""The window on Linux, past what pywebview does: its manners, its keys and menu, its dialogs, its web view's crashes.

Everything here but `Side`'s functions runs on the window's thread.
"""

from __future__ import annotations

import collections
import functools
import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import gi
import msgspec

from sungaze.desktop.bridge import Bridge, origin_of
from sungaze.desktop.pages import DARK, LIGHT, page_of
from sungaze.desktop.state import (
    MIN_HEIGHT,
    MIN_WIDTH,
    Screen,
    WindowState,
    fitted,
    read_state,
    write_state,
    zoomed,
)
from sungaze.desktop.system import follow_dark

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("WebKit2", "4.1")

import webview.platforms.gtk as pywebview_gtk  # noqa: E402 - it imports the same, so the versions come first
from gi.repository import Gdk, Gio, GLib, Gtk, WebKit2  # noqa: E402 - the versions come first
from webview.util import inject_pywebview  # noqa: E402 - beside its platform

log = logging.getLogger(__name__)

KEY_HEADER: Final = "sungaze-key"
"""Where the API's guard (api/auth.py) looks for a window's launch key."""
KEEP_MS: Final = 700
"""A window that is being moved tells its place many times a second; it is kept once it rests."""
CRASHES: Final = 3
CRASHES_S: Final = 60.0
CRASHED: Final = (
    "The page stopped three times within a minute. Sungaze itself goes on and your data is safe; press Ctrl+R to show "
    "the page again."
)
KEYS: Final = {
    "reload": ("<Primary>r", "F5"),
    "zoom-in": ("<Primary>plus", "<Primary>equal", "<Primary>KP_Add"),
    "zoom-out": ("<Primary>minus", "<Primary>KP_Subtract"),
    "zoom-normal": ("<Primary>0", "<Primary>KP_0"),
    "full-screen": ("F11",),
    "about": (),
    "menu": ("F10",),
    "quit": ("<Primary>q", "<Primary>w"),
}
MENU: Final = (
    (("Reload", "reload"), ("Full Screen", "full-screen")),
    (("Zoom In", "zoom-in"), ("Zoom Out", "zoom-out"), ("Normal Size", "zoom-normal")),
    (("About Sungaze", "about"), ("Quit", "quit")),
)


def has_display() -> bool:
    """Whether the display answers."""
    return Gdk.Display.get_default() is not None


def prefers_dark() -> bool:
    """Whether GTK's own theme is a dark one, for a desktop that has no portal to ask."""
    settings = Gtk.Settings.get_default()
    if settings is None:
        return False
    return bool(settings.props.gtk_application_prefer_dark_theme or settings.props.gtk_theme_name.endswith("-dark"))


def use_theme(dark: bool) -> None:
    """Draw what is GTK's in that theme; the page's `prefers-color-scheme` follows it."""
    settings = Gtk.Settings.get_default()
    if settings is not None:
        settings.props.gtk_application_prefer_dark_theme = dark


class Side:
    """The window's side of the bridge, and what the window does by itself. Made before the window is shown."""

    def __init__(
        self,
        view: Any,
        bridge: Bridge,
        *,
        folder: Path,
        link: Callable[[], str],
        dark: bool,
        own_page: bool,
        is_closing: Callable[[], bool],
    ) -> None:
        self._view = view
        self._window = view.window
        self._page = view.webview
        self._bridge = bridge
        self._folder = folder
        self._link = link
        self._dark = dark
        self._is_closing = is_closing
        self._own_page = own_page
        """Whether a page of pages.py is on its way into the window."""
        self._committed: str | None = None
        self._last: str | None = None
        self._crashes: collections.deque[float] = collections.deque(maxlen=CRASHES)
        self._dialogs: dict[Any, queue.SimpleQueue[Path | None]] = {}
        self._keeping = 0
        self._state = read_state(folder)
        self._kept = self._state
        self._bind_page()
        self._place()
        self._add_menu()
        self._page.set_zoom_level(self._state.zoom)
        follow_dark(self._follow_theme)
        version = WebKit2.get_major_version(), WebKit2.get_minor_version(), WebKit2.get_micro_version()
        bridge.window.webview = "WebKitGTK {}.{}.{}".format(*version)
        bridge.window.current_url = lambda: self._committed
        bridge.window.set_title = lambda title: self.later(self._set_title, title)
        bridge.window.ask_save = self._ask_save
        bridge.window.ask_open = self._ask_open

    def later(self, do: Callable[..., object], *arguments: object) -> None:
        """Have something done on the window's thread, unless it closes; from any thread."""

        def once() -> bool:
            if not self._is_closing():
                do(*arguments)
            return False

        GLib.idle_add(once)

    # Pages.

    def open_app(self) -> None:
        """Go to the server's page by a new link, to where the window was before if it was."""
        link = self._link()
        self._bridge.bind(link)
        address, _, key = link.partition("#key=")
        where = urlsplit(self._last or "").fragment or ("/" if key else "")
        request = WebKit2.URIRequest.new(f"{address}#{where}" if where.startswith("/") else address)
        if key:
            # In the fragment the page would have to exchange it, and be loaded twice for its policy.
            request.get_http_headers().append(KEY_HEADER, key)
        self._page.load_request(request)

    def show(self, said: str, *, waiting: bool) -> None:
        """Show one sentence in a page of our own."""
        self._own_page = True
        self._page.load_html(page_of(said, dark=self._dark, waiting=waiting), None)

    def say(self, said: str) -> None:
        """Change the sentence of a page that waits."""
        if self._committed is not None and origin_of(self._committed) is None:
            self._run(f"document.getElementById('said').textContent = {json.dumps(said)}")

    def _follow_theme(self, dark: bool) -> None:
        if self._is_closing():
            return
        self._dark = dark
        use_theme(dark)
        self._set_ground()

    def _set_ground(self) -> None:
        ground = Gdk.RGBA()
        ground.parse(DARK if self._dark else LIGHT)
        self._page.set_background_color(ground)

    def _run(self, script: str) -> None:
        self._page.evaluate_javascript(script, len(script.encode()), None, None, None, None)

    def _bind_page(self) -> None:
        # pywebview's own would hand any scheme to the browser, and let the window itself go anywhere.
        self._page.disconnect_by_func(self._view.on_navigation)
        self._page.disconnect_by_func(self._view.on_load_finish)
        self._page.connect("decide-policy", self._on_decision)
        self._page.connect("load-changed", self._on_load)
        self._page.connect("web-process-terminated", self._on_crash)
        self._page.connect("notify::uri", self._on_address)
        self._page.connect("scroll-event", self._on_scroll)
        self._set_ground()
        settings = self._page.get_settings().props
        settings.enable_html5_local_storage = True
        settings.enable_media_stream = False
        settings.enable_webgl = False
        if not any(Path("/dev/dri").glob("renderD*")):
            # Without a graphics card its part is played by the processor, for 90 MB and nothing that is seen.
            settings.hardware_acceleration_policy = WebKit2.HardwareAccelerationPolicy.NEVER

    def _on_load(self, _: Any, event: Any) -> None:
        # What counts is the page that is there, not the one on its way.
        if event == WebKit2.LoadEvent.COMMITTED:
            self._committed = self._page.get_uri()
            self._on_address()
            self._page.set_opacity(1.0)
        # pywebview's part of the page evaluates text: where the policy forbids that, it would only fail.
        elif event == WebKit2.LoadEvent.FINISHED and self._may_evaluate():
            inject_pywebview(pywebview_gtk.renderer, self._view.pywebview_window)

    def _may_evaluate(self) -> bool:
        resource = self._page.get_main_resource()
        answer = resource.get_response() if resource is not None else None
        headers = answer.get_http_headers() if answer is not None else None
        if headers is None or self._bridge.origin is None or origin_of(self._committed) != self._bridge.origin:
            return False
        policy = headers.get_list("content-security-policy")
        return not policy or "'unsafe-eval'" in policy

    def _on_address(self, *_: Any) -> None:
        address = self._page.get_uri()
        if self._bridge.origin is not None and origin_of(address) == self._bridge.origin and "#key=" not in address:
            self._last = address

    def _on_decision(self, _: Any, decision: Any, kind: Any) -> bool:
        if kind == WebKit2.PolicyDecisionType.RESPONSE:
            return False
        action = decision.get_navigation_action()
        target = action.get_request().get_uri()
        if target == "about:blank" and self._own_page:
            self._own_page = False
            decision.use()
            return True
        own = self._bridge.origin is not None and origin_of(target) == self._bridge.origin
        if own and kind == WebKit2.PolicyDecisionType.NAVIGATION_ACTION:
            decision.use()
            return True
        decision.ignore()
        if own:
            self._page.load_uri(target)
        # Not is_user_gesture(): a script that goes on from the bridge's answer passes for one.
        elif action.get_navigation_type() == WebKit2.NavigationType.LINK_CLICKED:
            # Starting a browser can take seconds; the window must not stand still for it.
            threading.Thread(target=self._bridge.open_outside, args=(target,), daemon=True).start()
        else:
            log.warning("The page tried to leave by itself. It stays.")
        return True

    def _on_crash(self, _: Any, reason: Any) -> None:
        if self._is_closing():
            return
        now = time.monotonic()
        self._committed = None
        often = len(self._crashes) == CRASHES - 1 and now - self._crashes[0] < CRASHES_S
        self._crashes.append(now)
        while len(self._crashes) >= CRASHES or (self._crashes and now - self._crashes[0] >= CRASHES_S):
            self._crashes.popleft()
        log.warning("The web view's process ended (%s).", reason.value_nick)
        if often:
            self._crashes.clear()
            self.show(CRASHED, waiting=False)
        else:
            self.open_app()

    def _set_title(self, title: str) -> None:
        self._window.set_title(title)
        self._header.set_title(title)

    # Size and place.

    def _place(self) -> None:
        display = Gdk.Display.get_default()
        areas = [display.get_monitor(n).get_workarea() for n in range(display.get_n_monitors())]
        # Under Wayland a window neither learns nor chooses where it is.
        self._placed = "Wayland" not in type(display).__name__
        state = fitted(self._state, [Screen(a.x, a.y, a.width, a.height) for a in areas])
        self._window.set_size_request(MIN_WIDTH, MIN_HEIGHT)
        self._window.resize(state.width, state.height)
        if state.x is not None and state.y is not None and self._placed:
            self._window.move(state.x, state.y)
            # Until it is shown it has no shadow yet that its place is counted without, and would creep at each start.
            self._window.connect("map-event", self._on_shown, state.x, state.y)
        else:
            self._window.set_position(Gtk.WindowPosition.CENTER)
        if state.maximised:
            self._window.maximize()
        self._state = state
        self._window.connect("configure-event", self._on_change)
        self._window.connect("window-state-event", self._on_change)
        self._window.connect("destroy", self._on_destroy)

    def _on_shown(self, window: Any, _: Any, x: int, y: int) -> bool:
        window.disconnect_by_func(self._on_shown)
        if tuple(window.get_position()) != (x, y):
            window.move(x, y)
        return False

    def _on_change(self, *_: Any) -> bool:
        if not self._keeping:
            self._keeping = GLib.timeout_add(KEEP_MS, self._keep_now)
        return False

    def _keep_now(self) -> bool:
        self._keeping = 0
        self.keep()
        return False

    def keep(self) -> None:
        """Write size, place and zoom down, if they have changed."""
        shown = self._window.get_window()
        if shown is None:
            return
        state = shown.get_state()
        if state & (Gdk.WindowState.FULLSCREEN | Gdk.WindowState.ICONIFIED | Gdk.WindowState.WITHDRAWN):
            wanted = self._state
        elif state & Gdk.WindowState.MAXIMIZED:
            wanted = msgspec.structs.replace(self._state, maximised=True)
        else:
            width, height = self._window.get_size()
            x, y = self._window.get_position() if self._placed else (None, None)
            wanted = WindowState(width=width, height=height, x=x, y=y)
        wanted = msgspec.structs.replace(wanted, zoom=self._page.get_zoom_level())
        self._state = wanted
        if wanted != self._kept and write_state(self._folder, wanted):
            self._kept = wanted

    def _on_destroy(self, *_: Any) -> None:
        if self._keeping:
            GLib.source_remove(self._keeping)
            self._keeping = 0

    # Menu and keys.

    def _add_menu(self) -> None:
        do: dict[str, Callable[[], object]] = {
            "reload": self.reload,
            "zoom-in": lambda: self._zoom(1),
            "zoom-out": lambda: self._zoom(-1),
            "zoom-normal": lambda: self._zoom(0),
            "full-screen": self._view.toggle_fullscreen,
            "about": self._about,
            "menu": lambda: self._menu_button.clicked(),
            "quit": self._view.close_window,
        }
        application = self._window.get_application()
        for name, keys in KEYS.items():
            action = Gio.SimpleAction.new(name, None)
            action.connect("activate", lambda _action, _value, act=do[name]: act())
            self._window.add_action(action)
            application.set_accels_for_action(f"win.{name}", list(keys))
        menu = Gio.Menu()
        for items in MENU:
            section = Gio.Menu()
            for label, name in items:
                section.append(label, f"win.{name}")
            menu.append_section(None, section)
        button = self._menu_button = Gtk.MenuButton(
            image=Gtk.Image.new_from_icon_name("open-menu-symbolic", Gtk.IconSize.BUTTON), menu_model=menu,
            use_popover=False, relief=Gtk.ReliefStyle.NONE, tooltip_text="Menu", focus_on_click=False,
        )  # fmt: skip
        button.get_popup().props.halign = Gtk.Align.END
        button.get_accessible().set_name("Menu")
        header = self._header = Gtk.HeaderBar(
            title=self._window.get_title(), show_close_button=True, has_subtitle=False
        )
        header.pack_end(button)
        header.show_all()
        self._window.set_titlebar(header)

    def reload(self) -> None:
        """Show the page anew where it is; after a page of our own, the app."""
        if self._bridge.origin is None:
            return
        if origin_of(self._committed) == self._bridge.origin:
            self._page.reload()
        else:
            self._crashes.clear()
            self.open_app()

    def _about(self) -> None:
        if origin_of(self._committed) == self._bridge.origin and self._bridge.origin is not None:
            self._run("location.hash = '#/about'")

    def _zoom(self, by: int) -> None:
        self._page.set_zoom_level(zoomed(self._page.get_zoom_level(), by))
        self._on_change()

    def _on_scroll(self, _: Any, event: Any) -> bool:
        if not event.state & Gdk.ModifierType.CONTROL_MASK:
            return False
        found, _x, y = event.get_scroll_deltas()
        up = event.direction == Gdk.ScrollDirection.UP or (found and y < 0)
        down = event.direction == Gdk.ScrollDirection.DOWN or (found and y > 0)
        if up or down:
            self._zoom(1 if up else -1)
        return True

    def present(self) -> None:
        """Bring the window to the front. A window manager that keeps the focus where it is gets to mark it instead."""
        self._window.deiconify()
        moment = Gdk.CURRENT_TIME
        shown = self._window.get_window()
        if shown is not None and "X11" in type(shown).__name__:
            gi.require_version("GdkX11", "3.0")
            from gi.repository import GdkX11

            # With no moment, or an old one, it counts as a window that pushes itself in front of what is typed.
            moment = GdkX11.x11_get_server_time(shown)
        self._window.present_with_time(moment)
        if not self._window.is_active():
            self._window.set_urgency_hint(True)
            self._window.connect("focus-in-event", self._on_focus)

    def _on_focus(self, window: Any, _: Any) -> bool:
        window.set_urgency_hint(False)
        window.disconnect_by_func(self._on_focus)
        return False

    # Dialogs, asked for on the bridge's threads.

    def _ask_save(self, name: str) -> Path | None:
        return self._ask(functools.partial(self._save_dialog, name))

    def _ask_open(self, called: str, endings: Sequence[str]) -> Path | None:
        return self._ask(functools.partial(self._open_dialog, called, endings))

    def _ask(self, make: Callable[[], Any]) -> Path | None:
        chosen: queue.SimpleQueue[Path | None] = queue.SimpleQueue()

        def begin() -> bool:
            if self._is_closing():
                chosen.put(None)
                return False
            dialog = make()
            dialog.set_modal(True)
            self._dialogs[dialog] = chosen
            dialog.connect("response", self._on_response)
            # Not run(): a loop within the loop would outlive a window that is closed meanwhile.
            dialog.show()
            return False

        GLib.idle_add(begin)
        return chosen.get()

    def _on_response(self, dialog: Any, response: Any) -> None:
        name = dialog.get_filename() if response == Gtk.ResponseType.ACCEPT else None
        chosen = self._dialogs.pop(dialog, None)
        dialog.destroy()
        if chosen is not None:
            chosen.put(Path(name) if name else None)

    def _save_dialog(self, name: str) -> Any:
        dialog = self._dialog("Save", Gtk.FileChooserAction.SAVE, "_Save")
        dialog.set_do_overwrite_confirmation(True)
        dialog.set_current_name(name)
        folder = GLib.get_user_special_dir(GLib.UserDirectory.DIRECTORY_DOWNLOAD)
        if folder and Path(folder).is_dir():
            dialog.set_current_folder(folder)
        return dialog

    def _open_dialog(self, called: str, endings: Sequence[str]) -> Any:
        dialog = self._dialog("Open", Gtk.FileChooserAction.OPEN, "_Open")
        for label, patterns in ((called, [f"*.{e}" for end in endings for e in (end, end.upper())]), ("All", ["*"])):
            shown = Gtk.FileFilter()
            shown.set_name(label)
            for pattern in patterns:
                shown.add_pattern(pattern)
            dialog.add_filter(shown)
        return dialog

    def _dialog(self, title: str, action: Any, accept: str) -> Any:
        dialog = Gtk.FileChooserDialog(title=title, transient_for=self._window, action=action, local_only=True)
        dialog.add_button("_Cancel", Gtk.ResponseType.CANCEL)
        dialog.add_button(accept, Gtk.ResponseType.ACCEPT)
        dialog.set_default_response(Gtk.ResponseType.ACCEPT)
        return dialog

    def close(self) -> None:
        """The window is about to go: keep its place, and answer the open dialogs with nothing."""
        self.keep()
        for dialog, chosen in list(self._dialogs.items()):
            del self._dialogs[dialog]
            dialog.destroy()
            chosen.put(None)
