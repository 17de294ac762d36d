"""Sheets from CSV: shown before anything is written, written whole or not at all; what is exported changes nothing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quiet import Quiet, quietly

from sungaze.reports.sheets import FIELDS, Kept, SheetError, read_sheets, write_sheets

BARN, MILL, OTHER_BARN = 1, 2, 3
HEAD = "id,customer,phone\r\n"


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Quiet]:
    with quietly(tmp_path / "data") as made:
        yield made


def bring(quiet: Quiet, text: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = quiet.send("POST", "/api/places/import", {"csv": text, **more})
    return found


def sheet(quiet: Quiet, place: int = BARN) -> dict[str, Any]:
    found: dict[str, Any] = quiet.get(f"/api/places/{place}")
    return found


def kept(number: int, name: str, *sites: str, **values: str) -> Kept:
    return Kept(id=number, name=name, site_names=(name,), vendor_site_ids=sites, values=values)


def test_a_preview_shows_each_line_and_writes_nothing(quiet: Quiet) -> None:
    before = sheet(quiet)
    text = "place;Customer;PTO;Tilt;colour\nMill;A. Person;24.11.2026;32,5;red\nShed;B;;;\nBarn;C;;;\n\nMill;D;;;\n"
    told = bring(quiet, text)
    assert (told["ignored"], told["applied"]) == (["colour"], False)
    mill, shed, barn, again = told["lines"]
    assert (mill["line"], mill["place_id"], mill["problem"]) == (2, MILL, "")
    assert mill["changes"] == [
        {"field": "customer", "before": None, "after": "A. Person"},
        {"field": "permission_to_operate_on", "before": None, "after": "2026-11-24"},
        {"field": "tilt", "before": None, "after": "32.5"},
    ]
    assert (shed["line"], shed["problem"]) == (3, "There is no place “Shed”.")
    assert (barn["line"], barn["place_id"]) == (4, None)
    assert "2 places match" in barn["problem"]
    assert (again["line"], again["problem"]) == (6, "Line 2 is of the same place already.")
    assert sheet(quiet) == before


def test_applying_writes_what_the_preview_showed_and_nothing_else(quiet: Quiet) -> None:
    text = (
        "vendor_site_id\tcustomer\ttilt\tassignee\twaiting on\nENPHASE-mill\tA. Person\t30\tAnn\tRMA\nnone\tB\t\t\t\n"
    )
    mark = bring(quiet, text)["mark"]
    done = bring(quiet, text, apply=True, mark=mark)
    assert done["applied"] is True
    mill = sheet(quiet, MILL)
    assert (mill["customer"], mill["tilt"], mill["care"]["assignee"], mill["care"]["waiting_on"]) == (
        "A. Person", 30.0, "Ann", "rma",
    )  # fmt: skip
    assert sheet(quiet)["customer"] is None
    assert [line["changes"] for line in bring(quiet, text)["lines"]] == [[], []]


def test_what_would_by_now_change_something_else_is_refused(quiet: Quiet) -> None:
    text = HEAD + "1,A,0100\r\n"
    mark = bring(quiet, text)["mark"]
    quiet.send("PATCH", f"/api/places/{BARN}", {"phone": "0100"})
    answer = quiet.client.post("/api/places/import", json={"csv": text, "apply": True, "mark": mark})
    assert answer.status_code == 400
    assert "Nothing was written" in answer.json()["detail"]
    assert sheet(quiet)["customer"] is None


def test_an_export_names_its_places_and_holds_sheet_care_and_notes(quiet: Quiet) -> None:
    quiet.send("PATCH", f"/api/places/{MILL}", {"customer": "Müller; “Söhne”, KG", "phone": "+49 30 1", "tilt": 35})
    quiet.send("PATCH", f"/api/places/{MILL}/care", {"assignee": "Ann", "snooze": "change"})
    quiet.send("POST", f"/api/places/{MILL}/notes", {"text": "dog\nbites", "author": "Bo"}, status=201)
    answer = quiet.client.get("/api/places/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="sungaze-places.csv"'
    rows = {row["place"]: row for row in csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))}
    row = rows["Mill"]
    assert (row["id"], row["vendor_site_id"], row["tilt"], row["assignee"]) == (str(MILL), "enphase-Mill", "35", "Ann")
    assert (row["customer"], row["phone"], row["snoozed_until"]) == ("Müller; “Söhne”, KG", "+49 30 1", "change")
    assert row["note_log"] == "2026-06-01T10:00:00Z Bo: dog bites"
    told = bring(quiet, answer.content.decode("utf-8"))
    assert told["ignored"] == ["snoozed_until", "note_log"]
    assert [(line["changes"], line["problem"]) for line in told["lines"]] == [([], "")] * 3


def test_the_template_names_the_places_and_changes_nothing(quiet: Quiet) -> None:
    quiet.send("PATCH", f"/api/places/{MILL}", {"customer": "A. Person"})
    text = quiet.client.get("/api/places/export", params={"template": True}).content.decode("utf-8-sig")
    assert "Mill" in text
    assert "A. Person" not in text
    assert all(line["changes"] == [] and not line["problem"] for line in bring(quiet, text)["lines"])


WRONG_CELLS = (
    ("permission_to_operate_on", "2026-02-30", "is no date"),
    ("permission_to_operate_on", "11/24/2026", "is no date"),
    ("tilt", "91", "between 0 and 90"),
    ("tilt", "1e1", "is no tilt"),
    ("waiting_on", "godot", "waits for"),
    ("customer", "x" * 2001, "at most"),
)


def test_an_import_is_taken_back_but_for_what_was_changed_since(quiet: Quiet) -> None:
    quiet.send("PATCH", f"/api/places/{BARN}", {"customer": "A. Person"})
    before = sheet(quiet), sheet(quiet, MILL)
    text = "id,customer,phone,tilt,waiting_on,pto\n1,B. Person,0100,30,rma,2026-11-24\n2,C. Person,,,,\n"
    lines = bring(quiet, text, apply=True)["lines"]
    quiet.send("PATCH", f"/api/places/{MILL}", {"customer": "D. Person"})
    taken = quiet.send("POST", "/api/places/import/undo", {"lines": lines})
    assert taken == {"restored": 5, "left": 1}
    assert sheet(quiet) == before[0]
    assert sheet(quiet, MILL) == before[1] | {"customer": "D. Person"}
    assert quiet.send("POST", "/api/places/import/undo", {"lines": lines}) == {"restored": 0, "left": 6}


@pytest.mark.parametrize(
    "change",
    [
        {"field": "permission_to_operate_on", "before": "someday", "after": "2026-11-24"},
        {"field": "id", "before": "7", "after": "1"},
    ],
)
def test_only_what_an_import_could_write_is_written_back(quiet: Quiet, change: dict[str, str]) -> None:
    bring(quiet, "id,phone,pto\n1,0100,2026-11-24\n", apply=True)
    before = sheet(quiet)
    phone = {"field": "phone", "before": None, "after": "0100"}
    line = {"line": 2, "key": "1", "place_id": BARN, "place": "Barn", "problem": "", "changes": [phone, change]}
    quiet.send("POST", "/api/places/import/undo", {"lines": [line]}, status=400)
    assert sheet(quiet) == before


@pytest.mark.parametrize(("field", "text", "why"), WRONG_CELLS)
def test_a_cell_that_cannot_be_is_told_and_its_line_changes_nothing(field: str, text: str, why: str) -> None:
    (line,) = read_sheets(f"id,phone,{field}\n1,0100,{text}\n", [kept(1, "Barn")]).lines
    assert why in line.problem
    assert line.changes == ()


WRONG_FILES = (
    ("", "empty"),
    ("customer,phone\nA,1\n", "has to name the columns"),
    ("id,phone,Telephone\n1,2,3\n", "more than once"),
    ('id,phone\n1,"' + "x" * 200_000 + '"\n', "cannot be read"),
    ("id\n" + "1\n" * 20_001, "lines"),
)


@pytest.mark.parametrize(("text", "why"), WRONG_FILES)
def test_a_file_that_is_no_sheet_is_refused_in_a_sentence(text: str, why: str) -> None:
    with pytest.raises(SheetError, match=why):
        read_sheets(text, [kept(1, "Barn")])


def test_a_line_is_named_by_its_number_in_the_file_also_after_one_of_several_lines() -> None:
    text = 'place,notes\n"Barn","one\ntwo"\nNowhere,x\n'
    first, second = read_sheets(text, [kept(1, "Barn")]).lines
    assert (first.line, first.changes[0].after, second.line) == (2, "one\ntwo", 4)


def test_two_vendors_with_one_site_id_are_told_apart_by_the_place() -> None:
    places = [kept(1, "Barn", "700"), kept(2, "Mill", "700")]
    both, one = read_sheets("vendor_site_id,place,phone\n700,,1\n700,mill,2\n", places).lines
    assert (both.place_id, one.place_id) == (None, 2)


@pytest.mark.parametrize(
    ("text", "written"),
    [("=1+1", "'=1+1"), ("@x", "'@x"), ("+cmd|x", "'+cmd|x"), ("+49 (30) 1-2", "+49 (30) 1-2"), ("'s-Hof", "'s-Hof")],
)
def test_a_spreadsheet_is_given_no_formula_and_a_phone_stays_as_it_is(text: str, written: str) -> None:
    place = kept(1, "Barn", customer=text)
    assert csv.DictReader(io.StringIO(write_sheets([place]))).__next__()["customer"] == written
    assert read_sheets(f"id,customer\n1,{written}\n", [kept(1, "Barn")]).lines[0].changes[0].after == text


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
TEXT = (
    (WORDS | st.builds("{}{}".format, st.sampled_from(["=", "+", "'=", "''@", "-"]), WORDS)).map(str.strip).filter(bool)
)
DATE = st.dates().map(str)
TILT = st.floats(0, 90).map(lambda tilt: str(int(tilt)) if tilt == int(tilt) else repr(tilt))
VALUES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(FIELDS, TEXT)
    | {"permission_to_operate_on": DATE, "tilt": TILT, "waiting_on": st.sampled_from(["customer", "rma"])},
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT, VALUES), max_size=4))
def test_what_is_written_out_reads_back_as_no_change(found: list[tuple[str, dict[str, str]]]) -> None:
    places = [kept(number, name, f"s{number}", **values) for number, (name, values) in enumerate(found, 1)]
    reading = read_sheets("\ufeff" + write_sheets(places), places)
    assert [(line.place_id, line.changes, line.problem) for line in reading.lines] == [
        (place.id, (), "") for place in places
    ]


FILLING = VALUES.map(lambda values: values | ({"tilt": "32.5"} if "tilt" in values else {}))


@settings(max_examples=60, deadline=None)
@given(st.lists(FILLING, min_size=1, max_size=3))
def test_what_is_written_out_fills_empty_sheets_again(found: list[dict[str, str]]) -> None:
    places = [kept(number, f"Place {number}", **values) for number, values in enumerate(found, 1)]
    lines = read_sheets(write_sheets(places), [kept(place.id, place.name) for place in places]).lines
    for place, line in zip(places, lines, strict=True):
        wanted = {f: " ".join(v.split()) if f == "assignee" else v for f, v in place.values.items()}
        assert ({change.field: change.after for change in line.changes}, line.problem) == (wanted, "")
