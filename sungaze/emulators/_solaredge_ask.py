"""What a SolarEdge request asks for: windows, resolutions, units; refusals as problem+json."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from sungaze.emulators._service import Request
from sungaze.emulators._solaredge_site import PlantView, Resolution

FINE: tuple[Resolution, ...] = ("QUARTER_HOUR", "HOUR")
EVERY: tuple[Resolution, ...] = get_args(Resolution)
LONGEST_S = {"QUARTER_HOUR": 12 * 3600, "HOUR": 24 * 3600}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?")
TITLES = {
    400: "Bad Request",
    401: "Unauthorized - Authentication Failed",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    410: "Gone",
    500: "Internal Server Error",
}


class Refused(Exception):
    """A refusal: status and the problem's detail (vendors/solaredge.md 1)."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Span:
    """A window in epoch seconds, its resolution, and the `period` that echoes it."""

    start: int
    end: int
    resolution: Resolution
    period: dict[str, str]


def whole_number(request: Request, name: str, default: int, largest: int) -> int:
    """Return an integer parameter of 1..largest; refuses with 400."""
    text = request.first(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:12]) <= largest:
        raise Refused(400, f"{name} must be a whole number from 1 to {largest}")
    return int(text)


def choice(request: Request, name: str, allowed: tuple[str, ...], default: str) -> str:
    """Return one of the allowed words; refuses with 400."""
    text = request.first(name) or default
    if text not in allowed:
        raise Refused(400, f"{name} must be one of {', '.join(allowed)}")
    return text


def span_of(request: Request, view: PlantView, allowed: tuple[Resolution, ...]) -> Span:
    """Return the window asked for (vendors/solaredge.md 2).

    Without `from` and `to` it is local midnight until now, which the longest span does not bind (a live
    default call at 17:05 returned 17 hours). [assumed]: only one of them given takes the other from that
    default and is bound; WEEK and MONTH are bound to a year; the default resolution is QUARTER_HOUR.
    """
    resolution: Resolution = next(
        known for known in EVERY if known == choice(request, "resolution", allowed, "QUARTER_HOUR")
    )
    begins, ends = request.first("from"), request.first("to")
    end = _moment(ends, "to", view) if ends is not None else int(view.now)
    start = _moment(begins, "from", view) if begins is not None else view.plan.midnight(view.plan.local_date(end))
    if end < start or (end == start and ends is not None):
        raise Refused(400, "from must be before to")
    if (begins is not None or ends is not None) and _is_too_long(view, start, end, resolution):
        raise Refused(400, f"The requested period is too long for resolution {resolution}")
    return Span(start, end, resolution, {"from": view.iso(start), "to": _echoed_end(view, end, ends is None)})


def _moment(text: str, name: str, view: PlantView) -> int:
    """Return epoch seconds of a local time without offset, a UTC one with Z, or one with an offset."""
    if not MOMENT.fullmatch(text):
        raise Refused(400, f"{name} is not a valid date and time")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, f"{name} is not a valid date and time") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=view.plan.zone)).timestamp())


def _echoed_end(view: PlantView, end: int, is_default: bool) -> str:
    """Return the end in site time; the default has nine fractional digits (vendors/solaredge.md 3)."""
    text = view.iso(end)
    if not is_default:
        return text
    return f"{text[:19]}.{int(view.now % 1 * 1_000_000):06d}{view.plan.k % 999 + 1:03d}{text[19:]}"


def _is_too_long(view: PlantView, start: int, end: int, resolution: Resolution) -> bool:
    if resolution in LONGEST_S:
        return end - start > LONGEST_S[resolution]
    if resolution in ("YEAR", "TOTAL"):
        return False
    moment = datetime.fromtimestamp(start, view.plan.zone)
    months = 1 if resolution == "DAY" else 12
    year, month = moment.year + (moment.month - 1 + months) // 12, (moment.month - 1 + months) % 12 + 1
    for day in (moment.day, 30, 29, 28):
        try:
            return end > moment.replace(year=year, month=month, day=day).timestamp()
        except ValueError:
            continue
    return True
