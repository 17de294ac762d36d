"""The Panels page with 2,000 panels in a real Chromium: its first draw, and each step of the scrubber."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import CDPSession, Page, expect, sync_playwright

from bench._measure import Row, milliseconds
from sungaze import clock
from sungaze.model import DAY_S, DeviceFacts, DeviceType, Reading, SiteFacts, SiteStatus
from sungaze.store import Store
from sungaze.store.timeseries import Rating

PANELS: Final = 2_000
ZONE: Final = "Europe/Berlin"
QUARTER_S: Final = 900
PEAK_W: Final = 400.0
DRAWS: Final = 5
STEPS: Final = 90
ARGS: Final = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")

STEP = """async (steps) => {
  const slider = document.querySelector('input[type=range]');
  const frame = () => new Promise(requestAnimationFrame);
  const frames = [];
  const took = [];
  const from = Number(slider.value);
  for (let step = 1; step <= steps; step += 1) {
    frames.push((await frame()) / 1000);
    const began = performance.now();
    slider.value = String((from + step) % Number(slider.max));
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    // What the step changes is drawn in the microtasks that follow it.
    for (let turn = 0; turn < 20; turn += 1) await null;
    took.push((performance.now() - began) / 1000);
  }
  frames.push((await frame()) / 1000);
  return [frames, took];
}"""
"""Moves the scrubber, one step a frame; when each frame was, and the seconds of script that each step took."""
FRAME_S: Final = 1 / 60


def rows() -> list[Row]:
    """Scripting of the page that `build/` made, against the real program."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("There is no chromium here; apt-get install chromium.")
    with tempfile.TemporaryDirectory() as folder:
        site_id = _fill(Path(folder) / "sungaze.db", time.time())
        with _server(Path(folder)) as link, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGS))
            page = browser.new_page(viewport={"width": 1360, "height": 860}, timezone_id=ZONE, locale="en-GB")
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            page.goto(link)
            draws = [_draw(page, site_id) for _ in range(DRAWS)]
            asked.clear()
            scripted, frames, steps = _scrub(page)
            scrubbed = [url for url in asked if "/layout" in url or "/series" in url]
            browser.close()
    what = f"Panels, {PANELS:,} with quarter-hours of a day"
    return [
        Row(f"{what}: first draw, scripting", milliseconds(draws), "≤ 200 ms"),
        Row(f"{what}: a step of the scrubber", milliseconds(steps), "≤ 8 ms"),
        Row(f"{what}: a step, all scripting of the browser", f"mean {1000 * scripted:.1f} ms", "≤ 8 ms"),
        Row(f"{what}: frames at 60 a second, a step in each", f"{_kept(frames)} of {STEPS}", f"{STEPS}"),
        Row(f"{what}: requests of {STEPS} steps", str(len(scrubbed)), "0"),
    ]


def _draw(page: Page, site_id: int) -> float:
    """Seconds of script from the click on Panels to cells with figures. Each time in a page loaded anew."""
    page.goto(f"{page.url.split('#')[0]}#/sites/{site_id}?date={_day(time.time()).isoformat()}")
    page.reload()
    tab = page.get_by_role("link", name="Panels", exact=True)
    tab.wait_for()
    page.wait_for_load_state("networkidle")
    session = page.context.new_cdp_session(page)
    before = _scripted(session)
    tab.click()
    expect(page.get_by_role("grid").get_by_role("button").first).to_have_accessible_name(re.compile("W"))
    found = _scripted(session) - before
    session.detach()
    return found


def _scrub(page: Page) -> tuple[float, list[float], list[float]]:
    """Mean seconds of script of a step by the browser's own count; the frames' times; each step by the page's clock."""
    session = page.context.new_cdp_session(page)
    before = _scripted(session)
    frames, steps = page.evaluate(STEP, STEPS)
    scripted = (_scripted(session) - before) / STEPS
    session.detach()
    return scripted, frames, steps


def _kept(frames: list[float]) -> int:
    """How many frames came one frame after the one before."""
    return sum(later - earlier < 1.5 * FRAME_S for earlier, later in pairwise(frames))


def _scripted(session: CDPSession) -> float:
    # The thread's own time: what else the machine does meanwhile is not the page's.
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    metrics: list[dict[str, Any]] = session.send("Performance.getMetrics")["metrics"]
    return float(next(metric["value"] for metric in metrics if metric["name"] == "ScriptDuration"))


def _day(now: float) -> dt.date:
    tz = clock.zone(ZONE)
    assert tz is not None
    return clock.day_of(now, tz) - dt.timedelta(days=1)


def _fill(path: Path, now: float) -> int:
    """The id of a site with its panels in four strings and a whole day of each; nothing is asked for it."""
    tz = clock.zone(ZONE)
    assert tz is not None
    start = clock.midnight(_day(now), tz)
    store = Store(path)
    with store.database.transaction():
        store.fleet.add_account(
            id=1, vendor="tigo", method="password", plan="premium", label="Tigo", base_url=None, scope="tigo",
            identity="bench", now=now,
        )  # fmt: skip
        fact = SiteFacts(
            vendor_site_id="1", name="Many panels", status=SiteStatus.NORMAL, peak_power_kw=PANELS * PEAK_W / 1000,
            timezone=ZONE, last_report_at=int(now) - 300,
        )  # fmt: skip
        (site_id,) = store.fleet.apply_sites(1, "tigo", [fact], complete=True, now=now)
        store.fleet.set_account_state(1, "connected", "", now, retry_at=now + DAY_S)
        strings = [DeviceFacts(vendor_device_id=f"s{n}", device_type=DeviceType.STRING, name=f"{n}") for n in range(4)]
        panels = [
            DeviceFacts(
                vendor_device_id=str(n), device_type=DeviceType.OPTIMIZER, serial_number=f"4A{n:08}", parent=f"s{n % 4}"
            )
            for n in range(PANELS)
        ]
        site = store.fleet.site(site_id)
        ids = store.fleet.apply_devices(site, [*strings, *panels], complete=True, now=now)
        readings = [
            Reading(str(n), "dc_power_w", QUARTER_S, start + slot * QUARTER_S, _watts(slot, n))
            for n in range(PANELS)
            for slot in range(DAY_S // QUARTER_S)
        ]
        store.timeseries.write(site_id, readings, devices=ids, rating=Rating(), now=now)
    store.close()
    return site_id


def _watts(slot: int, panel: int) -> float:
    """A bell over the day, each panel a little off the others."""
    return max(0.0, 380.0 - (slot - 48) ** 2 * 0.4) * (0.9 + panel % 17 / 100)


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """The link that a Sungaze on the folder prints."""
    command = [sys.executable, "-m", "sungaze.cli", "--server", "--port", "0", "--data-dir", str(folder)]
    environment = {**os.environ, "SUNGAZE_LOG": "error"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.send_signal(signal.SIGTERM)
