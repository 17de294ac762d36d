"""The list of alarms as the pages ask for it, and acknowledging them, many at once, and taking it back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from quiet import Quiet, quietly


@pytest.fixture
def quiet(tmp_path: Path) -> Iterator[Quiet]:
    with quietly(tmp_path / "data") as made:
        made.alarm(1, "gateway", device="p1")
        made.alarm(2, "grid", severity="warning")
        made.alarm(3, "zero_by_day", ours=True)
        yield made


def test_an_alarm_says_what_it_is_of_by_name(quiet: Quiet) -> None:
    (found,) = quiet.get("/api/alerts", site=1)["items"]
    named = {name: found[name] for name in ("site_name", "place_name", "vendor", "timezone", "account_label")}
    assert named == {
        "site_name": "Barn", "place_name": "Barn", "vendor": "enphase", "timezone": "Europe/Berlin",
        "account_label": None,
    }  # fmt: skip
    assert (found["device_serial"], found["device_type"]) == ("4821", "microinverter")
    assert "vendor_alert_id" not in found


@pytest.mark.parametrize(
    ("asked", "codes"),
    [
        ({}, ["gateway", "zero_by_day", "grid"]),
        ({"severity": "warning"}, ["grid"]),
        ({"source": "sungaze"}, ["zero_by_day"]),
        ({"vendor": "enphase"}, ["gateway", "grid"]),
        ({"vendor": "enphase", "severity": "error", "source": "vendor", "status": "open"}, ["gateway"]),
        ({"status": "acknowledged"}, []),
        ({"status": "resolved"}, []),
    ],
)
def test_the_list_is_filtered_by_the_server(quiet: Quiet, asked: dict[str, str], codes: list[str]) -> None:
    found = quiet.get("/api/alerts", **asked)
    assert [item["code"] for item in found["items"]] == codes
    assert found["total"] == len(codes)


@pytest.mark.parametrize("asked", [{"severity": "loud"}, {"source": "neighbour"}, {"status": "gone"}])
def test_a_filter_that_is_none_is_refused_in_a_sentence(quiet: Quiet, asked: dict[str, str]) -> None:
    answer = quiet.client.get("/api/alerts", params=asked)
    assert answer.status_code == 400
    assert next(iter(asked.values())) in answer.json()["detail"]


def test_many_are_acknowledged_at_once_and_taken_back(quiet: Quiet) -> None:
    ids = [item["id"] for item in quiet.get("/api/alerts", vendor="enphase")["items"]]
    seen = quiet.send("POST", "/api/alerts/acknowledge", {"alerts": ids})
    assert {item["status"] for item in seen["items"]} == {"acknowledged"}
    assert quiet.get("/api/alerts", status="unacknowledged", limit=1)["total"] == 1
    assert quiet.get("/api/alerts", status="acknowledged")["total"] == 2
    back = quiet.send("DELETE", f"/api/alerts/{ids[0]}/acknowledge")
    assert (back["status"], back["acknowledged_at"]) == ("open", None)
    quiet.send("POST", "/api/alerts/acknowledge", {"alerts": ids, "seen": False})
    assert quiet.get("/api/alerts", status="unacknowledged")["total"] == 3


def test_one_that_is_not_there_leaves_the_others_as_they_were(quiet: Quiet) -> None:
    first = quiet.get("/api/alerts")["items"][0]["id"]
    quiet.send("POST", "/api/alerts/acknowledge", {"alerts": [first, 999]}, status=404)
    quiet.send("POST", "/api/alerts/acknowledge", {"alerts": [10**30]}, status=400)
    assert quiet.get("/api/alerts", status="acknowledged")["total"] == 0


def test_a_resolved_one_stays_resolved(quiet: Quiet) -> None:
    alert = quiet.get("/api/alerts", site=1)["items"][0]["id"]
    quiet.alarm(1)
    assert quiet.send("POST", f"/api/alerts/{alert}/acknowledge")["status"] == "resolved"
    assert quiet.send("DELETE", f"/api/alerts/{alert}/acknowledge")["status"] == "resolved"
