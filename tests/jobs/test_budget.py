"""What is told before it is begun, what vendors say of their count, who comes first, and what a look may cost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spine import Hands, Spine

from sungaze.jobs import backfill, forecast, planner
from sungaze.jobs.context import windows
from sungaze.jobs.screen import ON_SCREEN_S, Screen
from sungaze.model import DAY_S
from sungaze.store.ledger import Standing, Window, window_span
from sungaze.vendors import connector, connectors
from sungaze.vendors._contract import Plan, Response, Said, Vendor

CLOUDS = ("enphase", "generac", "solaredge", "tigo")
PLANS = [(v, plan.id) for v in CLOUDS for plan in connector(v).vendor.plans]
MID = dt.datetime(2026, 6, 15, 12, tzinfo=dt.UTC).timestamp()


def declared(vendor: str, plan: str) -> tuple[Vendor, Plan]:
    found = connector(vendor).vendor.plan(plan)
    assert found is not None
    return connector(vendor).vendor, found


# -- limits, prices and the user's cap ---------------------------------------------------------------------------------


def test_nothing_paid_is_spent_unasked_and_the_users_cap_is_kept_below_the_vendors_limit() -> None:
    _, partner = declared("enphase", "partner")
    assert windows(partner) == [Window("minute", 300), Window("month", 10_000)]
    assert windows(partner, {"month": 30_000})[1].limit == 30_000
    assert windows(partner, {"month": 9_000_000})[1].limit == 1_500_000


@pytest.mark.parametrize(("used", "ahead", "so_far", "by_end"), [(9_000, 10_000, 0, 0), (12_000, 30_000, 10, 100)])
def test_calls_beyond_the_included_ones_have_their_price(used: int, ahead: int, so_far: float, by_end: float) -> None:
    _, partner = declared("enphase", "partner")
    money = forecast.spending(partner, Standing("month", used, 30_000, 0), ahead)
    assert (money.so_far_usd, money.forecast_usd) == (pytest.approx(so_far), pytest.approx(by_end))


@pytest.mark.parametrize(("vendor", "plan"), PLANS)
def test_what_a_plan_serves_is_asked_at_the_declared_pace_and_one_site_more_is_not(vendor: str, plan: str) -> None:
    found, its_plan = declared(vendor, plan)
    served = forecast.sites_served(found, its_plan, MID)
    per_day = forecast.daylight_per_day(windows(its_plan), MID)
    assert not served or planner.calls_per_day(found, its_plan, served) <= per_day
    assert planner.calls_per_day(found, its_plan, served + 1) > per_day


@settings(max_examples=60, deadline=None)
@given(which=st.sampled_from(PLANS), sites=st.integers(1, 3_000), share=st.floats(0.001, 2))
def test_a_stretch_makes_a_fleet_keep_within_what_there_is(which: tuple[str, str], sites: int, share: float) -> None:
    vendor, plan = declared(*which)
    per_day = planner.calls_per_day(vendor, plan, sites) * share
    stretch = planner.stretch_for([planner.Load(vendor, plan, sites)], per_day)
    assert stretch >= 1
    if 1 < stretch < planner.MOST_STRETCH:
        assert planner.calls_per_day(vendor, plan, sites, stretch=stretch) <= per_day * 1.01


def test_a_plan_that_cannot_serve_the_fleet_says_so_in_numbers() -> None:
    vendor, free = declared("solaredge", "free")
    method = vendor.method("fleet_key")
    service, larger = (
        forecast.service(vendor, free, 40, MID), forecast.next_plan(vendor, method, free, 40, MID),
    )  # fmt: skip
    text = forecast.verdict(vendor, free, service, larger, 40)
    assert f"serves {service.sites_served:,} sites" in text
    assert "you have 40" in text
    assert larger is not None
    assert f"would serve {larger.sites_served:,} sites" in text
    assert forecast.verdict(vendor, free, service, larger, service.sites_served) == ""


# -- when it ends ------------------------------------------------------------------------------------------------------


def test_a_tenth_of_the_month_is_bought_as_fast_as_the_minute_allows() -> None:
    standings = [Standing("minute", 0, 10, 0), Standing("month", 0, 2_000, 0)]
    at = forecast.completes_at(standings, 180, 1_000, MID)
    assert at == pytest.approx(MID + 180 / 9 * 60)


def test_what_a_full_fleet_leaves_over_is_a_tenth_of_each_month() -> None:
    start, end = window_span("month", MID)
    at = forecast.completes_at([Standing("month", 900, 2_000, end)], 700, 60, start + 15 * DAY_S)
    assert at is not None
    days = (at - start) / DAY_S
    assert 88 < days < 125, "200 a month: the fourth month"


def test_a_quota_of_nothing_never_completes() -> None:
    assert forecast.completes_at([Standing("minute", 0, 0, 0), Standing("month", 0, 0, 0)], 5, 0, MID) is None


@settings(max_examples=60, deadline=None)
@given(calls=st.integers(1, 5_000), more=st.integers(0, 5_000), looks=st.floats(0, 80), used=st.integers(0, 2_000))
def test_more_calls_never_end_sooner(calls: int, more: int, looks: float, used: int) -> None:
    standings = [Standing("minute", 0, 10, 0), Standing("month", used, 2_000, 0)]
    first = forecast.completes_at(standings, calls, looks, MID)
    second = forecast.completes_at(standings, calls + more, looks, MID)
    assert first is None or first >= MID
    assert second is None or (first is not None and second >= first - 1)


def test_a_backfill_is_told_before_it_is_begun_and_then_owed_newest_first(spine: Callable[..., Spine]) -> None:
    running = spine("solaredge", sites=2, panels=1)
    account_id = running.connect("solaredge")
    running.work_off()
    since = dt.datetime.fromtimestamp(running.clock.now - 90 * DAY_S, dt.UTC).date()
    told = backfill.estimate(running.context, account_id, "daily", since)
    assert running.store.work.open_gaps(account_id) == 0
    assert told.calls > 0
    assert told.usd == 0
    assert told.complete_at is not None
    assert backfill.begin(running.context, account_id, "daily", since) == told
    ends = [row[0] for row in running.store.database.rows(
        "SELECT span_end FROM gap WHERE id IN (SELECT id FROM gap WHERE closed_at IS NULL) AND site_id = 1 ORDER BY id"
    )]  # fmt: skip
    assert ends == sorted(ends, reverse=True)
    before = running.emulators["solaredge"].quota.used["month"]
    running.work_off()
    assert running.store.work.open_gaps(account_id) == 0
    assert running.emulators["solaredge"].quota.used["month"] - before >= told.calls
    assert backfill.estimate(running.context, account_id, "daily", since).calls == 0, "what is here is not bought twice"


@pytest.mark.parametrize(
    ("depth", "since"), [("weekly", "2026-01-01"), ("daily", "2099-01-01"), ("daily", "1999-01-01")]
)
def test_a_backfill_that_makes_no_sense_is_refused_in_a_sentence(
    spine: Callable[..., Spine], depth: str, since: str
) -> None:
    running = spine("enphase", sites=1, panels=1)
    account_id = running.connect("enphase")
    with pytest.raises(backfill.BackfillRefused):
        backfill.begin(running.context, account_id, depth, dt.date.fromisoformat(since))


# -- what a vendor says ------------------------------------------------------------------------------------------------


def said(vendor: str, status: int, headers: dict[str, str], body: object = None) -> tuple[Said, ...]:
    return connector(vendor).vendor.quota_said(Response(status, headers, msgspec.json.encode(body), "/"))


def test_each_vendors_own_words_for_its_count_are_read() -> None:
    too_many = {"period": "month", "limit": 1000, "code": 429}
    assert said("enphase", 429, {}, too_many) == (Said("month", 1000, 0),)
    assert said("enphase", 429, {}, {"message": "Too Many Requests"}) == ()
    rate = {"x-ratelimit-limit-minute": "10", "x-ratelimit-remaining-minute": "4"}
    assert said("solaredge", 404, rate) == (Said("minute", 10, 4, by_clock=True),)
    assert said("tigo", 200, {"x-rate-limit-limit": "30", "x-rate-limit-remaining": "29"}) == (Said("minute", 30, 29),)
    assert said("generac", 200, {}) == ()


@settings(max_examples=100, deadline=None)
@given(
    vendor=st.sampled_from(list(connectors())),
    value=st.text(max_size=12) | st.integers().map(str) | st.floats().map(str),
    body=st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda x: st.dictionaries(
        st.sampled_from(["period", "limit"]), x, max_size=2), max_leaves=4),
)  # fmt: skip
def test_no_header_and_no_body_is_too_strange_to_be_read(vendor: str, value: str, body: object) -> None:
    names = ("x-ratelimit-limit-minute", "x-ratelimit-remaining-minute", "x-rate-limit-limit", "x-rate-limit-remaining")
    for status in (200, 429):
        for word in said(vendor, status, dict.fromkeys(names, value), body):
            assert word.limit >= 0
            assert word.remaining >= 0


@pytest.mark.parametrize("vendor", ["solaredge", "tigo"])
def test_calls_of_another_application_are_heard_of_in_the_answers(spine: Callable[..., Spine], vendor: str) -> None:
    running = spine(vendor, sites=1, panels=1)
    emulator = running.emulators[vendor]
    emulator.quota.preset("minute", emulator.quota.limits["minute"] - 10)
    running.connect(vendor)
    (account,) = running.store.fleet.accounts()
    plan = connector(vendor).vendor.plan(account.plan)
    assert plan is not None
    left = running.store.ledger.standing(account.scope, windows(plan), running.clock.now)[0].left
    assert left == emulator.quota.remaining("minute") < 10


def test_a_month_that_another_application_spent_is_spent_for_us(spine: Callable[..., Spine], clock: Hands) -> None:
    running = spine("enphase", sites=1, panels=1, plan="watt")
    account_id = running.connect("enphase")
    running.emulators["enphase"].quota.preset("month", 1_000)
    running.one_by_one(1)
    scope = running.store.fleet.account(account_id).scope
    (standing,) = running.store.ledger.standing(scope, [Window("month", 1_000)], clock.now)
    assert standing.left == 0


# -- who comes first, and what may be begun ----------------------------------------------------------------------------


def test_a_site_is_on_screen_for_a_while_after_it_was_asked_for() -> None:
    screen = Screen()
    assert screen.note(7, 1_000.0)
    assert not screen.note(7, 1_060.0)
    assert screen.sites(1_060 + ON_SCREEN_S) == {7}
    assert screen.sites(1_061 + ON_SCREEN_S) == frozenset()


def at_noon(spine: Callable[..., Spine], plan: str = "watt") -> tuple[Spine, Plan]:
    running = spine("enphase", sites=3, panels=1, plan=plan)
    running.connect("enphase")
    running.one_by_one(1)
    running.store.database.execute("UPDATE site SET timezone = 'America/Chicago'")
    found = connector("enphase").vendor.plan(plan)
    assert found is not None
    return running, found


def test_what_is_on_screen_is_asked_when_the_vendor_has_new_figures_and_before_all_else(
    spine: Callable[..., Spine],
) -> None:
    running, plan = at_noon(spine)
    store, now = running.store, running.clock.now
    (account,) = store.fleet.accounts()
    store.database.execute("UPDATE due SET next_due = ?, last_ok = ?", (now + 40_000, now - 600))
    assert planner.bring_forward(store, account, plan, {2}, now) == 1
    rows = dict(store.database.rows("SELECT site_id, next_due FROM due WHERE resource = 'curve'"))
    assert rows == {1: now + 40_000, 2: now + 240, 3: now + 40_000}
    (first,) = store.work.claim_looks(account.id, now + 50_000, 1, "test")
    assert store.database.scalar("SELECT site_id FROM due WHERE id = ?", (first,)) == 2


def test_the_list_waits_for_the_sun_where_all_sites_are_dark(spine: Callable[..., Spine]) -> None:
    running, _ = at_noon(spine)
    listing = connector("enphase").vendor.resource("list")
    assert listing is not None
    noon, midnight = running.clock.now, running.clock.now + DAY_S / 2
    assert planner.while_any_sun(running.store, 1, listing, noon) == noon
    assert midnight + 3 * 3_600 < planner.while_any_sun(running.store, 1, listing, midnight) < noon + DAY_S
    running.store.database.execute("UPDATE site SET timezone = 'Asia/Kolkata' WHERE id = 1")
    assert planner.while_any_sun(running.store, 1, listing, midnight) == midnight


def test_the_screen_has_a_fifth_of_the_days_calls_and_no_more(spine: Callable[..., Spine]) -> None:
    running, plan = at_noon(spine)
    store, now = running.store, running.clock.now
    (account,) = store.fleet.accounts()
    for _ in range(int(0.2 * 0.9 * 1_000 / 30) + 1):
        store.ledger.note_screen(account.scope, now)
    store.database.execute("UPDATE due SET next_due = ?", (now + 40_000,))
    assert planner.bring_forward(store, account, plan, {2}, now) == 0
    assert planner.bring_forward(store, account, plan, {2}, now + DAY_S) == 1


def test_a_tagged_site_is_asked_more_often_where_calls_are_scarce(spine: Callable[..., Spine]) -> None:
    running, _ = at_noon(spine)
    store, now = running.store, running.clock.now
    store.database.execute("UPDATE site SET tags = '[\"hospital\"]' WHERE id = 2")
    assert [planner.is_favoured(store, site_id) for site_id in (1, 2)] == [False, True]
    resource = connector("enphase").vendor.resource("curve")
    assert resource is not None
    site = store.fleet.site(2)
    tight = planner.Budget(stretch=10.0, fresh_stretch=10.0)
    assert planner.next_due(resource, site, now, tight, favoured=True) < planner.next_due(resource, site, now, tight)


def test_a_look_that_needs_more_calls_than_are_left_does_not_begin(spine: Callable[..., Spine]) -> None:
    running, _ = at_noon(spine, plan="partner")
    store, now = running.store, running.clock.now
    (account,) = store.fleet.accounts()
    store.database.execute("UPDATE due SET next_due = CASE resource WHEN 'panels' THEN 1 ELSE 2 END")
    assert store.work.claim_looks(account.id, now, 9, "test", calls={"panels": 2}, allowance=1) == []
    assert len(store.work.claim_looks(account.id, now, 9, "test", calls={"panels": 2}, allowance=5)) == 2


def test_calls_under_way_count_as_spent(spine: Callable[..., Spine]) -> None:
    running, plan = at_noon(spine)
    store, now = running.store, running.clock.now
    (account,) = store.fleet.accounts()
    free = planner.allowance(store, account, plan, now, for_user=False)
    assert planner.allowance(store, account, plan, now, for_user=False, under_way=3) == free - 3
    store.work.claim_looks(account.id, now + 1, 2, "test")
    assert len(store.work.under_way([account.id], now + 1)) == 2


def test_a_reserve_is_kept_for_the_user_and_melts_towards_the_months_end(spine: Callable[..., Spine]) -> None:
    start, end = window_span("month", MID)
    kept = [planner.reserve(Standing("month", 0, 1_000, end), at) for at in (start, (start + end) / 2, end - 60)]
    assert kept == [100, 50, 20]
    running, plan = at_noon(spine)
    (account,) = running.store.fleet.accounts()
    store, now = running.store, running.clock.now
    assert planner.allowance(store, account, plan, now, for_user=True) > planner.allowance(
        store, account, plan, now, for_user=False
    )


def test_a_new_month_is_not_spent_in_its_first_days_whatever_falls_due(spine: Callable[..., Spine]) -> None:
    running, plan = at_noon(spine)
    (account,) = running.store.fleet.accounts()
    first = dt.datetime(2026, 7, 1, tzinfo=dt.UTC).timestamp()
    store, limits = running.store, windows(plan)
    spent, now = 0, first
    while now < first + DAY_S:
        if planner.allowance(store, account, plan, now, for_user=False):
            spent += store.ledger.spend(account.scope, limits, now) is None
        now += 20
    assert spent <= 2 * 1_000 / 31 + 1
