"""Puts the built pages into the wheel, so that who installs it needs no Node."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Pages(BuildHookInterface):  # type: ignore[type-arg]
    """`out/web` of the checkout becomes `sungaze/web` of the wheel; an editable install reads it where it is."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Raises FileNotFoundError when a wheel is to be built and the pages are not."""
        if version == "editable":
            return
        pages = Path(self.root) / "out" / "web"
        if not (pages / "index.html").is_file():
            raise FileNotFoundError("The pages are not built: npm run build")
        build_data["force_include"][str(pages)] = "sungaze/web"
