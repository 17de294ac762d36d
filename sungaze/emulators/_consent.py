"""The consent of an owner in the browser (OAuth 2.0, authorization code), as two of the vendors have it."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from sungaze.emulators._hash import hexadecimal
from sungaze.emulators._service import Answer, Request

CODE_S = 300
"""How long a code lives: a few minutes (vendors/enphase.md 1)."""
SHOWN_OWNERS = 5


@dataclass(frozen=True, slots=True)
class Code:
    """A code that was handed out: for which application and return address, by the owner of which site, until when."""

    client_id: str
    redirect_uri: str
    owner: int
    expires_at: float


class Consents:
    """The consent page of one vendor at `path` and the codes that it gave; each code works once.

    `owners` are the names of the sites whose owners may sign in, `extra` what else comes back with an owner's code.
    Without a `redirect_uri` the code goes to `default_uri`, which may be a page of the vendor's own that shows it;
    here that page is this server's, whatever `default_host` it is named by.
    """

    def __init__(
        self,
        seed: int,
        now: Callable[[], float],
        path: str,
        clients: Mapping[str, str],
        owners: Sequence[str],
        default_uri: str,
        default_host: str = "",
        extra: Callable[[int], Mapping[str, str]] = lambda owner: {},
    ) -> None:
        self.path = path
        self._seed = seed
        self._now = now
        self._clients = clients
        self._owners = owners
        self._default_uri = default_uri
        self._default_host = default_host
        self._extra = extra
        self._codes: dict[str, Code] = {}
        self._given = 0

    def answer(self, request: Request) -> Answer | None:
        """Return the page, or the way back after a decision; None for any other path."""
        if request.path == self._default_uri:
            said = "".join(
                f'<li>{html.escape(name)}: <b id="{html.escape(name)}">{html.escape(values[0])}</b></li>'
                for name, values in request.query.items()
            )
            return _page("Your code", f"<p>Copy this into your application:</p><ul>{said}</ul>")
        if request.path != self.path or request.method != "GET":
            return None
        client = request.first("client_id") or ""
        if client not in self._clients:
            return _page("Unknown application", "<p>No application has this client id.</p>", 400)
        decided = request.first("decide")
        if decided is not None:
            return self._way_back(request, client, decided)
        given = {name: values[0] for name, values in request.query.items()}
        links = "".join(
            f'<li><a href="{html.escape(self.path)}?{html.escape(urlencode(given | {"decide": str(k)}))}">'
            f"Sign in as the owner of {html.escape(name)} and allow</a></li>"
            for k, name in enumerate(self._owners[:SHOWN_OWNERS])
        )
        refuse = html.escape(urlencode(given | {"decide": "no"}))
        return _page("Allow access?", f'<ul>{links}</ul><a href="{html.escape(self.path)}?{refuse}">Refuse</a>')

    def redeem(self, code: str, client_id: str, redirect_uri: str | None) -> int | None:
        """Return the site whose owner gave this code, None for one that is unknown, used, old or another's.

        `redirect_uri` None does not compare the return address.
        """
        found = self._codes.pop(code, None)
        if found is None or found.client_id != client_id or found.expires_at <= self._now():
            return None
        same = redirect_uri is None or self._local(redirect_uri) == found.redirect_uri
        return found.owner if same else None

    def _way_back(self, request: Request, client: str, decided: str) -> Answer:
        uri = self._local(request.first("redirect_uri") or self._default_uri)
        back: dict[str, str] = {}
        if decided.isdecimal() and int(decided) < len(self._owners):
            self._given += 1
            code = hexadecimal(6, self._seed, self.path, self._given, int(self._now()))
            self._codes[code] = Code(client, uri, int(decided), self._now() + CODE_S)
            back = {"code": code, **self._extra(int(decided))}
        else:
            back = {"error": "access_denied"}
        state = request.first("state")
        if state is not None:
            back["state"] = state
        location = f"{uri}{'&' if '?' in uri else '?'}{urlencode(back)}"
        return Answer(302, b"", "text/html; charset=utf-8", (("Location", location),))

    def _local(self, uri: str) -> str:
        return uri.removeprefix(self._default_host) if self._default_host else uri


def _page(title: str, body: str, status: int = 200) -> Answer:
    page = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1>{body}</body></html>"
    return Answer(status, page.encode(), "text/html; charset=utf-8")
