"""A window on a server elsewhere: the token, the answers that go through, and a server that is lost and comes back."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
from certificates import certificate
from program import TOKEN

from sungaze import __version__
from sungaze.config import Settings
from sungaze.errors import ConfigError
from sungaze.remote import HELD_HEADER, REST_S, Desk, desk_settings, is_readable_on_the_way, server_address
from sungaze.runtime import Runtime

if TYPE_CHECKING:
    from conftest import Fleet

PATIENCE_S = 15.0
STOP_S = 5.0
OLDER = b'{"status":"ok","version":"0.0.9","demo":false,"session":false}'


@contextmanager
def desk_on(server: str, folder: Path, *, token: str | None = None) -> Iterator[tuple[Desk, httpx.Client]]:
    """A running desk and a page's client with a session of it."""
    desk = Desk(server, Settings(data_dir=folder, token=token))
    desk.start()
    try:
        with httpx.Client(base_url=desk.address, timeout=30, trust_env=False) as client:
            key = urlsplit(desk.link()).fragment.removeprefix("key=")
            assert client.post("/api/session", json={"key": key}).status_code == 200
            yield desk, client
    finally:
        desk.stop()


def state(client: httpx.Client) -> str:
    return str(client.get("/api/health").json()["server"]["state"])


def until(client: httpx.Client, word: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while state(client) != word:
        assert time.monotonic() < deadline, client.get("/api/health").json()
        time.sleep(0.1)


class Stranger(BaseHTTPRequestHandler):
    """Something that is no Sungaze of ours; `says` is its answer to everything."""

    says = b"<h1>It works</h1>"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(self.says)))
        self.end_headers()
        self.wfile.write(self.says)

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving(says: bytes, context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Says", (Stranger,), {"says": says}))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("office-pc:8440", "http://office-pc:8440"),
        ("http://192.168.1.7:8440/", "http://192.168.1.7:8440"),
        ("https://sun.example", "https://sun.example"),
        ("http://[fd00::7]:8440", "http://[fd00::7]:8440"),
        ("http://127.0.0.1:8440/#key=abc", "http://127.0.0.1:8440"),
        (" HTTP://Office:1 ", "http://office:1"),
    ],
)
def test_an_address_is_taken_as_people_write_it(text: str, address: str) -> None:
    assert server_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "http://", "ftp://x", "http://x:99999", "http://x:y", "http://u:p@x", "http://x/sub", "http://x?t=1", "a b", "http://[1"],
)  # fmt: skip
def test_what_is_no_address_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="Nothing was started"):
        server_address(text)


def test_only_plain_http_beyond_this_computer_is_readable_on_the_way() -> None:
    seen = {a: is_readable_on_the_way(a) for a in ("http://office:1", "https://office:1", "http://127.0.0.1:1")}
    assert seen == {"http://office:1": True, "https://office:1": False, "http://127.0.0.1:1": False}


def test_its_folder_stands_beside_the_one_of_ones_own_data_and_it_listens_on_loopback_only(tmp_path: Path) -> None:
    own = Settings(data_dir=tmp_path / "sungaze", host="0.0.0.0", token=TOKEN)
    made = desk_settings("https://sun.example:8440", own, named=False)
    assert (made.data_dir, made.host) == (tmp_path / "sungaze-at-sun.example-8440", "127.0.0.1")
    assert desk_settings("https://sun.example:8440", own, named=True).data_dir == own.data_dir


def test_the_token_is_asked_once_and_kept_where_only_the_user_reads_it(fleet: Fleet, tmp_path: Path) -> None:
    folder = tmp_path / "desk"
    with desk_on(fleet.runtime.address, folder) as (_, client):
        assert state(client) == "token"
        refused = client.get("/api/sites")
        assert (refused.status_code, refused.json()["type"]) == (401, "urn:sungaze:server-token")
        wrong = client.post("/api/server/token", json={"token": "not-the-token-0123456789"})
        assert wrong.status_code == 422
        assert "SUNGAZE_TOKEN" in wrong.json()["detail"]
        assert client.post("/api/server/token", json={"token": "two\nlines"}).status_code == 400
        taken = client.post("/api/server/token", json={"token": f" {TOKEN}\n"})
        assert taken.json()["state"] == "there"
        assert client.get("/api/sites").status_code == 200
    with desk_on(fleet.runtime.address, folder) as (_, client):
        assert state(client) == "there"
    assert TOKEN not in "".join(path.read_text("latin-1") for path in folder.iterdir() if path.name != "secrets.json")
    assert (folder / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_the_server_s_answers_go_through_unchanged_and_the_token_does_not(fleet: Fleet, tmp_path: Path) -> None:
    with desk_on(fleet.runtime.address, tmp_path / "desk", token=TOKEN) as (desk, client):
        site = fleet.site("enphase", "Europe/Berlin")["id"]
        for path in (
            f"/api/sites/{site}/devices",
            f"/api/sites/{site}/layout/day?metric=ac_power_w&date=2026-05-31",
            "/api/vendors",
        ):
            ours = client.get(path)
            assert ours.json() == fleet.client.get(path).json()
            assert TOKEN not in f"{ours.headers}{ours.text}{desk.link()}"
        refused = client.get("/api/sites/999999")
        assert (refused.status_code, refused.headers["content-type"]) == (404, "application/problem+json")
        export = f"/api/export?site={site}&to=2026-06-01T12:00:00Z"
        theirs = fleet.client.get(export)
        assert theirs.status_code == 200
        got = client.get(export)
        assert got.headers["content-disposition"] == theirs.headers["content-disposition"]
        assert got.content == theirs.content
        assert len(got.content) > 10_000


def test_nobody_reads_through_a_desk_without_its_session(fleet: Fleet, tmp_path: Path) -> None:
    with (
        desk_on(fleet.runtime.address, tmp_path / "desk", token=TOKEN) as (desk, _),
        httpx.Client(base_url=desk.address, trust_env=False) as stranger,
    ):
        assert stranger.get("/api/sites").status_code == 401
        assert stranger.get("/api/sites", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
        assert stranger.get("/api/health", headers={"Host": "evil.example"}).status_code == 400


def test_a_script_s_token_is_enough_whatever_name_it_found_the_server_by(fleet: Fleet) -> None:
    with httpx.Client(base_url=fleet.runtime.address, trust_env=False) as client:
        asked = {"Host": "office-pc:8440", "Authorization": f"Bearer {TOKEN}"}
        assert client.get("/api/sites", headers=asked).status_code == 200
        assert client.get("/api/sites", headers=asked | {"Authorization": "Bearer wrong"}).status_code == 400


def test_a_lost_server_leaves_its_last_answers_dated_and_what_is_asked_of_it_is_not_done(
    empty: Fleet, tmp_path: Path
) -> None:
    port = urlsplit(empty.runtime.address).port
    assert port
    with desk_on(empty.runtime.address, tmp_path / "desk", token=TOKEN) as (_, client):
        before = client.get("/api/settings")
        assert HELD_HEADER not in before.headers
        empty.runtime.stop()
        began = time.time()
        held = client.get("/api/settings")
        assert held.content == before.content
        assert began - PATIENCE_S < float(held.headers[HELD_HEADER]) <= began
        unseen = client.get("/api/alerts")
        assert (unseen.status_code, unseen.json()["type"]) == (503, "urn:sungaze:server-lost")
        assert "not looked at before" in unseen.json()["detail"]
        undone = client.patch("/api/settings", json={"theme": "dark"})
        assert undone.status_code == 503
        assert "Nothing was changed" in undone.json()["detail"]
        told = client.get("/api/health").json()["server"]
        assert (told["state"], told["heard_at"] <= began, told["held_at"] <= began) == ("lost", True, True)
        time.sleep(REST_S)
        again = Runtime(Settings(data_dir=tmp_path / "again", token=TOKEN, port=port), polling=False)
        again.start()
        try:
            until(client, "there")
            assert HELD_HEADER not in client.get("/api/settings").headers
            assert client.get("/api/alerts").status_code == 200
        finally:
            again.stop()


def test_a_stream_of_events_goes_through_and_does_not_hold_up_closing(fleet: Fleet, tmp_path: Path) -> None:
    with (
        desk_on(fleet.runtime.address, tmp_path / "desk", token=TOKEN) as (desk, client),
        client.stream("GET", "/api/events") as events,
    ):
        assert next(line for line in events.iter_lines() if line.startswith("event:")) == "event: hello"
        began = time.monotonic()
        desk.stop()
        assert time.monotonic() - began < STOP_S


@pytest.mark.in_process
def test_trouble_at_the_server_is_said_on_the_desk_and_to_nobody_without_its_session(
    empty: Fleet, tmp_path: Path
) -> None:
    with desk_on(empty.runtime.address, tmp_path / "desk", token=TOKEN) as (desk, client):
        until(client, "there")
        empty.runtime.context.tell_trouble("disk", "The disk is full.")
        assert client.get("/api/health").json()["trouble"] == "The disk is full."
        assert "trouble" not in httpx.get(f"{desk.address}/api/health", trust_env=False).json()
        empty.runtime.context.tell_trouble("disk", "")
        assert "trouble" not in client.get("/api/health").json()


def test_a_stream_ends_when_the_server_does_so_that_the_page_says_it(empty: Fleet, tmp_path: Path) -> None:
    with desk_on(empty.runtime.address, tmp_path / "desk", token=TOKEN) as (_, client):
        with client.stream("GET", "/api/events") as events:
            lines = events.iter_lines()
            assert next(line for line in lines if line.startswith("event:")) == "event: hello"
            empty.runtime.stop()
            list(lines)
        assert client.get("/api/events").status_code == 503


def test_a_token_that_is_taken_back_is_asked_for_anew(empty: Fleet, tmp_path: Path) -> None:
    port = urlsplit(empty.runtime.address).port
    assert port
    with desk_on(empty.runtime.address, tmp_path / "desk", token=TOKEN) as (_, client):
        assert client.get("/api/settings").status_code == 200
        empty.runtime.stop()
        other = Runtime(Settings(data_dir=tmp_path / "o", token="another-token-0123456789", port=port), polling=False)
        other.start()
        try:
            assert client.get("/api/settings").status_code == 401
            until(client, "token")
            assert "did not take" in client.get("/api/health").json()["server"]["reason"]
        finally:
            other.stop()


@pytest.mark.parametrize(
    ("says", "word", "reason"),
    [
        (b"<h1>It works</h1>", "stranger", "no Sungaze"),
        (OLDER, "version", f"0.0.9, and this program is {__version__}"),
    ],
)
def test_what_answers_but_is_no_sungaze_like_this_one_is_told(
    says: bytes, word: str, reason: str, tmp_path: Path
) -> None:
    with serving(says) as port, desk_on(f"http://127.0.0.1:{port}", tmp_path / "desk", token=TOKEN) as (_, client):
        assert state(client) == word
        assert reason in client.get("/api/health").json()["server"]["reason"]
        assert client.get("/api/sites").status_code == 401


def test_a_certificate_that_nobody_vouches_for_is_told_and_nothing_is_sent(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path / "both.pem"))
    with (
        serving(b"", context) as port,
        desk_on(f"https://127.0.0.1:{port}", tmp_path / "desk", token=TOKEN) as (_, client),
    ):
        assert state(client) == "lost"
        assert "certificate" in client.get("/api/health").json()["server"]["reason"]
