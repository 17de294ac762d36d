"""What a vendor file provides: requests in, answers out; no sockets."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, NamedTuple
from urllib.parse import parse_qs

from sungaze.emulators._quota import Quota
from sungaze.emulators.faults import COMMON_FAULTS, Faults
from sungaze.emulators.world import World

Delivery = Literal["plain", "truncated", "huge", "slow"]
OVERLOAD_PAGE = (
    "<!DOCTYPE html><html><head><title>Service busy</title></head>"
    "<body><h1>We are under heavy load</h1><p>The queue is full, please come back later.</p></body></html>"
)


class Plan(NamedTuple):
    """A plan's limits: calls per clock minute and per month."""

    per_minute: int
    per_month: int


class TruthRow(NamedTuple):
    """One line of the truth: canonical names, interval start as epoch seconds."""

    site_id: str
    device_id: str
    metric: str
    interval_s: int
    start: int
    value: float


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; header names are lower case, `path` is decoded and without its query."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    def first(self, name: str) -> str | None:
        """Return the first value of a query parameter, or None."""
        return self.query[name][0] if self.query.get(name) else None

    def form(self) -> dict[str, str]:
        """Return the form body's first values."""
        pairs = parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        return {name: values[0] for name, values in pairs.items()}


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer and the way its body is delivered."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    delivery: Delivery = field(default="plain")


def json_answer(
    value: object,
    status: int = 200,
    content_type: str = "application/json",
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """Return `value` as a JSON answer."""
    return Answer(status, json.dumps(value, separators=(",", ":")).encode(), content_type, headers)


class Service(ABC):
    """A vendor's server side without its socket; a vendor file holds exactly one subclass.

    `DIALECTS` is empty where a vendor has one; the subclass of a further one lies in a private file. The plan named
    by `DEFAULT_PLAN` is used when none is asked for.
    """

    VENDOR: ClassVar[str]
    METHOD: ClassVar[str]
    PLANS: ClassVar[Mapping[str, Plan]]
    DEFAULT_PLAN: ClassVar[str]
    DIALECTS: ClassVar[tuple[str, ...]] = ()
    OWN_FAULTS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, world: World, plan: str, now: Callable[[], float], faults: Mapping[str, float]) -> None:
        self.world = world
        self.plan = plan
        self.now = now
        self.faults = Faults(COMMON_FAULTS + self.OWN_FAULTS, faults, world.seed)
        self.quota = Quota(now, *self.PLANS[plan])

    @property
    @abstractmethod
    def credentials(self) -> dict[str, str]:
        """Return what a user would paste to connect, fixed by the world's seed."""

    @abstractmethod
    def answer(self, request: Request) -> Answer:
        """Return the answer to one request."""

    @classmethod
    @abstractmethod
    def truth(cls, world: World, k: int, start: int, end: int) -> Iterator[TruthRow]:
        """Yield the canonical rows of site `k` whose intervals lie wholly inside [start, end)."""

    @classmethod
    def speaking(cls, dialect: str | None) -> type[Service]:
        """Return the service of one of `DIALECTS`, the usual one for None."""
        return cls

    def delivered(self) -> None:  # noqa: B027 - most vendors do not count what is under way
        """Take note that an answer has gone out, or that its client has hung up."""

    def open(self) -> None:  # noqa: B027 - most vendors have nothing beside HTTP
        """Start what the vendor serves beside HTTP; called once, before the emulator answers."""

    def close(self) -> None:  # noqa: B027 - likewise
        """Stop what `open` and the vendor's own calls have started; more than once does no harm."""

    def overload(self) -> Answer:
        """Return the HTML page of an overloaded front door, by turns as 503 and as 200."""
        status = 503 if self.faults.turn("html") % 2 else 200
        return Answer(status, OVERLOAD_PAGE.encode(), "text/html; charset=utf-8")

    def spoiled(self, answer: Answer) -> Answer:
        """Return the answer as the faults about bodies leave it; refusals pass unharmed."""
        if answer.status != 200:
            return answer
        if self.faults.strikes("shape"):
            answer = replace(answer, body=misshapen(answer.body, self.faults.turn("shape")))
        for delivery in ("truncated", "huge", "slow"):
            if self.faults.strikes(delivery):
                return replace(answer, delivery=delivery)
        return answer


def misshapen(body: bytes, turn: int) -> bytes:
    """Return valid JSON of another shape: by turns the container changed, and numbers turned into words."""
    value = json.loads(body)
    if turn % 2 == 0:
        return json.dumps(_wordy(value)).encode()
    return json.dumps([value] if isinstance(value, dict) else {"data": value}).encode()


def _wordy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _wordy(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_wordy(item) for item in value] if value else "none"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "n/a"
    return value
