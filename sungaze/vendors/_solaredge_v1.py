"""SolarEdge's retired interface, V1, by a key in the query (vendors/solaredge.md, Appendix A).

It was switched off on 3 November 2026: what is here reads recorded answers and emulators of its time. Stamps are the
site's local time without offset and name the start of their bucket, so that nothing is read without the site's zone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote

import msgspec

from sungaze import clock
from sungaze.errors import Changed, NeedsReconnect, NotEntitled, QuotaSpent, Unavailable, VendorError
from sungaze.model import DAY_S, DeviceFacts, DeviceStatus, DeviceType, Reading, SiteFacts, SiteStatus, Span
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
    Response,
    Seen,
    SiteRef,
    unplaced,
)
from sungaze.vendors._session import complaint, decode, figure, looks_like_html, numeral, retry_after, words

NAME: Final = "SolarEdge"
BUCKET_S: Final = 900
FINE_SPAN_S: Final = 12 * 3_600
"""As the vendor's `chunks` cuts; V1 itself would give a month."""
DAYS: Final = 28
PAGE: Final = 100
BULK: Final = 100
"""Sites in one call: it takes one from the key's 300 a day, and one from each site's own (Appendix A [doc])."""
SETTLE_S: Final = 90
"""A bucket is asked for this long after it closed, as in V2 [assumed]."""
REFUSED_S: Final = 900
"""After a 429 access came back in about a quarter of an hour (section 6 [code]); it names no wait itself."""

METHOD: Final = Method(
    id="v1",
    label="Old API key (V1)",
    about="SolarEdge announced to switch this interface off on 3 November 2026, and by all reports it answers nobody "
    "now: this is for recorded data and old emulators. For your installer account take a Fleet key.",
    fields=(Field(name="api_key", label="API key", help="A key of the old interface; V2 keys do not open it."),),
    plans=("v1",),
    scope_field="api_key",
)
PLAN: Final = Plan(
    id="v1",
    label="Old interface (V1)",
    about="300 calls a day for the key and as many for each site, 3 at a time.",
    limits=(Limit(window="day", limit=300),),
    gives=frozenset({"details", "power", "energy", "devices", "bulk_power", "bulk_energy"}),
    concurrent=3,
)

PLAIN_FIELDS: Final = frozenset(
    {"date", "timeUnit", "timeZone", "status", "unit", "lastUpdateTime", "installationDate", "cpuVersion",
     "communicationMethod", "firmwareVersion", "manufacturer", "model", "type", "measuredBy"}
)  # fmt: skip
"""Of V1's fields those whose text tells of nobody."""

# -- wire types: exactly the fields that are used --------------------------------------------------------------------

Number = int | float


class _Location(msgspec.Struct, rename="camel"):
    address: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None
    country: str | None = None
    time_zone: str | None = None


class _Site(msgspec.Struct, rename="camel"):
    id: int | str
    name: str | None = None
    status: str | None = None
    peak_power: Number | None = None
    installation_date: str | None = None
    location: _Location | None = None


class _SitePage(msgspec.Struct):
    site: list[_Site]
    count: Number | None = None


class _SiteList(msgspec.Struct):
    """Clients disagree on the wrapper's name: `sites` was seen, some write `list`."""

    sites: _SitePage | None = None
    list: _SitePage | None = None


class _Details(msgspec.Struct):
    details: _Site


class _LastUpdate(msgspec.Struct, rename="camel"):
    last_update_time: str | None = None


class _Overview(msgspec.Struct):
    overview: _LastUpdate


class _Value(msgspec.Struct, gc=False):
    date: str
    value: Number | None = None


class _Series(msgspec.Struct, rename="camel"):
    time_unit: str
    unit: str
    values: list[_Value]


class _Power(msgspec.Struct):
    power: _Series


class _Energy(msgspec.Struct):
    energy: _Series


class _Values(msgspec.Struct):
    values: list[_Value]


class _SiteSeries(msgspec.Struct, rename="camel"):
    site_id: int | str
    energy_values: _Values | None = None
    power_data_value_series: _Values | None = None


class _Bulk(msgspec.Struct, rename="camel"):
    """Many sites' series in one answer. Of power the unit was seen as Wh, though the values are W."""

    time_unit: str
    unit: str
    site_energy_list: list[_SiteSeries]


class _BulkPower(msgspec.Struct, rename="camel"):
    power_date_values_list: _Bulk


class _BulkEnergy(msgspec.Struct, rename="camel"):
    sites_energy: _Bulk


class _Part(msgspec.Struct, rename="camel"):
    sn: str | None = msgspec.field(default=None, name="SN")
    serial_number: str | None = None
    name: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    firmware_version: str | None = None
    cpu_version: str | None = None
    connected_to: str | None = msgspec.field(default=None, name="connectedSolaredgeDeviceSN")


class _Parts(msgspec.Struct):
    inverters: list[_Part] = []
    meters: list[_Part] = []
    batteries: list[_Part] = []
    gateways: list[_Part] = []
    sensors: list[_Part] = []


class _Inventory(msgspec.Struct):
    inventory: _Parts = msgspec.field(name="Inventory")


# -- calls -----------------------------------------------------------------------------------------------------------


def probe(access: Access) -> Probe:
    """What the key sees, for one page of the list."""
    sites, count = _page(access, 0)
    total = max(len(sites), count) if len(sites) == PAGE else len(sites)
    return Probe(sites=tuple(sites), total=total, panels=False, notes=(METHOD.about,))


def list_sites(access: Access) -> Answer:
    """Every site of the key, disabled ones too. The list ends where a page brings nothing new.

    A short page ends it only when as many sites are known as the list itself counts.
    """
    sites: dict[str, SiteFacts] = {}
    row = 0
    while True:
        page, count = _page(access, row)
        before = len(sites)
        sites |= {site.vendor_site_id: site for site in page}
        row += len(page)
        if not page or (len(page) < PAGE and row >= count):
            return Answer(sites=list(sites.values()), complete=True)
        if len(sites) == before:
            return Answer(sites=list(sites.values()), complete=False)


def fetch_account(access: Access, resource: str, sites: Sequence[SiteRef], span: Span) -> Answer:
    """Power or energy of many sites, a hundred with each call; a site without a zone is left out.

    Of alerts nothing: V1 counts a site's alerts and lists none, so that the look costs no call.
    """
    if resource == "alerts":
        return Answer()
    if resource not in {"bulk_power", "bulk_energy"}:
        raise ValueError(f"SolarEdge has no resource {resource}")
    ask = _bulk_power if resource == "bulk_power" else _bulk_energy
    zones = {site.vendor_site_id: tz for site in sites if (tz := clock.zone(site.timezone)) is not None}
    ids, found = list(zones), Answer()
    for first in range(0, len(ids), BULK):
        found.site_answers |= ask(access, {site: zones[site] for site in ids[first : first + BULK]}, span)
    return found


def fetch(access: Access, resource: str, site: SiteRef, span: Span) -> Answer:
    """One look at one resource of one site; power and energy are empty until the site's zone is known."""
    path = f"/site/{quote(site.vendor_site_id, safe='')}"
    if resource == "details":
        return Answer(sites=[_details(access, path)])
    if resource == "devices":
        found = decode(_get(access, f"{path}/inventory"), _Inventory, NAME, "inventory").inventory
        devices = list(read_devices(found))
        # An empty inventory is no reason to retire everything.
        return Answer(devices=devices, devices_complete=bool(devices))
    tz = clock.zone(site.timezone)
    if resource == "power":
        return Answer() if tz is None else _power(access, path, tz, span)
    if resource == "energy":
        return Answer() if tz is None else _energy(access, path, tz, span)
    raise ValueError(f"SolarEdge has no resource {resource}")


def _details(access: Access, path: str) -> SiteFacts:
    site = read_site(decode(_get(access, f"{path}/details"), _Details, NAME, "details").details)
    try:
        overview = decode(_get(access, f"{path}/overview"), _Overview, NAME, "overview").overview
    except (Changed, Unavailable, NotEntitled):
        # Single endpoints fail while others work (section 6, home-assistant/core issue 171858): the zone is worth more.
        return site
    return msgspec.structs.replace(site, last_report_at=read_last_report(overview, clock.zone(site.timezone)))


def _power(access: Access, path: str, tz: dt.tzinfo, span: Span) -> Answer:
    covered = _quarters(access, span, FINE_SPAN_S)
    if covered.end <= covered.start:
        return Answer()
    series = decode(_get(access, f"{path}/power", _window(covered, [tz])), _Power, NAME, "power").power
    return Answer(readings=list(read_power(series, tz, covered)), covered=covered)


def _bulk_power(access: Access, zones: Mapping[str, dt.tzinfo], span: Span) -> dict[str, Answer]:
    # Each site reads the window as its own local time, so that it is longer by the distance of the zones.
    covered = _quarters(access, span, (DAYS - 2) * DAY_S)
    if covered.end <= covered.start:
        return {}
    found = read_bulk_power(_get(access, f"{_many(zones)}/power", _window(covered, zones.values())))
    return {
        site: Answer(readings=list(read_power(found[site], tz, covered)), covered=covered)
        for site, tz in zones.items()
        if site in found
    }


def _energy(access: Access, path: str, tz: dt.tzinfo, span: Span) -> Answer:
    first, last, covered = _days(access, tz, span)
    if covered.end <= covered.start:
        return Answer()
    series = decode(_get(access, f"{path}/energy", _dates(first, last)), _Energy, NAME, "energy").energy
    return Answer(readings=list(read_daily(series, tz, covered)), covered=covered)


def _bulk_energy(access: Access, zones: Mapping[str, dt.tzinfo], span: Span) -> dict[str, Answer]:
    days = {site: _days(access, tz, span) for site, tz in zones.items()}
    days = {site: one for site, one in days.items() if one[2].end > one[2].start}
    if not days:
        return {}
    dates = _dates(min(first for first, _, _ in days.values()), max(last for _, last, _ in days.values()))
    found = read_bulk_energy(_get(access, f"{_many(days)}/energy", dates))
    return {
        site: Answer(readings=list(read_daily(found[site], zones[site], covered)), covered=covered)
        for site, (_, _, covered) in days.items()
        if site in found
    }


def _many(sites: Iterable[str]) -> str:
    return f"/sites/{','.join(quote(site, safe='') for site in sites)}"


def _quarters(access: Access, span: Span, longest_s: int) -> Span:
    """The quarter-hours of a span whose figures are there by now, empty where there are none."""
    settled = (int(access.now()) - SETTLE_S) // BUCKET_S * BUCKET_S
    start = span.start // BUCKET_S * BUCKET_S
    return Span(start, min(-(-span.end // BUCKET_S) * BUCKET_S, settled, start + longest_s))


def _days(access: Access, tz: dt.tzinfo, span: Span) -> tuple[dt.date, dt.date, Span]:
    """The first and the last local day of a span, and what they cover by now.

    Whole local days: a part of one would stand as that day's figure.
    """
    last = clock.day_of(min(span.end - 1, int(access.now())), tz)
    first = max(clock.day_of(span.start, tz), last - dt.timedelta(days=DAYS - 1))
    return first, last, Span(clock.midnight(first, tz), min(clock.local_day(last, tz).end, int(access.now())))


def _dates(first: dt.date, last: dt.date) -> list[tuple[str, str]]:
    return [("startDate", first.isoformat()), ("endDate", last.isoformat()), ("timeUnit", "DAY")]


def _window(covered: Span, zones: Iterable[dt.tzinfo]) -> list[tuple[str, str]]:
    """The window in V1's words; a T between date and time is refused (section 6, solaredge issue 17)."""
    first, last = unambiguous(covered.start, covered.end, *zones)
    return [(name, moment.isoformat(" ", "seconds")) for name, moment in (("startTime", first), ("endTime", last))]


def _page(access: Access, first: int) -> tuple[list[SiteFacts], int]:
    """One page of the list from its row `first` on, and the number of sites that the list itself speaks of."""
    params = [("size", str(PAGE)), ("startIndex", str(first)), ("status", "All")]
    return read_page(_get(access, "/sites/list", params))


def _get(access: Access, path: str, params: Sequence[tuple[str, str]] = ()) -> Response:
    key = access.credentials["api_key"]
    response = access.session.request("GET", path, params=[("api_key", key), *params])
    if response.status != 200:
        raise _refusal(response, access)
    return response


def _refusal(response: Response, access: Access) -> VendorError:
    """The error of an answer other than 200. What it quotes never holds the key, which stands in V1's every address."""
    if response.status == 410:
        return NeedsReconnect(
            "SolarEdge switched its old interface (V1) off on 3 November 2026, and this key with it. Make a V2 key in "
            "SolarEdge's developer console and connect again with it as a Fleet key; history is kept."
        )
    if response.status == 429:
        return QuotaSpent(
            "SolarEdge refuses more calls for now (V1 allows 300 a day for each key and each site).",
            access.now() + retry_after(response.headers, REFUSED_S),
        )
    if response.status >= 500 or looks_like_html(response.body):
        return Unavailable(
            f"SolarEdge has trouble of its own ({response.status}). What is known is kept; it is asked again later.",
            retry_after(response.headers, 300),
        )
    if response.status == 401:
        return NeedsReconnect(
            "SolarEdge refuses this key. Its old interface (V1) takes V1 keys only, and ended on 3 November 2026: "
            "make a V2 key in the developer console and connect with it as a Fleet key. History is kept."
        )
    secrets = [*access.secrets, *(quote(secret, safe="") for secret in access.secrets)]
    names = ("detail", "message", "error_description", "title")
    detail = words(complaint(response.body), *names, secrets=secrets) or "no reason given"
    if response.status == 403:
        return NotEntitled(f"SolarEdge does not give this to your key ({detail}). History is kept.", response.path)
    return Changed(
        f"SolarEdge refuses a question that it used to answer ({response.status}: {detail}). What is known is kept.",
        response.path,
    )


# -- reading: from wire types to canonical values --------------------------------------------------------------------

_SCALES: Final = {"W": 1.0, "KW": 1e3, "MW": 1e6, "WH": 1.0, "KWH": 1e3, "MWH": 1e6, "GWH": 1e9}
_STATUSES: Final = {"active": SiteStatus.NORMAL, "pending": SiteStatus.PENDING, "": None}


def _naive(text: str) -> dt.datetime:
    """A local time as it stands in an answer. Raises Changed for anything else and for years outside 1990 to 2199."""
    try:
        moment = dt.datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
    except ValueError:
        moment = None
    if moment is None or not 1990 <= moment.year < 2200:
        raise Changed(
            "SolarEdge stamps a value in a form that this version does not know. What is known is kept.", "date"
        )
    return moment


def _shift(moment: dt.datetime, tz: dt.tzinfo) -> dt.timedelta:
    """What the clocks are put forward by at a local time, negative where it comes twice, zero on all other days."""
    first, second = (moment.replace(tzinfo=tz, fold=fold).utcoffset() or dt.timedelta() for fold in (0, 1))
    return second - first


def unambiguous(start: int, end: int, *zones: dt.tzinfo) -> tuple[dt.datetime, dt.datetime]:
    """The local window around two instants in all of some zones that begins before and ends after a time that is twice.

    Only then is a repeated time's first row its first occurrence, in whichever zone it comes twice.
    """
    different = set(zones)
    first = min(dt.datetime.fromtimestamp(start, tz).replace(tzinfo=None, fold=0) for tz in different)
    last = max(dt.datetime.fromtimestamp(end, tz).replace(tzinfo=None, fold=0) for tz in different)
    quarter = dt.timedelta(seconds=BUCKET_S)
    while any(_shift(first, tz) < dt.timedelta() for tz in different):
        first -= quarter
    while any(_shift(last, tz) < dt.timedelta() for tz in different):
        last += quarter
    return first, last


def local_instants(stamps: Sequence[str], tz: dt.tzinfo) -> Iterator[int | None]:
    """The instant of each local time of a series, in its order; None for one that does not exist or came already.

    A time that a night repeats is the one before the clocks are put back where it comes first, and the one after where
    it comes again (Appendix A [assumed]).
    """
    seen: dict[dt.datetime, int] = {}
    for text in stamps:
        moment = _naive(text)
        times = seen[moment] = seen.get(moment, 0) + 1
        shift = _shift(moment, tz)
        if shift > dt.timedelta() or times > (2 if shift else 1):
            yield None
        else:
            yield int(moment.replace(tzinfo=tz, fold=times - 1).timestamp())


def _scale(unit: str) -> float:
    try:
        return _SCALES[unit.upper()]
    except KeyError:
        raise Changed(
            "SolarEdge counts in a unit that this version does not know. What is known is kept.", "unit"
        ) from None


def _check_unit(series: _Series, asked: str) -> None:
    if series.time_unit != asked:
        raise Changed(
            f"SolarEdge answers by another unit of time than the {asked} that was asked. What is known is kept.",
            "timeUnit",
        )


def read_power(series: _Series, tz: dt.tzinfo, covered: Span) -> Iterator[Reading]:
    """Mean power of each quarter-hour that begins in `covered`, W. Null is no data, 0.0 is measured."""
    _check_unit(series, "QUARTER_OF_AN_HOUR")
    scale = _scale(series.unit)
    instants = local_instants([point.date for point in series.values], tz)
    for point, start in zip(series.values, instants, strict=True):
        if point.value is not None and start is not None and covered.start <= start < covered.end:
            yield Reading("", "ac_power_w", BUCKET_S, start, figure(point.value) * scale)


def read_daily(series: _Series, tz: dt.tzinfo, covered: Span) -> Iterator[Reading]:
    """Energy of each local day that begins in `covered`, the running one so far, Wh; stamped at local midnight."""
    _check_unit(series, "DAY")
    scale = _scale(series.unit)
    known: set[int] = set()
    for point in series.values:
        start = clock.midnight(_naive(f"{point.date[:10]} 00:00:00").date(), tz)
        if point.value is not None and start not in known and covered.start <= start < covered.end:
            known.add(start)
            yield Reading("", "energy_wh", DAY_S, start, figure(point.value) * scale)


def read_bulk_power(response: Response) -> dict[str, _Series]:
    """The series of each site of an answer in bulk, by its number; a site without one is left out."""
    bulk = decode(response, _BulkPower, NAME, "power").power_date_values_list
    return _of_each(bulk, [row.power_data_value_series for row in bulk.site_energy_list])


def read_bulk_energy(response: Response) -> dict[str, _Series]:
    """As `read_bulk_power`, of energy."""
    bulk = decode(response, _BulkEnergy, NAME, "energy").sites_energy
    return _of_each(bulk, [row.energy_values for row in bulk.site_energy_list])


def _of_each(bulk: _Bulk, series: Sequence[_Values | None]) -> dict[str, _Series]:
    return {
        str(row.site_id): _Series(bulk.time_unit, bulk.unit, one.values)
        for row, one in zip(bulk.site_energy_list, series, strict=True)
        if one is not None
    }


def read_last_report(overview: _LastUpdate, tz: dt.tzinfo | None) -> int | None:
    """The instant of an overview's `lastUpdateTime`, None without a zone or where it is no full local time."""
    if tz is None or not overview.last_update_time:
        return None
    try:
        return next(local_instants([overview.last_update_time], tz))
    except Changed:
        return None


def _date(text: str | None) -> str | None:
    try:
        return dt.date.fromisoformat((text or "")[:10]).isoformat()
    except ValueError:
        return None


def read_page(response: Response) -> tuple[list[SiteFacts], int]:
    """The sites of a page of the list, and the number of sites that the list itself speaks of, 0 where it does not."""
    found = decode(response, _SiteList, NAME, "sites/list")
    page = found.sites or found.list
    if page is None:
        raise Changed("SolarEdge answers without a list of sites. What is known is kept.", "sites/list")
    return [read_site(site) for site in page.site], int(numeral(page.count) or 0)


def read_site(site: _Site) -> SiteFacts:
    """Facts of a site, from the list or from its details; `peakPower` is in kW already.

    Its own `lastUpdateTime` is a date only, and no moment: that stands in the overview.
    """
    number = str(site.id).strip()
    if not number:
        raise Changed("SolarEdge lists a site without a number. What is known is kept.", "id")
    peak_kw = numeral(site.peak_power)
    place = site.location
    parts = {
        "street": place.address, "city": place.city, "state": place.state, "postal_code": place.zip,
        "country": place.country,
    } if place else {}  # fmt: skip
    return SiteFacts(
        vendor_site_id=number,
        name=site.name,
        status=_STATUSES.get((site.status or "").lower(), SiteStatus.INACTIVE),
        peak_power_kw=peak_kw if peak_kw and peak_kw > 0 else None,
        timezone=place.time_zone if place and clock.zone(place.time_zone) else None,
        address={name: value for name, value in parts.items() if value} or None,
        installed_on=_date(site.installation_date),
    )


def read_devices(found: _Parts) -> Iterator[DeviceFacts]:
    """Facts of every part; the key is its serial, else its kind and name, then its place in the list.

    V1 names no state of a part. Optimizers are counted at their inverter and not listed.
    """
    groups = (
        ("INVERTER", DeviceType.INVERTER, found.inverters),
        ("METER", DeviceType.METER, found.meters),
        ("BATTERY", DeviceType.BATTERY, found.batteries),
        ("GATEWAY", DeviceType.GATEWAY, found.gateways),
        ("SENSOR", DeviceType.OTHER, found.sensors),
    )
    used: set[str] = set()
    for word, kind, parts in groups:
        for index, part in enumerate(parts):
            serial = part.sn or part.serial_number or None
            key = serial or f"{word}:{part.name or ''}"
            while key in used:
                key = f"{word}:{key}:{index}"
            used.add(key)
            yield DeviceFacts(
                vendor_device_id=key,
                device_type=kind,
                serial_number=serial,
                name=part.name,
                model=part.model,
                manufacturer=part.manufacturer,
                firmware=part.firmware_version or part.cpu_version,
                status=DeviceStatus.UNKNOWN,
                parent=part.connected_to or None,
            )


# -- reading what was kept or recorded, by path ----------------------------------------------------------------------


def _recorded_list(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    return {"": Answer(sites=read_page(exchange.response)[0])}


def _recorded_details(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    return {site: Answer(sites=[read_site(decode(exchange.response, _Details, NAME, "details").details)])}


def _recorded_inventory(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    parts = decode(exchange.response, _Inventory, NAME, "inventory").inventory
    return {site: Answer(devices=list(read_devices(parts)))}


def _recorded_power(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    if site:
        return _placed(exchange, seen, {site: decode(exchange.response, _Power, NAME, "power").power})
    return _placed(exchange, seen, read_bulk_power(exchange.response))


def _recorded_energy(exchange: Exchange, seen: Seen, site: str) -> dict[str, Answer]:
    if site:
        return _placed(exchange, seen, {site: decode(exchange.response, _Energy, NAME, "energy").energy})
    return _placed(exchange, seen, read_bulk_energy(exchange.response))


def _placed(exchange: Exchange, seen: Seen, found: dict[str, _Series]) -> dict[str, Answer]:
    """Each site's series in time. Raises Unavailable for a site whose zone is not known."""
    answers = {}
    for site, series in found.items():
        tz = clock.zone(seen.site(site).timezone)
        if tz is None:
            raise unplaced(NAME, site)
        covered = _recorded_span(exchange, tz)
        read = read_daily if exchange.response.path.removesuffix(".json").endswith("/energy") else read_power
        answers[site] = Answer(readings=list(read(series, tz, covered)), covered=covered)
    return answers


def _recorded_span(exchange: Exchange, tz: dt.tzinfo) -> Span:
    """The span that was asked for in site time, all of the past where it is not told."""
    past = Span(clock.EARLIEST, int(exchange.at))
    first, last = exchange.param("startDate"), exchange.param("endDate")
    begin, end = exchange.param("startTime"), exchange.param("endTime")
    try:
        if first and last:
            until = clock.local_day(dt.date.fromisoformat(last), tz).end
            return Span(clock.midnight(dt.date.fromisoformat(first), tz), min(until, past.end))
        if begin and end:
            until = int(_naive(end).replace(tzinfo=tz, fold=1).timestamp())
            # In bulk the window of an eastern site reaches into the running quarter of a western one.
            closed = (past.end - SETTLE_S) // BUCKET_S * BUCKET_S
            return Span(int(_naive(begin).replace(tzinfo=tz).timestamp()), min(until, closed))
    except (ValueError, OverflowError, Changed):
        return past
    return past


_ONE: Final = r"/site/(?P<site>\d{1,18})"
_MANY: Final = r"/sites?/\d{1,18}(?:,\d{1,18})*"
READERS: Final[Readers] = (
    ("GET", r"/sites/list(?:\.json)?", _recorded_list),
    ("GET", rf"{_ONE}/details(?:\.json)?", _recorded_details),
    ("GET", rf"{_ONE}/inventory(?:\.json)?", _recorded_inventory),
    # `/sites/` with one id is a call in bulk too, with its wrapper.
    ("GET", rf"{_ONE}/power(?:\.json)?", _recorded_power),
    ("GET", rf"{_ONE}/energy(?:\.json)?", _recorded_energy),
    ("GET", rf"{_MANY}/power(?:\.json)?", _recorded_power),
    ("GET", rf"{_MANY}/energy(?:\.json)?", _recorded_energy),
)
