"""What has to be cleared away now and then, and the figures of the days that are over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from sungaze.jobs.context import Context
from sungaze.store import Store
from sungaze.store.days import Curve
from sungaze.vendors import connector

log = logging.getLogger(__name__)

EVERY_S: Final = 3_600.0
_PAGES: Final = 4_096
"""Pages given back to the disk at once, 16 MB: what is left over goes with the next round."""


def tidy(context: Context, stopped: Callable[[], bool] = lambda: False) -> None:
    """Bring the figures of past days up to date; at most once an hour, let raw answers go that are too old or many."""
    now = context.now()
    settle_days(context.store, now, stopped)
    if 0 <= now - context.tidied_at < EVERY_S:
        return
    context.tidied_at = now
    gone = context.store.raw.prune(now, context.raw_bytes)
    if gone:
        log.info("%d raw answers were let go", gone)
        context.store.database.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()


def settle_days(store: Store, now: float, stopped: Callable[[], bool] = lambda: False) -> int:
    """The number of site days that were computed: all that are due and over, unless `stopped` says to leave off."""
    done = 0
    for site in store.days.due(now):
        vendor = connector(site.vendor).vendor
        curve = Curve(vendor.power_metric, vendor.energy_metric, vendor.fine_s, vendor.bucket_s)
        while not stopped() and (days := store.days.settle(site.id, curve, now)):
            done += days
    return done
