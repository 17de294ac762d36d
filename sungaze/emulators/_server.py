"""A service on a loopback socket: uvicorn in a thread, raw ASGI so that answers can break on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from email.utils import formatdate
from threading import Event, Thread
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs

import uvicorn

from sungaze.emulators._quota import Quota
from sungaze.emulators._service import Answer, Request, Service
from sungaze.emulators.faults import Faults

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

REMEMBERED_REQUESTS = 10_000
LARGEST_REQUEST = 1024 * 1024
HUGE_BYTES = 72 * 1024 * 1024
HUGE_CHUNK = b" " * (1024 * 1024)
DRIP_S = 1.0
LONGEST_DRIP_S = 60.0

log = logging.getLogger(__name__)


class SeenRequest(NamedTuple):
    """One request as the emulator saw it, on the emulator's clock."""

    epoch: float
    method: str
    path: str
    status: int


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = Event()
        self.stopping = asyncio.Event()

    async def main_loop(self) -> None:
        # Uvicorn's own looks ten times a second whether to stop, which five emulators of a resting demo would do too.
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.stopping.wait(), 1.0)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()


class Emulator:
    """A running emulator; a context manager that stops it.

    `requests` holds the last ten thousand requests, `faults` may be changed at any time, `quota` shows and
    sets the counters, `service` is the vendor's own object. Raises OSError when the port is taken.
    """

    def __init__(self, service: Service, port: int = 0) -> None:
        self.service = service
        self.vendor = service.VENDOR
        self.method = service.METHOD
        self.plan = service.plan
        self.requests: deque[SeenRequest] = deque(maxlen=REMEMBERED_REQUESTS)
        # With the protocol named, asyncio sets TCP_NODELAY; without it every answer waits 40 ms for an ACK.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        if sys.platform != "win32":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        try:
            service.open()
        except BaseException:
            self._socket.close()
            raise
        self._loop: asyncio.AbstractEventLoop | None = None
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            http="h11",
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,  # ours is by the emulator's clock
            timeout_graceful_shutdown=1,
        )
        self._server = _Uvicorn(config)
        self._thread = Thread(target=self._run, name=f"emulator-{self.vendor}", daemon=True)
        self._thread.start()
        self._server.serving.wait(10.0)

    @property
    def credentials(self) -> dict[str, str]:
        """Return what a user would paste to connect."""
        return self.service.credentials

    @property
    def faults(self) -> Faults:
        """Return the fault rates, to be read and changed."""
        return self.service.faults

    @property
    def quota(self) -> Quota:
        """Return the call counters of the application."""
        return self.service.quota

    def leave(self) -> None:
        """Begin to stop, without waiting for it."""
        self._server.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._server.stopping.set)

    def stop(self) -> None:
        """Stop serving and release the port; more than once does no harm."""
        self.leave()
        self._thread.join(5.0)
        self._socket.close()
        self.service.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve(sockets=[self._socket])

    async def _app(self, scope: Message, receive: Receive, send: Send) -> None:
        body = bytearray()
        more = True
        while more and len(body) <= LARGEST_REQUEST:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        request = Request(
            method=scope["method"],
            path=scope["path"],
            query=parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True),
            headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
            body=bytes(body),
        )
        try:
            answer = self.service.answer(request)
        except Exception:
            log.exception("the %s emulator failed at %s", self.vendor, request.path)
            answer = Answer(500, b"the emulator itself failed", "text/plain")
        self.requests.append(SeenRequest(self.service.now(), request.method, request.path, answer.status))
        try:
            await self._deliver(answer, receive, send)
        finally:
            self.service.delivered()

    async def _deliver(self, answer: Answer, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", answer.content_type.encode())]
        headers += [(name.encode(), value.encode()) for name, value in answer.headers]
        headers.append((b"date", formatdate(self.service.now(), usegmt=True).encode()))
        if answer.delivery != "huge":
            headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        if answer.delivery == "plain":
            await send({"type": "http.response.body", "body": answer.body})
        elif answer.delivery == "truncated":
            await send(
                {
                    "type": "http.response.body",
                    "body": answer.body[: len(answer.body) // 2],
                    "more_body": True,
                }
            )
        else:
            gone = asyncio.ensure_future(self._interrupted(receive))
            try:
                await (self._drip if answer.delivery == "slow" else self._flood)(answer.body, send, gone)
            finally:
                gone.cancel()

    async def _interrupted(self, receive: Receive) -> None:
        """Return when the client has gone or the emulator stops."""
        waits = {asyncio.ensure_future(receive()), asyncio.ensure_future(self._server.stopping.wait())}
        _, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()

    async def _drip(self, body: bytes, send: Send, gone: asyncio.Future[None]) -> None:
        drops = min(len(body), int(LONGEST_DRIP_S / DRIP_S))
        for n in range(drops):
            last = n == drops - 1
            drop = body[n:] if last else body[n : n + 1]
            await send({"type": "http.response.body", "body": drop, "more_body": not last})
            if not last:
                await asyncio.wait({gone}, timeout=DRIP_S)
            if gone.done():
                return

    async def _flood(self, body: bytes, send: Send, gone: asyncio.Future[None]) -> None:
        sent = 0
        while sent < HUGE_BYTES and not gone.done():
            await send({"type": "http.response.body", "body": HUGE_CHUNK, "more_body": True})
            sent += len(HUGE_CHUNK)
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": body})
