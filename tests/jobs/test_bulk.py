"""SolarEdge's V1 in bulk: one call for many sites, rest by night, and each site by itself where that fails."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable

import pytest
from spine import Hands, Spine
from test_truth import compare

from sungaze import clock as zones
from sungaze.emulators._service import Answer, Request, json_answer
from sungaze.jobs import connect as connecting
from sungaze.jobs import planner
from sungaze.jobs.fetch import perform_look
from sungaze.model import DAY_S, AccountState
from sungaze.vendors import connector

HOUR_S = 3_600


@pytest.fixture
def begun(spine: Callable[..., Spine], clock: Hands) -> Callable[..., Spine]:
    """Connects an account of V1 and has its first looks and its first history fetched."""

    def begin(sites: int = 6, at: str | None = None) -> Spine:
        if at is not None:
            clock.now = dt.datetime.fromisoformat(at).timestamp()
        running = spine("solaredge", sites=sites, panels=3, plan="v1", dialect="v1")
        running.connect("solaredge")
        running.work_off()
        return running

    return begin


def live(running: Spine, seconds: float) -> None:
    """Go from one thing that is due to the next."""
    ends = running.clock.now + seconds
    while running.clock.now < ends:
        following = running.store.database.scalar(
            "SELECT min(at) FROM (SELECT min(next_due) AS at FROM due UNION ALL "
            "SELECT min(not_before) FROM gap WHERE closed_at IS NULL UNION ALL "
            "SELECT min(until) FROM quota_block WHERE until > ?)",
            (running.clock.now,),
        )
        # To the second and no nearer, so that what waits for a moment finds it gone by.
        running.clock.now = min(ends, max(running.clock.now + 1, int(following) + 1))
        running.work_off()


def asked_for(running: Spine, since: float) -> Counter[str]:
    """Calls since then, by whether they are in bulk and by what they ask."""
    found: Counter[str] = Counter()
    for request in running.emulators["solaredge"].requests:
        _, root, ids, *what = request.path.split("/")
        if request.epoch > since:
            found["list" if ids == "list" else f"{'bulk' if root == 'sites' else 'site'} {what[0]}"] += 1
    return found


def rewrite(running: Spine, change: Callable[[Request, Answer], Answer]) -> None:
    """Have every answer in bulk changed on its way."""
    service = running.emulators["solaredge"].service
    answer = service.answer

    def changed(request: Request) -> Answer:
        given = answer(request)
        is_bulk = request.path.startswith("/sites/") and not request.path.startswith("/sites/list")
        return change(request, given) if is_bulk else given

    service.answer = changed  # type: ignore[method-assign]  # spoiled on purpose


def holds_the_truth(running: Spine, began: float) -> None:
    """Every sample is as the world made it, and none is missing, once the days that have ended are asked for again."""
    running.store.database.execute(
        "UPDATE due SET next_due = ? WHERE resource IN ('bulk_energy', 'energy')", (running.clock.now,)
    )
    running.work_off()
    compare(running, "solaredge", fine_from=began - 2 * DAY_S, days_from=began - 29 * DAY_S)


def newest_ages(running: Spine) -> list[float]:
    now = running.clock.now
    rows = running.store.database.rows("SELECT max(last_ok) FROM due WHERE resource = 'power' GROUP BY site_id")
    return [now - at for (at,) in rows]


@pytest.mark.parametrize(
    "at",
    [
        "2026-06-01T18:05:00+00:00",
        "2026-10-24T20:20:00+00:00",  # Berlin has 25 hours in the night that comes
        "2026-03-28T21:10:00+00:00",  # Berlin loses an hour
        "2026-10-31T21:35:00+00:00",  # Chicago has 25 hours
        "2026-04-04T05:15:00+00:00",  # Adelaide has 25 hours
    ],
)
def test_a_day_of_six_sites_is_as_it_was_for_one_call_a_quarter_hour(begun: Callable[..., Spine], at: str) -> None:
    running = begun(at=at)
    began = running.clock.now
    live(running, DAY_S)
    holds_the_truth(running, began)
    asked = asked_for(running, began)
    # The sun is always up somewhere of these six sites: 96 quarter-hours, and not 6 times as many.
    assert 80 <= asked["bulk power"] <= 100
    assert asked["bulk energy"] <= 2
    assert asked["site power"] == asked["site energy"] == 0
    assert asked.total() <= 110


def test_the_night_costs_nothing_where_all_sites_have_it(begun: Callable[..., Spine]) -> None:
    running = begun(sites=1)
    began = running.clock.now
    (site,) = running.store.fleet.sites()
    assert site.latitude is not None
    assert site.longitude is not None
    live(running, DAY_S)
    asked = [r for r in running.emulators["solaredge"].requests if r.epoch > began and r.path.endswith("/power")]
    assert 50 <= len(asked) <= 64
    dark = [r.epoch for r in asked if not zones.sun_up(r.epoch, site.latitude, site.longitude)]
    sunset = next(s.end for s in zones.daylight_near(began, site.latitude, site.longitude) if s.end > began)
    assert all(at <= sunset + planner.CLOSING_S + 900 for at in dark), "dusk, and the closing look"
    assert max(dark) >= sunset + planner.CLOSING_S
    holds_the_truth(running, began)


def test_while_looks_in_bulk_fail_each_site_is_asked_by_itself_and_nothing_is_lost(
    begun: Callable[..., Spine],
) -> None:
    running = begun()
    began = running.clock.now
    failing = True
    rewrite(running, lambda _, given: json_answer({}, 500) if failing else given)
    (account,) = running.store.fleet.accounts()
    live(running, 6 * HOUR_S)
    assert asked_for(running, began)["site power"] > 20
    assert running.store.fleet.account(account.id).state == AccountState.CONNECTED
    assert planner.loads_of(running.store, account.scope)[0].singly
    failing = False
    live(running, 2 * HOUR_S)
    mended = running.clock.now
    live(running, DAY_S - 8 * HOUR_S)
    asked = asked_for(running, mended)
    assert asked["bulk power"] > 50
    assert asked["site power"] == 0
    assert not planner.loads_of(running.store, account.scope)[0].singly
    holds_the_truth(running, began)


def test_one_failure_is_passed_over_and_no_site_is_asked_by_itself(begun: Callable[..., Spine]) -> None:
    running = begun()
    began = running.clock.now
    left = iter([True])
    rewrite(running, lambda _, given: json_answer({}, 500) if next(left, False) else given)
    live(running, 2 * HOUR_S)
    asked = asked_for(running, began)
    assert asked["site power"] == 0
    assert asked["bulk power"] >= 8
    holds_the_truth(running, began)


def test_a_site_that_the_answer_leaves_out_is_asked_by_itself(begun: Callable[..., Spine]) -> None:
    running = begun()
    began = running.clock.now
    lost = min(int(site.vendor_site_id) for site in running.store.fleet.sites())

    def without(_: Request, given: Answer) -> Answer:
        body = json.loads(given.body)
        (bulk,) = body.values()
        bulk["siteEnergyList"] = [row for row in bulk["siteEnergyList"] if row["siteId"] != lost]
        return json_answer(body)

    rewrite(running, without)
    live(running, DAY_S)
    sites = {r.path.split("/")[2] for r in running.emulators["solaredge"].requests
             if r.epoch > began and r.path.startswith("/site/") and r.path.endswith("/power")}  # fmt: skip
    assert sites == {str(lost)}
    assert 15 <= asked_for(running, began)["site power"] <= 60
    holds_the_truth(running, began)


def test_a_site_whose_own_day_is_spent_does_not_keep_the_others_waiting(begun: Callable[..., Spine]) -> None:
    running = begun()
    *others, spent = running.store.fleet.sites()
    running.emulators["solaredge"].service.days.preset(spent.vendor_site_id, 300)  # type: ignore[attr-defined]  # V1's own
    began = running.clock.now
    live(running, 4 * HOUR_S)
    rows = dict(running.store.database.rows("SELECT site_id, last_ok FROM due WHERE resource = 'power'"))
    up = [s for s in others if zones.sun_up(began, s.latitude or 0, s.longitude or 0)]
    assert up
    assert all(rows[site.id] > began for site in up)


def test_without_its_zone_a_site_is_left_out_and_asked_once_it_is_known(begun: Callable[..., Spine]) -> None:
    running = begun()
    site = running.store.fleet.sites()[0]
    running.store.database.execute("UPDATE site SET timezone = NULL WHERE id = ?", (site.id,))
    assert running.store.fleet.site(site.id).timezone is None

    def asked_in_bulk(began: float) -> list[str]:
        live(running, HOUR_S)
        requests = running.emulators["solaredge"].requests
        return [r.path for r in requests if r.epoch > began and r.path.startswith("/sites/")]

    ids = asked_in_bulk(running.clock.now)
    assert ids
    assert not any(site.vendor_site_id in path for path in ids)
    running.store.database.execute("UPDATE site SET timezone = ? WHERE id = ?", (site.timezone, site.id))
    assert any(site.vendor_site_id in path for path in asked_in_bulk(running.clock.now))


def test_after_an_outage_the_look_in_bulk_reaches_back_and_older_days_are_owed(begun: Callable[..., Spine]) -> None:
    running = begun()
    began = running.clock.now
    running.clock.now += 3 * DAY_S + 5 * HOUR_S
    running.work_off()
    live(running, HOUR_S)
    holds_the_truth(running, began)


def test_late_figures_are_there_with_the_first_look_of_the_next_day(begun: Callable[..., Spine]) -> None:
    running = begun()
    began = running.clock.now
    running.emulators["solaredge"].faults["late"] = 1.0
    live(running, 2 * HOUR_S)
    running.emulators["solaredge"].faults["late"] = 0.0
    live(running, DAY_S)
    holds_the_truth(running, began)


def test_an_account_that_is_older_than_looks_in_bulk_has_them_after_its_next_list(begun: Callable[..., Spine]) -> None:
    running = begun()
    running.store.database.execute("DELETE FROM due WHERE resource LIKE 'bulk_%'")
    began = running.clock.now
    live(running, DAY_S + 2 * HOUR_S)
    asked = asked_for(running, began)
    assert asked["list"] == 1
    assert asked["bulk power"] >= 4
    holds_the_truth(running, began)


def test_the_users_refresh_is_one_call_for_all_sites_by_night_too(begun: Callable[..., Spine]) -> None:
    running = begun()
    began = running.clock.now
    running.clock.now += 120
    connecting.refresh(running.context, running.store.fleet.accounts()[0].id)
    running.work_off()
    asked = asked_for(running, began)
    assert (asked["bulk power"], asked["site power"]) == (1, 0)
    assert max(newest_ages(running)) == 0


def test_a_look_that_was_settled_while_it_waited_for_its_thread_is_not_asked_again(begun: Callable[..., Spine]) -> None:
    running = begun()
    store, clock = running.store, running.clock
    (account,) = store.fleet.accounts()
    connecting.refresh(running.context, account.id)
    clock.now += 61
    looks = store.work.claim_looks(account.id, clock.now, 50, "test")
    named = {look_id: store.work.look(look_id, "test") for look_id in looks}
    (bulk,) = [i for i, look in named.items() if look is not None and look.resource == "bulk_power"]
    own = [i for i, look in named.items() if look is not None and look.resource == "power"]
    assert len(own) == 6
    began = clock.now
    perform_look(running.context, bulk, "test")
    clock.now += 1
    for look_id in own:
        perform_look(running.context, look_id, "test")
    assert (
        running.store.database.scalar("SELECT count(*) FROM due WHERE resource = 'power' AND last_ok < ?", (began,))
        == 0
    )
    assert running.store.database.scalar("SELECT count(*) FROM due WHERE lease_until > ?", (clock.now,)) == len(
        looks) - 7  # fmt: skip
    assert not [r for r in running.emulators["solaredge"].requests if r.path.startswith("/site/") and r.epoch > began]


def test_the_first_looks_at_a_large_fleet_leave_the_curves_their_calls() -> None:
    vendor = connector("solaredge").vendor
    plan = vendor.plan("v1")
    assert plan is not None
    assert planner.round_days(vendor, plan, 6) == 0
    days = planner.round_days(vendor, plan, 100)
    assert 3 < days < 4
    details = vendor.resource("details")
    assert details is not None
    firsts = [planner.first_due(vendor, details, site_id, 0, 1.0, round_days=days) for site_id in range(100)]
    assert sum(first < DAY_S for first in firsts) < 60
    assert max(firsts) <= days * DAY_S
