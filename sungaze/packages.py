"""What Sungaze needs and brings of Python, by what each package says of itself.

The packed program carries the list along: what its packages say of themselves would take time at each start.
"""

from __future__ import annotations

import functools
import importlib.metadata
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

LISTED: Final = Path(__file__).with_name("packages.json")
_NAME: Final = re.compile(r"[^A-Za-z0-9._-]")


class Package(msgspec.Struct, frozen=True):
    """A package with the licence that it names itself, and that licence's text where it has it."""

    name: str
    version: str
    licence: str
    text: str


@functools.cache
def packages() -> list[Package]:
    """Every package that is here, in no order."""
    if LISTED.is_file():
        return msgspec.json.decode(LISTED.read_bytes(), type=list[Package])
    return found(importlib.metadata.requires("sungaze") or ())


def found(needed: Iterable[str]) -> list[Package]:
    """What is installed of these requirements, and of what they need; extras are not followed."""
    there: dict[str, Package] = {}
    wanted = [one for one in needed if "extra ==" not in one]
    while wanted:
        name = re.sub(r"[-_.]+", "-", _NAME.split(wanted.pop())[0]).lower()
        if name in there:
            continue
        try:
            told = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # needed on another system only
        text = _licence_text(told)
        there[name] = Package(told.metadata["Name"], told.version, _licence(told, text), text)
        wanted += [one for one in told.requires or () if "extra ==" not in one]
    return list(there.values())


def _licence(told: importlib.metadata.Distribution, text: str) -> str:
    said, expression = (
        told.metadata[name].strip() if name in told.metadata else "" for name in ("License", "License-Expression")
    )
    classes = [c.split(" :: ")[-1] for c in told.metadata.get_all("Classifier") or () if c.startswith("License ::")]
    said = expression or ", ".join(classes) or said.partition("\n")[0][:80]
    # Some say it by its text alone.
    return said or ("MIT" if "Permission is hereby granted, free of charge" in text else "")


def _licence_text(told: importlib.metadata.Distribution) -> str:
    for file in told.files or ():
        if re.fullmatch(r"(licen[cs]e|copying)([-.].*)?", file.name, re.IGNORECASE):
            try:
                return file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):
                return ""
    return ""
