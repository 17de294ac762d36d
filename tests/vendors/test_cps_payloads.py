"""What CPS's gateways push, read by the page's examples and rules (vendors/cps.md 3 to 5)."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest
from cps_messages import DOCUMENT, GATEWAY, NOW, SENT, SN, TELEMETRY, TS, bent, complaint, read, telemetry, values

from sungaze import clock
from sungaze.model import METRICS, DeviceStatus, DeviceType, Severity
from sungaze.vendors import _cps_mapping, _cps_messages, cps
from sungaze.vendors._cps_messages import (
    Batch,
    Complaint,
    Condition,
    Heard,
    Known,
    MessageKey,
    MessageKind,
    Order,
    Skew,
)


def test_the_page_s_example_is_read_into_canonical_values() -> None:
    batch = read(TELEMETRY)
    assert (batch.kind, batch.site_id, batch.gateway_sn) == (MessageKind.TELEMETRY, "EX-SITE-1", GATEWAY)
    assert batch.key == MessageKey(GATEWAY, "EXGW00000000001-17-000123")
    assert batch.order == Order(17, 123)
    assert values(batch, SN) == pytest.approx(
        {
            "ac_power_w": 41_200, "ac_apparent_power_va": 41_300, "ac_reactive_power_var": 1_100,
            "power_factor": 0.998, "energy_lifetime_wh": 412_345_000, "efficiency_pct": 98.2,
            "ac_voltage_l1l2_v": 481.2, "ac_voltage_l2l3_v": 480.7, "ac_voltage_l3l1_v": 481.0,
            "ac_current_l1_a": 49.5, "ac_current_l2_a": 49.4, "ac_current_l3_a": 49.6, "ac_frequency_hz": 60,
            "temperature_c": 52.1, "ambient_temperature_c": 41,
        }
    )  # fmt: skip
    assert values(batch, f"{SN}:pv2") == pytest.approx(
        {"dc_voltage_v": 708.8, "dc_current_a": 19.4, "dc_power_w": 708.8 * 19.4}
    )
    assert values(batch, "EXMETER0001") == pytest.approx({"ac_power_w": 122_900, "energy_lifetime_wh": 1_203_456_100})
    assert values(batch, "") == {"ac_power_w": 41_200}
    assert not batch.dead
    assert not batch.unknown_keys


def test_devices_are_inverter_inputs_and_meter_with_their_parents() -> None:
    devices = {one.vendor_device_id: one for one in read(TELEMETRY).devices}
    assert {name: one.device_type for name, one in devices.items()} == {
        SN: DeviceType.INVERTER, "EXMETER0001": DeviceType.METER,
        f"{SN}:pv1": DeviceType.MPPT, f"{SN}:pv2": DeviceType.MPPT, f"{SN}:pv3": DeviceType.MPPT,
    }  # fmt: skip
    inverter = devices[SN]
    assert (inverter.parent, inverter.rated_w, inverter.manufacturer) == (GATEWAY, 60_000, "CPS")
    assert (inverter.status, inverter.last_reported_at) == (DeviceStatus.NORMAL, TS)
    assert devices[f"{SN}:pv1"].parent == SN


def test_a_mean_is_named_by_its_interval_s_start_and_a_counter_by_its_moment() -> None:
    at = {(r.metric_name, r.interval_s): r.timestamp for r in read(TELEMETRY).readings if r.vendor_device_id == SN}
    assert at["ac_power_w", 300] == TS - 300
    assert at["energy_lifetime_wh", 0] == TS


def test_every_metric_that_comes_out_is_on_the_closed_list() -> None:
    assert {reading.metric_name for reading in read(TELEMETRY).readings} <= set(METRICS)


def test_the_day_s_yield_is_the_site_s_local_day_and_waits_for_the_zone() -> None:
    assert "energy_wh" not in values(read(TELEMETRY), SN)
    batch = read(TELEMETRY, known=Known(timezone="America/Denver"))
    (day,) = [r for r in batch.readings if r.metric_name == "energy_wh" and r.vendor_device_id == SN]
    tz = clock.zone("America/Denver")
    assert tz
    assert (day.interval_s, day.value) == (86_400, 187_400)
    assert day.timestamp == clock.midnight(clock.day_of(TS, tz), tz)
    assert values(batch, "")["energy_wh"] == 187_400


@pytest.mark.parametrize("nothing", [None, "", "--", "N/A", " ", "NaN", 65535, -32768, "65535", True, [], {}, "12,5"])
def test_what_means_nothing_is_missing_and_never_zero(nothing: Any) -> None:
    assert "ac_power_w" not in values(read(bent(Pac=nothing)), SN)
    assert "" not in {one.vendor_device_id for one in read(bent(Pac=nothing)).readings}, "no sum without all"


@pytest.mark.parametrize(("given", "watts"), [(0, 0), ("0", 0), ("41.2", 41_200), (" 41.2 ", 41_200), (-0.02, -20)])
def test_a_number_is_a_number_also_as_text_and_zero_is_zero(given: Any, watts: float) -> None:
    assert values(read(bent(Pac=given)), SN)["ac_power_w"] == watts


def test_65535_is_a_yield_like_any_other_and_only_the_counter_s_own_sentinel_is_nothing() -> None:
    assert values(read(bent(TYield=65535)), SN)["energy_lifetime_wh"] == 65_535_000
    assert "energy_lifetime_wh" not in values(read(bent(TYield=4294967295)), SN)
    assert "ac_voltage_l1l2_v" not in values(read(bent(Uab=6553.5)), SN)


def test_unknown_keys_of_a_new_firmware_are_counted_and_do_no_harm() -> None:
    message = telemetry(extra=1)
    message["records"][0]["values"]["Riso"] = 5
    message["records"][0]["colour"] = "red"
    batch = read(message)
    assert batch.unknown_keys == {"values.Riso": 1, "colour": 1}
    assert values(batch, SN)["ac_power_w"] == 41_200


def test_a_batch_is_taken_record_by_record() -> None:
    message = telemetry()
    good = message["records"][0]
    message["records"] += [
        None,
        {"type": "inverter"},
        good | {"sn": "AB12", "model": ""},
        good | {"sn": "0002", "ts": "x"},
    ]
    batch = read(message)
    assert [one.reason for one in batch.dead] == ["shape", "shape", "not_a_device", "time"]
    assert values(batch, SN)["ac_power_w"] == 41_200


def test_a_serial_that_is_in_no_inventory_is_a_dead_letter() -> None:
    batch = read(TELEMETRY, known=Known(serials=frozenset({SN})))
    assert [(one.reason, one.sn) for one in batch.dead] == [("unknown_serial", "EXMETER0001")]
    assert '"EXP' not in batch.dead[0].record
    assert values(batch, SN)


def test_the_site_s_power_is_summed_only_when_every_known_inverter_is_there() -> None:
    both = Known(inverters=frozenset({SN, "0001000000000002"}))
    assert not values(read(TELEMETRY, known=both), "")
    message = telemetry()
    message["records"].append(message["records"][0] | {"sn": "0001000000000002"})
    assert values(read(message, known=both), "") == {"ac_power_w": 82_400}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not_json"),
        (b"nonsense", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"[]", "bad_shape"),
        (b"3", "bad_shape"),
        (b'{"schema":"cps/9"}', "unknown_schema"),
        (json.dumps(telemetry(records=3)).encode(), "bad_shape"),
        (json.dumps(telemetry(msg_id=None)).encode(), "bad_shape"),
        (json.dumps(telemetry(type="song")).encode(), "bad_shape"),
        (b" " * (1024 * 1024 + 1), "oversize"),
        (b"<html></html>", "not_xml"),
        (b"<sunSpecData", "not_xml"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><sunSpecData v="1"/>', "not_xml"),
        (b'<sunSpecData v="1"/>', "bad_shape"),
    ],
)
def test_a_message_that_is_none_ends_in_a_complaint_with_its_reason(body: bytes, reason: str) -> None:
    assert complaint(body).reason == reason


def test_a_message_that_speaks_for_another_gateway_is_refused() -> None:
    assert complaint(TELEMETRY, gateway="EXGW2").reason == "foreign_gateway"


def test_an_array_of_envelopes_is_read_one_by_one() -> None:
    found = _cps_messages.read_message(json.dumps([TELEMETRY, 3]).encode(), now=NOW)
    assert isinstance(found[0], Batch)
    assert isinstance(found[1], Complaint)


def test_more_records_than_a_push_may_hold_are_told() -> None:
    message = telemetry()
    message["records"] *= 51
    assert complaint(message, most_records=100).reason == "too_many_records"


# -- time ------------------------------------------------------------------------------------------------------------


def stamped(ts: Any, **changed: Any) -> dict[str, Any]:
    message = telemetry(**changed)
    del message["records"][1:]
    message["records"][0]["ts"] = ts
    return message


@pytest.mark.parametrize(
    "ts",
    [
        "2026-10-05T18:30:00Z",
        "2026-10-05T12:30:00",
        "2026-10-05T12:30:00-06:00",
        TS,
        TS * 1000,
        str(TS),
        str(TS * 1000),
    ],
)
def test_a_stamp_is_read_in_every_form_and_a_naive_one_in_the_gateway_s_fixed_offset(ts: Any) -> None:
    assert read(stamped(ts)).newest == TS


@pytest.mark.parametrize(
    ("text", "hours"),
    [("GMT -6", -6.0), ("GMT+5:30", 5.5), ("gmt", 0.0), ("UTC-03:30", -3.5), ("+9", 9.0), ("America/Denver", None)],
)
def test_a_zone_is_a_fixed_offset_unless_it_is_a_name(text: str, hours: float | None) -> None:
    zone = _cps_messages.fixed_zone(text)
    assert zone is not None
    if hours is not None:
        offset = zone.utcoffset(None)
        assert offset is not None
        assert offset.total_seconds() == hours * 3600


def test_a_naive_stamp_without_a_zone_is_not_guessed() -> None:
    assert [one.reason for one in read(stamped("2026-10-05T12:30:00", tz="Somewhere/Else")).dead] == ["time"]


@pytest.mark.parametrize(
    ("ts", "words"),
    [
        ("2014-12-31T00:00:00Z", "before 2015"),
        ("1970-01-01T00:00:00Z", "before 2015"),
        ("2026-10-05T18:36:00Z", "in the future"),
        ("2026-09-04T18:00:00Z", "31 days"),
        ("0001-01-01T00:00:00+23:59", "no time"),
        ("9999-12-31T00:00:00Z", "no time"),
    ],
)
def test_a_time_that_cannot_be_is_set_aside_with_its_reason(ts: str, words: str) -> None:
    batch = read(stamped(ts))
    assert [one.reason for one in batch.dead] == ["time"]
    assert words in batch.dead[0].detail
    assert not batch.readings


def test_thirty_days_old_and_out_of_order_is_taken_by_its_own_time() -> None:
    assert read(stamped("2026-09-05T18:30:00Z", type="backfill")).newest == TS - 30 * 86_400


def test_a_clock_five_minutes_behind_is_taken_as_given_and_marked() -> None:
    heard = tuple(Heard(NOW - 300 * n, SENT - 300 * n - 300) for n in (4, 3, 2, 1))
    batch = read(telemetry(sent_at="2026-10-05T18:25:04Z"), known=Known(heard=heard))
    assert batch.skew.word == "skewed"
    assert batch.newest == TS
    (alert,) = _cps_messages.fold_alerts([], batch.conditions[:1])
    assert (alert.code, alert.severity, alert.vendor_device_id) == ("CPS-CLOCK", Severity.WARNING, GATEWAY)


def test_a_clock_three_hours_ahead_is_taken_and_its_future_stamps_are_judged_after_correction() -> None:
    batch = read(stamped("2026-10-05T21:30:00Z", sent_at="2026-10-05T21:30:04Z"))
    assert batch.skew.word == "skewed"
    assert batch.newest == TS + 3 * 3600


def test_a_clock_years_off_is_set_aside() -> None:
    batch = read(stamped("2031-10-05T18:30:00Z", sent_at="2031-10-05T18:30:04Z"))
    assert batch.skew.word == "refused"
    assert [one.reason for one in batch.dead] == ["time"]


def test_a_slow_clock_is_called_a_day_off_only_by_three_that_agree() -> None:
    day = 2 * 86_400
    assert _cps_messages.clock_skew([Heard(day, 0)]).word == "unknown"
    assert _cps_messages.clock_skew([Heard(day + 300 * n, 300 * n) for n in range(3)]).word == "refused"


def test_messages_that_waited_in_a_queue_say_nothing_of_the_clock() -> None:
    backlog = [Heard(200_000 + n, 300 * n) for n in range(5)]
    assert _cps_messages.clock_skew(backlog).word == "unknown"
    batch = read(TELEMETRY, now=NOW + 3 * 86_400, known=Known(heard=()))
    assert batch.newest == TS, "three days in the broker's queue: nothing is lost"


@pytest.mark.parametrize(
    ("late", "word"), [(0, "fine"), (120, "fine"), (121, "skewed"), (86_400, "skewed"), (-90_000, "refused")]
)
def test_the_classes_of_skew_have_the_page_s_bounds(late: float, word: str) -> None:
    assert _cps_messages.clock_skew([Heard(1e9 + 300 * n + late, 1e9 + 300 * n) for n in range(5)]) == Skew(word, late)


def test_backfill_is_left_out_of_the_clock_s_account() -> None:
    assert read(telemetry(type="backfill")).heard is None
    assert read(telemetry(), kind=MessageKind.BACKFILL).kind is MessageKind.BACKFILL


def test_order_tells_losses_and_restarts() -> None:
    assert _cps_messages.lost_between(None, Order(1, 5)) == (0, False)
    assert _cps_messages.lost_between(Order(1, 5), Order(1, 6)) == (0, False)
    assert _cps_messages.lost_between(Order(1, 5), Order(1, 9)) == (3, False)
    assert _cps_messages.lost_between(Order(1, 5), Order(1, 4)) == (0, False)
    assert _cps_messages.lost_between(Order(1, 5), Order(2, 0)) == (0, True)
    assert Order(2, 0) > Order(1, 99)


def test_a_gateway_is_silent_after_three_intervals_and_twenty_minutes_at_least() -> None:
    assert not _cps_messages.is_silent(0, 300, 1_200)
    assert _cps_messages.is_silent(0, 300, 1_201)
    assert not _cps_messages.is_silent(0, 1_200, 3_600)
    assert _cps_messages.is_silent(0, 1_200, 3_601)


# -- status, inventory, events, faults -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "status"),
    [("0x1000", "normal"), ("0x0800", "warning"), ("0x1800", "warning"), ("0x9000", "fault"), ("0x2000", "normal"),
     ("0x4000", "normal"), ("0x0000", "unknown"), ("0x0001", "unknown"), (4096, "normal"), ("4096", "normal"),
     (None, "unknown"), ("Run", "unknown"), ([1], "unknown")],
)  # fmt: skip
def test_the_work_mode_s_worst_bit_is_the_status(mode: Any, status: str) -> None:
    message = bent()
    message["records"][0]["Mode"] = mode
    (inverter,) = [one for one in read(message).devices if one.vendor_device_id == SN]
    assert inverter.status == status


def faulty(fault: Any, ts: str = "2026-10-05T18:30:00Z") -> list[Condition]:
    message = bent()
    message["records"][0] |= {"fault": fault, "ts": ts, "Mode": None}
    return [one for one in read(message).conditions if one.device == SN]


def test_fault_bits_rise_and_fall_as_alerts() -> None:
    raised = _cps_messages.fold_alerts(
        [], faulty({"PFault": 0, "Warn": 2, "Fault": [0, 8, 0, 0, 0]}, "2026-10-05T18:20:00Z")
    )
    assert {(one.code, one.severity) for one in raised} == {("W.1", Severity.WARNING), ("F1.3", Severity.ERROR)}
    assert {one.timestamp for one in raised} == {TS - 600}
    assert not _cps_messages.fold_alerts(raised, faulty({"Warn": 2, "Fault": [0, 8]}, "2026-10-05T18:25:00Z")), (
        "nothing new"
    )
    (cleared,) = _cps_messages.fold_alerts(raised, faulty({"PFault": 0, "Warn": 2, "Fault": [0, 0, 0, 0, 0]}))
    assert (cleared.code, cleared.resolved_at) == ("F1.3", TS)


def test_silence_and_missing_words_resolve_nothing() -> None:
    raised = _cps_messages.fold_alerts([], faulty({"Warn": 2}, "2026-10-05T18:20:00Z"))
    for fault in (None, {}, {"Warn": None}, {"Warn": "--"}, {"Warn": -1}, {"Fault": [0]}):
        assert not _cps_messages.fold_alerts(raised, faulty(fault)), fault
    late = faulty({"Warn": 0}, "2026-10-05T18:10:00Z")
    assert not _cps_messages.fold_alerts(raised, late), "an older report says nothing of a later fault"


def event(state: str, /, **changed: Any) -> Batch:
    about = {"sn": SN, "ts": "2026-10-05T18:29:00Z", "event_id": "77", "code": "Warn0030", "class": "Warning",
             "text": "EEPROM", "state": state} | changed  # fmt: skip
    return read({**telemetry(type="event"), "records": None, "event": about})


def test_an_event_raises_and_clears_one_alert() -> None:
    batch = event("raised")
    (raised,) = _cps_messages.fold_alerts([], [one for one in batch.conditions if one.device == SN])
    assert (raised.code, raised.description, raised.severity) == ("Warn0030", "EEPROM", Severity.WARNING)
    cleared = event("cleared", ts="2026-10-05T18:30:00Z")
    (resolved,) = _cps_messages.fold_alerts([raised], [one for one in cleared.conditions if one.device == SN])
    assert (resolved.vendor_alert_id, resolved.resolved_at) == (raised.vendor_alert_id, TS)
    assert event("raised", **{"class": "Protect"}).conditions[-1].marks[0].severity is Severity.ERROR


@pytest.mark.parametrize("changed", [{"state": "perhaps"}, {"sn": None}, {"code": ""}, {"ts": "soon"}, {"code": "a|b"}])
def test_an_event_without_its_parts_is_a_dead_letter(changed: dict[str, Any]) -> None:
    batch = event("raised", **changed)
    assert batch.dead
    assert SN not in {one.device for one in batch.conditions}


INVENTORY = {
    "devices": [
        {"sn": GATEWAY, "type": "gateway", "model": "FG4C", "fw": "1.2"},
        {"sn": SN, "modbus_id": 1, "type": "inverter", "model": "SCA60KTL-DO/US-480", "fw": "17", "rated_kw": "60"},
        {"sn": "0001000000000002", "modbus_id": 2, "type": "inverter", "model": "SCA50KTL-DO/US-480"},
        {"sn": "WS1", "type": "weather", "model": "WS600"},
        {"sn": "6C2B01", "type": "inverter", "model": ""},
    ]
}


def test_an_inventory_lists_devices_and_the_site_s_rating() -> None:
    batch = read({**telemetry(type="inventory"), **INVENTORY}, retained=True, now=NOW + 20 * 86_400)
    assert [(one.vendor_device_id, one.device_type) for one in batch.devices] == [
        (GATEWAY, DeviceType.GATEWAY), (SN, DeviceType.INVERTER), ("0001000000000002", DeviceType.INVERTER),
        ("WS1", DeviceType.SENSOR),
    ]  # fmt: skip
    assert batch.sites[0].peak_power_kw == 110
    assert [one.reason for one in batch.dead] == ["not_a_device"], "the logger among its own inverters"
    assert batch.heard is None
    assert not batch.readings


def test_retained_telemetry_is_never_fresh() -> None:
    assert complaint(TELEMETRY, retained=True).reason == "retained"
    assert complaint(DOCUMENT, retained=True).reason == "retained"


def topic(kind: str, payload: Any, **options: Any) -> Batch | Complaint:
    (found,) = _cps_messages.read_topic(f"cps/v1/{GATEWAY}/{kind}", json.dumps(payload).encode(), now=NOW, **options)
    return found


def test_a_status_says_online_and_the_last_will_says_offline() -> None:
    online = topic("status", {"state": "online", "ts": "2026-10-05T18:30:00Z", "net": "4g", "rssi": -71, "fw": "1.2"})
    assert isinstance(online, Batch)
    assert online.gateway
    assert (online.gateway.online, online.gateway.at) == (True, TS)
    assert values(online, GATEWAY) == {"signal_strength": -71}
    will = topic("status", {"state": "offline", "reason": "lwt"})
    assert isinstance(will, Batch)
    assert will.gateway
    assert not will.gateway.online
    (alert,) = _cps_messages.fold_alerts([], will.conditions)
    assert (alert.code, alert.vendor_device_id) == ("CPS-COMM", GATEWAY), "on the gateway only"
    (resolved,) = _cps_messages.fold_alerts(
        [alert], [_cps_messages.comm_condition(GATEWAY, int(NOW) + 60, silent=False)]
    )
    assert resolved.resolved_at == int(NOW) + 60


def test_a_retained_last_will_has_no_age_and_raises_nothing_by_itself() -> None:
    will = topic("status", {"state": "offline", "reason": "lwt"}, retained=True)
    assert isinstance(will, Batch)
    assert not will.conditions


@pytest.mark.parametrize("payload", [3, None, {}, {"state": "asleep"}, [1]])
def test_a_status_that_is_none_is_a_complaint(payload: Any) -> None:
    assert isinstance(topic("status", payload), Complaint)


def test_topics_are_ours_below_the_prefix_only() -> None:
    assert _cps_messages.topic_of("cps/v1/EX/telemetry") == ("EX", MessageKind.TELEMETRY)
    assert _cps_messages.topic_of("plant/a/EX/status", "plant/a/") == ("EX", MessageKind.STATUS)
    for strange in ("cps/v1/EX", "cps/v1//status", "cps/v1/EX/command", "x/cps/v1/EX/status", "cps/v1/EX/status/x"):
        assert _cps_messages.topic_of(strange) is None, strange


# -- the SunSpec document --------------------------------------------------------------------------------------------


def test_a_sunspec_document_is_read_like_the_other_form() -> None:
    batch = read(DOCUMENT, message_id="m-1")
    assert batch.key == MessageKey(GATEWAY, "m-1")
    assert values(batch, SN) == pytest.approx(
        {"ac_power_w": 41_200, "energy_lifetime_wh": 412_345_000, "ac_frequency_hz": 60, "power_factor": 0.998}
    )
    assert values(batch, f"{SN}:pv1")["dc_power_w"] == pytest.approx(710.2 * 19.6)
    assert values(batch, f"{SN}:pv2")["dc_power_w"] == 13_700
    assert values(batch, "") == {"ac_power_w": 41_200}
    assert [mark.name for mark in batch.conditions[0].marks] == ["Evt1.7"]


def test_a_document_without_an_id_is_named_by_its_content() -> None:
    first, second = read(DOCUMENT).key, read(DOCUMENT, content_type="text/xml").key
    assert first == second
    assert first
    assert first.msg_id.startswith("sha256:")


# -- the mapping file ------------------------------------------------------------------------------------------------


def mapped(**changed: Any) -> bytes:
    room = resources.files("sungaze.vendors")
    return json.dumps(json.loads((room / "cps-assumed-1.json").read_bytes()) | changed).encode()


def test_the_mapping_file_is_valid_and_of_the_schema_that_it_says() -> None:
    assert list(_cps_mapping.maps()) == ["cps-assumed/1"]
    assert _cps_mapping.payload_map(mapped(schema="x")).schema == "x"


@pytest.mark.parametrize(
    "changed",
    [
        {"format": "csv"}, {"colour": 1}, {"metrics": {"ac_power_kw": {"path": "$.a", "unit": "kW"}}},
        {"metrics": {"ac_power_w": {"path": "$.a", "unit": "BTU"}}},
        {"metrics": {"ac_power_w": {"path": "a.b", "unit": "W"}}},
        {"metrics": {"dc_voltage_v[n]": {"path": "$.a", "unit": "V", "n": [1, 2]}}},
        {"metrics": {"dc_voltage_v[n]": {"path": "$.a[n]", "unit": "V", "n": [3, 1]}}},
        {"device_type": {"path": "$.t", "map": {"a": "toaster"}}}, {"kind": {"path": "$.t", "map": {"a": "song"}}},
        {"status": {"path": "$.m", "map": {"0xZZ": "normal"}}}, {"serials": {"inverter": "("}},
        {"match": {"path": "$", "equals": ""}},
    ],
)  # fmt: skip
def test_a_mapping_that_cannot_be_used_is_refused_at_the_start(changed: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"mapping|path|bit"):
        _cps_mapping.payload_map(mapped(**changed))


def test_a_true_schema_drops_in_as_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    other = _cps_mapping.payload_map(
        mapped(
            schema="cps/7",
            match={"path": "$.v", "equals": "cps/7"},
            records="$.data.rows[*]",
            metrics={"ac_power_w": {"path": "$.p", "unit": "W"}},
        )
    )
    monkeypatch.setattr(_cps_messages, "maps", lambda: {"cps/7": other})
    message = telemetry(v="cps/7", data={"rows": [{"sn": SN, "type": "inverter", "ts": TS, "p": 5}]})
    assert values(read(message), SN) == {"ac_power_w": 5}


# -- the rest --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "watts"),
    [("SCA60KTL-DO/US-480", 60_000), ("CPS SCA25KTL-DO-R/US-480", 25_000), ("RG meter", None), ("0KTL", None)],
)
def test_a_model_s_name_holds_its_rating(model: str, watts: float | None) -> None:
    assert _cps_messages.rated_w_of(model) == watts


def test_onboarding_tells_what_is_still_needed() -> None:
    assert cps.still_needed(cps.Onboarding.NOT_REQUESTED, {})[0].startswith("a request to CPS")
    needed = cps.still_needed(cps.Onboarding.SANDBOX, {"base_url": "https://x.example", "auth": " "})
    assert "the API's address" not in needed
    assert "the kind of login (key and secret, OAuth, signature)" in needed
    assert not cps.still_needed(cps.Onboarding.LIVE, {})
