"""The error tree.

    SungazeError
    ├── VendorError            a call to a vendor that brought no data; the last good data stays on screen
    │   ├── NeedsReconnect     credentials refused, or the session is over and one new login failed
    │   ├── QuotaSpent         nothing more may be asked before `until`
    │   ├── Unavailable        network, 5xx, time-out, blocked for a while; again after `retry_after_s`
    │   │   └── ClockWrong     the vendor's server says another day than this computer's clock; `said` is its time
    │   ├── Changed            the answer is not what we know; `where` names the place
    │   └── NotEntitled        the plan or the grant does not give `what`
    ├── UserError              something a person can mend: one sentence, exit code 2 on the command line
    │   ├── ConfigError        a setting or a .env line
    │   ├── FolderInUse        another Sungaze owns the data folder; `url` is where it runs
    │   └── StoreError         the database cannot be used
    │       ├── NewerDatabase  written by a newer version
    │       └── NotADatabase   the file is something else
    ├── DamagedBlock           a month of sealed history that does not carry its checksum
    └── NotFound               an id that is not there

This module imports nothing of ours.
"""

from __future__ import annotations


class SungazeError(Exception):
    """The root. `str()` is a sentence for a person: what happened, what was kept, what to do."""


class VendorError(SungazeError):
    """A call to a vendor that brought no data."""

    state = "unavailable"
    """The AccountState that this error puts its account into."""


class NeedsReconnect(VendorError):
    """The vendor refuses the credentials; only the user can give new ones."""

    state = "needs_reconnect"


class QuotaSpent(VendorError):
    """No call is left in a window; `until` is the epoch second at which the next one opens."""

    state = "quota_spent"

    def __init__(self, message: str, until: float) -> None:
        super().__init__(message)
        self.until = until


class Unavailable(VendorError):
    """The vendor did not answer usefully; ask again after `retry_after_s` seconds.

    `whole` says that the account as a whole cannot be asked, not one endpoint or site of it.
    """

    state = "unavailable"

    def __init__(self, message: str, retry_after_s: float = 300.0, *, whole: bool = False) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.whole = whole


class ClockWrong(Unavailable):
    """An answer was made on another day than this computer's clock shows: at the epoch second `said`."""

    def __init__(self, message: str, said: float) -> None:
        super().__init__(message, whole=True)
        self.said = said


class Changed(VendorError):
    """The answer has a shape that this version does not know; `where` is the endpoint and the field."""

    state = "changed"

    def __init__(self, message: str, where: str) -> None:
        super().__init__(message)
        self.where = where


class NotEntitled(VendorError):
    """The plan or the grant does not give `what`."""

    state = "not_entitled"

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


class UserError(SungazeError):
    """Something a person can mend."""


class ConfigError(UserError):
    """A setting or a line of .env that cannot be used."""


class FolderInUse(UserError):
    """Another Sungaze owns the data folder; `url` is the address it runs at, where known."""

    def __init__(self, message: str, url: str | None) -> None:
        super().__init__(message)
        self.url = url


class StoreError(UserError):
    """The database cannot be used."""


class NewerDatabase(StoreError):
    """The database was written by a newer version of Sungaze."""


class NotADatabase(StoreError):
    """The file is not an SQLite database."""


class DamagedBlock(SungazeError):
    """A sealed block, or a part of it, is not what was written."""


class NotFound(SungazeError):
    """An id that is not there."""
