"""Everything that touches the database, behind one `Store`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sungaze.store.alerts import Alerts
from sungaze.store.care import Care
from sungaze.store.database import PAGES_AT_ONCE, Database, Progress
from sungaze.store.days import Days
from sungaze.store.fleet import Fleet
from sungaze.store.ledger import Ledger
from sungaze.store.memory import Memory
from sungaze.store.messages import Messages
from sungaze.store.places import Places
from sungaze.store.raw import RawAnswers
from sungaze.store.recent import Recent
from sungaze.store.seal import Damage, Sealed
from sungaze.store.timeseries import TimeSeries
from sungaze.store.work import Work


class Store:
    """One database file and all that is kept in it."""

    def __init__(self, path: Path, progress: Progress | None = None) -> None:
        """Open or make the file, migrated to the newest schema. Raises StoreError and its children."""
        self.database = Database(path, progress)
        self.timeseries = TimeSeries(self.database)
        self.recent = Recent(self.database)
        self.fleet = Fleet(self.database, self.timeseries)
        self.days = Days(self.database, self.timeseries, self.fleet)
        self.ledger = Ledger(self.database)
        self.work = Work(self.database)
        self.alerts = Alerts(self.database)
        self.places = Places(self.database)
        self.care = Care(self.database)
        self.raw = RawAnswers(self.database)
        self.messages = Messages(self.database)
        self.memory = Memory(self.database)

    def forget_site(self, site_id: int) -> int:
        """Delete a site with everything that is kept of it, and its place where that was its only one.

        The number of values that went. Series by series, so that nobody waits long for a turn to write.
        """
        samples = self.timeseries.forget(site_id)
        self.fleet.forget_site(site_id)
        self.database.give_back()
        return samples

    def seal(
        self,
        now: float,
        *,
        late_days: Mapping[str, int] = {},
        everything: bool = False,
        step: Callable[[Sealed], bool] = lambda _: True,
    ) -> Sealed:
        """Fold days that are past their vendor's late window into blocks and give their room back: `Archive.fold`."""

        def then(done: Sealed) -> bool:
            # While there are few, which is quick.
            self.database.give_back(over=PAGES_AT_ONCE)
            return step(done)

        done = self.timeseries.archive.fold(now, late_days=late_days, everything=everything, step=then)
        before, free = -1, self.database.give_back() if done.samples else 0
        while 0 < free != before and step(done):
            before, free = free, self.database.give_back()
        return done

    def check_blocks(self) -> list[Damage]:
        """The blocks that are not what was written, each decoded whole."""
        return self.timeseries.archive.damages()

    def close(self) -> None:
        """Close this thread's connection; other threads close their own as they end."""
        self.database.close()
