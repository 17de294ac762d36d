"""A day of a demo fleet, by virtual time: the calls that each emulator really saw, beside what its vendor declares.

Everything is real here: the connectors and their HTTP, the ledger, the planner, the store; the emulators are those of
`sungaze emulate`, on loopback. Only the queue is left out, and the clock is moved by hand.
"""

from __future__ import annotations

import datetime as dt
import logging
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from bench._measure import Row
from sungaze.emulators import World, serve
from sungaze.jobs import connect as connecting
from sungaze.jobs import planner
from sungaze.jobs.context import Context, windows
from sungaze.jobs.events import Events
from sungaze.jobs.fetch import perform_gap, perform_look
from sungaze.model import DAY_S
from sungaze.store import Store
from sungaze.vault import Vault
from sungaze.vendors import connector

START = dt.datetime(2026, 9, 1, 0, 5, tzinfo=dt.UTC).timestamp()
FLEET = {"enphase": ("partner", 12), "solaredge": ("paid", 8), "tigo": ("premium", 4), "generac": ("dashboard", 3)}
"""Plan and number of sites, those of `sungaze --demo`."""
PANELS = 6
STEP_S = 60.0


def rows() -> list[Row]:
    """For each vendor the calls of its second day: seen, spent in the ledger, and declared, whole and by resource."""
    logging.getLogger("sungaze").setLevel(logging.ERROR)
    return [row for vendor in FLEET for row in _day(vendor)]


def _day(vendor_id: str) -> list[Row]:
    plan_id, sites = FLEET[vendor_id]
    began, now = time.perf_counter(), [START]

    def clock() -> float:
        return now[0]

    vendor = connector(vendor_id).vendor
    plan = vendor.plan(plan_id)
    assert plan is not None
    emulator = serve(vendor_id, World(1, sites, PANELS), plan=plan_id, now=clock)
    with emulator, tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "sungaze.db")
        context = Context(
            store=store, vault=Vault(Path(folder) / "secrets.json", {}), events=Events(), now=clock,
            base_urls={vendor_id: emulator.base_url},
        )  # fmt: skip
        wish = connecting.Wish(
            vendor=vendor_id, credentials=emulator.credentials, plan=plan_id, method=emulator.method, consent=True
        )
        account = store.fleet.account(connecting.connect(context, wish))
        stretches: list[float] = []
        while now[0] < START + 2 * DAY_S:
            if now[0] >= START + DAY_S:
                stretches.append(planner.budget(store, account.scope, now[0]).stretch)
            limits = windows(plan)
            left = planner.allowance(store, account, plan, now[0], for_user=False)
            costs = planner.calls_of(vendor, limits)
            looks = store.work.claim_looks(account.id, now[0], 8, "bench", calls=costs, allowance=left)
            for look_id in looks:
                perform_look(context, look_id, "bench")
            if not looks and left and planner.may_buy_history(store, account, plan, now[0]):
                for gap_id in store.work.claim_gaps(account.id, now[0], 8, "bench", calls=costs, allowance=left):
                    perform_gap(context, gap_id, "bench")
            now[0] += STEP_S / 4 if len(looks) == 8 else STEP_S
        seen = sum(request.epoch >= START + DAY_S for request in emulator.requests)
        by_resource = dict(
            store.database.rows(
                "SELECT resource, sum(calls) FROM fetch WHERE started_at >= ? GROUP BY resource", (START + DAY_S,)
            )
        )
        stretch = sum(stretches) / len(stretches)
        context.close()
        store.close()
    found = [
        Row(
            f"{vendor_id} {plan_id}, {sites} sites",
            f"{seen} calls seen in a day, {sum(by_resource.values())} spent",
            f"declared {planner.calls_per_day(vendor, plan, sites, stretch=stretch):.0f} (mean stretch {stretch:.2f})",
        )
    ]
    for resource in planner.due_resources(vendor, plan):
        alone = planner.calls_per_day(
            msgspec.structs.replace(vendor, resources=(resource,)), plan, sites, stretch=stretch
        )
        found.append(Row(f"  {resource.id}", f"{by_resource.get(resource.id, 0)} calls", f"declared {alone:.1f}"))
    print(f"{vendor_id}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return found
