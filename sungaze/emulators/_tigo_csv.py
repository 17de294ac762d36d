"""Tigo's two CSV answers: `aggregate` by object, `combined` summed (sections 2.8 and 2.9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from itertools import groupby

import numpy as np

from sungaze.emulators._hash import Floats, unit
from sungaze.emulators._service import Request
from sungaze.emulators._tigo_ask import PARAMS, Window, check_length, choice, object_ids, step_of, window_of
from sungaze.emulators._tigo_site import INVERTER_EFFICIENCY, MINUTE_S, SystemView, night_of
from sungaze.emulators.world import INTERVAL_S

SWITCHES = (
    "header_change", "header_only", "nan", "future", "empty_short", "dropout", "dst_once", "level_only",
)  # fmt: skip
SHORT_S = 2 * 3_600
FUTURE_S = 2 * 3_600
LATE_S = 3_600


@dataclass(slots=True)
class Spoils:
    """The switches that strike one answer; `unseen` says of a minute's start whether it is read for the first time."""

    on: frozenset[str] = frozenset()
    unseen: Callable[[int], bool] = field(default=lambda _: False)


def aggregate(view: SystemView, request: Request, spoils: Spoils) -> str:
    """Return the series of every object asked for, all panels by default."""
    param = choice(request, "param", PARAMS, "Pin")
    level = choice(request, "level", ("min", "minute", "day"), "min")
    key = choice(request, "header", ("id", "key"), "id") == "key"
    choice(request, "sensors", ("true", "false"), "false")
    window, asked = window_of(request, view), object_ids(request)
    check_length(window, by_minute=level != "day")
    columns = _columns(view, param)
    numbers = [n for n, (object_id, _) in enumerate(columns) if not asked or object_id in asked]
    names = [_key(view, columns[n][1], param) if key else str(columns[n][0]) for n in numbers]
    if "header_only" in spoils.on or not numbers or ("empty_short" in spoils.on and window.wall_s <= SHORT_S):
        return "Datetime\n"
    if level == "day":
        days, table = _daily(view, window)
        rows = [(_stamp(day), _cells(_of_param(view, line, param)[numbers], spoils)) for day, line in
                zip(days, table, strict=True)]  # fmt: skip
        return _table("Datetime", names, rows)
    changes = "header_change" in spoils.on and not asked and len(numbers) > 1
    return _table("Datetime", names, list(_minutes(view, window, param, numbers, spoils)), changes=changes)


def combined(view: SystemView, request: Request, spoils: Spoils) -> str:
    """Return sums: the whole system by default, else one column for each object asked for."""
    step = step_of(request, level_only="level_only" in spoils.on)
    window, asked = window_of(request, view), object_ids(request)
    check_length(window, by_minute=step == "minute")
    groups = _groups(view)
    names = [str(object_id) for object_id in asked if object_id in groups] if asked else [str(view.base)]
    if "header_only" in spoils.on or not names or ("empty_short" in spoils.on and window.wall_s <= SHORT_S):
        return "Datetime\n"
    members = [groups[int(name)] for name in names]
    if step == "minute":
        rows = list(_minutes(view, window, "Pin", members, spoils, fraction=".000"))
        return _table("DATETIME", names, rows, changes="header_change" in spoils.on and not asked)
    if step == "hour":
        return _table("DATETIME", names, list(_hours(view, window, members, spoils)))
    days, table = _daily(view, window)
    sums = np.stack([_sum(table[:, panels]) for panels in members], axis=1) if days else table[:, :0]
    if step == "day":
        rows = [(_stamp(day), _cells(line, spoils)) for day, line in zip(days, sums, strict=True)]
        return _table("DATETIME", names, rows)
    return _table("DATETIME", names, list(_coarse(days, sums, step, spoils)))


def _minutes(
    view: SystemView,
    window: Window,
    param: str,
    wanted: list[int] | list[list[int]],
    spoils: Spoils,
    fraction: str = "",
) -> Iterator[tuple[str, list[str]]]:
    """Yield rows by minute; `wanted` names a column's number, or the panels that it adds up."""
    first = -(-window.start // MINUTE_S) * MINUTE_S
    end = min(window.end + 1, view.held_until)
    fives = view.fives(first, end)
    night = night_of(view.plan)
    recent = view.held_until - LATE_S
    outs = view.plan.is_out(fives.start) if len(fives.start) else fives.start
    for at, watts, is_out in zip(fives.start.tolist(), fives.panel_w, outs.tolist(), strict=True):
        if (night == "absent" or is_out) and np.isnan(watts).all():
            continue
        whole = _line(view, watts, param, wanted, spoils)
        half = _line(view, _halved(watts), param, wanted, spoils) if at + INTERVAL_S > recent else whole
        for start in range(max(at, first), min(at + INTERVAL_S, end), MINUTE_S):
            local = datetime.fromtimestamp(start, view.plan.zone)
            if "dst_once" in spoils.on and local.fold:
                continue
            cells = half if start >= recent and spoils.unseen(start) else whole
            yield f"{local:%Y/%m/%d %H:%M:%S}{fraction}", cells
    if "future" in spoils.on:
        for ahead in (FUTURE_S, FUTURE_S + MINUTE_S):
            local = datetime.fromtimestamp(int(view.now) // MINUTE_S * MINUTE_S + ahead, view.plan.zone)
            yield f"{local:%Y/%m/%d %H:%M:%S}{fraction}", ["123.4"] * len(wanted)


def _line(
    view: SystemView, watts: Floats, param: str, wanted: list[int] | list[list[int]], spoils: Spoils
) -> list[str]:
    if "dropout" in spoils.on:
        watts = watts.copy()
        watts[view.plan.pick(0, view.plan.panels - 1, "dropout")] = np.nan
    if wanted and isinstance(wanted[0], list):
        return _cells(np.array([_sum(watts[None, panels])[0] for panels in wanted]), spoils)
    return _cells(_of_param(view, watts, param)[wanted], spoils)


def _halved(watts: Floats) -> Floats:
    """Return the figures of every other panel, as when the rest has not arrived (fault late)."""
    part = watts.copy()
    part[1::2] = np.nan
    return part


def _hours(
    view: SystemView, window: Window, members: list[list[int]], spoils: Spoils
) -> Iterator[tuple[str, list[str]]]:
    fives = view.fives(window.start // 3_600 * 3_600, window.end + 1)
    zone = view.plan.zone
    keyed = list(zip(fives.start.tolist(), fives.panel_w, strict=True))
    for hour, part in groupby(keyed, lambda pair: _hour_of(pair[0], zone)):
        watts = np.stack([line for _, line in part])
        sums = np.array([_sum(watts[:, panels].reshape(1, -1))[0] for panels in members])
        yield f"{hour[:13]}:00:00", _cells(sums * (INTERVAL_S / 3600.0), spoils)


def _hour_of(epoch_s: int, zone: tzinfo) -> str:
    local = datetime.fromtimestamp(epoch_s, zone)
    return f"{local:%Y/%m/%d %H}{local.fold}"


def _coarse(days: list[date], sums: Floats, step: str, spoils: Spoils) -> Iterator[tuple[str, list[str]]]:
    def begin(pair: tuple[date, Floats]) -> date:
        return pair[0].replace(day=1) if step == "month" else pair[0].replace(month=1, day=1)

    for first, part in groupby(zip(days, sums, strict=True), begin):
        yield _stamp(first), _cells(_sum(np.stack([line for _, line in part]).T), spoils)


def _daily(view: SystemView, window: Window) -> tuple[list[date], Floats]:
    """Return whole local days: the server widens the window to them (section 2.9)."""
    return view.daily_wh(view.plan.local_date(window.start), view.plan.local_date(window.end))


def _groups(view: SystemView) -> dict[int, list[int]]:
    """Return the panels behind every object: system, inverters, strings, panels."""
    plan, groups = view.plan, {view.base: list(range(view.plan.panels))}
    for number in range(len(plan.limit_w)):
        groups[view.inverter_object_id(number)] = np.flatnonzero(plan.inverter == number).tolist()
    for part in view.strings():
        groups[part.object_id] = list(part.panels)
    return groups | {view.base + 1_000 + panel: [panel] for panel in range(plan.panels)}


def _columns(view: SystemView, param: str) -> list[tuple[int, int]]:
    """Return (object id, number) of the columns of a parameter: panels, or inverters for their AC side."""
    if param.startswith("Inv"):
        return [(view.inverter_object_id(n), n) for n in range(len(view.plan.limit_w))]
    return [(view.base + 1_000 + n, n) for n in range(view.plan.panels)]


def _key(view: SystemView, number: int, param: str) -> str:
    if param.startswith("Inv"):
        return f"{view.source_serial(number)}.inverters.Inverter {number + 1}_{param}"
    return f"{view.source_serial(view.source_of(number))}.panels.{view.panel_labels()[number]}_{param}"


def _of_param(view: SystemView, watts: Floats, param: str) -> Floats:
    """Return a line's values of a parameter from its DC power."""
    if param == "Pin":
        return watts
    if param.startswith("Inv"):
        belongs = range(len(view.plan.limit_w))
        return np.array([_sum(watts[None, view.plan.inverter == n])[0] * INVERTER_EFFICIENCY for n in belongs])
    volts = np.array([view.volts(panel) for panel in range(view.plan.panels)])
    if param == "Vin":
        return np.where(np.isnan(watts), np.nan, np.where(watts > 0, volts, 0.0))
    if param == "Iin":
        current: Floats = watts / volts
        return current
    signal = np.array([float(view.signal(panel)) for panel in range(view.plan.panels)])
    return np.where(np.isnan(watts), np.nan, signal)


def _sum(table: Floats) -> Floats:
    """Return the sum of each row, NaN where it holds no figure at all."""
    empty = np.isnan(table).all(axis=1)
    total: Floats = np.nansum(table, axis=1)
    total[empty] = np.nan
    return total


def _cells(values: Floats, spoils: Spoils) -> list[str]:
    cells = ["" if value != value else f"{value:.1f}".removesuffix(".0") for value in values.tolist()]
    if "nan" not in spoils.on:
        return cells
    return ["NaN" if not cell or unit("nan", cell) < 0.3 else cell for cell in cells]


def _stamp(day: date) -> str:
    return f"{day:%Y/%m/%d} 00:00:00"


def _table(first: str, names: list[str], rows: list[tuple[str, list[str]]], *, changes: bool = False) -> str:
    lines = [",".join([first, *names])]
    turn = len(rows) // 2 if changes else len(rows)
    lines += [",".join([stamp, *cells]) for stamp, cells in rows[:turn]]
    if changes:
        # The columns turn round, one falls away, and the new header says so in the middle of the body.
        order = list(range(len(names)))[::-1][: max(1, len(names) - 1)]
        lines.append(",".join([first.swapcase(), *(names[n] for n in order)]))
        lines += [",".join([stamp, *(cells[n] for n in order)]) for stamp, cells in rows[turn:]]
    return "\n".join(lines) + "\n"
