"""SolarEdge, Monitoring API V2, by the installer's Fleet key.

Facts: vendors/solaredge.md. V1 was switched off on 3 November 2026; what still reads it is in _solaredge_v1. Stamps
carry the site's offset and name the start of their bucket. Power and energy are bought apart, because one cannot be
derived from the other.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote, urlencode

import msgspec

from sungaze import clock
from sungaze.errors import Changed, NeedsReconnect, NotEntitled, QuotaSpent, Unavailable
from sungaze.model import (
    DAY_S,
    AlertFacts,
    DeviceFacts,
    DeviceStatus,
    DeviceType,
    Reading,
    Severity,
    SiteFacts,
    SiteStatus,
    Span,
)
from sungaze.vendors import _solaredge_v1 as v1
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
from sungaze.vendors._tokens import Pair, live_token

NAME: Final = "SolarEdge"
API_HOST: Final = "https://monitoringapi.solaredge.com"
CONNECT_HOST: Final = "https://connect.solaredge.com"
BUCKET_S: Final = 900
FINE_SPAN_S: Final = 12 * 3_600
"""The longest span of quarter-hours in one call (section 2 [doc])."""
DAYS: Final = 28
"""Local days of daily figures in one call at the most: 30 can exceed a calendar month, which is refused (section 5
[doc])."""
PAGE: Final = 1_000
ALERT_PAGE: Final = 100
SETTLE_S: Final = 90
"""A bucket is asked for this long after it closed (section 3 [code])."""
TYPES: Final = ("INVERTER", "OPTIMIZER", "METER", "BATTERY", "BATTERY_MODULE", "GATEWAY", "EV_CHARGER", "BUI")

OWNER: Final = "site_access"
_GIVES: Final = frozenset({"details", "power", "energy", "devices"})


def quota_said(response: Response) -> tuple[Said, ...]:
    """What every answer says of the running minute; the month's balance is told by none (section 1 [code])."""
    limit = numeral(response.headers.get("x-ratelimit-limit-minute"))
    left = numeral(response.headers.get("x-ratelimit-remaining-minute"))
    if limit is None or left is None or limit < 1 or left < 0:
        return ()
    return (Said("minute", int(limit), int(left), by_clock=True),)


def consent_url(base_url: str, credentials: Mapping[str, str], redirect_uri: str, state: str) -> str:
    """SolarEdge's consent page (section 1, step 1 [doc]); that it heeds return address and state is [code].

    Without a `redirect_uri` the browser goes to the one that the application was registered with.
    """
    host = CONNECT_HOST if base_url.rstrip("/") == API_HOST else base_url.rstrip("/")
    asked = {"client_id": credentials["client_id"], "scope": "SITE_DATA DEVICE_DATA", "response_type": "code"}
    asked |= {"redirect_uri": redirect_uri} if redirect_uri else {}
    return f"{host}/authorize?{urlencode(asked | {'state': state})}"


_PLAIN: Final = frozenset(
    {
    "installationDate", "lastUpdateTime", "activationStatus", "timezone", "timestamp", "unit", "resolution",
    "measuredBy", "type", "manufacturer", "model", "partNumber", "createdAt", "firmwareVersion", "category",
    "status", "firstTrigger", "lastTrigger", "aggregation",
    }
)  # fmt: skip

VENDOR: Final = Vendor(
    id="solaredge",
    name=NAME,
    link="https://www.solaredge.com",
    attribution="Data: SolarEdge",
    # [assumed]: the portal's address for one site.
    portal_url="https://monitoring.solaredge.com/solaredge-web/p/site/{site}",
    default_base_url=API_HOST,
    methods=(
        Method(
            id="fleet_key",
            label="Fleet key (installer account)",
            about="Sees every site of your installer account. Make the key in SolarEdge's developer console; keys of "
            "the old interface (V1), whose end was set for 3 November 2026, do not work here.",
            fields=(
                Field(
                    name="api_key",
                    label="API key",
                    help="From SolarEdge's developer console. SolarEdge advises to renew it about every six months.",
                ),
                Field(
                    name="account_key",
                    label="Account key",
                    help="Only accounts made before the self-service console have one; otherwise leave it empty.",
                    required=False,
                ),
            ),
            plans=("free", "paid"),
            scope_field="api_key",
        ),
        Method(
            id="site_access",
            label="Owner's consent (SolarEdge Connect, in the browser)",
            about="Sees the one site whose owner signs in and allows it. Needs an application from SolarEdge's "
            "developer console; each site is an account of its own, and as far as we know all share the application's "
            "calls. The consent ends after 30 days without a look. Owners of several sites can be refused by SolarEdge "
            "and need a Fleet key.",
            fields=(
                Field(name="client_id", label="Client ID", help="Of your application.", secret=False),
                Field(name="client_secret", label="Client secret", help="Belongs to the same application."),
                Field(
                    name="site_id",
                    label="Site ID",
                    help="Comes back from the consent page together with the code (site_id).",
                    secret=False,
                ),
                Field(
                    name="code",
                    label="Code",
                    help="Comes back from the consent page. Use it soon: as far as we know it works once, for a few "
                    "minutes.",
                    once=True,
                ),
            ),
            plans=("free", "paid"),
            scope_field="client_id",
            consent_url=consent_url,
        ),
        v1.METHOD,
    ),
    # Free: section 1 “Quota” [doc]. The paid tiers' figures were not found: these are [assumed], from a fleet
    # operator who paces just under 25 calls a minute [code]. The month is the account's billing cycle, which the API
    # does not tell; the calendar month stands in for it [assumed].
    plans=(
        Plan(
            id="free",
            label="Free",
            about="No money. Once the month's calls are spent, nothing more comes until the next month.",
            limits=(Limit(window="minute", limit=10), Limit(window="month", limit=2_000)),
            gives=_GIVES,
        ),
        Plan(
            id="paid",
            label="Paid tier",
            about="These limits are assumed: we found neither the tiers' figures nor their prices published.",
            limits=(Limit(window="minute", limit=24), Limit(window="month", limit=10_000)),
            gives=_GIVES,
        ),
        v1.PLAN,
    ),
    resources=(
        Resource(id="list", per_site=False, every_s=DAY_S, night=True, order=10),
        Resource(id="details", per_site=True, every_s=7 * DAY_S, night=True, order=20),
        Resource(id="bulk_power", per_site=False, every_s=900, order=25, settles="power"),
        Resource(id="power", per_site=True, every_s=900, order=30),
        Resource(id="bulk_energy", per_site=False, every_s=DAY_S, order=35, settles="energy"),
        Resource(id="energy", per_site=True, every_s=4 * 3_600, order=40),
        Resource(id="devices", per_site=True, every_s=7 * DAY_S, night=True, order=60),
        Resource(id="alerts", per_site=False, every_s=4 * 3_600, night=True, order=70),
    ),
    late_min=90,
    stale_min=240,
    fine_s=BUCKET_S,
    fine_resource="power",
    history=("energy", "power"),
    bucket_s=BUCKET_S,
    settle_s=SETTLE_S,
    quota_said=quota_said,
    plain_fields=_PLAIN | v1.PLAIN_FIELDS,
    notes=(
        "Nothing finer than a quarter-hour is given, and the newest points can arrive late.",
        "No figures per panel: SolarEdge's interface ended them with V1. Panels are listed with their serials.",
        "SolarEdge does not tell how many of the month's calls are left, so Sungaze counts its own. Calls that other "
        "programs make with the same key it cannot see, nor a billing month that begins on another day than the first.",
        "The link to a site's page in SolarEdge's portal is assumed and may miss it.",
    ),
    panels_note="SolarEdge's interface gives no figures per panel any more; the panels are listed with their serials "
    "and states.",
    differs=(
        "These are SolarEdge's own figures of quarter-hours and days, on the AC side as far as we know. Whether a "
        "meter or the inverter counted them is not told.",
        "Power is the mean of a quarter-hour and that of the sun: what goes into a battery is counted, what comes out "
        "of it is not.",
        "SolarEdge counts energy apart from power; over a quarter-hour the two can differ by more than one percent.",
        "SolarEdge may fill gaps days later. The last week's daily energy is asked again, a curve only for two hours.",
        "The portal's power of this moment may be newer than the last whole quarter-hour that is given.",
    ),
)

# -- wire types: exactly the fields that are used --------------------------------------------------------------------

Number = int | float


class _Location(msgspec.Struct):
    address: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None
    timezone: str | None = None


class _Site(msgspec.Struct, rename="camel"):
    site_id: int | str
    name: str | None = None
    peak_power: Number | None = None
    installation_date: str | None = None
    last_update_time: str | None = None
    activation_status: str | None = None
    location: _Location | None = None


class _SitePage(msgspec.Struct):
    site: list[_Site]
    count: Number | None = None


class _SiteEnvelope(msgspec.Struct):
    sites: _SitePage


class _Value(msgspec.Struct, gc=False):
    timestamp: str
    value: Number | None = None


class _Series(msgspec.Struct):
    values: list[_Value]
    unit: str
    resolution: str | None = None


class _Device(msgspec.Struct, rename="camel"):
    type: str
    serial_number: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    part_number: str | None = None
    created_at: str | None = None
    firmware_version: str | None = None
    connected_to: str | None = None
    active: bool | None = None
    nameplate: Number | None = None
    name: str | None = None


class _Component(msgspec.Struct, rename="camel"):
    name: str | None = None
    serial_number: str | None = None


class _Alert(msgspec.Struct, rename="camel"):
    alert_id: int | str
    site_id: int | str
    category: str | None = None
    type: str | None = None
    impact: Number | None = None
    status: str | None = None
    first_trigger: str | None = None
    last_trigger: str | None = None
    component: _Component | None = None


# -- calls -----------------------------------------------------------------------------------------------------------


class SolarEdge:
    """The connector."""

    vendor = VENDOR

    @property
    def readers(self) -> Readers:
        """Every path whose answers are read."""
        return READERS

    def probe(self, access: Access) -> Probe:
        """What the key sees, for one page of the list."""
        if access.method == v1.METHOD.id:
            return v1.probe(access)
        if access.method == OWNER:
            site = self._own_site(access)
            return Probe(sites=(site,), total=1, panels=False, notes=VENDOR.notes)
        sites, count = self._page(access, 1)
        # A full page is not the end; how much more there is only the list's own count can say.
        total = max(len(sites), count) if len(sites) == PAGE else len(sites)
        return Probe(sites=tuple(sites), total=total, panels=False, notes=VENDOR.notes)

    def list_sites(self, access: Access) -> Answer:
        """Every site of the account. The list ends with a short page (2.1 [code]).

        Its own count is not to be trusted: one that is higher costs another look, and only an empty page settles it.
        """
        if access.method == v1.METHOD.id:
            return v1.list_sites(access)
        if access.method == OWNER:
            return Answer(sites=[self._own_site(access)], complete=True)
        sites: dict[str, SiteFacts] = {}
        number = 1
        while True:
            page, count = self._page(access, number)
            before = len(sites)
            sites |= {site.vendor_site_id: site for site in page}
            if not page or (len(page) < PAGE and len(sites) >= count):
                return Answer(sites=list(sites.values()), complete=True)
            if len(sites) == before:
                return Answer(sites=list(sites.values()), complete=False)
            number += 1

    def fetch(self, access: Access, resource: str, site: SiteRef, span: Span) -> Answer:
        """One look at one resource of one site."""
        if access.method == v1.METHOD.id:
            return v1.fetch(access, resource, site, span)
        path = f"/v2/sites/{quote(site.vendor_site_id, safe='')}"
        if resource == "details":
            details = decode(self._get(access, path), _Site, NAME, "sites/…")
            return Answer(sites=[read_site(details)])
        if resource == "power":
            return self._power(access, path, span)
        if resource == "energy":
            return self._energy(access, path, site, span)
        if resource == "devices":
            params = [("types", kind) for kind in TYPES]
            found = decode(self._get(access, f"{path}/devices", params), list[_Device], NAME, "devices")
            # An empty inventory is no reason to retire everything.
            return Answer(devices=list(read_devices(found)), devices_complete=bool(found))
        raise ValueError(f"SolarEdge has no resource {resource}")

    def fetch_account(self, access: Access, resource: str, sites: Sequence[SiteRef], span: Span) -> Answer:
        """The alerts of all sites; the end of the list is a short page, or one that repeats what is known."""
        if access.method == v1.METHOD.id:
            return v1.fetch_account(access, resource, sites, span)
        if resource != "alerts":
            raise ValueError(f"SolarEdge has no resource {resource}")
        found: dict[str, list[AlertFacts]] = {}
        seen: set[str] = set()
        number = 1
        path = f"{_path_of(access)}/alerts" if access.method == OWNER else "/v2/alerts"
        while True:
            params = [("page", str(number)), ("alerts-in-page", str(ALERT_PAGE))]
            page = decode(self._get(access, path, params), list[_Alert], NAME, "alerts")
            before = len(seen)
            for alert in page:
                if str(alert.alert_id) not in seen:
                    seen.add(str(alert.alert_id))
                    found.setdefault(str(alert.site_id), []).extend(read_alert(alert))
            if len(page) < ALERT_PAGE or len(seen) == before:
                return Answer(site_alerts=found, alerts_complete=len(page) < ALERT_PAGE)
            number += 1

    def chunks(self, resource: str, span: Span) -> list[Span]:
        """Quarter-hours come 12 hours a call, cut on their marks; days 26 a call, which touch 28 local ones at most."""
        longest = FINE_SPAN_S if resource == "power" else (DAYS - 2) * DAY_S
        mark = BUCKET_S if resource == "power" else 1
        cuts = []
        end = span.end
        while end > span.start:
            start = span.start if end - span.start <= longest else -(-end // mark) * mark - longest
            cuts.append(Span(start, end))
            end = start
        return cuts

    def _power(self, access: Access, path: str, span: Span) -> Answer:
        # The running bucket is null, and one that has just closed may still grow (section 3 [code]).
        settled = (int(access.now()) - SETTLE_S) // BUCKET_S * BUCKET_S
        # Whole buckets: a span between marks is widened to them, as far as 12 hours go.
        start = span.start // BUCKET_S * BUCKET_S
        end = min(-(-span.end // BUCKET_S) * BUCKET_S, settled, start + FINE_SPAN_S)
        if end <= start:
            return Answer()
        series = self._series(access, f"{path}/power", start, end, "QUARTER_HOUR", "W")
        covered = Span(start, end)
        return Answer(readings=list(read_power(series, covered)), covered=covered)

    def _energy(self, access: Access, path: str, site: SiteRef, span: Span) -> Answer:
        tz = clock.zone(site.timezone)
        if tz is None:
            return Answer()
        # Whole local days: a part of one would stand as that day's figure.
        end = min(clock.local_day(clock.day_of(span.end - 1, tz), tz).end, int(access.now()))
        first = clock.day_of(span.start, tz)
        start = clock.midnight(max(first, clock.day_of(end - 1, tz) - dt.timedelta(days=DAYS - 1)), tz)
        if end <= start:
            return Answer()
        series = self._series(access, f"{path}/energy", start, end, "DAY", "WH")
        covered = Span(start, end)
        return Answer(readings=list(read_daily(series, tz, covered)), covered=covered)

    def _page(self, access: Access, number: int) -> tuple[list[SiteFacts], int]:
        """One page of the list, and the number of sites that the list itself speaks of, 0 where it does not."""
        params = [("page", str(number)), ("sites-in-page", str(PAGE))]
        return read_page(self._get(access, "/v2/sites", params))

    def _series(self, access: Access, path: str, start: int, end: int, resolution: str, unit: str) -> _Series:
        params = [("from", clock.iso(start)), ("to", clock.iso(end)), ("resolution", resolution), ("unit", unit)]
        return read_series(self._get(access, path, params), resolution)

    def _own_site(self, access: Access) -> SiteFacts:
        """The site that an owner's grant covers; the list is not opened by it (section 1 [doc])."""
        return read_site(decode(self._get(access, _path_of(access)), _Site, NAME, "sites/…"))

    def _get(self, access: Access, path: str, params: Sequence[tuple[str, str]] = ()) -> Response:
        refused: str | None = None
        while True:
            if access.method == OWNER:
                token = live_token(access, refused, NAME, lambda kept: self._renew(access, kept))
                headers = {"Authorization": f"Bearer {token}"}
            else:
                token = None
                headers = {"X-API-Key": access.credentials["api_key"]}
                if access.credentials.get("account_key"):
                    headers["X-Account-Key"] = access.credentials["account_key"]
            response = access.session.request("GET", path, params=params, headers=headers)
            if response.status != 401 or token is None or refused is not None:
                _raise_for(response, access)
                return response
            refused = token

    def _renew(self, access: Access, kept: Mapping[str, str] | None) -> Pair:
        """A new pair. Raises NeedsReconnect once neither the kept one nor a code gives one."""
        pair = None
        if kept is not None:
            pair = self._grant(access, {"grant_type": "refresh_token", "refresh_token": kept["refresh_token"]})
        code = access.credentials.get("code")
        if pair is None and code:
            pair = self._grant(access, {"grant_type": "authorization_code", "code": code})
            if pair is None:
                raise NeedsReconnect(
                    "SolarEdge does not take this code: it works once and for a few minutes, and only with the client "
                    "ID and client secret that it was asked for with. Ask the owner's consent once more."
                )
        if pair is None:
            raise NeedsReconnect(
                "The owner's consent has ended: SolarEdge forgets it after 30 days without a look, or the owner took "
                "it back. Ask for it once more; history is kept."
            )
        return pair

    def _grant(self, access: Access, asked: Mapping[str, str]) -> Pair | None:
        """A new pair, or None where the grant is refused; a refusal is never asked again (section 1 [code])."""
        own = {name: access.credentials[name] for name in ("client_id", "client_secret")}
        response = access.session.request("POST", "/v2/oauth2/token", json={**asked, **own}, free=True)
        if response.status in {400, 401, 403} and not looks_like_html(response.body):
            return None
        _raise_for(response, access)
        return decode(response, Pair, NAME, "oauth2/token")


def _path_of(access: Access) -> str:
    return f"/v2/sites/{quote(access.credentials['site_id'], safe='')}"


def _raise_for(response: Response, access: Access) -> None:
    if response.status == 200:
        return
    if response.status == 429:
        raise _spent(response, access.now())
    if response.status >= 500 or looks_like_html(response.body):
        # A page under any status is the front door's (Cloudflare), not the interface's.
        raise Unavailable(
            f"SolarEdge has trouble of its own ({response.status}). What is known is kept; it is asked again later.",
            retry_after(response.headers, 300),
        )
    names = ("detail", "message", "error_description", "title")
    detail = words(complaint(response.body), *names, secrets=access.secrets) or "no reason given"
    if response.status == 401 and access.method == OWNER:
        raise NeedsReconnect("SolarEdge refuses the owner's grant. Ask for the consent once more; history is kept.")
    if response.status == 401 or (response.status == 400 and "access token is missing" in detail.lower()):
        raise NeedsReconnect(
            "SolarEdge refuses this key. It advises to renew keys about every six months, and keys of the old "
            "interface (V1) do not work any more: enter a new one. History is kept."
        )
    if response.status == 403:
        raise NotEntitled(f"SolarEdge does not give this to your account ({detail}). History is kept.", response.path)
    if response.status == 410:
        raise Changed(
            "SolarEdge has switched this interface off (V1 ended on 3 November 2026). Make a V2 key in the developer "
            "console and connect again; history is kept.",
            response.path,
        )
    raise Changed(
        f"SolarEdge refuses a question that it used to answer ({response.status}: {detail}). What is known is kept.",
        response.path,
    )


def _spent(response: Response, now: float) -> QuotaSpent:
    """Of the two 429 the one without Retry-After and with calls left in the minute is the month's (1 [doc])."""
    remaining = numeral(response.headers.get("x-ratelimit-remaining-minute"))
    if "retry-after" not in response.headers and remaining is not None and remaining > 0:
        day = dt.datetime.fromtimestamp(now, dt.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        # The cycle is the account's own and is not told: a look a day finds its beginning.
        until = min((day + dt.timedelta(days=32)).replace(day=1).timestamp(), now + DAY_S)
        return QuotaSpent(
            "SolarEdge says that this month's credits are used up. It is asked once a day until the new cycle begins.",
            until,
        )
    return QuotaSpent("SolarEdge's calls of this minute are used up.", now + retry_after(response.headers, 60))


# -- reading: from wire types to canonical values --------------------------------------------------------------------

_SCALES: Final = {"W": 1.0, "KW": 1e3, "MW": 1e6, "WH": 1.0, "KWH": 1e3, "MWH": 1e6, "GWH": 1e9}


def _instant(text: str) -> int:
    """The epoch second of an ISO stamp with offset; its fraction may have nine digits (section 3 [code])."""
    head, dot, tail = text.partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        text = head + tail[digits:]
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None or not 1990 <= moment.year < 2200:
        raise Changed(
            "SolarEdge stamps a value in a form that this version does not know. What is known is kept.", "timestamp"
        )
    return int(moment.timestamp())


def _date(text: str | None) -> str | None:
    """The date at the head of a stamp, None where there is none."""
    try:
        return dt.date.fromisoformat((text or "")[:10]).isoformat()
    except ValueError:
        return None


def _scale(unit: str) -> float:
    try:
        return _SCALES[unit.upper()]
    except KeyError:
        raise Changed(
            "SolarEdge counts in a unit that this version does not know. What is known is kept.", "unit"
        ) from None


def read_site(site: _Site) -> SiteFacts:
    """Facts of a site, from the list or from its details; `peakPower` is in kW already (2.1 [doc])."""
    activation = (site.activation_status or "").upper()
    status = {"ACTIVE": SiteStatus.NORMAL, "PENDING": SiteStatus.PENDING, "": None}.get(activation, SiteStatus.INACTIVE)
    if not str(site.site_id).strip():
        raise Changed("SolarEdge lists a site without a number. What is known is kept.", "siteId")
    peak_kw = numeral(site.peak_power)
    place = site.location
    parts = {
        "street": place.address, "city": place.city, "state": place.state, "postal_code": place.zip,
        "country": place.country,
    } if place else {}  # fmt: skip
    return SiteFacts(
        vendor_site_id=str(site.site_id),
        name=site.name,
        status=status,
        peak_power_kw=peak_kw if peak_kw and peak_kw > 0 else None,
        timezone=place.timezone if place and clock.zone(place.timezone) else None,
        address={name: value for name, value in parts.items() if value} or None,
        installed_on=_date(site.installation_date),
        last_report_at=_instant(site.last_update_time) if site.last_update_time else None,
    )


def read_page(response: Response) -> tuple[list[SiteFacts], int]:
    """The sites of a page of the list, and the number of sites that the list itself speaks of, 0 where it does not."""
    # Accounts with an account key were seen getting a bare array, the others an envelope (2.1 [code]).
    if response.body.lstrip()[:1] == b"[":
        return [read_site(site) for site in decode(response, list[_Site], NAME, "sites")], 0
    page = decode(response, _SiteEnvelope, NAME, "sites").sites
    return [read_site(site) for site in page.site], int(numeral(page.count) or 0)


def read_series(response: Response, resolution: str) -> _Series:
    """A series, by the resolution that was asked for. Raises Changed for another."""
    series = decode(response, _Series, NAME, response.path.rsplit("/", 1)[-1])
    if series.resolution not in {None, resolution}:
        raise Changed(
            f"SolarEdge answers by {quoted(series.resolution)} where {resolution} was asked. What is known is kept.",
            "resolution",
        )
    return series


def read_power(series: _Series, covered: Span) -> Iterator[Reading]:
    """Mean power of each quarter-hour that begins in `covered`, W. Null is no data, 0.0 is measured."""
    scale = _scale(series.unit)
    for point in series.values:
        if point.value is not None:
            start = _instant(point.timestamp)
            if covered.start <= start < covered.end:
                yield Reading("", "ac_power_w", BUCKET_S, start, figure(point.value) * scale)


def read_daily(series: _Series, tz: dt.tzinfo, covered: Span) -> Iterator[Reading]:
    """Energy of each local day that begins in `covered`, the running one so far, Wh; stamped at local midnight."""
    scale = _scale(series.unit)
    for point in series.values:
        if point.value is not None:
            start = clock.midnight(clock.day_of(_instant(point.timestamp), tz), tz)
            if covered.start <= start < covered.end:
                yield Reading("", "energy_wh", DAY_S, start, figure(point.value) * scale)


_SILENT: Final = frozenset({"SITE_COMMUNICATION_FAULT", "RAPID_SITE_COMMUNICATION_FAULT"})


def read_alert(alert: _Alert) -> Iterator[AlertFacts]:
    """One alert; nothing for one without a time. Severity follows its impact, 0 to 9 (section 4 [assumed])."""
    start = _stamp(alert.first_trigger)
    if start is None:
        return
    kind = alert.type or "unknown"
    impact = -1.0 if alert.impact is None else figure(alert.impact)
    severity = Severity.CRITICAL if impact >= 8 else Severity.ERROR if impact >= 5 else Severity.WARNING
    if kind == "SNOW_ON_SITE" or 0 <= impact < 2:
        severity = Severity.INFO
    parts = [kind.replace("_", " ").capitalize(), (alert.component and alert.component.name) or ""]
    closed = (alert.status or "").upper() == "CLOSED"
    yield AlertFacts(
        vendor_alert_id=str(alert.alert_id),
        code=kind,
        description=": ".join(part for part in parts if part),
        severity=severity,
        timestamp=start,
        vendor_device_id=(alert.component and alert.component.serial_number) or "",
        resolved_at=(_stamp(alert.last_trigger) or start) if closed else None,
        silent=kind in _SILENT,
    )


def _stamp(text: str | None) -> int | None:
    try:
        return _instant(text) if text else None
    except Changed:
        return None


_DEVICE_TYPES: Final = {
    "INVERTER": DeviceType.INVERTER,
    "OPTIMIZER": DeviceType.OPTIMIZER,
    "METER": DeviceType.METER,
    "BATTERY": DeviceType.BATTERY,
    "BATTERY_MODULE": DeviceType.BATTERY,
    "GATEWAY": DeviceType.GATEWAY,
    "EV_CHARGER": DeviceType.EV_CHARGER,
}


def read_devices(found: Sequence[_Device]) -> Iterator[DeviceFacts]:
    """Facts of every device; the key is its serial, else its type and name (section 4).

    A serial or a name that comes twice is told apart by its type, then by its place in the list.
    """
    used: set[str] = set()
    for index, device in enumerate(found):
        kind = _DEVICE_TYPES.get(device.type.upper(), DeviceType.OTHER)
        # `nameplate` stands as 0 on inverters, and in kWh on batteries: only an inverter's own figure above 0 is W.
        rated = numeral(device.nameplate) if kind is DeviceType.INVERTER else None
        key = device.serial_number or f"{device.type}:{device.name or ''}"
        if key in used and device.serial_number:
            key = f"{device.type}:{key}"
        while key in used:
            key = f"{key}:{index}"
        used.add(key)
        status = {True: DeviceStatus.NORMAL, False: DeviceStatus.RETIRED, None: DeviceStatus.UNKNOWN}[device.active]
        yield DeviceFacts(
            vendor_device_id=key,
            device_type=kind,
            serial_number=device.serial_number or None,
            name=device.name,
            model=device.model or device.part_number,
            manufacturer=device.manufacturer,
            part_number=device.part_number,
            firmware=device.firmware_version,
            status=status,
            installed_on=_date(device.created_at),
            parent=device.connected_to or None,
            rated_w=rated if rated and rated > 100 else None,
        )


# -- reading what was kept or recorded, by path ----------------------------------------------------------------------


def _recorded_list(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    return {"": Answer(sites=read_page(exchange.response)[0])}


def _recorded_details(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    return {site: Answer(sites=[read_site(decode(exchange.response, _Site, NAME, "sites/…"))])}


def _recorded_span(exchange: Exchange) -> Span:
    """The span that was asked for, all of the past where it is not told."""
    try:
        start = clock.parse_instant(exchange.param("from") or str(clock.EARLIEST))
        end = clock.parse_instant(exchange.param("to") or str(int(exchange.at)))
    except (ValueError, OverflowError):
        return Span(clock.EARLIEST, int(exchange.at))
    return Span(start, end)


def _recorded_series(exchange: Exchange, resolution: str) -> _Series:
    if (exchange.param("resolution") or resolution) != resolution:
        raise Changed(f"SolarEdge's figures by {quoted(exchange.param('resolution'))} are not read.", "resolution")
    return read_series(exchange.response, resolution)


def _recorded_power(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    covered = _recorded_span(exchange)
    series = _recorded_series(exchange, "QUARTER_HOUR")
    return {site: Answer(readings=list(read_power(series, covered)), covered=covered)}


def _recorded_energy(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    tz = clock.zone(seen.site(site).timezone)
    if tz is None:
        raise unplaced(NAME, site)
    covered = _recorded_span(exchange)
    series = _recorded_series(exchange, "DAY")
    return {site: Answer(readings=list(read_daily(series, tz, covered)), covered=covered)}


def _recorded_devices(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    return {site: Answer(devices=list(read_devices(decode(exchange.response, list[_Device], NAME, "devices"))))}


def _recorded_alerts(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    for alert in decode(exchange.response, list[_Alert], NAME, "alerts"):
        answer = found.setdefault(str(alert.site_id), Answer(alerts=[]))
        answer.alerts = [*(answer.alerts or ()), *read_alert(alert)]
    return found


_SITE: Final = r"/v2/sites/(?P<site>[^/]{1,64})"
READERS: Final[Readers] = (
    ("GET", r"/v2/sites/?", _recorded_list),
    ("GET", _SITE, _recorded_details),
    ("GET", rf"{_SITE}/power", _recorded_power),
    ("GET", rf"{_SITE}/energy", _recorded_energy),
    ("GET", rf"{_SITE}/devices", _recorded_devices),
    ("GET", r"/v2/alerts", _recorded_alerts),
    ("GET", rf"{_SITE}/alerts", _recorded_alerts),
    *v1.READERS,
)

CONNECTOR = SolarEdge()
