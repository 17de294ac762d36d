"""Our own alarms over a simulated fleet: found by day, kept while nothing is known, resolved by evidence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from spine import Spine

from sungaze.api.board import Board
from sungaze.jobs.events import Events
from sungaze.jobs.judge import judge_fleet
from sungaze.store.alerts import OWN, AlertRow


def judged(running: Spine) -> list[AlertRow]:
    """What Sungaze itself finds wrong now."""
    judge_fleet(running.context, Board(running.store, Events(), running.clock).seen())
    rows, _ = running.store.alerts.alerts(going_on=True, limit=1000)
    return [row for row in rows if row.source == OWN]


@pytest.fixture
def fleet(spine: Callable[..., Spine]) -> Spine:
    running = spine("enphase", sites=4, panels=6)
    running.connect("enphase")
    running.work_off()
    return running


def chicago(running: Spine) -> int:
    return next(site.id for site in running.store.fleet.sites() if site.timezone == "US/Central")


def set_power(running: Spine, site_id: int, watts: float, *, hours: float) -> None:
    running.store.database.execute(
        "UPDATE sample SET value = ? WHERE timestamp > ? AND series_id IN (SELECT id FROM series WHERE site_id = ? "
        "AND device_id = 0 AND metric = 'ac_power_w' AND interval_s = 300)",
        (watts, int(running.clock.now - hours * 3_600), site_id),
    )


def test_a_well_fleet_has_no_findings_of_ours(fleet: Spine) -> None:
    dead = [row for row in judged(fleet) if row.code != "device_silent"]
    assert dead == []


def test_a_site_that_gives_nothing_at_noon_is_found_once_and_resolved_by_production(fleet: Spine) -> None:
    site_id = chicago(fleet)
    set_power(fleet, site_id, 0.0, hours=4)
    (found,) = [row for row in judged(fleet) if row.site_id == site_id]
    assert found.code == "zero_by_day"
    assert "nothing for" in found.description
    assert [row.id for row in judged(fleet) if row.site_id == site_id] == [found.id]
    row = next(r for r in Board(fleet.store, Events(), fleet.clock).build([site_id]))
    assert (row.status, row.needs_you) == ("fault", True)
    set_power(fleet, site_id, 1_500.0, hours=4)
    assert [row for row in judged(fleet) if row.site_id == site_id] == []
    assert fleet.store.alerts.alert(found.id).status == "resolved"


def test_a_night_and_a_broken_account_resolve_nothing(fleet: Spine) -> None:
    site_id = chicago(fleet)
    set_power(fleet, site_id, 0.0, hours=4)
    (found,) = [row for row in judged(fleet) if row.site_id == site_id]
    fleet.store.fleet.set_account_state(1, "needs_reconnect", "refused", fleet.clock.now)
    assert found.id in [row.id for row in judged(fleet)]
    fleet.store.fleet.set_account_state(1, "connected", "", fleet.clock.now)
    fleet.clock.now += 12 * 3_600
    assert found.id in [row.id for row in judged(fleet)]


def test_a_panel_that_stops_by_day_is_found_at_its_device(fleet: Spine) -> None:
    site_id = chicago(fleet)
    panel = next(d for d in fleet.store.fleet.devices(site_id) if d.device_type == "microinverter")
    fleet.store.database.execute(
        "DELETE FROM sample WHERE timestamp > ? AND series_id IN (SELECT id FROM series WHERE device_id = ?)",
        (int(fleet.clock.now) - 4 * 3_600, panel.id),
    )
    found = [row for row in judged(fleet) if row.device_id == panel.id]
    assert [row.code for row in found] == ["device_silent"]
