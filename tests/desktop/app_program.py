"""Sungaze as its command starts it, in a process that takes commands for its window on standard input.

python app_program.py OPTION…

`js N TEXT` evaluates the body of an async function in the page and tells `js N JSON`; the others are window_program's.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from window_program import COMMANDS, say, view

from sungaze.cli import main
from sungaze.desktop import window


def run_script(numbered: str) -> None:
    number, _, text = numbered.partition(" ")
    page = view().webview

    def done(_: Any, result: Any) -> None:
        from gi.repository import GLib

        try:
            told = page.call_async_javascript_function_finish(result).to_string()
        except GLib.Error as error:
            told = json.dumps({"failed": error.message})
        say(f"js {number} {told}")

    body = f"return JSON.stringify((await (async () => {{ {text} }})()) ?? null)"
    page.call_async_javascript_function(body, -1, None, None, None, None, done)


def ground(_: str) -> None:
    """Tell the colour that stands behind the page."""
    say(f"ground {view().webview.get_background_color().to_string()}")


def listen() -> None:
    commands = {**COMMANDS, "js": run_script, "ground": ground}
    for line in sys.stdin:
        command, _, rest = line.strip().partition(" ")
        # The window brings gi, which bears one import at a time; before that there is nothing to do anything to.
        if window._side is None:
            continue
        from gi.repository import GLib

        GLib.idle_add(lambda do=commands[command], rest=rest: do(rest) and False)


if __name__ == "__main__":
    threading.Thread(target=listen, daemon=True).start()
    main(sys.argv[1:])
