"""Enphase's lists, inventory, current values and alarms (vendors/enphase.md 3.1 to 3.3, 3.6, 3.7)."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sungaze.emulators._enphase_ask import Refused, local_day, ordered, page_of, whole_number
from sungaze.emulators._enphase_series import (
    all_micros,
    battery,
    consumption_meter,
    energy_lifetime,
    grid_telemetry,
    meter_readings,
    one_encharge,
    one_micro,
    other_lifetime,
    production_meter,
    production_micro,
)
from sungaze.emulators._enphase_site import (
    GATEWAY_SILENT,
    MICRO_MODELS,
    MICRO_SILENT,
    Incident,
    SystemView,
    micro_serial,
)
from sungaze.emulators._service import Request

if TYPE_CHECKING:
    from sungaze.emulators.enphase import Enphase

__all__ = [
    "Refused",
    "all_micros",
    "battery",
    "consumption_meter",
    "devices",
    "energy_lifetime",
    "event_types",
    "grid_telemetry",
    "inverters_summary",
    "latest_telemetry",
    "meter_readings",
    "one_encharge",
    "one_micro",
    "open_incidents",
    "other_lifetime",
    "past_incidents",
    "production_meter",
    "production_micro",
    "search",
    "summary",
    "system",
    "systems",
    "without_optional",
]

WEEK_S = 7 * 86_400
OLDEST_EVENT_S = 274 * 86_400
ALARM_DELAY_S = 900
SEVERITY = {GATEWAY_SILENT: 2, MICRO_SILENT: 3}
OPTIONAL = frozenset(
    {
        "last_report_at",
        "last_energy_at",
        "operational_at",
        "last_interval_end_at",
        "timezone",
        "city",
        "state",
        "country",
        "postal_code",
        "interconnect_date",
        "sku",
    }
)
EVENT_TYPES = [
    {
        "event_type_id": GATEWAY_SILENT,
        "event_type_key": "envoy_no_report",
        "stateful": True,
        "event_name": "Gateway not reporting",
        "event_description": "The gateway has stopped reporting.",
        "recommended_action": "Check the gateway's power and its connection.",
    },
    {
        "event_type_id": MICRO_SILENT,
        "event_type_key": "pcu_no_report",
        "stateful": True,
        "event_name": "Microinverter not reporting",
        "event_description": "A microinverter has stopped reporting to its gateway.",
        "recommended_action": "Check the microinverter's connection.",
    },
]


def without_optional(value: Any) -> Any:
    """Return the answer with null wherever the vendor is known to leave one (fault nulls)."""
    if isinstance(value, dict):
        return {name: None if name in OPTIONAL else without_optional(item) for name, item in value.items()}
    return [without_optional(item) for item in value] if isinstance(value, list) else value


def _listed(view: SystemView) -> dict[str, object]:
    plan, town = view.plan, view.plan.town
    built = plan.installed_on + timedelta(days=plan.pick(5, 40, "interconnect"))
    item: dict[str, object] = {
        "system_id": view.system_id,
        "name": plan.name,
        "public_name": "Residential System",
        "timezone": view.timezone,
        "address": {
            "city": town.city,
            "state": town.state,
            "country": town.country,
            "postal_code": town.postal_code if plan.k % 7 != 6 else None,
        },
        "connection_type": view.connection_type,
        "energy_lifetime": -1,
        "energy_today": -1,
        "system_size": -1,
        "status": view.status,
        "last_report_at": view.uploaded_at,
        "last_energy_at": view.last_energy_at(),
        "operational_at": plan.installed_at,
        "attachment_type": "rack_mount",
        "interconnect_date": built.isoformat() if plan.k % 2 else None,
    }
    if _reference(view):
        item["reference"] = _reference(view)
        item["other_references"] = [f"X{plan.k}"]
    return item


def _reference(view: SystemView) -> str | None:
    return f"A-{200 + view.plan.k}" if view.plan.k % 3 == 1 else None


def _paged(views: list[SystemView], page: int, size: int) -> dict[str, object]:
    rows = [_listed(view) for view in views[(page - 1) * size : page * size]]
    head = {"total": len(views), "current_page": page, "size": size, "count": len(rows)}
    return {**head, "items": "systems", "systems": rows}


def systems(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return a page of the account's systems; energy and size are -1 since July 2023."""
    page, size = page_of(request, 100)
    return _paged(ordered(request, server.views(), request.first("sort_by") or None), page, size)


def system(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return one system as the list shows it."""
    return _listed(server.view(match["id"]))


def search(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return a page of the systems that fit; name and reference match any part, case aside [assumed]."""
    page, size = page_of(request, 1000)
    try:
        asked = json.loads(request.body)
    except ValueError:
        raise Refused(422, "The body should be JSON") from None
    wanted = asked.get("system") if isinstance(asked, dict) else None
    if not isinstance(wanted, dict):
        raise Refused(422, "system is required")
    unknown = set(asked) - {"sort_by", "system"} | set(wanted) - {"ids", "name", "reference", "statuses"}
    if unknown:
        raise Refused(422, f"Unknown parameter {min(unknown)}")
    for name, kind in (("ids", list), ("name", str), ("reference", str), ("statuses", list)):
        if name in wanted and not isinstance(wanted[name], kind):
            raise Refused(422, f"{name} has the wrong type")
    found = [
        view
        for view in server.views()
        if ("ids" not in wanted or view.system_id in wanted["ids"])
        and wanted.get("name", "").lower() in view.plan.name.lower()
        and wanted.get("reference", "").lower() in (_reference(view) or "").lower()
        and ("statuses" not in wanted or view.status in wanted["statuses"])
    ]
    return _paged(ordered(request, found, asked.get("sort_by")), page, size)


def summary(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return a system's summary; `energy_lifetime` ends the day before, and a past date has no size or power.

    [assumed]: a date in the future is 422, one before the system existed has no energy; `current_power` stays
    that of the last interval after sunset (7).
    """
    view = server.view(match["id"])
    day = local_day(request, "summary_date") or view.today
    if day > view.today:
        raise Refused(422, "summary_date is in the future")
    newest, is_today = view.last_interval(), day == view.today
    energy = view.day_wh(view.plan.installed_on, day)
    existed = day >= view.plan.installed_on
    return {
        "system_id": view.system_id,
        "current_power": round(newest[2]) if newest and is_today else 0,
        "energy_lifetime": sum(energy[:-1]) if existed else 0,
        "energy_today": energy[-1] if existed else 0,
        "last_interval_end_at": view.last_energy_at(),
        "last_report_at": view.uploaded_at,
        "modules": view.plan.panels if is_today else 0,
        "operational_at": view.plan.installed_at,
        "size_w": view.plan.peak_w if is_today else 0,
        "nmi": "",
        "source": "meter" if view.has_meter else "microinverters",
        "status": view.status,
        "summary_date": day.isoformat(),
        "battery_charge_w": 0,
        "battery_discharge_w": 0,
        "battery_capacity_wh": 0,
    }


def _micro_model(view: SystemView) -> tuple[str, str, str]:
    ratio = view.plan.limit_w[0] / view.plan.panel_peak_w
    return MICRO_MODELS[min(MICRO_MODELS, key=lambda known: abs(known - ratio))]


def devices(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return the active devices by group, empty groups left out; two meters share their numeric id."""
    view = server.view(match["id"])
    sku, model, part = _micro_model(view)
    newest = view.last_interval()
    micros: list[dict[str, object]] = []
    for panel in range(view.plan.panels):
        serial = micro_serial(view.plan, panel)
        heard = int(newest[0][panel]) if newest else 0
        micros.append(
            {
                "id": view.first_device_id + panel,
                "last_report_at": view.dead_since(panel) or heard or None,
                "name": f"Microinverter {serial}",
                "serial_number": serial,
                "part_number": part,
                "sku": sku,
                "model": model,
                "status": "micro" if view.dead_since(panel) else "normal",
                "active": True,
                "product_name": model,
            }
        )
    groups: dict[str, list[dict[str, object]]] = {"micros": micros}
    if view.has_meter:
        groups["meters"] = [_meter(view, 1, "production"), _meter(view, 2, "consumption")]
    groups["gateways"] = [_gateway(view)]
    total = sum(len(group) for group in groups.values())
    return {"system_id": view.system_id, "total_devices": total, "items": "devices", "devices": groups}


def _meter(view: SystemView, number: int, name: str) -> dict[str, object]:
    return {
        "id": view.first_device_id + 9000,
        "last_report_at": view.uploaded_at,
        "name": name,
        "serial_number": f"{view.gateway_serial}EIM{number}",
        "part_number": "800-00655-r09",
        "sku": None,
        "model": "IQ Envoy",
        "status": "normal",
        "active": True,
        "state": "enabled",
        "config_type": "Production" if name == "production" else "Net",
        "product_name": "IQ Gateway",
    }


def _gateway(view: SystemView) -> dict[str, object]:
    gateway: dict[str, object] = {
        "id": view.first_device_id + 9001,
        "last_report_at": view.uploaded_at,
        "name": f"Gateway {view.gateway_serial}",
        "serial_number": view.gateway_serial,
        "part_number": "800-00655-r09",
        "emu_sw_version": ("D8.2.4264", "D7.6.175", "D8.3.5167")[view.plan.k % 3],
        "sku": "ENV-IQ-AM1-240",
        "model": "IQ Gateway",
        "status": "comm" if view.is_silent else "normal",
        "active": True,
        "product_name": "IQ Gateway",
    }
    if view.is_cellular:
        begins = view.plan.installed_on
        gateway["cellular_modem"] = {
            "imei": f"35{view.plan.k:013d}",
            "part_num": "860-00157",
            "sku": "CELLMODEM-M1-06",
            "plan_start_date": begins.isoformat(),
            "plan_end_date": begins.replace(year=begins.year + 5, day=min(begins.day, 28)).isoformat(),
        }
    return gateway


def latest_telemetry(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return the meters' newest power, W; an empty list without meters, null power once 7 days old."""
    view = server.view(match["id"])
    meters: list[dict[str, object]] = []
    if view.has_meter:
        _, produced, consumed = view.quarters(view.uploaded_at - 1800, view.uploaded_at)
        fresh = view.now - view.uploaded_at < WEEK_S and len(produced)
        for name, energy in (("production", produced), ("consumption", consumed)):
            power = round(float(energy[-1]) * 4) if fresh else None
            meter = {"id": view.first_device_id + 9000, "name": name, "channel": 1}
            meters.append({**meter, "last_report_at": view.uploaded_at, "power": power})
    return {"system_id": view.system_id, "items": "devices", "devices": {"meters": meters, "encharges": []}}


def inverters_summary(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return lifetime Wh and last W per microinverter, a page of them, in an array with one element.

    [assumed]: `last_report_date` is an epoch like every other time; the page counts microinverters.
    """
    page, size = page_of(request, 100)
    site_id, serial = request.first("site_id"), request.first("envoy_serial_number")
    if site_id:
        if not re.fullmatch(r"\d{1,18}", site_id):
            raise Refused(422, "site_id should be an integer")
        view = server.view(site_id)
    elif serial:
        owners = [view for view in server.views() if view.gateway_serial == serial]
        if not owners:
            raise Refused(404, f'Envoy not found for {{:serial_num=>"{serial}"}}')
        view = owners[0]
    else:
        raise Refused(422, "site_id or envoy_serial_number is required")
    sku, model, part = _micro_model(view)
    lifetime = view.panel_wh(view.plan.installed_on, view.today).sum(axis=0)
    newest = view.last_interval()
    micros: list[dict[str, object]] = []
    for panel in range((page - 1) * size, min(page * size, view.plan.panels)):
        dead_since = view.dead_since(panel)
        heard = dead_since or (int(newest[0][panel]) if newest else 0) or None
        power = round(float(newest[1][panel])) if newest else 0
        micros.append(
            {
                "id": view.first_device_id + panel,
                "serial_number": micro_serial(view.plan, panel),
                "model": model,
                "part_number": part,
                "sku": sku,
                "status": "micro" if dead_since else "normal",
                "power_produced": {"value": power, "units": "W", "precision": 0},
                "proc_load": "521-00005-r00-v04.22.01",
                "param_table": "540-00242-r01-v04.22.09",
                "envoy_serial_number": view.gateway_serial,
                "energy": {"value": round(float(lifetime[panel])), "units": "Wh", "precision": 0},
                "grid_profile": "invented:profile-1",
                "last_report_date": heard,
            }
        )
    return [{"signal_strength": 5 - view.plan.k % 3, "micro_inverters": micros}]


def event_types(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return the dictionary of event types; only 28 is the vendor's own number, the other is invented."""
    wanted = whole_number(request, "event_type_id")
    known = [kind for kind in EVENT_TYPES if wanted in (None, kind["event_type_id"])]
    if not known:
        raise Refused(404, f"Event type not found for {{:id=>{wanted}}}")
    return {"event_types": known}


def _alarm_start(incident: Incident) -> int:
    return incident.start + ALARM_DELAY_S


def _event(incident: Incident) -> dict[str, object]:
    return {
        "status": "Open" if incident.end is None else "Closed",
        "event_type_id": incident.type_id,
        "event_start_time": incident.start,
        "event_end_time": incident.end,
        "serial_number": incident.serial,
    }


def _alarm(view: SystemView, incident: Incident) -> dict[str, object]:
    start = _alarm_start(incident)
    event = {"serial_number": incident.serial, "start_date": incident.start, "end_date": incident.end}
    return {
        "id": f"{view.system_id}.{incident.type_id}.{start * 1000 + int(incident.serial) % 1000}",
        "event_type_id": incident.type_id,
        "cleared": incident.end is not None,
        "severity": SEVERITY[incident.type_id],
        "alarm_start_time": start,
        "alarm_end_time": incident.end,
        "events": [event],
    }


def open_incidents(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return open events, or open alarms; an alarm follows its event after a quarter of an hour."""
    view = server.view(match["id"])
    current = [incident for incident in view.incidents() if incident.end is None]
    if match["what"] == "events":
        return {"system_id": view.system_id, "events": [_event(incident) for incident in current]}
    raised = [incident for incident in current if _alarm_start(incident) <= view.now]
    return {"system_id": view.system_id, "alarms": [_alarm(view, incident) for incident in raised]}


def past_incidents(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return events or alarms that began or ended in the window [assumed]; 7 days long, 9 months back."""
    view = server.view(match["id"])
    start, now = whole_number(request, "start_time"), int(view.now)
    if start is None:
        raise Refused(422, "start_time is required")
    end = whole_number(request, "end_time", min(start + 86_400, now))
    assert end is not None
    if start > now or end < start:
        raise Refused(422, "start_time should be before end_time and not in the future")
    if end - start > WEEK_S:
        raise Refused(422, "The window should be 7 days or less")
    if start < now - OLDEST_EVENT_S:
        raise Refused(422, "start_time should be within 9 months")
    cleared = request.first("cleared")
    if cleared not in (None, "", "true", "false"):
        raise Refused(422, "cleared should be true or false")
    is_alarm = match["what"] == "alarms"
    rows: list[dict[str, object]] = []
    for incident in view.incidents():
        begins = _alarm_start(incident) if is_alarm else incident.start
        touches = start <= begins < end or (incident.end is not None and start <= incident.end < end)
        if not touches or begins > now:
            continue
        if is_alarm and cleared and (incident.end is not None) != (cleared == "true"):
            continue
        rows.append(_alarm(view, incident) if is_alarm else _event(incident))
    return {"system_id": view.system_id, match["what"]: rows}
