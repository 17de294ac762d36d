"""A window on a Sungaze that runs elsewhere: `sungaze --connect URL`.

A loopback server of its own stands between the page and the office's server. So the page is this program's own, the
token never comes into it, and while the office does not answer its last answers are given again, with their time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

import httpx
import msgspec
from litestar import HttpMethod, Litestar, Request, Response, get, post, route
from litestar.datastructures.state import State
from litestar.exceptions import HTTPException
from litestar.params import JSONBody
from litestar.response import Stream

from sungaze import __version__
from sungaze.api.app import pages_routes
from sungaze.api.auth import Guard, Sessions, cookie_name
from sungaze.api.problems import HANDLERS, MEDIA_TYPE, problem
from sungaze.api.shapes import Health, PresentOut, ServerOut, SessionIn, SessionOut, TokenIn
from sungaze.api.system import exchange_key, present_for
from sungaze.config import LOOPBACK, Settings
from sungaze.errors import ConfigError, Unavailable
from sungaze.folder import Folder
from sungaze.serving import Serving, address_of, listen, pages_folder
from sungaze.vault import SecretStore, open_vault

log = logging.getLogger(__name__)

HELD_HEADER: Final = "sungaze-held"
"""On an answer that is given again: when it was given first, in epoch seconds."""
HELD_BYTES: Final = 64 * 2**20
CONNECT_S: Final = 5.0
ANSWER_S: Final = 60.0
"""Longer than the server's beat, so that a stream of events without news is not taken for a broken one."""
REST_S: Final = 2.0
"""How long a server that did not answer is left alone."""
CLOSING_S: Final = 0.25
"""How often a stream looks whether the program is closing."""
EVENTS: Final = "/api/events"
_AWAY: Final = frozenset({502, 503, 504})
"""What a reverse proxy says in place of a server that is away."""
_SENT: Final = ("accept", "accept-language", "content-type")
_RETURNED: Final = ("content-disposition", "retry-after")
_ACCOUNT: Final = 0
"""The vault's number for the server's token; accounts begin at 1."""


class _Lost(Exception):
    """The server gave no answer; `sent` when it may have had the request."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.sent = sent


class _Told(msgspec.Struct):
    """What is read of a server's health: of another version it may hold other things beside."""

    status: str
    version: str
    demo: bool = False
    clock: str = ""
    trouble: str = ""


class _Held(msgspec.Struct):
    """An answer of the server's and when it was given."""

    body: bytes
    media_type: str
    at: float


def server_address(text: str) -> str:
    """Scheme, host and port of a server as a person writes it, or of a link that it printed. Raises ConfigError."""
    given = text.strip() if "://" in text else f"http://{text.strip()}"
    try:
        parts: SplitResult | None = urlsplit(given)
        port = parts.port if parts else None
    except ValueError:
        parts = port = None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or " " in given:
        raise ConfigError(f"“{text}” is no server's address. Write it as http://office-pc:8440. Nothing was started.")
    if "@" in parts.netloc or parts.query or parts.path not in {"", "/"}:
        raise ConfigError(
            "Only the server's name and port belong behind --connect, as in http://office-pc:8440; its token is asked "
            "for in the window. Nothing was started."
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}" if port else f"{parts.scheme}://{host}"


def desk_settings(address: str, settings: Settings, *, named: bool) -> Settings:
    """The settings of a window on a server: always on loopback, and in a folder beside the one of one's own data.

    `named` keeps the folder as it is: the user has chosen it for this.
    """
    folder = settings.data_dir
    if not named:
        folder = folder.with_name(f"{folder.name}-at-{re.sub('[^0-9A-Za-z.]+', '-', address.partition('://')[2])}")
    return msgspec.structs.replace(settings, data_dir=folder, log_dir=None, host="127.0.0.1")


def is_readable_on_the_way(address: str) -> bool:
    """Whether others in the network could read what goes to and fro: plain HTTP beyond this computer."""
    parts = urlsplit(address)
    return parts.scheme == "http" and parts.hostname not in LOOPBACK


class Desk:
    """One running window's worth of a server elsewhere; started and stopped like a Runtime.

    `settings.data_dir` is a folder of this program's own, for the lock, the window's place and, where the system has no
    keyring, the token.
    """

    def __init__(self, server: str, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self.server = server
        self.settings = settings
        self.sessions = Sessions()
        self.address = ""
        self.closing = threading.Event()
        self.present: Callable[[], bool] = lambda: False
        """Brings the window to the front; whether there is one."""
        self.said = f"Asking the server at {server}."
        """How far the start is, as a sentence."""
        self._now = now
        self._undo = contextlib.ExitStack()
        self._vault = open_vault(settings)
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._held_bytes = 0
        self._state: Literal["unasked", "there", "lost", "token", "version", "stranger"] = "unasked"
        self._words = ""
        self._version = __version__
        self._demo = False
        self._clock = self._trouble = ""
        self._heard: float | None = None
        self._tried = float("-inf")
        self._token: str | None = None
        self._client: httpx.AsyncClient

    def start(self) -> None:
        """Take the folder and serve the pages; the server is not asked yet. Raises UserError."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        folder = Folder(self.settings)
        self._undo.callback(folder.release)
        self._undo.callback(self._vault.close)
        self._vault.standing()  # raises what is wrong with its file now, not in the window
        listener = listen(self.settings.host, self.settings.port)
        self._undo.callback(listener.close)
        port = listener.getsockname()[1]
        app = Litestar(
            route_handlers=[*self._routes(port), *pages_routes(pages_folder())],
            exception_handlers=HANDLERS,
            openapi_config=None,
            logging_config=None,
            lifespan=[self._asking],
        )
        self._undo.callback(Serving(Guard(app, self.sessions, host=self.settings.host, port=port), listener).stop)
        self.address = address_of(self.settings.host, port)
        folder.announce(self.address, self.sessions.owner_secret)

    def secrets(self) -> SecretStore:
        """Where the server's token is kept."""
        return self._vault.standing()

    def link(self, *, window: bool = False) -> str:
        """An address that opens one session."""
        return f"{self.address}/#key={self.sessions.launch_key(window=window)}"

    def stop(self) -> None:
        """Stop; may be called more than once."""
        self.closing.set()
        self._undo.close()

    @contextlib.asynccontextmanager
    async def _asking(self, _: Litestar) -> AsyncIterator[None]:
        trusted = httpx.create_ssl_context()
        # An office's own authority is known to the system, not to the list that Python packages bring.
        trusted.load_default_certs()
        async with httpx.AsyncClient(
            base_url=self.server,
            timeout=httpx.Timeout(ANSWER_S, connect=CONNECT_S),
            verify=trusted,
            trust_env=False,
            follow_redirects=False,
        ) as self._client:
            yield

    def _routes(self, port: int) -> list[Any]:
        cookie = cookie_name(port)

        @get("/api/health")
        async def health(request: Request[None, None, State]) -> Health:
            known = self.sessions.knows(request.cookies.get(cookie))
            # A page of ours asks again only where something has changed.
            if known or self._state != "there":
                await self._look()
            return Health(
                "ok",
                self._version,
                self._demo,
                known,
                server=self._told(),
                clock=self._clock,
                trouble=self._trouble if known else "",
            )

        @post("/api/session", status_code=200, sync_to_thread=False)
        def session(data: JSONBody[SessionIn]) -> Response[SessionOut]:
            return exchange_key(self.sessions, port, data)

        @post("/api/session/link", status_code=200, sync_to_thread=False)
        def new_link() -> dict[str, str]:
            return {"key": self.sessions.launch_key()}

        @post("/api/window/present", status_code=200, sync_to_thread=False)
        def present(request: Request[None, None, State]) -> PresentOut:
            return present_for(self.sessions, request, self.present)

        @post("/api/server/token", status_code=200)
        async def token(data: JSONBody[TokenIn]) -> ServerOut:
            return await self._take_token(data.token)

        @route("/api/{path:path}", http_method=[HttpMethod(m) for m in ("GET", "POST", "PUT", "PATCH", "DELETE")])
        async def forward(request: Request[Any, Any, Any]) -> Response[Any]:
            return await self._forward(request)

        return [health, session, new_link, present, token, forward]

    def _told(self) -> ServerOut:
        newest = max((held.at for held in self._held.values()), default=None)
        state = "lost" if self._state == "unasked" else self._state
        return ServerOut(self.server, state, self._heard, newest, self._words, is_readable_on_the_way(self.server))

    async def _look(self) -> None:
        """Find out what answers at the server's address and whether it takes our token."""
        if self._resting():
            return
        try:
            if self._token is None:
                self._token = await asyncio.to_thread(self._kept_token)
            answer = await self._send("GET", "/api/health")
            try:
                told = msgspec.json.decode(await answer.aread(), type=_Told)
                known = answer.status_code == 200 and told.status == "ok"
            except (msgspec.DecodeError, msgspec.ValidationError):
                known = False
            if not known:
                self._end("stranger", f"What answers at {self.server} is no Sungaze (HTTP {answer.status_code}).")
                return
            if told.version != __version__:
                self._end(
                    "version",
                    f"The server runs Sungaze {told.version}, and this program is {__version__}. Install the same "
                    "version on both; nothing was changed.",
                )
                return
            self._version, self._demo = told.version, told.demo
            self._clock, self._trouble = told.clock, told.trouble
            taken = await self._send("GET", "/api/settings") if self._token else None
            if taken is not None:
                await taken.aclose()
        except _Lost:
            return
        except httpx.HTTPError:
            self._lose("its answer broke off", sent=False)
            return
        if taken is None or taken.status_code == 401:
            self._ask_for_token()
        else:
            self._state, self._words = "there", ""

    def _kept_token(self) -> str:
        try:
            kept = self._vault.recall(_ACCOUNT).get("token", "")
        except Unavailable as error:
            log.warning("%s The server's token is asked for again.", error)
            kept = ""
        return kept or self.settings.token or ""

    def _ask_for_token(self) -> None:
        self._end("token", "The server did not take the token that is kept here." if self._token else "")

    def _end(self, state: Literal["token", "version", "stranger"], words: str) -> None:
        self._state, self._words = state, words

    async def _take_token(self, text: str) -> ServerOut:
        """Try a token, and keep it where the server takes it. Raises HTTPException with a sentence."""
        given = text.strip()
        if not given.isascii() or not given.isprintable() or not given:
            raise HTTPException("A token is one line of plain characters. Nothing was changed.", status_code=400)
        try:
            answer = await self._send("GET", "/api/settings", token=given)
            await answer.aclose()
        except _Lost as error:
            raise HTTPException(f"{self._unanswered(error)} The token was not tried.", status_code=503) from None
        if answer.status_code != 200:
            raise HTTPException(
                "The server does not take this token. It is what SUNGAZE_TOKEN is set to there; copy it whole.",
                status_code=422,
            )
        self._token = given
        await asyncio.to_thread(self._vault.remember, _ACCOUNT, {"token": given})
        self._state, self._words = "there", ""
        return self._told()

    def _resting(self) -> bool:
        return self._state != "there" and self._now() - self._tried < REST_S

    async def _send(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, body: bytes = b"", token: str = ""
    ) -> httpx.Response:
        """The server's answer, its body unread. Raises _Lost."""
        self._tried = self._now()
        bearer = {"authorization": f"Bearer {token or self._token}"} if token or self._token else {}
        request = self._client.build_request(method, path, headers=(headers or {}) | bearer, content=body or None)
        try:
            answer = await self._client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise self._lose(_reason(error), sent=False) from None
        except httpx.HTTPError as error:
            raise self._lose(_reason(error), sent=True) from None
        if answer.status_code in _AWAY and not answer.headers.get("content-type", "").startswith(MEDIA_TYPE):
            await answer.aclose()
            raise self._lose(f"HTTP {answer.status_code} from what stands before it", sent=True)
        self._heard = self._now()
        return answer

    def _lose(self, reason: str, *, sent: bool) -> _Lost:
        if self._state != "lost":
            log.warning("The server at %s does not answer: %s", self.server, reason)
        self._state, self._words = "lost", reason
        return _Lost(reason, sent=sent)

    def _unanswered(self, error: _Lost) -> str:
        return f"The server at {self.server} does not answer ({error})."

    async def _forward(self, request: Request[Any, Any, Any]) -> Response[Any]:
        path = request.scope["raw_path"].decode("latin-1")
        query = request.scope["query_string"].decode("latin-1")
        asked = f"{path}?{query}" if query else path
        reading = request.method == "GET"
        if self._state != "there":
            await self._look()
        if self._state == "lost":
            error = _Lost(self._words, sent=False)
            return self._again(asked, error) if reading else self._undone(error)
        if self._state != "there":
            return problem(401, f"server-{self._state}", self._words or "The server wants its token.")
        headers = {name: request.headers[name] for name in _SENT if name in request.headers}
        try:
            answer = await self._send(request.method, asked, headers=headers, body=await request.body())
        except _Lost as error:
            return self._again(asked, error) if reading else self._undone(error)
        if answer.status_code == 401:
            await answer.aclose()
            self._ask_for_token()
            return problem(401, "server-token", "The server does not know this window's token any more.")
        try:
            return await self._hand_on(asked, answer, keep=reading)
        except httpx.HTTPError as error:
            lost = self._lose(_reason(error), sent=True)
            return self._again(asked, lost) if reading else self._undone(lost)

    async def _hand_on(self, asked: str, answer: httpx.Response, *, keep: bool) -> Response[Any]:
        media_type = answer.headers.get("content-type", "application/octet-stream")
        headers = {name: answer.headers[name] for name in _RETURNED if name in answer.headers}
        if not media_type.startswith("application/json"):
            return Stream(self._flow(answer), status_code=answer.status_code, media_type=media_type, headers=headers)
        body = await answer.aread()
        if keep and answer.status_code == 200:
            self._hold(asked, _Held(body, media_type, self._now()))
        return Response(body, status_code=answer.status_code, media_type=media_type, headers=headers)

    async def _flow(self, answer: httpx.Response) -> AsyncIterator[bytes]:
        """What comes, as it comes, until it ends or the program closes."""
        pieces = aiter(answer.aiter_bytes())
        pending: asyncio.Task[bytes] | None = None
        try:
            while not self.closing.is_set():
                pending = pending or asyncio.ensure_future(anext(pieces))
                done, _ = await asyncio.wait({pending}, timeout=CLOSING_S)
                if done:
                    piece, pending = pending.result(), None
                    yield piece
        except StopAsyncIteration:
            pass
        except httpx.HTTPError as error:
            # What was begun cannot be taken back; the reader sees that it broke off.
            raise self._lose(_reason(error), sent=True) from None
        finally:
            if pending is not None:
                pending.cancel()
            await answer.aclose()

    def _hold(self, asked: str, held: _Held) -> None:
        before = self._held.pop(asked, None)
        self._held_bytes += len(held.body) - (len(before.body) if before else 0)
        self._held[asked] = held
        while self._held_bytes > HELD_BYTES:
            _, dropped = self._held.popitem(last=False)
            self._held_bytes -= len(dropped.body)

    def _again(self, asked: str, error: _Lost) -> Response[Any]:
        """What the server answered to this before."""
        held = self._held.get(asked)
        if held is None:
            return problem(
                503,
                "server-lost",
                f"{self._unanswered(error)} This was not looked at before, so nothing of it is here.",
            )
        return Response(held.body, media_type=held.media_type, headers={HELD_HEADER: str(int(held.at))})

    def _undone(self, error: _Lost) -> Response[Any]:
        words = "It may have been done before the connection broke: look when it answers again."
        return problem(
            503, "server-lost", f"{self._unanswered(error)} {words if error.sent else 'Nothing was changed.'}"
        )


def _reason(error: httpx.HTTPError) -> str:
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "its certificate is not one that this computer trusts"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        return "no connection"
    return "the connection broke off"
