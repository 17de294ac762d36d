"""Sites, devices and accounts: the vendor's word, the user's over it, and nothing ever lost."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from store_kit import NOW, connect

from sungaze import clock
from sungaze.errors import NotFound
from sungaze.model import DAY_S, DeviceFacts, DeviceStatus, DeviceType, Reading, SiteFacts, SiteStatus, Span
from sungaze.store import Store
from sungaze.store.fleet import DeviceRow, SiteRow
from sungaze.store.timeseries import Rating, SeriesKey

DATE = dt.date(2026, 5, 30)


def listed(store: Store, account: int, *facts: SiteFacts | str, complete: bool = True, now: float = NOW) -> list[int]:
    sites = [SiteFacts(vendor_site_id=f, name=f"Site {f}") if isinstance(f, str) else f for f in facts]
    return store.fleet.apply_sites(account, "enphase", sites, complete=complete, now=now)


def facts(**values: Any) -> SiteFacts:
    return SiteFacts(vendor_site_id="700", **values)


def by_key(store: Store, key: str) -> SiteRow:
    id = store.fleet.site_id("enphase", key)
    assert id is not None
    return store.fleet.site(id)


def flips(store: Store, subject: str) -> list[tuple[str, str | None, str | None]]:
    found = store.database.rows("SELECT what, before, after FROM flip WHERE subject = ? ORDER BY id", (subject,))
    return [(what, before, after) for what, before, after in found]


def device(key: str, **values: Any) -> DeviceFacts:
    return DeviceFacts(vendor_device_id=key, **({"device_type": DeviceType.MICROINVERTER} | values))


def devices(store: Store, site: SiteRow, *listed: DeviceFacts, complete: bool = True) -> dict[str, DeviceRow]:
    store.fleet.apply_devices(site, listed, complete=complete, now=NOW)
    return {d.vendor_device_id: d for d in store.fleet.devices(site.id)}


# -- sites come, go and come back ------------------------------------------------------------------------------------


def test_a_list_tells_which_sites_are_new_to_the_account(store: Store, account: int) -> None:
    first = listed(store, account, "1", "2")
    assert first == [s.id for s in store.fleet.sites()]
    assert listed(store, account, "1", "2", "3") == [by_key(store, "3").id]
    assert listed(store, account, "1", "2", "3") == []


def test_a_site_that_is_listed_twice_is_one_and_its_last_word_counts(store: Store, account: int) -> None:
    listed(store, account, facts(name="Old"), facts(name="New"))
    assert [s.name for s in store.fleet.sites()] == ["New"]


def test_a_site_that_is_missing_from_a_whole_list_is_no_longer_visible_and_may_come_back(
    store: Store, account: int
) -> None:
    listed(store, account, "1", "2")
    listed(store, account, "1", now=NOW + 60)
    listed(store, account, "1", now=NOW + 120)
    assert by_key(store, "2").not_visible_since == NOW + 60
    assert [s.vendor_site_id for s in store.fleet.sites()] == ["1", "2"]
    assert store.fleet.accounts_of_sites() == {by_key(store, "1").id: [account]}
    assert listed(store, account, "1", "2") == []
    assert by_key(store, "2").not_visible_since is None


def test_a_part_of_a_list_hides_nothing(store: Store, account: int) -> None:
    listed(store, account, "1", "2")
    listed(store, account, "1", complete=False)
    assert by_key(store, "2").not_visible_since is None


def test_a_site_that_another_account_sees_stays_visible(store: Store, account: int) -> None:
    connect(store, 2)
    listed(store, account, "1")
    assert listed(store, 2, "1") == [by_key(store, "1").id]
    listed(store, account)
    assert by_key(store, "1").not_visible_since is None
    listed(store, 2, now=NOW + 9)
    assert by_key(store, "1").not_visible_since == NOW + 9


def test_a_site_of_another_vendor_with_the_same_number_is_another_site(store: Store, account: int) -> None:
    listed(store, account, "1")
    store.fleet.apply_sites(account, "solaredge", [SiteFacts(vendor_site_id="1")], complete=False, now=NOW)
    assert len(store.fleet.sites()) == 2


def test_a_disconnected_accounts_sites_are_archived_with_all_their_data_and_come_back(
    store: Store, account: int
) -> None:
    listed(store, account, "1")
    site = by_key(store, "1")
    readings = [Reading("", "ac_power_w", 300, NOW, 5.0)]
    store.timeseries.write(site.id, readings, devices={}, rating=Rating(), now=NOW)
    store.work.plan_look(account, "power", site.id, NOW, 1)
    store.work.owe(account, site.id, "power", [Span(1, 2)], reason="connect", priority=1, now=NOW)
    store.fleet.remove_account(account, NOW + 5)
    assert (store.fleet.sites(), store.fleet.accounts()) == ([], [])
    assert [s.archived_at for s in store.fleet.sites(archived=True)] == [NOW + 5]
    assert (store.work.next_look_of_account(account), store.work.open_gaps(account)) == (None, 0)
    assert [a.removed_at for a in store.fleet.accounts(removed=True)] == [NOW + 5]
    connect(store, 2)
    assert listed(store, 2, "1") == [site.id]
    assert by_key(store, "1").archived_at is None
    assert store.timeseries.raw(SeriesKey(site.id, 0, "ac_power_w", 300), Span(0, 2 * NOW)) == [(NOW, 5.0)]


def test_a_site_that_another_account_reaches_is_not_archived(store: Store, account: int) -> None:
    connect(store, 2)
    for each in (account, 2):
        listed(store, each, "1")
    store.fleet.remove_account(account, NOW)
    assert store.fleet.accounts_of_sites() == {by_key(store, "1").id: [2]}
    assert len(store.fleet.sites()) == 1


def test_what_a_disconnected_account_owed_of_a_shared_site_is_owed_by_the_other(store: Store, account: int) -> None:
    connect(store, 2)
    listed(store, account, "1", "2")
    listed(store, 2, "1")
    for key in ("1", "2"):
        spans = [Span(NOW, NOW + 60)]
        store.work.owe(account, by_key(store, key).id, "power", spans, reason="connect", priority=1, now=NOW)
    store.work.claim_gaps(account, NOW, 1, "me")
    store.fleet.remove_account(account, NOW)
    assert [store.work.open_gaps(a) for a in (account, 2)] == [0, 1]
    assert len(store.work.claim_gaps(2, NOW, 9, "me")) == 1


@pytest.mark.parametrize("what", ["account", "site"])
def test_an_id_that_is_not_there_is_not_found(store: Store, what: str) -> None:
    with pytest.raises(NotFound):
        getattr(store.fleet, what)(99)


def test_a_removed_account_is_not_found(store: Store, account: int) -> None:
    store.fleet.remove_account(account, NOW)
    with pytest.raises(NotFound):
        store.fleet.account(account)
    with pytest.raises(NotFound):
        store.fleet.remove_account(account, NOW)


# -- what a vendor says, and what it leaves out ----------------------------------------------------------------------

FULL = facts(
    name="Roof", status=SiteStatus.NORMAL, peak_power_kw=6.0, timezone="Europe/Berlin", latitude=52.1, longitude=13.2,
    address={"street": "Main St 1", "city": "Berlin", "state": "", "country": "DE"}, installed_on="2020-01-02",
    last_report_at=NOW, last_energy_at=NOW,
)  # fmt: skip


def test_what_an_answer_leaves_out_stays_as_it_was(store: Store, account: int) -> None:
    listed(store, account, FULL)
    before = by_key(store, "700")
    listed(store, account, facts())
    assert by_key(store, "700") == before
    assert (before.name, before.peak_power_kw, before.address) == ("Roof", 6.0, "Main St 1, Berlin, DE")


def test_a_site_without_a_name_is_called_by_its_number(store: Store, account: int) -> None:
    listed(store, account, facts())
    assert by_key(store, "700").name == "enphase 700"


@pytest.mark.parametrize("peak", [None, 0.0])
def test_a_peak_of_nothing_is_not_known(store: Store, account: int, peak: float | None) -> None:
    listed(store, account, facts(peak_power_kw=peak))
    assert store.fleet.rating(by_key(store, "700")) == Rating(None, {})


def test_a_zone_that_there_is_not_is_not_taken(store: Store, account: int) -> None:
    listed(store, account, facts(timezone="Mars/Olympus"))
    assert (by_key(store, "700").timezone, by_key(store, "700").timezone_source) == (None, "none")


def test_the_position_is_the_users_else_the_vendors_else_the_zones_city(store: Store, account: int) -> None:
    listed(store, account, facts())
    assert by_key(store, "700").position_source == "none"
    listed(store, account, facts(timezone="US/Central"))
    site = by_key(store, "700")
    assert (site.position_source, site.latitude) == ("zone", pytest.approx(41.85))
    listed(store, account, facts(latitude=40.0, longitude=-90.0))
    assert (by_key(store, "700").position_source, by_key(store, "700").latitude) == ("vendor", 40.0)
    store.fleet.set_by_user(site.id, {"latitude": 41.0, "longitude": -91.0}, NOW)
    assert (by_key(store, "700").position_source, by_key(store, "700").latitude) == ("user", 41.0)


def test_a_change_of_status_is_a_flip_and_no_change_is_none(store: Store, account: int) -> None:
    for status in (SiteStatus.NORMAL, SiteStatus.NORMAL, SiteStatus.FAULT):
        listed(store, account, facts(status=status))
    assert flips(store, "site") == [("status", "normal", "fault")]


# -- what the user says ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "mine", "theirs"),
    [("alias", "Barn", "Roof"), ("peak_power_kw", 7.5, 6.0), ("timezone", "UTC", "Europe/Berlin"),
     ("latitude", 1.0, 52.1), ("longitude", 2.0, 13.2)],
)  # fmt: skip
def test_what_the_user_sets_wins_and_null_takes_it_back(
    store: Store, account: int, field: str, mine: Any, theirs: Any
) -> None:
    def shown() -> Any:
        site = by_key(store, "700")
        return site.name if field == "alias" else getattr(site, field)

    listed(store, account, FULL)
    id = by_key(store, "700").id
    both = {"latitude": 1.0, "longitude": 2.0} if field in {"latitude", "longitude"} else {field: mine}
    store.fleet.set_by_user(id, both, NOW)
    listed(store, account, FULL)
    assert shown() == mine
    assert field in by_key(store, "700").user_set
    store.fleet.set_by_user(id, dict.fromkeys(both), NOW)
    assert shown() == theirs
    assert by_key(store, "700").user_set == ()


def test_an_alias_keeps_the_vendors_name_beside_it(store: Store, account: int) -> None:
    listed(store, account, FULL)
    store.fleet.set_by_user(by_key(store, "700").id, {"alias": "Barn"}, NOW)
    listed(store, account, facts(name="Renamed"))
    assert (by_key(store, "700").name, by_key(store, "700").vendor_name) == ("Barn", "Renamed")


def test_what_the_user_changed_is_a_flip_without_made_up_words(store: Store, account: int) -> None:
    listed(store, account, facts(name="Roof"))
    store.fleet.set_by_user(by_key(store, "700").id, {"tilt": 30.0, "azimuth": None}, NOW)
    assert flips(store, "site") == [("tilt", None, "30.0")]


def test_setting_something_of_an_unknown_site_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.fleet.set_by_user(9, {"alias": "x"}, NOW)


def day_of(store: Store, site_id: int) -> list[int]:
    return [t for t, _ in store.timeseries.raw(SeriesKey(site_id, 0, "energy_wh", DAY_S), Span(0, 2 * NOW))]


def begins(zone: str) -> int:
    tz = clock.zone(zone)
    assert tz is not None
    return clock.midnight(DATE, tz)


def test_days_keep_their_date_whoever_changes_the_zone(store: Store, account: int) -> None:
    listed(store, account, FULL)
    id = by_key(store, "700").id
    reading = Reading("", "energy_wh", DAY_S, begins("Europe/Berlin"), 5.0)
    store.timeseries.write(id, [reading], devices={}, rating=Rating(), now=NOW)
    listed(store, account, facts(timezone="Asia/Kolkata"))
    assert day_of(store, id) == [begins("Asia/Kolkata")]
    store.fleet.set_by_user(id, {"timezone": "America/Chicago"}, NOW)
    assert day_of(store, id) == [begins("America/Chicago")]
    # The user's zone counts: the vendor's next word moves nothing, and is there when the user takes theirs back.
    listed(store, account, facts(timezone="Europe/Berlin"))
    assert day_of(store, id) == [begins("America/Chicago")]
    store.fleet.set_by_user(id, {"timezone": None}, NOW)
    assert day_of(store, id) == [begins("Europe/Berlin")]


# -- devices ---------------------------------------------------------------------------------------------------------


def test_a_device_that_is_missing_from_a_whole_list_is_retired_and_may_return(store: Store, site: SiteRow) -> None:
    all_three = [device(f"m{k}", status=DeviceStatus.NORMAL) for k in range(3)]
    devices(store, site, *all_three)
    assert devices(store, site, *all_three[:2])["m2"].status == "retired"
    assert store.fleet.device_types(site.id) == {"microinverter"}
    assert devices(store, site, *all_three)["m2"].status == "normal"
    assert flips(store, "device")[-2:] == [("status", "normal", "retired"), ("status", "retired", "normal")]


def test_a_part_of_a_list_adds_devices_and_touches_none(store: Store, site: SiteRow) -> None:
    before = devices(store, site, device("m0", serial_number="480", model="IQ8", rated_w=300))
    after = devices(store, site, device("m0", model="other"), device("m7"), complete=False)
    assert after.pop("m7").device_type == "microinverter"
    assert after == before


def test_a_device_that_is_listed_twice_is_one_and_its_last_word_counts(store: Store, site: SiteRow) -> None:
    found = devices(store, site, device("x", model="old"), device("x", model="new"))
    assert found["x"].model == "new"


def test_a_device_keeps_what_an_answer_leaves_out(store: Store, site: SiteRow) -> None:
    devices(store, site, device("m0", model="IQ8", firmware="1.0"))
    found = devices(store, site, device("m0", firmware="1.1"))
    assert (found["m0"].model, found["m0"].firmware, found["m0"].rated_w) == ("IQ8", "1.1", 300)


def test_devices_hang_under_their_parents_in_whatever_order_they_are_listed(store: Store, site: SiteRow) -> None:
    child, parent = device("c", parent="g"), device("g", device_type=DeviceType.GATEWAY)
    found = devices(store, site, child, parent, device("orphan", parent="nobody"))
    assert (found["c"].parent_id, found["orphan"].parent_id) == (found["g"].id, None)


def test_a_devices_rating_bounds_it_and_the_sites_peak_the_site(store: Store, site: SiteRow) -> None:
    devices(store, site, device("m0", rated_w=290.0), device("m1", rated_w=0.0), device("new"), complete=True)
    assert store.fleet.rating(site) == Rating(6_000.0, {"m0": 290.0, "m2": 300.0})


def test_an_exchanged_device_may_begin_its_counter_anew(store: Store, site: SiteRow) -> None:
    def count(at: int, value: float) -> int:
        reading = Reading("m0", "energy_lifetime_wh", 0, at, value)
        ids = store.fleet.device_ids(site.id)
        return store.timeseries.write(site.id, [reading], devices=ids, rating=Rating(), now=NOW).samples

    assert count(NOW, 9_000.0) == 1
    devices(store, site, device("m0", serial_number="999"))
    assert count(NOW + 60, 4.0) == 1
    assert ("serial_number", "480", "999") in flips(store, "device")


# -- accounts --------------------------------------------------------------------------------------------------------


def test_an_account_that_changes_its_state_leaves_a_flip_and_one_that_stays_leaves_none(
    store: Store, account: int
) -> None:
    assert store.fleet.set_account_state(account, "needs_reconnect", "the password is refused", NOW + 5)
    assert not store.fleet.set_account_state(account, "needs_reconnect", "still refused", NOW + 9)
    found = store.fleet.account(account)
    assert (found.state, found.state_reason, found.state_since) == ("needs_reconnect", "still refused", NOW + 5)
    assert flips(store, "account") == [("state", "connected", "needs_reconnect")]


def test_the_moment_to_try_again_goes_with_the_state(store: Store, account: int) -> None:
    store.fleet.set_account_state(account, "quota_spent", "spent", NOW, retry_at=NOW + 60.9)
    assert store.fleet.account(account).retry_at == NOW + 60
    store.fleet.set_account_state(account, "connected", "", NOW)
    assert store.fleet.account(account).retry_at is None


def test_the_state_of_no_account_changes_nothing(store: Store) -> None:
    assert not store.fleet.set_account_state(9, "connected", "", NOW)
