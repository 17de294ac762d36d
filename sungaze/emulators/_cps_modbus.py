"""A gateway's Modbus/TCP port: reads pass through to the inverters one at a time, writes are refused."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import NamedTuple

from sungaze.emulators._cps_registers import Nameplate, Switches, own_map, sunspec
from sungaze.emulators._cps_site import GatewayView, model_of

BAD_FUNCTION, BAD_ADDRESS, BAD_COUNT, FAILURE, BUSY, NO_PATH, NO_TARGET = 1, 2, 3, 4, 6, 0x0A, 0x0B
BROADCAST_UNIT = 165
MOST_REGISTERS = 125


class Asked(NamedTuple):
    """One request as the server saw it."""

    unit: int
    function: int
    address: int
    registers: int


class ModbusServer:
    """A gateway on 127.0.0.1; `switches` may be changed at any time, `asked` holds the last requests."""

    def __init__(self, view: GatewayView, now: Callable[[], float], port: int = 0) -> None:
        self.view = view
        self.switches = Switches()
        self.units = list(range(1, view.inverters + 1))
        self.asked: deque[Asked] = deque(maxlen=10_000)
        self.writes = 0
        self.overlaps = 0
        self._now = now
        self._chain = Lock()
        self._connections: set[socket.socket] = set()
        self._ending = Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if sys.platform != "win32":
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        self._socket.listen(16)
        self.host, self.port = self._socket.getsockname()
        self._threads = [Thread(target=self._accept, name="cps-modbus", daemon=True)]
        self._threads[0].start()

    def stop(self) -> None:
        """Close every connection and release the port; more than once does no harm."""
        self._ending.set()
        # A blocked accept does not notice that its socket is closed; a connection wakes it.
        with contextlib.suppress(OSError):
            socket.create_connection((self.host, self.port), 1.0).close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5.0)
        self._socket.close()

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            if self._ending.is_set() or (self.switches.one_connection and self._connections):
                connection.close()
                continue
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections.add(connection)
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            thread = Thread(target=self._serve, args=(connection,), name="cps-modbus-client", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                while not self._ending.is_set():
                    head = _exactly(connection, 7)
                    if head is None:
                        return
                    transaction, protocol, length, unit = struct.unpack(">HHHB", head)
                    if protocol or not 2 <= length <= 254:
                        return
                    pdu = _exactly(connection, length - 1)
                    if pdu is None or not self._reply(connection, transaction, unit, pdu):
                        return
        except OSError:
            pass
        finally:
            self._connections.discard(connection)

    def _reply(self, connection: socket.socket, transaction: int, unit: int, pdu: bytes) -> bool:
        if not self._chain.acquire(blocking=False):
            self.overlaps += 1
            self._chain.acquire()
        try:
            answer = self.answer(unit, pdu)
        finally:
            self._chain.release()
        if answer is None:
            return True
        frame = struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer
        if self.switches.slow_s:
            time.sleep(self.switches.slow_s)
        if self.switches.drop > 0:
            self.switches.drop -= 1
            connection.sendall(frame[: len(frame) // 2])
            return False
        connection.sendall(frame)
        return True

    def answer(self, unit: int, pdu: bytes) -> bytes | None:
        """Return the answer to one request; None for a broadcast, which nobody answers."""
        function = pdu[0]
        if function not in {3, 4}:
            self.writes += function in {5, 6, 15, 16, 22, 23}
            return _exception(function, BAD_FUNCTION)
        if len(pdu) != 5:
            return _exception(function, BAD_COUNT)
        address, count = struct.unpack(">HH", pdu[1:])
        self.asked.append(Asked(unit, function, address, count))
        if unit == BROADCAST_UNIT:
            return None
        if unit in self.switches.refused:
            return _exception(function, NO_PATH)
        if unit not in self.units or unit in self.switches.asleep:
            return _exception(function, NO_TARGET)
        if self.switches.busy > 0:
            self.switches.busy -= 1
            return _exception(function, BUSY)
        if not 1 <= count <= MOST_REGISTERS:
            return _exception(function, BAD_COUNT)
        found = self._registers(unit, function)
        if found is None:
            return _exception(function, NO_TARGET)
        base, registers = found
        if not base <= address <= address + count <= base + len(registers):
            return _exception(function, BAD_ADDRESS)
        words = registers[address - base : address - base + count]
        if self.switches.wrong_count > 0:
            self.switches.wrong_count -= 1
            words = words[:-1]
        return struct.pack(f">BB{len(words)}H", function, 2 * len(words), *words)

    def _registers(self, unit: int, function: int) -> tuple[int, list[int]] | None:
        """Return (first address, registers) of one space of a unit, None while the unit sleeps."""
        now, switches = self._now(), self.switches
        moments = self.view.moments(int(now))
        if moments is None or (switches.sleeps_at_night and not moments[unit - 1].awake):
            return None
        number = unit - 1
        plate = Nameplate(self.view.serials[number], model_of(self.view.plan), float(self.view.plan.limit_w[number]))
        if function == 4:
            return (0, own_map(plate, moments[number], switches)) if switches.own_map else (0, [])
        if switches.base is None:
            return 0, []
        return switches.base, sunspec(plate, moments[number], now, switches)


def _exception(function: int, code: int) -> bytes:
    return bytes([function & 0x7F | 0x80, code])


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    found = b""
    while len(found) < count:
        part = connection.recv(count - len(found))
        if not part:
            return None
        found += part
    return found
