"""The commands `emulate` and `world`; standard output carries the answer and nothing else."""

from __future__ import annotations

import json
import signal
import sys
import time
from datetime import UTC, datetime
from threading import Event
from typing import Any, NamedTuple, NoReturn

import click

from sungaze.emulators import VENDORS, Clock, World, serve, write_truth
from sungaze.emulators.cps import Cps


class Moment(click.ParamType[float]):
    """An ISO 8601 moment as epoch seconds; without an offset it is UTC."""

    name = "iso"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return epoch seconds; fails with a usage error for anything that is not ISO 8601."""
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not an ISO 8601 moment such as 2026-06-01T12:00:00Z", param, ctx)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class FaultRate(click.ParamType[tuple[str, float]]):
    """NAME or NAME=RATE."""

    name = "name[=rate]"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float]:
        """Return (name, rate); whether the vendor knows the name is checked when it is served."""
        name, _, rate = str(value).partition("=")
        try:
            return name, float(rate or 1)
        except ValueError:
            self.fail(f"the rate in {value!r} is not a number from 0 to 1", param, ctx)


class BrokerAddress(NamedTuple):
    """Where a broker is, and as whom one comes in."""

    host: str
    port: int
    user: str | None
    password: str | None


class Broker(click.ParamType[BrokerAddress]):
    """HOST:PORT or USER:PASSWORD@HOST:PORT."""

    name = "host:port"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> BrokerAddress:
        """Return the address; fails with a usage error that holds no password for anything else."""
        login, _, address = str(value).rpartition("@")
        user, _, password = login.partition(":")
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port[:6]) < 65_536:
            self.fail("that is not a broker's address such as 127.0.0.1:1883", param, ctx)
        return BrokerAddress(host, int(port), user or None, password or None)


def _other_ways(
    service: Cps, mqtt: BrokerAddress | None, push: str | None, modbus_port: int | None
) -> dict[str, dict[str, Any]]:
    """Start what was asked for beside HTTP and return how to reach it; OSError where it cannot be."""
    if modbus_port is not None:
        service.serve_modbus(modbus_port)
    if mqtt is not None:
        service.start_mqtt(mqtt.host, mqtt.port, user=mqtt.user, password=mqtt.password)
    if push is not None:
        service.start_push(push)
    return service.ways()


def _refuse(sentence: str) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(2)


@click.command("emulate")
@click.argument("vendor", type=click.Choice(VENDORS))
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option("--sites", type=click.IntRange(min=1), default=4, show_default=True)
@click.option("--panels", type=click.IntRange(min=1), default=20, show_default=True, help="Panels per site, about.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--now", type=Moment(), default=None, help="Start the emulator's clock here (ISO 8601).")
@click.option("--speed", type=click.FloatRange(min=0.0), default=1.0, show_default=True, help="0 freezes the clock.")
@click.option("--plan", default=None, help="One of the vendor's plans.")
@click.option("--dialect", default=None, help="One of the vendor's interfaces, where it has several.")
@click.option("--fault", "faults", type=FaultRate(), multiple=True, help="NAME or NAME=RATE; may be repeated.")
@click.option("--mqtt", type=Broker(), default=None, help="cps: to this broker, [USER:PASSWORD@]HOST:PORT.")
@click.option("--push", default=None, metavar="URL", help="cps: push its gateways' data to this address.")
@click.option("--modbus-port", type=click.IntRange(0, 65_535), default=None, help="cps: Modbus/TCP here; 0 takes one.")
def emulate(
    vendor: str,
    port: int,
    sites: int,
    panels: int,
    seed: int,
    now: float | None,
    speed: float,
    plan: str | None,
    dialect: str | None,
    faults: tuple[tuple[str, float], ...],
    mqtt: BrokerAddress | None,
    push: str | None,
    modbus_port: int | None,
) -> None:
    """Serve one vendor's interface on loopback until interrupted.

    Prints one line of JSON when ready: vendor, method, plan, base_url, credentials; cps also its mqtt, modbus, push.
    """
    if vendor != Cps.VENDOR and (mqtt, push, modbus_port) != (None, None, None):
        _refuse("--mqtt, --push and --modbus-port are for cps")
    stopped = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        world, clock = World(seed, sites, panels), Clock(now, speed)
        emulator = serve(vendor, world, plan=plan, dialect=dialect, faults=dict(faults), now=clock, port=port)
    except ValueError as error:
        _refuse(str(error))
    except OSError as error:
        _refuse(f"cannot listen on 127.0.0.1:{port}: {error.strerror or error}")
    with emulator:
        ways: dict[str, Any] = {}
        if isinstance(emulator.service, Cps):
            emulator.service.boot_id = int(clock())
            try:
                ways = _other_ways(emulator.service, mqtt, push, modbus_port)
            except OSError as error:
                _refuse(f"cps: {error.strerror or error}")
        ready = {name: getattr(emulator, name) for name in ("vendor", "method", "plan", "base_url", "credentials")}
        ready |= ways
        click.echo(json.dumps(ready))
        sys.stdout.flush()
        while not stopped.wait(0.5):  # an endless wait would not see Ctrl+C on Windows
            pass


@click.command("world")
@click.option("--vendor", type=click.Choice(VENDORS), required=True)
@click.option("--sites", type=click.IntRange(min=1), default=4, show_default=True)
@click.option("--panels", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--from", "start", type=Moment(), required=True, help="First moment (ISO 8601, UTC without offset).")
@click.option("--to", "end", type=Moment(), required=True, help="End, not included.")
def world(vendor: str, sites: int, panels: int, seed: int, start: float, end: float) -> None:
    """Print what the simulated world really produced, as CSV in canonical names."""
    if end < start:
        _refuse("--to lies before --from")
    write_truth(sys.stdout, vendor, sites, panels, seed, start, end, time.time())
