"""The vendors' servers over one simulated world, for the demo and for tests; imports nothing else of ours."""

from __future__ import annotations

from sungaze.emulators._clock import Clock
from sungaze.emulators._registry import VENDORS, serve
from sungaze.emulators._server import Emulator, SeenRequest
from sungaze.emulators._truth import write_truth
from sungaze.emulators.world import World

__all__ = ["VENDORS", "Clock", "Emulator", "SeenRequest", "World", "serve", "write_truth"]
