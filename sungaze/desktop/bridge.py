"""The desktop side of the bridge: what the page may ask of it, as contract.py declares it.

pywebview hands every answer to the page as JSON, an exception with its whole trace; so `call` never raises.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import errno
import logging
import platform
import secrets
import threading
import webbrowser
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any, Final, get_type_hints
from urllib.parse import urlsplit

import httpx
import msgspec

from sungaze import __version__
from sungaze.desktop.contract import (
    FUNCTIONS,
    MAX_LINK_LENGTH,
    MAX_OPENED_BYTES,
    AppInfo,
    Cancelled,
    Desktop,
    Notified,
    Opened,
    Picked,
    Refused,
    Revealed,
    Saved,
    SecretStoreState,
    Titled,
)
from sungaze.desktop.system import Notifier, show_in_folder

log = logging.getLogger(__name__)

CLOSE_S: Final = 2.0
"""How long closing waits for what is being done, of the five seconds that stopping may take."""
KINDS: Final = {"sheet": ("Sheets", ("csv", "tsv", "txt"))}
"""The files that can be opened: what they are called, and their endings."""
_TIMES: Final = httpx.Timeout(5, read=120)
_CHUNK: Final = 1 << 18
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_OWN_PAGE_ONLY: Final = "Only Sungaze's own page may ask this."
_BAD_LINK: Final = "Only http and https links are opened outside Sungaze."
_CLOSING: Final = "Sungaze is closing. Nothing was done."
_ODD: Final = "The page asked for something that the window does not know. Nothing was done; reload the page."
_BROKEN: Final = "That went wrong inside Sungaze; its log tells why. Nothing was done."
_DENIED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_HINTS: Final = {
    name: {argument: hint for argument, hint in get_type_hints(getattr(Desktop, name), include_extras=True).items()
           if argument != "return"}
    for name in FUNCTIONS
}  # fmt: skip


def origin_of(url: str | None) -> str | None:
    """Scheme, host and port of an http or https address, with the port always told; None for any other."""
    try:
        parts = urlsplit(url or "")
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port or {'http': 80, 'https': 443}[parts.scheme]}"


def is_web_link(url: object) -> bool:
    """Whether a browser may be given this: http or https, a host, no user name that poses as one."""
    if not isinstance(url, str) or len(url) > MAX_LINK_LENGTH:
        return False
    # A blank or a control character reads differently in a page, in Python and in a browser's command line.
    if not url.isprintable() or " " in url or "\\" in url:
        return False
    return origin_of(url) is not None and "@" not in urlsplit(url).netloc


def file_name(text: str) -> str:
    """A text as a file's name that every system takes; never hidden, never a path."""
    last = text.replace("\\", "/").rpartition("/")[2]
    plain = "".join(c if c.isprintable() and c not in '<>:"|?*' else "-" for c in last).strip(" .")
    return plain[:150] or "sungaze"


@dataclass
class WindowSide:
    """What the window does for the bridge; set by the window once it is there."""

    current_url: Callable[[], str | None] = lambda: None
    """Where the window is now."""
    webview: str = "none"
    """The web view's name and version."""
    ask_save: Callable[[str], Path | None] = lambda _: None
    """The path that a person chose for a file of this name, or None."""
    ask_open: Callable[[str, tuple[str, ...]], Path | None] = lambda _name, _endings: None
    """The file that a person chose among those with such endings, or None."""
    set_title: Callable[[str], object] = lambda _: None


def _unknown_store() -> SecretStoreState:
    return {"kind": "unknown", "said": "Where credentials are kept is not known."}


class Bridge:
    """The functions behind `window.pywebview.api`, by `call`. They run on threads of pywebview's.

    `token` gives what opens our own API, for files that are saved. `closing` is looked at between the pieces of a long
    one.
    """

    def __init__(
        self,
        url: str | None,
        *,
        data_dir: Path,
        token: Callable[[], str] = str,
        open_link: Callable[[str], bool] = webbrowser.open_new_tab,
        notifier: Notifier | None = None,
        show: Callable[[Path], bool] = show_in_folder,
    ) -> None:
        self.origin: str | None = None
        """Our own origin; a page of any other gets no answer."""
        self.window = WindowSide()
        self.secret_store: Callable[[], SecretStoreState] = _unknown_store
        """Tells where credentials are kept."""
        self._data_dir = data_dir
        self._token = token
        self._open_link = open_link
        self._notifier = notifier or Notifier(lambda: None)
        self._show = show
        self._saved: set[str] = set()
        self._lock = threading.Condition()
        self._running = 0
        self._closed = False
        if url is not None:
            self.bind(url)

    def bind(self, url: str) -> None:
        """Answer pages of this address's origin, and of no other."""
        self.origin = origin_of(url)

    def functions(self) -> list[Callable[..., Any]]:
        """What is handed to pywebview: plain functions, because it would follow dots from an object into anything."""

        def exposed(name: str) -> Callable[..., Any]:
            def asked(*arguments: Any) -> Any:
                return self.call(name, *arguments)

            asked.__name__ = name
            return asked

        return [exposed(name) for name in FUNCTIONS]

    def call(self, name: str, *arguments: object) -> Any:
        """The answer of one of the contract's functions, or `Refused`. Never raises."""
        if self.origin is None or origin_of(self.window.current_url()) != self.origin:
            return _refused(_OWN_PAGE_ONLY)
        hints = _HINTS[name]
        try:
            if len(arguments) != len(hints):
                raise msgspec.ValidationError(f"{len(arguments)} arguments")
            given = [msgspec.convert(a, hint) for a, hint in zip(arguments, hints.values(), strict=True)]
        except msgspec.ValidationError as error:
            log.warning("The page called %s wrongly: %s", name, error)
            return _refused(_BAD_LINK if name == "open_external" else _ODD)
        with self._lock:
            if self._closed:
                return _refused(_CLOSING)
            self._running += 1
        try:
            return getattr(self, f"_{name}")(*given)
        except Exception:
            log.exception("The bridge's %s failed", name)
            return _refused(_BROKEN)
        finally:
            with self._lock:
                self._running -= 1
                self._lock.notify_all()

    def close(self) -> bool:
        """Answer nothing any more, and wait a while for what is being done; whether all of it has ended."""
        with self._lock:
            self._closed = True
            return self._lock.wait_for(lambda: self._running == 0, CLOSE_S)

    def open_outside(self, url: object) -> Opened | Refused:
        """Open a link that was clicked in the user's browser, whichever page the window is on."""
        if not is_web_link(url):
            return _refused(_BAD_LINK)
        link = str(url)
        try:
            opened = self._open_link(link)
        except (webbrowser.Error, OSError) as error:
            log.warning("The browser could not be started: %s", error)
            opened = False
        return {"opened": link} if opened else _refused(f"No browser could be started. The link is {link}")

    def _open_external(self, url: str) -> Opened | Refused:
        return self.open_outside(url)

    def _app_info(self) -> AppInfo:
        return {
            "version": __version__,
            "platform": f"{platform.system()} {platform.machine()}",
            "webview": self.window.webview,
            "data_dir": str(self._data_dir),
        }

    def _secret_store_state(self) -> SecretStoreState:
        return self.secret_store()

    def _set_title(self, title: str) -> Titled | Refused:
        if not title.isprintable():
            return _refused(_ODD)
        self.window.set_title(title)
        return {"title": title}

    def _notify(self, title: str, body: str) -> Notified | Refused:
        if not (title + body).replace("\n", "").isprintable():
            return _refused(_ODD)
        return {"notified": self._notifier.show(title, body)}

    def _reveal(self, path: str) -> Revealed | Refused:
        with self._lock:
            known = path in self._saved or path == str(self._data_dir)
        if not known:
            return _refused("Only the data folder and files that were saved here are shown.")
        if not Path(path).exists():
            return _refused(f"{path} is not there any more.")
        if not self._show(Path(path)):
            return _refused(f"No file manager could be started. The path is {path}")
        return {"revealed": path}

    def _open_file(self, kind: str) -> Picked | Cancelled | Refused:
        chosen = self.window.ask_open(*KINDS[kind])
        if chosen is None:
            return {"cancelled": True}
        try:
            with chosen.open("rb") as stream:
                content = stream.read(MAX_OPENED_BYTES + 1)
        except OSError as error:
            return _refused(f"{chosen.name} cannot be read: {error.strerror}. Nothing was changed.")
        if len(content) > MAX_OPENED_BYTES:
            return _refused(
                f"{chosen.name} is larger than {MAX_OPENED_BYTES >> 20} MB, so it was not read. Nothing was changed."
            )
        return {"name": chosen.name, "size": len(content), "content": base64.b64encode(content).decode("ascii")}

    def _save_picture(self, content: str, name: str) -> Saved | Cancelled | Refused:
        try:
            picture = base64.b64decode(content, validate=True)
        except binascii.Error:
            return _refused(_ODD)
        if not picture.startswith(_PNG):
            return _refused(_ODD)
        return self._save(file_name(name), lambda _: [picture])

    def _save_file(self, path: str, name: str) -> Saved | Cancelled | Refused:
        try:
            with self._answer(path) as answer:
                proposed = _proposed(answer.headers.get("content-disposition", "")) or name
            # Asked again once a path is chosen: an answer that waits for a person would hold the database's past.
            return self._save(file_name(proposed), lambda answers: self._pieces(path, answers))
        except _NotAnswered as error:
            return _refused(error.said)

    def _save(
        self, name: str, pieces: Callable[[contextlib.ExitStack], Iterable[bytes]]
    ) -> Saved | Cancelled | Refused:
        chosen = self.window.ask_save(name)
        if chosen is None:
            return {"cancelled": True}
        part = chosen.with_name(f".{chosen.name[:100]}.{secrets.token_hex(4)}.part")
        try:
            with contextlib.ExitStack() as answers:
                with part.open("xb") as stream:
                    for piece in pieces(answers):
                        if self._closed:
                            return _refused(_CLOSING)
                        stream.write(piece)
                part.replace(chosen)
        except OSError as error:
            return _refused(_unwritten(chosen, error))
        except httpx.HTTPError:
            return _refused(f"The answer broke off, so {chosen.name} was not written. Try it again.")
        finally:
            with contextlib.suppress(OSError):
                part.unlink()
        with self._lock:
            self._saved.add(str(chosen))
        return {"saved": str(chosen), "name": chosen.name}

    def _pieces(self, path: str, answers: contextlib.ExitStack) -> Iterator[bytes]:
        yield from answers.enter_context(self._answer(path)).iter_bytes(_CHUNK)

    @contextlib.contextmanager
    def _answer(self, path: str) -> Iterator[httpx.Response]:
        """What our own API answers. Raises _NotAnswered with its sentence, and httpx.HTTPError while it is read."""
        headers = {"Authorization": f"Bearer {self._token()}"}
        host = urlsplit(self.origin or "").hostname or ""
        # A proxy has no business between this process and itself.
        outside = host not in {"127.0.0.1", "localhost", "::1"}
        with contextlib.ExitStack() as undo:
            client = undo.enter_context(httpx.Client(headers=headers, timeout=_TIMES, trust_env=outside))
            try:
                answer = undo.enter_context(client.stream("GET", f"{self.origin}{path}"))
                if answer.status_code != 200:
                    raise _NotAnswered(_detail(answer))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                log.info("Our own API did not answer: %s", type(error).__name__)
                raise _NotAnswered("Sungaze's server did not answer, so nothing was saved. Try it again.") from None
            yield answer


class _NotAnswered(Exception):
    """Our API had nothing to save; `said` is the sentence why."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.said = said


def _refused(said: str) -> Refused:
    return {"error": said}


def _detail(answer: httpx.Response) -> str:
    try:
        told = msgspec.json.decode(answer.read())
        detail = told.get("detail") if isinstance(told, dict) else None
    except msgspec.MsgspecError:
        detail = None
    said = detail if isinstance(detail, str) else ""
    return said or f"Sungaze answered {answer.status_code}. Nothing was saved."


def _proposed(disposition: str) -> str:
    """The file name in a Content-Disposition header, or nothing."""
    message = Message()
    message["Content-Disposition"] = disposition
    return message.get_filename() or ""


def _unwritten(path: Path, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk is full, so {path.name} was not written. Free some space, or choose another folder."
    if error.errno in _DENIED:
        return f"{path.parent} may not be written to, so {path.name} was not saved. Choose another folder."
    return f"{path.name} could not be written ({error.strerror}). Nothing was changed; choose another folder."
