"""Alarms across the fleet: the vendors' and Sungaze's own, and acknowledging them, one or many, and taking it back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

import msgspec
from litestar import delete, get, post
from litestar.params import FromQuery, JSONBody, QueryParameter

from sungaze.api.parts import LARGEST_ID, GivenParts, Id, Parts
from sungaze.api.shapes import AcknowledgeIn, AlertList, AlertOut
from sungaze.jobs.connect import BadRequest
from sungaze.model import Severity
from sungaze.store.alerts import OWN, VENDOR, AlertRow

MOST_AT_ONCE: Final = 5_000
STATES: Final[dict[str, tuple[bool, bool | None]]] = {
    "open": (True, None),
    "unacknowledged": (True, False),
    "acknowledged": (True, True),
    "resolved": (False, None),
}
"""What may be asked for: whether it goes on, and whether it was seen."""


@get("/api/alerts", operation_id="listAlerts", sync_to_thread=True)
def list_alerts(
    parts: GivenParts,
    site: Annotated[int | None, QueryParameter(ge=0, le=LARGEST_ID, description="One site's id.")] = None,
    status: FromQuery[str | None] = None,
    severity: FromQuery[str | None] = None,
    source: Annotated[str | None, QueryParameter(description="vendor or sungaze.")] = None,
    vendor: Annotated[str | None, QueryParameter(max_length=100, description="A vendor's id.")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
    offset: Annotated[int, QueryParameter(ge=0, le=LARGEST_ID)] = 0,
) -> AlertList:
    """One page of alarms, those that go on first. `status`: open (acknowledged ones too), unacknowledged, acknowledged
    or resolved.
    """
    for name, value, known in (
        ("status", status, list(STATES)), ("severity", severity, list(Severity)), ("source", source, [VENDOR, OWN])
    ):  # fmt: skip
        if value is not None and value not in known:
            raise BadRequest(f"The {name} of an alert is not “{value[:60]}”; there is {', '.join(known)}.")
    going_on, acknowledged = (None, None) if status is None else STATES[status]
    rows, total = parts.context.store.alerts.alerts(
        site_id=site, going_on=going_on, acknowledged=acknowledged, severity=severity, source=source, vendor=vendor,
        limit=limit, offset=offset,
    )  # fmt: skip
    return AlertList([_alert_out(row) for row in rows], total)


@post("/api/alerts/{alert_id:int}/acknowledge", operation_id="acknowledgeAlert", status_code=200, sync_to_thread=True)
def acknowledge_alert(parts: GivenParts, alert_id: Id) -> AlertOut:
    """Seen: it stays in the list until it is resolved."""
    return _see(parts, [alert_id], True)[0]


@delete("/api/alerts/{alert_id:int}/acknowledge", operation_id="takeBackAlert", status_code=200, sync_to_thread=True)
def take_back_alert(parts: GivenParts, alert_id: Id) -> AlertOut:
    """Not seen after all: it counts as open again. A resolved one stays as it is."""
    return _see(parts, [alert_id], False)[0]


@post("/api/alerts/acknowledge", operation_id="acknowledgeAlerts", status_code=200, sync_to_thread=True)
def acknowledge_alerts(parts: GivenParts, data: JSONBody[AcknowledgeIn]) -> AlertList:
    """Many at once, all of them or, where one is not there, none."""
    if len(data.alerts) > MOST_AT_ONCE or any(not 0 <= alert_id <= LARGEST_ID for alert_id in data.alerts):
        raise BadRequest(f"At most {MOST_AT_ONCE} alerts at once, named by their ids; nothing was changed.")
    found = _see(parts, data.alerts, data.seen)
    return AlertList(found, len(found))


def _see(parts: Parts, alert_ids: Iterable[int], seen: bool) -> list[AlertOut]:
    rows = parts.context.store.alerts.acknowledge_all(alert_ids, seen, parts.context.now())
    sites = {row.site_id for row in rows if row.site_id is not None}
    accounts = {row.account_id for row in rows if row.account_id is not None}
    if sites:
        parts.context.events.publish("sites", sorted(sites))
    if accounts:
        parts.context.events.publish("accounts", sorted(accounts))
    return [_alert_out(row) for row in rows]


def _alert_out(row: AlertRow) -> AlertOut:
    values = msgspec.structs.asdict(row)
    del values["vendor_alert_id"]
    return AlertOut(**values)


ROUTES = [list_alerts, acknowledge_alert, take_back_alert, acknowledge_alerts]
