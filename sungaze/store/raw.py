"""Raw answers, packed: what vendors said, for as long as a mended reader may want to read it again."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from sungaze.model import DAY_S, Reading
from sungaze.store.database import Database

KEPT_S: Final = 30 * DAY_S
LEVEL: Final = 1
"""The quickest packing: JSON of figures shrinks to a tenth by it, and the better ones cost more time than reading."""
MOST_AT_ONCE: Final = 500
"""Rows that one pruning transaction takes at the most, so that none is long."""


class RawAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer as it came, and what was asked; `id` counts in the order of taking, 0 before it is kept.

    `site_id` 0 is the whole account. `parser` is the version of the readers that read it first; `params` and `headers`
    hold no secret.
    """

    id: int = 0
    account_id: int
    site_id: int
    resource: str
    fetched_at: float
    parser: int
    status: int
    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes


class Derived:
    """What all answers together say, in a file of its own that ends with it: there may be more than memory holds.

    Of two readings of the same the one that was put later stands.
    """

    def __init__(self) -> None:
        self._db = sqlite3.connect("")
        self._db.execute(
            "CREATE TABLE derived (site_id INTEGER, device TEXT, metric TEXT, interval_s INTEGER, timestamp INTEGER, "
            "value REAL, PRIMARY KEY (site_id, device, metric, interval_s, timestamp)) WITHOUT ROWID"
        )

    def put(self, site_id: int, readings: Iterable[Reading]) -> None:
        """Take what an answer says of a site."""
        self._db.executemany(
            "INSERT OR REPLACE INTO derived VALUES (?, ?, ?, ?, ?, ?)",
            # SQLite takes NaN for null, and a stamp of more than 64 bits not at all: neither could be stored anyway.
            [
                (site_id, r.vendor_device_id, r.metric_name, r.interval_s, r.timestamp, r.value)
                for r in readings
                if abs(r.timestamp) < 2**62 and r.value == r.value
            ],
        )

    def sites(self) -> list[int]:
        """The sites that something is said of."""
        return [site_id for (site_id,) in self._db.execute("SELECT DISTINCT site_id FROM derived")]

    def series(self, site_id: int) -> Iterator[list[Reading]]:
        """What is said of a site, one series after the other, each in the order of time."""
        keys = self._db.execute(
            "SELECT DISTINCT device, metric, interval_s FROM derived WHERE site_id = ?", (site_id,)
        ).fetchall()
        for device, metric, interval_s in keys:
            rows = self._db.execute(
                "SELECT timestamp, value FROM derived WHERE site_id = ? AND device = ? AND metric = ? "
                "AND interval_s = ? ORDER BY timestamp",
                (site_id, device, metric, interval_s),
            )
            yield [Reading(device, metric, interval_s, t, v) for t, v in rows]

    def close(self) -> None:
        """Let it go."""
        self._db.close()


class RawAnswers:
    """The raw answers of one store."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def keep(self, answers: Iterable[RawAnswer]) -> None:
        """Put answers down, in the transaction that is open or in one of their own."""
        rows = []
        for one in answers:
            packed = zlib.compress(one.body, LEVEL)
            rows.append(
                (
                    one.account_id, one.site_id, one.resource, one.fetched_at, one.parser, one.status, one.method,
                    one.path, msgspec.json.encode(one.params).decode(), msgspec.json.encode(one.headers).decode(),
                    len(packed), packed,
                )
            )  # fmt: skip
        if rows:
            with self._db.transaction():
                self._db.executemany(
                    "INSERT INTO raw_answer (account_id, site_id, resource, fetched_at, parser, status, method, path, "
                    "params, headers, size, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    rows,
                )

    def answers(
        self, *, account_id: int | None = None, since: float | None = None, first: int = 0, last: int | None = None
    ) -> Iterator[RawAnswer]:
        """What is kept, of one account or of all, in the order of taking; one at a time, however much there is.

        Between `first` and `last` (ids, both included) where these are given.
        """
        where, values = ["id >= ?"], [float(first)]
        for clause, value in (("account_id = ?", account_id), ("fetched_at >= ?", since), ("id <= ?", last)):
            if value is not None:
                where.append(clause)
                values.append(value)
        for (number,) in self._db.rows(f"SELECT id FROM raw_answer WHERE {' AND '.join(where)} ORDER BY id", values):
            for row in self._db.dicts("SELECT * FROM raw_answer WHERE id = ?", (number,)):
                yield RawAnswer(
                    id=row["id"], account_id=row["account_id"], site_id=row["site_id"], resource=row["resource"],
                    fetched_at=row["fetched_at"], parser=row["parser"], status=row["status"], method=row["method"],
                    path=row["path"], body=zlib.decompress(row["body"]),
                    params=msgspec.json.decode(row["params"], type=tuple[tuple[str, str], ...]),
                    headers=msgspec.json.decode(row["headers"], type=dict[str, str]),
                )  # fmt: skip

    def packed_bytes(self) -> int:
        """How much room the answers take, packed."""
        return int(self._db.scalar("SELECT COALESCE(sum(size), 0) FROM raw_answer"))

    def prune(self, now: float, most_bytes: int) -> int:
        """The number of answers let go: those older than KEPT_S, then the oldest until `most_bytes` hold the rest."""
        newest = self._db.scalar("SELECT max(id) FROM raw_answer WHERE fetched_at < ?", (now - KEPT_S,)) or 0
        beyond = self._db.scalar(
            "SELECT max(id) FROM (SELECT id, sum(size) OVER (ORDER BY id DESC) AS room FROM raw_answer) WHERE room > ?",
            (most_bytes,),
        )
        # By id alone: what stays is then all that came after a moment, which repairing relies on.
        until, gone = max(newest, beyond or 0), 0
        while True:
            with self._db.transaction():
                taken = self._db.executemany(
                    "DELETE FROM raw_answer WHERE id IN (SELECT id FROM raw_answer WHERE id <= ? ORDER BY id LIMIT ?)",
                    [(until, MOST_AT_ONCE)],
                )
            gone += taken
            if taken < MOST_AT_ONCE:
                return gone
