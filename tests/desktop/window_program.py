"""A process with a window, for test_window.py: takes commands on standard input, tells on standard output.

python window_program.py URL [LOG_OF_OPENED_LINKS]
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Any

from sungaze.desktop import Bridge, WindowUnavailable, close_window, open_window


def say(word: str) -> None:
    print(word, flush=True)  # noqa: T201 - the test reads what is printed


def screenshot(path: str) -> None:
    """Write the whole screen as PNG; on the window's thread."""
    from gi.repository import Gdk

    root = Gdk.get_default_root_window()
    Gdk.pixbuf_get_from_window(root, 0, 0, root.get_width(), root.get_height()).savev(path, "png", [], [])
    say("shot")


def click(place: str) -> None:
    """Press and release the mouse at this place of the page, as a person does; on the window's thread."""
    from gi.repository import Gdk
    from webview.platforms.gtk import BrowserView

    (view,) = BrowserView.instances.values()
    x, y = map(int, place.split())
    for kind in (Gdk.EventType.BUTTON_PRESS, Gdk.EventType.BUTTON_RELEASE):
        Gdk.test_simulate_button(view.webview.get_window(), x, y, 1, Gdk.ModifierType(0), kind)


def obey() -> None:
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        if command == "close":
            close_window()
        elif command in {"shot", "click"}:
            # Not at the top: the window's thread imports the same, and gi bears one at a time.
            from gi.repository import GLib

            GLib.idle_add(screenshot if command == "shot" else click, rest)
    close_window()


def main(url: str, links: str) -> None:
    def open_link(link: str) -> bool:
        with Path(links).open("a") as file:
            file.write(link + "\n")
        say(f"link {link}")
        return True

    def on_signal(*_: Any) -> None:
        say("signal")
        close_window()

    signal.signal(signal.SIGTERM, on_signal)
    say("started")
    ready = threading.Event()
    threading.Thread(target=lambda: ready.wait() and say("ready"), daemon=True).start()
    threading.Thread(target=obey, daemon=True).start()
    try:
        open_window(
            url,
            title="Sungaze test",
            bridge=Bridge(url, data_dir=Path("/data"), open_link=open_link),
            on_closed=lambda: say("closed"),
            ready=ready,
        )
    except WindowUnavailable as error:
        say(f"unavailable {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
