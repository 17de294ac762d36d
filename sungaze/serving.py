"""A listening socket, and an application that is served on it by a thread."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from pathlib import Path
from typing import Any, Final

import uvicorn

from sungaze.errors import ConfigError

GRACE_S: Final = 2
START_S: Final = 10


def pages_folder() -> Path:
    """Where the built pages are: beside the package once packed, in out/web in a checkout."""
    packed = Path(__file__).parent / "web"
    return packed if packed.is_dir() else Path(__file__).parent.parent / "out" / "web"


def address_of(host: str, port: int) -> str:
    """The address under which this machine reaches what listens there."""
    shown = "127.0.0.1" if host in {"0.0.0.0", "localhost"} else host
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


class _Server(uvicorn.Server):
    """Uvicorn, told when to stop: looking ten times a second whether to keeps a resting computer awake."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._left = asyncio.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):  # renews the Date header
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._left.wait(), 1.0)

    def leave(self) -> None:
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._left.set)


class Serving:
    """An ASGI application on a thread of its own."""

    def __init__(self, app: Any, listener: socket.socket) -> None:
        """Serve until `stop`. Raises ConfigError where it does not start."""
        self._server = _Server(_config(app))
        self._thread = threading.Thread(target=lambda: self._server.run(sockets=[listener]), name="api", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + START_S
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.stop()
                raise ConfigError("The API did not start; the log above tells why.")
            time.sleep(0.005)

    def leave(self) -> None:
        """Begin to stop, without waiting for it."""
        self._server.leave()

    def stop(self) -> None:
        """Stop, and wait for the answers under way for a while."""
        self.leave()
        self._thread.join(GRACE_S + 1)


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app, lifespan="on", log_config=None, access_log=False, timeout_graceful_shutdown=GRACE_S, server_header=False,
        ws="none",
    )  # fmt: skip


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 takes a free one. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        if "in use" in reason:
            raise ConfigError(
                f"Port {port} on {host} is taken by another program. Nothing was started; choose another with --port."
            ) from None
        raise ConfigError(f"Sungaze cannot listen on {host}, port {port}: {reason}. Nothing was started.") from None
    return listener
