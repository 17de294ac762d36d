"""CPS over the simulated world, three ways in (vendors/cps.md): Modbus/TCP, MQTT and HTTPS push of its gateways.

CPS's own cloud is closed to us, so by HTTP there is a status page and nothing more. One site is one gateway. The
Modbus port, which is open from the start, is that of one site (the first unless moved).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

import numpy as np

from sungaze.emulators._cps_messages import OWN_FAULTS, Sender
from sungaze.emulators._cps_modbus import ModbusServer
from sungaze.emulators._cps_senders import MqttPublisher, PushSender
from sungaze.emulators._cps_site import GatewayView, inverter_serial, site_id
from sungaze.emulators._hash import hexadecimal
from sungaze.emulators._service import Answer, Plan, Request, Service, TruthRow, json_answer
from sungaze.emulators.world import INTERVAL_S, World


class Cps(Service):
    """The three servers and senders of the world's CPS gateways.

    `modbus` is the server that is running, `mqtt` and `push` the senders once they were started. `boot_id` is that of
    the gateways, which goes up whenever they start anew: the ids of their messages begin again with it.
    """

    VENDOR = "cps"
    METHOD = "modbus"
    PLANS: ClassVar[Mapping[str, Plan]] = {"local": Plan(600, 10_000_000)}
    DEFAULT_PLAN = "local"
    OWN_FAULTS = OWN_FAULTS

    def __init__(self, world: World, plan: str, now: Callable[[], float], faults: Mapping[str, float]) -> None:
        super().__init__(world, plan, now, faults)
        self.modbus: ModbusServer | None = None
        self.mqtt: MqttPublisher | None = None
        self.push: PushSender | None = None
        self._modbus_site = 0
        self.boot_id = 1

    @property
    def credentials(self) -> dict[str, str]:
        """Return what a user would enter for Modbus/TCP; the port is 502 until the server runs."""
        view = GatewayView(self.world, self.world.site(self.VENDOR, self._modbus_site))
        return {
            "host": "127.0.0.1",
            "port": str(self.modbus.port if self.modbus else 502),
            "units": f"1-{view.inverters}",
            "site": site_id(view.plan),
        }

    @property
    def secret(self) -> str:
        """Return the secret that the gateways and their receiver share."""
        return hexadecimal(32, self.world.seed, "cps", "push secret")

    def open(self) -> None:
        """Open the Modbus port of the first site, unless another was opened already."""
        if self.modbus is None:
            self.serve_modbus()

    def close(self) -> None:
        """Stop all three."""
        for running in (self.mqtt, self.push, self.modbus):
            if running is not None:
                running.stop()

    def serve_modbus(self, port: int = 0, site: int = 0) -> ModbusServer:
        """Serve a site's gateway at a port of 127.0.0.1 in place of the one so far; OSError for a taken port."""
        server = ModbusServer(GatewayView(self.world, self.world.site(self.VENDOR, site)), self.now, port)
        if self.modbus is not None:
            self.modbus.stop()
        self.modbus, self._modbus_site = server, site
        return server

    def start_mqtt(
        self,
        host: str,
        port: int,
        *,
        user: str | None = None,
        password: str | None = None,
        sites: Sequence[int] | None = None,
        prefix: str = "cps/v1",
        running: bool = True,
    ) -> MqttPublisher:
        """Publish the gateways of `sites` (None: all) to a broker; `running` False sends only when it is told to.

        Raises OSError when the broker is not there.
        """
        self.mqtt = MqttPublisher(self._senders(sites), self.faults, self.now, host, port, user, password, prefix)
        if running:
            self.mqtt.run()
        return self.mqtt

    def start_push(
        self,
        url: str,
        secret: str | None = None,
        *,
        sites: Sequence[int] | None = None,
        signing: bool = True,
        running: bool = True,
    ) -> PushSender:
        """Send the gateways of `sites` (None: all) to a URL, signed with `secret` (None: the world's own)."""
        secret = self.secret if secret is None else secret
        self.push = PushSender(self._senders(sites), self.faults, self.now, url, secret, signing=signing)
        if running:
            self.push.run()
        return self.push

    def ways(self) -> dict[str, dict[str, Any]]:
        """Return the three ways in as `emulate` prints them, those that run."""
        found: dict[str, dict[str, Any]] = {}
        if self.mqtt is not None:
            found["mqtt"] = {"host": self.mqtt.host, "port": self.mqtt.port, "prefix": self.mqtt.prefix}
        if self.modbus is not None:
            found["modbus"] = {"host": self.modbus.host, "port": self.modbus.port, "units": self.modbus.units}
        if self.push is not None:
            found["push"] = {"url": self.push.url, "secret": self.secret}
        return found

    def answer(self, request: Request) -> Answer:
        """Return the status page; CPS's own API is unknown [assumed to be closed]."""
        if request.path.rstrip("/") != "/health":
            return json_answer({"code": "4010", "msg": "Please login", "data": None})
        running = {name: value is not None for name, value in
                   (("modbus", self.modbus), ("mqtt", self.mqtt), ("push", self.push))}  # fmt: skip
        return json_answer({"status": "ok", "running": running, "sites": self.world.sites})

    @classmethod
    def truth(cls, world: World, k: int, start: int, end: int) -> Iterator[TruthRow]:
        """Yield 300 s rows of power of the site and each inverter while awake, and 86400 s rows of energy."""
        plan = world.site(cls.VENDOR, k)
        view, site = GatewayView(world, plan), site_id(plan)
        serials = [inverter_serial(plan, number) for number in range(view.inverters)]
        start = max(start, plan.installed_at)
        if end <= start:
            return
        day, last = plan.local_date(start), plan.local_date(end - 1)
        while day <= last:
            truth = world.day(plan, day)
            watts = view.inverter_w(truth)
            measured = ~np.isnan(truth.site_w)
            inside = measured & truth.awake & (truth.start >= start) & (truth.start + INTERVAL_S <= end)
            for row in np.flatnonzero(inside).tolist():
                at = int(truth.start[row])
                yield TruthRow(site, "", "ac_power_w", INTERVAL_S, at, float(watts[row].sum()))
                for serial, value in zip(serials, watts[row].tolist(), strict=True):
                    yield TruthRow(site, serial, "ac_power_w", INTERVAL_S, at, value)
            midnight, after = plan.midnight(day), plan.midnight(day + timedelta(days=1))
            if midnight >= start and after <= end and measured.any():
                energy = watts.sum(axis=0) * (INTERVAL_S / 3600.0)
                yield TruthRow(site, "", "energy_wh", 86_400, midnight, float(energy.sum()))
                for serial, value in zip(serials, energy.tolist(), strict=True):
                    yield TruthRow(site, serial, "energy_wh", 86_400, midnight, value)
            day += timedelta(days=1)

    def _senders(self, sites: Sequence[int] | None) -> list[Sender]:
        numbers = range(self.world.sites) if sites is None else sites
        views = [GatewayView(self.world, self.world.site(self.VENDOR, k)) for k in numbers]
        return [Sender(view, self.faults, self.boot_id) for view in views]
