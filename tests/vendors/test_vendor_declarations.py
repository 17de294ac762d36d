"""What each vendor file declares holds together, and is what its emulator serves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import sungaze.vendors
from sungaze.emulators import World
from sungaze.emulators._registry import SERVICES
from sungaze.errors import NotFound
from sungaze.model import METRICS
from sungaze.vendors import connector, connectors
from sungaze.vendors._contract import Connector, Limit, Vendor

EVERY = [pytest.param(found, id=name) for name, found in connectors().items()]


def test_the_registry_finds_every_file_without_an_underscore() -> None:
    room = Path(sungaze.vendors.__file__).parent
    assert set(connectors()) == {path.stem for path in room.glob("[!_]*.py")}
    assert list(connectors()) == sorted(connectors())
    assert all(name == found.vendor.id for name, found in connectors().items())


def test_a_vendor_that_no_file_declares_is_not_found_and_the_known_ones_are_told() -> None:
    with pytest.raises(NotFound, match=rf"“sunshine”.*{', '.join(connectors())}"):
        connector("sunshine")


@pytest.mark.parametrize("found", EVERY)
def test_every_method_names_plans_and_fields_that_there_are(found: Connector) -> None:
    vendor = found.vendor
    assert vendor.methods
    for method in vendor.methods:
        assert vendor.method(method.id) is method
        assert method.plans
        assert all(vendor.plan(plan) for plan in method.plans)
        names = [field.name for field in method.fields]
        assert len(set(names)) == len(names)
        scope = next(field for field in method.fields if field.name == method.scope_field)
        assert scope.required
        assert all(field.label and (field.name == "password" or field.help) for field in method.fields)
    assert {plan for method in vendor.methods for plan in method.plans} == {plan.id for plan in vendor.plans}
    assert vendor.method("none") is vendor.plan("none") is vendor.resource("none") is None


@pytest.mark.parametrize("found", EVERY)
def test_every_plan_gives_resources_that_there_are_and_limits_that_can_be_kept(found: Connector) -> None:
    vendor = found.vendor
    per_site = {resource.id for resource in vendor.resources if resource.per_site}
    in_bulk = {resource.id for resource in vendor.resources if resource.settles}
    for plan in vendor.plans:
        assert plan.gives <= per_site | in_bulk
        assert vendor.fine_resource in plan.gives, "without the curve there is nothing to see"
        assert set(vendor.history[:1]) <= plan.gives
        assert plan.label
        assert plan.about
        windows = [limit.window for limit in plan.limits]
        assert len(set(windows)) == len(windows)
        assert set(windows) <= {"minute", "day", "month"}
        assert all(0 < limit.cap <= limit.limit for limit in plan.limits)
        assert 1 <= plan.concurrent <= min(limit.limit for limit in plan.limits)
    assert set.union(*(set(plan.gives) for plan in vendor.plans)) == per_site | in_bulk, "a plan opens every resource"


@pytest.mark.parametrize("found", EVERY)
def test_resources_history_and_the_fine_one_refer_to_each_other(found: Connector) -> None:
    vendor = found.vendor
    names = [resource.id for resource in vendor.resources]
    assert len(set(names)) == len(names)
    # The first one that serves the account is its list of sites.
    assert not vendor.resources[0].per_site
    fine = vendor.resource(vendor.fine_resource)
    assert fine is not None
    assert fine.per_site
    # A vendor whose newest figure is a moment has no history of it, and one may have no history at all.
    if vendor.fine_s and vendor.history:
        assert vendor.fine_resource in vendor.history[1:], "coarse first, then the fine ones"
    assert all(vendor.resource(name) for name in vendor.history)
    # Nobody counts what is asked on one's own network.
    least = 60 if vendor.id == "cps" else 900
    assert all(resource.every_s >= least and resource.calls >= 1 for resource in vendor.resources)
    assert len({resource.order for resource in vendor.resources}) == len(names)


@pytest.mark.parametrize("found", EVERY)
def test_what_settles_a_look_serves_the_account_and_is_given_with_what_it_settles(found: Connector) -> None:
    vendor = found.vendor
    for resource in (r for r in vendor.resources if r.settles):
        settled = vendor.resource(resource.settles)
        assert settled is not None
        assert settled.per_site
        assert not resource.per_site
        assert not settled.settles
        assert resource.order < settled.order, "it goes first"
        giving = [plan for plan in vendor.plans if resource.id in plan.gives]
        # A resource that no plan names would be for all of them, its list among them.
        assert giving
        assert all(settled.id in plan.gives for plan in giving)
    assert not vendor.resources[0].settles
    names = [resource.settles for resource in vendor.resources if resource.settles]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("found", EVERY)
def test_its_metrics_and_ages_are_of_our_words(found: Connector) -> None:
    vendor: Vendor = found.vendor
    assert METRICS[vendor.power_metric].production
    assert METRICS[vendor.energy_metric].production
    assert vendor.fine_s in {0, 60, 300, 900}
    assert 0 < vendor.late_min < vendor.stale_min
    assert (vendor.cellular_late_min is None) == (vendor.cellular_stale_min is None)
    assert "{site}" in vendor.portal_url
    assert all(url.startswith("https://") for url in (vendor.link, vendor.portal_url, vendor.default_base_url))
    assert vendor.attribution


@pytest.mark.parametrize("found", EVERY)
def test_the_emulator_has_the_same_way_in_the_same_plans_and_the_same_fields(found: Connector) -> None:
    usual = SERVICES[found.vendor.id]
    services = {usual, *map(usual.speaking, usual.DIALECTS)}
    assert {plan for service in services for plan in service.PLANS} == {plan.id for plan in found.vendor.plans}
    for service in services:
        method = found.vendor.method(service.METHOD)
        assert method is not None
        for plan in map(found.vendor.plan, service.PLANS):
            assert plan is not None
            served = dict(zip(("minute", "month"), service.PLANS[plan.id], strict=True))
            # Ours may be the stricter one, where the vendor names no number.
            assert all(limit.limit <= served[limit.window] for limit in plan.limits if limit.window in served)
            counted = {limit.window: limit.limit for limit in plan.limits}
            # A vendor that counts by the day has neither of the two.
            if found.vendor.id in {"enphase", "solaredge"} and "day" not in counted:
                assert counted == served
        running = service(World(seed=1, sites=1, panels=1), service.DEFAULT_PLAN, lambda: 0.0, {})
        assert set(running.credentials) == {field.name for field in method.fields}


def test_what_costs_money_is_not_spent_unasked() -> None:
    assert Limit(window="month", limit=100).cap == 100
    assert Limit(window="month", limit=100, included=10, price_usd=0.005).cap == 10
    assert Limit(window="month", limit=100, included=1000).cap == 100
    for found in connectors().values():
        for plan in found.vendor.plans:
            assert all(limit.included is not None for limit in plan.limits if limit.price_usd)


@pytest.mark.parametrize("found", EVERY)
def test_every_vendor_says_why_its_own_pages_may_show_something_else(found: Connector) -> None:
    differs = found.vendor.differs
    assert differs
    assert all(sentence.endswith(".") for sentence in differs)


@pytest.mark.parametrize("found", EVERY)
def test_what_is_said_of_a_vendor_is_in_short_sentences(found: Connector) -> None:
    vendor = found.vendor
    told = [*vendor.notes, *vendor.differs, *(m.about for m in vendor.methods), *(p.about for p in vendor.plans)]
    sentences = [sentence for text in told for sentence in re.split(r"(?<=[.?!])\s", text)]
    assert all(sentence.endswith(".") and len(sentence) <= 200 for sentence in sentences), max(sentences, key=len)


ASSUMED = [
    ("solaredge", "all share the application's calls", "as far as we know"),
    ("solaredge", "it works once", "as far as we know"),
    ("solaredge", "the AC side", "as far as we know"),
    ("solaredge", "neither the tiers' figures", "assumed"),
    ("solaredge", "page in SolarEdge's portal", "assumed"),
    ("enphase", "page in Enphase's portal", "assumed"),
    ("enphase", "may stand five minutes earlier", "may"),
    ("enphase", "0.005 USD", "July 2026"),
    ("tigo", "publishes no limit", "assumed"),
    ("tigo", "page in Tigo's portal", "assumed"),
    ("generac", "energy counts in watt-hours", "assumed"),
    ("generac", "answers for every account", "not known"),
    ("generac", "Signs in as your browser does", "as far as the sign-in page is known"),
    ("cps", "cps/v1", "assumed"),
    ("cps", "signs with a secret", "assumed"),
    ("cps", "The form of pushed messages", "assumed"),
]
"""Words of a sentence, and what tells that it is no fact; each is marked so on the vendor's page."""


@pytest.mark.parametrize(("vendor_id", "said", "hedge"), ASSUMED)
def test_what_is_assumed_of_a_vendor_is_told_as_assumed(vendor_id: str, said: str, hedge: str) -> None:
    vendor = connector(vendor_id).vendor
    helps = [field.help for method in vendor.methods for field in method.fields]
    told = [*(m.about for m in vendor.methods), *(p.about for p in vendor.plans), *vendor.notes, *vendor.differs]
    found = [text for text in told + helps if said in text]
    assert found
    assert all(hedge in text for text in found)
