"""The program's icon as the systems want it, drawn from web/public/icon.svg: PNG in many sizes, ICO, ICNS.

    python build/icon.py FOLDER

Reads just what that drawing is made of: a rounded rectangle, a circle, and strokes of straight lines with round ends.
"""

from __future__ import annotations

import re
import struct
import sys
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

DRAWING: Final = Path(__file__).parents[1] / "web" / "public" / "icon.svg"
SIZES: Final = (16, 24, 32, 48, 64, 128, 256, 512, 1024)
ICO_SIZES: Final = (16, 24, 32, 48, 64, 128, 256)
ICNS_KINDS: Final = {b"icp4": 16, b"icp5": 32, b"icp6": 64, b"ic07": 128, b"ic08": 256, b"ic09": 512, b"ic10": 1024}


def main(folder: Path) -> None:
    """Write every form into a folder. Raises ValueError for a drawing that has become more than this reads."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {size: _png(_draw(size)) for size in SIZES}
    for size, picture in pictures.items():
        (folder / f"{size}.png").write_bytes(picture)
    (folder / "sungaze.ico").write_bytes(_ico({size: pictures[size] for size in ICO_SIZES}))
    blocks = b"".join(
        kind + struct.pack(">I", 8 + len(pictures[size])) + pictures[size] for kind, size in ICNS_KINDS.items()
    )
    (folder / "sungaze.icns").write_bytes(b"icns" + struct.pack(">I", 8 + len(blocks)) + blocks)


def _draw(size: int) -> Any:
    """The drawing as rows of red, green, blue and cover."""
    root = ET.parse(DRAWING).getroot()
    edge = float(root.attrib["viewBox"].split()[2])
    middle = (np.arange(size) + 0.5) * edge / size
    x, y = np.meshgrid(middle, middle)
    canvas = np.zeros((size, size, 4))
    for element in root:
        kind, at = element.tag.rpartition("}")[2], element.attrib
        if kind == "rect":
            half, radius = edge / 2, float(at["rx"])
            outside = np.hypot(*(np.maximum(np.abs(one - half) - (half - radius), 0) for one in (x, y)))
            _lay(canvas, outside - radius, at["fill"], edge / size)
        elif kind == "circle":
            _lay(canvas, np.hypot(x - float(at["cx"]), y - float(at["cy"])) - float(at["r"]), at["fill"], edge / size)
        elif kind == "path" and at["stroke-linecap"] == "round":
            away = np.min([_from_line(x, y, *line) for line in _lines(at["d"])], axis=0)
            _lay(canvas, away - float(at["stroke-width"]) / 2, at["stroke"], edge / size)
        else:
            raise ValueError(f"icon.svg has a {kind} that build/icon.py does not draw")
    canvas[..., :3] /= np.maximum(canvas[..., 3:], 1e-9)
    return np.round(canvas * 255).astype("u1")


def _lay(canvas: Any, distance: Any, colour: str, pixel: float) -> None:
    """Lay a shape over what is there; `distance` is how far outside its edge each pixel lies."""
    cover = np.clip(0.5 - distance / pixel, 0, 1)[..., None]
    paint = np.array([int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)] + [1.0])
    canvas *= 1 - cover
    canvas += cover * paint


def _from_line(x: Any, y: Any, x0: float, y0: float, x1: float, y1: float) -> Any:
    dx, dy = x1 - x0, y1 - y0
    along = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy), 0, 1)
    return np.hypot(x - x0 - along * dx, y - y0 - along * dy)


def _lines(path: str) -> Iterator[tuple[float, float, float, float]]:
    x = y = 0.0
    for command, words in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        numbers = [float(word) for word in re.findall(r"-?[0-9.]+", words)]
        if command == "M":
            x, y = numbers
            continue
        steps = {"v": (0.0, numbers[0]), "h": (numbers[0], 0.0), "l": (numbers[0], numbers[-1])}
        if command not in steps:
            raise ValueError(f"icon.svg has a path with {command} that build/icon.py does not draw")
        dx, dy = steps[command]
        yield x, y, x + dx, y + dy
        x, y = x + dx, y + dy


def _png(picture: Any) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width = picture.shape[:2]
    lines = b"".join(b"\0" + line.tobytes() for line in picture)
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 9)) + chunk(b"IEND", b"")


def _ico(pictures: dict[int, bytes]) -> bytes:
    at = 6 + 16 * len(pictures)
    entries = b""
    for size, picture in pictures.items():
        entries += struct.pack("<BBBBHHII", size % 256, size % 256, 0, 0, 1, 32, len(picture), at)
        at += len(picture)
    return struct.pack("<HHH", 0, 1, len(pictures)) + entries + b"".join(pictures.values())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
