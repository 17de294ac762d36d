"""What the tests of Generac's emulator share: one that runs for the whole file, as if it had just begun each time."""

from __future__ import annotations

from typing import Any

import pytest
from emulating import NOON, Hands

from sungaze.emulators import serve


@pytest.fixture(scope="module")
def served(world: Any) -> Any:
    hands = Hands()
    with serve("generac", world, now=hands) as emulator:
        yield emulator, hands


@pytest.fixture
def clock(served: Any) -> Any:
    served[1].now = NOON
    return served[1]


@pytest.fixture
def emulator(served: Any, clock: Any) -> Any:
    served[0].faults.clear()
    served[0].requests.clear()
    served[0].service.begin_anew()
    return served[0]
