"""Sites: the list, one site whole, what the user sets of it, and its series."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Final

import msgspec
from litestar import get, patch
from litestar.params import FromQuery, JSONBody, QueryParameter

from sungaze import clock
from sungaze.api.board import SORTS
from sungaze.api.devices import metrics_of
from sungaze.api.parts import LARGEST_ID, GivenParts, Id, Parts
from sungaze.api.places import role_of
from sungaze.api.search import matching
from sungaze.api.shapes import (
    MetricOut,
    SeriesOut,
    SiteDetail,
    SiteList,
    SitePatch,
)
from sungaze.errors import NotFound
from sungaze.jobs.connect import BadRequest
from sungaze.model import DAY_S, METRICS, SITE_DEVICE_ID, DeviceStatus, Kind, Role, Span
from sungaze.store.fleet import SiteRow
from sungaze.store.timeseries import RESOLUTIONS, Points
from sungaze.vendors import connector

MONTH: Final = "1mo"
MOST_TAGS: Final = 20
LONGEST_TAG: Final = 40
LONGEST_RAW_S: Final = 400 * DAY_S
LONGEST_S: Final = 40 * 366 * DAY_S


@get("/api/sites", operation_id="listSites", sync_to_thread=True)
def list_sites(
    parts: GivenParts,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
    offset: Annotated[int, QueryParameter(ge=0, le=LARGEST_ID)] = 0,
    sort: FromQuery[str] = "urgency",
    q: Annotated[str | None, QueryParameter(max_length=200)] = None,
) -> SiteList:
    """One page of sites. `sort`: urgency, name, power, today, yield, peak, age, vendor or id; a leading - turns it."""
    key = SORTS.get(sort.removeprefix("-"))
    if key is None:
        raise BadRequest(f"Sites cannot be sorted by “{sort}”; there is {', '.join(SORTS)}.")
    rows = matching(parts.context.store.database, parts.board.sites(), q or "")
    if sort != "urgency":
        rows = sorted(rows, key=key, reverse=sort.startswith("-"))
    return SiteList(rows[offset : offset + limit], len(rows))


@get("/api/sites/{site_id:int}", operation_id="getSite", sync_to_thread=True)
def get_site(parts: GivenParts, site_id: Id) -> SiteDetail:
    """One site whole, archived or not. Who asks for it looks at it: it is asked first for a while."""
    found = _detail(parts, site_id)
    if parts.context.screen.note(site_id, parts.context.now()):
        parts.wake()
    return found


def _detail(parts: Parts, site_id: int) -> SiteDetail:
    store, now = parts.context.store, parts.context.now()
    site = store.fleet.site(site_id)
    vendor = connector(site.vendor).vendor
    (row,) = parts.board.build([site_id], archived=True)
    tz = clock.zone(site.timezone)
    today = clock.local_day(clock.day_of(now, tz), tz) if tz else None
    sun = _sun(site, today)
    types: dict[str, int] = {}
    for device in store.fleet.devices(site_id):
        if device.status != DeviceStatus.RETIRED:
            types[device.device_type] = types.get(device.device_type, 0) + 1
    daily = store.work.covered(site_id, vendor.history[0]) if vendor.history else None
    fine = store.work.covered(site_id, vendor.fine_resource if vendor.fine_s else vendor.history[-1])
    plans = {a.id: a.plan for a in store.fleet.accounts()}
    account_ids = store.fleet.accounts_of_sites().get(site_id, [])
    panels = any("panels" in plan.gives for a in account_ids if (plan := vendor.plan(plans[a])) is not None)
    return SiteDetail(
        **msgspec.structs.asdict(row),
        vendor_name=vendor.name,
        vendor_link=vendor.link,
        attribution=vendor.attribution,
        portal_url=vendor.portal_url.format(site=site.vendor_site_id),
        alias=site.alias,
        address_info=site.address_info,
        latitude=site.latitude,
        longitude=site.longitude,
        position_source=site.position_source,
        timezone_source=site.timezone_source,
        tilt=site.tilt,
        azimuth=site.azimuth,
        installed_on=site.installed_on,
        connection=site.connection,
        user_set=list(site.user_set),
        accounts=account_ids,
        not_visible_since=site.not_visible_since,
        sunrise=sun.start if sun else None,
        sunset=sun.end if sun else None,
        day_start=today.start if today else None,
        day_end=today.end if today else None,
        energy_month_wh=_month_energy(parts, site, vendor.energy_metric, now),
        energy_lifetime_wh=_lifetime(parts, site),
        metrics=_metrics(parts, site_id),
        device_types=types,
        daily_from=daily.start if daily else None,
        fine_from=fine.start if fine else None,
        quarantined=store.timeseries.quarantined(site_id),
        panels_note="" if panels else vendor.panels_note,
        differs=list(vendor.differs),
    )


@patch("/api/sites/{site_id:int}", operation_id="updateSite", sync_to_thread=True)
def update_site(parts: GivenParts, site_id: Id, data: JSONBody[SitePatch]) -> SiteDetail:
    """Set what the user knows better; a null takes the user's value back."""
    values = {n: v for n, v in msgspec.structs.asdict(data).items() if v is not msgspec.UNSET}
    ranges = {
        "peak_power_kw": (0.001, 1e6), "latitude": (-90, 90), "longitude": (-180, 180), "tilt": (0, 90),
        "azimuth": (0, 360),
    }  # fmt: skip
    for name, (low, high) in ranges.items():
        value = values.get(name)
        if value is not None and not low <= value <= high:
            raise BadRequest(f"{name} has to lie between {low} and {high}; nothing was changed.")
    if values.get("timezone") is not None and clock.zone(values["timezone"]) is None:
        raise BadRequest(f"There is no time zone called “{values['timezone']}”, try one like Europe/Berlin.")
    if isinstance(values.get("alias"), str):
        values["alias"] = values["alias"].strip()[:200] or None
    if isinstance(values.get("tags"), list):
        values["tags"] = _tags(values["tags"])
    if isinstance(values.get("place"), int) and not 0 <= values["place"] <= LARGEST_ID:
        raise NotFound("There is no such place.")
    place, role = values.pop("place", msgspec.UNSET), values.pop("role", msgspec.UNSET)
    store, now = parts.context.store, parts.context.now()
    with store.database.transaction(durable=True):
        store.fleet.set_by_user(site_id, values, now)
        if place is not msgspec.UNSET or role is not msgspec.UNSET:
            site = store.fleet.site(site_id)
            wanted = role_of(role) if role is not msgspec.UNSET else Role(site.role)
            if place is None:
                wanted = Role.GENERATION
            store.places.put_site(site_id, site.place_id if place is msgspec.UNSET else place, wanted, now)
    parts.board.refresh()
    parts.context.events.publish("sites", (site_id,))
    return _detail(parts, site_id)


@get("/api/sites/{site_id:int}/series", operation_id="getSeries", sync_to_thread=True)
def get_series(
    parts: GivenParts,
    site_id: Id,
    metric: FromQuery[str],
    start: Annotated[
        str | None, QueryParameter(name="from", description="Epoch seconds or ISO 8601; today's start.")
    ] = None,
    to: Annotated[str | None, QueryParameter(description="Epoch seconds or ISO 8601; now.")] = None,
    device: Annotated[
        int, QueryParameter(ge=0, le=LARGEST_ID, description="A device's id; 0 is the site.")
    ] = SITE_DEVICE_ID,
    interval_s: Annotated[int | None, QueryParameter(ge=0, le=DAY_S)] = None,
    resolution: Annotated[str, QueryParameter(description="raw, 5m, 15m, 1h, 1d or 1mo.")] = "raw",
) -> SeriesOut:
    """A metric of a site or a device. Times without an offset are read in the site's zone."""
    store, now = parts.context.store, parts.context.now()
    site = store.fleet.site(site_id)
    entry = METRICS.get(metric)
    if entry is None:
        raise BadRequest(f"There is no metric called “{metric}”.")
    if resolution not in {"raw", MONTH, *RESOLUTIONS}:
        raise BadRequest(f"There is no resolution “{resolution}”; there is raw, {', '.join(RESOLUTIONS)}, {MONTH}.")
    if resolution == MONTH and interval_s is not None:
        raise BadRequest("A month takes the finest length that covers each of its days: leave out interval_s.")
    if device != SITE_DEVICE_ID and device not in store.fleet.device_ids(site_id).values():
        raise NotFound("This site has no such device.")
    span = _span(site, start, to, now)
    if span.end - span.start > (LONGEST_RAW_S if resolution == "raw" and interval_s != DAY_S else LONGEST_S):
        raise BadRequest(
            "That span is longer than a single answer may hold; ask for a part of it, or for resolution=1d."
        )
    if resolution == MONTH:
        points = Points(
            None,
            store.days.months(site, device, metric, span, energy_metric=connector(site.vendor).vendor.energy_metric),
        )
    else:
        points = store.timeseries.read(
            site_id, device, metric, span, resolution=resolution, interval_s=interval_s, timezone=site.timezone
        )
    return SeriesOut(
        site_id=site_id,
        device_id=device,
        metric=metric,
        unit=entry.unit,
        interval_s=points.interval_s,
        resolution=resolution,
        points=[list(row) for row in points.rows],
    )


def _tags(given: list[str]) -> list[str]:
    """Tags as they are kept: without white space around them, each once. Raises BadRequest."""
    tags = list(dict.fromkeys(" ".join(tag.split()) for tag in given))
    if len(tags) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in tags):
        raise BadRequest(f"A site may have {MOST_TAGS} tags of {LONGEST_TAG} characters each; nothing was changed.")
    return [tag for tag in tags if tag]


def instant(text: str, site: SiteRow) -> int:
    """A moment as it was written; without an offset it is read in the site's zone. Raises BadRequest."""
    try:
        return clock.parse_instant(text, clock.zone(site.timezone) or dt.UTC)
    except (ValueError, OverflowError, OSError):
        raise BadRequest(f"“{text[:60]}” is no moment; write 2026-11-24T13:05:00Z, a date, or epoch seconds.") from None


def _span(site: SiteRow, start: str | None, to: str | None, now: float) -> Span:
    tz = clock.zone(site.timezone) or dt.UTC
    begin = instant(start, site) if start is not None else clock.midnight(clock.day_of(now, tz), tz)
    end = instant(to, site) if to is not None else int(now)
    if end < begin:
        raise BadRequest("“to” lies before “from”.")
    return Span(begin, end)


def _sun(site: SiteRow, day: Span | None) -> Span | None:
    if day is None or site.latitude is None or site.longitude is None:
        return None
    middle = (day.start + day.end) // 2
    spans = clock.daylight_near(middle, site.latitude, site.longitude)
    return next((s for s in spans if s.start <= middle < s.end), None)


def _metrics(parts: Parts, site_id: int) -> list[MetricOut]:
    return metrics_of(parts.context.store.timeseries.catalogue(site_id))


def _month_energy(parts: Parts, site: SiteRow, metric: str, now: float) -> float | None:
    tz = clock.zone(site.timezone)
    if tz is None:
        return None
    first = clock.day_of(now, tz).replace(day=1)
    rows = parts.context.store.timeseries.read(
        site.id, SITE_DEVICE_ID, metric, Span(clock.midnight(first, tz), int(now) + 1), interval_s=DAY_S
    ).rows
    return sum(row[1] for row in rows) if rows else None


def _lifetime(parts: Parts, site: SiteRow) -> float | None:
    counters = [name for name, entry in METRICS.items() if entry.kind is Kind.COUNTER]
    for name in counters:
        newest = parts.context.store.timeseries.latest(site.id, name, 0).get(SITE_DEVICE_ID)
        if newest is not None:
            return newest[1]
    return None


ROUTES = [list_sites, get_site, update_site, get_series]
