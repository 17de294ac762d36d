"""What a vendor file declares and what its connector does; the only words that jobs and api know of a vendor.

A connector is handed all it needs (session, credentials, a way to keep rotated ones) and returns canonical values. It
holds no state between calls but what its `Login` was given to remember.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias
from urllib.parse import unquote

import msgspec

from sungaze.errors import Unavailable
from sungaze.model import AlertFacts, DeviceFacts, Reading, SiteFacts, Span


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One credential that the connect form asks for."""

    name: str
    label: str
    help: str = ""
    secret: bool = True
    required: bool = True
    once: bool = False
    """It serves to connect and is not kept (a code that a browser brought back)."""


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One quota of a plan. `window` is `minute` (sliding), `day` (UTC) or `month` (UTC calendar month).

    `limit` is the vendor's refusal, `included` what costs nothing, `price_usd` of each call beyond; the cap that is
    kept starts at `included`, so that nothing paid is spent unasked.
    """

    window: str
    limit: int
    included: int | None = None
    price_usd: float = 0.0

    @property
    def cap(self) -> int:
        """The number of calls that may be spent without asking."""
        return self.limit if self.included is None else min(self.limit, self.included)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that the vendor sells; `gives` names the resources per site that it opens.

    A resource that serves the account is for all plans, unless some plan names it: then it is for those that do.
    """

    id: str
    label: str
    about: str
    limits: tuple[Limit, ...]
    gives: frozenset[str]
    concurrent: int = 1


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A way in. `plans` are ids of the vendor's plans, the strictest that fits first."""

    id: str
    label: str
    about: str
    fields: tuple[Field, ...]
    plans: tuple[str, ...]
    scope_field: str
    """The credential that names the application whose quota is spent."""
    consent: str = ""
    """What the user has to agree to before this way in is used, in a sentence or two; empty for nothing."""
    consent_url: Callable[[str, Mapping[str, str], str, str], str] | None = None
    """The vendor's page on which the owner lets Sungaze in, from (base_url, credentials, redirect_uri, state); an empty
    `redirect_uri` is the vendor's own page, which shows the code. None where no browser has a part."""
    way: str = "ask"
    """`ask`: Sungaze asks. `mqtt`, `push`: data comes by itself, and nothing is asked. `none`: nothing comes yet."""


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be asked for.

    `per_site` false means one call serves the account. `every_s` is the pause between two looks by day; `night` says
    whether it is worth asking while the sun is down. `calls` is what one look costs at the least. `order` decides
    which goes first among equals. At least `least_s` pass between two looks, whoever asks and however the last one
    ended. `when_troubled` spares a site that is well all but one look a week. `after_midnight` has a daily figure
    asked soon after the site's day has ended.

    `settles` names the resource per site whose look is done for each site that this one, which serves the account,
    brought an answer for (`Answer.site_answers`); its call is spent for each hundred sites.
    """

    id: str
    per_site: bool
    every_s: int
    night: bool = False
    after_midnight: bool = False
    least_s: int = 0
    when_troubled: bool = False
    calls: int = 1
    order: int = 50
    settles: str = ""


class Response(msgspec.Struct, frozen=True):
    """An answer: its whole body, bounded in size, the request's path without its query, and each Set-Cookie line."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    path: str
    cookies: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # A body may hold tokens.
        return f"Response(status={self.status}, path={self.path!r})"


class Said(msgspec.Struct, frozen=True):
    """What an answer says of the vendor's own count: a window, its limit there, and the calls that remain in it.

    `by_clock` says that a minute is the clock's, and begins anew with each.
    """

    window: str
    limit: int
    remaining: int
    by_clock: bool = False


def says_nothing(response: Response) -> tuple[Said, ...]:
    """What is said by a vendor that does not tell its count."""
    return ()


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """All that is declared of a vendor.

    `late_min` and `stale_min` are daylight minutes (DESIGN 3), the `cellular_` pair holds for sites on a cellular
    link. `production_metric` names the series that is the site's production, `fine_s` its interval.
    """

    id: str
    name: str
    link: str
    attribution: str
    portal_url: str
    default_base_url: str
    methods: tuple[Method, ...]
    plans: tuple[Plan, ...]
    resources: tuple[Resource, ...]
    late_min: int
    stale_min: int
    late_intervals: int = 0
    """A site is late no sooner than after so many of its own intervals, whatever `late_min` says."""
    cellular_late_min: int | None = None
    cellular_stale_min: int | None = None
    power_metric: str = "ac_power_w"
    energy_metric: str = "energy_wh"
    fine_s: int = 900
    fine_resource: str
    """The resource whose answer is the site's production curve."""
    history: tuple[str, ...]
    """Resources that reach back, coarse first: `daily` (30 days at connect), then fine ones (48 hours)."""
    notes: tuple[str, ...] = ()
    panels_note: str = ""
    differs: tuple[str, ...] = ()
    """Why a figure here may differ from the one that the vendor's own pages show, a sentence each."""
    bucket_s: int = 900
    """How often new figures appear with the vendor: as often a site on screen is asked, while its share lasts."""
    late_days: int = 7
    """After how many days the vendor corrects a figure no more: whole days before that are sealed into blocks."""
    settle_s: int = 0
    """After a mark of `bucket_s` until its figures can be asked for; 0 where they come at no marks."""
    quota_said: Callable[[Response], tuple[Said, ...]] = says_nothing
    """What an answer, whatever its status, says of the vendor's own count. Pure."""
    parser: int = 1
    """The version of the readers, kept with each raw answer; a mended reader counts it up."""
    kind_in_id: slice = slice(0)
    """The part of a device's id that names its kind and not the device: a stand-in for the id keeps it."""
    plain_fields: frozenset[str] = frozenset()
    """Fields whose text tells of nobody (states, units, models): a capture keeps it, all other text is replaced."""

    def method(self, method_id: str) -> Method | None:
        """The declared way in of that id, or None."""
        return next((m for m in self.methods if m.id == method_id), None)

    def plan(self, plan_id: str) -> Plan | None:
        """The declared plan of that id, or None."""
        return next((p for p in self.plans if p.id == plan_id), None)

    def resource(self, resource_id: str) -> Resource | None:
        """The declared resource of that id, or None."""
        return next((r for r in self.resources if r.id == resource_id), None)


class Session(Protocol):
    """The door to one account's vendor (`_session.HttpSession`).

    `request` spends the quota before it sends, retries what may be retried, and returns the answer whatever its
    status, or raises a VendorError.
    """

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        auth: tuple[str, str] | None = None,
        free: bool = False,
    ) -> Response: ...


class Access(msgspec.Struct, kw_only=True):
    """What a connector is handed for one account: credentials, what it remembered, and how to have more remembered.

    `remember` stores rotated secrets (a refresh token) durably and returns only when they are on disk; `login_lease`
    is a context manager under which only one holder in all processes refreshes a login.
    """

    method: str
    plan: Plan
    credentials: Mapping[str, str]
    session: Session
    recall: Callable[[], dict[str, str]]
    remember: Callable[[Mapping[str, str]], None]
    login_lease: Callable[[], Any]
    now: Callable[[], float]

    def __repr__(self) -> str:
        # The credentials stay out of every log and traceback.
        return f"Access(method={self.method!r}, plan={self.plan.id!r})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be told: the credentials, and what the login has had remembered."""
        return (*self.credentials.values(), *self.recall().values())


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What a credential sees, before anything is saved."""

    sites: tuple[SiteFacts, ...]
    total: int
    panels: bool
    notes: tuple[str, ...] = ()
    blocked: str = ""
    """Why nothing can come this way yet, in a sentence; the account is kept, and is `blocked`."""


class SiteRef(msgspec.Struct, frozen=True, kw_only=True):
    """A site as a connector needs it to ask and to read: `timezone` None means not known yet.

    `device_types` are those known so far, `device_ids` their vendor_device_ids, `last_energy_at` the newest energy that
    a list spoke of.
    """

    vendor_site_id: str
    timezone: str | None = None
    peak_power_kw: float | None = None
    installed_on: str | None = None
    last_energy_at: int | None = None
    device_types: frozenset[str] = frozenset()
    device_ids: frozenset[str] = frozenset()


class Answer(msgspec.Struct, kw_only=True):
    """What one look brought. Each part that the look did not speak of is None or empty, which changes nothing.

    `sites` from a list is complete when `complete` is true: only then does a missing site mean `no longer visible`.
    `devices` None means the look was not about devices; a device missing from a list is retired only when
    `devices_complete` is true, otherwise the devices are merely seen. `alerts` None means the look was not about
    alarms; one that is missing is resolved only when `alerts_complete` says that every open one was listed.
    `site_alerts` are a whole account's, by vendor_site_id. `site_answers` are what a resource that settles others
    brought for each site, by vendor_site_id; a site that it does not hold is asked for by itself. `fold` is for a
    vendor that tells conditions and no alarms: it is given the site's open ones and returns those that are new or
    changed. `older` says that it was sent before what was taken last: it fills, and replaces nothing. `covered` is the
    span that the answer spoke of, whether or not there were values in it.
    """

    sites: list[SiteFacts] = msgspec.field(default_factory=list)
    complete: bool = False
    devices: list[DeviceFacts] | None = None
    devices_complete: bool = False
    readings: list[Reading] = msgspec.field(default_factory=list)
    alerts: list[AlertFacts] | None = None
    site_alerts: dict[str, list[AlertFacts]] | None = None
    site_answers: dict[str, Answer] = msgspec.field(default_factory=dict)
    alerts_complete: bool = False
    fold: Callable[[Sequence[AlertFacts]], list[AlertFacts]] | None = None
    older: bool = False
    covered: Span | None = None


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A question and its answer as they were kept or recorded; `at` is when the answer had come, epoch seconds.

    What came by itself is one too: an MQTT message has `method` MQTT and its topic for a path.
    """

    method: str
    params: tuple[tuple[str, str], ...]
    response: Response
    at: float

    def param(self, name: str) -> str | None:
        """The first value of a parameter, None where it was not given."""
        return next((value for key, value in self.params if key == name), None)


class Seen(msgspec.Struct, kw_only=True):
    """What is known while exchanges are read in their order, for the readers of one vendor.

    `timezone` stands in where a site's own is not known; `recall` is what the login had remembered, where it is at
    hand; `notes` is what a vendor's readers keep for the entries that follow.
    """

    timezone: str | None = None
    sites: dict[str, SiteRef] = msgspec.field(default_factory=dict)
    recall: Mapping[str, str] = msgspec.field(default_factory=dict)
    notes: dict[Any, Any] = msgspec.field(default_factory=dict)
    partial: set[Any] = msgspec.field(default_factory=set)
    """Figures that are read of several entries together, of which some are missing."""

    def site(self, vendor_site_id: str) -> SiteRef:
        """A site as far as it is known."""
        known = self.sites.get(vendor_site_id) or SiteRef(vendor_site_id=vendor_site_id)
        return known if known.timezone else msgspec.structs.replace(known, timezone=self.timezone)

    def learn(self, answers: Mapping[str, Answer]) -> None:
        """Take what answers tell of sites and devices, for the entries that follow."""
        for key, answer in answers.items():
            for facts in answer.sites:
                known = self.sites.get(facts.vendor_site_id) or SiteRef(vendor_site_id=facts.vendor_site_id)
                self.sites[facts.vendor_site_id] = msgspec.structs.replace(
                    known,
                    timezone=facts.timezone or known.timezone,
                    peak_power_kw=facts.peak_power_kw or known.peak_power_kw,
                )
            if key and answer.devices:
                known = self.sites.get(key) or SiteRef(vendor_site_id=key)
                ids = known.device_ids | {device.vendor_device_id for device in answer.devices}
                self.sites[key] = msgspec.structs.replace(known, device_ids=ids)


Reader: TypeAlias = Callable[[Exchange, Seen, str], dict[str, Answer]]
"""What an exchange says, by vendor_site_id, empty for the whole account; the text is the site that the path names,
or empty. Pure but for `Seen.notes`. Raises VendorError for what cannot be read."""

Readers: TypeAlias = tuple[tuple[str, str, Reader], ...]
"""(method, pattern of the whole path, reader), first match first; the pattern's group `site` names the site."""


def reader_of(readers: Readers, method: str, path: str) -> tuple[Reader, str] | None:
    """The reader of a path and the site that the path names; None for a path that nothing here reads."""
    for asked_by, pattern, reader in readers:
        match = re.fullmatch(pattern, path) if asked_by == method else None
        if match is not None:
            return reader, unquote(match.groupdict().get("site") or "")
    return None


def unplaced(vendor_name: str, site: str) -> Unavailable:
    """The complaint of a reader whose figures cannot be put at their time."""
    return Unavailable(
        f"The time zone of {vendor_name}'s site {site} is not known here, so these figures have no place in time."
    )


class Connector(Protocol):
    """One vendor. Every method ends in data or in one VendorError."""

    vendor: Vendor
    readers: Readers
    """Every path whose answers are read. Answers of other paths (a login's) are never kept."""

    def probe(self, access: Access) -> Probe:
        """What this credential sees, at the cost of one page of the list."""
        ...

    def list_sites(self, access: Access) -> Answer:
        """Every site of the account, with `complete` true."""
        ...

    def fetch_account(self, access: Access, resource: str, sites: Sequence[SiteRef], span: Span) -> Answer:
        """One look at a resource that serves the whole account and is not its list of sites.

        `sites` and `span` are what is owed of a resource that settles others; others are told of no sites.
        """
        ...

    def fetch(self, access: Access, resource: str, site: SiteRef, span: Span) -> Answer:
        """One look at one resource of one site. `span` is what is owed; a connector asks for no more than that."""
        ...

    def chunks(self, resource: str, span: Span) -> list[Span]:
        """The span cut into pieces that cost one call each, newest first."""
        ...
