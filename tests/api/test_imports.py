"""History from a file over the API: sent, looked at, taken in beside a running Sungaze, and told."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sungaze.config import Settings
from sungaze.reports.imports import LARGEST
from sungaze.runtime import Runtime

NOW = 1_780_315_200.0
HEADER = "vendor,vendor_site_id,vendor_device_id,metric_name,interval_s,timestamp,value\n"
CANONICAL = HEADER + "enphase,901,m1,ac_power_w,300,2026-06-01T10:00:00Z,250\nenphase,901,m1,moon,300,x,1\n"
PORTAL = "Zeitpunkt;Leistung (kW)\n30.05.2026 12:00;1,5\n30.05.2026 12:15;1,25\n"
COLUMNS = [{"name": "Zeitpunkt", "means": "timestamp"}, {"name": "Leistung (kW)", "means": "ac_power_w"}]


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    running = Runtime(Settings(data_dir=tmp_path / "d", token="a-token-of-the-tests-0123456789abcdef"), now=lambda: NOW)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(runtime: Runtime) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer a-token-of-the-tests-0123456789abcdef"}
    with httpx.Client(base_url=runtime.address, headers=headers, timeout=30, trust_env=False) as found:
        yield found


def send(client: httpx.Client, text: str, name: str = "in.csv") -> dict[str, Any]:
    answer = client.post("/api/imports", params={"name": name}, content=text.encode())
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def run(client: httpx.Client, id: str, **wanted: Any) -> dict[str, Any]:
    """The import once it has ended."""
    assert client.post(f"/api/imports/{id}/run", json=wanted).status_code == 202
    deadline = time.monotonic() + 20
    while (found := client.get(f"/api/imports/{id}").json())["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return dict(found)


def test_a_site_that_came_from_a_file_can_be_deleted_again(client: httpx.Client, runtime: Runtime) -> None:
    run(client, send(client, CANONICAL)["id"])
    (site,) = client.get("/api/sites").json()["items"]
    assert site["freshness_reason"] == "from a file: no account is connected that sees this site"
    (kept,) = client.get("/api/archive").json()["items"]
    assert (kept["id"], kept["samples"], kept["archived_at"]) == (site["id"], 1, None)
    gone = client.request("DELETE", f"/api/archive/{site['id']}", json={"name": site["name"]})
    assert gone.json()["samples"] == 1
    assert client.get("/api/sites").json()["total"] == 0
    assert client.get("/api/places").json()["items"] == []
    assert runtime.context.store.database.scalar("SELECT count(*) FROM device") == 0


def files(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "d" / "imports"
    return list(folder.iterdir()) if folder.is_dir() else []


def test_a_canonical_file_is_imported_and_its_site_is_in_sight(client: httpx.Client, tmp_path: Path) -> None:
    sent = send(client, CANONICAL)
    assert (sent["is_canonical"], sent["columns"], sent["state"]) == (True, [], "ready")
    assert client.get("/api/sites").json()["total"] == 0
    done = run(client, sent["id"])
    assert (done["state"], done["share"], done["lines"]) == ("done", 1.0, 2)
    assert done["said"] == [
        "1 value taken: 1 new, 0 there already.", "Added with them: 1 site and 1 device.",
        "1 refused: unknown metric; the first in line 3.",
    ]  # fmt: skip
    assert [site["name"] for site in client.get("/api/sites").json()["items"]] == ["enphase 901"]
    assert client.delete(f"/api/imports/{sent['id']}").status_code == 204
    assert client.get(f"/api/imports/{sent['id']}").status_code == 404
    assert files(tmp_path) == []


def test_a_portals_table_is_shown_then_imported_and_known_the_next_time(client: httpx.Client) -> None:
    run(client, send(client, CANONICAL)["id"])
    sent = send(client, PORTAL)
    assert (sent["is_canonical"], sent["is_known"], sent["columns"]) == (False, False, ["Zeitpunkt", "Leistung (kW)"])
    assert {"timestamp", "energy_wh"} <= set(sent["meanings"])
    wanted = {"site": 1, "columns": COLUMNS, "stamps": "end"}
    answer = client.post(f"/api/imports/{sent['id']}/preview", json=wanted)
    assert answer.status_code == 400
    assert "time zone of enphase/901 is not known" in answer.json()["detail"]
    client.patch("/api/sites/1", json={"timezone": "Europe/Berlin"}).raise_for_status()
    lines = client.post(f"/api/imports/{sent['id']}/preview", json=wanted).json()["lines"]
    assert any(line.startswith("2026-05-30 11:45:00+02:00") and line.endswith(" 1500") for line in lines)
    assert "1 value taken: 1 new" not in "".join(lines)
    assert run(client, sent["id"], **wanted)["said"][0] == "2 values taken: 2 new, 0 there already."
    again = send(client, PORTAL)
    assert again["is_known"] is True
    assert run(client, again["id"], site=1)["said"][0] == "2 values taken: 0 new, 2 there already."
    series = {"metric": "ac_power_w", "from": "2026-05-30", "to": "2026-05-31"}
    points = client.get("/api/sites/1/series", params=series).json()["points"]
    assert [value for _, value in points] == [1500.0, 1250.0]


@pytest.mark.parametrize(("text", "words"), [("", "in.csv is empty"), ("a diary\nof mine\n", "No table was found")])
def test_a_file_that_is_none_is_refused_by_its_own_name_and_not_kept(
    client: httpx.Client, tmp_path: Path, text: str, words: str
) -> None:
    answer = client.post("/api/imports", params={"name": "in.csv"}, content=text.encode())
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert files(tmp_path) == []


def test_a_file_that_is_too_large_is_refused_and_not_kept(client: httpx.Client, tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield HEADER.encode()
        for _ in range(LARGEST // 1_000_000 + 1):
            yield b"x" * 1_000_000

    # The server may hang up before all of it was sent.
    with contextlib.suppress(httpx.WriteError):
        assert client.post("/api/imports", content=pieces()).status_code == 413
    deadline = time.monotonic() + 10
    while files(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({}, "not known what its columns are"),
        ({"columns": COLUMNS}, "which site"),
        ({"columns": COLUMNS[:1], "site": 1}, "which column holds a metric"),
        ({"columns": [*COLUMNS, {"name": "a=b, c", "means": "sunshine"}], "site": 1}, "“sunshine” is neither"),
        ({"columns": COLUMNS, "site": 1, "zone": "Mars/Base"}, "no time zone"),
        ({"columns": COLUMNS, "site": 1, "interval_s": 90_000}, "86400 seconds at the most"),
    ],
)
def test_what_cannot_be_read_so_is_said_before_anything_is_taken(
    client: httpx.Client, wanted: dict[str, Any], words: str
) -> None:
    run(client, send(client, CANONICAL)["id"])
    client.patch("/api/sites/1", json={"timezone": "Europe/Berlin"}).raise_for_status()
    id = send(client, PORTAL)["id"]
    answer = client.post(f"/api/imports/{id}/preview", json=wanted)
    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert client.post("/api/imports/none/run", json={}).status_code == 404
    assert client.post(f"/api/imports/{id}/preview", json={"site": 99}).status_code == 404


def test_a_long_import_is_stopped_and_what_it_wrote_is_kept(client: httpx.Client, runtime: Runtime) -> None:
    lines = (
        f"enphase,901,m{device},dc_voltage_v,0,2026-05-{day:02}T{hour:02}:{minute:02}:00Z,{minute}\n"
        for device in range(20) for day in range(1, 31) for hour in range(24) for minute in range(0, 60, 1)
    )  # fmt: skip
    id = send(client, HEADER + "".join(lines))["id"]
    assert client.post(f"/api/imports/{id}/run", json={}).status_code == 202
    assert client.post(f"/api/imports/{id}/run", json={}).status_code == 400  # one at a time
    deadline = time.monotonic() + 20
    while client.get(f"/api/imports/{id}").json()["lines"] == 0:
        assert time.monotonic() < deadline
    client.delete(f"/api/imports/{id}").raise_for_status()
    while not (found := client.get(f"/api/imports/{id}").json())["said"]:
        assert time.monotonic() < deadline
    assert found["state"] == "stopped"
    assert "What was written until then is kept" in found["said"][0]
    assert 0 < runtime.context.store.timeseries.kept(1).samples < 864_000
