"""Is a place snoozed? Judged from what was kept at snoozing, at a given now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec


class Snooze(msgspec.Struct, frozen=True):
    """What was kept when a place was put to rest at `at`: `until` an instant, or the `state` that it then was in."""

    at: int
    until: int | None
    state: str | None


class SiteState(msgspec.Struct, frozen=True):
    """What a snooze until a change looks at: a site's status word, whether its account is broken, its alarms' ids."""

    site_id: int
    status: str
    account_broken: bool
    alerts: Sequence[int]


def fingerprint(sites: Iterable[SiteState]) -> str:
    """The state of a place as one text. Its sites belong to it: one that comes or goes is a change as well."""
    parts = (
        f"{site.site_id}:{site.status}{':account' if site.account_broken else ''}:"
        + ",".join(map(str, sorted(site.alerts)))
        for site in sorted(sites, key=lambda site: site.site_id)
    )
    return ";".join(parts)


def is_snoozed(snooze: Snooze, state: str, ended_at: int | None, now: float) -> bool:
    """Whether a place rests at `now`, where its state is `state` and its newest alarm to end did so at `ended_at`.

    An alarm that came and went meanwhile was a change, although the state is the same again.
    """
    if snooze.until is not None:
        return now < snooze.until
    return snooze.state == state and (ended_at is None or ended_at <= snooze.at)
