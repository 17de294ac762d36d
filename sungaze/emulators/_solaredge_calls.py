"""SolarEdge's answers (vendors/solaredge.md 2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from sungaze.emulators._hash import Floats, bits, units
from sungaze.emulators._service import Request
from sungaze.emulators._solaredge_ask import EVERY, FINE, Refused, Span, choice, span_of, whole_number
from sungaze.emulators._solaredge_site import (
    Alert,
    PlantView,
    Quarters,
    inverter_serial,
    optimizer_serial,
    zulu,
)

if TYPE_CHECKING:
    from sungaze.emulators.solaredge import SolarEdge

Values = list[tuple[int, float | None]]

POWER_UNITS = {"W": 1.0, "KW": 1e3, "MW": 1e6}
ENERGY_UNITS = {"WH": 1.0, "KWH": 1e3, "MWH": 1e6, "GWH": 1e9}
DEVICE_TYPES = ("INVERTER", "BATTERY", "BATTERY_MODULE", "OPTIMIZER", "METER", "EV_CHARGER", "BUI", "GATEWAY")
OPTIONAL = frozenset(
    {
        "lastUpdateTime",
        "installationDate",
        "note",
        "address",
        "city",
        "state",
        "zip",
        "timezone",
        "model",
        "firmwareVersion",
        "firmware",
        "createdAt",
        "communicationType",
    }
)
CO2_KG_PER_KWH = 0.392
EV_MILES_PER_KWH = 3.4
POUNDS_PER_KG = 2.204_62


def without_optional(value: Any) -> Any:
    """Return the answer with null wherever the vendor may leave one (fault nulls)."""
    if isinstance(value, dict):
        return {name: None if name in OPTIONAL else without_optional(item) for name, item in value.items()}
    return [without_optional(item) for item in value] if isinstance(value, list) else value


def held_back(view: PlantView, seen: set[tuple[int, int]], values: Values) -> Values:
    """Return the values with those of the last hour null when first read; `seen` takes down which were."""
    kept: Values = []
    for start, value in values:
        fresh = view.closed_until - 3600 <= start and (view.plan.k, start) not in seen
        if fresh:
            seen.add((view.plan.k, start))
        kept.append((start, None if fresh else value))
    return kept


def _listed(view: PlantView) -> dict[str, Any]:
    plan, town = view.plan, view.plan.town
    return {
        "siteId": view.site_id,
        "name": plan.name,
        "peakPower": round(plan.peak_w / 1000.0, 3),
        "installationDate": f"{plan.installed_on.isoformat()}T00:00:00Z",
        "location": {
            "address": plan.street,
            "city": town.city,
            "state": town.state,
            "zip": town.postal_code,
            "country": town.country_name,
        },
        "activationStatus": "ACTIVE",
        "note": "",
    }


def sites(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return a page of sites: the envelope, or a bare array for accounts with an account key.

    [assumed]: pages count from 1 and hold 100 by default; `count` is that of the whole account.
    """
    page = whole_number(request, "page", 1, 1_000_000)
    size = whole_number(request, "sites-in-page", 100, 1000)
    views = server.views()
    rows = [_listed(view) for view in views[(page - 1) * size : page * size]]
    if "x-account-key" in request.headers:
        return rows
    return {"sites": {"count": len(views), "site": rows}}


def site(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return a site's details, with its zone and when it last reported."""
    view = server.view(match["id"])
    details = _listed(view)
    details["location"]["timezone"] = view.plan.town.zone
    details["accountId"] = 40_000 + server.world.seed % 10_000
    details["lastUpdateTime"] = view.iso(view.last_update_at)
    return details


def overview(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return production and consumption of the window, today by default; splits are null without a meter."""
    view = server.view(match["id"])
    span = span_of(request, view, ("TOTAL", *EVERY)) if request.first("from") or request.first("to") else None
    start = span.start if span else view.plan.midnight(view.plan.local_date(view.now))
    end = span.end if span else int(view.now)
    total = view.energy_wh(start, end)
    used = sold = bought = None
    if view.has_meter:
        metered = balance(view, view.quarters(start, end))
        used, bought, sold = (round(float(np.nansum(metered[name])), 2) for name in ("consumption", "import", "export"))
    made = round(total or 0.0, 2)
    self_used = None if sold is None else round(made - sold, 2)
    return {
        "siteId": view.site_id,
        "production": {
            "total": made,
            "unit": "WH",
            "toSelfConsumption": self_used,
            "toStorage": None,
            "toGrid": sold,
        },
        "consumption": {
            "total": used,
            "unit": "WH",
            "fromPv": self_used,
            "fromStorage": None,
            "fromGrid": bought,
        },
    }


def performance(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return today's specific yield in kWh/kWp; the performance ratio is not modelled."""
    view = server.view(match["id"])
    total = view.energy_wh(view.plan.midnight(view.plan.local_date(view.now)), int(view.now))
    return {"specificYield": round((total or 0.0) / view.plan.peak_w, 4), "performanceRatio": None}


def site_sum(values: Floats) -> Floats:
    """Return the sum over inverters; they share their nulls."""
    total: Floats = values.sum(axis=1)
    return total


def fine(view: PlantView, span: Span, quarters: Quarters, values: Floats, is_sum: bool) -> Values:
    """Return a value per bucket, None where nothing is measured or the bucket still runs.

    An hour is the sum, or the mean, of its measured quarter-hours [assumed].
    """
    known = {at: value for at, value in zip(quarters.start.tolist(), values.tolist(), strict=True) if value == value}
    found: Values = []
    for start, end in view.buckets(span.start, span.end, span.resolution):
        inside = [known[at] for at in range(start, end, 900) if at in known] if end <= view.closed_until else []
        value = sum(inside) / (1 if is_sum else len(inside)) if inside else None
        found.append((start, value))
    return found


def covering(view: PlantView, span: Span) -> Quarters:
    buckets = view.buckets(span.start, span.end, span.resolution)
    return view.quarters(buckets[0][0], buckets[-1][1]) if buckets else view.quarters(span.start, span.start)


def _shown(view: PlantView, values: Values, factor: float = 1.0) -> list[dict[str, object]]:
    """Return the values in their unit, with the site's offset; two decimals of a W or Wh."""
    digits = 2 + round(np.log10(factor))
    return [
        {"timestamp": view.iso(at), "value": None if value is None else round(value / factor, digits)}
        for at, value in values
    ]


def _series(span: Span, unit: str, values: list[dict[str, object]]) -> dict[str, object]:
    return {"period": span.period, "unit": unit, "resolution": span.resolution, "values": values}


def power(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return the site's mean power per bucket, QUARTER_HOUR or HOUR; the running bucket is null."""
    view = server.view(match["id"])
    span = span_of(request, view, FINE)
    unit = choice(request, "unit", tuple(POWER_UNITS), "W")
    quarters = covering(view, span)
    values = server.held_back(view, fine(view, span, quarters, site_sum(quarters.power_w), False))
    return _series(span, unit, _shown(view, values, POWER_UNITS[unit]))


def energy(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return the site's energy per bucket; from DAY on, the running bucket holds what there is so far."""
    view = server.view(match["id"])
    span = span_of(request, view, EVERY)
    unit = choice(request, "unit", tuple(ENERGY_UNITS), "WH")
    if span.resolution in FINE:
        quarters = covering(view, span)
        values = server.held_back(view, fine(view, span, quarters, site_sum(quarters.energy_wh), True))
    else:
        buckets = view.buckets(span.start, span.end, span.resolution)
        values = [(start, view.energy_wh(start, end)) for start, end in buckets]
    return _series(span, unit, _shown(view, values, ENERGY_UNITS[unit]))


def _device(view: PlantView, kind: str, serial: str, model: str, name: str) -> dict[str, object]:
    return {
        "type": kind,
        "serialNumber": serial,
        "manufacturer": "SolarEdge",
        "model": model,
        "partNumber": f"{model}-000BNU4",
        "createdAt": view.iso(view.plan.installed_at + 33_164),
        "firmwareVersion": None,
        "firmware": None,
        "connectedTo": None,
        "active": True,
        "nameplate": 0,
        "name": name,
        "form": None,
        "communicationType": None,
    }


def _inverter(view: PlantView, number: int) -> dict[str, object]:
    plan = view.plan
    region = "US" if plan.town.country == "US" else "RWS"
    model = f"SE{int(plan.limit_w[number])}H-{region}"
    inverter = _device(view, "INVERTER", inverter_serial(plan, number), model, f"Inverter {number + 1}")
    inverter["firmwareVersion"], inverter["firmware"] = "4.22.33", "4.22.33.1.2"
    inverter["communicationType"] = "ETHERNET" if plan.k % 3 else "CELLULAR"
    inverter["connectedOptimizers"] = int((plan.inverter == number).sum())
    return inverter


def _replaced_inverter(view: PlantView) -> dict[str, object]:
    old = _device(view, "INVERTER", f"7E{view.plan.k:03X}000-0A", "SE7600A-US", "Inverter 1")
    return {**old, "active": False, "connectedOptimizers": 0}


def devices(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return a bare array of the wanted types, inverters alone by default; `active` false was replaced."""
    view = server.view(match["id"])
    wanted = request.query.get("types") or ["INVERTER"]
    for kind in wanted:
        if kind not in DEVICE_TYPES:
            raise Refused(400, f"types must be among {', '.join(DEVICE_TYPES)}")
    plan = view.plan
    found: list[dict[str, object]] = []
    if "INVERTER" in wanted:
        found += [_inverter(view, number) for number in range(len(plan.limit_w))]
        found += [_replaced_inverter(view)] if plan.k % 6 == 5 else []
    if "OPTIMIZER" in wanted:
        for panel, inverter in enumerate(plan.inverter.tolist()):
            optimizer = _device(view, "OPTIMIZER", optimizer_serial(plan, panel), "P505", f"Optimizer {panel + 1}")
            found.append({**optimizer, "connectedTo": inverter_serial(plan, inverter)})
    if "METER" in wanted and view.has_meter:
        meter = _device(view, "METER", view.meter_serial, "SE-MTR-3Y", "Grid meter")
        found.append({**meter, "connectedTo": inverter_serial(plan, 0), "meterType": "PRODUCTION"})
    if "GATEWAY" in wanted and len(plan.limit_w) > 1:
        found.append(_device(view, "GATEWAY", f"5{plan.k:04X}C33-02", "SE1000-CCG", "Gateway"))
    return found


def _inverter_values(view: PlantView, span: Span, quarters: Quarters, number: int, metric: str) -> Values:
    """Return one inverter's metric in W, Wh, V, A or Hz; voltage and frequency are stamped at bucket ends."""
    if metric in ("power", "energy"):
        series = quarters.power_w if metric == "power" else quarters.energy_wh
        return fine(view, span, quarters, series[:, number], metric == "energy")
    plan = view.plan
    american = plan.town.country in ("US", "CA")
    wave = 2.0 * units(bits(plan.key, metric, number), quarters.start) - 1.0
    awake = ~np.isnan(quarters.power_w[:, number])
    volts = np.where(awake, (240.0 if american else 232.0) * (1.0 + 0.012 * wave), np.nan)
    if metric == "current":
        return fine(view, span, quarters, quarters.power_w[:, number] / volts, False)
    hertz = np.where(awake, (60.0 if american else 50.0) + 0.03 * wave, np.nan)
    values = fine(view, span, quarters, volts if metric == "voltage" else hertz, False)
    step = 900 if span.resolution == "QUARTER_HOUR" else 3600
    return [(at + step, value) for at, value in values]


INVERTER_UNITS = {
    "power": ("KW", 1e3),
    "energy": ("WH", 1.0),
    "voltage": ("VOLT", 1.0),
    "current": ("AMPERE", 1.0),
    "frequency": ("HERTZ", 1.0),
}


def inverters(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return every inverter's telemetry by serial; power in KW beside energy in WH, as captured live."""
    view = server.view(match["id"])
    span = span_of(request, view, FINE)
    quarters = covering(view, span)
    found: dict[str, object] = {}
    for number in range(len(view.plan.limit_w)):
        blocks: dict[str, dict[str, object]] = {}
        for metric, (unit, factor) in INVERTER_UNITS.items():
            shown = _shown(view, _inverter_values(view, span, quarters, number, metric), factor)
            head = {"resolution": span.resolution} if metric == "power" else {}
            blocks[metric] = {"unit": unit, **head, "values": shown}
        found[inverter_serial(view.plan, number)] = blocks
    return {"inverters": found}


def inverter_metric(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return one metric of one inverter as a series; 404 for an unknown serial or metric."""
    view = server.view(match["id"])
    serials = [inverter_serial(view.plan, number) for number in range(len(view.plan.limit_w))]
    if match["metric"] not in INVERTER_UNITS:
        raise Refused(404, "Unknown endpoint")
    if match["serial"] not in serials:
        raise Refused(404, "Device not found")
    span = span_of(request, view, FINE)
    unit, factor = INVERTER_UNITS[match["metric"]]
    number = serials.index(match["serial"])
    values = _inverter_values(view, span, covering(view, span), number, match["metric"])
    return _series(span, unit, _shown(view, values, factor))


def balance(view: PlantView, quarters: Quarters) -> dict[str, Floats]:
    """Return what the meter saw per quarter-hour, Wh; it runs at night and is silent in an outage."""
    made = np.nan_to_num(site_sum(quarters.energy_wh))
    load = view.load_wh(quarters.start)
    if len(quarters.start):
        load = np.where(view.plan.is_out(quarters.start), np.nan, load)
    return {
        "production": np.where(np.isnan(load), np.nan, made),
        "consumption": load,
        "import": np.maximum(load - made, 0.0),
        "export": np.maximum(made - load, 0.0),
    }


def meters(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return the meter's telemetry; an empty object where none is fitted."""
    view = server.view(match["id"])
    span = span_of(request, view, FINE)
    if not view.has_meter:
        return {}
    quarters = covering(view, span)
    blocks: dict[str, object] = {}
    for name, energy_wh in balance(view, quarters).items():
        for what, factor, unit in (("Power", 4.0, "W"), ("Energy", 1.0, "WH")):
            values = fine(view, span, quarters, energy_wh * factor, what == "Energy")
            blocks[name + what] = {"unit": unit, "values": _shown(view, values)}
    return {"period": span.period, "resolution": span.resolution, "meters": {view.meter_serial: blocks}}


def meter_metric(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return one metric of the meter, such as `import-power`; 404 for an unknown serial or metric."""
    view = server.view(match["id"])
    name, _, what = match["metric"].partition("-")
    if what not in ("power", "energy") or name not in ("production", "consumption", "import", "export"):
        raise Refused(404, "Unknown endpoint")
    if not view.has_meter or match["serial"] != view.meter_serial:
        raise Refused(404, "Device not found")
    span = span_of(request, view, FINE)
    quarters = covering(view, span)
    factor, unit = (4.0, "W") if what == "power" else (1.0, "WH")
    values = fine(view, span, quarters, balance(view, quarters)[name] * factor, what == "energy")
    return _series(span, unit, _shown(view, values))


def storage(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return an empty object: no simulated site has a battery."""
    span_of(request, server.view(match["id"]), FINE)
    return {}


def one_storage(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Refuse with 404: no simulated site has a battery."""
    server.view(match["id"])
    raise Refused(404, "Device not found")


def _alert(view: PlantView, alert: Alert) -> dict[str, object]:
    until = alert.end if alert.end is not None else max(alert.start, int(view.now) // 3600 * 3600)
    component = {"name": alert.component[0], "serialNumber": alert.component[1]} if alert.component else None
    return {
        "alertId": alert.alert_id,
        "siteId": view.site_id,
        "category": "EQUIPMENT" if alert.component else "COMMUNICATION",
        "type": alert.kind,
        "impact": alert.impact,
        "status": "OPEN" if alert.end is None else "CLOSED",
        "firstTrigger": zulu(alert.start),
        "lastTrigger": zulu(until),
        "component": component,
        "errorCodes": [],
    }


def _alert_page(request: Request, views: list[PlantView]) -> object:
    only_open = choice(request, "only-open", ("true", "false"), "false") == "true"
    page = whole_number(request, "page", 1, 1_000_000)
    size = whole_number(request, "alerts-in-page", 100, 100)
    every = [(alert, view) for view in views for alert in view.alerts() if alert.end is None or not only_open]
    every.sort(key=lambda pair: (-pair[0].start, pair[0].alert_id))
    return [_alert(view, alert) for alert, view in every[(page - 1) * size : page * size]]


def alerts(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return a page of a site's alerts, newest first; all of them unless `only-open` [assumed]."""
    return _alert_page(request, [server.view(match["id"])])


def fleet_alerts(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return a page of the account's alerts, newest first."""
    return _alert_page(request, server.views())


def benefits(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Return lifetime savings: kg or pounds of CO2, and the miles an electric car would go [assumed]."""
    view = server.view(match["id"])
    unit = choice(request, "unit", ("METRIC", "IMPERIAL"), "METRIC")
    energy_kwh = (view.energy_wh(view.plan.installed_at, int(view.now)) or 0.0) / 1000.0
    factor = 1.0 if unit == "METRIC" else POUNDS_PER_KG
    return {
        "co2Emissions": round(energy_kwh * CO2_KG_PER_KWH * factor, 2),
        "evMiles": round(energy_kwh * EV_MILES_PER_KWH, 2),
    }


def power_flow(server: SolarEdge, request: Request, match: re.Match[str]) -> object:
    """Refuse with 403: live power belongs to Advanced Monitoring, which neither plan has."""
    server.view(match["id"])
    raise Refused(403, "This endpoint is not part of your subscription")
