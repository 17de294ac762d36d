"""The door to inverters by Modbus/TCP: reads only, one request at a time, and every ending is data or a VendorError.

Functions 3 and 4 are all that there is here; nothing in this file can write. Facts: vendors/cps.md 6.1.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Final, Protocol, Self

from sungaze.errors import Changed, Unavailable

TIMEOUT_S: Final = 3.0
REPEATS: Final = 2
MOST_REGISTERS: Final = 100
"""Registers in one request; the protocol's own limit is 125 (6.1)."""
BROADCAST_UNIT: Final = 165
"""CPS's broadcast address (1.1 [doc]): what is sent there reaches every inverter of the chain."""
HOLDING: Final = 3
INPUT: Final = 4

log = logging.getLogger(__name__)
# pymodbus tells of every lost connection as an error of its own; ours say it once, in the user's words.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

_gateways: dict[tuple[str, int], threading.Lock] = {}
_gateways_lock = threading.Lock()


class UnitAsleep(Unavailable):
    """The gateway answers, the device behind it does not (exceptions 0x0A, 0x0B): asleep or off."""


class UnitBusy(Unavailable):
    """The device asks to come again later (exceptions 5, 6)."""


class NoSuchRegister(Changed):
    """The device does not have what was asked (exceptions 1, 2, 3)."""


def _gateway_lock(host: str, port: int) -> threading.Lock:
    with _gateways_lock:
        return _gateways.setdefault((host, port), threading.Lock())


class Registers(Protocol):
    """Registers of units behind a gateway: an open one's, or recorded ones."""

    def holding(self, unit: int, address: int, count: int) -> Sequence[int]:
        """Function 3."""
        ...

    def input(self, unit: int, address: int, count: int) -> Sequence[int]:
        """Function 4."""
        ...


class Gateway:
    """An open connection to one gateway; a context manager that holds the gateway for itself.

    A gateway serialises on RS-485, so a second thread of this process waits until the first has left. Raises
    Unavailable when nothing listens there.
    """

    def __init__(
        self, host: str, port: int = 502, *, timeout_s: float = TIMEOUT_S, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.host = host
        self.port = port
        self.requests = 0
        self._timeout_s = timeout_s
        self._pause = pause
        self._lock = _gateway_lock(host, port)
        self._client: Any = None  # its stubs leave connect and close without types

    def __enter__(self) -> Self:
        self._lock.acquire()
        try:
            self._connect()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disconnect()
        self._lock.release()

    def holding(self, unit: int, address: int, count: int) -> Sequence[int]:
        """The holding registers (function 3) at a 0-based address; longer reads are cut into several."""
        return self._read(HOLDING, unit, address, count)

    def input(self, unit: int, address: int, count: int) -> Sequence[int]:
        """The input registers (function 4) at a 0-based address; longer reads are cut into several."""
        return self._read(INPUT, unit, address, count)

    def _read(self, function: int, unit: int, address: int, count: int) -> list[int]:
        if unit == BROADCAST_UNIT:
            raise ValueError("165 is CPS's broadcast address and is never asked")
        if not 1 <= unit <= 247 or not 0 <= address <= address + count <= 65_536 or count < 1:
            raise ValueError(f"no such registers: unit {unit}, address {address}, count {count}")
        found: list[int] = []
        while len(found) < count:
            part = min(MOST_REGISTERS, count - len(found))
            found += self._once(function, unit, address + len(found), part)
        return found

    def _once(self, function: int, unit: int, address: int, count: int) -> list[int]:
        from pymodbus.exceptions import ModbusException

        for attempt in range(REPEATS + 1):
            client = self._connect()
            self.requests += 1
            ask = client.read_holding_registers if function == HOLDING else client.read_input_registers
            try:
                answer: Any = ask(address, count=count, device_id=unit)
            except (ModbusException, OSError) as error:
                # A late answer to a request given up must not be taken for the next one's.
                log.debug("unit %d, attempt %d: %s", unit, attempt + 1, type(error).__name__)
                self._disconnect()
                self._wait(attempt)
                continue
            if not answer.isError():
                if len(answer.registers) == count:
                    return list(answer.registers)
                self._disconnect()
                self._wait(attempt)
                continue
            code = answer.exception_code
            if code in {5, 6} and attempt < REPEATS:
                self._wait(attempt)
                continue
            raise _refusal(code, unit, address)
        raise Unavailable(
            f"Unit {unit} of the gateway at {self.host} does not answer. What is known is kept; it is asked again "
            "later.",
            60.0,
        )

    def _wait(self, attempt: int) -> None:
        # A gateway that takes one connection at a time needs a moment to see that the last one has ended.
        if attempt < REPEATS:
            self._pause(0.2 * (attempt + 1))

    def _connect(self) -> Any:
        if self._client is None:
            from pymodbus.client import ModbusTcpClient

            client: Any = ModbusTcpClient(self.host, port=self.port, timeout=self._timeout_s, retries=0)
            if not client.connect():
                client.close()
                raise Unavailable(
                    f"Nothing answers at {self.host}, port {self.port}. Is the gateway on, and is Modbus/TCP switched "
                    "on in it? It is asked again in a few minutes.",
                    300.0,
                )
            self._client = client
        return self._client

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


def _refusal(code: int, unit: int, address: int) -> Unavailable | Changed:
    if code in {0x0A, 0x0B}:
        return UnitAsleep(f"Unit {unit} does not answer its gateway: asleep or switched off.", 300.0)
    if code in {5, 6}:
        return UnitBusy(f"Unit {unit} is busy; it is asked again in a minute.", 60.0)
    if code in {1, 2, 3}:
        return NoSuchRegister(f"Unit {unit} has no registers at {address}.", f"modbus {address}")
    return Unavailable(f"Unit {unit} reports a failure of its own (exception {code}).", 300.0)


def units_of(text: str) -> tuple[int, ...]:
    """The unit ids of `1-16,32`, ascending. Raises ValueError for anything else, for 165 and for more than 32."""
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()) or len(part) > 7:
            raise ValueError(f"“{part[:20]}” is no Modbus id and no range of them, such as 1-16,32")
        low, high = int(first), int(last or first)
        if not 1 <= low <= high <= 247:
            raise ValueError(f"Modbus ids run from 1 to 247, upwards: “{part}”")
        found |= set(range(low, high + 1))
    if BROADCAST_UNIT in found:
        raise ValueError("165 is CPS's broadcast address and must not be asked")
    if len(found) > 32:
        raise ValueError("a gateway has 32 devices at most")
    return tuple(sorted(found))
