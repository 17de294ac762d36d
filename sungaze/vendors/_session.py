"""The only way out by HTTP: bounded in time and size, spent from the quota before it is sent, and silent in logs."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, TypeVar

import httpx
import msgspec

from sungaze.errors import Changed, QuotaSpent, Unavailable
from sungaze.vendors._contract import Response

log = logging.getLogger(__name__)
# httpx prints whole URLs at INFO, and a vendor's protocol may put a key there.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

MAX_BYTES: Final = 16 * 1024 * 1024
"""The largest answer known, a year of 5-minute panels, is a tenth of this."""
TOTAL_S: Final = 25.0
TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
RETRY_STATUS: Final = frozenset({502, 504})

T = TypeVar("T")


def open_client(base_url: str) -> httpx.Client:
    """The connections to one vendor's address; may be shared by threads and by several sessions."""
    return httpx.Client(
        base_url=base_url.rstrip("/"),
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=False,
        headers={"Accept": "application/json", "User-Agent": "Sungaze"},
    )


class HttpSession:
    """One account's door to its vendor.

    `spend` takes one call from the quota and returns None, or the instant at which one is to be had; `slot` is held
    while a request is under way. `calls` counts what was spent.
    """

    def __init__(
        self,
        vendor_name: str,
        client: httpx.Client,
        *,
        spend: Callable[[], float | None],
        slot: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._vendor_name = vendor_name
        self._client = client
        self._spend = spend
        self._slot = slot
        self.calls = 0

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        auth: tuple[str, str] | None = None,
        free: bool = False,
    ) -> Response:
        """The answer, whatever its status. `free` marks a call that no quota counts (a login).

        Raises QuotaSpent before anything is sent, and Unavailable when no whole answer came: a network that is down,
        a time-out, an answer cut short or larger than MAX_BYTES. A call that died on its way is tried once more.
        """
        for attempt in (1, 2):
            if not free:
                until = self._spend()
                if until is not None:
                    raise QuotaSpent(f"The calls that {self._vendor_name} allows are used up for now.", until)
                self.calls += 1
            try:
                with self._slot():
                    response = self._send(method, path, params, headers, form, json, auth)
            except (httpx.TransportError, TimeoutError) as error:
                if attempt == 1 and isinstance(error, httpx.ConnectError | httpx.ReadError | httpx.RemoteProtocolError):
                    time.sleep(random.uniform(0.1, 0.4))
                    continue
                raise Unavailable(self._unreachable(error)) from None
            if response.status in RETRY_STATUS and attempt == 1:
                time.sleep(random.uniform(0.1, 0.4))
                continue
            return response
        raise AssertionError("the second attempt returns or raises")

    def _send(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, str]],
        headers: Mapping[str, str] | None,
        form: Mapping[str, str] | None,
        json: Any,
        auth: tuple[str, str] | None,
    ) -> Response:
        started = time.monotonic()
        body = bytearray()
        with self._client.stream(
            method, path, params=list(params), headers=dict(headers or {}), data=form, json=json, auth=auth
        ) as stream:
            for chunk in stream.iter_bytes():
                body += chunk
                if len(body) > MAX_BYTES:
                    raise Unavailable(
                        f"{self._vendor_name} sent an answer of more than {MAX_BYTES // 2**20} MB, which was not "
                        "read. What is known is kept; it is asked again later.",
                        1800,
                    )
                if time.monotonic() - started > TOTAL_S:
                    raise Unavailable(
                        f"{self._vendor_name} answered too slowly ({TOTAL_S:.0f} s). What is known is kept; it is "
                        "asked again later."
                    )
        log.debug("%s %s %s %.0f ms", method, path, stream.status_code, 1000 * (time.monotonic() - started))
        return Response(stream.status_code, stream.headers, bytes(body), path)

    def _unreachable(self, error: Exception) -> str:
        name = self._vendor_name
        after = "What is known is kept; it is asked again in a few minutes."
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            return f"{name} did not answer in time. {after}"
        if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
            return f"{name}'s answer was cut short. {after}"
        return f"{name} cannot be reached: no connection. Check this computer's network. {after}"


def retry_after(headers: Mapping[str, str], default_s: float) -> float:
    """Seconds that a Retry-After header asks for, within an hour; `default_s` when there is none to be read."""
    try:
        return min(3600.0, max(1.0, float(headers.get("retry-after", default_s))))
    except ValueError:
        return default_s


def looks_like_html(body: bytes) -> bool:
    """Whether a body is a page for people where an answer for programs was due."""
    return body[:512].lstrip().startswith(b"<")


def decode(response: Response, shape: type[T], vendor_name: str, where: str) -> T:
    """The body as `shape`. Raises Changed that names the place, and Unavailable for a body that ends too early."""
    if looks_like_html(response.body):
        raise Changed(
            f"{vendor_name} sent a web page where figures were due ({where}). What is known is kept; it is asked "
            "again later.",
            where,
        )
    try:
        return msgspec.json.decode(response.body, type=shape)
    except msgspec.ValidationError as error:
        raise Changed(
            f"{vendor_name} answers in a form that this version does not know ({where}: {error}). What is known is "
            "kept; look for an update of Sungaze if it stays.",
            f"{where}: {error}",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unavailable(
            f"{vendor_name}'s answer was cut short or garbled ({where}). What is known is kept; it is asked again in "
            "a few minutes."
        ) from None
