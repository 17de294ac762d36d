"""Alarms: one row each with its life, resolved by evidence only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from store_kit import NOW

from sungaze.errors import NotFound
from sungaze.model import AlertFacts, Severity, SiteFacts
from sungaze.store.alerts import OWN, VENDOR

if TYPE_CHECKING:
    from sungaze.store import Store


def fact(key: str = "a1", **changed: Any) -> AlertFacts:
    given = {
        "vendor_alert_id": key, "code": "28", "description": "Gateway not reporting", "severity": Severity.ERROR,
        "timestamp": int(NOW) - 900,
    }  # fmt: skip
    return AlertFacts(**(given | changed))


@pytest.fixture
def site(store: Store) -> int:
    with store.database.transaction():
        store.fleet.add_account(
            id=1, vendor="enphase", method="m", plan="p", label="l", base_url=None, scope="s", identity="i", now=NOW
        )
    return store.fleet.apply_sites(1, "enphase", [SiteFacts(vendor_site_id="1")], complete=True, now=NOW)[0]


def test_an_alarm_is_one_row_for_all_its_life(store: Store, site: int) -> None:
    apply = store.alerts.apply
    assert apply([fact()], source=VENDOR, complete=False, now=NOW, site_id=site)
    assert not apply([fact(), fact()], source=VENDOR, complete=False, now=NOW + 60, site_id=site)
    assert apply([fact(severity=Severity.CRITICAL)], source=VENDOR, complete=False, now=NOW + 90, site_id=site)
    assert apply([fact(resolved_at=int(NOW) + 100)], source=VENDOR, complete=False, now=NOW + 120, site_id=site)
    (row,), total = store.alerts.alerts()
    assert (total, row.status, row.resolved_at, row.timestamp) == (1, "resolved", int(NOW) + 100, int(NOW) - 900)


def test_a_listing_that_is_not_whole_resolves_nothing(store: Store, site: int) -> None:
    apply = store.alerts.apply
    apply([fact("a1"), fact("a2")], source=VENDOR, complete=True, now=NOW, site_id=site)
    apply([fact("a2")], source=VENDOR, complete=False, now=NOW + 60, site_id=site)
    assert store.alerts.standings()[site].count == 2
    apply([fact("a2")], source=VENDOR, complete=True, now=NOW + 120, site_id=site)
    assert _briefly(store) == {site: (1, Severity.ERROR, False)}
    rows, _ = store.alerts.alerts(going_on=False)
    assert [(row.vendor_alert_id, row.resolved_at) for row in rows] == [("a1", int(NOW) + 120)]


def test_an_alarm_that_goes_on_after_all_is_open_again_with_its_first_time(store: Store, site: int) -> None:
    apply = store.alerts.apply
    apply([fact()], source=VENDOR, complete=True, now=NOW, site_id=site)
    apply([], source=VENDOR, complete=True, now=NOW + 60, site_id=site)
    apply([fact(timestamp=int(NOW))], source=VENDOR, complete=True, now=NOW + 120, site_id=site)
    (row,), _ = store.alerts.alerts()
    assert (row.status, row.resolved_at, row.timestamp) == ("open", None, int(NOW) - 900)


def test_a_vendors_and_our_own_alarms_do_not_resolve_each_other(store: Store, site: int) -> None:
    store.alerts.apply([fact()], source=VENDOR, complete=True, now=NOW, site_id=site)
    store.alerts.apply([fact()], source=OWN, complete=True, now=NOW, site_id=site)
    store.alerts.apply([], source=OWN, complete=True, now=NOW + 60, site_id=site)
    assert _briefly(store) == {site: (1, Severity.ERROR, False)}


def test_an_acknowledged_alarm_stays_acknowledged_until_it_is_resolved(store: Store, site: int) -> None:
    store.alerts.apply([fact()], source=VENDOR, complete=True, now=NOW, site_id=site)
    (row,), _ = store.alerts.alerts()
    seen = store.alerts.acknowledge(row.id, NOW + 30)
    assert (seen.status, seen.acknowledged_at) == ("acknowledged", int(NOW) + 30)
    store.alerts.apply([fact()], source=VENDOR, complete=True, now=NOW + 60, site_id=site)
    assert store.alerts.alert(row.id).status == "acknowledged"
    store.alerts.apply([], source=VENDOR, complete=True, now=NOW + 90, site_id=site)
    assert store.alerts.acknowledge(row.id, NOW + 99).status == "resolved"
    with pytest.raises(NotFound):
        store.alerts.acknowledge(999, NOW)


def test_an_account_has_alarms_of_its_own_until_it_is_disconnected(store: Store, site: int) -> None:
    store.alerts.apply([fact("login")], source=OWN, complete=True, now=NOW, account_id=1)
    store.alerts.apply([fact("login")], source=OWN, complete=True, now=NOW, site_id=site)
    rows, total = store.alerts.alerts()
    assert total == 2
    assert {(row.site_id, row.account_id) for row in rows} == {(site, None), (None, 1)}
    store.fleet.remove_account(1, NOW + 60)
    assert store.alerts.alerts() == ([], 0)
    assert store.alerts.alerts(site_id=site)[1] == 1


def test_what_goes_on_comes_first_and_among_it_the_worst(store: Store, site: int) -> None:
    facts = [
        fact("info", severity=Severity.INFO), fact("critical", severity=Severity.CRITICAL),
        fact("old", timestamp=1_600_000_000), fact("new"),
        fact("gone", resolved_at=int(NOW), severity=Severity.CRITICAL),
    ]  # fmt: skip
    store.alerts.apply(facts, source=VENDOR, complete=True, now=NOW, site_id=site)
    rows, total = store.alerts.alerts(limit=4)
    assert ([row.vendor_alert_id for row in rows], total) == (["critical", "new", "old", "info"], 5)
    assert [row.vendor_alert_id for row in store.alerts.alerts(offset=4)[0]] == ["gone"]


def _briefly(store: Store) -> dict[int, tuple[int, Severity, bool]]:
    return {site: (found.count, found.worst, found.silent) for site, found in store.alerts.standings().items()}
