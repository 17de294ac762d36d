"""Every fault of every emulator, one by one and in mixes, over a day and a night: nothing breaks, nothing is invented,
nothing is lost in the end.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import random
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from spine import NOON_IN_CHICAGO, Hands, Spine

from sungaze import clock as zones
from sungaze.api.board import Board
from sungaze.emulators import Emulator, World, serve
from sungaze.emulators._cps_messages import Message, Sender
from sungaze.emulators._cps_site import GatewayView
from sungaze.emulators._registry import SERVICES, service_of
from sungaze.emulators.cps import Cps
from sungaze.emulators.faults import COMMON_FAULTS
from sungaze.jobs import receive
from sungaze.jobs.events import Events
from sungaze.model import DAY_S
from sungaze.vendors import _session, connector
from sungaze.vendors._contract import Probe

SOAK = os.environ.get("SUNGAZE_SOAK") == "1"
pytestmark = [pytest.mark.soak if SOAK else pytest.mark.slow]
MIXES = int(os.environ.get("SUNGAZE_SOAK_MIXES", "200")) if SOAK else 3
HOUR_S = 3_600
STEP_S = 2 * HOUR_S + 77
START = NOON_IN_CHICAGO - 4 * HOUR_S
"""Nine in the morning near Chicago, so that faults strike by day, by night, and by day again."""
TOLD_FROM = START - 35 * DAY_S
"""From here on the truth is told; some vendors give figures of years."""
TOLD_TO = START + 4 * DAY_S
Key = tuple[str, str, str, int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lane:
    """A vendor's emulator as these tests use it; `rounding` is what its figures are off by, days by `days_off`.

    `always` strikes throughout, for alarms to be there. `modes` are ways a vendor may be, and not now and then.
    """

    vendor: str
    plan: str
    rounding: float
    dialect: str | None = None
    days_off: float | None = None
    always: tuple[str, ...] = ()
    fine_s: int
    owed: tuple[str, ...]
    modes: frozenset[str] = frozenset()

    @property
    def faults(self) -> tuple[str, ...]:
        return COMMON_FAULTS + service_of(self.vendor).speaking(self.dialect).OWN_FAULTS


LANES = {
    "enphase": Lane(vendor="enphase", plan="partner", rounding=0.5, fine_s=300, owed=("ac_power_w", "energy_wh")),
    "solaredge": Lane(vendor="solaredge", plan="paid", rounding=0.005, fine_s=900, owed=("ac_power_w", "energy_wh")),
    "solaredge v1": Lane(
        vendor="solaredge", dialect="v1", plan="v1", rounding=0.005, fine_s=900, owed=("ac_power_w", "energy_wh")
    ),
    "tigo": Lane(
        vendor="tigo", plan="premium", rounding=0.051, fine_s=60, owed=("dc_power_w", "dc_energy_wh")
    ),
    "generac": Lane(
        vendor="generac", plan="dashboard", rounding=2.0, days_off=4.0, fine_s=3_600,
        owed=("dc_power_w", "dc_energy_wh"), always=("overheat",), modes=frozenset({"utc_base"}),
    ),
}  # fmt: skip
LESS = frozenset({"late", "dropout"})
"""Of a site they say less than it made, in a figure that looks as good as any, until it is asked again."""
SINGLE = [(name, fault) for name, lane in LANES.items() for fault in lane.faults if fault not in lane.always]


class Run:
    """A site that was connected while all was well, and its emulator, whose faults a test switches."""

    def __init__(self, lane: Lane, spine: Spine) -> None:
        self.lane = lane
        self.spine = spine
        self.emulator = spine.emulators[lane.vendor]
        self.began = spine.clock.now
        self.is_told_less = self.is_told_less_for_good = False
        self.open = self.going_on()
        self.before = self.samples()

    def pass_by(self, seconds: float) -> None:
        """Let time pass in steps, do what falls due, and hold what is shown against what is so after each."""
        end = self.spine.clock.now + seconds
        while self.spine.clock.now < end:
            self.spine.clock.now += STEP_S
            self.spine.work_off()
            self.check()

    def check(self) -> None:
        self.check_samples()
        self.check_board()
        # A vendor that does not answer, or answers in part, does not say that an alarm is over.
        assert self.open - self.retired() <= self.going_on(), "an alarm was resolved by silence"

    def samples(self) -> dict[Key, float]:
        rows = self.spine.store.database.rows(
            "SELECT vendor_site_id, COALESCE(vendor_device_id, ''), metric, interval_s, timestamp, value "
            "FROM sample JOIN series ON series.id = series_id JOIN site ON site.id = series.site_id "
            "LEFT JOIN device ON device.id = series.device_id WHERE interval_s > 0 AND metric IN (?, ?)",
            self.lane.owed,
        )
        return {(s, d, m, i, t): value for s, d, m, i, t, value in rows}

    def truth(self) -> dict[Key, float]:
        return true_rows(self.lane)

    def check_samples(self) -> None:
        """Every sample is the world's within rounding, and what was there is there still.

        A day that could not be asked for again since it ended has what it had made by then.
        """
        known, stored = self.truth(), self.samples()
        assert not self.before.keys() - stored.keys(), "what was there is gone"
        for key, value in stored.items():
            if not TOLD_FROM <= key[4] < TOLD_TO - 26 * HOUR_S or (
                key[3] == DAY_S and key[4] + 26 * HOUR_S > self.spine.clock.now
            ):
                continue
            assert key[4] + key[3] <= self.spine.clock.now, f"it has not been yet: {key}"
            assert key in known, f"invented: {key} = {value}"
            off = value - known[key]
            grows = key[3] == DAY_S and key[4] + 2 * DAY_S > self.began
            assert value > 0 or grows or known[key] <= self.within(key), f"a zero for what is missing: {key}"
            less = grows or (self.is_told_less and not key[1])
            assert off <= self.within(key), (key, value, known[key])
            assert less or off >= -self.within(key), (key, value, known[key])

    def within(self, key: Key) -> float:
        return 1e-6 + (self.lane.days_off or self.lane.rounding if key[3] == DAY_S else self.lane.rounding)

    def check_whole(self, until: float) -> None:
        """Nothing is missing of the curve and the days up to a moment, and no day is less than it was."""
        stored, known = self.samples(), self.truth()
        power, energy = self.lane.owed
        for key in known:
            _, device, metric, interval_s, at = key
            if device or (metric, interval_s) not in {(power, self.lane.fine_s), (energy, DAY_S)}:
                continue
            if self.began - DAY_S <= at and at + interval_s <= until:
                assert key in stored, f"lost: {key}"
                off = stored[key] - known[key]
                # A vendor that has lost a panel's figures for good does not say so.
                less = self.is_told_less_for_good and interval_s != DAY_S
                assert off <= self.within(key), (key, stored[key], known[key])
                assert less or off >= -self.within(key), (key, stored[key], known[key])

    def going_on(self) -> set[tuple[int, str]]:
        rows = self.spine.store.alerts.alerts(going_on=True, limit=1_000)[0]
        return {(row.site_id, row.vendor_alert_id) for row in rows if row.site_id is not None}

    def retired(self) -> set[tuple[int, str]]:
        """Alarms of devices that are no more, by what their vendor listed again and again."""
        found = self.spine.store.database.rows(
            "SELECT alert.site_id, vendor_alert_id FROM alert JOIN device ON device.id = alert.device_id "
            "WHERE device.status = 'retired'"
        )
        return set(found)

    def check_board(self) -> None:
        """A site that is called fresh has a sample no older, in daylight, than its vendor's habit."""
        check_board(self.spine, self.lane.vendor)


def check_board(spine: Spine, vendor_id: str) -> None:
    now, vendor = spine.clock.now, connector(vendor_id).vendor
    rows = Board(spine.store, Events(), spine.clock).build(None)
    assert len(rows) == len(spine.store.fleet.sites())
    newest = dict(
        spine.store.database.rows(
            "SELECT site_id, max(timestamp + interval_s) FROM sample JOIN series ON series.id = series_id "
            "WHERE device_id = 0 AND metric = ? AND interval_s < ? GROUP BY site_id",
            (vendor.power_metric, DAY_S),
        )
    )
    for row, site in ((row, spine.store.fleet.site(row.id)) for row in rows):
        end = newest.get(row.id)
        assert (end is None) == (row.freshness == "never")
        if row.freshness != "fresh":
            assert row.freshness_reason
            continue
        assert end is not None
        late_min = max(
            vendor.late_min if site.connection != "cellular" else vendor.cellular_late_min or 0,
            vendor.late_intervals * (row.power_interval_s or 0) // 60,
        )
        lit = (
            zones.sun_up(at, site.latitude, site.longitude)
            if site.latitude is not None and site.longitude is not None
            else True
            for at in range(int(end), int(now), 60)
        )
        assert sum(lit) <= late_min + 2, f"fresh, and {(now - end) / 60:.0f} minutes old"


@cache
def true_rows(lane: Lane) -> dict[Key, float]:
    """All that the world will have said by the end of a test."""
    rows = SERVICES[lane.vendor].truth(world_of(lane.vendor), 0, int(TOLD_FROM), int(TOLD_TO))
    return {(r.site_id, r.device_id, r.metric, r.interval_s, r.start): r.value for r in rows if r.metric in lane.owed}


@cache
def world_of(vendor: str) -> World:
    """One site with a panel that has died, so that there is an alarm."""
    for seed in range(1, 200):
        world = World(seed, 1, 3)
        if (world.site(vendor, 0).dead_from <= START).any():
            return world
    raise AssertionError("no panel dies")


@pytest.fixture(scope="module")
def one_clock() -> Hands:
    return Hands(START)


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory, one_clock: Hands) -> Iterator[Callable[[str], Any]]:
    """An emulator and the folder of a fleet that was connected to it and worked off, once for each lane."""
    running: list[Emulator] = []

    @cache
    def begin(name: str) -> tuple[Emulator, Path, float]:
        lane = LANES[name]
        one_clock.now = START
        emulator = serve(
            lane.vendor, world_of(lane.vendor), plan=lane.plan, dialect=lane.dialect, now=one_clock,
            faults=dict.fromkeys(lane.always, 1.0),
        )  # fmt: skip
        running.append(emulator)
        folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
        spine = Spine(folder, one_clock, {lane.vendor: emulator})
        account = spine.connect(lane.vendor, consent=True)
        for _ in range(6):
            spine.work_off()
            for site in spine.store.fleet.sites():
                if site.timezone is None:
                    # Generac never says it: the user does.
                    plan = world_of(lane.vendor).site(lane.vendor, 0)
                    spine.store.fleet.set_by_user(site.id, {"timezone": plan.town.zone}, one_clock.now)
                    spine.store.work.hasten(account, {"list": 0}, one_clock.now, 1)
            one_clock.now += 1_900
        spine.work_off()
        spine.close()
        return emulator, folder, one_clock.now

    yield begin
    for emulator in running:
        emulator.stop()


@pytest.fixture
def run(connected: Any, one_clock: Hands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A lane's fleet as it was once it had been connected, and its emulator as if it had begun anew."""
    opened: list[Spine] = []
    # A second attempt follows at once.
    monkeypatch.setattr(_session.random, "uniform", lambda low, high: 0.0)

    def begin(name: str) -> Run:
        lane = LANES[name]
        emulator, folder, now = connected(name)
        one_clock.now = now
        old = emulator.service
        emulator.service = type(old)(old.world, old.plan, one_clock, dict.fromkeys(lane.always, 1.0))
        shutil.copytree(folder, tmp_path / "spine")
        spine = Spine(tmp_path / "spine", one_clock, {lane.vendor: emulator})
        opened.append(spine)
        return Run(lane, spine)

    yield begin
    for spine in opened:
        spine.close()


def drive(run: Run, phases: list[Mapping[str, float]], caplog: pytest.LogCaptureFixture) -> None:
    """Let each phase of faults last for half a day or more, switch them off, and see that all comes back."""
    caplog.set_level(logging.WARNING)
    assert run.before
    faults = run.emulator.faults
    for phase in phases:
        faults.update(phase)
        run.is_told_less = run.is_told_less or bool(phase.keys() & LESS)
        run.is_told_less_for_good = run.is_told_less_for_good or "dropout" in phase
        with pytest.MonkeyPatch.context() as patch:
            if phase.keys() & {"slow", "huge"}:
                # Given up early, so that this test ends.
                patch.setattr(_session, "TOTAL_S", 0.4)
                patch.setattr(_session, "MAX_BYTES", 300_000)
            run.pass_by(26 * HOUR_S / len(phases))
        for name in phase:
            faults[name] = 1.0 if name in run.lane.always else 0.0
    mended = run.spine.clock.now
    (account,) = run.spine.store.fleet.accounts()
    refused = run.spine.store.database.scalar("SELECT count(*) FROM fetch WHERE outcome = 'not_entitled'")
    if account.state == "needs_reconnect" or refused:
        # A dead login or a plan that lacks something is the user's to mend.
        # Not within a minute that the vendor has just called spent.
        run.spine.clock.now += HOUR_S
        run.spine.connect(run.lane.vendor, consent=True)
    elif account.state == "quota_spent" and account.retry_at is not None:
        # The vendor has said that it is not to be asked before.
        run.spine.clock.now = max(run.spine.clock.now, account.retry_at + 60.0)
    run.pass_by(36 * HOUR_S)
    (account,) = run.spine.store.fleet.accounts()
    assert account.state == "connected", account.state_reason
    run.check_whole(mended)
    assert not [r for r in caplog.records if r.exc_info or "Traceback" in r.getMessage()]


@pytest.mark.parametrize(("name", "fault"), SINGLE)
def test_a_fault_that_strikes_always_and_then_now_and_then_loses_and_invents_nothing(
    run: Callable[[str], Run], caplog: pytest.LogCaptureFixture, name: str, fault: str
) -> None:
    rates = (1.0,) if fault in LANES[name].modes else (1.0, 0.3)
    drive(run(name), [{fault: rate} for rate in rates], caplog)


@pytest.mark.parametrize("seed", range(MIXES), ids=str)
@pytest.mark.parametrize("name", LANES)
def test_a_mix_of_faults_loses_and_invents_nothing(
    run: Callable[[str], Run], caplog: pytest.LogCaptureFixture, name: str, seed: int
) -> None:
    chance = random.Random(f"{name} {seed}")
    lane = LANES[name]
    faults = [fault for fault in lane.faults if fault not in {*lane.always, *lane.modes}]
    mixes = [
        {fault: chance.choice([0.1, 0.3, 0.6]) for fault in chance.sample(faults, chance.randint(3, 5))}
        for _ in range(2)
    ]
    drive(run(name), mixes, caplog)


# -- CPS, whose gateways send by themselves --------------------------------------------------------------------------

CPS_FAULTS = [fault for fault in service_of("cps").OWN_FAULTS if fault not in {"gzip", "wrong_signature"}]
"""The two that are left out are a push's."""
CPS_START = int(START) // 300 * 300
WRONG_CLOCKS = frozenset({"clock_behind", "clock_ahead", "clock_years", "naive_time"})
"""Of these a figure may be put at another time, by the sender's own word; it is true of some time near."""


class Broker:
    """A gateway whose messages are handed over one by one, faults and all."""

    def __init__(self, spine: Spine, service: Cps) -> None:
        self.spine = spine
        self.service = service
        self.sender = Sender(GatewayView(service.world, service.world.site("cps", 0)), service.faults)
        self.account_id = spine.connect("cps", method="mqtt", credentials={"host": "127.0.0.1", "tls": "no"})

    def hand_over(self, message: Message) -> None:
        topic = f"cps/v1/{self.sender.serial}/{message.kind}"
        receive.take_message(self.spine.context, self.account_id, "cps/v1", topic, message.body, message.retained)

    def introduce(self) -> None:
        at = int(self.spine.clock.now)
        self.hand_over(self.sender.inventory(at))
        self.hand_over(self.sender.status(at))
        for site in self.spine.store.fleet.sites():
            self.spine.store.fleet.set_by_user(site.id, {"timezone": self.sender.plan.town.zone}, at)

    def pass_by(self, start: int, end: int) -> None:
        for at in range(start, end, 300):
            self.spine.clock.now = at + 4.0
            if self.service.faults.strikes("lwt"):
                self.hand_over(Message("status", self.sender.last_will(), ""))
                self.hand_over(self.sender.status(at))
            for message in self.sender.live(at):
                self.hand_over(message)
            if at % 7_200 == 0:
                check_board(self.spine, "cps")

    def samples(self) -> dict[Key, float]:
        rows = self.spine.store.database.rows(
            "SELECT vendor_site_id, COALESCE(vendor_device_id, ''), metric, interval_s, timestamp, value "
            "FROM sample JOIN series ON series.id = series_id JOIN site ON site.id = series.site_id "
            "LEFT JOIN device ON device.id = series.device_id WHERE interval_s > 0 AND metric = 'ac_power_w' "
            # The truth has no meter.
            "AND COALESCE(device_type, '') <> 'meter'"
        )
        return {(s, d, m, i, t): value for s, d, m, i, t, value in rows}


@cache
def true_of_cps(world: World) -> dict[Key, float]:
    rows = list(SERVICES["cps"].truth(world, 0, CPS_START - DAY_S, CPS_START + 3 * DAY_S))
    known = {(r.site_id, r.device_id, r.metric, r.interval_s, r.start): r.value for r in rows if r.interval_s == 300}
    for (site, device, metric, _, at), _ in list(known.items()):
        parts = [known.get((site, device, metric, 300, at + n * 300)) for n in range(3)]
        if at % 900 == 0 and None not in parts:
            known[site, device, metric, 900, at] = sum(part for part in parts if part is not None) / 3
    return known


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    # The broker itself is real in test_subscriptions.py.
    monkeypatch.setattr("sungaze.vendors.cps._probe_broker", lambda access: Probe(sites=(), total=0, panels=False))
    clock = Hands(float(CPS_START))
    with serve("cps", World(seed=1, sites=1, panels=20), now=clock) as emulator:
        spine = Spine(tmp_path, clock, {"cps": emulator})
        service = emulator.service
        assert isinstance(service, Cps)
        yield Broker(spine, service)
        spine.close()


def check_cps(broker: Broker, phases: list[Mapping[str, float]], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    broker.introduce()
    at = CPS_START + 300
    broker.pass_by(at, at + 3_600)
    before = broker.samples()
    assert before
    at += 3_600
    for phase in phases:
        broker.service.faults.update(phase)
        broker.pass_by(at, at + 8 * HOUR_S)
        at += 8 * HOUR_S
        for name in phase:
            broker.service.faults[name] = 0.0
    for message in broker.sender.released():
        broker.hand_over(message)
    broker.introduce()
    broker.pass_by(at, at + 2 * HOUR_S)
    known = true_of_cps(broker.service.world)
    stored = broker.samples()
    is_misplaced = any(phase.keys() & WRONG_CLOCKS for phase in phases)
    assert is_misplaced or before.items() <= stored.items()
    # Records hold W; documents mW; a site is the sum of its inverters.
    for key, value in stored.items():
        assert key[4] <= broker.spine.clock.now + 900 or is_misplaced, f"it has not been yet: {key}"
        if not is_misplaced:
            assert key in known, f"invented: {key} = {value}"
            assert abs(value - known[key]) <= 1.0, (key, value, known[key])
            assert value > 0 or known[key] <= 1.0, f"a zero for what is missing: {key}"
    for message in broker.sender.backfill(CPS_START, at):
        broker.hand_over(message)
    stored = broker.samples()
    for key, value in known.items():
        if key[3] == 900 and not key[1] and CPS_START + 900 <= key[4] <= at - 900 and value > 0:
            assert abs(stored.get(key, -1e9) - value) <= 1.0, (f"lost: {key}", stored.get(key), value)
    assert not [r for r in caplog.records if r.exc_info or "Traceback" in r.getMessage()]


@pytest.mark.parametrize("fault", CPS_FAULTS)
def test_a_fault_of_a_gateway_loses_and_invents_nothing(
    broker: Broker, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    check_cps(broker, [{fault: 1.0}, {fault: 0.3}], caplog)


@pytest.mark.parametrize("seed", range(MIXES), ids=str)
def test_a_mix_of_a_gateways_faults_loses_and_invents_nothing(
    broker: Broker, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    chance = random.Random(f"cps {seed}")
    mixes = [
        {fault: chance.choice([0.1, 0.3, 0.6]) for fault in chance.sample(CPS_FAULTS, chance.randint(3, 5))}
        for _ in range(2)
    ]
    check_cps(broker, mixes, caplog)
