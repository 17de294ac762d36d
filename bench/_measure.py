"""What every benchmark needs: a row of the table, and percentiles of what was timed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table; `bound` is what the issue asks for, empty where it asks for nothing.

    `value` is the figure as a number, in the unit that the figure names, for whoever reads the rows as JSON.
    """

    what: str
    figure: str
    bound: str = ""
    value: float | None = None


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie; the nearest one, not interpolated."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return percentile(values, 0.5)


def milliseconds(values: Sequence[float]) -> str:
    """Median, 95th percentile and maximum of seconds, as milliseconds."""
    shown = (median(values), percentile(values, 0.95), max(values))
    return "p50 {:.1f} ms, p95 {:.1f} ms, max {:.0f} ms".format(*(1000 * value for value in shown))


def as_table(rows: Sequence[Row]) -> str:
    """The rows under their headings, in columns."""
    lines = [row[:3] for row in (Row("what", "figure", "bound"), *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(3)]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([shown[0], "-" * len(shown[0]), *shown[1:]])
