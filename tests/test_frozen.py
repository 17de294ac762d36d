"""What the packed program does before anything else: the environment, and what killed runs left."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sungaze import frozen

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"LD_LIBRARY_PATH": "/tmp/_MEI1", "LD_LIBRARY_PATH_ORIG": "/opt/lib"}, {"LD_LIBRARY_PATH": "/opt/lib"}),
        ({"LD_LIBRARY_PATH": "/tmp/_MEI1", "LD_LIBRARY_PATH_ORIG": ""}, {}),
        ({"LD_LIBRARY_PATH": "/tmp/_MEI1", "HOME": "/home/a"}, {"HOME": "/home/a"}),
        ({"DYLD_LIBRARY_PATH": "/x", "LIBPATH": "/y", "LIBPATH_ORIG": "/z"}, {"LIBPATH": "/z"}),
    ],
)
def test_children_get_the_library_path_that_we_were_started_with(before: dict[str, str], after: dict[str, str]) -> None:
    frozen.restore_environment(before)
    assert before == after


def unpacked(place: Path, name: str, *, mark: bool = True, held: bool = True, age_s: float = 0) -> Path:
    """A folder as a start leaves it; `held` is whether it got as far as Python."""
    folder = place / f"_MEI{name}"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "one.so").write_bytes(b"\x7fELF")
    if mark:
        (folder / frozen.MARK).touch()
    if held:
        (folder / frozen.HELD).touch()
    os.utime(folder, (NOW - age_s, NOW - age_s))
    return folder


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    with (folder / frozen.HELD).open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def test_a_folder_that_a_killed_run_left_is_cleared(tmp_path: Path) -> None:
    own, left = unpacked(tmp_path, "own"), unpacked(tmp_path, "left")
    assert frozen.clear_leftovers(own, NOW) == [left]
    assert own.is_dir()
    assert not left.exists()


def test_a_folder_that_a_running_program_holds_is_left_alone(tmp_path: Path) -> None:
    own, running = unpacked(tmp_path, "own"), unpacked(tmp_path, "running", age_s=90_000)
    with in_use(running):
        assert frozen.clear_leftovers(own, NOW) == []
    assert frozen.clear_leftovers(own, NOW) == [running]


def test_a_folder_that_is_just_being_unpacked_is_left_alone_until_it_is_too_old_for_that(tmp_path: Path) -> None:
    own = unpacked(tmp_path, "own")
    starting = unpacked(tmp_path, "starting", held=False, age_s=frozen.STARTING_S - 1)
    killed = unpacked(tmp_path, "killed", held=False, age_s=frozen.STARTING_S + 1)
    assert frozen.clear_leftovers(own, NOW) == [killed]
    assert starting.is_dir()


def test_what_another_program_unpacked_a_link_and_a_file_are_left_alone(tmp_path: Path) -> None:
    own, foreign = unpacked(tmp_path / "tmp", "own"), unpacked(tmp_path / "tmp", "foreign", mark=False, age_s=90_000)
    precious = unpacked(tmp_path / "elsewhere", "precious")
    (tmp_path / "tmp" / "_MEIlink").symlink_to(precious)
    (tmp_path / "tmp" / "_MEIfile").touch()
    other = unpacked(tmp_path / "tmp", "x").rename(tmp_path / "tmp" / "other")
    assert frozen.clear_leftovers(own, NOW) == []
    assert foreign.is_dir()
    assert precious.is_dir()
    assert other.is_dir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_what_another_user_left_is_left_alone(tmp_path: Path) -> None:
    own, other = unpacked(tmp_path, "own"), unpacked(tmp_path, "other")
    os.chown(other, 65_534, 65_534)
    assert frozen.clear_leftovers(own, NOW) == []
    assert other.is_dir()


def test_a_folder_that_cannot_be_listed_is_no_error(tmp_path: Path) -> None:
    assert frozen.clear_leftovers(tmp_path / "gone" / "_MEIown", NOW) == []


def test_holding_lasts_until_the_process_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "_held", None)
    own, other = unpacked(tmp_path, "own", held=False), unpacked(tmp_path, "other")
    frozen.hold(own)
    assert frozen.clear_leftovers(other, NOW + 90_000) == []
    assert frozen._held is not None
    frozen._held.close()
    assert frozen.clear_leftovers(other, NOW + 90_000) == [own]


def test_on_windows_a_folder_in_use_cannot_be_renamed_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, old = unpacked(tmp_path, "own"), unpacked(tmp_path, "old", age_s=frozen.STARTING_S + 1)
    young = unpacked(tmp_path, "young", age_s=1)
    monkeypatch.setattr(sys, "platform", "win32")

    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "in use", str(self))

    with monkeypatch.context() as busy:
        busy.setattr(Path, "rename", refuse)
        assert frozen.clear_leftovers(own, NOW) == []
    assert frozen.clear_leftovers(own, NOW) == [old]
    assert young.is_dir()


def test_a_checkout_touches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    frozen.begin()
    assert os.environ["LD_LIBRARY_PATH"] == "/opt/lib"
    assert not frozen.is_frozen()


def test_the_packed_program_begins_by_holding_its_folder_and_clearing_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, left = unpacked(tmp_path, "own", held=False), unpacked(tmp_path, "left")
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "_MEIPASS", str(own), raising=False)
    monkeypatch.setattr(frozen, "_held", None)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(own))
    monkeypatch.setenv("LD_LIBRARY_PATH_ORIG", "/opt/lib")
    frozen.begin()
    assert os.environ["LD_LIBRARY_PATH"] == "/opt/lib"
    assert not left.exists()
    assert frozen._held is not None
    frozen._held.close()


def test_the_advice_on_a_missing_window_is_for_the_way_in_which_the_program_came(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "make setup" in frozen.window_advice()
    monkeypatch.setattr(frozen, "__file__", str(tmp_path / "frozen.py"))
    (tmp_path / "web").mkdir()
    assert "pip install" in frozen.window_advice()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert "apt-get install gir1.2-webkit2-4.1 gir1.2-gtk-3.0" in frozen.window_advice()
    assert "pip" not in frozen.window_advice()
