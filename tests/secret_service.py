"""A real Secret Service, gnome-keyring's, on a session bus of its own: never the developer's keyring."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import secretstorage

STOP_S = 10
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
</policy></busconfig>
"""
"""A session bus that starts no service by itself: one that was ended must stay away."""


class SecretService:
    """Its bus's address is `address`; `environment` is what a program needs to find it."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "keyring home"
        self.home.mkdir(mode=0o700)
        config = self.home / "bus.conf"
        config.write_text(BUS)
        self._bus = subprocess.Popen(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address"],
            env=self._own(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._bus.stdout is not None
        self.address = self._bus.stdout.readline().strip()
        self.environment = {"DBUS_SESSION_BUS_ADDRESS": self.address}
        self._daemon: subprocess.Popen[bytes] | None = None
        self.start()

    def _own(self, **more: str) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        return kept | {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home)} | more

    def start(self) -> None:
        """Start the daemon with its keyring unlocked, and wait until it says that it is there."""
        self._daemon = subprocess.Popen(
            ["gnome-keyring-daemon", "--foreground", "--components=secrets", "--unlock"],
            env=self._own(**self.environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self._daemon.stdin is not None
        assert self._daemon.stdout is not None
        self._daemon.stdin.write(b"a password of the tests")
        self._daemon.stdin.close()
        # It prints where its control socket is once its names are taken.
        self._daemon.stdout.readline()
        deadline = time.monotonic() + STOP_S
        while not self._ready():
            assert time.monotonic() < deadline, "the keyring stays locked"
            time.sleep(0.02)

    def _ready(self) -> bool:
        with closing(self._connection()) as connection:
            try:
                return not secretstorage.get_default_collection(connection).is_locked()
            except secretstorage.SecretStorageException:
                return False

    def stop_daemon(self) -> None:
        """End the daemon as a crash would; the bus stays."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait(STOP_S)
            assert self._daemon.stdout is not None
            self._daemon.stdout.close()
            self._daemon = None

    def hang(self) -> None:
        """Let it answer nothing more; it can only be killed."""
        assert self._daemon is not None
        self._daemon.send_signal(signal.SIGSTOP)

    def _connection(self) -> secretstorage.DBusConnection:
        before = os.environ.get("DBUS_SESSION_BUS_ADDRESS")
        os.environ["DBUS_SESSION_BUS_ADDRESS"] = self.address
        try:
            return secretstorage.dbus_init()
        finally:
            if before is None:
                del os.environ["DBUS_SESSION_BUS_ADDRESS"]
            else:
                os.environ["DBUS_SESSION_BUS_ADDRESS"] = before

    def lock(self) -> None:
        """Lock the keyring; nobody is there to answer the prompt that unlocking brings."""
        with closing(self._connection()) as connection:
            secretstorage.get_default_collection(connection).lock()

    def entries(self) -> dict[str, str]:
        """Every entry by its service name."""
        while True:
            with closing(self._connection()) as connection, suppress(secretstorage.ItemNotFoundException):
                items = secretstorage.get_default_collection(connection).get_all_items()
                return {item.get_attributes().get("service", ""): item.get_secret().decode() for item in items}
            # One was removed while we looked: the list is made anew.

    def remove_all(self) -> None:
        """Delete every entry, as a user might."""
        with closing(self._connection()) as connection:
            for item in secretstorage.get_default_collection(connection).get_all_items():
                item.delete()

    def stop(self) -> None:
        """End both."""
        self.stop_daemon()
        self._bus.kill()
        self._bus.wait(STOP_S)
        assert self._bus.stdout is not None
        self._bus.stdout.close()
