"""What has to be cleared away now and then, the figures of the days that are over, and the nightly folding."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from sungaze.jobs.context import Context
from sungaze.model import DAY_S
from sungaze.store import Store
from sungaze.store.days import AT_ONCE, Curve
from sungaze.store.seal import Sealed
from sungaze.vendors import connector, connectors

log = logging.getLogger(__name__)

EVERY_S: Final = 3_600.0
NIGHT: Final = range(1, 5)
"""The hours, by this computer's clock, in which nobody is kept waiting by the folding."""
LONGEST_S: Final = 2 * DAY_S
"""A computer that is off at night folds by day, once it has not for so long."""
_SEALED: Final = "sealed_at"
_PAUSE_S: Final = 0.02


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
        context.store.database.give_back()


def is_seal_due(context: Context) -> bool:
    """Whether the night's folding is to be done now."""
    now, memory = context.now(), context.store.memory
    last = memory.get(_SEALED, float)
    if last is None or last > now:
        memory.put(_SEALED, now)
        return False
    by_night = dt.datetime.fromtimestamp(now).hour in NIGHT
    return now - last > (DAY_S / 4 if by_night else LONGEST_S)


def seal(context: Context, stop: threading.Event) -> Sealed:
    """Fold what is past its vendor's late window, with pauses, until `stop`; what is left then goes the next night."""
    late_days = {vendor_id: found.vendor.late_days for vendor_id, found in connectors().items()}
    try:
        done = context.store.seal(context.now(), late_days=late_days, step=lambda _: not stop.wait(_PAUSE_S))
    finally:
        context.store.memory.put(_SEALED, context.now())
    if done.samples:
        log.info("%d values of past days were folded into %d blocks", done.samples, done.blocks)
    return done


def settle_days(store: Store, now: float, stopped: Callable[[], bool] = lambda: False) -> int:
    """The number of site days that were computed: all that are due and over, unless `stopped` says to leave off."""
    done = 0
    for site in store.days.due(now):
        vendor = connector(site.vendor).vendor
        curve = Curve(vendor.power_metric, vendor.energy_metric, vendor.fine_s, vendor.bucket_s)
        while not stopped() and (days := store.days.settle(site.id, curve, now)):
            done += days
            if days >= AT_ONCE:  # as after an import of years: the pages are not to wait for thousands of them
                time.sleep(_PAUSE_S)
    return done
