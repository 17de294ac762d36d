"""kill -9 while it polls: nothing that was committed is lost, nothing is there twice, no limit is passed."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from program import Sungaze
from spine import ROUNDING, truth

from sungaze.emulators import Emulator, World, serve

SOAK = os.environ.get("SUNGAZE_SOAK") == "1"
KILLS = 200 if SOAK else 20


@pytest.fixture
def start() -> Iterator[Callable[[Path], Sungaze]]:
    """Starts Sungazes, of which none outlives a test that failed."""
    started: list[Sungaze] = []

    def begin(folder: Path) -> Sungaze:
        started.append(Sungaze(folder))
        return started[-1]

    yield begin
    for running in started:
        if running.process.poll() is None:
            running.kill()


def rows_of(folder: Path) -> dict[tuple[object, ...], float]:
    """Every sample that is committed now; whole days may still grow and are left out."""
    connection = sqlite3.connect(f"file:{folder / 'sungaze.db'}?mode=ro", uri=True, timeout=20)
    try:
        rows = connection.execute(
            "SELECT vendor, vendor_site_id, device_id, metric, interval_s, timestamp, value FROM sample JOIN series ON "
            "series.id = series_id JOIN site ON site.id = site_id WHERE interval_s <> 86400"
        ).fetchall()
    finally:
        connection.close()
    return {tuple(row[:6]): row[6] for row in rows}


def check(folder: Path, emulators: list[Emulator]) -> None:
    """The file is whole, and the ledger has counted at least what was asked."""
    connection = sqlite3.connect(f"file:{folder / 'sungaze.db'}?mode=ro", uri=True, timeout=20)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        used = dict(connection.execute("SELECT scope, used FROM quota WHERE \"window\" = 'month'"))
        doubled = connection.execute(
            "SELECT site_id, resource, span_start FROM gap WHERE closed_at IS NULL GROUP BY 1, 2, 3 HAVING count(*) > 1"
        ).fetchall()
    finally:
        connection.close()
    assert doubled == []
    for emulator in emulators:
        assert (
            sum(count for scope, count in used.items() if scope.startswith(emulator.vendor))
            >= (emulator.quota.used["month"])
        )


@pytest.mark.slow
@pytest.mark.soak if SOAK else pytest.mark.timeout(300)
def test_killed_again_and_again_while_polling_it_loses_nothing_and_passes_no_limit(
    tmp_path: Path, start: Callable[[Path], Sungaze]
) -> None:
    chance = random.Random(7)
    world = World(seed=3, sites=40, panels=20)
    plans = {"enphase": "partner", "solaredge": "paid"}
    emulators = [serve(vendor, world, plan=plan) for vendor, plan in plans.items()]
    folder = tmp_path / "data"
    running = start(folder)
    for emulator in emulators:
        wish = {
            "vendor": emulator.vendor, "method": emulator.method, "plan": emulator.plan,
            "credentials": emulator.credentials, "base_url": emulator.base_url,
        }  # fmt: skip
        answer = running.client.post("/api/accounts", json=wish)
        assert answer.status_code == 201, answer.text
    committed: dict[tuple[object, ...], float] = {}
    grew = 0
    for _ in range(KILLS):
        # The first minute's calls are soon spent, and then nothing comes in for a while.
        time.sleep(chance.uniform(0.02, 0.9 if SOAK else 0.4))
        before = rows_of(folder)
        running.kill()
        after = rows_of(folder)
        assert committed.items() <= before.items()
        assert before.items() <= after.items()
        grew += len(after) > len(committed)
        committed = after
        check(folder, emulators)
        running = start(folder)
    assert grew > KILLS // 4, "it was not killed while anything came in"
    assert {account["state"] for account in running.client.get("/api/accounts").json()["items"]} == {"connected"}
    running.stop()
    for emulator in emulators:
        emulator.stop()
        assert Counter(request.status for request in emulator.requests)[429] == 0
        known = truth(emulator.vendor, world, time.time() - 4 * 86_400, time.time())
        sites = {key: value for key, value in committed.items() if key[0] == emulator.vendor and key[2] == 0}
        for key, value in sites.items():
            if key[3] in {"ac_power_w", "energy_wh"}:
                name = (str(key[0]), str(key[1]), "", str(key[3]), str(key[4]), str(key[5]))
                assert abs(known[name] - value) <= ROUNDING[emulator.vendor] + 1e-6
