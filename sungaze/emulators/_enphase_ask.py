"""What an Enphase request asks for: parameters read strictly, refusals in the vendor's words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sungaze.emulators._enphase_site import SystemView
from sungaze.emulators._service import Request

GRANULARITY_S = {"5mins": 300, "15mins": 900, "day": 86_400, "week": 604_800}
TITLES = {
    401: "Not Authorized",
    403: "Forbidden",
    404: "Not Found",
    422: "Unprocessable Entity",
    500: "Internal Server Error",
}


class Refused(Exception):
    """A refusal; `body` is the vendor's JSON (vendors/enphase.md 2)."""

    def __init__(
        self,
        status: int,
        details: str = "",
        *,
        message: str | None = None,
        body: dict[str, object] | None = None,
    ) -> None:
        super().__init__(details)
        self.status = status
        self.body = body or {"message": message or TITLES[status], "details": details, "code": status}


@dataclass(frozen=True, slots=True)
class Window:
    """A telemetry window [start, end) on interval marks, and the fields that echo it."""

    start: int
    end: int
    granularity: str
    echo: dict[str, object]


def whole_number(request: Request, name: str, default: int | None = None) -> int | None:
    """Return an integer parameter, `default` when absent; refuses with 422."""
    text = request.first(name)
    if text is None or text == "":
        return default
    if not text.lstrip("-").isascii() or not text.removeprefix("-").isdigit() or len(text) > 12:
        raise Refused(422, f"{name} should be an integer")
    return int(text)


def local_day(request: Request, name: str) -> date | None:
    """Return a YYYY-MM-DD parameter, None when absent; refuses with 422."""
    text = request.first(name)
    if not text:
        return None
    try:
        if len(text) != 10:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise Refused(422, f"{name} should be a date such as 2026-01-31") from None


def page_of(request: Request, largest: int, default: int = 10) -> tuple[int, int]:
    """Return (page, size); 422 outside, also for a size above the maximum [assumed]."""
    page = whole_number(request, "page", 1)
    size = whole_number(request, "size", default)
    assert page is not None
    assert size is not None
    if page < 1:
        raise Refused(422, "page should be 1 or more")
    if not 1 <= size <= largest:
        raise Refused(422, f"size should be between 1 and {largest}")
    return page, size


def ordered(request: Request, views: list[SystemView], sort_by: object) -> list[SystemView]:
    """Return the systems sorted by `id` (default) or `-id`; anything else is 422."""
    if sort_by not in (None, "id", "-id"):
        raise Refused(422, "sort_by should be id or -id")
    return views[::-1] if sort_by == "-id" else views


def telemetry_window(request: Request, view: SystemView, mark_s: int) -> Window:
    """Return the window a telemetry call covers, by the rules of vendors/enphase.md 3.4.

    [assumed]: a start in the future is 422 (the errors' table) while one after the last interval is an empty
    list; "within 2 years" is the same day two years back; `start_at` wins over `start_date`; an echoed
    `end_date` is the date of the window's last moment.
    """
    granularity = request.first("granularity") or "day"
    if granularity not in GRANULARITY_S:
        raise Refused(422, f"granularity should be one of {', '.join(GRANULARITY_S)}")
    now = int(view.now)
    start = whole_number(request, "start_at")
    by_date = local_day(request, "start_date") if start is None else None
    if by_date is not None:
        start = view.plan.midnight(by_date)
    elif start is None:
        start = view.plan.midnight(view.today)
    if start > now:
        raise Refused(422, "Requested start is in the future")
    moment = datetime.fromtimestamp(now, UTC)
    oldest = moment.replace(year=moment.year - 2, day=min(moment.day, 28 if moment.month == 2 else 31))
    if start < oldest.timestamp() - (86_400 if by_date else 0):
        raise Refused(422, "Requested start is older than 2 years")
    start = max(start // mark_s * mark_s, view.plan.installed_at)
    end = max(start, min(now, start + GRANULARITY_S[granularity]) // mark_s * mark_s)
    if by_date is None:
        return Window(start, end, granularity, {"start_at": start, "end_at": end})
    last = view.plan.local_date(max(start, end - 1))
    echo = {"start_date": view.plan.local_date(start).isoformat(), "end_date": last.isoformat()}
    return Window(start, end, granularity, dict(echo))


def lifetime_days(request: Request, view: SystemView) -> tuple[date, date]:
    """Return (first, last) local dates of a daily series, last < first when there is none.

    Default: from the first day to yesterday. [assumed]: a start before the first day is moved to it, an end
    later than yesterday to yesterday; a start in the future is 422, and so is an end before the start.
    """
    first, last = local_day(request, "start_date"), local_day(request, "end_date")
    if first is not None and first > view.today:
        raise Refused(422, "start_date is in the future")
    if first is not None and last is not None and last < first:
        raise Refused(422, "end_date should not be before start_date")
    yesterday = view.today - timedelta(days=1)
    return max(first or view.plan.installed_on, view.plan.installed_on), min(last or yesterday, yesterday)
