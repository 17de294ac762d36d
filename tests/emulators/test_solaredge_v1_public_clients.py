"""solaredge 2.0.0 and aiosolaredge, unchanged but for the base address, drive the V1 emulator."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import aiohttp
import aiosolaredge
import pytest
import solaredge
import yarl
from aiosolaredge import solaredge as aiosolaredge_module
from solaredge.exceptions import SolarEdgeAPIError, SolarEdgeAuthError, SolarEdgeNotFoundError, SolarEdgeRateLimitError

from sungaze.emulators._solaredge_site import inverter_serial, site_id_of

DAY = datetime(2026, 6, 1)
MORNING, NOW = DAY + timedelta(hours=8), DAY + timedelta(hours=13)


@pytest.fixture
def emulator(start):
    return start("solaredge", dialect="v1")


@pytest.fixture
def client(emulator):
    with solaredge.MonitoringClient(emulator.credentials["api_key"], base_url=emulator.base_url) as client:
        yield client


@pytest.fixture
def ids(world):
    return [site_id_of(plan) for plan in world.fleet("solaredge")]


def test_the_list_is_paged_filtered_and_sorted(client, world, ids) -> None:
    listed = client.get_site_list()["sites"]
    assert (listed["count"], [site["id"] for site in listed["site"]]) == (4, ids)
    assert [site["id"] for site in client.get_site_list(size=2, start_index=2)["sites"]["site"]] == ids[2:]
    name = world.site("solaredge", 1).name
    assert [site["name"] for site in client.get_site_list(search_text=name.upper())["sites"]["site"]] == [name]
    peaks = [
        site["peakPower"]
        for site in client.get_site_list(sort_property="PeakPower", sort_order="DESC", status="All")["sites"]["site"]
    ]
    assert peaks == sorted(peaks, reverse=True)
    assert client.get_site_list(status=["Disabled"])["sites"] == {"count": 0, "site": []}


def test_details_data_period_and_overview_are_wrapped_as_they_were(client, ids, world) -> None:
    details = client.get_site_details(ids[0])["details"]
    assert (details["location"]["timeZone"], details["status"]) == ("America/Chicago", "Active")
    assert details["peakPower"] == pytest.approx(world.site("solaredge", 0).peak_w / 1000)
    assert client.get_site_data(ids[:1])["dataPeriod"]["endDate"] == "2026-06-01"
    assert client.get_site_data(ids[:2])["dataPeriodList"]["count"] == 2
    overview = client.get_overview(ids[:1])["overview"]
    lifetime, year, month, day = (
        overview[name]["energy"] for name in ("lifeTimeData", "lastYearData", "lastMonthData", "lastDayData")
    )
    assert lifetime > year > month == day > 0
    assert overview["currentPower"]["power"] > 0
    assert overview["lastUpdateTime"] == "2026-06-01 13:01:30"
    bulk = client.get_overview(ids)["sitesOverviews"]
    assert [row["siteId"] for row in bulk["siteEnergyList"]] == ids
    assert bulk["siteEnergyList"][0]["siteOverview"] == overview


def test_energy_and_power_agree_alone_and_in_bulk(client, ids) -> None:
    days = client.get_energy(ids[:1], DAY - timedelta(days=3), DAY, "DAY")["energy"]
    assert (days["timeUnit"], days["unit"]) == ("DAY", "Wh")
    assert [row["date"] for row in days["values"]] == [f"2026-05-{d} 00:00:00" for d in (29, 30, 31)] + [
        "2026-06-01 00:00:00"
    ]
    bulk = client.get_energy(ids, DAY - timedelta(days=3), DAY, "DAY")["sitesEnergy"]
    assert [row["siteId"] for row in bulk["siteEnergyList"]] == ids
    assert bulk["siteEnergyList"][0]["energyValues"]["values"] == days["values"]
    quarters = client.get_energy(ids[:1], DAY, DAY, "QUARTER_OF_AN_HOUR")["energy"]["values"]
    assert len(quarters) == 96
    made = sum(row["value"] or 0 for row in quarters)
    assert made == pytest.approx(days["values"][-1]["value"], abs=0.1)
    power = client.get_power(ids[0], MORNING, NOW)["power"]
    assert (power["timeUnit"], power["unit"]) == ("QUARTER_OF_AN_HOUR", "W")
    assert [power["values"][0]["date"], power["values"][-1]["date"]] == ["2026-06-01 08:00:00", "2026-06-01 12:45:00"]
    assert all(row["value"] > 0 for row in power["values"])


def test_meters_split_the_energy_and_the_power(client, ids, world) -> None:
    site = ids[2]
    energy = client.get_energy_details(site, MORNING, NOW, ["Production", "FeedIn"], "HOUR")["energyDetails"]
    assert [meter["type"] for meter in energy["meters"]] == ["Production", "FeedIn"]
    every = client.get_power_details(site, MORNING, NOW, None)["powerDetails"]
    rows = {meter["type"]: [row.get("value", 0) for row in meter["values"]] for meter in every["meters"]}
    assert set(rows) == {"Production", "Consumption", "SelfConsumption", "FeedIn", "Purchased"}
    for made, used, own, sold, bought in zip(*(rows[name] for name in (
        "Production", "Consumption", "SelfConsumption", "FeedIn", "Purchased")), strict=True):  # fmt: skip
        assert made == pytest.approx(own + sold, abs=0.01)
        assert used == pytest.approx(own + bought, abs=0.01)
    flow = client.get_current_power_flow(site)["siteCurrentPowerFlow"]
    assert flow["unit"] == "kW"
    assert {"GRID", "LOAD", "PV", "connections"} <= set(flow)
    unmetered = next(s for s in ids if not client.get_inventory(s)["Inventory"]["meters"])
    assert client.get_current_power_flow(unmetered) == {"siteCurrentPowerFlow": {}}


def test_equipment_is_listed_and_an_inverter_tells_its_week(client, ids, world) -> None:
    serial = inverter_serial(world.site("solaredge", 0), 0)
    found = client.get_inventory(ids[0])["Inventory"]
    assert [inverter["SN"] for inverter in found["inverters"]] == [serial]
    assert "serialNumber" in client.get_inventory(ids[2])["Inventory"]["inverters"][0]
    listed = client.get_components_list(ids[0])["reporters"]
    assert (listed["count"], listed["list"][0]["serialNumber"]) == (1, serial)
    data = client.get_inverter_technical_data(ids[0], serial, MORNING, NOW)["data"]
    assert data["count"] == len(data["telemetries"]) == 60
    first, last = data["telemetries"][0], data["telemetries"][-1]
    assert (first["date"], first["inverterMode"]) == ("2026-06-01 08:00:00", "MPPT")
    made = sum(row["totalActivePower"] for row in data["telemetries"][1:]) / 12
    assert last["totalEnergy"] - first["totalEnergy"] == pytest.approx(made, abs=1)
    assert client.get_storage_data(ids[0], MORNING, NOW) == {"storageData": {"batteryCount": 0, "batteries": []}}


def test_the_endpoints_that_were_removed_in_march_2026_are_not_found(client, ids) -> None:
    for ask in (
        lambda: client.get_environmental_benefits(ids[0]),
        lambda: client.get_meters(ids[0], MORNING, NOW, "HOUR"),
        lambda: client.get_time_frame_energy(ids[:1], DAY, DAY),
    ):
        with pytest.raises(SolarEdgeNotFoundError):
            ask()


def test_the_client_tells_a_wrong_key_a_foreign_site_a_spent_day_and_the_shutdown_apart(
    client, emulator, ids, world
) -> None:
    with (
        solaredge.MonitoringClient("WRONG", base_url=emulator.base_url) as stranger,
        pytest.raises(SolarEdgeAuthError) as refused,
    ):
        stranger.get_site_list()
    assert refused.value.status_code == 401
    with pytest.raises(SolarEdgeAuthError) as foreign:
        client.get_site_details(site_id_of(world.site("solaredge", 5)))
    assert foreign.value.status_code == 403
    with pytest.raises(SolarEdgeNotFoundError):
        client.get_site_details(1)
    emulator.service.days.preset(emulator.credentials["api_key"], 300)
    with pytest.raises(SolarEdgeRateLimitError):
        client.get_site_list()
    emulator.faults["gone"] = 1.0
    with pytest.raises(SolarEdgeAPIError) as gone:
        client.get_site_list()
    assert gone.value.status_code == 410


def test_the_asynchronous_client_keeps_to_three_at_a_time(emulator, ids) -> None:
    async def run():
        async with solaredge.AsyncMonitoringClient(
            emulator.credentials["api_key"], base_url=emulator.base_url
        ) as client:
            return await asyncio.gather(*(client.get_overview([site]) for site in ids * 3))

    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(asyncio.run, run()).result()
    assert all(answer["overview"]["lifeTimeData"]["energy"] > 0 for answer in found)


def ask_aiosolaredge(emulator, *calls):
    """Return the results of `calls`, each a function of the client."""

    async def run():
        async with aiohttp.ClientSession() as session:
            client = aiosolaredge.SolarEdge(emulator.credentials["api_key"], session)
            return [await call(client) for call in calls]

    # In a thread of its own: another test of this process may have left a running loop in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, run()).result()


def test_aiosolaredge_reads_every_endpoint_that_it_knows(emulator, ids, monkeypatch) -> None:
    monkeypatch.setattr(aiosolaredge_module, "_BASE_URL", yarl.URL(emulator.base_url))
    site = ids[2]
    details, overview, inventory, energy, storage, flow = ask_aiosolaredge(
        emulator,
        lambda c: c.get_details(site),
        lambda c: c.get_overview(site),
        lambda c: c.get_inventory(site),
        lambda c: c.get_energy_details(site, DAY - timedelta(days=2), NOW, ["PRODUCTION", "FEEDIN"]),
        lambda c: c.get_storage_data(site, MORNING, NOW, ["70000C33-09"]),
        lambda c: c.get_current_power_flow(site),
    )
    assert details["details"]["id"] == site
    assert overview["overview"]["measuredBy"] == "INVERTER"
    assert set(inventory["Inventory"]) == {"meters", "sensors", "gateways", "batteries", "inverters"}
    assert [meter["type"] for meter in energy["energyDetails"]["meters"]] == ["Production", "FeedIn"]
    assert [row["date"] for row in energy["energyDetails"]["meters"][0]["values"]] == [
        "2026-05-30 00:00:00",
        "2026-05-31 00:00:00",
        "2026-06-01 00:00:00",
    ]
    assert storage["storageData"]["batteryCount"] == 0
    assert flow["siteCurrentPowerFlow"]["PV"]["currentPower"] >= 0


def test_aiosolaredge_is_told_of_the_shutdown(emulator, ids, monkeypatch) -> None:
    monkeypatch.setattr(aiosolaredge_module, "_BASE_URL", yarl.URL(emulator.base_url))
    emulator.faults["gone"] = 1.0
    with pytest.raises(aiohttp.ClientResponseError, match="410"):
        ask_aiosolaredge(emulator, lambda c: c.get_overview(ids[0]))
