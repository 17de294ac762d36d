"""The truth as CSV in canonical names, to hold a connector's result against."""

from __future__ import annotations

import csv
import time
from datetime import UTC, datetime
from typing import TextIO

from sungaze.emulators._registry import service_of
from sungaze.emulators.world import World

HEADER = ("vendor", "vendor_site_id", "vendor_device_id", "metric_name", "interval_s", "timestamp", "value")


def write_truth(
    out: TextIO,
    vendor: str,
    sites: int,
    panels: int,
    seed: int,
    start: float,
    end: float,
    now: float | None = None,
) -> int:
    """Write every true interval of a vendor's sites that lies wholly inside [start, end); return the rows.

    `start`, `end`, `now` are epoch seconds; `end` is clamped to `now` (default: the real clock), so a local
    day still running is left out. Timestamps are interval starts in UTC; values have three decimals at most;
    the site itself has an empty vendor_device_id. Raises ValueError for an unknown vendor or an empty world.
    """
    service = service_of(vendor)
    world = World(seed, sites, panels)
    until = int(min(end, time.time() if now is None else now))
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(HEADER)
    rows = 0
    for k in range(sites):
        for row in service.truth(world, k, int(-(-start // 1)), until):
            moment = datetime.fromtimestamp(row.start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            value = f"{row.value:.3f}".rstrip("0").rstrip(".")
            lines.writerow((vendor, row.site_id, row.device_id, row.metric, row.interval_s, moment, value))
            rows += 1
    return rows
