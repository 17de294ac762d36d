"""An owner's consent in the browser: where it is sent, and the code that it brings back.

The code comes back to a listener of its own on a fixed port of loopback, which is open only while a consent is pending.
It is matched by its `state`, or, where the vendor does not hand that back, by being the only one that is pending.
"""

from __future__ import annotations

import html
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from sungaze.errors import NotFound, UserError

log = logging.getLogger(__name__)

PENDING_S: Final = 600.0
MOST_PENDING: Final = 20
DONE: Final = "You can close this page: Sungaze has what it needs."
_PAGE: Final = (
    "<!DOCTYPE html><html><head><meta charset=utf-8><title>Sungaze</title></head><body><p>{}</p></body></html>"
)


class Pending(msgspec.Struct):
    """A consent that was asked for. `state` is pending, received, refused or expired; `brought` holds its fields."""

    id: str
    vendor: str
    method: str
    url: str
    redirect_uri: str
    until: float
    state: str = "pending"
    reason: str = ""
    brought: dict[str, str] = {}

    def __repr__(self) -> str:
        # The code stays out of every log and traceback.
        return f"Pending({self.vendor!r}, {self.method!r}, {self.state!r})"


class Grants:
    """The consents of one process; in memory only, so that no code outlives it."""

    def __init__(self, port: int, now: Callable[[], float], came_back: Callable[[], object] = lambda: None) -> None:
        """`port` is where the browser comes back to; 0 takes a free one (for tests).

        `came_back` is called when a browser has brought an answer that was waited for.
        """
        self._port = port
        self._now = now
        self._came_back = came_back
        self._lock = threading.Lock()
        self._pending: dict[str, Pending] = {}
        self._server: ThreadingHTTPServer | None = None
        self._closing: threading.Timer | None = None

    @property
    def address(self) -> str:
        """Where a browser comes back to."""
        return f"http://127.0.0.1:{self._port}/"

    def begin(self, vendor: str, method: str, url_of: Callable[[str, str], str], *, come_back: bool) -> Pending:
        """A new consent, with the address to open; `url_of` makes it from (redirect_uri, state).

        With `come_back` the browser returns to the listener, otherwise the vendor's page shows the code. Raises
        UserError when the port is taken.
        """
        name = secrets.token_urlsafe(24)
        with self._lock:
            self._sweep()
            if len(self._pending) >= MOST_PENDING:
                raise UserError("Too many consents are waited for. Finish one of them, or wait ten minutes.")
            redirect = f"http://127.0.0.1:{self._listen()}/" if come_back else ""
            found = Pending(name, vendor, method, url_of(redirect, name), redirect, self._now() + PENDING_S)
            self._pending[name] = found
        return found

    def pending(self, name: str) -> Pending:
        """A consent as it stands. Raises NotFound for one that there is not, or is over for long."""
        with self._lock:
            self._sweep()
            if name not in self._pending:
                raise NotFound("This consent is not waited for any more. Ask for it once more.")
            return self._pending[name]

    def credentials(self, name: str, vendor: str, method: str) -> dict[str, str]:
        """What a consent brought, as fields of its way in. Raises NotFound, and UserError while nothing came."""
        found = self.pending(name)
        if (found.vendor, found.method) != (vendor, method):
            raise NotFound("This consent was asked for another way in.")
        if found.state != "received":
            raise UserError(found.reason or "The consent has not come back from the browser yet.")
        back = {"redirect_uri": found.redirect_uri} if found.redirect_uri else {}
        return found.brought | back

    def stop(self) -> None:
        """Close the listener; more than once does no harm."""
        with self._lock:
            self._close()
            self._pending.clear()

    def come_back(self, query: Mapping[str, str]) -> str:
        """Take what a browser brought back; the sentence to show there."""
        with self._lock:
            self._sweep()
            waiting = [one for one in self._pending.values() if one.state == "pending" and one.redirect_uri]
            given = query.get("state")
            found = next((one for one in waiting if given is not None and secrets.compare_digest(one.id, given)), None)
            if found is None and not given and len(waiting) == 1:
                found = waiting[0]
            if found is None:
                return "Sungaze is not waiting for this. Ask for the consent once more, from Sungaze."
            if query.get("code"):
                found.state = "received"
                found.brought = {name: query[name] for name in ("code", "site_id") if query.get(name)}
                said = DONE
            else:
                found.state = "refused"
                found.reason = said = "The owner did not agree, so nothing was connected. It can be asked for again."
            if len(waiting) == 1:
                # Closed from another thread: this one is the listener's own, and its answer has to go out first.
                self._later(0.5)
        self._came_back()
        return said

    def _listen(self) -> int:
        if self._server is None:
            grants = self

            class Door(BaseHTTPRequestHandler):
                """Answers the browser that comes back; logs nothing, because the address holds the code."""

                timeout = 10

                def do_GET(self) -> None:
                    parts = urlsplit(self.path)
                    said = grants.come_back(dict(parse_qsl(parts.query))) if parts.path == "/" else "Nothing is here."
                    body = _PAGE.format(html.escape(said)).encode()
                    self.send_response(200 if said == DONE else 400)
                    for name, value in (
                        ("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body))),
                        ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"), ("Connection", "close"),
                    ):  # fmt: skip
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, format: str, *args: Any) -> None:
                    pass

            try:
                self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Door)
            except OSError as error:
                raise UserError(
                    f"The browser cannot come back to port {self._port}: {error.strerror}. Paste the code instead, or "
                    "set SUNGAZE_RETURN_PORT to another one."
                ) from None
            self._server.daemon_threads = True
            threading.Thread(target=self._server.serve_forever, args=(0.1,), name="consent", daemon=True).start()
        self._later(PENDING_S)
        port: int = self._server.server_address[1]
        return port

    def _later(self, seconds: float) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._closing = threading.Timer(seconds, self._close_if_idle)
        self._closing.daemon = True
        self._closing.start()

    def _close_if_idle(self) -> None:
        with self._lock:
            self._sweep()
            if any(one.state == "pending" and one.redirect_uri for one in self._pending.values()):
                self._later(PENDING_S)
            else:
                self._close()

    def _close(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def _sweep(self) -> None:
        now = self._now()
        for name, one in list(self._pending.items()):
            if one.state == "pending" and now > one.until:
                one.state = "expired"
                one.reason = "The consent did not come back within ten minutes. Ask for it once more."
            if now > one.until + PENDING_S:
                del self._pending[name]
