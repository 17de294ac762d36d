"""A vendor portal's own table of history into readings, by a mapping that says what each column is.

Pure: lines of text and a mapping in, readings or the reason for refusing a row out. What a file does not say by itself
(its delimiter, decimal sign, order of dates, length of interval) is found from its beginning, and told where it is in
doubt; a mapping that is kept reads the same portal's next file alike.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as Mapped
from itertools import pairwise
from typing import Final, Literal

import msgspec

from sungaze import clock
from sungaze.errors import UserError
from sungaze.model import DAY_S, METRICS, Kind, Reading, is_id

HEAD_LINES: Final = 2_000
"""Lines of a file's beginning that its layout is found from."""
MOST_ROWS_ABOVE: Final = 60
"""Lines that a title may take above the header."""
PREVIEW_ROWS: Final = 12

_POWERS: Final = {"": 0, "k": 3, "M": 6}
_UNITS: Final = {f"{prefix}{base}": (base, power) for prefix, power in _POWERS.items() for base in ("W", "Wh")}
_UNIT_IN_NAME: Final = re.compile(r"(?:^|[\s_(\[])([kM]?Wh?)(?:[\s)\]]|$)")
_UNIT_CELL: Final = re.compile(r"\[.*\]|\(.*\)|[kM]?Wh?|V|A|Hz|°C|%")
_MISSING: Final = frozenset({"", "-", "--", "---", "n/a", "na", "nan", "null", "none"})
_POINT: Final = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:[,'\s]\d{3})+)(?:\.\d+)?(?:[eE][-+]?\d+)?|[-+]?\.\d+")
_COMMA: Final = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:[.'\s]\d{3})+)(?:,\d+)?(?:[eE][-+]?\d+)?")
_DATE: Final = re.compile(r"(\d{4}|\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d{1,2})")
_TIME: Final = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*(?:([AaPp])\.?[Mm]\.?)?\s*(Z|[+-]\d{2}:?\d{2})?"
)

SKIPPED: Final = "an hour that the clock skipped there"
NO_TIME: Final = "no time"
NO_DEVICE: Final = "no device's name"
NO_NUMBER: Final = "not a number"
NO_TIME_THAT_CAN_BE: Final = "at no time that can be"
FIRST_YEAR, LAST_YEAR = 1990, 2199

Dates = Literal["ymd", "dmy", "mdy"]


class MappingError(UserError):
    """A mapping that does not go with a file, or a file that it cannot be found for."""


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """What a column holds: a metric in a unit, of a device; an empty device is the site itself."""

    name: str
    metric: str
    unit: str
    device: str = ""


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """How a portal's table is read. `moment` names one column, or one of the date and one of the time.

    `device` names the column that tells each row's device, where there is one. `interval_s` is what a row covers; a
    counter is a moment whatever that is. `stamps` says which end of its interval a row's time names. `zone` None is the
    site's own. `header` is the fingerprint of the header that it goes with.
    """

    header: str
    delimiter: str
    moment: tuple[str, ...]
    columns: tuple[Column, ...]
    device: str | None = None
    dates: Dates
    decimal: Literal[".", ","]
    interval_s: int
    stamps: Literal["start", "end"] = "start"
    zone: str | None = None
    newest_first: bool = False


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What a file's beginning shows: where its header is and what it names, and the rows that follow."""

    delimiter: str
    header_line: int
    names: tuple[str, ...]
    units: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def fingerprint(self) -> str:
        """A short word for the names, by which the same portal's next file is known."""
        text = "\x1f".join(name.casefold() for name in self.names)
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of a file; what is None is found."""

    moment: tuple[str, ...]
    columns: tuple[tuple[str, str, str | None, str], ...]
    """Name, metric, unit, device."""
    device: str | None = None
    dates: Dates | None = None
    decimal: Literal[".", ","] | None = None
    interval_s: int | None = None
    stamps: Literal["start", "end"] | None = None
    zone: str | None = None


class Proposed(msgspec.Struct, frozen=True):
    """A mapping, with what of it is in doubt, as sentences."""

    mapping: Mapping
    doubts: tuple[str, ...]


class Row(msgspec.Struct, frozen=True):
    """What a line gives: readings, and the reasons for what it does not."""

    line: int
    readings: tuple[Reading, ...]
    refused: tuple[str, ...] = ()


class Preview(msgspec.Struct, kw_only=True):
    """The first readings of a file as they would be stored, and by local day and column what they come to.

    A day's figure is (count, sum, highest). `devices` counts the values of each. `doubts` are sentences.
    """

    first: list[Reading] = []
    days: dict[str, dict[str, tuple[int, float, float]]] = {}
    devices: dict[str, int] = {}
    refused: dict[str, tuple[int, int]] = {}
    doubts: list[str] = []
    readings: int = 0


# -- what a person says ----------------------------------------------------------------------------------------------


def parse_wish(text: str) -> Wish:
    """What `Date/Time=timestamp,AC Power=ac_power_w:kW@INV1` says. Raises MappingError.

    Columns go to `timestamp`, or `date` and `time`, or a metric with its unit after a colon and its device after an @,
    or to `device` where each row tells its own. A comma in a column's name is taken as such.
    """
    said: list[tuple[str, str, str | None, str]] = []
    pieces: list[str] = []
    for piece in text.split(","):
        pieces.append(piece)
        if "=" in piece:
            name, _, what = ",".join(pieces).rpartition("=")
            what, _, device = what.strip().partition("@")
            what, _, unit = what.partition(":")
            said.append((name.strip(), what, unit or None, device.strip()))
            pieces = []
    if any(piece.strip() for piece in pieces):
        raise MappingError(f"“{','.join(pieces)[:60]}” says of no column what it is. Nothing was imported.")
    return wish_of(said)


def wish_of(said: Iterable[tuple[str, str, str | None, str]]) -> Wish:
    """What is said of columns: name, timestamp, date, time, device or a metric, unit, device. Raises MappingError."""
    roles: dict[str, str] = {}
    columns: list[tuple[str, str, str | None, str]] = []
    for name, what, unit, device in said:
        if what in {"timestamp", "date", "time", "device"}:
            if what in roles:
                raise MappingError(f"Two columns are to be the {what}. Nothing was imported; name one.")
            roles[what] = name
        elif what not in METRICS:
            raise MappingError(
                f"“{what[:60]}” is neither timestamp, date, time, device nor a metric. Nothing was imported; metrics "
                f"are {', '.join(METRICS)}."
            )
        elif device and not is_id(device):
            raise MappingError(f"“{device[:60]}” can be no device's name. Nothing was imported; name it by its serial.")
        else:
            columns.append((name, what, unit, device))
    by_row = roles.pop("device", None)
    if set(roles) not in ({"timestamp"}, {"date"}, {"date", "time"}):
        raise MappingError(
            "It is not said which column holds the time: one is the timestamp, or one the date and one the time. "
            "Nothing was imported."
        )
    if not columns:
        raise MappingError("It is not said which column holds a metric, as energy_wh. Nothing was imported.")
    if by_row is not None and any(device for *_, device in columns):
        raise MappingError(
            f"“{by_row[:60]}” tells each row's device, and a column has one of its own. Nothing was imported; say one "
            "or the other."
        )
    if len({(metric, device) for _, metric, _, device in columns}) < len(columns):
        raise MappingError("Two columns are the same metric of the same device. Nothing was imported.")
    named = tuple(roles[key] for key in ("timestamp", "date", "time") if key in roles)
    return Wish(moment=named, columns=tuple(columns), device=by_row)


# -- what a file shows -----------------------------------------------------------------------------------------------


def layout(head: Sequence[str]) -> Layout:
    """The layout of a file from its first lines. Raises MappingError for one in which no table is found."""
    best: Layout | None = None
    for delimiter in ("\t", ";", "|", ","):
        found = _table(head, delimiter)
        # A decimal comma parts a German line too, and more often: the first that holds a table wins.
        if found is not None and (best is None or len(found.rows) > 2 * len(best.rows)):
            best = found
    if best is None:
        raise MappingError(
            "No table was found in it: a line of column names with lines of times and numbers beneath. Nothing was "
            "imported."
        )
    return best


def _table(head: Sequence[str], delimiter: str) -> Layout | None:
    rows = list(_cells(head[:HEAD_LINES], delimiter))
    first = next((k for k, (_, row) in enumerate(rows) if _is_data(row)), None)
    if first is None or first > MOST_ROWS_ABOVE:
        return None
    width = len(rows[first][1])
    units: tuple[str, ...] = ()
    for line, row in reversed(rows[:first]):
        cells = tuple(cell.strip() for cell in row)
        if not units and len(cells) == width and all(not c or _UNIT_CELL.fullmatch(c) for c in cells):
            units = tuple(cell.strip("[]()") for cell in cells)
        elif width - 1 <= len(cells) <= width + 1 and sum(map(bool, cells)) >= 2:
            names = (*cells, *[""] * (width - len(cells)))
            data = tuple(tuple(r) for _, r in rows[first:] if len(r) >= 2)
            return Layout(delimiter=delimiter, header_line=line, names=names, units=units, rows=data)
    return None


def _cells(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each line that is not blank, by its number from 1, parted; one that csv cannot part comes whole."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if '"' not in line:
            yield number, line.split(delimiter)
            continue
        try:
            (row,) = csv.reader([line], delimiter=delimiter)
        except (csv.Error, ValueError):
            row = [line]
        yield number, row


def _is_data(row: Sequence[str]) -> bool:
    # A row of a device's may have its names and models before the time.
    dated = any(_DATE.match(cell.strip()) for cell in row[:8])
    return dated and len(row) >= 2 and any(_looks_like_number(cell) for cell in row)


def _looks_like_number(cell: str) -> bool:
    cell = cell.strip()
    return bool(_POINT.fullmatch(cell) or _COMMA.fullmatch(cell))


# -- what is found where nothing is said -----------------------------------------------------------------------------


def propose(found: Layout, wish: Wish) -> Proposed:
    """The mapping for a file of this layout. Raises MappingError for what cannot be found and has to be said."""
    doubts: list[str] = []
    where = {name: index for index, name in reversed(list(enumerate(found.names)))}
    for name in (*wish.moment, *_given(wish.device), *(name for name, *_ in wish.columns)):
        if name not in where:
            there = ", ".join(f"“{n}”" for n in found.names if n)
            raise MappingError(f"There is no column “{name[:60]}”. Nothing was imported; there are {there}.")
    moments = [_joined(row, [where[name] for name in wish.moment]) for row in found.rows]
    numbers = [row[where[name]].strip() for row in found.rows for name, *_ in wish.columns if where[name] < len(row)]
    dates = wish.dates or _dates_of(moments, doubts)
    decimal = wish.decimal or _decimal_of(numbers, found.delimiter, doubts)
    stamps: dict[str, list[dt.datetime]] = {}
    for row, text in zip(found.rows, moments, strict=True):
        moment = read_moment(text, dates)
        if moment is not None:
            device = _joined(row, [where[name] for name in _given(wish.device)])
            stamps.setdefault(device, []).append(moment.replace(tzinfo=None))
    if not stamps:
        raise MappingError(f"No time in “{wish.moment[0]}” can be read. Nothing was imported; name another column.")
    steps = [(a, b) for one in stamps.values() for a, b in pairwise(one)]
    falling = sum(a > b for a, b in steps) > sum(a < b for a, b in steps)
    has_times = any(":" in text for text in moments)
    interval_s = wish.interval_s if wish.interval_s is not None else _interval_of(stamps.values(), has_times)
    if wish.stamps is None and interval_s and any(METRICS[m].kind is not Kind.COUNTER for _, m, *_ in wish.columns):
        doubts.append(
            "Each time is taken as the start of its interval; where the portal means its end, say so (--stamps end)."
        )
    columns = tuple(
        Column(name=name, metric=metric, unit=_unit(found, where[name], metric, unit, doubts), device=device)
        for name, metric, unit, device in wish.columns
    )
    mapping = Mapping(
        header=found.fingerprint, delimiter=found.delimiter, moment=wish.moment, columns=columns, device=wish.device,
        dates=dates, decimal=decimal, interval_s=interval_s, stamps=wish.stamps or "start", zone=wish.zone,
        newest_first=falling,
    )  # fmt: skip
    return Proposed(mapping, tuple(doubts))


def checked(mapping: Mapping, found: Layout) -> Mapping:
    """A mapping that was kept, for a file of this layout. Raises MappingError where one of its columns is missing."""
    for name in (*mapping.moment, *_given(mapping.device), *(column.name for column in mapping.columns)):
        if name not in found.names:
            raise MappingError(
                f"The file has no column “{name}”, which its mapping names. Nothing was imported; say what its columns "
                "are (--map)."
            )
    return msgspec.structs.replace(mapping, delimiter=found.delimiter)


def _given(name: str | None) -> tuple[str, ...]:
    return () if name is None else (name,)


def _joined(row: Sequence[str], where: Sequence[int]) -> str:
    return " ".join(row[index].strip() for index in where if index < len(row))


def _dates_of(moments: Sequence[str], doubts: list[str]) -> Dates:
    parts = [match.groups() for text in moments if (match := _DATE.match(text))]
    if not parts:
        return "ymd"
    if any(len(first) == 4 for first, *_ in parts):
        return "ymd"
    if any(int(first) > 12 for first, *_ in parts) or any(sign == "." for _, sign, _, _ in parts):
        return "dmy"
    if any(int(second) > 12 for _, _, second, _ in parts):
        return "mdy"
    # Both can be: history has no holes of a month, so the order that makes it shorter is the likelier.
    spans = {}
    for order in ("dmy", "mdy"):
        stamps = [m.replace(tzinfo=None) for text in moments if (m := read_moment(text, order)) is not None]
        spans[order] = max(stamps) - min(stamps) if stamps else dt.timedelta.max
    if spans["dmy"] == spans["mdy"]:
        raise MappingError(
            "Day and month cannot be told apart in it. Nothing was imported; say which comes first (--dates dmy or "
            "mdy)."
        )
    dates: Dates = "dmy" if spans["dmy"] < spans["mdy"] else "mdy"
    doubts.append(f"Day and month were told apart by the days' order only; if {dates} is wrong, say so (--dates).")
    return dates


def _decimal_of(numbers: Sequence[str], delimiter: str, doubts: list[str]) -> Literal[".", ","]:
    comma = point = unsure = 0
    for text in numbers:
        last = max(text.rfind(","), text.rfind("."))
        if last < 0 or not _looks_like_number(text):
            continue
        sign, digits, before = text[last], len(text) - last - 1, text[:last].lstrip("+-")
        grouped = text.count(sign) > 1
        other = ("." if sign == "," else ",") in text
        if digits == 3 and not other and not grouped and 1 <= len(before) <= 3 and before != "0":
            unsure += 1
        elif (sign == ",") is not grouped:
            comma += 1
        else:
            point += 1
    if comma or point:
        return "," if comma > point else "."
    if unsure:
        decimal: Literal[".", ","] = "," if delimiter == ";" and any("," in text for text in numbers) else "."
        doubts.append(
            f"“{decimal}” is taken as the decimal sign, which three digits do not show; if it is wrong, say so "
            "(--decimal)."
        )
        return decimal
    return "."


def _interval_of(stamps: Iterable[Sequence[dt.datetime]], has_times: bool) -> int:
    """The step of most times; each sequence is a device's."""
    steps = Counter(int((b - a).total_seconds()) for one in stamps for a, b in pairwise(sorted(set(one))))
    if not steps:
        if not has_times:
            return DAY_S
        raise MappingError(
            "One time alone does not show how long its interval is. Nothing was imported; say what a row covers "
            "(--interval SECONDS, 0 for a moment's reading)."
        )
    step, count = steps.most_common(1)[0]
    if step > 27 * DAY_S:
        raise MappingError("Its rows are of months, which are not kept: days at the longest. Nothing was imported.")
    if not has_times or step == DAY_S:
        return DAY_S
    if step > DAY_S or count * 2 <= sum(steps.values()):
        raise MappingError(
            "Its times do not follow one another evenly. Nothing was imported; say what a row covers (--interval "
            "SECONDS, 0 for a moment's reading)."
        )
    return step


def _unit(found: Layout, index: int, metric: str, said: str | None, doubts: list[str]) -> str:
    """The unit of a column: as said, else as its header or the line beneath tells, else the metric's own."""
    own = METRICS[metric].unit
    unit = said
    if unit is None and own in {"W", "Wh"}:
        beneath = found.units[index] if index < len(found.units) else ""
        in_name = _UNIT_IN_NAME.search(found.names[index])
        unit = beneath if beneath in _UNITS else in_name[1] if in_name else None
        if unit is None:
            doubts.append(f"“{found.names[index]}” is taken in {own}; where it is not, say {metric}:k{own}.")
    unit = unit or own
    if unit != own and (unit not in _UNITS or _UNITS[unit][0] != own):
        raise MappingError(f"{unit[:20]} is no unit of {metric}. Nothing was imported; it is in {own or 'no unit'}.")
    return unit


# -- reading ---------------------------------------------------------------------------------------------------------


def read_moment(text: str, dates: Dates) -> dt.datetime | None:
    """The date and time that a text tells, with its offset where it has one; None where it is no time.

    A date alone is its midnight. Seconds are whole.
    """
    text = text.strip()
    found = _DATE.match(text)
    if found is None:
        return None
    first, _, second, third = found.groups()
    year, month, day = {
        "ymd": (first, second, third), "dmy": (third, second, first), "mdy": (third, first, second),
    }[dates]  # fmt: skip
    if len(year) not in {2, 4}:
        return None
    rest = text[found.end() :].lstrip("T ,")
    hour = minute = second_of = 0
    offset: dt.tzinfo | None = None
    if rest:
        time = _TIME.fullmatch(rest)
        if time is None:
            return None
        hour, minute, second_of = int(time[1]), int(time[2]), int(time[3] or 0)
        if time[4]:
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + (12 if time[4] in "pP" else 0)
        if time[5]:
            offset = dt.datetime.fromisoformat(f"2000-01-01T00:00{time[5]}").tzinfo
    # Some portals call the end of a day 24:00.
    late = dt.timedelta(days=hour == 24 and not minute and not second_of)
    try:
        full = int(year) + (2000 if len(year) == 2 else 0)
        return dt.datetime(full, int(month), int(day), 0 if late else hour, minute, second_of, tzinfo=offset) + late
    except (ValueError, OverflowError):
        return None


def read_number(text: str, decimal: str, power: int = 0) -> float | None:
    """A number of a portal's, times ten to a power; None where it is none."""
    text = text.strip().replace("\xa0", " ").replace("\u202f", " ").replace("\u2212", "-").replace("’", "'")
    pattern = _COMMA if decimal == "," else _POINT
    if not pattern.fullmatch(text):
        return None
    for sign in "' " + (".," if decimal == "," else ",")[0]:
        text = text.replace(sign, "")
    text = text.replace(",", ".")
    # By its digits, so that 1.005 kW are 1005 W and not a little less.
    digits, _, exponent = text.casefold().partition("e")
    return float(f"{digits}e{int(exponent or 0) + power}")


class _Clock:
    """A portal's local times into instants, in the order of its rows."""

    def __init__(self, tz: dt.tzinfo, *, newest_first: bool) -> None:
        self._tz = tz
        self._newest_first = newest_first
        self._last: int | None = None
        self.ambiguous: dict[dt.datetime, int] = {}
        """How often each time that comes twice a year was seen."""

    def instant(self, moment: dt.datetime) -> int | None:
        """The epoch second of a time; None for one that the zone skips.

        Of an hour that comes twice, the first is taken until the rows have passed it (the second, newest first).
        """
        if moment.tzinfo is not None:
            return int(moment.timestamp())
        early = int(moment.replace(tzinfo=self._tz, fold=0).timestamp())
        late = int(moment.replace(tzinfo=self._tz, fold=1).timestamp())
        if late < early:
            return None
        chosen = early
        if late > early:
            self.ambiguous[moment] = self.ambiguous.get(moment, 0) + 1
            if self._newest_first:
                chosen = late if self._last is None or late < self._last else early
            else:
                chosen = early if self._last is None or early > self._last else late
        self._last = chosen
        return chosen


class _Clocks(dict[str, _Clock]):
    """A clock for each device: the rows of one follow one another, those of two stand beside each other."""

    def __init__(self, mapping: Mapping, tz: dt.tzinfo) -> None:
        super().__init__()
        self._tz = clock.zone(mapping.zone) or tz
        self._newest_first = mapping.newest_first

    def __missing__(self, device: str) -> _Clock:
        made = self[device] = _Clock(self._tz, newest_first=self._newest_first)
        return made


def read_rows(
    lines: Iterable[str], mapping: Mapping, tz: dt.tzinfo, header_line: int, known: Mapped[str, str] | None = None
) -> Iterator[Row]:
    """What each row beneath the header gives, in the order of the file; `tz` is the site's zone.

    `known` has the vendor's id of a device by what else a table may call it. A cell without anything in it gives
    nothing. A row whose time cannot be is refused whole, and so is one without a device where rows tell it.
    """
    yield from _read_rows(lines, mapping, tz, header_line, known or {}, _Clocks(mapping, tz))


def _read_rows(
    lines: Iterable[str], mapping: Mapping, tz: dt.tzinfo, header_line: int, known: Mapped[str, str], hours: _Clocks
) -> Iterator[Row]:
    names: dict[str, int] = {}
    lowest, length = 1, mapping.interval_s
    by_days = length == DAY_S
    columns: list[tuple[int, Column, str, int, int]] = []
    for number, cells in _cells(lines, mapping.delimiter):
        if number < header_line:
            continue
        if number == header_line:
            names = {name.strip(): index for index, name in reversed(list(enumerate(cells)))}
            columns = [
                (
                    names[c.name], c, known.get(c.device, c.device), _UNITS[c.unit][1] if c.unit in _UNITS else 0,
                    0 if METRICS[c.metric].kind is Kind.COUNTER else length,
                )
                for c in mapping.columns
            ]  # fmt: skip
            moment_at = [names[name] for name in mapping.moment]
            device_at = [names[name] for name in _given(mapping.device)]
            lowest = max(moment_at) + 1
            continue
        if all(not cell.strip() or _UNIT_CELL.fullmatch(cell.strip()) for cell in cells):
            continue  # the line of units beneath the header
        moment = read_moment(_joined(cells, moment_at), mapping.dates) if len(cells) >= lowest else None
        if moment is None:
            yield Row(number, (), (NO_TIME,))
            continue
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            yield Row(number, (), (NO_TIME_THAT_CAN_BE,))
            continue
        row_device = _joined(cells, device_at)
        if device_at and (row_device.casefold() in _MISSING or not is_id(row_device)):
            yield Row(number, (), (NO_DEVICE,))
            continue
        row_device = known.get(row_device, row_device)
        at: int | None
        if by_days:
            # A day is the site's own, in whatever zone the portal tells the time.
            at = clock.midnight(moment.date() - dt.timedelta(days=mapping.stamps == "end"), tz)
        else:
            at = hours[row_device].instant(moment)
        if at is None:
            yield Row(number, (), (SKIPPED,))
            continue
        readings, refused = [], []
        for index, column, device, power, interval_s in columns:
            text = cells[index].strip() if index < len(cells) else ""
            if text.casefold() in _MISSING:
                continue
            value = read_number(text, mapping.decimal, power)
            if value is None or not math.isfinite(value):
                refused.append(NO_NUMBER)
                continue
            start = at - interval_s if mapping.stamps == "end" and not by_days else at
            readings.append(Reading(row_device or device, column.metric, interval_s, start, value))
        yield Row(number, tuple(readings), tuple(refused))


def preview(
    lines: Iterable[str],
    mapping: Mapping,
    tz: dt.tzinfo,
    header_line: int,
    doubts: Iterable[str],
    known: Mapped[str, str] | None = None,
) -> Preview:
    """What reading a whole file would give; nothing is written."""
    seen = Preview(doubts=list(doubts))
    known = known or {}
    hours = _Clocks(mapping, tz)
    columns = {(known.get(c.device, c.device), c.metric): c.name for c in mapping.columns}
    for row in _read_rows(lines, mapping, tz, header_line, known, hours):
        for reason in row.refused:
            count, first = seen.refused.get(reason, (0, row.line))
            seen.refused[reason] = (count + 1, first)
        for reading in row.readings:
            seen.readings += 1
            device = reading.vendor_device_id
            seen.devices[device] = seen.devices.get(device, 0) + 1
            if len(seen.first) < PREVIEW_ROWS:
                seen.first.append(reading)
            if not clock.EARLIEST <= reading.timestamp < clock.LATEST:
                continue
            days = seen.days.setdefault(clock.day_of(reading.timestamp, tz).isoformat(), {})
            name = columns["" if mapping.device else device, reading.metric_name]
            count, total, highest = days.get(name, (0, 0.0, -math.inf))
            days[name] = (count + 1, total + reading.value, max(highest, reading.value))
    once = sum(times == 1 for one in hours.values() for times in one.ambiguous.values())
    if once:
        seen.doubts.append(
            f"{once} times of the hour that comes twice in autumn stand there once; each is taken as the first one."
        )
    return seen
