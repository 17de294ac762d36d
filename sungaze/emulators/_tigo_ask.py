"""What a Tigo request asks for: systems, windows in site time, steps; refusals as Tigo words them (section 3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from sungaze.emulators._service import Request
from sungaze.emulators._tigo_site import SystemView

NAMES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    422: "Data Validation Failed",
    429: "Too Many Requests",
    500: "Internal Server Error",
}
NOT_ALLOWED = "You are not allowed to perform this action."
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
PARAMS = ("Pin", "Vin", "Iin", "RSSI", "Inv_AC", "Inverter_AC")
STEPS = ("minute", "hour", "day", "month", "year")
LONGEST_MINUTES = 20_150
LONGEST_DAYS = 366


class Refused(Exception):
    """A refusal: status and message; `field` makes it a 422, whose body is an array."""

    def __init__(self, status: int, message: str, field: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.field = field

    def body(self) -> object:
        """Return the error body."""
        if self.field:
            return [{"field": self.field, "message": self.message}]
        return {"name": NAMES[self.status], "message": self.message, "code": 0, "status": self.status}


@dataclass(frozen=True, slots=True)
class Window:
    """A window: epoch seconds, both included by minute, and its length by the wall clock, s."""

    start: int
    end: int
    wall_s: int


def required(request: Request, name: str) -> str:
    """Return a parameter; refuses with 400 when it is missing."""
    text = request.first(name)
    if text is None or not text:
        raise Refused(400, f"Missing required parameters: {name}")
    return text


def whole(text: str, name: str) -> int:
    """Return an integer; refuses with 422."""
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise Refused(422, f"{name} must be an integer.", name)
    return int(text)


def choice(request: Request, name: str, allowed: tuple[str, ...], default: str) -> str:
    """Return one of the allowed words; refuses with 400."""
    text = request.first(name) or default
    if text not in allowed:
        raise Refused(400, f"{name} must be one of the following values: {', '.join(allowed)}")
    return text


def window_of(request: Request, view: SystemView) -> Window:
    """Return the window asked for, in site time without offset, both ends included (section 2.8).

    Of a repeated hour the start is the first, the end the second [assumed]; a skipped time is an hour later.
    """
    start, end = (_local(required(request, name), name) for name in ("start", "end"))
    if end < start:
        raise Refused(400, "end must be greater than start")
    zone = view.plan.zone
    wall_s = int((end - start).total_seconds())
    begin, until = start.replace(tzinfo=zone), end.replace(tzinfo=zone, fold=1)
    return Window(int(begin.timestamp()), int(until.timestamp()), wall_s)


def step_of(request: Request, *, level_only: bool) -> str:
    """Return the step of `combined`: `agg` or `level`, whichever this account takes; `min` is refused there."""
    if level_only and request.first("agg") is not None:
        raise Refused(400, "Unknown parameter: agg")
    name = "agg" if request.first("agg") is not None else "level"
    return choice(request, name, STEPS, "minute")


def check_length(window: Window, *, by_minute: bool) -> None:
    """Refuse with 400 a range that is too large (section 2.9: “soft”; the numbers are those seen to be safe)."""
    longest_s = LONGEST_MINUTES * 60 if by_minute else LONGEST_DAYS * 86_400
    if window.wall_s > longest_s:
        raise Refused(400, "The requested date range is too large.")


def object_ids(request: Request) -> list[int]:
    """Return the objects asked for, none for all; refuses with 422 what is no list of numbers."""
    text = request.first("object_ids")
    return [whole(part.strip(), "object_ids") for part in text.split(",") if part.strip()] if text else []


def _local(text: str, name: str) -> datetime:
    if not MOMENT.fullmatch(text):
        raise Refused(400, f"{name} must be a date of the format YYYY-MM-DDTHH:MM:SS")
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Refused(400, f"{name} is not a valid date") from None
