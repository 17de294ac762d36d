"""Fixtures: a clock's hands, and spines that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from spine import Hands, Spine

from sungaze.emulators import World, serve


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def spine(tmp_path: Path, clock: Hands) -> Iterator[Callable[..., Spine]]:
    """Begins a spine over the vendors named, with `sites` and `panels` and the options of `serve`."""
    running: list[Any] = []

    def begin(*vendors: str, sites: int = 4, panels: int = 6, seed: int = 1, **options: Any) -> Spine:
        plans = {"enphase": "partner", "solaredge": "paid", "tigo": "premium", "generac": "dashboard"}
        emulators = {
            vendor: serve(vendor, World(seed, sites, panels), now=clock, **({"plan": plans[vendor]} | options))
            for vendor in vendors
        }
        folder = tmp_path / f"spine{len(running)}"
        folder.mkdir()
        made = Spine(folder, clock, emulators)
        running.extend([made, *emulators.values()])
        return made

    yield begin
    for part in running:
        part.close() if isinstance(part, Spine) else part.stop()
