"""The canonical words: what every vendor's answer is turned into, and what every room speaks.

Units stand in the names (`_w`, `_wh`, `_kw`, `_s`). Instants are UTC epoch seconds unless a name says otherwise.
An interval is named by its start. This module imports nothing of ours.
"""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import Final

import msgspec

DAY_S: Final = 86_400
"""`interval_s` of the site's local day, stamped at its local midnight in UTC; the true length is 23 to 25 hours."""

SITE_DEVICE_ID: Final = 0
"""The device id that stands for the site itself: a null would double a series."""


class Kind(StrEnum):
    """How values of a metric may be brought to a coarser resolution."""

    MEAN = "mean"
    SUM = "sum"
    COUNTER = "counter"


class Metric(msgspec.Struct, frozen=True):
    """One entry of the closed list of metrics (DESIGN 3)."""

    name: str
    unit: str
    kind: Kind
    production: bool = False


def _metrics() -> dict[str, Metric]:
    mean, total, counter = Kind.MEAN, Kind.SUM, Kind.COUNTER
    rows: list[tuple[str, str, Kind, bool]] = [
        ("ac_power_w", "W", mean, True),
        ("dc_power_w", "W", mean, True),
        ("energy_wh", "Wh", total, True),
        ("dc_energy_wh", "Wh", total, True),
        ("energy_lifetime_wh", "Wh", counter, False),
        ("dc_energy_lifetime_wh", "Wh", counter, False),
        ("consumption_power_w", "W", mean, False),
        ("consumption_energy_wh", "Wh", total, False),
        ("grid_import_energy_wh", "Wh", total, False),
        ("grid_export_energy_wh", "Wh", total, False),
        ("grid_power_w", "W", mean, False),
        ("battery_power_w", "W", mean, False),
        ("battery_charge_energy_wh", "Wh", total, False),
        ("battery_discharge_energy_wh", "Wh", total, False),
        ("battery_stored_wh", "Wh", mean, False),
        ("state_of_charge_pct", "%", mean, False),
        ("ac_voltage_v", "V", mean, False),
        ("ac_voltage_l1l2_v", "V", mean, False),
        ("ac_voltage_l2l3_v", "V", mean, False),
        ("ac_voltage_l3l1_v", "V", mean, False),
        ("ac_current_a", "A", mean, False),
        ("ac_current_l1_a", "A", mean, False),
        ("ac_current_l2_a", "A", mean, False),
        ("ac_current_l3_a", "A", mean, False),
        ("ac_frequency_hz", "Hz", mean, False),
        ("ac_apparent_power_va", "VA", mean, False),
        ("ac_reactive_power_var", "var", mean, False),
        ("power_factor", "", mean, False),
        ("dc_voltage_v", "V", mean, False),
        ("dc_current_a", "A", mean, False),
        ("temperature_c", "°C", mean, False),
        ("ambient_temperature_c", "°C", mean, False),
        ("efficiency_pct", "%", mean, False),
        ("signal_strength", "", mean, False),
        ("devices_reporting", "", mean, False),
    ]
    return {name: Metric(name, unit, kind, production) for name, unit, kind, production in rows}


METRICS: Final = _metrics()


class DeviceType(StrEnum):
    """What a device is. A type that a vendor names and this list does not is `other`."""

    INVERTER = "inverter"
    MICROINVERTER = "microinverter"
    OPTIMIZER = "optimizer"
    PANEL = "panel"
    MPPT = "mppt"
    STRING = "string"
    STRING_CONVERTER = "string_converter"
    METER = "meter"
    BATTERY = "battery"
    GATEWAY = "gateway"
    SENSOR = "sensor"
    EV_CHARGER = "ev_charger"
    OTHER = "other"


PRODUCING_TYPES: Final = (
    DeviceType.MICROINVERTER,
    DeviceType.OPTIMIZER,
    DeviceType.PANEL,
    DeviceType.MPPT,
    DeviceType.STRING,
    DeviceType.STRING_CONVERTER,
    DeviceType.INVERTER,
)
"""Producing device types, finest first: the first one that a site has is what its layout shows."""


class SiteStatus(StrEnum):
    """A site's status word."""

    NORMAL = "normal"
    WARNING = "warning"
    FAULT = "fault"
    OFFLINE = "offline"
    PENDING = "pending"
    INACTIVE = "inactive"
    UNKNOWN = "unknown"


class DeviceStatus(StrEnum):
    """A device's status word."""

    NORMAL = "normal"
    WARNING = "warning"
    FAULT = "fault"
    OFFLINE = "offline"
    RETIRED = "retired"
    UNKNOWN = "unknown"


class Communication(StrEnum):
    """Whether a site is heard of."""

    OK = "ok"
    SILENT = "silent"
    UNKNOWN = "unknown"


class Production(StrEnum):
    """Whether a site produces as it should."""

    OK = "ok"
    DEGRADED = "degraded"
    NONE = "none"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """How bad an alert is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class AlertStatus(StrEnum):
    """Where an alert is in its life."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class AccountState(StrEnum):
    """What an account can do at the moment. `blocked` is CPS before onboarding, only."""

    CONNECTED = "connected"
    NEEDS_RECONNECT = "needs_reconnect"
    QUOTA_SPENT = "quota_spent"
    UNAVAILABLE = "unavailable"
    CHANGED = "changed"
    NOT_ENTITLED = "not_entitled"
    BLOCKED = "blocked"


class Freshness(StrEnum):
    """How old what we show is; separate from status."""

    NEVER = "never"
    STALE = "stale"
    ASLEEP = "asleep"
    LATE = "late"
    FRESH = "fresh"


class Role(StrEnum):
    """How a site counts in its place."""

    GENERATION = "generation"
    SAME_GENERATION = "same_generation"
    ADDITIONAL = "additional"


class SiteFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor says of a site. None means that this answer did not say, never that there is none.

    `address` holds the parts as the vendor has them (street, city, state, postal_code, country). `peak_power_kw` is
    DC kWp, `last_report_at` the vendor's own last word from the site (epoch seconds).
    """

    vendor_site_id: str
    name: str | None = None
    status: SiteStatus | None = None
    communication: Communication | None = None
    production: Production | None = None
    peak_power_kw: float | None = None
    timezone: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    address: dict[str, str] | None = None
    connection: str | None = None
    reference: str | None = None
    installed_on: str | None = None
    last_report_at: int | None = None
    last_energy_at: int | None = None


class DeviceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor says of a device. `parent` is the parent's vendor_device_id, `rated_w` its AC rating.

    `position` is the vendor's own drawing of where it lies, `x` and `y` in the vendor's units.
    """

    vendor_device_id: str
    device_type: DeviceType
    serial_number: str | None = None
    name: str | None = None
    model: str | None = None
    manufacturer: str | None = None
    part_number: str | None = None
    firmware: str | None = None
    status: DeviceStatus = DeviceStatus.UNKNOWN
    installed_on: str | None = None
    parent: str | None = None
    rated_w: float | None = None
    last_reported_at: int | None = None
    position: dict[str, float] | None = None


class AlertFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a vendor says of one alarm. `vendor_alert_id` names it for all its life; times are epoch seconds.

    `vendor_device_id` is empty for the site itself; `resolved_at` None means that it goes on, as far as is known.
    `silent` says that the alarm is about a site that is not heard of, which is no fault of its production.
    """

    vendor_alert_id: str
    code: str
    description: str
    severity: Severity
    timestamp: int
    vendor_device_id: str = ""
    resolved_at: int | None = None
    silent: bool = False


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One canonical value. `vendor_device_id` is empty for the site itself; `timestamp` the interval's start, UTC."""

    vendor_device_id: str
    metric_name: str
    interval_s: int
    timestamp: int
    value: float


class Span(msgspec.Struct, frozen=True):
    """A half-open stretch of time, epoch seconds UTC."""

    start: int
    end: int


LONGEST_ID: Final = 200


def is_id(text: str) -> bool:
    """Whether a text can be a vendor's id of a site or a device."""
    return 0 < len(text) <= LONGEST_ID and text.isprintable() and text == text.strip()


def settle_structs() -> None:
    """Have msgspec get to know every Struct of ours that has been imported, by the one thread that calls this.

    Two threads that decode a Struct at once for the first time crash the process (msgspec 0.22).
    """
    waiting = [msgspec.Struct]
    while waiting:
        struct = waiting.pop()
        waiting += struct.__subclasses__()
        if struct.__module__.startswith("sungaze."):
            # Some are never decoded, and name what only the type checker knows.
            with contextlib.suppress(NameError, TypeError):
                msgspec.json.Decoder(struct)
