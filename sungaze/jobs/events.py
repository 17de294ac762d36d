"""What changed, told to whoever listens in this process. Events carry ids only."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

BACKLOG: Final = 200
"""Events a listener may be behind; a slower one is told to look at everything again."""


class Event(msgspec.Struct, frozen=True):
    """`name` is sites, accounts, health or everything; `ids` are of that kind, none means all of them."""

    name: str
    ids: tuple[int, ...] = ()


class Events:
    """The listeners of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[queue.Queue[Event], Callable[[], None]] = {}
        self.closed = False
        """Whether the process stops: nothing more is told."""

    def publish(self, name: str, ids: Iterable[int] = ()) -> None:
        """Tell every listener; never waits for one."""
        event = Event(name, tuple(ids))
        with self._lock:
            for listener, wake in self._listeners.items():
                try:
                    listener.put_nowait(event)
                except queue.Full:
                    while not listener.empty():
                        listener.get_nowait()
                    listener.put_nowait(Event("everything"))
                wake()

    def close(self) -> None:
        """Wake every listener once more, to see that there is no more to come."""
        self.closed = True
        with self._lock:
            for wake in self._listeners.values():
                wake()

    def listen(self, wake: Callable[[], None] = lambda: None) -> queue.Queue[Event]:
        """A queue of the events from now on; `wake` is called by whoever puts one in."""
        listener: queue.Queue[Event] = queue.Queue(BACKLOG)
        with self._lock:
            self._listeners[listener] = wake
        return listener

    def leave(self, listener: queue.Queue[Event]) -> None:
        """Stop listening."""
        with self._lock:
            del self._listeners[listener]
