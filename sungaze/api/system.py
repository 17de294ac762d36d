"""Health, the launch key's exchange and the stream of events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.datastructures.state import State
from litestar.exceptions import NotFoundException, PermissionDeniedException
from litestar.params import JSONBody
from litestar.response import ServerSentEvent, ServerSentEventMessage

from sungaze import __version__, clock
from sungaze.api.auth import Sessions, cookie_name
from sungaze.api.parts import GivenParts, Parts
from sungaze.api.shapes import Health, PresentOut, ServerOut, SessionIn, SessionOut, TokenIn

SETTLE_S: Final = 0.25
"""Events that come within it are told as one."""
BEAT_S: Final = 15.0


@get("/api/health", operation_id="getHealth", sync_to_thread=False)
def get_health(parts: GivenParts, request: Request[None, None, State]) -> Health:
    """Whether the parts run. Open to all, so it tells nothing of the data."""
    cookie = request.cookies.get(cookie_name(parts.port))
    known = parts.sessions.knows(cookie)
    told = known or parts.sessions.bearer_ok(request.headers.get("authorization", ""))
    trouble = parts.context.agreement.trouble if told else ""
    trouble = trouble or clock.trouble_of(parts.context.now(), parts.context.worked_until if told else None)
    kept = " ".join(parts.context.troubles.values()) if told else ""
    return Health("ok", __version__, parts.demo, known, clock=trouble, trouble=kept)


@post("/api/session", operation_id="openSession", status_code=200, sync_to_thread=False)
def open_session(parts: GivenParts, data: JSONBody[SessionIn]) -> Response[SessionOut]:
    """Exchange a one-use launch key for the session's cookie."""
    return exchange_key(parts.sessions, parts.port, data)


def exchange_key(sessions: Sessions, port: int, data: SessionIn) -> Response[SessionOut]:
    """The session's cookie for a launch key. Raises PermissionDeniedException for one that opens nothing."""
    opened = sessions.open(data.key)
    if opened is None:
        raise PermissionDeniedException(
            "This link was used already, or is not of this start of Sungaze. Start Sungaze again to get a new one."
        )
    value, window = opened
    cookie = Cookie(key=cookie_name(port), value=value, path="/", httponly=True, samesite="strict")
    return Response(SessionOut(reload=window), cookies=[cookie])


@post("/api/session/link", operation_id="newLaunchKey", status_code=200, include_in_schema=False, sync_to_thread=False)
def new_launch_key(parts: GivenParts) -> dict[str, str]:
    """A new launch key, for a second start on the same folder; the guard has checked that it may ask."""
    return {"key": parts.sessions.launch_key()}


@post("/api/server/token", operation_id="giveServerToken", status_code=200, sync_to_thread=False)
def give_server_token(data: JSONBody[TokenIn]) -> ServerOut:
    """Give a window on a server elsewhere the server's token; only `sungaze --connect` takes it."""
    raise NotFoundException("This is no window on a server elsewhere, so it needs no token. Nothing was changed.")


@post("/api/window/present", operation_id="presentWindow", status_code=200, sync_to_thread=False)
def present_window(parts: GivenParts, request: Request[None, None, State]) -> PresentOut:
    """Bring the desktop window to the front, for a second start on the same folder, by the lock file's secret only."""
    return present_for(parts.sessions, request, parts.present)


def present_for(sessions: Sessions, request: Request[None, None, State], present: Callable[[], bool]) -> PresentOut:
    """Whether there is a window, which is in front now. Raises PermissionDeniedException."""
    if not sessions.is_owner(request.headers.get("authorization", "")):
        raise PermissionDeniedException("Only a second start of Sungaze on this computer may ask this.")
    return PresentOut(present())


@get("/api/events", operation_id="streamEvents", media_type="text/event-stream", sync_to_thread=False)
def stream_events(parts: GivenParts) -> ServerSentEvent:
    """What changes, as it changes: `sites` and `accounts` with `{"ids": […]}`, `everything` with none, and `beat`."""
    return ServerSentEvent(_events(parts))


async def _events(parts: Parts) -> AsyncIterator[ServerSentEventMessage]:
    events = parts.context.events
    loop, woken = asyncio.get_running_loop(), asyncio.Event()

    def wake() -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(woken.set)

    listener = events.listen(wake)
    yield ServerSentEventMessage(event="hello", data="{}")
    try:
        while not events.closed:
            try:
                await asyncio.wait_for(woken.wait(), BEAT_S)
            except TimeoutError:
                yield ServerSentEventMessage(event="beat", data="{}")
                continue
            await asyncio.sleep(SETTLE_S)
            woken.clear()
            gathered: dict[str, set[int]] = {}
            while not listener.empty():
                event = listener.get_nowait()
                gathered.setdefault(event.name, set()).update(event.ids)
            for name, ids in gathered.items():
                yield ServerSentEventMessage(event=name, data=msgspec.json.encode({"ids": sorted(ids)}).decode())
    finally:
        events.leave(listener)


ROUTES = [get_health, open_session, new_launch_key, present_window, give_server_token, stream_events]
