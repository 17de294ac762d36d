"""Other stores of the same samples: each takes them, says how large it is, and gives a day of a site's panels back.

What is not installed says with which package it comes. Servers listen on loopback, in a folder of their own.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
import msgspec
import numpy as np

from bench._history import Series

PATIENCE_S: Final = 60.0
"""How long a server may take to start, to fold what it holds, and to stop."""
NIGHT_S: Final = 5.0
"""A folder whose size stood still for so long is folded."""


class Missing(Exception):
    """A peer is not installed; says with which package it comes."""


class Peer(Protocol):
    """A store that is measured.

    Made with its folder, and the metrics whose values are all whole numbers, which it may keep as integers.
    """

    name: str
    note: str
    """What was done to fold what it holds, and what it does not do."""

    def prepare(self, chunk: list[Series]) -> Any:
        """A chunk in the store's own words, made outside the clock."""

    def write(self, prepared: Any) -> None:
        """Take what was prepared, committed when it returns. A later value replaces an earlier one where it can."""

    def finish(self) -> None:
        """Fold what it holds, as far as the store does so."""

    def size(self) -> int:
        """Bytes on the disk, of everything that it keeps."""

    def day(self, site: int, metric: str, start: int, end: int) -> dict[int, list[tuple[int, float]]]:
        """A day of all devices of a site: (timestamp, value) by device."""

    def close(self) -> None:
        """Stop it; its folder is removed by whoever made it."""


class Plain:
    """The table of the first design: every row with its site, device, metric and time as text, and an index on them."""

    name = "plain"
    note = "an SQLite table with a row and an index entry a sample"

    def __init__(self, folder: Path, whole: frozenset[str]) -> None:
        self._path = folder / "plain.db"
        self._db = sqlite3.connect(self._path)
        self._db.executescript(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; CREATE TABLE timeseries_metric (id INTEGER "
            "PRIMARY KEY, site_id INTEGER NOT NULL, device_id INTEGER NOT NULL, metric_name TEXT NOT NULL, "
            "timestamp TEXT NOT NULL, value REAL NOT NULL); CREATE UNIQUE INDEX timeseries_key ON "
            "timeseries_metric(site_id, device_id, metric_name, timestamp);"
        )

    def prepare(self, chunk: list[Series]) -> Any:
        return [
            (one.site, one.device, one.metric, _stamp(t), v)
            for one in chunk
            for t, v in zip(one.timestamps.tolist(), one.values.tolist(), strict=True)
        ]

    def write(self, prepared: Any) -> None:
        with self._db:
            self._db.executemany(
                "INSERT INTO timeseries_metric (site_id, device_id, metric_name, timestamp, value) VALUES (?, ?, ?, ?, "
                "?) ON CONFLICT (site_id, device_id, metric_name, timestamp) DO UPDATE SET value = excluded.value",
                prepared,
            )

    def finish(self) -> None:
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def size(self) -> int:
        return folder_bytes(self._path.parent)

    def day(self, site: int, metric: str, start: int, end: int) -> dict[int, list[tuple[int, float]]]:
        found: dict[int, list[tuple[int, float]]] = {}
        devices = self._db.execute("SELECT DISTINCT device_id FROM timeseries_metric WHERE site_id = ?", (site,))
        for (device,) in devices.fetchall():
            rows = self._db.execute(
                "SELECT timestamp, value FROM timeseries_metric WHERE site_id = ? AND device_id = ? "
                "AND metric_name = ? AND timestamp >= ? AND timestamp < ? ORDER BY timestamp",
                (site, device, metric, _stamp(start), _stamp(end)),
            ).fetchall()
            if rows:
                found[device] = [(_instant(text), value) for text, value in rows]
        return found

    def close(self) -> None:
        self._db.close()


class DuckDB:
    """A columnar table in one file, ordered by series and time, so that its zone maps skip what is not asked for."""

    name = "duckdb"
    note = "sorted anew by series and time into a file of its own, then CHECKPOINT"

    def __init__(self, folder: Path, whole: frozenset[str]) -> None:
        try:
            import duckdb
        except ImportError:
            raise Missing("duckdb is not installed; it comes with the Python package duckdb") from None
        self._connect = duckdb.connect
        self._path = folder / "sorted.duckdb"
        self._sorted: Any = None
        self._db = self._opened(folder / "staged.duckdb")
        self._ids: dict[tuple[int, int, str, int], int] = {}
        self._db.execute(
            "CREATE TABLE series (id INTEGER, site INTEGER, device INTEGER, metric TEXT, interval_s INTEGER)"
        )
        self._db.execute("CREATE TABLE sample (series INTEGER, t BIGINT, value DOUBLE, came BIGINT)")
        self._came = 0

    def _opened(self, path: Path) -> Any:
        connection = self._connect(str(path))
        connection.execute("SET memory_limit = '1GB'")
        connection.execute("SET threads = 2")
        return connection

    def prepare(self, chunk: list[Series]) -> Any:
        self._came += 1
        new = []
        for one in chunk:
            key = (one.site, one.device, one.metric, one.interval_s)
            if key not in self._ids:
                self._ids[key] = len(self._ids) + 1
                new.append((self._ids[key], *key))
        lengths = [len(one.timestamps) for one in chunk]
        ids = [self._ids[one.site, one.device, one.metric, one.interval_s] for one in chunk]
        columns = {
            "series": np.repeat(np.array(ids, dtype=np.int32), lengths),
            "t": np.concatenate([one.timestamps for one in chunk]),
            "value": np.concatenate([one.values for one in chunk]),
            "came": np.full(sum(lengths), self._came, dtype=np.int64),
        }
        return new, columns

    def write(self, prepared: Any) -> None:
        new, columns = prepared
        self._db.execute("BEGIN")
        if new:
            self._db.executemany("INSERT INTO series VALUES (?, ?, ?, ?, ?)", new)
        self._db.execute("INSERT INTO sample SELECT * FROM columns")
        self._db.execute("COMMIT")
        del columns

    def finish(self) -> None:
        if self._sorted is not None:
            self._sorted.close()
            self._sorted = None
        self._path.unlink(missing_ok=True)
        self._db.execute("CHECKPOINT")
        self._db.execute(f"ATTACH '{self._path}' AS sorted (STORAGE_VERSION 'latest')")
        self._db.execute("CREATE TABLE sorted.series AS SELECT * FROM series ORDER BY id")
        self._db.execute(
            "CREATE TABLE sorted.sample AS SELECT series, t, arg_max(value, came) AS value FROM sample "
            "GROUP BY series, t ORDER BY series, t"
        )
        self._db.execute("CHECKPOINT sorted")
        self._db.execute("DETACH sorted")

    def size(self) -> int:
        return 512 * self._path.stat().st_blocks

    def day(self, site: int, metric: str, start: int, end: int) -> dict[int, list[tuple[int, float]]]:
        if self._sorted is None:
            self._sorted = self._opened(self._path)
        rows = self._sorted.execute(
            "SELECT device, t, value FROM sample JOIN series ON series.id = sample.series WHERE site = ? "
            "AND metric = ? AND t >= ? AND t < ? ORDER BY device, t",
            (site, metric, start, end),
        ).fetchall()
        found: dict[int, list[tuple[int, float]]] = {}
        for device, at, value in rows:
            found.setdefault(device, []).append((at, value))
        return found

    def close(self) -> None:
        self._db.close()
        if self._sorted is not None:
            self._sorted.close()


class _Server:
    """A peer that is a server of its own."""

    name = ""

    def __init__(self, command: list[str], port: int, ready: str) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, trust_env=False)
        until = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(httpx.TransportError):
                if self._client.get(ready).is_success:
                    return
            if self._process.poll() is not None or time.monotonic() > until:
                self.close()
                raise Missing(f"{self.name} did not start")
            time.sleep(0.05)

    def close(self) -> None:
        self._client.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()


class VictoriaMetrics(_Server):
    """VictoriaMetrics, single node."""

    name = "victoriametrics"
    note = "force_flush, force_merge; days as raw samples by /api/v1/export; it keeps both values of a corrected sample"

    def __init__(self, folder: Path, whole: frozenset[str]) -> None:
        binary = shutil.which("victoria-metrics") or shutil.which("victoriametrics")
        if binary is None:
            raise Missing("victoriametrics is not installed; it comes with Debian's package victoria-metrics")
        self._folder = folder
        port = free_port()
        command = [
            binary, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}", "-retentionPeriod=100y",
            "-loggerLevel=ERROR",
        ]  # fmt: skip
        super().__init__(command, port, "/health")

    def prepare(self, chunk: list[Series]) -> Any:
        lines = [
            msgspec.json.encode(
                {
                    "metric": {"__name__": one.metric, "site": str(one.site), "device": str(one.device)},
                    "values": one.values.tolist(),
                    "timestamps": (one.timestamps * 1000).tolist(),
                }
            )
            for one in chunk
        ]
        return b"\n".join(lines)

    def write(self, prepared: Any) -> None:
        self._client.post("/api/v1/import", content=prepared).raise_for_status()

    def finish(self) -> None:
        self._client.get("/internal/force_flush").raise_for_status()
        self._client.get("/internal/force_merge").raise_for_status()
        until = time.monotonic() + PATIENCE_S
        while _merging(self._client.get("/metrics").text) and time.monotonic() < until:
            time.sleep(0.2)
        settle(self._folder)

    def size(self) -> int:
        return folder_bytes(self._folder)

    def day(self, site: int, metric: str, start: int, end: int) -> dict[int, list[tuple[int, float]]]:
        answer = self._client.get(
            "/api/v1/export",
            params={"match[]": f'{{__name__="{metric}",site="{site}"}}', "start": start, "end": end - 1},
        )
        found: dict[int, list[tuple[int, float]]] = {}
        for line in answer.content.splitlines():
            one = msgspec.json.decode(line, type=_Exported)
            rows = [(t // 1000, v) for t, v in zip(one.timestamps, one.values, strict=True)]
            found.setdefault(int(one.metric["device"]), []).extend(rows)
        return found


class _Exported(msgspec.Struct):
    metric: dict[str, str]
    values: list[float]
    timestamps: list[int]


def _merging(metrics: str) -> bool:
    lines = [line for line in metrics.splitlines() if line.startswith("vm_active_force_merges")]
    return any(float(line.rsplit(" ", 1)[1]) > 0 for line in lines)


class InfluxDB(_Server):
    """InfluxDB 1.x."""

    name = "influxdb"
    note = "cold compaction of every shard waited for"

    def __init__(self, folder: Path, whole: frozenset[str]) -> None:
        binary = shutil.which("influxd")
        if binary is None:
            raise Missing("influxdb is not installed; it comes with Debian's package influxdb")
        self._folder, self._whole = folder, whole
        port, backup = free_port(), free_port()
        settings = folder / "influxdb.conf"
        settings.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{backup}"\n[meta]\ndir = "{folder}/meta"\n[data]\n'
            f'dir = "{folder}/data"\nwal-dir = "{folder}/wal"\ncache-snapshot-write-cold-duration = "1s"\n'
            'compact-full-write-cold-duration = "2s"\nquery-log-enabled = false\n[monitor]\nstore-enabled = false\n'
            f'[http]\nbind-address = "127.0.0.1:{port}"\nlog-enabled = false\nmax-row-limit = 0\n[logging]\n'
            'level = "error"\n'
        )
        super().__init__([binary, "-config", str(settings)], port, "/ping")
        self._client.post("/query", data={"q": "CREATE DATABASE bench"}).raise_for_status()

    def prepare(self, chunk: list[Series]) -> Any:
        lines = []
        for one in chunk:
            head = f"{one.metric},site={one.site},device={one.device} v="
            mark = "i" if one.metric in self._whole else ""
            values = one.values.astype(np.int64).tolist() if mark else one.values.tolist()
            lines += [f"{head}{v}{mark} {t}" for t, v in zip(one.timestamps.tolist(), values, strict=True)]
        return "\n".join(lines).encode()

    def write(self, prepared: Any) -> None:
        self._client.post("/write", params={"db": "bench", "precision": "s"}, content=prepared).raise_for_status()

    def finish(self) -> None:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            settle(self._folder)
            files = [path.parent for path in self._folder.glob("data/bench/**/*.tsm")]
            if files and len(files) == len(set(files)):
                return

    def size(self) -> int:
        return folder_bytes(self._folder)

    def day(self, site: int, metric: str, start: int, end: int) -> dict[int, list[tuple[int, float]]]:
        asked = f"SELECT v FROM {metric} WHERE site = '{site}' AND time >= {start}s AND time < {end}s GROUP BY device"
        answer = self._client.get("/query", params={"db": "bench", "epoch": "s", "q": asked})
        results = msgspec.json.decode(answer.content)["results"]
        return {
            int(one["tags"]["device"]): [(t, float(v)) for t, v in one["values"]]
            for one in results[0].get("series", ())
        }


def folder_bytes(folder: Path) -> int:
    """The bytes on the disk of all files below a folder, as far as they do not vanish meanwhile.

    What is allotted, not what a file could hold: InfluxDB makes large files with nothing in them yet.
    """
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += 512 * Path(parent, name).stat().st_blocks
    return total


def settle(folder: Path) -> None:
    """Come back when the folder's size has stood still for a while, or after PATIENCE_S."""
    until, size, since = time.monotonic() + PATIENCE_S, -1, time.monotonic()
    while time.monotonic() < until:
        now = folder_bytes(folder)
        if now != size:
            size, since = now, time.monotonic()
        elif time.monotonic() - since >= NIGHT_S:
            return
        time.sleep(0.2)


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _stamp(instant: int) -> str:
    return dt.datetime.fromtimestamp(instant, dt.UTC).strftime("%Y-%m-%d %H:%M:%S")


def _instant(text: str) -> int:
    return int(dt.datetime.fromisoformat(text + "+00:00").timestamp())


PEERS: Final[dict[str, type[Plain | DuckDB | VictoriaMetrics | InfluxDB]]] = {
    "victoriametrics": VictoriaMetrics, "influxdb": InfluxDB, "duckdb": DuckDB, "plain": Plain,
}  # fmt: skip
