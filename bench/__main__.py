"""`python -m bench [PART]… [--against PEER,…] [--json]`: run every part, or those named, and print one table."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence

from bench._measure import as_table

PARTS = {
    "ingest": ("bench.ingest",),
    "store": ("bench.store",),
    "start": ("bench.start",),
    "api": ("bench.api",),
    "planner": ("bench.planner",),
    "vendors": ("bench.vendors", "bench.cps"),
    "web": ("bench.web",),
    "panels": ("bench.panels",),
    "desktop": ("bench.desktop",),
}
"""The modules of each part; the `rows` of each are its lines of the table."""


def main(wanted: Sequence[str], against: str = "", as_json: bool = False) -> int:
    """Exit code 0, or 2 for a part or a peer that is none."""
    from bench._peers import PEERS

    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        print(f"There is no benchmark called {', '.join(unknown)}; there is {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    peers = [name.strip() for name in against.split(",") if name.strip()]
    strange = [name for name in peers if name not in PEERS]
    if strange or (peers and "store" not in (wanted or PARTS)):
        said = f"There is no peer called {', '.join(strange)}" if strange else "Peers are for the part store"
        print(f"{said}; there is {', '.join(PEERS)}.", file=sys.stderr)
        return 2
    found = []
    for name in wanted or PARTS:
        for module in map(importlib.import_module, PARTS[name]):
            found += module.rows(peers) if name == "store" else module.rows()
    print(json.dumps([row._asdict() for row in found], indent=1) if as_json else as_table(found))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--against", default="")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    sys.exit(main(given.parts, given.against, given.json))
