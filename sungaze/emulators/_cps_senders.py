"""How a simulated gateway's messages go out: to an MQTT broker, or to a receiver by HTTP(S)."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import hmac
import http.client
import socket
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from threading import Event, RLock, Thread
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from sungaze.emulators._cps_messages import Message, Sender
from sungaze.emulators._hash import unit
from sungaze.emulators.faults import Faults
from sungaze.emulators.world import INTERVAL_S

if TYPE_CHECKING:
    from paho.mqtt.client import Client

TICK_S = 0.2
WAIT_S = 10.0
KEPT_S = 30 * 86_400
STOP_WAIT_S, UNKNOWN_WAIT_S, LONGEST_WAIT_S = 900.0, 3600.0, 900.0
PUSH_TIMEOUT_S = 15.0


class _Loop(ABC):
    """Sends what has fallen due by `now`, in a thread of its own or when `send_until` is called."""

    def __init__(self, now: Callable[[], float], senders: Sequence[Sender]) -> None:
        self._now = now
        self._senders = list(senders)
        self._lock = RLock()
        self._ending = Event()
        self._reached = int(now()) // INTERVAL_S * INTERVAL_S
        self._thread: Thread | None = None

    def run(self) -> None:
        """Begin to send by the emulator's clock."""
        self._thread = Thread(target=self._loop, name=type(self).__name__, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the connections; more than once does no harm."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join(WAIT_S)

    def send_until(self, now: float) -> None:
        """Send every interval that has ended by `now`."""
        with self._lock:
            while self._reached + INTERVAL_S <= now:
                self._reached += INTERVAL_S
                self.send_interval(self._reached)

    def catch_up(self, stored_s: int) -> None:
        """Send the last interval that has ended, now, and what was stored so long before it."""
        with self._lock:
            now = self._now()
            last = int(now) // INTERVAL_S * INTERVAL_S
            for sender in self._senders:
                sender.late_s = max(0, int(now) - last - 4)
            try:
                self.send_interval(last)
                self.backfill(last - stored_s, last)
            finally:
                for sender in self._senders:
                    sender.late_s = 0

    @abstractmethod
    def backfill(self, start: int, end: int) -> None:
        """Send the stored quarter-hours that end inside (start, end]."""

    @abstractmethod
    def send_interval(self, at: int) -> None:
        """Send what was measured in the interval that ends at `at`."""

    def _loop(self) -> None:
        while not self._ending.wait(TICK_S):
            self.send_until(self._now())


class MqttPublisher(_Loop):
    """The gateways of some sites as clients of one broker: retained status and inventory, last will, telemetry.

    While a gateway is cut off it stores; when it is back it sends live data first, then the rest as backfill.
    Raises OSError when the broker is not there.
    """

    def __init__(
        self,
        senders: Sequence[Sender],
        faults: Faults,
        now: Callable[[], float],
        host: str,
        port: int,
        user: str | None = None,
        password: str | None = None,
        prefix: str = "cps/v1",
    ) -> None:
        super().__init__(now, senders)
        self.host, self.port, self.prefix = host, port, prefix
        self.published = 0
        self._faults = faults
        self._login = (user, password)
        self._missed: dict[str, int] = {}
        self._clients: dict[str, Client] = {}
        try:
            for sender in self._senders:
                self._clients[sender.serial] = self._connect(sender)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Send what is held back, say goodbye (no last will) and disconnect."""
        super().stop()
        for sender in self._senders:
            client = self._clients.get(sender.serial)
            if client is not None:
                if client.is_connected():
                    self._publish(sender, sender.released())
                client.disconnect()
                client.loop_stop()
        self._clients.clear()

    def backfill(self, start: int, end: int) -> None:
        """Send the stored quarter-hours that end inside (start, end]."""
        for sender in self._senders:
            self._publish(sender, sender.backfill(start, end))

    def break_off(self, serial: str) -> None:
        """Cut a gateway's connection without a goodbye, so that the broker sends its last will; it comes back."""
        found = self._clients[serial].socket()
        if isinstance(found, socket.socket):
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)

    def send_interval(self, at: int) -> None:
        """Send every gateway's interval that ends at `at`."""
        for sender in self._senders:
            client = self._clients[sender.serial]
            if self._faults.strikes("lwt"):
                self.break_off(sender.serial)
                self._missed.setdefault(sender.serial, at - INTERVAL_S)
                continue
            if not client.is_connected():
                self._missed.setdefault(sender.serial, at - INTERVAL_S)
                continue
            self._publish(sender, sender.live(at))
            since = self._missed.pop(sender.serial, None)
            if since is not None:
                self._publish(sender, sender.backfill(since, at - INTERVAL_S))

    def _connect(self, sender: Sender) -> Client:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=sender.serial,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
        )
        user, password = self._login
        if user:
            client.username_pw_set(user, password)
        client.will_set(self._topic(sender, "status"), sender.last_will(), qos=1, retain=True)
        client.reconnect_delay_set(1, 2)
        ready = Event()

        def connected(client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
            if not reason.is_failure:
                at = int(self._now())
                for message in (sender.inventory(at), sender.status(at)):
                    client.publish(self._topic(sender, message.kind), message.body, qos=1, retain=True)
                ready.set()

        client.on_connect = connected
        client.connect(self.host, self.port, keepalive=60)
        client.loop_start()
        if not ready.wait(WAIT_S):
            client.loop_stop()
            raise OSError(f"the broker at {self.host}:{self.port} does not let {sender.serial} in")
        return client

    def _topic(self, sender: Sender, kind: str) -> str:
        return f"{self.prefix}/{sender.serial}/{kind}"

    def _publish(self, sender: Sender, messages: Sequence[Message]) -> None:
        client = self._clients.get(sender.serial)
        if client is None:
            return
        for message in messages:
            sent = client.publish(self._topic(sender, message.kind), message.body, qos=1, retain=message.retained)
            end = time.monotonic() + WAIT_S
            while not sent.is_published() and time.monotonic() < end and not self._ending.is_set():
                sent.wait_for_publish(0.2)
            self.published += 1


class Attempt(NamedTuple):
    """One push: when, which message, the answer's status (0: no answer), and how long the sender then waits."""

    at: float
    msg_id: str
    status: int
    wait_s: float


class PushSender(_Loop):
    """The gateways of some sites as senders of signed POSTs, with the retries of vendors/cps.md 4.

    `attempts` holds what was sent and answered. `signing` False sends the secret as a bearer token instead.
    """

    def __init__(
        self,
        senders: Sequence[Sender],
        faults: Faults,
        now: Callable[[], float],
        url: str,
        secret: str,
        *,
        signing: bool = True,
    ) -> None:
        super().__init__(now, senders)
        self.url = url
        self.attempts: deque[Attempt] = deque(maxlen=10_000)
        self.waiting: list[tuple[float, Sender, Message]] = []
        self._faults = faults
        self._secret = secret
        self._signing = signing
        self._tries = 0
        self._not_before = 0.0

    def send_until(self, now: float) -> None:
        """Send what has fallen due, live data first, then what waits, oldest first."""
        with self._lock:
            super().send_until(now)
            self._flush(now)

    def send_interval(self, at: int) -> None:
        """Put every gateway's interval that ends at `at` before all that waits, and send as far as that goes."""
        fresh = [(float(at), sender, message) for sender in self._senders for message in sender.live(at)]
        self.waiting = fresh + self.waiting
        self._flush(float(at))

    def backfill(self, start: int, end: int) -> None:
        """Send the stored quarter-hours that end inside (start, end]."""
        with self._lock:
            now = self._now()
            self.waiting += [(now, sender, m) for sender in self._senders for m in sender.backfill(start, end)]
            self._flush(now)

    def _flush(self, now: float) -> None:
        self.waiting = [one for one in self.waiting if now - one[0] < KEPT_S]
        while self.waiting and now >= self._not_before and not self._ending.is_set():
            since, sender, message = self.waiting.pop(0)
            status, retry_after = self._post(sender, message)
            wait = 0.0
            if status in {200, 202}:
                self._tries = 0
            elif status == 413:
                self.waiting = [(since, sender, half) for half in sender.split(message)] + self.waiting
            elif status not in {400, 422}:
                wait = self._wait(status, retry_after)
                self.waiting.append((since, sender, message))
                self._not_before = now + wait
            self.attempts.append(Attempt(now, message.msg_id, status, wait))
            if status == 200 and self._faults.strikes("duplicate"):
                self.attempts.append(Attempt(now, message.msg_id, self._post(sender, message)[0], 0.0))

    def _wait(self, status: int, retry_after: str | None) -> float:
        if status in {401, 403}:
            return STOP_WAIT_S
        if status == 404:
            return UNKNOWN_WAIT_S
        self._tries += 1
        if retry_after and retry_after.isdecimal():
            return float(retry_after)
        spread = 0.8 + 0.4 * unit(1, "push", self._tries)
        return min(LONGEST_WAIT_S, 5.0 * 2.0 ** (self._tries - 1)) * spread

    def _post(self, sender: Sender, message: Message) -> tuple[int, str | None]:
        body = message.body
        headers = {
            "Content-Type": message.content_type, "X-CPS-Gateway": sender.serial, "X-CPS-Message-Id": message.msg_id,
        }  # fmt: skip
        if "gzip" in message.faults:
            body = gzip.compress(body)
            headers["Content-Encoding"] = "gzip"
        if self._signing:
            stamp = str(int(self._now()))
            secret = "somebody else's" if "wrong_signature" in message.faults else self._secret
            digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
            headers |= {"X-CPS-Timestamp": stamp, "X-CPS-Signature": f"sha256={digest}"}
        else:
            headers["Authorization"] = f"Bearer {self._secret}"
        parts = urlsplit(self.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=PUSH_TIMEOUT_S)
        try:
            connection.request("POST", parts.path or "/", body, headers)
            answer = connection.getresponse()
            answer.read(65_536)
            return answer.status, answer.getheader("Retry-After")
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()
