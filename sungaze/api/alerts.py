"""Alarms across the fleet: the vendors' and Sungaze's own, and acknowledging one."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.params import FromQuery, QueryParameter

from sungaze.api.parts import LARGEST_ID, GivenParts, Id, Parts
from sungaze.api.shapes import AlertList, AlertOut
from sungaze.jobs.connect import BadRequest
from sungaze.model import AlertStatus
from sungaze.store.alerts import AlertRow


@get("/api/alerts", operation_id="listAlerts", sync_to_thread=True)
def list_alerts(
    parts: GivenParts,
    site: Annotated[int | None, QueryParameter(ge=0, le=LARGEST_ID, description="One site's id.")] = None,
    status: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
    offset: Annotated[int, QueryParameter(ge=0, le=LARGEST_ID)] = 0,
) -> AlertList:
    """One page of alarms, those that go on first. `status`: open (acknowledged ones too) or resolved."""
    if status not in {None, AlertStatus.OPEN, AlertStatus.RESOLVED}:
        raise BadRequest(f"Alerts are open or resolved, not “{status}”.")
    going_on = None if status is None else status == AlertStatus.OPEN
    rows, total = parts.context.store.alerts.alerts(site_id=site, going_on=going_on, limit=limit, offset=offset)
    return AlertList([_alert_out(parts, row) for row in rows], total)


@post("/api/alerts/{alert_id:int}/acknowledge", operation_id="acknowledgeAlert", status_code=200, sync_to_thread=True)
def acknowledge_alert(parts: GivenParts, alert_id: Id) -> AlertOut:
    """Seen: it stays in the list until it is resolved."""
    row = parts.context.store.alerts.acknowledge(alert_id, parts.context.now())
    if row.site_id is not None:
        parts.context.events.publish("sites", (row.site_id,))
    return _alert_out(parts, row)


def _alert_out(parts: Parts, row: AlertRow) -> AlertOut:
    return AlertOut(
        id=row.id,
        site_id=row.site_id,
        site_name=parts.context.store.fleet.site(row.site_id).name if row.site_id is not None else None,
        account_id=row.account_id,
        device_id=row.device_id,
        timestamp=row.timestamp,
        severity=row.severity,
        code=row.code,
        description=row.description,
        status=row.status,
        source=row.source,
        resolved_at=row.resolved_at,
        acknowledged_at=row.acknowledged_at,
    )


ROUTES = [list_alerts, acknowledge_alert]
