"""SolarEdge's retired Monitoring API V1 over the simulated world (vendors/solaredge.md, Appendix A).

The key stands in the query. 300 calls a day are counted per key and per site, of which a call in bulk takes one from
each; the day is UTC's, and a call that is refused (429, 401, 403, 404) costs nothing [assumed].
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from sungaze.emulators import _solaredge_v1_calls as calls
from sungaze.emulators._hash import hexadecimal
from sungaze.emulators._service import Answer, Plan, Request, Service, TruthRow, json_answer
from sungaze.emulators._solaredge_ask import TITLES, Refused
from sungaze.emulators._solaredge_calls import Values, held_back
from sungaze.emulators._solaredge_site import FIRST_SITE_ID, SITE_ID_STEP, PlantView, site_id_of, true_rows
from sungaze.emulators._solaredge_v1_ask import site_numbers
from sungaze.emulators.world import World

FOREIGN_SITES = 10
CALLS_A_DAY = 300
CONCURRENT = 3
DAY_S = 86_400
DOCUMENTATION = "https://se-api.stoplight.io/docs/monitoring"


class DayCounts:
    """Calls of the running UTC day by name: a key, or a site's id."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: dict[str, tuple[int, int]] = {}

    def used(self, name: str) -> int:
        """Return the calls of a name today."""
        day, count = self._counts.get(name, (0, 0))
        return count if day == int(self._now() // DAY_S) else 0

    def preset(self, name: str, used: int) -> None:
        """Set the calls of a name today, as if somebody had made them."""
        self._counts[name] = (int(self._now() // DAY_S), used)

    def spend(self, *names: str) -> bool:
        """Return whether every name had a call left; only then one of each is spent."""
        if any(self.used(name) >= CALLS_A_DAY for name in names):
            return False
        for name in names:
            self.preset(name, self.used(name) + 1)
        return True


class SolarEdgeV1(Service):
    """The vendor's side of the retired interface: an account key and one key per site."""

    VENDOR = "solaredge"
    METHOD = "v1"
    # V1 counts by the day: `days` does. No minute and no month refuses anything here.
    PLANS: ClassVar[Mapping[str, Plan]] = {"v1": Plan(1_000_000, 1_000_000)}
    DEFAULT_PLAN = "v1"
    OWN_FAULTS = ("nulls", "unauthorized", "gone")

    def __init__(self, world: World, plan: str, now: Callable[[], float], faults: Mapping[str, float]) -> None:
        super().__init__(world, plan, now, faults)
        self._under_way = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget every call, as if the service had just begun."""
        self.days = DayCounts(self.now)
        self._answered = 0
        self._first_reads: set[tuple[int, int]] = set()

    @property
    def credentials(self) -> dict[str, str]:
        """Return the account's key."""
        return {"api_key": hexadecimal(32, self.world.seed, "solaredge", "v1 key").upper()}

    def site_key(self, k: int) -> str:
        """Return the key that opens site `k` alone."""
        return hexadecimal(32, self.world.seed, "solaredge", "v1 site key", k).upper()

    @classmethod
    def truth(cls, world: World, k: int, start: int, end: int) -> Iterator[TruthRow]:
        """Return the rows of the vendor's other interface: it is the same site."""
        return true_rows(world, k, start, end)

    def delivered(self) -> None:
        """Count down what is under way."""
        self._under_way -= 1

    def answer(self, request: Request) -> Answer:
        """Return the answer to one request."""
        self._under_way += 1
        self._answered += 1
        if self.faults.strikes("gone"):
            return self._problem(Refused(410, "This version of the API is no longer available"))
        if self._under_way > CONCURRENT:
            return self._limited()
        if request.first("api_key") is None:
            return json_answer({"error": "invalid_request", "error_description": "The access token is missing"}, 401)
        try:
            key = self._authenticated(request)
            if self.faults.strikes("html"):
                return self.overload()
            if self.faults.strikes("429"):
                return self._limited()
            answer = self._called(request, key)
        except Refused as refused:
            return self._problem(refused)
        return answer if answer.status != 200 else self.spoiled(answer)

    def views(self, key: str | None = None) -> list[PlantView]:
        """Return the sites that a key opens, by ascending id; all of them for None."""
        now, plans = self.now(), self.world.fleet(self.VENDOR)
        own = [plan for plan in plans if key in (None, self.credentials["api_key"], self.site_key(plan.k))]
        return [PlantView(self.world, plan, now) for plan in own]

    def held_back(self, view: PlantView, values: Values) -> Values:
        """Return the values with those of the last hour null when first read (fault late)."""
        return held_back(view, self._first_reads, values) if self.faults.strikes("late") else values

    def _authenticated(self, request: Request) -> str:
        key = request.first("api_key") or ""
        known = [self.credentials["api_key"], *(self.site_key(k) for k in range(self.world.sites))]
        if key not in known:
            raise Refused(401, "Invalid API key")
        return key

    def _called(self, request: Request, key: str) -> Answer:
        if self.faults.strikes("unauthorized"):
            raise Refused(401, "Invalid API key")
        route, match = self._routed(request)
        named = match.groupdict().get("ids")
        views = self.views(key) if named is None else self._named(named, key)
        counted = () if named is None else (str(view.site_id) for view in views)
        if not self.days.spend(key, *counted):
            return self._limited()
        if self.faults.strikes("500"):
            raise Refused(500, "An unexpected error occurred")
        value = route.call(self, request, views, match)
        return json_answer(calls.without_optional(value) if self.faults.strikes("nulls") else value)

    def _routed(self, request: Request) -> tuple[Route, re.Match[str]]:
        if request.first("format") not in (None, "json"):
            raise Refused(403, "Only JSON is served here")
        path = (request.path.rstrip("/") or "/").removesuffix(".json")
        for route in ROUTES:
            match = route.pattern.fullmatch(path)
            if match:
                if request.method != "GET":
                    raise Refused(405, "Method not allowed")
                return route, match
        raise Refused(404, "Unknown endpoint")

    def _named(self, text: str, key: str) -> list[PlantView]:
        """Return the sites of a path; refuses with 403 (another key's) or 404 (unknown)."""
        own = {view.site_id: view for view in self.views(key)}
        found = []
        for number in site_numbers(text):
            if number not in own:
                raise Refused(403 if self._exists(number) else 404, "No access to this site")
            found.append(own[number])
        return found

    def _exists(self, number: int) -> bool:
        k = (number - FIRST_SITE_ID) // SITE_ID_STEP
        inside = 0 <= k < self.world.sites + FOREIGN_SITES
        return inside and site_id_of(self.world.site(self.VENDOR, k)) == number

    def _limited(self) -> Answer:
        """Return the 429, which names no wait [assumed]."""
        return json_answer({"message": "API rate limit exceeded"}, 429)

    def _problem(self, refused: Refused) -> Answer:
        problem = {
            "type": DOCUMENTATION,
            "title": TITLES[refused.status],
            "status": refused.status,
            "detail": refused.detail,
            "traceId": hexadecimal(32, self.world.seed, "trace", self._answered),
        }
        return json_answer(problem, refused.status, "application/problem+json")


Call = Callable[[SolarEdgeV1, Request, list[PlantView], re.Match[str]], object]


@dataclass(frozen=True, slots=True)
class Route:
    """A path and what answers it; `ids` in it are the sites that it costs a call."""

    pattern: re.Pattern[str]
    call: Call


def _route(path: str, call: Call) -> Route:
    path = path.replace("{id}", r"(?P<ids>\d{1,18})")
    return Route(re.compile(path.replace("{ids}", r"(?P<ids>\d{1,18}(?:,\d{1,18})*)")), call)


ROUTES = (
    _route("/sites/list", calls.sites),
    _route("/site/{id}/details", calls.details),
    _route("/(?P<root>sites?)/{ids}/dataPeriod", calls.data_period),
    _route("/(?P<root>sites?)/{ids}/overview", calls.overview),
    _route("/(?P<root>sites?)/{ids}/energy", calls.energy),
    _route("/(?P<root>sites?)/{ids}/power", calls.power),
    _route("/site/{id}/energyDetails", calls.energy_details),
    _route("/site/{id}/powerDetails", calls.power_details),
    _route("/site/{id}/currentPowerFlow", calls.power_flow),
    _route("/site/{id}/inventory", calls.inventory),
    _route("/site/{id}/storageData", calls.storage),
    _route("/equipment/{id}/list", calls.components),
    _route(r"/equipment/{id}/(?P<serial>[\w-]+)/data", calls.inverter_data),
    _route(r"/site/{id}/inverter/(?P<serial>[\w-]+)/data", calls.inverter_data),
)
