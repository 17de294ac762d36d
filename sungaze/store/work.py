"""What is owed: looks that come round, spans of history that are missing, and how each call ended.

The queue carries ids only; losing it loses nothing, because everything here is asked again once its lease expires.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from sungaze.model import Span
from sungaze.store.database import Database
from sungaze.store.tables import Fetch

LEASE_S: Final = 180.0
"""How long a look may be under way before another worker takes it up. Longer than any single answer may take."""
FIRST_PRIORITY: Final = 10
"""Priorities below this go before all others; those from here on decide only among what fell due at one moment."""


class Look(msgspec.Struct, frozen=True):
    """Something that comes round. `site_id` 0 is the account as a whole."""

    id: int
    account_id: int
    resource: str
    site_id: int
    next_due: float
    priority: int
    attempts: int
    last_ok: float | None


class Gap(msgspec.Struct, frozen=True):
    """A span of history that is owed, small enough for one call or a few."""

    id: int
    account_id: int
    site_id: int
    resource: str
    span: Span
    reason: str
    attempts: int


class Owed(msgspec.Struct, frozen=True):
    """A span that is owed to a site, and when it may next be asked for."""

    account_id: int
    resource: str
    span: Span
    reason: str
    attempts: int
    not_before: float
    under_way: bool


class Progress(msgspec.Struct, frozen=True):
    """How much of the history asked for has come, in calls."""

    done: int
    total: int


class Work:
    """The work that one store knows of."""

    def __init__(self, database: Database) -> None:
        self._db = database

    # -- looks -------------------------------------------------------------------------------------------------------

    def plan_look(
        self, account_id: int, resource: str, site_id: int, next_due: float, priority: int, *, keep: bool = True
    ) -> None:
        """Have a look come round; with `keep` one that is planned already stays as it is, else it is moved."""
        then = "DO NOTHING" if keep else "DO UPDATE SET next_due = excluded.next_due, priority = excluded.priority"
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO due (account_id, resource, site_id, next_due, priority) VALUES (?, ?, ?, ?, ?) "
                f"ON CONFLICT (account_id, resource, site_id) {then}",
                (account_id, resource, site_id, next_due, priority),
            )

    def claim_looks(
        self,
        account_id: int,
        now: float,
        limit: int,
        owner: str,
        *,
        priority_at_most: int = 1 << 30,
        calls: Mapping[str, int] | None = None,
        allowance: int = 1 << 30,
    ) -> list[int]:
        """The ids of looks that are due, urgent ones first and then the longest due, now leased to `owner`.

        `calls` is what a look at each resource costs, one where it is not named: they end before the first that
        `allowance` does not reach, so that it is not passed over for ever.
        """
        costs = calls or {}
        with self._db.transaction():
            ids = []
            for look_id, resource in self._db.rows(
                "SELECT id, resource FROM due WHERE account_id = ? AND next_due <= ? AND (lease_until IS NULL OR "
                "lease_until <= ?) AND priority <= ? ORDER BY min(priority, ?), next_due, priority LIMIT ?",
                (account_id, now, now, priority_at_most, FIRST_PRIORITY, limit),
            ):
                allowance -= costs.get(resource, 1)
                if allowance < 0:
                    break
                ids.append(look_id)
            self._db.executemany(
                "UPDATE due SET lease_owner = ?, lease_until = ? WHERE id = ?", [(owner, now + LEASE_S, i) for i in ids]
            )
        return ids

    def look(self, look_id: int, owner: str) -> Look | None:
        """A look that `owner` holds, or None when it has gone or is another's."""
        row = self._db.row(
            "SELECT id, account_id, resource, site_id, next_due, priority, attempts, last_ok FROM due "
            "WHERE id = ? AND lease_owner = ?",
            (look_id, owner),
        )
        return Look(*row) if row else None

    def finish_look(self, look: Look, next_due: float, *, ok: bool, now: float, priority: int | None = None) -> None:
        """Give a look back with the moment it comes round again."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE due SET next_due = ?, priority = ?, lease_owner = NULL, lease_until = NULL, "
                "attempts = ?, last_ok = CASE WHEN ? THEN ? ELSE last_ok END WHERE id = ?",
                (
                    next_due,
                    look.priority if priority is None else priority,
                    0 if ok else look.attempts + 1,
                    ok,
                    now,
                    look.id,
                ),
            )

    def settle_look(
        self, account_id: int, resource: str, site_id: int, next_due: float, priority: int, now: float
    ) -> None:
        """Have a site's look come round as if it had just been asked: one for many sites has brought its answer.

        Whoever holds it keeps it, and gives it back.
        """
        self._db.execute(
            "UPDATE due SET next_due = ?, priority = ?, attempts = 0, last_ok = ? "
            "WHERE account_id = ? AND resource = ? AND site_id = ?",
            (next_due, priority, now, account_id, resource, site_id),
        )

    def put_off_look(self, look: Look, next_due: float, *, asked: float | None = None) -> None:
        """Give a look back that brought nothing, until another moment.

        `asked` is when it was asked, where that is better known than when it began.
        """
        with self._db.transaction():
            self._db.execute(
                "UPDATE due SET next_due = ?, lease_owner = NULL, lease_until = NULL, "
                "last_asked = ifnull(?, last_asked) WHERE id = ?",
                (next_due, asked, look.id),
            )

    def pull_in(self, now: float, shown: float) -> None:
        """Have come round now what was planned by a clock that stood ahead: by it, nothing was due before `shown`.

        A look of a long plan that lies beyond it too is asked once before its time.
        """
        with self._db.transaction():
            self._db.execute("UPDATE due SET next_due = ? WHERE next_due >= ?", (now, shown))
            self._db.execute("UPDATE gap SET not_before = ? WHERE not_before >= ? AND closed_at IS NULL", (now, shown))

    def in_flight(self, account_ids: Sequence[int], now: float) -> int:
        """Looks and gaps of these accounts that are under way."""
        marks = ",".join("?" * len(account_ids))
        return sum(
            int(
                self._db.scalar(
                    f"SELECT count(*) FROM {table} WHERE account_id IN ({marks}) AND lease_until > ?",
                    (*account_ids, now),
                )
            )
            for table in ("due", "gap")
        )

    def under_way(self, account_ids: Sequence[int], now: float) -> list[str]:
        """The resources that looks and gaps of these accounts are asking for now, one for each."""
        marks = ",".join("?" * len(account_ids))
        return [
            resource
            for table in ("due", "gap")
            for (resource,) in self._db.rows(
                f"SELECT resource FROM {table} WHERE account_id IN ({marks}) AND lease_until > ?", (*account_ids, now)
            )
        ]

    def begin_asking(self, look: Look, least_s: float, now: float) -> None:
        """Put down that a look is asked now, before it is: whatever comes, even a kill, the next is `least_s` away."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE due SET last_asked = ?, next_due = max(next_due, ?) WHERE id = ?", (now, now + least_s, look.id)
            )

    def hasten(self, account_id: int, least_s: Mapping[str, float], now: float, priority: int) -> int:
        """The number of looks of an account that are due now, after these resources were brought forward.

        Each resource comes no sooner than its `least_s` after it was last asked.
        """
        moved = 0
        with self._db.transaction():
            for resource, least in least_s.items():
                self._db.execute(
                    "UPDATE due SET next_due = max(?, COALESCE(last_asked, 0) + ?), priority = ?, attempts = 0 "
                    "WHERE account_id = ? AND resource = ?",
                    (now, least, priority, account_id, resource),
                )
                moved += int(
                    self._db.scalar(
                        "SELECT count(*) FROM due WHERE account_id = ? AND resource = ? AND next_due <= ?",
                        (account_id, resource, now),
                    )
                )
        return moved

    def hasten_site(self, account_id: int, site_id: int, resources: Iterable[str], now: float) -> None:
        """Bring looks of one site forward to now that nobody holds, but for those that must not come sooner."""
        with self._db.transaction():
            self._db.executemany(
                "UPDATE due SET next_due = min(next_due, ?) WHERE account_id = ? AND site_id = ? AND resource = ? "
                "AND last_asked IS NULL AND lease_until IS NULL",
                [(now, account_id, site_id, resource) for resource in resources],
            )

    def next_looks(self, resources: Sequence[str], sites: Iterable[int] | None = None) -> dict[int, float]:
        """When each site, or each of these, is next asked for one of these resources."""
        marks = ",".join("?" * len(resources))
        return dict(
            self._db.rows(
                f"SELECT site_id, min(next_due) FROM due WHERE resource IN ({marks}){_among(sites)} GROUP BY site_id",
                resources,
            )
        )

    def next_look_of_account(self, account_id: int) -> float | None:
        """When an account is next asked anything."""
        found = self._db.scalar("SELECT min(next_due) FROM due WHERE account_id = ?", (account_id,))
        return None if found is None else float(found)

    def give_back(self, owner: str, looks: Iterable[int], gaps: Iterable[int]) -> None:
        """Free what an owner has claimed and could not do, so that it is due again at once."""
        with self._db.transaction():
            for table, ids in (("due", looks), ("gap", gaps)):
                self._db.executemany(
                    f"UPDATE {table} SET lease_owner = NULL, lease_until = NULL WHERE id = ? AND lease_owner = ?",
                    [(i, owner) for i in ids],
                )

    def release_all(self) -> None:
        """Free every lease: this process is the only one that works on the store, and it has just started.

        One that was killed left its own behind, and waiting for them to expire would stop all polling.
        """
        with self._db.transaction():
            self._db.execute("DELETE FROM lease")
            for table in ("due", "gap"):
                self._db.execute(
                    f"UPDATE {table} SET lease_owner = NULL, lease_until = NULL WHERE lease_until IS NOT NULL"
                )

    # -- gaps --------------------------------------------------------------------------------------------------------

    def owe(
        self,
        account_id: int,
        site_id: int,
        resource: str,
        spans: Sequence[Span],
        *,
        reason: str,
        priority: int,
        now: float,
        not_before: float | None = None,
    ) -> None:
        """Have spans of history asked for; one that is owed already is not doubled."""
        with self._db.transaction():
            owed = set(
                self._db.rows(
                    "SELECT span_start, span_end FROM gap WHERE site_id = ? AND resource = ? AND closed_at IS NULL",
                    (site_id, resource),
                )
            )
            self._db.executemany(
                "INSERT INTO gap (account_id, site_id, resource, span_start, span_end, reason, priority, not_before, "
                "created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (account_id, site_id, resource, s.start, s.end, reason, priority, not_before or now, int(now))
                    for s in dict.fromkeys(spans)
                    if (s.start, s.end) not in owed
                ],
            )

    def claim_gaps(
        self,
        account_id: int,
        now: float,
        limit: int,
        owner: str,
        *,
        calls: Mapping[str, int] | None = None,
        allowance: int = 1 << 30,
    ) -> list[int]:
        """The ids of open gaps that may be filled, coarse and newest first, now leased to `owner`.

        `calls` and `allowance` as in `claim_looks`.
        """
        costs = calls or {}
        with self._db.transaction():
            ids = []
            for gap_id, resource in self._db.rows(
                "SELECT id, resource FROM gap WHERE account_id = ? AND closed_at IS NULL AND not_before <= ? AND "
                "(lease_until IS NULL OR lease_until <= ?) ORDER BY priority, span_end DESC, id LIMIT ?",
                (account_id, now, now, limit),
            ):
                allowance -= costs.get(resource, 1)
                if allowance < 0:
                    break
                ids.append(gap_id)
            self._db.executemany(
                "UPDATE gap SET lease_owner = ?, lease_until = ? WHERE id = ?", [(owner, now + LEASE_S, i) for i in ids]
            )
        return ids

    def gap(self, gap_id: int, owner: str) -> Gap | None:
        """An open gap that `owner` holds, or None."""
        row = self._db.row(
            "SELECT id, account_id, site_id, resource, span_start, span_end, reason, attempts FROM gap "
            "WHERE id = ? AND lease_owner = ? AND closed_at IS NULL",
            (gap_id, owner),
        )
        if row is None:
            return None
        id, account_id, site_id, resource, start, end, reason, attempts = row
        return Gap(id, account_id, site_id, resource, Span(start, end), reason, attempts)

    def close_gap(self, gap_id: int, outcome: str, now: float) -> None:
        """A gap is filled, or is known to be beyond filling."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE gap SET closed_at = ?, outcome = ?, lease_owner = NULL, lease_until = NULL WHERE id = ?",
                (int(now), outcome, gap_id),
            )

    def reopen_gaps(self, account_id: int, now: float) -> None:
        """What was given up is owed again: the user has mended the account (a password, a plan)."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE gap SET closed_at = NULL, outcome = NULL, attempts = 0, not_before = ? WHERE account_id = ? "
                "AND outcome LIKE 'given up%'",
                (now, account_id),
            )

    def forget_gaps(self, account_id: int, reasons: Sequence[str]) -> int:
        """The number of open gaps of these reasons that are owed no more; one that is being asked is let finish."""
        marks = ",".join("?" * len(reasons))
        with self._db.transaction(durable=True):
            return self._db.execute(
                f"DELETE FROM gap WHERE account_id = ? AND closed_at IS NULL AND lease_owner IS NULL "
                f"AND reason IN ({marks})",
                (account_id, *reasons),
            ).rowcount

    def postpone_gap(self, gap: Gap, not_before: float, *, failed: bool) -> None:
        """A gap has to wait."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE gap SET not_before = ?, attempts = ?, lease_owner = NULL, lease_until = NULL WHERE id = ?",
                (not_before, gap.attempts + failed, gap.id),
            )

    def progress(self, account_id: int) -> Progress:
        """How far the history of an account has come."""
        ((done, total),) = self._db.rows(
            "SELECT count(closed_at), count(*) FROM gap WHERE account_id = ?", (account_id,)
        )
        return Progress(int(done), int(total))

    def open_calls(self, account_id: int, calls: Mapping[str, int]) -> int:
        """Calls that the open gaps of an account cost, by what one of each resource costs."""
        return sum(
            number * calls.get(resource, 1)
            for resource, number in self._db.rows(
                "SELECT resource, count(*) FROM gap WHERE account_id = ? AND closed_at IS NULL GROUP BY resource",
                (account_id,),
            )
        )

    def owed_to_site(self, site_id: int, now: float) -> list[Owed]:
        """The spans of history that are still owed to a site, in the order in which they are asked for."""
        return [
            Owed(account, resource, Span(start, end), reason, attempts, not_before, bool(under_way))
            for account, resource, start, end, reason, attempts, not_before, under_way in self._db.rows(
                "SELECT account_id, resource, span_start, span_end, reason, attempts, not_before, "
                "COALESCE(lease_until > ?, 0) FROM gap WHERE site_id = ? AND closed_at IS NULL "
                "ORDER BY priority, span_end DESC, id",
                (now, site_id),
            )
        ]

    def open_gaps(self, account_id: int) -> int:
        """Spans of history of an account that are still owed."""
        return int(
            self._db.scalar("SELECT count(*) FROM gap WHERE account_id = ? AND closed_at IS NULL", (account_id,))
        )

    # -- what came of it ---------------------------------------------------------------------------------------------

    def record(
        self,
        *,
        account_id: int,
        site_id: int,
        resource: str,
        span: Span | None,
        started_at: float,
        ended_at: float,
        outcome: str,
        calls: int,
        samples: int,
        message: str = "",
    ) -> None:
        """Keep how a look or a gap ended."""
        Fetch.insert(
            account_id=account_id,
            site_id=site_id,
            resource=resource,
            span_start=span.start if span else None,
            span_end=span.end if span else None,
            started_at=int(started_at),
            ended_at=int(ended_at),
            outcome=outcome,
            calls=calls,
            samples=samples,
            message=message[:500],
        ).execute(self._db.peewee)

    def reach(self, site_id: int, resource: str, covered: Span) -> None:
        """Widen how far a resource's history is known to reach."""
        self._db.execute(
            "INSERT INTO watermark (site_id, resource, covered_from, covered_to) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (site_id, resource) DO UPDATE SET covered_from = min(covered_from, excluded.covered_from), "
            "covered_to = max(covered_to, excluded.covered_to)",
            (site_id, resource, covered.start, covered.end),
        )

    def covered(self, site_id: int, resource: str) -> Span | None:
        """How far a resource's history reaches, or None before its first answer."""
        row = self._db.row(
            "SELECT covered_from, covered_to FROM watermark WHERE site_id = ? AND resource = ?", (site_id, resource)
        )
        return Span(*row) if row else None

    def last_fetches(self, resources: Sequence[str], sites: Iterable[int] | None = None) -> dict[int, int]:
        """When each site, or each of these, was last asked for one of these resources with success."""
        marks = ",".join("?" * len(resources))
        found = self._db.rows(
            f"SELECT site_id, max(last_ok) FROM due WHERE resource IN ({marks}) AND last_ok IS NOT NULL{_among(sites)} "
            "GROUP BY site_id",
            resources,
        )
        return {site_id: int(at) for site_id, at in found}

    def worked_until(self) -> float | None:
        """When anything was last asked, of any account; None before the first time."""
        newest = self._db.scalar(
            "SELECT max(last) FROM (SELECT (SELECT max(ended_at) FROM fetch WHERE account_id = account.id) AS last"
            " FROM account)"
        )
        return None if newest is None else float(newest)

    def last_fetch_of_account(self, account_id: int) -> int | None:
        """When an account last brought anything."""
        found = self._db.scalar("SELECT max(last_ok) FROM due WHERE account_id = ?", (account_id,))
        return None if found is None else int(found)


def _among(sites: Iterable[int] | None) -> str:
    return "" if sites is None else f" AND site_id IN ({','.join(map(str, map(int, sites)))})"
