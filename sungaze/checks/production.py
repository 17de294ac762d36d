"""Is a site or a device silent, or does it give nothing, by day? Findings with their evidence, at a given now.

A finding is raised by evidence and ended by evidence only: where the facts do not tell, it stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from sungaze import clock
from sungaze.model import Freshness, Severity, Span

NOTHING_SHARE: Final = 0.003
"""Of the peak: less than it is no production."""
SOMETHING_SHARE: Final = 0.01
ZERO_S: Final = 2 * 3_600
"""By day a site that gives nothing for so long is in trouble, whatever the weather."""
NEIGHBOURS_ZERO_S: Final = 45 * 60
NEIGHBOURS_SHARE: Final = 0.1
"""What its neighbours give of their peak, in the middle, when a site of nothing stands out."""
EDGE_S: Final = 2 * 3_600
"""After sunrise and before sunset nothing is judged: roofs look east and west, and positions may be a city's."""
DEVICE_SILENT_MIN: Final = 120.0
"""Daylight minutes that a device may be behind its neighbours on the same roof."""
MOST_DEVICES: Final = 0.5
"""When more of them are silent it is not the devices' trouble."""

SITE_SILENT: Final = "site_silent"
ZERO: Final = "zero_by_day"
ZERO_AMONG: Final = "zero_while_neighbours_produce"
DEVICE_SILENT: Final = "device_silent"


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a site at `now`. Instants are epoch seconds, powers W.

    `reason_code` and `freshness` are freshness's verdict; `heard_at` the last word from the site; `power` the newest
    samples (start, mean) of `interval_s`, oldest first; `devices` the newest sample's start of each producing device by
    vendor_device_id; `neighbours` the share of its peak that each nearby site gives in the same hour.
    """

    now: float
    freshness: Freshness
    reason_code: str
    heard_at: int | None
    peak_w: float | None
    latitude: float | None
    longitude: float | None
    interval_s: int
    power: Sequence[tuple[int, float]]
    devices: Mapping[str, int] = {}
    neighbours: Sequence[float] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong since `since`, with its evidence in words; of a device, or of the site itself."""

    code: str
    severity: Severity
    evidence: str
    since: int
    vendor_device_id: str = ""


class Judgement(msgspec.Struct, frozen=True):
    """What was found, and the codes of which the facts tell nothing: theirs stay as they are."""

    found: tuple[Finding, ...]
    untold: frozenset[str]


def judge(facts: Facts) -> Judgement:
    """All that is wrong with a site, as far as the facts tell."""
    found: list[Finding] = []
    untold: set[str] = set()
    for check, codes in ((_silent, {SITE_SILENT}), (_nothing, {ZERO, ZERO_AMONG}), (_devices, {DEVICE_SILENT})):
        findings = check(facts)
        if findings is None:
            untold |= codes
        else:
            found += findings
    return Judgement(tuple(found), frozenset(untold))


def _silent(facts: Facts) -> list[Finding] | None:
    if facts.reason_code == "site_silent" and facts.heard_at is not None:
        said = "The vendor has not heard of this site since then, although the sun is up there."
        return [Finding(code=SITE_SILENT, severity=Severity.ERROR, evidence=said, since=facts.heard_at)]
    return [] if facts.freshness in {Freshness.FRESH, Freshness.ASLEEP} else None


def _nothing(facts: Facts) -> list[Finding] | None:
    if facts.freshness != Freshness.FRESH or not facts.peak_w or not facts.power or not facts.interval_s:
        return None
    newest = facts.power[-1][0] + facts.interval_s
    if any(value > SOMETHING_SHARE * facts.peak_w for at, value in facts.power if at >= newest - NEIGHBOURS_ZERO_S):
        return []
    since = newest
    for at, value in reversed(facts.power):
        if value > NOTHING_SHARE * facts.peak_w or since - at > 2 * facts.interval_s:
            break
        since = at
    day = _middle_of_day(facts, newest)
    if day is None:
        return None
    since = max(since, day.start)
    found = []
    if newest - since >= ZERO_S:
        hours = (newest - since) / 3_600
        said = (
            f"It has given nothing for {hours:.1f} h of full daylight (under {NOTHING_SHARE:.1%} of its "
            f"{facts.peak_w / 1000:.3g} kW), and it does report."
        )
        found.append(Finding(code=ZERO, severity=Severity.ERROR, evidence=said, since=since))
    around = sorted(facts.neighbours)
    middle = around[len(around) // 2] if around else 0.0
    if newest - since >= NEIGHBOURS_ZERO_S and len(around) >= 2 and middle >= NEIGHBOURS_SHARE:
        said = f"It gives nothing while {len(around)} sites nearby give {middle:.0%} of their peak."
        found.append(Finding(code=ZERO_AMONG, severity=Severity.ERROR, evidence=said, since=since))
    # Nothing, but not for long enough to be sure: neither raised nor ended.
    return found or None


def _devices(facts: Facts) -> list[Finding] | None:
    if facts.freshness != Freshness.FRESH or len(facts.devices) < 2:
        return None
    newest = max(facts.devices.values())
    behind = {key: at for key, at in facts.devices.items() if _daylight_min(facts, at, newest) > DEVICE_SILENT_MIN}
    if len(behind) > MOST_DEVICES * len(facts.devices):
        return None
    others = len(facts.devices) - len(behind)
    said = f"It has reported nothing since then, while {others} of {len(facts.devices)} on the same roof do."
    return [
        Finding(code=DEVICE_SILENT, severity=Severity.WARNING, evidence=said, since=at, vendor_device_id=key)
        for key, at in sorted(behind.items())
    ]


def _daylight_min(facts: Facts, start: int, end: int) -> float:
    if facts.latitude is None or facts.longitude is None:
        return (end - start) / 60
    return clock.daylight_minutes(start, end, facts.latitude, facts.longitude)


def _middle_of_day(facts: Facts, at: float) -> Span | None:
    """The part of the day around an instant in which a site has to produce; None outside of it."""
    if facts.latitude is None or facts.longitude is None:
        return None
    for span in clock.daylight_near(at, facts.latitude, facts.longitude):
        middle = Span(span.start + EDGE_S, span.end - EDGE_S)
        if middle.start <= at <= middle.end:
            return middle
    return None
