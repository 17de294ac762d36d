"""The simulated gateways over a real broker and as senders of signed pushes, with every fault (vendors/cps.md 10)."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from emulating import NOON, Hands
from mosquitto import PASSWORD, USER, Mosquitto, free_port
from program import COMMAND

from sungaze.emulators import Emulator, World
from sungaze.emulators._cps_messages import OWN_FAULTS, Sender
from sungaze.emulators._cps_senders import MqttPublisher, PushSender
from sungaze.emulators._cps_site import GatewayView, fixed_zone
from sungaze.emulators.commands import emulate
from sungaze.emulators.commands import world as truth_command
from sungaze.emulators.cps import Cps

MARK = int(NOON) // 300 * 300


def service_of(emulator: Emulator) -> Cps:
    assert isinstance(emulator.service, Cps)
    return emulator.service


def sender_of(emulator: Emulator, k: int = 0) -> Sender:
    return Sender(GatewayView(emulator.service.world, emulator.service.world.site("cps", k)), emulator.faults)


def bodies(emulator: Emulator, count: int = 3) -> list[dict[str, Any]]:
    sender = sender_of(emulator)
    return [json.loads(m.body) for n in range(count) for m in sender.live(MARK + 300 * n) if m.kind == "telemetry"]


# -- messages --------------------------------------------------------------------------------------------------------


def test_a_telemetry_is_as_the_page_shows_and_says_the_truth(start: Any, world: World) -> None:
    emulator = start("cps")
    (body, *_) = bodies(emulator)
    assert (body["schema"], body["type"], body["boot_id"], body["seq"]) == ("cps-assumed/1", "telemetry", 1, 1)
    assert body["msg_id"] == f"{body['gateway_sn']}-1-000001"
    assert (body["tz"], body["interval_s"], body["site_id"]) == ("GMT -6", 300, "EX-SITE-1")
    inverter, meter = body["records"]
    assert len(inverter["sn"]) == 16
    assert inverter["sn"].isdecimal()
    assert meter["type"] == "meter"
    rows = [
        row
        for row in Cps.truth(world, 0, MARK - 300, MARK)
        if row.interval_s == 300 and row.device_id == inverter["sn"]
    ]
    assert [row.start for row in rows] == [MARK - 300]
    assert inverter["values"]["Pac"] * 1000 == pytest.approx(rows[0].value, abs=0.01)
    dc = sum(inverter["values"][f"Upv{n}"] * inverter["values"][f"Ipv{n}"] for n in (1, 2, 3))
    assert dc * 0.975 == pytest.approx(rows[0].value, rel=0.01)


def test_truth_s_day_is_the_sum_of_its_power(world: World) -> None:
    plan = world.site("cps", 1)
    day = plan.local_date(NOON)
    start, end = plan.midnight(day), plan.midnight(day) + 86_400
    rows = list(Cps.truth(world, 1, start, end))
    power = sum(row.value for row in rows if row.metric == "ac_power_w" and not row.device_id) / 12
    (energy,) = [row.value for row in rows if row.metric == "energy_wh" and not row.device_id]
    assert energy == pytest.approx(power, rel=1e-6)
    assert {row.interval_s for row in rows} == {300, 86_400}


def test_zones_are_fixed_offsets_that_know_no_summer(world: World) -> None:
    assert [fixed_zone(world.site("cps", k)) for k in range(4)] == ["GMT -6", "GMT +1", "GMT +9:30", "GMT +5:30"]


def test_at_night_only_the_meter_speaks_and_in_an_outage_nobody(start: Any, world: World) -> None:
    sender = sender_of(start("cps"))
    night = json.loads(sender.live(MARK + 12 * 3600)[0].body)
    assert [record["type"] for record in night["records"]] == ["meter"]
    plan = world.site("cps", 0)
    begin, _ = plan.gaps(MARK - 300 * 86_400, MARK)[0]
    assert sender.telemetry(begin + 600) is None


FAULTS: dict[str, Callable[[dict[str, Any], dict[str, Any]], bool]] = {
    "clock_behind": lambda body, good: body["sent_at"] == "2026-06-01T18:00:04Z",
    "clock_ahead": lambda body, good: body["records"][0]["ts"] == "2026-06-01T21:05:00Z",
    "clock_years": lambda body, good: body["sent_at"].startswith("2020-"),
    "night_energy": lambda body, good: body["records"][0]["values"]["DYield"] == 0,
    "counter_reset": lambda body, good: body["records"][0]["values"]["TYield"] < 1,
    "null_styles": lambda body, good: body["records"][0]["values"]["Pac"] in (None, "", "--", "N/A", 65535, -32768),
    "text_numbers": lambda body, good: body["records"][0]["values"]["Pac"] == str(good["records"][0]["values"]["Pac"]),
    "oversize": lambda body, good: len(body["padding"]) > 1024 * 1024,
    "unknown_keys": lambda body, good: body["records"][0]["Riso"] == 4.7,
    "naive_time": lambda body, good: body["records"][0]["ts"] == "2026-06-01T12:05:00",
    "logger_record": lambda body, good: body["records"][1]["model"] == "",
    "unknown_schema": lambda body, good: body["schema"] == "cps-assumed/99",
    "unknown_serial": lambda body, good: body["records"][1]["sn"] == "0009999900000001",
    "reboot": lambda body, good: (body["boot_id"], body["seq"]) == (2, 1),
}


@pytest.mark.parametrize("name", list(FAULTS))
def test_a_fault_shows_in_the_message(start: Any, name: str) -> None:
    (good,) = bodies(start("cps"), 1)
    (body,) = bodies(start("cps", faults={name: 1.0}), 1)
    assert FAULTS[name](body, good)


def test_faults_of_the_way_change_what_leaves_and_when(start: Any) -> None:
    def seqs(fault: str) -> list[int]:
        return [body["seq"] for body in bodies(start("cps", faults={fault: 0.5}), 8)]

    assert len(seqs("duplicate")) > len(set(seqs("duplicate")))
    assert len(seqs("drop")) < 8
    assert seqs("reorder") != sorted(seqs("reorder"))
    assert seqs("delay") != sorted(seqs("delay"))
    assert not bodies(start("cps", faults={"drop": 1.0}))


def test_the_other_faults_show_as_well(start: Any) -> None:
    sender = sender_of(start("cps", faults={"xml": 1.0, "gzip": 1.0, "wrong_signature": 1.0}))
    (message,) = sender.live(MARK)
    assert message.body.startswith(b"<?xml")
    assert message.faults == {"gzip", "wrong_signature"}
    stale = sender_of(start("cps", faults={"stale_inventory": 1.0})).inventory(MARK)
    assert stale.retained
    assert json.loads(stale.body)["sent_at"].startswith("2026-05-11")
    garbled = sender_of(start("cps", faults={"garbled": 1.0})).live(MARK)[0]
    with pytest.raises(json.JSONDecodeError):
        json.loads(garbled.body)
    faulty = sender_of(start("cps", faults={"device_fault": 1.0}))
    events = [json.loads(m.body)["event"] for n in range(2) for m in faulty.live(MARK + 300 * n) if m.kind == "event"]
    assert [one["state"] for one in events] == ["raised", "cleared"]
    assert set(FAULTS) | {"duplicate", "reorder", "delay", "drop", "lwt", "stale_inventory", "xml", "gzip",
                          "wrong_signature", "garbled", "device_fault"} == set(OWN_FAULTS)  # fmt: skip


def test_a_backfill_holds_quarter_hours_a_hundred_records_a_message(start: Any) -> None:
    sender = sender_of(start("cps"))
    messages = [json.loads(m.body) for m in sender.backfill(MARK - 86_400, MARK)]
    assert all(len(m["records"]) <= 100 and m["interval_s"] == 900 for m in messages)
    stamps = [record["ts"] for m in messages for record in m["records"] if record["type"] == "meter"]
    assert stamps == sorted(stamps)
    assert len(stamps) == 96


# -- MQTT ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as broker:
        yield broker


@pytest.fixture
def listen(mosquitto: Mosquitto) -> Iterator[Callable[..., Callable[[], list[tuple[str, str]]]]]:
    running: list[subprocess.Popen[str]] = []

    def begin(count: int) -> Callable[[], list[tuple[str, str]]]:
        heard = subprocess.Popen(
            ["mosquitto_sub", "-p", str(mosquitto.port), "-u", USER, "-P", PASSWORD, "-t", "cps/v1/#", "-q", "1", "-v",
             "-C", str(count), "-W", "15"], stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(heard)

        def finish() -> list[tuple[str, str]]:
            lines = heard.communicate(timeout=20)[0].splitlines()
            return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in lines]

        return finish

    yield begin
    for heard in running:
        if heard.poll() is None:
            heard.terminate()
            heard.wait(5)
        if heard.stdout:
            heard.stdout.close()


def publisher(emulator: Emulator, mosquitto: Mosquitto, **options: Any) -> MqttPublisher:
    return service_of(emulator).start_mqtt(
        "127.0.0.1", mosquitto.port, user=USER, password=PASSWORD, running=False, **options
    )


def test_mosquitto_sub_sees_the_topics(start: Any, mosquitto: Mosquitto, listen: Any, clock: Hands) -> None:
    door = publisher(start("cps"), mosquitto, sites=[0, 1])
    finish = listen(6)
    time.sleep(0.3)
    door.send_until(MARK + 300)
    found = finish()
    kinds = sorted(topic.rsplit("/", 1)[1] for topic, _ in found)
    assert kinds == ["inventory", "inventory", "status", "status", "telemetry", "telemetry"]
    for topic, body in found:
        content = json.loads(body)
        assert content.get("gateway_sn", topic.split("/")[2]) == topic.split("/")[2]


def test_a_cut_connection_leaves_a_last_will_and_brings_a_backfill(
    start: Any, mosquitto: Mosquitto, listen: Any
) -> None:
    emulator = start("cps")
    door = publisher(emulator, mosquitto, sites=[0])
    finish = listen(7)
    time.sleep(0.3)
    emulator.faults["lwt"] = 1.0
    door.send_until(MARK + 300)
    emulator.faults["lwt"] = 0.0
    client = next(iter(door._clients.values()))
    end = time.monotonic() + 10
    time.sleep(0.5)
    while not client.is_connected() and time.monotonic() < end:
        time.sleep(0.05)
    door.send_until(MARK + 900)
    kinds = [topic.rsplit("/", 1)[1] + (" off" if "lwt" in body else "") for topic, body in finish()]
    assert "status off" in kinds
    assert kinds.index("status off") < kinds.index("telemetry")
    assert kinds.count("inventory") == 2


def test_no_broker_is_an_os_error_and_stop_ends_everything(start: Any) -> None:
    with pytest.raises(OSError, match=r"."):
        service_of(start("cps")).start_mqtt("127.0.0.1", free_port())


# -- HTTPS push ------------------------------------------------------------------------------------------------------


class Receiver(HTTPServer):
    """Answers with what the test says, and keeps what came."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.seen: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.seen.append(({name.lower(): value for name, value in self.headers.items()}, body))
                status, headers = outer.answers.pop(0) if outer.answers else (200, {})
                self.send_response(status)
                for name, value in {"Content-Length": "0", **headers}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/push/cps/1"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join(5)


def pusher(emulator: Emulator, receiver: Receiver, **options: Any) -> PushSender:
    return service_of(emulator).start_push(receiver.url, "the-secret", sites=[0], running=False, **options)


def test_a_push_is_signed_over_what_goes_out(start: Any, receiver: Receiver) -> None:
    door = pusher(start("cps", faults={"gzip": 1.0}), receiver)
    door.send_until(MARK + 300)
    ((headers, body),) = receiver.seen
    stamp = headers["x-cps-timestamp"]
    digest = hmac.new(b"the-secret", f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["x-cps-signature"] == f"sha256={digest}"
    envelope = json.loads(gzip.decompress(body))
    assert headers["x-cps-message-id"] == envelope["msg_id"]
    assert headers["x-cps-gateway"] == envelope["gateway_sn"]


def test_a_bearer_token_and_a_wrong_signature_can_be_sent(start: Any, receiver: Receiver) -> None:
    pusher(start("cps"), receiver, signing=False).send_until(MARK + 300)
    assert receiver.seen[0][0]["authorization"] == "Bearer the-secret"
    pusher(start("cps", faults={"wrong_signature": 1.0}), receiver).send_until(MARK + 300)
    headers, body = receiver.seen[1]
    digest = hmac.new(b"the-secret", f"{headers['x-cps-timestamp']}.".encode() + body, hashlib.sha256).hexdigest()
    assert headers["x-cps-signature"] != f"sha256={digest}"


@pytest.mark.parametrize(
    ("status", "low", "high", "kept"),
    [(200, 0, 0, False), (202, 0, 0, False), (400, 0, 0, False), (422, 0, 0, False), (401, 900, 900, True),
     (403, 900, 900, True), (404, 3600, 3600, True), (500, 4, 6, True), (503, 4, 6, True), (429, 4, 6, True)],
)  # fmt: skip
def test_each_answer_is_heeded(start: Any, receiver: Receiver, status: int, low: int, high: int, kept: bool) -> None:
    door = pusher(start("cps"), receiver)
    receiver.answers = [(status, {})]
    door.send_until(MARK + 300)
    assert low <= door.attempts[-1].wait_s <= high
    assert bool(door.waiting) is kept


def test_retries_wait_longer_each_time_and_heed_retry_after(start: Any, receiver: Receiver) -> None:
    door = pusher(start("cps"), receiver)
    receiver.answers = [(500, {})] * 4 + [(429, {"Retry-After": "77"})]
    now = float(MARK + 300)
    waits = []
    for _ in range(5):
        door.send_until(now)
        waits.append(door.attempts[-1].wait_s)
        now += waits[-1] + 0.1
    assert [round(wait / 5 / 2**n) for n, wait in enumerate(waits[:4])] == [1, 1, 1, 1]
    assert waits[4] == 77
    door.send_until(now)
    assert door.attempts[-1].status == 200
    assert not door.waiting


def test_after_an_outage_live_data_goes_first(start: Any, receiver: Receiver) -> None:
    door = pusher(start("cps"), receiver)
    receiver.answers = [(500, {})]
    door.send_until(MARK + 300)
    door.send_until(MARK + 600)
    assert [json.loads(body)["seq"] for _, body in receiver.seen] == [1, 2, 1]


def test_413_splits_and_the_halves_arrive(start: Any, receiver: Receiver) -> None:
    door = pusher(start("cps", faults={"oversize": 1.0}), receiver)
    receiver.answers = [(413, {})]
    door.send_until(MARK + 300)
    parts = [json.loads(body)["records"] for _, body in receiver.seen]
    assert parts[1] + parts[2] == parts[0]


def test_a_receiver_that_is_gone_is_tried_again(start: Any) -> None:
    door = service_of(start("cps")).start_push(f"http://127.0.0.1:{free_port()}/x", "s", sites=[0], running=False)
    door.send_until(MARK + 300)
    assert door.attempts[-1].status == 0
    assert door.waiting


# -- the service and its command -------------------------------------------------------------------------------------


def test_by_http_there_is_a_status_page_and_a_closed_door(start: Any) -> None:
    emulator = start("cps")
    health = httpx.get(emulator.base_url + "/health", trust_env=False).json()
    assert health["running"] == {"modbus": True, "mqtt": False, "push": False}
    assert httpx.get(emulator.base_url + "/openApi/v1/sites", trust_env=False).json()["code"] == "4010"
    service = service_of(emulator)
    assert emulator.credentials == {
        "host": "127.0.0.1",
        "port": str(service.modbus.port),
        "units": "1-1",
        "site": "EX-SITE-1",
    }
    service.serve_modbus(site=2)
    assert emulator.credentials["site"] == "EX-SITE-3"


@pytest.mark.slow
def test_the_command_prints_the_three_ways(tmp_path: Path, receiver: Receiver) -> None:
    (tmp_path / "open").mkdir()
    with Mosquitto(tmp_path / "open") as open_broker:
        port = free_port()
        command = [
            *COMMAND, "emulate", "cps", "--sites", "2",
            "--now", "2026-06-01T18:05:00Z", "--speed", "0",
            "--mqtt", f"{USER}:{PASSWORD}@127.0.0.1:{open_broker.port}", "--push", receiver.url,
            "--modbus-port", str(port),
        ]  # fmt: skip
        running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert running.stdout
            line = json.loads(running.stdout.readline())
        finally:
            running.terminate()
            assert running.wait(15) == 0
            assert running.stdout
            running.stdout.close()
    assert (line["vendor"], line["method"], line["plan"]) == ("cps", "modbus", "local")
    assert line["modbus"] == {"host": "127.0.0.1", "port": port, "units": [1]}
    assert line["mqtt"] == {"host": "127.0.0.1", "port": open_broker.port, "prefix": "cps/v1"}
    assert line["push"]["url"] == receiver.url
    assert len(line["push"]["secret"]) == 32
    assert PASSWORD not in json.dumps(line)


@pytest.mark.parametrize(
    ("more", "words"),
    [(["solaredge", "--modbus-port", "0"], "are for cps"), (["cps", "--mqtt", "secret-word"], "not a broker"),
     (["cps", "--mqtt", "u:secret-word@host:0"], "not a broker"), (["cps", "--mqtt", "127.0.0.1:1"], "cps: ")],
)  # fmt: skip
def test_what_cannot_be_emulated_is_refused_in_a_sentence(more: list[str], words: str) -> None:
    found = CliRunner().invoke(emulate, more)
    assert found.exit_code == 2
    assert words in found.stderr
    assert "secret-word" not in found.output
    assert "Traceback" not in found.output


def test_world_prints_the_truth_of_cps() -> None:
    asked = ["--vendor", "cps", "--sites", "1", "--from", "2026-05-01T00:00:00Z", "--to", "2026-05-02T12:00:00Z"]
    lines = CliRunner().invoke(truth_command, asked).output.splitlines()
    assert any(line.startswith("cps,EX-SITE-1,,ac_power_w,300,2026-05-01T") for line in lines)
    assert any(",energy_wh,86400,2026-05-01T05:00:00Z," in line for line in lines)
