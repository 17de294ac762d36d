"""The bridge as it is declared: both sides equal, arguments checked, files saved whole or not at all."""

from __future__ import annotations

import base64
import runpy
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from program import TOP

from sungaze.desktop.bridge import Bridge, file_name
from sungaze.desktop.contract import FUNCTIONS, MAX_OPENED_BYTES

TOKEN = "the-owners-token"
PATIENCE_S = 10


def test_the_types_of_the_page_are_the_ones_that_the_declaration_gives() -> None:
    written = runpy.run_path(str(TOP / "build" / "bridge_types.py"))["typescript"]()
    kept = (TOP / "web" / "src" / "lib" / "bridge.gen.ts").read_text()
    assert kept == written, "type: .venv/bin/python build/bridge_types.py"


class Server(ThreadingHTTPServer):
    """Our own API, as far as files are saved from it."""

    daemon_threads = True

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begun = threading.Event()
        self.tokens: list[str | None] = []
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}/#key=once"

    def handle_error(self, *_: Any) -> None:
        """Whoever saves may go away in the middle."""


class Answer(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.tokens.append(self.headers.get("Authorization"))
        if self.path == "/api/refused":
            self._send(404, b'{"detail": "There is no such site."}')
        elif self.path == "/api/odd":
            self._send(500, b"<html>")
        elif self.path == "/api/broken":
            self._send(200, b"only a part", length=1000)
        elif self.path == "/api/slow":
            self._send(200, b"x" * 300_000, length=600_000)
            self.wfile.flush()
            self.server.begun.set()
            self.server.go_on.wait(PATIENCE_S)
            self.wfile.write(b"x" * 300_000)
        else:
            self._send(200, b"a,b\n1,2\n", **{"Content-Disposition": 'attachment; filename="../up/sungaze-a.csv"'})

    def _send(self, status: int, body: bytes, *, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield running
    running.go_on.set()
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def bridge(server: Server, tmp_path: Path) -> Bridge:
    made = Bridge(server.url, data_dir=tmp_path, token=lambda: TOKEN, show=lambda _: True)
    made.window.current_url = lambda: server.url
    return made


@pytest.fixture
def into(bridge: Bridge) -> Callable[[Path | None], list[str]]:
    """Chooses a path in the next dialog; the answer gathers the names that were proposed."""

    def choose(path: Path | None) -> list[str]:
        proposed: list[str] = []

        def ask(name: str) -> Path | None:
            proposed.append(name)
            return path

        bridge.window.ask_save = ask
        return proposed

    return choose


def test_a_file_is_saved_whole_with_the_owners_token_under_the_name_that_the_server_gives(
    bridge: Bridge, server: Server, into: Callable[[Path | None], list[str]], tmp_path: Path
) -> None:
    target = tmp_path / "mine.csv"
    target.write_text("what was there")
    proposed = into(target)
    assert bridge.call("save_file", "/api/export?site=3", "page.csv") == {"saved": str(target), "name": "mine.csv"}
    assert target.read_text() == "a,b\n1,2\n"
    assert proposed == ["sungaze-a.csv"]
    assert set(server.tokens) == {f"Bearer {TOKEN}"}
    assert bridge.call("reveal", str(target)) == {"revealed": str(target)}
    target.unlink()
    assert "not there any more" in bridge.call("reveal", str(target))["error"]


@pytest.mark.parametrize(
    ("path", "words"),
    [("/api/refused", "There is no such site."), ("/api/odd", "Sungaze answered 500."), ("/api/broken", "broke off")],
)
def test_what_the_server_does_not_give_whole_is_said_and_changes_nothing(
    bridge: Bridge, into: Callable[[Path | None], list[str]], tmp_path: Path, path: str, words: str
) -> None:
    target = tmp_path / "mine.csv"
    target.write_text("what was there")
    into(target)
    assert words in bridge.call("save_file", path, "")["error"]
    assert target.read_text() == "what was there"
    assert list(tmp_path.iterdir()) == [target]


def test_a_server_that_is_gone_is_a_sentence(bridge: Bridge, server: Server) -> None:
    bridge.bind("http://127.0.0.1:9/")
    bridge.window.current_url = lambda: "http://127.0.0.1:9/"
    assert "did not answer" in bridge.call("save_file", "/api/export", "")["error"]


def test_a_folder_that_is_not_there_or_a_full_disk_is_a_sentence(
    bridge: Bridge, into: Callable[[Path | None], list[str]], tmp_path: Path
) -> None:
    into(tmp_path / "gone" / "a.csv")
    assert "could not be written" in bridge.call("save_file", "/api/export", "")["error"]
    # A folder of this kind takes no file by that name: the same as one that may not be written to.
    into(Path("/proc/a.csv"))
    assert set(bridge.call("save_file", "/api/export", "")) == {"error"}


def test_closing_ends_what_is_being_saved_and_leaves_nothing_half(
    bridge: Bridge, server: Server, into: Callable[[Path | None], list[str]], tmp_path: Path
) -> None:
    target = tmp_path / "a.csv"
    into(target)
    answers: list[Any] = []
    saving = threading.Thread(target=lambda: answers.append(bridge.call("save_file", "/api/slow", "")))
    saving.start()
    deadline = time.monotonic() + PATIENCE_S
    while not any(path.stat().st_size for path in tmp_path.glob("*.part")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.begun.is_set()
    threading.Timer(0.2, server.go_on.set).start()
    assert bridge.close()
    saving.join(PATIENCE_S)
    assert "closing" in answers[0]["error"]
    assert list(tmp_path.iterdir()) == []
    assert "closing" in bridge.call("app_info")["error"]


def test_closing_does_not_wait_for_ever_for_what_never_ends(bridge: Bridge) -> None:
    held = threading.Event()
    begun = threading.Event()

    def ask(_: str) -> None:
        begun.set()
        held.wait(PATIENCE_S)

    bridge.window.ask_save = ask
    thread = threading.Thread(target=bridge.call, args=("save_file", "/api/export", ""))
    thread.start()
    assert begun.wait(PATIENCE_S)
    began = time.monotonic()
    assert not bridge.close()
    assert time.monotonic() - began < 3
    held.set()
    thread.join()


WRONG = [
    ("save_file", ("/api/x",)), ("save_file", ("/api/x", "n", "more")), ("save_file", ("/x", "n")),
    ("save_file", ("http://evil.test/api/", "n")), ("save_file", ("/api/x\n", "n")), ("save_file", ("/api/x y", "n")),
    ("save_file", (None, "n")), ("save_file", ({"path": "/api/x"}, "n")), ("save_picture", ("!", "n")),
    ("save_picture", (base64.b64encode(b"<svg>").decode(), "n")), ("open_file", ("secrets",)), ("open_file", ()),
    ("notify", ("t", 7)), ("notify", ("", "b")), ("notify", ("t" * 121, "b")), ("notify", ("t", "b" * 401)),
    ("notify", ("t", "a\x00")), ("set_title", ("",)), ("set_title", ("a\u202eb",)), ("set_title", ("x" * 121,)),
    ("reveal", ("/etc/passwd",)), ("reveal", ("",)), ("app_info", (1,)), ("secret_store_state", ("x",)),
    ("open_external", ()), ("open_external", ("https://a.test", "b")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given"), WRONG)
def test_wrong_arguments_are_refused_before_anything_is_done(bridge: Bridge, name: str, given: tuple[Any, ...]) -> None:
    def never(*_: Any) -> Any:
        raise AssertionError("must not be asked")

    bridge.window.ask_save = bridge.window.ask_open = bridge.window.set_title = never
    answer = bridge.call(name, *given)
    assert set(answer) == {"error"}
    assert "inside Sungaze" not in answer["error"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_page_of_another_origin_is_refused_by_every_function(bridge: Bridge, name: str) -> None:
    bridge.window.current_url = lambda: "http://127.0.0.1:1/"
    assert "own page" in bridge.call(name)["error"]


def test_what_breaks_inside_is_a_sentence_and_not_a_trace(bridge: Bridge, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: str) -> None:
        raise RuntimeError("no display")

    bridge.window.set_title = broken
    answer = bridge.call("set_title", "Sungaze")
    assert answer == {"error": "That went wrong inside Sungaze; its log tells why. Nothing was done."}
    assert "no display" in caplog.text


def test_a_sheet_that_is_too_large_is_not_read(bridge: Bridge, tmp_path: Path) -> None:
    sheet = tmp_path / "large.csv"
    sheet.write_bytes(b"x" * (MAX_OPENED_BYTES + 1))
    bridge.window.ask_open = lambda _name, endings: sheet if "csv" in endings else None
    assert "larger than 4 MB" in bridge.call("open_file", "sheet")["error"]
    sheet.write_bytes(b"x" * MAX_OPENED_BYTES)
    assert bridge.call("open_file", "sheet")["size"] == MAX_OPENED_BYTES
    sheet.unlink()
    assert "cannot be read" in bridge.call("open_file", "sheet")["error"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../etc/passwd", "passwd"), ("C:\\a\\b.csv", "b.csv"), (".hidden", "hidden"), ("", "sungaze"),
        ("..", "sungaze"), ('a<b>:"|?*.csv', "a-b------.csv"), ("a\x00b\n.csv", "a-b-.csv"), ("Süd 1.csv", "Süd 1.csv"),
    ],
)  # fmt: skip
def test_a_proposed_name_is_a_files_name_and_never_a_path(text: str, name: str) -> None:
    assert file_name(text) == name
