"""Finding anything by a few characters: places and their customers, sites, devices by serial number."""

from __future__ import annotations

import re
from typing import Annotated, Final

from litestar import get
from litestar.params import QueryParameter

from sungaze.api.board import matches
from sungaze.api.parts import GivenParts
from sungaze.api.shapes import FoundOut, SearchOut, SiteOut
from sungaze.store.database import Database
from sungaze.vendors import connector

MOST_PLACES: Final = 12
MOST_DEVICES: Final = 12
LEAST_DIGITS: Final = 4
"""So many digits may be a part of a phone number."""


@get("/api/search", operation_id="search", sync_to_thread=True)
def search(parts: GivenParts, q: Annotated[str, QueryParameter(max_length=100)] = "") -> SearchOut:
    """What fits every word: sites by name, address, customer, tag or vendor id; places by customer, phone or reference;
    devices by serial number or name.
    """
    words = q.casefold().split()
    if not words:
        return SearchOut([], 0)
    database = parts.context.store.database
    rows = parts.board.sites()
    reached = {row.id: row for row in rows}
    fitting = matching(database, rows, q)
    total = len(fitting)
    found = [
        FoundOut("site", row.id, None, row.name, " · ".join(filter(None, (_vendor(row), row.customer, row.address))))
        for row in fitting[:MOST_PLACES]
    ]
    pattern = "%" + re.sub(r"([%_\\])", r"\\\1", q.strip()) + "%"
    devices = database.rows(
        "SELECT id, site_id, device_type, serial_number, name FROM device WHERE status <> 'retired' AND "
        "(serial_number LIKE ? ESCAPE '\\' OR name LIKE ? ESCAPE '\\') ORDER BY serial_number LIMIT ?",
        (pattern, pattern, 4 * MOST_DEVICES),
    )
    mine = [row for row in devices if row[1] in reached]
    total += len(mine)
    found += [
        FoundOut("device", site_id, device_id, serial or name or "", f"{kind} · {reached[site_id].name}")
        for device_id, site_id, kind, serial, name in mine[:MOST_DEVICES]
    ]
    return SearchOut(found, total)


def matching(database: Database, rows: list[SiteOut], q: str) -> list[SiteOut]:
    """The sites that fit every word: by what the list shows of them, or by what is written of their place."""
    words = q.casefold().split()
    if not words:
        return rows
    digits = _digits(q).lstrip("0")
    by_phone = len(digits) >= LEAST_DIGITS and re.fullmatch(r"[\d\s()+/.-]+", q.strip()) is not None
    sheets = {
        place_id: (" ".join(filter(None, (customer, phone, reference, address))), _digits(phone or ""))
        for place_id, customer, phone, reference, address in database.rows(
            "SELECT id, customer, phone, reference, address FROM place"
        )
    }
    found = []
    for row in rows:
        text, phone = sheets.get(row.place.id, ("", ""))
        if matches(row, words, text) or (by_phone and digits in phone):
            found.append(row)
    return found


def _vendor(row: SiteOut) -> str:
    return connector(row.vendor).vendor.name


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


ROUTES = [search]
