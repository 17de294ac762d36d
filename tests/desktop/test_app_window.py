"""Sungaze's own pages in its own window: every function of the bridge, and the window's manners."""

from __future__ import annotations

import json
import os
import queue
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from program import TOP

pytestmark = pytest.mark.window

PROGRAM = Path(__file__).with_name("app_program.py")
SERVICES = Path(__file__).with_name("bus_program.py")
PATIENCE_S = 30
STOP_S = 6
"""Five seconds, and what the process takes to go."""


class Lines:
    """A process and the lines that it says; `say` gives it one."""

    def __init__(self, command: list[str], environment: dict[str, str], **more: Any) -> None:
        self.process = subprocess.Popen(
            command, env=environment, cwd=TOP, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._unheard: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line.strip())

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hears(self, start: str, patience_s: float = PATIENCE_S) -> str:
        """What follows the next line that begins so; others wait to be asked for. Raises queue.Empty."""
        while True:
            found = next((line for line in self._unheard if line.startswith(start)), None)
            if found is not None:
                self._unheard.remove(found)
                return found[len(start) :].strip()
            self._unheard.append(self._lines.get(timeout=patience_s))

    def ask(self, line: str, answer: str) -> str:
        self.say(line)
        return self.hears(answer)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()


class App(Lines):
    """A running Sungaze with its window."""

    def __init__(self, folder: Path, environment: dict[str, str], *options: str) -> None:
        self.folder = folder
        self._asked = 0
        self.log = folder.with_name(f"{folder.name}.log").open("a+")
        command = [sys.executable, str(PROGRAM), "--data-dir", str(folder), *options]
        super().__init__(command, environment, stderr=self.log)

    def js(self, body: str) -> Any:
        """What the body of an async function answers in the page."""
        return json.loads(self.hears(self._ask(body)))

    def _ask(self, body: str) -> str:
        self._asked += 1
        self.say(f"js {self._asked} {' '.join(body.split())}")
        return f"js {self._asked} "

    def until(self, body: str, good: Callable[[Any], bool] = bool) -> Any:
        """Ask the page until the answer is good."""
        deadline = time.monotonic() + PATIENCE_S
        while not good(answer := self.js(body)):
            assert time.monotonic() < deadline, f"{body}: {answer}\n{self.said()}"
            time.sleep(0.05)
        return answer

    def until_page(self, body: str, good: Callable[[Any], bool]) -> Any:
        """The same while the window itself is on its way: a command before it is there is lost."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                answer = json.loads(self.hears(self._ask(body), 0.3))
            except queue.Empty:
                continue
            if good(answer):
                return answer
        raise AssertionError(self.said())

    def is_open(self) -> App:
        """Once the fleet's page is there, with its bridge."""
        deadline = time.monotonic() + PATIENCE_S
        while not (self.folder / "lock").exists() or "address" not in (self.folder / "lock").read_text():
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        there = "return !!(window.pywebview?.api?.app_info && document.querySelector('main h1'))"
        self.until_page(there, lambda is_: is_ is True)
        return self

    def bridge(self, function: str, *given: Any) -> Any:
        return self.js(f"return await window.pywebview.api.{function}(...{json.dumps(given)})")

    def measure(self) -> dict[str, Any]:
        found = re.match(
            r"\((\d+), (\d+)\) \((-?\d+), (-?\d+)\) (\S+) (\[.*?\]) (\w+) (.*)", self.ask("measure", "measured ")
        )
        assert found
        return {
            "size": (int(found[1]), int(found[2])), "place": (int(found[3]), int(found[4])), "zoom": float(found[5]),
            "state": found[6], "active": found[7] == "True", "title": found[8],
        }  # fmt: skip

    def measures(self, **wanted: Any) -> None:
        """Wait until the window is so."""
        deadline = time.monotonic() + PATIENCE_S
        while any((found := self.measure())[name] != value for name, value in wanted.items()):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    def page_processes(self) -> list[int]:
        """The processes that draw its pages."""
        found = []
        for folder in Path("/proc").iterdir():
            try:
                status = (folder / "status").read_text() if folder.name.isdigit() else ""
            except OSError:
                continue
            if (
                "Name:\tWebKitWebProces" in status
                and f"PPid:\t{self.process.pid}\n" in status
                and "(zombie)" not in status
            ):
                found.append(int(folder.name))
        return found

    def crash(self) -> None:
        """Kill the page's process, and wait until the window knows."""
        (page,) = self.page_processes()
        os.kill(page, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_S
        while page in self.page_processes() or not self.page_processes():
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)

    def ends_with(self) -> int:
        return self.process.wait(STOP_S)

    def said(self) -> str:
        self.log.flush()
        return Path(self.log.name).read_text()

    def end(self) -> None:
        super().end()
        self.log.close()


@pytest.fixture
def services(environment: dict[str, str]) -> Iterator[Callable[[int], Lines]]:
    """A message bus of our own with a desktop's services on it; the window is told of it by the environment."""
    daemon = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address"], stdout=subprocess.PIPE, text=True
    )
    assert daemon.stdout
    environment["DBUS_SESSION_BUS_ADDRESS"] = daemon.stdout.readline().strip()
    running: list[Lines] = []

    def begin(scheme: int) -> Lines:
        running.append(Lines([sys.executable, str(SERVICES), str(scheme)], environment))
        assert running[-1].hears('["ready"') == "]"
        return running[-1]

    yield begin
    for one in running:
        one.end()
    daemon.terminate()
    daemon.wait(STOP_S)
    daemon.stdout.close()


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Starts Sungaze with an empty data folder, or with the same one again."""
    running: list[App] = []
    home = tmp_path / "home"
    home.mkdir()

    def begin(*options: str, **more: str) -> App:
        kept = {name: value for name, value in environment.items() if not name.startswith(("SUNGAZE_", "XDG_"))}
        running.append(App(tmp_path / "data", kept | {"HOME": str(home)} | more, *options))
        return running[-1]

    yield begin
    for one in running:
        one.end()


def test_every_function_of_the_bridge_answers_the_page(
    start: Callable[..., App], services: Callable[[int], Lines], tmp_path: Path
) -> None:
    desktop = services(2)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" >>{tmp_path}/links\n')
    browser.chmod(0o755)
    app = start(BROWSER=str(browser)).is_open()

    info = app.bridge("app_info")
    assert info["data_dir"] == str(app.folder)
    assert info["webview"].startswith("WebKitGTK 2.")
    assert "No account's credentials are kept yet" in app.bridge("secret_store_state")["said"]
    assert app.bridge("open_external", "https://example.test/x") == {"opened": "https://example.test/x"}
    assert (tmp_path / "links").read_text() == "https://example.test/x\n"

    assert app.bridge("set_title", "(3) Sungaze") == {"title": "(3) Sungaze"}
    app.measures(title="(3) Sungaze")
    assert set(app.bridge("set_title", "a\nb")) == {"error"}

    target = tmp_path / "Anlagen Süd.csv"
    app.say(f"answer {target}")
    saved = app.bridge("save_file", "/api/places/export", "other.csv")
    assert app.hears("dialog ") == "save sungaze-places.csv"
    assert saved == {"saved": str(target), "name": target.name}
    assert target.read_bytes().startswith(b"\xef\xbb\xbf")
    assert sorted(path.name for path in tmp_path.glob("*.part")) == []
    app.say("answer")
    assert app.bridge("save_file", "/api/places/export", "") == {"cancelled": True}
    assert app.bridge("save_file", "/api/sites/77", "") == {"error": "There is no such site."}
    for path in ("/../etc/passwd", "https://example.test/api/x", "/api/a b", "//example.test/api/", 7):
        assert set(app.bridge("save_file", path, "x.csv")) == {"error"}

    picture = app.js("""const c = document.createElement('canvas'); c.width = 20; c.height = 10;
        return c.toDataURL('image/png').split(',')[1]""")
    app.say(f"answer {tmp_path / 'a.png'}")
    assert app.bridge("save_picture", picture, "a.png")["name"] == "a.png"
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert set(app.bridge("save_picture", "bm90IGEgcGljdHVyZQ==", "a.png")) == {"error"}

    sheet = tmp_path / "sheet.csv"
    sheet.write_bytes(b"place;customer\nA;B\xe9\n")
    app.say(f"answer {sheet}")
    assert app.bridge("open_file", "sheet") == {
        "name": "sheet.csv", "size": 20, "content": "cGxhY2U7Y3VzdG9tZXIKQTtC6Qo=",
    }  # fmt: skip
    assert set(app.bridge("open_file", "password")) == {"error"}

    assert app.bridge("reveal", str(target)) == {"revealed": str(target)}
    assert json.loads(desktop.hears('["ShowItems", ')[:-1]) == [target.as_uri()]
    assert app.bridge("reveal", str(app.folder)) == {"revealed": str(app.folder)}
    assert json.loads(desktop.hears('["ShowFolders", ')[:-1]) == [app.folder.as_uri()]
    assert set(app.bridge("reveal", "/etc")) == {"error"}

    assert app.bridge("notify", "2 new alarms", "Barn & roof: off") == {"notified": True}
    assert json.loads("[" + desktop.hears('["notify", ')) == [0, "2 new alarms", "Barn &amp; roof: off"]
    app.ask("cover", "covered")
    app.measures(active=False)
    assert app.bridge("notify", "A new alarm", "click me") == {"notified": True}
    assert json.loads("[" + desktop.hears('["notify", ')) == [7, "A new alarm", "click me"]
    app.measures(active=True)
    assert set(app.bridge("notify", "", "x")) == {"error"}
    assert set(app.bridge("notify")) == {"error"}
    assert "Traceback" not in app.said()
    assert "EvalError" not in app.said()


def test_a_download_of_the_page_is_saved_by_the_window_and_can_be_shown(
    start: Callable[..., App], services: Callable[[int], Lines], tmp_path: Path
) -> None:
    desktop = services(2)
    app = start().is_open()
    app.js("location.hash = '#/places'")
    app.say(f"answer {tmp_path / 'places.csv'}")
    app.until("const a = document.querySelector('a[download]'); a?.click(); return !!a")
    app.until("return [...document.querySelectorAll('button')].some((b) => b.textContent === 'Show in folder')")
    assert "places.csv is saved." in app.js("return document.body.innerText")
    app.js("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Show in folder').click()")
    assert json.loads(desktop.hears('["ShowItems", ')[:-1]) == [(tmp_path / "places.csv").as_uri()]


def test_a_second_start_brings_the_first_to_the_front(start: Callable[..., App]) -> None:
    first = start().is_open()
    first.ask("cover", "covered")
    first.measures(active=False)
    second = start()
    assert second.process.wait(PATIENCE_S) == 0
    first.measures(active=True)
    assert "its window is in front now" in second.said()


def test_only_the_lock_files_secret_brings_the_window_to_the_front(start: Callable[..., App]) -> None:
    app = start(SUNGAZE_TOKEN="a-token-of-16-or-more").is_open()
    owner = json.loads((app.folder / "lock").read_text())
    ask = f"{owner['address']}/api/window/present"
    for secret, status in ((owner["secret"], 200), ("a-token-of-16-or-more", 403), ("wrong", 401)):
        answer = httpx.post(ask, headers={"Authorization": f"Bearer {secret}"}, trust_env=False)
        assert answer.status_code == status
    assert app.js("return (await fetch('/api/window/present', { method: 'POST' })).status") == 403


def test_size_place_zoom_and_maximised_are_there_again_at_the_next_start(start: Callable[..., App]) -> None:
    app = start().is_open()
    app.ask("resize 900 620 140 90", "resized")
    app.say("key ctrl+plus")
    app.measures(size=(900, 620), place=(140, 90), zoom=1.1)
    app.say("key ctrl+q")
    assert app.ends_with() == 0
    kept = json.loads((app.folder / "window.json").read_text())
    assert kept == {"width": 900, "height": 620, "x": 140, "y": 90, "maximised": False, "zoom": 1.1}
    again = start().is_open()
    again.measures(size=(900, 620), place=(140, 90), zoom=1.1)


def test_the_keys_zoom_fill_the_screen_and_show_the_page_anew_where_it_is(start: Callable[..., App]) -> None:
    app = start().is_open()
    app.js("location.hash = '#/alerts'; window.before = 1")
    app.say("key ctrl+minus")
    app.measures(zoom=0.9)
    app.say("key ctrl+0")
    app.measures(zoom=1.0)
    for key in ("F5", "ctrl+r"):
        app.js("window.before = 1")
        app.say(f"key {key}")
        app.until("return window.before === undefined && !!window.pywebview?.api?.app_info", lambda is_: is_ is True)
        assert app.js("return location.hash") == "#/alerts"
    app.say("key F11")
    app.say("key ctrl+w")
    assert app.ends_with() == 0
    assert "Traceback" not in app.said()


def test_a_page_whose_process_was_killed_comes_back_where_it_was(start: Callable[..., App]) -> None:
    app = start().is_open()
    app.js("location.hash = '#/settings'")
    app.until("return document.querySelector('main h1')?.textContent === 'Settings'")
    for _ in range(2):
        app.crash()
        app.until("return document.querySelector('main h1')?.textContent === 'Settings'", lambda is_: is_ is True)
        app.until("return !!window.pywebview?.api?.app_info", lambda is_: is_ is True)
    app.crash()
    app.until("return document.body.innerText", lambda text: "three times" in str(text))
    assert app.js("return typeof window.pywebview?.api?.app_info") == "undefined"
    app.say("key ctrl+r")
    app.until("return document.querySelector('main h1')?.textContent === 'Settings'", lambda is_: is_ is True)


def test_the_title_tells_how_many_sites_need_the_user_and_the_menu_leads_to_about(start: Callable[..., App]) -> None:
    app = start().is_open()
    app.measures(title="Sungaze")
    app.say("act about")
    app.until("return location.hash === '#/about'")
    text = app.until("return document.body.innerText", lambda text: "WebKitGTK" in str(text))
    assert str(app.folder) in text


def test_a_start_that_takes_long_says_what_it_does_and_goes_to_the_fleet(
    start: Callable[..., App], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    held = sqlite3.connect(tmp_path / "data" / "sungaze.db", isolation_level=None)
    try:
        held.execute("BEGIN EXCLUSIVE")
        app = start()
        app.until_page("return document.body.innerText", lambda text: "Opening your data." in str(text))
    finally:
        held.rollback()
        held.close()
    app.is_open()
    assert app.js("return location.hash") == "#/"


def test_a_start_that_fails_late_says_so_in_the_window_and_ends_with_2(
    start: Callable[..., App], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    held = sqlite3.connect(tmp_path / "data" / "sungaze.db", isolation_level=None)
    try:
        held.execute("BEGIN EXCLUSIVE")
        app = start()
        app.until_page("return document.body.innerText", lambda text: "held by another program" in str(text))
    finally:
        held.rollback()
        held.close()
    app.say("key ctrl+q")
    assert app.ends_with() == 2
    assert "held by another program" in app.said()


def test_the_page_and_its_ground_are_dark_where_the_system_is(
    start: Callable[..., App], services: Callable[[int], Lines]
) -> None:
    desktop = services(1)
    app = start().is_open()
    assert app.ask("ground", "ground ") == "rgb(14,17,22)"
    assert app.js("return matchMedia('(prefers-color-scheme: dark)').matches") is True
    assert app.js("return document.documentElement.dataset.theme") == "dark"
    desktop.say("2")
    app.until("return document.documentElement.dataset.theme === 'light'", lambda is_: is_ is True)
    assert app.ask("ground", "ground ") == "rgb(246,247,249)"


def test_a_screen_of_double_density_is_drawn_twice_as_fine(start: Callable[..., App]) -> None:
    app = start(GDK_SCALE="2").is_open()
    assert app.js("return devicePixelRatio") == 2


def test_closing_while_a_dialog_is_open_ends_within_five_seconds(start: Callable[..., App]) -> None:
    app = start().is_open()
    app.js("void window.pywebview.api.save_file('/api/places/export', '')")
    deadline = time.monotonic() + PATIENCE_S
    while app.ask("dialogs", "dialogs ") != "1":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    app.process.send_signal(signal.SIGTERM)
    assert app.ends_with() == 0
    assert "Traceback" not in app.said()
