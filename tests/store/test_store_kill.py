"""kill -9 while it writes, corrects and folds: what was acknowledged is there, once, and the file opens."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from store_kit import NOW, connect

from sungaze.model import DAY_S, DeviceFacts, DeviceType, SiteFacts, Span
from sungaze.store import Store
from sungaze.store.timeseries import SeriesKey

SOAK = os.environ.get("SUNGAZE_SOAK") == "1"
KILLS = 200 if SOAK else 20

WORK = """
import pathlib, random, sys
from sungaze.model import DAY_S, Reading
from sungaze.store import Store
from sungaze.store.timeseries import Rating
path, seed, now = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
store = Store(path)
site = store.fleet.sites()[0]
devices = store.fleet.device_ids(site.id)
while True:
    if chance.random() < 0.5:
        before = now - chance.randrange(0, 80) * DAY_S
        print("s", flush=True)
        store.seal(before, everything=True)
        continue
    day = now - chance.randrange(3, 90) * DAY_S
    said = [(k, day + 300 * chance.randrange(288), chance.randrange(300)) for k in range(3) for _ in range(60)]
    print("w", *(f"{k},{t},{v}" for k, t, v in said), flush=True)
    readings = [Reading(f"m{k}", "ac_power_w", 300, t, float(v)) for k, t, v in said]
    store.timeseries.write(site.id, readings, devices=devices, rating=Rating(), now=now)
    print("a", flush=True)
"""


def made(path: Path) -> None:
    store = Store(path)
    connect(store, 1)
    store.fleet.apply_sites(1, "enphase", [SiteFacts(vendor_site_id="7", name="Roof", timezone="Europe/Berlin")],
                            complete=True, now=NOW)  # fmt: skip
    panels = [DeviceFacts(vendor_device_id=f"m{k}", device_type=DeviceType.PANEL) for k in range(3)]
    store.fleet.apply_devices(store.fleet.sites()[0], panels, complete=True, now=NOW)
    store.close()


def told(lines: list[str]) -> tuple[dict[tuple[int, int], float], dict[tuple[int, int], float], str]:
    """What was acknowledged, what was under way when it was killed, and what it was doing."""
    kept: dict[tuple[int, int], float] = {}
    begun: dict[tuple[int, int], float] = {}
    for line in lines:
        what, *said = line.split()
        if what == "w":
            begun = {(int(k), int(t)): float(v) for k, t, v in (one.split(",") for one in said)}
        elif what == "a":
            kept |= begun
            begun = {}
    return kept, begun, lines[-1][0] if lines else ""


@pytest.mark.slow
@pytest.mark.soak if SOAK else pytest.mark.timeout(300)
def test_killed_again_and_again_while_it_writes_and_folds_it_loses_nothing(
    tmp_path: Path, run: Callable[..., subprocess.Popen[str]]
) -> None:
    path = tmp_path / "sungaze.db"
    made(path)
    chance = random.Random(11)
    known: dict[tuple[int, int], float] = {}
    folding = blocks = 0
    for round_ in range(KILLS):
        process = run(WORK, path, round_, NOW)
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        end = time.monotonic() + chance.uniform(0.05, 1.0)
        while time.monotonic() < end:
            lines.append(process.stdout.readline())
        process.kill()
        lines += process.stdout.read().splitlines()  # not communicate, which does not know what was read ahead
        process.communicate()
        acknowledged, begun, doing = told([line for line in lines if line.strip()])
        known |= acknowledged
        folding += doing == "s"
        store = Store(path)
        try:
            assert store.database.scalar("PRAGMA integrity_check") == "ok"
            assert store.check_blocks() == []
            devices = store.fleet.device_ids(store.fleet.sites()[0].id)
            found = {}
            for k in range(3):
                rows = store.timeseries.raw(
                    SeriesKey(store.fleet.sites()[0].id, devices[f"m{k}"], "ac_power_w", 300),
                    Span(NOW - 100 * DAY_S, NOW),
                )
                assert len({t for t, _ in rows}) == len(rows)
                found |= {(k, t): v for t, v in rows}
            under_way = known | begun
            assert found in (known, under_way)
            known = found
            blocks = store.database.scalar("SELECT count(*) FROM block")
        finally:
            store.close()
    assert blocks > 0
    assert folding > KILLS // 20, f"it was killed while it folded {folding} times only"
