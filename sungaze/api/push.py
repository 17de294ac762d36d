"""Where gateways push to. A sender proves itself by its message's signature, not by a session of ours."""

from __future__ import annotations

from typing import Any

import anyio.to_thread
import msgspec
from litestar import Request, Response, post

from sungaze.api.parts import GivenParts, Id
from sungaze.jobs.receive import LARGEST_PUSH, take_push


@post(
    "/push/cps/{account_id:int}",
    operation_id="pushMessages",
    status_code=200,
    request_max_body_size=LARGEST_PUSH + 1,
    description="A gateway's own push (vendors/cps.md 4): JSON or SunSpec XML, signed with the account's secret.",
)
async def push_messages(parts: GivenParts, request: Request[Any, Any, Any], account_id: Id) -> Response[bytes]:
    """Take what a gateway pushes; 200 acknowledges what is on disk, everything else has it sent again or split."""
    body = await request.body()
    reply = await anyio.to_thread.run_sync(take_push, parts.context, account_id, dict(request.headers), body)
    return Response(
        msgspec.json.encode(reply.body), status_code=reply.status, media_type="application/json",
        headers=dict(reply.headers),
    )  # fmt: skip


ROUTES = [push_messages]
