"""The care of a place: snoozed until a date or a change, who looks after it, what it waits for, and its notes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from quiet import NOON, Quiet, quietly

from sungaze.model import Reading, SiteFacts
from sungaze.store.timeseries import Rating

BARN, MILL, OTHER_BARN = 1, 2, 3


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Quiet]:
    with quietly(tmp_path / "data") as made:
        made.alarm(BARN, "gateway")
        yield made


def care(quiet: Quiet, place: int = BARN, **wish: Any) -> dict[str, Any]:
    found: dict[str, Any] = quiet.send("PATCH", f"/api/places/{place}/care", wish)
    return found


def barn(quiet: Quiet) -> dict[str, Any]:
    quiet.runtime.context.events.publish("everything")
    return quiet.site("Barn")


def test_a_snoozed_place_needs_nobody_and_keeps_its_status_and_alarms(quiet: Quiet) -> None:
    before = barn(quiet)
    assert (before["status"], before["needs_you"], before["care"]["snoozed"]) == ("fault", True, False)
    assert quiet.get("/api/fleet")["needs_you"] == 1
    assert care(quiet, snooze="2026-06-04")["snoozed"] is True
    after = barn(quiet)
    assert (after["status"], after["alerts"], after["needs_you"]) == ("fault", 1, False)
    assert quiet.get("/api/fleet")["needs_you"] == 0
    assert quiet.get("/api/alerts", site=BARN)["total"] == 1
    care(quiet, snooze=None)
    assert barn(quiet)["needs_you"] is True


def test_a_snooze_until_a_date_ends_at_that_dates_midnight_there(quiet: Quiet) -> None:
    midnight = datetime.fromisoformat("2026-06-04T00:00:00+02:00").timestamp()
    assert care(quiet, snooze="2026-06-04")["snoozed_until"] == midnight
    quiet.alarm(BARN, "gateway", "grid")
    quiet.now = midnight - 1
    assert barn(quiet)["care"]["snoozed"] is True
    quiet.now = midnight
    ended = barn(quiet)
    assert (ended["care"]["snoozed"], ended["care"]["snoozed_until"], ended["needs_you"]) == (False, None, True)


def test_a_snooze_until_a_change_ends_with_a_new_alarm_and_stays_ended_when_that_is_over(quiet: Quiet) -> None:
    told = care(quiet, snooze="change")
    assert (told["snoozed"], told["until_change"], told["snoozed_until"]) == (True, True, None)
    quiet.now += 30 * 86_400
    assert barn(quiet)["care"]["until_change"] is True
    quiet.alarm(BARN, "gateway", "grid")
    assert barn(quiet)["needs_you"] is True
    quiet.now += 60
    quiet.alarm(BARN, "gateway")
    assert (barn(quiet)["status"], barn(quiet)["care"]["snoozed"]) == ("fault", False)


def test_a_snooze_until_a_change_ends_when_the_account_breaks(quiet: Quiet) -> None:
    power = Reading("", "ac_power_w", 300, int(quiet.now) - 600, 5_000.0)
    quiet.store.timeseries.write(BARN, [power], devices={}, rating=Rating(), now=quiet.now)
    care(quiet, snooze="change")
    assert barn(quiet)["care"]["snoozed"] is True
    quiet.store.fleet.set_account_state(1, "needs_reconnect", "refused", quiet.now)
    assert barn(quiet)["care"]["snoozed"] is False


def test_a_snoozed_place_stands_below_those_that_need_somebody(quiet: Quiet) -> None:
    quiet.alarm(MILL, "grid", severity="warning")
    assert [s["name"] for s in quiet.get("/api/sites")["items"]][:2] == ["Barn", "Mill"]
    care(quiet, snooze="change")
    quiet.runtime.context.events.publish("everything")
    assert next(s["id"] for s in quiet.get("/api/sites")["items"]) == MILL


def test_care_stands_with_the_place_and_names_are_remembered(quiet: Quiet) -> None:
    care(quiet, waiting_on="Parts", assignee="  Ann   Lee ")
    care(quiet, assignee="Bo")
    place = quiet.get(f"/api/places/{BARN}")
    assert {name: place["care"][name] for name in ("waiting_on", "assignee", "snoozed", "notes")} == {
        "waiting_on": "parts", "assignee": "Bo", "snoozed": False, "notes": 0,
    }  # fmt: skip
    assert quiet.get("/api/places/assignees")["items"] == ["Ann Lee", "Bo"]
    assert care(quiet, waiting_on=None, assignee="")["assignee"] is None


WRONG = (
    {"snooze": "tomorrow"}, {"snooze": "2026-06-01"}, {"snooze": "2026-05-01"}, {"snooze": "2099-01-01"},
    {"waiting_on": "godot"}, {"assignee": "x" * 101}, {"mood": "good"},
)  # fmt: skip


@pytest.mark.parametrize("wish", WRONG)
def test_care_that_cannot_be_is_refused_and_nothing_changes(quiet: Quiet, wish: dict[str, str]) -> None:
    before = quiet.get(f"/api/places/{BARN}")
    answer = quiet.client.patch(f"/api/places/{BARN}/care", json={"assignee": "Eve"} | wish)
    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert quiet.get(f"/api/places/{BARN}") == before
    quiet.send("PATCH", "/api/places/999/care", wish, status=400 if "mood" in wish else 404)


def test_notes_are_written_changed_deleted_and_brought_back_with_their_time(quiet: Quiet) -> None:
    first = quiet.send(
        "POST", f"/api/places/{BARN}/notes", {"text": " ladder in the barn ", "author": "Ann"}, status=201
    )
    quiet.now += 60
    second = quiet.send("POST", f"/api/places/{BARN}/notes", {"text": "called"}, status=201)
    listed = quiet.get(f"/api/places/{BARN}/notes")["items"]
    assert [note["text"] for note in listed] == ["called", "ladder in the barn"]
    assert (first["at"], first["author"], barn(quiet)["care"]["notes"]) == (NOON, "Ann", 2)
    changed = quiet.send("PATCH", f"/api/notes/{first['id']}", {"text": "ladder is gone"})
    assert (changed["text"], changed["at"]) == ("ladder is gone", NOON)
    gone = quiet.send("DELETE", f"/api/notes/{first['id']}")
    quiet.send("DELETE", f"/api/notes/{first['id']}", status=404)
    back = {name: gone[name] for name in ("text", "author", "at")}
    quiet.send("POST", f"/api/places/{BARN}/notes", back, status=201)
    listed = quiet.get(f"/api/places/{BARN}/notes")["items"]
    assert [(note["text"], note["at"]) for note in listed] == [("called", second["at"]), ("ladder is gone", NOON)]


@pytest.mark.parametrize("body", [{"text": "  "}, {"text": "x" * 10_001}, {"text": "x", "at": NOON + 1e6}, {}])
def test_a_note_that_cannot_be_is_refused(quiet: Quiet, body: dict[str, Any]) -> None:
    quiet.send("POST", f"/api/places/{BARN}/notes", body, status=400)
    assert quiet.get(f"/api/places/{BARN}/notes") == {"items": []}
    quiet.send("POST", "/api/places/999/notes", {"text": "x"}, status=404)
    quiet.send("PATCH", "/api/notes/999", {"text": "x"}, status=404)


def test_a_merge_carries_notes_and_care_and_what_both_sheets_say(quiet: Quiet) -> None:
    quiet.send("PATCH", f"/api/places/{BARN}", {"customer": "A. Person"})
    quiet.send("PATCH", f"/api/places/{OTHER_BARN}", {"customer": "B. Person", "phone": "0100"})
    quiet.send("POST", f"/api/places/{OTHER_BARN}/notes", {"text": "dog bites"}, status=201)
    care(quiet, OTHER_BARN, assignee="Bo", snooze="change")
    merged = quiet.send("POST", f"/api/places/{BARN}/merge", {"place": OTHER_BARN})
    assert (merged["customer"], merged["phone"]) == ("A. Person", "0100")
    assert (merged["care"]["assignee"], merged["care"]["snoozed"], merged["care"]["notes"]) == ("Bo", True, 2)
    texts = [note["text"] for note in quiet.get(f"/api/places/{BARN}/notes")["items"]]
    assert "dog bites" in texts
    assert any("B. Person" in text for text in texts)
    quiet.alarm(OTHER_BARN, "inverter")
    assert quiet.get(f"/api/places/{BARN}")["care"]["snoozed"] is False


def test_a_merge_that_is_undone_gives_each_place_back_its_notes_sheet_and_care(quiet: Quiet) -> None:
    quiet.send("PATCH", f"/api/places/{BARN}", {"customer": "A. Person"})
    quiet.send("PATCH", f"/api/places/{OTHER_BARN}", {"customer": "B. Person", "phone": "0100"})
    quiet.send("POST", f"/api/places/{BARN}/notes", {"text": "gate code"}, status=201)
    quiet.send("POST", f"/api/places/{OTHER_BARN}/notes", {"text": "dog bites"}, status=201)
    care(quiet, OTHER_BARN, assignee="Bo", snooze="change")
    before = [quiet.get(f"/api/places/{place}") for place in (BARN, OTHER_BARN)]
    notes = [quiet.get(f"/api/places/{place}/notes") for place in (BARN, OTHER_BARN)]
    quiet.send("POST", f"/api/places/{BARN}/merge", {"place": OTHER_BARN})
    quiet.send("POST", f"/api/places/{BARN}/notes", {"text": "written since"}, status=201)
    back = quiet.send("POST", f"/api/places/{BARN}/merge/undo", {"place": OTHER_BARN})
    assert back == before[1]
    after = quiet.get(f"/api/places/{BARN}")
    assert after.pop("care") | {"notes": 1} == before[0].pop("care")
    assert after == before[0]
    assert quiet.get(f"/api/places/{OTHER_BARN}/notes") == notes[1]
    since, *others = quiet.get(f"/api/places/{BARN}/notes")["items"]
    assert (since["text"], others) == ("written since", notes[0]["items"])
    assert quiet.get("/api/fleet")["kwp_total"] == 30.0
    quiet.alarm(OTHER_BARN, "inverter")
    assert quiet.get(f"/api/places/{OTHER_BARN}")["care"]["snoozed"] is False


def test_what_was_written_since_a_merge_outlives_its_undoing(quiet: Quiet) -> None:
    quiet.send("PATCH", f"/api/places/{OTHER_BARN}", {"phone": "0100", "customer": "B. Person"})
    quiet.send("POST", f"/api/places/{BARN}/merge", {"place": OTHER_BARN})
    quiet.send("PATCH", f"/api/places/{BARN}", {"phone": "0200"})
    back = quiet.send("POST", f"/api/places/{BARN}/merge/undo", {"place": OTHER_BARN})
    assert (back["phone"], back["customer"]) == ("0100", "B. Person")
    here = quiet.get(f"/api/places/{BARN}")
    assert (here["phone"], here["customer"]) == ("0200", None)


def test_a_merge_is_undone_once_within_a_day_and_only_while_its_sites_are_there(quiet: Quiet) -> None:
    undo = (f"/api/places/{BARN}/merge/undo", {"place": OTHER_BARN})
    assert "cannot be undone" in quiet.send("POST", *undo, status=404)["detail"]
    quiet.send("POST", f"/api/places/{BARN}/merge", {"place": OTHER_BARN})
    quiet.send("POST", *undo)
    quiet.send("POST", *undo, status=404)
    quiet.send("POST", f"/api/places/{BARN}/merge", {"place": OTHER_BARN})
    quiet.send("PATCH", f"/api/sites/{OTHER_BARN}", {"place": None})
    quiet.send("POST", *undo, status=404)
    quiet.send("POST", f"/api/places/{BARN}/merge", {"place": quiet.get(f"/api/sites/{OTHER_BARN}")["place"]["id"]})
    quiet.now += 2 * 86_400
    quiet.send("POST", *undo, status=404)


def test_nothing_that_was_merged_outlives_a_site_that_is_deleted(quiet: Quiet) -> None:
    quiet.send("PATCH", f"/api/places/{OTHER_BARN}", {"customer": "B. Person"})
    quiet.send("POST", f"/api/places/{BARN}/merge", {"place": OTHER_BARN})
    kept = "SELECT count(*) FROM meta WHERE value LIKE '%B. Person%'"
    assert quiet.store.database.scalar(kept) == 1
    quiet.store.fleet.forget_site(BARN)
    assert quiet.store.database.scalar(kept) == 0


def test_a_place_whose_number_was_given_away_comes_back_under_another(quiet: Quiet) -> None:
    quiet.send("PATCH", f"/api/places/{OTHER_BARN}", {"phone": "0100"})
    quiet.send("POST", f"/api/places/{BARN}/merge", {"place": OTHER_BARN})
    shed = SiteFacts(vendor_site_id="enphase-Shed", name="Shed", timezone="Europe/Berlin")
    with quiet.store.database.transaction():
        quiet.store.fleet.apply_sites(1, "enphase", [shed], complete=False, now=quiet.now)
    assert quiet.get(f"/api/places/{OTHER_BARN}")["name"] == "Shed"
    back = quiet.send("POST", f"/api/places/{BARN}/merge/undo", {"place": OTHER_BARN})
    assert (back["phone"], [site["id"] for site in back["sites"]]) == ("0100", [OTHER_BARN])
    assert back["id"] not in {BARN, MILL, OTHER_BARN}
    assert quiet.get(f"/api/places/{OTHER_BARN}")["phone"] is None


def test_a_site_alone_in_its_place_is_not_split_off_it(quiet: Quiet) -> None:
    quiet.send("PATCH", f"/api/places/{MILL}", {"customer": "C. Person"})
    assert quiet.send("PATCH", f"/api/sites/{MILL}", {"place": None})["place"]["id"] == MILL
    moved = quiet.send("PATCH", f"/api/sites/{MILL}", {"place": BARN, "role": "additional"})
    assert moved["place"]["id"] == BARN
    assert quiet.get(f"/api/places/{BARN}")["customer"] == "C. Person"


def test_splitting_off_the_site_that_counts_leaves_a_place_that_counts(quiet: Quiet) -> None:
    quiet.send("POST", f"/api/places/{BARN}/merge", {"place": OTHER_BARN})
    assert quiet.get("/api/fleet")["kwp_total"] == 20.0
    quiet.send("PATCH", f"/api/sites/{BARN}", {"place": None})
    assert [site["role"] for site in quiet.get(f"/api/places/{BARN}")["sites"]] == ["generation"]
    assert quiet.get("/api/fleet")["kwp_total"] == 30.0


def test_the_sheet_has_modules_and_the_tilt_of_its_sites(quiet: Quiet) -> None:
    written = quiet.send("PATCH", f"/api/places/{BARN}", {"modules": "20 × 400 W", "tilt": 35.0})
    assert (written["modules"], written["tilt"]) == ("20 × 400 W", 35.0)
    assert quiet.get(f"/api/sites/{BARN}")["tilt"] == 35.0
    for wrong in ({"tilt": 91}, {"permission_to_operate_on": "soon"}, {"permission_to_operate_on": "2026-02-30"}):
        quiet.send("PATCH", f"/api/places/{BARN}", wrong, status=400)
    assert quiet.get(f"/api/places/{BARN}")["tilt"] == 35.0


def test_a_proposal_that_was_dismissed_says_so_and_can_be_taken_back(quiet: Quiet) -> None:
    (found,) = quiet.get("/api/places/proposals")["items"]
    assert ([site["id"] for site in found["sites"]], found["evidence"]) == ([BARN, OTHER_BARN], ["name"])
    assert found["dismissed"] is False
    quiet.send("POST", "/api/places/proposals/dismiss", {"sites": [OTHER_BARN, BARN]}, status=204)
    assert quiet.get("/api/places/proposals")["items"][0]["dismissed"] is True
    quiet.send("POST", "/api/places/proposals/dismiss", {"sites": [BARN, OTHER_BARN], "dismissed": False}, status=204)
    assert quiet.get("/api/places/proposals")["items"][0]["dismissed"] is False
    quiet.send("POST", "/api/places/proposals/dismiss", {"sites": [BARN]}, status=400)
    quiet.send("POST", "/api/places/proposals/dismiss", {"sites": [BARN, 999]}, status=404)
