"""Connecting: what a credential sees is told first, a wrong one leaves nothing behind, a second time is a reconnect."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_httpx import HTTPXMock
from spine import Spine

from sungaze.errors import NeedsReconnect, NotFound, Unavailable, UserError
from sungaze.jobs import connect as connecting
from sungaze.jobs.connect import BadRequest
from sungaze.vendors import connectors


def leaves_nothing(running: Spine) -> None:
    """No account, no site, no secret."""
    assert running.store.fleet.accounts(removed=True) == []
    assert running.store.fleet.sites(archived=True) == []
    assert running.store.database.scalar("SELECT count(*) FROM due") == 0
    assert not (running.folder / "secrets.json").exists()


@pytest.mark.parametrize(
    ("vendor", "wrong"),
    [
        ("enphase", {"password": "wrong"}),
        ("enphase", {"client_secret": "wrong"}),
        ("enphase", {"api_key": "wrong"}),
        ("solaredge", {"api_key": "wrong"}),
        ("solaredge", {"account_key": "wrong"}),
    ],
)
def test_a_wrong_credential_is_refused_in_words_and_nothing_is_stored(
    spine: Callable[..., Spine], vendor: str, wrong: dict[str, str]
) -> None:
    running = spine(vendor)
    credentials = running.emulators[vendor].credentials | wrong
    with pytest.raises(NeedsReconnect) as refused:
        running.connect(vendor, credentials=credentials)
    assert str(refused.value).endswith(".")
    assert not any(value in str(refused.value) for value in credentials.values())
    leaves_nothing(running)


def test_an_address_where_nobody_answers_is_told_and_nothing_is_stored(spine: Callable[..., Spine]) -> None:
    running = spine("solaredge")
    with pytest.raises(Unavailable, match="cannot be reached"):
        running.connect("solaredge", base_url="http://127.0.0.1:9")
    leaves_nothing(running)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"method": "carrier_pigeon"}, "no way in"),
        ({"plan": "free"}, "no plan"),
        ({"credentials": {}}, "fill in"),
        ({"credentials": {"nonsense": "x"}}, "does not ask"),
        ({"base_url": "http://127.0.0.1:9/v4"}, "scheme, host and port"),
        ({"base_url": "http://user:secret@127.0.0.1:9"}, "scheme, host and port"),
        ({"base_url": "file:///etc/passwd"}, "scheme, host and port"),
        ({"base_url": "http://a:b:c:80"}, "scheme, host and port"),
        ({"base_url": "http://[zz]"}, "scheme, host and port"),
        ({"base_url": "http://127.0.0.1:99999"}, "scheme, host and port"),
    ],
)
def test_what_cannot_be_used_is_told_before_any_call(
    spine: Callable[..., Spine], changed: dict[str, object], words: str
) -> None:
    running = spine("enphase")
    with pytest.raises(BadRequest, match=words):
        running.connect("enphase", **changed)
    assert not running.emulators["enphase"].requests
    leaves_nothing(running)


def test_pasted_rubbish_is_told_by_the_field_it_stands_in(spine: Callable[..., Spine]) -> None:
    running = spine("solaredge")
    with pytest.raises(BadRequest, match="API key") as refused:
        running.connect("solaredge", credentials={"api_key": "abc\ndef"})
    assert "abc" not in str(refused.value)


def test_an_unknown_vendor_is_not_found(spine: Callable[..., Spine]) -> None:
    running = spine("enphase")
    with pytest.raises(NotFound, match=", ".join(connectors())):
        connecting.probe(running.context, connecting.Wish(vendor="acme", credentials={}))


def test_a_login_that_sees_no_sites_is_told_and_not_stored(spine: Callable[..., Spine], httpx_mock: HTTPXMock) -> None:
    running = spine("solaredge")
    httpx_mock.add_response(json={"sites": {"count": 0, "site": []}})
    with pytest.raises(UserError, match="sees no sites"):
        running.connect("solaredge")
    leaves_nothing(running)


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_a_probe_says_what_is_seen_and_what_it_costs_and_keeps_nothing(
    spine: Callable[..., Spine], vendor: str
) -> None:
    running = spine(vendor)
    found = connecting.probe(running.context, running.wish(vendor))
    assert (found.probe.total, len(found.probe.sites), found.known) == (4, 4, frozenset())
    assert found.probe.panels is (vendor == "enphase")
    assert running.emulators[vendor].quota.used["month"] == 1
    assert found.first_calls > found.probe.total
    assert 0 < found.monthly_calls <= (found.monthly_limit or 0)
    leaves_nothing(running)


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_the_first_history_costs_no_more_than_the_probe_said(spine: Callable[..., Spine], vendor: str) -> None:
    running = spine(vendor)
    said = connecting.probe(running.context, running.wish(vendor)).first_calls
    before = running.emulators[vendor].quota.used["month"]
    account_id = running.connect(vendor)
    running.work_off()
    progress = running.store.work.progress(account_id)
    assert progress.done == progress.total > 0
    assert running.emulators[vendor].quota.used["month"] - before <= 1.25 * said


def test_by_night_the_last_light_is_asked_for_before_all_other_history(spine: Callable[..., Spine]) -> None:
    running = spine("solaredge")
    # More than the 12 hours that one look reaches back after Berlin's sunset, and before its sunrise.
    running.clock.now = dt.datetime(2026, 11, 25, 3, 30, tzinfo=dt.UTC).timestamp()
    running.connect("solaredge")
    running.work_off()
    berlin = next(site for site in running.store.fleet.sites() if site.timezone == "Europe/Berlin")
    asked = running.store.database.rows(
        "SELECT resource, samples FROM fetch WHERE site_id = ? AND resource IN ('power', 'energy') AND span_end < ? "
        "ORDER BY id",
        (berlin.id, int(running.clock.now) - 3600),
    )
    assert asked[0][0] == "power"
    assert asked[0][1] > 0
    assert "energy" in {resource for resource, *_ in asked}


def test_the_same_login_again_renews_the_account_that_has_it(spine: Callable[..., Spine]) -> None:
    running = spine("enphase")
    first = running.connect("enphase")
    running.work_off()
    samples = len(running.samples())
    assert running.connect("enphase", label="another name") == first
    running.work_off()
    assert len(running.store.fleet.accounts()) == 1
    assert len(running.store.fleet.sites()) == 4
    assert len(running.samples()) >= samples


def test_disconnecting_keeps_history_and_connecting_again_goes_on_with_it(spine: Callable[..., Spine]) -> None:
    running = spine("solaredge")
    first = running.connect("solaredge")
    running.work_off()
    samples = running.samples()
    connecting.disconnect(running.context, first)
    assert running.samples() == samples
    assert running.store.fleet.sites() == []
    assert len(running.store.fleet.sites(archived=True)) == 4
    assert running.emulators["solaredge"].credentials["api_key"].encode() not in (
        (running.folder / "secrets.json").read_bytes()
    )
    second = running.connect("solaredge")
    assert second != first
    running.work_off()
    assert len(running.store.fleet.sites()) == len(running.store.fleet.sites(archived=True)) == 4
    assert running.samples().items() >= samples.items()


def test_an_answer_that_comes_after_disconnecting_brings_nothing_back(spine: Callable[..., Spine]) -> None:
    running = spine("enphase")
    account_id = running.connect("enphase")
    running.one_by_one(1)
    assert len(running.store.fleet.sites()) == 4
    service = running.emulators["enphase"].service
    answer = service.answer

    def answer_late(request: object) -> object:
        # In the emulator's thread: while the vendor answers, the user disconnects.
        if running.store.fleet.accounts():
            connecting.disconnect(running.context, account_id)
            running.store.close()
        return answer(request)  # type: ignore[arg-type]  # bound already

    service.answer = answer_late  # type: ignore[method-assign, assignment]  # slow on purpose
    running.clock.now += 7_200
    running.one_by_one(1)
    assert running.store.fleet.sites() == []
    assert running.store.database.scalar("SELECT count(*) FROM sample") == 0


def test_two_accounts_that_see_the_same_sites_add_a_way_in_and_no_site(spine: Callable[..., Spine]) -> None:
    running = spine("solaredge")
    bare = {"api_key": running.emulators["solaredge"].credentials["api_key"]}
    running.connect("solaredge")
    running.work_off()
    connecting.connect(running.context, running.wish("solaredge", credentials=bare))
    running.work_off()
    assert len(running.store.fleet.sites()) == 4


def secrets_of(running: Spine) -> list[bytes]:
    kept = [value for emulator in running.emulators.values() for value in emulator.credentials.values()]
    for account in running.store.fleet.accounts():
        kept += [v for k, v in running.context.vault.recall(account.id).items() if "token" in k]
    return [value.encode() for value in kept if "@" not in value]


def test_no_secret_stands_anywhere_but_in_the_vault(
    spine: Callable[..., Spine], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    running = spine("enphase", "solaredge")
    running.connect("enphase")
    running.connect("solaredge")
    running.work_off()
    running.emulators["solaredge"].faults["unauthorized"] = 1.0
    running.clock.now += 86_400
    running.work_off()
    secrets = secrets_of(running)
    assert len(secrets) >= 8
    running.store.close()
    files = {path: path.read_bytes() for path in Path(running.folder).rglob("*") if path.name != "secrets.json"}
    assert any(name.suffix == ".db" for name in files)
    for secret in secrets:
        assert not [path.name for path, content in files.items() if secret in content]
        assert secret.decode() not in caplog.text
    assert (running.folder / "secrets.json").stat().st_mode & 0o777 == 0o600
