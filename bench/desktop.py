"""The desktop program beside the same from the environment: size, start to painted fleet, memory, idleness.

`make dist` first. `python -m bench.desktop --quick` rests a minute where the table's run rests ten.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import httpx

from bench._measure import Row, as_table, median
from bench._screen import Screen, cpu_s, environment, painted_s, processes, pss_mb, rss_mb, running, screen
from bench._store import fill

PROGRAM: Final = Path(__file__).parents[1] / "out" / "dist" / "sungaze"
SITES: Final = 25
RUNS: Final = 7
SETTLE_S: Final = 15.0
IDLE_S: Final = 600.0
QUICK_S: Final = 60.0
ENOUGH: Final = 25
PATIENCE_S: Final = 180.0

_EMPTY: Final = """
import gi
gi.require_version("Gtk", "3.0")
gi.require_version("WebKit2", "4.1")
from gi.repository import Gtk, WebKit2
window, view = Gtk.Window(), WebKit2.WebView()
window.set_default_size(1280, 800)
window.add(view)
view.load_html("<p>empty", None)
window.show_all()
Gtk.main()
"""


def rows(idle_s: float = IDLE_S) -> list[Row]:
    """Every figure of the desktop program that has a bound; one line that says so before `make dist`."""
    if not PROGRAM.is_file():
        return [Row("the executable", "is not built: make dist", "≤ 60 MB")]
    size = Row("the executable", f"{PROGRAM.stat().st_size / 1e6:.1f} MB", "≤ 60 MB")
    with tempfile.TemporaryDirectory() as folder, screen() as shown:
        data = Path(folder) / "data"
        data.mkdir()
        fill(data / "sungaze.db", SITES, time.time())
        return [size, *_starts(shown, Path(folder), data), *_resting(shown, Path(folder), data, idle_s), *_demo()]


def _starts(shown: Screen, home: Path, data: Path) -> list[Row]:
    """The two in turn; the first of each is not counted, for it finds neither its files read nor WebKit's caches."""
    environ = environment(shown.display, home)
    packed, checkout = [], []
    for _ in range(RUNS + 1):
        packed.append(_start(shown, [str(PROGRAM)], environ, home, data))
        checkout.append(_start(shown, [sys.executable, "-m", "sungaze.cli"], environ, home, data))
    ratio = median([one / other for one, other in zip(packed[1:], checkout[1:], strict=True)])
    what = f"start to painted fleet of {SITES}"
    return [
        Row(f"{what}, executable", f"median {median(packed[1:]):.2f} s, worst {max(packed):.2f} s", "every ≤ 3.5 s"),
        Row(f"{what}, environment", f"median {median(checkout[1:]):.2f} s, worst {max(checkout):.2f} s", "≤ 1.5 s"),
        Row("the one beside the other", f"median {ratio:.2f} ×", "≤ 2.5 ×"),
    ]


def _start(shown: Screen, command: Sequence[str], environ: dict[str, str], home: Path, data: Path) -> float:
    began = time.perf_counter()
    with running([*command, "--data-dir", str(data)], environ, home) as process:
        return painted_s(shown, process, began)


def _resting(shown: Screen, home: Path, data: Path, idle_s: float) -> list[Row]:
    """Memory of the tree beside that of an empty window's, and processor time while nobody touches it."""
    environ = environment(shown.display, home)
    with running([sys.executable, "-c", _EMPTY], environ, home) as process:
        time.sleep(SETTLE_S)
        empty = pss_mb(process.pid)
    with running([str(PROGRAM), "--data-dir", str(data)], environ, home) as process:
        painted_s(shown, process, time.perf_counter())
        time.sleep(SETTLE_S)
        memory, count = pss_mb(process.pid), len(processes(process.pid))
        before, began = cpu_s(process.pid), time.perf_counter()
        time.sleep(idle_s)
        share = (cpu_s(process.pid) - before) / (time.perf_counter() - began)
    return [
        Row(
            f"memory with the window, {count} processes (PSS)",
            f"{memory:.0f} MB; an empty WebKit window's {empty:.0f} MB",
        ),
        Row(f"processor time of a core over {idle_s / 60:.0f} min of rest, all", f"{100 * share:.2f} %", "≤ 1 %"),
    ]


def _demo() -> list[Row]:
    """The demo without a window, once its fleet is there and has settled."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environ = environment("", home)
        del environ["DISPLAY"]
        command = [str(PROGRAM), "--server", "--port", "0", "--demo", "--data-dir", str(home / "data")]
        with running(command, environ, home) as process:
            deadline = time.monotonic() + PATIENCE_S
            while (sites := _sites(home / "data")) < ENOUGH:
                if time.monotonic() > deadline:
                    raise TimeoutError("the demo's fleet did not come")
                time.sleep(0.5)
            time.sleep(SETTLE_S)
            return [
                Row(
                    f"memory without a window, demo of {sites} sites (RSS)", f"{rss_mb(process.pid):.0f} MB", "≤ 140 MB"
                )
            ]


def _sites(folder: Path) -> int:
    """How many sites with figures the running program has."""
    try:
        owner = json.loads((folder / "lock").read_text())
        headers = {"Authorization": f"Bearer {owner['secret']}"}
        items = httpx.get(f"{owner['address']}/api/sites", headers=headers, trust_env=False).json()["items"]
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return 0
    return sum(item["measured_at"] is not None for item in items)


if __name__ == "__main__":
    print(as_table(rows(QUICK_S if "--quick" in sys.argv else IDLE_S)))
