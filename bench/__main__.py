"""`python -m bench [PART]…`: run every part, or those named, and print one table."""

from __future__ import annotations

import sys

from bench import api, ingest, start
from bench._measure import as_table

PARTS = {"ingest": ingest.rows, "start": start.rows, "api": api.rows}


def main() -> int:
    """Exit code 0, or 2 for a part that is none."""
    wanted = sys.argv[1:] or list(PARTS)
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        print(f"There is no benchmark called {', '.join(unknown)}; there is {', '.join(PARTS)}.", file=sys.stderr)
        return 2
    print(as_table([row for name in wanted for row in PARTS[name]()]))
    return 0


sys.exit(main())
