"""Places, sites, devices and the accounts that see them: written by what vendors say and by what the user sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from sungaze import clock
from sungaze.errors import NotFound
from sungaze.model import PRODUCING_TYPES, DeviceFacts, DeviceStatus, DeviceType, SiteFacts
from sungaze.store.database import Database
from sungaze.store.tables import Account, AccountSite, Device, Flip, Place, Site
from sungaze.store.timeseries import Rating, TimeSeries

USER_FIELDS: Final = {
    "alias": "user_alias",
    "timezone": "user_timezone",
    "peak_power_kw": "user_peak_power_kw",
    "latitude": "user_latitude",
    "longitude": "user_longitude",
    "tilt": "tilt",
    "azimuth": "azimuth",
    "tags": "tags",
}
"""What the user may set, and the column that keeps it apart from the vendor's word."""

_DEVICE_COLUMNS: Final = (
    "device_type", "name", "model", "manufacturer", "status", "serial_number", "part_number", "firmware",
    "installed_on", "last_reported_at", "rated_w",
)  # fmt: skip


class SiteRow(msgspec.Struct, frozen=True, kw_only=True):
    """A site as it counts: the user's word over the vendor's. `position_source` is user, vendor, zone or none."""

    id: int
    vendor: str
    vendor_site_id: str
    place_id: int
    place_name: str
    role: str
    name: str
    vendor_name: str
    alias: str | None
    status: str
    communication: str
    production: str
    peak_power_kw: float | None
    address_info: dict[str, str]
    connection: str | None
    reference: str | None
    timezone: str | None
    timezone_source: str
    latitude: float | None
    longitude: float | None
    position_source: str
    tilt: float | None
    azimuth: float | None
    installed_on: str | None
    last_updated: int | None
    last_energy_at: int | None
    not_visible_since: int | None
    archived_at: int | None
    user_set: tuple[str, ...]
    tags: tuple[str, ...] = ()
    customer: str | None = None

    @property
    def address(self) -> str:
        """The address in one line."""
        parts = ("street", "postal_code", "city", "state", "country")
        return ", ".join(self.address_info[p] for p in parts if self.address_info.get(p))


class AccountRow(msgspec.Struct, frozen=True, kw_only=True):
    """An account that is connected, or was (`removed_at`)."""

    id: int
    vendor: str
    method: str
    plan: str
    label: str
    base_url: str | None
    scope: str
    identity: str
    state: str
    state_reason: str
    state_since: int
    retry_at: int | None
    created_at: int
    removed_at: int | None
    consented_at: int | None
    paused_at: int | None = None


class Placement(msgspec.Struct, frozen=True):
    """A place on the roof by the user's word: an array, and a row and a column in it, from 1."""

    array: str | None
    row: int
    column: int


class DeviceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A device of a site. `position` is the vendor's drawing as JSON; the user's array, row and column go before it."""

    id: int
    site_id: int
    vendor_device_id: str
    device_type: str
    name: str | None
    model: str | None
    manufacturer: str | None
    status: str
    serial_number: str | None
    part_number: str | None
    firmware: str | None
    installed_on: str | None
    parent_id: int | None
    last_reported_at: int | None
    rated_w: float | None
    replaces_id: int | None
    first_seen: int
    position: str | None
    user_array: str | None
    user_row: int | None
    user_column: int | None

    @property
    def vendor_position(self) -> tuple[float, float] | None:
        """The vendor's x and y, in the units of its drawing."""
        drawn = msgspec.json.decode(self.position, type=dict[str, float]) if self.position else {}
        return (drawn["x"], drawn["y"]) if "x" in drawn and "y" in drawn else None

    @property
    def user_position(self) -> Placement | None:
        """Where the user put it."""
        if self.user_row is None or self.user_column is None:
            return None
        return Placement(self.user_array, self.user_row, self.user_column)


class FlipRow(msgspec.Struct, frozen=True):
    """A change that was put down: of what, from what to what, and why."""

    at: int
    what: str
    before: str | None
    after: str | None
    reason: str


_SITE_SQL = (
    "SELECT site.*, place.name AS place_name, place.customer AS customer FROM site "
    "JOIN place ON place.id = site.place_id"
)


def _site_row(row: Mapping[str, Any]) -> SiteRow:
    timezone = row["user_timezone"] or row["timezone"]
    latitude, longitude, source = row["user_latitude"], row["user_longitude"], "user"
    if latitude is None or longitude is None:
        latitude, longitude, source = row["latitude"], row["longitude"], "vendor"
    if latitude is None or longitude is None:
        city = clock.zone_city(timezone)
        latitude, longitude = city or (None, None)
        source = "zone" if city else "none"
    return SiteRow(
        id=row["id"],
        vendor=row["vendor"],
        vendor_site_id=row["vendor_site_id"],
        place_id=row["place_id"],
        place_name=row["place_name"],
        role=row["role"],
        name=row["user_alias"] or row["name"],
        vendor_name=row["name"],
        alias=row["user_alias"],
        status=row["status"],
        communication=row["communication"],
        production=row["production"],
        peak_power_kw=row["user_peak_power_kw"] if row["user_peak_power_kw"] is not None else row["peak_power_kw"],
        address_info=msgspec.json.decode(row["address_info"], type=dict[str, str]),
        connection=row["connection"],
        reference=row["reference"],
        timezone=timezone,
        timezone_source="user" if row["user_timezone"] else "vendor" if row["timezone"] else "none",
        latitude=latitude,
        longitude=longitude,
        position_source=source,
        tilt=row["tilt"],
        azimuth=row["azimuth"],
        installed_on=row["installed_on"],
        last_updated=row["last_updated"],
        last_energy_at=row["last_energy_at"],
        not_visible_since=row["not_visible_since"],
        archived_at=row["archived_at"],
        user_set=tuple(field for field, column in USER_FIELDS.items() if row[column] is not None and field != "tags"),
        tags=tuple(msgspec.json.decode(row["tags"], type=list[str])),
        customer=row["customer"],
    )


class Fleet:
    """The slow things of one store."""

    def __init__(self, database: Database, timeseries: TimeSeries) -> None:
        self._db = database
        self._timeseries = timeseries

    # -- accounts ----------------------------------------------------------------------------------------------------

    def add_account(
        self,
        *,
        id: int,
        vendor: str,
        method: str,
        plan: str,
        label: str,
        base_url: str | None,
        scope: str,
        identity: str,
        now: float,
        consented_at: float | None = None,
    ) -> int:
        """The id of a new account. Call it inside a transaction, so that it appears with all that belongs to it.

        `consented_at` is when the user agreed to what its way in asks for.
        """
        query = Account.insert(
            id=id, vendor=vendor, method=method, plan=plan, label=label, base_url=base_url, scope=scope,
            identity=identity, state="connected", state_since=int(now), created_at=int(now),
            consented_at=int(consented_at) if consented_at is not None else None,
        )  # fmt: skip
        return int(query.execute(self._db.peewee))

    def accounts(self, *, removed: bool = False) -> list[AccountRow]:
        """Every connected account, oldest first; with `removed`, also the disconnected ones."""
        query = Account.select().order_by(Account.id)
        if not removed:
            query = query.where(Account.removed_at.is_null())
        return [msgspec.convert(row, AccountRow) for row in query.dicts().execute(self._db.peewee)]

    def account(self, account_id: int) -> AccountRow:
        """A connected account. Raises NotFound."""
        query = Account.select().where((Account.id == account_id) & Account.removed_at.is_null())
        for row in query.dicts().execute(self._db.peewee):
            return msgspec.convert(row, AccountRow)
        raise NotFound("There is no such account.")

    def set_account_state(
        self, account_id: int, state: str, reason: str, now: float, *, retry_at: float | None = None
    ) -> bool:
        """Whether the state became another one; a change leaves a flip."""
        with self._db.transaction():
            row = self._db.row("SELECT state, state_reason, retry_at FROM account WHERE id = ?", (account_id,))
            if row is None:
                return False
            retry = int(retry_at) if retry_at is not None else None
            if row != (state, reason, retry):
                self._db.execute(
                    "UPDATE account SET state = ?, state_reason = ?, retry_at = ?, "
                    "state_since = CASE WHEN state = ? THEN state_since ELSE ? END WHERE id = ?",
                    (state, reason, retry, state, int(now), account_id),
                )
            if row[0] == state:
                return False
            self._flip("account", account_id, "state", row[0], state, reason, now)
        return True

    def set_account(self, account_id: int, now: float, *, paused: bool | None, label: str | None) -> None:
        """Have an account rest or go on, and name it; None leaves either as it is. Raises NotFound."""
        with self._db.transaction(durable=True):
            before = self.account(account_id)
            if label is not None:
                Account.update(label=label).where(Account.id == account_id).execute(self._db.peewee)
            if paused is None or paused == (before.paused_at is not None):
                return
            Account.update(paused_at=int(now) if paused else None).where(Account.id == account_id).execute(
                self._db.peewee
            )
            words = ("resumed", "paused") if paused else ("paused", "resumed")
            self._flip("account", account_id, "pause", *words, "set by the user", now)

    def remove_account(self, account_id: int, now: float) -> None:
        """Disconnect an account: it is asked no more, and everything it brought stays. Raises NotFound."""
        with self._db.transaction(durable=True):
            account = self.account(account_id)
            Account.update(removed_at=int(now)).where(Account.id == account_id).execute(self._db.peewee)
            self._db.execute("DELETE FROM due WHERE account_id = ?", (account_id,))
            # A span is owed once for a site, by whichever account asked first: another one that sees it takes it over.
            self._db.execute(
                "UPDATE gap SET lease_owner = NULL, lease_until = NULL, account_id = COALESCE((SELECT min(account.id) "
                "FROM account_site JOIN account ON account.id = account_site.account_id WHERE site_id = gap.site_id "
                "AND gone_since IS NULL AND removed_at IS NULL), account_id) "
                "WHERE account_id = ? AND closed_at IS NULL",
                (account_id,),
            )
            self._db.execute("DELETE FROM gap WHERE account_id = ? AND closed_at IS NULL", (account_id,))
            AccountSite.update(gone_since=int(now)).where(
                (AccountSite.account_id == account_id) & AccountSite.gone_since.is_null()
            ).execute(self._db.peewee)
            self._archive_unreachable(now)
            self._flip("account", account_id, "connection", account.state, "removed", "disconnected by the user", now)

    def _archive_unreachable(self, now: float) -> None:
        self._db.execute(
            # A site that came from a file was never reached by an account, and stays in sight.
            "UPDATE site SET archived_at = ? WHERE archived_at IS NULL AND id IN (SELECT site_id FROM account_site) "
            "AND NOT EXISTS (SELECT 1 FROM account_site JOIN account ON account.id = account_id "
            "WHERE site_id = site.id AND account.removed_at IS NULL)",
            (int(now),),
        )

    # -- sites -------------------------------------------------------------------------------------------------------

    def apply_sites(
        self, account_id: int, vendor: str, facts: Sequence[SiteFacts], *, complete: bool, now: float
    ) -> list[int]:
        """The ids of the sites that are new to this account, after taking what a vendor said of its sites.

        With `complete`, a site that this account saw before and that is missing now is no longer visible to it; it is
        kept, with `not_visible_since` once no account sees it.
        """
        at = int(now)
        fresh: list[int] = []
        with self._db.transaction():
            known = {
                row["vendor_site_id"]: row for row in self._db.dicts("SELECT * FROM site WHERE vendor = ?", (vendor,))
            }
            links = dict(
                self._db.rows("SELECT site_id, gone_since FROM account_site WHERE account_id = ?", (account_id,))
            )
            seen: list[tuple[int, int]] = []
            # A site that moved between two pages of a list is listed twice: its last word counts.
            for fact in {f.vendor_site_id: f for f in facts}.values():
                row = known.get(fact.vendor_site_id)
                site_id = self._insert_site(vendor, fact, at) if row is None else int(row["id"])
                if row is not None:
                    self._update_site(row, fact, now)
                if site_id not in links:
                    fresh.append(site_id)
                seen.append((site_id, at))
            self._db.executemany(
                "INSERT INTO account_site (account_id, site_id, first_seen, last_seen) VALUES (?1, ?2, ?3, ?3) "
                "ON CONFLICT (account_id, site_id) DO UPDATE SET last_seen = excluded.last_seen, gone_since = NULL",
                [(account_id, site_id, at) for site_id, at in seen],
            )
            ids = {site_id for site_id, _ in seen}
            if complete:
                gone = [(at, account_id, s) for s, since in links.items() if s not in ids and since is None]
                self._db.executemany(
                    "UPDATE account_site SET gone_since = ? WHERE account_id = ? AND site_id = ?", gone
                )
                self._db.executemany(
                    "UPDATE site SET not_visible_since = ?1 WHERE id = ?2 AND not_visible_since IS NULL AND NOT EXISTS "
                    "(SELECT 1 FROM account_site WHERE site_id = ?2 AND gone_since IS NULL)",
                    [(at, s) for _, _, s in gone],
                )
            self._db.executemany(
                "UPDATE site SET not_visible_since = NULL, archived_at = NULL WHERE id = ? "
                "AND (not_visible_since IS NOT NULL OR archived_at IS NOT NULL)",
                [(s,) for s in ids],
            )
        return fresh

    def fill_site(self, vendor: str, fact: SiteFacts, now: float) -> int:
        """The id of a vendor's site as a file tells of it: made, or with what it lacked; what it knows stays."""
        with self._db.transaction():
            rows = self._db.dicts(
                "SELECT * FROM site WHERE vendor = ? AND vendor_site_id = ?", (vendor, fact.vendor_site_id)
            )
            if not rows:
                return self._insert_site(vendor, fact, int(now))
            (row,) = rows
            unnamed = row["name"] == _given_name(vendor, fact)
            known = {name for name in _site_values(fact) if row[name] not in {None, "{}"}} - {"name" if unnamed else ""}
            known_facts = {"address" if name == "address_info" else name: None for name in known}
            self._update_site(row, msgspec.structs.replace(fact, **known_facts), now)
            if unnamed and fact.name:
                Place.update(name=fact.name).where((Place.id == row["place_id"]) & (Place.name == row["name"])).execute(
                    self._db.peewee
                )
            return int(row["id"])

    def _insert_site(self, vendor: str, fact: SiteFacts, now: int) -> int:
        name = fact.name or _given_name(vendor, fact)
        address = fact.address or {}
        line = ", ".join(v for v in address.values() if v)
        place = Place.insert(name=name, address=line or None, timezone=fact.timezone).execute(self._db.peewee)
        values = _site_values(fact)
        values["name"] = name
        query = Site.insert(vendor=vendor, vendor_site_id=fact.vendor_site_id, place_id=place, created_at=now, **values)
        return int(query.execute(self._db.peewee))

    def _update_site(self, row: Mapping[str, Any], fact: SiteFacts, now: float) -> None:
        changed = {name: value for name, value in _site_values(fact).items() if row[name] != value}
        if not changed:
            return
        Site.update(**changed).where(Site.id == row["id"]).execute(self._db.peewee)
        for what in ("status", "communication", "production"):
            if what in changed:
                self._flip("site", row["id"], what, row[what], changed[what], "said by the vendor", now)
        old = row["timezone"] or self._zone_taken_back(row["id"])
        if "timezone" in changed and not row["user_timezone"] and old:
            self._timeseries.restamp_days(row["id"], old, changed["timezone"])
            self._flip("site", row["id"], "timezone", old, changed["timezone"], "said by the vendor", now)
        elif changed.keys() & {"latitude", "longitude"}:
            self._timeseries.mark_days(row["id"])

    def _zone_taken_back(self, site_id: int) -> str | None:
        """The zone that the days of a site without one are stamped in: the user's last, which was taken back."""
        found = self._db.scalar(
            "SELECT before FROM flip WHERE subject = 'site' AND subject_id = ? AND what = 'timezone' "
            "AND before IS NOT NULL ORDER BY id DESC LIMIT 1",
            (site_id,),
        )
        return None if found is None else str(found)

    def set_by_user(self, site_id: int, values: Mapping[str, Any], now: float) -> None:
        """Keep what the user set of a site; None takes it back, so that the vendor's word counts again.

        A changed zone restamps the site's days. Raises NotFound.
        """
        with self._db.transaction(durable=True):
            before = self.site(site_id)
            columns = {USER_FIELDS[name]: value for name, value in values.items()}
            if "tags" in columns:
                columns["tags"] = msgspec.json.encode(columns["tags"] or []).decode()
            if columns:
                Site.update(**columns).where(Site.id == site_id).execute(self._db.peewee)
            after = self.site(site_id)
            if "alias" in values:
                # A place that was named after its site, and not by the user, goes by the site's name still.
                Place.update(name=after.name).where(
                    (Place.id == before.place_id) & (Place.name == before.name)
                ).execute(self._db.peewee)
            stamped = before.timezone or self._zone_taken_back(site_id)
            if stamped and after.timezone and stamped != after.timezone:
                self._timeseries.restamp_days(site_id, stamped, after.timezone)
            elif values.keys() & {"latitude", "longitude"}:
                self._timeseries.mark_days(site_id)
            for name in values:
                old, new = getattr(before, name, None), getattr(after, name, None)
                if old != new:
                    self._flip("site", site_id, name, _text(old), _text(new), "set by the user", now)

    def sites(self, only: Iterable[int] | None = None, *, archived: bool = False) -> list[SiteRow]:
        """Every site, or these, by id; with `archived`, also those that no connected account reaches."""
        where = "" if archived else " WHERE archived_at IS NULL"
        if only is not None:
            where += f"{' AND' if where else ' WHERE'} site.id IN ({','.join(map(str, map(int, only)))})"
        return [_site_row(row) for row in self._db.dicts(f"{_SITE_SQL}{where} ORDER BY site.id")]

    def site(self, site_id: int) -> SiteRow:
        """One site, archived or not. Raises NotFound."""
        for row in self._db.dicts(f"{_SITE_SQL} WHERE site.id = ?", (site_id,)):
            return _site_row(row)
        raise NotFound("There is no such site.")

    def site_id(self, vendor: str, vendor_site_id: str) -> int | None:
        """The id of a vendor's site, or None."""
        found = self._db.scalar("SELECT id FROM site WHERE vendor = ? AND vendor_site_id = ?", (vendor, vendor_site_id))
        return None if found is None else int(found)

    def sites_of_account(self, account_id: int) -> dict[int, str]:
        """The vendor_site_id of every site that an account sees, by site id."""
        return dict(
            self._db.rows(
                "SELECT site.id, vendor_site_id FROM account_site JOIN site ON site.id = site_id "
                "WHERE account_id = ? AND gone_since IS NULL",
                (account_id,),
            )
        )

    def accounts_of_sites(self) -> dict[int, list[int]]:
        """The connected accounts that see each site."""
        found: dict[int, list[int]] = {}
        for site_id, account_id in self._db.rows(
            "SELECT site_id, account_id FROM account_site JOIN account ON account.id = account_id "
            "WHERE removed_at IS NULL AND gone_since IS NULL ORDER BY account_id"
        ):
            found.setdefault(site_id, []).append(account_id)
        return found

    def sites_of_files(self) -> set[int]:
        """The sites that no account ever saw: they came from files."""
        return {
            site_id
            for (site_id,) in self._db.rows("SELECT id FROM site WHERE id NOT IN (SELECT site_id FROM account_site)")
        }

    # -- devices -----------------------------------------------------------------------------------------------------

    def apply_devices(
        self, site: SiteRow, facts: Iterable[DeviceFacts], *, complete: bool, now: float
    ) -> dict[str, int]:
        """The device ids of a site by vendor_device_id, after taking what its vendor said of its devices.

        With `complete` a device that is missing is retired; without, new ones are added, and of known ones that is
        renewed which the vendor has a word for.
        """
        with self._db.transaction():
            rows = {
                r["vendor_device_id"]: r for r in self._db.dicts("SELECT * FROM device WHERE site_id = ?", (site.id,))
            }
            ids = {key: int(row["id"]) for key, row in rows.items()}
            listed = list({f.vendor_device_id: f for f in facts}.values())
            for fact in listed:
                row = rows.get(fact.vendor_device_id)
                values = {column: getattr(fact, column) for column in _DEVICE_COLUMNS}
                if fact.position is not None:
                    values["position"] = msgspec.json.encode(fact.position).decode()
                if row is None:
                    ids[fact.vendor_device_id] = int(
                        Device.insert(
                            site_id=site.id, vendor=site.vendor, vendor_device_id=fact.vendor_device_id,
                            first_seen=int(now), **values,
                        ).execute(self._db.peewee)
                    )  # fmt: skip
                else:
                    if not complete:
                        values = {c: v for c, v in values.items() if v not in {DeviceStatus.UNKNOWN, DeviceType.OTHER}}
                    changed = {c: v for c, v in values.items() if v is not None and row[c] != v}
                    if changed:
                        Device.update(**changed).where(Device.id == row["id"]).execute(self._db.peewee)
                    for what in ("status", "serial_number"):
                        if what in changed and (what == "status" or row[what]):
                            self._flip("device", row["id"], what, row[what], changed[what], "said by the vendor", now)
                    if "serial_number" in changed and row["serial_number"]:
                        self._timeseries.expect_new_base(int(row["id"]))
            if complete:
                self._retire_missing(rows, {f.vendor_device_id for f in listed}, now)
            for fact in listed:
                parent = ids.get(fact.parent or "")
                row = rows.get(fact.vendor_device_id)
                if parent is not None and (row is None or row["parent_id"] != parent):
                    Device.update(parent_id=parent).where(Device.id == ids[fact.vendor_device_id]).execute(
                        self._db.peewee
                    )
        return ids

    def fill_devices(self, site: SiteRow, facts: Iterable[DeviceFacts], now: float) -> dict[str, int]:
        """The device ids of a site by vendor_device_id, after adding those that it lacked; known ones stay as they are,
        but for what is not known of them.
        """
        with self._db.transaction():
            rows = {
                r["vendor_device_id"]: r for r in self._db.dicts("SELECT * FROM device WHERE site_id = ?", (site.id,))
            }
            lacking = []
            for fact in facts:
                row = rows.get(fact.vendor_device_id)
                known = [
                    column
                    for column in ("serial_number", "name", "rated_w")
                    if row is not None and row[column] is not None
                ]
                typed = row is not None and row["device_type"] != DeviceType.OTHER
                lacking.append(
                    msgspec.structs.replace(
                        fact,
                        device_type=DeviceType.OTHER if typed else fact.device_type,
                        **dict.fromkeys(known),
                    )
                )
            return self.apply_devices(site, lacking, complete=False, now=now)

    def lose_devices(self, site_id: int, now: float) -> None:
        """Put down that nothing is heard of a site's devices, which is no fault of theirs; retired ones stay so."""
        with self._db.transaction():
            lost = self._db.rows(
                "SELECT id, status FROM device WHERE site_id = ? AND status NOT IN ('retired', 'offline', 'unknown')",
                (site_id,),
            )
            for device_id, before in lost:
                Device.update(status=DeviceStatus.OFFLINE.value).where(Device.id == device_id).execute(self._db.peewee)
                self._flip("device", device_id, "status", before, "offline", "its gateway is not heard", now)

    def _retire_missing(self, rows: Mapping[str, Mapping[str, Any]], listed: set[str], now: float) -> None:
        for key, row in rows.items():
            if key not in listed and row["status"] != DeviceStatus.RETIRED:
                Device.update(status=DeviceStatus.RETIRED.value).where(Device.id == row["id"]).execute(self._db.peewee)
                self._flip("device", row["id"], "status", row["status"], "retired", "no longer listed", now)

    def devices(self, site_id: int) -> list[DeviceRow]:
        """Every device of a site, retired ones included, by type and serial."""
        query = Device.select().where(Device.site_id == site_id).order_by(Device.device_type, Device.serial_number)
        return [msgspec.convert(row, DeviceRow) for row in query.dicts().execute(self._db.peewee)]

    def forget_site(self, site_id: int) -> None:
        """Delete a site that no account reaches, its devices and all that is written of them, and its place where that
        was the only site there. Its samples have to be gone. Raises NotFound.
        """
        with self._db.transaction(durable=True):
            place_id = self.site(site_id).place_id
            devices = "SELECT id FROM device WHERE site_id = ?"
            self._db.execute(f"DELETE FROM flip WHERE subject = 'device' AND subject_id IN ({devices})", (site_id,))
            self._db.execute("DELETE FROM flip WHERE subject = 'site' AND subject_id = ?", (site_id,))
            self._db.execute("UPDATE device SET parent_id = NULL, replaces_id = NULL WHERE site_id = ?", (site_id,))
            for table in (
                "alert", "due", "gap", "watermark", "fetch", "raw_answer", "account_site", "device", "site_day",
                "site_day_due",
            ):  # fmt: skip
                self._db.execute(f"DELETE FROM {table} WHERE site_id = ?", (site_id,))
            self._db.execute("DELETE FROM site WHERE id = ?", (site_id,))
            # A merge's undoing would bring back what was written of the roof, by whatever place it went.
            self._db.execute("DELETE FROM meta WHERE name LIKE 'merged:%'")
            if self._db.scalar("SELECT 1 FROM site WHERE place_id = ?", (place_id,)) is None:
                self._db.execute("DELETE FROM note WHERE place_id = ?", (place_id,))
                self._db.execute("DELETE FROM place WHERE id = ?", (place_id,))

    def panels(self, site_ids: Sequence[int]) -> dict[int, frozenset[int]]:
        """The active devices of the finest producing type of each of these sites."""
        types: dict[int, dict[str, set[int]]] = {}
        for site_id, device_id, kind in self._db.rows(
            "SELECT site_id, id, device_type FROM device WHERE status <> 'retired' "
            f"AND site_id IN ({','.join(map(str, map(int, site_ids)))})"
        ):
            types.setdefault(site_id, {}).setdefault(kind, set()).add(device_id)
        return {
            site_id: frozenset(next((mine[t.value] for t in PRODUCING_TYPES if t.value in mine), ()))
            for site_id, mine in types.items()
        }

    def flips_of_device(self, device_id: int, limit: int) -> list[FlipRow]:
        """The newest changes of a device, and those of its counters' bases, newest first."""
        found = self._db.rows(
            "SELECT at, what, before, after, reason FROM flip WHERE (subject = 'device' AND subject_id = ?1) "
            "OR (subject = 'series' AND subject_id IN (SELECT id FROM series WHERE device_id = ?1)) "
            "ORDER BY at DESC, id DESC LIMIT ?2",
            (device_id, limit),
        )
        return [FlipRow(*row) for row in found]

    def device_ids(self, site_id: int) -> dict[str, int]:
        """The device ids of a site by vendor_device_id."""
        return dict(self._db.rows("SELECT vendor_device_id, id FROM device WHERE site_id = ?", (site_id,)))

    def place_devices(self, site_id: int, placements: Mapping[int, Placement | None], now: float) -> None:
        """Put devices of a site where the user says; None takes the user's word back.

        A changed word leaves a flip. Ids that are none of the site's devices are left alone.
        """
        with self._db.transaction(durable=True):
            before = {device.id: device for device in self.devices(site_id)}
            for device_id, placement in placements.items():
                device = before.get(device_id)
                if device is None or device.user_position == placement:
                    continue
                array, row, column = msgspec.structs.astuple(placement) if placement else (None, None, None)
                Device.update(user_array=array, user_row=row, user_column=column).where(Device.id == device_id).execute(
                    self._db.peewee
                )
                old, new = (
                    f"{word.array or ''}:{word.row}:{word.column}" if word else None
                    for word in (device.user_position, placement)
                )
                self._flip("device", device_id, "position", old, new, "set by the user", now)

    def replace_device(self, site_id: int, device_id: int, replaces: int | None, now: float) -> None:
        """Keep the user's word that a device took the place of another one of its site; None takes it back.

        Raises NotFound for a device that is none of the site's, ValueError with the reason where it cannot be.
        """
        with self._db.transaction(durable=True):
            rows = {device.id: device for device in self.devices(site_id)}
            device, other = rows.get(device_id), rows.get(replaces) if replaces is not None else None
            if device is None or (replaces is not None and other is None):
                raise NotFound("This site has no such device.")
            if other is not None:
                if other.device_type != device.device_type:
                    raise ValueError("Only a device of the same type can take its place.")
                heir = next((d for d in rows.values() if d.replaces_id == replaces and d.id != device_id), None)
                if heir is not None:
                    raise ValueError(f"{heir.serial_number or heir.name or heir.id} has taken its place already.")
                before: DeviceRow | None = other
                while before is not None:
                    if before.id == device_id:
                        raise ValueError("A device cannot come after one that came after it.")
                    before = rows.get(before.replaces_id or 0)
            if device.replaces_id == replaces:
                return
            Device.update(replaces_id=replaces).where(Device.id == device_id).execute(self._db.peewee)
            old = rows.get(device.replaces_id or 0)
            was, now_is = (one.serial_number or one.name or str(one.id) if one else None for one in (old, other))
            self._flip("device", device_id, "replaces", was, now_is, "set by the user", now)

    def device_types(self, site_id: int) -> frozenset[str]:
        """The types of a site's devices that are not retired."""
        found = self._db.rows(
            "SELECT DISTINCT device_type FROM device WHERE site_id = ? AND status <> 'retired'", (site_id,)
        )
        return frozenset(t for (t,) in found)

    def rating(self, site: SiteRow) -> Rating:
        """What the site and its devices can give at the most."""
        rated = self._db.rows(
            "SELECT vendor_device_id, rated_w FROM device WHERE site_id = ? AND rated_w > 0", (site.id,)
        )
        return Rating(site.peak_power_kw * 1000 if site.peak_power_kw else None, dict(rated))

    def _flip(
        self, subject: str, subject_id: int, what: str, before: str | None, after: str | None, reason: str, now: float
    ) -> None:
        Flip.insert(
            at=int(now), subject=subject, subject_id=subject_id, what=what, before=before, after=after, reason=reason
        ).execute(self._db.peewee)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _given_name(vendor: str, fact: SiteFacts) -> str:
    """What a site is called for which nobody has a name."""
    return f"{vendor} {fact.vendor_site_id}"


def _site_values(fact: SiteFacts) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": fact.name,
        "status": fact.status,
        "communication": fact.communication,
        "production": fact.production,
        "peak_power_kw": fact.peak_power_kw or None,
        "timezone": fact.timezone if clock.zone(fact.timezone) else None,
        "latitude": fact.latitude,
        "longitude": fact.longitude,
        "address_info": msgspec.json.encode(fact.address).decode() if fact.address is not None else None,
        "connection": fact.connection,
        "reference": fact.reference,
        "installed_on": fact.installed_on,
        "last_updated": fact.last_report_at,
        "last_energy_at": fact.last_energy_at,
    }
    return {name: value for name, value in values.items() if value is not None}
