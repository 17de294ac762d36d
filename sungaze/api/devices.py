"""The devices of a site: the list, one device whole, and where the site's power goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from litestar import get, patch
from litestar.params import JSONBody

from sungaze import clock
from sungaze.api.parts import LARGEST_ID, GivenParts, Id, Parts
from sungaze.api.shapes import (
    DeviceDetail,
    DeviceList,
    DeviceOut,
    DevicePatch,
    DeviceRef,
    FigureOut,
    FlipOut,
    FlowOut,
    MetricOut,
)
from sungaze.errors import NotFound
from sungaze.jobs.connect import BadRequest
from sungaze.model import METRICS, SITE_DEVICE_ID, DeviceStatus, DeviceType
from sungaze.store.fleet import DeviceRow, SiteRow
from sungaze.store.timeseries import SeriesInfo
from sungaze.vendors import connector

FLIPS_SHOWN: Final = 100
_TELLING: Final = (
    "ac_power_w", "dc_power_w", "battery_power_w", "consumption_power_w", "grid_power_w", "state_of_charge_pct",
    "ambient_temperature_c", "temperature_c", "dc_voltage_v", "signal_strength",
)  # fmt: skip
"""What tells most of a device, first in the order of telling."""


@get("/api/sites/{site_id:int}/devices", operation_id="listDevices", sync_to_thread=True)
def list_devices(parts: GivenParts, site_id: Id) -> DeviceList:
    """Every device of a site, retired ones included."""
    site = parts.context.store.fleet.site(site_id)
    return DeviceList([DeviceOut(**facts) for facts in _facts(parts, site)])


@get("/api/sites/{site_id:int}/devices/{device_id:int}", operation_id="getDevice", sync_to_thread=True)
def get_device(parts: GivenParts, site_id: Id, device_id: Id) -> DeviceDetail:
    """A device whole: its facts, what it measures, its place among the others, and what changed."""
    return _detail(parts, site_id, device_id)


def _detail(parts: Parts, site_id: int, device_id: int) -> DeviceDetail:
    store = parts.context.store
    site = store.fleet.site(site_id)
    rows = {row.id: row for row in store.fleet.devices(site_id)}
    row = rows.get(device_id)
    if row is None:
        raise NotFound("This site has no such device.")
    facts = next(f for f in _facts(parts, site, rows.values()) if f["id"] == device_id)
    infos = [i for i in store.timeseries.catalogue(site_id) if i.key.device_id == device_id]
    metrics = metrics_of(infos)
    newest = store.timeseries.newest_of_devices(site_id, [m.metric for m in metrics]) if metrics else {}
    return DeviceDetail(
        **facts,
        rated_w=row.rated_w,
        first_seen=row.first_seen,
        parent=_ref(rows.get(row.parent_id or 0)),
        children=[ref for r in rows.values() if r.parent_id == device_id and (ref := _ref(r)) is not None],
        replaces=_ref(rows.get(row.replaces_id or 0)),
        replaced_by=_ref(rows.get(facts["replaced_by_id"] or 0)),
        may_replace=[ref for r in _may_replace(row, rows.values()) if (ref := _ref(r)) is not None],
        metrics=metrics,
        figures=[
            FigureOut(name, METRICS[name].unit, value, at) for name, (at, value) in newest.get(device_id, {}).items()
        ],
        flips=[
            FlipOut(f.at, f.what, f.before, f.after, f.reason)
            for f in store.fleet.flips_of_device(device_id, FLIPS_SHOWN)
        ],
    )


@patch("/api/sites/{site_id:int}/devices/{device_id:int}", operation_id="updateDevice", sync_to_thread=True)
def update_device(parts: GivenParts, site_id: Id, device_id: Id, data: JSONBody[DevicePatch]) -> DeviceDetail:
    """Say which device this one took the place of; null takes that back. Its history is then found from here."""
    store = parts.context.store
    store.fleet.site(site_id)
    if data.replaces is not None and not 0 <= data.replaces <= LARGEST_ID:
        raise NotFound("This site has no such device.")
    try:
        store.fleet.replace_device(site_id, device_id, data.replaces, parts.context.now())
    except ValueError as error:
        raise BadRequest(f"{error} Nothing was changed.") from None
    parts.context.events.publish("sites", (site_id,))
    return _detail(parts, site_id, device_id)


@get("/api/sites/{site_id:int}/flow", operation_id="getFlow", sync_to_thread=True)
def get_flow(parts: GivenParts, site_id: Id) -> FlowOut:
    """Where the power of a site goes now: solar, home, grid and battery, each with its own time.

    A battery is the site's own series, else the sum of its battery devices; their charge is the mean of theirs.
    """
    store = parts.context.store
    site = store.fleet.site(site_id)
    vendor = connector(site.vendor).vendor
    names = (vendor.power_metric, "consumption_power_w", "grid_power_w", "battery_power_w", "state_of_charge_pct")
    newest = store.timeseries.newest_of_devices(site_id, names)
    own = newest.get(SITE_DEVICE_ID, {})
    in_use = [d for d in store.fleet.devices(site_id) if d.status != DeviceStatus.RETIRED]
    batteries = [d.id for d in in_use if d.device_type == DeviceType.BATTERY]

    def of_batteries(metric: str, share: float) -> tuple[int, float] | None:
        found = [newest[d][metric] for d in batteries if metric in newest.get(d, {})]
        # A battery that says nothing would make a sum of the others look like the whole.
        if not found or len(found) < len(batteries):
            return None
        return min(at for at, _ in found), sum(value for _, value in found) * share

    solar, home, grid = (own.get(name) for name in names[:3])
    battery = own.get("battery_power_w") or of_batteries("battery_power_w", 1)
    charge = own.get("state_of_charge_pct") or of_batteries("state_of_charge_pct", 1 / max(1, len(batteries)))
    return FlowOut(
        solar_w=solar[1] if solar else None,
        solar_at=solar[0] if solar else None,
        home_w=home[1] if home else None,
        home_at=home[0] if home else None,
        grid_w=grid[1] if grid else None,
        grid_at=grid[0] if grid else None,
        battery_w=battery[1] if battery else None,
        battery_at=battery[0] if battery else None,
        charge_pct=charge[1] if charge else None,
        charge_at=charge[0] if charge else None,
        has_home=home is not None,
        has_grid=grid is not None,
        has_battery=bool(batteries) or battery is not None or charge is not None,
        battery_devices=batteries,
    )


def metrics_of(infos: Iterable[SeriesInfo]) -> list[MetricOut]:
    """The metrics of some series, with the interval lengths and the span that each has."""
    found: dict[str, MetricOut] = {}
    for info in infos:
        entry = METRICS.get(info.key.metric)
        if entry is None:
            continue
        out = found.setdefault(
            entry.name, MetricOut(entry.name, entry.unit, entry.kind, [], False, 0, info.first, info.last)
        )
        if info.key.interval_s not in out.intervals_s:
            out.intervals_s.append(info.key.interval_s)
        out.site = out.site or info.key.device_id == SITE_DEVICE_ID
        out.devices += info.key.device_id != SITE_DEVICE_ID
        out.first, out.last = min(out.first, info.first), max(out.last, info.last)
    return list(found.values())


def _facts(parts: Parts, site: SiteRow, rows: Iterable[DeviceRow] | None = None) -> list[dict[str, Any]]:
    """What a list shows of each device, as the fields of DeviceOut."""
    store, now = parts.context.store, parts.context.now()
    devices = list(store.fleet.devices(site.id) if rows is None else rows)
    vendor = connector(site.vendor).vendor
    newest = store.timeseries.newest_of_devices(site.id, (vendor.power_metric, *_TELLING))
    tz = clock.zone(site.timezone)
    energy: Mapping[int, float] = {}
    if tz is not None:
        today = clock.local_day(clock.day_of(now, tz), tz)
        energy = store.timeseries.energy_of_devices(site.id, "dc_energy_wh", today)
        energy = {**energy, **store.timeseries.energy_of_devices(site.id, "energy_wh", today)}
    heirs = {d.replaces_id: d.id for d in devices if d.replaces_id is not None}
    found = []
    for d in devices:
        figures = newest.get(d.id, {})
        power = figures.get(vendor.power_metric)
        found.append(
            {
                "id": d.id,
                "vendor_device_id": d.vendor_device_id,
                "device_type": d.device_type,
                "name": d.name,
                "serial_number": d.serial_number,
                "model": d.model,
                "manufacturer": d.manufacturer,
                "part_number": d.part_number,
                "firmware": d.firmware,
                "status": d.status,
                "installed_on": d.installed_on,
                "parent_id": d.parent_id,
                "last_reported_at": d.last_reported_at,
                "power_w": power[1] if power else None,
                "measured_at": power[0] if power else None,
                "figure": _telling(figures, (vendor.power_metric, *_TELLING)),
                "energy_today_wh": energy.get(d.id),
                "replaces_id": d.replaces_id,
                "replaced_by_id": heirs.get(d.id),
            }
        )
    return found


def _may_replace(row: DeviceRow, rows: Iterable[DeviceRow]) -> list[DeviceRow]:
    """Devices of the same type that are not heard any more, and whose place nobody has taken."""
    taken = {other.replaces_id for other in rows if other.id != row.id}
    gone = {DeviceStatus.RETIRED, DeviceStatus.OFFLINE}
    return [
        other
        for other in rows
        if other.id != row.id
        and other.device_type == row.device_type
        and other.id not in taken
        and (other.status in gone or other.id == row.replaces_id)
    ]


def _telling(figures: Mapping[str, tuple[int, float]], order: Sequence[str]) -> FigureOut | None:
    for name in order:
        if name in figures:
            at, value = figures[name]
            return FigureOut(name, METRICS[name].unit, value, at)
    return None


def _ref(row: DeviceRow | None) -> DeviceRef | None:
    return None if row is None else DeviceRef(row.id, row.device_type, row.name, row.serial_number, row.status)


ROUTES = [list_devices, get_device, update_device, get_flow]
