"""The one place that assembles the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from litestar import Litestar, Response, get
from litestar.datastructures import CacheControlHeader
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.static_files import create_static_files_router

from sungaze import __version__
from sungaze.api import (
    accounts,
    alerts,
    archive,
    care,
    completeness,
    devices,
    export,
    fleet,
    imports,
    layout,
    places,
    problems,
    push,
    search,
    settings,
    sheets,
    sites,
    system,
)
from sungaze.api.parts import Parts

ASK_AGAIN = CacheControlHeader(no_cache=True)
FOREVER = CacheControlHeader(public=True, max_age=365 * 86_400, immutable=True)
MISSING_PAGES = (
    "<!doctype html><meta charset=utf-8><title>Sungaze</title><p>The pages were not built: run <code>make setup</code> "
    "and start Sungaze again. The API works."
)


def create_app(parts: Parts | None, pages: Path | None = None) -> Litestar:
    """The application. Without `parts` it can only describe itself (the OpenAPI document)."""

    def provide_parts() -> Any:
        return parts

    routes: list[Any] = [*accounts.ROUTES, *alerts.ROUTES, *places.ROUTES, *push.ROUTES, *sites.ROUTES]
    routes += [*fleet.ROUTES, *search.ROUTES, *archive.ROUTES, *settings.ROUTES]
    routes += [*completeness.ROUTES, *devices.ROUTES, *export.ROUTES, *imports.ROUTES]
    routes += [*care.ROUTES, *layout.ROUTES, *sheets.ROUTES, *system.ROUTES]
    routes += pages_routes(pages)
    return Litestar(
        route_handlers=routes,
        dependencies={"parts": Provide(provide_parts, sync_to_thread=False)},
        exception_handlers=problems.HANDLERS,
        openapi_config=OpenAPIConfig(title="Sungaze", version=__version__, path="/api/schema"),
        logging_config=None,
    )


def pages_routes(pages: Path | None) -> list[Any]:
    """The built pages, or a page that says they are missing."""
    if pages is None or not (pages / "index.html").is_file():
        return [pages_missing]
    # The build names these files after what they hold, so a browser need not ask again and may keep them compiled.
    assets = create_static_files_router(
        path="/assets", directories=[pages / "assets"], cache_control=FOREVER, include_in_schema=False
    )
    entry = create_static_files_router(
        path="/", directories=[pages], html_mode=True, cache_control=ASK_AGAIN, include_in_schema=False
    )
    return [assets, entry]


@get("/", media_type="text/html", include_in_schema=False, sync_to_thread=False)
def pages_missing() -> Response[str]:
    """Say that the pages were not built."""
    return Response(MISSING_PAGES, media_type="text/html")
