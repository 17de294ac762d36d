"""The shapes that go over the API. Times are epoch seconds UTC, units stand in the names; null means not known."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class FieldOut(msgspec.Struct):
    """One field of a connect form."""

    name: str
    label: str
    help: str
    secret: bool
    required: bool
    once: bool = False


class LimitOut(msgspec.Struct):
    """One quota of a plan."""

    window: str
    limit: int
    included: int
    price_usd: float


class PlanOut(msgspec.Struct):
    """A plan of a vendor and what it gives."""

    id: str
    label: str
    about: str
    limits: list[LimitOut]
    gives: list[str]


class MethodOut(msgspec.Struct):
    """A way in; `plans` holds ids, the default first. `consent` is what the user has to agree to, empty for nothing.

    `return_address` is where a browser comes back to, for a way in that an owner's consent opens, otherwise empty.
    `way` says how its data comes: `ask`, `mqtt`, `push` or `none`.
    """

    id: str
    label: str
    about: str
    fields: list[FieldOut]
    plans: list[str]
    consent: str
    return_address: str = ""
    way: str = "ask"


class VendorOut(msgspec.Struct):
    """What a vendor declares."""

    id: str
    name: str
    link: str
    attribution: str
    methods: list[MethodOut]
    plans: list[PlanOut]
    notes: list[str]
    late_min: int
    stale_min: int


class VendorList(msgspec.Struct):
    """Every vendor known."""

    items: list[VendorOut]


class ServerOut(msgspec.Struct):
    """The server elsewhere whose window this is (`sungaze --connect`).

    `state` is `there`, `lost`, `token` (it wants one), `version` (another one than ours) or `stranger` (no Sungaze);
    `heard_at` when it answered last, `held_at` when the newest answer was given that is kept here (epoch seconds);
    `reason` why it is not there; `plain` where others in the network could read what is sent.
    """

    address: str
    state: str
    heard_at: float | None
    held_at: float | None
    reason: str
    plain: bool


class Health(msgspec.Struct, omit_defaults=True):
    """Whether the parts run. `demo` is true on the demo fleet; `server` is told by a window on a server elsewhere;
    `clock` says what is wrong with the computer's clock, `trouble` what is wrong with the keeping of the data.
    """

    status: str
    version: str
    demo: bool
    session: bool
    server: ServerOut | None = None
    clock: str = ""
    trouble: str = ""


class TokenIn(msgspec.Struct, forbid_unknown_fields=True):
    """The token of the server elsewhere."""

    token: str


class SessionIn(msgspec.Struct, forbid_unknown_fields=True):
    """The one-use launch key."""

    key: str


class PresentOut(msgspec.Struct):
    """Whether there is a window, which is in front now."""

    window: bool


class SessionOut(msgspec.Struct):
    """Answer to a good key. `reload` asks the page to load itself once more (the window's own session)."""

    reload: bool


class ConnectIn(msgspec.Struct, forbid_unknown_fields=True):
    """What a connect form sends."""

    vendor: str
    credentials: dict[str, str]
    method: str | None = None
    plan: str | None = None
    label: str | None = None
    base_url: str | None = None
    consent: bool = False
    grant: str | None = None
    """The consent that brought what the fields lack."""


class GrantIn(msgspec.Struct, forbid_unknown_fields=True):
    """An owner's consent to ask for. Without `come_back` the vendor's own page shows the code."""

    vendor: str
    method: str
    credentials: dict[str, str]
    base_url: str | None = None
    come_back: bool = True


class GrantOut(msgspec.Struct):
    """A consent that is waited for; `url` is for a browser. `state`: pending, received, refused, expired."""

    id: str
    url: str
    redirect_uri: str
    expires_at: int
    state: str
    reason: str


class ProbeSite(msgspec.Struct):
    """A site that a credential sees."""

    vendor_site_id: str
    name: str
    known: bool


class ProbeOut(msgspec.Struct):
    """What a credential sees, and what looking after it costs. `sites` holds at most 20 of `total`.

    `first_calls` are those of the start, `history_calls` among them buy 30 days of daily figures and 48 hours of the
    finest, complete at `history_complete_at` (null: never, with this quota). `sites_served` sites can be asked at the
    usual pace; `age_minutes` of daylight is what this many will have; `advice` says so where it is too many.
    """

    vendor: str
    method: str
    plan: str
    total: int
    sites: list[ProbeSite]
    panels: bool
    notes: list[str]
    first_calls: int
    history_calls: int
    history_complete_at: int | None
    monthly_calls: int
    monthly_limit: int | None
    sites_served: int
    age_minutes: int
    advice: str


class QuotaOut(msgspec.Struct):
    """One window of a quota as it stands. `resets_at` is null for a sliding window with nothing spent in it.

    `limit` is what may be spent: the user's own cap where `capped` is true, else what is included. The vendor refuses
    at `vendor_limit`; each call beyond `included` costs `price_usd`, which makes `spent_usd` so far and `forecast_usd`
    by the window's end.
    """

    window: str
    used: int
    limit: int
    left: int
    resets_at: int | None
    forecast: int | None
    vendor_limit: int
    included: int
    price_usd: float
    capped: bool
    spent_usd: float
    forecast_usd: float


class AccountPatch(msgspec.Struct, forbid_unknown_fields=True):
    """What the user sets of an account: the most calls of a window, such as `month`, where null takes the cap back;
    whether it rests; its label.
    """

    caps: dict[str, int | None] = {}
    paused: bool | None = None
    label: str | None = None


class ServiceOut(msgspec.Struct):
    """What a plan gives this fleet; `age_minutes` are of daylight, between two looks, the vendor's own delay apart."""

    plan: str
    label: str
    sites_served: int
    age_minutes: int


class BudgetOut(msgspec.Struct):
    """How an account spends its calls. `stretch` 1 is the usual pace; `advice` is empty where the plan is enough."""

    account_id: int
    quotas: list[QuotaOut]
    sites: int
    favoured: int
    stretch: float
    wanted_per_day: float
    per_day: float | None
    screen_used: int
    screen_share: int | None
    now: ServiceOut
    larger: ServiceOut | None
    advice: str


class BackfillIn(msgspec.Struct, forbid_unknown_fields=True):
    """History to be bought: `depth` is daily or finest, `from` a date; with `estimate` nothing is begun."""

    depth: str
    since: str = msgspec.field(name="from")
    estimate: bool = False


class BackfillCost(msgspec.Struct):
    """What a backfill costs. `complete_at` is null where this quota would never have it done."""

    sites: int
    calls: int
    usd: float
    complete_at: int | None
    begun: bool
    message: str


class BackfillOut(msgspec.Struct):
    """True progress of the history that is bought. `complete_at` is the expected end, null when done or never."""

    done: int
    total: int
    calls_left: int
    complete_at: int | None
    state: str


class AccountOut(msgspec.Struct):
    """An account and how it stands. `state_reason` is a sentence, empty when all is well.

    `way` says how its data comes: `ask`, `mqtt`, `push` or `none`. What comes by itself is listened for since
    `listening_since`; `push_path` is where a gateway has to push to, `refused` counts what could not be taken.
    """

    id: int
    vendor: str
    method: str
    plan: str
    label: str
    state: str
    state_reason: str
    sites: int
    created_at: int
    last_fetch_at: int | None
    next_look_at: int | None
    quotas: list[QuotaOut]
    backfill: BackfillOut
    history_from: int | None
    base_url: str | None
    way: str = "ask"
    listening_since: int | None = None
    push_path: str | None = None
    refused: int = 0
    advice: str = ""
    paused_at: int | None = None


class AccountList(msgspec.Struct):
    """Every connected account."""

    items: list[AccountOut]


class RefreshOut(msgspec.Struct):
    """What a refresh asked for now will spend."""

    calls: int
    message: str


class PlaceRef(msgspec.Struct):
    """The place a site belongs to."""

    id: int
    name: str
    role: str


class CareOut(msgspec.Struct, kw_only=True):
    """What people do about a place. `snoozed` holds at the moment of the answer, until the instant `snoozed_until` or,
    with `until_change`, until its status or its alarms change; `notes` counts them.

    `waiting_on` is one of customer, parts, rma, utility.
    """

    snoozed: bool
    snoozed_until: int | None
    until_change: bool
    waiting_on: str | None
    assignee: str | None
    notes: int


class SiteOut(msgspec.Struct, kw_only=True):
    """A site as a list shows it. One of a snoozed place does not need the user; its status and alarms stay.

    `freshness` is one of never, stale, asleep, late, fresh; `freshness_reason` says why in words. `power_w` is the
    newest mean of `power_interval_s` seconds starting at `measured_at`. `energy_today_wh` counts from the site's local
    midnight. `reason_code` is one of '', not_asked, vendor_late, site_silent, account, never. `trouble` is the worst
    alarm that goes on, in its words; `loss_wh_per_day` estimates what a trouble costs, null where that cannot be told.
    """

    id: int
    vendor: str
    vendor_site_id: str
    name: str
    status: str
    communication: str
    production: str
    freshness: str
    freshness_reason: str
    reason_code: str
    peak_power_kw: float | None
    power_w: float | None
    power_metric: str
    power_interval_s: int | None
    measured_at: int | None
    fetched_at: int | None
    last_report_at: int | None
    next_look_at: int | None
    energy_today_wh: float | None
    energy_yesterday_wh: float | None
    yield_yesterday_kwh_per_kwp: float | None
    timezone: str | None
    address: str
    place: PlaceRef
    alerts: int
    needs_you: bool
    archived: bool
    trouble: str
    trouble_since: int | None
    loss_wh_per_day: float | None
    loss_basis: str
    tags: list[str]
    customer: str | None
    care: CareOut


class SiteList(msgspec.Struct):
    """One page of sites; `total` counts all that match."""

    items: list[SiteOut]
    total: int


class MetricOut(msgspec.Struct):
    """A series that a site or its devices have."""

    metric: str
    unit: str
    kind: str
    intervals_s: list[int]
    site: bool
    devices: int
    first: int
    last: int


class SiteDetail(SiteOut, kw_only=True):
    """A site whole. `user_set` names the fields that the user's own value decides."""

    vendor_name: str
    vendor_link: str
    attribution: str
    portal_url: str
    alias: str | None
    address_info: dict[str, str]
    latitude: float | None
    longitude: float | None
    position_source: str
    timezone_source: str
    tilt: float | None
    azimuth: float | None
    installed_on: str | None
    connection: str | None
    user_set: list[str]
    accounts: list[int]
    not_visible_since: int | None
    sunrise: int | None
    sunset: int | None
    day_start: int | None
    day_end: int | None
    energy_month_wh: float | None
    energy_lifetime_wh: float | None
    metrics: list[MetricOut]
    device_types: dict[str, int]
    daily_from: int | None
    fine_from: int | None
    quarantined: int
    panels_note: str
    differs: list[str]


class SitePatch(msgspec.Struct, forbid_unknown_fields=True):
    """What the user sets; a null takes the user's value back, so that the vendor's counts again.

    `place` is the place that the site belongs to; null gives it one of its own.
    """

    alias: str | msgspec.UnsetType | None = msgspec.UNSET
    timezone: str | msgspec.UnsetType | None = msgspec.UNSET
    peak_power_kw: float | msgspec.UnsetType | None = msgspec.UNSET
    latitude: float | msgspec.UnsetType | None = msgspec.UNSET
    longitude: float | msgspec.UnsetType | None = msgspec.UNSET
    tilt: float | msgspec.UnsetType | None = msgspec.UNSET
    azimuth: float | msgspec.UnsetType | None = msgspec.UNSET
    tags: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    place: int | msgspec.UnsetType | None = msgspec.UNSET
    role: str | msgspec.UnsetType = msgspec.UNSET


class FigureOut(msgspec.Struct):
    """The newest value of a metric."""

    metric: str
    unit: str
    value: float
    timestamp: int


class DeviceOut(msgspec.Struct, kw_only=True):
    """A device of a site, with its newest production figure where it has one.

    `figure` is the newest of what tells most of it: its power, else its charge, its temperature. `energy_today_wh`
    counts from the site's local midnight, null where the device has no energy of its own.
    """

    id: int
    vendor_device_id: str
    device_type: str
    name: str | None
    serial_number: str | None
    model: str | None
    manufacturer: str | None
    part_number: str | None
    firmware: str | None
    status: str
    installed_on: str | None
    parent_id: int | None
    last_reported_at: int | None
    power_w: float | None
    measured_at: int | None
    figure: FigureOut | None
    energy_today_wh: float | None
    replaces_id: int | None
    replaced_by_id: int | None


class DeviceList(msgspec.Struct):
    """The devices of a site, retired ones included."""

    items: list[DeviceOut]


class DeviceRef(msgspec.Struct):
    """A device that another one names."""

    id: int
    device_type: str
    name: str | None
    serial_number: str | None
    status: str


class FlipOut(msgspec.Struct):
    """A change that was put down: of what, from what to what, and why."""

    at: int
    what: str
    before: str | None
    after: str | None
    reason: str


class DevicePatch(msgspec.Struct, forbid_unknown_fields=True):
    """What the user knows of a device: the one whose place it took."""

    replaces: int | None


class DeviceDetail(DeviceOut, kw_only=True):
    """A device whole; `flips` are its newest changes, newest first, `figures` the newest value of each metric."""

    rated_w: float | None
    first_seen: int
    parent: DeviceRef | None
    children: list[DeviceRef]
    replaces: DeviceRef | None
    replaced_by: DeviceRef | None
    may_replace: list[DeviceRef]
    metrics: list[MetricOut]
    figures: list[FigureOut]
    flips: list[FlipOut]


class CompleteDay(msgspec.Struct):
    """How much of a local day is there. `expected` 0: nothing was due (a night, or a day still to come).

    `daily` says that the vendor's own figure of the day is there, `owed` that a part of it is still to be asked for.
    """

    date: str
    start: int
    expected: int
    present: int
    daily: bool
    owed: bool


class CompletenessOut(msgspec.Struct):
    """The completeness of a site's curve, day by day. `step_s` is the interval counted by; null without any curve.

    With `by_sun` the intervals between sunrise and sunset count, less `margin_s` at either end while inverters wake;
    without, those of the whole day.
    """

    site_id: int
    metric: str
    step_s: int | None
    by_sun: bool
    margin_s: int
    days: list[CompleteDay]


class OwedOut(msgspec.Struct):
    """A span of history that is owed: `resource` in the vendor's terms, why, and when it may next be asked for.

    `next_at` is null while the account cannot ask; `under_way` says that it is being asked for now.
    """

    account_id: int
    account: str
    resource: str
    start: int
    end: int
    reason: str
    attempts: int
    next_at: int | None
    under_way: bool


class OwedList(msgspec.Struct):
    """The spans that are owed to a site, in the order in which they are asked for; `total` counts all of them."""

    items: list[OwedOut]
    total: int


class RefusedOut(msgspec.Struct):
    """A value that was refused; as text, since it may be no number. `device_id` 0 is the site; null is not known."""

    device_id: int | None
    vendor_device_id: str
    metric: str
    unit: str
    interval_s: int
    timestamp: int
    value: str
    reason: str
    refused_at: int


class RefusedList(msgspec.Struct):
    """One page of a site's refused values, the newest first; `total` counts all."""

    items: list[RefusedOut]
    total: int


class FlowOut(msgspec.Struct):
    """Where the power of a site goes, W; null is not known, and `has_*` says whether the site has such a thing at all.

    `solar_w` is produced, `home_w` used, `grid_w` drawn from the grid (negative: given to it), `battery_w` given by
    the battery (negative: taken). Each comes with the start of its interval, or with its moment.
    """

    solar_w: float | None
    solar_at: int | None
    home_w: float | None
    home_at: int | None
    grid_w: float | None
    grid_at: int | None
    battery_w: float | None
    battery_at: int | None
    charge_pct: float | None
    charge_at: int | None
    has_home: bool
    has_grid: bool
    has_battery: bool
    battery_devices: list[int]


class SeriesOut(msgspec.Struct):
    """A series. A point is [epoch_s, value] for raw values and sums, [epoch_s, mean, min, max] for means.

    A month ends with the numbers of its days that are known and of those that have begun: where they differ it is a
    part of the month.
    """

    site_id: int
    device_id: int
    metric: str
    unit: str
    interval_s: int | None
    resolution: str
    points: list[list[float]]


class CellOut(msgspec.Struct):
    """One panel of the schematic layout; `value` null means there is none, never zero."""

    device_id: int
    serial_number: str | None
    row: int
    column: int
    value: float | None
    timestamp: int | None
    status: str


class LayoutOut(msgspec.Struct):
    """The schematic layout of a site's panels, sorted by serial number."""

    site_id: int
    metric: str
    unit: str
    at: int
    columns: int
    disclaimer: str
    note: str
    cells: list[CellOut]


class PositionOut(msgspec.Struct):
    """Where a panel lies on the roof, by whom: `by` is `user` or `vendor`.

    The user's word is an array with a row and a column in it, which count from 1; the vendor's is `x` and `y` in the
    units of its own drawing. Both are given where both are known: the user's counts.
    """

    by: str
    array: str | None
    row: int | None
    column: int | None
    x: float | None
    y: float | None


class ParentOut(msgspec.Struct):
    """An inverter or a string that panels belong to; `name` is what it is called, else its serial or its id."""

    id: int
    type: str
    name: str


class DayCellOut(msgspec.Struct):
    """One panel of a day. `values` go with the layout's `timestamps`; null means there is none, never zero."""

    device_id: int
    serial_number: str | None
    name: str | None
    row: int
    column: int
    status: str
    inverter_id: int | None
    string_id: int | None
    position: PositionOut | None
    values: list[float | None]


class LayoutDayOut(msgspec.Struct):
    """The schematic layout of a whole local day, from `start` to `end` (23 to 25 hours).

    `timestamps` begin intervals of `interval_s`, one after the other from the first that any panel has a value of to
    the last. What is finer than an answer can hold is given in coarser intervals. `positions_by` names the vendor
    whose own drawing the positions without a user's word come from, empty without one.
    """

    site_id: int
    metric: str
    unit: str
    date: str
    start: int
    end: int
    timezone: str
    interval_s: int
    columns: int
    disclaimer: str
    note: str
    positions_by: str
    timestamps: list[int]
    parents: list[ParentOut]
    cells: list[DayCellOut]


class PlacedIn(msgspec.Struct, forbid_unknown_fields=True):
    """Where the user puts a panel; null for both row and column takes it back, so that the vendor's word counts."""

    device_id: int
    row: int | None
    column: int | None
    array: str | None = None


class PositionsPatch(msgspec.Struct, forbid_unknown_fields=True):
    """Positions that the user sets, all of them or none."""

    items: list[PlacedIn]


class PositionsCsv(msgspec.Struct, forbid_unknown_fields=True):
    """A CSV of serial, array, row, column as text; with `preview` nothing is saved."""

    text: str
    preview: bool = False


class PlacedOut(msgspec.Struct):
    """A panel's position by the user's word as it stands; row and column are null where there is none."""

    device_id: int
    serial_number: str | None
    array: str | None
    row: int | None
    column: int | None


class PositionChange(msgspec.Struct):
    """What a line of the CSV changes."""

    line: int
    before: PlacedOut
    after: PlacedOut


class LineProblem(msgspec.Struct):
    """A line that cannot be used, and why."""

    line: int
    problem: str


class PositionsOut(msgspec.Struct):
    """The user's positions that were changed, or with a preview would be.

    Lines with a problem are left out; `same` lines say what stands already.
    """

    saved: bool
    same: int
    changes: list[PositionChange]
    problems: list[LineProblem]


class YesterdayOut(msgspec.Struct):
    """The last whole local day of every place."""

    energy_wh: float | None
    kwh_per_kwp: float | None
    places: int


class PlaceSite(msgspec.Struct):
    """A site of a place; `role` is one of generation, same_generation, additional."""

    id: int
    name: str
    vendor: str
    vendor_site_id: str
    role: str
    peak_power_kw: float | None


class PlaceOut(msgspec.Struct, kw_only=True):
    """A roof or a plant: the user's sheet, and the sites that look at it. `peak_power_kw` counts each roof once.

    `tilt` is that of its sites, null where they differ.
    """

    id: int
    name: str
    address: str | None
    latitude: float | None
    longitude: float | None
    timezone: str | None
    customer: str | None
    phone: str | None
    reference: str | None
    permission_to_operate_on: str | None
    warranty: str | None
    notes: str | None
    modules: str | None
    peak_power_kw: float | None
    tilt: float | None
    care: CareOut
    sites: list[PlaceSite]


class PlaceList(msgspec.Struct):
    """Every place with a site that is not archived."""

    items: list[PlaceOut]


class PlacePatch(msgspec.Struct, forbid_unknown_fields=True):
    """What the user writes on a place's sheet; a null empties a line, the name excepted."""

    name: str | msgspec.UnsetType = msgspec.UNSET
    address: str | msgspec.UnsetType | None = msgspec.UNSET
    customer: str | msgspec.UnsetType | None = msgspec.UNSET
    phone: str | msgspec.UnsetType | None = msgspec.UNSET
    reference: str | msgspec.UnsetType | None = msgspec.UNSET
    permission_to_operate_on: str | msgspec.UnsetType | None = msgspec.UNSET
    warranty: str | msgspec.UnsetType | None = msgspec.UNSET
    notes: str | msgspec.UnsetType | None = msgspec.UNSET
    modules: str | msgspec.UnsetType | None = msgspec.UNSET
    tilt: float | msgspec.UnsetType | None = msgspec.UNSET
    """Of each of its sites."""


class CarePatch(msgspec.Struct, forbid_unknown_fields=True):
    """What the user says of a place's care; a null empties a line.

    `snooze` is a date, at whose local midnight it ends, or `change`; null ends it now.
    """

    snooze: str | msgspec.UnsetType | None = msgspec.UNSET
    waiting_on: str | msgspec.UnsetType | None = msgspec.UNSET
    assignee: str | msgspec.UnsetType | None = msgspec.UNSET


class AssigneeList(msgspec.Struct):
    """Every name that a place was given to, now or before."""

    items: list[str]


class NoteIn(msgspec.Struct, forbid_unknown_fields=True):
    """A note; `at` null is now."""

    text: str
    author: str = ""
    at: int | None = None


class NotePatch(msgspec.Struct, forbid_unknown_fields=True):
    """A note's other text; its time stays."""

    text: str


class NoteOut(msgspec.Struct):
    """A note of a place."""

    id: int
    place_id: int
    at: int
    text: str
    author: str


class NoteList(msgspec.Struct):
    """The notes of a place, the newest first."""

    items: list[NoteOut]


class ImportIn(msgspec.Struct, forbid_unknown_fields=True):
    """A CSV of sheets. Without `apply` nothing is written; `mark` is that of the preview that is to be written."""

    csv: str
    apply: bool = False
    mark: str | None = None


class ImportChange(msgspec.Struct):
    """A field of a place and what becomes of it; null is empty."""

    field: str
    before: str | None
    after: str


class ImportLine(msgspec.Struct):
    """A line of the file by its number: the place it is of and what it changes, or in `problem` why nothing."""

    line: int
    key: str
    place_id: int | None
    place: str | None
    changes: list[ImportChange]
    problem: str


class ImportOut(msgspec.Struct):
    """What a CSV changes or, with `applied`, has changed; `ignored` names columns that are not read."""

    lines: list[ImportLine]
    ignored: list[str]
    mark: str
    applied: bool


class ImportUndoIn(msgspec.Struct, forbid_unknown_fields=True):
    """The lines of an import that was applied, as its answer told them."""

    lines: list[ImportLine]


class ImportUndoOut(msgspec.Struct):
    """How many fields are as before an import, and how many were left: they had been changed since."""

    restored: int
    left: int


class MergeIn(msgspec.Struct, forbid_unknown_fields=True):
    """Which place is merged into this one, and the role that its sites have here."""

    place: int
    role: str = "same_generation"


class UndoMergeIn(msgspec.Struct, forbid_unknown_fields=True):
    """The place that a merge took away, by the id that it had."""

    place: int


class ProposalOut(msgspec.Struct):
    """Two sites that may be one roof; `evidence` holds some of serial, address, name, position, curve."""

    sites: list[PlaceSite]
    places: list[int]
    evidence: list[str]
    dismissed: bool


class DismissIn(msgspec.Struct, forbid_unknown_fields=True):
    """Two sites that are not one roof or, with `dismissed` false, may be after all."""

    sites: list[int]
    dismissed: bool = True


class ProposalList(msgspec.Struct):
    """What Sungaze proposes to be one roof; the user decides."""

    items: list[ProposalOut]


class AlertOut(msgspec.Struct, kw_only=True):
    """An alarm of a site or of an account, a vendor's or Sungaze's own. It goes on while `resolved_at` is null.

    `severity` is one of info, warning, error, critical; `status` one of open, acknowledged, resolved; `source` is
    vendor or sungaze; `device_id` 0 is the site itself; `timezone` is the site's.
    """

    id: int
    site_id: int | None
    site_name: str | None
    place_id: int | None
    place_name: str | None
    account_id: int | None
    account_label: str | None
    vendor: str
    timezone: str | None
    device_id: int
    device_name: str | None
    device_serial: str | None
    device_type: str | None
    timestamp: int
    severity: str
    code: str
    description: str
    status: str
    source: str
    resolved_at: int | None
    acknowledged_at: int | None


class AlertList(msgspec.Struct):
    """One page of alarms; `total` counts all that match."""

    items: list[AlertOut]
    total: int


class AcknowledgeIn(msgspec.Struct, forbid_unknown_fields=True):
    """Alarms that were seen or, with `seen` false, are to count as not seen."""

    alerts: list[int]
    seen: bool = True


class FleetOut(msgspec.Struct):
    """The fleet at one common quarter-hour that starts at `at`.

    `places` counts those in `power_w` (asleep ones count as zero); `left_out` are late or stale; `daily_only` report
    only daily figures.
    """

    at: int | None
    power_w: float | None
    places: int
    places_total: int
    kwp: float
    kwp_total: float
    asleep: int
    left_out: int
    daily_only: int
    energy_today_wh: float | None
    energy_today_places: int
    yesterday: YesterdayOut
    freshness: dict[str, int]
    needs_you: int
    vendors: dict[str, int]


class ArchivedOut(msgspec.Struct):
    """What is kept of a site that no account reaches; `first` and `last` are null where there are no values.

    `archived_at` is null where none ever did: the site came from a file.
    """

    id: int
    name: str
    vendor: str
    archived_at: int | None
    samples: int
    first: int | None
    last: int | None


class ArchiveList(msgspec.Struct):
    """Every site that no connected account reaches."""

    items: list[ArchivedOut]


class DeleteIn(msgspec.Struct, forbid_unknown_fields=True):
    """The name of what is to be deleted, typed by whoever deletes it."""

    name: str


class DeletedOut(msgspec.Struct):
    """How many values were deleted, and that in words."""

    samples: int
    message: str


class SettingsOut(msgspec.Struct):
    """How the pages are to look. `time`: site, local or utc; `units`: auto or kilo; `columns` of the fleet's list.

    `notify`: whether the desktop window tells of a new alarm while nobody looks at it.
    """

    theme: str = "system"
    time: str = "site"
    units: str = "auto"
    temperature: str = "celsius"
    group: str = "need"
    columns: list[str] = msgspec.field(
        default_factory=lambda: ["vendor", "spark", "power", "today", "yesterday", "age"]
    )
    notify: bool = True


class SettingsPatch(msgspec.Struct, forbid_unknown_fields=True):
    """What is to change of the settings."""

    theme: str | msgspec.UnsetType = msgspec.UNSET
    time: str | msgspec.UnsetType = msgspec.UNSET
    units: str | msgspec.UnsetType = msgspec.UNSET
    temperature: str | msgspec.UnsetType = msgspec.UNSET
    group: str | msgspec.UnsetType = msgspec.UNSET
    columns: list[str] | msgspec.UnsetType = msgspec.UNSET
    notify: bool | msgspec.UnsetType = msgspec.UNSET


class PackageOut(msgspec.Struct):
    """Something that is shipped, with the licence that it names itself."""

    name: str
    version: str
    licence: str
    text: str


class AboutOut(msgspec.Struct):
    """Versions, what is shipped of Python, and where the data is."""

    version: str
    python: str
    sqlite: str
    system: str
    data_folder: str
    database_bytes: int
    demo: bool
    packages: list[PackageOut]


class SecretStoreOut(msgspec.Struct):
    """Where credentials are kept; `words` is a sentence for a person."""

    kind: str
    in_keyring: int
    in_file: int
    words: str


class ExportIn(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be written: of one site or of all, `from` a moment `to` another; null for no bound."""

    site: int | None = None
    since: str | None = msgspec.field(name="from", default=None)
    to: str | None = None


class ExportOut(msgspec.Struct):
    """An export. `state`: waiting, running, done, failed, stopped; `done` of `total` values are written."""

    name: str
    what: str
    state: str
    began_at: int
    done: int
    total: int | None
    bytes: int
    message: str


class ExportList(msgspec.Struct):
    """Every export, the newest first."""

    items: list[ExportOut]


class HistoryColumn(msgspec.Struct, forbid_unknown_fields=True):
    """What a column of a portal's table means: timestamp, date, time, device or a metric.

    No unit is what the header tells. In a column that means `device` each row tells its own; else `device` is that of a
    metric's whole column.
    """

    name: str
    means: str
    unit: str | None = None
    device: str = ""


class HistoryIn(msgspec.Struct, forbid_unknown_fields=True):
    """How a file is to be read; null is found from the file, no columns are those kept for its header."""

    site: int | None = None
    columns: list[HistoryColumn] = []
    dates: Literal["ymd", "dmy", "mdy"] | None = None
    decimal: Literal[".", ","] | None = None
    interval_s: int | None = None
    stamps: Literal["start", "end"] | None = None
    zone: str | None = None
    replace: bool = False


class HistoryOut(msgspec.Struct):
    """A file to be imported. `state`: ready, running, done, failed, stopped; `share` of it is read, 0 to 1.

    A canonical one needs no columns; `is_known` says that the meaning of its columns is kept from another time.
    """

    id: str
    name: str
    state: str
    is_canonical: bool
    is_known: bool
    columns: list[str]
    meanings: list[str]
    lines: int
    share: float
    said: list[str]


class HistoryPreview(msgspec.Struct):
    """What an import would give, as lines of text."""

    lines: list[str]


class SparklineOut(msgspec.Struct):
    """Mean power of each step of a site, W; null where nothing is known."""

    site_id: int
    values: list[float | None]


class SparklineList(msgspec.Struct):
    """The last 24 hours of some sites, from `start` in steps of `step_s`."""

    start: int
    step_s: int
    items: list[SparklineOut]


class LookedIn(msgspec.Struct, forbid_unknown_fields=True):
    """A look at the fleet; `seen` says that what changed so far has been read."""

    seen: bool = False


class ChangeOut(msgspec.Struct):
    """Something that changed. `kind`: an alarm `began` or `ended`, an `account` is in another state, a site was
    `added`; `words` are the alarm's, or the account's new state.
    """

    at: int
    kind: str
    site_id: int | None
    name: str
    words: str


class ChangesOut(msgspec.Struct):
    """What changed since the user last looked; `items` are the newest of them."""

    since: int
    alerts_began: int
    alerts_ended: int
    accounts: int
    sites_added: int
    items: list[ChangeOut]


class FoundOut(msgspec.Struct):
    """What a search found: a `site`, or a `device` of one; `about` says more of it."""

    kind: str
    site_id: int
    device_id: int | None
    name: str
    about: str


class SearchOut(msgspec.Struct):
    """The first of what a search found, and how many there are."""

    items: list[FoundOut]
    total: int


class Problem(msgspec.Struct):
    """An error (RFC 9457); `detail` is a sentence for a person."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] = msgspec.field(default_factory=list)
