"""The users' sheets of their places as CSV: written out whole, and read back in with what each line would change.

Reading is pure and total: a text and the places as they are in, a result for each line out; nothing is written here.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from sungaze import clock
from sungaze.errors import UserError
from sungaze.store.care import WAITING_ON

LARGEST: Final = 4_000_000
"""Characters of a file; a sheet of ten thousand places has fewer."""
MOST_LINES: Final = 20_000
LONGEST: Final = 2_000
LONGEST_NAME: Final = 100
KEYS: Final = ("id", "place", "vendor_site_id")
FIELDS: Final = (
    "customer", "phone", "address", "reference", "permission_to_operate_on", "tilt", "modules", "warranty", "notes",
    "waiting_on", "assignee",
)  # fmt: skip
TOLD: Final = ("snoozed_until", "note_log")
"""What is written out and not read back."""
HEADER: Final = (*KEYS, *FIELDS, *TOLD)
_NAMES: Final[Mapping[str, str]] = {
    **{name: name for name in (*KEYS, *FIELDS)},
    "place_id": "id", "name": "place", "place_name": "place", "site": "place", "site_name": "place",
    "site_id": "vendor_site_id", "telephone": "phone", "tel": "phone", "permission_to_operate":
    "permission_to_operate_on", "pto": "permission_to_operate_on", "pto_date": "permission_to_operate_on",
    "waiting": "waiting_on", "note": "notes",
}  # fmt: skip


_FORMULA: Final = re.compile(r"'*([=@]|[+-](?![\d\s()./-]*\Z))")


class SheetError(UserError):
    """A file that cannot be read as a sheet."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A place as it is: `values` by field as text, and the names that a line may know it by."""

    id: int
    name: str
    site_names: tuple[str, ...]
    vendor_site_ids: tuple[str, ...]
    values: Mapping[str, str]
    told: Mapping[str, str] = {}


class Change(msgspec.Struct, frozen=True):
    """A field of a place and what becomes of it; null is empty."""

    field: str
    before: str | None
    after: str


class Line(msgspec.Struct, frozen=True):
    """A line of the file, by its number there: the place it is of and what it changes, or why nothing."""

    line: int
    key: str
    place_id: int | None
    place: str | None
    changes: tuple[Change, ...]
    problem: str


class Reading(msgspec.Struct, frozen=True):
    """What a file says: its lines, the columns that were not understood, and a mark of all that it would change."""

    lines: tuple[Line, ...]
    ignored: tuple[str, ...]
    mark: str


def write_sheets(places: Iterable[Kept], *, empty: bool = False) -> str:
    """The sheets of these places; with `empty`, a template that names the places and leaves their lines open."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(HEADER[: len(KEYS) + len(FIELDS)] if empty else HEADER)
    for place in places:
        key = (str(place.id), place.name, place.vendor_site_ids[0] if place.vendor_site_ids else "")
        values = [] if empty else [place.values.get(f, "") for f in FIELDS] + [place.told.get(f, "") for f in TOLD]
        writer.writerow([_guarded(cell) for cell in (*key, *(values or [""] * len(FIELDS)))])
    return out.getvalue()


def read_sheets(text: str, places: Sequence[Kept]) -> Reading:
    """What each line would change. An empty cell leaves what is there.

    Raises SheetError for a text that is no table with a place in it.
    """
    if len(text) > LARGEST:
        raise SheetError(f"The file is larger than {LARGEST:,} characters. Nothing was changed; split it.")
    text = text.removeprefix("\ufeff")
    rows = _rows(text)
    columns = [_NAMES.get(re.sub(r"[\W_]+", "_", cell.strip().casefold()).strip("_"), "") for cell in rows[0][1]]
    known = [column for column in columns if column]
    twice = sorted({column for column in known if known.count(column) > 1})
    if twice:
        raise SheetError(f"The first line names {', '.join(twice)} more than once. Nothing was changed.")
    if not set(known) & set(KEYS):
        raise SheetError(
            "The first line has to name the columns, one of them place, id or vendor_site_id. Nothing was changed; the "
            "template shows how."
        )
    finder = _Finder(places)
    lines: list[Line] = []
    seen: dict[int, int] = {}
    for number, cells in rows[1:]:
        if not any(cell.strip() for cell in cells):
            continue
        given = {column: _bare(cell.strip()) for column, cell in zip(columns, cells, strict=False) if column}
        surplus = any(cell.strip() for cell in cells[len(columns) :])
        line = _line(number, given, finder, surplus)
        if line.place_id is not None and line.place_id in seen and not line.problem:
            line = msgspec.structs.replace(
                line, changes=(), problem=f"Line {seen[line.place_id]} is of the same place already."
            )
        elif line.place_id is not None:
            seen.setdefault(line.place_id, number)
        lines.append(line)
    ignored = tuple(cell.strip() for cell, column in zip(rows[0][1], columns, strict=True) if not column and cell)
    mark = hashlib.sha256(msgspec.json.encode([(line.place_id, line.changes) for line in lines if line.changes]))
    return Reading(tuple(lines), ignored, mark.hexdigest()[:32])


def _guarded(text: str) -> str:
    """The text so that a spreadsheet does not reckon it as a formula: vendors' names are in here. Phones stay."""
    return f"'{text}" if _FORMULA.match(text) else text


def _bare(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _rows(text: str) -> list[tuple[int, list[str]]]:
    """The rows by the number of their first line, the header first."""
    head = text.lstrip().partition("\n")[0]
    bare = re.sub(r'"[^"]*"', "", head)
    delimiter = max(",;\t", key=bare.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[tuple[int, list[str]]] = []
    begun = 1
    try:
        for cells in reader:
            if rows or any(cell.strip() for cell in cells):
                rows.append((begun, cells))
            begun = reader.line_num + 1
            if len(rows) > MOST_LINES:
                raise SheetError(f"The file has more than {MOST_LINES:,} lines. Nothing was changed; split it.")
    except csv.Error as error:
        raise SheetError(f"Line {begun} cannot be read as CSV ({error}). Nothing was changed.") from None
    if not rows:
        raise SheetError("The file is empty. Nothing was changed.")
    return rows


class _Finder:
    def __init__(self, places: Sequence[Kept]) -> None:
        self._ids = {str(place.id): place for place in places}
        self._sites: dict[str, list[Kept]] = {}
        self._names: dict[str, list[Kept]] = {}
        for place in places:
            for site in set(place.vendor_site_ids):
                self._sites.setdefault(site.casefold(), []).append(place)
            for name in {_plain(name) for name in (place.name, *place.site_names)}:
                self._names.setdefault(name, []).append(place)

    def find(self, given: Mapping[str, str]) -> tuple[Kept | None, str, str]:
        """The place, the key that was used, and why there is none."""
        if given.get("id"):
            key = given["id"]
            found = [self._ids[key]] if key in self._ids else []
        elif given.get("vendor_site_id"):
            key = given["vendor_site_id"]
            found = self._sites.get(key.casefold(), [])
            if len(found) > 1 and given.get("place"):
                found = [place for place in found if place in self._names.get(_plain(given["place"]), [])]
        elif given.get("place"):
            key = given["place"]
            found = self._names.get(_plain(key), [])
        else:
            return None, "", "The line names no place."
        if not found:
            return None, key, f"There is no place “{key[:80]}”."
        if len(found) > 1:
            ids = ", ".join(str(place.id) for place in found[:5])
            return None, key, f"{len(found)} places match “{key[:80]}”; give one’s id: {ids}."
        return found[0], key, ""


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _line(number: int, given: Mapping[str, str], finder: _Finder, surplus: bool) -> Line:
    place, key, problem = finder.find(given)
    if place is None:
        return Line(number, key, None, None, (), problem)
    if surplus:
        return Line(number, key, place.id, place.name, (), "The line has more cells than the first line has columns.")
    changes = []
    for field in FIELDS:
        text = given.get(field, "")
        before = place.values.get(field) or None
        if not text or text == before:
            continue
        value, problem = as_kept(field, text)
        if problem:
            return Line(number, key, place.id, place.name, (), problem)
        if value != before:
            changes.append(Change(field, before, value))
    return Line(number, key, place.id, place.name, tuple(changes), "")


def as_kept(field: str, text: str) -> tuple[str, str]:
    """The text as it is kept, and why it cannot be."""
    if field == "permission_to_operate_on":
        return _date(text)
    if field == "tilt":
        return _tilt(text)
    if field == "waiting_on":
        word = text.casefold()
        wrong = "" if word in WAITING_ON else f"A place waits for {', '.join(WAITING_ON)}, not for “{text[:60]}”."
        return word, wrong
    if field == "assignee":
        text = " ".join(text.split())
    longest = LONGEST_NAME if field == "assignee" else LONGEST
    return text, "" if len(text) <= longest else f"{field} may have {longest:,} characters at most."


def _date(text: str) -> tuple[str, str]:
    dotted = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", text)
    try:
        day = dt.date(*(int(part) for part in dotted.groups()[::-1])) if dotted else dt.date.fromisoformat(text)
    except ValueError:
        return "", f"“{text[:60]}” is no date; write it as 2026-11-24."
    return day.isoformat(), ""


def _tilt(text: str) -> tuple[str, str]:
    if not re.fullmatch(r"\d{1,3}([.,]\d{1,6})?", text):
        return "", f"“{text[:60]}” is no tilt; write degrees, 0 to 90."
    tilt = float(text.replace(",", "."))
    if tilt > 90:
        return "", f"A tilt lies between 0 and 90 degrees, not at {text}."
    return degrees(tilt), ""


def degrees(tilt: float) -> str:
    """A tilt as it is written: the shortest text that reads back as the same value."""
    return str(int(tilt)) if tilt == int(tilt) else repr(tilt)


def log_line(at: int, author: str, text: str) -> str:
    """A note as one line of a cell, with its time in UTC."""
    return f"{clock.iso(at)}{f' {author}' if author else ''}: {' '.join(text.split())}"
