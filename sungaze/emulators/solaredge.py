"""SolarEdge's Monitoring API V2 over the simulated world (vendors/solaredge.md), Fleet Access by key.

Every answer but an HTML page from the front door carries the minute's limit and what is left of it; the
month's credits are counted and never shown. Failed calls cost a credit [assumed],
refused ones (429) do not [assumed]. The billing cycle is the UTC calendar month [assumed].
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import numpy as np

from sungaze.emulators import _solaredge_calls as calls
from sungaze.emulators._hash import hexadecimal
from sungaze.emulators._quota import Refusal
from sungaze.emulators._service import Answer, Plan, Request, Service, TruthRow, json_answer
from sungaze.emulators._solaredge_ask import TITLES, Refused
from sungaze.emulators._solaredge_site import (
    FIRST_SITE_ID,
    QUARTER_S,
    SITE_ID_STEP,
    PlantView,
    inverter_serial,
    quarters_of,
    site_id_of,
)
from sungaze.emulators.world import World

FOREIGN_SITES = 10
DOCUMENTATION = "https://se-api.stoplight.io/docs/monitoring"
V1_ROOTS = frozenset({"accounts", "equipment", "site", "sites", "version"})


class SolarEdge(Service):
    """The vendor's side: keys, credits, both refusals, and the calls."""

    VENDOR = "solaredge"
    METHOD = "fleet_key"
    PLANS: ClassVar[Mapping[str, Plan]] = {"free": Plan(10, 2_000), "paid": Plan(24, 10_000)}
    DEFAULT_PLAN = "free"
    DIALECTS = ("v2",)
    OWN_FAULTS = ("nulls", "credits", "unauthorized")

    def __init__(self, world: World, plan: str, now: Callable[[], float], faults: Mapping[str, float]) -> None:
        super().__init__(world, plan, now, faults)
        self._answered = 0
        self._first_reads: set[tuple[int, int]] = set()

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
        if k >= self.world.sites:
            raise Refused(403, "No access to this site")
        return PlantView(self.world, self.world.site(self.VENDOR, k), self.now())

    def views(self) -> list[PlantView]:
        """Return all sites of the account, by ascending id."""
        now = self.now()
        return [PlantView(self.world, plan, now) for plan in self.world.fleet(self.VENDOR)]

    def held_back(self, view: PlantView, values: list[tuple[int, float | None]]) -> list[tuple[int, float | None]]:
        """Return the values with those of the last hour null when first read (fault late)."""
        if not self.faults.strikes("late"):
            return values
        seen, kept = self._first_reads, []
        for start, value in values:
            fresh = view.closed_until - 3600 <= start and (view.plan.k, start) not in seen
            if fresh:
                seen.add((view.plan.k, start))
            kept.append((start, None if fresh else value))
        return kept

    @classmethod
    def truth(cls, world: World, k: int, start: int, end: int) -> Iterator[TruthRow]:
        """Yield 900 s rows of the site and each inverter, and 86400 s rows of the site."""
        plan = world.site(cls.VENDOR, k)
        site = str(site_id_of(plan))
        serials = [inverter_serial(plan, number) for number in range(len(plan.limit_w))]
        start = max(start, plan.installed_at)
        if end <= start:
            return
        day, last = plan.local_date(start), plan.local_date(end - 1)
        while day <= last:
            quarters = quarters_of(plan, [world.day(plan, day)])
            measured = ~np.isnan(quarters.energy_wh[:, 0])
            inside = measured & (quarters.start >= start) & (quarters.start + QUARTER_S <= end)
            for row in np.flatnonzero(inside).tolist():
                at = int(quarters.start[row])
                watts, energy = quarters.power_w[row].tolist(), quarters.energy_wh[row].tolist()
                for device, w, wh in (
                    ("", sum(watts), sum(energy)),
                    *zip(serials, watts, energy, strict=True),
                ):
                    yield TruthRow(site, device, "ac_power_w", QUARTER_S, at, w)
                    yield TruthRow(site, device, "energy_wh", QUARTER_S, at, wh)
            midnight, after = plan.midnight(day), plan.midnight(day + timedelta(days=1))
            if midnight >= start and after <= end and measured.any():
                total = float(np.nansum(quarters.energy_wh))
                yield TruthRow(site, "", "energy_wh", 86_400, midnight, total)
            day += timedelta(days=1)

    def _authenticate(self, request: Request) -> None:
        """Refuse with 401 what is not this account's; a wrong account key is refused too [assumed]."""
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
