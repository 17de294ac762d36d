"""Messages that come by themselves: which were taken, which could not be, and what is known of each sender."""

from __future__ import annotations

import zlib
from typing import Final

from sungaze.store.database import Database

KEPT_S: Final = 31 * 86_400
"""How long a message may come again (vendors/cps.md 3)."""
MOST_DEAD: Final = 10_000
MOST_DEAD_BYTES: Final = 65_536


class Messages:
    """The messages of one store. Write inside the transaction that also takes what the message brought."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def is_new(self, account_id: int, sender: str, message_id: str, now: float) -> bool:
        """Whether a message was not taken before; it counts as taken from now on."""
        return (
            self._db.executemany(
                "INSERT INTO message (account_id, sender, message_id, taken_at) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                [(account_id, sender, message_id, int(now))],
            )
            > 0
        )

    def bury(self, account_id: int, way: str, reason: str, body: bytes, now: float) -> None:
        """Keep what could not be taken, with its reason, cut to MOST_DEAD_BYTES."""
        self._db.execute(
            "INSERT INTO dead_letter (account_id, way, received_at, reason, size, body) VALUES (?, ?, ?, ?, ?, ?)",
            (account_id, way, int(now), reason[:300], len(body), zlib.compress(body[:MOST_DEAD_BYTES], 1)),
        )

    def dead(self, account_id: int) -> int:
        """How many messages and records of an account could not be taken in the last 31 days."""
        return int(self._db.scalar("SELECT count(*) FROM dead_letter WHERE account_id = ?", (account_id,)))

    def dead_letters(self, account_id: int, limit: int = 20) -> list[tuple[int, str, bytes]]:
        """The newest of them: when each came, why it was refused, and its beginning."""
        rows = self._db.rows(
            "SELECT received_at, reason, body FROM dead_letter WHERE account_id = ? ORDER BY id DESC LIMIT ?",
            (account_id, limit),
        )
        return [(int(at), reason, zlib.decompress(body)) for at, reason, body in rows]

    def facts(self, account_id: int, sender: str) -> str | None:
        """What was kept of a sender, None for one that was never heard of."""
        found: str | None = self._db.scalar(
            "SELECT facts FROM sender WHERE account_id = ? AND sender = ?", (account_id, sender)
        )
        return found

    def keep_facts(self, account_id: int, sender: str, facts: str) -> None:
        """Keep what is known of a sender."""
        self._db.execute(
            "INSERT INTO sender (account_id, sender, facts) VALUES (?, ?, ?) "
            "ON CONFLICT (account_id, sender) DO UPDATE SET facts = excluded.facts",
            (account_id, sender, facts),
        )

    def senders(self, account_id: int) -> dict[str, str]:
        """What is known of every sender of an account."""
        return dict(self._db.rows("SELECT sender, facts FROM sender WHERE account_id = ?", (account_id,)))

    def forget_old(self, now: float) -> None:
        """Drop the keys and the dead letters of more than 31 days ago, and the oldest dead letters beyond MOST_DEAD."""
        with self._db.transaction():
            self._db.execute("DELETE FROM message WHERE taken_at < ?", (int(now) - KEPT_S,))
            self._db.execute("DELETE FROM dead_letter WHERE received_at < ?", (int(now) - KEPT_S,))
            self._db.execute("DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM dead_letter) - ?", (MOST_DEAD,))
