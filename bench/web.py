"""The pages in Chromium against the built program with 2,000 sites: sizes, first paint, scripting, idleness, memory."""

from __future__ import annotations

import gzip
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.sync_api import Browser, Page, sync_playwright

from bench._measure import Row, median
from bench._store import fill
from bench.api import serve

SITES: Final = 2_000
RUNS: Final = 5
IDLE_S: Final = 30.0
MEMORY_S: Final = 600.0
PAGES: Final = Path(__file__).parents[1] / "out" / "web"
ARGS: Final = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--js-flags=--expose-gc", "--enable-precise-memory-info",
)  # fmt: skip

_WATCH: Final = """
window.tasks = [];
new PerformanceObserver((list) => list.getEntries().forEach((e) => window.tasks.push(e.duration)))
  .observe({ type: 'longtask', buffered: true });
const seen = new MutationObserver(() => {
  if (!document.querySelector('.table .place a')) return;
  seen.disconnect();
  requestAnimationFrame(() => { window.painted = performance.now();
    requestIdleCallback(() => { window.ready = performance.now(); }); });
});
document.addEventListener('DOMContentLoaded', () => seen.observe(document.body, { childList: true, subtree: true }));
"""


def rows() -> list[Row]:
    """Every figure of the pages that has a bound."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "sungaze.db", SITES, time.time())
        with serve(Path(folder)) as client, _chromium() as browser:
            return [*_sizes(), *_fleet(client, browser), *_over_time(client, browser)]


def _sizes() -> list[Row]:
    sizes = {path.name: len(gzip.compress(path.read_bytes(), 9)) for path in PAGES.rglob("*.js")}
    entry = (PAGES / "index.html").read_text()
    first = sum(sizes[Path(name).name] for name in re.findall(r'(?:src|href)="([^"]+\.js)"', entry))
    return [
        Row("JavaScript in all, gzip", f"{sum(sizes.values()) / 1000:.1f} kB", "≤ 150 kB"),
        Row("JavaScript of the first view, gzip", f"{first / 1000:.1f} kB", "≤ 90 kB"),
    ]


def _fleet(client: httpx.Client, browser: Browser) -> list[Row]:
    painted, ready, scripting = [], [], []
    with _open(client, browser) as page:
        for _ in range(RUNS):
            session = page.context.new_cdp_session(page)
            # The thread's own time: what else the machine does meanwhile is not the page's.
            session.send("Performance.enable", {"timeDomain": "threadTicks"})
            page.goto(str(client.base_url))
            _wait_ready(page)
            painted.append(page.evaluate("window.painted") / 1000)
            ready.append(page.evaluate("window.ready") / 1000)
            scripting.append(1000 * _metric(session, "ScriptDuration"))
            session.detach()
            page.goto("about:blank")
    what = f"Fleet of {SITES:,} sites, warm"
    return [
        Row(f"{what}: first sites painted", f"median {median(painted):.2f} s, worst {max(painted):.2f} s", "≤ 1.0 s"),
        Row(f"{what}: ready", f"median {median(ready):.2f} s, worst {max(ready):.2f} s", "≤ 1.5 s"),
        Row(f"{what}: scripting", f"median {median(scripting):.0f} ms, worst {max(scripting):.0f} ms", "≤ 150 ms"),
    ]


def _over_time(client: httpx.Client, browser: Browser) -> list[Row]:
    """Long tasks while nothing happens; then memory while a site changes each second and the page follows."""
    with _open(client, browser) as page:
        page.goto(str(client.base_url))
        _wait_ready(page)
        page.wait_for_timeout(3_000)
        page.evaluate("window.tasks.length = 0")
        page.wait_for_timeout(IDLE_S * 1000)
        idle = [task for task in page.evaluate("window.tasks") if task > 50]
        sizes = []
        stop = threading.Event()
        changing = threading.Thread(target=_keep_changing, args=(client, stop))
        changing.start()
        try:
            until = time.monotonic() + MEMORY_S
            while time.monotonic() < until:
                page.wait_for_timeout(MEMORY_S * 1000 / 20)
                page.evaluate("gc(); gc()")
                sizes.append(page.evaluate("performance.memory.usedJSHeapSize") / 1e6)
        finally:
            stop.set()
            changing.join()
    # The first figures are those of a page that warms up: its caches fill to their bound.
    begin, end = median(sizes[2:6]), median(sizes[-4:])
    return [
        Row(f"long tasks over 50 ms in {IDLE_S:.0f} s of rest", f"{len(idle)}", "0"),
        Row(
            f"memory over {MEMORY_S / 60:.0f} min of a change a second",
            f"{begin:.1f} MB, then {end:.1f} MB ({100 * (end / begin - 1):+.0f} %)",
            "± 10 %",
        ),
    ]


def _keep_changing(client: httpx.Client, stop: threading.Event) -> None:
    number = 0
    while not stop.wait(1.0):
        number += 1
        client.patch(f"/api/sites/{1 + number % 50}", json={"alias": f"Roof that changes {number}"})


@contextmanager
def _chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGS))
        yield browser
        browser.close()


@contextmanager
def _open(client: httpx.Client, browser: Browser) -> Iterator[Page]:
    """A page with the session of a launch link."""
    key = client.post("/api/session/link").json()["key"]
    context = browser.new_context(viewport={"width": 1360, "height": 860})
    page = context.new_page()
    page.add_init_script(_WATCH)
    page.goto(f"{client.base_url}#key={key}")
    _wait_ready(page)
    yield page
    context.close()


def _wait_ready(page: Page) -> None:
    """Our pages let nothing be made of text, so that Playwright's own waiting for a condition cannot run in them."""
    until = time.monotonic() + 30
    while page.evaluate("window.ready === undefined"):
        if time.monotonic() > until:
            raise TimeoutError("the list did not come within 30 s")
        page.wait_for_timeout(20)


def _metric(session: Any, name: str) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in metrics if one["name"] == name))
