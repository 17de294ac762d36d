"""What a request of SolarEdge's retired V1 asks for: local times without offset, time units, ids in one path."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from sungaze.emulators._service import Request
from sungaze.emulators._solaredge_ask import Refused, Span
from sungaze.emulators._solaredge_site import PlantView, Resolution

MOST_SITES = 100
TIME_UNITS: dict[str, Resolution] = {
    "QUARTER_OF_AN_HOUR": "QUARTER_HOUR",
    "HOUR": "HOUR",
    "DAY": "DAY",
    "WEEK": "WEEK",
    "MONTH": "MONTH",
    "YEAR": "YEAR",
}
FINE_UNITS = ("QUARTER_OF_AN_HOUR", "HOUR")
WEEK = timedelta(days=7)
DATE = re.compile(r"\d{4}-\d\d-\d\d")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
FIRST_YEAR, LAST_YEAR = 1990, 2100


def time_unit(request: Request, default: str) -> str:
    """Return the time unit; refuses with 403 as every breach of a rule does."""
    unit = request.first("timeUnit") or default
    if unit not in TIME_UNITS:
        raise Refused(403, f"timeUnit must be one of {', '.join(TIME_UNITS)}")
    return unit


def dates_of(request: Request, view: PlantView, unit: str) -> Span:
    """Return the days from `startDate` to `endDate`, both included, site time."""
    first, last = (_read(request, name, DATE, "%Y-%m-%d") for name in ("startDate", "endDate"))
    _bound(first, last, unit)
    return Span(_epoch(view, first), _epoch(view, last + timedelta(days=1)), TIME_UNITS[unit], {})


def times_of(request: Request, view: PlantView, unit: str) -> Span:
    """Return the time from `startTime` to `endTime`, site time.

    A time that a night repeats begins with its first occurrence and ends with its second [assumed], so that nothing
    that the words could mean is left out.
    """
    first, last = _times(request)
    _bound(first, last, unit)
    return Span(_epoch(view, first), _epoch(view, last.replace(fold=1)), TIME_UNITS[unit], {})


def week_of(request: Request, view: PlantView) -> Span:
    """Return the time from `startTime` to `endTime`; refuses with 403 more than a week."""
    first, last = _times(request)
    if last < first or last - first > WEEK:
        raise Refused(403, "The requested period must not exceed one week")
    return Span(_epoch(view, first), _epoch(view, last.replace(fold=1)), "QUARTER_HOUR", {})


def site_numbers(text: str) -> list[int]:
    """Return the ids of a path, each once; refuses with 403 more than a hundred."""
    numbers = list(dict.fromkeys(int(part) for part in text.split(",")))
    if len(numbers) > MOST_SITES:
        raise Refused(403, f"No more than {MOST_SITES} sites in one request")
    return numbers


def number(request: Request, name: str, default: int, largest: int) -> int:
    """Return an integer parameter of 0..largest; refuses with 403."""
    text = request.first(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text[:12]) > largest:
        raise Refused(403, f"{name} must be a whole number up to {largest}")
    return int(text)


def _times(request: Request) -> tuple[datetime, datetime]:
    first, last = (_read(request, name, MOMENT, "%Y-%m-%d %H:%M:%S") for name in ("startTime", "endTime"))
    return first, last


def _read(request: Request, name: str, form: re.Pattern[str], layout: str) -> datetime:
    """Return a local time; a T between date and time is a 400, as one client found (vendors/solaredge.md 6)."""
    text = request.first(name) or ""
    try:
        moment = datetime.strptime(text, layout) if form.fullmatch(text) else None
    except ValueError:
        moment = None
    if moment is None:
        raise Refused(400, f"{name} is missing or not a valid date")
    if not FIRST_YEAR <= moment.year < LAST_YEAR:
        raise Refused(403, f"{name} is out of range")
    return moment


def _epoch(view: PlantView, moment: datetime) -> int:
    return int(moment.replace(tzinfo=view.plan.zone).timestamp())


def _bound(first: datetime, last: datetime, unit: str) -> None:
    """Refuse with 403 what is longer than a month, or a year of days; a month is the calendar's [assumed]."""
    months = 1 if unit in FINE_UNITS else 12 if unit == "DAY" else None
    if last < first or (months is not None and last > _later(first, months)):
        raise Refused(403, f"The requested period is not allowed for {unit}")


def _later(moment: datetime, months: int) -> datetime:
    count = moment.month - 1 + months
    year, month = moment.year + count // 12, count % 12 + 1
    for day in (moment.day, 30, 29):
        try:
            return moment.replace(year=year, month=month, day=day)
        except ValueError:
            continue
    return moment.replace(year=year, month=month, day=28)
