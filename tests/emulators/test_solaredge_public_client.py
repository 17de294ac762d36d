"""aiosolaredge-one 0.4.0, unchanged but for its base address, drives the V2 emulator."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import aiohttp
import aiosolaredge_one as one
import pytest
from emulating import NOON


def ask(emulator, *calls, api_key=None, account_key=None):
    """Return the results of `calls`, each a function of the client; errors are returned, not raised."""

    async def run():
        async with aiohttp.ClientSession() as session:
            client = one.SolarEdgeOneClient(
                session,
                api_key or emulator.credentials["api_key"],
                account_key=account_key,
                base_url=emulator.base_url + "/v2",
            )
            results = [(await asyncio.gather(call(client), return_exceptions=True))[0] for call in calls]
            return [*results, client.rate_limit]

    # In a thread of its own: another test of this process may have left a running loop in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, run()).result()


@pytest.fixture
def emulator(start):
    return start("solaredge", plan="paid")


def test_the_client_reads_sites_and_every_endpoint_it_knows(emulator, world) -> None:
    sites, _ = ask(emulator, lambda c: c.validate())
    assert [site.name for site in sites] == [plan.name for plan in world.fleet("solaredge")]
    assert all(site.is_active for site in sites)
    first = sites[0].site_id
    since = datetime.fromtimestamp(NOON - 6 * 3600).astimezone()
    details, overview, devices, energy, power, lifetime, alerts, fleet, green, store, rate = ask(
        emulator,
        lambda c: c.get_site_details(first),
        lambda c: c.get_site_overview(first),
        lambda c: c.get_devices(first),
        lambda c: c.get_energy(first),
        lambda c: c.get_power(
            first, date_from=since, date_to=since + timedelta(hours=6), resolution=one.RESOLUTION_QUARTER_HOUR
        ),
        lambda c: c.get_lifetime_energy(first, date_from=sites[0].installation_date),
        lambda c: c.get_alerts(first),
        lambda c: c.get_fleet_alerts(),
        lambda c: c.get_environmental_benefits(first, unit="METRIC"),
        lambda c: c.get_storage_telemetry(first),
    )
    assert details.raw["location"]["timezone"] == "America/Chicago"
    assert overview.production.total > 0
    assert devices[0].type == "INVERTER"
    assert energy.total == pytest.approx(overview.production.total, abs=1)
    assert power.unit == "W"
    assert power.latest_value > 0
    assert lifetime.total > 1_000_000
    assert isinstance(alerts, list)
    assert len(fleet) >= len(alerts)
    assert green.co2_emissions > 0
    assert green.ev_miles > 0
    assert store == {}
    assert rate.limit_minute == 24 if hasattr(rate, "limit_minute") else rate is not None


def test_the_client_tells_a_bad_key_a_missing_site_and_a_spent_minute_apart(emulator) -> None:
    bad, _ = ask(emulator, lambda c: c.validate(), api_key="wrong")
    assert isinstance(bad, one.SolarEdgeAuthError)
    assert bad.payload["detail"] == "Invalid API key"
    missing, _ = ask(emulator, lambda c: c.get_power(1))
    assert isinstance(missing, one.SolarEdgeNotFoundError)
    emulator.quota.preset("minute", 24)
    spent, _ = ask(emulator, lambda c: c.validate())
    assert isinstance(spent, one.SolarEdgeRateLimitError)
    assert spent.retry_after > 0


def test_the_client_sees_no_wait_when_the_credits_are_gone(emulator) -> None:
    emulator.quota.preset("month", 10_000)
    spent, _ = ask(emulator, lambda c: c.validate())
    assert isinstance(spent, one.SolarEdgeRateLimitError)
    assert spent.retry_after is None


def test_the_client_works_with_an_account_key_where_it_does_not_list_sites(emulator) -> None:
    account = emulator.credentials["account_key"]
    (sites, _) = ask(emulator, lambda c: c.validate())
    power, _ = ask(emulator, lambda c: c.get_power(sites[0].site_id), account_key=account)
    assert power.latest_value > 0
