"""Places: the list, the user's sheet, merging two, and what may be one roof."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import msgspec
from litestar import get, patch, post
from litestar.params import JSONBody

from sungaze import clock
from sungaze.api.care import snoozed_until_change
from sungaze.api.parts import LARGEST_ID, GivenParts, Id, Parts
from sungaze.api.shapes import (
    CareOut,
    DismissIn,
    MergeIn,
    PlaceList,
    PlaceOut,
    PlacePatch,
    PlaceSite,
    ProposalList,
    ProposalOut,
    UndoMergeIn,
)
from sungaze.checks.matching import SiteFacts, propose
from sungaze.errors import NotFound
from sungaze.jobs.connect import BadRequest
from sungaze.model import DAY_S, SITE_DEVICE_ID, Role, Span
from sungaze.store.fleet import SiteRow
from sungaze.store.places import PlaceRow
from sungaze.vendors import connector

MOST_TEXT: Final = 2_000
DAYS_COMPARED: Final = 35
STEEPEST: Final = 90


@get("/api/places", operation_id="listPlaces", sync_to_thread=True)
def list_places(parts: GivenParts) -> PlaceList:
    """Every place and its sites."""
    sites = {site.id: site for site in parts.context.store.fleet.sites()}
    care = parts.board.care(None)
    return PlaceList([_place_out(row, sites, care[row.id]) for row in parts.context.store.places.places()])


@get("/api/places/{place_id:int}", operation_id="getPlace", sync_to_thread=True)
def get_place(parts: GivenParts, place_id: Id) -> PlaceOut:
    """One place, with all its sites."""
    return _one(parts, place_id)


@get("/api/places/proposals", operation_id="listProposals", sync_to_thread=True)
def list_proposals(parts: GivenParts) -> ProposalList:
    """Sites of different vendors that may be one roof: by inverter serial, address, position, or their days' energy.

    Those that the user dismissed come last and say so.
    """
    sites = {site.id: site for site in parts.context.store.fleet.sites()}
    found = propose([_facts(parts, site) for site in sites.values()])
    pairs = [(sites[proposal.first], sites[proposal.second], proposal.evidence) for proposal in found]
    apart = parts.context.store.places.dismissed()
    items = [
        ProposalOut([_place_site(a), _place_site(b)], [a.place_id, b.place_id], list(why), (a.id, b.id) in apart)
        for a, b, why in pairs
    ]
    return ProposalList(sorted(items, key=lambda item: item.dismissed))


@post("/api/places/proposals/dismiss", operation_id="dismissProposal", status_code=204, sync_to_thread=True)
def dismiss_proposal(parts: GivenParts, data: JSONBody[DismissIn]) -> None:
    """Two sites are not one roof, or may be after all."""
    if len(set(data.sites)) != 2 or any(not 0 <= site_id <= LARGEST_ID for site_id in data.sites):
        raise BadRequest("A proposal is of two sites, named by their ids; nothing was changed.")
    store = parts.context.store
    first, second = (store.fleet.site(site_id).id for site_id in data.sites)
    store.places.dismiss(first, second, data.dismissed, parts.context.now())
    parts.context.events.publish("sites", (first, second))


@patch("/api/places/{place_id:int}", operation_id="updatePlace", sync_to_thread=True)
def update_place(parts: GivenParts, place_id: Id, data: JSONBody[PlacePatch]) -> PlaceOut:
    """Write on the place's sheet; its tilt is written on each of its sites."""
    values: dict[str, Any] = {n: v for n, v in msgspec.structs.asdict(data).items() if v is not msgspec.UNSET}
    for name, value in values.items():
        if isinstance(value, str):
            if len(value) > MOST_TEXT:
                raise BadRequest(f"{name} may have {MOST_TEXT} characters at most; nothing was changed.")
            values[name] = value.strip() or None
    if "name" in values and not values["name"]:
        raise BadRequest("A place needs a name; nothing was changed.")
    day = values.get("permission_to_operate_on")
    if day is not None and not is_date(day):
        raise BadRequest(f"“{day[:60]}” is no date; write it as 2026-11-24. Nothing was changed.")
    tilt = values.pop("tilt", msgspec.UNSET)
    if tilt is not msgspec.UNSET and tilt is not None and not 0 <= tilt <= STEEPEST:
        raise BadRequest(f"tilt has to lie between 0 and {STEEPEST} degrees; nothing was changed.")
    store = parts.context.store
    with store.database.transaction(durable=True):
        store.places.change(place_id, values)
        if tilt is not msgspec.UNSET:
            for site_id, _ in store.places.place(place_id).sites:
                store.fleet.set_by_user(site_id, {"tilt": tilt}, parts.context.now())
    return _changed(parts, place_id)


@post("/api/places/{place_id:int}/merge", operation_id="mergePlaces", status_code=200, sync_to_thread=True)
def merge_places(parts: GivenParts, place_id: Id, data: JSONBody[MergeIn]) -> PlaceOut:
    """Make two places one; each roof counts once from here on. A site's `place: null` takes it apart again."""
    if data.place == place_id or not 0 <= data.place <= LARGEST_ID:
        raise BadRequest("A place is merged with another one, named by its id.")
    rested = [place for place, care in parts.board.care([place_id, data.place]).items() if care.until_change]
    parts.context.store.places.merge(place_id, data.place, role_of(data.role), parts.context.now(), rested)
    kept = parts.context.store.care.of_places([place_id])[place_id]
    if rested and kept.snoozed_until is None:
        # The merge is the user's own doing and no news of the roof: what rested goes on resting.
        parts.context.store.care.change(place_id, snoozed_until_change(parts, place_id), parts.context.now())
    return _changed(parts, place_id)


@post("/api/places/{place_id:int}/merge/undo", operation_id="undoMerge", status_code=200, sync_to_thread=True)
def undo_merge(parts: GivenParts, place_id: Id, data: JSONBody[UndoMergeIn]) -> PlaceOut:
    """Take a merge of the last day back: the place that comes back has its sites, sheet, care and notes again."""
    if not 0 <= data.place <= LARGEST_ID:
        raise NotFound("There is no such place.")
    store, now = parts.context.store, parts.context.now()
    came = store.places.unmerge(place_id, data.place, now)
    parts.board.refresh()
    for place in came.resting:
        # As in a merge: what rested goes on resting, from its own state on.
        store.care.change(place, snoozed_until_change(parts, place), now)
    _changed(parts, place_id)
    return _changed(parts, came.place_id)


def role_of(text: str) -> Role:
    """The role of that name. Raises BadRequest."""
    try:
        return Role(text)
    except ValueError:
        raise BadRequest(f"There is no role “{text}”; there is {', '.join(Role)}.") from None


def is_date(text: str) -> bool:
    """Whether a text is a date as it is kept: 2026-11-24."""
    try:
        return dt.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _changed(parts: Parts, place_id: int) -> PlaceOut:
    parts.board.refresh()
    found = _one(parts, place_id)
    parts.context.events.publish("sites", [site.id for site in found.sites])
    return found


def _one(parts: Parts, place_id: int) -> PlaceOut:
    store = parts.context.store
    row = store.places.place(place_id)
    sites = store.fleet.sites([site_id for site_id, _ in row.sites], archived=True)
    return _place_out(row, {site.id: site for site in sites}, parts.board.care([place_id])[place_id])


def _place_out(row: PlaceRow, sites: dict[int, SiteRow], care: CareOut) -> PlaceOut:
    mine = [sites[site_id] for site_id, _ in row.sites if site_id in sites]
    peaks = [s.peak_power_kw for s in mine if s.peak_power_kw is not None and s.role != Role.SAME_GENERATION]
    sheet = {name: value for name, value in msgspec.structs.asdict(row).items() if name != "sites"}
    tilts = {site.tilt for site in mine}
    return PlaceOut(
        **sheet,
        peak_power_kw=sum(peaks) if peaks else None,
        tilt=tilts.pop() if len(tilts) == 1 else None,
        care=care,
        sites=[_place_site(site) for site in mine],
    )


def _place_site(site: SiteRow) -> PlaceSite:
    return PlaceSite(site.id, site.name, site.vendor, site.vendor_site_id, site.role, site.peak_power_kw)


def _facts(parts: Parts, site: SiteRow) -> SiteFacts:
    store, now = parts.context.store, int(parts.context.now())
    metric = connector(site.vendor).vendor.energy_metric
    tz = clock.zone(site.timezone)
    days: dict[str, float] = {}
    if tz is not None:
        span = Span(now - DAYS_COMPARED * DAY_S, now - DAY_S)
        rows = store.timeseries.read(site.id, SITE_DEVICE_ID, metric, span, interval_s=DAY_S).rows
        days = {clock.day_of(row[0], tz).isoformat(): row[1] for row in rows}
    return SiteFacts(
        id=site.id,
        vendor=site.vendor,
        place_id=site.place_id,
        name=site.name,
        address=site.address_info,
        latitude=site.latitude,
        longitude=site.longitude,
        exact=site.position_source in {"user", "vendor"},
        serials=frozenset(
            d.serial_number
            for d in store.fleet.devices(site.id)
            if d.serial_number and d.device_type == "inverter" and d.status != "retired"
        ),
        days=days,
    )


ROUTES = [list_places, get_place, list_proposals, dismiss_proposal, update_place, merge_places, undo_merge]
