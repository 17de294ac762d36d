"""Generac PWRcell, read from the owner's dashboard (surface A of vendors/generac.md).

Generac offers no interface: everything here is a users' finding and may stop any day; whatever was not seen in public
clients is [assumed]. Answers are judged by their content, not by their status. Production is the sum of the PV Links,
because the inverter's AC includes the battery. `p` is never believed to be newer than its device's `up`; a home whose
`up` stands still is told by freshness, not by this file.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import msgspec
from parsel import Selector

from sungaze import clock
from sungaze.errors import Changed, NeedsReconnect, NotEntitled, Unavailable, VendorError
from sungaze.model import (
    DAY_S,
    AlertFacts,
    Communication,
    DeviceFacts,
    DeviceStatus,
    DeviceType,
    Reading,
    Severity,
    SiteFacts,
    SiteStatus,
    Span,
)
from sungaze.vendors._contract import (
    Access,
    Answer,
    Exchange,
    Field,
    Limit,
    Method,
    Plan,
    Probe,
    Readers,
    Resource,
    Response,
    Seen,
    SiteRef,
    Vendor,
    unplaced,
)
from sungaze.vendors._session import decode, figure, looks_like_html, quoted, retry_after

log = logging.getLogger(__name__)

NAME: Final = "Generac"
HOUR_S: Final = 3_600
LOOK_S: Final = 1_800
"""Generac blocks who asks too often: one look in half an hour (section 0 [code])."""
RANGE_S: Final = 172_800
"""What a nightly look at the hourly series asks for (section 8)."""
LONGEST_RANGE_S: Final = 60 * DAY_S
"""Beyond this the whole history is asked for, and not again within ALL_PAUSE_S (section 8)."""
ALL_PAUSE_S: Final = 7 * DAY_S
FINE_RANGE_S: Final = 8 * HOUR_S
"""Below 36 hours the series has a value each minute; the newest may be hours old (sections 0 and 2.2 [code])."""
BLOCKED_S: Final = 6 * HOUR_S
BLOCKED_AGAIN_S: Final = DAY_S
PASSWORD_PAUSE_S: Final = DAY_S
"""A password is sent no more than once in this time without the user (section 1.3)."""
FINE_BELOW_S: Final = 36 * HOUR_S
"""A series that is asked for over less than this has a value each minute (2.2 [code])."""
FUTURE_S: Final = 900
TOGETHER_S: Final = HOUR_S
"""PV Links that were heard of further apart than this are not summed: their powers are of different times."""
LOOKS_TO_BELIEVE: Final = 3
"""A device that is missing from this many looks in a row is gone."""
SAME_S: Final = 300
"""How far the newest sample's distance from `up` may lie from the site's UTC offset (section 4)."""
BEHIND_S: Final = 5_400
"""How far behind `up` a series in true UTC may lie (section 4)."""

MOST_EVIDENCE: Final = 4
"""Comparisons that are kept; when they do not decide, one more is made a day."""
SUN_MARGIN_S: Final = BEHIND_S + HOUR_S
"""How far outside the daylight of the zone's main city an hour with power may lie (section 4, and the hour itself)."""

_GIVES: Final = frozenset({"state", "details", "energy", "power"})
_CONSENT: Final = (
    "Generac offers no interface for this. Sungaze reads the page that your browser shows you, twice an hour at the "
    "most. That is unofficial, may stop working any day, and may go against the portal's terms of use. Go on only if "
    "you are, or act for, the owner and agree to this."
)
_BASE_FIELD: Final = Field(
    name="epoch_base",
    label="Time base of the series",
    help="auto, utc or local. Generac does not say how its series count time; auto finds out by comparing. Leave it "
    "empty unless the hourly figures are shifted.",
    secret=False,
    required=False,
)
_IDS_HELP: Final = "The digits after /users/ in the dashboard's address; several with commas between them."
_OWN_IDS: Final = Field(
    name="profile_ids",
    label="Profile number",
    help=f"{_IDS_HELP} Needed only when Sungaze does not find it in the page.",
    secret=False,
    required=False,
)

_PLAIN: Final = frozenset({"t", "up", "ti", "O5"})

VENDOR: Final = Vendor(
    id="generac",
    name=NAME,
    link="https://www.generac.com",
    attribution="Data: Generac",
    portal_url="https://pwrcell.generac.com/users/{site}",
    default_base_url="https://pwrcell.generac.com",
    methods=(
        Method(
            id="public_profile",
            label="Public dashboard (no login)",
            about="The owner switches “publicly visible” on in the dashboard's settings. No password is kept.",
            fields=(Field(name="profile_ids", label="Profile number", help=_IDS_HELP, secret=False), _BASE_FIELD),
            plans=("dashboard",),
            scope_field="profile_ids",
            consent=_CONSENT,
        ),
        Method(
            id="login",
            label="E-mail and password",
            about="Signs in as your browser does, as far as the sign-in page is known. By itself Sungaze sends the "
            "password once a day at the most.",
            fields=(
                Field(name="email", label="E-mail", help="Of your PWRcell dashboard.", secret=False),
                Field(name="password", label="Password"),
                _OWN_IDS,
                _BASE_FIELD,
            ),
            plans=("dashboard",),
            scope_field="email",
            consent=_CONSENT,
        ),
        Method(
            id="cookie",
            label="Cookie from your browser",
            about="For when the sign-in page has changed: copy it from a browser that is signed in. When Generac ends "
            "that session, it has to be pasted anew.",
            fields=(
                Field(
                    name="cookie",
                    label="Cookie",
                    help="The value of remember_token, or the whole Cookie header, from the browser's developer tools.",
                ),
                _OWN_IDS,
                _BASE_FIELD,
            ),
            plans=("dashboard",),
            scope_field="cookie",
            consent=_CONSENT,
        ),
    ),
    # The vendor names no limit and blocks without warning: these are our own (section 8).
    plans=(
        Plan(
            id="dashboard",
            label="Owner's dashboard",
            about="No money. The limits are Sungaze's own, because Generac names none: one look at a site in 30 "
            "minutes, enough for about 80 sites.",
            limits=(Limit(window="minute", limit=6), Limit(window="day", limit=5_000)),
            gives=_GIVES,
        ),
    ),
    resources=(
        Resource(id="list", per_site=False, every_s=DAY_S, night=True, least_s=LOOK_S - 100, order=10),
        Resource(id="state", per_site=True, every_s=LOOK_S, least_s=LOOK_S - 100, order=20),
        Resource(id="details", per_site=True, every_s=7 * DAY_S, night=True, least_s=LOOK_S - 100, order=30),
        # One call for each PV Link; a home has up to four as a rule.
        Resource(id="energy", per_site=True, every_s=DAY_S, night=True, after_midnight=True, calls=4, order=40),
        Resource(id="power", per_site=True, every_s=DAY_S, night=True, after_midnight=True, calls=4, order=50),
    ),
    late_min=180,
    stale_min=480,
    power_metric="dc_power_w",
    energy_metric="dc_energy_wh",
    fine_s=0,
    fine_resource="state",
    history=("energy", "power"),
    bucket_s=LOOK_S,
    plain_fields=_PLAIN,
    kind_in_id=slice(4, 8),
    notes=(
        "Generac offers no interface; this reads your dashboard page. It may stop any day.",
        "Whether the dashboard still answers for every account is not known: the newest report that we know is of "
        "about 2023. Look what it sees before you save.",
        "Users report that Generac blocks who asks too often. Then Sungaze stops for 6 hours, and for a day if it "
        "happens again.",
        "By users' reports the figures are 45 minutes to several hours old; more than one look in 30 minutes is never "
        "taken.",
        "The site's time zone is not in the data: set it, so that days and hourly figures can be read.",
        "Production is the sum of the PV Links (DC): the inverter's own figure includes the battery.",
    ),
    panels_note="Generac gives figures per PV Link, which is a string of panels, and none per panel.",
    differs=(
        "Production is the DC sum of the PV Links. The dashboard may show the inverter's AC power, "
        "which includes the battery.",
        "What is read is the moment at which each device last reported, not a mean: short peaks and clouds look "
        "larger or are missed.",
        "The figures are 45 minutes to several hours old when they come; the app may have newer ones.",
        "Generac documents none of its figures: that energy counts in watt-hours, and a day from midnight at the site, "
        "is assumed.",
    ),
)

# -- wire types: exactly the fields that are used --------------------------------------------------------------------

Number = int | float


class _Device(msgspec.Struct):
    """Any key may be null or missing; `UNSET` tells a missing one apart, see `read_state`."""

    s: str | msgspec.UnsetType | None = msgspec.UNSET
    n: str | None = None
    t: str | None = None
    st: int | None = None
    p: Number | msgspec.UnsetType | None = msgspec.UNSET
    et: Number | None = None
    up: str | msgspec.UnsetType | None = msgspec.UNSET
    ti: str | None = None
    charge: Number | str | None = msgspec.field(default=None, name="O5")


class _State(msgspec.Struct):
    dvcs: list[_Device]


class _Row(msgspec.Struct, array_like=True, gc=False):
    """`[epoch, value, boolean]`; what the boolean means is unknown (2.2), and it is not used."""

    at: int
    value: Number | None = None


class Evidence(msgspec.Struct, frozen=True, array_like=True):
    """One comparison of a series with a device's `up`: the newest sample as written, `up` and the time of asking."""

    newest: int
    up: int
    now: int


class _Notes(msgspec.Struct, omit_defaults=True):
    """What is remembered of one site.

    `ids` are the devices of the last complete look, `missed` how many looks in a row lacked one of them; `base` the
    verdict on the series' epochs and `evidence` what speaks for it; `all` when each series was last asked for whole.
    """

    ids: list[str] = []
    missed: int = 0
    base: str = ""
    evidence: list[Evidence] = []
    all: dict[str, float] = {}


# -- cookies, login and calls ----------------------------------------------------------------------------------------


class LoginForm(msgspec.Struct, frozen=True):
    """A sign-in form as a page has it: where it goes, and every field with its value; the two to fill in by name."""

    action: str
    method: str
    fields: dict[str, str]
    user: str
    password: str

    def __repr__(self) -> str:
        # A hidden field may be a token.
        return f"LoginForm(action={self.action!r})"


class Generac:
    """The connector."""

    vendor = VENDOR

    @property
    def readers(self) -> Readers:
        """Every path whose answers are read."""
        return READERS

    def probe(self, access: Access) -> Probe:
        """What is seen, for one page of HTML: the first public profile's own, or the dashboard."""
        if access.method == "public_profile":
            numbers = _own_ids(access)
            named = {numbers[0]: self._title(access, numbers[0])}
        else:
            named = self._dashboard(access)
            numbers = list(named)
        sites = tuple(SiteFacts(vendor_site_id=number, name=named.get(number)) for number in numbers)
        return Probe(sites=sites, total=len(sites), panels=False, notes=VENDOR.notes)

    def list_sites(self, access: Access) -> Answer:
        """Every profile: those that were entered, without a call, or those that the dashboard links to."""
        if access.method == "public_profile":
            sites = [SiteFacts(vendor_site_id=number) for number in _own_ids(access)]
        else:
            sites = [SiteFacts(vendor_site_id=n, name=name) for n, name in self._dashboard(access).items()]
        return Answer(sites=sites, complete=True)

    def fetch(self, access: Access, resource: str, site: SiteRef, span: Span) -> Answer:
        """One look at one resource of one site."""
        if not re.fullmatch(r"\d{5,12}", site.vendor_site_id):
            raise Changed("A Generac profile number has five to twelve digits. What is known is kept.", "profile")
        if resource == "details":
            return Answer(
                sites=[SiteFacts(vendor_site_id=site.vendor_site_id, name=self._title(access, site.vendor_site_id))]
            )
        if resource == "state":
            return self._state(access, site)
        if resource in {"energy", "power"}:
            return self._series(access, resource, site, span)
        raise ValueError(f"Generac has no resource {resource}")

    def chunks(self, resource: str, span: Span) -> list[Span]:
        """Any length comes in one call for each PV Link (2.2, 2.3 [code])."""
        return [span]

    def _state(self, access: Access, site: SiteRef) -> Answer:
        number = site.vendor_site_id
        tz, now = clock.zone(site.timezone), int(access.now())
        state = decode(self._json(access, f"/{number}.json", number), _State, NAME, "devices")
        found = read_state(state, tz, now)
        notes = _notes(access, number)
        known = {device.vendor_device_id for device in found.devices}
        lacking = not known or not known.issuperset(notes.ids)
        missed = notes.missed + 1 if lacking else 0
        believed = bool(known) and (not lacking or missed >= LOOKS_TO_BELIEVE)
        evidence = self._evidence(access, found, notes, tz)
        _note(
            access,
            number,
            ids=sorted(known) if believed else notes.ids,
            missed=0 if believed else min(missed, LOOKS_TO_BELIEVE),
            evidence=evidence,
            base=notes.base or (epoch_base(evidence, tz) if tz is not None else None) or "",
        )
        return Answer(
            sites=[found.site(number)],
            devices=found.devices,
            devices_complete=believed,
            readings=found.readings,
            alerts=found.alerts,
            # An alarm is not over because its device was left out, or came without its state.
            alerts_complete=believed and found.every_state_known,
        )

    def _evidence(self, access: Access, found: State, notes: _Notes, tz: dt.tzinfo | None) -> list[Evidence]:
        """What is known of the series' epochs, with one more call while it is undecided and the sun shines."""
        if tz is None or notes.base or _chosen_base(access) or not found.producing:
            return notes.evidence
        device, up = found.producing
        if notes.evidence and up - notes.evidence[-1].up < LOOK_S // 2:
            return notes.evidence
        if len(notes.evidence) >= MOST_EVIDENCE and access.now() - notes.evidence[-1].now < DAY_S:
            return notes.evidence
        try:
            rows = self._rows(access, "power", device, str(FINE_RANGE_S))
        except VendorError as error:
            # The look itself has what it came for.
            log.info("no comparison for the epochs of Generac site: %s", error)
            return notes.evidence
        measured = [row.at for row in rows if row.value is not None]
        if not measured:
            return notes.evidence
        return [*notes.evidence, Evidence(max(measured), up, int(access.now()))][-MOST_EVIDENCE:]

    def _series(self, access: Access, what: str, site: SiteRef, span: Span) -> Answer:
        tz, now = clock.zone(site.timezone), int(access.now())
        notes = _notes(access, site.vendor_site_id)
        base = _chosen_base(access) or notes.base
        if not base or (tz is None and (base == "local" or what == "energy")):
            # Nothing that is read now could be put at its time (section 4): nothing is asked, nothing is covered.
            return Answer()
        devices = notes.ids or sorted(site.device_ids)
        links = [device for device in devices if device_type(device) is DeviceType.STRING_CONVERTER]
        if not links:
            raise Unavailable(
                "The devices of this Generac site are not known yet. Its hourly figures are asked for after the next "
                "look.",
                LOOK_S,
            )
        length, whole = self._length(what, notes, span, now)
        series = {link: self._rows(access, what, link, length) for link in links}
        if whole:
            _note(access, site.vendor_site_id, all={**notes.all, what: float(now)})
        if what == "energy":
            assert tz is not None
            return Answer(readings=list(read_days(series, base, tz)), covered=Span(span.start, now))
        readings = list(read_hours(series, base, tz))
        if not _chosen_base(access) and (lies_ahead(readings, now) or shines_by_night(readings, site.timezone)):
            log.warning("a Generac site makes power by night or tomorrow if its epochs are %s: compared anew", base)
            _note(access, site.vendor_site_id, base="", evidence=[])
            return Answer()
        return Answer(readings=readings, covered=Span(min(span.start, now - RANGE_S), now))

    def _length(self, what: str, notes: _Notes, span: Span, now: int) -> tuple[str, bool]:
        """The range to ask for, and whether it is the whole history: the first of energy is, once (section 8)."""
        # The day before the first is needed too: a day is the difference of two counters (2.3).
        needed = max(RANGE_S, now - span.start + (2 * DAY_S if what == "energy" else 0))
        last = notes.all.get(what)
        may = last is None or now - last >= ALL_PAUSE_S
        if may and (needed > LONGEST_RANGE_S or (what == "energy" and last is None)):
            return "all", True
        return str(needed), False

    def _rows(self, access: Access, what: str, device: str, length: str) -> list[_Row]:
        return decode(self._json(access, f"/{what}/{device}/now/{length}.json", device), list[_Row], NAME, what)

    def _title(self, access: Access, number: str) -> str | None:
        return read_title(self._page(access, f"/users/{number}", number))

    def _dashboard(self, access: Access) -> dict[str, str | None]:
        """The account's profiles, with the name of the only one."""
        own = _own_ids(access)
        text = self._page(access, "/dashboard", "dashboard")
        numbers = own or read_profile_ids(text)
        if not numbers:
            raise Changed(
                "Generac's dashboard names no profile where Sungaze looks for it. Enter the profile number (the digits "
                "after /users/ in the browser's address) and connect again; what is known is kept.",
                "dashboard",
            )
        return {number: read_title(text) if len(numbers) == 1 else None for number in numbers}

    # -- one question ------------------------------------------------------------------------------------------------

    def _json(self, access: Access, path: str, where: str) -> Response:
        return self._ask(access, path, where, page=False)

    def _page(self, access: Access, path: str, where: str) -> str:
        return self._ask(access, path, where, page=True).body.decode("utf-8", "replace")

    def _ask(self, access: Access, path: str, where: str, *, page: bool) -> Response:
        """The answer, of the kind that was asked for; one renewed login and one repeat where the session is over."""
        _raise_if_blocked(access)
        renewed = False
        while True:
            jar = _jar(access)
            if access.method != "public_profile" and not renewed and not jar:
                jar, renewed = self._renew(access, jar), True
            response = self._send(access, "GET", path, jar, page=page)
            kind = judge(response, page=page)
            if kind == "answer":
                _keep_cookies(access, jar, response)
                return response
            if kind != "session":
                raise self._refusal(access, response, kind, where)
            if access.method == "public_profile":
                raise _private(access, where)
            if renewed:
                raise NeedsReconnect(
                    "Generac ends the session as soon as it is signed in. Connect the account again; history is kept."
                )
            self._renew(access, jar)
            renewed = True

    def _send(
        self, access: Access, method: str, path: str, jar: Mapping[str, str], *, page: bool = True,
        form: Mapping[str, str] | None = None,
    ) -> Response:  # fmt: skip
        headers = {"Accept": "text/html,application/xhtml+xml"}
        if not page:
            headers = {"Accept": "application/json, text/javascript, */*; q=0.01", "X-Requested-With": "XMLHttpRequest"}
        if jar:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        if form is not None:
            headers["Referer"] = f"{VENDOR.default_base_url}/login"
        params = [] if page else [("_", str(int(access.now() * 1000)))]
        return access.session.request(method, path, params=params, headers=headers, form=form)

    def _renew(self, access: Access, refused: Mapping[str, str]) -> dict[str, str]:
        """Cookies that are not the `refused` ones: another task's, or those of one new login under the lease."""
        try:
            with access.login_lease():
                jar = _jar(access)
                if jar and jar != refused:
                    return jar
                if access.method == "cookie":
                    return self._revisit(access)
                return self._login(access)
        except TimeoutError:
            raise Unavailable(
                "Generac is being signed in to by another task, which takes too long. What is known is kept; it is "
                "asked again in a few minutes."
            ) from None

    def _revisit(self, access: Access) -> dict[str, str]:
        """The pasted cookie's lasting part with a new session, which the front page gives to anybody (1.2 [code])."""
        jar = pasted_cookies(access.credentials["cookie"])
        lasting = {name: value for name, value in jar.items() if name == "remember_token"}
        if not lasting:
            raise NeedsReconnect(
                "The pasted cookie holds no remember_token, without which Generac shows nothing. Copy it again from a "
                "browser that is signed in; history is kept."
            )
        response = self._send(access, "GET", "/", lasting)
        if judge(response, page=True) == "blocked":
            raise _blocked(access, leased=True)
        jar = merged(lasting, response.cookies)
        _write(access, cookies=json.dumps(jar))
        return jar

    def _login(self, access: Access) -> dict[str, str]:
        """New cookies for the e-mail and password, by the form that the page has."""
        before = _login_notes(access)
        left = float(before.get("password_at") or "-inf") + PASSWORD_PAUSE_S - access.now()
        if left > 0 and not before.get("answered"):
            raise Unavailable(
                "Generac did not say whether it takes this login. The password is sent once a day at the most: it is "
                "tried again tomorrow, or at once when you connect again. What is known is kept.",
                left,
            )
        if left > 0:
            raise NeedsReconnect(
                "Generac's session is over, and the password was sent already within the last day. Connect the account "
                "again; history is kept."
            )
        page = self._send(access, "GET", "/login", {})
        if judge(page, page=True) not in {"answer", "session"} or page.status != 200:
            raise self._refusal(access, page, judge(page, page=True), "login", leased=True)
        form = read_form(page.body.decode("utf-8", "replace"), page.path)
        if form is None:
            raise Changed(
                "Generac's sign-in page has changed: no form with a password is found that can be used. Use the cookie "
                "from your browser instead; what is known is kept.",
                "login form",
            )
        jar = merged({}, page.cookies)
        filled = {
            **form.fields,
            form.user: access.credentials["email"],
            form.password: access.credentials["password"],
        }
        _write(access, password_at=str(access.now()), answered="", cookies="")
        answer = self._send(access, "POST", form.action, jar, form=filled)
        kind = judge(answer, page=True)
        if kind == "session":
            _write(access, answered="yes")
            raise NeedsReconnect(
                "Generac refuses this login: check the e-mail and the password, and connect again. History is kept."
            )
        jar = merged(jar, answer.cookies)
        moved = answer.status in _MOVED and _is_own_path(answer.headers.get("location", ""))
        if not jar or not (moved or kind == "answer"):
            raise self._refusal(access, answer, "changed" if kind == "answer" else kind, "login", leased=True)
        _write(access, cookies=json.dumps(jar), answered="yes")
        return jar

    def _refusal(
        self, access: Access, response: Response, kind: str, where: str, *, leased: bool = False
    ) -> Unavailable | Changed:
        if kind == "blocked":
            return _blocked(access, leased=leased)
        if kind == "trouble":
            return Unavailable(
                f"Generac has trouble of its own ({response.status}). What is known is kept; it is asked again later.",
                retry_after(response.headers, 300),
            )
        what = {
            "missing": "has no such page any more",
            "moved": "sends Sungaze on to another place",
        }.get(kind, "shows a page that this version does not know")
        return Changed(
            f"Generac {what} ({where}, {response.status}). What is known is kept; look for an update of Sungaze if it "
            "stays.",
            where,
        )


_MOVED: Final = frozenset({301, 302, 303, 307, 308})


def judge(response: Response, *, page: bool) -> str:
    """What an answer is, by its content (1.3): `answer`, `session` (over), `blocked`, `trouble`, `missing`, `moved` or
    `changed`.

    `page` says that HTML was asked for. A page with a password in it means that the session is over, whatever its
    status.
    """
    kind, head = response.headers.get("content-type", ""), response.body.lstrip()[:1]
    html = looks_like_html(response.body) or "html" in kind
    is_json = not html and ("json" in kind or head in (b"{", b"["))
    start = "" if is_json else response.body[:65_536].decode("utf-8", "replace")
    if response.status in _MOVED:
        location = response.headers.get("location", "")
        if not _is_own_path(location):
            return "moved"
        return "session" if re.search(r"/(log|sign)[-_]?in\b", urlsplit(location).path, re.IGNORECASE) else "moved"
    if response.status == 401 or _has_password(start):
        return "session"
    if response.status in {403, 429} or "access denied" in start.lower():
        return "blocked"
    if response.status >= 500:
        return "trouble"
    if response.status in {404, 410}:
        return "missing"
    if response.status != 200:
        return "changed"
    if page:
        return "answer" if html else "changed"
    return "answer" if is_json else "changed"


def _is_own_path(location: str) -> bool:
    """Whether a redirect stays on the host: a path of it, or the vendor's own address in full."""
    return bool(re.match(r"/(?![/\\])", location)) or _on_host(location)


def _on_host(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme == "https" and parts.netloc == urlsplit(VENDOR.default_base_url).netloc


def _has_password(html: str) -> bool:
    return re.search(r"<input\b[^>]*\btype\s*=\s*[\"']?password\b", html, re.IGNORECASE) is not None


def read_form(html: str, path: str) -> LoginForm | None:
    """The first form of a page that holds a password and can be sent safely; None where there is none.

    A form that would carry the password in an address, or to another host, is none (1.2, 1.3).
    """
    for form in _selector(html).xpath("//form[.//input[@type='password']]"):
        method = (form.xpath("./@method").get() or "POST").strip().upper()
        try:
            target = urljoin(path, (form.xpath("./@action").get() or "").strip())
        except ValueError:
            continue
        if _on_host(target):
            target = urlsplit(target)._replace(scheme="", netloc="").geturl() or "/"
        if method != "POST" or not _is_own_path(target) or not target.isprintable():
            continue
        fields: dict[str, str] = {}
        texts: list[str] = []
        password = "password"
        for item in form.xpath(".//input[@name]"):
            name, kind = item.xpath("./@name").get() or "", (item.xpath("./@type").get() or "text").lower()
            if kind == "password":
                password = name
            elif kind in {"text", "email"}:
                texts.append(name)
            elif kind in {"hidden", "checkbox"}:
                fields[name] = item.xpath("./@value").get() or ("on" if kind == "checkbox" else "")
        user = next((name for name in texts if re.search("mail|user|login", name, re.IGNORECASE)), None)
        return LoginForm(target, method, fields, user or (texts[0] if texts else "email"), password)
    return None


def read_profile_ids(html: str) -> list[str]:
    """Every profile id that a page or its scripts name, in order (1.2 [code])."""
    found = re.findall(r"/(?:users/(\d{5,12})(?!\d)|(\d{5,12})\.json)", html)
    return list(dict.fromkeys(a or b for a, b in found))


def read_title(html: str) -> str | None:
    """The site's name from a page's title, without what the portal adds to it."""
    title = _selector(html).xpath("string(//title)").get() or ""
    name = re.sub(r"\s+", " ", re.sub(r"\s+[-–|]\s+\w+\s*$", "", title)).strip()[:120]
    return name or None


def _selector(html: str) -> Selector:
    # A character that no XML may hold makes the parser give up.
    return Selector(text=re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]", "", html) or "<html></html>", type="html")


def pasted_cookies(text: str) -> dict[str, str]:
    """Cookies from what a user pasted: a Cookie header, with its name or without, or the remember_token alone."""
    text = re.sub(r"(?i)^\s*cookie\s*:", "", text).strip().strip("\"'")
    pairs = [part.strip().partition("=") for part in text.split(";")]
    if len(pairs) == 1 and not re.match(r"[A-Za-z_][\w-]*=[^=]", text):
        return {"remember_token": text} if text else {}
    return {name: value for name, mark, value in pairs if name and mark}


def merged(jar: Mapping[str, str], set_cookie: Iterable[str]) -> dict[str, str]:
    """The cookies after an answer's Set-Cookie lines; one that is set empty or with Max-Age 0 goes."""
    kept = dict(jar)
    for line in set_cookie:
        pair, _, attributes = line.partition(";")
        name, mark, value = pair.strip().partition("=")
        if not mark or not name or not pair.isascii() or not pair.isprintable():
            continue
        if not value.strip('"') or re.search(r"max-age\s*=\s*(0|-\d+)\b", attributes, re.IGNORECASE):
            kept.pop(name, None)
        else:
            kept[name] = value
    return kept


# -- what is remembered: cookies of this very login, when the password was sent, blocks, and notes on each site ------


def _owner(access: Access) -> str:
    """A mark of the credentials: what other ones were given is not theirs."""
    parts = (access.method, *(access.credentials.get(name, "") for name in ("email", "password", "cookie")))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _login_notes(access: Access) -> dict[str, str]:
    kept = access.recall()
    return kept if kept.get("owner") == _owner(access) else {}


def _jar(access: Access) -> dict[str, str]:
    if access.method == "public_profile":
        return {}
    text = _login_notes(access).get("cookies")
    if text:
        try:
            return msgspec.json.decode(text, type=dict[str, str])
        except (msgspec.DecodeError, msgspec.ValidationError):
            return {}
    if access.method == "cookie":
        pasted = pasted_cookies(access.credentials["cookie"])
        # Without a session the front page has to be asked for one first.
        return pasted if len(pasted) > 1 else {}
    return {}


def _write(access: Access, **changed: str) -> None:
    """Have login notes remembered beside the rest. Only under the login's lease: another task may write too."""
    kept = access.recall()
    if not _login_notes(access):
        kept = {
            name: value for name, value in kept.items() if name not in {"cookies", "password_at", "answered", "owner"}
        }
    access.remember({**kept, **changed, "owner": _owner(access)})


def _keep_cookies(access: Access, jar: Mapping[str, str], response: Response) -> None:
    if access.method == "public_profile" or not response.cookies:
        return
    renewed = merged(jar, response.cookies)
    if renewed != jar:
        with access.login_lease():
            # Another task may have signed in meanwhile: its cookies are the newer ones.
            if _jar(access) == jar:
                _write(access, cookies=json.dumps(renewed))


def _notes(access: Access, number: str) -> _Notes:
    try:
        return msgspec.json.decode(access.recall().get(f"site:{number}", "{}"), type=_Notes)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return _Notes()


def _note(access: Access, number: str, **changed: Any) -> None:
    before = _notes(access, number)
    if all(getattr(before, name) == value for name, value in changed.items()):
        return
    with access.login_lease():
        after = msgspec.structs.replace(_notes(access, number), **changed)
        access.remember({**access.recall(), f"site:{number}": msgspec.json.encode(after).decode()})


def _raise_if_blocked(access: Access) -> None:
    until = float(access.recall().get("blocked_until") or "-inf")
    left = until - access.now()
    if left > 0:
        raise Unavailable(_BLOCKED.format(hours=max(1, round(left / HOUR_S))), min(left, BLOCKED_AGAIN_S))


_BLOCKED: Final = (
    "Generac has blocked this connection for now, which it does when it is asked too often. It is left alone for about "
    "{hours} hours; what is known is kept."
)


def _blocked(access: Access, *, leased: bool = False) -> Unavailable:
    """The error for a block, remembered so that nothing is asked meanwhile: six hours, a second time a day (1.3)."""
    if not leased:
        with access.login_lease():
            return _blocked(access, leased=True)
    kept, now = access.recall(), access.now()
    again = now - float(kept.get("blocked_at") or "-inf") <= DAY_S + BLOCKED_S
    pause = BLOCKED_AGAIN_S if again else BLOCKED_S
    access.remember({**kept, "blocked_at": str(now), "blocked_until": str(now + pause)})
    return Unavailable(_BLOCKED.format(hours=pause // HOUR_S), pause)


def _private(access: Access, where: str) -> NeedsReconnect | NotEntitled:
    words = (
        f"This Generac dashboard is not public any more ({where}). The owner can make it visible again in its "
        "settings, or you connect with a login. History is kept."
    )
    # Of several profiles one may be closed while the others are seen.
    return NeedsReconnect(words) if len(_own_ids(access)) == 1 else NotEntitled(words, where)


def _own_ids(access: Access) -> list[str]:
    """The profile ids that the user entered. Raises NeedsReconnect where that is something else."""
    given = [part for part in re.split(r"[\s,;]+", access.credentials.get("profile_ids", "")) if part]
    numbers = [re.sub(r"^.*/(?:users/)?(\d+)(?:\.json)?/?$", r"\1", part) for part in given]
    if any(not re.fullmatch(r"[0-9]{5,12}", number) for number in numbers) or (
        not numbers and access.method == "public_profile"
    ):
        raise NeedsReconnect(
            "A Generac profile number is the row of five to twelve digits after /users/ in the dashboard's address. "
            "Enter it again; history is kept."
        )
    return list(dict.fromkeys(numbers))


def _chosen_base(access: Access) -> str:
    """The user's word on the epoch base, empty for auto."""
    chosen = access.credentials.get("epoch_base", "").strip().lower()
    return chosen if chosen in {"utc", "local"} else ""


# -- reading: from wire types to canonical values --------------------------------------------------------------------

_TYPES: Final = {
    "0002": DeviceType.INVERTER,
    "0007": DeviceType.INVERTER,
    "0003": DeviceType.STRING_CONVERTER,
    "0004": DeviceType.SENSOR,
    "0005": DeviceType.BATTERY,
    "0008": DeviceType.BATTERY,
    "0006": DeviceType.METER,
    "0012": DeviceType.GATEWAY,
}

_N, _W, _F, _O = DeviceStatus.NORMAL, DeviceStatus.WARNING, DeviceStatus.FAULT, DeviceStatus.OFFLINE
STATES: Final = {
    0x0000: ("undefined", DeviceStatus.UNKNOWN),
    0x0010: ("disabled", _O),
    0x0100: ("initializing", _N),
    0x0110: ("powering up", _N),
    0x0120: ("connecting to the bus", _N),
    0x0130: ("disconnecting from the bus", _N),
    0x0140: ("testing the bus", _N),
    0x0200: ("low bus voltage", _W),
    0x0300: ("standby", _N),
    0x0310: ("waiting", _N),
    0x0800: ("connecting to the grid", _N),
    0x0810: ("disconnecting from the grid", _N),
    0x0820: ("grid connected", _N),
    0x0830: ("islanded: the grid is lost", _W),
    0x1000: ("low input voltage", _N),
    0x1010: ("testing the input", _N),
    0x2000: ("running", _N),
    0x2010: ("making power", _N),
    0x2020: ("limiting power", _N),
    0x3000: ("low wind", _N),
    0x3100: ("low sun", _N),
    0x6000: ("charging", _N),
    0x6010: ("regulating the battery", _N),
    0x6020: ("charging", _N),
    0x6100: ("discharging", _N),
    0x6300: ("cell imbalance", _F),
    0x7000: ("error", _F),
    0x7010: ("input over-voltage", _F),
    0x7020: ("output over-voltage", _F),
    0x7030: ("input over-current", _F),
    0x7040: ("output over-current", _F),
    0x7100: ("overheating", _F),
    0x8000: ("offline", _O),
}
"""Every state that is known (section 3 [code])."""


def device_type(rcpn: str) -> DeviceType:
    """What a device is, by characters 5 to 8 of its id: the words that `t` has vary (2.4 [code])."""
    return _TYPES.get(rcpn[4:8], DeviceType.OTHER)


def state_of(code: int | None) -> tuple[str, DeviceStatus]:
    """A state's words and status; of an unlisted one by its group, with the raw number (section 3)."""
    if code is None:
        return "not told", DeviceStatus.UNKNOWN
    if code in STATES:
        return STATES[code]
    group = {0x7: _F, 0x8: _O}.get(code >> 12, DeviceStatus.UNKNOWN)
    return f"state 0x{code & 0xFFFFFFFF:04X} ({code}), which is not known", group


class State(msgspec.Struct, kw_only=True):
    """A look at a site's devices in canonical values. `producing` is a PV Link that makes power, and its `up`."""

    devices: list[DeviceFacts]
    readings: list[Reading]
    alerts: list[AlertFacts]
    every_state_known: bool
    status: SiteStatus | None
    communication: Communication | None
    newest_up: int | None
    producing: tuple[str, int] | None

    def site(self, number: str) -> SiteFacts:
        """What the look says of the site itself."""
        return SiteFacts(
            vendor_site_id=number, status=self.status, communication=self.communication, last_report_at=self.newest_up
        )


def read_state(state: _State, tz: dt.tzinfo | None, now: int) -> State:
    """The devices of a site, their newest readings at their own `up`, and their alarms.

    A key that no device has any more means that the page has changed; a key that is null is not known. Raises Changed.
    """
    for key in ("s", "p", "up"):
        if state.dvcs and all(getattr(device, key) is msgspec.UNSET for device in state.dvcs):
            raise _changed(f"dvcs.{key}")
    # A value that turns 0 on every device at once has vanished (section 10).
    lifetimes = any(device.et for device in state.dvcs)
    devices: dict[str, DeviceFacts] = {}
    readings: list[Reading] = []
    alerts: list[AlertFacts] = []
    links: list[tuple[DeviceStatus, int | None, float | None, str]] = []
    known = True
    for device in state.dvcs:
        rcpn = device.s.strip().upper() if isinstance(device.s, str) else ""
        if not rcpn or rcpn in devices:
            known = False
            continue
        kind, (words, status) = device_type(rcpn), state_of(device.st)
        up = read_stamp(device.up, tz) if isinstance(device.up, str) else None
        # A stamp ahead of us would stand as the newest for ever.
        up = up if up is not None and up <= now + FUTURE_S else None
        watts = figure(device.p) if isinstance(device.p, int | float) else None
        known = known and device.st is not None
        if kind is DeviceType.STRING_CONVERTER:
            links.append((status, up, watts, rcpn))
        if up is not None:
            total = device.et if lifetimes else None
            readings += [
                Reading(rcpn, metric, 0, up, value)
                for metric, value in _values(kind, watts, total, read_charge(device.charge))
            ]
        devices[rcpn] = DeviceFacts(
            vendor_device_id=rcpn,
            device_type=kind,
            serial_number=rcpn,
            name=device.n or None,
            model=device.t or None,
            manufacturer=NAME,
            status=status,
            installed_on=_date(device.ti, tz),
            last_reported_at=up,
        )
        if status in {_W, _F} and device.st is not None:
            alerts.append(
                AlertFacts(
                    vendor_alert_id=f"{rcpn}:st-0x{device.st:04X}",
                    code=f"st-0x{device.st:04X}",
                    description=f"{device.n or rcpn}: {words}",
                    severity=Severity.ERROR if status is _F else Severity.WARNING,
                    timestamp=up if up is not None else now,
                    vendor_device_id=rcpn,
                )
            )
    inverters = [key for key, facts in devices.items() if facts.device_type is DeviceType.INVERTER]
    if len(inverters) == 1:
        devices = {
            key: msgspec.structs.replace(facts, parent=inverters[0])
            if facts.device_type is DeviceType.STRING_CONVERTER
            else facts
            for key, facts in devices.items()
        }
    site = _site_power(links)
    if site is not None:
        readings.append(site)
    ups = [facts.last_reported_at for facts in devices.values() if facts.last_reported_at is not None]
    lit = [(rcpn, up) for status, up, watts, rcpn in links if status is _N and up is not None and (watts or 0) > 0]
    status_word, communication = _site_status(devices.values())
    return State(
        devices=list(devices.values()),
        readings=readings,
        alerts=alerts,
        every_state_known=known,
        status=status_word,
        communication=communication,
        newest_up=max(ups) if ups else None,
        producing=max(lit, key=lambda pair: pair[1]) if lit else None,
    )


def _values(
    kind: DeviceType, watts: float | None, total: Number | None, charge: float | None
) -> Iterator[tuple[str, float]]:
    """The metrics of one device. The inverter's `p` is left out: it holds the battery's too (section 6)."""
    if kind is DeviceType.STRING_CONVERTER:
        yield from _some("dc_power_w", watts)
        yield from _some("dc_energy_lifetime_wh", total)
    elif kind is DeviceType.INVERTER:
        yield from _some("energy_lifetime_wh", total)
    elif kind is DeviceType.BATTERY:
        # Discharging is positive on both sides (2.1 [code]).
        yield from _some("battery_power_w", watts)
        yield from _some("state_of_charge_pct", charge)


def _some(metric: str, value: Number | None) -> Iterator[tuple[str, float]]:
    if value is not None:
        yield metric, figure(value)


def _site_power(links: Sequence[tuple[DeviceStatus, int | None, float | None, str]]) -> Reading | None:
    """The sum of the PV Links at their newest `up`; None where one is not known or is of another time.

    A link that is offline or disabled by its own state makes nothing, whatever its last figure says [assumed].
    """
    awake = [(up, watts) for status, up, watts, _ in links if status is not _O]
    stamps = [up for up, _ in awake if up is not None]
    powers = [watts for _, watts in awake if watts is not None]
    if not awake or len(stamps) < len(awake) or len(powers) < len(awake) or max(stamps) - min(stamps) > TOGETHER_S:
        return None
    return Reading("", "dc_power_w", 0, max(stamps), float(sum(powers)))


def _site_status(devices: Iterable[DeviceFacts]) -> tuple[SiteStatus | None, Communication | None]:
    """The worst of inverters and PV Links, a battery as a warning at most; silent when all of them are offline."""
    listed = list(devices)
    own = [d.status for d in listed if d.device_type in {DeviceType.INVERTER, DeviceType.STRING_CONVERTER}]
    battery = [d.status for d in listed if d.device_type is DeviceType.BATTERY]
    if not own:
        return None, None
    if all(status is _O for status in own):
        return SiteStatus.OFFLINE, Communication.SILENT
    heard = Communication.OK if any(status is not DeviceStatus.UNKNOWN for status in own) else None
    if _F in own:
        return SiteStatus.FAULT, heard
    if _W in own or _O in own or {_F, _W} & set(battery):
        return SiteStatus.WARNING, heard
    return (SiteStatus.NORMAL if _N in own else SiteStatus.UNKNOWN), heard


def read_charge(value: Number | str | None) -> float | None:
    """A battery's charge in percent from tenths of it, as text or number; None outside 0 to 100."""
    if value is None or value == "":
        return None
    try:
        percent = float(value) / 10
    except (ValueError, OverflowError):
        raise _changed("dvcs.O5") from None
    return percent if 0 <= percent <= 100 else None


_STAMP: Final = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)? ?([A-Za-z]{1,6}|[+-]\d\d:?\d\d)?$")
_UTC_NAMES: Final = frozenset({"UTC", "GMT", "Z"})


def read_stamp(text: str, tz: dt.tzinfo | None) -> int | None:
    """The instant of `YYYY-MM-DD HH:MM:SS TZ`; a zone that is an abbreviation is the site's (section 4).

    None where that is not known. Raises Changed for text of another form.
    """
    match = _STAMP.match(text.strip())
    if match is None:
        raise _changed("dvcs.up")
    day, time, name = match.groups()
    try:
        moment = dt.datetime.fromisoformat(f"{day} {time}")
        if name and name[0] in "+-":
            moment = dt.datetime.strptime(f"{day} {time} {name}", "%Y-%m-%d %H:%M:%S %z")
            instant = int(moment.timestamp())
        elif name and name.upper() in _UTC_NAMES:
            instant = int(moment.replace(tzinfo=dt.UTC).timestamp())
        elif tz is None:
            return None
        else:
            # In the hour that comes twice the abbreviation says which of the two it is.
            second = moment.replace(tzinfo=tz, fold=1)
            instant = int((second if name == second.tzname() else moment.replace(tzinfo=tz)).timestamp())
    except (ValueError, OverflowError):
        raise _changed("dvcs.up") from None
    return instant if clock.EARLIEST <= instant < clock.LATEST else None


def _date(text: str | None, tz: dt.tzinfo | None) -> str | None:
    try:
        instant = read_stamp(text, tz) if text else None
    except Changed:
        return None
    return clock.day_of(instant, tz or dt.UTC).isoformat() if instant is not None else None


def epoch_base(evidence: Sequence[Evidence], tz: dt.tzinfo) -> str | None:
    """`utc` or `local`, as the samples of a producing device show it; None while that is undecided (section 4).

    A series in local time lies ahead of `up` by the zone's offset, always the same; one in UTC lies at `up` or up to
    90 minutes behind it, and never ahead of the clock. At least two comparisons half an hour apart have to fit one of
    the two and not the other. Where the offset is 0 nothing can be told, unless the zone never has another.
    """
    offsets = [_offset(item.up, tz) for item in evidence]
    if evidence and all(_offset(evidence[-1].up + month * 30 * DAY_S, tz) == 0 for month in range(12)):
        return "utc"
    telling = [(item, offset) for item, offset in zip(evidence, offsets, strict=True) if abs(offset) > SAME_S]
    ups = [item.up for item, _ in telling]
    if len(telling) < 2 or max(ups) - min(ups) < LOOK_S // 2:
        return None
    local = all(abs(item.newest - item.up - offset) <= SAME_S for item, offset in telling)
    utc = all(-BEHIND_S <= item.newest - item.up <= SAME_S and item.newest <= item.now + SAME_S for item, _ in telling)
    return None if local == utc else "local" if local else "utc"


def _offset(instant: float, tz: dt.tzinfo) -> int:
    shift = dt.datetime.fromtimestamp(instant, tz).utcoffset()
    return int(shift.total_seconds()) if shift is not None else 0


def read_instants(written: Sequence[int], base: str, tz: dt.tzinfo | None) -> list[int | None]:
    """The true instants of a series' epochs, in their order; None where an instant cannot be told.

    `local` is the wall clock written as if it were UTC: where an hour comes twice its second coming is the later one,
    and what falls into an hour that is skipped is shifted past it. A series that begins inside an hour that comes
    twice does not say in which. Raises Changed for an epoch that is no time of ours.
    """
    if any(not clock.EARLIEST <= at < clock.LATEST - DAY_S for at in written):
        raise _changed("epoch")
    if base == "utc" or tz is None:
        return list(written)
    found: list[int | None] = []
    before, sure, fold = 0, False, 0
    for at in written:
        wall = dt.datetime.fromtimestamp(at, dt.UTC).replace(tzinfo=tz)
        first, second = int(wall.timestamp()), int(wall.replace(fold=1).timestamp())
        if first >= second:
            fold, sure = 0, True
            found.append(first)
        else:
            if at <= before:
                fold, sure = 1, True
            found.append((second if fold else first) if sure else None)
        before = at
    return found


def read_hours(series: Mapping[str, Sequence[_Row]], base: str, tz: dt.tzinfo | None) -> Iterator[Reading]:
    """Mean power of each hour by PV Link, and their sum for the site where every one has a value; null is no data."""
    sums: dict[int, list[float]] = {}
    for device, rows in series.items():
        hours: dict[int, float] = {}
        instants = read_instants([row.at for row in rows], base, tz)
        for at, row in zip(instants, rows, strict=True):
            if at is not None and row.value is not None:
                hours[at] = figure(row.value)
        for at, watts in hours.items():
            yield Reading(device, "dc_power_w", HOUR_S, at, watts)
            sums.setdefault(at, []).append(watts)
    for at, values in sums.items():
        if len(values) == len(series):
            yield Reading("", "dc_power_w", HOUR_S, at, float(sum(values)))


def read_days(series: Mapping[str, Sequence[_Row]], base: str, tz: dt.tzinfo) -> Iterator[Reading]:
    """Energy of each local day of the site, the running one so far; a day that one PV Link lacks is missing."""
    found = [day_energies(rows, base, tz) for rows in series.values()]
    for day in sorted(set.intersection(*(set(days) for days in found))) if found else ():
        yield Reading("", "dc_energy_wh", DAY_S, clock.midnight(day, tz), sum(days[day] for days in found))


def day_energies(rows: Sequence[_Row], base: str, tz: dt.tzinfo) -> dict[dt.date, float]:
    """Energy of each local day from a counter that stands at the day's end: the difference to the day before (2.3).

    The day on which a counter falls is missing. Where the next value is back above the old one the fall was false, and
    that day's difference would be as false (users saw that): it is missing too.
    """
    read_instants([row.at for row in rows], "utc", None)
    counters: dict[dt.date, float] = {}
    for row in rows:
        if row.value is not None:
            counters[clock.day_of(row.at, dt.UTC if base == "local" else tz)] = figure(row.value)
    days: dict[dt.date, float] = {}
    fallen_from: float | None = None
    for day in sorted(counters):
        value, before = counters[day], counters.get(day - dt.timedelta(days=1))
        if before is None:
            fallen_from = None
        elif value < before:
            log.warning("a Generac counter fell: the day %s is left out", day)
            fallen_from = before
        else:
            if fallen_from is None or value < fallen_from:
                days[day] = value - before
            fallen_from = None
    return days


def lies_ahead(readings: Iterable[Reading], now: float) -> bool:
    """Whether an hour begins that has not come yet: its epoch was read by the wrong base."""
    return any(reading.timestamp > now for reading in readings)


def shines_by_night(readings: Iterable[Reading], timezone: str | None) -> bool:
    """Whether the site's hours with power lie far outside the daylight of its zone's main city (section 4)."""
    city = clock.zone_city(timezone)
    hours = {r.timestamp: r.value for r in readings if not r.vendor_device_id}
    floor = 0.05 * max(hours.values(), default=0.0)
    if city is None or not 0 < floor < 1e9:
        return False
    return not all(
        any(s.start - SUN_MARGIN_S <= at < s.end + SUN_MARGIN_S for s in clock.daylight_near(at, *city))
        for at, watts in hours.items()
        if watts > floor
    )


def _changed(where: str) -> Changed:
    return Changed(
        f"Generac's page has changed ({where}): it is not what this version knows. What is known is kept; look for an "
        "update of Sungaze if it stays.",
        where,
    )


# -- reading what was kept or recorded, by path ----------------------------------------------------------------------


def _recorded_state(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    _raise_unless_answer(exchange, page=False)
    tz = clock.zone(seen.site(site).timezone)
    found = read_state(decode(exchange.response, _State, NAME, "devices"), tz, int(exchange.at))
    seen.notes["links", site] = sorted(
        facts.vendor_device_id for facts in found.devices if facts.device_type is DeviceType.STRING_CONVERTER
    )
    seen.notes["producing", site] = found.producing
    return {
        site: Answer(
            sites=[found.site(site)], devices=found.devices, readings=found.readings, alerts=found.alerts
        )
    }  # fmt: skip


def _recorded_page(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    _raise_unless_answer(exchange, page=True)
    name = read_title(exchange.response.body.decode("utf-8", "replace"))
    return {site: Answer(sites=[SiteFacts(vendor_site_id=site, name=name)])}


def _recorded_dashboard(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    _raise_unless_answer(exchange, page=True)
    text = exchange.response.body.decode("utf-8", "replace")
    numbers = read_profile_ids(text)
    name = read_title(text) if len(numbers) == 1 else None
    return {"": Answer(sites=[SiteFacts(vendor_site_id=number, name=name) for number in numbers])}


def _recorded_energy(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    site, series = _recorded_rows(exchange, seen)
    tz = clock.zone(seen.site(site).timezone)
    if tz is None:
        raise unplaced(NAME, site)
    base = _recorded_base(seen, site, tz)
    links = _links(seen, site)
    # A day is the sum of all PV Links: it is read with the last of them.
    return {site: Answer(readings=list(read_days(series, base, tz)) if links <= series.keys() else [])}


def _recorded_power(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    site, series = _recorded_rows(exchange, seen)
    device, length = _asked_series(exchange)
    tz = clock.zone(seen.site(site).timezone)
    rows = series[device]
    if length.isdigit() and int(length[:9]) < FINE_BELOW_S:
        # Such a series is by the minute and is looked at for its epochs only.
        measured = [row.at for row in rows if row.value is not None]
        producing = seen.notes.get(("producing", site))
        if measured and producing and producing[0] == device:
            evidence = seen.notes.setdefault(("evidence", site), [])
            evidence.append(Evidence(max(measured), producing[1], int(exchange.at)))
        return {site: Answer()}
    base = _recorded_base(seen, site, tz)
    if base == "local" and tz is None:
        raise unplaced(NAME, site)
    own = [reading for reading in read_hours({device: rows}, base, tz) if reading.vendor_device_id]
    if _links(seen, site) <= series.keys():
        own += [reading for reading in read_hours(series, base, tz) if not reading.vendor_device_id]
    return {site: Answer(readings=own)}


def _recorded_base(seen: Seen, site: str, tz: dt.tzinfo | None) -> str:
    """`utc` or `local`, by what is remembered or by the comparisons of the entries before."""
    try:
        kept = msgspec.json.decode(seen.recall.get(f"site:{site}", "{}"), type=_Notes).base
    except (msgspec.DecodeError, msgspec.ValidationError):
        kept = ""
    base = seen.recall.get("epoch_base", "") or kept
    if base not in {"utc", "local"}:
        evidence = seen.notes.get(("evidence", site), [])[-MOST_EVIDENCE:]
        base = (epoch_base(evidence, tz) if tz is not None else None) or ""
    if not base:
        raise Unavailable(
            f"Whether the series of Generac's site {site} count UTC or local time cannot be told from what came "
            "before, so these figures have no place in time."
        )
    return base


def _recorded_rows(exchange: Exchange, seen: Seen) -> tuple[str, dict[str, list[_Row]]]:
    """The site of a series' device, and the rows of all devices that were asked for in the same way."""
    _raise_unless_answer(exchange, page=False)
    device, length = _asked_series(exchange)
    owners = [key for key, ref in seen.sites.items() if device in ref.device_ids]
    if not owners:
        raise Unavailable(f"No Generac site with the device {quoted(device)} has been seen before this entry.")
    what = exchange.response.path.split("/")[1]
    series: dict[str, list[_Row]] = seen.notes.setdefault((what, length, owners[0]), {})
    if device in series:
        series.clear()
        if (what, length, owners[0]) in seen.partial:
            seen.partial.add((what, length, owners[0], exchange.at))
    series[device] = decode(exchange.response, list[_Row], NAME, what)
    whole = _links(seen, owners[0]) <= series.keys()
    (seen.partial.discard if whole else seen.partial.add)((what, length, owners[0]))
    return owners[0], series


def _links(seen: Seen, site: str) -> set[str]:
    known = seen.notes.get(("links", site)) or seen.site(site).device_ids
    return {device for device in known if device_type(device) is DeviceType.STRING_CONVERTER}


def _asked_series(exchange: Exchange) -> tuple[str, str]:
    """(device, length) of a series' path."""
    _, _, device, _, last = exchange.response.path.split("/")
    return device, last.removesuffix(".json")


def _raise_unless_answer(exchange: Exchange, *, page: bool) -> None:
    kind = judge(exchange.response, page=page)
    if kind != "answer":
        raise Changed(f"Generac's answer is none that holds figures ({kind}).", exchange.response.path)


_SERIES: Final = r"[^/]{1,64}/now/(?:\d{1,12}|all)\.json"
READERS: Final[Readers] = (
    ("GET", r"/dashboard/?", _recorded_dashboard),
    ("GET", r"/users/(?P<site>\d{5,12})/?", _recorded_page),
    ("GET", r"/(?P<site>\d{5,12})\.json", _recorded_state),
    ("GET", rf"/power/{_SERIES}", _recorded_power),
    ("GET", rf"/energy/{_SERIES}", _recorded_energy),
)

CONNECTOR = Generac()
