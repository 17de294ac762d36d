"""Every error of the API as problem+json (RFC 9457), with a sentence for a person."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from sungaze.api.shapes import Problem
from sungaze.errors import (
    Changed,
    NeedsReconnect,
    NotEntitled,
    NotFound,
    QuotaSpent,
    SungazeError,
    Unavailable,
    UserError,
)
from sungaze.store.database import OperationalError

log = logging.getLogger(__name__)
MEDIA_TYPE: Final = "application/problem+json"

_STATUS: Final[tuple[tuple[type[SungazeError], int, str], ...]] = (
    (NotFound, 404, "not-found"),
    (NeedsReconnect, 422, "needs-reconnect"),
    (NotEntitled, 422, "not-entitled"),
    (QuotaSpent, 429, "quota-spent"),
    (Changed, 502, "changed"),
    (Unavailable, 503, "unavailable"),
    (UserError, 400, "bad-request"),
)


def problem(status: int, kind: str, detail: str, errors: list[dict[str, Any]] | None = None) -> Response[bytes]:
    """A problem+json answer."""
    body = Problem(f"urn:sungaze:{kind}", HTTPStatus(status).phrase, status, detail, errors or [])
    return Response(msgspec.json.encode(body), status_code=status, media_type=MEDIA_TYPE)


def on_sungaze_error(_: Request[Any, Any, Any], error: SungazeError) -> Response[bytes]:
    """Our own errors carry their sentence."""
    for kind, status, name in _STATUS:
        if isinstance(error, kind):
            return problem(status, name, str(error))
    log.error("an error without a status: %r", error)
    return problem(500, "internal", "Something went wrong inside Sungaze. Nothing was lost; the log tells more.")


def on_validation_error(_: Request[Any, Any, Any], error: ValidationException) -> Response[bytes]:
    """A parameter or a body that is not what the contract says."""
    parts = error.extra if isinstance(error.extra, list) else []
    named = [
        {"name": str(part.get("key", "")), "reason": str(part.get("message", ""))}
        for part in parts
        if isinstance(part, dict)
    ]
    words = "; ".join(f"{p['name']}: {p['reason']}" if p["name"] else p["reason"] for p in named)
    return problem(400, "bad-request", words or "The request is not of the form that the contract describes.", named)


def on_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What Litestar refuses by itself: unknown paths, wrong methods, bodies that are not JSON."""
    status = error.status_code
    if status >= 500:
        log.error("%r", error)
    sentences = {404: "There is nothing at this address.", 405: "This address does not take that method."}
    detail = sentences.get(status) or error.detail or HTTPStatus(status).phrase
    return problem(status, HTTPStatus(status).phrase.lower().replace(" ", "-"), detail)


def on_deep_body(_: Request[Any, Any, Any], error: RecursionError) -> Response[bytes]:
    """A body that is nested beyond what the decoder follows."""
    return problem(400, "bad-request", "The request's body is nested too deeply.")


def on_store_trouble(request: Request[Any, Any, Any], error: OperationalError) -> Response[bytes]:
    """A database that cannot be written or read now."""
    text = str(error)
    if "full" in text or "disk I/O" in text:
        log.error("%s %s: %s", request.method, request.url.path, text)
        return problem(
            507,
            "disk-full",
            "The disk that holds your data is full. Nothing was changed; free some space and try again.",
        )
    if "locked" in text:
        return problem(503, "busy", "The database is held by something else. Nothing was changed; try again shortly.")
    return on_crash(request, error)


def on_crash(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A bug: logged whole, told in one sentence."""
    log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "internal", "Something went wrong inside Sungaze. Nothing was lost; the log tells more.")


HANDLERS: Final[dict[Any, Any]] = {
    ValidationException: on_validation_error,
    HTTPException: on_http_error,
    SungazeError: on_sungaze_error,
    OperationalError: on_store_trouble,
    RecursionError: on_deep_body,
    Exception: on_crash,
}
