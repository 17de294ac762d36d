"""Who may ask: a one-use launch key is exchanged for a cookie; scripts carry a token; Host and Origin are checked.

Wrapped around the whole application, so that no route can forget it.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import threading
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

import msgspec
from litestar.types import ASGIApp, Receive, Send

from sungaze.api.problems import MEDIA_TYPE
from sungaze.api.shapes import Problem

OPEN_PATHS: Final = frozenset({"/api/health", "/api/session"})
GUARDED: Final = ("/api/",)
PUSHED: Final = "/push/"
"""Senders come here by whatever name leads to us, and prove themselves by what they sign."""
_POLICY: Final = (
    "default-src 'self'; script-src 'self'{eval}; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
MAX_SESSIONS: Final = 200


class Sessions:
    """Launch keys that were handed out and the cookies that they became. All of it ends with the process."""

    def __init__(self, token: str | None = None) -> None:
        self._token = token
        self._lock = threading.Lock()
        self._keys: dict[str, bool] = {}
        self._cookies: dict[str, bool] = {}
        self.owner_secret = secrets.token_urlsafe(32)
        """Known to whoever can read the lock file: it may ask for a new launch key."""

    def launch_key(self, *, window: bool = False) -> str:
        """A key that opens one session; `window` marks the desktop window's own."""
        key = secrets.token_urlsafe(24)
        with self._lock:
            self._keys[key] = window
            while len(self._keys) > MAX_SESSIONS:
                del self._keys[next(iter(self._keys))]
        return key

    def open(self, key: str) -> tuple[str, bool] | None:
        """The cookie's value and whether it is the window's, for a key that was not used yet; else None."""
        with self._lock:
            window = self._keys.pop(key, None)
            if window is None:
                return None
            cookie = secrets.token_urlsafe(32)
            self._cookies[cookie] = window
            while len(self._cookies) > MAX_SESSIONS:
                del self._cookies[next(iter(self._cookies))]
            return cookie, window

    def knows(self, cookie: str | None) -> bool:
        """Whether a cookie is one of ours."""
        with self._lock:
            return cookie in self._cookies

    def is_window(self, cookie: str | None) -> bool:
        """Whether a cookie is the desktop window's."""
        with self._lock:
            return bool(cookie) and self._cookies.get(cookie or "", False)

    def bearer_ok(self, header: str) -> bool:
        """Whether an Authorization header carries the user's token or the lock file's secret."""
        scheme, _, given = header.partition(" ")
        if scheme.lower() != "bearer" or not given.isascii():
            return False
        return any(hmac.compare_digest(given.strip(), good) for good in (self._token, self.owner_secret) if good)


def cookie_name(port: int) -> str:
    """The cookie's name: cookies are shared by all ports of a host, so the port is in it."""
    return f"sungaze_{port}"


class Guard:
    """The ASGI application around ours that lets in only who may."""

    def __init__(self, app: ASGIApp, sessions: Sessions, *, host: str, port: int) -> None:
        self._app = app
        self._sessions = sessions
        self._port = port
        self._cookie = cookie_name(port)
        self._names = {"127.0.0.1", "localhost", "[::1]", host if ":" not in host else f"[{host}]"}
        self._any_address = host in {"0.0.0.0", "::"}

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer 400, 401 or 403 here, or hand on with the security headers set."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        cookie = self._cookie_of(headers)
        refusal = self._refusal(scope["method"], scope["path"], headers, cookie)
        if refusal:
            await _refuse(send, *refusal)
            return
        policy = _POLICY.format(eval=" 'unsafe-eval'" if self._sessions.is_window(cookie) else "")

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message.get("headers", []),
                    (b"content-security-policy", policy.encode()),
                    (b"x-content-type-options", b"nosniff"),
                    (b"referrer-policy", b"no-referrer"),
                    (b"cross-origin-opener-policy", b"same-origin"),
                    *([(b"cache-control", b"no-store")] if scope["path"].startswith((*GUARDED, PUSHED)) else []),
                ]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refusal(
        self, method: str, path: str, headers: Mapping[str, str], cookie: str | None
    ) -> tuple[int, str, str] | None:
        if path.startswith(PUSHED):
            return None
        bearer = self._sessions.bearer_ok(headers.get("authorization", ""))
        # A page that a false name led here knows no token; an office's server is reached by names that it cannot know.
        if not bearer and not self._host_ok(headers.get("host", "")):
            return 400, "bad-host", "This address is not Sungaze's own. Open it by the address that Sungaze printed."
        if not path.startswith(GUARDED):
            return None
        origin = headers.get("origin")
        if origin is not None and not bearer and origin.partition("://")[2] != headers.get("host"):
            return 403, "bad-origin", "This request comes from another page. Nothing was done."
        if path in OPEN_PATHS or bearer or self._sessions.knows(cookie):
            return None
        return (
            401,
            "no-session",
            "This window has no session. Open Sungaze by the link that it printed, or start it again.",
        )

    def _host_ok(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        if not name or (name.endswith("]") is False and ":" in name):
            name, port = host, "80"
        if port != str(self._port):
            return False
        if name in self._names:
            return True
        if not self._any_address:
            return False
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def _cookie_of(self, headers: Mapping[str, str]) -> str | None:
        try:
            jar: SimpleCookie = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return None
        return jar[self._cookie].value if self._cookie in jar else None


async def _refuse(send: Send, status: int, kind: str, detail: str) -> None:
    titles = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden"}
    body = msgspec.json.encode(Problem(f"urn:sungaze:{kind}", titles[status], status, detail))
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
