"""Jobs done one by one under a clock that stands where the test puts it, against emulators on real sockets."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from pathlib import Path
from typing import Any

from sungaze.emulators import Emulator, World, write_truth
from sungaze.jobs import connect as connecting
from sungaze.jobs.context import Context
from sungaze.jobs.events import Events
from sungaze.jobs.fetch import perform_gap, perform_look
from sungaze.model import AccountState
from sungaze.store import Store
from sungaze.vault import Vault

NOON_IN_CHICAGO = datetime.fromisoformat("2026-06-01T18:05:00+00:00").timestamp()
ROUNDING = {"enphase": 0.5, "solaredge": 0.005}
"""Enphase gives whole W and Wh, SolarEdge two decimals."""
FINE = {"enphase": ("", "ac_power_w", "300"), "solaredge": ("", "ac_power_w", "900")}


class Hands:
    """A clock that stands where the test put it."""

    def __init__(self, now: float = NOON_IN_CHICAGO) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Spine:
    """A store and its jobs over one emulator a vendor, worked off in the test's own thread."""

    def __init__(self, folder: Path, clock: Hands, emulators: dict[str, Emulator]) -> None:
        self.folder = folder
        self.clock = clock
        self.emulators = emulators
        self.store = Store(folder / "sungaze.db")
        self.context = Context(
            store=self.store,
            vault=Vault(folder / "secrets.json", {}),
            events=Events(),
            now=clock,
            base_urls={vendor: emulator.base_url for vendor, emulator in emulators.items()},
        )

    def wish(self, vendor: str, **changed: Any) -> connecting.Wish:
        """What a user would enter for a vendor's emulator."""
        emulator = self.emulators[vendor]
        given = {"credentials": emulator.credentials, "plan": emulator.plan, "method": emulator.method}
        return connecting.Wish(vendor=vendor, **(given | changed))

    def connect(self, vendor: str, **changed: Any) -> int:
        return connecting.connect(self.context, self.wish(vendor, **changed))

    def work_off(self, owner: str = "test", most: int = 5_000) -> int:
        """Do all that is due, waiting (by the clock's hands) for quotas; the number of looks and gaps done."""
        done = 0
        for _ in range(most):
            ids = self._claim(owner)
            if not any(ids):
                return done
            for look_id in ids[0]:
                perform_look(self.context, look_id, owner)
            for gap_id in ids[1]:
                perform_gap(self.context, gap_id, owner)
            done += len(ids[0]) + len(ids[1])
            if self._is_barred():
                self.clock.now += 63
        raise AssertionError("there is always something more to do")

    def one_by_one(self, looks: int, owner: str = "test") -> None:
        """Do only so many looks, the most urgent ones."""
        for account in self.store.fleet.accounts():
            for look_id in self.store.work.claim_looks(account.id, self.clock.now, looks, owner):
                perform_look(self.context, look_id, owner)

    def _claim(self, owner: str) -> tuple[list[int], list[int]]:
        looks: list[int] = []
        gaps: list[int] = []
        for account in self.store.fleet.accounts():
            if account.state == AccountState.NEEDS_RECONNECT:
                continue
            looks += self.store.work.claim_looks(account.id, self.clock.now, 4, owner)
            if not looks:
                gaps += self.store.work.claim_gaps(account.id, self.clock.now, 4, owner)
        return looks, gaps

    def _is_barred(self) -> bool:
        rows = self.store.database.rows("SELECT until FROM quota_block WHERE until > ?", (self.clock.now,))
        blocked = [until for (until,) in rows if until < self.clock.now + 120]
        full = False
        for emulator in self.emulators.values():
            full = full or emulator.quota.remaining("minute") <= 4
        return bool(blocked) or full

    def samples(self) -> dict[tuple[str, ...], float]:
        """Every sample but counters and moments, named as the truth names it."""
        rows = self.store.database.rows(
            "SELECT site.vendor, vendor_site_id, COALESCE(vendor_device_id, ''), metric, interval_s, timestamp, value "
            "FROM sample JOIN series ON series.id = series_id JOIN site ON site.id = series.site_id "
            "LEFT JOIN device ON device.id = series.device_id WHERE interval_s > 0 "
            "AND metric IN ('ac_power_w', 'energy_wh')"
        )
        return {(v, s, d, m, str(i), str(t)): value for v, s, d, m, i, t, value in rows}

    def close(self) -> None:
        self.context.close()
        self.store.close()


def truth(vendor: str, world: World, start: float, end: float) -> dict[tuple[str, ...], float]:
    """The world's own rows over a span, named as in `Spine.samples`."""
    out = io.StringIO()
    write_truth(out, vendor, world.sites, world.panels, world.seed, start, end, end)
    out.seek(0)
    return {
        (r["vendor"], r["vendor_site_id"], r["vendor_device_id"], r["metric_name"], r["interval_s"],
         str(int(datetime.fromisoformat(r["timestamp"]).timestamp()))): float(r["value"])
        for r in csv.DictReader(out)
    }  # fmt: skip
