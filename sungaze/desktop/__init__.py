"""The window and the bridge behind its page. Nothing here is needed to run headless."""

from __future__ import annotations

from pathlib import Path

from sungaze.desktop.bridge import Bridge
from sungaze.desktop.window import WindowUnavailable, close_window, open_window, present_window

__all__ = ["Bridge", "WindowUnavailable", "close_window", "open_desktop", "open_window", "present_window"]


def open_desktop(url: str, *, data_dir: Path, demo: bool) -> None:
    """Show Sungaze in a window until it is closed. Raises WindowUnavailable where there can be none."""
    open_window(url, title="Sungaze (demo)" if demo else "Sungaze", bridge=Bridge(url, data_dir=data_dir))
