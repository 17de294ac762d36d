"""When a vendor misbehaves: a typed ending, the last good data kept, and no zero for a missing value."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from spine import Hands, Spine

from sungaze.jobs.fetch import perform_look
from sungaze.store.fleet import AccountRow
from sungaze.vendors import _session

VENDORS = ("enphase", "solaredge")


def account_of(running: Spine) -> AccountRow:
    (account,) = running.store.fleet.accounts()
    return account


def settled(running: Spine) -> dict[tuple[str, ...], float]:
    """The samples that do not grow with the running day."""
    return {key: value for key, value in running.samples().items() if key[4] != "86400"}


def one_round(running: Spine, hours: float = 1.0) -> None:
    running.clock.now += hours * 3_600
    running.work_off()


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("fault", ["html", "truncated", "huge", "slow", "shape", "500"])
def test_a_spoiled_answer_leaves_the_last_good_data_and_heals_by_itself(
    spine: Callable[..., Spine], monkeypatch: pytest.MonkeyPatch, vendor: str, fault: str
) -> None:
    running = spine(vendor, sites=1, panels=3)
    running.connect(vendor)
    running.work_off()
    before = running.samples()
    if fault in {"slow", "huge"}:
        # Given up early, so that this test ends.
        monkeypatch.setattr(_session, "TOTAL_S", 0.5)
        monkeypatch.setattr(_session, "MAX_BYTES", 1_000_000)
    running.emulators[vendor].faults[fault] = 1.0
    for _ in range(4):
        one_round(running, 0.5)
    assert running.samples() == before
    account = account_of(running)
    assert account.state in {"unavailable", "changed"}, account.state
    assert account.state_reason
    assert "Traceback" not in account.state_reason
    outcomes = running.store.database.rows("SELECT DISTINCT outcome FROM fetch WHERE outcome <> 'ok'")
    assert {outcome for (outcome,) in outcomes} <= {"unavailable", "changed"}
    del running.emulators[vendor].faults[fault]
    monkeypatch.undo()
    one_round(running, 2.0)
    assert account_of(running).state == "connected"
    assert settled(running).items() >= {key: value for key, value in before.items() if key[4] != "86400"}.items()
    assert len(running.samples()) > len(before)


@pytest.mark.parametrize("vendor", VENDORS)
def test_faults_in_a_random_mix_lose_and_invent_nothing(spine: Callable[..., Spine], vendor: str) -> None:
    running = spine(vendor, sites=2, panels=3)
    running.connect(vendor)
    for fault in ("html", "truncated", "shape", "500", "429"):
        running.emulators[vendor].faults[fault] = 0.15
    for _ in range(6):
        one_round(running, 1.0)
    running.emulators[vendor].faults.clear()
    for _ in range(3):
        one_round(running, 1.0)
    calm = spine(vendor, sites=2, panels=3)
    calm.connect(vendor)
    calm.work_off()
    rough, smooth = settled(running), settled(calm)
    shared = rough.keys() & smooth.keys()
    assert len(shared) > 200
    assert {key: rough[key] for key in shared} == {key: smooth[key] for key in shared}


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_dead_login_rests_and_asks_for_the_user(spine: Callable[..., Spine], vendor: str) -> None:
    running = spine(vendor, sites=2, panels=3)
    running.connect(vendor)
    running.work_off()
    before = running.samples()
    running.emulators[vendor].faults["unauthorized"] = 1.0
    one_round(running)
    assert account_of(running).state == "needs_reconnect"
    asked = len(running.emulators[vendor].requests)
    one_round(running, 5)
    assert len(running.emulators[vendor].requests) == asked
    assert running.samples() == before
    running.emulators[vendor].faults.clear()
    running.connect(vendor)
    running.work_off()
    assert account_of(running).state == "connected"


@pytest.mark.parametrize(("vendor", "fault"), [("enphase", "month"), ("solaredge", "credits")])
def test_a_month_that_the_vendor_calls_spent_is_told_and_nothing_more_is_asked_in_it(
    spine: Callable[..., Spine], clock: Hands, vendor: str, fault: str
) -> None:
    running = spine(vendor, sites=2, panels=3)
    account_id = running.connect(vendor)
    running.work_off()
    running.emulators[vendor].faults[fault] = 1.0
    clock.now += 3_600
    running.store.work.hasten(account_id, {"list": 0}, clock.now, 1)
    running.work_off(most=50)
    account = account_of(running)
    assert account.state == "quota_spent"
    assert account.retry_at is not None
    assert account.retry_at > clock.now + 3_600
    asked = len(running.emulators[vendor].requests)
    clock.now += 1_800
    running.work_off(most=50)
    assert len(running.emulators[vendor].requests) == asked


def test_a_spent_minute_passes_unseen(spine: Callable[..., Spine]) -> None:
    running = spine("enphase", sites=1, panels=3)
    running.connect("enphase")
    running.work_off()
    running.emulators["enphase"].faults["429"] = 1.0
    running.clock.now += 3_600
    (account,) = running.store.fleet.accounts()
    looks = running.store.work.claim_looks(account.id, running.clock.now, 1, "test")
    perform_look(running.context, looks[0], "test")
    assert account_of(running).state == "connected"
    assert running.store.database.scalar("SELECT count(*) FROM fetch WHERE outcome <> 'ok'") == 0


def test_a_vendor_that_says_spent_again_and_again_is_asked_ever_more_seldom(spine: Callable[..., Spine]) -> None:
    running = spine("enphase", sites=1, panels=3, faults={})
    account_id = running.connect("enphase")
    running.work_off()
    running.emulators["enphase"].faults["429"] = 1.0
    running.clock.now += 3_600
    asked: list[float] = []
    for _ in range(300):
        for look_id in running.store.work.claim_looks(account_id, running.clock.now, 1, "test"):
            before = len(running.emulators["enphase"].requests)
            perform_look(running.context, look_id, "test")
            if len(running.emulators["enphase"].requests) > before:
                asked.append(running.clock.now)
        running.clock.now += 30
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert 4 <= len(pauses) <= 10
    assert all(second > first for first, second in pairwise(pauses))
    assert max(pauses) <= 3_700


def test_one_site_that_is_gone_is_no_trouble_of_its_account(spine: Callable[..., Spine]) -> None:
    running = spine("enphase", sites=3, panels=3)
    running.connect("enphase")
    running.work_off()
    running.store.database.execute("UPDATE site SET vendor_site_id = '77' WHERE id = 2")
    running.store.database.execute("DELETE FROM due WHERE resource = 'list'")
    for _ in range(12):
        one_round(running, 0.5)
        assert account_of(running).state == "connected"
    outcomes = running.store.database.rows("SELECT DISTINCT outcome FROM fetch WHERE site_id = 2 AND outcome <> 'ok'")
    assert outcomes == [("changed",)]


def test_a_plan_without_panels_is_asked_once_and_says_so(spine: Callable[..., Spine]) -> None:
    running = spine("enphase", sites=1, panels=3, plan="watt")
    # The user is mistaken about the plan: the vendor refuses what the plan lacks.
    running.connect("enphase", plan="kilowatt")
    running.work_off()
    refused = running.store.database.rows("SELECT resource, message FROM fetch WHERE outcome = 'not_entitled'")
    assert {resource for resource, _ in refused} <= {"panels", "devices"}
    assert any("panel" in message.lower() for _, message in refused)
    assert account_of(running).state == "connected"
    logins = sum(request.path == "/oauth/token" for request in running.emulators["enphase"].requests)
    assert logins < 12
    assert len(running.samples()) > 100


@pytest.mark.parametrize("vendor", VENDORS)
def test_nulls_wherever_a_vendor_may_leave_one_are_no_trouble(spine: Callable[..., Spine], vendor: str) -> None:
    running = spine(vendor, sites=2, panels=3, faults={"nulls": 1.0})
    running.connect(vendor)
    running.work_off()
    assert account_of(running).state == "connected"
    assert len(running.store.fleet.sites()) == 2
