"""The window on Windows and macOS: what pywebview itself offers there, for the bridge and for the window's place."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import msgspec

from sungaze.desktop.bridge import Bridge
from sungaze.desktop.state import read_state, write_state


def prepare(webview: Any, window: Any, bridge: Bridge, folder: Path, *, system: str = sys.platform) -> None:
    """Give the bridge its window, and keep the window's place when it closes."""
    side = bridge.window
    side.current_url = window.get_current_url
    side.set_title = window.set_title
    side.webview = {"win32": "WebView2", "darwin": "WKWebView"}.get(system, "a web view")

    def ask_save(name: str) -> Path | None:
        return _one(window.create_file_dialog(webview.FileDialog.SAVE, save_filename=name))

    def ask_open(called: str, endings: tuple[str, ...]) -> Path | None:
        kinds = (f"{called} ({';'.join(f'*.{ending}' for ending in endings)})", "All (*.*)")
        return _one(window.create_file_dialog(webview.FileDialog.OPEN, file_types=kinds))

    side.ask_save = ask_save
    side.ask_open = ask_open
    kept = {"state": read_state(folder)}

    def change(**values: Any) -> None:
        # A minimised window says that it lies far outside; what cannot be is not kept.
        with contextlib.suppress(msgspec.ValidationError):
            fields = msgspec.structs.asdict(kept["state"]) | values
            kept["state"] = msgspec.convert(fields, type(kept["state"]))

    def on_resized(width: float, height: float) -> None:
        if not kept["state"].maximised:
            change(width=int(width), height=int(height))

    def on_moved(x: float, y: float) -> None:
        if not kept["state"].maximised and x > -30_000 and y > -30_000:
            change(x=int(x), y=int(y))

    window.events.resized += on_resized
    window.events.moved += on_moved
    window.events.maximized += lambda: change(maximised=True)
    window.events.restored += lambda: change(maximised=False)

    def on_closing() -> None:
        # What it answers is not said: False would keep the window open.
        write_state(folder, kept["state"])

    window.events.closing += on_closing


def _one(chosen: Any) -> Path | None:
    """pywebview answers with a text, with several of them, or with nothing."""
    if not chosen:
        return None
    return Path(chosen if isinstance(chosen, str) else chosen[0])
