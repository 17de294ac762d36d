"""What is kept of a vendor's answers, and of a kept answer the exchange again."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from sungaze.jobs.context import Context
from sungaze.store.fleet import AccountRow
from sungaze.store.raw import RawAnswer
from sungaze.vendors import connector
from sungaze.vendors._contract import Exchange, Response, reader_of

READ_HEADERS: Final = re.compile(r"date|content-type|location|retry-after|x-?rate-?limit[\w-]*|x-ratelimit[\w-]*")
"""The only headers that readers look at, beside a redirect's target."""
SECRET_PARAM: Final = re.compile(r"(?i).*(key|token|secret|passw|auth|signature|session|cookie|credential).*")
_SECRET_MEMORY: Final = re.compile(r"(?i).*(token|cookie|session|secret).*")
SHORT: Final = 6
"""A secret that is shorter than this is not looked for in bodies: it would be found where it is none."""


def keep_raw(
    context: Context, account: AccountRow, site_id: int, resource: str, exchanges: Iterable[Exchange], now: float
) -> None:
    """Keep the answers of a look, in the transaction that is open.

    Only what a reader knows by its path is kept, so never the answer to a login; nor any secret of the account, should
    an answer repeat one.
    """
    vendor = connector(account.vendor)
    known = [e for e in exchanges if reader_of(vendor.readers, e.method, e.response.path) is not None]
    if not known or not context.raw_bytes:
        return
    secrets = _secrets(context, account)
    context.store.raw.keep(
        RawAnswer(
            account_id=account.id,
            site_id=site_id,
            resource=resource,
            fetched_at=now,
            parser=vendor.vendor.parser,
            status=one.response.status,
            method=one.method,
            path=one.response.path,
            params=tuple(
                (name, value)
                for name, value in one.params
                if not SECRET_PARAM.fullmatch(name) and value.encode() not in secrets
            ),
            headers={
                name.lower(): value
                for name, value in one.response.headers.items()
                if READ_HEADERS.fullmatch(name.lower())
            },
            body=_without(one.response.body, secrets),
        )
        for one in known
    )


def exchange_of(kept: RawAnswer) -> Exchange:
    """The exchange that a kept answer was."""
    response = Response(kept.status, kept.headers, kept.body, kept.path)
    return Exchange(method=kept.method, params=kept.params, response=response, at=kept.fetched_at)


def _secrets(context: Context, account: AccountRow) -> list[bytes]:
    """What must not be kept: secret credentials, and tokens and cookies that a login was given."""
    method = connector(account.vendor).vendor.method(account.method)
    hidden = {field.name for field in method.fields if field.secret} if method else set()
    found = {v for name, v in context.vault.credentials(account.id, account.vendor).items() if name in hidden}
    for name, value in context.vault.recall(account.id).items():
        if _SECRET_MEMORY.fullmatch(name):
            found.add(value)
            # Cookies are remembered together, as an object.
            try:
                found |= set(msgspec.json.decode(value, type=dict[str, str]).values())
            except (msgspec.DecodeError, msgspec.ValidationError):
                continue
    return sorted((value.encode() for value in found if len(value) >= SHORT), key=len, reverse=True)


def _without(body: bytes, secrets: Iterable[bytes]) -> bytes:
    for secret in secrets:
        if secret in body:
            body = body.replace(secret, b"x" * len(secret))
    return body
