"""A reading in the way of the public Pika-to-MQTT client (vendors/generac.md 9): every key required, no mercy."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import generac_served
import httpx
import pytest

served, clock, emulator = generac_served.served, generac_served.clock, generac_served.emulator


TYPES = {
    "0001": "wind", "0002": "inverter", "0003": "solar", "0004": "weather", "0005": "battery", "0006": "load",
    "0007": "inverter", "0008": "battery", "0012": "beacon",
}  # fmt: skip


class Reader:
    """Reads one profile with the cookie it was given, as such clients do, and tells what it would publish."""

    def __init__(self, client: httpx.Client, profile: str) -> None:
        self.client = client
        self.profile = profile
        self.last: dict[str, datetime] = {}
        self.same = 0

    def poll(self) -> dict[str, dict[str, Any]]:
        answer = self.client.get(f"/{self.profile}.json", params={"_": int(time.time() * 1000)})
        answer.raise_for_status()
        topics = {}
        updated = {}
        for device in answer.json()["dvcs"]:
            rcpn = device["s"]
            kind = TYPES[rcpn[4:8]]
            updated[rcpn] = datetime.strptime(device["up"], "%Y-%m-%d %H:%M:%S %Z")
            datetime.strptime(device["ti"], "%Y-%m-%d %H:%M:%S %Z")
            topics[f"{kind}/{rcpn}"] = {
                "name": device["n"],
                "type": device["t"],
                "state": f"{int(device['st']):04x}",
                "power": int(device["p"]),
                "energy": int(device["et"]),
                "soc": int(device["O5"]) / 10,
            }
        self.same = self.same + 1 if updated == self.last else 0
        self.last = updated
        return topics

    @property
    def offline(self) -> bool:
        return self.same >= 3


@pytest.fixture
def reader(emulator: Any) -> Any:
    with httpx.Client(base_url=emulator.base_url, trust_env=False, timeout=60) as client:
        yield Reader(client, emulator.credentials["profile_ids"].split(",")[0]), emulator


def test_the_client_reads_every_device(reader: Any) -> None:
    client, _ = reader
    topics = client.poll()
    kinds = [topic.split("/")[0] for topic in topics]
    assert kinds == ["inverter", *["solar"] * (len(kinds) - 3), "battery", "beacon"]
    assert sum(v["power"] for t, v in topics.items() if t.startswith("solar")) > 0
    assert all(20 <= v["soc"] <= 100 for t, v in topics.items() if t.startswith("battery"))


@pytest.mark.parametrize("fault", ["device_gone", "device_new", "unknown_state", "overheat", "reset", "lag", "gzip"])
def test_it_reads_through_what_keeps_the_form(reader: Any, fault: str) -> None:
    client, emulator = reader
    emulator.faults[fault] = 1.0
    assert client.poll()


def test_it_takes_a_system_for_offline_when_nothing_is_updated(reader: Any, clock: Any) -> None:
    client, emulator = reader
    emulator.faults["frozen"] = 1.0
    for _ in range(4):
        client.poll()
        clock.now += 60
    assert client.offline
    emulator.faults.clear()
    client.poll()
    assert not client.offline


def test_it_works_with_the_cookies_of_a_browser(reader: Any) -> None:
    client, emulator = reader
    emulator.faults["private"] = 1.0
    with pytest.raises(httpx.HTTPStatusError):
        client.poll()
    page = client.client.get("/login").text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    signed_in = client.client.post("/login", data={**emulator.service.sign_in, "csrf_token": token})
    cookies = [line.partition(";")[0] for line in signed_in.headers.get_list("set-cookie")]
    client.client.headers["Cookie"] = "; ".join(cookies)
    client.client.cookies.clear()
    assert client.poll()
