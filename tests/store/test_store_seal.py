"""Sealed history: nothing above the class can tell whether a sample is a row or lies in a block."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from store_kit import NOW, connect

from sungaze import clock
from sungaze.model import DAY_S, DeviceFacts, DeviceType, Reading, SiteFacts, Span
from sungaze.store import Store
from sungaze.store.database import FEW_FREE, PAGES_AT_ONCE
from sungaze.store.seal import month_of, month_span
from sungaze.store.timeseries import Rating, SeriesKey

EVER = Span(clock.EARLIEST, clock.LATEST)
START = 1_775_001_600
"""2026-04-01 00:00 UTC, two months before NOW."""
DEVICES = ["", "m0", "m1", "m2"]
METRICS = ["ac_power_w", "energy_wh", "energy_lifetime_wh", "ac_voltage_v"]
INTERVALS = [0, 300, 900, DAY_S]


def opened(path: Path) -> tuple[Store, int]:
    """A store of one site with three panels."""
    store = Store(path)
    connect(store, 1)
    facts = SiteFacts(vendor_site_id="700", name="Roof", timezone="Europe/Berlin", peak_power_kw=6.0)
    store.fleet.apply_sites(1, "enphase", [facts], complete=True, now=NOW)
    row = store.fleet.sites()[0]
    panels = [
        DeviceFacts(vendor_device_id=f"m{k}", device_type=DeviceType.MICROINVERTER, serial_number=f"48{k}", rated_w=300)
        for k in range(3)
    ]
    store.fleet.apply_devices(row, panels, complete=True, now=NOW)
    return store, row.id


def put(store: Store, site_id: int, readings: Sequence[Reading], *, older: bool = False) -> Any:
    return store.timeseries.write(
        site_id, readings, devices=store.fleet.device_ids(site_id), rating=Rating(), now=NOW, older=older
    )


def instant(interval_s: int, slot: int) -> int:
    return START + slot * (interval_s or 777) - (7_200 if interval_s == DAY_S else 0)


SLOTS = st.one_of(st.integers(0, 20), st.integers(0, 9_000))
VALUES = st.one_of(st.integers(0, 5).map(float), st.sampled_from([0.1 + 0.2, -3.5, 120.25, 1e9]))
READING = st.builds(
    lambda device, metric, interval, slot, value: Reading(
        device, metric, interval, instant(interval, slot if interval != DAY_S else slot % 50), value
    ),
    st.sampled_from(DEVICES), st.sampled_from(METRICS), st.sampled_from(INTERVALS), SLOTS, VALUES,
)  # fmt: skip
RUN = st.builds(
    lambda device, metric, slot, values: [
        Reading(device, metric, 300, instant(300, slot + k), v) for k, v in enumerate(values)
    ],
    st.sampled_from(DEVICES), st.sampled_from(METRICS), st.integers(0, 9_000), st.lists(VALUES, max_size=20),
)  # fmt: skip
STEP = st.one_of(
    st.tuples(st.just("write"), st.lists(READING, max_size=15)),
    st.tuples(st.just("write"), RUN),
    st.tuples(st.just("older"), st.lists(READING, max_size=15)),
    st.tuples(st.just("seal"), st.sampled_from([NOW, NOW - 20 * DAY_S, NOW + 40 * DAY_S])),
    st.tuples(st.just("retract"), READING),
    st.tuples(st.just("restamp"), st.sampled_from(["America/Chicago", "Asia/Kolkata"])),
)


def seen(store: Store, site_id: int, spans: Sequence[Span]) -> dict[str, Any]:
    """All that the class tells of a site."""
    series = store.timeseries
    found: dict[str, Any] = {"kept": series.kept(site_id), "catalogue": series.catalogue(site_id)}
    found["newest"] = series.newest_of_devices(site_id, METRICS)
    found["recent"] = [(store.recent.newest(metric), store.recent.days(metric, 0, [site_id])) for metric in METRICS]
    found["counted"] = [series.count(site_id=site_id, span=span) for span in spans]
    for device in range(4):
        for metric in METRICS:
            for interval in INTERVALS:
                key = SeriesKey(site_id, device, metric, interval)
                every = series.raw(key, EVER)
                found[f"raw {key}"] = every
                assert [row for piece in series.pieces(key, EVER, 3) for row in piece] == every
                found[f"counts {key}"] = series.counts(key, spans, 900)
                for span in spans:
                    assert series.raw(key, span) == [row for row in every if span.start <= row[0] < span.end]
            for resolution in ("raw", "5m", "1h", "1d"):
                for span in spans:
                    found[f"{device} {metric} {resolution} {span}"] = series.read(
                        site_id, device, metric, span, resolution=resolution, timezone="Europe/Berlin"
                    )
    for metric in METRICS:
        for span in spans:
            day = Span(span.start, min(span.end, span.start + DAY_S))
            found[f"day {metric} {day}"] = series.day_of_devices(site_id, [1, 2, 3], metric, day, most=500)
            found[f"energy {metric} {day}"] = series.energy_of_devices(site_id, metric, day)
            for interval in INTERVALS:
                found[f"latest {metric} {interval} {day}"] = series.latest(site_id, metric, interval, at=day.end)
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEP, max_size=10))
def test_a_store_that_seals_tells_the_same_as_one_that_does_not(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("twins")
    sealing, site_id = opened(folder / "a.db")
    plain, _ = opened(folder / "b.db")
    try:
        zone = "Europe/Berlin"
        for what, given_with in steps:
            if what == "seal":
                event(f"folded: {min(sealing.seal(given_with, everything=True).samples, 20) // 5 * 5}")
                continue
            told = []
            for store in (sealing, plain):
                if what == "retract":
                    device = store.fleet.device_ids(site_id).get(given_with.vendor_device_id, 0)
                    key = SeriesKey(site_id, device, given_with.metric_name, given_with.interval_s)
                    told.append(store.timeseries.retract(key, [given_with.timestamp, given_with.timestamp + 300]))
                elif what == "restamp":
                    told.append(store.timeseries.restamp_days(site_id, zone, given_with))
                else:
                    told.append(put(store, site_id, given_with, older=what == "older"))
            assert told[0] == told[1], what
            zone = given_with if what == "restamp" else zone
        spans = [Span(START, START + DAY_S), Span(START + 10 * DAY_S + 450, START + 35 * DAY_S)]
        assert seen(sealing, site_id, spans) == seen(plain, site_id, spans)
        assert sealing.check_blocks() == []
        assert sealing.database.scalar("PRAGMA integrity_check") == "ok"
        assert sealing.forget_site(site_id) == plain.forget_site(site_id)
        assert sealing.database.scalar("SELECT count(*) FROM block") == 0
    finally:
        sealing.close()
        plain.close()


def test_months_are_those_of_utc() -> None:
    span = month_span(month_of(START))
    assert (clock.iso(span.start), clock.iso(span.end)) == ("2026-04-01T00:00:00Z", "2026-05-01T00:00:00Z")
    assert month_of(span.end - 1) == month_of(span.start)
    assert month_of(month_span(month_of(NOW + 200 * DAY_S)).start) == month_of(NOW + 200 * DAY_S)


def test_a_counter_that_fell_is_set_aside_whole_after_its_past_was_sealed(tmp_path: Path) -> None:
    store, site_id = opened(tmp_path / "a.db")
    try:
        put(store, site_id, [Reading("m0", "energy_lifetime_wh", 0, START + k, 10.0 + k) for k in range(9)])
        assert store.seal(NOW, everything=True).samples == 8
        written = put(store, site_id, [Reading("m0", "energy_lifetime_wh", 0, START + 900, 1.0)])
        assert (written.samples, len(written.refused)) == (0, 1)
    finally:
        store.close()


def test_pages_are_given_back_to_the_disk_many_at_once(tmp_path: Path) -> None:
    store, _ = opened(tmp_path / "a.db")
    try:
        with store.database.transaction():
            store.database.execute("CREATE TABLE room (filled BLOB)")
            store.database.executemany("INSERT INTO room VALUES (?)", ((bytes(9_000),) for _ in range(4_500)))
            store.database.execute("DROP TABLE room")
        free = store.database.scalar("PRAGMA freelist_count")
        assert FEW_FREE < free < 2 * FEW_FREE
        assert store.database.give_back(over=free) == free
        assert free - PAGES_AT_ONCE < store.database.give_back() < free - PAGES_AT_ONCE // 2
        while store.database.give_back():
            pass
        assert store.database.scalar("PRAGMA page_count") < PAGES_AT_ONCE
    finally:
        store.close()


def test_a_changed_bit_costs_a_month_of_one_site_and_is_named(tmp_path: Path) -> None:
    store, site_id = opened(tmp_path / "a.db")
    try:
        for device in ("m0", "m1", "m2"):
            put(
                store,
                site_id,
                [Reading(device, "ac_power_w", 300, START + 300 * k, float(k % 7)) for k in range(9_000)],
            )
        before = store.timeseries.raw(SeriesKey(site_id, 2, "ac_power_w", 300), EVER)
        store.seal(NOW + 60 * DAY_S, everything=True)
        (block_id, data), *_ = store.database.rows("SELECT id, data FROM block ORDER BY id")
        broken = bytearray(data)
        broken[len(broken) // 2] ^= 4
        store.database.execute("UPDATE block SET data = ? WHERE id = ?", (bytes(broken), block_id))
        (damage,) = store.check_blocks()
        assert (damage.site_id, damage.metric, damage.month) == (site_id, "ac_power_w", "2026-04")
        may = month_span(month_of(START)).end
        readable = store.timeseries.raw(SeriesKey(site_id, 2, "ac_power_w", 300), EVER)
        assert [row for row in readable if row[0] >= may] == [row for row in before if row[0] >= may]
        late = Reading("m1", "ac_power_w", 300, START + 300, 99.0)
        put(store, site_id, [late])
        store.seal(NOW + 60 * DAY_S, everything=True)
        assert (late.timestamp, 99.0) in store.timeseries.raw(SeriesKey(site_id, 2, "ac_power_w", 300), EVER)
    finally:
        store.close()
