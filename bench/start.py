"""How long `sungaze --server` takes until it answers, beside the mere import of the packages that it needs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from bench._measure import Row, median

RUNS = 7
PACKAGES = "litestar, uvicorn, msgspec, peewee, huey, httpx, dotenv, click, astral"


def rows() -> list[Row]:
    """The two in turn, their medians, and the median of the ratios."""
    imports, starts = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(RUNS):
            imports.append(_import())
            starts.append(_start(Path(folder)))
    ratio = median([start / imported for start, imported in zip(starts, imports, strict=True)])
    return [
        Row("import of the packages alone, whole process", f"median {median(imports):.2f} s"),
        Row("sungaze --server, until health answers", f"median {median(starts):.2f} s ({ratio:.2f} × the import)"),
    ]


def _import() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {PACKAGES}"], check=True)
    return time.perf_counter() - started


def _start(folder: Path) -> float:
    started = time.perf_counter()
    command = [sys.executable, "-m", "sungaze.cli", "--server", "--data-dir", str(folder)]
    environment = {**os.environ, "SUNGAZE_LOG": "error"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        address = urlsplit(process.stdout.readline().strip())
        httpx.get(f"http://{address.netloc}/api/health", trust_env=False).raise_for_status()
        took = time.perf_counter() - started
        process.send_signal(signal.SIGTERM)
    return took
