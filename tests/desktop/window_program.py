"""A process with a window, for the tests of it: takes commands on standard input, tells on standard output.

python window_program.py URL [LOG_OF_OPENED_LINKS [DATA_DIR]]
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any

from sungaze.desktop import Bridge, WindowUnavailable, close_window, open_window, present_window
from sungaze.desktop.system import Notifier


def say(word: str) -> None:
    print(word, flush=True)  # noqa: T201 - the test reads what is printed


def view() -> Any:
    from webview.platforms.gtk import BrowserView

    (found,) = BrowserView.instances.values()
    return found


def screenshot(path: str) -> None:
    """Write the whole screen as PNG."""
    from gi.repository import Gdk

    root = Gdk.get_default_root_window()
    Gdk.pixbuf_get_from_window(root, 0, 0, root.get_width(), root.get_height()).savev(path, "png", [], [])
    say("shot")


def click(place: str) -> None:
    """Press and release the mouse at this place of the page, as a person does."""
    from gi.repository import Gdk

    x, y = map(int, place.split())
    for kind in (Gdk.EventType.BUTTON_PRESS, Gdk.EventType.BUTTON_RELEASE):
        Gdk.test_simulate_button(view().webview.get_window(), x, y, 1, Gdk.ModifierType(0), kind)


def key(names: str) -> None:
    """Press and release a key, with Ctrl where it is named, in the window."""
    from gi.repository import Gdk

    *held, name = names.split("+")
    modifiers = Gdk.ModifierType.CONTROL_MASK if "ctrl" in held else Gdk.ModifierType(0)
    for kind in (Gdk.EventType.KEY_PRESS, Gdk.EventType.KEY_RELEASE):
        Gdk.test_simulate_key(view().window.get_window(), 1, 1, Gdk.keyval_from_name(name), modifiers, kind)


def measure(_: str) -> None:
    """Tell size, place, zoom and title."""
    shown = view().window
    state = shown.get_window().get_state()
    words = [name for name in ("maximized", "fullscreen") if name in state.value_nicks]
    zoom = round(view().webview.get_zoom_level(), 3)
    size, place = tuple(shown.get_size()), tuple(shown.get_position())
    say(f"measured {size} {place} {zoom} {words} {shown.is_active()} {shown.get_title()}")


def resize(size: str) -> None:
    width, height, x, y = map(int, size.split())
    view().window.resize(width, height)
    view().window.move(x, y)
    say("resized")


def answer(path: str) -> None:
    """Choose a path in the dialog that is open, once it is; nothing cancels it."""
    from gi.repository import GLib, Gtk

    def reply() -> bool:
        for dialog in Gtk.Window.list_toplevels():
            if isinstance(dialog, Gtk.FileChooserDialog) and dialog.get_visible():
                say(f"dialog {dialog.get_action().value_nick} {dialog.get_current_name() or ''}".strip())
                # Its file is taken up by a later turn of the loop.
                GLib.timeout_add(20, choose, dialog)
                return False
        return True

    def choose(dialog: Any) -> bool:
        if not path:
            dialog.response(Gtk.ResponseType.CANCEL)
            return False
        if dialog.get_filename() != path:
            if dialog.get_action() == Gtk.FileChooserAction.SAVE:
                dialog.set_current_folder(str(Path(path).parent))
                dialog.set_current_name(Path(path).name)
            else:
                dialog.set_filename(path)
            return True
        dialog.response(Gtk.ResponseType.ACCEPT)
        return False

    GLib.timeout_add(20, reply)


def cover(_: str) -> None:
    """Put another window in front, which takes the keyboard."""
    import gi

    gi.require_version("GdkX11", "3.0")
    from gi.repository import GdkX11, Gtk

    other = Gtk.Window(title="another")
    other.show_all()
    other.present_with_time(GdkX11.x11_get_server_time(other.get_window()))
    say("covered")


def dialogs(_: str) -> None:
    """Tell how many file dialogs are open."""
    from gi.repository import Gtk

    shown = [one for one in Gtk.Window.list_toplevels() if isinstance(one, Gtk.FileChooserDialog) and one.get_visible()]
    say(f"dialogs {len(shown)}")


COMMANDS = {
    "shot": screenshot, "click": click, "key": key, "measure": measure, "resize": resize, "answer": answer,
    "dialogs": dialogs, "cover": cover, "act": lambda name: view().window.lookup_action(name).activate(None),
}  # fmt: skip


def obey() -> None:
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        if command == "close":
            close_window()
        elif command == "present":
            say(f"presented {present_window()}")
        elif command in COMMANDS:
            # Not at the top: the window's thread imports the same, and gi bears one at a time.
            from gi.repository import GLib

            GLib.idle_add(lambda do=COMMANDS[command], rest=rest: do(rest) and False)
    close_window()


def main(url: str, links: str, folder: str = "/data") -> None:
    def open_link(link: str) -> bool:
        with Path(links).open("a") as file:
            file.write(link + "\n")
        say(f"link {link}")
        return True

    def show(path: Path) -> bool:
        say(f"shown {path}")
        return True

    def on_signal(*_: Any) -> None:
        say("signal")
        close_window()

    asked = []

    def link() -> str:
        asked.append(url)
        say(f"asked {len(asked)}")
        return url

    signal.signal(signal.SIGTERM, on_signal)
    say("started")
    ready = threading.Event()
    threading.Thread(target=lambda: ready.wait() and say("ready"), daemon=True).start()
    threading.Thread(target=obey, daemon=True).start()
    notifier = Notifier(lambda: say("clicked"))
    try:
        open_window(
            link,
            title="Sungaze test",
            bridge=Bridge(
                None,
                data_dir=Path(folder),
                token=lambda: "the-token",
                open_link=open_link,
                show=show,
                notifier=notifier,
            ),
            folder=Path(folder),
            on_closed=lambda: say("closed"),
            ready=ready,
        )
    except WindowUnavailable as error:
        say(f"unavailable {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
