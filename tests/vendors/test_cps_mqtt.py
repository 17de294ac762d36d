"""The MQTT door against a real mosquitto: nothing is acknowledged before it is taken, and nothing is lost."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mosquitto import PASSWORD, USER, Mosquitto
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from sungaze.errors import NeedsReconnect, Unavailable
from sungaze.vendors import _mqtt
from sungaze.vendors._mqtt import Broker, Subscriber

TOPIC = "cps/v1/EXGW00000000001/telemetry"


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
def publish(mosquitto: Mosquitto) -> Iterator[Callable[..., None]]:
    clients: list[Client] = []

    def send(*payloads: bytes, topic: str = TOPIC, retain: bool = False) -> None:
        if not clients:
            client = Client(CallbackAPIVersion.VERSION2)
            client.username_pw_set(USER, PASSWORD)
            client.connect("127.0.0.1", mosquitto.port)
            client.loop_start()
            clients.append(client)
        # The gateway's own connection may come back later than ours does.
        until(clients[0].is_connected)
        for sent in [clients[0].publish(topic, payload, qos=1, retain=retain) for payload in payloads]:
            sent.wait_for_publish(10)

    yield send
    for client in clients:
        client.disconnect()
        client.loop_stop()


def broker_of(mosquitto: Mosquitto, **changed: Any) -> Broker:
    given: dict[str, Any] = {"host": "127.0.0.1", "port": mosquitto.port, "client_id": "sungaze-test", "user": USER,
                             "password": PASSWORD, "tls": False} | changed  # fmt: skip
    return Broker(**given)


def until(condition: Callable[[], bool], wait_s: float = 15.0) -> None:
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


class Taken:
    def __init__(self, fail: int = 0) -> None:
        self.seen: list[tuple[str, bytes, bool]] = []
        self.fail = fail

    def __call__(self, topic: str, payload: bytes, retained: bool) -> None:
        if self.fail:
            self.fail -= 1
            raise RuntimeError("the disk is full")
        self.seen.append((topic, payload, retained))

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, payload, _ in self.seen]


def test_what_is_published_is_taken_in_order_and_retained_is_told_apart(mosquitto: Mosquitto, publish: Any) -> None:
    publish(b"old", topic="cps/v1/EX/status", retain=True)
    take = Taken()
    with Subscriber(broker_of(mosquitto), ("cps/v1/+/+",), take) as door:
        until(lambda: len(take.seen) == 1)
        publish(*[b"%d" % n for n in range(200)])
        until(lambda: len(take.seen) == 201)
        assert door.taken == 201
    assert take.seen[0] == ("cps/v1/EX/status", b"old", True)
    assert take.seen[1:] == [(TOPIC, b"%d" % n, False) for n in range(200)]


def test_what_comes_while_we_are_away_is_kept_for_us(mosquitto: Mosquitto, publish: Any) -> None:
    take = Taken()
    with Subscriber(broker_of(mosquitto), ("cps/v1/+/+",), take):
        pass
    publish(*[b"%d" % n for n in range(50)])
    with Subscriber(broker_of(mosquitto), ("cps/v1/+/+",), take):
        until(lambda: len(take.seen) == 50)
    assert sorted(take.payloads) == sorted(b"%d" % n for n in range(50))


def test_a_message_that_could_not_be_taken_comes_again(
    mosquitto: Mosquitto, publish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_mqtt, "PAUSE_S", 0.05)
    take = Taken(fail=2)
    with Subscriber(broker_of(mosquitto), ("cps/v1/+/+",), take) as door:
        publish(b"a", b"b", b"c")
        until(lambda: {b"a", b"b", b"c"} <= set(take.payloads))
        assert door.failed == 2
        assert door.connects >= 3


def test_what_comes_while_a_failed_take_pauses_does_not_overtake_it(
    mosquitto: Mosquitto, publish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_mqtt, "PAUSE_S", 0.3)
    take = Taken(fail=1)
    with Subscriber(broker_of(mosquitto), ("cps/v1/+/+",), take) as door:
        publish(b"a")
        until(lambda: door.failed == 1)
        publish(b"b", b"c")
        until(lambda: len(take.seen) >= 3)
        assert take.payloads == [b"a", b"b", b"c"]


def test_the_session_is_renewed_when_the_broker_comes_back(mosquitto: Mosquitto, publish: Any) -> None:
    take = Taken()
    with Subscriber(broker_of(mosquitto), ("cps/v1/+/+",), take) as door:
        publish(b"before")
        until(lambda: len(take.seen) == 1)
        mosquitto.stop()
        until(lambda: not door.connected)
        mosquitto.start()
        until(lambda: door.connects == 2)
        publish(b"after")
        until(lambda: b"after" in take.payloads)


def test_a_login_that_is_refused_needs_the_user_and_tells_no_secret(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    broker = broker_of(mosquitto, password="a-wrong-password-9")
    door = Subscriber(broker, ("cps/v1/+/+",), Taken())
    with pytest.raises(NeedsReconnect) as refused:
        door.start()
    for words in (str(refused.value), repr(broker), repr(door), caplog.text):
        assert "a-wrong-password-9" not in words


# paho leaves the socket of a failed TLS handshake to the collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_no_broker_and_a_broker_that_says_nothing_are_unavailable(mosquitto: Mosquitto) -> None:
    port = mosquitto.port
    mosquitto.stop()
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
        Subscriber(broker_of(mosquitto), ("x",), Taken()).start()
    mosquitto.start()
    assert mosquitto.port == port
    with pytest.raises(Unavailable):
        Subscriber(broker_of(mosquitto, tls=True), ("x",), Taken()).start()
    gc.collect()


def test_an_authority_file_that_is_none_is_told(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with pytest.raises(NeedsReconnect):
        Subscriber(broker_of(mosquitto, tls=True, ca_file=str(tmp_path / "none.pem")), ("x",), Taken()).start()


CHILD = """
import sys, threading
from sungaze.vendors._mqtt import Broker, Subscriber
out = open(sys.argv[2], "ab", buffering=0)
def take(topic, payload, retained):
    out.write(payload + b"\\n")
broker = Broker(host="127.0.0.1", port=int(sys.argv[1]), client_id="killed", user=sys.argv[3], password=sys.argv[4],
                tls=False)
with Subscriber(broker, ("cps/v1/+/+",), take):
    print("ready", flush=True)
    threading.Event().wait()
"""


def test_kill_9_of_the_subscriber_loses_nothing(mosquitto: Mosquitto, publish: Any, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    total, kills = 1_500, 4

    def begin() -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(mosquitto.port), str(taken), USER, PASSWORD], stdout=subprocess.PIPE
        )
        assert child.stdout
        assert child.stdout.readline() == b"ready\n"
        return child

    child = begin()
    sending = threading.Thread(target=lambda: [publish(b"%d" % n) for n in range(total)])
    sending.start()
    try:
        for _ in range(kills):
            before = taken.stat().st_size
            until(lambda: taken.stat().st_size > before + 200 or not sending.is_alive())  # noqa: B023
            os.kill(child.pid, signal.SIGKILL)
            child.wait(10)
            assert child.stdout
            child.stdout.close()
            child = begin()
        sending.join(30)
        until(lambda: set(taken.read_bytes().split()) == {b"%d" % n for n in range(total)}, 30)
    finally:
        sending.join(30)
        os.kill(child.pid, signal.SIGKILL)
        child.wait(10)
        assert child.stdout
        child.stdout.close()
