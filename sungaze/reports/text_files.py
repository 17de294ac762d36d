"""The lines of a text file as people have them: gzip'd or not, UTF-8 or UTF-16 with a mark, any line ends."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final, cast

from sungaze.errors import UserError

PIECE: Final = 1 << 20
"""Characters that are read at once."""
LONGEST: Final = 1 << 16
"""No line of ours has more characters; of a longer one only so many are handed on, so that it fits into memory."""


class FileError(UserError):
    """A file that cannot be read."""


def read_lines(path: Path, progress: Callable[[float], None] = lambda _: None) -> Iterator[list[str]]:
    """The lines of a text file without their ends, some thousands at a time; empty ones too, so that they count.

    What is not UTF-8 in it stands as surrogates. `progress` is told the share of the file that was read, 0 to 1.
    Raises FileError for a file that is not there, is none, or breaks off (a damaged gzip).
    """
    try:
        with path.open("rb") as raw:
            size = max(1, raw.seek(0, io.SEEK_END))
            raw.seek(0)
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            plain: IO[bytes] = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
            mark = plain.read(2)
            plain.seek(0)
            encoding = "utf-16" if mark in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
            text = io.TextIOWrapper(plain, encoding=encoding, errors="surrogateescape", newline=None)
            rest = ""
            while piece := text.read(PIECE):
                lines = (rest + piece).split("\n")
                rest = lines.pop()
                if len(rest) > LONGEST:
                    rest = rest[: LONGEST + 1]
                if lines:
                    yield lines
                progress(min(1.0, raw.tell() / size))
            if rest:
                yield [rest]
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise FileError(f"{path} is damaged: it cannot be unpacked to its end.") from None
    except UnicodeError:
        raise FileError(f"{path} is no text.") from None
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.") from None


def first_line(path: Path) -> str:
    """The first line of a file, without its end. Raises FileError, also for a file without anything in it."""
    for lines in read_lines(path):
        if any(lines):
            return lines[0]
    raise FileError(f"{path} is empty. Nothing was imported.")
