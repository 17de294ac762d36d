"""Enphase's series: telemetry, daily history, meter registers (vendors/enphase.md 3.4 and 3.5)."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from sungaze.emulators._enphase_ask import (
    Refused,
    Window,
    lifetime_days,
    page_of,
    telemetry_window,
    whole_number,
)
from sungaze.emulators._enphase_site import WH, Series, SystemView, micro_serial
from sungaze.emulators._hash import Floats
from sungaze.emulators._service import Request
from sungaze.emulators.world import INTERVAL_S

if TYPE_CHECKING:
    from sungaze.emulators.enphase import Enphase

QUARTER_S = 900
STILL_GROWING_S = 3600


def meta(view: SystemView) -> dict[str, object]:
    """Return the block that closes every series (vendors/enphase.md 3)."""
    return {
        "status": view.status,
        "last_report_at": view.uploaded_at,
        "last_energy_at": view.last_energy_at(),
        "operational_at": view.plan.installed_at,
    }


def _telemetry(view: SystemView, window: Window, devices: int, intervals: object, **more: object) -> dict[str, object]:
    head = {"system_id": view.system_id, **more, "granularity": window.granularity, "total_devices": devices}
    return {**head, **window.echo, "items": "intervals", "intervals": intervals, "meta": meta(view)}


def production_micro(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return 5-minute production summed over the microinverters; `week` works too [assumed]."""
    view = server.view(match["id"])
    window = telemetry_window(request, view, INTERVAL_S)
    series = view.uploaded(window.start, window.end)
    heard = ~np.isnan(series.panel_w)
    intervals = [
        {
            "end_at": at + INTERVAL_S,
            "devices_reporting": count,
            "powr": round(watts),
            "enwh": round(watts * WH),
        }
        for at, count, watts in zip(
            series.start.tolist(), heard.sum(axis=1).tolist(), series.site_w.tolist(), strict=True
        )
    ]
    if server.faults.strikes("late"):
        _hold_back(server, view, series, intervals)
    return _telemetry(view, window, view.plan.panels, intervals)


def _hold_back(server: Enphase, view: SystemView, series: Series, intervals: list[dict[str, int]]) -> None:
    """Leave a third of the panels out of the newest intervals, the first time each is read."""
    first_third = -(-view.plan.panels // 3)
    for row, interval in enumerate(intervals):
        if interval["end_at"] > view.uploaded_at - STILL_GROWING_S and server.reads_early(view, interval["end_at"]):
            panels = series.panel_w[row, first_third:]
            watts = float(np.nansum(panels))
            interval["devices_reporting"] = int((~np.isnan(panels)).sum())
            interval["powr"], interval["enwh"] = round(watts), round(watts * WH)


def _quarter_rows(view: SystemView, window: Window, name: str) -> list[dict[str, int]]:
    if not view.has_meter:
        return []
    start, produced, consumed = view.quarters(window.start, window.end)
    bought, sold = np.maximum(consumed - produced, 0.0), np.maximum(produced - consumed, 0.0)
    energy = {"wh_del": produced, "enwh": consumed, "wh_imported": bought, "wh_exported": sold}[name]
    return [{"end_at": at + QUARTER_S, name: round(wh)} for at, wh in zip(start.tolist(), energy.tolist(), strict=True)]


def _metered(server: Enphase, request: Request, match: re.Match[str], name: str) -> object:
    view = server.view(match["id"])
    window = telemetry_window(request, view, QUARTER_S)
    rows = _quarter_rows(view, window, name)
    intervals = [{"end_at": row["end_at"], "devices_reporting": 1, name: row[name]} for row in rows]
    return _telemetry(view, window, int(view.has_meter), intervals)


def production_meter(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return the production meter's quarter-hours; an empty list where none is fitted [assumed].

    The meter agrees with the microinverters here, since the truth is one.
    """
    return _metered(server, request, match, "wh_del")


def consumption_meter(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return the consumption meter's quarter-hours; an empty list where none is fitted [assumed]."""
    return _metered(server, request, match, "enwh")


def battery(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return battery telemetry, always empty: no simulated site has a battery."""
    view = server.view(match["id"])
    answer = _telemetry(view, telemetry_window(request, view, QUARTER_S), 0, [])
    return {**answer, "last_reported_aggregate_soc": None}


def grid_telemetry(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return grid import or export as a list of lists, `total_devices` always 0."""
    view = server.view(match["id"])
    window = telemetry_window(request, view, QUARTER_S)
    rows = _quarter_rows(view, window, f"wh_{match['way']}ed")
    return _telemetry(view, window, 0, [rows] if rows else [])


def _panel_intervals(series: Series, watts: Floats) -> list[dict[str, int]]:
    return [
        {"end_at": at + INTERVAL_S, "powr": round(w), "enwh": round(w * WH)}
        for at, w in zip(series.start.tolist(), watts.tolist(), strict=True)
        if w == w
    ]


def one_micro(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return one microinverter's 5-minute intervals; 404 for a serial that is not on the system."""
    view = server.view(match["id"])
    serials = [micro_serial(view.plan, panel) for panel in range(view.plan.panels)]
    if match["serial"] not in serials:
        raise Refused(404, f'Micro not found for {{:serial_num=>"{match["serial"]}"}}')
    window = telemetry_window(request, view, INTERVAL_S)
    series = view.uploaded(window.start, window.end)
    watts = series.panel_w[:, serials.index(match["serial"])] if len(series.start) else np.zeros(0)
    return _telemetry(view, window, 1, _panel_intervals(series, watts), serial_number=match["serial"])


def all_micros(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return a page of microinverters with their intervals; the page fields are those of a list [assumed]."""
    view = server.view(match["id"])
    page, size = page_of(request, 20)
    window = telemetry_window(request, view, INTERVAL_S)
    series = view.uploaded(window.start, window.end)
    rows: list[dict[str, object]] = []
    for panel in range((page - 1) * size, min(page * size, view.plan.panels)):
        watts = series.panel_w[:, panel] if len(series.start) else np.zeros(0)
        rows.append({"serial_number": micro_serial(view.plan, panel), "intervals": _panel_intervals(series, watts)})
    paging = {"total": view.plan.panels, "current_page": page, "size": size, "count": len(rows)}
    head = {"system_id": view.system_id, "granularity": window.granularity, **paging, **window.echo}
    return {**head, "items": "devices", "devices": rows, "meta": meta(view)}


def one_encharge(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Refuse with 404: no simulated site has a battery."""
    server.view(match["id"])
    raise Refused(404, f'Encharge not found for {{:serial_num=>"{match["serial"]}"}}')


def _daily(view: SystemView, start: object, **arrays: list[int]) -> dict[str, object]:
    return {"system_id": view.system_id, "start_date": start, **arrays, "meta": meta(view)}


def energy_lifetime(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return production per local day; a metered site names `meter_start_date`, its first day here."""
    view = server.view(match["id"])
    first, last = lifetime_days(request, view)
    if request.first("production") not in (None, "", "all"):
        raise Refused(422, "production should be all")
    energy = view.day_wh(first, last)
    answer: dict[str, Any] = _daily(view, first.isoformat() if energy else None, production=energy)
    if view.has_meter:
        answer["meter_start_date"] = view.plan.installed_on.isoformat()
    if request.first("production") == "all":
        answer["micro_production"] = energy
        answer["meter_production"] = energy if view.has_meter else []
    return answer


def other_lifetime(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return the daily series of meters; empty arrays and a null start where nothing measures it."""
    view = server.view(match["id"])
    first, last = lifetime_days(request, view)
    names = {"consumption": ["consumption"], "battery": ["charge", "discharge"]}
    wanted = names.get(match["what"], [match["what"].removeprefix("energy_")])
    if not view.has_meter or match["what"] == "battery" or last < first:
        return _daily(view, None, **{name: [] for name in wanted})
    column = ("consumption", "import", "export").index(wanted[0])
    grid = view.world.daily_grid_wh(view.plan, first, last)[:, column]
    return _daily(view, first.isoformat(), **{wanted[0]: [round(float(wh)) for wh in grid]})


def meter_readings(server: Enphase, request: Request, match: re.Match[str]) -> object:
    """Return the production meter's register at `end_at` (default now), Wh; other meters keep none here."""
    view = server.view(match["id"])
    end = min(whole_number(request, "end_at", int(view.now)) or 0, view.uploaded_at) // QUARTER_S * QUARTER_S
    if not view.has_meter or match["what"] != "production" or end <= view.plan.installed_at:
        return {"system_id": view.system_id, "meter_readings": [], "meta": meta(view)}
    day = view.plan.local_date(end)
    before = sum(view.day_wh(view.plan.installed_on, day - timedelta(days=1)))
    today = float(view.quarters(view.plan.midnight(day), end)[1].sum())
    reading = {"serial_num": f"{view.gateway_serial}EIM1", "value": before + round(today), "read_at": end}
    return {"system_id": view.system_id, "meter_readings": [reading], "meta": meta(view)}
