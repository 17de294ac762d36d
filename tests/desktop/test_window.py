"""A real window under Xvfb onto a page served here, with the policy that the window's own session gets."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("window_program.py")
POLICY = "default-src 'self'; script-src 'self' 'unsafe-eval'"
START_S = 30
STOP_S = 5

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Test</title>
<link rel="stylesheet" href="/style.css"><script src="/script.js"></script>
<h1>Sungaze's window</h1><p id="said">waiting for the bridge</p>
<a href="/" target="_blank">a link out of here</a></html>"""

STYLE = """body { font: 20px sans-serif; margin: 3em }
a { position: fixed; inset: 200px auto auto 0; width: 400px; height: 200px; background: #f6ad3c }"""

SCRIPT = """
const tell = (what, value) => fetch('/tell', { method: 'POST', body: JSON.stringify([what, value]) });
addEventListener('pywebviewready', async () => {
  const api = window.pywebview.api;
  const cookie = await (await fetch('/cookie', { method: 'POST' })).text();
  await tell('cookie', [cookie, await (await fetch('/cookie')).text()]);
  await tell('info', await api.app_info());
  await tell('refused', await api.open_external('file:///etc/passwd'));
  await tell('opened', await api.open_external('https://example.test/'));
  let stored = null;
  try {
    localStorage.setItem('a', 'b');
    stored = localStorage.getItem('a');
  } catch (error) {
    stored = String(error);
  }
  await tell('stored', stored);
  document.getElementById('said').textContent = JSON.stringify(await api.app_info());
  const link = document.querySelector('a');
  link.href = new URLSearchParams(location.search).get('link') ?? '/';
  // Two frames on, what is told here can be seen.
  await new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)));
  await tell('end', null);
  if (location.search === '?leave') {
    window.open('file:///etc/passwd');
    window.open('https://example.test/unasked');
    location.href = 'http://localhost:' + location.port + '/elsewhere';
    setTimeout(() => tell('still here', location.href), 500);
  }
  if (location.search === '?busy') for (;;) await api.app_info();
});
"""


class Pages(ThreadingHTTPServer):
    """The page, and what it told."""

    daemon_threads = True

    def __init__(self) -> None:
        self.told: queue.Queue[list[Any]] = queue.Queue()
        self.seen: list[str] = []
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_port}/"

    def handle_error(self, *_: Any) -> None:
        """A page that goes away leaves its requests behind."""

    def told_until_end(self) -> dict[str, Any]:
        """Everything that the page told before it said `end`."""
        heard = {}
        while True:
            what, value = self.told.get(timeout=START_S)
            if what == "end":
                return heard
            heard[what] = value


class _Answer(BaseHTTPRequestHandler):
    server: Pages

    def do_GET(self) -> None:
        self.server.seen.append(self.path)
        kinds = {
            "/style.css": ("text/css", STYLE),
            "/script.js": ("text/javascript", SCRIPT),
        }
        if self.path == "/cookie":
            self._send("text/plain", self.headers.get("Cookie", "none"))
        else:
            self._send(*kinds.get(self.path, ("text/html", PAGE)))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/tell":
            what, value = json.loads(body)
            self.server.told.put([what, value])
        self._send("text/plain", "set", cookie=self.path == "/cookie")

    def _send(self, kind: str, text: str, *, cookie: bool = False) -> None:
        data = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", POLICY)
        if cookie:
            self.send_header("Set-Cookie", "session=s3cret; HttpOnly; SameSite=Strict; Path=/")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None: ...


class Window:
    """The process with the window, and the lines that it said."""

    def __init__(self, url: str, links: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), url, str(links)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=TOP,
        )  # fmt: skip
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.lines.put(line.strip())

    def say(self, command: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def hears(self, word: str) -> None:
        """Wait for a line."""
        while self.lines.get(timeout=START_S) != word:
            pass

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    def ends_with(self) -> int:
        """The exit code; fails when it takes longer than stopping may."""
        return self._process.wait(STOP_S)

    def clear_away(self) -> None:
        """End whatever is left of it."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()


@pytest.fixture
def pages() -> Iterator[Pages]:
    server = Pages()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def open_at(environment: dict[str, str], tmp_path: Path) -> Iterator[Any]:
    windows = []

    def opener(url: str) -> Window:
        windows.append(Window(url, tmp_path / "links", environment))
        return windows[-1]

    yield opener
    for window in windows:
        window.clear_away()


def processes_on(display: str) -> list[str]:
    """The command lines of all processes, but Xvfb, that were started for this screen."""
    mark = f"DISPLAY={display}\0".encode()
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and mark in (folder / "environ").read_bytes() + b"\0":
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return [line for line in found if line]


def gone_within(display: str, seconds: float) -> list[str]:
    """What is still there after so long; WebKit's helpers notice the end of their parent a moment later."""
    deadline = time.monotonic() + seconds
    while (left := processes_on(display)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


@pytest.mark.window
def test_the_page_talks_to_the_bridge_under_a_strict_policy(
    pages: Pages, open_at: Any, display: str, tmp_path: Path
) -> None:
    window = open_at(pages.url + "#key=once")
    heard = pages.told_until_end()
    window.hears("ready")
    assert heard["info"]["webview"].startswith("WebKitGTK 2.")
    assert heard["info"]["data_dir"] == "/data"
    assert set(heard["refused"]) == {"error"}
    assert heard["opened"] == {"opened": "https://example.test/"}
    assert heard["cookie"][1] == "session=s3cret"
    assert heard["stored"] == "b"
    assert (tmp_path / "links").read_text() == "https://example.test/\n"

    shots = TOP / "out" / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    window.say(f"shot {shots / 'window.png'}")
    window.hears("shot")
    assert (shots / "window.png").stat().st_size > 1000

    window.say("close")
    window.hears("closed")
    assert window.ends_with() == 0
    assert gone_within(display, STOP_S) == []


@pytest.mark.window
def test_a_signal_closes_the_window_and_leaves_no_process(pages: Pages, open_at: Any, display: str) -> None:
    window = open_at(pages.url)
    pages.told_until_end()
    window.terminate()
    window.hears("closed")
    assert window.ends_with() == 0
    assert gone_within(display, STOP_S) == []


@pytest.mark.window
def test_a_page_that_never_stops_asking_does_not_keep_the_process_alive(
    pages: Pages, open_at: Any, display: str
) -> None:
    window = open_at(pages.url + "?busy")
    pages.told_until_end()
    window.say("close")
    assert window.ends_with() == 0
    assert gone_within(display, STOP_S) == []


@pytest.mark.window
@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.3, 0.4, 0.5, 0.7])
def test_a_signal_at_any_moment_of_the_start_ends_it_as_well(
    pages: Pages, open_at: Any, display: str, after_s: float
) -> None:
    window = open_at(pages.url)
    window.hears("started")
    time.sleep(after_s)
    window.terminate()
    window.hears("closed")
    assert window.ends_with() == 0
    assert gone_within(display, STOP_S) == []


@pytest.mark.window
def test_the_window_stays_on_its_own_origin(pages: Pages, open_at: Any, tmp_path: Path) -> None:
    window = open_at(pages.url + "?leave")
    pages.told_until_end()
    assert pages.told.get(timeout=START_S) == ["still here", pages.url + "?leave"]
    assert "/elsewhere" not in pages.seen
    assert (tmp_path / "links").read_text() == "https://example.test/\n"
    window.say("close")
    assert window.ends_with() == 0


@pytest.mark.window
def test_a_clicked_link_to_elsewhere_goes_to_the_browser(pages: Pages, open_at: Any) -> None:
    window = open_at(pages.url + "?link=https://enphase.com/legal")
    pages.told_until_end()
    window.say("click 100 250")
    window.hears("link https://enphase.com/legal")


@pytest.mark.window
def test_a_clicked_link_into_sungaze_stays_in_the_window(pages: Pages, open_at: Any) -> None:
    window = open_at(pages.url + "?link=/again")
    pages.told_until_end()
    window.say("click 100 250")
    assert pages.told_until_end()["info"]["data_dir"] == "/data"
    assert "/again" in pages.seen


def run_without_display(**more: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name not in {"DISPLAY", "WAYLAND_DISPLAY"}}
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "http://127.0.0.1:9/", "/dev/null"],
        env=kept | more, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_S,
        check=True,
    )  # fmt: skip
    return done.stdout


def test_no_display_is_said_in_a_sentence_with_what_to_do() -> None:
    said = run_without_display()
    assert "unavailable There is no display here." in said
    assert "--server" in said


@pytest.mark.window
def test_a_display_that_does_not_answer_is_said_too() -> None:
    assert "unavailable The display cannot be reached." in run_without_display(DISPLAY=":9999")
