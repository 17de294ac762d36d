"""What is kept of the window, and what becomes of it on other screens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sungaze.desktop.state import (
    FILE,
    GRIP,
    MIN_HEIGHT,
    MIN_WIDTH,
    ZOOMS,
    Screen,
    WindowState,
    fitted,
    read_state,
    write_state,
    zoomed,
)

SCREEN = Screen(0, 0, 1920, 1080)
STATE = WindowState(width=900, height=700, x=100, y=50, maximised=True, zoom=1.25)


def test_what_was_written_is_read_again_and_leaves_no_other_file(tmp_path: Path) -> None:
    assert write_state(tmp_path, STATE)
    assert read_state(tmp_path) == STATE
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"width": "wide"}', b'{"width": -5}', b'{"zoom": 90}',
        b'{"zoom": NaN}', b'{"width": 1e30}', b"[" * 4000, b"x" * 100_000,
    ],
)  # fmt: skip
def test_a_damaged_file_counts_for_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert read_state(tmp_path) == WindowState()


def test_a_file_of_a_newer_version_gives_what_is_known_of_it(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({"width": 800, "height": 600, "colour": "blue"}))
    assert read_state(tmp_path) == WindowState(width=800, height=600)


def test_a_folder_that_is_not_there_is_no_trouble(tmp_path: Path) -> None:
    assert read_state(tmp_path / "gone") == WindowState()
    assert not write_state(tmp_path / "gone", STATE)


@pytest.mark.parametrize(
    ("changes", "screens", "wanted"),
    [
        ({}, [SCREEN], {}),
        ({"x": 2500}, [SCREEN], {"x": None, "y": None}),
        ({"x": 2500}, [SCREEN, Screen(1920, 0, 1280, 1024)], {}),
        ({"y": -20}, [SCREEN], {"x": None, "y": None}),
        ({"y": 1079}, [SCREEN], {"x": None, "y": None}),
        ({"x": -900 + GRIP}, [SCREEN], {}),
        ({"x": -899 + GRIP - 2}, [SCREEN], {"x": None, "y": None}),
        ({"width": 5000, "height": 4000}, [SCREEN], {"width": 1920, "height": 1080}),
        ({"width": 20, "height": 20}, [SCREEN], {"width": MIN_WIDTH, "height": MIN_HEIGHT}),
        ({}, [], {"x": None, "y": None}),
    ],
)
def test_a_window_opens_where_it_can_be_taken_hold_of(
    changes: dict[str, Any], screens: list[Screen], wanted: dict[str, Any]
) -> None:
    fields = {name: getattr(STATE, name) for name in STATE.__struct_fields__} | changes
    assert fitted(WindowState(**fields), screens) == WindowState(**(fields | wanted))


@given(st.integers(-9000, 9000), st.integers(-9000, 9000), st.integers(1, 9000), st.integers(1, 9000))
def test_a_place_that_is_kept_always_shows_a_part_of_the_top_edge(x: int, y: int, width: int, height: int) -> None:
    found = fitted(WindowState(width=width, height=height, x=x, y=y), [SCREEN])
    assert found.width <= SCREEN.width
    if found.x is not None and found.y is not None:
        assert 0 <= found.y < SCREEN.height
        assert -found.width < found.x < SCREEN.width


def test_zoom_goes_by_steps_and_stays_within_them() -> None:
    assert zoomed(1.0, 1) == 1.1
    assert zoomed(1.07, 1) == 1.25
    assert zoomed(2.0, 0) == 1.0
    assert zoomed(ZOOMS[-1], 1) == ZOOMS[-1]
    assert zoomed(ZOOMS[0], -1) == ZOOMS[0]
