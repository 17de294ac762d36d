"""The demo fleet: five simulated vendors on loopback, and their accounts connected by the ordinary way.

CPS comes by all three of its ways: one gateway is asked by Modbus/TCP, one speaks to a broker of the demo's own, one
pushes. Ports change at each start, so what is stored of them is renewed before anything is asked.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from sungaze import clock
from sungaze.emulators import World, serve
from sungaze.emulators._broker import EmbeddedBroker
from sungaze.errors import SungazeError
from sungaze.jobs.connect import Wish, connect
from sungaze.jobs.context import Context
from sungaze.model import DAY_S, Role
from sungaze.store.database import OperationalError
from sungaze.store.fleet import AccountRow
from sungaze.vendors import connector

log = logging.getLogger(__name__)

FLEET: Final[Mapping[str, tuple[int, str]]] = {
    "enphase": (12, "partner"),
    "solaredge": (8, "paid"),
    "tigo": (4, "premium"),
    "generac": (3, "dashboard"),
    "cps": (3, "local"),
}
PANELS: Final = 20
SEED: Final = 1
CPS: Final = "cps"
KEPT_S: Final = 2 * DAY_S
"""How far back the demo's gateways send what they stored, when they reach Sungaze."""
PATIENCE_S: Final = 30.0


class Demo:
    """The emulators and what they need; `base_urls` are their addresses by vendor. `stop` ends all of it."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.base_urls: dict[str, str] = {}
        self._now = now
        self._undo = contextlib.ExitStack()
        self._emulators: list[Any] = []
        self._closing = threading.Event()
        try:
            # Ends last: a gateway whose broker has gone takes a second to say goodbye.
            self._broker = EmbeddedBroker()
            self._undo.callback(self._broker.stop)
            for vendor, (sites, plan) in FLEET.items():
                emulator = serve(vendor, World(seed=SEED, sites=sites, panels=PANELS), plan=plan, now=now)
                self._undo.callback(emulator.stop)
                self.base_urls[vendor] = emulator.base_url
                self._emulators.append(emulator)
            self._cps = self._emulators[-1].service
            # Gateways that start anew count their messages anew: without this they would be taken for old ones.
            self._cps.boot_id = int(now())
        except BaseException:
            self._undo.close()
            raise
        self._asked = self._in_daylight()

    def stop(self) -> None:
        """End every emulator."""
        self._closing.set()
        # All at once: one after the other they would take longer than a stop may.
        for emulator in self._emulators:
            emulator.leave()
        self._undo.close()

    def renew(self, context: Context) -> None:
        """Have the CPS accounts of an earlier start find this one's ports; before anything is asked."""
        for account in self._accounts(context):
            if account.vendor != CPS:
                continue
            kept = context.vault.credentials(account.id, CPS)
            if account.method == "modbus":
                self._asked = int(kept["site"].rpartition("-")[2]) - 1
                self._cps.serve_modbus(site=self._asked)
                context.vault.keep_credentials(account.id, kept | self._cps.credentials)
            elif account.method == "mqtt":
                context.vault.keep_credentials(account.id, kept | self._broker_login())

    def connect(self, context: Context, address: str) -> None:
        """Connect what is not connected yet, and have the gateways send to `address`; takes some seconds."""
        known = {(account.vendor, account.method) for account in self._accounts(context, removed=True)}
        for emulator in self._emulators:
            if emulator.vendor != CPS:
                self._connect(context, known, emulator.vendor, emulator.method, emulator.plan, emulator.credentials)
        self._cps.serve_modbus(site=self._asked)
        self._connect(context, known, CPS, "modbus", "local", self._cps.credentials)
        self._connect(context, known, CPS, "mqtt", "local", self._broker_login())
        self._connect(context, known, CPS, "push", "local", {"secret": self._cps.secret})
        try:
            self._send(context, address)
        except OSError as error:
            log.error("The demo's CPS gateways do not send: %s", error)
        self._know_better(context)

    def _connect(
        self, context: Context, known: set[tuple[str, str]], vendor: str, method: str, plan: str,
        credentials: Mapping[str, str],
    ) -> None:  # fmt: skip
        if (vendor, method) in known or self._closing.is_set():
            return
        name = connector(vendor).vendor.name.partition(" (")[0]
        label = f"Demo {name}" + (f" by {method.upper() if method == 'mqtt' else method}" if vendor == CPS else "")
        wish = Wish(vendor=vendor, method=method, plan=plan, label=label, credentials=credentials, consent=True)
        try:
            connect(context, wish)
        except (SungazeError, OperationalError) as error:
            log.error("The demo's %s account could not be connected: %s", vendor, error)

    def _send(self, context: Context, address: str) -> None:
        """Have one gateway publish and one push, from now on and what they have stored."""
        others = [k for k in range(FLEET[CPS][0]) if k != self._asked]
        accounts = {account.method: account.id for account in self._accounts(context) if account.vendor == CPS}
        if "mqtt" in accounts and self._wait(lambda: accounts["mqtt"] in context.listening):
            publisher = self._cps.start_mqtt(self._broker.host, self._broker.port, sites=others[:1])
            publisher.catch_up(KEPT_S)
        if "push" in accounts and not self._closing.is_set():
            sender = self._cps.start_push(f"{address}/push/cps/{accounts['push']}", sites=others[1:])
            sender.catch_up(KEPT_S)

    def _know_better(self, context: Context) -> None:
        """Say of sites what their vendor does not tell, as a user would: the zone, the peak and the name.

        Tigo's optimizers and CPS's inverter on one roof are put into one place, where they count once; the roof that
        has an Enphase array beside a SolarEdge one is left for the user to confirm.
        """
        self._wait(lambda: self._arrived(context, "generac") and self._arrived(context, CPS))
        fleet = context.store.fleet
        for emulator in self._emulators:
            if emulator.vendor not in {"generac", CPS}:
                continue
            sites = sorted((s for s in fleet.sites() if s.vendor == emulator.vendor), key=lambda s: s.vendor_site_id)
            plans = emulator.service.world.fleet(emulator.vendor)
            for site, plan in zip(sites, plans, strict=False):
                if len(sites) < len(plans) or site.alias is not None:
                    continue
                known = {"timezone": plan.town.zone, "peak_power_kw": plan.peak_w / 1000, "alias": plan.name}
                if emulator.vendor == CPS:
                    known |= {"latitude": plan.latitude, "longitude": plan.longitude}
                fleet.set_by_user(site.id, known, self._now())
        self._wait(lambda: self._arrived(context, "tigo"))
        self._join_roof(context)
        context.events.publish("everything")

    def _join_roof(self, context: Context) -> None:
        store = context.store
        tigo = self._emulators[list(FLEET).index("tigo")].service.world.site("tigo", 2)
        cps = self._cps.world.site(CPS, 2)
        names = {(site.vendor, site.name): site for site in store.fleet.sites()}
        first, second = names.get((CPS, cps.name)), names.get(("tigo", tigo.name))
        if first is not None and second is not None and first.place_id != second.place_id:
            store.places.merge(first.place_id, second.place_id, Role.SAME_GENERATION, self._now())

    def _arrived(self, context: Context, vendor: str) -> bool:
        return sum(site.vendor == vendor for site in context.store.fleet.sites()) >= FLEET[vendor][0]

    def _wait(self, done: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            if time.monotonic() > deadline or self._closing.wait(0.1):
                return False
        return True

    def _broker_login(self) -> dict[str, str]:
        return {"host": self._broker.host, "port": str(self._broker.port), "tls": "no"}

    def _in_daylight(self) -> int:
        """The site whose inverters can be asked: one that is asleep would say nothing before its morning."""
        now = self._now()
        plans = self._cps.world.fleet(CPS)
        return next((p.k for p in plans if clock.sun_up(now, p.latitude, p.longitude)), 0)

    def _accounts(self, context: Context, *, removed: bool = False) -> list[AccountRow]:
        return context.store.fleet.accounts(removed=removed)
