"""The canonical CSV read back in: what there was comes out again, and every line that is not taken is told."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sungaze import clock
from sungaze.model import DAY_S, METRICS, DeviceFacts, DeviceType, Kind, Reading, SiteFacts
from sungaze.reports.csv_export import HEADER, export_csv
from sungaze.reports.csv_import import NO_MIDNIGHT, NO_ZONE, ImportFailed, Intake, Outcome, import_csv
from sungaze.reports.site_files import FactsError, read_devices, read_sites, write_devices, write_sites
from sungaze.reports.text_files import FileError
from sungaze.store import Store
from sungaze.store.timeseries import Rating

NOW = 1_780_315_200
VENDORS = ("enphase", "generac")
FIRST = ",".join(HEADER)
NOON = "2026-06-01T12:00:00Z"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "sungaze.db")
    yield opened
    opened.close()


@pytest.fixture
def take(store: Store, tmp_path: Path) -> Callable[..., Outcome]:
    """Import these lines beneath the header."""

    def run(*lines: str, replace: bool = False, header: str = FIRST) -> Outcome:
        path = tmp_path / "in.csv"
        path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
        return import_csv(path, Intake(store, NOW, replace=replace), VENDORS)

    return run


def samples(store: Store) -> list[tuple[str, str, int, int, float]]:
    """Everything that is stored: device, metric, interval, time, value."""
    found = []
    for site in store.fleet.sites(archived=True):
        names = {number: name for name, number in store.fleet.device_ids(site.id).items()} | {0: ""}
        for info in store.timeseries.catalogue(site.id):
            for piece in store.timeseries.pieces(info.key, clock.Span(0, 1 << 40)):
                key = info.key
                found += [(names[key.device_id], key.metric, key.interval_s, t, v) for t, v in piece]
    return found


def export(store: Store, folder: Path) -> tuple[bytes, bytes, bytes]:
    export_csv(store.database.path, folder / "out.csv", site=None, metric=None, start=None, end=None)
    write_sites(store.fleet, folder / "sites.csv")
    write_devices(store.fleet, folder / "devices.csv")
    names = ("out.csv", "sites.csv", "devices.csv")
    out, sites, devices = ((folder / name).read_bytes() for name in names)
    return out, sites, devices


# -- there and back --------------------------------------------------------------------------------------------------

IDS = st.text(st.sampled_from('abzAZ09-_ ,;"äß日'), min_size=1, max_size=8).filter(lambda text: text == text.strip())
ZONES = st.sampled_from(["Europe/Berlin", "America/Chicago", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia"])
VALUES = st.one_of(
    st.integers(-(10**11), 10**11).map(float), st.floats(-1e11, 1e11, allow_nan=False), st.sampled_from([0.1, 1e-300])
)
PLAIN = sorted(name for name, metric in METRICS.items() if metric.kind is not Kind.COUNTER and not metric.production)


@st.composite
def readings_of(draw: st.DrawFn, zone: str) -> list[Reading]:
    device = draw(st.one_of(st.just(""), IDS))
    metric = draw(st.sampled_from(PLAIN))
    interval_s = draw(st.sampled_from([0, 1, 300, 900, 3600, DAY_S]))
    if interval_s == DAY_S:
        tz = clock.zone(zone)
        assert tz is not None
        first = clock.day_of(NOW, tz).toordinal()
        days = draw(st.sets(st.integers(first - 6000, first), max_size=5))
        times = [clock.midnight(clock.dt.date.fromordinal(day), tz) for day in days]
    else:
        times = list(draw(st.sets(st.integers(clock.EARLIEST, clock.LATEST - 1), max_size=5)))
    return [Reading(device, metric, interval_s, at, draw(VALUES)) for at in times]


@st.composite
def fleets(draw: st.DrawFn) -> list[tuple[str, SiteFacts, list[Reading]]]:
    keys = draw(st.lists(st.tuples(st.sampled_from(VENDORS), IDS), min_size=1, max_size=3, unique=True))
    found = []
    for vendor, key in keys:
        zone = draw(ZONES)
        facts = SiteFacts(
            vendor_site_id=key, name=draw(IDS), timezone=zone, peak_power_kw=draw(st.one_of(st.none(), st.just(9.96))),
            latitude=draw(st.one_of(st.none(), st.floats(-90, 90))), longitude=draw(st.floats(-180, 180)),
            installed_on=draw(st.one_of(st.none(), st.just("2019-05-31"))),
            address=draw(st.one_of(st.none(), st.just({"street": "Hauptstr. 1", "city": "Köln"}))),
        )  # fmt: skip
        found.append((vendor, facts, [r for part in draw(st.lists(readings_of(zone), max_size=4)) for r in part]))
    return found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fleets())
def test_what_is_exported_imported_and_exported_is_the_same_to_the_byte(
    fleet: list[tuple[str, SiteFacts, list[Reading]]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, second = Store(folder / "first.db"), Store(folder / "second.db")
        try:
            written = set()
            for vendor, facts, readings in fleet:
                site = first.fleet.site(first.fleet.fill_site(vendor, facts, NOW))
                names = {r.vendor_device_id for r in readings} - {""}
                parts = [DeviceFacts(vendor_device_id=n, device_type=DeviceType.INVERTER, rated_w=5e9) for n in names]
                ids = first.fleet.fill_devices(site, parts, NOW)
                first.timeseries.write(site.id, readings, devices=ids, rating=Rating(), now=NOW)
                written |= {(vendor, facts.vendor_site_id)} if readings else set()
            before = export(first, folder)
            intake = Intake(
                second, NOW, sites=read_sites(folder / "sites.csv"), devices=read_devices(folder / "devices.csv")
            )
            done = import_csv(folder / "out.csv", intake, VENDORS)
            assert done.refused == {}
            assert done.sites == len(written)
            again = export(second, folder)
            assert again[0] == before[0]
            # Only sites that have samples are made; what is known of those comes back whole.
            assert set(again[1].splitlines()) <= set(before[1].splitlines())
            assert again[1].count(b"\n") == 1 + len(written)
            assert sorted(again[2].splitlines()) == sorted(before[2].splitlines())
            twice = import_csv(folder / "out.csv", Intake(second, NOW), VENDORS)
            assert (twice.new, twice.taken) == (0, done.taken)
        finally:
            first.close()
            second.close()


def test_a_counter_that_fell_to_a_new_base_comes_back_as_it_was(store: Store, tmp_path: Path) -> None:
    site = store.fleet.fill_site("enphase", SiteFacts(vendor_site_id="1"), NOW)
    values = [100.0, 200.0, 300.0, 10.0, 20.0, 30.0, 40.0]
    for k, value in enumerate(values):
        reading = Reading("", "energy_lifetime_wh", 0, NOW + 300 * k, value)
        store.timeseries.write(site, [reading], devices={}, rating=Rating(), now=NOW)
    before = export(store, tmp_path)[0]
    assert before.count(b"\n") == 1 + len(values)
    other = Store(tmp_path / "other.db")
    assert import_csv(tmp_path / "out.csv", Intake(other, NOW), VENDORS).refused == {}
    assert export(other, tmp_path)[0] == before
    other.close()


# -- what is taken and what is not -----------------------------------------------------------------------------------


def test_places_sites_and_devices_are_made_as_lines_need_them(take: Callable[..., Outcome], store: Store) -> None:
    done = take(
        f"enphase,901,,ac_power_w,300,{NOON},1500", f"enphase,901,m1,ac_power_w,300,{NOON},250",
        f"generac,7,,dc_power_w,900,{NOON},1",
    )  # fmt: skip
    assert (done.taken, done.new, done.sites, done.devices, done.refused) == (3, 3, 2, 1, {})
    assert [(p.name, len(p.sites)) for p in store.places.places()] == [("enphase 901", 1), ("generac 7", 1)]
    assert samples(store) == [
        ("", "ac_power_w", 300, NOW, 1500.0), ("m1", "ac_power_w", 300, NOW, 250.0), ("", "dc_power_w", 900, NOW, 1.0),
    ]  # fmt: skip


def test_what_is_stored_stays_unless_the_file_is_to_replace_it(take: Callable[..., Outcome], store: Store) -> None:
    take(f"enphase,901,,ac_power_w,300,{NOON},1500")
    lines = (f"enphase,901,,ac_power_w,300,{NOON},9", "enphase,901,,ac_power_w,300,2026-06-01T12:05:00Z,8")
    done = take(*lines)
    assert (done.taken, done.new, done.there_already) == (2, 1, 1)
    assert [value for *_, value in samples(store)] == [1500.0, 8.0]
    assert take(*lines, replace=True).new == 1
    assert [value for *_, value in samples(store)] == [9.0, 8.0]


def test_each_refused_line_is_counted_by_its_reason_with_the_first_ones_number(
    take: Callable[..., Outcome], store: Store
) -> None:
    good = f"enphase,901,,ac_power_w,300,{NOON},1"
    done = take(
        good,
        "enphase,901,,ac_power_w,300",
        f"enphase,901,,moon_power_w,300,{NOON},1",
        f"enphase,901,,moon_power_w,300,{NOON},2",
        f"enphase,901,,ac_power_w,300,{NOON},a lot",
        f"enphase,901,,ac_power_w,600,{NOON},nan",
        "enphase,901,,ac_power_w,300,2026-06-01 12:00,1",
        "enphase,901,,ac_power_w,300,1980-06-01T12:00:00Z,1",
        f"acme,901,,ac_power_w,300,{NOON},1",
        f"enphase,901,,ac_power_w,-300,{NOON},1",
        f"enphase,,,ac_power_w,300,{NOON},1",
        f"enphase,901,,ac_power_w,900,{NOON},1e13",
        f'enphase,"901,,ac_power_w,300,{NOON},1',
        "enphase,901,,ac_power_w,300,2026-13-01T12:00:00Z,1",
        "",
        good,
    )
    assert {reason: (found.lines, found.first_line) for reason, found in done.refused.items()} == {
        "a broken line": (2, 3),
        "unknown metric": (2, 4),
        "not a number": (2, 6),
        "not a time in UTC (2026-06-01T12:00:00Z)": (2, 8),
        "at no time that can be": (1, 9),
        "unknown vendor": (1, 10),
        "an interval that cannot be": (1, 11),
        "an id that cannot be": (1, 12),
        "above what its site or device can give": (1, 13),
    }
    assert (done.taken, done.new) == (2, 1)
    assert store.timeseries.quarantined(1) == 3


def test_what_a_site_cannot_give_is_refused_by_its_peak(store: Store, tmp_path: Path) -> None:
    path, sites = tmp_path / "in.csv", tmp_path / "sites.csv"
    sites.write_text("vendor,vendor_site_id,peak_power_kw\nenphase,901,10\n")
    path.write_text(f"{FIRST}\nenphase,901,,ac_power_w,300,{NOON},30001\nenphase,901,,ac_power_w,900,{NOON},-300\n")
    done = import_csv(path, Intake(store, NOW, sites=read_sites(sites)), VENDORS)
    assert set(done.refused) == {"above what its site or device can give", "below what its site or device can give"}
    assert done.taken == 0


def test_days_need_a_zone_and_the_rest_is_taken(take: Callable[..., Outcome], store: Store) -> None:
    done = take("enphase,1,,energy_wh,86400,2026-05-31T22:00:00Z,5000", f"enphase,1,,energy_wh,900,{NOON},1")
    assert {reason: found.first_line for reason, found in done.refused.items()} == {NO_ZONE: 2}
    assert (done.taken, done.sites) == (1, 1)
    store.fleet.set_by_user(1, {"timezone": "Europe/Berlin"}, NOW)
    done = take(
        "enphase,1,,energy_wh,86400,2026-05-31T22:00:00Z,5000", "enphase,1,,energy_wh,86400,2026-05-31T23:00:00Z,5"
    )
    assert {reason: found.first_line for reason, found in done.refused.items()} == {NO_MIDNIGHT: 3}
    assert samples(store)[-1] == ("", "energy_wh", DAY_S, 1_780_264_800, 5000.0)


def test_days_keep_their_date_where_the_file_is_of_another_zone(store: Store, tmp_path: Path) -> None:
    store.fleet.fill_site("enphase", SiteFacts(vendor_site_id="1", timezone="America/Chicago"), NOW)
    sites, path = tmp_path / "sites.csv", tmp_path / "in.csv"
    sites.write_text("vendor,vendor_site_id,timezone\nenphase,1,Europe/Berlin\n")
    path.write_text(f"{FIRST}\nenphase,1,,energy_wh,86400,2026-05-31T22:00:00Z,5000\n")
    import_csv(path, Intake(store, NOW, sites=read_sites(sites)), VENDORS)
    assert [clock.iso(at) for _, _, _, at, _ in samples(store)] == ["2026-06-01T05:00:00Z"]
    assert store.fleet.site(1).timezone == "America/Chicago"


def test_a_file_tells_a_site_what_it_lacks_and_never_what_it_knows(store: Store, tmp_path: Path) -> None:
    store.fleet.fill_site("enphase", SiteFacts(vendor_site_id="1", peak_power_kw=5.0), NOW)
    site = store.fleet.site(1)
    store.fleet.fill_devices(site, [DeviceFacts(vendor_device_id="m1", device_type=DeviceType.PANEL)], NOW)
    sites, devices, path = (tmp_path / name for name in ("s.csv", "d.csv", "in.csv"))
    sites.write_text("vendor,vendor_site_id,name,timezone,peak_power_kw\nenphase,1,Barn,Europe/Berlin,99\n")
    devices.write_text("vendor_device_id,device_type,serial_number\nm1,inverter,S1\nm2,inverter,S2\n")
    path.write_text(f"{FIRST}\nenphase,1,m1,ac_power_w,0,{NOON},1\nenphase,1,m2,ac_power_w,0,{NOON},1\n")
    import_csv(path, Intake(store, NOW, sites=read_sites(sites), devices=read_devices(devices)), VENDORS)
    site = store.fleet.site(1)
    assert (site.name, site.place_name, site.timezone, site.peak_power_kw) == ("Barn", "Barn", "Europe/Berlin", 5.0)
    found = {d.vendor_device_id: (d.device_type, d.serial_number) for d in store.fleet.devices(1)}
    assert found == {"m1": ("panel", "S1"), "m2": ("inverter", "S2")}


def test_a_site_that_came_from_a_file_stays_in_sight_when_an_account_goes(
    take: Callable[..., Outcome], store: Store
) -> None:
    take(f"enphase,901,,ac_power_w,300,{NOON},1")
    with store.database.transaction():
        store.fleet.add_account(
            id=1, vendor="enphase", method="m", plan="p", label="A", base_url=None, scope="s", identity="i", now=NOW
        )
    store.fleet.apply_sites(1, "enphase", [SiteFacts(vendor_site_id="5")], complete=True, now=NOW)
    store.fleet.remove_account(1, NOW)
    assert [site.vendor_site_id for site in store.fleet.sites()] == ["901"]


# -- files as people have them ---------------------------------------------------------------------------------------

LINES = [FIRST, f"enphase,901,,ac_power_w,300,{NOON},1500", "enphase,901,,ac_power_w,300,2026-06-01T12:05:00Z,-0.5"]


@pytest.mark.parametrize(
    "content",
    [
        "\r\n".join(LINES).encode(),
        "\ufeff".encode() + "\n".join([*LINES, ""]).encode(),
        "\n".join(LINES).encode("utf-16"),
        gzip.compress("\n".join(LINES).encode()),
        "\n".join(",".join(f'"{cell}"' for cell in line.split(",")) for line in LINES).encode(),
        "\n".join(line.replace("12:05:00Z", "14:05:00+02:00") for line in LINES).encode(),
    ],
    ids=["CRLF", "BOM", "UTF-16", "gzip", "quoted", "offset"],
)
def test_every_usual_writing_of_a_file_reads_the_same(store: Store, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "in.csv").write_bytes(content)
    assert import_csv(tmp_path / "in.csv", Intake(store, NOW), VENDORS).refused == {}
    assert [(at, value) for *_, at, value in samples(store)] == [(NOW, 1500.0), (NOW + 300, -0.5)]


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"", ImportFailed, "is empty"),
        (b"a diary\nof mine\n", ImportFailed, "does not begin with the line vendor,"),
        (bytes(range(256)) * 9, ImportFailed, "does not begin"),
        (b"\xff\xfe\x00\xd8\x00\x00", FileError, "is no text"),
        (gzip.compress(b"x" * 90)[:-20], FileError, "damaged"),
    ],
)
def test_a_file_that_is_not_ours_is_one_sentence_and_changes_nothing(
    store: Store, tmp_path: Path, content: bytes, error: type[Exception], words: str
) -> None:
    (tmp_path / "in.csv").write_bytes(content)
    with pytest.raises(error, match=words):
        import_csv(tmp_path / "in.csv", Intake(store, NOW), VENDORS)
    assert store.fleet.sites(archived=True) == []


def test_what_a_damaged_file_held_before_its_damage_is_kept(store: Store, tmp_path: Path) -> None:
    rows = [f"enphase,901,,ac_power_w,300,{clock.iso(NOW + 300 * k)},{k * 7919 % 997}.25" for k in range(60_000)]
    packed = gzip.compress("\n".join([FIRST, *rows]).encode())
    (tmp_path / "in.csv.gz").write_bytes(packed[: len(packed) * 9 // 10])
    with pytest.raises(FileError, match=r"damaged.*is kept \(\d\d,\d+ new values\)"):
        import_csv(tmp_path / "in.csv.gz", Intake(store, NOW), VENDORS)
    assert 10_000 < store.timeseries.kept(1).samples < 60_000


def test_a_full_disk_ends_an_import_in_a_sentence_and_it_is_gone_on_with_later(store: Store, tmp_path: Path) -> None:
    rows = [f"enphase,901,,ac_power_w,300,{clock.iso(NOW + 300 * k)},{k % 99}" for k in range(60_000)]
    (tmp_path / "in.csv").write_text("\n".join([FIRST, *rows]))
    store.database.execute(f"PRAGMA max_page_count = {store.database.scalar('PRAGMA page_count') + 150}")
    with pytest.raises(ImportFailed, match=r"full.*is kept \(\d\d,\d+ new values\)"):
        import_csv(tmp_path / "in.csv", Intake(store, NOW), VENDORS)
    kept = store.timeseries.kept(1).samples
    assert 10_000 < kept < 60_000
    store.database.execute("PRAGMA max_page_count = 1000000")
    assert import_csv(tmp_path / "in.csv", Intake(store, NOW), VENDORS).there_already == kept
    assert store.timeseries.kept(1).samples == 60_000


def test_bytes_that_are_no_text_and_endless_lines_cost_their_line_only(store: Store, tmp_path: Path) -> None:
    line = f"enphase,901,,ac_power_w,300,{NOON},1\n".encode()
    bad = b"enphase,\xff\xfe,,ac_power_w,300,2026-06-01T12:00:00Z,1\n"
    endless = b"x" * 5_000_000 + b"\n"
    (tmp_path / "in.csv").write_bytes(f"{FIRST}\n".encode() + bad + endless + line)
    done = import_csv(tmp_path / "in.csv", Intake(store, NOW), VENDORS)
    assert {reason: (found.lines, found.first_line) for reason, found in done.refused.items()} == {
        "a broken line": (2, 2)
    }
    assert done.taken == 1


def test_lines_of_many_sites_in_turn_are_written_in_few_pieces(store: Store, tmp_path: Path) -> None:
    with (tmp_path / "in.csv").open("w") as stream:
        stream.write(f"{FIRST}\n")
        for k in range(3_000):
            at = clock.iso(NOW + 300 * k)
            stream.writelines(f"enphase,{site},m{k % 3},ac_power_w,300,{at},{k}\n" for site in range(20))
    done = import_csv(tmp_path / "in.csv", Intake(store, NOW), VENDORS)
    assert (done.taken, done.new, done.sites, done.devices) == (60_000, 60_000, 20, 60)
    assert store.timeseries.count(None, clock.Span(NOW, NOW + 300)) == 20
    assert store.timeseries.count(1, clock.Span(0, 1 << 40)) == 3_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vendor,name\nenphase,x\n", "missing or twice"),
        ("vendor,vendor_site_id,nickname\nenphase,1,x\n", "“nickname” is none"),
        ("vendor,vendor_site_id,timezone\nenphase,1,Mars/Base\n", "Line 2.*“Mars/Base” is no time zone"),
        ("vendor,vendor_site_id,latitude\nenphase,1,91\n", "Line 2.*“91” is no latitude"),
        ("vendor,vendor_site_id,peak_power_kw\nenphase,1,nan\n", "“nan” is no peak_power_kw"),
        ("vendor,vendor_site_id,installed_on\n\nenphase,1,May\n", "Line 3.*“May” is no date"),
        ("vendor,vendor_site_id\nenphase\n", "Line 2.*2 cells"),
        ("", "missing"),
    ],
)
def test_a_fault_in_a_sites_file_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "sites.csv").write_text(text)
    with pytest.raises(FactsError, match=words):
        read_sites(tmp_path / "sites.csv")


def test_a_fault_in_a_devices_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "devices.csv").write_text("vendor_device_id,device_type\nm1,toaster\n")
    with pytest.raises(FactsError, match=r"Line 2.*“toaster” is no type"):
        read_devices(tmp_path / "devices.csv")


def test_pieces_are_the_samples_in_order_however_small(take: Callable[..., Outcome], store: Store) -> None:
    take(*[f"enphase,901,,ac_power_w,300,{clock.iso(NOW + 300 * k)},{k}" for k in range(7)])
    (info,) = store.timeseries.catalogue(1)

    def sizes(most: int) -> Sequence[int]:
        pieces = list(store.timeseries.pieces(info.key, clock.Span(NOW, NOW + 300 * 6), most))
        assert [value for piece in pieces for _, value in piece] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
        return [len(piece) for piece in pieces]

    assert sizes(2) == [2, 2, 2]
    assert sizes(4) == [4, 2]
    assert sizes(100) == [6]
