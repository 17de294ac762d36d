"""The bridge between the page and the desktop, declared once.

`Desktop` names every function with the types of its arguments and of its answer. The bridge checks what it is given
against them, and `build/bridge_types.py` writes web/src/lib/bridge.gen.ts from them. An answer is the function's own
shape, or `Cancelled` where a person may change their mind, or `Refused`.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal, Protocol, TypedDict

from msgspec import Meta

MAX_LINK_LENGTH: Final = 4096
MAX_OPENED_BYTES: Final = 4 * 2**20
"""The largest file that is handed to the page."""
MAX_PICTURE_BYTES: Final = 16 * 2**20

Link = Annotated[str, Meta(min_length=1, max_length=MAX_LINK_LENGTH)]
OwnPath = Annotated[str, Meta(pattern=r"\A/api/[!-~]*\Z", max_length=MAX_LINK_LENGTH)]
"""A path of our own API, with its query."""
FileName = Annotated[str, Meta(max_length=200)]
Packed = Annotated[str, Meta(max_length=MAX_PICTURE_BYTES // 3 * 4 + 4)]
"""Bytes in base64."""
KnownPath = Annotated[str, Meta(min_length=1, max_length=MAX_LINK_LENGTH)]
Words = Annotated[str, Meta(min_length=1, max_length=120)]
Body = Annotated[str, Meta(max_length=400)]
Kind = Literal["sheet"]
"""What kind of file is asked for; the desktop side knows the endings."""


class Refused(TypedDict):
    """Why nothing was done, as a sentence."""

    error: str


class Cancelled(TypedDict):
    """The person closed the dialog without choosing."""

    cancelled: Literal[True]


class Opened(TypedDict):
    """The link that the browser was given."""

    opened: str


class Saved(TypedDict):
    """Where the file is now, whole; `name` is its last part."""

    saved: str
    name: str


class Picked(TypedDict):
    """A file that the person chose: its name, its size in bytes, its content in base64."""

    name: str
    size: int
    content: str


class Revealed(TypedDict):
    """The path that is shown in the system's file manager."""

    revealed: str


class Notified(TypedDict):
    """Whether the desktop took the notification."""

    notified: bool


class Titled(TypedDict):
    """The title that the window has."""

    title: str


class SecretStoreState(TypedDict):
    """Where credentials are kept: `said` is a sentence for people."""

    kind: Literal["keyring", "file", "both", "unknown"]
    said: str


class AppInfo(TypedDict):
    """What the About page shows of the desktop side."""

    version: str
    platform: str
    webview: str
    data_dir: str


class Desktop(Protocol):
    """The functions behind `window.pywebview.api`."""

    def open_external(self, url: Link) -> Opened | Refused:
        """Open a link in the user's browser."""

    def save_file(self, path: OwnPath, name: FileName) -> Saved | Cancelled | Refused:
        """Save what our own API answers under a path to a file that the person chooses.

        `name` is proposed where the answer names no file itself.
        """

    def save_picture(self, content: Packed, name: FileName) -> Saved | Cancelled | Refused:
        """Save a PNG that the page has drawn to a file that the person chooses."""

    def open_file(self, kind: Kind) -> Picked | Cancelled | Refused:
        """The file that the person chooses."""

    def reveal(self, path: KnownPath) -> Revealed | Refused:
        """Show a file that was saved here, or the data folder, in the system's file manager."""

    def notify(self, title: Words, body: Body) -> Notified | Refused:
        """Show a notification of the desktop."""

    def set_title(self, title: Words) -> Titled | Refused:
        """Set the window's title."""

    def secret_store_state(self) -> SecretStoreState | Refused:
        """Where credentials are kept."""

    def app_info(self) -> AppInfo | Refused:
        """What program this is."""


FUNCTIONS: Final = tuple(name for name in vars(Desktop) if not name.startswith("_"))
"""The functions' names, in the order of their declaration."""
