"""What has to be cleared away now and then."""

from __future__ import annotations

import logging
from typing import Final

from sungaze.jobs.context import Context

log = logging.getLogger(__name__)

EVERY_S: Final = 3_600.0
_PAGES: Final = 4_096
"""Pages given back to the disk at once, 16 MB: what is left over goes with the next round."""


def tidy(context: Context) -> None:
    """Let raw answers go that are too old or too many, at most once an hour."""
    now = context.now()
    if 0 <= now - context.tidied_at < EVERY_S:
        return
    context.tidied_at = now
    gone = context.store.raw.prune(now, context.raw_bytes)
    if gone:
        log.info("%d raw answers were let go", gone)
        context.store.database.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
