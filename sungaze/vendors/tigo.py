"""Tigo, REST API V3, by the user name and password of Tigo's Energy Intelligence portal.

Facts: vendors/tigo.md. All figures are of the DC side, a few percent above a meter's. JSON stamps carry an offset that
is often not the site's; the two CSV answers carry none and are the site's own time. Data need Tigo's Premium.
"""

from __future__ import annotations

import datetime as dt
import html
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from sungaze import clock
from sungaze.errors import Changed, NeedsReconnect, NotEntitled, QuotaSpent, Unavailable
from sungaze.model import (
    DAY_S,
    AlertFacts,
    Communication,
    DeviceFacts,
    DeviceStatus,
    DeviceType,
    Production,
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
    Said,
    Seen,
    SiteRef,
    Vendor,
    unplaced,
)
from sungaze.vendors._session import (
    complaint,
    decode,
    figure,
    looks_like_html,
    numeral,
    quoted,
    retry_after,
    words,
)
from sungaze.vendors._tokens import known_or_renewed

log = logging.getLogger(__name__)

NAME: Final = "Tigo"
ROOT: Final = "/api/v3"
MINUTE_S: Final = 60
PAGE: Final = 50
"""What live lists call `perPage` (section 2 [code])."""
MOST_ALERT_PAGES: Final = 5
CURVE_S: Final = 13 * DAY_S
"""Minutes of `combined` in one call: with the widening for daylight saving within 20,150 (2.9 [code])."""
DAYS: Final = 360
"""Local days of `combined` in one call: 365 are safe (2.9 [code])."""
PANELS_S: Final = DAY_S
SHORT_S: Final = 3 * 3_600
"""Windows of two hours or less sometimes come back empty (section 4 [code]): shorter ones than this are asked as a
whole day and cut here, which costs no call more."""
AHEAD_S: Final = 300
"""A row further ahead than this is one of the future and is left out (2.8 [code])."""
TOKEN_S: Final = 3_600
"""How long a token without a readable `expires` is believed (section 1 [assumed])."""
RENEW_S: Final = 300
SILENT_S: Final = 3_600
"""A gateway that has not checked in for this long is silent (section 5)."""
LOW: Final = 0.2
"""Below this share of the limit the account rests until the vendor's window is over (section 3)."""

_GIVES: Final = frozenset({"details", "curve", "summary", "devices", "panels", "daily"})
_PREMIUM: Final = (
    "Tigo does not give this to your account: its data need Tigo's Premium subscription, and the site must be shared "
    "with this login. History is kept."
)


def quota_said(response: Response) -> tuple[Said, ...]:
    """What every answer says of the running minute (section 3 [doc])."""
    limit = numeral(response.headers.get("x-rate-limit-limit"))
    left = numeral(response.headers.get("x-rate-limit-remaining"))
    if limit is None or left is None or limit < 1 or left < 0:
        return ()
    return (Said("minute", int(limit), int(left)),)


_PLAIN: Final = frozenset(
    {
    "timezone", "turn_on_date", "decommissioned", "type", "control_state", "last_checkin", "sw_version",
    "updated_on", "added", "generated", "title", "status", "recent_alerts",
    }
)  # fmt: skip

VENDOR: Final = Vendor(
    id="tigo",
    name=NAME,
    link="https://www.tigoenergy.com",
    attribution="Data: Tigo",
    # [assumed]: the portal's address for one system.
    portal_url="https://ei.tigoenergy.com/systems/{site}",
    default_base_url="https://api2.tigoenergy.com",
    methods=(
        Method(
            id="password",
            label="Energy Intelligence login",
            about="Sees every system of your login in Tigo's Energy Intelligence portal. Needs Tigo's Premium "
            "subscription: without it the login may be refused, or work and bring no figures.",
            fields=(
                Field(
                    name="username",
                    label="User name",
                    help="What you log in with at Tigo's portal, often an e-mail address.",
                    secret=False,
                ),
                Field(name="password", label="Password"),
            ),
            plans=("premium",),
            scope_field="username",
        ),
    ),
    # No number is published; 30 a minute is taken for the ceiling by others [code], so half of it is used (section 3).
    plans=(
        Plan(
            id="premium",
            label="Premium",
            about="One call after another. Tigo publishes no limit: this one is assumed, and Tigo's own word counts "
            "where it is lower. What Premium costs, Tigo tells.",
            limits=(Limit(window="minute", limit=15),),
            gives=_GIVES,
        ),
    ),
    resources=(
        Resource(id="list", per_site=False, every_s=900, order=10),
        Resource(id="details", per_site=True, every_s=2 * 3_600, calls=3, order=20),
        Resource(id="curve", per_site=True, every_s=900, order=30),
        Resource(id="summary", per_site=True, every_s=3_600, order=40),
        Resource(id="devices", per_site=True, every_s=DAY_S, night=True, calls=3, order=50),
        Resource(id="panels", per_site=True, every_s=1_800, calls=2, order=60),
        Resource(id="daily", per_site=True, every_s=DAY_S, night=True, after_midnight=True, order=70),
    ),
    late_min=60,
    stale_min=120,
    power_metric="dc_power_w",
    energy_metric="dc_energy_wh",
    fine_s=MINUTE_S,
    fine_resource="curve",
    history=("daily", "curve", "panels"),
    bucket_s=900,
    quota_said=quota_said,
    plain_fields=_PLAIN,
    notes=(
        "Tigo measures before the inverter: its figures are DC and stand a few percent above a meter's.",
        "Figures arrive 10 to 40 minutes late as a rule, sometimes more than an hour.",
        "The link to a system's page in Tigo's portal is assumed and may miss it.",
    ),
    panels_note="Figures of systems and panels need Tigo's Premium subscription.",
    differs=(
        "These are DC figures, measured at the panels: an inverter or a meter shows a few percent less.",
        "Power is the mean of a minute.",
        "Tigo's figures can come late and be corrected; the newest hours are asked again, and the later figure counts.",
    ),
)

# -- wire types: exactly the fields that are used --------------------------------------------------------------------

Number = int | float


class _User(msgspec.Struct):
    auth: str | None = None
    token: str | None = None
    expires: str | Number | None = None

    def __repr__(self) -> str:
        return "_User()"


class _Login(msgspec.Struct):
    user: _User | None = None
    data: _User | None = None
    auth: str | None = None
    token: str | None = None
    expires: str | Number | None = None

    def __repr__(self) -> str:
        return "_Login()"


class _Meta(msgspec.Struct, rename="camel"):
    total_count: Number | None = None
    page_count: Number | None = None
    current_page: Number | None = None


class _System(msgspec.Struct):
    system_id: int | str
    name: str | None = None
    street: str | None = None
    city: str | None = None
    state: str | None = None
    zip: int | str | None = None
    country: str | None = None
    latitude: Number | str | None = None
    longitude: Number | str | None = None
    timezone: str | None = None
    turn_on_date: str | None = None
    power_rating: Number | str | None = None
    decommissioned: str | None = None


class _Systems(msgspec.Struct):
    systems: list[_System]
    meta: _Meta | None = msgspec.field(default=None, name="_meta")


class _OneSystem(msgspec.Struct):
    system: _System


class _Panel(msgspec.Struct):
    panel_id: int | str | None = None
    label: str | None = None
    serial: str | None = None
    type: str | None = None
    object_id: int | str | None = None


class _String(msgspec.Struct):
    string_id: int | str | None = None
    label: str | None = None
    object_id: int | str | None = None
    panels: list[_Panel] | None = None


class _Mppt(msgspec.Struct):
    strings: list[_String] | None = None


class _Inverter(msgspec.Struct):
    inverter_id: int | str | None = None
    label: str | None = None
    object_id: int | str | None = None
    inverter_serial: str | None = None
    serial: str | None = None
    mppts: list[_Mppt] | None = None


class _Layout(msgspec.Struct):
    inverters: list[_Inverter] | None = None


class _LayoutEnvelope(msgspec.Struct):
    system: _Layout | None = None
    systems: _Layout | None = None


class _Ui(msgspec.Struct):
    x: Number | str | None = msgspec.field(default=None, name="X")
    y: Number | str | None = msgspec.field(default=None, name="Y")
    most_w: Number | str | None = msgspec.field(default=None, name="MP")


class _Object(msgspec.Struct):
    id: int | str
    label: str | None = None
    # PHP writes an empty object as an empty array.
    ui: _Ui | list[None] | None = None


class _Objects(msgspec.Struct):
    objects: list[_Object]


class _Source(msgspec.Struct):
    source_id: int | str
    name: str | None = None
    serial: str | None = None
    control_state: int | str | None = None
    last_checkin: str | None = None
    timezone: str | None = None
    sw_version: str | None = None


class _Sources(msgspec.Struct):
    sources: list[_Source]


class _Summary(msgspec.Struct):
    lifetime_energy_dc: Number | None = None
    daily_energy_dc: Number | None = None
    updated_on: str | None = None


class _SummaryEnvelope(msgspec.Struct):
    summary: _Summary


class _Alert(msgspec.Struct):
    alert_id: int | str
    added: str | None = None
    generated: str | None = None
    unique_id: int | str | None = None
    title: str | None = None
    message: str | None = None
    archived: bool | int | None = None


class _Alerts(msgspec.Struct):
    alerts: list[_Alert] | None = None
    # The key was once seen capitalised (2.7 [code]).
    capital: list[_Alert] | None = msgspec.field(default=None, name="Alerts")
    meta: _Meta | None = msgspec.field(default=None, name="_meta")


class _AlertType(msgspec.Struct):
    unique_id: int | str
    title: str | None = None


class _AlertTypes(msgspec.Struct):
    alert_types: list[_AlertType]


class Row(msgspec.Struct, frozen=True, gc=False):
    """One line of a CSV answer: its local time, and text by column."""

    local: dt.datetime
    cells: dict[str, str]


# -- login and calls -------------------------------------------------------------------------------------------------


class Tigo:
    """The connector."""

    vendor = VENDOR

    @property
    def readers(self) -> Readers:
        """Every path whose answers are read."""
        return READERS

    def probe(self, access: Access) -> Probe:
        """What the login sees, for one page of the list, and with one call more whether its systems have Premium."""
        page, total = self._page(access, 1)
        notes, panels = VENDOR.notes, True
        if page:
            try:
                self._get(access, "data/summary", [("system_id", page[0].vendor_site_id)])
            except NotEntitled:
                notes, panels = (*notes, VENDOR.panels_note), False
        return Probe(sites=tuple(page), total=max(total or 0, len(page)), panels=panels, notes=notes)

    def list_sites(self, access: Access) -> Answer:
        """Every system of the account; one call for each fifty.

        Pages end with the last by `_meta`, without it with a short one (section 2). A list that ends before its own
        total is not complete.
        """
        sites: dict[str, SiteFacts] = {}
        number = 1
        while True:
            page, total = self._page(access, number)
            before = len(sites)
            sites |= {site.vendor_site_id: site for site in page}
            is_last = len(page) < PAGE if total is None else len(sites) >= total
            if is_last or len(sites) == before:
                return Answer(sites=list(sites.values()), complete=is_last)
            number += 1

    def fetch(self, access: Access, resource: str, site: SiteRef, span: Span) -> Answer:
        """One look at one resource of one system."""
        tz = clock.zone(site.timezone)
        if resource == "details":
            return self._details(access, site)
        if resource == "devices":
            return self._devices(access, site)
        if resource == "summary":
            params = [("system_id", site.vendor_site_id)]
            envelope = decode(self._get(access, "data/summary", params), _SummaryEnvelope, NAME, "data/summary")
            return Answer(readings=list(read_summary(envelope.summary, tz, access.now())))
        if resource not in {"curve", "panels", "daily"}:
            raise ValueError(f"Tigo has no resource {resource}")
        if tz is None:
            # Asked in UTC it would answer for other hours, and west of Greenwich with nothing (section 4).
            return Answer()
        if resource == "daily":
            return self._daily(access, site, span, tz)
        return self._minutes(access, resource, site, span, tz)

    def chunks(self, resource: str, span: Span) -> list[Span]:
        """Site minutes come 13 days a call, those of panels a day a call, days 360 a call."""
        longest = {"curve": CURVE_S, "panels": PANELS_S}.get(resource, DAYS * DAY_S)
        cuts = []
        end = span.end
        while end > span.start:
            start = max(span.start, end - longest)
            cuts.append(Span(start, end))
            end = start
        return cuts

    def _page(self, access: Access, number: int) -> tuple[list[SiteFacts], int | None]:
        """One page of the list, and the number of systems that it speaks of, None where it does not."""
        params = [("page", str(number)), ("limit", str(PAGE))]
        page = decode(self._get(access, "systems", params), _Systems, NAME, "systems")
        total = numeral(page.meta.total_count) if page.meta else None
        return [read_system(system) for system in page.systems], None if total is None else int(total)

    def _details(self, access: Access, site: SiteRef) -> Answer:
        params = [("id", site.vendor_site_id)]
        system = decode(self._get(access, "systems/view", params), _OneSystem, NAME, "systems/view").system
        sources = self._sources(access, site)
        alerts, is_whole = self._alerts(access, site)
        facts = read_details(system, sources, alerts, access.now())
        return Answer(sites=[facts], alerts=alerts, alerts_complete=is_whole)

    def _sources(self, access: Access, site: SiteRef) -> list[_Source]:
        params = [("system_id", site.vendor_site_id)]
        return decode(self._get(access, "sources/system", params), _Sources, NAME, "sources/system").sources

    def _alerts(self, access: Access, site: SiteRef) -> tuple[list[AlertFacts], bool]:
        """The alerts, and whether every one was listed."""
        found: dict[str, _Alert] = {}
        is_whole = False
        for number in range(1, MOST_ALERT_PAGES + 1):
            params = [
                ("system_id", site.vendor_site_id), ("language", "EN"), ("page", str(number)), ("limit", str(PAGE)),
            ]  # fmt: skip
            page = decode(self._get(access, "alerts/system", params), _Alerts, NAME, "alerts/system")
            listed = page.alerts if page.alerts is not None else page.capital
            if listed is None:
                raise _changed("alerts/system")
            before = len(found)
            found |= {str(alert.alert_id): alert for alert in listed}
            total = numeral(page.meta.total_count) if page.meta else None
            is_whole = len(listed) < PAGE if total is None else len(found) >= total
            if is_whole or len(found) == before:
                break
        types: dict[str, str] = {}
        if any(str(alert.unique_id) not in _SEVERITIES or not alert.title for alert in found.values()):
            response = self._get(access, "alerts/types", [("language", "EN")])
            types = read_alert_types(decode(response, _AlertTypes, NAME, "alerts/types"))
        return list(read_alerts(found.values(), types)), is_whole

    def _devices(self, access: Access, site: SiteRef) -> Answer:
        layout = self._layout(access, site)
        params = [("system_id", site.vendor_site_id)]
        objects = decode(self._get(access, "objects/system", params), _Objects, NAME, "objects/system").objects
        sources = self._sources(access, site)
        devices = read_devices(layout, objects, sources, access.now())
        # A layout without panels is no reason to retire everything.
        return Answer(devices=devices, devices_complete=any(d.device_type == DeviceType.OPTIMIZER for d in devices))

    def _layout(self, access: Access, site: SiteRef) -> _Layout:
        return read_layout(self._get(access, "systems/layout", [("id", site.vendor_site_id)]))

    def _minutes(self, access: Access, resource: str, site: SiteRef, span: Span, tz: dt.tzinfo) -> Answer:
        now = int(access.now())
        longest = CURVE_S if resource == "curve" else PANELS_S
        start = span.start // MINUTE_S * MINUTE_S
        covered = Span(start, min(-(-span.end // MINUTE_S) * MINUTE_S, start + longest + MINUTE_S, now))
        if covered.end <= covered.start:
            return Answer()
        asked = covered if covered.end - covered.start > SHORT_S else Span(covered.end - DAY_S, covered.end)
        window = [("system_id", site.vendor_site_id), *_window(asked, tz)]
        if resource == "curve":
            rows = self._combined(access, window, "minute")
            return Answer(readings=list(read_curve(rows, tz, covered)), covered=covered)
        devices = read_devices(self._layout(access, site), (), (), now)
        ids = [d.vendor_device_id for d in devices if d.device_type == DeviceType.OPTIMIZER and _is_object(d)]
        if not ids:
            return Answer(devices=devices)
        params = [
            # Without them the header may change anywhere (2.8 [doc]).
            *window, ("level", "min"), ("param", "Pin"), ("header", "id"), ("object_ids", ",".join(ids)),
        ]  # fmt: skip
        rows = read_table(self._get(access, "data/aggregate", params), "data/aggregate")
        readings = list(read_panels(rows, frozenset(ids), tz, covered))
        return Answer(devices=devices, readings=readings, covered=covered)

    def _daily(self, access: Access, site: SiteRef, span: Span, tz: dt.tzinfo) -> Answer:
        """Whole local days that are over: the running one's energy comes from the summary."""
        last = min(clock.day_of(span.end - 1, tz), clock.day_of(access.now(), tz) - dt.timedelta(days=1))
        first = max(clock.day_of(span.start, tz), last - dt.timedelta(days=DAYS))
        if last < first:
            return Answer()
        window = [("system_id", site.vendor_site_id), ("start", f"{first}T00:00:00"), ("end", f"{last}T23:59:59")]
        rows = self._combined(access, window, "day")
        covered = Span(clock.midnight(first, tz), clock.local_day(last, tz).end)
        return Answer(readings=list(read_daily(rows, tz, covered)), covered=covered)

    def _combined(self, access: Access, window: list[tuple[str, str]], step: str) -> list[Row]:
        """`combined` by the name of its step that this account takes: `agg`, or on a 400 `level` (2.9 [code])."""
        kept = access.recall().get("step")
        names = ("level", "agg") if kept == "lvl" else ("agg", "level")
        for name in names:
            response = self._send(access, "data/combined", [*window, (name, step)])
            if response.status == 400 and name == names[0] and not looks_like_html(response.body):
                continue
            _raise_for(response, access)
            if name != names[0]:
                # Short, so that its redaction takes no word out of an error.
                access.remember(access.recall() | {"step": "lvl" if name == "level" else "agg"})
            return read_table(response, "data/combined")
        raise AssertionError("the second name returns or raises")

    def _get(self, access: Access, path: str, params: Sequence[tuple[str, str]]) -> Response:
        response = self._send(access, path, params)
        _raise_for(response, access)
        return response

    def _send(self, access: Access, path: str, params: Sequence[tuple[str, str]]) -> Response:
        """The answer with a token that is alive; a refused token is renewed once, and no more."""
        refused: str | None = None
        while True:
            token = self._token(access, refused)
            _rest(access)
            headers = {"Authorization": f"Bearer {token}"}
            response = access.session.request("GET", f"{ROOT}/{path}", params=list(params), headers=headers)
            _mind_rate(response, access)
            if response.status != 401 or refused is not None or looks_like_html(response.body):
                return response
            refused = token

    def _token(self, access: Access, refused: str | None) -> str:
        def known() -> str | None:
            kept = access.recall()
            return kept["token"] if _is_alive(kept, refused, access.now()) else None

        return known_or_renewed(access, NAME, known, lambda: self._login(access))

    def _login(self, access: Access) -> str:
        """A new token, remembered. The refresh token has no documented use: it is logged in again (section 1)."""
        _rest(access)
        login = (access.credentials["username"], access.credentials["password"])
        response = access.session.request("GET", f"{ROOT}/users/login", auth=login)
        if response.status == 401 and not looks_like_html(response.body):
            raise NeedsReconnect(
                "Tigo refuses this login: check user name and password. It may refuse accounts without its Premium "
                "subscription in the same way. History is kept."
            )
        _raise_for(response, access)
        answer = decode(response, _Login, NAME, "users/login")
        parts: list[_User | _Login] = [part for part in (answer.user, answer.data, answer) if part is not None]
        token = next((t for part in parts for t in (part.auth, part.token) if t), None)
        if token is None:
            raise _changed("users/login")
        now = access.now()
        expires = next((at for part in parts if (at := _instant(part.expires)) is not None), None)
        if expires is None or expires <= now + 2 * RENEW_S:
            # A clock that is wrong on either side must not cost a login a call: a dead token is told by 401.
            expires = int(now) + TOKEN_S
        access.remember(access.recall() | {"token": token, "expires_at": str(expires)})
        return token


def _is_alive(kept: Mapping[str, str], refused: str | None, now: float) -> bool:
    token = kept.get("token")
    return bool(token) and token != refused and (numeral(kept.get("expires_at")) or 0.0) - RENEW_S > now


def _is_object(device: DeviceFacts) -> bool:
    """Whether a device's key is an object's number, which a column may be asked by."""
    return device.vendor_device_id.isascii() and device.vendor_device_id.isdigit()


def _window(asked: Span, tz: dt.tzinfo) -> list[tuple[str, str]]:
    """`start` and `end`, both included, in the site's own time.

    An end that lies in a repeated hour is moved out of it, so that its rows can be told apart by their order.
    """
    start, end = asked.start, asked.end - 1
    while _is_repeated(start, tz):
        start -= 1_800
    while _is_repeated(end, tz):
        end += 1_800
    stamps = (dt.datetime.fromtimestamp(at, tz).strftime("%Y-%m-%dT%H:%M:%S") for at in (start, end))
    return list(zip(("start", "end"), stamps, strict=True))


def _is_repeated(instant: int, tz: dt.tzinfo) -> bool:
    """Whether the local time of an instant comes twice."""
    local = dt.datetime.fromtimestamp(instant, tz)
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def _rest(access: Access) -> None:
    """Raise QuotaSpent while the vendor's own count is nearly used up."""
    until = numeral(access.recall().get("rest_until")) or 0.0
    if access.now() < until:
        raise QuotaSpent("Tigo says that its calls of this minute are nearly used up.", until)


def _mind_rate(response: Response, access: Access) -> None:
    """Remember to rest where less than a fifth of the limit is left (section 3).

    Somebody else uses the account then: at 15 a minute of 30 it does not come to that by us.
    """
    headers = response.headers
    limit, left = numeral(headers.get("x-rate-limit-limit")), numeral(headers.get("x-rate-limit-remaining"))
    wait = numeral(headers.get("x-rate-limit-reset"))
    if response.status == 200 and limit and left is not None and wait and wait > 0 and left < LOW * limit:
        access.remember(access.recall() | {"rest_until": str(int(access.now() + min(wait, 120.0)) + 1)})


def _changed(where: str, what: str = "") -> Changed:
    said = f"{where}: {what}" if what else where
    return Changed(
        f"Tigo answers in a form that this version does not know ({said}). What is known is kept; look for an update "
        "of Sungaze if it stays.",
        said,
    )


def _raise_for(response: Response, access: Access) -> None:
    if response.status == 200:
        return
    if response.status == 429:
        default = numeral(response.headers.get("x-rate-limit-reset"))
        wait = retry_after(response.headers, min(3_600.0, max(1.0, default)) if default is not None else 15.0)
        raise QuotaSpent("Tigo's calls of this minute are used up.", access.now() + wait)
    if response.status >= 500 or looks_like_html(response.body):
        raise Unavailable(
            f"Tigo has trouble of its own ({response.status}). What is known is kept; it is asked again later.",
            retry_after(response.headers, 300),
        )
    if response.status == 401:
        raise NeedsReconnect("Tigo no longer accepts this login. Connect the account again; history is kept.")
    if response.status == 403:
        raise NotEntitled(_PREMIUM, response.path)
    reason = words(complaint(response.body), "message", "name", secrets=access.secrets) or "no reason given"
    raise Changed(
        f"Tigo refuses a question that it used to answer ({response.status}: {reason}). What is known is kept.",
        response.path,
    )


# -- reading: from wire types to canonical values --------------------------------------------------------------------

_NOTHING: Final = frozenset({"", "null", "none"})


def _text(value: object) -> str | None:
    """What a field says, None where it says nothing or the word null (2.1 [code])."""
    said = str(value).strip() if value is not None else ""
    return None if said.lower() in _NOTHING else said


def _number(value: int | str | None, where: str) -> str | None:
    """A vendor's number for something as text, None where there is none. Raises Changed for any other word."""
    said = _text(value)
    if said is None or (said.isascii() and said.isdigit() and len(said) <= 18):
        return said
    raise _changed(where, "a name where a number was due")


def _instant(value: object) -> int | None:
    """The epoch second of an aware stamp of a JSON answer; None where there is none to be read (section 4)."""
    said = _text(value)
    try:
        moment = dt.datetime.fromisoformat(said) if said else None
        at = int(moment.timestamp()) if moment is not None and moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
    return at if at is not None and clock.EARLIEST <= at < clock.LATEST else None


def _date(value: object) -> str | None:
    try:
        return dt.date.fromisoformat((_text(value) or "")[:10]).isoformat()
    except ValueError:
        return None


def _degrees(value: object, most: float) -> float | None:
    found = numeral(value)
    return found if found is not None and abs(found) <= most else None


def read_system(system: _System) -> SiteFacts:
    """Facts of an entry of the list, or of a single system; `power_rating` is in W (2.1 [doc]).

    Whether it runs is for its sources to say: only that it was taken out of service stands here.
    """
    key = _number(system.system_id, "systems")
    if key is None:
        raise _changed("systems", "a system without a number")
    rating_w = numeral(system.power_rating)
    parts = {
        "street": system.street, "city": system.city, "state": system.state, "postal_code": system.zip,
        "country": system.country,
    }  # fmt: skip
    address = {name: said for name, value in parts.items() if (said := _text(value)) is not None}
    return SiteFacts(
        vendor_site_id=key,
        name=_text(system.name),
        status=SiteStatus.INACTIVE if _text(system.decommissioned) else None,
        peak_power_kw=rating_w / 1000 if rating_w and rating_w > 0 else None,
        timezone=_zone(system.timezone),
        latitude=_degrees(system.latitude, 90.0),
        longitude=_degrees(system.longitude, 180.0),
        address=address or None,
        installed_on=_date(system.turn_on_date),
    )


def _zone(value: str | None) -> str | None:
    said = _text(value)
    return said if clock.zone(said) else None


def _control(source: _Source) -> str | None:
    """`on` or another word; the number that is documented says nothing that is known (2.5)."""
    return (_text(source.control_state) or "").lower() or None if isinstance(source.control_state, str) else None


def read_details(system: _System, sources: Sequence[_Source], alerts: Sequence[AlertFacts], now: float) -> SiteFacts:
    """Facts of a system with its status, from its sources and its open alerts (section 5).

    Silence goes before everything but the end of service: it is `offline`, never a fault. A source that is switched
    off is PV-Off, rapid shutdown.
    """
    facts = read_system(system)
    heard = [at for source in sources if (at := _instant(source.last_checkin)) is not None]
    states = [state for source in sources if (state := _control(source)) is not None]
    off = sum(state != "on" for state in states)
    worst = {alert.severity for alert in alerts if alert.resolved_at is None}
    communication = Communication.UNKNOWN
    if heard:
        communication = Communication.OK if now - max(heard) <= SILENT_S else Communication.SILENT
    if facts.status is SiteStatus.INACTIVE:
        status = SiteStatus.INACTIVE
    elif communication is Communication.SILENT:
        status = SiteStatus.OFFLINE
    elif off:
        status = SiteStatus.WARNING
    elif Severity.ERROR in worst:
        status = SiteStatus.FAULT
    else:
        status = SiteStatus.WARNING if worst else SiteStatus.NORMAL if sources else SiteStatus.UNKNOWN
    production = Production.UNKNOWN
    if communication is Communication.OK:
        is_low = any(alert.resolved_at is None and not alert.silent for alert in alerts)
        production = Production.DEGRADED if off or is_low else Production.OK
        production = Production.NONE if off and off == len(states) else production
    return msgspec.structs.replace(
        facts,
        status=status,
        communication=communication,
        production=production,
        timezone=facts.timezone or next((z for s in sources if (z := _zone(s.timezone))), None),
        last_report_at=max(heard) if heard else None,
    )


_SEVERITIES: Final = {
    "106": Severity.ERROR,
    "1000": Severity.ERROR,
    "300": Severity.WARNING,
    "301": Severity.WARNING,
}
_PV_OFF: Final = re.compile(r"system shutdown|pv-off", re.IGNORECASE)
_SILENT: Final = re.compile(r"\b(system|gateway|cca)\b.*\b(not reporting|offline|communication)\b", re.IGNORECASE)
"""Titles that say that a site is not heard of [assumed]: the codes of such alerts are not known."""
_TAG: Final = re.compile(r"<[^<>]*>")


def read_alert_types(found: _AlertTypes) -> dict[str, str]:
    """Titles of alerts by their code."""
    return {str(kind.unique_id): kind.title for kind in found.alert_types if kind.title}


def read_alerts(found: Iterable[_Alert], types: Mapping[str, str]) -> Iterator[AlertFacts]:
    """Alerts with what they say in words, by section 5; PV-Off is told by its title, its code is not confirmed.

    When an archived one ended is not told: the last moment that is known of it stands for it [assumed].
    """
    for alert in found:
        generated, added = _instant(alert.generated), _instant(alert.added)
        at = generated if generated is not None else added
        key = _number(alert.alert_id, "alerts/system")
        if at is None or key is None:
            raise _changed("alerts/system", "an alert without number or time")
        code = _text(alert.unique_id) or ""
        title = _text(alert.title) or types.get(code) or f"Alert {code}".strip()
        message = re.sub(r"\s+", " ", html.unescape(_TAG.sub(" ", alert.message or ""))).strip()
        is_off = _PV_OFF.search(title) is not None
        yield AlertFacts(
            vendor_alert_id=key,
            code=code,
            description=f"{title}. {message}" if message else title,
            severity=Severity.ERROR if is_off else _SEVERITIES.get(code, Severity.WARNING),
            timestamp=at,
            resolved_at=max(at, added or at) if alert.archived else None,
            silent=_SILENT.search(title) is not None,
        )


def read_summary(summary: _Summary, tz: dt.tzinfo | None, now: float) -> Iterator[Reading]:
    """The lifetime counter at `updated_on`, and the running day's energy so far at its local midnight, Wh (2.6 [doc]).

    A day's figure that was updated on another day than today is left to the daily series.
    """
    at = _instant(summary.updated_on)
    if at is None or at > now + AHEAD_S:
        return
    if summary.lifetime_energy_dc is not None:
        yield Reading("", "dc_energy_lifetime_wh", 0, at, figure(summary.lifetime_energy_dc))
    if summary.daily_energy_dc is not None and tz is not None:
        today = clock.day_of(now, tz)
        if clock.day_of(at, tz) == today:
            yield Reading("", "dc_energy_wh", DAY_S, clock.midnight(today, tz), figure(summary.daily_energy_dc))


_STAMP: Final = re.compile(r"([0-9]{4})[/-]([0-9]{2})[/-]([0-9]{2})[ T]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]+)?")
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_EMPTY: Final = frozenset({"", "nan", "null", "none", "-"})


def read_table(response: Response, where: str) -> list[Row]:
    """The rows of a CSV answer. A row that begins with `datetime` is a new header, wherever it stands (2.8 [doc]).

    A row that is not as wide as its header is left out, for nobody knows which value it lacks; where no row is, the
    answer is not understood. Raises Changed for anything but such a table, Unavailable for one that was cut short.
    """
    if looks_like_html(response.body):
        raise Changed(
            f"Tigo sent a web page where figures were due ({where}). What is known is kept; it is asked again later.",
            where,
        )
    try:
        lines = response.body.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        lines = []
    if not lines:
        raise Unavailable(
            f"Tigo's answer was cut short or garbled ({where}). What is known is kept; it is asked again in a few "
            "minutes."
        )
    header: list[str] | None = None
    rows: list[Row] = []
    odd = 0
    for line in lines:
        cells = [cell.strip().strip('"') for cell in line.split(",")]
        if cells[0].lower() == "datetime":
            header = cells
        elif header is None:
            raise _changed(where, "no header")
        elif cells == [""]:
            continue
        elif len(cells) != len(header):
            odd += 1
        else:
            rows.append(Row(_local(cells[0], where), dict(zip(header[1:], cells[1:], strict=True))))
    if odd and not rows:
        raise _changed(where, "rows of another width than their header")
    if odd:
        log.warning("Tigo %s: %d of %d rows have another width than their header", where, odd, odd + len(rows))
    return rows


def _local(text: str, where: str) -> dt.datetime:
    match = _STAMP.fullmatch(text)
    try:
        local = dt.datetime(*(int(part) for part in match.groups())) if match else None  # type: ignore[arg-type]  # six
    except ValueError:
        local = None
    if local is None or not 1990 <= local.year < 2200:
        raise _changed(where, f"the time {quoted(text[:30])}")
    return local


def _value(cell: str, where: str) -> float | None:
    """The number in a cell, None for no data."""
    if cell.lower() in _EMPTY:
        return None
    if not _NUMBER.fullmatch(cell):
        raise _changed(where, f"the value {quoted(cell[:30])}")
    return float(cell)


def placed(rows: Iterable[Row], tz: dt.tzinfo) -> Iterator[tuple[int, Row]]:
    """Rows with their instants, whole minutes: in ascending order a local time that comes again is the second one.

    A local time that the spring leaves out is an hour later (section 4), and gives way to a row that is truly there:
    it is handed out before all others.
    """
    newest: int | None = None
    shifted: list[tuple[int, Row]] = []
    found: list[tuple[int, Row]] = []
    for row in rows:
        first, second = (int(row.local.replace(tzinfo=tz, fold=fold).timestamp()) for fold in (0, 1))
        at = first
        if first > second:
            shifted.append((first // MINUTE_S * MINUTE_S, row))
            continue
        if newest is not None and first <= newest < second:
            at = second
        newest = at
        found.append((at // MINUTE_S * MINUTE_S, row))
    if shifted:
        log.warning("Tigo stamped %d rows with a time that daylight saving leaves out", len(shifted))
    yield from shifted
    yield from found


def read_curve(rows: Sequence[Row], tz: dt.tzinfo, covered: Span) -> Iterator[Reading]:
    """DC power of the site by minute, mean W; rows outside `covered`, those of the future among them, are left out."""
    values: dict[int, float] = {}
    for at, row in placed(rows, tz):
        value = _only(row)
        if value is not None and covered.start <= at < covered.end:
            values[at] = value
    for at, value in values.items():
        yield Reading("", "dc_power_w", MINUTE_S, at, value)


def read_daily(rows: Sequence[Row], tz: dt.tzinfo, covered: Span) -> Iterator[Reading]:
    """DC energy of the site by local day, Wh, stamped at local midnight."""
    values: dict[int, float] = {}
    for row in rows:
        value = _only(row)
        at = clock.midnight(row.local.date(), tz)
        if value is not None and covered.start <= at < covered.end:
            values[at] = value
    for at, value in values.items():
        yield Reading("", "dc_energy_wh", DAY_S, at, value)


def _only(row: Row) -> float | None:
    """The value of the one column that `combined` has, whatever its name; None for no data or no column."""
    if len(row.cells) > 1:
        raise _changed("data/combined", "more than one column")
    return next((_value(cell, "data/combined") for cell in row.cells.values()), None)


def read_panels(rows: Sequence[Row], ids: frozenset[str], tz: dt.tzinfo, covered: Span) -> Iterator[Reading]:
    """DC power of each optimizer by minute, mean W. Columns of nothing that was asked for are not understood."""
    if any(row.cells and not ids & row.cells.keys() for row in rows):
        raise _changed("data/aggregate", "columns that were not asked for")
    values: dict[tuple[int, str], float] = {}
    for at, row in placed(rows, tz):
        if covered.start <= at < covered.end:
            for key, cell in row.cells.items():
                value = _value(cell, "data/aggregate") if key in ids else None
                if value is not None:
                    values[at, key] = value
    for (at, key), value in values.items():
        yield Reading(key, "dc_power_w", MINUTE_S, at, value)


def read_layout(response: Response) -> _Layout:
    """The layout of a system, under either of its two names. Raises Changed."""
    envelope = decode(response, _LayoutEnvelope, NAME, "systems/layout")
    layout = envelope.system or envelope.systems
    if layout is None:
        raise _changed("systems/layout")
    return layout


def read_devices(
    layout: _Layout, objects: Iterable[_Object], sources: Iterable[_Source], now: float
) -> list[DeviceFacts]:
    """Optimizers, strings and inverters of a layout with their places, and the gateways (section 5).

    The key is the object's number, which names its column too; a gateway's is its source's. Of two that are the same
    the second is told apart by its kind. Tigo has no word for a panel's state.
    """
    drawn = {str(part.id): part for part in objects}
    found: dict[str, DeviceFacts] = {}

    def add(kind: DeviceType, object_id: int | str | None, own_id: int | str | None, **facts: Any) -> str | None:
        number, own = (_number(value, f"a {kind}") for value in (object_id, own_id))
        key = number or (f"{kind}:{own}" if own else None)
        if key is None:
            return None
        while key in found:
            key = f"{kind}:{key}"
        ui = drawn[number].ui if number in drawn else None
        x, y = (numeral(ui.x), numeral(ui.y)) if isinstance(ui, _Ui) else (None, None)
        most_w = numeral(ui.most_w) if isinstance(ui, _Ui) and kind is DeviceType.OPTIMIZER else None
        facts["position"] = {"x": x, "y": y} if x is not None and y is not None else None
        facts["rated_w"] = most_w if most_w and most_w > 0 else None
        found[key] = DeviceFacts(vendor_device_id=key, device_type=kind, **facts)
        return key

    for inverter in layout.inverters or ():
        above = add(
            DeviceType.INVERTER, inverter.object_id, inverter.inverter_id,
            serial_number=_text(inverter.inverter_serial) or _text(inverter.serial), name=_text(inverter.label),
        )  # fmt: skip
        for string in (string for mppt in inverter.mppts or () for string in mppt.strings or ()):
            parent = add(DeviceType.STRING, string.object_id, string.string_id, name=_text(string.label), parent=above)
            for panel in string.panels or ():
                add(
                    DeviceType.OPTIMIZER, panel.object_id, panel.panel_id, serial_number=_text(panel.serial),
                    name=_text(panel.label), model=_text(panel.type), manufacturer=NAME, parent=parent or above,
                )  # fmt: skip
    for source in sources:
        heard = _instant(source.last_checkin)
        state = _control(source)
        status = DeviceStatus.UNKNOWN
        if heard is not None and now - heard > SILENT_S:
            status = DeviceStatus.OFFLINE
        elif state is not None:
            status = DeviceStatus.NORMAL if state == "on" else DeviceStatus.WARNING
        add(
            DeviceType.GATEWAY, source.source_id, None, serial_number=_text(source.serial), name=_text(source.name),
            model="CCA", manufacturer=NAME, firmware=_text(source.sw_version), status=status, last_reported_at=heard,
        )  # fmt: skip
    return list(found.values())


# -- reading what was kept or recorded, by path ----------------------------------------------------------------------


def _recorded_list(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    page = decode(exchange.response, _Systems, NAME, "systems")
    return {"": Answer(sites=[read_system(system) for system in page.systems])}


def _recorded_system(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    system = decode(exchange.response, _OneSystem, NAME, "systems/view").system
    site = read_system(system).vendor_site_id
    # Of another look these two say nothing any more.
    seen.notes.pop(("sources", site), None)
    seen.notes.pop(("alerts", site), None)
    seen.notes["system", site] = system
    return {site: Answer(sites=[read_system(system)])}


def _recorded_sources(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    site = _asked_site(exchange)
    seen.notes["sources", site] = decode(exchange.response, _Sources, NAME, "sources/system").sources
    answer = _details_so_far(exchange, seen, site)
    answer.devices = _devices_so_far(exchange, seen, site)
    return {site: answer}


def _recorded_alerts(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    site = _asked_site(exchange)
    page = decode(exchange.response, _Alerts, NAME, "alerts/system")
    listed = page.alerts if page.alerts is not None else page.capital
    if listed is None:
        raise _changed("alerts/system")
    before = seen.notes.get(("alerts", site), {}) if (exchange.param("page") or "1") != "1" else {}
    seen.notes["alerts", site] = {**before, **{str(alert.alert_id): alert for alert in listed}}
    return {site: _details_so_far(exchange, seen, site)}


def _recorded_alert_types(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    # They are asked for after the alerts that need them: those are told again, with their titles.
    seen.notes["types"] = read_alert_types(decode(exchange.response, _AlertTypes, NAME, "alerts/types"))
    sites = [key[1] for key in seen.notes if isinstance(key, tuple) and key[0] == "alerts"]
    return {one: _details_so_far(exchange, seen, one) for one in sites}


def _details_so_far(exchange: Exchange, seen: Seen, site: str) -> Answer:
    """A system's facts and alerts by the calls of one look that have come already."""
    system, sources = seen.notes.get(("system", site)), seen.notes.get(("sources", site))
    listed = seen.notes.get(("alerts", site))
    alerts = list(read_alerts((listed or {}).values(), seen.notes.get("types", {})))
    facts = [] if system is None or sources is None else [read_details(system, sources, alerts, exchange.at)]
    return Answer(sites=facts, alerts=None if listed is None else alerts)


def _recorded_layout(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    site = _asked_site(exchange)
    seen.notes["layout", site] = read_layout(exchange.response)
    return {site: Answer(devices=_devices_so_far(exchange, seen, site))}


def _recorded_objects(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    site = _asked_site(exchange)
    seen.notes["objects", site] = decode(exchange.response, _Objects, NAME, "objects/system").objects
    return {site: Answer(devices=_devices_so_far(exchange, seen, site))}


def _devices_so_far(exchange: Exchange, seen: Seen, site: str) -> list[DeviceFacts] | None:
    layout = seen.notes.get(("layout", site))
    if layout is None:
        return None
    objects, sources = (seen.notes.get((what, site), ()) for what in ("objects", "sources"))
    return read_devices(layout, objects, sources, exchange.at)


def _recorded_summary(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    site = _asked_site(exchange)
    tz = clock.zone(seen.site(site).timezone)
    envelope = decode(exchange.response, _SummaryEnvelope, NAME, "data/summary")
    return {site: Answer(readings=list(read_summary(envelope.summary, tz, exchange.at)))}


def _recorded_combined(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    site = _asked_site(exchange)
    step = exchange.param("agg") or exchange.param("level") or ""
    if step not in {"minute", "min", "day"}:
        raise Changed(f"Tigo's figures by {quoted(step) or 'no step'} are not read.", "data/combined")
    tz, covered = _recorded_window(exchange, seen, site)
    rows = read_table(exchange.response, "data/combined")
    if step == "day":
        # The running day's energy comes from the summary.
        over = Span(covered.start, min(covered.end, clock.midnight(clock.day_of(exchange.at, tz), tz)))
        return {site: Answer(readings=list(read_daily(rows, tz, over)), covered=over)}
    return {site: Answer(readings=list(read_curve(rows, tz, covered)), covered=covered)}


def _recorded_panels(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    site = _asked_site(exchange)
    if exchange.param("param") not in {None, "Pin"} or exchange.param("level") not in {None, "min"}:
        raise Changed(f"Tigo's {quoted(exchange.param('param'))} of panels is not read.", "data/aggregate")
    tz, covered = _recorded_window(exchange, seen, site)
    rows = read_table(exchange.response, "data/aggregate")
    asked = (exchange.param("object_ids") or "").split(",")
    ids = frozenset(asked) if asked != [""] else frozenset(key for row in rows for key in row.cells)
    if not all(key.isascii() and key.isdigit() for key in ids):
        raise _changed("data/aggregate", "columns that are not named by numbers")
    return {site: Answer(readings=list(read_panels(rows, ids, tz, covered)), covered=covered)}


def _asked_site(exchange: Exchange) -> str:
    site = _number(exchange.param("system_id") or exchange.param("id"), "system_id")
    if site is None:
        raise Changed("It does not say which Tigo system it is of.", exchange.response.path)
    return site


def _recorded_window(exchange: Exchange, seen: Seen, site: str) -> tuple[dt.tzinfo, Span]:
    """The site's zone, and the span that was asked for in its local time, up to the moment of asking."""
    tz = clock.zone(seen.site(site).timezone)
    if tz is None:
        raise unplaced(NAME, site)
    now = int(exchange.at)
    edges = []
    for name, fold, absent in (("start", 0, clock.EARLIEST), ("end", 1, now)):
        said = exchange.param(name)
        try:
            moment = dt.datetime.fromisoformat(said) if said else None
            at = absent if moment is None else int(moment.replace(tzinfo=tz, fold=fold).timestamp())
        except (ValueError, OverflowError):
            raise Changed(f"Tigo was asked for a {name} that is no time.", name) from None
        edges.append(at)
    return tz, Span(edges[0], min(edges[1] + 1, now))


READERS: Final[Readers] = (
    ("GET", rf"{ROOT}/systems", _recorded_list),
    ("GET", rf"{ROOT}/systems/view", _recorded_system),
    ("GET", rf"{ROOT}/systems/layout", _recorded_layout),
    ("GET", rf"{ROOT}/objects/system", _recorded_objects),
    ("GET", rf"{ROOT}/sources/system", _recorded_sources),
    ("GET", rf"{ROOT}/alerts/system", _recorded_alerts),
    ("GET", rf"{ROOT}/alerts/types", _recorded_alert_types),
    ("GET", rf"{ROOT}/data/summary", _recorded_summary),
    ("GET", rf"{ROOT}/data/combined", _recorded_combined),
    ("GET", rf"{ROOT}/data/aggregate", _recorded_panels),
)

CONNECTOR = Tigo()
