"""The executable without a window and without a desktop, and how it treats the folder for temporary files."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from packed import DIST, START_S, Packed, wait_until
from program import DEMO_SITES, STOP_S

pytestmark = [pytest.mark.dist, pytest.mark.timeout(300)]

ENOUGH = DEMO_SITES * 2 // 3
"""Sites with figures: the last ones wait for their vendors' limits a minute."""
INSIDE = (
    "sungaze/web/index.html", "sungaze/packages.json", "sungaze/vendors/cps-403x.json", "certifi/cacert.pem", "tzdata/zoneinfo/tzdata.zi",
    "gi/_gi.", "keyring.backends.SecretService", "keyring.backends.kwallet", "keyring.backends.fail",
    "keyring.backends.chainer", "keyring.backends.macOS", "keyring.backends.Windows", "secretstorage", "jeepney",
    "platformdirs.unix", "sungaze.store.migrations", "sungaze.emulators.generac", "amqtt.plugins.authentication",
)  # fmt: skip
LIBRARIES_OUTSIDE = (
    "libgtk", "libgdk", "libwebkit", "libjavascriptcore", "libcairo", "libglib", "libgirepository", "libX11", "libxcb",
    "librsvg", "libgnutls", "libfontconfig", "libfreetype", "libpq", "libtk", "typelib",
)  # fmt: skip
MODULES_OUTSIDE = (
    "PyQt5", "PyQt6", "PySide6", "psycopg", "psycopg2", "pytest", "_pytest", "hypothesis", "numpy.random", "numpy.fft",
    "numpy.polynomial", "pydantic", "pydantic_core", "tkinter", "tzfpy", "sqlalchemy", "rich", "pygments", "playwright",
)  # fmt: skip


def test_the_contents_are_what_is_used_and_the_file_keeps_to_its_size() -> None:
    contents = (DIST / "contents.txt").read_text()
    assert [name for name in INSIDE if name not in contents] == []
    names = [line.split()[-1].replace("/", ".") for line in contents.splitlines() if line]
    assert [name for name in names if any(part in name for part in LIBRARIES_OUTSIDE)] == []
    assert [name for name in names if any(f"{name}.".startswith(f"{part}.") for part in MODULES_OUTSIDE)] == []
    assert (DIST / "sungaze").stat().st_size <= 60_000_000


def test_without_a_desktop_it_serves_the_pages_and_the_demo_and_stops(room: Path, start: Callable[..., Packed]) -> None:
    program = start(room, "--server", "--port", "0", "--demo", bare=True)
    with program.serving() as client:
        assert client.get("/api/health").json()["demo"] is True
        page = client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        shipped = {one["name"].lower(): one for one in client.get("/api/about").json()["packages"]}
        assert {"litestar", "numpy", "pcodec", "pymodbus", "pygobject"} <= shipped.keys()
        assert [name for name, one in shipped.items() if not one["licence"]] == []
        assert "Permission is hereby granted" in shipped["litestar"]["text"]
        assert client.get("/icon.svg").content == (DIST.parent / "web" / "icon.svg").read_bytes()

        def fleet_is_there() -> bool:
            items = client.get("/api/sites").json()["items"]
            return sum(item["measured_at"] is not None for item in items) >= ENOUGH

        wait_until(fleet_is_there, 120, program.words)
        assert {account["state"] for account in client.get("/api/accounts").json()["items"]} == {"connected"}
    began = time.monotonic()
    assert program.stop() == 0
    assert time.monotonic() - began < STOP_S
    assert program.unpacked() == []
    assert "Traceback" not in program.words()


def test_what_a_killed_one_left_is_cleared_by_the_next_and_a_running_one_is_left_alone(
    room: Path, start: Callable[..., Packed]
) -> None:
    killed = start(room, "--server", "--port", "0", "--data-dir", str(room / "home" / "a"))
    killed.serving().close()
    killed.kill()
    (left,) = killed.unpacked()
    foreign = room / "tmp" / "_MEIforeign"
    foreign.mkdir()
    running = start(room, "--server", "--port", "0", "--data-dir", str(room / "home" / "b"))
    with running.serving() as client:
        assert not left.exists()
        assert foreign.is_dir()
        (own,) = [folder for folder in running.unpacked() if folder != foreign]
        other = start(room, "--server", "--port", "0", "--data-dir", str(room / "home" / "c"))
        other.serving().close()
        assert own.is_dir()
        assert client.get("/").status_code == 200
        assert other.stop() == 0
    assert running.stop(signal.SIGINT) == 0
    assert running.unpacked() == [foreign]


def test_a_path_with_spaces_and_other_scripts_and_no_home(odd_room: Path, start: Callable[..., Packed]) -> None:
    data = odd_room / "elsewhere" / "Daten für 太陽"
    program = start(odd_room, "--server", "--port", "0", "--data-dir", str(data), home=False)
    with program.serving() as client:
        assert client.get("/api/health").status_code == 200
    assert program.stop() == 0
    assert (data / "sungaze.db").is_file()


def run(room: Path, temporary: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(room / "home"), "PATH": "/usr/bin:/bin", "TMPDIR": str(temporary)}
    return subprocess.run(
        [*words, str(room / "sungaze"), "--version"], cwd=room / "elsewhere", env=environment, capture_output=True,
        text=True, timeout=START_S,
    )  # fmt: skip


@pytest.mark.parametrize(("options", "told"), [("noexec", "Cannot run from"), ("size=20m", "No room to unpack")])
def test_a_folder_for_temporary_files_that_will_not_do_is_told(room: Path, options: str, told: str) -> None:
    temporary = room / "tmp"
    mount = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o "$1" none "$2" && shift 2 && exec "$@"', "sh"]
    done = run(room, temporary, *mount, options, str(temporary))
    assert done.returncode != 0
    assert told in done.stderr.splitlines()[0]
    assert "set TMPDIR elsewhere" in done.stderr.splitlines()[0]
    assert run(room, room / "elsewhere", *mount, options, str(temporary)).stdout.startswith("sungaze, version")


def test_a_vendor_whose_certificate_nobody_vouches_for_is_refused(
    room: Path, start: Callable[..., Packed], tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    heard: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with plain:
                try:
                    context.wrap_socket(plain, server_side=True).close()
                except OSError as error:
                    heard.append(str(error))

    serving = threading.Thread(target=serve)
    serving.start()
    program = start(room, "--server", "--port", "0")
    try:
        with program.serving() as client:
            wish = {
                "vendor": "solaredge", "method": "fleet_key", "credentials": {"api_key": "K" * 32},
                "base_url": f"https://127.0.0.1:{listener.getsockname()[1]}",
            }  # fmt: skip
            answer = client.post("/api/accounts/probe", json=wish)
        assert answer.status_code == 503, answer.text
        # The alert that a client sends which has certificates to compare with, and did not find this one.
        assert heard
        assert all("unknown ca" in one for one in heard)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        serving.join()
    assert program.stop() == 0


@pytest.mark.parametrize("vendor", ["enphase", "cps"])
def test_a_simulated_vendor_runs_in_it(room: Path, start: Callable[..., Packed], vendor: str) -> None:
    program = start(room, "emulate", vendor)
    ready = json.loads(program.said.readline())
    assert ready["vendor"] == vendor
    if ready["base_url"].startswith("http"):
        assert httpx.get(ready["base_url"], trust_env=False).status_code < 500
    assert program.stop() == 0
