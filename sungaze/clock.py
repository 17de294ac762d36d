"""UTC to site time and back across daylight saving, local days, and whether the sun is up.

Instants are epoch seconds UTC; `now` is always an argument. Zones are IANA names, aliases included.
"""

from __future__ import annotations

import datetime as dt
import re
from functools import cache, lru_cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

from astral import Observer, SunDirection
from astral.sun import elevation, noon, time_at_elevation

from sungaze.model import Span

UTC: Final = dt.UTC
EARLIEST: Final = 631_152_000
"""The first second of 1990: nothing of ours is older."""
LATEST: Final = 7_258_118_400
"""The first second of 2200: nothing of ours lies beyond."""
MADE: Final = 1_767_225_600
"""The first second of 2026: this version was not made before."""
OFF_S: Final = 86_400
"""How far a clock may stand before what was done here already, or from what vendors' servers say; a day is a zone set
wrongly or a clock set by hand."""
SUNSET_ELEVATION: Final = -0.833
"""Degrees at which the sun's upper rim meets the horizon; it holds the refraction, so astral must not add its own."""

SHORTEST_NIGHT_S: Final = 300
"""Less dark than this between two days is the equation of time drifting under the midnight sun, not a night."""

_ISO_6709 = re.compile(r"([+-])(\d{2})(\d{2})(\d{2})?([+-])(\d{3})(\d{2})(\d{2})?$")


def is_before_made(now: float) -> bool:
    """Whether a clock stands before this version was made, so that it is wrong whatever else is true."""
    return now < MADE


def trouble_of(now: float, worked_until: float | None) -> str:
    """What is wrong with a clock that stands at `now`, as a sentence; empty where nothing is.

    `worked_until` is the newest moment at which Sungaze did something here, by the clock of then.
    """
    if is_before_made(now):
        return (
            f"This computer's clock stands at {_date(now)}, which is before this version of Sungaze was made. What you "
            "have is kept, and nothing is asked of your vendors; set the date and time."
        )
    if worked_until is not None and now < worked_until - OFF_S:
        return (
            f"This computer's clock stands at {_date(now)}, but Sungaze worked here on {_date(worked_until)} already: "
            "one of them is wrong. What you have is kept; check the date and time."
        )
    return ""


def disagreement(now: float, said: float, by: str) -> str:
    """That a clock stands at `now` where a vendor's server says another day, as a sentence; empty where both agree."""
    if abs(now - said) <= OFF_S:
        return ""
    return (
        f"This computer's clock stands at {_date(now)}, but {by}'s server says that it is {_date(said)}. What you have "
        "is kept, and nothing is asked of your vendors meanwhile; set the date and time."
    )


def _date(now: float) -> str:
    try:
        return dt.datetime.fromtimestamp(now, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return "no date that there is"


@cache
def zone(name: str | None) -> ZoneInfo | None:
    """The zone of that name, or None for a name that the tz database does not have."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def day_of(instant: float, tz: dt.tzinfo) -> dt.date:
    """The local date at an instant."""
    return dt.datetime.fromtimestamp(instant, tz).date()


def midnight(day: dt.date, tz: dt.tzinfo) -> int:
    """The instant at which a local date begins.

    Where midnight itself is skipped by daylight saving, the first instant of that date; where it comes twice, the
    first of the two.
    """
    # fold=0 reads a skipped 00:00 by the offset before the gap, which is the instant at which the gap ends, and takes
    # the first of two. A date that a zone skipped whole (Apia, 30 December 2011) is an empty span.
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=tz).timestamp())


def local_day(day: dt.date, tz: dt.tzinfo) -> Span:
    """The span of a local date: 23 to 25 hours, but for a date that its zone skipped."""
    return Span(midnight(day, tz), midnight(day + dt.timedelta(days=1), tz))


def local_days(span: Span, tz: dt.tzinfo) -> list[tuple[dt.date, Span]]:
    """Every local date that a span touches, with its own span, oldest first."""
    days: list[tuple[dt.date, Span]] = []
    day = day_of(span.start, tz)
    while True:
        whole = local_day(day, tz)
        if whole.start >= span.end:
            return days
        if whole.start < whole.end:
            days.append((day, whole))
        day += dt.timedelta(days=1)


def parse_instant(text: str, tz: dt.tzinfo = UTC) -> int:
    """The epoch second of a number, an ISO 8601 instant or a date; without an offset it is read in `tz`.

    Raises ValueError for anything else and for years outside 1990 to 2199.
    """
    text = text.strip()
    if re.fullmatch(r"-?\d{1,12}", text):
        instant = int(text)
    else:
        moment = dt.datetime.fromisoformat(text)
        instant = int((moment if moment.tzinfo else moment.replace(tzinfo=tz)).timestamp())
    if not EARLIEST <= instant < LATEST:
        raise ValueError(f"{text} is outside the years 1990 to 2199")
    return instant


def iso(instant: float) -> str:
    """An instant as ISO 8601 with Z, whole seconds."""
    return dt.datetime.fromtimestamp(int(instant), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@cache
def _aliases() -> dict[str, str]:
    text = (resources.files("tzdata") / "zoneinfo" / "tzdata.zi").read_text(encoding="ascii")
    links = (line.split() for line in text.splitlines() if line.startswith("L "))
    return {alias: target for _, target, alias in links}


def _degrees(sign: str, degrees: str, minutes: str, seconds: str | None) -> float:
    value = int(degrees) + int(minutes) / 60 + int(seconds or 0) / 3600
    return -value if sign == "-" else value


@cache
def _cities() -> dict[str, tuple[float, float]]:
    text = (resources.files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    cities = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        _, position, name, *_ = line.split("\t")
        match = _ISO_6709.match(position)
        if match:
            part = match.groups()
            cities[name] = (_degrees(*part[:4]), _degrees(*part[4:]))
    return cities


def zone_city(name: str | None) -> tuple[float, float] | None:
    """Latitude and longitude of a zone's main city, from the tz database's own table; None for one without a city."""
    if not name:
        return None
    return _cities().get(name) or _cities().get(_aliases().get(name, ""))


@lru_cache(maxsize=20_000)
def _daylight(latitude: float, longitude: float, day: dt.date) -> Span | None:
    observer = Observer(latitude, longitude)
    high = noon(observer, day, UTC)
    try:
        rise = time_at_elevation(observer, SUNSET_ELEVATION, day, SunDirection.RISING, UTC, with_refraction=False)
        fall = time_at_elevation(observer, SUNSET_ELEVATION, day, SunDirection.SETTING, UTC, with_refraction=False)
    except ValueError:
        middle = int(high.timestamp())
        # At the edge of either season astral's noon may touch the horizon that it never crosses: the middle of noon's
        # and midnight's height tells polar day from polar night.
        heights = [elevation(observer, high + dt.timedelta(hours=h), with_refraction=False) for h in (0, 12)]
        return Span(middle - 43_200, middle + 43_200) if sum(heights) / 2 > SUNSET_ELEVATION else None
    start, end, middle = int(rise.timestamp()), int(fall.timestamp()), int(high.timestamp())
    # astral answers for the UTC date; far from Greenwich one of the two belongs to the neighbouring noon.
    start += 86_400 * round((middle - 21_600 - start) / 86_400)
    end += 86_400 * round((middle + 21_600 - end) / 86_400)
    return Span(start, end)


def daylight_near(instant: float, latitude: float, longitude: float, days: int = 1) -> tuple[Span, ...]:
    """The sun's spans above the horizon around an instant, `days` before and after it, oldest first.

    Spans that meet are one, so that polar day has neither sunset nor an hour counted twice; polar night is no span.
    Positions are rounded to a tenth of a degree, which is less than a minute of sun.
    """
    return _daylight_around(int(instant // 86_400), round(latitude, 1), round(longitude, 1), days)


@lru_cache(maxsize=20_000)
def _daylight_around(day_number: int, latitude: float, longitude: float, days: int) -> tuple[Span, ...]:
    today = day_of(day_number * 86_400, UTC)
    spans = [_daylight(latitude, longitude, today + dt.timedelta(days=shift)) for shift in range(-days, days + 1)]
    met: list[Span] = []
    for span in sorted((s for s in spans if s is not None), key=lambda s: s.start):
        if met and span.start - met[-1].end < SHORTEST_NIGHT_S:
            met[-1] = Span(met[-1].start, max(met[-1].end, span.end))
        else:
            met.append(span)
    return tuple(met)


def sun_up(instant: float, latitude: float, longitude: float) -> bool:
    """Whether the sun is above the horizon."""
    return any(s.start <= instant < s.end for s in daylight_near(instant, latitude, longitude))


def daylight_minutes(start: float, end: float, latitude: float, longitude: float) -> float:
    """Minutes of sun between two instants; beyond eight days only the last eight count."""
    start = max(start, end - 8 * 86_400)
    if end <= start:
        return 0.0
    days = int((end - start) // 86_400) + 1
    spans = daylight_near(end, latitude, longitude, days)
    return sum(max(0.0, min(end, s.end) - max(start, s.start)) for s in spans) / 60


def last_sunset(instant: float, latitude: float, longitude: float) -> int | None:
    """The newest sunset at or before an instant, or None when it is more than two days ago (polar day or night)."""
    past = [s.end for s in daylight_near(instant, latitude, longitude, 2) if s.end <= instant]
    return past[-1] if past else None


def next_sunrise(instant: float, latitude: float, longitude: float) -> int | None:
    """The next sunrise after an instant, or None when it is more than two days ahead (polar day or night)."""
    ahead = [s.start for s in daylight_near(instant, latitude, longitude, 2) if s.start > instant]
    return ahead[0] if ahead else None
