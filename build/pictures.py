"""Pictures of every page of the demo in both themes and both widths, into out/screenshots: to be looked at.

`make pictures`. The demo has its own folder and is gone afterwards.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

TOP = Path(__file__).parents[1]
sys.path[:0] = [str(TOP), str(TOP / "tests")]

from program import Sungaze  # noqa: E402 - the tests' own way of starting the program

OUT = TOP / "out" / "screenshots"
SIZES = {"wide": (1360, 860), "narrow": (360, 760)}
ARGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
HISTORY_MS = 60_000
SETTLE_MS = 1_200


def main() -> int:
    """Exit code 0 when every picture was taken."""
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        demo = Sungaze(Path(folder) / "data", demo=True)
        path = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGS))
        try:
            opened = browser.new_context()
            page = opened.new_page()
            page.goto(demo.link)
            page.get_by_text(re.compile(r"≈ .+ lost")).first.wait_for(timeout=HISTORY_MS)
            state = opened.storage_state()
            for theme in ("light", "dark"):
                for width, size in SIZES.items():
                    context = browser.new_context(
                        viewport={"width": size[0], "height": size[1]}, color_scheme=theme, storage_state=state,
                        timezone_id="America/Chicago", locale="en-US",
                    )  # fmt: skip
                    page = context.new_page()
                    for name, hash_ in addresses(demo).items():
                        take(page, f"{demo.address}/{hash_}", OUT / f"{name}-{width}-{theme}.png")
                    context.close()
        finally:
            browser.close()
            demo.stop()
    print(f"{len(list(OUT.iterdir()))} pictures in {OUT.relative_to(TOP)}")  # noqa: T201 - what the command answers
    return 0


def addresses(demo: Sungaze) -> dict[str, str]:
    """The pages worth a picture: of a site that has its figures, and of the one whose panel is dead."""
    sites = demo.client.get("/api/sites?limit=100").json()["items"]
    dead = next(s for s in sites if s["loss_wh_per_day"])
    awake = next((s for s in sites if s["freshness"] == "fresh" and s["vendor"] == "enphase"), dead)
    battery = next(s for s in sites if s["vendor"] == "generac")
    devices = demo.client.get(f"/api/sites/{awake['id']}/devices").json()["items"]
    panel = next(d["id"] for d in devices if d["device_type"] == "microinverter")
    site = f"#/sites/{awake['id']}"
    return {
        "fleet": "#/",
        "fleet-by-vendor": "#/?group=vendor",
        "alerts": "#/alerts",
        "places": "#/places",
        "place": f"#/places/{awake['place']['id']}",
        "accounts": "#/accounts",
        "connect": "#/accounts/connect?vendor=enphase",
        "work": "#/work",
        "settings": "#/settings",
        "about": "#/about",
        "site": site,
        "site-month": f"{site}?range=month",
        "site-year": f"{site}?range=year",
        "site-battery": f"#/sites/{battery['id']}",
        "panels": f"{site}/panels",
        "panels-dead": f"#/sites/{dead['id']}/panels",
        "panels-panel": f"{site}/panels?panel={panel}",
        "devices": f"{site}/devices",
        "device": f"{site}/devices/{panel}",
        "site-alerts": f"#/sites/{dead['id']}/alerts",
        "data": f"{site}/data",
    }


def take(page: Page, address: str, path: Path) -> None:
    """One picture, once nothing is waited for any more."""
    page.goto(address)
    page.get_by_role("heading", level=1).first.wait_for(state="attached")
    page.locator(".skeleton").first.wait_for(state="detached", timeout=HISTORY_MS)
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=path)


if __name__ == "__main__":
    sys.exit(main())
