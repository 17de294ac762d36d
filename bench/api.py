"""`/api/sites` with 1,000 sites over a real socket: alone, after a pause, and while a poll writes."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from bench._measure import Row, milliseconds
from bench._store import fill

SITES = 1_000
ALONE = 400
POLL_S = 45.0
PAUSES = 12
PAUSE_S = 6.0
TOKEN = "a-token-of-the-benchmark-0123456789"


def rows() -> list[Row]:
    """Times of `GET /api/sites?limit=1000`, as a page that is open asks for it."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "sungaze.db", SITES, time.time())
        with serve(Path(folder)) as client:
            _ask(client)
            alone = [_ask(client) for _ in range(ALONE)]
            rested = []
            for _ in range(PAUSES):
                time.sleep(PAUSE_S)
                rested.append(_ask(client))
            polled, samples = _while_polling(client, Path(folder))
    what = "GET /api/sites, 1,000 sites"
    return [
        Row(f"{what}, alone", milliseconds(alone), "p95 ≤ 30 ms"),
        Row(f"{what}, after a pause of {PAUSE_S:.0f} s", milliseconds(rested)),
        Row(
            f"{what}, while a poll writes ({samples:,} samples in {POLL_S:.0f} s)", milliseconds(polled), "p95 ≤ 100 ms"
        ),
    ]


def _while_polling(client: httpx.Client, folder: Path) -> tuple[list[float], int]:
    """An account on the emulator is connected, and its history comes in while the list is asked for."""
    with _emulator() as (base_url, credentials):
        wish = {"vendor": "enphase", "plan": "partner", "base_url": base_url, "credentials": credentials}
        client.post("/api/accounts", json=wish).raise_for_status()
        before = _samples(folder)
        until = time.perf_counter() + POLL_S
        times = []
        while time.perf_counter() < until:
            times.append(_ask(client))
            time.sleep(0.05)
        return times, _samples(folder) - before


def _samples(folder: Path) -> int:
    connection = sqlite3.connect(folder / "sungaze.db")
    try:
        return int(connection.execute("SELECT count(*) FROM sample").fetchone()[0])
    finally:
        connection.close()


def _ask(client: httpx.Client) -> float:
    started = time.perf_counter()
    answer = client.get("/api/sites?limit=1000")
    took = time.perf_counter() - started
    assert answer.json()["total"] >= SITES
    return took


@contextmanager
def serve(folder: Path) -> Iterator[httpx.Client]:
    command = [sys.executable, "-m", "sungaze.cli", "--server", "--data-dir", str(folder)]
    environment = {**os.environ, "SUNGAZE_TOKEN": TOKEN, "SUNGAZE_LOG": "error"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        address = urlsplit(process.stdout.readline().strip()).netloc
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=f"http://{address}", headers=headers, timeout=30, trust_env=False) as client:
            try:
                yield client
            finally:
                process.send_signal(signal.SIGTERM)


@contextmanager
def _emulator() -> Iterator[tuple[str, dict[str, str]]]:
    command = [sys.executable, "-m", "sungaze.cli", "emulate", "enphase", "--sites", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        try:
            yield ready["base_url"], ready["credentials"]
        finally:
            process.send_signal(signal.SIGTERM)
