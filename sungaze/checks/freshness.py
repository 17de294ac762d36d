"""How old what we show of a site is, and why (DESIGN 3); and the status word that follows from its facts.

Ages count daylight minutes, so that a night makes nothing old.
"""

from __future__ import annotations

import datetime as dt
from typing import Final

import msgspec

from sungaze import clock
from sungaze.model import AccountState, Communication, Freshness, Severity, SiteStatus

TWILIGHT_S: Final = 4_500
"""How far off sunset may be at a place that is known by its zone's main city only."""
ASLEEP_SHARE: Final = 0.02
"""Of the peak: below it a place known by its zone only is taken for asleep near sunset and sunrise."""
SILENT_S: Final = 86_400

_ACCOUNT_BROKEN: Final = frozenset({AccountState.NEEDS_RECONNECT, AccountState.CHANGED, AccountState.NOT_ENTITLED})


class Habit(msgspec.Struct, frozen=True):
    """Daylight minutes after which a vendor's site is late, and stale."""

    late_min: int
    stale_min: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a site's age. Instants are epoch seconds.

    `measured_end` is the end of the newest sample's interval, `fetched_at` when we last asked with success,
    `last_report_at` the vendor's own last word from the site. `provisional` says that the position is only the zone's
    main city; `by_itself`, that the site sends and is not asked.
    """

    measured_end: int | None
    power_w: float | None
    peak_w: float | None
    fetched_at: int | None
    last_report_at: int | None
    next_look_at: float | None
    account_state: str
    account_reason: str
    latitude: float | None
    longitude: float | None
    provisional: bool
    timezone: str | None
    by_itself: bool = False
    paused: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """The freshness word, why in words, and the reason's code.

    Codes: '' (fresh), never, account, asleep, site_silent, vendor_late, not_asked.
    """

    freshness: Freshness
    reason: str
    code: str


def judge(facts: Facts, habit: Habit, now: float) -> Verdict:
    """How fresh a site is, in the order never, broken account, asleep, stale, late, fresh."""
    if facts.measured_end is None:
        return Verdict(Freshness.NEVER, _never(facts, now), "never")
    if facts.account_state in _ACCOUNT_BROKEN:
        return Verdict(Freshness.STALE, facts.account_reason or "the account needs you", "account")
    asleep = _asleep(facts, habit, now)
    if asleep:
        return Verdict(Freshness.ASLEEP, asleep, "asleep")
    age = _daylight(facts, facts.measured_end, now)
    if age <= habit.late_min:
        return Verdict(Freshness.FRESH, "", "")
    asked = facts.fetched_at or 0
    age_when_asked = _daylight(facts, facts.measured_end, max(asked, facts.measured_end))
    if age_when_asked <= habit.late_min:
        return Verdict(Freshness.LATE, _not_asked(facts, now), "not_asked")
    heard = max(facts.last_report_at or 0, facts.measured_end)
    silent = _daylight(facts, heard, max(asked, heard)) > habit.stale_min
    if age_when_asked > habit.stale_min:
        if silent:
            return Verdict(Freshness.STALE, f"site silent since {_local(heard, facts, now)}", "site_silent")
        return Verdict(Freshness.STALE, "vendor late: it hears from the site but gives no figures", "vendor_late")
    return Verdict(Freshness.LATE, f"vendor late (next look {_look(facts, now)})", "vendor_late")


def status_word(
    said: str,
    communication: str,
    measured_end: int | None,
    last_report_at: int | None,
    fetched_at: int | None,
    worst_alert: Severity | None = None,
) -> SiteStatus:
    """The site's status: what its vendor said, unless nothing was heard for a day although we asked.

    The worst alarm that goes on makes a normal site one with a warning or a fault.
    """
    word = SiteStatus(said)
    if word in {SiteStatus.INACTIVE, SiteStatus.PENDING}:
        return word
    if communication == Communication.SILENT:
        return SiteStatus.OFFLINE
    heard = max(measured_end or 0, last_report_at or 0)
    if heard and fetched_at and fetched_at - heard > SILENT_S:
        return SiteStatus.OFFLINE
    if word in {SiteStatus.NORMAL, SiteStatus.UNKNOWN, SiteStatus.WARNING}:
        if worst_alert in {Severity.CRITICAL, Severity.ERROR}:
            return SiteStatus.FAULT
        if worst_alert == Severity.WARNING:
            return SiteStatus.WARNING
    return word


def _asleep(facts: Facts, habit: Habit, now: float) -> str:
    if facts.latitude is None or facts.longitude is None or facts.measured_end is None:
        return ""
    up = clock.sun_up(now, facts.latitude, facts.longitude)
    sunset = clock.last_sunset(now, facts.latitude, facts.longitude)
    if facts.provisional and now - facts.measured_end < habit.late_min * 60 and not _dark(facts):
        # It produces: its own sun has not set, whatever that of the zone's main city does.
        return ""
    if not up:
        if sunset is None:
            # Polar night: whether it had reported until near the last sunset is told by the sun it has missed since.
            reported = _daylight(facts, facts.measured_end, now) <= habit.stale_min
        else:
            reported = facts.measured_end >= sunset - habit.stale_min * 60
        return f"asleep since {_local(sunset, facts, now)}" if reported and sunset else "asleep" if reported else ""
    if facts.provisional and _dark(facts):
        near = clock.daylight_near(now, facts.latitude, facts.longitude)
        dusk = any(0 <= s.end - now < TWILIGHT_S or 0 <= now - s.start < TWILIGHT_S for s in near)
        if dusk and _daylight(facts, facts.measured_end, now) <= habit.stale_min:
            return "asleep"
    return ""


def _dark(facts: Facts) -> bool:
    return (facts.power_w or 0.0) <= ASLEEP_SHARE * (facts.peak_w or 1000.0)


def _daylight(facts: Facts, start: float, end: float) -> float:
    if facts.latitude is None or facts.longitude is None:
        return max(0.0, end - start) / 60
    # The eight days before the end say how old a sample is; under polar night they hold no sun, and the eight after
    # the start do.
    return max(
        clock.daylight_minutes(start, stop, facts.latitude, facts.longitude)
        for stop in (end, min(end, start + 8 * 86_400))
    )


def _never(facts: Facts, now: float) -> str:
    if facts.account_reason:
        return facts.account_reason
    return "nothing yet: it sends by itself" if facts.by_itself else f"nothing yet (next look {_look(facts, now)})"


def _not_asked(facts: Facts, now: float) -> str:
    if facts.account_state != AccountState.CONNECTED and facts.account_reason:
        return f"not asked: {facts.account_reason}"
    if facts.by_itself:
        return "nothing came since Sungaze began to listen"
    return f"not asked yet (next look {_look(facts, now)})"


def _look(facts: Facts, now: float) -> str:
    if facts.paused:
        return "when you let its account go on"
    if facts.by_itself:
        return "when it sends"
    if facts.next_look_at is None:
        return "not planned"
    return "now" if facts.next_look_at <= now + 60 else _local(facts.next_look_at, facts, now)


def _local(instant: float | None, facts: Facts, now: float) -> str:
    if instant is None:
        return "some time"
    tz = clock.zone(facts.timezone) or dt.UTC
    moment = dt.datetime.fromtimestamp(instant, tz)
    same_day = moment.date() == clock.day_of(now, tz)
    return moment.strftime("%H:%M") if same_day else f"{moment.day} {moment:%b %H:%M}"
