"""CPS ingest: records by MQTT with QoS 1 into a Sungaze of its own on one core, killed (-9) again and again meanwhile.

The broker is mosquitto, the program the whole `sungaze --server`; the gateways are made up here. At the end each
record that a gateway published has to be in the file, once.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from bench._measure import Row

RATE = 5_000
SECONDS = 120
KILLS = 10
GATEWAYS = 50
INVERTERS = 10
STEP_S = 60
DRAIN_S = 120.0
TOKEN = "a-token-of-the-benchmark-0123456789"


class Outcome(NamedTuple):
    """What was sent and what is in the file: `missing` and `wrong` are records; `drain_s` after the last was sent."""

    sent: int
    seconds: float
    missing: int
    wrong: int
    drain_s: float
    kills: int


def rows() -> list[Row]:
    """The rate that was kept, and what was lost."""
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder))
    rate = found.sent / found.seconds * 60
    return [
        Row("CPS by MQTT, QoS 1, one core: records a minute", f"{rate:,.0f} over {found.seconds:.0f} s", f"{RATE:,}"),
        Row(f"… of {found.sent:,} records, missing or wrong after {found.kills} kill -9",
            f"{found.missing} missing, {found.wrong} wrong", "0"),
        Row("… until the last one was on disk, after it was sent", f"{found.drain_s:.1f} s"),
    ]  # fmt: skip


def run(folder: Path, *, rate: int = RATE, seconds: float = SECONDS, kills: int = KILLS) -> Outcome:
    """Send `rate` records a minute for `seconds`, kill `kills` times, and compare at the end."""
    with _mosquitto(folder) as port:
        program = _Program(folder / "data")
        try:
            program.connect(port)
            gateways = _Gateways(port, rate)
            sending = threading.Thread(target=gateways.send, args=(seconds,), daemon=True)
            sending.start()
            for _ in range(kills):
                time.sleep(seconds / (kills + 1))
                program.kill()
                program = _Program(folder / "data")
            sending.join()
            ended = time.monotonic()
            missing, wrong = gateways.compare(folder / "data" / "sungaze.db")
            while missing and time.monotonic() - ended < DRAIN_S:
                time.sleep(0.5)
                missing, wrong = gateways.compare(folder / "data" / "sungaze.db")
            return Outcome(gateways.sent, gateways.took, missing, wrong, time.monotonic() - ended, kills)
        finally:
            program.stop()


class _Program:
    """A Sungaze on one core."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "sungaze.cli", "--server", "--data-dir", str(folder)]
        environment = {**os.environ, "SUNGAZE_LOG": "error", "SUNGAZE_TOKEN": TOKEN}
        core = min(os.sched_getaffinity(0))
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )  # fmt: skip
        assert self.process.stdout is not None
        self.address = f"http://{urlsplit(self.process.stdout.readline().strip()).netloc}"

    def connect(self, port: int) -> None:
        wish = {
            "vendor": "cps", "method": "mqtt", "plan": "local",
            "credentials": {"host": "127.0.0.1", "port": str(port), "tls": "no"},
        }  # fmt: skip
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=self.address, headers=headers, trust_env=False, timeout=30) as client:
            client.post("/api/accounts", json=wish).raise_for_status()
            # Listening for the first time has to have begun before anything is sent: a broker keeps nothing for a
            # session that it has never seen.
            deadline = time.monotonic() + 20
            while not client.get("/api/accounts").json()["items"][0]["listening_since"]:
                if time.monotonic() > deadline:
                    raise RuntimeError("Sungaze does not listen to the broker")
                time.sleep(0.1)

    def kill(self) -> None:
        self.process.kill()
        self._wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self._wait()

    def _wait(self) -> None:
        self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()


class _Gateways:
    """Gateways that send one batch after the other, each with stamps of its own; what was sent is known."""

    def __init__(self, port: int, rate: int) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.sent = 0
        self.took = 0.0
        self._rate = rate
        self._batches = [0] * GATEWAYS
        self._began = int(time.time()) // STEP_S * STEP_S - 20 * 86_400
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="bench-gateways", clean_session=False)
        # By default paho holds twenty messages in flight and forgets none that wait.
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def send(self, seconds: float) -> None:
        started = time.monotonic()
        published = [
            self._client.publish(_topic(gateway, "inventory"), _inventory(gateway), qos=1, retain=True)
            for gateway in range(GATEWAYS)
        ]
        number = 0
        while time.monotonic() - started < seconds:
            gateway = number % GATEWAYS
            body = _telemetry(gateway, self._batches[gateway], self._began)
            published.append(self._client.publish(_topic(gateway, "telemetry"), body, qos=1))
            self._batches[gateway] += 1
            self.sent += INVERTERS
            number += 1
            pause = started + self.sent * 60 / self._rate - time.monotonic()
            if pause > 0:
                time.sleep(pause)
        for one in published:
            one.wait_for_publish(30)
        self.took = time.monotonic() - started
        self._client.disconnect()
        self._client.loop_stop()

    def compare(self, database: Path) -> tuple[int, int]:
        """(records that are missing, records whose power is another)."""
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
        try:
            found = {
                (serial, int(at)): value
                for serial, at, value in connection.execute(
                    "SELECT vendor_device_id, timestamp, value FROM sample JOIN series ON series.id = series_id "
                    "JOIN device ON device.id = device_id WHERE metric = 'ac_power_w' AND interval_s = ?",
                    (STEP_S,),
                )
            }
        finally:
            connection.close()
        missing = wrong = 0
        for gateway, batches in enumerate(self._batches):
            for number in range(batches):
                at = self._began + number * STEP_S
                for inverter in range(INVERTERS):
                    value = found.get((_serial(gateway, inverter), at))
                    missing += value is None
                    wrong += value is not None and abs(value - 1000 * _kw(gateway, inverter, number)) > 1e-6
        return missing, wrong


def _topic(gateway: int, kind: str) -> str:
    return f"cps/v1/EXBENCH{gateway:04d}/{kind}"


def _serial(gateway: int, inverter: int) -> str:
    return f"{gateway:08d}{inverter:08d}"


def _kw(gateway: int, inverter: int, number: int) -> float:
    return round(1 + (gateway * 7 + inverter * 3 + number) % 500 / 10, 1)


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _envelope(gateway: int, kind: str, number: int, **content: Any) -> bytes:
    common = {
        "schema": "cps-assumed/1", "type": kind, "msg_id": f"EXBENCH{gateway:04d}-1-{kind}-{number}", "boot_id": 1,
        "seq": number, "gateway_sn": f"EXBENCH{gateway:04d}", "site_id": f"EX-BENCH-{gateway}", "tz": "GMT",
        "sent_at": _stamp(time.time()), "interval_s": STEP_S,
    }  # fmt: skip
    return json.dumps(common | content).encode()


def _inventory(gateway: int) -> bytes:
    devices = [
        {"sn": _serial(gateway, n), "modbus_id": n + 1, "type": "inverter", "model": "SCA60KTL-DO/US-480"}
        for n in range(INVERTERS)
    ]
    return _envelope(gateway, "inventory", 0, devices=devices)


def _telemetry(gateway: int, number: int, began: int) -> bytes:
    end = began + (number + 1) * STEP_S
    records = []
    for inverter in range(INVERTERS):
        kw = _kw(gateway, inverter, number)
        values = {
            "Pac": kw, "Sac": kw, "PF": 0.998, "DYield": 100 + number / 10, "TYield": 400_000 + number, "Eff": 98.2,
            "Uab": 481.2, "Ubc": 480.7, "Uca": 481.0, "Ia": 49.5, "Ib": 49.4, "Ic": 49.6, "Freq": 60.0,
            "Upv1": 710.2, "Ipv1": 19.6, "Upv2": 708.8, "Ipv2": 19.4, "Upv3": 711.0, "Ipv3": 19.5, "Tmod": 52.1,
        }  # fmt: skip
        records.append(
            {"sn": _serial(gateway, inverter), "modbus_id": inverter + 1, "type": "inverter", "ts": _stamp(end),
             "model": "SCA60KTL-DO/US-480", "Mode": "0x1000", "status": "Run", "values": values}
        )  # fmt: skip
    return _envelope(gateway, "telemetry", number + 1, records=records)


@contextmanager
def _mosquitto(folder: Path) -> Iterator[int]:
    """A real broker on a free port of loopback."""
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    settings = folder / "broker.conf"
    settings.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nlog_type none\nmax_queued_messages 0\n"
    )
    process = subprocess.Popen([program, "-c", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("mosquitto did not start; `make setup-test` installs it") from None
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)
