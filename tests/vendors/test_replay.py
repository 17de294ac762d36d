"""Replay: recorded answers go by their path to their reader, and nothing that a file holds is more than a sentence."""

from __future__ import annotations

import base64
import gzip
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vendor_doors import NOON, Door, Hands, door_to, site_ref

from sungaze.clock import iso
from sungaze.errors import UserError
from sungaze.jobs.har import as_har
from sungaze.jobs.replay import replay
from sungaze.model import Span
from sungaze.vendors import connector
from sungaze.vendors._contract import Exchange, reader_of

DAY = Span(NOON - 86_400, NOON)
LOOKS = {
    "enphase": ("summary", "curve", "panels", "devices", "daily", "inverters", "alarms"),
    "solaredge": ("details", "power", "energy", "devices"),
    "tigo": ("details", "devices", "curve", "panels", "summary", "daily"),
    "generac": ("details", "state"),
}
SAMPLE = {"kind", "metric_name", "interval_s", "timestamp", "value", "vendor_site_id", "vendor_device_id"}


class Recorder:
    """A door to an emulator that keeps what is answered, and what was read from it at once."""

    def __init__(self, door: Door, timezone: str | None = None) -> None:
        self.door = door
        self.exchanges: list[Exchange] = []
        self.read: dict[tuple[str, ...], float] = {}
        connector_ = door.connector
        listed = self._look(lambda: connector_.list_sites(door.access))
        for facts in listed.sites[:2]:
            site = site_ref(facts.vendor_site_id, facts.timezone or timezone)
            for resource in LOOKS[connector_.vendor.id]:
                answer = self._look(lambda: connector_.fetch(door.access, resource, site, DAY))  # noqa: B023 - called here
                for told in answer.sites:
                    site = site_ref(facts.vendor_site_id, told.timezone or site.timezone)
                for r in answer.readings:
                    name = (site.vendor_site_id, r.vendor_device_id, r.metric_name, str(r.interval_s), iso(r.timestamp))
                    self.read[name] = r.value

    def _look(self, ask: Callable[[], Any]) -> Any:
        self.door.session.kept = []
        try:
            return ask()
        finally:
            known = self.door.session.kept
            self.exchanges += [Exchange(method=e.method, params=e.params, response=e.response, at=NOON) for e in known]


@pytest.fixture(scope="module")
def tapes() -> dict[str, Recorder]:
    return {}


@pytest.fixture
def tape(tapes: dict[str, Recorder], start: Any, opened: Any, clock: Hands) -> Callable[[str], Recorder]:
    def begin(vendor: str) -> Recorder:
        if vendor not in tapes:
            emulator = start(vendor, plan="partner" if vendor == "enphase" else None)
            tapes[vendor] = Recorder(opened(door_to(emulator, clock)), "America/Chicago")
        return tapes[vendor]

    return begin


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "recorded.har"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def har(exchanges: list[Exchange], vendor: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(as_har(exchanges, connector(vendor).vendor.default_base_url))
    return found


def run(path: Path, vendor: str, timezone: str | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    said: list[str] = []
    return [json.loads(line) for line in replay(path, vendor, timezone, say=said.append)], said


def samples(lines: list[dict[str, Any]]) -> dict[tuple[str, ...], float]:
    return {
        (s["vendor_site_id"], s["vendor_device_id"], s["metric_name"], str(s["interval_s"]), s["timestamp"]): s["value"]
        for s in lines
        if s["kind"] == "sample"
    }


@pytest.mark.parametrize("vendor", list(LOOKS))
def test_what_was_read_at_once_comes_out_of_the_recording_and_nothing_is_asked(
    vendor: str, tape: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = tape(vendor)
    zone = "America/Chicago" if vendor == "generac" else None
    path = written(tmp_path, har(recorder.exchanges, vendor))

    def refuse(*_: Any) -> None:
        raise AssertionError("a replay asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    lines, said = run(path, vendor, zone)
    found = samples(lines)
    # A short window is asked for as a whole day and cut: the recording may hold more than one look took.
    assert {name: found.get(name) for name in recorder.read} == recorder.read
    assert {line["kind"] for line in lines} >= {"site", "device", "sample"}
    assert all(set(line) == SAMPLE for line in lines if line["kind"] == "sample")
    assert said == [f"{len(recorder.exchanges)} of {len(recorder.exchanges)} entries were read."]


def as_browser(content: dict[str, Any]) -> dict[str, Any]:
    """The same recording as a browser writes it: other hosts between, bodies packed, names of headers in capitals."""
    noise = {
        "startedDateTime": iso(NOON), "time": 12,
        "request": {"method": "GET", "url": "https://static.example/app.js", "headers": [], "queryString": []},
        "response": {"status": 200, "headers": [], "content": {"text": "let a = 1", "mimeType": "text/javascript"}},
    }  # fmt: skip
    entries = []
    for number, entry in enumerate(content["log"]["entries"]):
        body = entry["response"]["content"]["text"].encode()
        packed = gzip.compress(body) if number % 2 else body
        entry["response"]["content"] = {"text": base64.b64encode(packed).decode(), "encoding": "base64"}
        entry["response"]["headers"] = [
            {"name": pair["name"].title(), "value": pair["value"]} for pair in entry["response"]["headers"]
        ]
        entry["startedDateTime"] = entry["startedDateTime"].replace("Z", ".000+00:00")
        entry |= {"_initiator": {"type": "script"}, "pageref": "page_1"}
        entries += [noise, entry]
    return {"log": {"version": "1.2", "pages": [], "creator": {"name": "WebInspector"}, "entries": entries}}


def test_a_browsers_recording_reads_the_same_and_what_is_of_others_is_counted_only(tape: Any, tmp_path: Path) -> None:
    recorder = tape("solaredge")
    plain, _ = run(written(tmp_path, har(recorder.exchanges, "solaredge")), "solaredge")
    lines, said = run(written(tmp_path, as_browser(har(recorder.exchanges, "solaredge"))), "solaredge")
    assert lines == plain
    count = len(recorder.exchanges)
    assert said == [f"{count} of {2 * count} entries were read, {count} are of other things."]


def test_a_stand_ins_address_is_no_hindrance(tape: Any, tmp_path: Path) -> None:
    content = json.loads(as_har(tape("enphase").exchanges, "http://127.0.0.1:8123"))
    assert samples(run(written(tmp_path, content), "enphase")[0])


def test_the_zone_is_what_the_file_told_first_and_the_option_stands_in(tape: Any, tmp_path: Path) -> None:
    energy = [e for e in tape("solaredge").exchanges if e.response.path.endswith("/energy")]
    path = written(tmp_path, har(energy, "solaredge"))
    with pytest.raises(UserError, match="could be read"):
        run(path, "solaredge")
    berlin, _ = run(path, "solaredge", "Europe/Berlin")
    assert all(s["timestamp"].endswith(("T22:00:00Z", "T23:00:00Z")) for s in berlin)
    both = [e for e in tape("solaredge").exchanges if e in energy or e.response.path.count("/") == 3]
    told, _ = run(written(tmp_path, har(both, "solaredge")), "solaredge", "Pacific/Kiritimati")
    assert not any(s["kind"] == "sample" and s["timestamp"].endswith("T10:00:00Z") for s in told)


def test_an_entry_that_cannot_be_read_is_named_and_the_rest_goes_on(tape: Any, tmp_path: Path) -> None:
    content = har(tape("enphase").exchanges, "enphase")
    entries = content["log"]["entries"]
    entries[1]["response"]["content"] = {"text": "<html>overload</html>"}
    entries[2]["response"]["status"] = 429
    entries[3]["startedDateTime"] = "yesterday"
    entries[4]["request"] = 17
    lines, said = run(written(tmp_path, content), "enphase")
    assert lines
    assert len(said) == 5
    assert [sentence.split()[1] for sentence in said[:4]] == ["2", "3", "4", "5"]
    assert "429" in said[1]
    assert said[4].startswith(f"{len(entries) - 4} of {len(entries)} entries were read, 4 could not be")


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"\x00\xff\xfe", b'{"log":{"entries":[]}}', b'{"log":{"entries":[1,2,null]}}', b"[" * 100_000,
     b'{"log":{"entries":[' + b"[" * 50_000 + b"]}}", b'{"topic":1}', b'{"log": {"entries": [{"request": {"url": '
     b'"http://[::1"}, "response": {"status": 200}, "startedDateTime": "2026-06-01T00:00:00Z"}]}}'],
)  # fmt: skip
def test_what_is_no_recording_is_refused_in_a_sentence(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        run(written(tmp_path, content), "enphase")
    assert str(refused.value).endswith(".")


def test_unknown_vendors_zones_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, {"log": {"entries": []}})
    for arguments in ((path, "acme"), (path, "enphase", "Mars/Olympus"), (tmp_path / "none.har", "enphase")):
        with pytest.raises(UserError):
            run(*arguments)


def test_a_file_beyond_the_bound_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sungaze.jobs.har.MOST_BYTES", 100)
    with pytest.raises(UserError, match="larger"):
        run(written(tmp_path, b" " * 101), "enphase")


# -- mutations -------------------------------------------------------------------------------------------------------

WEIRD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.just([]), st.just({}),
    st.sampled_from([10**30, -1, "2026-13-40T99:00:00", "NaN", "null", "../..", 1e308, "\u0000", "１２", "9" * 400]),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value but its root, the first few of each list."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:4]) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


@pytest.mark.parametrize("vendor", list(LOOKS))
def test_a_mutated_recording_ends_in_lines_or_in_a_sentence(vendor: str, tape: Any, tmp_path: Path) -> None:
    recorded = har([e for e in tape(vendor).exchanges if len(e.response.body) < 40_000], vendor)["log"]["entries"]
    assert len(recorded) > 5
    target = tmp_path / "mutated.har"

    @settings(max_examples=125, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def mutated(data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.integers(0, len(recorded) - 1), min_size=1, max_size=6, unique=True))
        entries = json.loads(json.dumps([recorded[number] for number in sorted(chosen)]))
        entry = data.draw(st.sampled_from(entries))
        for _ in range(data.draw(st.integers(1, 3))):
            body = entry["response"]["content"].get("text") if isinstance(entry.get("response"), dict) else None
            what = data.draw(st.sampled_from(["entry", "body", "cut", "order"]))
            if what == "entry":
                put(entry, data.draw(st.sampled_from(list(places(entry)))), data.draw(WEIRD))
                break
            if what == "order":
                entries[:] = data.draw(st.permutations(entries))
            elif what == "cut" and body:
                entry["response"]["content"]["text"] = body[: data.draw(st.integers(0, len(body)))]
            elif body:
                try:
                    answer = json.loads(body)
                except ValueError:
                    at = data.draw(st.integers(0, len(body)))
                    entry["response"]["content"]["text"] = body[:at] + data.draw(st.text(max_size=5)) + body[at + 3 :]
                    continue
                spots = list(places(answer))
                if spots:
                    put(answer, data.draw(st.sampled_from(spots)), data.draw(WEIRD))
                    entry["response"]["content"]["text"] = json.dumps(answer)
        target.write_bytes(json.dumps({"log": {"entries": entries}}).encode("utf-8", "surrogatepass"))
        try:
            lines = list(replay(target, vendor, "Europe/Berlin", say=str))
        except UserError:
            return
        assert all(json.loads(line)["kind"] in {"site", "device", "sample", "alert"} for line in lines)

    mutated()


def test_no_vendor_reads_the_answer_to_a_login() -> None:
    for vendor, paths in {
        "enphase": ["/oauth/token"], "tigo": ["/api/v3/users/login"], "generac": ["/login", "/"], "solaredge": ["/v2"],
    }.items():  # fmt: skip
        assert all(reader_of(connector(vendor).readers, m, p) is None for p in paths for m in ("GET", "POST"))
