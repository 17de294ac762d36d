"""The store's size and speed, with the same samples in other stores beside it where they are asked for."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from bench import _history as history
from bench._history import DAY_S, START, Series, SiteHistory
from bench._measure import Row, median, milliseconds, percentile
from bench._peers import PEERS, Missing, Peer, folder_bytes
from bench._store import fill
from bench.api import serve
from sungaze import clock
from sungaze.model import DeviceFacts, DeviceType, Reading, SiteFacts, Span
from sungaze.store import Store
from sungaze.store.timeseries import Rating, SeriesKey
from sungaze.vendors import connector

DAYS: Final = 90
LATER: Final = float(START + 3 * 366 * DAY_S)
"""A `now` at which every day of the data is over and past any vendor's late window."""
ASKED: Final = 60
"""How often a day is read, each time another one."""
FLEET: Final = 1_000
FLEET_PANELS: Final = 25
LARGE: Final = 2_000
"""Panels of the large site whose panel's year is read."""
OURS: Final = "sungaze"
CAN_SEAL: Final = hasattr(Store, "seal")
NOTE: Final = "sealed" if CAN_SEAL else "as rows, because this version does not seal"
MB: Final = 1_000_000


class Sealing(NamedTuple):
    """What sealing took, in a process of its own; memory is that process's peak before and after, bytes."""

    seconds: float
    before: int
    peak: int


class Sungaze:
    """Our own store, as the peers are asked."""

    name = OURS
    note = NOTE

    def __init__(self, folder: Path, sites: Sequence[SiteHistory]) -> None:
        self.path = folder / "sungaze.db"
        self.store = Store(self.path)
        self.sealed: list[Sealing] = []
        self._sites: dict[int, int] = {}
        self._devices: dict[int, dict[str, int]] = {}
        for vendor in dict.fromkeys(site.vendor for site in sites):
            self._enter(vendor, [site for site in sites if site.vendor == vendor])

    def _enter(self, vendor: str, sites: Sequence[SiteHistory]) -> None:
        declared = connector(vendor).vendor
        fleet = self.store.fleet
        account = 1 + len(fleet.accounts())
        with self.store.database.transaction():
            fleet.add_account(
                id=account, vendor=vendor, method=declared.methods[0].id, plan=declared.methods[0].plans[0],
                label=vendor, base_url=None, scope=vendor, identity=vendor, now=START,
            )  # fmt: skip
            # Nothing is asked of a vendor in its name.
            fleet.set_account_state(account, "connected", "", START, retry_at=LATER)
            facts = [
                SiteFacts(
                    vendor_site_id=str(site.site), name=f"Roof {site.site}", timezone="Europe/London",
                    latitude=history.LATITUDE, longitude=0.0,
                )
                for site in sites
            ]  # fmt: skip
            ids = fleet.apply_sites(account, vendor, facts, complete=True, now=START)
            for site, site_id in zip(sites, ids, strict=True):
                devices = sorted({one.device for one in site.series} - {0})
                known = [DeviceFacts(vendor_device_id=str(d), device_type=DeviceType.MICROINVERTER) for d in devices]
                self._sites[site.site] = site_id
                self._devices[site_id] = fleet.apply_devices(fleet.site(site_id), known, complete=True, now=START)

    def prepare(self, chunk: list[Series]) -> Any:
        readings = [
            Reading(str(one.device) if one.device else "", one.metric, one.interval_s, t, v)
            for one in chunk
            for t, v in zip(one.timestamps.tolist(), one.values.tolist(), strict=True)
        ]
        return self._sites[chunk[0].site], readings

    def write(self, prepared: Any) -> None:
        site_id, readings = prepared
        self.store.timeseries.write(
            site_id, readings, devices=self._devices[site_id], rating=Rating(), now=readings[-1].timestamp
        )

    def finish(self) -> None:
        if CAN_SEAL:
            self.store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            self.sealed.append(seal(self.path))
        database = self.store.database
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def size(self) -> int:
        return folder_bytes(self.path.parent)

    def day(self, site: int, metric: str, start: int, end: int) -> dict[int, list[tuple[int, float]]]:
        site_id = self._sites[site]
        devices = self._devices[site_id]
        found = self.store.timeseries.day_of_devices(
            site_id, list(devices.values()), metric, Span(start, end), most=1 << 30
        )
        named = {device_id: int(key) for key, device_id in devices.items()}
        return {
            named[device_id]: [(t, v) for t, v in zip(found.timestamps, values, strict=True) if v is not None]
            for device_id, values in found.values.items()
        }

    def year(self, site: int, panel: int, start: int) -> int:
        """How many samples a panel has in a year from then."""
        site_id = self._sites[site]
        key = SeriesKey(site_id, self._devices[site_id][str(panel)], "ac_power_w", history.STEP_S)
        return len(self.store.timeseries.raw(key, Span(start, start + 366 * DAY_S)))

    def close(self) -> None:
        self.store.close()


class Measured(NamedTuple):
    """What a store showed of one data set."""

    name: str
    note: str
    size: float
    """Bytes a sample."""
    rate: float
    """Samples written a second."""
    day_ms: float
    sealed: list[Sealing]

    @property
    def figures(self) -> tuple[float, float, float]:
        """What is compared."""
        return self.size, self.rate, self.day_ms


def rows(against: Sequence[str] = ()) -> list[Row]:
    """The table: ours, each peer that is asked for with its ratio to ours, then what is ours alone."""
    found: list[Row] = []
    sizes: dict[float, float] = {}
    daylight = 0.0
    for noise, bound in ((0.01, 0.42), (0.05, 0.70)):
        data = history.panels(noise, days=DAYS)
        daylight = history.samples(data) / sum(len(site.series) for site in data) / DAYS
        part = compare(f"A, {noise:.0%} noise", data, against, f"≤ {bound}")
        sizes[noise] = part.ours.size
        found += part.rows
    found += compare("B, as five vendors give it", history.vendors(days=DAYS), against, "≤ 0.65 × victoriametrics").rows
    found += _year(20, "≤ 15 ms")
    if CAN_SEAL:
        found += _year(LARGE, "≤ 30 ms")
    found += _fleet()
    found += _while_sealing() if CAN_SEAL else [Row("sealing", "this version does not seal")]
    yearly = FLEET * FLEET_PANELS * 365 * daylight
    for noise, size in sizes.items():
        what = f"computed file of {FLEET:,} sites × {FLEET_PANELS} panels over a year, {noise:.0%} noise"
        found.append(Row(what, f"{yearly * size / 1e9:.2f} GB, {yearly / 1e9:.2f} G samples", value=yearly * size))
    return found


class Compared(NamedTuple):
    """A data set in every store: the lines, and our own figures."""

    rows: list[Row]
    ours: Measured


def compare(label: str, data: list[SiteHistory], against: Sequence[str], bound: str) -> Compared:
    """Put the same samples into ours and each peer, one after the other, and say what each made of them."""
    whole = whole_metrics(data)
    makers: list[tuple[str, Callable[[Path], Peer]]] = [(OURS, lambda folder: Sungaze(folder, data))]
    makers += [(name, lambda folder, name=name: PEERS[name](folder, whole)) for name in against]  # type: ignore[misc]
    measured: list[Measured] = []
    found: list[Row] = []
    for name, make in makers:
        with tempfile.TemporaryDirectory() as folder:
            try:
                peer = make(Path(folder))
            except Missing as missing:
                found.append(Row(f"{label}: {name}", str(missing)))
                continue
            try:
                measured.append(_measure(peer, data))
            finally:
                peer.close()
    ours = measured[0]
    told: list[Row] = []
    for one in measured:
        what = f"{label}: {one.name}"
        asked = (bound, "≥ 200,000", "≤ victoriametrics") if one.name == OURS else ("", "", "")
        # A peer is told beside ours, and ours beside the first peer there is.
        beside = (measured[1] if len(measured) > 1 else None) if one.name == OURS else ours
        size, write, day = (
            ("", "", "")
            if beside is None
            else (
                f", {mine / other:.2f} × {beside.name}" for mine, other in zip(one.figures, beside.figures, strict=True)
            )
        )
        told += [
            Row(f"{what}, bytes a sample ({one.note})", f"{one.size:.3f}{size}", asked[0], one.size),
            Row(f"{what}, samples written a second", f"{one.rate:,.0f}{write}", asked[1], one.rate),
            Row(f"{what}, a day of a site's panels", f"p50 {one.day_ms:.2f} ms{day}", asked[2], one.day_ms),
        ]
        if one.sealed:
            first = one.sealed[0]
            rate = history.samples(data) / first.seconds
            told.append(Row(f"{what}, samples sealed a second", f"{rate:,.0f}", "≥ 2,000,000", rate))
            peak = max(run.peak for run in one.sealed)
            grown = f"{peak / MB:.0f} MB, {first.before / MB:.0f} MB before it began"
            told.append(Row(f"{what}, memory while sealing", grown, "< 300 MB", peak / MB))
    return Compared([*told, *found], ours)


def _measure(peer: Peer | Sungaze, data: list[SiteHistory]) -> Measured:
    took = written = 0.0
    for site in data:
        for chunk in site.days():
            prepared = peer.prepare(chunk)
            began = time.perf_counter()
            peer.write(prepared)
            took += time.perf_counter() - began
            written += sum(len(one.timestamps) for one in chunk)
    peer.finish()
    late = [site for site in data if site.late]
    for site in late:
        peer.write(peer.prepare(site.late))
    if late:
        peer.finish()
    size = peer.size()
    return Measured(
        peer.name, peer.note, size / history.samples(data), written / took, 1000 * _day_s(peer, data),
        list(peer.sealed) if isinstance(peer, Sungaze) else [],
    )  # fmt: skip


def _day_s(peer: Peer | Sungaze, data: list[SiteHistory]) -> float:
    """The median of many days of the panels of many sites, none twice. Raises AssertionError for a sample too few."""
    by_panel = [site for site in data if site.series[0].device and site.series[0].metric.endswith("power_w")]
    times = []
    for k in range(ASKED):
        site = by_panel[k % len(by_panel)]
        metric = site.series[0].metric
        first = int(site.series[0].timestamps[0]) // DAY_S
        days = int(site.series[0].timestamps[-1]) // DAY_S - first + 1
        start = (first + 7 * k % days) * DAY_S
        began = time.perf_counter()
        got = peer.day(site.site, metric, start, start + DAY_S)
        times.append(time.perf_counter() - began)
        wanted = sum(len(one.cut(start, start + DAY_S).timestamps) for one in site.series if one.metric == metric)
        there = sum(len(points) for points in got.values())
        # VictoriaMetrics keeps both values of a sample that was corrected.
        assert there == wanted or (there > wanted and site.late), f"{peer.name}: {there} of {wanted} samples"
    return median(times)


def whole_metrics(data: Sequence[SiteHistory]) -> frozenset[str]:
    """The metrics whose values are all whole numbers."""
    broken = {one.metric for site in data for one in site.series if (one.values % 1).any()}
    return frozenset(one.metric for site in data for one in site.series) - broken


def seal(path: Path) -> Sealing:
    """Seal all of a store by a process of its own."""
    command = [sys.executable, "-m", "bench._seal", str(path), str(LATER)]
    checkout = Path(__file__).resolve().parents[1]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=checkout)
    said = json.loads(done.stdout)
    return Sealing(said["seconds"], *said["memory"])


def _year(panels: int, bound: str) -> list[Row]:
    """A panel's year in a site of so many panels, written by months and sealed as it goes: never all of it is rows."""
    times: list[float] = []
    there = 0
    with tempfile.TemporaryDirectory() as folder:
        ours: Sungaze | None = None
        try:
            for first in range(0, 365, 31):
                month = history.panels(0.01, sites=1, panels=panels, days=min(31, 365 - first), from_day=first)
                ours = ours or Sungaze(Path(folder), month)
                for day in month[0].days():
                    ours.write(ours.prepare(day))
                ours.finish()
            assert ours is not None
            for k in range(30):
                began = time.perf_counter()
                there = ours.year(1, 1 + k * 37 % panels, START)
                times.append(time.perf_counter() - began)
        finally:
            if ours is not None:
                ours.close()
    what = f"a panel's year in a site of {panels:,} panels ({NOTE}), {there:,} samples"
    return [Row(what, milliseconds(times), bound, 1000 * median(times))]


def _fleet() -> list[Row]:
    """What a list of a thousand sites asks of the store, and the fleet's energy of a year from its days."""
    now = float(START + 366 * DAY_S)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sungaze.db"
        fill(path, FLEET, now)
        store = Store(path)
        try:
            sites = store.fleet.sites()
            newest, written, summed = [], [], []
            for turn in range(5):
                began = time.perf_counter()
                got = [store.timeseries.newest_of_devices(site.id, ("ac_power_w",)) for site in sites]
                newest.append(time.perf_counter() - began)
                assert all(got)
                at = int(now) + 300 * turn
                began = time.perf_counter()
                for site in sites:
                    reading = Reading("", "ac_power_w", 300, at, 100.0 + turn)
                    store.timeseries.write(site.id, [reading], devices={}, rating=Rating(8000.0), now=now)
                written.append(time.perf_counter() - began)
            last = clock.day_of(now, dt.UTC)
            days = [last - dt.timedelta(days=back) for back in range(1, 366)]
            with store.database.transaction():
                store.database.execute("DELETE FROM site_day")
                store.database.executemany(
                    "INSERT INTO site_day (site_id, day, energy_wh, energy_interval_s, peak_w, first_at, last_at, "
                    "completeness) VALUES (?, ?, ?, 86400, ?, ?, ?, 0.97)",
                    (
                        (site.id, day.isoformat(), 31_000.5 + k, 6_000.5 + k, START + k, START + 40_000 + k)
                        for site in sites
                        for k, day in enumerate(days)
                    ),
                )
            store.database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            for _ in range(20):
                began = time.perf_counter()
                found = store.days.of_fleet(days[-1], days[0])
                summed.append(time.perf_counter() - began)
                assert len(found) == 365
                assert {day.sites for day in found} == {FLEET}
        finally:
            store.close()
    told = (
        (f"newest values of {FLEET:,} sites, read", newest, "≤ 500 ms"),
        (f"newest values of {FLEET:,} sites, a transaction each", written, "≤ 500 ms"),
        (f"the fleet's daily energy of a year, {FLEET:,} sites", summed, "≤ 50 ms"),
    )
    return [Row(what, milliseconds(times), bound, 1000 * median(times)) for what, times, bound in told]


def _while_sealing() -> list[Row]:
    """`/api/sites` of a thousand sites, while a process beside the server seals millions of samples."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sungaze.db"
        fill(path, FLEET, time.time())
        data = history.panels(0.01, sites=10, days=DAYS, first_site=10_001)
        ours = Sungaze(Path(folder), data)
        try:
            for site in data:
                for chunk in site.days():
                    ours.write(ours.prepare(chunk))
        finally:
            ours.close()
        times: list[float] = []
        with serve(Path(folder)) as client:
            _asked(client)
            worker = threading.Thread(target=seal, args=(path,))
            worker.start()
            while worker.is_alive():
                times.append(_asked(client))
                time.sleep(0.02)
            worker.join()
    what = f"GET /api/sites, {FLEET:,} sites, while another process seals {history.samples(data):,} samples"
    return [Row(what, milliseconds(times), "p95 ≤ 100 ms", 1000 * percentile(times, 0.95))]


def _asked(client: httpx.Client) -> float:
    began = time.perf_counter()
    client.get("/api/sites?limit=1000").raise_for_status()
    return time.perf_counter() - began
