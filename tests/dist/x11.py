"""What a window manager does, by the X library itself: find windows by name, and ask one to close."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

CLIENT_MESSAGE: Final = 33


class _ClientMessage(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("serial", ctypes.c_ulong),
        ("send_event", ctypes.c_int),
        ("display", ctypes.c_void_p),
        ("window", ctypes.c_ulong),
        ("message_type", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("data", ctypes.c_long * 5),
    )


class _Event(ctypes.Union):
    _fields_ = (("client", _ClientMessage), ("pad", ctypes.c_long * 24))


@contextmanager
def connection(display: str) -> Iterator[Any]:
    """The X library, and a connection to that screen."""
    x = ctypes.CDLL("libX11.so.6")
    x.XOpenDisplay.restype = ctypes.c_void_p
    x.XDefaultRootWindow.restype = ctypes.c_ulong
    x.XInternAtom.restype = ctypes.c_ulong
    screen = ctypes.c_void_p(x.XOpenDisplay(display.encode()))
    assert screen.value, f"no screen {display}"
    try:
        yield x, screen
    finally:
        x.XCloseDisplay(screen)


def windows(display: str) -> dict[str, int]:
    """The visible windows that have a name, by it."""
    with connection(display) as (x, screen):
        found = {}
        root = x.XDefaultRootWindow(screen)
        for window in _children(x, screen, root):
            name = ctypes.c_char_p()
            if x.XFetchName(screen, ctypes.c_ulong(window), ctypes.byref(name)) and name.value:
                found[name.value.decode(errors="replace")] = window
        return found


def _children(x: Any, screen: Any, window: int) -> list[int]:
    root, parent, count = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.c_uint()
    below = ctypes.POINTER(ctypes.c_ulong)()
    told = (ctypes.byref(one) for one in (root, parent, below, count))
    if not x.XQueryTree(screen, ctypes.c_ulong(window), *told):
        return []
    return [below[n] for n in range(count.value)]


def leave(display: str) -> None:
    """Take the focus from every window, as somebody does who turns to the bare screen."""
    with connection(display) as (x, screen):
        # None. With the root window it would be whatever lies under the pointer, and a moved one gives it back.
        x.XSetInputFocus(screen, ctypes.c_ulong(0), 0, ctypes.c_ulong(0))
        x.XSync(screen, 0)


def ask_to_close(display: str, window: int) -> None:
    """Send what the cross in a window's corner sends."""
    with connection(display) as (x, screen):
        event = _Event()
        message = event.client
        message.type, message.window, message.format = CLIENT_MESSAGE, window, 32
        message.message_type = x.XInternAtom(screen, b"WM_PROTOCOLS", 0)
        message.data[0] = x.XInternAtom(screen, b"WM_DELETE_WINDOW", 0)
        assert x.XSendEvent(screen, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(event))
        x.XSync(screen, 0)
