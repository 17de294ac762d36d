"""`python -m bench [PART]…`: run every part, or those named, and print one table."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from bench._measure import as_table

PARTS = {
    "ingest": ("bench.ingest",),
    "start": ("bench.start",),
    "api": ("bench.api",),
    "planner": ("bench.planner",),
    "vendors": ("bench.vendors", "bench.cps"),
    "web": ("bench.web",),
    "panels": ("bench.panels",),
    "desktop": ("bench.desktop",),
}
"""The modules of each part; the `rows` of each are its lines of the table."""


def main(wanted: Sequence[str]) -> int:
    """Exit code 0, or 2 for a part that is none."""
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        print(f"There is no benchmark called {', '.join(unknown)}; there is {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    modules = [importlib.import_module(module) for name in wanted or PARTS for module in PARTS[name]]
    print(as_table([row for module in modules for row in module.rows()]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
