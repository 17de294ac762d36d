"""SolarEdge's Monitoring API V2 over the simulated world (vendors/solaredge.md): Fleet Access by key, Site Access by
an owner's grant, which covers one site.

Every answer but an HTML page from the front door carries the minute's limit and what is left of it; the
month's credits are counted and never shown. Failed calls cost a credit [assumed],
refused ones (429) do not [assumed]. The billing cycle is the UTC calendar month [assumed].
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import local
from typing import ClassVar

from sungaze.emulators import _solaredge_calls as calls
from sungaze.emulators._consent import SHOWN_OWNERS, Consents
from sungaze.emulators._hash import hexadecimal
from sungaze.emulators._quota import Refusal
from sungaze.emulators._service import Answer, Plan, Request, Service, TruthRow, json_answer
from sungaze.emulators._solaredge_ask import TITLES, Refused
from sungaze.emulators._solaredge_site import (
    FIRST_SITE_ID,
    SITE_ID_STEP,
    PlantView,
    site_id_of,
    true_rows,
)
from sungaze.emulators._solaredge_v1 import SolarEdgeV1
from sungaze.emulators.world import World

FOREIGN_SITES = 10
ACCESS_S, REFRESH_S = 7_200, 30 * 86_400
"""How long the two tokens of a grant live (vendors/solaredge.md 1 [doc])."""
DOCUMENTATION = "https://se-api.stoplight.io/docs/monitoring"
V1_ROOTS = frozenset({"accounts", "equipment", "site", "sites", "version"})


class _Asking(local):
    """Whose grant the request of this thread has: the owner's site, None for the installer's key."""

    owner: int | None = None


class SolarEdge(Service):
    """The vendor's side: keys, grants, credits, both refusals, and the calls."""

    VENDOR = "solaredge"
    METHOD = "fleet_key"
    PLANS: ClassVar[Mapping[str, Plan]] = {"free": Plan(10, 2_000), "paid": Plan(24, 10_000)}
    DEFAULT_PLAN = "free"
    DIALECTS = ("v2", "v1")
    OWN_FAULTS = ("nulls", "credits", "unauthorized")

    def __init__(self, world: World, plan: str, now: Callable[[], float], faults: Mapping[str, float]) -> None:
        super().__init__(world, plan, now, faults)
        self._answered = 0
        self._first_reads: set[tuple[int, int]] = set()
        self._access: dict[str, tuple[int, float]] = {}
        self._refresh: dict[str, tuple[int, float]] = {}
        self._issued = 0
        self._asking = _Asking()
        application = self.application
        self._consents = Consents(
            world.seed,
            now,
            "/authorize",
            {application["client_id"]: application["client_secret"]},
            [plan.name for plan in world.fleet(self.VENDOR)[:SHOWN_OWNERS]],
            "/returned",
            extra=lambda k: {"site_id": str(site_id_of(world.site(self.VENDOR, k)))},
        )

    @property
    def application(self) -> dict[str, str]:
        """Return the client id and secret of the application that owners let in."""
        return {name: hexadecimal(24, self.world.seed, "solaredge", name) for name in ("client_id", "client_secret")}

    @classmethod
    def speaking(cls, dialect: str | None) -> type[Service]:
        """Return the service of the retired interface for `v1`, this one otherwise."""
        return SolarEdgeV1 if dialect == "v1" else cls

    @property
    def credentials(self) -> dict[str, str]:
        """Return the key, and the account key that older accounts send with it."""
        seed = self.world.seed
        return {
            "api_key": hexadecimal(32, seed, "solaredge", "api key"),
            "account_key": hexadecimal(32, seed, "solaredge", "account key"),
        }

    def answer(self, request: Request) -> Answer:
        """Return the answer to one request; V1 is gone whatever the key."""
        path = request.path.rstrip("/") or "/"
        self._answered += 1
        self._asking.owner = None
        consent = self._consents.answer(request)
        if consent is not None:
            return consent
        if path in {"/v2/oauth2/token", "/v2/oauth2/revoke-token"}:
            return self._oauth(request, path)
        root = path.split("/")[1]
        if root in V1_ROOTS:
            return self._problem(Refused(410, "This version of the API is no longer available"))
        if "x-api-key" not in request.headers and "authorization" not in request.headers:
            missing = {"error": "invalid_request", "error_description": "The access token is missing"}
            return json_answer(missing, 401, headers=self._rate())
        try:
            self._authenticate(request)
            if self.faults.strikes("html"):
                return self.overload()
            spent = self._spend()
            if spent is not None:
                return self._limited(spent)
            value = self._call(request, path)
        except Refused as refused:
            return self._problem(refused)
        if self.faults.strikes("nulls"):
            value = calls.without_optional(value)
        return self.spoiled(json_answer(value, headers=self._rate()))

    def view(self, site_id: str) -> PlantView:
        """Return a site as it stands now; refuses with 403 (somebody else's) or 404 (unknown [assumed])."""
        number = int(site_id)
        k = (number - FIRST_SITE_ID) // SITE_ID_STEP
        known = number >= FIRST_SITE_ID and k < self.world.sites + FOREIGN_SITES
        if not known or site_id_of(self.world.site(self.VENDOR, k)) != number:
            raise Refused(404, "Site not found")
        if k >= self.world.sites or self._asking.owner not in {None, k}:
            raise Refused(403, "No access to this site")
        return PlantView(self.world, self.world.site(self.VENDOR, k), self.now())

    def views(self) -> list[PlantView]:
        """Return all sites of the account, by ascending id."""
        now = self.now()
        return [PlantView(self.world, plan, now) for plan in self.world.fleet(self.VENDOR)]

    def held_back(self, view: PlantView, values: list[tuple[int, float | None]]) -> list[tuple[int, float | None]]:
        """Return the values with those of the last hour null when first read (fault late)."""
        return calls.held_back(view, self._first_reads, values) if self.faults.strikes("late") else values

    @classmethod
    def truth(cls, world: World, k: int, start: int, end: int) -> Iterator[TruthRow]:
        """Return an iterator of 900 s rows of the site and each inverter, and 86400 s rows of the site."""
        return true_rows(world, k, start, end)

    def _oauth(self, request: Request, path: str) -> Answer:
        """Answer at the token endpoint: JSON in, a new pair out; the refresh token that was used is dead at once."""
        if request.method != "POST":
            return self._problem(Refused(405, "Method not allowed"))
        try:
            given = json.loads(request.body)
        except ValueError:
            given = None
        if not isinstance(given, dict):
            return _grant_error("invalid_request", "The body should be JSON")
        if path.endswith("revoke-token"):
            token = str(given.get("token"))
            self._access.pop(token, None)
            self._refresh.pop(token, None)
            return json_answer({})
        wanted = {name: given.get(name) for name in self.application}
        if wanted != self.application:
            return _grant_error("invalid_client", "Client authentication failed")
        if given.get("grant_type") == "authorization_code":
            owner = self._consents.redeem(str(given.get("code")), self.application["client_id"], None)
        elif given.get("grant_type") == "refresh_token":
            owner, dies = self._refresh.pop(str(given.get("refresh_token")), (None, 0.0))
            owner = owner if dies > self.now() else None
        else:
            return _grant_error("unsupported_grant_type", "Grant type is not supported")
        if owner is None:
            return _grant_error("invalid_grant", "The grant is invalid, expired or revoked")
        self._issued += 1
        seed, now = self.world.seed, self.now()
        access = hexadecimal(40, seed, "solaredge access", self._issued, int(now))
        refresh = hexadecimal(40, seed, "solaredge refresh", self._issued, int(now))
        self._access[access] = (owner, now + ACCESS_S)
        self._refresh[refresh] = (owner, now + REFRESH_S)
        return json_answer(
            {"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": ACCESS_S}
        )

    def _authenticate(self, request: Request) -> None:
        """Refuse with 401 what is not this account's; a wrong account key is refused too [assumed]."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and "x-api-key" not in request.headers:
            owner, dies = self._access.get(token.strip(), (None, 0.0))
            if owner is None or dies <= self.now():
                raise Refused(401, "Invalid API key")
            if request.path.rstrip("/") in {"/v2/sites", "/v2/alerts"}:
                raise Refused(403, "Site Access does not open this endpoint")
            self._asking.owner = owner
            return
        known, account = self.credentials["api_key"], request.headers.get("x-account-key")
        if request.headers.get("x-api-key") != known:
            raise Refused(401, "Invalid API key")
        if account is not None and account != self.credentials["account_key"]:
            raise Refused(401, "Invalid account key")

    def _spend(self) -> Refusal | None:
        spent = self.quota.spend()
        if spent is None and self.faults.strikes("429"):
            spent = self.quota.refusal("minute")
        if spent is None and self.faults.strikes("credits"):
            spent = self.quota.refusal("month")
        return spent

    def _call(self, request: Request, path: str) -> object:
        if self.faults.strikes("unauthorized"):
            raise Refused(401, "Invalid API key")
        if self.faults.strikes("500"):
            raise Refused(500, "An unexpected error occurred")
        for route in ROUTES:
            match = route.pattern.fullmatch(path)
            if match:
                if request.method != "GET":
                    raise Refused(405, "Method not allowed")
                return route.call(self, request, match)
        raise Refused(404, "Unknown endpoint")

    def _limited(self, spent: Refusal) -> Answer:
        """Return one of the two 429: the minute's names a wait, the month's leaves calls in the minute."""
        body = {"message": "API rate limit exceeded"}
        if spent.period == "month":
            left = max(1, self.quota.remaining("minute"))
            return json_answer(body, 429, headers=self._rate(left))
        wait = max(1, int(spent.end - spent.now + 0.999))
        return json_answer(body, 429, headers=(*self._rate(0), ("Retry-After", str(wait))))

    def _rate(self, left: int | None = None) -> tuple[tuple[str, str], ...]:
        left = self.quota.remaining("minute") if left is None else left
        return (
            ("x-ratelimit-limit-minute", str(self.quota.limits["minute"])),
            ("x-ratelimit-remaining-minute", str(left)),
        )

    def _problem(self, refused: Refused) -> Answer:
        problem = {
            "type": DOCUMENTATION,
            "title": TITLES[refused.status],
            "status": refused.status,
            "detail": refused.detail,
            "traceId": hexadecimal(32, self.world.seed, "trace", self._answered),
        }
        return json_answer(problem, refused.status, "application/problem+json", self._rate())


def _grant_error(error: str, description: str) -> Answer:
    return json_answer({"error": error, "error_description": description}, 400)


@dataclass(frozen=True, slots=True)
class Route:
    """A path under /v2 and what answers it."""

    pattern: re.Pattern[str]
    call: Callable[[SolarEdge, Request, re.Match[str]], object]


def _route(path: str, call: Callable[[SolarEdge, Request, re.Match[str]], object]) -> Route:
    return Route(re.compile("/v2" + path.replace("{id}", r"(?P<id>\d{1,18})")), call)


ROUTES = (
    _route("/sites", calls.sites),
    _route("/alerts", calls.fleet_alerts),
    _route("/sites/{id}", calls.site),
    _route("/sites/{id}/overview", calls.overview),
    _route("/sites/{id}/overview/performance", calls.performance),
    _route("/sites/{id}/power", calls.power),
    _route("/sites/{id}/energy", calls.energy),
    _route("/sites/{id}/devices", calls.devices),
    _route("/sites/{id}/inverters/telemetry", calls.inverters),
    _route(r"/sites/{id}/inverters/(?P<serial>[\w-]+)/(?P<metric>\w+)", calls.inverter_metric),
    _route("/sites/{id}/meters/telemetry", calls.meters),
    _route(r"/sites/{id}/meters/(?P<serial>[\w-]+)/(?P<metric>[\w-]+)", calls.meter_metric),
    _route("/sites/{id}/storage/telemetry", calls.storage),
    _route(r"/sites/{id}/storage/(?P<serial>[\w,-]+)/telemetry", calls.one_storage),
    _route("/sites/{id}/alerts", calls.alerts),
    _route("/sites/{id}/environmental-benefits", calls.benefits),
    _route("/sites/{id}/power-flow", calls.power_flow),
)
