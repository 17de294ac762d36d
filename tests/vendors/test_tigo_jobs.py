"""Tigo from the connect form to the store, by the ordinary jobs: what is stored equals what the world produced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from vendor_doors import Hands

from sungaze import clock as zones
from sungaze.emulators import Emulator, World, serve
from sungaze.emulators._registry import SERVICES
from sungaze.emulators._tigo_site import INVERTER_EFFICIENCY, system_id_of
from sungaze.errors import NeedsReconnect
from sungaze.jobs import connect as connecting
from sungaze.jobs.context import Context
from sungaze.jobs.events import Events
from sungaze.jobs.fetch import perform_gap, perform_look
from sungaze.model import Span
from sungaze.store import Store
from sungaze.vault import Vault

DAY_S = 86_400
MINUTE_LIMIT = 15


class Line:
    """A store and its jobs over one Tigo emulator, worked off in the test's own thread."""

    def __init__(self, folder: Path, clock: Hands, emulator: Emulator) -> None:
        self.clock = clock
        self.emulator = emulator
        self.store = Store(folder / "sungaze.db")
        self.context = Context(
            store=self.store, vault=Vault(folder / "secrets.json", {}), events=Events(), now=clock,
            base_urls={"tigo": emulator.base_url},
        )  # fmt: skip
        self.busiest = 0

    def connect(self, **changed: str) -> int:
        wish = connecting.Wish(vendor="tigo", credentials=self.emulator.credentials | changed)
        return connecting.connect(self.context, wish)

    def work_off(self) -> None:
        """Do all that is due, waiting by the clock's hands for quotas."""
        for _ in range(5_000):
            looks: list[int] = []
            gaps: list[int] = []
            for account in self.store.fleet.accounts():
                looks += self.store.work.claim_looks(account.id, self.clock.now, 4, "test")
                gaps += [] if looks else self.store.work.claim_gaps(account.id, self.clock.now, 4, "test")
            if not looks and not gaps:
                return
            for look_id in looks:
                perform_look(self.context, look_id, "test")
            for gap_id in gaps:
                perform_gap(self.context, gap_id, "test")
            self.busiest = max(self.busiest, self._last_minute())
            barred = self.store.database.rows("SELECT until FROM quota_block WHERE until > ?", (self.clock.now,))
            if barred:
                self.clock.now += 63
        raise AssertionError("there is always something more to do")

    def _last_minute(self) -> int:
        """Calls that the emulator saw within the last minute of the clock."""
        return sum(1 for seen in self.emulator.requests if seen.epoch > self.clock.now - 60)

    def samples(self) -> dict[Key, float]:
        rows = self.store.database.rows(
            "SELECT vendor_site_id, COALESCE(vendor_device_id, ''), metric, interval_s, timestamp, value "
            "FROM sample JOIN series ON series.id = series_id JOIN site ON site.id = series.site_id "
            "LEFT JOIN device ON device.id = series.device_id WHERE interval_s > 0"
        )
        return {(s, d, m, i, t): value for s, d, m, i, t, value in rows}

    def close(self) -> None:
        self.context.close()
        self.store.close()


@pytest.fixture(scope="module")
def small() -> World:
    return World(seed=1, sites=3, panels=3)


@pytest.fixture
def begin(tmp_path: Path, clock: Hands, small: World) -> Iterator[Callable[..., Line]]:
    running: list[Any] = []

    def make(**options: Any) -> Line:
        emulator = serve("tigo", small, now=clock, **options)
        folder = tmp_path / f"line{len(running)}"
        folder.mkdir()
        line = Line(folder, clock, emulator)
        running.extend([line, emulator])
        return line

    yield make
    for part in running:
        part.close() if isinstance(part, Line) else part.stop()


Key = tuple[str, str, str, int, int]


def truth(world: World, fine: Span, days_from: float) -> dict[Key, float]:
    """The world's own rows: minutes of a span, and every local day from `days_from` on that ends within it."""
    known: dict[Key, float] = {}
    for k in range(world.sites):
        rows = SERVICES["tigo"].truth(world, k, fine.start, fine.end)
        known |= {(r.site_id, r.device_id, r.metric, r.interval_s, r.start): r.value for r in rows}
        plan = world.site("tigo", k)
        first, last = plan.local_date(days_from), plan.local_date(fine.end) - timedelta(days=1)
        for n, wh in enumerate(world.daily_wh(plan, first, last).sum(axis=1).tolist()):
            at = plan.midnight(first + timedelta(days=n))
            known[str(system_id_of(plan)), "", "dc_energy_wh", DAY_S, at] = wh / INVERTER_EFFICIENCY
    return known


def compare(line: Line, began: float) -> None:
    """Hold every sample against the truth, and the truth of what was owed against the samples."""
    world, now = line.emulator.service.world, line.clock.now
    stored = line.samples()
    fine_from = int(began) - 2 * DAY_S
    known = truth(world, Span(min(key[4] for key in stored if key[3] == 60), int(now)), began - 33 * DAY_S)
    running = {
        (site.vendor_site_id, zones.midnight(zones.day_of(now, tz), tz))
        for site in line.store.fleet.sites()
        if (tz := zones.zone(site.timezone)) is not None
    }
    assert len(running) == world.sites, "every site has its zone"
    newest: dict[tuple[str, str, int], int] = {}
    for key, value in stored.items():
        newest[key[0], key[1], key[3]] = max(newest.get((key[0], key[1], key[3]), 0), key[4])
        if (key[0], key[4]) not in running or key[3] != DAY_S:
            assert key in known, f"invented: {key} = {value}"
            assert abs(value - known[key]) <= 0.051, (key, value, known[key])
    for site, device, metric, interval_s, at in known.keys() - stored.keys():
        owed_from = began - 29 * DAY_S if interval_s == DAY_S else fine_from
        if at >= owed_from:
            # By night nobody looks: what a site says of its night comes with the morning.
            assert at > newest[site, device, interval_s], f"lost: {site} {device} {metric} {at}"
    assert {key[3] for key in stored} == {60, DAY_S}
    assert line.store.database.scalar("SELECT count(*) FROM quarantine") == 0


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-01T21:35:00+00:00",  # Chicago had 25 hours
        "2026-03-29T21:10:00+00:00",  # Berlin lost an hour that night
        "2026-04-05T05:15:00+00:00",  # Adelaide had 25 hours
    ],
)
def test_after_the_first_connect_the_raw_series_equal_the_world(begin: Any, clock: Hands, moment: str) -> None:
    clock.now = datetime.fromisoformat(moment).timestamp()
    line = begin()
    line.connect()
    began = clock.now
    line.work_off()
    compare(line, began)
    assert line.busiest <= MINUTE_LIMIT
    assert all(seen.status == 200 for seen in line.emulator.requests)


def test_devices_alerts_and_the_lifetime_are_kept(begin: Any) -> None:
    line = begin()
    line.connect()
    line.work_off()
    rows = line.store.database.rows
    kinds = dict(rows("SELECT device_type, count(*) FROM device GROUP BY 1"))
    assert set(kinds) == {"optimizer", "string", "inverter", "gateway"}
    assert kinds["inverter"] == kinds["gateway"] == 3
    orphans = rows("SELECT count(*) FROM device WHERE parent_id IS NULL AND device_type IN ('optimizer', 'string')")
    assert orphans == [(0,)]
    assert len(rows("SELECT DISTINCT site_id FROM series WHERE metric = 'dc_energy_lifetime_wh'")) == 3
    assert {site.status for site in line.store.fleet.sites()} <= {"normal", "warning"}


def test_after_an_outage_of_two_days_what_was_missed_is_filled_in(begin: Any, clock: Hands) -> None:
    line = begin()
    line.connect()
    began = clock.now
    line.work_off()
    clock.now += 2 * DAY_S + 5 * 3600
    line.work_off()
    compare(line, began)


def test_figures_that_come_late_replace_what_was_there(begin: Any, clock: Hands) -> None:
    line = begin(faults={"late": 1.0})
    line.connect()
    began = clock.now
    line.work_off()
    line.emulator.faults["late"] = 0.0
    for _ in range(3):
        clock.now += 3_600
        line.work_off()
    compare(line, began)


def test_a_mix_of_every_fault_invents_nothing_and_loses_nothing_in_the_end(begin: Any, clock: Hands) -> None:
    line = begin()
    line.connect()
    rates = dict.fromkeys(
        ("html", "truncated", "shape", "500", "429", "late", "expired", "header_change", "future", "empty_short",
         "nulls", "lag", "pv_off", "string_shutdown", "turn_on_null", "no_timezone"), 0.15,
    )  # fmt: skip
    line.emulator.faults.update(rates)
    for _ in range(6):
        line.work_off()
        clock.now += 1_200
    line.emulator.faults.clear()
    # A zone that was learned late has its history begin late.
    mended = clock.now
    for _ in range(5):
        clock.now += 2 * 3_600
        line.work_off()
    compare(line, mended)


def test_a_login_that_ends_is_renewed_and_a_changed_password_is_told(begin: Any, clock: Hands) -> None:
    line = begin()
    with pytest.raises(NeedsReconnect):
        line.connect(password="wrong")
    line.connect()
    line.work_off()
    line.emulator.service._tokens.clear()
    clock.now += 3_600
    line.work_off()
    assert [account.state for account in line.store.fleet.accounts()] == ["connected"]
    line.emulator.faults["expired"] = 1.0
    clock.now += 3_600
    looks = line.store.work.claim_looks(1, clock.now, 1, "test")
    perform_look(line.context, looks[0], "test")
    assert [account.state for account in line.store.fleet.accounts()] == ["needs_reconnect"]


def test_without_premium_the_account_is_told_and_left_alone(begin: Any, clock: Hands) -> None:
    line = begin(faults={"no_premium": 1.0})
    line.connect()
    line.work_off()
    seen = len(line.emulator.requests)
    clock.now += 600
    line.work_off()
    assert len(line.emulator.requests) <= seen + 1, "each look was refused once and comes again in days"
    assert line.samples() == {}
