"""Portals' own tables: what each layout is taken for, what it reads as, and where it has to be asked."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sungaze import clock
from sungaze.model import DAY_S, Reading
from sungaze.reports.portal import (
    NO_DEVICE,
    NO_NUMBER,
    NO_TIME,
    SKIPPED,
    Mapping,
    MappingError,
    Preview,
    Row,
    checked,
    layout,
    parse_wish,
    preview,
    propose,
    read_moment,
    read_number,
    read_rows,
)

BERLIN = clock.zone("Europe/Berlin")
CHICAGO = clock.zone("America/Chicago")
assert BERLIN is not None
assert CHICAGO is not None

GERMAN = """\
Zeitpunkt;Leistung (kW);Ertrag [kWh]
30.05.2026 12:00;1,5;0,375
30.05.2026 12:15;1,005;0,25125
30.05.2026 12:30;1.234,5;
30.05.2026 12:45;-;0,1
"""
AMERICAN = """\
Date/Time,Solar Energy (Wh),Site Power (W)
06/13/2026 11:45 AM,120,480
06/13/2026 12:00 PM,130,520
06/13/2026 12:15 PM,140,560
06/14/2026 12:00 AM,0,0
06/14/2026 12:15 AM,0,-3
"""
INVERTERS = """\
Timestamp\tWR 1 AC power kW\tWR 2 AC power kW\tIrradiance
2026-06-01T12:00:00\t4.5\t4.25\t811
2026-06-01T12:05:00\t4.6\t\t802
2026-06-01T12:10:00\tn/a\t4.4\t799
"""
DAILY = """\
"Date","Production (kWh)"
"2026-06-03","31.2"
"2026-06-02","12.05"
"2026-06-01","28"
"""
TITLED = """\
Plant report
Name: Barn roof, Owner: A. Smith
Created: 01/07/2026 10:00

Date;Time;Energy;Comment
;;[kWh];
02/06/2026;05:00;1.5;
02/06/2026;06:00;2.5;cloud
13/06/2026;07:00;3;
13/06/2026;08:00;4;
Total;;11;
"""
ROWS = """\
Plant,Model,Modbus ID,S/N,Time,Pac(kW),TYield(kWh)
Barn,KTL-50,1,A7,2026-06-01 12:00:03,40.5,1000
Barn,KTL-50,2,B9,2026-06-01 12:00:41,39.5,2000
Barn,KTL-50,1,A7,2026-06-01 12:15:03,41,1010.5
Barn,KTL-50,2,B9,2026-06-01 12:15:41,-,2010
Barn,KTL-50,1,,2026-06-01 12:30:03,42,1021
Barn,KTL-50,2,B9,2026-06-01 12:30:41,40,2020
"""
QUOTED = """\
"Time (UTC)","Lifetime energy, Wh","Power"
"2026-06-01 12:00:00+00:00","12,345,678","1,250.5"
"2026-06-01 12:05:00+00:00","12,345,782","1,249"
"2026-06-01 12:10:00+00:00","12,345,886","987"
"""


def read(text: str, wish: str, tz: Any = BERLIN, **said: Any) -> tuple[Mapping, tuple[str, ...], list[Row]]:
    lines = text.splitlines()
    found = layout(lines)
    proposed = propose(found, msgspec.structs.replace(parse_wish(wish), **said))
    rows = list(read_rows(lines, proposed.mapping, tz, found.header_line))
    return proposed.mapping, proposed.doubts, rows


def figures(rows: list[Row]) -> list[tuple[str, str, str, int, float]]:
    return [
        (clock.iso(r.timestamp), r.vendor_device_id, r.metric_name, r.interval_s, r.value)
        for row in rows
        for r in row.readings
    ]


def refusals(rows: list[Row]) -> list[tuple[int, str]]:
    return [(row.line, reason) for row in rows for reason in row.refused]


# -- six portals -----------------------------------------------------------------------------------------------------


def test_semicolons_decimal_commas_and_german_dates() -> None:
    mapping, _, rows = read(GERMAN, "Zeitpunkt=timestamp,Leistung (kW)=ac_power_w,Ertrag [kWh]=energy_wh")
    assert (mapping.delimiter, mapping.dates, mapping.decimal, mapping.interval_s) == (";", "dmy", ",", 900)
    assert [column.unit for column in mapping.columns] == ["kW", "kWh"]
    assert figures(rows) == [
        ("2026-05-30T10:00:00Z", "", "ac_power_w", 900, 1500.0),
        ("2026-05-30T10:00:00Z", "", "energy_wh", 900, 375.0),
        ("2026-05-30T10:15:00Z", "", "ac_power_w", 900, 1005.0),
        ("2026-05-30T10:15:00Z", "", "energy_wh", 900, 251.25),
        ("2026-05-30T10:30:00Z", "", "ac_power_w", 900, 1_234_500.0),
        ("2026-05-30T10:45:00Z", "", "energy_wh", 900, 100.0),
    ]
    assert refusals(rows) == []


def test_american_dates_with_twelve_hours() -> None:
    mapping, _, rows = read(
        AMERICAN, "Date/Time=timestamp,Solar Energy (Wh)=energy_wh,Site Power (W)=ac_power_w", CHICAGO, stamps="end"
    )
    assert (mapping.delimiter, mapping.dates, mapping.decimal, mapping.interval_s) == (",", "mdy", ".", 900)
    assert [(at, value) for at, _, metric, _, value in figures(rows) if metric == "energy_wh"] == [
        ("2026-06-13T16:30:00Z", 120.0), ("2026-06-13T16:45:00Z", 130.0), ("2026-06-13T17:00:00Z", 140.0),
        ("2026-06-14T04:45:00Z", 0.0), ("2026-06-14T05:00:00Z", 0.0),
    ]  # fmt: skip


def test_several_inverters_in_columns() -> None:
    mapping, doubts, rows = read(
        INVERTERS, "Timestamp=timestamp,WR 1 AC power kW=ac_power_w@wr1,WR 2 AC power kW=ac_power_w@wr2"
    )
    assert (mapping.delimiter, mapping.dates, mapping.interval_s) == ("\t", "ymd", 300)
    assert figures(rows) == [
        ("2026-06-01T10:00:00Z", "wr1", "ac_power_w", 300, 4500.0),
        ("2026-06-01T10:00:00Z", "wr2", "ac_power_w", 300, 4250.0),
        ("2026-06-01T10:05:00Z", "wr1", "ac_power_w", 300, 4600.0),
        ("2026-06-01T10:10:00Z", "wr2", "ac_power_w", 300, 4400.0),
    ]
    assert refusals(rows) == []
    assert len(doubts) == 1
    assert "start of its interval" in doubts[0]


def test_a_row_for_each_device_and_time() -> None:
    wish = "S/N=device,Time=timestamp,Pac(kW)=ac_power_w,TYield(kWh)=energy_lifetime_wh"
    mapping, _, rows = read(ROWS, wish)
    assert (mapping.device, mapping.interval_s, mapping.newest_first) == ("S/N", 900, False)
    assert figures(rows) == [
        ("2026-06-01T10:00:03Z", "A7", "ac_power_w", 900, 40_500.0),
        ("2026-06-01T10:00:03Z", "A7", "energy_lifetime_wh", 0, 1_000_000.0),
        ("2026-06-01T10:00:41Z", "B9", "ac_power_w", 900, 39_500.0),
        ("2026-06-01T10:00:41Z", "B9", "energy_lifetime_wh", 0, 2_000_000.0),
        ("2026-06-01T10:15:03Z", "A7", "ac_power_w", 900, 41_000.0),
        ("2026-06-01T10:15:03Z", "A7", "energy_lifetime_wh", 0, 1_010_500.0),
        ("2026-06-01T10:15:41Z", "B9", "energy_lifetime_wh", 0, 2_010_000.0),
        ("2026-06-01T10:30:41Z", "B9", "ac_power_w", 900, 40_000.0),
        ("2026-06-01T10:30:41Z", "B9", "energy_lifetime_wh", 0, 2_020_000.0),
    ]
    assert refusals(rows) == [(6, NO_DEVICE)]
    known = read_rows(ROWS.splitlines(), mapping, BERLIN, 1, {"A7": "inverter:1"})
    assert {name for _, name, *_ in figures(list(known))} == {"inverter:1", "B9"}


def test_days_of_devices_that_follow_one_another_are_days_newest_first() -> None:
    days = [f"{name};2026-06-0{day};{day}" for name in ("A7", "B9") for day in (3, 2, 1)]
    mapping, _, rows = read("\n".join(["Serial;Date;kWh", *days]), "Serial=device,Date=date,kWh=energy_wh")
    assert (mapping.interval_s, mapping.newest_first) == (DAY_S, True)
    assert [(name, at[8:10], value) for at, name, _, _, value in figures(rows)] == [
        ("A7", "02", 3000.0), ("A7", "01", 2000.0), ("A7", "31", 1000.0),
        ("B9", "02", 3000.0), ("B9", "01", 2000.0), ("B9", "31", 1000.0),
    ]  # fmt: skip


def test_daily_totals_newest_first_are_local_days() -> None:
    mapping, _, rows = read(DAILY, "Date=timestamp,Production (kWh)=energy_wh")
    assert (mapping.interval_s, mapping.newest_first) == (DAY_S, True)
    assert figures(rows) == [
        ("2026-06-02T22:00:00Z", "", "energy_wh", DAY_S, 31_200.0),
        ("2026-06-01T22:00:00Z", "", "energy_wh", DAY_S, 12_050.0),
        ("2026-05-31T22:00:00Z", "", "energy_wh", DAY_S, 28_000.0),
    ]
    _, _, ends = read(DAILY, "Date=timestamp,Production (kWh)=energy_wh", stamps="end")
    assert figures(ends)[0][0] == "2026-06-01T22:00:00Z"


def test_a_title_above_units_beneath_and_a_total_at_the_end() -> None:
    mapping, _, rows = read(TITLED, "Date=date,Time=time,Energy=energy_wh")
    assert (mapping.delimiter, mapping.dates, mapping.interval_s) == (";", "dmy", 3600)
    assert mapping.columns[0].unit == "kWh"
    assert figures(rows) == [
        ("2026-06-02T03:00:00Z", "", "energy_wh", 3600, 1500.0),
        ("2026-06-02T04:00:00Z", "", "energy_wh", 3600, 2500.0),
        ("2026-06-13T05:00:00Z", "", "energy_wh", 3600, 3000.0),
        ("2026-06-13T06:00:00Z", "", "energy_wh", 3600, 4000.0),
    ]
    assert refusals(rows) == [(11, NO_TIME)]


def test_quoted_thousands_times_with_an_offset_and_a_counter() -> None:
    mapping, _, rows = read(
        QUOTED, "Time (UTC)=timestamp,Lifetime energy, Wh=energy_lifetime_wh,Power=ac_power_w", CHICAGO
    )
    assert (mapping.delimiter, mapping.decimal, mapping.interval_s) == (",", ".", 300)
    assert figures(rows) == [
        ("2026-06-01T12:00:00Z", "", "energy_lifetime_wh", 0, 12_345_678.0),
        ("2026-06-01T12:00:00Z", "", "ac_power_w", 300, 1250.5),
        ("2026-06-01T12:05:00Z", "", "energy_lifetime_wh", 0, 12_345_782.0),
        ("2026-06-01T12:05:00Z", "", "ac_power_w", 300, 1249.0),
        ("2026-06-01T12:10:00Z", "", "energy_lifetime_wh", 0, 12_345_886.0),
        ("2026-06-01T12:10:00Z", "", "ac_power_w", 300, 987.0),
    ]


# -- the two nights --------------------------------------------------------------------------------------------------


def quarters(*hours: str) -> str:
    return "\n".join(["Time;kWh", *(f"{hour};1" for hour in hours)])


AUTUMN = ["2026-10-25 01:30", "2026-10-25 02:00", "2026-10-25 02:30", "2026-10-25 02:00", "2026-10-25 02:30",
          "2026-10-25 03:00"]  # fmt: skip
AUTUMN_UTC = ["23:30", "00:00", "00:30", "01:00", "01:30", "02:00"]


@pytest.mark.parametrize("newest_first", [False, True])
def test_the_hour_that_comes_twice_goes_by_its_order(newest_first: bool) -> None:
    order = slice(None, None, -1) if newest_first else slice(None)
    mapping, _, rows = read(quarters(*AUTUMN[order]), "Time=timestamp,kWh=energy_wh", interval_s=1800)
    assert mapping.newest_first is newest_first
    assert [at[11:16] for at, *_ in figures(rows)] == AUTUMN_UTC[order]


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("newest_first", [False, True])
def test_the_hour_that_comes_twice_goes_by_each_devices_order(newest_first: bool, beside: bool) -> None:
    order = slice(None, None, -1) if newest_first else slice(None)
    rows = [f"{hour};{name};1" for name in "ab" for hour in AUTUMN[order]]
    if beside:
        rows = [row for pair in zip(rows[:6], rows[6:], strict=True) for row in pair]
    text = "\n".join(["Time;Serial;kWh", *rows])
    mapping, _, found = read(text, "Time=timestamp,Serial=device,kWh=energy_wh", interval_s=1800)
    assert mapping.newest_first is newest_first
    for name in "ab":
        assert [at[11:16] for at, device, *_ in figures(found) if device == name] == AUTUMN_UTC[order]


def test_an_hour_that_stands_there_twice_in_hours_is_two_hours() -> None:
    hours = [f"2026-10-25 {hour}:00" for hour in ("00", "01", "02", "02", "03", "04")]
    _, _, rows = read(quarters(*hours), "Time=timestamp,kWh=energy_wh", interval_s=3600)
    assert [at[11:13] for at, *_ in figures(rows)] == ["22", "23", "00", "01", "02", "03"]


def test_the_hour_that_spring_skips_is_refused_with_its_reason() -> None:
    hours = [f"2026-03-29 {hour}" for hour in ("01:30", "02:00", "02:30", "03:00", "03:30")]
    _, _, rows = read(quarters(*hours), "Time=timestamp,kWh=energy_wh")
    assert refusals(rows) == [(3, SKIPPED), (4, SKIPPED)]
    assert [at[11:16] for at, *_ in figures(rows)] == ["00:30", "01:00", "01:30"]


def test_times_of_another_zone_than_the_sites() -> None:
    _, _, rows = read(quarters("2026-06-01 12:00", "2026-06-01 12:15"), "Time=timestamp,kWh=energy_wh", zone="UTC")
    assert [at[11:16] for at, *_ in figures(rows)] == ["12:00", "12:15"]


@given(st.sampled_from(["Europe/Berlin", "America/Chicago", "Australia/Lord_Howe"]), st.integers(0, 365), st.booleans())
def test_a_day_written_in_local_time_reads_back_as_it_was(zone: str, day: int, newest_first: bool) -> None:
    tz = clock.zone(zone)
    assert tz is not None
    start = clock.midnight(clock.dt.date(2026, 1, 1) + clock.dt.timedelta(days=day), tz)
    instants = [start + 900 * k for k in range(100)]
    if newest_first:
        instants.reverse()
    text = quarters(*(clock.dt.datetime.fromtimestamp(at, tz).strftime("%Y-%m-%d %H:%M") for at in instants))
    _, _, rows = read(text, "Time=timestamp,kWh=energy_wh", tz)
    assert [r.timestamp for row in rows for r in row.readings] == instants


# -- what is found and what has to be said ---------------------------------------------------------------------------


def test_day_and_month_that_can_both_be_are_told_apart_by_the_shorter_span_and_doubted() -> None:
    text = quarters("05/06/2026 23:45", "06/06/2026 00:00", "06/06/2026 00:15")
    mapping, doubts, _ = read(text, "Time=timestamp,kWh=energy_wh")
    assert mapping.dates == "dmy"
    assert any("dmy is wrong" in doubt for doubt in doubts)


@pytest.mark.parametrize(
    ("text", "wish", "words"),
    [
        (quarters("05/06/2026 10:00", "05/06/2026 10:15"), "Time=timestamp,kWh=energy_wh", "--dates dmy or mdy"),
        (quarters("2026-01-01", "2026-02-01", "2026-03-01"), "Time=timestamp,kWh=energy_wh", "of months"),
        (quarters("2026-06-01 10:00"), "Time=timestamp,kWh=energy_wh", "--interval SECONDS"),
        (quarters("2026-06-01 10:00", "2026-06-01 10:07", "2026-06-01 11:00"), "Time=timestamp,kWh=energy_wh", "even"),
        (GERMAN, "Zeitpunkt=timestamp,Power=ac_power_w", "no column “Power”.*“Leistung"),
        (GERMAN, "Zeitpunkt=timestamp,Leistung (kW)=ac_power_w:kWh", "kWh is no unit of ac_power_w"),
        (GERMAN, "Leistung (kW)=timestamp,Zeitpunkt=ac_power_w", "No time in “Leistung"),
        (GERMAN, "Zeitpunkt=timestamp,Leistung (kW)=moon_power_w", "“moon_power_w” is neither"),
        (GERMAN, "Leistung (kW)=ac_power_w", "which column holds the time"),
        (GERMAN, "Zeitpunkt=timestamp", "which column holds a metric"),
        (GERMAN, "Zeitpunkt=timestamp,a=energy_wh,b=energy_wh", "same metric of the same device"),
        (GERMAN, "Zeitpunkt=timestamp,a=device,b=device,c=energy_wh", "Two columns are to be the device"),
        (GERMAN, "Zeitpunkt=timestamp,a=device,c=energy_wh@INV1", "“a” tells each row's device"),
        (GERMAN, "Zeitpunkt=timestamp,Serial=device,Leistung (kW)=ac_power_w", "no column “Serial”"),
        (GERMAN, f"Zeitpunkt=timestamp,c=energy_wh@{'x' * 201}", "can be no device's name"),
        (GERMAN, "Zeitpunkt=timestamp,Leistung (kW)=ac_power_w,Ertrag", "“Ertrag” says of no column"),
        ("a diary\nof mine\n", "a=timestamp,b=energy_wh", "No table was found"),
        ("", "a=timestamp,b=energy_wh", "No table was found"),
    ],
)  # fmt: skip
def test_what_cannot_be_found_is_asked_for_in_a_sentence(text: str, wish: str, words: str) -> None:
    with pytest.raises(MappingError, match=words):
        read(text, wish)


def test_a_kept_mapping_goes_with_the_next_file_of_the_same_header() -> None:
    mapping, _, _ = read(GERMAN, "Zeitpunkt=timestamp,Leistung (kW)=ac_power_w")
    kept = msgspec.json.decode(msgspec.json.encode(mapping), type=Mapping)
    following = layout([*GERMAN.splitlines()[:1], "01.06.2026 00:00;0;0", "01.06.2026 00:15;0;0"])
    assert following.fingerprint == kept.header
    assert checked(kept, following) == mapping
    with pytest.raises(MappingError, match="no column “Zeitpunkt”"):
        checked(kept, layout(AMERICAN.splitlines()))


def test_a_number_that_fits_the_other_decimal_sign_is_refused_and_not_made_ten_times_as_much() -> None:
    text = "Time;kWh\n2026-06-01 10:00;1.5\n2026-06-01 10:15;2.5\n2026-06-01 10:30;1,5\n2026-06-01 10:45;2.0\n"
    _, _, rows = read(text, "Time=timestamp,kWh=energy_wh")
    assert refusals(rows) == [(4, NO_NUMBER)]


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("1,234.5", ".", 1234.5), ("1.234,5", ",", 1234.5), ("1 234,5", ",", 1234.5), ("1\u202f234,5", ",", 1234.5),
        ("1'234.5", ".", 1234.5), ("\u22121.5", ".", -1.5), ("+3", ".", 3.0), ("1e3", ".", 1000.0),
        ("12,34", ".", None), ("1.2.3", ".", None), ("kWh", ".", None), ("1,23,456", ".", None), ("", ".", None),
        ("0,5", ",", 0.5),
    ],
)  # fmt: skip
def test_numbers_as_portals_write_them(text: str, decimal: Any, value: float | None) -> None:
    assert read_number(text, decimal) == value


@given(st.decimals(0, 10_000, places=3))
def test_a_kilowatt_is_a_thousand_watts_to_the_digit(value: Any) -> None:
    assert read_number(str(value), ".", 3) == float(value * 1000)


@pytest.mark.parametrize(
    ("text", "dates", "moment"),
    [
        ("12:00 AM", "mdy", None), ("06/01/2026 12:00 AM", "mdy", "2026-06-01T00:00:00"),
        ("06/01/2026 12:30 p.m.", "mdy", "2026-06-01T12:30:00"), ("06/01/2026 13:00 PM", "mdy", None),
        ("1.6.26 7:05", "dmy", "2026-06-01T07:05:00"), ("2026/06/01, 07:05:59.5", "ymd", "2026-06-01T07:05:59"),
        ("2026-06-01T07:05:00Z", "ymd", "2026-06-01T07:05:00+00:00"), ("31.06.2026", "dmy", None),
        ("2026-06-01 24:00", "ymd", "2026-06-02T00:00:00"), ("2026-06-01 24:15", "ymd", None), ("Total", "ymd", None),
        ("2026-06-01 07:05 +0530", "ymd", "2026-06-01T07:05:00+05:30"), ("2026-06-01 7 o'clock", "ymd", None),
    ],
)  # fmt: skip
def test_moments_as_portals_write_them(text: str, dates: Any, moment: str | None) -> None:
    found = read_moment(text, dates)
    assert (None if found is None else found.isoformat()) == moment


@given(st.text(max_size=200), st.sampled_from(["dmy", "mdy", "ymd"]))
def test_no_text_breaks_the_reading(text: str, dates: Any) -> None:
    read_moment(text, dates)
    read_number(text, ",", 3)
    mapping, _, _ = read(GERMAN, "Zeitpunkt=timestamp,Leistung (kW)=ac_power_w")
    for row in read_rows([*GERMAN.splitlines()[:1], text], msgspec.structs.replace(mapping, dates=dates), BERLIN, 1):
        assert all(isinstance(reading, Reading) for reading in row.readings)
    with contextlib.suppress(MappingError):
        layout(text.split("\n"))


# -- before anything is written --------------------------------------------------------------------------------------


def test_a_preview_shows_the_first_rows_the_days_and_what_is_doubtful() -> None:
    lines = [*TITLED.splitlines(), "2026;?;1;"]
    found = layout(lines)
    proposed = propose(found, parse_wish("Date=date,Time=time,Energy=energy_wh"))
    seen: Preview = preview(lines, proposed.mapping, BERLIN, found.header_line, proposed.doubts)
    assert seen.first[0] == Reading("", "energy_wh", 3600, 1_780_369_200, 1500.0)
    assert seen.days == {"2026-06-02": {"Energy": (2, 4000.0, 2500.0)}, "2026-06-13": {"Energy": (2, 7000.0, 4000.0)}}
    assert seen.refused == {NO_TIME: (2, 11)}
    assert seen.readings == 4
    assert len(seen.doubts) == 1


def test_a_preview_counts_the_values_of_each_device_and_adds_a_column_up_over_them() -> None:
    lines = ROWS.splitlines()
    found = layout(lines)
    proposed = propose(found, parse_wish("S/N=device,Time=timestamp,Pac(kW)=ac_power_w"))
    seen = preview(lines, proposed.mapping, BERLIN, found.header_line, proposed.doubts, {"A7": "inverter:1"})
    assert seen.devices == {"inverter:1": 2, "B9": 2}
    assert seen.days == {"2026-06-01": {"Pac(kW)": (4, 161_000.0, 41_000.0)}}
    assert seen.refused == {NO_DEVICE: (1, 6)}


def test_a_preview_doubts_an_hour_that_should_stand_there_twice() -> None:
    lines = quarters("2026-10-25 01:30", "2026-10-25 02:00", "2026-10-25 02:30", "2026-10-25 03:00").splitlines()
    found = layout(lines)
    proposed = propose(found, parse_wish("Time=timestamp,kWh=energy_wh"))
    seen = preview(lines, proposed.mapping, BERLIN, found.header_line, ())
    assert [doubt.split(" ", 1)[0] for doubt in seen.doubts] == ["2"]
