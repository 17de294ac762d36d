"""The one way out by HTTP: spent first, bounded in time and size, silent about secrets."""

from __future__ import annotations

import contextlib
import gzip
import logging
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from certificates import certificate
from vendor_doors import SOLAREDGE_CREDENTIALS, Door, Hands, dead_port, door_to, site_ref, told

from sungaze.errors import Changed, NeedsReconnect, QuotaSpent, Unavailable, VendorError
from sungaze.model import Span
from sungaze.vendors import _session
from sungaze.vendors._contract import Response
from sungaze.vendors._session import HttpSession, decode, looks_like_html, open_client, retry_after

OK = (200, {"sites": {"count": 0, "site": []}})


def ask(door: Door) -> Response:
    return door.session.request("GET", "/v2/sites")


def test_a_call_is_spent_before_it_is_sent(solaredge: Any) -> None:
    spent_at_arrival: list[int] = []
    door, _ = solaredge(lambda _: (spent_at_arrival.append(door.session.calls), OK)[1])
    ask(door)
    assert spent_at_arrival == [1]


def test_with_nothing_left_to_spend_nothing_is_sent(solaredge: Any) -> None:
    door, server = solaredge(lambda _: OK, calls=0)
    with pytest.raises(QuotaSpent) as caught:
        ask(door)
    assert caught.value.until == 42.0
    assert server.asked == []
    assert door.session.calls == 0


def test_a_login_is_not_charged(solaredge: Any) -> None:
    door, server = solaredge(lambda _: OK, calls=0)
    door.session.request("POST", "/oauth/token", free=True)
    assert len(server.asked) == 1
    assert door.journal == []


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_in_trouble_is_asked_once_more_and_charged_twice(solaredge: Any, status: int) -> None:
    door, server = solaredge(lambda _: (status, b"") if len(server.asked) == 1 else OK)
    assert ask(door).status == 200
    assert door.session.calls == len(server.asked) == 2


def test_a_gateway_that_stays_in_trouble_is_told_after_the_second_time(solaredge: Any) -> None:
    door, server = solaredge(lambda _: (502, b""))
    with pytest.raises(Unavailable):
        door.connector.list_sites(door.access)
    assert door.session.calls == len(server.asked) == 2


def test_a_second_attempt_that_cannot_be_paid_is_not_made(solaredge: Any) -> None:
    door, server = solaredge(lambda _: (502, b""), calls=1)
    with pytest.raises(QuotaSpent):
        ask(door)
    assert len(server.asked) == 1


def test_a_connection_that_dies_is_opened_once_more_and_charged_twice(solaredge: Any) -> None:
    door, server = solaredge(lambda _: OK if len(server.asked) > 1 else lambda handler: handler.wfile.flush())
    assert ask(door).status == 200
    assert door.session.calls == 2


def test_an_address_where_nobody_listens_is_unavailable(clock: Hands, opened: Any) -> None:
    door = opened(Door("solaredge", dead_port(), {"api_key": "k"}, clock))
    with pytest.raises(Unavailable, match="cannot be reached"):
        ask(door)
    assert door.session.calls == 2


@pytest.mark.parametrize("address", ["http://a..b:80", f"http://{'a' * 70}.example:80"])
def test_a_host_that_no_name_service_would_take_is_unavailable(address: str, clock: Hands, opened: Any) -> None:
    door = opened(Door("solaredge", address, {"api_key": "k"}, clock))
    with pytest.raises(Unavailable):
        ask(door)


@pytest.mark.parametrize("address", ["http://[zz]", "http://a:b:c:80"])
def test_an_address_that_is_none_is_refused_in_a_sentence(address: str) -> None:
    with pytest.raises(Unavailable, match="not an address"):
        open_client(address)


def test_an_answer_that_does_not_come_is_unavailable_in_time(solaredge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_session, "TIMEOUT", 0.2)
    gone = threading.Event()
    door, _ = solaredge(lambda _: lambda handler: gone.wait(5))
    with pytest.raises(Unavailable, match="did not answer in time"):
        ask(door)
    gone.set()
    assert door.session.calls == 1, "a time-out is not asked again at once"


@pytest.mark.parametrize("part", ["headers", "body"])
def test_an_answer_that_drips_ends_in_time_however_alive_it_looks(
    part: str, solaredge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_session, "TOTAL_S", 0.4)
    gone = threading.Event()

    def drip(handler: Any) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        handler.wfile.write(b"x-drip: " if part == "headers" else b"content-length: 100000\r\n\r\n")
        for _ in range(200):
            handler.wfile.write(b".")
            if gone.wait(0.05):
                return

    door, _ = solaredge(lambda _: drip)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="did not answer in time"):
        ask(door)
    gone.set()
    assert time.monotonic() - began < 2.0


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_an_answer_that_drips_from_an_emulator_ends_in_time(
    vendor: str, start: Any, clock: Hands, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_session, "TOTAL_S", 0.5)
    door = opened(door_to(start(vendor, faults={"slow": 1.0}), clock))
    with pytest.raises(Unavailable):
        door.connector.list_sites(door.access)


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_an_answer_cut_short_is_unavailable(vendor: str, start: Any, clock: Hands, opened: Any) -> None:
    door = opened(door_to(start(vendor, faults={"truncated": 1.0}), clock))
    with pytest.raises(Unavailable, match="cut short"):
        door.connector.list_sites(door.access)
    assert door.session.calls == 2


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_an_endless_answer_is_left_after_16_megabytes(vendor: str, start: Any, clock: Hands, opened: Any) -> None:
    door = opened(door_to(start(vendor, faults={"huge": 1.0}), clock))
    with pytest.raises(Unavailable, match="16 MB"):
        door.connector.list_sites(door.access)


def test_a_packed_answer_that_swells_is_left_before_it_fills_the_memory(solaredge: Any) -> None:
    bomb = gzip.compress(bytes(64_000_000))
    door, _ = solaredge(lambda _: (200, bomb, {"content-encoding": "gzip"}))
    tracemalloc.start()
    try:
        with pytest.raises(Unavailable, match="16 MB"):
            ask(door)
        assert tracemalloc.get_traced_memory()[1] < 48 * 2**20
    finally:
        tracemalloc.stop()


def test_a_packed_answer_is_unpacked(solaredge: Any) -> None:
    body = b'{"sites":{"count":0,"site":[]}}'
    door, _ = solaredge(lambda _: (200, gzip.compress(body), {"content-encoding": "gzip"}))
    assert ask(door).body == body


@pytest.mark.parametrize("packing", ["gzip", "deflate", "br", "nonsense"])
def test_an_answer_that_cannot_be_unpacked_is_unavailable(packing: str, solaredge: Any) -> None:
    door, _ = solaredge(lambda _: (200, b"\x01\x02 not packed at all", {"content-encoding": packing}))
    with pytest.raises(Unavailable):
        door.connector.list_sites(door.access)


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_a_redirect_is_not_followed(vendor: str, enphase: Any, solaredge: Any) -> None:
    begin = enphase if vendor == "enphase" else solaredge
    door, server = begin(lambda asked: (302, b"", {"location": f"{server.url}/elsewhere"}))
    with pytest.raises(VendorError):
        door.connector.list_sites(door.access)
    assert "/elsewhere" not in server.paths()


def test_the_proxies_of_the_environment_are_ignored(
    solaredge: Any, monkeypatch: pytest.MonkeyPatch, clock: Hands
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, dead_port())
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    door, _ = solaredge(lambda _: OK)
    assert ask(door).status == 200


def test_connections_are_used_again(solaredge: Any) -> None:
    door, server = solaredge(lambda _: OK)
    for _ in range(3):
        ask(door)
    assert len({asked.connection for asked in server.asked}) == 1


def test_a_call_waits_for_its_slot_before_it_is_spent() -> None:
    order: list[str] = []

    class Slot:
        def __enter__(self) -> None:
            order.append("slot")
            raise TimeoutError("no slot came free")

        def __exit__(self, *ending: object) -> None:
            pass

    def spend() -> None:
        order.append("spend")

    with open_client("http://127.0.0.1:9") as client:
        session = HttpSession("SolarEdge", client, spend=spend, slot=Slot)  # type: ignore[arg-type]  # it only enters
        with pytest.raises(Unavailable):
            session.request("GET", "/")
    assert order == ["slot"]


@contextmanager
def greeting_by(file: Path) -> Iterator[int]:
    """A port on which a server offers that certificate twice."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    def greet() -> None:
        for _ in range(2):
            taken, _ = listener.accept()
            with taken, contextlib.suppress(OSError), context.wrap_socket(taken, server_side=True) as talk:
                talk.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


@pytest.mark.parametrize(
    ("begins", "ends", "trusted", "words"),
    [
        (-20, -10, True, "not valid on the day that this computer's clock shows: .* Check the date and time"),
        (10, 20, True, "not valid on the day that this computer's clock shows: .* Check the date and time"),
        (-10, 10, False, "not one that this computer trusts: .* a proxy or a virus scanner"),
    ],
)
def test_a_certificate_that_cannot_be_believed_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Any, begins: int, ends: int, trusted: bool, words: str
) -> None:
    file = certificate(tmp_path / "server.pem", begins, ends)
    if trusted:
        monkeypatch.setattr(_session, "_trusted", lambda: ssl.create_default_context(cafile=file))
    with greeting_by(file) as port:
        door = opened(Door("solaredge", f"https://127.0.0.1:{port}", SOLAREDGE_CREDENTIALS, Hands()))
        with pytest.raises(Unavailable, match=f"^SolarEdge's certificate is {words}. What is known is kept"):
            ask(door)


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
@pytest.mark.parametrize("fault", [None, "html", "truncated", "shape", "500", "429", "unauthorized"])
def test_no_secret_shows_in_a_log_an_error_or_an_address(
    vendor: str, fault: str | None, start: Any, clock: Hands, opened: Any, caplog: pytest.LogCaptureFixture
) -> None:
    emulator = start(vendor, faults={fault: 1.0} if fault else {})
    door = opened(door_to(emulator, clock))
    site = site_ref(7_100_000 if vendor == "enphase" else 5_500_000)
    shown = ""
    with caplog.at_level(logging.DEBUG):
        for resource in ("list", *(r.id for r in door.connector.vendor.resources if r.per_site)):
            try:
                if resource == "list":
                    found = door.connector.list_sites(door.access)
                    site = site_ref(found.sites[0].vendor_site_id)
                else:
                    door.connector.fetch(door.access, resource, site, Span(int(clock.now) - 7200, int(clock.now)))
            except VendorError as error:
                shown += told(error)
    shown += caplog.text + "".join(f"{r.msg} {r.args}" for r in caplog.records) + repr(door.access)
    shown += "".join(request.path for request in emulator.requests)
    for secret in (*emulator.credentials.values(), *door.memory.values()):
        assert secret not in shown


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_no_secret_stands_in_the_address_of_a_request(vendor: str, enphase: Any, solaredge: Any) -> None:
    begin, options = (enphase, {"memory": {}}) if vendor == "enphase" else (solaredge, {"more": {"account_key": "acc"}})
    token = {"access_token": "access-1", "refresh_token": "refresh-1", "expires_in": 86_400}
    door, server = begin(lambda asked: (200, token) if asked.path == "/oauth/token" else (503, b""), **options)
    with pytest.raises(VendorError):
        door.connector.list_sites(door.access)
    for resource in (r.id for r in door.connector.vendor.resources if r.per_site):
        with pytest.raises(VendorError):
            door.connector.fetch(door.access, resource, site_ref(1), Span(1_780_000_000, 1_780_040_000))
    shown = " ".join(asked.target for asked in server.asked)
    assert not [secret for secret in (*door.access.credentials.values(), "access-1", "refresh-1") if secret in shown]


@pytest.mark.parametrize("field", ["details", "message", "detail", "title"])
@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_a_secret_that_the_vendor_repeats_is_not_repeated_by_us(
    vendor: str, field: str, enphase: Any, solaredge: Any
) -> None:
    begin = enphase if vendor == "enphase" else solaredge
    door, _ = begin(lambda asked: (404, {field: f"no {asked.headers.get('key') or asked.headers.get('x-api-key')}"}))
    with pytest.raises(Changed) as caught:
        door.connector.list_sites(door.access)
    assert door.access.credentials["api_key"] not in told(caught.value)


def test_a_vendor_that_talks_without_end_is_quoted_briefly(solaredge: Any) -> None:
    door, _ = solaredge(lambda _: (400, {"detail": "so\n" * 100_000}))
    with pytest.raises(Changed) as caught:
        door.connector.list_sites(door.access)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", ["secret-\nkey", "sécret-key", "secret-\x00key"])
def test_a_key_that_no_header_can_carry_asks_for_another_and_is_not_printed(value: str, solaredge: Any) -> None:
    door, server = solaredge(lambda _: OK, more={"api_key": value})
    with pytest.raises(NeedsReconnect) as caught:
        door.connector.list_sites(door.access)
    assert "key" not in told(caught.value).replace("Connect", "")
    assert (server.asked, door.session.calls) == ([], 0)


def test_what_holds_secrets_prints_none(enphase: Any) -> None:
    door, _ = enphase(lambda _: OK)
    shown = repr(door.access) + repr(Response(200, {}, b'{"access_token":"access-4715"}', "/oauth/token"))
    assert not [secret for secret in door.access.secrets if secret in shown]


def answer(body: bytes) -> Response:
    return Response(200, {}, body, "/x")


@pytest.mark.parametrize("body", [b"<html>", b"  \n<!DOCTYPE html>", b"\xef\xbb\xbf<html>"])
def test_a_web_page_where_figures_were_due_is_told_as_such(body: bytes) -> None:
    assert looks_like_html(body)
    with pytest.raises(Changed, match="web page"):
        decode(answer(body), dict[str, int], "SolarEdge", "sites")


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":1', b"\xff\xfe", b"NaN", b'"\\ud800"', b"Infinity"])
def test_a_garbled_body_is_unavailable(body: bytes) -> None:
    with pytest.raises(Unavailable):
        decode(answer(body), dict[str, int], "SolarEdge", "sites")


@pytest.mark.parametrize(
    "body", [b"[]", b'{"a":"b"}', b'{"a":1e400}', b'{"a":true}', b'{"a":' + b"[" * 100_000, b'{"a":1.5}']
)
def test_another_shape_is_changed_and_names_the_place(body: bytes) -> None:
    with pytest.raises(Changed) as caught:
        decode(answer(body), dict[str, int], "SolarEdge", "sites")
    assert caught.value.where.startswith("sites: ")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("0", 1), ("-5", 1), ("1e9", 3600), ("inf", 60), ("nan", 60), ("soon", 60), (None, 60), ("9" * 400, 60)],
)
def test_retry_after_is_read_within_an_hour(header: str | None, seconds: float) -> None:
    assert retry_after({"retry-after": header} if header is not None else {}, 60) == seconds


@pytest.mark.parametrize("vendor", ["enphase", "solaredge"])
def test_trouble_of_the_vendors_own_waits_as_long_as_it_asks(vendor: str, enphase: Any, solaredge: Any) -> None:
    begin = enphase if vendor == "enphase" else solaredge
    door, _ = begin(lambda _: (503, {"message": "maintenance"}, {"Retry-After": "1200"}))
    with pytest.raises(Unavailable) as caught:
        door.connector.list_sites(door.access)
    assert caught.value.retry_after_s == 1200
