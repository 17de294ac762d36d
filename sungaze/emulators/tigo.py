"""Tigo's REST API V3 over the simulated world (vendors/tigo.md), by user name and password.

The truth is DC: the world's panel power divided by a fixed inverter efficiency, each minute the mean of its
five. Data arrive 12 ± 8 minutes late. Refused calls (429) are not counted, logins are [assumed]; the
minute is the clock's. Premium is on unless the fault `no_premium` strikes.

| own fault | what the client meets |
|---|---|
| no_premium | 403 on every call about one system |
| expired | 401: the token is no longer good |
| header_change | a CSV whose header changes midway, unless `object_ids` is given |
| header_only | a CSV of its header's first word only |
| nan | `NaN` for missing cells, and for a third of the others |
| future | CSV rows two hours ahead |
| empty_short | no rows in windows of two hours or less |
| dropout | one optimizer without figures |
| dst_once | the repeated hour of autumn stands once |
| level_only | `combined` refuses `agg` |
| nulls | nulls in the summary |
| lag | data 95 minutes late |
| pv_off | sources switched off, and an alert about it; the figures are left as they are |
| string_shutdown | an open alert of a string |
| turn_on_null | `turn_on_date` is the word null |
| no_timezone | no zone in list and system |
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import numpy as np

from sungaze.emulators import _tigo_calls as calls
from sungaze.emulators import _tigo_csv as tables
from sungaze.emulators._hash import hexadecimal
from sungaze.emulators._quota import Refusal
from sungaze.emulators._service import Answer, Delivery, Plan, Request, Service, TruthRow, json_answer
from sungaze.emulators._tigo_ask import NOT_ALLOWED, Refused, whole
from sungaze.emulators._tigo_site import (
    FIRST_SYSTEM_ID,
    INVERTER_EFFICIENCY,
    MINUTE_S,
    SYSTEM_ID_STEP,
    Alert,
    SystemView,
    has_rows,
    panel_object_id,
    system_id_of,
)
from sungaze.emulators.world import INTERVAL_S, World

ROOT = "/api/v3"
FOREIGN_SITES = 10
NO_MONTH = 1_000_000_000
"""Tigo has no limit by month; the counter wants one."""
TOKEN_LIFETIME_S = 140 * 86_400
LAG_MIN = (12.0, 8.0)
LAGGING_MIN = (95.0, 0.0)

DELIVERIES: tuple[Delivery, ...] = ("truncated", "huge", "slow")

OneSystem = Callable[["Tigo", Request, SystemView], object]


class Tigo(Service):
    """The vendor's side. `token_lifetime_s`, `lag_min` and `quota.limits` may be changed while it runs."""

    VENDOR = "tigo"
    METHOD = "password"
    PLANS: ClassVar[Mapping[str, Plan]] = {"premium": Plan(30, NO_MONTH)}
    DEFAULT_PLAN = "premium"
    OWN_FAULTS = (
        "no_premium", "expired", "header_change", "header_only", "nan", "future", "empty_short", "dropout", "dst_once",
        "level_only", "nulls", "lag", "pv_off", "string_shutdown", "turn_on_null", "no_timezone",
    )  # fmt: skip

    def __init__(self, world: World, plan: str, now: Callable[[], float], faults: Mapping[str, float]) -> None:
        super().__init__(world, plan, now, faults)
        self.user_id = 70_001 + world.seed % 1_000
        self.token_lifetime_s: float = TOKEN_LIFETIME_S
        self.lag_min = LAG_MIN
        self._tokens: dict[str, float] = {}
        self._logins = 0
        self._first_reads: set[tuple[int, int]] = set()

    @property
    def credentials(self) -> dict[str, str]:
        """Return the user name and the password."""
        seed = self.world.seed
        return {
            "username": f"installer{seed}@sungaze.example",
            "password": hexadecimal(20, seed, "tigo", "password"),
        }

    def answer(self, request: Request) -> Answer:
        """Return the answer to one request; every one but a front door's page carries the rate headers."""
        path = request.path.removeprefix(ROOT).rstrip("/") if request.path.startswith(ROOT + "/") else ""
        spent = self.quota.spend()
        try:
            if spent is not None:
                return self._limited(spent)
            if path == "/users/login" and request.method == "GET":
                return json_answer(self._login(request), headers=self._rate())
            if request.method != "GET" or path == "/user/login":
                # Three of the four ways to log in that clients try are not there (section 1).
                raise Refused(404, "Page not found.")
            self._authenticate(request)
            if self.faults.strikes("html"):
                return self.overload()
            if self.faults.strikes("429"):
                return self._limited(self.quota.refusal("minute"))
            if self.faults.strikes("500"):
                raise Refused(500, "An internal server error occurred.")
            return self.spoiled(self._call(request, path))
        except Refused as refused:
            return json_answer(refused.body(), refused.status, headers=self._rate())

    def spoiled(self, answer: Answer) -> Answer:
        """Return the answer as the faults leave it; a CSV of another shape has no table, or words for numbers."""
        if answer.status != 200 or not answer.content_type.startswith("text/csv"):
            return super().spoiled(answer)
        if self.faults.strikes("shape"):
            head, _, rows = answer.body.partition(b"\n")
            body = head + b"\n" + re.sub(rb",[0-9.]+", b",n/a", rows)
            return replace(answer, body=b'{"rows":[]}' if self.faults.turn("shape") % 2 else body)
        for delivery in DELIVERIES:
            if self.faults.strikes(delivery):
                return replace(answer, delivery=delivery)
        return answer

    def view(self, system_id: str) -> SystemView:
        """Return a system as it stands now; refuses with 403 (somebody else's) or 404 (unknown [assumed])."""
        number = whole(system_id, "system_id")
        k = (number - FIRST_SYSTEM_ID) // SYSTEM_ID_STEP
        known = number >= FIRST_SYSTEM_ID and k < self.world.sites + FOREIGN_SITES
        if not known or system_id_of(self.world.site(self.VENDOR, k)) != number:
            raise Refused(404, "The requested system does not exist.")
        if k >= self.world.sites or self.faults.strikes("no_premium"):
            raise Refused(403, NOT_ALLOWED)
        lag = LAGGING_MIN if self.faults.strikes("lag") else self.lag_min
        return SystemView(self.world, self.world.site(self.VENDOR, k), self.now(), lag)

    def views(self) -> list[SystemView]:
        """Return all systems of the account, by ascending id."""
        now = self.now()
        return [SystemView(self.world, plan, now, self.lag_min) for plan in self.world.fleet(self.VENDOR)]

    def alerts(self, view: SystemView) -> list[Alert]:
        """Return a system's alerts, newest first, with those of the switches."""
        found = view.alerts()
        hour = int(view.now) // 86_400 * 86_400
        if self.faults.strikes("string_shutdown"):
            found.insert(0, view.alert(106, "String Shutdown", "String A", hour))
        if self.faults.get("pv_off", 0.0) > 0:
            found.insert(0, view.alert(calls.PV_OFF_ID, "System Shutdown", "System", hour))
        return found

    @classmethod
    def truth(cls, world: World, k: int, start: int, end: int) -> Iterator[TruthRow]:
        """Yield `dc_power_w` by 60 s of the site and each optimizer, and `dc_energy_wh` by day of the site."""
        plan = world.site(cls.VENDOR, k)
        site = str(system_id_of(plan))
        keys = [str(panel_object_id(plan, panel)) for panel in range(plan.panels)]
        start = max(start, plan.installed_at)
        if end <= start:
            return
        day, last = plan.local_date(start), plan.local_date(end - 1)
        while day <= last:
            known = world.day(plan, day)
            watts = known.panel_w / INVERTER_EFFICIENCY
            inside = (known.start + INTERVAL_S > start) & (known.start < end) & has_rows(plan, known)
            for row in np.flatnonzero(inside).tolist():
                line = watts[row]
                values = [("", float(np.nansum(line)))] if not np.isnan(line).all() else []
                values += [(key, w) for key, w in zip(keys, line.tolist(), strict=True) if w == w]
                begin = int(known.start[row])
                for at in range(begin, begin + INTERVAL_S, MINUTE_S):
                    if at >= start and at + MINUTE_S <= end:
                        for device, value in values:
                            yield TruthRow(site, device, "dc_power_w", MINUTE_S, at, value)
            midnight, after = plan.midnight(day), plan.midnight(day + timedelta(days=1))
            if midnight >= start and after <= end and not np.isnan(watts).all():
                total = float(np.nansum(watts)) * INTERVAL_S / 3600.0
                yield TruthRow(site, "", "dc_energy_wh", 86_400, midnight, total)
            day += timedelta(days=1)

    def _login(self, request: Request) -> object:
        kind, _, packed = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(packed, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            given = ""
        known = self.credentials
        if kind.lower() != "basic" or given != f"{known['username']}:{known['password']}":
            raise Refused(401, "You are requesting with an invalid credential.")
        self._logins += 1
        token = hexadecimal(120, self.world.seed, "tigo token", self._logins)
        expires = self.now() + self.token_lifetime_s
        self._tokens[token] = expires
        view = self.views()[0]
        return {
            "user": {
                "user_id": self.user_id,
                "auth": token,
                "expires": view.iso(expires),
                "user_type": "Installer",
                "refresh_token": hexadecimal(40, self.world.seed, "tigo refresh", self._logins),
                "user_agreement": True,
            }
        }

    def _authenticate(self, request: Request) -> None:
        token = self._bearer(request)
        if self._tokens.get(token, 0.0) <= self.now() or self.faults.strikes("expired"):
            raise Refused(401, "You are requesting with an invalid credential.")

    @staticmethod
    def _bearer(request: Request) -> str:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        return token if kind.lower() == "bearer" else ""

    def _call(self, request: Request, path: str) -> Answer:
        match path.split("/")[1:]:
            case ["users", "logout"]:
                self._tokens.pop(self._bearer(request), None)
                done = {"name": "OK", "message": "Logged out user", "code": 0, "status": 200}
                return json_answer(done, headers=self._rate())
            case ["users", "get"]:
                value = calls.user(self, request, calls.asked_id(request, "id"))
            case ["users", user_id]:
                value = calls.user(self, request, user_id)
            case ["systems"]:
                value = calls.systems(self, request)
            case ["objects", "types"]:
                value = calls.object_types(self, request)
            case ["alerts", "types"]:
                value = calls.alert_types(self, request)
            case [noun, what]:
                return self._about_one(request, noun, what)
            case _:
                raise Refused(404, "Page not found.")
        return json_answer(value, headers=self._rate())

    def _about_one(self, request: Request, noun: str, what: str) -> Answer:
        """Return what is asked of one system, with the time of its last configuration change in a header."""
        if noun == "systems" and what.isdigit():
            system_id, call = what, ONE_SYSTEM["systems", "view"]
        elif (noun, what) in ONE_SYSTEM or (noun, what) in TABLES:
            system_id = calls.asked_id(request, "id" if noun == "systems" else "system_id")
            call = ONE_SYSTEM.get((noun, what), calls.summary)
        else:
            raise Refused(404, "Page not found.")
        view = self.view(system_id)
        headers = (*self._rate(), ("X-System-Config-Update", view.iso(view.plan.installed_at + 86_400)))
        if (noun, what) in TABLES:
            text = TABLES[noun, what](view, request, self._spoils(view))
            return Answer(200, text.encode(), "text/csv; charset=UTF-8", headers)
        return json_answer(call(self, request, view), headers=headers)

    def _spoils(self, view: SystemView) -> tables.Spoils:
        spoils = tables.Spoils(frozenset(name for name in tables.SWITCHES if self.faults.strikes(name)))
        if self.faults.strikes("late"):
            spoils.unseen = lambda start: self._is_first_read(view.plan.k, start)
        return spoils

    def _is_first_read(self, k: int, start: int) -> bool:
        is_first = (k, start) not in self._first_reads
        self._first_reads.add((k, start))
        return is_first

    def _limited(self, spent: Refusal) -> Answer:
        wait = str(max(1, int(spent.end - spent.now + 0.999)))
        headers = (*self._rate(0), ("Retry-After", wait))
        return json_answer(Refused(429, "Rate limit exceeded.").body(), 429, headers=headers)

    def _rate(self, left: int | None = None) -> tuple[tuple[str, str], ...]:
        """Return the headers of section 3; the reset is in seconds, not an epoch."""
        left = self.quota.remaining("minute") if left is None else left
        now = self.quota.refusal("minute")
        return (
            ("X-Rate-Limit-Limit", str(self.quota.limits["minute"])),
            ("X-Rate-Limit-Remaining", str(left)),
            ("X-Rate-Limit-Reset", str(max(1, int(now.end - now.now + 0.999)))),
        )


ONE_SYSTEM: Mapping[tuple[str, str], OneSystem] = {
    ("systems", "view"): calls.system,
    ("systems", "layout"): calls.layout,
    ("objects", "system"): calls.objects,
    ("sources", "system"): calls.sources,
    ("data", "summary"): calls.summary,
    ("alerts", "system"): calls.alerts,
}
TABLES: Mapping[tuple[str, str], Callable[[SystemView, Request, tables.Spoils], str]] = {
    ("data", "aggregate"): tables.aggregate,
    ("data", "combined"): tables.combined,
}
