"""Which vendors there are, and how one is served."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping

import sungaze.emulators as room
from sungaze.emulators._clock import Clock
from sungaze.emulators._server import Emulator
from sungaze.emulators._service import Service
from sungaze.emulators.world import World

NOT_VENDORS = frozenset({"commands", "faults", "world"})


def _services() -> dict[str, type[Service]]:
    for module in pkgutil.iter_modules(room.__path__):
        if not module.name.startswith("_") and module.name not in NOT_VENDORS:
            importlib.import_module(f"{room.__name__}.{module.name}")
    # A further dialect of a vendor lies in a private file: it is reached by the vendor's own service.
    public = (service for service in Service.__subclasses__() if "._" not in service.__module__)
    return dict(sorted((service.VENDOR, service) for service in public))


SERVICES: Mapping[str, type[Service]] = _services()
VENDORS: tuple[str, ...] = tuple(SERVICES)


def service_of(vendor: str) -> type[Service]:
    """Return a vendor's service; raises ValueError naming the vendors there are."""
    if vendor not in SERVICES:
        raise ValueError(f"unknown vendor {vendor!r}: choose from {', '.join(VENDORS)}")
    return SERVICES[vendor]


def serve(
    vendor: str,
    world: World,
    *,
    plan: str | None = None,
    dialect: str | None = None,
    faults: Mapping[str, float] | None = None,
    now: Callable[[], float] | None = None,
    port: int = 0,
) -> Emulator:
    """Return a running emulator of one vendor on 127.0.0.1; port 0 takes a free one.

    `now` gives the emulator's clock in epoch seconds (default: real); `faults` are rates 0..1 by name.
    Raises ValueError in a sentence for an unknown vendor, plan, dialect or fault, OSError for a taken port.
    """
    service = service_of(vendor)
    if dialect is not None and dialect not in service.DIALECTS:
        offered = ", ".join(service.DIALECTS) or "none"
        raise ValueError(f"{vendor} has no dialect {dialect!r} here: choose from {offered}")
    service = service.speaking(dialect)
    plan = service.DEFAULT_PLAN if plan is None else plan
    if plan not in service.PLANS:
        raise ValueError(f"unknown plan {plan!r} for {vendor}: choose from {', '.join(service.PLANS)}")
    return Emulator(service(world, plan, now or Clock(), faults or {}), port)
