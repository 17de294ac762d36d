"""Running emulators, scripted servers and doors for these tests, each closed at its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest
from vendor_doors import (
    ALIVE,
    ENPHASE_CREDENTIALS,
    NOON,
    SOLAREDGE_CREDENTIALS,
    Asked,
    Door,
    Hands,
    Scripted,
    scripted,
)

from sungaze.emulators import Emulator, World, serve
from sungaze.vendors import _session


@pytest.fixture(scope="session")
def world() -> World:
    return World(seed=1, sites=4, panels=12)


@pytest.fixture(scope="session")
def one_clock() -> Hands:
    return Hands()


@pytest.fixture
def clock(one_clock: Hands) -> Hands:
    one_clock.now = NOON
    return one_clock


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second attempt follows at once, so that no test waits."""
    monkeypatch.setattr(_session.random, "uniform", lambda low, high: 0.0)


@pytest.fixture(scope="session")
def running() -> Iterator[ExitStack]:
    with ExitStack() as emulators:
        yield emulators


@pytest.fixture(scope="session")
def shared(world: World, one_clock: Hands, running: ExitStack) -> Callable[[str, str | None], Emulator]:
    """Emulators of the one world, begun once each: stopping one takes longer than most tests."""

    @cache
    def begin(vendor: str, plan: str | None) -> Emulator:
        return running.enter_context(serve(vendor, world, plan=plan, now=one_clock))

    return begin


@pytest.fixture
def start(shared: Any, clock: Hands, running: ExitStack) -> Callable[..., Emulator]:
    """An emulator as if it had just begun; of another world it has."""

    def begin(
        vendor: str, *, plan: str | None = None, faults: dict[str, float] | None = None, world: World | None = None
    ) -> Emulator:
        if world is not None:
            return running.enter_context(serve(vendor, world, plan=plan, faults=faults, now=clock))
        emulator: Emulator = shared(vendor, plan)
        emulator.requests.clear()
        emulator.faults.clear()
        emulator.faults.update(faults or {})
        emulator.service._first_reads.clear()  # type: ignore[attr-defined]  # what the fault `late` has shown
        for period in ("minute", "month"):
            emulator.quota.preset(period, 0)
        return emulator

    return begin


@pytest.fixture
def opened() -> Iterator[Callable[[Door], Door]]:
    """Doors whose connections are closed at the end."""
    with ExitStack() as doors:
        yield lambda door: doors.enter_context(_closing(door))


class _closing:  # noqa: N801 - reads as contextlib.closing does
    def __init__(self, door: Door) -> None:
        self._door = door

    def __enter__(self) -> Door:
        return self._door

    def __exit__(self, *ending: object) -> None:
        self._door.client.close()


@pytest.fixture
def script() -> Iterator[Callable[[Callable[[Asked], Any]], Scripted]]:
    with ExitStack() as running:
        yield lambda answers: running.enter_context(scripted(answers))


@pytest.fixture
def enphase(script: Any, opened: Any, clock: Hands) -> Callable[..., tuple[Door, Scripted]]:
    """A door to a scripted Enphase, already logged in unless `memory` says otherwise."""

    def begin(answers: Callable[[Asked], Any], **options: Any) -> tuple[Door, Scripted]:
        server = script(answers)
        options.setdefault("memory", ALIVE)
        return opened(Door("enphase", server.url, ENPHASE_CREDENTIALS, clock, **options)), server

    return begin


@pytest.fixture
def solaredge(script: Any, opened: Any, clock: Hands) -> Callable[..., tuple[Door, Scripted]]:
    """A door to a scripted SolarEdge."""

    def begin(answers: Callable[[Asked], Any], **options: Any) -> tuple[Door, Scripted]:
        server = script(answers)
        credentials = SOLAREDGE_CREDENTIALS | options.pop("more", {})
        return opened(Door("solaredge", server.url, credentials, clock, **options)), server

    return begin
