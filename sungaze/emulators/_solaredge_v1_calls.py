"""The answers of SolarEdge's retired V1 (vendors/solaredge.md, Appendix A): local times, one wrapper per call."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sungaze.emulators._hash import Floats, bits, units
from sungaze.emulators._service import Request
from sungaze.emulators._solaredge_ask import Refused, Span
from sungaze.emulators._solaredge_calls import Values, balance, covering, fine, site_sum
from sungaze.emulators._solaredge_site import PlantView, inverter_serial
from sungaze.emulators._solaredge_v1_ask import (
    FINE_UNITS,
    dates_of,
    number,
    time_unit,
    times_of,
    week_of,
)
from sungaze.emulators.world import INTERVAL_S

if TYPE_CHECKING:
    from sungaze.emulators._solaredge_v1 import SolarEdgeV1

Views = list[PlantView]
Match = re.Match[str]

METERS = {
    "Production": "production",
    "Consumption": "consumption",
    "SelfConsumption": "self",
    "FeedIn": "export",
    "Purchased": "import",
}
OPTIONAL = frozenset(
    {
        "address", "address2", "city", "state", "zip", "timeZone", "installationDate", "lastUpdateTime", "ptoDate",
        "notes", "peakPower", "name", "model", "manufacturer", "cpuVersion", "communicationMethod",
        "connectedOptimizers", "firmwareVersion",
    }
)  # fmt: skip
STATUSES = ("Active", "Pending", "Disabled")
SORTS = {
    "Name": lambda row: row["name"],
    "Country": lambda row: row["location"]["country"],
    "City": lambda row: row["location"]["city"],
    "Status": lambda row: row["status"],
    "PeakPower": lambda row: row["peakPower"],
    "InstallationDate": lambda row: row["installationDate"],
}
PRICE_PER_KWH = 0.13


def without_optional(value: Any) -> Any:
    """Return the answer with null wherever the vendor may leave one (fault nulls)."""
    if isinstance(value, dict):
        return {name: None if name in OPTIONAL else without_optional(item) for name, item in value.items()}
    return [without_optional(item) for item in value] if isinstance(value, list) else value


def _local(view: PlantView, at: float) -> str:
    """Return a moment as site time without offset, so that a repeated hour cannot be told apart."""
    return datetime.fromtimestamp(at, view.plan.zone).strftime("%Y-%m-%d %H:%M:%S")


def _date(view: PlantView, at: float) -> str:
    return view.plan.local_date(at).isoformat()


def _is_bulk(views: Views, match: Match) -> bool:
    return match["root"] == "sites" or len(views) > 1


# -- sites -----------------------------------------------------------------------------------------------------------


def _site(view: PlantView) -> dict[str, Any]:
    plan, town = view.plan, view.plan.town
    return {
        "id": view.site_id,
        "name": plan.name,
        "accountId": 40_000 + view.world.seed % 10_000,
        "status": "Active",
        "peakPower": round(plan.peak_w / 1000.0, 3),
        "lastUpdateTime": _date(view, view.last_update_at),
        "installationDate": plan.installed_on.isoformat(),
        "ptoDate": None,
        "notes": "",
        "type": "Optimizers & Inverters",
        "location": {
            "country": town.country_name,
            "state": town.state,
            "city": town.city,
            "address": plan.street,
            "address2": "",
            "zip": town.postal_code,
            "timeZone": town.zone,
            "countryCode": town.country,
            "stateCode": town.state,
        },
        "primaryModule": {
            "manufacturerName": "Invented Modules",
            "modelName": f"IM-{plan.panel_peak_w}",
            "maximumPower": plan.panel_peak_w,
        },
        "uris": {"DETAILS": f"/site/{view.site_id}/details", "OVERVIEW": f"/site/{view.site_id}/overview"},
        "publicSettings": {"isPublic": False},
    }


def sites(server: SolarEdgeV1, request: Request, views: Views, match: Match) -> object:
    """Return a page of sites: `size` up to 100 from `startIndex` on, filtered and sorted as asked."""
    size, first = number(request, "size", 100, 100), number(request, "startIndex", 0, 10**9)
    wanted = (request.first("status") or "Active,Pending").split(",")
    if not set(wanted) <= {*STATUSES, "All"}:
        raise Refused(403, "status is not valid")
    text = (request.first("searchText") or "").casefold()
    rows = [
        row
        for row in map(_site, views)
        if {row["status"], "All"} & set(wanted) and text in f"{row['name']} {row['notes']}".casefold()
    ]
    order = request.first("sortProperty")
    if order is not None:
        if order not in SORTS:
            raise Refused(403, "sortProperty is not valid")
        rows.sort(key=SORTS[order], reverse=request.first("sortOrder") == "DESC")
    page = rows[first : first + size]
    by_id = {view.site_id: view for view in views}
    return {"sites": {"count": len(rows), "site": [{**row, **_impact(by_id[row["id"]])} for row in page]}}


def _impact(view: PlantView) -> dict[str, int]:
    still = [alert.impact for alert in view.alerts() if alert.end is None]
    return {"alertQuantity": len(still), "highestImpact": max(still, default=0)}


def details(server: SolarEdgeV1, request: Request, views: Views, match: Match) -> object:
    """Return a site's details."""
    return {"details": _site(views[0])}


def data_period(server: SolarEdgeV1, request: Request, views: Views, match: Match) -> object:
    """Return the first and the last day with data."""
    rows = [(v.site_id, {"startDate": v.plan.installed_on.isoformat(), "endDate": _date(v, v.now)}) for v in views]
    if not _is_bulk(views, match):
        return {"dataPeriod": rows[0][1]}
    listed = [{"siteId": site_id, "dataPeriod": period} for site_id, period in rows]
    return {"dataPeriodList": {"count": len(listed), "siteEnergyList": listed}}


def _overview(view: PlantView) -> dict[str, Any]:
    today = view.plan.local_date(view.now)
    energy: dict[str, dict[str, float]] = {}
    for name, start in (
        ("lifeTimeData", view.plan.installed_on),
        ("lastYearData", today.replace(month=1, day=1)),
        ("lastMonthData", today.replace(day=1)),
        ("lastDayData", today),
    ):
        energy[name] = {"energy": round(view.energy_wh(view.plan.midnight(start), int(view.now)) or 0.0, 2)}
    energy["lifeTimeData"]["revenue"] = round(energy["lifeTimeData"]["energy"] / 1000.0 * PRICE_PER_KWH, 4)
    watts = site_sum(view.quarters(view.closed_until - 900, view.closed_until).power_w)
    power = float(watts[-1]) if len(watts) and watts[-1] == watts[-1] else 0.0
    return {
        "lastUpdateTime": _local(view, view.last_update_at),
        **energy,
        "currentPower": {"power": round(power, 2)},
        "measuredBy": "INVERTER",
    }


def overview(server: SolarEdgeV1, request: Request, views: Views, match: Match) -> object:
    """Return the energy of lifetime, year, month and day so far, and the newest power."""
    if not _is_bulk(views, match):
        return {"overview": _overview(views[0])}
    rows = [{"siteId": view.site_id, "siteOverview": _overview(view)} for view in views]
    return {"sitesOverviews": {"count": len(rows), "siteEnergyList": rows}}


# -- series ----------------------------------------------------------------------------------------------------------


def _rows(view: PlantView, span: Span, values: Values) -> list[dict[str, object]]:
    """Return dated values; an hour that spring leaves out is missing, or null at every other site [assumed]."""
    rows: list[dict[str, object]] = []
    step = {"QUARTER_HOUR": 900, "HOUR": 3600}.get(span.resolution, 0)
    before: datetime | None = None
    for at, value in values:
        here = datetime.fromtimestamp(at, view.plan.zone).replace(tzinfo=None)
        while step and view.plan.k % 2 and before is not None and before + timedelta(seconds=step) < here:
            before += timedelta(seconds=step)
            rows.append({"date": before.strftime("%Y-%m-%d %H:%M:%S"), "value": None})
        rows.append({"date": _local(view, at), "value": None if value is None else round(value, 4)})
        before = here
    return rows


def _energy(server: SolarEdgeV1, view: PlantView, span: Span) -> list[dict[str, object]]:
    """Return energy per bucket, Wh; from DAY on, the running bucket holds what there is so far [assumed]."""
    if span.resolution in ("QUARTER_HOUR", "HOUR"):
        quarters = covering(view, span)
        values = server.held_back(view, fine(view, span, quarters, site_sum(quarters.energy_wh), True))
    else:
        values = [(start, view.energy_wh(start, end)) for start, end in _buckets(view, span)]
    return _rows(view, span, values)


def _buckets(view: PlantView, span: Span) -> list[tuple[int, int]]:
    return view.buckets(span.start, span.end, span.resolution)


def energy(server: SolarEdgeV1, request: Request, views: Views, match: Match) -> object:
    """Return energy per time unit, DAY by default."""
    unit = time_unit(request, "DAY")
    series = [(view.site_id, _energy(server, view, dates_of(request, view, unit))) for view in views]
    head: dict[str, object] = {"timeUnit": unit, "unit": "Wh"}
    if not _is_bulk(views, match):
        return {"energy": {**head, "measuredBy": "INVERTER", "values": series[0][1]}}
    rows = [
        {"siteId": site_id, "energyValues": {"measuredBy": "INVERTER", "values": values}} for site_id, values in series
    ]
    return {"sitesEnergy": {**head, "count": len(rows), "siteEnergyList": rows}}


def _power(server: SolarEdgeV1, view: PlantView, span: Span) -> list[dict[str, object]]:
    quarters = covering(view, span)
    return _rows(view, span, server.held_back(view, fine(view, span, quarters, site_sum(quarters.power_w), False)))


def power(server: SolarEdgeV1, request: Request, views: Views, match: Match) -> object:
    """Return mean power per quarter-hour; in bulk the unit is written as Wh although the values are W."""
    unit = "QUARTER_OF_AN_HOUR"
    series = [(view.site_id, _power(server, view, times_of(request, view, unit))) for view in views]
    if not _is_bulk(views, match):
        return {"power": {"timeUnit": unit, "unit": "W", "measuredBy": "INVERTER", "values": series[0][1]}}
    rows = [
        {"siteId": site_id, "powerDataValueSeries": {"measuredBy": "INVERTER", "values": values}}
        for site_id, values in series
    ]
    return {"powerDateValuesList": {"timeUnit": unit, "unit": "Wh", "count": len(rows), "siteEnergyList": rows}}


# -- meters ----------------------------------------------------------------------------------------------------------


def _wanted_meters(request: Request, view: PlantView) -> list[str]:
    """Return the meters asked for, in any case; without a meter a site knows its production alone."""
    asked = [name.casefold() for name in (request.first("meters") or ",".join(METERS)).split(",")]
    known = {name.casefold(): name for name in METERS}
    if not set(asked) <= set(known):
        raise Refused(403, f"meters must be among {', '.join(METERS)}")
    return [known[name] for name in asked if view.has_meter or known[name] == "Production"]


def _with_self(metered: dict[str, Floats]) -> dict[str, Floats]:
    return {**metered, "self": metered["production"] - metered["export"]}


def _by_days(view: PlantView, start: int, end: int) -> dict[str, float]:
    """Return what the meter counted over whole local days, today's so far among them, Wh."""
    first = max(view.plan.local_date(start), view.plan.installed_on)
    today = view.plan.local_date(view.now)
    last = min(view.plan.local_date(end - 1), today - timedelta(days=1))
    made = float(view.world.daily_wh(view.plan, first, last).sum())
    used, bought, sold = view.world.daily_grid_wh(view.plan, first, last).sum(axis=0).tolist()
    total = {"production": made, "consumption": used, "import": bought, "export": sold, "self": made - sold}
    if start <= view.plan.midnight(today) < end:
        so_far = _with_self(balance(view, view.quarters(view.plan.midnight(today), int(view.now))))
        total = {name: value + float(np.nansum(so_far[name])) for name, value in total.items()}
    return total


def _metered(view: PlantView, span: Span, factor: float) -> dict[str, Values]:
    if span.resolution in ("QUARTER_HOUR", "HOUR"):
        quarters = covering(view, span)
        by_name = _with_self(balance(view, quarters))
        return {n: fine(view, span, quarters, wh * factor, factor == 1.0) for n, wh in by_name.items()}
    found: dict[str, Values] = {name: [] for name in METERS.values()}
    for start, end in _buckets(view, span):
        known = start <= view.now and end > view.plan.installed_at
        total = _by_days(view, start, end) if known else {}
        for name, values in found.items():
            values.append((start, total.get(name)))
    return found


def _meter_details(view: PlantView, request: Request, span: Span, unit: str, what: str) -> dict[str, object]:
    """Return the meters' series; where there is no value, its key is left out [assumed]."""
    wanted = _wanted_meters(request, view)
    series = _metered(view, span, 4.0 if what == "W" else 1.0)
    meters = []
    for name in wanted:
        rows = _rows(view, span, series[METERS[name]])
        values = [{key: item for key, item in row.items() if item is not None} for row in rows]
        meters.append({"type": name, "values": values})
    return {"timeUnit": unit, "unit": what, "meters": meters}


def energy_details(server: SolarEdgeV1, request: Request, views: Views, match: Match) -> object:
    """Return energy by meter per time unit, DAY by default."""
    unit = time_unit(request, "DAY")
    return {"energyDetails": _meter_details(views[0], request, times_of(request, views[0], unit), unit, "Wh")}


def power_details(server: SolarEdgeV1, request: Request, views: Views, match: Match) -> object:
    """Return mean power by meter per quarter-hour."""
    unit = FINE_UNITS[0]
    return {"powerDetails": _meter_details(views[0], request, times_of(request, views[0], unit), unit, "W")}


def power_flow(server: SolarEdgeV1, request: Request, views: Views, match: Match) -> object:
    """Return who feeds whom in kW as of the newest quarter-hour; empty without a meter [assumed]."""
    view = views[0]
    newest = Span(view.closed_until - 900, view.closed_until, "QUARTER_HOUR", {})
    if not view.has_meter:
        return {"siteCurrentPowerFlow": {}}
    flow = {name: (values[0][1] or 0.0) / 1000.0 for name, values in _metered(view, newest, 4.0).items()}
    pairs = [("PV", "Load")] if flow["self"] > 0 else []
    pairs += [("GRID", "Load")] if flow["import"] > 0 else []
    pairs += [("LOAD", "Grid")] if flow["export"] > 0 else []

    def part(kilowatts: float) -> dict[str, object]:
        return {"status": "Active" if kilowatts > 0 else "Idle", "currentPower": round(kilowatts, 2)}

    return {
        "siteCurrentPowerFlow": {
            "updateRefreshRate": 3,
            "unit": "kW",
            "connections": [{"from": source, "to": sink} for source, sink in pairs],
            "GRID": part(flow["import"] + flow["export"]),
            "LOAD": part(flow["consumption"]),
            "PV": part(flow["production"]),
        }
    }


# -- equipment -------------------------------------------------------------------------------------------------------


def _model(view: PlantView, inverter: int) -> str:
    region = "US" if view.plan.town.country == "US" else "RWS"
    return f"SE{int(view.plan.limit_w[inverter])}H-{region}"


def inventory(server: SolarEdgeV1, request: Request, views: Views, match: Match) -> object:
    """Return `Inventory`, capital I; an inverter's serial is `SN`, at every third site `serialNumber`."""
    view = views[0]
    serial_name = "serialNumber" if view.plan.k % 3 == 2 else "SN"
    inverters = [
        {
            "name": f"Inverter {n + 1}",
            "manufacturer": "SolarEdge",
            "model": _model(view, n),
            "communicationMethod": "ETHERNET",
            "cpuVersion": "4.22.33",
            serial_name: inverter_serial(view.plan, n),
            "connectedOptimizers": int((view.plan.inverter == n).sum()),
        }
        for n in range(len(view.plan.limit_w))
    ]
    meter = {
        "name": "Grid meter",
        "manufacturer": "SolarEdge",
        "model": "SE-MTR-3Y",
        "firmwareVersion": "1.0",
        "connectedSolaredgeDeviceSN": inverter_serial(view.plan, 0),
        "type": "FeedInOut",
        "form": "physical",
        "SN": view.meter_serial,
    }
    meters = [meter] if view.has_meter else []
    parts = {"meters": meters, "sensors": [], "gateways": [], "batteries": [], "inverters": inverters}
    return {"Inventory": parts}


def storage(server: SolarEdgeV1, request: Request, views: Views, match: Match) -> object:
    """Return no battery: no simulated site has one."""
    week_of(request, views[0])
    return {"storageData": {"batteryCount": 0, "batteries": []}}


def components(server: SolarEdgeV1, request: Request, views: Views, match: Match) -> object:
    """Return the inverters by serial."""
    view = views[0]
    rows = [
        {
            "name": f"Inverter {n + 1}",
            "manufacturer": "SolarEdge",
            "model": _model(view, n),
            "serialNumber": inverter_serial(view.plan, n),
        }
        for n in range(len(view.plan.limit_w))
    ]
    return {"reporters": {"count": len(rows), "list": rows}}


def inverter_data(server: SolarEdgeV1, request: Request, views: Views, match: Match) -> object:
    """Return an inverter's telemetry of at most a week, every five minutes while it is awake."""
    view = views[0]
    serials = [inverter_serial(view.plan, n) for n in range(len(view.plan.limit_w))]
    if match["serial"] not in serials:
        raise Refused(404, "Device not found")
    rows = _telemetries(view, week_of(request, view), serials.index(match["serial"]))
    return {"data": {"count": len(rows), "telemetries": rows}}


def _telemetries(view: PlantView, span: Span, inverter: int) -> list[dict[str, object]]:
    volts = 240.0 if view.plan.town.country in ("US", "CA") else 232.0
    own = view.plan.inverter == inverter
    rows: list[dict[str, object]] = []
    for day in view.world.days(view.plan, span.start, min(span.end, view.closed_until)):
        watts = np.nansum(day.panel_w[:, own], axis=1)
        shown = day.awake & ~np.isnan(day.site_w) & (day.start >= span.start) & (day.start < span.end)
        shown &= day.start + INTERVAL_S <= view.closed_until
        total = _lifetime_wh(view, view.plan.local_date(int(day.start[0])), own) + np.cumsum(watts) * INTERVAL_S / 3600
        wave = units(bits(view.plan.key, "v1 volts", inverter), day.start)
        for row in np.flatnonzero(shown).tolist():
            power, ac_volts = float(watts[row]), volts * (0.99 + 0.02 * float(wave[row]))
            rows.append(
                {
                    "date": _local(view, int(day.start[row])),
                    "totalActivePower": round(power, 2),
                    "dcVoltage": round(380.0 + 20.0 * float(wave[row]), 3),
                    "powerLimit": 100.0,
                    "totalEnergy": round(float(total[row]), 2),
                    "temperature": round(20.0 + 20.0 * power / view.plan.peak_w, 2),
                    "inverterMode": "MPPT" if power > 0 else "SLEEPING",
                    "operationMode": 0,
                    "L1Data": {
                        "acCurrent": round(power / ac_volts, 4),
                        "acVoltage": round(ac_volts, 3),
                        "acFrequency": 60.0 if volts > 235 else 50.0,
                        "apparentPower": round(power, 2),
                        "activePower": round(power, 2),
                        "reactivePower": 0.0,
                        "cosPhi": 1.0,
                    },
                }
            )
    return rows


def _lifetime_wh(view: PlantView, day: date, own: Any) -> float:
    """Return what the inverter made before a local day, Wh."""
    every = view.world.daily_wh(view.plan, view.plan.installed_on, day - timedelta(days=1))
    return float(every[:, own].sum())
