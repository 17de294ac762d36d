"""A running Sungaze that asks nobody, over a store that a test fills, with a clock that stands where it is put."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from sungaze.config import Settings
from sungaze.model import AlertFacts, DeviceFacts, DeviceType, Severity, SiteFacts
from sungaze.runtime import Runtime
from sungaze.store.alerts import OWN, VENDOR

TOKEN = "a-token-of-the-tests-0123456789abcdef"
NOON = datetime.fromisoformat("2026-06-01T10:00:00+00:00").timestamp()
"""Noon in Berlin."""


class Quiet:
    """Two Enphase roofs and a SolarEdge one in Berlin, none of which has reported yet."""

    def __init__(self, folder: Path) -> None:
        self.now = NOON
        self.runtime = Runtime(Settings(data_dir=folder, token=TOKEN), now=lambda: self.now, polling=False)
        self.runtime.start()
        self.store = self.runtime.context.store
        for number, (vendor, names) in enumerate({"enphase": ["Barn", "Mill"], "solaredge": ["Barn"]}.items(), 1):
            with self.store.database.transaction():
                self.store.fleet.add_account(
                    id=number, vendor=vendor, method="m", plan="p", label=f"Our {vendor}", base_url=None, scope="s",
                    identity=f"i{number}", now=NOON,
                )  # fmt: skip
            facts = [
                SiteFacts(
                    vendor_site_id=f"{vendor}-{name}", name=name, timezone="Europe/Berlin", peak_power_kw=10.0,
                    address={"city": "Berlin"},
                )
                for name in names
            ]  # fmt: skip
            self.store.fleet.apply_sites(number, vendor, facts, complete=True, now=NOON)
        panel = DeviceFacts(vendor_device_id="p1", device_type=DeviceType.MICROINVERTER, serial_number="4821")
        self.store.fleet.apply_devices(self.store.fleet.sites()[0], [panel], complete=True, now=NOON)
        self.client = httpx.Client(
            base_url=self.runtime.address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30, trust_env=False
        )

    def alarm(self, site: int, *keys: str, ours: bool = False, severity: str = "error", device: str = "") -> None:
        """Have a vendor or Sungaze say that exactly these alarms of a site go on, since an hour."""
        facts = [
            AlertFacts(
                vendor_alert_id=key, code=key, description=f"{key} is wrong", severity=Severity(severity),
                timestamp=int(self.now) - 3_600, vendor_device_id=device,
            )
            for key in keys
        ]  # fmt: skip
        self.store.alerts.apply(
            facts, source=OWN if ours else VENDOR, complete=True, now=self.now, site_id=site,
            devices=self.store.fleet.device_ids(site),
        )  # fmt: skip
        self.runtime.context.events.publish("sites", (site,))

    def get(self, path: str, **asked: Any) -> Any:
        answer = self.client.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def send(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        answer = self.client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def site(self, name: str, vendor: str = "enphase") -> dict[str, Any]:
        found: list[dict[str, Any]] = self.get("/api/sites")["items"]
        return next(item for item in found if (item["name"], item["vendor"]) == (name, vendor))


@contextmanager
def quietly(folder: Path) -> Iterator[Quiet]:
    """Such a Sungaze, stopped at the end."""
    made = Quiet(folder)
    try:
        yield made
    finally:
        made.client.close()
        made.runtime.stop()
