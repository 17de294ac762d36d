"""Listening at a real broker: opened by itself, told when it cannot be, and nothing lost by a kill."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mosquitto import PASSWORD, USER, Mosquitto
from spine import Hands, Spine

from bench import cps as bench_cps
from sungaze.emulators import Emulator, World, serve
from sungaze.emulators.cps import Cps
from sungaze.errors import NeedsReconnect, Unavailable
from sungaze.jobs import subscriptions
from sungaze.jobs.events import Event
from sungaze.jobs.subscriptions import Subscriptions

SOAK = os.environ.get("SUNGAZE_SOAK") == "1"


def until(condition: Callable[[], bool], wait_s: float = 20.0) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with Mosquitto(folder) as running:
        yield running


@pytest.fixture
def emulator(clock: Hands) -> Iterator[Emulator]:
    with serve("cps", World(seed=1, sites=2, panels=20), now=clock) as running:
        yield running


@pytest.fixture
def spine(tmp_path: Path, clock: Hands, emulator: Emulator) -> Iterator[Spine]:
    made = Spine(tmp_path, clock, {"cps": emulator})
    yield made
    made.close()


@pytest.fixture
def listening(spine: Spine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subscriptions]:
    monkeypatch.setattr(subscriptions, "ROUND_S", 0.05)
    made = Subscriptions(spine.context)
    yield made
    made.stop()


def login(broker: Mosquitto, **changed: str) -> dict[str, str]:
    return {
        "host": "127.0.0.1", "port": str(broker.port), "user": USER, "password": PASSWORD, "tls": "no"
    } | changed  # fmt: skip


def publisher(emulator: Emulator, broker: Mosquitto) -> Cps:
    service = emulator.service
    assert isinstance(service, Cps)
    service.start_mqtt("127.0.0.1", broker.port, user=USER, password=PASSWORD, running=False)
    return service


def test_whoever_looks_at_the_account_is_told_of_listening_and_of_each_message(
    spine: Spine, emulator: Emulator, broker: Mosquitto, listening: Subscriptions
) -> None:
    account_id = spine.connect("cps", method="mqtt", credentials=login(broker))
    told = spine.context.events.listen()
    listening.start()
    until(lambda: account_id in spine.context.listening)
    assert told.get(timeout=5) == Event("accounts", (account_id,))
    publisher(emulator, broker)
    until(lambda: Event("accounts", (account_id,)) in [told.get(timeout=5)])
    broker.stop()
    until(lambda: account_id not in spine.context.listening)
    until(lambda: Event("accounts", (account_id,)) in [told.get(timeout=5)])
    spine.context.events.leave(told)


def test_the_probe_tells_the_gateways_that_the_broker_knows_of(
    spine: Spine, emulator: Emulator, broker: Mosquitto
) -> None:
    from sungaze.jobs import connect

    empty = connect.probe(spine.context, spine.wish("cps", method="mqtt", credentials=login(broker)))
    assert empty.probe.total == 0
    assert "Gateways that it knows of: 0" in empty.probe.notes[0]
    publisher(emulator, broker)
    found = connect.probe(spine.context, spine.wish("cps", method="mqtt", credentials=login(broker)))
    assert {site.vendor_site_id for site in found.probe.sites} == {"EX-SITE-1", "EX-SITE-2"}
    assert not spine.store.fleet.sites(), "a probe keeps nothing"


def test_a_wrong_password_and_no_broker_are_told_before_anything_is_saved(spine: Spine, broker: Mosquitto) -> None:
    with pytest.raises(NeedsReconnect, match="user and password"):
        spine.connect("cps", method="mqtt", credentials=login(broker, password="another-password"))
    with pytest.raises(NeedsReconnect, match="port"):
        spine.connect("cps", method="mqtt", credentials=login(broker, port="many"))
    broker.stop()
    with pytest.raises(Unavailable, match="No MQTT broker"):
        spine.connect("cps", method="mqtt", credentials=login(broker))
    assert not spine.store.fleet.accounts()


def test_what_gateways_publish_comes_in_and_each_account_has_its_session(
    spine: Spine, emulator: Emulator, broker: Mosquitto, listening: Subscriptions
) -> None:
    account_id = spine.connect("cps", method="mqtt", credentials=login(broker))
    listening.start()
    until(lambda: account_id in spine.context.listening)
    service = publisher(emulator, broker)
    assert service.mqtt is not None
    at = int(spine.clock.now) // 300 * 300
    service.mqtt.send_interval(at)
    until(lambda: len(spine.samples()) >= 4)
    assert {site.vendor_site_id for site in spine.store.fleet.sites()} == {"EX-SITE-1", "EX-SITE-2"}
    assert spine.store.fleet.account(account_id).state == "connected"
    spine.store.fleet.remove_account(account_id, spine.clock.now)
    until(lambda: account_id not in spine.context.listening)


def test_a_broker_that_goes_is_told_after_a_while_and_what_was_sent_meanwhile_comes(
    spine: Spine, emulator: Emulator, broker: Mosquitto, listening: Subscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriptions, "PATIENCE_S", 0.2)
    account_id = spine.connect("cps", method="mqtt", credentials=login(broker))
    listening.start()
    until(lambda: account_id in spine.context.listening)
    broker.stop()
    until(lambda: spine.store.fleet.account(account_id).state == "unavailable")
    assert account_id not in spine.context.listening, "silence proves nothing while nobody listens"
    assert "kept" in spine.store.fleet.account(account_id).state_reason
    broker.start()
    until(lambda: spine.store.fleet.account(account_id).state == "connected")
    service = publisher(emulator, broker)
    assert service.mqtt is not None
    service.mqtt.send_interval(int(spine.clock.now) // 300 * 300)
    until(lambda: len(spine.samples()) >= 4)


def test_a_login_that_dies_needs_the_user_and_new_credentials_go_on(
    spine: Spine, broker: Mosquitto, listening: Subscriptions
) -> None:
    account_id = spine.connect("cps", method="mqtt", credentials=login(broker))
    spine.context.vault.keep_credentials(account_id, login(broker, password="no-longer-right"))
    listening.start()
    until(lambda: spine.store.fleet.account(account_id).state == "needs_reconnect")
    assert spine.connect("cps", method="mqtt", credentials=login(broker)) == account_id
    until(lambda: account_id in spine.context.listening)
    assert spine.store.fleet.account(account_id).state == "connected"


@pytest.mark.slow
@pytest.mark.soak if SOAK else pytest.mark.timeout(150)
def test_kill_9_while_gateways_publish_loses_no_record(tmp_path: Path) -> None:
    seconds, kills = (120, 10) if SOAK else (15, 2)
    found = bench_cps.run(tmp_path, seconds=seconds, kills=kills)
    assert found.sent >= bench_cps.RATE / 60 * seconds * 0.8
    assert (found.missing, found.wrong) == (0, 0)
