"""Alarms from the vendors' answers: one row each, resolved by evidence, and an account's own when its login is dead."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from spine import Spine

from sungaze.api.board import Board
from sungaze.jobs.events import Events
from sungaze.model import DAY_S
from sungaze.store.alerts import AlertRow

VENDORS = ("enphase", "solaredge")


def going_on(running: Spine) -> list[AlertRow]:
    return running.store.alerts.alerts(going_on=True, limit=1000)[0]


def brought_in(spine: Callable[..., Spine], vendor: str, *, sites: int = 9) -> Spine:
    running = spine(vendor, sites=sites, panels=6)
    running.connect(vendor)
    running.work_off()
    return running


@pytest.mark.parametrize("vendor", VENDORS)
def test_what_is_wrong_in_the_world_is_an_alarm_at_its_site_and_device(
    spine: Callable[..., Spine], vendor: str
) -> None:
    running = brought_in(spine, vendor)
    # Once more, because the devices may have come after the alarms.
    running.clock.now += 9 * 3_600
    running.work_off()
    world = running.emulators[vendor].service.world
    dead = {
        plan.k: int((plan.dead_from <= running.clock.now).sum())
        for plan in world.fleet(vendor)
        if (plan.dead_from <= running.clock.now).any()
    }
    assert dead
    names = {plan.name for plan in world.fleet(vendor) if plan.k in dead}
    sites = {site.id: site.vendor_name for site in running.store.fleet.sites()}
    rows = going_on(running)
    assert names <= {sites[row.site_id] for row in rows if row.site_id is not None}
    panels = [row for row in rows if row.device_id]
    assert panels
    for row in panels:
        devices = {device.id: device for device in running.store.fleet.devices(row.site_id or 0)}
        assert devices[row.device_id].serial_number
    assert all(row.description and "None" not in row.description for row in rows)


@pytest.mark.parametrize("vendor", VENDORS)
def test_asking_again_doubles_nothing(spine: Callable[..., Spine], vendor: str) -> None:
    running = brought_in(spine, vendor)
    before = running.store.alerts.alerts(limit=1000)
    for _ in range(3):
        running.clock.now += 5 * 3_600
        running.work_off()
    after = running.store.alerts.alerts(limit=1000)
    keys = [(row.site_id, row.vendor_alert_id) for row in after[0]]
    assert len(keys) == len(set(keys))
    assert {row.id for row in before[0]} <= {row.id for row in after[0]}


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("fault", ["500", "truncated", "shape", "html"])
def test_an_answer_that_does_not_come_resolves_nothing(spine: Callable[..., Spine], vendor: str, fault: str) -> None:
    running = brought_in(spine, vendor, sites=4)
    before = {row.id for row in going_on(running)}
    running.emulators[vendor].faults[fault] = 1.0
    for _ in range(2):
        running.clock.now += 5 * 3_600
        running.work_off()
    assert {row.id for row in going_on(running) if row.site_id is not None} == before


def test_a_healthy_enphase_site_is_asked_for_alarms_once_a_week(spine: Callable[..., Spine]) -> None:
    running = brought_in(spine, "enphase", sites=4)
    well = [s for s in running.store.fleet.sites() if s.status == "normal"]
    troubled = [s for s in running.store.fleet.sites() if s.status != "normal"]
    assert well
    assert troubled
    asked = running.emulators["enphase"].requests
    asked.clear()
    for _ in range(6):
        running.clock.now += 4.3 * 3_600
        running.work_off()
    counts = {
        site.id: sum(r.path.endswith(f"{site.vendor_site_id}/open_alarms") for r in asked) for site in well + troubled
    }
    assert {counts[site.id] for site in well} == {0}
    assert all(counts[site.id] >= 4 for site in troubled)
    for _ in range(9):
        running.clock.now += DAY_S
        running.work_off()
    assert all(any(r.path.endswith(f"{site.vendor_site_id}/open_alarms") for r in asked) for site in well)


@pytest.mark.parametrize("vendor", VENDORS)
def test_the_list_shows_how_bad_a_sites_alarms_are(spine: Callable[..., Spine], vendor: str) -> None:
    running = brought_in(spine, vendor)
    rows = {row.id: row for row in Board(running.store, Events(), running.clock).build(None)}
    standings = running.store.alerts.standings()
    assert standings
    for site_id, standing in standings.items():
        assert rows[site_id].alerts == standing.count
        if standing.worst != "info":
            assert rows[site_id].status in {"warning", "fault", "offline"}
            assert rows[site_id].needs_you


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_dead_login_is_one_alarm_until_the_account_is_connected_again(
    spine: Callable[..., Spine], vendor: str
) -> None:
    running = brought_in(spine, vendor, sites=2)
    running.emulators[vendor].faults["unauthorized"] = 1.0
    for _ in range(3):
        running.clock.now += 5 * 3_600
        running.work_off()
    (own,) = [row for row in going_on(running) if row.account_id is not None]
    assert (own.code, own.source) == ("needs_reconnect", "sungaze")
    running.emulators[vendor].faults.clear()
    running.connect(vendor)
    running.work_off()
    assert [row for row in going_on(running) if row.account_id is not None] == []
    assert running.store.alerts.alert(own.id).status == "resolved"
