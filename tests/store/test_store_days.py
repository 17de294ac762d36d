"""The days of a site: computed from its samples when they are over, and again whenever these change."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_kit import NOW, connect

from sungaze import clock
from sungaze.model import DAY_S, Reading, Role, SiteFacts, Span
from sungaze.store import Store, database, migrations
from sungaze.store.database import Database
from sungaze.store.days import AT_ONCE, Curve, SiteDay
from sungaze.store.fleet import SiteRow
from sungaze.store.timeseries import Rating, SeriesKey

CURVE = Curve("ac_power_w", "energy_wh", 300, 900)
EVER = (dt.date(1990, 1, 1), dt.date(2199, 12, 31))
ZONES = ("Europe/Berlin", "America/Chicago", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Auckland")
HALF_H = 1_800


def write(store: Store, site: SiteRow, *readings: Reading) -> None:
    store.timeseries.write(site.id, readings, devices={"panel": 7}, rating=Rating(), now=NOW)


def settle(store: Store, site: SiteRow, now: float = NOW) -> int:
    done = 0
    while days := store.days.settle(site.id, CURVE, now):
        done += days
    return done


def rows(store: Store, site: SiteRow) -> dict[str, SiteDay]:
    return {row.day.isoformat(): row for row in store.days.of_site(site.id, *EVER)}


def power(start: int, *values: float, step: int = HALF_H) -> list[Reading]:
    return [Reading("", "ac_power_w", step, start + k * step, v) for k, v in enumerate(values)]


def midnight(day: str, zone: str = "Europe/Berlin") -> int:
    tz = clock.zone(zone)
    assert tz is not None
    return clock.midnight(dt.date.fromisoformat(day), tz)


# -- against a plain reference ---------------------------------------------------------------------------------------

Samples = dict[tuple[str, int], dict[int, float]]
"""What a site has, by metric and interval."""


def reference(samples: Samples, site: SiteRow, now: float) -> dict[str, SiteDay]:
    """Each day that is over, from all samples, one at a time."""
    tz = clock.zone(site.timezone)
    assert tz is not None
    days: dict[dt.date, dict[tuple[str, int], dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for key, values in samples.items():
        if key[0] in {"ac_power_w", "energy_wh"}:
            for at, value in values.items():
                days[dt.datetime.fromtimestamp(at, tz).date()][key][at] = value
    found = {}
    for day, series in sorted(days.items()):
        start, end = clock.midnight(day, tz), clock.midnight(day + dt.timedelta(days=1), tz)
        curve = {step: v for (metric, step), v in series.items() if metric == "ac_power_w" and step != DAY_S}
        energies = {step: v for (metric, step), v in series.items() if metric == "energy_wh"}
        if end > now or not (curve or energies):
            continue
        energy = interval = None
        for step in sorted(energies, reverse=True):
            if step == DAY_S:
                interval, energy = DAY_S, energies[DAY_S][max(energies[DAY_S])]
            elif step and len(energies[step]) * step >= end - start:
                interval, energy = step, sum(energies[step].values())
        lit = [(at, at + step) for step, values in curve.items() for at, value in values.items() if value > 0]
        found[day.isoformat()] = SiteDay(
            site_id=site.id, day=day, energy_wh=energy, energy_interval_s=interval,
            peak_w=max((value for values in curve.values() for value in values.values()), default=None),
            first_at=min((a for a, _ in lit), default=None), last_at=max((b for _, b in lit), default=None),
            completeness=share(curve, site, Span(start, end)),
        )  # fmt: skip
    return found


def share(curve: dict[int, dict[int, float]], site: SiteRow, day: Span) -> float | None:
    """Slot by slot from the first mark an hour after sunrise to the last an hour before sunset."""
    step = min((s for s in curve if s), default=CURVE.bucket_s if curve else CURVE.fine_s)
    assert site.latitude is not None
    assert site.longitude is not None
    (sun,) = [
        s
        for s in clock.daylight_near((day.start + day.end) // 2, site.latitude, site.longitude)
        if s.start <= (day.start + day.end) // 2 < s.end
    ]
    marks = range(day.start - day.start % step, day.end + step, step)
    due = [m for m in marks if m >= sun.start + 3600 and m + step <= sun.end - 3600]
    covered = [
        m for m in due if any(at < m + step and m < at + max(s, 1) for s, values in curve.items() for at in values)
    ]
    return len(covered) / len(due)


FIRST = midnight("2026-03-26")
"""Berlin's clocks go forward three days later, Chicago's went before, Lord Howe's and Auckland's go back in April."""

LENGTHS = {"ac_power_w": (0, 900, HALF_H), "energy_wh": (HALF_H, 3600, DAY_S), "temperature_c": (900,)}


@st.composite
def changes(draw: st.DrawFn) -> tuple[str, object]:
    """Something that is done to a site: written, a whole day of it, taken out, moved to another zone, or settled."""
    kind = draw(st.sampled_from(("write", "whole", "retract", "zone", "position", "settle")))
    if kind == "zone":
        return kind, draw(st.sampled_from(ZONES))
    if kind == "position":
        return kind, draw(st.sampled_from(((-4.0, 3.0), (0.0, -5.0), (2.0, 0.0))))
    if kind == "settle":
        return kind, draw(st.integers(0, 20))
    metric = draw(st.sampled_from(sorted(LENGTHS)))
    length = draw(st.sampled_from(LENGTHS[metric]))
    first, size = draw(st.integers(0, 9 * 48)), draw(st.integers(1, 60))
    return kind, (metric, length, first, size, draw(st.sampled_from((-2.0, 0.0, 100.0, 250.5, 4000.0))))


def apply(store: Store, site_id: int, change: tuple[str, object]) -> None:
    kind, what = change
    site = store.fleet.site(site_id)
    tz = clock.zone(site.timezone)
    assert tz is not None
    if kind == "settle":
        assert isinstance(what, int)
        settle(store, site, FIRST + what * DAY_S // 2)
    elif kind == "zone":
        store.fleet.set_by_user(site_id, {"timezone": what, "latitude": None, "longitude": None}, NOW)
    elif kind == "position":
        assert isinstance(what, tuple)
        city = clock.zone_city(site.timezone)
        assert city is not None
        store.fleet.set_by_user(site_id, {"latitude": city[0] + what[0], "longitude": city[1] + what[1]}, NOW)
    else:
        assert isinstance(what, tuple)
        metric, length, first, size, value = what
        start = FIRST + first * HALF_H
        if kind == "whole":
            day = clock.local_day(clock.day_of(start, tz), tz)
            stamps = list(range(day.start, day.end, length or 900))[: None if length != DAY_S else 1]
        elif length == DAY_S:
            stamps = [day.start for _, day in clock.local_days(Span(start, start + size * HALF_H), tz)]
        else:
            stamps = [start + k * (length or 700) for k in range(size)]
        if kind == "retract":
            store.timeseries.retract(SeriesKey(site_id, 0, metric, length), stamps)
        else:
            write(store, site, *(Reading("", metric, length, t, value + k % 3) for k, t in enumerate(stamps)))


@given(st.lists(changes(), min_size=1, max_size=14))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_after_any_changes_the_rows_are_those_computed_afresh(steps: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "sungaze.db")
        try:
            facts = SiteFacts(vendor_site_id="1", name="Roof", timezone="Europe/Berlin")
            (site_id,) = store.fleet.apply_sites(connect(store, 1), "enphase", [facts], complete=True, now=NOW)
            for step in steps:
                apply(store, site_id, step)
            now = FIRST + 8 * DAY_S + 7 * 3600
            site = store.fleet.site(site_id)
            # What was settled at a later moment than this stays: a day that was over is over.
            now = max([now, *(FIRST + what * DAY_S // 2 for _, what in steps if isinstance(what, int))])
            settle(store, site, now)
            samples: Samples = {
                (info.key.metric, info.key.interval_s): dict(store.timeseries.raw(info.key, Span(0, 1 << 40)))
                for info in store.timeseries.catalogue(site_id)
            }
            assert rows(store, site) == reference(samples, site, now)
            assert settle(store, site, now) == 0
        finally:
            store.close()


# -- one by one ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2025-10-26", 25), ("2026-05-20", 24)])
def test_a_day_of_daylight_saving_is_summed_whole_in_its_own_length(
    store: Store, site: SiteRow, day: str, hours: int
) -> None:
    start = midnight(day)
    write(store, site, *(Reading("", "energy_wh", 3600, start + k * 3600, 10.0) for k in range(-3, 28)))
    settle(store, site)
    row = rows(store, site)[day]
    assert (row.energy_wh, row.energy_interval_s) == (10.0 * hours, 3600)


@pytest.mark.parametrize(("hours", "energy", "interval"), [(24, 240.0, 3600), (23, 250.0, DAY_S)])
def test_the_finest_that_covers_the_day_stands_as_it_does_when_days_are_read(
    store: Store, site: SiteRow, hours: int, energy: float, interval: int
) -> None:
    start = midnight("2026-05-20")
    write(store, site, *(Reading("", "energy_wh", 3600, start + k * 3600, 10.0) for k in range(hours)))
    write(store, site, Reading("", "energy_wh", DAY_S, start, 250.0))
    settle(store, site)
    row = rows(store, site)["2026-05-20"]
    assert (row.energy_wh, row.energy_interval_s) == (energy, interval)
    day = Span(start, start + DAY_S)
    read = store.timeseries.read(site.id, 0, "energy_wh", day, resolution="1d", timezone=site.timezone)
    assert read.rows == [(float(start), energy)]


def test_a_part_of_a_day_is_no_energy_and_a_day_without_samples_no_row(store: Store, site: SiteRow) -> None:
    start = midnight("2026-05-20")
    write(store, site, *(Reading("", "energy_wh", 3600, start + k * 3600, 10.0) for k in range(23)))
    write(store, site, *power(start + 3 * DAY_S + 40_000, 100.0))
    settle(store, site)
    found = rows(store, site)
    assert sorted(found) == ["2026-05-20", "2026-05-23"]
    assert found["2026-05-20"].energy_wh is None
    assert found["2026-05-20"].completeness == 0.0
    assert found["2026-05-23"].energy_wh is None


def test_the_running_day_has_no_row_until_it_is_over(store: Store, site: SiteRow) -> None:
    today = midnight("2026-06-01")
    write(store, site, Reading("", "energy_wh", DAY_S, today, 4_000.0))
    assert settle(store, site) == 0
    assert rows(store, site) == {}
    assert settle(store, site, today + DAY_S) == 1
    assert rows(store, site)["2026-06-01"].energy_wh == 4_000.0


def test_a_clock_that_was_set_back_for_a_while_costs_no_day(store: Store, site: SiteRow) -> None:
    write(store, site, *power(midnight("2026-05-20") + 40_000, 100.0), *power(midnight("2026-05-22") + 40_000, 200.0))
    settle(store, site)
    before = rows(store, site)
    write(store, site, *power(midnight("2026-05-20") + 40_000, 100.5))
    settle(store, site, midnight("2026-05-21") + 7_200)
    write(store, site, *power(midnight("2026-05-20") + 40_000, 100.0))
    settle(store, site)
    assert rows(store, site) == before


def test_polls_of_a_day_leave_one_mark_and_a_settled_day_is_not_settled_again(store: Store, site: SiteRow) -> None:
    today = midnight("2026-06-01")
    for quarter in range(-20, 40):
        write(store, site, *power(today + quarter * 900, 100.0 + quarter, step=900))
    assert store.database.scalar("SELECT count(*) FROM site_day_due") == 1
    assert [s.id for s in store.days.due(NOW)] == [site.id]
    assert settle(store, site) == 1
    write(store, site, *power(today + 40 * 900, 5.0, step=900))
    assert store.days.due(NOW) == []
    assert len(store.days.due(NOW + DAY_S)) == 1


def test_the_same_answer_again_and_other_devices_mark_nothing(store: Store, site: SiteRow) -> None:
    answer = [*power(midnight("2026-05-20") + 40_000, 100.0, 90.0)]
    write(store, site, *answer)
    settle(store, site)
    write(store, site, *answer)
    write(store, site, Reading("panel", "ac_power_w", 300, midnight("2026-05-20") + 40_000, 20.0))
    write(store, site, Reading("", "temperature_c", 300, midnight("2026-05-20") + 40_000, 20.0))
    assert store.database.scalar("SELECT count(*) FROM site_day_due") == 0


def test_days_wait_for_the_zone_and_are_settled_once_it_is_known(store: Store, account: int) -> None:
    facts = SiteFacts(vendor_site_id="9", name="Nowhere yet")
    (site_id,) = store.fleet.apply_sites(account, "enphase", [facts], complete=False, now=NOW)
    site = store.fleet.site(site_id)
    write(store, site, *power(midnight("2026-05-20", "Asia/Kolkata") + 40_000, 100.0))
    assert settle(store, site) == 0
    store.fleet.set_by_user(site_id, {"timezone": "Asia/Kolkata"}, NOW)
    assert settle(store, site) == 1
    assert sorted(rows(store, site)) == ["2026-05-20"]


def test_a_coarser_figure_covers_the_finer_ones_that_a_gateway_missed(store: Store, site: SiteRow) -> None:
    start = midnight("2026-05-20")
    write(store, site, *power(start, *([100.0] * 144), step=300))
    write(store, site, *power(start + DAY_S // 2, *([100.0] * 48), step=900))
    settle(store, site)
    assert rows(store, site)["2026-05-20"].completeness == 1.0


def test_a_long_history_is_settled_in_small_transactions(store: Store, site: SiteRow) -> None:
    tz = clock.zone("Europe/Berlin")
    assert tz is not None
    days = [dt.date(2026, 5, 31) - dt.timedelta(days=k) for k in range(100)]
    write(store, site, *(Reading("", "energy_wh", DAY_S, clock.midnight(d, tz), 1000.0) for d in days))
    assert store.days.settle(site.id, CURVE, NOW) == AT_ONCE
    assert settle(store, site) == 100 - AT_ONCE
    assert len(rows(store, site)) == 100


def test_a_deleted_site_leaves_no_days(store: Store, site: SiteRow) -> None:
    write(store, site, *power(midnight("2026-05-20") + 40_000, 100.0))
    settle(store, site)
    write(store, site, *power(midnight("2026-05-21") + 40_000, 100.0))
    store.forget_site(site.id)
    for table in ("site_day", "site_day_due"):
        assert store.database.scalar(f"SELECT count(*) FROM {table}") == 0
    assert store.days.settle(site.id, CURVE, NOW) == 0


def test_the_fleets_days_count_a_roof_that_two_vendors_see_once(store: Store, site: SiteRow, account: int) -> None:
    facts = [SiteFacts(vendor_site_id=f"8{k}", name=f"Roof {k}", timezone="America/Chicago") for k in range(2)]
    others = store.fleet.apply_sites(account, "enphase", facts, complete=False, now=NOW)
    for site_id in [site.id, *others]:
        one = store.fleet.site(site_id)
        start = midnight("2026-05-20", one.timezone or "")
        write(store, one, Reading("", "energy_wh", DAY_S, start, 1_000.0), *power(start + DAY_S + 40_000, 10.0))
        settle(store, one)
    store.places.put_site(others[0], site.place_id, Role.SAME_GENERATION, NOW)
    found = store.days.of_fleet(dt.date(2026, 5, 1), dt.date(2026, 5, 31))
    assert [(row.day.isoformat(), row.energy_wh, row.sites) for row in found] == [("2026-05-20", 2_000.0, 2)]


def test_a_month_says_how_many_of_its_days_are_known(store: Store, site: SiteRow) -> None:
    tz = clock.zone("Europe/Berlin")
    assert tz is not None
    days = [dt.date(2026, 4, 1) + dt.timedelta(days=k) for k in range(62) if k not in {3, 40}]
    write(store, site, *(Reading("", "energy_wh", DAY_S, clock.midnight(d, tz), 100.0 + d.day) for d in days))
    write(store, site, *(r for d in days for r in power(clock.midnight(d, tz), *([float(d.month)] * 48))))
    settle(store, site)
    span = Span(midnight("2026-04-01"), NOW)

    def months(metric: str) -> list[tuple[float, ...]]:
        return store.days.months(site, 0, metric, span, energy_metric="energy_wh")

    april, may, june = (midnight(f"2026-0{month}-01") for month in (4, 5, 6))
    energy = [sum(100.0 + d.day for d in days if d.month == month) for month in (4, 5)]
    assert months("energy_wh") == [(april, energy[0], 29, 30), (may, energy[1], 30, 31), (june, 101.0, 1, 1)]
    assert months("ac_power_w") == [
        (april, 4.0, 4.0, 4.0, 29, 30), (may, 5.0, 5.0, 5.0, 30, 31), (june, 6.0, 6.0, 6.0, 1, 1)
    ]  # fmt: skip
    assert months("temperature_c") == []


def test_a_store_of_before_has_all_its_days_due(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = next(k for k, script in enumerate(migrations.MIGRATIONS) if "CREATE TABLE site_day " in script)
    with monkeypatch.context() as older:
        older.setattr(database, "LATEST", before)
        old = Database(path)
        old.execute("INSERT INTO place (id, name) VALUES (1, 'Roof')")
        old.execute(
            "INSERT INTO site (id, vendor, vendor_site_id, place_id, name, timezone, created_at) "
            "VALUES (1, 'enphase', '1', 1, 'Roof', 'Europe/Berlin', 0)"
        )
        old.execute(
            "INSERT INTO series (id, site_id, device_id, metric, interval_s) VALUES (1, 1, 0, 'energy_wh', 86400), "
            "(2, 1, 5, 'ac_power_w', 300)"
        )
        for k in range(40):
            old.execute("INSERT INTO sample VALUES (1, ?, 5.0)", (midnight("2026-04-01") + k * DAY_S,))
        old.close()
    store = Store(path)
    try:
        site = store.fleet.site(1)
        settle(store, site)
        assert len(rows(store, site)) == 40
    finally:
        store.close()
