"""How long a browser may keep the pages' files."""

from __future__ import annotations

from pathlib import Path

import pytest
from litestar.testing import TestClient

from sungaze.api.app import create_app


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>Sungaze</title>")
    (tmp_path / "assets/index-1a2b3c.js").write_text("export {}")
    return tmp_path


def test_a_file_named_after_its_content_is_kept_for_good_and_the_entry_is_asked_for_anew(pages: Path) -> None:
    with TestClient(create_app(None, pages)) as client:
        asset = client.get("/assets/index-1a2b3c.js")
        assert (asset.text, asset.headers["content-type"].split(";")[0]) == ("export {}", "text/javascript")
        assert "immutable" in asset.headers["cache-control"]
        assert client.get("/").headers["cache-control"] == "no-cache"


def test_a_file_that_is_not_there_is_not_kept(pages: Path) -> None:
    with TestClient(create_app(None, pages)) as client:
        missing = client.get("/assets/index-of-another-version.js")
        assert missing.status_code == 404
        assert "immutable" not in missing.headers.get("cache-control", "")
