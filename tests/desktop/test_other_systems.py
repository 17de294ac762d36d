"""What Windows and macOS are asked, as far as it can be told without them; and a Linux without a message bus."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sungaze.desktop import elsewhere, system
from sungaze.desktop.bridge import Bridge
from sungaze.desktop.state import WindowState, read_state, write_state


class Runs:
    """Takes the commands and answers each with success."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.environment: dict[str, str] = {}

    def __call__(self, command: list[str], environment: dict[str, str] | None = None, *, accepts: int = 0) -> bool:
        self.commands.append(command)
        self.environment = dict(environment or {})
        return True


HOSTILE = '"; display dialog "x'


def test_macos_gets_the_words_of_a_notification_as_arguments() -> None:
    run = Runs()
    assert system.Notifier(lambda: None, system="darwin", run=run).show("A new alarm", HOSTILE)
    (command,) = run.commands
    assert command[0] == "osascript"
    assert command[-2:] == ["A new alarm", HOSTILE]
    assert not any(HOSTILE in word for word in command[:-2])


def test_windows_gets_the_words_of_a_notification_by_the_environment() -> None:
    run = Runs()
    assert system.Notifier(lambda: None, system="win32", run=run).show("A new alarm", HOSTILE)
    (command,) = run.commands
    assert command[0] == "powershell"
    assert not any(HOSTILE in word for word in command)
    assert run.environment["SUNGAZE_TOAST_BODY"] == HOSTILE
    assert "SUNGAZE_TOAST_BODY" in command[-1]


@pytest.mark.parametrize(
    ("name", "of_a_file", "of_a_folder"),
    [
        ("darwin", ["open", "-R", "{}"], ["open", "{}"]),
        ("win32", ["explorer", "/select,{}"], ["explorer", "{}"]),
    ],
)
def test_a_file_is_shown_in_its_folder_and_a_folder_is_opened(
    tmp_path: Path, name: str, of_a_file: list[str], of_a_folder: list[str]
) -> None:
    run = Runs()
    file = tmp_path / "ä b.csv"
    file.touch()
    assert system.show_in_folder(file, system=name, run=run)
    assert system.show_in_folder(tmp_path, system=name, run=run)
    assert run.commands == [[word.format(file) for word in of_a_file], [word.format(tmp_path) for word in of_a_folder]]


@pytest.fixture
def no_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)


@pytest.mark.usefixtures("no_bus")
def test_linux_without_a_message_bus_shows_no_notification_and_opens_the_folder(tmp_path: Path) -> None:
    run = Runs()
    assert not system.Notifier(lambda: None, system="linux", run=run).show("a", "b")
    assert run.commands == []
    assert system.is_dark(system="linux", run=run) is None
    file = tmp_path / "a.csv"
    file.touch()
    assert system.show_in_folder(file, system="linux", run=run)
    assert run.commands == [["xdg-open", str(tmp_path)]]


def test_macos_is_asked_whether_it_is_dark() -> None:
    run = Runs()
    assert system.is_dark(system="darwin", run=run) is True
    assert system.is_dark(system="darwin", run=lambda *_, **__: False) is False
    assert "AppleInterfaceStyle" in run.commands[0][-1]


class Registry:
    """As Windows' `winreg`, with one value."""

    HKEY_CURRENT_USER = 1

    def __init__(self, light: int | None) -> None:
        self._light = light

    def OpenKey(self, _root: int, path: str) -> contextlib.AbstractContextManager[str]:  # noqa: N802 - its name
        if self._light is None:
            raise FileNotFoundError(path)
        return contextlib.nullcontext(path)

    def QueryValueEx(self, key: str, name: str) -> tuple[int | None, int]:  # noqa: N802 - its name
        assert (key.rpartition("\\")[2], name) == ("Personalize", "AppsUseLightTheme")
        return self._light, 4


@pytest.mark.parametrize(("light", "dark"), [(0, True), (1, False), (None, None)])
def test_windows_tells_by_its_registry_whether_it_is_dark(
    monkeypatch: pytest.MonkeyPatch, light: int | None, dark: bool | None
) -> None:
    monkeypatch.setitem(sys.modules, "winreg", Registry(light))  # type: ignore[arg-type]
    assert system.is_dark(system="win32") is dark


def test_a_program_that_is_missing_or_fails_is_no_error() -> None:
    assert not system.runs(["/no/such/program"])
    assert not system.runs(["false"])
    assert system.runs(["false"], accepts=1)
    assert system.runs(["true"])


class Event:
    """As pywebview's: `+=` adds who is called."""

    def __init__(self) -> None:
        self.called: list[Callable[..., Any]] = []

    def __iadd__(self, who: Callable[..., Any]) -> Event:
        self.called.append(who)
        return self

    def set(self, *values: Any) -> list[Any]:
        return [who(*values) for who in self.called]


class Window:
    """As pywebview's, where it is not GTK's."""

    def __init__(self) -> None:
        names = ("resized", "moved", "maximized", "restored", "closing")
        self.events = SimpleNamespace(**{name: Event() for name in names})
        self.asked: list[tuple[Any, dict[str, Any]]] = []
        self.chosen: Any = None
        self.title = ""

    def get_current_url(self) -> str:
        return "http://127.0.0.1:1/"

    def set_title(self, title: str) -> None:
        self.title = title

    def create_file_dialog(self, kind: str, **how: Any) -> Any:
        self.asked.append((kind, how))
        return self.chosen


@pytest.fixture
def window() -> Window:
    return Window()


@pytest.fixture
def bridge(window: Window, tmp_path: Path) -> Bridge:
    made = Bridge("http://127.0.0.1:1/", data_dir=tmp_path)
    webview = SimpleNamespace(FileDialog=SimpleNamespace(SAVE="save", OPEN="open"))
    elsewhere.prepare(webview, window, made, tmp_path, system="win32")
    return made


@pytest.mark.parametrize("chosen", ["C:/a.csv", ("C:/a.csv",), ["C:/a.csv"]])
def test_elsewhere_the_dialogs_are_pywebviews(bridge: Bridge, window: Window, chosen: Any) -> None:
    window.chosen = chosen
    assert bridge.window.ask_save("a.csv") == Path("C:/a.csv")
    assert bridge.window.ask_open("Sheets", ("csv", "txt")) == Path("C:/a.csv")
    assert window.asked == [
        ("save", {"save_filename": "a.csv"}),
        ("open", {"file_types": ("Sheets (*.csv;*.txt)", "All (*.*)")}),
    ]
    window.chosen = None
    assert bridge.window.ask_save("a.csv") is None
    assert bridge.call("app_info")["webview"] == "WebView2"
    assert bridge.call("set_title", "(1) Sungaze") == {"title": window.title}


def test_elsewhere_the_filters_are_ones_that_pywebview_takes(bridge: Bridge, window: Window) -> None:
    util = pytest.importorskip("webview.util")
    bridge.window.ask_open("Sheets", ("csv", "txt"))
    for kind in window.asked[0][1]["file_types"]:
        assert util.parse_file_type(kind)


def test_elsewhere_the_place_is_kept_as_the_window_closes(bridge: Bridge, window: Window, tmp_path: Path) -> None:
    window.events.resized.set(900.0, 700.0)
    window.events.moved.set(20, 30)
    window.events.maximized.set()
    window.events.resized.set(1920, 1080)
    window.events.moved.set(-32_000, -32_000)
    assert window.events.closing.set() == [None]
    assert read_state(tmp_path) == WindowState(width=900, height=700, x=20, y=30, maximised=True)


def test_elsewhere_what_cannot_be_is_not_kept(bridge: Bridge, window: Window, tmp_path: Path) -> None:
    window.events.resized.set(0, 0)
    window.events.closing.set()
    assert read_state(tmp_path) == WindowState()


def test_what_a_full_disk_does_not_take_keeps_no_window_open(bridge: Bridge, window: Window, tmp_path: Path) -> None:
    write_state(tmp_path, WindowState())
    (tmp_path / "window.json").unlink()
    (tmp_path / "window.json").mkdir()
    assert window.events.closing.set() == [None]
