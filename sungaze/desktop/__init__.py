"""The window and the bridge behind its page. Nothing here is needed to run headless."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sungaze.desktop.bridge import Bridge
from sungaze.desktop.contract import SecretStoreState
from sungaze.desktop.system import Notifier
from sungaze.desktop.window import (
    Starting,
    WindowUnavailable,
    close_window,
    library,
    open_window,
    present_window,
)

__all__ = [
    "Bridge", "SecretStoreState", "Starting", "WindowUnavailable", "close_window", "library", "open_desktop",
    "open_window", "present_window",
]  # fmt: skip


def open_desktop(
    link: str | Callable[[], str],
    *,
    data_dir: Path,
    demo: bool,
    token: Callable[[], str] = str,
    starting: Starting | None = None,
    secret_store: Callable[[], SecretStoreState] | None = None,
) -> None:
    """Show Sungaze in a window until it is closed. Raises WindowUnavailable where there can be none.

    `link` is the address to open, or gives a new one each time; `token` gives what opens the API behind it, for files
    that are saved. `secret_store` tells where credentials are kept.
    """
    bridge = Bridge(None, data_dir=data_dir, token=token, notifier=Notifier(present_window))
    if secret_store is not None:
        bridge.secret_store = secret_store
    address = link if callable(link) else lambda: link
    title = "Sungaze (demo)" if demo else "Sungaze"
    open_window(address, title=title, bridge=bridge, folder=data_dir, starting=starting)
