"""SolarEdge, Monitoring API V2, by the installer's Fleet key.

Facts: vendors/solaredge.md. V1 was switched off on 3 November 2026. Stamps carry the site's offset and name the start
of their bucket. Power and energy are bought apart, because one cannot be derived from the other.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from sungaze import clock
from sungaze.errors import Changed, NeedsReconnect, NotEntitled, QuotaSpent, Unavailable
from sungaze.model import (
    DAY_S,
    DeviceFacts,
    DeviceStatus,
    DeviceType,
    Reading,
    SiteFacts,
    SiteStatus,
    Span,
)
from sungaze.vendors._contract import (
    Access,
    Answer,
    Field,
    Limit,
    Method,
    Plan,
    Probe,
    Resource,
    Response,
    SiteRef,
    Vendor,
)
from sungaze.vendors._session import decode, looks_like_html, retry_after

NAME: Final = "SolarEdge"
BUCKET_S: Final = 900
FINE_SPAN_S: Final = 12 * 3_600
"""The longest span of quarter-hours in one call (section 2 [doc])."""
DAYS: Final = 28
"""Days of daily figures in one call: 30 can exceed a calendar month, which is refused (section 5 [doc])."""
PAGE: Final = 1_000
SETTLE_S: Final = 90
"""A bucket is asked for this long after it closed (section 3 [code])."""
TYPES: Final = ("INVERTER", "OPTIMIZER", "METER", "BATTERY", "BATTERY_MODULE", "GATEWAY", "EV_CHARGER", "BUI")

_GIVES: Final = frozenset({"details", "power", "energy", "devices"})

VENDOR: Final = Vendor(
    id="solaredge",
    name=NAME,
    link="https://www.solaredge.com",
    attribution="Data: SolarEdge",
    portal_url="https://monitoring.solaredge.com/solaredge-web/p/site/{site}",
    default_base_url="https://monitoringapi.solaredge.com",
    methods=(
        Method(
            id="fleet_key",
            label="Fleet key (installer account)",
            about="Sees every site of your installer account. Keys of the old interface (V1) stopped working on 3 "
            "November 2026; make a new one in SolarEdge's developer console.",
            fields=(
                Field(
                    name="api_key",
                    label="API key",
                    help="From SolarEdge's developer console. SolarEdge asks to renew it about every six months.",
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
    ),
    # Free: section 1 “Quota” [doc]. The paid tiers' figures are not published: these are [assumed], from a fleet
    # operator who paces just under 25 calls a minute [code]. The month is the account's billing cycle, which the API
    # does not tell; the calendar month stands in for it [assumed].
    plans=(
        Plan(
            id="free",
            label="Free",
            about="2,000 calls a month, 10 a minute.",
            limits=(Limit(window="minute", limit=10), Limit(window="month", limit=2_000)),
            gives=_GIVES,
        ),
        Plan(
            id="paid",
            label="Paid tier",
            about="24 calls a minute, 10,000 a month (assumed: SolarEdge does not publish the tiers' figures).",
            limits=(Limit(window="minute", limit=24), Limit(window="month", limit=10_000)),
            gives=_GIVES,
        ),
    ),
    resources=(
        Resource(id="list", per_site=False, every_s=DAY_S, night=True, order=10),
        Resource(id="details", per_site=True, every_s=7 * DAY_S, night=True, order=20),
        Resource(id="power", per_site=True, every_s=900, order=30),
        Resource(id="energy", per_site=True, every_s=4 * 3_600, order=40),
        Resource(id="devices", per_site=True, every_s=7 * DAY_S, night=True, order=60),
    ),
    late_min=90,
    stale_min=240,
    fine_s=BUCKET_S,
    fine_resource="power",
    history=("energy", "power"),
    notes=(
        "Nothing finer than a quarter-hour is given, and the newest points can arrive late.",
        "No figures per panel: SolarEdge's interface ended them with V1. Panels are listed with their serials.",
    ),
    panels_note="SolarEdge's interface gives no figures per panel since V1 ended on 3 November 2026; the panels are "
    "listed with their serials and states.",
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


class _Site(msgspec.Struct):
    siteId: int | str  # noqa: N815 - the vendor's own spelling
    name: str | None = None
    peakPower: Number | None = None  # noqa: N815
    installationDate: str | None = None  # noqa: N815
    lastUpdateTime: str | None = None  # noqa: N815
    activationStatus: str | None = None  # noqa: N815
    location: _Location | None = None


class _SitePage(msgspec.Struct):
    site: list[_Site]


class _SiteEnvelope(msgspec.Struct):
    sites: _SitePage


class _Value(msgspec.Struct, gc=False):
    timestamp: str
    value: Number | None = None


class _Series(msgspec.Struct):
    values: list[_Value]
    unit: str
    resolution: str | None = None


class _Device(msgspec.Struct):
    type: str
    serialNumber: str | None = None  # noqa: N815
    manufacturer: str | None = None
    model: str | None = None
    partNumber: str | None = None  # noqa: N815
    createdAt: str | None = None  # noqa: N815
    firmwareVersion: str | None = None  # noqa: N815
    connectedTo: str | None = None  # noqa: N815
    active: bool | None = None
    nameplate: Number | None = None
    name: str | None = None


# -- calls -----------------------------------------------------------------------------------------------------------


class SolarEdge:
    """The connector."""

    vendor = VENDOR

    def probe(self, access: Access) -> Probe:
        """What the key sees, for one page of the list."""
        sites = self._page(access, 1)
        return Probe(sites=tuple(sites), total=len(sites), panels=False, notes=VENDOR.notes)

    def list_sites(self, access: Access) -> Answer:
        """Every site of the account; the end of the list is a short page, its own count is not to be trusted."""
        sites: list[SiteFacts] = []
        number = 1
        while True:
            page = self._page(access, number)
            sites += page
            if len(page) < PAGE:
                return Answer(sites=sites, complete=True)
            number += 1

    def fetch(self, access: Access, resource: str, site: SiteRef, span: Span) -> Answer:
        """One look at one resource of one site."""
        path = f"/v2/sites/{site.vendor_site_id}"
        if resource == "details":
            details = decode(self._get(access, path), _Site, NAME, "sites/…")
            return Answer(sites=[read_site(details)])
        if resource == "power":
            end = min(span.end, int(access.now()))
            start = max(span.start, end - FINE_SPAN_S) // BUCKET_S * BUCKET_S
            start = max(start, end - FINE_SPAN_S)
            series = self._series(access, f"{path}/power", start, end, "QUARTER_HOUR", "W")
            # The running bucket is null, and one that has just closed may still grow.
            settled = int(access.now()) - BUCKET_S
            return Answer(readings=list(read_power(series, settled)), covered=Span(start, end))
        if resource == "energy":
            return self._energy(access, path, site, span)
        if resource == "devices":
            params = [("types", kind) for kind in TYPES]
            found = decode(self._get(access, f"{path}/devices", params), list[_Device], NAME, "devices")
            return Answer(devices=list(read_devices(found)), devices_complete=True)
        raise ValueError(f"SolarEdge has no resource {resource}")

    def chunks(self, resource: str, span: Span) -> list[Span]:
        """Quarter-hours come 12 hours a call, days 28 a call."""
        step = FINE_SPAN_S if resource == "power" else DAYS * DAY_S
        cuts = []
        end = span.end
        while end > span.start:
            cuts.append(Span(max(span.start, end - step), end))
            end -= step
        return cuts

    def _energy(self, access: Access, path: str, site: SiteRef, span: Span) -> Answer:
        tz = clock.zone(site.timezone)
        if tz is None:
            return Answer()
        now = int(access.now())
        start = clock.midnight(clock.day_of(span.start, tz), tz)
        end = min(span.end, now)
        if end <= start:
            return Answer()
        series = self._series(access, f"{path}/energy", start, end, "DAY", "WH")
        return Answer(readings=list(read_daily(series, tz)), covered=Span(start, end))

    def _page(self, access: Access, number: int) -> list[SiteFacts]:
        params = [("page", str(number)), ("sites-in-page", str(PAGE))]
        response = self._get(access, "/v2/sites", params)
        # Accounts with an account key were seen getting a bare array, the others an envelope (2.1 [code]).
        bare = response.body.lstrip()[:1] == b"["
        found = (
            decode(response, list[_Site], NAME, "sites")
            if bare
            else decode(response, _SiteEnvelope, NAME, "sites").sites.site
        )
        return [read_site(site) for site in found]

    def _series(self, access: Access, path: str, start: int, end: int, resolution: str, unit: str) -> _Series:
        params = [("from", clock.iso(start)), ("to", clock.iso(end)), ("resolution", resolution), ("unit", unit)]
        series = decode(self._get(access, path, params), _Series, NAME, path.rsplit("/", 1)[-1])
        if series.resolution not in {None, resolution}:
            raise Changed(
                f"SolarEdge answers by {series.resolution} where {resolution} was asked. What is known is kept.",
                "resolution",
            )
        return series

    def _get(self, access: Access, path: str, params: Sequence[tuple[str, str]] = ()) -> Response:
        headers = {"X-API-Key": access.credentials["api_key"]}
        if access.credentials.get("account_key"):
            headers["X-Account-Key"] = access.credentials["account_key"]
        response = access.session.request("GET", path, params=params, headers=headers)
        _raise_for(response, access)
        return response


def _raise_for(response: Response, access: Access) -> None:
    if response.status == 200:
        return
    detail = _complaint(response.body)
    if response.status == 401 or (response.status == 400 and "access token is missing" in detail.lower()):
        raise NeedsReconnect(
            "SolarEdge refuses this key. Keys are renewed about every six months, and keys of the old interface (V1) "
            "ended on 3 November 2026: enter a new one. History is kept."
        )
    if response.status == 403:
        raise NotEntitled(f"SolarEdge does not give this to your account ({detail}). History is kept.", response.path)
    if response.status == 410:
        raise Changed(
            "SolarEdge has switched this interface off (V1 ended on 3 November 2026). Make a V2 key in the developer "
            "console and connect again; history is kept.",
            response.path,
        )
    if response.status == 429:
        raise _spent(response, access.now())
    if response.status >= 500 or looks_like_html(response.body):
        raise Unavailable(
            f"SolarEdge has trouble of its own ({response.status}). What is known is kept; it is asked again later."
        )
    raise Changed(
        f"SolarEdge refuses a question that it used to answer ({response.status}: {detail}). What is known is kept.",
        response.path,
    )


def _spent(response: Response, now: float) -> QuotaSpent:
    """Of the two 429 the one without Retry-After and with calls left in the minute is the month's (1 [doc])."""
    remaining = response.headers.get("x-ratelimit-remaining-minute", "")
    if "retry-after" not in response.headers and remaining.isdigit() and int(remaining) > 0:
        day = dt.datetime.fromtimestamp(now, dt.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        # The cycle is the account's own and is not told: a look a day finds its beginning.
        until = min((day + dt.timedelta(days=32)).replace(day=1).timestamp(), now + DAY_S)
        return QuotaSpent(
            "SolarEdge says that this month's credits are used up. It is asked once a day until the new cycle begins.",
            until,
        )
    return QuotaSpent("SolarEdge's calls of this minute are used up.", now + retry_after(response.headers, 60))


def _complaint(body: bytes) -> str:
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "no reason given"
    if not isinstance(content, dict):
        return "no reason given"
    names = ("detail", "message", "error_description", "title")
    return next((str(content[name])[:200] for name in names if content.get(name)), "no reason given")


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
    if moment is None or moment.tzinfo is None:
        raise Changed(
            "SolarEdge stamps a value in a form that this version does not know. What is known is kept.", "timestamp"
        )
    return int(moment.timestamp())


def _scale(unit: str) -> float:
    try:
        return _SCALES[unit.upper()]
    except KeyError:
        raise Changed(
            "SolarEdge counts in a unit that this version does not know. What is known is kept.", "unit"
        ) from None


def read_site(site: _Site) -> SiteFacts:
    """Facts of a site, from the list or from its details; `peakPower` is in kW already (2.1 [doc])."""
    activation = (site.activationStatus or "").upper()
    status = {"ACTIVE": SiteStatus.NORMAL, "PENDING": SiteStatus.PENDING, "": None}.get(activation, SiteStatus.INACTIVE)
    place = site.location
    parts = {
        "street": place.address, "city": place.city, "state": place.state, "postal_code": place.zip,
        "country": place.country,
    } if place else {}  # fmt: skip
    return SiteFacts(
        vendor_site_id=str(site.siteId),
        name=site.name,
        status=status,
        peak_power_kw=float(site.peakPower) if site.peakPower and site.peakPower > 0 else None,
        timezone=place.timezone if place else None,
        address={name: value for name, value in parts.items() if value} or None,
        installed_on=(site.installationDate or "")[:10] or None,
        last_report_at=_instant(site.lastUpdateTime) if site.lastUpdateTime else None,
    )


def read_power(series: _Series, settled: int) -> Iterator[Reading]:
    """Mean power of each quarter-hour whose start is `settled` or before, W. Null is no data, 0.0 is measured."""
    scale = _scale(series.unit)
    for point in series.values:
        if point.value is not None:
            start = _instant(point.timestamp)
            if start <= settled:
                yield Reading("", "ac_power_w", BUCKET_S, start, float(point.value) * scale)


def read_daily(series: _Series, tz: dt.tzinfo) -> Iterator[Reading]:
    """Energy of each local day, the running one so far, Wh; stamped at the day's local midnight."""
    scale = _scale(series.unit)
    for point in series.values:
        if point.value is not None:
            day = clock.day_of(_instant(point.timestamp), tz)
            yield Reading("", "energy_wh", DAY_S, clock.midnight(day, tz), float(point.value) * scale)


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
    """Facts of every device; the key is its serial, else its type and name (section 4)."""
    for device in found:
        kind = _DEVICE_TYPES.get(device.type.upper(), DeviceType.OTHER)
        # `nameplate` stands as 0 on inverters, and in kWh on batteries: only an inverter's own figure above 0 is W.
        rated = float(device.nameplate) if kind is DeviceType.INVERTER and device.nameplate else None
        yield DeviceFacts(
            vendor_device_id=device.serialNumber or f"{device.type}:{device.name}",
            device_type=kind,
            serial_number=device.serialNumber or None,
            name=device.name,
            model=device.model or device.partNumber,
            manufacturer=device.manufacturer,
            part_number=device.partNumber,
            firmware=device.firmwareVersion,
            status=DeviceStatus.RETIRED if device.active is False else DeviceStatus.NORMAL,
            installed_on=(device.createdAt or "")[:10] or None,
            parent=device.connectedTo,
            rated_w=rated if rated and rated > 100 else None,
        )


CONNECTOR = SolarEdge()
