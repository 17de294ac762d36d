"""Every night of 2024 to 2027 that moves a clock, in every zone of the tz database: days, daily figures, stamps."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import pytest

from sungaze import clock
from sungaze.model import DAY_S, Reading, SiteFacts, Span
from sungaze.store import Store
from sungaze.store.timeseries import Rating, SeriesKey
from sungaze.vendors import _solaredge_v1 as v1
from sungaze.vendors import enphase, generac, solaredge, tigo

BEGIN = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp())
END = int(dt.datetime(2028, 1, 1, tzinfo=dt.UTC).timestamp())
QUARTER_S = 900
ONE_DAY = dt.timedelta(days=1)
NOW = int(dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC).timestamp())


def offset(at: int, tz: ZoneInfo) -> int:
    found = dt.datetime.fromtimestamp(at, tz).utcoffset()
    assert found is not None
    return int(found.total_seconds())


@cache
def shifts(zone: str) -> tuple[int, ...]:
    """Every instant of these years at which a zone's offset changes. Ramadan's pause in Morocco is the shortest."""
    tz = ZoneInfo(zone)
    found = []
    for low in range(BEGIN, END, 7 * DAY_S):
        high = low + 7 * DAY_S
        if offset(low, tz) != offset(high, tz):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle, tz) == offset(low, tz) else (low, middle)
            found.append(high)
    return tuple(found)


@cache
def by_rule() -> dict[tuple[tuple[int, int, int], ...], list[str]]:
    """The zones that move their clocks then, those that do so at the same instants by the same hours together."""
    rules: dict[tuple[tuple[int, int, int], ...], list[str]] = {}
    for zone in sorted(available_timezones() - {"localtime"}):
        tz = ZoneInfo(zone)
        moves = tuple((at, offset(at - 1, tz), offset(at, tz)) for at in shifts(zone))
        if moves:
            rules.setdefault(moves, []).append(zone)
    return rules


def nights() -> Iterator[tuple[str, ZoneInfo, int, int, int]]:
    """Each such night: a zone, its tzinfo, the instant, the offsets before and after it."""
    for moves, zones in by_rule().items():
        for zone in zones:
            for at, before, after in moves:
                yield zone, ZoneInfo(zone), at, before, after


def test_these_are_all_the_zones_that_move_their_clocks_and_the_odd_ones_among_them() -> None:
    zones = {zone for some in by_rule().values() for zone in some}
    moved = {abs(after - before) for moves in by_rule() for _, before, after in moves}
    assert len(zones) > 150
    assert {1_800, 3_600, 7_200} <= moved
    assert {
        "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Beirut", "Africa/Cairo", "America/Santiago",
        "Atlantic/Azores", "America/Havana", "Pacific/Chatham", "America/St_Johns", "Africa/Casablanca",
    } <= zones  # fmt: skip


def test_days_tile_without_gap_or_overlap_and_have_the_length_that_the_night_gives_them() -> None:
    count = 0
    for zone, tz, at, before, after in nights():
        middle = clock.day_of(at, tz)
        days = [middle + ONE_DAY * n for n in range(-3, 4)]
        spans = [clock.local_day(day, tz) for day in days]
        assert all(a.end == b.start for a, b in pairwise(spans)), (zone, middle)
        for day, span in zip(days, spans, strict=True):
            assert clock.day_of(span.start, tz) == day, (zone, day)
            assert clock.midnight(day, tz) == span.start
            # A midnight that comes twice is one of the day before for an hour: its first coming begins the day.
            assert clock.day_of(span.start - 1, tz) == day - ONE_DAY, (zone, day)
            assert DAY_S - 7_200 <= span.end - span.start <= DAY_S + 7_200, (zone, day)
        assert sum(span.end - span.start for span in spans) == 7 * DAY_S - (after - before), (zone, middle)
        assert clock.local_days(Span(spans[0].start, spans[-1].end), tz) == list(zip(days, spans, strict=True))
        count += 1
    assert count > 1_000


def test_every_quarter_hour_of_the_night_lies_in_the_day_of_its_date() -> None:
    for zone, tz, at, _, _ in nights():
        for moment in range(at - 6 * 3600, at + 6 * 3600, QUARTER_S):
            span = clock.local_day(clock.day_of(moment, tz), tz)
            assert span.start <= moment < span.end, (zone, moment)


# -- daily figures and local times of each vendor --------------------------------------------------------------------

Daily = Callable[[dt.date, int, ZoneInfo, Span], list[Reading]]


def _enphase(first: dt.date, days: int, tz: ZoneInfo, covered: Span) -> list[Reading]:
    lifetime = enphase._Lifetime(production=[1.0 + n for n in range(days)], start_date=first.isoformat())
    return list(enphase.read_daily(lifetime, tz, first + ONE_DAY * (days - 1)))


def _solaredge(first: dt.date, days: int, tz: ZoneInfo, covered: Span) -> list[Reading]:
    """V2 writes a day's beginning with its offset, as a Java program has it."""
    stamps = [
        dt.datetime.fromtimestamp(clock.midnight(first + ONE_DAY * n, tz), tz).isoformat() for n in range(days)
    ]  # fmt: skip
    values = [solaredge._Value(timestamp=stamp, value=1.0 + n) for n, stamp in enumerate(stamps)]
    return list(solaredge.read_daily(solaredge._Series(values=values, unit="WH"), tz, covered))


def _solaredge_v1(first: dt.date, days: int, tz: ZoneInfo, covered: Span) -> list[Reading]:
    values = [v1._Value(date=f"{first + ONE_DAY * n} 00:00:00", value=1.0 + n) for n in range(days)]
    return list(v1.read_daily(v1._Series(time_unit="DAY", unit="Wh", values=values), tz, covered))


def _tigo(first: dt.date, days: int, tz: ZoneInfo, covered: Span) -> list[Reading]:
    lines = [f"{first + ONE_DAY * n:%Y/%m/%d} 00:00:00,{1.0 + n}" for n in range(days)]
    answer = tigo.Response(200, {}, "\n".join(["Datetime,1", *lines]).encode(), "/api/v3/data/combined")
    return list(tigo.read_daily(tigo.read_table(answer, "data/combined"), tz, covered))


def _generac(first: dt.date, days: int, tz: ZoneInfo, covered: Span, base: str = "local") -> list[Reading]:
    """A counter that stands at each day's end."""
    rows, counter = [], 1_000.0
    for n in range(-1, days):
        end = clock.local_day(first + ONE_DAY * n, tz).end - 300
        written = end + offset(end, tz) if base == "local" else end
        counter += 1.0 + n
        rows.append(generac._Row(at=written, value=counter))
    return list(generac.read_days({"L": rows}, base, tz))


def _generac_utc(first: dt.date, days: int, tz: ZoneInfo, covered: Span) -> list[Reading]:
    return _generac(first, days, tz, covered, "utc")


@pytest.mark.parametrize("read", [_enphase, _solaredge, _solaredge_v1, _tigo, _generac, _generac_utc])
def test_a_days_figure_lands_on_that_days_local_midnight(read: Daily) -> None:
    for zone, tz, at, _, _ in nights():
        first = clock.day_of(at, tz) - 2 * ONE_DAY
        covered = Span(clock.midnight(first, tz), clock.midnight(first + 5 * ONE_DAY, tz))
        found = {reading.timestamp: reading.value for reading in read(first, 5, tz, covered)}
        assert found == {clock.midnight(first + ONE_DAY * n, tz): 1.0 + n for n in range(5)}, (zone, first)


def test_a_repeated_hour_is_two_distinct_instants_and_a_missing_one_does_not_appear() -> None:
    repeated = missing = 0
    for zone, tz, at, before, after in nights():
        true = list(range((at - 6 * 3600) // QUARTER_S * QUARTER_S, at + 6 * 3600, QUARTER_S))
        written = [f"{dt.datetime.fromtimestamp(moment, tz):%Y-%m-%d %H:%M:%S}" for moment in true]
        assert list(v1.local_instants(written, tz)) == true, zone
        rows = [tigo.Row(dt.datetime.fromisoformat(text), {}) for text in written]
        assert [moment for moment, _ in tigo.placed(rows, tz)] == true, zone
        texts = [dt.datetime.fromtimestamp(moment, tz).isoformat() for moment in true]
        assert [solaredge._instant(text) for text in texts] == true, zone
        epochs = [moment + offset(moment, tz) for moment in true]
        assert generac.read_instants(epochs, "local", tz) == true, zone
        skipped = dt.datetime.fromtimestamp(at + before + (after - before) // 2, dt.UTC)
        if after > before:
            assert list(v1.local_instants([f"{skipped:%Y-%m-%d %H:%M:%S}"], tz)) == [None], (zone, skipped)
            missing += 1
        else:
            assert len(set(written)) < len(true)
            repeated += 1
    assert repeated > 500
    assert missing > 500


# -- a site's zone that is missing, wrong, or changed ----------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with_zone = Store(tmp_path / "sungaze.db")
    with with_zone.database.transaction():
        with_zone.fleet.add_account(
            id=1,
            vendor="cps",
            method="mqtt",
            plan="gateway",
            label="A",
            base_url=None,
            scope="s",
            identity="i",
            now=NOW,
        )
    yield with_zone
    with_zone.close()


def say(store: Store, zone: str | None) -> int:
    """Have the vendor name a zone; the site's id."""
    store.fleet.apply_sites(1, "cps", [SiteFacts(vendor_site_id="7", timezone=zone)], complete=True, now=NOW)
    (site,) = store.fleet.sites()
    return site.id


def days_of(store: Store, site_id: int) -> dict[int, float]:
    return dict(store.timeseries.raw(SeriesKey(site_id, 0, "energy_wh", DAY_S), Span(0, 1 << 40)))


def keep_days(store: Store, site_id: int, zone: str) -> None:
    tz = ZoneInfo(zone)
    readings = [Reading("", "energy_wh", DAY_S, clock.midnight(day, tz), float(day.toordinal())) for day in DATES]
    store.timeseries.write(site_id, readings, devices={}, rating=Rating(), now=NOW)


DATES = [dt.date(2026, 3, 1) + ONE_DAY * n for n in range(60)]


def stamped(zone: str) -> dict[int, float]:
    tz = ZoneInfo(zone)
    return {clock.midnight(day, tz): float(day.toordinal()) for day in DATES}


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "GMT -6", None])
def test_a_zone_that_is_missing_or_wrong_is_none_and_a_later_word_counts(store: Store, zone: str | None) -> None:
    site_id = say(store, zone)
    assert store.fleet.site(site_id).timezone is None
    say(store, "Asia/Kathmandu")
    assert store.fleet.site(site_id).timezone == "Asia/Kathmandu"
    # Known once, a zone is not unlearned by an answer without one.
    say(store, zone)
    assert store.fleet.site(site_id).timezone == "Asia/Kathmandu"


REPRESENTATIVES = sorted({zones[0] for zones in by_rule().values()} | {"Asia/Kathmandu", "Pacific/Kiritimati", "UTC"})


def test_a_changed_zone_restamps_every_day_by_its_local_date_there_and_back(store: Store) -> None:
    site_id = say(store, "Europe/Berlin")
    keep_days(store, site_id, "Europe/Berlin")
    assert len(REPRESENTATIVES) > 30
    for zone in REPRESENTATIVES:
        store.fleet.set_by_user(site_id, {"timezone": zone}, NOW)
        assert days_of(store, site_id) == stamped(zone), zone
    store.fleet.set_by_user(site_id, {"timezone": None}, NOW)
    assert days_of(store, site_id) == stamped("Europe/Berlin")


def test_what_the_vendor_says_meanwhile_counts_once_the_users_word_is_taken_back(store: Store) -> None:
    site_id = say(store, "Europe/Berlin")
    keep_days(store, site_id, "Europe/Berlin")
    store.fleet.set_by_user(site_id, {"timezone": "America/St_Johns"}, NOW)
    say(store, "Australia/Lord_Howe")
    assert days_of(store, site_id) == stamped("America/St_Johns")
    store.fleet.set_by_user(site_id, {"timezone": None}, NOW)
    assert days_of(store, site_id) == stamped("Australia/Lord_Howe")


@pytest.mark.parametrize("who", ["user", "vendor"])
def test_days_of_a_zone_that_was_taken_back_are_restamped_once_another_is_known(store: Store, who: str) -> None:
    site_id = say(store, None)
    store.fleet.set_by_user(site_id, {"timezone": "America/Chicago"}, NOW)
    keep_days(store, site_id, "America/Chicago")
    store.fleet.set_by_user(site_id, {"timezone": None}, NOW)
    assert store.fleet.site(site_id).timezone is None
    if who == "user":
        store.fleet.set_by_user(site_id, {"timezone": "Pacific/Chatham"}, NOW)
    else:
        say(store, "Pacific/Chatham")
    assert days_of(store, site_id) == stamped("Pacific/Chatham")


def test_a_site_without_a_zone_gets_no_days_from_any_vendor() -> None:
    site = solaredge.SiteRef(vendor_site_id="1234567")
    asked = msgspec.structs.replace(site, timezone=None)
    for connector, resource in (
        (tigo.CONNECTOR, "daily"),
        (enphase.CONNECTOR, "daily"),
        (solaredge.CONNECTOR, "energy"),
    ):
        method = connector.vendor.methods[0]
        access = enphase.Access(
            method=method.id, plan=connector.vendor.plans[-1], credentials={}, session=None, recall=dict,  # type: ignore[arg-type]  # nothing is asked
            remember=lambda _: None, login_lease=lambda: None, now=lambda: float(NOW),
        )  # fmt: skip
        answer = connector.fetch(access, resource, asked, Span(NOW - 9 * DAY_S, NOW))
        assert (answer.readings, answer.covered) == ([], None)
