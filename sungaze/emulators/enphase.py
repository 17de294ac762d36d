"""Enphase's Monitoring API v4 over the simulated world (vendors/enphase.md), Partner password grant.

The quota belongs to the application and counts failed calls too, the HTML overload page excepted (7). A call
with an unknown key cannot be charged to anyone and is not counted [assumed].
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from threading import local
from typing import ClassVar

import numpy as np

from sungaze.emulators import _enphase_calls as calls
from sungaze.emulators._consent import SHOWN_OWNERS, Consents
from sungaze.emulators._enphase_calls import Refused
from sungaze.emulators._enphase_site import (
    FIRST_SYSTEM_ID,
    SYSTEM_ID_STEP,
    WH,
    SystemView,
    micro_serial,
    produced,
    system_id_of,
)
from sungaze.emulators._hash import between, hexadecimal
from sungaze.emulators._quota import Quota, Refusal
from sungaze.emulators._service import Answer, Plan, Request, Service, TruthRow, json_answer
from sungaze.emulators.world import World

ACCESS_S = 86_400
REFRESH_S = 30 * 86_400
POSTS_A_MONTH = 200
FOREIGN_SITES = 10
VERBS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


@dataclass(frozen=True, slots=True)
class Application:
    """One registered application: key, client id and secret are issued together (vendors/enphase.md 1)."""

    api_key: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class Grant:
    """A live token: which application it belongs to, the epoch at which it dies, and the one site of the owner who
    gave it, None for an installer's.
    """

    application: Application
    expires_at: float
    owner: int | None = None


class _Asking(local):
    """Whose token the request of this thread has: the owner's site, None for an installer."""

    owner: int | None = None


DEFAULT_HOST = "https://api.enphaseenergy.com"
"""Of the return address that every application has (vendors/enphase.md 1); here it is a page of this server."""


class Enphase(Service):
    """The vendor's side: tokens, keys, quota, plan gates, and the calls.

    `applications` holds two: the credentials' own and another one, so that a key of one can meet a token of
    the other.
    """

    VENDOR = "enphase"
    METHOD = "partner_password"
    PLANS: ClassVar[Mapping[str, Plan]] = {
        "watt": Plan(10, 1_000),
        "kilowatt": Plan(50, 50_000),
        "megawatt": Plan(100, 300_000),
        "partner": Plan(300, 1_500_000),
    }
    DEFAULT_PLAN = "partner"
    OWN_FAULTS = ("nulls", "month", "unauthorized", "token_500", "token_html", "refresh_lost")

    def __init__(self, world: World, plan: str, now: Callable[[], float], faults: Mapping[str, float]) -> None:
        super().__init__(world, plan, now, faults)
        self.applications = tuple(
            Application(*(hexadecimal(32, world.seed, "enphase", name, n) for name in ("key", "client", "secret")))
            for n in range(2)
        )
        self._posts = Quota(now, *(self.PLANS[plan] if plan != "partner" else (POSTS_A_MONTH, POSTS_A_MONTH)))
        self._access: dict[str, Grant] = {}
        self._refresh: dict[str, Grant] = {}
        self._issued = 0
        self._asking = _Asking()
        self._consents = Consents(
            world.seed,
            now,
            "/oauth/authorize",
            {a.client_id: a.client_secret for a in self.applications},
            [plan.name for plan in world.fleet(self.VENDOR)[:SHOWN_OWNERS]],
            "/oauth/redirect_uri",
            DEFAULT_HOST,
        )
        self._first_reads: set[tuple[int, int]] = set()

    @property
    def credentials(self) -> dict[str, str]:
        """Return the application's three credentials and the installer's sign-in, plain ASCII."""
        own = self.applications[0]
        return {
            "api_key": own.api_key,
            "client_id": own.client_id,
            "client_secret": own.client_secret,
            "username": f"installer-{self.world.seed}@sungaze.example",
            "password": hexadecimal(20, self.world.seed, "enphase", "password"),
        }

    def answer(self, request: Request) -> Answer:
        """Return the answer to one request; checks go verb, key, quota, token, plan [assumed]."""
        path = request.path.rstrip("/") or "/"
        if request.method not in VERBS:
            return json_answer({"reason": "501", "message": ["Not Implemented"]}, 501)
        if path == "/oauth/token":
            return self._token(request)
        consent = self._consents.answer(request)
        if consent is not None:
            return consent
        route = next((found for found in ROUTES if found.pattern.fullmatch(path)), None)
        if route is not None and request.method != route.method:
            return json_answer({"reason": "405", "message": ["Method not allowed"]}, 405)
        if self.faults.strikes("html"):
            return self.overload()
        try:
            self._admit(request)
            if route is None:
                raise Refused(404, "Requested path not found")
            if route.plans and self.plan not in route.plans:
                raise Refused(401, "User is not authorized")
            match = route.pattern.fullmatch(path)
            assert match is not None
            value = route.call(self, request, match)
        except Refused as refused:
            return json_answer(refused.body, refused.status)
        if self.faults.strikes("nulls"):
            value = calls.without_optional(value)
        return self.spoiled(json_answer(value))

    def view(self, system_id: str) -> SystemView:
        """Return a system as it stands now; refuses with 404 (unknown) or 403 (somebody else's)."""
        number = int(system_id)
        k = (number - FIRST_SYSTEM_ID) // SYSTEM_ID_STEP
        known = number >= FIRST_SYSTEM_ID and k < self.world.sites + FOREIGN_SITES
        if not known or system_id_of(self.world.site(self.VENDOR, k)) != number:
            raise Refused(404, f'System not found for {{:id=>"{system_id}"}}')
        if k >= self.world.sites or self._asking.owner not in {None, k}:
            raise Refused(403, "Not authorized to access this resource")
        return SystemView(self.world, self.world.site(self.VENDOR, k), self.now())

    def views(self) -> list[SystemView]:
        """Return all systems of the account, by ascending id; an owner's are their own."""
        now, owner = self.now(), self._asking.owner
        plans = self.world.fleet(self.VENDOR) if owner is None else [self.world.site(self.VENDOR, owner)]
        return [SystemView(self.world, plan, now) for plan in plans]

    def reads_early(self, view: SystemView, end_at: int) -> bool:
        """Return True when this interval is read for the first time and is to be incomplete (fault late)."""
        mark = (view.plan.k, end_at)
        if mark in self._first_reads:
            return False
        self._first_reads.add(mark)
        return True

    @classmethod
    def truth(cls, world: World, k: int, start: int, end: int) -> Iterator[TruthRow]:
        """Yield 300 s rows of the site and each microinverter, and 86400 s rows of the site."""
        plan = world.site(cls.VENDOR, k)
        site = str(system_id_of(plan))
        serials = [f"micros:{micro_serial(plan, panel)}" for panel in range(plan.panels)]
        start = max(start, plan.installed_at)
        if end <= start:
            return
        day, last = plan.local_date(start), plan.local_date(end - 1)
        while day <= last:
            truth = world.day(plan, day)
            midnight, after = plan.midnight(day), plan.midnight(day + timedelta(days=1))
            series = produced([truth], start, end)
            for at, panels, watts in zip(
                series.start.tolist(), series.panel_w.tolist(), series.site_w.tolist(), strict=True
            ):
                yield TruthRow(site, "", "ac_power_w", 300, at, watts)
                yield TruthRow(site, "", "energy_wh", 300, at, watts * WH)
                for serial, panel_w in zip(serials, panels, strict=True):
                    if panel_w == panel_w:
                        yield TruthRow(site, serial, "ac_power_w", 300, at, panel_w)
                        yield TruthRow(site, serial, "energy_wh", 300, at, panel_w * WH)
            if midnight >= start and after <= end and not np.isnan(truth.site_w).all():
                yield TruthRow(site, "", "energy_wh", 86_400, midnight, float(np.nansum(truth.site_w)) * WH)
            day += timedelta(days=1)

    def _admit(self, request: Request) -> None:
        key = request.headers.get("key") or request.first("key")
        application = next((known for known in self.applications if known.api_key == key), None)
        if application is None:
            raise Refused(401, "User is not authorized")
        if application is self.applications[0]:
            spent = self.quota.spend()
            if spent is None and request.method == "POST":
                spent = self._posts.spend()
            if spent is None and self.faults.strikes("429"):
                spent = self.quota.refusal("minute")
            if spent is None and self.faults.strikes("month"):
                spent = self.quota.refusal("month")
            if spent is not None:
                raise Refused(429, body=self._too_many(spent))
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        grant = self._access.get(token.strip()) if scheme.lower() == "bearer" else None
        if grant is None or grant.expires_at <= self.now() or self.faults.strikes("unauthorized"):
            raise Refused(401, "User is not authorized")
        if grant.application != application:
            details = f"API key {key} and client id {grant.application.client_id} of the token differ"
            raise Refused(401, details, message="API Key -Client mismatch")
        self._asking.owner = grant.owner
        if self.faults.strikes("500"):
            raise Refused(500, "unable to fetch data")

    def _too_many(self, spent: Refusal) -> dict[str, object]:
        return {
            "message": "Too Many Requests",
            "details": f"Usage limit exceeded for plan {self.plan.capitalize()}",
            "code": 429,
            "period": spent.period,
            "period_start": spent.start,
            "period_end": spent.end,
            "limit": spent.limit,
        }

    def _token(self, request: Request) -> Answer:
        if request.method != "POST":
            return json_answer({"reason": "405", "message": ["Method not allowed"]}, 405)
        if self.faults.strikes("token_html"):
            return Answer(503, b"<html><body>Service busy</body></html>", "text/html; charset=utf-8")
        if self.faults.strikes("token_500"):
            details = "unable to fetch data"
            return json_answer({"message": "Internal Server Error", "details": details, "code": 500}, 500)
        application = self._client(request.headers.get("authorization", ""))
        if application is None:
            return _token_error("invalid_client", "Bad client credentials", 401)
        given = request.form()
        given.update({name: values[0] for name, values in request.query.items()})
        owner: int | None = None
        if given.get("grant_type") == "password":
            expected = (self.credentials["username"], self.credentials["password"])
            if (given.get("username"), given.get("password")) != expected:
                return _token_error("invalid_grant", "Bad credentials")
        elif given.get("grant_type") == "refresh_token":
            grant = self._refresh.get(given.get("refresh_token", ""))
            lost = self.faults.strikes("refresh_lost")
            if lost or grant is None or grant.application != application or grant.expires_at <= self.now():
                return _token_error("invalid_grant", "Invalid refresh token")
            del self._refresh[given["refresh_token"]]
            owner = grant.owner
        elif given.get("grant_type") == "authorization_code":
            uri = given.get("redirect_uri", "/oauth/redirect_uri")
            owner = self._consents.redeem(given.get("code", ""), application.client_id, uri)
            if owner is None:
                return _token_error("invalid_grant", "Invalid authorization code")
        else:
            return _token_error("unsupported_grant_type", "Unsupported grant type")
        return self._issue(application, owner)

    def _client(self, authorization: str) -> Application | None:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        return next((a for a in self.applications if (a.client_id, a.client_secret) == (client_id, secret)), None)

    def _issue(self, application: Application, owner: int | None) -> Answer:
        self._issued += 1
        seed, number, now = self.world.seed, self._issued, int(self.now())
        lifetime = between(ACCESS_S - 7, ACCESS_S, seed, "lifetime", number)
        jti = hexadecimal(32, seed, "jti", number, now, application.client_id)
        access, refresh = _jwt(now + lifetime, jti, "access"), _jwt(now + REFRESH_S, jti, "refresh")
        self._access = {token: grant for token, grant in self._access.items() if grant.expires_at > now}
        self._access[access] = Grant(application, now + lifetime, owner)
        self._refresh[refresh] = Grant(application, now + REFRESH_S, owner)
        return json_answer(
            {
                "access_token": access,
                "token_type": "bearer",
                "refresh_token": refresh,
                "expires_in": lifetime,
                "scope": "read write",
                "enl_uid": str(4_000_000 + between(0, 999_999, seed, "uid")),
                "enl_cid": "",
                "enl_password_last_changed": str(1_748_500_000 + between(0, 999_999, seed, "changed")),
                "is_internal_app": False,
                "app_type": "system",
                "app_Id": str(1_409_000_000_000 + between(0, 999_999, seed, "app")),
                "jti": "-".join((jti[:8], jti[8:12], jti[12:16], jti[16:20], jti[20:])),
            }
        )


def _jwt(expires_at: int, jti: str, kind: str) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part({'exp': expires_at, 'jti': jti, 'use': kind})}.{jti}"


def _token_error(error: str, description: str, status: int = 400) -> Answer:
    return json_answer({"error": error, "error_description": description}, status)


@dataclass(frozen=True, slots=True)
class Route:
    """A path, its method, the plans that may call it (empty: all), and what answers."""

    method: str
    pattern: re.Pattern[str]
    plans: frozenset[str]
    call: Callable[[Enphase, Request, re.Match[str]], object]


def _route(path: str, call: Callable[[Enphase, Request, re.Match[str]], object], method: str = "GET") -> Route:
    """Return a route; what lies below `devices/` is device level, which Watt lacks (vendors/enphase.md 1)."""
    device_level = "/devices/" in path
    plans = frozenset({"kilowatt", "megawatt", "partner"}) if device_level else frozenset()
    return Route(method, re.compile("/api/v4/systems" + path.replace("{id}", r"(?P<id>\d{1,18})")), plans, call)


ROUTES = (
    _route("", calls.systems),
    _route("/search", calls.search, "POST"),
    _route("/event_types", calls.event_types),
    _route("/inverters_summary_by_envoy_or_site", calls.inverters_summary),
    _route("/{id}", calls.system),
    _route("/{id}/summary", calls.summary),
    _route("/{id}/devices", calls.devices),
    _route("/{id}/telemetry/production_micro", calls.production_micro),
    _route("/{id}/telemetry/production_meter", calls.production_meter),
    _route("/{id}/telemetry/consumption_meter", calls.consumption_meter),
    _route("/{id}/telemetry/battery", calls.battery),
    _route("/{id}/energy_(?P<way>import|export)_telemetry", calls.grid_telemetry),
    _route("/{id}/devices/micros/telemetry", calls.all_micros),
    _route(r"/{id}/devices/micros/(?P<serial>\w+)/telemetry", calls.one_micro),
    _route(r"/{id}/devices/encharges/(?P<serial>\w+)/telemetry", calls.one_encharge),
    _route("/{id}/energy_lifetime", calls.energy_lifetime),
    _route("/{id}/(?P<what>consumption|battery|energy_import|energy_export)_lifetime", calls.other_lifetime),
    _route("/{id}/(?P<what>production|consumption|storage)_meter_readings", calls.meter_readings),
    _route("/{id}/latest_telemetry", calls.latest_telemetry),
    _route("/{id}/open_(?P<what>events|alarms)", calls.open_incidents),
    _route("/{id}/(?P<what>events|alarms)", calls.past_incidents),
)
