"""The door to gateways by MQTT: a subscriber that acknowledges a message only when it has been taken.

MQTT 3.1.1, QoS 1, clean session false: what came while we were away, or was not acknowledged when we died, comes
again. Facts: vendors/cps.md 3. The secrets stay inside: no log, error or repr holds user or password.
"""

from __future__ import annotations

import logging
import queue
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from sungaze.errors import NeedsReconnect, Unavailable, VendorError

if TYPE_CHECKING:
    from paho.mqtt.client import Client

WAITING: Final = 1_000
"""Messages that may wait to be taken; the broker keeps the rest, because nothing unacknowledged is taken from it."""
KEEPALIVE_S: Final = 60
CONNECT_S: Final = 10.0
PAUSE_S: Final = 2.0
"""Between a failed take and the new connection that has the message sent again; doubles up to a minute."""
REFUSED: Final = frozenset({4, 5, 134, 135})
"""Reason codes of a login that is not let in, of MQTT 3.1.1 and 5."""

Take = Callable[[str, bytes, bool], None]
"""Takes (topic, payload, retained) durably; the message is acknowledged when it returns, kept by the broker when it
raises."""

log = logging.getLogger(__name__)


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """How a broker is reached. `ca_file` None takes the system's authorities; `client_id` names the session, which the
    broker keeps while we are away unless it is not `lasting`.
    """

    host: str
    port: int
    client_id: str
    user: str | None = None
    password: str | None = None
    tls: bool = True
    ca_file: str | None = None
    lasting: bool = True

    def __repr__(self) -> str:
        return f"Broker({self.host}:{self.port}, client_id={self.client_id!r}, tls={self.tls})"


class _Waiting(msgspec.Struct, frozen=True):
    topic: str
    payload: bytes
    retained: bool
    mid: int
    qos: int
    session: int

    def __repr__(self) -> str:
        return f"_Waiting({self.topic!r}, {len(self.payload)} bytes)"


class Subscriber:
    """A session with one broker; `take` runs in one thread of its own, one message after the other.

    `start` returns when the broker has let us in and confirmed the subscriptions, or raises a VendorError. Afterwards
    the connection is renewed for as long as it takes. `stop` leaves what was not taken to the broker.
    """

    def __init__(self, broker: Broker, topics: tuple[str, ...], take: Take) -> None:
        self.broker = broker
        self.taken = 0
        self.failed = 0
        self.connects = 0
        self._topics = topics
        self._take = take
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue(WAITING)
        self._ready = threading.Event()
        self._ending = threading.Event()
        self._refusal: VendorError | None = None
        self._session = 0
        self._leaving = False
        self._client: Client | None = None
        self._taker: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def connected(self) -> bool:
        """Whether the broker is there at the moment."""
        return self._client is not None and self._client.is_connected()

    @property
    def refusal(self) -> VendorError | None:
        """Why the broker does not let us in any more, None while it does."""
        return self._refusal

    def start(self, wait_s: float = CONNECT_S) -> None:
        """Connect and subscribe. Raises NeedsReconnect for a login that is refused, Unavailable for all else."""
        client = self._client = self._new_client()
        try:
            client.connect(self.broker.host, self.broker.port, keepalive=KEEPALIVE_S)
        except (OSError, ValueError) as error:
            self._client = None
            raise self._unreachable(error) from None
        self._taker = threading.Thread(target=self._take_all, name="mqtt-take", daemon=True)
        self._taker.start()
        client.loop_start()
        if not self._ready.wait(wait_s) or self._refusal is not None:
            refusal = self._refusal or self._unreachable(TimeoutError())
            self.stop()
            raise refusal

    def stop(self) -> None:
        """Finish the message that is being taken and disconnect; more than once does no harm."""
        self._ending.set()
        client, self._client = self._client, None
        if self._taker is not None:
            # Room for the end mark: what waits is not acknowledged, so the broker has it still.
            while True:
                try:
                    self._waiting.put_nowait(None)
                    break
                except queue.Full:
                    self._drain()
            self._taker.join(5.0)
            self._taker = None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _new_client(self) -> Client:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self.broker.client_id,
            clean_session=not self.broker.lasting,
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=True,
        )
        if self.broker.user:
            client.username_pw_set(self.broker.user, self.broker.password)
        if self.broker.tls:
            try:
                context = ssl.create_default_context(cafile=self.broker.ca_file)
            except (OSError, ssl.SSLError) as error:
                raise NeedsReconnect(
                    f"The certificate authority's file cannot be read ({type(error).__name__}). Enter it anew."
                ) from None
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            client.tls_set_context(context)
        client.reconnect_delay_set(1, 120)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _on_connect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._refusal = (
                NeedsReconnect(
                    "The MQTT broker refuses this user and password. Enter them anew; history is kept, and the broker "
                    "keeps what comes meanwhile."
                )
                if reason.value in REFUSED
                else Unavailable(f"The MQTT broker does not let Sungaze in at the moment ({reason}).", 60.0)
            )
            self._ready.set()
            return
        self._refusal = None
        self.connects += 1
        self._session += 1
        self._leaving = False
        client.subscribe([(topic, 1) for topic in self._topics])

    def _on_subscribe(self, client: Client, userdata: Any, mid: int, reasons: Any, properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._refusal = NeedsReconnect(
                "The MQTT broker does not let this user read the gateways' topics. Have its access list changed, or "
                "enter another user."
            )
        self._ready.set()

    def _on_disconnect(self, client: Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if not self._ending.is_set():
            log.info("the MQTT broker at %s:%d is gone (%s)", self.broker.host, self.broker.port, reason)
        # What waits will come again with the session, and its acknowledgement would name another message then.
        self._session += 1
        self._drain()

    def _on_message(self, client: Client, userdata: Any, message: Any) -> None:
        one = _Waiting(
            message.topic, bytes(message.payload), bool(message.retain), message.mid, message.qos, self._session
        )
        # A connection that is being left sends nothing that the next one does not send again, in its order.
        while not self._ending.is_set() and not self._leaving:
            try:
                self._waiting.put(one, timeout=0.5)
                return
            except queue.Full:
                # Holding up the network thread is what makes the broker wait.
                continue

    def _drain(self) -> None:
        while True:
            try:
                self._waiting.get_nowait()
            except queue.Empty:
                return

    def _take_all(self) -> None:
        pause = PAUSE_S
        while not self._ending.is_set():
            one = self._waiting.get()
            if one is None:
                return
            if one.session != self._session:
                continue
            try:
                self._take(one.topic, one.payload, one.retained)
            except Exception:
                self.failed += 1
                log.exception("a message of %d bytes on %s was not taken; it comes again", len(one.payload), one.topic)
                self._again(pause, one.session)
                pause = min(60.0, pause * 2)
                continue
            pause = PAUSE_S
            self.taken += 1
            client = self._client
            if client is not None and one.session == self._session:
                client.ack(one.mid, one.qos)

    def _again(self, pause: float, session: int) -> None:
        """Leave and come back: the broker sends what was not acknowledged only with a new connection."""
        if session != self._session:
            # The connection went while the message was being taken: the broker has sent it again by itself.
            self._ending.wait(pause)
            return
        self._leaving = True
        self._session += 1
        self._drain()
        self._ending.wait(pause)
        client = self._client
        if client is None or self._ending.is_set():
            return
        sock: Any = client.socket()
        if sock is not None:
            try:
                sock.shutdown(2)
            except OSError:
                return

    def _unreachable(self, error: Exception) -> Unavailable:
        if isinstance(error, ssl.SSLError):
            what = "its certificate is not one that this machine trusts"
        elif isinstance(error, TimeoutError):
            what = "it does not answer"
        else:
            what = type(error).__name__
        return Unavailable(
            f"No MQTT broker can be reached at {self.broker.host}, port {self.broker.port}: {what}. It is tried again.",
            60.0,
        )
