"""The quota ledger: every call is spent here before it is made, by every thread and process, and across restarts.

A scope is a salted fingerprint of the application's key: accounts that share a key share its quota. Minute windows
slide, with a margin, because a clock-minute spent to the brim can land on the vendor's side of the boundary. Day and
month windows are those of the UTC calendar. What the vendor itself says of its count corrects ours (`hear`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

import msgspec

from sungaze.store.database import Database

MINUTE_S: Final = 62.0
"""A minute and the margin for the difference between our clock and the vendor's."""
LEASE_S: Final = 90.0
SKEW_S: Final = 3.0
"""How far the vendor's clock may be off ours."""
SWEEP_EVERY: Final = 32
"""Calls between two sweeps of those that no minute holds any more."""


class Window(msgspec.Struct, frozen=True):
    """A limit as the ledger needs it: `limit` calls in each `minute`, `day` or `month`."""

    window: str
    limit: int


class Heard(msgspec.Struct, frozen=True):
    """What a vendor said of a window: its own limit, and how many calls remain in it now.

    `by_clock` says that a minute is the clock's; without it, it is taken to slide.
    """

    window: str
    limit: int
    remaining: int
    by_clock: bool = False


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
    return _window_span(window, int(now // 86_400))


@lru_cache(maxsize=1_000)
def _window_span(window: str, day: int) -> tuple[int, int]:
    moment = dt.datetime.fromtimestamp(day * 86_400, dt.UTC)
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
            number = self._db.execute("INSERT INTO call (scope, at) VALUES (?, ?)", (scope, at)).lastrowid
            if not (number or 0) % SWEEP_EVERY:
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
                last_but = self._db.scalar(
                    "SELECT at FROM call WHERE scope = ? AND at > ? ORDER BY at DESC LIMIT 1 OFFSET ?",
                    (scope, now - MINUTE_S, window.limit - 1),
                )
                if last_but is not None:
                    waits.append(float(last_but) + MINUTE_S)
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
                ((used, first),) = self._db.rows(
                    "SELECT count(*), min(at) FROM call WHERE scope = ? AND at > ?", (scope, now - MINUTE_S)
                )
                resets = math.ceil(first + MINUTE_S) if used else int(now)
                found.append(Standing("minute", used, window.limit, resets))
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

    def note_screen(self, scope: str, now: float) -> None:
        """Count a look that was made for a site on screen; the planner keeps those within a share of the day."""
        start, _ = window_span("day", now)
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO quota (scope, \"window\", window_start, used) VALUES (?, 'screen', ?, 1) "
                'ON CONFLICT (scope, "window", window_start) DO UPDATE SET used = used + 1',
                (scope, start),
            )

    def screen_used(self, scope: str, now: float) -> int:
        """Looks of this UTC day that were made for sites on screen."""
        return self._used(scope, "screen", window_span("day", now)[0])

    # -- the user's word ---------------------------------------------------------------------------------------------

    def caps(self, scope: str) -> dict[str, int]:
        """What the user lets a scope spend, by window; a window that is not in it keeps to what is included."""
        return dict(self._db.rows('SELECT "window", cap FROM quota_cap WHERE scope = ?', (scope,)))

    def set_caps(self, scope: str, caps: Mapping[str, int | None], now: float) -> None:
        """Keep the user's own caps; None takes one back."""
        with self._db.transaction(durable=True):
            for window, cap in caps.items():
                if cap is None:
                    self._db.execute('DELETE FROM quota_cap WHERE scope = ? AND "window" = ?', (scope, window))
                else:
                    self._db.execute(
                        'INSERT INTO quota_cap (scope, "window", cap, set_at) VALUES (?, ?, ?, ?) '
                        'ON CONFLICT (scope, "window") DO UPDATE SET cap = excluded.cap, set_at = excluded.set_at',
                        (scope, window, cap, int(now)),
                    )

    # -- the vendor's word -------------------------------------------------------------------------------------------

    def block(self, scope: str, until: float, reason: str) -> None:
        """The vendor refused: spend nothing before `until`, whatever our own count says."""
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO quota_block (scope, until, reason) VALUES (?, ?, ?) ON CONFLICT (scope) DO UPDATE SET "
                "until = max(until, excluded.until), "
                "reason = CASE WHEN excluded.until >= until THEN excluded.reason ELSE reason END",
                (scope, until, reason),
            )

    def hear(self, scope: str, windows: Sequence[Window], said: Sequence[Heard], now: float) -> None:
        """Let what the vendor said of its count correct ours, for each window that is kept.

        More used than we know of means that another application shares the key. Less is believed of a day or a month
        only: of a minute ours slides and the vendor's begins anew, so that its count is lower for no reason.
        """
        limits = {window.window: window.limit for window in windows}
        for word in said:
            limit = limits.get(word.window)
            if limit is None or word.limit < 0 or word.remaining < 0:
                continue
            if word.window == "minute" or word.remaining == 0:
                # Of a minute what is left counts, not the limit: ours may be a part of the vendor's by our own choice.
                used = limit - min(limit, word.remaining)
            else:
                used = max(0, word.limit - word.remaining)
            if word.window == "minute":
                second = now % 60
                # Near the turn of a minute the vendor may be in another one than we are.
                since = second if word.by_clock and SKEW_S <= second <= 60 - SKEW_S else MINUTE_S
                self._raise_minute(scope, used, now, since)
            elif used != self._used(scope, word.window, window_span(word.window, now)[0]):
                self.correct(scope, word.window, used, now)

    def _raise_minute(self, scope: str, used: int, now: float, since_s: float) -> None:
        """Put down calls that others made, so that no fewer than `used` stand in the last `since_s` seconds."""
        ours = "SELECT count(*) FROM call WHERE scope = ? AND at > ?"
        if used <= self._db.scalar(ours, (scope, now - since_s)):
            return
        with self._db.transaction():
            missing = used - int(self._db.scalar(ours, (scope, now - since_s)))
            at = self._not_before_the_last(scope, now)
            self._db.executemany("INSERT INTO call (scope, at) VALUES (?, ?)", [(scope, at)] * max(0, missing))

    def correct(self, scope: str, window: str, used: int, now: float) -> None:
        """The vendor's own count of a window: a day's or a month's replaces ours, a minute's can only raise it."""
        if window == "minute":
            self._raise_minute(scope, used, now, MINUTE_S)
            return
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
