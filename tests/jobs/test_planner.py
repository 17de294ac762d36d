"""When what is asked: by night only what is worth it, evenly over the month, and never more than a limit."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spine import Hands, Spine

from sungaze import clock as zones
from sungaze.jobs import planner
from sungaze.jobs.context import windows
from sungaze.jobs.fetch import perform_look
from sungaze.model import DAY_S, Span
from sungaze.store.fleet import SiteRow
from sungaze.vendors import connector, connectors

LONGEST_S = {"enphase": DAY_S, "solaredge": DAY_S // 2, "tigo": 14 * DAY_S}
"""Of one call, by the vendors' pages."""
CURVED = list(LONGEST_S)
"""The vendors whose newest figure is a curve's; a moment has no history."""
PER_SITE = [(v, r.id) for v, c in connectors().items() for r in c.vendor.resources if r.per_site]


PLAIN = SiteRow(
    id=1, vendor="enphase", vendor_site_id="1", place_id=1, place_name="Roof", role="generation", name="Roof",
    vendor_name="Roof", alias=None, status="normal", communication="ok", production="ok", peak_power_kw=8.0,
    address_info={}, connection=None, reference=None, timezone="UTC", timezone_source="vendor", latitude=0.0,
    longitude=0.0, position_source="user", tilt=None, azimuth=None, installed_on=None, last_updated=None,
    last_energy_at=None, not_visible_since=None, archived_at=None, user_set=(),
)  # fmt: skip


@pytest.fixture
def site(spine: Callable[..., Spine]) -> Callable[[str], SiteRow]:
    """A site of a vendor, as the store knows it after its first answers."""

    def of(vendor: str) -> SiteRow:
        running = spine(vendor, sites=1, panels=1)
        running.connect(vendor)
        running.work_off()
        return running.store.fleet.sites()[0]

    return of


@pytest.mark.parametrize("vendor", CURVED)
def test_the_curve_rests_at_night_but_for_one_closing_look(site: Callable[[str], SiteRow], vendor: str) -> None:
    row = site(vendor)
    declared = connector(vendor).vendor
    resource = declared.resource(declared.fine_resource)
    assert resource is not None
    now = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC).timestamp()
    dark = 0
    for _ in range(200):
        now = planner.next_due(resource, row, now, planner.Budget())
        dark += not zones.sun_up(now, row.latitude, row.longitude)
        if now > dt.datetime(2026, 6, 3, 12, tzinfo=dt.UTC).timestamp():
            break
    assert 2 <= dark <= 3
    assert now < dt.datetime(2026, 6, 4, tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize("stretch", [1.0, 2.0, 5.0, 40.0])
def test_a_day_s_running_sum_is_asked_once_more_after_sunset(stretch: float) -> None:
    resource = connector("solaredge").vendor.resource("energy")
    assert resource is not None
    row = msgspec.structs.replace(PLAIN, vendor="solaredge", latitude=40.0, longitude=0.0)
    now = began = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC).timestamp()
    while now < began + 30 * DAY_S:
        before, now = now, planner.next_due(resource, row, now, planner.Budget(stretch))
        days = [span for span in zones.daylight_near(before, 40.0, 0.0) if span.start <= before < span.end]
        # A look by day leaves a part of a day: the next one is of the same day, or after its sunset.
        assert not days or now < days[0].end + 2 * planner.CLOSING_S or before == began


@settings(max_examples=60, deadline=None)
@given(
    which=st.sampled_from(PER_SITE),
    at=st.integers(1_700_000_000, 1_900_000_000),
    stretch=st.floats(1, 1_000),
    latitude=st.floats(-89, 89),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Pacific/Apia"]),
)
def test_a_look_always_comes_round_later_and_within_reason(
    which: tuple[str, str], at: int, stretch: float, latitude: float, zone: str
) -> None:
    resource = connector(which[0]).vendor.resource(which[1])
    assert resource is not None
    row = msgspec.structs.replace(PLAIN, latitude=latitude, longitude=10.0, timezone=zone)
    then = planner.next_due(resource, row, at, planner.Budget(stretch))
    # Pauses run by day only, which is a quarter of one at least; all but what is seen first is asked more seldom.
    slowest = stretch * min(stretch, planner.LESSER) / planner.LEAST_DAYLIGHT
    assert at < then <= at + resource.every_s * slowest * 1.05 + 3 * DAY_S


@pytest.mark.parametrize("vendor", CURVED)
def test_a_look_after_an_outage_owes_the_time_between(site: Callable[[str], SiteRow], vendor: str) -> None:
    row = site(vendor)
    declared = connector(vendor).vendor
    now = dt.datetime(2026, 6, 10, 18, tzinfo=dt.UTC).timestamp()
    covered = Span(0, int(now) - 4 * DAY_S)
    newest, owed = planner.look_spans(declared, declared.fine_resource, row, covered, now)
    spans = sorted([newest, *owed], key=lambda s: s.start)
    assert spans[0].start <= covered.end
    assert spans[-1].end == int(now)
    assert all(b.start <= a.end for a, b in pairwise(spans))
    assert all(s.end - s.start <= LONGEST_S[vendor] for s in spans)


@pytest.mark.parametrize("vendor", CURVED)
def test_a_first_look_before_a_winters_sunrise_reaches_the_light_of_the_day_before(
    site: Callable[[str], SiteRow], vendor: str
) -> None:
    declared = connector(vendor).vendor
    now = dt.datetime(2026, 12, 20, 6, tzinfo=dt.UTC).timestamp()
    row = msgspec.structs.replace(site(vendor), timezone="Europe/Berlin", latitude=52.0, longitude=13.0)
    newest, owed = planner.look_spans(declared, declared.fine_resource, row, None, now)
    assert owed == []
    assert newest.end == int(now)
    assert newest.end - newest.start == min(DAY_S, LONGEST_S[vendor])


@pytest.mark.parametrize("vendor", CURVED)
def test_the_first_history_is_thirty_days_and_forty_eight_hours(site: Callable[[str], SiteRow], vendor: str) -> None:
    row = site(vendor)
    declared = connector(vendor).vendor
    tz = zones.zone(row.timezone)
    assert tz is not None
    now = dt.datetime(2026, 11, 2, 18, tzinfo=dt.UTC).timestamp()
    daily = planner.first_history(declared, declared.history[0], row, now)
    days = {day for span in daily for day, whole in zones.local_days(span, tz) if span.start <= whole.start < span.end}
    assert len(days) == 30
    assert max(days) == zones.day_of(now, tz) - dt.timedelta(days=1)
    for resource in declared.history[1:]:
        spans = planner.first_history(declared, resource, row, now)
        assert min(s.start for s in spans) <= now - 2 * DAY_S


def test_what_serves_the_account_is_for_the_plans_that_name_it_and_else_for_all() -> None:
    vendor = connector("solaredge").vendor
    given = {plan.id: [r.id for r in planner.due_resources(vendor, plan)] for plan in vendor.plans}
    assert given["free"] == given["paid"] == ["list", "details", "power", "energy", "devices", "alerts"]
    assert set(given["v1"]) == {*given["free"], "bulk_power", "bulk_energy"}
    settled = {plan.id: {k: r.id for k, r in planner.settled(vendor, plan).items()} for plan in vendor.plans}
    assert settled == {"free": {}, "paid": {}, "v1": {"power": "bulk_power", "energy": "bulk_energy"}}


@pytest.mark.parametrize(("sites", "hundreds"), [(6, 1), (99, 1), (100, 2), (500, 6)])
def test_what_a_look_in_bulk_settles_is_counted_with_it(sites: int, hundreds: int) -> None:
    vendor = connector("solaredge").vendor
    plan = vendor.plan("v1")
    assert plan is not None
    # A list and daily figures, six looks at alerts, 48 quarter-hours of daylight; details and devices once a week.
    assert planner.calls_per_day(vendor, plan, sites) == pytest.approx(hundreds * (1 + 1 + 6 + 48) + sites * 2 / 7)
    alone = planner.calls_per_day(vendor, plan, sites, singly=True) - planner.calls_per_day(vendor, plan, sites)
    assert alone == pytest.approx(sites * (48 + 3))
    loads = [planner.Load(vendor, plan, sites, singly=singly) for singly in (False, True)]
    assert planner.stretch_for(loads[:1], 270) <= planner.stretch_for(loads[1:], 270)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("vendor", "plan", "sites"),
    [("enphase", "watt", 10), ("enphase", "watt", 60), ("solaredge", "free", 20), ("solaredge", "free", 120)],
)
def test_a_month_of_looks_never_passes_a_limit_and_lasts_to_its_end(
    spine: Callable[..., Spine], clock: Hands, vendor: str, plan: str, sites: int
) -> None:
    clock.now = dt.datetime(2026, 4, 1, 0, 5, tzinfo=dt.UTC).timestamp()
    running = spine(vendor, sites=sites, panels=1, plan=plan)
    account_id = running.connect(vendor)
    store, (account,) = running.store, running.store.fleet.accounts()
    perform_look(running.context, store.work.claim_looks(account_id, clock.now, 1, "test")[0], "test")
    store.database.execute("UPDATE site SET timezone = 'Europe/Berlin'")
    declared = connector(vendor).vendor
    limits = windows(declared.plan(account.plan))  # type: ignore[arg-type]  # there is one
    month = next(w.limit for w in limits if w.window == "month")
    spent: list[float] = []
    ends = dt.datetime(2026, 5, 1, tzinfo=dt.UTC).timestamp()
    # Nothing is sent: each look is spent from the real ledger and given back as a good one would be.
    while clock.now < ends - 60:
        for look_id in store.work.claim_looks(account_id, clock.now, 50, "test"):
            look = store.work.look(look_id, "test")
            assert look is not None
            until = store.ledger.spend(account.scope, limits, clock.now)
            resource = declared.resource(look.resource)
            assert resource is not None
            row = store.fleet.site(look.site_id) if look.site_id else None
            if until is None:
                spent.append(clock.now)
                budget = planner.budget(store, account.scope, clock.now)
                then = planner.next_due(resource, row, clock.now, budget)
                store.work.finish_look(look, then, ok=True, now=clock.now)
            else:
                store.work.finish_look(look, until, ok=False, now=clock.now)
        following = store.database.scalar("SELECT min(next_due) FROM due")
        clock.now = max(clock.now + 60, float(following))
    assert len(spent) + store.ledger.history_used(account.scope, "month", ends - 60) <= month
    last_days = sum(at > ends - 3 * DAY_S for at in spent)
    assert last_days > 0.25 * 3 * len(spent) / 30, "the month's calls were gone before its end"
