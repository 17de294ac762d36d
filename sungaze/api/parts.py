"""What the routes work with, handed to them by `app`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from litestar.di import NamedDependency
from litestar.params import PathParameter, SkipValidation

from sungaze.api.auth import Sessions
from sungaze.api.board import Board
from sungaze.jobs.context import Context
from sungaze.jobs.grant import Grants
from sungaze.reports.exports import Exports
from sungaze.reports.imports import Imports


@dataclass(kw_only=True)
class Parts:
    """The parts of the running process that the API speaks to."""

    context: Context
    board: Board
    grants: Grants
    sessions: Sessions
    exports: Exports
    imports: Imports
    wake: Callable[[], None]
    diagnostics: Callable[[], bytes]
    port: int
    demo: bool
    present: Callable[[], bool]
    """Brings the desktop window to the front; whether there is one."""


GivenParts = NamedDependency[SkipValidation[Parts]]
"""The parts as a route asks for them."""

LARGEST_ID: Final = (1 << 63) - 1
Id = Annotated[int, PathParameter(ge=0, le=LARGEST_ID)]
"""An id in a path, no larger than the database can hold."""
