"""How old what we show is, and why: DESIGN 3's precedence, in daylight minutes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sungaze.checks.freshness import Facts, Habit, judge, status_word
from sungaze.model import AccountState, Communication, Freshness, SiteStatus

ENPHASE = Habit(45, 120)
CELLULAR = Habit(420, 480)
BERLIN = (52.5, 13.4)
POLAR = (75.0, 20.0)


def utc(text: str) -> int:
    return int(dt.datetime.fromisoformat(text + "+00:00").timestamp())


NOON = utc("2026-06-01T11:00")
NIGHT = utc("2026-06-01T23:30")
SUNSET = utc("2026-06-01T19:17")  # of Berlin, by the almanac within two minutes


def facts(now: int, age_min: float | None, **values: Any) -> Facts:
    """A Berlin site whose newest sample ended so long ago, asked just now by an account that works."""
    measured = None if age_min is None else int(now - age_min * 60)
    known: dict[str, Any] = {
        "measured_end": measured, "power_w": 500.0, "peak_w": 6_000.0, "fetched_at": now, "last_report_at": measured,
        "next_look_at": now + 900.0, "account_state": "connected", "account_reason": "", "latitude": BERLIN[0],
        "longitude": BERLIN[1], "provisional": False, "timezone": "Europe/Berlin",
    }  # fmt: skip
    return Facts(**known | values)


def word(now: int, age_min: float | None, habit: Habit = ENPHASE, **values: Any) -> tuple[Freshness, str]:
    verdict = judge(facts(now, age_min, **values), habit, now)
    return verdict.freshness, verdict.code


BROKEN = [AccountState.NEEDS_RECONNECT, AccountState.CHANGED, AccountState.NOT_ENTITLED]


# -- the precedence --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [*BROKEN, "connected"])
@pytest.mark.parametrize("now", [NOON, NIGHT])
def test_without_a_sample_a_site_is_never_whatever_else_holds(state: str, now: int) -> None:
    assert word(now, None, account_state=state) == (Freshness.NEVER, "never")


@pytest.mark.parametrize("state", BROKEN)
@pytest.mark.parametrize("now", [NOON, NIGHT])
def test_a_broken_account_makes_stale_by_day_and_by_night(state: str, now: int) -> None:
    verdict = judge(facts(now, 1, account_state=state, account_reason="the password is refused"), ENPHASE, now)
    assert (verdict.freshness, verdict.code, verdict.reason) == (
        Freshness.STALE,
        "account",
        "the password is refused",
    )


@pytest.mark.parametrize("state", [s for s in AccountState if s not in BROKEN])
def test_an_account_that_only_has_to_wait_does_not_make_stale(state: AccountState) -> None:
    assert word(NOON, 10, account_state=state) == (Freshness.FRESH, "")


@pytest.mark.parametrize(
    ("age_min", "expected"),
    [
        (0, (Freshness.FRESH, "")),
        (45, (Freshness.FRESH, "")),
        (46, (Freshness.LATE, "vendor_late")),
        (120, (Freshness.LATE, "vendor_late")),
        (121, (Freshness.STALE, "site_silent")),
    ],
)
def test_by_day_age_goes_from_fresh_by_late_to_stale(age_min: float, expected: tuple[Freshness, str]) -> None:
    assert word(NOON, age_min) == expected


@pytest.mark.parametrize(("age_min", "expected"), [(400, "fresh"), (450, "late"), (481, "stale")])
def test_a_cellular_site_has_a_habit_of_its_own(age_min: float, expected: str) -> None:
    now = utc("2026-06-01T15:00")
    assert word(now, age_min, CELLULAR)[0] == expected


def test_a_site_that_reported_until_near_sunset_is_asleep_and_says_since_when() -> None:
    verdict = judge(facts(NIGHT, (NIGHT - SUNSET) / 60 + 30), ENPHASE, NIGHT)
    assert (verdict.freshness, verdict.code) == (Freshness.ASLEEP, "asleep")
    assert verdict.reason.startswith("asleep since 1 Jun 21:1")


def test_a_site_that_fell_silent_long_before_sunset_is_stale_by_night() -> None:
    assert word(NIGHT, (NIGHT - SUNSET) / 60 + 200) == (Freshness.STALE, "site_silent")


def test_a_night_makes_nothing_old() -> None:
    sunrise = utc("2026-06-02T02:50")
    assert word(sunrise + 40 * 60, (sunrise + 40 * 60 - SUNSET) / 60)[0] == Freshness.FRESH
    assert word(sunrise + 70 * 60, (sunrise + 70 * 60 - SUNSET) / 60)[0] == Freshness.LATE


# -- why -------------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 30 * 1440), st.integers(0, 60 * 24 * 3))
def test_a_site_that_was_not_asked_since_is_late_at_most(unasked_min: int, shift_min: int) -> None:
    now = NOON + 60 * shift_min
    asked = now - unasked_min * 60
    verdict = judge(facts(now, unasked_min + 5, fetched_at=asked, last_report_at=None), ENPHASE, now)
    assert verdict.freshness in {Freshness.FRESH, Freshness.LATE, Freshness.ASLEEP}


def test_a_site_that_was_not_asked_says_when_it_will_be() -> None:
    verdict = judge(facts(NOON, 300, fetched_at=NOON - 299 * 60, next_look_at=utc("2026-06-01T20:40")), ENPHASE, NOON)
    assert (verdict.freshness, verdict.code) == (Freshness.LATE, "not_asked")
    assert verdict.reason == "not asked yet (next look 22:40)"


def test_a_site_whose_account_waits_says_why() -> None:
    verdict = judge(
        facts(NOON, 300, fetched_at=None, account_state="quota_spent", account_reason="the month is spent"),
        ENPHASE,
        NOON,
    )
    assert (verdict.freshness, verdict.reason) == (Freshness.LATE, "not asked: the month is spent")


@pytest.mark.parametrize(
    ("next_look", "words"),
    [(None, "not planned"), (NOON + 30.0, "now"), (utc("2026-06-02T04:05"), "2 Jun 06:05")],
)
def test_the_next_look_is_told_on_the_sites_clock(next_look: float | None, words: str) -> None:
    assert judge(facts(NOON, None, next_look_at=next_look), ENPHASE, NOON).reason == f"nothing yet (next look {words})"


def test_a_vendor_that_hears_from_the_site_but_gives_nothing_is_late_itself() -> None:
    verdict = judge(facts(NOON, 200, last_report_at=NOON - 60), ENPHASE, NOON)
    assert (verdict.freshness, verdict.code) == (Freshness.STALE, "vendor_late")


def test_a_silent_site_says_since_when_it_is_by_whichever_word_is_newer() -> None:
    verdict = judge(facts(NOON, 200, last_report_at=NOON - 40 * 86_400), ENPHASE, NOON)
    assert (verdict.code, verdict.reason) == ("site_silent", "site silent since 09:40")


def test_a_site_without_a_position_ages_by_the_clock() -> None:
    assert word(NIGHT, 130, latitude=None, longitude=None) == (Freshness.STALE, "site_silent")
    assert word(NIGHT, 40, latitude=None, longitude=None) == (Freshness.FRESH, "")


# -- a position that is only the zone's main city --------------------------------------------------------------------


def test_a_site_that_produces_is_awake_though_the_sun_has_set_on_its_zones_city() -> None:
    assert word(SUNSET + 1_800, 10, provisional=True, power_w=900.0) == (Freshness.FRESH, "")


def test_a_site_without_power_near_the_citys_sunset_is_taken_for_asleep() -> None:
    now = SUNSET - 1_800
    assert word(now, 60, provisional=True, power_w=0.0) == (Freshness.ASLEEP, "asleep")
    assert word(now, 60, provisional=False, power_w=0.0)[0] == Freshness.LATE


def test_a_site_without_power_at_noon_is_not_taken_for_asleep() -> None:
    assert word(NOON, 60, provisional=True, power_w=0.0)[0] == Freshness.LATE


def test_a_site_long_silent_is_not_asleep_near_the_citys_sunset() -> None:
    assert word(SUNSET - 1_800, 200, provisional=True, power_w=0.0) == (Freshness.STALE, "site_silent")


# -- where the sun neither rises nor sets ----------------------------------------------------------------------------

POLAR_NIGHT = utc("2026-12-20T12:00")


def test_polar_day_has_no_night_to_sleep_through() -> None:
    now = utc("2026-06-20T23:30")
    here = {"latitude": POLAR[0], "longitude": POLAR[1]}
    assert word(now, 130, **here) == (Freshness.STALE, "site_silent")
    assert word(now, 30, **here) == (Freshness.FRESH, "")


def test_a_site_that_reported_until_polar_night_sleeps_through_it() -> None:
    last_sun = utc("2026-11-04T12:00")
    here = {"latitude": POLAR[0], "longitude": POLAR[1]}
    verdict = judge(facts(POLAR_NIGHT, (POLAR_NIGHT - last_sun) / 60, **here), ENPHASE, POLAR_NIGHT)
    assert (verdict.freshness, verdict.reason) == (Freshness.ASLEEP, "asleep")


@pytest.mark.parametrize("silent_since", ["2026-10-20T12:00", "2026-05-01T12:00"])
def test_a_site_that_was_silent_before_polar_night_is_not_asleep(silent_since: str) -> None:
    here = {"latitude": POLAR[0], "longitude": POLAR[1]}
    assert word(POLAR_NIGHT, (POLAR_NIGHT - utc(silent_since)) / 60, **here) == (Freshness.STALE, "site_silent")


# -- as a whole ------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 365 * 1440),
    st.one_of(st.none(), st.integers(0, 20 * 1440)),
    st.one_of(st.none(), st.integers(0, 20 * 1440)),
    st.floats(-89, 89),
    st.sampled_from([s.value for s in AccountState]),
    st.booleans(),
)
def test_any_facts_have_a_word_and_only_fresh_needs_no_reason(
    shift: int, age: int | None, asked: int | None, latitude: float, state: str, provisional: bool
) -> None:
    now = NOON + 60 * shift
    given_facts = facts(
        now, age, fetched_at=None if asked is None else now - 60 * asked, latitude=latitude, account_state=state,
        provisional=provisional,
    )  # fmt: skip
    verdict = judge(given_facts, ENPHASE, now)
    assert (verdict.reason == "") == (verdict.freshness == Freshness.FRESH)
    assert (verdict.code == "") == (verdict.freshness == Freshness.FRESH)


# -- the status word -------------------------------------------------------------------------------------------------

HOUR = 3_600


@pytest.mark.parametrize(
    ("said", "communication", "measured", "reported", "fetched", "expected"),
    [
        ("normal", "ok", NOON, NOON, NOON, "normal"),
        ("fault", "ok", NOON, NOON, NOON, "fault"),
        ("fault", "silent", NOON, NOON, NOON, "offline"),  # silent is offline, never fault
        ("normal", "unknown", NOON - 25 * HOUR, None, NOON, "offline"),
        ("normal", "unknown", NOON - 23 * HOUR, None, NOON, "normal"),
        ("normal", "unknown", NOON - 25 * HOUR, NOON - HOUR, NOON, "normal"),
        ("normal", "unknown", NOON - 25 * HOUR, None, None, "normal"),  # not asked
        ("normal", "unknown", NOON - 25 * HOUR, None, NOON - 24 * HOUR, "normal"),  # not asked since
        ("unknown", "unknown", None, None, NOON, "unknown"),
        ("inactive", "silent", None, None, NOON, "inactive"),  # muted stays quiet
        ("pending", "silent", NOON - 90 * HOUR, None, NOON, "pending"),
    ],
)
def test_a_sites_status_follows_from_its_facts(
    said: str, communication: str, measured: int | None, reported: int | None, fetched: int | None, expected: str
) -> None:
    word = status_word(SiteStatus(said), Communication(communication), measured, reported, fetched)
    assert word == expected
