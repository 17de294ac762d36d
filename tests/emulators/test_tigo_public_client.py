"""pytigo 0.4.5, unchanged but for its base address, drives the Tigo emulator."""

from __future__ import annotations

from datetime import datetime

import pytest
import requests
from emulating import NOON
from pytigo.client import TigoClient

WINDOW = {"start": "2026-06-01T09:00:00", "end": "2026-06-01T13:05:00"}


@pytest.fixture
def emulator(start):
    return start("tigo")


@pytest.fixture
def client(emulator, monkeypatch):
    monkeypatch.setattr(TigoClient, "api_root", emulator.base_url + "/api/v3")
    session = requests.Session()
    session.trust_env = False
    with TigoClient(emulator.credentials["username"], emulator.credentials["password"], session=session) as client:
        yield client


@pytest.fixture
def system(client):
    client.login()
    return client.list_systems().items[0]


def test_the_client_logs_in_sees_its_user_and_logs_out(client, emulator) -> None:
    auth = client.login()
    assert auth.expires.timestamp() > NOON
    assert client.get_current_user().login == emulator.credentials["username"]
    client.logout()
    with pytest.raises(ValueError, match="Not authenticated"):
        client.list_systems()


def test_the_client_reads_systems_layout_objects_and_sources(client, system, world) -> None:
    assert [item.name for item in client.list_systems(page=1, limit=50).items] == [
        plan.name for plan in world.fleet("tigo")
    ]
    single = client.get_system(system.system_id, include=["inverters", "sources"])
    assert (single.timezone, single.power_rating) == ("America/Chicago", world.site("tigo", 0).peak_w)
    layout = client.get_layout(system.system_id)
    panels = [panel for i in layout.inverters for m in i.mppts for s in m.strings for panel in s.panels]
    assert len(panels) == 12
    objects = {node.object_id: node for node in client.get_objects(system.system_id)}
    assert all(objects[panel.object_id].ui.x is not None for panel in panels)
    assert len(client.get_object_types()) == 5
    (source,) = client.get_sources(system.system_id)
    assert source.control_state == "on"
    assert source.sets[0].last_min is not None


def test_the_client_reads_both_tables_and_the_summary(client, system) -> None:
    summary = client.get_summary(system.system_id)
    assert summary.daily_energy_dc > 0
    panels = client.get_aggregate(system.system_id, level="min", param="Pin", **WINDOW)
    assert len(panels.headers) == 13
    assert panels.rows[0].timestamp == datetime(2026, 6, 1, 9)
    total = client.get_combined(system.system_id, agg="minute", **WINDOW)
    assert len(total.rows) == len(panels.rows) > 200
    newest = total.rows[-1].values[total.headers[1]]
    assert newest == pytest.approx(summary.last_power_dc, abs=1)
    days = client.get_aggregate(system.system_id, level="day", header="key", sensors=False, **WINDOW)
    assert days.headers[1].endswith(".panels.A1_Pin")


def test_the_client_reads_alerts_and_their_types(client, system) -> None:
    alerts = [a for item in client.list_systems().items for a in client.get_alerts(item.system_id, language="EN").items]
    codes = {kind.unique_id for kind in client.get_alert_types(language="EN")}
    assert alerts
    assert {alert.unique_id for alert in alerts} <= codes


def test_the_client_sees_a_bad_parameter_and_a_spent_minute(client, system, emulator) -> None:
    with pytest.raises(requests.HTTPError, match="400"):
        client.get_aggregate(system.system_id, param="Tmod", **WINDOW)
    emulator.quota.preset("minute", 30)
    with pytest.raises(requests.HTTPError, match="429"):
        client.list_systems()
