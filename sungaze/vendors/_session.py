"""The only way out by HTTP: bounded in time and size, spent from the quota before it is sent, and silent in logs."""

from __future__ import annotations

import logging
import math
import random
import re
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache
from typing import Any, Final, TypeVar

import httpcore
import httpx
import msgspec

from sungaze.errors import Changed, NeedsReconnect, QuotaSpent, Unavailable
from sungaze.vendors._contract import Exchange, Response

log = logging.getLogger(__name__)
# httpx prints whole URLs at INFO, and a vendor's protocol may put a key there.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

MAX_BYTES: Final = 16 * 1024 * 1024
"""The largest answer known, a year of 5-minute panels, is a tenth of this."""
TOTAL_S: Final = 25.0
"""The longest time from a request's first byte to its answer's last, however slowly that one drips."""
TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
RETRY_STATUS: Final = frozenset({502, 504})
_DATED: Final = frozenset({9, 10})
"""OpenSSL's words for a certificate that is not valid yet, and no longer (X509_V_ERR_CERT_NOT_YET_VALID and so on)."""
QUOTED: Final = 200
"""The most characters of a vendor's own words that are shown."""

T = TypeVar("T")
_call = threading.local()


def _left(timeout: float | None) -> float | None:
    """What a wait may still take, so that the call of this thread ends in time."""
    until: float | None = getattr(_call, "until", None)
    if until is None:
        return timeout
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the whole call took too long")
    return left if timeout is None else min(left, timeout)


class _Timed(httpcore.NetworkStream):
    """A connection whose every wait ends with the call: httpx bounds single reads only, and headers may drip too."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Timed(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _TimedBackend(httpcore.SyncBackend):
    def connect_tcp(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _Timed(super().connect_tcp(*args, **options))


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted, read once: that takes longer than most calls."""
    return httpx.create_ssl_context(trust_env=False)


def open_client(base_url: str) -> httpx.Client:
    """The connections to one vendor's address; may be shared by threads and by several sessions.

    Raises Unavailable for an address that is none.
    """
    transport = httpx.HTTPTransport(verify=_trusted(), trust_env=False)
    # httpx has no public way to hand over a backend. The test of dripping headers holds this line.
    transport._pool._network_backend = _TimedBackend()
    try:
        return httpx.Client(
            base_url=base_url.rstrip("/"),
            timeout=TIMEOUT,
            transport=transport,
            follow_redirects=False,
            trust_env=False,
            headers={"Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "Sungaze"},
        )
    except httpx.InvalidURL:
        raise Unavailable(f"“{quoted(base_url)}” is not an address that can be asked.") from None


class HttpSession:
    """One account's door to its vendor.

    `spend` takes one call from the quota and returns None, or the instant at which one is to be had; `slot` is held
    while a request is under way. `calls` counts what was spent. `heard` is given every answer as it comes, for what it
    says of the vendor's own count. While `kept` is a list, every answer is added to it but those of a login.
    """

    def __init__(
        self,
        vendor_name: str,
        client: httpx.Client,
        *,
        spend: Callable[[], float | None],
        slot: Callable[[], AbstractContextManager[None]],
        heard: Callable[[Response], None] | None = None,
    ) -> None:
        self._vendor_name = vendor_name
        self._client = client
        self._spend = spend
        self._slot = slot
        self._heard = heard
        self.calls = 0
        self.kept: list[Exchange] | None = None

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

        Raises QuotaSpent before anything is sent, NeedsReconnect for a credential that no header can carry, and
        Unavailable when no whole answer came: a network that is down, a time-out, an answer cut short or larger than
        MAX_BYTES. A call that died on its way is tried once more, and spent once more.
        """
        sent = dict(headers or {})
        if not all(value.isascii() and value.isprintable() for value in sent.values()):
            # Told here, because the HTTP library's own complaint would print the value.
            raise NeedsReconnect(
                f"A credential for {self._vendor_name} holds characters that it cannot have. Connect the account "
                "again; history is kept."
            )
        for attempt in (1, 2):
            try:
                # The slot first: a call that was spent and then waited would reach the vendor in a later minute.
                with self._slot():
                    if not free:
                        self._spend_one()
                    response = self._send(method, path, params, sent, form, json, auth)
                if self._heard is not None and not free:
                    self._heard(response)
            except (httpx.HTTPError, zlib.error, OSError, UnicodeError) as error:
                dead = (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
                if attempt == 1 and isinstance(error, dead):
                    time.sleep(random.uniform(0.1, 0.4))
                    continue
                raise Unavailable(self._unreachable(error)) from None
            if response.status in RETRY_STATUS and attempt == 1:
                time.sleep(random.uniform(0.1, 0.4))
                continue
            if self.kept is not None and not free and auth is None and form is None:
                self.kept.append(Exchange(method=method, params=tuple(params), response=response, at=0.0))
            return response
        raise AssertionError("the second attempt returns or raises")

    def _spend_one(self) -> None:
        until = self._spend()
        if until is not None:
            raise QuotaSpent(f"The calls that {self._vendor_name} allows are used up for now.", until)
        self.calls += 1

    def _send(
        self,
        method: str,
        path: str,
        params: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        form: Mapping[str, str] | None,
        json: Any,
        auth: tuple[str, str] | None,
    ) -> Response:
        started = time.monotonic()
        _call.until = started + TOTAL_S
        body = bytearray()
        try:
            with self._client.stream(
                method, path, params=list(params), headers=headers, data=form, json=json, auth=auth
            ) as stream:
                for chunk in _unpacked(stream):
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise Unavailable(
                            f"{self._vendor_name} sent an answer of more than {MAX_BYTES // 2**20} MB, which was not "
                            "read. What is known is kept; it is asked again later.",
                            1800,
                        )
        finally:
            _call.until = None
        log.debug("%s %s %s %.0f ms", method, path, stream.status_code, 1000 * (time.monotonic() - started))
        cookies = tuple(stream.headers.get_list("set-cookie"))
        return Response(stream.status_code, stream.headers, bytes(body), path, cookies)

    def _unreachable(self, error: Exception) -> str:
        name = self._vendor_name
        after = "What is known is kept; it is asked again in a few minutes."
        if isinstance(error, httpx.TimeoutException | TimeoutError):
            return f"{name} did not answer in time. {after}"
        if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | zlib.error):
            return f"{name}'s answer was cut short. {after}"
        refused = _certificate(error)
        if refused is not None and refused.verify_code in _DATED:
            return (
                f"{name}'s certificate is not valid on the day that this computer's clock shows: nothing was asked. "
                f"Check the date and time. {after}"
            )
        if refused is not None:
            return (
                f"{name}'s certificate is not one that this computer trusts: nothing was asked. Something between may "
                f"want to read along, as a proxy or a virus scanner. {after}"
            )
        return f"{name} cannot be reached: no connection. Check this computer's network. {after}"


def _certificate(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """The complaint about a certificate that an error was raised for."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, ssl.SSLCertVerificationError):
        seen = seen.__cause__ or seen.__context__
    return seen


def _unpacked(stream: httpx.Response) -> Iterator[bytes]:
    """The body in small pieces, however far a packed one swells."""
    if stream.headers.get("content-encoding", "").lower() not in {"gzip", "x-gzip"}:
        yield from stream.iter_raw()
        return
    inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
    for packed in stream.iter_raw():
        while packed:
            yield inflate.decompress(packed, 65_536)
            packed = inflate.unconsumed_tail


def quoted(words: object, secrets: Iterable[str] = ()) -> str:
    """A vendor's own words in one line of at most QUOTED characters, with every given secret taken out."""
    text = str(words)
    for secret in secrets:
        if len(secret) > 3:
            text = text.replace(secret, "…")
    text = re.sub(r"\s+", " ", text).strip()
    return text if len(text) <= QUOTED else text[: QUOTED - 1] + "…"


def numeral(value: object) -> float | None:
    """A number from an error body, where it may as well stand as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < 1e12 else None


def figure(value: float) -> float:
    """A measured value as a float; one beyond any scale is infinite, and the store refuses it with its reason."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def retry_after(headers: Mapping[str, str], default_s: float) -> float:
    """Seconds that a Retry-After header asks for, within an hour; `default_s` when there is none to be read."""
    found = numeral(headers.get("retry-after"))
    return default_s if found is None else min(3600.0, max(1.0, found))


def looks_like_html(body: bytes) -> bool:
    """Whether a body is a page for people where an answer for programs was due."""
    return body[:512].removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def complaint(body: bytes) -> dict[str, Any]:
    """The fields of an error body, none where it is no JSON object."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def words(content: Mapping[str, Any], *names: str, secrets: Iterable[str] = ()) -> str:
    """The first of the named fields that says something: a text, a number, or several of them in an array."""
    for name in names:
        value = content.get(name)
        parts = value if isinstance(value, list) else [value]
        said = " ".join(str(part) for part in parts if isinstance(part, str | int | float))
        if said.strip():
            return quoted(said, secrets)
    return ""


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
    except (msgspec.ValidationError, RecursionError) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else quoted(error)
        raise Changed(
            f"{vendor_name} answers in a form that this version does not know ({where}: {what}). What is known is "
            "kept; look for an update of Sungaze if it stays.",
            f"{where}: {what}",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unavailable(
            f"{vendor_name}'s answer was cut short or garbled ({where}). What is known is kept; it is asked again in "
            "a few minutes."
        ) from None
