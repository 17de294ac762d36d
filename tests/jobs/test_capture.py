"""Capture: what leaves the machine names nobody, and still reads as the original does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spine import Spine

from sungaze.clock import iso
from sungaze.errors import UserError
from sungaze.jobs.capture import StandIns, capture
from sungaze.jobs.raw import keep_raw
from sungaze.jobs.replay import replay
from sungaze.vendors import connector
from sungaze.vendors._contract import Exchange, Response

VENDORS = {"enphase": "partner", "solaredge": "paid", "tigo": "premium", "generac": "dashboard"}
ZONE = "America/Chicago"


def begun(spine: Callable[..., Spine], vendor: str, **options: Any) -> tuple[Spine, int]:
    """A spine that has done all that was due, with an account."""
    running = spine(vendor, sites=2, panels=4, plan=VENDORS[vendor], **options)
    account = running.connect(vendor, consent=True)
    running.work_off()
    if vendor == "generac":
        # Its zone is the user's to tell, and the base of its epochs is found out by comparing.
        for site in running.store.fleet.sites():
            running.store.fleet.set_by_user(site.id, {"timezone": ZONE}, running.clock.now)
        for _ in range(4):
            running.clock.now += 1_900
            running.work_off()
    return running, account


def ingested(running: Spine) -> Counter[tuple[Any, ...]]:
    """Every sample without the names of its site and device."""
    rows = running.store.database.rows(
        "SELECT metric, interval_s, timestamp, value FROM sample JOIN series ON series.id = series_id"
    )
    return Counter((metric, interval, iso(at), value) for metric, interval, at, value in rows)


@pytest.mark.parametrize("vendor", list(VENDORS))
def test_a_replayed_capture_has_the_same_samples_under_other_names(
    vendor: str, spine: Callable[..., Spine], tmp_path: Path
) -> None:
    running, account = begun(spine, vendor)
    done = capture(running.store, account, tmp_path / "report.har")
    assert done.left_out == 0
    lines = [json.loads(x) for x in replay(tmp_path / "report.har", vendor, ZONE, say=str)]
    found = {
        (s["vendor_site_id"], s["vendor_device_id"], s["metric_name"], s["interval_s"], s["timestamp"]): s["value"]
        for s in lines
        if s["kind"] == "sample"
    }
    assert sum(ingested(running).values()) > 100
    assert Counter((*name[2:], value) for name, value in found.items()) == ingested(running)


def identities(running: Spine, vendor: str) -> set[str]:
    """All that names the world's sites, devices and people, and every credential."""
    emulator = running.emulators[vendor]
    names = {value for value in emulator.credentials.values() if len(value) > 3}
    for site in running.store.fleet.sites():
        names |= {site.vendor_site_id, site.name}
        (address,) = running.store.database.row("SELECT address_info FROM site WHERE id = ?", (site.id,)) or ("{}",)
        names |= {part for part in json.loads(address).values() if len(part) > 3}
        for device in running.store.fleet.devices(site.id):
            names |= {one for one in (device.vendor_device_id, device.serial_number) if one and len(one) > 4}
    for plan in emulator.service.world.fleet(vendor):  # type: ignore[attr-defined]  # the world that it serves
        names |= {plan.name, f"{plan.town.latitude:.4f}", f"{plan.town.longitude:.4f}"}
    return names


@pytest.mark.parametrize("vendor", list(VENDORS))
def test_a_capture_holds_no_credential_name_address_or_serial(
    vendor: str, spine: Callable[..., Spine], tmp_path: Path
) -> None:
    running, account = begun(spine, vendor)
    capture(running.store, account, tmp_path / "report.har")
    text = (tmp_path / "report.har").read_text()
    for site in running.store.fleet.sites():
        # The zone has to stay, and may be called after the city.
        text = text.replace(site.timezone or "-", "zone")
    named = identities(running, vendor)
    assert len(named) > 10
    # A device's key may have its group before its serial.
    assert {name for name in named if name.rpartition(":")[2] in text} == set()
    tokens = [v for v in running.context.vault.recall(account).values() if len(v) > 8 and not v.startswith("{")]
    assert not any(token in text for token in tokens)
    headers = {h["name"] for e in json.loads(text)["log"]["entries"] for h in e["response"]["headers"]}
    assert not {name for name in headers if "cookie" in name or "auth" in name or "key" in name}
    assert all(e["request"]["headers"] == [] for e in json.loads(text)["log"]["entries"])
    assert (tmp_path / "report.har").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("vendor", list(VENDORS))
def test_no_secret_is_in_the_kept_answers(vendor: str, spine: Callable[..., Spine]) -> None:
    running, account = begun(spine, vendor)
    method = connector(vendor).vendor.method(running.emulators[vendor].method)
    assert method is not None
    hidden = [running.emulators[vendor].credentials[f.name] for f in method.fields if f.secret]
    recalled = [v for n, v in running.context.vault.recall(account).items() if "token" in n or "cookie" in n]
    answers = list(running.store.raw.answers())
    assert answers
    for kept in answers:
        told = f"{kept.path} {kept.params} {kept.headers}".encode() + kept.body
        assert not any(secret.encode() in told for secret in (*hidden, *recalled) if secret)


def test_an_answer_that_repeats_a_secret_is_kept_without_it(spine: Callable[..., Spine]) -> None:
    running, account = begun(spine, "enphase")
    key = running.emulators["enphase"].credentials["api_key"]
    row = running.store.fleet.account(account)
    said = Exchange(
        method="GET",
        params=(("key", key), ("page", "1"), ("odd", key)),
        response=Response(
            401, {"X-Key": key, "Date": "today"}, f'{{"message":"bad {key}"}}'.encode(), "/api/v4/systems"
        ),
        at=0.0,
    )
    login = Exchange(method="GET", params=(), response=Response(200, {}, b"{}", "/oauth/token"), at=0.0)
    keep_raw(running.context, row, 0, "list", [said, login], running.clock.now)
    *_, last = running.store.raw.answers()
    assert (last.path, last.params, last.headers) == ("/api/v4/systems", (("page", "1"),), {"date": "today"})
    assert key.encode() not in last.body
    assert len(last.body) == len(said.response.body)


def test_a_stand_in_keeps_the_shape_and_is_the_same_everywhere() -> None:
    names = StandIns(connector("enphase").vendor, b"k" * 32)
    made = names.of("482A-19 Elm")
    assert made != "482A-19 Elm"
    assert [c.isdigit() for c in made] == [c.isdigit() for c in "482A-19 Elm"]
    assert (made[4], made[7], len(made)) == ("-", " ", 11)
    assert names.of("482A-19 Elm") == made
    assert names.replaced({"serial_number": "482A-19 Elm", "latitude": 41.87, "size_w": 4200, "active": True}) == {
        "serial_number": made, "latitude": 0, "size_w": 4200, "active": True,
    }  # fmt: skip
    many = {names.of(str(number)) for number in range(1000, 3000)}
    assert len(many) == 2000


def test_text_of_a_field_that_nobody_thought_of_is_replaced() -> None:
    names = StandIns(connector("enphase").vendor, b"k" * 32)
    answer = {"status": "normal", "timezone": "US/Central", "installer_remark": "ask for Mrs Miller", "ean": "40123456"}
    names.learn(answer)
    safe = names.replaced(answer)
    assert (safe["status"], safe["timezone"]) == ("normal", "US/Central")
    assert "Miller" not in safe["installer_remark"]
    assert safe["ean"] != "40123456"


def test_an_account_without_answers_is_told_so(spine: Callable[..., Spine], tmp_path: Path) -> None:
    running = spine("solaredge", sites=1, panels=2)
    running.context.raw_bytes = 0
    account = running.connect("solaredge")
    running.work_off()
    for number in (account, 99):
        with pytest.raises(UserError):
            capture(running.store, number, tmp_path / "report.har")
    assert not (tmp_path / "report.har").exists()
