"""What lists of many sites show of their newest figures: one query for all of them.

From rows alone, because the archive leaves these as rows: the newest sample of each series, whatever is younger than
KEPT_DAYS, and the sites' own daily figures.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sungaze.model import DAY_S, SITE_DEVICE_ID, Span
from sungaze.store.database import Database


class Recent:
    """The newest figures of the sites of one store, of the sites themselves and not of their devices."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def newest(self, metric: str, sites: Collection[int] | None = None) -> dict[int, tuple[int, float, int]]:
        """The newest sample of each site, or of these: (timestamp, value, interval in seconds) by site id.

        A site may send at several intervals shorter than a day: of these, the one that reaches furthest.
        """
        return {
            site_id: (int(at), float(value), int(interval_s))
            for site_id, at, value, interval_s in self._db.rows(
                "SELECT site_id, newest.timestamp, newest.value, interval_s FROM series JOIN sample AS newest ON "
                "newest.series_id = series.id AND newest.timestamp = (SELECT max(timestamp) FROM sample WHERE "
                f"series_id = series.id) WHERE device_id = {SITE_DEVICE_ID} AND metric = ? AND interval_s < {DAY_S}"
                f"{_of(sites)} ORDER BY newest.timestamp + interval_s",
                (metric,),
            )
        }

    def days(self, metric: str, after: int, sites: Collection[int] | None = None) -> dict[int, dict[int, float]]:
        """The vendor's own daily figures that start after an instant, of each site or these, by site id and start."""
        found: dict[int, dict[int, float]] = {}
        for site_id, at, value in self._db.rows(
            f"SELECT site_id, timestamp, value FROM series JOIN sample ON series_id = series.id WHERE device_id = "
            f"{SITE_DEVICE_ID} AND metric = ? AND interval_s = {DAY_S} AND timestamp > ?{_of(sites)}",
            (metric, after),
        ):
            found.setdefault(site_id, {})[at] = value
        return found

    def means(
        self, sites: Collection[int], metrics: Sequence[str], span: Span, step_s: int, *, moments: bool
    ) -> dict[int, dict[int, float]]:
        """The mean of each step of a span that is younger than KEPT_DAYS, by site id and number of the step.

        Of intervals no longer than a step, and of `moments` too where that is asked for.
        """
        found: dict[int, dict[int, float]] = {}
        for site_id, step, mean in self._db.rows(
            "SELECT site_id, (timestamp - ?) / ? AS step, avg(value) FROM series JOIN sample ON series_id = series.id "
            f"WHERE device_id = {SITE_DEVICE_ID} AND metric IN ({','.join('?' * len(metrics))}) AND interval_s BETWEEN "
            f"? AND ? AND timestamp >= ? AND timestamp < ?{_of(sites)} GROUP BY site_id, step",
            (span.start, step_s, *metrics, 0 if moments else 1, step_s, span.start, span.end),
        ):
            found.setdefault(site_id, {})[step] = mean
        return found


def _of(sites: Collection[int] | None) -> str:
    return "" if sites is None else f" AND site_id IN ({','.join(str(int(site)) for site in sites)})"
