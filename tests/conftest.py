"""What holds for every test: hypothesis keeps its notes under out/ like every other tool."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis.configuration import set_hypothesis_home_dir

set_hypothesis_home_dir(Path(__file__).parents[1] / "out" / "cache" / "hypothesis")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that at the end no worker waits for another one's long file."""
    slow = {item.path for item in items if any(item.get_closest_marker(name) for name in ("slow", "browser", "window"))}
    items.sort(key=lambda item: item.path not in slow)
