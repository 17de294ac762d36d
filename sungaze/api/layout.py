"""The panels of a site: its schematic grid at a moment or over a day, and where they lie by the user's word."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Annotated, Final

from litestar import get, patch, post
from litestar.params import FromQuery, JSONBody, QueryParameter

from sungaze import clock
from sungaze.api.parts import GivenParts, Id, Parts
from sungaze.api.shapes import (
    CellOut,
    DayCellOut,
    LayoutDayOut,
    LayoutOut,
    LineProblem,
    ParentOut,
    PlacedIn,
    PlacedOut,
    PositionChange,
    PositionOut,
    PositionsCsv,
    PositionsOut,
    PositionsPatch,
)
from sungaze.api.sites import instant
from sungaze.jobs.connect import BadRequest
from sungaze.model import METRICS, PRODUCING_TYPES, DeviceStatus, DeviceType, Metric
from sungaze.store.fleet import DeviceRow, Placement, SiteRow
from sungaze.vendors import connector

DISCLAIMER: Final = "Schematic only: the order is by serial number, not the arrangement on the roof."
MOST_VALUES: Final = 600_000
"""What one answer holds at most: 5,000 panels in quarter-hours."""
FARTHEST: Final = 1_000
"""The highest row and column."""
MOST_ARRAY: Final = 60
MOST_CSV: Final = 1_000_000
_PARENTS: Final = (DeviceType.INVERTER, DeviceType.STRING, DeviceType.STRING_CONVERTER)
_COLUMNS: Final = ("serial", "array", "row", "column")

_Line = tuple[int, tuple[int, Placement | None]]
"""A line's number, and the device and the place that it names."""

KindQuery = Annotated[str | None, QueryParameter(name="type", description="A device type; the finest producing one.")]
ColumnsQuery = Annotated[int, QueryParameter(ge=1, le=200)]


@get("/api/sites/{site_id:int}/layout", operation_id="getLayout", sync_to_thread=True)
def get_layout(
    parts: GivenParts,
    site_id: Id,
    metric: FromQuery[str | None] = None,
    kind: KindQuery = None,
    at: Annotated[str | None, QueryParameter(description="A past moment; now.")] = None,
    columns: ColumnsQuery = 8,
) -> LayoutOut:
    """The panels of a site as a schematic grid in the order of their serial numbers."""
    store, now = parts.context.store, parts.context.now()
    site = store.fleet.site(site_id)
    entry = _metric(site, metric)
    cells = _in_order(store.fleet.devices(site_id), kind)
    moment = instant(at, site) if at is not None else int(now)
    interval = store.timeseries.finest_of_devices(site_id, entry.name)
    newest = store.timeseries.latest(site_id, entry.name, interval, at=moment) if interval is not None else {}
    # For a past moment only a value that was of that moment is shown; for now the newest, which carries its own time.
    oldest = moment - max(3 * (interval or 0), 900) if at is not None else 0
    values = {device: found for device, found in newest.items() if found[0] >= oldest}
    return LayoutOut(
        site_id=site_id,
        metric=entry.name,
        unit=entry.unit,
        at=moment,
        columns=columns,
        disclaimer=DISCLAIMER,
        note=_note(site, cells, newest),
        cells=[
            CellOut(
                device_id=d.id,
                serial_number=d.serial_number,
                row=index // columns,
                column=index % columns,
                value=values[d.id][1] if d.id in values else None,
                timestamp=values[d.id][0] if d.id in values else None,
                status=d.status,
            )
            for index, d in enumerate(cells)
        ],
    )


@get("/api/sites/{site_id:int}/layout/day", operation_id="getLayoutDay", sync_to_thread=True)
def get_layout_day(
    parts: GivenParts,
    site_id: Id,
    metric: FromQuery[str | None] = None,
    date: Annotated[str | None, QueryParameter(description="A local date such as 2026-11-24; today.")] = None,
    kind: KindQuery = None,
    columns: ColumnsQuery = 8,
) -> LayoutDayOut:
    """A whole local day of every panel of a site, so that going through the day asks nothing more.

    A site whose zone is not known has its days in UTC.
    """
    store = parts.context.store
    site = store.fleet.site(site_id)
    entry = _metric(site, metric)
    devices = store.fleet.devices(site_id)
    cells = _in_order(devices, kind)
    tz = clock.zone(site.timezone) or dt.UTC
    local = clock.day_of(parts.context.now(), tz) if date is None else _date(date)
    day = clock.local_day(local, tz)
    found = store.timeseries.day_of_devices(site_id, {d.id for d in cells}, entry.name, day, most=MOST_VALUES)
    missing: list[float | None] = [None] * len(found.timestamps)
    ever = found.values if found.values.keys() & {d.id for d in cells} else _with_figures(parts, site_id, entry)
    above = {d.id: d for d in devices}
    chains = {d.id: _chain(d, above) for d in cells}
    parents = {p.id: p for chain in chains.values() for p in chain}
    drawn = any(d.vendor_position is not None for d in cells)
    return LayoutDayOut(
        site_id=site_id,
        metric=entry.name,
        unit=entry.unit,
        date=local.isoformat(),
        start=day.start,
        end=day.end,
        timezone=site.timezone or "UTC",
        interval_s=found.interval_s,
        columns=columns,
        disclaimer=DISCLAIMER,
        note=_note(site, cells, ever),
        positions_by=connector(site.vendor).vendor.name if drawn else "",
        timestamps=found.timestamps,
        parents=[
            ParentOut(p.id, p.device_type, p.name or p.serial_number or p.vendor_device_id)
            for p in sorted(parents.values(), key=lambda p: (p.device_type, p.name or p.serial_number or "", p.id))
        ],
        cells=[
            DayCellOut(
                device_id=d.id,
                serial_number=d.serial_number,
                name=d.name,
                row=index // columns,
                column=index % columns,
                status=d.status,
                inverter_id=next((p.id for p in chains[d.id] if p.device_type == DeviceType.INVERTER), None),
                string_id=next((p.id for p in chains[d.id] if p.device_type != DeviceType.INVERTER), None),
                position=_position(d),
                values=found.values.get(d.id, missing),
            )
            for index, d in enumerate(cells)
        ],
    )


@patch("/api/sites/{site_id:int}/positions", operation_id="updatePositions", sync_to_thread=True)
def update_positions(parts: GivenParts, site_id: Id, data: JSONBody[PositionsPatch]) -> PositionsOut:
    """Put panels where the user says, all of them or none; nulls take the user's word back.

    Two panels may change places in one request; in the end no two of them may have the same one.
    """
    parts.context.store.fleet.site(site_id)
    devices = {d.id: d for d in parts.context.store.fleet.devices(site_id)}
    wanted: dict[int, Placement | None] = {}
    for number, item in enumerate(data.items, start=1):
        if item.device_id not in devices:
            raise BadRequest(f"Position {number} is of a device that this site does not have; nothing was changed.")
        if item.device_id in wanted:
            raise BadRequest(f"Position {number} is of a device that was placed before; nothing was changed.")
        wanted[item.device_id] = _placement(item, number)
    taken = _taken(devices.values(), wanted)
    for device_id, placement in wanted.items():
        if placement is not None and len(taken[placement]) > 1:
            other = next(d for d in taken[placement] if d.id != device_id)
            raise BadRequest(f"{_where(placement)} is taken by {_called(other)}; nothing was changed.")
    return _save(parts, site_id, devices, list(enumerate(wanted.items(), start=1)), [])


@post("/api/sites/{site_id:int}/positions/csv", operation_id="importPositions", status_code=200, sync_to_thread=True)
def import_positions(parts: GivenParts, site_id: Id, data: JSONBody[PositionsCsv]) -> PositionsOut:
    """Put panels where the lines of a CSV say; lines that cannot be used are named, and left out.

    Columns are `serial, array, row, column`, divided by commas, semicolons or tabs, with or without a heading. An
    empty row and column take the user's word back.
    """
    parts.context.store.fleet.site(site_id)
    if len(data.text) > MOST_CSV:
        raise BadRequest("The file is larger than a megabyte; nothing was changed.")
    devices = {d.id: d for d in parts.context.store.fleet.devices(site_id)}
    wanted, problems = _read_csv(data.text, devices.values())
    if not wanted and not problems:
        raise BadRequest("The file has no lines; it needs serial, array, row and column. Nothing was changed.")
    kept, problems = _without_clashes(devices.values(), wanted, problems)
    problems.sort(key=lambda problem: problem.line)
    return _save(parts, site_id, devices, kept, problems, preview=data.preview)


def _metric(site: SiteRow, name: str | None) -> Metric:
    entry = METRICS.get(name or connector(site.vendor).vendor.power_metric)
    if entry is None:
        raise BadRequest(f"There is no metric called “{(name or '')[:60]}”.")
    return entry


def _date(text: str) -> dt.date:
    try:
        day = dt.date.fromisoformat(text.strip())
    except ValueError:
        raise BadRequest(f"“{text[:60]}” is no date; write one like 2026-11-24.") from None
    if not 1990 <= day.year < 2200:
        raise BadRequest(f"“{text[:60]}” lies outside the years 1990 to 2199.")
    return day


def _in_order(devices: Iterable[DeviceRow], kind: str | None) -> list[DeviceRow]:
    """The devices of a layout in their order: of that type, or of the finest producing one. Raises BadRequest."""
    if kind is not None and kind not in set(DeviceType):
        raise BadRequest(f"There is no device type called “{kind[:60]}”.")
    active = [d for d in devices if d.status != DeviceStatus.RETIRED]
    present = {d.device_type for d in active}
    shown = kind or next((t.value for t in PRODUCING_TYPES if t in present), None)
    cells = [d for d in active if d.device_type == shown]
    cells.sort(key=lambda d: (d.serial_number is None, d.serial_number or "", d.id))
    return cells


def _note(site: SiteRow, cells: Sequence[DeviceRow], with_figures: Iterable[int]) -> str:
    """Why there is no figure per panel, where none of them ever had one."""
    none = cells and {d.id for d in cells}.isdisjoint(with_figures)
    return connector(site.vendor).vendor.panels_note if none else ""


def _with_figures(parts: Parts, site_id: int, entry: Metric) -> Iterable[int]:
    series = parts.context.store.timeseries
    interval = series.finest_of_devices(site_id, entry.name)
    return series.latest(site_id, entry.name, interval) if interval is not None else ()


def _chain(device: DeviceRow, devices: dict[int, DeviceRow]) -> list[DeviceRow]:
    """The strings and inverters that a device hangs from, nearest first."""
    found: list[DeviceRow] = []
    seen = {device.id}
    above = devices.get(device.parent_id or 0)
    while above is not None and above.id not in seen:
        seen.add(above.id)
        if above.device_type in _PARENTS:
            found.append(above)
        above = devices.get(above.parent_id or 0)
    return found


def _position(device: DeviceRow) -> PositionOut | None:
    mine, drawn = device.user_position, device.vendor_position
    if mine is None and drawn is None:
        return None
    return PositionOut(
        by="user" if mine else "vendor",
        array=mine.array if mine else None,
        row=mine.row if mine else None,
        column=mine.column if mine else None,
        x=drawn[0] if drawn else None,
        y=drawn[1] if drawn else None,
    )


def _placement(item: PlacedIn, number: int) -> Placement | None:
    if item.row is None and item.column is None:
        return None
    if item.row is None or item.column is None:
        raise BadRequest(f"Position {number} needs a row and a column, or neither; nothing was changed.")
    if not (1 <= item.row <= FARTHEST and 1 <= item.column <= FARTHEST):
        raise BadRequest(
            f"Row and column of position {number} have to lie between 1 and {FARTHEST}; nothing was changed."
        )
    array = (item.array or "").strip()
    if len(array) > MOST_ARRAY:
        raise BadRequest(f"The array of position {number} is longer than {MOST_ARRAY} letters; nothing was changed.")
    return Placement(array or None, item.row, item.column)


def _taken(devices: Iterable[DeviceRow], wanted: dict[int, Placement | None]) -> dict[Placement, list[DeviceRow]]:
    """Who would be where, once all that is wanted stands; retired ones are nowhere."""
    found: dict[Placement, list[DeviceRow]] = {}
    for device in devices:
        placement = wanted.get(device.id, device.user_position)
        if placement is not None and (device.id in wanted or device.status != DeviceStatus.RETIRED):
            found.setdefault(placement, []).append(device)
    return found


def _without_clashes(
    devices: Iterable[DeviceRow], wanted: list[_Line], problems: list[LineProblem]
) -> tuple[list[_Line], list[LineProblem]]:
    """The lines that can stand together; of two that want one place the later gives way.

    Looked at anew after each round: a panel that stays where it was may be in the way of another line.
    """
    while True:
        lines = {device_id: line for line, (device_id, _) in wanted}
        taken = _taken(devices, dict(place for _, place in wanted))
        clashes: dict[int, LineProblem] = {}
        for line, (device_id, placement) in wanted:
            for other in taken[placement] if placement is not None else ():
                if placement is not None and other.id != device_id and lines.get(other.id, 0) < line:
                    clashes[line] = LineProblem(line, f"{_where(placement)} is taken by {_called(other)}")
        if not clashes:
            return wanted, problems
        wanted = [entry for entry in wanted if entry[0] not in clashes]
        problems = [*problems, *clashes.values()]


def _read_csv(text: str, devices: Iterable[DeviceRow]) -> tuple[list[_Line], list[LineProblem]]:
    """What the lines want, by line number, and the lines that cannot be used."""
    by_serial: dict[str, list[DeviceRow]] = {}
    for device in devices:
        if device.serial_number and device.status != DeviceStatus.RETIRED:
            by_serial.setdefault(device.serial_number, []).append(device)
    lines = text.removeprefix("\ufeff").splitlines()
    head = next((line for line in lines if line.strip()), "")
    reader = csv.reader(lines, delimiter=max(",;\t", key=head.count), skipinitialspace=True)
    order = {name: place for place, name in enumerate(_COLUMNS)}
    wanted: list[_Line] = []
    problems: list[LineProblem] = []
    seen: dict[int, int] = {}
    begun = False
    try:
        for fields in reader:
            row = [field.strip() for field in fields]
            names = [field.casefold() for field in row]
            if not any(row):
                continue
            if not begun and "serial" in names and "row" in names and "column" in names:
                order = {name: names.index(name) if name in names else -1 for name in _COLUMNS}
                begun = True
                continue
            begun = True
            line = reader.line_num
            read = {name: row[at] if 0 <= at < len(row) else "" for name, at in order.items()}
            found = by_serial.get(read["serial"], [])
            if not found:
                problems.append(LineProblem(line, f"no panel here has the serial number “{read['serial'][:60]}”"))
            elif len(found) > 1:
                problems.append(LineProblem(line, f"more than one panel has the serial number “{read['serial'][:60]}”"))
            elif found[0].id in seen:
                problems.append(
                    LineProblem(line, f"“{read['serial'][:60]}” was placed by line {seen[found[0].id]} already")
                )
            elif isinstance(placement := _placed(read), str):
                problems.append(LineProblem(line, placement))
            else:
                seen[found[0].id] = line
                wanted.append((line, (found[0].id, placement)))
    except csv.Error as error:
        raise BadRequest(f"Line {reader.line_num} is no CSV ({error}); nothing was changed.") from None
    return wanted, problems


def _placed(read: dict[str, str]) -> Placement | str | None:
    """The place that a line names, None to take the user's word back, or what is wrong with it."""
    if not read["row"] and not read["column"]:
        return None
    numbers = []
    for name in ("row", "column"):
        written = read[name]
        if not (written.isascii() and written.isdigit() and len(written) <= 6 and 1 <= int(written) <= FARTHEST):
            return f"its {name} is “{written[:20]}”, not a whole number from 1 to {FARTHEST}"
        numbers.append(int(written))
    if len(read["array"]) > MOST_ARRAY:
        return f"its array is longer than {MOST_ARRAY} letters"
    return Placement(read["array"] or None, *numbers)


def _save(
    parts: Parts,
    site_id: int,
    devices: dict[int, DeviceRow],
    wanted: Sequence[_Line],
    problems: list[LineProblem],
    *,
    preview: bool = False,
) -> PositionsOut:
    changes = [
        PositionChange(
            line, _out(devices[device_id], devices[device_id].user_position), _out(devices[device_id], after)
        )
        for line, (device_id, after) in wanted
        if devices[device_id].user_position != after
    ]
    if changes and not preview:
        parts.context.store.fleet.place_devices(site_id, dict(place for _, place in wanted), parts.context.now())
        parts.context.events.publish("sites", (site_id,))
    return PositionsOut(not preview, len(wanted) - len(changes), changes, problems)


def _out(device: DeviceRow, placement: Placement | None) -> PlacedOut:
    return PlacedOut(
        device.id,
        device.serial_number,
        placement.array if placement else None,
        placement.row if placement else None,
        placement.column if placement else None,
    )


def _where(placement: Placement) -> str:
    array = f" of {placement.array}" if placement.array else ""
    return f"Row {placement.row}, column {placement.column}{array}"


def _called(device: DeviceRow) -> str:
    return device.serial_number or device.name or device.vendor_device_id


ROUTES = [get_layout, get_layout_day, update_positions, import_positions]
