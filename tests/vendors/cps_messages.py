"""The examples of vendors/cps.md, and ways to bend them, for the tests of CPS."""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from datetime import datetime
from typing import Any

from sungaze.vendors import _cps_messages
from sungaze.vendors._cps_messages import Batch, Complaint, Known

SENT = int(datetime.fromisoformat("2026-10-05T18:30:04+00:00").timestamp())
TS = SENT - 4
NOW = float(SENT + 1)
GATEWAY = "EXGW00000000001"
SN = "0001000000000001"
SECRET = "a-secret-of-the-gateway-0001"

TELEMETRY: dict[str, Any] = {
    "schema": "cps-assumed/1", "type": "telemetry", "msg_id": "EXGW00000000001-17-000123", "boot_id": 17, "seq": 123,
    "gateway_sn": GATEWAY, "site_id": "EX-SITE-1", "tz": "GMT -6", "sent_at": "2026-10-05T18:30:04Z", "interval_s": 300,
    "records": [
        {"sn": SN, "modbus_id": 1, "type": "inverter", "model": "SCA60KTL-DO/US-480", "ts": "2026-10-05T18:30:00Z",
         "Mode": "0x1000", "status": "Run",
         "values": {"Pac": 41.2, "Sac": 41.3, "PF": 0.998, "Pmax": 55.1, "DYield": 187.4, "TYield": 412345, "Eff": 98.2,
                    "Uab": 481.2, "Ubc": 480.7, "Uca": 481.0, "Ia": 49.5, "Ib": 49.4, "Ic": 49.6, "Freq": 60.0,
                    "Upv1": 710.2, "Ipv1": 19.6, "Upv2": 708.8, "Ipv2": 19.4, "Upv3": 711.0, "Ipv3": 19.5,
                    "Tmod": 52.1, "Tamb": 41.0, "Qac": 1.1},
         "fault": {"PFault": 0, "Warn": 0, "Fault": [0, 0, 0, 0, 0]}},
        {"sn": "EXMETER0001", "modbus_id": 30, "type": "meter", "model": "RG meter", "ts": "2026-10-05T18:30:00Z",
         "values": {"Pac": 122.9, "EExp": 1203456.1, "EImp": 321.7}},
    ],
}  # fmt: skip

DOCUMENT = b"""<?xml version="1.0"?>
<sunSpecData v="1">
 <d lid="EXGW00000000001" man="CPS" mod="SCA60KTL-DO/US-480" sn="0001000000000001" t="2026-10-05T18:30:00Z">
  <m id="103" x="1"><p id="W" sf="1">4120</p><p id="WH" sf="3">412345</p><p id="Hz" sf="-2">6000</p>
   <p id="PF" sf="-1">998</p><p id="St">4</p><p id="Evt1">128</p><p id="Mystery">x</p></m>
  <m id="160" x="1"><p id="DCV" sf="-1">7102</p><p id="DCA" sf="-1">196</p></m>
  <m id="160" x="2"><p id="DCV" sf="-1">7088</p><p id="DCA" sf="-1">194</p><p id="DCW" sf="0">13700</p></m>
 </d>
</sunSpecData>"""


def telemetry(**changed: Any) -> dict[str, Any]:
    """A copy of the page's telemetry with keys of the envelope changed."""
    return copy.deepcopy(TELEMETRY) | changed


def bent(**values: Any) -> dict[str, Any]:
    """A copy whose inverter record alone is kept, with keys of its values changed."""
    message = telemetry()
    del message["records"][1:]
    message["records"][0]["values"] |= values
    return message


def read(message: Any, *, now: float = NOW, known: Known = _cps_messages.NOTHING_KNOWN, **options: Any) -> Batch:
    """The one batch that a message brings."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    (found,) = _cps_messages.read_message(body, now=now, known=known, **options)
    assert isinstance(found, Batch), found
    return found


def complaint(message: Any, *, now: float = NOW, **options: Any) -> Complaint:
    """The one complaint that a message ends in."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    (found,) = _cps_messages.read_message(body, now=now, **options)
    assert isinstance(found, Complaint), found
    return found


def values(batch: Batch, device: str) -> dict[str, float]:
    """A device's readings by metric."""
    return {one.metric_name: one.value for one in batch.readings if one.vendor_device_id == device}


def signed(body: bytes, now: float = NOW, secret: str = SECRET, **changed: str) -> dict[str, str]:
    """The headers of a push."""
    stamp = str(int(now))
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json", "X-CPS-Gateway": GATEWAY, "X-CPS-Message-Id": TELEMETRY["msg_id"],
        "X-CPS-Timestamp": stamp, "X-CPS-Signature": f"sha256={digest}",
    } | changed  # fmt: skip
