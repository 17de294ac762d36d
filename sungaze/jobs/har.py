"""Recorded exchanges as files: HAR 1.2, as browsers write it, and JSON lines for what is no HTTP.

A line is `{"topic", "payload" or "payload_base64", "received_at", "retained"}` for an MQTT message, `{"push": true,
"headers", "body" or "body_base64", "received_at"}` for a push, or `{"unit", "function", "address", "registers",
"read_at"}` for a read of Modbus registers; times are ISO 8601 or epoch seconds.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from sungaze import __version__, clock
from sungaze.errors import UserError
from sungaze.vendors._contract import Exchange, Response
from sungaze.vendors._session import MAX_BYTES

MOST_BYTES: Final = 256 * 2**20
"""A file that is larger than this is not read."""

T = TypeVar("T")


class Unreadable(Exception):
    """An entry that is none; the text says why."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a file: its place, counted from 1, its host where it has one, and the exchange or why there is none.

    `title` names it for a person, without its parameters, which may hold a key.
    """

    number: int
    title: str
    host: str = ""
    exchange: Exchange | None = None
    trouble: str = ""


class _Pair(msgspec.Struct):
    name: str
    value: str = ""


class _Request(msgspec.Struct, rename="camel"):
    url: str
    method: str = "GET"
    query_string: list[_Pair] | None = None


class _Content(msgspec.Struct):
    text: str | None = None
    encoding: str | None = None


class _Answered(msgspec.Struct):
    status: int
    content: _Content | None = None
    headers: list[_Pair] | None = None


class _Entry(msgspec.Struct, rename="camel"):
    request: _Request
    response: _Answered
    started_date_time: str
    time: float | None = None


class _Log(msgspec.Struct):
    entries: list[msgspec.Raw]


class _File(msgspec.Struct):
    log: _Log


class _Line(msgspec.Struct):
    topic: str | None = None
    payload: str | None = None
    payload_base64: str | None = None
    retained: bool = False
    push: bool = False
    headers: dict[str, str] | None = None
    body: str | None = None
    body_base64: str | None = None
    unit: int | None = None
    function: str = "holding"
    address: int | None = None
    registers: list[int] | None = None
    received_at: float | str | None = None
    read_at: float | str | None = None


def recorded(path: Path) -> Iterator[Recorded]:
    """The entries of a file, in its order. Raises UserError for a file that is neither HAR nor lines of ours."""
    content = _content(path)
    try:
        entries = msgspec.json.decode(content, type=_File).log.entries
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        lines = [line for line in content.splitlines() if line.strip()]
        if not lines or not _is_line(lines[0]):
            raise UserError(
                f"{path} is no HAR file and no file of recorded messages, or it was cut short. Nothing was read."
            ) from None
        for number, line in enumerate(lines, 1):
            yield _of_line(number, line)
        return
    for number, entry in enumerate(entries, 1):
        yield _of_entry(number, bytes(entry))


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "that is no name of a file"
        raise UserError(f"{path} cannot be read: {reason}.") from None
    if len(content) > MOST_BYTES:
        raise UserError(f"{path} is larger than {MOST_BYTES // 2**20} MB. Nothing was read; record less at once.")
    return content.removeprefix(b"\xef\xbb\xbf")


def _is_line(line: bytes) -> bool:
    try:
        found = _decoded(line, _Line)
    except Unreadable:
        return False
    return found.topic is not None or found.push or found.unit is not None


def _decoded(content: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreadable(f"it is not what an entry is ({str(error)[:100]})") from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None


def _of_entry(number: int, content: bytes) -> Recorded:
    title, host = "", ""
    try:
        entry = _decoded(content, _Entry)
        try:
            address = urlsplit(entry.request.url)
            host = (address.hostname or "").lower()
            # What a blank parameter is without its name, no vendor of ours has.
            params = parse_qsl(address.query, keep_blank_values=True)
        except ValueError:
            raise Unreadable("its address is none") from None
        title = f"{entry.request.method[:10]} {address.path[:120]}"
        if not address.query:
            params = [(pair.name, pair.value) for pair in entry.request.query_string or ()]
        at = _instant(entry.started_date_time) + max(0.0, min(entry.time or 0.0, 3_600_000.0)) / 1000
        headers = {pair.name.lower(): pair.value for pair in entry.response.headers or ()}
        body = _body(entry.response.content or _Content())
        response = Response(entry.response.status, headers, body, address.path)
        exchange = Exchange(method=entry.request.method.upper(), params=tuple(params), response=response, at=at)
    except Unreadable as error:
        return Recorded(number=number, title=title, host=host, trouble=str(error))
    return Recorded(number=number, title=title, host=host, exchange=exchange)


def _of_line(number: int, content: bytes) -> Recorded:
    title = ""
    try:
        line = _decoded(content, _Line)
        at = _instant(line.received_at if line.received_at is not None else line.read_at)
        if line.topic is not None:
            title = f"MQTT {line.topic[:120]}"
            body = _body(_text_or_base64(line.payload, line.payload_base64))
            response = Response(200, {}, body, line.topic)
            exchange = Exchange(
                method="MQTT", params=(("retained", str(int(line.retained))),), response=response, at=at
            )
        elif line.push:
            title = "a push"
            headers = {name.lower(): value for name, value in (line.headers or {}).items()}
            response = Response(200, headers, _body(_text_or_base64(line.body, line.body_base64)), "/push")
            exchange = Exchange(method="PUSH", params=(), response=response, at=at)
        elif line.unit is not None and line.address is not None and line.registers is not None:
            path = f"{line.unit}/{line.function}/{line.address}"
            title = f"MODBUS {path[:120]}"
            if any(not 0 <= word <= 0xFFFF for word in line.registers):
                raise Unreadable("a register holds 16 bits")
            response = Response(200, {}, msgspec.json.encode(line.registers), path)
            exchange = Exchange(method="MODBUS", params=(), response=response, at=at)
        else:
            raise Unreadable("it is neither a message nor a push nor a read of registers")
    except Unreadable as error:
        return Recorded(number=number, title=title, trouble=str(error))
    return Recorded(number=number, title=title, exchange=exchange)


def _text_or_base64(text: str | None, packed: str | None) -> _Content:
    return _Content(text) if packed is None else _Content(packed, "base64")


def _instant(text: str | float | None) -> float:
    try:
        if isinstance(text, str):
            return float(clock.parse_instant(text))
        if text is not None and clock.EARLIEST <= text < clock.LATEST:
            return text
    except (ValueError, OverflowError):
        pass
    raise Unreadable("it does not say when it was")


def _body(content: _Content) -> bytes:
    text = content.text or ""
    if (content.encoding or "").lower() == "base64":
        try:
            body = base64.b64decode(text, validate=False)
        except (binascii.Error, ValueError):
            raise Unreadable("its body is not the base64 that it says it is") from None
    else:
        body = text.encode()
    if body[:2] == b"\x1f\x8b":
        # Some recorders keep a body as it came over the wire.
        inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            body = inflate.decompress(body, MAX_BYTES + 1)
        except zlib.error:
            raise Unreadable("its body is packed in a way that is not known") from None
    if len(body) > MAX_BYTES:
        raise Unreadable(f"its body is larger than {MAX_BYTES // 2**20} MB")
    return body


def as_har(exchanges: Sequence[Exchange], base_url: str) -> bytes:
    """Exchanges as a HAR 1.2 file, as if they had been asked at `base_url`."""
    return msgspec.json.format(
        msgspec.json.encode(
            {
                "log": {
                    "version": "1.2",
                    "creator": {"name": "Sungaze", "version": __version__},
                    "entries": [_entry(exchange, base_url) for exchange in exchanges],
                }
            }
        ),
        indent=1,
    )


def _entry(exchange: Exchange, base_url: str) -> Mapping[str, Any]:
    response = exchange.response
    query = f"?{urlencode(exchange.params)}" if exchange.params else ""
    try:
        content = {"text": response.body.decode()}
    except UnicodeDecodeError:
        content = {"text": base64.b64encode(response.body).decode(), "encoding": "base64"}
    kind = response.headers.get("content-type", "")
    return {
        "startedDateTime": clock.iso(exchange.at),
        # The part of a second that a stamp has not, so that the moment of reading is the same to a millisecond.
        "time": round((exchange.at - int(exchange.at)) * 1000, 3),
        "request": {
            "method": exchange.method, "url": f"{base_url}{response.path}{query}", "httpVersion": "HTTP/1.1",
            "cookies": [], "headers": [], "queryString": [{"name": n, "value": v} for n, v in exchange.params],
            "headersSize": -1, "bodySize": 0,
        },
        "response": {
            "status": response.status, "statusText": "", "httpVersion": "HTTP/1.1", "cookies": [],
            "headers": [{"name": n, "value": v} for n, v in response.headers.items()],
            "content": {"size": len(response.body), "mimeType": kind} | content,
            "redirectURL": "", "headersSize": -1, "bodySize": -1,
        },
        "cache": {},
        "timings": {"send": 0, "wait": 0, "receive": 0},
    }  # fmt: skip
