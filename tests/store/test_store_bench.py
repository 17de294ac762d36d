"""The benchmark of the store: its samples are what it says they are, and every store gives them back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench import _history as history
from bench.__main__ import main
from bench._history import DAY_S, SiteHistory
from bench._peers import PEERS, Missing, Peer
from bench.store import OURS, Sungaze, compare, whole_metrics


def small() -> list[SiteHistory]:
    return history.vendors(sites=1, panels=3, days=6)


def same(one: list[SiteHistory], other: list[SiteHistory]) -> bool:
    def of(sites: list[SiteHistory]) -> list[tuple[object, ...]]:
        return [
            (site.vendor, *series[:4], series.timestamps.tobytes(), series.values.tobytes())
            for site in sites
            for series in (*site.series, *site.late)
        ]

    return of(one) == of(other)


def test_the_samples_are_the_same_each_time() -> None:
    assert same(small(), small())
    clean, noisy = (history.panels(noise, sites=2, panels=3, days=4) for noise in (0.01, 0.05))
    assert same(clean, history.panels(0.01, sites=2, panels=3, days=4))
    assert not same(clean, noisy)


def test_panels_give_whole_watts_by_day_only_under_clouds_that_they_share() -> None:
    (site,) = history.panels(0.01, sites=1, panels=4, days=10)
    values = np.array([one.values for one in site.series])
    assert (values == np.round(values)).all()
    assert 250 < values.max() < 400
    assert np.corrcoef(values).min() > 0.99
    times = site.series[0].timestamps
    nights = np.diff(times)[np.diff(times) > history.STEP_S]
    assert len(nights) == 9
    assert nights.min() > 7 * 3600
    (noisy,) = history.panels(0.05, sites=1, panels=4, days=10)
    truth = values.mean(axis=0)
    high = truth > 150
    for site_history, noise in ((site, 0.01), (noisy, 0.05)):
        ratio = site_history.series[0].values[high] / site_history.series[1].values[high]
        assert ratio.std() / ratio.mean() == pytest.approx(noise * np.sqrt(2), rel=0.15)


def test_a_month_of_a_year_follows_on_the_one_before() -> None:
    (first,), (second,) = (history.panels(0.01, sites=1, panels=2, days=5, from_day=day) for day in (0, 5))
    assert first.series[0].timestamps[-1] < second.series[0].timestamps[0]
    assert second.series[0].timestamps[0] // DAY_S == first.series[0].timestamps[0] // DAY_S + 5


def test_the_vendors_samples_have_their_decimals_their_gaps_and_their_corrections() -> None:
    sites = {site.vendor: site for site in history.vendors(sites=1, panels=4, days=90)}
    decimals = {
        ("enphase", "ac_power_w"): 0, ("enphase", "energy_wh"): 0, ("solaredge", "ac_power_w"): 4,
        ("solaredge", "energy_wh"): 0, ("tigo", "dc_power_w"): 1, ("generac", "dc_power_w"): 2,
        ("generac", "dc_energy_wh"): 3, ("cps", "ac_power_w"): 0, ("cps", "energy_lifetime_wh"): -2,
        ("cps", "dc_current_a"): 2,
    }  # fmt: skip
    seen = {(vendor, one.metric) for vendor, site in sites.items() for one in site.series}
    assert seen == set(decimals)
    for vendor, site in sites.items():
        late = sum(len(one.timestamps) for one in site.late)
        there = sum(len(one.timestamps) for one in site.series if one.metric != "energy_lifetime_wh")
        assert 0.02 < late / there < 0.036
        assert all(one.metric != "energy_lifetime_wh" for one in site.late)
        for one in site.series:
            assert (np.diff(one.timestamps) > 0).all()
            assert (one.values == np.round(one.values, decimals[vendor, one.metric])).all()
            if one.metric == "energy_lifetime_wh":
                assert (np.diff(one.values) >= 0).all()
            days = {int(day) for day in one.timestamps // DAY_S}
            assert len(days) == 88, "two whole days are missing"
    for before, after in zip(sites["enphase"].series, sites["enphase"].final(), strict=True):
        assert (before.values != after.values).sum() == next(
            len(one.timestamps)
            for one in sites["enphase"].late
            if (one.device, one.metric) == (before.device, before.metric)
        )


def test_the_days_of_a_history_are_all_of_it() -> None:
    for site in small():
        chunks = list(site.days())
        for one in site.series:
            parts = [c for chunk in chunks for c in chunk if c[:4] == one[:4]]
            assert np.array_equal(np.concatenate([c.timestamps for c in parts]), one.timestamps)
            assert np.array_equal(np.concatenate([c.values for c in parts]), one.values)


@pytest.mark.parametrize("name", [OURS, "plain", "duckdb"])
def test_a_store_gives_back_the_samples_as_they_stand_in_the_end(name: str, tmp_path: Path) -> None:
    sites = small()
    make: Callable[[Path], Peer] = (
        (lambda folder: Sungaze(folder, sites))
        if name == OURS
        else (lambda folder: PEERS[name](folder, whole_metrics(sites)))
    )
    peer = make(tmp_path)
    try:
        for site in sites:
            for chunk in site.days():
                peer.write(peer.prepare(chunk))
        peer.finish()
        for site in sites:
            peer.write(peer.prepare(site.late))
        peer.finish()
        asked = 0
        for site in sites:
            for metric in {one.metric for one in site.series if one.device}:
                for day in range(history.START, history.START + 6 * DAY_S, DAY_S):
                    cut = [one.cut(day, day + DAY_S) for one in site.final() if one.metric == metric]
                    wanted = {
                        one.device: dict(zip(one.timestamps.tolist(), one.values.tolist(), strict=True))
                        for one in cut
                        if len(one.timestamps)
                    }
                    got = peer.day(site.site, metric, day, day + DAY_S)
                    assert {device: dict(points) for device, points in got.items()} == wanted
                    asked += len(wanted)
        assert asked > 50
        assert peer.size() > 0
    finally:
        peer.close()


def test_a_peer_that_is_not_installed_is_a_line_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, package in (("victoriametrics", "victoria-metrics"), ("influxdb", "influxdb")):
        with pytest.raises(Missing, match=f"package {package}"):
            PEERS[name](tmp_path, frozenset())
    found = compare("A", history.panels(0.01, sites=1, panels=2, days=2), ["influxdb"], "").rows
    assert "not installed" in found[-1].figure


def test_a_peer_that_there_is_none_of_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["store"], "postgres") == 2
    assert main(["ingest"], "plain") == 2
    said = capsys.readouterr().err
    assert "postgres" in said
    assert "for the part store" in said
