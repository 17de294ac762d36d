"""What gateways send, taken into the store: once each, in any order, whole or in parts, and never a zero for a gap."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from spine import Hands, Spine, truth

from sungaze.emulators import Emulator, World, serve
from sungaze.emulators._cps_messages import Message, Sender
from sungaze.emulators._cps_site import GatewayView
from sungaze.emulators.cps import Cps
from sungaze.jobs import receive
from sungaze.model import Span
from sungaze.store.database import OperationalError
from sungaze.store.timeseries import SeriesKey
from sungaze.vendors.cps import VENDOR

PREFIX = "cps/v1"
SECRET = "an-invented-secret-of-the-gateway"
START = 1_780_272_000
"""The first of June 2026, 00:00 UTC; the evening before in Chicago."""


class Gateway:
    """One simulated gateway whose messages a test hands over by itself."""

    def __init__(self, spine: Spine, service: Cps, k: int = 0) -> None:
        self.spine = spine
        self.sender = Sender(GatewayView(service.world, service.world.site("cps", k)), service.faults)
        self.account_id = spine.connect("cps", method="mqtt", credentials={"host": "127.0.0.1", "tls": "no"})
        self.site_id = 0

    def hand_over(self, message: Message, *, retained: bool = False) -> None:
        topic = f"{PREFIX}/{self.sender.serial}/{message.kind}"
        receive.take_message(self.spine.context, self.account_id, PREFIX, topic, message.body, retained)

    def introduce(self) -> int:
        """Have the gateway tell its devices; the site's id, its zone set as a user would."""
        at = int(self.spine.clock.now)
        self.hand_over(self.sender.inventory(at))
        self.hand_over(self.sender.status(at))
        (site,) = self.spine.store.fleet.sites()
        plan = self.sender.plan
        self.spine.store.fleet.set_by_user(site.id, {"timezone": plan.town.zone}, at)
        self.site_id = site.id
        return site.id

    def telemetry(self, at: int) -> Message:
        message = self.sender.telemetry(at)
        assert message is not None
        return message

    def send(self, at: int) -> Message:
        """Have the interval that ends at `at` sent and taken four seconds later."""
        message = self.telemetry(at)
        self.spine.clock.now = at + 4.0
        self.hand_over(message)
        return message

    def facts(self) -> Any:
        return json.loads(self.spine.store.messages.facts(self.account_id, self.sender.serial) or "{}")

    def power(self) -> list[tuple[int, float]]:
        key = SeriesKey(self.site_id, 0, "ac_power_w", 300)
        return self.spine.store.timeseries.raw(key, Span(0, 1 << 40))

    def alarms(self) -> dict[str, int | None]:
        rows, _ = self.spine.store.alerts.alerts(site_id=self.site_id)
        return {row.code: row.resolved_at for row in rows}


@pytest.fixture
def emulator(clock: Hands) -> Iterator[Emulator]:
    clock.now = float(START)
    with serve("cps", World(seed=1, sites=2, panels=40), now=clock) as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path, clock: Hands, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    # The broker itself is real in test_subscriptions.py.
    monkeypatch.setattr("sungaze.vendors.cps._probe_broker", lambda access: _nothing_seen())
    spine = Spine(tmp_path, clock, {"cps": emulator})
    service = emulator.service
    assert isinstance(service, Cps)
    yield Gateway(spine, service)
    spine.close()


def _nothing_seen() -> Any:
    from sungaze.vendors._contract import Probe

    return Probe(sites=(), total=0, panels=False)


def noon(gateway: Gateway) -> int:
    return START + 18 * 3_600


def test_a_day_of_messages_is_the_truth_for_the_site_and_each_inverter(gateway: Gateway, emulator: Emulator) -> None:
    gateway.introduce()
    for at in range(START + 11 * 3_600, START + 27 * 3_600, 300):
        gateway.send(at)
    world = emulator.service.world
    wanted = {
        key: value
        for key, value in truth("cps", world, START + 11 * 3_600, START + 26 * 3_600).items()
        if key[1] == "EX-SITE-1" and key[4] == "300"
    }
    found = {key: v for key, v in gateway.spine.samples().items() if key[3] == "ac_power_w"}
    assert set(wanted) <= set(found)
    # Records hold kW with one decimal.
    inverters = gateway.sender.view.inverters
    assert max(abs(found[key] - value) for key, value in wanted.items()) <= 50.0 * inverters + 0.1
    assert "lost" not in gateway.facts()


def test_the_same_message_twice_changes_nothing(gateway: Gateway) -> None:
    gateway.introduce()
    message = gateway.send(noon(gateway))
    before = gateway.power()
    gateway.hand_over(message)
    gateway.hand_over(message)
    assert gateway.power() == before
    assert len(before) == 1
    assert gateway.facts()["repeated"] == 2


def test_an_older_message_fills_what_is_missing_and_replaces_nothing(gateway: Gateway) -> None:
    gateway.introduce()
    at = noon(gateway)
    first, late = gateway.telemetry(at), gateway.telemetry(at + 300)
    third = gateway.telemetry(at + 600)
    gateway.spine.clock.now = at + 604.0
    for message in (first, third):
        gateway.hand_over(message)
    envelope = json.loads(third.body)
    day = SeriesKey(gateway.site_id, 0, "energy_wh", 86_400)
    so_far = gateway.spine.store.timeseries.raw(day, Span(0, 1 << 40))
    # A copy that says other figures for the newest interval, sent before it was.
    forged = json.loads(late.body)
    for record in envelope["records"]:
        forged["records"].append(record | {"values": {"Pac": 1.0, "DYield": 0.1}})
    gateway.hand_over(late._replace(body=json.dumps(forged).encode()))
    power = dict(gateway.power())
    assert set(power) == {at - 300, at, at + 300}
    assert power[at + 300] != 1_000.0 * gateway.sender.view.inverters
    assert gateway.spine.store.timeseries.raw(day, Span(0, 1 << 40)) == so_far
    assert gateway.facts()["older"] == 1
    assert gateway.facts()["lost"] == 1


def test_a_restarted_gateway_counts_anew_and_loses_nothing(gateway: Gateway) -> None:
    gateway.introduce()
    at = noon(gateway)
    gateway.send(at)
    gateway.sender.boot_id, gateway.sender.seq = 2, 0
    gateway.send(at + 300)
    assert [t for t, _ in gateway.power()] == [at - 300, at]
    assert gateway.facts()["restarts"] == 1
    assert "lost" not in gateway.facts()


def test_a_batch_is_taken_record_by_record_and_the_rest_is_buried_with_its_reason(gateway: Gateway) -> None:
    gateway.introduce()
    message = gateway.telemetry(noon(gateway))
    envelope = json.loads(message.body)
    envelope["records"] += [{"sn": "9999000000000009", "type": "inverter", "ts": envelope["records"][0]["ts"]}, 7]
    gateway.spine.clock.now = noon(gateway) + 4.0
    gateway.hand_over(message._replace(body=json.dumps(envelope).encode()))
    assert len(gateway.power()) == 1
    letters = gateway.spine.store.messages.dead_letters(gateway.account_id)
    assert sorted(reason.partition(":")[0] for _, reason, _ in letters) == ["shape", "unknown_serial"]


@pytest.mark.parametrize(
    ("topic", "body", "reason"),
    [
        ("telemetry", b"\x00\xff not json", "not_json"),
        ("telemetry", b'{"schema":"cps/99"}', "unknown_schema"),
        ("telemetry", b"[]", "bad_shape"),
        ("telemetry", b" " * (1024 * 1024 + 1), "oversize"),
        ("other", b"{}", "bad_shape"),
    ],
)
def test_what_can_never_be_taken_is_buried_and_does_not_come_again(
    gateway: Gateway, topic: str, body: bytes, reason: str
) -> None:
    name = f"{PREFIX}/{gateway.sender.serial}/{topic}"
    receive.take_message(gateway.spine.context, gateway.account_id, PREFIX, name, body, False)
    ((_, said, kept),) = gateway.spine.store.messages.dead_letters(gateway.account_id)
    assert said.startswith(reason)
    assert len(kept) <= 65_536


def test_retained_telemetry_is_never_fresh_and_an_old_status_says_nothing_of_now(gateway: Gateway) -> None:
    at = noon(gateway)
    gateway.spine.clock.now = at + 20 * 86_400.0
    gateway.hand_over(gateway.sender.inventory(at), retained=True)
    gateway.hand_over(gateway.telemetry(at), retained=True)
    (site,) = gateway.spine.store.fleet.sites()
    gateway.site_id = site.id
    assert not gateway.power()
    assert gateway.spine.store.messages.dead(gateway.account_id) == 1
    assert site.peak_power_kw
    assert receive.last_message_at(gateway.spine.context, gateway.account_id) == 0


def test_a_last_will_makes_the_devices_offline_and_the_next_message_brings_them_back(gateway: Gateway) -> None:
    gateway.introduce()
    at = noon(gateway)
    gateway.send(at)
    store = gateway.spine.store
    gateway.hand_over(Message("status", gateway.sender.last_will(), ""))
    states = {d.device_type: d.status for d in store.fleet.devices(gateway.site_id)}
    assert states["inverter"] == states["gateway"] == "offline"
    assert gateway.alarms() == {"CPS-COMM": None}
    assert store.alerts.standings()[gateway.site_id].silent
    gateway.send(at + 300)
    states = {d.device_type: d.status for d in store.fleet.devices(gateway.site_id)}
    assert states["inverter"] == "normal"
    assert gateway.alarms()["CPS-COMM"] is not None


def test_a_gateway_that_is_silent_for_too_long_is_told_only_if_somebody_listened(gateway: Gateway) -> None:
    gateway.introduce()
    at = noon(gateway)
    gateway.send(at)
    context = gateway.spine.context
    account = gateway.spine.store.fleet.account(gateway.account_id)
    gateway.spine.clock.now = at + 3_600.0
    receive.watch(context, account)
    assert not gateway.alarms(), "nobody listened"
    context.listening[account.id] = gateway.spine.clock.now
    gateway.spine.clock.now += 1_199.0
    receive.watch(context, account)
    assert not gateway.alarms(), "not for long enough"
    gateway.spine.clock.now += 2.0
    receive.watch(context, account)
    assert gateway.alarms() == {"CPS-COMM": None}
    receive.watch(context, account)
    assert len(gateway.alarms()) == 1


def test_a_backfill_brings_figures_and_changes_nothing_about_now(gateway: Gateway) -> None:
    gateway.introduce()
    at = noon(gateway)
    gateway.send(at)
    before = gateway.spine.store.fleet.site(gateway.site_id).last_updated
    for message in gateway.sender.backfill(at - 7_200, at - 300):
        gateway.hand_over(message)
    store = gateway.spine.store
    quarters = store.timeseries.raw(SeriesKey(gateway.site_id, 0, "ac_power_w", 900), Span(0, 1 << 40))
    assert [t for t, _ in quarters] == list(range(at - 7_200, at - 900, 900))
    assert store.fleet.site(gateway.site_id).last_updated == before
    merged = store.timeseries.read(gateway.site_id, 0, "ac_power_w", Span(at - 7_200, at), resolution="15m").rows
    assert len(merged) == 8, "the quarter-hours of the backfill, and the one that live messages began"


def test_energy_that_is_counted_only_at_night_is_missing_by_day_and_never_zero(gateway: Gateway) -> None:
    gateway.introduce()
    at = noon(gateway)
    message = gateway.telemetry(at)
    envelope = json.loads(message.body)
    for record in envelope["records"]:
        if "DYield" in record["values"]:
            record["values"]["DYield"] = 0.0
    gateway.spine.clock.now = at + 4.0
    gateway.hand_over(message._replace(body=json.dumps(envelope).encode()))
    day = SeriesKey(gateway.site_id, 0, "energy_wh", 86_400)
    assert not gateway.spine.store.timeseries.raw(day, Span(0, 1 << 40))
    gateway.send(at + 300)
    ((_, wh),) = gateway.spine.store.timeseries.raw(day, Span(0, 1 << 40))
    assert wh > 0


def test_a_disconnected_account_takes_nothing_and_lets_the_message_go(gateway: Gateway) -> None:
    gateway.introduce()
    gateway.spine.store.fleet.remove_account(gateway.account_id, gateway.spine.clock.now)
    gateway.send(noon(gateway))
    assert not gateway.power()


def test_what_is_kept_for_31_days_is_forgotten_then(gateway: Gateway) -> None:
    messages, now = gateway.spine.store.messages, float(START)
    with gateway.spine.store.database.transaction():
        assert messages.is_new(1, "EX", "m", now)
        assert not messages.is_new(1, "EX", "m", now + 86_400)
        messages.bury(1, "push", "not_json", b"x", now)
    messages.forget_old(now + 30 * 86_400)
    assert messages.dead(1) == 1
    messages.forget_old(now + 32 * 86_400)
    assert messages.dead(1) == 0
    with gateway.spine.store.database.transaction():
        assert messages.is_new(1, "EX", "m", now)


# -- push ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pushed(gateway: Gateway) -> Callable[..., receive.Reply]:
    account_id = gateway.spine.connect("cps", method="push", credentials={"secret": SECRET})

    def push(message: Message, secret: str = SECRET, packed: bool = False, to: int | None = None) -> receive.Reply:
        body = gzip.compress(message.body) if packed else message.body
        stamp = str(int(gateway.spine.clock.now))
        digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {
            "content-type": message.content_type, "x-cps-gateway": gateway.sender.serial,
            "x-cps-message-id": message.msg_id, "x-cps-timestamp": stamp, "x-cps-signature": f"sha256={digest}",
        }  # fmt: skip
        headers |= {"content-encoding": "gzip"} if packed else {}
        return receive.take_push(gateway.spine.context, account_id if to is None else to, headers, body)

    return push


def test_a_push_is_acknowledged_once_it_is_stored_and_again_when_it_comes_again(
    gateway: Gateway, pushed: Callable[..., receive.Reply]
) -> None:
    at = noon(gateway)
    gateway.spine.clock.now = at + 4.0
    message = gateway.telemetry(at)
    for packed in (False, True):
        reply = pushed(message, packed=packed)
        assert (reply.status, reply.body) == (200, {"ack": message.msg_id})
    (site,) = gateway.spine.store.fleet.sites()
    gateway.site_id = site.id
    assert len(gateway.power()) == 1


def test_a_push_that_cannot_be_stored_is_not_acknowledged(
    gateway: Gateway, pushed: Callable[..., receive.Reply], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OperationalError("database or disk is full")

    message = gateway.telemetry(noon(gateway))
    gateway.spine.clock.now = noon(gateway) + 4.0
    with monkeypatch.context() as patch:
        patch.setattr(receive, "ingest", full)
        reply = pushed(message)
    assert reply.status == 503
    assert dict(reply.headers)["Retry-After"]
    assert pushed(message).status == 200, "it was not taken for one that came before"
    (site,) = gateway.spine.store.fleet.sites()
    gateway.site_id = site.id
    assert len(gateway.power()) == 1


def test_strangers_are_refused_and_told_no_secret(gateway: Gateway, pushed: Callable[..., receive.Reply]) -> None:
    message = gateway.telemetry(noon(gateway))
    gateway.spine.clock.now = noon(gateway) + 4.0
    assert pushed(message, secret="somebody else's").status == 401
    assert pushed(message, to=gateway.account_id).status == 404, "an account that listens to a broker"
    assert pushed(message, to=999).status == 404
    assert not gateway.spine.store.fleet.sites()
    assert SECRET not in str(pushed(message, secret="x").body)


def test_an_account_of_cps_s_cloud_is_blocked_and_says_what_is_needed(gateway: Gateway) -> None:
    spine = gateway.spine
    account_id = spine.connect("cps", method="cloud", credentials={"company": "Invented Solar"})
    account = spine.store.fleet.account(account_id)
    assert account.state == "blocked"
    assert "Still needed: a request to CPS" in account.state_reason
    assert (
        spine.connect("cps", method="cloud", credentials={"company": "Invented Solar", "onboarding": "live"})
        == account_id
    )
    assert "nothing is missing" in spine.store.fleet.account(account_id).state_reason
    for told in ({"onboarding": "requested", "auth": "OAuth"}, {"limits": "none"}):
        spine.connect("cps", method="cloud", credentials={"company": "Invented Solar", **told})
    reason = spine.store.fleet.account(account_id).state_reason
    assert "the kind of login" not in reason
    assert "the limits on calls" not in reason
    assert "a sandbox account" in reason, "what was told before is kept, and the rest is still needed"
    assert not spine.store.alerts.alerts()[0]


def test_every_way_in_says_how_its_data_comes() -> None:
    assert [method.way for method in VENDOR.methods] == ["mqtt", "push", "ask", "none"]


def test_no_two_of_the_kept_orders_of_a_gateway_go_back(gateway: Gateway) -> None:
    gateway.introduce()
    orders = []
    for at in range(noon(gateway), noon(gateway) + 1_500, 300):
        gateway.send(at)
        orders.append(gateway.facts()["order"]["seq"])
    assert all(a < b for a, b in pairwise(orders))
