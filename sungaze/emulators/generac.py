"""Generac's PWRcell dashboard over the simulated world (vendors/generac.md, surface A).

There is no vendor document: what is not seen in public clients is [assumed], here as there. One user owns the
profiles of all sites; the dashboard links to each of them [assumed]. `up` and the series lie `lag_s` behind the
clock; series are stamped in the local wall clock written as if it were UTC unless the fault `utc_base` is on. More
than `block_after` requests within an hour are answered by a 403 page for `block_hours`. Failed and refused requests
count as well [assumed].
"""

from __future__ import annotations

import gzip
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from urllib.parse import quote

import numpy as np

from sungaze.emulators import _generac_pages as pages
from sungaze.emulators._generac_site import (
    FIRST_PROFILE_ID,
    HOUR_S,
    LABELS,
    MINUTE_S,
    PROFILE_ID_STEP,
    HomeView,
    Row,
    Thing,
    day_in_base,
    from_base,
    hours_of,
    in_base,
    profile_id_of,
    things_of,
)
from sungaze.emulators._hash import hexadecimal
from sungaze.emulators._service import Answer, Plan, Request, Service, TruthRow, json_answer
from sungaze.emulators.world import World

HTML = "text/html; charset=utf-8"
LAG_S = 3_600
FINE_BELOW_S = 36 * 3_600
SESSION_S = 12 * 3_600
REMEMBER_S = 30 * 86_400
BLOCK_AFTER = 1_000
BLOCK_HOURS = 6.0
UNLISTED_STATES = {"inverter": 2128, "link": 0x7123, "battery": 0x9000, "beacon": 0x8010}
OVERHEATING = 0x7100
SERIES = re.compile(r"/(power|energy|charge)/([0-9A-F]{12})/(now|\d{1,12})/(all|\d{1,10})\.json", re.IGNORECASE)
PROFILE = re.compile(r"/(\d{1,10})\.json")
USER = re.compile(r"/users/(\d{1,10})")


@dataclass(slots=True)
class Visit:
    """A session cookie's meaning: its anti-forgery token and the epoch at which it dies."""

    csrf: str
    expires_at: float


class Generac(Service):
    """The vendor's side: the form, cookies, profiles, the block, and the calls.

    `lag_s`, `block_after`, `block_hours`, `session_s` and `private_profiles` may be changed while it runs.
    """

    VENDOR = "generac"
    METHOD = "public_profile"
    # The vendor names no limit: these are the ones that Sungaze keeps (vendors/generac.md 8), and nothing here
    # refuses by them.
    PLANS: ClassVar[Mapping[str, Plan]] = {"dashboard": Plan(6, 150_000)}
    DEFAULT_PLAN = "dashboard"
    OWN_FAULTS = (
        "private", "expired_302", "expired_page", "expired_401", "wrong_password", "form_names", "changed_key",
        "denied", "lag", "frozen", "reset", "unknown_state", "overheat", "utc_base", "local_up", "device_gone",
        "device_new", "nulls", "offsite", "gzip",
    )  # fmt: skip

    def __init__(self, world: World, plan: str, now: Callable[[], float], faults: Mapping[str, float]) -> None:
        super().__init__(world, plan, now, faults)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget every visit, count, block and changed setting, as if the service had just begun."""
        self.lag_s: float = LAG_S
        self.block_after = BLOCK_AFTER
        self.block_hours = BLOCK_HOURS
        self.session_s: float = SESSION_S
        self.private_profiles: set[int] = set()
        self._visits: dict[str, Visit] = {}
        self._remembered: dict[str, float] = {}
        self._issued = 0
        self._recent: deque[float] = deque()
        self._blocked_until = float("-inf")
        self._frozen_at: float | None = None
        self._first_reads: set[tuple[str, int]] = set()

    @property
    def credentials(self) -> dict[str, str]:
        """Return the profiles that anybody may look at."""
        return {
            "profile_ids": ",".join(str(profile_id_of(plan)) for plan in self.world.fleet(self.VENDOR)),
            "epoch_base": "auto",
        }

    @property
    def sign_in(self) -> dict[str, str]:
        """Return the e-mail and password of the one user."""
        seed = self.world.seed
        return {
            "email": f"owner-{seed}@sungaze.example",
            "password": hexadecimal(20, seed, "generac", "password"),
        }

    def answer(self, request: Request) -> Answer:
        """Return the answer to one request; `?_=` and every other query is ignored."""
        path = request.path.rstrip("/") or "/"
        if self._is_blocked():
            return _page(403, "Access denied", "You have been blocked. Please come back later.")
        if path in {"/", "/login", "/session/new", "/logout"}:
            return self._door(request, path)
        if request.method not in {"GET", "HEAD"}:
            return _page(405, "Method not allowed", "This page can only be read.")
        trouble = self._trouble()
        if trouble is not None:
            return trouble
        if path == "/dashboard":
            answer = self._dashboard(request, path)
        elif user := USER.fullmatch(path):
            answer = self._user(request, path, int(user[1]))
        elif profile := PROFILE.fullmatch(path):
            answer = self._devices(request, path, int(profile[1]))
        elif series := SERIES.fullmatch(path):
            answer = self._series(request, path, series)
        else:
            answer = _page(404, "Not found", "There is no such page.")
        return self._packed(request, self._delivered(answer))

    def views(self) -> list[HomeView]:
        """Return every home of the user, as the vendor knows it now."""
        return [self._view(plan.k) for plan in self.world.fleet(self.VENDOR)]

    @classmethod
    def truth(cls, world: World, k: int, start: int, end: int) -> Iterator[TruthRow]:
        """Yield 3600 s rows of the site and each PV Link by local hours, and 86400 s rows of the site."""
        plan = world.site(cls.VENDOR, k)
        site = str(profile_id_of(plan))
        links = [thing.rcpn for thing in things_of(plan) if thing.kind == "link"]
        start = max(start, plan.installed_at)
        if end <= start:
            return
        day, last = plan.local_date(start), plan.local_date(end - 1)
        while day <= last:
            truth = world.day(plan, day)
            hours = hours_of(plan, [truth])
            inside = ~np.isnan(hours.link_w[:, 0]) & (hours.start >= start) & (hours.start + HOUR_S <= end)
            for row in np.flatnonzero(inside).tolist():
                at, watts = int(hours.start[row]), hours.link_w[row].tolist()
                yield TruthRow(site, "", "dc_power_w", HOUR_S, at, sum(watts))
                for link, w in zip(links, watts, strict=True):
                    yield TruthRow(site, link, "dc_power_w", HOUR_S, at, w)
            midnight, after = plan.midnight(day), plan.midnight(day + timedelta(days=1))
            if midnight >= start and after <= end and not np.isnan(truth.site_w).all():
                total = float(np.nansum(truth.panel_w)) * 300.0 / 3600.0
                yield TruthRow(site, "", "dc_energy_wh", 86_400, midnight, total)
            day += timedelta(days=1)

    # -- the door -----------------------------------------------------------------------------------------------

    def _is_blocked(self) -> bool:
        now = self.now()
        if now < self._blocked_until:
            return True
        self._recent.append(now)
        while self._recent[0] <= now - 3600.0:
            self._recent.popleft()
        if len(self._recent) > self.block_after or self.faults.strikes("denied"):
            self._blocked_until = now + 3600.0 * self.block_hours
            self._recent.clear()
            return True
        return False

    def _trouble(self) -> Answer | None:
        if self.faults.strikes("html"):
            return self.overload()
        if self.faults.strikes("429"):
            return _page(429, "Too many requests", "Please slow down.")
        if self.faults.strikes("500"):
            return _page(500, "Something went wrong", "We have been told about it.")
        return None

    def _door(self, request: Request, path: str) -> Answer:
        if path == "/logout":
            self._forget(request)
            return _moved("/")
        names = pages.CHANGED_FIELDS if self.faults.strikes("form_names") else pages.FIELDS
        if request.method == "POST" and path in {"/login", "/session/new"}:
            return self._login(request)
        token, headers = self._visit(request)
        if path == "/":
            body = pages.page("PWRcell", '<a href="/login">Sign in</a>')
            return Answer(200, body, HTML, headers)
        return Answer(200, pages.login_page(self._visits[token].csrf, names), HTML, headers)

    def _forget(self, request: Request) -> None:
        cookies = cookies_of(request)
        self._visits.pop(cookies.get("session", ""), None)
        self._remembered.pop(cookies.get("remember_token", ""), None)

    def _visit(self, request: Request) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Return the session of a request, a new one where it has none that lives, and the cookie to set."""
        token = cookies_of(request).get("session", "")
        visit = self._visits.get(token)
        if visit is not None and visit.expires_at > self.now():
            return token, ()
        token = self._begin_visit()
        return token, (("Set-Cookie", f"session={token}; HttpOnly; Path=/"),)

    def _begin_visit(self) -> str:
        self._issued += 1
        parts = (self.world.seed, "generac", int(self.now()), self._issued)
        token = hexadecimal(40, *parts, "session")
        self._visits[token] = Visit(hexadecimal(32, *parts, "csrf"), self.now() + self.session_s)
        return token

    def _login(self, request: Request) -> Answer:
        given, token = request.form(), cookies_of(request).get("session", "")
        visit = self._visits.get(token)
        changed = pages.CHANGED_FIELDS["csrf_name"] in given
        names = pages.CHANGED_FIELDS if changed else pages.FIELDS
        if visit is None or given.get(names["csrf_name"]) != visit.csrf:
            return _page(400, "Bad request", "The form has expired.")
        known = self.sign_in
        right = given.get(names["email"]) == known["email"] and given.get(names["password"]) == known["password"]
        if self.faults.strikes("wrong_password") or not right:
            return Answer(200, pages.login_page(visit.csrf, names, "E-mail or password is wrong."), HTML)
        del self._visits[token]
        session = self._begin_visit()
        remember = hexadecimal(64, self.world.seed, "generac", "remember", int(self.now()), self._issued)
        dies = self.now() + REMEMBER_S
        self._remembered[remember] = dies
        until = datetime.fromtimestamp(dies, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        cookies = (
            ("Set-Cookie", f"session={session}; HttpOnly; Path=/"),
            ("Set-Cookie", f"remember_token={remember}; Expires={until}; HttpOnly; Path=/"),
        )
        return _moved("/dashboard", cookies)

    def _is_signed_in(self, request: Request) -> bool:
        """Return True with both cookies alive: a session, and the token that says whose it is."""
        cookies, now = cookies_of(request), self.now()
        visit = self._visits.get(cookies.get("session", ""))
        dies = self._remembered.get(cookies.get("remember_token", ""), float("-inf"))
        return visit is not None and visit.expires_at > now and dies > now

    def _refused(self, request: Request, path: str, *, public: bool) -> Answer | None:
        """Return what somebody sees who may not look, in the three ways in which a session's end shows."""
        for fault in ("expired_302", "expired_page", "expired_401"):
            if self.faults.strikes(fault):
                self._forget(request)
                return self._over(request, path, fault)
        if self.faults.strikes("offsite"):
            return _moved("https://sign-in.sungaze.example/login")
        if public or self._is_signed_in(request):
            return None
        return self._over(request, path, "expired_302")

    def _over(self, request: Request, path: str, way: str) -> Answer:
        if way == "expired_302":
            return _moved(f"/login?next={quote(path, safe='')}")
        if way == "expired_401":
            return _page(401, "Unauthorized", "Please sign in.")
        token, headers = self._visit(request)
        return Answer(200, pages.login_page(self._visits[token].csrf, pages.FIELDS), HTML, headers)

    # -- what is to be seen -------------------------------------------------------------------------------------

    def _dashboard(self, request: Request, path: str) -> Answer:
        refused = self._refused(request, path, public=False)
        homes = [(plan.name, profile_id_of(plan)) for plan in self.world.fleet(self.VENDOR)]
        return refused or Answer(200, pages.dashboard_page(homes), HTML)

    def _user(self, request: Request, path: str, number: int) -> Answer:
        k = self._find(number)
        if k is None:
            return _page(404, "Not found", "There is no such profile.")
        refused = self._refused(request, path, public=self._is_public(number))
        return refused or Answer(200, pages.profile_page(self.world.site(self.VENDOR, k).name, number), HTML)

    def _devices(self, request: Request, path: str, number: int) -> Answer:
        k = self._find(number)
        if k is None:
            return _page(404, "Not found", "There is no such profile.")
        refused = self._refused(request, path, public=self._is_public(number))
        if refused is not None:
            return refused
        content: dict[str, object] = {"dvcs": self._listed(k)}
        if self.faults.strikes("changed_key"):
            content = self._renamed(content)
        return self.spoiled(json_answer(content))

    def _series(self, request: Request, path: str, asked: re.Match[str]) -> Answer:
        what, rcpn, until, length = asked[1].lower(), asked[2].upper(), asked[3], asked[4]
        k = ((int(rcpn[:4], 16) - 1) << 12) + int(rcpn[8:11], 16)
        plan = self.world.site(self.VENDOR, k) if 0 <= k < self.world.sites else None
        thing = next((t for t in things_of(plan) if t.rcpn == rcpn), None) if plan is not None else None
        if plan is None or thing is None:
            return _page(404, "Not found", "There is no such device.")
        refused = self._refused(request, path, public=self._is_public(profile_id_of(plan)))
        if refused is not None:
            return refused
        base = "utc" if self.faults.strikes("utc_base") else "local"
        end = int(self.now()) if until == "now" else from_base(plan, int(until), base)
        start = 0 if length == "all" else end - int(length)
        view = self._view(k)
        rows: list[Row]
        if what == "energy":
            counters = view.energy_rows(thing, start, end)
            rows = [(day_in_base(plan, day, base), wh, done) for day, wh, done in counters]
        else:
            step_s = MINUTE_S if length != "all" and int(length) < FINE_BELOW_S else HOUR_S
            power = what == "power"
            found = view.power_rows(thing, start, end, step_s) if power else view.charge_rows(thing, start, end)
            rows = [(in_base(plan, at, base), value, done) for at, value, done in self._held_back(rcpn, found)]
        return self.spoiled(json_answer(rows))

    def _held_back(self, rcpn: str, rows: list[tuple[int, float | None, bool]]) -> list[tuple[int, float | None, bool]]:
        """Return the rows with those of the last three hours null when first read (fault late)."""
        if not rows or not self.faults.strikes("late"):
            return rows
        seen, newest, kept = self._first_reads, rows[-1][0], []
        for at, value, done in rows:
            fresh = at > newest - 3 * HOUR_S and (rcpn, at) not in seen
            seen.add((rcpn, at))
            kept.append((at, None if fresh else value, done and not fresh))
        return kept

    def _find(self, number: int) -> int | None:
        k = (number - FIRST_PROFILE_ID) // PROFILE_ID_STEP
        known = 0 <= k < self.world.sites and profile_id_of(self.world.site(self.VENDOR, k)) == number
        return k if known else None

    def _is_public(self, number: int) -> bool:
        return number not in self.private_profiles and not self.faults.strikes("private")

    def _view(self, k: int) -> HomeView:
        plan, known = self.world.site(self.VENDOR, k), self.now() - self.lag_s
        if self.faults.strikes("lag"):
            known -= 5 * HOUR_S
        reset_at = None
        if self.faults.strikes("reset"):
            reset_at = plan.midnight(plan.local_date(self.now()) - timedelta(days=1))
        return HomeView(self.world, plan, known, reset_at)

    def _listed(self, k: int) -> list[dict[str, object]]:
        view = self._view(k)
        if self.faults.strikes("frozen"):
            self._frozen_at = self._frozen_at or view.known
            view = HomeView(self.world, view.plan, self._frozen_at, view.reset_at)
        else:
            self._frozen_at = None
        things = view.things
        gone = self.faults.strikes("device_gone")
        unknown, hot = self.faults.strikes("unknown_state"), self.faults.strikes("overheat")
        bare, local = self.faults.strikes("nulls"), self.faults.strikes("local_up")
        if gone:
            things = [thing for thing in things if thing.link != 0]
        listed = []
        for thing in things:
            state = UNLISTED_STATES[thing.kind] if unknown else view.state(thing)
            if hot and thing.link == 0:
                state = OVERHEATING
            listed.append(_device(view, thing, state, local=local))
        if self.faults.strikes("device_new"):
            added = dict(listed[-1], s=f"{things[-1].rcpn[:4]}0004{things[-1].rcpn[8:11]}F", n="Weather Station")
            listed.append(added | {"t": "Weather Station", "p": 0})
        if bare:
            turn = self.faults.turn("nulls")
            names = ("p", "et", "up", "O5", "st", "n", "t", "ti")
            listed = [device | {names[(turn + i) % 8]: None} for i, device in enumerate(listed)]
        return listed

    def _renamed(self, content: dict[str, object]) -> dict[str, object]:
        """Return the answer with a key that has another name, by turns in every device and at the top."""
        devices = content["dvcs"]
        assert isinstance(devices, list)
        if self.faults.turn("changed_key") % 2:
            return {"dvcs": [{"pw" if name == "p" else name: v for name, v in d.items()} for d in devices]}
        return {"devices": devices}

    def _delivered(self, answer: Answer) -> Answer:
        """Return a page as the faults about delivery leave it; JSON has met them already."""
        if answer.status != 200 or not answer.content_type.startswith("text/html"):
            return answer
        for delivery in ("truncated", "huge", "slow"):
            if self.faults.strikes(delivery):
                return replace(answer, delivery=delivery)
        return answer

    def _packed(self, request: Request, answer: Answer) -> Answer:
        if "gzip" not in request.headers.get("accept-encoding", "") or not self.faults.strikes("gzip"):
            return answer
        headers = (*answer.headers, ("Content-Encoding", "gzip"))
        return replace(answer, body=gzip.compress(answer.body, mtime=0), headers=headers)


def cookies_of(request: Request) -> dict[str, str]:
    """Return the cookies of a request by name."""
    pairs = (part.strip().partition("=") for part in request.headers.get("cookie", "").split(";"))
    return {name: value for name, _, value in pairs if name}


def _device(view: HomeView, thing: Thing, state: int, *, local: bool) -> dict[str, object]:
    """Return one entry of `dvcs`, always with all eight keys: public clients require each of them."""
    zone = view.plan.zone if local else UTC
    charge = round(view.charge_share(view.known) * 1000) if thing.kind == "battery" else 0
    return {
        "s": thing.rcpn,
        "n": thing.name,
        "t": LABELS[thing.kind],
        "st": state,
        "p": view.power_w(thing),
        "et": view.counter_wh(thing, view.known),
        "up": datetime.fromtimestamp(view.updated_at(thing), zone).strftime("%Y-%m-%d %H:%M:%S %Z"),
        "ti": datetime.fromtimestamp(view.plan.installed_at, UTC).strftime("%Y-%m-%d %H:%M:%S %Z"),
        "O5": str(charge),
    }


def _moved(location: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(302, pages.notice_page("Redirecting", "You should be redirected."), HTML,
                  (("Location", location), *headers))  # fmt: skip


def _page(status: int, title: str, words: str) -> Answer:
    return Answer(status, pages.notice_page(title, words), HTML)
