"""CPS (Chint Power Systems): what its gateways push by MQTT or HTTPS, and their inverters by Modbus/TCP.

Facts: vendors/cps.md. CPS's own cloud is closed until CPS has let the user in; the gateway's push and Modbus are not.
How a pushed message is read stands in `_cps_messages.py`, its shape in a mapping file beside this one.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Final

import msgspec

from sungaze import clock
from sungaze.errors import Changed, ConfigError, NeedsReconnect, Unavailable
from sungaze.model import (
    DAY_S,
    Communication,
    DeviceFacts,
    Reading,
    SiteFacts,
    Span,
)
from sungaze.vendors import _modbus, _mqtt, _sunspec
from sungaze.vendors._contract import Access, Answer, Field, Limit, Method, Plan, Probe, Resource, SiteRef, Vendor
from sungaze.vendors._cps_mapping import maps
from sungaze.vendors._cps_messages import (
    FINE_S,
    Batch,
    Condition,
    fold_alerts,
    rated_w_of,
    read_topic,
    state_devices,
    state_readings,
    worst_of,
)
from sungaze.vendors._cps_recorded import recorded_readers
from sungaze.vendors._session import quoted
from sungaze.vendors._sunspec import RegisterMap

NAME: Final = "CPS"
LEAST_SECRET: Final = 16
# -- onboarding (section 2) ------------------------------------------------------------------------------------------


class Onboarding(StrEnum):
    """How far CPS has let the user in."""

    NOT_REQUESTED = "not_requested"
    REQUESTED = "requested"
    SANDBOX = "sandbox"
    LIVE = "live"


ASKED_OF_CPS: Final[Mapping[str, str]] = {
    "document": "the API's document and its version",
    "base_url": "the API's address",
    "auth": "the kind of login (key and secret, OAuth, signature)",
    "sandbox": "a sandbox account",
    "sites": "which sites are open to you",
    "delivery": "whether data is asked for or pushed",
    "push": "for the gateway's push: payload format, interval, retry rule, TLS",
    "topics": "topic names, QoS and retained flags",
    "time": "the time zone and the units of the figures",
    "alarms": "the list of alarm codes",
    "limits": "the limits on calls",
}


def still_needed(state: Onboarding, answers: Mapping[str, str]) -> list[str]:
    """What has to be had from CPS before its cloud can be read, as phrases; empty once all is there."""
    if state is Onboarding.LIVE:
        return []
    missing = [phrase for name, phrase in ASKED_OF_CPS.items() if not answers.get(name, "").strip()]
    return (["a request to CPS for access to its API"] if state is Onboarding.NOT_REQUESTED else []) + missing


# -- what is declared -----------------------------------------------------------------------------------------------

VENDOR: Final = Vendor(
    id="cps",
    name="CPS",
    link="https://www.chintpowersystems.com",
    attribution="Data: CPS gateway",
    # The portal's start: the address of one site is not known. It takes no notice of what follows the #.
    portal_url="https://monitor.chintpowersystems.com/#{site}",
    default_base_url="https://monitor.chintpowersystems.com",
    methods=(
        Method(
            id="mqtt",
            label="Gateway to your MQTT broker",
            about="The gateway's second MQTT server, which is off as delivered, is set to your broker by the "
            "installer's app; Sungaze listens there.",
            fields=(
                Field(name="host", label="Broker", help="Name or address of your MQTT broker.", secret=False),
                Field(name="port", label="Port", help="8883 with TLS, 1883 without.", secret=False, required=False),
                Field(name="user", label="User", help="The broker's user.", secret=False, required=False),
                Field(name="password", label="Password", required=False),
                Field(
                    name="prefix",
                    label="Topic prefix",
                    help="What the topics begin with. Empty is cps/v1, which is assumed until CPS's document is known.",
                    secret=False,
                    required=False,
                ),
                Field(
                    name="tls",
                    label="TLS",
                    help="“yes”, “no”, or the path of the certificate authority's file. Empty is yes.",
                    secret=False,
                    required=False,
                ),
            ),
            plans=("local",),
            scope_field="host",
            way="mqtt",
        ),
        Method(
            id="push",
            label="Gateway to Sungaze by HTTPS",
            about="The gateway's HTTPS server, which is off as delivered, is set to the address that the account then "
            "shows, by the installer's app. That the gateway signs with a secret that both know is assumed. Sungaze "
            "listens on this computer alone and speaks plain HTTP: start it with --server and --host, and put a proxy "
            "with a certificate before it.",
            fields=(
                Field(name="secret", label="Shared secret", help="At least 16 characters, the same in the gateway."),
            ),
            plans=("local",),
            scope_field="secret",
            way="push",
        ),
        Method(
            id="modbus",
            label="Modbus/TCP on site",
            about="Sungaze asks the inverters through the gateway's Ethernet port; nothing is ever written. A second "
            "program or logger that asks on the same line can disturb it.",
            fields=(
                Field(name="host", label="Gateway", help="Its address in your network.", secret=False),
                Field(name="port", label="Port", help="Empty is 502, the usual one.", secret=False, required=False),
                Field(name="units", label="Modbus ids", help="Of the inverters, such as 1-4,6.", secret=False),
                Field(
                    name="site",
                    label="Site",
                    help="CPS's site id or the gateway's serial, so that the site is the same one by every way in.",
                    secret=False,
                    required=False,
                ),
            ),
            plans=("local",),
            scope_field="host",
        ),
        Method(
            id="cloud",
            label="CPS's own cloud (after onboarding)",
            about="CPS opens its API to partners only. Here you keep what you have asked CPS for and what it has told "
            "you; the account says what is still needed, and stays blocked until CPS has let you in.",
            fields=(
                Field(name="company", label="Company", help="As CPS knows you.", secret=False),
                Field(
                    name="onboarding",
                    label="How far it is",
                    help="not_requested, requested, sandbox or live.",
                    secret=False,
                    required=False,
                ),
                *(
                    Field(
                        name=name,
                        label=phrase[0].upper() + phrase[1:],
                        help="What CPS told you.",
                        secret=False,
                        required=False,
                    )
                    for name, phrase in ASKED_OF_CPS.items()
                ),
                Field(name="api_key", label="API key", help="Once CPS has given you one.", required=False),
            ),
            plans=("local",),
            scope_field="company",
            way="none",
        ),
    ),
    # No quota is known or likely: the limits only bound what Sungaze itself may do to a serial bus (section 8).
    plans=(
        Plan(
            id="local",
            label="Your own gateway",
            about="No money, and as far as we know nobody counts calls. Each gateway is asked once a minute at most.",
            limits=(Limit(window="minute", limit=600),),
            gives=frozenset({"state"}),
        ),
    ),
    resources=(
        Resource(id="list", per_site=False, every_s=DAY_S, night=True, order=10),
        Resource(id="state", per_site=True, every_s=60, order=30),
    ),
    late_min=20,
    stale_min=60,
    late_intervals=3,
    fine_s=FINE_S,
    fine_resource="state",
    history=(),
    notes=(
        "CPS's own cloud stays closed until CPS has let you in; what the gateway sends or is asked works without it.",
        "The form of pushed messages is assumed until CPS's document is known.",
        "By Modbus, CPS's own registers are known of the three-phase 14 to 60 kW and the 25 kW US models, from public "
        "transcriptions. Others are read if they speak SunSpec, and are left out otherwise.",
        "Modbus has no history: what was not asked in time is not known. What a gateway could not send it keeps for 30 "
        "days; that it sends it later is assumed.",
    ),
    differs=(
        "Production is the sum of what the inverters say of their AC side; a revenue meter is not asked.",
        "A moment is read for each interval, where CPS's own cloud may show a mean.",
        "The inverter's day begins at its gateway's midnight, which in summer may be an hour off the site's.",
        "Some firmware counts a day's energy only at night: until then the day here is empty or too small.",
    ),
)


@cache
def register_maps() -> tuple[RegisterMap, ...]:
    """Every register map of CPS's own, read and validated once."""
    room = resources.files("sungaze.vendors")
    return (_sunspec.register_map((room / "cps-403x.json").read_bytes()),)


# -- Modbus/TCP (section 6) ------------------------------------------------------------------------------------------


class UnitReading(msgspec.Struct):
    """One unit at one moment, by its own map or by SunSpec (`via`)."""

    unit: int
    via: str
    serial: str
    model: str
    manufacturer: str
    firmware: str
    state: _sunspec.State
    today_wh: float | None = None


def read_unit(gateway: _modbus.Registers, unit: int) -> UnitReading:
    """What one inverter says now. CPS's own map where its model is known, else SunSpec by discovery.

    Raises UnitAsleep, UnitBusy, Unavailable, and Changed for a device that speaks neither.
    """
    for found in register_maps():
        read = gateway.input if found.function == _modbus.INPUT else gateway.holding
        try:
            registers = read(unit, found.first, found.count)
        except _modbus.NoSuchRegister:
            continue
        own = _sunspec.read_map(found, registers)
        if own.serial and found.fits(own.model):
            return UnitReading(
                unit, found.id, own.serial, own.model, "CPS", own.firmware, own.state, own.today_wh
            )  # fmt: skip

    def holding(address: int, count: int) -> Sequence[int]:
        return gateway.holding(unit, address, count)

    base = _sunspec.find_base(holding)
    if base is None:
        raise Changed(
            f"Unit {unit} is a model that Sungaze does not know, and it does not speak SunSpec. It is left out.",
            f"modbus unit {unit}",
        )
    device = _sunspec.read_device(holding, base)
    if not device.serial:
        raise Changed(f"Unit {unit} tells no serial number by SunSpec. It is left out.", f"modbus unit {unit}")
    return UnitReading(
        unit, "sunspec", device.serial, device.model, device.manufacturer, device.firmware, _sunspec.state_of(device)
    )


class Sweep(msgspec.Struct):
    """All units of a gateway, one after the other: those that spoke, those asleep, and why others were left out."""

    read: list[UnitReading]
    asleep: list[int]
    left_out: list[str]


def sweep(gateway: _modbus.Gateway, units: Sequence[int]) -> Sweep:
    """Ask every unit once. Raises Unavailable when the gateway answers for none of the first four."""
    found = Sweep([], [], [])
    silent = 0
    for number, unit in enumerate(units, 1):
        try:
            found.read.append(read_unit(gateway, unit))
        except _modbus.UnitAsleep:
            found.asleep.append(unit)
        except Changed as error:
            found.left_out.append(str(error))
        except Unavailable as error:
            silent += 1
            if silent == number and number in {4, len(units)}:
                raise
            found.left_out.append(str(error))
    if units and len(found.left_out) == len(units):
        raise Changed(found.left_out[0], "modbus")
    return found


class Cps:
    """The connector."""

    vendor = VENDOR
    readers = recorded_readers(lambda registers, unit, now, zone: _of_registers(registers, unit, now, zone))

    def probe(self, access: Access) -> Probe:
        """What answers behind a gateway's Modbus/TCP port, or which gateways a broker knows of.

        A gateway that pushes is not to be asked: nothing is seen of it before its first push.
        """
        if access.method == "cloud":
            return Probe(sites=(), total=0, panels=False, blocked=blocked_because(access.credentials))
        if access.method == "push":
            if len(access.credentials["secret"]) < LEAST_SECRET:
                raise NeedsReconnect(f"The shared secret needs {LEAST_SECRET} characters or more.")
            return Probe(sites=(), total=0, panels=False, notes=(_COMES_BY_ITSELF,))
        if access.method == "mqtt":
            return _probe_broker(access)
        found, site = self._sweep(access)
        notes = [f"Inverters that answer: {len(found.read)}; asleep or off: {len(found.asleep)}.", *found.left_out]
        return Probe(sites=(_site(site, found, int(access.now())),), total=1, panels=False, notes=tuple(notes))

    def list_sites(self, access: Access) -> Answer:
        """The one site behind a gateway that is asked by Modbus/TCP."""
        host, port, _, site = address_of(access.credentials)
        return Answer(sites=[SiteFacts(vendor_site_id=site or f"{host}:{port}")], complete=True)

    def fetch_account(self, access: Access, resource: str, sites: Sequence[SiteRef], span: Span) -> Answer:
        """Nothing serves the whole account but the list."""
        raise ValueError(f"CPS has no resource {resource}")

    def fetch(self, access: Access, resource: str, site: SiteRef, span: Span) -> Answer:
        """One look at every unit of the gateway. Modbus holds no history: `span` is answered by the present moment."""
        if resource != "state":
            raise ValueError(f"CPS has no resource {resource}")
        found, name = self._sweep(access)
        return answer_of(found, name, int(access.now()), site.timezone)

    def chunks(self, resource: str, span: Span) -> list[Span]:
        """The span itself: there is no history to be had in pieces."""
        return [span]

    def _sweep(self, access: Access) -> tuple[Sweep, str]:
        host, port, units, site = address_of(access.credentials)
        with _modbus.Gateway(host, port) as gateway:
            return sweep(gateway, units), site or f"{host}:{port}"


_COMES_BY_ITSELF: Final = (
    "Nothing is seen before the gateway's first push: once the account is there, it shows the address to enter in the "
    "gateway."
)


def _probe_broker(access: Access) -> Probe:
    """The gateways whose retained inventory or status a broker hands over at once."""
    prefix = prefix_of(access.credentials)
    sites: dict[str, SiteFacts] = {}
    gateways: set[str] = set()
    answered = threading.Event()

    def take(topic: str, payload: bytes, retained: bool) -> None:
        for batch in read_topic(topic, payload, now=access.now(), retained=retained, prefix=prefix):
            if isinstance(batch, Batch):
                gateways.add(batch.gateway_sn)
                sites.update({site.vendor_site_id: site for site in batch.sites})
        answered.set()

    with _mqtt.Subscriber(broker_of(access.credentials, "sungaze-probe", lasting=False), (f"{prefix}/+/+",), take):
        # Retained messages come at once or not at all; a second of quiet ends the wait.
        while answered.wait(1.0):
            answered.clear()
    note = f"The broker lets Sungaze in. Gateways that it knows of: {len(gateways)}."
    return Probe(sites=tuple(sites.values()), total=len(sites), panels=False, notes=(note, _QUIET if not sites else ""))


_QUIET: Final = "No gateway has told its devices yet; sites appear with their first messages."


def prefix_of(credentials: Mapping[str, str]) -> str:
    """What the topics of a broker's gateways begin with."""
    return credentials.get("prefix", "").strip().strip("/") or "cps/v1"


def broker_of(credentials: Mapping[str, str], client_id: str, *, lasting: bool = True) -> _mqtt.Broker:
    """How the user's broker is reached. Raises NeedsReconnect that says what was entered wrongly."""
    tls = credentials.get("tls", "").strip() or "yes"
    encrypted = tls.lower() not in {"no", "off", "false"}
    port = credentials.get("port", "").strip() or ("8883" if encrypted else "1883")
    if not port.isdecimal() or not 0 < int(port[:6]) < 65_536:
        raise NeedsReconnect("The broker's port must be a number from 1 to 65535.")
    return _mqtt.Broker(
        host=credentials["host"].strip(),
        port=int(port),
        client_id=client_id,
        user=credentials.get("user") or None,
        password=credentials.get("password") or None,
        tls=encrypted,
        ca_file=tls if encrypted and tls.lower() not in {"yes", "on", "true"} else None,
        lasting=lasting,
    )


def blocked_because(credentials: Mapping[str, str]) -> str:
    """Why CPS's cloud cannot be read yet, and what is still needed (section 2)."""
    said = credentials.get("onboarding", "").strip().lower() or Onboarding.NOT_REQUESTED
    try:
        state = Onboarding(said)
    except ValueError:
        raise NeedsReconnect(f"The onboarding is one of {', '.join(Onboarding)}, not “{quoted(said)}”.") from None
    needed = still_needed(state, credentials)
    word = state.value.replace("_", " ")
    if needed:
        return f"Onboarding with CPS: {word}. Still needed: {'; '.join(needed)}. The gateways' own ways work without."
    return (
        f"Onboarding with CPS: {word}, and nothing is missing. The API's document has to come into Sungaze as a "
        "payload mapping before it can be read; the gateways' own ways work without."
    )


def address_of(credentials: Mapping[str, str]) -> tuple[str, int, tuple[int, ...], str]:
    """(host, port, units, site) of a Modbus way in. Raises NeedsReconnect that says what was entered wrongly."""
    port = credentials.get("port", "").strip() or "502"
    if not port.isdecimal() or not 0 < int(port[:6]) < 65_536:
        raise NeedsReconnect("The gateway's port must be a number from 1 to 65535.")
    try:
        units = _modbus.units_of(credentials["units"])
    except ValueError as error:
        raise NeedsReconnect(f"{error}. Enter the Modbus ids anew.") from None
    return credentials["host"].strip(), int(port), units, credentials.get("site", "").strip()


def _site(name: str, found: Sweep, now: int) -> SiteFacts:
    rated = [one.state.rated_w or rated_w_of(one.model) for one in found.read]
    whole = not found.asleep and not found.left_out and None not in rated
    return SiteFacts(
        vendor_site_id=name,
        peak_power_kw=math.fsum(w for w in rated if w) / 1e3 if rated and whole else None,
        communication=Communication.OK if found.read else None,
        last_report_at=now if found.read else None,
        status=worst_of(facts for one in found.read for facts in _devices_of(one, now)),
    )


def _devices_of(one: UnitReading, now: int) -> Iterator[DeviceFacts]:
    return state_devices(one.serial, one.model, one.manufacturer, one.firmware, one.state, now, None)


def conditions_of(found: Sweep, now: int) -> list[Condition]:
    """What the units complain of, for `fold_alerts` where the open alerts are at hand."""
    return [Condition(one.serial, now, tuple(one.state.marks), frozenset(one.state.words)) for one in found.read]


def answer_of(found: Sweep, site: str, now: int, timezone: str | None) -> Answer:
    """A sweep in canonical values. A look stands for the five minutes in which it falls; counters for its moment.

    The site's power is the sum only when every unit that is not asleep has told its own.
    """
    start = now // FINE_S * FINE_S
    devices: list[DeviceFacts] = []
    readings: list[Reading] = []
    tz = clock.zone(timezone)
    for one in found.read:
        devices += _devices_of(one, now)
        readings += state_readings(one.serial, one.state, start, FINE_S, now)
        if one.today_wh is not None and tz is not None:
            day = clock.midnight(clock.day_of(now, tz), tz)
            readings.append(Reading(one.serial, "energy_wh", DAY_S, day, one.today_wh))
    watts = [one.state.metrics.get("ac_power_w") for one in found.read]
    if watts and None not in watts and not found.left_out:
        readings.append(Reading("", "ac_power_w", FINE_S, start, math.fsum(w for w in watts if w is not None)))
    conditions = conditions_of(found, now)
    return Answer(
        sites=[_site(site, found, now)],
        devices=devices,
        readings=readings,
        fold=lambda known: fold_alerts(known, conditions),
        covered=Span(start, start + FINE_S),
    )


def _of_registers(registers: _modbus.Registers, unit: int, now: int, timezone: str | None) -> Answer:
    """What recorded registers of one unit say; which site they are of is not recorded."""
    return answer_of(Sweep([read_unit(registers, unit)], [], []), "modbus", now, timezone)


def _validated() -> Cps:
    """The connector, once its data files are known to be sound: a wrong one is told at the start.

    Raises ConfigError that names what is wrong.
    """
    try:
        maps()
        register_maps()
    except (OSError, ValueError) as error:
        raise ConfigError(f"A data file of CPS's cannot be used, so nothing was started: {error}") from None
    return Cps()


CONNECTOR = _validated()
