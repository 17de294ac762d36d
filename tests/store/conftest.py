"""A store in a real file, with one account that sees one site of three microinverters."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from store_kit import NOW, connect, python

from sungaze.model import DeviceFacts, DeviceType, SiteFacts
from sungaze.store import Store
from sungaze.store.fleet import SiteRow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sungaze.db"


@pytest.fixture
def open_store() -> Iterator[Callable[[Path], Store]]:
    opened: list[Store] = []

    def begin(path: Path) -> Store:
        opened.append(Store(path))
        return opened[-1]

    yield begin
    for store in opened:
        store.close()


@pytest.fixture
def store(path: Path, open_store: Callable[[Path], Store]) -> Store:
    return open_store(path)


@pytest.fixture
def account(store: Store) -> int:
    return connect(store, 1)


@pytest.fixture
def site(store: Store, account: int) -> SiteRow:
    facts = SiteFacts(vendor_site_id="700", name="Roof", timezone="Europe/Berlin", peak_power_kw=6.0)
    store.fleet.apply_sites(account, "enphase", [facts], complete=True, now=NOW)
    row = store.fleet.sites()[0]
    panels = [
        DeviceFacts(vendor_device_id=f"m{k}", device_type=DeviceType.MICROINVERTER, serial_number=f"48{k}", rated_w=300)
        for k in range(3)
    ]
    store.fleet.apply_devices(row, panels, complete=True, now=NOW)
    return row


@pytest.fixture
def run() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def begin(code: str, *arguments: object) -> subprocess.Popen[str]:
        started.append(python(code, *arguments))
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()
