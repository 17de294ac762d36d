"""A report that can be shown: an account's kept answers as a HAR file in which nobody is to be recognised.

Whatever names somebody or something of theirs is replaced by a stand-in of the same shape, the same one everywhere in
the file, so that the file still reads as the original does. Text is replaced unless its field is known to tell of
nobody, so that a field which nobody thought of is replaced too.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from sungaze.errors import NotFound, UserError
from sungaze.jobs.har import as_har
from sungaze.jobs.raw import READ_HEADERS, SECRET_PARAM, exchange_of
from sungaze.store import Store
from sungaze.vendors import connector
from sungaze.vendors._contract import Connector, Exchange, Response, Vendor, reader_of

_NAMING_FIELD: Final = re.compile(
    r"(?i:(.*_)?(ids?|sn|serials?|numbers?|phone|mobile|fax|zip|postal|children|parents?)(_.*)?)|"
    r".*[a-z](Ids?|Sn|Serial|SerialNumber|Zip)|serial\w*|(zip|postal)\w*"
)
"""Fields whose numbers name something: ids, serials, telephone numbers, postal codes."""
_NOT_NAMING: Final = re.compile(r"(?i)event_type_id|unique_id|count|total_count|.*_type(_id)?")
"""Ids that are of the vendor's own dictionary."""
_POSITION: Final = re.compile(r"(?i)(lat|lon|lng|latitude|longitude|elevation|altitude)")
_STAMP: Final = re.compile(
    r"\d{4}[-/]\d\d[-/]\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?: ?(?:Z|[+-]\d\d:?\d\d|[A-Z]{2,5}))?"
)
_FIGURE: Final = re.compile(r"(?i)[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|true|false|null|none|nan|-|")
_FIGURE_TEXT: Final = re.compile(r"(?i)[+-]?\d*\.\d+|[+-]?\d{1,3}|true|false|null|none|nan|-|")
"""Figures that stand as text. Digits alone are a serial as likely, and are none."""
_SHORT: Final = 4
"""A name that is shorter than this is not looked for inside other text: it would be found where it is none."""
_PARAM_KEPT: Final = re.compile(
    r"(?i)level|agg|param|header|language|granularity|resolution|unit|types?|production|sort_by"
)


MOST_BYTES: Final = 64 * 2**20
"""Of more answers than this the newest are taken: a report has to be sent by mail."""


class Captured(msgspec.Struct, frozen=True):
    """How many answers a capture holds, and how many were left out: too old, or of a form that cannot be made safe."""

    answers: int
    left_out: int


def capture(store: Store, account_id: int, target: Path, *, since: float | None = None) -> Captured:
    """Write the kept answers of an account to `target`, without anything that names its user, sites or devices.

    The newest ones, as far as MOST_BYTES reach.

    Raises UserError where there is no such account, nothing is kept of it, or the file cannot be written.
    """
    try:
        account = store.fleet.account(account_id)
    except NotFound as error:
        raise UserError(str(error)) from None
    exchanges: deque[Exchange] = deque()
    room, found = MOST_BYTES, 0
    for kept in store.raw.answers(account_id=account_id, since=since):
        exchanges.append(exchange_of(kept))
        found += 1
        room -= len(kept.body)
        while room < 0 and len(exchanges) > 1:
            room += len(exchanges.popleft().response.body)
    if not exchanges:
        raise UserError(
            f"No answers of {account.label} are kept yet. Let Sungaze ask it first; SUNGAZE_RAW_MB must not be 0."
        )
    one = connector(account.vendor)
    safe = list(anonymous(exchanges, one))
    content = as_har(safe, one.vendor.default_base_url)
    try:
        # For the user alone: the figures are still theirs.
        with open(target, "wb", opener=_private) as stream:
            stream.write(content)
    except OSError as error:
        raise UserError(f"{target} cannot be written: {error.strerror}.") from None
    return Captured(len(safe), found - len(safe))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def anonymous(exchanges: Iterable[Exchange], one: Connector, key: bytes | None = None) -> Iterator[Exchange]:
    """The exchanges with stand-ins; one whose body is neither JSON, a table nor a page is left out.

    `key` makes the stand-ins; without one it is drawn anew, so that nobody can try out what they stand for.
    """
    listed = list(exchanges)
    names = StandIns(one.vendor, key or secrets.token_bytes(32))
    bodies = [_Body.of(exchange.response) for exchange in listed]
    # First all that is named anywhere, so that a name is known wherever else it stands.
    for exchange, body in zip(listed, bodies, strict=True):
        found = reader_of(one.readers, exchange.method, exchange.response.path)
        if found is not None and found[1]:
            names.of(found[1])
        if body is not None and body.json is not msgspec.UNSET:
            names.learn(body.json)
    for exchange, body in zip(listed, bodies, strict=True):
        if body is not None:
            yield _safe(exchange, body, names)


class _Body(msgspec.Struct):
    """A body by its form: JSON, or lines of a table, or a page."""

    json: Any = msgspec.UNSET
    lines: list[str] | None = None
    page: str | None = None

    @classmethod
    def of(cls, response: Response) -> _Body | None:
        try:
            return cls(json=msgspec.json.decode(response.body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        try:
            text = response.body.decode("utf-8-sig")
        except UnicodeDecodeError:
            return None
        if text.lstrip().startswith("<"):
            return cls(page=text)
        # A line that begins with a stamp or with the word that heads stamps: nothing else is believed to be a table.
        lines = text.splitlines()
        heads = [line.split(",")[0].strip().strip('"') for line in lines if line.strip()]
        if heads and all(head.lower() == "datetime" or _STAMP.fullmatch(head) for head in heads):
            return cls(lines=lines)
        return None


class StandIns:
    """Names and what stands for them. The same name has the same stand-in, two names never have one."""

    def __init__(self, vendor: Vendor, key: bytes) -> None:
        self._vendor = vendor
        self._key = key
        self._made: dict[str, str] = {}
        self._used: set[str] = set()
        self._known: re.Pattern[str] | None = None

    def learn(self, value: Any, field: str = "") -> None:
        """Give stand-ins to all names in a JSON value."""
        if isinstance(value, dict):
            for name, inner in value.items():
                self.learn(inner, name)
        elif isinstance(value, list):
            for inner in value:
                self.learn(inner, field)
        elif isinstance(value, str):
            if not self._tells_of_nobody(field, value):
                self.of(value)
        elif isinstance(value, int) and not isinstance(value, bool) and _is_naming(field):
            self.of(str(value))

    def replaced(self, value: Any, field: str = "") -> Any:
        """A JSON value with its names replaced; positions become zero."""
        if isinstance(value, dict):
            # A key may be a serial itself.
            return {
                self._made.get(name, name) if any(c.isdigit() for c in name) else name: self.replaced(inner, name)
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self.replaced(inner, field) for inner in value]
        if isinstance(value, bool) or value is None:
            return value
        if _POSITION.fullmatch(field):
            return re.sub(r"\d", "0", value) if isinstance(value, str) else 0
        if isinstance(value, str):
            if not self._tells_of_nobody(field, value):
                return self.of(value)
            # A word, a stamp or a zone stays; a sentence may name somebody.
            return self.within(value) if " " in value and not _is_plain(value) else value
        if isinstance(value, int) and _is_naming(field):
            return int(self.of(str(value)))
        return value

    def of(self, name: str) -> str:
        """The stand-in of a name: digits for digits, letters for letters, all else as it is."""
        if not any(c.isalnum() for c in name) or (name.isdigit() and len(name) < _SHORT):
            # So few digits name nobody, and there are too few others to stand for them.
            return name
        if name not in self._made:
            made = ""
            for attempt in range(1000):
                made = self._drawn(name, attempt)
                if made != name and made not in self._used:
                    break
            self._used.add(made)
            self._made[name] = made
            self._known = None
        return self._made[name]

    def is_known(self, name: str) -> bool:
        """Whether a name has a stand-in already."""
        return name in self._made

    def within(self, text: str) -> str:
        """Text with every known name in it replaced."""
        if text in self._made:
            return self._made[text]
        if self._known is None:
            long = sorted((name for name in self._made if len(name) >= _SHORT), key=len, reverse=True)
            self._known = re.compile("|".join(map(re.escape, long)) or r"(?!)")
        return self._known.sub(lambda match: self._made[match[0]], text)

    def _tells_of_nobody(self, field: str, value: str) -> bool:
        if _is_naming(field) or _POSITION.fullmatch(field):
            return False
        return field in self._vendor.plain_fields or _is_plain(value)

    def _drawn(self, name: str, attempt: int) -> str:
        stream = hmac.new(self._key, f"{attempt}:{name}".encode(), hashlib.sha512).digest()
        part = self._vendor.kind_in_id
        kept = range(part.start or 0, part.stop) if name.isalnum() and len(name) > part.stop else range(0)
        made = []
        for place, c in enumerate(name):
            draw = stream[place % len(stream)] + place // len(stream)
            if place in kept or not c.isalnum():
                made.append(c)
            elif c.isdigit():
                # The first one stays what a number may begin with.
                made.append(str(draw % 10) if place or c == "0" else str(1 + draw % 9))
            else:
                letter = "bcdfghjklmnpqrstvwxz"[draw % 20]
                made.append(letter.upper() if c.isupper() else letter)
        if name[:1] == "0" and made:
            made[0] = "0"
        return "".join(made)


def _is_naming(field: str) -> bool:
    return _NAMING_FIELD.fullmatch(field) is not None and _NOT_NAMING.fullmatch(field) is None


def _is_plain(value: str) -> bool:
    """Whether text is a stamp, a figure or a word of JSON, which tells of nobody by itself."""
    return bool(_FIGURE_TEXT.fullmatch(value) or _STAMP.fullmatch(value))


def _safe(exchange: Exchange, body: _Body, names: StandIns) -> Exchange:
    response = exchange.response
    headers = {n: v for n, v in response.headers.items() if READ_HEADERS.fullmatch(n.lower()) and n != "location"}
    path = "/".join(_path_part(part, names) for part in response.path.split("/"))
    params = tuple((n, _param(n, v, names)) for n, v in exchange.params if not SECRET_PARAM.fullmatch(n))
    return msgspec.structs.replace(
        exchange,
        params=params,
        response=Response(response.status, headers, _body(body, names), path),
    )


def _path_part(part: str, names: StandIns) -> str:
    """A part of a path: what is known, or has both letters and digits, names something; a version or word does not."""
    stem, dot, end = part.partition(".")
    if names.is_known(stem):
        return names.of(stem) + dot + end
    is_word = re.fullmatch(r"v\d{1,2}|\d+|[A-Za-z_-]+", stem) is not None
    return part if is_word else names.of(stem) + dot + end


def _param(name: str, value: str, names: StandIns) -> str:
    if _is_naming(name):
        return ",".join(names.of(one) for one in value.split(","))
    if _PARAM_KEPT.fullmatch(name) or _FIGURE.fullmatch(value) or _STAMP.fullmatch(value):
        return value
    return names.of(value)


def _body(body: _Body, names: StandIns) -> bytes:
    if body.lines is not None:
        return "\n".join(_row(line, names) for line in body.lines).encode() + b"\n"
    if body.page is not None:
        return _page(body.page, names)
    return msgspec.json.encode(names.replaced(body.json))


def _row(line: str, names: StandIns) -> str:
    """A line of a table: its first cell is a time; a column's name is a device's, or says what is measured."""
    first, *cells = line.split(",")
    if first.strip().strip('"').lower() != "datetime":
        plain = [cell if _FIGURE.fullmatch(cell.strip().strip('"')) else names.of(cell) for cell in cells]
        return ",".join([first, *plain])
    return ",".join([first, *(_column(cell, names) for cell in cells)])


def _column(cell: str, names: StandIns) -> str:
    return names.of(cell) if names.is_known(cell) or re.search(r"\d", cell) else names.within(cell)


def _page(text: str, names: StandIns) -> bytes:
    """Of a page only what is read: its title, the numbers of the profiles that it links to, and whether it asks for a
    password."""
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    numbers = dict.fromkeys(a or b for a, b in re.findall(r"/(?:users/(\d{5,12})(?!\d)|(\d{5,12})\.json)", text))
    asks = re.search(r"<input\b[^>]*\btype\s*=\s*[\"']?password\b", text, re.IGNORECASE)
    links = "".join(f'<a href="/users/{names.of(number)}"></a>' for number in numbers)
    name = names.of(title[1].strip()) if title else ""
    field = '<input type="password">' if asks else ""
    return f"<html><head><title>{name}</title></head><body>{links}{field}</body></html>".encode()
