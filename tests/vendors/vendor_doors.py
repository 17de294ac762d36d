"""What these tests open: an account's access whose every act is noted, and a server that answers by script."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from sungaze.emulators import Emulator
from sungaze.model import Reading
from sungaze.vendors import connector
from sungaze.vendors._contract import Access, SiteRef
from sungaze.vendors._session import HttpSession, open_client


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


NOON = instant("2026-06-01T18:05:00+00:00")
"""Noon near Chicago; dusk near Berlin, night near Adelaide and Kolkata."""

ENPHASE_CREDENTIALS = {
    "api_key": "invented-key-4711",
    "client_id": "invented-client-4712",
    "client_secret": "invented-secret-4713",
    "username": "invented@sungaze.example",
    "password": "invented-password-4714",
}
SOLAREDGE_CREDENTIALS = {"api_key": "invented-key-5711"}
ALIVE = {"access_token": "access-4715", "refresh_token": "refresh-4716", "expires_at": str(NOON + 3 * 365 * 86_400)}


class Hands:
    """A clock that stands where the test put it."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Door:
    """One account's access. `journal` holds, in order, each call spent, each `remember` and each lease taken."""

    def __init__(
        self,
        vendor: str,
        base_url: str,
        credentials: Mapping[str, str],
        clock: Hands,
        *,
        method: str | None = None,
        plan: str | None = None,
        calls: int = 10_000,
        memory: Mapping[str, str] | None = None,
    ) -> None:
        self.connector = connector(vendor)
        self.journal: list[str] = []
        self.calls_left = calls
        self.memory = dict(memory or {})
        self.client = open_client(base_url)
        self.session = HttpSession(self.connector.vendor.name, self.client, spend=self._spend, slot=self._slot)
        way = self.connector.vendor.method(method) if method else self.connector.vendor.methods[0]
        assert way is not None
        chosen = self.connector.vendor.plan(plan or way.plans[0])
        assert chosen is not None
        self._lease = threading.Lock()
        self.access = Access(
            method=way.id,
            plan=chosen,
            credentials=dict(credentials),
            session=self.session,
            recall=lambda: dict(self.memory),
            remember=self._remember,
            login_lease=self._login_lease,
            now=clock,
        )

    def _spend(self) -> float | None:
        self.journal.append("spend")
        self.calls_left -= 1
        return None if self.calls_left >= 0 else 42.0

    @contextmanager
    def _slot(self) -> Iterator[None]:
        yield

    def _remember(self, values: Mapping[str, str]) -> None:
        self.journal.append("remember")
        self.memory = dict(values)

    @contextmanager
    def _login_lease(self) -> Iterator[None]:
        with self._lease:
            self.journal.append("lease")
            yield


def door_to(emulator: Emulator, clock: Hands, **options: Any) -> Door:
    options.setdefault("plan", emulator.plan)
    return Door(emulator.vendor, emulator.base_url, emulator.credentials, clock, **options)


@dataclass
class Asked:
    """A request as it stood on the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)


@dataclass
class Scripted:
    """A server on loopback that answers by `script`: an (status, body, headers), or a writer of raw bytes."""

    script: Callable[[Asked], Any]
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def paths(self) -> list[str]:
        return [request.path for request in self.asked]


@contextmanager
def scripted(script: Callable[[Asked], Any]) -> Iterator[Scripted]:
    served = Scripted(script)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            served.asked.append(Asked(self.command, self.path, headers, body, self.client_address[1]))
            given = served.script(served.asked[-1])
            if callable(given):
                given(self)
                self.close_connection = True
                return
            status, content, *more = given
            payload = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in (more[0] if more else {}).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

        def log_message(self, *words: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing of a client that hung up: that is what some tests want of it."""

    server = Server(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def dead_port() -> str:
    """An address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def site_ref(vendor_site_id: str | int, timezone: str | None = "America/Chicago") -> SiteRef:
    return SiteRef(vendor_site_id=str(vendor_site_id), timezone=timezone)


def by_key(readings: list[Reading]) -> dict[tuple[str, str, int, int], float]:
    """Values by what names them; fails where one comes twice."""
    found = {(r.vendor_device_id, r.metric_name, r.interval_s, r.timestamp): r.value for r in readings}
    assert len(found) == len(readings), "a reading came twice"
    return found


def told(error: BaseException | None) -> str:
    """All that an error and everything behind it would print."""
    parts = []
    while error is not None:
        parts += [str(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(parts)
