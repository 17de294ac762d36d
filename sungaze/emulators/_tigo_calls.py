"""Tigo's JSON answers as functions of a view (sections 2.1 to 2.7 and 2.10)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sungaze.emulators._hash import between
from sungaze.emulators._service import Request
from sungaze.emulators._tigo_ask import Refused, choice, required, whole
from sungaze.emulators._tigo_site import Alert, Part, SystemView

if TYPE_CHECKING:
    from sungaze.emulators.tigo import Tigo

PER_PAGE = 50
"""Also the most that `limit` gives, as in the framework whose defaults the answers have [assumed]."""
OBJECT_TYPES = ((1, "System"), (2, "Panel"), (3, "String"), (4, "Inverter"), (44, "CCA"))
INCLUDES = frozenset({"inverters", "mppts", "strings", "panels", "meters", "objects", "images", "sources"})
PV_OFF_ID = 1010
"""Not confirmed live (section 2.7), so that a client has to match the title too."""
ALERT_TYPES = (
    (1, 106, "Tigo Alert: String Shutdown", "A string has been shut down."),
    (2, 300, "Tigo Alert: Low Production on Module", "A module produces less than its neighbours."),
    (3, 301, "Tigo Alert: Low Production on String", "A string produces less than its neighbours."),
    (4, 1000, "Tigo Alert: Inverter Fault", "A Tigo inverter reports a fault."),
    (5, PV_OFF_ID, "Tigo Alert: System Shutdown", "PV-Off is active."),
    (6, 200, "Tigo Alert: System Not Reporting", "No data has been received."),
    (7, 201, "Tigo Alert: Gateway Offline", "A gateway has not been heard."),
    (8, 302, "Tigo Alert: Module Not Reporting", "A module has not been heard."),
    (9, 400, "Tigo Alert: Meter Offline", "A meter has not been heard."),
)
LANGUAGES = ("DE", "EL", "EN", "ES", "FR", "IT", "JP", "KO")


def page_of(request: Request, name: str, rows: list[Any], path: str) -> dict[str, Any]:
    """Return one page of a list with `_meta` and `_links`; a page beyond the last is the last [assumed]."""
    number = max(1, whole(request.first("page") or "1", "page"))
    size = min(PER_PAGE, max(1, whole(request.first("limit") or str(PER_PAGE), "limit")))
    pages = max(1, -(-len(rows) // size))
    number = min(number, pages)
    return {
        name: rows[(number - 1) * size : number * size],
        "_links": {"self": {"href": f"https://api2.tigoenergy.com{path}?page={number}&limit={size}"}},
        "_meta": {"totalCount": len(rows), "pageCount": pages, "currentPage": number, "perPage": size},
    }


def systems(server: Tigo, request: Request) -> object:
    """Return a page of the systems by ascending id; `-system_id` turns it round."""
    order = choice(request, "sort", ("system_id", "-system_id", "name"), "system_id")
    views = sorted(server.views(), key=lambda view: view.plan.name if order == "name" else view.system_id)
    rows = [system_row(server, view, listed=True) for view in views[:: -1 if order[0] == "-" else 1]]
    return page_of(request, "systems", rows, request.path)


def system(server: Tigo, request: Request, view: SystemView) -> object:
    """Return one system, with what `include` names beside it."""
    row = system_row(server, view, listed=False)
    for name in (request.first("include") or "").split(","):
        if name and name not in INCLUDES:
            raise Refused(400, f"include must be one of the following values: {', '.join(sorted(INCLUDES))}")
        if name == "sources":
            row["sources"] = _sources(server, view)
        elif name == "objects":
            row["objects"] = _objects(view)
        elif name:
            row[name] = _side(view, name)
    return {"system": row}


def system_row(server: Tigo, view: SystemView, *, listed: bool) -> dict[str, Any]:
    """Return a system's own fields; the list lacks the zone of every second system (trap of section 2.2)."""
    plan = view.plan
    turned_on: str | None = plan.installed_on.isoformat()
    if server.faults.strikes("turn_on_null"):
        turned_on = "null"
    row = {
        "system_id": view.system_id,
        "created": datetime.fromtimestamp(plan.installed_at - 9 * 86_400, plan.zone).isoformat(),
        "name": plan.name,
        "external_id": None,
        "street": plan.street,
        "city": plan.town.city,
        "state": plan.town.state,
        "zip": int(plan.town.postal_code) if plan.town.postal_code.isdigit() and plan.k % 2 else plan.town.postal_code,
        "country": plan.town.country_name,
        "country_code": plan.town.country,
        "latitude": f"{plan.latitude:.6f}" if plan.k % 2 == 0 else plan.latitude,
        "longitude": f"{plan.longitude:.6f}" if plan.k % 2 == 0 else plan.longitude,
        "timezone": plan.town.zone,
        "turn_on_date": turned_on,
        "power_rating": plan.peak_w,
        "power_rating_ac": int(plan.limit_w.sum()),
        "commissioned": view.iso(plan.installed_at + 86_400),
        "decommissioned": None,
        "status": "Active",
        "has_monitored_modules": True,
        "recent_alerts_count": sum(1 for alert in server.alerts(view) if not alert.archived),
        "company": "Example Solar",
        "contact_name": "Site Contact",
    }
    if (listed and plan.k % 2 == 1) or server.faults.strikes("no_timezone"):
        del row["timezone"]
    return row


def layout(server: Tigo, request: Request, view: SystemView) -> object:
    """Return inverters, MPPTs, strings and panels."""
    return {"system": {"system_id": view.system_id, "inverters": _inverters(view)}}


def _inverters(view: SystemView) -> list[dict[str, Any]]:
    strings = view.strings()
    found = []
    for number in range(len(view.plan.limit_w)):
        serial = view.inverter_serial(number)
        own = [part for part in strings if part.inverter == number]
        found.append(
            {
                "inverter_id": view.base + 10 + number,
                "inverter_type_id": 22,
                "label": f"Inverter {number + 1}",
                "object_id": view.inverter_object_id(number),
                "source_id": view.source_id(number),
                "inverter_serial": serial,
                "serial": serial,
                "mppts": [_mppt(view, part, n) for n, part in enumerate(own)],
            }
        )
    return found


def _mppt(view: SystemView, part: Part, number: int) -> dict[str, Any]:
    panels = [
        {
            "panel_id": 700_000 + view.base + panel,
            "label": view.panel_label(part, panel),
            "short_label": place + 1,
            "serial": view.optimizer_serial(panel),
            "type": "TS4-A-O",
            "source_id": view.source_id(view.source_of(panel)),
            "object_id": view.base + 1_000 + panel,
            "panel_type_id": 66,
        }
        for place, panel in enumerate(part.panels)
    ]
    string = {
        "string_id": part.string_id,
        "label": f"String {part.label}",
        "short_label": part.label,
        "object_id": part.object_id,
        "panels": panels,
    }
    return {"mppt_id": 900_000 + part.string_id, "label": f"MPPT {number + 1}", "strings": [string]}


def _side(view: SystemView, name: str) -> list[Any]:
    """Return a side-loaded list without what hangs below it."""
    inverters = _inverters(view)
    mppts = [mppt for inverter in inverters for mppt in inverter.pop("mppts")]
    strings = [string for mppt in mppts for string in mppt.pop("strings")]
    panels = [panel for string in strings for panel in string.pop("panels")]
    lists: dict[str, list[Any]] = {"inverters": inverters, "mppts": mppts, "strings": strings, "panels": panels}
    return lists.get(name, [])


def objects(server: Tigo, request: Request, view: SystemView) -> object:
    """Return the drawing: every object with its place."""
    return {"objects": _objects(view)}


def _objects(view: SystemView) -> list[dict[str, Any]]:
    plan, strings = view.plan, view.strings()
    inverters = range(len(plan.limit_w))
    rows = [_object(view.base, plan.name, 1, -1, [view.inverter_object_id(n) for n in inverters])]
    rows[0]["children"] += [view.base + 50 + n for n in inverters]
    for n in inverters:
        own = [part.object_id for part in strings if part.inverter == n]
        ui = {"X": 40.0, "Y": 40.0 + 400 * n, "Label": f"Inverter {n + 1}"}
        rows.append(_object(view.inverter_object_id(n), f"Inverter {n + 1}", 4, view.base, own, ui))
        rows.append(_object(view.base + 50 + n, f"CCA {n + 1}", 44, view.base, []))
    for line, part in enumerate(strings):
        below = [view.base + 1_000 + panel for panel in part.panels]
        ui = {"X1": 100.0, "Y1": 100.0 * line, "X2": 100.0 + 62 * len(below), "Y2": 100.0 * line + 90}
        above = view.inverter_object_id(part.inverter)
        rows.append(_object(part.object_id, f"String {part.label}", 3, above, below, ui))
        for place, panel in enumerate(part.panels):
            label = view.panel_label(part, panel)
            drawn = {"X": 100.0 + 62.0 * place, "Y": 100.0 * line, "MP": plan.panel_peak_w, "Label": label, "DR": 1,
                     "Z": 1.0}  # fmt: skip
            source = f"{view.source_serial(view.source_of(panel))}.panels.{label}"
            rows.append(_object(view.base + 1_000 + panel, label, 2, part.object_id, [], drawn, source))
    return rows


def _object(
    number: int, label: str, kind: int, parent: int, children: list[int], ui: dict[str, Any] | None = None,
    source: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "id": number, "label": label, "object_type_id": kind, "parent_id": parent, "datasource": source,
        "children": children, "ui": ui or {},
    }  # fmt: skip


def object_types(server: Tigo, request: Request) -> object:
    """Return the types of objects."""
    return {"object_types": [{"object_type_id": number, "label": label} for number, label in OBJECT_TYPES]}


def sources(server: Tigo, request: Request, view: SystemView) -> object:
    """Return the gateways."""
    return {"sources": _sources(server, view)}


def _sources(server: Tigo, view: SystemView) -> list[dict[str, Any]]:
    plan, held = view.plan, view.held_until
    yesterday = plan.midnight(plan.local_date(held)) - 86_400
    off = server.faults.strikes("pv_off")
    return [
        {
            "source_id": view.source_id(n),
            "name": "Primary CCA" if n == 0 else f"CCA {n + 1}",
            "serial": view.source_serial(n),
            "gateway_count": 1,
            "created_on": view.iso(plan.installed_at),
            "control_state": "off" if off else "on",
            "last_checkin": view.iso(view.last_checkin(n)),
            "timezone": plan.town.zone,
            "sw_version": "4.0.1-ct",
            "sets": [
                {
                    "set_name": "panels_avg",
                    "last_raw": view.iso(held - 300),
                    "last_min": view.iso(held),
                    "last_day": view.iso(yesterday),
                }
            ],
            "system_id": view.system_id,
            "object_id": view.base + 50 + n,
            "panel_count": int((plan.inverter == n).sum()),
            "unit_type_id": 8,
            "is_discovery_complete": True,
        }
        for n in range(view.sources)
    ]


def summary(server: Tigo, request: Request, view: SystemView) -> object:
    """Return energy and power, all of the DC side; under the fault `nulls` by turns each or all of it null."""
    plan, held = view.plan, view.held_until
    today = plan.local_date(held)
    values: dict[str, Any] = {
        "lifetime_energy_dc": round(view.energy_wh(plan.installed_on), 2),
        "ytd_energy_dc": round(view.energy_wh(max(plan.installed_on, today.replace(month=1, day=1))), 2),
        "daily_energy_dc": round(view.energy_wh(today), 2),
        "last_power_dc": round(view.latest_w()),
        "updated_on": view.iso(held, ".000"),
    }
    if server.faults.strikes("nulls"):
        turn = server.faults.turn("nulls") % (len(values) + 1)
        for n, name in enumerate(values):
            if turn in (0, n + 1):
                values[name] = None
    return {"summary": values}


def alerts(server: Tigo, request: Request, view: SystemView) -> object:
    """Return a page of a system's alerts, newest first, between `start_added` and `end_added`."""
    choice(request, "language", LANGUAGES, "EN")
    begin, end = request.first("start_added"), request.first("end_added")
    kept = []
    for alert in server.alerts(view):
        added = datetime.fromtimestamp(_added(alert), view.plan.zone).strftime("%Y-%m-%dT%H:%M:%S")
        if (begin is None or added >= begin) and (end is None or added <= end):
            kept.append(_alert_row(view, alert))
    return page_of(request, "alerts", kept, request.path)


def _added(alert: Alert) -> int:
    return alert.start + between(20, 120, "added", alert.alert_id)


def _alert_row(view: SystemView, alert: Alert) -> dict[str, Any]:
    return {
        "alert_id": alert.alert_id,
        "added": view.iso(_added(alert)),
        "generated": view.iso(alert.start),
        "system_id": view.system_id,
        "unique_id": alert.unique_id,
        "title": alert.title,
        "message": alert.message,
        "description": alert.description,
        "archived": alert.archived,
    }


def alert_types(server: Tigo, request: Request) -> object:
    """Return the nine types of alerts."""
    choice(request, "language", LANGUAGES, "EN")
    names = ("alert_type_id", "unique_id", "title", "description")
    return {"alert_types": [dict(zip(names, row, strict=True)) for row in ALERT_TYPES]}


def user(server: Tigo, request: Request, user_id: str) -> object:
    """Return the account's own user; 403 for anybody else."""
    if whole(user_id, "id") != server.user_id:
        raise Refused(403, "You are not allowed to perform this action.")
    row = dict.fromkeys(("street", "street2", "city", "state", "zip", "country", "mobile", "avatar"))
    return {
        "user": {
            "user_id": server.user_id, "login": server.credentials["username"], "first_name": "Invented",
            "last_name": "Installer", "email": server.credentials["username"], "company": "Example Solar", **row,
            "user_type": "Installer",
        }
    }  # fmt: skip


def asked_id(request: Request, name: str) -> str:
    """Return the parameter that names what is asked; refuses with 400 when it is missing."""
    return required(request, name)
