"""The quota ledger: every call is spent here before it is made, by every thread and process, and across restarts.

A scope is a salted fingerprint of the application's key: accounts that share a key share its quota. Minute windows
slide, with a margin, because a clock-minute spent to the brim can land on the vendor's side of the boundary. Day and
month windows are those of the UTC calendar.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec

from sungaze.store.database import Database

MINUTE_S: Final = 62.0
"""A minute and the margin for the difference between our clock and the vendor's."""
LEASE_S: Final = 90.0


class Window(msgspec.Struct, frozen=True):
    """A limit as the ledger needs it: `limit` calls in each `minute`, `day` or `month`."""

    window: str
    limit: int


class Standing(msgspec.Struct, frozen=True):
    """How one window stands. `resets_at` is when a spent window gives again."""

    window: str
    used: int
    limit: int
    resets_at: int

    @property
    def left(self) -> int:
        """Calls that may still be made."""
        return max(0, self.limit - self.used)


def window_span(window: str, now: float) -> tuple[int, int]:
    """Start and end of the calendar window (UTC) that holds `now`."""
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    start = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if window == "day":
        return int(start.timestamp()), int(start.timestamp()) + 86_400
    if window != "month":
        raise ValueError(f"a window is minute, day or month, not {window}")
    start = start.replace(day=1)
    following = (start + dt.timedelta(days=32)).replace(day=1)
    return int(start.timestamp()), int(following.timestamp())


class Ledger:
    """The calls spent in one store."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def scope(self, vendor: str, key: str) -> str:
        """The scope of an application's key. The key cannot be found from it."""
        with self._db.transaction():
            salt = self._db.scalar("SELECT value FROM meta WHERE name = 'salt'")
            if salt is None:
                salt = secrets.token_hex(16)
                self._db.execute("INSERT INTO meta (name, value) VALUES ('salt', ?)", (salt,))
        digest = hashlib.blake2b(key.encode(), key=bytes.fromhex(salt), digest_size=12).hexdigest()
        return f"{vendor}:{digest}"

    def spend(self, scope: str, windows: Sequence[Window], now: float, *, history: bool = False) -> float | None:
        """Spend one call, and None; or spend nothing, and the instant at which one may be spent.

        `history` marks a call that buys history, which the planner keeps within its own share.
        """
        with self._db.transaction(durable=True):
            at = self._not_before_the_last(scope, now)
            until = self._barred_until(scope, windows, now)
            if until is not None:
                return until
            self._db.execute("INSERT INTO call (scope, at) VALUES (?, ?)", (scope, at))
            self._db.execute("DELETE FROM call WHERE scope = ? AND at < ?", (scope, now - 2 * MINUTE_S))
            for window in windows:
                if window.window != "minute":
                    start, _ = window_span(window.window, now)
                    self._db.execute(
                        'INSERT INTO quota (scope, "window", window_start, used, history) VALUES (?, ?, ?, 1, ?) '
                        'ON CONFLICT (scope, "window", window_start) DO UPDATE SET used = used + 1, '
                        "history = history + excluded.history",
                        (scope, window.window, start, int(history)),
                    )
        return None

    def _not_before_the_last(self, scope: str, now: float) -> float:
        """The instant to put a call down at: never before the last one, whatever the clock does.

        A thread that waited for its turn has an older `now` than the one before it. A clock that was set back by more
        than that leaves calls in its future: they were made by now at the latest, and would bar the scope for as long
        as the clock was wrong.
        """
        last = self._db.scalar("SELECT max(at) FROM call WHERE scope = ?", (scope,))
        if last is None or last <= now:
            return now
        if last - now <= MINUTE_S:
            return float(last)
        self._db.execute("UPDATE call SET at = ? WHERE scope = ? AND at > ?", (now, scope, now))
        return now

    def _barred_until(self, scope: str, windows: Sequence[Window], now: float) -> float | None:
        blocked = self._db.scalar("SELECT until FROM quota_block WHERE scope = ? AND until > ?", (scope, now))
        waits = [float(blocked)] if blocked is not None else []
        for window in windows:
            if window.window == "minute" and window.limit < 1:
                waits.append(now + MINUTE_S)
            elif window.window == "minute":
                recent = self._db.rows(
                    "SELECT at FROM call WHERE scope = ? AND at > ? ORDER BY at DESC LIMIT ?",
                    (scope, now - MINUTE_S, window.limit),
                )
                if len(recent) >= window.limit:
                    waits.append(float(recent[-1][0]) + MINUTE_S)
            else:
                start, end = window_span(window.window, now)
                if self._used(scope, window.window, start) >= window.limit:
                    waits.append(float(end))
        return max(waits) if waits else None

    def _used(self, scope: str, window: str, start: int) -> int:
        used = self._db.scalar(
            'SELECT used FROM quota WHERE scope = ? AND "window" = ? AND window_start = ?', (scope, window, start)
        )
        return int(used or 0)

    def standing(self, scope: str, windows: Sequence[Window], now: float) -> list[Standing]:
        """How each window stands."""
        found = []
        for window in windows:
            if window.window == "minute":
                recent = self._db.rows(
                    "SELECT at FROM call WHERE scope = ? AND at > ? ORDER BY at", (scope, now - MINUTE_S)
                )
                resets = math.ceil(recent[0][0] + MINUTE_S) if recent else int(now)
                found.append(Standing("minute", len(recent), window.limit, resets))
            else:
                start, end = window_span(window.window, now)
                found.append(Standing(window.window, self._used(scope, window.window, start), window.limit, end))
        return found

    def history_used(self, scope: str, window: str, now: float) -> int:
        """Calls of the running window that bought history."""
        start, _ = window_span(window, now)
        used = self._db.scalar(
            'SELECT history FROM quota WHERE scope = ? AND "window" = ? AND window_start = ?', (scope, window, start)
        )
        return int(used or 0)

    def block(self, scope: str, until: float, reason: str) -> None:
        """The vendor refused: spend nothing before `until`, whatever our own count says."""
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO quota_block (scope, until, reason) VALUES (?, ?, ?) ON CONFLICT (scope) DO UPDATE SET "
                "until = max(until, excluded.until), "
                "reason = CASE WHEN excluded.until >= until THEN excluded.reason ELSE reason END",
                (scope, until, reason),
            )

    def correct(self, scope: str, window: str, used: int, now: float) -> None:
        """The vendor's own count of a calendar window, in either direction."""
        start, _ = window_span(window, now)
        with self._db.transaction():
            self._db.execute(
                'INSERT INTO quota (scope, "window", window_start, used) VALUES (?, ?, ?, ?) '
                'ON CONFLICT (scope, "window", window_start) DO UPDATE SET used = excluded.used',
                (scope, window, start, used),
            )

    def take(self, scope: str, slots: int, holder: str, now: float) -> int | None:
        """A free slot of a scope, held for LEASE_S seconds, or None when all are held."""
        with self._db.transaction():
            held = {
                slot
                for (slot,) in self._db.rows("SELECT slot FROM lease WHERE scope = ? AND expires > ?", (scope, now))
            }
            free = next((slot for slot in range(slots) if slot not in held), None)
            if free is not None:
                self._db.execute(
                    "INSERT INTO lease (scope, slot, holder, expires) VALUES (?, ?, ?, ?) ON CONFLICT (scope, slot) "
                    "DO UPDATE SET holder = excluded.holder, expires = excluded.expires",
                    (scope, free, holder, now + LEASE_S),
                )
        return free

    def release(self, scope: str, slot: int, holder: str) -> None:
        """Give a slot back, if it is still this holder's."""
        with self._db.transaction():
            self._db.execute("DELETE FROM lease WHERE scope = ? AND slot = ? AND holder = ?", (scope, slot, holder))

    @contextmanager
    def lease(self, scope: str, slots: int = 1, *, patience_s: float = 60.0) -> Iterator[None]:
        """Hold one slot of a scope, waiting for it. Raises TimeoutError when none came free in time.

        A holder that was killed frees its slot by expiry.
        """
        holder = secrets.token_hex(8)
        started = time.monotonic()
        # The wall clock, not the program's `now`: a simulated or frozen clock must not make a lease eternal.
        while (slot := self.take(scope, slots, holder, time.time())) is None:
            if time.monotonic() - started > patience_s:
                raise TimeoutError(f"no slot of {scope.split(':')[0]} came free")
            time.sleep(0.05)
        try:
            yield
        finally:
            self.release(scope, slot, holder)
