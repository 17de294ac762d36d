"""Rederive: a mended reader repairs what was read wrongly; nothing is doubled, nothing lost, nothing invented."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from spine import Spine
from test_capture import begun

from sungaze.errors import UserError
from sungaze.jobs.raw import keep_raw
from sungaze.jobs.rederive import Repaired, rederive
from sungaze.jobs.upkeep import EVERY_S, tidy
from sungaze.model import DAY_S, Reading
from sungaze.vendors import enphase
from sungaze.vendors._contract import Exchange, Response

Readings = Iterator[Reading]


def stored(running: Spine) -> dict[tuple[Any, ...], float]:
    rows = running.store.database.rows(
        "SELECT site_id, device_id, metric, interval_s, timestamp, value FROM sample "
        "JOIN series ON series.id = series_id"
    )
    return {tuple(row[:5]): row[5] for row in rows}


def mend(running: Spine, **options: Any) -> Repaired:
    return rederive(running.store, running.context.vault, running.clock.now, **options)


def days_pass(running: Spine, days: int) -> None:
    for _ in range(days * 8):
        running.clock.now += DAY_S / 8
        running.work_off()


@pytest.mark.parametrize("vendor", ["enphase", "solaredge", "tigo", "generac"])
def test_with_the_same_readers_nothing_changes(vendor: str, spine: Callable[..., Spine]) -> None:
    running, _ = begun(spine, vendor)
    days_pass(running, 1)
    before = stored(running)
    done = mend(running)
    assert (done.unreadable, done.changed) == (0, 0)
    assert done.answers == running.store.database.scalar("SELECT count(*) FROM raw_answer")
    assert stored(running) == before


def test_yesterdays_wrong_values_are_repaired_by_the_right_reader(
    spine: Callable[..., Spine], monkeypatch: pytest.MonkeyPatch
) -> None:
    right, _ = begun(spine, "enphase")
    days_pass(right, 2)
    good = enphase.read_panel

    def wrong(panel: Any) -> Readings:
        for reading in good(panel):
            yield msgspec.structs.replace(reading, value=reading.value / 2)

    monkeypatch.setattr(enphase, "read_panel", wrong)
    right.clock.now = type(right.clock)().now
    running, _ = begun(spine, "enphase")
    days_pass(running, 2)
    assert stored(running) != stored(right)
    monkeypatch.setattr(enphase, "read_panel", good)
    done = mend(running)
    assert done.changed > 100
    assert done.retracted == 0
    assert stored(running) == stored(right)
    assert mend(running).changed == 0


def test_values_at_wrong_times_are_taken_out_and_nothing_is_doubled(
    spine: Callable[..., Spine], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, _ = begun(spine, "enphase")
    begun_at = running.clock.now
    good = enphase._start_of
    monkeypatch.setattr(enphase, "_start_of", lambda interval: good(interval) + 77)
    days_pass(running, 2)
    monkeypatch.setattr(enphase, "_start_of", good)
    monkeypatch.setattr(enphase.CONNECTOR, "vendor", msgspec.structs.replace(enphase.VENDOR, parser=2), raising=False)
    done = mend(running)
    assert done.retracted > 100
    fine = [key for key in stored(running) if key[3] == 300 and key[4] >= begun_at]
    assert len(fine) > 500
    assert all(key[4] % 300 == 0 for key in fine)
    assert mend(running).changed == 0


def test_without_a_new_version_of_the_reader_nothing_is_ever_taken_out(
    spine: Callable[..., Spine], monkeypatch: pytest.MonkeyPatch
) -> None:
    running, _ = begun(spine, "enphase")
    days_pass(running, 1)
    before = stored(running)
    monkeypatch.setattr(enphase, "read_curve", lambda *_: iter(()))
    assert mend(running).retracted == 0
    assert stored(running) == before


def test_an_answer_in_doubt_takes_nothing_out(spine: Callable[..., Spine], monkeypatch: pytest.MonkeyPatch) -> None:
    running, _ = begun(spine, "enphase")
    days_pass(running, 1)
    before = stored(running)

    def strange(*_: Any) -> Readings:
        raise enphase.Changed("not known", "here")

    monkeypatch.setattr(enphase, "read_curve", strange)
    monkeypatch.setattr(enphase.CONNECTOR, "vendor", msgspec.structs.replace(enphase.VENDOR, parser=2), raising=False)
    done = mend(running)
    assert done.unreadable > 0
    assert (done.changed, done.retracted) == (0, 0)
    assert stored(running) == before


def test_what_could_not_be_read_when_it_came_is_read_now(
    spine: Callable[..., Spine], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = enphase.read_curve

    def strange(*_: Any) -> Readings:
        raise enphase.Changed("not known", "here")

    monkeypatch.setattr(enphase, "read_curve", strange)
    running = spine("enphase", sites=1, panels=2)
    running.connect("enphase")
    running.one_by_one(30)
    running.one_by_one(30)
    assert not [key for key in stored(running) if key[1] == 0 and key[3] == 300]
    monkeypatch.setattr(enphase, "read_curve", good)
    assert mend(running).changed > 50
    assert [key for key in stored(running) if key[1] == 0 and key[3] == 300]


def test_the_later_answer_has_the_last_word(spine: Callable[..., Spine]) -> None:
    running = spine("enphase", sites=1, panels=2)
    account = running.connect("enphase")
    running.one_by_one(1)
    (site,) = running.store.fleet.sites()
    at = int(running.clock.now) // 300 * 300 - 3_600

    def curve(watts: int) -> Response:
        body = msgspec.json.encode({"intervals": [{"end_at": at + 300, "powr": watts, "enwh": 1}]})
        return Response(200, {}, body, f"/api/v4/systems/{site.vendor_site_id}/telemetry/production_micro")

    row = running.store.fleet.account(account)
    for number, watts in enumerate((100, 300, 200)):
        one = Exchange(method="GET", params=(("start_at", str(at)),), response=curve(watts), at=0.0)
        keep_raw(running.context, row, site.id, "curve", [one], running.clock.now + number)
    mend(running)
    assert stored(running)[site.id, 0, "ac_power_w", 300, at] == 200
    assert mend(running, since=running.clock.now + 1).changed == 0
    assert running.store.timeseries.latest(site.id, "ac_power_w", 300)[0] == (at, 200.0)


def test_one_accounts_sites_are_mended_alone(spine: Callable[..., Spine], monkeypatch: pytest.MonkeyPatch) -> None:
    running = spine("enphase", "solaredge", sites=1, panels=2)
    first, second = running.connect("enphase"), running.connect("solaredge")
    running.work_off()
    before = stored(running)
    running.store.database.execute("UPDATE sample SET value = value + 1")
    mend(running, account_id=second)
    sites = set(running.store.fleet.sites_of_account(second))
    now = stored(running)
    assert {key for key in before if now[key] == before[key]} == {key for key in before if key[0] in sites}
    mend(running, account_id=first)
    assert stored(running) == before
    with pytest.raises(UserError):
        mend(running, account_id=99)


def test_raw_answers_are_tidied_up_once_an_hour(spine: Callable[..., Spine]) -> None:
    running, _ = begun(spine, "solaredge")
    tidy(running.context)
    assert running.store.raw.packed_bytes() > 0
    running.context.raw_bytes = 0
    tidy(running.context)
    assert running.store.raw.packed_bytes() > 0
    running.clock.now += EVERY_S
    tidy(running.context)
    assert running.store.raw.packed_bytes() == 0
