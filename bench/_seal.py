"""`python -m bench._seal DATABASE NOW`: seal all of a store in a process of its own, and say what it took as JSON.

Of its own, because the peak of memory is a process's.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from pathlib import Path

from sungaze.store import Store


def main(path: str, now: str) -> None:
    """Print `seconds`, and `memory`: the peak of the process before and after, bytes."""
    store = Store(Path(path))
    before = _peak()
    began = time.perf_counter()
    store.seal(float(now), everything=True)  # type: ignore[attr-defined, unused-ignore]
    took = time.perf_counter() - began
    store.close()
    print(json.dumps({"seconds": took, "memory": [before, _peak()]}))


def _peak() -> int:
    with contextlib.suppress(OSError):  # Linux counts the peak of whoever started a process in with its usage
        status = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if sys.platform == "darwin" else kilobytes * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
