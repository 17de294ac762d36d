"""History that is kept although no account reaches it, any more or yet; and deleting it, which is an act of its own."""

from __future__ import annotations

from litestar import delete, get
from litestar.params import JSONBody

from sungaze.api.parts import GivenParts, Id
from sungaze.api.shapes import ArchivedOut, ArchiveList, DeletedOut, DeleteIn
from sungaze.jobs.connect import BadRequest


@get("/api/archive", operation_id="listArchive", sync_to_thread=True)
def list_archive(parts: GivenParts) -> ArchiveList:
    """Every site that no connected account reaches, with what is kept of it."""
    store = parts.context.store
    found = []
    of_files = store.fleet.sites_of_files()
    for site in store.fleet.sites(archived=True):
        if site.archived_at is None and site.id not in of_files:
            continue
        kept = store.timeseries.kept(site.id)
        found.append(
            ArchivedOut(
                id=site.id, name=site.name, vendor=site.vendor, archived_at=site.archived_at, samples=kept.samples,
                first=kept.first, last=kept.last,
            )
        )  # fmt: skip
    return ArchiveList(found)


@delete("/api/archive/{site_id:int}", operation_id="deleteHistory", status_code=200, sync_to_thread=True)
def delete_history(parts: GivenParts, site_id: Id, data: JSONBody[DeleteIn]) -> DeletedOut:
    """Delete all that is kept of a site that no account reaches; its name has to be given, and it cannot come back."""
    store = parts.context.store
    site = store.fleet.site(site_id)
    if site.archived_at is None and site_id not in store.fleet.sites_of_files():
        raise BadRequest(
            f"An account still reaches {site.name}. Nothing was deleted: disconnect the account first, and its history "
            "can be deleted here."
        )
    if data.name.strip() != site.name.strip():
        raise BadRequest(f"Type the site's name, {site.name}, to delete its history. Nothing was deleted.")
    samples = store.forget_site(site_id)
    parts.board.refresh()
    parts.context.events.publish("everything")
    return DeletedOut(samples, f"{samples:,} values of {site.name} are deleted.")


ROUTES = [list_archive, delete_history]
