"""The fleet as a whole: its figures, a day's line of each site, and what changed since the user last looked."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from litestar import get, post
from litestar.params import FromQuery, JSONBody, QueryParameter

from sungaze.api.parts import GivenParts, Parts
from sungaze.api.shapes import (
    ChangeOut,
    ChangesOut,
    FleetOut,
    LookedIn,
    SparklineList,
    SparklineOut,
)
from sungaze.jobs.connect import BadRequest
from sungaze.model import Span
from sungaze.store.memory import LOOKED
from sungaze.vendors import connectors

AWAY_S: Final = 30 * 60
"""So long without a look, and the next one is another visit."""
MOST_CHANGES: Final = 60
SPARK_STEP_S: Final = 1_800
SPARK_STEPS: Final = 48
MOST_SPARKS: Final = 200


class Looked(msgspec.Struct):
    """When the fleet was last looked at, and since when changes are told."""

    at: float
    since: float


@get("/api/fleet", operation_id="getFleet", sync_to_thread=True)
def get_fleet(parts: GivenParts) -> FleetOut:
    """The fleet at one common quarter-hour, today so far, and yesterday complete."""
    return parts.board.fleet()


@get("/api/fleet/sparklines", operation_id="getSparklines", sync_to_thread=True)
def get_sparklines(
    parts: GivenParts,
    ids: Annotated[FromQuery[str], QueryParameter(max_length=4_000, description="Ids of sites, with commas.")],
) -> SparklineList:
    """The last 24 hours of production of some sites, as means of half-hours; null where nothing is known."""
    wanted = [int(part) for part in ids.split(",") if part.isascii() and part.isdigit() and len(part) < 16]
    if len(wanted) > MOST_SPARKS or len(wanted) != ids.count(",") + bool(ids):
        raise BadRequest(f"`ids` are up to {MOST_SPARKS} numbers of sites with commas between them.")
    end = (int(parts.context.now()) // SPARK_STEP_S + 1) * SPARK_STEP_S
    start = end - SPARK_STEPS * SPARK_STEP_S
    metrics = sorted({connector.vendor.power_metric for connector in connectors().values()})
    means = parts.context.store.recent.means(wanted, metrics, Span(start, end), SPARK_STEP_S, moments=True)
    found = {one: [means.get(one, {}).get(step) for step in range(SPARK_STEPS)] for one in dict.fromkeys(wanted)}
    return SparklineList(start, SPARK_STEP_S, [SparklineOut(site_id, values) for site_id, values in found.items()])


@post("/api/fleet/looked", operation_id="lookAtFleet", status_code=200, sync_to_thread=True)
def look_at_fleet(parts: GivenParts, data: JSONBody[LookedIn]) -> ChangesOut:
    """Say that the fleet is looked at, and hear what changed since the visit before; `seen` begins anew from now."""
    now = parts.context.now()
    memory = parts.context.store.memory
    before = memory.get(LOOKED, Looked)
    if before is None or data.seen:
        looked = Looked(now, now)
    else:
        away = now - before.at > AWAY_S
        looked = Looked(max(now, before.at), before.at if away else before.since)
    if before != looked:
        memory.put(LOOKED, looked)
    return _changes(parts, int(looked.since))


def _changes(parts: Parts, since: int) -> ChangesOut:
    database = parts.context.store.database
    began = database.rows(
        "SELECT alert.timestamp, site.id, COALESCE(user_alias, site.name), description, severity FROM alert "
        "JOIN site ON site.id = site_id WHERE alert.timestamp > ? AND resolved_at IS NULL AND archived_at IS NULL "
        "ORDER BY alert.timestamp DESC",
        (since,),
    )
    ended = database.rows(
        "SELECT resolved_at, site.id, COALESCE(user_alias, site.name), description, severity FROM alert "
        "JOIN site ON site.id = site_id WHERE resolved_at > ? AND alert.timestamp <= ? AND archived_at IS NULL "
        "ORDER BY resolved_at DESC",
        (since, since),
    )
    accounts = database.rows(
        "SELECT at, account.label, before, after, flip.reason FROM flip JOIN account ON account.id = subject_id "
        "WHERE subject = 'account' AND what = 'state' AND at > ? AND removed_at IS NULL ORDER BY at DESC",
        (since,),
    )
    added = database.rows(
        "SELECT created_at, id, COALESCE(user_alias, name) FROM site WHERE created_at > ? AND archived_at IS NULL "
        "ORDER BY created_at DESC",
        (since,),
    )
    items = [ChangeOut(at, "began", site_id, name, words) for at, site_id, name, words, _ in began]
    items += [ChangeOut(at, "ended", site_id, name, words) for at, site_id, name, words, _ in ended]
    items += [ChangeOut(at, "account", None, label, after) for at, label, _, after, _ in accounts]
    items += [ChangeOut(at, "added", site_id, name, "") for at, site_id, name in added]
    items.sort(key=lambda change: -change.at)
    return ChangesOut(since, len(began), len(ended), len(accounts), len(added), items[:MOST_CHANGES])


ROUTES = [get_fleet, get_sparklines, look_at_fleet]
