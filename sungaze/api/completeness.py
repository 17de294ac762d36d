"""What is there of a site's history and what is not: completeness by day, what is owed, what was refused."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

from litestar import get
from litestar.params import QueryParameter

from sungaze import clock
from sungaze.api.parts import LARGEST_ID, GivenParts, Id
from sungaze.api.shapes import (
    CompleteDay,
    CompletenessOut,
    OwedList,
    OwedOut,
    RefusedList,
    RefusedOut,
)
from sungaze.jobs.connect import BadRequest
from sungaze.model import DAY_S, METRICS, SITE_DEVICE_ID, AccountState, Span
from sungaze.store.days import MARGIN_S, stretch_due
from sungaze.store.timeseries import SeriesKey
from sungaze.vendors import connector

DAYS_SHOWN: Final = 90
MOST_DAYS: Final = 800
_RESTING: Final = {AccountState.NEEDS_RECONNECT, AccountState.NOT_ENTITLED, AccountState.BLOCKED, AccountState.CHANGED}


@get("/api/sites/{site_id:int}/completeness", operation_id="getCompleteness", sync_to_thread=True)
def get_completeness(
    parts: GivenParts,
    site_id: Id,
    since: Annotated[str | None, QueryParameter(name="from", description="A local date; 90 days ago.")] = None,
    to: Annotated[str | None, QueryParameter(description="A local date, the last one counted; today.")] = None,
) -> CompletenessOut:
    """How much of a site's curve is there, by local day, oldest first; no days while its zone is not known.

    Counted by the coarsest interval that the curve has. A day that goes on is counted up to now.
    """
    store, now = parts.context.store, parts.context.now()
    site = store.fleet.site(site_id)
    vendor = connector(site.vendor).vendor
    tz = clock.zone(site.timezone)
    by_sun = site.latitude is not None and site.longitude is not None
    lengths = [s for s in store.timeseries.intervals(site_id, SITE_DEVICE_ID, vendor.power_metric) if s < DAY_S]
    # Where a gateway that was away sent coarser figures, a coarse one covers as much as the finer ones of its time.
    step = max(lengths) or vendor.bucket_s if lengths else None
    days: list[CompleteDay] = []
    if tz is not None:
        today = clock.day_of(now, tz)
        last = min(_date(to, today), today)
        first = _date(since, last - dt.timedelta(days=DAYS_SHOWN - 1))
        if (last - first).days >= MOST_DAYS:
            raise BadRequest(f"That is more than {MOST_DAYS} days; ask for a part of it.")
        whole = Span(clock.midnight(first, tz), clock.midnight(last, tz) + 1)
        spans = clock.local_days(whole, tz) if first <= last else []
        due = [stretch_due(span, step or vendor.fine_s, site.latitude, site.longitude, until=now) for _, span in spans]
        present = [0] * len(spans)
        for length in lengths:
            counted = store.timeseries.counts(
                SeriesKey(site_id, SITE_DEVICE_ID, vendor.power_metric, length), due, step or 1
            )
            present = [max(pair) for pair in zip(present, counted, strict=True)]
        daily = store.timeseries.raw(
            SeriesKey(site_id, SITE_DEVICE_ID, vendor.energy_metric, DAY_S),
            Span(spans[0][1].start, spans[-1][1].end) if spans else Span(0, 0),
        )
        known = {clock.day_of(at + 1, tz) for at, _ in daily}
        owed = store.work.owed_to_site(site_id, now)
        for (day, span), stretch, there in zip(spans, due, present, strict=True):
            expected = (stretch.end - stretch.start) // step if step else 0
            days.append(
                CompleteDay(
                    date=day.isoformat(),
                    start=span.start,
                    expected=expected,
                    present=min(there, expected),
                    daily=day in known,
                    owed=any(gap.span.start < span.end and span.start < gap.span.end for gap in owed),
                )
            )
    return CompletenessOut(site_id, vendor.power_metric, step, by_sun, MARGIN_S if by_sun else 0, days)


@get("/api/sites/{site_id:int}/owed", operation_id="listOwed", sync_to_thread=True)
def list_owed(parts: GivenParts, site_id: Id, limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100) -> OwedList:
    """The spans of history that are owed to a site, with the reason and when each may be asked for."""
    store, now = parts.context.store, parts.context.now()
    store.fleet.site(site_id)
    accounts = {account.id: account for account in store.fleet.accounts()}
    owed = store.work.owed_to_site(site_id, now)
    items = []
    for gap in owed[:limit]:
        account = accounts.get(gap.account_id)
        rests = account is None or account.state in _RESTING
        items.append(
            OwedOut(
                account_id=gap.account_id,
                account=account.label if account else "",
                resource=gap.resource,
                start=gap.span.start,
                end=gap.span.end,
                reason=gap.reason,
                attempts=gap.attempts,
                next_at=None if rests else int(max(gap.not_before, account.retry_at or 0 if account else 0)),
                under_way=gap.under_way,
            )
        )
    return OwedList(items, len(owed))


@get("/api/sites/{site_id:int}/quarantine", operation_id="listQuarantine", sync_to_thread=True)
def list_quarantine(
    parts: GivenParts,
    site_id: Id,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
    offset: Annotated[int, QueryParameter(ge=0, le=LARGEST_ID)] = 0,
) -> RefusedList:
    """The values of a site that were refused as impossible, which no figure and no chart holds."""
    store = parts.context.store
    store.fleet.site(site_id)
    devices = {"": SITE_DEVICE_ID, **store.fleet.device_ids(site_id)}
    return RefusedList(
        [
            RefusedOut(
                device_id=devices.get(row.vendor_device_id),
                vendor_device_id=row.vendor_device_id,
                metric=row.metric,
                unit=METRICS[row.metric].unit if row.metric in METRICS else "",
                interval_s=row.interval_s,
                timestamp=row.timestamp,
                value=row.value,
                reason=row.reason,
                refused_at=row.refused_at,
            )
            for row in store.timeseries.refused(site_id, limit, offset)
        ],
        store.timeseries.quarantined(site_id),
    )


def _date(text: str | None, otherwise: dt.date) -> dt.date:
    if text is None:
        return otherwise
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"“{text[:40]}” is no date; write 2026-11-24.") from None
    if not 1990 <= day.year < 2200:
        raise BadRequest(f"{text[:40]} is outside the years 1990 to 2199.")
    return day


ROUTES = [get_completeness, list_owed, list_quarantine]
