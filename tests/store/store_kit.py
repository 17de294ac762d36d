"""What the store's tests share: a moment, an account, and processes of their own."""

from __future__ import annotations

import subprocess
import sys

from sungaze.store import Store

NOW = 1_780_315_200
"""2026-06-01 12:00 UTC."""


def connect(store: Store, id: int) -> int:
    with store.database.transaction():
        return store.fleet.add_account(
            id=id, vendor="enphase", method="password", plan="partner", label=f"Account {id}", base_url=None,
            scope=f"enphase:{id}", identity=f"me{id}", now=NOW,
        )  # fmt: skip


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that runs a few lines; its arguments are `sys.argv[1:]`."""
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def said(process: subprocess.Popen[str]) -> str:
    """What it printed, once it has ended well."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()
