"""A small MQTT broker of the demo's own, on loopback: what an installer would run beside the gateways."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from threading import Event, Thread

START_S = 10.0
STOP_S = 3.0


class EmbeddedBroker:
    """An MQTT 3.1.1 broker on 127.0.0.1, in a thread of its own. Raises OSError when it does not start."""

    def __init__(self) -> None:
        self.host = "127.0.0.1"
        self.port = _free_port()
        self._ready = Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        for noisy in ("amqtt", "transitions"):
            logging.getLogger(noisy).setLevel(logging.CRITICAL)
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="demo-broker", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S):
            raise OSError("the demo's MQTT broker did not start")

    def stop(self) -> None:
        """Let every client go; more than once does no harm."""
        loop, ending = self._loop, self._ending
        if loop is not None and ending is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(ending.set)
        self._thread.join(STOP_S)

    async def _serve(self) -> None:
        from amqtt.broker import Broker

        broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"{self.host}:{self.port}"}},
                "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
            }
        )
        await broker.start()
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._ending.wait()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(broker.shutdown(), STOP_S - 1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
