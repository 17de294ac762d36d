"""The registry: every module of this folder whose name has no underscore is a vendor and holds one `CONNECTOR`.

So a further vendor costs one file here, and nothing else has to name it.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from sungaze.errors import NotFound
from sungaze.vendors._contract import Connector


@cache
def connectors() -> dict[str, Connector]:
    """Every known connector by vendor id, in the order of their ids."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))
    found: dict[str, Connector] = {}
    for name in names:
        connector: Connector = importlib.import_module(f"{__name__}.{name}").CONNECTOR
        found[connector.vendor.id] = connector
    return found


def connector(vendor: str) -> Connector:
    """The connector of a vendor id. Raises NotFound for an id that no file declares."""
    try:
        return connectors()[vendor]
    except KeyError:
        known = ", ".join(connectors())
        raise NotFound(f"Sungaze knows no vendor called “{vendor}”. It knows {known}.") from None
