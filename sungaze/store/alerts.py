"""Alarms with their life: one row each, opened and resolved by what a vendor says or by a check's evidence."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from sungaze.errors import NotFound
from sungaze.model import SITE_DEVICE_ID, AlertFacts, AlertStatus, Severity
from sungaze.store.database import Database

VENDOR: Final = "vendor"
OWN: Final = "sungaze"
_COLUMNS: Final = (
    "alert.id, alert.site_id, alert.account_id, alert.device_id, alert.timestamp, alert.severity, alert.code, "
    "alert.description, alert.status, alert.vendor_alert_id, alert.source, alert.resolved_at, alert.acknowledged_at, "
    "COALESCE(site.vendor, account.vendor) AS vendor, COALESCE(site.user_alias, site.name) AS site_name, "
    "COALESCE(site.user_timezone, site.timezone) AS timezone, site.place_id, place.name AS place_name, "
    "account.label AS account_label, device.name AS device_name, device.serial_number AS device_serial, "
    "device.device_type"
)
_FROM: Final = (
    "FROM alert LEFT JOIN site ON site.id = alert.site_id LEFT JOIN account ON account.id = alert.account_id "
    "LEFT JOIN place ON place.id = site.place_id LEFT JOIN device ON device.id = alert.device_id"
)
_SEVERITIES: Final = (Severity.CRITICAL, Severity.ERROR, Severity.WARNING, Severity.INFO)
_RANK: Final = "CASE severity WHEN 'critical' THEN 0 WHEN 'error' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END"


class Standing(msgspec.Struct, frozen=True):
    """How the alarms of a site stand: how many go on, the worst of them with its words and its beginning, whether one
    says that it is silent, and the devices that have one worse than an information.
    """

    count: int
    worst: Severity
    silent: bool
    description: str = ""
    since: int = 0
    devices: frozenset[int] = frozenset()


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm, of a site or of an account, and what it is of by name. `vendor_alert_id` is the key within it and its
    source; `device_id` 0 is the site itself; `timezone` is the site's.
    """

    id: int
    site_id: int | None
    account_id: int | None
    device_id: int
    timestamp: int
    severity: str
    code: str
    description: str
    status: str
    vendor_alert_id: str
    source: str
    resolved_at: int | None
    acknowledged_at: int | None
    vendor: str
    site_name: str | None
    timezone: str | None
    place_id: int | None
    place_name: str | None
    account_label: str | None
    device_name: str | None
    device_serial: str | None
    device_type: str | None


class Alerts:
    """The alarms of one store."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def apply(
        self,
        facts: Sequence[AlertFacts],
        *,
        source: str,
        complete: bool,
        now: float,
        site_id: int | None = None,
        account_id: int | None = None,
        devices: Mapping[str, int] | None = None,
    ) -> bool:
        """Whether anything changed, after taking what a vendor or a check says of the alarms of a site or an account.

        Only with `complete` is an open alarm that is missing from `facts` resolved: a page that did not come proves
        nothing. One that goes on after it was resolved is open again, with its first time kept.
        """
        changed = False
        column, subject = ("site_id", site_id) if account_id is None else ("account_id", account_id)
        listed = {fact.vendor_alert_id: fact for fact in facts}
        with self._db.transaction():
            rows = self._db.dicts(f"SELECT * FROM alert WHERE {column} = ? AND source = ?", (subject, source))
            known = {row["vendor_alert_id"]: row for row in rows}
            for key, fact in listed.items():
                device_id = (devices or {}).get(fact.vendor_device_id, SITE_DEVICE_ID)
                if key in known:
                    # A device may become known after its alarm.
                    changed |= self._renew(known[key], fact, device_id or known[key]["device_id"])
                else:
                    self._insert(fact, source, site_id, account_id, device_id)
                    changed = True
            if complete:
                gone = [row["id"] for key, row in known.items() if key not in listed and row["resolved_at"] is None]
                self._db.executemany(
                    "UPDATE alert SET status = 'resolved', resolved_at = ? WHERE id = ?",
                    [(int(now), alert_id) for alert_id in gone],
                )
                changed |= bool(gone)
        return changed

    def _insert(
        self, fact: AlertFacts, source: str, site_id: int | None, account_id: int | None, device_id: int
    ) -> None:
        status = AlertStatus.OPEN if fact.resolved_at is None else AlertStatus.RESOLVED
        self._db.execute(
            "INSERT INTO alert (site_id, account_id, device_id, timestamp, severity, code, description, silent, "
            "status, vendor_alert_id, source, resolved_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                site_id, account_id, device_id, fact.timestamp, fact.severity.value, fact.code, fact.description,
                fact.silent, status.value, fact.vendor_alert_id, source, fact.resolved_at,
            ),
        )  # fmt: skip

    def _renew(self, row: Mapping[str, Any], fact: AlertFacts, device_id: int) -> bool:
        if fact.resolved_at is not None:
            status, resolved = AlertStatus.RESOLVED.value, fact.resolved_at
        elif row["resolved_at"] is not None:
            status, resolved = AlertStatus.OPEN.value, None
        else:
            status, resolved = row["status"], None
        wanted = (fact.severity.value, fact.description, status, resolved, device_id)
        if wanted == tuple(row[name] for name in ("severity", "description", "status", "resolved_at", "device_id")):
            return False
        self._db.execute(
            "UPDATE alert SET severity = ?, description = ?, status = ?, resolved_at = ?, device_id = ? WHERE id = ?",
            (*wanted, row["id"]),
        )
        return True

    def acknowledge(self, alert_id: int, now: float) -> AlertRow:
        """The alarm, seen by the user; it stays until it is resolved. Raises NotFound."""
        return self.acknowledge_all([alert_id], True, now)[0]

    def acknowledge_all(self, alert_ids: Iterable[int], seen: bool, now: float) -> list[AlertRow]:
        """These alarms, seen by the user or, with `seen` false, not; a resolved one stays as it is.

        Raises NotFound where one of them is not there; nothing was changed then.
        """
        ids = list(dict.fromkeys(alert_ids))
        before, after = AlertStatus.OPEN.value, AlertStatus.ACKNOWLEDGED.value
        if not seen:
            before, after = after, before
        with self._db.transaction(durable=True):
            for alert_id in ids:
                self.alert(alert_id)
            self._db.executemany(
                "UPDATE alert SET status = ?, acknowledged_at = ? WHERE id = ? AND status = ?",
                [(after, int(now) if seen else None, alert_id, before) for alert_id in ids],
            )
        return [self.alert(alert_id) for alert_id in ids]

    def alert(self, alert_id: int) -> AlertRow:
        """One alarm. Raises NotFound."""
        for row in self._db.dicts(f"SELECT {_COLUMNS} {_FROM} WHERE alert.id = ?", (alert_id,)):
            return msgspec.convert(row, AlertRow)
        raise NotFound("There is no such alert.")

    def alerts(
        self,
        *,
        site_id: int | None = None,
        going_on: bool | None = None,
        acknowledged: bool | None = None,
        severity: str | None = None,
        source: str | None = None,
        vendor: str | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> tuple[list[AlertRow], int]:
        """A page of alarms, and of how many: those that go on first, among them the worst and the newest first.

        Without a site those of archived sites and of accounts that were disconnected are left out.
        """
        where = ["site.archived_at IS NULL AND account.removed_at IS NULL"]
        parameters: list[int | str] = []
        if site_id is not None:
            where = ["alert.site_id = ?"]
            parameters.append(site_id)
        if going_on is not None:
            where.append("alert.resolved_at IS NULL" if going_on else "alert.resolved_at IS NOT NULL")
        if acknowledged is not None:
            where.append(f"alert.status {'=' if acknowledged else '<>'} 'acknowledged'")
        for column, value in (
            ("alert.severity", severity), ("alert.source", source), ("COALESCE(site.vendor, account.vendor)", vendor)
        ):  # fmt: skip
            if value is not None:
                where.append(f"{column} = ?")
                parameters.append(value)
        among = f"{_FROM} WHERE {' AND '.join(where)}"
        total = int(self._db.scalar(f"SELECT count(*) {among}", parameters))
        rows = self._db.dicts(
            f"SELECT {_COLUMNS} {among} ORDER BY alert.resolved_at IS NOT NULL, {_RANK}, alert.timestamp DESC, "
            "alert.id LIMIT ? OFFSET ?",
            (*parameters, limit, offset),
        )
        return [msgspec.convert(row, AlertRow) for row in rows], total

    def open_facts(self, site_id: int, source: str) -> list[AlertFacts]:
        """The alarms of a site that go on, as whoever told them would say it again."""
        rows = self._db.dicts(
            "SELECT alert.*, device.vendor_device_id FROM alert LEFT JOIN device ON device.id = alert.device_id "
            "WHERE alert.site_id = ? AND source = ? AND resolved_at IS NULL",
            (site_id, source),
        )
        return [
            AlertFacts(
                vendor_alert_id=row["vendor_alert_id"], code=row["code"], description=row["description"],
                severity=Severity(row["severity"]), timestamp=row["timestamp"], silent=bool(row["silent"]),
                vendor_device_id=row["vendor_device_id"] or "",
            )
            for row in rows
        ]  # fmt: skip

    def lives(self, sites: Iterable[int]) -> dict[int, tuple[list[int], int | None]]:
        """Of each of these sites that has alarms: the ids of those that go on, and when the newest to end did so."""
        found: dict[int, tuple[list[int], int | None]] = {}
        for site_id, alert_id, resolved in self._db.rows(
            "SELECT site_id, id, resolved_at FROM alert WHERE "
            f"site_id IN ({','.join(map(str, map(int, sites)))}) ORDER BY id"
        ):
            going_on, ended = found.get(site_id, ([], None))
            if resolved is None:
                going_on.append(alert_id)
            else:
                ended = max(resolved, ended or resolved)
            found[site_id] = (going_on, ended)
        return found

    def standings(self, sites: Iterable[int] | None = None) -> dict[int, Standing]:
        """How the alarms of each site, or of each of these, stand; a site without one that goes on is left out."""
        among = "" if sites is None else f" AND site_id IN ({','.join(map(str, map(int, sites)))})"
        rows = self._db.rows(
            f"SELECT site_id, {_RANK}, description, timestamp, silent, device_id FROM alert WHERE resolved_at IS NULL "
            f"AND site_id IS NOT NULL{among} ORDER BY site_id, 2, timestamp, id"
        )
        found: dict[int, Standing] = {}
        for site_id, mine in itertools.groupby(rows, key=operator.itemgetter(0)):
            group = list(mine)
            _, rank, description, since, _, _ = group[0]
            found[site_id] = Standing(
                count=len(group), worst=_SEVERITIES[rank], silent=any(row[4] for row in group),
                description=description, since=since,
                devices=frozenset(row[5] for row in group if row[5] and _SEVERITIES[row[1]] != Severity.INFO),
            )  # fmt: skip
        return found
