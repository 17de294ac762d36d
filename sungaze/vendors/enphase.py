"""Enphase, Monitoring API v4, by the installer's password grant or a homeowner's consent.

Facts: vendors/enphase.md. Every interval is stamped by its end there and by its start here. Production figures are
those of the microinverters throughout, never mixed with a meter's, because the two differ.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode

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
from sungaze.vendors._session import complaint, decode, figure, looks_like_html, numeral, retry_after, words
from sungaze.vendors._tokens import Pair, live_token

NAME: Final = "Enphase"
MICRO_S: Final = 300
PAGE: Final = 100
PANEL_PAGE: Final = 20
OLDEST_S: Final = 2 * 365 * DAY_S - DAY_S
"""Telemetry reaches two years back (3.4 [doc]); its oldest day is left alone, so that a slow clock asks not too far."""

_SITE_LEVEL: Final = frozenset({"curve", "summary", "daily", "inverters", "devices", "alarms"})
"""The inventory is among Watt's calls in the page's own arithmetic (section 6), and worth its call a week."""
_DEVICE_LEVEL: Final = _SITE_LEVEL | {"panels"}


def quota_said(response: Response) -> tuple[Said, ...]:
    """What a refusal says of its window; other answers say nothing of it (section 2 [doc])."""
    if response.status != 429:
        return ()
    content = complaint(response.body)
    period, limit = words(content, "period").lower(), numeral(content.get("limit"))
    if period not in {"minute", "month"} or limit is None or limit < 0:
        return ()
    return (Said(period, int(limit), 0),)


CODE_PAGE: Final = "https://api.enphaseenergy.com/oauth/redirect_uri"
"""The return address that every application has: a page that shows the code (section 1, grant A [doc])."""


def consent_url(base_url: str, credentials: Mapping[str, str], redirect_uri: str, state: str) -> str:
    """Enphase's consent page for an application's client id (section 1, grant A [doc])."""
    asked = {
        "response_type": "code",
        "client_id": credentials["client_id"],
        "redirect_uri": redirect_uri or CODE_PAGE,
        "state": state,
    }
    return f"{base_url.rstrip('/')}/oauth/authorize?{urlencode(asked)}"


_PLAIN: Final = frozenset(
    {
    "timezone", "connection_type", "status", "start_date", "end_date", "model", "sku", "part_number",
    "product_name", "emu_sw_version", "firmware", "units", "event_name", "items", "granularity", "interval_at",
    }
)  # fmt: skip

VENDOR: Final = Vendor(
    id="enphase",
    name=NAME,
    link="https://enphase.com",
    attribution="Powered by Enphase",
    # [assumed]: the portal's address for one system.
    portal_url="https://enlighten.enphaseenergy.com/systems/{site}",
    default_base_url="https://api.enphaseenergy.com",
    methods=(
        Method(
            id="partner_password",
            label="Installer account (Partner plan)",
            about="Sees every system that your company installed or maintains. Needs an application with the Partner "
            "plan from Enphase's developer portal, which asks for ten installations at least and lets a new "
            "application wait for approval. Another plan chosen here only holds Sungaze to that plan's limits.",
            fields=(
                Field(
                    name="api_key",
                    label="API key",
                    help="On your application's page in Enphase's developer portal, together with the two below.",
                ),
                Field(name="client_id", label="Client ID", help="Belongs to the same application.", secret=False),
                Field(name="client_secret", label="Client secret", help="Belongs to the same application."),
                Field(name="username", label="Enlighten e-mail", help="The installer's login.", secret=False),
                Field(name="password", label="Enlighten password"),
            ),
            plans=("partner", "megawatt", "kilowatt", "watt"),
            scope_field="api_key",
        ),
        Method(
            id="owner_consent",
            label="Homeowner's consent (in the browser)",
            about="Sees the systems of whoever signs in and allows it. Needs an application with the Watt, Kilowatt or "
            "Megawatt plan from Enphase's developer portal; several homeowners share its calls. The consent ends after "
            "a month without a look, and the owner may take it back at any time.",
            fields=(
                Field(name="api_key", label="API key", help="On your application's page in the developer portal."),
                Field(name="client_id", label="Client ID", help="Belongs to the same application.", secret=False),
                Field(name="client_secret", label="Client secret", help="Belongs to the same application."),
                Field(
                    name="code",
                    label="Code",
                    help="What Enphase shows after the owner has agreed; it works once, for a few minutes.",
                    once=True,
                ),
                Field(
                    name="redirect_uri",
                    label="Return address",
                    help="Only if the consent was asked for with another one than Enphase's own page.",
                    secret=False,
                    required=False,
                    once=True,
                ),
            ),
            plans=("watt", "kilowatt", "megawatt"),
            scope_field="api_key",
            consent_url=consent_url,
        ),
    ),
    # Prices and limits: section 1 “Plans” [doc, read July 2026]. What the Watt plan may call beyond site production is
    # [code]; a month counts in UTC [code].
    plans=(
        Plan(
            id="watt",
            label="Watt",
            about="Free. Site figures only; no curves per panel. Once the month's calls are spent, nothing more comes "
            "until the next month.",
            limits=(Limit(window="minute", limit=10), Limit(window="month", limit=1_000)),
            gives=_SITE_LEVEL,
        ),
        Plan(
            id="kilowatt",
            label="Kilowatt",
            about="249 USD a month (Enphase's list of July 2026). Devices and panels too.",
            limits=(Limit(window="minute", limit=50), Limit(window="month", limit=50_000)),
            gives=_DEVICE_LEVEL,
            concurrent=2,
        ),
        Plan(
            id="megawatt",
            label="Megawatt",
            about="999 USD a month (Enphase's list of July 2026). Devices and panels too.",
            limits=(Limit(window="minute", limit=100), Limit(window="month", limit=300_000)),
            gives=_DEVICE_LEVEL,
            concurrent=3,
        ),
        Plan(
            id="partner",
            label="Partner",
            about="10,000 calls a month are free, then 0.005 USD each (Enphase's list of July 2026); Sungaze stops at "
            "the free ones unless you allow more.",
            limits=(
                Limit(window="minute", limit=300),
                Limit(window="month", limit=1_500_000, included=10_000, price_usd=0.005),
            ),
            gives=_DEVICE_LEVEL,
            concurrent=3,
        ),
    ),
    resources=(
        Resource(id="list", per_site=False, every_s=1_800, order=10),
        Resource(id="curve", per_site=True, every_s=1_200, order=20),
        Resource(id="summary", per_site=True, every_s=DAY_S, order=30),
        Resource(id="devices", per_site=True, every_s=7 * DAY_S, night=True, order=40),
        Resource(id="panels", per_site=True, every_s=3 * 3_600, calls=2, order=50),
        Resource(id="inverters", per_site=True, every_s=DAY_S, order=60),
        # Section 6, rule 4: only for systems that are not well, and a sweep once a week.
        Resource(id="alarms", per_site=True, every_s=4 * 3_600, night=True, when_troubled=True, calls=2, order=65),
        Resource(id="daily", per_site=True, every_s=DAY_S, night=True, after_midnight=True, order=70),
    ),
    late_min=45,
    stale_min=120,
    cellular_late_min=420,
    cellular_stale_min=480,
    fine_s=MICRO_S,
    fine_resource="curve",
    history=("daily", "curve", "panels"),
    bucket_s=900,
    quota_said=quota_said,
    plain_fields=_PLAIN,
    notes=(
        "Figures arrive about every quarter of an hour, from sites on a mobile link about every six hours. At times "
        "they lag the owner's app by hours.",
        "Production is what the microinverters report; where a meter is fitted, Enphase's own pages may show its "
        "figure instead.",
        "Curves reach back two years at most; daily figures reach back to the first day.",
        "Enphase does not tell how many calls are left, so Sungaze counts its own: calls that other programs make with "
        "the same application it cannot see.",
        "The link to a system's page in Enphase's portal is assumed and may miss it.",
    ),
    panels_note="Curves per panel need Enphase's Kilowatt, Megawatt or Partner plan.",
    differs=(
        "Production is what the microinverters report, throughout. Where a meter is fitted, Enphase's "
        "pages may show the meter's figure, and the two differ.",
        "Enphase stamps the end of an interval, Sungaze its start: a curve may stand five minutes earlier here.",
        "Power is the mean of five minutes, and energy comes in whole watt-hours.",
        "An interval can grow while single microinverters still report; it is asked again, and the later one counts.",
        "What is given can lag the owner's app by hours.",
    ),
)

# -- wire types: exactly the fields that are used --------------------------------------------------------------------

Number = int | float


class _Address(msgspec.Struct):
    street: str | None = None
    city: str | None = None
    state: str | None = None
    country: str | None = None
    postal_code: str | None = None


class _System(msgspec.Struct):
    system_id: int
    name: str | None = None
    timezone: str | None = None
    address: _Address | None = None
    connection_type: str | None = None
    status: str | None = None
    last_report_at: Number | None = None
    last_energy_at: Number | None = None
    operational_at: Number | None = None
    reference: str | None = None


class _Systems(msgspec.Struct):
    total: int
    systems: list[_System]


class _Summary(msgspec.Struct):
    system_id: int
    status: str | None = None
    size_w: Number | None = None
    energy_lifetime: Number | None = None
    energy_today: Number | None = None
    last_report_at: Number | None = None
    last_interval_end_at: Number | None = None


class _Interval(msgspec.Struct, gc=False):
    end_at: int
    powr: Number | None = None
    enwh: Number | None = None
    devices_reporting: Number | None = None


class _Curve(msgspec.Struct):
    intervals: list[_Interval]


class _PanelCurve(msgspec.Struct):
    serial_number: str
    intervals: list[_Interval]


class _Panels(msgspec.Struct):
    devices: list[_PanelCurve]


class _Lifetime(msgspec.Struct):
    production: list[Number | None] | None = None
    micro_production: list[Number | None] | None = None
    start_date: str | None = None


class _Device(msgspec.Struct):
    id: int | str | None = None
    serial_number: str | None = None
    name: str | None = None
    part_number: str | None = None
    sku: str | None = None
    model: str | None = None
    product_name: str | None = None
    status: str | None = None
    active: bool | None = None
    last_report_at: Number | None = None
    emu_sw_version: str | None = None
    firmware: str | None = None


class _Devices(msgspec.Struct):
    devices: dict[str, list[_Device] | None]


class _Amount(msgspec.Struct):
    value: Number | None = None
    units: str | None = None


class _Micro(msgspec.Struct):
    serial_number: str
    model: str | None = None
    status: str | None = None
    energy: _Amount | None = None
    last_report_date: Number | str | None = None


class _Envoy(msgspec.Struct):
    micro_inverters: list[_Micro] | None = None


class _Event(msgspec.Struct):
    event_type_id: int | None = None
    event_start_time: Number | None = None
    serial_number: str | None = None
    start_date: Number | None = None


class _Events(msgspec.Struct):
    events: list[_Event] | None = None


class _Alarm(msgspec.Struct):
    id: str
    event_type_id: int | None = None
    cleared: bool | None = None
    severity: int | None = None
    alarm_start_time: Number | None = None
    alarm_end_time: Number | None = None
    events: list[_Event] | None = None


class _Alarms(msgspec.Struct):
    alarms: list[_Alarm] | None = None


class _EventType(msgspec.Struct):
    event_type_id: int
    event_name: str | None = None


class _EventTypes(msgspec.Struct):
    event_types: list[_EventType]


# -- login and calls -------------------------------------------------------------------------------------------------


class Enphase:
    """The connector."""

    vendor = VENDOR

    @property
    def readers(self) -> Readers:
        """Every path whose answers are read."""
        return READERS

    def probe(self, access: Access) -> Probe:
        """What the credential sees, for one page of the list."""
        page = decode(self._get(access, "/api/v4/systems", _page(1)), _Systems, NAME, "systems")
        panels = "panels" in access.plan.gives
        notes = VENDOR.notes if panels else (*VENDOR.notes, VENDOR.panels_note)
        return Probe(sites=tuple(map(read_system, page.systems)), total=page.total, panels=panels, notes=notes)

    def list_sites(self, access: Access) -> Answer:
        """Every system of the account; one call for each hundred.

        A list that ends before its own total is not complete: nothing in it says that a system has gone.
        """
        sites: dict[str, SiteFacts] = {}
        number = 1
        while True:
            page = decode(self._get(access, "/api/v4/systems", _page(number)), _Systems, NAME, "systems")
            before = len(sites)
            sites |= {site.vendor_site_id: site for site in map(read_system, page.systems)}
            if number * PAGE >= page.total or len(sites) == before:
                return Answer(sites=list(sites.values()), complete=len(sites) >= page.total)
            number += 1

    def fetch(self, access: Access, resource: str, site: SiteRef, span: Span) -> Answer:
        """One look at one resource of one system."""
        path = f"/api/v4/systems/{quote(site.vendor_site_id, safe='')}"
        tz = clock.zone(site.timezone)
        now = int(access.now())
        if resource in {"curve", "panels"}:
            start = max(span.start, now - OLDEST_S)
            if start >= min(span.end, now):
                return Answer()
            covered = Span(start, min(start + DAY_S, now))
            if resource == "panels":
                return self._panels(access, path, covered)
            window = [("start_at", str(start)), ("granularity", "day")]
            answer = self._get(access, f"{path}/telemetry/production_micro", window)
            return curve_answer(answer, tz, covered, now)
        if resource == "summary":
            return summary_answer(self._get(access, f"{path}/summary"))
        if resource == "devices":
            return devices_answer(self._get(access, f"{path}/devices", gated="devices"))
        if resource == "daily":
            return self._daily(access, path, span, tz)
        if resource == "inverters":
            return self._inverters(access, site)
        if resource == "alarms":
            return self._alarms(access, path, site)
        raise ValueError(f"Enphase has no resource {resource}")

    def fetch_account(self, access: Access, resource: str, sites: Sequence[SiteRef], span: Span) -> Answer:
        """Enphase has nothing that serves the whole account but its list."""
        raise ValueError(f"Enphase has no resource {resource}")

    def chunks(self, resource: str, span: Span) -> list[Span]:
        """Daily figures of any length come in one call, curves a day at a time (3.4, 3.5 [doc])."""
        if resource == "daily":
            return [span]
        cuts = []
        start = span.start
        while start < span.end:
            cuts.append(Span(start, min(start + DAY_S, span.end)))
            start += DAY_S
        return cuts[::-1]

    def _panels(self, access: Access, path: str, covered: Span) -> Answer:
        readings: list[Reading] = []
        devices: dict[str, DeviceFacts] = {}
        number = 1
        while True:
            params = [
                ("start_at", str(covered.start)), ("granularity", "day"), ("page", str(number)),
                ("size", str(PANEL_PAGE)),
            ]  # fmt: skip
            answer = self._get(access, f"{path}/devices/micros/telemetry", params, gated="panels")
            page = decode(answer, _Panels, NAME, "micros/telemetry")
            before = len(devices)
            found, values = read_panels(page)
            devices |= {device.vendor_device_id: device for device in found}
            readings += values
            if len(page.devices) < PANEL_PAGE or len(devices) == before:
                return Answer(devices=list(devices.values()), readings=readings, covered=covered)
            number += 1

    def _daily(self, access: Access, path: str, span: Span, tz: dt.tzinfo | None) -> Answer:
        if tz is None:
            return Answer()
        first = clock.day_of(span.start, tz)
        yesterday = clock.day_of(access.now(), tz) - dt.timedelta(days=1)
        last = min(clock.day_of(span.end - 1, tz), yesterday)
        if last < first:
            return Answer()
        params = [("start_date", first.isoformat()), ("end_date", last.isoformat()), ("production", "all")]
        lifetime = decode(self._get(access, f"{path}/energy_lifetime", params), _Lifetime, NAME, "energy_lifetime")
        covered = Span(clock.midnight(first, tz), clock.local_day(last, tz).end)
        return Answer(readings=list(read_daily(lifetime, tz, last)), covered=covered)

    def _inverters(self, access: Access, site: SiteRef) -> Answer:
        readings: list[Reading] = []
        devices: dict[str, DeviceFacts] = {}
        number = 1
        while True:
            params = [("site_id", site.vendor_site_id), ("page", str(number)), ("size", str(PAGE))]
            response = self._get(
                access, "/api/v4/systems/inverters_summary_by_envoy_or_site", params, gated="inverters"
            )
            envoys = decode(response, list[_Envoy], NAME, "inverters_summary")
            before = len(devices)
            found, values = read_inverters(envoys)
            devices |= {device.vendor_device_id: device for device in found}
            readings += values
            if sum(len(envoy.micro_inverters or ()) for envoy in envoys) < PAGE or len(devices) == before:
                return Answer(devices=list(devices.values()), readings=readings)
            number += 1

    def _alarms(self, access: Access, path: str, site: SiteRef) -> Answer:
        alarms = decode(self._get(access, f"{path}/open_alarms", gated="alarms"), _Alarms, NAME, "open_alarms")
        events = decode(self._get(access, f"{path}/open_events", gated="alarms"), _Events, NAME, "open_events")
        types = {a.event_type_id for a in alarms.alarms or ()} | {e.event_type_id for e in events.events or ()}
        names = self._event_names(access, {number for number in types if number is not None})
        return Answer(alerts=list(read_alarms(alarms, events, names, site.device_ids)), alerts_complete=True)

    def _event_names(self, access: Access, wanted: set[int]) -> dict[str, str]:
        """The names of event types: a dictionary that does not change (3.7 [doc]), asked for when one is new."""
        names = _names_of(access.recall())
        if any(str(number) not in names for number in wanted):
            found = decode(self._get(access, "/api/v4/systems/event_types"), _EventTypes, NAME, "event_types")
            names |= {str(kind.event_type_id): kind.event_name or "" for kind in found.event_types}
            with access.login_lease():
                access.remember({**access.recall(), "event_names": msgspec.json.encode(names).decode()})
        return names

    def _get(
        self, access: Access, path: str, params: Iterable[tuple[str, str]] = (), *, gated: str | None = None
    ) -> Response:
        refused: str | None = None
        while True:
            token = live_token(access, refused, NAME, lambda kept: self._renew(access, kept))
            headers = {"Authorization": f"Bearer {token}", "key": access.credentials["api_key"]}
            response = access.session.request("GET", path, params=list(params), headers=headers)
            # A plan without the endpoint answers 401 as a dead token does: one new login tells them apart.
            if response.status != 401 or refused is not None or _is_mismatch(response.body):
                _raise_for(response, access, gated)
                return response
            refused = token

    def _renew(self, access: Access, kept: Mapping[str, str] | None) -> Pair:
        """A new pair. Raises NeedsReconnect where Enphase refuses the kept one and what it was got by."""
        pair = None
        if kept is not None:
            pair = self._grant(access, {"grant_type": "refresh_token", "refresh_token": kept["refresh_token"]})
        if pair is None and access.method == "owner_consent":
            pair = self._redeem(access)
        elif pair is None:
            username, password = access.credentials["username"], access.credentials["password"]
            pair = self._grant(access, {"grant_type": "password", "username": username, "password": password})
        if pair is None:
            raise NeedsReconnect(
                "Enphase refuses this login: check the e-mail and password, and that API key, client ID and client "
                "secret belong to one application. History is kept."
            )
        return pair

    def _redeem(self, access: Access) -> Pair:
        code = access.credentials.get("code")
        uri = access.credentials.get("redirect_uri") or CODE_PAGE
        form = {"grant_type": "authorization_code", "redirect_uri": uri, "code": code or ""}
        token = self._grant(access, form) if code else None
        if token is None and code:
            raise NeedsReconnect(
                "Enphase does not take this code: it works once and for a few minutes, and only with the client ID "
                "and the return address that it was asked for with. Ask the owner's consent once more."
            )
        if token is None:
            raise NeedsReconnect(
                "The owner's consent has ended: Enphase forgets it after a month without a look, or the owner took it "
                "back. Ask for it once more; history is kept."
            )
        return token

    def _grant(self, access: Access, form: Mapping[str, str]) -> Pair | None:
        """A new pair, or None where the grant is refused."""
        client = (access.credentials["client_id"], access.credentials["client_secret"])
        response = access.session.request("POST", "/oauth/token", form=form, auth=client, free=True)
        if response.status in {400, 401, 403} and not looks_like_html(response.body):
            return None
        _raise_for(response, access, None)
        return decode(response, Pair, NAME, "oauth/token")


def _page(number: int) -> list[tuple[str, str]]:
    return [("page", str(number)), ("size", str(PAGE)), ("sort_by", "id")]


def _raise_for(response: Response, access: Access, gated: str | None) -> None:
    if response.status == 200 and not looks_like_html(response.body):
        return
    if looks_like_html(response.body):
        # Overload shows as a page under an unknown status and lasted most of a day (section 7 [code]).
        raise Unavailable(
            "Enphase is overloaded and answers with a web page. What is known is kept; it is asked again later.", 900
        )
    content = complaint(response.body)
    if response.status == 401:
        if _is_mismatch(response.body):
            raise NeedsReconnect(
                "Enphase says that the API key and the client ID belong to different applications. Enter the three "
                "values of one application again; history is kept."
            )
        if gated == "panels":
            raise NotEntitled(VENDOR.panels_note, gated)
        if gated:
            raise NotEntitled("Enphase's plan of this application does not give this. History is kept.", gated)
        raise NeedsReconnect(
            "Enphase does not accept this login and API key. Check that the key, the client ID and the client secret "
            "are those of one application, and connect the account again; history is kept."
        )
    if response.status == 403:
        raise NotEntitled("Enphase does not let this account see that system any more. History is kept.", "system")
    if response.status == 429:
        raise _spent(words(content, "period"), numeral(content.get("period_end")), access.now())
    if response.status in {404, 405, 422, 501}:
        reason = words(content, "details", "message", secrets=access.secrets) or "no reason given"
        raise Changed(
            f"Enphase refuses a question that it used to answer ({response.status} on {_kind(response.path)}: "
            f"{reason}). What is known is kept.",
            response.path,
        )
    raise Unavailable(
        f"Enphase has trouble of its own ({response.status}). What is known is kept; it is asked again later.",
        retry_after(response.headers, 300),
    )


def _is_mismatch(body: bytes) -> bool:
    """Whether a refusal says that key and token are of different applications (section 2 [doc])."""
    return "mismatch" in words(complaint(body), "message").lower()


def _spent(period: str, period_end: float | None, now: float) -> QuotaSpent:
    """Until the window's end, as far as it can be: a minute is over within two, a month within 32 days."""
    ahead = period_end - now if period_end is not None else 0.0
    if period.lower() == "month" or 120 < ahead <= 32 * DAY_S:
        until = period_end if period_end is not None and 0 < ahead <= 32 * DAY_S else _next_month(now)
        return QuotaSpent(
            "Enphase's calls of this month are used up. Asking goes on with the new month.", max(until, now + 60)
        )
    until = period_end if period_end is not None and 0 < ahead <= 120 else now + 60
    return QuotaSpent("Enphase's calls of this minute are used up.", until + 1)


def _next_month(now: float) -> float:
    day = dt.datetime.fromtimestamp(now, dt.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (day + dt.timedelta(days=32)).replace(day=1).timestamp()


def _kind(path: str) -> str:
    return "/".join("…" if part.isdigit() else part for part in path.split("/"))


# -- reading: from wire types to canonical values --------------------------------------------------------------------

_OUT_OF_SERVICE = frozenset({"deactivated", "retired", "rma", "unused", "disabled", "not_monitored"})
_FINE = frozenset({"normal", "monitored", "info", "debug", "active", "on", "on_grid"})
_FAULT = frozenset({"power", "error", "evse_faulted"})
_MINOR = frozenset(
    {
        "meter", "meter_issue", "nsr", "iq_collar", "battery", "encharge", "encharge_issue", "enpower",
        "enpower_issue", "storage_idle", "warning", "data_upload", "evse_not_reporting", "off_grid",
    }
)  # fmt: skip


def read_site_status(word: str | None) -> tuple[SiteStatus | None, Communication | None, Production | None]:
    """Status, communication and production of a system by Enphase's word (section 5 [doc])."""
    if word is None:
        return None, None, None
    word = word.lower()
    if word in _FINE or word == "muted":
        return SiteStatus.NORMAL, Communication.OK, Production.OK
    if word == "comm":
        return SiteStatus.OFFLINE, Communication.SILENT, Production.UNKNOWN
    if word == "micro":
        return SiteStatus.WARNING, Communication.OK, Production.DEGRADED
    if word in _FAULT:
        return SiteStatus.FAULT, Communication.OK, Production.DEGRADED
    if word in _MINOR:
        return SiteStatus.WARNING, Communication.OK, Production.OK
    if word in _OUT_OF_SERVICE:
        return SiteStatus.INACTIVE, Communication.UNKNOWN, Production.UNKNOWN
    return SiteStatus.UNKNOWN, Communication.UNKNOWN, Production.UNKNOWN


def read_device_status(word: str | None, active: bool | None, group: str = "micros") -> DeviceStatus:
    """Status of a device by Enphase's word (section 5 [doc]); an inactive one is retired.

    `micro` means that microinverters are silent: of a microinverter that it is, of another device that some are.
    """
    word = (word or "unknown").lower()
    if active is False or word in _OUT_OF_SERVICE:
        return DeviceStatus.RETIRED
    if word in _FINE or word == "muted":
        return DeviceStatus.NORMAL
    if word == "comm" or (word == "micro" and group == "micros"):
        return DeviceStatus.OFFLINE
    if word in _FAULT:
        return DeviceStatus.FAULT
    return DeviceStatus.WARNING if word in _MINOR or word == "micro" else DeviceStatus.UNKNOWN


def read_system(system: _System) -> SiteFacts:
    """Facts of one entry of the list. Its energy and size fields are always -1 and are not read (3.1 [doc])."""
    status, communication, production = read_site_status(system.status)
    parts = msgspec.structs.asdict(system.address) if system.address else {}
    return SiteFacts(
        vendor_site_id=str(system.system_id),
        name=system.name,
        status=status,
        communication=communication,
        production=production,
        timezone=system.timezone if clock.zone(system.timezone) else None,
        address={name: value for name, value in parts.items() if value} or None,
        connection=(system.connection_type or "").lower() or None,
        reference=system.reference,
        installed_on=_date(system.operational_at, system.timezone),
        last_report_at=_epoch(system.last_report_at),
        last_energy_at=_epoch(system.last_energy_at),
    )


def read_summary(summary: _Summary) -> SiteFacts:
    """Facts of a summary of today. A size of 0 is not known, never none (3.2 [doc])."""
    status, communication, production = read_site_status(summary.status)
    size_w = numeral(summary.size_w)
    return SiteFacts(
        vendor_site_id=str(summary.system_id),
        status=status,
        communication=communication,
        production=production,
        peak_power_kw=size_w / 1000 if size_w and size_w > 0 else None,
        last_report_at=_epoch(summary.last_report_at),
    )


def read_lifetime(summary: _Summary) -> Iterator[Reading]:
    """The lifetime counter: Enphase counts it up to the day before, so today is added (3.2 [doc]). Wh.

    It is the meter's where one is fitted. Stamped by the newest interval, so that before sunrise the same figure
    comes again at the same moment.
    """
    at = _epoch(summary.last_interval_end_at)
    before, today = numeral(summary.energy_lifetime), numeral(summary.energy_today)
    # -1 stands for a figure that is not given, as in the list.
    if at is not None and before is not None and today is not None and before >= 0 and today >= 0:
        yield Reading("", "energy_lifetime_wh", 0, at, before + today)


def read_curve(curve: _Curve, tz: dt.tzinfo | None, covered: Span, now: int) -> Iterator[Reading]:
    """Site power (mean W), energy (Wh) and devices reporting, by 5 minutes.

    Where the answer covers the running local day from its midnight up to `now`, also that day's energy so far; a
    finished day's figure comes from the daily series instead.
    """
    today = clock.local_day(clock.day_of(now, tz), tz) if tz is not None else None
    so_far: list[float] = []
    for i in curve.intervals:
        start = _start_of(i)
        if i.powr is not None:
            yield Reading("", "ac_power_w", MICRO_S, start, figure(i.powr))
        if i.enwh is not None:
            yield Reading("", "energy_wh", MICRO_S, start, figure(i.enwh))
            if today is not None and start >= today.start:
                so_far.append(figure(i.enwh))
        if i.devices_reporting is not None:
            yield Reading("", "devices_reporting", MICRO_S, start, figure(i.devices_reporting))
    if today is not None and so_far and covered.start <= today.start and covered.end >= now:
        yield Reading("", "energy_wh", DAY_S, today.start, sum(so_far))


def read_panel(panel: _PanelCurve) -> Iterator[Reading]:
    """Power (mean W) and energy (Wh) of one microinverter, by 5 minutes."""
    key = f"micros:{panel.serial_number}"
    for i in panel.intervals:
        start = _start_of(i)
        if i.powr is not None:
            yield Reading(key, "ac_power_w", MICRO_S, start, figure(i.powr))
        if i.enwh is not None:
            yield Reading(key, "energy_wh", MICRO_S, start, figure(i.enwh))


def curve_answer(response: Response, tz: dt.tzinfo | None, covered: Span, now: int) -> Answer:
    """A day's curve, see `read_curve`."""
    curve = decode(response, _Curve, NAME, "production_micro")
    return Answer(readings=list(read_curve(curve, tz, covered, now)), covered=covered)


def summary_answer(response: Response) -> Answer:
    """A summary: facts and the lifetime counter."""
    summary = decode(response, _Summary, NAME, "summary")
    return Answer(sites=[read_summary(summary)], readings=list(read_lifetime(summary)))


def devices_answer(response: Response) -> Answer:
    """An inventory, complete unless it is empty."""
    devices = list(read_devices(decode(response, _Devices, NAME, "devices")))
    # A system has at least its gateway: an empty inventory is no reason to retire everything.
    return Answer(devices=devices, devices_complete=bool(devices))


def read_panels(page: _Panels) -> tuple[list[DeviceFacts], list[Reading]]:
    """The microinverters of a page, and their readings."""
    panels = [panel for panel in page.devices if panel.serial_number]
    readings = [reading for panel in panels for reading in read_panel(panel)]
    return [_micro_facts(panel.serial_number) for panel in panels], readings


def read_inverters(envoys: Iterable[_Envoy]) -> tuple[list[DeviceFacts], list[Reading]]:
    """The microinverters of a page of summaries, and their lifetime counters."""
    micros = [micro for envoy in envoys for micro in envoy.micro_inverters or () if micro.serial_number]
    devices = [_micro_facts(micro.serial_number, micro.model, micro.status) for micro in micros]
    return devices, [reading for micro in micros for reading in read_inverter(micro)]


def read_daily(lifetime: _Lifetime, tz: dt.tzinfo, last: dt.date) -> Iterator[Reading]:
    """Energy of each local day up to `last`, Wh. Trailing zeros are days not reported yet (3.5 [doc])."""
    values = lifetime.micro_production or lifetime.production
    if not values or not lifetime.start_date:
        return
    try:
        first = dt.date.fromisoformat(lifetime.start_date)
    except ValueError:
        first = dt.date.min
    if first.year < 1990:
        raise Changed(
            "Enphase names a day in a form that this version does not know. What is known is kept.",
            "energy_lifetime: start_date",
        )
    end = len(values)
    while end and not values[end - 1]:
        end -= 1
    for shift, value in enumerate(values[: max(0, min(end, (last - first).days + 1))]):
        if value is not None:
            day = first + dt.timedelta(days=shift)
            yield Reading("", "energy_wh", DAY_S, clock.midnight(day, tz), figure(value))


def read_inverter(micro: _Micro) -> Iterator[Reading]:
    """The lifetime counter of one microinverter, Wh, at its last report."""
    at = _instant(micro.last_report_date)
    value = numeral(micro.energy.value) if micro.energy else None
    if micro.energy is None or value is None or at is None:
        return
    scale = {"wh": 1.0, "kwh": 1e3, "mwh": 1e6}.get((micro.energy.units or "Wh").lower())
    if scale is not None:
        yield Reading(f"micros:{micro.serial_number}", "energy_lifetime_wh", 0, at, value * scale)


_SEVERITIES: Final = {1: Severity.CRITICAL, 2: Severity.ERROR, 3: Severity.WARNING}
GATEWAY_SILENT: Final = 28
"""`envoy_no_report`, the one event type whose number the vendor's page names (3.7)."""


def read_alarms(
    alarms: _Alarms, events: _Events, names: Mapping[str, str], device_ids: Iterable[str]
) -> Iterator[AlertFacts]:
    """Every open alarm, and every open event that no alarm covers (section 5)."""
    by_serial = {key.partition(":")[2]: key for key in device_ids}
    covered: set[tuple[int | None, str | None]] = set()

    def facts(key: str, kind: int | None, serial: str | None, at: int, severity: Severity) -> AlertFacts:
        said = names.get(str(kind)) or f"event type {kind}"
        return AlertFacts(
            vendor_alert_id=key,
            code=str(kind),
            description=f"{said} ({serial})" if serial else said,
            severity=severity,
            timestamp=at,
            vendor_device_id=by_serial.get(serial or "", ""),
            silent=kind == GATEWAY_SILENT,
        )

    for alarm in alarms.alarms or ():
        serials = [event.serial_number for event in alarm.events or () if event.serial_number]
        covered |= {(alarm.event_type_id, serial) for serial in serials} or {(alarm.event_type_id, None)}
        start = _epoch(alarm.alarm_start_time)
        if start is not None and not alarm.cleared:
            severity = _SEVERITIES.get(alarm.severity or 0, Severity.INFO)
            yield facts(alarm.id, alarm.event_type_id, serials[0] if len(serials) == 1 else None, start, severity)
    for event in events.events or ():
        start = _epoch(event.event_start_time)
        if start is not None and (event.event_type_id, event.serial_number) not in covered:
            key = f"event:{event.event_type_id}:{event.serial_number}:{start}"
            yield facts(key, event.event_type_id, event.serial_number, start, Severity.WARNING)


def _names_of(kept: Mapping[str, str]) -> dict[str, str]:
    try:
        return msgspec.json.decode(kept.get("event_names", "{}"), type=dict[str, str])
    except msgspec.DecodeError:
        return {}


_TYPES: Final = {
    "micros": DeviceType.MICROINVERTER,
    "meters": DeviceType.METER,
    "gateways": DeviceType.GATEWAY,
    "acbs": DeviceType.BATTERY,
    "encharges": DeviceType.BATTERY,
    "ev_chargers": DeviceType.EV_CHARGER,
}
_NOT_OURS: Final = frozenset({"ev_chargers", "heat_pump", "generators"})


def read_devices(found: _Devices) -> Iterator[DeviceFacts]:
    """Facts of every device. Numeric ids are not unique, so the key is group and serial (3.3 [doc])."""
    used: set[str] = set()
    for group, devices in found.devices.items():
        for index, device in enumerate(devices or ()):
            key = f"{group}:{device.serial_number}" if device.serial_number else f"{group}:{device.id or ''}:{index}"
            while key in used:
                key = f"{key}:{index}"
            used.add(key)
            yield DeviceFacts(
                vendor_device_id=key,
                device_type=_TYPES.get(group, DeviceType.OTHER),
                serial_number=device.serial_number or None,
                name=device.name,
                model=device.product_name or device.model or device.sku,
                manufacturer=None if group in _NOT_OURS else NAME,
                part_number=device.part_number,
                firmware=device.emu_sw_version or device.firmware,
                status=read_device_status(device.status, device.active, group),
                last_reported_at=_epoch(device.last_report_at),
            )


def _micro_facts(serial: str, model: str | None = None, status: str | None = None) -> DeviceFacts:
    return DeviceFacts(
        vendor_device_id=f"micros:{serial}",
        device_type=DeviceType.MICROINVERTER,
        serial_number=serial,
        model=model,
        manufacturer=NAME,
        status=read_device_status(status, None),
    )


def _start_of(interval: _Interval) -> int:
    """The start of an interval, which Enphase names by its end (section 4 [doc])."""
    if not clock.EARLIEST < interval.end_at < clock.LATEST:
        raise Changed(
            "Enphase stamps an interval in a form that this version does not know. What is known is kept.", "end_at"
        )
    return interval.end_at - MICRO_S


def _epoch(value: float | None) -> int | None:
    return int(value) if value is not None and clock.EARLIEST < value < clock.LATEST else None


def _instant(value: float | str | None) -> int | None:
    if not isinstance(value, str):
        return _epoch(value)
    try:
        return clock.parse_instant(value)
    except ValueError:
        return None


def _date(value: float | None, timezone: str | None) -> str | None:
    at = _epoch(value)
    return clock.day_of(at, clock.zone(timezone) or dt.UTC).isoformat() if at else None


# -- reading what was kept or recorded, by path ----------------------------------------------------------------------


def _recorded_list(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    page = decode(exchange.response, _Systems, NAME, "systems")
    return {"": Answer(sites=list(map(read_system, page.systems)))}


def _recorded_system(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    return {site: Answer(sites=[read_system(decode(exchange.response, _System, NAME, "systems/…"))])}


def _recorded_summary(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    return {site: summary_answer(exchange.response)}


def _recorded_devices(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    return {site: devices_answer(exchange.response)}


_GRANULARITY_S: Final = {"5mins": MICRO_S, "15mins": 900, "day": DAY_S, "week": 7 * DAY_S}


def _recorded_span(exchange: Exchange) -> Span:
    """The span that a telemetry call asked for; by its own rule the running day where it names none (3.4 [doc])."""
    now = int(exchange.at)
    start = numeral(exchange.param("start_at"))
    end = numeral(exchange.param("end_at"))
    length = _GRANULARITY_S.get(exchange.param("granularity") or "day", DAY_S)
    if start is None:
        return Span(now, now)
    return Span(int(start), min(int(end if end is not None else start + length), now))


def _recorded_curve(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    tz = clock.zone(seen.site(site).timezone)
    return {site: curve_answer(exchange.response, tz, _recorded_span(exchange), int(exchange.at))}


def _recorded_panels(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    devices, readings = read_panels(decode(exchange.response, _Panels, NAME, "micros/telemetry"))
    return {site: Answer(devices=devices, readings=readings, covered=_recorded_span(exchange))}


def _recorded_daily(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    tz = clock.zone(seen.site(site).timezone)
    if tz is None:
        raise unplaced(NAME, site)
    last = clock.day_of(exchange.at, tz) - dt.timedelta(days=1)
    # Another form of date than ours may have been asked by: yesterday bounds it as well.
    with contextlib.suppress(ValueError):
        last = min(last, dt.date.fromisoformat(exchange.param("end_date") or last.isoformat()))
    lifetime = decode(exchange.response, _Lifetime, NAME, "energy_lifetime")
    return {site: Answer(readings=list(read_daily(lifetime, tz, last)))}


def _recorded_inverters(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    site = exchange.param("site_id") or ""
    if not site:
        raise Changed("Enphase's summary by envoy does not say which system it is of.", "inverters_summary")
    devices, readings = read_inverters(decode(exchange.response, list[_Envoy], NAME, "inverters_summary"))
    return {site: Answer(devices=devices, readings=readings)}


def _recorded_alarms(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    seen.notes["alarms", site] = decode(exchange.response, _Alarms, NAME, "open_alarms"), _Events()
    return _alarms_so_far(seen, site)


def _recorded_events(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    alarms, _ = seen.notes.get(("alarms", site)) or (_Alarms(), None)
    seen.notes["alarms", site] = alarms, decode(exchange.response, _Events, NAME, "open_events")
    return _alarms_so_far(seen, site)


def _recorded_event_types(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    # They are asked for after the alarms that need them: those are told again, with their names.
    found = decode(exchange.response, _EventTypes, NAME, "event_types")
    seen.notes["names"] = {str(kind.event_type_id): kind.event_name or "" for kind in found.event_types}
    sites = [key[1] for key in seen.notes if isinstance(key, tuple) and key[0] == "alarms"]
    return {site: answer for one in sites for site, answer in _alarms_so_far(seen, one).items()}


def _alarms_so_far(seen: Seen, site: str) -> dict[str, Answer]:
    alarms, events = seen.notes["alarms", site]
    names = seen.notes.get("names") or _names_of(seen.recall)
    return {site: Answer(alerts=list(read_alarms(alarms, events, names, seen.site(site).device_ids)))}


_SYSTEM: Final = r"/api/v4/systems/(?P<site>\d{1,18})"
READERS: Final[Readers] = (
    ("GET", r"/api/v4/systems/?", _recorded_list),
    ("GET", r"/api/v4/systems/inverters_summary_by_envoy_or_site", _recorded_inverters),
    ("GET", r"/api/v4/systems/event_types", _recorded_event_types),
    ("GET", _SYSTEM, _recorded_system),
    ("GET", rf"{_SYSTEM}/summary", _recorded_summary),
    ("GET", rf"{_SYSTEM}/devices", _recorded_devices),
    ("GET", rf"{_SYSTEM}/telemetry/production_micro", _recorded_curve),
    ("GET", rf"{_SYSTEM}/devices/micros/telemetry", _recorded_panels),
    ("GET", rf"{_SYSTEM}/energy_lifetime", _recorded_daily),
    ("GET", rf"{_SYSTEM}/open_alarms", _recorded_alarms),
    ("GET", rf"{_SYSTEM}/open_events", _recorded_events),
)

CONNECTOR = Enphase()
