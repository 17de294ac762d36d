"""Pairs of tokens that rotate: kept on disk before they are used, and renewed by one holder of the lease."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from sungaze.errors import Unavailable
from sungaze.vendors._contract import Access
from sungaze.vendors._session import numeral


class Pair(msgspec.Struct):
    """What a token endpoint gives; `expires_in` is in seconds."""

    access_token: str
    refresh_token: str
    expires_in: int | float | str

    def __repr__(self) -> str:
        return "Pair(…)"


Renew = Callable[[Mapping[str, str] | None], Pair]
"""A new pair, from the one that is kept or, without one, from the credentials; raises a VendorError."""


def live_token(access: Access, refused: str | None, vendor_name: str, renew: Renew) -> str:
    """An access token that is alive and is not the `refused` one: the one remembered, or a new one under the lease.

    Raises what `renew` raises, and Unavailable when another holder of the lease takes too long.
    """

    def known() -> str | None:
        kept = _kept(access)
        return kept["access_token"] if kept is not None and _is_alive(kept, refused, access.now()) else None

    def renewed() -> str:
        pair = renew(_kept(access))
        access.remember(
            {
                **access.recall(),
                "access_token": pair.access_token,
                "refresh_token": pair.refresh_token,
                "expires_at": str(access.now() + (numeral(pair.expires_in) or 0.0)),
            }
        )
        return pair.access_token

    return known_or_renewed(access, vendor_name, known, renewed)


def known_or_renewed(
    access: Access, vendor_name: str, known: Callable[[], str | None], renewed: Callable[[], str]
) -> str:
    """The token that is known to be alive, or a new one, which one holder of the lease gets for all.

    Raises what `renewed` raises, and Unavailable when another holder of the lease takes too long.
    """
    token = known()
    if token is not None:
        return token
    try:
        with access.login_lease():
            # Another holder of the lease may have renewed it meanwhile.
            return known() or renewed()
    except TimeoutError:
        raise Unavailable(
            f"{vendor_name} is being logged in to by another task, which takes too long. What is known is kept; it is "
            "asked again in a few minutes."
        ) from None


def _kept(access: Access) -> dict[str, str] | None:
    kept = access.recall()
    return kept if all(kept.get(name) for name in ("access_token", "refresh_token", "expires_at")) else None


def _is_alive(kept: Mapping[str, str], refused: str | None, now: float) -> bool:
    return kept["access_token"] != refused and (numeral(kept["expires_at"]) or 0.0) > now + 60
