"""What holds for every test: hypothesis keeps its notes under out/ like every other tool."""

from __future__ import annotations

from pathlib import Path

from hypothesis.configuration import set_hypothesis_home_dir

set_hypothesis_home_dir(Path(__file__).parents[1] / "out" / "cache" / "hypothesis")
