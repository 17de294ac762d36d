"""The panels of a site over a whole day in one answer, and where they lie by the user's word."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from sungaze.config import Settings
from sungaze.model import DeviceFacts, DeviceStatus, DeviceType, Reading, SiteFacts, Span
from sungaze.runtime import Runtime
from sungaze.store import Store
from sungaze.store.timeseries import Rating

TOKEN = "a-token-of-the-tests-0123456789abcdef"
NOW = datetime.fromisoformat("2026-11-20T18:00:00+00:00").timestamp()
SPRING = int(datetime.fromisoformat("2026-03-29T00:00:00+01:00").timestamp())
AUTUMN = int(datetime.fromisoformat("2026-10-25T00:00:00+02:00").timestamp())
DAY = int(datetime.fromisoformat("2026-11-19T00:00:00+01:00").timestamp())
MANY = 5_000
QUARTER_S = 900


class Roof:
    """A program whose store was filled by hand, and its sites by name."""

    def __init__(self, folder: Path) -> None:
        store = Store(folder / "sungaze.db")
        with store.database.transaction():
            store.fleet.add_account(
                id=1, vendor="tigo", method="password", plan="premium", label="Tigo", base_url=None, scope="tigo",
                identity="me", now=NOW,
            )  # fmt: skip
            facts = [
                SiteFacts(vendor_site_id=name, name=name, timezone="Europe/Berlin")
                for name in ("roof", "bare", "many", "sums", "gateway")
            ]
            ids = store.fleet.apply_sites(1, "tigo", facts, complete=True, now=NOW)
        self.sites = dict(zip(("roof", "bare", "many", "sums", "gateway"), ids, strict=True))
        store.fleet.set_account_state(1, "connected", "", NOW, retry_at=NOW + 1e6)
        self._fill(store, "roof", [
            DeviceFacts(vendor_device_id="inverter", device_type=DeviceType.INVERTER, serial_number="I-1"),
            DeviceFacts(vendor_device_id="s", device_type=DeviceType.STRING, name="String A", parent="inverter"),
            *(
                DeviceFacts(
                    vendor_device_id=key, device_type=DeviceType.OPTIMIZER, serial_number=serial, parent="s",
                    position={"x": 10.0 * n, "y": 5.0}, status=status,
                )
                for n, (key, serial, status) in enumerate([
                    ("b", "B-2", DeviceStatus.NORMAL), ("a", "A-1", DeviceStatus.NORMAL),
                    ("n", None, DeviceStatus.NORMAL), ("gone", "A-0", DeviceStatus.RETIRED),
                ])
            ),
        ], [
            *(Reading("a", "dc_power_w", QUARTER_S, DAY + 12 * 3600 + n * QUARTER_S, 0.0 if n == 2 else 100.0 + n)
              for n in range(4)),
            Reading("b", "dc_power_w", QUARTER_S, DAY + 12 * 3600 + 2 * QUARTER_S, 7.5),
            Reading("gone", "dc_power_w", QUARTER_S, DAY, 1.0),
            *(Reading("a", "dc_power_w", QUARTER_S, start + n * QUARTER_S, float(n))
              for start, hours in ((SPRING, 23), (AUTUMN, 25)) for n in range(-4, hours * 4 + 4)),
        ])  # fmt: skip
        self._fill(store, "sums", [DeviceFacts(vendor_device_id="one", device_type=DeviceType.OPTIMIZER)], [
            Reading("one", "dc_energy_wh", 60, DAY + 60 * n, 1.0) for n in range(10) if n != 7
        ])  # fmt: skip
        self._fill(store, "gateway", [DeviceFacts(vendor_device_id="one", device_type=DeviceType.OPTIMIZER)], [
            Reading("one", "dc_power_w", 300, DAY + 300, 10.0),
            *(Reading("one", "dc_power_w", QUARTER_S, DAY + QUARTER_S * n, 50.0 + 10 * n) for n in range(2)),
        ])  # fmt: skip
        many = [
            DeviceFacts(vendor_device_id=str(n), device_type=DeviceType.OPTIMIZER, serial_number=f"{n:05}")
            for n in range(MANY)
        ]
        noon = [
            Reading(str(n), "dc_power_w", QUARTER_S, DAY + 8 * 3600 + QUARTER_S * k, 200.5 + k)
            for n in range(MANY) for k in range(8)
        ]  # fmt: skip
        self._fill(store, "many", many, noon)
        self.store = store
        self.runtime = Runtime(Settings(data_dir=folder, token=TOKEN), now=lambda: NOW)
        self.runtime.start()
        self.client = httpx.Client(
            base_url=self.runtime.address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60, trust_env=False
        )

    def _fill(self, store: Store, name: str, devices: list[DeviceFacts], readings: list[Reading]) -> None:
        site = store.fleet.site(self.sites[name])
        ids = store.fleet.apply_devices(site, devices, complete=True, now=NOW)
        store.timeseries.write(site.id, readings, devices=ids, rating=Rating(), now=NOW)

    def path(self, name: str, rest: str) -> str:
        return f"/api/sites/{self.sites[name]}/{rest}"

    def day(self, name: str, **query: str) -> dict[str, Any]:
        answer = self.client.get(self.path(name, "layout/day"), params={"metric": "dc_power_w", **query})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def places(self) -> dict[str | None, tuple[Any, ...]]:
        """By serial: whose word counts, and the user's array, row and column."""
        cells = self.day("roof", date="2026-11-19")["cells"]
        return {c["serial_number"]: tuple(c["position"][k] for k in ("by", "array", "row", "column")) for c in cells}

    def stop(self) -> None:
        self.client.close()
        self.runtime.stop()
        self.store.close()


@pytest.fixture(scope="module")
def roof(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roof]:
    made = Roof(tmp_path_factory.mktemp("roof"))
    yield made
    made.stop()


@pytest.fixture
def placed(roof: Roof) -> Iterator[Roof]:
    """A roof whose panels are given back to the vendor's word at the end."""
    yield roof
    cells = roof.day("roof", date="2026-11-19")["cells"]
    items = [{"device_id": c["device_id"], "row": None, "column": None} for c in cells]
    assert roof.client.patch(roof.path("roof", "positions"), json={"items": items}).status_code == 200


def test_a_day_comes_whole_in_the_order_of_serials_with_nulls_for_what_is_missing(roof: Roof) -> None:
    day = roof.day("roof", date="2026-11-19", columns="2")
    assert [cell["serial_number"] for cell in day["cells"]] == ["A-1", "B-2", None]
    assert [(cell["row"], cell["column"]) for cell in day["cells"]] == [(0, 0), (0, 1), (1, 0)]
    assert day["timestamps"] == [DAY + 12 * 3600 + n * QUARTER_S for n in range(4)]
    assert [cell["values"] for cell in day["cells"]] == [
        [100.0, 101.0, 0.0, 103.0], [None, None, 7.5, None], [None, None, None, None]
    ]  # fmt: skip
    assert (day["unit"], day["interval_s"], day["end"] - day["start"]) == ("W", QUARTER_S, 86_400)
    assert "not the arrangement" in day["disclaimer"]


def test_a_panel_says_its_string_its_inverter_and_where_the_vendor_draws_it(roof: Roof) -> None:
    day = roof.day("roof")
    parents = {parent["id"]: (parent["type"], parent["name"]) for parent in day["parents"]}
    cell = day["cells"][0]
    assert parents[cell["string_id"]] == ("string", "String A")
    assert parents[cell["inverter_id"]] == ("inverter", "I-1")
    assert cell["position"] == {"by": "vendor", "array": None, "row": None, "column": None, "x": 10.0, "y": 5.0}
    assert day["positions_by"] == "Tigo"


@pytest.mark.parametrize(("date", "start", "hours"), [("2026-03-29", SPRING, 23), ("2026-10-25", AUTUMN, 25)])
def test_a_day_on_which_the_clock_changes_has_its_own_hours_and_no_other_days(
    roof: Roof, date: str, start: int, hours: int
) -> None:
    day = roof.day("roof", date=date)
    assert (day["start"], day["end"]) == (start, start + hours * 3600)
    assert day["cells"][0]["values"] == [float(n) for n in range(hours * 4)]
    assert day["timestamps"][-1] == day["end"] - QUARTER_S


def test_another_type_can_be_asked_for(roof: Roof) -> None:
    assert [c["serial_number"] for c in roof.day("roof", type="inverter")["cells"]] == ["I-1"]


def test_a_site_without_panels_has_an_empty_day(roof: Roof) -> None:
    day = roof.day("bare")
    assert (day["cells"], day["timestamps"], day["note"]) == ([], [], "")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"metric": "nonsense"}, "There is no metric called “nonsense”."),
        ({"date": "tomorrow"}, "“tomorrow” is no date; write one like 2026-11-24."),
        ({"date": "0001-01-01"}, "lies outside the years"),
        ({"type": "spaceship"}, "There is no device type called “spaceship”."),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_a_sentence(roof: Roof, query: dict[str, str], sentence: str) -> None:
    answer = roof.client.get(roof.path("roof", "layout/day"), params=query)
    assert answer.status_code == 400
    assert sentence in answer.json()["detail"]


def test_five_thousand_panels_come_quickly_and_compactly(roof: Roof) -> None:
    began = time.perf_counter()
    answer = roof.client.get(roof.path("many", "layout/day"), params={"metric": "dc_power_w", "date": "2026-11-19"})
    assert time.perf_counter() - began < 2
    cells = answer.json()["cells"]
    assert len(cells) == MANY
    assert cells[-1]["values"] == [200.5 + k for k in range(8)]
    assert len(answer.content) < 1_500_000


def test_what_is_too_fine_for_one_answer_comes_coarser_and_a_part_never_looks_like_the_whole(roof: Roof) -> None:
    day = Span(DAY, DAY + 86_400)
    site = roof.sites["sums"]
    ids = roof.store.fleet.device_ids(site).values()
    fine = roof.store.timeseries.day_of_devices(site, ids, "dc_energy_wh", day, most=2_000)
    assert (fine.interval_s, len(fine.timestamps)) == (60, 10)
    coarse = roof.store.timeseries.day_of_devices(site, ids, "dc_energy_wh", day, most=300)
    assert (coarse.interval_s, coarse.timestamps) == (300, [DAY])
    assert list(coarse.values.values()) == [[5.0]]


def test_coarser_figures_of_a_gateway_that_was_away_stand_in_for_the_finer_ones_they_cover(roof: Roof) -> None:
    site = roof.sites["gateway"]
    ids = roof.store.fleet.device_ids(site)
    day = roof.store.timeseries.day_of_devices(site, ids.values(), "dc_power_w", Span(DAY, DAY + 86_400), most=9_999)
    assert (day.interval_s, day.timestamps) == (300, [DAY + 300 * n for n in range(6)])
    assert day.values[ids["one"]] == [50.0, 10.0, 50.0, 60.0, 60.0, 60.0]


def test_the_users_positions_win_and_can_be_taken_back(placed: Roof) -> None:
    ids = {c["serial_number"]: c["device_id"] for c in placed.day("roof")["cells"]}
    items = [{"device_id": ids["A-1"], "array": " East ", "row": 2, "column": 3}]
    answer = placed.client.patch(placed.path("roof", "positions"), json={"items": items})
    assert answer.json()["changes"][0]["after"]["array"] == "East"
    assert placed.places() == {
        "A-1": ("user", "East", 2, 3), "B-2": ("vendor", None, None, None), None: ("vendor", None, None, None)
    }  # fmt: skip
    back = [{"device_id": ids["A-1"], "row": None, "column": None}]
    placed.client.patch(placed.path("roof", "positions"), json={"items": back})
    assert placed.places()["A-1"] == ("vendor", None, None, None)


def test_two_panels_can_change_places_but_never_share_one(placed: Roof) -> None:
    ids = {c["serial_number"]: c["device_id"] for c in placed.day("roof")["cells"]}

    def put(*items: tuple[str, int | None, int | None]) -> httpx.Response:
        body = [{"device_id": ids[serial], "row": row, "column": column} for serial, row, column in items]
        return placed.client.patch(placed.path("roof", "positions"), json={"items": body})

    assert put(("A-1", 1, 1), ("B-2", 1, 2)).status_code == 200
    refused = put(("A-1", 1, 2))
    assert (refused.status_code, refused.json()["detail"]) == (
        400, "Row 1, column 2 is taken by B-2; nothing was changed."
    )  # fmt: skip
    assert put(("A-1", 1, 2), ("B-2", 1, 1)).status_code == 200
    assert placed.places()["A-1"] == ("user", None, 1, 2)
    assert "between 1 and 1000" in put(("A-1", 0, 1)).json()["detail"]
    assert "or neither" in put(("A-1", None, 1)).json()["detail"]
    unknown = placed.client.patch(
        placed.path("roof", "positions"), json={"items": [{"device_id": 999_999, "row": 1, "column": 1}]}
    )
    assert "does not have" in unknown.json()["detail"]


def test_a_csv_is_shown_with_its_bad_lines_before_anything_is_saved(placed: Roof) -> None:
    text = "Row;Serial;Column;Array\n1;A-1;1;East\n\n1;X-9;2;East\nzero;B-2;2;East\n2;A-1;2;East\n"
    path = placed.path("roof", "positions/csv")
    seen = placed.client.post(path, json={"text": text, "preview": True}).json()
    assert (seen["saved"], [c["line"] for c in seen["changes"]]) == (False, [2])
    assert [(p["line"], p["problem"]) for p in seen["problems"]] == [
        (4, "no panel here has the serial number “X-9”"),
        (5, "its row is “zero”, not a whole number from 1 to 1000"),
        (6, "“A-1” was placed by line 2 already"),
    ]
    assert placed.places()["A-1"][0] == "vendor"
    assert placed.client.post(path, json={"text": text}).json()["saved"] is True
    assert placed.places()["A-1"] == ("user", "East", 1, 1)
    assert placed.client.post(path, json={"text": text, "preview": True}).json()["same"] == 1


def test_lines_of_a_csv_that_would_share_a_place_give_way_to_what_is_there(placed: Roof) -> None:
    path = placed.path("roof", "positions/csv")
    placed.client.post(path, json={"text": "A-1,,1,1\nB-2,,1,2"})
    seen = placed.client.post(path, json={"text": "A-1,,1,2"}).json()
    assert (seen["changes"], seen["problems"][0]["problem"]) == ([], "Row 1, column 2 is taken by B-2")
    swapped = placed.client.post(path, json={"text": "A-1,,1,2\nB-2,,1,1"}).json()
    assert (len(swapped["changes"]), swapped["problems"]) == (2, [])


def test_a_csv_without_a_line_is_refused(roof: Roof) -> None:
    answer = roof.client.post(roof.path("roof", "positions/csv"), json={"text": "\ufeff\n \n"})
    assert answer.status_code == 400
    assert "has no lines" in answer.json()["detail"]
